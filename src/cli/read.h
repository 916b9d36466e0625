/*
 * read.h - private to cli: what the verbs that read views share (cmd_view.c).
 */
#ifndef MW_CLI_READ_H
#define MW_CLI_READ_H

#include "cli/command.h"

/* The view's JSON as it is with --json, else as text. */
int mw_read_print(struct mw_cli *cli, const struct mw_buf *json);
/* Says err; when the word was wrong or missing, also the list of what it could be. The exit code. */
int mw_read_refused(struct mw_cli *cli, const struct mw_err *err);
/* The command's word and options as a view's arguments. */
uint32_t mw_read_args(const struct mw_cli *cli, struct mw_cli_arg args[MW_CLI_VIEW_ARGS_MAX]);

/* why_text.c: the view `why` in a dozen lines. */
void mw_why_text(struct mw_buf *out, const struct mw_tape *tape, bool color);

#endif
