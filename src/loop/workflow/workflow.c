#include "loop/workflow/workflow.h"

static void decide_start(const struct mw_world *world, const struct mw_request *request,
                         struct mw_out *out);
static void decide_turn(const struct mw_world *world, const struct mw_request *request,
                        struct mw_out *out);
static void decide_ended(const struct mw_world *world, const struct mw_request *request,
                         struct mw_out *out);
static void stop(const struct mw_world *world, const struct mw_run *run, const char *outcome,
                 struct mw_str reason, const struct mw_event *cause, struct mw_out *out);

void mw_workflow_decide(const struct mw_world *world, const struct mw_memory *memory,
                        const struct mw_request *request, struct mw_out *out)
{
    switch (request->kind) {
    case MW_REQ_START_RUN:
        decide_start(world, request, out);
        return;
    case MW_REQ_START_TURN:
        decide_turn(world, request, out);
        return;
    case MW_REQ_NOTE_ENDED:
        decide_ended(world, request, out);
        return;
    case MW_REQ_ADD_MEMORY:
    case MW_REQ_REMOVE_MEMORY:
        mw_memory_decide(memory, request, out);
        return;
    case MW_REQ_NOTE_TIMEOUT: {
        const struct mw_run *run = (const struct mw_run *)mw_world_item(world, request->item);
        if (run->item.outcome == MW_OUTCOME_OPEN) {
            stop(world, run, "failed", MW_STR("timeout: the workflow's time is over"), NULL, out);
        }
        return;
    }
    default:
        MW_UNREACHABLE("a request that is not about runs");
    }
}

static const struct mw_workflow_def *def_of(const struct mw_world *world, const struct mw_run *run)
{
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, &run->item));
    return catalogue != NULL ? &catalogue->workflows[run->def] : NULL;
}

static void decide_start(const struct mw_world *world, const struct mw_request *request,
                         struct mw_out *out)
{
    const struct mw_event *cause = request->cause;
    const struct mw_trace *trace = mw_world_trace(world, cause->trace);
    MW_ASSERT(trace != NULL);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    MW_ASSERT(catalogue != NULL); /* the asking room looked */
    const struct mw_workflow_def *def = &catalogue->workflows[cause->workflow_def];
    const struct mw_item *owner = mw_world_item(world, request->item);
    bool in_chain = owner != NULL && owner->kind == MW_ITEM_CHAIN;
    mw_seq id = mw_out_next_seq(world, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_RUN_STARTED);
    event->trace = trace->id;
    event->owner = owner != NULL ? request->item : 0;
    event->workflow_def = cause->workflow_def;
    event->definition = catalogue->sha256;
    event->session_id = mw_wire_id(world, out->arena, "run", id);
    event->due_us = def->timeout_ms > 0 ? request->now_us + (int64_t)def->timeout_ms * 1000 : 0;
    event->run_id = event->session_id;
    event->preset = def->name;
    event->objective =
        mw_trace_more(trace)->prompt.ptr != NULL ? mw_trace_more(trace)->prompt : MW_STR("");
    event->project_dir =
        mw_arena_format(out->arena, "factory/workflows/%.*s", MW_STR_ARG(def->name));
    event->work_dir = MW_STR(".millwright/work");
    event->created_at = cause->timestamp;
    event->backend = MW_STR("routed");
    event->trigger = in_chain                       ? MW_STR("chain")
                     : trace->intent_source.len > 0 ? trace->intent_source
                                                    : MW_STR("cli");
    event->parent_run_id = in_chain ? mw_scope_id(world, out->arena, owner->id) : MW_STR("");
    struct mw_event *scope = mw_out_event(out, MW_EVT_SCOPE_OPENED);
    scope->trace = trace->id;
    scope->session_id = event->session_id;
    scope->target_agent = def->name;
    scope->workflow = def->name;
}

/* The first row whose event, origin and condition fit. */
static const struct mw_handoff_def *choose(const struct mw_world *world, const struct mw_run *run,
                                           const struct mw_workflow_def *def,
                                           const struct mw_event *cause, struct mw_out *out)
{
    bool first = run->role == MW_ROLE_NONE;
    const struct mw_handoff_def *rows = first ? def->start : def->handoffs;
    uint32_t count = first ? def->start_count : def->handoff_count;
    const struct mw_trace *trace = mw_world_trace_of(world, &run->item);
    struct mw_place place = {.scope = run->item.id,
                             .node = MW_NODE_NONE,
                             .outer_node = MW_NODE_NONE,
                             .event_fact = run->fact,
                             .workflow = def};
    for (uint32_t i = 0; i < count; i++) {
        bool fits = first || (mw_str_eq(rows[i].on, cause->event_type) &&
                              (rows[i].from == MW_ROLE_NONE || rows[i].from == run->role));
        if (fits && mw_eval_test(world, out->arena, trace, &place, rows[i].when))
            return &rows[i];
    }
    return NULL;
}

static void start_role(const struct mw_world *world, const struct mw_run *run,
                       const struct mw_workflow_def *def, uint32_t role, struct mw_out *out)
{
    const struct mw_role_def *row = &def->roles[role];
    struct mw_event *event =
        mw_out_event(out, row->task != NULL ? MW_EVT_TURN_STARTED : MW_EVT_PLAN_ASKED);
    mw_event_about(world, out, event, &run->item);
    event->role = row->name;
    event->iteration = run->iteration + 1;
    event->state_index = role;
    event->fact = run->fact;
    if (row->task != NULL)
        event->task_def = row->task->index;
    else
        event->group_def = row->plan->index;
}

static void decide_turn(const struct mw_world *world, const struct mw_request *request,
                        struct mw_out *out)
{
    const struct mw_run *run = (const struct mw_run *)mw_world_item(world, request->item);
    MW_ASSERT(run != NULL);
    const struct mw_workflow_def *def = def_of(world, run);
    if (run->item.outcome != MW_OUTCOME_OPEN || mw_world_trace_of(world, &run->item)->cancelled)
        return;
    if (def == NULL) {
        stop(world, run, "failed", MW_STR("the definitions of this trace are missing"), NULL, out);
        return;
    }
    if (mw_str_is(request->cause->outcome, "failed") ||
        mw_str_is(request->cause->outcome, "cancelled")) {
        stop(world, run, "failed", request->cause->reason, request->cause, out);
        return;
    }
    bool first = run->role == MW_ROLE_NONE;
    const struct mw_handoff_def *row = choose(world, run, def, request->cause, out);
    if (row == NULL) {
        stop(world, run, "failed",
             mw_arena_format(out->arena, "nobody is next after '%.*s'",
                             MW_STR_ARG(request->cause->event_type)),
             NULL, out);
        return;
    }
    if (row->to == MW_ROLE_NONE) {
        if (row->fails) {
            stop(world, run, "failed", row->reason, NULL, out);
            return;
        }
        struct mw_event *event = mw_out_event(out, MW_EVT_RUN_COMPLETED);
        mw_event_about(world, out, event, &run->item);
        event->outcome = MW_STR("completed");
        event->iteration = run->iteration;
        event->event_type = first ? row->reason : request->cause->event_type;
        event->fact = run->fact;
        mw_out_follow(out, MW_REQ_CANCEL_INSIDE, run->item.id);
        return;
    }
    if (run->iteration >= def->iterations_max) {
        stop(world, run, "failed",
             mw_arena_format(out->arena, "limit iterations (%u) reached", def->iterations_max),
             NULL, out);
        return;
    }
    start_role(world, run, def, row->to, out);
}

/* What a turn asked for has ended: a task with its fact, or a plan. */
static void decide_ended(const struct mw_world *world, const struct mw_request *request,
                         struct mw_out *out)
{
    const struct mw_run *run = (const struct mw_run *)mw_world_item(world, request->item);
    MW_ASSERT(run != NULL);
    const struct mw_event *cause = request->cause;
    const struct mw_trace *trace = mw_world_trace_of(world, &run->item);
    if (run->item.outcome != MW_OUTCOME_OPEN || trace->cancelled)
        return;
    const struct mw_fact *fact = trace->newest_fact;
    bool completed = mw_str_is(cause->outcome, "completed");
    while (fact != NULL && fact->task != cause->item && fact->seq != cause->fact)
        fact = fact->older;
    mw_seq assembled_seq = mw_out_next_seq(world, out);
    if (completed && cause->kind == MW_EVT_GROUP_ENDED) {
        struct mw_event *assembled = mw_out_event(out, MW_EVT_FACT_DERIVED);
        assembled->type = MW_STR("AssemblyCompleted");
        assembled->trace = trace->id;
        assembled->scope_item = run->item.id;
        assembled->trace_wide = true;
        assembled->body =
            mw_arena_format(out->arena, "{\"members\":%lu}", (unsigned long)cause->completed_count);
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_TURN_ENDED);
    mw_event_about(world, out, event, &run->item);
    event->iteration = run->iteration;
    event->outcome = cause->outcome;
    event->reason = cause->reason;
    event->error_class = cause->error_class;
    event->task_type = cause->task_type;
    if (completed && cause->kind == MW_EVT_GROUP_ENDED) {
        event->event_type = MW_STR("AssemblyCompleted");
        event->fact = assembled_seq;
    } else if (completed && fact != NULL) {
        event->event_type = fact->type;
        event->fact = fact->seq;
    }
}

static void stop(const struct mw_world *world, const struct mw_run *run, const char *outcome,
                 struct mw_str reason, const struct mw_event *cause, struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_RUN_STOPPED);
    mw_event_about(world, out, event, &run->item);
    event->outcome = mw_str_of(outcome);
    event->reason = reason;
    event->iteration = run->iteration;
    if (cause != NULL) {
        event->error_class = cause->error_class;
        event->task_type = cause->task_type;
    }
    mw_out_follow(out, MW_REQ_CANCEL_INSIDE, run->item.id); /* nothing of it works on */
}

void mw_workflow_apply(struct mw_world *world, struct mw_memory *memory,
                       const struct mw_event *event)
{
    struct mw_run *run = (struct mw_run *)mw_world_item(world, event->item);
    switch (event->kind) {
    case MW_EVT_RUN_STARTED:
        run = (struct mw_run *)mw_world_add_item(world, event, MW_ITEM_RUN, sizeof(*run));
        run->item.scope = run->item.id;
        run->def = (uint32_t)event->workflow_def;
        run->role = MW_ROLE_NONE;
        return;
    case MW_EVT_TURN_STARTED:
    case MW_EVT_PLAN_ASKED:
        MW_ASSERT(run != NULL);
        run->role = (uint32_t)event->state_index;
        run->iteration = (uint32_t)event->iteration;
        return;
    case MW_EVT_TURN_ENDED:
        MW_ASSERT(run != NULL);
        run->fact = event->fact;
        return;
    case MW_EVT_RUN_COMPLETED:
    case MW_EVT_RUN_STOPPED:
        MW_ASSERT(run != NULL);
        mw_world_end_item(world, &run->item, mw_outcome_by_name(event->outcome));
        return;
    case MW_EVT_MEMORY_ADDED:
    case MW_EVT_MEMORY_REMOVED:
        mw_memory_apply(world, memory, event);
        return;
    default:
        MW_UNREACHABLE("an event that is not about runs");
    }
}

void mw_workflow_dump_item(const struct mw_item *item, struct mw_buf *buf)
{
    const struct mw_run *run = (const struct mw_run *)item;
    mw_buf_printf(buf, " def=%u role=%u iteration=%u fact=%lu", run->def, run->role, run->iteration,
                  (unsigned long)run->fact);
}
