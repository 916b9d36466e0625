/*
 * test_leases.c - P06: what is in workers' hands is noted, however many tasks went through them before, and the host after this one reads it:
 * all of it, and nothing that was over; and whether that is the whole of it, which is said only when it is sure. P10: it has its room before it
 * is used.
 */
#include "host/leases.h"

#include "own_folder.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HELD 300u

static uint32_t slots[MW_LEASES_MAX];
static bool no_room;

int __real_posix_fallocate(int fd, off_t offset, off_t size);
int __wrap_posix_fallocate(int fd, off_t offset, off_t size);
int __wrap_posix_fallocate(int fd, off_t offset, off_t size)
{
    return no_room ? ENOSPC : __real_posix_fallocate(fd, offset, size);
}

static unsigned boots; /* of the machine; the next start of it has another name */

enum mw_rc __wrap_mw_boot_id(char ret_boot[MW_BOOT_TEXT], struct mw_err *err);
enum mw_rc __wrap_mw_boot_id(char ret_boot[MW_BOOT_TEXT], struct mw_err *err)
{
    if (boots == UINT_MAX)
        return MW_FAIL(err, MW_E_IO, "nobody knows");
    memset(ret_boot, 0, MW_BOOT_TEXT);
    (void)snprintf(ret_boot, MW_BOOT_TEXT, "boot-%u", boots);
    return MW_OK;
}

static void open_leases(struct mw_leases *leases)
{
    *leases = (struct mw_leases){0};
    mw_leases_open(leases, AT_FDCWD);
    assert_non_null(leases->fences);
}

/* A host that is killed: its page cache outlives it. */
static void die(struct mw_leases *leases)
{
    (void)munmap(leases->note, sizeof(*leases->note));
    free(leases->before);
}

static void are_noted(const struct mw_leases *leases, mw_seq first, mw_seq last)
{
    for (mw_seq fence = first; fence <= last; fence++)
        if (!mw_leases_was_held(leases, fence))
            fail_msg("of %lu to %lu, %lu is not known", (unsigned long)first, (unsigned long)last,
                     (unsigned long)fence);
    assert_int_equal(leases->before_count, last - first + 1);
    assert_false(mw_leases_was_held(leases, first - 1));
    assert_false(mw_leases_was_held(leases, last + 1));
}

static void p06_what_is_held_is_known_to_the_next_host_and_to_no_later_one(void **state)
{
    struct mw_leases leases;
    (void)state;
    open_leases(&leases);
    assert_int_equal(leases.before_count, 0);
    for (uint32_t i = 0; i < HELD; i++)
        assert_int_not_equal(mw_leases_note(&leases, 1000 + i), 0);
    die(&leases);
    open_leases(&leases);
    are_noted(&leases, 1000, 1000 + HELD - 1);
    die(&leases);
    open_leases(&leases);
    assert_int_equal(leases.before_count, 0);
    die(&leases);
}

/* Five times as many tasks as are noted at once, some hundred of them in hand at any time. */
static void p06_however_many_were_held_before_the_next_is_noted(void **state)
{
    struct mw_leases leases;
    mw_seq last = 5 * MW_LEASES_MAX;
    (void)state;
    open_leases(&leases);
    for (mw_seq fence = 1; fence <= last; fence++) {
        uint32_t *slot = &slots[fence % HELD];
        if (fence > HELD)
            mw_leases_forget(&leases, *slot);
        *slot = mw_leases_note(&leases, fence);
        if (*slot == 0)
            fail_msg("task %lu is not noted, and %u are in hand", (unsigned long)fence, HELD);
    }
    die(&leases);
    open_leases(&leases);
    are_noted(&leases, last - HELD + 1, last);
    die(&leases);
}

static void p06_the_note_is_full_with_so_many_and_takes_more_when_one_is_over(void **state)
{
    struct mw_leases leases;
    (void)state;
    open_leases(&leases);
    for (uint32_t i = 0; i < MW_LEASES_MAX; i++) {
        slots[i] = mw_leases_note(&leases, 1 + i);
        assert_int_not_equal(slots[i], 0);
    }
    assert_int_equal(mw_leases_note(&leases, 1 + MW_LEASES_MAX), 0);
    mw_leases_forget(&leases, 0); /* of what was not noted */
    assert_int_equal(mw_leases_note(&leases, 1 + MW_LEASES_MAX), 0);
    mw_leases_forget(&leases, slots[0]);
    assert_int_not_equal(mw_leases_note(&leases, 1 + MW_LEASES_MAX), 0);
    die(&leases);
    open_leases(&leases);
    are_noted(&leases, 2, 1 + MW_LEASES_MAX);
    die(&leases);
}

/* A host that notes one, takes over what was before unless it dies too early, and dies. */
static void live(bool takes_over)
{
    struct mw_leases leases;
    open_leases(&leases);
    if (takes_over)
        mw_leases_taken_over(&leases);
    assert_int_not_equal(mw_leases_note(&leases, 7), 0);
    die(&leases);
}

static bool is_whole(void)
{
    struct mw_leases leases;
    open_leases(&leases);
    bool whole = leases.before_was_whole;
    die(&leases);
    return whole;
}

static void p06_whether_all_is_noted_is_said_only_when_it_is_sure(void **state)
{
    struct mw_leases leases;
    (void)state;
    assert_false(is_whole()); /* nobody was before */
    live(true);
    assert_true(is_whole());
    assert_false(is_whole()); /* who only looked has noted nothing of what was before */
    live(false);
    assert_false(is_whole());
    live(true);
    boots++; /* since then the power was off: what was noted last may be gone */
    assert_false(is_whole());
    live(true);
    boots = UINT_MAX;
    assert_false(is_whole());
    boots = 0;
    live(true);
    assert_int_equal(truncate(".millwright/cache/leases", MW_LEASES_MAX * sizeof(uint64_t)), 0);
    assert_false(is_whole()); /* of a release that did not say it */
    open_leases(&leases);
    mw_leases_taken_over(&leases);
    for (mw_seq fence = 1; fence <= MW_LEASES_MAX; fence++)
        slots[0] = mw_leases_note(&leases, fence);
    assert_int_equal(mw_leases_note(&leases, MW_LEASES_MAX + 1), 0);
    mw_leases_forget(&leases, slots[0]);
    mw_leases_taken_over(&leases); /* one is in a worker's hands and is not noted */
    die(&leases);
    assert_false(is_whole());
}

static int begin(void **state)
{
    struct mw_err err;
    boots = 0;
    return enter_own_folder(state) == 0 &&
                   mw_mkdirs(AT_FDCWD, ".millwright/cache", 0700, &err) == MW_OK
               ? 0
               : -1;
}

/* Its blocks are there before it is used: where there is no room for them it is not used at all, instead of a death by SIGBUS later. */
static void p10_without_room_there_is_no_note(void **state)
{
    struct mw_leases leases = {0};
    (void)state;
    live(true);
    no_room = true;
    mw_leases_open(&leases, AT_FDCWD);
    no_room = false;
    assert_null(leases.fences);
    assert_int_equal(mw_leases_note(&leases, 7), 0);
    free(leases.before);
    assert_false(is_whole()); /* P06: what the last one gave is not in it */
}

/* What somebody else put there is not ours to empty; the host works without the note. */
static void p17_p23_a_link_in_the_place_of_the_note_is_not_followed(void **state)
{
    struct mw_leases leases = {0};
    struct stat info;
    (void)state;
    put("mine.txt", "mine\n");
    assert_int_equal(symlink("../../mine.txt", ".millwright/cache/leases"), 0);
    mw_leases_open(&leases, AT_FDCWD);
    assert_null(leases.fences);
    assert_int_equal(mw_leases_note(&leases, 7), 0);
    assert_false(mw_leases_was_held(&leases, 7));
    assert_int_equal(stat("mine.txt", &info), 0);
    assert_int_equal(info.st_size, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            p06_what_is_held_is_known_to_the_next_host_and_to_no_later_one, begin,
            leave_own_folder),
        cmocka_unit_test_setup_teardown(p06_however_many_were_held_before_the_next_is_noted, begin,
                                        leave_own_folder),
        cmocka_unit_test_setup_teardown(
            p06_the_note_is_full_with_so_many_and_takes_more_when_one_is_over, begin,
            leave_own_folder),
        cmocka_unit_test_setup_teardown(p10_without_room_there_is_no_note, begin, leave_own_folder),
        cmocka_unit_test_setup_teardown(p06_whether_all_is_noted_is_said_only_when_it_is_sure,
                                        begin, leave_own_folder),
        cmocka_unit_test_setup_teardown(p17_p23_a_link_in_the_place_of_the_note_is_not_followed,
                                        begin, leave_own_folder),
    };
    return cmocka_run_group_tests_name("test_leases", tests, NULL, NULL);
}
