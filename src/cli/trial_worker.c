#include "cli/trial.h"

#include "posix/heap.h"

#define WAIT_MS 60000
#define BATCH_MAX 1024u
#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define ARENA_BYTES ((size_t)512 << 20) /* reserved, backed when touched */

void mw_trial_worker_open(struct mw_trial *trial, const char *name,
                          struct mw_trial_worker *ret_worker)
{
    *ret_worker = (struct mw_trial_worker){.trial = trial, .name = name, .answers = mw_heap_buf()};
    mw_heap_arena(&ret_worker->arena, ARENA_BYTES);
}

void mw_trial_worker_close(struct mw_trial_worker *worker)
{
    if (worker->connected)
        mw_http_close(&worker->stream);
    worker->connected = false;
    mw_heap_buf_free(&worker->answers);
    mw_heap_arena_free(&worker->arena);
}

void mw_trial_worker_lost(struct mw_trial_worker *worker)
{
    if (worker->connected)
        mw_http_close(&worker->stream);
    worker->connected = false;
}

/* One request; its answer is in worker->tape until the next one. */
static enum mw_rc say(struct mw_trial_worker *worker, const char *verb, struct mw_str body,
                      struct mw_err *err)
{
    mw_autofree char *target = mw_heap_format("/v1/agents/remote/%s", verb);
    struct mw_http_request request = {"POST", target, "", body, true};
    enum mw_rc rc = MW_OK;
    if (worker->connected) {
        rc = mw_http_again(&worker->stream, &request, WAIT_MS, err);
    } else {
        int fd = mw_link_connect(&worker->trial->cli);
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

enum mw_rc mw_trial_worker_take(struct mw_trial_worker *worker, uint32_t wait_ms,
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

void mw_trial_worker_answer(struct mw_trial_worker *worker, struct mw_str task_id, uint64_t fence,
                            struct mw_str payload)
{
    if (worker->answers.len > 0)
        mw_buf_put_c(&worker->answers, ',');
    mw_buf_printf(&worker->answers,
                  "{\"taskId\":\"%.*s\",\"fence\":%lu,\"type\":\"ThingEchoed\",\"payload\":%.*s}",
                  MW_STR_ARG(task_id), (unsigned long)fence, MW_STR_ARG(payload));
}

void mw_trial_worker_fail(struct mw_trial_worker *worker, struct mw_str task_id, uint64_t fence)
{
    if (worker->answers.len > 0)
        mw_buf_put_c(&worker->answers, ',');
    mw_buf_printf(&worker->answers,
                  "{\"taskId\":\"%.*s\",\"fence\":%lu,"
                  "\"error\":{\"class\":\"tool\",\"message\":\"on purpose\"}}",
                  MW_STR_ARG(task_id), (unsigned long)fence);
}

enum mw_rc mw_trial_worker_holds(struct mw_trial_worker *worker, const uint64_t *fences,
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
