#include "view/internal.h"

static const struct {
    const char *name;
    enum mw_rc (*run)(struct mw_view *view);
} views[] = {
    {"status", mw_view_status},
    {"builds", mw_view_builds},
    {"build", mw_view_build},
    {"artifacts", mw_view_artifacts},
    {"plan", mw_view_plan},
    {"traces", mw_view_traces},
    {"trace", mw_view_trace},
    {"groups", mw_view_groups},
    {"group", mw_view_group},
    {"coordinators", mw_view_coordinators},
    {"coordinator", mw_view_coordinator},
    {"items", mw_view_items},
    {"agents", mw_view_agents},
    {"review", mw_view_review},
    {"why", mw_view_why},
    {"show", mw_view_show},
    {"failure", mw_view_failure},
    {"document", mw_view_document},
    {"route", mw_view_route},
    {"events", mw_view_events},
    {"run", mw_view_run_of},
    {"chains", mw_view_chains},
    {"chain", mw_view_chain},
    {"memory", mw_view_memory},
    {"letters", mw_view_letters},
    {"letter", mw_view_letter},
};

struct mw_str mw_view_arg(const struct mw_view_query *query, const char *key)
{
    for (uint32_t i = 0; i < query->count; i++)
        if (mw_str_is(query->keys[i], key))
            return query->values[i];
    return MW_STR_NONE;
}

enum mw_rc mw_view_run(struct mw_arena *arena, const struct mw_view_query *query,
                       const struct mw_view_source *source, struct mw_buf *out, struct mw_err *err)
{
    struct mw_view view = {.arena = arena, .query = query, .source = source, .err = err};
    size_t start = out->len;
    MW_ASSERT(query->count <= MW_VIEW_ARGS_MAX);
    for (size_t i = 0; i < MW_COUNT(views); i++) {
        if (!mw_str_is(query->name, views[i].name))
            continue;
        mw_json_init(&view.json, out);
        enum mw_rc rc = views[i].run(&view);
        if (rc == MW_OK && arena->exhausted)
            rc = MW_FAIL(err, MW_E_LIMIT, "view_memory: %zu bytes are not enough for the view %s",
                         arena->size_bytes, views[i].name);
        if (rc == MW_OK && out->overflowed)
            rc = MW_FAIL(err, MW_E_LIMIT, "the answer of the view %s is too large", views[i].name);
        if (rc != MW_OK)
            out->len = start;
        return rc;
    }
    return MW_FAIL(err, MW_E_USAGE, "no view '%.*s'", MW_STR_ARG(query->name));
}

struct fold {
    struct mw_view *view;
    mw_view_on_record *on_record;
    void *context;
};

static enum mw_rc on_fold(void *context, const struct mw_event *event, struct mw_str line,
                          struct mw_err *err)
{
    struct fold *fold = context;
    enum mw_rc rc = fold->on_record(fold->context, event, line, err);
    if ((rc == MW_OK || rc == MW_VIEW_ENOUGH) && fold->view->arena->exhausted)
        rc = MW_FAIL(err, MW_E_LIMIT, "view_memory: %zu bytes are not enough for this view",
                     fold->view->arena->size_bytes);
    return rc;
}

enum mw_rc mw_view_each(struct mw_view *view, mw_view_on_record *on_record, void *context)
{
    struct fold fold = {view, on_record, context};
    enum mw_rc rc = view->source->each(view->source->self, on_fold, &fold, view->err);
    return rc == MW_VIEW_ENOUGH ? MW_OK : rc;
}

struct record {
    struct mw_view *view;
    mw_seq seq;
    struct mw_str line;
};

static enum mw_rc on_record_wanted(void *context, const struct mw_event *event, struct mw_str line,
                                   struct mw_err *err)
{
    struct record *record = context;
    (void)err; /* finding cannot fail */
    if (event->seq != record->seq)
        return MW_OK;
    record->line = mw_view_copy(record->view, line);
    return MW_VIEW_ENOUGH;
}

enum mw_rc mw_view_record(struct mw_view *view, mw_seq seq, struct mw_str *ret_line)
{
    struct record record = {.view = view, .seq = seq};
    enum mw_rc rc = mw_view_each(view, on_record_wanted, &record);
    if (rc == MW_OK && record.line.len == 0)
        rc = MW_FAIL(view->err, MW_E_MISSING, "no record %lu", (unsigned long)seq);
    if (rc == MW_OK)
        *ret_line = record.line;
    return rc;
}

mw_seq mw_view_id_seq(struct mw_str id)
{
    size_t at = id.len;
    uint64_t seq = 0;
    while (at > 0 && id.ptr[at - 1] != '-')
        at--;
    if (at < 3 || !mw_str_to_u64(mw_str_sub(id, at, id.len), &seq))
        return 0;
    return seq;
}

void mw_view_kstr(struct mw_json *json, const char *key, struct mw_str value)
{
    mw_json_key(json, mw_str_of(key));
    if (value.len > 0)
        mw_json_str(json, value);
    else
        mw_json_null(json);
}

void mw_view_raw_in(struct mw_json *json, uint32_t levels, struct mw_str json_text)
{
    MW_ASSERT(levels < MW_JSON_DEPTH_MAX);
    if (mw_json_is_deeper(json_text, MW_JSON_DEPTH_MAX - levels))
        mw_json_str(json, json_text);
    else
        mw_json_raw(json, json_text);
}

void mw_view_kraw(struct mw_json *json, const char *key, struct mw_str json_text)
{
    mw_json_key(json, mw_str_of(key));
    mw_view_raw_in(json, MW_JSON_DEPTH_MAX - MW_JSON_MADE_DEPTH_MAX,
                   json_text.len > 0 ? json_text : MW_STR("null"));
}

struct mw_str mw_view_copy(struct mw_view *view, struct mw_str s)
{
    return s.len > 0 ? mw_arena_copy(view->arena, s) : MW_STR_NONE;
}

enum mw_rc mw_view_parse(struct mw_view *view, struct mw_str text, const char *what,
                         struct mw_tape *ret_tape)
{
    struct mw_tape tape;
    enum mw_rc rc = mw_json_parse(view->arena, text, &tape, view->err);
    if (rc == MW_OK)
        *ret_tape = tape;
    else if (view->arena->exhausted)
        rc = MW_FAIL(view->err, MW_E_LIMIT, "view_memory: %zu bytes are not enough to read %s",
                     view->arena->size_bytes, what);
    else
        rc = MW_FAIL(view->err, MW_E_CORRUPT, "%s is not JSON", what);
    return rc;
}

enum mw_rc mw_view_blob(struct mw_view *view, struct mw_str sha256, struct mw_str *ret_text)
{
    if (sha256.len == 0)
        return MW_FAIL(view->err, MW_E_MISSING, "there is no body");
    return view->source->blob(view->source->self, view->arena, sha256, ret_text, view->err);
}
