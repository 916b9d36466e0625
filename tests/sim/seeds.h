/*
 * seeds.h - many seeds, on all cores: each process plays every n-th of them.
 *
 * MW_SEED=N plays one seed, in this process, so that a debugger sees it. MW_SEEDS=N plays so many, MW_FROM=N begins there, MW_NIGHT=1 plays
 * 100,000, MW_JOBS=N in so many processes. However a process ends that plays a seed (an assert of the core, a signal, a sanitizer's word, no end),
 * the seed is said, with the command that plays it again.
 */
#ifndef MW_TEST_SEEDS_H
#define MW_TEST_SEEDS_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS_TOTALS 512
#define SEEDS_NIGHT 100000u
#define SEEDS_JOBS_MAX 256u
#define SEEDS_LIMIT_S 120u        /* one seed takes a second or two */
#define SEEDS_NIGHT_LIMIT_S 1800u /* under valgrind, beside everything else */

/* What a process that plays has in common with the one that waits for it. */
struct seeds_slot {
    uint64_t totals[SEEDS_TOTALS];
    uint64_t seed; /* that is being played */
    bool plays;    /* one is */
};

static struct seeds_slot *seeds_mine; /* NULL: nobody waits for this process */
static unsigned seeds_limit_s;        /* 0: the usual one */

/* Some seeds, all of them this process's: from, from + step, ... below end; each is told to seeds_begin() first. totals: SEEDS_TOTALS numbers, added
 * up over all processes. */
typedef void seeds_play(uint64_t from, uint64_t step, uint64_t end, bool is_worker,
                        uint64_t *totals);

static inline uint64_t seeds_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

/* From here on this process plays that seed, and has so long for it. */
static inline void seeds_begin(uint64_t seed)
{
    if (seeds_mine == NULL)
        return;
    seeds_mine->seed = seed;
    seeds_mine->plays = true;
    (void)alarm(seeds_limit_s > 0            ? seeds_limit_s
                : getenv("MW_NIGHT") != NULL ? SEEDS_NIGHT_LIMIT_S
                                             : SEEDS_LIMIT_S);
}

static inline void seeds_tell(const struct seeds_slot *slot, int status)
{
    char how[100];
    if (!WIFSIGNALED(status))
        (void)snprintf(how, sizeof how, "exit code %d", WEXITSTATUS(status));
    else if (WTERMSIG(status) == SIGALRM)
        (void)snprintf(how, sizeof how, "it does not end");
    else
        (void)snprintf(how, sizeof how, "signal %d, %s", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    if (slot->plays)
        fprintf(stderr, "\nseed %lu: %s: run again with MW_SEED=%lu %s\n",
                (unsigned long)slot->seed, how, (unsigned long)slot->seed, program_invocation_name);
    else
        fprintf(stderr, "\nbefore its first seed: %s\n", how);
}

/* For the night's table: what|how many|how many were broken|more words|ok or FAILED. */
static inline void seeds_summary(const char *what, uint64_t count, bool failed)
{
    const char *path = getenv("MW_SUMMARY");
    FILE *file = path != NULL && path[0] != '\0' ? fopen(path, "ae") : NULL;
    if (file == NULL)
        return;
    fprintf(file, "%s|%lu|%d|seeds; a failed one prints how it is played again|%s\n", what,
            (unsigned long)count, failed ? 1 : 0, failed ? "FAILED" : "ok");
    (void)fclose(file);
}

/* In a process that plays nothing is caught: cmocka's own handlers would go on with the tests that come after. */
static inline void seeds_end_by_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)signal(numbers[i], SIG_DFL);
}

/* from, from + 1, ... by so many processes. False: one of them did not end well. */
static inline bool seeds_spread(seeds_play *play, uint64_t from, uint64_t count, uint64_t jobs,
                                uint64_t *totals)
{
    if (seeds_mine != NULL) /* it left its seed by a failed assertion, and was to go on */
        _exit(1);
    jobs = jobs < 1 ? 1 : jobs > SEEDS_JOBS_MAX ? SEEDS_JOBS_MAX : jobs;
    jobs = jobs > count ? count : jobs;
    const size_t bytes = (size_t)jobs * sizeof(struct seeds_slot);
    struct seeds_slot *slots =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[SEEDS_JOBS_MAX];
    bool well = true;
    assert_true(slots != MAP_FAILED);
    for (uint64_t i = 0; i < jobs; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            seeds_mine = &slots[i];
            seeds_end_by_signals();
            play(from + i, jobs, from + count, true, slots[i].totals);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < jobs; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        if (status != 0)
            seeds_tell(&slots[i], status);
        well = well && status == 0;
        for (unsigned t = 0; t < SEEDS_TOTALS; t++)
            totals[t] += slots[i].totals[t];
    }
    (void)munmap(slots, bytes);
    return well;
}

/* So many of a night's seeds are each part's that all parts together play no fewer. */
static inline uint64_t seeds_of_night(uint64_t parts)
{
    return (SEEDS_NIGHT + parts - 1) / parts;
}

/* quick: how many in `make check`; the parts of one night together play SEEDS_NIGHT. */
static inline void seeds_run(const char *what, seeds_play *play, uint64_t quick, uint64_t parts,
                             uint64_t *totals)
{
    if (getenv("MW_SEED") != NULL) {
        uint64_t seed = seeds_number("MW_SEED", 1);
        play(seed, 1, seed + 1, false, totals);
        return;
    }
    uint64_t count =
        seeds_number("MW_SEEDS", getenv("MW_NIGHT") != NULL ? seeds_of_night(parts) : quick);
    uint64_t from = seeds_number("MW_FROM", 1);
    uint64_t jobs = seeds_number("MW_JOBS", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    bool well = seeds_spread(play, from, count, jobs, totals);
    seeds_summary(what, count, !well);
    assert_true(well);
}

#endif
