#include "view/internal.h"

/* Why a trace did not get where it should: the first thing that went wrong, with everything that a person needs to go on. */

static const char *const bodies[] = {"TestResultsReady", "BundleValidated", NULL};

struct cause {
    struct mw_view *view;
    const struct mw_view_index *index;
    const struct mw_view_trace *trace;
    struct mw_view_detail detail;
    const struct mw_view_item *task;   /* NULL: no task failed */
    const struct mw_view_fact *report; /* a test report that did not pass; NULL: none */
    const struct mw_view_item *scope;  /* a run or coordinator that ended badly; NULL: none */
    struct mw_tape tape;               /* of the report, or of the validation */
    bool validation;                   /* the tape is the bundle's validation */
    struct mw_str error_class, words;
};

static bool is_before(struct mw_str a, const struct mw_view_item *b)
{
    return b == NULL || mw_str_cmp(a, b->ended) < 0;
}

/* A task whose last attempt failed and which nobody has taken up since counts too: a person may be asked meanwhile. */
static bool has_failed(const struct mw_view_item *task)
{
    if (mw_str_is(task->outcome, "failed"))
        return true;
    return task->escalated && task->outcome.len == 0;
}

static void find_items(struct cause *cause)
{
    const struct mw_view_item *escalated = NULL;
    for (const struct mw_view_item *item = cause->detail.items; item != NULL; item = item->next) {
        bool failed = mw_str_is(item->outcome, "failed");
        if (item->kind == MW_VIEW_TASK && failed && is_before(item->ended, cause->task))
            cause->task = item;
        else if (item->kind == MW_VIEW_TASK && has_failed(item) && escalated == NULL)
            escalated = item;
        else if ((item->kind == MW_VIEW_RUN || item->kind == MW_VIEW_COORDINATOR) && failed &&
                 is_before(item->ended, cause->scope))
            cause->scope = item;
    }
    if (cause->task == NULL)
        cause->task = escalated;
}

static struct mw_str body_of(struct cause *cause, const struct mw_view_fact *fact)
{
    struct mw_str body;
    return mw_view_fact_body(cause->view, fact, &body) == MW_OK ? body : fact->body;
}

/* A report that says no is a result, so its task has not failed: the report is the cause. */
static enum mw_rc find_reports(struct cause *cause)
{
    struct mw_str report = MW_STR_NONE;
    for (const struct mw_view_fact *fact = cause->detail.facts; fact != NULL; fact = fact->next) {
        struct mw_tape tape;
        if (!mw_view_is_report(fact, "TestResultsReady"))
            continue;
        enum mw_rc rc = mw_view_parse(cause->view, body_of(cause, fact), "a test report", &tape);
        if (rc != MW_OK)
            return rc;
        if (mw_str_is(mw_node_get_text(&tape, 0, "result"), "Passed") || cause->report != NULL)
            continue;
        cause->report = fact;
        cause->tape = tape;
    }
    const struct mw_view_build *build = cause->trace->build;
    if (cause->report != NULL || build == NULL || !mw_str_is(build->validation, "Failed"))
        return MW_OK;
    enum mw_rc rc = mw_view_validation(cause->view, build, &cause->detail, &report);
    if (rc == MW_OK)
        rc = mw_view_parse(cause->view, report.len > 0 ? report : MW_STR("{}"), "the validation",
                           &cause->tape);
    cause->validation = rc == MW_OK;
    cause->report =
        build->report_fact != 0 ? mw_view_fact_at(&cause->detail, build->report_fact) : NULL;
    return rc;
}

/* The attempt that says why: the last one that an agent, not a person, lost. */
static const struct mw_view_attempt *failed_attempt(const struct mw_view_item *task)
{
    const struct mw_view_attempt *found = NULL;
    for (const struct mw_view_attempt *at = task != NULL ? task->attempts : NULL; at != NULL;
         at = at->next)
        if (at->outcome.len > 0 && !mw_str_is(at->outcome, "completed"))
            found = at;
    return found;
}

static void name_cause(struct cause *cause)
{
    const struct mw_view_build *build = cause->trace->build;
    const struct mw_view_attempt *attempt = failed_attempt(cause->task);
    if (cause->task != NULL) {
        cause->error_class = cause->task->error_class;
        cause->words = cause->task->reason;
        if (attempt != NULL && attempt->reason.len > 0)
            cause->words = attempt->reason;
        if (attempt != NULL && attempt->error_class.len > 0)
            cause->error_class = attempt->error_class;
        else if (attempt != NULL && mw_str_is(attempt->outcome, "timed_out"))
            cause->error_class = MW_STR("timeout");
        return;
    }
    cause->error_class =
        cause->validation       ? MW_STR("validation")
        : cause->report != NULL ? MW_STR("tests")
        : cause->scope != NULL && mw_str_starts(cause->scope->reason, MW_STR("limit "))
            ? MW_STR("limit")
            : MW_STR_NONE;
    cause->words = cause->scope != NULL ? cause->scope->reason
                   : build != NULL      ? build->reason
                                        : cause->trace->reason;
    if (cause->report != NULL)
        cause->task = mw_view_item_of(&cause->detail, cause->report->item);
    if (cause->error_class.len == 0 && build != NULL)
        cause->error_class = build->error_class;
}

/* ---- writing ---- */

static void put_task(struct cause *cause)
{
    struct mw_json *json = &cause->view->json;
    const struct mw_view_item *task = cause->task;
    const struct mw_view_attempt *attempt = failed_attempt(task);
    mw_json_key(json, MW_STR("task"));
    if (task == NULL) {
        mw_json_null(json);
        return;
    }
    if (attempt == NULL)
        attempt = task->last;
    mw_json_object(json);
    mw_json_kstr(json, "taskId", mw_view_item_id(cause->index, cause->view->arena, task));
    mw_view_kstr(json, "taskType", task->name);
    mw_view_kstr(json, "subject", task->subject);
    mw_view_kstr(json, "service", mw_view_service_of(&cause->detail, task));
    mw_view_kstr(json, "agentId", attempt != NULL ? attempt->agent_id : MW_STR_NONE);
    mw_json_ku64(json, "attempts", task->last != NULL ? task->last->number : 0);
    mw_json_kstr(json, "state", mw_str_of(mw_view_item_state(task)));
    mw_json_object_end(json);
}

static void put_failed_test(struct mw_json *json, struct mw_str service, const struct mw_tape *tape,
                            uint32_t node)
{
    mw_json_object(json);
    mw_view_kstr(json, "service", service);
    mw_json_knode(json, "test", tape, mw_node_get(tape, node, "test"));
    mw_json_knode(json, "expected", tape, mw_node_get(tape, node, "expected"));
    mw_json_knode(json, "actual", tape, mw_node_get(tape, node, "actual"));
    mw_json_object_end(json);
}

static void put_failed_validator(struct mw_json *json, const struct mw_tape *tape, uint32_t node)
{
    mw_json_object(json);
    mw_view_kstr(json, "service", MW_STR_NONE);
    mw_json_knode(json, "test", tape, mw_node_get(tape, node, "name"));
    mw_json_kstr(json, "expected", MW_STR("passes"));
    mw_json_knode(json, "actual", tape, mw_node_get(tape, node, "detail"));
    mw_json_object_end(json);
}

static void put_failed_tests(struct cause *cause)
{
    struct mw_json *json = &cause->view->json;
    const struct mw_tape *tape = &cause->tape;
    uint32_t list = MW_NODE_NONE;
    if (tape->count > 0)
        list = mw_node_get(tape, 0, cause->validation ? "validators" : "failures");
    mw_json_karray(json, "failures");
    for (uint32_t at = tape->count > 0 ? mw_node_first(tape, list) : MW_NODE_NONE;
         at != MW_NODE_NONE; at = mw_node_after(tape, list, at)) {
        if (!cause->validation)
            put_failed_test(json, mw_node_get_text(tape, 0, "service"), tape, at);
        else if (!mw_node_bool(tape, mw_node_get(tape, at, "passed"), false))
            put_failed_validator(json, tape, at);
    }
    mw_json_array_end(json);
}

/* Short, and nothing in it that a shell would take for its own. */
static bool is_plain(struct mw_str prompt)
{
    if (prompt.len == 0 || prompt.len > 200)
        return false;
    for (size_t i = 0; i < prompt.len; i++) {
        char c = prompt.ptr[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
        if (!letter && c != ' ' && c != ',' && c != '.' && c != '-' && c != ':')
            return false;
    }
    return true;
}

/* What to type. */
static void put_next(struct cause *cause)
{
    struct mw_json *json = &cause->view->json;
    struct mw_arena *arena = cause->view->arena;
    const struct mw_view_item *task = cause->task;
    mw_json_karray(json, "next");
    if (task != NULL) {
        struct mw_str id = mw_view_item_id(cause->index, arena, task);
        bool asked = task->last != NULL && task->last->person && task->last->outcome.len == 0;
        mw_json_str(json, mw_arena_format(arena, "millwright logs %.*s", MW_STR_ARG(id)));
        if (asked) {
            mw_json_str(json, mw_arena_format(arena, "millwright show %.*s", MW_STR_ARG(id)));
            mw_json_str(json, MW_STR("millwright inbox"));
        }
    } else {
        mw_json_str(json, mw_arena_format(arena, "millwright trace show %.*s",
                                          MW_STR_ARG(cause->trace->wire_id)));
    }
    if (cause->trace->outcome.len > 0 && is_plain(cause->detail.prompt))
        mw_json_str(json, mw_arena_format(arena, "millwright gen \"%.*s\"",
                                          MW_STR_ARG(cause->detail.prompt)));
    mw_json_array_end(json);
}

static void put_evidence(struct cause *cause)
{
    struct mw_json *json = &cause->view->json;
    const struct mw_view_attempt *attempt = failed_attempt(cause->task);
    if (attempt == NULL && cause->task != NULL)
        attempt = cause->task->last;
    mw_view_kraw(json, "evidence", attempt != NULL ? attempt->evidence : MW_STR_NONE);
    mw_json_key(json, MW_STR("kept"));
    if (attempt == NULL) {
        mw_json_null(json);
        return;
    }
    struct mw_str id = mw_view_item_id(cause->index, cause->view->arena, cause->task);
    mw_json_str(json, mw_arena_format(cause->view->arena, ".millwright/work/%.*s.%lu",
                                      MW_STR_ARG(id), (unsigned long)attempt->number));
}

/* Nothing named: the newest trace that failed; NULL: none did. */
static struct mw_view_trace *newest_failed(const struct mw_view_index *index)
{
    struct mw_view_trace *found = NULL;
    for (struct mw_view_trace *trace = index->traces; trace != NULL; trace = trace->next) {
        bool failed = mw_str_is(trace->outcome, "failed") ||
                      (trace->build != NULL && trace->build->state == MW_VIEW_FAILED);
        found = failed ? trace : found;
    }
    return found;
}

enum mw_rc mw_view_failure(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_view_trace *trace = NULL;
    struct mw_str name = mw_view_arg(view->query, "trace");
    if (name.len == 0)
        name = mw_view_arg(view->query, "build");
    if (name.len == 0)
        name = mw_view_arg(view->query, "id");
    enum mw_rc rc = mw_view_index_make(view, name, &index);
    if (rc == MW_OK && name.len == 0)
        trace = newest_failed(&index);
    if (rc == MW_OK && trace == NULL)
        rc = mw_view_trace_pick(&index, name, &trace);
    if (rc != MW_OK)
        return rc;
    struct cause cause = {.view = view, .index = &index, .trace = trace};
    cause.detail = (struct mw_view_detail){.trace = trace, .body_types = bodies};
    rc = mw_view_detail_make(view, &cause.detail);
    if (rc != MW_OK)
        return rc;
    find_items(&cause);
    if (cause.task == NULL)
        rc = find_reports(&cause);
    if (rc != MW_OK)
        return rc;
    const struct mw_view_build *build = trace->build;
    bool failed = cause.task != NULL || cause.report != NULL || cause.scope != NULL ||
                  mw_str_is(trace->outcome, "failed") ||
                  (build != NULL && build->state == MW_VIEW_FAILED);
    if (!failed)
        return MW_FAIL(view->err, MW_E_MISSING, "nothing has failed in trace %.*s: it is %s",
                       MW_STR_ARG(trace->wire_id), mw_view_trace_state(trace));
    name_cause(&cause);
    struct mw_json *json = &view->json;
    mw_json_object(json);
    mw_view_kstr(json, "traceId", trace->wire_id);
    mw_view_kstr(json, "build_id", build != NULL ? build->build_id : MW_STR_NONE);
    mw_json_kstr(json, "state", mw_str_of(mw_view_trace_state(trace)));
    put_task(&cause);
    mw_view_kstr(json, "class", cause.error_class);
    mw_view_kstr(json, "cause", cause.words);
    put_evidence(&cause);
    put_failed_tests(&cause);
    put_next(&cause);
    mw_json_object_end(json);
    return MW_OK;
}
