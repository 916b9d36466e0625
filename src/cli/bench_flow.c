#include "cli/bench.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "posix/file.h"
#include "posix/heap.h"

/*
 * Keeps so many flows in flight: each has a connection of its own, which posts, hears that the flow is recorded, and posts the next one when
 * the flow's trace has ended. Ends are heard over one stream of the records of that kind.
 */

#define WAIT_MS 60000

struct slot {
    struct mw_http_stream stream;
    bool connected, answered, ended;
    uint64_t flow; /* number of the flow that it is about */
    int64_t from_ns;
};

struct driver {
    struct mw_trial *host;
    struct mw_bench_flow *flow;
    struct mw_http_stream ends;
    struct slot slots[MW_BENCH_IN_FLIGHT_MAX];
    struct pollfd fds[MW_BENCH_IN_FLIGHT_MAX + 1];
    uint32_t busy;
    uint64_t begun;
    int64_t from_ns, until_ns;
    char *headers; /* owned */
};

static double own_cpu_s(void)
{
    struct rusage own = {0};
    (void)getrusage(RUSAGE_SELF, &own);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
}

static enum mw_rc post(struct driver *driver, struct slot *slot, struct mw_err *err)
{
    char message_id[37];
    struct mw_buf body = mw_heap_buf();
    mw_uuid7(message_id);
    mw_buf_printf(&body,
                  "{\"messageId\":\"%s\",\"actor\":\"user:bench\",\"source\":\"bench\","
                  "\"coordinator\":\"%s\",\"traceId\":\"%c%lu.%lu\",\"payload\":{}}",
                  message_id, driver->flow->coordinator, driver->flow->series,
                  (unsigned long)(slot - driver->slots), (unsigned long)slot->flow);
    struct mw_http_request request = {"POST", "/v1/requests/StartCoordinator", driver->headers,
                                      mw_buf_str(&body), true};
    enum mw_rc rc = MW_OK;
    slot->from_ns = mw_now_monotonic_ns();
    slot->answered = false;
    slot->ended = driver->flow->posts_only;
    if (slot->connected) {
        rc = mw_http_again(&slot->stream, &request, WAIT_MS, err);
    } else {
        int fd = mw_link_connect(&driver->host->cli);
        if (fd < 0)
            rc = MW_FAIL(err, MW_E_IO, "the host does not answer any more");
        else
            rc = mw_http_start(fd, &request, WAIT_MS, &slot->stream, err);
        slot->connected = rc == MW_OK;
    }
    mw_heap_buf_free(&body);
    return rc;
}

/* The next flow, unless it is time to stop. */
static enum mw_rc begin(struct driver *driver, struct slot *slot, struct mw_err *err)
{
    const struct mw_bench_flow *flow = driver->flow;
    bool enough = flow->flows_max > 0 && driver->begun >= flow->flows_max;
    bool late = flow->seconds > 0 && mw_now_monotonic_ns() >= driver->until_ns;
    if (enough || (late && driver->begun > 0))
        return MW_OK;
    slot->flow = ++driver->begun;
    driver->busy++;
    return post(driver, slot, err);
}

static void note_latency(struct mw_bench_flow *flow, double latency_us)
{
    if (flow->flows == flow->latency_cap) {
        flow->latency_cap = flow->latency_cap > 0 ? flow->latency_cap * 2 : 1024;
        double *larger = mw_heap_alloc(flow->latency_cap * sizeof(*larger));
        if (flow->flows > 0)
            memcpy(larger, flow->latency_us, flow->flows * sizeof(*larger));
        mw_heap_free(flow->latency_us);
        flow->latency_us = larger;
    }
    flow->latency_us[flow->flows++] = latency_us;
}

static enum mw_rc go_on(struct driver *driver, struct slot *slot, struct mw_err *err)
{
    if (!slot->answered || !slot->ended)
        return MW_OK;
    driver->busy--;
    return begin(driver, slot, err);
}

static enum mw_rc take_answer(struct driver *driver, struct slot *slot, struct mw_err *err)
{
    enum mw_rc rc = mw_http_fill(&slot->stream, err);
    if (rc != MW_OK || !slot->stream.done)
        return rc;
    if (slot->stream.status != 200)
        return MW_FAIL(err, MW_E_CONFLICT, "the host refused a flow: %.*s",
                       MW_STR_ARG(mw_buf_str(&slot->stream.body)));
    slot->answered = true;
    return go_on(driver, slot, err);
}

/* "traceId":"SERIES SLOT.FLOW" (without the space) of a trace.ended record. NULL: not one of ours. */
static struct slot *slot_of(struct driver *driver, struct mw_str line)
{
    static const char key[] = "\"traceId\":\"";
    const char *at = memmem(line.ptr, line.len, key, sizeof(key) - 1);
    char *end;
    if (at == NULL || at[sizeof(key) - 1] != driver->flow->series)
        return NULL;
    unsigned long index = strtoul(at + sizeof(key), &end, 10);
    unsigned long flow = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    if (index >= driver->flow->in_flight || driver->slots[index].flow != flow)
        return NULL;
    return &driver->slots[index];
}

static enum mw_rc take_ends(struct driver *driver, struct mw_err *err)
{
    size_t at = 0;
    struct mw_str line;
    enum mw_rc rc = mw_http_fill(&driver->ends, err);
    while (rc == MW_OK && mw_http_line(&driver->ends, &at, &line)) {
        struct slot *slot = slot_of(driver, line);
        if (slot == NULL)
            continue;
        if (memmem(line.ptr, line.len, "\"outcome\":\"completed\"", 21) == NULL)
            return MW_FAIL(err, MW_E_CONFLICT, "a flow did not complete: %.*s", MW_STR_ARG(line));
        int64_t now_ns = mw_now_monotonic_ns();
        note_latency(driver->flow, (double)(now_ns - slot->from_ns) / 1e3);
        driver->flow->elapsed_s = (double)(now_ns - driver->from_ns) / 1e9;
        slot->ended = true;
        rc = go_on(driver, slot, err);
    }
    mw_http_taken(&driver->ends, at);
    return rc;
}

static enum mw_rc turn(struct driver *driver, struct mw_err *err)
{
    struct slot *waiting[MW_BENCH_IN_FLIGHT_MAX];
    nfds_t count = 0;
    driver->fds[count++] = (struct pollfd){.fd = driver->ends.fd, .events = POLLIN};
    for (uint32_t i = 0; i < driver->flow->in_flight; i++) {
        struct slot *slot = &driver->slots[i];
        if (!slot->connected || slot->flow == 0 || slot->answered)
            continue;
        waiting[count - 1] = slot;
        driver->fds[count++] = (struct pollfd){.fd = slot->stream.fd, .events = POLLIN};
    }
    int ready = poll(driver->fds, count, WAIT_MS);
    if (ready < 0 && errno != EINTR)
        return MW_FAIL_SYS(err, MW_E_IO, "wait for the host");
    if (ready == 0)
        return MW_FAIL(err, MW_E_TIMEOUT, "the host said nothing for %d s", WAIT_MS / 1000);
    enum mw_rc rc = MW_OK;
    for (nfds_t i = 1; rc == MW_OK && i < count; i++)
        if (driver->fds[i].revents != 0)
            rc = take_answer(driver, waiting[i - 1], err);
    if (rc == MW_OK && driver->fds[0].revents != 0)
        rc = take_ends(driver, err);
    return rc;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

enum mw_rc mw_bench_flow_run(struct mw_trial *host, struct mw_bench_flow *flow, struct mw_err *err)
{
    struct mw_bench_stats stats;
    struct driver *driver = mw_heap_alloc(sizeof(*driver));
    const char *path = getenv("PATH");
    MW_ASSERT(flow->in_flight >= 1 && flow->in_flight <= MW_BENCH_IN_FLIGHT_MAX);
    driver->host = host;
    driver->flow = flow;
    driver->headers =
        mw_heap_format("Millwright-Path: %s\r\n",
                       path != NULL && strpbrk(path, "\r\n") == NULL ? path : "/usr/bin:/bin");
    enum mw_rc rc = mw_bench_stats_read(host, &stats, err);
    if (rc == MW_OK)
        rc = mw_link_follow(&host->cli, stats.durable, NULL, "trace.ended", &driver->ends, err);
    bool follows = rc == MW_OK;
    double cpu_s = own_cpu_s();
    driver->from_ns = mw_now_monotonic_ns();
    driver->until_ns = driver->from_ns + (int64_t)(flow->seconds * 1e9);
    for (uint32_t i = 0; rc == MW_OK && i < flow->in_flight; i++)
        rc = begin(driver, &driver->slots[i], err);
    while (rc == MW_OK && driver->busy > 0)
        rc = turn(driver, err);
    flow->client_cpu_s = own_cpu_s() - cpu_s;
    if (flow->flows > 0)
        qsort(flow->latency_us, flow->flows, sizeof(*flow->latency_us), by_size);
    for (uint32_t i = 0; i < flow->in_flight; i++)
        if (driver->slots[i].connected)
            mw_http_close(&driver->slots[i].stream);
    if (follows)
        mw_http_close(&driver->ends);
    mw_heap_free(driver->headers);
    mw_heap_free(driver);
    return rc;
}

double mw_bench_flow_percentile_us(const struct mw_bench_flow *flow, double percent)
{
    if (flow->flows == 0)
        return 0;
    uint64_t at = (uint64_t)((double)flow->flows * percent / 100);
    return flow->latency_us[at < flow->flows ? at : flow->flows - 1];
}

void mw_bench_flow_free(struct mw_bench_flow *flow)
{
    mw_heap_free(flow->latency_us);
    flow->latency_us = NULL;
}

/* ---- the workloads ---- */

#define WARM_UP_FLOWS 8u

struct measured {
    struct mw_bench *bench;
    const char *work;
    struct mw_bench_flow flow;
    struct mw_bench_stats before, after;
    uint64_t disk_bytes;
    double limit; /* what the machine does alone, a second */
};

struct workload {
    const char *name, *coordinator;
    bool with_worker;
    uint32_t in_flight[3]; /* how many without --concurrency: a measurement for each up to a 0 */
    enum mw_rc (*limit)(struct measured *measured, struct mw_err *err); /* sets measured->limit */
    void (*note)(const struct measured *measured);
};

/* One measurement in a workspace of its own, after a few flows that nobody counts. */
static enum mw_rc measure(struct measured *measured, struct mw_err *err)
{
    struct mw_trial host;
    struct mw_bench_flow *flow = &measured->flow;
    struct mw_bench_flow warm_up = {.coordinator = flow->coordinator,
                                    .series = 'w',
                                    .in_flight = 1,
                                    .flows_max = WARM_UP_FLOWS};
    pid_t worker = 0;
    enum mw_rc rc = mw_bench_trial(measured->bench, &host, err);
    if (rc != MW_OK)
        return rc;
    if (flow->with_worker)
        rc = mw_bench_worker_start(&host, &worker, err);
    if (rc == MW_OK)
        rc = mw_bench_flow_run(&host, &warm_up, err);
    mw_bench_flow_free(&warm_up);
    uint64_t disk_bytes = mw_bench_disk_bytes(&host);
    if (rc == MW_OK)
        rc = mw_bench_stats_read(&host, &measured->before, err);
    if (rc == MW_OK)
        rc = mw_bench_flow_run(&host, flow, err);
    if (rc == MW_OK)
        rc = mw_bench_stats_read(&host, &measured->after, err);
    if (worker > 0)
        mw_bench_worker_end(worker, &flow->worker_cpu_s);
    measured->disk_bytes = mw_bench_disk_bytes(&host) - disk_bytes;
    mw_trial_end(&host);
    return rc;
}

static enum mw_rc run_at(struct mw_bench *bench, const struct workload *workload,
                         uint32_t in_flight, struct mw_err *err)
{
    struct measured measured = {.bench = bench,
                                .work = workload->name,
                                .flow = {.coordinator = workload->coordinator,
                                         .with_worker = workload->with_worker,
                                         .series = 'b',
                                         .in_flight = in_flight,
                                         .seconds = bench->seconds}};
    enum mw_rc rc = measure(&measured, err);
    if (rc == MW_OK)
        rc = workload->limit(&measured, err);
    if (rc == MW_OK)
        workload->note(&measured);
    mw_bench_flow_free(&measured.flow);
    return rc;
}

static enum mw_rc run(struct mw_bench *bench, const struct workload *workload, struct mw_err *err)
{
    if (bench->in_flight > 0)
        return run_at(bench, workload, bench->in_flight, err);
    enum mw_rc rc = MW_OK;
    for (const uint32_t *in_flight = workload->in_flight; rc == MW_OK && *in_flight > 0;
         in_flight++)
        rc = run_at(bench, workload, *in_flight, err);
    return rc;
}

/* ---- what the machine does alone ---- */

/* Flows a second: the same bytes with the same number of flushes, by a loop that does nothing else. */
static enum mw_rc bare_loop(struct measured *measured, struct mw_err *err)
{
    double rate = 0, flows = (double)measured->flow.flows;
    double syncs = (double)(measured->after.syncs - measured->before.syncs);
    double bytes = (double)(measured->after.journal_bytes - measured->before.journal_bytes);
    syncs = syncs > 0 ? syncs : 1;
    enum mw_rc rc = mw_bench_syncs(measured->bench->folder, (size_t)(bytes / syncs),
                                   measured->bench->seconds / 2, &rate, err);
    measured->limit = rate * flows / syncs;
    return rc;
}

static enum mw_rc programs_started(struct measured *measured, struct mw_err *err)
{
    return mw_bench_spawns(measured->bench->seconds / 2, &measured->limit, err);
}

/* ---- figures ---- */

static struct mw_bench_figure *note(const struct measured *measured, const char *name,
                                    const char *unit, double value)
{
    return mw_bench_note(measured->bench, measured->work, measured->flow.in_flight, name, unit,
                         value);
}

/* What so many microseconds of CPU are for each of count, in milliseconds. */
static void note_cpu(const struct measured *measured, const char *name, int64_t cpu_us,
                     double count)
{
    (void)note(measured, name, "ms", (double)cpu_us / 1e3 / count);
}

static void note_percentile(const struct measured *measured, const char *name, double percent,
                            const char *limit_name)
{
    struct mw_bench_figure *figure =
        note(measured, name, "ms", mw_bench_flow_percentile_us(&measured->flow, percent) / 1e3);
    if (limit_name != NULL)
        mw_bench_beside(figure, limit_name,
                        1e3 * measured->flow.in_flight /
                            (measured->limit > 0 ? measured->limit : 1));
}

static void note_rate(const struct measured *measured)
{
    mw_bench_beside(
        note(measured, "flows", "/s", (double)measured->flow.flows / measured->flow.elapsed_s),
        "a bare loop with these bytes and flushes", measured->limit);
}

static void note_steps(const struct measured *measured)
{
    const struct mw_bench_stats *before = &measured->before, *after = &measured->after;
    const struct mw_bench_flow *flow = &measured->flow;
    double flows = (double)flow->flows;
    note_rate(measured);
    note_cpu(measured, "host CPU a flow", after->cpu_us - before->cpu_us, flows);
    (void)note(measured, "flushes a flow", "", (double)(after->syncs - before->syncs) / flows);
    (void)note(measured, "records a flow", "", (double)(after->durable - before->durable) / flows);
    (void)note(measured, "journal a flow", "KB",
               (double)(after->journal_bytes - before->journal_bytes) / 1e3 / flows);
    (void)note(measured, "disk a flow", "KB", (double)measured->disk_bytes / 1e3 / flows);
    (void)note(measured, "client CPU a flow", "ms", flow->client_cpu_s * 1e3 / flows);
    if (flow->with_worker)
        (void)note(measured, "worker CPU a flow", "ms", flow->worker_cpu_s * 1e3 / flows);
}

static void note_fan(const struct measured *measured)
{
    const struct mw_bench_stats *before = &measured->before, *after = &measured->after;
    double flows = (double)measured->flow.flows;
    note_rate(measured);
    note_percentile(measured, "a flow, p50", 50, "the flushes of one flow, bare");
    (void)note(measured, "flushes a flow", "", (double)(after->syncs - before->syncs) / flows);
    note_cpu(measured, "host CPU a flow", after->cpu_us - before->cpu_us, flows);
}

static void note_one(const struct measured *measured)
{
    note_percentile(measured, "submit to recorded, p50", 50, "its flushes, bare");
    note_percentile(measured, "submit to recorded, p99", 99, NULL);
}

static void note_commands(const struct measured *measured)
{
    static const double tasks_a_flow = 100;
    const struct mw_bench_stats *before = &measured->before, *after = &measured->after;
    double tasks = (double)measured->flow.flows * tasks_a_flow;
    mw_bench_beside(note(measured, "tasks", "/s", tasks / measured->flow.elapsed_s),
                    "programs started", measured->limit);
    note_cpu(measured, "host CPU a task", after->cpu_us - before->cpu_us, tasks);
    note_cpu(measured, "children's CPU a task", after->children_cpu_us - before->children_cpu_us,
             tasks);
}

enum mw_rc mw_bench_w1(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w1 = {"W1", "BenchSteps", false, {64, 1}, bare_loop, note_steps};
    return run(bench, &w1, err);
}

enum mw_rc mw_bench_w1x(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w1x = {"W1x", "BenchRemote", true, {64}, bare_loop, note_steps};
    return run(bench, &w1x, err);
}

enum mw_rc mw_bench_w2(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w2 = {"W2", "BenchFan", false, {1, 8}, bare_loop, note_fan};
    return run(bench, &w2, err);
}

enum mw_rc mw_bench_w3(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w3 = {"W3", "BenchOne", false, {1}, bare_loop, note_one};
    return run(bench, &w3, err);
}

enum mw_rc mw_bench_w6(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w6 = {"W6", "BenchCommands",  false,
                                       {1},  programs_started, note_commands};
    return run(bench, &w6, err);
}
