/*
 * workspace.h - which folder a command is about.
 *
 * The nearest folder upwards that holds .millwright/ or app/app.json; the search ends at a git root, at $HOME and where another file system
 * begins. $HOME and / are never a workspace.
 */
#ifndef MW_CLI_WORKSPACE_H
#define MW_CLI_WORKSPACE_H

#include "cli/command.h"

enum mw_workspace_want {
    MW_WORKSPACE_EXISTS, /* none: MW_E_USAGE */
    MW_WORKSPACE_MAKE /* none: the named or current folder becomes one; a non-empty current one only after asking */
};

/* Owned by the caller (mw_heap_free); NULL when there is none. from is absolute; home may be NULL. */
char *mw_workspace_search(const char *from, const char *home);
/* Sets cli->workspace (absolute, links resolved). */
MW_MUST enum mw_rc mw_cli_workspace(struct mw_cli *cli, enum mw_workspace_want want,
                                    struct mw_err *err);
/* The factory folder: MILLWRIGHT_FACTORY, else beside the program. In cli's arena; NULL when there is none. */
const char *mw_cli_factory(struct mw_cli *cli);

#endif
