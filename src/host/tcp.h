/*
 * tcp.h - the second way in, which nobody has who did not ask for it: a TCP port (P21).
 *
 * Owns:     the address's meaning, the workspace's token (.millwright/token, 0600, made with the first port).
 * Does not: look at requests; the guard that it fills says to the API what each has to carry.
 */
#ifndef MW_HOST_TCP_H
#define MW_HOST_TCP_H

#include "api/api.h"

/* address: "127.0.0.1:7000", "[::1]:7000" or a port alone; port 0 is any free one. MW_E_USAGE: no such address. MW_E_CONFLICT: taken. */
MW_MUST enum mw_rc mw_host_tcp_listen(int workspace_fd, const char *address, int *ret_fd,
                                      struct mw_api_guard *ret_guard, struct mw_err *err);

#endif
