/*
 * proc.h - what /proc says about processes, and signals that cannot hit a reused number.
 *
 * Does not: rely on /proc/PID/task/TID/children (many kernels lack it): parents are read from every stat.
 * Limits:   a process of another user behind hidepid is not seen.
 */
#ifndef MW_PROC_H
#define MW_PROC_H

#include "base/base.h"
#include <sys/types.h>

struct mw_proc {
    pid_t pid, parent, group, session;
    char state; /* Z: dead, not collected */
    uint32_t thread_count;
    uint64_t start_ticks; /* since boot; with pid and boot id: a name for ever */
};

struct mw_procs {
    struct mw_proc *list; /* owned; free with mw_procs_free */
    size_t count;
};

/* False: no such process. */
bool mw_proc_read(pid_t pid, struct mw_proc *ret_proc);
/* Everything that runs; when /proc cannot be read, nothing. */
struct mw_procs mw_procs_all(void);
/* Keeps only the descendants of root (not root). */
void mw_procs_keep_descendants(struct mw_procs *procs, pid_t root);
void mw_procs_free(struct mw_procs *procs);
/* True when the signal was sent to exactly this process (same start time). */
bool mw_proc_signal(const struct mw_proc *proc, int number);
/* A pidfd of exactly this process, or -1 when it has gone. Owned by the caller. */
int mw_proc_open(const struct mw_proc *proc);

#endif
