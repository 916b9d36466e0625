/*
 * archive_rig.h - a journal of several segments and an archive of it, for the tests that disturb them.
 */
#ifndef MW_ARCHIVE_RIG_H
#define MW_ARCHIVE_RIG_H

#include "journal/archive.h"
#include "journal_rig.h"
#include "posix/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>

#include <cmocka.h>

#define ID "c0ffee"

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_quick};
static const struct mw_journal_options rigged = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_sys};
static char base[64], journal_dir[80], archive_dir[80];
static uint64_t told; /* the last record of what was told stored */

/* ---- a journal of several segments ---- */

/* Appends frames until there are `segments`; the first record names the journal. */
static inline void grow_journal(const char *dir, const char *first_line, int segments)
{
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    struct mw_err err;
    void *journal;
    assert_int_equal(ops->open(dir, &quick, &journal, &opened, &err), MW_OK);
    ops->stats(journal, &stats);
    if (ops->last_seq(journal) == 0)
        assert_int_equal(ops->append(journal, 1, 1, mw_str_of(first_line), &err), MW_OK);
    while (ops->stats(journal, &stats), stats.segments < (uint64_t)segments)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1,
                                    1 + (uint32_t)ops->last_seq(journal) % 3, &err),
                         MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static inline void remove_archive(void)
{
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, archive_dir, &err), MW_OK);
}

static inline void begin_anew(const char *first_line, int segments)
{
    if (base[0] == '\0') {
        rig_new_dir(base);
        (void)snprintf(journal_dir, sizeof journal_dir, "%s/journal", base);
        (void)snprintf(archive_dir, sizeof archive_dir, "%s/archive", base);
    }
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, journal_dir, &err), MW_OK);
    remove_archive();
    told = 0;
    grow_journal(journal_dir, first_line, segments);
}

#define FIRST "{\"seq\":1,\"payload\":{\"journalId\":\"" ID "\"}}\n"

static inline void note_told(void *context, const struct mw_manifest_segment *segment)
{
    (void)context;
    assert_int_equal(segment->first, told + 1);
    told = segment->last;
    rig_ack(told);
}

static inline void note_damage(void *context, const struct mw_archive_damage *damage)
{
    struct mw_archive_damage *last = context;
    *last = *damage;
}

static inline enum mw_rc add(const struct mw_journal_options *options, bool packs,
                             struct mw_err *err)
{
    struct mw_manifest manifest;
    enum mw_rc rc =
        mw_archive_add(journal_dir, archive_dir, options, packs, note_told, NULL, &manifest, err);
    if (rc != MW_OK)
        return rc;
    assert_string_equal(manifest.journal, ID);
    mw_manifest_free(&manifest);
    return MW_OK;
}

/* Without faults: a sound archive, of the journal, with all that was told stored. *ret_last: its last record. */
static inline enum mw_rc check_of(const char *dir, uint64_t *ret_last, struct mw_err *err)
{
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    enum mw_rc rc =
        mw_archive_check(dir, journal_dir, &quick, note_damage, &damage, &manifest, err);
    *ret_last = 0;
    if (rc != MW_OK && rc != MW_E_CORRUPT)
        return rc;
    if (manifest.count > 0)
        *ret_last = manifest.segments[manifest.count - 1].last;
    mw_manifest_free(&manifest);
    return rc;
}

static inline uint64_t sealed_last(void)
{
    int fd = open(journal_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_segments segments;
    struct mw_err err;
    assert_int_equal(mw_segments_list(fd, &segments, &err), MW_OK);
    uint64_t last = segments.count > 1 ? segments.first[segments.count - 1] - 1 : 0;
    mw_segments_free(&segments);
    (void)close(fd);
    return last;
}

static inline int end_archives(void **state)
{
    struct mw_err err;
    (void)state;
    return base[0] != '\0' && mw_remove_tree(AT_FDCWD, base, &err) != MW_OK;
}

#endif
