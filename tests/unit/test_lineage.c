/*
 * test_lineage.c - P12 P18 P20: which version is put where. A rollback brings back what stood in the app before, whatever was put elsewhere, put there
 * again or came to nothing; only the current version is promoted; and nobody who promotes may ask for less review than a promotion has.
 */
#include "core_runs.h"

/* What the promotion on its way is to put somewhere. */
static uint64_t version_on_its_way(struct rig *rig)
{
    struct mw_event event;
    struct mw_err err;
    for (size_t i = rig->line_count; i > 0; i--) {
        mw_arena_reset(&rig->body);
        assert_int_equal(mw_event_read(&rig->body, rig_line(rig, i - 1), &event, &err), MW_OK);
        if (event.kind == MW_EVT_PROMOTION_STARTED)
            return event.version;
    }
    return 0;
}

static void P12_a_rollback_is_to_what_stood_in_the_app_before(void **state)
{
    static const struct {
        enum { ACCEPT, PROMOTE, ELSEWHERE, FAIL, ROLLBACK } what;
        uint32_t version; /* what is put there; of a rollback 0: there is nothing to go back to */
        uint32_t stands;  /* in the app from then on */
        uint32_t before;
    } rows[] = {
        {ACCEPT, 0, 0, 0},    {ELSEWHERE, 1, 0, 0}, {ROLLBACK, 0, 0, 0}, {PROMOTE, 1, 1, 0},
        {ROLLBACK, 0, 1, 0},  {PROMOTE, 1, 1, 0},   {ROLLBACK, 0, 1, 0}, {ACCEPT, 0, 1, 0},
        {ELSEWHERE, 2, 1, 0}, {ROLLBACK, 0, 1, 0},  {FAIL, 2, 1, 0},     {ROLLBACK, 0, 1, 0},
        {PROMOTE, 2, 2, 1},   {PROMOTE, 2, 2, 1},   {ACCEPT, 0, 2, 1},   {ELSEWHERE, 3, 2, 1},
        {ROLLBACK, 1, 1, 2},  {FAIL, 3, 1, 2},      {ROLLBACK, 2, 2, 1}, {PROMOTE, 3, 3, 2},
        {ROLLBACK, 2, 2, 3},
    };
    struct rig *rig = begin("gate");
    char body[120];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const char *target = rows[i].what == ELSEWHERE ? "/elsewhere" : "app";
        if (rows[i].what == ACCEPT) {
            snprintf(body, sizeof body, "gate %zu", i);
            accept_version(rig, body);
        } else if (rows[i].what == ROLLBACK) {
            (void)rig_do(rig, MW_REQ_ROLLBACK, "{}", 0, 0);
        } else {
            snprintf(body, sizeof body, "{\"target\":\"%s\"}", target);
            (void)rig_do(rig, MW_REQ_PROMOTE, body, 0, 0);
        }
        if ((rig->result.rc == MW_OK) != (rows[i].what == ACCEPT || rows[i].version != 0))
            fail_msg("row %zu is %s", i, mw_rc_name(rig->result.rc));
        if (rows[i].what != ACCEPT && rig->result.rc == MW_OK) {
            if (version_on_its_way(rig) != rows[i].version)
                fail_msg("row %zu: version %lu is put there", i, version_on_its_way(rig));
            rig_crash(rig, rig->durable);
            snprintf(body, sizeof body,
                     rows[i].what == FAIL ? "{\"error\":\"no\",\"class\":\"io\",\"target\":\"%s\"}"
                                          : "{\"sha256\":\"00ff\",\"target\":\"%s\"}",
                     target);
            (void)rig_do(rig, MW_REQ_RECORD_PROMOTION, body, 0, run_that(rig, MW_OPENS_STAGE)->seq);
        }
        for (unsigned life = 0; life < 2; life++) {
            const struct mw_session *session = &rig->core.session;
            if (session->promoted != rows[i].stands || session->promoted_last != rows[i].before)
                fail_msg("row %zu: %u stands there and %u did before", i, session->promoted,
                         session->promoted_last);
            rig_crash(rig, rig->durable);
        }
    }
    rig_free(rig);
}

/* A rollback needs no review, since what it brings back had one: that is not for whoever promotes to say. */
static void P18_a_promotion_has_two_modes_and_none_without_review(void **state)
{
    static const struct {
        const char *mode;
        const char *mode_noted; /* NULL: it is refused */
    } rows[] = {{"", "refuse"},
                {"adopt-edits", "adopt-edits"},
                {"discard-edits", "discard-edits"},
                {"rollback", NULL},
                {"Rollback", NULL},
                {"refuse", NULL},
                {"adopt-edits ", NULL}};
    struct rig *rig = begin("gate");
    char body[120];
    (void)state;
    accept_version(rig, "a gate");
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        snprintf(body, sizeof body, "{\"mode\":\"%s\"}", rows[i].mode);
        (void)rig_do(rig, MW_REQ_PROMOTE, body, 0, 0);
        if (rig->result.rc != (rows[i].mode_noted != NULL ? MW_OK : MW_E_INPUT))
            fail_msg("'%s' is %s", rows[i].mode, mw_rc_name(rig->result.rc));
        if (rows[i].mode_noted == NULL)
            continue;
        struct mw_event event;
        struct mw_err err;
        mw_arena_reset(&rig->body);
        assert_int_equal(
            mw_event_read(&rig->body, rig_line(rig, rig->line_count - 1), &event, &err), MW_OK);
        assert_int_equal(event.kind, MW_EVT_PROMOTION_STARTED);
        assert_true(mw_str_is(event.mode, rows[i].mode_noted));
        (void)rig_do(rig, MW_REQ_RECORD_PROMOTION, "{\"error\":\"no\",\"target\":\"app\"}", 0,
                     event.seq);
    }
    rig_free(rig);
}

static void draft(struct rig *rig, unsigned number)
{
    char body[100];
    snprintf(body, sizeof body, "{\"prompt\":\"gate %u\"}", number);
    (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, body, 0, 0);
    const struct rig_run *run = run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                 rig_result_body(rig, MW_STR("PlanSketched"), MW_STR("{\"app\":\"gate\"}")),
                 run->item, run->seq);
    run = run_that(rig, MW_OPENS_STAGE);
    (void)rig_do(rig, MW_REQ_RECORD_STAGE, rig_stage_body(), run->item, run->seq);
    run = run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                 "{\"type\":\"SiteChecked\",\"payload\":{\"result\":\"Passed\"}}", run->item,
                 run->seq);
}

/* What an acceptance says of older drafts has its limit: one more is refused with what to do, and nobody dies of it. */
static void P09_so_many_drafts_are_stale_at_once_and_no_more(void **state)
{
    enum { DRAFTS = 130 };
    struct rig *rig = begin("gate");
    (void)state;
    rig->quiet_dump = true;
    for (unsigned i = 1; i <= DRAFTS; i++)
        draft(rig, i);
    (void)rig_do(rig, MW_REQ_ACCEPT_DRAFT, "{\"buildId\":\"v130\"}", 0, 0);
    assert_int_equal(rig->result.rc, MW_E_LIMIT);
    assert_int_equal(rig->kind_count[MW_EVT_ARTIFACT_STALE], 0);
    (void)rig_do(rig, MW_REQ_REJECT_DRAFT, "{\"buildId\":\"v1\"}", 0, 0);
    (void)rig_do(rig, MW_REQ_ACCEPT_DRAFT, "{\"buildId\":\"v130\"}", 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
    assert_int_equal(rig->kind_count[MW_EVT_ARTIFACT_STALE], DRAFTS - 2);
    rig_free(rig);
}

/* The same words for another journey are another intent. */
static void P05_an_intent_is_the_same_for_its_journey_only(void **state)
{
    struct rig *rig = begin("gate");
    char hex[MW_TRACE_SHA256_HEX];
    (void)state;
    (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, "{\"prompt\":\"a gate\"}", 0, 0);
    const struct mw_trace *trace = mw_world_trace(&rig->core.world, rig->result.trace);
    struct mw_str sha256 = mw_trace_document_sha256(trace, 0, hex);
    const struct mw_session *session = &rig->core.session;
    assert_true(sha256.len > 0);
    assert_int_equal(mw_session_same_intent(&rig->core.world, session, sha256, MW_STR("new_app")),
                     trace->id);
    assert_int_equal(mw_session_same_intent(&rig->core.world, session, sha256, MW_STR("other")), 0);
}

/* Each family of a version comes from the version that was current when it was accepted. */
static void P20_what_is_accepted_says_which_version_it_comes_from(void **state)
{
    struct rig *rig = begin("gate");
    (void)state;
    for (uint64_t version = 1; version <= 3; version++) {
        char prompt[40];
        uint32_t accepted = 0;
        size_t first = rig->line_count;
        snprintf(prompt, sizeof prompt, "gate %lu", (unsigned long)version);
        accept_version(rig, prompt);
        for (size_t i = first; i < rig->line_count; i++) {
            struct mw_event event;
            struct mw_err err;
            mw_arena_reset(&rig->body);
            assert_int_equal(mw_event_read(&rig->body, rig_line(rig, i), &event, &err), MW_OK);
            if (event.kind != MW_EVT_ARTIFACT_ACCEPTED)
                continue;
            assert_int_equal(event.version, version);
            assert_int_equal(event.parent_version, version - 1);
            accepted++;
        }
        assert_int_equal(accepted, 1);
        rig_crash(rig, rig->durable);
    }
    rig_free(rig);
}

/* Nobody decides which of two is meant but who accepts, or rejects. */
static void P20_of_several_drafts_one_is_named(void **state)
{
    static const struct {
        enum mw_request_kind kind;
        const char *body;
        enum mw_rc rc;
    } rows[] = {{MW_REQ_ACCEPT_DRAFT, "{}", MW_E_USAGE},
                {MW_REQ_REJECT_DRAFT, "{\"why\":\"no\"}", MW_E_USAGE},
                {MW_REQ_REJECT_DRAFT, "{\"why\":\"no\",\"buildId\":\"v2\"}", MW_OK},
                {MW_REQ_ACCEPT_DRAFT, "{}", MW_OK}};
    struct rig *rig = begin("gate");
    (void)state;
    draft_version(rig, "a gate");
    draft_version(rig, "another gate");
    assert_int_equal(rig->core.session.build_count, 2);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        (void)rig_do(rig, rows[i].kind, rows[i].body, 0, 0);
        if (rig->result.rc != rows[i].rc)
            fail_msg("row %zu is %s: %.*s", i, mw_rc_name(rig->result.rc),
                     MW_STR_ARG(rig->result.refusal));
        if (rows[i].rc != MW_OK)
            assert_true(mw_str_is(rig->result.pointer, "/buildId"));
    }
    assert_int_equal(rig->core.session.builds[rig->core.session.current - 1].version, 1);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P09_so_many_drafts_are_stale_at_once_and_no_more),
        cmocka_unit_test(P05_an_intent_is_the_same_for_its_journey_only),
        cmocka_unit_test(P12_a_rollback_is_to_what_stood_in_the_app_before),
        cmocka_unit_test(P18_a_promotion_has_two_modes_and_none_without_review),
        cmocka_unit_test(P20_what_is_accepted_says_which_version_it_comes_from),
        cmocka_unit_test(P20_of_several_drafts_one_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
