/*
 * sweep.h - crash_sweep's parts: the tracer that kills and injects, the folders it works in, the host, the disk that really fails.
 */
#ifndef MW_CRASH_SWEEP_H
#define MW_CRASH_SWEEP_H

#include "subject.h"

#include <stdio.h>
#include <sys/types.h>

#define SCENARIOS_MAX 32
#define BRANCHES_MAX 64

/* ---- trace.c: one child, one disturbance ---- */

enum strike_kind {
    STRIKE_NONE,
    STRIKE_KILL, /* SIGKILL at the at-th stop: every system call has two, its entry and its exit */
    STRIKE_TEAR, /* the at-th write is cut short, and SIGKILL comes at its exit: what a kill inside a large write leaves */
    STRIKE_ERROR, /* the at-th call of the class answers `error` and does nothing; with close it closes all the same */
    STRIKE_ERROR_FROM, /* it and every later one of the class */
    STRIKE_SHORT,      /* the at-th call of the class is given half the length */
    STRIKE_SLOW,       /* the at-th call of the class is held for a millisecond */
};
enum call_class {
    CALLS_WRITE,
    CALLS_SYNC,
    CALLS_OPEN,
    CALLS_CREATE, /* those opens that may create */
    CALLS_NAME,
    CALLS_SIZE,
    CALLS_READ,
    CALLS_LOOK,
    CALLS_CLOSE,
    CALLS_LOCK,
    CALLS_SPACE, /* whatever may need room: writes, creations, names, sizes */
    CALL_CLASSES
};
extern const char *const call_class_names[CALL_CLASSES];

struct strike {
    enum strike_kind kind;
    enum call_class calls;
    int error;
    long at;   /* from 1; 0: never */
    long seen; /* out: calls of the class, or stops */
    bool hit;  /* out */
    bool hit_sync;
};
/* "write 3 fails with EIO". Returns ret_words. */
const char *strike_words(const struct strike *strike, char ret_words[96]);
/* The system calls of a job, in their order, by number. */
#define CALLS_MAX 65536
struct call_path {
    long numbers[CALLS_MAX];
    long count;
};
struct traced {
    struct strike strikes[2];
    struct call_path *path; /* out, when nothing is filtered; NULL: not wanted */
    /* The job has one thread and starts no program: it stops at the calls of the strikes only, which costs a small part of stopping at all of
     * them. A strike that kills comes first, alone, at the at-th call of this number: before it, or after it. */
    bool one_thread;
    long number;
    bool at_exit;
    int after_signal; /* stops count from its delivery on; 0: from the beginning */
    void (*started)(void *context, pid_t pid); /* before the child does anything; may be NULL */
    bool signal_seen;                          /* out: after_signal came */
    int status;                                /* out: of waitpid; killed by the strike: SIGKILL */
    bool killed;                               /* out */
};
/* False: this machine does not let a process be traced, or is not one whose registers we know. */
bool trace_possible(void);
/* Runs job(context) in a child, traced. The child's standard output is out_fd, its folder dir. */
void trace_run(struct traced *traced, const char *dir, int out_fd, int (*job)(void *context),
               void *context);
/* The same without tracing. Returns waitpid's status. */
int plain_run(const char *dir, int out_fd, int (*job)(void *context), void *context);

/* ---- place.c: folders ---- */

void place_make(const char *path); /* an empty folder, whatever stood there */
void place_remove(const char *path);
void place_copy(const char *from, const char *to); /* to is made */
/* Of all names and bytes beneath; without what differs from life to life: process ids, nonces, inodes. */
uint64_t place_image(const char *path);

/* ---- table.c: what was tried, in a table and in lines ---- */

enum sweep_kind { KILL, TEAR, FAULT, RECOVERY_KILL, RECOVERY_FAULT, TWO_FAULTS, KINDS };
extern const char *const sweep_kind_names[KINDS];
struct sweep_row {
    long points, images, failures;
    uint64_t branches; /* bit for each of branch_names */
};
struct sweep_table {
    const struct subject *scenarios;
    size_t scenario_count;
    const char *branch_names[BRANCHES_MAX];
    size_t branch_count;
    struct sweep_row (*rows)[KINDS]; /* borrowed: by scenario */
    const struct sweep_row *other;   /* borrowed: what is no row's */
};
/* all: everything was tried, so a branch that was not reached is a failure. Returns 0 or 1. */
int table_print(FILE *out, const struct sweep_table *table, long unknown_branches, bool all);
void table_lines(const struct sweep_table *table);
/* MW_SUMMARY=FILE: appends a line for the night's table. skipped: why nothing was tried; NULL: it was. */
void table_summary_line(const char *what, long tried, long broken, const char *words,
                        const char *skipped);
/* Each kind's, of all scenarios. */
void table_summary(const struct sweep_table *table, const char *skipped);

/* ---- host.c, disk.c: each prints its own `ok`, `not ok` or `skipped:` lines; 0 or 1 ---- */

int sweep_host(const char *base, const char *program, bool night);
int sweep_disk(const char *base, bool night);
/* Damage that a start must refuse without writing. Says branches on out_fd. */
int sweep_refusals(const char *base, int out_fd);
/* A promotion that was cut off, and its folder restored from a backup, or changed by somebody, before the recovery. Likewise. */
int sweep_restored(const char *base, int out_fd, bool night);

#endif
