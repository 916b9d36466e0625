/*
 * commit_git.h - the git program, with its own identity and configuration: no user or system configuration, no hooks, no filters, no prompts.
 *
 * Owns:     running it by argv; a build's bare repository with its empty root on `main`; building a chain of commits.
 * Does not: touch a work tree, an index or any repository but the one given.
 * Errors:   MW_E_MISSING no git program; MW_E_FAILED git said no (its last words are in the text); MW_E_CONFLICT a ref was moved by another.
 */
#ifndef MW_COMMIT_GIT_H
#define MW_COMMIT_GIT_H

#include "posix/file.h"

#define MW_GIT_ID 65 /* SHA-1 or SHA-256, terminated */

/* Output (may be NULL) is appended to out (heap). ret_status (may be NULL): with it an exit status other than 0 is no error. */
MW_MUST enum mw_rc mw_git_run(const char *repo, const char *const *args, struct mw_str input,
                              struct mw_buf *out, int *ret_status, struct mw_err *err);
/* Made when missing: bare, `main` with one empty commit that is the same everywhere. Several may call at once. */
MW_MUST enum mw_rc mw_git_open(const char *repo, struct mw_err *err);
/* "" when name does not resolve to a commit. */
MW_MUST enum mw_rc mw_git_resolve(const char *repo, const char *name, char ret_id[MW_GIT_ID],
                                  struct mw_err *err);
/* A branch's name: letters, digits, '.', '_', '-', parted by '/'. */
bool mw_git_branch_is_plain(struct mw_str branch);

/* Dates are not the clock's: 2000-01-01 and one second more for each commit of the history, so that the same content has the same id. */
#define MW_GIT_EPOCH 946684800L
#define MW_GIT_COMMITTER "millwright <millwright@localhost>"

#endif
