/*
 * leftovers.h - the pid file of a running child, and ending what a killed host left behind.
 *
 * work/{task}/pid names the stub for ever: number, start time, boot. When a host starts, it ends each leftover before anything is asked
 * again. Usually there is none: the stubs notice the host's death themselves and are gone within a second.
 *
 * Owns:     the file's form, and ending exactly that tree.
 * Does not: remove the file or the folder (the caller's), nor touch a process that merely has the same number, this process, or one that
 *           it runs in.
 * Limits:   when the stub itself was killed, what it ran is known by session number, or by MILLWRIGHT_WORK_DIR in the environment being
 *           the file's folder or one below. A daemon that left the session and cleared its environment is then beyond finding.
 */
#ifndef MW_LEFTOVERS_H
#define MW_LEFTOVERS_H

#include "agent/exec.h"

enum mw_leftover {
    MW_LEFTOVER_NONE,  /* nothing of it runs (or no file) */
    MW_LEFTOVER_ENDED, /* was running; now nothing is left */
};

/*
 * Whole or not at all when the file is empty or new. path is work/{task}/pid. Not synced: after a power cut nothing of it runs, and an empty
 * file says so.
 */
MW_MUST enum mw_rc mw_leftover_write(const char *path, const struct mw_exec_child *child,
                                     struct mw_err *err);
/* Nothing of it runs any more: the file is emptied. It stays with its folder; on some file systems removing a file makes the next ones dear. */
void mw_leftover_forget(const char *path);
/*
 * Blocks for at most grace_ms and some seconds. TERM to the stub, which ends its tree within the grace; then KILL of everything.
 * MW_E_CORRUPT: the file cannot be read as one. MW_E_TIMEOUT: something cannot be ended.
 */
MW_MUST enum mw_rc mw_leftover_end(const char *path, uint32_t grace_ms, enum mw_leftover *ret_found,
                                   struct mw_err *err);

#endif
