#include "loop/refine/refine.h"

enum {
#define MW_LIMIT(name, standard, maximum, why) limit_##name = standard,
#include "loop/refine/limits.def"
#undef MW_LIMIT
};

static void try_once(const struct mw_world *world, const struct mw_unit *unit, struct mw_out *out);

void mw_refine_decide(const struct mw_world *world, const struct mw_request *request,
                      struct mw_out *out)
{
    const struct mw_unit *unit = (const struct mw_unit *)mw_world_item(world, request->item);
    if (request->kind == MW_REQ_START_UNIT) {
        struct mw_event *event = mw_out_event(out, MW_EVT_UNIT_STARTED);
        event->trace = request->cause->trace;
        event->task_def = request->cause->task_def;
        event->document = request->cause->document;
        event->node = request->cause->node;
        return;
    }
    MW_ASSERT(unit != NULL);
    if (unit->item.outcome != MW_OUTCOME_OPEN || mw_world_trace_of(world, &unit->item)->cancelled)
        return;
    bool ended = request->kind == MW_REQ_NOTE_ENDED;
    bool completed = ended && mw_str_is(request->cause->outcome, "completed");
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, &unit->item));
    bool can_try = catalogue != NULL;
    /* P06: a task that is asked at most once is not asked under another number either. */
    uint32_t tries_max =
        can_try && catalogue->tasks[unit->task_def]->no_retry ? 1 : limit_tries_max;
    if (!completed && can_try && unit->tries < tries_max) {
        try_once(world, unit, out);
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_UNIT_ENDED);
    mw_event_about(world, out, event, &unit->item);
    event->outcome = completed ? MW_STR("completed") : MW_STR("failed");
    event->reason =
        can_try ? request->cause->reason : MW_STR("the definitions of this trace are missing");
    event->error_class = request->cause->error_class;
}

static void try_once(const struct mw_world *world, const struct mw_unit *unit, struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_UNIT_TRIED);
    mw_event_about(world, out, event, &unit->item);
    event->task_def = unit->task_def;
    event->document = unit->document;
    event->node = unit->node;
    event->iteration = unit->tries + 1;
}

void mw_refine_apply(struct mw_world *world, const struct mw_event *event)
{
    struct mw_unit *unit = (struct mw_unit *)mw_world_item(world, event->item);
    switch (event->kind) {
    case MW_EVT_UNIT_STARTED:
        unit = (struct mw_unit *)mw_world_add_item(world, event, MW_ITEM_UNIT, sizeof(*unit));
        unit->item.scope = unit->item.id;
        unit->task_def = (uint32_t)event->task_def;
        unit->document = (uint32_t)event->document;
        unit->node = (uint32_t)event->node;
        return;
    case MW_EVT_UNIT_TRIED:
        MW_ASSERT(unit != NULL);
        unit->tries = (uint32_t)event->iteration;
        unit->item.tries_again = unit->tries < limit_tries_max;
        return;
    case MW_EVT_UNIT_ENDED:
        MW_ASSERT(unit != NULL);
        mw_world_end_item(world, &unit->item, mw_outcome_by_name(event->outcome));
        return;
    default:
        MW_UNREACHABLE("an event that is not about repairs");
    }
}

void mw_refine_dump_item(const struct mw_item *item, struct mw_buf *buf)
{
    const struct mw_unit *unit = (const struct mw_unit *)item;
    mw_buf_printf(buf, " def=%u doc=%u:%u tries=%u", unit->task_def, unit->document, unit->node,
                  unit->tries);
}
