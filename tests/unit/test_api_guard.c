/*
 * test_api_guard.c - P21 P09 P10: who may come in over a port, by every byte of the token and every way to spell host and origin; which bodies
 * are read; and that each refusal has the status, and the time to come back, that docs/api.md says.
 */
#include "api/api.h"
#include "host/tcp.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const char token[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static struct mw_api *api;
static char folder[64], path[96];
static enum mw_rc refusal; /* of the host; MW_OK: it answers 200 */
static unsigned posted;
static char told_path[64]; /* where the caller says that programs are found */
static uint32_t silent_s;  /* of the connections */
static bool holds;         /* the host answers later */
static struct mw_api_call *held[16];

static uint16_t said_port; /* by getsockname; 0: the one that it is */

int __real_getsockname(int fd, struct sockaddr *restrict ret, socklen_t *restrict len);
int __wrap_getsockname(int fd, struct sockaddr *restrict ret, socklen_t *restrict len);
int __wrap_getsockname(int fd, struct sockaddr *restrict ret, socklen_t *restrict len)
{
    int rc = __real_getsockname(fd, ret, len);
    if (said_port != 0) /* it stands at the same place in both kinds of address */
        ((struct sockaddr_in *)ret)->sin_port = htons(said_port);
    return rc;
}

static unsigned hello(void *host, struct mw_buf *out)
{
    (void)host;
    mw_buf_put(out, MW_STR("{}"));
    return 200;
}

static void post(void *host, enum mw_request_kind kind, struct mw_str body,
                 struct mw_str caller_path, struct mw_api_call *call)
{
    (void)host;
    (void)kind;
    (void)body;
    (void)snprintf(told_path, sizeof told_path, "%.*s", MW_STR_ARG(caller_path));
    if (holds) {
        held[posted++ % MW_COUNT(held)] = call;
        return;
    }
    posted++;
    mw_api_answer(call, mw_api_status_of(refusal), MW_STR("{}"));
}

static enum mw_rc records(void *host, uint64_t after, const struct mw_api_wanted *wanted,
                          size_t bytes_max, struct mw_buf *out, uint64_t *ret_after,
                          struct mw_err *err)
{
    (void)host;
    (void)wanted;
    (void)bytes_max;
    (void)out;
    (void)err;
    *ret_after = after; /* there are none */
    return MW_OK;
}

static const struct mw_api_ops ops = {.hello = hello, .post = post, .records = records};

static void begin(bool guarded)
{
    const struct mw_api_limits limits = {.connections_max = 16, .silent_s = silent_s};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct mw_api_guard guard = {.hosts = {"127.0.0.1:7000", "localhost:7000"}};
    struct mw_err err = {0};
    refusal = MW_OK;
    posted = 0;
    (void)strcpy(folder, "/tmp/mw-guard-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(mw_api_start(fd, &limits, &ops, NULL, &api, &err), MW_OK);
    memcpy(guard.token, token, sizeof token);
    if (guarded)
        mw_api_guard(api, &guard);
}

static void end(void)
{
    mw_api_stop(api);
    (void)unlink(path);
    (void)rmdir(folder);
}

/* The status, and what else was said with it. */
static int ask(struct mw_str request, char answer[4096])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t sent = 0, got = 0;
    int status = 0;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    answer[0] = '\0';
    for (int turns = 0; turns < 100000 && strstr(answer, "\r\n\r\n") == NULL; turns++) {
        struct pollfd ready = {.fd = mw_api_fd(api), .events = POLLIN};
        ssize_t count =
            sent < request.len ? send(fd, request.ptr + sent, request.len - sent, MSG_NOSIGNAL) : 0;
        sent += count > 0 ? (size_t)count : 0;
        (void)poll(&ready, 1, 1);
        mw_api_run(api);
        count = recv(fd, answer + got, 4095 - got, 0);
        got += count > 0 ? (size_t)count : 0;
        answer[got] = '\0';
        if (count == 0)
            break;
    }
    (void)close(fd);
    for (int i = 0; i < 3; i++)
        mw_api_run(api);
    (void)sscanf(answer, "HTTP/1.1 %d", &status);
    return status;
}

static void get_is(int expected, const char *headers)
{
    char request[1024], answer[4096];
    int length = snprintf(request, sizeof request, "GET /v1/hello HTTP/1.1\r\n%s\r\n", headers);
    int status = ask((struct mw_str){request, (size_t)length}, answer);
    if (status != expected)
        fail_msg("%d, not %d, for:\n%s", status, expected, headers);
}

/* P21: what is told to who has the token is not kept on its way for who has none. */
static void p21_no_answer_may_be_kept_by_others(void **state)
{
    static const struct {
        const char *line;
        bool has_token;
        int status;
    } rows[] = {{"GET /v1/hello", true, 200},           {"GET /v1/hello", false, 401},
                {"GET /v1/nothing", true, 404},         {"PUT /v1/hello", true, 405},
                {"GET /v1/journal?after=x", true, 400}, {"GET /v1/journal", true, 200}};
    char request[512], answer[4096];
    (void)state;
    begin(true);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        int length =
            snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: localhost:7000\r\n%s%s%s\r\n",
                     rows[i].line, rows[i].has_token ? "Authorization: Bearer " : "",
                     rows[i].has_token ? token : "", rows[i].has_token ? "\r\n" : "");
        int status = ask((struct mw_str){request, (size_t)length}, answer);
        if (status != rows[i].status ||
            strcasestr(answer, "\r\ncache-control: no-store\r\n") == NULL)
            fail_msg("%s: %s", rows[i].line, answer);
    }
    end();
}

static void with_token(int expected, const char *scheme, const char *said)
{
    char headers[512];
    (void)snprintf(headers, sizeof headers, "Host: localhost:7000\r\nAuthorization: %s%s\r\n",
                   scheme, said);
    get_is(expected, headers);
}

static void p21_every_byte_of_the_token_counts(void **state)
{
    char said[80];
    (void)state;
    begin(true);
    with_token(200, "Bearer ", token);
    with_token(200, "bearer ", token);
    for (size_t i = 0; i < sizeof token - 1; i++) {
        memcpy(said, token, sizeof token);
        said[i] = said[i] == 'f' ? 'e' : 'f';
        with_token(401, "Bearer ", said);
        memcpy(said, token, sizeof token);
        said[i] = '\0';
        with_token(401, "Bearer ", said);
    }
    (void)snprintf(said, sizeof said, "%s0", token);
    with_token(401, "Bearer ", said);
    with_token(401, "Basic ", token);
    with_token(401, "", token);
    get_is(401, "Host: localhost:7000\r\n");
    end();
}

/* Nor does it matter who else is connected, with the token or without. */
static void p21_the_token_counts_however_many_are_connected(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int others[8];
    (void)state;
    begin(true);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    for (size_t i = 0; i < MW_COUNT(others); i++) {
        char request[300];
        others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(others[i], (const struct sockaddr *)&address, sizeof address), 0);
        int length = i % 2 == 0 ? 0
                                : snprintf(request, sizeof request,
                                           "GET /v1/hello HTTP/1.1\r\nHost: localhost:7000\r\n"
                                           "Authorization: Bearer %s\r\n\r\n",
                                           token);
        assert_int_equal(send(others[i], request, (size_t)length, MSG_NOSIGNAL), length);
        for (int turn = 0; turn < 3; turn++)
            mw_api_run(api);
        get_is(401, "Host: localhost:7000\r\n");
        with_token(200, "Bearer ", token);
    }
    for (size_t i = 0; i < MW_COUNT(others); i++)
        (void)close(others[i]);
    end();
}

static void p21_host_and_origin_are_compared_exactly(void **state)
{
    static const struct {
        int status;
        const char *headers;
    } cases[] = {
        {200, "Host: 127.0.0.1:7000\r\n"},
        {200, "Host: LOCALHOST:7000\r\n"},
        {200, "Host: localhost:7000\r\nOrigin: http://localhost:7000\r\n"},
        {403, "Host: localhost\r\n"},
        {403, "Host: localhost:70000\r\n"},
        {403, "Host: localhost:7000.evil.example\r\n"},
        {403, "Host: evil.example:7000\r\n"},
        {403, "Host: 127.0.0.1:700\r\n"},
        {403, "Host: localhost:7000\r\nOrigin: http://localhost:7001\r\n"},
        {403, "Host: localhost:7000\r\nOrigin: http://localhost:7000.evil.example\r\n"},
        {403, "Host: localhost:7000\r\nOrigin: https://localhost:7000\r\n"},
        {403, "Host: localhost:7000\r\nOrigin: null\r\n"},
        {403, "Host: localhost:7000\r\nOrigin: \r\n"},
        {400, "Host: localhost:7000\r\nHost: localhost:7000\r\n"},
        {400, "Host: localhost:7000\r\nOrigin: http://localhost:7000\r\nOrigin: null\r\n"}};
    (void)state;
    begin(true);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        char headers[512];
        (void)snprintf(headers, sizeof headers, "%sAuthorization: Bearer %s\r\n", cases[i].headers,
                       token);
        get_is(cases[i].status, headers);
    }
    end();
}

/* ---- bodies ---- */

static int post_with(const char *headers, struct mw_str body, char answer[4096])
{
    struct mw_buf request = mw_heap_buf();
    mw_buf_printf(&request, "POST /v1/intents HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
    mw_buf_put(&request, body);
    int status = ask(mw_buf_str(&request), answer);
    mw_heap_buf_free(&request);
    return status;
}

static void p21_a_body_is_json_and_says_its_length_once(void **state)
{
    static const struct {
        int status;
        const char *headers;
    } cases[] = {{200, "Content-Type: application/json\r\nContent-Length: 2\r\n"},
                 {200, "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n"},
                 {415, "Content-Type: application/jsonp\r\nContent-Length: 2\r\n"},
                 {415, "Content-Type: text/plain\r\nContent-Length: 2\r\n"},
                 {415, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n"},
                 {415, "Content-Length: 2\r\n"}};
    char answer[4096];
    (void)state;
    begin(false);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        posted = 0;
        int status = post_with(cases[i].headers, MW_STR("{}"), answer);
        if (status != cases[i].status || posted != (status == 200 ? 1 : 0))
            fail_msg("%d, not %d, for:\n%s", status, cases[i].status, cases[i].headers);
    }
    posted = 0;
    (void)post_with("Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 2\r\n",
                    MW_STR("{}"), answer);
    assert_int_equal(posted, 0);
    (void)post_with(
        "Content-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        MW_STR("2\r\n{}\r\n0\r\n\r\n"), answer);
    assert_int_equal(posted, 0);
    end();
}

/* The owner's shell has the owner's PATH; who comes over the port does not say which programs the host starts. */
static void p21_where_programs_are_found_is_said_on_the_socket_only(void **state)
{
    (void)state;
    for (int guarded = 0; guarded < 2; guarded++) {
        char headers[512], answer[4096];
        begin(guarded == 1);
        (void)snprintf(headers, sizeof headers,
                       "Host: localhost:7000\r\nAuthorization: Bearer %s\r\nContent-Type: "
                       "application/json\r\nContent-Length: 2\r\nMillwright-Path: /evil/bin\r\n",
                       token);
        struct mw_buf request = mw_heap_buf();
        mw_buf_printf(&request, "POST /v1/intents HTTP/1.1\r\n%s\r\n{}", headers);
        assert_int_equal(ask(mw_buf_str(&request), answer), 200);
        assert_int_equal(posted, 1);
        assert_string_equal(told_path, guarded == 1 ? "" : "/evil/bin");
        mw_heap_buf_free(&request);
        end();
    }
}

/* Whoever sends a byte now and then is not silent; his place is taken from him all the same. With its head whole a connection stays. */
static int connect_to_it(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* One request that is answered; the connection stays. */
static void ask_first(int fd)
{
    char request[256], answer[4096];
    ssize_t got = -1;
    int len = snprintf(request, sizeof request,
                       "GET /v1/hello HTTP/1.1\r\nHost: localhost:7000\r\n"
                       "Authorization: Bearer %s\r\n\r\n",
                       token);
    assert_int_equal(send(fd, request, (size_t)len, MSG_NOSIGNAL), len);
    for (int turns = 0; turns < 100000 && got < 0; turns++) {
        mw_api_run(api);
        got = recv(fd, answer, sizeof answer, 0);
    }
    assert_true(got > 0);
}

/* The first on its connection, and one that comes after another. */
static void p09_p21_a_head_that_never_ends_ends_its_connection(void **state)
{
    static const char head[] = "POST /v1/intents HTTP/1.1\r\nHost: localhost:7000\r\nX: ";
    const int64_t most_ns = 20 * (int64_t)1000000000;
    (void)state;
    for (int earlier = 0; earlier < 2; earlier++) {
        silent_s = 2;
        begin(true);
        silent_s = 0;
        int fd = connect_to_it();
        if (earlier > 0)
            ask_first(fd);
        assert_int_equal(send(fd, head, sizeof head - 1, MSG_NOSIGNAL), sizeof head - 1);
        int64_t begun_ns = mw_now_monotonic_ns(), over_ns = 0, said_ns = 0;
        for (char byte; over_ns < most_ns && recv(fd, &byte, 1, 0) != 0;
             over_ns = mw_now_monotonic_ns() - begun_ns) {
            struct pollfd ready = {.fd = mw_api_fd(api), .events = POLLIN};
            if (over_ns - said_ns > 100000000 && send(fd, "x", 1, MSG_NOSIGNAL) == 1)
                said_ns = over_ns;
            int64_t timeout_ms = mw_api_timeout_ms(api);
            assert_true(timeout_ms <= 2001);
            (void)poll(&ready, 1, timeout_ms >= 0 && timeout_ms < 100 ? (int)timeout_ms : 100);
            mw_api_run(api);
        }
        (void)close(fd);
        assert_in_range(over_ns, 1900 * (int64_t)1000000, most_ns - 1);
        assert_int_equal(posted, 0);
        end();
    }
}

/* A chunk's head may be of any length, and would hold a processor while it comes. */
static void p09_p21_a_body_says_its_length(void **state)
{
    static const char *const encodings[] = {"chunked", "gzip, chunked", "identity"};
    char answer[4096];
    (void)state;
    begin(false);
    for (size_t i = 0; i < MW_COUNT(encodings); i++) {
        struct mw_buf body = mw_heap_buf();
        char headers[128];
        (void)snprintf(headers, sizeof headers,
                       "Content-Type: application/json\r\nTransfer-Encoding: %s\r\n", encodings[i]);
        mw_buf_put(&body, MW_STR("2;"));
        for (size_t byte = 0; i > 0 && byte < 70000; byte++)
            mw_buf_put_c(&body, 'a');
        mw_buf_put(&body, MW_STR("\r\n{}\r\n0\r\n\r\n"));
        posted = 0;
        assert_int_equal(post_with(headers, mw_buf_str(&body), answer), 411);
        assert_int_equal(posted, 0);
        mw_heap_buf_free(&body);
    }
    end();
}

static void p09_a_body_has_its_limit(void **state)
{
    char answer[4096];
    (void)state;
    begin(false);
    for (size_t over = 0; over < 2; over++) {
        struct mw_buf body = mw_heap_buf();
        char headers[128];
        size_t size = MW_API_BODY_BYTES_MAX + over;
        (void)snprintf(headers, sizeof headers,
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n", size);
        for (size_t i = 0; over == 0 && i < size; i++)
            mw_buf_put_c(&body, ' ');
        posted = 0;
        assert_int_equal(post_with(headers, mw_buf_str(&body), answer), over == 0 ? 200 : 413);
        assert_int_equal(posted, 1 - over);
        mw_heap_buf_free(&body);
    }
    end();
}

#define FULL (MW_API_BODIES_BYTES_MAX / MW_API_BODY_BYTES_MAX) /* so many of the largest fit */

/* The largest body, and its head. */
static struct mw_buf largest_request(const char *type)
{
    struct mw_buf request = mw_heap_buf();
    mw_buf_printf(&request,
                  "POST /v1/intents HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  type, MW_API_BODY_BYTES_MAX);
    for (size_t i = 0; i < MW_API_BODY_BYTES_MAX; i++)
        mw_buf_put_c(&request, ' ');
    return request;
}

/* Sends up to so much of it; the most memory that was taken while it came in. */
static size_t send_up_to(int fd, struct mw_str request, size_t *sent, size_t end_at)
{
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, most = 0;
    for (int turns = 0; turns < 100000 && *sent < end_at; turns++) {
        ssize_t count = send(fd, request.ptr + *sent, end_at - *sent, MSG_NOSIGNAL);
        *sent += count > 0 ? (size_t)count : 0;
        mw_api_run(api);
        size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;
        most = now > before + most ? now - before : most;
    }
    assert_int_equal(*sent, end_at);
    return most;
}

static void run_turns(int turns)
{
    while (turns-- > 0)
        mw_api_run(api);
}

/* As many bodies as all of them may hold, which wait for their answers. */
static void fill_with_bodies(struct mw_str request, int fds[FULL])
{
    holds = true;
    for (size_t i = 0; i < FULL; i++) {
        size_t sent = 0;
        fds[i] = connect_to_it();
        (void)send_up_to(fds[i], request, &sent, request.len);
        for (int turns = 0; turns < 100000 && posted <= i; turns++)
            mw_api_run(api);
        assert_int_equal(posted, i + 1);
    }
    holds = false;
}

static void answer_held(const int fds[FULL])
{
    for (size_t i = 0; i < FULL; i++)
        mw_api_answer(held[i], 200, MW_STR("{}"));
    for (size_t i = 0; i < FULL; i++) {
        run_turns(1000);
        (void)close(fds[i]);
    }
    run_turns(1000);
}

/* Bodies that wait for their answers hold memory: the one that is over what all of them may hold is refused, and what is answered makes room. */
static void p09_all_bodies_together_have_their_limit(void **state)
{
    struct mw_buf request = largest_request("application/json");
    int fds[FULL];
    char answer[4096];
    size_t sent = 0;
    (void)state;
    begin(false);
    fill_with_bodies(mw_buf_str(&request), fds);
    /* Not kept while it comes in, either. */
    int fd = connect_to_it();
    size_t most = send_up_to(fd, mw_buf_str(&request), &sent, request.len - 1);
    assert_true(most < MW_API_BODY_BYTES_MAX / 4);
    (void)close(fd);
    assert_int_equal(ask(mw_buf_str(&request), answer), 429);
    assert_int_equal(posted, FULL);
    answer_held(fds);
    assert_int_equal(ask(mw_buf_str(&request), answer), 200);
    mw_heap_buf_free(&request);
    end();
}

/* Room that comes back while it is on its way in does not bring back what was not kept of it: it is refused, and never taken with a hole. */
static void p09_p14_a_body_of_which_a_part_was_not_kept_is_refused(void **state)
{
    struct mw_buf request = largest_request("application/json");
    int fds[FULL];
    char answer[4096];
    size_t sent = 0;
    int status = 0;
    (void)state;
    begin(false);
    fill_with_bodies(mw_buf_str(&request), fds);
    int fd = connect_to_it();
    (void)send_up_to(fd, mw_buf_str(&request), &sent, request.len / 2);
    run_turns(1000);
    answer_held(fds);
    (void)send_up_to(fd, mw_buf_str(&request), &sent, request.len);
    ssize_t got = -1;
    for (int turns = 0; turns < 100000 && got < 0; turns++) {
        mw_api_run(api);
        got = recv(fd, answer, sizeof answer - 1, 0);
    }
    assert_true(got > 0);
    answer[got] = '\0';
    (void)sscanf(answer, "HTTP/1.1 %d", &status);
    assert_int_equal(status, 429);
    assert_int_equal(posted, FULL);
    (void)close(fd);
    mw_heap_buf_free(&request);
    end();
}

/* Whatever it was refused for: nobody is held off for ever by what was sent in vain. */
static void p09_a_body_that_is_refused_gives_its_room_back(void **state)
{
    static const struct {
        const char *type, *url;
        int status;
    } rows[] = {{"text/plain", "/v1/intents", 415}, {"application/json", "/v1/nothing", 404}};
    char answer[4096];
    (void)state;
    begin(false);
    for (size_t row = 0; row < MW_COUNT(rows); row++) {
        struct mw_buf request = largest_request(rows[row].type), other = mw_heap_buf();
        size_t line = sizeof("POST /v1/intents") - 1;
        mw_buf_printf(&other, "POST %s", rows[row].url);
        mw_buf_put(&other, mw_str_sub(mw_buf_str(&request), line, request.len));
        for (size_t i = 0; i < FULL; i++)
            assert_int_equal(ask(mw_buf_str(&other), answer), rows[row].status);
        mw_heap_buf_free(&other);
        mw_heap_buf_free(&request);
        request = largest_request("application/json");
        assert_int_equal(ask(mw_buf_str(&request), answer), 200);
        mw_heap_buf_free(&request);
    }
    end();
}

/* docs/api.md: what callers act upon. */
static void p09_p10_each_refusal_has_its_status_and_says_when_to_come_back(void **state)
{
    static const struct {
        enum mw_rc rc;
        int status;
        bool later;
    } cases[] = {
        {MW_E_INPUT, 400, false},    {MW_E_DENIED, 403, false},  {MW_E_MISSING, 404, false},
        {MW_E_CONFLICT, 409, false}, {MW_E_TIMEOUT, 410, false}, {MW_E_CONFIG, 422, false},
        {MW_E_CORRUPT, 423, false},  {MW_E_LIMIT, 429, true},    {MW_E_FULL, 507, true},
        {MW_E_IO, 500, false},       {MW_OK, 200, false}};
    char answer[4096];
    (void)state;
    begin(false);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        refusal = cases[i].rc;
        int status = post_with("Content-Type: application/json\r\nContent-Length: 2\r\n",
                               MW_STR("{}"), answer);
        bool later = strcasestr(answer, "\r\nretry-after: ") != NULL;
        if (status != cases[i].status || later != cases[i].later)
            fail_msg("%s is answered %d%s", mw_rc_name(cases[i].rc), status,
                     later ? " with retry-after" : "");
    }
    end();
}

/* ---- the address ---- */

static void workspace_with_token(char ret_top[32], int *ret_fd)
{
    struct mw_err err = {0};
    (void)snprintf(ret_top, 32, "/tmp/mw-token-XXXXXX");
    assert_non_null(mkdtemp(ret_top));
    *ret_fd = open(ret_top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_mkdirs(*ret_fd, ".millwright", 0700, &err), MW_OK);
    assert_int_equal(mw_file_replace(*ret_fd, ".millwright/token", mw_str_of(token), 0600, &err),
                     MW_OK);
}

/* One address of this machine, in numbers: never all of them, however they are written, and never a name that somebody else resolves. */
static void p21_a_port_is_on_one_address_of_this_machine(void **state)
{
    static const struct {
        const char *address;
        enum mw_rc rc;
        const char *host; /* up to the port; NULL: no matter */
    } cases[] = {{"127.0.0.1:0", MW_OK, "127.0.0.1:"},
                 {"127.0.0.2:0", MW_OK, "127.0.0.2:"},
                 {"0", MW_OK, "127.0.0.1:"},
                 {"0.0.0.0:0", MW_E_USAGE, NULL},
                 {"[::]:0", MW_E_USAGE, NULL},
                 {"[0:0:0:0:0:0:0:0]:0", MW_E_USAGE, NULL},
                 {"[::0.0.0.0]:0", MW_E_USAGE, NULL},
                 {"[::ffff:0.0.0.0]:0", MW_E_USAGE, NULL},
                 {"[::ffff:0:0]:0", MW_E_USAGE, NULL},
                 {"[::ffff:127.0.0.1]:0", MW_E_USAGE, NULL}, /* 127.0.0.1 is its name */
                 {"[127.0.0.1]:0", MW_E_USAGE, NULL},
                 {"::1:0", MW_E_USAGE, NULL},
                 {"[::1:0", MW_E_USAGE, NULL},
                 {"[]:0", MW_E_USAGE, NULL},
                 {"localhost:0", MW_E_USAGE, NULL},
                 {"*:0", MW_E_USAGE, NULL},
                 {":0", MW_E_USAGE, NULL},
                 {"", MW_E_USAGE, NULL},
                 {"127.0.0.1", MW_E_USAGE, NULL},
                 {"127.0.0.1:", MW_E_USAGE, NULL},
                 {"127.0.0.1:65536", MW_E_USAGE, NULL},
                 {"127.0.0.1:-1", MW_E_USAGE, NULL},
                 {"127.0.0.1:0x10", MW_E_USAGE, NULL},
                 {"127.0.0.1 :0", MW_E_USAGE, NULL},
                 {"127.1:0", MW_E_USAGE, NULL}};
    char top[32];
    int top_fd;
    struct mw_err err = {0};
    (void)state;
    workspace_with_token(top, &top_fd);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        struct mw_api_guard guard;
        int fd = -1;
        enum mw_rc rc = mw_host_tcp_listen(top_fd, cases[i].address, &fd, &guard, &err);
        if (rc != cases[i].rc)
            fail_msg("'%s': %s", cases[i].address, mw_rc_name(rc));
        assert_int_equal(fd >= 0, rc == MW_OK);
        if (cases[i].host != NULL &&
            !mw_str_starts(mw_str_of(guard.hosts[0]), mw_str_of(cases[i].host)))
            fail_msg("'%s' is called '%s'", cases[i].address, guard.hosts[0]);
        if (fd >= 0)
            (void)close(fd);
    }
    (void)close(top_fd);
    assert_int_equal(mw_remove_tree(AT_FDCWD, top, &err), MW_OK);
}

/* What browsers and clients say of an address whose port is the one that HTTP has by itself: nothing. Only root may have that port, so it is said. */
static void p21_the_port_of_http_itself_has_no_number_in_a_host(void **state)
{
    static const struct {
        const char *address, *hosts[2];
    } cases[] = {{"127.0.0.1:0", {"127.0.0.1", "localhost"}}, {"[::1]:0", {"[::1]", "localhost"}}};
    char top[32];
    int top_fd;
    struct mw_err err = {0};
    (void)state;
    workspace_with_token(top, &top_fd);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        struct mw_api_guard guard;
        int fd = -1;
        said_port = 80;
        enum mw_rc rc = mw_host_tcp_listen(top_fd, cases[i].address, &fd, &guard, &err);
        said_port = 0;
        if (rc != MW_OK) { /* a system without IPv6 */
            print_message("skipped: '%s': %s\n", cases[i].address, err.text);
            continue;
        }
        for (size_t n = 0; n < 2; n++)
            assert_string_equal(guard.hosts[n], cases[i].hosts[n]);
        (void)close(fd);
    }
    (void)close(top_fd);
    assert_int_equal(mw_remove_tree(AT_FDCWD, top, &err), MW_OK);
}

/* ---- the token's file ---- */

static void p21_a_token_that_others_can_read_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        enum mw_rc expected;
    } cases[] = {{0600, MW_OK},       {0400, MW_OK},       {0640, MW_E_CONFIG},
                 {0604, MW_E_CONFIG}, {0660, MW_E_CONFIG}, {0666, MW_E_CONFIG},
                 {0620, MW_E_CONFIG}, {0601, MW_E_CONFIG}};
    char top[32];
    int top_fd;
    struct mw_err err = {0};
    (void)state;
    workspace_with_token(top, &top_fd);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        struct mw_api_guard guard;
        int fd = -1;
        assert_int_equal(fchmodat(top_fd, ".millwright/token", cases[i].mode, 0), 0);
        enum mw_rc rc = mw_host_tcp_listen(top_fd, "127.0.0.1:0", &fd, &guard, &err);
        if (rc != cases[i].expected)
            fail_msg("a token of mode %o: %s", (unsigned)cases[i].mode, mw_rc_name(rc));
        if (rc == MW_OK)
            assert_string_equal(guard.token, token);
        if (fd >= 0)
            (void)close(fd);
    }
    (void)close(top_fd);
    assert_int_equal(mw_remove_tree(AT_FDCWD, top, &err), MW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p21_every_byte_of_the_token_counts),
        cmocka_unit_test(p21_no_answer_may_be_kept_by_others),
        cmocka_unit_test(p21_the_token_counts_however_many_are_connected),
        cmocka_unit_test(p21_host_and_origin_are_compared_exactly),
        cmocka_unit_test(p21_a_body_is_json_and_says_its_length_once),
        cmocka_unit_test(p21_where_programs_are_found_is_said_on_the_socket_only),
        cmocka_unit_test(p09_p21_a_head_that_never_ends_ends_its_connection),
        cmocka_unit_test(p09_p21_a_body_says_its_length),
        cmocka_unit_test(p09_a_body_has_its_limit),
        cmocka_unit_test(p09_all_bodies_together_have_their_limit),
        cmocka_unit_test(p09_p14_a_body_of_which_a_part_was_not_kept_is_refused),
        cmocka_unit_test(p09_a_body_that_is_refused_gives_its_room_back),
        cmocka_unit_test(p09_p10_each_refusal_has_its_status_and_says_when_to_come_back),
        cmocka_unit_test(p21_a_port_is_on_one_address_of_this_machine),
        cmocka_unit_test(p21_the_port_of_http_itself_has_no_number_in_a_host),
        cmocka_unit_test(p21_a_token_that_others_can_read_is_refused),
    };
    return cmocka_run_group_tests_name("test_api_guard", tests, NULL, NULL);
}
