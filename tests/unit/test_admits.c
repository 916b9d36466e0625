/*
 * test_admits.c - P09 P10: what is taken before it is decided: every kind of request while too many wait, while the disk is full, while the
 * memory is. What ends, pauses or answers something is taken as long as the queue is not full; what the world reports, always.
 */
#include "host/internal.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p09_a_full_queue_refuses_callers_and_nobody_else),
        cmocka_unit_test(p10_a_full_disk_refuses_what_begins_something),
        cmocka_unit_test(p10_when_there_is_room_again_work_goes_on_by_itself),
        cmocka_unit_test(p09_a_full_memory_refuses_what_begins_something),
    };
    return cmocka_run_group_tests_name("test_admits", tests, NULL, NULL);
}
