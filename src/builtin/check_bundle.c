#include "builtin/check_internal.h"
#include "builtin/words.h"

#include "posix/heap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 100000
#define DEPTH_MAX 32
#define ARENA_BYTES ((size_t)128 << 20)

static const char *const bundle_files[] = {
    "app.json",
    "README.md",
    "config/ai.json",
    "config/shell.json",
    "config/database_intent.json",
    "brand/theme_config.json",
};
static const char *const service_files[] = {"service.json", "openapi.json", "README.md",
                                            "Dockerfile"};
/* The bundle is the same whenever and wherever it is built, so these words are no keys of app.json. */
static const char *const app_json_never[] = {
    "build_id",  "buildId",     "build",        "build_registry_id",
    "createdAt", "created_at",  "time",         "timestamp",
    "date",      "generatedAt", "generated_at", "version",
    "traceId",   "trace_id",    "sessionId",    "run_id"};

struct bundle {
    struct mw_builtin *b;
    struct mw_json json;
    char **paths; /* owned: every file of the bundle, in order of their folded names */
    uint32_t path_count;
    struct mw_buf detail; /* owned: what is wrong, one line each; empty: nothing */
    bool passed;          /* all so far */
    int64_t deadline_ns;
};

static enum mw_rc collect(struct bundle *bundle, int folder_fd, const char *prefix, int depth,
                          struct mw_err *err);
static int by_folded_name(const void *a, const void *b);
static void validate_files(struct bundle *bundle);
static void validate_json(struct bundle *bundle);
static void validate_paths(struct bundle *bundle);
static void validate_openapi(struct bundle *bundle);
static void validate_app_json(struct bundle *bundle);
static void validate_design(struct bundle *bundle);
static enum mw_rc validate_smoke(struct bundle *bundle, struct mw_str slug, uint32_t design,
                                 struct mw_err *err);

static const struct {
    const char *name;
    void (*run)(struct bundle *bundle);
} validators[] = {
    {"files", validate_files},     {"json", validate_json},         {"paths", validate_paths},
    {"openapi", validate_openapi}, {"app_json", validate_app_json}, {"design", validate_design},
};

static void write_validator(struct bundle *bundle, struct mw_str name, char *const *words,
                            int64_t started_ns)
{
    char digest[MW_SHA256_HEX];
    struct mw_str detail = mw_str_trim(mw_buf_str(&bundle->detail));
    bool passed = detail.len == 0;
    mw_sha256_hex(detail, digest);
    if (detail.len > 4096)
        detail.len = 4096;
    while (!mw_utf8_valid(detail, NULL) && detail.len > 0)
        detail.len--;
    mw_json_object(&bundle->json);
    mw_json_kstr(&bundle->json, "name", name);
    mw_json_karray(&bundle->json, "command");
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        mw_json_str(&bundle->json, mw_str_of(words[i]));
    if (words == NULL)
        mw_json_str(&bundle->json, name);
    mw_json_array_end(&bundle->json);
    mw_json_ki64(&bundle->json, "exit", passed ? 0 : 1);
    mw_json_ki64(&bundle->json, "duration_ms", (mw_now_monotonic_ns() - started_ns) / 1000000);
    mw_json_kstr(&bundle->json, "output_digest", mw_str_of(digest));
    mw_json_kbool(&bundle->json, "passed", passed);
    mw_json_kstr(&bundle->json, "detail", detail);
    mw_json_object_end(&bundle->json);
    bundle->passed = bundle->passed && passed;
    mw_buf_reset(&bundle->detail);
}

static enum mw_rc run_all(struct bundle *bundle, struct mw_err *err)
{
    const struct mw_tape *tape = &bundle->b->task;
    uint32_t services = mw_node_get(tape, bundle->b->payload, "services");
    for (size_t i = 0; i < MW_COUNT(validators); i++) {
        int64_t started_ns = mw_now_monotonic_ns();
        mw_builtin_progress(bundle->b, mw_str_of(validators[i].name));
        validators[i].run(bundle);
        write_validator(bundle, mw_str_of(validators[i].name), NULL, started_ns);
    }
    for (uint32_t i = mw_node_first(tape, services); i != MW_NODE_NONE;
         i = mw_node_after(tape, services, i)) {
        struct mw_str slug = mw_node_get_text(tape, i, "slug");
        enum mw_rc rc = validate_smoke(bundle, slug, i, err);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}

enum mw_rc check_bundle(struct mw_builtin *b, struct mw_err *err)
{
    struct mw_buf list = mw_heap_buf();
    struct bundle bundle = {.b = b,
                            .detail = mw_heap_buf(),
                            .passed = true,
                            .deadline_ns = check_deadline_ns(b),
                            .paths = mw_heap_alloc(FILES_MAX * sizeof(char *))};
    mw_autoclose int root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum mw_rc rc = root < 0 ? MW_FAIL_SYS(err, MW_E_IO, "open the bundle's folder")
                             : collect(&bundle, root, "", 0, err);
    if (rc == MW_OK) {
        qsort(bundle.paths, bundle.path_count, sizeof bundle.paths[0], by_folded_name);
        mw_json_init(&bundle.json, &list);
        mw_json_array(&bundle.json);
        rc = run_all(&bundle, err);
        mw_json_array_end(&bundle.json);
    }
    if (rc == MW_OK) {
        struct mw_json json;
        mw_json_init(&json, &b->answer);
        mw_json_object(&json);
        mw_json_kstr(&json, "result", bundle.passed ? MW_STR("Passed") : MW_STR("Failed"));
        mw_json_kraw(&json, "validators", mw_buf_str(&list));
        mw_json_object_end(&json);
    }
    for (uint32_t i = 0; i < bundle.path_count; i++)
        mw_heap_free(bundle.paths[i]);
    mw_heap_free(bundle.paths);
    mw_heap_buf_free(&bundle.detail);
    mw_heap_buf_free(&list);
    return rc;
}

/* ------------------------------------------------------------------ the tree */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_folded_name(const void *a, const void *b)
{
    const char *left = *(char *const *)a;
    const char *right = *(char *const *)b;
    int order = strcasecmp(left, right);
    return order != 0 ? order : compare_names(a, b);
}

static enum mw_rc collect(struct bundle *bundle, int folder_fd, const char *prefix, int depth,
                          struct mw_err *err)
{
    int own_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = own_fd < 0 ? NULL : fdopendir(own_fd);
    struct dirent *entry;
    enum mw_rc rc = MW_OK;
    if (folder == NULL)
        return MW_FAIL_SYS(err, MW_E_IO, "read the folder '%s'", prefix);
    while (rc == MW_OK && (entry = readdir(folder)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(folder_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        char *path = mw_heap_format("%s%s%s", prefix, prefix[0] != '\0' ? "/" : "", entry->d_name);
        if (S_ISDIR(info.st_mode) && depth < DEPTH_MAX) {
            mw_autoclose int inner =
                openat(folder_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            rc = inner < 0 ? MW_FAIL_SYS(err, MW_E_IO, "read the folder '%s'", path)
                           : collect(bundle, inner, path, depth + 1, err);
            mw_heap_free(path);
        } else if (bundle->path_count < FILES_MAX) {
            bundle->paths[bundle->path_count++] = path;
        } else {
            mw_heap_free(path);
            rc = MW_FAIL(err, MW_E_LIMIT, "the bundle has more than %d files", FILES_MAX);
        }
    }
    (void)closedir(folder);
    return rc;
}

static bool has_file(const struct bundle *bundle, const char *path)
{
    for (uint32_t i = 0; i < bundle->path_count; i++)
        if (strcmp(bundle->paths[i], path) == 0)
            return true;
    return false;
}

/* A runner may count an empty file as a test that passed. */
static void check_test_files(struct bundle *bundle, struct mw_str slug)
{
    char *prefix = mw_heap_format("services/%.*s/test", MW_STR_ARG(slug));
    bool found = false;
    for (uint32_t i = 0; i < bundle->path_count; i++) {
        struct stat info;
        if (strncmp(bundle->paths[i], prefix, strlen(prefix)) != 0)
            continue;
        found = true;
        if (lstat(bundle->paths[i], &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0)
            mw_buf_printf(&bundle->detail, "%s is empty\n", bundle->paths[i]);
    }
    if (!found)
        mw_buf_printf(&bundle->detail, "services/%.*s has no tests\n", MW_STR_ARG(slug));
    mw_heap_free(prefix);
}

/* ------------------------------------------------------------------ the validators */

static void validate_files(struct bundle *bundle)
{
    const struct mw_tape *tape = &bundle->b->task;
    uint32_t services = mw_node_get(tape, bundle->b->payload, "services");
    for (size_t i = 0; i < MW_COUNT(bundle_files); i++)
        if (!has_file(bundle, bundle_files[i]))
            mw_buf_printf(&bundle->detail, "%s is missing\n", bundle_files[i]);
    for (uint32_t i = mw_node_first(tape, services); i != MW_NODE_NONE;
         i = mw_node_after(tape, services, i)) {
        struct mw_str slug = mw_node_get_text(tape, i, "slug");
        for (size_t k = 0; k < MW_COUNT(service_files); k++) {
            char *path = mw_heap_format("services/%.*s/%s", MW_STR_ARG(slug), service_files[k]);
            if (!has_file(bundle, path))
                mw_buf_printf(&bundle->detail, "%s is missing\n", path);
            mw_heap_free(path);
        }
        check_test_files(bundle, slug);
    }
}

static bool read_json(struct bundle *bundle, const char *path, struct mw_buf *text,
                      struct mw_arena *arena, struct mw_tape *ret_tape)
{
    struct mw_err err = {0};
    if (mw_file_read(AT_FDCWD, path, CHECK_FILE_MAX, text, &err) == MW_OK &&
        mw_json_parse(arena, mw_buf_str(text), ret_tape, &err) == MW_OK)
        return true;
    mw_buf_printf(&bundle->detail, "%s: %s\n", path, err.text);
    return false;
}

static void validate_json(struct bundle *bundle)
{
    struct mw_arena arena;
    struct mw_buf text = mw_heap_buf();
    mw_heap_arena(&arena, ARENA_BYTES);
    for (uint32_t i = 0; i < bundle->path_count; i++) {
        struct mw_tape tape;
        if (!mw_str_ends(mw_str_of(bundle->paths[i]), MW_STR(".json")))
            continue;
        mw_arena_reset(&arena);
        mw_buf_reset(&text);
        (void)read_json(bundle, bundle->paths[i], &text, &arena, &tape); /* it tells */
    }
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&text);
}

static void validate_paths(struct bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->path_count; i++) {
        struct stat info;
        const char *path = bundle->paths[i];
        if (!mw_path_is_plain(mw_str_of(path)) || !mw_utf8_valid(mw_str_of(path), NULL))
            mw_buf_printf(&bundle->detail, "file %u has no plain name\n", i);
        else if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
            mw_buf_printf(&bundle->detail, "%s is no plain file\n", path);
        if (i > 0 && strcasecmp(bundle->paths[i - 1], path) == 0)
            mw_buf_printf(&bundle->detail, "%s and %s differ only in case\n", bundle->paths[i - 1],
                          path);
    }
}

static void check_description(struct bundle *bundle, uint32_t design, const char *path)
{
    const struct mw_tape *tape = &bundle->b->task;
    uint32_t use_cases = mw_node_get(tape, design, "use_cases");
    struct mw_arena arena;
    struct mw_tape document;
    struct mw_buf text = mw_heap_buf();
    mw_heap_arena(&arena, ARENA_BYTES);
    if (read_json(bundle, path, &text, &arena, &document))
        for (uint32_t i = mw_node_first(tape, use_cases); i != MW_NODE_NONE;
             i = mw_node_after(tape, use_cases, i)) {
            struct mw_str name = mw_node_get_text(tape, i, "name");
            struct mw_str method = mw_probe_method_of(tape, i),
                          at = mw_probe_path_of(&arena, tape, design, i);
            if (!mw_probe_openapi_has(&document, 0, method, at)) {
                mw_buf_printf(&bundle->detail, "%s does not describe %.*s\n", path,
                              MW_STR_ARG(name));
                continue;
            }
            check_described_fields(tape, design, i, &document, at, mw_name_fold(&arena, method),
                                   &bundle->detail);
        }
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&text);
}

static void validate_openapi(struct bundle *bundle)
{
    const struct mw_tape *tape = &bundle->b->task;
    uint32_t services = mw_node_get(tape, bundle->b->payload, "services");
    for (uint32_t i = mw_node_first(tape, services); i != MW_NODE_NONE;
         i = mw_node_after(tape, services, i)) {
        struct mw_str slug = mw_node_get_text(tape, i, "slug");
        char *path = mw_heap_format("services/%.*s/openapi.json", MW_STR_ARG(slug));
        check_description(bundle, i, path);
        mw_heap_free(path);
    }
}

static void validate_design(struct bundle *bundle)
{
    check_design_promise(&bundle->b->task, bundle->b->payload, &bundle->detail);
}

static bool looks_like_time(struct mw_str text)
{
    static const char shape[] = "0000-00-00T00:00";
    if (text.len < sizeof shape - 1)
        return false;
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == '0' ? !isdigit((unsigned char)text.ptr[i]) : text.ptr[i] != shape[i])
            return false;
    return true;
}

static void check_app_services(struct bundle *bundle, const struct mw_tape *app)
{
    const struct mw_tape *tape = &bundle->b->task;
    uint32_t wanted = mw_node_get(tape, bundle->b->payload, "services");
    uint32_t listed = mw_node_get(app, 0, "services");
    for (uint32_t i = mw_node_first(tape, wanted); i != MW_NODE_NONE;
         i = mw_node_after(tape, wanted, i)) {
        struct mw_str slug = mw_node_get_text(tape, i, "slug");
        bool found = false;
        for (uint32_t k = mw_node_first(app, listed); k != MW_NODE_NONE;
             k = mw_node_after(app, listed, k))
            found = found || mw_str_eq(mw_node_get_text(app, k, "slug"), slug);
        if (!found)
            mw_buf_printf(&bundle->detail, "app.json does not list the service %.*s\n",
                          MW_STR_ARG(slug));
    }
    if (mw_node_count(tape, wanted) != mw_node_count(app, listed))
        mw_buf_printf(&bundle->detail, "app.json lists %u services, the blueprint has %u\n",
                      mw_node_count(app, listed), mw_node_count(tape, wanted));
}

static void check_app(struct bundle *bundle, const struct mw_tape *app)
{
    static const char *const needed[] = {"app_id", "name", "blueprint_id"};
    struct mw_str blueprint =
        mw_node_get_text(&bundle->b->task, bundle->b->payload, "blueprint_id");
    struct mw_str said = mw_node_get_text(app, 0, "blueprint_id");
    for (size_t i = 0; i < MW_COUNT(needed); i++)
        if (mw_node_get_text(app, 0, needed[i]).len == 0)
            mw_buf_printf(&bundle->detail, "app.json has no %s\n", needed[i]);
    if (blueprint.len > 0 && !mw_str_eq(blueprint, said))
        mw_buf_printf(&bundle->detail, "app.json has the blueprint_id '%.*s', not '%.*s'\n",
                      MW_STR_ARG(said), MW_STR_ARG(blueprint));
    for (size_t i = 0; i < MW_COUNT(app_json_never); i++)
        if (mw_node_get(app, 0, app_json_never[i]) != MW_NODE_NONE)
            mw_buf_printf(&bundle->detail, "app.json holds '%s', which differs by build\n",
                          app_json_never[i]);
    for (uint32_t i = 0; i < app->count; i++)
        if (app->nodes[i].type == MW_NODE_STRING && looks_like_time(app->nodes[i].text))
            mw_buf_printf(&bundle->detail, "app.json line %u holds a time\n", app->nodes[i].line);
    check_app_services(bundle, app);
}

static void validate_app_json(struct bundle *bundle)
{
    struct mw_arena arena;
    struct mw_tape app;
    struct mw_buf text = mw_heap_buf();
    mw_heap_arena(&arena, ARENA_BYTES);
    if (read_json(bundle, "app.json", &text, &arena, &app))
        check_app(bundle, &app);
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&text);
}

static enum mw_rc smoke(struct bundle *bundle, const struct check_service *service, char **words,
                        uint32_t design, struct mw_err *err)
{
    struct mw_probe_report report = {0};
    char *scratch;
    enum mw_rc rc = check_scratch_make(&scratch, err);
    if (rc != MW_OK)
        return rc;
    struct mw_probe_options options = {.tape = &bundle->b->task,
                                       .design = design,
                                       .folder = service->folder,
                                       .scratch = scratch,
                                       .start = (const char *const *)words,
                                       .deadline_ns = bundle->deadline_ns,
                                       .smoke = true};
    rc = mw_probe_run(&options, &report, err);
    check_scratch_remove(scratch);
    for (uint32_t i = 0; i < report.failure_count; i++)
        mw_buf_printf(&bundle->detail, "%.*s: expected %.*s, was %.*s\n",
                      MW_STR_ARG(report.failures[i].test), MW_STR_ARG(report.failures[i].expected),
                      MW_STR_ARG(report.failures[i].actual));
    mw_probe_report_free(&report);
    return rc;
}

static enum mw_rc validate_smoke(struct bundle *bundle, struct mw_str slug, uint32_t design,
                                 struct mw_err *err)
{
    struct check_service service;
    struct mw_err why = {0};
    char **words = NULL;
    enum mw_rc rc = MW_OK;
    int64_t started_ns = mw_now_monotonic_ns();
    struct mw_str name = mw_arena_format(&bundle->b->arena, "smoke %.*s", MW_STR_ARG(slug));
    mw_builtin_progress(bundle->b, name);
    if (check_service_open(slug, &service, &why) != MW_OK) {
        mw_buf_printf(&bundle->detail, "%s\n", why.text);
    } else {
        words = check_words(&service, "start");
        if (words == NULL)
            mw_buf_printf(&bundle->detail, "%s/service.json has no start\n", service.folder);
        else
            rc = smoke(bundle, &service, words, design, err);
        check_service_close(&service);
    }
    if (rc == MW_OK)
        write_validator(bundle, name, words, started_ns);
    check_words_free(words);
    return rc;
}
