/*
 * snapshot.h - snapshots of a workspace: shortened journals in .millwright/cache that a start may begin from (architecture 6).
 *
 * Owns:     which records go in (by core/keep.c), the check that they give the same state, when a host has one made.
 * Does not: ever stand for the journal: whatever is wrong with a snapshot, the whole journal is replayed, and the log says so.
 */
#ifndef MW_HOST_SNAPSHOT_H
#define MW_HOST_SNAPSHOT_H

#include "core/core.h"
#include "journal/snapshot.h"

/* A core of its own that asks nobody anything; for replays. */
void mw_offline_core_open(struct mw_core *core);
void mw_offline_core_close(struct mw_core *core);
/* SHA-256 of mw_core_dump and of mw_core_dump_left. */
void mw_core_digest(const struct mw_core *core, char ret_sha256[MW_SHA256_HEX]);
void mw_core_left_digest(const struct mw_core *core, char ret_sha256[MW_SHA256_HEX]);

/* The newest snapshot, read and checked: its bytes, the build that made it, its place in the journal. MW_E_MISSING: there is none. Else the
 * error says why it cannot be used; *ret_snapshot is filled when its header could be read. file: heap buf, appended. */
MW_MUST enum mw_rc mw_snapshot_find(const char *workspace, struct mw_snapshot *ret_snapshot,
                                    struct mw_buf *file, struct mw_err *err);
/* Into a fresh core. MW_E_CORRUPT: it does not give the state that its header names; the core is of no use then. */
MW_MUST enum mw_rc mw_snapshot_load(struct mw_core *core, const struct mw_snapshot *snapshot,
                                    struct mw_str file, struct mw_err *err);
/*
 * Makes one of the records up to the last whole frame at or before until_seq, beside a running host, and proves it by loading it. Several
 * passes over the journal since the last snapshot; memory of one core at a time. *ret_made false: there is one for this very place.
 */
MW_MUST enum mw_rc mw_snapshot_make(const char *workspace, uint64_t until_seq,
                                    struct mw_snapshot *ret_snapshot, bool *ret_made,
                                    struct mw_err *err);
/* `millwright __snapshot WORKSPACE SEQ`: mw_snapshot_make when nothing else wants the processor; ends with the host that started it. */
int mw_snapshot_main(int argc, char **argv);

#endif
