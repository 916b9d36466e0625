/*
 * workers_state.h - between workers.c (offers, leases, long polls) and workers_ask.c (what a worker says, and what it is told) only.
 */
#ifndef MW_HOST_WORKERS_STATE_H
#define MW_HOST_WORKERS_STATE_H

#include "host/leases.h"
#include "host/workers.h"

/* A task that is offered to, or leased by, a worker. */
struct mw_offer {
    struct mw_offer *next;   /* in its agent's queue */
    struct mw_host_ask *ask; /* NULL: over; the queue frees it */
    struct mw_worker_agent *agent;
    struct mw_worker *holder; /* who has the lease */
    uint32_t slot;            /* leases.h */
    bool queued;              /* the queue holds it */
    bool waits_for_holder;    /* a host before this one leased it: its worker may come back */
    bool expired;             /* core has been told */
};

/* One request of a worker that is not answered yet: its answers are being recorded, or it waits for a task. */
struct mw_worker_call {
    struct mw_worker_call *next; /* while it waits for a task */
    struct mw_host *host;
    struct mw_api_call *call;
    struct mw_worker_agent *agent;
    struct mw_worker *worker;
    uint32_t tasks_max; /* 0: it wants none */
    uint64_t until_ms;  /* it waits no longer than that */
    uint32_t recording; /* answers that are not durable yet, and one for the request itself */
    struct mw_worker_answer {
        struct mw_worker_call *call;
        mw_seq fence;
        bool late; /* its lease was over when it came */
        struct mw_host_answer got;
    } * answers; /* owned */
    uint32_t answer_count;
    struct mw_buf gone; /* JSON list of fences that it holds no more */
};

struct mw_worker {
    struct mw_worker *next;
    char name[MW_WORKER_NAME_MAX + 1];
    uint64_t heard_ms;
    uint32_t leases;
    uint32_t calls; /* that are not answered yet */
};

struct mw_worker_agent {
    struct mw_worker_agent *next;
    char *id;
    uint32_t index; /* in the registry, where it stays when it is removed */
    bool
        dismissed; /* no agent of that kind any more, and who held or awaits its tasks has been told */
    uint32_t lease_ms;
    struct mw_offer *offers, **offers_end; /* oldest first */
    uint32_t offer_count;                  /* that a worker could take */
    struct mw_worker *workers;
    uint32_t worker_count;
    struct mw_worker_call *waiting, **waiting_end;
    uint32_t waiting_count;
    uint64_t heard_ms;        /* any of its workers; or when it was first asked for one */
    uint32_t returning_count; /* offers that wait for their holder */
    uint64_t returning_until_ms;
};

struct mw_workers {
    struct mw_worker_agent *agents;
    struct mw_leases leases;
    struct mw_arena arena;      /* of one request */
    struct mw_arena text_arena; /* of one task's text */
    uv_timer_t timer;
    bool serving;
};

/* workers.c */
struct mw_workers *mw_workers_of(struct mw_host *host);
/* NULL: no agent of that kind and id. Its lease's length is that of its definition now. */
struct mw_worker_agent *mw_worker_agent_of(struct mw_host *host, struct mw_str id);
/* NULL: too many. Heard now. */
struct mw_worker *mw_worker_heard(struct mw_host *host, struct mw_worker_agent *agent,
                                  struct mw_str name);
/* It says that it holds this. False: it does not. */
bool mw_worker_holds(struct mw_host *host, struct mw_worker_agent *agent, struct mw_worker *worker,
                     mw_seq fence);
/* Leases of this worker that are not in the list are over: it does not know of them. */
void mw_worker_holds_only(struct mw_host *host, struct mw_worker *worker, const mw_seq *fences,
                          uint32_t count);
/* Everything that it sent is done: it is told, with tasks when there are some, or waits for one. */
void mw_worker_call_done(struct mw_worker_call *call);
/* Up to `count` of the oldest offers, leased, at least one and fewer when they are large; texts appended to an open JSON list. */
uint32_t mw_worker_lease(struct mw_worker_call *call, uint32_t count, struct mw_json *json);
void mw_workers_arm(struct mw_host *host);
/* workers_ask.c: answers the request and frees it. */
void mw_worker_call_answer(struct mw_worker_call *call, uint32_t task_count);
/* The task as a worker gets it; nothing when it cannot be given. */
enum mw_rc mw_worker_task_text(struct mw_host *host, const struct mw_host_ask *ask,
                               struct mw_json *json, struct mw_err *err);

#endif
