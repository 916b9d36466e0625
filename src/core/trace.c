#include "core/internal.h"

#include <string.h>

#define TAKEN_UP_AT_ONCE 128u

static void decide_intent(const struct mw_core *core, const struct mw_request *request,
                          struct mw_out *out);
static void decide_lone(const struct mw_core *core, const struct mw_request *request,
                        struct mw_out *out);
static void decide_chain(const struct mw_core *core, const struct mw_request *request,
                         struct mw_out *out);
static void decide_replay(const struct mw_core *core, const struct mw_request *request,
                          struct mw_out *out);
static void decide_pause(const struct mw_core *core, const struct mw_request *request,
                         struct mw_out *out);
static void decide_cancel(const struct mw_core *core, const struct mw_request *request,
                          struct mw_out *out);
static void decide_terminate(const struct mw_core *core, const struct mw_request *request,
                             struct mw_out *out);
static void decide_timer(const struct mw_core *core, const struct mw_request *request,
                         struct mw_out *out);
static void decide_end(const struct mw_core *core, const struct mw_request *request,
                       struct mw_out *out);
static void decide_definition(const struct mw_core *core, const struct mw_request *request,
                              struct mw_out *out);
static void decide_continue(const struct mw_core *core, const struct mw_request *request,
                            struct mw_out *out);
static void decide_take_up(const struct mw_core *core, const struct mw_request *request,
                           struct mw_out *out);

void mw_trace_decide(const struct mw_core *core, const struct mw_request *request,
                     struct mw_out *out)
{
    switch (request->kind) {
    case MW_REQ_CREATE_JOURNAL: {
        if (core->world.last_seq != 0)
            return;
        struct mw_event *event = mw_out_event(out, MW_EVT_JOURNAL_CREATED);
        event->journal_id =
            mw_arena_format(out->arena, "%06x", (unsigned)(request->entropy & 0xffffff));
        event->format = MW_JOURNAL_FORMAT;
        event->contract = MW_STR(MW_CONTRACT_VERSION);
        event->product_version = mw_node_get_text(request->body, request->body_node, "version");
        event->catalogue = mw_node_get_text(request->body, request->body_node, "sha256");
        return;
    }
    case MW_REQ_LOAD_DEFINITION:
        decide_definition(core, request, out);
        return;
    case MW_REQ_NOTE_QUARANTINE: {
        struct mw_event *event = mw_out_event(out, MW_EVT_REQUEST_QUARANTINED);
        event->request_name = mw_node_get_text(request->body, request->body_node, "request");
        event->sha256 = mw_node_get_text(request->body, request->body_node, "sha256");
        event->request_id = mw_node_get_text(request->body, request->body_node, "messageId");
        return;
    }
    case MW_REQ_SUBMIT_INTENT:
        decide_intent(core, request, out);
        return;
    case MW_REQ_START_LONE_RUN:
    case MW_REQ_START_LONE_COORDINATOR:
    case MW_REQ_START_LONE_UNIT:
        decide_lone(core, request, out);
        return;
    case MW_REQ_START_LONE_CHAIN:
        decide_chain(core, request, out);
        return;
    case MW_REQ_REPLAY_TASK:
        decide_replay(core, request, out);
        return;
    case MW_REQ_PAUSE_TRACE:
    case MW_REQ_RESUME_TRACE:
        decide_pause(core, request, out);
        return;
    case MW_REQ_CANCEL_TRACE:
        decide_cancel(core, request, out);
        return;
    case MW_REQ_TERMINATE:
        decide_terminate(core, request, out);
        return;
    case MW_REQ_RING_TIMER:
        decide_timer(core, request, out);
        return;
    case MW_REQ_TAKE_UP:
        decide_take_up(core, request, out);
        return;
    case MW_REQ_CONTINUE:
        decide_continue(core, request, out);
        return;
    case MW_REQ_END_TRACE:
    case MW_REQ_NOTE_ENDED: /* to nobody: a lone item has ended */
        decide_end(core, request, out);
        return;
    default:
        MW_UNREACHABLE("a request that is not core's");
    }
}

/* ---- opening ---- */

static bool is_name(struct mw_str s, size_t len_max)
{
    if (s.len == 0 || s.len > len_max)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool plain = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        if (!plain)
            return false;
    }
    return true;
}

/* Of the form that this journal gives to what it makes (mw_wire_id): sooner or later something has it. */
static bool is_given_here(const struct mw_world *world, struct mw_str name)
{
    mw_seq number = mw_wire_number(name);
    struct mw_str journal_id = world->journal_id;
    if (number == 0)
        return mw_str_is(name, "workspace"); /* what belongs to no trace */
    while (name.ptr[name.len - 1] != '-')
        name.len--;
    name.len--;
    return mw_str_ends(name, journal_id) && name.len > journal_id.len &&
           name.ptr[name.len - journal_id.len - 1] == '-';
}

static uint64_t name_key(struct mw_str name)
{
    uint64_t hash = mw_str_hash(name);
    return hash != 0 ? hash : 1;
}

/* Checks what every opening has; fills the event's ids. False: refused. */
static bool open_trace(const struct mw_core *core, const struct mw_request *request,
                       enum mw_event_kind kind, struct mw_out *out, struct mw_event **ret_event)
{
    const struct mw_tape *body = request->body;
    struct mw_str wanted = mw_node_get_text(body, request->body_node, "traceId");
    struct mw_str parent = mw_node_get_text(body, request->body_node, "parentTraceId");
    struct mw_str priority = mw_node_get_text(body, request->body_node, "priority");
    if (core->catalogue_sha256.len == 0) {
        mw_out_refuse(out, MW_E_CONFIG, "", MW_STR("no definitions are loaded"));
        return false;
    }
    if (wanted.len > 0 && !is_name(wanted, 64)) {
        mw_out_refuse(out, MW_E_INPUT, "/traceId",
                      MW_STR("a traceId has 1 to 64 letters, digits, '-', '_' or '.'"));
        return false;
    }
    if (wanted.len > 0 && mw_set_has(&core->trace_names, name_key(wanted))) {
        mw_out_refuse(out, MW_E_CONFLICT, "/traceId",
                      mw_arena_format(out->arena, "traceId '%.*s' is in use", MW_STR_ARG(wanted)));
        return false;
    }
    if (wanted.len > 0 && is_given_here(&core->world, wanted)) {
        mw_out_refuse(out, MW_E_INPUT, "/traceId",
                      mw_arena_format(out->arena,
                                      "'%.*s' is of the form of the ids that are given here; take "
                                      "another",
                                      MW_STR_ARG(wanted)));
        return false;
    }
    if (parent.len > 128) {
        mw_out_refuse(out, MW_E_INPUT, "/parentTraceId", MW_STR("at most 128 bytes"));
        return false;
    }
    if (priority.len > 0 && !mw_str_is(priority, "low") && !mw_str_is(priority, "normal") &&
        !mw_str_is(priority, "high")) {
        mw_out_refuse(out, MW_E_INPUT, "/priority", MW_STR("priority is low, normal or high"));
        return false;
    }
    mw_seq id = mw_out_next_seq(&core->world, out);
    struct mw_event *event = mw_out_event(out, kind);
    struct mw_str source = mw_node_get_text(body, request->body_node, "source");
    event->trace = id;
    event->trace_id = wanted.len > 0 ? wanted : mw_wire_id(&core->world, out->arena, "tr", id);
    event->session_id = mw_wire_id(&core->world, out->arena, "s", id);
    event->parent_trace_id = parent;
    event->contract_version = MW_STR(MW_CONTRACT_VERSION);
    event->priority = priority.len > 0 ? priority : MW_STR("normal");
    event->source = source.len > 0 ? source : MW_STR("api");
    event->user_id = mw_node_get_text(body, request->body_node, "userId");
    event->catalogue = core->catalogue_sha256;
    event->intent_sha256 = request->body_sha256;
    if (request->body_in_record)
        event->intent_body = request->body->nodes[request->body_node].text;
    event->format = MW_JOURNAL_FORMAT;
    *ret_event = event;
    return true;
}

/* It stands in the record of its trace, and as the objective in those of its runs. */
static bool is_too_long(struct mw_str prompt, struct mw_out *out)
{
    if (prompt.len <= MW_PROMPT_KEPT)
        return false;
    mw_out_refuse(out, MW_E_LIMIT, "/prompt",
                  mw_arena_format(out->arena, "a prompt has at most %u bytes", MW_PROMPT_KEPT));
    return true;
}

static void decide_intent(const struct mw_core *core, const struct mw_request *request,
                          struct mw_out *out)
{
    const struct mw_tape *body = request->body;
    uint32_t prompt = mw_node_get(body, request->body_node, "prompt");
    uint32_t blueprint = mw_node_get(body, request->body_node, "blueprint");
    struct mw_str text = mw_str_trim(mw_node_str(body, prompt));
    struct mw_str journey = mw_node_get_text(body, request->body_node, "journey");
    if (prompt != MW_NODE_NONE && mw_node_type(body, prompt) != MW_NODE_STRING) {
        mw_out_refuse(out, MW_E_INPUT, "/prompt", MW_STR("a prompt is a text"));
        return;
    }
    if (blueprint != MW_NODE_NONE && mw_node_type(body, blueprint) != MW_NODE_OBJECT) {
        mw_out_refuse(out, MW_E_INPUT, "/blueprint", MW_STR("a blueprint is an object"));
        return;
    }
    if (text.len == 0 && blueprint == MW_NODE_NONE) {
        mw_out_refuse(out, MW_E_INPUT, "/prompt",
                      MW_STR("an intent needs a prompt or a blueprint"));
        return;
    }
    if (is_too_long(text, out))
        return;
    struct mw_str name = journey.len > 0 ? journey : MW_STR("new_app");
    mw_seq same = mw_session_same_intent(&core->world, &core->session, request->body_sha256, name);
    if (same != 0) {
        out->answer = same;
        return;
    }
    const struct mw_build *building = mw_session_building(&core->session);
    if (building != NULL) {
        mw_out_refuse(out, MW_E_CONFLICT, "",
                      mw_arena_format(out->arena,
                                      "build %.*s of this workspace is on its way; wait for it, or "
                                      "cancel it",
                                      MW_STR_ARG(building->build_id)));
        return;
    }
    const struct mw_catalogue *catalogue =
        core->world.catalogue(core->world.host, core->catalogue_sha256);
    if (catalogue == NULL || mw_catalogue_journey(catalogue, name) == NULL) {
        mw_out_refuse(
            out, MW_E_CONFIG, "/journey",
            mw_arena_format(out->arena, "no journey '%.*s' is defined", MW_STR_ARG(name)));
        return;
    }
    struct mw_event *event;
    if (!open_trace(core, request, MW_EVT_INTENT_SUBMITTED, out, &event))
        return;
    event->intent_trace = event->trace_id;
    event->user_prompt = text.len > 0 ? text : MW_STR("");
    event->submitted_at = MW_STR("now");
    event->journey = name;
    event->app_name = mw_node_get_text(body, request->body_node, "name");
}

/* A workflow, a coordinator or a repair on its own: the same path, without a session above it. */
static void decide_lone(const struct mw_core *core, const struct mw_request *request,
                        struct mw_out *out)
{
    static const char *const keys[] = {"workflow", "coordinator", "skill"};
    const enum mw_request_kind follows[] = {MW_REQ_START_RUN, MW_REQ_START_COORDINATOR,
                                            MW_REQ_START_UNIT};
    unsigned which = request->kind == MW_REQ_START_LONE_RUN           ? 0
                     : request->kind == MW_REQ_START_LONE_COORDINATOR ? 1
                                                                      : 2;
    const struct mw_tape *body = request->body;
    struct mw_str name = mw_node_get_text(body, request->body_node, keys[which]);
    const struct mw_catalogue *catalogue =
        core->world.catalogue(core->world.host, core->catalogue_sha256);
    const struct mw_workflow_def *workflow =
        catalogue != NULL && which == 0 ? mw_catalogue_workflow(catalogue, name) : NULL;
    const struct mw_coordinator_def *coordinator =
        catalogue != NULL && which == 1 ? mw_catalogue_coordinator(catalogue, name) : NULL;
    const struct mw_task_def *task = NULL;
    for (uint32_t i = 0; catalogue != NULL && which == 2 && i < catalogue->task_count; i++)
        if (mw_str_eq(catalogue->tasks[i]->skill, name))
            task = catalogue->tasks[i];
    if (workflow == NULL && coordinator == NULL && task == NULL) {
        mw_out_refuse(
            out, MW_E_MISSING, mw_arena_format(out->arena, "/%s", keys[which]).ptr,
            mw_arena_format(out->arena, "no %s '%.*s' is defined", keys[which], MW_STR_ARG(name)));
        return;
    }
    struct mw_str prompt = mw_node_get_text(body, request->body_node, "prompt");
    struct mw_event *event;
    if (is_too_long(prompt, out) || !open_trace(core, request, MW_EVT_TRACE_OPENED, out, &event))
        return;
    event->user_prompt = prompt;
    event->workflow_def = workflow != NULL ? workflow->index : 0;
    event->coordinator_def = coordinator != NULL ? coordinator->index : 0;
    event->task_def = task != NULL ? task->index : 0;
    uint32_t payload = mw_node_get(body, request->body_node, "payload");
    event->node = payload != MW_NODE_NONE ? payload : MW_NODE_NONE;
    mw_out_follow(out, follows[which], 0);
}

/* A journey given inline: nothing is written unless the whole of it can be begun. */
static void decide_chain(const struct mw_core *core, const struct mw_request *request,
                         struct mw_out *out)
{
    struct mw_str workflows;
    struct mw_str prompt = mw_node_get_text(request->body, request->body_node, "prompt");
    const struct mw_catalogue *catalogue =
        core->world.catalogue(core->world.host, core->catalogue_sha256);
    if (is_too_long(prompt, out) || !mw_chain_check(catalogue, request, out, &workflows))
        return;
    struct mw_event *event;
    if (!open_trace(core, request, MW_EVT_TRACE_OPENED, out, &event))
        return;
    event->user_prompt = prompt;
    event->workflows = workflows;
    event->node = MW_NODE_NONE;
    mw_out_follow(out, MW_REQ_START_CHAIN, 0);
}

/* Its own row while it is there: several may ask one skill for one result, and differ in what may be written. By other definitions, one that
 * asks for the same. */
static const struct mw_task_def *task_of_letter(const struct mw_core *core,
                                                const struct mw_letter *letter)
{
    const struct mw_catalogue *catalogue =
        core->world.catalogue(core->world.host, core->catalogue_sha256);
    if (catalogue != NULL && letter->catalogue_hash == mw_str_hash(core->catalogue_sha256) &&
        letter->def < catalogue->task_count)
        return catalogue->tasks[letter->def];
    for (uint32_t i = 0; catalogue != NULL && i < catalogue->task_count; i++)
        if (mw_str_eq(catalogue->tasks[i]->skill, letter->skill) &&
            mw_str_eq(catalogue->tasks[i]->expects[0], letter->expects))
            return catalogue->tasks[i];
    return NULL;
}

/* The facts that the task was given: those of its record, and no others. */
static bool brings_inputs(const struct mw_letter *letter, const struct mw_request *request,
                          struct mw_str *ret_inputs, struct mw_out *out)
{
    uint32_t inputs = mw_node_get(request->body, request->body_node, "inputs");
    struct mw_str text = inputs != MW_NODE_NONE ? request->body->nodes[inputs].text : MW_STR_NONE;
    if ((text.len > 0 ? mw_str_hash(text) : 0) != letter->inputs_hash) {
        mw_out_refuse(out, MW_E_INPUT, "/inputs",
                      MW_STR("it goes back with the inputs of its record, unchanged"));
        return false;
    }
    if (text.len > 0 && mw_node_type(request->body, inputs) != MW_NODE_ARRAY) {
        mw_out_refuse(out, MW_E_LIMIT, "/inputs",
                      MW_STR("it had more from earlier tasks than a record lists, so it cannot be "
                             "given the same again: start what it was part of anew"));
        return false;
    }
    *ret_inputs = text;
    return true;
}

/* A dead letter goes back: the same task, from its first attempt on, in a trace of its own, since what it was part of has ended (P08). */
static void decide_replay(const struct mw_core *core, const struct mw_request *request,
                          struct mw_out *out)
{
    const struct mw_letter *letter = mw_work_letter(&core->work, request->item);
    uint32_t payload = mw_node_get(request->body, request->body_node, "payload");
    struct mw_str given;
    if (letter == NULL) {
        mw_out_refuse(out, MW_E_MISSING, "/item", MW_STR("no such task is among the dead letters"));
        return;
    }
    if (letter->put_back != 0) {
        mw_out_refuse(out, MW_E_CONFLICT, "/item",
                      mw_arena_format(out->arena, "it was put back already, in trace %.*s",
                                      MW_STR_ARG(mw_wire_id(&core->world, out->arena, "tr",
                                                            letter->put_back))));
        return;
    }
    if (letter->payload_hash == 0) {
        mw_out_refuse(out, MW_E_INPUT, "/item",
                      MW_STR("its payload could not be made, so no agent was ever asked"));
        return;
    }
    if (mw_node_type(request->body, payload) != MW_NODE_OBJECT ||
        mw_str_hash(request->body->nodes[payload].text) != letter->payload_hash) {
        mw_out_refuse(out, MW_E_INPUT, "/payload",
                      MW_STR("it goes back with the payload of its record, unchanged"));
        return;
    }
    if (!brings_inputs(letter, request, &given, out))
        return;
    const struct mw_task_def *def = task_of_letter(core, letter);
    if (def == NULL) {
        mw_out_refuse(out, MW_E_CONFIG, "/item",
                      mw_arena_format(out->arena,
                                      "no task %.*s with the result %.*s is defined now",
                                      MW_STR_ARG(letter->skill), MW_STR_ARG(letter->expects)));
        return;
    }
    struct mw_event *opened;
    if (!open_trace(core, request, MW_EVT_TRACE_OPENED, out, &opened))
        return;
    opened->parent_trace_id = letter->trace_id;
    struct mw_event *back = mw_out_event(out, MW_EVT_TASK_PUT_BACK);
    back->trace = opened->trace;
    back->scope_item = opened->trace; /* nobody else's scope is left */
    back->letter = letter->task;
    back->fact = letter->event_fact;
    back->inputs = given;
    back->task_type = letter->skill;
    back->task_def = def->index;
    back->document = letter->document;
    back->node = letter->node;
    back->outer_document = letter->outer_document;
    back->outer_node = letter->outer_node;
    back->documents = letter->documents;
    back->intent_body = letter->intent_body;
    back->task_payload = request->body->nodes[payload].text;
    mw_out_follow(out, MW_REQ_START_TASK, 0);
}

/* ---- pausing, cancelling, ending ---- */

static const struct mw_trace *named_trace(const struct mw_core *core,
                                          const struct mw_request *request, struct mw_out *out)
{
    struct mw_str name = mw_node_get_text(request->body, request->body_node, "traceId");
    if (name.len == 0) { /* what is no build's has no build's name: it is not called so */
        mw_out_refuse(out, MW_E_INPUT, "/traceId",
                      MW_STR("which trace or build? its id is a text"));
        return NULL;
    }
    for (uint32_t i = 0; i < core->world.traces.cap; i++) {
        const struct mw_trace *trace = mw_table_at(&core->world.traces, i);
        if (trace != NULL &&
            (mw_str_eq(trace->wire_id, name) || mw_str_eq(mw_trace_more(trace)->build_id, name)))
            return trace;
    }
    mw_out_refuse(out, MW_E_MISSING, "/traceId",
                  mw_arena_format(out->arena, "no open trace or build '%.*s'", MW_STR_ARG(name)));
    return NULL;
}

static void decide_pause(const struct mw_core *core, const struct mw_request *request,
                         struct mw_out *out)
{
    const struct mw_trace *trace = named_trace(core, request, out);
    bool pause = request->kind == MW_REQ_PAUSE_TRACE;
    if (trace == NULL)
        return;
    out->answer = trace->id;
    if (trace->paused == pause)
        return; /* it is so already */
    struct mw_event *event = mw_out_event(out, pause ? MW_EVT_TRACE_PAUSED : MW_EVT_TRACE_RESUMED);
    event->trace = trace->id;
}

static void decide_cancel(const struct mw_core *core, const struct mw_request *request,
                          struct mw_out *out)
{
    const struct mw_trace *trace = named_trace(core, request, out);
    if (trace == NULL)
        return;
    out->answer = trace->id;
    if (trace->cancelled)
        return;
    struct mw_event *event = mw_out_event(out, MW_EVT_TRACE_CANCELLED);
    event->trace = trace->id;
    event->reason = mw_node_get_text(request->body, request->body_node, "why");
}

/* A build that somebody accepted stays what it is; one on its way or not yet reviewed is over. */
static void terminate_build(const struct mw_core *core, const struct mw_item *journey,
                            struct mw_str reason, struct mw_out *out)
{
    const struct mw_build *build = mw_session_build_of(&core->session, journey->trace);
    if (build == NULL || (build->state != MW_BUILD_BUILDING && build->state != MW_BUILD_DRAFT))
        return;
    struct mw_event *event = mw_out_event(out, MW_EVT_BUILD_FAILED);
    mw_event_about(&core->world, out, event, journey);
    event->build_id = build->build_id;
    event->registry_id = build->registry_id;
    event->status = MW_STR("cancelled");
    event->reason = reason;
}

static void terminate_item(const struct mw_core *core, const struct mw_trace *trace,
                           const struct mw_item *item, struct mw_out *out)
{
    struct mw_str reason = trace->closing == MW_OUTCOME_OPEN ? MW_STR("the trace was cancelled")
                                                             : MW_STR("the trace is over");
    if (item->kind == MW_ITEM_TASK) {
        mw_task_cancel(&core->world, item, reason, out);
        return;
    }
    if (item->kind == MW_ITEM_JOURNEY)
        terminate_build(core, item, reason, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_SCOPE_TERMINATED);
    mw_event_about(&core->world, out, event, item);
    event->reason = reason;
}

/* Everything open of a cancelled trace, a handful at a time; then the trace itself. */
static void decide_terminate(const struct mw_core *core, const struct mw_request *request,
                             struct mw_out *out)
{
    const struct mw_trace *trace = mw_world_trace(&core->world, request->item);
    if (trace == NULL || !trace->cancelled)
        return;
    for (const struct mw_item *item = trace->newest_item;
         item != NULL && out->event_count + 4 < MW_OUT_EVENTS_ENOUGH; item = item->older)
        if (item->outcome == MW_OUTCOME_OPEN)
            terminate_item(core, trace, item, out);
    struct mw_event *event =
        mw_out_event(out, out->event_count > 0 ? MW_EVT_TERMINATION_STEPPED : MW_EVT_TRACE_ENDED);
    event->trace = trace->id;
    event->build_id = mw_trace_more(trace)->build_id;
    event->outcome = trace->closing == MW_OUTCOME_OPEN
                         ? MW_STR("cancelled")
                         : mw_str_of(mw_outcome_name((enum mw_outcome)trace->closing));
    event->reason = mw_trace_more(trace)->closing_reason;
}

/* What the trace was opened for has ended. What is open all the same, such as members of a group that kept its late ones, ends first. */
static void decide_end(const struct mw_core *core, const struct mw_request *request,
                       struct mw_out *out)
{
    const struct mw_trace *trace = mw_world_trace(&core->world, request->cause->trace);
    if (trace == NULL || trace->cancelled)
        return;
    struct mw_event *event =
        mw_out_event(out, trace->open_items > 0 ? MW_EVT_TRACE_CLOSING : MW_EVT_TRACE_ENDED);
    event->trace = trace->id;
    event->outcome = request->cause->outcome;
    event->reason = request->cause->reason;
    event->build_id = mw_trace_more(trace)->build_id;
}

static void decide_timer(const struct mw_core *core, const struct mw_request *request,
                         struct mw_out *out)
{
    const struct mw_ask *ask = mw_table_get(&core->world.asks, request->fence);
    if (ask == NULL || ask->due_us == 0)
        return; /* it was answered in the meantime */
    if (request->now_us < ask->due_us) {
        mw_out_refuse(out, MW_E_CONFLICT, "", MW_STR("the timer is not due"));
        return;
    }
    const struct mw_item *item = mw_world_item(&core->world, ask->item);
    MW_ASSERT(item != NULL);
    struct mw_event *event = mw_out_event(out, MW_EVT_TIMER_RANG);
    mw_event_about(&core->world, out, event, item);
    event->fence = ask->seq;
}

static void decide_continue(const struct mw_core *core, const struct mw_request *request,
                            struct mw_out *out)
{
    if (mw_table_get(&core->world.asks, request->fence) == NULL)
        return;
    struct mw_event *event = mw_out_event(out, MW_EVT_STEP_CONTINUED);
    event->fence = request->fence;
    mw_out_follow(out, MW_REQ_TAKE_UP, 0);
}

/* Those that come next after this number, in their order: found in one walk through all of them, since there may be ten thousand. */
static uint32_t next_traces(const struct mw_core *core, mw_seq after,
                            const struct mw_trace *ret_next[TAKEN_UP_AT_ONCE])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->world.traces.cap; i++) {
        const struct mw_trace *trace = mw_table_at(&core->world.traces, i);
        if (trace == NULL || trace->id <= after ||
            (count == TAKEN_UP_AT_ONCE && trace->id > ret_next[count - 1]->id))
            continue;
        uint32_t at = count < TAKEN_UP_AT_ONCE ? count++ : count - 1;
        for (; at > 0 && ret_next[at - 1]->id > trace->id; at--)
            ret_next[at] = ret_next[at - 1];
        ret_next[at] = trace;
    }
    return count;
}

/* Looks for what a full step left, some traces after the others by number; the addressee is the trace before. */
static void decide_take_up(const struct mw_core *core, const struct mw_request *request,
                           struct mw_out *out)
{
    const struct mw_trace *next[TAKEN_UP_AT_ONCE];
    uint32_t count = next_traces(core, request->item, next);
    for (uint32_t i = 0; i < count; i++)
        mw_out_follow(out, next[i]->cancelled ? MW_REQ_TERMINATE : MW_REQ_TAKE_UP_INSIDE,
                      next[i]->id);
    if (count > 0)
        mw_out_follow(out, MW_REQ_TAKE_UP, next[count - 1]->id);
}

static void decide_definition(const struct mw_core *core, const struct mw_request *request,
                              struct mw_out *out)
{
    struct mw_str sha256 = mw_node_get_text(request->body, request->body_node, "sha256");
    if (mw_str_eq(sha256, core->catalogue_sha256))
        return;
    if (core->world.catalogue(core->world.host, sha256) == NULL) {
        mw_out_refuse(out, MW_E_CONFIG, "/sha256", MW_STR("these definitions are not pinned"));
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_DEFINITION_LOADED);
    event->catalogue = sha256;
    event->expected_count = core->world.catalogue(core->world.host, sha256)->running_max;
}

/* ---- apply ---- */

static struct mw_str keep(struct mw_core *core, struct mw_str s)
{
    char *copy = mw_mem_alloc(&core->world.mem, s.len + 1);
    memcpy(copy, s.ptr, s.len);
    return (struct mw_str){copy, s.len};
}

/* What few bring lies apart. */
static void keep_more(struct mw_core *core, struct mw_trace *trace, const struct mw_event *event)
{
    struct mw_mem *mem = &core->world.mem;
    if (event->parent_trace_id.len + event->journey.len + event->user_id.len +
            event->user_prompt.len ==
        0)
        return;
    struct mw_trace_more *more = mw_trace_make_more(&core->world, trace);
    more->parent_trace_id = mw_pool_copy(&trace->pool, mem, event->parent_trace_id);
    more->journey = mw_pool_copy(&trace->pool, mem, event->journey);
    more->user_id = mw_pool_copy(&trace->pool, mem, event->user_id);
    more->prompt = mw_pool_copy(&trace->pool, mem, event->user_prompt);
}

static void apply_opened(struct mw_core *core, const struct mw_event *event)
{
    struct mw_mem *mem = &core->world.mem;
    struct mw_trace *trace = mw_mem_alloc(mem, sizeof(*trace));
    trace->id = event->seq;
    trace->wire_id = mw_shared_str(mw_shared_make(mem, event->trace_id));
    trace->catalogue_sha256 =
        mw_str_eq(event->catalogue, core->catalogue_sha256)
            ? mw_shared_str(mw_shared_hold(mw_shared_of(core->catalogue_sha256)))
            : mw_shared_str(mw_shared_make(mem, event->catalogue));
    keep_more(core, trace, event);
    mw_pool_reserve(&trace->pool, mem, event->source.len + event->intent_body.len);
    trace->intent_source = mw_pool_copy(&trace->pool, mem, event->source);
    trace->intent_body = mw_pool_copy(&trace->pool, mem, event->intent_body);
    mw_trace_set_document_sha256(&core->world, trace, 0, event->intent_sha256);
    trace->priority = mw_str_is(event->priority, "high")  ? 0
                      : mw_str_is(event->priority, "low") ? 2
                                                          : 1;
    mw_table_put(&core->world.traces, mem, trace);
    mw_set_add(&core->trace_names, mem, name_key(event->trace_id));
}

static void apply_ended(struct mw_core *core, struct mw_trace *trace, enum mw_outcome outcome)
{
    MW_ASSERT(trace != NULL);
    mw_work_forget(&core->world, &core->work, trace);
    if (outcome == MW_OUTCOME_CANCELLED)
        mw_letters_lie_again(&core->work, trace->id);
    for (struct mw_item *item = trace->newest_item; item != NULL; item = item->older)
        mw_table_remove(&core->world.items, item->id);
    mw_table_remove(&core->world.traces, trace->id);
    mw_pool_release(&trace->pool, &core->world.mem);
    mw_shared_drop(&core->world.mem, mw_shared_of(trace->wire_id));
    mw_shared_drop(&core->world.mem, mw_shared_of(trace->catalogue_sha256));
    mw_mem_free(&core->world.mem, trace, sizeof(*trace));
    core->traces_ended++;
}

void mw_trace_apply(struct mw_core *core, const struct mw_event *event)
{
    struct mw_trace *trace = mw_world_trace(&core->world, event->trace);
    struct mw_item *item;
    switch (event->kind) {
    case MW_EVT_JOURNAL_CREATED:
        core->world.journal_id = keep(core, event->journal_id);
        return;
    case MW_EVT_DEFINITION_LOADED:
        mw_shared_drop(&core->world.mem, mw_shared_of(core->catalogue_sha256));
        core->catalogue_sha256 = mw_shared_str(mw_shared_make(&core->world.mem, event->catalogue));
        core->work.running_max = (uint32_t)event->expected_count;
        core->work.dirty = true;
        return;
    case MW_EVT_INTENT_SUBMITTED:
    case MW_EVT_TRACE_OPENED:
        apply_opened(core, event);
        return;
    case MW_EVT_TRACE_PAUSED:
    case MW_EVT_TRACE_RESUMED:
        trace->paused = event->kind == MW_EVT_TRACE_PAUSED;
        core->work.dirty = true;
        return;
    case MW_EVT_TRACE_CANCELLED:
        trace->cancelled = true;
        return;
    case MW_EVT_TRACE_CLOSING:
        trace->cancelled = true;
        trace->closing = (uint8_t)mw_outcome_by_name(event->outcome);
        if (event->reason.len > 0)
            mw_trace_make_more(&core->world, trace)->closing_reason =
                mw_pool_copy(&trace->pool, &core->world.mem, event->reason);
        return;
    case MW_EVT_SCOPE_TERMINATED:
        item = mw_world_item(&core->world, event->item);
        mw_world_end_item(&core->world, item, MW_OUTCOME_CANCELLED);
        return;
    case MW_EVT_TRACE_ENDED:
        apply_ended(core, trace, mw_outcome_by_name(event->outcome));
        return;
    case MW_EVT_REQUEST_NOTED:
    case MW_EVT_REQUEST_QUARANTINED:
    case MW_EVT_SCOPE_OPENED:
    case MW_EVT_TERMINATION_STEPPED:
    case MW_EVT_TIMER_RANG:
    case MW_EVT_STEP_CONTINUES:
    case MW_EVT_STEP_CONTINUED:
        return;
    default:
        MW_UNREACHABLE("an event that is not core's");
    }
}
