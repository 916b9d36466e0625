/* What the views tell of documents and of the stream of events. */
#include "view_answers.h"

static void documents_are_given_whole(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "document trace=v1 name=intent");
    assert_text(&answer, "/prompt", "notes");
    assert_text(&answer, "/source", "cli"); /* of the body, not of the record */
    done(&answer);
    answer = ask(&everything, "document trace=v1 name=design");
    assert_text(&answer, "/services/0/serviceName", "NoteService");
    done(&answer);
}

static void every_attempt_begins_once_and_ends_once(void **state)
{
    (void)state;
    struct answer began = ask(&everything, "events type=AgentActionStarted");
    struct answer ended = ask(&everything, "events type=AgentActionCompleted");
    struct answer routed = ask(&everything, "events type=TaskRouted");
    struct answer asked = ask(&everything, "events type=RouteTaskToAgent");
    uint32_t attempts = mw_node_count(&asked.tape, at(&asked, "/events"));
    assert_true(attempts > 20);
    assert_count(&began, "/events", attempts);
    assert_count(&routed, "/events", attempts);
    assert_count(&ended, "/events", attempts - 1); /* the question waits */
    assert_text(&routed, "/events/0/payload/toAgent", "vision-architect");
    struct mw_str one = mw_node_str(&routed.tape, at(&routed, "/events/0/messageId"));
    struct mw_str other = mw_node_str(&began.tape, at(&began, "/events/0/messageId"));
    assert_false(mw_str_eq(one, other));
    done(&began);
    done(&ended);
    done(&routed);
    done(&asked);
}

/* A completed task is told by its result, under both names and one id (TG-10: what follows names it as its cause); what 0.1.0 wrote as two
 * records is shown as what is written as one. */
static void a_result_is_its_tasks_end(void **state)
{
    static struct story stories[2];
    struct answer shown[2];
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct story *story = &stories[i];
        struct story_task task = {
            .skill = "GenerateAppConfig", .agent = "config-writer", .subject = "App"};
        char question[64];
        story_open(story);
        story->ends_with_result = i == 1;
        story_begin(story);
        story_intent(story, "notes", NULL);
        mw_seq item = story_dispatch(story, &task);
        mw_seq result =
            story_result(story, item, &task, &(struct story_result){.type = "AppConfigured"});
        struct answer ended = ask(story, "events type=TaskCompleted");
        assert_count(&ended, "/events", 1);
        assert_text(&ended, "/events/0/outcome", "completed");
        assert_text(&ended, "/events/0/messageId",
                    story_id(story, "m", result + (i == 0 ? 1 : 0)).ptr);
        done(&ended);
        (void)snprintf(question, sizeof question, "show id=%s", story_id(story, "t", item).ptr);
        shown[i] = ask(story, question);
    }
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t took = at(&shown[i], "/task/attempts/0/duration_ms");
        assert_text(&shown[i], "/task/state", "completed");
        assert_text(&shown[i], "/task/attempts/0/outcome", "completed");
        assert_text(&shown[i], "/task/attempts/0/type", "AppConfigured");
        assert_true(mw_node_int(&shown[i].tape, took, 0) > 40);
        done(&shown[i]);
        story_close(&stories[i]);
    }
}

/* Page by page, whatever the size of a page, the stream is the same: nothing twice, nothing lost. */
static void pages_of_events_join_without_a_seam(void **state)
{
    (void)state;
    struct answer whole = ask(&everything, "events trace=v2 limit=100000");
    uint32_t count = mw_node_count(&whole.tape, at(&whole, "/events"));
    assert_false(mw_node_bool(&whole.tape, at(&whole, "/more"), true));
    for (unsigned limit = 1; limit <= 7; limit++) {
        uint32_t seen = 0;
        int64_t after = 0;
        bool more = true;
        while (more) {
            char question[96];
            (void)snprintf(question, sizeof(question), "events trace=v2 limit=%u after=%ld", limit,
                           (long)after);
            struct answer page = ask(&everything, question);
            seen += mw_node_count(&page.tape, at(&page, "/events"));
            after = mw_node_int(&page.tape, at(&page, "/last"), 0);
            more = mw_node_bool(&page.tape, at(&page, "/more"), false);
            done(&page);
        }
        assert_int_equal(seen, count);
    }
    done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_given_whole),
        cmocka_unit_test(every_attempt_begins_once_and_ends_once),
        cmocka_unit_test(a_result_is_its_tasks_end),
        cmocka_unit_test(pages_of_events_join_without_a_seam),
    };
    return cmocka_run_group_tests(tests, open_everything, close_everything);
}
