/*
 * test_letters.c - P06 P08: a dead letter that is put back is the task that it was: with the result that it was asked for, and in the place where
 * it stood, on which it depends what it may write. What an attempt said is kept, also when it came too late.
 */
#include "core_runs.h"

static const char failure[] = "{\"class\":\"tool\",\"message\":\"no saw\",\"retryable\":false,"
                              "\"evidence\":{\"exit\":3,\"stderr\":\"no saw\"},"
                              "\"inputSha256\":\"cc33\"}";

/* The newest record of a kind. */
static struct mw_event newest(struct rig *rig, enum mw_event_kind kind)
{
    struct mw_event event = {.kind = MW_EVENT_COUNT};
    struct mw_err err;
    for (size_t i = rig->line_count; i > 0 && event.kind != kind; i--)
        assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, i - 1), &event, &err),
                         MW_OK);
    assert_int_equal(event.kind, kind);
    return event;
}

/* The newest one goes back as its record says. */
static void put_back(struct rig *rig, enum mw_rc expected)
{
    const struct mw_event dead = newest(rig, MW_EVT_TASK_DEAD);
    char body[4000];
    snprintf(body, sizeof body, "{\"payload\":%.*s%s%.*s}", MW_STR_ARG(dead.task_payload),
             dead.inputs.len > 0 ? ",\"inputs\":" : "", MW_STR_ARG(dead.inputs));
    (void)rig_do(rig, MW_REQ_REPLAY_TASK, body, dead.item, 0);
    if (rig->result.rc != expected)
        fail_msg("%s: %.*s", mw_rc_name(rig->result.rc), MW_STR_ARG(rig->result.refusal));
}

static const struct rig_run *asked(const struct rig *rig)
{
    const struct rig_run *run = run_that(rig, MW_OPENS_AGENT);
    assert_non_null(run);
    return run;
}

static void P08_a_dead_letter_is_asked_for_the_result_that_it_was(void **state)
{
    static const char *const rows[][2] = {{"MakeIt", "ThingMade"}, {"MendIt", "ThingMended"}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct rig *rig = begin("letters");
        char body[120];
        snprintf(body, sizeof body, "{\"workflow\":\"%s\"}", rows[i][0]);
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, body, 0, 0);
        for (unsigned times = 0; times < 2; times++) {
            const struct rig_run *run = asked(rig);
            struct mw_str expects = rig_task_def(rig, rig_task(rig, run->item))->expects[0];
            if (!mw_str_is(expects, rows[i][1]))
                fail_msg("%s: %.*s is expected", rows[i][0], MW_STR_ARG(expects));
            (void)rig_do(rig, MW_REQ_RECORD_FAILURE, failure, run->item, run->seq);
            rig_crash(rig, rig->durable);
            if (times == 0)
                put_back(rig, MW_OK);
        }
        /* By later definitions too, and where nothing asks for that result any more it stays where it is. */
        char sha256[MW_SHA256_HEX];
        mw_sha256_hex(MW_STR("letters_later"), sha256);
        (void)rig_load(rig, "letters_later");
        snprintf(body, sizeof body, "{\"sha256\":\"%s\"}", sha256);
        (void)rig_do(rig, MW_REQ_LOAD_DEFINITION, body, 0, 0);
        assert_int_equal(rig->result.rc, MW_OK);
        put_back(rig, i == 0 ? MW_OK : MW_E_CONFIG);
        rig_free(rig);
    }
}

static void may_write(struct rig *rig, const struct rig_run *run, const char *wanted)
{
    struct mw_task_needs needs;
    struct mw_str why;
    mw_arena_reset(&rig->body);
    if (!mw_work_needs(&rig->core.world, &rig->core.work, &rig->body, run->item, &needs, &why))
        fail_msg("%.*s", MW_STR_ARG(why));
    assert_int_equal(needs.owns_count, 1);
    if (!mw_str_is(needs.owns[0], wanted))
        fail_msg("it may write %.*s, not %s", MW_STR_ARG(needs.owns[0]), wanted);
}

static void start_parts(struct rig *rig, uint32_t count)
{
    struct mw_buf body = mw_heap_buf();
    mw_buf_put_z(&body, "{\"coordinator\":\"PartsCoordinator\",\"payload\":{\"name\":\"gate\","
                        "\"parts\":[");
    for (uint32_t i = 0; i < count; i++)
        mw_buf_put_z(&body, i > 0 ? ",{\"kind\":\"hinge\"}" : "{\"kind\":\"hinge\"}");
    mw_buf_put_z(&body, "]}}");
    mw_buf_put_c(&body, '\0');
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR, body.ptr, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    mw_heap_buf_free(&body);
}

static void P08_a_dead_letter_stands_where_it_stood(void **state)
{
    (void)state;
    for (unsigned in_record = 0; in_record < 2; in_record++) { /* the request that it is made of */
        struct rig *rig = begin("letters");
        rig->small_in_record = in_record == 1;
        mw_seq before = 0;
        start_parts(rig, 1);
        for (unsigned times = 0; times < 3; times++) {
            const struct rig_run *run = asked(rig);
            may_write(rig, run, "gate/hinge/**");
            (void)rig_do(rig, MW_REQ_RECORD_FAILURE, failure, run->item, run->seq);
            const struct mw_event dead = newest(rig, MW_EVT_TASK_DEAD);
            assert_int_equal(dead.letter, before); /* which letter it was */
            before = dead.item;
            rig_crash(rig, rig->durable);
            put_back(rig, MW_OK);
            rig_crash(rig, rig->durable);
        }
        rig_free(rig);
    }
}

/* ---- what is kept of an attempt that came to nothing ---- */

static void P06_P08_what_an_attempt_said_is_kept(void **state)
{
    static const char said[] =
        "{\"type\":\"ThingMade\",\"payload\":{\"size\":7},\"inputSha256\":\"aa11\","
        "\"filesSha256\":\"bb22\"}";
    struct rig *rig = begin("letters");
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"MakeIt\"}", 0, 0);
    const struct rig_run run = *asked(rig);
    mw_seq trace = rig->last_trace;
    (void)rig_do(rig, MW_REQ_RECORD_RESULT, said, run.item, run.seq - 1);
    const struct mw_event late = newest(rig, MW_EVT_TASK_LATE);
    assert_int_equal(late.fence, run.seq - 1);
    assert_int_equal(late.trace, trace);
    assert_true(mw_str_is(late.body, "{\"size\":7}"));
    assert_true(mw_str_is(late.inputs_sha256, "aa11"));
    assert_true(mw_str_is(late.files_sha256, "bb22"));
    (void)rig_do(rig, MW_REQ_RECORD_FAILURE, failure, run.item, run.seq);
    const enum mw_event_kind kinds[] = {MW_EVT_TASK_FAILED, MW_EVT_TASK_DEAD};
    for (size_t i = 0; i < MW_COUNT(kinds); i++) {
        const struct mw_event kept = newest(rig, kinds[i]);
        assert_true(mw_str_is(kept.evidence, "{\"exit\":3,\"stderr\":\"no saw\"}"));
        assert_true(mw_str_is(kept.error_class, "tool"));
        assert_true(mw_str_is(kept.reason, "no saw"));
    }
    assert_true(mw_str_is(newest(rig, MW_EVT_TASK_FAILED).inputs_sha256, "cc33"));
    put_back(rig, MW_OK);
    const struct rig_run again = *asked(rig);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT, said, again.item, again.seq);
    const struct mw_event result = newest(rig, MW_EVT_TASK_RESULT);
    assert_true(mw_str_is(result.body, "{\"size\":7}"));
    assert_true(mw_str_is(result.inputs_sha256, "aa11"));
    assert_true(mw_str_is(result.files_sha256, "bb22"));
    rig_free(rig);
}

/* ---- who waits for room hears of it ---- */

static void more_at_once_begins_what_waits(void **state)
{
    enum { PARTS = 15, AT_ONCE = 9 }; /* the agent takes twenty */
    struct rig *rig = begin("letters");
    char body[120], sha256[MW_SHA256_HEX];
    (void)state;
    start_parts(rig, PARTS);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], AT_ONCE);
    mw_sha256_hex(MW_STR("herd"), sha256);
    (void)rig_load(rig, "herd");
    snprintf(body, sizeof body, "{\"sha256\":\"%s\"}", sha256);
    (void)rig_do(rig, MW_REQ_LOAD_DEFINITION, body, 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
    assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], PARTS);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P08_a_dead_letter_is_asked_for_the_result_that_it_was),
        cmocka_unit_test(P08_a_dead_letter_stands_where_it_stood),
        cmocka_unit_test(P06_P08_what_an_attempt_said_is_kept),
        cmocka_unit_test(more_at_once_begins_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
