/*
 * landlock.h - which files and TCP ports a child may touch, by the kernel's Landlock. Private to sandbox.c.
 *
 * Raw system calls: Debian 12's headers are older than the kernels it runs on. Rights that the kernel does not know are left out; the
 * ABI number says which.
 */
#ifndef MW_LANDLOCK_H
#define MW_LANDLOCK_H

#include "base/base.h"

#define MW_LANDLOCK_ABI_TRUNCATE 3
#define MW_LANDLOCK_ABI_NET 4
#define MW_LANDLOCK_ABI_IOCTL 5
#define MW_LANDLOCK_ABI_SCOPE 6

enum mw_landlock_access {
    MW_LANDLOCK_READ,  /* read, list, run */
    MW_LANDLOCK_WRITE, /* read, run and everything that changes files; no sockets, no devices */
    MW_LANDLOCK_WRITE_SOCKET /* that, and unix sockets */
};

int mw_landlock_abi(void); /* 0: absent */
/* tcp_bind, tcp_connect: only ports with a rule. Scopes signals and abstract sockets when the kernel can. *ret_fd: owned by the caller. */
MW_MUST enum mw_rc mw_landlock_open(int abi, bool tcp_bind, bool tcp_connect, int *ret_fd,
                                    struct mw_err *err);
/* A path that is not there (or not to be reached) is skipped: nothing is opened by that. */
MW_MUST enum mw_rc mw_landlock_path(int fd, int abi, const char *path,
                                    enum mw_landlock_access access, struct mw_err *err);
/* The same for what is open already (O_PATH is enough; borrowed). name: for the error. */
MW_MUST enum mw_rc mw_landlock_file(int fd, int abi, int target, bool is_folder,
                                    enum mw_landlock_access access, const char *name,
                                    struct mw_err *err);
MW_MUST enum mw_rc mw_landlock_port(int fd, uint16_t port, bool tcp_bind, bool tcp_connect,
                                    struct mw_err *err);
MW_MUST enum mw_rc mw_landlock_restrict(int fd, struct mw_err *err); /* no_new_privs must be set */

#endif
