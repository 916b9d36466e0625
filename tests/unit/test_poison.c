/*
 * test_poison.c - P08 P10: what a host was doing when it ended is counted once, against that and nothing else, for as long as it says something:
 * until it went well, until the record was mended, and for this build alone.
 * A disk without room for the page that says so is no reason to end.
 */
#include "host/offline.h"
#include "host/poison.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_host host;
static struct mw_journal_ops ops;
static char workspace[] = "/tmp/mw-poison-XXXXXX";
static const char *build;

/* ---- a build of any name ---- */

const char *__wrap_mw_build_id(void);
const char *__wrap_mw_build_id(void)
{
    return build;
}

/* ---- a disk that may be full ---- */

static bool no_room;

int __real_posix_fallocate(int fd, off_t offset, off_t size);
int __wrap_posix_fallocate(int fd, off_t offset, off_t size);
int __wrap_posix_fallocate(int fd, off_t offset, off_t size)
{
    return no_room ? ENOSPC : __real_posix_fallocate(fd, offset, size);
}

/* ---- a journal of three records ---- */

#define RECORDS 3u
static const char *records[RECORDS + 1];

static enum mw_rc open_reader(const char *dir, const struct mw_journal_options *options,
                              uint64_t from_seq, void **ret_reader, struct mw_err *err)
{
    static uint64_t from;
    (void)dir;
    (void)options;
    (void)err;
    from = from_seq;
    *ret_reader = &from;
    return MW_OK;
}

static enum mw_rc read_records(void *reader, uint64_t until_seq, mw_journal_on_record on_record,
                               void *context, uint64_t *ret_next_seq, struct mw_err *err)
{
    uint64_t *next = reader;
    enum mw_rc rc = MW_OK;
    for (; *next <= RECORDS && *next <= until_seq && rc == MW_OK; ++*next)
        rc = on_record(context, *next, mw_str_of(records[*next]), err);
    *ret_next_seq = *next;
    return rc;
}

static void close_reader(void *reader)
{
    (void)reader;
}

/* ---- lives of a host ---- */

/* The one before ended, whatever it was doing. */
static void next_life(void)
{
    mw_poison_close(&host);
    mw_poison_open(&host);
}

static void new_workspace(void)
{
    mw_poison_close(&host);
    (void)unlinkat(host.workspace_fd, MW_POISON_PATH, 0);
    build = "one";
    records[1] = "{\"seq\":1}";
    records[2] = "{\"seq\":2}";
    records[3] = "{\"seq\":3}";
    mw_poison_open(&host);
}

static void decide(const struct mw_post *post)
{
    mw_poison_decides(&host, post);
    mw_poison_decided(&host);
}

static void die_deciding(const struct mw_post *post, uint32_t times)
{
    for (; times > 0; times--) {
        mw_poison_decides(&host, post);
        next_life();
    }
}

/* Replays up to the record that ends the host; 0: all of them. */
static void replay(mw_seq ends_at)
{
    for (mw_seq seq = 1; seq <= RECORDS; seq++) {
        mw_poison_replays(&host, seq);
        if (seq == ends_at) {
            next_life();
            return;
        }
        mw_poison_replayed(&host);
    }
    mw_poison_replay_over(&host);
}

/* ---- requests ---- */

static struct mw_post said(const char *body_hash)
{
    struct mw_post post = {.request = {.kind = (enum mw_request_kind)3, .item = 7}};
    (void)strcpy(post.body_hash, body_hash);
    return post;
}

static void p08_a_request_that_ends_the_host_twice_is_in_quarantine_and_no_other_is(void **state)
{
    struct mw_post pill = said("aa"), other_body = said("ab"), other_kind = pill, other_item = pill;
    (void)state;
    other_kind.request.kind = (enum mw_request_kind)4;
    other_item.request.item = 8;
    const struct mw_post *const others[] = {&other_body, &other_kind, &other_item};
    new_workspace();
    die_deciding(&pill, 1);
    assert_false(mw_poison_is_quarantined(&host, &pill));
    die_deciding(&pill, 1);
    assert_true(mw_poison_is_quarantined(&host, &pill));
    for (size_t i = 0; i < MW_COUNT(others); i++)
        if (mw_poison_is_quarantined(&host, others[i]))
            fail_msg("the %zu. other request is in quarantine for it", i + 1);
    for (size_t i = 0; i < MW_COUNT(others); i++)
        decide(others[i]);
    next_life();
    assert_true(
        mw_poison_is_quarantined(&host, &pill)); /* what else goes well says nothing of it */
}

static void p08_an_answer_is_known_by_the_ask_that_it_answers(void **state)
{
    struct mw_post pill = said("aa"), again = said("ab"), other = said("aa"), failure = said("aa");
    (void)state;
    pill.request.kind = again.request.kind = other.request.kind = MW_REQ_RECORD_RESULT;
    failure.request.kind = MW_REQ_RECORD_FAILURE;
    pill.request.fence = again.request.fence = failure.request.fence = 100;
    other.request.fence = 101;
    new_workspace();
    die_deciding(&pill, 1);
    die_deciding(&again, 1); /* the same ask, answered in other words */
    assert_true(mw_poison_is_quarantined(&host, &pill));
    assert_false(mw_poison_is_quarantined(&host, &other));
    /* What is recorded in its place answers the same ask. */
    assert_false(mw_poison_is_quarantined(&host, &failure));
    decide(&failure);
    assert_true(mw_poison_is_quarantined(&host, &pill));
}

static void p08_a_suspect_that_is_decided_well_is_none_any_more(void **state)
{
    struct mw_post post = said("aa");
    (void)state;
    new_workspace();
    die_deciding(&post, 1);
    decide(&post);
    die_deciding(&post, 1);
    assert_false(mw_poison_is_quarantined(&host, &post));
    die_deciding(&post, 1);
    assert_true(mw_poison_is_quarantined(&host, &post));
}

static void p08_a_death_is_counted_once(void **state)
{
    struct mw_post post = said("aa");
    (void)state;
    new_workspace();
    die_deciding(&post, 1);
    next_life();
    next_life();
    assert_false(mw_poison_is_quarantined(&host, &post));
}

/* There is room for so many suspects; whoever comes next takes the place of one that ended the host once, never of one in quarantine. */
static void p08_what_is_in_quarantine_stays_there_however_many_are_suspected(void **state)
{
    enum { PILLS = MW_POISON_SUSPECTS_MAX / 2 };
    struct mw_post pills[PILLS];
    char name[16];
    (void)state;
    new_workspace();
    for (uint32_t i = 0; i < PILLS; i++) {
        (void)snprintf(name, sizeof name, "pill %u", i);
        pills[i] = said(name);
        die_deciding(&pills[i], MW_POISON_REQUEST_DEATHS);
    }
    for (uint32_t i = 0; i < 2 * MW_POISON_SUSPECTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "other %u", i);
        struct mw_post other = said(name);
        die_deciding(&other, 1);
        for (uint32_t at = 0; at < PILLS; at++)
            if (!mw_poison_is_quarantined(&host, &pills[at]))
                fail_msg("pill %u is decided again after %u others", at, i + 1);
    }
}

/* ---- records ---- */

static void p08_a_record_that_ends_three_replays_makes_the_host_read_only(void **state)
{
    (void)state;
    new_workspace();
    for (uint32_t death = 1; death <= MW_POISON_RECORD_DEATHS; death++) {
        assert_int_equal(mw_poison_record(&host), 0);
        replay(2);
    }
    assert_int_equal(mw_poison_record(&host), 2);
    assert_int_equal(mw_poison_last_seq(&host), RECORDS);
    assert_int_equal(mw_poison_look(workspace), 2);
    next_life();
    assert_int_equal(mw_poison_record(&host), 2); /* it stays so */
    records[2] = "{\"mended\":2}";
    next_life();
    assert_int_equal(mw_poison_record(&host), 0);
    assert_int_equal(mw_poison_look(workspace), 0);
}

static void p08_a_record_that_is_replayed_once_is_not_suspected_any_more(void **state)
{
    (void)state;
    new_workspace();
    replay(2);
    replay(2);
    replay(0); /* the host had died of something else */
    replay(2);
    assert_int_equal(mw_poison_record(&host), 0);
    replay(3); /* it gets past the second, and ends at the third */
    replay(3);
    assert_int_equal(mw_poison_record(&host), 0);
    replay(3);
    assert_int_equal(mw_poison_record(&host), 3);
}

/* Whoever ends it before it comes so far says nothing of the record. */
static void p08_a_host_that_ends_before_the_suspected_record_says_nothing_of_it(void **state)
{
    (void)state;
    new_workspace();
    replay(3);
    replay(1);
    replay(2);
    replay(1);
    assert_int_equal(mw_poison_record(&host), 0);
    replay(3);
    assert_int_equal(mw_poison_record(&host), 0);
    replay(3);
    assert_int_equal(mw_poison_record(&host), 3);
}

/* ---- builds, and the page ---- */

static void p08_what_one_build_died_of_says_nothing_about_another(void **state)
{
    struct mw_post pill = said("aa");
    (void)state;
    new_workspace();
    die_deciding(&pill, MW_POISON_REQUEST_DEATHS);
    for (uint32_t death = 0; death < MW_POISON_RECORD_DEATHS; death++)
        replay(2);
    assert_true(mw_poison_is_quarantined(&host, &pill));
    assert_int_equal(mw_poison_record(&host), 2);
    build = "another";
    assert_int_equal(mw_poison_look(workspace), 0);
    next_life();
    assert_false(mw_poison_is_quarantined(&host, &pill));
    assert_int_equal(mw_poison_record(&host), 0);
}

/* Room is taken before the first note, which would else end the host by a signal. Without room nothing is found out, and nothing else is missed. */
static void p10_a_host_that_starts_on_a_full_disk_notes_nothing_there(void **state)
{
    struct mw_post post = said("aa");
    struct stat page;
    (void)state;
    new_workspace();
    mw_poison_close(&host);
    assert_int_equal(unlinkat(host.workspace_fd, MW_POISON_PATH, 0), 0);
    no_room = true;
    mw_poison_open(&host);
    die_deciding(&post, MW_POISON_REQUEST_DEATHS);
    for (uint32_t death = 0; death < MW_POISON_RECORD_DEATHS; death++)
        replay(2);
    assert_false(mw_poison_is_quarantined(&host, &post));
    assert_int_equal(mw_poison_record(&host), 0);
    assert_int_equal(fstatat(host.workspace_fd, MW_POISON_PATH, &page, 0), 0);
    assert_int_equal(page.st_size, 0);
    no_room = false;
    next_life();
    die_deciding(&post, MW_POISON_REQUEST_DEATHS);
    assert_true(mw_poison_is_quarantined(&host, &post));
}

static void p17_p23_the_page_is_not_written_through_a_link(void **state)
{
    struct mw_post post = said("aa");
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    (void)state;
    new_workspace();
    mw_poison_close(&host);
    assert_int_equal(unlinkat(host.workspace_fd, MW_POISON_PATH, 0), 0);
    assert_int_equal(mw_file_replace(host.workspace_fd, "words", MW_STR("mine"), 0600, &err),
                     MW_OK);
    assert_int_equal(symlinkat("../words", host.workspace_fd, MW_POISON_PATH), 0);
    mw_poison_open(&host);
    die_deciding(&post, MW_POISON_REQUEST_DEATHS);
    assert_false(mw_poison_is_quarantined(&host, &post));
    assert_int_equal(mw_file_read(host.workspace_fd, "words", 1 << 20, &text, &err), MW_OK);
    assert_true(mw_str_is(mw_buf_str(&text), "mine"));
    mw_heap_buf_free(&text);
}

/* A journal that was mended has another record there: what the one before did says nothing of it. */
static void p08_the_deaths_of_a_record_are_not_those_of_the_one_that_takes_its_place(void **state)
{
    (void)state;
    new_workspace();
    for (uint32_t death = 1; death < MW_POISON_RECORD_DEATHS; death++)
        replay(2);
    records[2] = "{\"mended\":2}";
    for (uint32_t death = 1; death < MW_POISON_RECORD_DEATHS; death++)
        replay(2);
    assert_int_equal(mw_poison_record(&host), 0);
    replay(2);
    assert_int_equal(mw_poison_record(&host), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p08_a_request_that_ends_the_host_twice_is_in_quarantine_and_no_other_is),
        cmocka_unit_test(p08_an_answer_is_known_by_the_ask_that_it_answers),
        cmocka_unit_test(p08_a_suspect_that_is_decided_well_is_none_any_more),
        cmocka_unit_test(p08_a_death_is_counted_once),
        cmocka_unit_test(p08_what_is_in_quarantine_stays_there_however_many_are_suspected),
        cmocka_unit_test(p08_a_record_that_ends_three_replays_makes_the_host_read_only),
        cmocka_unit_test(p08_a_record_that_is_replayed_once_is_not_suspected_any_more),
        cmocka_unit_test(p08_a_host_that_ends_before_the_suspected_record_says_nothing_of_it),
        cmocka_unit_test(p08_the_deaths_of_a_record_are_not_those_of_the_one_that_takes_its_place),
        cmocka_unit_test(p08_what_one_build_died_of_says_nothing_about_another),
        cmocka_unit_test(p17_p23_the_page_is_not_written_through_a_link),
        cmocka_unit_test(p10_a_host_that_starts_on_a_full_disk_notes_nothing_there),
    };
    struct mw_err err;
    ops = (struct mw_journal_ops){
        .reader_open = open_reader, .reader_read = read_records, .reader_close = close_reader};
    if (mkdtemp(workspace) == NULL)
        return 1;
    host.ops = &ops;
    host.workspace = workspace;
    host.workspace_fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mw_mkdirs(host.workspace_fd, ".millwright/log", 0700, &err) != MW_OK)
        return 1;
    int failed = cmocka_run_group_tests_name("test_poison", tests, NULL, NULL);
    mw_poison_close(&host);
    (void)close(host.workspace_fd);
    return mw_remove_tree(AT_FDCWD, workspace, NULL) == MW_OK ? failed : 1;
}
