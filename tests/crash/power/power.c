/*
 * power.c - P01 P02 P04 P12 P22: the power is cut after every effect of a scenario on the disk, and the disk keeps any part of what was not synced.
 *
 *   power_cuts [SCENARIO…] [--states N] [--total N] [--seed S] [--jobs J] [--again K] [--subject PROGRAM] [--table FILE]
 *   power_cuts SCENARIO --seed S --at PREFIX:N [--then PREFIX:N] [--keep DIR]     one state again, in words
 *   power_cuts SCENARIO --seed S --effects                                        what was recorded
 *
 * --states: distinct states a scenario (default 300); --again: of them, recoveries during which the power is cut once more (default 12).
 * --total: more rounds, each with the next seed, until there were so many distinct states. With MW_NIGHT: 100,000 on all cores.
 * A scenario is one of crash_subject (subject.h): it runs as a process of its own under the recorder; the states are judged here.
 * MW_SUMMARY=FILE: appends one line for the night's table. Exit 1: a promise was broken, a state could not be judged, or nothing was tried.
 */
#include "../subject.h"
#include "images.h"

#include "journal/head.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIDE ".millwright"
#define JOBS_MAX 64
#define BRANCHES_MAX 128
#define BRANCH_BYTES 48
#define FAILURES_SHOWN 5
#define CHECK_SECONDS_MAX 120
#define SEEN_BITS 23
#define CHOSEN_MAX 64
#define AGAIN_AFTER_A_KILL                                                                         \
    (-2) /* instead of the number of a power cut; -1: a kill and a recovery */

struct options {
    long states;
    long total; /* 0: one round */
    long again;
    uint64_t seed;
    int jobs;
    const char *subject;
    const char *keep;
    const char *table;
    bool effects;
    int at_prefix, then_prefix;
    long at_n, then_n;
};

/* What one worker has come to; in memory that all share. */
struct tally {
    long judged;
    long broken;
    int now_prefix;
    long now_n;
    struct branch {
        char name[BRANCH_BYTES];
        long count;
    } branches[BRANCHES_MAX];
};

/* ---- states that were met already ---- */

struct seen {
    size_t count;
    uint64_t slots[(size_t)1 << SEEN_BITS];
};

/* One recording and the states that come of it. */
struct sweep {
    const struct options *options;
    const struct subject *subject;
    const struct effects *log;
    int first_prefix;
    struct mw_str acks_before; /* of the life that the recorded one followed */
    const char *then_of;       /* the words that replay the state before; NULL */
    long states;
    struct tally *tallies;
    struct seen *seen; /* shared by all workers of all sweeps */
    size_t seen_before;
    char root[96];
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *state ^ *state >> 29;
    return x * 0xbf58476d1ce4e5b9u >> 8;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* True for everybody but the first who asks: whoever finds a state first judges it. */
static bool seen_before(struct seen *seen, uint64_t hash)
{
    hash += hash == 0;
    const size_t mask = ((size_t)1 << SEEN_BITS) - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&seen->slots[at], &there, hash, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            MW_ASSERT(__atomic_add_fetch(&seen->count, 1, __ATOMIC_RELAXED) < mask / 2);
            return false;
        }
        if (there == hash)
            return true;
    }
}

/* ---- judging one state ---- */

static void clear_folder(const char *path)
{
    struct mw_err err = {0};
    if (mw_remove_tree(AT_FDCWD, path, &err) != MW_OK || mkdir(path, 0755) != 0) {
        fprintf(stderr, "power_cuts: %s: %s\n", path, err.text);
        exit(2);
    }
}

static struct mw_buf acks_of(const struct sweep *sweep, int prefix)
{
    struct mw_buf acks = mw_heap_buf();
    mw_buf_put(&acks, sweep->acks_before);
    for (int i = 0; i < prefix; i++)
        if (sweep->log->list[i].kind == EFFECT_ACK)
            mw_buf_put(&acks, (struct mw_str){sweep->log->list[i].data, sweep->log->list[i].size});
    return acks;
}

static void count_branch(struct tally *tally, struct mw_str name)
{
    for (int i = 0; i < BRANCHES_MAX; i++) {
        struct branch *branch = &tally->branches[i];
        if (branch->count == 0)
            (void)snprintf(branch->name, sizeof branch->name, "%.*s", MW_STR_ARG(name));
        if (mw_str_is(name, branch->name)) {
            branch->count++;
            return;
        }
    }
}

/* What the check said: its branches are counted, its complaint is kept. */
static void hear(int said_fd, struct tally *tally, char *ret_words, size_t cap)
{
    static char text[65536];
    ssize_t got = pread(said_fd, text, sizeof text, 0);
    struct mw_str said = {text, got > 0 ? (size_t)got : 0};
    ret_words[0] = '\0';
    for (size_t at = 0; at < said.len;) {
        size_t end = mw_str_find(said, '\n', at);
        end = end == SIZE_MAX ? said.len : end;
        struct mw_str line = mw_str_sub(said, at, end - at);
        if (mw_str_starts(line, MW_STR("branch ")))
            count_branch(tally, mw_str_sub(line, 7, SIZE_MAX));
        else if (mw_str_starts(line, MW_STR("wrong")) || mw_str_starts(line, MW_STR("fail")))
            (void)snprintf(ret_words, cap, "%.*s", MW_STR_ARG(line));
        at = end + 1;
    }
    if (ftruncate(said_fd, 0) != 0 || lseek(said_fd, 0, SEEK_SET) != 0)
        abort();
}

/* P04: whatever the disk kept, the head names what it had to name by then: it is read before a recovery writes it anew. */
static int check_head(struct mw_str acks)
{
    char rest[64];
    struct mw_head head = {0};
    struct mw_segments segments;
    enum mw_journal_head state;
    struct mw_err err;
    mw_autoclose int side_fd = open(SIDE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_autoclose int dir_fd = open(SIDE "/journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (side_fd < 0 || dir_fd < 0 || mw_segments_list(dir_fd, &segments, &err) != MW_OK)
        return 0;
    uint64_t sealed = segments.count > 1 ? segments.first[segments.count - 1] - 1 : 0;
    mw_segments_free(&segments);
    if (mw_head_read(&mw_journal_sys_real, side_fd, &head, &state, &err) != MW_OK)
        return subject_wrong("P04: the head cannot be read: %s", err.text);
    if (head.seq < sealed)
        return subject_wrong("P04: segments are sealed up to %lu, the head names %lu",
                             (unsigned long)sealed, (unsigned long)head.seq);
    if (subject_last_ack(acks, "head", rest, sizeof rest) && strtoull(rest, NULL, 10) > head.seq)
        return subject_wrong("P04: the head was synced at %s and names %lu", rest,
                             (unsigned long)head.seq);
    return 0;
}

static int judge(const struct sweep *sweep, const struct image *image, int prefix)
{
    clear_folder(sweep->root);
    int root_fd = open(sweep->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0 || !image_write(image, root_fd) || fchdir(root_fd) != 0) {
        fprintf(stderr, "power_cuts: a state cannot be written: %s\n", strerror(errno));
        exit(2);
    }
    struct mw_buf acks = acks_of(sweep, prefix);
    (void)alarm(CHECK_SECONDS_MAX);
    int code = check_head(mw_buf_str(&acks));
    if (code == 0)
        code = subject_check(sweep->subject, mw_buf_str(&acks));
    (void)alarm(0);
    mw_heap_buf_free(&acks);
    (void)close(root_fd);
    return code;
}

static void complain(const struct sweep *sweep, int prefix, long n, const char *words)
{
    fprintf(stderr, "BROKEN  %s: %s\n        again: power_cuts %s --seed %lu %s%s %d:%ld\n",
            sweep->subject->name, words, sweep->subject->name, (unsigned long)sweep->options->seed,
            sweep->then_of != NULL ? sweep->then_of : "",
            sweep->then_of != NULL ? " --then" : "--at", prefix, n);
}

/* ---- many ---- */

struct worker {
    const struct sweep *sweep;
    int number;
    uint64_t salt; /* the same tree of another scenario is another state */
    struct image image;
    struct tally *tally;
    int said_fd;
};

static bool wants_more(const struct worker *worker)
{
    size_t count = __atomic_load_n(&worker->sweep->seen->count, __ATOMIC_RELAXED);
    return count < worker->sweep->seen_before + (size_t)worker->sweep->states;
}

/* Every worker walks the same way; what nobody has seen yet is judged. */
static void visit(struct worker *worker, struct choice *choice, long n)
{
    choice_take(choice, n);
    image_build(&worker->image, choice);
    if (seen_before(worker->sweep->seen, worker->image.hash ^ worker->salt))
        return;
    worker->tally->now_prefix = choice->prefix;
    worker->tally->now_n = n;
    int code = judge(worker->sweep, &worker->image, choice->prefix);
    char words[512];
    hear(worker->said_fd, worker->tally, words, sizeof words);
    worker->tally->judged++;
    if (code == 0)
        return;
    if (worker->tally->broken++ < FAILURES_SHOWN)
        complain(worker->sweep, choice->prefix, n,
                 words[0] != '\0' ? words : "the check failed and did not say why");
}

/* Everything lost and everything kept after every effect; then, if there is room for it, every structured state, else a sample; then coins. */
static void walk(struct worker *worker)
{
    const struct sweep *sweep = worker->sweep;
    const int from = sweep->first_prefix, to = sweep->log->count;
    struct choice *choices = mw_heap_alloc(sizeof *choices * (size_t)(to - from + 1));
    long structured = 0;
    uint64_t random = sweep->options->seed * 2654435761u + 17;
    for (int prefix = from; prefix <= to; prefix++) {
        choice_begin(&choices[prefix - from], sweep->log, prefix, sweep->options->seed);
        structured += choices[prefix - from].structured;
    }
    for (int i = 0; i <= to - from; i++) {
        visit(worker, &choices[i], 0);
        visit(worker, &choices[i],
              choices[i].loose_count <= EXHAUSTIVE_MAX ? (1L << choices[i].loose_count) - 1 : 1);
    }
    bool all = structured <= sweep->states;
    for (int i = 0; all && i <= to - from; i++)
        for (long n = 0; n < choices[i].structured; n++)
            visit(worker, &choices[i], n);
    long tries = 0, tries_max = 40 * sweep->states;
    for (; wants_more(worker) && tries < tries_max; tries++) {
        struct choice *choice = &choices[next_random(&random) % (uint64_t)(to - from + 1)];
        uint64_t n = next_random(&random);
        bool coins = all || (n & 1) != 0;
        visit(worker, choice,
              coins ? choice->structured + (long)(n >> 1 & 0xffffff)
                    : (long)((n >> 1) % (uint64_t)choice->structured));
    }
    for (int i = 0; i <= to - from; i++)
        choice_end(&choices[i]);
    mw_heap_free(choices);
}

static void work(struct sweep *sweep, int number)
{
    struct worker worker = {.sweep = sweep, .number = number, .tally = &sweep->tallies[number]};
    size_t length = strlen(sweep->root);
    (void)snprintf(sweep->root + length, sizeof sweep->root - length, "/%d", number);
    struct mw_str name = mw_str_of(sweep->subject->name);
    worker.salt = (uint64_t)mw_crc32c(0, name) << 32 | mw_crc32c(1, sweep->acks_before);
    worker.said_fd = memfd_create("said", 0);
    if (worker.said_fd < 0 || dup2(worker.said_fd, 1) < 0)
        abort();
    image_open(&worker.image, sweep->log);
    walk(&worker);
    image_close(&worker.image);
    (void)close(worker.said_fd);
}

/* False: something is broken. */
static bool run_workers(struct sweep *sweep)
{
    bool ok = true;
    pid_t workers[JOBS_MAX];
    const int jobs = sweep->options->jobs;
    sweep->seen_before = sweep->seen->count;
    for (int i = 0; i < jobs; i++) {
        struct tally *tally = &sweep->tallies[i];
        tally->judged = tally->broken = 0;
        workers[i] = fork();
        if (workers[i] == 0) {
            work(sweep, i);
            _exit(0);
        }
        MW_ASSERT(workers[i] > 0);
    }
    for (int i = 0; i < jobs; i++) {
        int status;
        if (waitpid(workers[i], &status, 0) != workers[i])
            abort();
        if (status != 0) {
            char words[80];
            (void)snprintf(words, sizeof words, "the check died: %s %d",
                           WIFSIGNALED(status) ? "signal" : "exit",
                           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            complain(sweep, sweep->tallies[i].now_prefix, sweep->tallies[i].now_n, words);
            ok = false;
        }
        ok = ok && sweep->tallies[i].broken == 0;
    }
    return ok;
}

/* ---- recording ---- */

static bool record(const struct options *options, const struct subject *subject, const char *verb,
                   const char *dir, struct effects *ret_log)
{
    char seed[32];
    (void)snprintf(seed, sizeof seed, "%lu", (unsigned long)options->seed);
    bool seeded = strcmp(verb, "recover") != 0;
    const char *argv[] = {options->subject,         verb, subject->name, dir,
                          seeded ? "--seed" : NULL, seed, NULL};
    if (!effects_record((char *const *)argv, dir, ret_log) || ret_log->status != 0) {
        fprintf(stderr, "power_cuts: %s %s cannot be recorded: %s (status %d)\n", verb,
                subject->name, ret_log->error, ret_log->status);
        return false;
    }
    return true;
}

static bool prepare(const struct options *options, const struct subject *subject, const char *dir)
{
    clear_folder(dir);
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(dir) != 0)
            _exit(2);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, 1) < 0)
            _exit(2);
        if (subject->prepare != NULL)
            subject->prepare(options->seed);
        _exit(0);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* What was there before is not cut: the first effect of the run itself. */
static int first_effect(const struct effects *log)
{
    int i = 0;
    while (i < log->count && log->list[i].durable_at < 0)
        i++;
    return i;
}

static void show(const struct effects *log)
{
    static const char *const words[] = {
        [EFFECT_WRITE] = "write",       [EFFECT_SIZE] = "size",     [EFFECT_MODE] = "mode",
        [EFFECT_NAME] = "name",         [EFFECT_UNNAME] = "unname", [EFFECT_RENAME] = "rename",
        [EFFECT_EXCHANGE] = "exchange", [EFFECT_SYNC] = "sync",     [EFFECT_ACK] = "ack"};
    for (int i = 0; i < log->count; i++) {
        const struct effect *effect = &log->list[i];
        printf("%4d %-8s object %d folder %d/%d %s %s offset %lu size %lu durable at %d %.*s\n", i,
               words[effect->kind], effect->object, effect->folder, effect->folder2,
               effect->name != NULL ? effect->name : "", effect->name2 != NULL ? effect->name2 : "",
               (unsigned long)effect->offset, (unsigned long)effect->size,
               effect->durable_at == NEVER ? -2 : effect->durable_at,
               effect->kind == EFFECT_ACK ? (int)effect->size - 1 : 0,
               effect->kind == EFFECT_ACK ? effect->data : "");
    }
}

/* ---- one scenario ---- */

static void gather_branches(struct tally *all, const struct tally *tallies, int jobs)
{
    for (int job = 0; job < jobs; job++)
        for (int i = 0; i < BRANCHES_MAX && tallies[job].branches[i].count > 0; i++) {
            count_branch(all, mw_str_of(tallies[job].branches[i].name));
            for (int b = 0; b < BRANCHES_MAX; b++)
                if (strcmp(all->branches[b].name, tallies[job].branches[i].name) == 0)
                    all->branches[b].count += tallies[job].branches[i].count - 1;
        }
}

static long everything_kept(const struct choice *choice)
{
    return choice->loose_count <= EXHAUSTIVE_MAX ? (1L << choice->loose_count) - 1 : 1;
}

/* Writes the state that (prefix, n) of a log names; n < 0: with everything in it, as after a kill. */
static bool write_state(const struct effects *log, const struct options *options, int prefix,
                        long n, const char *dir)
{
    struct choice choice;
    struct image image;
    clear_folder(dir);
    choice_begin(&choice, log, prefix, options->seed);
    choice_take(&choice, n >= 0 ? n : everything_kept(&choice));
    image_open(&image, log);
    image_build(&image, &choice);
    int root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = root_fd >= 0 && image_write(&image, root_fd);
    if (root_fd >= 0)
        (void)close(root_fd);
    image_close(&image);
    choice_end(&choice);
    return ok;
}

/* The effects of a recovery that followed a kill, not a power cut: what was loose before it still is. */
static void join_lives(const struct effects *first, int prefix, const struct options *options,
                       struct effects *then)
{
    struct choice choice;
    struct image image;
    struct effects joined;
    int *objects = mw_heap_alloc(sizeof *objects * (size_t)then->object_count);
    choice_begin(&choice, first, prefix, options->seed);
    choice_take(&choice, everything_kept(&choice));
    image_open(&image, first);
    image_build(&image, &choice);
    for (int i = 0; i < then->object_count; i++)
        objects[i] = i == 0 ? 0 : -1;
    /* Both list a tree from the root down, so a folder is known before what is in it. */
    for (int i = 0; i < then->count && then->list[i].durable_at < 0; i++)
        for (int e = 0; e < image.count; e++)
            if (image.entries[e].folder == objects[then->list[i].folder] &&
                strcmp(image.entries[e].name, then->list[i].name) == 0)
                objects[then->list[i].object] = image.entries[e].object;
    for (int i = 0; i < then->count && then->list[i].durable_at < 0; i++)
        MW_ASSERT(objects[then->list[i].object] >= 0); /* it is what was written there */
    effects_join(first, prefix, then, objects, &joined);
    effects_free(then);
    *then = joined;
    image_close(&image);
    choice_end(&choice);
    mw_heap_free(objects);
}

/* The life after a kill: a start that recovers, or one that is asked for the same things again. */
static const char *verb_after(long n)
{
    return n == AGAIN_AFTER_A_KILL ? "run" : "recover";
}

/* The next life is recorded, and the power is cut in it too. n < 0: it follows a kill, else the power cut of that number. */
static bool cut_again(const struct sweep *sweep, const char *dir, int prefix, long n)
{
    struct effects log = {0};
    char words[64];
    (void)snprintf(words, sizeof words, "--at %d:%ld", prefix, n);
    bool ok = write_state(sweep->log, sweep->options, prefix, n, dir);
    ok = ok && record(sweep->options, sweep->subject, verb_after(n), dir, &log);
    int first_prefix = first_effect(&log);
    if (ok && n < 0) {
        join_lives(sweep->log, prefix, sweep->options, &log);
        first_prefix = prefix;
    }
    if (ok) {
        struct mw_buf acks = acks_of(sweep, prefix);
        struct sweep again = *sweep;
        again.log = &log;
        again.first_prefix = first_prefix;
        if (n >= 0) /* the joined lives have the acknowledgements of both */
            again.acks_before = mw_buf_str(&acks);
        again.then_of = words;
        again.states = sweep->states / sweep->options->again + 1;
        ok = run_workers(&again);
        mw_heap_buf_free(&acks);
    }
    effects_free(&log);
    return ok;
}

struct result {
    long effects, states, broken, again;
    double seconds;
    bool ok;
};

static void add_judged(struct result *result, const struct tally *tallies, int jobs, long *counted)
{
    for (int i = 0; i < jobs; i++) {
        *counted += tallies[i].judged;
        result->broken += tallies[i].broken;
    }
}

/* Killed between a rename and its sync: exchanges first, then renames in an order that the seed gives. */
static int after_a_rename(const struct sweep *sweep, long k, int otherwise)
{
    const struct effects *log = sweep->log;
    int places[1024], count = 0, exchanges = 0;
    for (int i = sweep->first_prefix; i < log->count && count < 1024; i++) {
        if (log->list[i].kind == EFFECT_EXCHANGE) {
            places[count++] = places[exchanges];
            places[exchanges++] = i + 1;
        } else if (log->list[i].kind == EFFECT_RENAME) {
            places[count++] = i + 1;
        }
    }
    if (k >= count)
        return otherwise;
    if (k < exchanges)
        return places[k];
    uint64_t turn = sweep->options->seed % (uint64_t)(count - exchanges);
    return places[exchanges +
                  (int)((turn + (uint64_t)(k - exchanges)) % (uint64_t)(count - exchanges))];
}

static void sweep_scenario(struct sweep *sweep, struct result *result)
{
    char dir[128];
    struct effects log = {0};
    const struct options *options = sweep->options;
    (void)snprintf(dir, sizeof dir, "%s/run", sweep->root);
    result->ok =
        prepare(options, sweep->subject, dir) && record(options, sweep->subject, "run", dir, &log);
    if (!result->ok || options->effects) {
        show(&log);
        effects_free(&log);
        return;
    }
    sweep->log = &log;
    sweep->first_prefix = first_effect(&log);
    sweep->states = options->states;
    result->effects += log.count - sweep->first_prefix;
    result->ok = run_workers(sweep);
    add_judged(result, sweep->tallies, options->jobs, &result->states);
    uint64_t random = options->seed + 99;
    for (long k = 0; result->ok && k < options->again; k++) {
        int prefix = sweep->first_prefix +
                     (int)(next_random(&random) % (uint64_t)(log.count - sweep->first_prefix + 1));
        long n = (long)(next_random(&random) & 0xffffff);
        bool killed = k % 4 != 3; /* what is loose then stays loose in the next life */
        if (killed)
            prefix = after_a_rename(sweep, k / 4 * 3 + k % 4, prefix);
        result->ok = cut_again(sweep, dir, prefix,
                               !killed      ? n
                               : k % 4 == 2 ? AGAIN_AFTER_A_KILL
                                            : -1);
        add_judged(result, sweep->tallies, options->jobs, &result->again);
    }
    sweep->log = NULL;
    effects_free(&log);
}

/* --at: one state, in words, on the standard output. */
static int replay(const struct options *options, const struct subject *subject, const char *base)
{
    char dir[96];
    struct effects log = {0}, second = {0};
    (void)snprintf(dir, sizeof dir, "%s/run", base);
    if (!prepare(options, subject, dir) || !record(options, subject, "run", dir, &log))
        return 1;
    const char *to = options->keep != NULL ? options->keep : dir;
    struct sweep sweep = {.options = options, .subject = subject, .log = &log};
    struct mw_buf acks = acks_of(&sweep, options->at_prefix);
    bool ok = write_state(&log, options, options->at_prefix, options->at_n, dir);
    if (ok && options->then_prefix >= 0) {
        ok = record(options, subject, verb_after(options->at_n), dir, &second);
        sweep.log = &second;
        if (ok && options->at_n < 0) {
            join_lives(&log, options->at_prefix, options, &second);
            mw_buf_reset(&acks);
        }
        struct mw_buf more = acks_of(&sweep, options->then_prefix);
        mw_buf_put(&acks, mw_buf_str(&more));
        mw_heap_buf_free(&more);
        ok = ok && write_state(&second, options, options->then_prefix, options->then_n, to);
    } else if (ok) {
        ok = write_state(&log, options, options->at_prefix, options->at_n, to);
    }
    if (!ok || (options->keep != NULL && printf("the state is in %s\n", to) < 0) || chdir(to) != 0)
        return 2;
    printf("acknowledged:\n%.*s", MW_STR_ARG(mw_buf_str(&acks)));
    fflush(stdout);
    int code = options->keep != NULL ? 0 : check_head(mw_buf_str(&acks));
    if (options->keep == NULL && code == 0)
        code = subject_check(subject, mw_buf_str(&acks));
    mw_heap_buf_free(&acks);
    effects_free(&log);
    effects_free(&second);
    return code;
}

/* ---- the whole ---- */

static bool at_of(const char *text, int *ret_prefix, long *ret_n)
{
    char *colon;
    *ret_prefix = (int)strtol(text, &colon, 10);
    if (*colon != ':')
        return false;
    *ret_n = strtol(colon + 1, NULL, 10);
    return true;
}

static bool read_options(int count, char **words, struct options *options,
                         const struct subject **chosen, size_t *chosen_count)
{
    for (int i = 1; i < count; i++) {
        if (*chosen_count == CHOSEN_MAX)
            return false;
        const char *next = i + 1 < count ? words[i + 1] : "";
        if (words[i][0] != '-') {
            chosen[*chosen_count] = subject_find(words[i]);
            if (chosen[(*chosen_count)++] == NULL)
                return false;
            continue;
        }
        if (strcmp(words[i], "--effects") == 0) {
            options->effects = true;
            continue;
        }
        i++;
        if (strcmp(words[i - 1], "--states") == 0)
            options->states = strtol(next, NULL, 10);
        else if (strcmp(words[i - 1], "--total") == 0)
            options->total = strtol(next, NULL, 10);
        else if (strcmp(words[i - 1], "--table") == 0)
            options->table = next;
        else if (strcmp(words[i - 1], "--again") == 0)
            options->again = strtol(next, NULL, 10);
        else if (strcmp(words[i - 1], "--seed") == 0)
            options->seed = strtoull(next, NULL, 10);
        else if (strcmp(words[i - 1], "--jobs") == 0)
            options->jobs = (int)strtol(next, NULL, 10);
        else if (strcmp(words[i - 1], "--subject") == 0)
            options->subject = next;
        else if (strcmp(words[i - 1], "--keep") == 0)
            options->keep = next;
        else if (strcmp(words[i - 1], "--at") == 0 &&
                 at_of(next, &options->at_prefix, &options->at_n))
            continue;
        else if (strcmp(words[i - 1], "--then") != 0 ||
                 !at_of(next, &options->then_prefix, &options->then_n))
            return false;
    }
    return options->jobs >= 1 && options->jobs <= JOBS_MAX && options->states > 0;
}

static void append_summary(long states, long broken, size_t scenarios, long branches, bool ok)
{
    const char *path = getenv("MW_SUMMARY");
    FILE *file = path != NULL ? fopen(path, "ae") : NULL;
    if (file == NULL)
        return;
    (void)fprintf(file, "power-cut states|%ld|%ld|%zu scenarios, %ld branches of recovery|%s\n",
                  states, broken, scenarios, branches, ok ? "ok" : "FAILED");
    (void)fclose(file);
}

static long print_table(FILE *out, const struct subject *const *chosen, size_t count,
                        const struct result *results, const struct tally *branches)
{
    long branch_count = 0;
    fprintf(out, "\n%-20s %9s %9s %9s %9s %7s\n", "scenario", "effects", "states", "in a rec.",
            "broken", "s");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%-20s %9ld %9ld %9ld %9ld %7.1f\n", chosen[i]->name, results[i].effects,
                results[i].states, results[i].again, results[i].broken, results[i].seconds);
    fprintf(out, "\nbranches of recovery that were reached:\n");
    for (int i = 0; i < BRANCHES_MAX && branches->branches[i].count > 0; i++, branch_count++)
        fprintf(out, "    %-44s %9ld\n", branches->branches[i].name, branches->branches[i].count);
    return branch_count;
}

/* Round after round, each with another seed, until there are enough. */
static void sweep_rounds(struct options *options, const struct subject *const *chosen, size_t count,
                         struct sweep *sweep, struct result *results, struct tally *branches)
{
    for (;; options->seed++) {
        size_t before = sweep->seen->count;
        bool ok = true;
        for (size_t i = 0; i < count; i++) {
            double from = now_s();
            struct sweep one = *sweep;
            one.subject = chosen[i];
            memset(sweep->tallies, 0, sizeof *sweep->tallies * JOBS_MAX);
            sweep_scenario(&one, &results[i]);
            gather_branches(branches, sweep->tallies, options->jobs);
            results[i].seconds += now_s() - from;
            ok = ok && results[i].ok;
        }
        size_t found = sweep->seen->count - before;
        if (!ok || options->effects || options->total == 0 || found < count ||
            (long)sweep->seen->count >= options->total)
            return;
    }
}

static void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

static int sweep_all(struct options *options, const struct subject *const *chosen, size_t count,
                     const char *base)
{
    struct sweep sweep = {.options = options,
                          .acks_before = MW_STR_NONE,
                          .tallies = shared_memory(sizeof(struct tally) * JOBS_MAX),
                          .seen = shared_memory(sizeof(struct seen))};
    struct tally *branches = mw_heap_alloc(sizeof *branches);
    struct result *results = mw_heap_alloc(sizeof *results * count);
    (void)snprintf(sweep.root, sizeof sweep.root, "%s", base);
    sweep_rounds(options, chosen, count, &sweep, results, branches);
    long states = 0, broken = 0;
    bool ok = true;
    for (size_t i = 0; !options->effects && i < count; i++) {
        bool held = results[i].ok && results[i].states > 0;
        printf("%s %s: %s: the power is cut after every effect, any part of what was not synced is "
               "lost (%ld states, %ld in a recovery)\n",
               held ? "ok" : "not ok", chosen[i]->proves, chosen[i]->name, results[i].states,
               results[i].again);
        states += results[i].states + results[i].again;
        broken += results[i].broken;
        ok = ok && held;
    }
    if (!options->effects) {
        FILE *table = options->table != NULL ? fopen(options->table, "we") : stdout;
        MW_ASSERT(table != NULL);
        long reached = print_table(table, chosen, count, results, branches);
        fprintf(table, "%ld distinct states, %ld broken, %ld branches of recovery\n", states,
                broken, reached);
        if (options->table != NULL)
            (void)fclose(table);
        append_summary(states, broken, count, reached, ok);
    }
    mw_heap_free(branches);
    mw_heap_free(results);
    return ok ? 0 : 1;
}

int main(int count, char **words)
{
    static const struct subject *chosen[CHOSEN_MAX];
    size_t chosen_count = 0, all_count;
    char beside[4096];
    struct options options = {
        .states = 300, .again = 12, .seed = 1, .jobs = 1, .at_prefix = -1, .then_prefix = -1};
    if (getenv("MW_NIGHT") != NULL) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        options.total = 100000;
        options.states = 2000;
        options.again = 24;
        options.jobs = (int)(cores < 1 ? 1 : cores > JOBS_MAX ? JOBS_MAX : cores);
    }
    ssize_t length = readlink("/proc/self/exe", beside, sizeof beside - 32);
    while (length > 0 && beside[length - 1] != '/')
        length--;
    (void)snprintf(beside + length, 32, "crash_subject");
    options.subject = beside;
    const struct subject *all = subject_all(&all_count);
    if (!read_options(count, words, &options, chosen, &chosen_count)) {
        fprintf(stderr, "power_cuts: not understood; the head of power.c has the options\n");
        return 2;
    }
    for (size_t i = 0; chosen_count == 0 && i < all_count; i++)
        chosen[i] = &all[i];
    chosen_count = chosen_count == 0 ? all_count : chosen_count;
    (void)signal(SIGXFSZ, SIG_IGN);
    char base[64];
    (void)snprintf(base, sizeof base, "%s/mw-power-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(base) == NULL) {
        perror("power_cuts");
        return 2;
    }
    int code = options.at_prefix >= 0 ? replay(&options, chosen[0], base)
                                      : sweep_all(&options, chosen, chosen_count, base);
    struct mw_err ignored; /* a folder for this run only */
    (void)!chdir("/");
    if (mw_remove_tree(AT_FDCWD, base, &ignored) != MW_OK)
        fprintf(stderr, "power_cuts: '%s' stays\n", base);
    return code;
}
