/*
 * intent.h - the words of `gen` and `submit` as one SubmitIntent.
 */
#ifndef MW_CLI_INTENT_H
#define MW_CLI_INTENT_H

#include "cli/link.h"

#define MW_INTENT_BYTES_MAX (3u * 1024 * 1024)

/* Reads prompt or blueprint, probes what the plan needs, submits. The workspace is made when there is none. */
MW_MUST enum mw_rc mw_intent_submit(struct mw_cli *cli, struct mw_posted *ret_posted,
                                    struct mw_err *err);
/* A JSON or YAML file ("-": JSON or YAML on standard input) in cli's arena. */
MW_MUST enum mw_rc mw_file_tape(struct mw_cli *cli, const char *path, struct mw_tape *ret_tape,
                                struct mw_err *err);

#endif
