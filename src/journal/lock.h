/*
 * lock.h - one writer a journal (P11): an flock on the file `lock`, which also names the holder and the epoch.
 */
#ifndef MW_JOURNAL_LOCK_H
#define MW_JOURNAL_LOCK_H

#include "journal/sys.h"
#include "port/journal.h"

#define MW_LOCK_FILE "lock"

/* MW_E_CONFLICT names the holder. *ret_epoch: the last one noted, 0 when none. Nothing is written into the file yet. */
MW_MUST enum mw_rc mw_lock_take(const struct mw_journal_sys *sys, int side_fd, int *ret_fd,
                                uint64_t *ret_epoch, struct mw_err *err);
/* Notes holder and epoch durably. */
MW_MUST enum mw_rc mw_lock_note(const struct mw_journal_sys *sys, int fd, uint64_t epoch,
                                struct mw_err *err);
/* Forgets the holder, keeps the epoch, lets go. */
void mw_lock_release(const struct mw_journal_sys *sys, int fd, uint64_t epoch);

/* Whether fd is open on the file that has this name now: a lock on another one protects nothing. */
bool mw_lock_is_of_name(int fd, int dir_fd, const char *name);

/* A failed call's errno as a code: no space FULL, read-only or not allowed DENIED, else IO. */
enum mw_rc mw_journal_rc_of(int sys_errno);

#endif
