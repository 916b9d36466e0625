/* states.c - many states of one recording: each that nobody has seen is written into a folder and judged. */
#include "power.h"

#include "journal/head.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIDE ".millwright"
#define FAILURES_SHOWN 5
#define CHECK_SECONDS_MAX 120

uint64_t power_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *state ^ *state >> 29;
    return x * 0xbf58476d1ce4e5b9u >> 8;
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

void power_clear(const char *path)
{
    struct mw_err err = {0};
    if (mw_remove_tree(AT_FDCWD, path, &err) != MW_OK || mkdir(path, 0755) != 0) {
        fprintf(stderr, "power_cuts: %s: %s\n", path, err.text);
        exit(2);
    }
}

struct mw_buf power_acks(const struct sweep *sweep, int prefix)
{
    struct mw_buf acks = mw_heap_buf();
    mw_buf_put(&acks, sweep->acks_before);
    for (int i = 0; i < prefix; i++)
        if (sweep->log->list[i].kind == EFFECT_ACK)
            mw_buf_put(&acks, (struct mw_str){sweep->log->list[i].data, sweep->log->list[i].size});
    return acks;
}

void power_count_branch(struct tally *tally, struct mw_str name)
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
            power_count_branch(tally, mw_str_sub(line, 7, SIZE_MAX));
        else if (mw_str_starts(line, MW_STR("wrong")) || mw_str_starts(line, MW_STR("fail")))
            (void)snprintf(ret_words, cap, "%.*s", MW_STR_ARG(line));
        at = end + 1;
    }
    if (ftruncate(said_fd, 0) != 0 || lseek(said_fd, 0, SEEK_SET) != 0)
        abort();
}

bool power_head_mark(const char *root, struct head_mark *ret_mark)
{
    char path[256];
    struct mw_head head = {0};
    struct mw_segments segments;
    enum mw_journal_head state;
    struct mw_err err;
    *ret_mark = (struct head_mark){0};
    (void)snprintf(path, sizeof path, "%s/" SIDE, root);
    mw_autoclose int side_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "%s/" SIDE "/journal", root);
    mw_autoclose int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (side_fd < 0 || dir_fd < 0)
        return true;
    if (mw_segments_list(dir_fd, &segments, &err) != MW_OK)
        return false;
    ret_mark->sealed = segments.count > 1 ? segments.first[segments.count - 1] - 1 : 0;
    mw_segments_free(&segments);
    if (mw_head_read(&mw_journal_sys_real, side_fd, &head, &state, &err) != MW_OK)
        return false;
    ret_mark->seq = head.seq; /* 0 of one that is absent or damaged */
    return true;
}

/*
 * P04: whatever the disk kept, the head names what it had to name by then: it is read before a recovery writes it anew. A life may begin with
 * a head that was lost; then it names again what is sealed as soon as the start has said that it is done, and is never less than it was.
 */
static int check_head(const struct sweep *sweep, struct mw_str acks)
{
    char rest[64];
    struct head_mark now;
    const struct head_mark *before = &sweep->head_before;
    if (!power_head_mark(".", &now))
        return subject_wrong("P04: the head cannot be read");
    bool was_lost = before->seq < before->sealed;
    bool mended = subject_last_ack(acks, "epoch", rest, sizeof rest);
    uint64_t due = was_lost && !mended && now.sealed > before->seq ? before->seq : now.sealed;
    if (now.seq < due)
        return subject_wrong(
            "P04: segments are sealed up to %lu, the head has to name %lu and names %lu",
            (unsigned long)now.sealed, (unsigned long)due, (unsigned long)now.seq);
    if (subject_last_ack(acks, "head", rest, sizeof rest) && strtoull(rest, NULL, 10) > now.seq)
        return subject_wrong("P04: the head was synced at %s and names %lu", rest,
                             (unsigned long)now.seq);
    return 0;
}

int power_check(const struct sweep *sweep, struct mw_str acks)
{
    int code = check_head(sweep, acks);
    return code == 0 ? subject_check(sweep->subject, acks) : code;
}

static int judge(const struct sweep *sweep, const struct image *image, int prefix)
{
    power_clear(sweep->root);
    int root_fd = open(sweep->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0 || !image_write(image, root_fd) || fchdir(root_fd) != 0) {
        fprintf(stderr, "power_cuts: a state cannot be written: %s\n", strerror(errno));
        exit(2);
    }
    struct mw_buf acks = power_acks(sweep, prefix);
    (void)alarm(CHECK_SECONDS_MAX);
    int code = power_check(sweep, mw_buf_str(&acks));
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
    size_t wanted; /* so many that anybody has seen */
};

static bool wants_more(const struct worker *worker)
{
    return __atomic_load_n(&worker->sweep->seen->count, __ATOMIC_RELAXED) < worker->wanted;
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

/* By night every one of a life; of those in which the next life is cut too, where they are not more than a life has states. */
static bool walks_all(const struct sweep *sweep, long structured)
{
    const struct options *options = sweep->options;
    return structured <= sweep->states ||
           (options->every && (sweep->then_of == NULL || structured <= options->states));
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
    bool all = walks_all(sweep, structured);
    for (int i = 0; all && i <= to - from; i++)
        for (long n = 0; n < choices[i].structured; n++)
            visit(worker, &choices[i], n);
    /* However many they were: some coins. */
    size_t coins_from = __atomic_load_n(&sweep->seen->count, __ATOMIC_RELAXED);
    worker->wanted = (size_t)sweep->states + sweep->seen_before;
    if (all && worker->wanted < coins_from + (size_t)sweep->states / 8)
        worker->wanted = coins_from + (size_t)sweep->states / 8;
    long tries = 0, tries_max = 40 * sweep->states;
    for (; wants_more(worker) && tries < tries_max; tries++) {
        struct choice *choice = &choices[power_random(&random) % (uint64_t)(to - from + 1)];
        uint64_t n = power_random(&random);
        bool coins = all || (n & 1) != 0;
        visit(worker, choice,
              coins ? choice->structured + (long)(n >> 1 & 0xffffff)
                    : (long)((n >> 1) % (uint64_t)choice->structured));
    }
    for (int i = 0; i <= to - from; i++) {
        if (worker->number == 0)
            worker->tally->left_out += choice_left_out(&choices[i]);
        choice_end(&choices[i]);
    }
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
bool power_judge_states(struct sweep *sweep)
{
    bool ok = true;
    pid_t workers[JOBS_MAX];
    const int jobs = sweep->options->jobs;
    sweep->seen_before = sweep->seen->count;
    for (int i = 0; i < jobs; i++) {
        struct tally *tally = &sweep->tallies[i];
        tally->judged = tally->broken = 0;
        tally->left_out = 0;
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
