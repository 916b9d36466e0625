/* load_expr.c - expressions in definitions: compiled, and read only what can be there. */
#include "defs/load.h"

#include "msg/msg.h"

#include <string.h>

#define INTENT_FIELDS "prompt name blueprint priority previous"
#define SCOPE_FIELDS                                                                               \
    "traceId sessionId blueprintId buildId appId repository coordinator coordinatorVersion "       \
    "version"
/* docs/blueprint.md */
#define BLUEPRINT_FIELDS                                                                           \
    "blueprintId modules capabilities storage auth blueprint metadata understood assumed "         \
    "notUnderstood"

/* Where an expression begins in its file, and whether columns inside it can be added to it. */
struct place {
    uint32_t line;
    uint32_t column;
    bool one_line;
};

static const struct mw_document_def *document_of(const struct loader *l, struct mw_str name)
{
    for (uint32_t i = 0; i < l->documents.count; i++) {
        const struct mw_document_def *document = l->documents.items[i];
        if (mw_str_eq(document->name, name))
            return document;
    }
    return NULL;
}

bool load_is_document(const struct loader *l, struct mw_str name)
{
    return document_of(l, name) != NULL;
}

static uint32_t column_of(const struct place *place, uint32_t column)
{
    return place->one_line && column > 0 ? place->column + column - 1 : place->column;
}

static bool is_one_of(struct mw_str word, const char *words)
{
    size_t len = strlen(words);
    for (size_t from = 0; from < len;) {
        size_t end = mw_str_find((struct mw_str){words, len}, ' ', from);
        end = end < len ? end : len;
        if (mw_str_eq(word, (struct mw_str){words + from, end - from}))
            return true;
        from = end + 1;
    }
    return false;
}

static bool check_field(struct loader *l, const struct mw_expr_use *use, const char *fields,
                        const struct place *place)
{
    if (use->field.len == 0 || is_one_of(use->field, fields))
        return true;
    struct mw_str near = load_near(use->field, fields);
    if (near.len > 0)
        return load_refuse_at(l, place->line, column_of(place, use->column),
                              "'%.*s' has no field '%.*s'; did you mean '%.*s'?",
                              MW_STR_ARG(use->root), MW_STR_ARG(use->field), MW_STR_ARG(near));
    return load_refuse_at(l, place->line, column_of(place, use->column),
                          "'%.*s' has no field '%.*s'; it has: %s", MW_STR_ARG(use->root),
                          MW_STR_ARG(use->field), fields);
}

static bool check_fact(struct loader *l, const struct mw_expr_use *use, const struct place *place)
{
    if (use->field.len == 0)
        return true;
    if (!mw_type_is_well_formed(use->field))
        return load_refuse_at(l, place->line, column_of(place, use->column),
                              "'facts.%.*s': facts are named by event types, such as "
                              "facts.HandlerReady",
                              MW_STR_ARG(use->field));
    return load_wait_add(l, use->field, place->line, column_of(place, use->column));
}

/* Names of everything that may be read here, for the message. */
static struct mw_str roots_here(struct loader *l, unsigned roots)
{
    struct mw_str text =
        mw_arena_format(l->arena, "intent scope%s%s%s%s%s", roots & LOAD_ITEM ? " item" : "",
                        roots & LOAD_OUTER ? " outer" : "", roots & LOAD_EVENT ? " event" : "",
                        roots & LOAD_FACTS ? " facts" : "",
                        load_is_document(l, MW_STR("blueprint")) ? " metadata" : "");
    for (uint32_t i = 0; i < l->documents.count; i++) {
        const struct mw_document_def *document = l->documents.items[i];
        text = mw_arena_format(l->arena, "%.*s %.*s", MW_STR_ARG(text), MW_STR_ARG(document->name));
    }
    return text;
}

static bool refuse_root(struct loader *l, const struct mw_expr_use *use, unsigned roots,
                        const struct place *place)
{
    struct mw_str known = roots_here(l, roots);
    if (known.ptr == NULL)
        return load_memory(l);
    struct mw_str near = load_near(use->root, known.ptr);
    if (near.len > 0)
        return load_refuse_at(l, place->line, column_of(place, use->column),
                              "there is no '%.*s' here; did you mean '%.*s'?",
                              MW_STR_ARG(use->root), MW_STR_ARG(near));
    return load_refuse_at(l, place->line, column_of(place, use->column),
                          "there is no '%.*s' here; there is: %.*s", MW_STR_ARG(use->root),
                          MW_STR_ARG(known));
}

static bool check_use(struct loader *l, const struct mw_expr_use *use, unsigned roots,
                      const struct place *place)
{
    if (mw_str_is(use->root, "intent"))
        return check_field(l, use, INTENT_FIELDS, place);
    if (mw_str_is(use->root, "scope"))
        return check_field(l, use, SCOPE_FIELDS, place);
    if (mw_str_is(use->root, "facts") && (roots & LOAD_FACTS) != 0)
        return check_fact(l, use, place);
    if ((mw_str_is(use->root, "item") && (roots & LOAD_ITEM) != 0) ||
        (mw_str_is(use->root, "outer") && (roots & LOAD_OUTER) != 0) ||
        (mw_str_is(use->root, "event") && (roots & LOAD_EVENT) != 0) ||
        (mw_str_is(use->root, "metadata") && load_is_document(l, MW_STR("blueprint"))))
        return true;
    const struct mw_document_def *document = document_of(l, use->root);
    if (document == NULL)
        return refuse_root(l, use, roots, place);
    if (mw_str_is(document->type, "StrategicBlueprintGenerated"))
        return check_field(l, use, BLUEPRINT_FIELDS, place);
    return true;
}

/* "column C: what" of the compiler, at its place in the file. */
static bool refuse_expr(struct loader *l, const struct mw_err *inner, const struct place *place)
{
    struct mw_str text = mw_str_of(inner->text);
    uint64_t column = 0;
    size_t colon = mw_str_find(text, ':', 0);
    if (!place->one_line || !mw_str_starts(text, MW_STR("column ")) || colon >= text.len ||
        !mw_str_to_u64(mw_str_sub(text, 7, colon - 7), &column))
        return load_refuse_at(l, place->line, place->column, "expression: %s", inner->text);
    return load_refuse_at(l, place->line, column_of(place, (uint32_t)column), "expression:%s",
                          inner->text + colon + 1);
}

bool load_expr_text(struct loader *l, struct mw_str text, uint32_t line, uint32_t column,
                    unsigned roots, const struct mw_expr **ret_expr)
{
    struct place place = {line, column, mw_str_find(text, '\n', 0) >= text.len};
    const struct mw_expr *expr = NULL;
    struct mw_err inner = {.rc = MW_OK};
    if (mw_str_trim(text).len == 0)
        return load_refuse_at(l, line, column, "an expression is empty");
    enum mw_rc rc = mw_expr_compile(l->arena, text, &expr, &inner);
    if (rc != MW_OK)
        return refuse_expr(l, &inner, &place);
    struct mw_expr_use use;
    for (uint32_t i = 0; mw_expr_roots(expr, i, &use); i++)
        if (!check_use(l, &use, roots, &place))
            return false;
    *ret_expr = expr;
    return true;
}

bool load_expr(struct loader *l, uint32_t node, unsigned roots, const struct mw_expr **ret_expr)
{
    struct mw_str text = MW_STR_NONE;
    switch (mw_node_type(l->tape, node)) {
    case MW_NODE_STRING:
        text = mw_node_str(l->tape, node);
        break;
    case MW_NODE_TRUE:
        text = MW_STR("true");
        break;
    case MW_NODE_FALSE:
        text = MW_STR("false");
        break;
    case MW_NODE_NULL:
        text = MW_STR("null");
        break;
    case MW_NODE_INTEGER:
        text = mw_arena_format(l->arena, "%ld", (long)mw_node_int(l->tape, node, 0));
        break;
    case MW_NODE_NUMBER:
        text = l->tape->nodes[node].text;
        break;
    case MW_NODE_ARRAY:
    case MW_NODE_OBJECT:
        return load_refuse(l, node,
                           "an expression is text; write a list or a map inside it, such "
                           "as '[1, 2]' or '{\"a\": item.b}'");
    }
    return load_expr_text(l, text, l->tape->nodes[node].line, l->tape->nodes[node].column, roots,
                          ret_expr);
}

bool load_expr_at(struct loader *l, uint32_t object, const char *key, unsigned roots,
                  const struct mw_expr **ret_expr)
{
    uint32_t node = load_key(l, object, key);
    *ret_expr = NULL;
    return node == MW_NODE_NONE || load_expr(l, node, roots, ret_expr);
}

bool load_bindings(struct loader *l, uint32_t node, unsigned roots,
                   struct mw_bindings *ret_bindings)
{
    *ret_bindings = (struct mw_bindings){NULL, 0};
    if (node == MW_NODE_NONE)
        return true;
    if (mw_node_type(l->tape, node) != MW_NODE_OBJECT)
        return load_refuse(l, node, "a payload is a mapping of names to expressions");
    uint32_t count = mw_node_count(l->tape, node);
    if (count > MW_BINDINGS_MAX)
        return load_refuse(l, node, "more than %d names", MW_BINDINGS_MAX);
    struct mw_binding *items = load_array(l, struct mw_binding, count);
    if (items == NULL)
        return false;
    uint32_t made = 0;
    for (uint32_t i = mw_node_first(l->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, node, i), made++)
        if (!load_word(l, i, "a name of a payload", &items[made].name) ||
            !load_expr(l, i + 1, roots, &items[made].value))
            return false;
    *ret_bindings = (struct mw_bindings){items, count};
    return true;
}

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

struct mw_str load_path_at(struct mw_str text, const struct mw_expr_use *use)
{
    size_t from = use->column > 0 ? use->column - 1 : 0;
    if (!mw_str_starts(mw_str_sub(text, from, text.len), use->root))
        return use->root; /* another spelling, such as ${name} */
    size_t to = from + use->root.len;
    while (to + 1 < text.len && text.ptr[to] == '.' && is_name_byte(text.ptr[to + 1], true)) {
        size_t end = to + 1;
        while (end < text.len && is_name_byte(text.ptr[end], false))
            end++;
        if (end < text.len && text.ptr[end] == '(')
            break; /* a call, such as .contains() */
        to = end;
    }
    return mw_str_sub(text, from, to - from);
}

bool load_field_of(struct loader *l, const struct mw_expr *when, uint32_t line, uint32_t column,
                   unsigned roots, const struct mw_expr **ret_field)
{
    struct mw_expr_use use;
    *ret_field = NULL;
    if (!mw_expr_roots(when, 0, &use))
        return true; /* a constant */
    return load_expr_text(l, load_path_at(mw_expr_text(when), &use), line, column, roots,
                          ret_field);
}

bool load_documents_usual(struct loader *l)
{
    const struct mw_document_def usual[] = {
        {MW_STR("blueprint"), MW_STR("StrategicBlueprintGenerated")},
        {MW_STR("design"), MW_STR("PortsAndUseCasesReady")}};
    for (size_t i = 0; i < MW_COUNT(usual); i++) {
        struct mw_document_def *document = load_array(l, struct mw_document_def, 1);
        if (document == NULL)
            return false;
        *document = usual[i];
        if (!load_add(l, &l->documents, document))
            return false;
    }
    return true;
}

bool load_rule(struct loader *l, uint32_t object, unsigned roots, struct mw_str otherwise,
               const struct mw_expr **ret_when, struct mw_str *ret_rule,
               const struct mw_expr **ret_field)
{
    uint32_t when = load_key(l, object, "when");
    uint32_t rule = load_key(l, object, "rule");
    uint32_t field = load_key(l, object, "field");
    *ret_when = NULL;
    *ret_rule = MW_STR_NONE;
    *ret_field = NULL;
    if (when == MW_NODE_NONE) {
        if (rule != MW_NODE_NONE || field != MW_NODE_NONE)
            return load_refuse(l, rule != MW_NODE_NONE ? rule : field,
                               "'rule' and 'field' belong to a 'when:', and there is none");
        return true;
    }
    *ret_rule = otherwise;
    if (!load_expr(l, when, roots, ret_when) ||
        (rule != MW_NODE_NONE && !load_word(l, rule, "rule", ret_rule)))
        return false;
    if (field != MW_NODE_NONE)
        return load_expr(l, field, roots, ret_field);
    return load_field_of(l, *ret_when, l->tape->nodes[when].line, l->tape->nodes[when].column,
                         roots, ret_field);
}
