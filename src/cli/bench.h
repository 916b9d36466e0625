/*
 * bench.h - private to cli: what the workloads of `millwright bench` share.
 *
 * Owns:     the flows that are kept in flight in a trial (trial.h; bench_flow.c), what the machine itself can do (bench_limits.c), the figures
 *           (cmd_bench.c).
 * Does not: make anything faster: the host runs as it always does, posted to over its socket.
 * To add a workload: a function here, a row in cmd_bench.c's table; a coordinator in factory/bench/ when it needs one of its own.
 */
#ifndef MW_CLI_BENCH_H
#define MW_CLI_BENCH_H

#include "cli/trial.h"

#define MW_BENCH_RUNS_MAX 100u
#define MW_BENCH_FIGURES_MAX 128u
#define MW_BENCH_IN_FLIGHT_MAX 512u

/* One number of one workload, a value for each run. */
struct mw_bench_figure {
    const char *work; /* "W1" */
    uint32_t in_flight;
    const char *name, *unit;
    double values[MW_BENCH_RUNS_MAX];
    uint32_t count;
    const char *limit_name; /* the machine's own number of the same kind; NULL: there is none */
    double limits[MW_BENCH_RUNS_MAX];
    uint32_t limit_count;
};

/* What the machine does when nothing of ours is in between, measured again in each run. */
struct mw_bench_limits {
    double spawn_rate;   /* programs a second, as many at once as there are processors */
    double spawn_ms;     /* one of them, from its start to its end */
    double spawn_cpu_us; /* of one of them */
    double trip_us;      /* one byte there and one back over a socket */
    double trip_cpu_us;  /* of one end of that */
};

struct mw_bench {
    struct mw_cli *cli;  /* of the user's command line; borrowed */
    const char *folder;  /* absolute: where the disk is measured; borrowed */
    const char *factory; /* factory/bench of this program; borrowed */
    const char *only;    /* one workload; NULL: all */
    uint32_t in_flight;  /* --concurrency; 0: each workload's own */
    double seconds;      /* of one measurement */
    uint32_t run, runs;
    struct mw_bench_limits limits; /* of this run */
    struct mw_bench_figure figures[MW_BENCH_FIGURES_MAX];
    uint32_t figure_count;
};

/* cmd_bench.c */
struct mw_bench_figure *mw_bench_note(struct mw_bench *bench, const char *work, uint32_t in_flight,
                                      const char *name, const char *unit, double value);
void mw_bench_beside(struct mw_bench_figure *figure, const char *limit_name, double limit);

/* bench_host.c: a host for one measurement, and what it says of itself. */
MW_MUST enum mw_rc mw_bench_trial(const struct mw_bench *bench, struct mw_trial *ret_host,
                                  struct mw_err *err);
/* What the host says of itself in the view `stats`. */
struct mw_bench_stats {
    int64_t durable, journal_bytes, frames, syncs, cpu_us, children_cpu_us, state_bytes;
};
MW_MUST enum mw_rc mw_bench_stats_read(struct mw_trial *host, struct mw_bench_stats *ret_stats,
                                       struct mw_err *err);
/* Bytes that the workspace takes on the disk now. */
uint64_t mw_bench_disk_bytes(const struct mw_trial *host);

/* bench_flow.c: posts one coordinator after the other and waits for the end of its trace. */
struct mw_bench_flow {
    const char *coordinator; /* of factory/bench/coordinators */
    char series;             /* begins the flows' traceIds: a host is told each of them once */
    uint32_t in_flight;
    double seconds;     /* no flow is begun after that; 0: only by flows_max */
    uint64_t flows_max; /* 0: only by seconds */
    bool
        posts_only; /* a flow is over for us when it is recorded; flows, latency and elapsed_s stay 0 */
    bool with_worker;    /* another process takes the tasks of the agent `remote` meanwhile */
    uint64_t flows;      /* result: ended */
    double elapsed_s;    /* from the first post to the last end */
    double worker_cpu_s; /* of that process */
    double client_cpu_s; /* of this process, so that it can be seen not to be the limit */
    double *latency_us;  /* owned, one a flow, sorted; mw_bench_flow_free */
    uint64_t latency_cap;
};
MW_MUST enum mw_rc mw_bench_flow_run(struct mw_trial *host, struct mw_bench_flow *flow,
                                     struct mw_err *err);
double mw_bench_flow_percentile_us(const struct mw_bench_flow *flow, double percent);
void mw_bench_flow_free(struct mw_bench_flow *flow);
/* The workloads of it. */
MW_MUST enum mw_rc mw_bench_w1x(struct mw_bench *bench, struct mw_err *err);
MW_MUST enum mw_rc mw_bench_w1(struct mw_bench *bench, struct mw_err *err);
MW_MUST enum mw_rc mw_bench_w2(struct mw_bench *bench, struct mw_err *err);
MW_MUST enum mw_rc mw_bench_w3(struct mw_bench *bench, struct mw_err *err);
MW_MUST enum mw_rc mw_bench_w6(struct mw_bench *bench, struct mw_err *err);

/* bench_worker.c: the agent `remote` of factory/bench. */
/* A process that answers every task at once. */
MW_MUST enum mw_rc mw_bench_worker_start(struct mw_trial *host, pid_t *ret_pid, struct mw_err *err);
void mw_bench_worker_end(pid_t pid, double *ret_cpu_s);

/* bench_life.c: starts and memory. */
MW_MUST enum mw_rc mw_bench_w4(struct mw_bench *bench, struct mw_err *err);
/* How much of the large numbers a measurement of bench->seconds takes; 1 from two seconds on. */
double mw_bench_part(const struct mw_bench *bench);
/* bench_crash.c: what a killed host comes back to. */
MW_MUST enum mw_rc mw_bench_w5(struct mw_bench *bench, struct mw_err *err);

/* bench_limits.c: the machine alone, in the same run. */
#define MW_BENCH_SYNCS_KEPT 16384u /* how long each took: of so many */
struct mw_bench_syncs {
    double rate;        /* a second */
    double cpu_us;      /* of one of them */
    double *latency_us; /* owned, in their order; mw_bench_syncs_free */
    uint32_t kept_count;
};
/* Appends of so many bytes, each made durable; a file in folder. On failure there is nothing to free. */
MW_MUST enum mw_rc mw_bench_syncs(const char *folder, size_t size_bytes, double seconds,
                                  struct mw_bench_syncs *ret_syncs, struct mw_err *err);
/* So many of them after each other, microseconds: what percent of such rows take no longer. */
double mw_bench_syncs_percentile_us(const struct mw_bench_syncs *syncs, uint32_t in_a_row,
                                    double percent);
void mw_bench_syncs_free(struct mw_bench_syncs *syncs);
/* `true` started and waited for, as many at once as there are processors: fills spawn_…. */
MW_MUST enum mw_rc mw_bench_spawns(double seconds, struct mw_bench_limits *limits,
                                   struct mw_err *err);
/* One byte there and one back between two processes over a unix socket: fills trip_…. */
MW_MUST enum mw_rc mw_bench_round_trip(double seconds, struct mw_bench_limits *limits,
                                       struct mw_err *err);
/* The whole journal of this workspace read once, as it lies in the page cache, milliseconds. */
MW_MUST enum mw_rc mw_bench_journal_read(const struct mw_trial *host, double *ret_ms,
                                         struct mw_err *err);
/* Sets bench->limits and notes them. Short when it is another workload that was asked for. */
MW_MUST enum mw_rc mw_bench_machine(struct mw_bench *bench, struct mw_err *err);

#endif
