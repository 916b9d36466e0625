/*
 * test_follow.c - P09 P15: who follows the records over HTTP gets each of them once and in order, however fast they come, however slowly they are
 * read and wherever the reading began; what is not read is left on the disk and not in memory.
 */
#include "api/api.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* What is durable: records 1 to last, each a line that its number gives. */
static struct {
    uint64_t last;
    size_t line_bytes;
} journal;

static struct mw_api *api;
static char folder[64], path[96];

static void put_line(struct mw_buf *out, uint64_t seq)
{
    size_t start = out->len;
    mw_buf_printf(out, "{\"kind\":\"x\",\"seq\":%lu,\"payload\":{\"pad\":\"", (unsigned long)seq);
    while (out->len - start < journal.line_bytes)
        mw_buf_put_c(out, (char)('a' + seq % 26));
    mw_buf_put(out, MW_STR("\"}}\n"));
}

static enum mw_rc records(void *host, uint64_t after, const struct mw_api_wanted *wanted,
                          size_t bytes_max, struct mw_buf *out, uint64_t *ret_after,
                          struct mw_err *err)
{
    (void)host;
    (void)wanted;
    (void)err;
    uint64_t seq = after;
    while (seq < journal.last && out->len <= bytes_max)
        put_line(out, ++seq);
    *ret_after = seq;
    return MW_OK;
}

static const struct mw_api_ops ops = {.records = records};

/* ---- a server and one who follows ---- */

static void begin(size_t line_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct mw_err err = {0};
    journal.last = 0;
    journal.line_bytes = line_bytes;
    (void)strcpy(folder, "/tmp/mw-api-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    const struct mw_api_limits limits = {.connections_max = 16};
    if (mw_api_start(fd, &limits, &ops, &journal, &api, &err) != MW_OK)
        fail_msg("%s", err.text);
}

static void end(void)
{
    mw_api_stop(api);
    (void)unlink(path);
    (void)rmdir(folder);
}

static int follow(uint64_t after)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char request[160];
    int length = snprintf(request, sizeof request,
                          "GET /v1/journal?after=%lu&follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                          (unsigned long)after);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, request, (size_t)length), length);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Until it has nothing more to do. */
static void serve(void)
{
    for (int idle = 0; idle < 3;) {
        struct pollfd poll_fd = {.fd = mw_api_fd(api), .events = POLLIN};
        bool ready = poll(&poll_fd, 1, 0) > 0 || mw_api_timeout_ms(api) == 0;
        idle = ready ? 0 : idle + 1;
        mw_api_run(api);
    }
}

/* What has come so far, up to `bytes` of it. */
static void take(int fd, struct mw_buf *got, size_t bytes)
{
    char piece[65536];
    while (bytes > 0) {
        ssize_t count = read(fd, piece, bytes < sizeof piece ? bytes : sizeof piece);
        if (count < 0 && errno == EAGAIN)
            return;
        assert_true(count > 0);
        mw_buf_put(got, (struct mw_str){piece, (size_t)count});
        bytes -= (size_t)count;
    }
}

/* The body, without the frames of its transfer: every line that is whole. */
static uint64_t check_lines(const struct mw_buf *got, uint64_t after)
{
    struct mw_buf body = mw_heap_buf(), expected = mw_heap_buf();
    struct mw_str text = mw_buf_str(got);
    const char *start = memmem(text.ptr, text.len, "\r\n\r\n", 4);
    uint64_t seq = after;
    if (start == NULL)
        return after;
    for (size_t at = (size_t)(start - text.ptr) + 4; at < text.len;) {
        size_t size = 0;
        int digits = 0;
        char number[24];
        (void)snprintf(number, sizeof number, "%.*s", MW_STR_ARG(mw_str_sub(text, at, 20)));
        if (sscanf(number, "%zx%n", &size, &digits) != 1 || size == 0)
            break;
        at += (size_t)digits + 2;
        mw_buf_put(&body, mw_str_sub(text, at, size));
        at += size + 2;
    }
    for (size_t at = 0; at < body.len;) {
        size_t newline = mw_str_find(mw_buf_str(&body), '\n', at);
        if (newline == SIZE_MAX)
            break;
        mw_buf_reset(&expected);
        put_line(&expected, ++seq);
        if (!mw_str_eq(mw_buf_str(&expected), mw_str_sub(mw_buf_str(&body), at, newline + 1 - at)))
            fail_msg("record %lu is not the next that is heard: %.60s", (unsigned long)seq,
                     body.ptr + at);
        at = newline + 1;
    }
    mw_heap_buf_free(&body);
    mw_heap_buf_free(&expected);
    return seq;
}

static void commit(uint32_t count)
{
    struct mw_buf lines = mw_heap_buf();
    uint64_t first = journal.last + 1;
    for (uint32_t i = 0; i < count; i++)
        put_line(&lines, first + i);
    journal.last += count;
    mw_api_feed(api, first, count, mw_buf_str(&lines));
    mw_heap_buf_free(&lines);
}

static void hear_all(int fd, struct mw_buf *got, uint64_t after)
{
    for (int quiet = 0; quiet < 5;) {
        size_t before = got->len;
        serve();
        take(fd, got, SIZE_MAX >> 1);
        quiet = got->len == before ? quiet + 1 : 0;
    }
    assert_int_equal(check_lines(got, after), journal.last);
}

/* ---- the promises ---- */

static void p15_who_follows_hears_each_record_once_and_in_order(void **state)
{
    (void)state;
    struct mw_buf got = mw_heap_buf();
    begin(80);
    commit(5);
    int fd = follow(2);
    serve();
    for (uint32_t i = 0; i < 40; i++) {
        commit(1 + i % 4);
        if (i % 3 != 0)
            serve();
        if (i % 5 == 0)
            take(fd, &got, SIZE_MAX >> 1);
    }
    hear_all(fd, &got, 2);
    (void)close(fd);
    serve();
    end();
    mw_heap_buf_free(&got);
}

static void p15_who_begins_behind_hears_what_is_between(void **state)
{
    (void)state;
    struct mw_buf got = mw_heap_buf();
    begin(3000);
    commit(400); /* more than is sent at once */
    int fd = follow(0);
    serve();
    commit(10); /* it is not where this begins */
    serve();
    commit(10);
    hear_all(fd, &got, 0);
    (void)close(fd);
    serve();
    end();
    mw_heap_buf_free(&got);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void p09_what_a_slow_follower_does_not_read_stays_on_the_disk(void **state)
{
    (void)state;
    struct mw_buf got = mw_heap_buf();
    begin(30000);
    commit(1);
    int fd = follow(0);
    hear_all(fd, &got, 0);
    size_t before = heap_bytes();
    for (uint32_t i = 0; i < 500; i++) { /* 15 MB, of which nothing is read */
        commit(1);
        serve();
    }
    size_t more = heap_bytes() - before;
    if (heap_bytes() > before && more > (size_t)4 << 20)
        fail_msg("%zu bytes are kept for one who does not read", more);
    hear_all(fd, &got, 0);
    (void)close(fd);
    serve();
    end();
    mw_heap_buf_free(&got);
}

/* A record is of the trace and the kind that its head says, whatever it tells of others. */
static void p15_who_follows_one_trace_hears_what_is_of_it(void **state)
{
    static const char mine[] = "{\"kind\":\"x\",\"seq\":1,\"traceId\":\"a\",\"payload\":{}}\n";
    static const struct {
        const char *start, *member, *line;
        bool wanted;
    } rows[] = {
        {"", "", mine, true},
        {"", "\"traceId\":\"a\"", mine, true},
        {"", "\"traceId\":\"b\"", mine, false},
        {"{\"kind\":\"x\"", "", mine, true},
        {"{\"kind\":\"y\"", "", mine, false},
        {"{\"kind\":\"x\"", "\"traceId\":\"a\"", mine, true},
        {"", "\"traceId\":\"b\"",
         "{\"kind\":\"x\",\"seq\":1,\"traceId\":\"a\",\"payload\":{\"traceId\":\"b\"}}\n", false},
        {"", "\"traceId\":\"b\"", "{\"kind\":\"x\",\"seq\":1,\"traceId\":\"b\"}\n", true},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_api_wanted wanted = {mw_str_of(rows[i].start), mw_str_of(rows[i].member)};
        if (mw_api_wants(&wanted, mw_str_of(rows[i].line)) != rows[i].wanted)
            fail_msg("row %zu: %s", i, rows[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p15_who_follows_hears_each_record_once_and_in_order),
        cmocka_unit_test(p15_who_begins_behind_hears_what_is_between),
        cmocka_unit_test(p15_who_follows_one_trace_hears_what_is_of_it),
        cmocka_unit_test(p09_what_a_slow_follower_does_not_read_stays_on_the_disk),
    };
    return cmocka_run_group_tests_name("test_follow", tests, NULL, NULL);
}
