/*
 * definitions.h - checking a set of definition files without a host: what `workflow validate` and `doctor` ask.
 */
#ifndef MW_HOST_DEFINITIONS_H
#define MW_HOST_DEFINITIONS_H

#include "base/base.h"

/* Reads every definition under the factory folder and the workspace's own (NULL: none). The first mistake is the error, with its place. */
MW_MUST enum mw_rc mw_host_check_definitions(const char *factory, const char *workspace,
                                             struct mw_err *err);

#endif
