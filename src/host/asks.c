#include "host/workers.h"

#include <stdlib.h>
#include <string.h>

/*
 * Reconciliation: core's table of open asks is what should run; the list here is what does. Restart, cancel, pause, timers and lost leases
 * are this one loop.
 */

#define TIMER_LONGEST_MS (24ull * 3600 * 1000)
#define CLOCK_LOOK_MS 1000u
#define CLOCK_SET_US 250000 /* more than this in a second is no slewing: the clock was set */

static void timer_rings(uv_timer_t *timer);

#define SLOTS_FIRST 64u

/* Numbers are dense: the low bits spread by themselves. */
static struct mw_host_ask **slot_of(const struct mw_host_asks *asks, mw_seq seq)
{
    return &asks->slots[seq & (asks->slot_count - 1)];
}

struct mw_host_ask *mw_host_ask_find(struct mw_host *host, mw_seq seq)
{
    if (host->asks.count == 0)
        return NULL;
    struct mw_host_ask *ask = *slot_of(&host->asks, seq);
    while (ask != NULL && ask->seq != seq)
        ask = ask->beside;
    return ask;
}

static void grow_slots(struct mw_host_asks *asks)
{
    free(asks->slots);
    asks->slot_count = asks->slot_count > 0 ? asks->slot_count * 2 : SLOTS_FIRST;
    asks->slots = mw_heap_alloc(asks->slot_count * sizeof(struct mw_host_ask *));
    for (struct mw_host_ask *ask = asks->oldest; ask != NULL; ask = ask->newer) {
        struct mw_host_ask **slot = slot_of(asks, ask->seq);
        ask->beside = *slot;
        *slot = ask;
    }
}

/* Timers and people are waited for: what was asked of them is read in the journal, not here. */
static bool reads_line(const struct mw_host *host, mw_seq seq)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, seq);
    return open != NULL && (open->opens == MW_OPENS_STAGE ||
                            (open->opens == MW_OPENS_AGENT && open->agent_kind != MW_AGENT_HUMAN));
}

void mw_host_ask_opened(struct mw_host *host, mw_seq seq, struct mw_str line)
{
    struct mw_host_asks *asks = &host->asks;
    struct mw_host_ask *ask = mw_heap_alloc(sizeof(*ask));
    MW_ASSERT(asks->newest == NULL || asks->newest->seq < seq);
    ask->seq = seq;
    ask->line = reads_line(host, seq) ? mw_heap_copy(line) : NULL;
    if (asks->count >= asks->slot_count)
        grow_slots(asks);
    struct mw_host_ask **slot = slot_of(asks, seq);
    ask->beside = *slot;
    *slot = ask;
    ask->older = asks->newest;
    if (asks->newest != NULL)
        asks->newest->newer = ask;
    else
        asks->oldest = ask;
    asks->newest = ask;
    asks->count++;
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static void stop_timer(struct mw_host_ask *ask)
{
    if (ask->timer == NULL)
        return;
    (void)uv_timer_stop(ask->timer);
    uv_close((uv_handle_t *)ask->timer, free_timer);
    ask->timer = NULL;
}

void mw_host_ask_forget(struct mw_host *host, struct mw_host_ask *gone)
{
    struct mw_host_asks *asks = &host->asks;
    struct mw_host_ask **at = slot_of(asks, gone->seq);
    while (*at != gone)
        at = &(*at)->beside;
    *at = gone->beside;
    if (gone->older != NULL)
        gone->older->newer = gone->newer;
    else
        asks->oldest = gone->newer;
    if (gone->newer != NULL)
        gone->newer->older = gone->older;
    else
        asks->newest = gone->older;
    asks->count--;
    mw_worker_closed(host, gone);
    stop_timer(gone);
    free(gone->line);
    free(gone);
}

void mw_host_ask_closed(struct mw_host *host, mw_seq seq)
{
    struct mw_host_ask *ask = mw_host_ask_find(host, seq);
    if (ask == NULL)
        return;
    stop_timer(ask);
    ask->closed = true;
    if (ask->attempt != NULL)
        mw_attempt_cancel(ask->attempt); /* it forgets the ask when it has ended */
    else if (!ask->held)
        mw_host_ask_forget(host, ask);
}

static void arm(struct mw_host_ask *ask, int64_t due_us)
{
    int64_t left_us = due_us - mw_now_unix_us();
    uint64_t left_ms = left_us > 0 ? (uint64_t)(left_us + 999) / 1000 : 0;
    (void)uv_timer_start(ask->timer, timer_rings,
                         left_ms < TIMER_LONGEST_MS ? left_ms : TIMER_LONGEST_MS, 0);
}

static int64_t clock_offset_us(void)
{
    return mw_now_unix_us() - mw_now_monotonic_ns() / 1000;
}

/* A clock that was set forward makes things due that the timers would hold back for as long as was left before: looked for once a second,
 * while any timer is armed. */
static void on_clock_look(uv_timer_t *timer)
{
    struct mw_host *host = timer->data;
    int64_t offset_us = clock_offset_us();
    int64_t moved_us = offset_us - host->clock_offset_us;
    bool was_set = moved_us > CLOCK_SET_US || moved_us < -CLOCK_SET_US;
    bool armed = false;
    host->clock_offset_us = offset_us;
    if (was_set)
        mw_host_log(host, "warning", "clock.set", "by %ld ms: what is timed is looked at again",
                    (long)(moved_us / 1000));
    for (struct mw_host_ask *ask = host->asks.oldest; ask != NULL && (was_set || !armed);
         ask = ask->newer) {
        const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
        armed = armed || ask->timer != NULL;
        if (was_set && ask->timer != NULL && open != NULL)
            arm(ask, open->due_us);
    }
    if (armed)
        (void)uv_timer_start(timer, on_clock_look, CLOCK_LOOK_MS, 0);
}

static void watch_clock(struct mw_host *host)
{
    if (host->clock.data == NULL) {
        (void)uv_timer_init(&host->loop, &host->clock);
        host->clock.data = host;
    }
    if (uv_is_active((const uv_handle_t *)&host->clock)) {
        /* Set since the last look: what is armed by the new time has to be looked at when the old one comes back. */
        int64_t moved_us = clock_offset_us() - host->clock_offset_us;
        if (moved_us > CLOCK_SET_US || moved_us < -CLOCK_SET_US)
            on_clock_look(&host->clock);
        return;
    }
    host->clock_offset_us = clock_offset_us();
    (void)uv_timer_start(&host->clock, on_clock_look, CLOCK_LOOK_MS, 0);
}

/* The due time is UTC, the timer is monotonic: when the clock was set, it is armed again, and never rings early (P07). */
static void timer_rings(uv_timer_t *timer)
{
    struct mw_host_ask *ask = timer->data;
    struct mw_host *host = (struct mw_host *)timer->loop->data;
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    if (open == NULL)
        return;
    if (mw_now_unix_us() < open->due_us) {
        arm(ask, open->due_us);
        watch_clock(host);
        return;
    }
    mw_host_tell(host, MW_REQ_RING_TIMER, open->item, open->seq, MW_STR_NONE);
}

void mw_host_ask_start(struct mw_host *host, struct mw_host_ask *ask)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    if (open == NULL || ask->started)
        return; /* closed again before it was durable: its close is on its way */
    ask->started = true;
    if (open->opens == MW_OPENS_AGENT && open->agent_kind == MW_AGENT_ECHO) {
        mw_echo_begin(host, ask); /* it has answered before any deadline could be set */
        return;
    }
    if (open->due_us != 0) {
        ask->timer = mw_heap_alloc(sizeof(*ask->timer));
        ask->timer->data = ask;
        (void)uv_timer_init(&host->loop, ask->timer);
        ask->timer->data = ask;
        arm(ask, open->due_us);
        watch_clock(host);
    }
    switch ((enum mw_opens)open->opens) {
    case MW_OPENS_AGENT:
        if (open->agent_kind == MW_AGENT_WORKER)
            mw_worker_begin(host, ask);
        else if (open->agent_kind != MW_AGENT_HUMAN)
            mw_attempt_begin(host, ask);
        return;
    case MW_OPENS_STAGE:
        mw_stage_begin(host, ask);
        return;
    case MW_OPENS_CONTINUE:
        mw_host_tell(host, MW_REQ_CONTINUE, 0, open->seq, MW_STR_NONE);
        return;
    case MW_OPENS_TIMER:
    case MW_OPENS_NONE:
        return;
    }
}

/* What the journal asks for, oldest first. What is asked meanwhile starts when it is durable, as always. */
void mw_host_asks_start_all(struct mw_host *host)
{
    struct mw_host_ask *ask = host->asks.oldest;
    while (ask != NULL && ask->seq <= host->durable) {
        struct mw_host_ask *newer = ask->newer;
        mw_host_ask_start(host, ask);
        ask->started = true;
        ask = newer;
    }
    mw_workers_serve(host);
}

/* A deadline that is farther away than this is left to the next host: it catches up (P07). */
#define NEAR_US (10ll * 60 * 1000000)

/* Asks that keep the host here: all but those of people, or deadlines, that have time. */
uint32_t mw_host_asks_busy(const struct mw_host *host)
{
    uint32_t busy = 0;
    int64_t now_us = mw_now_unix_us();
    for (const struct mw_host_ask *ask = host->asks.oldest; ask != NULL; ask = ask->newer) {
        const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
        bool waits =
            open != NULL && (open->opens == MW_OPENS_TIMER ||
                             (open->opens == MW_OPENS_AGENT && open->agent_kind == MW_AGENT_HUMAN));
        if (!waits || (open->due_us != 0 && open->due_us - now_us < NEAR_US))
            busy++;
    }
    return busy;
}
