/*
 * commit.h - what CommitCode and CreatePullRequest share among src/builtin/commit*.c; see docs/promotion.md for what they answer.
 */
#ifndef MW_COMMIT_H
#define MW_COMMIT_H

#include "builtin/builtin.h"
#include "builtin/commit_git.h"

/* payload's text under key as a terminated copy in the arena; MW_E_INPUT when it is absent or holds a control character. */
MW_MUST enum mw_rc mw_commit_text(struct mw_builtin *b, const char *key, const char **ret_text,
                                  struct mw_err *err);
MW_MUST enum mw_rc mw_commit_pull_request(struct mw_builtin *b, struct mw_err *err);

#endif
