#include "builtin/commit.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define RECORD_BYTES_MAX ((size_t)16 << 20)

/* One CreatePullRequest task. Texts are terminated and live in the task's arena. */
struct pull_request {
    struct mw_builtin *b;
    const char *repo, *branch, *target_repo, *title, *service;
    const char *trace_id, *blueprint_id, *session_id;
    struct mw_str coordinator_name, coordinator_version;
    char head[MW_GIT_ID];
    struct mw_buf stat; /* heap: `git diff --stat` */
    int64_t file_count, inserted, deleted;
    int64_t number;
};

static enum mw_rc read_task(struct mw_builtin *b, struct pull_request *pr, struct mw_err *err);
static enum mw_rc with_lock(struct pull_request *pr, struct mw_err *err);
static enum mw_rc find_number(struct pull_request *pr, int folder_fd, bool *ret_new,
                              struct mw_err *err);
static enum mw_rc write_diff(struct pull_request *pr, int folder_fd, struct mw_err *err);
static enum mw_rc write_record(const struct pull_request *pr, int folder_fd, struct mw_err *err);
static void put_body(const struct pull_request *pr, struct mw_buf *body);
static void answer(const struct pull_request *pr);

enum mw_rc mw_commit_pull_request(struct mw_builtin *b, struct mw_err *err)
{
    struct pull_request pr = {.b = b, .stat = mw_heap_buf()};
    enum mw_rc rc = read_task(b, &pr, err);
    if (rc == MW_OK) {
        const char *ref = mw_arena_format(&b->arena, "refs/heads/%s", pr.branch).ptr;
        rc = mw_git_resolve(pr.repo, ref, pr.head, err);
    }
    if (rc == MW_OK && pr.head[0] == '\0')
        rc = MW_FAIL(err, MW_E_INPUT, "'%s' has no branch '%s'", pr.repo, pr.branch);
    if (rc == MW_OK)
        rc = with_lock(&pr, err);
    if (rc == MW_OK)
        answer(&pr);
    mw_heap_buf_free(&pr.stat);
    return rc;
}

static enum mw_rc read_task(struct mw_builtin *b, struct pull_request *pr, struct mw_err *err)
{
    const struct {
        const char *key;
        const char **text;
    } texts[] = {{"repo", &pr->repo},
                 {"branch", &pr->branch},
                 {"targetRepo", &pr->target_repo},
                 {"title", &pr->title},
                 {"service", &pr->service},
                 {"traceId", &pr->trace_id},
                 {"blueprintId", &pr->blueprint_id},
                 {"sessionId", &pr->session_id}};
    for (size_t i = 0; i < MW_COUNT(texts); i++) {
        enum mw_rc rc = mw_commit_text(b, texts[i].key, texts[i].text, err);
        if (rc != MW_OK)
            return rc;
    }
    uint32_t coordinator = mw_node_get(&b->task, b->payload, "coordinator");
    uint32_t tests = mw_node_get(&b->task, b->payload, "tests");
    struct mw_str result = mw_node_get_text(&b->task, tests, "result");
    pr->coordinator_name = mw_node_get_text(&b->task, coordinator, "name");
    pr->coordinator_version = mw_node_get_text(&b->task, coordinator, "version");
    if (pr->coordinator_name.len == 0 || pr->coordinator_version.len == 0)
        return MW_FAIL(err, MW_E_INPUT, "the payload wants 'coordinator' with name and version");
    if (!mw_git_branch_is_plain(mw_str_of(pr->branch)))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a branch", pr->branch);
    if (!mw_str_is(result, "Passed"))
        return MW_FAIL(err, MW_E_INPUT,
                       "no pull request for '%s': its tests did not pass (result '%.*s')",
                       pr->branch, MW_STR_ARG(result));
    return MW_OK;
}

/* Numbers are given one at a time: services of a build finish at once. The lock goes with the descriptor. */
static enum mw_rc with_lock(struct pull_request *pr, struct mw_err *err)
{
    mw_autofree char *folder = mw_heap_format("%s/pull-requests", pr->repo);
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, folder, 0755, err);
    if (rc != MW_OK)
        return rc;
    mw_autoclose int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open '%s'", folder);
    while (flock(folder_fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return MW_FAIL_SYS(err, MW_E_IO, "lock '%s'", folder);
    bool fresh = false;
    rc = find_number(pr, folder_fd, &fresh, err);
    if (rc == MW_OK && fresh) {
        mw_autofree char *last = mw_heap_format("%ld\n", (long)pr->number);
        rc = mw_file_replace(folder_fd, "last", mw_str_of(last), 0644, err);
    }
    if (rc == MW_OK)
        rc = write_diff(pr, folder_fd, err);
    return rc == MW_OK ? write_record(pr, folder_fd, err) : rc;
}

/* The branch's own number when it has a record (it may have grown since), else the one after the last. */
static enum mw_rc find_number(struct pull_request *pr, int folder_fd, bool *ret_new,
                              struct mw_err *err)
{
    mw_autofree char *record = mw_heap_format("%s.json", pr->branch);
    bool there = mw_exists(folder_fd, record);
    bool counted = mw_exists(folder_fd, "last");
    struct mw_buf text = mw_heap_buf();
    struct mw_tape tape;
    int64_t number = 0;
    enum mw_rc rc = MW_OK;
    if (there || counted)
        rc = mw_file_read(folder_fd, there ? record : "last", RECORD_BYTES_MAX, &text, err);
    if (rc == MW_OK && there) {
        struct mw_arena arena;
        mw_heap_arena(&arena, text.len * 64 + 65536);
        rc = mw_json_parse(&arena, mw_buf_str(&text), &tape, err);
        if (rc == MW_OK)
            number = mw_node_int(&tape, mw_node_get(&tape, 0, "number"), 0);
        mw_heap_arena_free(&arena);
    } else if (rc == MW_OK && counted) {
        if (!mw_str_to_i64(mw_str_trim(mw_buf_str(&text)), &number))
            rc = MW_FAIL(err, MW_E_CORRUPT, "'%s/pull-requests/last' is not a number", pr->repo);
    }
    mw_heap_buf_free(&text);
    if (rc != MW_OK)
        return rc;
    pr->number = there ? number : number + 1;
    *ret_new = !there;
    return MW_OK;
}

static void sum_numstat(struct mw_str text, struct pull_request *pr)
{
    for (size_t from = 0; from < text.len;) {
        size_t end = mw_str_find(text, '\n', from);
        end = end == SIZE_MAX ? text.len : end;
        struct mw_str line = mw_str_sub(text, from, end - from);
        size_t tab = mw_str_find(line, '\t', 0);
        size_t second = tab == SIZE_MAX ? SIZE_MAX : mw_str_find(line, '\t', tab + 1);
        int64_t inserted = 0, deleted = 0; /* binary files say '-': they count as files only */
        if (second != SIZE_MAX) {
            pr->file_count++;
            if (mw_str_to_i64(mw_str_sub(line, 0, tab), &inserted))
                pr->inserted += inserted;
            if (mw_str_to_i64(mw_str_sub(line, tab + 1, second - tab - 1), &deleted))
                pr->deleted += deleted;
        }
        from = end + 1;
    }
}

static enum mw_rc write_diff(struct pull_request *pr, int folder_fd, struct mw_err *err)
{
    mw_autofree char *range = mw_heap_format("refs/heads/main...%s", pr->head);
    mw_autofree char *path = mw_heap_format("%s.diff", pr->branch);
    const char *const diff[] = {"diff",          "--no-color",   "--no-ext-diff",
                                "--no-textconv", "--full-index", "--binary",
                                range,           "--",           NULL};
    const char *const numbers[] = {"diff", "--numstat", "--no-renames", range, "--", NULL};
    const char *const stat[] = {"diff", "--stat=100", "--no-color", "--no-renames",
                                range,  "--",         NULL};
    struct mw_buf text = mw_heap_buf(), lines = mw_heap_buf();
    enum mw_rc rc = mw_git_run(pr->repo, diff, MW_STR_NONE, &text, NULL, err);
    if (rc == MW_OK)
        rc = mw_git_run(pr->repo, numbers, MW_STR_NONE, &lines, NULL, err);
    if (rc == MW_OK)
        rc = mw_git_run(pr->repo, stat, MW_STR_NONE, &pr->stat, NULL, err);
    if (rc == MW_OK && strchr(path, '/') != NULL) {
        mw_autofree char *folder =
            mw_heap_copy((struct mw_str){path, (size_t)(strrchr(path, '/') - path)});
        rc = mw_mkdirs(folder_fd, folder, 0755, err);
    }
    if (rc == MW_OK) {
        sum_numstat(mw_buf_str(&lines), pr);
        rc = mw_file_replace(folder_fd, path, mw_buf_str(&text), 0644, err);
    }
    mw_heap_buf_free(&lines);
    mw_heap_buf_free(&text);
    return rc;
}

static void put_body(const struct pull_request *pr, struct mw_buf *body)
{
    struct mw_json json;
    mw_buf_printf(body,
                  "Service: %s\nTrace-Id: %s\nBlueprint-Id: %s\nSession-Id: %s\n"
                  "Coordinator: %.*s %.*s\n\nTests: ",
                  pr->service, pr->trace_id, pr->blueprint_id, pr->session_id,
                  MW_STR_ARG(pr->coordinator_name), MW_STR_ARG(pr->coordinator_version));
    mw_json_init(&json, body);
    mw_json_node(&json, &pr->b->task, mw_node_get(&pr->b->task, pr->b->payload, "tests"));
    mw_buf_put_z(body, "\n\n```\n");
    mw_buf_put(body, mw_buf_str(&pr->stat));
    mw_buf_put_z(body, "```\n");
}

static enum mw_rc write_record(const struct pull_request *pr, int folder_fd, struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf(), body = mw_heap_buf();
    struct mw_json json;
    mw_autofree char *path = mw_heap_format("%s.json", pr->branch);
    mw_autofree char *diff = mw_heap_format("%s.diff", pr->branch);
    const struct mw_tape *tape = &pr->b->task;
    put_body(pr, &body);
    mw_json_init(&json, &text);
    mw_json_object(&json);
    mw_json_ki64(&json, "number", pr->number);
    mw_json_kstr(&json, "status", MW_STR("open"));
    mw_json_kstr(&json, "title", mw_str_of(pr->title));
    mw_json_kstr(&json, "branch", mw_str_of(pr->branch));
    mw_json_kstr(&json, "base", MW_STR("main"));
    mw_json_kstr(&json, "head", mw_str_of(pr->head));
    mw_json_kstr(&json, "repo", mw_str_of(pr->repo));
    mw_json_kstr(&json, "targetRepo", mw_str_of(pr->target_repo));
    mw_json_kstr(&json, "service", mw_str_of(pr->service));
    mw_json_kstr(&json, "traceId", mw_str_of(pr->trace_id));
    mw_json_kstr(&json, "blueprintId", mw_str_of(pr->blueprint_id));
    mw_json_kstr(&json, "sessionId", mw_str_of(pr->session_id));
    mw_json_knode(&json, "coordinator", tape, mw_node_get(tape, pr->b->payload, "coordinator"));
    mw_json_knode(&json, "tests", tape, mw_node_get(tape, pr->b->payload, "tests"));
    mw_json_kobject(&json, "diff");
    mw_json_kstr(&json, "file", mw_str_of(diff));
    mw_json_ki64(&json, "files", pr->file_count);
    mw_json_ki64(&json, "insertions", pr->inserted);
    mw_json_ki64(&json, "deletions", pr->deleted);
    mw_json_object_end(&json);
    mw_json_kstr(&json, "body", mw_buf_str(&body));
    mw_json_object_end(&json);
    mw_buf_put_c(&text, '\n');
    enum mw_rc rc = mw_file_replace(folder_fd, path, mw_buf_str(&text), 0644, err);
    mw_heap_buf_free(&body);
    mw_heap_buf_free(&text);
    return rc;
}

static void answer(const struct pull_request *pr)
{
    struct mw_json json;
    mw_autofree char *url = mw_heap_format("file://%s/pull-requests/%s.json", pr->repo, pr->branch);
    mw_json_init(&json, &pr->b->answer);
    mw_json_object(&json);
    mw_json_kstr(&json, "url", mw_str_of(url));
    mw_json_kstr(&json, "status", MW_STR("open"));
    mw_json_kstr(&json, "branch", mw_str_of(pr->branch));
    mw_json_ki64(&json, "number", pr->number);
    mw_json_object_end(&json);
}
