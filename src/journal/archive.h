/*
 * archive.h - copies of a journal's sealed segments in a folder of their own, with a manifest that proves them. docs/journal.md is the format.
 *
 * Owns:     the archive's folder: segments under the journal's names (packed ones end in .gz), the manifest, a lock.
 * Does not: change the journal, or take anything out of it or out of the archive. Sealed segments never change, so a running host is no
 *           hindrance; only one process writes into an archive at a time.
 * Durable:  a segment has its name once its bytes are on the disk, and a line of the manifest once it has its name. Whatever ends a run, the
 *           archive holds what its manifest says, and the next run goes on from there.
 * Errors:   MW_E_DENIED    the folder holds something else, or another journal's archive: nothing was written
 *           MW_E_CORRUPT   the journal is damaged, or is not the one whose segments are in the archive, or the manifest is damaged
 *           MW_E_CONFLICT  another process writes into it
 *           MW_E_FULL      no space: what is there already stays
 *           MW_E_MISSING   the folder's parent, a journal with records, or zlib is not there
 */
#ifndef MW_JOURNAL_ARCHIVE_H
#define MW_JOURNAL_ARCHIVE_H

#include "journal/manifest.h"
#include "journal/scan.h"

#define MW_ARCHIVE_NAME_BYTES (MW_SEGMENT_NAME_BYTES + 3) /* a segment's name, perhaps with .gz */

void mw_archive_name(const struct mw_manifest_segment *segment,
                     char ret_name[MW_ARCHIVE_NAME_BYTES]);

/* Comes after each segment that was stored. */
typedef void (*mw_archive_on_segment)(void *context, const struct mw_manifest_segment *segment);

/* Stores what is sealed and not there yet. dir is made if its parent is there. options: of the journal, NULL: defaults. *ret_manifest: all
 * that is there now; freed with mw_manifest_free. */
MW_MUST enum mw_rc mw_archive_add(const char *journal_dir, const char *dir,
                                  const struct mw_journal_options *options, bool packs,
                                  mw_archive_on_segment on_segment, void *context,
                                  struct mw_manifest *ret_manifest, struct mw_err *err);

/* Begins the journal's next segment, empty, so that the last one is sealed. Under the writer's lock. *ret_sealed false: it was already. */
MW_MUST enum mw_rc mw_archive_seal(const char *journal_dir,
                                   const struct mw_journal_options *options, bool *ret_sealed,
                                   struct mw_err *err);

struct mw_archive_damage {
    bool in_journal; /* the archive's segment is sound, and the journal's is another one */
    char file[MW_ARCHIVE_NAME_BYTES];
    uint64_t offset; /* in the segment's own bytes, unpacked */
    uint64_t seq;    /* the first record that cannot be trusted */
    char what[160];
};
typedef void (*mw_archive_on_damage)(void *context, const struct mw_archive_damage *damage);

/*
 * Every segment of the manifest: there, frame by frame what the manifest says, and the journal's own when journal_dir is not NULL. Every
 * damaged one is told; then the answer is MW_E_CORRUPT and names the first. *ret_manifest: what is there, to be freed; empty when that cannot be
 * told.
 */
MW_MUST enum mw_rc mw_archive_check(const char *dir, const char *journal_dir,
                                    const struct mw_journal_options *options,
                                    mw_archive_on_damage on_damage, void *context,
                                    struct mw_manifest *ret_manifest, struct mw_err *err);

#endif
