#include "host/attempt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* ---- what is in the folder ---- */

/* Nothing is given and nothing is taken: its folder is only a place to be, and serves as TMPDIR too. */
bool mw_attempt_is_words(const struct mw_run_attempt *attempt)
{
    return attempt->owns_count == 0 && attempt->input_count == 0;
}

/* All earlier files that the definition lets it see, as one tree. */
static enum mw_rc make_files(struct mw_run_attempt *attempt, struct mw_tree *trees)
{
    const struct mw_tree **list = mw_heap_alloc((attempt->input_count + 1) * sizeof(*list));
    enum mw_rc rc = MW_OK;
    for (uint32_t i = 0; rc == MW_OK && i < attempt->input_count; i++) {
        rc = mw_tree_load(&attempt->host->blobs, attempt->inputs[i].files_sha256, &trees[i],
                          &attempt->err);
        list[i] = &trees[i];
    }
    if (rc == MW_OK)
        rc = mw_tree_merge(list, attempt->input_count, &attempt->base, &attempt->err);
    free(list);
    if (rc != MW_OK)
        return rc;
    if (attempt->base.count == 0) {
        mw_autofree char *files = mw_attempt_path(attempt, "files");
        bool there;
        return mw_attempt_folder_new(files, 0755, &there, &attempt->err);
    }
    mw_autoclose int folder = open(attempt->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return MW_FAIL_SYS(&attempt->err, MW_E_IO, "open '%s'", attempt->folder);
    struct mw_tree_source source = {
        .blobs = &attempt->host->blobs, .folder_fd = -1, .overlay_fd = -1};
    return mw_tree_write(&attempt->base, &source, folder, "files", (struct mw_tree_write){0},
                         &attempt->err);
}

/* As root the agent works as the workspace's owner, so its folder has to be that person's. */
static void give_to_owner(int at_fd, const char *path, uid_t uid, gid_t gid)
{
    mw_autoclose int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    (void)fchownat(at_fd, path, uid, gid,
                   AT_SYMLINK_NOFOLLOW); /* what cannot be given shows when the agent starts */
    int list_fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    DIR *list = list_fd >= 0 ? fdopendir(list_fd) : NULL;
    if (list == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            give_to_owner(fd, entry->d_name, uid, gid);
    (void)closedir(list);
}

/* ---- the task as the agent gets it ---- */

static void write_outputs(struct mw_run_attempt *attempt, const struct mw_tree *trees,
                          struct mw_json *json)
{
    mw_json_karray(json, "outputs");
    for (uint32_t i = 0; i < attempt->input_count; i++) {
        mw_json_object(json);
        mw_json_kstr(json, "taskId", mw_str_of(attempt->inputs[i].task_id));
        mw_json_kstr(json, "taskType", mw_str_of(attempt->inputs[i].task_type));
        mw_json_kstr(json, "agentId", mw_str_of(attempt->inputs[i].agent_id));
        mw_json_karray(json, "files");
        for (uint32_t n = 0; n < trees[i].count; n++)
            mw_json_str(json, trees[i].files[n].path);
        mw_json_array_end(json);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void copy_member(struct mw_run_attempt *attempt, struct mw_json *json, const char *key)
{
    uint32_t node = mw_node_get(&attempt->record, 0, key);
    if (node != MW_NODE_NONE)
        mw_json_knode(json, key, &attempt->record, node);
}

static void write_task(struct mw_run_attempt *attempt, const struct mw_tree *trees,
                       struct mw_buf *buf)
{
    static const char *const envelope[] = {
        "type",          "traceId",   "sessionId", "componentTag", "blueprintId",
        "parentTraceId", "timestamp", "messageId", "causationId",  "targetAgent",
        "agentId",       "taskId",    "taskType",  "attempt"};
    mw_autofree char *files = mw_attempt_path(attempt, "files");
    const struct mw_tape *record = &attempt->record;
    uint32_t payload = mw_node_get(record, 0, "payload");
    uint32_t routing = mw_node_get(record, 0, "routing");
    struct mw_json json;
    mw_json_init(&json, buf);
    mw_json_object(&json);
    for (size_t i = 0; i < MW_COUNT(envelope); i++)
        copy_member(attempt, &json, envelope[i]);
    mw_json_kstr(&json, "domain",
                 mw_node_get(record, routing, "domain") != MW_NODE_NONE
                     ? mw_node_get_text(record, routing, "domain")
                     : MW_STR("*"));
    mw_json_kobject(&json, "payload");
    for (uint32_t key = mw_node_first(record, payload); key != MW_NODE_NONE;
         key = mw_node_after(record, payload, key)) {
        mw_json_key(&json, record->nodes[key].text);
        mw_json_node(&json, record, key + 1);
    }
    if (attempt->uses_repository && attempt->input_count > 0)
        write_outputs(attempt, trees, &json);
    mw_json_object_end(&json);
    mw_json_kraw(&json, "context", attempt->context);
    mw_json_kraw(&json, "memory", attempt->memory);
    mw_json_kstr(&json, "workDir", mw_str_of(files));
    mw_json_kobject(&json, "limits");
    mw_json_ku64(&json, "deadline_ms", attempt->agent.deadline_ms);
    mw_json_ku64(&json, "output_bytes", attempt->agent.output_bytes_max);
    mw_json_ku64(&json, "files", attempt->agent.files_max);
    mw_json_object_end(&json);
    mw_json_kobject(&json, "expects");
    mw_json_kstr(&json, "type", attempt->expects);
    mw_json_karray(&json, "owns");
    for (uint32_t i = 0; i < attempt->owns_count; i++)
        mw_json_str(&json, attempt->owns[i]);
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    mw_buf_put_c(buf, '\n');
}

static enum mw_rc write_inputs(struct mw_run_attempt *attempt, const struct mw_tree *trees)
{
    struct mw_buf text = mw_heap_buf();
    mw_autofree char *path = mw_attempt_path(attempt, "task.json");
    write_task(attempt, trees, &text);
    mw_sha256_hex(mw_buf_str(&text), attempt->input_sha256);
    enum mw_rc rc = mw_file_put(AT_FDCWD, path, mw_buf_str(&text), 0644, &attempt->err);
    if (rc == MW_OK && attempt->agent.answers_by_diff) {
        /* A program that knows no protocol reads words: what is asked, then the task. */
        mw_autofree char *prompt_path = mw_attempt_path(attempt, "prompt.txt");
        struct mw_buf prompt = mw_heap_buf();
        mw_buf_printf(&prompt,
                      "Do the task '%.*s' by changing files in the current folder only. You may "
                      "write these paths:\n",
                      MW_STR_ARG(attempt->task_type));
        for (uint32_t i = 0; i < attempt->owns_count; i++)
            mw_buf_printf(&prompt, "  %.*s\n", MW_STR_ARG(attempt->owns[i]));
        mw_buf_put_z(&prompt, "The task:\n");
        mw_buf_put(&prompt, mw_buf_str(&text));
        rc = mw_file_put(AT_FDCWD, prompt_path, mw_buf_str(&prompt), 0644, &attempt->err);
        mw_heap_buf_free(&prompt);
    }
    mw_heap_buf_free(&text);
    return rc;
}

void mw_attempt_prepare(uv_work_t *work)
{
    struct mw_run_attempt *attempt = work->data;
    struct mw_tree *trees = mw_heap_alloc((attempt->input_count + 1) * sizeof(*trees));
    attempt->rc = mw_attempt_folder_make(attempt);
    if (attempt->rc == MW_OK)
        attempt->rc = make_files(attempt, trees);
    if (attempt->rc == MW_OK)
        attempt->rc = write_inputs(attempt, trees);
    if (attempt->rc == MW_OK && attempt->host->is_root && attempt->host->owner_uid != 0)
        give_to_owner(AT_FDCWD, attempt->folder, attempt->host->owner_uid,
                      attempt->host->owner_gid);
    for (uint32_t i = 0; i < attempt->input_count; i++)
        mw_tree_free(&trees[i]);
    free(trees);
}

/* ---- what is started ---- */

static const char *terminated(struct mw_run_attempt *attempt, struct mw_str text)
{
    return mw_arena_copy(&attempt->arena, text).ptr;
}

/* A relative program with a '/' is meant from the workspace, or from its folder of agents. */
static const char *resolve_program(struct mw_run_attempt *attempt, struct mw_str name)
{
    const char *plain = terminated(attempt, name);
    if (plain[0] == '/' || strchr(plain, '/') == NULL)
        return plain;
    const char *const bases[] = {"", "agents/"};
    for (size_t i = 0; i < MW_COUNT(bases); i++) {
        struct mw_str path =
            mw_arena_format(&attempt->arena, "%s/%s%s", attempt->host->workspace, bases[i], plain);
        if (mw_exists(AT_FDCWD, path.ptr))
            return path.ptr;
    }
    return plain;
}

const char *const *mw_attempt_argv(struct mw_run_attempt *attempt)
{
    const struct mw_agent_def *agent = &attempt->agent;
    const char **argv = mw_arena_array(&attempt->arena, const char *, agent->argv_count + 4);
    if (agent->kind == MW_AGENT_BUILTIN) {
        argv[0] = attempt->host->program;
        argv[1] = "__agent";
        argv[2] = terminated(attempt, agent->builtin);
        return argv;
    }
    for (uint32_t i = 0; i < agent->argv_count; i++)
        argv[i] =
            i == 0 ? resolve_program(attempt, agent->argv[0]) : terminated(attempt, agent->argv[i]);
    return argv;
}

static bool passes(const struct mw_agent_def *agent, const char *variable)
{
    static const char *const always[] = {
        "LANG",       "TZ",          "HTTP_PROXY", "HTTPS_PROXY",   "NO_PROXY",
        "http_proxy", "https_proxy", "no_proxy",   "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"};
    size_t len = strcspn(variable, "=");
    struct mw_str name = {variable, len};
    if (mw_str_starts(name, MW_STR("MILLWRIGHT_TEST_")))
        return agent->runs_servers;
    for (size_t i = 0; i < MW_COUNT(always); i++)
        if (mw_str_is(name, always[i]))
            return true;
    for (uint32_t i = 0; i < agent->pass_count; i++)
        if (mw_str_eq(name, agent->pass[i]))
            return true;
    for (uint32_t i = 0; i < agent->secret_count; i++)
        if (mw_str_eq(name, agent->secrets[i]))
            return true;
    return false;
}

const char *const *mw_attempt_environment(struct mw_run_attempt *attempt)
{
    struct mw_arena *arena = &attempt->arena;
    mw_autofree char *files = mw_attempt_path(attempt, "files");
    mw_autofree char *tmp =
        mw_attempt_path(attempt, mw_attempt_is_words(attempt) ? "files" : "tmp");
    mw_autofree char *task = mw_attempt_path(attempt, "task.json");
    size_t own = 0, count = 0;
    for (char **at = environ; *at != NULL; at++)
        count++;
    const char **env = mw_arena_array(arena, const char *, count + 16);
    struct mw_str session = mw_node_get_text(&attempt->record, 0, "sessionId");
    uint8_t digest[32];
    char hex[65];
    mw_sha256_of(attempt->trace_id, digest);
    mw_hex(digest, sizeof(digest), hex);
    env[own++] = mw_arena_format(arena, "PATH=%s", attempt->host->path).ptr;
    env[own++] = mw_arena_format(arena, "HOME=%s", files).ptr;
    env[own++] = mw_arena_format(arena, "TMPDIR=%s", tmp).ptr;
    env[own++] = mw_arena_format(arena, "MILLWRIGHT_TASK=%s", task).ptr;
    env[own++] =
        mw_arena_format(arena, "MILLWRIGHT_TRACE_ID=%.*s", MW_STR_ARG(attempt->trace_id)).ptr;
    env[own++] = mw_arena_format(arena, "MILLWRIGHT_SESSION_ID=%.*s", MW_STR_ARG(session)).ptr;
    env[own++] = mw_arena_format(arena, "MILLWRIGHT_WORK_DIR=%s", files).ptr;
    env[own++] = mw_arena_format(arena, "MILLWRIGHT_FACTORY=%s", attempt->host->factory).ptr;
    env[own++] = mw_arena_format(arena, "TRACEPARENT=00-%.32s-%.16s-01", hex, hex + 32).ptr;
    for (char **at = environ; *at != NULL; at++)
        if (passes(&attempt->agent, *at))
            env[own++] = *at;
    env[own] = NULL;
    return env;
}
