/*
 * snapshot.h - a snapshot's file: a shortened journal, with the place in the journal that it stands for and the digest of the state that it
 * gives. docs/journal.md is the format.
 *
 * Owns:     the file, whole or not there; the proof that its bytes are the ones that were written, and that it belongs to this journal.
 * Does not: choose records or know what a state is (core/keep.c and host/snapshot.c do).
 * A snapshot is a cache: whatever is wrong with it costs time, never a record.
 */
#ifndef MW_JOURNAL_SNAPSHOT_H
#define MW_JOURNAL_SNAPSHOT_H

#include "journal/sys.h"
#include "port/journal.h"
#include "posix/file.h"

#define MW_SNAPSHOT_FORMAT 1
#define MW_SNAPSHOT_HEADER_BYTES 1024
#define MW_SNAPSHOT_BYTES_MAX ((size_t)4 << 30)
#define MW_SNAPSHOT_NAME_BYTES 36 /* "snapshot-", twenty digits, ".jsonl", NUL */

/* Where a whole frame lies and ends. */
struct mw_journal_position {
    uint64_t seq; /* last record of it; 0: an empty journal */
    uint64_t frame;
    uint64_t epoch;
    uint64_t segment;
    uint64_t offset; /* of its header in the segment */
    uint8_t hash[32];
};

struct mw_snapshot {
    struct mw_journal_position at;
    char journal[17]; /* the journal's id */
    char made_by[65]; /* the build that chose the records: another one may need others */
    uint64_t records; /* lines */
    uint64_t bytes;   /* of the lines */
    char body[65];    /* SHA-256 of the lines */
    char state[65];   /* of the state that they give */
    char left[65];    /* of what that leaves out (core.h) */
};

/* The last whole frame that ends at or before until_seq. Without lock. MW_E_MISSING: nothing is recorded. */
MW_MUST enum mw_rc mw_journal_position(const char *dir, const struct mw_journal_options *options,
                                       uint64_t until_seq, struct mw_journal_position *ret_position,
                                       struct mw_err *err);

/* ---- writing ---- */

struct mw_snapshot_writer {
    const struct mw_journal_sys *sys; /* borrowed */
    int dir_fd;                       /* borrowed: the folder of snapshots */
    int fd;                           /* owned; locked: one writer at a time */
    struct mw_buf buf;                /* owned */
    struct mw_sha256 sha;             /* owned */
    uint64_t offset;
    uint64_t records;
};

/* MW_E_CONFLICT: another one is being written now. sys: NULL is the real system. */
MW_MUST enum mw_rc mw_snapshot_begin(struct mw_snapshot_writer *writer,
                                     const struct mw_journal_sys *sys, int dir_fd,
                                     struct mw_err *err);
/* left: only what the record left behind counts. */
MW_MUST enum mw_rc mw_snapshot_add(struct mw_snapshot_writer *writer, struct mw_str line, bool left,
                                   struct mw_err *err);
/* The header, and everything durable, under a name that no reader takes. Fills records, bytes and body. */
MW_MUST enum mw_rc mw_snapshot_seal(struct mw_snapshot_writer *writer, struct mw_snapshot *snapshot,
                                    struct mw_err *err);
/* Puts the sealed file in its place, durably, and removes older snapshots. Ends the writer either way. */
MW_MUST enum mw_rc mw_snapshot_commit(struct mw_snapshot_writer *writer,
                                      const struct mw_snapshot *snapshot, struct mw_err *err);
void mw_snapshot_abandon(struct mw_snapshot_writer *writer);

/* ---- reading ---- */

#define MW_SNAPSHOT_UNFINISHED "snapshot.new" /* what seal leaves and commit renames */

void mw_snapshot_name(uint64_t seq, char ret_name[MW_SNAPSHOT_NAME_BYTES]);
/* The newest one's name by its number. MW_E_MISSING: there is none. */
MW_MUST enum mw_rc mw_snapshot_newest(int dir_fd, char ret_name[MW_SNAPSHOT_NAME_BYTES],
                                      struct mw_err *err);
/* Appends the file to file (a heap buf) and checks every byte of it. MW_E_CORRUPT says what is wrong. */
MW_MUST enum mw_rc mw_snapshot_read(int dir_fd, const char *name, struct mw_snapshot *ret_snapshot,
                                    struct mw_buf *file, struct mw_err *err);
/* The same of bytes that are at hand; name is for the words of the error. */
MW_MUST enum mw_rc mw_snapshot_check(struct mw_str file, const char *name,
                                     struct mw_snapshot *ret_snapshot, struct mw_err *err);
/* Is its place in the journal what the journal has there? MW_E_CONFLICT: it is of another one, or ahead of this one. */
MW_MUST enum mw_rc mw_snapshot_belongs(const char *dir, const struct mw_journal_options *options,
                                       const struct mw_snapshot *snapshot, struct mw_err *err);
typedef enum mw_rc (*mw_snapshot_on_line)(void *context, struct mw_str line, bool left,
                                          struct mw_err *err);
/* Hands over the lines of a file that mw_snapshot_read has checked. Anything but MW_OK ends it and is passed on. */
MW_MUST enum mw_rc mw_snapshot_each(struct mw_str file, mw_snapshot_on_line on_line, void *context,
                                    struct mw_err *err);

#endif
