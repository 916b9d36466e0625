/*
 * test_deadlines.c - P07: of all that is waited for the soonest is known, whatever is added, answered before its time and looked through; nothing
 * that is still asked is lost on the way.
 */
#include "host/internal.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p07_the_soonest_is_known_whatever_is_added_and_answered),
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
