#include "base/time.h"
#include "work/internal.h"

/* Which file of the room a request or an event belongs to. */

static const struct mw_item *item_of(const struct mw_world *world, const struct mw_request *request)
{
    return mw_world_item(world, request->item);
}

static void decide_publish(const struct mw_world *world, const struct mw_request *request,
                           struct mw_out *out);

/* START_TASK and START_GROUP come from other rooms' events; what is asked stands in the event. */
static struct mw_order order_of_ask(const struct mw_world *world, const struct mw_request *request)
{
    const struct mw_event *cause = request->cause;
    const struct mw_trace *trace = mw_world_trace(world, cause->trace);
    MW_ASSERT(trace != NULL);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    MW_ASSERT(catalogue != NULL); /* the asking room looked */
    struct mw_order order = {.trace = trace,
                             .catalogue = catalogue,
                             .owner = request->item,
                             .scope = cause->scope_item,
                             .letter = cause->letter,
                             .now_us = request->now_us,
                             .entropy = request->entropy};
    /* A record without a node does not write it; the root of a document is nobody's item. */
    order.place = (struct mw_place){.scope = cause->scope_item,
                                    .document = (uint32_t)cause->document,
                                    .node = cause->node != 0 ? (uint32_t)cause->node : MW_NODE_NONE,
                                    .outer_node = MW_NODE_NONE,
                                    .event_fact = cause->fact};
    return order;
}

static void decide_start(const struct mw_world *world, const struct mw_work *work,
                         const struct mw_request *request, struct mw_out *out)
{
    struct mw_order order = order_of_ask(world, request);
    if (request->kind == MW_REQ_START_GROUP) {
        mw_group_start(world, work, &order, order.catalogue->groups[request->cause->group_def],
                       true, out);
        return;
    }
    order.def = order.catalogue->tasks[request->cause->task_def];
    if (order.letter != 0) { /* it stands where it stood */
        order.place.outer_document = (uint32_t)request->cause->outer_document;
        order.place.outer_node = (uint32_t)request->cause->outer_node;
        order.place.node = (uint32_t)request->cause->node;
    }
    (void)mw_task_start(world, work, &order, true, out); /* waiting is an answer too */
}

void mw_work_decide(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_request *request, struct mw_out *out)
{
    const struct mw_item *item = item_of(world, request);
    switch (request->kind) {
    case MW_REQ_REGISTER_AGENT:
    case MW_REQ_REMOVE_AGENT:
    case MW_REQ_SET_HEALTH:
        mw_agents_decide(world, work, request, out);
        return;
    case MW_REQ_PUBLISH_MESSAGE:
        decide_publish(world, request, out);
        return;
    case MW_REQ_DISPATCH:
        mw_queue_dispatch(world, work, request, out);
        return;
    case MW_REQ_START_TASK:
    case MW_REQ_START_GROUP:
        decide_start(world, work, request, out);
        return;
    case MW_REQ_START_COORDINATOR: {
        struct mw_order order = order_of_ask(world, request);
        order.place.document = (uint32_t)request->cause->document;
        order.place.node = (uint32_t)request->cause->node;
        mw_coordinator_start(world, &order, (uint32_t)request->cause->coordinator_def, out);
        return;
    }
    case MW_REQ_DELIVER:
        mw_coordinator_deliver(world, request, out);
        return;
    case MW_REQ_TAKE_UP_INSIDE:
        mw_coordinator_take_up(world, request, out);
        return;
    case MW_REQ_CANCEL_INSIDE:
        mw_coordinator_cancel_inside(world, request, out);
        return;
    case MW_REQ_ENTER_STATE:
        mw_coordinator_decide(world, work, request, out);
        return;
    case MW_REQ_NOTE_ENDED:
    case MW_REQ_NOTE_TIMEOUT:
        MW_ASSERT(item != NULL);
        if (item->kind == MW_ITEM_COORDINATOR)
            mw_coordinator_decide(world, work, request, out);
        else if (item->kind == MW_ITEM_GROUP)
            mw_group_decide(world, work, request, out);
        else
            mw_task_decide(world, work, request, out);
        return;
    default:
        mw_task_decide(world, work, request, out);
        return;
    }
}

void mw_work_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    switch (event->kind) {
    case MW_EVT_AGENT_ONLINE:
    case MW_EVT_AGENT_REMOVED:
    case MW_EVT_AGENT_HEALTH:
        mw_agents_apply(world, work, event);
        return;
    case MW_EVT_GROUP_STARTED:
    case MW_EVT_PLAN_PART:
    case MW_EVT_GROUP_ENDED:
        mw_group_apply(world, work, event);
        return;
    case MW_EVT_COORDINATOR_STARTED:
    case MW_EVT_STATE_ENTERED:
    case MW_EVT_COORDINATOR_HALTED:
    case MW_EVT_COORDINATOR_ENDED:
    case MW_EVT_PATH_SKIPPED:
        mw_coordinator_apply(world, work, event);
        return;
    case MW_EVT_TASK_DEAD:
    case MW_EVT_TASK_PUT_BACK:
        mw_letter_apply(world, work, event);
        return;
    case MW_EVT_MESSAGE_PUBLISHED:
    case MW_EVT_FACT_DERIVED:
        mw_task_add_fact(world, event);
        return;
    default:
        mw_task_apply(world, work, event);
        return;
    }
}

void mw_work_forget(struct mw_world *world, struct mw_work *work, struct mw_trace *trace)
{
    for (struct mw_item *item = trace->newest_item; item != NULL; item = item->older)
        if (item->kind == MW_ITEM_TASK || item->kind == MW_ITEM_GROUP)
            mw_queue_remove(world, work, item);
}

/* ---- messages from outside (MS-01 … MS-06, MS-16) ---- */

static bool require(const struct mw_request *request, const char *key, struct mw_out *out)
{
    uint32_t node = mw_node_get(request->body, request->body_node, key);
    enum mw_node_type type = mw_node_type(request->body, node);
    bool is_payload = mw_str_is(mw_str_of(key), "payload");
    if (is_payload ? type == MW_NODE_OBJECT
                   : type == MW_NODE_STRING && request->body->nodes[node].text.len > 0)
        return true;
    mw_out_refuse(out, MW_E_INPUT, mw_arena_format(out->arena, "/%s", key).ptr,
                  mw_arena_format(out->arena, "a message needs '%s' (%s)", key,
                                  is_payload ? "an object" : "a text that is not empty"));
    return false;
}

/* RFC 3339 in UTC with a Z, the fraction of nine digits at most. The schema of the envelope (factory/schemas) says the same. */
static bool is_utc_time(struct mw_str text)
{
    int64_t us;
    return text.len <= 30 && mw_utc_us(text, &us);
}

/* {AgentType}:{Task} (ST-03). */
static bool is_tag(struct mw_str tag)
{
    size_t colon = mw_str_find(tag, ':', 0);
    if (colon == 0 || colon >= tag.len - 1)
        return false;
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.ptr[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && i != colon && !(i > colon && c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

static const struct mw_trace *trace_by_wire_id(const struct mw_world *world, struct mw_str id)
{
    for (uint32_t i = 0; i < world->traces.cap; i++) {
        const struct mw_trace *trace = mw_table_at(&world->traces, i);
        if (trace != NULL && mw_str_eq(trace->wire_id, id))
            return trace;
    }
    return NULL;
}

/* The coordinator that a sessionId of a message names; 0: the whole trace. False: no such session in this trace. */
static bool scope_by_wire_id(const struct mw_world *world, const struct mw_trace *trace,
                             struct mw_str session, struct mw_out *out, mw_seq *ret_scope)
{
    *ret_scope = 0;
    if (mw_str_eq(session, trace->wire_id))
        return true;
    for (const struct mw_item *item = trace->newest_item; item != NULL; item = item->older) {
        if (!mw_str_eq(mw_scope_id(world, out->arena, item->id), session))
            continue;
        *ret_scope = item->kind == MW_ITEM_COORDINATOR ? item->id : 0;
        return item->kind == MW_ITEM_COORDINATOR || item->kind == MW_ITEM_RUN;
    }
    return false;
}

static void decide_publish(const struct mw_world *world, const struct mw_request *request,
                           struct mw_out *out)
{
    static const char *const required[] = {"type",      "traceId",   "sessionId", "componentTag",
                                           "timestamp", "emittedBy", "payload"};
    const struct mw_tape *body = request->body;
    struct mw_str type = mw_node_get_text(body, request->body_node, "type");
    bool is_command = mw_node_get(body, request->body_node, "targetAgent") != MW_NODE_NONE;
    for (size_t i = 0; i < MW_COUNT(required); i++)
        if (!(is_command && i == 5) && !require(request, required[i], out))
            return;
    struct mw_str contract = mw_node_get_text(body, request->body_node, "contract");
    if (contract.len > 0 && !mw_str_is(contract, MW_CONTRACT_VERSION)) {
        mw_out_refuse(out, MW_E_INPUT, "/contract",
                      mw_arena_format(out->arena,
                                      "contract version '%.*s' is not known; this is %s",
                                      MW_STR_ARG(contract), MW_CONTRACT_VERSION));
        return;
    }
    if (is_command) {
        mw_out_refuse(out, MW_E_DENIED, "/targetAgent",
                      MW_STR("commands are given by the control plane alone; publish an event"));
        return;
    }
    if (!is_utc_time(mw_node_get_text(body, request->body_node, "timestamp"))) {
        mw_out_refuse(out, MW_E_INPUT, "/timestamp",
                      MW_STR("a time is RFC 3339 in UTC: 2025-05-04T13:10:00Z"));
        return;
    }
    if (!mw_type_is_well_formed(type)) {
        mw_out_refuse(out, MW_E_INPUT, "/type",
                      MW_STR("an event's name is NounVerb, like HandlerReady"));
        return;
    }
    if (mw_type_is_reserved(type)) {
        mw_out_refuse(out, MW_E_DENIED, "/type",
                      mw_arena_format(out->arena, "'%.*s' is said by the control plane alone",
                                      MW_STR_ARG(type)));
        return;
    }
    if (!is_tag(mw_node_get_text(body, request->body_node, "componentTag"))) {
        mw_out_refuse(out, MW_E_INPUT, "/componentTag",
                      MW_STR("a component tag is AgentType:Task in letters and digits"));
        return;
    }
    struct mw_str trace_id = mw_node_get_text(body, request->body_node, "traceId");
    const struct mw_trace *trace = trace_by_wire_id(world, trace_id);
    mw_seq scope;
    if (trace == NULL) {
        mw_out_refuse(out, MW_E_MISSING, "/traceId",
                      mw_arena_format(out->arena, "no open trace '%.*s'", MW_STR_ARG(trace_id)));
        return;
    }
    if (!scope_by_wire_id(world, trace, mw_node_get_text(body, request->body_node, "sessionId"),
                          out, &scope)) {
        mw_out_refuse(out, MW_E_DENIED, "/sessionId",
                      MW_STR("no such session in this trace: a message is for its own scope"));
        return;
    }
    uint32_t payload = mw_node_get(body, request->body_node, "payload");
    if (body->nodes[payload].text.len > MW_RESULT_INLINE_MAX) {
        mw_out_refuse(out, MW_E_LIMIT, "/payload", MW_STR("a published payload is at most 8 KiB"));
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_MESSAGE_PUBLISHED);
    event->type = type;
    event->trace = trace->id;
    event->scope_item = scope;
    event->trace_wide = scope == 0;
    event->session_id = mw_node_get_text(body, request->body_node, "sessionId");
    event->component_tag = mw_node_get_text(body, request->body_node, "componentTag");
    event->emitted_by = mw_node_get_text(body, request->body_node, "emittedBy");
    event->body = body->nodes[payload].text;
}
