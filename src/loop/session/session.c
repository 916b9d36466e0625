#include "loop/session/chain.h"
#include "loop/session/internal.h"

#define APP_ID_BYTES_MAX 200

static void decide_open(const struct mw_world *world, const struct mw_session *session,
                        const struct mw_request *request, struct mw_out *out);
static void decide_next(const struct mw_world *world, const struct mw_session *session,
                        const struct mw_request *request, struct mw_out *out);
static void decide_run_ended(const struct mw_world *world, const struct mw_session *session,
                             const struct mw_request *request, struct mw_out *out);
static void decide_validation_ended(const struct mw_world *world, const struct mw_session *session,
                                    const struct mw_request *request, struct mw_out *out);
static void decide_staged(const struct mw_world *world, const struct mw_session *session,
                          const struct mw_request *request, struct mw_out *out);

void mw_session_decide(const struct mw_world *world, const struct mw_session *session,
                       const struct mw_request *request, struct mw_out *out)
{
    switch (request->kind) {
    case MW_REQ_OPEN_SESSION:
        decide_open(world, session, request, out);
        return;
    case MW_REQ_NEXT_STEP:
        decide_next(world, session, request, out);
        return;
    case MW_REQ_START_CHAIN:
        mw_chain_decide(world, request, out);
        return;
    case MW_REQ_NOTE_ENDED:
        if (mw_world_item(world, request->item)->kind == MW_ITEM_CHAIN)
            mw_chain_decide(world, request, out);
        else if (request->cause->kind == MW_EVT_TASK_ENDED)
            decide_validation_ended(world, session, request, out);
        else
            decide_run_ended(world, session, request, out);
        return;
    case MW_REQ_RECORD_STAGE:
        decide_staged(world, session, request, out);
        return;
    case MW_REQ_ACCEPT_DRAFT:
    case MW_REQ_REJECT_DRAFT:
    case MW_REQ_PROMOTE:
    case MW_REQ_ROLLBACK:
    case MW_REQ_RECORD_PROMOTION:
        mw_lineage_decide(world, session, request, out);
        return;
    default:
        MW_UNREACHABLE("a request that is not about sessions");
    }
}

/* ---- the sequence ---- */

static const struct mw_journey_def *def_of(const struct mw_world *world,
                                           const struct mw_journey *journey)
{
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, &journey->item));
    return catalogue != NULL ? &catalogue->journeys[journey->def] : NULL;
}

static void decide_open(const struct mw_world *world, const struct mw_session *session,
                        const struct mw_request *request, struct mw_out *out)
{
    const struct mw_trace *trace = mw_world_trace(world, request->cause->trace);
    MW_ASSERT(trace != NULL);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    MW_ASSERT(catalogue != NULL); /* SubmitIntent looked */
    const struct mw_journey_def *def =
        mw_catalogue_journey(catalogue, mw_trace_more(trace)->journey);
    MW_ASSERT(def != NULL);
    if (session->session == 0) {
        struct mw_event *opened = mw_out_event(out, MW_EVT_SESSION_OPENED);
        opened->trace = trace->id;
        opened->user_id = request->cause->user_id;
        opened->session_name =
            mw_wire_id(world, out->arena, "bs", world->last_seq + out->event_count);
    }
    mw_seq id = mw_out_next_seq(world, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_JOURNEY_STARTED);
    event->trace = trace->id;
    event->journey = def->name;
    event->state_index = def->index;
    event->build_id = mw_wire_id(world, out->arena, "b", id);
    event->definition = catalogue->sha256;
    struct mw_event *started = mw_out_event(out, MW_EVT_BUILD_STARTED);
    started->trace = trace->id;
    started->item = id;
    started->scope_item = id;
    started->build_id = event->build_id;
    started->step = 1;
    started->workflow = catalogue->workflows[def->steps[0].workflow].name;
    struct mw_event *scope = mw_out_event(out, MW_EVT_SCOPE_OPENED);
    scope->trace = trace->id;
    scope->session_id = event->build_id;
    scope->target_agent = def->name;
}

static void ask_step(const struct mw_world *world, const struct mw_session *session,
                     const struct mw_journey *journey, const struct mw_journey_def *def,
                     uint32_t step, struct mw_out *out)
{
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, &journey->item));
    struct mw_event *event = mw_out_event(out, MW_EVT_JOURNEY_STEP);
    mw_event_about(world, out, event, &journey->item);
    event->journey = def->name;
    event->step = step + 1;
    event->workflow_def = def->steps[step].workflow;
    event->workflow = catalogue->workflows[def->steps[step].workflow].name;
    event->build_id = session->builds[journey->build].build_id;
}

static void decide_next(const struct mw_world *world, const struct mw_session *session,
                        const struct mw_request *request, struct mw_out *out)
{
    const struct mw_journey *journey =
        (const struct mw_journey *)mw_world_item(world, request->item);
    const struct mw_journey_def *def = def_of(world, journey);
    if (journey->item.outcome != MW_OUTCOME_OPEN)
        return;
    if (def == NULL) {
        mw_build_fail(world, session, journey, MW_STR("the definitions of this trace are missing"),
                      request->cause, out);
        return;
    }
    if (request->cause->kind == MW_EVT_JOURNEY_STARTED) {
        ask_step(world, session, journey, def, 0, out);
        return;
    }
    MW_ASSERT(request->cause->kind == MW_EVT_BUNDLE_STAGED);
    struct mw_event *event = mw_out_event(out, MW_EVT_VALIDATION_ASKED);
    mw_event_about(world, out, event, &journey->item);
    event->task_def = def->validation->index;
    event->build_id = session->builds[journey->build].build_id;
    event->task_name = def->validation->skill;
}

/* The app's id is a folder of its bundles. What the first build was called stands for all that follow, so it has to be one. */
static bool is_folder_name(struct mw_str name)
{
    bool good = name.len > 0 && name.len <= APP_ID_BYTES_MAX && !mw_str_is(name, ".") &&
                !mw_str_is(name, "..");
    for (size_t i = 0; i < name.len && good; i++)
        good = (uint8_t)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7f && name.ptr[i] != '/' &&
               name.ptr[i] != '\\';
    return good;
}

/* The first workflow has said what the app is: the build gets its record (phase 3), and the app its id. */
static bool register_build(const struct mw_world *world, const struct mw_session *session,
                           const struct mw_journey *journey, const struct mw_journey_def *def,
                           struct mw_out *out, struct mw_str *ret_app_id, struct mw_str *ret_why)
{
    const struct mw_trace *trace = mw_world_trace_of(world, &journey->item);
    struct mw_place place = {
        .scope = journey->item.id, .node = MW_NODE_NONE, .outer_node = MW_NODE_NONE};
    struct mw_str app_id, app_name;
    if (!mw_eval_text(world, out->arena, trace, &place, def->app_id, &app_id, ret_why) ||
        !mw_eval_text(world, out->arena, trace, &place, def->app_name, &app_name, ret_why))
        return false;
    if (is_folder_name(session->app_id))
        app_id = session->app_id;
    if (!is_folder_name(app_id)) {
        *ret_why =
            mw_arena_format(out->arena,
                            "the app's id '%.*s' is no name of a folder: 1 to %d bytes "
                            "without '/', '\\' and control characters",
                            MW_STR_ARG(mw_str_fit(app_id, APP_ID_BYTES_MAX)), APP_ID_BYTES_MAX);
        return false;
    }
    mw_seq id = mw_out_next_seq(world, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_BUILD_REGISTERED);
    mw_event_about(world, out, event, &journey->item);
    event->registry_id = mw_wire_id(world, out->arena, "reg", id);
    event->build_id = session->builds[journey->build].build_id;
    event->app_id = app_id;
    event->app_name = session->app_name.len > 0 ? session->app_name : app_name;
    event->user_id =
        mw_trace_more(trace)->user_id.len > 0 ? mw_trace_more(trace)->user_id : MW_STR("local");
    event->status = MW_STR("building");
    *ret_app_id = app_id;
    return true;
}

static void ask_stage(const struct mw_world *world, const struct mw_session *session,
                      const struct mw_journey *journey, struct mw_str app_id, struct mw_out *out)
{
    const struct mw_build *build = &session->builds[journey->build];
    struct mw_event *event = mw_out_event(out, MW_EVT_STAGE_ASKED);
    mw_event_about(world, out, event, &journey->item);
    event->target_agent = MW_STR("Stage");
    event->app_id = app_id;
    event->build_id = build->build_id;
    event->path = mw_arena_format(out->arena, "generated/apps/%.*s/%.*s/app", MW_STR_ARG(app_id),
                                  MW_STR_ARG(build->build_id));
}

static void decide_run_ended(const struct mw_world *world, const struct mw_session *session,
                             const struct mw_request *request, struct mw_out *out)
{
    const struct mw_journey *journey =
        (const struct mw_journey *)mw_world_item(world, request->item);
    MW_ASSERT(journey != NULL);
    const struct mw_journey_def *def = def_of(world, journey);
    struct mw_str why = MW_STR("the definitions of this trace are missing");
    if (journey->item.outcome != MW_OUTCOME_OPEN ||
        mw_world_trace_of(world, &journey->item)->cancelled)
        return;
    if (def == NULL || !mw_str_is(request->cause->outcome, "completed")) {
        mw_build_fail(world, session, journey, def == NULL ? why : request->cause->reason,
                      request->cause, out);
        return;
    }
    /* A journey of one step is staged in the step that registers it: no record of it is applied yet. */
    struct mw_str app_id = session->builds[journey->build].app_id;
    if (journey->step == 1 && !register_build(world, session, journey, def, out, &app_id, &why)) {
        mw_build_fail(world, session, journey, why, request->cause, out);
        return;
    }
    if (journey->step < def->step_count)
        ask_step(world, session, journey, def, journey->step, out);
    else
        ask_stage(world, session, journey, app_id, out);
}

static void decide_staged(const struct mw_world *world, const struct mw_session *session,
                          const struct mw_request *request, struct mw_out *out)
{
    const struct mw_journey *journey =
        (const struct mw_journey *)mw_world_item(world, request->item);
    const struct mw_tape *body = request->body;
    if (journey == NULL || journey->item.ask != request->fence) {
        mw_out_refuse(out, MW_E_CONFLICT, "", MW_STR("nobody waits for this bundle any more"));
        return;
    }
    struct mw_str error = mw_node_get_text(body, request->body_node, "error");
    if (error.len > 0) {
        mw_build_fail(world, session, journey, error, NULL, out);
        return;
    }
    int64_t file_count = mw_node_int(body, mw_node_get(body, request->body_node, "fileCount"), 0);
    if (file_count <= 0) {
        mw_build_fail(world, session, journey,
                      MW_STR("none of its tasks made a file: there is nothing to draft"), NULL,
                      out);
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_BUNDLE_STAGED);
    mw_event_about(world, out, event, &journey->item);
    event->build_id = session->builds[journey->build].build_id;
    event->sha256 = mw_node_get_text(body, request->body_node, "sha256");
    event->path = mw_node_get_text(body, request->body_node, "path");
    event->file_count = (uint64_t)file_count;
    event->size_bytes =
        (uint64_t)mw_node_int(body, mw_node_get(body, request->body_node, "sizeBytes"), 0);
}

static void draft_families(const struct mw_world *world, const struct mw_session *session,
                           const struct mw_journey *journey, const struct mw_journey_def *def,
                           struct mw_out *out)
{
    const struct mw_build *build = &session->builds[journey->build];
    const struct mw_trace *trace = mw_world_trace_of(world, &journey->item);
    for (uint32_t step = 0; step < def->step_count; step++)
        for (uint32_t i = 0; i < def->steps[step].produces_count; i++) {
            struct mw_event *event = mw_out_event(out, MW_EVT_ARTIFACT_DRAFTED);
            bool is_bundle = step + 1 == def->step_count;
            mw_event_about(world, out, event, &journey->item);
            event->build_id = build->build_id;
            event->app_id = build->app_id;
            event->family = def->steps[step].produces[i];
            event->version = session->version_last + 1;
            event->parent_version =
                session->current > 0 ? session->builds[session->current - 1].version : 0;
            event->status = MW_STR("draft");
            /* A planning family is the document it left; the bundle is the tree. */
            event->sha256 = is_bundle ? build->bundle_sha256
                            : step < def->document_count
                                ? mw_trace_more(trace)->document_sha256[step + 1]
                                : MW_STR_NONE;
            if (is_bundle)
                event->path = build->path;
        }
}

/* What the one that looked says itself, or what it said when it was asked the same before. A message of the same name is talk (P20). */
static const struct mw_fact *answer_of(const struct mw_trace *trace, struct mw_str type,
                                       const struct mw_event *ended)
{
    const struct mw_fact *fact = trace->newest_fact;
    while (fact != NULL && !(mw_str_eq(fact->type, type) &&
                             (fact->task == ended->item || fact->seq == ended->fact)))
        fact = fact->older;
    return fact;
}

static void decide_validation_ended(const struct mw_world *world, const struct mw_session *session,
                                    const struct mw_request *request, struct mw_out *out)
{
    const struct mw_journey *journey =
        (const struct mw_journey *)mw_world_item(world, request->item);
    const struct mw_journey_def *def = def_of(world, journey);
    const struct mw_trace *trace = mw_world_trace_of(world, &journey->item);
    if (journey->item.outcome != MW_OUTCOME_OPEN || trace->cancelled)
        return;
    const struct mw_fact *fact =
        def != NULL ? answer_of(trace, def->validation->expects[0], request->cause) : NULL;
    struct mw_tape tape;
    bool passed = mw_str_is(request->cause->outcome, "completed") && fact != NULL &&
                  mw_json_parse(out->arena, fact->body, &tape, NULL) == MW_OK &&
                  mw_str_is(mw_node_get_text(&tape, 0, "result"), "Passed");
    struct mw_event *event = mw_out_event(out, MW_EVT_BUILD_VALIDATED);
    mw_event_about(world, out, event, &journey->item);
    event->build_id = session->builds[journey->build].build_id;
    event->status = passed ? MW_STR("Passed") : MW_STR("Failed");
    event->sha256 = session->builds[journey->build].bundle_sha256;
    if (fact != NULL) {
        event->fact = fact->seq;
        if (!mw_json_is_deeper(fact->body, MW_JSON_MADE_DEPTH_MAX)) /* the fact has it anyway */
            event->report = fact->body;
    }
    if (!passed) {
        mw_build_fail(world, session, journey,
                      request->cause->reason.len > 0 ? request->cause->reason
                                                     : MW_STR("the bundle's validation failed"),
                      request->cause, out);
        return;
    }
    draft_families(world, session, journey, def, out);
    struct mw_event *completed = mw_out_event(out, MW_EVT_BUILD_COMPLETED);
    mw_event_about(world, out, completed, &journey->item);
    completed->build_id = session->builds[journey->build].build_id;
    completed->registry_id = session->builds[journey->build].registry_id;
    completed->version = session->version_last + 1;
    completed->status = MW_STR("draft");
}

void mw_build_fail(const struct mw_world *world, const struct mw_session *session,
                   const struct mw_journey *journey, struct mw_str reason,
                   const struct mw_event *cause, struct mw_out *out)
{
    const struct mw_build *build = &session->builds[journey->build];
    struct mw_event *event = mw_out_event(out, MW_EVT_BUILD_FAILED);
    mw_event_about(world, out, event, &journey->item);
    event->build_id = build->build_id;
    event->registry_id = build->registry_id;
    event->step = journey->step;
    event->status = MW_STR("failed");
    event->reason = reason;
    if (cause != NULL) {
        event->error_class = cause->error_class;
        event->task_type = cause->task_type;
    }
    mw_journey_end(world, journey, MW_STR("failed"), reason, out);
}

void mw_journey_end(const struct mw_world *world, const struct mw_journey *journey,
                    struct mw_str outcome, struct mw_str reason, struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_JOURNEY_ENDED);
    mw_event_about(world, out, event, &journey->item);
    event->outcome = outcome;
    event->reason = reason;
}
