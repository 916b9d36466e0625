/* bench_crash.c - W5: flows in flight, kill -9 of the host, and what it comes back to. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>

#include "posix/file.h"
#include "posix/heap.h"

#define POSTERS 64u
#define TASKS_A_FLOW 10u
#define DONE_BEFORE 3u /* tasks of every flow, before the host is killed */
#define HELD_MAX 1024u

/* What the worker itself knows: every task that it was ever given. */
struct held {
    char task_id[32];
    uint64_t fence;
    char payload[32];
};

struct crash {
    struct mw_trial_worker worker;
    struct held *held; /* owned; not answered yet */
    uint32_t held_count, held_cap;
    uint64_t *given; /* owned; numbers of tasks, in the order in which they were given */
    uint64_t given_count, given_cap;
};

static bool copy_text(char *to, size_t cap, struct mw_str from)
{
    if (from.len >= cap)
        return false;
    memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
    return true;
}

static enum mw_rc note_tasks(struct crash *crash, struct mw_err *err)
{
    const struct mw_tape *tape = &crash->worker.tape;
    uint32_t tasks = mw_node_get(tape, 0, "tasks");
    for (uint32_t at = mw_node_first(tape, tasks); at != MW_NODE_NONE;
         at = mw_node_after(tape, tasks, at)) {
        if (crash->held_count == crash->held_cap || crash->given_count == crash->given_cap)
            return MW_FAIL(err, MW_E_LIMIT, "more tasks were given than there are");
        struct held *held = &crash->held[crash->held_count++];
        const struct mw_node *payload = &tape->nodes[mw_node_get(tape, at, "payload")];
        held->fence = (uint64_t)mw_node_int(tape, mw_node_get(tape, at, "fence"), 0);
        if (!copy_text(held->task_id, sizeof(held->task_id),
                       mw_node_get_text(tape, at, "taskId")) ||
            !copy_text(held->payload, sizeof(held->payload), payload->text))
            return MW_FAIL(err, MW_E_CORRUPT, "a task of another kind was given");
        crash->given[crash->given_count++] = strtoull(strrchr(held->task_id, '-') + 1, NULL, 10);
    }
    return MW_OK;
}

/* Answers what it holds and takes what comes, until so many tasks were given in all and the last are in its hands. */
static enum mw_rc work_until(struct crash *crash, uint64_t given, bool hold_last,
                             struct mw_err *err)
{
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && (crash->given_count < given || (!hold_last && crash->held_count > 0))) {
        uint32_t count;
        for (uint32_t i = 0; i < crash->held_count; i++)
            mw_trial_worker_answer(&crash->worker, mw_str_of(crash->held[i].task_id),
                                   crash->held[i].fence, mw_str_of(crash->held[i].payload));
        crash->held_count = 0;
        rc = mw_trial_worker_take(&crash->worker, 20000, &count, err);
        if (rc == MW_OK)
            rc = note_tasks(crash, err);
    }
    return rc;
}

/* Every lease is its own again: all are where they were. */
static enum mw_rc come_back(struct crash *crash, uint64_t *ret_lost, struct mw_err *err)
{
    uint64_t fences[HELD_MAX];
    enum mw_rc rc = MW_OK;
    mw_trial_worker_lost(&crash->worker);
    for (uint32_t from = 0; rc == MW_OK && from < crash->held_count; from += HELD_MAX) {
        uint32_t count = crash->held_count - from < HELD_MAX ? crash->held_count - from : HELD_MAX;
        uint32_t gone = 0;
        for (uint32_t i = 0; i < count; i++)
            fences[i] = crash->held[from + i].fence;
        rc = mw_trial_worker_holds(&crash->worker, fences, count, &gone, err);
        *ret_lost += gone;
    }
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t twice(uint64_t *numbers, uint64_t count)
{
    uint64_t found = 0;
    if (count > 0)
        qsort(numbers, count, sizeof(*numbers), by_number);
    for (uint64_t i = 1; i < count; i++)
        found += numbers[i] == numbers[i - 1];
    return found;
}

/* ---- what the journal says of it ---- */

struct counted {
    uint64_t completed;        /* flows */
    uint64_t *asked, *results; /* owned; numbers of tasks */
    uint64_t asked_count, result_count, cap;
};

static bool number_of_task(struct mw_str line, uint64_t *ret_number)
{
    static const char key[] = "\"taskId\":\"";
    const char *at = memmem(line.ptr, line.len, key, sizeof(key) - 1);
    const char *end = line.ptr + line.len;
    const char *quote =
        at != NULL ? memchr(at + sizeof(key) - 1, '"', (size_t)(end - at) - sizeof(key) + 1) : NULL;
    if (quote == NULL)
        return false;
    const char *digits = quote;
    while (digits > at && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    return mw_str_to_u64((struct mw_str){digits, (size_t)(quote - digits)}, ret_number);
}

static bool on_line(void *context, struct mw_str line)
{
    struct counted *counted = context;
    uint64_t number = 0;
    if (mw_str_starts(line, MW_STR("{\"kind\":\"task.dispatched\"")) &&
        number_of_task(line, &number) && counted->asked_count < counted->cap)
        counted->asked[counted->asked_count++] = number;
    if (mw_str_starts(line, MW_STR("{\"kind\":\"task.result\"")) && number_of_task(line, &number) &&
        counted->result_count < counted->cap)
        counted->results[counted->result_count++] = number;
    if (mw_str_starts(line, MW_STR("{\"kind\":\"trace.ended\"")) &&
        memmem(line.ptr, line.len, "\"outcome\":\"completed\"", 21) != NULL)
        counted->completed++;
    return true;
}

static enum mw_rc count(struct mw_trial *host, const struct crash *crash, uint64_t flows,
                        uint64_t *ret_lost, uint64_t *ret_repeated, struct mw_err *err)
{
    struct counted counted = {.cap = flows * TASKS_A_FLOW * 2};
    counted.asked = mw_heap_alloc(counted.cap * sizeof(uint64_t));
    counted.results = mw_heap_alloc(counted.cap * sizeof(uint64_t));
    enum mw_rc rc = host->cli.ports->offline_records(host->folder, 1, on_line, &counted, err);
    if (rc == MW_OK) {
        *ret_lost += flows > counted.completed ? flows - counted.completed : 0;
        *ret_repeated = twice(counted.asked, counted.asked_count) +
                        twice(counted.results, counted.result_count) +
                        twice(crash->given, crash->given_count);
    }
    mw_heap_free(counted.asked);
    mw_heap_free(counted.results);
    return rc;
}

/* ---- the measurement ---- */

struct crashed {
    double back_ms; /* from the kill's end to the last lease that is its worker's again */
    double read_ms; /* its journal as it was then, read by a loop that does nothing else */
    uint64_t lost, repeated;
};

static enum mw_rc crash_once(struct mw_trial *host, struct crash *crash, uint64_t flows,
                             struct crashed *ret_crashed, struct mw_err *err)
{
    struct crashed crashed = {0};
    double start_ms;
    struct mw_bench_flow plan = {.coordinator = "BenchRemote",
                                 .series = 'c',
                                 .in_flight = POSTERS,
                                 .flows_max = flows,
                                 .posts_only = true};
    enum mw_rc rc = mw_bench_flow_run(host, &plan, err);
    mw_bench_flow_free(&plan);
    if (rc == MW_OK)
        rc = work_until(crash, flows * DONE_BEFORE, true, err);
    if (rc == MW_OK)
        rc = mw_trial_kill(host, err);
    if (rc == MW_OK)
        rc = mw_bench_journal_read(host, &crashed.read_ms, err);
    int64_t from_ns = mw_now_monotonic_ns();
    if (rc == MW_OK)
        rc = mw_trial_again(host, &start_ms, err);
    if (rc == MW_OK)
        rc = come_back(crash, &crashed.lost, err);
    crashed.back_ms = (double)(mw_now_monotonic_ns() - from_ns) / 1e6;
    if (rc == MW_OK)
        rc = work_until(crash, flows * TASKS_A_FLOW, false, err);
    if (rc == MW_OK)
        rc = mw_trial_stop(host, err);
    if (rc == MW_OK)
        rc = count(host, crash, flows, &crashed.lost, &crashed.repeated, err);
    if (rc == MW_OK)
        *ret_crashed = crashed;
    return rc;
}

static enum mw_rc crash_with(struct mw_bench *bench, uint32_t flows, struct mw_err *err)
{
    struct mw_trial host;
    struct crashed crashed;
    uint32_t tasks = flows * TASKS_A_FLOW;
    struct crash crash = {.held_cap = tasks, .given_cap = tasks * 2};
    enum mw_rc rc = mw_bench_trial(bench, &host, err);
    if (rc != MW_OK)
        return rc;
    crash.held = mw_heap_alloc(crash.held_cap * sizeof(*crash.held));
    crash.given = mw_heap_alloc(crash.given_cap * sizeof(*crash.given));
    mw_trial_worker_open(&host, "bench", &crash.worker);
    rc = crash_once(&host, &crash, flows, &crashed, err);
    mw_trial_worker_close(&crash.worker);
    if (rc == MW_OK) {
        mw_bench_beside(
            mw_bench_note(bench, "W5", flows, "all are where they were", "ms", crashed.back_ms),
            "a program, and its journal read", bench->limits.spawn_ms + crashed.read_ms);
        (void)mw_bench_note(bench, "W5", flows, "lost", "", (double)crashed.lost);
        (void)mw_bench_note(bench, "W5", flows, "repeated", "", (double)crashed.repeated);
    }
    mw_heap_free(crash.held);
    mw_heap_free(crash.given);
    mw_trial_end(&host);
    return rc;
}

enum mw_rc mw_bench_w5(struct mw_bench *bench, struct mw_err *err)
{
    double part = mw_bench_part(bench);
    if (bench->in_flight > 0)
        return crash_with(bench, bench->in_flight, err);
    enum mw_rc rc = crash_with(bench, (uint32_t)(500 * part) + 1 - (part >= 1), err);
    return rc == MW_OK && part >= 1 ? crash_with(bench, 10000, err) : rc;
}
