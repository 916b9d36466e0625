/*
 * folder.h - what a writer, a check and a repair do alike with a journal's folder: open it, scan all of it, and write things afresh.
 */
#ifndef MW_JOURNAL_FOLDER_H
#define MW_JOURNAL_FOLDER_H

#include "journal/head.h"

struct mw_folder {
    const struct mw_journal_sys *sys; /* borrowed */
    int dir_fd;                       /* owned */
    int side_fd;                      /* owned */
};

/* What a scan of everything found. */
struct mw_survey {
    struct mw_chain chain; /* after the last good frame */
    uint64_t frames;
    uint64_t records;
    uint64_t segments;
    uint64_t bytes;        /* of good frames */
    uint64_t tail_segment; /* the last one's name; 0: none */
    uint64_t tail_bytes;   /* good bytes in it */
    uint64_t tail_size;    /* all bytes in it */
    bool damaged;
    struct mw_damage damage; /* where the good frames end */
    struct mw_head head;
    enum mw_journal_head head_state;
    bool head_ahead; /* acknowledged records are missing, or not the ones that were acknowledged */
    struct mw_damage ahead; /* which */
};

/* create: makes the folder, durably. Not there: MW_E_MISSING. */
MW_MUST enum mw_rc mw_folder_open(struct mw_folder *folder, const char *dir, const char *side_dir,
                                  const struct mw_journal_sys *sys, bool create,
                                  struct mw_err *err);
/* For who only looks, as options say (may be NULL): nothing is made. */
MW_MUST enum mw_rc mw_folder_look(struct mw_folder *folder, const char *dir,
                                  const struct mw_journal_options *options, struct mw_err *err);
void mw_folder_close(struct mw_folder *folder);

/* Reads and checks every frame, and the head against them. Damage is a finding, not a failure. err: not NULL. */
MW_MUST enum mw_rc mw_survey(const struct mw_folder *folder, struct mw_survey *ret_survey,
                             struct mw_err *err);
/* The same, and on_record (may be NULL) is handed the records of every good frame; what it refuses is a failure. */
MW_MUST enum mw_rc mw_survey_each(const struct mw_folder *folder, mw_journal_on_record on_record,
                                  void *context, struct mw_survey *ret_survey, struct mw_err *err);

/* What is wrong, and worse than an unfinished end; NULL: nothing is. Borrowed from the survey. */
const struct mw_damage *mw_survey_fault(const struct mw_survey *survey);

/* Copies [from, to) of a file of the journal's folder into a new file there, durably. replace: over an old one of that name; the name is not synced then. */
MW_MUST enum mw_rc mw_folder_copy(const struct mw_folder *folder, const char *from_name,
                                  uint64_t from, uint64_t to, const char *to_name, bool replace,
                                  struct mw_err *err);
/* The segment's first `bytes` bytes become the segment: same bytes on fresh blocks, synced, renamed over, folder synced (P02). *ret_in_place
 * (may be NULL): true when there was no room for that and they were written over themselves. */
MW_MUST enum mw_rc mw_folder_refresh(const struct mw_folder *folder, uint64_t segment,
                                     uint64_t bytes, bool *ret_in_place, struct mw_err *err);
/* A name of the form <segment>.jsonl.<suffix>[.N] that is not taken. */
void mw_folder_aside_name(const struct mw_folder *folder, uint64_t segment, const char *suffix,
                          char ret_name[MW_JOURNAL_PATH_MAX]);
/* Both lines of the head, synced. */
MW_MUST enum mw_rc mw_folder_put_head(const struct mw_folder *folder, int head_fd,
                                      const struct mw_head *head, struct mw_err *err);
/* Every byte or an error by errno; a short write that stays short is ENOSPC. */
MW_MUST enum mw_rc mw_folder_write(const struct mw_folder *folder, int fd, struct mw_str bytes,
                                   uint64_t offset, const char *what, struct mw_err *err);

#endif
