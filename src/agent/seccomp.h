/*
 * seccomp.h - the system calls that a sandboxed child may not make. Private to sandbox.c.
 *
 * Does not: see what pointers point to (addresses of connect, flags of clone3): Landlock and ENOSYS cover what they can.
 */
#ifndef MW_SECCOMP_H
#define MW_SECCOMP_H

#include "agent/sandbox.h"

#define MW_SECCOMP_PROTECT_MAX 6

struct mw_seccomp {
    bool inet_tcp;     /* stream sockets of IPv4 and IPv6 */
    bool inet_all;     /* datagrams too */
    bool unix_sockets; /* socket(AF_UNIX); stream socketpairs are always allowed */
    int32_t protect
        [MW_SECCOMP_PROTECT_MAX]; /* numbers that kill and its relatives may not be given; 0: none */
};

/* Installs the filter for this process and what it starts, for ever. no_new_privs must be set. */
MW_MUST enum mw_rc mw_seccomp_apply(const struct mw_seccomp *rules, struct mw_err *err);
bool mw_seccomp_offered(void);

#endif
