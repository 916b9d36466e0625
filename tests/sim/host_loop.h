/*
 * host_loop.h - libuv as the host knows it: timers, workers, the writer's thread, wake-ups, polls, signals; ordered by the seed.
 *
 * A turn is one round of the loop: timers that are due by the loop's own, cached time; prepare; then some of what has become ready, in any
 * order; then closings. When nothing is ready the clock goes to the next thing that happens. A worker's function runs in one piece at a moment
 * of its own, its after-call at a later one. A thread runs from one wait to the next in one piece.
 */
#ifndef MW_TEST_HOST_LOOP_H
#define MW_TEST_HOST_LOOP_H

#include "host_calls.h"

#include <ucontext.h>

#define LOOP_TIMERS_MAX 4096
#define LOOP_WORKS_MAX 1024
#define LOOP_POLLS_MAX 1024
#define LOOP_CLOSING_MAX 1024
#define LOOP_THREADS_MAX 4
#define LOOP_STACK_BYTES ((size_t)1 << 20)

struct loop_timer {
    uv_timer_t *handle;
    uv_timer_cb call;
    uint64_t due_ms, repeat_ms, order;
    bool active;
};

struct loop_work {
    uv_work_t *request;
    uv_work_cb work;
    uv_after_work_cb after;
    int64_t at_ns;
    bool done;
};

struct loop_poll {
    uv_poll_t *handle;
    uv_poll_cb call;
    int fd;
    bool active;
};

struct loop_closing {
    uv_handle_t *handle;
    uv_close_cb call;
};

struct loop_thread {
    ucontext_t context;
    uv_thread_cb entry;
    void *user;
    uv_sem_t *waits;
    bool ended;
};

struct loop {
    uint64_t now_ms; /* cached, as libuv's */
    bool stopped;
    uint64_t order;
    struct loop_timer timers[LOOP_TIMERS_MAX];
    uint32_t timer_count;
    struct loop_work works[LOOP_WORKS_MAX];
    uint32_t work_count;
    struct loop_poll polls[LOOP_POLLS_MAX];
    uint32_t poll_count;
    struct loop_closing closing[LOOP_CLOSING_MAX];
    uint32_t closing_count;
    uv_prepare_t *prepare;
    uv_prepare_cb prepare_call;
    uv_signal_t *signal;
    uv_signal_cb signal_call;
    struct loop_thread threads[LOOP_THREADS_MAX];
    uint32_t thread_count;
    struct {
        const uv_sem_t *handle;
        uint32_t value;
    } semaphores[LOOP_THREADS_MAX * 2];
    uint32_t semaphore_count;
    struct loop_thread *running; /* NULL: the loop's own, or a worker */
    ucontext_t loop_context;
    int64_t writer_at_ns;
    uv_async_t *async;
    uv_async_cb async_call;
    bool async_sent;
    int64_t async_at_ns;
};

static struct loop loop;
static void *loop_stacks[LOOP_THREADS_MAX];

static int64_t loop_soon(void)
{
    uint32_t dice = world_below(100);
    int64_t most = dice < 70 ? 2000000 : dice < 95 ? 30000000 : 2000000000;
    return world.now_ns + (int64_t)(rig_random(world.rig) % (uint64_t)most);
}

static void loop_look_at_clock(void)
{
    loop.now_ms = (uint64_t)(world.now_ns / 1000000);
}

/* ---- handles ---- */

static struct loop_timer *loop_timer(const uv_timer_t *handle)
{
    for (uint32_t i = 0; i < loop.timer_count; i++)
        if (loop.timers[i].handle == handle)
            return &loop.timers[i];
    WORLD_CHECK(false, "a timer that was closed, or never made, is used");
    return NULL;
}

int uv_loop_init(uv_loop_t *made)
{
    (void)made;
    loop_look_at_clock();
    return 0;
}

uint64_t uv_now(const uv_loop_t *of)
{
    (void)of;
    return loop.now_ms;
}

void uv_stop(uv_loop_t *of)
{
    (void)of;
    loop.stopped = true;
}

int uv_timer_init(uv_loop_t *of, uv_timer_t *handle)
{
    WORLD_CHECK(loop.timer_count < LOOP_TIMERS_MAX, "too many timers");
    for (uint32_t i = 0; i < loop.timer_count; i++)
        WORLD_CHECK(loop.timers[i].handle != handle, "a timer is made twice");
    handle->loop = of;
    handle->type = UV_TIMER;
    loop.timers[loop.timer_count++] = (struct loop_timer){.handle = handle};
    return 0;
}

int uv_timer_start(uv_timer_t *handle, uv_timer_cb call, uint64_t timeout_ms, uint64_t repeat_ms)
{
    struct loop_timer *timer = loop_timer(handle);
    timer->call = call;
    timer->due_ms = loop.now_ms + timeout_ms;
    timer->repeat_ms = repeat_ms;
    timer->order = ++loop.order;
    timer->active = true;
    return 0;
}

int uv_timer_stop(uv_timer_t *handle)
{
    loop_timer(handle)->active = false;
    return 0;
}

int uv_timer_again(uv_timer_t *handle)
{
    struct loop_timer *timer = loop_timer(handle);
    if (timer->call == NULL)
        return UV_EINVAL;
    if (timer->repeat_ms > 0)
        return uv_timer_start(handle, timer->call, timer->repeat_ms, timer->repeat_ms);
    return 0;
}

int uv_is_active(const uv_handle_t *handle)
{
    assert_int_equal(handle->type, UV_TIMER);
    return loop_timer((const uv_timer_t *)handle)->active;
}

int uv_poll_init(uv_loop_t *of, uv_poll_t *handle, int fd)
{
    WORLD_CHECK(loop.poll_count < LOOP_POLLS_MAX, "too many polls");
    handle->loop = of;
    handle->type = UV_POLL;
    loop.polls[loop.poll_count++] = (struct loop_poll){.handle = handle, .fd = fd};
    return 0;
}

static struct loop_poll *loop_poll(const uv_poll_t *handle)
{
    for (uint32_t i = 0; i < loop.poll_count; i++)
        if (loop.polls[i].handle == handle)
            return &loop.polls[i];
    WORLD_CHECK(false, "a poll that was closed, or never made, is used");
    return NULL;
}

int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb call)
{
    struct loop_poll *poll = loop_poll(handle);
    assert_int_equal(events, UV_READABLE);
    poll->call = call;
    poll->active = true;
    return 0;
}

int uv_poll_stop(uv_poll_t *handle)
{
    loop_poll(handle)->active = false;
    return 0;
}

int uv_prepare_init(uv_loop_t *of, uv_prepare_t *handle)
{
    handle->loop = of;
    return 0;
}

int uv_prepare_start(uv_prepare_t *handle, uv_prepare_cb call)
{
    loop.prepare = handle;
    loop.prepare_call = call;
    return 0;
}

int uv_signal_init(uv_loop_t *of, uv_signal_t *handle)
{
    handle->loop = of;
    return 0;
}

int uv_signal_start(uv_signal_t *handle, uv_signal_cb call, int number)
{
    if (number == 15) {
        loop.signal = handle;
        loop.signal_call = call;
    }
    return 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb call)
{
    WORLD_CHECK(loop.closing_count < LOOP_CLOSING_MAX, "too many closings");
    for (uint32_t i = 0; i < loop.closing_count; i++)
        WORLD_CHECK(loop.closing[i].handle != handle, "a handle is closed twice");
    if (handle->type == UV_TIMER) {
        struct loop_timer *timer = loop_timer((uv_timer_t *)handle);
        *timer = loop.timers[--loop.timer_count];
    } else {
        struct loop_poll *poll = loop_poll((uv_poll_t *)handle);
        *poll = loop.polls[--loop.poll_count];
    }
    loop.closing[loop.closing_count++] = (struct loop_closing){handle, call};
}

/* ---- workers ---- */

int uv_queue_work(uv_loop_t *of, uv_work_t *request, uv_work_cb work, uv_after_work_cb after)
{
    WORLD_CHECK(loop.work_count < LOOP_WORKS_MAX, "too much work is queued");
    for (uint32_t i = 0; i < loop.work_count; i++)
        WORLD_CHECK(loop.works[i].request != request, "one work is queued twice");
    request->loop = of;
    loop.works[loop.work_count++] = (struct loop_work){request, work, after, loop_soon(), false};
    return 0;
}

static void loop_run_work(uint32_t index)
{
    struct loop_work *work = &loop.works[index];
    world_note(work->done ? "after work" : "work", index, 0);
    if (!work->done) {
        uv_work_t *request = work->request;
        work->at_ns = INT64_MAX;
        work->work(request);
        work = &loop.works[index]; /* a worker queues nothing */
        work->done = true;
        work->at_ns = loop_soon();
        return;
    }
    struct loop_work done = *work;
    *work = loop.works[--loop.work_count];
    done.after(done.request, 0);
}

/* ---- threads: each has a stack of its own, and one runs at a time until it waits ---- */

static uint32_t *loop_semaphore(const uv_sem_t *handle)
{
    for (uint32_t i = 0; i < loop.semaphore_count; i++)
        if (loop.semaphores[i].handle == handle)
            return &loop.semaphores[i].value;
    WORLD_CHECK(false, "a semaphore that was never made is used");
    return NULL;
}

int uv_sem_init(uv_sem_t *handle, unsigned value)
{
    WORLD_CHECK(loop.semaphore_count < LOOP_THREADS_MAX * 2, "too many semaphores");
    loop.semaphores[loop.semaphore_count].handle = handle;
    loop.semaphores[loop.semaphore_count++].value = value;
    return 0;
}

void uv_sem_destroy(uv_sem_t *handle)
{
    loop_semaphore(handle);
    for (uint32_t i = 0; i < loop.semaphore_count; i++)
        if (loop.semaphores[i].handle == handle)
            loop.semaphores[i--] = loop.semaphores[--loop.semaphore_count];
}

static void loop_thread_main(void)
{
    struct loop_thread *self = loop.running;
    self->entry(self->user);
    self->ended = true;
    loop.running = NULL;
    (void)setcontext(&loop.loop_context);
}

int uv_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *user)
{
    WORLD_CHECK(loop.thread_count < LOOP_THREADS_MAX, "too many threads");
    struct loop_thread *made = &loop.threads[loop.thread_count++];
    if (loop_stacks[made - loop.threads] == NULL)
        loop_stacks[made - loop.threads] =
            __real_mmap(NULL, LOOP_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(loop_stacks[made - loop.threads] != MAP_FAILED);
    *made = (struct loop_thread){.entry = entry, .user = user};
    (void)getcontext(&made->context);
    made->context.uc_stack.ss_sp = loop_stacks[made - loop.threads];
    made->context.uc_stack.ss_size = LOOP_STACK_BYTES;
    makecontext(&made->context, loop_thread_main, 0);
    *thread = (uv_thread_t)loop.thread_count;
    return 0;
}

static bool loop_thread_can_run(const struct loop_thread *thread)
{
    return !thread->ended && (thread->waits == NULL || *loop_semaphore(thread->waits) > 0);
}

/* Until it waits for what is not there, or ends. */
static void loop_run_thread(struct loop_thread *thread)
{
    loop.running = thread;
    (void)swapcontext(&loop.loop_context, &thread->context);
}

void uv_sem_post(uv_sem_t *handle)
{
    ++*loop_semaphore(handle);
    if (handle == &world.host->writer_wake)
        loop.writer_at_ns = loop_soon();
}

void uv_sem_wait(uv_sem_t *handle)
{
    struct loop_thread *self = loop.running;
    while (*loop_semaphore(handle) == 0) {
        if (self != NULL) {
            self->waits = handle;
            loop.running = NULL;
            (void)swapcontext(&self->context, &loop.loop_context);
            self->waits = NULL;
            continue;
        }
        uint32_t at = 0;
        while (at < loop.thread_count && !loop_thread_can_run(&loop.threads[at]))
            at++;
        WORLD_CHECK(at < loop.thread_count, "everybody waits for somebody");
        loop_run_thread(&loop.threads[at]);
    }
    --*loop_semaphore(handle);
}

int uv_thread_join(uv_thread_t *thread)
{
    struct loop_thread *joined = &loop.threads[*thread - 1];
    while (!joined->ended) {
        WORLD_CHECK(loop_thread_can_run(joined), "a thread that never ends is waited for");
        loop_run_thread(joined);
    }
    return 0;
}

/* The thread that waits for the host's frames has one. */
static struct loop_thread *loop_writer(void)
{
    for (uint32_t i = 0; i < loop.thread_count; i++)
        if (loop.threads[i].user == world.host && loop_thread_can_run(&loop.threads[i]))
            return &loop.threads[i];
    return NULL;
}

int uv_async_init(uv_loop_t *of, uv_async_t *handle, uv_async_cb call)
{
    handle->loop = of;
    loop.async = handle;
    loop.async_call = call;
    return 0;
}

int uv_async_send(uv_async_t *handle)
{
    (void)handle;
    if (!loop.async_sent)
        loop.async_at_ns = loop_soon();
    loop.async_sent = true; /* several are one */
    return 0;
}

/* ---- rounds ---- */

static void loop_run_timers(void)
{
    for (;;) {
        struct loop_timer *first = NULL;
        for (uint32_t i = 0; i < loop.timer_count; i++) {
            struct loop_timer *timer = &loop.timers[i];
            if (timer->active && timer->due_ms <= loop.now_ms &&
                (first == NULL || timer->due_ms < first->due_ms ||
                 (timer->due_ms == first->due_ms && timer->order < first->order)))
                first = timer;
        }
        if (first == NULL)
            return;
        uv_timer_t *handle = first->handle;
        uv_timer_cb call = first->call;
        first->active = false;
        if (first->repeat_ms > 0)
            (void)uv_timer_start(handle, call, first->repeat_ms, first->repeat_ms);
        world_note("timer", loop.now_ms, 0);
        world_point();
        call(handle);
    }
}

static void loop_run_closings(void)
{
    while (loop.closing_count > 0) {
        struct loop_closing closing = loop.closing[--loop.closing_count];
        if (closing.call != NULL)
            closing.call(closing.handle);
    }
}

/* host_agents.h, host_callers.h, test_sim_host.c */
static bool pipe_is_readable(int fd);
static int64_t agents_next_ns(void);
static void agents_turn(void);
static int64_t callers_next_ns(void);
static void world_weather(void);
static void look_between_turns(void);

static int64_t loop_next_ns(void)
{
    int64_t next = WORLD_FAR_NS;
    for (uint32_t i = 0; i < loop.poll_count; i++)
        if (loop.polls[i].active && pipe_is_readable(loop.polls[i].fd))
            return world.now_ns;
    for (uint32_t i = 0; i < loop.work_count; i++)
        next = loop.works[i].at_ns < next ? loop.works[i].at_ns : next;
    if (loop_writer() != NULL && loop.writer_at_ns < next)
        next = loop.writer_at_ns;
    if (loop.async_sent && loop.async_at_ns < next)
        next = loop.async_at_ns;
    for (uint32_t i = 0; i < loop.timer_count; i++) {
        int64_t due_ns = (int64_t)loop.timers[i].due_ms * 1000000;
        if (loop.timers[i].active && due_ns < next)
            next = due_ns;
    }
    if (agents_next_ns() < next)
        next = agents_next_ns();
    return callers_next_ns() < next ? callers_next_ns() : next;
}

/* One of the things that are ready; false: none is. */
static bool loop_run_something(void)
{
    uint32_t ready = 0, polls = loop.poll_count, works = loop.work_count;
    uint32_t total = polls + works + 3;
    for (uint32_t from = world_below(total); ready < total; ready++, from = (from + 1) % total) {
        if (from < polls) {
            const struct loop_poll *poll = &loop.polls[from];
            if (!poll->active || !pipe_is_readable(poll->fd))
                continue;
            world_note("poll", (uint64_t)poll->fd, 0);
            poll->call(poll->handle, 0, UV_READABLE);
            return true;
        }
        if (from < polls + works) {
            if (loop.works[from - polls].at_ns > world.now_ns)
                continue;
            loop_run_work(from - polls);
            return true;
        }
        if (from == polls + works && loop_writer() != NULL && loop.writer_at_ns <= world.now_ns) {
            world_note("writer", 0, 0);
            loop_run_thread(loop_writer());
            return true;
        }
        if (from == polls + works + 1 && loop.async_sent && loop.async_at_ns <= world.now_ns) {
            world_note("written", 0, 0);
            loop.async_sent = false;
            loop.async_call(loop.async);
            return true;
        }
        if (from == polls + works + 2 && agents_next_ns() <= world.now_ns) {
            agents_turn();
            return true;
        }
    }
    return false;
}

int uv_run(uv_loop_t *of, uv_run_mode mode)
{
    (void)of;
    (void)mode;
    loop.stopped = false;
    while (!loop.stopped) {
        loop_look_at_clock();
        loop_run_timers();
        if (loop.prepare_call != NULL)
            loop.prepare_call(loop.prepare);
        if (!loop.stopped) {
            int64_t next = loop_next_ns();
            WORLD_CHECK(next != WORLD_FAR_NS, "the host waits for nothing");
            if (next > world.now_ns)
                world.now_ns = next;
            world_weather();
        }
        loop_look_at_clock();
        for (bool more = loop_run_something(); more && world_chance(50);)
            more = loop_run_something();
        world_point();
        loop_run_closings();
        look_between_turns();
    }
    return 0;
}

#endif
