#include "view/internal.h"

/* What somebody looks at before they accept: AR-03, AR-04, AR-10, AR-11, AR-22. */

static const char *const bodies[] = {"TestResultsReady", "BundleValidated", "PullRequestCreated",
                                     NULL};

static void put_names(struct mw_json *json, const char *key, const struct mw_tape *tape,
                      uint32_t list)
{
    mw_json_karray(json, key);
    for (uint32_t at = mw_node_first(tape, list); at != MW_NODE_NONE;
         at = mw_node_after(tape, list, at))
        mw_json_str(json, mw_node_get_text(tape, at, "name"));
    mw_json_array_end(json);
}

static void put_services(struct mw_json *json, const struct mw_tape *tape, uint32_t services)
{
    static const char *const kept[] = {"name", "slug", "domain", "storage", "auth"};
    mw_json_karray(json, "services");
    for (uint32_t at = mw_node_first(tape, services); at != MW_NODE_NONE;
         at = mw_node_after(tape, services, at)) {
        mw_json_object(json);
        for (size_t i = 0; i < MW_COUNT(kept); i++)
            mw_json_knode(json, kept[i], tape, mw_node_get(tape, at, kept[i]));
        put_names(json, "entities", tape, mw_node_get(tape, at, "entities"));
        put_names(json, "use_cases", tape, mw_node_get(tape, at, "use_cases"));
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static bool uses_mongodb(const struct mw_tape *tape, uint32_t services)
{
    for (uint32_t at = mw_node_first(tape, services); at != MW_NODE_NONE;
         at = mw_node_after(tape, services, at))
        if (mw_str_is(mw_node_get_text(tape, at, "storage"), "MongoDB"))
            return true;
    return false;
}

/* What was understood, assumed and left aside. *ret_mongodb: a service keeps its records there. */
static enum mw_rc put_summary(struct mw_view *view, const struct mw_view_detail *detail,
                              bool *ret_mongodb)
{
    static const char *const told[] = {"understood", "assumed", "notUnderstood"};
    struct mw_json *json = &view->json;
    struct mw_str text;
    struct mw_tape tape;
    enum mw_rc rc = mw_view_document_text(view, detail, 1, &text);
    mw_json_kobject(json, "summary");
    mw_view_kstr(json, "prompt", detail->prompt);
    if (rc == MW_OK)
        rc = mw_view_parse(view, text, "the blueprint", &tape);
    if (rc == MW_OK) {
        uint32_t blueprint = mw_node_get(&tape, 0, "blueprint");
        uint32_t services = mw_node_get(&tape, blueprint, "services");
        mw_view_kstr(json, "blueprintId", mw_node_get_text(&tape, 0, "blueprintId"));
        mw_view_kstr(json, "name", mw_node_get_text(&tape, blueprint, "name"));
        put_services(json, &tape, services);
        for (size_t i = 0; i < MW_COUNT(told); i++)
            mw_json_knode(json, told[i], &tape, mw_node_get(&tape, 0, told[i]));
        *ret_mongodb = uses_mongodb(&tape, services);
    }
    mw_json_object_end(json);
    return rc == MW_E_MISSING ? MW_OK : rc; /* cleaned away: the rest still can be reviewed */
}

static void put_files(struct mw_view *view, const struct mw_view_index *index,
                      const struct mw_view_build *build, const struct mw_view_files *files)
{
    struct mw_json *json = &view->json;
    mw_json_kobject(json, "files");
    mw_json_ku64(json, "count", files->count);
    mw_json_ku64(json, "bytes", files->total_bytes);
    mw_view_kstr(json, "sha256", build->sha256);
    mw_json_kstr(json, "from", files->from_tasks ? MW_STR("tasks") : MW_STR("bundle"));
    mw_json_karray(json, "list");
    for (uint32_t i = 0; i < files->count; i++) {
        const struct mw_view_file *file = &files->files[i];
        mw_json_object(json);
        mw_json_kstr(json, "path", file->path);
        mw_json_kstr(json, "mode", file->mode);
        mw_json_ku64(json, "size", file->size_bytes);
        mw_json_kstr(json, "sha256", file->sha256);
        mw_view_kstr(json, "task",
                     file->task != NULL ? mw_view_item_id(index, view->arena, file->task)
                                        : MW_STR_NONE);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_object_end(json);
}

/* The accepted version; for what is accepted itself, or was, the one it came from. */
static const struct mw_view_build *base_of(const struct mw_view_index *index,
                                           const struct mw_view_build *build)
{
    if (index->current != NULL && index->current != build && build->state == MW_VIEW_DRAFT)
        return index->current;
    for (const struct mw_view_build *at = index->builds; at != NULL; at = at->next)
        if (build->parent_version > 0 && at->version == build->parent_version)
            return at;
    return NULL;
}

struct counts {
    uint64_t added, changed, removed;
};

static void put_change(struct mw_json *json, struct mw_str path, const char *change)
{
    mw_json_object(json);
    mw_json_kstr(json, "path", path);
    mw_json_kstr(json, "change", mw_str_of(change));
    mw_json_object_end(json);
}

static struct counts put_difference(struct mw_json *json, const struct mw_view_files *before,
                                    const struct mw_view_files *after)
{
    struct counts counts = {0};
    uint32_t i = 0, j = 0;
    mw_json_karray(json, "list");
    while (i < before->count || j < after->count) {
        int order = i == before->count  ? 1
                    : j == after->count ? -1
                                        : mw_str_cmp(before->files[i].path, after->files[j].path);
        if (order < 0) {
            put_change(json, before->files[i++].path, "removed");
            counts.removed++;
        } else if (order > 0) {
            put_change(json, after->files[j++].path, "added");
            counts.added++;
        } else {
            const struct mw_view_file *old = &before->files[i++], *new = &after->files[j++];
            if (mw_str_eq(old->sha256, new->sha256) && mw_str_eq(old->mode, new->mode))
                continue;
            put_change(json, new->path, "changed");
            counts.changed++;
        }
    }
    mw_json_array_end(json);
    return counts;
}

static enum mw_rc put_changes(struct mw_view *view, const struct mw_view_index *index,
                              const struct mw_view_build *build, const struct mw_view_files *files)
{
    struct mw_json *json = &view->json;
    const struct mw_view_build *base = base_of(index, build);
    struct mw_view_files before = {0};
    enum mw_rc rc = MW_OK;
    if (base != NULL) {
        struct mw_view_detail detail = {.trace = base->trace};
        rc = mw_view_files_read(view, base->sha256, &before);
        if (rc == MW_E_MISSING)
            rc = mw_view_detail_make(view, &detail);
        if (rc == MW_OK && before.files == NULL)
            rc = mw_view_files_of_build(view, base, &detail, &before);
    }
    if (rc != MW_OK)
        return rc;
    mw_json_kobject(json, "changes");
    mw_json_key(json, MW_STR("against"));
    if (base != NULL) {
        mw_json_object(json);
        mw_json_ku64(json, "version", base->version);
        mw_view_kstr(json, "build_id", base->build_id);
        mw_view_kstr(json, "sha256", base->sha256);
        mw_view_kstr(json, "path", base->path);
        mw_json_object_end(json);
    } else {
        mw_json_null(json);
    }
    struct counts counts = put_difference(json, &before, files);
    mw_json_ku64(json, "added", counts.added);
    mw_json_ku64(json, "changed", counts.changed);
    mw_json_ku64(json, "removed", counts.removed);
    mw_json_object_end(json);
    return MW_OK;
}

/* A later result for the same service stands for the earlier one. */
static bool is_replaced(const struct mw_view_fact *fact)
{
    for (const struct mw_view_fact *later = fact->next; later != NULL; later = later->next)
        if (fact->key.len > 0 && mw_str_eq(later->type, fact->type) &&
            mw_str_eq(later->key, fact->key))
            return true;
    return false;
}

/* True when the service's own tests ran and none of them was left out, as those of MongoDB are without a database. */
static bool left_nothing_out(const struct mw_tape *tape)
{
    uint32_t suites = mw_node_get(tape, 0, "suites");
    bool ran = false;
    for (uint32_t at = mw_node_first(tape, suites); at != MW_NODE_NONE;
         at = mw_node_after(tape, suites, at)) {
        if (!mw_str_is(mw_node_get_text(tape, at, "name"), "service tests"))
            continue;
        ran = mw_node_int(tape, mw_node_get(tape, at, "passed"), 0) > 0;
        if (mw_node_int(tape, mw_node_get(tape, at, "skipped"), 0) > 0)
            return false;
    }
    return ran;
}

static enum mw_rc put_tests(struct mw_view *view, const struct mw_view_detail *detail,
                            bool *ret_nothing_left_out)
{
    bool any = false, complete = true;
    mw_json_karray(&view->json, "tests");
    for (const struct mw_view_fact *fact = detail->facts; fact != NULL; fact = fact->next) {
        struct mw_str body;
        struct mw_tape tape;
        if (!mw_view_is_report(fact, "TestResultsReady") || is_replaced(fact))
            continue;
        enum mw_rc rc = mw_view_fact_body(view, fact, &body);
        if (rc == MW_E_MISSING && fact->body.len > 0) {
            body = fact->body; /* cleaned away: what the record kept is said */
            rc = MW_OK;
        }
        if (rc == MW_OK)
            rc = mw_view_parse(view, body, "a test report", &tape);
        if (rc != MW_OK)
            return rc;
        mw_json_node(&view->json, &tape, 0);
        any = true;
        complete = complete && left_nothing_out(&tape);
    }
    mw_json_array_end(&view->json);
    *ret_nothing_left_out = any && complete;
    return MW_OK;
}

static void put_labels(struct mw_json *json, bool mongodb, bool nothing_left_out)
{
    mw_json_karray(json, "labels");
    if (mongodb && !nothing_left_out) {
        mw_json_object(json);
        mw_json_kstr(json, "about", MW_STR("MongoDB"));
        mw_json_kstr(json, "text", MW_STR("written, not exercised on this machine"));
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void put_pull_requests(struct mw_view *view, const struct mw_view_detail *detail)
{
    mw_json_karray(&view->json, "pull_requests");
    for (const struct mw_view_fact *fact = detail->facts; fact != NULL; fact = fact->next)
        if (mw_view_is_report(fact, "PullRequestCreated") && fact->body.len > 0 &&
            !is_replaced(fact))
            mw_json_raw(&view->json, fact->body);
    mw_json_array_end(&view->json);
}

static void put_tasks(struct mw_view *view, const struct mw_view_index *index,
                      const struct mw_view_detail *detail)
{
    struct mw_json *json = &view->json;
    mw_json_karray(json, "tasks");
    for (const struct mw_view_item *item = detail->items; item != NULL; item = item->next) {
        if (item->kind != MW_VIEW_TASK || item->last == NULL)
            continue;
        mw_json_object(json);
        mw_json_kstr(json, "taskId", mw_view_item_id(index, view->arena, item));
        mw_view_kstr(json, "taskType", item->name);
        mw_view_kstr(json, "service", mw_view_service_of(detail, item));
        mw_view_kstr(json, "subject", item->subject);
        mw_view_kstr(json, "agentId", item->last->agent_id);
        mw_json_ku64(json, "attempts", item->last->number);
        mw_json_ku64(json, "duration_ms", item->last->duration_ms);
        mw_view_kstr(json, "rationale", item->last->rationale);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void put_agents(struct mw_view *view, const struct mw_view_index *index,
                       const struct mw_view_detail *detail)
{
    mw_json_karray(&view->json, "agents");
    for (const struct mw_view_agent *agent = index->agents; agent != NULL; agent = agent->next) {
        uint64_t tasks = 0;
        for (const struct mw_view_item *item = detail->items; item != NULL; item = item->next)
            tasks += item->last != NULL && mw_str_eq(item->last->agent_id, agent->id) ? 1 : 0;
        if (tasks == 0)
            continue;
        mw_json_object(&view->json);
        mw_json_kstr(&view->json, "agentId", agent->id);
        mw_json_ku64(&view->json, "tasks", tasks);
        mw_json_object_end(&view->json);
    }
    mw_json_array_end(&view->json);
}

static enum mw_rc put_validation(struct mw_view *view, const struct mw_view_build *build,
                                 const struct mw_view_detail *detail)
{
    struct mw_str body = MW_STR_NONE;
    enum mw_rc rc = mw_view_validation(view, build, detail, &body);
    if (rc == MW_OK)
        mw_view_kraw(&view->json, "validation", body);
    return rc;
}

static enum mw_rc put_review(struct mw_view *view, const struct mw_view_index *index,
                             const struct mw_view_build *build)
{
    struct mw_view_detail detail = {.trace = build->trace, .body_types = bodies};
    struct mw_view_files files;
    struct mw_json *json = &view->json;
    bool mongodb = false, nothing_left_out = false;
    enum mw_rc rc = mw_view_detail_make(view, &detail);
    if (rc == MW_OK)
        rc = mw_view_files_of_build(view, build, &detail, &files);
    if (rc != MW_OK)
        return rc;
    mw_json_object(json);
    mw_json_key(json, MW_STR("build"));
    mw_view_put_build(view, build);
    rc = put_summary(view, &detail, &mongodb);
    if (rc != MW_OK)
        return rc;
    put_files(view, index, build, &files);
    rc = put_changes(view, index, build, &files);
    if (rc == MW_OK)
        rc = put_validation(view, build, &detail);
    if (rc == MW_OK)
        rc = put_tests(view, &detail, &nothing_left_out);
    if (rc != MW_OK)
        return rc;
    put_labels(json, mongodb, nothing_left_out);
    put_pull_requests(view, &detail);
    put_tasks(view, index, &detail);
    put_agents(view, index, &detail);
    mw_view_put_decisions(view, build);
    mw_json_object_end(json);
    return MW_OK;
}

enum mw_rc mw_view_review(struct mw_view *view)
{
    static const enum mw_view_build_state order[] = {
        MW_VIEW_DRAFT, MW_VIEW_CURRENT, MW_VIEW_SUPERSEDED, MW_VIEW_STALE, MW_VIEW_ARCHIVED};
    struct mw_view_index index;
    struct mw_view_build *build;
    struct mw_str name = mw_view_arg(view->query, "build");
    if (name.len == 0)
        name = mw_view_arg(view->query, "id");
    enum mw_rc rc = mw_view_index_make(view, name, &index);
    if (rc == MW_OK)
        rc = mw_view_build_pick(&index, name, order, MW_COUNT(order), &build);
    if (rc == MW_OK && build->sha256.len == 0)
        rc = MW_FAIL(view->err, MW_E_MISSING, "build %.*s is %s: it has no files to review",
                     MW_STR_ARG(build->build_id), mw_view_build_state_name(build->state));
    return rc == MW_OK ? put_review(view, &index, build) : rc;
}
