/*
 * port/journal.h - append and read records. The only truth.
 *
 * Owns:     order (the sequence number, from 1, without gaps), durability, the proof that nothing was lost or changed.
 * Does not: look into a record, number records, decide, retry, or log.
 * Threads:  the calls on one journal come from one thread at a time; a reader is its own object and may run beside the writer.
 * Errors:   MW_E_CONFLICT  somebody else holds the journal, or wrote past the expected position: reload or leave (P11)
 *           MW_E_FULL      no space; the frame was taken back, the reserve is released, the journal stays usable (P10)
 *           MW_E_IO        the disk failed; latched: every later append answers the same, for ever (P02)
 *           MW_E_CORRUPT   the data is damaged: file, offset, seq and what are in err's text; nothing was written (P03, P04)
 *           MW_E_CONFIG    written by a newer format: nothing was written (P13)
 *           MW_E_DENIED    the file system or this handle is read-only
 *           MW_E_INPUT, MW_E_LIMIT  the lines handed over are not `count` JSON lines, or too many: nothing was written
 */
#ifndef MW_PORT_JOURNAL_H
#define MW_PORT_JOURNAL_H

#include "base/str.h"

#define MW_JOURNAL_FORMAT 1
#define MW_JOURNAL_SEGMENT_BYTES (64u << 20)    /* default of segment_bytes */
#define MW_JOURNAL_FRAME_BYTES_MAX (64u << 20)  /* the lines of one frame */
#define MW_JOURNAL_FRAME_RECORDS_MAX (1u << 20) /* records of one frame */
#define MW_JOURNAL_RESERVE_BYTES (1u << 20)     /* default of reserve_bytes */
#define MW_JOURNAL_PATH_MAX 256

struct mw_journal_sys; /* journal/sys.h: the system calls, replaced by tests */

/* line: without its newline, borrowed for the call. Anything but MW_OK ends the reading and is passed on. */
typedef enum mw_rc (*mw_journal_on_record)(void *context, uint64_t seq, struct mw_str line,
                                           struct mw_err *err);

struct mw_journal_options {
    uint64_t segment_bytes; /* a segment is sealed before it grows past this; 0: default */
    uint64_t reserve_bytes; /* kept free for results, cancels and shutdown; 0: default */
    /* Where head, lock and reserve lie (borrowed); NULL: the journal's folder. */
    const char *side_dir;
    bool read_only;   /* no lock, nothing is written; a torn tail is left out and reported */
    bool verify_only; /* like read_only, but under the writer's lock */
    const struct mw_journal_sys *sys; /* borrowed; NULL: the real system */
    bool
        check_later; /* open only takes the lock; `check` does the rest, perhaps on another thread, and until then nothing else may be asked */
    /*
     * One pass for check and replay; all borrowed until open (or check) returns, NULL: not wanted. on_record is handed every record of every
     * frame that was found good, in order; on_checked comes once after the last. Both before anything is written, and what they refuse
     * ends the opening. When it fails for another reason later, what was handed over is void.
     */
    mw_journal_on_record on_record;
    enum mw_rc (*on_checked)(void *context, struct mw_err *err);
    void *context;
};

enum mw_journal_head {
    MW_JOURNAL_HEAD_ABSENT, /* never written, or a journal that was copied without it: cuts at a frame's border are not seen */
    MW_JOURNAL_HEAD_DAMAGED,
    MW_JOURNAL_HEAD_BEHIND, /* the journal is ahead: a power cut lost the last head, no record */
    MW_JOURNAL_HEAD_EQUAL
};

/* What open found and did. */
struct mw_journal_opened {
    uint64_t epoch;    /* this writer's; 0 when read-only */
    uint64_t last_seq; /* 0: empty */
    uint64_t frames;
    uint64_t segments;
    uint64_t bytes;
    uint64_t torn_bytes; /* an unfinished last frame that was cut off: never acknowledged */
    /* Where the torn bytes are kept, in the journal's folder; empty when read-only or none. */
    char torn_file[MW_JOURNAL_PATH_MAX];
    /* The last segment was written afresh: the page cache is not believed after an unclean end. */
    bool copied;
    bool in_place; /* for want of room it was written over itself, not copied */
    enum mw_journal_head head;
};

struct mw_journal_stats {
    uint64_t last_seq; /* durable */
    uint64_t epoch;
    uint64_t bytes; /* of all segments */
    uint64_t frames;
    uint64_t segments;
    uint64_t appends; /* by this handle, as are the next three */
    uint64_t file_syncs;
    uint64_t folder_syncs;
    uint64_t head_syncs;
    bool reserve_held; /* false: full mode, refuse new work until reserve_restore succeeds */
    bool latched;      /* MW_E_IO for ever */
};

struct mw_journal_ops {
    const char *name;

    /* Takes the lock, checks every frame, recovers. options may be NULL. *ret_self is closed with close. */
    enum mw_rc (*open)(const char *dir, const struct mw_journal_options *options, void **ret_self,
                       struct mw_journal_opened *ret_opened, struct mw_err *err);
    /* After an open with check_later, once. A failure leaves a journal that can only be closed. */
    enum mw_rc (*check)(void *self, struct mw_journal_opened *ret_opened, struct mw_err *err);

    /*
     * One frame: `count` newline-terminated JSON objects, the first being record expected_first_seq. MW_OK: durable, file and folder (P01).
     * MW_E_FULL: nothing was recorded, the reserve is released; the same call may be tried again at once.
     * A refusal (INPUT, LIMIT, CONFLICT by position) changes nothing.
     */
    enum mw_rc (*append)(void *self, uint64_t expected_first_seq, uint32_t count,
                         struct mw_str lines, struct mw_err *err);

    /* Every durable record from from_seq on, in order. For the replay at start. */
    enum mw_rc (*read)(void *self, uint64_t from_seq, mw_journal_on_record on_record, void *context,
                       struct mw_err *err);

    /* Makes the position sidecar durable if it is not. append does it by itself once a second; call it when going idle. */
    enum mw_rc (*sync_head)(void *self, struct mw_err *err);

    /* Full mode. release is done by append as well; restore gives MW_E_FULL while there is no room. Both are idempotent. */
    enum mw_rc (*reserve_release)(void *self, struct mw_err *err);
    enum mw_rc (*reserve_restore)(void *self, struct mw_err *err);

    uint64_t (*last_seq)(const void *self);
    uint64_t (*epoch)(const void *self);
    void (*stats)(const void *self, struct mw_journal_stats *ret_stats);

    /* From here on close leaves the lock to the end of the process: whose threads still work beside the journal lets nobody else begin (P11). */
    void (*keep_lock)(void *self);
    /* Head synced, lock released. self may be NULL; it is gone afterwards whatever the answer. */
    enum mw_rc (*close)(void *self, struct mw_err *err);

    /*
     * A reader beside a running writer (another thread or process), without lock. reader_read hands over the records after the last one
     * handed over, up to and including until_seq; UINT64_MAX: up to the last whole frame that can be seen (offline; an unfinished tail is
     * left alone). *ret_next_seq: where the next call begins. It never gives a record of a frame that is past until_seq.
     */
    enum mw_rc (*reader_open)(const char *dir, const struct mw_journal_options *options,
                              uint64_t from_seq, void **ret_reader, struct mw_err *err);
    enum mw_rc (*reader_read)(void *reader, uint64_t until_seq, mw_journal_on_record on_record,
                              void *context, uint64_t *ret_next_seq, struct mw_err *err);
    void (*reader_close)(void *reader); /* reader may be NULL */
};

#endif
