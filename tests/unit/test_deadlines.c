/*
 * test_deadlines.c - P07: of all that is waited for the soonest is known, whatever is added, answered before its time and looked through; nothing
 * that is still asked is lost on the way; and the host stays for it.
 */
#include "host/internal.h"
#include "host/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ASKS_MAX 3000u
#define REGION_BYTES ((size_t)64 << 20)
#define FAR_US 4000000000000000ll /* nothing of this rings while the test runs */

static struct mw_host host;
static struct mw_ask *asks; /* in the region, where a table keeps what it holds */
static bool open_now[ASKS_MAX];
static uint64_t seed = 88172645463325252u;

/* The clock as the host sees it; 0: as it is. Once it has been looked at so often, it is set. */
static int64_t clock_us, set_to_us;
static uint32_t looks_left;

int64_t __real_mw_now_unix_us(void);
int64_t __wrap_mw_now_unix_us(void);
int64_t __wrap_mw_now_unix_us(void)
{
    int64_t now_us = clock_us != 0 ? clock_us : __real_mw_now_unix_us();
    if (looks_left > 0 && --looks_left == 0)
        clock_us = set_to_us;
    return now_us;
}

static bool rings_are_in_quarantine;

bool __real_mw_poison_is_quarantined(const struct mw_host *of, const struct mw_post *post);
bool __wrap_mw_poison_is_quarantined(const struct mw_host *of, const struct mw_post *post);
bool __wrap_mw_poison_is_quarantined(const struct mw_host *of, const struct mw_post *post)
{
    return post->request.kind == MW_REQ_RING_TIMER ? rings_are_in_quarantine
                                                   : __real_mw_poison_is_quarantined(of, post);
}

static uint32_t below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % limit);
}

static void check(void)
{
    const struct mw_deadlines *all = &host.deadlines;
    static uint32_t times[ASKS_MAX + 1];
    memset(times, 0, sizeof times);
    for (uint32_t i = 0; i < all->count; i++) {
        assert_in_range(all->heap[i].seq, 1, ASKS_MAX);
        times[all->heap[i].seq]++;
        if (i > 0 && all->heap[(i - 1) / 2].due_us > all->heap[i].due_us)
            fail_msg("of %u times, that at %u is before the one above it", all->count, i);
    }
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        if (times[i + 1] > 1 || (open_now[i] && times[i + 1] == 0))
            fail_msg("ask %u has %u times", i + 1, times[i + 1]);
}

static void add(uint32_t at)
{
    asks[at] = (struct mw_ask){.seq = at + 1, .due_us = FAR_US + below(1000000)};
    mw_table_put(&host.core.world.asks, &host.core.world.mem, &asks[at]);
    open_now[at] = true;
    mw_deadline_add(&host, asks[at].seq, asks[at].due_us);
}

static void answer(uint32_t at)
{
    if (!open_now[at])
        return;
    mw_table_remove(&host.core.world.asks, asks[at].seq);
    open_now[at] = false;
    mw_deadlines_closed(&host);
}

static void p07_the_soonest_is_known_whatever_is_added_and_answered(void **state)
{
    (void)state;
    uint32_t most = 0, added = 0;
    while (added < ASKS_MAX) {
        /* Now more comes than goes, now the other way, and the soonest are answered first or last. */
        bool grows = added / 300 % 2 == 0;
        if (below(100) < (grows ? 80u : 45u))
            add(added++);
        for (uint32_t i = 0; i < (grows ? 1u : 4u) && host.deadlines.count > 0; i++) {
            const struct mw_deadline *some =
                &host.deadlines.heap[below(3) == 0 ? 0 : below(host.deadlines.count)];
            if (!grows || below(2) == 0)
                answer((uint32_t)some->seq - 1);
        }
        most = host.deadlines.count > most ? host.deadlines.count : most;
        check();
    }
    assert_true(most > 100);
    for (uint32_t i = 0; i < ASKS_MAX; i++) {
        answer(i);
        check();
    }
    assert_true(host.deadlines.count < most); /* what was answered is not kept for ever */
}

static uint32_t busy_with(struct mw_ask ask)
{
    struct mw_table *open = &host.core.world.asks;
    asks[0] = ask;
    asks[0].seq = 1;
    mw_table_put(open, &host.core.world.mem, &asks[0]);
    uint32_t busy = mw_host_asks_busy(&host);
    mw_table_remove(open, 1);
    return busy;
}

/* Nobody rings for a host that has left: it stays for what is due soon, and leaves what has time, and people, to the next one. */
static void p07_the_host_stays_for_what_is_due_soon_and_for_nobody_who_has_time(void **state)
{
    const int64_t minute_us = 60000000;
    const struct {
        const char *what;
        struct mw_ask ask;
        int64_t in_us;
        uint32_t busy;
    } rows[] = {
        {"a timer that should have rung", {.opens = MW_OPENS_TIMER}, -minute_us, 1},
        {"a timer in a second", {.opens = MW_OPENS_TIMER}, minute_us / 60, 1},
        {"a timer in nine minutes", {.opens = MW_OPENS_TIMER}, 9 * minute_us, 1},
        {"a timer in eleven minutes", {.opens = MW_OPENS_TIMER}, 11 * minute_us, 0},
        {"a person with a time in a minute",
         {.opens = MW_OPENS_AGENT, .agent_kind = MW_AGENT_HUMAN},
         minute_us,
         1},
        {"a person", {.opens = MW_OPENS_AGENT, .agent_kind = MW_AGENT_HUMAN}, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_ask ask = rows[i].ask;
        ask.due_us = rows[i].in_us != 0 ? mw_now_unix_us() + rows[i].in_us : 0;
        for (uint32_t works = 0; works < 3; works += 2) { /* what runs is stayed for anyway */
            host.asks.count = works;
            uint32_t busy = busy_with(ask);
            if (busy != works + rows[i].busy)
                fail_msg("%s beside %u that run: %u are stayed for", rows[i].what, works, busy);
        }
    }
    host.asks.count = 0;
}

/* A result that has come on a full disk waits for room: whoever left with it would have it made again. */
static void p10_the_host_stays_for_what_runs_and_for_what_waits_for_the_disk(void **state)
{
    struct mw_frame frame = {.count = 1};
    (void)state;
    assert_false(mw_host_is_busy(&host));
    host.writing = &frame;
    assert_true(mw_host_is_busy(&host));
    host.writing = NULL;
    host.attempts_running = 1;
    assert_true(mw_host_is_busy(&host));
    host.attempts_running = 0;
    host.asks.count = 1;
    assert_true(mw_host_is_busy(&host));
    host.asks.count = 0;
    assert_false(mw_host_is_busy(&host));
}

/* It is due when the host looks, and not yet when the core does: the core refuses the ring, and it has to come again. */
static void p07_a_ring_that_is_not_heard_comes_again(void **state)
{
    const int64_t due_us = FAR_US, hour_us = 3600ll * 1000000;
    struct mw_deadlines *all = &host.deadlines;
    (void)state;
    host.mask = mw_mask_make();
    mw_host_commit_start(&host);
    all->count = 0;
    asks[0] = (struct mw_ask){.seq = 1, .due_us = due_us, .opens = MW_OPENS_TIMER};
    mw_table_put(&host.core.world.asks, &host.core.world.mem, &asks[0]);
    clock_us = due_us;
    mw_deadline_add(&host, 1, due_us);
    for (unsigned time = 0; time < 3; time++) {
        assert_int_equal(all->count, 1);
        clock_us = all->heap[0].due_us;
        set_to_us = due_us - hour_us;
        looks_left = 1;
        all->timer.timer_cb(&all->timer);
        assert_int_equal(clock_us, set_to_us);
        if (all->count != 1 || all->heap[0].seq != 1)
            fail_msg("ring %u: nobody knows of it any more", time + 1);
        assert_in_range(all->heap[0].due_us, clock_us, clock_us + 1000000);
        assert_in_range(uv_timer_get_due_in(&all->timer), 0, 1000);
    }
    mw_table_remove(&host.core.world.asks, 1);
    all->timer.timer_cb(&all->timer);
    clock_us = FAR_US;
    all->timer.timer_cb(&all->timer);
    assert_int_equal(all->count, 0); /* it was answered: nothing rings any more */
    clock_us = 0;
    mw_host_commit_stop(&host);
}

/* A ring that ended the host twice is refused, and noted in the journal: once in a host's life, not each second. */
static void p08_a_ring_in_quarantine_is_told_once(void **state)
{
    struct mw_deadlines *all = &host.deadlines;
    (void)state;
    host.mask = mw_mask_make();
    mw_host_commit_start(&host);
    all->count = 0;
    asks[0] = (struct mw_ask){.seq = 1, .due_us = FAR_US, .opens = MW_OPENS_TIMER};
    mw_table_put(&host.core.world.asks, &host.core.world.mem, &asks[0]);
    clock_us = FAR_US;
    mw_deadline_add(&host, 1, FAR_US);
    mw_host_hold(&host); /* there is no journal to be written to */
    mw_seq before = host.core.world.last_seq;
    rings_are_in_quarantine = true;
    for (unsigned second = 0; second < 3; second++) {
        all->timer.timer_cb(&all->timer);
        clock_us += 1000000;
    }
    rings_are_in_quarantine = false;
    assert_int_equal(host.core.world.last_seq, before + 1);
    assert_int_equal(all->count, 0);
    mw_table_remove(&host.core.world.asks, 1);
    clock_us = 0;
    mw_host_commit_stop(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p07_the_soonest_is_known_whatever_is_added_and_answered),
        cmocka_unit_test(p07_the_host_stays_for_what_is_due_soon_and_for_nobody_who_has_time),
        cmocka_unit_test(p10_the_host_stays_for_what_runs_and_for_what_waits_for_the_disk),
        cmocka_unit_test(p07_a_ring_that_is_not_heard_comes_again),
        cmocka_unit_test(p08_a_ring_in_quarantine_is_told_once),
    };
    void *region =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *arena =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct mw_core_config config = {.region = region,
                                          .region_bytes = REGION_BYTES,
                                          .region_zeroed = true,
                                          .arena = arena,
                                          .arena_bytes = REGION_BYTES};
    if (region == MAP_FAILED || arena == MAP_FAILED)
        return 1;
    mw_core_init(&host.core, &config);
    asks = mw_mem_alloc(&host.core.world.mem, ASKS_MAX * sizeof(*asks));
    (void)uv_loop_init(&host.loop);
    host.workspace_fd = -1;
    int failed = cmocka_run_group_tests_name("test_deadlines", tests, NULL, NULL);
    free(host.deadlines.heap);
    return failed;
}
