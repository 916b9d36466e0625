#include "core/internal.h"

#include <string.h>

static void close_ask(struct mw_core *core, mw_seq seq);
static void open_ask(struct mw_core *core, const struct mw_event *event, mw_seq item);
static void close_trace_asks(struct mw_core *core, mw_seq trace);

mw_seq mw_core_item_of(const struct mw_core *core, const struct mw_event *event)
{
    if (event->item != 0)
        return event->item;
    return mw_world_item(&core->world, event->seq) != NULL ? event->seq : 0;
}

void mw_core_apply(struct mw_core *core, const struct mw_event *event)
{
    const struct mw_event_info *info = mw_event_info(event->kind);
    MW_ASSERT(event->seq == core->world.last_seq + 1);
    core->world.last_seq = event->seq;
    const struct mw_item *before = mw_world_item(&core->world, event->item);
    if (info->closes == MW_CLOSES_TRACE)
        close_trace_asks(core, event->trace);
    else if (info->closes != MW_CLOSES_NONE && before != NULL)
        close_ask(core, before->ask);
    else if (info->closes == MW_CLOSES_ASK && before == NULL)
        close_ask(core, event->fence);
    switch (info->owner) {
    case MW_ROOM_CORE:
        mw_trace_apply(core, event);
        break;
    case MW_ROOM_SESSION:
        mw_session_apply(&core->world, &core->session, event);
        break;
    case MW_ROOM_WORKFLOW:
        mw_workflow_apply(&core->world, &core->memory, event);
        break;
    case MW_ROOM_REFINE:
        mw_refine_apply(&core->world, event);
        break;
    case MW_ROOM_WORK:
        mw_work_apply(&core->world, &core->work, event);
        break;
    case MW_ROOM_OWNER:
        MW_UNREACHABLE("no event is applied by its owner");
    }
    if (event->kind == MW_EVT_TASK_RESULT && event->document > 0) {
        struct mw_trace *trace = mw_world_trace(&core->world, event->trace);
        mw_trace_set_document_sha256(&core->world, trace, (uint32_t)event->document,
                                     event->body_sha256);
    }
    if (event->request_hash.len > 0)
        mw_remember(core, event); /* now that there is a trace whose name it can share */
    if (info->opens != MW_OPENS_NONE)
        open_ask(core, event, mw_core_item_of(core, event));
}

static void make_changes(struct mw_core *core, uint32_t cap)
{
    struct mw_ask_change *changes = mw_mem_alloc(&core->world.mem, cap * sizeof(*changes));
    if (core->ask_change_count > 0)
        memcpy(changes, core->ask_changes, core->ask_change_count * sizeof(*changes));
    mw_mem_free(&core->world.mem, core->ask_changes,
                core->ask_change_cap * sizeof(*core->ask_changes));
    core->ask_changes = changes;
    core->ask_change_cap = cap;
}

void mw_core_forget_changes(struct mw_core *core)
{
    core->ask_change_count = 0;
    if (core->ask_change_cap != MW_ASK_CHANGES)
        make_changes(core, MW_ASK_CHANGES);
}

/* The records of a step are bounded, and each opens and closes one; but the one that cancels a trace closes all that it has. */
static void tell_change(struct mw_core *core, mw_seq seq, bool opened)
{
    if (core->ask_change_count == core->ask_change_cap)
        make_changes(core, core->ask_change_cap * 2);
    core->ask_changes[core->ask_change_count++] = (struct mw_ask_change){seq, opened};
}

static void open_ask(struct mw_core *core, const struct mw_event *event, mw_seq item)
{
    const struct mw_event_info *info = mw_event_info(event->kind);
    if (info->opens == MW_OPENS_TIMER && event->due_us == 0)
        return;
    struct mw_item *about = mw_world_item(&core->world, item);
    if (about != NULL && about->ask != 0)
        close_ask(core, about->ask);
    struct mw_ask *ask = mw_mem_alloc(&core->world.mem, sizeof(*ask));
    *ask = (struct mw_ask){.seq = event->seq,
                           .item = item,
                           .due_us = event->due_us,
                           .opens = (uint8_t)info->opens,
                           .agent_kind = (uint8_t)event->agent_kind};
    mw_table_put(&core->world.asks, &core->world.mem, ask);
    if (about != NULL)
        about->ask = ask->seq;
    tell_change(core, ask->seq, true);
}

static void close_ask(struct mw_core *core, mw_seq seq)
{
    struct mw_ask *ask = mw_table_get(&core->world.asks, seq);
    if (ask == NULL)
        return;
    struct mw_item *about = mw_world_item(&core->world, ask->item);
    if (about != NULL && about->ask == seq)
        about->ask = 0;
    mw_table_remove(&core->world.asks, seq);
    mw_mem_free(&core->world.mem, ask, sizeof(*ask));
    tell_change(core, seq, false);
}

static void close_trace_asks(struct mw_core *core, mw_seq trace_id)
{
    const struct mw_trace *trace = mw_world_trace(&core->world, trace_id);
    for (struct mw_item *item = trace != NULL ? trace->newest_item : NULL; item != NULL;
         item = item->older)
        if (item->ask != 0)
            close_ask(core, item->ask);
}
