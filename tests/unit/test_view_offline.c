/*
 * Views without a host: a journal and bodies in a real folder are read beside whoever holds them, and nothing is ever made.
 */
#include "view_scenes.h"

#include "host/offline.h"
#include "journal/files.h"
#include "stage/blob.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

static char base[64];

static int setup(void **state)
{
    (void)state;
    strcpy(base, "/tmp/mw-offline-XXXXXX");
    assert_non_null(mkdtemp(base));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct mw_err err;
    return mw_remove_tree(AT_FDCWD, base, &err) == MW_OK ? 0 : -1;
}

static enum mw_rc ask(const char *name, const char *key, const char *value, struct mw_buf *out,
                      struct mw_err *err)
{
    struct mw_view_query query = {.name = mw_str_of(name),
                                  .keys = {mw_str_of(key)},
                                  .values = {mw_str_of(value)},
                                  .count = key != NULL ? 1 : 0};
    return mw_offline_view(base, &query, out, err);
}

static unsigned entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2 ? 1 : 0;
    assert_int_equal(closedir(dir), 0);
    return count;
}

/* Writes the story where a host would have; the journal stays open, as a running host has it. */
static void *write_down(const struct story *story)
{
    struct mw_err err = {0};
    struct mw_blobs blobs;
    void *journal = NULL;
    struct mw_journal_opened opened;
    mw_autofree char *inside = mw_heap_format("%s/.millwright", base);
    mw_autofree char *dir = mw_heap_format("%s/journal", inside);
    assert_int_equal(mw_mkdirs(AT_FDCWD, dir, 0755, &err), MW_OK);
    assert_int_equal(mw_blobs_open(AT_FDCWD, inside, &blobs, &err), MW_OK);
    for (uint32_t i = 0; i < story->blob_count; i++) {
        char sha256[MW_SHA256_HEX];
        assert_int_equal(mw_blob_put(&blobs, mw_str_of(story->blobs[i].text), sha256, &err), MW_OK);
    }
    mw_blobs_close(&blobs);
    if (mw_journal_files.open(dir, NULL, &journal, &opened, &err) != MW_OK)
        fail_msg("%s", err.text);
    if (mw_journal_files.append(journal, 1, story->count, mw_buf_str(&story->lines), &err) != MW_OK)
        fail_msg("%s", err.text);
    return journal;
}

static void the_files_say_what_the_memory_says(void **state)
{
    static const struct {
        const char *name, *key, *value, *question;
    } asked[] = {
        {"status", NULL, NULL, "status"},
        {"review", "build", "v2", "review build=v2"},
        {"why", "path", "app/services/note/src/main.js", "why path=app/services/note/src/main.js"},
        {"failure", NULL, NULL, "failure"}};
    (void)state;
    struct story story;
    struct mw_err err = {0};
    story_open(&story);
    story_everything(&story);
    void *journal = write_down(&story);
    for (size_t i = 0; i < MW_COUNT(asked); i++) {
        struct mw_buf files = mw_heap_buf(), memory = mw_heap_buf();
        if (ask(asked[i].name, asked[i].key, asked[i].value, &files, &err) != MW_OK)
            fail_msg("%s: %s", asked[i].question, err.text);
        char question[512]; /* where the workspace lies is not in the records: who asks says it */
        snprintf(question, sizeof question, "%s workspace=%s", asked[i].question, base);
        assert_int_equal(story_ask(&story, question, &memory, &err), MW_OK);
        assert_true(mw_str_eq(mw_buf_str(&files), mw_buf_str(&memory)));
        mw_heap_buf_free(&files);
        mw_heap_buf_free(&memory);
    }
    assert_int_equal(mw_journal_files.close(journal, &err), MW_OK);
    story_close(&story);
}

static enum mw_rc count(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)err;
    assert_int_equal(seq, ++*(uint64_t *)context);
    assert_true(line.len > 2);
    return MW_OK;
}

static void the_journal_is_handed_over_in_order(void **state)
{
    (void)state;
    struct story story;
    struct mw_err err = {0};
    uint64_t seen = 0;
    story_open(&story);
    story_begin(&story);
    void *journal = write_down(&story);
    assert_int_equal(mw_offline_journal(base, count, &seen, &err), MW_OK);
    assert_int_equal(seen, story.count);
    assert_int_equal(mw_journal_files.close(journal, &err), MW_OK);
    story_close(&story);
}

static void an_empty_folder_has_a_status_and_stays_empty(void **state)
{
    (void)state;
    struct mw_buf out = mw_heap_buf();
    struct mw_err err = {0};
    uint64_t seen = 0;
    assert_int_equal(ask("status", NULL, NULL, &out, &err), MW_OK);
    mw_autofree char *text = mw_heap_copy(mw_buf_str(&out));
    assert_non_null(strstr(text, "\"app\":null"));
    assert_int_equal(mw_offline_journal(base, count, &seen, &err), MW_OK);
    assert_int_equal(seen, 0);
    assert_int_equal(ask("build", NULL, NULL, &out, &err), MW_E_MISSING);
    assert_int_equal(entries(base), 0);
    mw_heap_buf_free(&out);
}

/* A folder for a journal in which nothing was ever written. */
static void an_empty_journal_folder_is_an_empty_journal(void **state)
{
    (void)state;
    struct mw_buf out = mw_heap_buf();
    struct mw_err err = {0};
    mw_autofree char *dir = mw_heap_format("%s/.millwright/journal", base);
    mw_autofree char *inside = mw_heap_format("%s/.millwright", base);
    assert_int_equal(mw_mkdirs(AT_FDCWD, dir, 0755, &err), MW_OK);
    if (ask("status", NULL, NULL, &out, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(entries(dir), 0);
    assert_int_equal(entries(inside), 1);
    mw_heap_buf_free(&out);
}

static void a_missing_body_leaves_the_rest_of_a_review(void **state)
{
    (void)state;
    struct story story;
    struct mw_buf out = mw_heap_buf();
    struct mw_err err = {0};
    story_open(&story);
    story_everything(&story);
    void *journal = write_down(&story);
    mw_autofree char *blobs = mw_heap_format("%s/.millwright/blobs", base);
    assert_int_equal(mw_remove_tree(AT_FDCWD, blobs, &err), MW_OK);
    if (ask("review", "build", "v2", &out, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_autofree char *text = mw_heap_copy(mw_buf_str(&out));
    assert_non_null(strstr(text, "\"validation\":{\"result\":\"Passed\"}")); /* what was kept */
    assert_false(mw_exists(AT_FDCWD, blobs));
    assert_int_equal(mw_journal_files.close(journal, &err), MW_OK);
    mw_heap_buf_free(&out);
    story_close(&story);
}

static void a_damaged_journal_is_said(void **state)
{
    (void)state;
    struct story story;
    struct mw_buf out = mw_heap_buf();
    struct mw_err err = {0};
    story_open(&story);
    story_begin(&story);
    void *journal = write_down(&story);
    assert_int_equal(
        mw_journal_files.append(journal, story.count + 1, 1, MW_STR("{\"x\":1}\n"), &err), MW_OK);
    assert_int_equal(mw_journal_files.close(journal, &err), MW_OK);
    assert_int_equal(ask("status", NULL, NULL, &out, &err), MW_E_CORRUPT);
    assert_int_equal(out.len, 0);
    mw_heap_buf_free(&out);
    story_close(&story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_files_say_what_the_memory_says, setup, teardown),
        cmocka_unit_test_setup_teardown(the_journal_is_handed_over_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_folder_has_a_status_and_stays_empty, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_empty_journal_folder_is_an_empty_journal, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_missing_body_leaves_the_rest_of_a_review, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_journal_is_said, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
