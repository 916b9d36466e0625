#include "host/internal.h"

#include <stdlib.h>

/*
 * When what is waited for is due, soonest first: a heap of 16 bytes for each, and one timer for all of them. What was closed before its time
 * stays until it comes to the top, or until so much was closed that looking through all of it is worth while.
 */

#define TIMER_LONGEST_MS (24ull * 3600 * 1000)
#define CLOCK_LOOK_MS 1000u
#define CLOCK_SET_US 250000 /* more than this in a second is no slewing: the clock was set */
#define AGAIN_US                                                                                   \
    1000000 /* what rang and is still open then was not heard: the clock was set back at that moment */
#define CAP_FIRST 64u

static void timer_rings(uv_timer_t *timer);

/* ---- the heap ---- */

static void sift_up(struct mw_deadlines *all, uint32_t at)
{
    struct mw_deadline moved = all->heap[at];
    while (at > 0 && all->heap[(at - 1) / 2].due_us > moved.due_us) {
        all->heap[at] = all->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    all->heap[at] = moved;
}

static void sift_down(struct mw_deadlines *all, uint32_t at)
{
    struct mw_deadline moved = all->heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= all->count)
            break;
        if (child + 1 < all->count && all->heap[child + 1].due_us < all->heap[child].due_us)
            child++;
        if (all->heap[child].due_us >= moved.due_us)
            break;
        all->heap[at] = all->heap[child];
        at = child;
    }
    all->heap[at] = moved;
}

static void push(struct mw_deadlines *all, struct mw_deadline deadline)
{
    if (all->count == all->cap) {
        all->cap = all->cap > 0 ? all->cap + all->cap / 2 : CAP_FIRST;
        all->heap = realloc(all->heap, all->cap * sizeof(*all->heap));
        MW_ASSERT(all->heap != NULL);
    }
    all->heap[all->count] = deadline;
    sift_up(all, all->count++);
}

static void pop(struct mw_deadlines *all)
{
    all->heap[0] = all->heap[--all->count];
    if (all->count > 0)
        sift_down(all, 0);
}

static const struct mw_ask *open_ask(const struct mw_host *host, mw_seq seq)
{
    return mw_table_get(&host->core.world.asks, seq);
}

/* Only what is still asked stays. */
static void sweep(struct mw_host *host)
{
    struct mw_deadlines *all = &host->deadlines;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < all->count; i++)
        if (open_ask(host, all->heap[i].seq) != NULL)
            all->heap[kept++] = all->heap[i];
    all->count = kept;
    all->closed = 0;
    for (uint32_t i = kept / 2; i > 0; i--)
        sift_down(all, i - 1);
}

/* ---- the timer ---- */

static int64_t clock_offset_us(void)
{
    return mw_now_unix_us() - mw_now_monotonic_ns() / 1000;
}

static void arm(struct mw_host *host, int64_t due_us)
{
    int64_t left_us = due_us - mw_now_unix_us();
    uint64_t left_ms = left_us > 0 ? (uint64_t)(left_us + 999) / 1000 : 0;
    (void)uv_timer_start(&host->deadlines.timer, timer_rings,
                         left_ms < TIMER_LONGEST_MS ? left_ms : TIMER_LONGEST_MS, 0);
}

/* A clock that was set forward makes things due that the timer would hold back for as long as was left before: looked for once a second,
 * while anything is due at all. */
static void on_clock_look(uv_timer_t *timer)
{
    struct mw_host *host = timer->data;
    struct mw_deadlines *all = &host->deadlines;
    int64_t offset_us = clock_offset_us();
    int64_t moved_us = offset_us - all->clock_offset_us;
    all->clock_offset_us = offset_us;
    while (all->count > 0 && open_ask(host, all->heap[0].seq) == NULL)
        pop(all);
    if (moved_us > CLOCK_SET_US || moved_us < -CLOCK_SET_US) {
        mw_host_log(host, "warning", "clock.set", "by %ld ms: what is timed is looked at again",
                    (long)(moved_us / 1000));
        if (all->count > 0)
            arm(host, all->heap[0].due_us);
    }
    if (all->count > 0)
        (void)uv_timer_start(timer, on_clock_look, CLOCK_LOOK_MS, 0);
}

static void watch_clock(struct mw_host *host)
{
    struct mw_deadlines *all = &host->deadlines;
    if (uv_is_active((const uv_handle_t *)&all->clock)) {
        /* Set since the last look: what is armed by the new time has to be looked at when the old one comes back. */
        int64_t moved_us = clock_offset_us() - all->clock_offset_us;
        if (moved_us > CLOCK_SET_US || moved_us < -CLOCK_SET_US)
            on_clock_look(&all->clock);
        return;
    }
    all->clock_offset_us = clock_offset_us();
    (void)uv_timer_start(&all->clock, on_clock_look, CLOCK_LOOK_MS, 0);
}

/* The due time is UTC, the timer is monotonic: when the clock was set, it is armed again, and never rings early (P07). */
static void timer_rings(uv_timer_t *timer)
{
    struct mw_host *host = timer->data;
    struct mw_deadlines *all = &host->deadlines;
    mw_host_hold(host); /* what is due together is decided together */
    while (all->count > 0) {
        struct mw_deadline next = all->heap[0];
        const struct mw_ask *open = open_ask(host, next.seq);
        if (open != NULL && mw_now_unix_us() < next.due_us)
            break;
        pop(all);
        if (open == NULL)
            continue;
        /* In quarantine it would be refused each time. */
        if (mw_host_tell(host, MW_REQ_RING_TIMER, open->item, next.seq, MW_STR_NONE))
            push(all, (struct mw_deadline){mw_now_unix_us() + AGAIN_US, next.seq});
    }
    mw_host_release(host);
    if (all->count == 0)
        return;
    arm(host, all->heap[0].due_us);
    watch_clock(host);
}

void mw_deadline_add(struct mw_host *host, mw_seq seq, int64_t due_us)
{
    struct mw_deadlines *all = &host->deadlines;
    MW_ASSERT(due_us != 0);
    if (all->timer.data == NULL) {
        (void)uv_timer_init(&host->loop, &all->timer);
        (void)uv_timer_init(&host->loop, &all->clock);
        all->timer.data = host;
        all->clock.data = host;
    }
    push(all, (struct mw_deadline){due_us, seq});
    if (all->heap[0].seq == seq)
        arm(host, due_us);
    watch_clock(host);
}

void mw_deadlines_closed(struct mw_host *host)
{
    struct mw_deadlines *all = &host->deadlines;
    if (++all->closed > all->count / 2 + CAP_FIRST)
        sweep(host);
}
