/*
 * promises.h - private to cli: the promises that want a host and agents, tried on a trial (trial.h) beside what port/promises.h tries without one.
 *
 * Owns:     a temporary workspace in the folder it is given, with a host that is killed a few times; both are gone at the end.
 * Takes:    two seconds or three. Definitions: factory/verify.
 */
#ifndef MW_CLI_PROMISES_H
#define MW_CLI_PROMISES_H

#include "cli/command.h"

/* Hands over a finding a promise, also when no host can be started: then none of them could be tried. */
void mw_promises_try(struct mw_cli *cli, const char *folder,
                     void (*on_finding)(void *context, const struct mw_promise_finding *finding),
                     void *context);

#endif
