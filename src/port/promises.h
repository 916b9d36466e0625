/*
 * port/promises.h - short forms of the promises' proofs (docs/promises.md), on a disk that somebody else has: `millwright verify --promises`.
 *
 * Owns:     one folder, made and removed again; the child processes that it kills.
 * Does not: touch a workspace's own data, or replace the tests: a disk that lies, a power cut and an honest clock cannot be tried from here.
 * Takes:    a few seconds. Errors: MW_E_IO, MW_E_FULL, MW_E_DENIED when the folder itself cannot be made.
 */
#ifndef MW_PORT_PROMISES_H
#define MW_PORT_PROMISES_H

#include "base/base.h"

enum mw_promise_verdict { MW_PROMISE_HOLDS, MW_PROMISE_BROKEN, MW_PROMISE_NOT_TRIED };

struct mw_promise_finding {
    const char *id;   /* P01 … P23; borrowed */
    const char *what; /* one sentence; borrowed */
    enum mw_promise_verdict verdict;
    char detail[512]; /* what was done and counted, or why not */
};

/* Tries one after the other in a new folder inside `folder`, and hands over what it finds. */
MW_MUST enum mw_rc mw_promises_check(const char *folder,
                                     void (*on_finding)(void *context,
                                                        const struct mw_promise_finding *finding),
                                     void *context, struct mw_err *err);

#endif
