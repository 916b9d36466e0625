#include "cli/proxy_head.h"

#include <string.h>
#include <strings.h>

#include "cli/proxy.h"

#define CHUNK_LINE_MAX 256u

enum {
    SIZE,
    EXTENSION,
    SIZE_END,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    TRAILER_LINE,
    TRAILER_END,
    LAST_LF
};

static bool is_token(struct mw_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return text.len > 0;
}

/* The next line without its CRLF; false at the blank line, at a bare CR or LF, and at the end. */
static bool next_line(struct mw_str head, size_t *at, struct mw_str *ret_line)
{
    size_t from = *at;
    for (size_t i = from; i + 1 < head.len; i++) {
        if (head.ptr[i] == '\n' || (head.ptr[i] == '\r' && head.ptr[i + 1] != '\n'))
            return false;
        if (head.ptr[i] != '\r')
            continue;
        if (i == from)
            return false;
        *ret_line = mw_str_sub(head, from, i - from);
        *at = i + 2;
        return true;
    }
    return false;
}

static bool named(struct mw_str line, size_t colon, const char *name)
{
    return colon == strlen(name) && strncasecmp(line.ptr, name, colon) == 0;
}

/* Two lengths, or a length beside chunked, mean that two readers could disagree on where the next request begins. */
static int take_framing(struct mw_str line, size_t colon, bool *has_length, bool *has_encoding,
                        struct mw_body_meter *body)
{
    struct mw_str value = mw_str_trim(mw_str_sub(line, colon + 1, line.len));
    if (named(line, colon, "content-length")) {
        if (*has_length || *has_encoding || !mw_str_to_u64(value, &body->left))
            return 400;
        *has_length = true;
        body->framing = MW_BODY_LENGTH;
        if (body->left > MW_PROXY_BODY_BYTES_MAX)
            return 413;
    }
    if (named(line, colon, "transfer-encoding")) {
        if (*has_length || *has_encoding || value.len != 7 ||
            strncasecmp(value.ptr, "chunked", 7) != 0)
            return 400;
        *has_encoding = true;
        body->framing = MW_BODY_CHUNKED;
    }
    return 0;
}

int mw_proxy_head_read(struct mw_str head, struct mw_proxy_request *ret_request)
{
    struct mw_proxy_request request = {.body = {.framing = MW_BODY_NONE}};
    struct mw_str line;
    size_t at = 0;
    bool has_length = false, has_encoding = false;
    if (head.len < 4 || memcmp(head.ptr + head.len - 4, "\r\n\r\n", 4) != 0 ||
        !next_line(head, &at, &line))
        return 400;
    size_t first = mw_str_find(line, ' ', 0);
    size_t second = first != SIZE_MAX ? mw_str_find(line, ' ', first + 1) : SIZE_MAX;
    if (second == SIZE_MAX || mw_str_find(line, ' ', second + 1) != SIZE_MAX)
        return 400;
    request.method = mw_str_sub(line, 0, first);
    request.target = mw_str_sub(line, first + 1, second - first - 1);
    struct mw_str version = mw_str_sub(line, second + 1, line.len);
    if (!is_token(request.method) || request.target.len == 0 || request.target.ptr[0] != '/')
        return 400;
    if (!mw_str_is(version, "HTTP/1.1") && !mw_str_is(version, "HTTP/1.0"))
        return 505;
    for (size_t i = 0; i < request.target.len; i++)
        if ((unsigned char)request.target.ptr[i] <= 0x20 || request.target.ptr[i] == 0x7f)
            return 400;
    while (next_line(head, &at, &line)) {
        size_t colon = mw_str_find(line, ':', 0);
        if (colon == SIZE_MAX || !is_token(mw_str_sub(line, 0, colon)) ||
            memchr(line.ptr, '\0', line.len) != NULL)
            return 400;
        int status = take_framing(line, colon, &has_length, &has_encoding, &request.body);
        if (status != 0)
            return status;
    }
    if (at + 2 != head.len)
        return 400;
    request.body.done = request.body.framing == MW_BODY_NONE ||
                        (request.body.framing == MW_BODY_LENGTH && request.body.left == 0);
    *ret_request = request;
    return 0;
}

static bool is_hop(struct mw_str line, size_t colon)
{
    static const char *const names[] = {"connection",          "keep-alive", "proxy-connection",
                                        "proxy-authorization", "te",         "upgrade"};
    for (size_t i = 0; i < MW_COUNT(names); i++)
        if (named(line, colon, names[i]))
            return true;
    return false;
}

void mw_proxy_head_write(struct mw_str head, const struct mw_proxy_request *request,
                         struct mw_str target, struct mw_buf *out)
{
    struct mw_str line;
    size_t at = 0;
    mw_buf_put(out, request->method);
    mw_buf_put_c(out, ' ');
    mw_buf_put(out, target);
    mw_buf_put_z(out, " HTTP/1.1\r\n");
    (void)next_line(head, &at, &line); /* the request line was read before */
    while (next_line(head, &at, &line)) {
        if (is_hop(line, mw_str_find(line, ':', 0)))
            continue;
        mw_buf_put(out, line);
        mw_buf_put_z(out, "\r\n");
    }
    mw_buf_put_z(out, "Connection: close\r\n\r\n");
}

/* ---- the body ---- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool take_size(struct mw_body_meter *meter, char c)
{
    int digit = hex_of(c);
    if (meter->state == SIZE && digit >= 0 && meter->digits < 8) {
        meter->size = meter->size << 4 | (uint64_t)digit;
        meter->digits++;
        return true;
    }
    if (meter->digits == 0 || c == '\n' || ++meter->line_bytes > CHUNK_LINE_MAX)
        return false;
    if (c == '\r')
        meter->state = SIZE_END;
    else if (meter->state == SIZE && c == ';')
        meter->state = EXTENSION;
    else if (meter->state == SIZE)
        return false;
    return true;
}

/* One byte that is not chunk data. */
static bool take_frame(struct mw_body_meter *meter, char c)
{
    switch (meter->state) {
    case SIZE:
    case EXTENSION:
        return take_size(meter, c);
    case SIZE_END:
        meter->state = meter->size > 0 ? DATA : TRAILER;
        meter->left = meter->size;
        meter->size = meter->digits = meter->line_bytes = 0;
        return c == '\n';
    case DATA_CR:
        meter->state = DATA_LF;
        return c == '\r';
    case DATA_LF:
        meter->state = SIZE;
        return c == '\n';
    case TRAILER:
        meter->state = c == '\r' ? LAST_LF : TRAILER_LINE;
        return c != '\n';
    case TRAILER_LINE:
        meter->state = c == '\r' ? TRAILER_END : TRAILER_LINE;
        return c != '\n' && ++meter->line_bytes < MW_PROXY_HEAD_BYTES_MAX;
    case TRAILER_END:
        meter->state = TRAILER;
        return c == '\n';
    default:
        meter->done = true;
        return c == '\n';
    }
}

bool mw_body_take(struct mw_body_meter *meter, struct mw_str bytes, size_t *ret_taken)
{
    size_t at = 0;
    *ret_taken = 0;
    while (at < bytes.len && !meter->done) {
        bool data = meter->framing == MW_BODY_LENGTH || meter->state == DATA;
        if (!data) {
            if (!take_frame(meter, bytes.ptr[at++]))
                return false;
            continue;
        }
        size_t take = bytes.len - at < meter->left ? bytes.len - at : (size_t)meter->left;
        at += take;
        meter->left -= take;
        meter->total += take;
        if (meter->total > MW_PROXY_BODY_BYTES_MAX)
            return false;
        if (meter->left == 0 && meter->framing == MW_BODY_LENGTH)
            meter->done = true;
        else if (meter->left == 0)
            meter->state = DATA_CR;
    }
    *ret_taken = at;
    return true;
}
