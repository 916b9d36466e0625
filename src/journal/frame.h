/*
 * frame.h - the header line of a frame: writing it, reading it strictly, and the check over header and body.
 *
 * {"frame":K,"format":1,"epoch":E,"first":S,"count":N,"bytes":B,"prev":"<64 hex>","crc32c":"<8 hex>"}\n  then B bytes: N lines.
 * There is one spelling: any other spacing, order or leading zero is not a header. The CRC covers the header up to its own member, and
 * the body; prev is the SHA-256 of the whole previous frame, header line and body, so the next frame (or the head file) covers all of it.
 */
#ifndef MW_JOURNAL_FRAME_H
#define MW_JOURNAL_FRAME_H

#include "port/journal.h"

#define MW_FRAME_HEADER_MAX 320 /* the longest canonical header, with its newline, is shorter */
#define MW_FRAME_HASH_BYTES 32

struct mw_frame {
    uint64_t frame; /* ordinal in the journal, from 1 */
    uint64_t epoch;
    uint64_t first;
    uint64_t count;
    uint64_t bytes;
    uint8_t prev[MW_FRAME_HASH_BYTES];
    uint32_t crc32c;
};

enum mw_frame_read {
    MW_FRAME_OK,
    MW_FRAME_PARTIAL, /* text ends before the header line does */
    MW_FRAME_BAD,
    MW_FRAME_NEWER /* a format that this program does not know */
};

/* Fills crc32c and writes the line. Returns its length. memory: MW_FRAME_HEADER_MAX bytes. */
size_t mw_frame_write(struct mw_frame *frame, struct mw_str body, char *memory);
/* Reads the header at the start of text. *ret_header_bytes: with its newline. */
enum mw_frame_read mw_frame_read(struct mw_str text, struct mw_frame *ret_frame,
                                 size_t *ret_header_bytes);
/* Does the CRC fit? header: the line with its newline. */
bool mw_frame_check(const struct mw_frame *frame, struct mw_str header, struct mw_str body);
/* NULL when lines are exactly count newline-terminated lines that look like objects and not like headers; else what is wrong. */
const char *mw_frame_lines_fault(struct mw_str lines, uint64_t count);
/* True when text holds what can only be a later frame: then what stands before it is damage, not an unfinished tail. */
bool mw_frame_follows(struct mw_str text, uint64_t after_frame);

#endif
