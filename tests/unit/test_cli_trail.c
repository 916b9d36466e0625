/* A trail says what the records of a trace come to: its end, who is waited for, the sums, and a tree that fits the terminal. */
#include "cli/progress.h"
#include "cli/trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "posix/heap.h"

static struct mw_arena arena;

static void take(struct mw_trail *trail, const char *line)
{
    struct mw_tape tape;
    struct mw_err err = {0};
    if (mw_json_parse(&arena, mw_str_of(line), &tape, &err) != MW_OK)
        fail_msg("%s: %s", line, err.text);
    mw_trail_take(trail, &tape);
}

#define AT(second) "\"timestamp\":\"2026-01-01T00:00:" second "Z\""
#define SUBMITTED                                                                                  \
    "{\"kind\":\"intent.submitted\",\"seq\":1,\"traceId\":\"tr-1\"," AT(                           \
        "00.000000") ",\"payload\":{\"appName\":\"N\"}}"
#define STEP                                                                                       \
    "{\"kind\":\"journey.step\",\"seq\":2," AT(                                                    \
        "00.100000") ",\"payload\":{\"workflow\":\"ValueEngine\",\"buildId\":\"b-1\"}}"
#define ASKED                                                                                      \
    "{\"kind\":\"task.dispatched\",\"seq\":3,\"taskId\":\"t-3\",\"taskType\":\"AnswerQuestion\","  \
    "\"agentKind\":2,\"scopeItem\":2," AT(                                                         \
        "00.200000") ",\"payload\":{\"question\":\"Which?\",\"field\":\"storage\",\"options\":["   \
                     "\"File\",\"Memory\"]}}"

static void test_a_question_waits_only_when_nothing_else_runs(void **state)
{
    struct mw_trail trail;
    const struct mw_trail_task *item = NULL;
    (void)state;
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, STEP);
    assert_false(mw_trail_waits(&trail, &item));
    take(&trail, ASKED);
    assert_true(mw_trail_waits(&trail, &item));
    assert_true(mw_str_is(item->id, "t-3"));
    assert_true(mw_str_is(item->question, "Which?"));
    assert_true(mw_str_is(item->field, "storage"));
    take(&trail,
         "{\"kind\":\"task.dispatched\",\"seq\":4,\"taskId\":\"t-4\",\"taskType\":\"X\","
         "\"agentId\":\"a\",\"scopeItem\":2,\"attempt\":1," AT("00.300000") ",\"payload\":{}}");
    assert_false(mw_trail_waits(&trail, &item));
    take(&trail, "{\"kind\":\"task.ended\",\"seq\":5,\"taskId\":\"t-4\",\"item\":4,\"outcome\":"
                 "\"completed\"," AT("00.400000") ",\"payload\":{}}");
    assert_true(mw_trail_waits(&trail, &item));
    take(&trail, "{\"kind\":\"task.ended\",\"seq\":6,\"taskId\":\"t-3\",\"item\":3,\"outcome\":"
                 "\"completed\"," AT("00.500000") ",\"payload\":{}}");
    assert_false(mw_trail_waits(&trail, &item));
    assert_int_equal(trail.tasks_done, 2);
}

static void test_a_draft_is_the_end_and_sums_are_told(void **state)
{
    struct mw_trail trail;
    struct mw_buf out = mw_heap_buf();
    const char *result =
        "{\"kind\":\"task.result\",\"seq\":10,\"type\":\"TestResultsReady\",\"taskId\":\"t-9\"," AT(
            "02.000000") ",\"usage\":{\"tokens_in\":3,\"tokens_out\":4,\"cost_usd\":0.25},"
                         "\"payload\":{\"service\":\"S\",\"suites\":[{\"passed\":20,\"failed\":1},{"
                         "\"passed\":1,\"failed\":0}]}}";
    (void)state;
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, STEP);
    take(&trail, result);
    /* A second result of the same service replaces the first; a record seen twice counts once. */
    take(&trail, result);
    take(
        &trail,
        "{\"kind\":\"task.result\",\"seq\":11,\"type\":\"TestResultsReady\",\"taskId\":\"t-9\"," AT(
            "02.500000") ",\"payload\":{\"service\":\"S\",\"suites\":[{\"passed\":22,\"failed\":0}]"
                         "}}");
    take(&trail, "{\"kind\":\"build.staged\",\"seq\":12," AT(
                     "02.600000") ",\"payload\":{\"path\":\"generated/apps/n/b-1/app\"}}");
    take(&trail, "{\"kind\":\"build.completed\",\"seq\":13," AT(
                     "03.100000") ",\"payload\":{\"buildId\":\"b-1\",\"appVersion\":2,\"status\":"
                                  "\"draft\"}}");
    assert_int_equal(trail.state, MW_TRAIL_DRAFT);
    assert_int_equal(trail.version, 2);
    assert_true(mw_str_is(trail.staged, "generated/apps/n/b-1/app"));
    /* What happens to the draft later is not this gen's. */
    take(&trail, "{\"kind\":\"trace.ended\",\"seq\":20,\"outcome\":\"failed\"," AT(
                     "59.000000") ",\"payload\":{}}");
    assert_int_equal(trail.state, MW_TRAIL_DRAFT);
    mw_trail_sum(&trail, &out);
    assert_true(mw_str_is(mw_buf_str(&out), "0 tasks · 22 tests · 7 tokens · $0.25 · 3.1 s"));
    mw_heap_buf_free(&out);
}

static void test_an_unknown_price_is_said_to_be_unknown(void **state)
{
    struct mw_trail trail;
    struct mw_buf out = mw_heap_buf();
    (void)state;
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, "{\"kind\":\"task.result\",\"seq\":2,\"type\":\"X\"," AT(
                     "00.100000") ",\"usage\":{\"tokens_in\":1,\"cost_usd\":null},\"payload\":{}}");
    mw_trail_sum(&trail, &out);
    assert_true(mw_str_is(mw_buf_str(&out), "0 tasks · 0 tests · 1 token · unknown · 0.1 s"));
    mw_heap_buf_free(&out);
}

static const struct {
    const char *name, *line;
    enum mw_trail_state state;
} ends[] = {
    {"failed",
     "{\"kind\":\"build.failed\",\"seq\":9,\"reason\":\"no\"," AT(
         "01.000000") ",\"payload\":{\"status\":\"failed\",\"buildId\":\"b-1\"}}",
     MW_TRAIL_FAILED},
    {"cancelled",
     "{\"kind\":\"build.failed\",\"seq\":9," AT(
         "01.000000") ",\"payload\":{\"status\":\"cancelled\",\"buildId\":\"b-1\"}}",
     MW_TRAIL_CANCELLED},
    {"limit",
     "{\"kind\":\"build.failed\",\"seq\":9,\"errorClass\":\"limit\"," AT(
         "01.000000") ",\"payload\":{\"status\":\"failed\"}}",
     MW_TRAIL_LIMIT},
    {"trace cancelled",
     "{\"kind\":\"trace.cancelled\",\"seq\":9," AT("01.000000") ",\"payload\":{}}",
     MW_TRAIL_CANCELLED},
    {"a run of its own",
     "{\"kind\":\"trace.ended\",\"seq\":9,\"outcome\":\"completed\"," AT(
         "01.000000") ",\"payload\":{}}",
     MW_TRAIL_DONE},
};

static void test_each_end_is_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_COUNT(ends); i++) {
        struct mw_trail trail;
        mw_trail_init(&trail, &arena);
        take(&trail, SUBMITTED);
        take(&trail, ends[i].line);
        if (trail.state != ends[i].state)
            fail_msg("%s: %d", ends[i].name, (int)trail.state);
    }
}

static void test_a_run_is_named_by_its_own_id_and_counts_its_own_turns(void **state)
{
    struct mw_trail trail;
    (void)state;
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, "{\"kind\":\"loop.start\",\"seq\":2,\"sessionId\":\"run-2\"," AT(
                     "00.100000") ",\"payload\":{\"run_id\":\"run-2\",\"preset\":\"P\"}}");
    take(&trail, "{\"kind\":\"iteration.finish\",\"seq\":3,\"sessionId\":\"run-2\"," AT(
                     "00.200000") ",\"payload\":{\"iteration\":3}}");
    take(&trail, "{\"kind\":\"iteration.finish\",\"seq\":4,\"sessionId\":\"run-9\"," AT(
                     "00.300000") ",\"payload\":{\"iteration\":7}}");
    assert_true(mw_str_is(trail.run_id, "run-2"));
    assert_int_equal(trail.iterations, 3);
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, "{\"kind\":\"chain.start\",\"seq\":2,\"sessionId\":\"chain-2\"," AT(
                     "00.100000") ",\"payload\":{\"run_id\":\"chain-2\"}}");
    for (int i = 3; i < 5; i++) {
        char *line =
            mw_heap_format("{\"kind\":\"iteration.finish\",\"seq\":%d,\"sessionId\":\"run-%d\"," AT(
                               "00.200000") ",\"payload\":{\"iteration\":1}}",
                           i, i);
        take(&trail, line);
        mw_heap_free(line);
    }
    assert_true(mw_str_is(trail.run_id, "chain-2"));
    assert_int_equal(trail.iterations, 2);
}

/* A name that is cut takes as much room as one that is not: the agents stand in one column. */
static void test_a_long_name_does_not_push_its_agent_aside(void **state)
{
    static const char *const tags[] = {"Short", "MarkNotificationAsReadByEverybodyHandler"};
    struct mw_trail trail;
    struct mw_buf out = mw_heap_buf();
    unsigned lines = 0;
    size_t column = 0, found = 0;
    (void)state;
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, STEP);
    for (int i = 0; i < 2; i++) {
        char *line = mw_heap_format(
            "{\"kind\":\"task.dispatched\",\"seq\":%d,\"taskId\":\"t-%d\",\"taskType\":"
            "\"GenerateHandler\",\"agentId\":\"agent-zero\",\"componentTag\":\"AgentRegistry:%s\","
            "\"attempt\":1,\"scopeItem\":2," AT("00.500000") ",\"payload\":{}}",
            100 + i, i, tags[i]);
        take(&trail, line);
        mw_heap_free(line);
    }
    for (uint32_t i = 0; i < trail.task_count; i++)
        trail.tasks[i].subject = mw_str_of(tags[i]);
    mw_progress_tree(&out, &trail, 0, false, 0, 110, 12, &lines);
    for (size_t from = 0, at = 0; at < out.len; at++) {
        const char *agent = NULL;
        if (out.ptr[at] != '\n')
            continue;
        agent = memmem(out.ptr + from, at - from, "agent-zero", 10);
        if (agent != NULL) {
            size_t stands = mw_text_columns(
                (struct mw_str){out.ptr + from, (size_t)(agent - (out.ptr + from))});
            assert_true(found == 0 || stands == column);
            column = stands;
            found++;
        }
        from = at + 1;
    }
    assert_int_equal(found, 2);
    mw_heap_buf_free(&out);
}

static void test_the_tree_fits_width_and_height_and_no_control_byte_gets_out(void **state)
{
    struct mw_trail trail;
    struct mw_buf out = mw_heap_buf();
    unsigned lines = 0;
    (void)state;
    mw_trail_init(&trail, &arena);
    take(&trail, SUBMITTED);
    take(&trail, STEP);
    for (int i = 0; i < 50; i++) {
        char *line = mw_heap_format(
            "{\"kind\":\"task.dispatched\",\"seq\":%d,\"taskId\":\"t-%d\",\"taskType\":"
            "\"Generate\\u001b[2JHandlerWithAVeryLongName\",\"agentId\":\"an-agent-of-a-long-"
            "name\",\"attempt\":1,\"scopeItem\":2," AT("00.500000") ",\"payload\":{}}",
            100 + i, i);
        take(&trail, line);
        mw_heap_free(line);
    }
    mw_progress_tree(&out, &trail, 0, false, 0, 40, 12, &lines);
    unsigned count = 0;
    size_t from = 0;
    for (size_t at = 0; at < out.len; at++) {
        assert_true((unsigned char)out.ptr[at] >= 0x20 || out.ptr[at] == '\n');
        if (out.ptr[at] != '\n')
            continue;
        assert_true(mw_text_columns((struct mw_str){out.ptr + from, at - from}) < 40);
        from = at + 1;
        count++;
    }
    assert_int_equal(count, lines);
    assert_true(lines <= 12);
    mw_heap_buf_free(&out);
}

static void test_views_become_text_without_escape_codes(void **state)
{
    struct mw_tape tape;
    struct mw_buf out = mw_heap_buf();
    (void)state;
    assert_int_equal(
        mw_json_parse(&arena,
                      MW_STR("{\"name\":\"a\\u001b[31m\",\"traceId\":\"tr-1\",\"none\":[],"
                             "\"items\":[{\"id\":\"t-1\",\"n\":1},{\"id\":\"t-22\",\"n\":2}]}"),
                      &tape, NULL),
        MW_OK);
    mw_render(&out, &tape, 0, false, false);
    mw_buf_put_c(&out, '\0');
    assert_null(strchr(out.ptr, '\033'));
    assert_null(strstr(out.ptr, "tr-1")); /* ids of traces only with --verbose */
    assert_non_null(strstr(out.ptr, "none  none\n"));
    assert_non_null(strstr(out.ptr, "  id    n\n  t-1   1\n  t-22  2\n"));
    mw_buf_reset(&out);
    mw_render(&out, &tape, 0, false, true);
    mw_buf_put_c(&out, '\0');
    assert_non_null(strstr(out.ptr, "tr-1"));
    mw_heap_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_waits_only_when_nothing_else_runs),
        cmocka_unit_test(test_a_draft_is_the_end_and_sums_are_told),
        cmocka_unit_test(test_an_unknown_price_is_said_to_be_unknown),
        cmocka_unit_test(test_each_end_is_told_apart),
        cmocka_unit_test(test_a_run_is_named_by_its_own_id_and_counts_its_own_turns),
        cmocka_unit_test(test_a_long_name_does_not_push_its_agent_aside),
        cmocka_unit_test(test_the_tree_fits_width_and_height_and_no_control_byte_gets_out),
        cmocka_unit_test(test_views_become_text_without_escape_codes)};
    mw_heap_arena(&arena, 64u << 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
