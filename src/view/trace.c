#include "view/internal.h"

/* One trace as a tree, the list of all, and the plan joined with what became of it. */

#define SCOPES_DEEP_MAX 24u

static void put_head(struct mw_view *view, const struct mw_view_trace *trace)
{
    struct mw_json *json = &view->json;
    mw_view_kstr(json, "traceId", trace->wire_id);
    mw_json_kstr(json, "state", mw_str_of(mw_view_trace_state(trace)));
    mw_view_kstr(json, "parentTraceId", trace->parent_trace_id);
    mw_view_kstr(json, "blueprintId", trace->blueprint_id);
    mw_view_kstr(json, "build_id", trace->build != NULL ? trace->build->build_id : MW_STR_NONE);
    mw_view_kstr(json, "journey", trace->journey);
    mw_view_kstr(json, "source", trace->source);
    mw_view_kstr(json, "actor", trace->actor);
    mw_view_kstr(json, "priority", trace->priority);
    mw_view_kstr(json, "started", trace->started);
    mw_view_kstr(json, "ended", trace->ended);
    mw_json_ku64(json, "taskCount", trace->tasks);
    mw_json_ku64(json, "waiting", trace->waiting);
    if (trace->reason.len > 0)
        mw_json_kstr(json, "reason", trace->reason);
}

enum mw_rc mw_view_traces(struct mw_view *view)
{
    struct mw_view_index index;
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_karray(&view->json, "traces");
    for (const struct mw_view_trace *trace = index.traces; trace != NULL; trace = trace->next) {
        mw_json_object(&view->json);
        put_head(view, trace);
        mw_json_object_end(&view->json);
    }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    return MW_OK;
}

/* ---- tasks ---- */

static void put_attempt(struct mw_view *view, const struct mw_view_attempt *attempt)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_json_ku64(json, "attempt", attempt->number);
    mw_view_kstr(json, "agentId", attempt->agent_id);
    mw_json_kbool(json, "person", attempt->person);
    mw_json_ku64(json, "record", attempt->seq);
    mw_view_kstr(json, "at", attempt->at);
    mw_view_kstr(json, "ended", attempt->ended);
    mw_json_kstr(json, "outcome", attempt->outcome.len > 0 ? attempt->outcome : MW_STR("open"));
    mw_json_ku64(json, "duration_ms", attempt->duration_ms);
    mw_view_kraw(json, "routing", attempt->routing);
    if (attempt->inputs_sha256.len > 0)
        mw_json_kstr(json, "inputSha256", attempt->inputs_sha256);
    if (attempt->result_seq > 0) {
        mw_json_ku64(json, "result", attempt->result_seq);
        mw_json_kstr(json, "type", attempt->result_type);
    }
    if (attempt->files_sha256.len > 0)
        mw_json_kstr(json, "filesSha256", attempt->files_sha256);
    if (attempt->body_sha256.len > 0)
        mw_json_kstr(json, "payloadSha256", attempt->body_sha256);
    if (attempt->error_class.len > 0)
        mw_json_kstr(json, "errorClass", attempt->error_class);
    if (attempt->reason.len > 0)
        mw_json_kstr(json, "reason", attempt->reason);
    if (attempt->rationale.len > 0)
        mw_json_kstr(json, "rationale", attempt->rationale);
    if (attempt->usage.len > 0) {
        mw_json_key(json, MW_STR("usage"));
        mw_view_raw_in(json, MW_VIEW_DEPTH_MAX, attempt->usage);
    }
    mw_json_object_end(json);
}

void mw_view_put_task(struct mw_view *view, const struct mw_view_index *index,
                      const struct mw_view_detail *detail, const struct mw_view_item *task)
{
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_json_kstr(json, "taskId", mw_view_item_id(index, view->arena, task));
    mw_view_kstr(json, "taskType", task->name);
    mw_view_kstr(json, "subject", task->subject);
    mw_view_kstr(json, "service", mw_view_service_of(detail, task));
    mw_view_kstr(json, "sessionId", task->session_id);
    mw_json_kstr(json, "state", mw_str_of(mw_view_item_state(task)));
    mw_view_kstr(json, "agentId", task->last != NULL ? task->last->agent_id : MW_STR_NONE);
    mw_view_kstr(json, "started", task->started);
    mw_view_kstr(json, "ended", task->ended);
    mw_json_kbool(json, "escalated", task->escalated);
    if (task->key.len > 0)
        mw_json_kstr(json, "key", task->key);
    if (task->reason.len > 0)
        mw_json_kstr(json, "reason", task->reason);
    if (task->error_class.len > 0)
        mw_json_kstr(json, "errorClass", task->error_class);
    mw_json_karray(json, "attempts");
    for (const struct mw_view_attempt *at = task->attempts; at != NULL; at = at->next)
        put_attempt(view, at);
    mw_json_array_end(json);
    if (task->late > 0)
        mw_json_ku64(json, "late", task->late);
    mw_json_object_end(json);
}

/* ---- the tree ---- */

/* What each scope holds, so that the tree is written in one go over the items and not in one for each scope. */
struct tree {
    struct mw_view *view;
    const struct mw_view_index *index;
    const struct mw_view_detail *detail;
    struct mw_view_table first_in; /* scope -> struct link: items in order */
};
struct link {
    struct mw_view_item *item;
    struct link *next, *last; /* last: of the first only */
};

/* The number of the scope that an item's place in the tree is: for a scope the one around it. 0: the trace. */
static mw_seq place_of(const struct mw_view_detail *detail, const struct mw_view_item *item)
{
    const struct mw_view_item *owner = mw_view_item_of(detail, item->owner);
    if (!item->opens_scope)
        return mw_view_item_of(detail, item->scope) != NULL ? item->scope : 0;
    while (owner != NULL && !owner->opens_scope)
        owner = mw_view_item_of(detail, owner->owner);
    return owner != NULL ? owner->id : 0;
}

static void put_in(struct tree *tree, struct mw_view_item *item)
{
    mw_seq place = place_of(tree->detail, item);
    uint64_t key = place != 0 ? place : tree->detail->trace->id;
    struct link *first = mw_view_table_get(&tree->first_in, key);
    struct link *link = mw_arena_alloc(tree->view->arena, sizeof(*link));
    if (link == NULL)
        return;
    link->item = item;
    link->last = link;
    if (first == NULL) {
        mw_view_table_put(&tree->first_in, tree->view->arena, key, link);
        return;
    }
    first->last->next = link;
    first->last = link;
}

static void put_scope_head(struct tree *tree, const struct mw_view_item *item)
{
    static const char *const kinds[] = {"task", "group", "coordinator", "run",
                                        "unit", "build", "chain"};
    struct mw_json *json = &tree->view->json;
    mw_view_kstr(json, "sessionId", item->session_id);
    mw_json_kstr(json, "kind", mw_str_of(kinds[item->kind]));
    mw_view_kstr(json, "name", item->name);
    if (item->kind == MW_VIEW_COORDINATOR) {
        mw_view_kstr(json, "service", item->key);
        mw_view_kstr(json, "fsmState", item->state);
    }
    mw_json_kstr(json, "state", mw_str_of(mw_view_item_state(item)));
    mw_view_kstr(json, "started", item->started);
    mw_view_kstr(json, "ended", item->ended);
    if (item->reason.len > 0)
        mw_json_kstr(json, "reason", item->reason);
}

/* Definitions nest a handful deep; what a damaged record says may be deeper than JSON goes, and is left out. */
static void put_scope(struct tree *tree, mw_seq scope, uint32_t depth)
{
    struct mw_json *json = &tree->view->json;
    const struct link *first = mw_view_table_get(&tree->first_in, scope);
    mw_json_karray(json, "tasks");
    for (const struct link *link = first; link != NULL; link = link->next)
        if (link->item->kind == MW_VIEW_TASK)
            mw_view_put_task(tree->view, tree->index, tree->detail, link->item);
    mw_json_array_end(json);
    mw_json_karray(json, "groups");
    for (const struct link *link = first; link != NULL; link = link->next)
        if (link->item->kind == MW_VIEW_GROUP && !link->item->opens_scope)
            mw_view_put_group(tree->view, tree->index, tree->detail, link->item);
    mw_json_array_end(json);
    mw_json_karray(json, "sessions");
    for (const struct link *link = first; link != NULL; link = link->next) {
        if (!link->item->opens_scope || depth >= SCOPES_DEEP_MAX)
            continue;
        mw_json_object(json);
        put_scope_head(tree, link->item);
        put_scope(tree, link->item->id, depth + 1);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void put_lineage(struct mw_view *view, const struct mw_view_index *index,
                        const struct mw_view_trace *trace)
{
    mw_json_kobject(&view->json, "lineage");
    mw_view_kstr(&view->json, "parentTraceId", trace->parent_trace_id);
    mw_json_karray(&view->json, "children");
    for (const struct mw_view_trace *at = index->traces; at != NULL; at = at->next)
        if (mw_str_eq(at->parent_trace_id, trace->wire_id))
            mw_json_str(&view->json, at->wire_id);
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
}

enum mw_rc mw_view_put_trace(struct mw_view *view, const struct mw_view_index *index,
                             struct mw_view_trace *trace)
{
    struct mw_view_detail detail = {.trace = trace};
    struct tree tree = {.view = view, .index = index, .detail = &detail};
    struct mw_json *json = &view->json;
    enum mw_rc rc = mw_view_detail_make(view, &detail);
    if (rc != MW_OK)
        return rc;
    for (struct mw_view_item *item = detail.items; item != NULL; item = item->next)
        put_in(&tree, item);
    mw_json_object(json);
    put_head(view, trace);
    mw_json_ku64(json, "attempts", detail.attempts);
    mw_json_ku64(json, "retries", detail.retries);
    mw_view_kstr(json, "prompt", detail.prompt);
    put_lineage(view, index, trace);
    put_scope(&tree, trace->id, 0);
    mw_json_karray(json, "skipped");
    for (const struct mw_view_skip *skip = detail.skips; skip != NULL; skip = skip->next) {
        mw_json_object(json);
        mw_view_kstr(json, "what", skip->target);
        mw_view_kstr(json, "rule", skip->rule);
        mw_view_kstr(json, "field", skip->field);
        mw_view_kraw(json, "value", skip->value);
        mw_view_kstr(json, "at", skip->at);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_object_end(json);
    return MW_OK;
}

static struct mw_str wanted(const struct mw_view *view)
{
    struct mw_str id = mw_view_arg(view->query, "trace");
    if (id.len == 0)
        id = mw_view_arg(view->query, "build");
    return id.len > 0 ? id : mw_view_arg(view->query, "id");
}

enum mw_rc mw_view_trace(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_view_trace *trace;
    enum mw_rc rc = mw_view_index_make(view, wanted(view), &index);
    if (rc == MW_OK)
        rc = mw_view_trace_pick(&index, wanted(view), &trace);
    return rc == MW_OK ? mw_view_put_trace(view, &index, trace) : rc;
}

/* ---- the plan ---- */

struct line {
    const struct mw_tape *tape;
    uint32_t node;
    struct mw_str task, purpose, service;
    bool inside; /* of a coordinator */
};

/* A purpose as the second half of a component tag has it: letters and digits alone. */
static bool is_subject(struct mw_str subject, struct mw_str purpose)
{
    size_t at = 0;
    for (size_t i = 0; i < purpose.len; i++) {
        char c = purpose.ptr[i];
        bool kept = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
        if (!kept)
            continue;
        if (at == subject.len || subject.ptr[at] != c)
            return false;
        at++;
    }
    return at == subject.len;
}

/* Tasks by kind and service, so that a line is not held against every task of the trace. */
static uint64_t plan_key(struct mw_str task, struct mw_str service)
{
    uint64_t key = mw_str_hash(task) * 31 + mw_str_hash(service);
    return key != 0 ? key : 1;
}

static void put_by_kind(struct mw_view *view, const struct mw_view_detail *detail,
                        struct mw_view_table *table)
{
    for (struct mw_view_item *item = detail->items; item != NULL; item = item->next) {
        if (item->kind != MW_VIEW_TASK)
            continue;
        uint64_t key = plan_key(item->name, mw_view_service_of(detail, item));
        struct link *first = mw_view_table_get(table, key);
        struct link *link = mw_arena_alloc(view->arena, sizeof(*link));
        if (link == NULL)
            return;
        link->item = item;
        link->last = link;
        if (first == NULL) {
            mw_view_table_put(table, view->arena, key, link);
            continue;
        }
        first->last->next = link;
        first->last = link;
    }
}

/* What became of a line. Lines do not know the numbers of their tasks, which came later: kind, service and subject tell them. */
static struct mw_view_item *task_of(const struct mw_view_table *by_kind, const struct line *line)
{
    struct mw_view_item *untold = NULL;
    uint64_t key = plan_key(line->task, line->inside ? line->service : MW_STR_NONE);
    for (struct link *link = mw_view_table_get(by_kind, key); link != NULL; link = link->next) {
        struct mw_view_item *item = link->item;
        if (item->planned || !mw_str_eq(item->name, line->task))
            continue;
        struct mw_str known = item->subject.len > 0 ? item->subject : item->key;
        if (known.len > 0 && line->purpose.len > 0 && is_subject(known, line->purpose))
            return item;
        if (item->subject.len == 0 && untold == NULL)
            untold = item;
    }
    return untold;
}

static struct mw_view_item *coordinator_of(const struct mw_view_detail *detail,
                                           struct mw_str receiver)
{
    for (struct mw_view_item *item = detail->items; item != NULL; item = item->next)
        if (item->kind == MW_VIEW_COORDINATOR && !item->planned &&
            mw_str_starts(receiver, item->name) && mw_str_ends(receiver, item->key) &&
            receiver.len == item->name.len + item->key.len + 1)
            return item;
    return NULL;
}

/* "MicroserviceAssemblyCoordinator TaskService": the service that the lines after it are for. */
static void follow_service(struct line *line)
{
    struct mw_str receiver = mw_node_get_text(line->tape, line->node, "receiver");
    struct mw_str stage = mw_node_get_text(line->tape, line->node, "stage");
    line->task = mw_node_get_text(line->tape, line->node, "task");
    line->purpose = mw_node_get_text(line->tape, line->node, "purpose");
    if (line->task.len == 0) {
        size_t blank = mw_str_find(receiver, ' ', 0);
        line->service = blank != SIZE_MAX ? mw_str_sub(receiver, blank + 1, SIZE_MAX) : receiver;
        return;
    }
    line->inside = line->service.len > 0 && stage.len > 0 && !mw_str_eq(stage, receiver);
}

static void put_line(struct mw_view *view, const struct mw_view_index *index,
                     const struct mw_view_detail *detail, const struct mw_view_table *by_kind,
                     const struct line *line)
{
    struct mw_json *json = &view->json;
    struct mw_view_item *item =
        line->task.len > 0
            ? task_of(by_kind, line)
            : coordinator_of(detail, mw_node_get_text(line->tape, line->node, "receiver"));
    mw_json_object(json);
    for (uint32_t key = mw_node_first(line->tape, line->node); key != MW_NODE_NONE;
         key = mw_node_after(line->tape, line->node, key)) {
        mw_json_key(json, line->tape->nodes[key].text);
        mw_json_node(json, line->tape, key + 1);
    }
    if (line->inside)
        mw_json_kstr(json, "service", line->service);
    if (item != NULL) {
        item->planned = true;
        mw_json_kstr(json, "id", mw_view_item_id(index, view->arena, item));
        if (item->last != NULL)
            mw_view_kstr(json, "agentId", item->last->agent_id);
    }
    mw_json_kstr(json, "state",
                 item != NULL ? mw_str_of(mw_view_item_state(item)) : MW_STR("planned"));
    mw_json_object_end(json);
}

enum mw_rc mw_view_plan(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_view_trace *trace;
    enum mw_rc rc = mw_view_index_make(view, wanted(view), &index);
    if (rc == MW_OK)
        rc = mw_view_trace_pick(&index, wanted(view), &trace);
    if (rc != MW_OK)
        return rc;
    struct mw_view_detail detail = {.trace = trace, .keep_parts = true};
    rc = mw_view_detail_make(view, &detail);
    if (rc == MW_OK && detail.parts == NULL)
        rc = MW_FAIL(view->err, MW_E_MISSING, "trace %.*s has no plan (yet)",
                     MW_STR_ARG(trace->wire_id));
    if (rc != MW_OK)
        return rc;
    struct line line = {0};
    struct mw_view_table by_kind = {0};
    put_by_kind(view, &detail, &by_kind);
    mw_json_object(&view->json);
    mw_view_kstr(&view->json, "traceId", trace->wire_id);
    mw_view_kstr(&view->json, "blueprintId", trace->blueprint_id);
    mw_json_karray(&view->json, "lines");
    for (const struct mw_view_part *part = detail.parts; rc == MW_OK && part != NULL;
         part = part->next) {
        struct mw_tape tape;
        rc = mw_view_parse(view, part->members, "a part of the plan", &tape);
        if (rc != MW_OK)
            return rc;
        line.tape = &tape;
        for (line.node = mw_node_first(&tape, 0); line.node != MW_NODE_NONE;
             line.node = mw_node_after(&tape, 0, line.node)) {
            line.inside = false;
            follow_service(&line);
            put_line(view, &index, &detail, &by_kind, &line);
        }
    }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    return MW_OK;
}
