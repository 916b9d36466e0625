#include "cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "cli/link.h"
#include "posix/heap.h"

#define RECORD_ARENA_BYTES (256UL * 1024 * 1024) /* reserved, not touched */
#define LOST_MAX 5                               /* streams in a row that gave nothing */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number; /* only one is caught */
    interrupted = 1;
}

struct listening {
    struct sigaction before;
    sigset_t mask_before;
    sigset_t waiting; /* while waiting, SIGINT gets through */
};

/* From here SIGINT is heard while waiting, and only there: no record is cut in two. */
static void listen_begin(struct listening *listening)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t block;
    interrupted = 0;
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&block);
    (void)sigaddset(&block, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &block, &listening->mask_before);
    (void)sigaction(SIGINT, &action, &listening->before);
    listening->waiting = listening->mask_before;
    (void)sigdelset(&listening->waiting, SIGINT);
}

static void listen_end(const struct listening *listening)
{
    (void)sigprocmask(SIG_SETMASK, &listening->mask_before, NULL);
    (void)sigaction(SIGINT, &listening->before, NULL);
}

static enum mw_rc take_lines(struct mw_follow *follow, struct mw_arena *arena,
                             struct mw_http_stream *stream, bool *ret_stop, struct mw_err *err)
{
    size_t at = 0;
    struct mw_str line;
    while (!*ret_stop && mw_http_line(stream, &at, &line)) {
        struct mw_tape record;
        mw_arena_reset(arena);
        if (mw_str_trim(line).len == 0)
            continue; /* a blank line keeps the connection warm */
        enum mw_rc rc = mw_json_parse(arena, line, &record, err);
        if (rc != MW_OK)
            return MW_FAIL(err, MW_E_CORRUPT, "the host sent a record that is no JSON");
        int64_t seq = mw_node_int(&record, mw_node_get(&record, 0, "seq"), 0);
        *ret_stop = !follow->on_record(follow->context, line, &record);
        if (seq > follow->after)
            follow->after = seq;
    }
    mw_http_taken(stream, at);
    return MW_OK;
}

/* One stream until it ends, is lost, or enough was seen. */
static enum mw_rc read_stream(struct mw_follow *follow, struct mw_arena *arena,
                              struct mw_http_stream *stream, const sigset_t *waiting,
                              bool *ret_stop, struct mw_err *err)
{
    struct timespec tick = {0, MW_FOLLOW_TICK_MS * 1000000L};
    for (;;) {
        enum mw_rc rc = take_lines(follow, arena, stream, ret_stop, err);
        if (rc != MW_OK || *ret_stop)
            return rc;
        struct pollfd entry = {.fd = stream->fd, .events = POLLIN};
        struct timespec now = {0, 0};
        int ready = ppoll(&entry, 1, &now, waiting);
        if (ready == 0 && follow->on_quiet != NULL && !follow->on_quiet(follow->context)) {
            *ret_stop = true;
            return MW_OK;
        }
        if (ready == 0)
            ready = ppoll(&entry, 1, follow->ticks ? &tick : NULL, waiting);
        if (interrupted)
            return MW_OK;
        if (ready == 0 && follow->on_tick != NULL && !follow->on_tick(follow->context)) {
            *ret_stop = true;
            return MW_OK;
        }
        if (ready < 0 && errno != EINTR)
            return MW_FAIL_SYS(err, MW_E_IO, "wait for records");
        if (ready <= 0)
            continue;
        rc = mw_http_fill(stream, err);
        if (rc != MW_OK)
            return rc;
        if (stream->done) {
            rc = take_lines(follow, arena, stream, ret_stop, err);
            if (rc != MW_OK || *ret_stop)
                return rc;
            return MW_FAIL(err, MW_E_IO, "the host ended the stream of records");
        }
    }
}

enum mw_rc mw_follow(struct mw_cli *cli, struct mw_follow *follow, bool *ret_left,
                     struct mw_err *err)
{
    struct mw_http_stream stream;
    struct mw_arena arena;
    struct listening listening;
    enum mw_rc rc = MW_OK;
    bool stop = false;
    mw_heap_arena(&arena, RECORD_ARENA_BYTES);
    listen_begin(&listening);
    for (unsigned lost = 0; !stop && !interrupted && lost < LOST_MAX; lost++) {
        int64_t before = follow->after;
        rc = mw_link_follow(cli, follow->after, follow->trace, NULL, &stream, err);
        if (rc == MW_OK) {
            rc = read_stream(follow, &arena, &stream, &listening.waiting, &stop, err);
            mw_http_close(&stream);
        }
        if (rc != MW_OK && rc != MW_E_IO && rc != MW_E_TIMEOUT)
            break;
        /* The host went away: the next round finds it again, or starts it. */
        cli->host_checked = false;
        if (follow->after > before)
            lost = 0;
    }
    *ret_left = interrupted != 0;
    listen_end(&listening);
    mw_heap_arena_free(&arena);
    return stop || *ret_left ? MW_OK : rc;
}

bool mw_follow_ask(bool (*read)(void *context), void *context)
{
    struct listening listening;
    listen_begin(&listening);
    (void)sigprocmask(SIG_SETMASK, &listening.waiting, NULL);
    bool answered = read(context);
    (void)sigprocmask(SIG_BLOCK, &listening.waiting, NULL);
    bool was = interrupted != 0;
    listen_end(&listening);
    return answered && !was;
}
