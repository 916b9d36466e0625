/*
 * requires.h - are the programs here that the generated code needs? (`requires` of factory/stacks/STACK/stack.yaml)
 *
 * Asked before anything is submitted: in under a second, and with the command that installs what is missing.
 */
#ifndef MW_CLI_REQUIRES_H
#define MW_CLI_REQUIRES_H

#include "cli/command.h"

#define MW_REQUIRES_MS 900

struct mw_requirement {
    struct mw_str program, wanted, found, install; /* found: empty when it is not there */
    bool met;
};

/* All requirements of the stack, in cli's arena. MW_E_CONFIG: the stack's file cannot be read. */
MW_MUST enum mw_rc mw_requires_probe(struct mw_cli *cli, const char *factory, const char *stack,
                                     const struct mw_requirement **ret_items, uint32_t *ret_count,
                                     struct mw_err *err);
/* MW_E_MISSING with one line for each that is not met: program, found, wanted, how to install. */
MW_MUST enum mw_rc mw_requires_check(struct mw_cli *cli, struct mw_err *err);
/* The numbers in two versions compared one by one ("20.20.2" is at least "18.20"); <0 0 >0. */
int mw_version_cmp(struct mw_str a, struct mw_str b);

#endif
