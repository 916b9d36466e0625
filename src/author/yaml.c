/* yaml.c - libyaml's events onto a tape. */
#include "author/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define TAG_PREFIX "tag:yaml.org,2002:"

struct anchor {
    struct mw_str name; /* arena */
    uint32_t node;
};

struct builder {
    struct mw_arena *arena;
    struct mw_err *err;
    struct mw_node *nodes; /* owned */
    uint32_t count;
    uint32_t cap;
    struct anchor *anchors; /* owned */
    uint32_t anchor_count;
    uint32_t anchor_cap;
    uint32_t depth;
    uint32_t open[MW_JSON_DEPTH_MAX];
    bool key_next[MW_JSON_DEPTH_MAX]; /* in a mapping: a key comes next */
};

static enum mw_rc build(struct builder *builder, yaml_parser_t *parser);
static enum mw_rc finish(struct builder *builder, struct mw_tape *ret_tape);

enum mw_rc mw_yaml_parse(struct mw_arena *arena, struct mw_str text, struct mw_tape *ret_tape,
                         struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(ret_tape != NULL);
    struct builder builder = {.arena = arena, .err = err};
    size_t used_bytes = arena->used_bytes;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return MW_FAIL(err, MW_E_LIMIT, "no memory left to read YAML");
    if (mw_str_starts(text, MW_STR("\xef\xbb\xbf"))) /* some editors begin UTF-8 with its mark */
        text = mw_str_sub(text, 3, text.len - 3);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    enum mw_rc rc = build(&builder, &parser);
    if (rc == MW_OK)
        rc = finish(&builder, ret_tape);
    if (rc != MW_OK)
        arena->used_bytes = used_bytes;
    yaml_parser_delete(&parser);
    free(builder.nodes);
    free(builder.anchors);
    return rc;
}

static enum mw_rc finish(struct builder *builder, struct mw_tape *ret_tape)
{
    struct mw_node *nodes = mw_arena_array(builder->arena, struct mw_node, builder->count);
    if (nodes == NULL || builder->arena->exhausted)
        return MW_FAIL(builder->err, MW_E_LIMIT, "no memory left to read YAML into");
    memcpy(nodes, builder->nodes, builder->count * sizeof *nodes);
    ret_tape->nodes = nodes;
    ret_tape->count = builder->count;
    return MW_OK;
}

static enum mw_rc fail_at(struct builder *builder, enum mw_rc rc, yaml_mark_t mark,
                          const char *what)
{
    return MW_FAIL(builder->err, rc, "line %lu, column %lu: %s", (unsigned long)mark.line + 1,
                   (unsigned long)mark.column + 1, what);
}

/* libyaml's own words, with the place it gives; a reader's error has only an offset in the text. */
static enum mw_rc fail_parser(struct builder *builder, const yaml_parser_t *parser)
{
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_MEMORY_ERROR)
        return MW_FAIL(builder->err, MW_E_LIMIT, "no memory left to read YAML");
    if (parser->error == YAML_READER_ERROR)
        return fail_at(builder, MW_E_INPUT, parser->mark, problem);
    if (parser->context == NULL)
        return fail_at(builder, MW_E_INPUT, mark, problem);
    return MW_FAIL(builder->err, MW_E_INPUT, "line %lu, column %lu: %s, %s",
                   (unsigned long)mark.line + 1, (unsigned long)mark.column + 1, problem,
                   parser->context);
}

static enum mw_rc grow_nodes(struct builder *builder, yaml_mark_t mark)
{
    if (builder->count == MW_YAML_NODES_MAX)
        return fail_at(builder, MW_E_LIMIT, mark,
                       "more than 262144 nodes, copies of aliases included (MW_YAML_NODES_MAX)");
    if (builder->arena->exhausted)
        return fail_at(builder, MW_E_LIMIT, mark, "no memory left to read YAML into");
    if (builder->count < builder->cap)
        return MW_OK;
    uint32_t cap = builder->cap == 0 ? 256 : builder->cap * 2;
    struct mw_node *nodes = realloc(builder->nodes, cap * sizeof *nodes);
    if (nodes == NULL)
        return fail_at(builder, MW_E_LIMIT, mark, "no memory left to read YAML");
    builder->nodes = nodes;
    builder->cap = cap;
    return MW_OK;
}

static enum mw_rc add_node(struct builder *builder, yaml_mark_t mark, struct mw_node node)
{
    enum mw_rc rc = grow_nodes(builder, mark);
    if (rc != MW_OK)
        return rc;
    node.line = (uint32_t)mark.line + 1;
    node.column = (uint32_t)mark.column + 1;
    node.next = builder->count + 1;
    builder->nodes[builder->count++] = node;
    return MW_OK;
}

static enum mw_rc add_anchor(struct builder *builder, const yaml_char_t *name, yaml_mark_t mark)
{
    if (name == NULL)
        return MW_OK;
    if (builder->anchor_count == MW_YAML_ANCHORS_MAX)
        return fail_at(builder, MW_E_LIMIT, mark, "more than 1024 anchors (MW_YAML_ANCHORS_MAX)");
    if (builder->anchor_count == builder->anchor_cap) {
        uint32_t cap = builder->anchor_cap == 0 ? 16 : builder->anchor_cap * 2;
        struct anchor *anchors = realloc(builder->anchors, cap * sizeof *anchors);
        if (anchors == NULL)
            return fail_at(builder, MW_E_LIMIT, mark, "no memory left to read YAML");
        builder->anchors = anchors;
        builder->anchor_cap = cap;
    }
    struct mw_str copy = mw_arena_copy(builder->arena, mw_str_of((const char *)name));
    builder->anchors[builder->anchor_count++] = (struct anchor){copy, builder->count};
    return MW_OK;
}

static bool in_mapping(const struct builder *builder)
{
    return builder->depth > 0 &&
           builder->nodes[builder->open[builder->depth - 1]].type == MW_NODE_OBJECT;
}

static bool at_key(const struct builder *builder)
{
    return in_mapping(builder) && builder->key_next[builder->depth - 1];
}

/* Counts a whole value (or key) that has just been added to the innermost container. */
static void note_added(struct builder *builder)
{
    if (builder->depth == 0)
        return;
    struct mw_node *around = &builder->nodes[builder->open[builder->depth - 1]];
    bool *key_next = &builder->key_next[builder->depth - 1];
    if (around->type == MW_NODE_ARRAY || !*key_next)
        around->count++;
    *key_next = around->type == MW_NODE_OBJECT && !*key_next;
}

static bool is_one_of(struct mw_str text, const char *a, const char *b, const char *c)
{
    return mw_str_is(text, a) || mw_str_is(text, b) || mw_str_is(text, c);
}

static size_t count_digits(struct mw_str text, size_t at)
{
    size_t from = at;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at - from;
}

/* 0o17 and 0x1F. False when text is not one of these or does not fit; then *ret_fits tells which. */
static bool read_based(struct mw_str text, int64_t *ret_value, bool *ret_fits)
{
    int base = 0;
    uint64_t value = 0;
    *ret_fits = true;
    if (text.len > 2 && text.ptr[0] == '0')
        base = text.ptr[1] == 'o' ? 8 : text.ptr[1] == 'x' ? 16 : 0;
    if (base == 0)
        return false;
    for (size_t i = 2; i < text.len; i++) {
        char c = text.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : 99;
        if (digit >= base)
            return false;
        if (value > (uint64_t)INT64_MAX / (uint64_t)base)
            *ret_fits = false;
        value = value * (uint64_t)base + (uint64_t)digit;
        if (value > INT64_MAX)
            *ret_fits = false;
    }
    *ret_value = (int64_t)value;
    return *ret_fits;
}

/* The parts of a decimal number; false when text is not one. */
struct decimal_parts {
    bool negative;
    bool is_float;
    struct mw_str whole;
    struct mw_str fraction;
    struct mw_str exponent; /* with its sign */
};

static bool split_decimal(struct mw_str text, struct decimal_parts *ret_parts)
{
    struct decimal_parts parts = {.negative = text.len > 0 && text.ptr[0] == '-'};
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? 1 : 0;
    size_t count = count_digits(text, at);
    parts.whole = mw_str_sub(text, at, count);
    at += count;
    if (at < text.len && text.ptr[at] == '.') {
        parts.is_float = true;
        at++;
        count = count_digits(text, at);
        parts.fraction = mw_str_sub(text, at, count);
        at += count;
    }
    if (parts.whole.len + parts.fraction.len == 0)
        return false;
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        parts.is_float = true;
        size_t from = ++at;
        if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
            at++;
        count = count_digits(text, at);
        if (count == 0)
            return false;
        at += count;
        parts.exponent = mw_str_sub(text, from, at - from);
    }
    *ret_parts = parts;
    return at == text.len;
}

/* A number in JSON's spelling: no '+', no leading zeros, digits on both sides of the point. */
static void set_decimal(struct builder *builder, struct decimal_parts parts, struct mw_node *node)
{
    while (parts.whole.len > 1 && parts.whole.ptr[0] == '0')
        parts.whole = mw_str_sub(parts.whole, 1, parts.whole.len - 1);
    if (parts.whole.len == 0)
        parts.whole = MW_STR("0");
    if (parts.is_float && parts.fraction.len == 0 && parts.exponent.len == 0)
        parts.fraction = MW_STR("0");
    node->text = mw_arena_format(builder->arena, "%s%.*s%s%.*s%s%.*s", parts.negative ? "-" : "",
                                 MW_STR_ARG(parts.whole), parts.fraction.len > 0 ? "." : "",
                                 MW_STR_ARG(parts.fraction), parts.exponent.len > 0 ? "e" : "",
                                 MW_STR_ARG(parts.exponent));
    node->type = MW_NODE_NUMBER;
    if (!parts.is_float && mw_str_to_i64(node->text, &node->integer))
        node->type = MW_NODE_INTEGER;
}

static enum mw_rc resolve_number(struct builder *builder, yaml_mark_t mark, struct mw_str text,
                                 struct mw_node *node)
{
    struct decimal_parts parts;
    struct mw_str unsigned_text = text;
    bool fits = true;
    if (split_decimal(text, &parts)) {
        set_decimal(builder, parts, node);
        return MW_OK;
    }
    if (read_based(text, &node->integer, &fits)) {
        node->type = MW_NODE_INTEGER;
        node->text = mw_arena_format(builder->arena, "%ld", (long)node->integer);
        return MW_OK;
    }
    if (!fits)
        return fail_at(builder, MW_E_INPUT, mark, "an integer that does not fit 64 bits");
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        unsigned_text = mw_str_sub(text, 1, text.len - 1);
    if (is_one_of(unsigned_text, ".inf", ".Inf", ".INF") || is_one_of(text, ".nan", ".NaN", ".NAN"))
        return fail_at(builder, MW_E_INPUT, mark,
                       "a number that JSON does not have; quote it if it is a string");
    return MW_OK;
}

/* What a plain scalar means in the core schema. node->type comes in as STRING. */
static enum mw_rc resolve_plain(struct builder *builder, yaml_mark_t mark, struct mw_str text,
                                struct mw_node *node)
{
    if (text.len == 0 || mw_str_is(text, "~") || is_one_of(text, "null", "Null", "NULL"))
        node->type = MW_NODE_NULL;
    else if (is_one_of(text, "true", "True", "TRUE"))
        node->type = MW_NODE_TRUE;
    else if (is_one_of(text, "false", "False", "FALSE"))
        node->type = MW_NODE_FALSE;
    else
        return resolve_number(builder, mark, text, node);
    return MW_OK;
}

static bool tag_is(const char *tag, const char *name)
{
    return tag != NULL && strncmp(tag, TAG_PREFIX, strlen(TAG_PREFIX)) == 0 &&
           strcmp(tag + strlen(TAG_PREFIX), name) == 0;
}

/* Does a scalar of this type answer to its tag? */
static bool tag_allows(const char *tag, enum mw_node_type type)
{
    switch (type) {
    case MW_NODE_NULL:
        return tag_is(tag, "null");
    case MW_NODE_TRUE:
    case MW_NODE_FALSE:
        return tag_is(tag, "bool");
    case MW_NODE_INTEGER:
        return tag_is(tag, "int") || tag_is(tag, "float");
    case MW_NODE_NUMBER:
        return tag_is(tag, "float");
    default:
        return tag_is(tag, "str");
    }
}

static enum mw_rc resolve(struct builder *builder, const yaml_event_t *event, struct mw_node *node)
{
    const char *tag = (const char *)event->data.scalar.tag;
    struct mw_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool is_string = (tag == NULL && !plain) || tag_is(tag, "str") || (tag && !strcmp(tag, "!"));
    *node = (struct mw_node){.type = MW_NODE_STRING};
    if (!is_string) {
        enum mw_rc rc = resolve_plain(builder, event->start_mark, text, node);
        if (rc != MW_OK)
            return rc;
        if (tag != NULL && !tag_allows(tag, (enum mw_node_type)node->type))
            return fail_at(builder, MW_E_INPUT, event->start_mark,
                           "a tag that is not of the YAML core schema or does not fit its value");
    }
    if (node->type == MW_NODE_STRING && memchr(text.ptr, '\0', text.len) != NULL)
        return fail_at(builder, MW_E_INPUT, event->start_mark,
                       "a string may not hold the character NUL");
    if (node->type != MW_NODE_INTEGER && node->type != MW_NODE_NUMBER)
        node->text = mw_arena_copy(builder->arena, text);
    return MW_OK;
}

static enum mw_rc on_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct mw_node node;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    enum mw_rc rc = resolve(builder, event, &node);
    if (rc != MW_OK)
        return rc;
    if (at_key(builder)) {
        if (node.type != MW_NODE_STRING)
            return fail_at(builder, MW_E_INPUT, event->start_mark,
                           "a key that is not a string; put it in quotes");
        if (plain && event->data.scalar.tag == NULL && mw_str_is(node.text, "<<"))
            return fail_at(builder, MW_E_INPUT, event->start_mark,
                           "a merge key (<<), which YAML 1.2 does not have");
    }
    rc = add_anchor(builder, event->data.scalar.anchor, event->start_mark);
    if (rc != MW_OK)
        return rc;
    rc = add_node(builder, event->start_mark, node);
    if (rc != MW_OK)
        return rc;
    note_added(builder);
    return MW_OK;
}

static enum mw_rc on_open(struct builder *builder, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const char *tag =
        (const char *)(mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (at_key(builder))
        return fail_at(builder, MW_E_INPUT, event->start_mark,
                       "a key that is a mapping or a sequence; keys are strings");
    if (tag != NULL && !tag_is(tag, mapping ? "map" : "seq"))
        return fail_at(builder, MW_E_INPUT, event->start_mark,
                       "a tag that is not of the YAML core schema or does not fit its value");
    if (builder->depth == MW_JSON_DEPTH_MAX)
        return fail_at(builder, MW_E_LIMIT, event->start_mark,
                       "deeper than 64 levels (MW_JSON_DEPTH_MAX)");
    enum mw_rc rc = add_anchor(
        builder, mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
        event->start_mark);
    if (rc != MW_OK)
        return rc;
    struct mw_node node = {.type = mapping ? MW_NODE_OBJECT : MW_NODE_ARRAY};
    rc = add_node(builder, event->start_mark, node);
    if (rc != MW_OK)
        return rc;
    builder->nodes[builder->count - 1].next = 0; /* still open: an alias to it is refused */
    builder->key_next[builder->depth] = mapping;
    builder->open[builder->depth++] = builder->count - 1;
    return MW_OK;
}

static int compare_keys(const void *a, const void *b, void *nodes)
{
    uint32_t i = *(const uint32_t *)a;
    uint32_t j = *(const uint32_t *)b;
    int order = mw_str_cmp(((const struct mw_node *)nodes)[i].text,
                           ((const struct mw_node *)nodes)[j].text);
    return order != 0 ? order : (i > j) - (i < j);
}

static enum mw_rc check_keys(struct builder *builder, uint32_t object)
{
    struct mw_node *nodes = builder->nodes;
    size_t count = 0;
    uint32_t *keys = malloc((nodes[object].count + 1) * sizeof *keys);
    if (keys == NULL)
        return MW_FAIL(builder->err, MW_E_LIMIT, "no memory left to read YAML");
    for (uint32_t i = object + 1; i < builder->count; i = nodes[i + 1].next)
        keys[count++] = i;
    MW_ASSERT(count == nodes[object].count);
    qsort_r(keys, count, sizeof *keys, compare_keys, nodes);
    enum mw_rc rc = MW_OK;
    for (size_t i = 1; i < count && rc == MW_OK; i++) {
        const struct mw_node *first = &nodes[keys[i - 1]];
        const struct mw_node *again = &nodes[keys[i]];
        struct mw_str shown = mw_str_sub(again->text, 0, 80);
        if (mw_str_eq(first->text, again->text))
            rc = MW_FAIL(builder->err, MW_E_INPUT,
                         "line %u, column %u: key '%.*s' is there twice; the first is at line %u, "
                         "column %u",
                         again->line, again->column, MW_STR_ARG(shown), first->line, first->column);
    }
    free(keys);
    return rc;
}

static enum mw_rc on_close(struct builder *builder)
{
    MW_ASSERT(builder->depth > 0);
    uint32_t node = builder->open[--builder->depth];
    builder->nodes[node].next = builder->count;
    if (builder->nodes[node].type == MW_NODE_OBJECT) {
        enum mw_rc rc = check_keys(builder, node);
        if (rc != MW_OK)
            return rc;
    }
    note_added(builder);
    return MW_OK;
}

/* Levels of containers in the subtree; a scalar has none. */
static uint32_t depth_of(const struct mw_node *nodes, uint32_t node)
{
    uint32_t ends[MW_JSON_DEPTH_MAX];
    uint32_t depth = 0;
    uint32_t deepest = 0;
    for (uint32_t i = node; i < nodes[node].next; i++) {
        while (depth > 0 && ends[depth - 1] <= i)
            depth--;
        if (nodes[i].type != MW_NODE_ARRAY && nodes[i].type != MW_NODE_OBJECT)
            continue;
        MW_ASSERT(depth < MW_JSON_DEPTH_MAX);
        ends[depth++] = nodes[i].next;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest;
}

static enum mw_rc copy_subtree(struct builder *builder, uint32_t from, yaml_mark_t mark)
{
    uint32_t end = builder->nodes[from].next;
    uint32_t shift = builder->count - from;
    for (uint32_t i = from; i < end; i++) {
        enum mw_rc rc = grow_nodes(builder, mark);
        if (rc != MW_OK)
            return rc;
        struct mw_node node = builder->nodes[i];
        node.next += shift;
        builder->nodes[builder->count++] = node;
    }
    return MW_OK;
}

static enum mw_rc on_alias(struct builder *builder, const yaml_event_t *event)
{
    struct mw_str name = mw_str_of((const char *)event->data.alias.anchor);
    uint32_t found = MW_NODE_NONE;
    for (uint32_t i = builder->anchor_count; i > 0 && found == MW_NODE_NONE; i--)
        if (mw_str_eq(builder->anchors[i - 1].name, name))
            found = builder->anchors[i - 1].node;
    if (found == MW_NODE_NONE)
        return fail_at(builder, MW_E_INPUT, event->start_mark, "an alias without an anchor before");
    if (builder->nodes[found].next == 0)
        return fail_at(builder, MW_E_INPUT, event->start_mark, "an alias inside what it names");
    if (at_key(builder) && builder->nodes[found].type != MW_NODE_STRING)
        return fail_at(builder, MW_E_INPUT, event->start_mark, "a key that is not a string");
    if (builder->depth + depth_of(builder->nodes, found) > MW_JSON_DEPTH_MAX)
        return fail_at(builder, MW_E_LIMIT, event->start_mark,
                       "deeper than 64 levels (MW_JSON_DEPTH_MAX)");
    enum mw_rc rc = copy_subtree(builder, found, event->start_mark);
    if (rc != MW_OK)
        return rc;
    note_added(builder);
    return MW_OK;
}

static enum mw_rc on_event(struct builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->count > 0)
            return fail_at(builder, MW_E_INPUT, event->start_mark,
                           "a second document; one file holds one");
        return MW_OK;
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_open(builder, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(builder);
    case YAML_ALIAS_EVENT:
        return on_alias(builder, event);
    default:
        return MW_OK;
    }
}

static enum mw_rc build(struct builder *builder, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return fail_parser(builder, parser);
        bool last = event.type == YAML_STREAM_END_EVENT;
        enum mw_rc rc = on_event(builder, &event);
        if (last && builder->count == 0)
            rc =
                fail_at(builder, MW_E_INPUT, event.start_mark, "expected a value, nothing is here");
        yaml_event_delete(&event);
        if (rc != MW_OK || last)
            return rc;
    }
}
