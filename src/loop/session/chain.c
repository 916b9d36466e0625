#include "loop/session/chain.h"

enum {
#define MW_LIMIT(name, standard, maximum, why) limit_##name = standard,
#include "loop/session/limits.def"
#undef MW_LIMIT
};

#define NAMES_BYTES_MAX 8192u

bool mw_chain_check(const struct mw_catalogue *catalogue, const struct mw_request *request,
                    struct mw_out *out, struct mw_str *ret_workflows)
{
    const struct mw_tape *body = request->body;
    uint32_t list = mw_node_get(body, request->body_node, "workflows");
    bool is_list = mw_node_type(body, list) == MW_NODE_ARRAY;
    uint32_t count = is_list ? mw_node_count(body, list) : 0;
    if (count == 0) {
        mw_out_refuse(out, MW_E_INPUT, "/workflows", MW_STR("a chain has at least one workflow"));
        return false;
    }
    if (count > limit_chain_steps_max) {
        mw_out_refuse(out, MW_E_LIMIT, "/workflows",
                      mw_arena_format(out->arena, "limit chain_steps_max (%d) reached",
                                      (int)limit_chain_steps_max));
        return false;
    }
    uint32_t at = 0;
    for (uint32_t i = mw_node_first(body, list); i != MW_NODE_NONE;
         i = mw_node_after(body, list, i), at++) {
        struct mw_str name = mw_node_str(body, i);
        if (catalogue != NULL && mw_catalogue_workflow(catalogue, name) != NULL)
            continue;
        mw_out_refuse(
            out, MW_E_MISSING, mw_arena_format(out->arena, "/workflows/%u", at).ptr,
            mw_arena_format(out->arena, "no workflow '%.*s' is defined", MW_STR_ARG(name)));
        return false;
    }
    char *text = mw_arena_alloc(out->arena, NAMES_BYTES_MAX);
    MW_ASSERT(text != NULL);
    struct mw_buf buf = {.ptr = text, .cap = NAMES_BYTES_MAX};
    struct mw_json json;
    mw_json_init(&json, &buf);
    mw_json_node(&json, body, list);
    MW_ASSERT(!buf.overflowed); /* at most 16 names that definitions have */
    *ret_workflows = mw_buf_str(&buf);
    return true;
}

/* The steps as indices of the trace's own definitions. False: they are missing. */
static bool steps_of(const struct mw_world *world, const struct mw_trace *trace,
                     struct mw_str workflows, struct mw_out *out,
                     const struct mw_workflow_def *ret_steps[limit_chain_steps_max],
                     uint32_t *ret_count)
{
    struct mw_tape tape;
    uint32_t count = 0;
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    if (catalogue == NULL || mw_json_parse(out->arena, workflows, &tape, NULL) != MW_OK)
        return false;
    for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE && count < limit_chain_steps_max;
         i = mw_node_after(&tape, 0, i)) {
        ret_steps[count] = mw_catalogue_workflow(catalogue, mw_node_str(&tape, i));
        if (ret_steps[count++] == NULL)
            return false;
    }
    *ret_count = count;
    return true;
}

static void put_step(struct mw_event *event, const struct mw_workflow_def *def, uint32_t step)
{
    event->step = step + 1;
    event->workflow_def = def->index;
    event->workflow = def->name;
}

static void decide_start(const struct mw_world *world, const struct mw_request *request,
                         struct mw_out *out)
{
    const struct mw_event *cause = request->cause;
    const struct mw_trace *trace = mw_world_trace(world, cause->trace);
    const struct mw_workflow_def *steps[limit_chain_steps_max];
    uint32_t count = 0;
    bool found = steps_of(world, trace, cause->workflows, out, steps, &count);
    MW_ASSERT(found && count > 0); /* StartChain looked, in this very step */
    mw_seq id = mw_out_next_seq(world, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_CHAIN_STARTED);
    event->trace = trace->id;
    event->run_id = mw_wire_id(world, out->arena, "chain", id);
    event->session_id = event->run_id;
    event->objective =
        mw_trace_more(trace)->prompt.ptr != NULL ? mw_trace_more(trace)->prompt : MW_STR("");
    event->workflows = cause->workflows;
    event->trigger = trace->intent_source.len > 0 ? trace->intent_source : MW_STR("cli");
    event->parent_run_id = MW_STR("");
    struct mw_event *step = mw_out_event(out, MW_EVT_CHAIN_STEP);
    step->trace = trace->id;
    step->item = id;
    step->scope_item = id;
    put_step(step, steps[0], 0);
}

static void end_chain(const struct mw_world *world, const struct mw_chain *chain,
                      const struct mw_event *cause, const char *outcome, struct mw_str reason,
                      struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_CHAIN_ENDED);
    mw_event_about(world, out, event, &chain->item);
    event->outcome = mw_str_of(outcome);
    event->reason = reason;
    event->step = chain->step;
    event->error_class = cause->error_class;
    event->task_type = cause->task_type;
}

static void decide_ended(const struct mw_world *world, const struct mw_request *request,
                         struct mw_out *out)
{
    const struct mw_chain *chain = (const struct mw_chain *)mw_world_item(world, request->item);
    const struct mw_event *cause = request->cause;
    const struct mw_trace *trace = mw_world_trace_of(world, &chain->item);
    const struct mw_workflow_def *steps[limit_chain_steps_max];
    uint32_t count = 0;
    if (chain->item.outcome != MW_OUTCOME_OPEN || trace->cancelled)
        return;
    if (!mw_str_is(cause->outcome, "completed")) {
        end_chain(world, chain, cause, "failed", cause->reason, out);
        return;
    }
    if (!steps_of(world, trace, chain->workflows, out, steps, &count)) {
        end_chain(world, chain, cause, "failed",
                  MW_STR("the definitions of this trace are missing"), out);
        return;
    }
    if (chain->step >= count) {
        end_chain(world, chain, cause, "completed", MW_STR_NONE, out);
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_CHAIN_STEP);
    mw_event_about(world, out, event, &chain->item);
    put_step(event, steps[chain->step], chain->step);
}

void mw_chain_decide(const struct mw_world *world, const struct mw_request *request,
                     struct mw_out *out)
{
    if (request->kind == MW_REQ_START_CHAIN)
        decide_start(world, request, out);
    else
        decide_ended(world, request, out);
}

void mw_chain_apply(struct mw_world *world, const struct mw_event *event)
{
    struct mw_chain *chain = (struct mw_chain *)mw_world_item(world, event->item);
    switch (event->kind) {
    case MW_EVT_CHAIN_STARTED: {
        struct mw_trace *trace = mw_world_trace(world, event->trace);
        chain = (struct mw_chain *)mw_world_add_item(world, event, MW_ITEM_CHAIN, sizeof(*chain));
        chain->item.scope = chain->item.id;
        chain->workflows = mw_pool_copy(&trace->pool, &world->mem, event->workflows);
        return;
    }
    case MW_EVT_CHAIN_STEP:
        MW_ASSERT(chain != NULL);
        chain->step = (uint32_t)event->step;
        return;
    case MW_EVT_CHAIN_ENDED:
        MW_ASSERT(chain != NULL);
        mw_world_end_item(world, &chain->item, mw_outcome_by_name(event->outcome));
        return;
    default:
        MW_UNREACHABLE("an event that is not about chains");
    }
}

void mw_chain_dump_item(const struct mw_item *item, struct mw_buf *buf)
{
    const struct mw_chain *chain = (const struct mw_chain *)item;
    mw_buf_printf(buf, " step=%u of %.*s", chain->step, MW_STR_ARG(chain->workflows));
}
