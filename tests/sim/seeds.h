/*
 * seeds.h - many seeds, on all cores: each process plays every n-th of them.
 *
 * MW_SEED=N plays one seed, in this process, so that a debugger sees it. MW_SEEDS=N plays so many, MW_FROM=N begins there, MW_NIGHT=1 plays
 * 100,000, MW_JOBS=N in so many processes.
 */
#ifndef MW_TEST_SEEDS_H
#define MW_TEST_SEEDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS_TOTALS 512
#define SEEDS_NIGHT 100000u
#define SEEDS_JOBS_MAX 256u

/* Some seeds, all of them this process's: from, from + step, ... below end. totals: SEEDS_TOTALS numbers, added up over all processes. */
typedef void seeds_play(uint64_t from, uint64_t step, uint64_t end, bool is_worker,
                        uint64_t *totals);

static inline uint64_t seeds_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
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

/* quick: how many in `make check`; one night plays SEEDS_NIGHT / parts. */
static inline void seeds_run(const char *what, seeds_play *play, uint64_t quick, uint64_t parts,
                             uint64_t *totals)
{
    if (getenv("MW_SEED") != NULL) {
        uint64_t seed = seeds_number("MW_SEED", 1);
        play(seed, 1, seed + 1, false, totals);
        return;
    }
    uint64_t count =
        seeds_number("MW_SEEDS", getenv("MW_NIGHT") != NULL ? SEEDS_NIGHT / parts : quick);
    uint64_t from = seeds_number("MW_FROM", 1);
    uint64_t jobs = seeds_number("MW_JOBS", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    jobs = jobs < 1 ? 1 : jobs > SEEDS_JOBS_MAX ? SEEDS_JOBS_MAX : jobs;
    jobs = jobs > count ? count : jobs;
    const size_t bytes = (size_t)jobs * SEEDS_TOTALS * sizeof(uint64_t);
    uint64_t *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[SEEDS_JOBS_MAX];
    bool failed = false;
    assert_true(shared != MAP_FAILED);
    for (uint64_t i = 0; i < jobs; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            play(from + i, jobs, from + count, true, shared + i * SEEDS_TOTALS);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < jobs; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        failed = failed || status != 0;
    }
    for (uint64_t i = 0; i < jobs * SEEDS_TOTALS; i++)
        totals[i % SEEDS_TOTALS] += shared[i];
    (void)munmap(shared, bytes);
    seeds_summary(what, count, failed);
    assert_false(failed);
}

#endif
