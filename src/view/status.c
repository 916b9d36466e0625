#include "view/internal.h"

/* What exists and what waits: status, builds, build, artifacts, items. */

#define RUNS_SHOWN_MAX 20u

static void put_promoted(struct mw_view *view, const struct mw_view_index *index)
{
    struct mw_json *json = &view->json;
    mw_json_key(json, MW_STR("promoted"));
    if (index->promoted == NULL) {
        mw_json_null(json);
        return;
    }
    mw_json_object(json);
    mw_json_ku64(json, "version", index->promoted->version);
    mw_view_kstr(json, "build_id", index->promoted->build_id);
    mw_view_kstr(json, "sha256", index->promoted_sha256);
    mw_view_kstr(json, "root", index->promoted_root);
    mw_view_kstr(json, "at", index->promoted_at);
    mw_json_object_end(json);
}

static void put_app(struct mw_view *view, const struct mw_view_index *index)
{
    const struct mw_view_build *named = NULL;
    for (const struct mw_view_build *build = index->builds; build != NULL; build = build->next)
        if (build->app_id.len > 0)
            named = build;
    mw_json_key(&view->json, MW_STR("app"));
    if (named == NULL) {
        mw_json_null(&view->json);
        return;
    }
    mw_json_object(&view->json);
    mw_view_kstr(&view->json, "app_id", named->app_id);
    mw_view_kstr(&view->json, "name", named->app_name);
    mw_json_object_end(&view->json);
}

static void put_versions(struct mw_view *view, const struct mw_view_index *index)
{
    struct mw_json *json = &view->json;
    mw_json_karray(json, "versions");
    for (const struct mw_view_build *build = index->builds; build != NULL; build = build->next) {
        if (build->version == 0)
            continue;
        mw_json_object(json);
        mw_json_ku64(json, "version", build->version);
        mw_view_kstr(json, "build_id", build->build_id);
        mw_json_kstr(json, "state", mw_str_of(mw_view_build_state_name(build->state)));
        mw_json_kbool(json, "promoted", build->promoted);
        mw_view_kstr(json, "sha256", build->sha256);
        mw_view_kstr(json, "staged", build->path);
        mw_json_ku64(json, "files", build->file_count);
        mw_json_ku64(json, "bytes", build->size_bytes);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

void mw_view_put_decisions(struct mw_view *view, const struct mw_view_build *build)
{
    struct mw_json *json = &view->json;
    mw_json_karray(json, "decisions");
    for (const struct mw_view_decision *decision = build->decisions; decision != NULL;
         decision = decision->next) {
        mw_json_object(json);
        mw_json_kstr(json, "decision", mw_str_of(decision->what));
        mw_view_kstr(json, "actor", decision->actor);
        mw_view_kstr(json, "at", decision->at);
        mw_json_ku64(json, "record", decision->seq);
        if (decision->target.len > 0)
            mw_json_kstr(json, "target", decision->target);
        if (decision->outcome.len > 0)
            mw_json_kstr(json, "outcome", decision->outcome);
        if (decision->why.len > 0)
            mw_json_kstr(json, "why", decision->why);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

void mw_view_put_build(struct mw_view *view, const struct mw_view_build *build)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_view_kstr(json, "build_id", build->build_id);
    mw_view_kstr(json, "journey_instance_id", build->build_id);
    mw_view_kstr(json, "build_registry_id", build->registry_id);
    mw_view_kstr(json, "app_id", build->app_id);
    mw_view_kstr(json, "name", build->app_name);
    mw_view_kstr(json, "user_id", build->user_id);
    mw_view_kstr(json, "traceId", build->trace->wire_id);
    mw_view_kstr(json, "journey", build->journey_name);
    if (mw_view_arg(view->query, "workspace").len > 0)
        mw_json_kstr(json, "workspace_root", mw_view_arg(view->query, "workspace"));
    mw_json_kstr(json, "app_root", MW_STR("app"));
    mw_view_kstr(json, "generated_app_dir", build->path);
    mw_json_kbool(json, "promoted", build->promoted);
    mw_json_kstr(json, "status", mw_str_of(mw_view_build_state_name(build->state)));
    mw_json_ku64(json, "phase", build->phase);
    mw_json_ku64(json, "step", build->step);
    mw_view_kstr(json, "workflow", build->workflow);
    mw_json_ku64(json, "version", build->version);
    mw_json_ku64(json, "parent_version", build->parent_version);
    mw_view_kstr(json, "sha256", build->sha256);
    mw_json_ku64(json, "files", build->file_count);
    mw_json_ku64(json, "bytes", build->size_bytes);
    mw_view_kstr(json, "validation", build->validation);
    mw_view_kstr(json, "started", build->started);
    mw_view_kstr(json, "ended", build->ended);
    mw_view_kstr(json, "reason", build->reason);
    mw_json_object_end(json);
}

/* What somebody has to do: the words of the question, or why an agent's task came to a person. */
static void put_item(struct mw_view *view, const struct mw_view_index *index,
                     const struct mw_view_open *open)
{
    static const char *const asked[] = {"question", "field", "options", "service"};
    struct mw_json *json = &view->json;
    struct mw_view_trace *trace = mw_view_table_get(&index->trace_by_id, open->trace);
    struct mw_str reason = mw_view_text_get(&open->reason);
    struct mw_tape tape;
    if (mw_json_parse(view->arena, mw_view_text_get(&open->line), &tape, NULL) != MW_OK)
        return; /* it was read before: only memory can be short, which the arena says */
    uint32_t payload = mw_node_get(&tape, 0, "payload");
    mw_json_object(json);
    mw_json_kstr(json, "item", mw_view_wire_id(index, view->arena, "t", open->item));
    mw_json_ku64(json, "number", open->item);
    mw_json_kstr(json, "kind",
                 reason.len > 0 ? MW_STR("escalation")
                 : mw_node_type(&tape, mw_node_get(&tape, payload, "question")) == MW_NODE_STRING
                     ? MW_STR("question")
                     : MW_STR("task"));
    mw_json_kstr(json, "task", mw_node_get_text(&tape, 0, "taskType"));
    mw_json_kstr(json, "agent", mw_node_get_text(&tape, 0, "agentId"));
    mw_view_kstr(json, "traceId", trace != NULL ? trace->wire_id : MW_STR_NONE);
    mw_view_kstr(json, "build_id",
                 trace != NULL && trace->build != NULL ? trace->build->build_id : MW_STR_NONE);
    mw_json_kstr(json, "since", mw_node_get_text(&tape, 0, "timestamp"));
    for (size_t i = 0; i < MW_COUNT(asked); i++) {
        uint32_t node = mw_node_get(&tape, payload, asked[i]);
        if (!mw_node_is_null(&tape, node))
            mw_json_knode(json, asked[i], &tape, node);
    }
    struct mw_str why = reason.len > 0 ? reason : mw_node_get_text(&tape, payload, "reason");
    mw_view_kstr(json, "reason", why);
    mw_json_object_end(json);
}

void mw_view_put_items_open(struct mw_view *view, const struct mw_view_index *index)
{
    const struct mw_view_open *oldest = index->open;
    mw_json_karray(&view->json, "items");
    while (oldest != NULL && oldest->next != NULL)
        oldest = oldest->next;
    for (; oldest != NULL; oldest = oldest->previous)
        if (oldest->person)
            put_item(view, index, oldest);
    mw_json_array_end(&view->json);
}

/* Those that are open, and the newest of the others. */
void mw_view_put_runs(struct mw_view *view, const struct mw_view_index *index)
{
    struct mw_json *json = &view->json;
    uint32_t ended = 0, seen = 0;
    for (const struct mw_view_run *run = index->runs; run != NULL; run = run->next)
        ended += run->outcome.len > 0 ? 1 : 0;
    mw_json_karray(json, "runs");
    for (const struct mw_view_run *run = index->runs; run != NULL; run = run->next) {
        seen += run->outcome.len > 0 ? 1 : 0;
        if (run->outcome.len > 0 && seen + RUNS_SHOWN_MAX <= ended)
            continue;
        mw_json_object(json);
        mw_view_kstr(json, "run_id", run->run_id);
        mw_view_kstr(json, "preset", run->preset);
        mw_view_kstr(json, "traceId", run->trace != NULL ? run->trace->wire_id : MW_STR_NONE);
        mw_json_kstr(json, "state", run->outcome.len > 0 ? run->outcome : MW_STR("running"));
        mw_json_ku64(json, "iterations", run->iterations);
        mw_view_kstr(json, "started", run->started);
        mw_view_kstr(json, "ended", run->ended);
        if (run->reason.len > 0)
            mw_json_kstr(json, "reason", run->reason);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

enum mw_rc mw_view_status(struct mw_view *view)
{
    struct mw_view_index index;
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    struct mw_json *json = &view->json;
    mw_json_object(json);
    put_app(view, &index);
    put_versions(view, &index);
    mw_json_karray(json, "builds");
    for (const struct mw_view_build *build = index.builds; build != NULL; build = build->next) {
        mw_json_object(json);
        mw_view_kstr(json, "build_id", build->build_id);
        mw_json_kstr(json, "state", mw_str_of(mw_view_build_state_name(build->state)));
        mw_json_ku64(json, "phase", build->phase);
        mw_json_ku64(json, "version", build->version);
        mw_view_kstr(json, "workflow", build->workflow);
        mw_view_kstr(json, "started", build->started);
        mw_view_kstr(json, "ended", build->ended);
        mw_view_kstr(json, "reason", build->reason);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_view_put_runs(view, &index);
    mw_view_put_items_open(view, &index);
    put_promoted(view, &index);
    mw_json_ku64(json, "records", index.last_seq);
    mw_json_key(json, MW_STR("host"));
    mw_json_null(json);
    mw_json_object_end(json);
    return MW_OK;
}

enum mw_rc mw_view_builds(struct mw_view *view)
{
    struct mw_view_index index;
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_karray(&view->json, "builds");
    for (const struct mw_view_build *build = index.builds; build != NULL; build = build->next)
        mw_view_put_build(view, build);
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    return MW_OK;
}

/* The id of the build asked for: under its own name or as the id that it is about. */
static struct mw_str wanted(const struct mw_view *view, const char *key)
{
    struct mw_str id = mw_view_arg(view->query, key);
    return id.len > 0 ? id : mw_view_arg(view->query, "id");
}

enum mw_rc mw_view_build(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_str name = wanted(view, "build");
    struct mw_view_build *build = NULL;
    enum mw_rc rc = mw_view_index_make(view, name, &index);
    if (rc == MW_OK && name.len == 0)
        for (struct mw_view_build *at = index.builds; at != NULL; at = at->next)
            build = at;
    if (rc == MW_OK && build == NULL)
        rc = mw_view_build_pick(&index, name, NULL, 0, &build);
    if (rc != MW_OK)
        return rc;
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_json_key(json, MW_STR("build"));
    mw_view_put_build(view, build);
    put_promoted(view, &index);
    mw_json_key(json, MW_STR("session"));
    mw_json_object(json);
    mw_view_kstr(json, "builder_session_id", index.session_name);
    mw_view_kstr(json, "opened", index.session_opened);
    mw_json_object_end(json);
    mw_view_put_decisions(view, build);
    mw_json_object_end(json);
    return MW_OK;
}

static void put_version(struct mw_view *view, const struct mw_view_build *build,
                        const struct mw_view_artifact *artifact)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_json_ku64(json, "version", build->version);
    mw_json_key(json, MW_STR("parent"));
    if (build->parent_version > 0)
        mw_json_u64(json, build->parent_version);
    else
        mw_json_null(json);
    mw_json_kstr(json, "state", mw_str_of(mw_view_build_state_name(build->state)));
    mw_view_kstr(json, "sha256", artifact->sha256);
    mw_view_kstr(json, "path", artifact->path);
    mw_view_kstr(json, "build_id", build->build_id);
    mw_json_kbool(json, "promoted", build->promoted);
    mw_json_object_end(json);
}

/* True when an earlier build has made an artifact of the family. */
static bool is_known(const struct mw_view_index *index, const struct mw_view_build *until,
                     const struct mw_view_artifact *until_artifact)
{
    for (const struct mw_view_build *build = index->builds; build != NULL; build = build->next)
        for (const struct mw_view_artifact *artifact = build->artifacts; artifact != NULL;
             artifact = artifact->next) {
            if (build == until && artifact == until_artifact)
                return false;
            if (mw_str_eq(artifact->family, until_artifact->family))
                return true;
        }
    return false;
}

static void put_family(struct mw_view *view, const struct mw_view_index *index,
                       struct mw_str family)
{
    const struct mw_view_build *current = NULL;
    mw_json_object(&view->json);
    mw_json_kstr(&view->json, "family", family);
    mw_json_karray(&view->json, "versions");
    for (const struct mw_view_build *build = index->builds; build != NULL; build = build->next)
        for (const struct mw_view_artifact *artifact = build->artifacts; artifact != NULL;
             artifact = artifact->next) {
            if (!mw_str_eq(artifact->family, family))
                continue;
            put_version(view, build, artifact);
            current = build->state == MW_VIEW_CURRENT ? build : current;
        }
    mw_json_array_end(&view->json);
    mw_json_key(&view->json, MW_STR("current"));
    if (current != NULL)
        mw_json_u64(&view->json, current->version);
    else
        mw_json_null(&view->json);
    mw_json_object_end(&view->json);
}

enum mw_rc mw_view_artifacts(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_str only = mw_view_arg(view->query, "family");
    bool found = only.len == 0;
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_karray(&view->json, "families");
    for (const struct mw_view_build *build = index.builds; build != NULL; build = build->next)
        for (const struct mw_view_artifact *artifact = build->artifacts; artifact != NULL;
             artifact = artifact->next) {
            if (only.len > 0 && !mw_str_eq(only, artifact->family))
                continue;
            if (!is_known(&index, build, artifact))
                put_family(view, &index, artifact->family);
            found = true;
        }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    if (!found)
        return MW_FAIL(view->err, MW_E_MISSING, "no artifact family '%.*s'", MW_STR_ARG(only));
    return MW_OK;
}

enum mw_rc mw_view_items(struct mw_view *view)
{
    struct mw_view_index index;
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_view_put_items_open(view, &index);
    mw_json_object_end(&view->json);
    return MW_OK;
}
