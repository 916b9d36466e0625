#include "rules/route.h"
#include "view/internal.h"

/* Records as they are, and anything by its id. */

#define EVENTS_STANDARD 1000u
#define EVENTS_MAX 100000u

struct stream {
    struct mw_view *view;
    struct mw_str type; /* empty: all */
    mw_seq trace;       /* 0: all */
    mw_seq after;
    uint64_t limit, told;
    mw_seq last;
    bool more;
    struct mw_view_table attempts; /* item -> struct attempt: those that are open */
};

struct attempt {
    struct mw_view_text agent_id, tag;
    uint64_t number;
    mw_seq owner;
};

/* Names of the contract that are no records of their own: a dispatch says both that it was routed and that the agent began, a result
 * that the agent is done and its task over. */
enum implied {
    IMPLIED_ROUTED,
    IMPLIED_STARTED,
    IMPLIED_COMPLETED,
    IMPLIED_TASK_COMPLETED,
    IMPLIED_COUNT
};
static const struct {
    const char *type;
    const char *
        mark; /* makes the messageId of its own; NULL: the record under its other name, one message */
    const char *emitted_by; /* NULL: the agent */
} implied_names[IMPLIED_COUNT] = {{"TaskRouted", "routed", "TaskRouter"},
                                  {"AgentActionStarted", "started", NULL},
                                  {"AgentActionCompleted", "completed", NULL},
                                  {"TaskCompleted", NULL, "EventController"}};

static bool wants(const struct stream *stream, struct mw_str type)
{
    return stream->type.len == 0 || mw_str_eq(stream->type, type);
}

static void put_envelope(struct stream *stream, enum implied implied, const struct mw_event *event,
                         struct mw_str agent_id, struct mw_str tag)
{
    struct mw_json *json = &stream->view->json;
    mw_json_kstr(json, "kind", MW_STR("implied"));
    mw_json_ku64(json, "seq", event->seq);
    mw_json_kstr(json, "type", mw_str_of(implied_names[implied].type));
    mw_view_kstr(json, "traceId", event->trace_id);
    mw_view_kstr(json, "sessionId", event->session_id);
    mw_view_kstr(json, "componentTag", tag);
    if (event->blueprint_id.len > 0)
        mw_json_kstr(json, "blueprintId", event->blueprint_id);
    if (event->parent_trace_id.len > 0)
        mw_json_kstr(json, "parentTraceId", event->parent_trace_id);
    mw_view_kstr(json, "timestamp", event->timestamp);
    mw_json_key(json, MW_STR("messageId"));
    size_t used = stream->view->arena->used_bytes;
    const char *mark = implied_names[implied].mark;
    mw_json_str(json, mark == NULL ? event->message_id
                                   : mw_arena_format(stream->view->arena, "%.*s.%s",
                                                     MW_STR_ARG(event->message_id), mark));
    stream->view->arena->used_bytes = used; /* written already */
    mw_view_kstr(json, "causationId", mark == NULL ? event->causation_id : event->message_id);
    const char *emitted_by = implied_names[implied].emitted_by;
    mw_json_kstr(json, "emittedBy", emitted_by != NULL ? mw_str_of(emitted_by) : agent_id);
    mw_view_kstr(json, "taskId", event->task_id);
    mw_view_kstr(json, "agentId", agent_id);
    mw_view_kstr(json, "taskType", event->task_type);
}

static void put_implied(struct stream *stream, enum implied implied, const struct mw_event *event,
                        const struct attempt *attempt, const char *outcome)
{
    struct mw_json *json = &stream->view->json;
    struct mw_str agent_id = mw_view_text_get(&attempt->agent_id);
    if (!wants(stream, mw_str_of(implied_names[implied].type)) || event->seq <= stream->after)
        return;
    mw_json_object(json);
    put_envelope(stream, implied, event, agent_id, mw_view_text_get(&attempt->tag));
    mw_json_ku64(json, "attempt", attempt->number);
    mw_json_kobject(json, "payload");
    if (implied == IMPLIED_ROUTED) {
        mw_json_kstr(json, "toAgent", agent_id);
        size_t used = stream->view->arena->used_bytes;
        mw_view_kraw(json, "routing",
                     mw_route_whole_trail(stream->view->arena, event->routing, event->task_type));
        stream->view->arena->used_bytes = used; /* written already */
    } else if (implied == IMPLIED_COMPLETED) {
        mw_json_kstr(json, "outcome", mw_str_of(outcome));
        if (event->kind == MW_EVT_TASK_RESULT)
            mw_json_kstr(json, "result", event->type);
        if (event->error_class.len > 0)
            mw_json_kstr(json, "errorClass", event->error_class);
        if (event->reason.len > 0)
            mw_json_kstr(json, "reason", event->reason);
    } else if (implied == IMPLIED_TASK_COMPLETED) {
        mw_json_ku64(json, "elapsedMs", event->duration_ms);
    }
    mw_json_object_end(json);
    if (implied == IMPLIED_TASK_COMPLETED) {
        mw_json_kstr(json, "outcome", event->outcome);
        mw_json_ku64(json, "item", event->item);
        mw_json_ku64(json, "owner", attempt->owner);
    }
    mw_json_object_end(json);
    stream->told++;
    stream->last = event->seq;
}

static void begin_attempt(struct stream *stream, const struct mw_event *event)
{
    struct mw_arena *arena = stream->view->arena;
    mw_seq item = event->item != 0 ? event->item : event->seq;
    struct attempt *attempt = mw_view_table_get(&stream->attempts, item);
    if (attempt == NULL)
        attempt = mw_arena_alloc(arena, sizeof(*attempt));
    if (attempt == NULL)
        return;
    mw_view_text_set(&attempt->agent_id, arena, event->agent_id);
    mw_view_text_set(&attempt->tag, arena, event->component_tag);
    attempt->number = event->attempt;
    attempt->owner = event->owner;
    mw_view_table_put(&stream->attempts, arena, item, attempt);
    put_implied(stream, IMPLIED_ROUTED, event, attempt, NULL);
    put_implied(stream, IMPLIED_STARTED, event, attempt, NULL);
}

/* An attempt ends once: by a result, a failure, the clock, or with its task. */
static void end_attempt(struct stream *stream, const struct mw_event *event)
{
    const char *outcome = event->kind == MW_EVT_TASK_RESULT   ? "completed"
                          : event->kind == MW_EVT_TASK_FAILED ? "failed"
                          : event->kind == MW_EVT_TASK_ENDED  ? "cancelled"
                                                              : "timed_out";
    const struct attempt *attempt = mw_view_table_get(&stream->attempts, event->item);
    if (attempt == NULL)
        return;
    put_implied(stream, IMPLIED_COMPLETED, event, attempt, outcome);
    if (event->kind == MW_EVT_TASK_RESULT && mw_event_ends_task(event))
        put_implied(stream, IMPLIED_TASK_COMPLETED, event, attempt, outcome);
    mw_view_table_remove(&stream->attempts, event->item);
}

static enum mw_rc on_record(void *context, const struct mw_event *event, struct mw_str line,
                            struct mw_err *err)
{
    struct stream *stream = context;
    (void)err; /* writing shows its failure in the buffer */
    if (stream->trace != 0 && event->trace != stream->trace && event->seq != stream->trace)
        return MW_OK;
    /* A record and what it implies are told together, so that `after` can go on behind it. */
    stream->more = stream->told >= stream->limit;
    if (stream->more)
        return MW_VIEW_ENOUGH;
    if (event->seq > stream->after && wants(stream, event->type)) {
        mw_view_raw_in(&stream->view->json, 2, mw_str_trim(line));
        stream->told++;
        stream->last = event->seq;
    }
    switch (event->kind) {
    case MW_EVT_TASK_DISPATCHED:
        begin_attempt(stream, event);
        break;
    case MW_EVT_TASK_RESULT:
    case MW_EVT_TASK_FAILED:
    case MW_EVT_TASK_TIMED_OUT:
    case MW_EVT_TASK_ENDED:
        end_attempt(stream, event);
        break;
    default:
        break;
    }
    return MW_OK;
}

static enum mw_rc read_number(struct mw_view *view, const char *key, uint64_t otherwise,
                              uint64_t *ret_value)
{
    struct mw_str text = mw_view_arg(view->query, key);
    if (text.len == 0)
        *ret_value = otherwise;
    else if (!mw_str_to_u64(text, ret_value))
        return MW_FAIL(view->err, MW_E_USAGE, "%s is a whole number", key);
    return MW_OK;
}

enum mw_rc mw_view_events(struct mw_view *view)
{
    struct stream stream = {.view = view, .type = mw_view_arg(view->query, "type")};
    struct mw_str name = mw_view_arg(view->query, "trace");
    enum mw_rc rc = read_number(view, "after", 0, &stream.after);
    if (rc == MW_OK)
        rc = read_number(view, "limit", EVENTS_STANDARD, &stream.limit);
    if (rc == MW_OK && (stream.limit == 0 || stream.limit > EVENTS_MAX))
        rc = MW_FAIL(view->err, MW_E_USAGE, "limit is 1 to %u", EVENTS_MAX);
    if (rc == MW_OK && name.len > 0) {
        struct mw_view_index index;
        struct mw_view_trace *trace;
        rc = mw_view_index_make(view, name, &index);
        if (rc == MW_OK)
            rc = mw_view_trace_pick(&index, name, &trace);
        if (rc == MW_OK)
            stream.trace = trace->id;
    }
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_karray(&view->json, "events");
    rc = mw_view_each(view, on_record, &stream);
    if (rc != MW_OK)
        return rc;
    mw_json_array_end(&view->json);
    mw_json_ku64(&view->json, "last", stream.last > 0 ? stream.last : stream.after);
    mw_json_kbool(&view->json, "more", stream.more);
    mw_json_object_end(&view->json);
    return MW_OK;
}

/* ---- anything by its id ---- */

static void put_what(struct mw_view *view, const char *what)
{
    mw_json_object(&view->json);
    mw_json_kstr(&view->json, "what", mw_str_of(what));
    mw_json_key(&view->json, mw_str_of(what));
}

static enum mw_rc show_record(struct mw_view *view, mw_seq seq)
{
    struct mw_str line;
    enum mw_rc rc = mw_view_record(view, seq, &line);
    if (rc != MW_OK)
        return rc;
    put_what(view, "record");
    mw_view_raw_in(&view->json, 1, mw_str_trim(line));
    mw_json_object_end(&view->json);
    return MW_OK;
}

static void put_run(struct mw_view *view, const struct mw_view_item *run)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_view_kstr(json, "run_id", run->session_id);
    mw_view_kstr(json, "preset", run->name);
    mw_json_kstr(json, "state", mw_str_of(mw_view_item_state(run)));
    mw_json_ku64(json, "iterations", run->iterations);
    mw_view_kstr(json, "started", run->started);
    mw_view_kstr(json, "ended", run->ended);
    mw_view_kstr(json, "reason", run->reason);
    mw_json_karray(json, "turns");
    for (const struct mw_view_stage *turn = run->stages; turn != NULL; turn = turn->next) {
        mw_json_object(json);
        mw_json_ku64(json, "iteration", turn->iteration);
        mw_view_kstr(json, "role", turn->to);
        mw_view_kstr(json, "at", turn->at);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_object_end(json);
}

static enum mw_rc show_item(struct mw_view *view, const struct mw_view_index *index,
                            const struct mw_view_trace *trace)
{
    struct mw_view_detail detail = {.trace = trace, .keep_fragments = true};
    enum mw_rc rc = mw_view_detail_make(view, &detail);
    if (rc != MW_OK)
        return rc;
    const struct mw_view_item *item = mw_view_item_of(&detail, index->wanted);
    if (item == NULL)
        return show_record(view, index->wanted);
    switch (item->kind) {
    case MW_VIEW_TASK:
        put_what(view, "task");
        mw_view_put_task(view, index, &detail, item);
        break;
    case MW_VIEW_GROUP:
        put_what(view, "group");
        mw_view_put_group(view, index, &detail, item);
        break;
    case MW_VIEW_COORDINATOR:
        put_what(view, "coordinator");
        rc = mw_view_put_coordinator(view, index, &detail, item);
        break;
    case MW_VIEW_RUN:
    case MW_VIEW_UNIT:
        put_what(view, "run");
        put_run(view, item);
        break;
    case MW_VIEW_CHAIN:
        put_what(view, "chain");
        put_run(view, item);
        break;
    case MW_VIEW_JOURNEY:
        put_what(view, "build");
        mw_view_put_build(view, trace->build);
        break;
    }
    mw_view_kstr(&view->json, "traceId", trace->wire_id);
    mw_json_object_end(&view->json);
    return rc;
}

static enum mw_rc show_agent(struct mw_view *view, const struct mw_view_agent *agent)
{
    put_what(view, "agent");
    enum mw_rc rc = mw_view_put_agent(view, agent);
    mw_json_object_end(&view->json);
    return rc;
}

static enum mw_rc show_trace(struct mw_view *view, const struct mw_view_index *index,
                             struct mw_view_trace *trace)
{
    put_what(view, "trace");
    enum mw_rc rc = mw_view_put_trace(view, index, trace);
    mw_json_object_end(&view->json);
    return rc;
}

static enum mw_rc show_build(struct mw_view *view, const struct mw_view_build *build)
{
    put_what(view, "build");
    mw_view_put_build(view, build);
    mw_view_put_decisions(view, build);
    mw_json_object_end(&view->json);
    return MW_OK;
}

struct blueprint {
    struct mw_view *view;
    struct mw_str id;
    struct mw_str trace_id, body_sha256, body; /* view's arena; of the newest with this id */
};

static enum mw_rc on_blueprint(void *context, const struct mw_event *event, struct mw_str line,
                               struct mw_err *err)
{
    struct blueprint *found = context;
    struct mw_arena *arena = found->view->arena;
    (void)line;
    (void)err; /* nothing here can fail */
    if (event->kind != MW_EVT_TASK_RESULT || !mw_str_eq(event->blueprint_id, found->id) ||
        !mw_str_is(event->type, "StrategicBlueprintGenerated"))
        return MW_OK;
    found->trace_id = mw_arena_copy(arena, event->trace_id);
    found->body_sha256 = mw_arena_copy(arena, event->body_sha256);
    found->body = mw_arena_copy(arena, event->body);
    return MW_OK;
}

/* PL-04: what was stored under a blueprintId, whole. */
static enum mw_rc show_blueprint(struct mw_view *view, struct mw_str id)
{
    struct blueprint found = {.view = view, .id = id};
    struct mw_tape tape;
    enum mw_rc rc = mw_view_each(view, on_blueprint, &found);
    if (rc == MW_OK && found.trace_id.len == 0)
        rc = MW_FAIL(view->err, MW_E_MISSING, "no blueprint has the id '%.*s'", MW_STR_ARG(id));
    if (rc == MW_OK && found.body_sha256.len > 0)
        rc = mw_view_blob(view, found.body_sha256, &found.body);
    if (rc == MW_OK)
        rc = mw_view_parse(view, found.body, "blueprint", &tape);
    if (rc != MW_OK)
        return rc;
    put_what(view, "blueprint");
    mw_json_node(&view->json, &tape, 0);
    mw_view_kstr(&view->json, "traceId", found.trace_id);
    mw_json_object_end(&view->json);
    return MW_OK;
}

enum mw_rc mw_view_show(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_str id = mw_view_arg(view->query, "id");
    uint64_t number = 0;
    if (id.len == 0)
        return MW_FAIL(view->err, MW_E_USAGE, "show needs id=ID");
    if (mw_str_to_u64(id, &number) && number > 0)
        return show_record(view, number);
    enum mw_rc rc = mw_view_index_make(view, id, &index);
    if (rc != MW_OK)
        return rc;
    for (struct mw_view_trace *trace = index.traces; trace != NULL; trace = trace->next)
        if (mw_str_eq(trace->wire_id, id))
            return show_trace(view, &index, trace);
    const struct mw_view_build *build = mw_view_build_named(&index, id);
    if (build != NULL)
        return show_build(view, build);
    for (const struct mw_view_agent *agent = index.agents; agent != NULL; agent = agent->next)
        if (mw_str_eq(agent->id, id))
            return show_agent(view, agent);
    if (mw_str_starts(id, MW_STR("blueprint-")))
        return show_blueprint(view, id);
    if (!index.wanted_seen)
        return MW_FAIL(view->err, MW_E_MISSING, "nothing here has the id '%.*s'", MW_STR_ARG(id));
    struct mw_view_trace *trace = mw_view_table_get(&index.trace_by_id, index.wanted_trace);
    if (mw_str_starts(id, MW_STR("m-")) || trace == NULL)
        return show_record(view, index.wanted);
    return show_item(view, &index, trace);
}
