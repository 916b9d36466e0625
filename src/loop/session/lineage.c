#include "loop/session/internal.h"

#define NO_BUILD UINT32_MAX
#define STALE_AT_ONCE_MAX 128u /* two records each, beside those of the accepted one's families */

static void decide_accept(const struct mw_world *world, const struct mw_session *session,
                          const struct mw_request *request, struct mw_out *out);
static void decide_reject(const struct mw_world *world, const struct mw_session *session,
                          const struct mw_request *request, struct mw_out *out);
static void decide_promote(const struct mw_world *world, const struct mw_session *session,
                           const struct mw_request *request, struct mw_out *out);
static void decide_rollback(const struct mw_world *world, const struct mw_session *session,
                            const struct mw_request *request, struct mw_out *out);
static void decide_promoted(const struct mw_world *world, const struct mw_session *session,
                            const struct mw_request *request, struct mw_out *out);

static const char *const state_names[MW_BUILD_STATE_COUNT] = {
    "building", "draft", "current", "superseded", "archived", "failed", "cancelled", "stale"};

const char *mw_build_state_name(enum mw_build_state state)
{
    MW_ASSERT((unsigned)state < MW_BUILD_STATE_COUNT);
    return state_names[state];
}

void mw_lineage_decide(const struct mw_world *world, const struct mw_session *session,
                       const struct mw_request *request, struct mw_out *out)
{
    switch (request->kind) {
    case MW_REQ_ACCEPT_DRAFT:
        decide_accept(world, session, request, out);
        return;
    case MW_REQ_REJECT_DRAFT:
        decide_reject(world, session, request, out);
        return;
    case MW_REQ_PROMOTE:
        decide_promote(world, session, request, out);
        return;
    case MW_REQ_ROLLBACK:
        decide_rollback(world, session, request, out);
        return;
    case MW_REQ_RECORD_PROMOTION:
        decide_promoted(world, session, request, out);
        return;
    default:
        MW_UNREACHABLE("a request that is not about lineage");
    }
}

/* By `buildId` (a build id, or "v2" or "2"), else the only one in the wanted state. Refuses when there is none or more than one. */
static uint32_t find_build(const struct mw_session *session, const struct mw_request *request,
                           enum mw_build_state wanted, struct mw_out *out)
{
    struct mw_str name = mw_node_get_text(request->body, request->body_node, "buildId");
    uint32_t found = NO_BUILD, count = 0;
    uint64_t version = 0;
    bool by_version = mw_str_to_u64(
        mw_str_starts(name, MW_STR("v")) ? mw_str_sub(name, 1, name.len) : name, &version);
    for (uint32_t i = 0; i < session->build_count; i++) {
        const struct mw_build *build = &session->builds[i];
        bool named = mw_str_eq(build->build_id, name) ||
                     (by_version && version > 0 && build->version == version);
        if (name.len > 0 ? named : build->state == wanted) {
            found = i;
            count++;
        }
    }
    if (count == 1)
        return found;
    if (name.len > 0)
        mw_out_refuse(out, MW_E_MISSING, "/buildId",
                      mw_arena_format(out->arena, "no build '%.*s'", MW_STR_ARG(name)));
    else if (count == 0)
        mw_out_refuse(
            out, MW_E_MISSING, "/buildId",
            mw_arena_format(out->arena, "there is no %s build", mw_build_state_name(wanted)));
    else
        mw_out_refuse(out, MW_E_USAGE, "/buildId",
                      mw_arena_format(out->arena, "%u builds are %s: name one", count,
                                      mw_build_state_name(wanted)));
    return NO_BUILD;
}

static void refuse_state(const struct mw_build *build, const char *wanted, struct mw_out *out)
{
    mw_out_refuse(out, MW_E_DENIED, "/buildId",
                  mw_arena_format(out->arena, "build %.*s is %s; %s", MW_STR_ARG(build->build_id),
                                  mw_build_state_name((enum mw_build_state)build->state), wanted));
}

/* Only the current version can be promoted, so nothing can come of the one before any more: its journey is over. */
static void end_superseded(const struct mw_world *world, const struct mw_session *session,
                           uint32_t accepted, struct mw_out *out)
{
    if (session->current == 0 || session->current == accepted + 1)
        return;
    const struct mw_item *journey =
        mw_world_item(world, session->builds[session->current - 1].journey);
    if (journey != NULL && journey->outcome == MW_OUTCOME_OPEN)
        mw_journey_end(world, (const struct mw_journey *)journey, MW_STR("completed"),
                       MW_STR("a later version was accepted"), out);
}

static uint32_t older_drafts(const struct mw_session *session, uint32_t accepted)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < session->build_count; i++)
        count += session->builds[i].state == MW_BUILD_DRAFT &&
                 session->builds[i].version < session->builds[accepted].version;
    return count;
}

/* An older draft was made from a concept that is not the current one any more: no family of it can become current (V-17). */
static void end_stale(const struct mw_world *world, const struct mw_session *session,
                      uint32_t accepted, struct mw_out *out)
{
    const struct mw_build *build = &session->builds[accepted];
    struct mw_str why =
        mw_arena_format(out->arena, "version %lu was accepted", (unsigned long)build->version);
    for (uint32_t i = 0; i < session->build_count; i++) {
        const struct mw_build *older = &session->builds[i];
        if (older->state != MW_BUILD_DRAFT || older->version >= build->version)
            continue;
        const struct mw_item *journey = mw_world_item(world, older->journey);
        struct mw_event *event = mw_out_event(out, MW_EVT_ARTIFACT_STALE);
        mw_event_about(world, out, event, journey);
        event->build_id = older->build_id;
        event->version = older->version;
        event->status = MW_STR("stale");
        event->reason = why;
        mw_journey_end(world, (const struct mw_journey *)journey, MW_STR("cancelled"), why, out);
    }
}

static void decide_accept(const struct mw_world *world, const struct mw_session *session,
                          const struct mw_request *request, struct mw_out *out)
{
    uint32_t index = find_build(session, request, MW_BUILD_DRAFT, out);
    if (index == NO_BUILD)
        return;
    const struct mw_build *build = &session->builds[index];
    if (build->state != MW_BUILD_DRAFT || !build->validated) {
        refuse_state(build, "only a validated draft can be accepted", out);
        return;
    }
    const struct mw_trace *trace = mw_world_trace(world, build->trace);
    const struct mw_catalogue *catalogue = trace != NULL ? mw_world_catalogue(world, trace) : NULL;
    const struct mw_journey_def *def =
        catalogue != NULL ? mw_catalogue_journey(catalogue, mw_trace_more(trace)->journey) : NULL;
    if (def == NULL) {
        mw_out_refuse(out, MW_E_CONFIG, "/buildId",
                      MW_STR("the definitions of this build are missing"));
        return;
    }
    const struct mw_item *journey = mw_world_item(world, build->journey);
    if (older_drafts(session, index) > STALE_AT_ONCE_MAX) {
        mw_out_refuse(out, MW_E_LIMIT, "/buildId",
                      mw_arena_format(out->arena,
                                      "%u older drafts would be stale at once, at most %u may be: "
                                      "reject some of them first",
                                      older_drafts(session, index), STALE_AT_ONCE_MAX));
        return;
    }
    for (uint32_t step = 0; step < def->step_count; step++)
        for (uint32_t i = 0; i < def->steps[step].produces_count; i++) {
            struct mw_event *event = mw_out_event(out, MW_EVT_ARTIFACT_ACCEPTED);
            mw_event_about(world, out, event, journey);
            event->build_id = build->build_id;
            event->app_id = build->app_id;
            event->family = def->steps[step].produces[i];
            event->version = build->version;
            event->parent_version =
                session->current > 0 ? session->builds[session->current - 1].version : 0;
            event->status = MW_STR("current");
            event->sha256 = build->bundle_sha256;
        }
    end_superseded(world, session, index, out);
    end_stale(world, session, index, out);
}

static void decide_reject(const struct mw_world *world, const struct mw_session *session,
                          const struct mw_request *request, struct mw_out *out)
{
    uint32_t index = find_build(session, request, MW_BUILD_DRAFT, out);
    if (index == NO_BUILD)
        return;
    const struct mw_build *build = &session->builds[index];
    if (build->state != MW_BUILD_DRAFT) {
        refuse_state(build, "only a draft can be rejected", out);
        return;
    }
    const struct mw_item *journey = mw_world_item(world, build->journey);
    struct mw_event *event = mw_out_event(out, MW_EVT_ARTIFACT_REJECTED);
    mw_event_about(world, out, event, journey);
    event->build_id = build->build_id;
    event->version = build->version;
    event->status = MW_STR("archived");
    event->reason = mw_node_get_text(request->body, request->body_node, "why");
    mw_journey_end(world, (const struct mw_journey *)journey, MW_STR("cancelled"),
                   MW_STR("the draft was rejected"), out);
}

/* What the host is to put where; the same for promotion and rollback. */
static void ask_promotion(const struct mw_world *world, const struct mw_session *session,
                          uint32_t index, struct mw_str target, struct mw_str mode,
                          struct mw_str approved_config, struct mw_out *out)
{
    const struct mw_build *build = &session->builds[index];
    struct mw_event *event = mw_out_event(out, MW_EVT_PROMOTION_STARTED);
    if (mw_world_trace(world, build->trace) != NULL)
        event->trace = build->trace;
    event->build_id = build->build_id;
    event->app_id = build->app_id;
    event->version = build->version;
    event->state_index = index;
    event->sha256 = build->bundle_sha256;
    event->path = build->path;
    event->target = target;
    event->mode = mode;
    event->approved_config = approved_config;
}

static bool promotion_is_free(const struct mw_session *session, struct mw_out *out)
{
    if (session->promotion == 0)
        return true;
    mw_out_refuse(out, MW_E_CONFLICT, "", MW_STR("a promotion is on its way"));
    return false;
}

static void decide_promote(const struct mw_world *world, const struct mw_session *session,
                           const struct mw_request *request, struct mw_out *out)
{
    const struct mw_tape *body = request->body;
    uint32_t index = find_build(session, request, MW_BUILD_CURRENT, out);
    if (index == NO_BUILD)
        return;
    if (session->builds[index].state != MW_BUILD_CURRENT) {
        refuse_state(&session->builds[index], "only the accepted, current version can be promoted",
                     out);
        return;
    }
    if (!promotion_is_free(session, out))
        return;
    struct mw_str target = mw_node_get_text(body, request->body_node, "target");
    struct mw_str mode = mw_node_get_text(body, request->body_node, "mode");
    if (mode.len > 0 && !mw_str_is(mode, "adopt-edits") && !mw_str_is(mode, "discard-edits")) {
        mw_out_refuse(out, MW_E_INPUT, "/mode", MW_STR("mode is adopt-edits or discard-edits"));
        return;
    }
    struct mw_str approved = mw_node_get_text(body, request->body_node, "approvedConfig");
    if (approved.len != 0 && approved.len != 64) {
        mw_out_refuse(out, MW_E_INPUT, "/approvedConfig",
                      MW_STR("the digest that the refusal named: 64 hexadecimal digits"));
        return;
    }
    ask_promotion(world, session, index, target.len > 0 ? target : MW_STR("app"),
                  mode.len > 0 ? mode : MW_STR("refuse"), approved, out);
}

static void decide_rollback(const struct mw_world *world, const struct mw_session *session,
                            const struct mw_request *request, struct mw_out *out)
{
    (void)request; /* it says nothing but that */
    if (!promotion_is_free(session, out))
        return;
    if (session->promoted_last == 0) {
        mw_out_refuse(out, MW_E_MISSING, "", MW_STR("there is no earlier promoted version"));
        return;
    }
    ask_promotion(world, session, session->promoted_last - 1, MW_STR("app"), MW_STR("rollback"),
                  MW_STR_NONE, out);
}

static void decide_promoted(const struct mw_world *world, const struct mw_session *session,
                            const struct mw_request *request, struct mw_out *out)
{
    const struct mw_tape *body = request->body;
    if (session->promotion == 0 || session->promotion != request->fence) {
        mw_out_refuse(out, MW_E_CONFLICT, "", MW_STR("nobody waits for this promotion any more"));
        return;
    }
    const struct mw_build *build = &session->builds[session->promoting - 1];
    struct mw_str error = mw_node_get_text(body, request->body_node, "error");
    struct mw_event *event =
        mw_out_event(out, error.len > 0 ? MW_EVT_PROMOTION_FAILED : MW_EVT_APP_PROMOTED);
    event->fence = session->promotion;
    if (mw_world_trace(world, build->trace) != NULL)
        event->trace = build->trace;
    event->build_id = build->build_id;
    event->app_id = build->app_id;
    event->version = build->version;
    event->path = mw_node_get_text(body, request->body_node, "root");
    event->sha256 = mw_node_get_text(body, request->body_node, "sha256");
    event->target = mw_node_get_text(body, request->body_node, "target");
    event->reason = error;
    event->error_class = mw_node_get_text(body, request->body_node, "class");
    const struct mw_item *journey = mw_world_item(world, build->journey);
    if (error.len == 0 && journey != NULL && journey->outcome == MW_OUTCOME_OPEN)
        mw_journey_end(world, (const struct mw_journey *)journey, MW_STR("completed"), MW_STR_NONE,
                       out);
}

const struct mw_build *mw_session_building(const struct mw_session *session)
{
    for (uint32_t i = session->build_count; i > 0; i--)
        if (session->builds[i - 1].state == MW_BUILD_BUILDING)
            return &session->builds[i - 1];
    return NULL;
}

const struct mw_build *mw_session_build_of(const struct mw_session *session, mw_seq trace)
{
    for (uint32_t i = session->build_count; i > 0; i--)
        if (session->builds[i - 1].trace == trace)
            return &session->builds[i - 1];
    return NULL;
}

mw_seq mw_session_same_intent(const struct mw_world *world, const struct mw_session *session,
                              struct mw_str intent_sha256, struct mw_str journey)
{
    for (uint32_t i = session->build_count; i > 0; i--) {
        const struct mw_build *build = &session->builds[i - 1];
        const struct mw_trace *trace = mw_world_trace(world, build->trace);
        char hex[MW_TRACE_SHA256_HEX];
        if (trace != NULL && !trace->cancelled && intent_sha256.len > 0 &&
            mw_str_eq(mw_trace_more(trace)->journey, journey) &&
            (build->state == MW_BUILD_BUILDING || build->state == MW_BUILD_DRAFT) &&
            mw_str_eq(mw_trace_document_sha256(trace, 0, hex), intent_sha256))
            return trace->id;
    }
    return 0;
}
