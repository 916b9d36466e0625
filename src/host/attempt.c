#include "host/attempt.h"
#include "agent/leftovers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS 5000u
#define SPACE_MS 500u
#define CONTEXT_BYTES_MAX ((size_t)32 << 20)
#define ATTEMPT_ARENA_BYTES ((size_t)128 << 20) /* with the context, its record has room */
#define READS_MAX 16u /* of an agent's output before others have their turn */

static void after_prepare(uv_work_t *work, int status);
static void after_collect(uv_work_t *work, int status);
static void start_child(struct mw_run_attempt *attempt);
static void on_stdout(uv_poll_t *poll, int status, int events);
static void on_exit_of_stub(uv_poll_t *poll, int status, int events);
static void on_idle(uv_timer_t *timer);
static void finish_if_over(struct mw_run_attempt *attempt);
static bool lacks_space(const struct mw_run_attempt *attempt);
static void try_again(struct mw_run_attempt *attempt);

char *mw_attempt_path(const struct mw_run_attempt *attempt, const char *name)
{
    return mw_heap_format("%s/%s", attempt->folder, name);
}

static void free_attempt(struct mw_run_attempt *attempt)
{
    struct mw_host *host = attempt->host;
    if (attempt->ask != NULL) {
        attempt->ask->attempt = NULL;
        if (attempt->ask->closed)
            mw_host_ask_forget(host, attempt->ask);
    }
    for (uint32_t i = 0; i < attempt->input_count; i++) {
        free(attempt->inputs[i].files_sha256);
        free(attempt->inputs[i].task_id);
        free(attempt->inputs[i].task_type);
        free(attempt->inputs[i].agent_id);
    }
    free(attempt->inputs);
    mw_tree_free(&attempt->base);
    mw_heap_buf_free(&attempt->violations);
    mw_heap_buf_free(&attempt->report_line);
    mw_heap_arena_free(&attempt->arena);
    if (attempt->folder_is_like_new)
        mw_used_folder_give(&host->used_folders, attempt->folder);
    else
        free(attempt->folder);
    free(attempt->used_folder);
    free(attempt);
    host->attempts_running--;
}

/* ---- what core knows of it ---- */

static void write_fact(struct mw_host *host, struct mw_json *json, const struct mw_fact *fact)
{
    const struct mw_tape *whole =
        fact->body_sha256.len > 0 ? mw_pins_document(host, fact->body_sha256) : NULL;
    if (whole != NULL)
        mw_json_node(json, whole, 0);
    else
        mw_json_raw(json, fact->body.len > 0 ? fact->body : MW_STR("{}"));
}

/* {"Type": payload} or {"Type": [payload, …]}, of the types that the definition names. */
enum mw_rc mw_attempt_context(struct mw_host *host, const struct mw_task_needs *needs,
                              struct mw_arena *arena, struct mw_str *ret_context,
                              struct mw_err *err)
{
    struct mw_buf buf = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    for (uint32_t i = 0; i < needs->def->context_count; i++) {
        uint32_t count;
        mw_autofree const struct mw_fact **facts =
            mw_host_facts(needs->trace, needs->scope, needs->def->context[i], &count);
        if (count == 0)
            continue;
        mw_json_key(&json, needs->def->context[i]);
        if (count > 1)
            mw_json_array(&json);
        for (uint32_t n = 0; n < count && buf.len <= CONTEXT_BYTES_MAX; n++)
            write_fact(host, &json, facts[n]);
        if (count > 1)
            mw_json_array_end(&json);
    }
    mw_json_object_end(&json);
    bool fits = buf.len <= CONTEXT_BYTES_MAX;
    if (fits)
        *ret_context = mw_arena_copy(arena, mw_buf_str(&buf));
    mw_heap_buf_free(&buf);
    return fits ? MW_OK
                : MW_FAIL(err, MW_E_CONFIG,
                          "what the task's 'context' names has more than %zu bytes: no agent is "
                          "given so much",
                          CONTEXT_BYTES_MAX);
}

/* [{"kind","text"}, …], oldest first: as it is when the attempt begins. */
struct mw_str mw_attempt_memory(const struct mw_host *host, struct mw_arena *arena)
{
    const struct mw_memory *memory = &host->core.memory;
    struct mw_buf buf = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &buf);
    mw_json_array(&json);
    for (uint32_t i = 0; i < memory->count; i++) {
        enum mw_memory_kind kind = (enum mw_memory_kind)memory->entries[i].kind;
        mw_json_object(&json);
        mw_json_kstr(&json, "kind", mw_str_of(mw_memory_kind_name(kind)));
        mw_json_kstr(&json, "text", memory->entries[i].text);
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    struct mw_str text = mw_arena_copy(arena, mw_buf_str(&buf));
    mw_heap_buf_free(&buf);
    return text;
}

static void take_inputs(struct mw_run_attempt *attempt, const struct mw_task_needs *needs)
{
    const struct mw_core *core = &attempt->host->core;
    if (needs->def->inputs == MW_INPUTS_NONE)
        return;
    mw_seq scope = needs->def->inputs == MW_INPUTS_TRACE ? MW_SCOPE_TRACE : needs->scope;
    uint32_t count;
    mw_autofree const struct mw_fact **facts =
        mw_host_facts(needs->trace, scope, MW_STR_NONE, &count);
    attempt->inputs = mw_heap_alloc((count + 1) * sizeof(*attempt->inputs));
    for (uint32_t i = 0; i < count; i++) {
        struct mw_attempt_input *input = &attempt->inputs[attempt->input_count++];
        struct mw_str type = MW_STR_NONE, agent = MW_STR_NONE;
        (void)mw_work_author(&core->world, &core->work, needs->trace, facts[i]->task, &type,
                             &agent);
        input->files_sha256 = mw_heap_copy(facts[i]->files_sha256);
        input->task_id =
            mw_heap_copy(mw_wire_id(&core->world, &attempt->arena, "t", facts[i]->task));
        input->task_type = mw_heap_copy(type);
        input->agent_id = mw_heap_copy(agent);
    }
}

static bool read_needs(struct mw_run_attempt *attempt, struct mw_err *err)
{
    struct mw_host *host = attempt->host;
    struct mw_task_needs needs;
    struct mw_str why;
    if (!mw_work_needs(&host->core.world, &host->core.work, &attempt->arena, attempt->item, &needs,
                       &why)) {
        (void)MW_FAIL(err, MW_E_CONFIG, "%.*s", MW_STR_ARG(why));
        return false;
    }
    struct mw_tape definition;
    attempt->agent_definition = mw_arena_copy(&attempt->arena, needs.agent->definition);
    if (mw_json_parse(&attempt->arena, attempt->agent_definition, &definition, err) != MW_OK ||
        mw_agent_def_load(&attempt->arena, MW_STR("/agent"), &definition, 0, &attempt->agent,
                          err) != MW_OK)
        return false;
    for (uint32_t i = 0; i < attempt->agent.secret_count; i++) {
        struct mw_str name = mw_arena_copy(&attempt->arena, attempt->agent.secrets[i]);
        mw_mask_add(host->mask, name, mw_str_of(getenv(name.ptr)));
    }
    attempt->expects = mw_arena_copy(&attempt->arena, needs.def->expects[0]);
    attempt->writes_files = needs.def->writes_files;
    attempt->uses_repository = needs.def->reads_repository;
    attempt->owns_count = needs.owns_count;
    attempt->owns = mw_arena_array(&attempt->arena, struct mw_str, needs.owns_count + 1);
    for (uint32_t i = 0; i < needs.owns_count; i++)
        attempt->owns[i] = mw_arena_copy(&attempt->arena, needs.owns[i]);
    if (mw_attempt_context(host, &needs, &attempt->arena, &attempt->context, err) != MW_OK)
        return false;
    attempt->memory = mw_attempt_memory(host, &attempt->arena);
    take_inputs(attempt, &needs);
    return true;
}

void mw_attempt_begin(struct mw_host *host, struct mw_host_ask *ask)
{
    struct mw_run_attempt *attempt = mw_heap_alloc(sizeof(*attempt));
    attempt->host = host;
    attempt->ask = ask;
    attempt->violations = mw_heap_buf();
    attempt->report_line = mw_heap_buf();
    attempt->child =
        (struct mw_exec_child){.pidfd = -1, .stdout_fd = -1, .report_fd = -1, .control_fd = -1};
    ask->attempt = attempt;
    host->attempts_running++;
    mw_heap_arena(&attempt->arena, ATTEMPT_ARENA_BYTES);
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    MW_ASSERT(open != NULL);
    attempt->item = open->item;
    attempt->rc =
        mw_json_parse(&attempt->arena, mw_arena_copy(&attempt->arena, mw_str_of(ask->line)),
                      &attempt->record, &attempt->err);
    MW_ASSERT(attempt->rc == MW_OK); /* our own line */
    attempt->trace_id = mw_node_get_text(&attempt->record, 0, "traceId");
    attempt->task_id = mw_node_get_text(&attempt->record, 0, "taskId");
    attempt->task_type = mw_node_get_text(&attempt->record, 0, "taskType");
    attempt->attempt =
        (uint64_t)mw_node_int(&attempt->record, mw_node_get(&attempt->record, 0, "attempt"), 1);
    attempt->folder = mw_heap_format("%s/.millwright/work/%.*s.%lu", host->workspace,
                                     MW_STR_ARG(attempt->task_id), (unsigned long)attempt->attempt);
    if (!read_needs(attempt, &attempt->err)) {
        attempt->rc = attempt->err.rc;
        after_prepare(&attempt->work, 0);
        return;
    }
    if (mw_attempt_is_words(attempt))
        attempt->used_folder = mw_used_folder_take(&host->used_folders);
    attempt->work.data = attempt;
    (void)uv_queue_work(&host->loop, &attempt->work, mw_attempt_prepare, after_prepare);
}

static void after_prepare(uv_work_t *work, int status)
{
    struct mw_run_attempt *attempt =
        (struct mw_run_attempt *)((char *)work - offsetof(struct mw_run_attempt, work));
    (void)status; /* never cancelled */
    if (attempt->cancelled) {
        free_attempt(attempt);
        return;
    }
    if (lacks_space(attempt)) {
        try_again(attempt);
        return;
    }
    if (attempt->rc != MW_OK) {
        mw_attempt_tell(attempt);
        free_attempt(attempt);
        return;
    }
    start_child(attempt);
}

/* ---- a full disk (P10) ---- */

static bool is_full(const struct mw_run_attempt *attempt)
{
    return attempt->rc != MW_OK && (attempt->rc == MW_E_FULL || attempt->err.sys_errno == ENOSPC ||
                                    attempt->err.sys_errno == EDQUOT);
}

/* That is nobody's failure: the attempt waits for space, as long as its deadline lets it. */
static bool lacks_space(const struct mw_run_attempt *attempt)
{
    return is_full(attempt) && attempt->ask != NULL && !attempt->ask->closed;
}

/* What its killed supervisor ran goes on, and nothing on the disk says so: it is ended whoever still wants the answer. */
static bool has_strays(const struct mw_run_attempt *attempt)
{
    return attempt->report.error == MW_EXEC_NO_REPORT && attempt->pid_unwritten;
}

static void on_try_again(uv_timer_t *timer)
{
    struct mw_run_attempt *attempt = timer->data;
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
    attempt->err = (struct mw_err){0};
    if (attempt->started) {
        mw_buf_reset(&attempt->violations);
        attempt->files_sha256[0] = '\0';
        attempt->payload_sha256[0] = '\0';
        (void)uv_queue_work(&attempt->host->loop, &attempt->work, mw_attempt_collect,
                            after_collect);
        return;
    }
    mw_tree_free(&attempt->base);
    attempt->base = (struct mw_tree){0};
    (void)uv_queue_work(&attempt->host->loop, &attempt->work, mw_attempt_prepare, after_prepare);
}

static void try_again(struct mw_run_attempt *attempt)
{
    uv_timer_t *timer = mw_heap_alloc(sizeof(*timer));
    mw_host_log(attempt->host, "warning", "attempt.waits_for_space", "%s", attempt->err.text);
    (void)uv_timer_init(&attempt->host->loop, timer);
    timer->data = attempt;
    (void)uv_timer_start(timer, on_try_again, SPACE_MS, 0);
}

/* ---- running ---- */

static void close_poll(uv_handle_t *handle)
{
    free(handle);
}

static void stop_poll(uv_poll_t **poll)
{
    if (*poll == NULL)
        return;
    (void)uv_poll_stop(*poll);
    uv_close((uv_handle_t *)*poll, close_poll);
    *poll = NULL;
}

static uv_poll_t *watch(struct mw_run_attempt *attempt, int fd, uv_poll_cb callback)
{
    uv_poll_t *poll = mw_heap_alloc(sizeof(*poll));
    poll->data = attempt;
    if (uv_poll_init(&attempt->host->loop, poll, fd) != 0) {
        free(poll);
        return NULL;
    }
    poll->data = attempt;
    (void)uv_poll_start(poll, UV_READABLE, callback);
    return poll;
}

static void start_child(struct mw_run_attempt *attempt)
{
    struct mw_host *host = attempt->host;
    mw_autofree char *files = mw_attempt_path(attempt, "files");
    mw_autofree char *tmp =
        mw_attempt_path(attempt, mw_attempt_is_words(attempt) ? "files" : "tmp");
    mw_autofree char *task =
        mw_attempt_path(attempt, attempt->agent.answers_by_diff ? "prompt.txt" : "task.json");
    mw_autofree char *log = mw_attempt_path(attempt, "stderr.log");
    mw_autofree char *repositories = mw_heap_format("%s/.millwright/repos", host->workspace);
    mw_autofree char *agents = mw_heap_format("%s/agents", host->workspace);
    mw_autofree char *program_folder = mw_heap_format("%s", host->program);
    *strrchr(program_folder, '/') = '\0';
    const char *const *argv = mw_attempt_argv(attempt);
    mw_autofree char *script_folder = mw_heap_format("%s", argv[0]);
    char *slash = strrchr(script_folder, '/');
    const char *reads[6] = {host->factory, program_folder, agents, host->program, NULL, NULL};
    const char *writes[2] = {NULL, NULL};
    if (slash != NULL && slash != script_folder) {
        *slash = '\0';
        reads[4] = script_folder;
    }
    if (attempt->uses_repository)
        writes[0] = repositories;
    mw_autofree char *task_given = mw_attempt_path(attempt, "task.json");
    if (reads[4] == NULL)
        reads[4] = task_given;
    struct mw_exec_spec spec = {
        .argv = argv,
        .env = mw_attempt_environment(attempt),
        .cwd = files,
        .stdin_path = task,
        .stderr_path = log,
        .grace_ms = GRACE_MS,
        .by_server = true,
        .sandbox = {.profile = attempt->agent.runs_servers ? MW_PROFILE_TEST : MW_PROFILE_BUILD,
                    .work_dir = files,
                    .tmp_dir = tmp,
                    .read_paths = reads,
                    .write_paths = writes,
                    .drop = host->is_root && host->owner_uid != 0,
                    .uid = host->owner_uid,
                    .gid = host->owner_gid}};
    attempt->tried = true;
    attempt->rc = mw_exec_start(&spec, &attempt->child, &attempt->err);
    if (lacks_space(attempt)) { /* for its log */
        attempt->tried = false;
        try_again(attempt);
        return;
    }
    if (attempt->rc != MW_OK) {
        mw_attempt_tell(attempt);
        free_attempt(attempt);
        return;
    }
    mw_autofree char *pid_file = mw_attempt_path(attempt, "pid");
    struct mw_err pid_err;
    attempt->pid_unwritten = mw_leftover_write(pid_file, &attempt->child, &pid_err) != MW_OK;
    if (attempt->pid_unwritten)
        mw_host_log(host, "warning", "pid.unwritten", "%s", pid_err.text);
    struct mw_answer_rules rules = {.trace_id = attempt->trace_id,
                                    .output_bytes_max = attempt->agent.output_bytes_max,
                                    .is_well_formed = mw_type_is_well_formed};
    mw_answer_init(&attempt->answer, &rules);
    attempt->started = true;
    attempt->stdout_poll = watch(attempt, attempt->child.stdout_fd, on_stdout);
    attempt->pid_poll = watch(attempt, attempt->child.pidfd, on_exit_of_stub);
    if (attempt->agent.idle_ms > 0) {
        attempt->idle = mw_heap_alloc(sizeof(*attempt->idle));
        (void)uv_timer_init(&host->loop, attempt->idle);
        attempt->idle->data = attempt;
        (void)uv_timer_start(attempt->idle, on_idle, attempt->agent.idle_ms, 0);
    }
}

static void end_child(struct mw_run_attempt *attempt, enum mw_exec_killed why, uint32_t grace_ms)
{
    struct mw_err err;
    if (attempt->started && !attempt->exited &&
        mw_exec_end(&attempt->child, why, grace_ms, &err) != MW_OK)
        mw_host_log(attempt->host, "debug", "child.gone", "%s", err.text);
}

static void on_idle(uv_timer_t *timer)
{
    end_child(timer->data, MW_EXEC_IDLE, GRACE_MS);
}

static void end_stdout(struct mw_run_attempt *attempt)
{
    attempt->stdout_ended = true;
    stop_poll(&attempt->stdout_poll);
    finish_if_over(attempt);
}

/* What several processes write may come as fast as it is read: after some of it everybody else has a turn, and we are called again. */
static void on_stdout(uv_poll_t *poll, int status, int events)
{
    struct mw_run_attempt *attempt = poll->data;
    char chunk[65536];
    (void)events; /* only readable is asked */
    for (uint32_t i = 0; i < READS_MAX; i++) {
        ssize_t got = status < 0 ? 0 : read(attempt->child.stdout_fd, chunk, sizeof(chunk));
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            end_stdout(attempt);
            return;
        }
        if (attempt->idle !=
            NULL) /* from now on: uv_timer_again would leave a timer that does not repeat as it is */
            (void)uv_timer_start(attempt->idle, on_idle, attempt->agent.idle_ms, 0);
        if (!attempt->agent.answers_by_diff &&
            !mw_answer_feed(&attempt->answer, (struct mw_str){chunk, (size_t)got}))
            end_child(attempt, MW_EXEC_ASKED, 1000);
    }
}

static void on_exit_of_stub(uv_poll_t *poll, int status, int events)
{
    struct mw_run_attempt *attempt = poll->data;
    char chunk[MW_EXEC_REPORT_BYTES_MAX];
    (void)status;
    (void)events; /* readable: it has exited */
    for (ssize_t got; (got = read(attempt->child.report_fd, chunk, sizeof(chunk))) > 0;)
        mw_buf_put(&attempt->report_line, (struct mw_str){chunk, (size_t)got});
    stop_poll(&attempt->pid_poll);
    (void)mw_exec_reap(&attempt->child);
    attempt->exited = true;
    if (attempt->report_line.len == 0) {
        /* The stub itself was killed: what it supervised may hold our pipe for ever, and is ended in attempt_collect.c. */
        attempt->stdout_ended = true;
        stop_poll(&attempt->stdout_poll);
    }
    finish_if_over(attempt);
}

static void finish_if_over(struct mw_run_attempt *attempt)
{
    if (!attempt->exited || !attempt->stdout_ended)
        return;
    if (attempt->idle != NULL) {
        (void)uv_timer_stop(attempt->idle);
        uv_close((uv_handle_t *)attempt->idle, close_poll);
        attempt->idle = NULL;
    }
    mw_exec_close(&attempt->child);
    mw_exec_report_read(&attempt->arena, mw_str_trim(mw_buf_str(&attempt->report_line)),
                        &attempt->report);
    /* Asked to end, it may have answered all the same, and ended by itself: that answer is judged as one. */
    if (attempt->cancelled && attempt->report.exited && attempt->report.exit_code == 0 &&
        attempt->report.killed == MW_EXEC_ASKED)
        attempt->report.killed = MW_EXEC_NOT_KILLED;
    mw_answer_finish(&attempt->answer, &attempt->report, &attempt->outcome);
    attempt->over = attempt->cancelled && attempt->report.error != MW_EXEC_NO_REPORT;
    if (attempt->over && attempt->agent.secret_count == 0) {
        mw_attempt_tell_late(attempt);
        mw_answer_free(&attempt->answer);
        free_attempt(attempt);
        return;
    }
    attempt->wants_document =
        !attempt->cancelled &&
        mw_work_wants_document(&attempt->host->core.world, attempt->item, attempt->outcome.type);
    attempt->work.data = attempt;
    (void)uv_queue_work(&attempt->host->loop, &attempt->work, mw_attempt_collect, after_collect);
}

static void after_collect(uv_work_t *work, int status)
{
    struct mw_run_attempt *attempt = work->data;
    (void)status; /* never cancelled */
    if ((!attempt->cancelled && lacks_space(attempt)) ||
        (is_full(attempt) && has_strays(attempt))) {
        try_again(attempt);
        return;
    }
    if (!attempt->cancelled)
        mw_attempt_tell(attempt);
    else if (attempt->over || attempt->rc == MW_OK)
        mw_attempt_tell_late(attempt); /* also what was over while it was collected (FH-16) */
    mw_answer_free(&attempt->answer);
    free_attempt(attempt);
}

/* The ask was closed: whatever it does is not wanted any more. */
void mw_attempt_cancel(struct mw_run_attempt *attempt)
{
    attempt->cancelled = true;
    end_child(attempt, MW_EXEC_ASKED, GRACE_MS);
}
