/*
 * host.h - the process that owns a workspace: one libuv loop, one writer thread, the journal, the asks.
 *
 * Owns:     wiring, time and entropy, durability before anything leaves, starting and stopping what core asks for.
 * Does not: decide anything about the product; core does.
 * Life:     started by the first command that needs it, leaves after an idle minute; exit 0 asked or idle, 65 damaged data, 74 the disk
 *           failed, 75 somebody else holds the journal.
 */
#ifndef MW_HOST_H
#define MW_HOST_H

#include "base/base.h"

#define MW_PRODUCT_VERSION "0.1.0"
#define MW_API_VERSION 1

/* `millwright __host WORKSPACE [--foreground]`. The process's exit code. */
int mw_host_main(int argc, char **argv);
/* What tells one build of the program from another. */
const char *mw_build_id(void);

#endif
