/* json_write.c - what the writer writes, the reader reads: bad UTF-8 and NUL become U+FFFD instead of a text nobody can load again. */
#include "base/json.h"

#include "base/json_text.h"

void mw_json_init(struct mw_json *json, struct mw_buf *buf)
{
    MW_ASSERT(buf != NULL);
    *json = (struct mw_json){.buf = buf};
}

static void begin_value(struct mw_json *json)
{
    if (json->comma)
        mw_buf_put_c(json->buf, ',');
    json->comma = true;
}

static void open_with(struct mw_json *json, char bracket)
{
    begin_value(json);
    mw_buf_put_c(json->buf, bracket);
    json->comma = false;
}

static void close_with(struct mw_json *json, char bracket)
{
    mw_buf_put_c(json->buf, bracket);
    json->comma = true;
}

void mw_json_object(struct mw_json *json)
{
    open_with(json, '{');
}

void mw_json_object_end(struct mw_json *json)
{
    close_with(json, '}');
}

void mw_json_array(struct mw_json *json)
{
    open_with(json, '[');
}

void mw_json_array_end(struct mw_json *json)
{
    close_with(json, ']');
}

static void put_control(struct mw_buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '\0':
        mw_buf_put(buf, MW_STR("\xef\xbf\xbd"));
        return;
    case '\b':
        mw_buf_put(buf, MW_STR("\\b"));
        return;
    case '\t':
        mw_buf_put(buf, MW_STR("\\t"));
        return;
    case '\n':
        mw_buf_put(buf, MW_STR("\\n"));
        return;
    case '\f':
        mw_buf_put(buf, MW_STR("\\f"));
        return;
    case '\r':
        mw_buf_put(buf, MW_STR("\\r"));
        return;
    default:
        mw_buf_put(buf, MW_STR("\\u00"));
        mw_buf_put_c(buf, hex[c >> 4]);
        mw_buf_put_c(buf, hex[c & 15]);
    }
}

static void put_quoted(struct mw_buf *buf, struct mw_str value)
{
    const char *at = value.len > 0 ? value.ptr : ""; /* nothing is added to no place at all */
    const char *end = at + value.len;
    if (json_skip_plain(at, end) == end && mw_buf_room(buf, value.len + 2)) {
        char *to = buf->ptr + buf->len;
        to[0] = '"';
        if (value.len > 0)
            memcpy(to + 1, value.ptr, value.len);
        to[value.len + 1] = '"';
        buf->len += value.len + 2;
        return;
    }
    mw_buf_put_c(buf, '"');
    while (at < end) {
        const char *from = at;
        size_t length = 1;
        while ((at = json_skip_plain(at, end)) < end && (unsigned char)*at >= 0x80 &&
               (length = json_utf8_sequence(at, end)) > 0)
            at += length;
        mw_buf_put(buf, (struct mw_str){from, (size_t)(at - from)});
        if (at == end)
            break;
        unsigned char c = (unsigned char)*at++;
        if (c < 0x20) {
            put_control(buf, c);
        } else if (c < 0x80) {
            mw_buf_put_c(buf, '\\');
            mw_buf_put_c(buf, (char)c);
        } else {
            mw_buf_put(buf, MW_STR("\xef\xbf\xbd"));
        }
    }
    mw_buf_put_c(buf, '"');
}

void mw_json_key(struct mw_json *json, struct mw_str key)
{
    begin_value(json);
    put_quoted(json->buf, key);
    mw_buf_put_c(json->buf, ':');
    json->comma = false;
}

void mw_json_key_written(struct mw_json *json, struct mw_str written)
{
    mw_buf_put(json->buf, json->comma ? written : mw_str_sub(written, 1, written.len));
    json->comma = false;
}

void mw_json_str(struct mw_json *json, struct mw_str value)
{
    begin_value(json);
    put_quoted(json->buf, value);
}

void mw_json_i64(struct mw_json *json, int64_t value)
{
    begin_value(json);
    mw_buf_put_i64(json->buf, value);
}

void mw_json_u64(struct mw_json *json, uint64_t value)
{
    begin_value(json);
    mw_buf_put_u64(json->buf, value);
}

void mw_json_bool(struct mw_json *json, bool value)
{
    begin_value(json);
    mw_buf_put(json->buf, value ? MW_STR("true") : MW_STR("false"));
}

void mw_json_null(struct mw_json *json)
{
    begin_value(json);
    mw_buf_put(json->buf, MW_STR("null"));
}

void mw_json_raw(struct mw_json *json, struct mw_str json_text)
{
    begin_value(json);
    mw_buf_put(json->buf, json_text);
}

/* Recursion is bounded: no tape is deeper than MW_JSON_DEPTH_MAX. */
void mw_json_node(struct mw_json *json, const struct mw_tape *tape, uint32_t node)
{
    switch (mw_node_type(tape, node)) {
    case MW_NODE_NULL:
        mw_json_null(json);
        return;
    case MW_NODE_FALSE:
        mw_json_bool(json, false);
        return;
    case MW_NODE_TRUE:
        mw_json_bool(json, true);
        return;
    case MW_NODE_INTEGER:
        mw_json_i64(json, tape->nodes[node].integer);
        return;
    case MW_NODE_NUMBER:
        mw_json_raw(json, tape->nodes[node].text);
        return;
    case MW_NODE_STRING:
        mw_json_str(json, tape->nodes[node].text);
        return;
    case MW_NODE_ARRAY:
        mw_json_array(json);
        for (uint32_t i = node + 1; i < tape->nodes[node].next; i = tape->nodes[i].next)
            mw_json_node(json, tape, i);
        mw_json_array_end(json);
        return;
    case MW_NODE_OBJECT:
        mw_json_object(json);
        for (uint32_t i = node + 1; i < tape->nodes[node].next; i = tape->nodes[i + 1].next) {
            mw_json_key(json, tape->nodes[i].text);
            mw_json_node(json, tape, i + 1);
        }
        mw_json_object_end(json);
        return;
    }
    MW_UNREACHABLE("every node type was handled");
}
