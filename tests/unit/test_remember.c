/*
 * test_remember.c - P05 P09: which requests of callers are known, and for how long: the last 65,536 of them, not one less, and none that says
 * itself that it is older than seven days.
 */
#include "core/internal.h"
#include "posix/heap.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#define WINDOW 65536u /* what docs/promises.md says */
#define REGION_BYTES ((size_t)1 << 30)
#define ARENA_BYTES ((size_t)64 << 20)
#define DAY_US (24ll * 3600 * 1000000)

static void begin(struct mw_core *core)
{
    struct mw_core_config config = {.region = mw_heap_reserve(REGION_BYTES),
                                    .region_bytes = REGION_BYTES,
                                    .region_zeroed = true,
                                    .arena = mw_heap_reserve(ARENA_BYTES),
                                    .arena_bytes = ARENA_BYTES};
    mw_core_init(core, &config);
}

static void end(struct mw_core *core)
{
    (void)munmap(core->world.mem.region, core->world.mem.size_bytes);
    (void)munmap(core->arena.memory, core->arena.size_bytes);
}

static struct mw_str name(uint32_t number, char text[32])
{
    int len = snprintf(text, 32, "request-%u", number);
    return (struct mw_str){text, (size_t)len};
}

static void remember(struct mw_core *core, uint32_t number)
{
    char id[32];
    struct mw_event event = {
        .seq = number, .causation_id = name(number, id), .request_hash = MW_STR("body")};
    mw_remember(core, &event);
}

static void are_known(const struct mw_core *core, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++) {
        char id[32];
        const struct mw_remembered *known = mw_remembered_find(core, name(i, id));
        if (known == NULL || known->seq != i)
            fail_msg("of the requests from %u to %u, request %u is not known", first, last, i);
    }
}

static void p05_the_last_65536_requests_are_known_and_not_one_less(void **state)
{
    struct mw_core core;
    char id[32];
    (void)state;
    begin(&core);
    for (uint32_t i = 1; i <= WINDOW; i++)
        remember(&core, i);
    are_known(&core, 1, WINDOW);
    /* Each further one takes the place of the oldest, and of no other. */
    for (uint32_t more = 1; more <= 3; more++) {
        remember(&core, WINDOW + more);
        are_known(&core, 1 + more, WINDOW + more);
        assert_null(mw_remembered_find(&core, name(more, id)));
    }
    for (uint32_t i = WINDOW + 4; i <= 3 * WINDOW; i++)
        remember(&core, i);
    are_known(&core, 2 * WINDOW + 1, 3 * WINDOW);
    assert_int_equal(core.remembered_index.count, WINDOW);
    end(&core);
}

/* A trace's name that the caller chose is kept for as long as the request is known. */
static void p09_a_request_that_is_forgotten_takes_its_name_with_it(void **state)
{
    struct mw_core core;
    char id[32], trace_id[32];
    size_t full_bytes = 0;
    (void)state;
    begin(&core);
    for (uint32_t i = 1; i <= 2 * WINDOW; i++) {
        (void)snprintf(trace_id, sizeof trace_id, "mine-%06u", i);
        struct mw_event event = {.seq = i,
                                 .trace = i,
                                 .trace_id = mw_str_of(trace_id),
                                 .causation_id = name(i, id),
                                 .request_hash = MW_STR("body")};
        mw_arena_reset(&core.arena);
        mw_remember(&core, &event);
        if (i == WINDOW)
            full_bytes = core.world.mem.used_bytes;
    }
    assert_int_equal(core.world.mem.used_bytes, full_bytes);
    const struct mw_remembered *last = mw_remembered_find(&core, name(2 * WINDOW, id));
    assert_non_null(last);
    struct mw_str told = mw_remembered_trace_id(&core, last);
    assert_true(mw_str_eq(told, mw_str_of(trace_id)));
    end(&core);
}

/* RFC 9562, version 7, made `millis` after 1970. */
static struct mw_str uuid7(int64_t millis, char text[40])
{
    int len = snprintf(text, 40, "%08lx-%04lx-7abc-8def-0123456789ab",
                       (unsigned long)(millis >> 16), (unsigned long)(millis & 0xffff));
    return (struct mw_str){text, (size_t)len};
}

static void p05_a_request_is_too_old_seven_days_after_it_was_made_and_not_before(void **state)
{
    const int64_t now_us = 1750000000000000;
    static const struct {
        int64_t age_us;
        bool old;
    } cases[] = {{0, false},           {6 * DAY_US, false},       {7 * DAY_US - 1000, false},
                 {7 * DAY_US, false},  {7 * DAY_US + 1000, true}, {8 * DAY_US, true},
                 {400 * DAY_US, true}, {-1 * DAY_US, false}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        char text[40];
        struct mw_str id = uuid7((now_us - cases[i].age_us) / 1000, text);
        if (mw_message_id_is_old(id, now_us) != cases[i].old)
            fail_msg("an id that is %ld ms old: %s", (long)(cases[i].age_us / 1000),
                     cases[i].old ? "it is taken" : "it is refused");
        for (size_t at = 0; at < id.len; at++) /* the same one, as others write it */
            text[at] = (char)toupper((unsigned char)text[at]);
        if (mw_message_id_is_old(id, now_us) != cases[i].old)
            fail_msg("%s is %ld ms old: %s", text, (long)(cases[i].age_us / 1000),
                     cases[i].old ? "it is taken" : "it is refused");
    }
}

static void p05_only_an_id_that_says_its_age_can_be_too_old(void **state)
{
    static const char *const ids[] = {"",
                                      "my-own-id",
                                      "00000000-0000-4abc-8def-0123456789ab",
                                      "0000000g-0000-7abc-8def-0123456789ab",
                                      "00000000-0000-7abc-8def-0123456789a",
                                      "00000000-0000-7abc-8def-0123456789abc"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(ids); i++)
        assert_false(mw_message_id_is_old(mw_str_of(ids[i]), 1750000000000000));
    assert_true(
        mw_message_id_is_old(MW_STR("00000000-0000-7ABC-8DEF-0123456789AB"), 1750000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p05_the_last_65536_requests_are_known_and_not_one_less),
        cmocka_unit_test(p09_a_request_that_is_forgotten_takes_its_name_with_it),
        cmocka_unit_test(p05_a_request_is_too_old_seven_days_after_it_was_made_and_not_before),
        cmocka_unit_test(p05_only_an_id_that_says_its_age_can_be_too_old),
    };
    return cmocka_run_group_tests_name("test_remember", tests, NULL, NULL);
}
