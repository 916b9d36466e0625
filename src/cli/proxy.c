#include "cli/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/proxy_head.h"
#include "posix/file.h"
#include "posix/heap.h"

#define PIPE_BYTES (64u * 1024)

struct route {
    struct mw_str slug;
    uint16_t port;
};

/* Bytes on their way in one direction. */
struct pipe_buffer {
    char *bytes; /* owned: PIPE_BYTES, or what the head needs */
    size_t at, len;
};

struct connection {
    int client, service; /* -1: none */
    bool head_read, connecting, client_ended, service_ended, answered;
    struct mw_buf head; /* owned */
    struct mw_proxy_request request;
    struct pipe_buffer up, down;
    int64_t deadline_ns;
};

struct proxy {
    int listener;
    struct route routes[MW_PROXY_SERVICES_MAX];
    size_t route_count;
    struct connection *connections[MW_PROXY_CONNECTIONS_MAX];
    size_t connection_count;
};

static void serve(struct proxy *proxy, struct connection *connection, short client_events,
                  short service_events);

/* ---- connections ---- */

static void touch(struct connection *connection, int ms)
{
    connection->deadline_ns = mw_now_monotonic_ns() + (int64_t)ms * 1000000;
}

static void drop(struct proxy *proxy, size_t index)
{
    struct connection *connection = proxy->connections[index];
    if (connection->client >= 0)
        (void)close(connection->client); /* whatever was to be said is said */
    if (connection->service >= 0)
        (void)close(connection->service); /* likewise */
    mw_heap_buf_free(&connection->head);
    mw_heap_free(connection->up.bytes);
    mw_heap_free(connection->down.bytes);
    mw_heap_free(connection);
    proxy->connections[index] = proxy->connections[--proxy->connection_count];
}

static void take_clients(struct proxy *proxy)
{
    while (proxy->connection_count < MW_PROXY_CONNECTIONS_MAX) {
        int fd = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct connection *connection = mw_heap_alloc(sizeof(*connection));
        *connection = (struct connection){.client = fd, .service = -1, .head = mw_heap_buf()};
        connection->up.bytes = mw_heap_alloc(PIPE_BYTES);
        connection->down.bytes = mw_heap_alloc(PIPE_BYTES);
        touch(connection, MW_PROXY_HEAD_MS);
        proxy->connections[proxy->connection_count++] = connection;
    }
}

/* An answer of our own; nothing more is read. */
static void answer(struct connection *connection, int status, const char *words, struct mw_str body)
{
    struct mw_buf out = mw_heap_buf();
    mw_buf_printf(&out,
                  "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: "
                  "%zu\r\nConnection: close\r\n\r\n",
                  status, words, body.len);
    if (!mw_str_is(connection->request.method, "HEAD"))
        mw_buf_put(&out, body);
    mw_heap_free(connection->down.bytes);
    connection->down = (struct pipe_buffer){out.ptr, 0, out.len};
    connection->answered = true;
    connection->service_ended = true;
    if (connection->service >= 0)
        (void)close(connection->service); /* it has nothing to say any more */
    connection->service = -1;
    connection->up.at = connection->up.len = 0;
    touch(connection, MW_PROXY_HEAD_MS);
}

static void refuse(struct connection *connection, int status)
{
    static const struct {
        int status;
        const char *words, *body;
    } rows[] = {
        {400, "Bad Request", "{\"error\":{\"code\":\"bad_request\",\"message\":\"not HTTP/1.1\"}}"},
        {404, "Not Found",
         "{\"error\":{\"code\":\"not_found\",\"message\":\"no such service; GET / lists them\"}}"},
        {405, "Method Not Allowed",
         "{\"error\":{\"code\":\"method_not_allowed\",\"message\":\"GET / only\"}}"},
        {408, "Request Timeout",
         "{\"error\":{\"code\":\"timeout\",\"message\":\"the request did not come\"}}"},
        {413, "Content Too Large",
         "{\"error\":{\"code\":\"too_large\",\"message\":\"the body is too large\"}}"},
        {431, "Request Header Fields Too Large",
         "{\"error\":{\"code\":\"too_large\",\"message\":\"the head is too large\"}}"},
        {502, "Bad Gateway",
         "{\"error\":{\"code\":\"bad_gateway\",\"message\":\"the service does not answer\"}}"},
        {505, "HTTP Version Not Supported",
         "{\"error\":{\"code\":\"version\",\"message\":\"HTTP/1.0 or 1.1\"}}"}};
    size_t at = 0;
    while (at + 1 < MW_COUNT(rows) && rows[at].status != status)
        at++;
    answer(connection, rows[at].status, rows[at].words, mw_str_of(rows[at].body));
}

static void list_services(const struct proxy *proxy, struct connection *connection)
{
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_karray(&json, "services");
    for (size_t i = 0; i < proxy->route_count; i++) {
        mw_autofree char *url = mw_heap_format("/%.*s/", MW_STR_ARG(proxy->routes[i].slug));
        mw_json_object(&json);
        mw_json_kstr(&json, "name", proxy->routes[i].slug);
        mw_json_kstr(&json, "url", mw_str_of(url));
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    answer(connection, 200, "OK", mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

static int connect_service(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
                    errno == EINPROGRESS))
        return fd;
    if (fd >= 0)
        (void)close(fd); /* nobody listens */
    return -1;
}

/* The head is whole: to the list, to a service, or refused. rest: what of the body came with it. */
static void route(const struct proxy *proxy, struct connection *connection, struct mw_str head,
                  struct mw_str rest)
{
    struct mw_proxy_request *request = &connection->request;
    size_t taken = 0;
    int status = mw_proxy_head_read(head, request);
    if (status != 0) {
        refuse(connection, status);
        return;
    }
    struct mw_str path = mw_str_sub(request->target, 1, request->target.len);
    size_t end = 0;
    while (end < path.len && path.ptr[end] != '/' && path.ptr[end] != '?')
        end++;
    if (end == 0) {
        bool get = mw_str_is(request->method, "GET") || mw_str_is(request->method, "HEAD");
        if (get && (path.len == 0 || path.ptr[0] == '?'))
            list_services(proxy, connection);
        else
            refuse(connection, path.len == 0 ? 405 : 404);
        return;
    }
    const struct route *found = NULL;
    for (size_t i = 0; i < proxy->route_count && found == NULL; i++)
        if (mw_str_eq(proxy->routes[i].slug, mw_str_sub(path, 0, end)))
            found = &proxy->routes[i];
    if (found == NULL || (connection->service = connect_service(found->port)) < 0) {
        refuse(connection, found == NULL ? 404 : 502);
        return;
    }
    struct mw_buf out = mw_heap_buf(), target = mw_heap_buf();
    struct mw_str left = mw_str_sub(path, end, path.len);
    if (left.len == 0 || left.ptr[0] != '/')
        mw_buf_put_c(&target, '/');
    mw_buf_put(&target, left);
    mw_proxy_head_write(head, request, mw_buf_str(&target), &out);
    mw_heap_buf_free(&target);
    if (!mw_body_take(&request->body, rest, &taken)) {
        mw_heap_buf_free(&out);
        refuse(connection, 400);
        return;
    }
    mw_buf_put(&out, mw_str_sub(rest, 0, taken));
    mw_heap_free(connection->up.bytes);
    connection->up = (struct pipe_buffer){out.ptr, 0, out.len};
    connection->connecting = true;
    touch(connection, MW_PROXY_IDLE_MS);
}

static void read_head(const struct proxy *proxy, struct connection *connection)
{
    char block[16384];
    ssize_t got = recv(connection->client, block, sizeof(block), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        connection->client_ended = connection->answered = connection->service_ended = true;
        return;
    }
    mw_buf_put(&connection->head, (struct mw_str){block, (size_t)got});
    const char *end = memmem(connection->head.ptr, connection->head.len, "\r\n\r\n", 4);
    size_t head_len = end != NULL ? (size_t)(end - connection->head.ptr) + 4 : connection->head.len;
    if (head_len > MW_PROXY_HEAD_BYTES_MAX) {
        connection->head_read = true;
        refuse(connection, 431);
        return;
    }
    if (end == NULL)
        return;
    connection->head_read = true;
    route(proxy, connection, mw_str_sub(mw_buf_str(&connection->head), 0, head_len),
          mw_str_sub(mw_buf_str(&connection->head), head_len, connection->head.len));
}

/* ---- moving bytes ---- */

static void read_body(struct connection *connection)
{
    size_t taken = 0;
    if (connection->up.len > connection->up.at)
        return;
    char block[PIPE_BYTES];
    ssize_t got = recv(connection->client, block, sizeof(block), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 ||
        !mw_body_take(&connection->request.body, (struct mw_str){block, (size_t)got}, &taken)) {
        if (got > 0) {
            refuse(connection, 400);
            return;
        }
        connection->client_ended = true; /* half a body: the service is told by the end */
        connection->service_ended = connection->answered = true;
        return;
    }
    mw_heap_free(connection->up.bytes);
    connection->up = (struct pipe_buffer){mw_heap_alloc(taken > 0 ? taken : 1), 0, taken};
    memcpy(connection->up.bytes, block, taken);
    touch(connection, MW_PROXY_IDLE_MS);
}

/* Sends what is there; false when the other side is gone. */
static bool push(int fd, struct pipe_buffer *buffer)
{
    while (buffer->at < buffer->len) {
        ssize_t sent = send(fd, buffer->bytes + buffer->at, buffer->len - buffer->at, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (sent <= 0)
            return false;
        buffer->at += (size_t)sent;
    }
    return true;
}

static void read_answer(struct connection *connection)
{
    if (connection->down.at < connection->down.len)
        return;
    ssize_t got = recv(connection->service, connection->down.bytes, PIPE_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->down.at = 0;
    connection->down.len = got > 0 ? (size_t)got : 0;
    if (got > 0) {
        connection->answered = true;
        touch(connection, MW_PROXY_IDLE_MS);
        return;
    }
    connection->service_ended = true;
    if (!connection->answered)
        refuse(connection, 502);
}

static void serve(struct proxy *proxy, struct connection *connection, short client_events,
                  short service_events)
{
    if (!connection->head_read) {
        if (client_events != 0)
            read_head(proxy, connection);
    } else if (client_events & (POLLIN | POLLHUP | POLLERR)) {
        if (!connection->request.body.done && !connection->service_ended)
            read_body(connection);
    }
    if (connection->service >= 0 && service_events & (POLLOUT | POLLHUP | POLLERR)) {
        int failed = 0;
        socklen_t size = sizeof(failed);
        if (connection->connecting) {
            (void)getsockopt(connection->service, SOL_SOCKET, SO_ERROR, &failed, &size);
            connection->connecting = false;
        }
        if (failed != 0) {
            refuse(connection, 502);
        } else if (!push(connection->service, &connection->up)) {
            /* It may have answered and left before the body was read: that answer counts. */
            connection->up.at = connection->up.len;
            connection->request.body.done = true;
        }
    }
    if (connection->service >= 0 && service_events & (POLLIN | POLLHUP | POLLERR))
        read_answer(connection);
    if (!push(connection->client, &connection->down)) {
        connection->service_ended = connection->answered = true;
        connection->down.at = connection->down.len;
    }
}

static bool is_over(const struct connection *connection)
{
    return connection->service_ended && connection->answered &&
           connection->down.at == connection->down.len;
}

/* ---- the loop ---- */

static short client_wants(const struct connection *connection)
{
    short events = connection->down.at < connection->down.len ? POLLOUT : 0;
    bool body = connection->head_read && !connection->request.body.done &&
                connection->up.at == connection->up.len && !connection->service_ended;
    return (short)(events | (!connection->head_read || body ? POLLIN : 0));
}

static short service_wants(const struct connection *connection)
{
    short events = connection->connecting || connection->up.at < connection->up.len ? POLLOUT : 0;
    return (short)(events | (connection->down.at == connection->down.len ? POLLIN : 0));
}

static void expire(struct connection *connection, int64_t now_ns)
{
    if (now_ns < connection->deadline_ns)
        return;
    if (!connection->head_read && connection->head.len > 0 && !connection->answered) {
        connection->head_read = true;
        refuse(connection, 408);
        return;
    }
    connection->service_ended = connection->answered = true;
    connection->down.at = connection->down.len;
}

static int run(struct proxy *proxy)
{
    struct pollfd entries[2 + 2 * MW_PROXY_CONNECTIONS_MAX];
    for (;;) {
        size_t count = proxy->connection_count;
        entries[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        entries[1] = (struct pollfd){.fd = count < MW_PROXY_CONNECTIONS_MAX ? proxy->listener : -1,
                                     .events = POLLIN};
        for (size_t i = 0; i < count; i++) {
            const struct connection *at = proxy->connections[i];
            short wants = client_wants(at);
            entries[2 + 2 * i] =
                (struct pollfd){.fd = wants != 0 ? at->client : -1, .events = wants};
            entries[3 + 2 * i] = (struct pollfd){.fd = at->service, .events = service_wants(at)};
            if (at->service >= 0 && at->down.at < at->down.len && entries[3 + 2 * i].events == 0)
                entries[3 + 2 * i].fd = -1; /* a closed service would be told again and again */
        }
        int ready = poll(entries, 2 + 2 * count, 1000);
        if (ready < 0 && errno != EINTR)
            return 74;
        if (ready < 0)
            continue;
        char byte[16];
        if (entries[0].revents != 0 && read(STDIN_FILENO, byte, sizeof(byte)) <= 0)
            return 0; /* who started us is gone */
        int64_t now_ns = mw_now_monotonic_ns();
        for (size_t i = count; i > 0; i--) {
            struct connection *at = proxy->connections[i - 1];
            short client = entries[2 * i].revents, service = entries[2 * i + 1].revents;
            if (client != 0 || service != 0)
                serve(proxy, at, client, service);
            expire(at, now_ns);
            if (is_over(at))
                drop(proxy, i - 1);
        }
        if (entries[1].revents != 0)
            take_clients(proxy);
    }
}

static bool read_routes(struct proxy *proxy, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        struct mw_str word = mw_str_of(argv[i]);
        size_t equals = mw_str_find(word, '=', 0);
        uint64_t port = 0;
        if (equals == SIZE_MAX || equals == 0 || proxy->route_count == MW_PROXY_SERVICES_MAX ||
            !mw_str_to_u64(mw_str_sub(word, equals + 1, word.len), &port) || port == 0 ||
            port > 65535)
            return false;
        proxy->routes[proxy->route_count++] =
            (struct route){mw_str_sub(word, 0, equals), (uint16_t)port};
    }
    return true;
}

static int listen_on(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                     sizeof(on)); /* an old port comes back sooner */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        (void)close(fd); /* errno is what is told */
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* argv: millwright __proxy PORT SLUG=PORT… */
int mw_proxy_main(int argc, char **argv)
{
    static struct proxy proxy; /* one a process; too large for the stack */
    uint64_t port = 0;
    uint16_t listening = 0;
    if (argc < 4 || !mw_str_to_u64(mw_str_of(argv[2]), &port) || port > 65535 ||
        !read_routes(&proxy, argc - 3, argv + 3)) {
        (void)fprintf(stderr, "usage: millwright __proxy PORT SLUG=PORT…\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C is for who started us; standard input tells */
    proxy.listener = listen_on((uint16_t)port, &listening);
    if (proxy.listener < 0) {
        int in_use = errno == EADDRINUSE;
        (void)fprintf(stderr, "port %u on 127.0.0.1: %s\n", (unsigned)port, strerror(errno));
        return in_use ? 75 : 74;
    }
    (void)printf("{\"event\":\"listening\",\"port\":%u}\n", listening);
    (void)fflush(stdout); /* who does not read it learns by the exit */
    return run(&proxy);
}
