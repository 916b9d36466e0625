#include "view/internal.h"

#include "defs/catalogue.h"

static const char *const build_states[] = {"building", "draft",  "current",   "superseded",
                                           "archived", "failed", "cancelled", "stale"};

const char *mw_view_build_state_name(enum mw_view_build_state state)
{
    MW_ASSERT((unsigned)state < MW_COUNT(build_states));
    return build_states[state];
}

const char *mw_view_trace_state(const struct mw_view_trace *trace)
{
    if (mw_str_is(trace->outcome, "completed"))
        return "completed";
    if (mw_str_is(trace->outcome, "failed"))
        return "failed";
    if (trace->cancelled || mw_str_is(trace->outcome, "cancelled"))
        return "cancelled";
    return trace->paused ? "paused" : trace->waiting > 0 ? "waiting" : "open";
}

/* ---- traces ---- */

static void on_opened(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view *view = index->view;
    struct mw_view_trace *trace = mw_arena_alloc(view->arena, sizeof(*trace));
    if (trace == NULL)
        return;
    trace->id = event->seq;
    trace->wire_id = mw_view_copy(view, event->trace_id);
    trace->parent_trace_id = mw_view_copy(view, event->parent_trace_id);
    trace->journey = mw_view_copy(view, event->journey);
    trace->source = mw_view_copy(view, event->source);
    trace->user_id = mw_view_copy(view, event->user_id);
    trace->actor = mw_view_copy(view, event->actor);
    trace->priority = mw_view_copy(view, event->priority);
    trace->intent_sha256 = mw_view_copy(view, event->intent_sha256);
    trace->definition = mw_view_copy(view, event->catalogue);
    trace->started = mw_view_copy(view, event->timestamp);
    *index->traces_end = trace;
    index->traces_end = &trace->next;
    mw_view_table_put(&index->trace_by_id, view->arena, trace->id, trace);
}

static void close_open(struct mw_view_index *index, struct mw_view_open *open)
{
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, open->trace);
    if (open->agent != NULL)
        open->agent->running--;
    if (open->person && trace != NULL)
        trace->waiting--;
    mw_view_table_remove(&index->open_by_item, open->item);
    if (open->next != NULL)
        open->next->previous = open->previous;
    if (open->previous != NULL)
        open->previous->next = open->next;
    else
        index->open = open->next;
    open->next = index->open_free;
    index->open_free = open;
}

static void on_trace(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, event->trace);
    if (trace == NULL)
        return;
    if (event->blueprint_id.len > 0 && trace->blueprint_id.len == 0)
        trace->blueprint_id = mw_view_copy(index->view, event->blueprint_id);
    switch (event->kind) {
    case MW_EVT_TRACE_PAUSED:
    case MW_EVT_TRACE_RESUMED:
        trace->paused = event->kind == MW_EVT_TRACE_PAUSED;
        return;
    case MW_EVT_TRACE_CANCELLED:
        trace->cancelled = true;
        trace->reason = mw_view_copy(index->view, event->reason);
        return;
    case MW_EVT_TRACE_ENDED:
        trace->outcome = mw_view_copy(index->view, event->outcome);
        trace->ended = mw_view_copy(index->view, event->timestamp);
        if (trace->reason.len == 0)
            trace->reason = mw_view_copy(index->view, event->reason);
        for (struct mw_view_open *open = index->open, *next; open != NULL; open = next) {
            next = open->next;
            if (open->trace == trace->id)
                close_open(index, open);
        }
        return;
    default:
        return;
    }
}

/* ---- builds ---- */

static void on_journey(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view *view = index->view;
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, event->trace);
    struct mw_view_build *build = mw_arena_alloc(view->arena, sizeof(*build));
    if (build == NULL || trace == NULL)
        return;
    build->journey = event->seq;
    build->trace = trace;
    build->build_id = mw_view_copy(view, event->build_id);
    build->journey_name = mw_view_copy(view, event->journey);
    build->started = mw_view_copy(view, event->timestamp);
    build->phase = 3;
    build->artifacts_end = &build->artifacts;
    build->decisions_end = &build->decisions;
    trace->build = build;
    *index->builds_end = build;
    index->builds_end = &build->next;
    mw_view_table_put(&index->journey_by_id, view->arena, build->journey, build);
}

static struct mw_view_decision *decide(struct mw_view_index *index, struct mw_view_build *build,
                                       const struct mw_event *event, const char *what)
{
    struct mw_view *view = index->view;
    struct mw_view_decision *decision = mw_arena_alloc(view->arena, sizeof(*decision));
    if (decision == NULL)
        return NULL;
    decision->what = what;
    decision->seq = event->seq;
    decision->actor = mw_view_copy(view, event->actor);
    decision->at = mw_view_copy(view, event->timestamp);
    decision->why = mw_view_copy(view, event->reason);
    decision->target = mw_view_copy(view, event->target);
    *build->decisions_end = decision;
    build->decisions_end = &decision->next;
    return decision;
}

static void on_accepted(struct mw_view_index *index, struct mw_view_build *build,
                        const struct mw_event *event)
{
    if (index->current == build)
        return; /* one record a family */
    if (index->current != NULL)
        index->current->state = MW_VIEW_SUPERSEDED;
    build->state = MW_VIEW_CURRENT;
    index->current = build;
    (void)decide(index, build, event, "accepted"); /* out of memory shows in the arena */
}

static void on_drafted(struct mw_view_index *index, struct mw_view_build *build,
                       const struct mw_event *event)
{
    struct mw_view *view = index->view;
    struct mw_view_artifact *artifact = mw_arena_alloc(view->arena, sizeof(*artifact));
    if (artifact == NULL)
        return;
    artifact->family = mw_view_copy(view, event->family);
    artifact->sha256 = mw_view_copy(view, event->sha256);
    artifact->path = mw_view_copy(view, event->path);
    *build->artifacts_end = artifact;
    build->artifacts_end = &artifact->next;
    build->version = event->version;
    build->parent_version = event->parent_version;
}

static void on_failed(struct mw_view_index *index, struct mw_view_build *build,
                      const struct mw_event *event)
{
    struct mw_view *view = index->view;
    build->state = mw_str_is(event->status, "cancelled") ? MW_VIEW_CANCELLED : MW_VIEW_FAILED;
    build->reason = mw_view_copy(view, event->reason);
    build->error_class = mw_view_copy(view, event->error_class);
    build->failed_task = mw_view_copy(view, event->task_type);
    build->ended = mw_view_copy(view, event->timestamp);
}

static void on_promotion(struct mw_view_index *index, struct mw_view_build *build,
                         const struct mw_event *event)
{
    struct mw_view *view = index->view;
    if (event->kind == MW_EVT_PROMOTION_STARTED) {
        bool back = mw_str_is(event->mode, "rollback");
        index->promoting = decide(index, build, event, back ? "rolled back to" : "promoted");
        build->phase = 7;
        return;
    }
    if (index->promoting != NULL) {
        bool failed = event->kind == MW_EVT_PROMOTION_FAILED;
        index->promoting->outcome = failed ? MW_STR("failed") : MW_STR("completed");
        index->promoting->why = mw_view_copy(view, event->reason);
        index->promoting = NULL;
    }
    if (event->kind == MW_EVT_PROMOTION_FAILED || !mw_str_is(event->target, "app")) {
        build->phase = build->was_promoted || event->kind == MW_EVT_APP_PROMOTED ? 7 : 6;
        return;
    }
    if (index->promoted != NULL)
        index->promoted->promoted = false;
    index->promoted = build;
    build->promoted = true;
    build->was_promoted = true;
    build->phase = 7;
    index->promoted_root = mw_view_copy(view, event->path);
    index->promoted_sha256 = mw_view_copy(view, event->sha256);
    index->promoted_at = mw_view_copy(view, event->timestamp);
}

/* Promotions name the build alone: they belong to the workspace, not to the trace. */
static struct mw_view_build *build_of(const struct mw_view_index *index,
                                      const struct mw_event *event)
{
    struct mw_view_build *found = mw_view_table_get(&index->journey_by_id, event->item);
    for (struct mw_view_build *build = index->builds; found == NULL && build != NULL;
         build = build->next)
        if (event->build_id.len > 0 && mw_str_eq(build->build_id, event->build_id))
            found = build;
    return found;
}

static void on_build(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view *view = index->view;
    struct mw_view_build *build = build_of(index, event);
    if (build == NULL)
        return;
    switch (event->kind) {
    case MW_EVT_JOURNEY_STEP:
        build->step = event->step;
        build->workflow = mw_view_copy(view, event->workflow);
        return;
    case MW_EVT_BUILD_REGISTERED:
        build->registry_id = mw_view_copy(view, event->registry_id);
        build->app_id = mw_view_copy(view, event->app_id);
        build->app_name = mw_view_copy(view, event->app_name);
        build->user_id = mw_view_copy(view, event->user_id);
        build->phase = 4;
        return;
    case MW_EVT_STAGE_ASKED:
        build->phase = 5;
        return;
    case MW_EVT_BUNDLE_STAGED:
        build->sha256 = mw_view_copy(view, event->sha256);
        build->path = mw_view_copy(view, event->path);
        build->file_count = event->file_count;
        build->size_bytes = event->size_bytes;
        return;
    case MW_EVT_VALIDATION_ASKED:
        build->phase = 6;
        return;
    case MW_EVT_BUILD_VALIDATED:
        build->validation = mw_view_copy(view, event->status);
        build->report = mw_view_copy(view, event->report);
        build->report_fact = event->fact;
        return;
    case MW_EVT_ARTIFACT_DRAFTED:
        on_drafted(index, build, event);
        return;
    case MW_EVT_BUILD_COMPLETED:
        build->state = MW_VIEW_DRAFT;
        build->ended = mw_view_copy(view, event->timestamp);
        return;
    case MW_EVT_BUILD_FAILED:
        on_failed(index, build, event);
        return;
    case MW_EVT_ARTIFACT_ACCEPTED:
        on_accepted(index, build, event);
        return;
    case MW_EVT_ARTIFACT_REJECTED:
        build->state = MW_VIEW_ARCHIVED;
        (void)decide(index, build, event, "rejected"); /* out of memory shows in the arena */
        return;
    case MW_EVT_ARTIFACT_STALE:
        build->state = MW_VIEW_STALE;
        (void)decide(index, build, event, "made stale"); /* out of memory shows in the arena */
        return;
    case MW_EVT_PROMOTION_STARTED:
    case MW_EVT_APP_PROMOTED:
    case MW_EVT_PROMOTION_FAILED:
        on_promotion(index, build, event);
        return;
    default:
        return;
    }
}

/* ---- runs ---- */

static void on_run(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view *view = index->view;
    struct mw_view_run *run = mw_view_table_get(&index->run_by_id, event->item);
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, event->trace);
    if (event->kind == MW_EVT_RUN_STARTED) {
        run = mw_arena_alloc(view->arena, sizeof(*run));
        if (run == NULL)
            return;
        run->id = event->seq;
        run->trace = trace;
        run->run_id = mw_view_copy(view, event->run_id);
        run->preset = mw_view_copy(view, event->preset);
        run->started = mw_view_copy(view, event->timestamp);
        *index->runs_end = run;
        index->runs_end = &run->next;
        mw_view_table_put(&index->run_by_id, view->arena, run->id, run);
        return;
    }
    if (event->kind == MW_EVT_PLAN_ASKED && trace != NULL && trace->build != NULL &&
        trace->build->phase < 5)
        trace->build->phase = 5; /* files are made from here on */
    if (run == NULL)
        return;
    if (event->iteration > run->iterations)
        run->iterations = event->iteration;
    bool over = event->kind == MW_EVT_RUN_COMPLETED || event->kind == MW_EVT_RUN_STOPPED ||
                event->kind == MW_EVT_SCOPE_TERMINATED;
    if (!over)
        return;
    run->outcome = event->kind == MW_EVT_SCOPE_TERMINATED ? MW_STR("cancelled")
                                                          : mw_view_copy(view, event->outcome);
    run->reason = mw_view_copy(view, event->reason);
    run->ended = mw_view_copy(view, event->timestamp);
}

/* ---- agents and what is open ---- */

static struct mw_view_agent *agent_of(const struct mw_view_index *index, struct mw_str id)
{
    struct mw_view_agent *agent = index->agents;
    while (agent != NULL && !mw_str_eq(agent->id, id))
        agent = agent->next;
    return agent;
}

static void on_agent(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view *view = index->view;
    struct mw_view_agent *agent = agent_of(index, event->agent_id);
    if (agent == NULL) {
        agent = mw_arena_alloc(view->arena, sizeof(*agent));
        if (agent == NULL)
            return;
        agent->id = mw_view_copy(view, event->agent_id);
        *index->agents_end = agent;
        index->agents_end = &agent->next;
    }
    if (event->kind == MW_EVT_AGENT_ONLINE) {
        mw_view_text_set(&agent->definition, view->arena, event->body);
        agent->healthy = true;
        agent->removed = false;
    } else if (event->kind == MW_EVT_AGENT_REMOVED) {
        agent->removed = true;
    } else {
        agent->healthy = mw_str_is(event->health, "Healthy");
    }
    agent->since = mw_view_copy(view, event->timestamp);
}

static void on_dispatched(struct mw_view_index *index, const struct mw_event *event,
                          struct mw_str line)
{
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, event->trace);
    struct mw_view_open *open = index->open_free;
    if (open != NULL)
        index->open_free = open->next;
    else
        open = mw_arena_alloc(index->view->arena, sizeof(*open));
    if (open == NULL)
        return;
    open->item = event->item != 0 ? event->item : event->seq;
    open->trace = event->trace;
    open->agent = agent_of(index, event->agent_id);
    open->person = event->agent_kind == MW_AGENT_HUMAN;
    open->previous = NULL;
    open->next = index->open;
    if (index->open != NULL)
        index->open->previous = open;
    index->open = open;
    mw_view_table_put(&index->open_by_item, index->view->arena, open->item, open);
    if (open->agent != NULL)
        open->agent->running++;
    open->reason.len = 0;
    if (!open->person)
        return;
    if (trace != NULL)
        trace->waiting++;
    mw_view_text_set(&open->line, index->view->arena, line);
    if (index->escalated_item == open->item)
        mw_view_text_set(&open->reason, index->view->arena,
                         mw_view_text_get(&index->escalated_reason));
}

static void on_task(struct mw_view_index *index, const struct mw_event *event, struct mw_str line)
{
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, event->trace);
    struct mw_view_open *open = mw_view_table_get(&index->open_by_item, event->item);
    bool makes = event->item == 0 &&
                 (event->kind == MW_EVT_TASK_READY || event->kind == MW_EVT_TASK_DISPATCHED ||
                  event->kind == MW_EVT_AGENT_NOT_FOUND);
    if (makes && trace != NULL)
        trace->tasks++;
    switch (event->kind) {
    case MW_EVT_TASK_DISPATCHED:
        on_dispatched(index, event, line);
        return;
    case MW_EVT_TASK_ESCALATED:
        index->escalated_item = event->item;
        mw_view_text_set(&index->escalated_reason, index->view->arena, event->reason);
        return;
    case MW_EVT_TASK_RESULT:
    case MW_EVT_TASK_FAILED:
    case MW_EVT_TASK_TIMED_OUT:
        if (open != NULL && open->agent != NULL) {
            if (event->kind == MW_EVT_TASK_RESULT)
                open->agent->completed++;
            else
                open->agent->failed++;
        }
        if (open != NULL)
            close_open(index, open);
        return;
    case MW_EVT_TASK_ENDED:
        if (open != NULL)
            close_open(index, open);
        return;
    default:
        return;
    }
}

static void on_core(struct mw_view_index *index, const struct mw_event *event)
{
    struct mw_view *view = index->view;
    if (event->kind == MW_EVT_JOURNAL_CREATED) {
        index->journal_id = mw_view_copy(view, event->journal_id);
        index->product_version = mw_view_copy(view, event->product_version);
        index->created = mw_view_copy(view, event->timestamp);
    } else if (event->kind == MW_EVT_SESSION_OPENED) {
        index->session_name = mw_view_copy(view, event->session_name);
        index->session_user = mw_view_copy(view, event->user_id);
        index->session_opened = mw_view_copy(view, event->timestamp);
    } else if (event->kind == MW_EVT_INTENT_SUBMITTED || event->kind == MW_EVT_TRACE_OPENED) {
        on_opened(index, event);
    }
}

static enum mw_rc on_record(void *context, const struct mw_event *event, struct mw_str line,
                            struct mw_err *err)
{
    struct mw_view_index *index = context;
    (void)err; /* nothing here can fail but memory, which the arena says */
    index->last_seq = event->seq;
    if (index->wanted != 0 && event->seq == index->wanted) {
        index->wanted_seen = true;
        index->wanted_trace = event->trace;
        index->wanted_kind = event->kind;
    }
    on_core(index, event);
    if (event->kind == MW_EVT_JOURNEY_STARTED)
        on_journey(index, event);
    switch (mw_event_info(event->kind)->owner) {
    case MW_ROOM_SESSION:
        on_build(index, event);
        break;
    case MW_ROOM_WORKFLOW:
        on_run(index, event);
        break;
    case MW_ROOM_WORK:
        if (event->kind == MW_EVT_AGENT_ONLINE || event->kind == MW_EVT_AGENT_REMOVED ||
            event->kind == MW_EVT_AGENT_HEALTH)
            on_agent(index, event);
        else
            on_task(index, event, line);
        break;
    default:
        if (event->kind == MW_EVT_SCOPE_TERMINATED)
            on_run(index, event);
        break;
    }
    on_trace(index, event);
    return MW_OK;
}

enum mw_rc mw_view_index_make(struct mw_view *view, struct mw_str wanted_id,
                              struct mw_view_index *ret_index)
{
    *ret_index = (struct mw_view_index){.view = view, .wanted = mw_view_id_seq(wanted_id)};
    ret_index->traces_end = &ret_index->traces;
    ret_index->builds_end = &ret_index->builds;
    ret_index->runs_end = &ret_index->runs;
    ret_index->agents_end = &ret_index->agents;
    enum mw_rc rc = mw_view_each(view, on_record, ret_index);
    /* "t-ab12cd-57" of another journal is no id of this one. */
    if (rc == MW_OK && ret_index->wanted_seen) {
        struct mw_str tail =
            mw_arena_format(view->arena, "-%.*s-%lu", MW_STR_ARG(ret_index->journal_id),
                            (unsigned long)ret_index->wanted);
        ret_index->wanted_seen = mw_str_ends(wanted_id, tail);
    }
    return rc;
}

/* ---- finding ---- */

struct mw_view_build *mw_view_build_named(const struct mw_view_index *index, struct mw_str name)
{
    uint64_t version = 0;
    struct mw_str digits = mw_str_starts(name, MW_STR("v")) ? mw_str_sub(name, 1, name.len) : name;
    bool by_version = mw_str_to_u64(digits, &version) && version > 0;
    for (struct mw_view_build *build = index->builds; build != NULL && name.len > 0;
         build = build->next)
        if (mw_str_eq(build->build_id, name) || mw_str_eq(build->registry_id, name) ||
            mw_str_eq(build->trace->wire_id, name) || (by_version && build->version == version))
            return build;
    return NULL;
}

static enum mw_rc no_such(const struct mw_view_index *index, const char *what, struct mw_str name)
{
    return MW_FAIL(index->view->err, MW_E_MISSING, "no %s '%.*s'", what, MW_STR_ARG(name));
}

enum mw_rc mw_view_build_pick(const struct mw_view_index *index, struct mw_str name,
                              const enum mw_view_build_state *states, uint32_t state_count,
                              struct mw_view_build **ret_build)
{
    struct mw_view_build *found = mw_view_build_named(index, name);
    if (name.len > 0 && found == NULL)
        return no_such(index, "build", name);
    for (uint32_t i = 0; i < state_count && name.len == 0 && found == NULL; i++)
        for (struct mw_view_build *build = index->builds; build != NULL; build = build->next)
            found = build->state == states[i] ? build : found;
    if (found == NULL && index->builds == NULL)
        return MW_FAIL(index->view->err, MW_E_MISSING, "nothing was built here yet");
    if (found == NULL)
        return MW_FAIL(index->view->err, MW_E_MISSING, "there is no %s build",
                       mw_view_build_state_name(states[0]));
    *ret_build = found;
    return MW_OK;
}

enum mw_rc mw_view_trace_pick(const struct mw_view_index *index, struct mw_str name,
                              struct mw_view_trace **ret_trace)
{
    struct mw_view_trace *found = NULL;
    struct mw_view_build *build = mw_view_build_named(index, name);
    for (struct mw_view_trace *trace = index->traces; trace != NULL; trace = trace->next)
        if (name.len == 0 || mw_str_eq(trace->wire_id, name))
            found = trace;
    if (found == NULL && build != NULL)
        found = build->trace;
    if (found == NULL && index->wanted_seen)
        found = mw_view_table_get(&index->trace_by_id, index->wanted_trace);
    if (found == NULL && name.len == 0)
        return MW_FAIL(index->view->err, MW_E_MISSING, "nothing was asked for here yet");
    if (found == NULL)
        return no_such(index, "trace", name);
    *ret_trace = found;
    return MW_OK;
}
