/*
 * expr_format.c - text.format(list) of CEL's strings extension: %s %d %b %o %x %X %f %e and %%.
 *
 * Decimals are written from their digits, rounded half to even; nothing is ever a floating-point number.
 */
#include "rules/expr_internal.h"

#include <string.h>

#define PRECISION_MAX 100
#define PRECISION_DEFAULT 6
#define DIGITS_MAX                                                                                 \
    1024 /* of a number that %f or %e writes; with as many places before its point or zeros behind it */
#define NESTED_MAX 64 /* lists and maps inside each other that %s writes */

struct format {
    struct expr_eval *eval;
    const struct expr_node *node;
    struct mw_buf buf; /* in what is left of the arena */
};

static bool refuse(const struct format *format, const char *what)
{
    return expr_fail(format->eval, format->node, MW_EXPR_MISMATCH, mw_str_of(what));
}

static bool put(struct format *format, struct mw_str text)
{
    if (!expr_charge(format->eval, format->node, 1 + text.len / 32))
        return false;
    mw_buf_put(&format->buf, text);
    return true;
}

/* 0.d1d2d3… times ten to the power of point; no digits: zero. */
struct decimal {
    bool negative;
    size_t count;
    int64_t point;
    char digits[DIGITS_MAX];
};

/* text: a number in JSON's spelling. */
static bool read_decimal(const struct format *format, struct mw_str text, struct decimal *decimal)
{
    size_t at = text.ptr[0] == '-';
    bool behind = false;
    *decimal = (struct decimal){.negative = at == 1};
    for (; at < text.len && (text.ptr[at] | 0x20) != 'e'; at++) {
        if (text.ptr[at] == '.') {
            behind = true;
            continue;
        }
        bool leads = decimal->count == 0 && text.ptr[at] == '0';
        if (decimal->count == DIGITS_MAX)
            return refuse(format, "a number of more than 1024 digits");
        if (!leads)
            decimal->digits[decimal->count++] = text.ptr[at];
        decimal->point += behind ? -(int64_t)leads : !leads;
    }
    if (at < text.len) {
        int64_t exponent = 0;
        struct mw_str power = mw_str_sub(text, at + 1, text.len);
        power = mw_str_sub(power, power.ptr[0] == '+', power.len);
        if (!mw_str_to_i64(power, &exponent) || exponent > DIGITS_MAX || exponent < -DIGITS_MAX)
            return refuse(format, "a number too large or too small to be written out");
        decimal->point += exponent;
    }
    if (decimal->count == 0)
        decimal->point = 1;
    return true;
}

/* Keeps so many digits, rounding half to even. */
static void round_decimal(struct decimal *decimal, int64_t keep)
{
    if (keep >= (int64_t)decimal->count)
        return;
    size_t at = keep < 0 ? 0 : (size_t)keep;
    bool more = false;
    for (size_t i = at + 1; i < decimal->count; i++)
        more = more || decimal->digits[i] != '0';
    bool odd = at > 0 && (decimal->digits[at - 1] - '0') % 2 == 1;
    bool up =
        keep >= 0 && (decimal->digits[at] > '5' || (decimal->digits[at] == '5' && (more || odd)));
    decimal->count = at;
    if (!up)
        return;
    while (at > 0 && decimal->digits[at - 1] == '9')
        at--;
    decimal->count = at; /* the nines became zeros, which need not be kept */
    if (at > 0) {
        decimal->digits[at - 1]++;
        return;
    }
    decimal->digits[0] = '1';
    decimal->count = 1;
    decimal->point++;
}

static void put_digits(struct format *format, const struct decimal *decimal, int64_t from,
                       int64_t to)
{
    for (int64_t at = from; at < to; at++)
        mw_buf_put_c(&format->buf,
                     at >= 0 && at < (int64_t)decimal->count ? decimal->digits[at] : '0');
}

/* Both clauses: digits before the point, the point, `precision` digits behind it; %e has one before it and says the power. */
static bool put_decimal(struct format *format, const struct mw_value *value, char clause,
                        int64_t precision)
{
    char memory[24];
    struct mw_buf integer;
    struct decimal decimal;
    struct mw_str text = value->text;
    if (value->type == MW_VALUE_INTEGER) {
        mw_buf_init(&integer, memory, sizeof memory);
        mw_buf_put_i64(&integer, value->integer);
        text = mw_buf_str(&integer);
    } else if (value->type != MW_VALUE_NUMBER) {
        return refuse(format, "%f and %e of something not a number");
    }
    if (!read_decimal(format, text, &decimal))
        return false;
    bool power = clause == 'e';
    round_decimal(&decimal, (power ? 1 : decimal.point) + precision);
    int64_t point = power ? 1 : decimal.point;
    if (!expr_charge(format->eval, format->node, (size_t)(point > 0 ? point : 0) / 32 + 4))
        return false;
    if (decimal.negative)
        mw_buf_put_c(&format->buf, '-');
    if (point <= 0)
        mw_buf_put_c(&format->buf, '0');
    put_digits(format, &decimal, 0, point);
    if (precision > 0)
        mw_buf_put_c(&format->buf, '.');
    put_digits(format, &decimal, point, point + precision);
    if (!power)
        return true;
    int64_t exponent = decimal.point - 1;
    mw_buf_put_z(&format->buf, exponent < 0 ? "e-" : "e+");
    exponent = exponent < 0 ? -exponent : exponent;
    if (exponent < 10)
        mw_buf_put_c(&format->buf, '0');
    mw_buf_put_i64(&format->buf, exponent);
    return true;
}

static bool put_base(struct format *format, const struct mw_value *value, unsigned base,
                     bool capital)
{
    const char *digits = capital ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[64];
    size_t at = sizeof text;
    bool flag = value->type == MW_VALUE_BOOL && base == 2;
    if (value->type == MW_VALUE_STRING && base == 16) {
        if (!expr_charge(format->eval, format->node, value->text.len / 16))
            return false;
        for (size_t i = 0; i < value->text.len; i++) {
            mw_buf_put_c(&format->buf, digits[(unsigned char)value->text.ptr[i] >> 4]);
            mw_buf_put_c(&format->buf, digits[(unsigned char)value->text.ptr[i] & 15]);
        }
        return true;
    }
    if (value->type != MW_VALUE_INTEGER && !flag)
        return refuse(format, "%b, %o and %x are for integers, %b for booleans, %x for strings");
    int64_t number = flag ? value->boolean : value->integer;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do
        text[--at] = digits[left % base];
    while ((left /= base) > 0);
    if (number < 0)
        mw_buf_put_c(&format->buf, '-');
    return put(format, (struct mw_str){text + at, sizeof text - at});
}

static bool put_value(struct format *format, const struct mw_value *value, unsigned depth);

static bool put_list(struct format *format, const struct mw_value *list, unsigned depth)
{
    struct mw_value key, item;
    struct expr_cursor cursor = expr_cursor_of(list);
    mw_buf_put_c(&format->buf, '[');
    while (expr_cursor_next(&cursor, &key, &item))
        if ((key.integer > 0 && !put(format, MW_STR(", "))) || !put_value(format, &item, depth + 1))
            return false;
    mw_buf_put_c(&format->buf, ']');
    return true;
}

/* The spelling of a map's key; buffer is for integers. */
static struct mw_str key_text(const struct mw_value *key, char buffer[24])
{
    struct mw_buf buf;
    if (key->type == MW_VALUE_STRING)
        return key->text;
    if (key->type == MW_VALUE_BOOL)
        return key->boolean ? MW_STR("true") : MW_STR("false");
    mw_buf_init(&buf, buffer, 24);
    mw_buf_put_i64(&buf, key->integer);
    return mw_buf_str(&buf);
}

/* Is a before b? Keys of one spelling are told apart by their type. */
static bool before(const struct mw_value *a, const struct mw_value *b)
{
    char a_buffer[24], b_buffer[24];
    int order = mw_str_cmp(key_text(a, a_buffer), key_text(b, b_buffer));
    return order < 0 || (order == 0 && a->type < b->type);
}

/* By the order of the keys, each found as the next after the one before. */
static bool put_map(struct format *format, const struct mw_value *map, unsigned depth)
{
    struct mw_value last = {0}, key, value, next = {0}, next_value = {0};
    char buffer[24];
    mw_buf_put_c(&format->buf, '{');
    for (uint32_t i = 0; i < map->count; i++) {
        struct expr_cursor cursor = expr_cursor_of(map);
        bool found = false;
        if (!expr_charge(format->eval, format->node, map->count))
            return false;
        while (expr_cursor_next(&cursor, &key, &value)) {
            if ((i > 0 && !before(&last, &key)) || (found && !before(&key, &next)))
                continue;
            found = true;
            next = key;
            next_value = value;
        }
        MW_ASSERT(found);
        last = next;
        if ((i > 0 && !put(format, MW_STR(", "))) || !put(format, key_text(&next, buffer)) ||
            !put(format, MW_STR(": ")) || !put_value(format, &next_value, depth + 1))
            return false;
    }
    mw_buf_put_c(&format->buf, '}');
    return true;
}

static bool put_value(struct format *format, const struct mw_value *value, unsigned depth)
{
    if (depth > NESTED_MAX)
        return expr_fail(format->eval, format->node, MW_EXPR_LIMIT,
                         MW_STR("deeper than 64 levels"));
    switch (value->type) {
    case MW_VALUE_NULL:
        return put(format, MW_STR("null"));
    case MW_VALUE_BOOL:
        return put(format, value->boolean ? MW_STR("true") : MW_STR("false"));
    case MW_VALUE_INTEGER:
        mw_buf_put_i64(&format->buf, value->integer);
        return expr_charge(format->eval, format->node, 1);
    case MW_VALUE_NUMBER:
    case MW_VALUE_STRING:
        return put(format, value->text);
    case MW_VALUE_LIST:
        return put_list(format, value, depth);
    case MW_VALUE_MAP:
        return put_map(format, value, depth);
    }
    MW_UNREACHABLE("every type was handled");
}

static bool put_clause(struct format *format, const struct mw_value *value, char clause,
                       int64_t precision)
{
    switch (clause) {
    case 's':
        return put_value(format, value, 0);
    case 'd':
        return value->type == MW_VALUE_INTEGER ? put_value(format, value, 0)
                                               : refuse(format, "%d of something not an integer");
    case 'b':
        return put_base(format, value, 2, false);
    case 'o':
        return put_base(format, value, 8, false);
    case 'x':
    case 'X':
        return put_base(format, value, 16, clause == 'X');
    case 'f':
    case 'e':
        return put_decimal(format, value, clause, precision);
    default:
        return refuse(format, "a clause that is none of %s %d %b %o %x %X %f %e %%");
    }
}

/* ".3" before a clause. */
static bool read_precision(const struct format *format, struct mw_str text, size_t *at,
                           int64_t *ret_precision)
{
    size_t from = *at + 1, end = from;
    *ret_precision = PRECISION_DEFAULT;
    if (*at >= text.len || text.ptr[*at] != '.')
        return true;
    while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9')
        end++;
    if (!mw_str_to_i64(mw_str_sub(text, from, end - from), ret_precision) ||
        *ret_precision > PRECISION_MAX)
        return refuse(format, "a precision is a number up to 100");
    *at = end;
    return true;
}

bool expr_call_format(struct expr_eval *eval, const struct expr_node *node,
                      const struct mw_value *arguments, struct mw_value *ret_value)
{
    struct format format = {.eval = eval, .node = node};
    struct mw_str text = arguments[0].text;
    struct mw_value key, value;
    if (arguments[0].type != MW_VALUE_STRING || arguments[1].type != MW_VALUE_LIST)
        return refuse(&format, "format is of a string with a list");
    struct expr_cursor cursor = expr_cursor_of(&arguments[1]);
    mw_arena_text_begin(eval->arena, &format.buf);
    for (size_t at = 0; at < text.len;) {
        size_t mark = mw_str_find(text, '%', at);
        size_t plain = mark == SIZE_MAX ? text.len : mark;
        int64_t precision;
        if (!put(&format, mw_str_sub(text, at, plain - at)))
            return false;
        at = plain + 1;
        if (at > text.len)
            break;
        if (at < text.len && text.ptr[at] == '%') {
            mw_buf_put_c(&format.buf, '%');
            at++;
            continue;
        }
        if (!read_precision(&format, text, &at, &precision))
            return false;
        if (!expr_cursor_next(&cursor, &key, &value))
            return expr_fail(eval, node, MW_EXPR_ABSENT, MW_STR("a value for each clause"));
        if (!put_clause(&format, &value, at < text.len ? text.ptr[at] : '\0', precision))
            return false;
        at++;
    }
    *ret_value = expr_text(MW_VALUE_STRING, mw_arena_text_keep(eval->arena, &format.buf));
    if (!eval->arena->exhausted)
        return true;
    return expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
}
