/*
 * http.h - a minimal HTTP/1.1 client for our own host: one request after the other over a connected stream socket.
 *
 * Owns:     framing (Content-Length, chunked, end of connection) and its limits. Does not: connect, retry, know what is said.
 * Why not libcurl: loading it takes longer than most commands run.
 * Limits:   named below. Refused: both framings at once, two different lengths, obsolete line folding, an answer that is no HTTP/1.x.
 * Errors:   MW_E_IO the connection was lost; MW_E_CORRUPT what came is no HTTP; MW_E_TIMEOUT; MW_E_LIMIT.
 */
#ifndef MW_CLI_HTTP_H
#define MW_CLI_HTTP_H

#include "base/buf.h"

#define MW_HTTP_HEAD_BYTES_MAX (64u * 1024)
#define MW_HTTP_CHUNK_LINE_BYTES_MAX 256u
#define MW_HTTP_BODY_BYTES_MAX (256u * 1024 * 1024)

struct mw_http_request {
    const char *method;
    const char *target;  /* "/v1/hello"; already encoded */
    const char *headers; /* whole lines ending in CRLF, or "" */
    struct mw_str body;  /* sent with content-length and application/json when method is POST */
    bool keep;           /* the connection is for more requests: mw_http_again */
};

enum mw_http_framing { MW_HTTP_LENGTH, MW_HTTP_CHUNKED, MW_HTTP_TO_END };

struct mw_http_stream {
    int fd;            /* owned: mw_http_close; non-blocking */
    int status;        /* 0 until the head is read */
    bool done;         /* the body is complete */
    struct mw_buf raw; /* owned: bytes not decoded yet */
    size_t raw_at;
    struct mw_buf body; /* owned: decoded bytes not taken yet; the reader resets it */
    enum mw_http_framing framing;
    int chunk_state;
    uint64_t left; /* of the body or the chunk */
};

/* Sends the request; takes fd in every case. timeout_ms bounds each wait for the socket. */
MW_MUST enum mw_rc mw_http_start(int fd, const struct mw_http_request *request, int timeout_ms,
                                 struct mw_http_stream *ret_stream, struct mw_err *err);
/* The next request over the same connection, after the answer of the one before (which asked to keep it) is complete; its body is dropped. */
MW_MUST enum mw_rc mw_http_again(struct mw_http_stream *stream,
                                 const struct mw_http_request *request, int timeout_ms,
                                 struct mw_err *err);
/* Reads once what is there (call when fd is readable) and decodes it into body. Nothing there is fine. */
MW_MUST enum mw_rc mw_http_fill(struct mw_http_stream *stream, struct mw_err *err);
/* Fills until the head is there. */
MW_MUST enum mw_rc mw_http_head(struct mw_http_stream *stream, int timeout_ms, struct mw_err *err);
/* The rest of the body; more than max_bytes is MW_E_LIMIT. */
MW_MUST enum mw_rc mw_http_rest(struct mw_http_stream *stream, int timeout_ms, size_t max_bytes,
                                struct mw_err *err);
/* Takes the next whole line (without newline) of the body; false when there is none yet. The line is valid until the next fill. */
bool mw_http_line(struct mw_http_stream *stream, size_t *at, struct mw_str *ret_line);
/* Forgets the first at bytes of the body. */
void mw_http_taken(struct mw_http_stream *stream, size_t at);
void mw_http_close(struct mw_http_stream *stream);
/* Appends text with everything but unreserved characters percent-encoded. */
void mw_http_encode(struct mw_buf *buf, const char *text);

#endif
