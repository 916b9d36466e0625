/*
 * test_admits.c - P09 P10: what is taken before it is decided: every kind of request while too many wait, while the disk is full, while the
 * memory is. What ends, pauses or answers something is taken as long as the queue is not full; what the world reports, always.
 */
#include "host/internal.h"
#include "host/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

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
    return mw_host_admits(&host, kind, &err);
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
}

static void p10_a_full_disk_refuses_what_begins_something(void **state)
{
    (void)state;
    begin();
    host.full = true;
    each_is(MW_E_FULL, is_taken_when_short, "the disk is full");
    assert_true(host.full);
    assert_true(asked > 0);
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

static void *reserve(size_t size_bytes)
{
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

/* While the frame that fills is long enough, requests wait; when there is place, all of them are decided, in order, and counted no more. */
static void p09_what_waited_is_decided_in_order_and_counted_no_more(void **state)
{
    static uint32_t numbers[WAITING];
    const struct mw_core_config config = {.region = reserve((size_t)1 << 30),
                                          .region_bytes = (size_t)1 << 30,
                                          .region_zeroed = true,
                                          .arena = reserve(MW_STEP_ARENA_BYTES),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p09_a_full_queue_refuses_callers_and_nobody_else),
        cmocka_unit_test(p10_a_full_disk_refuses_what_begins_something),
        cmocka_unit_test(p10_when_there_is_room_again_work_goes_on_by_itself),
        cmocka_unit_test(p09_a_full_memory_refuses_what_begins_something),
        cmocka_unit_test(p09_what_waited_is_decided_in_order_and_counted_no_more),
    };
    return cmocka_run_group_tests_name("test_admits", tests, NULL, NULL);
}
