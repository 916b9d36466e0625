#include "host/offline.h"
#include "host/snapshot.h"
#include "posix/heap.h"

#include <stdio.h>
#include <string.h>

/* JR-18: the journal alone gives the state again: no definitions, no documents, nobody who could be asked. */

struct replay {
    struct mw_core core;
    const struct mw_snapshot *snapshot; /* NULL: there is none to compare with */
    bool agrees;
};

static enum mw_rc on_line(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct replay *replay = context;
    char state[MW_SHA256_HEX], left[MW_SHA256_HEX];
    enum mw_rc rc = mw_core_replay(&replay->core, line, err);
    if (rc == MW_OK && replay->snapshot != NULL && replay->snapshot->at.seq == seq) {
        mw_core_digest(&replay->core, state);
        mw_core_left_digest(&replay->core, left);
        replay->agrees = strcmp(state, replay->snapshot->state) == 0 &&
                         strcmp(left, replay->snapshot->left) == 0;
    }
    return rc;
}

/* Is there a snapshot, would a start use it, and does it give what it says? */
static void look_at_snapshot(const char *workspace, struct mw_snapshot *snapshot,
                             struct mw_offline_snapshot *found)
{
    struct mw_core core;
    struct mw_err err = {0};
    struct mw_buf file = mw_heap_buf();
    *snapshot = (struct mw_snapshot){0};
    enum mw_rc rc = mw_snapshot_find(workspace, snapshot, &file, &err);
    found->found = rc != MW_E_MISSING;
    if (rc == MW_OK) {
        mw_offline_core_open(&core);
        rc = mw_snapshot_load(&core, snapshot, mw_buf_str(&file), &err);
        mw_offline_core_close(&core);
    }
    mw_heap_buf_free(&file);
    found->usable = rc == MW_OK;
    found->seq = snapshot->at.seq;
    found->records = snapshot->records;
    (void)snprintf(found->why, sizeof found->why, "%.*s", (int)sizeof found->why - 1,
                   found->found ? err.text : "");
}

enum mw_rc mw_offline_state(const char *workspace, char ret_sha256[65], uint64_t *ret_seq,
                            struct mw_offline_snapshot *ret_snapshot, struct mw_err *err)
{
    struct replay replay = {.snapshot = NULL};
    struct mw_snapshot snapshot;
    struct mw_offline_snapshot found = {0};
    look_at_snapshot(workspace, &snapshot, &found);
    if (found.usable)
        replay.snapshot = &snapshot;
    mw_offline_core_open(&replay.core);
    enum mw_rc rc = mw_offline_journal(workspace, on_line, &replay, err);
    if (rc == MW_OK) {
        mw_core_digest(&replay.core, ret_sha256);
        *ret_seq = replay.core.world.last_seq;
        found.agrees = replay.agrees;
        *ret_snapshot = found;
    }
    mw_offline_core_close(&replay.core);
    return rc;
}
