/* What callers may take of a host by connecting: a place, its memory, its time. */
#include "api/api.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 20 /* for what has to happen; a machine may be busy */
#define HELLO "GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n"
#define FOLLOW "GET /v1/journal?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"

struct world {
    struct mw_api *api;
    struct sockaddr_in address;
};

static unsigned say_hello(void *host, struct mw_buf *out)
{
    (void)host;
    mw_buf_put_z(out, "{}");
    return 200;
}

/* Nothing is on the disk: followers hear what they are fed. */
static enum mw_rc no_records(void *host, uint64_t after, const struct mw_api_wanted *wanted,
                             size_t bytes_max, struct mw_buf *out, uint64_t *ret_after,
                             struct mw_err *err)
{
    (void)host, (void)wanted, (void)bytes_max, (void)out, (void)err;
    *ret_after = after;
    return MW_OK;
}

static void open_api(struct world *world, uint32_t connections_max, uint32_t silent_s)
{
    static const struct mw_api_ops ops = {.hello = say_hello, .records = no_records};
    const struct mw_api_limits limits = {.connections_max = connections_max, .silent_s = silent_s};
    struct mw_err err = {0};
    socklen_t size = sizeof(world->address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    world->address = (struct sockaddr_in){.sin_family = AF_INET};
    world->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&world->address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&world->address, &size), 0);
    assert_int_equal(mw_api_start(fd, &limits, &ops, NULL, &world->api, &err), MW_OK);
}

static int come_in(const struct world *world, const char *words)
{
    const int little = 65536;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&world->address, sizeof(world->address)),
                     0);
    assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), (ssize_t)strlen(words));
    return fd;
}

/* What the host's loop does, once: whom nobody calls it does not run. */
static void turn(const struct world *world)
{
    struct pollfd ready = {.fd = mw_api_fd(world->api), .events = POLLIN};
    int64_t left_ms = mw_api_timeout_ms(world->api);
    bool is_due = left_ms >= 0 && left_ms <= 1000;
    if (poll(&ready, 1, is_due ? (int)left_ms : 50) > 0 || is_due)
        mw_api_run(world->api);
}

/* Turns until something can be read there, or its end; what read() said. -2: nothing came for all our patience. */
static ssize_t hear(const struct world *world, int fd, char *to, size_t room, int patience_s)
{
    time_t until = time(NULL) + patience_s;
    for (;;) {
        turn(world);
        ssize_t got = recv(fd, to, room, MSG_DONTWAIT);
        if (got >= 0)
            return got;
        if (time(NULL) > until)
            return -2;
    }
}

static void p21_a_connection_on_which_nothing_is_said_is_closed(void **state)
{
    struct world world;
    char text[512];
    (void)state;
    open_api(&world, 4, 1);
    int silent = come_in(&world, ""), halfway = come_in(&world, "GET /v1/hel");
    assert_int_equal(hear(&world, silent, text, sizeof(text), PATIENCE_S), 0);
    /* In words or without, it ends. */
    for (ssize_t got = 1; got != 0;)
        assert_true((got = hear(&world, halfway, text, sizeof(text), PATIENCE_S)) >= 0);
    close(silent);
    close(halfway);
    mw_api_stop(world.api);
}

static void p21_who_follows_is_not_closed_for_hearing_nothing(void **state)
{
    struct world world;
    char text[512];
    (void)state;
    open_api(&world, 4, 1);
    int follower = come_in(&world, FOLLOW), silent = come_in(&world, "");
    assert_true(hear(&world, follower, text, sizeof(text), PATIENCE_S) > 0); /* the head */
    /* The silent one shows that the time is over, twice. */
    assert_int_equal(hear(&world, silent, text, sizeof(text), PATIENCE_S), 0);
    close(silent);
    silent = come_in(&world, "");
    assert_int_equal(hear(&world, silent, text, sizeof(text), PATIENCE_S), 0);
    close(silent);
    mw_api_feed(world.api, 1, 1, MW_STR("{\"kind\":\"x\"}\n"));
    assert_true(hear(&world, follower, text, sizeof(text), PATIENCE_S) > 0);
    close(follower);
    mw_api_stop(world.api);
}

static void p09_no_more_connections_are_taken_than_the_limit_says(void **state)
{
    struct world world;
    char text[512];
    int held[3];
    (void)state;
    open_api(&world, 3, 0);
    for (int i = 0; i < 3; i++) {
        held[i] = come_in(&world, HELLO);
        assert_true(hear(&world, held[i], text, sizeof(text), PATIENCE_S) > 0);
    }
    int late = come_in(&world, HELLO);
    for (int i = 0; i < 10; i++)
        turn(&world);
    assert_int_equal(mw_api_connections(world.api), 3);
    assert_int_equal(recv(late, text, sizeof(text), MSG_DONTWAIT), -1);
    close(held[1]); /* a place is free again */
    assert_true(hear(&world, late, text, sizeof(text), PATIENCE_S) > 0);
    close(held[0]);
    close(held[2]);
    close(late);
    mw_api_stop(world.api);
}

/* Of arguments that it has no room for, libmicrohttpd says nothing. */
static void p14_an_address_of_too_many_arguments_is_answered(void **state)
{
    static const struct {
        unsigned count;
        const char *status;
    } rows[] = {{3, "200"}, {63, "200"}, {64, "200"}, {65, "414"}, {1000, "414"}, {9000, "414"}};
    struct world world;
    char text[512];
    (void)state;
    open_api(&world, 4, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *words = mw_heap_alloc(65536);
        strcpy(words, "GET /v1/hello?a=1");
        char *end = words + strlen(words);
        for (unsigned n = 1; n < rows[i].count; n++)
            end = stpcpy(end, "&b=2");
        strcpy(end, " HTTP/1.1\r\nHost: x\r\n\r\n");
        int caller = come_in(&world, words);
        assert_true(hear(&world, caller, text, sizeof(text), PATIENCE_S) > 12);
        assert_memory_equal(text + 9, rows[i].status, 3);
        close(caller);
        mw_heap_free(words);
    }
    mw_api_stop(world.api);
}

/* Taken for its end, it would make of an address another one. */
static void p14_an_address_with_a_nul_is_refused(void **state)
{
    struct world world;
    char text[512];
    (void)state;
    open_api(&world, 4, 0);
    int caller = come_in(&world, "GET /v1/hello%00x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hear(&world, caller, text, sizeof(text), PATIENCE_S) > 12);
    assert_memory_equal(text + 9, "400", 3);
    close(caller);
    mw_api_stop(world.api);
}

/* No record comes that would show that they have gone. */
static void p09_followers_that_have_left_hold_no_place(void **state)
{
    struct world world;
    char text[512];
    int held[3];
    (void)state;
    open_api(&world, 3, 0);
    for (int i = 0; i < 3; i++) {
        held[i] = come_in(&world, FOLLOW);
        assert_true(hear(&world, held[i], text, sizeof(text), PATIENCE_S) > 0);
    }
    int late = come_in(&world, HELLO);
    for (int i = 0; i < 3; i++)
        close(held[i]);
    assert_in_range(mw_api_timeout_ms(world.api), 0, 1000); /* nothing else wakes the host */
    assert_true(hear(&world, late, text, sizeof(text), PATIENCE_S) > 0);
    close(late);
    mw_api_stop(world.api);
}

/* The host asks again how long it may sleep whenever something else has woken it, and that may be all the time. */
static void p09_followers_that_have_left_hold_no_place_however_often_the_host_is_woken(void **state)
{
    struct world world;
    char text[512];
    int held[3];
    (void)state;
    open_api(&world, 3, 0);
    for (int i = 0; i < 3; i++) {
        held[i] = come_in(&world, FOLLOW);
        assert_true(hear(&world, held[i], text, sizeof(text), PATIENCE_S) > 0);
    }
    int late = come_in(&world, HELLO);
    for (int i = 0; i < 3; i++)
        close(held[i]);
    time_t until = time(NULL) + PATIENCE_S;
    while (recv(late, text, sizeof(text), MSG_DONTWAIT) <= 0) {
        struct pollfd ready = {.fd = mw_api_fd(world.api), .events = POLLIN};
        assert_true(time(NULL) <= until);
        if (poll(&ready, 1, 10) > 0 || mw_api_timeout_ms(world.api) == 0)
            mw_api_run(world.api);
    }
    close(late);
    mw_api_stop(world.api);
}

/* Always a little behind, and never with nothing left to read: what it has read is not kept. */
static void p09_a_follower_that_never_catches_up_holds_little_memory(void **state)
{
    enum { LINE = 4096, LINES = 64, BATCHES = 400, BEHIND = 256 * 1024 };
    struct world world;
    char *batch = mw_heap_alloc(LINE * LINES), *text = mw_heap_alloc(1u << 20);
    (void)state;
    memset(batch, 'x', LINE * LINES);
    for (int i = 1; i <= LINES; i++)
        batch[i * LINE - 1] = '\n';
    open_api(&world, 4, 0);
    int follower = come_in(&world, FOLLOW);
    assert_true(hear(&world, follower, text, 1u << 20, PATIENCE_S) > 0);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, most = 0;
    uint64_t fed = 0, heard = 0;
    for (uint64_t i = 0; i < BATCHES; i++) {
        mw_api_feed(world.api, i * LINES + 1, LINES, (struct mw_str){batch, LINE * LINES});
        fed += LINE * LINES;
        while (heard + BEHIND < fed) {
            size_t want = (size_t)(fed - heard - BEHIND);
            ssize_t got =
                hear(&world, follower, text, want < (1u << 20) ? want : 1u << 20, PATIENCE_S);
            assert_true(got > 0);
            heard += (uint64_t)got;
        }
        size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;
        most = now > before && now - before > most ? now - before : most;
    }
    assert_in_range(most, 0, 8u << 20); /* of 100 MiB */
    close(follower);
    mw_api_stop(world.api);
    mw_heap_free(batch);
    mw_heap_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p21_a_connection_on_which_nothing_is_said_is_closed),
        cmocka_unit_test(p21_who_follows_is_not_closed_for_hearing_nothing),
        cmocka_unit_test(p09_no_more_connections_are_taken_than_the_limit_says),
        cmocka_unit_test(p14_an_address_of_too_many_arguments_is_answered),
        cmocka_unit_test(p14_an_address_with_a_nul_is_refused),
        cmocka_unit_test(p09_followers_that_have_left_hold_no_place),
        cmocka_unit_test(
            p09_followers_that_have_left_hold_no_place_however_often_the_host_is_woken),
        cmocka_unit_test(p09_a_follower_that_never_catches_up_holds_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
