/*
 * doctor.h - the offline verbs over a journal on files: verify says what is there, repair cuts at the first damage and keeps the rest.
 *
 * Does not: invent, reorder or drop a record. What is cut off stays beside the segments, and is said before it is done.
 */
#ifndef MW_JOURNAL_DOCTOR_H
#define MW_JOURNAL_DOCTOR_H

#include "port/journal.h"

typedef void (*mw_journal_say)(void *context, const char *line);

struct mw_journal_report {
    uint64_t segments;
    uint64_t frames;
    uint64_t records;
    uint64_t bytes;    /* of good frames */
    uint64_t last_seq; /* of the last good frame */
    uint64_t epoch;    /* likewise */
    char hash
        [65]; /* likewise: SHA-256, hex; with last_seq it is what may be exported and compared (P04) */
    enum mw_journal_head head;
    uint64_t head_seq;
    bool torn;    /* an unfinished last frame, which the next start cuts off by itself */
    bool damaged; /* the next start will refuse; what follows says where */
    uint64_t segment;
    uint64_t offset;
    uint64_t seq;
    char what[160];
};

/* Without lock, nothing is written. Damage: MW_E_CORRUPT, with the report filled all the same. say may be NULL. */
MW_MUST enum mw_rc mw_journal_verify(const char *dir, const struct mw_journal_options *options,
                                     mw_journal_say say, void *context,
                                     struct mw_journal_report *ret_report, struct mw_err *err);

/*
 * Under the lock. Keeps every frame before the first damage, moves all that follows aside, sets the head to what is left. Each step is said
 * before it is done; with dry_run it is only said. A sound journal is left as it is.
 */
MW_MUST enum mw_rc mw_journal_repair(const char *dir, const struct mw_journal_options *options,
                                     bool dry_run, mw_journal_say say, void *context,
                                     struct mw_err *err);

#endif
