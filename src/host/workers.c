/* workers.c - which task is offered to whom, who holds what, and for how long. */
#include "host/workers_state.h"

#include <stdlib.h>
#include <string.h>

/* A request of 4 MiB has a tape of this size; reserved, backed when touched, given back after a large one. */
#define ARENA_BYTES ((size_t)256 << 20)
#define LEASED_BYTES_MAX                                                                           \
    ((size_t)4 << 20) /* of one answer, and what the last task is longer; as for a request */
#define TAKES_NO_WORK "the agent takes no work over the socket any more"

static void on_timer(uv_timer_t *timer);

struct mw_workers *mw_workers_of(struct mw_host *host)
{
    if (host->workers != NULL)
        return host->workers;
    struct mw_workers *workers = mw_heap_alloc(sizeof(*workers));
    mw_heap_arena(&workers->arena, ARENA_BYTES);
    mw_heap_arena(&workers->text_arena, ARENA_BYTES);
    mw_leases_open(&workers->leases, host->workspace_fd);
    if (!host->replaying) /* else when all that was asked before has been taken up */
        mw_leases_taken_over(&workers->leases);
    (void)uv_timer_init(&host->loop, &workers->timer);
    workers->timer.data = host;
    host->workers = workers;
    return workers;
}

struct mw_worker_agent *mw_worker_agent_of(struct mw_host *host, struct mw_str id)
{
    const struct mw_agent *known = mw_work_agent(&host->core.work, id);
    if (known == NULL || known->removed || known->def.kind != MW_AGENT_WORKER)
        return NULL;
    struct mw_workers *workers = mw_workers_of(host);
    struct mw_worker_agent *agent = workers->agents;
    while (agent != NULL && !mw_str_is(id, agent->id))
        agent = agent->next;
    if (agent == NULL) {
        agent = mw_heap_alloc(sizeof(*agent));
        agent->id = mw_heap_copy(id);
        agent->index = (uint32_t)(known - host->core.work.agents);
        agent->offers_end = &agent->offers;
        agent->waiting_end = &agent->waiting;
        agent->heard_ms = uv_now(&host->loop);
        agent->next = workers->agents;
        workers->agents = agent;
    }
    agent->lease_ms = known->def.lease_ms;
    agent->dismissed = false;
    return agent;
}

/* ---- offers ---- */

static void put_in_queue(struct mw_offer *offer)
{
    offer->next = NULL;
    offer->queued = true;
    *offer->agent->offers_end = offer;
    offer->agent->offers_end = &offer->next;
    offer->agent->offer_count++;
}

/* The oldest that still can be taken; those that are over, or came back to their holders, are dropped on the way. What was decided to be over and
 * is not durable yet is no work for anybody any more. */
static struct mw_offer *take_oldest(const struct mw_host *host, struct mw_worker_agent *agent)
{
    for (;;) {
        struct mw_offer *offer = agent->offers;
        if (offer == NULL)
            return NULL;
        agent->offers = offer->next;
        if (agent->offers == NULL)
            agent->offers_end = &agent->offers;
        offer->queued = false;
        if (offer->ask == NULL)
            free(offer);
        else if (offer->holder == NULL) {
            agent->offer_count--;
            if (mw_table_get(&host->core.world.asks, offer->ask->seq) != NULL)
                return offer;
        }
    }
}

static void give_lease(struct mw_host *host, struct mw_offer *offer, struct mw_worker *worker)
{
    MW_ASSERT(offer->holder == NULL);
    offer->holder = worker;
    worker->leases++;
    /* Its time begins now, however long ago the request was sent that has waited for this task. */
    worker->heard_ms = offer->agent->heard_ms = uv_now(&host->loop);
    if (offer->slot == 0)
        offer->slot = mw_leases_note(&host->workers->leases, offer->ask->seq);
}

/* What is observed of an attempt that no worker has answered. */
struct lost {
    const char *error_class, *message;
    const char *worker; /* who had it; NULL: nobody, or nobody knows who */
    bool retryable;
    bool not_begun; /* no worker has ever had it */
};

static void fail(struct mw_host *host, const struct mw_host_ask *ask, enum mw_request_kind kind,
                 const struct lost *lost)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    if (open == NULL)
        return; /* closed: its end is on its way */
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "class", mw_str_of(lost->error_class));
    mw_json_kstr(&json, "message", mw_str_of(lost->message));
    mw_json_kbool(&json, "retryable", lost->retryable);
    if (lost->not_begun)
        mw_json_kbool(&json, "notBegun", true);
    if (lost->worker != NULL) {
        mw_json_kobject(&json, "evidence");
        mw_json_kstr(&json, "worker", mw_str_of(lost->worker));
        mw_json_object_end(&json);
    }
    mw_json_object_end(&json);
    mw_host_tell(host, kind, open->item, ask->seq, mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

static const struct mw_task *task_of(const struct mw_host *host, const struct mw_host_ask *ask)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    const struct mw_item *item = open != NULL ? mw_world_item(&host->core.world, open->item) : NULL;
    return item != NULL && item->kind == MW_ITEM_TASK ? (const struct mw_task *)item : NULL;
}

void mw_worker_begin(struct mw_host *host, struct mw_host_ask *ask)
{
    const struct mw_task *task = task_of(host, ask);
    MW_ASSERT(task != NULL && task->agent > 0);
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(&host->core.world, mw_world_trace_of(&host->core.world, &task->item));
    struct mw_worker_agent *agent =
        mw_worker_agent_of(host, host->core.work.agents[task->agent - 1].id);
    bool was_held = mw_leases_was_held(&mw_workers_of(host)->leases, ask->seq);
    struct lost lost = {.error_class = "unsupported", .not_begun = !was_held};
    if (agent == NULL) { /* it was removed, or is registered as another kind now */
        lost.message = TAKES_NO_WORK;
        fail(host, ask, MW_REQ_RECORD_FAILURE, &lost);
        return;
    }
    if (catalogue != NULL && catalogue->tasks[task->def]->writes_files) {
        lost.message = "this task writes files, and a worker has no folder here";
        fail(host, ask, MW_REQ_RECORD_FAILURE, &lost);
        return;
    }
    struct mw_offer *offer = mw_heap_alloc(sizeof(*offer));
    offer->ask = ask;
    offer->agent = agent;
    ask->offer = offer;
    if (!was_held) {
        put_in_queue(offer);
        if (uv_is_active((const uv_handle_t *)&host->workers->timer) == 0)
            mw_workers_arm(host);
        return;
    }
    offer->waits_for_holder = true;
    offer->slot = mw_leases_note(&host->workers->leases, ask->seq);
    agent->returning_count++;
    agent->returning_until_ms = uv_now(&host->loop) + agent->lease_ms;
    mw_workers_arm(host);
}

static void stop_returning(struct mw_offer *offer)
{
    if (!offer->waits_for_holder)
        return;
    offer->waits_for_holder = false;
    offer->agent->returning_count--;
}

bool mw_worker_may_have_begun(struct mw_host *host, const struct mw_host_ask *ask)
{
    const struct mw_leases *leases = &mw_workers_of(host)->leases;
    return !leases->before_was_whole && !mw_leases_was_held(leases, ask->seq);
}

void mw_workers_taken_over(struct mw_host *host)
{
    if (host->workers != NULL)
        mw_leases_taken_over(&host->workers->leases);
}

void mw_worker_closed(struct mw_host *host, struct mw_host_ask *ask)
{
    struct mw_offer *offer = ask->offer;
    if (offer == NULL)
        return;
    ask->offer = NULL;
    stop_returning(offer);
    mw_leases_forget(&host->workers->leases, offer->slot);
    if (offer->holder != NULL)
        offer->holder->leases--;
    else if (offer->queued)
        offer->agent->offer_count--;
    offer->ask = NULL;
    if (!offer->queued)
        free(offer);
}

/* ---- workers ---- */

static void tell_health(struct mw_host *host, const struct mw_worker_agent *agent, bool healthy)
{
    const struct mw_agent *known = mw_work_agent(&host->core.work, mw_str_of(agent->id));
    if (known == NULL || known->removed || known->healthy == healthy || host->draining)
        return;
    mw_autofree char *body = mw_heap_format("{\"agentId\":\"%s\",\"health\":\"%s\"}", agent->id,
                                            healthy ? "Healthy" : "Unhealthy");
    mw_host_tell(host, MW_REQ_SET_HEALTH, 0, 0, mw_str_of(body));
}

struct mw_worker *mw_worker_heard(struct mw_host *host, struct mw_worker_agent *agent,
                                  struct mw_str name)
{
    struct mw_worker *worker = agent->workers;
    while (worker != NULL && !mw_str_is(name, worker->name))
        worker = worker->next;
    if (worker == NULL && agent->worker_count >= MW_WORKERS_MAX)
        return NULL;
    if (worker == NULL) {
        worker = mw_heap_alloc(sizeof(*worker));
        memcpy(worker->name, name.ptr, name.len);
        worker->next = agent->workers;
        agent->workers = worker;
        agent->worker_count++;
    }
    worker->heard_ms = agent->heard_ms = uv_now(&host->loop);
    host->last_busy_ms = worker->heard_ms;
    tell_health(host, agent, true);
    return worker;
}

bool mw_worker_holds(struct mw_host *host, struct mw_worker_agent *agent, struct mw_worker *worker,
                     mw_seq fence)
{
    struct mw_host_ask *ask = mw_host_ask_find(host, fence);
    struct mw_offer *offer = ask != NULL ? ask->offer : NULL;
    if (offer == NULL || offer->agent != agent || offer->expired ||
        (offer->holder != NULL && offer->holder != worker))
        return false;
    if (offer->holder == worker)
        return true;
    if (offer->queued)
        agent->offer_count--; /* it leaves the queue when its turn comes */
    stop_returning(offer);
    give_lease(host, offer, worker);
    return true;
}

static void expire(struct mw_host *host, struct mw_offer *offer, const char *why)
{
    if (offer->expired)
        return;
    offer->expired = true;
    fail(host, offer->ask, MW_REQ_EXPIRE_LEASE,
         &(struct lost){.error_class = "timeout",
                        .message = why,
                        .worker = offer->holder != NULL ? offer->holder->name : NULL,
                        .retryable = true});
}

static bool is_in(const mw_seq *fences, uint32_t count, mw_seq fence)
{
    for (uint32_t i = 0; i < count; i++)
        if (fences[i] == fence)
            return true;
    return false;
}

/* Every lease of a worker, by the asks that are open. What expiring decides comes in later, with the next frame. */
static void expire_all(struct mw_host *host, struct mw_worker *worker, const mw_seq *kept,
                       uint32_t kept_count, const char *why)
{
    struct mw_host_ask *ask = host->asks.oldest;
    while (worker->leases > 0 && ask != NULL) {
        struct mw_host_ask *newer = ask->newer;
        if (ask->offer != NULL && ask->offer->holder == worker &&
            !is_in(kept, kept_count, ask->seq))
            expire(host, ask->offer, why);
        ask = newer;
    }
}

/* Nobody can ask for what was offered to it, nor answer what is held of it: core hears so at once, not when their time is up. */
static void dismiss(struct mw_host *host, struct mw_worker_agent *agent)
{
    const struct mw_agent *known = &host->core.work.agents[agent->index];
    if (agent->dismissed || (!known->removed && known->def.kind == MW_AGENT_WORKER))
        return;
    agent->dismissed = true;
    struct mw_host_ask *ask = host->asks.oldest;
    while (ask != NULL) {
        struct mw_host_ask *newer = ask->newer;
        struct mw_offer *offer = ask->offer;
        if (offer != NULL && offer->agent == agent && !offer->expired) {
            offer->expired = true;
            fail(host, ask, MW_REQ_RECORD_FAILURE,
                 &(struct lost){.error_class = "unsupported",
                                .message = TAKES_NO_WORK,
                                .worker = offer->holder != NULL ? offer->holder->name : NULL,
                                .not_begun = offer->holder == NULL && !offer->waits_for_holder});
        }
        ask = newer;
    }
}

void mw_worker_holds_only(struct mw_host *host, struct mw_worker *worker, const mw_seq *fences,
                          uint32_t count)
{
    if (worker->leases > 0)
        expire_all(host, worker, fences, count,
                   "the worker does not know of this task any more: it lost it");
}

/* ---- long polls ---- */

uint32_t mw_worker_lease(struct mw_worker_call *call, uint32_t count, struct mw_json *json)
{
    struct mw_host *host = call->host;
    uint32_t leased = 0;
    while (leased < count && json->buf->len < LEASED_BYTES_MAX) {
        struct mw_offer *offer = take_oldest(host, call->agent);
        if (offer == NULL)
            break;
        struct mw_err err;
        if (mw_worker_task_text(host, offer->ask, json, &err) != MW_OK) {
            fail(host, offer->ask, MW_REQ_RECORD_FAILURE,
                 &(struct lost){.error_class = "internal", .message = err.text, .not_begun = true});
            continue;
        }
        give_lease(host, offer, call->worker);
        leased++;
    }
    return leased;
}

static struct mw_worker_call *take_waiting(struct mw_worker_agent *agent)
{
    struct mw_worker_call *call = agent->waiting;
    agent->waiting = call->next;
    if (agent->waiting == NULL)
        agent->waiting_end = &agent->waiting;
    agent->waiting_count--;
    return call;
}

/* Its part of what there is, so that workers who wait beside it have something too. */
static uint32_t share_of(const struct mw_worker_agent *agent, const struct mw_worker_call *call,
                         uint32_t takers)
{
    uint32_t share = (agent->offer_count + takers - 1) / takers;
    return share < call->tasks_max ? share : call->tasks_max;
}

void mw_workers_serve(struct mw_host *host)
{
    struct mw_workers *workers = host->workers;
    if (workers == NULL || workers->serving)
        return;
    workers->serving = true;
    for (struct mw_worker_agent *agent = workers->agents; agent != NULL; agent = agent->next) {
        dismiss(host, agent);
        while (agent->offer_count > 0 && agent->waiting != NULL) {
            uint32_t takers = agent->waiting_count;
            struct mw_worker_call *call = take_waiting(agent);
            /* To one who has left nothing is given: it would be lost for the time of a lease. */
            bool left = mw_api_call_is_gone(call->call);
            mw_worker_call_answer(call, left ? 0 : share_of(agent, call, takers));
        }
    }
    workers->serving = false;
}

void mw_worker_call_done(struct mw_worker_call *call)
{
    struct mw_worker_agent *agent = call->agent;
    struct mw_host *host = call->host;
    bool waits = call->tasks_max > 0 && call->answer_count == 0 && agent->offer_count == 0 &&
                 call->gone.len == 0 && call->until_ms > uv_now(&host->loop) && !host->draining;
    if (!waits) {
        bool left = mw_api_call_is_gone(call->call);
        mw_worker_call_answer(call, left ? 0 : share_of(agent, call, agent->waiting_count + 1));
        mw_workers_arm(host);
        return;
    }
    call->next = NULL;
    *agent->waiting_end = call;
    agent->waiting_end = &call->next;
    agent->waiting_count++;
    mw_workers_arm(host);
}

/* ---- time ---- */

static bool is_silent(const struct mw_worker_agent *agent, uint64_t since_ms, uint64_t now_ms)
{
    return now_ms - since_ms >= agent->lease_ms;
}

static void end_waits(struct mw_worker_agent *agent, uint64_t now_ms)
{
    struct mw_worker_call *all = agent->waiting;
    agent->waiting = NULL;
    agent->waiting_end = &agent->waiting;
    agent->waiting_count = 0;
    while (all != NULL) {
        struct mw_worker_call *call = all;
        all = call->next;
        if (call->until_ms <= now_ms || mw_api_call_is_gone(call->call)) {
            mw_worker_call_answer(call, 0);
            continue;
        }
        call->next = NULL;
        *agent->waiting_end = call;
        agent->waiting_end = &call->next;
        agent->waiting_count++;
    }
}

/* The workers of the host before this one had the time of a lease to come back. */
static void end_returning(struct mw_host *host, const struct mw_worker_agent *agent)
{
    for (struct mw_host_ask *ask = host->asks.oldest, *newer; ask != NULL; ask = newer) {
        struct mw_offer *offer = ask->offer;
        newer = ask->newer;
        if (offer == NULL || offer->agent != agent || !offer->waits_for_holder)
            continue;
        stop_returning(offer);
        const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
        if (open != NULL && mw_work_asks_once(&host->core.world, open->item))
            expire(host, offer, "the worker that had it did not come back: its lease is over");
        else
            put_in_queue(offer);
    }
}

static void forget_workers(struct mw_worker_agent *agent, uint64_t now_ms)
{
    for (struct mw_worker **at = &agent->workers; *at != NULL;) {
        struct mw_worker *worker = *at;
        if (worker->leases > 0 || worker->calls > 0 ||
            !is_silent(agent, worker->heard_ms, now_ms)) {
            at = &worker->next;
            continue;
        }
        *at = worker->next;
        agent->worker_count--;
        free(worker);
    }
}

static void look_at(struct mw_host *host, struct mw_worker_agent *agent, uint64_t now_ms)
{
    mw_autofree char *why = mw_heap_format("the worker was not heard for %lu ms: its lease is over",
                                           (unsigned long)agent->lease_ms);
    end_waits(agent, now_ms);
    for (struct mw_worker *worker = agent->workers; worker != NULL; worker = worker->next)
        if (worker->leases > 0 && is_silent(agent, worker->heard_ms, now_ms))
            expire_all(host, worker, NULL, 0, why);
    if (agent->returning_count > 0 && agent->returning_until_ms <= now_ms)
        end_returning(host, agent);
    if (agent->waiting == NULL && is_silent(agent, agent->heard_ms, now_ms))
        tell_health(host, agent, false);
    forget_workers(agent, now_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct mw_host *host = timer->data;
    uv_update_time(&host->loop);
    for (struct mw_worker_agent *agent = host->workers->agents; agent != NULL; agent = agent->next)
        look_at(host, agent, uv_now(&host->loop));
    mw_workers_serve(host);
    mw_workers_arm(host);
}

static void earlier(uint64_t *next_ms, uint64_t at_ms, uint64_t now_ms)
{
    at_ms = at_ms > now_ms ? at_ms : now_ms + 1;
    if (*next_ms == 0 || at_ms < *next_ms)
        *next_ms = at_ms;
}

static void next_of(const struct mw_host *host, const struct mw_worker_agent *agent,
                    uint64_t *next_ms)
{
    uint64_t now_ms = uv_now(&host->loop);
    const struct mw_agent *known = mw_work_agent(&host->core.work, mw_str_of(agent->id));
    for (const struct mw_worker_call *call = agent->waiting; call != NULL; call = call->next)
        earlier(next_ms, call->until_ms, now_ms);
    for (const struct mw_worker *worker = agent->workers; worker != NULL; worker = worker->next)
        if (!is_silent(agent, worker->heard_ms, now_ms))
            earlier(next_ms, worker->heard_ms + agent->lease_ms, now_ms);
    if (agent->returning_count > 0)
        earlier(next_ms, agent->returning_until_ms, now_ms);
    if (known != NULL && known->healthy && agent->waiting == NULL &&
        !is_silent(agent, agent->heard_ms, now_ms))
        earlier(next_ms, agent->heard_ms + agent->lease_ms, now_ms);
}

/* Rings at the next moment at which silence means something. */
void mw_workers_arm(struct mw_host *host)
{
    uint64_t next_ms = 0;
    for (const struct mw_worker_agent *agent = host->workers->agents; agent != NULL;
         agent = agent->next)
        next_of(host, agent, &next_ms);
    if (next_ms == 0)
        (void)uv_timer_stop(&host->workers->timer);
    else
        (void)uv_timer_start(&host->workers->timer, on_timer, next_ms - uv_now(&host->loop), 0);
}

bool mw_workers_awake(const struct mw_host *host)
{
    if (host->workers == NULL)
        return false;
    for (const struct mw_worker_agent *agent = host->workers->agents; agent != NULL;
         agent = agent->next) {
        if (agent->waiting != NULL)
            return true;
        for (const struct mw_worker *worker = agent->workers; worker != NULL; worker = worker->next)
            if (!is_silent(agent, worker->heard_ms, uv_now(&host->loop)))
                return true;
    }
    return false;
}
