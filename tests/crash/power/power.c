/*
 * power.c - P01 P02 P04 P12 P22: the power is cut after every effect of a scenario on the disk, and the disk keeps any part of what was not synced.
 *
 *   power_cuts [SCENARIO…] [--states N] [--total N] [--seed S] [--jobs J] [--again K] [--subject PROGRAM] [--table FILE]
 *   power_cuts SCENARIO --seed S --at PREFIX:N [--then PREFIX:N] [--keep DIR]     one state again, in words
 *   power_cuts SCENARIO --seed S --effects                                        what was recorded
 *
 * --states: distinct states a scenario (default 300); --again: of them, recoveries during which the power is cut once more (default 12).
 * --total: more rounds, each with the next seed, until there were so many distinct states. With MW_NIGHT: 100,000 on all cores, and every
 * structured state of a life (images.h), however many they are.
 * A scenario is one of crash_subject (subject.h): it runs as a process of its own under the recorder; the states are judged here.
 * MW_SUMMARY=FILE: appends one line for the night's table. Exit 1: a promise was broken, a state could not be judged, nothing was tried, there
 * were not so many states as wanted, or of all scenarios a branch of recovery was not reached that a power cut can reach.
 */
#include "power.h"

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

#define CHOSEN_MAX 64

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

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

static void gather_branches(struct tally *all, const struct tally *tallies, int jobs)
{
    for (int job = 0; job < jobs; job++)
        for (int i = 0; i < BRANCHES_MAX && tallies[job].branches[i].count > 0; i++) {
            power_count_branch(all, mw_str_of(tallies[job].branches[i].name));
            for (int b = 0; b < BRANCHES_MAX; b++)
                if (strcmp(all->branches[b].name, tallies[job].branches[i].name) == 0)
                    all->branches[b].count += tallies[job].branches[i].count - 1;
        }
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
    fprintf(out, "\n%-20s %9s %9s %10s %9s %10s %9s %7s\n", "scenario", "effects", "states",
            "left out", "in a rec.", "left out", "broken", "s");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%-20s %9ld %9ld %10.4g %9ld %10.4g %9ld %7.1f\n", chosen[i]->name,
                results[i].effects, results[i].states, results[i].left_out, results[i].again,
                results[i].again_left_out, results[i].broken, results[i].seconds);
    fprintf(out,
            "left out: subsets of the effects that were not durable at a cut, of all cuts, that "
            "were not tried; where more than %d were not durable, their subsets are sampled\n",
            EXHAUSTIVE_MAX);
    fprintf(out, "\nbranches of recovery that were reached:\n");
    for (int i = 0; i < BRANCHES_MAX && branches->branches[i].count > 0; i++, branch_count++)
        fprintf(out, "    %-44s %9ld\n", branches->branches[i].name, branches->branches[i].count);
    return branch_count;
}

/* Round after round, each with another seed, until there are enough; what is broken is counted, and the rounds go on. */
static void sweep_rounds(struct options *options, const struct subject *const *chosen, size_t count,
                         struct sweep *sweep, struct result *results, struct tally *branches)
{
    for (;; options->seed++) {
        size_t before = sweep->seen->count;
        for (size_t i = 0; i < count; i++) {
            double from = now_s();
            struct sweep one = *sweep;
            one.subject = chosen[i];
            memset(sweep->tallies, 0, sizeof *sweep->tallies * JOBS_MAX);
            power_sweep_scenario(&one, &results[i]);
            gather_branches(branches, sweep->tallies, options->jobs);
            results[i].seconds += now_s() - from;
        }
        size_t found = sweep->seen->count - before;
        if (options->effects || options->total == 0 || found < count ||
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

/* Branches of recovery that no cut of the power leads to by itself; crash_sweep reaches each of them. */
static const struct {
    const char *name, *why;
} not_by_power[] = {
    {"journal.rewritten_in_place", "only where the disk has no room for a copy"},
    {"journal.starts_without_reserve", "only where the disk has no room for the reserve"},
    {"journal.refused_earlier_frame_damaged", "what was synced stands: only damage changes it"},
    {"journal.refused_cut_before_the_head", "what was synced stands: only damage removes it"},
    {"journal.refused_newer_format", "only another program writes one"},
    {"journal.refused_committed_frame_torn", "what was synced stands: only damage cuts it"},
    {"journal.refused_another_frame_than_the_head", "what was synced stands: only damage does it"},
    {"journal.refused_segment_missing", "what was synced stands: only damage removes it"},
    {"journal.refused_empty_segment_before_the_last", "the next one begins after its sync"},
    {"journal.refused_name_of_no_segment", "only somebody else puts a file there"},
    {"journal.refused_held_by_another", "who held it is gone with the power"},
    {"journal.head_one_line_damaged", "a line is one sector, and a sector is never half"},
    {"promote.restored_forward_by_digest", "only a restored backup has other inodes"},
    {"promote.restored_back_by_digest", "only a restored backup has other inodes"},
    {"promote.restored_forward_by_kept_version", "somebody edited a restored backup"},
    {"promote.restored_back_copy_lost", "somebody edited a restored backup"},
    {"promote.refused_both_changed", "somebody edited a restored backup"},
    {"promote.refused_damaged_note", "a note is replaced whole, and synced before its name"},
};

static bool is_reached(const struct tally *branches, const char *name)
{
    for (int i = 0; i < BRANCHES_MAX && branches->branches[i].count > 0; i++)
        if (strcmp(branches->branches[i].name, name) == 0)
            return true;
    return false;
}

/* Of all that the scenarios know: reached, or named above. */
static bool check_branches(const struct tally *branches)
{
    static const char *const *const lists[] = {subject_journal_branches, subject_blob_branches,
                                               subject_promote_branches, subject_upkeep_branches,
                                               subject_shorten_branches};
    long faults = 0, known = 0, said = 0;
    for (size_t list = 0; list < MW_COUNT(lists); list++)
        for (size_t i = 0; lists[list][i] != NULL; i++) {
            const char *name = lists[list][i], *why = NULL;
            bool reached = is_reached(branches, name);
            for (size_t n = 0; n < MW_COUNT(not_by_power); n++)
                if (strcmp(not_by_power[n].name, name) == 0)
                    why = not_by_power[n].why;
            known += reached;
            if (!reached && why == NULL)
                faults++, printf("not ok branch %s was never reached\n", name);
            /* Some lives begin with damage: another seed, other branches. */
            if (reached && why != NULL)
                printf("branch %s was reached all the same (%s)\n", name, why);
        }
    while (said < BRANCHES_MAX && branches->branches[said].count > 0)
        said++;
    if (said != known)
        faults++,
            printf("not ok %ld branches were said that the lists do not have\n", said - known);
    if (faults == 0)
        printf("ok every branch of recovery was reached, but for %zu that a power cut alone does "
               "not lead to (P02 P03 P04 P12 P22)\n",
               MW_COUNT(not_by_power));
    return faults == 0;
}

static int sweep_all(struct options *options, const struct subject *const *chosen, size_t count,
                     const char *base, bool every_scenario)
{
    struct sweep sweep = {.options = options,
                          .acks_before = MW_STR_NONE,
                          .tallies = shared_memory(sizeof(struct tally) * JOBS_MAX),
                          .seen = shared_memory(sizeof(struct seen))};
    struct tally *branches = mw_heap_alloc(sizeof *branches);
    struct result *results = mw_heap_alloc(sizeof *results * count);
    for (size_t i = 0; i < count; i++)
        results[i].ok = true;
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
        if (every_scenario)
            ok = check_branches(branches) && ok;
        if (options->total > states) {
            printf("not ok %ld distinct states, %ld are wanted\n", states, options->total);
            ok = false;
        }
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
        options.every = true;
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
    int code = options.at_prefix >= 0
                   ? power_replay(&options, chosen[0], base)
                   : sweep_all(&options, chosen, chosen_count, base, chosen_count == all_count);
    struct mw_err ignored; /* a folder for this run only */
    (void)!chdir("/");
    if (mw_remove_tree(AT_FDCWD, base, &ignored) != MW_OK)
        fprintf(stderr, "power_cuts: '%s' stays\n", base);
    return code;
}
