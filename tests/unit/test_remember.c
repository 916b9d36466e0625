/*
 * test_remember.c - P05 P09: which requests of callers are known, and for how long: the last 65,536 of them, not one less, and none that says
 * itself that it is older than those, or than seven days.
 */
#include "base/time.h"
#include "core/internal.h"
#include "posix/heap.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* ---- behind the window ---- */

#define START_US 1750000000000000ll
#define APART_US 10000ll /* one request after the other */

/* A journal's record number `seq`: a request was asked, with that id, at that time. */
static struct mw_str record(mw_seq seq, struct mw_str id, int64_t at_us, struct mw_buf *buf)
{
    char memory[64];
    struct mw_arena arena;
    mw_arena_init(&arena, memory, sizeof memory);
    const struct mw_event event = {.kind = MW_EVT_REQUEST_NOTED,
                                   .seq = seq,
                                   .type = MW_STR("RequestNoted"),
                                   .trace_id = MW_STR("workspace"),
                                   .timestamp = mw_utc_text(&arena, at_us),
                                   .causation_id = id,
                                   .request_hash = MW_STR("body")};
    mw_buf_reset(buf);
    mw_event_write(&event, buf);
    struct mw_str line = mw_buf_str(buf);
    return mw_str_sub(line, 0, line.len - 1);
}

static struct mw_str nth(uint32_t number, struct mw_buf *buf)
{
    char id[40];
    int64_t at_us = START_US + number * APART_US;
    return record(number, uuid7(at_us / 1000, id), at_us, buf);
}

static void replay_nth(struct mw_core *core, uint32_t first, uint32_t last)
{
    struct mw_buf buf = mw_heap_buf();
    struct mw_err err;
    for (uint32_t i = first; i <= last; i++)
        if (mw_core_replay(core, nth(i, &buf), &err) != MW_OK)
            fail_msg("record %u: %s", i, err.text);
    mw_heap_buf_free(&buf);
}

/* What a caller hears who asks with that id: MW_E_CONFLICT when it is remembered (with another body), MW_E_INPUT when it is decided. */
static enum mw_rc asked(struct mw_core *core, int64_t millis, int64_t now_us)
{
    static char frame_memory[MW_STEP_ROOM_BYTES], memory[65536];
    struct mw_step_result result;
    struct mw_buf frame;
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err;
    char id[40];
    mw_buf_init(&frame, frame_memory, sizeof frame_memory);
    mw_arena_init(&arena, memory, sizeof memory);
    assert_int_equal(mw_json_parse(&arena, MW_STR("{}"), &tape, &err), MW_OK);
    const struct mw_request request = {.kind = MW_REQ_PAUSE_TRACE,
                                       .message_id = uuid7(millis, id),
                                       .now_us = now_us,
                                       .body = &tape,
                                       .body_hash = MW_STR("other")};
    mw_core_step(core, &request, &frame, &result);
    assert_int_equal(frame.len, 0);
    return result.rc;
}

static int64_t nth_ms(uint32_t number)
{
    return (START_US + number * APART_US) / 1000;
}

static void window_is_closed_behind(struct mw_core *core, uint32_t last)
{
    const uint32_t newest_forgotten = last - WINDOW;
    const int64_t now_us = START_US + (last + 1) * APART_US;
    for (uint32_t i = 1; i <= newest_forgotten; i++)
        assert_int_equal(asked(core, nth_ms(i), now_us), MW_E_TIMEOUT);
    assert_int_equal(asked(core, nth_ms(newest_forgotten + 1), now_us), MW_E_CONFLICT);
    assert_int_equal(asked(core, nth_ms(last), now_us), MW_E_CONFLICT);
    /* Of nobody's before: what is newer than the newest that is forgotten is decided, however late it comes. */
    assert_int_equal(asked(core, nth_ms(newest_forgotten) - 5, now_us), MW_E_TIMEOUT);
    assert_int_equal(asked(core, nth_ms(newest_forgotten) + 1, now_us), MW_E_INPUT);
    assert_int_equal(asked(core, now_us / 1000, now_us), MW_E_INPUT);
}

static void p05_an_id_that_had_to_make_room_is_refused_and_not_run_again(void **state)
{
    struct mw_core core;
    struct mw_buf dump = mw_heap_buf();
    (void)state;
    begin(&core);
    replay_nth(&core, 1, WINDOW);
    assert_int_equal(asked(&core, nth_ms(1) - 5, START_US), MW_E_INPUT); /* nothing is forgotten */
    mw_core_dump(&core, &dump); /* as releases that kept no such thing had it */
    assert_null(memmem(dump.ptr, dump.len, "remembered after", 16));
    replay_nth(&core, WINDOW + 1, WINDOW + 1);
    window_is_closed_behind(&core, WINDOW + 1);
    replay_nth(&core, WINDOW + 2, WINDOW + 40);
    window_is_closed_behind(&core, WINDOW + 40);
    mw_buf_reset(&dump);
    mw_core_dump(&core, &dump);
    assert_non_null(memmem(dump.ptr, dump.len, "remembered after 1750000000400\n", 31));
    mw_heap_buf_free(&dump);
    end(&core);
}

/* Ids come in any order, from clocks that are late or ahead: the window begins at the newest of what is forgotten, and never ahead of its record. */
static void p05_the_window_begins_at_the_newest_that_is_forgotten(void **state)
{
    static const struct {
        int64_t millis, at_us;
        int64_t begins_ms;
    } forgotten[] = {
        {1750000005000, 1750000005003000, 1750000005000}, /* a caller's */
        {1750000004000, 1750000005004000, 1750000005000}, /* another's, whose clock is late */
        {1850000000000, 1750000006000000, 1750000006000}, /* and one's, whose clock is ahead */
        {1750000007000, 1750000006500000, 1750000006500}, /* a little */
    };
    struct mw_core core;
    struct mw_buf buf = mw_heap_buf();
    struct mw_err err;
    const int64_t now_us = 1750000100000000;
    char id[40];
    (void)state;
    begin(&core);
    for (uint32_t i = 1; i <= MW_COUNT(forgotten); i++)
        assert_int_equal(mw_core_replay(&core,
                                        record(i, uuid7(forgotten[i - 1].millis, id),
                                               forgotten[i - 1].at_us, &buf),
                                        &err),
                         MW_OK);
    assert_int_equal(
        mw_core_replay(&core, record(MW_COUNT(forgotten) + 1, MW_STR("no time"), now_us, &buf),
                       &err),
        MW_OK);
    for (uint32_t i = MW_COUNT(forgotten) + 2; i <= WINDOW; i++)
        assert_int_equal(mw_core_replay(&core, record(i, MW_STR("later"), now_us, &buf), &err),
                         MW_OK);
    for (uint32_t i = 0; i < MW_COUNT(forgotten) + 1; i++) {
        assert_int_equal(core.forgotten_ms, i == 0 ? 0 : forgotten[i - 1].begins_ms);
        if (i > 0) {
            assert_int_equal(asked(&core, core.forgotten_ms, now_us), MW_E_TIMEOUT);
            assert_int_equal(asked(&core, core.forgotten_ms + 1, now_us), MW_E_INPUT);
        }
        struct mw_str line = record(core.world.last_seq + 1, MW_STR("later"), now_us, &buf);
        assert_int_equal(mw_core_replay(&core, line, &err), MW_OK);
    }
    assert_int_equal(core.forgotten_ms,
                     forgotten[3].begins_ms); /* an id without a time says none */
    mw_heap_buf_free(&buf);
    end(&core);
}

/* The host's clock was ten years ahead for a while: what is asked now, by its clock of now, is taken again. */
static void p05_a_clock_that_was_set_back_shuts_nobody_out(void **state)
{
    const int64_t ahead_ms = nth_ms(1), now_us = START_US - 3650 * DAY_US, now_ms = now_us / 1000;
    const int64_t slack_ms = MW_REMEMBERED_SLACK_US / 1000;
    struct mw_core core;
    (void)state;
    begin(&core);
    replay_nth(&core, 1, WINDOW + 1);
    assert_int_equal(core.forgotten_ms, ahead_ms);
    assert_int_equal(asked(&core, ahead_ms, now_us), MW_E_TIMEOUT);
    assert_int_equal(asked(&core, now_ms, now_us), MW_E_INPUT);
    assert_int_equal(asked(&core, now_ms - slack_ms, now_us), MW_E_INPUT);
    assert_int_equal(asked(&core, now_ms - slack_ms - 1, now_us), MW_E_TIMEOUT);
    assert_int_equal(asked(&core, now_ms + slack_ms + 1, now_us), MW_E_TIMEOUT);
    /* Set back by less than the clocks of two machines may differ, nothing is taken for new that may have been done. */
    assert_int_equal(asked(&core, ahead_ms, (ahead_ms - slack_ms) * 1000), MW_E_TIMEOUT);
    assert_int_equal(asked(&core, ahead_ms - slack_ms, (ahead_ms - slack_ms) * 1000), MW_E_TIMEOUT);
    end(&core);
}

/* From `whole`'s records, as many as kept says, the state that all of them give. */
static void shorten(const struct mw_core *whole, uint8_t *kept, uint32_t count,
                    struct mw_core *ret_core)
{
    struct mw_buf buf = mw_heap_buf();
    uint8_t *seen = mw_heap_alloc(MW_KEEP_QUEUES_MAX);
    struct mw_event event;
    struct mw_err err;
    begin(ret_core);
    for (uint32_t i = 1; i <= count; i++) {
        if (kept[i - 1] == MW_KEPT_NOT)
            continue;
        mw_arena_reset(&ret_core->arena);
        struct mw_str line = nth(i, &buf);
        assert_int_equal(mw_event_read(&ret_core->arena, line, &event, &err), MW_OK);
        kept[i - 1] = (uint8_t)mw_core_keeps(whole, &event, seen);
        if (kept[i - 1] != MW_KEPT_NOT)
            assert_int_equal(mw_core_replay_kept(ret_core, line, (enum mw_kept)kept[i - 1], &err),
                             MW_OK);
    }
    mw_core_replay_skip(ret_core, count);
    mw_heap_free(seen);
    mw_heap_buf_free(&buf);
}

static void same_state(const struct mw_core *a, const struct mw_core *b)
{
    struct mw_buf of_a = mw_heap_buf(), of_b = mw_heap_buf();
    mw_core_dump(a, &of_a);
    mw_core_dump_left(a, &of_a);
    mw_core_dump(b, &of_b);
    mw_core_dump_left(b, &of_b);
    assert_int_equal(of_a.len, of_b.len);
    assert_memory_equal(of_a.ptr, of_b.ptr, of_a.len);
    mw_heap_buf_free(&of_a);
    mw_heap_buf_free(&of_b);
}

static void p05_a_shortened_journal_knows_where_the_window_begins(void **state)
{
    static uint8_t kept[WINDOW + 200];
    struct mw_core whole, shortened, again;
    (void)state;
    memset(kept, MW_KEPT_WHOLE, sizeof kept);
    begin(&whole);
    replay_nth(&whole, 1, WINDOW + 100);
    shorten(&whole, kept, WINDOW + 100, &shortened);
    same_state(&whole, &shortened);
    window_is_closed_behind(&shortened, WINDOW + 100);
    assert_int_equal(kept[98], MW_KEPT_NOT);
    assert_int_equal(kept[99], MW_KEPT_LEFT); /* the newest that is forgotten */
    /* It goes on, and is shortened once more, from what the first one left. */
    replay_nth(&whole, WINDOW + 101, WINDOW + 200);
    replay_nth(&shortened, WINDOW + 101, WINDOW + 200);
    same_state(&whole, &shortened);
    shorten(&shortened, kept, WINDOW + 200, &again);
    same_state(&whole, &again);
    window_is_closed_behind(&again, WINDOW + 200);
    end(&again);
    end(&shortened);
    end(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p05_the_last_65536_requests_are_known_and_not_one_less),
        cmocka_unit_test(p09_a_request_that_is_forgotten_takes_its_name_with_it),
        cmocka_unit_test(p05_a_request_is_too_old_seven_days_after_it_was_made_and_not_before),
        cmocka_unit_test(p05_only_an_id_that_says_its_age_can_be_too_old),
        cmocka_unit_test(p05_an_id_that_had_to_make_room_is_refused_and_not_run_again),
        cmocka_unit_test(p05_the_window_begins_at_the_newest_that_is_forgotten),
        cmocka_unit_test(p05_a_clock_that_was_set_back_shuts_nobody_out),
        cmocka_unit_test(p05_a_shortened_journal_knows_where_the_window_begins),
    };
    return cmocka_run_group_tests_name("test_remember", tests, NULL, NULL);
}
