/*
 * sweep.c - crash_sweep: disturbs the scenarios of subject.h wherever they can be disturbed, judges what is left, and prints a table of it.
 *
 *   crash_sweep                           a few thousand points, everything that `make check` asks
 *   crash_sweep --night                   the long form: a hundred thousand points, random scenarios, pairs
 *   crash_sweep KIND [SCENARIO]           one kind: kill tear fault recovery_kill recovery_fault two_faults | refuse restore disk host
 *       [--seed N] [--at K]               one seed, one point: what a failure's line names
 *       [--jobs N] [--program FILE] [--table FILE] [--keep]
 *
 * Ends with 1 when a promise was broken, a branch of recovery was never reached, or by night something was skipped. MW_SUMMARY=FILE: appends a
 * line of each kind for the night's table. Works in memory (/dev/shm), where syncs cost nothing.
 */
#include "sweep.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 65536
#define IMAGES_CAP (1u << 23) /* a power of two, several times what a night finds */
#define FAILURES_SHOWN 20
#define STOPS_ALL_BY_DAY 300
#define TRIES_MAX 8

static const struct fault {
    enum call_class calls;
    enum strike_kind kind;
    int error;
} faults[] = {
    {CALLS_WRITE, STRIKE_ERROR, EIO},
    {CALLS_WRITE, STRIKE_ERROR, ENOSPC},
    {CALLS_WRITE, STRIKE_ERROR, EINTR},
    {CALLS_WRITE, STRIKE_SHORT, 0}, /* alone it is of the kind TEAR */
    {CALLS_WRITE, STRIKE_ERROR_FROM, EIO},
    {CALLS_SYNC, STRIKE_ERROR, EIO},
    {CALLS_SYNC, STRIKE_ERROR, ENOSPC},
    {CALLS_SYNC, STRIKE_ERROR_FROM, EIO},
    {CALLS_SYNC, STRIKE_SLOW, 0},
    {CALLS_OPEN, STRIKE_ERROR, EIO},
    {CALLS_OPEN, STRIKE_ERROR, EMFILE},
    {CALLS_CREATE, STRIKE_ERROR, ENOSPC},
    {CALLS_NAME, STRIKE_ERROR, EIO},
    {CALLS_NAME, STRIKE_ERROR, ENOSPC},
    {CALLS_SIZE, STRIKE_ERROR, EIO},
    {CALLS_SIZE, STRIKE_ERROR, ENOSPC},
    {CALLS_SIZE, STRIKE_ERROR, EINTR},
    {CALLS_READ, STRIKE_ERROR, EIO},
    {CALLS_READ, STRIKE_ERROR, EINTR},
    {CALLS_READ, STRIKE_SHORT, 0},
    {CALLS_LOOK, STRIKE_ERROR, EIO},
    {CALLS_CLOSE, STRIKE_ERROR, EIO},
    {CALLS_CLOSE, STRIKE_ERROR, EINTR},
    {CALLS_LOCK, STRIKE_ERROR, EIO},
    {CALLS_SPACE, STRIKE_ERROR_FROM, ENOSPC},
};

struct task {
    uint8_t scenario, kind;
    uint64_t seed;
};
/* Shared by the workers. */
static struct shared {
    struct sweep_row rows[SCENARIOS_MAX][KINDS];
    struct sweep_row other; /* refusals */
    long next_task;
    long failures;
    long unknown_branches;
    uint64_t images[IMAGES_CAP];
} * shared;

static struct {
    struct sweep_table table;
    struct task *tasks;
    long task_count;
    char base[64];
    char failures_path[96];
    bool night, keep;
    bool every; /* every point of what is swept */
    const char *table_path;
    pid_t beside_pid; /* the host's and the disk's sweep, which mostly wait; 0: none */
    int beside_status;
    long only_at; /* 0: all */
    long samples; /* of each task of a kind that has more points than can be */
} sweep;

/* One worker's place and the task that it does. */
struct worker {
    char template[128], dir[128], acks_path[128];
    int acks_fd;
    struct call_path run, recovery; /* undisturbed */
    const struct subject *subject;
    struct task task;
    struct sweep_row *row;
    uint64_t dice;
};

/* ---- what a point gives ---- */

MW_PRINTF(2, 3)
static void fail_point(const struct worker *worker, const char *format, ...)
{
    char line[2048];
    int length = snprintf(line, sizeof line,
                          "not ok %s %s --seed %lu: ", sweep_kind_names[worker->task.kind],
                          worker->subject->name, (unsigned long)worker->task.seed);
    va_list args;
    va_start(args, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 2, format, args);
    va_end(args);
    length = length > (int)sizeof line - 2 ? (int)sizeof line - 2 : length;
    line[length++] = '\n';
    __atomic_add_fetch(&worker->row->failures, 1, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&shared->failures, 1, __ATOMIC_RELAXED) > FAILURES_SHOWN)
        return;
    mw_autoclose int fd =
        open(sweep.failures_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0 && write(fd, line, (size_t)length) == length);
}

static void note_image(const struct worker *worker, uint64_t image)
{
    image = subject_mix(image, worker->task.scenario * 16u + worker->task.kind) | 1;
    for (uint64_t at = image >> 8, tries = 0; tries < IMAGES_CAP; at++, tries++) {
        uint64_t *slot = &shared->images[at & (IMAGES_CAP - 1)];
        uint64_t found = 0;
        if (__atomic_compare_exchange_n(slot, &found, image, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            __atomic_add_fetch(&worker->row->images, 1, __ATOMIC_RELAXED);
            return;
        }
        if (found == image)
            return;
    }
}

static void note_branches(struct sweep_row *row, struct mw_str said)
{
    for (size_t at = 0; at < said.len;) {
        size_t end = mw_str_find(said, '\n', at);
        end = end == SIZE_MAX ? said.len : end;
        struct mw_str line = mw_str_sub(said, at, end - at);
        at = end + 1;
        if (!mw_str_starts(line, MW_STR("branch ")))
            continue;
        struct mw_str name = mw_str_sub(line, 7, SIZE_MAX);
        size_t i = 0;
        while (i < sweep.table.branch_count && !mw_str_is(name, sweep.table.branch_names[i]))
            i++;
        if (i < sweep.table.branch_count)
            __atomic_or_fetch(&row->branches, 1ull << i, __ATOMIC_RELAXED);
        else
            __atomic_add_fetch(&shared->unknown_branches, 1, __ATOMIC_RELAXED);
    }
}

static struct mw_buf said_so_far(const struct worker *worker)
{
    struct mw_buf said = mw_heap_buf();
    struct mw_err err;
    MW_ASSERT(mw_file_read(AT_FDCWD, worker->acks_path, (size_t)16 << 20, &said, &err) == MW_OK);
    return said;
}

/* The last line that starts with `start`, for a message; empty when there is none. */
static struct mw_str last_line(struct mw_str said, const char *start)
{
    struct mw_str found = MW_STR_NONE;
    for (size_t at = 0; at < said.len;) {
        size_t end = mw_str_find(said, '\n', at);
        end = end == SIZE_MAX ? said.len : end;
        struct mw_str line = mw_str_sub(said, at, end - at);
        at = end + 1;
        if (mw_str_starts(line, mw_str_of(start)))
            found = line;
    }
    return found;
}

/* ---- jobs of the children ---- */

struct job {
    const struct subject *subject;
    uint64_t seed;
    struct mw_str acks;
};
static int job_prepare(void *context)
{
    const struct job *job = context;
    if (job->subject->prepare != NULL)
        job->subject->prepare(job->seed);
    return 0;
}
static int job_run(void *context)
{
    const struct job *job = context;
    return job->subject->run(job->seed);
}
static int job_recover(void *context)
{
    const struct job *job = context;
    return job->subject->recover();
}
static int job_check(void *context)
{
    const struct job *job = context;
    return subject_check(job->subject, job->acks);
}

static void afresh(struct worker *worker)
{
    place_copy(worker->template, worker->dir);
    MW_ASSERT(ftruncate(worker->acks_fd, 0) == 0);
}

static void disturb(struct worker *worker, struct traced *traced, int (*job)(void *))
{
    struct job context = {.subject = worker->subject, .seed = worker->task.seed};
    trace_run(traced, worker->dir, worker->acks_fd, job, &context);
}

/* The last act of every point: what is left is judged, by a start that nothing disturbs. */
MW_PRINTF(2, 3)
static void judge(struct worker *worker, const char *format, ...)
{
    char words[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    __atomic_add_fetch(&worker->row->points, 1, __ATOMIC_RELAXED);
    note_image(worker, place_image(worker->dir));
    struct mw_buf acks = said_so_far(worker);
    struct job context = {
        .subject = worker->subject, .seed = worker->task.seed, .acks = mw_buf_str(&acks)};
    struct mw_str wrong = last_line(context.acks, "wrong ");
    if (wrong.len > 0)
        fail_point(worker, "%s: %.*s", words, (int)wrong.len, wrong.ptr);
    int status = plain_run(worker->dir, worker->acks_fd, job_check, &context);
    struct mw_buf said = said_so_far(worker);
    struct mw_str all = mw_buf_str(&said);
    note_branches(worker->row, all);
    if (status != 0) {
        struct mw_str after = mw_str_sub(all, acks.len, SIZE_MAX);
        struct mw_str line = last_line(after, "wrong ");
        line = line.len > 0 ? line : last_line(after, "fail ");
        fail_point(worker, "%s: check ended with %s %d: %.*s", words,
                   WIFSIGNALED(status) ? "signal" : "exit",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (int)line.len,
                   line.len > 0 ? line.ptr : "");
    }
    mw_heap_buf_free(&said);
    mw_heap_buf_free(&acks);
}

/* ---- the answer to a failed call ---- */

/* Success, or a refusal whose word fits the failure. A failed sync is never a success (P02). */
static void judge_answer(struct worker *worker, const struct traced *traced, const char *words)
{
    struct mw_buf said = said_so_far(worker);
    struct mw_str line = last_line(mw_buf_str(&said), "fail ");
    char what[32] = "", rc[32] = "";
    bool space = false, failed_sync = false, other = false;
    for (size_t i = 0; i < MW_COUNT(traced->strikes); i++) {
        const struct strike *strike = &traced->strikes[i];
        space = space || (strike->hit && (strike->error == ENOSPC || strike->kind == STRIKE_SHORT));
        other = other || (strike->hit && strike->error != ENOSPC && strike->error != 0);
        bool pruning = worker->subject->prunes_last && strike->seen == strike->at;
        failed_sync = failed_sync || (strike->hit_sync && strike->error != 0 && !pruning);
    }
    if (line.len > 0)
        (void)sscanf(line.ptr, "fail %31s %31s", what, rc);
    bool fits = (other && strcmp(rc, "io") == 0) ||
                (space && (strcmp(rc, "full") == 0 || strcmp(rc, "io") == 0));
    int status = traced->status;
    if (!WIFEXITED(status))
        fail_point(worker, "%s: ended by signal %d", words, WTERMSIG(status));
    else if (WEXITSTATUS(status) == 0 && failed_sync)
        fail_point(worker, "%s: P02: a failed sync was answered with success", words);
    else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SUBJECT_WRONG && !fits)
        fail_point(worker, "%s: answered with exit %d: %.*s", words, WEXITSTATUS(status),
                   (int)line.len, line.len > 0 ? line.ptr : "");
    else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 74 &&
             WEXITSTATUS(status) != SUBJECT_WRONG)
        fail_point(worker, "%s: exit %d is not 74", words, WEXITSTATUS(status));
    mw_heap_buf_free(&said);
}

/* ---- the kinds ---- */

/* The undisturbed job, call for call. Returns the stops in it: before and after each call, but for the last, which ends it. */
static long walk_path(struct worker *worker, struct call_path *path, int (*job)(void *))
{
    struct traced traced = {.path = path};
    path->count = 0;
    disturb(worker, &traced, job);
    return 2 * path->count - 1;
}

/* Killed at a stop of the path that was walked: before or after the n-th call of its number. False: it did not come to it. */
static bool kill_at(struct worker *worker, const struct call_path *path, long stop,
                    int (*job)(void *))
{
    long call = (stop - 1) / 2;
    MW_ASSERT(call < path->count);
    struct traced traced = {.strikes = {{.kind = STRIKE_KILL}},
                            .one_thread = true,
                            .number = path->numbers[call],
                            .at_exit = stop % 2 == 0};
    for (long i = 0; i <= call; i++)
        traced.strikes[0].at += path->numbers[i] == traced.number;
    disturb(worker, &traced, job);
    return traced.killed;
}

static uint64_t roll(struct worker *worker, uint64_t below)
{
    worker->dice = subject_mix(worker->dice, 1);
    return below == 0 ? 0 : worker->dice % below;
}

/* By day a long scenario is looked at here and there, at other places for another seed and another scenario; by night everywhere. */
static long stride_of(const struct worker *worker, long stops, long *ret_from)
{
    long stride = sweep.every || stops <= STOPS_ALL_BY_DAY ? 1 : 1 + stops / STOPS_ALL_BY_DAY;
    stride = worker->task.seed > 1 && !sweep.every ? 8 : stride;
    *ret_from = 1 + (long)((worker->task.seed + worker->task.scenario) % (uint64_t)stride);
    return stride;
}

static void sweep_kill(struct worker *worker)
{
    afresh(worker);
    long stops = walk_path(worker, &worker->run, job_run), from;
    long stride = stride_of(worker, stops, &from);
    for (long at = from; at <= stops; at += stride) {
        if (sweep.only_at != 0 && at != sweep.only_at)
            continue;
        afresh(worker);
        if (!kill_at(worker, &worker->run, at, job_run))
            fail_point(worker, "--at %ld: it ended before stop %ld of %ld", at, at, stops);
        judge(worker, "--at %ld (killed at stop %ld of %ld)", at, at, stops);
    }
}

/* Every write is cut in its middle: once the process is killed there, once it hears of it and goes on. */
static void sweep_tear(struct worker *worker)
{
    static const enum strike_kind kinds[] = {STRIKE_TEAR, STRIKE_SHORT};
    for (size_t kind = 0; kind < MW_COUNT(kinds); kind++)
        for (long at = 1; sweep.only_at == 0 || at <= sweep.only_at; at++) {
            struct traced traced = {
                .strikes = {{.kind = kinds[kind], .calls = CALLS_WRITE, .at = at}},
                .one_thread = true};
            char words[96];
            if (sweep.only_at != 0 && at != sweep.only_at)
                continue;
            afresh(worker);
            disturb(worker, &traced, job_run);
            if (!traced.strikes[0].hit)
                break;
            (void)strike_words(&traced.strikes[0], words);
            if (kinds[kind] == STRIKE_SHORT)
                judge_answer(worker, &traced, words);
            judge(worker, "--at %ld (%s)", at,
                  kinds[kind] == STRIKE_TEAR ? "killed inside the write" : words);
        }
}

static void sweep_fault(struct worker *worker)
{
    afresh(worker);
    long from, stride = stride_of(worker, walk_path(worker, &worker->run, job_run), &from);
    for (size_t i = 0; i < MW_COUNT(faults); i++) {
        if (faults[i].calls == CALLS_WRITE && faults[i].kind == STRIKE_SHORT)
            continue; /* sweep_tear's */
        for (long at = 1; at != 0; at = at == 1 && stride > 1 ? from + stride : at + stride) {
            struct traced traced = {.strikes = {{.kind = faults[i].kind,
                                                 .calls = faults[i].calls,
                                                 .error = faults[i].error,
                                                 .at = at}},
                                    .one_thread = true};
            char words[96];
            afresh(worker);
            disturb(worker, &traced, job_run);
            if (!traced.strikes[0].hit)
                break;
            (void)strike_words(&traced.strikes[0], words);
            judge_answer(worker, &traced, words);
            judge(worker, "%s", words);
        }
    }
}

static void sweep_recovery_kill(struct worker *worker)
{
    afresh(worker);
    long stops = walk_path(worker, &worker->run, job_run);
    for (long sample = 0; sample < sweep.samples; sample++) {
        long at = 1 + (long)roll(worker, (uint64_t)stops);
        afresh(worker);
        bool killed = kill_at(worker, &worker->run, at, job_run);
        long recovery_stops = walk_path(worker, &worker->recovery, job_recover);
        long then = 1 + (long)roll(worker, (uint64_t)recovery_stops);
        afresh(worker);
        killed = kill_at(worker, &worker->run, at, job_run) && killed;
        killed = kill_at(worker, &worker->recovery, then, job_recover) && killed;
        if (!killed)
            fail_point(worker, "it ended before stop %ld, or its recovery before stop %ld", at,
                       then);
        judge(worker, "killed at stop %ld, its recovery at stop %ld", at, then);
    }
}

static void sweep_recovery_fault(struct worker *worker)
{
    afresh(worker);
    long stops = walk_path(worker, &worker->run, job_run);
    for (long sample = 0; sample < sweep.samples; sample++) {
        long at = 1 + (long)roll(worker, (uint64_t)stops);
        const struct fault *fault = &faults[roll(worker, MW_COUNT(faults))];
        struct traced second = {.one_thread = true};
        uint64_t most = 16;
        do { /* where there are fewer such calls, an earlier one */
            second.strikes[0] = (struct strike){.kind = fault->kind,
                                                .calls = fault->calls,
                                                .error = fault->error,
                                                .at = 1 + (long)roll(worker, most)};
            afresh(worker);
            (void)kill_at(worker, &worker->run, at, job_run);
            disturb(worker, &second, job_recover);
            most = (uint64_t)second.strikes[0].seen;
        } while (!second.strikes[0].hit && most > 0);
        if (!second.strikes[0].hit)
            continue;
        char words[96];
        (void)strike_words(&second.strikes[0], words);
        judge_answer(worker, &second, words);
        judge(worker, "killed at stop %ld, and in its recovery %s", at, words);
    }
}

static void sweep_two_faults(struct worker *worker)
{
    for (long sample = 0; sample < sweep.samples; sample++) {
        struct traced traced = {.one_thread = true};
        char words[2][96], both[200];
        for (int tries = 0; tries < TRIES_MAX; tries++) {
            for (size_t i = 0; i < 2; i++) {
                const struct fault *fault = &faults[roll(worker, MW_COUNT(faults))];
                uint64_t most = 16u >> tries / 2;
                traced.strikes[i] = (struct strike){.kind = fault->kind,
                                                    .calls = fault->calls,
                                                    .error = fault->error,
                                                    .at = 1 + (long)roll(worker, most)};
            }
            afresh(worker);
            disturb(worker, &traced, job_run);
            if (traced.strikes[0].hit && traced.strikes[1].hit)
                break;
        }
        if (!traced.strikes[0].hit || !traced.strikes[1].hit)
            continue;
        (void)snprintf(both, sizeof both, "%s, %s", strike_words(&traced.strikes[0], words[0]),
                       strike_words(&traced.strikes[1], words[1]));
        judge_answer(worker, &traced, both);
        judge(worker, "%s", both);
    }
}

/* ---- workers ---- */

static void do_task(struct worker *worker, const struct task *task)
{
    static void (*const kinds[KINDS])(struct worker *) = {
        [KILL] = sweep_kill,
        [TEAR] = sweep_tear,
        [FAULT] = sweep_fault,
        [RECOVERY_KILL] = sweep_recovery_kill,
        [RECOVERY_FAULT] = sweep_recovery_fault,
        [TWO_FAULTS] = sweep_two_faults,
    };
    worker->task = *task;
    worker->subject = &sweep.table.scenarios[task->scenario];
    worker->row = &shared->rows[task->scenario][task->kind];
    worker->dice = subject_mix(task->seed, task->scenario * 100u + task->kind);
    struct job context = {.subject = worker->subject, .seed = task->seed};
    place_make(worker->template);
    if (plain_run(worker->template, worker->acks_fd, job_prepare, &context) != 0) {
        fail_point(worker, "its preparation failed");
        return;
    }
    kinds[task->kind](worker);
}

static void work(int number)
{
    struct worker *worker = mw_heap_alloc(sizeof *worker);
    (void)snprintf(worker->template, sizeof worker->template, "%s/%d.template", sweep.base, number);
    (void)snprintf(worker->dir, sizeof worker->dir, "%s/%d", sweep.base, number);
    (void)snprintf(worker->acks_path, sizeof worker->acks_path, "%s/%d.acks", sweep.base, number);
    worker->acks_fd = open(worker->acks_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MW_ASSERT(worker->acks_fd >= 0);
    for (;;) {
        long next = __atomic_fetch_add(&shared->next_task, 1, __ATOMIC_RELAXED);
        if (next >= sweep.task_count)
            break;
        do_task(worker, &sweep.tasks[next]);
    }
    _exit(0);
}

static int work_all(long jobs)
{
    int broken = 0;
    for (long i = 0; i < jobs; i++) {
        pid_t pid = fork();
        MW_ASSERT(pid >= 0);
        if (pid == 0)
            work((int)i);
    }
    pid_t pid;
    for (int status; (pid = wait(&status)) > 0;) {
        if (pid == sweep.beside_pid)
            sweep.beside_status = status;
        else
            broken += status != 0;
    }
    if (broken > 0)
        printf("not ok crash_sweep: %d of its own workers broke down\n", broken);
    return broken;
}

static void add_tasks(enum sweep_kind kind, const struct subject *only, uint64_t from,
                      uint64_t count)
{
    for (uint64_t seed = from; seed < from + count; seed++)
        for (size_t i = 0; i < sweep.table.scenario_count; i++) {
            if (only != NULL && only != &sweep.table.scenarios[i])
                continue;
            MW_ASSERT(sweep.task_count < TASKS_MAX);
            sweep.tasks[sweep.task_count++] =
                (struct task){.scenario = (uint8_t)i, .kind = (uint8_t)kind, .seed = seed};
        }
}

/* ---- the end ---- */

static void print_failures(void)
{
    FILE *file = fopen(sweep.failures_path, "re");
    char line[2100];
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        printf("    %s", line + (strncmp(line, "not ok ", 7) == 0 ? 7 : 0));
    if (file != NULL)
        (void)fclose(file); /* was only read */
    if (shared->failures > FAILURES_SHOWN)
        printf("    and %ld more\n", shared->failures - FAILURES_SHOWN);
}

static void begin(void)
{
    static const char *const *const lists[] = {subject_journal_branches, subject_blob_branches,
                                               subject_promote_branches, subject_upkeep_branches,
                                               subject_shorten_branches};
    sweep.table.scenarios = subject_all(&sweep.table.scenario_count);
    MW_ASSERT(sweep.table.scenario_count <= SCENARIOS_MAX);
    for (size_t list = 0; list < MW_COUNT(lists); list++)
        for (size_t i = 0; lists[list][i] != NULL; i++) {
            MW_ASSERT(sweep.table.branch_count < BRANCHES_MAX);
            sweep.table.branch_names[sweep.table.branch_count++] = lists[list][i];
        }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MW_ASSERT(shared != MAP_FAILED);
    sweep.table.rows = shared->rows;
    sweep.table.other = &shared->other;
    sweep.tasks = mw_heap_alloc(sizeof *sweep.tasks * TASKS_MAX);
    (void)snprintf(sweep.base, sizeof sweep.base, "%s/mw-sweep-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MW_ASSERT(mkdtemp(sweep.base) != NULL);
    (void)snprintf(sweep.failures_path, sizeof sweep.failures_path, "%s/failures", sweep.base);
}

/* What is no disturbance of a life, but what somebody did to its folder afterwards. */
static int sweep_damage(bool refusals, bool restored)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/damage.acks", sweep.base);
    mw_autoclose int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0);
    int code = refusals ? sweep_refusals(sweep.base, fd) : 0;
    code |= restored ? sweep_restored(sweep.base, fd, sweep.night) : 0;
    struct mw_buf said = mw_heap_buf();
    struct mw_err err;
    MW_ASSERT(mw_file_read(AT_FDCWD, path, (size_t)16 << 20, &said, &err) == MW_OK);
    note_branches(&shared->other, mw_buf_str(&said));
    mw_heap_buf_free(&said);
    return code;
}

/* In a process of its own, beside the workers; what it says is printed after them. */
static void begin_beside(const char *kind, const char *program)
{
    char path[128];
    bool disk = kind == NULL || strcmp(kind, "disk") == 0;
    bool host = kind == NULL || strcmp(kind, "host") == 0;
    if (!disk && !host)
        return;
    sweep.beside_pid = fork();
    MW_ASSERT(sweep.beside_pid >= 0);
    if (sweep.beside_pid > 0)
        return;
    (void)snprintf(path, sizeof path, "%s/beside.out", sweep.base);
    if (freopen(path, "we", stdout) == NULL)
        _exit(74);
    int code = disk ? sweep_disk(sweep.base, sweep.night) : 0;
    code |= host ? sweep_host(sweep.base, program, sweep.night) : 0;
    (void)fflush(stdout);
    _exit(code);
}

static int end_beside(void)
{
    char path[128], line[2048];
    if (sweep.beside_pid == 0)
        return 0;
    (void)snprintf(path, sizeof path, "%s/beside.out", sweep.base);
    FILE *said = fopen(path, "re");
    while (said != NULL && fgets(line, sizeof line, said) != NULL)
        printf("%s", line);
    if (said != NULL)
        (void)fclose(said); /* was only read */
    if (WIFSIGNALED(sweep.beside_status))
        printf("not ok the host's or the disk's sweep was ended by signal %d\n",
               WTERMSIG(sweep.beside_status));
    return sweep.beside_status != 0;
}

static void plan(const char *kind, const struct subject *subject, uint64_t seed)
{
    for (int i = 0; i < KINDS; i++) {
        if (kind != NULL && strcmp(kind, sweep_kind_names[i]) != 0)
            continue;
        bool seeded = seed != UINT64_MAX;
        /* The ways in which a journal may have ended are eleven seeds of one scenario. */
        uint64_t seeds = seeded ? 1 : sweep.night ? (i == KILL ? 18 : i == FAULT ? 8 : 11) : 1;
        add_tasks((enum sweep_kind)i, subject, seeded ? seed : 1, seeds);
        const struct subject *endings = subject_find("recover");
        if (!seeded && !sweep.night && (subject == NULL || subject == endings) && i != TWO_FAULTS)
            for (uint64_t ending = 2; ending <= 11; ending++)
                if (i != FAULT || ending == 3 || ending == 7)
                    add_tasks((enum sweep_kind)i, endings, ending, 1);
    }
}

int main(int count, char **words)
{
    const char *kind = NULL, *program = "build/release/millwright";
    const struct subject *subject = NULL;
    uint64_t seed = UINT64_MAX;
    long jobs = sysconf(_SC_NPROCESSORS_ONLN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin();
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        if (strcmp(words[i], "--night") == 0)
            sweep.night = true;
        else if (strcmp(words[i], "--keep") == 0)
            sweep.keep = true;
        else if (strcmp(words[i], "--seed") == 0)
            seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(words[i], "--at") == 0)
            sweep.only_at = strtol(value, NULL, 10), i++;
        else if (strcmp(words[i], "--jobs") == 0)
            jobs = strtol(value, NULL, 10), i++;
        else if (strcmp(words[i], "--program") == 0)
            program = value, i++;
        else if (strcmp(words[i], "--table") == 0)
            sweep.table_path = value, i++;
        else if (kind == NULL && words[i][0] != '-')
            kind = words[i];
        else if (subject == NULL && (subject = subject_find(words[i])) == NULL) {
            fprintf(stderr, "crash_sweep: '%s' is no scenario and no option\n", words[i]);
            return 2;
        }
    }
    sweep.night = sweep.night || getenv("MW_NIGHT") != NULL;
    sweep.samples = sweep.night ? 100 : 12;
    sweep.every = sweep.night || seed != UINT64_MAX;
    int code = 0;
    if (!trace_possible()) {
        static const char why[] = "skipped: this machine does not let a process be traced";
        printf("%s\n", why);
        table_summary(&sweep.table, why);
        table_summary_line("host lives", 0, 0, "", why);
        place_remove(sweep.base);
        return sweep.night; /* a night tries everything */
    }
    plan(kind, subject, seed);
    if (kind != NULL && sweep.task_count == 0 && strcmp(kind, "refuse") != 0 &&
        strcmp(kind, "restore") != 0 && strcmp(kind, "disk") != 0 && strcmp(kind, "host") != 0) {
        fprintf(stderr, "crash_sweep: there is no kind '%s'\n", kind);
        return 2;
    }
    begin_beside(kind, program);
    code |= work_all(jobs > 0 ? jobs : 1) > 0;
    code |= sweep_damage(kind == NULL || strcmp(kind, "refuse") == 0,
                         kind == NULL || strcmp(kind, "restore") == 0);
    table_lines(&sweep.table);
    print_failures();
    code |= table_print(stdout, &sweep.table, shared->unknown_branches, kind == NULL);
    if (kind == NULL)
        table_summary(&sweep.table, NULL);
    FILE *table = sweep.table_path != NULL ? fopen(sweep.table_path, "we") : NULL;
    if (table != NULL) {
        (void)table_print(table, &sweep.table, shared->unknown_branches, kind == NULL);
        code |= fclose(table) != 0;
    }
    code |= end_beside();
    if (sweep.keep)
        printf("kept: %s\n", sweep.base);
    else
        place_remove(sweep.base);
    return code;
}
