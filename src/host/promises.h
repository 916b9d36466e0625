/*
 * promises.h - what the trials of `millwright verify --promises` share (port/promises.h).
 *
 * Owns:     nothing: a trial gets a folder of its own, which is removed when all are over, and leaves no process behind.
 * Does not: look at a workspace's data, or run on two threads: what a trial keeps for its system calls is kept once.
 * Errors:   a trial answers false and has said why (mw_promise_broken); true when the promise held, with what was counted in the detail.
 */
#ifndef MW_HOST_PROMISES_H
#define MW_HOST_PROMISES_H

#include "port/promises.h"

struct mw_promise_check {
    char *folder;  /* borrowed; of this trial */
    int fd;        /* borrowed; of that folder */
    uint64_t dice; /* never 0 */
    struct mw_promise_finding finding;
};

typedef bool mw_promise_run(struct mw_promise_check *check);

/* False, and the reason in the finding; before `return true`, what was done and counted. */
bool mw_promise_broken(struct mw_promise_check *check, const char *format, ...) MW_PRINTF(2, 3);
/* 0 to below - 1. */
uint64_t mw_promise_roll(struct mw_promise_check *check, uint64_t below);

/* promises_journal.c */
mw_promise_run mw_promise_acks, mw_promise_syncs, mw_promise_torn, mw_promise_cut,
    mw_promise_file_limit, mw_promise_lock, mw_promise_format, mw_promise_blobs;

#endif
