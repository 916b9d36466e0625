/*
 * leases.h - a note of the fences that are in workers' hands, for the host after this one.
 *
 * Owns:     .millwright/cache/leases, a page cache that outlives the process and nothing more: after kill -9 the next host knows which tasks
 *           are being worked on and gives their workers time to come back, after a power cut it may not know, and a task may be begun twice.
 *           Its effect is the fence's business either way; of a task that no second worker may begin, the next host asks whether the note is
 *           whole. Deletable at any time.
 * Does not: fail: without the file nothing is remembered.
 */
#ifndef MW_HOST_LEASES_H
#define MW_HOST_LEASES_H

#include "msg/msg.h"
#include "posix/file.h"

#define MW_LEASES_MAX 8192u /* more at once are not noted */

/* The file. Written by one host at a time; read by the next, of the same release or another. */
struct mw_leases_note {
    uint64_t fences[MW_LEASES_MAX]; /* 0: free */
    char boot[MW_BOOT_TEXT];        /* of the machine when it was written */
    uint64_t is_whole;              /* 1: every fence in a worker's hand is among them */
};

struct mw_leases {
    struct mw_leases_note *note; /* mapped; NULL: there is no file */
    uint64_t *fences;            /* the note's; NULL: there is no file */
    uint32_t at;                 /* where the search for a free one goes on */
    uint32_t count;
    uint64_t *before; /* owned, ascending: what the host before this one left */
    uint32_t before_count;
    bool before_was_whole; /* what it did not note, no worker of its had */
    bool missed;           /* one was given and could not be noted */
};

void mw_leases_open(struct mw_leases *leases, int workspace_fd);
/* What the host before had given is noted again, as far as it was known: from now on the note is whole. */
void mw_leases_taken_over(struct mw_leases *leases);
bool mw_leases_was_held(const struct mw_leases *leases, mw_seq fence);
/* The slot, + 1; 0: not noted. */
uint32_t mw_leases_note(struct mw_leases *leases, mw_seq fence);
void mw_leases_forget(struct mw_leases *leases, uint32_t slot);

#endif
