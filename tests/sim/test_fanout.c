/*
 * test_fanout.c - a fan-out of ten thousand: each step bounded, paused, killed, resumed, finished and cancelled, and no byte left behind.
 */
#include "rig.h"

#define PARTS 10000u

static char *parts_body(uint32_t count)
{
    size_t cap = 64 + count * 12;
    char *text = mw_heap_alloc(cap);
    size_t len = (size_t)snprintf(
        text, cap, "{\"coordinator\":\"WideCoordinator\",\"payload\":{\"name\":\"w\",\"parts\":[");
    for (uint32_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, cap - len, "%s%u", i > 0 ? "," : "", i);
    (void)snprintf(text + len, cap - len, "]}}");
    return text;
}

/* The host answers what asks to go on, at the tail of its queue. Returns how often it was asked. */
static uint32_t go_on(struct rig *rig)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < rig->run_count;) {
        if (rig->runs[i].opens != MW_OPENS_CONTINUE) {
            i++;
            continue;
        }
        (void)rig_do(rig, MW_REQ_CONTINUE, NULL, 0, rig->runs[i].seq);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        times++;
        i = 0;
    }
    return times;
}

static bool answer_one(struct rig *rig)
{
    for (uint32_t i = rig->run_count; i > 0; i--)
        if (rig->runs[i - 1].opens == MW_OPENS_AGENT) {
            (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                         "{\"type\":\"PartMade\",\"payload\":{\"ok\":true}}", rig->runs[i - 1].item,
                         rig->runs[i - 1].seq);
            RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
            return true;
        }
    return false;
}

static struct rig *begin(void)
{
    struct rig *rig = rig_new();
    rig->quiet_dump = true;
    rig_begin(rig, "fanout");
    rig_register_all(rig);
    char *body = parts_body(PARTS);
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, body, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    mw_heap_free(body);
    return rig;
}

static void named(struct rig *rig, enum mw_request_kind kind)
{
    char body[200];
    snprintf(body, sizeof body, "{\"traceId\":\"%s\"}", rig->last_trace_id);
    (void)rig_do(rig, kind, body, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
}

static void nothing_is_left(struct rig *rig)
{
    assert_int_equal(rig->core.world.traces.count, 0);
    assert_int_equal(rig->core.world.items.count, 0);
    assert_int_equal(rig->core.world.asks.count, 0);
    assert_int_equal(rig->core.work.running, 0);
    assert_int_equal(rig->run_count, 0);
    oracle_memory(rig);
    oracle_same(rig, "at the end");
}

static struct rig *end_through_pause_and_kill(void)
{
    struct rig *rig = begin();
    assert_int_equal(rig->kind_count[MW_EVT_STEP_CONTINUES],
                     1); /* 1,024 dispatches are no one step */
    assert_true(go_on(rig) >= 1);
    assert_int_equal(rig->core.work.running, 1024);
    for (uint32_t i = 0; i < 300; i++)
        assert_true(answer_one(rig));
    named(rig, MW_REQ_PAUSE_TRACE);
    uint64_t dispatched = rig->kind_count[MW_EVT_TASK_DISPATCHED];
    for (uint32_t i = 0; i < 500; i++)
        assert_true(answer_one(rig));
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], dispatched);
    rig_crash(rig, rig->durable);
    assert_int_equal(rig->core.work.running, 524);
    named(rig, MW_REQ_RESUME_TRACE);
    (void)go_on(rig);
    assert_int_equal(rig->core.work.running, 1024);
    while (answer_one(rig))
        (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_ENDED], 1);
    assert_int_equal(rig->kind_count[MW_EVT_GROUP_ENDED], 1);
    nothing_is_left(rig);
    return rig;
}

/* P16: done once more, it writes the same journal, byte by byte. */
static void p16_ten_thousand_end_through_pause_and_kill(void **state)
{
    struct rig *rig = end_through_pause_and_kill(), *again = end_through_pause_and_kill();
    (void)state;
    RIG_CHECK(rig, mw_str_eq(mw_buf_str(&rig->journal), mw_buf_str(&again->journal)),
              "P16: the same fan-out wrote another journal");
    rig_free(rig);
    rig_free(again);
}

static void ten_thousand_are_cancelled_in_bounded_steps(void **state)
{
    struct rig *rig = begin();
    (void)state;
    (void)go_on(rig);
    /* Failed ones wait for their retry and give their slot to the next, until all ten thousand are open. */
    for (uint32_t i = 0; i < rig->run_count;) {
        if (rig->runs[i].opens != MW_OPENS_AGENT || rig->core.world.items.count >= PARTS + 2) {
            i++;
            continue;
        }
        (void)rig_do(rig, MW_REQ_RECORD_FAILURE, "{\"class\":\"crash\",\"message\":\"x\"}",
                     rig->runs[i].item, rig->runs[i].seq);
        i = 0;
    }
    assert_true(rig->core.world.items.count >= PARTS + 2);
    named(rig, MW_REQ_CANCEL_TRACE);
    assert_true(rig->kind_count[MW_EVT_STEP_CONTINUES] > 1);
    assert_int_equal(rig->core.world.asks.count,
                     1);          /* nobody works on, however long the rest takes */
    rig_crash(rig, rig->durable); /* in the middle of it */
    assert_true(rig->core.world.traces.count == 1);
    assert_true(go_on(rig) >= 2);
    nothing_is_left(rig);
    rig_free(rig);
}

static void ten_thousand_stop_with_their_coordinator(void **state)
{
    struct rig *rig = begin();
    (void)state;
    (void)go_on(rig);
    for (uint32_t i = 0; i < rig->run_count;) {
        if (rig->runs[i].opens != MW_OPENS_AGENT || rig->core.world.items.count >= PARTS + 2) {
            i++;
            continue;
        }
        (void)rig_do(rig, MW_REQ_RECORD_FAILURE, "{\"class\":\"crash\",\"message\":\"x\"}",
                     rig->runs[i].item, rig->runs[i].seq);
        i = 0;
    }
    /* The state's time is over: everything inside ends with it. */
    for (uint32_t i = 0; i < rig->run_count; i++) {
        const struct mw_item *item = mw_world_item(&rig->core.world, rig->runs[i].item);
        if (item == NULL || item->kind != MW_ITEM_COORDINATOR)
            continue;
        rig->now_us = rig->runs[i].due_us;
        (void)rig_do(rig, MW_REQ_RING_TIMER, NULL, 0, rig->runs[i].seq);
        break;
    }
    (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_HALTED], 1);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_ENDED], PARTS);
    nothing_is_left(rig);
    rig_free(rig);
}

static void nobody_for_ten_thousand_is_told_in_bounded_steps(void **state)
{
    struct rig *rig = rig_new();
    (void)state;
    rig->quiet_dump = true;
    rig_begin(rig, "fanout");
    char *body = parts_body(PARTS);
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, body, 0, 0);
    mw_heap_free(body);
    assert_true(go_on(rig) > 1);
    assert_int_equal(rig->kind_count[MW_EVT_AGENT_NOT_FOUND], PARTS);
    named(rig, MW_REQ_CANCEL_TRACE);
    (void)go_on(rig);
    nothing_is_left(rig);
    rig_free(rig);
}

/* One record closes more asks than a step of many records ever does. */
static void more_than_a_step_changes_is_cancelled_at_once(void **state)
{
    enum { MANY = MW_ASK_CHANGES + 1000 };
    struct rig *rig = rig_new();
    (void)state;
    rig->quiet_dump = true;
    rig_begin(rig, "fanout");
    char *body = parts_body(MANY);
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, body, 0, 0);
    mw_heap_free(body);
    (void)go_on(rig);
    assert_true(rig->core.world.asks.count >= MANY);
    named(rig, MW_REQ_CANCEL_TRACE);
    assert_int_equal(rig->core.world.asks.count, 1); /* to go on */
    rig_crash(rig, rig->durable);
    assert_int_equal(rig->core.world.asks.count, 1);
    (void)go_on(rig);
    nothing_is_left(rig);
    rig_free(rig);
}

/* Each member that is left out is told, however many there are. */
static void a_group_of_members_that_are_all_left_out_ends_well(void **state)
{
    struct rig *rig = rig_new();
    (void)state;
    rig_begin(rig, "skips");
    rig_register_all(rig);
    (void)rig_do(
        rig, MW_REQ_START_LONE_COORDINATOR,
        "{\"coordinator\":\"WideCoordinator\",\"payload\":{\"name\":\"w\",\"wide\":false}}", 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_PATH_SKIPPED], 256);
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_ENDED], 1);
    nothing_is_left(rig);
    rig_free(rig);
}

/* A herd of so many, each written so. */
static struct rig *call_home(const char *definitions, uint32_t cows, const char *cow,
                             bool small_in_record)
{
    struct rig *rig = rig_new();
    char *body = mw_heap_alloc(cows * 20 + 200);
    size_t len = (size_t)sprintf(body, "{\"workflow\":\"CallHome\",\"blueprint\":{\"cows\":[");
    rig->quiet_dump = true;
    rig->small_in_record = small_in_record;
    rig_begin(rig, definitions);
    rig_register_all(rig);
    for (uint32_t i = 0; i < cows; i++)
        len += (size_t)sprintf(body + len, "%s%s", i > 0 ? "," : "", cow);
    (void)strcpy(body + len, "]}}");
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, body, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    mw_heap_free(body);
    return rig;
}

/* Telling a plan looks at each of its items, however long the list, and keeps nothing of what it looked at. */
static void a_plan_of_the_most_members_is_told_in_one_bounded_step(void **state)
{
    enum { MOST = 32768 };
    (void)state;
    struct rig *rig = call_home("herd", MOST - 1, "{\"name\":\"c\"}", false); /* and the bell */
    assert_true(rig->kind_count[MW_EVT_PLAN_PART] > 80);
    assert_true(rig->core.world.traces.count == 1);
    named(rig, MW_REQ_CANCEL_TRACE);
    (void)go_on(rig);
    nothing_is_left(rig);
    rig_free(rig);
    rig = call_home("herd", MOST, "{\"name\":\"c\"}", false);
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_STARTED], 0);
    assert_int_equal(rig->kind_count[MW_EVT_GROUP_ENDED], 1);
    assert_non_null(memmem(rig->journal.ptr, rig->journal.len, "members_max", 11));
    nothing_is_left(rig);
    rig_free(rig);
}

/* A small document stands in the record and is read from there each time: two thousand times for each of two thousand items. */
static void a_plan_over_a_document_in_the_record_is_told_in_one_bounded_step(void **state)
{
    (void)state;
    struct rig *rig = call_home("herd", 1900, "1", true);
    assert_true(rig->kind_count[MW_EVT_PLAN_PART] >= 1900 / 256);
    named(rig, MW_REQ_CANCEL_TRACE);
    (void)go_on(rig);
    nothing_is_left(rig);
    rig_free(rig);
}

/* Three hundred in three hundred, four times: where no line is to be told, looking for one ends all the same. */
static void a_plan_of_lists_in_lists_is_told_in_one_bounded_step(void **state)
{
    (void)state;
    struct rig *rig = call_home("nested", 300, "1", false);
    assert_int_equal(rig->kind_count[MW_EVT_PLAN_PART], 0);
    assert_int_equal(rig->core.world.traces.count, 1);
    named(rig, MW_REQ_CANCEL_TRACE);
    (void)go_on(rig);
    nothing_is_left(rig);
    rig_free(rig);
}

static void start_named(struct rig *rig, const char *name, uint32_t parts)
{
    char *body = parts_body(parts),
         *whole = mw_heap_format("{\"traceId\":\"%s\",%s", name, body + 1);
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, whole, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    mw_heap_free(whole);
    mw_heap_free(body);
}

static void cancel_named(struct rig *rig, const char *name)
{
    char body[100];
    snprintf(body, sizeof body, "{\"traceId\":\"%s\"}", name);
    (void)rig_do(rig, MW_REQ_CANCEL_TRACE, body, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
}

/* Two that could not end in one step, the oldest and the youngest of three hundred. */
static void what_full_steps_left_is_found_among_many_traces(void **state)
{
    enum { QUIET = 300, LARGE = 5000 };
    struct rig *rig = rig_new();
    char name[20];
    (void)state;
    rig->quiet_dump = true;
    rig_begin(rig, "fanout");
    start_named(rig, "first", LARGE);
    for (unsigned i = 0; i < QUIET; i++) {
        snprintf(name, sizeof name, "quiet-%u", i);
        start_named(rig, name, 1);
    }
    start_named(rig, "last", LARGE);
    (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_AGENT_NOT_FOUND], 2 * LARGE + QUIET);
    cancel_named(rig, "first");
    cancel_named(rig, "last");
    assert_int_equal(rig->core.world.traces.count, QUIET + 2);
    rig_crash(rig, rig->durable);
    (void)go_on(rig);
    assert_int_equal(rig->core.world.traces.count, QUIET);
    for (unsigned i = 0; i < QUIET; i++) {
        snprintf(name, sizeof name, "quiet-%u", i);
        cancel_named(rig, name);
    }
    nothing_is_left(rig);
    rig_free(rig);
}

/* A fact of the whole trace reaches every coordinator, however many, over full steps and a kill. */
static void a_thousand_coordinators_hear_one_fact(void **state)
{
    enum { COWS = 1500 };
    struct rig *rig = rig_new();
    (void)state;
    rig->quiet_dump = true;
    rig_begin(rig, "herd");
    rig_register_all(rig);
    char *body = mw_heap_alloc(COWS * 32 + 200);
    size_t len = (size_t)sprintf(body, "{\"workflow\":\"CallHome\",\"blueprint\":{\"cows\":[");
    for (uint32_t i = 0; i < COWS; i++)
        len += (size_t)sprintf(body + len, "%s{\"name\":\"c%u\"}", i > 0 ? "," : "", i);
    (void)strcpy(body + len, "]}}");
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, body, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_STARTED], COWS);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], 1);
    uint64_t continued = rig->kind_count[MW_EVT_STEP_CONTINUES];
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].opens == MW_OPENS_AGENT) {
            (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                         "{\"type\":\"BellRung\",\"payload\":{\"loud\":true}}", rig->runs[i].item,
                         rig->runs[i].seq);
            break;
        }
    assert_true(rig->kind_count[MW_EVT_STEP_CONTINUES] > continued);
    rig_crash(rig, rig->durable);
    (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_STATE_ENTERED], COWS);
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < rig->run_count && !more; i++)
            if (rig->runs[i].opens == MW_OPENS_AGENT) {
                (void)rig_do(rig, MW_REQ_RECORD_RESULT, "{\"type\":\"CowFed\",\"payload\":{}}",
                             rig->runs[i].item, rig->runs[i].seq);
                more = true;
            }
        more = go_on(rig) > 0 || more;
    }
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_ENDED], COWS);
    nothing_is_left(rig);
    mw_heap_free(body);
    rig_free(rig);
}

static void answer(struct rig *rig, const char *body)
{
    uint32_t i = 0;
    while (i < rig->run_count && rig->runs[i].opens != MW_OPENS_AGENT)
        i++;
    assert_true(i < rig->run_count);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT, body, rig->runs[i].item, rig->runs[i].seq);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    (void)go_on(rig);
}

/* One was enough: all others stop, however many, while the flow goes on to what comes next. */
static void a_thousand_that_are_left_out_stop(void **state)
{
    enum { COWS = 1000 };
    struct rig *rig = rig_new();
    struct mw_buf body = mw_heap_buf();
    (void)state;
    rig->quiet_dump = true;
    rig_begin(rig, "herd");
    rig_register_all(rig);
    mw_buf_put_z(&body, "{\"workflow\":\"CallFirst\",\"blueprint\":{\"cows\":[");
    for (uint32_t i = 0; i < COWS; i++)
        mw_buf_printf(&body, "%s{\"name\":\"c%u\"}", i > 0 ? "," : "", i);
    mw_buf_put_z(&body, "]}}");
    mw_buf_put_c(&body, '\0');
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, body.ptr, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    (void)go_on(rig);
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_STARTED], COWS);
    answer(rig, "{\"type\":\"BellHeard\",\"payload\":{}}");
    assert_int_equal(rig->kind_count[MW_EVT_COORDINATOR_ENDED], COWS);
    assert_int_equal(rig->core.world.traces.count, 1);
    assert_int_equal(rig->core.world.asks.count, 2); /* the next task, and the run's time */
    answer(rig, "{\"type\":\"CowFed\",\"payload\":{}}");
    nothing_is_left(rig);
    mw_heap_buf_free(&body);
    rig_free(rig);
}

/* P09: at the memory ceiling new work is refused before it is decided; cancelling is not, and gives all of it back. */
static void at_the_memory_ceiling_new_work_is_refused(void **state)
{
    struct rig *rig = rig_new();
    char body[200];
    (void)state;
    rig->quiet_dump = true;
    rig->region_bytes = (size_t)20 << 20;
    rig_begin(rig, "fanout");
    char *parts = parts_body(4000);
    uint32_t begun[2] = {0, 0};
    for (unsigned round = 0; round < 2; round++) {
        for (;;) {
            (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, parts, 0, 0);
            if (rig->result.rc != MW_OK)
                break;
            begun[round]++;
            (void)go_on(rig); /* nobody has the skill: every part is a task that waits */
        }
        assert_int_equal(rig->result.rc, MW_E_LIMIT);
        while (rig->core.world.traces.count > 0) {
            const struct mw_trace *trace = NULL;
            for (uint32_t i = 0; trace == NULL; i++)
                trace = mw_table_at(&rig->core.world.traces, i);
            snprintf(body, sizeof body, "{\"traceId\":\"%.*s\"}", MW_STR_ARG(trace->wire_id));
            (void)rig_do(rig, MW_REQ_CANCEL_TRACE, body, 0, 0);
            RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
            (void)go_on(rig);
        }
        nothing_is_left(rig);
    }
    assert_true(begun[0] > 1 && begun[1] > 1);
    mw_heap_free(parts);
    rig_free(rig);
}

/* P09: what is on its way makes room when it ends, so at the ceiling results are recorded and timers ring. */
static void at_the_memory_ceiling_what_is_on_its_way_goes_on(void **state)
{
    enum { RUN = 3 };
    struct rig *rig = rig_new();
    (void)state;
    rig->quiet_dump = true;
    rig->region_bytes = (size_t)20 << 20;
    rig_begin(rig, "fanout");
    rig_register_all(rig);
    char *parts = parts_body(RUN);
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, parts, 0, 0);
    mw_heap_free(parts);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], RUN);
    (void)rig_do(rig, MW_REQ_REMOVE_AGENT, "{\"agentId\":\"maker\"}", 0, 0);
    parts = parts_body(4000);
    do {
        (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, parts, 0, 0);
        if (rig->result.rc == MW_OK)
            (void)go_on(rig);
    } while (rig->result.rc == MW_OK);
    mw_heap_free(parts);
    assert_int_equal(rig->result.rc, MW_E_LIMIT);
    for (unsigned i = 0; i < RUN; i++)
        assert_true(answer_one(rig));
    assert_int_equal(rig->kind_count[MW_EVT_TASK_RESULT], RUN);
    assert_int_equal(rig->kind_count[MW_EVT_TRACE_ENDED], 1);
    const struct rig_run *soonest = NULL;
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].opens == MW_OPENS_TIMER &&
            (soonest == NULL || rig->runs[i].due_us < soonest->due_us))
            soonest = &rig->runs[i];
    assert_non_null(soonest);
    rig->now_us = soonest->due_us;
    (void)rig_do(rig, MW_REQ_RING_TIMER, NULL, soonest->item, soonest->seq);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    assert_int_equal(rig->kind_count[MW_EVT_TIMER_RANG], 1);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p16_ten_thousand_end_through_pause_and_kill),
        cmocka_unit_test(ten_thousand_are_cancelled_in_bounded_steps),
        cmocka_unit_test(ten_thousand_stop_with_their_coordinator),
        cmocka_unit_test(more_than_a_step_changes_is_cancelled_at_once),
        cmocka_unit_test(a_group_of_members_that_are_all_left_out_ends_well),
        cmocka_unit_test(a_plan_of_the_most_members_is_told_in_one_bounded_step),
        cmocka_unit_test(a_plan_over_a_document_in_the_record_is_told_in_one_bounded_step),
        cmocka_unit_test(a_plan_of_lists_in_lists_is_told_in_one_bounded_step),
        cmocka_unit_test(what_full_steps_left_is_found_among_many_traces),
        cmocka_unit_test(a_thousand_coordinators_hear_one_fact),
        cmocka_unit_test(a_thousand_that_are_left_out_stop),
        cmocka_unit_test(at_the_memory_ceiling_new_work_is_refused),
        cmocka_unit_test(at_the_memory_ceiling_what_is_on_its_way_goes_on),
        cmocka_unit_test(nobody_for_ten_thousand_is_told_in_bounded_steps),
    };
    cmocka_set_test_filter(getenv("MW_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
