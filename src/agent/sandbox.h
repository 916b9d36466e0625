/*
 * sandbox.h - what a child of ours may touch: files (Landlock), system calls (seccomp), sizes (rlimits), rights (uid, capabilities).
 *
 * Owns:     the three profiles, the probing of the kernel, the honest report of what was applied.
 * Does not: start or end processes (exec.h), choose the paths and limits of a task (the caller's).
 * Limits:   see docs/sandbox.md for what no kernel of today can hold back.
 * Errors:   a rule that the kernel offers and refuses is a failure: the agent is not started. What the kernel lacks is reported, never
 *           assumed.
 */
#ifndef MW_SANDBOX_H
#define MW_SANDBOX_H

#include "base/json.h"
#include <sys/types.h>

enum mw_profile {
    MW_PROFILE_BUILD, /* writes the work folder; no network unless `network` */
    MW_PROFILE_TEST,  /* as build, and TCP for its own servers (loopback is meant, see docs) */
    MW_PROFILE_SERVE, /* runs the app: as test, bound to listed ports */
    MW_PROFILE_COUNT
};

#define MW_SANDBOX_PATHS_MAX 64
#define MW_SANDBOX_PORTS_MAX 16
#define MW_SANDBOX_NOFILE_DEFAULT 4096u
#define MW_SANDBOX_PROCESSES_DEFAULT 512u

/* A list that is NULL is empty; otherwise it ends with NULL (paths) or 0 (ports). */
struct mw_sandbox {
    enum mw_profile profile;
    const char *work_dir; /* borrowed; read-write; NULL: none */
    const char *tmp_dir;  /* borrowed; read-write and sockets; NULL: none */
    const char *const
        *read_paths; /* borrowed; files or folders to read and run; a missing one is skipped */
    const char *const *write_paths; /* borrowed; files or folders to read and write */
    const uint16_t
        *bind_ports; /* borrowed; serve: the only ports to listen on; test: NULL is any port */
    const uint16_t
        *connect_ports; /* borrowed; serve and test: the only ports to connect to; NULL: see docs */
    bool network;       /* everything that IP offers, in any profile */
    bool unix_sockets;  /* connect to and listen on unix sockets (socketpair is always allowed) */
    bool drop;          /* as root: become uid, gid, no groups; ignored when not root */
    uid_t uid;
    gid_t gid;
    /* 0 is the default named above, or no limit. processes: threads count; the kernel does not hold root to it, the stub does. */
    uint64_t file_size_bytes_max;
    uint64_t address_space_bytes_max; /* V8 reserves far more than it uses: prefer data_bytes_max */
    uint64_t data_bytes_max;
    uint64_t cpu_seconds_max;
    uint32_t open_files_max;
    uint32_t processes_max;
};

/* What the kernel of this machine offers. */
struct mw_sandbox_offer {
    int landlock_abi; /* 0: absent */
    bool seccomp;
};

struct mw_sandbox_offer mw_sandbox_probe(void);
const char *mw_profile_name(enum mw_profile profile);
/* False when name is none of build, test, serve. */
bool mw_profile_of(struct mw_str name, enum mw_profile *ret_profile);

/* The user that a program in this sandbox runs as, when we are who starts it. */
uid_t mw_sandbox_user(const struct mw_sandbox *sandbox);
/* The processes (threads counted) that uid has now: the kernel's process limit counts them all. */
uint32_t mw_sandbox_count_tasks(uid_t uid);

/* Root gives up what programs started from here on could gain by being run; it keeps its own rights until mw_sandbox_drop, which does this
 * too: done before, it costs each child less. */
MW_MUST enum mw_rc mw_sandbox_bound(struct mw_err *err);
/*
 * In the freshly forked child, in this order: rights (uid, groups, capabilities), then confine just before exec. Neither can be undone.
 * Both use only their arguments and system calls; on failure err says which rule.
 */
MW_MUST enum mw_rc mw_sandbox_drop(const struct mw_sandbox *sandbox, struct mw_err *err);
/* What every sandbox may read or write, held open: whoever makes many sandboxes need not look for it each time. */
#define MW_SANDBOX_SYSTEM_MAX 48
#define MW_SANDBOX_USUAL_MAX 16
struct mw_sandbox_system {
    int fds[MW_SANDBOX_SYSTEM_MAX]; /* owned, close on exec; -1: not there, or open with another */
    bool is_folder[MW_SANDBOX_SYSTEM_MAX];
    bool usual_is_open
        [MW_SANDBOX_USUAL_MAX]; /* folders that are in most PATHs: nothing is to be opened for them */
};
void mw_sandbox_system_open(struct mw_sandbox_system *ret_system);
void mw_sandbox_system_close(struct mw_sandbox_system *system);
/* program: absolute path of what will be run; path_list: the child's PATH; home: nothing above or equal to it is opened for `program` or PATH. */
struct mw_sandbox_program {
    const char *program;
    const char *path_list;
    const char *home;
    uint32_t tasks; /* of mw_sandbox_count_tasks, when that user is not root */
    const struct mw_sandbox_system *system; /* NULL: found now */
    pid_t protect[3]; /* our own processes: no signal from inside reaches them; 0: none */
};
MW_MUST enum mw_rc mw_sandbox_confine(const struct mw_sandbox *sandbox,
                                      const struct mw_sandbox_offer *offer,
                                      const struct mw_sandbox_program *program, struct mw_err *err);

/* One JSON object as a value: {"profile","landlock","seccomp","network","signals","user","limits"}. */
void mw_sandbox_report(struct mw_json *json, const struct mw_sandbox *sandbox,
                       const struct mw_sandbox_offer *offer);

/* The spec of exec.h carries a sandbox as JSON; strings and lists of ret_sandbox lie in the arena. */
void mw_sandbox_write(struct mw_json *json, const struct mw_sandbox *sandbox);
MW_MUST enum mw_rc mw_sandbox_read(struct mw_arena *arena, const struct mw_tape *tape,
                                   uint32_t node, struct mw_sandbox *ret_sandbox,
                                   struct mw_err *err);

#endif
