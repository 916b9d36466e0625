#include "view/internal.h"

#include <string.h>

/* For any file of a bundle: prompt, blueprint field, task, agent, tests, who accepted, promotion (JR-19). */

#define WORDS_MAX 50u

static const char *const bodies[] = {"TestResultsReady", "BundleValidated", "PullRequestCreated",
                                     NULL};

struct answer {
    struct mw_view *view;
    struct mw_view_index index;
    struct mw_view_detail detail;
    const struct mw_view_build *build;
    const struct mw_view_file *file;
    struct mw_str path; /* inside the bundle */
};

/* ---- which file of which bundle ---- */

/* "app/services/…", "generated/apps/{app}/{build}/app/…" and "./services/…" are the same file inside the bundle. */
static struct mw_str inside(struct mw_str path, struct mw_str *ret_build_id)
{
    while (mw_str_starts(path, MW_STR("./")))
        path = mw_str_sub(path, 2, SIZE_MAX);
    if (mw_str_starts(path, MW_STR("app/")))
        return mw_str_sub(path, 4, SIZE_MAX);
    if (!mw_str_starts(path, MW_STR("generated/apps/")))
        return path;
    size_t app_end = mw_str_find(path, '/', 15);
    size_t build_end = app_end != SIZE_MAX ? mw_str_find(path, '/', app_end + 1) : SIZE_MAX;
    if (build_end == SIZE_MAX)
        return path;
    *ret_build_id = mw_str_sub(path, app_end + 1, build_end - app_end - 1);
    struct mw_str rest = mw_str_sub(path, build_end + 1, SIZE_MAX);
    return mw_str_starts(rest, MW_STR("app/")) ? mw_str_sub(rest, 4, SIZE_MAX) : rest;
}

static enum mw_rc look_in(struct answer *answer, const struct mw_view_build *build)
{
    struct mw_view *view = answer->view;
    struct mw_view_files files;
    if (build == NULL || build->sha256.len == 0)
        return MW_OK;
    answer->detail = (struct mw_view_detail){.trace = build->trace, .body_types = bodies};
    enum mw_rc rc = mw_view_detail_make(view, &answer->detail);
    if (rc == MW_OK)
        rc = mw_view_files_of_build(view, build, &answer->detail, &files);
    if (rc != MW_OK)
        return rc;
    answer->file = mw_view_file_find(&files, answer->path);
    answer->build = build;
    return MW_OK;
}

/* What stands in the app root first, then what was accepted, then the newest draft. */
static enum mw_rc look_everywhere(struct answer *answer)
{
    const struct mw_view_index *index = &answer->index;
    const struct mw_view_build *newest_draft = NULL;
    enum mw_rc rc = look_in(answer, index->promoted);
    if (rc == MW_OK && answer->file == NULL && index->current != index->promoted)
        rc = look_in(answer, index->current);
    for (const struct mw_view_build *at = index->builds; at != NULL; at = at->next)
        newest_draft = at->state == MW_VIEW_DRAFT ? at : newest_draft;
    if (rc == MW_OK && answer->file == NULL)
        rc = look_in(answer, newest_draft);
    return rc;
}

static enum mw_rc look(struct answer *answer)
{
    struct mw_view *view = answer->view;
    struct mw_str build_id = mw_view_arg(view->query, "build");
    struct mw_str path = mw_view_arg(view->query, "path");
    if (path.len == 0)
        return MW_FAIL(view->err, MW_E_USAGE, "name a file of the app");
    answer->path = inside(path, &build_id);
    enum mw_rc rc = mw_view_index_make(view, build_id, &answer->index);
    if (rc != MW_OK)
        return rc;
    if (build_id.len > 0) {
        struct mw_view_build *build;
        rc = mw_view_build_pick(&answer->index, build_id, NULL, 0, &build);
        if (rc == MW_OK)
            rc = look_in(answer, build);
    } else {
        rc = look_everywhere(answer);
    }
    if (rc == MW_OK && answer->file == NULL)
        rc = answer->index.builds == NULL
                 ? MW_FAIL(view->err, MW_E_MISSING, "nothing was built here yet")
                 : MW_FAIL(view->err, MW_E_MISSING,
                           "no bundle holds '%.*s': it was not generated here",
                           MW_STR_ARG(answer->path));
    return rc;
}

/* ---- the line ---- */

static enum mw_rc put_line(struct answer *answer)
{
    struct mw_view *view = answer->view;
    struct mw_str given = mw_view_arg(view->query, "line");
    struct mw_str bytes;
    uint64_t wanted = 0, number = 1;
    size_t start = 0;
    if (given.len == 0)
        return MW_OK;
    if (!mw_str_to_u64(given, &wanted) || wanted == 0)
        return MW_FAIL(view->err, MW_E_USAGE, "line is a number from 1");
    enum mw_rc rc = mw_view_blob(view, answer->file->sha256, &bytes);
    if (rc == MW_E_MISSING) { /* cleaned away: the file is still told about */
        mw_json_kobject(&view->json, "line");
        mw_json_ku64(&view->json, "number", wanted);
        mw_json_object_end(&view->json);
        return MW_OK;
    }
    if (rc != MW_OK)
        return rc;
    for (; number < wanted && start < bytes.len; number++) {
        size_t end = mw_str_find(bytes, '\n', start);
        start = end == SIZE_MAX ? bytes.len : end + 1;
    }
    if (start >= bytes.len)
        return MW_FAIL(view->err, MW_E_USAGE, "'%.*s' has no line %lu", MW_STR_ARG(answer->path),
                       (unsigned long)wanted);
    size_t end = mw_str_find(bytes, '\n', start);
    struct mw_str text = mw_str_sub(bytes, start, (end == SIZE_MAX ? bytes.len : end) - start);
    mw_json_kobject(&view->json, "line");
    mw_json_ku64(&view->json, "number", wanted);
    if (mw_utf8_valid(text, NULL))
        mw_json_kstr(&view->json, "text", text);
    mw_json_object_end(&view->json);
    return MW_OK;
}

/* ---- the fragment of the design that the task was given, and the field of the blueprint that it came from ---- */

struct fragment {
    struct mw_tape tape;
    uint32_t node;
    uint32_t service; /* in the same document; MW_NODE_NONE: none */
    struct mw_str pointer;
};

static enum mw_rc read_fragment(struct answer *answer, struct fragment *fragment, bool *ret_found)
{
    const struct mw_view_item *task = answer->file->task;
    struct mw_str text;
    *ret_found = false;
    if (task == NULL || task->document == 0 || task->node == UINT32_MAX)
        return MW_OK;
    enum mw_rc rc = mw_view_document_text(answer->view, &answer->detail, task->document, &text);
    if (rc == MW_OK)
        rc = mw_view_parse(answer->view, text, "the design", &fragment->tape);
    if (rc == MW_E_MISSING)
        return MW_OK; /* cleaned away */
    if (rc != MW_OK || task->node >= fragment->tape.count)
        return rc;
    fragment->node = (uint32_t)task->node;
    fragment->pointer = mw_view_pointer_to(answer->view, &fragment->tape, fragment->node);
    uint32_t services = mw_node_get(&fragment->tape, 0, "services");
    fragment->service = MW_NODE_NONE;
    for (uint32_t at = mw_node_first(&fragment->tape, services); at != MW_NODE_NONE;
         at = mw_node_after(&fragment->tape, services, at))
        if (at <= fragment->node && fragment->node < fragment->tape.nodes[at].next)
            fragment->service = at;
    *ret_found = true;
    return MW_OK;
}

static uint32_t position_named(const struct mw_tape *tape, uint32_t list, const char *key,
                               struct mw_str name)
{
    uint32_t position = 0;
    for (uint32_t at = mw_node_first(tape, list); at != MW_NODE_NONE;
         at = mw_node_after(tape, list, at), position++)
        if (name.len > 0 && mw_str_eq(mw_node_get_text(tape, at, key), name))
            return position;
    return UINT32_MAX;
}

/* "services/0/use_cases/1": the same thing, found by its names. */
static struct mw_str field_of(struct answer *answer, const struct fragment *fragment,
                              const struct mw_tape *blueprint)
{
    struct mw_arena *arena = answer->view->arena;
    const struct mw_tape *design = &fragment->tape;
    uint32_t services = mw_node_get(blueprint, mw_node_get(blueprint, 0, "blueprint"), "services");
    uint32_t at = position_named(blueprint, services, "slug",
                                 mw_node_get_text(design, fragment->service, "slug"));
    if (at == UINT32_MAX)
        return MW_STR_NONE;
    uint32_t service = mw_node_at(blueprint, services, at);
    if (fragment->node == fragment->service)
        return mw_arena_format(arena, "services/%u", at);
    uint32_t use_case = position_named(blueprint, mw_node_get(blueprint, service, "use_cases"),
                                       "slug", mw_node_get_text(design, fragment->node, "slug"));
    if (use_case != UINT32_MAX)
        return mw_arena_format(arena, "services/%u/use_cases/%u", at, use_case);
    struct mw_str entity_name = mw_node_get_text(design, fragment->node, "entity");
    if (entity_name.len == 0)
        entity_name = mw_node_get_text(design, fragment->node, "name");
    uint32_t entity =
        position_named(blueprint, mw_node_get(blueprint, service, "entities"), "name", entity_name);
    return entity != UINT32_MAX ? mw_arena_format(arena, "services/%u/entities/%u", at, entity)
                                : mw_arena_format(arena, "services/%u", at);
}

static bool is_within(struct mw_str field, struct mw_str outer)
{
    return mw_str_starts(field, outer) && (field.len == outer.len || field.ptr[outer.len] == '/');
}

/* The words of the prompt (or the assumption) that a field came from. */
static void put_words(struct mw_view *view, const struct mw_tape *blueprint, struct mw_str field)
{
    static const char *const lists[] = {"understood", "assumed"};
    uint32_t told = 0;
    mw_json_karray(&view->json, "words");
    for (size_t i = 0; i < MW_COUNT(lists) && field.len > 0; i++) {
        uint32_t list = mw_node_get(blueprint, 0, lists[i]);
        for (uint32_t at = mw_node_first(blueprint, list); at != MW_NODE_NONE;
             at = mw_node_after(blueprint, list, at)) {
            if (!is_within(mw_node_get_text(blueprint, at, "field"), field) || told >= WORDS_MAX)
                continue;
            mw_json_object(&view->json);
            mw_json_kstr(&view->json, "how", mw_str_of(lists[i]));
            mw_json_knode(&view->json, "field", blueprint, mw_node_get(blueprint, at, "field"));
            mw_json_knode(&view->json, "value", blueprint, mw_node_get(blueprint, at, "value"));
            mw_json_knode(&view->json, "why", blueprint, mw_node_get(blueprint, at, "why"));
            mw_json_object_end(&view->json);
            told++;
        }
    }
    mw_json_array_end(&view->json);
}

static enum mw_rc put_blueprint(struct answer *answer)
{
    struct mw_view *view = answer->view;
    struct mw_json *json = &view->json;
    struct fragment fragment = {.service = MW_NODE_NONE};
    struct mw_tape blueprint;
    struct mw_str text, field = MW_STR_NONE;
    bool found;
    enum mw_rc rc = read_fragment(answer, &fragment, &found);
    if (rc != MW_OK)
        return rc;
    mw_json_kobject(json, "blueprint");
    mw_view_kstr(json, "blueprintId", answer->build->trace->blueprint_id);
    if (found) {
        mw_json_kobject(json, "design");
        mw_json_kstr(json, "pointer", fragment.pointer);
        mw_json_knode(json, "value", &fragment.tape, fragment.node);
        mw_json_object_end(json);
    }
    rc = mw_view_document_text(view, &answer->detail, 1, &text);
    if (rc == MW_OK)
        rc = mw_view_parse(view, text, "the blueprint", &blueprint);
    if (rc == MW_OK) {
        if (found)
            field = field_of(answer, &fragment, &blueprint);
        mw_view_kstr(json, "field", field);
        put_words(view, &blueprint, field);
    }
    mw_json_object_end(json);
    return rc == MW_E_MISSING ? MW_OK : rc;
}

/* ---- the task ---- */

static enum mw_rc put_task(struct answer *answer)
{
    struct mw_view *view = answer->view;
    struct mw_json *json = &view->json;
    const struct mw_view_item *task = answer->file->task;
    struct mw_str line;
    struct mw_tape tape;
    if (task == NULL || task->last == NULL) {
        mw_json_key(json, MW_STR("task"));
        mw_json_null(json);
        return MW_OK;
    }
    mw_json_key(json, MW_STR("task"));
    mw_view_put_task(view, &answer->index, &answer->detail, task);
    enum mw_rc rc = mw_view_record(view, task->last->seq, &line);
    if (rc == MW_OK)
        rc = mw_view_parse(view, line, "a record", &tape);
    if (rc != MW_OK)
        return rc;
    mw_json_knode(json, "payload", &tape, mw_node_get(&tape, 0, "payload"));
    return MW_OK;
}

static void put_intent(struct answer *answer)
{
    struct mw_json *json = &answer->view->json;
    const struct mw_view_trace *trace = answer->build->trace;
    mw_json_kobject(json, "intent");
    mw_view_kstr(json, "prompt", answer->detail.prompt);
    mw_view_kstr(json, "traceId", trace->wire_id);
    mw_view_kstr(json, "parentTraceId", trace->parent_trace_id);
    mw_view_kstr(json, "source", trace->source);
    mw_view_kstr(json, "actor", trace->actor);
    mw_view_kstr(json, "at", trace->started);
    mw_view_kstr(json, "sha256", trace->intent_sha256);
    mw_view_kstr(json, "definitions", trace->definition);
    mw_json_object_end(json);
}

/* ---- what held it to account ---- */

static struct mw_str body_of(struct mw_view *view, const struct mw_view_fact *fact)
{
    struct mw_str body;
    return mw_view_fact_body(view, fact, &body) == MW_OK ? body : fact->body;
}

/* The tests of the file's service; of a file of the whole app, those of every service. */
static enum mw_rc put_tests(struct answer *answer)
{
    struct mw_view *view = answer->view;
    struct mw_str service = mw_view_service_of(&answer->detail, answer->file->task);
    mw_json_karray(&view->json, "tests");
    for (const struct mw_view_fact *fact = answer->detail.facts; fact != NULL; fact = fact->next) {
        struct mw_tape tape;
        if (!mw_view_is_report(fact, "TestResultsReady"))
            continue;
        enum mw_rc rc = mw_view_parse(view, body_of(view, fact), "a test report", &tape);
        if (rc != MW_OK)
            return rc;
        if (service.len > 0 && !mw_str_eq(mw_node_get_text(&tape, 0, "service"), service))
            continue;
        mw_json_object(&view->json);
        mw_json_knode(&view->json, "service", &tape, mw_node_get(&tape, 0, "service"));
        mw_json_knode(&view->json, "result", &tape, mw_node_get(&tape, 0, "result"));
        mw_json_knode(&view->json, "coverage", &tape, mw_node_get(&tape, 0, "coverage"));
        mw_json_knode(&view->json, "suites", &tape, mw_node_get(&tape, 0, "suites"));
        mw_json_kstr(&view->json, "at", fact->at);
        mw_json_ku64(&view->json, "record", fact->seq);
        mw_json_object_end(&view->json);
    }
    mw_json_array_end(&view->json);
    return MW_OK;
}

static void put_pull_request(struct answer *answer)
{
    const struct mw_view_item *item = answer->file->task;
    const struct mw_view_fact *fact = NULL;
    while (item != NULL && item->kind != MW_VIEW_COORDINATOR)
        item = mw_view_item_of(&answer->detail, item->owner);
    if (item != NULL)
        fact = mw_view_fact_of(&answer->detail, "PullRequestCreated", item->id);
    mw_view_kraw(&answer->view->json, "pull_request",
                 fact != NULL ? body_of(answer->view, fact) : MW_STR_NONE);
}

static void put_file(struct answer *answer)
{
    struct mw_json *json = &answer->view->json;
    const struct mw_view_build *build = answer->build;
    mw_json_kstr(json, "path", answer->path);
    mw_json_kobject(json, "file");
    mw_json_kstr(json, "sha256", answer->file->sha256);
    mw_json_kstr(json, "mode", answer->file->mode);
    mw_json_ku64(json, "size", answer->file->size_bytes);
    mw_json_object_end(json);
    mw_json_kobject(json, "build");
    mw_view_kstr(json, "build_id", build->build_id);
    mw_json_ku64(json, "version", build->version);
    mw_json_kstr(json, "state", mw_str_of(mw_view_build_state_name(build->state)));
    mw_json_kbool(json, "promoted", build->promoted);
    mw_view_kstr(json, "bundle", build->path);
    mw_view_kstr(json, "sha256", build->sha256);
    mw_json_object_end(json);
}

enum mw_rc mw_view_why(struct mw_view *view)
{
    struct answer answer = {.view = view};
    struct mw_str report = MW_STR_NONE;
    enum mw_rc rc = look(&answer);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    put_file(&answer);
    rc = put_line(&answer);
    if (rc != MW_OK)
        return rc;
    put_intent(&answer);
    rc = put_blueprint(&answer);
    if (rc == MW_OK)
        rc = put_task(&answer);
    if (rc == MW_OK)
        rc = put_tests(&answer);
    if (rc == MW_OK)
        rc = mw_view_validation(view, answer.build, &answer.detail, &report);
    if (rc != MW_OK)
        return rc;
    mw_view_kraw(&view->json, "validation", report);
    put_pull_request(&answer);
    mw_view_put_decisions(view, answer.build);
    mw_json_object_end(&view->json);
    return MW_OK;
}
