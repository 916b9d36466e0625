#include "builtin/check_internal.h"

#include "posix/heap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILURES_MAX 50
#define TEXT_BYTES_MAX 1024u /* of a failure: all of them fit the line of an answer (P14) */
#define ARENA_BYTES ((size_t)64 << 20)

/* One row of the answer's "suites". */
struct suite {
    const char *name;
    char **words;
    int exit;
    int64_t duration_ms;
    uint32_t passed, failed, skipped;
    char output_sha256[MW_SHA256_HEX];
};

struct judgement {
    int64_t deadline_ns;
    struct suite suites[2];
    uint32_t suite_count;
    struct check_tests tests;
    struct mw_str tests_note; /* why the tests failed as a whole; empty: they did not */
    char *owned_note;
    struct mw_probe_report probe;
};

static enum mw_rc run_tests(struct mw_builtin *b, struct mw_err *err);
static enum mw_rc run_service_tests(struct mw_builtin *b, const struct check_service *service,
                                    struct judgement *judgement, struct mw_err *err);
static enum mw_rc run_probe(struct mw_builtin *b, const struct check_service *service,
                            struct judgement *judgement, struct mw_err *err);
static void write_answer(struct mw_builtin *b, const struct judgement *judgement);
static bool wants_service_tests(const struct mw_builtin *b);

enum mw_rc mw_builtin_check(struct mw_builtin *b, struct mw_str *ret_event, struct mw_err *err)
{
    if (mw_str_is(b->task_type, "ValidateBundle")) {
        enum mw_rc rc = check_bundle(b, err);
        if (rc == MW_OK)
            *ret_event = MW_STR("BundleValidated");
        return rc;
    }
    if (!mw_str_is(b->task_type, "RunTests"))
        return MW_FAIL(err, MW_E_MISSING, "checks know RunTests and ValidateBundle, not '%.*s'",
                       MW_STR_ARG(b->task_type));
    enum mw_rc rc = run_tests(b, err);
    if (rc == MW_OK)
        *ret_event = MW_STR("TestResultsReady");
    return rc;
}

int64_t check_deadline_ns(const struct mw_builtin *b)
{
    uint32_t limits = mw_node_get(&b->task, b->payload, "limits");
    int64_t ms =
        mw_node_int(&b->task, mw_node_get(&b->task, limits, "deadline_ms"), MW_PROBE_DEADLINE_MS);
    if (ms < 1 || ms > 3600000)
        ms = MW_PROBE_DEADLINE_MS;
    return mw_now_monotonic_ns() + ms * 1000000;
}

static enum mw_rc run_tests(struct mw_builtin *b, struct mw_err *err)
{
    uint32_t design = mw_node_get(&b->task, b->payload, "design");
    struct mw_str slug = mw_node_get_text(&b->task, b->payload, "slug");
    struct check_service service;
    struct judgement judgement = {.deadline_ns = check_deadline_ns(b)};
    if (mw_node_type(&b->task, design) != MW_NODE_OBJECT)
        return MW_FAIL(err, MW_E_INPUT, "RunTests wants payload.design, the service's design");
    if (slug.len == 0)
        slug = mw_node_get_text(&b->task, design, "slug");
    enum mw_rc rc = check_service_open(slug, &service, err);
    if (rc != MW_OK)
        return rc;
    if (wants_service_tests(b))
        rc = run_service_tests(b, &service, &judgement, err);
    if (rc == MW_OK)
        rc = run_probe(b, &service, &judgement, err);
    if (rc == MW_OK)
        write_answer(b, &judgement);
    for (uint32_t i = 0; i < judgement.suite_count; i++)
        check_words_free(judgement.suites[i].words);
    check_tests_free(&judgement.tests);
    mw_heap_free(judgement.owned_note);
    mw_probe_report_free(&judgement.probe);
    check_service_close(&service);
    return rc;
}

/* The probe is the whole of E2E; the service's own tests are Unit and Integration. No scope at all means everything. */
static bool wants_service_tests(const struct mw_builtin *b)
{
    uint32_t scope = mw_node_get(&b->task, b->payload, "testScope");
    bool named = false;
    for (uint32_t i = mw_node_first(&b->task, scope); i != MW_NODE_NONE;
         i = mw_node_after(&b->task, scope, i))
        named = named || mw_str_is(mw_node_str(&b->task, i), "Unit") ||
                mw_str_is(mw_node_str(&b->task, i), "Integration");
    return named || mw_node_count(&b->task, scope) == 0;
}

/* ------------------------------------------------------------------ service.json */

enum mw_rc check_service_open(struct mw_str slug, struct check_service *ret_service,
                              struct mw_err *err)
{
    struct stat info;
    if (!mw_path_is_plain(slug) || mw_str_find(slug, '/', 0) != SIZE_MAX)
        return MW_FAIL(err, MW_E_INPUT, "the slug '%.*s' is no plain name", MW_STR_ARG(slug));
    struct check_service service = {.folder = mw_heap_format("services/%.*s", MW_STR_ARG(slug)),
                                    .text = mw_heap_buf()};
    enum mw_rc rc = MW_OK;
    if (stat(service.folder, &info) != 0 || !S_ISDIR(info.st_mode))
        rc = MW_FAIL(err, MW_E_MISSING, "there is no folder '%s'", service.folder);
    mw_heap_arena(&service.arena, ARENA_BYTES);
    char *path = mw_heap_format("%s/service.json", service.folder);
    if (rc == MW_OK)
        rc = mw_file_read(AT_FDCWD, path, CHECK_FILE_MAX, &service.text, err);
    if (rc == MW_OK)
        rc = mw_json_parse(&service.arena, mw_buf_str(&service.text), &service.tape, err);
    mw_heap_free(path);
    if (rc != MW_OK) {
        check_service_close(&service);
        return rc;
    }
    *ret_service = service;
    return MW_OK;
}

void check_service_close(struct check_service *service)
{
    mw_heap_free(service->folder);
    mw_heap_buf_free(&service->text);
    mw_heap_arena_free(&service->arena);
    memset(service, 0, sizeof *service);
}

char **check_words(const struct check_service *service, const char *key)
{
    const struct mw_tape *tape = &service->tape;
    uint32_t list = mw_node_get(tape, 0, key);
    uint32_t count = mw_node_count(tape, list);
    if (mw_node_type(tape, list) != MW_NODE_ARRAY || count == 0 || count > MW_COMMAND_WORDS_MAX)
        return NULL;
    char **words = mw_heap_alloc((count + 1) * sizeof *words);
    uint32_t used = 0;
    for (uint32_t i = mw_node_first(tape, list); i != MW_NODE_NONE;
         i = mw_node_after(tape, list, i))
        words[used++] = mw_heap_copy(mw_node_str(tape, i));
    return words;
}

void check_words_free(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        mw_heap_free(words[i]);
    mw_heap_free(words);
}

enum mw_rc check_scratch_make(char **ret_path, struct mw_err *err)
{
    const char *place = getenv("TMPDIR");
    char here[4096];
    char *path;
    if (place != NULL && place[0] == '/')
        path = mw_heap_format("%s/mw-check-XXXXXX", place);
    else if (getcwd(here, sizeof here) != NULL)
        path = mw_heap_format("%s/.probe-XXXXXX", here);
    else
        return MW_FAIL(err, MW_E_IO, "the current folder has no name");
    if (mkdtemp(path) == NULL) {
        enum mw_rc rc = MW_FAIL(err, MW_E_IO, "make the folder '%s'", path);
        mw_heap_free(path);
        return rc;
    }
    *ret_path = path;
    return MW_OK;
}

void check_scratch_remove(char *path)
{
    /* What cannot be removed is in a folder for what is temporary. */
    if (mw_remove_tree(AT_FDCWD, path, NULL) != MW_OK)
        (void)rmdir(path);
    mw_heap_free(path);
}

/* ------------------------------------------------------------------ the suites */

struct listener {
    struct check_tests *tests;
    struct mw_str form;
};

static void hear(void *user, struct mw_str line)
{
    struct listener *listener = user;
    check_tests_line(listener->tests, listener->form, line);
}

static enum mw_rc run_service_tests(struct mw_builtin *b, const struct check_service *service,
                                    struct judgement *judgement, struct mw_err *err)
{
    struct suite *suite = &judgement->suites[judgement->suite_count++];
    struct listener listener = {&judgement->tests,
                                mw_node_get_text(&service->tape, 0, "test_output")};
    struct mw_command_result result;
    int64_t left_ms = (judgement->deadline_ns - mw_now_monotonic_ns()) / 1000000;
    *suite = (struct suite){.name = "service tests", .words = check_words(service, "coverage")};
    if (suite->words == NULL)
        suite->words = check_words(service, "test");
    if (suite->words == NULL) {
        suite->exit = 1;
        suite->failed = 1;
        mw_sha256_hex(MW_STR_NONE, suite->output_sha256);
        judgement->tests_note = MW_STR("service.json has neither coverage nor test");
        check_tests_end(&judgement->tests);
        return MW_OK;
    }
    mw_builtin_progress(b, MW_STR("service tests"));
    struct mw_command command = {.words = (const char *const *)suite->words,
                                 .folder = service->folder};
    enum mw_rc rc = mw_command_run(&command, left_ms, hear, &listener, &result, err);
    if (rc != MW_OK)
        return rc;
    check_tests_end(&judgement->tests);
    suite->exit = result.exit;
    suite->duration_ms = result.duration_ms;
    suite->passed = judgement->tests.passed;
    suite->failed = judgement->tests.failed;
    suite->skipped = judgement->tests.skipped;
    memcpy(suite->output_sha256, result.output_sha256, sizeof suite->output_sha256);
    if (result.timed_out)
        judgement->tests_note = MW_STR("they did not end in time");
    else if (result.exit != 0 && judgement->tests.name_count == 0) {
        struct mw_str tail = mw_str_trim(mw_buf_str(&result.tail));
        if (tail.len > 600)
            tail = mw_str_sub(tail, tail.len - 600, 600);
        judgement->owned_note = mw_heap_format("exit %d: %.*s", result.exit, MW_STR_ARG(tail));
        judgement->tests_note = mw_str_of(judgement->owned_note);
    } else if (result.exit == 0 && suite->passed == 0)
        judgement->tests_note =
            MW_STR("no test passed: there are none, or they were not understood");
    mw_command_result_free(&result);
    return MW_OK;
}

static void progress(void *user, struct mw_str text)
{
    mw_builtin_progress(user, text);
}

static enum mw_rc run_probe(struct mw_builtin *b, const struct check_service *service,
                            struct judgement *judgement, struct mw_err *err)
{
    struct suite *suite = &judgement->suites[judgement->suite_count++];
    int64_t started_ns = mw_now_monotonic_ns();
    char *scratch;
    *suite = (struct suite){.name = "probe", .words = check_words(service, "start")};
    if (suite->words == NULL)
        return MW_FAIL(err, MW_E_FAILED, "%s/service.json has no start", service->folder);
    enum mw_rc rc = check_scratch_make(&scratch, err);
    if (rc != MW_OK)
        return rc;
    struct mw_probe_options options = {.tape = &b->task,
                                       .design = mw_node_get(&b->task, b->payload, "design"),
                                       .folder = service->folder,
                                       .scratch = scratch,
                                       .start = (const char *const *)suite->words,
                                       .deadline_ns = judgement->deadline_ns,
                                       .say = progress,
                                       .user = b};
    rc = mw_probe_run(&options, &judgement->probe, err);
    check_scratch_remove(scratch);
    if (rc != MW_OK)
        return rc;
    struct mw_sha256 sha;
    uint8_t digest[32];
    mw_sha256_begin(&sha);
    for (uint32_t i = 0; i < judgement->probe.failure_count; i++) {
        mw_sha256_add(&sha, judgement->probe.failures[i].test);
        mw_sha256_add(&sha, judgement->probe.failures[i].expected);
        mw_sha256_add(&sha, judgement->probe.failures[i].actual);
    }
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof digest, suite->output_sha256);
    suite->passed = judgement->probe.passed;
    suite->failed = judgement->probe.failed;
    suite->skipped = judgement->probe.skipped;
    suite->exit = judgement->probe.failed > 0 ? 1 : 0;
    suite->duration_ms = (mw_now_monotonic_ns() - started_ns) / 1000000;
    return MW_OK;
}

/* ------------------------------------------------------------------ the answer */

static void write_suites(struct mw_json *json, const struct judgement *judgement)
{
    mw_json_karray(json, "suites");
    for (uint32_t i = 0; i < judgement->suite_count; i++) {
        const struct suite *suite = &judgement->suites[i];
        mw_json_object(json);
        mw_json_kstr(json, "name", mw_str_of(suite->name));
        mw_json_karray(json, "command");
        for (size_t k = 0; suite->words != NULL && suite->words[k] != NULL; k++)
            mw_json_str(json, mw_str_of(suite->words[k]));
        mw_json_array_end(json);
        mw_json_ki64(json, "exit", suite->exit);
        mw_json_ki64(json, "duration_ms", suite->duration_ms);
        mw_json_ku64(json, "passed", suite->passed);
        mw_json_ku64(json, "failed", suite->failed);
        mw_json_ku64(json, "skipped", suite->skipped);
        mw_json_kstr(json, "output_sha256", mw_str_of(suite->output_sha256));
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

/* What a service answered may be cut inside a character or hold a NUL; the writer takes only text that it can read again. */
static struct mw_str printable(struct mw_arena *arena, struct mw_str text)
{
    size_t bad = 0;
    if (mw_utf8_valid(text, NULL))
        return text;
    struct mw_str copy = mw_arena_copy(arena, text);
    char *bytes = (char *)(uintptr_t)copy.ptr; /* ours: copied just now */
    while (!mw_utf8_valid(copy, &bad))
        bytes[bad] = '?';
    return copy;
}

static struct mw_str told(struct mw_arena *arena, struct mw_str text)
{
    struct mw_str part = printable(arena, mw_str_fit(text, TEXT_BYTES_MAX));
    return part.len < text.len ? mw_arena_format(arena, "%.*s…", MW_STR_ARG(part)) : part;
}

static void write_failure(struct mw_builtin *b, struct mw_json *json, struct mw_str test,
                          struct mw_str expected, struct mw_str actual)
{
    mw_json_object(json);
    mw_json_kstr(json, "test", told(&b->arena, test));
    mw_json_kstr(json, "expected", told(&b->arena, expected));
    mw_json_kstr(json, "actual", told(&b->arena, actual));
    mw_json_object_end(json);
}

/* "CreateTodo" of "CreateTodo: …". */
static struct mw_str subject_of(struct mw_str test)
{
    size_t colon = mw_str_find(test, ':', 0);
    return colon == SIZE_MAX ? test : mw_str_sub(test, 0, colon);
}

/* How many failures of the same subject stand before it. */
static uint32_t rank_of(const struct mw_probe_report *probe, uint32_t index)
{
    struct mw_str own = subject_of(probe->failures[index].test);
    uint32_t rank = 0;
    for (uint32_t i = 0; i < index; i++)
        rank += mw_str_eq(subject_of(probe->failures[i].test), own);
    return rank;
}

static void write_failures(struct mw_builtin *b, struct mw_json *json,
                           const struct judgement *judgement)
{
    const struct mw_probe_report *probe = &judgement->probe;
    uint32_t count = 0;
    mw_json_karray(json, "failures");
    if (judgement->tests_note.len > 0 && ++count)
        write_failure(b, json, MW_STR("service tests: pass"), MW_STR("exit 0 and passing tests"),
                      judgement->tests_note);
    /* The tests' names leave room for the probe's: both have to be heard. */
    for (uint32_t i = 0; i < judgement->tests.name_count && count < FAILURES_MAX / 2; i++, count++)
        write_failure(b, json, judgement->tests.names[i], MW_STR("passes"), MW_STR("failed"));
    /* The use cases take turns, so that one with many failures does not crowd out the others. */
    for (uint32_t rank = 0; rank < probe->failure_count && count < FAILURES_MAX; rank++)
        for (uint32_t i = 0; i < probe->failure_count && count < FAILURES_MAX; i++)
            if (rank_of(probe, i) == rank) {
                write_failure(b, json, probe->failures[i].test, probe->failures[i].expected,
                              probe->failures[i].actual);
                count++;
            }
    mw_json_array_end(json);
}

static void write_answer(struct mw_builtin *b, const struct judgement *judgement)
{
    struct mw_json json;
    bool passed = judgement->tests_note.len == 0;
    uint32_t design = mw_node_get(&b->task, b->payload, "design");
    struct mw_str name = mw_node_get_text(&b->task, b->payload, "service");
    uint32_t scope = mw_node_get(&b->task, b->payload, "testScope");
    for (uint32_t i = 0; i < judgement->suite_count; i++)
        passed = passed && judgement->suites[i].exit == 0 && judgement->suites[i].failed == 0;
    if (name.len == 0)
        name = mw_node_get_text(&b->task, design, "serviceName");
    mw_json_init(&json, &b->answer);
    mw_json_object(&json);
    mw_json_kstr(&json, "service", name);
    mw_json_kstr(&json, "traceId", mw_node_get_text(&b->task, 0, "traceId"));
    mw_json_kstr(&json, "result", passed ? MW_STR("Passed") : MW_STR("Failed"));
    mw_json_kstr(&json, "coverage",
                 judgement->tests.coverage[0] != '\0' ? mw_str_of(judgement->tests.coverage)
                                                      : MW_STR("unknown"));
    mw_json_karray(&json, "testScope");
    for (uint32_t i = mw_node_first(&b->task, scope); i != MW_NODE_NONE;
         i = mw_node_after(&b->task, scope, i))
        mw_json_node(&json, &b->task, i);
    mw_json_array_end(&json);
    write_suites(&json, judgement);
    write_failures(b, &json, judgement);
    mw_json_karray(&json, "not_checked");
    for (uint32_t i = 0; i < judgement->probe.not_checked_count; i++)
        mw_json_str(&json, told(&b->arena, judgement->probe.not_checked[i]));
    mw_json_array_end(&json);
    mw_json_object_end(&json);
}
