/*
 * head.h - the position sidecar (P04): the last committed (seq, hash), so that a journal cut at a frame's border is noticed.
 *
 * Two lines of 512 bytes, written in turns, so that a torn write spoils one of them at most. Each is a JSON object padded with blanks.
 */
#ifndef MW_JOURNAL_HEAD_H
#define MW_JOURNAL_HEAD_H

#include "journal/scan.h"

#define MW_HEAD_FILE "head"
#define MW_HEAD_LINE_BYTES 512

struct mw_head {
    uint64_t seq; /* 0: an empty journal */
    uint64_t frame;
    uint64_t segment;
    uint64_t bytes; /* of the segment, after the frame */
    bool
        clean; /* closed in order: every sync up to here succeeded and nothing was written after it */
    uint8_t hash[MW_FRAME_HASH_BYTES];
};

void mw_head_write(const struct mw_head *head, char ret_line[MW_HEAD_LINE_BYTES]);
/* The newer of the two lines. *ret_state: ABSENT, DAMAGED or EQUAL (meaning: read). Only a failing disk is an error. */
MW_MUST enum mw_rc mw_head_read(const struct mw_journal_sys *sys, int side_fd,
                                struct mw_head *ret_head, enum mw_journal_head *ret_state,
                                struct mw_err *err);

#endif
