/*
 * archive_folder.h - private to archive*.c: the archive's folder, its lock and its manifest's file.
 */
#ifndef MW_JOURNAL_ARCHIVE_FOLDER_H
#define MW_JOURNAL_ARCHIVE_FOLDER_H

#include "journal/archive.h"
#include "journal/folder.h"

#define MW_ARCHIVE_UNFINISHED                                                                      \
    "segment.new" /* what a run that ended has left; the next one overwrites it */

/* journalId of record 1's payload. MW_E_MISSING: nothing is recorded. */
MW_MUST enum mw_rc mw_archive_journal_id(const char *journal_dir,
                                         const struct mw_journal_options *options, char ret_id[17],
                                         struct mw_err *err);
/* Where the next segment's frames have to begin. */
struct mw_chain mw_archive_chain_after(const struct mw_manifest_segment *segment);
/* Refuses what is no archive of that journal, then takes the lock and reads the manifest; makes both in a folder that is new or empty. */
MW_MUST enum mw_rc mw_archive_open(struct mw_folder *archive, const char *dir,
                                   const struct mw_journal_sys *sys, const char *journal_id,
                                   int *ret_lock_fd, struct mw_manifest *ret_manifest,
                                   struct mw_err *err);
/* Only reads. MW_E_MISSING: no such folder, or no manifest in it. */
MW_MUST enum mw_rc mw_archive_look(struct mw_folder *archive, const char *dir,
                                   const struct mw_journal_sys *sys,
                                   struct mw_manifest *ret_manifest, struct mw_err *err);
void mw_archive_close(struct mw_folder *archive);
/* The manifest's file becomes this one, durably, and with it the names in the folder. */
MW_MUST enum mw_rc mw_archive_note(const struct mw_folder *archive,
                                   const struct mw_manifest *manifest, struct mw_err *err);

#endif
