/*
 * What views promise beside their shape: which ids they know, what they refuse and in which words, what they count, and that they keep
 * only what they need.
 */
#include "view/internal.h"
#include "view_answers.h"

/* ---- ids ---- */

static void a_build_is_known_by_every_id_it_has(void **state)
{
    static const char *const ids[] = {"b-ab12cd-80", "reg-ab12cd-90", "tr-ab12cd-79", "v2", "2"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(ids); i++) {
        char question[64];
        (void)snprintf(question, sizeof(question), "build build=%s", ids[i]);
        struct answer answer = ask(&everything, question);
        assert_text(&answer, "/build/build_id", "b-ab12cd-80");
        assert_text(&answer, "/build/build_registry_id", "reg-ab12cd-90");
        done(&answer);
    }
}

static void a_trace_is_found_by_any_id_that_lies_in_it(void **state)
{
    static const char *const ids[] = {"tr-ab12cd-79",  "b-ab12cd-80",    "v2",
                                      "run-ab12cd-83", "svc-ab12cd-105", "t-ab12cd-112",
                                      "m-ab12cd-113"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(ids); i++) {
        char question[64];
        (void)snprintf(question, sizeof(question), "trace id=%s", ids[i]);
        struct answer answer = ask(&everything, question);
        assert_text(&answer, "/traceId", "tr-ab12cd-79");
        done(&answer);
    }
}

static void unknown_ids_are_missing_with_words(void **state)
{
    (void)state;
    assert_refused(&everything, "build build=b-ab12cd-7", MW_E_MISSING, "no build 'b-ab12cd-7'");
    assert_refused(&everything, "build build=v9", MW_E_MISSING, "no build 'v9'");
    assert_refused(&everything, "trace id=tr-ab12cd-4000", MW_E_MISSING, "no trace");
    assert_refused(&everything, "trace id=t-ffffff-112", MW_E_MISSING, "no trace 't-ffffff-112'");
    assert_refused(&everything, "review build=v9", MW_E_MISSING, "no build 'v9'");
    assert_refused(&everything, "review build=b-ab12cd-221", MW_E_MISSING, "no files to review");
    assert_refused(&everything, "group id=nobody", MW_E_MISSING, "no task group 'nobody'");
    assert_refused(&everything, "coordinator id=svc-ab12cd-112 trace=v2", MW_E_MISSING,
                   "no coordinator");
    assert_refused(&everything, "show id=x-1", MW_E_MISSING, "'x-1'");
    assert_refused(&everything, "show id=9999", MW_E_MISSING, "no record 9999");
    assert_refused(&everything, "agents id=nobody", MW_E_MISSING, "no agent 'nobody'");
    assert_refused(&everything, "artifacts family=nothing", MW_E_MISSING, "no artifact family");
    assert_refused(&everything, "why path=README.md", MW_E_MISSING, "not generated here");
    assert_refused(&everything, "failure trace=v2", MW_E_MISSING, "nothing has failed");
    assert_refused(&everything, "document trace=tr-ab12cd-271 name=design", MW_E_MISSING,
                   "no design");
    assert_refused(&everything, "plan trace=tr-ab12cd-271", MW_E_MISSING, "no plan");
}

static void wrong_words_are_usage(void **state)
{
    (void)state;
    assert_refused(&everything, "nonsense", MW_E_USAGE, "no view 'nonsense'");
    assert_refused(&everything, "show", MW_E_USAGE, "id=ID");
    assert_refused(&everything, "why", MW_E_USAGE, "name a file of the app");
    assert_refused(&everything, "route", MW_E_USAGE, "--task SKILL");
    assert_refused(&everything, "document name=everything", MW_E_USAGE, "name=");
    assert_refused(&everything, "events after=soon", MW_E_USAGE, "whole number");
    assert_refused(&everything, "events limit=0", MW_E_USAGE, "limit");
    assert_refused(&everything, "why path=services/note/src/main.js line=9", MW_E_USAGE,
                   "no line 9");
}

static void an_empty_journal_answers_lists_and_refuses_the_rest(void **state)
{
    static const char *const lists[] = {"builds", "traces", "items", "agents", "artifacts"};
    (void)state;
    struct story empty;
    story_open(&empty);
    for (size_t i = 0; i < MW_COUNT(lists); i++) {
        struct answer answer = ask(&empty, lists[i]);
        assert_int_equal(answer.rc, MW_OK);
        done(&answer);
    }
    struct answer answer = ask(&empty, "events");
    assert_count(&answer, "/events", 0);
    done(&answer);
    assert_refused(&empty, "build", MW_E_MISSING, "nothing was built here yet");
    assert_refused(&empty, "review", MW_E_MISSING, "nothing was built here yet");
    assert_refused(&empty, "trace", MW_E_MISSING, "nothing was asked for here yet");
    assert_refused(&empty, "failure", MW_E_MISSING, "nothing was asked for here yet");
    assert_refused(&empty, "why path=a", MW_E_MISSING, "nothing was built here yet");
    story_close(&empty);
}

static void show_knows_what_an_id_is(void **state)
{
    static const struct {
        const char *id, *what;
    } known[] = {{"112", "record"},
                 {"m-ab12cd-112", "record"},
                 {"t-ab12cd-112", "task"},
                 {"grp-ab12cd-110", "group"},
                 {"svc-ab12cd-105", "coordinator"},
                 {"run-ab12cd-83", "run"},
                 {"b-ab12cd-80", "build"},
                 {"v2", "build"},
                 {"tr-ab12cd-79", "trace"},
                 {"qa-engineer", "agent"},
                 {"reg-ab12cd-90", "build"}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(known); i++) {
        char question[64];
        (void)snprintf(question, sizeof(question), "show id=%s", known[i].id);
        struct answer answer = ask(&everything, question);
        assert_text(&answer, "/what", known[i].what);
        done(&answer);
    }
}

/* ---- review ---- */

static void review_counts_what_the_tree_holds(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "review build=v2");
    assert_number(&answer, "/files/count", 3);
    assert_count(&answer, "/files/list", 3);
    assert_text(&answer, "/files/from", "bundle");
    assert_text(&answer, "/files/list/0/task", "t-ab12cd-111");
    assert_number(&answer, "/changes/changed", 1);
    assert_number(&answer, "/changes/added", 0);
    assert_text(&answer, "/changes/list/0/path", "services/note/src/handlers/pin-note.js");
    assert_number(&answer, "/changes/against/version", 1);
    assert_count(&answer, "/validation/validators", 2);
    assert_text(&answer, "/summary/notUnderstood/0", "soon");
    done(&answer);
}

/* P18 P20: the same bytes as a program are something else. */
static void a_file_that_only_became_a_program_is_a_change(void **state)
{
    (void)state;
    for (unsigned runs = 0; runs < 2; runs++) {
        struct story story;
        struct story_plot plot = {
            .prompt = "notes", .storage = "File", .pin_code = "pin()\n", .keeps_manifest = true};
        story_open(&story);
        story_begin(&story);
        story_build(&story, &plot, 0);
        story_accept(&story);
        plot.pin_is_program = runs == 1;
        story_build(&story, &plot, 1);
        struct answer answer = ask(&story, "review");
        assert_number(&answer, "/changes/against/version", 1);
        assert_number(&answer, "/changes/changed", runs);
        assert_count(&answer, "/changes/list", runs);
        if (runs == 1)
            assert_text(&answer, "/changes/list/0/path", "services/note/src/handlers/pin-note.js");
        done(&answer);
        story_close(&story);
    }
}

/* Without the bundle's own list of files the tasks' lists say the same. */
static void review_falls_back_on_what_the_tasks_wrote(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "review build=v3");
    assert_text(&answer, "/files/from", "tasks");
    assert_number(&answer, "/files/count", 3);
    assert_text(&answer, "/files/list/2/path", "services/note/src/main.js");
    assert_text(&answer, "/decisions/0/decision", "rejected");
    assert_text(&answer, "/decisions/0/actor", "user:ada");
    assert_text(&answer, "/decisions/0/why", "not red enough");
    done(&answer);
}

static void mongodb_is_labelled_until_its_tests_ran(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "review build=v2");
    assert_text(&answer, "/labels/0/about", "MongoDB");
    assert_text(&answer, "/labels/0/text", "written, not exercised on this machine");
    done(&answer);
    answer = ask(&everything, "review build=v1");
    assert_count(&answer, "/labels", 0);
    done(&answer);
    struct story story;
    story_open(&story);
    story_begin(&story);
    story_build(
        &story,
        &(struct story_plot){
            .prompt = "notes", .storage = "MongoDB", .pin_code = "pin()\n", .keeps_manifest = true},
        0);
    answer = ask(&story, "review");
    assert_text(&answer, "/build/status", "draft");
    assert_text(&answer, "/summary/services/0/storage", "MongoDB");
    assert_count(&answer, "/labels", 0);
    done(&answer);
    story_close(&story);
}

static void review_prefers_the_draft(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "review");
    assert_text(&answer, "/build/build_id", "b-ab12cd-80"); /* no draft: the current one */
    done(&answer);
}

/* ---- people, agents, failures ---- */

static void an_answered_question_waits_no_more(void **state)
{
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    mw_seq item = story_question(&story);
    struct answer answer = ask(&story, "items");
    assert_count(&answer, "/items", 1);
    assert_number(&answer, "/items/0/number", (int64_t)item);
    done(&answer);
    answer = ask(&story, "traces");
    assert_text(&answer, "/traces/0/state", "waiting");
    done(&answer);
    answer = ask(&story, "agents id=human-reviewer");
    assert_number(&answer, "/agents/0/running", 1);
    done(&answer);
    struct story_task task = {.skill = "AnswerQuestion", .owner = story.run, .scope = story.run};
    story_result(&story, item, &task, &(struct story_result){.type = "ClarificationAnswered"});
    answer = ask(&story, "items");
    assert_count(&answer, "/items", 0);
    done(&answer);
    answer = ask(&story, "agents id=human-reviewer");
    assert_number(&answer, "/agents/0/running", 0);
    assert_number(&answer, "/agents/0/completed", 1);
    done(&answer);
    story_close(&story);
}

static mw_seq escalate(struct story *story)
{
    struct story_task task = {.skill = "GenerateVisionBlueprint",
                              .agent = "vision-architect",
                              .subject = "GenerateVisionBlueprint"};
    story_intent(story, "notes; rm -rf", NULL);
    story_step(story, 1, "ValueEngine");
    story_turn(story, "vision", 1);
    task.owner = task.scope = story->run;
    mw_seq item = story_dispatch(story, &task);
    TELL(story, TASK_TIMED_OUT, .trace = story->trace, .item = item, .owner = story->run,
         .scope_item = story->run, .attempt = 1, .agent_id = MW_STR("vision-architect"),
         .task_type = MW_STR("GenerateVisionBlueprint"), .limit_ms = 5000,
         .reason = MW_STR("nothing came within 5000 ms"));
    TELL(story, TASK_ESCALATED, .trace = story->trace, .item = item, .owner = story->run,
         .scope_item = story->run, .task_type = MW_STR("GenerateVisionBlueprint"),
         .reason = MW_STR("nothing came within 5000 ms"),
         .escalation_target = MW_STR("human-reviewer"));
    task.agent = "human-reviewer";
    task.person = true;
    story_dispatch_again(story, item, &task, 2);
    return item;
}

static void an_escalated_task_waits_with_its_reason(void **state)
{
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    (void)escalate(&story);
    struct answer answer = ask(&story, "items");
    assert_text(&answer, "/items/0/kind", "escalation");
    assert_text(&answer, "/items/0/reason", "nothing came within 5000 ms");
    done(&answer);
    answer = ask(&story, "failure");
    assert_text(&answer, "/class", "timeout");
    assert_text(&answer, "/cause", "nothing came within 5000 ms");
    assert_text(&answer, "/task/state", "waiting for a person");
    assert_text(&answer, "/next/2", "millwright inbox");
    done(&answer);
    story_close(&story);
}

static void a_failed_task_is_told_with_its_evidence(void **state)
{
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    struct story_task task = {.skill = "GenerateVisionBlueprint",
                              .agent = "vision-architect",
                              .subject = "GenerateVisionBlueprint"};
    story_intent(&story, "notes $(rm)", NULL);
    story_step(&story, 1, "ValueEngine");
    story_turn(&story, "vision", 1);
    task.owner = task.scope = story.run;
    mw_seq item = story_dispatch(&story, &task);
    for (uint64_t attempt = 1; attempt <= 2; attempt++) {
        TELL(&story, TASK_FAILED, .trace = story.trace, .item = item, .owner = story.run,
             .scope_item = story.run, .attempt = attempt, .error_class = MW_STR("tool"),
             .task_type = MW_STR("GenerateVisionBlueprint"),
             .reason = attempt == 1 ? MW_STR("first") : MW_STR("exit 3"),
             .evidence = MW_STR("{\"exit\":3,\"stderr\":\"boom\"}"));
        if (attempt == 1)
            story_dispatch_again(&story, item, &task, 2);
    }
    TELL(&story, TASK_ENDED, .type = MW_STR("TaskEnded"), .trace = story.trace, .item = item,
         .owner = story.run, .scope_item = story.run, .outcome = MW_STR("failed"),
         .task_type = MW_STR("GenerateVisionBlueprint"), .error_class = MW_STR("tool"),
         .reason = MW_STR("exit 3"));
    story_end_badly(&story, "exit 3");
    struct answer answer = ask(&story, "failure");
    assert_text(&answer, "/class", "tool");
    assert_text(&answer, "/cause", "exit 3");
    assert_number(&answer, "/evidence/exit", 3);
    assert_text(&answer, "/evidence/stderr", "boom");
    assert_number(&answer, "/task/attempts", 2);
    struct mw_str kept = mw_node_str(&answer.tape, at(&answer, "/kept"));
    assert_true(mw_str_starts(kept, MW_STR(".millwright/work/t-ab12cd-")));
    assert_true(mw_str_ends(kept, MW_STR(".2")));
    assert_count(&answer, "/next", 1); /* the prompt is nothing to paste into a shell */
    done(&answer);
    story_close(&story);
}

/* P06 P08: all that became of its attempts, in order, also what came when it was over. */
static void P08_a_letter_tells_every_attempt(void **state)
{
    static const char *const rows[][2] = {{"asked", "vision-architect"},
                                          {"timed out", "vision-architect"},
                                          {"given to a person", ""},
                                          {"asked", "human-reviewer"},
                                          {"answered too late", "vision-architect"},
                                          {"failed", "human-reviewer"},
                                          {"nobody has the skill", ""}};
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    mw_seq item = escalate(&story);
    TELL(&story, TASK_LATE, .trace = story.trace, .item = item, .attempt = 1,
         .agent_id = MW_STR("vision-architect"), .task_type = MW_STR("GenerateVisionBlueprint"),
         .files_sha256 = MW_STR("bb22"));
    TELL(&story, TASK_FAILED, .trace = story.trace, .item = item, .attempt = 2,
         .agent_id = MW_STR("human-reviewer"), .task_type = MW_STR("GenerateVisionBlueprint"),
         .error_class = MW_STR("refused"));
    TELL(&story, AGENT_NOT_FOUND, .trace = story.trace, .item = item,
         .task_type = MW_STR("GenerateVisionBlueprint"));
    TELL(&story, TASK_DEAD, .trace = story.trace, .item = item, .attempt = 2,
         .agent_id = MW_STR("human-reviewer"), .task_type = MW_STR("GenerateVisionBlueprint"),
         .error_class = MW_STR("refused"), .task_payload = MW_STR("{\"a\":1}"));
    struct answer answer = ask(&story, "letter");
    assert_text(&answer, "/letter/class", "refused");
    assert_number(&answer, "/payload/a", 1);
    assert_count(&answer, "/history", MW_COUNT(rows));
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        char pointer[40];
        (void)snprintf(pointer, sizeof pointer, "/history/%zu/what", i);
        assert_text(&answer, pointer, rows[i][0]);
        (void)snprintf(pointer, sizeof pointer, "/history/%zu/agent", i);
        assert_text(&answer, pointer, rows[i][1]);
    }
    assert_text(&answer, "/history/4/filesSha256", "bb22");
    done(&answer);
    story_close(&story);
}

/* What an agent says may be as deep as a line can be: each answer that has it can be read all the same. ask() reads it. */
static void P14_no_answer_is_deeper_than_can_be_read(void **state)
{
    char deep[6 * MW_JSON_DEPTH_MAX + 2] = "";
    (void)state;
    for (unsigned levels = 1; levels < MW_JSON_DEPTH_MAX; levels++) {
        struct story story;
        story_open(&story);
        story_begin(&story);
        deep[0] = '\0';
        for (unsigned i = 0; i < levels; i++)
            (void)strcat(deep, "{\"a\":");
        (void)strcat(deep, "1");
        for (unsigned i = 0; i < levels; i++)
            (void)strcat(deep, "}");
        struct story_task task = {.skill = "GenerateVisionBlueprint",
                                  .agent = "vision-architect",
                                  .subject = "GenerateVisionBlueprint"};
        story_intent(&story, "notes", NULL);
        story_step(&story, 1, "ValueEngine");
        story_turn(&story, "vision", 1);
        task.owner = task.scope = story.run;
        mw_seq item = story_dispatch(&story, &task);
        TELL(&story, TASK_FAILED, .trace = story.trace, .item = item, .owner = story.run,
             .scope_item = story.run, .attempt = 1, .error_class = MW_STR("tool"),
             .task_type = MW_STR("GenerateVisionBlueprint"), .reason = MW_STR("once"),
             .usage = mw_str_of(deep));
        story_dispatch_again(&story, item, &task, 2);
        mw_seq result = story_next(&story);
        TELL(&story, TASK_RESULT, .type = MW_STR("StrategicBlueprintGenerated"),
             .trace = story.trace, .item = item, .owner = story.run, .scope_item = story.run,
             .attempt = 2, .task_type = MW_STR("GenerateVisionBlueprint"),
             .outcome = MW_STR("completed"), .usage = mw_str_of(deep), .body = mw_str_of(deep));
        char questions[5][64] = {"trace", "events", "events type=StrategicBlueprintGenerated"};
        (void)snprintf(questions[3], sizeof questions[3], "show id=m-ab12cd-%lu",
                       (unsigned long)result);
        (void)snprintf(questions[4], sizeof questions[4], "show id=t-ab12cd-%lu",
                       (unsigned long)item);
        for (size_t i = 0; i < MW_COUNT(questions); i++) {
            struct answer answer = ask(&story, questions[i]);
            assert_int_equal(answer.rc, MW_OK);
            if (i == 3) /* whole, or as a text */
                assert_int_equal(mw_node_type(&answer.tape, at(&answer, "/record")),
                                 levels < MW_JSON_DEPTH_MAX - 1 ? MW_NODE_OBJECT : MW_NODE_STRING);
            done(&answer);
        }
        story_close(&story);
    }
}

static void a_coordinator_tells_its_states_and_what_is_done(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "coordinator id=NoteService trace=v2");
    assert_text(&answer, "/state", "Complete");
    assert_count(&answer, "/history", 8);
    assert_text(&answer, "/history/0/event", "StartMicroserviceAssembly");
    assert_text(&answer, "/history/7/event", "MicroserviceAssemblyCompleted");
    assert_number(&answer, "/tracker/expectedHandlers", 2);
    assert_number(&answer, "/tracker/handlersCompleted", 2);
    done(&answer);
}

static void a_group_in_the_middle_is_open(void **state)
{
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    story_build(
        &story,
        &(struct story_plot){
            .prompt = "notes", .storage = "File", .pin_code = "pin()\n", .stops_in_group = true},
        0);
    struct answer answer = ask(&story, "group id=usecases");
    assert_text(&answer, "/status", "open");
    assert_count(&answer, "/completed", 1);
    assert_text(&answer, "/completed/0", "CreateNoteHandler");
    assert_text(&answer, "/open/0", "PinNoteHandler");
    assert_number(&answer, "/expectedCount", 2);
    done(&answer);
    answer = ask(&story, "plan");
    assert_text(&answer, "/lines/2/state", "completed");
    assert_text(&answer, "/lines/3/state", "running");
    assert_text(&answer, "/lines/4/state", "planned");
    done(&answer);
    answer = ask(&story, "agents id=backend-developer");
    assert_number(&answer, "/agents/0/running", 1);
    done(&answer);
    story_close(&story);
}

/* Two tasks that failed: the first of them is why. */
static void the_first_failure_is_the_cause(void **state)
{
    (void)state;
    struct story story;
    mw_seq items[2];
    story_open(&story);
    story_begin(&story);
    struct story_task task = {
        .skill = "GenerateVisionBlueprint", .agent = "vision-architect", .subject = "One"};
    story_intent(&story, "notes", NULL);
    story_step(&story, 1, "ValueEngine");
    task.owner = task.scope = story.run;
    for (size_t i = 0; i < 2; i++)
        items[i] = story_dispatch(&story, &task);
    for (size_t i = 2; i > 0; i--) /* the younger one fails first */
        TELL(&story, TASK_ENDED, .type = MW_STR("TaskEnded"), .trace = story.trace,
             .item = items[i - 1], .owner = story.run, .scope_item = story.run,
             .task_type = MW_STR("GenerateVisionBlueprint"), .outcome = MW_STR("failed"),
             .reason = i == 2 ? MW_STR("the cause") : MW_STR("a consequence"));
    story_end_badly(&story, "a consequence");
    struct answer answer = ask(&story, "failure");
    assert_text(&answer, "/cause", "the cause");
    done(&answer);
    story_close(&story);
}

/* Of two tasks that handed in the same path the later one's bytes stand, and why names that task. */
static void a_later_file_stands_for_an_earlier_one(void **state)
{
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    struct story_task task = {
        .skill = "GenerateAppConfig", .agent = "backend-developer", .subject = "App"};
    story_intent(&story, "notes", NULL);
    story_step(&story, 1, "AppGenerator");
    task.owner = task.scope = story.run;
    mw_seq last = 0;
    for (int i = 0; i < 5; i++) {
        const char *bytes = FORMAT(&story, "version %d\n", i).ptr;
        const char *file = story_file(&story, "README.md", bytes);
        last = story_dispatch(&story, &task);
        story_result(&story, last, &task,
                     &(struct story_result){.type = "AppConfigured",
                                            .files = story_files(&story, file, NULL)});
    }
    TELL(&story, BUNDLE_STAGED, .trace = story.trace, .item = story.journey,
         .build_id = story.build_id, .sha256 = MW_STR("gone"), .path = MW_STR("p"));
    char question[96];
    (void)snprintf(question, sizeof(question), "why path=README.md line=1 build=%.*s",
                   MW_STR_ARG(story.build_id));
    struct answer answer = ask(&story, question);
    assert_text(&answer, "/line/text", "version 4");
    struct mw_str id = story_id(&story, "t", last);
    assert_text(&answer, "/task/taskId", id.ptr);
    done(&answer);
    story_close(&story);
}

static void a_table_finds_what_is_in_it_and_nothing_else(void **state)
{
    enum { KEYS = 400, ROUNDS = 40000 };
    (void)state;
    bool in[KEYS + 1] = {false};
    struct mw_view_table table = {0};
    struct mw_arena arena;
    uint64_t random = 12345;
    uint32_t count = 0;
    mw_heap_arena(&arena, 1u << 20);
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t key = (random >> 33) % KEYS + 1;
        if ((random >> 20 & 1) != 0)
            mw_view_table_put(&table, &arena, key, &in[key]);
        else
            mw_view_table_remove(&table, key);
        count += in[key] ? 0u - 1u : 0u;
        in[key] = (random >> 20 & 1) != 0;
        count += in[key] ? 1 : 0;
        assert_int_equal(table.count, count);
        uint64_t looked = (random >> 45) % KEYS + 1;
        assert_ptr_equal(mw_view_table_get(&table, looked), in[looked] ? &in[looked] : NULL);
    }
    mw_heap_arena_free(&arena);
}

/* ---- why ---- */

static void why_knows_a_file_by_its_place_in_app_and_in_the_bundle(void **state)
{
    static const char *const paths[] = {
        "services/note/src/handlers/pin-note.js", "./services/note/src/handlers/pin-note.js",
        "app/services/note/src/handlers/pin-note.js",
        "generated/apps/notes/b-ab12cd-80/app/services/note/src/handlers/pin-note.js"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(paths); i++) {
        char question[128];
        (void)snprintf(question, sizeof(question), "why path=%s", paths[i]);
        struct answer answer = ask(&everything, question);
        assert_text(&answer, "/task/taskId", "t-ab12cd-112");
        assert_text(&answer, "/blueprint/field", "services/0/use_cases/1");
        assert_text(&answer, "/decisions/0/actor", "user:grace");
        done(&answer);
    }
    struct answer answer = ask(&everything, "why path=generated/apps/notes/b-ab12cd-9/app/services/"
                                            "note/src/handlers/pin-note.js");
    assert_number(&answer, "/build/version", 1);
    done(&answer);
}

static void why_of_a_whole_service_points_at_the_service(void **state)
{
    (void)state;
    struct answer answer = ask(&everything, "why path=services/note/src/main.js");
    assert_text(&answer, "/task/taskType", "ScaffoldService");
    assert_text(&answer, "/blueprint/design/pointer", "/services/0");
    assert_text(&answer, "/blueprint/field", "services/0");
    assert_count(&answer, "/blueprint/words", 2);
    done(&answer);
}

/* ---- lineage, size ---- */

static void a_child_trace_is_seen_from_its_parent(void **state)
{
    (void)state;
    struct story story;
    story_open(&story);
    story_begin(&story);
    story_intent(&story, "a", NULL);
    char parent[64];
    (void)snprintf(parent, sizeof(parent), "%.*s", MW_STR_ARG(story.trace_id));
    story_intent(&story, "b", parent);
    char question[96];
    (void)snprintf(question, sizeof(question), "trace id=%s", parent);
    struct answer answer = ask(&story, question);
    assert_count(&answer, "/lineage/children", 1);
    done(&answer);
    answer = ask(&story, "trace");
    assert_text(&answer, "/parentTraceId", parent);
    done(&answer);
    story_close(&story);
}

static void too_little_memory_is_a_limit_and_no_crash(void **state)
{
    static const char *const questions[] = {"status",
                                            "review build=v2",
                                            "trace id=v2",
                                            "why path=services/note/src/main.js",
                                            "failure",
                                            "plan build=v2",
                                            "events",
                                            "agents",
                                            "groups trace=v2",
                                            "coordinators trace=v2",
                                            "show id=t-ab12cd-112",
                                            "document trace=v1 name=blueprint"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(questions); i++)
        for (size_t bytes = 4096; bytes < 1u << 20; bytes += bytes / 3) {
            struct mw_buf out = mw_heap_buf();
            struct mw_err err = {0};
            enum mw_rc rc = story_ask_within(&everything, questions[i], bytes, &out, &err);
            if (rc != MW_OK && rc != MW_E_LIMIT)
                fail_msg("%s with %zu bytes: %s", questions[i], bytes, err.text);
            if (rc != MW_OK)
                assert_int_equal(out.len, 0);
            mw_heap_buf_free(&out);
        }
}

/* What is closed gives its memory to what is opened: a status does not grow with the tasks that were done. */
static void a_status_does_not_grow_with_the_work_done(void **state)
{
    (void)state;
    struct story story;
    struct mw_buf out = mw_heap_buf();
    struct mw_err err = {0};
    story_open(&story);
    story_begin(&story);
    story_intent(&story, "notes", NULL);
    struct story_task task = {.skill = "AnswerQuestion",
                              .agent = "human-reviewer",
                              .subject = "Again",
                              .person = true,
                              .payload = "{\"question\":\"again?\"}"};
    while (story.count < STORY_RECORDS_MAX - 8) {
        mw_seq item = story_dispatch(&story, &task);
        story_result(&story, item, &task, &(struct story_result){.type = "Answered"});
    }
    enum mw_rc rc = story_ask_within(&story, "status", 24 * 1024, &out, &err);
    if (rc != MW_OK)
        fail_msg("%s", err.text);
    mw_heap_buf_free(&out);
    story_close(&story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_is_known_by_every_id_it_has),
        cmocka_unit_test(a_trace_is_found_by_any_id_that_lies_in_it),
        cmocka_unit_test(unknown_ids_are_missing_with_words),
        cmocka_unit_test(wrong_words_are_usage),
        cmocka_unit_test(an_empty_journal_answers_lists_and_refuses_the_rest),
        cmocka_unit_test(show_knows_what_an_id_is),
        cmocka_unit_test(review_counts_what_the_tree_holds),
        cmocka_unit_test(a_file_that_only_became_a_program_is_a_change),
        cmocka_unit_test(review_falls_back_on_what_the_tasks_wrote),
        cmocka_unit_test(mongodb_is_labelled_until_its_tests_ran),
        cmocka_unit_test(review_prefers_the_draft),
        cmocka_unit_test(an_answered_question_waits_no_more),
        cmocka_unit_test(an_escalated_task_waits_with_its_reason),
        cmocka_unit_test(a_failed_task_is_told_with_its_evidence),
        cmocka_unit_test(P08_a_letter_tells_every_attempt),
        cmocka_unit_test(P14_no_answer_is_deeper_than_can_be_read),
        cmocka_unit_test(a_coordinator_tells_its_states_and_what_is_done),
        cmocka_unit_test(a_group_in_the_middle_is_open),
        cmocka_unit_test(why_knows_a_file_by_its_place_in_app_and_in_the_bundle),
        cmocka_unit_test(why_of_a_whole_service_points_at_the_service),
        cmocka_unit_test(a_child_trace_is_seen_from_its_parent),
        cmocka_unit_test(the_first_failure_is_the_cause),
        cmocka_unit_test(a_later_file_stands_for_an_earlier_one),
        cmocka_unit_test(a_table_finds_what_is_in_it_and_nothing_else),
        cmocka_unit_test(too_little_memory_is_a_limit_and_no_crash),
        cmocka_unit_test(a_status_does_not_grow_with_the_work_done),
    };
    return cmocka_run_group_tests(tests, open_everything, close_everything);
}
