#include "rules/route.h"
#include "work/internal.h"

#include <string.h>

#define PAYLOAD_BYTES_MAX (384u * 1024)

static void dispatch(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_order *order, const struct mw_choice *choice,
                     struct mw_out *out);
static void queue_or_give_up(const struct mw_world *world, const struct mw_order *order,
                             const struct mw_choice *choice, struct mw_out *out);
static bool reuse_fact(const struct mw_world *world, const struct mw_order *order,
                       struct mw_out *out);
static void decide_result(const struct mw_world *world, const struct mw_work *work,
                          const struct mw_request *request, struct mw_out *out);
static void decide_failure(const struct mw_world *world, const struct mw_request *request,
                           struct mw_out *out);
static void decide_interrupted(const struct mw_world *world, const struct mw_request *request,
                               struct mw_out *out);
static void decide_timeout(const struct mw_world *world, const struct mw_work *work,
                           const struct mw_request *request, struct mw_out *out);
static void decide_settle(const struct mw_world *world, const struct mw_work *work,
                          const struct mw_request *request, struct mw_out *out);
static void decide_answer(const struct mw_world *world, const struct mw_work *work,
                          const struct mw_request *request, struct mw_out *out);

void mw_task_decide(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_request *request, struct mw_out *out)
{
    switch (request->kind) {
    case MW_REQ_RECORD_RESULT:
        decide_result(world, work, request, out);
        return;
    case MW_REQ_RECORD_FAILURE:
    case MW_REQ_EXPIRE_LEASE: /* the attempt failed; what the host observed is in the body, as always */
        decide_failure(world, request, out);
        return;
    case MW_REQ_NOTE_INTERRUPTED:
        decide_interrupted(world, request, out);
        return;
    case MW_REQ_NOTE_TIMEOUT:
        decide_timeout(world, work, request, out);
        return;
    case MW_REQ_SETTLE_TASK:
        decide_settle(world, work, request, out);
        return;
    case MW_REQ_ANSWER_ITEM:
        decide_answer(world, work, request, out);
        return;
    default:
        MW_UNREACHABLE("a request that is not about tasks");
    }
}

/* ---- starting ---- */

struct mw_order mw_task_order(const struct mw_world *world, const struct mw_task *task,
                              const struct mw_request *request)
{
    const struct mw_trace *trace = mw_world_trace_of(world, &task->item);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    const struct mw_item *scope = mw_world_item(world, task->item.scope);
    struct mw_order order = {.trace = trace,
                             .catalogue = catalogue,
                             .def = catalogue != NULL ? catalogue->tasks[task->def] : NULL,
                             .task = task,
                             .owner = task->item.owner,
                             .scope = task->item.scope,
                             .member = task->item.member,
                             .ask = task->item.owner_ask,
                             .letter = task->letter,
                             .now_us = request->now_us,
                             .entropy = request->entropy};
    order.place = (struct mw_place){.scope = task->item.scope,
                                    .document = task->document,
                                    .node = task->node,
                                    .outer_document = task->outer_document,
                                    .outer_node = task->outer_node,
                                    .event_fact = task->event_fact};
    if (scope != NULL && scope->kind == MW_ITEM_COORDINATOR && catalogue != NULL)
        order.place.coordinator =
            &catalogue->coordinators[((const struct mw_coordinator *)scope)->def];
    return order;
}

/* The fields by which replay can make the task again. */
static void describe(const struct mw_world *world, const struct mw_order *order,
                     struct mw_event *event, struct mw_out *out)
{
    mw_seq id = order->task != NULL ? order->task->item.id : mw_out_next_seq(world, out) - 1;
    event->task_type = order->def->skill;
    event->task_id = mw_wire_id(world, out->arena, "t", id);
    event->trace = order->trace->id;
    event->owner = order->owner;
    event->scope_item = order->scope;
    event->task_def = order->def->index;
    if (order->task != NULL) {
        event->item = order->task->item.id;
        return;
    }
    event->member = order->member;
    event->ask_index = order->ask;
    event->document = order->place.document;
    event->node = order->place.node;
    event->outer_document = order->place.outer_document;
    event->outer_node = told_node(order->place.outer_node);
    event->fact = order->place.event_fact;
    event->letter = order->letter;
}

static struct mw_str eval_or(const struct mw_world *world, const struct mw_order *order,
                             const struct mw_expr *expr, struct mw_str otherwise,
                             struct mw_out *out)
{
    struct mw_str text, why;
    if (expr == NULL ||
        !mw_eval_text(world, out->arena, order->trace, &order->place, expr, &text, &why))
        return otherwise;
    return text;
}

bool mw_task_start(const struct mw_world *world, const struct mw_work *work,
                   const struct mw_order *order, bool wait, struct mw_out *out)
{
    size_t mark = out->arena->used_bytes;
    if (order->task == NULL && reuse_fact(world, order, out))
        return true;
    struct mw_str domain = eval_or(world, order, order->def->domain, MW_STR("*"), out);
    struct mw_choice choice =
        mw_agents_choose(work, out->arena, order->def->skill, domain, order->task, MW_AMONG_FREE);
    if (choice.agent != MW_AGENT_NONE && !order->trace->paused) {
        dispatch(world, work, order, &choice, out);
        return true;
    }
    if (choice.exists && !wait) {
        out->arena->used_bytes = mark; /* thousands may be asked in one walk */
        return false;
    }
    queue_or_give_up(world, order, &choice, out);
    return true;
}

static bool is_expected(const struct mw_task_def *def, struct mw_str type)
{
    for (uint32_t i = 0; i < def->expects_count; i++)
        if (mw_str_eq(def->expects[i], type))
            return true;
    return false;
}

/* C-30: work with a key that the trace has seen done is not done again; the fact stands for it. */
static bool reuse_fact(const struct mw_world *world, const struct mw_order *order,
                       struct mw_out *out)
{
    if (order->def->key == NULL || order->letter != 0) /* who puts it back wants it done */
        return false;
    struct mw_str key = eval_or(world, order, order->def->key, MW_STR_NONE, out);
    const struct mw_fact *fact = NULL;
    for (const struct mw_fact *at = order->trace->newest_fact; at != NULL && fact == NULL;
         at = at->older)
        if (key.len > 0 && mw_str_eq(at->key, key) && is_expected(order->def, at->type))
            fact = at;
    if (fact == NULL)
        return false;
    struct mw_event *ready = mw_out_event(out, MW_EVT_TASK_READY);
    mw_seq id = mw_out_next_seq(world, out) - 1;
    describe(world, order, ready, out);
    struct mw_event *ended = mw_out_event(out, MW_EVT_TASK_ENDED);
    ended->type = MW_STR("TaskCompleted");
    ended->item = id;
    ended->trace = order->trace->id;
    ended->owner = order->owner;
    ended->scope_item = order->scope;
    ended->task_id = ready->task_id;
    ended->task_type = order->def->skill;
    ended->key = key;
    ended->fact = fact->seq;
    ended->outcome = MW_STR("completed");
    ended->reason = MW_STR("done before in this trace: the recorded result stands");
    return true;
}

static void fail_at_once(const struct mw_world *world, const struct mw_order *order,
                         struct mw_str why, struct mw_out *out)
{
    mw_seq id = order->task != NULL ? order->task->item.id : mw_out_next_seq(world, out);
    struct mw_str task_id = mw_wire_id(world, out->arena, "t", id);
    if (order->task == NULL)
        describe(world, order, mw_out_event(out, MW_EVT_TASK_READY), out);
    struct mw_event *failed = mw_out_event(out, MW_EVT_TASK_FAILED);
    failed->item = id;
    failed->trace = order->trace->id;
    failed->owner = order->owner;
    failed->scope_item = order->scope;
    failed->task_id = task_id;
    failed->task_type = order->def->skill;
    failed->error_class = MW_STR("invalid_input");
    failed->reason = why;
    failed->no_retry = true;
}

bool mw_task_payload(const struct mw_world *world, const struct mw_order *order, struct mw_out *out,
                     struct mw_str *ret_payload, struct mw_str *ret_why)
{
    if (order->letter == 0)
        return mw_eval_bindings(world, out->arena, order->trace, &order->place,
                                &order->def->payload, PAYLOAD_BYTES_MAX, ret_payload, ret_why);
    *ret_payload = mw_trace_more(order->trace)
                       ->letter_payload; /* as it was; the facts it was made from are gone */
    return true;
}

static void dispatch(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_order *order, const struct mw_choice *choice,
                     struct mw_out *out)
{
    const struct mw_agent *agent = &work->agents[choice->agent];
    const struct mw_policy *policy = &order->catalogue->policies[order->def->policy];
    bool person = agent->def.kind == MW_AGENT_HUMAN;
    struct mw_str payload, why;
    if (!mw_task_payload(world, order, out, &payload, &why)) {
        fail_at_once(world, order, why, out);
        return;
    }
    struct mw_str subject = eval_or(world, order, order->def->subject, order->def->skill, out);
    if (choice->fallback) {
        struct mw_event *fallback = mw_out_event(out, MW_EVT_ROUTING_FALLBACK);
        fallback->trace = order->trace->id;
        fallback->scope_item = order->scope;
        fallback->task_type = order->def->skill;
        fallback->agent_id = agent->id;
        fallback->routing = mw_route_whole_trail(out->arena, choice->trail, order->def->skill);
        fallback->reason = MW_STR("nobody with the skill has the domain");
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_TASK_DISPATCHED);
    describe(world, order, event, out);
    event->agent_id = agent->id;
    event->target_agent = agent->id;
    event->agent_kind = (uint64_t)agent->def.kind;
    event->attempt = (order->task != NULL ? order->task->attempt : 0u) + 1;
    event->component_tag = mw_component_tag(out->arena, agent->def.type, subject);
    event->routing = choice->trail;
    uint32_t timeout_ms = agent->def.deadline_ms > 0 ? agent->def.deadline_ms : policy->timeout_ms;
    event->due_us = person ? 0 : order->now_us + (int64_t)timeout_ms * 1000;
    event->body = payload;
}

/* After `tried` of them, before the next. */
static uint64_t backoff_ms(const struct mw_policy *policy, uint32_t tried)
{
    uint64_t wait_ms = policy->backoff_base_ms;
    for (uint32_t i = 1; i < tried && wait_ms < policy->backoff_cap_ms; i++)
        wait_ms *= policy->backoff_factor;
    return wait_ms < policy->backoff_cap_ms ? wait_ms : policy->backoff_cap_ms;
}

static int64_t wait_us(uint64_t wait_ms)
{
    return (int64_t)(wait_ms > 0 ? wait_ms : 1) * 1000;
}

/* Nobody is free: it waits in the queue. Nobody has the skill: it is told, tried again, and in the end handed on. */
static void queue_or_give_up(const struct mw_world *world, const struct mw_order *order,
                             const struct mw_choice *choice, struct mw_out *out)
{
    const struct mw_policy *policy = &order->catalogue->policies[order->def->policy];
    if (choice->exists || order->trace->paused) {
        if (order->task == NULL)
            describe(world, order, mw_out_event(out, MW_EVT_TASK_READY), out);
        return;
    }
    uint32_t tried = (order->task != NULL ? order->task->routing_attempts : 0u) + 1;
    struct mw_event *event = mw_out_event(out, MW_EVT_AGENT_NOT_FOUND);
    describe(world, order, event, out);
    event->routing = mw_route_whole_trail(out->arena, choice->trail, order->def->skill);
    event->routing_attempt = tried;
    event->reason = mw_arena_format(out->arena, "no agent is registered with the skill %.*s",
                                    MW_STR_ARG(order->def->skill));
    event->due_us = order->now_us + wait_us(backoff_ms(policy, tried));
}

/* ---- answers ---- */

/* The task an answer is for, if the answer still counts; else it is kept as late, or there is nothing to say it about. */
static const struct mw_task *fenced(const struct mw_world *world, const struct mw_request *request,
                                    struct mw_out *out)
{
    const struct mw_item *item = mw_world_item(world, request->item);
    if (item == NULL || item->kind != MW_ITEM_TASK) {
        mw_out_refuse(out, MW_E_MISSING, "", MW_STR("the task's trace has ended"));
        return NULL;
    }
    const struct mw_task *task = (const struct mw_task *)item;
    if (task->state == MW_TASK_RUNNING && task->fence == request->fence)
        return task;
    struct mw_event *late = mw_out_event(out, MW_EVT_TASK_LATE);
    uint32_t payload = mw_node_get(request->body, request->body_node, "payload");
    mw_event_about(world, out, late, item);
    late->fence = request->fence;
    late->event_type = MW_STR_NONE;
    late->inputs_sha256 = mw_node_get_text(request->body, request->body_node, "inputSha256");
    late->files_sha256 = mw_node_get_text(request->body, request->body_node, "filesSha256");
    late->reason = MW_STR("the attempt was over: kept as evidence, changes nothing");
    if (mw_node_type(request->body, payload) == MW_NODE_OBJECT &&
        request->body->nodes[payload].text.len <= MW_RESULT_INLINE_MAX)
        late->body = request->body->nodes[payload].text;
    return NULL;
}

static struct mw_event *attempt_event(const struct mw_world *world, const struct mw_task *task,
                                      enum mw_event_kind kind, const struct mw_request *request,
                                      struct mw_out *out)
{
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, &task->item));
    struct mw_event *event = mw_out_event(out, kind);
    mw_event_about(world, out, event, &task->item);
    event->fence = task->fence;
    event->attempt = task->attempt;
    if (catalogue != NULL)
        event->task_type = catalogue->tasks[task->def]->skill;
    if (request->now_us > task->dispatched_us)
        event->elapsed_ms = (uint64_t)(request->now_us - task->dispatched_us) / 1000;
    return event;
}

/* P06: an agent has it, or had it until now, and no second one may; what a person sends back, the person has decided. */
static bool is_asked_once(const struct mw_world *world, const struct mw_task *task)
{
    return !task->with_person && mw_work_asks_once(world, task->item.id);
}

/* Nobody said what came of it, and it may have been done. */
static void end_unknown(const struct mw_world *world, const struct mw_task *task,
                        struct mw_event *event)
{
    if (!is_asked_once(world, task))
        return;
    event->error_class = MW_STR("unknown");
    event->no_retry = true;
}

static void fail_attempt(const struct mw_world *world, const struct mw_task *task,
                         const char *error_class, struct mw_str reason,
                         const struct mw_request *request, struct mw_out *out)
{
    struct mw_event *event = attempt_event(world, task, MW_EVT_TASK_FAILED, request, out);
    event->error_class = mw_str_of(error_class);
    event->reason = reason;
    end_unknown(world, task, event);
}

/* What state keeps of a large body: its members that are no containers and not long. */
static struct mw_str shortened(struct mw_arena *arena, const struct mw_tape *tape, uint32_t object)
{
    struct mw_buf buf;
    struct mw_json json;
    char *memory = mw_arena_alloc(arena, MW_FACT_BODY_MAX);
    mw_buf_init(&buf, memory, memory != NULL ? MW_FACT_BODY_MAX : 0);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    for (uint32_t key = mw_node_first(tape, object); key != MW_NODE_NONE;
         key = mw_node_after(tape, object, key)) {
        const struct mw_node *value = &tape->nodes[key + 1];
        size_t size_max = (tape->nodes[key].text.len + value->text.len) * 6; /* all of it escaped */
        if (value->type == MW_NODE_OBJECT || value->type == MW_NODE_ARRAY ||
            value->text.len > 256 || buf.len + size_max + 256 > MW_FACT_BODY_MAX)
            continue;
        mw_json_key(&json, tape->nodes[key].text);
        mw_json_node(&json, tape, key + 1);
    }
    mw_json_object_end(&json);
    MW_ASSERT(memory == NULL || !buf.overflowed);
    return mw_buf_str(&buf);
}

/* Which of the trace's documents this event's payload is; 0: none. */
static uint32_t document_index(const struct mw_world *world, const struct mw_trace *trace,
                               struct mw_str type)
{
    return mw_document_index(mw_world_documents(world, trace), type);
}

bool mw_work_wants_document(const struct mw_world *world, mw_seq task, struct mw_str type)
{
    const struct mw_item *item = mw_world_item(world, task);
    return item != NULL && document_index(world, mw_world_trace_of(world, item), type) > 0;
}

/* Whoever held the task says it: the agent by its id, a person by name (FH-11). */
static void sign_result(const struct mw_world *world, const struct mw_work *work,
                        const struct mw_task *task, const struct mw_order *order,
                        const struct mw_request *request, struct mw_event *event,
                        struct mw_out *out)
{
    MW_ASSERT(task->agent > 0);
    const struct mw_agent *agent = &work->agents[task->agent - 1];
    struct mw_str subject = eval_or(world, order, order->def->subject, order->def->skill, out);
    event->agent_id = agent->id;
    event->emitted_by = task->with_person && request->actor.len > 0 ? request->actor : agent->id;
    event->component_tag = mw_component_tag(out->arena, agent->def.type, subject);
}

static void put_result(const struct mw_world *world, const struct mw_work *work,
                       const struct mw_task *task, const struct mw_task_def *def,
                       struct mw_str type, uint32_t payload, const struct mw_request *request,
                       struct mw_out *out)
{
    const struct mw_item *owner = mw_world_item(world, task->item.owner);
    struct mw_order order = mw_task_order(world, task, request);
    struct mw_event *event = attempt_event(world, task, MW_EVT_TASK_RESULT, request, out);
    const struct mw_tape *body = request->body;
    sign_result(world, work, task, &order, request, event, out);
    event->type = type;
    event->owner = 0; /* as when it was asked */
    event->duration_ms = event->elapsed_ms;
    event->elapsed_ms = 0; /* the payload is the agent's own */
    event->inputs_sha256 = mw_node_get_text(body, request->body_node, "inputSha256");
    event->files_sha256 = request->kind == MW_REQ_ANSWER_ITEM
                              ? request->files_sha256
                              : mw_node_get_text(body, request->body_node, "filesSha256");
    event->rationale =
        mw_str_fit(mw_node_get_text(body, request->body_node, "rationale"), MW_WORDS_MAX);
    event->actor = request->actor;
    event->outcome = MW_STR("completed"); /* one record says the result and that its task is over */
    uint32_t usage = mw_node_get(body, request->body_node, "usage");
    if (mw_node_type(body, usage) == MW_NODE_OBJECT &&
        body->nodes[usage].text.len <= MW_RESULT_INLINE_MAX)
        event->usage = body->nodes[usage].text;
    event->body = body->nodes[payload].text;
    if (event->body.len > MW_RESULT_INLINE_MAX) {
        event->body_sha256 = mw_node_get_text(body, request->body_node, "payloadSha256");
        event->body = shortened(out->arena, body, payload);
    }
    event->document = document_index(world, mw_world_trace_of(world, &task->item), type);
    if (event->document > 0)
        event->body_sha256 = mw_node_get_text(body, request->body_node, "payloadSha256");
    event->trace_wide = def->scope_wide || owner == NULL ||
                        (owner->kind != MW_ITEM_COORDINATOR && owner->kind != MW_ITEM_GROUP);
    event->key = eval_or(world, &order, def->key, MW_STR_NONE, out);
    struct mw_str blueprint = mw_node_get_text(body, payload, "blueprintId");
    if (blueprint.len > 0 && blueprint.len <= 128)
        event->blueprint_id = blueprint;
}

static void decide_result(const struct mw_world *world, const struct mw_work *work,
                          const struct mw_request *request, struct mw_out *out)
{
    const struct mw_task *task = fenced(world, request, out);
    if (task == NULL)
        return;
    const struct mw_trace *trace = mw_world_trace_of(world, &task->item);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    uint32_t payload = mw_node_get(request->body, request->body_node, "payload");
    struct mw_str type = mw_node_get_text(request->body, request->body_node, "type");
    if (catalogue == NULL) {
        fail_attempt(world, task, "internal", MW_STR("the definitions of this trace are missing"),
                     request, out);
        return;
    }
    const struct mw_task_def *def = catalogue->tasks[task->def];
    if (!is_expected(def, type) && mw_type_is_reserved(type)) {
        fail_attempt(world, task, "invalid_answer",
                     mw_arena_format(out->arena,
                                     "the agent answered '%.*s', a name that only the control "
                                     "plane may say",
                                     MW_STR_ARG(type)),
                     request, out);
        return;
    }
    if (!is_expected(def, type)) {
        fail_attempt(world, task, "invalid_answer",
                     mw_arena_format(out->arena, "the agent answered '%.*s'; expected was %.*s",
                                     MW_STR_ARG(type), MW_STR_ARG(def->expects[0])),
                     request, out);
        return;
    }
    if (mw_node_type(request->body, payload) != MW_NODE_OBJECT) {
        fail_attempt(world, task, "invalid_answer", MW_STR("the payload is not an object"), request,
                     out);
        return;
    }
    put_result(world, work, task, def, type, payload, request, out);
}

static void decide_failure(const struct mw_world *world, const struct mw_request *request,
                           struct mw_out *out)
{
    const struct mw_task *task = fenced(world, request, out);
    if (task == NULL)
        return;
    const struct mw_tape *body = request->body;
    struct mw_event *event = attempt_event(world, task, MW_EVT_TASK_FAILED, request, out);
    event->error_class = mw_node_get_text(body, request->body_node, "class");
    event->reason = mw_str_fit(mw_node_get_text(body, request->body_node, "message"), MW_WORDS_MAX);
    event->no_retry = !mw_node_bool(body, mw_node_get(body, request->body_node, "retryable"), true);
    event->inputs_sha256 = mw_node_get_text(body, request->body_node, "inputSha256");
    uint32_t evidence = mw_node_get(body, request->body_node, "evidence");
    if (mw_node_type(body, evidence) == MW_NODE_OBJECT &&
        body->nodes[evidence].text.len <= MW_RESULT_INLINE_MAX)
        event->evidence = body->nodes[evidence].text;
    uint32_t usage = mw_node_get(body, request->body_node, "usage");
    if (mw_node_type(body, usage) == MW_NODE_OBJECT &&
        body->nodes[usage].text.len <= MW_RESULT_INLINE_MAX)
        event->usage = body->nodes[usage].text;
    if (!is_asked_once(world, task))
        return;
    event->not_begun = mw_node_bool(body, mw_node_get(body, request->body_node, "notBegun"), false);
    /* The agent's own word is definite: it has failed, and nobody is asked again without a person. */
    if (mw_node_bool(body, mw_node_get(body, request->body_node, "said"), false))
        event->no_retry = true;
    else if (!event->not_begun)
        end_unknown(world, task, event);
}

/* The host that asked has ended; this one did not start it again. For what may be asked again nothing changes: the host starts it. */
static void decide_interrupted(const struct mw_world *world, const struct mw_request *request,
                               struct mw_out *out)
{
    const struct mw_item *item = mw_world_item(world, request->item);
    const struct mw_task *task = (const struct mw_task *)item;
    if (item == NULL || item->kind != MW_ITEM_TASK || task->state != MW_TASK_RUNNING ||
        task->fence != request->fence || !is_asked_once(world, task))
        return; /* it was answered, or ended, in the meantime */
    fail_attempt(world, task, "unknown",
                 MW_STR("the host that asked ended before an answer was recorded"), request, out);
}

/* ---- time, failure, people ---- */

static void decide_timeout(const struct mw_world *world, const struct mw_work *work,
                           const struct mw_request *request, struct mw_out *out)
{
    const struct mw_task *task = (const struct mw_task *)mw_world_item(world, request->item);
    MW_ASSERT(task != NULL);
    const struct mw_trace *trace = mw_world_trace_of(world, &task->item);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    if (task->state == MW_TASK_RUNNING) {
        struct mw_event *event = attempt_event(world, task, MW_EVT_TASK_TIMED_OUT, request, out);
        event->agent_id = task->agent > 0 ? work->agents[task->agent - 1].id : MW_STR_NONE;
        /* The agent's own deadline, where it has one, was the limit that was set when it was asked. */
        if (task->agent > 0 && work->agents[task->agent - 1].def.deadline_ms > 0)
            event->limit_ms = work->agents[task->agent - 1].def.deadline_ms;
        else if (catalogue != NULL)
            event->limit_ms = catalogue->policies[catalogue->tasks[task->def]->policy].timeout_ms;
        end_unknown(world, task, event);
        return;
    }
    if (task->state != MW_TASK_WAITING)
        return;
    if (catalogue != NULL && task->routing_attempts > 0 &&
        task->routing_attempts >=
            catalogue->policies[catalogue->tasks[task->def]->policy].routing_attempts_max) {
        struct mw_event *failed = mw_out_event(out, MW_EVT_ROUTING_FAILED);
        mw_event_about(world, out, failed, &task->item);
        failed->task_type = catalogue->tasks[task->def]->skill;
        failed->task_name = failed->task_type;
        failed->routing_attempt = task->routing_attempts;
        failed->reason =
            mw_arena_format(out->arena, "no agent with the skill %.*s after %u attempts",
                            MW_STR_ARG(failed->task_type), task->routing_attempts);
        failed->payload_task_type = failed->task_type;
        failed->payload_reason = failed->reason;
        return;
    }
    struct mw_event *ready = mw_out_event(out, MW_EVT_TASK_READY);
    mw_event_about(world, out, ready, &task->item);
    if (catalogue != NULL)
        ready->task_type = catalogue->tasks[task->def]->skill;
}

static void end_failed(const struct mw_world *world, const struct mw_task *task,
                       const struct mw_task_def *def, const struct mw_request *request,
                       struct mw_out *out)
{
    struct mw_event *ended = mw_out_event(out, MW_EVT_TASK_ENDED);
    mw_event_about(world, out, ended, &task->item);
    ended->type = MW_STR("TaskEnded");
    ended->outcome = MW_STR("failed");
    ended->attempt = task->attempt;
    ended->error_class = request->cause->error_class;
    ended->reason = request->cause->reason;
    if (ended->reason.len == 0 && request->cause->kind == MW_EVT_TASK_TIMED_OUT)
        ended->reason = mw_arena_format(out->arena, "nothing came within %lu ms",
                                        (unsigned long)request->cause->limit_ms);
    if (def != NULL)
        ended->task_type = def->skill;
}

static void retry(const struct mw_world *world, const struct mw_task *task,
                  const struct mw_policy *policy, const struct mw_request *request,
                  struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_RETRY_SCHEDULED);
    uint64_t wait_ms = backoff_ms(policy, task->attempts_with_agent);
    mw_event_about(world, out, event, &task->item);
    /* Up to a quarter more, so that many do not come back at once. */
    wait_ms += wait_ms >= 4 ? request->entropy % (wait_ms / 4) : 0;
    event->attempt = task->attempt;
    event->due_us = request->now_us + wait_us(wait_ms);
    event->reason = MW_STR("the same agent again");
}

static void reroute(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_task *task, const struct mw_request *request,
                    struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_RETRY_SCHEDULED);
    mw_event_about(world, out, event, &task->item);
    event->attempt = task->attempt;
    event->agent_excluded = work->agents[task->agent - 1].id;
    event->due_us = request->now_us + 1000;
    event->reason = MW_STR("another agent with the skill");
}

/* No agent can say so: it is what is left when none has said anything. */
static bool is_unknown(const struct mw_event *cause)
{
    return cause->no_retry && mw_str_is(cause->error_class, "unknown");
}

/* FH-05: a person gets what no agent could do. */
static bool escalate(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_task *task, const struct mw_request *request,
                     struct mw_out *out)
{
    struct mw_order order = mw_task_order(world, task, request);
    /* Somebody who reviews what others could not do; any other person only when nobody has said so. */
    struct mw_str skill = MW_STR("ReviewTask");
    struct mw_choice choice =
        mw_agents_choose(work, out->arena, skill, MW_STR("*"), NULL, MW_AMONG_REVIEWERS);
    if (choice.agent == MW_AGENT_NONE || work->agents[choice.agent].def.kind != MW_AGENT_HUMAN) {
        skill = order.def->skill;
        choice = mw_agents_choose(work, out->arena, skill, MW_STR("*"), NULL, MW_AMONG_PEOPLE);
    }
    if (choice.agent == MW_AGENT_NONE)
        return false;
    choice.trail = mw_route_whole_trail(out->arena, choice.trail, skill);
    struct mw_event *event = mw_out_event(out, MW_EVT_TASK_ESCALATED);
    mw_event_about(world, out, event, &task->item);
    event->task_type = order.def->skill;
    event->task_name = order.def->skill;
    event->reason = request->cause->reason;
    if (event->reason.len == 0)
        event->reason = request->cause->kind == MW_EVT_TASK_TIMED_OUT
                            ? mw_arena_format(out->arena, "nothing came within %lu ms",
                                              (unsigned long)request->cause->limit_ms)
                            : MW_STR("no agent could do it");
    if (is_unknown(request->cause)) {
        event->error_class = request->cause->error_class;
        event->reason = mw_arena_format(out->arena, "what came of it is unknown: %.*s",
                                        MW_STR_ARG(event->reason));
    }
    event->payload_task_type = event->task_type;
    event->payload_reason = event->reason;
    event->escalation_target = work->agents[choice.agent].def.type;
    dispatch(world, work, &order, &choice, out);
    return true;
}

static bool other_agent_exists(const struct mw_work *work, const struct mw_task *task,
                               struct mw_str skill, struct mw_out *out)
{
    struct mw_task tried = *task;
    if (task->agent == 0 || task->excluded_count >= MW_EXCLUDED_MAX)
        return false;
    tried.excluded[tried.excluded_count++] = (uint16_t)(task->agent - 1);
    return mw_agents_choose(work, out->arena, skill, MW_STR("*"), &tried, MW_AMONG_FREE).exists;
}

/* A retry goes to whoever is free, and an agent's count begins anew with each change: between two who are busy in turns it would never reach
 * its end. So all attempts together have one, too; what a person sent back is counted by the person. */
static bool is_within(const struct mw_task *task, const struct mw_policy *policy)
{
    return task->escalated || task->attempt < policy->attempts_max * (task->excluded_count + 1u);
}

/* No agent is asked any more: it is a task for one, who was asked. */
static bool is_over(const struct mw_world *world, const struct mw_task *task,
                    const struct mw_event *cause)
{
    return is_asked_once(world, task) && !cause->not_begun &&
           (cause->kind == MW_EVT_TASK_TIMED_OUT || cause->fence != 0);
}

static void decide_settle(const struct mw_world *world, const struct mw_work *work,
                          const struct mw_request *request, struct mw_out *out)
{
    const struct mw_task *task = (const struct mw_task *)mw_world_item(world, request->item);
    MW_ASSERT(task != NULL);
    if (task->state == MW_TASK_ENDED)
        return; /* cancelled meanwhile, in this very step */
    const struct mw_trace *trace = mw_world_trace_of(world, &task->item);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    const struct mw_task_def *def = catalogue != NULL ? catalogue->tasks[task->def] : NULL;
    const struct mw_item *owner = mw_world_item(world, task->item.owner);
    bool unwanted = owner != NULL && owner->outcome != MW_OUTCOME_OPEN;
    if (def == NULL || unwanted || trace->cancelled) {
        end_failed(world, task, def, request, out);
        return;
    }
    const struct mw_policy *policy = &catalogue->policies[def->policy];
    bool routing_failed = request->cause->kind == MW_EVT_ROUTING_FAILED;
    bool over = routing_failed || is_over(world, task, request->cause);
    bool same_again = !over && !request->cause->no_retry;
    /* Who says "not me" may be right; what is wrong with the task itself is wrong for everybody. */
    bool other_next =
        !over && (same_again || !mw_str_is(request->cause->error_class, "invalid_input"));
    if (same_again && task->attempts_with_agent < policy->attempts_max && is_within(task, policy)) {
        retry(world, task, policy, request, out);
        return;
    }
    /* Who cannot do it has not tried it: that costs none of the further agents that the policy allows. */
    uint32_t others_max = mw_str_is(request->cause->error_class, "unsupported")
                              ? MW_EXCLUDED_MAX
                              : policy->reroutes_max;
    if (other_next && task->excluded_count < others_max &&
        other_agent_exists(work, task, def->skill, out)) {
        reroute(world, work, task, request, out);
        return;
    }
    /* What was never asked because its payload cannot be had, nobody can be given. */
    bool unasked = request->cause->kind == MW_EVT_TASK_FAILED && request->cause->fence == 0;
    if (!unasked && (routing_failed || is_unknown(request->cause) || policy->escalates) &&
        escalate(world, work, task, request, out))
        return;
    mw_letter_write(world, work, task, request, out);
    end_failed(world, task, def, request, out);
}

/* A person is held to what an agent is held to: an answer without any file would leave a hole that nobody notices before the promotion. */
static struct mw_str asks_for_files(const struct mw_world *world, const struct mw_order *order,
                                    struct mw_out *out)
{
    struct mw_buf text;
    struct mw_str *paths = mw_arena_array(out->arena, struct mw_str, order->def->owns_count + 1);
    for (uint32_t i = 0; i < order->def->owns_count; i++)
        paths[i] = eval_or(world, order, order->def->owns[i], MW_STR("?"), out);
    mw_arena_text_begin(out->arena, &text);
    mw_buf_put_z(&text, "this task makes files (");
    for (uint32_t i = 0; i < order->def->owns_count; i++)
        mw_buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", MW_STR_ARG(paths[i]));
    mw_buf_put_z(&text, "): answer with --files DIR, the folder that holds them by these paths");
    return mw_arena_text_keep(out->arena, &text);
}

/* What a person says to an item of the inbox: a value, words, or that an agent should try again. */
static void decide_answer(const struct mw_world *world, const struct mw_work *work,
                          const struct mw_request *request, struct mw_out *out)
{
    const struct mw_tape *body = request->body;
    const struct mw_item *item = mw_world_item(world, request->item);
    if (item == NULL || item->kind != MW_ITEM_TASK ||
        ((const struct mw_task *)item)->state != MW_TASK_RUNNING ||
        !((const struct mw_task *)item)->with_person) {
        mw_out_refuse(out, MW_E_MISSING, "/item", MW_STR("no such item waits for a person"));
        return;
    }
    const struct mw_task *task = (const struct mw_task *)item;
    struct mw_order order = mw_task_order(world, task, request);
    struct mw_str action = mw_node_get_text(body, request->body_node, "action");
    if (order.def == NULL) {
        mw_out_refuse(out, MW_E_CONFIG, "/item",
                      MW_STR("the definitions of this trace are missing"));
        return;
    }
    if (mw_str_is(action, "retry")) {
        fail_attempt(world, task, "asked_again", MW_STR("a person asked for another attempt"),
                     request, out);
        return;
    }
    uint32_t payload = mw_node_get(body, request->body_node, "payload");
    if (mw_node_type(body, payload) != MW_NODE_OBJECT) {
        mw_out_refuse(out, MW_E_INPUT, "/payload", MW_STR("an answer is an object"));
        return;
    }
    if (order.def->writes_files && request->files_sha256.len == 0) {
        mw_out_refuse(out, MW_E_INPUT, "/files", asks_for_files(world, &order, out));
        return;
    }
    put_result(world, work, task, order.def, order.def->expects[0], payload, request, out);
}

void mw_task_cancel(const struct mw_world *world, const struct mw_item *item, struct mw_str reason,
                    struct mw_out *out)
{
    MW_ASSERT(item->kind == MW_ITEM_TASK);
    struct mw_event *ended = mw_out_event(out, MW_EVT_TASK_ENDED);
    mw_event_about(world, out, ended, item);
    ended->type = MW_STR("TaskEnded");
    ended->outcome = MW_STR("cancelled");
    ended->reason = reason;
}
