/*
 * exec.h - run one program as a child that can always be ended, with everything it ever started.
 *
 * The host is large and never forks: mw_exec_start posix_spawns our own program as `millwright __exec`, a small supervisor (the stub), or has
 * it forked by a server that was started so once (exec_server.h), which is several times cheaper. The stub is a child of the host either way,
 * session leader and subreaper, applies the sandbox, starts the program, and ends the whole tree when the program ends, the host says so,
 * the host dies, the host closes stdout_fd, or the backstop rings. Only when no descendant is left it writes one report line and exits.
 *
 * Owns:     the tree of processes, from start to "none left"; the report.
 * Does not: read the output (the host's loop does), keep time limits (the host's; the stub has a backstop only), judge (answer.h).
 * Errors:   mw_exec_start fails only for what the host did wrong or lacks. What the program lacks is in the report's error.
 *
 * In the host's loop: watch pidfd (readable: the stub has exited; then read all of the report from report_fd, mw_exec_reap, mw_exec_close),
 * stdout_fd until end of file. All descriptors are non-blocking and close on exec. stdout ends no later than the stub, but for the moment
 * that the fork server needs to let go of what it handed on.
 */
#ifndef MW_EXEC_H
#define MW_EXEC_H

#include "agent/sandbox.h"

#define MW_EXEC_SPEC_BYTES_MAX (4u << 20)
#define MW_EXEC_REPORT_BYTES_MAX 4096u
#define MW_EXEC_ARGS_MAX 4096u
#define MW_EXEC_HARD_MAX_MS (24u * 3600u * 1000u) /* when the spec gives none */
#define MW_EXEC_GRACE_DEFAULT_MS 5000u
#define MW_EXEC_GRACE_ORPHANED_MS                                                                  \
    1000u /* at most this between TERM and KILL when the host is gone */

/* Everything is borrowed for the time of the call. Text that is not UTF-8 is refused. */
struct mw_exec_spec {
    const char *const *
        argv; /* ends with NULL; argv[0] is a path or a name to be found in the environment's PATH */
    const char *const *env;  /* NAME=value, ends with NULL; exactly this, nothing of the host's */
    const char *cwd;         /* absolute */
    const char *stdin_path;  /* NULL: /dev/null */
    const char *stderr_path; /* appended to, made with mode 0600; NULL: /dev/null */
    uint32_t grace_ms;       /* between TERM and KILL when nobody says otherwise; 0: the default */
    uint64_t hard_max_ms;    /* the backstop; 0: the default */
    struct mw_sandbox sandbox;
    bool
        by_server; /* many will follow: the stub is forked by a server of ours (exec_server.h); without one it is started all the same */
    const char *
        stub_path; /* NULL: this program (/proc/self/exe); must take "__exec" as its first argument */
};

struct mw_exec_child {
    pid_t pid; /* of the stub; its session id too */
    uint64_t
        start_ticks; /* /proc/PID/stat field 22: with the boot id it names the process for ever (leftovers.h) */
    int64_t started_us; /* wall clock */
    int pidfd;          /* owned, as are the three below; -1 when closed */
    int stdout_fd;      /* read; closing it ends the program */
    int report_fd;      /* read; one line, then end of file */
    int control_fd;     /* write; closing it ends the program, as the host's death does */
};

enum mw_exec_killed {
    MW_EXEC_NOT_KILLED,
    MW_EXEC_DEADLINE,
    MW_EXEC_IDLE,
    MW_EXEC_ASKED,
    MW_EXEC_HOST_GONE,
    MW_EXEC_OUTPUT_CLOSED,
    MW_EXEC_PROCESSES, /* more processes than sandbox.processes_max */
    MW_EXEC_KILLED_COUNT
};

MW_MUST enum mw_rc mw_exec_start(const struct mw_exec_spec *spec, struct mw_exec_child *ret_child,
                                 struct mw_err *err);
/* TERM to the program's group, after grace_ms KILL to everything. why: DEADLINE, IDLE or ASKED. Saying it again shortens, never lengthens.
 * MW_E_MISSING when the stub has gone. */
MW_MUST enum mw_rc mw_exec_end(const struct mw_exec_child *child, enum mw_exec_killed why,
                               uint32_t grace_ms, struct mw_err *err);
/* Collects the exited stub. False while it still runs. */
bool mw_exec_reap(struct mw_exec_child *child);
/* Ends the fork server, if there is one, and collects it; the next mw_exec_start makes another. What was started goes on. */
void mw_exec_server_stop(void);
/* CPU time of the fork server until now, in microseconds: no wait() ever counts it while it lives. 0: there is none. */
uint64_t mw_exec_server_cpu_us(void);
/* Closes what is open; the stub ends the program if it still runs. */
void mw_exec_close(struct mw_exec_child *child);

#define MW_EXEC_ERROR_MAX 512
enum mw_exec_error {
    MW_EXEC_NO_ERROR,
    MW_EXEC_PROGRAM_MISSING, /* "program 'x' not found in PATH" */
    MW_EXEC_PROGRAM_DENIED,  /* there, but not to be run */
    MW_EXEC_SANDBOX_FAILED,
    MW_EXEC_SETUP_FAILED, /* the folder, the spec, fork */
    MW_EXEC_NO_REPORT,    /* the stub itself was killed: end the leftovers */
    MW_EXEC_ERROR_COUNT
};

struct mw_exec_report {
    enum mw_exec_error error;
    char error_text[MW_EXEC_ERROR_MAX]; /* terminated */
    bool exited;                        /* exit_code is meant */
    int exit_code;
    int signal; /* 0: not ended by one */
    enum mw_exec_killed killed;
    uint64_t user_ms, system_ms, max_rss_kb;
    uint32_t orphans_killed; /* descendants that outlived the program */
    uint32_t
        orphans_left; /* could not be ended (uninterruptible in the kernel); 0 in every other case */
    struct mw_str sandbox; /* the object's JSON; points into the line given */
};

/* line: what report_fd gave. Anything but one well-formed report is MW_EXEC_NO_REPORT with the reason. Never fails. */
void mw_exec_report_read(struct mw_arena *arena, struct mw_str line,
                         struct mw_exec_report *ret_report);
const char *mw_exec_killed_name(enum mw_exec_killed killed); /* NULL for MW_EXEC_NOT_KILLED */

/* `millwright __exec`, the stub, and `millwright __exec serve`, which forks stubs; nothing else calls it. Returns the exit code (0, or 70
 * when no report could be written). */
int mw_exec_main(int argc, char **argv);

#endif
