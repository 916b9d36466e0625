/*
 * power.h - power_cuts' parts: the states of one recording judged by all workers (states.c), lives one after the other (lives.c), the program (power.c).
 */
#ifndef MW_CRASH_POWER_H
#define MW_CRASH_POWER_H

#include "../subject.h"
#include "images.h"

#define JOBS_MAX 64
#define BRANCHES_MAX 128
#define BRANCH_BYTES 48
#define SEEN_BITS 23

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
    bool every; /* structured state, whatever `states` says: the night's */
    int at_prefix, then_prefix;
    long at_n, then_n;
};
/* Instead of the number of a power cut: a kill, then a recovery or a start that is asked for the same things again. */
#define AFTER_A_KILL (-1)
#define AGAIN_AFTER_A_KILL (-2)

/* What one worker has come to; in memory that all share. */
struct tally {
    long judged;
    long broken;
    double
        left_out; /* subsets of what was loose at the cuts that nobody tried; by worker 0, for all walk the same way */
    int now_prefix;
    long now_n;
    struct branch {
        char name[BRANCH_BYTES];
        long count;
    } branches[BRANCHES_MAX];
};

/* States that were met already; in memory that all share. */
struct seen {
    size_t count;
    uint64_t slots[(size_t)1 << SEEN_BITS];
};

/* What a folder's head file names, and the last record of a segment that another one follows. */
struct head_mark {
    uint64_t seq;
    uint64_t sealed;
};

/* One recording and the states that come of it. */
struct sweep {
    const struct options *options;
    const struct subject *subject;
    const struct effects *log;
    int first_prefix;
    struct head_mark head_before; /* where the recorded life began */
    struct mw_str acks_before;    /* of the life that it followed */
    const char *then_of;          /* the words that replay the state before; NULL */
    long states;
    struct tally *tallies;
    struct seen *seen; /* shared by all workers of all sweeps */
    size_t seen_before;
    char root[96];
};
/* ---- states.c ---- */

uint64_t power_random(uint64_t *state);
/* An empty folder, whatever stood there. */
void power_clear(const char *path);
/* What the program had acknowledged by then, in the lives before as well. Heap buffer, owned by the caller. */
struct mw_buf power_acks(const struct sweep *sweep, int prefix);
void power_count_branch(struct tally *tally, struct mw_str name);
/* False: the head or the journal cannot be read. All zero where no journal is. */
bool power_head_mark(const char *root, struct head_mark *ret_mark);
/* P04 and what the scenario promises, of the state in the current folder. 0, or the check's exit code; its words are on the standard output. */
int power_check(const struct sweep *sweep, struct mw_str acks);
/* Judges sweep->states states on all workers. False: something is broken, and was told. */
bool power_judge_states(struct sweep *sweep);

/* ---- lives.c ---- */

struct result {
    long effects, states, broken, again;
    double left_out, again_left_out; /* subsets that were not tried */
    double seconds;
    bool ok; /* until something does not hold */
};
void power_sweep_scenario(struct sweep *sweep, struct result *result);
/* One state, in words, on the standard output. Returns an exit code. */
int power_replay(const struct options *options, const struct subject *subject, const char *base);

#endif
