/* The development proxy takes the service's name off, passes bodies on, and refuses heads that two readers could read differently. */
#include "cli/proxy.h"
#include "cli/proxy_head.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "posix/heap.h"

#define GET "GET /a/b HTTP/1.1\r\nHost: x\r\n"
#define POST "POST /a/b HTTP/1.1\r\nHost: x\r\n"

static const struct {
    const char *name, *head;
    int status;
} heads[] = {
    {"plain", GET "\r\n", 0},
    {"a length", POST "Content-Length: 12\r\n\r\n", 0},
    {"chunked", POST "Transfer-Encoding: chunked\r\n\r\n", 0},
    {"both framings", POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"both, the other way", POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {"two lengths", POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {"a length that is none", POST "Content-Length: +1\r\n\r\n", 400},
    {"an encoding that ends otherwise", POST "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"blank before the colon", GET "A : b\r\n\r\n", 400},
    {"a folded line", GET "A: b\r\n c\r\n\r\n", 400},
    {"a bare line feed", "GET / HTTP/1.1\nHost: x\r\n\r\n", 400},
    {"a bare carriage return", GET "A: b\rC: d\r\n\r\n", 400},
    {"no version", "GET /\r\n\r\n", 400},
    {"an absolute target", "GET http://x/ HTTP/1.1\r\n\r\n", 400},
    {"another protocol", "GET / HTTP/2.0\r\n\r\n", 505},
    {"a body beyond the limit", POST "Content-Length: 99999999999\r\n\r\n", 413},
};

static void test_heads_that_are_doubtful_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_COUNT(heads); i++) {
        struct mw_proxy_request request;
        int status = mw_proxy_head_read(mw_str_of(heads[i].head), &request);
        if (status != heads[i].status)
            fail_msg("%s: %d instead of %d", heads[i].name, status, heads[i].status);
    }
}

static void test_the_services_head_has_its_own_path_and_no_hop_fields(void **state)
{
    struct mw_str head =
        MW_STR("GET /todo/x?y=1 HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nA: b\r\n\r\n");
    struct mw_proxy_request request;
    struct mw_buf out = mw_heap_buf();
    (void)state;
    assert_int_equal(mw_proxy_head_read(head, &request), 0);
    mw_proxy_head_write(head, &request, MW_STR("/x?y=1"), &out);
    assert_true(mw_str_is(mw_buf_str(&out),
                          "GET /x?y=1 HTTP/1.1\r\nHost: h\r\nA: b\r\nConnection: close\r\n\r\n"));
    mw_heap_buf_free(&out);
}

static void test_a_chunked_body_ends_where_it_says_in_any_pieces(void **state)
{
    static const char body[] = "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\nGET /next";
    (void)state;
    for (size_t piece = 1; piece < sizeof(body); piece++) {
        struct mw_body_meter meter = {.framing = MW_BODY_CHUNKED};
        size_t total = 0;
        for (size_t at = 0; at < sizeof(body) - 1 && !meter.done; at += piece) {
            size_t len = sizeof(body) - 1 - at < piece ? sizeof(body) - 1 - at : piece, taken = 0;
            assert_true(mw_body_take(&meter, (struct mw_str){body + at, len}, &taken));
            total += taken;
        }
        assert_true(meter.done);
        assert_int_equal(total, strlen("5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n"));
    }
    static const char *const broken[] = {"\r\n", "g\r\n", "5\nhello", "2\r\nabc\r\n",
                                         "123456789\r\n"};
    for (size_t i = 0; i < MW_COUNT(broken); i++) {
        struct mw_body_meter meter = {.framing = MW_BODY_CHUNKED};
        size_t taken = 0;
        assert_false(mw_body_take(&meter, mw_str_of(broken[i]), &taken));
    }
}

/* ---- the whole of it, as a process ---- */

static int listener(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* A service that answers with the request it got, until the listener is gone. */
static pid_t start_echo(int fd)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    for (;;) {
        char text[8192];
        size_t len = 0;
        int client = accept(fd, NULL, NULL);
        if (client < 0)
            _exit(0);
        while (len < sizeof(text) && memmem(text, len, "END", 3) == NULL) {
            ssize_t got = recv(client, text + len, sizeof(text) - len, 0);
            if (got <= 0)
                break;
            len += (size_t)got;
        }
        char head[128];
        int head_len =
            snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
        (void)!write(client, head, (size_t)head_len);
        (void)!write(client, text, len);
        (void)close(client);
    }
}

static pid_t start_proxy(uint16_t service_port, int *ret_in, uint16_t *ret_port)
{
    int in[2], out[2];
    char line[128] = "";
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char route[32];
        char *argv[] = {(char[]){"millwright"}, (char[]){"__proxy"}, (char[]){"0"}, route, NULL};
        (void)snprintf(route, sizeof(route), "todo=%u", service_port);
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)close(in[1]);
        _exit(mw_proxy_main(4, argv));
    }
    (void)close(in[0]);
    (void)close(out[1]);
    assert_true(read(out[0], line, sizeof(line) - 1) > 0);
    (void)close(out[0]);
    unsigned port = 0;
    assert_int_equal(sscanf(line, "{\"event\":\"listening\",\"port\":%u}", &port), 1);
    *ret_in = in[1];
    *ret_port = (uint16_t)port;
    return pid;
}

static char *ask(uint16_t port, const char *request)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct mw_buf answer = mw_heap_buf();
    char block[4096];
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    while ((got = recv(fd, block, sizeof(block), 0)) > 0)
        mw_buf_put(&answer, (struct mw_str){block, (size_t)got});
    (void)close(fd);
    mw_buf_put_c(&answer, '\0');
    return answer.ptr;
}

static void expect(uint16_t port, const char *request, const char *status, const char *part)
{
    char *answer = ask(port, request);
    if (strncmp(answer, status, strlen(status)) != 0 || strstr(answer, part) == NULL)
        fail_msg("to %.40s: %s", request, answer);
    free(answer);
}

static void test_a_running_proxy_routes_lists_refuses_and_ends_with_its_starter(void **state)
{
    uint16_t service_port, port, dead_port;
    int in, status = 0, fd = listener(&service_port);
    (void)state;
    pid_t echo = start_echo(fd);
    pid_t proxy = start_proxy(service_port, &in, &port);
    expect(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "\"url\":\"/todo/\"");
    expect(port, "POST /todo/items?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabcEND",
           "HTTP/1.1 200", "POST /items?a=b HTTP/1.1\r\n");
    expect(
        port,
        "POST /todo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nEND\r\n0\r\n\r\n",
        "HTTP/1.1 200", "POST / HTTP/1.1\r\n");
    expect(port, "GET /other/x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404", "not_found");
    expect(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405",
           "error");
    expect(port, "POST /todo/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 400", "bad_request");
    (void)close(in);
    assert_int_equal(waitpid(proxy, &status, 0), proxy);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)kill(echo, SIGKILL);
    assert_int_equal(waitpid(echo, &status, 0), echo);
    (void)close(fd);
    /* Nobody listens behind it. */
    (void)close(listener(&dead_port));
    proxy = start_proxy(dead_port, &in, &port);
    expect(port, "GET /todo/x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 502", "bad_gateway");
    (void)close(in);
    assert_int_equal(waitpid(proxy, &status, 0), proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_that_are_doubtful_are_refused),
        cmocka_unit_test(test_the_services_head_has_its_own_path_and_no_hop_fields),
        cmocka_unit_test(test_a_chunked_body_ends_where_it_says_in_any_pieces),
        cmocka_unit_test(test_a_running_proxy_routes_lists_refuses_and_ends_with_its_starter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
