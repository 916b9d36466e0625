/* test_core.c - what the simulation cannot see from outside: the window of remembered requests, large agents, missing definitions, bad journals. */
#include "core_runs.h"

static void uuid_at(char id[40], int64_t unix_us, uint64_t number)
{
    uint64_t millis = (uint64_t)(unix_us / 1000);
    snprintf(id, 40, "%08x-%04x-7000-8000-%012lx", (unsigned)(millis >> 16),
             (unsigned)(millis & 0xffff), (unsigned long)number);
}

static void P05_a_request_is_done_once_over_restarts(void **state)
{
    struct rig *rig = begin("small");
    char id[40];
    (void)state;
    uuid_at(id, rig->now_us, 1);
    static const char *const body = "{\"workflow\":\"BakeOnce\",\"traceId\":\"mine\"}";
    (void)rig_step(rig, MW_REQ_START_LONE_RUN, body, id, 0, 0);
    rig_sync(rig);
    mw_seq first = rig->result.first, last = rig->result.last;
    assert_int_equal(rig->result.rc, MW_OK);
    assert_true(last > first);
    for (unsigned time = 0; time < 3; time++) {
        (void)rig_step(rig, MW_REQ_START_LONE_RUN, body, id, 0, 0);
        assert_true(rig->result.duplicate);
        assert_int_equal(rig->result.first, first);
        assert_int_equal(rig->result.last, last);
        assert_true(mw_str_is(rig->result.trace_wire_id, "mine"));
        if (time == 1) /* the trace ends; the answer stays */
            (void)rig_do(rig, MW_REQ_CANCEL_TRACE, "{\"traceId\":\"mine\"}", 0, 0);
        rig_crash(rig, rig->durable);
    }
    (void)rig_step(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\"}", id, 0, 0);
    assert_int_equal(rig->result.rc, MW_E_CONFLICT);
    (void)rig_step(rig, MW_REQ_CANCEL_TRACE, body, id, 0, 0); /* the same words, another request */
    assert_int_equal(rig->result.rc, MW_E_CONFLICT);
    rig_free(rig);
}

/* What is no build's has no build's name, and an empty one is none: whoever names nothing ends nothing. */
static void who_names_no_trace_cancels_none(void **state)
{
    static const enum mw_request_kind kinds[] = {MW_REQ_PAUSE_TRACE, MW_REQ_RESUME_TRACE,
                                                 MW_REQ_CANCEL_TRACE};
    static const char *const bodies[] = {"{}", "{\"traceId\":\"\"}", "{\"traceId\":7}"};
    struct rig *rig = begin("small");
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\"}", 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
    mw_seq last = rig->core.world.last_seq;
    for (unsigned i = 0; i < MW_COUNT(kinds) * MW_COUNT(bodies); i++) {
        (void)rig_step(rig, kinds[i / MW_COUNT(bodies)], bodies[i % MW_COUNT(bodies)], NULL, 0, 0);
        assert_int_equal(rig->result.rc, MW_E_INPUT);
    }
    assert_int_equal(rig->core.world.last_seq, last);
    rig_free(rig);
}

/* Pause, said of a trace that is paused, is done: it must not pause again what was resumed since. */
static void P05_what_was_so_already_is_remembered(void **state)
{
    struct rig *rig = begin("small");
    char id[40];
    static const char *const body = "{\"traceId\":\"mine\"}";
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\",\"traceId\":\"mine\"}", 0,
                 0);
    (void)rig_do(rig, MW_REQ_PAUSE_TRACE, body, 0, 0);
    uuid_at(id, rig->now_us, 1);
    (void)rig_step(rig, MW_REQ_PAUSE_TRACE, body, id, 0, 0);
    rig_sync(rig);
    assert_int_equal(rig->result.rc, MW_OK);
    mw_seq first = rig->result.first;
    assert_true(mw_str_is(rig->result.trace_wire_id, "mine"));
    (void)rig_do(rig, MW_REQ_RESUME_TRACE, body, 0, 0);
    rig_crash(rig, rig->durable);
    (void)rig_step(rig, MW_REQ_PAUSE_TRACE, body, id, 0, 0);
    assert_true(rig->result.duplicate);
    assert_int_equal(rig->result.first, first);
    assert_true(mw_str_is(rig->result.trace_wire_id, "mine"));
    assert_false(mw_world_trace(&rig->core.world, rig->result.trace)->paused);
    rig_free(rig);
}

static void P05_an_id_older_than_the_window_is_never_run(void **state)
{
    struct rig *rig = begin("small");
    char id[40];
    (void)state;
    uuid_at(id, rig->now_us - MW_REMEMBERED_US - 2000, 1);
    (void)rig_step(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\"}", id, 0, 0);
    assert_int_equal(rig->result.rc, MW_E_TIMEOUT);
    uuid_at(id, rig->now_us - MW_REMEMBERED_US + 2000, 1);
    (void)rig_step(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\"}", id, 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
    rig_free(rig);
}

static void P05_a_refusal_is_not_remembered(void **state)
{
    struct rig *rig = begin("small");
    char id[40];
    (void)state;
    uuid_at(id, rig->now_us, 1);
    (void)rig_step(rig, MW_REQ_REMOVE_AGENT, "{\"agentId\":\"late-comer\"}", id, 0, 0);
    assert_int_equal(rig->result.rc, MW_E_MISSING);
    (void)rig_do(rig, MW_REQ_REGISTER_AGENT,
                 "{\"agent\":{\"agent_id\":\"late-comer\",\"agent_type\":\"Late "
                 "Comer\",\"skills\":[\"BakeBread\"],\"backend\":{\"kind\":\"human\"}}}",
                 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
    (void)rig_step(rig, MW_REQ_REMOVE_AGENT, "{\"agentId\":\"late-comer\"}", id, 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
    rig_free(rig);
}

static struct rig_run next_due(const struct rig *rig)
{
    struct rig_run next = {0};
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].due_us > 0 && (next.due_us == 0 || rig->runs[i].due_us < next.due_us))
            next = rig->runs[i];
    return next;
}

static bool ring_next(struct rig *rig)
{
    struct rig_run next = next_due(rig);
    if (next.seq == 0)
        return false;
    rig->now_us = next.due_us > rig->now_us ? next.due_us : rig->now_us;
    (void)rig_do(rig, MW_REQ_RING_TIMER, NULL, 0, next.seq);
    assert_int_equal(rig->result.rc, MW_OK);
    return true;
}

/* Of the `waits` policy: a second, three times as long each time, five at the most; up to a quarter more between attempts. */
static void FH05_waits_grow_up_to_the_cap(void **state)
{
    static const int64_t waits_us[] = {1000000, 3000000, 5000000, 5000000};
    static const char ask[] =
        "{\"coordinator\":\"SockCoordinator\",\"payload\":{\"name\":\"left\"}}";
    struct rig *rig = begin("waits");
    int64_t more_us = 0;
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, ask, 0, 0);
    for (size_t i = 0; i < MW_COUNT(waits_us); i++) {
        struct rig_run attempt = *run_that(rig, MW_OPENS_AGENT);
        (void)rig_do(rig, MW_REQ_RECORD_FAILURE, "{\"class\":\"crash\",\"message\":\"x\"}",
                     attempt.item, attempt.seq);
        struct rig_run wait = next_due(rig);
        assert_in_range(wait.due_us - rig->now_us, waits_us[i], waits_us[i] + waits_us[i] / 4);
        more_us += wait.due_us - rig->now_us - waits_us[i];
        assert_true(ring_next(rig));
    }
    assert_true(more_us > 0); /* else whoever failed together would come back together */
    rig_free(rig);
    rig = begin("waits");
    (void)rig_do(rig, MW_REQ_REMOVE_AGENT, "{\"agentId\":\"knitter\"}", 0, 0);
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, ask, 0, 0);
    for (size_t i = 0; i < MW_COUNT(waits_us); i++) {
        struct rig_run wait = next_due(rig);
        assert_int_equal(wait.due_us - rig->now_us, waits_us[i]);
        assert_true(ring_next(rig));
    }
    rig_free(rig);
}

/* Definitions that the host lost: everything ends by records, nothing crashes, and a cancel still works. */
static void missing_definitions_are_events_and_no_crash(void **state)
{
    struct rig *rig = begin("mixed");
    char body[200];
    (void)state;
    (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"a\"}", 0, 0);
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"TalkItOver\",\"prompt\":\"b\"}", 0,
                 0);
    (void)rig_do(rig, MW_REQ_START_LONE_UNIT, "{\"skill\":\"FillHole\",\"payload\":{}}", 0, 0);
    for (unsigned i = 0; i < 3; i++)
        (void)rig_do(
            rig, MW_REQ_START_LONE_COORDINATOR,
            "{\"coordinator\":\"SiteCoordinator\",\"payload\":{\"site\":\"x\",\"paint\":true,"
            "\"ask\":false,\"holes\":[{\"name\":\"a\",\"domain\":\"Gardens\"},{\"name\":\"b\","
            "\"domain\":\"Gardens\"}]}}",
            0, 0);
    uint32_t catalogues = rig->catalogue_count;
    rig->quiet_dump = true; /* the oracle of limits looks into definitions */
    rig->steps_looked_at = 1;
    rig->catalogue_count = 0;
    (void)rig_do(rig, MW_REQ_START_LONE_UNIT, "{\"skill\":\"FillHole\",\"payload\":{}}", 0, 0);
    assert_int_not_equal(rig->result.rc, MW_OK);
    for (unsigned turn = 0; turn < 40; turn++) {
        bool answered = false;
        for (uint32_t i = 0; i < rig->run_count && !answered && turn % 3 != 0; i++)
            if (rig->runs[i].opens == MW_OPENS_AGENT) {
                (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                             "{\"type\":\"HoleDug\",\"payload\":{\"x\":1}}", rig->runs[i].item,
                             rig->runs[i].seq);
                answered = true;
            }
        if (!answered && !ring_next(rig))
            break;
        rig->steps_looked_at = 1;
    }
    while (rig->core.world.traces.count > 0) {
        const struct mw_trace *trace = NULL;
        for (uint32_t i = 0; trace == NULL; i++)
            trace = mw_table_at(&rig->core.world.traces, i);
        snprintf(body, sizeof body, "{\"traceId\":\"%.*s\"}", MW_STR_ARG(trace->wire_id));
        (void)rig_do(rig, MW_REQ_CANCEL_TRACE, body, 0, 0);
        rig->steps_looked_at = 1;
    }
    rig_crash(rig, rig->durable); /* replay needs no definitions at all */
    oracle_memory(rig);
    rig->catalogue_count = catalogues;
    rig_free(rig);
}

static void a_journal_that_cannot_be_is_refused(void **state)
{
    struct rig *rig = begin("small");
    struct mw_err err;
    (void)state;
    struct mw_str line = rig_line(rig, 2);
    assert_int_equal(mw_core_replay(&rig->core, line, &err), MW_E_CORRUPT); /* again */
    rig_init_core(rig, &rig->core, 0);
    assert_int_equal(mw_core_replay(&rig->core, line, &err), MW_E_CORRUPT); /* a gap before it */
    assert_int_equal(mw_core_replay(&rig->core, MW_STR("{\"kind\":\"no.such\",\"seq\":1}"), &err),
                     MW_E_CORRUPT);
    assert_int_equal(rig->core.world.last_seq, 0);
    rig_free(rig);
}

/* Of three that wait for one agent, the one of the trace with the higher priority is first. */
static void priority_decides_who_is_next(void **state)
{
    struct rig *rig = begin("mixed");
    static const char *const priorities[] = {"low", "normal", "high"};
    char body[200];
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_UNIT, "{\"skill\":\"CheckWork\",\"payload\":{}}", 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(body, sizeof body,
                 "{\"skill\":\"CheckWork\",\"payload\":{},\"priority\":\"%s\",\"traceId\":\"%s\"}",
                 priorities[i], priorities[i]);
        (void)rig_do(rig, MW_REQ_START_LONE_UNIT, body, 0, 0);
    }
    for (unsigned i = 3; i > 0; i--) {
        struct rig_run run = {0};
        for (uint32_t r = 0; r < rig->run_count; r++)
            if (rig->runs[r].opens == MW_OPENS_AGENT)
                run = rig->runs[r];
        (void)rig_do(rig, MW_REQ_RECORD_RESULT, "{\"type\":\"WorkChecked\",\"payload\":{}}",
                     run.item, run.seq);
        struct mw_str last = rig_line(rig, rig->line_count - 1);
        snprintf(body, sizeof body, "\"traceId\":\"%s\"", priorities[i - 1]);
        if (memmem(last.ptr, last.len, body, strlen(body)) == NULL)
            fail_msg("%s was not next: %.*s", priorities[i - 1], MW_STR_ARG(last));
    }
    rig_free(rig);
}

/* A definition that goes in circles ends with words instead of filling the disk. */
static void a_coordinator_that_goes_in_circles_is_halted(void **state)
{
    struct rig *rig = begin("circle");
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR,
                 "{\"coordinator\":\"RoundCoordinator\",\"payload\":{\"name\":\"round\"}}", 0, 0);
    struct rig_run run = {0};
    for (uint32_t r = 0; r < rig->run_count; r++)
        if (rig->runs[r].opens == MW_OPENS_AGENT)
            run = rig->runs[r];
    assert_int_not_equal(run.seq, 0);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT, "{\"type\":\"WheelSpun\",\"payload\":{\"stop\":false}}",
                 run.item, run.seq);
    bool halted = false;
    for (size_t i = 0; i < rig->line_count; i++) {
        struct mw_str line = rig_line(rig, i);
        halted = halted || (memmem(line.ptr, line.len, "CoordinatorHalted", 17) != NULL &&
                            memmem(line.ptr, line.len, "limit transitions (256)", 23) != NULL);
    }
    assert_true(halted);
    assert_int_equal(rig->core.world.traces.count, 0);
    rig_free(rig);
}

/* One that starts itself again inside is no deeper than coordinators may be. */
static void a_coordinator_inside_itself_is_halted(void **state)
{
    struct rig *rig = begin("circle");
    uint32_t started = 0, halted = 0;
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR,
                 "{\"coordinator\":\"NestCoordinator\",\"payload\":{\"name\":\"nest\"}}", 0, 0);
    for (size_t i = 0; i < rig->line_count; i++) {
        struct mw_str line = rig_line(rig, i);
        started += memmem(line.ptr, line.len, "coordinator.started", 19) != NULL;
        halted += memmem(line.ptr, line.len, "CoordinatorHalted", 17) != NULL &&
                  memmem(line.ptr, line.len, "limit nesting (8)", 17) != NULL;
    }
    assert_int_equal(started, 9);
    assert_int_equal(halted, 1);
    assert_int_equal(rig->core.world.traces.count, 0);
    rig_free(rig);
}

static void expect_in_dump(const struct rig *rig, const char *words)
{
    struct mw_buf dump = mw_heap_buf();
    mw_core_dump(&rig->core, &dump);
    if (memmem(dump.ptr, dump.len, words, strlen(words)) == NULL)
        fail_msg("'%s' is not in the state:\n%.*s", words, (int)dump.len, dump.ptr);
    mw_heap_buf_free(&dump);
}

/* What is decided by later is in the state hash: who may not be asked again, and which list a group goes through. */
static void P16_the_state_hash_sees_what_is_decided_by(void **state)
{
    struct rig *rig = begin("small");
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_UNIT,
                 "{\"skill\":\"BakeBread\",\"payload\":{\"kind\":\"rye\"}}", 0, 0);
    struct rig_run attempt = *run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_FAILURE,
                 "{\"class\":\"tool\",\"message\":\"x\",\"retryable\":false}", attempt.item,
                 attempt.seq);
    expect_in_dump(rig, " excluded=1:0");
    rig_free(rig);
    rig = begin("small");
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR,
                 "{\"coordinator\":\"BatchCoordinator\",\"payload\":{\"name\":\"b\","
                 "\"loaves\":[{\"kind\":\"rye\"},{\"kind\":\"oat\"}]}}",
                 0, 0);
    expect_in_dump(rig, " row=0:");
    rig_free(rig);
}

/* P07: MakePlan may take an hour. While its agents and people answer in time it goes on until then, and not longer. */
static void P07_a_run_has_the_time_that_its_workflow_says(void **state)
{
    static const int64_t hour_us = (int64_t)3600 * 1000000;
    struct rig *rig = begin("gate");
    (void)state;
    int64_t started_us = rig->now_us;
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"MakePlan\"}", 0, 0);
    struct rig_run last = {0};
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].opens == MW_OPENS_TIMER)
            last = rig->runs[i];
    assert_int_equal(last.due_us, started_us + hour_us);
    rig->now_us = last.due_us - 1;
    (void)rig_do(rig, MW_REQ_RING_TIMER, NULL, 0, last.seq);
    assert_int_equal(rig->core.world.traces.count, 1); /* a moment before */
    rig_crash(rig, rig->durable);
    rig->now_us = last.due_us;
    (void)rig_do(rig, MW_REQ_RING_TIMER, NULL, 0, last.seq);
    assert_int_equal(rig->core.world.traces.count, 0);
    rig_free(rig);
}

/* 1,000 groups of three, two of which are enough; their results come mixed, from all of them at once. */
static void TG07_a_group_is_released_once_however_its_results_come(void **state)
{
    enum { GROUPS = 1000 };
    struct rig *rig = begin("small");
    const struct rig_shape shape = {0};
    char body[120];
    size_t released = 0;
    (void)state;
    for (unsigned i = 0; i < GROUPS; i++) {
        snprintf(body, sizeof body,
                 "{\"coordinator\":\"VoteCoordinator\",\"payload\":{\"name\":\"rye%u\"}}", i);
        (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, body, 0, 0);
    }
    for (;;) {
        uint32_t waiting[4096], count = 0;
        for (uint32_t r = 0; r < rig->run_count && count < MW_COUNT(waiting); r++)
            if (rig->runs[r].opens == MW_OPENS_AGENT)
                waiting[count++] = r;
        if (count == 0)
            break;
        struct rig_run run = rig->runs[waiting[rig_below(rig, count)]];
        const char *answer = rig_good_body(rig, rig_task(rig, run.item), &shape);
        (void)rig_do(rig, MW_REQ_RECORD_RESULT, answer, run.item, run.seq);
    }
    for (size_t i = 0; i < rig->line_count; i++) {
        struct mw_str line = rig_line(rig, i);
        released += memmem(line.ptr, line.len, "\"type\":\"TaskGroupCompleted\"", 27) != NULL;
    }
    assert_int_equal(released, GROUPS);
    assert_int_equal(rig->core.world.traces.count, 0);
    rig_free(rig);
}

static enum mw_rc remember(struct rig *rig, int bytes)
{
    char body[8192];
    snprintf(body, sizeof body, "{\"text\":\"%0*d\"}", bytes, 7);
    (void)rig_step(rig, MW_REQ_ADD_MEMORY, body, NULL, 0, 0);
    return rig->result.rc;
}

static void forget_oldest(struct rig *rig)
{
    char body[64];
    snprintf(body, sizeof body, "{\"id\":%lu}", (unsigned long)rig->core.memory.entries[0].id);
    (void)rig_do(rig, MW_REQ_REMOVE_MEMORY, body, 0, 0);
}

static void PS10_what_is_remembered_has_limits(void **state)
{
    struct rig *rig = begin("small");
    (void)state;
    rig->quiet_dump = true; /* the whole state is long here: looked at now and then */
    assert_int_equal(remember(rig, 4097), MW_E_LIMIT);
    for (int i = 0; i < 16; i++)
        assert_int_equal(remember(rig, 4096), MW_OK);
    assert_int_equal(remember(rig, 1), MW_E_LIMIT); /* 64 KiB together */
    forget_oldest(rig);
    assert_int_equal(remember(rig, 4096), MW_OK);
    while (rig->core.memory.count > 0)
        forget_oldest(rig);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(remember(rig, 10), MW_OK);
    assert_int_equal(remember(rig, 10), MW_E_LIMIT);
    forget_oldest(rig);
    assert_int_equal(remember(rig, 10), MW_OK);
    rig_free(rig);
}

/* More of them than a walk through a queue tries: who is paused is not tried, and holds nobody behind it. */
static void whoever_is_paused_holds_nobody_behind(void **state)
{
    enum { FLOWS = 40 };
    struct rig *rig = begin("small");
    char body[200], name[40];
    (void)state;
    for (unsigned i = 0; i < FLOWS; i++) {
        snprintf(body, sizeof body,
                 "{\"coordinator\":\"StoneCoordinator\",\"traceId\":\"flow-%u\","
                 "\"payload\":{\"name\":\"stone\"}}",
                 i);
        (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, body, 0, 0);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    }
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], 1); /* the one carver has one */
    for (unsigned i = 1; i < FLOWS - 1; i++) {
        snprintf(body, sizeof body, "{\"traceId\":\"flow-%u\"}", i);
        (void)rig_do(rig, MW_REQ_PAUSE_TRACE, body, 0, 0);
    }
    const struct rig_run *first = run_that(rig, MW_OPENS_AGENT);
    assert_non_null(first);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT, "{\"type\":\"StoneCarved\",\"payload\":{}}",
                 first->item, first->seq);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], 2);
    struct mw_str last = rig_line(rig, rig->line_count - 1);
    snprintf(name, sizeof name, "\"traceId\":\"flow-%u\"", FLOWS - 1);
    if (memmem(last.ptr, last.len, name, strlen(name)) == NULL)
        fail_msg("the last was not next: %.*s", MW_STR_ARG(last));
    rig_free(rig);
}

/* The oldest gives way to each further one; the others can be put back, also after a restart. */
static void P08_the_newest_1024_dead_letters_can_be_put_back(void **state)
{
    enum { MORE = 40 };
    struct rig *rig = begin("gate");
    static mw_seq tasks[MW_LETTERS_MAX + MORE];
    uint32_t count = 0, failed = 0;
    (void)state;
    rig->quiet_dump = true;
    while (count < MW_COUNT(tasks)) {
        const struct rig_run *run = run_that(rig, MW_OPENS_AGENT);
        if (run == NULL) {
            (void)rig_do(rig, MW_REQ_START_LONE_UNIT, "{\"skill\":\"CheckSite\",\"payload\":{}}", 0,
                         0);
            RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
            continue;
        }
        tasks[count] = run->item;
        (void)rig_do(rig, MW_REQ_RECORD_FAILURE,
                     "{\"class\":\"tool\",\"message\":\"no lamp\",\"retryable\":false}", run->item,
                     run->seq);
        count = ++failed / 2; /* the first try of each repair is no dead letter */
        assert_int_equal(rig->kind_count[MW_EVT_TASK_DEAD], count);
    }
    for (unsigned life = 0; life < 2; life++) {
        for (uint32_t i = 0; i < count; i++)
            if ((mw_work_letter(&rig->core.work, tasks[i]) != NULL) != (i >= MORE))
                fail_msg("of %u dead letters, number %u %s", count, i + 1,
                         i < MORE ? "is still there" : "is gone");
        rig_crash(rig, rig->durable);
    }
    (void)rig_do(rig, MW_REQ_REPLAY_TASK, "{\"payload\":{}}", tasks[MORE - 1], 0);
    assert_int_equal(rig->result.rc, MW_E_MISSING);
    (void)rig_do(rig, MW_REQ_REPLAY_TASK, "{\"payload\":{}}", tasks[MORE], 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    rig_free(rig);
}

/* What an agent is given is of its own scope and of the whole trace, oldest first; of other coordinators nothing. */
static void a_task_is_given_what_is_in_its_scope(void **state)
{
    enum { MINE = 5, OTHER = 7 };
    struct mw_fact facts[] = {
        {.seq = 10, .scope = 0, .type = MW_STR("Drawn"), .files_sha256 = MW_STR("aa")},
        {.seq = 11, .scope = MINE, .type = MW_STR("Drawn"), .files_sha256 = MW_STR("bb")},
        {.seq = 12, .scope = OTHER, .type = MW_STR("Drawn"), .files_sha256 = MW_STR("cc")},
        {.seq = 13, .scope = MINE, .type = MW_STR("Drawn")},
        {.seq = 14, .scope = MINE, .type = MW_STR("Built"), .files_sha256 = MW_STR("dd")},
        {.seq = 15, .scope = 0, .type = MW_STR("Built")},
        {.seq = 16, .scope = OTHER, .type = MW_STR("Built"), .files_sha256 = MW_STR("ee")},
    };
    static const struct {
        const char *what;
        mw_seq scope;
        const char *type; /* "": whatever has files */
        mw_seq given[8];
    } rows[] = {
        {"files of a scope", MINE, "", {10, 11, 14}},
        {"files of another", OTHER, "", {10, 12, 16}},
        {"files of no coordinator", 0, "", {10}},
        {"files of a whole trace", MW_SCOPE_TRACE, "", {10, 11, 12, 14, 16}},
        {"words of a type", MINE, "Drawn", {10, 11, 13}},
        {"words of another type", MINE, "Built", {14, 15}},
        {"words of a type, of the trace", MW_SCOPE_TRACE, "Built", {14, 15, 16}},
        {"words of nobody", MINE, "Painted", {0}},
    };
    struct mw_trace trace = {.newest_fact = &facts[MW_COUNT(facts) - 1]};
    (void)state;
    for (size_t i = 1; i < MW_COUNT(facts); i++)
        facts[i].older = &facts[i - 1];
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const struct mw_fact *given[8] = {NULL};
        uint32_t count = mw_work_facts(&trace, rows[i].scope, mw_str_of(rows[i].type), given, 8);
        for (uint32_t n = 0; n < 8; n++)
            if ((n < count ? given[n]->seq : 0) != rows[i].given[n])
                fail_msg("%s: number %u is fact %lu, not %lu", rows[i].what, n + 1,
                         n < count ? given[n]->seq : 0, rows[i].given[n]);
        const struct mw_fact *first = NULL;
        assert_int_equal(mw_work_facts(&trace, rows[i].scope, mw_str_of(rows[i].type), &first, 1),
                         count);
        assert_ptr_equal(first, given[0]);
        assert_int_equal(mw_work_facts(&trace, rows[i].scope, mw_str_of(rows[i].type), NULL, 0),
                         count);
    }
}

static void putting_back_is(struct rig *rig, mw_seq task, struct mw_str inputs, enum mw_rc expected)
{
    char body[2000];
    snprintf(body, sizeof body, "{\"payload\":{}%s%.*s}", inputs.len > 0 ? ",\"inputs\":" : "",
             MW_STR_ARG(inputs));
    (void)rig_do(rig, MW_REQ_REPLAY_TASK, body, task, 0);
    if (rig->result.rc != expected)
        fail_msg("put back with %.*s it is %s: %.*s", MW_STR_ARG(inputs),
                 mw_rc_name(rig->result.rc), MW_STR_ARG(rig->result.refusal));
}

/* A task that was given files goes back with just these, and once, whenever the host was started again. */
static void P08_a_dead_letter_goes_back_with_what_it_had_and_once(void **state)
{
    struct rig *rig = begin("gate");
    const struct rig_run *run;
    char body[500];
    struct mw_event dead = {.kind = MW_EVENT_COUNT};
    struct mw_err err;
    (void)state;
    (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"a gate\"}", 0, 0);
    run = run_that(rig, MW_OPENS_AGENT);
    snprintf(body, sizeof body,
             "{\"type\":\"PlanSketched\",\"payload\":{\"app\":\"gate\"},\"payloadSha256\":\"%.*s\","
             "\"filesSha256\":\"00ff\"}",
             MW_STR_ARG(rig_keep_document(rig, MW_STR("{\"app\":\"gate\"}"))));
    (void)rig_do(rig, MW_REQ_RECORD_RESULT, body, run->item, run->seq);
    run = run_that(rig, MW_OPENS_STAGE);
    (void)rig_do(rig, MW_REQ_RECORD_STAGE, rig_stage_body(), run->item, run->seq);
    run = run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_FAILURE,
                 "{\"class\":\"tool\",\"message\":\"no lamp\",\"retryable\":false}", run->item,
                 run->seq);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DEAD], 1);
    for (size_t i = 0; i < rig->line_count && dead.kind != MW_EVT_TASK_DEAD; i++)
        assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, i), &dead, &err), MW_OK);
    struct mw_str inputs = mw_arena_copy(&rig->definitions, dead.inputs);
    mw_seq task = dead.item;
    assert_true(inputs.len > 2);
    for (unsigned life = 0; life < 2; life++) {
        putting_back_is(rig, task, MW_STR_NONE, MW_E_INPUT);
        putting_back_is(rig, task, MW_STR("[]"), MW_E_INPUT);
        struct mw_str other = mw_arena_copy(&rig->definitions, inputs);
        ((char *)(uintptr_t)other.ptr)[mw_str_find(other, 'f', other.len - 8)] = 'e';
        putting_back_is(rig, task, other, MW_E_INPUT);
        rig_crash(rig, rig->durable);
    }
    expect_in_dump(rig, " inputs="); /* it is decided by them: in the state hash (P16) */
    putting_back_is(rig, task, inputs, MW_OK);
    snprintf(body, sizeof body, " letter=%lu", (unsigned long)task);
    expect_in_dump(rig, body);
    for (unsigned life = 0; life < 2; life++) {
        putting_back_is(rig, task, inputs, MW_E_CONFLICT);
        rig_crash(rig, rig->durable);
    }
    rig_free(rig);
}

/* P15: a name stands for one trace, also when that is over, and wherever either of them comes from. */
static void P15_a_name_is_given_once(void **state)
{
    static const char *const bodies[] = {
        "{\"workflow\":\"MakePlan\",\"traceId\":\"mine\"}",
        "{\"workflow\":\"MakePlan\",\"traceId\":\"mine\",\"parentTraceId\":\"yours\"}"};
    (void)state;
    for (size_t first = 0; first < MW_COUNT(bodies); first++) {
        struct rig *rig = begin("gate");
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, bodies[first], 0, 0);
        assert_int_equal(rig->result.rc, MW_OK);
        for (unsigned life = 0; life < 4; life++) {
            for (size_t i = 0; i < MW_COUNT(bodies); i++) {
                (void)rig_do(rig, MW_REQ_START_LONE_RUN, bodies[i], 0, 0);
                if (rig->result.rc != MW_E_CONFLICT)
                    fail_msg("given again, in life %u: %s", life + 1, bodies[i]);
            }
            if (life == 1)
                (void)rig_do(rig, MW_REQ_CANCEL_TRACE, "{\"traceId\":\"mine\"}", 0, 0);
            assert_int_equal(rig->core.world.traces.count, life == 0);
            rig_crash(rig, rig->durable);
        }
        rig_free(rig);
    }
}

/* P15: nor is a name taken that the journal itself will give, or has given, to something. */
static void P15_a_name_of_the_journals_own_form_is_refused(void **state)
{
    static const struct {
        const char *start;
        bool with_journal; /* start-JOURNAL-end, else start-end */
        const char *end;
        enum mw_rc rc;
    } rows[] = {
        {"tr", true, "40", MW_E_INPUT},  {"b", true, "7", MW_E_INPUT},
        {"m", true, "1", MW_E_INPUT},    {"my-tr", true, "007", MW_E_INPUT},
        {"tr", false, "40", MW_OK},      {"tr", true, "x", MW_OK},
        {"tr", true, "40x", MW_OK},      {"tr", true, "", MW_OK},
        {"workspace", false, "", MW_OK}, {"tr-000000", false, "40", MW_OK},
    };
    struct rig *rig = begin("small");
    char body[200];
    (void)state;
    struct mw_str journal = rig->core.world.journal_id;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        snprintf(body, sizeof body, "{\"workflow\":\"BakeOnce\",\"traceId\":\"%s-%.*s%s%s\"}",
                 rows[i].start, rows[i].with_journal ? (int)journal.len : 0, journal.ptr,
                 rows[i].with_journal ? "-" : "", rows[i].end);
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, body, 0, 0);
        if (rig->result.rc != rows[i].rc)
            fail_msg("%s: %d", body, (int)rig->result.rc);
    }
    (void)rig_do(rig, MW_REQ_START_LONE_RUN,
                 "{\"workflow\":\"BakeOnce\",\"traceId\":\"workspace\"}", 0, 0);
    assert_int_equal(rig->result.rc, MW_E_INPUT);
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\",\"traceId\":\"40\"}", 0,
                 0);
    assert_int_equal(rig->result.rc, MW_OK);
    /* One that it has given is in use, as any other would be. */
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\"}", 0, 0);
    snprintf(body, sizeof body, "{\"workflow\":\"BakeOnce\",\"traceId\":\"%.*s\"}",
             MW_STR_ARG(rig->result.trace_wire_id));
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, body, 0, 0);
    assert_int_equal(rig->result.rc, MW_E_CONFLICT);
    rig_free(rig);
}

/* P03: what stands in a good frame and is no record that can be applied is damage, named by its number, and changes nothing. */
static void P03_a_record_that_cannot_be_read_is_damage_and_is_named(void **state)
{
    static const char *const lines[] = {
        "{\"kind\":\"trace.opened\",\"seq\":",
        "{\"kind\":\"trace.opened\",\"seq\":\"\\ud800\"}",
        "{\"kind\":\"bread.baked\",\"seq\":1}",
        "{\"kind\":\"trace.opened\",\"seq\":1,\"seq\":1}",
        "[]",
    };
    struct rig *rig = begin("small");
    char named[40];
    (void)state;
    mw_seq last = rig->core.world.last_seq;
    snprintf(named, sizeof named, "record %lu: ", (unsigned long)last + 1);
    for (size_t i = 0; i < MW_COUNT(lines); i++) {
        struct mw_err err = {0};
        enum mw_rc rc = mw_core_replay(&rig->core, mw_str_of(lines[i]), &err);
        if (rc != MW_E_CORRUPT || strncmp(err.text, named, strlen(named)) != 0)
            fail_msg("%s: %d, %s", lines[i], (int)rc, err.text);
        assert_int_equal(rig->core.world.last_seq, last);
    }
    rig_free(rig);
}

/* The shortest journey: registered and staged in one step. */
static void a_journey_of_one_step_is_staged_under_its_apps_id(void **state)
{
    struct rig *rig = begin("gate");
    char path[100];
    struct mw_event event;
    struct mw_err err;
    (void)state;
    (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"a gate\"}", 0, 0);
    const struct rig_run *run = run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                 rig_result_body(rig, MW_STR("PlanSketched"), MW_STR("{\"app\":\"gate\"}")),
                 run->item, run->seq);
    mw_seq staged = run_that(rig, MW_OPENS_STAGE)->seq;
    assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, staged - 1), &event, &err),
                     MW_OK);
    snprintf(path, sizeof path, "generated/apps/gate/%.*s/app", MW_STR_ARG(event.build_id));
    assert_true(mw_str_is(event.app_id, "gate") && mw_str_is(event.path, path));
    rig_free(rig);
}

/* P06 P12: what was done for an earlier promotion says nothing about the one on its way. */
static void P12_the_end_of_an_earlier_promotion_is_not_that_of_the_next(void **state)
{
    static const char *const done = "{\"sha256\":\"00ff\",\"root\":\"app\",\"target\":\"app\"}";
    static const char *const failed =
        "{\"error\":\"the app root was edited\",\"class\":\"conflict\",\"target\":\"app\"}";
    struct rig *rig = begin("gate");
    (void)state;
    accept_version(rig, "a gate");
    (void)rig_do(rig, MW_REQ_PROMOTE, "{}", 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    mw_seq earlier = run_that(rig, MW_OPENS_STAGE)->seq;
    (void)rig_do(rig, MW_REQ_RECORD_PROMOTION, failed, 0, earlier);
    assert_int_equal(rig->kind_count[MW_EVT_PROMOTION_FAILED], 1);
    (void)rig_do(rig, MW_REQ_PROMOTE, "{\"mode\":\"discard-edits\"}", 0, 0);
    for (unsigned life = 0; life < 2; life++) {
        mw_seq now = run_that(rig, MW_OPENS_STAGE)->seq;
        assert_int_not_equal(now, earlier);
        (void)rig_do(rig, MW_REQ_RECORD_PROMOTION, done, 0, earlier);
        assert_int_equal(rig->result.rc, MW_E_CONFLICT);
        (void)rig_do(rig, MW_REQ_RECORD_PROMOTION, failed, 0, 0);
        assert_int_equal(rig->result.rc, MW_E_CONFLICT);
        assert_int_equal(rig->core.session.promotion, now);
        rig_crash(rig, rig->durable);
    }
    (void)rig_do(rig, MW_REQ_RECORD_PROMOTION, done, 0, run_that(rig, MW_OPENS_STAGE)->seq);
    assert_int_equal(rig->result.rc, MW_OK);
    assert_int_equal(rig->core.session.promoted, 1);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P05_a_request_is_done_once_over_restarts),
        cmocka_unit_test(who_names_no_trace_cancels_none),
        cmocka_unit_test(P05_what_was_so_already_is_remembered),
        cmocka_unit_test(P05_an_id_older_than_the_window_is_never_run),
        cmocka_unit_test(P05_a_refusal_is_not_remembered),
        cmocka_unit_test(FH05_waits_grow_up_to_the_cap),
        cmocka_unit_test(missing_definitions_are_events_and_no_crash),
        cmocka_unit_test(a_journal_that_cannot_be_is_refused),
        cmocka_unit_test(priority_decides_who_is_next),
        cmocka_unit_test(whoever_is_paused_holds_nobody_behind),
        cmocka_unit_test(P08_the_newest_1024_dead_letters_can_be_put_back),
        cmocka_unit_test(a_task_is_given_what_is_in_its_scope),
        cmocka_unit_test(P08_a_dead_letter_goes_back_with_what_it_had_and_once),
        cmocka_unit_test(P15_a_name_is_given_once),
        cmocka_unit_test(P15_a_name_of_the_journals_own_form_is_refused),
        cmocka_unit_test(a_journey_of_one_step_is_staged_under_its_apps_id),
        cmocka_unit_test(P03_a_record_that_cannot_be_read_is_damage_and_is_named),
        cmocka_unit_test(P12_the_end_of_an_earlier_promotion_is_not_that_of_the_next),
        cmocka_unit_test(a_coordinator_that_goes_in_circles_is_halted),
        cmocka_unit_test(a_coordinator_inside_itself_is_halted),
        cmocka_unit_test(P07_a_run_has_the_time_that_its_workflow_says),
        cmocka_unit_test(P16_the_state_hash_sees_what_is_decided_by),
        cmocka_unit_test(PS10_what_is_remembered_has_limits),
        cmocka_unit_test(TG07_a_group_is_released_once_however_its_results_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
