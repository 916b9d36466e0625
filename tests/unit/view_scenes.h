/*
 * view_scenes.h - builds told record by record, for the tests of views: from a prompt to what was promoted, rejected, failed, or waits.
 *
 * story_everything tells one of each; the parts (story_build with a plot, story_accept, story_question …) tell other mixtures.
 */
#ifndef VIEW_SCENES_H
#define VIEW_SCENES_H

#include "view_story.h"

static inline void story_agent(struct story *story, const char *id, const char *type,
                               const char *skills, const char *backend)
{
    TELL(story, AGENT_ONLINE, .agent_id = mw_str_of(id),
         .body = FORMAT(story,
                        "{\"agent_id\":\"%s\",\"agent_type\":\"%s\",\"skills\":[%s],"
                        "\"domains\":[\"*\"],\"tier\":10,\"capacity\":4,\"backend\":%s}",
                        id, type, skills, backend));
}

static inline void story_begin(struct story *story)
{
    TELL(story, JOURNAL_CREATED, .journal_id = MW_STR("ab12cd"), .format = MW_JOURNAL_FORMAT,
         .contract = MW_STR(MW_CONTRACT_VERSION), .product_version = MW_STR("0.1.0"));
    TELL(story, DEFINITION_LOADED, .catalogue = MW_STR("ca7a109e"), .expected_count = 8);
    story_agent(story, "vision-architect", "Vision Architect Agent", "\"GenerateVisionBlueprint\"",
                "{\"kind\":\"builtin\",\"name\":\"blueprint\"}");
    story_agent(story, "backend-developer", "Backend Developer Agent",
                "\"GenerateHandler\",\"ScaffoldService\",\"CreatePullRequest\","
                "\"DesignPortsAndUseCases\"",
                "{\"kind\":\"builtin\",\"name\":\"render\"}");
    story_agent(story, "qa-engineer", "QA Agent", "\"RunTests\",\"ValidateBundle\"",
                "{\"kind\":\"builtin\",\"name\":\"check\"}");
    story_agent(story, "human-reviewer", "HumanReviewerAgent", "\"AnswerQuestion\",\"ReviewTask\"",
                "{\"kind\":\"human\"}");
}

struct story_task {
    const char *skill, *agent, *subject;
    mw_seq owner, scope;
    uint64_t member, document, node, ask;
    bool person;
    const char *payload;
};

/* A task as it is handed to an agent; its number. */
static inline mw_seq story_dispatch(struct story *story, const struct story_task *task)
{
    return TELL_TRACE(
        story, TASK_DISPATCHED, .owner = task->owner, .scope_item = task->scope,
        .task_type = mw_str_of(task->skill), .task_id = story_id(story, "t", story_next(story)),
        .agent_id = mw_str_of(task->agent), .target_agent = mw_str_of(task->agent),
        .agent_kind = task->person ? MW_AGENT_HUMAN : MW_AGENT_BUILTIN, .attempt = 1,
        .member = task->member, .document = task->document, .node = task->node,
        .ask_index = task->ask, .component_tag = FORMAT(story, "%s:%s", "Agent", task->subject),
        /* As it is written: the view says what is left out of it. */
        .routing = FORMAT(story,
                          "{\"candidates\":[{\"agentId\":\"%s\",\"score\":120}],\"filters\":{"
                          "\"skill\":1,\"domain\":1,\"healthy\":1,\"free\":1},\"chosen\":\"%s\"}",
                          task->agent, task->agent),
        .body = mw_str_of(task->payload != NULL ? task->payload : "{}"));
}

/* Once more, after a failure. */
static inline mw_seq story_dispatch_again(struct story *story, mw_seq item,
                                          const struct story_task *task, uint64_t attempt)
{
    return TELL_TRACE(
        story, TASK_DISPATCHED, .owner = task->owner, .item = item, .scope_item = task->scope,
        .task_type = mw_str_of(task->skill), .agent_id = mw_str_of(task->agent),
        .target_agent = mw_str_of(task->agent),
        .agent_kind = task->person ? MW_AGENT_HUMAN : MW_AGENT_BUILTIN, .attempt = attempt,
        .component_tag = FORMAT(story, "%s:%s", "Agent", task->subject),
        /* As releases before wrote it, and as it is where somebody was filtered. */
        .routing = FORMAT(story,
                          "{\"skill\":\"%s\",\"domain\":\"Notes\",\"candidates\":["
                          "{\"agentId\":\"%s\",\"score\":130}],\"filters\":{\"skill\":2,"
                          "\"domain\":1,\"healthy\":1,\"free\":1},\"chosen\":\"%s\"}",
                          task->skill, task->agent, task->agent),
        .body = mw_str_of(task->payload != NULL ? task->payload : "{}"));
}

struct story_result {
    const char *type, *body, *files, *whole, *key, *actor, *rationale;
    uint64_t document;
    bool wide;
};

/* What came back; the record of the result. */
static inline mw_seq story_result(struct story *story, mw_seq item, const struct story_task *task,
                                  const struct story_result *result)
{
    mw_seq seq = TELL_TRACE(
        story, TASK_RESULT, .type = mw_str_of(result->type), .item = item, .owner = task->owner,
        .scope_item = task->scope, .task_type = mw_str_of(task->skill), .attempt = 1,
        .trace_wide = result->wide, .document = result->document, .key = mw_str_of(result->key),
        .outcome = story->ends_with_result ? MW_STR("completed") : MW_STR_NONE,
        .duration_ms = story->ends_with_result ? 40 + item : 0,
        .actor = mw_str_of(result->actor != NULL ? result->actor : "host"),
        .rationale = mw_str_of(result->rationale), .inputs_sha256 = MW_STR("1d01d01d"),
        .files_sha256 =
            result->files != NULL ? story_blob(story, mw_str_of(result->files)) : MW_STR_NONE,
        .body_sha256 =
            result->whole != NULL ? story_blob(story, mw_str_of(result->whole)) : MW_STR_NONE,
        .body = mw_str_of(result->body != NULL ? result->body : "{}"));
    if (!story->ends_with_result)
        TELL_TRACE(story, TASK_ENDED, .type = MW_STR("TaskCompleted"), .item = item,
                   .owner = task->owner, .scope_item = task->scope,
                   .task_type = mw_str_of(task->skill), .outcome = MW_STR("completed"),
                   .attempt = 1, .elapsed_ms = 40 + item);
    return seq;
}

static inline void story_intent(struct story *story, const char *prompt, const char *parent)
{
    story->trace = story_next(story);
    story->trace_id = story_id(story, "tr", story->trace);
    story->session_id = story_id(story, "s", story->trace);
    story->blueprint_id = MW_STR_NONE;
    TELL_TRACE(
        story, INTENT_SUBMITTED, .intent_trace = story->trace_id, .user_prompt = mw_str_of(prompt),
        .source = MW_STR("cli"), .priority = MW_STR("normal"), .actor = MW_STR("user:ada"),
        .catalogue = MW_STR("ca7a109e"), .journey = MW_STR("new_app"),
        .parent_trace_id = mw_str_of(parent),
        .intent_sha256 =
            story_blob(story, FORMAT(story, "{\"prompt\":\"%s\",\"source\":\"cli\"}", prompt)));
    if (story->builds++ == 0)
        TELL_TRACE(story, SESSION_OPENED, .user_id = MW_STR("ada"),
                   .session_name = story_id(story, "bs", story_next(story)));
    story->journey = story_next(story);
    story->build_id = story_id(story, "b", story->journey);
    story->session_id = story->build_id;
    TELL_TRACE(story, JOURNEY_STARTED, .journey = MW_STR("new_app"), .build_id = story->build_id,
               .definition = MW_STR("ca7a109e"));
    TELL_BUILD(story, BUILD_STARTED, .step = 1, .workflow = MW_STR("ValueEngine"));
}

static inline void story_step(struct story *story, uint64_t step, const char *workflow)
{
    story->session_id = story->build_id;
    TELL_BUILD(story, JOURNEY_STEP, .journey = MW_STR("new_app"), .step = step,
               .workflow = mw_str_of(workflow));
    story->run = story_next(story);
    story->session_id = story_id(story, "run", story->run);
    TELL_TRACE(story, RUN_STARTED, .owner = story->journey, .run_id = story->session_id,
               .preset = mw_str_of(workflow), .definition = MW_STR("ca7a109e"),
               .objective = MW_STR(""));
    TELL_TRACE(story, SCOPE_OPENED, .workflow = mw_str_of(workflow),
               .target_agent = mw_str_of(workflow));
}

static inline void story_turn(struct story *story, const char *role, uint64_t iteration)
{
    TELL_ITEM(story, TURN_STARTED, story->run, .owner = story->journey, .role = mw_str_of(role),
              .iteration = iteration);
}

static inline void story_run_done(struct story *story, const char *event_type)
{
    TELL_ITEM(story, RUN_COMPLETED, story->run, .owner = story->journey,
              .outcome = MW_STR("completed"), .iteration = 1, .event_type = mw_str_of(event_type));
}

#define STORY_DESIGN                                                                               \
    "{\"services\":[{\"serviceName\":\"NoteService\",\"slug\":\"note\",\"auth\":false,"            \
    "\"use_cases\":[{\"name\":\"CreateNote\",\"slug\":\"create-note\",\"handler\":"                \
    "\"CreateNoteHandler\"},{\"name\":\"PinNote\",\"slug\":\"pin-note\",\"handler\":"              \
    "\"PinNoteHandler\"}],\"ports\":[]}]}"

/* The first two workflows: a blueprint, the build's record, a design. */
static inline void story_design(struct story *story, const char *storage)
{
    struct story_task vision = {.skill = "GenerateVisionBlueprint",
                                .agent = "vision-architect",
                                .subject = "GenerateVisionBlueprint",
                                .owner = story->run,
                                .scope = story->run,
                                .node = UINT32_MAX};
    struct story_task design = {.skill = "DesignPortsAndUseCases",
                                .agent = "backend-developer",
                                .subject = "DesignPortsAndUseCases",
                                .node = UINT32_MAX};
    struct mw_str blueprint = FORMAT(
        story,
        "{\"blueprintId\":\"blueprint-0011\",\"storage\":\"%s\",\"blueprint\":{\"name\":\"Notes\","
        "\"slug\":\"notes\",\"services\":[{\"name\":\"NoteService\",\"slug\":\"note\",\"domain\":"
        "\"Notes\",\"storage\":\"%s\",\"auth\":false,\"entities\":[{\"name\":\"Note\"}],"
        "\"use_cases\":[{\"name\":\"CreateNote\",\"slug\":\"create-note\"},{\"name\":\"PinNote\","
        "\"slug\":\"pin-note\"}]}]},\"understood\":[{\"field\":\"services/0/use_cases/"
        "1\",\"value\":"
        "\"PinNote\",\"why\":\"pinning notes\"}],\"assumed\":[{\"field\":\"services/0/storage\","
        "\"value\":\"%s\",\"why\":\"no store was named\"}],\"notUnderstood\":[\"soon\"]}",
        storage, storage, storage);
    mw_seq task = story_dispatch(story, &vision);
    story->blueprint_id = MW_STR("blueprint-0011");
    story_result(story, task, &vision,
                 &(struct story_result){.type = "StrategicBlueprintGenerated",
                                        .document = 1,
                                        .body = "{\"blueprintId\":\"blueprint-0011\"}",
                                        .whole = blueprint.ptr,
                                        .wide = true,
                                        .rationale = "one noun, two verbs"});
    story_run_done(story, "StrategicBlueprintGenerated");
    TELL_BUILD(story, BUILD_REGISTERED, .registry_id = story_id(story, "reg", story_next(story)),
               .app_id = MW_STR("notes"), .app_name = MW_STR("Notes"), .user_id = MW_STR("ada"),
               .status = MW_STR("building"));
    story_step(story, 2, "DesignDocs");
    story_turn(story, "architect", 1);
    design.owner = design.scope = story->run;
    task = story_dispatch(story, &design);
    story_result(
        story, task, &design,
        &(struct story_result){
            .type = "PortsAndUseCasesReady", .document = 2, .whole = STORY_DESIGN, .wide = true});
    story_run_done(story, "PortsAndUseCasesReady");
}

/* Where the use cases of STORY_DESIGN lie on its tape. */
static inline uint64_t story_node(const char *pointer)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_heap_arena(&arena, 1u << 20);
    assert_int_equal(mw_json_parse(&arena, mw_str_of(STORY_DESIGN), &tape, NULL), MW_OK);
    uint32_t node = mw_node_pointer(&tape, 0, mw_str_of(pointer));
    mw_heap_arena_free(&arena);
    assert_int_not_equal(node, MW_NODE_NONE);
    return node;
}

static inline const char *story_file(struct story *story, const char *path, const char *bytes)
{
    struct mw_str sha256 = story_blob(story, mw_str_of(bytes));
    return FORMAT(story, "{\"path\":\"%s\",\"mode\":\"0644\",\"size\":%zu,\"sha256\":\"%.*s\"}",
                  path, strlen(bytes), MW_STR_ARG(sha256))
        .ptr;
}

static inline const char *story_files(struct story *story, const char *first, const char *second)
{
    return FORMAT(story, "{\"files\":[%s%s%s]}", first, second != NULL ? "," : "",
                  second != NULL ? second : "")
        .ptr;
}

struct story_plot {
    const char *prompt;
    const char *storage;
    const char *pin_code;    /* the bytes of the second handler */
    bool pin_is_program;     /* it may be executed */
    const char *test_report; /* NULL: passed */
    bool retries;            /* the second handler fails once */
    bool stops_in_group;     /* nothing after the first handler */
    bool keeps_manifest;     /* the bundle's list of files is a body */
};

#define STORY_PASSED                                                                               \
    "{\"service\":\"NoteService\",\"result\":\"Passed\",\"coverage\":\"97%\",\"suites\":[{"        \
    "\"name\":\"service tests\",\"command\":[\"node\",\"--test\"],\"exit\":0,\"passed\":31,"       \
    "\"failed\":0,\"skipped\":0},{\"name\":\"probe\",\"exit\":0,\"passed\":200,\"failed\":0,"      \
    "\"skipped\":1}],\"failures\":[]}"
#define STORY_SKIPPED                                                                              \
    "{\"service\":\"NoteService\",\"result\":\"Passed\",\"coverage\":\"97%\",\"suites\":[{"        \
    "\"name\":\"service tests\",\"command\":[\"node\",\"--test\"],\"exit\":0,\"passed\":31,"       \
    "\"failed\":0,\"skipped\":4}],\"failures\":[]}"
#define STORY_FAILED                                                                               \
    "{\"service\":\"NoteService\",\"result\":\"Failed\",\"coverage\":\"90%\",\"suites\":[{"        \
    "\"name\":\"probe\",\"exit\":1,\"passed\":198,\"failed\":2}],\"failures\":[{\"test\":"         \
    "\"CreateNote: a title of 10001 letters is refused\",\"expected\":\"400 naming title\","       \
    "\"actual\":\"201\"}]}"

static inline void story_enter(struct story *story, mw_seq coordinator, mw_seq owner,
                               const char *from, const char *to, const char *by)
{
    TELL_ITEM(story, STATE_ENTERED, coordinator, .owner = owner,
              .coordinator = MW_STR("MicroserviceAssemblyCoordinator"),
              .key = MW_STR("NoteService"), .service = MW_STR("NoteService"),
              .from_state = mw_str_of(from), .state = mw_str_of(to), .stage = mw_str_of(to),
              .by_event = mw_str_of(by));
}

/* What the agents wrote, for the bundle. */
struct story_written {
    const char *files[3];
};

static inline mw_seq story_plan(struct story *story)
{
    TELL_ITEM(story, PLAN_ASKED, story->run, .owner = story->journey, .role = MW_STR("builder"),
              .iteration = 1);
    mw_seq system = TELL_TRACE(story, GROUP_STARTED, .owner = story->run, .scope_item = story->run,
                               .group_id = MW_STR("system"), .strategy = MW_STR("wait-all"),
                               .layout = MW_STR("[[1,0,0]]"), .expected_count = 1);
    TELL_TRACE(
        story, PLAN_PART, .item = system, .scope_item = story->run,
        .members = MW_STR(
            "[{\"receiver\":\"MicroserviceAssemblyCoordinator NoteService\"},"
            "{\"task\":\"ScaffoldService\",\"expects\":\"ServiceScaffolded\",\"purpose\":"
            "\"NoteService\",\"receiver\":\"NoteService\",\"stage\":\"Scaffolding\"},"
            "{\"task\":\"GenerateHandler\",\"expects\":\"HandlerReady\",\"purpose\":"
            "\"CreateNoteHandler\",\"receiver\":\"usecases\",\"stage\":\"PortsReady\"},"
            "{\"task\":\"GenerateHandler\",\"expects\":\"HandlerReady\",\"purpose\":"
            "\"PinNoteHandler\",\"receiver\":\"usecases\",\"stage\":\"PortsReady\"},"
            "{\"task\":\"RunTests\",\"expects\":\"TestResultsReady\",\"purpose\":\"NoteService\","
            "\"receiver\":\"NoteService\",\"stage\":\"AuthReady\"},"
            "{\"task\":\"CreatePullRequest\",\"expects\":\"PullRequestCreated\",\"purpose\":"
            "\"NoteService\",\"receiver\":\"NoteService\",\"stage\":\"TestsReady\"}]"));
    return system;
}

/* The two handlers; false when the plot stops among them. */
static inline bool story_handlers(struct story *story, const struct story_plot *plot,
                                  mw_seq coordinator, struct story_written *written)
{
    mw_seq group =
        TELL_TRACE(story, GROUP_STARTED, .owner = coordinator, .scope_item = coordinator,
                   .group_id = MW_STR("usecases"), .ask_index = 1, .strategy = MW_STR("wait-all"),
                   .layout = MW_STR("[[2,2,9]]"), .expected_count = 2);
    struct story_task create = {.skill = "GenerateHandler",
                                .agent = "backend-developer",
                                .subject = "CreateNoteHandler",
                                .owner = group,
                                .scope = coordinator,
                                .member = 1,
                                .document = 2,
                                .node = story_node("/services/0/use_cases/0")};
    struct story_task pin = create;
    pin.subject = "PinNoteHandler";
    pin.member = 2;
    pin.node = story_node("/services/0/use_cases/1");
    pin.payload = "{\"handler\":\"PinNoteHandler\",\"useCase\":\"PinNote\"}";
    mw_seq first = story_dispatch(story, &create);
    mw_seq second = story_dispatch(story, &pin);
    story_result(story, first, &create,
                 &(struct story_result){.type = "HandlerReady",
                                        .files = story_files(story, written->files[1], NULL)});
    if (plot->stops_in_group)
        return false;
    if (plot->retries) {
        TELL_TRACE(story, TASK_FAILED, .item = second, .owner = group, .scope_item = coordinator,
                   .task_type = MW_STR("GenerateHandler"), .attempt = 1,
                   .error_class = MW_STR("tool"), .reason = MW_STR("no space in the sandbox"),
                   .evidence = MW_STR("{\"exit\":3}"), .elapsed_ms = 12);
        TELL_TRACE(story, RETRY_SCHEDULED, .item = second, .owner = group,
                   .scope_item = coordinator, .attempt = 1,
                   .reason = MW_STR("the same agent again"));
        story_dispatch_again(story, second, &pin, 2);
    }
    story_result(story, second, &pin,
                 &(struct story_result){.type = "HandlerReady",
                                        .rationale = "a flag is set",
                                        .files = story_files(story, written->files[2], NULL)});
    TELL_TRACE(story, GROUP_ENDED, .item = group, .owner = coordinator, .scope_item = coordinator,
               .group_id = MW_STR("usecases"), .expected_count = 2, .completed_count = 2,
               .outcome = MW_STR("completed"), .status = MW_STR("complete"));
    return true;
}

static inline void story_end_badly(struct story *story, const char *reason)
{
    TELL_ITEM(story, RUN_STOPPED, story->run, .owner = story->journey, .outcome = MW_STR("failed"),
              .reason = mw_str_of(reason));
    story->session_id = story->build_id;
    TELL_BUILD(story, BUILD_FAILED, .status = MW_STR("failed"), .reason = mw_str_of(reason));
    TELL_ITEM(story, JOURNEY_ENDED, story->journey, .outcome = MW_STR("failed"),
              .reason = mw_str_of(reason));
    TELL_TRACE(story, TRACE_ENDED, .outcome = MW_STR("failed"), .reason = mw_str_of(reason),
               .build_id = story->build_id);
}

/* One service from scaffold to pull request; false when the build did not get there. */
static inline bool story_assemble(struct story *story, const struct story_plot *plot, mw_seq system,
                                  struct story_written *written)
{
    static const char *const order[] = {"PortsReady", "UseCasesReady", "AdapterReady", "AuthReady"};
    static const char *const by[] = {"PortsAndUseCasesReady", "usecases", "ports", "no-auth"};
    mw_seq coordinator = story_next(story);
    struct mw_str outer = story->session_id;
    story->session_id = story_id(story, "svc", coordinator);
    TELL_TRACE(
        story, COORDINATOR_STARTED, .type = MW_STR("StartMicroserviceAssembly"), .owner = system,
        .member = 1, .document = 2, .node = story_node("/services/0"),
        .coordinator = MW_STR("MicroserviceAssemblyCoordinator"),
        .coordinator_version = MW_STR("1.0.0"), .key = MW_STR("NoteService"),
        .state = MW_STR("Scaffolding"),
        .body = MW_STR("{\"serviceName\":\"NoteService\",\"useCases\":[\"CreateNote\",\"PinNote\"],"
                       "\"auth\":false}"));
    struct story_task scaffold = {.skill = "ScaffoldService",
                                  .agent = "backend-developer",
                                  .subject = "NoteService",
                                  .owner = coordinator,
                                  .scope = coordinator,
                                  .ask = 1,
                                  .document = 2,
                                  .node = story_node("/services/0")};
    mw_seq task = story_dispatch(story, &scaffold);
    story_result(story, task, &scaffold,
                 &(struct story_result){.type = "ServiceScaffolded",
                                        .files = story_files(story, written->files[0], NULL)});
    story_enter(story, coordinator, system, "Scaffolding", order[0], by[0]);
    if (!story_handlers(story, plot, coordinator, written))
        return false;
    for (size_t i = 1; i < 4; i++)
        story_enter(story, coordinator, system, order[i - 1], order[i], by[i]);
    struct story_task tests = {.skill = "RunTests",
                               .agent = "qa-engineer",
                               .subject = "NoteService",
                               .owner = coordinator,
                               .scope = coordinator,
                               .ask = 1};
    task = story_dispatch(story, &tests);
    story_result(story, task, &tests,
                 &(struct story_result){.type = "TestResultsReady",
                                        .key = "NoteService",
                                        .body = plot->test_report != NULL ? plot->test_report
                                                                          : STORY_PASSED});
    if (plot->test_report != NULL && strstr(plot->test_report, "\"Failed\"") != NULL) {
        TELL_ITEM(story, COORDINATOR_ENDED, coordinator, .type = MW_STR("SessionTerminated"),
                  .owner = system, .key = MW_STR("NoteService"), .from_state = MW_STR("AuthReady"),
                  .outcome = MW_STR("failed"), .reason = MW_STR("the tests of the service failed"),
                  .body = MW_STR("{}"));
        TELL_TRACE(story, GROUP_ENDED, .item = system, .owner = story->run,
                   .scope_item = story->run, .group_id = MW_STR("system"), .expected_count = 1,
                   .failed_count = 1, .outcome = MW_STR("failed"), .status = MW_STR("failed"),
                   .reason = MW_STR("the tests of the service failed"));
        story->session_id = outer;
        story_end_badly(story, "the tests of the service failed");
        return false;
    }
    story_enter(story, coordinator, system, "AuthReady", "TestsReady", "TestResultsReady");
    struct story_task pull = {.skill = "CreatePullRequest",
                              .agent = "backend-developer",
                              .subject = "NoteService",
                              .owner = coordinator,
                              .scope = coordinator,
                              .ask = 1};
    task = story_dispatch(story, &pull);
    story_result(story, task, &pull,
                 &(struct story_result){.type = "PullRequestCreated",
                                        .key = "NoteService",
                                        .body = "{\"number\":1,\"branch\":\"feature/note\","
                                                "\"status\":\"open\"}"});
    story_enter(story, coordinator, system, "TestsReady", "PRCreated", "PullRequestCreated");
    TELL_ITEM(story, COORDINATOR_ENDED, coordinator,
              .type = MW_STR("MicroserviceAssemblyCompleted"), .owner = system,
              .key = MW_STR("NoteService"), .from_state = MW_STR("PRCreated"),
              .state = MW_STR("Complete"), .outcome = MW_STR("completed"),
              .body = MW_STR("{\"service\":\"NoteService\"}"));
    TELL_TRACE(story, GROUP_ENDED, .item = system, .owner = story->run, .scope_item = story->run,
               .group_id = MW_STR("system"), .expected_count = 1, .completed_count = 1,
               .outcome = MW_STR("completed"), .status = MW_STR("complete"));
    story->session_id = outer;
    return true;
}

/* From a staged bundle to a draft. */
static inline void story_draft(struct story *story, const struct story_plot *plot,
                               const struct story_written *written, uint64_t parent)
{
    static const char *const families[] = {"concept", "design_docs", "app_bundle"};
    struct mw_str manifest = FORMAT(story, "{\"files\":[%s,%s,%s]}", written->files[1],
                                    written->files[2], written->files[0]);
    char sha256[MW_SHA256_HEX];
    mw_sha256_hex(manifest, sha256);
    if (plot->keeps_manifest)
        (void)story_blob(story, manifest);
    story->session_id = story->build_id;
    TELL_BUILD(story, STAGE_ASKED, .app_id = MW_STR("notes"));
    TELL_BUILD(story, BUNDLE_STAGED, .sha256 = mw_str_of(sha256),
               .path = FORMAT(story, "generated/apps/notes/%.*s/app", MW_STR_ARG(story->build_id)),
               .file_count = 3, .size_bytes = 48);
    TELL_BUILD(story, VALIDATION_ASKED, .task_name = MW_STR("ValidateBundle"));
    struct story_task check = {.skill = "ValidateBundle",
                               .agent = "qa-engineer",
                               .subject = "ValidateBundle",
                               .owner = story->journey,
                               .scope = story->journey,
                               .node = UINT32_MAX};
    mw_seq task = story_dispatch(story, &check);
    mw_seq fact = story_result(
        story, task, &check,
        &(struct story_result){
            .type = "BundleValidated",
            .wide = true,
            .body = "{\"result\":\"Passed\"}",
            .whole = "{\"result\":\"Passed\",\"validators\":[{\"name\":\"files\",\"exit\":0,"
                     "\"passed\":true,\"detail\":\"\"},{\"name\":\"smoke note\",\"exit\":0,"
                     "\"passed\":true,\"detail\":\"\"}]}"});
    TELL_BUILD(story, BUILD_VALIDATED, .status = MW_STR("Passed"), .sha256 = mw_str_of(sha256),
               .fact = fact, .report = MW_STR("{\"result\":\"Passed\"}"));
    story->versions++;
    for (size_t i = 0; i < 3; i++)
        TELL_BUILD(story, ARTIFACT_DRAFTED, .app_id = MW_STR("notes"),
                   .family = mw_str_of(families[i]), .version = story->versions,
                   .parent_version = parent, .status = MW_STR("draft"),
                   .sha256 = i == 2 ? mw_str_of(sha256) : FORMAT(story, "%s-digest", families[i]));
    TELL_BUILD(story, BUILD_COMPLETED, .version = story->versions, .status = MW_STR("draft"));
}

/* A whole build from prompt to draft, or as far as the plot lets it come. */
static inline void story_build(struct story *story, const struct story_plot *plot, uint64_t parent)
{
    struct story_written written;
    story_intent(story, plot->prompt, NULL);
    story_step(story, 1, "ValueEngine");
    story_turn(story, "vision", 1);
    story_design(story, plot->storage);
    story_step(story, 3, "AppGenerator");
    written.files[0] = story_file(story, "services/note/src/main.js", "start()\n");
    written.files[1] =
        story_file(story, "services/note/src/handlers/create-note.js", "create()\nreturn 201\n");
    written.files[2] = story_file(story, "services/note/src/handlers/pin-note.js", plot->pin_code);
    if (plot->pin_is_program)
        memcpy(strstr((char *)(uintptr_t)written.files[2], "0644"), "0755", 4);
    mw_seq system = story_plan(story);
    if (!story_assemble(story, plot, system, &written))
        return;
    story_run_done(story, "AssemblyCompleted");
    story_draft(story, plot, &written, parent);
}

static inline void story_accept(struct story *story)
{
    static const char *const families[] = {"concept", "design_docs", "app_bundle"};
    for (size_t i = 0; i < 3; i++)
        TELL_BUILD(story, ARTIFACT_ACCEPTED, .family = mw_str_of(families[i]),
                   .version = story->versions, .status = MW_STR("current"),
                   .actor = MW_STR("user:grace"));
}

static inline void story_promote(struct story *story)
{
    TELL(story, PROMOTION_STARTED, .build_id = story->build_id, .version = story->versions,
         .target = MW_STR("app"), .mode = MW_STR("refuse"), .actor = MW_STR("user:grace"));
    TELL(story, APP_PROMOTED, .build_id = story->build_id, .version = story->versions,
         .target = MW_STR("app"), .path = MW_STR("app"), .sha256 = MW_STR("beefbeef"),
         .actor = MW_STR("host"));
    TELL_ITEM(story, JOURNEY_ENDED, story->journey, .outcome = MW_STR("completed"));
    TELL_TRACE(story, TRACE_ENDED, .outcome = MW_STR("completed"), .build_id = story->build_id);
}

static inline void story_reject(struct story *story, const char *why)
{
    TELL_BUILD(story, ARTIFACT_REJECTED, .version = story->versions, .status = MW_STR("archived"),
               .reason = mw_str_of(why), .actor = MW_STR("user:ada"));
    TELL_ITEM(story, JOURNEY_ENDED, story->journey, .outcome = MW_STR("cancelled"),
              .reason = MW_STR("the draft was rejected"));
    TELL_TRACE(story, TRACE_ENDED, .outcome = MW_STR("cancelled"), .build_id = story->build_id);
}

/* A build that waits for an answer; the item's number. */
static inline mw_seq story_question(struct story *story)
{
    struct story_task vision = {.skill = "GenerateVisionBlueprint",
                                .agent = "vision-architect",
                                .subject = "GenerateVisionBlueprint",
                                .node = UINT32_MAX};
    story_intent(story, "something soon", NULL);
    story_step(story, 1, "ValueEngine");
    story_turn(story, "vision", 1);
    vision.owner = vision.scope = story->run;
    mw_seq task = story_dispatch(story, &vision);
    story_result(story, task, &vision,
                 &(struct story_result){.type = "ClarificationNeeded",
                                        .wide = true,
                                        .body = "{\"question\":\"What is kept?\"}"});
    story_turn(story, "person", 2);
    struct story_task ask = {.skill = "AnswerQuestion",
                             .agent = "human-reviewer",
                             .subject = "AnswerQuestion",
                             .owner = story->run,
                             .scope = story->run,
                             .node = UINT32_MAX,
                             .person = true,
                             .payload =
                                 "{\"question\":\"What is kept?\",\"field\":\"entities\","
                                 "\"reason\":\"no noun was found\",\"options\":[\"notes\"]}"};
    return story_dispatch(story, &ask);
}

/* Everything: v1 accepted and promoted, v2 (with MongoDB, one retry) too, v3 rejected, one that failed its tests, one that waits. */
static inline void story_everything(struct story *story)
{
    story_begin(story);
    story_build(
        story,
        &(struct story_plot){
            .prompt = "notes", .storage = "File", .pin_code = "pin()\n", .keeps_manifest = true},
        0);
    story_accept(story);
    story_promote(story);
    story_build(story,
                &(struct story_plot){.prompt = "notes with pinning notes soon",
                                     .storage = "MongoDB",
                                     .pin_code = "pin(true)\n",
                                     .test_report = STORY_SKIPPED,
                                     .retries = true,
                                     .keeps_manifest = true},
                1);
    story_accept(story);
    story_promote(story);
    story_build(
        story,
        &(struct story_plot){.prompt = "notes in red", .storage = "File", .pin_code = "pin(red)\n"},
        2);
    story_reject(story, "not red enough");
    story_build(story,
                &(struct story_plot){.prompt = "long notes",
                                     .storage = "File",
                                     .pin_code = "pin(long)\n",
                                     .test_report = STORY_FAILED},
                2);
    story_question(story);
}

#endif
