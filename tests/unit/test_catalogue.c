/* test_catalogue.c - the factory's definitions mean what they should, and every mistake in a definition is named with its place. */
#include "author/author.h"
#include "base/json.h"
#include "defs/catalogue.h"
#include "defs/rules.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILES_MAX 256
#define ARENA_BYTES ((size_t)64 << 20)
#define DEFINITIONS MW_SOURCE_DIR "/tests/unit/definitions"

static const char *const factory_folders[] = {"workflows", "journeys", "plans", "coordinators",
                                              "policies",  "rules",    "agents"};

/* Files as the host hands them over; empty when a test begins. Everything lies in the arena. */
static struct {
    struct mw_arena arena;
    struct mw_definition_file files[FILES_MAX];
    size_t count;
} set;

static int begin(void **state)
{
    (void)state;
    mw_heap_arena(&set.arena, ARENA_BYTES);
    set.count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    mw_heap_arena_free(&set.arena);
    return 0;
}

static void empty(void)
{
    mw_arena_reset(&set.arena);
    set.count = 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct mw_str read_text(const char *path)
{
    struct mw_buf buf = mw_heap_buf();
    struct mw_err err;
    if (mw_file_read(AT_FDCWD, path, 1 << 20, &buf, &err) != MW_OK)
        fail_msg("%s", err.text);
    struct mw_str text = mw_arena_copy(&set.arena, mw_buf_str(&buf));
    mw_heap_buf_free(&buf);
    return text;
}

static enum mw_rc add_text(struct mw_str name, struct mw_str text, struct mw_err *err)
{
    struct mw_definition_file *file = &set.files[set.count];
    assert_true(set.count < FILES_MAX);
    *file = (struct mw_definition_file){.path = mw_arena_copy(&set.arena, name)};
    enum mw_rc rc = MW_OK;
    if (mw_rules_is_text(text))
        file->text = text;
    else
        rc = mw_author_read(&set.arena, file->path, text, &file->tape, err);
    set.count += rc == MW_OK;
    return rc;
}

static void add_file(const char *folder, const char *name)
{
    struct mw_err err;
    struct mw_str path = mw_arena_format(&set.arena, "%s/%s", folder, name);
    if (add_text(mw_str_of(name), read_text(path.ptr), &err) != MW_OK)
        fail_msg("%s", err.text);
}

/* Names in a folder that end so, in order. */
static size_t list(const char *folder, const char *ending, char *names[FILES_MAX])
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        fail_msg("no folder %s", folder);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        const char *dot = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' || dot == NULL)
            continue;
        if (ending != NULL ? strcmp(dot, ending) == 0 : mw_author_knows(mw_str_of(entry->d_name)))
            names[count++] = mw_heap_copy(mw_str_of(entry->d_name));
    }
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

static void free_names(char *names[FILES_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++)
        mw_heap_free(names[i]);
}

static void add_folder(const char *folder)
{
    char *names[FILES_MAX];
    size_t count = list(folder, NULL, names);
    for (size_t i = 0; i < count; i++)
        add_file(folder, names[i]);
    free_names(names, count);
}

static void add_factory(void)
{
    for (size_t i = 0; i < MW_COUNT(factory_folders); i++)
        add_folder(
            mw_arena_format(&set.arena, "%s/factory/%s", MW_SOURCE_DIR, factory_folders[i]).ptr);
}

static const struct mw_catalogue *load(void)
{
    const struct mw_catalogue *catalogue = NULL;
    struct mw_err err;
    if (mw_catalogue_load(&set.arena, set.files, set.count, MW_STR("0123"), &catalogue, &err) !=
        MW_OK)
        fail_msg("%s", err.text);
    return catalogue;
}

static const struct mw_catalogue *factory(void)
{
    add_factory();
    return load();
}

static void assert_text(struct mw_str actual, const char *expected)
{
    if (!mw_str_is(actual, expected))
        fail_msg("'%.*s' is not '%s'", MW_STR_ARG(actual), expected);
}

/* ---- the factory ---- */

static void the_factory_loads_whole(void **state)
{
    (void)state;
    const struct mw_catalogue *catalogue = factory();
    assert_int_equal(catalogue->workflow_count, 4);
    assert_int_equal(catalogue->journey_count, 1);
    assert_int_equal(catalogue->coordinator_count, 1);
    assert_int_equal(catalogue->rules_count, 1);
    assert_int_equal(catalogue->agent_count, 13);
    assert_int_equal(catalogue->policy_count, 3);
    assert_int_equal(catalogue->running_max, 8);
    assert_text(catalogue->sha256, "0123");
    for (uint32_t i = 0; i < catalogue->task_count; i++)
        assert_int_equal(catalogue->tasks[i]->index, i);
    for (uint32_t i = 0; i < catalogue->group_count; i++)
        assert_int_equal(catalogue->groups[i]->index, i);
    assert_null(mw_catalogue_workflow(catalogue, MW_STR("Nothing")));
    assert_null(mw_catalogue_journey(catalogue, MW_STR("Nothing")));
    assert_null(mw_catalogue_coordinator(catalogue, MW_STR("Nothing")));
}

static void the_order_of_files_does_not_matter(void **state)
{
    (void)state;
    const struct mw_catalogue *forward = factory();
    for (size_t i = 0; i < set.count / 2; i++) {
        struct mw_definition_file file = set.files[i];
        set.files[i] = set.files[set.count - 1 - i];
        set.files[set.count - 1 - i] = file;
    }
    const struct mw_catalogue *backward = load();
    assert_int_equal(forward->task_count, backward->task_count);
    const struct mw_journey_def *journey = mw_catalogue_journey(backward, MW_STR("new_app"));
    assert_text(backward->workflows[journey->steps[0].workflow].name, "ValueEngine");
    assert_text(backward->workflows[journey->steps[3].workflow].name, "AppGenerator");
}

static void a_new_app_goes_through_its_four_workflows(void **state)
{
    (void)state;
    static const struct {
        const char *workflow;
        const char *family;
    } steps[] = {{"ValueEngine", "concept"},
                 {"DesignDocs", "design_docs"},
                 {"AgentGenerator", "workflow_bundle"},
                 {"AppGenerator", "app_bundle"}};
    const struct mw_catalogue *catalogue = factory();
    const struct mw_journey_def *journey = mw_catalogue_journey(catalogue, MW_STR("new_app"));
    assert_int_equal(journey->step_count, 4);
    for (size_t i = 0; i < MW_COUNT(steps); i++) {
        assert_text(catalogue->workflows[journey->steps[i].workflow].name, steps[i].workflow);
        assert_text(journey->steps[i].produces[0], steps[i].family);
    }
    assert_int_equal(journey->document_count, 2);
    assert_text(journey->documents[1].type, "PortsAndUseCasesReady");
    assert_text(journey->validation->skill, "ValidateBundle");
    assert_int_equal(journey->validation->inputs, MW_INPUTS_TRACE);
    assert_text(catalogue->policies[journey->validation->policy].name, "checks");
    const struct mw_workflow_def *empty =
        mw_catalogue_workflow(catalogue, MW_STR("AgentGenerator"));
    assert_int_equal(empty->role_count, 0);
    assert_int_equal(empty->start[0].to, MW_ROLE_NONE);
    assert_text(empty->start[0].reason, "WorkflowBundleReady");
}

static void a_question_goes_to_a_person_and_back_to_who_asked(void **state)
{
    (void)state;
    const struct mw_workflow_def *workflow =
        mw_catalogue_workflow(factory(), MW_STR("ValueEngine"));
    assert_int_equal(workflow->handoff_count, 4);
    assert_text(workflow->handoffs[0].on, "StrategicBlueprintGenerated");
    assert_false(workflow->handoffs[0].fails);
    assert_int_equal(workflow->handoffs[0].to, MW_ROLE_NONE);
    assert_text(workflow->roles[workflow->handoffs[1].to].name, "person");
    assert_text(workflow->roles[workflow->handoffs[2].to].name, "importer");
    assert_non_null(workflow->handoffs[2].when);
    assert_text(workflow->roles[workflow->handoffs[3].to].name, "vision");
    assert_text(workflow->roles[workflow->start[0].to].name, "importer");
    assert_text(workflow->roles[workflow->start[1].to].name, "vision");
    assert_text(workflow->roles[0].task->context[0], "ClarificationAnswered");
}

/* CO-02, V-43, C-29, C-30 */
static void the_coordinator_goes_through_the_decided_states(void **state)
{
    (void)state;
    static const char *const states[] = {"Scaffolding",  "PortsReady", "UseCasesReady",
                                         "AdapterReady", "AuthReady",  "TestsReady",
                                         "PRCreated",    "Complete"};
    const struct mw_coordinator_def *coordinator =
        mw_catalogue_coordinator(factory(), MW_STR("MicroserviceAssemblyCoordinator"));
    assert_int_equal(coordinator->state_count, MW_COUNT(states));
    assert_int_equal(coordinator->initial, 0);
    assert_text(coordinator->version, "1.0.0");
    assert_text(coordinator->command, "StartMicroserviceAssembly");
    for (uint32_t i = 0; i < coordinator->state_count; i++) {
        const struct mw_state_def *at = &coordinator->states[i];
        assert_text(at->name, states[i]);
        assert_int_equal(at->final, i + 1 == MW_COUNT(states));
        assert_true(at->final || at->timeout_ms > 0);
        if (!at->final)
            assert_int_equal(at->transitions[0].go, i + 1);
    }
    assert_int_equal(coordinator->states[0].transitions[0].event_count, 2);
    assert_text(coordinator->states[1].transitions[0].group, "usecases");
    const struct mw_transition_def *skip = &coordinator->states[3].transitions[0];
    assert_true(skip->skip);
    assert_text(skip->rule, "no-auth");
    assert_text(mw_expr_text(skip->rule_field), "item.auth");
    const struct mw_state_def *tests = &coordinator->states[4];
    assert_text(tests->transitions[0].emit, "TestsPassed");
    assert_true(tests->transitions[1].fails);
    assert_text(tests->transitions[1].emit, "TestsFailed");
    assert_int_equal(tests->asks[1].after_count, 2);
}

static const struct mw_member_def *member(const struct mw_group_def *group, const char *id)
{
    for (uint32_t i = 0; i < group->member_count; i++)
        if (mw_str_is(group->members[i].id, id))
            return &group->members[i];
    fail_msg("no member %s", id);
    return NULL;
}

static void the_plan_has_one_coordinator_a_service_and_what_follows_it(void **state)
{
    (void)state;
    const struct mw_catalogue *catalogue = factory();
    const struct mw_group_def *plan =
        mw_catalogue_workflow(catalogue, MW_STR("AppGenerator"))->roles[0].plan;
    assert_text(plan->id, "system");
    assert_int_equal(plan->strategy, MW_JOIN_ALL);
    const struct mw_member_def *service = member(plan, "service");
    assert_int_equal(service->kind, MW_MEMBER_COORDINATOR);
    assert_text(service->for_each_root, "design");
    assert_text(service->for_each_pointer, "/services");
    const struct mw_member_def *after = member(plan, "postAssembly");
    assert_ptr_equal(&plan->members[after->after], service);
    assert_true(after->group->opens_scope);
    assert_true(after->group->sequential);
    assert_int_equal(after->group->member_count, 3);
    assert_text(after->group->members[2].rule, "ci");
    assert_text(catalogue->policies[after->group->members[2].task->policy].name, "people");
}

/* CD-03: rules lead to one member a route. */
static void a_route_becomes_a_member_for_each_place_it_leads_to(void **state)
{
    (void)state;
    const struct mw_group_def *plan =
        mw_catalogue_workflow(factory(), MW_STR("AppGenerator"))->roles[0].plan;
    const struct mw_member_def *oauth = member(plan, "auth/ConfigureOAuth2");
    const struct mw_member_def *jwt = member(plan, "auth/ConfigureJWTAuth");
    assert_text(oauth->task->skill, "ConfigureOAuth2");
    assert_text(jwt->task->skill, "ConfigureJWTAuth");
    assert_text(oauth->rule, "auth/1");
    assert_text(jwt->rule, "auth/2");
    assert_text(mw_expr_text(jwt->rule_field), "metadata.auth");
    assert_true(jwt->task->scope_wide);
    assert_ptr_equal(&plan->members[jwt->after], oauth);
}

/* AG-23 */
static void no_definition_of_the_factory_names_an_agent(void **state)
{
    (void)state;
    const struct mw_catalogue *catalogue = factory();
    for (size_t folder = 0; folder + 1 < MW_COUNT(factory_folders); folder++) {
        char *names[FILES_MAX];
        char path[512];
        snprintf(path, sizeof path, "%s/factory/%s", MW_SOURCE_DIR, factory_folders[folder]);
        size_t count = list(path, NULL, names);
        for (size_t i = 0; i < count; i++) {
            snprintf(path, sizeof path, "%s/factory/%s/%s", MW_SOURCE_DIR, factory_folders[folder],
                     names[i]);
            struct mw_str text = read_text(path);
            for (uint32_t a = 0; a < catalogue->agent_count; a++)
                if (memmem(text.ptr, text.len, catalogue->agents[a].id.ptr,
                           catalogue->agents[a].id.len) != NULL)
                    fail_msg("%s names the agent %.*s", path, MW_STR_ARG(catalogue->agents[a].id));
        }
        free_names(names, count);
    }
}

/* ---- what the factory's expressions give for a small app ---- */

static const char sample[] =
    "{\"intent\":{\"prompt\":\"p\",\"priority\":\"normal\",\"blueprint\":{}},"
    "\"blueprint\":{\"blueprintId\":\"blueprint-1\",\"modules\":[\"AService\"],\"auth\":\"JWT\","
    "\"storage\":\"File\",\"blueprint\":{\"name\":\"A\",\"slug\":\"a\",\"frontend\":{},"
    "\"gateway\":{}}},"
    "\"metadata\":{\"auth\":\"JWT\",\"features\":[],\"testScope\":[\"Unit\"],\"ci\":false},"
    "\"design\":{\"services\":[{\"serviceName\":\"AService\",\"slug\":\"a\",\"domain\":\"As\","
    "\"useCases\":[\"MakeA\"],\"storage\":\"File\",\"auth\":\"JWT\",\"jwt\":{\"algorithm\":"
    "\"HS256\"},"
    "\"features\":[],\"entities\":[{\"name\":\"A\",\"slug\":\"a\"}],"
    "\"use_cases\":[{\"name\":\"MakeA\",\"slug\":\"make-a\",\"entity\":\"A\",\"handler\":"
    "\"MakeAHandler\"}],\"ports\":[{\"name\":\"IARepository\",\"entity\":\"A\",\"slug\":\"a\"}]}]},"
    "\"event\":{\"question\":\"q\",\"field\":\"f\",\"reason\":\"r\",\"options\":[]},"
    "\"facts\":{\"TestResultsReady\":{\"result\":\"Passed\"},\"PullRequestCreated\":{\"url\":\"u\"}"
    "},"
    "\"scope\":{\"traceId\":\"t\",\"sessionId\":\"s\",\"blueprintId\":\"b\",\"buildId\":\"b\","
    "\"appId\":\"a\",\"repository\":\"r\",\"coordinator\":\"C\",\"coordinatorVersion\":\"1\","
    "\"version\":\"1\"}}";

struct place {
    const struct mw_tape *tape;
    uint32_t item;
    uint32_t outer;
    uint32_t evaluated_count;
    struct mw_arena arena;
};

static struct mw_value value_of(struct place *place, const struct mw_expr *expr)
{
    static const char *const names[] = {"intent", "blueprint", "metadata", "design",
                                        "event",  "facts",     "scope"};
    struct mw_expr_root roots[MW_COUNT(names) + 2];
    for (size_t i = 0; i < MW_COUNT(names); i++)
        roots[i] = (struct mw_expr_root){mw_str_of(names[i]), place->tape,
                                         mw_node_get(place->tape, 0, names[i])};
    roots[MW_COUNT(names)] = (struct mw_expr_root){MW_STR("item"), place->tape, place->item};
    roots[MW_COUNT(names) + 1] = (struct mw_expr_root){MW_STR("outer"), place->tape, place->outer};
    struct mw_value value = {.type = MW_VALUE_NULL};
    struct mw_err err;
    if (mw_expr_eval(expr, roots, MW_COUNT(roots), &place->arena, &value, &err) != MW_OK)
        fail_msg("%.*s: %s", MW_STR_ARG(mw_expr_text(expr)), err.text);
    place->evaluated_count++;
    return value;
}

static void evaluate_bindings(struct place *place, const struct mw_bindings *bindings)
{
    for (uint32_t i = 0; i < bindings->count; i++)
        (void)value_of(place, bindings->items[i].value); /* that it can be had is the test */
}

static void evaluate_task(struct place *place, const struct mw_task_def *task)
{
    const struct mw_expr *const texts[] = {task->subject, task->domain, task->key};
    evaluate_bindings(place, &task->payload);
    for (size_t i = 0; i < MW_COUNT(texts); i++)
        if (texts[i] != NULL)
            assert_int_equal(value_of(place, texts[i]).type, MW_VALUE_STRING);
    for (uint32_t i = 0; i < task->owns_count; i++)
        assert_int_equal(value_of(place, task->owns[i]).type, MW_VALUE_STRING);
}

static void evaluate_coordinator(struct place *place, const struct mw_coordinator_def *coordinator);

static void evaluate_group(struct place *place, const struct mw_group_def *group,
                           const struct mw_catalogue *catalogue)
{
    for (uint32_t i = 0; i < group->member_count; i++) {
        const struct mw_member_def *at = &group->members[i];
        struct place inside = *place;
        if (at->when != NULL)
            assert_int_equal(value_of(&inside, at->when).type, MW_VALUE_BOOL);
        if (at->for_each_root.len > 0) {
            uint32_t root = mw_str_is(at->for_each_root, "item")
                                ? place->item
                                : mw_node_get_str(place->tape, 0, at->for_each_root);
            uint32_t items = mw_node_pointer(place->tape, root, at->for_each_pointer);
            assert_int_equal(mw_node_count(place->tape, items), 1);
            inside.outer = place->item;
            inside.item = mw_node_at(place->tape, items, 0);
        }
        if (at->kind == MW_MEMBER_TASK)
            evaluate_task(&inside, at->task);
        else if (at->kind == MW_MEMBER_GROUP)
            evaluate_group(&inside, at->group, catalogue);
        else
            evaluate_coordinator(&inside, &catalogue->coordinators[at->coordinator]);
        place->arena = inside.arena;
        place->evaluated_count = inside.evaluated_count;
    }
}

static void evaluate_coordinator(struct place *place, const struct mw_coordinator_def *coordinator)
{
    assert_text(value_of(place, coordinator->key).text, "AService");
    evaluate_bindings(place, &coordinator->fragment);
    evaluate_bindings(place, &coordinator->result);
    evaluate_bindings(place, &coordinator->tracker);
    for (uint32_t s = 0; s < coordinator->state_count; s++) {
        const struct mw_state_def *state = &coordinator->states[s];
        for (uint32_t i = 0; i < state->ask_count; i++)
            if (state->asks[i].task != NULL)
                evaluate_task(place, state->asks[i].task);
            else
                evaluate_group(place, state->asks[i].group, NULL);
        for (uint32_t i = 0; i < state->transition_count; i++)
            if (state->transitions[i].when != NULL)
                assert_int_equal(value_of(place, state->transitions[i].when).type, MW_VALUE_BOOL);
    }
}

static void every_expression_of_the_factory_has_a_value_for_a_small_app(void **state)
{
    (void)state;
    const struct mw_catalogue *catalogue = factory();
    struct mw_tape tape;
    struct mw_err err;
    if (mw_json_parse(&set.arena, MW_STR(sample), &tape, &err) != MW_OK)
        fail_msg("%s", err.text);
    struct place place = {.tape = &tape, .item = MW_NODE_NONE, .outer = MW_NODE_NONE};
    mw_heap_arena(&place.arena, ARENA_BYTES);
    for (uint32_t w = 0; w < catalogue->workflow_count; w++) {
        const struct mw_workflow_def *workflow = &catalogue->workflows[w];
        for (uint32_t i = 0; i < workflow->role_count; i++)
            if (workflow->roles[i].task != NULL)
                evaluate_task(&place, workflow->roles[i].task);
            else
                evaluate_group(&place, workflow->roles[i].plan, catalogue);
        for (uint32_t i = 0; i < workflow->handoff_count; i++)
            if (workflow->handoffs[i].when != NULL)
                (void)value_of(&place, workflow->handoffs[i].when);
    }
    const struct mw_journey_def *journey = &catalogue->journeys[0];
    assert_text(value_of(&place, journey->app_id).text, "a");
    assert_text(value_of(&place, journey->app_name).text, "A");
    evaluate_task(&place, journey->validation);
    assert_true(place.evaluated_count > 150);
    mw_heap_arena_free(&place.arena);
}

/* ---- mistakes ---- */

static enum mw_rc load_beside_base(const char *folder, const char *name, struct mw_err *err)
{
    const struct mw_catalogue *catalogue = NULL;
    add_folder(DEFINITIONS "/base");
    struct mw_str path = mw_arena_format(&set.arena, "%s/%s", folder, name);
    enum mw_rc rc = add_text(mw_str_of(name), read_text(path.ptr), err);
    if (rc == MW_OK)
        rc = mw_catalogue_load(&set.arena, set.files, set.count, MW_STR("0"), &catalogue, err);
    assert_int_equal(rc == MW_OK, catalogue != NULL);
    return rc;
}

static void every_invalid_file_is_refused_with_its_place(void **state)
{
    (void)state;
    const char *folder = DEFINITIONS "/invalid";
    char *names[FILES_MAX];
    size_t count = list(folder, NULL, names);
    size_t wrong_count = 0;
    bool write = getenv("MW_GOLDEN") != NULL;
    assert_true(count >= 60);
    for (size_t i = 0; i < count; i++) {
        empty();
        struct mw_err err = {.rc = MW_OK};
        char path[512];
        enum mw_rc rc = load_beside_base(folder, names[i], &err);
        snprintf(path, sizeof path, "%s/%.*s.error", folder,
                 (int)(strrchr(names[i], '.') - names[i]), names[i]);
        if (write) {
            struct mw_str line = mw_arena_format(&set.arena, "%s\n", rc != MW_OK ? err.text : "ok");
            if (mw_file_replace(AT_FDCWD, path, line, 0644, &err) != MW_OK)
                fail_msg("%s", err.text);
        } else {
            struct mw_str expected = mw_str_trim(read_text(path));
            bool refused = rc == MW_E_CONFIG && mw_str_is(expected, err.text);
            if (!refused)
                print_error("%s: '%s' is not '%.*s'\n", names[i], rc != MW_OK ? err.text : "ok",
                            MW_STR_ARG(expected));
            wrong_count += !refused;
        }
    }
    free_names(names, count);
    assert_int_equal(wrong_count, 0);
}

static void every_valid_file_is_taken(void **state)
{
    (void)state;
    const char *folder = DEFINITIONS "/valid";
    char *names[FILES_MAX];
    size_t count = list(folder, NULL, names);
    assert_true(count >= 8);
    for (size_t i = 0; i < count; i++) {
        empty();
        struct mw_err err = {.rc = MW_OK};
        if (load_beside_base(folder, names[i], &err) != MW_OK)
            fail_msg("%s", err.text);
    }
    free_names(names, count);
}

/* Each line of a file of the factory left out, the others as they are. *ret_refused: how many of the *ret_tried are not taken. */
static void lose_each_line(struct mw_arena *arena, const char *path,
                           struct mw_definition_file *file, uint32_t *ret_tried,
                           uint32_t *ret_refused)
{
    const struct mw_definition_file kept = *file;
    struct mw_str text = read_text(path);
    for (size_t from = 0, to; from < text.len; from = to) {
        const struct mw_catalogue *catalogue;
        struct mw_err err;
        size_t newline = mw_str_find(text, '\n', from);
        to = newline < text.len ? newline + 1 : text.len;
        mw_arena_reset(arena);
        struct mw_str less = mw_arena_format(arena, "%.*s%.*s", (int)from, text.ptr,
                                             (int)(text.len - to), text.ptr + to);
        enum mw_rc rc = mw_author_read(arena, kept.path, less, &file->tape, &err);
        if (rc == MW_OK)
            rc = mw_catalogue_load(arena, set.files, set.count, MW_STR("0"), &catalogue, &err);
        assert_true(rc == MW_OK || rc == MW_E_CONFIG || rc == MW_E_INPUT);
        ++*ret_tried;
        *ret_refused += rc != MW_OK;
    }
    *file = kept;
}

/* Any line of the factory may be lost: the loader takes the rest or says why not, and nothing else happens. */
static void a_lost_line_never_breaks_the_loader(void **state)
{
    static const char *const folders[] = {"coordinators", "plans", "workflows", "journeys",
                                          "policies"};
    uint32_t tried = 0, refused = 0;
    char *names[FILES_MAX], path[512];
    struct mw_arena arena;
    (void)state;
    add_factory();
    mw_heap_arena(&arena, (size_t)8 << 20);
    for (size_t f = 0; f < MW_COUNT(folders); f++) {
        snprintf(path, sizeof path, "%s/factory/%s", MW_SOURCE_DIR, folders[f]);
        size_t count = list(path, NULL, names);
        for (size_t n = 0; n < count; n++) {
            size_t index = 0;
            while (index < set.count && !mw_str_is(set.files[index].path, names[n]))
                index++;
            snprintf(path, sizeof path, "%s/factory/%s/%s", MW_SOURCE_DIR, folders[f], names[n]);
            lose_each_line(&arena, path, &set.files[index], &tried, &refused);
        }
        free_names(names, count);
    }
    assert_true(tried > 300);
    assert_true(refused > tried / 4);
    mw_heap_arena_free(&arena);
}

static void too_little_memory_is_said_and_nothing_else_happens(void **state)
{
    (void)state;
    add_factory();
    struct mw_arena arena;
    mw_heap_arena(&arena, (size_t)1 << 20);
    const struct mw_catalogue *catalogue = NULL;
    struct mw_err err = {.rc = MW_OK};
    enum mw_rc rc = MW_E_LIMIT;
    uint32_t refused_count = 0;
    for (size_t bytes = 64; rc != MW_OK; bytes += 1504) {
        assert_true(bytes < (size_t)1 << 20);
        struct mw_arena small;
        mw_arena_init(&small, arena.memory, bytes);
        rc = mw_catalogue_load(&small, set.files, set.count, MW_STR("0"), &catalogue, &err);
        if (rc == MW_OK)
            break;
        refused_count++;
        if (rc != MW_E_LIMIT || strstr(err.text, "memory") == NULL)
            fail_msg("%zu bytes: %s", bytes, err.text);
    }
    assert_true(refused_count > 50);
    mw_heap_arena_free(&arena);
}

static void without_policies_the_decided_defaults_hold(void **state)
{
    (void)state;
    static const char workflow[] =
        "{\"workflow\":\"W\",\"purpose\":\"p\",\"roles\":{\"r\":{\"task\":"
        "{\"skill\":\"MakeThing\",\"expects\":\"ThingReady\"}}},\"start\":"
        "[{\"role\":\"r\"}],\"handoffs\":[{\"on\":\"ThingReady\","
        "\"complete\":true}]}";
    struct mw_err err;
    assert_int_equal(add_text(MW_STR("w.json"), MW_STR(workflow), &err), MW_OK);
    const struct mw_catalogue *catalogue = load();
    const struct mw_policy *policy =
        &catalogue->policies[catalogue->workflows[0].roles[0].task->policy];
    assert_int_equal(policy->attempts_max, 2);
    assert_int_equal(policy->reroutes_max, 1);
    assert_int_equal(policy->backoff_base_ms, 1000);
    assert_int_equal(policy->backoff_factor, 2);
    assert_int_equal(policy->backoff_cap_ms, 60000);
    assert_true(policy->escalates);
    assert_int_equal(catalogue->workflows[0].iterations_max, 50);
}

/* A plan of so many members, each with a route that leads to two places. */
static enum mw_rc load_routed(uint32_t member_count, struct mw_err *err)
{
    static const char rules[] = "if:\n  metadata.auth == \"JWT\"\nthen:\n  route: MakeThis\n"
                                "else:\n  route: MakeThat\n";
    struct mw_buf plan = mw_heap_buf();
    const struct mw_catalogue *catalogue;
    empty();
    mw_buf_put_z(&plan, "plan: Wide\ngroup: wide\nmembers:\n");
    for (uint32_t i = 0; i < member_count; i++)
        mw_buf_printf(&plan, "  - {id: m%u, route: two, task: {expects: ThingReady}}\n", i);
    enum mw_rc rc = add_text(MW_STR("two.yaml"), MW_STR(rules), err);
    if (rc == MW_OK)
        rc = add_text(MW_STR("wide.yaml"), mw_buf_str(&plan), err);
    if (rc == MW_OK)
        rc = mw_catalogue_load(&set.arena, set.files, set.count, MW_STR("0"), &catalogue, err);
    mw_heap_buf_free(&plan);
    return rc;
}

static void members_that_routes_make_count_as_members(void **state)
{
    struct mw_err err;
    (void)state;
    if (load_routed(128, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(load_routed(129, &err), MW_E_CONFIG);
    assert_non_null(strstr(err.text, "more than 256 members"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_factory_loads_whole),
        TEST(the_order_of_files_does_not_matter),
        TEST(a_new_app_goes_through_its_four_workflows),
        TEST(a_question_goes_to_a_person_and_back_to_who_asked),
        TEST(the_coordinator_goes_through_the_decided_states),
        TEST(the_plan_has_one_coordinator_a_service_and_what_follows_it),
        TEST(a_route_becomes_a_member_for_each_place_it_leads_to),
        TEST(members_that_routes_make_count_as_members),
        TEST(no_definition_of_the_factory_names_an_agent),
        TEST(every_expression_of_the_factory_has_a_value_for_a_small_app),
        TEST(every_invalid_file_is_refused_with_its_place),
        TEST(every_valid_file_is_taken),
        TEST(a_lost_line_never_breaks_the_loader),
        TEST(too_little_memory_is_said_and_nothing_else_happens),
        TEST(without_policies_the_decided_defaults_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
