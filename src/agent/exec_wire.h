/*
 * exec_wire.h - what host and stub say to each other: descriptor numbers, the spec's JSON, control words, the report's JSON.
 *
 * Private to exec*.c. Both sides are the same program, so there are no versions.
 */
#ifndef MW_EXEC_WIRE_H
#define MW_EXEC_WIRE_H

#include "agent/exec.h"

enum mw_exec_fd {
    MW_EXEC_FD_SPEC = 3,
    MW_EXEC_FD_CONTROL = 4,
    MW_EXEC_FD_REPORT = 5,
    MW_EXEC_FD_END = 6
};

/*
 * exec.c: starts `path __exec`, or `path __exec serve`, in a session of its own, with sources as its descriptors 0 to MW_EXEC_FD_END - 1 (each
 * of ours lies above those, or is 0), nothing else of ours, and an environment that holds nothing of the host's. 0, or the errno.
 */
int mw_exec_spawn(const char *path, bool serve, const int sources[MW_EXEC_FD_END], pid_t *ret_pid);

/* What the stub reads back; arrays and strings lie in the arena. */
struct mw_exec_order {
    char **argv;
    char **env;
    const char *cwd;
    const char *home; /* the host's; only to know what must not be opened */
    uint32_t grace_ms;
    uint64_t hard_max_ms;
    struct mw_sandbox sandbox;
};

MW_MUST enum mw_rc mw_exec_spec_write(const struct mw_exec_spec *spec, const char *home,
                                      struct mw_buf *buf, struct mw_err *err);
MW_MUST enum mw_rc mw_exec_order_read(struct mw_arena *arena, struct mw_str text,
                                      struct mw_exec_order *ret_order, struct mw_err *err);

/* Control: "term GRACE_MS WHY\n". */
#define MW_EXEC_CONTROL_MAX 64
bool mw_exec_control_read(struct mw_str line, enum mw_exec_killed *ret_why, uint32_t *ret_grace_ms);

/* One line, newline included. sandbox is the object's JSON. */
void mw_exec_report_write(const struct mw_exec_report *report, struct mw_buf *buf);

#endif
