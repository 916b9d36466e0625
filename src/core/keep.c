#include "core/internal.h"

/* A shortened journal: what of a record is still needed once later records are known. */

enum mw_kept mw_core_keeps(const struct mw_core *core, const struct mw_event *event,
                           uint8_t *queue_seen)
{
    MW_ASSERT(event->seq <= core->world.last_seq);
    uint32_t queue = mw_work_queue_of(&core->work, event);
    bool first_of_queue = queue != 0 && queue <= MW_KEEP_QUEUES_MAX && !queue_seen[queue - 1];
    if (first_of_queue)
        queue_seen[queue - 1] = 1;
    if (mw_event_info(event->kind)->lives == MW_LIVES_KEEP ||
        mw_world_trace(&core->world, event->trace) != NULL)
        return MW_KEPT_WHOLE;
    const struct mw_remembered *known =
        event->request_hash.len > 0 ? mw_remembered_find(core, event->causation_id) : NULL;
    bool tells_window = event->seq == core->forgotten_seq; /* it has to make room once more */
    return first_of_queue || tells_window || (known != NULL && known->seq == event->seq)
               ? MW_KEPT_LEFT
               : MW_KEPT_NOT;
}

enum mw_rc mw_core_replay_kept(struct mw_core *core, struct mw_str line, enum mw_kept kept,
                               struct mw_err *err)
{
    struct mw_event event;
    MW_ASSERT(kept != MW_KEPT_NOT);
    mw_arena_reset(&core->arena);
    mw_core_forget_changes(core);
    enum mw_rc rc = mw_event_read(&core->arena, line, &event, err);
    if (rc != MW_OK)
        return rc;
    if (event.seq <= core->world.last_seq)
        return MW_FAIL(err, MW_E_CORRUPT, "record %lu follows record %lu", (unsigned long)event.seq,
                       (unsigned long)core->world.last_seq);
    core->world.last_seq = event.seq - 1;
    if (kept == MW_KEPT_WHOLE) {
        mw_core_apply(core, &event);
        return MW_OK;
    }
    core->world.last_seq = event.seq;
    if (event.request_hash.len > 0)
        mw_remember(core, &event);
    mw_work_name_queue(&core->world, &core->work, &event);
    return MW_OK;
}

void mw_core_replay_skip(struct mw_core *core, mw_seq last_seq)
{
    MW_ASSERT(last_seq >= core->world.last_seq);
    core->world.last_seq = last_seq;
}
