/* expr_value.c - values: nodes of a tape and computed lists and maps look the same from here on. */
#include "rules/expr_internal.h"

#include <string.h>

struct mw_value expr_bool(bool value)
{
    return (struct mw_value){.type = MW_VALUE_BOOL, .boolean = value};
}

struct mw_value expr_integer(int64_t value)
{
    return (struct mw_value){.type = MW_VALUE_INTEGER, .integer = value};
}

struct mw_value expr_text(enum mw_value_type type, struct mw_str text)
{
    return (struct mw_value){.type = type, .text = text};
}

struct mw_value expr_items(enum mw_value_type type, const struct mw_value *items, uint32_t count)
{
    return (struct mw_value){.type = type, .items = items, .count = count};
}

const char *mw_value_type_name(enum mw_value_type type)
{
    static const char *const names[] = {"null",   "bool", "integer", "number",
                                        "string", "list", "map"};
    MW_ASSERT((size_t)type < MW_COUNT(names));
    return names[type];
}

struct mw_value mw_value_of_node(const struct mw_tape *tape, uint32_t node)
{
    struct mw_value value = {.type = MW_VALUE_NULL};
    switch (mw_node_type(tape, node)) {
    case MW_NODE_NULL:
        return value;
    case MW_NODE_FALSE:
        return expr_bool(false);
    case MW_NODE_TRUE:
        return expr_bool(true);
    case MW_NODE_INTEGER:
        return expr_integer(tape->nodes[node].integer);
    case MW_NODE_NUMBER:
        return expr_text(MW_VALUE_NUMBER, tape->nodes[node].text);
    case MW_NODE_STRING:
        return expr_text(MW_VALUE_STRING, tape->nodes[node].text);
    case MW_NODE_ARRAY:
    case MW_NODE_OBJECT:
        value.type = tape->nodes[node].type == MW_NODE_ARRAY ? MW_VALUE_LIST : MW_VALUE_MAP;
        value.tape = tape;
        value.node = node;
        value.count = tape->nodes[node].count;
        return value;
    }
    MW_UNREACHABLE("every node type was handled");
}

struct expr_cursor expr_cursor_of(const struct mw_value *container)
{
    MW_ASSERT(container->type == MW_VALUE_LIST || container->type == MW_VALUE_MAP);
    return (struct expr_cursor){container, 0, container->node + 1};
}

bool expr_cursor_next(struct expr_cursor *cursor, struct mw_value *ret_key,
                      struct mw_value *ret_value)
{
    const struct mw_value *container = cursor->container;
    uint32_t index = cursor->index;
    if (index >= container->count)
        return false;
    cursor->index++;
    *ret_key = expr_integer(index);
    if (container->tape == NULL && container->type == MW_VALUE_LIST) {
        *ret_value = container->items[index];
    } else if (container->tape == NULL) {
        *ret_key = container->items[2 * (size_t)index];
        *ret_value = container->items[2 * (size_t)index + 1];
    } else {
        if (container->type == MW_VALUE_MAP)
            *ret_key = mw_value_of_node(container->tape, cursor->node++);
        *ret_value = mw_value_of_node(container->tape, cursor->node);
        cursor->node = container->tape->nodes[cursor->node].next;
    }
    return true;
}

bool expr_is_number(const struct mw_value *value)
{
    return value->type == MW_VALUE_INTEGER || value->type == MW_VALUE_NUMBER;
}

/* The text of a number; integers are written into buffer (at least 24 bytes). */
static struct mw_str number_text(const struct mw_value *value, char *buffer)
{
    struct mw_buf buf;
    if (value->type == MW_VALUE_NUMBER)
        return value->text;
    mw_buf_init(&buf, buffer, 24);
    mw_buf_put_i64(&buf, value->integer);
    return mw_buf_str(&buf);
}

int expr_compare_numbers(const struct mw_value *a, const struct mw_value *b)
{
    char a_buffer[24];
    char b_buffer[24];
    if (a->type == MW_VALUE_INTEGER && b->type == MW_VALUE_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    return mw_number_cmp(number_text(a, a_buffer), number_text(b, b_buffer));
}

bool expr_lookup(const struct mw_value *map, const struct mw_value *key, struct mw_value *ret_value)
{
    if (map->tape != NULL) {
        uint32_t node = key->type == MW_VALUE_STRING
                            ? mw_node_get_str(map->tape, map->node, key->text)
                            : MW_NODE_NONE;
        if (node != MW_NODE_NONE)
            *ret_value = mw_value_of_node(map->tape, node);
        return node != MW_NODE_NONE;
    }
    for (size_t i = 0; i < map->count; i++) {
        /* Keys are scalars, so this comparison cannot be long. */
        if (mw_value_equal(&map->items[2 * i], key)) {
            *ret_value = map->items[2 * i + 1];
            return true;
        }
    }
    return false;
}

static bool take(uint32_t *budget, size_t steps)
{
    if (steps > *budget) {
        *budget = 0;
        return false;
    }
    *budget -= (uint32_t)steps;
    return true;
}

static bool equal_lists(const struct mw_value *a, const struct mw_value *b, uint32_t *budget,
                        bool *ret_equal)
{
    struct expr_cursor at_a = expr_cursor_of(a);
    struct expr_cursor at_b = expr_cursor_of(b);
    struct mw_value key, x, y;
    bool equal = true;
    while (equal && expr_cursor_next(&at_a, &key, &x) && expr_cursor_next(&at_b, &key, &y))
        if (!expr_equal(&x, &y, budget, &equal))
            return false;
    *ret_equal = equal;
    return true;
}

static bool equal_maps(const struct mw_value *a, const struct mw_value *b, uint32_t *budget,
                       bool *ret_equal)
{
    struct expr_cursor at = expr_cursor_of(a);
    struct mw_value key, x, y;
    bool equal = true;
    while (equal && expr_cursor_next(&at, &key, &x)) {
        if (!take(budget, 1 + b->count / 8))
            return false;
        equal = expr_lookup(b, &key, &y);
        if (equal && !expr_equal(&x, &y, budget, &equal))
            return false;
    }
    *ret_equal = equal;
    return true;
}

bool expr_equal(const struct mw_value *a, const struct mw_value *b, uint32_t *budget,
                bool *ret_equal)
{
    if (!take(budget, 1 + (a->text.len < b->text.len ? a->text.len : b->text.len) / 32))
        return false;
    if (expr_is_number(a) && expr_is_number(b)) {
        *ret_equal = expr_compare_numbers(a, b) == 0;
        return true;
    }
    *ret_equal = a->type == b->type && a->count == b->count;
    if (!*ret_equal)
        return true;
    switch (a->type) {
    case MW_VALUE_BOOL:
        *ret_equal = a->boolean == b->boolean;
        return true;
    case MW_VALUE_STRING:
        *ret_equal = mw_str_eq(a->text, b->text);
        return true;
    case MW_VALUE_LIST:
        return equal_lists(a, b, budget, ret_equal);
    case MW_VALUE_MAP:
        return equal_maps(a, b, budget, ret_equal);
    default:
        return true;
    }
}

bool mw_value_equal(const struct mw_value *a, const struct mw_value *b)
{
    uint32_t budget = UINT32_MAX;
    bool equal = false;
    return expr_equal(a, b, &budget, &equal) && equal;
}

static void write_key(const struct mw_value *key, struct mw_json *json)
{
    char buffer[24];
    switch (key->type) {
    case MW_VALUE_STRING:
        mw_json_key(json, key->text);
        return;
    case MW_VALUE_BOOL:
        mw_json_key(json, key->boolean ? MW_STR("true") : MW_STR("false"));
        return;
    default:
        MW_ASSERT(expr_is_number(key));
        mw_json_key(json, number_text(key, buffer));
    }
}

void mw_value_write(const struct mw_value *value, struct mw_json *json)
{
    struct mw_value key, item;
    if (value->tape != NULL) {
        mw_json_node(json, value->tape, value->node);
        return;
    }
    switch (value->type) {
    case MW_VALUE_NULL:
        mw_json_null(json);
        return;
    case MW_VALUE_BOOL:
        mw_json_bool(json, value->boolean);
        return;
    case MW_VALUE_INTEGER:
        mw_json_i64(json, value->integer);
        return;
    case MW_VALUE_NUMBER:
        mw_json_raw(json, value->text);
        return;
    case MW_VALUE_STRING:
        mw_json_str(json, value->text);
        return;
    case MW_VALUE_LIST:
    case MW_VALUE_MAP:
        break;
    }
    struct expr_cursor cursor = expr_cursor_of(value);
    bool map = value->type == MW_VALUE_MAP;
    map ? mw_json_object(json) : mw_json_array(json);
    while (expr_cursor_next(&cursor, &key, &item)) {
        if (map)
            write_key(&key, json);
        mw_value_write(&item, json);
    }
    map ? mw_json_object_end(json) : mw_json_array_end(json);
}
