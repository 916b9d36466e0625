/* bench_worker.c - W1x and W5: the agent is another process that takes its tasks over the socket (docs/agents.md, Workers). */
#include "cli/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

#define WAIT_MS 60000
#define BATCH_MAX 1024u
#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define ARENA_BYTES ((size_t)512 << 20) /* reserved, backed when touched */

enum mw_rc mw_bench_worker_open(struct mw_bench_host *host, const char *name,
                                struct mw_bench_worker *ret_worker, struct mw_err *err)
{
    (void)err; /* it connects with its first request */
    *ret_worker = (struct mw_bench_worker){.host = host, .name = name, .answers = mw_heap_buf()};
    mw_heap_arena(&ret_worker->arena, ARENA_BYTES);
    return MW_OK;
}

void mw_bench_worker_close(struct mw_bench_worker *worker)
{
    if (worker->connected)
        mw_http_close(&worker->stream);
    worker->connected = false;
    mw_heap_buf_free(&worker->answers);
    mw_heap_arena_free(&worker->arena);
}

/* The host was killed, or another one is asked from here on. */
void mw_bench_worker_lost(struct mw_bench_worker *worker)
{
    if (worker->connected)
        mw_http_close(&worker->stream);
    worker->connected = false;
}

/* One request; its answer is in worker->tape until the next one. */
static enum mw_rc say(struct mw_bench_worker *worker, const char *verb, struct mw_str body,
                      struct mw_err *err)
{
    mw_autofree char *target = mw_heap_format("/v1/agents/remote/%s", verb);
    struct mw_http_request request = {"POST", target, "", body, true};
    enum mw_rc rc = MW_OK;
    if (worker->connected) {
        rc = mw_http_again(&worker->stream, &request, WAIT_MS, err);
    } else {
        int fd = mw_link_connect(&worker->host->cli);
        if (fd < 0)
            return MW_FAIL(err, MW_E_IO, "the host does not answer");
        rc = mw_http_start(fd, &request, WAIT_MS, &worker->stream, err);
        worker->connected = rc == MW_OK;
    }
    if (rc == MW_OK)
        rc = mw_http_rest(&worker->stream, WAIT_MS, ANSWER_BYTES_MAX, err);
    if (rc != MW_OK)
        return rc;
    struct mw_str text = mw_buf_str(&worker->stream.body);
    if (worker->stream.status != 200)
        return MW_FAIL(err, MW_E_CONFLICT, "the host refused a worker: %.*s", MW_STR_ARG(text));
    mw_arena_reset(&worker->arena);
    return mw_json_parse(&worker->arena, text, &worker->tape, err);
}

enum mw_rc mw_bench_worker_take(struct mw_bench_worker *worker, uint32_t wait_ms,
                                uint32_t *ret_count, struct mw_err *err)
{
    struct mw_buf body = mw_heap_buf();
    mw_buf_printf(&body, "{\"worker\":\"%s\",\"max\":%u,\"waitMs\":%u,\"answers\":[%.*s]}",
                  worker->name, BATCH_MAX, wait_ms, MW_STR_ARG(mw_buf_str(&worker->answers)));
    enum mw_rc rc = say(worker, "lease", mw_buf_str(&body), err);
    mw_heap_buf_free(&body);
    if (rc != MW_OK)
        return rc;
    mw_buf_reset(&worker->answers);
    *ret_count = mw_node_count(&worker->tape, mw_node_get(&worker->tape, 0, "tasks"));
    return MW_OK;
}

void mw_bench_worker_answer(struct mw_bench_worker *worker, struct mw_str task_id, uint64_t fence,
                            struct mw_str payload)
{
    if (worker->answers.len > 0)
        mw_buf_put_c(&worker->answers, ',');
    mw_buf_printf(&worker->answers,
                  "{\"taskId\":\"%.*s\",\"fence\":%lu,\"type\":\"ThingEchoed\",\"payload\":%.*s}",
                  MW_STR_ARG(task_id), (unsigned long)fence, MW_STR_ARG(payload));
}

enum mw_rc mw_bench_worker_holds(struct mw_bench_worker *worker, const uint64_t *fences,
                                 uint32_t count, uint32_t *ret_gone, struct mw_err *err)
{
    struct mw_buf body = mw_heap_buf();
    MW_ASSERT(count <= BATCH_MAX);
    mw_buf_printf(&body, "{\"worker\":\"%s\",\"holds\":[", worker->name);
    for (uint32_t i = 0; i < count; i++)
        mw_buf_printf(&body, "%s%lu", i > 0 ? "," : "", (unsigned long)fences[i]);
    mw_buf_put_z(&body, "]}");
    enum mw_rc rc = say(worker, "heartbeat", mw_buf_str(&body), err);
    mw_heap_buf_free(&body);
    if (rc == MW_OK)
        *ret_gone = mw_node_count(&worker->tape, mw_node_get(&worker->tape, 0, "gone"));
    return rc;
}

/* ---- W1x: a process of its own, which answers everything at once ---- */

static void serve(struct mw_bench_host *host)
{
    struct mw_bench_worker worker;
    struct mw_err err;
    uint32_t count;
    if (mw_bench_worker_open(host, "bench", &worker, &err) != MW_OK)
        return;
    while (mw_bench_worker_take(&worker, 20000, &count, &err) == MW_OK) {
        const struct mw_tape *tape = &worker.tape;
        uint32_t tasks = mw_node_get(tape, 0, "tasks");
        for (uint32_t at = mw_node_first(tape, tasks); at != MW_NODE_NONE;
             at = mw_node_after(tape, tasks, at))
            mw_bench_worker_answer(&worker, mw_node_get_text(tape, at, "taskId"),
                                   (uint64_t)mw_node_int(tape, mw_node_get(tape, at, "fence"), 0),
                                   tape->nodes[mw_node_get(tape, at, "payload")].text);
    }
}

enum mw_rc mw_bench_worker_start(struct mw_bench_host *host, pid_t *ret_pid, struct mw_err *err)
{
    pid_t parent = getpid();
    pid_t pid = fork(); /* one thread, and nothing buffered that matters */
    if (pid < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "start a worker");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            serve(host);
        _exit(0);
    }
    *ret_pid = pid;
    return MW_OK;
}

void mw_bench_worker_end(pid_t pid, double *ret_cpu_s)
{
    struct rusage used = {0};
    (void)kill(pid, SIGTERM);
    while (wait4(pid, NULL, 0, &used) < 0 && errno == EINTR)
        ;
    *ret_cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
