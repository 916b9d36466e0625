#include "host/workers.h"

#include <stdlib.h>
#include <string.h>

/*
 * Reconciliation: core's table of open asks is what should run; the list here is what does. Restart, cancel, pause and lost leases are this
 * one loop. What is only waited for, a person or a time, is not in the list; when it is due is known to deadlines.c.
 */

#define SLOTS_FIRST 64u
#define PAYLOAD_KEPT_BYTES 1024u /* a larger one is a body of its own, as with every agent */

/* Numbers are dense: the low bits spread by themselves. */
static struct mw_host_ask **slot_of(const struct mw_host_asks *asks, mw_seq seq)
{
    return &asks->slots[seq & (asks->slot_count - 1)];
}

struct mw_host_ask *mw_host_ask_find(struct mw_host *host, mw_seq seq)
{
    if (host->asks.count == 0)
        return NULL;
    struct mw_host_ask *ask = *slot_of(&host->asks, seq);
    while (ask != NULL && ask->seq != seq)
        ask = ask->beside;
    return ask;
}

static void grow_slots(struct mw_host_asks *asks)
{
    free(asks->slots);
    asks->slot_count = asks->slot_count > 0 ? asks->slot_count * 2 : SLOTS_FIRST;
    asks->slots = mw_heap_alloc(asks->slot_count * sizeof(struct mw_host_ask *));
    for (struct mw_host_ask *ask = asks->oldest; ask != NULL; ask = ask->newer) {
        struct mw_host_ask **slot = slot_of(asks, ask->seq);
        ask->beside = *slot;
        *slot = ask;
    }
}

/* A person or a time: nobody here works for it. */
static bool only_waits(const struct mw_ask *open)
{
    return open->opens == MW_OPENS_TIMER ||
           (open->opens == MW_OPENS_AGENT && open->agent_kind == MW_AGENT_HUMAN);
}

void mw_host_ask_opened(struct mw_host *host, mw_seq seq, struct mw_str line)
{
    struct mw_host_asks *asks = &host->asks;
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, seq);
    if (open == NULL || only_waits(open))
        return; /* NULL: it was closed again in the same step */
    struct mw_host_ask *ask = mw_heap_alloc(sizeof(*ask));
    MW_ASSERT(asks->newest == NULL || asks->newest->seq < seq);
    ask->seq = seq;
    ask->line = open->opens != MW_OPENS_CONTINUE ? mw_heap_copy(line) : NULL;
    if (asks->count >= asks->slot_count)
        grow_slots(asks);
    struct mw_host_ask **slot = slot_of(asks, seq);
    ask->beside = *slot;
    *slot = ask;
    ask->older = asks->newest;
    if (asks->newest != NULL)
        asks->newest->newer = ask;
    else
        asks->oldest = ask;
    asks->newest = ask;
    asks->count++;
}

void mw_host_ask_forget(struct mw_host *host, struct mw_host_ask *gone)
{
    struct mw_host_asks *asks = &host->asks;
    struct mw_host_ask **at = slot_of(asks, gone->seq);
    while (*at != gone)
        at = &(*at)->beside;
    *at = gone->beside;
    if (gone->older != NULL)
        gone->older->newer = gone->newer;
    else
        asks->oldest = gone->newer;
    if (gone->newer != NULL)
        gone->newer->older = gone->older;
    else
        asks->newest = gone->older;
    asks->count--;
    mw_worker_closed(host, gone);
    free(gone->line);
    free(gone);
}

void mw_host_ask_closed(struct mw_host *host, mw_seq seq)
{
    struct mw_host_ask *ask = mw_host_ask_find(host, seq);
    mw_deadlines_closed(host);
    if (ask == NULL)
        return;
    ask->closed = true;
    if (ask->attempt != NULL)
        mw_attempt_cancel(ask->attempt); /* it forgets the ask when it has ended */
    else if (!ask->held)
        mw_host_ask_forget(host, ask);
}

const struct mw_fact **mw_host_facts(const struct mw_trace *trace, mw_seq scope, struct mw_str type,
                                     uint32_t *ret_count)
{
    uint32_t count = mw_work_facts(trace, scope, type, NULL, 0);
    const struct mw_fact **facts = mw_heap_alloc((count + 1) * sizeof(*facts));
    *ret_count = mw_work_facts(trace, scope, type, facts, count);
    return facts;
}

/* Secrets are masked before anything is hashed. */
enum mw_rc mw_host_keep_payload(struct mw_host *host, mw_seq item, struct mw_str type,
                                struct mw_str payload, struct mw_json *json, struct mw_err *err)
{
    char sha256[MW_SHA256_HEX] = "";
    if (payload.len <= PAYLOAD_KEPT_BYTES && !mw_work_wants_document(&host->core.world, item, type))
        return MW_OK;
    struct mw_buf masked = mw_heap_buf();
    (void)mw_mask_text(host->mask, payload, &masked);
    enum mw_rc rc = mw_blob_put(&host->blobs, mw_buf_str(&masked), sha256, err);
    mw_heap_buf_free(&masked);
    mw_json_kstr(json, "payloadSha256", mw_str_of(sha256));
    return rc;
}

void mw_host_ask_start(struct mw_host *host, mw_seq seq)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, seq);
    struct mw_host_ask *ask = mw_host_ask_find(host, seq);
    if (open == NULL || (ask != NULL && ask->started))
        return; /* closed again before it was durable: its close is on its way */
    if (open->opens == MW_OPENS_AGENT && open->agent_kind == MW_AGENT_ECHO) {
        ask->started = true;
        if (!mw_echo_begin(host, ask) && open->due_us != 0)
            mw_deadline_add(host, seq, open->due_us); /* else it has answered before */
        return;
    }
    if (open->due_us != 0)
        mw_deadline_add(host, seq, open->due_us);
    if (ask == NULL)
        return;
    ask->started = true;
    if (open->opens == MW_OPENS_CONTINUE)
        mw_host_tell(host, MW_REQ_CONTINUE, 0, seq, MW_STR_NONE);
    else if (open->opens == MW_OPENS_AGENT && open->agent_kind == MW_AGENT_WORKER)
        mw_worker_begin(host, ask);
    else if (mw_host_is_elsewhere(host))
        return; /* it is the next host's */
    else if (open->opens == MW_OPENS_STAGE)
        mw_stage_begin(host, ask);
    else
        mw_attempt_begin(host, ask);
}

/* P06: what may have begun under the host before and must not begin twice is core's to settle. A person has it still, nobody here has; a worker
 * is waited for when it is known to have it; the echo does nothing that could be done twice. */
static bool tell_interrupted(struct mw_host *host, const struct mw_host_ask *ask)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    if (open == NULL || open->opens != MW_OPENS_AGENT || open->agent_kind == MW_AGENT_ECHO ||
        !mw_work_asks_once(&host->core.world, open->item) ||
        (open->agent_kind == MW_AGENT_WORKER && !mw_worker_may_have_begun(host, ask)))
        return false;
    mw_host_tell(host, MW_REQ_NOTE_INTERRUPTED, open->item, open->seq, MW_STR_NONE);
    return true;
}

/* What the journal asks for, oldest first. What is asked meanwhile starts when it is durable, as always. */
void mw_host_asks_start_all(struct mw_host *host)
{
    const struct mw_table *open = &host->core.world.asks;
    mw_seq durable = host->durable;
    for (uint32_t i = 0; i < open->cap; i++) {
        const struct mw_ask *ask = mw_table_at(open, i);
        if (ask != NULL && only_waits(ask) && ask->due_us != 0 && ask->seq <= durable)
            mw_deadline_add(host, ask->seq, ask->due_us);
    }
    struct mw_host_ask *ask = host->asks.oldest;
    while (ask != NULL && ask->seq <= durable) {
        struct mw_host_ask *newer = ask->newer;
        if (!tell_interrupted(host, ask))
            mw_host_ask_start(host, ask->seq);
        ask = newer;
    }
    mw_workers_taken_over(host);
    mw_workers_serve(host);
}

/* A deadline that is farther away than this is left to the next host: it catches up (P07). */
#define NEAR_US (10ll * 60 * 1000000)

/* Asks that keep the host here: all but those of people, or deadlines, that have time. */
uint32_t mw_host_asks_busy(const struct mw_host *host)
{
    const struct mw_table *open = &host->core.world.asks;
    uint32_t busy = host->asks.count;
    int64_t now_us = mw_now_unix_us();
    for (uint32_t i = 0; i < open->cap; i++) {
        const struct mw_ask *ask = mw_table_at(open, i);
        if (ask != NULL && only_waits(ask) && ask->due_us != 0 && ask->due_us - now_us < NEAR_US)
            busy++;
    }
    return busy;
}
