/*
 * scan.h - walking the frames of a journal's segments, believing nothing: every frame's CRC, count, position and chain.
 *
 * Owns:     the list of segments, one open descriptor, one buffer that grows to the largest frame.
 * Does not: write, lock, or decide what damage means (files.c and doctor.c do).
 */
#ifndef MW_JOURNAL_SCAN_H
#define MW_JOURNAL_SCAN_H

#include "journal/frame.h"
#include "journal/sys.h"

#define MW_SEGMENT_NAME_BYTES 27 /* twenty digits, ".jsonl", NUL */

struct mw_segments {
    uint64_t *first; /* owned, ascending */
    size_t count;
};

/* Where the chain stands: what the next frame must be. */
struct mw_chain {
    uint64_t next_frame;
    uint64_t next_seq;
    uint64_t epoch;
    uint8_t hash[MW_FRAME_HASH_BYTES]; /* of the last frame; zeros before the first */
};

struct mw_damage {
    uint64_t segment; /* first seq, which is its name */
    uint64_t offset;
    uint64_t seq; /* the first record that cannot be trusted */
    char what[160];
    bool may_be_torn; /* looks like a write that did not finish, and nothing follows it */
};

struct mw_scan_frame {
    struct mw_frame header;
    struct mw_str lines; /* borrowed until the next call */
    struct mw_str whole; /* likewise: header line and lines */
    uint64_t segment;
    uint64_t offset; /* of the header */
    uint64_t end;    /* offset after the frame */
};

enum mw_scan_step { MW_SCAN_FRAME, MW_SCAN_END, MW_SCAN_DAMAGE, MW_SCAN_FAILED };

struct mw_scan {
    const struct mw_journal_sys *sys; /* borrowed */
    int dir_fd;                       /* borrowed */
    struct mw_segments segments;      /* owned */
    size_t index;                     /* of the segment being read; count: none */
    int fd;                           /* owned; -1: not open */
    char *memory;                     /* owned */
    size_t cap;
    size_t start; /* of what is not consumed */
    size_t len;
    uint64_t offset; /* in the segment, of `start` */
    uint64_t segment_frames;
    bool chained; /* false: the first frame found says where the chain stands */
    bool no_hash; /* skip SHA-256: only for reading again what was checked */
    struct mw_chain chain;
    struct mw_damage damage; /* of MW_SCAN_DAMAGE */
};

void mw_segment_name(uint64_t first, char ret_name[MW_SEGMENT_NAME_BYTES]);
/* A *.jsonl that is not a segment's name: MW_E_CORRUPT. */
MW_MUST enum mw_rc mw_segments_list(int dir_fd, struct mw_segments *ret_segments,
                                    struct mw_err *err);
void mw_segments_free(struct mw_segments *segments);

/* from_seq <= 1: from the start, fully chained. Else from the segment that holds from_seq. */
MW_MUST enum mw_rc mw_scan_open(struct mw_scan *scan, const struct mw_journal_sys *sys, int dir_fd,
                                uint64_t from_seq, struct mw_err *err);
/* One segment's file alone, whatever its name, which has to begin where chain stands. fd: owned by the scan. Its end is MW_SCAN_END. */
void mw_scan_file(struct mw_scan *scan, const struct mw_journal_sys *sys, int fd,
                  const struct mw_chain *chain);
/* FAILED: err is set (MW_E_IO, or MW_E_CONFIG for a newer format). After END of the last segment the scan may be asked again. */
enum mw_scan_step mw_scan_next(struct mw_scan *scan, struct mw_scan_frame *ret_frame,
                               struct mw_err *err);
/* Takes back the frame just given, or forgets what was read ahead: the next call reads the file again. chain: as it stood before. */
void mw_scan_rewind(struct mw_scan *scan, const struct mw_chain *chain, uint64_t offset);
/* After END: has the writer begun another segment, or put a fresh copy in this one's place? True: ask again. */
bool mw_scan_extend(struct mw_scan *scan);
void mw_scan_close(struct mw_scan *scan);
/* MW_E_CORRUPT with file, offset, seq and what. */
enum mw_rc mw_damage_fail(const struct mw_damage *damage, struct mw_err *err);
/* The format of the newest segment's first line, before anything is locked or written (P13). err: not NULL. */
MW_MUST enum mw_rc mw_scan_refuse_newer(const struct mw_journal_sys *sys, int dir_fd,
                                        struct mw_err *err);

#endif
