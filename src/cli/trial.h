/*
 * trial.h - private to cli: a temporary workspace with a real host of this program, and a worker for it: what `bench` and `verify --promises`
 * try things on.
 *
 * Owns:     the workspace's folder, which goes with it; the host in it. Does not: make anything faster or safer than it is for a user.
 * Takes:    definitions from a folder of its own (factory/bench, factory/verify), which MILLWRIGHT_FACTORY names from then on.
 * Errors:   those of link.h; MW_E_IO the folder cannot be made.
 */
#ifndef MW_CLI_TRIAL_H
#define MW_CLI_TRIAL_H

#include "cli/link.h"

#include <sys/types.h>

struct mw_trial {
    struct mw_cli cli; /* the host's own: its workspace, an arena */
    char *folder;      /* owned; removed at the end */
};
/* folder/NAME-XXXXXX; all absolute and borrowed until the end. */
MW_MUST enum mw_rc mw_trial_start(const struct mw_cli_ports *ports, const char *folder,
                                  const char *name, const char *factory, struct mw_trial *ret_trial,
                                  struct mw_err *err);
void mw_trial_end(struct mw_trial *trial);
/* The running host's process. */
MW_MUST enum mw_rc mw_trial_pid(struct mw_trial *trial, pid_t *ret_pid, struct mw_err *err);
MW_MUST enum mw_rc mw_trial_stop(struct mw_trial *trial, struct mw_err *err);
/* kill -9; nobody listens when this returns. */
MW_MUST enum mw_rc mw_trial_kill(struct mw_trial *trial, struct mw_err *err);
/* From no host to one that answers and is ready. */
MW_MUST enum mw_rc mw_trial_again(struct mw_trial *trial, double *ret_ms, struct mw_err *err);

/* One of several processes that could take the tasks of the agent `remote` over the socket (docs/agents.md, Workers). */
struct mw_trial_worker {
    struct mw_trial *trial; /* borrowed */
    const char *name;
    struct mw_http_stream stream;
    bool connected;
    struct mw_buf answers; /* owned; sent with the next take */
    struct mw_arena arena; /* owned */
    struct mw_tape tape;   /* the host's last answer */
};
/* It connects with its first request. */
void mw_trial_worker_open(struct mw_trial *trial, const char *name,
                          struct mw_trial_worker *ret_worker);
/* Up to 1,024 tasks, in worker->tape under "tasks"; the answers put before are recorded first. */
MW_MUST enum mw_rc mw_trial_worker_take(struct mw_trial_worker *worker, uint32_t wait_ms,
                                        uint32_t *ret_count, struct mw_err *err);
void mw_trial_worker_answer(struct mw_trial_worker *worker, struct mw_str task_id, uint64_t fence,
                            struct mw_str payload);
void mw_trial_worker_fail(struct mw_trial_worker *worker, struct mw_str task_id, uint64_t fence);
/* At most 1,024 fences. *ret_gone: how many of them are its own no more. */
MW_MUST enum mw_rc mw_trial_worker_holds(struct mw_trial_worker *worker, const uint64_t *fences,
                                         uint32_t count, uint32_t *ret_gone, struct mw_err *err);
/* The host was killed, or another one is asked from here on. */
void mw_trial_worker_lost(struct mw_trial_worker *worker);
void mw_trial_worker_close(struct mw_trial_worker *worker);

#endif
