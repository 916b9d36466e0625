/*
 * host_remote.h - workers: agents in other processes, perhaps on other machines, that take tasks over the socket (src/host/workers.h).
 *
 * They outlive the host, hold what they were given over its deaths, answer late, twice, wrongly or never, are silent for longer than a lease,
 * and forget what they hold. They come through api_server's own ops->worker, as callers come through its post.
 */
#ifndef MW_TEST_HOST_REMOTE_H
#define MW_TEST_HOST_REMOTE_H

#include "host_callers.h"

#include "host/workers_state.h"

#define REMOTES 3
#define REMOTE_TASKS 4
#define REMOTE_GIVEN_MAX 4096
#define REMOTE_RETURN_NS 19000000000ll /* a second less than the lease of surveyor.yaml */

struct remote_task {
    char id[48], type[48];
    mw_seq fence;
    int64_t done_ns; /* when it has worked long enough */
    bool sent;       /* its answer is on its way, or nobody heard what became of it */
};

struct remote {
    struct mw_api_call call; /* CALL_FLIES: the host has it */
    int64_t at_ns;           /* the next request */
    struct remote_task tasks[REMOTE_TASKS];
    uint32_t count;
    struct remote_task before; /* answered and heard of: said once more now and then */
};

struct remotes {
    struct remote all[REMOTES];
    mw_seq given[REMOTE_GIVEN_MAX]; /* fences, in this life */
    uint32_t given_count;
    uint64_t tasks, recorded, late, gone;
    mw_seq kept[REMOTE_GIVEN_MAX]; /* what the host before this one gave, if it was killed */
    uint32_t kept_count;
    int64_t return_ns; /* until then it is kept for those who have it */
};

static struct remotes remotes;

static void remotes_begin(void)
{
    remotes.given_count = remotes.kept_count = 0;
    memset(remotes.all, 0, sizeof remotes.all);
    for (uint32_t i = 0; i < REMOTES; i++) {
        remotes.all[i].call.remote = &remotes.all[i];
        remotes.all[i].at_ns = loop_soon();
    }
}

/* When everything is done nobody asks any more, so that the host can leave. */
static bool remotes_rest(void)
{
    return world.draining && world.host->core.world.traces.count == 0;
}

static int64_t remotes_next_ns(void)
{
    int64_t next = WORLD_FAR_NS;
    for (uint32_t i = 0; i < REMOTES && !remotes_rest(); i++)
        if (remotes.all[i].call.state != CALL_FLIES && remotes.all[i].at_ns < next)
            next = remotes.all[i].at_ns;
    return next;
}

/* kept: the next host knows what was leased (leases.h). */
static void remotes_host_gone(bool kept)
{
    remotes.kept_count = kept ? remotes.given_count : 0;
    memcpy(remotes.kept, remotes.given, remotes.kept_count * sizeof remotes.kept[0]);
    remotes.given_count = 0;
    remotes.return_ns = world.now_ns + REMOTE_RETURN_NS;
    for (uint32_t i = 0; i < REMOTES; i++) {
        remotes.all[i].call.state = CALL_NONE;
        remotes.all[i].at_ns = loop_soon();
    }
}

/* ---- what one says ---- */

static void remote_put_answer(const struct remote_task *task, struct mw_buf *body)
{
    bool well = world.draining || !world_chance(world.mood.bad_percent / 2);
    mw_buf_printf(body, "{\"taskId\":\"%s\",\"fence\":%lu,", task->id, (unsigned long)task->fence);
    if (well)
        mw_buf_printf(body, "\"type\":\"%s\",\"payload\":{\"result\":\"Passed\"}}", task->type);
    else if (world_chance(50))
        mw_buf_put_z(body, "\"type\":\"SiteLost\",\"payload\":{}}");
    else
        mw_buf_printf(body,
                      "\"error\":{\"class\":\"tool\",\"message\":\"no tape\",\"retryable\":%s}}",
                      world_chance(50) ? "true" : "false");
}

static bool remote_has(const struct remote *remote, mw_seq fence)
{
    for (uint32_t i = 0; i < remote->count; i++)
        if (remote->tasks[i].fence == fence)
            return true;
    return false;
}

/* Those that are done, and now and then one that was answered before. */
static uint32_t remote_put_answers(struct remote *remote, struct mw_buf *body)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < remote->count; i++) {
        struct remote_task *task = &remote->tasks[i];
        if (!task->sent && !world.draining && task->done_ns > world.now_ns)
            continue;
        mw_buf_put_z(body, count++ > 0 ? "," : "");
        remote_put_answer(task, body);
        task->sent = true;
    }
    if (remote->before.fence != 0 && world_chance(10) &&
        !remote_has(remote, remote->before.fence)) {
        mw_buf_put_z(body, count++ > 0 ? "," : "");
        remote_put_answer(&remote->before, body);
        remote->before.fence = 0;
    }
    return count;
}

static void remote_put_holds(const struct remote *remote, struct mw_buf *body)
{
    mw_buf_put_z(body, ",\"holds\":[");
    for (uint32_t i = 0; i < remote->count; i++)
        mw_buf_printf(body, "%s%lu", i > 0 ? "," : "", (unsigned long)remote->tasks[i].fence);
    mw_buf_put_z(body, "]");
}

static void remote_ask(struct remote *remote)
{
    struct mw_buf body = mw_heap_buf(), answers = mw_heap_buf();
    uint32_t index = (uint32_t)(remote - remotes.all);
    bool sick = !world.draining && world_chance(world.mood.bad_percent / 4);
    if (sick && world_chance(50))
        remote->count = 0; /* it was started anew */
    uint32_t count = remote_put_answers(remote, &answers);
    bool full = remote->count == REMOTE_TASKS || sick;
    const char *verb = full ? (count > 0 ? "answers" : "heartbeat") : "lease";
    mw_buf_printf(&body, "{\"worker\":\"w%u\"", index);
    if (count > 0)
        mw_buf_printf(&body, ",\"answers\":[%.*s]", MW_STR_ARG(mw_buf_str(&answers)));
    if (!full)
        mw_buf_printf(&body, ",\"max\":%u,\"waitMs\":%u", REMOTE_TASKS - remote->count,
                      world_chance(30) ? 0 : world_below(30000));
    if (count == 0)
        remote_put_holds(remote, &body);
    mw_buf_put_z(&body, "}");
    remote->call.state = CALL_FLIES;
    world_note("a worker asks", index, count);
    callers.ops->worker(world.host, MW_STR("surveyor"), mw_str_of(verb), mw_buf_str(&body),
                        &remote->call);
    mw_heap_buf_free(&body);
    mw_heap_buf_free(&answers);
}

/* In the place of a connection that is readable. */
static void remotes_run(void)
{
    for (uint32_t i = 0; i < REMOTES && callers.ops != NULL && !remotes_rest(); i++) {
        struct remote *remote = &remotes.all[i];
        if (remote->call.state == CALL_FLIES || remote->at_ns > world.now_ns)
            continue;
        remote_ask(remote);
        return;
    }
}

/* ---- what it hears ---- */

static void remote_forgets(struct remote *remote, mw_seq fence)
{
    for (uint32_t i = 0; i < remote->count; i++)
        if (remote->tasks[i].fence == fence) {
            remote->before = remote->tasks[i];
            remote->tasks[i--] = remote->tasks[--remote->count];
        }
}

static bool remote_is_kept(mw_seq fence)
{
    for (uint32_t i = 0; i < remotes.kept_count; i++)
        if (remotes.kept[i] == fence)
            return world.now_ns < remotes.return_ns;
    return false;
}

/* P01: durable before it is handed out. P06: open, handed out once in a life of the host, and kept for whoever had it before. */
static void remote_takes(struct remote *remote, const struct mw_tape *tape, uint32_t node)
{
    mw_seq fence = (mw_seq)mw_node_int(tape, mw_node_get(tape, node, "fence"), 0);
    WORLD_CHECK(fence > 0 && fence <= world.sure_seq,
                "P01: task %lu is given to a worker and not durable", (unsigned long)fence);
    WORLD_CHECK(mw_table_get(&world.host->core.world.asks, fence) != NULL,
                "P06: task %lu is given to a worker and not open", (unsigned long)fence);
    for (uint32_t i = 0; i < remotes.given_count; i++)
        WORLD_CHECK(remotes.given[i] != fence, "P06: task %lu is given to two workers",
                    (unsigned long)fence);
    for (uint32_t i = 0; i < REMOTES; i++) {
        WORLD_CHECK(!remote_has(&remotes.all[i], fence) || !remote_is_kept(fence),
                    "P06: task %lu is given to another while its worker may come back",
                    (unsigned long)fence);
        remote_forgets(&remotes.all[i], fence);
    }
    if (remotes.given_count < REMOTE_GIVEN_MAX)
        remotes.given[remotes.given_count++] = fence;
    WORLD_CHECK(remote->count < REMOTE_TASKS, "a worker is given more than it asked for");
    struct remote_task *task = &remote->tasks[remote->count++];
    *task = (struct remote_task){.fence = fence, .done_ns = loop_soon()};
    if (world_chance(world.mood.bad_percent / 4))
        task->done_ns += (int64_t)world_below(60000) * 1000000;
    uint32_t expects = mw_node_get(tape, node, "expects");
    agent_copy(task->id, sizeof task->id, mw_node_get_text(tape, node, "taskId"));
    agent_copy(task->type, sizeof task->type, mw_node_get_text(tape, expects, "type"));
    look_at_asked(task->id);
    remotes.tasks++;
}

static void remote_hears_answers(struct remote *remote, const struct mw_tape *tape)
{
    uint32_t list = mw_node_get(tape, 0, "answers");
    for (uint32_t at = mw_node_first(tape, list); at != MW_NODE_NONE;
         at = mw_node_after(tape, list, at)) {
        mw_seq fence = (mw_seq)mw_node_int(tape, mw_node_get(tape, at, "fence"), 0);
        mw_seq last = (mw_seq)mw_node_int(tape, mw_node_get(tape, at, "last"), 0);
        struct mw_str status = mw_node_get_text(tape, at, "status");
        bool refused = mw_str_is(status, "refused");
        WORLD_CHECK(refused || last <= world.sure_seq,
                    "P01: a worker's answer is acknowledged and record %lu is not durable",
                    (unsigned long)last);
        WORLD_CHECK(refused || !world.latched,
                    "P02: a worker's answer is acknowledged after a failed sync");
        remotes.recorded += mw_str_is(status, "recorded");
        remotes.late += mw_str_is(status, "late");
        if (!refused || !mw_str_is(mw_node_get_text(tape, at, "code"), "full"))
            remote_forgets(remote, fence);
    }
}

static void remote_hears(struct mw_api_call *call, unsigned status, const struct mw_tape *tape)
{
    struct remote *remote = call->remote;
    uint32_t list = mw_node_get(tape, 0, "gone"), tasks = mw_node_get(tape, 0, "tasks");
    world_note("a worker hears", (uint64_t)(remote - remotes.all), status);
    call->state = CALL_NONE;
    remote->at_ns = loop_soon();
    WORLD_CHECK(status == 200 || status == 404 || status == 503 || status == 507 || status == 429,
                "a worker is told %u", status);
    if (status != 200) {
        remote->at_ns += 500000000;
        return;
    }
    remote_hears_answers(remote, tape);
    for (uint32_t at = mw_node_first(tape, list); at != MW_NODE_NONE;
         at = mw_node_after(tape, list, at), remotes.gone++)
        remote_forgets(remote, (mw_seq)mw_node_int(tape, at, 0));
    for (uint32_t at = mw_node_first(tape, tasks); at != MW_NODE_NONE;
         at = mw_node_after(tape, tasks, at))
        remote_takes(remote, tape, at);
    if (!world.draining && world_chance(world.mood.bad_percent / 4))
        remote->at_ns += (int64_t)world_below(60000) * 1000000; /* silent for longer than a lease */
}

/* A task that a worker could take does not wait while one waits for it. */
static void look_at_offers(const struct mw_host *host)
{
    const struct mw_worker_agent *agent = host->workers != NULL ? host->workers->agents : NULL;
    for (; agent != NULL; agent = agent->next)
        WORLD_CHECK(agent->offer_count == 0 || agent->waiting == NULL,
                    "P06: %u tasks wait beside workers who wait for one", agent->offer_count);
}

WORLD_WRAP(bool, mw_api_call_is_gone, const struct mw_api_call *call)
{
    return call->state != CALL_FLIES;
}

#endif
