#include "view/internal.h"

/* Task groups (TG-05) and coordinators (CO-02, CO-08). */

static struct mw_str wanted(const struct mw_view *view)
{
    struct mw_str id = mw_view_arg(view->query, "id");
    return id.len > 0 ? id : mw_view_arg(view->query, "trace");
}

/* How a person would call it: the subject, the key, the name. */
static struct mw_str name_of(const struct mw_view_item *item)
{
    if (item->kind == MW_VIEW_TASK && item->key.len == 0 && item->subject.len > 0)
        return item->subject;
    return item->key.len > 0 ? item->key : item->name;
}

static bool is_late(const struct mw_view_item *member, const struct mw_view_item *group)
{
    return group->ended.len > 0 && mw_str_is(member->outcome, "completed") &&
           mw_str_cmp(member->ended, group->ended) > 0;
}

enum members { MEMBERS_COMPLETED, MEMBERS_FAILED, MEMBERS_OPEN, MEMBERS_LATE };

static void put_members(struct mw_view *view, const struct mw_view_item *group, const char *key,
                        enum members which)
{
    mw_json_karray(&view->json, key);
    for (const struct mw_view_item *member = group->members; member != NULL;
         member = member->next_member) {
        bool completed = mw_str_is(member->outcome, "completed");
        enum members is = completed && is_late(member, group) ? MEMBERS_LATE
                          : completed                         ? MEMBERS_COMPLETED
                          : member->outcome.len > 0           ? MEMBERS_FAILED
                                                              : MEMBERS_OPEN;
        if (is == which || (which == MEMBERS_LATE && member->late > 0))
            mw_json_str(&view->json, name_of(member));
    }
    mw_json_array_end(&view->json);
}

void mw_view_put_group(struct mw_view *view, const struct mw_view_index *index,
                       const struct mw_view_detail *detail, const struct mw_view_item *group)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_json_kstr(json, "taskGroupId", group->name);
    mw_json_kstr(json, "id", mw_view_item_id(index, view->arena, group));
    mw_view_kstr(json, "sessionId", group->session_id);
    mw_view_kstr(json, "service", mw_view_service_of(detail, group));
    mw_json_ku64(json, "expectedCount", group->expected);
    put_members(view, group, "completed", MEMBERS_COMPLETED);
    put_members(view, group, "failed", MEMBERS_FAILED);
    put_members(view, group, "open", MEMBERS_OPEN);
    put_members(view, group, "late", MEMBERS_LATE);
    mw_json_kstr(json, "status",
                 group->outcome.len == 0                  ? MW_STR("open")
                 : mw_str_is(group->outcome, "completed") ? MW_STR("complete")
                                                          : MW_STR("failed"));
    mw_view_kstr(json, "joinStrategy", group->strategy);
    mw_view_kstr(json, "started", group->started);
    mw_view_kstr(json, "ended", group->ended);
    if (group->reason.len > 0)
        mw_json_kstr(json, "reason", group->reason);
    mw_json_object_end(json);
}

/* ---- coordinators ---- */

static uint64_t count_facts(const struct mw_view_detail *detail, const char *type, mw_seq scope)
{
    uint64_t count = 0;
    for (const struct mw_view_fact *fact = detail->facts; fact != NULL; fact = fact->next)
        count += fact->scope == scope && mw_str_is(fact->type, type) ? 1 : 0;
    return count;
}

/* A fact that the coordinator may see: its own, or one of the whole trace. */
static bool has_seen(const struct mw_view_detail *detail, const char *type, mw_seq scope)
{
    for (const struct mw_view_fact *fact = detail->facts; fact != NULL; fact = fact->next)
        if (mw_str_is(fact->type, type) && (fact->trace_wide || fact->scope == scope))
            return true;
    return false;
}

static enum mw_rc put_tracker(struct mw_view *view, const struct mw_view_detail *detail,
                              const struct mw_view_item *coordinator)
{
    struct mw_json *json = &view->json;
    struct mw_tape tape;
    enum mw_rc rc =
        mw_view_parse(view, coordinator->fragment.len > 0 ? coordinator->fragment : MW_STR("{}"),
                      "a coordinator's fragment", &tape);
    if (rc != MW_OK)
        return rc;
    uint32_t auth = mw_node_get(&tape, 0, "auth");
    bool needs_auth = !mw_node_is_null(&tape, auth) && mw_node_bool(&tape, auth, true);
    mw_json_kobject(json, "tracker");
    mw_json_ku64(json, "expectedHandlers", mw_node_count(&tape, mw_node_get(&tape, 0, "useCases")));
    mw_json_ku64(json, "handlersCompleted", count_facts(detail, "HandlerReady", coordinator->id));
    mw_json_ku64(json, "adaptersGenerated",
                 count_facts(detail, "AdapterGenerated", coordinator->id));
    mw_json_kbool(json, "authRequired", needs_auth);
    mw_json_kbool(json, "authConfigured",
                  needs_auth && has_seen(detail, "AuthConfigured", coordinator->id));
    mw_json_object_end(json);
    return MW_OK;
}

static void put_stage(struct mw_view *view, const struct mw_view_stage *stage)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_view_kstr(json, "from", stage->from);
    mw_view_kstr(json, "state", stage->to);
    mw_view_kstr(json, "event", stage->by);
    mw_json_kbool(json, "skipped", stage->skipped);
    if (stage->rule.len > 0)
        mw_json_kstr(json, "rule", stage->rule);
    mw_view_kstr(json, "at", stage->at);
    mw_json_ku64(json, "record", stage->seq);
    if (stage->reason.len > 0)
        mw_json_kstr(json, "reason", stage->reason);
    mw_json_object_end(json);
}

enum mw_rc mw_view_put_coordinator(struct mw_view *view, const struct mw_view_index *index,
                                   const struct mw_view_detail *detail,
                                   const struct mw_view_item *coordinator)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_json_kstr(json, "id", mw_view_item_id(index, view->arena, coordinator));
    mw_view_kstr(json, "coordinator", coordinator->name);
    mw_view_kstr(json, "version", coordinator->version);
    mw_view_kstr(json, "service", coordinator->key);
    mw_view_kstr(json, "sessionId", coordinator->session_id);
    mw_view_kstr(json, "state", coordinator->state);
    mw_json_kstr(json, "status", mw_str_of(mw_view_item_state(coordinator)));
    mw_view_kstr(json, "started", coordinator->started);
    mw_view_kstr(json, "ended", coordinator->ended);
    if (coordinator->reason.len > 0)
        mw_json_kstr(json, "reason", coordinator->reason);
    mw_json_karray(json, "history");
    for (const struct mw_view_stage *stage = coordinator->stages; stage != NULL;
         stage = stage->next)
        put_stage(view, stage);
    mw_json_array_end(json);
    enum mw_rc rc = put_tracker(view, detail, coordinator);
    mw_json_object_end(json);
    return rc;
}

/* ---- the views ---- */

static enum mw_rc look(struct mw_view *view, struct mw_view_index *index,
                       struct mw_view_detail *detail)
{
    struct mw_str name = wanted(view);
    struct mw_view_trace *trace;
    enum mw_rc rc = mw_view_index_make(view, name, index);
    if (rc != MW_OK)
        return rc;
    /* "usecases" and "TaskService" are no ids: they are looked for in the newest trace, or in the one named beside. */
    bool is_id = index->wanted_seen || mw_view_arg(view->query, "id").len == 0;
    rc = mw_view_trace_pick(index, is_id ? name : mw_view_arg(view->query, "trace"), &trace);
    if (rc != MW_OK)
        return rc;
    *detail = (struct mw_view_detail){.trace = trace, .keep_fragments = true};
    return mw_view_detail_make(view, detail);
}

static enum mw_rc list(struct mw_view *view, enum mw_view_item_kind kind, const char *key)
{
    struct mw_view_index index;
    struct mw_view_detail detail;
    enum mw_rc rc = look(view, &index, &detail);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_view_kstr(&view->json, "traceId", detail.trace->wire_id);
    mw_json_karray(&view->json, key);
    for (const struct mw_view_item *item = detail.items; rc == MW_OK && item != NULL;
         item = item->next) {
        if (item->kind != kind)
            continue;
        if (kind == MW_VIEW_GROUP)
            mw_view_put_group(view, &index, &detail, item);
        else
            rc = mw_view_put_coordinator(view, &index, &detail, item);
    }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    return rc;
}

/* By wire id, or by name or service in the trace; nothing given: the only one. */
static enum mw_rc one(struct mw_view *view, enum mw_view_item_kind kind, const char *what)
{
    struct mw_view_index index;
    struct mw_view_detail detail;
    struct mw_str name = mw_view_arg(view->query, "id");
    const struct mw_view_item *found = NULL;
    uint32_t count = 0;
    enum mw_rc rc = look(view, &index, &detail);
    if (rc != MW_OK)
        return rc;
    /* Nothing named, or the trace: the only one of it. */
    bool is_trace = name.len == 0 || (index.wanted_seen && index.wanted == detail.trace->id);
    for (const struct mw_view_item *item = detail.items; item != NULL; item = item->next) {
        if (item->kind != kind)
            continue;
        bool named = index.wanted_seen && !is_trace
                         ? item->id == index.wanted
                         : is_trace || mw_str_eq(item->key, name) || mw_str_eq(item->name, name);
        found = named ? item : found;
        count += named ? 1 : 0;
    }
    if (found == NULL)
        return name.len > 0
                   ? MW_FAIL(view->err, MW_E_MISSING, "no %s '%.*s'", what, MW_STR_ARG(name))
                   : MW_FAIL(view->err, MW_E_MISSING, "trace %.*s has no %s (yet)",
                             MW_STR_ARG(detail.trace->wire_id), what);
    if (count > 1)
        return MW_FAIL(view->err, MW_E_USAGE, "%u of this trace fit: name one %s by its id", count,
                       what);
    if (kind == MW_VIEW_COORDINATOR)
        return mw_view_put_coordinator(view, &index, &detail, found);
    mw_view_put_group(view, &index, &detail, found);
    return MW_OK;
}

enum mw_rc mw_view_groups(struct mw_view *view)
{
    return list(view, MW_VIEW_GROUP, "groups");
}

enum mw_rc mw_view_group(struct mw_view *view)
{
    return one(view, MW_VIEW_GROUP, "task group");
}

enum mw_rc mw_view_coordinators(struct mw_view *view)
{
    return list(view, MW_VIEW_COORDINATOR, "coordinators");
}

enum mw_rc mw_view_coordinator(struct mw_view *view)
{
    return one(view, MW_VIEW_COORDINATOR, "coordinator");
}
