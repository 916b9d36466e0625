/* expr_text.c - the strings extension of CEL. Places in a string are counted in characters, from 0; what is built is charged as it grows. */
#include "rules/expr_internal.h"

#include <string.h>

/* One call: the string it is about, its further arguments, and where its answer goes. */
struct call {
    struct expr_eval *eval;
    const struct expr_node *node;
    const struct mw_value *arguments;
    struct mw_str text; /* of the first argument, when that is a string */
    struct mw_buf buf;  /* the answer being built, in what is left of the arena */
};

static bool no_such(const struct call *call, const struct mw_value *value)
{
    return expr_fail(call->eval, call->node, MW_EXPR_MISMATCH,
                     mw_arena_format(call->eval->arena, "a string function with %s",
                                     mw_value_type_name(value->type)));
}

static bool out_of_range(const struct call *call, int64_t at)
{
    return expr_fail(call->eval, call->node, MW_EXPR_ABSENT,
                     mw_arena_format(call->eval->arena, "character %ld", (long)at));
}

/* Bytes of the character that begins at at; texts are well-formed. */
static size_t character_bytes(struct mw_str text, size_t at)
{
    size_t end = at + 1;
    while (end < text.len && ((unsigned char)text.ptr[end] & 0xc0) == 0x80)
        end++;
    return end - at;
}

int64_t expr_count_characters(struct mw_str text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

/* The byte at which a character begins; index is at most their number. */
static size_t byte_of(struct mw_str text, int64_t index)
{
    size_t at = 0;
    while (index-- > 0)
        at += character_bytes(text, at);
    return at;
}

static bool begins_at(struct mw_str text, size_t at, struct mw_str part)
{
    return part.len <= text.len - at &&
           (part.len == 0 || memcmp(text.ptr + at, part.ptr, part.len) == 0);
}

/* The integer argument at index, or otherwise when it was not given. It must lie between 0 and max. */
static bool place(const struct call *call, uint32_t index, int64_t otherwise, int64_t max,
                  int64_t *ret_place)
{
    *ret_place = otherwise;
    if (index >= call->node->child_count)
        return true;
    if (call->arguments[index].type != MW_VALUE_INTEGER)
        return no_such(call, &call->arguments[index]);
    *ret_place = call->arguments[index].integer;
    if (*ret_place < 0 || *ret_place > max)
        return out_of_range(call, *ret_place);
    return true;
}

/* How often at most: negative and not given mean without end. */
static bool how_often(const struct call *call, uint32_t index, int64_t *ret_count)
{
    *ret_count = INT64_MAX;
    if (index >= call->node->child_count)
        return true;
    if (call->arguments[index].type != MW_VALUE_INTEGER)
        return no_such(call, &call->arguments[index]);
    if (call->arguments[index].integer >= 0)
        *ret_count = call->arguments[index].integer;
    return true;
}

static bool text_argument(const struct call *call, uint32_t index, struct mw_str otherwise,
                          struct mw_str *ret_text)
{
    *ret_text = otherwise;
    if (index >= call->node->child_count)
        return true;
    if (call->arguments[index].type != MW_VALUE_STRING)
        return no_such(call, &call->arguments[index]);
    *ret_text = call->arguments[index].text;
    return true;
}

static bool put(struct call *call, struct mw_str text)
{
    if (!expr_charge(call->eval, call->node, 1 + text.len / 32))
        return false;
    mw_buf_put(&call->buf, text);
    return true;
}

static bool give_built(struct call *call, struct mw_value *ret_value)
{
    *ret_value = expr_text(MW_VALUE_STRING, mw_arena_text_keep(call->eval->arena, &call->buf));
    if (!call->eval->arena->exhausted)
        return true;
    return expr_fail(call->eval, call->node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
}

static bool give_part(struct mw_value *ret_value, struct mw_str text, size_t from, size_t to)
{
    *ret_value = expr_text(MW_VALUE_STRING, mw_str_sub(text, from, to - from));
    return true;
}

static bool char_at(struct call *call, struct mw_value *ret_value)
{
    int64_t index, count = expr_count_characters(call->text);
    if (!place(call, 1, 0, count, &index))
        return false;
    size_t at = byte_of(call->text, index);
    return give_part(ret_value, call->text, at,
                     index < count ? at + character_bytes(call->text, at) : at);
}

static bool substring(struct call *call, struct mw_value *ret_value)
{
    int64_t from, to, count = expr_count_characters(call->text);
    if (!place(call, 1, 0, count, &from) || !place(call, 2, count, count, &to))
        return false;
    if (from > to)
        return out_of_range(call, from);
    return give_part(ret_value, call->text, byte_of(call->text, from), byte_of(call->text, to));
}

/* indexOf: the first place from the given one on. lastIndexOf: the last one up to it. */
static bool index_of(struct call *call, struct mw_value *ret_value)
{
    bool last = call->node->which == FUNCTION_LAST_INDEX_OF;
    int64_t from, index = 0, found = -1, count = expr_count_characters(call->text);
    struct mw_str part;
    if (!text_argument(call, 1, MW_STR_NONE, &part) ||
        !place(call, 2, last ? count : 0, count, &from))
        return false;
    if (!expr_charge(call->eval, call->node, (size_t)count * (1 + part.len / 32) / 8))
        return false;
    size_t at = 0;
    for (; at <= call->text.len; index++) {
        bool counts = last ? index <= from : index >= from;
        if (counts && begins_at(call->text, at, part)) {
            found = index;
            if (!last)
                break;
        }
        at += at < call->text.len ? character_bytes(call->text, at) : 1;
    }
    *ret_value = expr_integer(found);
    return true;
}

static bool ascii_case(struct call *call, struct mw_value *ret_value)
{
    char first = call->node->which == FUNCTION_LOWER ? 'A' : 'a';
    for (size_t i = 0; i < call->text.len; i++) {
        char c = call->text.ptr[i];
        mw_buf_put_c(&call->buf, c >= first && c <= first + 25 ? (char)(c ^ 0x20) : c);
    }
    return give_built(call, ret_value);
}

static bool reverse(struct call *call, struct mw_value *ret_value)
{
    for (size_t end = call->text.len, at; end > 0; end = at) {
        at = end - 1;
        while (((unsigned char)call->text.ptr[at] & 0xc0) == 0x80)
            at--;
        mw_buf_put(&call->buf, mw_str_sub(call->text, at, end - at));
    }
    return give_built(call, ret_value);
}

/* Unicode's White_Space, as UTF-8. */
static bool is_space(struct mw_str character)
{
    static const char *const spaces[] = {" ",
                                         "\t",
                                         "\n",
                                         "\v",
                                         "\f",
                                         "\r",
                                         "\xc2\x85",
                                         "\xc2\xa0",
                                         "\xe1\x9a\x80",
                                         "\xe2\x80\x80",
                                         "\xe2\x80\x81",
                                         "\xe2\x80\x82",
                                         "\xe2\x80\x83",
                                         "\xe2\x80\x84",
                                         "\xe2\x80\x85",
                                         "\xe2\x80\x86",
                                         "\xe2\x80\x87",
                                         "\xe2\x80\x88",
                                         "\xe2\x80\x89",
                                         "\xe2\x80\x8a",
                                         "\xe2\x80\xa8",
                                         "\xe2\x80\xa9",
                                         "\xe2\x80\xaf",
                                         "\xe2\x81\x9f",
                                         "\xe3\x80\x80"};
    for (size_t i = 0; i < MW_COUNT(spaces); i++)
        if (mw_str_is(character, spaces[i]))
            return true;
    return false;
}

static bool trim(struct call *call, struct mw_value *ret_value)
{
    size_t from = SIZE_MAX, to = 0;
    for (size_t at = 0, bytes; at < call->text.len; at += bytes) {
        bytes = character_bytes(call->text, at);
        if (is_space(mw_str_sub(call->text, at, bytes)))
            continue;
        if (from == SIZE_MAX)
            from = at;
        to = at + bytes;
    }
    return give_part(ret_value, call->text, from == SIZE_MAX ? 0 : from, to);
}

/* An empty part stands before every character and at the end. */
static bool replace(struct call *call, struct mw_value *ret_value)
{
    struct mw_str old, with;
    int64_t left;
    if (!text_argument(call, 1, MW_STR_NONE, &old) || !text_argument(call, 2, MW_STR_NONE, &with) ||
        !how_often(call, 3, &left))
        return false;
    for (size_t at = 0; at <= call->text.len;) {
        bool hit = left > 0 && begins_at(call->text, at, old);
        size_t bytes = at < call->text.len ? character_bytes(call->text, at) : 1;
        left -= hit;
        if (hit && !put(call, with))
            return false;
        if (hit && old.len > 0)
            bytes = old.len;
        else if (!put(call, mw_str_sub(call->text, at, bytes)))
            return false;
        at += bytes;
    }
    return give_built(call, ret_value);
}

/* Where the part that begins at `from` ends: at the next separator; with none it is each character. */
static size_t part_end(struct mw_str text, size_t from, struct mw_str separator)
{
    if (separator.len == 0)
        return from + character_bytes(text, from);
    size_t at = from;
    while (at < text.len && !begins_at(text, at, separator))
        at++;
    return at;
}

static bool split(struct call *call, struct mw_value *ret_value)
{
    struct mw_str separator;
    int64_t left;
    uint32_t count = 0;
    struct mw_value *items = NULL;
    if (!text_argument(call, 1, MW_STR_NONE, &separator) || !how_often(call, 2, &left))
        return false;
    /* Counted first, then filled. */
    for (unsigned fill = 0; fill < 2; fill++) {
        bool more = left > 0 && (separator.len > 0 || call->text.len > 0);
        if (fill == 1 && (items = expr_new_values(call->eval, call->node, count)) == NULL)
            return false;
        count = 0;
        for (size_t from = 0; more;) {
            bool rest = (int64_t)count + 1 == left;
            size_t end = rest ? call->text.len : part_end(call->text, from, separator);
            if (!expr_charge(call->eval, call->node, 1 + (end - from) / 32))
                return false;
            if (fill == 1)
                (void)give_part(&items[count], call->text, from, end);
            count++;
            more = end < call->text.len;
            from = end + separator.len;
        }
    }
    *ret_value = expr_items(MW_VALUE_LIST, items, count);
    return true;
}

static bool join(struct call *call, struct mw_value *ret_value)
{
    const struct mw_value *list = &call->arguments[0];
    struct mw_str separator;
    struct mw_value key, item;
    if (list->type != MW_VALUE_LIST)
        return no_such(call, list);
    if (!text_argument(call, 1, MW_STR_NONE, &separator))
        return false;
    struct expr_cursor cursor = expr_cursor_of(list);
    while (expr_cursor_next(&cursor, &key, &item)) {
        if (item.type != MW_VALUE_STRING)
            return no_such(call, &item);
        if ((key.integer > 0 && !put(call, separator)) || !put(call, item.text))
            return false;
    }
    return give_built(call, ret_value);
}

static bool quote(struct call *call, struct mw_value *ret_value)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"";
    static const char to[] = "abfnrtv\\\"";
    mw_buf_put_c(&call->buf, '"');
    for (size_t i = 0; i < call->text.len; i++) {
        const char *hit = memchr(from, call->text.ptr[i], sizeof from - 1);
        if (hit != NULL)
            mw_buf_put_c(&call->buf, '\\');
        mw_buf_put_c(&call->buf, hit != NULL ? to[hit - from] : call->text.ptr[i]);
    }
    mw_buf_put_c(&call->buf, '"');
    return give_built(call, ret_value);
}

static bool (*const functions[])(struct call *, struct mw_value *) = {
    [FUNCTION_CHAR_AT] = char_at,  [FUNCTION_INDEX_OF] = index_of,
    [FUNCTION_LOWER] = ascii_case, [FUNCTION_LAST_INDEX_OF] = index_of,
    [FUNCTION_UPPER] = ascii_case, [FUNCTION_REPLACE] = replace,
    [FUNCTION_SPLIT] = split,      [FUNCTION_SUBSTRING] = substring,
    [FUNCTION_TRIM] = trim,        [FUNCTION_REVERSE] = reverse,
    [FUNCTION_JOIN] = join,        [FUNCTION_QUOTE] = quote,
};

bool expr_call_text(struct expr_eval *eval, const struct expr_node *node,
                    const struct mw_value *arguments, struct mw_value *ret_value)
{
    struct call call = {.eval = eval, .node = node, .arguments = arguments};
    if (node->which != FUNCTION_JOIN) {
        if (arguments[0].type != MW_VALUE_STRING)
            return no_such(&call, &arguments[0]);
        call.text = arguments[0].text;
    }
    if (!expr_charge(eval, node, call.text.len / 32))
        return false;
    mw_arena_text_begin(eval->arena, &call.buf);
    return functions[node->which](&call, ret_value);
}
