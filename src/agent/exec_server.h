/*
 * exec_server.h - the fork server: a process of ours that has the program loaded already and forks supervisors. Private to exec*.c.
 *
 * Loading the program costs more than everything else that a supervisor does. A supervisor forked here is the host's own child all the same
 * (CLONE_PARENT): the host collects it, and nothing of it hangs on the server. It says its number on its control channel before anything
 * else, so the host waits for that channel alone: the number, or its end, which means that nothing was started and never will be.
 *
 * Owns:     the server: made with the first order, made anew when it has gone; it ends with the host, and holds nothing of any order.
 * Does not: read what is ordered (the supervisor does).
 * Limits:   one thread of the host at a time.
 */
#ifndef MW_EXEC_SERVER_H
#define MW_EXEC_SERVER_H

#include "agent/exec_wire.h"

/* What the server knows already and each supervisor would have to ask the kernel again. */
struct mw_exec_known {
    pid_t server;
    struct mw_sandbox_offer offer;
    /* At most a quarter of a second old. */
    struct mw_sandbox_system system;
    uint32_t tasks; /* of the order's user */
};

#define MW_EXEC_NOBODY ((uid_t)-1)

/* Hands over the supervisor's descriptors; the caller keeps its own. counted: the user whose processes the kernel limits, or MW_EXEC_NOBODY.
 * False: no server can be had. */
bool mw_exec_server_order(const int fds[MW_EXEC_FD_END], uid_t counted);
/* Waits for the supervisor's number on the host's end of its control channel, with the other end closed here. MW_E_MISSING: nothing was
 * started. MW_E_TIMEOUT: nobody knows; closing control_fd ends whatever it is. */
MW_MUST enum mw_rc mw_exec_server_await(int control_fd, pid_t *ret_pid, struct mw_err *err);

/* The server itself: `millwright __exec serve`. word: the argument that its supervisors do not show. Ends when the host has gone. */
int mw_exec_server_main(char *word);
/* exec_stub.c: short of memory, the kernel is to take us and what we start before the host. */
void mw_exec_offer_first(void);
/* exec_stub.c: the supervisor, on its six descriptors. known: NULL when it was not forked by the server. */
int mw_exec_stub_main(const struct mw_exec_known *known);

#endif
