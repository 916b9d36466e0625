/*
 * workers.h - agents in other processes that take their work over the socket (docs/agents.md, kind `worker`).
 *
 * Owns:     who of them has been heard when, which task is offered to or leased by whom, their long polls; the note of leases that outlives
 *           this process (leases.h).
 * Does not: decide what an answer or a lost lease comes to: RecordResult, RecordFailure and ExpireLease go to core like those of every other
 *           agent, fenced by the asking record's number.
 * Limits:   below. Everything a worker sends is refused whole, with its place, before any of it is done.
 */
#ifndef MW_HOST_WORKERS_H
#define MW_HOST_WORKERS_H

#include "api/api.h"
#include "host/internal.h"

#define MW_WORKERS_MAX 1024u      /* names of workers of one agent */
#define MW_WORKER_NAME_MAX 64u    /* bytes */
#define MW_WORKER_BATCH_MAX 1024u /* tasks, answers or fences in one request */
#define MW_WORKER_WAIT_MAX 60000u /* ms of one long poll */

/* The ask is durable: its task is offered to the agent's workers. */
void mw_worker_begin(struct mw_host *host, struct mw_host_ask *ask);
/* At start: a worker may have had what this asks for, and it is not known that one has. */
bool mw_worker_may_have_begun(struct mw_host *host, const struct mw_host_ask *ask);
/* At start: everything that was asked before has been begun again, or is not to be. */
void mw_workers_taken_over(struct mw_host *host);
/* The ask is over, whatever ended it: so is its lease. */
void mw_worker_closed(struct mw_host *host, struct mw_host_ask *ask);
/* Hands what is offered to the long polls that wait. Called when everything of a frame has been started. */
void mw_workers_serve(struct mw_host *host);
/* Somebody was heard within the time of a lease. */
bool mw_workers_awake(const struct mw_host *host);
/* mw_api_ops.worker */
void mw_workers_asked(void *host, struct mw_str agent, struct mw_str verb, struct mw_str body,
                      struct mw_api_call *call);

#endif
