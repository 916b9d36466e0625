#include "builtin/commit.h"

#include "posix/heap.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)64 << 20)
#define OUTPUTS_MAX 4096
#define TRIES_MAX 8 /* the last one without what whoever died has left */
#define NO_COMMIT "0000000000000000000000000000000000000000"

/* One CommitCode task. Texts are terminated and live in the task's arena. */
struct commit_task {
    struct mw_builtin *b;
    const char *repo, *branch, *service, *trace_id, *session_id, *blueprint_id;
    const char *ref;        /* refs/heads/{branch} */
    const char *import_ref; /* where fast-import leaves its work */
    uint32_t outputs;       /* node */
    uint32_t count;
};

static enum mw_rc commit_code(struct mw_builtin *b, struct mw_err *err);
static enum mw_rc read_task(struct mw_builtin *b, struct commit_task *ret_task, struct mw_err *err);
static enum mw_rc existing_chain(const struct commit_task *task, const char *head,
                                 struct mw_buf *ids, bool *ret_there, struct mw_err *err);
static enum mw_rc build_chain(const struct commit_task *task, const char *base, struct mw_buf *ids,
                              struct mw_err *err);
static enum mw_rc put_commit(const struct commit_task *task, uint32_t output, uint32_t mark,
                             long when, const char *base, struct mw_buf *stream,
                             struct mw_err *err);
static enum mw_rc put_file(struct mw_str path, struct mw_buf *stream, struct mw_err *err);
static enum mw_rc move_branch(const struct commit_task *task, const char *from, struct mw_buf *ids,
                              struct mw_err *err);
static struct mw_str chain_id(const struct mw_buf *ids, uint32_t index);
static void answer(const struct commit_task *task, const struct mw_buf *ids);

enum mw_rc mw_builtin_commit(struct mw_builtin *b, struct mw_str *ret_event, struct mw_err *err)
{
    bool pull_request = mw_str_is(b->task_type, "CreatePullRequest");
    if (!pull_request && !mw_str_is(b->task_type, "CommitCode"))
        return MW_FAIL(err, MW_E_MISSING, "commit does not do '%.*s'", MW_STR_ARG(b->task_type));
    enum mw_rc rc = pull_request ? mw_commit_pull_request(b, err) : commit_code(b, err);
    if (rc == MW_OK)
        *ret_event = pull_request ? MW_STR("PullRequestCreated") : MW_STR("CommitComplete");
    return rc;
}

static enum mw_rc absolute_repository(struct mw_builtin *b, const char **ret_text,
                                      struct mw_err *err);

enum mw_rc mw_commit_text(struct mw_builtin *b, const char *key, const char **ret_text,
                          struct mw_err *err)
{
    struct mw_str text = mw_node_get_text(&b->task, b->payload, key);
    if (text.len == 0)
        return MW_FAIL(err, MW_E_INPUT, "the payload wants '%s'", key);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return MW_FAIL(err, MW_E_INPUT, "'%s' holds a control character", key);
    *ret_text = mw_arena_copy(&b->arena, text).ptr;
    return strcmp(key, "repo") == 0 && text.len > 0 && text.ptr[0] != '/'
               ? absolute_repository(b, ret_text, err)
               : MW_OK;
}

/* A task names the repository as seen from its own folder, so that its bytes are the same wherever the workspace stands. */
static enum mw_rc absolute_repository(struct mw_builtin *b, const char **ret_text,
                                      struct mw_err *err)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(*ret_text, '/');
    struct mw_str folder =
        slash != NULL ? (struct mw_str){*ret_text, (size_t)(slash - *ret_text)} : MW_STR(".");
    mw_autofree char *relative = mw_heap_copy(folder);
    if (realpath(relative, parent) == NULL)
        return MW_FAIL_SYS(err, MW_E_INPUT, "the repository's folder '%s'", relative);
    *ret_text =
        mw_arena_format(&b->arena, "%s/%s", parent, slash != NULL ? slash + 1 : *ret_text).ptr;
    return MW_OK;
}

/* On top of what the branch is now; nothing when it is there already. */
static enum mw_rc commit_once(const struct commit_task *task, struct mw_buf *ids,
                              struct mw_err *err)
{
    char head[MW_GIT_ID], base[MW_GIT_ID];
    bool there = false;
    mw_buf_reset(ids);
    enum mw_rc rc = mw_git_resolve(task->repo, task->ref, head, err);
    if (rc == MW_OK && head[0] != '\0')
        rc = existing_chain(task, head, ids, &there, err);
    if (rc != MW_OK || there)
        return rc;
    rc = mw_git_resolve(task->repo, head[0] != '\0' ? task->ref : "refs/heads/main", base, err);
    if (rc == MW_OK && base[0] == '\0')
        rc = MW_FAIL(err, MW_E_CORRUPT, "'%s' has no branch 'main'", task->repo);
    if (rc == MW_OK)
        rc = build_chain(task, base, ids, err);
    return rc == MW_OK ? move_branch(task, head, ids, err) : rc;
}

/*
 * A git that was killed with the attempt before this one may have left the branch's lock, or the name under which a pack of these very commits
 * was to be kept; one that lives on a moment longer lets go of both, and then the commits are there. git itself waits a tenth of a second for a
 * lock each time.
 */
static void break_locks(const struct commit_task *task)
{
    mw_autofree char *lock = mw_heap_format("%s/%s.lock", task->repo, task->ref);
    mw_autofree char *packs = mw_heap_format("%s/objects/pack", task->repo);
    DIR *dir = opendir(packs);
    (void)unlink(lock); /* not there: it was something else */
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".keep")))
            (void)unlinkat(dirfd(dir), entry->d_name, 0); /* as above */
    if (dir != NULL)
        (void)closedir(dir); /* was only read */
}

static bool may_pass(enum mw_rc rc)
{
    return rc == MW_E_CONFLICT || rc == MW_E_FAILED;
}

static enum mw_rc commit_code(struct mw_builtin *b, struct mw_err *err)
{
    struct commit_task task = {0};
    struct mw_buf ids = mw_heap_buf();
    enum mw_rc rc = read_task(b, &task, err);
    if (rc == MW_OK)
        rc = mw_git_open(task.repo, err);
    if (rc == MW_OK)
        rc = commit_once(&task, &ids, err);
    for (unsigned tries = 1; may_pass(rc) && tries < TRIES_MAX; tries++) {
        if (tries + 1 == TRIES_MAX)
            break_locks(&task);
        rc = commit_once(&task, &ids, err);
    }
    if (rc == MW_OK)
        answer(&task, &ids);
    mw_heap_buf_free(&ids);
    return rc;
}

static enum mw_rc read_task(struct mw_builtin *b, struct commit_task *ret_task, struct mw_err *err)
{
    struct commit_task task = {.b = b};
    const struct {
        const char *key;
        const char **text;
    } texts[] = {{"repo", &task.repo},
                 {"branch", &task.branch},
                 {"service", &task.service},
                 {"traceId", &task.trace_id},
                 {"sessionId", &task.session_id},
                 {"blueprintId", &task.blueprint_id}};
    for (size_t i = 0; i < MW_COUNT(texts); i++) {
        enum mw_rc rc = mw_commit_text(b, texts[i].key, texts[i].text, err);
        if (rc != MW_OK)
            return rc;
    }
    task.outputs = mw_node_get(&b->task, b->payload, "outputs");
    task.count = mw_node_type(&b->task, task.outputs) == MW_NODE_ARRAY
                     ? mw_node_count(&b->task, task.outputs)
                     : 0;
    if (task.count == 0 || task.count > OUTPUTS_MAX)
        return MW_FAIL(err, MW_E_INPUT, "the payload wants 1 to %d 'outputs'", OUTPUTS_MAX);
    if (!mw_git_branch_is_plain(mw_str_of(task.branch)) || strcmp(task.branch, "main") == 0)
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a branch to commit to", task.branch);
    task.ref = mw_arena_format(&b->arena, "refs/heads/%s", task.branch).ptr;
    task.import_ref = mw_arena_format(&b->arena, "refs/millwright/%s", task.branch).ptr;
    *ret_task = task;
    return MW_OK;
}

/* The same input makes the same ids: so the commits are there when they come out again on top of what is below them. */
static enum mw_rc existing_chain(const struct commit_task *task, const char *head,
                                 struct mw_buf *ids, bool *ret_there, struct mw_err *err)
{
    char base[MW_GIT_ID];
    mw_autofree char *below = mw_heap_format("%s~%u", head, task->count);
    enum mw_rc rc = mw_git_resolve(task->repo, below, base, err);
    if (rc != MW_OK || base[0] == '\0') {
        if (rc == MW_OK)
            *ret_there = false;
        return rc;
    }
    rc = build_chain(task, base, ids, err);
    if (rc != MW_OK)
        return rc;
    bool there = mw_str_is(chain_id(ids, task->count - 1), head);
    if (!there)
        mw_buf_reset(ids);
    *ret_there = there;
    return MW_OK;
}

static enum mw_rc count_commits(const char *repo, const char *base, long *ret_count,
                                struct mw_err *err)
{
    const char *const args[] = {"rev-list", "--count", base, NULL};
    struct mw_buf out = mw_heap_buf();
    int64_t count = 0;
    enum mw_rc rc = mw_git_run(repo, args, MW_STR_NONE, &out, NULL, err);
    if (rc == MW_OK && !mw_str_to_i64(mw_str_trim(mw_buf_str(&out)), &count))
        rc = MW_FAIL(err, MW_E_FAILED, "git rev-list --count gave no number");
    mw_heap_buf_free(&out);
    if (rc == MW_OK)
        *ret_count = (long)count;
    return rc;
}

/* All commits in one run of fast-import: objects go into one synced pack, and no index or work tree is needed. */
static enum mw_rc build_chain(const struct commit_task *task, const char *base, struct mw_buf *ids,
                              struct mw_err *err)
{
    const char *const import[] = {"fast-import", "--quiet", "--done", "--force", NULL};
    const struct mw_tape *tape = &task->b->task;
    struct mw_buf stream = mw_heap_buf();
    long below = 0;
    uint32_t mark = 0;
    enum mw_rc rc = count_commits(task->repo, base, &below, err);
    for (uint32_t i = mw_node_first(tape, task->outputs); i != MW_NODE_NONE && rc == MW_OK;
         i = mw_node_after(tape, task->outputs, i), mark++)
        rc = put_commit(task, i, mark + 1, MW_GIT_EPOCH + below + (long)mark,
                        mark == 0 ? base : NULL, &stream, err);
    for (uint32_t i = 1; i <= mark; i++)
        mw_buf_printf(&stream, "get-mark :%u\n", i);
    /* The name under which fast-import worked goes before anybody sees it; the branch is moved by update-ref. */
    mw_buf_printf(&stream, "reset %s\nfrom %s\n\ndone\n", task->import_ref, NO_COMMIT);
    if (rc == MW_OK)
        rc = mw_git_run(task->repo, import, mw_buf_str(&stream), ids, NULL, err);
    mw_heap_buf_free(&stream);
    if (rc == MW_OK && chain_id(ids, task->count - 1).len < 40)
        rc = MW_FAIL(err, MW_E_FAILED, "git fast-import did not name its commits");
    return rc;
}

/* Names come from agents: nothing in them may end a line or an address. */
static void put_clean(struct mw_buf *buf, struct mw_str text, const char *otherwise)
{
    size_t before = buf->len;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != 0x7f && c != '<' && c != '>')
            mw_buf_put_c(buf, (char)c);
    }
    if (buf->len == before)
        mw_buf_put_z(buf, otherwise);
}

static void put_address(struct mw_buf *buf, struct mw_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '_';
        mw_buf_put_c(buf, plain ? c : '-');
    }
    mw_buf_put_z(buf, text.len > 0 ? "@millwright.invalid" : "millwright@millwright.invalid");
}

static void put_message(const struct commit_task *task, uint32_t output, struct mw_buf *message)
{
    const struct mw_tape *tape = &task->b->task;
    struct mw_str handler = mw_node_get_text(tape, output, "handler");
    put_clean(message, mw_node_get_text(tape, output, "taskType"), "Commit");
    mw_buf_put_z(message, ": ");
    put_clean(message, handler, task->service);
    mw_buf_printf(message,
                  "\n\nTrace-Id: %s\nSession-Id: %s\nBlueprint-Id: %s\nTask-Id: ", task->trace_id,
                  task->session_id, task->blueprint_id);
    put_clean(message, mw_node_get_text(tape, output, "taskId"), "unknown");
    mw_buf_put_z(message, "\nAgent: ");
    put_clean(message, mw_node_get_text(tape, output, "agentId"), "millwright");
    mw_buf_put_c(message, '\n');
}

static enum mw_rc put_commit(const struct commit_task *task, uint32_t output, uint32_t mark,
                             long when, const char *base, struct mw_buf *stream, struct mw_err *err)
{
    const struct mw_tape *tape = &task->b->task;
    struct mw_str agent = mw_node_get_text(tape, output, "agentId");
    struct mw_buf message = mw_heap_buf();
    put_message(task, output, &message);
    mw_buf_printf(stream, "commit %s\nmark :%u\nauthor ", task->import_ref, mark);
    put_clean(stream, agent, "millwright");
    mw_buf_put_z(stream, " <");
    put_address(stream, agent);
    mw_buf_printf(stream, "> %ld +0000\ncommitter " MW_GIT_COMMITTER " %ld +0000\ndata %zu\n", when,
                  when, message.len);
    mw_buf_put(stream, mw_buf_str(&message));
    mw_buf_put_c(stream, '\n');
    if (base != NULL)
        mw_buf_printf(stream, "from %s\n", base);
    mw_heap_buf_free(&message);
    uint32_t files = mw_node_get(tape, output, "files");
    enum mw_rc rc = MW_OK;
    for (uint32_t i = mw_node_first(tape, files); i != MW_NODE_NONE && rc == MW_OK;
         i = mw_node_after(tape, files, i))
        rc = put_file(mw_node_str(tape, i), stream, err);
    mw_buf_put_c(stream, '\n');
    return rc;
}

/* Case does not count: a checkout may be on a file system where it does not. */
static bool has_git_part(struct mw_str path)
{
    for (size_t from = 0; from <= path.len;) {
        size_t slash = mw_str_find(path, '/', from);
        size_t end = slash == SIZE_MAX ? path.len : slash;
        if (end - from == 4 && strncasecmp(path.ptr + from, ".git", 4) == 0)
            return true;
        from = end + 1;
    }
    return false;
}

static enum mw_rc put_file(struct mw_str path, struct mw_buf *stream, struct mw_err *err)
{
    if (!mw_path_is_plain(path) || has_git_part(path))
        return MW_FAIL(err, MW_E_INPUT, "'%.*s' is not a path to commit", MW_STR_ARG(path));
    mw_autofree char *name = mw_heap_copy(path);
    mw_autoclose int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_buf body = mw_heap_buf();
    struct stat st;
    enum mw_rc rc = mw_file_read_beneath(here, name, FILE_BYTES_MAX, &body, err);
    if (rc == MW_E_MISSING)
        rc = MW_FAIL(err, MW_E_INPUT, "'%s' is not there to commit", name);
    if (rc == MW_OK && fstatat(here, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", name);
    if (rc == MW_OK) {
        mw_buf_printf(stream, "M %s inline \"", st.st_mode & S_IXUSR ? "100755" : "100644");
        for (size_t i = 0; i < path.len; i++) {
            if (path.ptr[i] == '"')
                mw_buf_put_c(stream, '\\');
            mw_buf_put_c(stream, path.ptr[i]);
        }
        mw_buf_printf(stream, "\"\ndata %zu\n", body.len);
        mw_buf_put(stream, mw_buf_str(&body));
        mw_buf_put_c(stream, '\n');
    }
    mw_heap_buf_free(&body);
    return rc;
}

/* One transaction with the old value: of two who commit to one branch at once the second is refused, and nothing of it is seen. */
static enum mw_rc move_branch(const struct commit_task *task, const char *from, struct mw_buf *ids,
                              struct mw_err *err)
{
    const char *const args[] = {"update-ref", "--stdin", NULL};
    struct mw_str last = chain_id(ids, task->count - 1);
    mw_autofree char *words =
        from[0] != '\0' ? mw_heap_format("update %s %.*s %s\n", task->ref, MW_STR_ARG(last), from)
                        : mw_heap_format("create %s %.*s\n", task->ref, MW_STR_ARG(last));
    int status = 0;
    enum mw_rc rc = mw_git_run(task->repo, args, mw_str_of(words), NULL, &status, err);
    if (rc == MW_OK && status != 0)
        rc = MW_FAIL(err, MW_E_CONFLICT, "'%s' was moved by another while this was committed",
                     task->branch);
    return rc;
}

/* fast-import answers get-mark with one id a line. */
static struct mw_str chain_id(const struct mw_buf *ids, uint32_t index)
{
    struct mw_str text = mw_buf_str(ids);
    size_t from = 0;
    for (uint32_t i = 0; i < index; i++) {
        size_t end = mw_str_find(text, '\n', from);
        if (end == SIZE_MAX)
            return MW_STR_NONE;
        from = end + 1;
    }
    size_t end = mw_str_find(text, '\n', from);
    return end == SIZE_MAX ? MW_STR_NONE : mw_str_sub(text, from, end - from);
}

static void answer(const struct commit_task *task, const struct mw_buf *ids)
{
    const struct mw_tape *tape = &task->b->task;
    struct mw_json json;
    uint32_t index = 0;
    mw_json_init(&json, &task->b->answer);
    mw_json_object(&json);
    mw_json_kstr(&json, "service", mw_str_of(task->service));
    mw_json_kstr(&json, "branch", mw_str_of(task->branch));
    mw_json_kstr(&json, "commit", chain_id(ids, task->count - 1));
    mw_json_karray(&json, "commits");
    for (uint32_t i = mw_node_first(tape, task->outputs); i != MW_NODE_NONE;
         i = mw_node_after(tape, task->outputs, i), index++) {
        mw_json_object(&json);
        mw_json_kstr(&json, "commit", chain_id(ids, index));
        mw_json_knode(&json, "taskId", tape, mw_node_get(tape, i, "taskId"));
        mw_json_knode(&json, "taskType", tape, mw_node_get(tape, i, "taskType"));
        mw_json_knode(&json, "agentId", tape, mw_node_get(tape, i, "agentId"));
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    mw_json_kstr(&json, "repo", mw_str_of(task->repo));
    mw_json_object_end(&json);
}
