/*
 * start.h - starting the workspace's host as a daemon, once, whoever else tries at the same time.
 *
 * Owns:     the start lock (.millwright/start.lock), the host's environment and standard files, waiting until it is ready.
 * The host gets MILLWRIGHT_READY_FD: a pipe into which it writes "ready\n", or an error's text before it exits with that error's code.
 */
#ifndef MW_CLI_START_H
#define MW_CLI_START_H

#include "cli/command.h"

/* MW_OK when a host has said ready, or somebody else has just started one. */
MW_MUST enum mw_rc mw_host_start(struct mw_cli *cli, struct mw_err *err);
/* argv and environment for a host in the foreground; does not return unless it fails. */
MW_MUST enum mw_rc mw_host_become(struct mw_cli *cli, struct mw_err *err);

#endif
