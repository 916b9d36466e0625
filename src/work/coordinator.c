#include "work/internal.h"

#include <string.h>

/*
 * A state machine over one fragment of the blueprint. What a state asks for, what it waits for and where it goes is data; facts are held, so
 * an event that comes early opens its transition when the state is entered (CO-04, V-42).
 */

#define TOLD_AT_ONCE 64u
#define SKIP_VALUE_BYTES 1024u /* of what a condition looked at; a prompt may be much longer */

enum {
#define MW_LIMIT(name, standard, maximum, why) limit_##name = standard,
#include "work/limits.def"
#undef MW_LIMIT
};

static void advance(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_request *request, struct mw_out *out);
static void note_ended(const struct mw_world *world, const struct mw_work *work,
                       const struct mw_request *request, struct mw_out *out);
static void end(const struct mw_world *world, const struct mw_order *order,
                const struct mw_coordinator *coordinator, const struct mw_coordinator_def *def,
                bool completed, struct mw_str reason, const struct mw_event *cause,
                struct mw_out *out);

static struct mw_order order_of(const struct mw_world *world,
                                const struct mw_coordinator *coordinator,
                                const struct mw_request *request)
{
    const struct mw_trace *trace = mw_world_trace_of(world, &coordinator->item);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    struct mw_order order = {.trace = trace,
                             .catalogue = catalogue,
                             .owner = coordinator->item.id,
                             .scope = coordinator->item.id,
                             .now_us = request->now_us,
                             .entropy = request->entropy};
    order.place = (struct mw_place){.scope = coordinator->item.id,
                                    .document = coordinator->document,
                                    .node = coordinator->node,
                                    .outer_node = MW_NODE_NONE};
    if (catalogue != NULL)
        order.place.coordinator = &catalogue->coordinators[coordinator->def];
    return order;
}

void mw_coordinator_start(const struct mw_world *world, const struct mw_order *order,
                          uint32_t index, struct mw_out *out)
{
    const struct mw_coordinator_def *def = &order->catalogue->coordinators[index];
    const struct mw_state_def *initial = &def->states[def->initial];
    struct mw_place place = order->place;
    struct mw_str fragment = MW_STR("{}"), key = def->name, why = MW_STR_NONE;
    place.coordinator = def;
    bool whole = mw_eval_bindings(world, out->arena, order->trace, &place, &def->fragment,
                                  MW_DISPATCH_BYTES_MAX, &fragment, &why) &&
                 (def->key == NULL ||
                  mw_eval_text(world, out->arena, order->trace, &place, def->key, &key, &why));
    mw_seq id = mw_out_next_seq(world, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_COORDINATOR_STARTED);
    event->type = def->command;
    event->trace = order->trace->id;
    event->owner = order->owner;
    event->member = order->member;
    event->document = order->place.document;
    event->node = order->place.node;
    event->coordinator = def->name;
    event->coordinator_version = def->version;
    event->coordinator_def = index;
    event->target_agent = mw_arena_format(out->arena, "%.*s", MW_STR_ARG(def->name));
    event->session_id = mw_wire_id(world, out->arena, "svc", id);
    event->key = key;
    event->state = initial->name;
    event->state_index = def->initial;
    event->due_us =
        initial->timeout_ms > 0 ? order->now_us + (int64_t)initial->timeout_ms * 1000 : 0;
    event->body = whole ? fragment : MW_STR("{}");
    event->reason = whole ? MW_STR_NONE : why;
    struct mw_event *scope = mw_out_event(out, MW_EVT_SCOPE_OPENED);
    scope->trace = order->trace->id;
    scope->session_id = event->session_id;
    scope->target_agent = def->name;
}

void mw_coordinator_decide(const struct mw_world *world, const struct mw_work *work,
                           const struct mw_request *request, struct mw_out *out)
{
    const struct mw_coordinator *coordinator =
        (const struct mw_coordinator *)mw_world_item(world, request->item);
    MW_ASSERT(coordinator != NULL);
    MW_ASSERT(coordinator->item.kind == MW_ITEM_COORDINATOR);
    if (coordinator->item.outcome != MW_OUTCOME_OPEN)
        return; /* what comes after its end changes nothing */
    switch (request->kind) {
    case MW_REQ_ENTER_STATE:
        advance(world, work, request, out);
        return;
    case MW_REQ_NOTE_ENDED:
        note_ended(world, work, request, out);
        return;
    case MW_REQ_NOTE_TIMEOUT: {
        struct mw_order order = order_of(world, coordinator, request);
        struct mw_event *halted = mw_out_event(out, MW_EVT_COORDINATOR_HALTED);
        mw_event_about(world, out, halted, &coordinator->item);
        halted->coordinator =
            order.place.coordinator != NULL ? order.place.coordinator->name : MW_STR_NONE;
        halted->key = coordinator->key;
        halted->reason = MW_STR("the state's time is over");
        if (order.catalogue != NULL)
            end(world, &order, coordinator, &order.catalogue->coordinators[coordinator->def], false,
                MW_STR("a state's time was over"), NULL, out);
        return;
    }
    default:
        MW_UNREACHABLE("a request that is not about coordinators");
    }
}

/* ---- asking ---- */

/* Asked for, and by its condition not wanted. */
static bool was_skipped(const struct mw_coordinator *coordinator, uint32_t ask_index)
{
    return (coordinator->fired & (1u << ask_index)) != 0 &&
           mw_coordinator_made(coordinator, ask_index) == 0;
}

/* What it asks for, in this state or another, says itself what came of it: a message of the same name is talk (P20). But for what this state
 * has skipped: nobody else is going to say it. */
static bool is_talk(const struct mw_coordinator *coordinator, const struct mw_order *order,
                    const struct mw_fact *fact)
{
    const struct mw_coordinator_def *def = order->place.coordinator;
    const struct mw_state_def *state = &def->states[coordinator->state];
    if (fact->task != 0 || !mw_coordinator_says(order->catalogue, def, fact->type))
        return false;
    for (uint32_t i = 0; i < state->ask_count; i++)
        if (was_skipped(coordinator, i) &&
            mw_ask_says(order->catalogue, &state->asks[i], fact->type))
            return false;
    return true;
}

/* The newest that counts. */
static const struct mw_fact *heard(const struct mw_coordinator *coordinator,
                                   const struct mw_order *order, struct mw_str type)
{
    for (const struct mw_fact *fact = order->trace->newest_fact; fact != NULL; fact = fact->older)
        if ((fact->scope == 0 || fact->scope == coordinator->item.id) &&
            mw_str_eq(fact->type, type) && !is_talk(coordinator, order, fact))
            return fact;
    return NULL;
}

static bool heard_all(const struct mw_coordinator *coordinator, const struct mw_order *order,
                      const struct mw_str *types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (heard(coordinator, order, types[i]) == NULL)
            return false;
    return true;
}

/* Starts what the state asks for and has not asked yet. True when something was said. */
static bool ask(const struct mw_world *world, const struct mw_work *work,
                const struct mw_coordinator *coordinator, struct mw_order *order,
                struct mw_out *out)
{
    const struct mw_coordinator_def *machine = order->place.coordinator;
    const struct mw_state_def *state = &machine->states[coordinator->state];
    for (uint32_t i = 0; i < state->ask_count; i++) {
        const struct mw_ask_def *def = &state->asks[i];
        if ((coordinator->fired & (1u << i)) != 0 ||
            !heard_all(coordinator, order, def->after, def->after_count))
            continue;
        order->ask = i + 1;
        if (!mw_eval_test(world, out->arena, order->trace, &order->place, def->when)) {
            struct mw_str what = def->task != NULL ? def->task->skill : def->group->id;
            mw_tell_skip(world, order, coordinator->item.id, i + 1, def->rule, def->when,
                         def->rule_field, what, out);
        } else if (def->task != NULL) {
            order->def = def->task;
            (void)mw_task_start(world, work, order, true, out); /* waiting is an answer too */
        } else {
            mw_group_start(world, work, order, def->group, false, out);
        }
        return true; /* one at a time: what was said changes what is looked at next */
    }
    return false;
}

static bool group_completed(const struct mw_world *world, const struct mw_coordinator *coordinator,
                            const struct mw_state_def *state, struct mw_str group_id)
{
    for (uint32_t i = 0; i < state->ask_count; i++) {
        if (state->asks[i].group == NULL || !mw_str_eq(state->asks[i].group->id, group_id))
            continue;
        const struct mw_item *item = mw_world_item(world, mw_coordinator_made(coordinator, i));
        return was_skipped(coordinator, i) ||
               (item != NULL && item->outcome == MW_OUTCOME_COMPLETED);
    }
    return false;
}

static const struct mw_transition_def *enabled_transition(const struct mw_world *world,
                                                          const struct mw_coordinator *coordinator,
                                                          struct mw_order *order,
                                                          struct mw_out *out)
{
    const struct mw_coordinator_def *def = order->place.coordinator;
    const struct mw_state_def *state = &def->states[coordinator->state];
    for (uint32_t i = 0; i < state->transition_count; i++) {
        const struct mw_transition_def *transition = &state->transitions[i];
        if (!heard_all(coordinator, order, transition->events, transition->event_count))
            continue;
        if (transition->group.len > 0 &&
            !group_completed(world, coordinator, state, transition->group))
            continue;
        struct mw_place place = order->place;
        if (transition->event_count > 0)
            place.event_fact = heard(coordinator, order, transition->events[0])->seq;
        if (mw_eval_test(world, out->arena, order->trace, &place, transition->when))
            return transition;
    }
    return NULL;
}

/* What the join of a group was fed with: the event of its members when they all answer with one; else that the group is complete. */
static struct mw_str group_event(const struct mw_world *world,
                                 const struct mw_coordinator *coordinator,
                                 const struct mw_state_def *state, struct mw_str group_id)
{
    for (uint32_t i = 0; i < state->ask_count; i++) {
        const struct mw_group_def *def = state->asks[i].group;
        const struct mw_item *item = mw_world_item(world, mw_coordinator_made(coordinator, i));
        if (def == NULL || item == NULL || !mw_str_eq(def->id, group_id))
            continue;
        const struct mw_task_def *task = def->member_count == 1 ? def->members[0].task : NULL;
        if (task != NULL && task->expects_count == 1 && ((const struct mw_group *)item)->total > 0)
            return task->expects[0];
    }
    return group_id.len > 0 ? MW_STR("TaskGroupCompleted") : MW_STR_NONE;
}

static void derive(const struct mw_coordinator *coordinator,
                   const struct mw_transition_def *transition, struct mw_order *order,
                   struct mw_out *out)
{
    const struct mw_fact *fact =
        transition->event_count > 0 ? heard(coordinator, order, transition->events[0]) : NULL;
    struct mw_event *event = mw_out_event(out, MW_EVT_FACT_DERIVED);
    event->type = transition->emit;
    event->trace = order->trace->id;
    event->item = coordinator->item.id;
    event->scope_item = coordinator->item.id;
    event->key = coordinator->key;
    event->body = fact != NULL && fact->body.len > 0 ? fact->body : MW_STR("{}");
    order->place.derived = event; /* what it completes with may be made of it */
}

/* How many coordinators it is in. */
static uint32_t nesting_of(const struct mw_world *world, const struct mw_coordinator *coordinator)
{
    uint32_t count = 0;
    for (const struct mw_item *item = mw_world_item(world, coordinator->item.owner); item != NULL;
         item = mw_world_item(world, item->owner))
        count += item->kind == MW_ITEM_COORDINATOR;
    return count;
}

static void halt(const struct mw_world *world, const struct mw_order *order,
                 const struct mw_coordinator *coordinator, const struct mw_coordinator_def *def,
                 const char *limit, uint32_t most, struct mw_out *out)
{
    struct mw_str why = mw_arena_format(out->arena, "limit %s (%u) reached: it goes in circles",
                                        limit, (unsigned)most);
    struct mw_event *halted = mw_out_event(out, MW_EVT_COORDINATOR_HALTED);
    mw_event_about(world, out, halted, &coordinator->item);
    halted->coordinator = def->name;
    halted->key = coordinator->key;
    halted->state = def->states[coordinator->state].name;
    halted->reason = why;
    end(world, order, coordinator, def, false, why, NULL, out);
}

static void advance(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_request *request, struct mw_out *out)
{
    const struct mw_coordinator *coordinator =
        (const struct mw_coordinator *)mw_world_item(world, request->item);
    struct mw_order order = order_of(world, coordinator, request);
    if (order.trace->cancelled)
        return;
    if (order.catalogue == NULL) {
        struct mw_event *halted = mw_out_event(out, MW_EVT_COORDINATOR_HALTED);
        mw_event_about(world, out, halted, &coordinator->item);
        halted->key = coordinator->key;
        halted->reason = MW_STR("the definitions of this trace are missing");
        return;
    }
    const struct mw_coordinator_def *def = &order.catalogue->coordinators[coordinator->def];
    const struct mw_state_def *state = &def->states[coordinator->state];
    if (nesting_of(world, coordinator) >= limit_nesting_max) {
        halt(world, &order, coordinator, def, "nesting", limit_nesting_max, out);
        return;
    }
    if (ask(world, work, coordinator, &order, out)) {
        mw_out_follow(out, MW_REQ_ENTER_STATE, coordinator->item.id);
        return;
    }
    const struct mw_transition_def *transition =
        enabled_transition(world, coordinator, &order, out);
    if (transition == NULL)
        return;
    if (transition->emit.len > 0)
        derive(coordinator, transition, &order, out);
    if (transition->fails) {
        end(world, &order, coordinator, def, false, transition->fail_reason, NULL, out);
        return;
    }
    if (transition->skip)
        mw_tell_skip(world, &order, coordinator->item.id, 0, transition->rule, transition->when,
                     transition->rule_field, def->states[transition->go].name, out);
    if (coordinator->transitions >= limit_transitions_max) {
        halt(world, &order, coordinator, def, "transitions", limit_transitions_max, out);
        return;
    }
    const struct mw_state_def *next = &def->states[transition->go];
    if (next->final) {
        end(world, &order, coordinator, def, true, MW_STR_NONE, NULL, out);
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_STATE_ENTERED);
    mw_event_about(world, out, event, &coordinator->item);
    event->coordinator = def->name;
    event->key = coordinator->key;
    event->service = coordinator->key;
    event->from_state = state->name;
    event->state = next->name;
    event->stage = next->name;
    event->state_index = transition->go;
    event->skipped = transition->skip;
    event->rule = transition->rule;
    event->by_event = transition->skip ? transition->rule
                      : transition->event_count > 0
                          ? transition->events[0]
                          : group_event(world, coordinator, state, transition->group);
    event->due_us = next->timeout_ms > 0 ? request->now_us + (int64_t)next->timeout_ms * 1000 : 0;
}

/* ---- ending ---- */

static bool is_inside(const struct mw_world *world, const struct mw_item *item, mw_seq coordinator)
{
    for (; item != NULL; item = mw_world_item(world, item->owner))
        if (item->owner == coordinator)
            return true;
    return false;
}

static void end(const struct mw_world *world, const struct mw_order *order,
                const struct mw_coordinator *coordinator, const struct mw_coordinator_def *def,
                bool completed, struct mw_str reason, const struct mw_event *cause,
                struct mw_out *out)
{
    struct mw_str body = MW_STR("{}"), why = MW_STR_NONE;
    bool whole = !completed || mw_eval_bindings(world, out->arena, order->trace, &order->place,
                                                &def->result, MW_FACT_BODY_MAX, &body, &why);
    if (!whole)
        body = MW_STR("{}"); /* `why` stands in the record */
    struct mw_event *event = mw_out_event(out, MW_EVT_COORDINATOR_ENDED);
    mw_event_about(world, out, event, &coordinator->item);
    event->type = completed ? def->completes_with : MW_STR("SessionTerminated");
    event->coordinator = def->name;
    event->key = coordinator->key;
    event->member = coordinator->item.member;
    event->from_state = def->states[coordinator->state].name;
    for (uint32_t i = 0; completed && i < def->state_count; i++)
        if (def->states[i].final)
            event->state = def->states[i].name;
    event->outcome = completed ? MW_STR("completed") : MW_STR("failed");
    event->reason = whole ? reason : why;
    event->body = body;
    if (cause != NULL) {
        event->error_class = cause->error_class;
        event->task_type = cause->task_type;
    }
    mw_out_follow(out, MW_REQ_CANCEL_INSIDE, coordinator->item.id); /* nothing of it works on */
}

static void note_ended(const struct mw_world *world, const struct mw_work *work,
                       const struct mw_request *request, struct mw_out *out)
{
    const struct mw_coordinator *coordinator =
        (const struct mw_coordinator *)mw_world_item(world, request->item);
    struct mw_order order = order_of(world, coordinator, request);
    if (mw_str_is(request->cause->outcome, "completed") || order.catalogue == NULL ||
        order.trace->cancelled) {
        advance(world, work, request, out);
        return;
    }
    struct mw_str what =
        request->cause->task_type.len > 0 ? request->cause->task_type : request->cause->group_id;
    end(world, &order, coordinator, &order.catalogue->coordinators[coordinator->def], false,
        mw_arena_format(out->arena, "%.*s %s: %.*s", MW_STR_ARG(what),
                        mw_str_is(request->cause->outcome, "cancelled") ? "was cancelled"
                                                                        : "failed",
                        MW_STR_ARG(request->cause->reason)),
        request->cause, out);
}

/* An item was stopped from above: what works inside it stops too. */
void mw_coordinator_cancel_inside(const struct mw_world *world, const struct mw_request *request,
                                  struct mw_out *out)
{
    const struct mw_item *outer = mw_world_item(world, request->item);
    MW_ASSERT(outer != NULL);
    const struct mw_trace *trace = mw_world_trace_of(world, outer);
    for (const struct mw_item *item = trace->newest_item;
         !trace->cancelled && item != NULL && item->id > outer->id; item = item->older) {
        if (item->outcome != MW_OUTCOME_OPEN || !is_inside(world, item, outer->id))
            continue;
        if (out->event_count + 8 >= MW_OUT_EVENTS_ENOUGH) {
            mw_out_follow(out, MW_REQ_CANCEL_INSIDE, outer->id);
            return;
        }
        if (item->kind == MW_ITEM_TASK) {
            mw_task_cancel(world, item, MW_STR("what asked for it is over"), out);
        } else if (item->kind == MW_ITEM_GROUP) {
            mw_group_cancel(world, (const struct mw_group *)item, out);
        } else if (item->kind == MW_ITEM_COORDINATOR) {
            const struct mw_coordinator *coordinator = (const struct mw_coordinator *)item;
            struct mw_event *event = mw_out_event(out, MW_EVT_COORDINATOR_ENDED);
            mw_event_about(world, out, event, item);
            event->type = MW_STR("SessionTerminated");
            event->key = coordinator->key;
            event->member = coordinator->item.member;
            event->outcome = MW_STR("cancelled");
            event->reason = MW_STR("what asked for it is over");
        }
    }
}

/* Items older than the one with this number; all of them when it is the trace's number. */
static const struct mw_item *first_after(const struct mw_world *world, const struct mw_trace *trace,
                                         mw_seq cursor)
{
    const struct mw_item *item = mw_world_item(world, cursor);
    return item != NULL ? item->older : trace->newest_item;
}

/* A new fact: the coordinator whose scope it is, or all of the trace when it is the trace's, some at a time: the addressee is the last
 * one told, or the trace. */
void mw_coordinator_deliver(const struct mw_world *world, const struct mw_request *request,
                            struct mw_out *out)
{
    const struct mw_event *fact = request->cause;
    const struct mw_trace *trace = mw_world_trace(world, fact->trace);
    if (trace == NULL)
        return;
    if (!fact->trace_wide) {
        const struct mw_item *scope = mw_world_item(world, fact->scope_item);
        if (scope != NULL && scope->kind == MW_ITEM_COORDINATOR &&
            scope->outcome == MW_OUTCOME_OPEN)
            mw_out_follow(out, MW_REQ_ENTER_STATE, scope->id);
        return;
    }
    for (const struct mw_item *item = first_after(world, trace, request->item); item != NULL;
         item = item->older) {
        if (item->kind != MW_ITEM_COORDINATOR || item->outcome != MW_OUTCOME_OPEN)
            continue;
        mw_out_follow(out, MW_REQ_ENTER_STATE, item->id);
        if (out->follow_count == TOLD_AT_ONCE) {
            mw_out_follow(out, MW_REQ_DELIVER, item->id);
            return;
        }
    }
}

/* The outermost item around this one that has ended and does not let the others go on; NULL: none. */
static const struct mw_item *ended_around(const struct mw_world *world, const struct mw_item *item)
{
    const struct mw_item *ended = NULL;
    for (item = mw_world_item(world, item->owner); item != NULL;
         item = mw_world_item(world, item->owner))
        if (item->outcome != MW_OUTCOME_OPEN && !mw_group_keeps_late(world, item))
            ended = item;
    return ended;
}

/* After a step that was full: what is open inside something that has ended, and coordinators that did not hear of a fact. */
void mw_coordinator_take_up(const struct mw_world *world, const struct mw_request *request,
                            struct mw_out *out)
{
    const struct mw_item *at = mw_world_item(world, request->item);
    const struct mw_trace *trace =
        at != NULL ? mw_world_trace_of(world, at) : mw_world_trace(world, request->item);
    MW_ASSERT(trace != NULL);
    for (const struct mw_item *item = first_after(world, trace, request->item);
         item != NULL && !trace->cancelled; item = item->older) {
        if (item->outcome != MW_OUTCOME_OPEN)
            continue;
        const struct mw_item *ended = ended_around(world, item);
        if (ended != NULL)
            mw_out_follow(out, MW_REQ_CANCEL_INSIDE, ended->id);
        else if (item->kind == MW_ITEM_COORDINATOR)
            mw_out_follow(out, MW_REQ_ENTER_STATE, item->id);
        if (ended != NULL || out->follow_count == TOLD_AT_ONCE) {
            mw_out_follow(out, MW_REQ_TAKE_UP_INSIDE, item->id);
            return;
        }
    }
}

void mw_tell_skip(const struct mw_world *world, const struct mw_order *order, mw_seq item,
                  uint32_t ask_index, struct mw_str rule, const struct mw_expr *condition,
                  const struct mw_expr *field, struct mw_str what, struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_PATH_SKIPPED);
    const struct mw_expr *shown = field != NULL ? field : condition;
    event->trace = order->trace->id;
    event->item = item;
    event->scope_item = order->scope;
    event->ask_index = ask_index;
    event->rule = rule;
    event->target = what;
    event->rule_field = shown != NULL ? mw_expr_text(shown) : MW_STR_NONE;
    struct mw_str value = shown != NULL ? mw_eval_shown(world, out->arena, order->trace,
                                                        &order->place, shown, SKIP_VALUE_BYTES)
                                        : MW_STR_NONE;
    if (value.ptr != NULL) {
        struct mw_buf buf;
        struct mw_json json;
        size_t cap = value.len * 6 + 8;
        char *memory = mw_arena_alloc(out->arena, cap);
        mw_buf_init(&buf, memory, memory != NULL ? cap : 0);
        mw_json_init(&json, &buf);
        if (mw_str_is(value, "true") || mw_str_is(value, "false") || mw_str_is(value, "null"))
            mw_json_raw(&json, value);
        else
            mw_json_str(&json, value);
        event->rule_value = mw_buf_str(&buf);
    }
}

/* ---- apply ---- */

static void make_room_to_ask(struct mw_world *world, struct mw_coordinator *coordinator,
                             uint32_t ask_index)
{
    struct mw_trace *trace = mw_world_trace_of(world, &coordinator->item);
    uint32_t cap = coordinator->asked_cap > 0 ? coordinator->asked_cap * 2u : 1;
    while (cap < ask_index)
        cap *= 2;
    mw_seq *asked = mw_pool_alloc(&trace->pool, &world->mem, cap * sizeof(*asked));
    if (coordinator->asked_cap > 0)
        memcpy(asked, coordinator->asked, coordinator->asked_cap * sizeof(*asked));
    coordinator->asked = asked;
    coordinator->asked_cap = (uint8_t)cap;
}

void mw_coordinator_apply(struct mw_world *world, struct mw_work *work,
                          const struct mw_event *event)
{
    struct mw_coordinator *coordinator;
    switch (event->kind) {
    case MW_EVT_COORDINATOR_STARTED: {
        struct mw_trace *trace = mw_world_trace(world, event->trace);
        mw_pool_reserve(&trace->pool, &world->mem,
                        sizeof(*coordinator) + sizeof(*coordinator->asked) + event->key.len);
        coordinator = (struct mw_coordinator *)mw_world_add_item(world, event, MW_ITEM_COORDINATOR,
                                                                 sizeof(*coordinator));
        coordinator->item.scope = coordinator->item.id;
        make_room_to_ask(world, coordinator, 1); /* most states ask for one or two things */
        /* A flow of one coordinator often has the trace's name for a key. */
        coordinator->key = mw_str_eq(event->key, trace->wire_id)
                               ? trace->wire_id
                               : mw_pool_copy(&trace->pool, &world->mem, event->key);
        coordinator->def = (uint32_t)event->coordinator_def;
        coordinator->document = (uint8_t)event->document;
        coordinator->node = (uint32_t)event->node;
        coordinator->item.member = (uint32_t)event->member;
        coordinator->state = (uint32_t)event->state_index;
        if (coordinator->item.member > 0)
            mw_group_member_opened(world, event->owner, coordinator->item.member);
        return;
    }
    case MW_EVT_STATE_ENTERED:
        coordinator = (struct mw_coordinator *)mw_world_item(world, event->item);
        coordinator->state = (uint32_t)event->state_index;
        coordinator->fired = 0;
        coordinator->transitions++;
        if (coordinator->asked_cap > 0)
            memset(coordinator->asked, 0, coordinator->asked_cap * sizeof(*coordinator->asked));
        return;
    case MW_EVT_PATH_SKIPPED:
        if (event->ask_index > 0)
            mw_coordinator_asked(world, event->item, (uint32_t)event->ask_index, 0);
        return;
    case MW_EVT_COORDINATOR_HALTED:
        return;
    case MW_EVT_COORDINATOR_ENDED: {
        coordinator = (struct mw_coordinator *)mw_world_item(world, event->item);
        enum mw_outcome outcome = mw_outcome_by_name(event->outcome);
        mw_world_end_item(world, &coordinator->item, outcome);
        if (coordinator->item.member > 0)
            mw_group_member_ended(world, work, coordinator->item.owner, coordinator->item.member,
                                  outcome, event);
        if (outcome == MW_OUTCOME_COMPLETED) {
            struct mw_event fact = *event;
            fact.trace_wide = true;
            mw_task_add_fact(world, &fact);
        }
        work->dirty = true;
        return;
    }
    default:
        MW_UNREACHABLE("an event that is not about coordinators");
    }
}

void mw_coordinator_asked(struct mw_world *world, mw_seq owner, uint32_t ask_index, mw_seq item)
{
    struct mw_coordinator *coordinator = (struct mw_coordinator *)mw_world_item(world, owner);
    MW_ASSERT(coordinator != NULL);
    MW_ASSERT(ask_index >= 1 && ask_index <= MW_STATE_ASKS_MAX);
    if (coordinator->item.kind != MW_ITEM_COORDINATOR)
        return;
    coordinator->fired |= 1u << (ask_index - 1);
    if (ask_index > coordinator->asked_cap)
        make_room_to_ask(world, coordinator, ask_index);
    coordinator->asked[ask_index - 1] = item;
}
