/*
 * test_admits.c - P05 P09 P10: what a request is known by, and what is taken before it is decided: every kind of request while too many wait,
 * while the disk is full, while the memory is. What ends, pauses or answers something is taken as long as the queue is not full; what the
 * world reports, always.
 */
#include "host/internal.h"
#include "host/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static enum mw_rc restored; /* what the disk answers when it is asked for the reserve */
static unsigned asked;

static enum mw_rc restore(void *self, struct mw_err *err)
{
    (void)self;
    (void)err;
    asked++;
    return restored;
}

static const struct mw_journal_ops ops = {.name = "none", .reserve_restore = restore};
static struct mw_host host;

static void begin(void)
{
    host.ops = &ops;
    host.pending_count = 0;
    host.full = false;
    host.writing = NULL;
    host.core.world.mem.ceiling_bytes = (size_t)64 << 20;
    host.core.world.mem.size_bytes = (size_t)64 << 20;
    host.core.world.mem.fresh_at = 0;
    restored = MW_E_FULL;
    asked = 0;
}

static enum mw_rc admits(enum mw_request_kind kind)
{
    struct mw_err err = {0};
    return mw_host_admits(&host, kind, false, &err);
}

/* Of a request whose messageId is known: its answer is there, whatever is full now (P05). */
static enum mw_rc admits_again(enum mw_request_kind kind)
{
    struct mw_err err = {0};
    return mw_host_admits(&host, kind, true, &err);
}

static bool is_of_caller(enum mw_request_kind kind)
{
    return mw_request_info(kind)->from == MW_FROM_CALLER;
}

/* Said here once more: what makes room, or only says something about what is there. */
static bool is_taken_when_short(enum mw_request_kind kind)
{
    static const enum mw_request_kind kinds[] = {MW_REQ_CANCEL_TRACE, MW_REQ_PAUSE_TRACE,
                                                 MW_REQ_ANSWER_ITEM,  MW_REQ_REJECT_DRAFT,
                                                 MW_REQ_REMOVE_AGENT, MW_REQ_REMOVE_MEMORY};
    bool taken = !is_of_caller(kind);
    for (size_t i = 0; i < MW_COUNT(kinds); i++)
        taken = taken || kinds[i] == kind;
    return taken;
}

static void each_is(enum mw_rc refusal, bool (*is_taken)(enum mw_request_kind), const char *when)
{
    uint32_t refused = 0;
    for (unsigned kind = 0; kind < MW_REQUEST_COUNT; kind++) {
        enum mw_rc expected = is_taken((enum mw_request_kind)kind) ? MW_OK : refusal;
        enum mw_rc rc = admits((enum mw_request_kind)kind);
        if (rc != expected)
            fail_msg("%s: %s is answered %s, not %s", when,
                     mw_request_info((enum mw_request_kind)kind)->name, mw_rc_name(rc),
                     mw_rc_name(expected));
        refused += rc != MW_OK;
    }
    assert_true(refused > 0 || refusal == MW_OK);
}

static bool always(enum mw_request_kind kind)
{
    (void)kind;
    return true;
}

static bool is_the_worlds(enum mw_request_kind kind)
{
    return !is_of_caller(kind);
}

static void p09_a_full_queue_refuses_callers_and_nobody_else(void **state)
{
    (void)state;
    begin();
    host.pending_count = MW_PENDING_MAX - 1;
    each_is(MW_OK, always, "one place is left");
    host.pending_count = MW_PENDING_MAX;
    each_is(MW_E_LIMIT, is_the_worlds, "no place is left");
    assert_int_equal(admits_again(MW_REQ_SUBMIT_INTENT), MW_E_LIMIT);
}

static void p10_a_full_disk_refuses_what_begins_something(void **state)
{
    (void)state;
    begin();
    host.full = true;
    each_is(MW_E_FULL, is_taken_when_short, "the disk is full");
    assert_true(host.full);
    assert_true(asked > 0);
    assert_int_equal(admits_again(MW_REQ_SUBMIT_INTENT), MW_OK);
    /* A frame is being written: it will say whether there is room again. */
    host.writing = &host.frames[0];
    asked = 0;
    each_is(MW_E_FULL, is_taken_when_short, "the disk is full and a frame on its way");
    assert_int_equal(asked, 0);
}

static void p10_when_there_is_room_again_work_goes_on_by_itself(void **state)
{
    (void)state;
    begin();
    host.full = true;
    restored = MW_OK;
    assert_int_equal(admits(MW_REQ_SUBMIT_INTENT), MW_OK);
    assert_false(host.full);
    assert_int_equal(asked, 1);
    each_is(MW_OK, always, "there is room again");
    assert_int_equal(asked, 1);
}

static void p09_a_full_memory_refuses_what_begins_something(void **state)
{
    (void)state;
    begin();
    host.core.world.mem.fresh_at = host.core.world.mem.ceiling_bytes - MW_STEP_MEMORY_BYTES;
    each_is(MW_OK, always, "one step's memory is left");
    host.core.world.mem.fresh_at++;
    each_is(MW_E_LIMIT, is_taken_when_short, "less than one step's memory is left");
    assert_int_equal(admits_again(MW_REQ_SUBMIT_INTENT), MW_OK);
}

/* ---- what waits for a place in the frame ---- */

#define WAITING 40u

static uint32_t answers[WAITING], answer_count;

static void on_answer(void *user, const struct mw_host_answer *answer)
{
    assert_int_equal(answer->rc, MW_E_MISSING);
    assert_true(answer_count < WAITING);
    answers[answer_count++] = *(uint32_t *)user;
}

/* While the frame that fills is long enough, requests wait; when there is place, all of them are decided, in order, and counted no more. */
static void p09_what_waited_is_decided_in_order_and_counted_no_more(void **state)
{
    static uint32_t numbers[WAITING];
    const struct mw_core_config config = {.region = mw_heap_reserve((size_t)1 << 30),
                                          .region_bytes = (size_t)1 << 30,
                                          .region_zeroed = true,
                                          .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                          .arena_bytes = MW_STEP_ARENA_BYTES};
    (void)state;
    begin();
    mw_core_init(&host.core, &config);
    (void)uv_loop_init(&host.loop);
    host.mask = mw_mask_make();
    mw_host_commit_start(&host);
    for (uint32_t round = 0; round < 3; round++) {
        answer_count = 0;
        mw_host_hold(&host);
        while (host.filling->lines.len <= MW_FRAME_SOFT_MAX)
            mw_buf_put(&host.filling->lines, MW_STR("{\"kind\":\"filler\"}\n"));
        for (uint32_t i = 0; i < WAITING; i++) {
            struct mw_err err = {0};
            struct mw_post *post =
                mw_post_make(&host, MW_REQ_CANCEL_TRACE, MW_STR("{\"traceId\":\"none\"}"),
                             MW_STR_NONE, MW_STR("user:test"), &err);
            assert_non_null(post);
            numbers[i] = i;
            mw_host_post(&host, post, on_answer, &numbers[i]);
            assert_int_equal(host.pending_count, i + 1);
        }
        assert_int_equal(answer_count, 0);
        mw_buf_reset(&host.filling->lines);
        mw_host_release(&host);
        assert_int_equal(answer_count, WAITING);
        for (uint32_t i = 0; i < WAITING; i++)
            assert_int_equal(answers[i], i);
        assert_int_equal(host.pending_count, 0);
        assert_null(host.pending);
    }
    mw_host_commit_stop(&host);
}

/* ---- the reserve of a full disk ---- */

static unsigned no_room; /* so many appends find none */
static bool held;

static enum mw_rc append(void *self, uint64_t first, uint32_t count, struct mw_str lines,
                         struct mw_err *err)
{
    (void)self;
    (void)first;
    (void)count;
    (void)lines;
    if (no_room == 0)
        return MW_OK;
    no_room--;
    held = false;
    return MW_FAIL(err, MW_E_FULL, "no room");
}

static void stats(const void *self, struct mw_journal_stats *ret_stats)
{
    (void)self;
    *ret_stats = (struct mw_journal_stats){.reserve_held = held};
}

static enum mw_rc hold(void *self, struct mw_err *err)
{
    enum mw_rc rc = restore(self, err);
    held = rc == MW_OK;
    return rc;
}

/* A record of the world's, until it is durable. */
static void record(struct mw_host *one, enum mw_request_kind kind)
{
    mw_host_tell(one, kind, 0, 0, MW_STR_NONE);
    assert_non_null(one->writing);
    while (one->writing != NULL)
        (void)uv_run(&one->loop, UV_RUN_ONCE);
}

/* The record itself found room, in the reserve: what is left of that is for results and cancels, and begins nothing new. */
static void p10_a_record_that_took_the_reserve_makes_the_disk_full(void **state)
{
    static const struct mw_journal_ops disk = {
        .name = "full", .append = append, .stats = stats, .reserve_restore = hold};
    static struct mw_host one;
    const struct mw_core_config config = {.region = mw_heap_reserve((size_t)1 << 30),
                                          .region_bytes = (size_t)1 << 30,
                                          .region_zeroed = true,
                                          .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                          .arena_bytes = MW_STEP_ARENA_BYTES};
    struct mw_err err = {0};
    (void)state;
    mw_core_init(&one.core, &config);
    (void)uv_loop_init(&one.loop);
    one.ops = &disk;
    one.mask = mw_mask_make();
    mw_host_commit_start(&one);
    held = true;
    record(&one, MW_REQ_CREATE_JOURNAL);
    assert_int_equal(mw_host_admits(&one, MW_REQ_SUBMIT_INTENT, false, &err), MW_OK);
    restored = MW_E_FULL;
    no_room = 1;
    for (unsigned i = 0; i < 3; i++) { /* and stays full, though there is room for more of them */
        record(&one, MW_REQ_NOTE_QUARANTINE);
        assert_int_equal(no_room, 0);
        assert_true(one.full);
        assert_int_equal(mw_host_admits(&one, MW_REQ_SUBMIT_INTENT, false, &err), MW_E_FULL);
        assert_int_equal(mw_host_admits(&one, MW_REQ_CANCEL_TRACE, false, &err), MW_OK);
    }
    restored = MW_OK;
    record(&one, MW_REQ_NOTE_QUARANTINE);
    assert_false(one.full);
    assert_true(held);
    assert_int_equal(mw_host_admits(&one, MW_REQ_SUBMIT_INTENT, false, &err), MW_OK);
    mw_host_commit_stop(&one);
}

/* ---- what is asked, by which it is known again ---- */

static struct mw_post *ask(enum mw_request_kind kind, const char *body)
{
    struct mw_err err = {0};
    struct mw_post *post = mw_post_make(&host, kind, mw_str_of(body), MW_STR("one-and-the-same"),
                                        MW_STR("user:test"), &err);
    assert_non_null(post);
    return post;
}

/* Pause and resume, accept and reject are said with the same words: under one messageId they are two requests all the same. */
static void p05_the_same_words_of_another_request_are_another_request(void **state)
{
    static const char words[] = "{\"traceId\":\"mine\"}";
    (void)state;
    begin();
    host.mask = mw_mask_make();
    for (unsigned a = 0; a < MW_REQUEST_COUNT; a++)
        for (unsigned b = 0; b < MW_REQUEST_COUNT; b++) {
            enum mw_request_kind kinds[] = {(enum mw_request_kind)a, (enum mw_request_kind)b};
            if (!is_of_caller(kinds[0]) || !is_of_caller(kinds[1]))
                continue;
            struct mw_post *first = ask(kinds[0], words), *second = ask(kinds[1], words);
            bool same = mw_str_eq(first->request.body_hash, second->request.body_hash);
            if (same != (a == b))
                fail_msg("%s and %s with the same words are taken for %s",
                         mw_request_info(kinds[0])->name, mw_request_info(kinds[1])->name,
                         same ? "one request" : "two");
            mw_post_discard(&host, first);
            mw_post_discard(&host, second);
        }
    struct mw_post *first = ask(MW_REQ_PAUSE_TRACE, words);
    struct mw_post *other = ask(MW_REQ_PAUSE_TRACE, "{\"traceId\":\"mine\" }");
    assert_false(mw_str_eq(first->request.body_hash, other->request.body_hash));
    mw_post_discard(&host, first);
    mw_post_discard(&host, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p05_the_same_words_of_another_request_are_another_request),
        cmocka_unit_test(p09_a_full_queue_refuses_callers_and_nobody_else),
        cmocka_unit_test(p10_a_full_disk_refuses_what_begins_something),
        cmocka_unit_test(p10_when_there_is_room_again_work_goes_on_by_itself),
        cmocka_unit_test(p10_a_record_that_took_the_reserve_makes_the_disk_full),
        cmocka_unit_test(p09_a_full_memory_refuses_what_begins_something),
        cmocka_unit_test(p09_what_waited_is_decided_in_order_and_counted_no_more),
    };
    return cmocka_run_group_tests_name("test_admits", tests, NULL, NULL);
}
