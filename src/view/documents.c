#include "view/internal.h"

#include <string.h>

#define SERVED_MAX 3u

static const struct {
    const char *name;
    const char *type;
} documents[SERVED_MAX] = {{"intent", "ProductIntentSubmitted"},
                           {"blueprint", "StrategicBlueprintGenerated"},
                           {"design", "PortsAndUseCasesReady"}};

/* A small body stands in the record that opened the trace. Empty: it does not. */
static enum mw_rc body_in_record(struct mw_view *view, const struct mw_view_trace *trace,
                                 struct mw_str *ret_text)
{
    struct mw_str line;
    struct mw_event event;
    enum mw_rc rc = mw_view_record(view, trace->id, &line);
    if (rc == MW_OK)
        rc = mw_event_read(view->arena, line, &event, view->err);
    if (rc == MW_OK)
        *ret_text = event.intent_body;
    return rc;
}

/* A prompt without its body on the disk is what the record says of it. */
static struct mw_str intent_of_record(struct mw_view *view, const struct mw_view_detail *detail)
{
    struct mw_buf buf;
    struct mw_json json;
    mw_arena_text_begin(view->arena, &buf);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    mw_json_kstr(&json, "prompt", detail->prompt);
    mw_json_object_end(&json);
    return mw_arena_text_keep(view->arena, &buf);
}

enum mw_rc mw_view_document_text(struct mw_view *view, const struct mw_view_detail *detail,
                                 uint64_t document, struct mw_str *ret_text)
{
    const struct mw_view_fact *fact = NULL;
    if (document == 0) {
        enum mw_rc rc = body_in_record(view, detail->trace, ret_text);
        if (rc == MW_OK && ret_text->len == 0)
            rc = mw_view_blob(view, detail->trace->intent_sha256, ret_text);
        if (rc != MW_E_MISSING)
            return rc;
        if (detail->prompt.len == 0)
            return MW_FAIL(view->err, MW_E_MISSING, "the intent of trace %.*s is not there",
                           MW_STR_ARG(detail->trace->wire_id));
        *ret_text = intent_of_record(view, detail);
        return MW_OK;
    }
    for (const struct mw_view_fact *at = detail->facts; at != NULL; at = at->next)
        fact = at->document == document ? at : fact;
    if (fact == NULL)
        return MW_FAIL(view->err, MW_E_MISSING, "trace %.*s has no %s (yet)",
                       MW_STR_ARG(detail->trace->wire_id),
                       document < SERVED_MAX ? documents[document].name : "such document");
    return mw_view_blob(view, fact->body_sha256, ret_text);
}

enum mw_rc mw_view_validation(struct mw_view *view, const struct mw_view_build *build,
                              const struct mw_view_detail *detail, struct mw_str *ret_body)
{
    const struct mw_view_fact *fact =
        build->report_fact != 0 ? mw_view_fact_at(detail, build->report_fact) : NULL;
    struct mw_str body = build->report;
    enum mw_rc rc = fact != NULL && fact->body_sha256.len > 0
                        ? mw_view_blob(view, fact->body_sha256, &body)
                        : MW_OK;
    if (rc == MW_OK || rc == MW_E_MISSING) /* gone: what the record kept is said */
        *ret_body = body;
    return rc == MW_E_MISSING ? MW_OK : rc;
}

/* ---- the place of a node ---- */

static void put_part(struct mw_buf *buf, struct mw_str part)
{
    mw_buf_put_c(buf, '/');
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] == '~')
            mw_buf_put_z(buf, "~0");
        else if (part.ptr[i] == '/')
            mw_buf_put_z(buf, "~1");
        else
            mw_buf_put_c(buf, part.ptr[i]);
    }
}

/* Goes one container down towards node; false when it is there. */
static bool descend(const struct mw_tape *tape, uint32_t *at, uint32_t node, struct mw_buf *buf)
{
    uint32_t position = 0;
    bool object = mw_node_type(tape, *at) == MW_NODE_OBJECT;
    for (uint32_t child = mw_node_first(tape, *at); child != MW_NODE_NONE;
         child = mw_node_after(tape, *at, child), position++) {
        uint32_t value = object ? child + 1 : child;
        if (node < value || node >= tape->nodes[value].next)
            continue;
        if (object) {
            put_part(buf, tape->nodes[child].text);
        } else {
            mw_buf_put_c(buf, '/');
            mw_buf_put_u64(buf, position);
        }
        *at = value;
        return true;
    }
    return false;
}

struct mw_str mw_view_pointer_to(struct mw_view *view, const struct mw_tape *tape, uint32_t node)
{
    struct mw_buf buf;
    uint32_t at = 0;
    mw_arena_text_begin(view->arena, &buf);
    while (at != node && descend(tape, &at, node, &buf)) {
    }
    return mw_arena_text_keep(view->arena, &buf);
}

/* ---- the view ---- */

static struct mw_str wanted(const struct mw_view *view)
{
    struct mw_str id = mw_view_arg(view->query, "trace");
    if (id.len == 0)
        id = mw_view_arg(view->query, "build");
    return id.len > 0 ? id : mw_view_arg(view->query, "id");
}

enum mw_rc mw_view_document(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_view_trace *trace;
    struct mw_str name = mw_view_arg(view->query, "name");
    struct mw_str text;
    struct mw_tape tape;
    uint64_t which = 0;
    while (which < SERVED_MAX && !mw_str_is(name, documents[which].name) &&
           !mw_str_is(name, documents[which].type))
        which++;
    if (which == SERVED_MAX)
        return MW_FAIL(view->err, MW_E_USAGE, "document needs name=intent, blueprint or design");
    enum mw_rc rc = mw_view_index_make(view, wanted(view), &index);
    if (rc == MW_OK)
        rc = mw_view_trace_pick(&index, wanted(view), &trace);
    if (rc != MW_OK)
        return rc;
    struct mw_view_detail detail = {.trace = trace};
    rc = mw_view_detail_make(view, &detail);
    if (rc == MW_OK)
        rc = mw_view_document_text(view, &detail, which, &text);
    if (rc == MW_OK)
        rc = mw_view_parse(view, text, documents[which].name, &tape);
    if (rc == MW_OK && mw_node_type(&tape, 0) != MW_NODE_OBJECT)
        rc = MW_FAIL(view->err, MW_E_CORRUPT, "the %s is not an object", documents[which].name);
    if (rc == MW_OK)
        mw_json_node(&view->json, &tape, 0);
    return rc;
}
