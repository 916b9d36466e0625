#include "api/api.h"
#include "api/http_library.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define STREAM_CHUNK_BYTES 65536u
#define FEED_BYTES_MAX                                                                             \
    ((size_t)1 << 20)     /* whoever reads slower than that gets the rest from the disk */
#define ARGUMENTS_MAX 64u /* of one address; no view has so many */
#define FULL_LOOK_MS 1000 /* while every place is taken: is somebody gone who holds one? */

struct follower {
    struct follower *next;
    struct mw_api *api;
    struct MHD_Connection *connection;
    char *start, *member; /* owned: of what is wanted */
    uint64_t after;
    struct mw_buf lines;
    size_t sent;
    bool follows;
    bool suspended;
    bool gone; /* its client has closed: nobody reads what would come */
};

/* A connection, and since when the head of a request is awaited on it. */
struct caller {
    struct caller *next;
    int fd;
    int64_t since_ns; /* 0: it has come */
};

struct mw_api {
    struct MHD_Daemon *daemon;
    const struct mw_api_ops *ops;
    void *host;
    struct follower *followers;
    struct mw_api_call *waiting; /* posted, not answered yet: suspended */
    struct mw_api_guard guard;   /* no token: whoever can open the socket may ask */
    struct caller *callers;
    int64_t head_ns; /* a head is whole after so long, or its connection ends; 0: whenever */
    uint32_t connections_max;
    int fd;
    size_t body_bytes; /* of all calls */
    bool resumed;      /* a connection goes on: run once more before sleeping */
    bool closed;       /* a connection has ended since this was put back */
    int64_t looked_ns; /* when it was last looked who is gone of those who hold every place */
};

struct mw_api_call {
    struct mw_api_call *next; /* while it waits */
    struct mw_api *api;
    struct MHD_Connection *connection;
    struct mw_buf body;
    bool too_many; /* its body would be over what all may hold: it is not kept */
    bool posted;   /* handed over; waits suspended */
    bool answered;
    unsigned status;
    struct mw_buf answer;
};

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **state);
static void on_completed(void *user, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code);
static void on_connection(void *user, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode code);
static void *on_address(void *user, const char *address, struct MHD_Connection *connection);

enum mw_rc mw_api_start(int listen_fd, const struct mw_api_limits *limits,
                        const struct mw_api_ops *ops, void *host, struct mw_api **ret_api,
                        struct mw_err *err)
{
    if (!mw_http_library_load())
        return MW_FAIL(err, MW_E_MISSING, "the HTTP server needs " MW_HTTP_LIBRARY);
    struct mw_api *api = mw_heap_alloc(sizeof(*api));
    api->ops = ops;
    api->host = host;
    api->head_ns = (int64_t)limits->silent_s * 1000000000;
    api->connections_max = limits->connections_max;
    api->daemon =
        mhd.start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, api,
                         MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, api,
                         MHD_OPTION_URI_LOG_CALLBACK, on_address, NULL, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)limits->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)limits->silent_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)65536, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        api->daemon != NULL ? mhd.get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL) {
        free(api);
        return MW_FAIL(err, MW_E_IO, "the HTTP server does not start");
    }
    api->fd = info->epoll_fd;
    *ret_api = api;
    return MW_OK;
}

void mw_api_guard(struct mw_api *api, const struct mw_api_guard *guard)
{
    api->guard = *guard;
}

int mw_api_fd(const struct mw_api *api)
{
    return api->fd;
}

/* ---- addresses ---- */

/* Stands where a request's call would: its address is refused. */
static const char too_many_arguments, nul_in_address;

static bool is_call(const void *state)
{
    return state != NULL && state != &too_many_arguments && state != &nul_in_address;
}

/* Of arguments for which its memory has no room libmicrohttpd (0.9.75) says nothing, and never answers: the rest is left one text, in its own
 * buffer, which it takes apart next. A NUL would end the text that it makes of them (P14). */
static void *on_address(void *user, const char *address, struct MHD_Connection *connection)
{
    unsigned count = 0;
    (void)user, (void)connection;
    for (char *at = strchr((char *)(uintptr_t)address, '&'); at != NULL; at = strchr(at + 1, '&'))
        if (++count >= ARGUMENTS_MAX)
            *at = '_';
    return (void *)(uintptr_t)(count >= ARGUMENTS_MAX           ? &too_many_arguments
                               : strstr(address, "%00") != NULL ? &nul_in_address
                                                                : NULL);
}

/* ---- heads that never end ---- */

static void on_connection(void *user, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    struct mw_api *api = user;
    struct caller *caller = *state;
    struct caller **at = &api->callers;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        caller = mw_heap_alloc(sizeof(*caller));
        *caller = (struct caller){.next = api->callers,
                                  .fd = info != NULL ? info->connect_fd : -1,
                                  .since_ns = mw_now_monotonic_ns()};
        api->callers = *state = caller;
        return;
    }
    while (*at != caller)
        at = &(*at)->next;
    *at = caller->next;
    free(caller);
    api->closed = true;
}

static void await_head(struct MHD_Connection *connection, int64_t since_ns)
{
    const union MHD_ConnectionInfo *info =
        mhd.get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct caller *caller = info != NULL ? info->socket_context : NULL;
    if (caller != NULL)
        caller->since_ns = since_ns;
}

/* For libmicrohttpd a byte now and then is no silence. INT64_MAX: nobody is waited for. */
static int64_t end_late_heads(const struct mw_api *api)
{
    int64_t now_ns = mw_now_monotonic_ns(), next_ns = INT64_MAX;
    for (struct caller *caller = api->callers; api->head_ns > 0 && caller != NULL;
         caller = caller->next) {
        int64_t left_ns = caller->since_ns + api->head_ns - now_ns;
        if (caller->since_ns == 0)
            continue;
        if (left_ns > 0 && left_ns < next_ns)
            next_ns = left_ns;
        if (left_ns > 0)
            continue;
        (void)shutdown(caller->fd, SHUT_RDWR); /* it is seen to have ended */
        caller->since_ns = 0;
    }
    return next_ns;
}

uint32_t mw_api_connections(const struct mw_api *api)
{
    const union MHD_DaemonInfo *info =
        mhd.get_daemon_info(api->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info != NULL ? info->num_connections : 0;
}

/* libmicrohttpd does not look at a suspended connection: that its client has left is asked of the kernel. */
static bool has_left(struct MHD_Connection *connection)
{
    char byte;
    const union MHD_ConnectionInfo *info =
        mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    ssize_t got = info != NULL ? recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
    return got == 0 || (got < 0 && errno == ECONNRESET); /* with bytes that it had not read */
}

bool mw_api_call_is_gone(const struct mw_api_call *call)
{
    return has_left(call->connection);
}

static void go_on(struct follower *follower)
{
    if (!follower->suspended)
        return;
    follower->gone = has_left(follower->connection);
    follower->suspended = false;
    follower->api->resumed = true;
    mhd.resume_connection(follower->connection);
}

/* Nobody tells that a suspended connection has ended, and no record may come for hours: it is looked for while its place is wanted. */
static bool is_full(const struct mw_api *api)
{
    return api->followers != NULL && mw_api_connections(api) >= api->connections_max;
}

void mw_api_run(struct mw_api *api)
{
    api->resumed = false;
    bool full = is_full(api);
    (void)end_late_heads(api);
    if (full)
        api->looked_ns = mw_now_monotonic_ns();
    for (struct follower *follower = full ? api->followers : NULL; follower != NULL;
         follower = follower->next)
        if (follower->suspended && has_left(follower->connection))
            go_on(follower);
    api->closed = false;
    (void)mhd.run(api->daemon); /* its trouble is one connection's trouble */
    /* While all places are taken libmicrohttpd (0.9.75) does not listen, and it begins again only in the turn after the one that made room:
     * for that one nobody calls, and nobody would come in any more. */
    if (api->closed)
        (void)mhd.run(api->daemon);
}

int64_t mw_api_timeout_ms(const struct mw_api *api)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    if (api->resumed)
        return 0;
    int64_t next_ns = end_late_heads(api);
    int64_t next_ms = next_ns == INT64_MAX ? -1 : next_ns / 1000000 + 1;
    if (is_full(api)) { /* from the last look on, not from now: whoever is woken often asks often */
        int64_t look_ms = FULL_LOOK_MS - (mw_now_monotonic_ns() - api->looked_ns) / 1000000;
        if (next_ms < 0 || next_ms > look_ms)
            next_ms = look_ms > 0 ? look_ms : 0;
    }
    if (mhd.get_timeout(api->daemon, &timeout) != MHD_YES)
        return next_ms;
    return next_ms >= 0 && next_ms < (int64_t)timeout ? next_ms : (int64_t)timeout;
}

void mw_api_wake(struct mw_api *api)
{
    for (struct follower *follower = api->followers; follower != NULL; follower = follower->next)
        go_on(follower);
}

bool mw_api_wants(const struct mw_api_wanted *wanted, struct mw_str line)
{
    if (!mw_str_starts(line, wanted->start))
        return false;
    if (wanted->member.len == 0)
        return true;
    const char *payload = memmem(line.ptr, line.len, "\"payload\":", 10);
    size_t head = payload != NULL ? (size_t)(payload - line.ptr) : line.len;
    return memmem(line.ptr, head, wanted->member.ptr, wanted->member.len) != NULL;
}

static void take_lines(struct follower *follower, struct mw_str lines)
{
    struct mw_api_wanted wanted = {mw_str_of(follower->start), mw_str_of(follower->member)};
    for (size_t at = 0; at < lines.len;) {
        size_t end = mw_str_find(lines, '\n', at);
        MW_ASSERT(end != SIZE_MAX);
        if (mw_api_wants(&wanted, mw_str_sub(lines, at, end - at)))
            mw_buf_put(&follower->lines, mw_str_sub(lines, at, end + 1 - at));
        at = end + 1;
    }
}

/* What has been sent goes once it is the larger part: a client that is always a little behind never leaves the lines empty. */
static void drop_sent(struct follower *follower)
{
    size_t unread = follower->lines.len - follower->sent;
    if (follower->sent < unread || follower->sent == 0)
        return;
    memmove(follower->lines.ptr, follower->lines.ptr + follower->sent, unread);
    follower->lines.len = unread;
    follower->sent = 0;
}

void mw_api_feed(struct mw_api *api, uint64_t first, uint32_t count, struct mw_str lines)
{
    for (struct follower *follower = api->followers; follower != NULL; follower = follower->next) {
        size_t unread = follower->lines.len - follower->sent;
        if (follower->after + 1 == first && unread < FEED_BYTES_MAX) {
            drop_sent(follower);
            take_lines(follower, lines);
            follower->after += count;
            unread = follower->lines.len - follower->sent;
        } else {
            unread = 1; /* of what is on the disk */
        }
        if (unread > 0)
            go_on(follower);
    }
}

void mw_api_stop(struct mw_api *api)
{
    if (api == NULL)
        return;
    for (struct follower *follower = api->followers; follower != NULL; follower = follower->next)
        follower->follows = false;
    mw_api_wake(api);
    /* The daemon does not stop while one is suspended. Whoever waits hears that the connection ended, and asks again with its messageId. */
    for (struct mw_api_call *call = api->waiting; call != NULL; call = call->next)
        mhd.resume_connection(call->connection);
    mhd.stop_daemon(api->daemon);
    free(api);
}

/* ---- answers ---- */

static enum MHD_Result send_body(struct MHD_Connection *connection, unsigned status,
                                 struct mw_str body)
{
    struct MHD_Response *response = mhd.create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)mhd.add_response_header(response, "content-type", "application/json");
    (void)mhd.add_response_header(response, "cache-control", "no-store");
    if (status == 401)
        (void)mhd.add_response_header(response, "www-authenticate", "Bearer");
    if (status == 429 || status == 503 || status == 507)
        (void)mhd.add_response_header(response, "retry-after", "1");
    enum MHD_Result queued = mhd.queue_response(connection, status, response);
    mhd.destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, enum mw_rc rc,
                              const char *message)
{
    struct mw_buf body = mw_heap_buf();
    mw_api_error_body(&body, rc, mw_str_of(message), MW_STR_NONE);
    enum MHD_Result queued = send_body(connection, status, mw_buf_str(&body));
    mw_heap_buf_free(&body);
    return queued;
}

static void forget_waiting(struct mw_api_call *call)
{
    struct mw_api_call **at = &call->api->waiting;
    while (*at != NULL && *at != call)
        at = &(*at)->next;
    if (*at != NULL)
        *at = call->next;
}

void mw_api_answer(struct mw_api_call *call, unsigned status, struct mw_str body)
{
    MW_ASSERT(!call->answered);
    call->answered = true;
    call->status = status;
    mw_buf_put(&call->answer, body);
    if (!call->posted)
        return;
    forget_waiting(call);
    call->api->resumed = true;
    mhd.resume_connection(call->connection);
}

/* ---- records as a stream ---- */

static ssize_t read_stream(void *user, uint64_t position, char *to, size_t room)
{
    struct follower *follower = user;
    struct mw_err err;
    (void)position; /* the follower knows where it is */
    if (follower->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (follower->sent == follower->lines.len) {
        mw_buf_reset(&follower->lines);
        follower->sent = 0;
        struct mw_api_wanted wanted = {mw_str_of(follower->start), mw_str_of(follower->member)};
        if (follower->api->ops->records(follower->api->host, follower->after, &wanted,
                                        STREAM_CHUNK_BYTES, &follower->lines, &follower->after,
                                        &err) != MW_OK)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = follower->lines.len - follower->sent;
    if (left == 0 && !follower->follows)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (left == 0) {
        follower->suspended = true;
        mhd.suspend_connection(follower->connection);
        return 0;
    }
    size_t take = left < room ? left : room;
    memcpy(to, follower->lines.ptr + follower->sent, take);
    follower->sent += take;
    return (ssize_t)take;
}

static void free_stream(void *user)
{
    struct follower *gone = user;
    struct follower **at = &gone->api->followers;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    mw_heap_buf_free(&gone->lines);
    free(gone->start);
    free(gone->member);
    free(gone);
}

static const char *argument(struct MHD_Connection *connection, const char *name)
{
    const char *value = mhd.lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    return value != NULL ? value : "";
}

static enum MHD_Result stream_records(struct mw_api *api, struct MHD_Connection *connection)
{
    struct follower *follower = mw_heap_alloc(sizeof(*follower));
    uint64_t after = 0;
    const char *from = argument(connection, "after");
    const char *kind = argument(connection, "kind"), *trace = argument(connection, "trace");
    if (from[0] != '\0' && !mw_str_to_u64(mw_str_of(from), &after)) {
        free(follower);
        return refuse(connection, 400, MW_E_INPUT, "'after' is a record's number");
    }
    *follower =
        (struct follower){.next = api->followers,
                          .api = api,
                          .connection = connection,
                          .start = kind[0] != '\0' ? mw_heap_format("{\"kind\":\"%s\"", kind)
                                                   : mw_heap_copy(MW_STR_NONE),
                          .member = trace[0] != '\0' ? mw_heap_format("\"traceId\":\"%s\"", trace)
                                                     : mw_heap_copy(MW_STR_NONE),
                          .after = after,
                          .lines = mw_heap_buf(),
                          .follows = strcmp(argument(connection, "follow"), "1") == 0};
    api->followers = follower;
    struct MHD_Response *response = mhd.create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_CHUNK_BYTES, read_stream, follower, free_stream);
    if (response == NULL) {
        free_stream(follower);
        return MHD_NO;
    }
    (void)mhd.add_response_header(response, "content-type", "application/x-ndjson");
    (void)mhd.add_response_header(response, "cache-control", "no-store");
    enum MHD_Result queued = mhd.queue_response(connection, 200, response);
    mhd.destroy_response(response);
    return queued;
}

/* ---- routes ---- */

static enum MHD_Result take_argument(void *user, enum MHD_ValueKind kind, const char *key,
                                     const char *value)
{
    struct mw_api_query *query = user;
    (void)kind; /* only arguments are asked for */
    if (query->count == MW_COUNT(query->keys))
        return MHD_NO;
    query->keys[query->count] = mw_str_of(key);
    query->values[query->count++] = mw_str_of(value);
    return MHD_YES;
}

static enum MHD_Result get(struct mw_api *api, struct MHD_Connection *connection, const char *url)
{
    static const char views[] = "/v1/views/";
    struct mw_api_query query = {0};
    struct mw_buf body = mw_heap_buf();
    unsigned status = 404;
    if (strcmp(url, "/v1/journal") == 0)
        return stream_records(api, connection);
    if (strcmp(url, "/v1/hello") == 0) {
        status = api->ops->hello(api->host, &body);
    } else if (strncmp(url, views, sizeof(views) - 1) == 0) {
        (void)mhd.get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_argument, &query);
        status = api->ops->view(api->host, mw_str_of(url + sizeof(views) - 1), &query, &body);
    } else {
        mw_api_error_body(&body, MW_E_MISSING, MW_STR("no such path"), MW_STR_NONE);
    }
    enum MHD_Result queued = send_body(connection, status, mw_buf_str(&body));
    mw_heap_buf_free(&body);
    return queued;
}

static enum mw_request_kind kind_of(const char *url)
{
    static const struct {
        const char *path;
        enum mw_request_kind kind;
    } aliases[] = {{"/v1/intents", MW_REQ_SUBMIT_INTENT},
                   {"/v1/messages", MW_REQ_PUBLISH_MESSAGE},
                   {"/v1/agents", MW_REQ_REGISTER_AGENT}};
    static const char requests[] = "/v1/requests/";
    for (size_t i = 0; i < MW_COUNT(aliases); i++)
        if (strcmp(url, aliases[i].path) == 0)
            return aliases[i].kind;
    if (strncmp(url, requests, sizeof(requests) - 1) != 0)
        return MW_REQUEST_COUNT;
    enum mw_request_kind kind = mw_request_by_name(mw_str_of(url + sizeof(requests) - 1));
    return kind < MW_REQUEST_COUNT && mw_request_info(kind)->from == MW_FROM_CALLER
               ? kind
               : MW_REQUEST_COUNT;
}

/* "/v1/agents/AGENT/VERB". */
static bool is_of_worker(const char *url, struct mw_str *ret_agent, struct mw_str *ret_verb)
{
    static const char agents[] = "/v1/agents/";
    if (strncmp(url, agents, sizeof(agents) - 1) != 0)
        return false;
    struct mw_str rest = mw_str_of(url + sizeof(agents) - 1);
    size_t slash = mw_str_find(rest, '/', 0);
    if (slash == SIZE_MAX)
        return false;
    *ret_agent = mw_str_sub(rest, 0, slash);
    *ret_verb = mw_str_sub(rest, slash + 1, rest.len);
    return true;
}

/* "application/json", perhaps with parameters. */
static bool is_json(const char *type)
{
    static const char wanted[] = "application/json";
    size_t len = sizeof(wanted) - 1;
    return type != NULL && strncasecmp(type, wanted, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static bool is_empty_or_object(struct mw_str text)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_heap_arena(&arena, text.len * 40 + 4096);
    bool right = text.len == 0 || (mw_json_parse(&arena, text, &tape, NULL) == MW_OK &&
                                   mw_node_type(&tape, 0) == MW_NODE_OBJECT);
    mw_heap_arena_free(&arena);
    return right;
}

static enum MHD_Result post(struct mw_api *api, struct mw_api_call *call, const char *url)
{
    const char *type =
        mhd.lookup_connection_value(call->connection, MHD_HEADER_KIND, "content-type");
    const char *path =
        mhd.lookup_connection_value(call->connection, MHD_HEADER_KIND, "millwright-path");
    enum mw_request_kind kind = kind_of(url);
    if (call->too_many)
        return refuse(call->connection, 429, MW_E_LIMIT,
                      "too much is on its way in: nothing was done, ask again");
    if (!is_json(type))
        return refuse(call->connection, 415, MW_E_INPUT, "content-type is application/json");
    if (strcmp(url, "/v1/shutdown") == 0) {
        struct mw_buf body = mw_heap_buf();
        if (!is_empty_or_object(mw_buf_str(&call->body)))
            return refuse(call->connection, 400, MW_E_INPUT, "a shutdown is an object, or empty");
        unsigned status = api->ops->shutdown(api->host, &body);
        enum MHD_Result queued = send_body(call->connection, status, mw_buf_str(&body));
        mw_heap_buf_free(&body);
        return queued;
    }
    struct mw_str agent, verb;
    if (is_of_worker(url, &agent, &verb))
        api->ops->worker(api->host, agent, verb, mw_buf_str(&call->body), call);
    else if (kind == MW_REQUEST_COUNT)
        return refuse(call->connection, 404, MW_E_MISSING, "no such request");
    else
        api->ops->post(api->host, kind, mw_buf_str(&call->body),
                       mw_str_of(api->guard.token[0] == '\0' ? path : NULL), call);
    if (call->answered)
        return send_body(call->connection, call->status, mw_buf_str(&call->answer));
    call->posted = true;
    call->next = api->waiting;
    api->waiting = call;
    mhd.suspend_connection(call->connection);
    return MHD_YES;
}

static enum MHD_Result count_length(void *user, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    unsigned *count = user;
    (void)kind; /* only headers are asked for */
    (void)value;
    if (strcasecmp(key, "content-length") == 0 || strcasecmp(key, "transfer-encoding") == 0)
        ++*count;
    return MHD_YES;
}

/* libmicrohttpd's parser is lax: what could be read in two ways is refused. */
static bool is_ambiguous(struct MHD_Connection *connection)
{
    unsigned count = 0;
    (void)mhd.get_connection_values(connection, MHD_HEADER_KIND, count_length, &count);
    return count > 1;
}

/* Of a chunk whose head is longer than its memory libmicrohttpd (0.9.75) reads nothing, and asks for it without end. */
static bool is_chunked(struct MHD_Connection *connection)
{
    return mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "transfer-encoding") != NULL;
}

static bool is_too_large(struct MHD_Connection *connection)
{
    uint64_t length;
    const char *text = mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "content-length");
    return text != NULL &&
           (!mw_str_to_u64(mw_str_of(text), &length) || length > MW_API_BODY_BYTES_MAX);
}

/* ---- who comes over TCP ---- */

struct said {
    const char *host, *origin, *authorization;
    unsigned count; /* of these three */
};

static enum MHD_Result take_header(void *user, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    struct said *said = user;
    const char **at = strcasecmp(key, "host") == 0            ? &said->host
                      : strcasecmp(key, "origin") == 0        ? &said->origin
                      : strcasecmp(key, "authorization") == 0 ? &said->authorization
                                                              : NULL;
    (void)kind; /* only headers are asked for */
    if (at == NULL)
        return MHD_YES;
    said->count += *at == NULL ? 0 : 1;
    *at = value != NULL ? value : "";
    return MHD_YES;
}

static bool is_our_name(const struct mw_api_guard *guard, const char *host)
{
    for (size_t i = 0; i < MW_COUNT(guard->hosts); i++)
        if (guard->hosts[i][0] != '\0' && strcasecmp(host, guard->hosts[i]) == 0)
            return true;
    return false;
}

/* How long it takes says nothing of how much of it is right. */
static bool is_our_token(const struct mw_api_guard *guard, const char *authorization)
{
    static const char scheme[] = "bearer ";
    unsigned differs = 0;
    if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return false;
    const char *token = authorization + sizeof(scheme) - 1;
    if (strlen(token) != MW_API_TOKEN_TEXT - 1)
        return false;
    for (size_t i = 0; i < MW_API_TOKEN_TEXT - 1; i++)
        differs |= (unsigned)(token[i] ^ guard->token[i]);
    return differs == 0;
}

/* Before anything else is looked at. 0: it may come in. */
static unsigned turn_away(const struct mw_api *api, struct MHD_Connection *connection,
                          const char **ret_words)
{
    static const char http[] = "http://";
    const struct mw_api_guard *guard = &api->guard;
    struct said said = {0};
    if (guard->token[0] == '\0')
        return 0;
    (void)mhd.get_connection_values(connection, MHD_HEADER_KIND, take_header, &said);
    if (said.count > 0) {
        *ret_words = "host, origin and authorization are said once";
        return 400;
    }
    if (said.host == NULL || !is_our_name(guard, said.host)) {
        *ret_words = "this is not the host that was asked for";
        return 403;
    }
    if (said.origin != NULL && (strncmp(said.origin, http, sizeof(http) - 1) != 0 ||
                                !is_our_name(guard, said.origin + sizeof(http) - 1))) {
        *ret_words = "no other page may ask";
        return 403;
    }
    if (said.authorization == NULL || !is_our_token(guard, said.authorization)) {
        *ret_words = "'authorization: Bearer TOKEN' is needed; the token is in .millwright/token";
        return 401;
    }
    return 0;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **state)
{
    struct mw_api *api = user;
    struct mw_api_call *call = *state;
    const void *refused = *state;
    (void)version; /* libmicrohttpd has looked at it */
    if (!is_call(*state)) {
        call = mw_heap_alloc(sizeof(*call));
        *call = (struct mw_api_call){
            .api = api, .connection = connection, .body = mw_heap_buf(), .answer = mw_heap_buf()};
        *state = call;
        await_head(connection, 0);
        const char *words = NULL;
        unsigned status = turn_away(api, connection, &words);
        if (status != 0)
            return refuse(connection, status, status == 400 ? MW_E_INPUT : MW_E_DENIED, words);
        if (refused == &nul_in_address)
            return refuse(connection, 400, MW_E_INPUT, "an address has no NUL");
        if (refused == &too_many_arguments)
            return refuse(connection, 414, MW_E_LIMIT, "the address has too many arguments");
        /* Said before the body comes: nobody has to send, or we to read, what is refused anyway. */
        if (is_ambiguous(connection))
            return refuse(connection, 400, MW_E_INPUT, "the body's length is said more than once");
        if (is_chunked(connection))
            return refuse(connection, 411, MW_E_INPUT, "a body says its length");
        return is_too_large(connection)
                   ? refuse(connection, 413, MW_E_LIMIT, "the body is too large")
                   : MHD_YES;
    }
    if (*upload_len > 0) {
        call->too_many = call->too_many || api->body_bytes + *upload_len > MW_API_BODIES_BYTES_MAX;
        if (!call->too_many) {
            mw_buf_put(&call->body, (struct mw_str){upload, *upload_len});
            api->body_bytes += *upload_len;
        }
        *upload_len = 0;
        return MHD_YES;
    }
    if (call->answered)
        return send_body(connection, call->status, mw_buf_str(&call->answer));
    if (call->posted)
        return MHD_YES;
    if (strcmp(method, "GET") == 0)
        return get(api, connection, url);
    if (strcmp(method, "POST") == 0)
        return post(api, call, url);
    return refuse(connection, 405, MW_E_INPUT, "GET or POST");
}

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct mw_api_call *call = *state;
    (void)user, (void)code;
    await_head(connection, mw_now_monotonic_ns()); /* of the next one on this connection */
    if (!is_call(call))
        return;
    if (call->posted && !call->answered)
        forget_waiting(call);
    call->api->body_bytes -= call->body.len;
    mw_heap_buf_free(&call->body);
    mw_heap_buf_free(&call->answer);
    free(call);
    *state = NULL;
}
