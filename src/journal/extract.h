/*
 * extract.h - walking a journal's frames with the proof of each, for who lists segments or takes records out of it. Without lock.
 */
#ifndef MW_JOURNAL_EXTRACT_H
#define MW_JOURNAL_EXTRACT_H

#include "port/journal.h"

struct mw_journal_frame_info {
    uint64_t frame;
    uint64_t epoch;
    uint64_t first; /* record */
    uint64_t count;
    uint64_t segment; /* its name */
    uint64_t offset;  /* of the header in it */
    uint64_t bytes;   /* header line and records */
    char prev[65];
    char hash[65]; /* SHA-256 of these bytes */
};

typedef enum mw_rc (*mw_journal_on_frame)(void *context, const struct mw_journal_frame_info *frame,
                                          struct mw_str lines, struct mw_err *err);

/* Every whole frame that ends at or before until_seq, from the first on, checked and chained. Damage: MW_E_CORRUPT, after what stands before
 * it was handed over; with UINT64_MAX also when records that were committed are missing at the end. An unfinished last frame is left out. */
MW_MUST enum mw_rc mw_journal_frames(const char *dir, const struct mw_journal_options *options,
                                     uint64_t until_seq, mw_journal_on_frame on_frame,
                                     void *context, struct mw_err *err);
/* How far the journal is settled: with a writer at work what its head says was committed, else UINT64_MAX, for all that is there. */
uint64_t mw_journal_settled(const char *dir, const struct mw_journal_options *options);
/* For who reads up to UINT64_MAX, all that there is: the last record that the head says was committed; 0: none, or it cannot be read. Asked
 * before the records are: a writer at work only adds to them. */
uint64_t mw_journal_committed(const struct mw_journal_options *options, uint64_t until_seq);
/* MW_E_CORRUPT: the records end before what was committed. */
MW_MUST enum mw_rc mw_journal_check_end(uint64_t committed_seq, uint64_t last_seq,
                                        struct mw_err *err);

#endif
