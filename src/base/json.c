/* json.c - walking and comparing tapes. */
#include "base/json.h"

#include <string.h>

static const struct mw_node *node_of(const struct mw_tape *tape, uint32_t node)
{
    if (node == MW_NODE_NONE)
        return NULL;
    MW_ASSERT(node < tape->count);
    return &tape->nodes[node];
}

static const struct mw_node *node_typed(const struct mw_tape *tape, uint32_t node,
                                        enum mw_node_type type)
{
    const struct mw_node *found = node_of(tape, node);
    return found != NULL && found->type == type ? found : NULL;
}

enum mw_node_type mw_node_type(const struct mw_tape *tape, uint32_t node)
{
    const struct mw_node *found = node_of(tape, node);
    return found == NULL ? MW_NODE_NULL : (enum mw_node_type)found->type;
}

uint32_t mw_node_get_str(const struct mw_tape *tape, uint32_t object, struct mw_str key)
{
    const struct mw_node *found = node_typed(tape, object, MW_NODE_OBJECT);
    if (found == NULL)
        return MW_NODE_NONE;
    for (uint32_t i = object + 1; i < found->next; i = tape->nodes[i + 1].next) {
        struct mw_str text = tape->nodes[i].text;
        if (text.len == key.len && (key.len == 0 || memcmp(text.ptr, key.ptr, key.len) == 0))
            return i + 1;
    }
    return MW_NODE_NONE;
}

uint32_t mw_node_at(const struct mw_tape *tape, uint32_t array, uint32_t index)
{
    const struct mw_node *found = node_typed(tape, array, MW_NODE_ARRAY);
    if (found == NULL || index >= found->count)
        return MW_NODE_NONE;
    uint32_t item = array + 1;
    while (index-- > 0)
        item = tape->nodes[item].next;
    return item;
}

/* The member of object whose key is the escaped pointer segment: ~1 is '/', ~0 is '~'. */
static uint32_t get_segment(const struct mw_tape *tape, uint32_t object, struct mw_str segment)
{
    const struct mw_node *found = node_typed(tape, object, MW_NODE_OBJECT);
    if (found == NULL)
        return MW_NODE_NONE;
    for (uint32_t i = object + 1; i < found->next; i = tape->nodes[i + 1].next) {
        struct mw_str key = tape->nodes[i].text;
        size_t at = 0;
        size_t from = 0;
        for (; from < segment.len && at < key.len; from++, at++) {
            char c = segment.ptr[from];
            if (c == '~' && from + 1 < segment.len &&
                (segment.ptr[from + 1] == '0' || segment.ptr[from + 1] == '1'))
                c = segment.ptr[++from] == '0' ? '~' : '/';
            if (c != key.ptr[at])
                break;
        }
        if (from == segment.len && at == key.len)
            return i + 1;
    }
    return MW_NODE_NONE;
}

uint32_t mw_node_pointer(const struct mw_tape *tape, uint32_t node, struct mw_str pointer)
{
    while (pointer.len > 0 && node != MW_NODE_NONE) {
        if (pointer.ptr[0] != '/')
            return MW_NODE_NONE;
        size_t slash = mw_str_find(pointer, '/', 1);
        size_t end = slash == SIZE_MAX ? pointer.len : slash;
        struct mw_str segment = mw_str_sub(pointer, 1, end - 1);
        pointer = mw_str_sub(pointer, end, pointer.len - end);
        uint64_t index;
        if (mw_node_type(tape, node) != MW_NODE_ARRAY)
            node = get_segment(tape, node, segment);
        else if (!mw_str_to_u64(segment, &index) || index >= UINT32_MAX ||
                 (segment.len > 1 && segment.ptr[0] == '0'))
            node = MW_NODE_NONE;
        else
            node = mw_node_at(tape, node, (uint32_t)index);
    }
    return node;
}

uint32_t mw_node_first(const struct mw_tape *tape, uint32_t container)
{
    const struct mw_node *found = node_of(tape, container);
    return found != NULL && found->count > 0 ? container + 1 : MW_NODE_NONE;
}

uint32_t mw_node_after(const struct mw_tape *tape, uint32_t container, uint32_t child)
{
    const struct mw_node *found = node_of(tape, container);
    MW_ASSERT(found != NULL);
    MW_ASSERT(child > container && child < found->next);
    uint32_t last = found->type == MW_NODE_OBJECT ? child + 1 : child;
    uint32_t after = tape->nodes[last].next;
    return after < found->next ? after : MW_NODE_NONE;
}

uint32_t mw_node_count(const struct mw_tape *tape, uint32_t container)
{
    const struct mw_node *found = node_of(tape, container);
    return found == NULL ? 0 : found->count;
}

struct mw_str mw_node_str(const struct mw_tape *tape, uint32_t node)
{
    const struct mw_node *found = node_typed(tape, node, MW_NODE_STRING);
    return found == NULL ? MW_STR_NONE : found->text;
}

int64_t mw_node_int(const struct mw_tape *tape, uint32_t node, int64_t otherwise)
{
    const struct mw_node *found = node_typed(tape, node, MW_NODE_INTEGER);
    return found == NULL ? otherwise : found->integer;
}

bool mw_node_bool(const struct mw_tape *tape, uint32_t node, bool otherwise)
{
    switch (mw_node_type(tape, node)) {
    case MW_NODE_TRUE:
        return true;
    case MW_NODE_FALSE:
        return false;
    default:
        return otherwise;
    }
}

bool mw_node_is_null(const struct mw_tape *tape, uint32_t node)
{
    return mw_node_type(tape, node) == MW_NODE_NULL;
}

struct mw_str mw_node_get_text(const struct mw_tape *tape, uint32_t object, const char *key)
{
    return mw_node_str(tape, mw_node_get(tape, object, key));
}

/* A number as its significant digits and the power of ten of the first: 0.012e3 is digits "12", power 1. */
struct decimal {
    bool negative;
    int64_t power;
    struct mw_str digits; /* from the first to the last digit that is not 0; may hold the '.' */
};

static int64_t exponent_of(struct mw_str text, size_t at)
{
    bool negative = at < text.len && text.ptr[at] == '-';
    int64_t value = 0;
    if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
        at++;
    /* Exponents from 10^17 on are all the same huge one: no two numbers that anybody means differ there. */
    for (; at < text.len; at++)
        value = value < INT64_C(10000000000000000) ? value * 10 + (text.ptr[at] - '0')
                                                   : INT64_C(1000000000000000000);
    return negative ? -value : value;
}

static struct decimal decimal_of(struct mw_str text)
{
    struct decimal decimal = {.negative = text.len > 0 && text.ptr[0] == '-'};
    size_t first = SIZE_MAX;
    size_t last = 0;
    int64_t before_point =
        0; /* digits between the first significant one and the point, negative behind it */
    bool point = false;
    size_t at = decimal.negative ? 1 : 0;
    for (; at < text.len && text.ptr[at] != 'e' && text.ptr[at] != 'E'; at++) {
        char c = text.ptr[at];
        if (c == '.') {
            point = true;
            continue;
        }
        if (first == SIZE_MAX && c == '0') {
            before_point -= point;
            continue;
        }
        if (first == SIZE_MAX)
            first = at;
        if (c != '0')
            last = at;
        before_point += !point;
    }
    if (first == SIZE_MAX)
        return (struct decimal){.digits = MW_STR_NONE}; /* zero, whatever its sign */
    decimal.digits = (struct mw_str){text.ptr + first, last + 1 - first};
    decimal.power = before_point + (at < text.len ? exponent_of(text, at + 1) : 0);
    return decimal;
}

/* The digit at *at, stepping over the point; '0' behind the last one. */
static char next_digit(struct mw_str digits, size_t *at)
{
    if (*at < digits.len && digits.ptr[*at] == '.')
        ++*at;
    return *at < digits.len ? digits.ptr[(*at)++] : '0';
}

static int compare_digits(struct mw_str a, struct mw_str b)
{
    size_t i = 0;
    size_t j = 0;
    while (i < a.len || j < b.len) {
        char x = next_digit(a, &i);
        char y = next_digit(b, &j);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int mw_number_cmp(struct mw_str a_text, struct mw_str b_text)
{
    struct decimal a = decimal_of(a_text);
    struct decimal b = decimal_of(b_text);
    int a_sign = a.digits.len == 0 ? 0 : a.negative ? -1 : 1;
    int b_sign = b.digits.len == 0 ? 0 : b.negative ? -1 : 1;
    if (a_sign != b_sign)
        return a_sign < b_sign ? -1 : 1;
    if (a_sign == 0)
        return 0;
    if (a.power != b.power)
        return (a.power < b.power) == (a_sign > 0) ? -1 : 1;
    return a_sign * compare_digits(a.digits, b.digits);
}

bool mw_number_to_i64(struct mw_str number, int64_t *ret_value, bool *ret_exact)
{
    struct decimal decimal = decimal_of(number);
    uint64_t value = 0;
    size_t at = 0;
    if (decimal.digits.len > 0 && decimal.power > 19)
        return false;
    for (int64_t i = 0; i < decimal.power; i++)
        value = value * 10 + (uint64_t)(next_digit(decimal.digits, &at) - '0');
    if (value > (uint64_t)INT64_MAX + decimal.negative)
        return false;
    *ret_value = decimal.negative ? (int64_t)(0 - value) : (int64_t)value;
    if (ret_exact != NULL)
        *ret_exact = at == decimal.digits.len;
    return true;
}

/* Each member is looked for from behind the last one found, so equal order costs one pass. */
static bool objects_equal(const struct mw_tape *a, uint32_t a_node, const struct mw_tape *b,
                          uint32_t b_node)
{
    uint32_t b_end = b->nodes[b_node].next;
    uint32_t from = b_node + 1;
    for (uint32_t i = a_node + 1; i < a->nodes[a_node].next; i = a->nodes[i + 1].next) {
        uint32_t j = from;
        while (!mw_str_eq(a->nodes[i].text, b->nodes[j].text)) {
            j = b->nodes[j + 1].next;
            if (j == b_end)
                j = b_node + 1;
            if (j == from)
                return false;
        }
        if (!mw_node_equal(a, i + 1, b, j + 1))
            return false;
        from = b->nodes[j + 1].next == b_end ? b_node + 1 : b->nodes[j + 1].next;
    }
    return true;
}

bool mw_node_equal(const struct mw_tape *a, uint32_t a_node, const struct mw_tape *b,
                   uint32_t b_node)
{
    const struct mw_node *x = node_of(a, a_node);
    const struct mw_node *y = node_of(b, b_node);
    if (x == NULL || y == NULL)
        return mw_node_is_null(a, a_node) && mw_node_is_null(b, b_node);
    if (x->type == MW_NODE_NUMBER || y->type == MW_NODE_NUMBER)
        return (x->type == MW_NODE_NUMBER || x->type == MW_NODE_INTEGER) &&
               (y->type == MW_NODE_NUMBER || y->type == MW_NODE_INTEGER) &&
               mw_number_cmp(x->text, y->text) == 0;
    if (x->type != y->type || x->count != y->count)
        return false;
    switch ((enum mw_node_type)x->type) {
    case MW_NODE_INTEGER:
        return x->integer == y->integer;
    case MW_NODE_STRING:
        return mw_str_eq(x->text, y->text);
    case MW_NODE_OBJECT:
        return objects_equal(a, a_node, b, b_node);
    case MW_NODE_ARRAY: {
        uint32_t j = b_node + 1;
        for (uint32_t i = a_node + 1; i < x->next; i = a->nodes[i].next, j = b->nodes[j].next)
            if (!mw_node_equal(a, i, b, j))
                return false;
        return true;
    }
    default:
        return true;
    }
}
