#include "cli/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* On the disk that is looked at, with the host that every user gets. */

#define ARENA_BYTES ((size_t)64 << 20)

enum mw_rc mw_trial_start(const struct mw_cli_ports *ports, const char *folder, const char *name,
                          const char *factory, struct mw_trial *ret_trial, struct mw_err *err)
{
    struct mw_trial trial = {.cli = {.ports = ports}};
    trial.folder = mw_heap_format("%s/%s-XXXXXX", folder, name);
    if (mkdtemp(trial.folder) == NULL) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "make a folder in '%s'", folder);
        mw_heap_free(trial.folder);
        return rc;
    }
    mw_autofree char *hidden = mw_heap_format("%s/.millwright", trial.folder);
    (void)setenv("MILLWRIGHT_FACTORY", factory, 1); /* the host's only definitions */
    mw_heap_arena(&trial.cli.arena, ARENA_BYTES);
    trial.cli.workspace_flag = trial.folder;
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, hidden, 0700, err);
    if (rc == MW_OK)
        rc = mw_cli_workspace(&trial.cli, MW_WORKSPACE_EXISTS, err);
    if (rc == MW_OK)
        rc = mw_link_ensure(&trial.cli, err);
    if (rc != MW_OK) {
        mw_trial_end(&trial);
        return rc;
    }
    *ret_trial = trial;
    return MW_OK;
}

void mw_trial_end(struct mw_trial *trial)
{
    struct mw_err err;
    bool was;
    if (trial->cli.workspace != NULL && mw_link_stop(&trial->cli, &was, &err) != MW_OK)
        (void)fprintf(stderr, "millwright: %s\n", err.text);
    if (mw_remove_tree(AT_FDCWD, trial->folder, &err) != MW_OK)
        (void)fprintf(stderr, "millwright: %s\n", err.text);
    mw_heap_free(trial->cli.workspace);
    mw_heap_free(trial->folder);
    mw_heap_arena_free(&trial->cli.arena);
    trial->cli.workspace = NULL;
    trial->folder = NULL;
}

/* ---- its process ---- */

enum mw_rc mw_trial_pid(struct mw_trial *trial, pid_t *ret_pid, struct mw_err *err)
{
    struct mw_str hello;
    struct mw_tape tape;
    mw_arena_reset(&trial->cli.arena);
    if (!mw_link_running(&trial->cli, &hello))
        return MW_FAIL(err, MW_E_IO, "the host does not answer");
    enum mw_rc rc = mw_json_parse(&trial->cli.arena, hello, &tape, err);
    if (rc == MW_OK)
        *ret_pid = (pid_t)mw_node_int(&tape, mw_node_get(&tape, 0, "pid"), 0);
    return rc;
}

enum mw_rc mw_trial_kill(struct mw_trial *trial, struct mw_err *err)
{
    pid_t pid = 0;
    enum mw_rc rc = mw_trial_pid(trial, &pid, err);
    if (rc != MW_OK)
        return rc;
    (void)kill(pid, SIGKILL);
    trial->cli.host_checked = false;
    for (int fd = 0; fd >= 0;) {
        fd = mw_link_connect(&trial->cli);
        if (fd >= 0)
            (void)close(fd);               /* it was the one that dies */
        (void)waitpid(pid, NULL, WNOHANG); /* perhaps a child of ours */
    }
    return MW_OK;
}

enum mw_rc mw_trial_stop(struct mw_trial *trial, struct mw_err *err)
{
    bool was;
    mw_arena_reset(&trial->cli.arena);
    return mw_link_stop(&trial->cli, &was, err);
}

enum mw_rc mw_trial_again(struct mw_trial *trial, double *ret_ms, struct mw_err *err)
{
    mw_arena_reset(&trial->cli.arena);
    int64_t from_ns = mw_now_monotonic_ns();
    enum mw_rc rc = mw_link_ensure(&trial->cli, err);
    *ret_ms = (double)(mw_now_monotonic_ns() - from_ns) / 1e6;
    return rc;
}
