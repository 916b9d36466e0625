/* What an agent may say, and what each thing that it may not say is called (P20: nothing unreadable is an answer). */
#include "agent/answer.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_reserved(struct mw_str type)
{
    return mw_str_is(type, "ApprovalGranted");
}

static bool is_well_formed(struct mw_str type)
{
    return type.len >= 3 && type.ptr[0] >= 'A' && type.ptr[0] <= 'Z';
}

static void count_progress(void *user, struct mw_str json)
{
    (void)json;
    ++*(int *)user;
}

static const struct mw_answer_rules rules = {
    .trace_id = {"trace-1", 7}, .is_reserved = is_reserved, .is_well_formed = is_well_formed};
static const struct mw_exec_report exit_0 = {.exited = true};
static const struct mw_exec_report exit_1 = {.exited = true, .exit_code = 1};
static const struct mw_exec_report signal_11 = {.signal = 11};
static const struct mw_exec_report deadline = {.exited = true, .killed = MW_EXEC_DEADLINE};
static const struct mw_exec_report host_gone = {.signal = 9, .killed = MW_EXEC_HOST_GONE};
static const struct mw_exec_report forked_too_much = {.signal = 9, .killed = MW_EXEC_PROCESSES};
static const struct mw_exec_report missing = {.error = MW_EXEC_PROGRAM_MISSING,
                                              .error_text = "program 'x' not found in PATH"};
static const struct mw_exec_report no_report = {.error = MW_EXEC_NO_REPORT,
                                                .error_text = "no report"};

#define RESULT "{\"type\":\"HandlerReady\",\"payload\":{\"a\":1}}\n"
#define FAILURE(class)                                                                             \
    "{\"error\":{\"class\":\"" class "\",\"message\":\"m\",\"retryable\":true}}\n"

static const struct row {
    const char *name, *output;
    const struct mw_exec_report *report;
    enum mw_answer_verdict verdict;
    enum mw_answer_class error_class;
    bool retryable;
    const char *evidence; /* part of it */
} rows[] = {
    {"a result", RESULT, &exit_0, MW_ANSWER_RESULT, 0, false, "line 1"},
    {"a result without the last newline", "{\"type\":\"HandlerReady\",\"payload\":{}}", &exit_0,
     MW_ANSWER_RESULT, 0, false, ""},
    {"progress, then a result",
     "{\"progress\":\"x\"}\n\n \r\n{\"type\":\"progress\",\"payload\":{}}\r\n" RESULT, &exit_0,
     MW_ANSWER_RESULT, 0, false, "line 5"},
    {"a result of this trace",
     "{\"traceId\":\"trace-1\",\"type\":\"HandlerReady\",\"payload\":{}}\n", &exit_0,
     MW_ANSWER_RESULT, 0, false, ""},
    {"a failure", FAILURE("quota"), &exit_1, MW_ANSWER_FAILURE, MW_ANSWER_QUOTA, true, ""},
    {"a failure with exit 0", FAILURE("auth"), &exit_0, MW_ANSWER_FAILURE, MW_ANSWER_AUTH, true,
     ""},
    {"retryable beside the error",
     "{\"error\":{\"class\":\"tool\",\"message\":\"\"},\"retryable\":false}\n", &exit_1,
     MW_ANSWER_FAILURE, MW_ANSWER_TOOL, false, ""},
    {"retryable left out goes by class", "{\"error\":{\"class\":\"timeout\",\"message\":\"\"}}\n",
     &exit_1, MW_ANSWER_FAILURE, MW_ANSWER_TIMEOUT, true, ""},
    {"left out, of the other sort", "{\"error\":{\"class\":\"invalid_input\",\"message\":\"\"}}\n",
     &exit_1, MW_ANSWER_FAILURE, MW_ANSWER_INVALID_INPUT, false, ""},
    {"left out of quota", "{\"error\":{\"class\":\"quota\",\"message\":\"\"}}\n", &exit_1,
     MW_ANSWER_FAILURE, MW_ANSWER_QUOTA, true, ""},
    {"left out of model", "{\"error\":{\"class\":\"model\",\"message\":\"\"}}\n", &exit_1,
     MW_ANSWER_FAILURE, MW_ANSWER_MODEL, true, ""},
    {"left out of tool", "{\"error\":{\"class\":\"tool\",\"message\":\"\"}}\n", &exit_1,
     MW_ANSWER_FAILURE, MW_ANSWER_TOOL, true, ""},
    {"left out of auth", "{\"error\":{\"class\":\"auth\",\"message\":\"\"}}\n", &exit_1,
     MW_ANSWER_FAILURE, MW_ANSWER_AUTH, false, ""},
    {"left out of unsupported", "{\"error\":{\"class\":\"unsupported\",\"message\":\"\"}}\n",
     &exit_1, MW_ANSWER_FAILURE, MW_ANSWER_UNSUPPORTED, false, ""},
    {"nothing and exit 1", "", &exit_1, MW_ANSWER_NONE, MW_ANSWER_INTERNAL, true,
     "exit 1 without an answer"},
    {"nothing and a signal", "", &signal_11, MW_ANSWER_NONE, MW_ANSWER_INTERNAL, true,
     "signal 11 without"},
    {"exit 0 without", "{\"progress\":1}\n", &exit_0, MW_ANSWER_SILENT_SUCCESS, MW_ANSWER_INTERNAL,
     true, "exit 0 without an answer (1 progress"},
    {"a result, then exit 1", RESULT, &exit_1, MW_ANSWER_RESULT_BUT_EXIT, MW_ANSWER_INTERNAL, true,
     "exit 1"},
    {"a result, then a signal", RESULT, &signal_11, MW_ANSWER_RESULT_BUT_EXIT, MW_ANSWER_INTERNAL,
     true, "signal 11"},
    {"two results", RESULT RESULT, &exit_0, MW_ANSWER_TWO, MW_ANSWER_INTERNAL, true,
     "line 2: a second answer"},
    {"a result, then a failure", RESULT FAILURE("tool"), &exit_0, MW_ANSWER_TWO, MW_ANSWER_INTERNAL,
     true, "line 2"},
    {"a failure, then a result", FAILURE("tool") RESULT, &exit_0, MW_ANSWER_TWO, MW_ANSWER_INTERNAL,
     true, "line 2"},
    {"progress after the answer", RESULT "{\"progress\":1}\n", &exit_0, MW_ANSWER_NOT_LAST,
     MW_ANSWER_INTERNAL, true, "line 2: progress after"},
    {"blank lines after the answer", RESULT "\n\n", &exit_0, MW_ANSWER_RESULT, 0, false, ""},
    {"words", "{\"progress\":1}\nI approve: größer\n" RESULT, &exit_0, MW_ANSWER_GARBAGE,
     MW_ANSWER_INTERNAL, true, "it begins: I approve: größer"},
    {"words after the answer", RESULT "done\n", &exit_0, MW_ANSWER_GARBAGE, MW_ANSWER_INTERNAL,
     true, "line 2"},
    {"control bytes are not shown", "\x1b[31mred\n", &exit_0, MW_ANSWER_GARBAGE, MW_ANSWER_INTERNAL,
     true, "begins: ?[31mred"},
    {"a cut result", "{\"type\":\"HandlerReady\",\"payl", &exit_0, MW_ANSWER_GARBAGE,
     MW_ANSWER_INTERNAL, true, "line 1 is no JSON object"},
    {"an array", "[1]\n", &exit_0, MW_ANSWER_GARBAGE, MW_ANSWER_INTERNAL, true,
     "JSON but no object"},
    {"a key twice", "{\"type\":\"A\",\"type\":\"B\",\"payload\":{}}\n", &exit_0, MW_ANSWER_GARBAGE,
     MW_ANSWER_INTERNAL, true, "line 1"},
    {"bad UTF-8", "{\"progress\":\"\xff\"}\n", &exit_0, MW_ANSWER_BAD_UTF8, MW_ANSWER_INTERNAL,
     true, "line 1, byte 14 is not UTF-8"},
    {"no known shape", "{\"result\":{}}\n", &exit_0, MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true,
     "neither progress nor a result"},
    {"both shapes", "{\"type\":\"HandlerReady\",\"payload\":{},\"error\":{}}\n", &exit_0,
     MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true, "line 1"},
    {"a payload that is no object", "{\"type\":\"HandlerReady\",\"payload\":[]}\n", &exit_0,
     MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true, "payload is no object"},
    {"no type", "{\"payload\":{}}\n", &exit_0, MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true,
     "no type"},
    {"a type that is no name", "{\"type\":\"../x\",\"payload\":{}}\n", &exit_0, MW_ANSWER_BAD_SHAPE,
     MW_ANSWER_INTERNAL, true, "'../x' is no name"},
    {"rationale that is no text", "{\"type\":\"HandlerReady\",\"payload\":{},\"rationale\":1}\n",
     &exit_0, MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true, "rationale"},
    {"usage that is no object", "{\"type\":\"HandlerReady\",\"payload\":{},\"usage\":1}\n", &exit_0,
     MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true, "usage"},
    {"a class of its own", "{\"error\":{\"class\":\"oops\",\"message\":\"\"}}\n", &exit_1,
     MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true, "'oops' is no class"},
    {"an error that is text", "{\"error\":\"oops\"}\n", &exit_1, MW_ANSWER_BAD_SHAPE,
     MW_ANSWER_INTERNAL, true, ""},
    {"an error without message", "{\"error\":{\"class\":\"tool\"}}\n", &exit_1, MW_ANSWER_BAD_SHAPE,
     MW_ANSWER_INTERNAL, true, "message"},
    {"retryable: maybe",
     "{\"error\":{\"class\":\"tool\",\"message\":\"\",\"retryable\":\"maybe\"}}\n", &exit_1,
     MW_ANSWER_BAD_SHAPE, MW_ANSWER_INTERNAL, true, "retryable"},
    {"P20 an approval by talk", "{\"type\":\"ApprovalGranted\",\"payload\":{}}\n", &exit_0,
     MW_ANSWER_RESERVED_TYPE, MW_ANSWER_INTERNAL, false,
     "'ApprovalGranted' is the control plane's own"},
    {"another trace", "{\"traceId\":\"trace-2\",\"type\":\"HandlerReady\",\"payload\":{}}\n",
     &exit_0, MW_ANSWER_WRONG_TRACE, MW_ANSWER_INTERNAL, false, "trace 'trace-2'"},
    {"a trace that is no text", "{\"traceId\":1,\"progress\":1}\n" RESULT, &exit_0,
     MW_ANSWER_WRONG_TRACE, MW_ANSWER_INTERNAL, false, ""},
    {"a failure of another trace",
     "{\"traceId\":\"x\",\"error\":{\"class\":\"tool\",\"message\":\"\"}}\n", &exit_1,
     MW_ANSWER_WRONG_TRACE, MW_ANSWER_INTERNAL, false, ""},
    {"killed at the deadline, exit 0, with a result", RESULT, &deadline, MW_ANSWER_KILLED,
     MW_ANSWER_TIMEOUT, true, "(deadline); it had answered"},
    {"the host died", "", &host_gone, MW_ANSWER_KILLED, MW_ANSWER_INTERNAL, true, "host_gone"},
    {"too many processes", "", &forked_too_much, MW_ANSWER_KILLED, MW_ANSWER_INTERNAL, false,
     "processes"},
    {"no such program", "", &missing, MW_ANSWER_NOT_STARTED, MW_ANSWER_UNSUPPORTED, false,
     "program 'x' not found in PATH"},
    {"a result but no report", RESULT, &no_report, MW_ANSWER_KILLED, MW_ANSWER_INTERNAL, true,
     "no report"},
    {"the first fault stays", "x\n" RESULT RESULT, &deadline, MW_ANSWER_GARBAGE, MW_ANSWER_INTERNAL,
     true, "line 1"},
};

static void each_output_has_its_verdict_however_the_stream_is_cut(void **state)
{
    static const size_t cuts[] = {1, 7, SIZE_MAX};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (size_t j = 0; j < MW_COUNT(cuts); j++) {
            const struct row *row = &rows[i];
            struct mw_answer answer;
            struct mw_answer_outcome outcome;
            mw_answer_init(&answer, &rules);
            struct mw_str rest = mw_str_of(row->output);
            while (rest.len > 0) {
                (void)mw_answer_feed(&answer, mw_str_sub(rest, 0, cuts[j]));
                rest = mw_str_sub(rest, cuts[j] < rest.len ? cuts[j] : rest.len, rest.len);
            }
            mw_answer_finish(&answer, row->report, &outcome);
            if (outcome.verdict != row->verdict)
                fail_msg("%s: %s (%s)", row->name, mw_answer_verdict_name(outcome.verdict),
                         outcome.evidence);
            if (outcome.verdict != MW_ANSWER_RESULT && outcome.error_class != row->error_class)
                fail_msg("%s: class %s", row->name, mw_answer_class_name(outcome.error_class));
            if (outcome.retryable != row->retryable)
                fail_msg("%s: retryable %d", row->name, outcome.retryable);
            if (strstr(outcome.evidence, row->evidence) == NULL)
                fail_msg("%s: evidence '%s'", row->name, outcome.evidence);
            mw_answer_free(&answer);
        }
}

static struct mw_answer_outcome verdict_of(struct mw_answer *answer,
                                           const struct mw_answer_rules *with, const char *output)
{
    struct mw_answer_outcome outcome;
    mw_answer_init(answer, with);
    (void)mw_answer_feed(answer, mw_str_of(output));
    mw_answer_finish(answer, &exit_0, &outcome);
    return outcome;
}

static void the_parts_of_a_result_are_handed_on_as_written(void **state)
{
    struct mw_answer answer;
    (void)state;
    struct mw_answer_outcome outcome =
        verdict_of(&answer, &rules,
                   "{\"type\":\"HandlerReady\",\"rationale\":\"weil "
                   "\\\"gro\\u00df\\\"\",\"payload\":{\"n\": 1.50,"
                   "\"big\":9007199254740993},\"usage\":{\"tokens\":7}}\n");
    assert_int_equal(MW_ANSWER_RESULT, outcome.verdict);
    assert_true(mw_str_is(outcome.type, "HandlerReady"));
    assert_true(mw_str_is(outcome.rationale, "weil \"groß\""));
    assert_true(mw_str_is(outcome.payload, "{\"n\": 1.50,\"big\":9007199254740993}"));
    assert_true(mw_str_is(outcome.usage, "{\"tokens\":7}"));
    mw_answer_free(&answer);

    outcome = verdict_of(&answer, &rules,
                         "{\"error\":{\"class\":\"model\",\"message\":\"mußte enden\"}}\n");
    assert_int_equal(MW_ANSWER_FAILURE, outcome.verdict);
    assert_true(mw_str_is(outcome.message, "mußte enden"));
    mw_answer_free(&answer);
}

static void progress_is_told_as_it_comes(void **state)
{
    int count = 0;
    struct mw_answer answer;
    struct mw_answer_rules with = rules;
    (void)state;
    with.on_progress = count_progress;
    with.user = &count;
    mw_answer_init(&answer, &with);
    assert_true(mw_answer_feed(&answer, MW_STR("{\"progress\":1}\n{\"prog")));
    assert_int_equal(1, count);
    assert_true(mw_answer_feed(&answer, MW_STR("ress\":2}\n")));
    assert_int_equal(2, count);
    assert_false(mw_answer_feed(&answer, MW_STR("nonsense\n{\"progress\":3}\n")));
    assert_int_equal(2, count);
    mw_answer_free(&answer);
}

static void p14_a_line_may_have_a_mebibyte_and_not_a_byte_more(void **state)
{
    static const char head[] = "{\"type\":\"HandlerReady\",\"payload\":{\"a\":\"";
    static const char tail[] = "\"}}";
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct mw_answer answer;
        struct mw_answer_outcome outcome;
        size_t fill = MW_ANSWER_LINE_BYTES_MAX - (sizeof(head) - 1) - (sizeof(tail) - 1) + extra;
        struct mw_buf line = mw_heap_buf();
        mw_buf_put_z(&line, head);
        for (size_t i = 0; i < fill; i++)
            mw_buf_put_c(&line, 'x');
        mw_buf_put_z(&line, tail);
        mw_buf_put_c(&line, '\n');
        mw_answer_init(&answer, &rules);
        assert_int_equal(extra == 0, mw_answer_feed(&answer, mw_buf_str(&line)));
        mw_answer_finish(&answer, &exit_0, &outcome);
        assert_int_equal(extra == 0 ? MW_ANSWER_RESULT : MW_ANSWER_LINE_TOO_LONG, outcome.verdict);
        if (extra == 1)
            assert_non_null(strstr(outcome.evidence,
                                   "line 1 is longer than 1048576 bytes; it begins: {\"type\""));
        mw_answer_free(&answer);
        mw_heap_buf_free(&line);
    }
}

static void the_densest_line_fits_in_memory(void **state)
{
    struct mw_answer answer;
    struct mw_answer_outcome outcome;
    struct mw_buf line = mw_heap_buf();
    (void)state;
    mw_buf_put_z(&line, "{\"type\":\"HandlerReady\",\"payload\":{\"a\":[1");
    while (line.len + 8 < MW_ANSWER_LINE_BYTES_MAX)
        mw_buf_put_z(&line, ",1");
    mw_buf_put_z(&line, "]}}\n");
    mw_answer_init(&answer, &rules);
    (void)mw_answer_feed(&answer, mw_buf_str(&line));
    mw_answer_finish(&answer, &exit_0, &outcome);
    assert_int_equal(MW_ANSWER_RESULT, outcome.verdict);
    mw_answer_free(&answer);
    mw_heap_buf_free(&line);
}

static void output_beyond_the_limit_is_refused(void **state)
{
    struct mw_answer answer;
    struct mw_answer_outcome outcome;
    struct mw_answer_rules with = rules;
    (void)state;
    with.output_bytes_max = 30;
    mw_answer_init(&answer, &with);
    assert_true(mw_answer_feed(&answer, MW_STR("{\"progress\":1}\n{\"progress\":2}\n")));
    assert_false(mw_answer_feed(&answer, MW_STR("\n")));
    struct mw_exec_report asked = {.signal = 15,
                                   .killed = MW_EXEC_ASKED}; /* the host ends it for that */
    mw_answer_finish(&answer, &asked, &outcome);
    assert_int_equal(MW_ANSWER_TOO_MUCH, outcome.verdict);
    assert_string_equal("more than 30 bytes of output", outcome.evidence);
    mw_answer_free(&answer);
}

static void the_verdict_does_not_hang_on_how_the_stream_was_cut(void **state)
{
    static const char text[] = "{\"progress\":1}\nno JSON at all\n{\"progress\":2}\n";
    struct mw_answer whole, pieces;
    struct mw_answer_outcome a, b;
    struct mw_answer_rules with = rules;
    (void)state;
    with.output_bytes_max = 40; /* past the bad line, before the end */
    mw_answer_init(&whole, &with);
    mw_answer_init(&pieces, &with);
    assert_false(mw_answer_feed(&whole, mw_str_of(text)));
    for (size_t i = 0; text[i] != '\0'; i++)
        (void)mw_answer_feed(&pieces, (struct mw_str){text + i, 1});
    mw_answer_finish(&whole, &exit_0, &a);
    mw_answer_finish(&pieces, &exit_0, &b);
    assert_int_equal(MW_ANSWER_GARBAGE, a.verdict);
    assert_int_equal(a.verdict, b.verdict);
    assert_string_equal(a.evidence, b.evidence);
    mw_answer_free(&whole);
    mw_answer_free(&pieces);
}

static void a_long_line_of_umlauts_is_cut_between_characters(void **state)
{
    struct mw_answer answer;
    struct mw_buf line = mw_heap_buf();
    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        mw_buf_reset(&line);
        for (int i = 0; i < shift; i++)
            mw_buf_put_c(&line, 'a');
        for (int i = 0; i < 200; i++)
            mw_buf_put_z(&line, "日");
        mw_buf_put_z(&line, "\n");
        mw_buf_put_c(&line, '\0');
        struct mw_answer_outcome outcome = verdict_of(&answer, &rules, line.ptr);
        assert_int_equal(MW_ANSWER_GARBAGE, outcome.verdict);
        assert_true(mw_utf8_valid(mw_str_of(outcome.evidence), NULL));
        assert_non_null(strstr(outcome.evidence, "日日日..."));
        assert_null(strchr(strstr(outcome.evidence, "begins:"), '?'));
        mw_answer_free(&answer);
    }
    mw_heap_buf_free(&line);
}

static void every_verdict_and_class_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < MW_ANSWER_VERDICT_COUNT; i++)
        assert_non_null(mw_answer_verdict_name((enum mw_answer_verdict)i));
    for (int i = 0; i < MW_ANSWER_CLASS_COUNT; i++)
        assert_non_null(mw_answer_class_name((enum mw_answer_class)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_output_has_its_verdict_however_the_stream_is_cut),
        cmocka_unit_test(the_parts_of_a_result_are_handed_on_as_written),
        cmocka_unit_test(progress_is_told_as_it_comes),
        cmocka_unit_test(p14_a_line_may_have_a_mebibyte_and_not_a_byte_more),
        cmocka_unit_test(the_densest_line_fits_in_memory),
        cmocka_unit_test(output_beyond_the_limit_is_refused),
        cmocka_unit_test(the_verdict_does_not_hang_on_how_the_stream_was_cut),
        cmocka_unit_test(a_long_line_of_umlauts_is_cut_between_characters),
        cmocka_unit_test(every_verdict_and_class_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
