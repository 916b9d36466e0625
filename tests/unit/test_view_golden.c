/*
 * Every view of one journal (two versions accepted and promoted, a rejected draft, a build whose tests failed, a question that waits), held
 * against tests/golden/views/. MILLWRIGHT_GOLDEN_UPDATE=1 writes them anew: then read the difference before you believe it.
 */
#include "view_story.h"

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
    if (getenv("MILLWRIGHT_GOLDEN_UPDATE") != NULL)
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
        cmocka_unit_test(an_empty_journal_has_a_status),
    };
    return cmocka_run_group_tests(tests, open_everything, close_everything);
}
