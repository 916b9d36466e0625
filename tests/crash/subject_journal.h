/* subject_journal.h - what scenarios that stand on the journal share (subject_journal.c), and the blobs' own (subject_blob.c). */
#ifndef MW_CRASH_SUBJECT_JOURNAL_H
#define MW_CRASH_SUBJECT_JOURNAL_H

#include "subject.h"

#include "journal/files.h"
#include "stage/blob.h"

#define SIDE ".millwright"
#define FOLDER SIDE "/journal"

extern const struct mw_journal_options subject_journal_plain;

/* Makes SIDE when it is not there. Returns 0 or SUBJECT_WRONG. */
int subject_journal_side(void);
/* Opens, and says the epoch and what the start met. */
enum mw_rc subject_journal_open(const struct mw_journal_options *options, void **ret_journal,
                                struct mw_journal_opened *ret_opened, struct mw_err *err);
/* One frame of records made from the seed, which name the blob unless it is NULL; acknowledged record by record in one breath. */
enum mw_rc subject_journal_append(void *journal, uint64_t seed, uint32_t count, const char *blob,
                                  struct mw_err *err);
/* Closes; rc is how the life went, err its words. Returns an exit code. */
int subject_journal_end(void *journal, const char *what, enum mw_rc rc, struct mw_err *err);
int subject_journal_recover(void);
/* Of the journal; blobs: every one that a record names is there, NULL: none are named. */
int subject_journal_verify(const struct mw_blobs *blobs, struct mw_str said, char ret_state[65]);
int subject_journal_resume(struct mw_str said);
void subject_put_file(const char *path, const char *bytes, size_t size);
/* A file whose name holds `part` lies in the folder. */
bool subject_folder_has(const char *folder, const char *part);

void subject_blob_prepare(uint64_t seed);
int subject_blob_run(uint64_t seed);
int subject_blob_recover(void);
int subject_blob_verify(struct mw_str said, char ret_state[65]);

#endif
