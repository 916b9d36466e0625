/*
 * subject.h - what a crash harness lets die: small scenarios over the product's own journal, blobs and promotion, and how to judge what is left.
 *
 * A scenario works in the current folder, which is laid out like a workspace (.millwright/journal, .millwright/blobs, app, data). It says on
 * descriptor 1, each with one write(2) and only after the product has said so:
 *
 *     ack append SEQ SHA256-OF-LINE     ack blob SHA256         ack epoch N       ack head SEQ
 *     ack promote ID SHA256-OF-TREE     ack close               branch NAME       fail WHAT RC WORDS       wrong WORDS
 *
 * Owns:     the scenarios, their invariants, the names of the recovery's branches.
 * Does not: kill, inject or replay anything.
 * Exit codes: 0; 1 something that was promised does not hold (`wrong`); else mw_rc_exit_code of what the product answered (`fail`).
 */
#ifndef MW_CRASH_SUBJECT_H
#define MW_CRASH_SUBJECT_H

#include "base/str.h"

#define SUBJECT_WRONG 1
/* What prepare had acknowledged: the same lines, in the scenario's folder. */
#define SUBJECT_PREPARED "prepared.acks"

struct subject {
    const char *name;
    const char *proves; /* promise ids */
    /* Makes what stands before the scenario, in an empty folder, undisturbed. NULL: nothing. */
    void (*prepare)(uint64_t seed);
    int (*run)(uint64_t seed);
    /* What a start does with what it finds, by the product's own recovery. Says the branches that it took. May be repeated, and may be killed. */
    int (*recover)(void);
    /* Judges what stands after a recovery. Changes nothing. ret_state names it: the same after a second recovery. */
    int (*verify)(struct mw_str acks, char ret_state[65]);
    /* Work goes on: what was acknowledged stays, the same request has one effect. */
    int (*resume)(struct mw_str acks);
    /* Its last sync belongs to the pruning of old versions, which is not part of what is answered: the next one does it. */
    bool prunes_last;
};

/* In a fixed order; *ret_count of them. */
const struct subject *subject_all(size_t *ret_count);
const struct subject *subject_find(const char *name);
/* Every branch of recovery that these scenarios know, NULL at the end: a sweep that does not reach one has failed. */
extern const char *const subject_journal_branches[];
extern const char *const subject_blob_branches[];
extern const char *const subject_promote_branches[];
extern const char *const subject_upkeep_branches[];
extern const char *const subject_shorten_branches[];

/* recover, verify, recover, the same again; resume, recover, verify. */
int subject_check(const struct subject *subject, struct mw_str acks);

/* Appends to the journal until it refuses, as `append` does: for a disk that fails by itself. */
int subject_append_until_it_fails(uint64_t seed);

/* ---- for the scenarios ---- */

extern const struct subject subject_journal[];
extern const struct subject subject_promotion[];
extern const struct subject subject_upkeep[];
extern const struct subject subject_shorten[];
extern const size_t subject_journal_count;
extern const size_t subject_promotion_count;
extern const size_t subject_upkeep_count;
extern const size_t subject_shorten_count;

/* One line, one write. */
void subject_say(const char *format, ...) MW_PRINTF(1, 2);
void subject_branch(const char *name);
/* Returns SUBJECT_WRONG. */
int subject_wrong(const char *format, ...) MW_PRINTF(1, 2);
/* Returns the exit code of rc. */
int subject_fail(const char *what, enum mw_rc rc, const struct mw_err *err);
/* The next line of acks at *at that starts with "ack WHAT "; the rest of it is copied. False at the end. */
bool subject_next_ack(struct mw_str acks, size_t *at, const char *what, char *ret_rest, size_t cap);
/* The last such line's rest; false when there is none. */
bool subject_last_ack(struct mw_str acks, const char *what, char *ret_rest, size_t cap);
/* acks with those of the preparation before them; heap buffer, owned by the caller. */
struct mw_buf subject_all_acks(struct mw_str acks);
uint64_t subject_mix(uint64_t seed, uint64_t n);

#endif
