/*
 * test_letters.c - P08: a dead letter that is put back is the task that it was: with the result that it was asked for, and in the place where it
 * stood, on which it depends what it may write.
 */
#include "core_runs.h"

static const char failure[] = "{\"class\":\"tool\",\"message\":\"no saw\",\"retryable\":false}";

/* The newest one goes back as its record says. */
static void put_back(struct rig *rig, enum mw_rc expected)
{
    struct mw_event dead = {.kind = MW_EVENT_COUNT};
    struct mw_err err;
    char body[4000];
    for (size_t i = rig->line_count; i > 0 && dead.kind != MW_EVT_TASK_DEAD; i--)
        assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, i - 1), &dead, &err),
                         MW_OK);
    assert_int_equal(dead.kind, MW_EVT_TASK_DEAD);
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
        /* Where nothing like it is defined any more it stays where it is. */
        char sha256[MW_SHA256_HEX];
        mw_sha256_hex(MW_STR("gate"), sha256);
        (void)rig_load(rig, "gate");
        snprintf(body, sizeof body, "{\"sha256\":\"%s\"}", sha256);
        (void)rig_do(rig, MW_REQ_LOAD_DEFINITION, body, 0, 0);
        assert_int_equal(rig->result.rc, MW_OK);
        put_back(rig, MW_E_CONFIG);
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

static void P08_a_dead_letter_stands_where_it_stood(void **state)
{
    struct rig *rig = begin("letters");
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_COORDINATOR,
                 "{\"coordinator\":\"PartsCoordinator\",\"payload\":{\"name\":\"gate\",\"parts\":"
                 "[{\"kind\":\"hinge\"}]}}",
                 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    for (unsigned times = 0; times < 3; times++) {
        const struct rig_run *run = asked(rig);
        may_write(rig, run, "gate/hinge/**");
        (void)rig_do(rig, MW_REQ_RECORD_FAILURE, failure, run->item, run->seq);
        rig_crash(rig, rig->durable);
        put_back(rig, MW_OK);
        rig_crash(rig, rig->durable);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P08_a_dead_letter_is_asked_for_the_result_that_it_was),
        cmocka_unit_test(P08_a_dead_letter_stands_where_it_stood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
