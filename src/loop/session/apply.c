#include "loop/session/chain.h"
#include "loop/session/session.h"

#include <string.h>

static struct mw_str keep(struct mw_world *world, struct mw_str s)
{
    if (s.len == 0)
        return MW_STR_NONE;
    char *copy = mw_mem_alloc(&world->mem, s.len);
    memcpy(copy, s.ptr, s.len);
    return (struct mw_str){copy, s.len};
}

static struct mw_build *add_build(struct mw_world *world, struct mw_session *session)
{
    if (session->build_count == session->build_cap) {
        uint32_t cap = session->build_cap > 0 ? session->build_cap * 2 : 8;
        struct mw_build *builds = mw_mem_alloc(&world->mem, cap * sizeof(*builds));
        if (session->build_count > 0)
            memcpy(builds, session->builds, session->build_count * sizeof(*builds));
        mw_mem_free(&world->mem, session->builds, session->build_cap * sizeof(*builds));
        session->builds = builds;
        session->build_cap = cap;
    }
    return &session->builds[session->build_count++];
}

static struct mw_build *build_of(struct mw_world *world, struct mw_session *session, mw_seq item)
{
    struct mw_journey *journey = (struct mw_journey *)mw_world_item(world, item);
    MW_ASSERT(journey != NULL);
    MW_ASSERT(journey->item.kind == MW_ITEM_JOURNEY);
    return &session->builds[journey->build];
}

static void apply_started(struct mw_world *world, struct mw_session *session,
                          const struct mw_event *event)
{
    struct mw_journey *journey =
        (struct mw_journey *)mw_world_add_item(world, event, MW_ITEM_JOURNEY, sizeof(*journey));
    struct mw_trace *trace = mw_world_trace(world, event->trace);
    struct mw_build *build = add_build(world, session);
    journey->item.scope = journey->item.id;
    journey->def = (uint32_t)event->state_index;
    journey->build = session->build_count - 1;
    *build = (struct mw_build){.journey = event->seq,
                               .trace = event->trace,
                               .session = session->session,
                               .build_id = keep(world, event->build_id),
                               .state = MW_BUILD_BUILDING};
    mw_trace_make_more(world, trace)->build_id =
        mw_pool_copy(&trace->pool, &world->mem, event->build_id);
}

static void apply_accepted(struct mw_session *session, struct mw_build *build)
{
    uint32_t index = (uint32_t)(build - session->builds);
    if (session->current > 0 && session->current != index + 1)
        session->builds[session->current - 1].state = MW_BUILD_SUPERSEDED;
    build->state = MW_BUILD_CURRENT;
    session->current = index + 1;
}

static void apply_promoted(struct mw_world *world, struct mw_session *session,
                           const struct mw_event *event)
{
    session->promotion = 0;
    if (event->kind == MW_EVT_PROMOTION_FAILED || !mw_str_is(event->target, "app"))
        return;
    session->builds[session->promoting - 1].promoted = true;
    if (session->promoted != session->promoting)
        session->promoted_last = session->promoted;
    session->promoted = session->promoting;
    mw_mem_free(&world->mem, (void *)(uintptr_t)session->promoted_sha256.ptr,
                session->promoted_sha256.len);
    session->promoted_sha256 = keep(world, event->sha256);
}

void mw_session_apply(struct mw_world *world, struct mw_session *session,
                      const struct mw_event *event)
{
    struct mw_build *build;
    switch (event->kind) {
    case MW_EVT_SESSION_OPENED:
        session->session = event->seq;
        return;
    case MW_EVT_JOURNEY_STARTED:
        apply_started(world, session, event);
        return;
    case MW_EVT_BUILD_STARTED:
    case MW_EVT_STAGE_ASKED:
    case MW_EVT_VALIDATION_ASKED:
        return;
    case MW_EVT_JOURNEY_STEP:
        ((struct mw_journey *)mw_world_item(world, event->item))->step = (uint32_t)event->step;
        return;
    case MW_EVT_BUILD_REGISTERED: {
        struct mw_trace *trace = mw_world_trace(world, event->trace);
        build = build_of(world, session, event->item);
        build->registered = true;
        build->app_id = keep(world, event->app_id);
        build->registry_id = keep(world, event->registry_id);
        mw_trace_make_more(world, trace)->app_id =
            mw_pool_copy(&trace->pool, &world->mem, event->app_id);
        if (session->app_id.len == 0) {
            session->app_id = keep(world, event->app_id);
            session->app_name = keep(world, event->app_name);
        }
        return;
    }
    case MW_EVT_BUNDLE_STAGED:
        build = build_of(world, session, event->item);
        build->bundle_sha256 = keep(world, event->sha256);
        build->path = keep(world, event->path);
        build->file_count = event->file_count;
        build->size_bytes = event->size_bytes;
        return;
    case MW_EVT_BUILD_VALIDATED:
        build_of(world, session, event->item)->validated = mw_str_is(event->status, "Passed");
        return;
    case MW_EVT_ARTIFACT_DRAFTED:
        build = build_of(world, session, event->item);
        build->version = event->version;
        build->families++;
        return;
    case MW_EVT_BUILD_COMPLETED:
        build = build_of(world, session, event->item);
        build->state = MW_BUILD_DRAFT;
        session->version_last = event->version;
        return;
    case MW_EVT_BUILD_FAILED:
        build_of(world, session, event->item)->state =
            mw_str_is(event->status, "cancelled") ? MW_BUILD_CANCELLED : MW_BUILD_FAILED;
        return;
    case MW_EVT_ARTIFACT_ACCEPTED:
        apply_accepted(session, build_of(world, session, event->item));
        return;
    case MW_EVT_ARTIFACT_REJECTED:
        build_of(world, session, event->item)->state = MW_BUILD_REJECTED;
        return;
    case MW_EVT_ARTIFACT_STALE:
        build_of(world, session, event->item)->state = MW_BUILD_STALE;
        return;
    case MW_EVT_PROMOTION_STARTED:
        session->promotion = event->seq;
        session->promoting = (uint32_t)event->state_index + 1;
        return;
    case MW_EVT_APP_PROMOTED:
    case MW_EVT_PROMOTION_FAILED:
        apply_promoted(world, session, event);
        return;
    case MW_EVT_CHAIN_STARTED:
    case MW_EVT_CHAIN_STEP:
    case MW_EVT_CHAIN_ENDED:
        mw_chain_apply(world, event);
        return;
    case MW_EVT_JOURNEY_ENDED:
        mw_world_end_item(world, mw_world_item(world, event->item),
                          mw_outcome_by_name(event->outcome));
        return;
    default:
        MW_UNREACHABLE("an event that is not about sessions");
    }
}

void mw_session_dump(const struct mw_session *session, struct mw_buf *buf)
{
    mw_buf_printf(
        buf, "session %lu app=%.*s current=%u promoted=%u last=%u promotion=%lu versions=%lu\n",
        (unsigned long)session->session, MW_STR_ARG(session->app_id), session->current,
        session->promoted, session->promoted_last, (unsigned long)session->promotion,
        (unsigned long)session->version_last);
    for (uint32_t i = 0; i < session->build_count; i++) {
        const struct mw_build *build = &session->builds[i];
        mw_buf_printf(buf, "build %.*s %s v%lu sha=%.*s registered=%d validated=%d promoted=%d\n",
                      MW_STR_ARG(build->build_id),
                      mw_build_state_name((enum mw_build_state)build->state),
                      (unsigned long)build->version, MW_STR_ARG(build->bundle_sha256),
                      (int)build->registered, (int)build->validated, (int)build->promoted);
    }
}

void mw_session_dump_left(const struct mw_session *session, struct mw_buf *buf)
{
    mw_buf_printf(buf, "app '%.*s' tree=%.*s promoting=%u\n", MW_STR_ARG(session->app_name),
                  MW_STR_ARG(session->promoted_sha256), session->promoting);
    for (uint32_t i = 0; i < session->build_count; i++) {
        const struct mw_build *build = &session->builds[i];
        mw_buf_printf(buf,
                      "build %lu trace=%lu session=%lu app=%.*s registry=%.*s path=%.*s files=%lu "
                      "bytes=%lu families=%u\n",
                      (unsigned long)build->journey, (unsigned long)build->trace,
                      (unsigned long)build->session, MW_STR_ARG(build->app_id),
                      MW_STR_ARG(build->registry_id), MW_STR_ARG(build->path),
                      (unsigned long)build->file_count, (unsigned long)build->size_bytes,
                      build->families);
    }
}

void mw_session_dump_item(const struct mw_item *item, struct mw_buf *buf)
{
    const struct mw_journey *journey = (const struct mw_journey *)item;
    mw_buf_printf(buf, " def=%u step=%u build=%u", journey->def, journey->step, journey->build);
}
