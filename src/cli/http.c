#include "cli/http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix/heap.h"

#define READ_BYTES (64u * 1024)

enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILERS };

static enum mw_rc send_all(int fd, struct mw_str bytes, int timeout_ms, struct mw_err *err);
static enum mw_rc wait_for(int fd, short events, int timeout_ms, struct mw_err *err);
static enum mw_rc take_head(struct mw_http_stream *stream, struct mw_err *err);
static enum mw_rc take_body(struct mw_http_stream *stream, struct mw_err *err);

/* Head and body in one piece: what is sent in two costs the other side two looks. */
static enum mw_rc send_request(int fd, const struct mw_http_request *request, int timeout_ms,
                               struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    mw_buf_printf(&text, "%s %s HTTP/1.1\r\nHost: millwright\r\n%s%s", request->method,
                  request->target, request->keep ? "" : "Connection: close\r\n", request->headers);
    if (strcmp(request->method, "POST") == 0)
        mw_buf_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                      request->body.len);
    mw_buf_put_z(&text, "\r\n");
    mw_buf_put(&text, request->body);
    enum mw_rc rc = send_all(fd, mw_buf_str(&text), timeout_ms, err);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_http_start(int fd, const struct mw_http_request *request, int timeout_ms,
                         struct mw_http_stream *ret_stream, struct mw_err *err)
{
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK); /* a connected socket takes it */
    enum mw_rc rc = send_request(fd, request, timeout_ms, err);
    if (rc != MW_OK) {
        (void)close(fd); /* nothing was promised about it */
        return rc;
    }
    *ret_stream = (struct mw_http_stream){.fd = fd, .raw = mw_heap_buf(), .body = mw_heap_buf()};
    return MW_OK;
}

enum mw_rc mw_http_again(struct mw_http_stream *stream, const struct mw_http_request *request,
                         int timeout_ms, struct mw_err *err)
{
    MW_ASSERT(stream->done && stream->framing != MW_HTTP_TO_END);
    stream->status = 0;
    stream->done = false;
    stream->chunk_state = 0;
    stream->left = 0;
    mw_buf_reset(&stream->body);
    return send_request(stream->fd, request, timeout_ms, err);
}

void mw_http_close(struct mw_http_stream *stream)
{
    if (stream->fd >= 0)
        (void)close(stream->fd); /* a socket that was only read */
    mw_heap_buf_free(&stream->raw);
    mw_heap_buf_free(&stream->body);
    stream->fd = -1;
}

enum mw_rc mw_http_fill(struct mw_http_stream *stream, struct mw_err *err)
{
    char block[READ_BYTES];
    if (stream->done)
        return MW_OK;
    ssize_t got = recv(stream->fd, block, sizeof(block), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return MW_OK;
    if (got < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "the connection to the host was lost");
    if (got == 0) {
        if (stream->status != 0 && stream->framing == MW_HTTP_TO_END) {
            stream->done = true;
            return MW_OK;
        }
        return MW_FAIL(err, MW_E_IO, "the host closed the connection before its answer was whole");
    }
    mw_buf_put(&stream->raw, (struct mw_str){block, (size_t)got});
    if (stream->status == 0) {
        enum mw_rc rc = take_head(stream, err);
        if (rc != MW_OK || stream->status == 0)
            return rc;
    }
    return take_body(stream, err);
}

enum mw_rc mw_http_head(struct mw_http_stream *stream, int timeout_ms, struct mw_err *err)
{
    while (stream->status == 0) {
        enum mw_rc rc = wait_for(stream->fd, POLLIN, timeout_ms, err);
        if (rc == MW_OK)
            rc = mw_http_fill(stream, err);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}

enum mw_rc mw_http_rest(struct mw_http_stream *stream, int timeout_ms, size_t max_bytes,
                        struct mw_err *err)
{
    enum mw_rc rc = mw_http_head(stream, timeout_ms, err);
    while (rc == MW_OK && !stream->done) {
        if (stream->body.len > max_bytes)
            return MW_FAIL(err, MW_E_LIMIT, "the host's answer is larger than %zu bytes",
                           max_bytes);
        rc = wait_for(stream->fd, POLLIN, timeout_ms, err);
        if (rc == MW_OK)
            rc = mw_http_fill(stream, err);
    }
    if (rc == MW_OK && stream->body.len > max_bytes)
        return MW_FAIL(err, MW_E_LIMIT, "the host's answer is larger than %zu bytes", max_bytes);
    return rc;
}

bool mw_http_line(struct mw_http_stream *stream, size_t *at, struct mw_str *ret_line)
{
    struct mw_str body = mw_buf_str(&stream->body);
    size_t end = mw_str_find(body, '\n', *at);
    if (end == SIZE_MAX)
        return false;
    *ret_line = mw_str_sub(body, *at, end - *at);
    *at = end + 1;
    return true;
}

void mw_http_taken(struct mw_http_stream *stream, size_t at)
{
    MW_ASSERT(at <= stream->body.len);
    if (at == 0)
        return;
    memmove(stream->body.ptr, stream->body.ptr + at, stream->body.len - at);
    stream->body.len -= at;
}

void mw_http_encode(struct mw_buf *buf, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
        bool plain = ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') || (*at >= '0' && *at <= '9') ||
                     strchr("-._~", *at) != NULL;
        if (plain) {
            mw_buf_put_c(buf, (char)*at);
        } else {
            mw_buf_put_c(buf, '%');
            mw_buf_put_hex(buf, at, 1);
        }
    }
}

/* ---- the socket ---- */

static enum mw_rc wait_for(int fd, short events, int timeout_ms, struct mw_err *err)
{
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = events};
        int ready = poll(&entry, 1, timeout_ms);
        if (ready > 0)
            return MW_OK;
        if (ready == 0)
            return MW_FAIL(err, MW_E_TIMEOUT, "the host did not answer within %d ms", timeout_ms);
        if (errno != EINTR)
            return MW_FAIL_SYS(err, MW_E_IO, "wait for the host");
    }
}

static enum mw_rc send_all(int fd, struct mw_str bytes, int timeout_ms, struct mw_err *err)
{
    size_t at = 0;
    while (at < bytes.len) {
        ssize_t sent = send(fd, bytes.ptr + at, bytes.len - at, MSG_NOSIGNAL);
        if (sent >= 0) {
            at += (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return MW_FAIL_SYS(err, MW_E_IO, "the connection to the host was lost");
        enum mw_rc rc = wait_for(fd, POLLOUT, timeout_ms, err);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}

/* ---- the head ---- */

static enum mw_rc bad(const char *what, struct mw_err *err)
{
    return MW_FAIL(err, MW_E_CORRUPT, "what the host answered is no HTTP: %s", what);
}

static bool has_name(struct mw_str line, const char *name, struct mw_str *ret_value)
{
    size_t len = strlen(name);
    if (line.len <= len || line.ptr[len] != ':' || strncasecmp(line.ptr, name, len) != 0)
        return false;
    *ret_value = mw_str_trim(mw_str_sub(line, len + 1, line.len));
    return true;
}

static enum mw_rc take_header(struct mw_http_stream *stream, struct mw_str line, bool *has_length,
                              struct mw_err *err)
{
    struct mw_str value;
    uint64_t length = 0;
    if (line.len == 0 || line.ptr[0] == ' ' || line.ptr[0] == '\t' ||
        mw_str_find(line, ':', 0) == SIZE_MAX)
        return bad("a header line has no name", err);
    if (has_name(line, "content-length", &value)) {
        if (!mw_str_to_u64(value, &length) || (*has_length && length != stream->left))
            return bad("the content-length", err);
        *has_length = true;
        stream->left = length;
    }
    if (has_name(line, "transfer-encoding", &value)) {
        if (value.len != 7 || strncasecmp(value.ptr, "chunked", 7) != 0)
            return bad("an unknown transfer-encoding", err);
        stream->framing = MW_HTTP_CHUNKED;
    }
    return MW_OK;
}

/* Reads the head when it is whole; an interim answer (1xx) is dropped. */
static enum mw_rc take_head(struct mw_http_stream *stream, struct mw_err *err)
{
    for (;;) {
        const char *start = stream->raw.ptr + stream->raw_at;
        size_t have = stream->raw.len - stream->raw_at;
        const char *end = memmem(start, have, "\r\n\r\n", 4);
        if (end == NULL && have > MW_HTTP_HEAD_BYTES_MAX)
            return MW_FAIL(err, MW_E_LIMIT, "the host's answer has a head over %u bytes",
                           MW_HTTP_HEAD_BYTES_MAX);
        if (end == NULL)
            return MW_OK;
        struct mw_str head = {start, (size_t)(end - start) + 2};
        size_t line_end = mw_str_find(head, '\r', 0);
        if (line_end < 12 || memcmp(head.ptr, "HTTP/1.", 7) != 0 || head.ptr[8] != ' ')
            return bad("the first line", err);
        uint64_t status = 0;
        if (!mw_str_to_u64(mw_str_sub(head, 9, 3), &status) || status < 100 || status > 599)
            return bad("the status", err);
        bool has_length = false;
        stream->framing = MW_HTTP_TO_END;
        for (size_t at = line_end + 2; at < head.len;) {
            size_t next = mw_str_find(head, '\r', at);
            if (next == SIZE_MAX || next + 1 >= head.len || head.ptr[next + 1] != '\n')
                return bad("a line end", err);
            enum mw_rc rc = take_header(stream, mw_str_sub(head, at, next - at), &has_length, err);
            if (rc != MW_OK)
                return rc;
            at = next + 2;
        }
        if (has_length && stream->framing == MW_HTTP_CHUNKED)
            return bad("content-length with transfer-encoding", err);
        stream->raw_at += head.len + 2;
        if (status < 200)
            continue;
        if (has_length)
            stream->framing = MW_HTTP_LENGTH;
        stream->status = (int)status;
        stream->done = (has_length && stream->left == 0) || status == 204 || status == 304;
        stream->chunk_state = CHUNK_SIZE;
        return MW_OK;
    }
}

/* ---- the body ---- */

/* A line of the chunked framing; false when it is not whole yet. */
static enum mw_rc chunk_line(struct mw_http_stream *stream, struct mw_str *ret_line, bool *ret_has,
                             struct mw_err *err)
{
    struct mw_str raw = mw_str_sub(mw_buf_str(&stream->raw), stream->raw_at, SIZE_MAX);
    const char *end = raw.len > 0 ? memmem(raw.ptr, raw.len, "\r\n", 2) : NULL;
    *ret_has = end != NULL;
    if (end == NULL)
        return raw.len > MW_HTTP_CHUNK_LINE_BYTES_MAX ? bad("a chunk's line", err) : MW_OK;
    *ret_line = mw_str_sub(raw, 0, (size_t)(end - raw.ptr));
    if (ret_line->len > MW_HTTP_CHUNK_LINE_BYTES_MAX)
        return bad("a chunk's line", err);
    stream->raw_at += ret_line->len + 2;
    return MW_OK;
}

static bool chunk_size(struct mw_str line, uint64_t *ret_size)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.len; digits++) {
        char c = line.ptr[digits];
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0)
            break;
        size = size << 4 | (uint64_t)value;
    }
    if (digits == 0 || digits > 8 || (digits < line.len && line.ptr[digits] != ';'))
        return false;
    *ret_size = size;
    return true;
}

static void move_body(struct mw_http_stream *stream)
{
    size_t have = stream->raw.len - stream->raw_at;
    size_t take = have < stream->left ? have : (size_t)stream->left;
    mw_buf_put(&stream->body, (struct mw_str){stream->raw.ptr + stream->raw_at, take});
    stream->raw_at += take;
    stream->left -= take;
}

static enum mw_rc take_chunks(struct mw_http_stream *stream, struct mw_err *err)
{
    while (!stream->done) {
        struct mw_str line;
        bool has = true;
        if (stream->chunk_state == CHUNK_DATA) {
            move_body(stream);
            if (stream->left > 0)
                return MW_OK;
            stream->chunk_state = CHUNK_END;
        }
        enum mw_rc rc = chunk_line(stream, &line, &has, err);
        if (rc != MW_OK || !has)
            return rc;
        if (stream->chunk_state == CHUNK_END) {
            if (line.len != 0)
                return bad("a chunk is longer than it says", err);
            stream->chunk_state = CHUNK_SIZE;
        } else if (stream->chunk_state == CHUNK_TRAILERS) {
            stream->done = line.len == 0;
        } else {
            if (!chunk_size(line, &stream->left))
                return bad("a chunk's size", err);
            stream->chunk_state = stream->left > 0 ? CHUNK_DATA : CHUNK_TRAILERS;
        }
    }
    return MW_OK;
}

static enum mw_rc take_body(struct mw_http_stream *stream, struct mw_err *err)
{
    enum mw_rc rc = MW_OK;
    if (stream->done)
        return MW_OK;
    if (stream->framing == MW_HTTP_CHUNKED) {
        rc = take_chunks(stream, err);
    } else {
        if (stream->framing == MW_HTTP_TO_END)
            stream->left = UINT64_MAX;
        move_body(stream);
        stream->done = stream->framing == MW_HTTP_LENGTH && stream->left == 0;
    }
    if (stream->body.len > MW_HTTP_BODY_BYTES_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "the host's answer is larger than %u bytes",
                       MW_HTTP_BODY_BYTES_MAX);
    /* What was decoded is dropped, so that a stream of days does not grow. */
    memmove(stream->raw.ptr, stream->raw.ptr + stream->raw_at, stream->raw.len - stream->raw_at);
    stream->raw.len -= stream->raw_at;
    stream->raw_at = 0;
    return rc;
}
