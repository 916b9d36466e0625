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
    struct mw_bench_limits limits; /* of this run; programs: anew, beside what starts some */
    struct mw_bench_syncs group;   /* the workload's own frames, bare */
    struct mw_bench_syncs single;  /* one of its records at a time, bare */
};

struct workload {
    const char *name, *coordinator;
    bool with_worker;
    uint32_t in_flight[3]; /* how many without --concurrency: a measurement for each up to a 0 */
    bool starts_programs;
    void (*note)(const struct measured *measured);
};

/* ---- what the machine does alone ---- */

static double syncs_of(const struct measured *measured)
{
    int64_t syncs = measured->after.syncs - measured->before.syncs;
    return syncs > 0 ? (double)syncs : 1;
}

static double records_of(const struct measured *measured)
{
    int64_t records = measured->after.durable - measured->before.durable;
    return records > 0 ? (double)records : 1;
}

static double bytes_of(const struct measured *measured)
{
    return (double)(measured->after.journal_bytes - measured->before.journal_bytes);
}

/* By a loop that does nothing else: the same bytes with the same number of flushes, and each record with a flush of its own. */
static enum mw_rc measure_machine(struct measured *measured, bool starts_programs,
                                  struct mw_err *err)
{
    const struct mw_bench *bench = measured->bench;
    double bytes = bytes_of(measured);
    enum mw_rc rc = mw_bench_syncs(bench->folder, (size_t)(bytes / syncs_of(measured)),
                                   bench->seconds / 2, &measured->group, err);
    if (rc == MW_OK)
        rc = mw_bench_syncs(bench->folder, (size_t)(bytes / records_of(measured)),
                            bench->seconds / 8, &measured->single, err);
    if (rc == MW_OK && starts_programs)
        rc = mw_bench_spawns(bench->seconds / 2, &measured->limits, err);
    return rc;
}

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
                                .limits = bench->limits,
                                .flow = {.coordinator = workload->coordinator,
                                         .with_worker = workload->with_worker,
                                         .series = 'b',
                                         .in_flight = in_flight,
                                         .seconds = bench->seconds}};
    enum mw_rc rc = measure(&measured, err);
    if (rc == MW_OK)
        rc = measure_machine(&measured, workload->starts_programs, err);
    if (rc == MW_OK)
        workload->note(&measured);
    mw_bench_syncs_free(&measured.group);
    mw_bench_syncs_free(&measured.single);
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

/* ---- figures ---- */

static struct mw_bench_figure *note(const struct measured *measured, const char *name,
                                    const char *unit, double value)
{
    return mw_bench_note(measured->bench, measured->work, measured->flow.in_flight, name, unit,
                         value);
}

/* What so many microseconds of CPU are for each of count, in milliseconds; and what they are without us. */
static void note_cpu(const struct measured *measured, const char *name, double cpu_us, double count,
                     const char *limit_name, double limit_us)
{
    mw_bench_beside(note(measured, name, "ms", cpu_us / 1e3 / count), limit_name, limit_us / 1e3);
}

static void note_host_cpu(const struct measured *measured, const char *name, double count)
{
    note_cpu(measured, name, (double)(measured->after.cpu_us - measured->before.cpu_us), count,
             "of its flushes, bare", measured->group.cpu_us * syncs_of(measured) / count);
}

/* A flow alone waits for its flushes one after the other, and for its words to come and go. */
static void note_percentile(const struct measured *measured, const char *name, double percent)
{
    const struct mw_bench_flow *flow = &measured->flow;
    uint32_t in_a_row =
        (uint32_t)(syncs_of(measured) * flow->in_flight / (double)flow->flows + 0.5);
    double limit_us =
        mw_bench_syncs_percentile_us(&measured->group, in_a_row > 0 ? in_a_row : 1, percent) +
        measured->limits.trip_us;
    mw_bench_beside(note(measured, name, "ms", mw_bench_flow_percentile_us(flow, percent) / 1e3),
                    "its flushes and a round trip, bare", limit_us / 1e3);
}

static void note_rate(const struct measured *measured)
{
    double flows = (double)measured->flow.flows;
    mw_bench_beside(note(measured, "flows", "/s", flows / measured->flow.elapsed_s),
                    "these bytes and flushes, bare",
                    measured->group.rate * flows / syncs_of(measured));
}

/* What became durable: records, in groups as they came together; and groups. */
static void note_records(const struct measured *measured)
{
    double records = records_of(measured), syncs = syncs_of(measured);
    double elapsed_s = measured->flow.elapsed_s;
    mw_bench_beside(note(measured, "records", "/s", records / elapsed_s),
                    "group commit of such, bare", measured->group.rate * records / syncs);
    (void)note(measured, "a record", "B", bytes_of(measured) / records);
    mw_bench_beside(note(measured, "flushes", "/s", syncs / elapsed_s), "each of one record, bare",
                    measured->single.rate);
}

static void note_steps(const struct measured *measured)
{
    const struct mw_bench_flow *flow = &measured->flow;
    double flows = (double)flow->flows, trip_cpu_us = measured->limits.trip_cpu_us;
    note_rate(measured);
    note_records(measured);
    note_host_cpu(measured, "host CPU a flow", flows);
    (void)note(measured, "flushes a flow", "", syncs_of(measured) / flows);
    (void)note(measured, "records a flow", "", records_of(measured) / flows);
    (void)note(measured, "journal a flow", "KB", bytes_of(measured) / 1e3 / flows);
    (void)note(measured, "disk a flow", "KB", (double)measured->disk_bytes / 1e3 / flows);
    note_cpu(measured, "client CPU a flow", flow->client_cpu_s * 1e6, flows,
             "of a round trip, bare", trip_cpu_us);
    if (flow->with_worker)
        note_cpu(measured, "worker CPU a flow", flow->worker_cpu_s * 1e6, flows,
                 "of a round trip, bare", trip_cpu_us);
}

static void note_fan(const struct measured *measured)
{
    double flows = (double)measured->flow.flows;
    note_rate(measured);
    note_records(measured);
    note_percentile(measured, "a flow, p50", 50);
    (void)note(measured, "flushes a flow", "", syncs_of(measured) / flows);
    note_host_cpu(measured, "host CPU a flow", flows);
}

static void note_one(const struct measured *measured)
{
    note_percentile(measured, "submit to recorded, p50", 50);
    note_percentile(measured, "submit to recorded, p99", 99);
}

static void note_commands(const struct measured *measured)
{
    static const double tasks_a_flow = 100;
    double tasks = (double)measured->flow.flows * tasks_a_flow;
    mw_bench_beside(note(measured, "tasks", "/s", tasks / measured->flow.elapsed_s),
                    "programs started", measured->limits.spawn_rate);
    note_records(measured);
    note_host_cpu(measured, "host CPU a task", tasks);
    note_cpu(measured, "children's CPU a task",
             (double)(measured->after.children_cpu_us - measured->before.children_cpu_us), tasks,
             "of a program, bare", measured->limits.spawn_cpu_us);
}

enum mw_rc mw_bench_w1(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w1 = {"W1", "BenchSteps", false, {64, 1}, false, note_steps};
    return run(bench, &w1, err);
}

enum mw_rc mw_bench_w1x(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w1x = {"W1x", "BenchRemote", true, {64}, false, note_steps};
    return run(bench, &w1x, err);
}

enum mw_rc mw_bench_w2(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w2 = {"W2", "BenchFan", false, {1, 8}, false, note_fan};
    return run(bench, &w2, err);
}

enum mw_rc mw_bench_w3(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w3 = {"W3", "BenchOne", false, {1}, false, note_one};
    return run(bench, &w3, err);
}

enum mw_rc mw_bench_w6(struct mw_bench *bench, struct mw_err *err)
{
    static const struct workload w6 = {"W6", "BenchCommands", false, {1}, true, note_commands};
    return run(bench, &w6, err);
}
