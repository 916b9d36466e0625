/* bench_life.c - W4: how soon a host is there, and what it weighs. */
#include "cli/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "posix/file.h"
#include "posix/heap.h"

#define FULL_SECONDS 2.0 /* a shorter measurement takes that much less of everything */
#define RECORDS_FULL 1000000u
#define PARKED_FULL 10000u
#define EMPTY_STARTS 5u
#define POSTERS 64u

double mw_bench_part(const struct mw_bench *bench)
{
    double part = bench->seconds / FULL_SECONDS;
    return part < 1 ? part * part : 1;
}

/* Of /proc/PID/smaps_rollup, in bytes. PSS counts a page of a library that others use too by its part. */
struct weight {
    double rss, pss;
};

static enum mw_rc weigh(struct mw_trial *host, struct weight *ret_weight, struct mw_err *err)
{
    pid_t pid;
    unsigned long kib;
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_trial_pid(host, &pid, err);
    if (rc != MW_OK)
        return rc;
    mw_autofree char *path = mw_heap_format("/proc/%d/smaps_rollup", pid);
    rc = mw_file_read(AT_FDCWD, path, 65536, &text, err);
    mw_buf_put_c(&text, '\0');
    const char *rss = rc == MW_OK ? strstr(text.ptr, "\nRss:") : NULL;
    const char *pss = rc == MW_OK ? strstr(text.ptr, "\nPss:") : NULL;
    *ret_weight = (struct weight){0};
    if (rss != NULL && sscanf(rss, "\nRss: %lu", &kib) == 1)
        ret_weight->rss = (double)kib * 1024;
    if (pss != NULL && sscanf(pss, "\nPss: %lu", &kib) == 1)
        ret_weight->pss = (double)kib * 1024;
    mw_heap_buf_free(&text);
    return rc;
}

/* ---- W4 ---- */

static void note_start(struct mw_bench *bench, const char *name, double ms, double journal_ms)
{
    mw_bench_beside(mw_bench_note(bench, "W4", 1, name, "ms", ms),
                    journal_ms > 0 ? "a program, and its journal read" : "a program, start to end",
                    bench->limits.spawn_ms + journal_ms);
}

static enum mw_rc empty_starts(struct mw_bench *bench, struct mw_err *err)
{
    struct mw_trial host;
    struct weight weight;
    double best_ms = 0, ms;
    enum mw_rc rc = mw_bench_trial(bench, &host, err);
    if (rc != MW_OK)
        return rc;
    for (uint32_t i = 0; rc == MW_OK && i < EMPTY_STARTS; i++) {
        rc = mw_trial_stop(&host, err);
        if (rc == MW_OK)
            rc = mw_trial_again(&host, &ms, err);
        if (rc == MW_OK && (i == 0 || ms < best_ms))
            best_ms = ms;
    }
    if (rc == MW_OK)
        rc = weigh(&host, &weight, err);
    if (rc == MW_OK) {
        note_start(bench, "start, empty, best of five", best_ms, 0);
        (void)mw_bench_note(bench, "W4", 1, "at rest, resident", "MB", weight.rss / 1e6);
        (void)mw_bench_note(bench, "W4", 1, "at rest, its part of shared pages", "MB",
                            weight.pss / 1e6);
    }
    mw_trial_end(&host);
    return rc;
}

/* Anything in .millwright/cache may go at any time. */
static enum mw_rc drop_cache(const struct mw_trial *host, struct mw_err *err)
{
    mw_autofree char *cache = mw_heap_format("%s/.millwright/cache", host->folder);
    enum mw_rc rc = mw_remove_tree(AT_FDCWD, cache, err);
    return rc == MW_OK ? mw_mkdirs(AT_FDCWD, cache, 0700, err) : rc;
}

static bool make_snapshot(const struct mw_trial *host)
{
    struct mw_cli_snapshot snapshot;
    struct mw_err err;
    bool made = false;
    const struct mw_cli_ports *ports = host->cli.ports;
    if (ports->make_snapshot == NULL)
        return false;
    if (ports->make_snapshot(host->folder, &snapshot, &made, &err) != MW_OK) {
        (void)fprintf(stderr, "millwright: %s\n", err.text);
        return false;
    }
    return made;
}

static enum mw_rc large_starts(struct mw_bench *bench, struct mw_err *err)
{
    struct mw_trial host;
    struct mw_bench_stats stats = {0};
    struct weight weight;
    double without_ms = 0, with_ms = 0, read_ms = 0;
    int64_t wanted = (int64_t)(RECORDS_FULL * mw_bench_part(bench));
    enum mw_rc rc = mw_bench_trial(bench, &host, err);
    if (rc != MW_OK)
        return rc;
    for (char series = 'A'; rc == MW_OK && stats.durable < wanted && series <= 'Z'; series++) {
        int64_t a_flow = 40, flows = (wanted - stats.durable + a_flow - 1) / a_flow;
        struct mw_bench_flow plan = {.coordinator = "BenchSteps",
                                     .series = series,
                                     .in_flight = POSTERS,
                                     .flows_max = (uint64_t)flows};
        rc = mw_bench_flow_run(&host, &plan, err);
        mw_bench_flow_free(&plan);
        if (rc == MW_OK)
            rc = mw_bench_stats_read(&host, &stats, err);
    }
    if (rc == MW_OK)
        rc = mw_trial_stop(&host, err);
    if (rc == MW_OK)
        rc = drop_cache(&host, err);
    if (rc == MW_OK)
        rc = mw_trial_again(&host, &without_ms, err);
    if (rc == MW_OK)
        rc = weigh(&host, &weight, err);
    if (rc == MW_OK)
        rc = mw_trial_stop(&host, err);
    bool has_snapshot = rc == MW_OK && make_snapshot(&host);
    if (rc == MW_OK)
        rc = mw_bench_journal_read(&host, &read_ms, err);
    if (rc == MW_OK && has_snapshot)
        rc = mw_trial_again(&host, &with_ms, err);
    if (rc == MW_OK) {
        (void)mw_bench_note(bench, "W4", 1, "records of the large journal", "",
                            (double)stats.durable);
        (void)mw_bench_note(bench, "W4", 1, "its size", "MB", (double)stats.journal_bytes / 1e6);
        note_start(bench, "start, large, no snapshot", without_ms, read_ms);
        if (has_snapshot)
            note_start(bench, "start, large, with a snapshot", with_ms, read_ms);
        else
            (void)fprintf(stderr, "millwright: no snapshot was made: that start is not measured\n");
        (void)mw_bench_note(bench, "W4", 1, "at rest after it, resident", "MB", weight.rss / 1e6);
    }
    mw_trial_end(&host);
    return rc;
}

static enum mw_rc parked(struct mw_bench *bench, struct mw_err *err)
{
    struct mw_trial host;
    struct mw_bench_stats before = {0}, after = {0};
    struct weight light = {0}, heavy = {0}, again = {0};
    uint64_t flows = (uint64_t)(PARKED_FULL * mw_bench_part(bench));
    double ms = 0, read_ms = 0;
    enum mw_rc rc = mw_bench_trial(bench, &host, err);
    if (rc != MW_OK)
        return rc;
    struct mw_bench_flow plan = {.coordinator = "BenchParked",
                                 .series = 'p',
                                 .in_flight = POSTERS,
                                 .flows_max = flows,
                                 .posts_only = true};
    rc = weigh(&host, &light, err);
    if (rc == MW_OK)
        rc = mw_bench_stats_read(&host, &before, err);
    if (rc == MW_OK)
        rc = mw_bench_flow_run(&host, &plan, err);
    mw_bench_flow_free(&plan);
    if (rc == MW_OK)
        rc = mw_bench_stats_read(&host, &after, err);
    if (rc == MW_OK)
        rc = weigh(&host, &heavy, err);
    if (rc == MW_OK)
        rc = mw_trial_stop(&host, err);
    if (rc == MW_OK)
        rc = drop_cache(&host, err);
    if (rc == MW_OK)
        rc = mw_trial_again(&host, &ms, err);
    if (rc == MW_OK)
        rc = weigh(&host, &again, err);
    if (rc == MW_OK)
        rc = mw_bench_journal_read(&host, &read_ms, err);
    if (rc == MW_OK) {
        double count = (double)flows;
        (void)mw_bench_note(bench, "W4", 1, "flows that wait for a person", "", count);
        (void)mw_bench_note(bench, "W4", 1, "one of them, state", "KB",
                            (double)(after.state_bytes - before.state_bytes) / 1e3 / count);
        (void)mw_bench_note(bench, "W4", 1, "one of them, resident", "KB",
                            (heavy.rss - light.rss) / 1e3 / count);
        (void)mw_bench_note(bench, "W4", 1, "one of them, after a start", "KB",
                            (again.rss - light.rss) / 1e3 / count);
        note_start(bench, "start with them", ms, read_ms);
    }
    mw_trial_end(&host);
    return rc;
}

enum mw_rc mw_bench_w4(struct mw_bench *bench, struct mw_err *err)
{
    enum mw_rc rc = empty_starts(bench, err);
    if (rc == MW_OK)
        rc = large_starts(bench, err);
    return rc == MW_OK ? parked(bench, err) : rc;
}
