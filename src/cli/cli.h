/*
 * cli.h - the command line: parse words, post one request or read one view, write the answer as text or JSON.
 *
 * Owns:     words, options, help, exit codes, the search for a workspace, starting the host, terminals.
 * Does not: decide anything about the product. What it needs of other rooms beyond base, msg, posix and author comes in by the ports.
 * Errors:   docs/cli.md has the exit codes; everything that went wrong is one line on standard error.
 */
#ifndef MW_CLI_H
#define MW_CLI_H

#include "base/json.h"
#include "port/promises.h"

#define MW_CLI_VERSION "0.1.0"
#define MW_CLI_API 1
#define MW_CLI_VIEW_ARGS_MAX 8

struct mw_cli_arg {
    const char *key;
    const char *value;
};

/* main.c fills it in; tests supply their own. A member may be NULL when that part is not there: the verb then says so (69). */
struct mw_cli_snapshot {
    bool found;
    bool usable; /* a start would begin from it; else why not */
    bool agrees; /* with what every record up to there gives */
    uint64_t seq;
    uint64_t records; /* that stand for them */
    char why[256];
};

struct mw_cli_ports {
    /* Says which build this is; a host that says otherwise is replaced. NULL or "": not compared. */
    const char *(*build_id)(void);
    /* One JSON document of src/view, folded from the journal in the workspace, with no host. Appends to out. */
    enum mw_rc (*offline_view)(const char *workspace, const char *name,
                               const struct mw_cli_arg *args, uint32_t arg_count,
                               struct mw_buf *out, struct mw_err *err);
    /* Hands over the journal's records from seq on, with no host. on_line returning false ends it. */
    enum mw_rc (*offline_records)(const char *workspace, uint64_t from_seq,
                                  bool (*on_line)(void *context, struct mw_str line), void *context,
                                  struct mw_err *err);
    /* Replays the journal, with nobody to ask, and gives the digest of the state that it comes to; and what there is of a snapshot. */
    enum mw_rc (*offline_state)(const char *workspace, char ret_sha256[65], uint64_t *ret_seq,
                                struct mw_cli_snapshot *ret_snapshot, struct mw_err *err);
    /* Makes a snapshot of all that is recorded, beside a host or without one. *ret_made false: there is one already. */
    enum mw_rc (*make_snapshot)(const char *workspace, struct mw_cli_snapshot *ret_snapshot,
                                bool *ret_made, struct mw_err *err);
    /* Reads every definition under the factory folder (and the workspace's own); the first mistake is the error. */
    enum mw_rc (*check_definitions)(const char *factory, const char *workspace, struct mw_err *err);
    /* The scaffold of BL-02 in the workspace; *ret_made is false when there was an app root. */
    enum mw_rc (*make_scaffold)(int workspace_fd, const char *factory, const char *name,
                                bool *ret_made, struct mw_err *err);
    /* Appends what `diff -ruN old new` says in the folder cwd, at most max_bytes. NULL: reviews have no diff. */
    enum mw_rc (*diff_trees)(const char *cwd, const char *old_folder, const char *new_folder,
                             size_t max_bytes, struct mw_buf *buf, bool *ret_cut,
                             struct mw_err *err);
    /* Tries the promises on this disk, in a folder of its own within the one that is given. */
    enum mw_rc (*check_promises)(const char *folder,
                                 void (*on_finding)(void *context,
                                                    const struct mw_promise_finding *finding),
                                 void *context, struct mw_err *err);
    /* The record for which the host stays read-only, because it ends every replay; 0: none (P08). May be NULL. */
    uint64_t (*read_only_for)(const char *workspace);
    const char *host_program; /* NULL: this program */
};

/* The whole command line; returns the process's exit code. */
int mw_cli_main(int argc, char **argv, const struct mw_cli_ports *ports);

#endif
