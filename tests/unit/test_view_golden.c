/*
 * Every view of one journal (two versions accepted and promoted, a rejected draft, a build whose tests failed, a question that waits), held
 * against tests/golden/views/. MW_GOLDEN=1 writes them anew: then read the difference before you believe it.
 */
#include "view_scenes.h"

#include <fcntl.h>

#ifndef MW_SOURCE_DIR
#define MW_SOURCE_DIR "."
#endif

static struct story everything;

static int open_everything(void **state)
{
    (void)state;
    story_open(&everything);
    story_everything(&everything);
    return 0;
}

static int close_everything(void **state)
{
    (void)state;
    story_close(&everything);
    return 0;
}

/* One member a line, so that a difference can be read. */
static void put_pretty(struct mw_buf *buf, const struct mw_tape *tape, uint32_t node, unsigned deep)
{
    bool object = mw_node_type(tape, node) == MW_NODE_OBJECT;
    if ((!object && mw_node_type(tape, node) != MW_NODE_ARRAY) || mw_node_count(tape, node) == 0) {
        struct mw_json json;
        mw_json_init(&json, buf);
        mw_json_node(&json, tape, node);
        return;
    }
    mw_buf_put_c(buf, object ? '{' : '[');
    for (uint32_t at = mw_node_first(tape, node); at != MW_NODE_NONE;
         at = mw_node_after(tape, node, at)) {
        if (at != mw_node_first(tape, node))
            mw_buf_put_c(buf, ',');
        mw_buf_printf(buf, "\n");
        for (unsigned i = 0; i <= deep; i++)
            mw_buf_put_z(buf, " ");
        if (object)
            mw_buf_printf(buf, "\"%.*s\": ", MW_STR_ARG(tape->nodes[at].text));
        put_pretty(buf, tape, object ? at + 1 : at, deep + 1);
    }
    mw_buf_printf(buf, "\n");
    for (unsigned i = 0; i < deep; i++)
        mw_buf_put_z(buf, " ");
    mw_buf_put_c(buf, object ? '}' : ']');
}

static struct mw_buf pretty(struct mw_str text)
{
    struct mw_buf buf = mw_heap_buf();
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err;
    mw_heap_arena(&arena, 64u << 20);
    if (mw_json_parse(&arena, text, &tape, &err) != MW_OK)
        fail_msg("the view is not JSON: %s in %.*s", err.text, MW_STR_ARG(text));
    put_pretty(&buf, &tape, 0, 0);
    mw_buf_put_c(&buf, '\n');
    mw_heap_arena_free(&arena);
    return buf;
}

static void hold(const struct story *story, const char *name, const char *question)
{
    char path[512];
    struct mw_buf out = mw_heap_buf(), wanted = mw_heap_buf();
    struct mw_err err = {0};
    enum mw_rc rc = story_ask(story, question, &out, &err);
    if (rc != MW_OK)
        fail_msg("%s: %s", question, err.text);
    struct mw_buf got = pretty(mw_buf_str(&out));
    (void)snprintf(path, sizeof(path), "%s/tests/golden/views/%s.json", MW_SOURCE_DIR, name);
    if (getenv("MW_GOLDEN") != NULL)
        assert_int_equal(mw_file_replace(AT_FDCWD, path, mw_buf_str(&got), 0644, &err), MW_OK);
    if (mw_file_read(AT_FDCWD, path, 16u << 20, &wanted, &err) != MW_OK)
        fail_msg("%s", err.text);
    if (!mw_str_eq(mw_buf_str(&got), mw_buf_str(&wanted)))
        fail_msg("%s is not what %s says; the view gives\n%.*s", question, path,
                 MW_STR_ARG(mw_buf_str(&got)));
    mw_heap_buf_free(&out);
    mw_heap_buf_free(&got);
    mw_heap_buf_free(&wanted);
}

#define GOLDEN(name, question)                                                                     \
    static void name##_is_as_written(void **state)                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        hold(&everything, #name, question);                                                        \
    }

GOLDEN(status, "status")
GOLDEN(builds, "builds")
GOLDEN(build, "build build=v2")
GOLDEN(artifacts, "artifacts")
GOLDEN(plan, "plan build=v2")
GOLDEN(traces, "traces")
GOLDEN(trace, "trace build=v2")
GOLDEN(groups, "groups trace=v2")
GOLDEN(coordinators, "coordinators trace=v2")
GOLDEN(items, "items")
GOLDEN(agents, "agents")
GOLDEN(review, "review build=v2")
GOLDEN(review_of_rejected, "review build=v3")
GOLDEN(why, "why path=app/services/note/src/handlers/pin-note.js line=1")
GOLDEN(failure, "failure")
GOLDEN(document, "document trace=v1 name=blueprint")
GOLDEN(route, "route task=GenerateHandler domain=Notes")
GOLDEN(events, "events type=AgentActionCompleted limit=3")

/* ---- runs, chains, what is remembered: a journal of their own ---- */

/* One turn with one task, which completes or fails. */
static void tell_turn(struct story *story, mw_seq chain, const char *role, uint64_t iteration,
                      const char *event_type, const char *reason)
{
    struct story_task task = {.skill = "ScaffoldService",
                              .agent = "backend-developer",
                              .subject = "ScaffoldService",
                              .owner = story->run,
                              .scope = story->run,
                              .node = UINT32_MAX};
    TELL(story, TURN_STARTED, .trace = story->trace, .item = story->run, .scope_item = story->run,
         .owner = chain, .role = mw_str_of(role), .iteration = iteration);
    mw_seq item = story_dispatch(story, &task);
    if (reason == NULL) {
        story_result(story, item, &task, &(struct story_result){.type = event_type});
    } else {
        TELL(story, TASK_FAILED, .trace = story->trace, .item = item, .owner = story->run,
             .scope_item = story->run, .task_type = mw_str_of(task.skill), .attempt = 1,
             .error_class = MW_STR("tool"), .reason = mw_str_of(reason));
        TELL(story, TASK_ENDED, .type = MW_STR("TaskEnded"), .trace = story->trace, .item = item,
             .owner = story->run, .scope_item = story->run, .task_type = mw_str_of(task.skill),
             .outcome = MW_STR("failed"), .reason = mw_str_of(reason),
             .error_class = MW_STR("tool"), .attempt = 1);
    }
    TELL(story, TURN_ENDED, .trace = story->trace, .item = story->run, .scope_item = story->run,
         .owner = chain, .iteration = iteration,
         .outcome = reason == NULL ? MW_STR("completed") : MW_STR("failed"),
         .reason = mw_str_of(reason), .event_type = mw_str_of(event_type));
}

static void tell_run(struct story *story, mw_seq chain, const char *workflow, uint64_t step)
{
    struct mw_str chain_id = story_id(story, "chain", chain);
    TELL(story, CHAIN_STEP, .trace = story->trace, .item = chain, .scope_item = chain, .step = step,
         .workflow = mw_str_of(workflow));
    story->run = story_next(story);
    story->session_id = story_id(story, "run", story->run);
    TELL(story, RUN_STARTED, .trace = story->trace, .owner = chain, .run_id = story->session_id,
         .preset = mw_str_of(workflow), .objective = MW_STR("a thing"),
         .project_dir = MW_STR("factory/workflows"), .work_dir = MW_STR(".millwright/work"),
         .created_at = MW_STR("2026-03-01T00:00:00.000000Z"), .backend = MW_STR("routed"),
         .trigger = MW_STR("chain"), .parent_run_id = chain_id);
}

/* Three steps of which the second fails; three things remembered, one of them forgotten. */
static void tell_loops(struct story *story)
{
    story_begin(story);
    TELL(story, MEMORY_ADDED, .memory_kind = MW_STR("learning"),
         .memory_text = MW_STR("tests run with node --test"), .actor = MW_STR("user:ada"));
    mw_seq forgotten = TELL(story, MEMORY_ADDED, .memory_kind = MW_STR("meta"),
                            .memory_text = MW_STR("wrong"), .actor = MW_STR("user:ada"));
    TELL(story, MEMORY_REMOVED, .memory_id = forgotten, .actor = MW_STR("user:bob"));
    TELL(story, MEMORY_ADDED, .memory_kind = MW_STR("preference"),
         .memory_text = MW_STR("short names"), .actor = MW_STR("user:bob"));
    story->trace = story_next(story);
    story->trace_id = story_id(story, "tr", story->trace);
    TELL(story, TRACE_OPENED, .trace = story->trace, .user_prompt = MW_STR("a thing"),
         .source = MW_STR("cli"), .actor = MW_STR("user:ada"));
    mw_seq chain = story_next(story);
    story->session_id = story_id(story, "chain", chain);
    TELL(story, CHAIN_STARTED, .trace = story->trace, .run_id = story->session_id,
         .objective = MW_STR("a thing"), .workflows = MW_STR("[\"Alpha\",\"Beta\",\"Gamma\"]"),
         .trigger = MW_STR("cli"), .parent_run_id = MW_STR(""));
    tell_run(story, chain, "Alpha", 1);
    tell_turn(story, chain, "maker", 1, "ServiceScaffolded", NULL);
    tell_turn(story, chain, "checker", 2, "ThingChecked", NULL);
    TELL(story, RUN_COMPLETED, .trace = story->trace, .item = story->run, .scope_item = story->run,
         .owner = chain, .outcome = MW_STR("completed"), .iteration = 2,
         .event_type = MW_STR("ThingChecked"));
    tell_run(story, chain, "Beta", 2);
    tell_turn(story, chain, "maker", 1, NULL, "no clay");
    TELL(story, RUN_STOPPED, .trace = story->trace, .item = story->run, .scope_item = story->run,
         .owner = chain, .outcome = MW_STR("failed"), .reason = MW_STR("no clay"), .iteration = 1);
    TELL(story, CHAIN_ENDED, .trace = story->trace, .item = chain, .scope_item = chain,
         .outcome = MW_STR("failed"), .reason = MW_STR("no clay"), .step = 2);
    TELL(story, TRACE_ENDED, .trace = story->trace, .outcome = MW_STR("failed"),
         .reason = MW_STR("no clay"));
}

static void runs_chains_and_memory_are_as_written(void **state)
{
    (void)state;
    struct story loops;
    char first[64];
    story_open(&loops);
    hold(&loops, "memory_empty", "memory");
    hold(&loops, "chains_empty", "chains");
    tell_loops(&loops);
    hold(&loops, "memory", "memory");
    hold(&loops, "chains", "chains");
    hold(&loops, "chain", "chain");
    hold(&loops, "run_that_failed", "run");
    hold(&loops, "trace_of_chain", "trace");
    hold(&loops, "show_chain", "show id=chain-ab12cd-12");
    uint32_t at = 0;
    while (!mw_str_starts(story_line(&loops, at), MW_STR("{\"kind\":\"loop.start\"")))
        at++; /* the first run */
    (void)snprintf(first, sizeof(first), "run id=run-ab12cd-%u", at + 1);
    hold(&loops, "run", first);
    story_close(&loops);
}

static void what_is_not_there_is_missing(void **state)
{
    static const char *const questions[] = {"run", "run id=run-ab12cd-900", "chain",
                                            "chain id=chain-ab12cd-900"};
    struct story loops;
    struct mw_buf out = mw_heap_buf();
    struct mw_err err;
    (void)state;
    story_open(&loops);
    story_begin(&loops);
    for (size_t i = 0; i < MW_COUNT(questions); i++)
        assert_int_equal(story_ask(&loops, questions[i], &out, &err), MW_E_MISSING);
    story_close(&loops);
    mw_heap_buf_free(&out);
}

static void an_empty_journal_has_a_status(void **state)
{
    (void)state;
    struct story empty;
    story_open(&empty);
    hold(&empty, "status_empty", "status");
    story_close(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_as_written),
        cmocka_unit_test(builds_is_as_written),
        cmocka_unit_test(build_is_as_written),
        cmocka_unit_test(artifacts_is_as_written),
        cmocka_unit_test(plan_is_as_written),
        cmocka_unit_test(traces_is_as_written),
        cmocka_unit_test(trace_is_as_written),
        cmocka_unit_test(groups_is_as_written),
        cmocka_unit_test(coordinators_is_as_written),
        cmocka_unit_test(items_is_as_written),
        cmocka_unit_test(agents_is_as_written),
        cmocka_unit_test(review_is_as_written),
        cmocka_unit_test(review_of_rejected_is_as_written),
        cmocka_unit_test(why_is_as_written),
        cmocka_unit_test(failure_is_as_written),
        cmocka_unit_test(document_is_as_written),
        cmocka_unit_test(route_is_as_written),
        cmocka_unit_test(events_is_as_written),
        cmocka_unit_test(runs_chains_and_memory_are_as_written),
        cmocka_unit_test(what_is_not_there_is_missing),
        cmocka_unit_test(an_empty_journal_has_a_status),
    };
    return cmocka_run_group_tests(tests, open_everything, close_everything);
}
