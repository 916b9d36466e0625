#include "defs/world.h"

#include <string.h>

static bool add_document(const struct mw_world *world, const struct mw_trace *trace, uint32_t index,
                         struct mw_str name, const struct mw_expr *expr, struct mw_roots *roots);
static bool add_text(struct mw_arena *arena, struct mw_str name, struct mw_str json_text,
                     struct mw_roots *roots);
static struct mw_str facts_text(const struct mw_world *world, struct mw_arena *arena,
                                const struct mw_trace *trace, const struct mw_place *place,
                                const struct mw_expr *expr);
static struct mw_str scope_text(const struct mw_world *world, struct mw_arena *arena,
                                const struct mw_trace *trace, const struct mw_place *place);
static const struct mw_fact *fact_at(const struct mw_trace *trace, mw_seq seq);
static struct mw_str body_of(const struct mw_fact *fact);

static void add_root(struct mw_roots *roots, struct mw_str name, const struct mw_tape *tape,
                     uint32_t node)
{
    MW_ASSERT(roots->count < MW_ROOTS_MAX);
    roots->items[roots->count++] = (struct mw_expr_root){name, tape, node};
}

const struct mw_tape *mw_world_document(const struct mw_world *world, const struct mw_trace *trace,
                                        uint32_t index)
{
    MW_ASSERT(index < MW_DOCUMENTS_MAX);
    char hex[MW_TRACE_SHA256_HEX];
    struct mw_str sha256 = mw_trace_document_sha256(trace, index, hex);
    if (index > 0 || trace->intent_body.len == 0)
        return sha256.len > 0 ? world->document(world->host, sha256) : NULL;
    struct mw_tape *tape = mw_arena_alloc(world->scratch, sizeof(*tape));
    return tape != NULL && mw_json_parse(world->scratch, trace->intent_body, tape, NULL) == MW_OK
               ? tape
               : NULL;
}

static bool add_item(const struct mw_world *world, const struct mw_trace *trace, const char *name,
                     uint32_t document, uint32_t node, const struct mw_expr *expr,
                     struct mw_roots *roots)
{
    if (node == MW_NODE_NONE || !mw_expr_uses(expr, mw_str_of(name)))
        return true;
    const struct mw_tape *tape = mw_world_document(world, trace, document);
    if (tape == NULL)
        return false;
    add_root(roots, mw_str_of(name), tape, node);
    return true;
}

bool mw_roots_of(const struct mw_world *world, struct mw_arena *arena, const struct mw_trace *trace,
                 const struct mw_place *place, const struct mw_expr *expr,
                 struct mw_roots *ret_roots, struct mw_str *ret_missing)
{
    struct mw_roots roots = {0};
    *ret_missing = MW_STR("a document that the host has not pinned");
    if (!add_document(world, trace, 0, MW_STR("intent"), expr, &roots))
        return false;
    const struct mw_journey_def *journey = mw_world_documents(world, trace);
    for (uint32_t i = 0; journey != NULL && i < journey->document_count; i++) {
        struct mw_str name = journey->documents[i].name;
        uint32_t index = mw_document_index(journey, journey->documents[i].type);
        if (!add_document(world, trace, index, name, expr, &roots))
            return false;
        const struct mw_tape *tape = mw_world_document(world, trace, index);
        if (tape != NULL && mw_str_is(name, "blueprint") && mw_expr_uses(expr, MW_STR("metadata")))
            add_root(&roots, MW_STR("metadata"), tape, mw_node_get(tape, 0, "metadata"));
    }
    if (!add_item(world, trace, "item", place->document, place->node, expr, &roots) ||
        !add_item(world, trace, "outer", place->outer_document, place->outer_node, expr, &roots))
        return false;
    *ret_missing = MW_STR("room for the facts of this scope");
    if (place->event_fact != 0 && mw_expr_uses(expr, MW_STR("event")) &&
        !add_text(arena, MW_STR("event"), body_of(fact_at(trace, place->event_fact)), &roots))
        return false;
    if (mw_expr_uses(expr, MW_STR("facts")) &&
        !add_text(arena, MW_STR("facts"), facts_text(world, arena, trace, place, expr), &roots))
        return false;
    if (mw_expr_uses(expr, MW_STR("scope")) &&
        !add_text(arena, MW_STR("scope"), scope_text(world, arena, trace, place), &roots))
        return false;
    *ret_roots = roots;
    return true;
}

/* A document that does not exist yet is an absent root; one that exists and is not pinned is an error. */
static bool add_document(const struct mw_world *world, const struct mw_trace *trace, uint32_t index,
                         struct mw_str name, const struct mw_expr *expr, struct mw_roots *roots)
{
    char hex[MW_TRACE_SHA256_HEX];
    if (!mw_expr_uses(expr, name) && !mw_expr_uses(expr, MW_STR("metadata")))
        return true;
    if (mw_trace_document_sha256(trace, index, hex).len == 0)
        return true;
    const struct mw_tape *tape = mw_world_document(world, trace, index);
    if (tape == NULL)
        return false;
    add_root(roots, name, tape, 0);
    return true;
}

static bool add_text(struct mw_arena *arena, struct mw_str name, struct mw_str json_text,
                     struct mw_roots *roots)
{
    struct mw_tape *tape = mw_arena_alloc(arena, sizeof(*tape));
    if (tape == NULL || json_text.len == 0 || mw_json_parse(arena, json_text, tape, NULL) != MW_OK)
        return false;
    add_root(roots, name, tape, 0);
    return true;
}

static const struct mw_fact *fact_at(const struct mw_trace *trace, mw_seq seq)
{
    const struct mw_fact *fact = trace->newest_fact;
    while (fact != NULL && fact->seq != seq)
        fact = fact->older;
    return fact;
}

static struct mw_str body_of(const struct mw_fact *fact)
{
    return fact != NULL && fact->body.len > 0 ? fact->body : MW_STR("{}");
}

/* Said by what the definition at hand asks for itself: nobody else says it, before or after (P20). */
static bool is_own(const struct mw_world *world, const struct mw_trace *trace,
                   const struct mw_place *place, struct mw_str type)
{
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    return catalogue != NULL &&
           ((place->coordinator != NULL &&
             mw_coordinator_says(catalogue, place->coordinator, type)) ||
            (place->workflow != NULL && mw_workflow_says(catalogue, place->workflow, type)));
}

/* Of its type, the event at hand; else what a task answered last; else what was said last: talk does not stand in an answer's place (P20). */
static const struct mw_fact *fact_meant(const struct mw_world *world, const struct mw_trace *trace,
                                        const struct mw_place *place, struct mw_str type)
{
    const struct mw_fact *event = place->event_fact != 0 ? fact_at(trace, place->event_fact) : NULL;
    if (event != NULL && mw_str_eq(event->type, type))
        return event;
    const struct mw_fact *newest = mw_world_fact(trace, type, MW_STR_NONE, place->scope);
    for (const struct mw_fact *fact = newest; fact != NULL; fact = fact->older)
        if (fact->task != 0 && (fact->scope == 0 || fact->scope == place->scope) &&
            mw_str_eq(fact->type, type))
            return fact;
    return newest != NULL && is_own(world, trace, place, type) ? NULL : newest;
}

/* {"TestResultsReady": {…}, …}: only the types that the expression names. */
static struct mw_str facts_text(const struct mw_world *world, struct mw_arena *arena,
                                const struct mw_trace *trace, const struct mw_place *place,
                                const struct mw_expr *expr)
{
    struct mw_buf buf;
    struct mw_json json;
    mw_arena_text_begin(arena, &buf);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    struct mw_expr_use use;
    for (uint32_t i = 0; mw_expr_roots(expr, i, &use); i++) {
        if (!mw_str_is(use.root, "facts"))
            continue;
        const struct mw_fact *fact = fact_meant(world, trace, place, use.field);
        bool is_derived = place->derived != NULL && mw_str_eq(place->derived->type, use.field);
        if (fact == NULL && !is_derived)
            continue;
        mw_json_key(&json, use.field);
        mw_json_raw(&json, is_derived ? place->derived->body : body_of(fact));
    }
    mw_json_object_end(&json);
    return mw_arena_text_keep(arena, &buf);
}

static struct mw_str scope_text(const struct mw_world *world, struct mw_arena *arena,
                                const struct mw_trace *trace, const struct mw_place *place)
{
    struct mw_buf buf;
    struct mw_json json;
    size_t cap = 4096;
    char *memory = mw_arena_alloc(arena, cap);
    mw_buf_init(&buf, memory, memory != NULL ? cap : 0);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    mw_json_kstr(&json, "traceId", trace->wire_id);
    mw_json_kstr(&json, "sessionId", mw_scope_id(world, arena, place->scope));
    mw_json_kstr(&json, "blueprintId", mw_trace_more(trace)->blueprint_id);
    mw_json_kstr(&json, "appId", mw_trace_more(trace)->app_id);
    mw_json_kstr(&json, "buildId", mw_trace_more(trace)->build_id);
    /* Seen from an agent's folder, .millwright/work/TASK/files: the same wherever the workspace stands. What is no build has one all the
     * same, under its trace's name. */
    struct mw_str name =
        mw_trace_more(trace)->build_id.len > 0 ? mw_trace_more(trace)->build_id : trace->wire_id;
    mw_json_kstr(&json, "repository",
                 mw_arena_format(arena, "../../../repos/%.*s", MW_STR_ARG(name)));
    const struct mw_coordinator_def *def = place->coordinator;
    mw_json_kstr(&json, "coordinator", def != NULL ? def->name : MW_STR_NONE);
    mw_json_kstr(&json, "coordinatorVersion", def != NULL ? def->version : MW_STR_NONE);
    mw_json_kstr(&json, "version", def != NULL ? def->version : MW_STR_NONE);
    mw_json_object_end(&json);
    return buf.overflowed ? MW_STR_NONE : mw_buf_str(&buf);
}

/*
 * One evaluation: what it makes lies in a part of the arena, and nothing of it is left but a text. However much a definition asks for, what
 * is decided afterwards has room.
 */
#define EVAL_BYTES_MAX ((size_t)32 << 20)

struct look {
    const struct mw_world *world;
    struct mw_arena *arena;
    struct mw_arena part;
    size_t mark, scratch_mark;
};

static bool look_begin(const struct mw_world *world, struct mw_arena *arena, struct look *look)
{
    size_t room = arena->exhausted ? 0 : (arena->size_bytes - arena->used_bytes) / 2;
    size_t size_bytes = room < EVAL_BYTES_MAX ? room : EVAL_BYTES_MAX;
    *look = (struct look){.world = world,
                          .arena = arena,
                          .mark = arena->used_bytes,
                          .scratch_mark = world->scratch->used_bytes};
    char *memory = size_bytes > 0 ? mw_arena_alloc_unset(arena, size_bytes) : NULL;
    if (memory != NULL)
        mw_arena_init(&look->part, memory, size_bytes);
    return memory != NULL;
}

/* The text, which may lie in what is given back. */
static struct mw_str look_end(const struct look *look, struct mw_str text)
{
    look->world->scratch->used_bytes = look->scratch_mark;
    look->arena->used_bytes = look->mark;
    if (text.ptr == NULL)
        return text;
    char *kept = mw_arena_alloc_unset(look->arena, text.len + 1);
    if (kept == NULL)
        return MW_STR_NONE;
    memmove(kept, text.ptr, text.len);
    return (struct mw_str){kept, text.len};
}

static bool eval(const struct mw_world *world, struct mw_arena *arena, const struct mw_trace *trace,
                 const struct mw_place *place, const struct mw_expr *expr,
                 struct mw_value *ret_value, struct mw_str *ret_why)
{
    struct mw_roots roots;
    struct mw_err *err = mw_arena_alloc_unset(arena, sizeof(*err));
    if (err == NULL)
        return false;
    err->text[0] = '\0';
    if (!mw_roots_of(world, arena, trace, place, expr, &roots, ret_why))
        return false;
    if (mw_expr_eval(expr, roots.items, roots.count, arena, ret_value, err) == MW_OK)
        return true;
    *ret_why = mw_arena_format(arena, "'%.*s': %s", MW_STR_ARG(mw_expr_text(expr)), err->text);
    return false;
}

static bool eval_text(const struct mw_world *world, struct mw_arena *arena,
                      const struct mw_trace *trace, const struct mw_place *place,
                      const struct mw_expr *expr, struct mw_str *ret_text, struct mw_str *ret_why)
{
    struct mw_value value;
    if (!eval(world, arena, trace, place, expr, &value, ret_why))
        return false;
    if (value.type == MW_VALUE_STRING) {
        *ret_text = value.text;
        return true;
    }
    struct mw_buf buf;
    struct mw_json json;
    char *memory = mw_arena_alloc(arena, MW_FACT_BODY_MAX);
    mw_buf_init(&buf, memory, memory != NULL ? MW_FACT_BODY_MAX : 0);
    mw_json_init(&json, &buf);
    mw_value_write(&value, &json);
    *ret_why = MW_STR("the value is too long");
    *ret_text = mw_buf_str(&buf);
    return !buf.overflowed;
}

bool mw_eval_text(const struct mw_world *world, struct mw_arena *arena,
                  const struct mw_trace *trace, const struct mw_place *place,
                  const struct mw_expr *expr, struct mw_str *ret_text, struct mw_str *ret_why)
{
    struct mw_str text = MW_STR_NONE, why = MW_STR("no memory left for the value");
    struct look look;
    if (!look_begin(world, arena, &look)) {
        *ret_why = why;
        return false;
    }
    bool whole = eval_text(world, &look.part, trace, place, expr, &text, &why);
    if (whole && text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        whole = false; /* a record would say it otherwise than the state */
        why = mw_arena_format(&look.part, "'%.*s': a text with the character NUL",
                              MW_STR_ARG(mw_expr_text(expr)));
    }
    if (whole && text.len > MW_FACT_BODY_MAX) {
        whole = false;
        why = mw_arena_format(&look.part, "'%.*s': a text of more than %d bytes",
                              MW_STR_ARG(mw_expr_text(expr)), MW_FACT_BODY_MAX);
    }
    struct mw_str kept = look_end(&look, whole ? text : why);
    *(whole ? ret_text : ret_why) = kept;
    return whole;
}

struct mw_str mw_eval_shown(const struct mw_world *world, struct mw_arena *arena,
                            const struct mw_trace *trace, const struct mw_place *place,
                            const struct mw_expr *expr, size_t bytes_max)
{
    struct mw_str text = MW_STR_NONE, why;
    struct look look;
    if (!look_begin(world, arena, &look))
        return MW_STR_NONE;
    if (!eval_text(world, &look.part, trace, place, expr, &text, &why))
        text = MW_STR_NONE;
    else if (text.len == 0)
        text = MW_STR("");
    text.len = text.len < bytes_max ? text.len : bytes_max;
    return look_end(&look, text);
}

bool mw_eval_test(const struct mw_world *world, struct mw_arena *arena,
                  const struct mw_trace *trace, const struct mw_place *place,
                  const struct mw_expr *expr)
{
    struct mw_roots roots;
    struct mw_str missing;
    struct look look;
    if (expr == NULL)
        return true;
    if (!look_begin(world, arena, &look))
        return false;
    bool holds = mw_roots_of(world, &look.part, trace, place, expr, &roots, &missing) &&
                 mw_expr_test(expr, roots.items, roots.count, &look.part, NULL);
    (void)look_end(&look, MW_STR_NONE);
    return holds;
}

/* Each value, or that it is not there; false: it cannot be had. */
static bool eval_values(const struct mw_world *world, struct mw_arena *arena,
                        const struct mw_trace *trace, const struct mw_place *place,
                        const struct mw_bindings *bindings, struct mw_value *values, bool *present,
                        struct mw_str *ret_why)
{
    struct mw_err *err = mw_arena_alloc_unset(arena, sizeof(*err));
    if (values == NULL || present == NULL || err == NULL)
        return false;
    err->text[0] = '\0';
    for (uint32_t i = 0; i < bindings->count; i++) {
        const struct mw_expr *expr = bindings->items[i].value;
        struct mw_roots roots;
        if (!mw_roots_of(world, arena, trace, place, expr, &roots, ret_why))
            return false;
        present[i] = mw_expr_eval(expr, roots.items, roots.count, arena, &values[i], err) == MW_OK;
        if (present[i])
            continue;
        struct mw_expr_why why = {0};
        (void)mw_expr_test(expr, roots.items, roots.count, arena, &why); /* only why it fails */
        if (why.cause == MW_EXPR_ABSENT)
            continue; /* what is not there is left out, not invented */
        *ret_why =
            mw_arena_format(arena, "payload.%.*s '%.*s': %s", MW_STR_ARG(bindings->items[i].name),
                            MW_STR_ARG(mw_expr_text(expr)), err->text);
        return false;
    }
    return true;
}

/* Keys of a map that an expression made are not all strings: 1 and "1" are two there and one in JSON. What was read is as it was. */
static bool can_be_read(struct mw_arena *arena, const struct mw_value *values, const bool *present,
                        uint32_t count, struct mw_str json_text, struct mw_str *ret_why)
{
    struct mw_tape tape;
    struct mw_err err = {0};
    bool made = false;
    for (uint32_t i = 0; i < count && !made; i++)
        made = present[i] && values[i].tape == NULL &&
               (values[i].type == MW_VALUE_LIST || values[i].type == MW_VALUE_MAP);
    if (!made || mw_json_parse(arena, json_text, &tape, &err) == MW_OK)
        return true;
    arena->exhausted = false; /* room for the words */
    *ret_why = mw_arena_format(arena, "a payload that nobody could read: %s", err.text);
    return false;
}

static bool eval_bindings(const struct mw_world *world, struct mw_arena *arena,
                          const struct mw_trace *trace, const struct mw_place *place,
                          const struct mw_bindings *bindings, size_t bytes_max,
                          struct mw_str *ret_json, struct mw_str *ret_why)
{
    struct mw_value *values = mw_arena_array(arena, struct mw_value, bindings->count + 1);
    bool *present = mw_arena_array(arena, bool, bindings->count + 1);
    if (!eval_values(world, arena, trace, place, bindings, values, present, ret_why))
        return false;
    struct mw_buf buf;
    struct mw_json json;
    mw_arena_text_begin(arena, &buf);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    for (uint32_t i = 0; i < bindings->count; i++) {
        if (!present[i])
            continue;
        mw_json_key(&json, bindings->items[i].name);
        mw_value_write(&values[i], &json);
    }
    mw_json_object_end(&json);
    *ret_json = mw_arena_text_keep(arena, &buf);
    if (ret_json->len == 0 || ret_json->len > bytes_max) {
        *ret_why = mw_arena_format(arena, "a payload of more than %zu bytes", bytes_max);
        return false;
    }
    if (mw_json_is_deeper(*ret_json, MW_JSON_MADE_DEPTH_MAX)) {
        *ret_why =
            mw_arena_format(arena, "a payload deeper than %d levels", MW_JSON_MADE_DEPTH_MAX);
        return false;
    }
    return can_be_read(arena, values, present, bindings->count, *ret_json, ret_why);
}

bool mw_eval_bindings(const struct mw_world *world, struct mw_arena *arena,
                      const struct mw_trace *trace, const struct mw_place *place,
                      const struct mw_bindings *bindings, size_t bytes_max, struct mw_str *ret_json,
                      struct mw_str *ret_why)
{
    struct mw_str made = MW_STR_NONE, why = MW_STR_NONE;
    struct look look;
    bool whole = look_begin(world, arena, &look) &&
                 eval_bindings(world, &look.part, trace, place, bindings, bytes_max, &made, &why);
    if (!whole && why.len == 0)
        why = MW_STR("no memory left for the payload");
    struct mw_str kept = look_end(&look, whole ? made : why);
    *(whole ? ret_json : ret_why) = kept;
    return whole;
}

bool mw_place_list(const struct mw_world *world, const struct mw_trace *trace,
                   const struct mw_place *place, struct mw_str root, struct mw_str pointer,
                   uint32_t *ret_document, uint32_t *ret_node, uint32_t *ret_count)
{
    uint32_t document = 0, node = 0;
    if (mw_str_is(root, "item")) {
        document = place->document;
        node = place->node;
    } else if (!mw_str_is(root, "intent")) {
        const struct mw_journey_def *journey = mw_world_documents(world, trace);
        while (journey != NULL && document < journey->document_count &&
               !mw_str_eq(journey->documents[document].name, root))
            document++;
        if (journey == NULL || document == journey->document_count)
            return false;
        document = mw_document_index(journey, journey->documents[document].type);
    }
    const struct mw_tape *tape = mw_world_document(world, trace, document);
    if (tape == NULL || node == MW_NODE_NONE)
        return false;
    uint32_t list = mw_node_pointer(tape, node, pointer);
    *ret_document = document;
    *ret_node = list;
    *ret_count = mw_node_type(tape, list) == MW_NODE_ARRAY ? mw_node_count(tape, list) : 0;
    return list == MW_NODE_NONE || mw_node_type(tape, list) == MW_NODE_ARRAY;
}
