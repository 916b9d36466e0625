/*
 * api.h - the HTTP surface under /v1 on the workspace's unix socket (docs/api.md): parse, check, hand over, render. No rules.
 *
 * Owns:     libmicrohttpd's daemon on a socket that it is given, request limits, streaming of records.
 * Does not: decide, wait for the disk (the host answers when it may), read the journal's files but through the port's reader.
 * Limits:   MW_API_BODY_BYTES_MAX a body; MW_API_BODIES_BYTES_MAX all bodies together (429); connections as struct mw_api_limits says: who is
 *           over it waits until another one has gone.
 */
#ifndef MW_API_H
#define MW_API_H

#include "msg/msg.h"

#define MW_API_BODY_BYTES_MAX ((size_t)4 << 20)
#define MW_API_BODIES_BYTES_MAX                                                                    \
    ((size_t)32 << 20) /* of all requests that are on their way in or wait */

#define MW_API_TOKEN_TEXT 65 /* 64 hexadecimal digits */
#define MW_API_HOST_TEXT 72

struct mw_api;
/* What those who come in by one socket may take. */
struct mw_api_limits {
    uint32_t connections_max; /* each is a descriptor of this process */
    /* A connection on which nothing has moved for so long, or a request's head is not whole by then, is closed, unless it waits for us;
     * 0: none. */
    uint32_t silent_s;
};
/* What every request has to carry that comes from farther away than this user's files (P21): the token, as `authorization: Bearer …`; a Host
 * that is one of hosts; an Origin, if any, that is http:// and that host. There is no CORS: no other page is ever let in. */
struct mw_api_guard {
    char token[MW_API_TOKEN_TEXT];
    char hosts[2][MW_API_HOST_TEXT]; /* empty: not used */
};
struct mw_api_call; /* one request that waits for its answer */

/* Which records of the journal somebody follows: what their lines begin with, and what stands before their payload. Empty: all. */
struct mw_api_wanted {
    struct mw_str start;
    struct mw_str member;
};
bool mw_api_wants(const struct mw_api_wanted *wanted, struct mw_str line);

struct mw_api_query {
    struct mw_str keys[16];
    struct mw_str values[16];
    uint32_t count;
};

/* What the host does for it. All run on the loop's thread. */
struct mw_api_ops {
    /* Answers later (or at once) with mw_api_answer. body is borrowed for the call. caller_path: the caller's PATH or empty. */
    void (*post)(void *host, enum mw_request_kind kind, struct mw_str body,
                 struct mw_str caller_path, struct mw_api_call *call);
    /* Appends a JSON body; the status. */
    unsigned (*hello)(void *host, struct mw_buf *out);
    unsigned (*view)(void *host, struct mw_str name, const struct mw_api_query *query,
                     struct mw_buf *out);
    unsigned (*shutdown)(void *host, struct mw_buf *out);
    /* Records after `after`, up to the durable one, appended as lines until about bytes_max; those that are wanted.
     * *ret_after: the last record looked at. */
    enum mw_rc (*records)(void *host, uint64_t after, const struct mw_api_wanted *wanted,
                          size_t bytes_max, struct mw_buf *out, uint64_t *ret_after,
                          struct mw_err *err);
    /* POST /v1/agents/AGENT/VERB: what a worker says (docs/agents.md). Answers later or at once; everything is borrowed for the call. */
    void (*worker)(void *host, struct mw_str agent, struct mw_str verb, struct mw_str body,
                   struct mw_api_call *call);
};

MW_MUST enum mw_rc mw_api_start(int listen_fd, const struct mw_api_limits *limits,
                                const struct mw_api_ops *ops, void *host, struct mw_api **ret_api,
                                struct mw_err *err);
/* From now on; before, nobody is asked for anything. */
void mw_api_guard(struct mw_api *api, const struct mw_api_guard *guard);
/* Watch this descriptor; when readable, or timeout_ms is over, call mw_api_run. */
int mw_api_fd(const struct mw_api *api);
void mw_api_run(struct mw_api *api);
/* -1: no timeout. */
int64_t mw_api_timeout_ms(const struct mw_api *api);
/* These records have just become durable: who follows and has seen all before them gets them from here, without looking at the disk. */
void mw_api_feed(struct mw_api *api, uint64_t first, uint32_t count, struct mw_str lines);
/* Followers look at what there is for them, and whether their client is still there. */
void mw_api_wake(struct mw_api *api);
uint32_t mw_api_connections(const struct mw_api *api);
void mw_api_stop(struct mw_api *api);

/* One answer a call; body is copied. */
void mw_api_answer(struct mw_api_call *call, unsigned status, struct mw_str body);
/* Of one that waits: its client has closed the connection. What is answered then nobody reads. */
bool mw_api_call_is_gone(const struct mw_api_call *call);
unsigned mw_api_status_of(enum mw_rc rc);
/* {"error":{"code","message","pointer"}} */
void mw_api_error_body(struct mw_buf *out, enum mw_rc rc, struct mw_str message,
                       struct mw_str pointer);

#endif
