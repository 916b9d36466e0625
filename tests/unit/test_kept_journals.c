/*
 * test_kept_journals.c - the journal kept from every release replays to the state that it had then (P13), whatever the compiler and its
 * options (P16: the same test runs in every build, of which tools/check.sh replay makes two for it alone).
 *
 * tests/golden/journals/{release}/journal/ is the journal, state.sha256 beside it the state hash. MW_GOLDEN=1 writes the hash anew.
 */
#include "core/core.h"
#include "journal/files.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KEPT MW_SOURCE_DIR "/tests/golden/journals"

static const struct mw_catalogue *no_catalogue(void *host, struct mw_str sha256)
{
    (void)host;
    (void)sha256;
    return NULL;
}

static const struct mw_tape *no_document(void *host, struct mw_str sha256)
{
    (void)host;
    (void)sha256;
    return NULL;
}

static enum mw_rc replay(void *user, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq;
    return mw_core_replay(user, line, err);
}

static void state_hash(const char *folder, char ret_hash[MW_SHA256_HEX])
{
    struct mw_arena region, scratch;
    static struct mw_core core;
    struct mw_err err = {0};
    struct mw_buf dump = mw_heap_buf();
    void *reader;
    uint64_t next;
    mw_heap_arena(&region, (size_t)1 << 30);
    mw_heap_arena(&scratch, (size_t)256 << 20);
    struct mw_core_config config = {.region = region.memory,
                                    .region_bytes = region.size_bytes,
                                    .arena = scratch.memory,
                                    .arena_bytes = scratch.size_bytes,
                                    .catalogue = no_catalogue,
                                    .document = no_document};
    mw_core_init(&core, &config);
    enum mw_rc rc = mw_journal_files.reader_open(folder, NULL, 1, &reader, &err);
    if (rc == MW_OK)
        rc = mw_journal_files.reader_read(reader, UINT64_MAX, replay, &core, &next, &err);
    if (rc != MW_OK)
        fail_msg("%s: %s", folder, err.text);
    mw_journal_files.reader_close(reader);
    mw_core_dump(&core, &dump);
    mw_sha256_hex(mw_buf_str(&dump), ret_hash);
    mw_heap_buf_free(&dump);
    mw_heap_arena_free(&region);
    mw_heap_arena_free(&scratch);
}

static void check_release(const char *release)
{
    char hash[MW_SHA256_HEX];
    mw_autofree char *folder = mw_heap_format("%s/%s/journal", KEPT, release);
    mw_autofree char *path = mw_heap_format("%s/%s/state.sha256", KEPT, release);
    struct mw_buf kept = mw_heap_buf();
    struct mw_err err = {0};
    state_hash(folder, hash);
    if (getenv("MW_GOLDEN") != NULL) {
        mw_autofree char *line = mw_heap_format("%s\n", hash);
        assert_int_equal(mw_file_replace(AT_FDCWD, path, mw_str_of(line), 0644, &err), MW_OK);
    }
    assert_int_equal(mw_file_read(AT_FDCWD, path, 256, &kept, &err), MW_OK);
    if (!mw_str_is(mw_str_trim(mw_buf_str(&kept)), hash))
        fail_msg("%s: the journal replays to state %s, kept is %.*s", release, hash,
                 MW_STR_ARG(mw_str_trim(mw_buf_str(&kept))));
    mw_heap_buf_free(&kept);
}

static void p13_p16_every_kept_journal_replays_to_its_state(void **state)
{
    DIR *list = opendir(KEPT);
    unsigned releases = 0;
    (void)state;
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.') {
            check_release(entry->d_name);
            releases++;
        }
    (void)closedir(list);
    assert_true(releases > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p13_p16_every_kept_journal_replays_to_its_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
