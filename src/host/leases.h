/*
 * leases.h - a note of the fences that are in workers' hands, for the host after this one.
 *
 * Owns:     .millwright/cache/leases, a page cache that outlives the process and nothing more: after kill -9 the next host knows which tasks
 *           are being worked on and gives their workers time to come back, after a power cut it may not know, and a task may be begun twice.
 *           Its effect is the fence's business either way. Deletable at any time.
 * Does not: fail: without the file nothing is remembered.
 */
#ifndef MW_HOST_LEASES_H
#define MW_HOST_LEASES_H

#include "msg/msg.h"

#define MW_LEASES_MAX 8192u /* more at once are not noted */

struct mw_leases {
    uint64_t *fences; /* mapped, MW_LEASES_MAX of them, 0: free; NULL: there is no file */
    uint32_t at;      /* where the search for a free one goes on */
    uint32_t count;
    uint64_t *before; /* owned, ascending: what the host before this one left */
    uint32_t before_count;
};

void mw_leases_open(struct mw_leases *leases, int workspace_fd);
bool mw_leases_was_held(const struct mw_leases *leases, mw_seq fence);
/* The slot, + 1; 0: not noted. */
uint32_t mw_leases_note(struct mw_leases *leases, mw_seq fence);
void mw_leases_forget(struct mw_leases *leases, uint32_t slot);

#endif
