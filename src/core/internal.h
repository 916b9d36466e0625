/*
 * internal.h - between the files of this room only.
 */
#ifndef MW_CORE_INTERNAL_H
#define MW_CORE_INTERNAL_H

#include "core/core.h"

/* trace.c: what core itself decides and applies. */
void mw_trace_decide(const struct mw_core *core, const struct mw_request *request,
                     struct mw_out *out);
void mw_trace_apply(struct mw_core *core, const struct mw_event *event);
/* apply.c: one event into the state, asks included. */
void mw_core_apply(struct mw_core *core, const struct mw_event *event);
/* Before a step or a replayed record: what the one before it did to asks has been read. */
void mw_core_forget_changes(struct mw_core *core);
/* The item an event is about, also when the event made it; 0: none. */
mw_seq mw_core_item_of(const struct mw_core *core, const struct mw_event *event);
/* remember.c */
const struct mw_remembered *mw_remembered_find(const struct mw_core *core,
                                               struct mw_str message_id);
/* By its place in the ring; NULL: nothing was ever there. */
struct mw_remembered *mw_remembered_at(const struct mw_core *core, uint32_t index);
/* What the caller was told, also when the trace has ended since. */
struct mw_str mw_remembered_trace_id(struct mw_core *core, const struct mw_remembered *known);
void mw_remember(struct mw_core *core, const struct mw_event *event);
/* Its step is over: how many records it made. Replay takes that from the first of them. */
void mw_remember_records(struct mw_core *core, struct mw_str message_id, uint32_t count);
/* A UUIDv7 that says it is older than the window's seven days. */
bool mw_message_id_is_old(struct mw_str message_id, int64_t now_us);
/* A UUIDv7, not remembered, that says it is not newer than one that had to make room: nobody knows whether it was done. */
bool mw_message_id_is_behind(const struct mw_core *core, struct mw_str message_id, int64_t now_us);

#endif
