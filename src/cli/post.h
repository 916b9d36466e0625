/*
 * post.h - private to cli: what the verbs that post one request share (cmd_post.c).
 */
#ifndef MW_CLI_POST_H
#define MW_CLI_POST_H

#include "cli/link.h"

/* One line (or one JSON object) for a request that was recorded; the exit code 0. */
int mw_post_say(struct mw_cli *cli, const char *request, const struct mw_posted *posted,
                const char *words);
/* The only build or run that has not ended, in cli's arena. MW_E_USAGE: none, or several, which are named. */
MW_MUST enum mw_rc mw_post_open_trace(struct mw_cli *cli, const char **ret_id, struct mw_err *err);

#endif
