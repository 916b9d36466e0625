/* test_core_records.c - P14: what is said by requests, agents and definitions may be long, deep and odd; what stands in a record is bounded and can be read. */
#include "core_runs.h"

/* The registry parses an agent again into one block; whatever was accepted has to fit there, on replay too. */
static void the_largest_agents_fit_their_block(void **state)
{
    struct rig *rig = begin("small");
    static char body[200000];
    (void)state;
    for (unsigned shape = 0; shape < 3; shape++) {
        size_t len = (size_t)sprintf(body,
                                     "{\"agent\":{\"agent_id\":\"big-%u\",\"agent_type\":\"Big "
                                     "Agent\",\"backend\":{\"kind\":\"command\",\"argv\":[",
                                     shape);
        for (unsigned i = 0; i < (shape == 0 ? 200u : 1u); i++)
            len += (size_t)sprintf(body + len, "%s\"a\"", i > 0 ? "," : "");
        len += (size_t)sprintf(body + len, "],\"environment\":{\"pass\":[");
        for (unsigned i = 0; i < (shape == 1 ? 60u : 1u); i++)
            len += (size_t)sprintf(body + len, "%s\"V%u\"", i > 0 ? "," : "", i);
        len += (size_t)sprintf(body + len, "]}},\"domains\":[");
        for (unsigned i = 0; i < (shape == 2 ? 200u : 1u); i++)
            len += (size_t)sprintf(body + len, "%s\"D%u\"", i > 0 ? "," : "", i);
        len += (size_t)sprintf(body + len, "],\"skills\":[");
        for (unsigned i = 0; i < 200; i++)
            len += (size_t)sprintf(body + len, "%s\"DoIt%u\"", i > 0 ? "," : "", i);
        (void)strcpy(body + len, "]}}");
        (void)rig_do(rig, MW_REQ_REGISTER_AGENT, body, 0, 0);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        size_t before = rig->line_count;
        (void)rig_do(rig, MW_REQ_REGISTER_AGENT, body, 0, 0);
        assert_int_equal(rig->line_count, before); /* said again: nothing changes */
    }
    rig_crash(rig, rig->durable);
    oracle_memory(rig);
    rig_free(rig);
}

/* P14: what a record holds is bounded, whoever says it. */
static void P14_a_definition_that_is_too_long_and_long_words_stay_out_of_records(void **state)
{
    struct rig *rig = begin("small");
    enum { LONG = 70000 };
    char *body = mw_heap_alloc(3 * LONG);
    (void)state;
    size_t len = (size_t)sprintf(body, "{\"agent\":{\"agent_id\":\"long\",\"agent_type\":\"Long "
                                       "Agent\",\"skills\":[\"DoIt\"],\"backend\":{\"kind\":"
                                       "\"command\",\"argv\":[\"");
    memset(body + len, 'x', LONG);
    (void)strcpy(body + len + LONG, "\"]}}}");
    (void)rig_step(rig, MW_REQ_REGISTER_AGENT, body, NULL, 0, 0);
    assert_int_equal(rig->result.rc, MW_E_LIMIT);
    assert_true(mw_str_is(rig->result.pointer, "/agent"));
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\"}", 0, 0);
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].opens == MW_OPENS_AGENT) {
            len = (size_t)sprintf(body, "{\"class\":\"tool\",\"retryable\":false,\"message\":\"x");
            for (uint32_t n = 0; n < LONG; n++)
                len += (size_t)sprintf(body + len,
                                       "\xc3\xa4"); /* the limit cuts through one of them */
            (void)strcpy(body + len, "\"}");
            (void)rig_do(rig, MW_REQ_RECORD_FAILURE, body, rig->runs[i].item, rig->runs[i].seq);
            RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
            break;
        }
    assert_int_equal(rig->kind_count[MW_EVT_TASK_FAILED], 1);
    for (size_t i = 0; i < rig->line_count; i++)
        assert_in_range(rig->lines[i].len, 1, 40000);
    assert_null(memmem(rig->journal.ptr, rig->journal.len, "\xef\xbf\xbd", 3));
    rig_crash(rig, rig->durable); /* the same state comes back */
    rig_free(rig);
    mw_heap_free(body);
}

static struct mw_str nested(struct mw_buf *buf, unsigned levels)
{
    mw_buf_reset(buf);
    for (unsigned i = 0; i < levels; i++)
        mw_buf_put_z(buf, "{\"a\":");
    mw_buf_put_c(buf, '1');
    for (unsigned i = 0; i < levels; i++)
        mw_buf_put_c(buf, '}');
    return mw_buf_str(buf);
}

static void answer_first(struct rig *rig, enum mw_opens opens, enum mw_request_kind kind,
                         const char *body)
{
    const struct rig_run *run = run_that(rig, opens);
    assert_non_null(run);
    (void)rig_do(rig, kind, body, run->item, run->seq);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
}

/* An answer may be as deep as a line can be. What is made of it lies deeper: the next task's payload, what a dead letter was given, a report, the
 * body of a request in its record. Whatever it is, every record can be read again: the rig reads each, and all of them after the crash. */
static void P14_no_record_is_deeper_than_can_be_read(void **state)
{
    static const char *const failed =
        "{\"class\":\"tool\",\"message\":\"no lamp\",\"retryable\":false}";
    struct mw_buf deep = mw_heap_buf(), body = mw_heap_buf();
    (void)state;
    for (unsigned levels = 52; levels < MW_JSON_DEPTH_MAX; levels++) {
        struct rig *rig = begin("gate");
        bool fits = levels + 1 <= MW_JSON_MADE_DEPTH_MAX;
        rig->small_in_record = true;
        mw_buf_reset(&body);
        mw_buf_printf(&body, "{\"workflow\":\"WrapPlan\",\"payload\":%.*s}",
                      MW_STR_ARG(nested(&deep, levels)));
        mw_buf_put_c(&body, '\0');
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, body.ptr, 0, 0);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                     rig_result_body(rig, MW_STR("PlanSketched"), nested(&deep, levels)));
        assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], fits ? 2 : 1);
        assert_int_equal(rig->kind_count[MW_EVT_TASK_FAILED], fits ? 0 : 1);
        if (fits)
            answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_FAILURE, failed);
        assert_int_equal(rig->kind_count[MW_EVT_TASK_DEAD], 1);
        (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"a gate\"}", 0, 0);
        answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                     rig_result_body(rig, MW_STR("PlanSketched"), MW_STR("{\"app\":\"gate\"}")));
        answer_first(rig, MW_OPENS_STAGE, MW_REQ_RECORD_STAGE, rig_stage_body());
        answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                     rig_result_body(rig, MW_STR("SiteChecked"), nested(&deep, levels)));
        assert_int_equal(rig->kind_count[MW_EVT_BUILD_VALIDATED], 1);
        rig_crash(rig, rig->durable);
        rig_free(rig);
    }
    mw_heap_buf_free(&deep);
    mw_heap_buf_free(&body);
}

/* Of an answer that is too large for its record the record has what is short: whatever its members are called, it can be read again. */
static void P14_of_a_large_answer_the_record_has_what_fits(void **state)
{
    static const struct {
        size_t key, text, members;
    } rows[] = {{1, 9000, 1},  {9000, 1, 1},  {8100, 100, 2}, {4000, 200, 5}, {250, 250, 100},
                {20, 1, 2000}, {20000, 1, 3}, {300, 256, 60}, {5, 255, 400}};
    struct mw_buf payload = mw_heap_buf();
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (int control = 0; control < 2; control++) {
            struct rig *rig = begin("gate");
            mw_buf_reset(&payload);
            for (size_t n = 0; n < rows[i].members; n++) {
                mw_buf_printf(&payload, "%s\"%zu", n > 0 ? "," : "{", n);
                for (size_t k = 0; k < rows[i].key; k++)
                    mw_buf_put_z(&payload, control != 0 ? "\\u0001" : "k");
                mw_buf_put_z(&payload, "\":\"");
                for (size_t k = 0; k < rows[i].text; k++)
                    mw_buf_put_z(&payload, control != 0 ? "\\u0002" : "t");
                mw_buf_put_c(&payload, '"');
            }
            mw_buf_put_c(&payload, '}');
            (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"WrapPlan\"}", 0, 0);
            answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                         rig_result_body(rig, MW_STR("PlanSketched"), mw_buf_str(&payload)));
            assert_int_equal(rig->kind_count[MW_EVT_TASK_RESULT], 1);
            rig_crash(rig, rig->durable);
            rig_free(rig);
        }
    mw_heap_buf_free(&payload);
}

/* What definitions make of a prompt: whatever it is, the host goes on, and each record can be read again and is of a bounded length. */
static void P14_what_a_definition_makes_can_be_read_or_fails(void **state)
{
    static const struct {
        enum mw_request_kind kind;
        const char *key, *name;
        unsigned prompt, dispatched, dead, skipped;
    } rows[] = {
        {MW_REQ_START_LONE_RUN, "workflow", "SameKeys", 1, 0, 1, 0},
        {MW_REQ_START_LONE_RUN, "workflow", "OtherKeys", 1, 1, 0, 0},
        {MW_REQ_START_LONE_RUN, "workflow", "NulKey", 1, 1, 0, 0},
        {MW_REQ_START_LONE_RUN, "workflow", "LongTexts", 60, 1, 0, 0},
        {MW_REQ_START_LONE_RUN, "workflow", "LongTexts", 1300, 1, 0, 0},
        {MW_REQ_START_LONE_RUN, "workflow", "ManyValues", 10, 1, 0, 0},
        {MW_REQ_START_LONE_RUN, "workflow", "ManyValues", 215, 0, 1, 0},
        {MW_REQ_START_LONE_COORDINATOR, "coordinator", "ManyLooks", 215, 0, 0, 80},
        {MW_REQ_START_LONE_COORDINATOR, "coordinator", "NulLooks", 1, 1, 0, 0},
    };
    char body[2048];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct rig *rig = begin("odd");
        int len =
            snprintf(body, sizeof body, "{\"%s\":\"%s\",\"prompt\":\"", rows[i].key, rows[i].name);
        memset(body + len, 'x', rows[i].prompt);
        (void)strcpy(body + len + rows[i].prompt, "\"}");
        (void)rig_do(rig, rows[i].kind, body, 0, 0);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        assert_int_equal(rig->kind_count[MW_EVT_TASK_DISPATCHED], rows[i].dispatched);
        assert_int_equal(rig->kind_count[MW_EVT_TASK_DEAD], rows[i].dead);
        assert_int_equal(rig->kind_count[MW_EVT_PATH_SKIPPED], rows[i].skipped);
        rig_crash(rig, rig->durable); /* the same state comes back */
        if (rows[i].dispatched > 0)
            answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                         rig_result_body(rig, MW_STR("PartMade"), MW_STR("{}")));
        for (size_t n = 0; n < rig->line_count; n++)
            assert_in_range(rig->lines[n].len, 1, 16384);
        rig_crash(rig, rig->durable);
        rig_free(rig);
    }
}

/* What the first build is called stands for all that follow: one that is no name of a folder fails, and the next one begins anew. */
static void P08_an_app_that_no_folder_can_hold_spoils_no_later_build(void **state)
{
    static const char *const names[] = {"a/b", "..", ".", "", "a\\\\b", "a\\u0007"};
    char payload[300];
    (void)state;
    for (size_t i = 0; i <= MW_COUNT(names); i++) {
        struct rig *rig = begin("gate");
        char long_name[202] = {0};
        memset(long_name, 'x', sizeof long_name - 1);
        (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"a gate\"}", 0, 0);
        (void)snprintf(payload, sizeof payload, "{\"app\":\"%s\"}",
                       i < MW_COUNT(names) ? names[i] : long_name);
        answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                     rig_result_body(rig, MW_STR("PlanSketched"), mw_str_of(payload)));
        assert_int_equal(rig->kind_count[MW_EVT_BUILD_FAILED], 1);
        assert_int_equal(rig->kind_count[MW_EVT_STAGE_ASKED], 0);
        rig_crash(rig, rig->durable);
        (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"another gate\"}", 0, 0);
        long_name[200] = '\0';
        (void)snprintf(payload, sizeof payload, "{\"app\":\"%s\"}", long_name);
        answer_first(rig, MW_OPENS_AGENT, MW_REQ_RECORD_RESULT,
                     rig_result_body(rig, MW_STR("PlanSketched"), mw_str_of(payload)));
        assert_int_equal(rig->kind_count[MW_EVT_STAGE_ASKED], 1);
        assert_true(mw_str_is(rig->core.session.app_id, long_name));
        rig_free(rig);
    }
}

/* Whatever takes a prompt says the same about its length, and a record has no more of it. */
static void P14_a_prompt_has_one_limit_everywhere(void **state)
{
    static const struct {
        enum mw_request_kind kind;
        const char *definitions, *begin;
    } rows[] = {
        {MW_REQ_SUBMIT_INTENT, "gate", "{\"prompt\":\""},
        {MW_REQ_START_LONE_RUN, "odd", "{\"workflow\":\"OtherKeys\",\"prompt\":\""},
        {MW_REQ_START_LONE_COORDINATOR, "odd", "{\"coordinator\":\"ManyLooks\",\"prompt\":\""},
        {MW_REQ_START_LONE_UNIT, "odd", "{\"skill\":\"MakePart\",\"prompt\":\""},
        {MW_REQ_START_LONE_CHAIN, "odd", "{\"workflows\":[\"OtherKeys\"],\"prompt\":\""}};
    char *body = mw_heap_alloc(MW_PROMPT_KEPT + 256);
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (size_t more = 0; more < 2; more++) {
            struct rig *rig = begin(rows[i].definitions);
            size_t len = (size_t)sprintf(body, "%s", rows[i].begin);
            memset(body + len, 'x', MW_PROMPT_KEPT + more);
            (void)strcpy(body + len + MW_PROMPT_KEPT + more, "\"}");
            (void)rig_step(rig, rows[i].kind, body, NULL, 0, 0);
            assert_int_equal(rig->result.rc, more == 0 ? MW_OK : MW_E_LIMIT);
            if (more > 0)
                assert_true(mw_str_is(rig->result.pointer, "/prompt"));
            rig_free(rig);
        }
    mw_heap_free(body);
}

static void P14_a_message_from_outside_has_a_limit(void **state)
{
    enum { LIMIT = 8192 };
    static const char begin_of[] = "{\"type\":\"BellRung\",\"traceId\":\"mine\",\"sessionId\":"
                                   "\"mine\",\"componentTag\":\"Shop:Wrap\",\"timestamp\":"
                                   "\"2025-06-15T15:00:00Z\",\"emittedBy\":\"shop\",\"payload\":";
    char *body = mw_heap_alloc(LIMIT + sizeof begin_of + 100);
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct rig *rig = begin("gate");
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"MakePlan\",\"traceId\":\"mine\"}",
                     0, 0);
        assert_int_equal(rig->result.rc, MW_OK);
        size_t len = (size_t)sprintf(body, "%s{\"said\":\"", begin_of), payload = 9;
        memset(body + len, 'x', LIMIT + more - payload - 2);
        (void)strcpy(body + len + LIMIT + more - payload - 2, "\"}}");
        (void)rig_do(rig, MW_REQ_PUBLISH_MESSAGE, body, 0, 0);
        if (rig->result.rc != (more == 0 ? MW_OK : MW_E_LIMIT))
            fail_msg("%zu more: %s %.*s", more, mw_rc_name(rig->result.rc),
                     MW_STR_ARG(rig->result.refusal));
        rig_free(rig);
    }
    mw_heap_free(body);
}

/* P14: a name stands in every record of its trace. */
static void P14_the_name_of_a_trace_has_a_limit(void **state)
{
    static const struct {
        const char *key;
        uint32_t len_max;
    } rows[] = {{"traceId", 64}, {"parentTraceId", 128}};
    static const struct {
        enum mw_request_kind kind;
        const char *definitions, *begin;
    } verbs[] = {{MW_REQ_SUBMIT_INTENT, "gate", "{\"prompt\":\"a gate\""},
                 {MW_REQ_START_LONE_RUN, "odd", "{\"workflow\":\"OtherKeys\""},
                 {MW_REQ_START_LONE_COORDINATOR, "odd", "{\"coordinator\":\"ManyLooks\""},
                 {MW_REQ_START_LONE_UNIT, "odd", "{\"skill\":\"MakePart\""},
                 {MW_REQ_START_LONE_CHAIN, "odd", "{\"workflows\":[\"OtherKeys\"]"}};
    char body[400], name[200], pointer[40];
    (void)state;
    memset(name, 'x', sizeof name);
    for (size_t n = 0; n < MW_COUNT(rows) * MW_COUNT(verbs) * 2; n++) {
        size_t row = n / 2 % MW_COUNT(rows), verb = n / 2 / MW_COUNT(rows);
        struct rig *rig = begin(verbs[verb].definitions);
        uint32_t len = rows[row].len_max + (uint32_t)(n % 2);
        (void)snprintf(body, sizeof body, "%s,\"%s\":\"%.*s\"}", verbs[verb].begin, rows[row].key,
                       (int)len, name);
        (void)snprintf(pointer, sizeof pointer, "/%s", rows[row].key);
        size_t before = rig->line_count;
        (void)rig_do(rig, verbs[verb].kind, body, 0, 0);
        if (rig->result.rc != (n % 2 == 0 ? MW_OK : MW_E_INPUT))
            fail_msg("%s is %s: %.*s", body, mw_rc_name(rig->result.rc),
                     MW_STR_ARG(rig->result.refusal));
        if (n % 2 == 1) {
            assert_true(mw_str_is(rig->result.pointer, pointer));
            assert_int_equal(rig->line_count, before);
        }
        rig_free(rig);
    }
}

/* P13: what it says is of this contract, or it is not taken; the same words without it, or of this one, are. */
static void P13_a_message_of_another_contract_is_refused(void **state)
{
    static const struct {
        const char *contract;
        enum mw_rc rc;
    } rows[] = {{"", MW_OK},
                {"\"contract\":\"" MW_CONTRACT_VERSION "\",", MW_OK},
                {"\"contract\":\"2\",", MW_E_INPUT},
                {"\"contract\":\"" MW_CONTRACT_VERSION "1\",", MW_E_INPUT},
                {"\"contract\":\"v" MW_CONTRACT_VERSION "\",", MW_E_INPUT}};
    char body[400];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct rig *rig = begin("gate");
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"MakePlan\",\"traceId\":\"mine\"}",
                     0, 0);
        (void)snprintf(body, sizeof body,
                       "{%s\"type\":\"BellRung\",\"traceId\":\"mine\",\"sessionId\":\"mine\","
                       "\"componentTag\":\"Shop:Wrap\",\"timestamp\":\"2025-06-15T15:00:00Z\","
                       "\"emittedBy\":\"shop\",\"payload\":{}}",
                       rows[i].contract);
        (void)rig_do(rig, MW_REQ_PUBLISH_MESSAGE, body, 0, 0);
        if (rig->result.rc != rows[i].rc)
            fail_msg("%s is %s: %.*s", body, mw_rc_name(rig->result.rc),
                     MW_STR_ARG(rig->result.refusal));
        if (rows[i].rc != MW_OK)
            assert_true(mw_str_is(rig->result.pointer, "/contract"));
        rig_free(rig);
    }
}

/* P20: what a person said of it stands in the record; what a bad request was, too. */
static void P20_why_it_was_cancelled_and_which_request_was_bad_is_recorded(void **state)
{
    struct rig *rig = begin("gate");
    struct mw_event event;
    struct mw_err err;
    (void)state;
    (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"MakePlan\",\"traceId\":\"mine\"}", 0,
                 0);
    size_t first = rig->line_count;
    (void)rig_do(rig, MW_REQ_CANCEL_TRACE, "{\"traceId\":\"mine\",\"why\":\"the wrong gate\"}", 0,
                 0);
    assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, first), &event, &err), MW_OK);
    assert_int_equal(event.kind, MW_EVT_TRACE_CANCELLED);
    assert_true(mw_str_is(event.reason, "the wrong gate"));
    first = rig->line_count;
    (void)rig_do(rig, MW_REQ_NOTE_QUARANTINE,
                 "{\"request\":\"SubmitIntent\",\"messageId\":\"m-7\",\"sha256\":\"00ff\"}", 0, 0);
    assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, first), &event, &err), MW_OK);
    assert_int_equal(event.kind, MW_EVT_REQUEST_QUARANTINED);
    assert_true(mw_str_is(event.request_name, "SubmitIntent"));
    assert_true(mw_str_is(event.request_id, "m-7"));
    assert_true(mw_str_is(event.sha256, "00ff"));
    rig_free(rig);
}

/* P20: what a person brought is what the host has taken and looked at; a digest in an answer is words. */
static void P20_a_person_brings_files_and_not_their_digest(void **state)
{
    (void)state;
    for (unsigned talk = 0; talk < 2; talk++) {
        struct rig *rig = begin("small");
        struct mw_event event;
        struct mw_err err;
        (void)rig_do(rig, MW_REQ_START_LONE_RUN, "{\"workflow\":\"BakeOnce\",\"prompt\":\"rye\"}",
                     0, 0);
        const struct rig_run *run = run_that(rig, MW_OPENS_AGENT);
        (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                     "{\"type\":\"QuestionRaised\",\"payload\":{\"question\":\"which?\"}}",
                     run->item, run->seq);
        run = run_that(rig, MW_OPENS_AGENT);
        assert_int_equal(run->agent_kind, MW_AGENT_HUMAN);
        rig->files_are_talk = talk == 1;
        size_t before = rig->line_count;
        (void)rig_do(rig, MW_REQ_ANSWER_ITEM,
                     "{\"action\":\"answer\",\"payload\":{\"answer\":\"this\"},\"filesSha256\":"
                     "\"00ff\"}",
                     run->item, 0);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        assert_int_equal(mw_event_read(&rig->definitions, rig_line(rig, before), &event, &err),
                         MW_OK);
        assert_int_equal(event.kind, MW_EVT_TASK_RESULT);
        assert_true(mw_str_is(event.files_sha256, talk == 1 ? "" : "00ff"));
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_agents_fit_their_block),
        cmocka_unit_test(P14_a_definition_that_is_too_long_and_long_words_stay_out_of_records),
        cmocka_unit_test(P14_no_record_is_deeper_than_can_be_read),
        cmocka_unit_test(P14_of_a_large_answer_the_record_has_what_fits),
        cmocka_unit_test(P14_what_a_definition_makes_can_be_read_or_fails),
        cmocka_unit_test(P08_an_app_that_no_folder_can_hold_spoils_no_later_build),
        cmocka_unit_test(P14_a_prompt_has_one_limit_everywhere),
        cmocka_unit_test(P14_a_message_from_outside_has_a_limit),
        cmocka_unit_test(P14_the_name_of_a_trace_has_a_limit),
        cmocka_unit_test(P13_a_message_of_another_contract_is_refused),
        cmocka_unit_test(P20_why_it_was_cancelled_and_which_request_was_bad_is_recorded),
        cmocka_unit_test(P20_a_person_brings_files_and_not_their_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
