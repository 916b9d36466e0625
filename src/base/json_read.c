/*
 * json_read.c - one pass over the text, without recursion.
 *
 * Nodes grow upwards from the arena's used end and unescaped strings downwards from its far end, so neither has to be counted first
 * and nothing is copied while it grows; at the end the strings move down to the nodes and the arena has lost exactly what the tape needs.
 */
#include "base/json.h"

#include "base/json_text.h"

/* Objects up to this size compare every key with every other; beyond it their keys are sorted. */
#define KEYS_COMPARED_MAX 16

struct reader {
    const char *at;
    const char *end;
    const char *line_start;
    uint32_t line;
    uint32_t depth;
    struct mw_node *nodes; /* arena; [count] is the next free one */
    uint32_t count;
    char *strings; /* the lowest unescaped string */
    char *top;     /* the arena's end */
    struct mw_err *err;
    enum mw_rc rc;
    bool full;                        /* the arena had no room */
    uint32_t open[MW_JSON_DEPTH_MAX]; /* the containers around us */
};

static bool read_document(struct reader *reader);
static void settle(struct reader *reader, struct mw_arena *arena);

enum mw_rc mw_json_parse(struct mw_arena *arena, struct mw_str text, struct mw_tape *ret_tape,
                         struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(ret_tape != NULL);
    if (arena->exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "no memory left to read JSON into");
    if (text.len >= UINT32_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "JSON text of %zu bytes: 4 GiB is the most", text.len);
    size_t padding = (16 - ((uintptr_t)(arena->memory + arena->used_bytes) & 15)) & 15;
    if (padding > arena->size_bytes - arena->used_bytes)
        padding = arena->size_bytes - arena->used_bytes;
    struct reader reader;
    if (text.ptr == NULL) /* an empty file's: no arithmetic with that */
        text = MW_STR("");
    reader.at = text.ptr;
    reader.end = text.ptr + text.len;
    reader.line_start = text.ptr;
    reader.line = 1;
    reader.depth = 0;
    reader.nodes = (struct mw_node *)(void *)(arena->memory + arena->used_bytes + padding);
    reader.count = 0;
    reader.top = arena->memory + arena->size_bytes;
    reader.strings = reader.top;
    reader.err = err;
    reader.rc = MW_OK;
    reader.full = false;
    if (!read_document(&reader)) {
        arena->exhausted = reader.full;
        return reader.rc;
    }
    settle(&reader, arena);
    ret_tape->nodes = reader.nodes;
    ret_tape->count = reader.count;
    return MW_OK;
}

/* Moves the unescaped strings behind the nodes and takes both out of the arena. */
static void settle(struct reader *reader, struct mw_arena *arena)
{
    char *nodes_end = (char *)(reader->nodes + reader->count);
    size_t size = (size_t)(reader->top - reader->strings);
    if (size > 0) {
        memmove(nodes_end, reader->strings, size);
        for (uint32_t i = 0; i < reader->count; i++) {
            struct mw_str *text = &reader->nodes[i].text;
            if (text->ptr >= reader->strings && text->ptr < reader->top)
                text->ptr = nodes_end + (text->ptr - reader->strings);
        }
    }
    arena->used_bytes = (size_t)(nodes_end + size - arena->memory);
    arena->used_bytes += (16 - (arena->used_bytes & 15)) & 15;
    if (arena->used_bytes > arena->size_bytes)
        arena->used_bytes = arena->size_bytes;
}

static bool fail(struct reader *reader, const char *place, const char *what)
{
    reader->rc = MW_FAIL(reader->err, MW_E_INPUT, "line %u, column %u: %s", reader->line,
                         (unsigned)(place - reader->line_start + 1), what);
    return false;
}

static bool fail_limit(struct reader *reader, const char *what)
{
    reader->rc = MW_FAIL(reader->err, MW_E_LIMIT, "line %u, column %u: %s", reader->line,
                         (unsigned)(reader->at - reader->line_start + 1), what);
    return false;
}

static bool fail_full(struct reader *reader)
{
    reader->full = true;
    return fail_limit(reader, "no memory left to read JSON into");
}

static bool fail_twice(struct reader *reader, uint32_t key, uint32_t earlier)
{
    const struct mw_node *node = &reader->nodes[key];
    struct mw_str shown = mw_str_sub(node->text, 0, 80);
    reader->rc = MW_FAIL(reader->err, MW_E_INPUT,
                         "line %u, column %u: key '%.*s' is there twice; the first is at line %u, "
                         "column %u",
                         node->line, node->column, MW_STR_ARG(shown), reader->nodes[earlier].line,
                         reader->nodes[earlier].column);
    return false;
}

static inline void skip_space(struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && (unsigned char)*at <= ' ') {
        if (*at == '\n') {
            reader->line++;
            reader->line_start = at + 1;
        } else if (*at != ' ' && *at != '\t' && *at != '\r') {
            break;
        }
        at++;
    }
    reader->at = at;
}

/* A new node at the reader's place; NULL when the arena is full. */
static inline struct mw_node *add_node(struct reader *reader, enum mw_node_type type)
{
    struct mw_node *node = &reader->nodes[reader->count];
    if (reader->strings - (char *)node < (ptrdiff_t)sizeof *node) {
        (void)fail_full(reader);
        return NULL;
    }
    node->type = (uint8_t)type;
    node->count = 0;
    node->next = ++reader->count;
    node->line = reader->line;
    node->column = (uint32_t)(reader->at - reader->line_start + 1);
    node->text = (struct mw_str){reader->at, 0};
    node->integer = 0;
    return node;
}

static bool read_hex4(struct reader *reader, const char *at, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = mw_hex_value(at + i < reader->end ? at[i] : ' ');
        if (digit < 0)
            return fail(reader, at + i, "expected four hexadecimal digits after \\u");
        value = value << 4 | (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

/* The \u escape at *at, with its second half when it is a surrogate pair. Advances *at behind it. */
static bool read_unicode_escape(struct reader *reader, const char **at, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (!read_hex4(reader, *at + 2, &code))
        return false;
    if (code == 0)
        return fail(reader, *at, "a string may not hold the character NUL (\\u0000)");
    if (code >= 0xdc00 && code <= 0xdfff)
        return fail(reader, *at, "a low surrogate without a high one before it");
    if (code < 0xd800 || code > 0xdbff) {
        *at += 6;
        *ret_code = code;
        return true;
    }
    uint32_t low = 0;
    if (reader->end - *at < 8 || (*at)[6] != '\\' || (*at)[7] != 'u')
        return fail(reader, *at, "a high surrogate without a low one after it");
    if (!read_hex4(reader, *at + 8, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(reader, *at, "a high surrogate without a low one after it");
    *at += 12;
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* Decodes the escape at *at to *to (which has room for four bytes) and advances both. */
static bool read_escape(struct reader *reader, const char **at, char **to)
{
    char c = reader->end - *at >= 2 ? (*at)[1] : ' ';
    char plain;
    switch (c) {
    case '"':
    case '\\':
    case '/':
        plain = c;
        break;
    case 'b':
        plain = '\b';
        break;
    case 'f':
        plain = '\f';
        break;
    case 'n':
        plain = '\n';
        break;
    case 'r':
        plain = '\r';
        break;
    case 't':
        plain = '\t';
        break;
    case 'u': {
        uint32_t code = 0;
        if (!read_unicode_escape(reader, at, &code))
            return false;
        *to += mw_utf8_put(*to, code);
        return true;
    }
    default:
        return fail(reader, *at, "expected one of \" \\ / b f n r t u after a backslash");
    }
    *(*to)++ = plain;
    *at += 2;
    return true;
}

/* The first byte that ends a run of unescaped text: a quote, a backslash, the end, or something that may not be there. */
static inline const char *skip_text(const char *at, const char *end)
{
    for (;;) {
        at = json_skip_plain(at, end);
        size_t length;
        if (at == end || (unsigned char)*at < 0x80 || (length = json_utf8_sequence(at, end)) == 0)
            return at;
        at += length;
    }
}

static bool fail_text(struct reader *reader, const char *at)
{
    if (at == reader->end)
        return fail(reader, at, "the text ends within a string");
    if ((unsigned char)*at >= 0x80)
        return fail(reader, at, "not well-formed UTF-8");
    return fail(reader, at, "a control character in a string; write it as an escape such as \\n");
}

/* A string that has an escape at `at`. Decoded into the gap behind the nodes, then moved to the arena's far end. */
static bool read_escaped(struct reader *reader, const char *from, const char *at,
                         struct mw_str *ret_text)
{
    char *start = (char *)(reader->nodes + reader->count);
    char *to = start;
    for (;;) {
        size_t length = (size_t)(at - from);
        if (reader->strings - to < (ptrdiff_t)length + 4)
            return fail_full(reader);
        memcpy(to, from, length);
        to += length;
        if (at == reader->end || (*at != '"' && *at != '\\'))
            return fail_text(reader, at);
        if (*at == '"')
            break;
        if (!read_escape(reader, &at, &to))
            return false;
        from = at;
        at = skip_text(at, reader->end);
    }
    size_t length = (size_t)(to - start);
    reader->strings -= length;
    memmove(reader->strings, start, length);
    *ret_text = (struct mw_str){reader->strings, length};
    reader->at = at + 1;
    return true;
}

static bool read_string(struct reader *reader)
{
    struct mw_node *node = add_node(reader, MW_NODE_STRING);
    if (node == NULL)
        return false;
    const char *from = reader->at + 1;
    const char *at = skip_text(from, reader->end);
    if (at == reader->end)
        return fail_text(reader, at);
    if (*at == '"') {
        node->text = (struct mw_str){from, (size_t)(at - from)};
        reader->at = at + 1;
        return true;
    }
    if (*at != '\\')
        return fail_text(reader, at);
    return read_escaped(reader, from, at, &node->text);
}

static inline bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* Fraction and exponent of a number, from the '.', 'e' or 'E' at `at`. */
static bool read_fraction(struct reader *reader, struct mw_node *node, const char *at)
{
    const char *end = reader->end;
    if (*at == '.') {
        at++;
        if (!is_digit(at, end))
            return fail(reader, at, "expected a digit after the decimal point");
        while (is_digit(at, end))
            at++;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(at, end))
            return fail(reader, at, "expected a digit in the exponent");
        while (is_digit(at, end))
            at++;
    }
    node->type = MW_NODE_NUMBER;
    node->text.len = (size_t)(at - node->text.ptr);
    reader->at = at;
    return true;
}

static bool read_number(struct reader *reader)
{
    struct mw_node *node = add_node(reader, MW_NODE_INTEGER);
    if (node == NULL)
        return false;
    const char *at = reader->at;
    const char *end = reader->end;
    bool negative = *at == '-';
    at += negative;
    if (!is_digit(at, end))
        return fail(reader, at, "expected a digit after '-'");
    const char *digits = at;
    uint64_t value = 0;
    while (is_digit(at, end))
        value = value * 10 + (uint64_t)(*at++ - '0');
    size_t digit_count = (size_t)(at - digits);
    if (*digits == '0' && digit_count > 1)
        return fail(reader, digits, "a number may not begin with 0 unless it is 0");
    if (at < end && (*at == '.' || *at == 'e' || *at == 'E'))
        return read_fraction(reader, node, at);
    node->text.len = (size_t)(at - reader->at);
    reader->at = at;
    /* Nineteen digits cannot wrap 64 bits. */
    if (digit_count > 19 || value > (uint64_t)INT64_MAX + negative)
        node->type = MW_NODE_NUMBER;
    else
        node->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool read_word(struct reader *reader, enum mw_node_type type, struct mw_str word)
{
    if ((size_t)(reader->end - reader->at) < word.len ||
        memcmp(reader->at, word.ptr, word.len) != 0)
        return fail(reader, reader->at, "expected a value; the words are true, false and null");
    struct mw_node *node = add_node(reader, type);
    if (node == NULL)
        return false;
    node->text.len = word.len;
    reader->at += word.len;
    return true;
}

static bool open_container(struct reader *reader, enum mw_node_type type)
{
    if (reader->depth == MW_JSON_DEPTH_MAX)
        return fail_limit(reader, "deeper than 64 levels (MW_JSON_DEPTH_MAX)");
    struct mw_node *node = add_node(reader, type);
    if (node == NULL)
        return false;
    reader->open[reader->depth++] = reader->count - 1;
    reader->at++;
    return true;
}

/* Sets *ret_opened when the value was '[' or '{', whose contents are still to come. */
static bool read_value(struct reader *reader, bool *ret_opened)
{
    if (reader->at == reader->end)
        return fail(reader, reader->at, "expected a value, the text ends here");
    *ret_opened = false;
    switch (*reader->at) {
    case '"':
        return read_string(reader);
    case '{':
        *ret_opened = true;
        return open_container(reader, MW_NODE_OBJECT);
    case '[':
        *ret_opened = true;
        return open_container(reader, MW_NODE_ARRAY);
    case 't':
        return read_word(reader, MW_NODE_TRUE, MW_STR("true"));
    case 'f':
        return read_word(reader, MW_NODE_FALSE, MW_STR("false"));
    case 'n':
        return read_word(reader, MW_NODE_NULL, MW_STR("null"));
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(reader);
    case ',':
    case ']':
    case '}':
        return fail(reader, reader->at, "expected a value here");
    case '\'':
        return fail(reader, reader->at, "expected a value; strings are written with \"");
    default:
        return fail(reader, reader->at,
                    "expected a value: string, number, object, array, true, "
                    "false or null");
    }
}

static inline bool same_text(struct mw_str a, struct mw_str b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static bool read_key(struct reader *reader)
{
    if (reader->at == reader->end || *reader->at != '"')
        return fail(reader, reader->at, "expected a key, written with \"");
    uint32_t key = reader->count;
    uint32_t object = reader->open[reader->depth - 1];
    uint32_t member_count = reader->nodes[object].count;
    if (!read_string(reader))
        return false;
    if (member_count < KEYS_COMPARED_MAX) {
        struct mw_str text = reader->nodes[key].text;
        for (uint32_t i = object + 1; i < key; i = reader->nodes[i + 1].next)
            if (same_text(reader->nodes[i].text, text))
                return fail_twice(reader, key, i);
    }
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != ':')
        return fail(reader, reader->at, "expected ':' after a key");
    reader->at++;
    skip_space(reader);
    return true;
}

static int compare_keys(const struct reader *reader, uint32_t a, uint32_t b)
{
    struct mw_str x = reader->nodes[a].text;
    struct mw_str y = reader->nodes[b].text;
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    return memcmp(x.ptr, y.ptr, x.len);
}

/* Merge sort, bottom up; gives whichever of the two arrays holds the result. */
static uint32_t *sort_keys(const struct reader *reader, uint32_t *from, uint32_t *to, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            size_t left = low;
            size_t right = middle;
            for (size_t i = low; i < high; i++) {
                bool take_left = left < middle && (right >= high || compare_keys(reader, from[left],
                                                                                 from[right]) <= 0);
                to[i] = take_left ? from[left++] : from[right++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* For large objects, when they close. Sorting, not hashing: nobody can choose keys that make it slow. */
static bool check_many_keys(struct reader *reader, uint32_t object)
{
    size_t count = reader->nodes[object].count;
    uint32_t *keys = (uint32_t *)(void *)(reader->nodes + reader->count);
    if ((size_t)(reader->strings - (char *)keys) < 2 * count * sizeof *keys)
        return fail_full(reader);
    size_t filled = 0;
    for (uint32_t i = object + 1; i < reader->count; i = reader->nodes[i + 1].next)
        keys[filled++] = i;
    MW_ASSERT(filled == count);
    const uint32_t *sorted = sort_keys(reader, keys, keys + count, count);
    for (size_t i = 1; i < count; i++)
        if (compare_keys(reader, sorted[i - 1], sorted[i]) == 0)
            return fail_twice(reader, sorted[i], sorted[i - 1]);
    return true;
}

static bool close_container(struct reader *reader)
{
    struct mw_node *node = &reader->nodes[reader->open[--reader->depth]];
    reader->at++;
    node->next = reader->count;
    node->text.len = (size_t)(reader->at - node->text.ptr);
    if (node->type == MW_NODE_OBJECT && node->count > KEYS_COMPARED_MAX)
        return check_many_keys(reader, reader->open[reader->depth]);
    return true;
}

/* After '[' or '{': an empty container closes at once and *ret_closed is set, otherwise the first value is next. */
static bool begin_container(struct reader *reader, bool *ret_closed)
{
    bool object = reader->nodes[reader->open[reader->depth - 1]].type == MW_NODE_OBJECT;
    skip_space(reader);
    if (reader->at == reader->end)
        return fail(reader, reader->at,
                    object ? "expected a key or '}', the text ends here"
                           : "expected a value or ']', the text ends here");
    *ret_closed = *reader->at == (object ? '}' : ']');
    if (*ret_closed)
        return close_container(reader);
    return object ? read_key(reader) : true;
}

/* After a value: closes what ends here, up to the next ',' (and key) or the end of the document. */
static bool finish_values(struct reader *reader)
{
    while (reader->depth > 0) {
        struct mw_node *node = &reader->nodes[reader->open[reader->depth - 1]];
        bool object = node->type == MW_NODE_OBJECT;
        node->count++;
        skip_space(reader);
        char c = reader->at < reader->end ? *reader->at : '\0';
        if (c == ',') {
            reader->at++;
            skip_space(reader);
            if (object)
                return read_key(reader);
            return true;
        }
        if (c != (object ? '}' : ']'))
            return fail(reader, reader->at,
                        object ? "expected ',' or '}' after a member"
                               : "expected ',' or ']' after an item");
        if (!close_container(reader))
            return false;
    }
    return true;
}

static bool read_document(struct reader *reader)
{
    if (reader->end - reader->at >= 3 && memcmp(reader->at, "\xef\xbb\xbf", 3) == 0)
        return fail(reader, reader->at, "a byte order mark; save the text without it");
    skip_space(reader);
    do {
        bool opened = false;
        if (!read_value(reader, &opened))
            return false;
        if (opened) {
            bool closed = false;
            if (!begin_container(reader, &closed))
                return false;
            if (!closed)
                continue;
        }
        if (!finish_values(reader))
            return false;
    } while (reader->depth > 0);
    skip_space(reader);
    if (reader->at != reader->end)
        return fail(reader, reader->at, "expected the end of the text after the value");
    return true;
}
