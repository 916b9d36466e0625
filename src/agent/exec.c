#include "agent/exec.h"

#include "agent/exec_server.h"
#include "agent/exec_wire.h"
#include "agent/proc.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_PIPE_BYTES (256 * 1024)

extern char **environ;

/* The stub's six descriptors, as the host holds them: all above the numbers that they will get. */
struct stub_fds {
    int input, output, errors, spec, control, report;
};

static enum mw_rc open_files(const struct mw_exec_spec *spec, struct stub_fds *fds,
                             struct mw_err *err);
static enum mw_rc open_pipes(struct stub_fds *fds, struct mw_exec_child *child, struct mw_err *err);
static enum mw_rc put_spec(const struct mw_exec_spec *spec, struct stub_fds *fds,
                           struct mw_err *err);
static enum mw_rc spawn_stub(const char *path, struct stub_fds *fds, struct mw_exec_child *child,
                             struct mw_err *err);
static enum mw_rc fork_stub(const struct mw_sandbox *sandbox, struct stub_fds *fds,
                            struct mw_exec_child *child, bool *ret_nothing, struct mw_err *err);
static enum mw_rc watch_stub(struct mw_exec_child *child, struct mw_err *err);
static void close_fds(struct stub_fds *fds);

/* nothing: the fork server could not do it, and another way may be tried. */
static enum mw_rc start(const struct mw_exec_spec *spec, bool forked,
                        struct mw_exec_child *ret_child, bool *ret_nothing, struct mw_err *err)
{
    struct stub_fds fds = {-1, -1, -1, -1, -1, -1};
    struct mw_exec_child child = {
        .pid = -1, .pidfd = -1, .stdout_fd = -1, .report_fd = -1, .control_fd = -1};

    enum mw_rc rc = open_files(spec, &fds, err);
    if (rc == MW_OK)
        rc = open_pipes(&fds, &child, err);
    if (rc == MW_OK)
        rc = put_spec(spec, &fds, err);
    if (rc == MW_OK && forked)
        rc = fork_stub(&spec->sandbox, &fds, &child, ret_nothing, err);
    else if (rc == MW_OK)
        rc = spawn_stub(spec->stub_path != NULL ? spec->stub_path : "/proc/self/exe", &fds, &child,
                        err);
    close_fds(&fds);
    if (rc == MW_OK)
        rc = watch_stub(&child, err);
    if (rc != MW_OK) {
        mw_exec_close(&child);
        return rc;
    }
    *ret_child = child;
    return MW_OK;
}

enum mw_rc mw_exec_start(const struct mw_exec_spec *spec, struct mw_exec_child *ret_child,
                         struct mw_err *err)
{
    MW_ASSERT(spec->argv != NULL && spec->env != NULL && spec->cwd != NULL);
    bool nothing = false;
    enum mw_rc rc =
        start(spec, spec->by_server && spec->stub_path == NULL, ret_child, &nothing, err);
    return nothing ? start(spec, false, ret_child, &nothing, err) : rc;
}

enum mw_rc mw_exec_end(const struct mw_exec_child *child, enum mw_exec_killed why,
                       uint32_t grace_ms, struct mw_err *err)
{
    MW_ASSERT(why == MW_EXEC_DEADLINE || why == MW_EXEC_IDLE || why == MW_EXEC_ASKED);
    char line[MW_EXEC_CONTROL_MAX];
    int len =
        snprintf(line, sizeof(line), "term %u %s\n", (unsigned)grace_ms, mw_exec_killed_name(why));
    ssize_t sent;
    do {
        sent = send(child->control_fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent == len)
        return MW_OK;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET || errno == EBADF))
        return MW_FAIL(err, MW_E_MISSING, "the child %d has already ended", (int)child->pid);
    return MW_FAIL_SYS(err, MW_E_IO, "tell the child %d to end", (int)child->pid);
}

bool mw_exec_reap(struct mw_exec_child *child)
{
    int status;
    pid_t pid;
    do {
        pid = waitpid(child->pid, &status, WNOHANG);
    } while (pid < 0 && errno == EINTR);
    return pid != 0; /* ECHILD: somebody collected it before us, and it is just as gone */
}

void mw_exec_close(struct mw_exec_child *child)
{
    int *fds[] = {&child->control_fd, &child->stdout_fd, &child->report_fd, &child->pidfd};
    for (size_t i = 0; i < MW_COUNT(fds); i++) {
        mw_autoclose_fd(fds[i]);
        *fds[i] = -1;
    }
}

/* posix_spawn's dup2 steps run in order: a source below the highest target could be overwritten before its turn. */
static int lift(int fd)
{
    if (fd < 0 || fd >= MW_EXEC_FD_END)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, MW_EXEC_FD_END);
    int saved = errno;
    (void)close(fd); /* replaced or useless */
    errno = saved;
    return higher;
}

static enum mw_rc open_files(const struct mw_exec_spec *spec, struct stub_fds *fds,
                             struct mw_err *err)
{
    const char *input = spec->stdin_path != NULL ? spec->stdin_path : "/dev/null";
    const char *errors = spec->stderr_path != NULL ? spec->stderr_path : "/dev/null";
    fds->input = lift(open(input, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (fds->input < 0)
        return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : MW_E_IO, "open '%s' as input",
                           input);
    fds->errors =
        lift(open(errors, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600));
    if (fds->errors < 0)
        return MW_FAIL_SYS(err, errno == ENOSPC ? MW_E_FULL : MW_E_IO, "open '%s' as log", errors);
    return MW_OK;
}

static enum mw_rc open_pipes(struct stub_fds *fds, struct mw_exec_child *child, struct mw_err *err)
{
    int output[2], report[2], control[2];
    if (pipe2(output, O_CLOEXEC) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the output pipe");
    child->stdout_fd = output[0];
    fds->output = lift(output[1]);
    if (pipe2(report, O_CLOEXEC) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the report pipe");
    child->report_fd = report[0];
    fds->report = lift(report[1]);
    /* A socket, not a pipe: sending to a stub that has gone must not raise SIGPIPE in the host. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the control channel");
    child->control_fd = control[0];
    fds->control = lift(control[1]);
    if (fds->output < 0 || fds->report < 0 || fds->control < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "renumber the child's descriptors");
    int ours[] = {child->stdout_fd, child->report_fd, child->control_fd};
    for (size_t i = 0; i < MW_COUNT(ours); i++)
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK) != 0) /* they have no other flag */
            return MW_FAIL_SYS(err, MW_E_IO, "make a child's pipe non-blocking");
    (void)fcntl(child->stdout_fd, F_SETPIPE_SZ, OUTPUT_PIPE_BYTES); /* only fewer wake-ups */
    return MW_OK;
}

static enum mw_rc put_spec(const struct mw_exec_spec *spec, struct stub_fds *fds,
                           struct mw_err *err)
{
    struct mw_buf buf = mw_heap_buf();
    enum mw_rc rc = mw_exec_spec_write(spec, getenv("HOME"), &buf, err);
    if (rc == MW_OK) {
        fds->spec = lift(memfd_create("millwright-exec", MFD_CLOEXEC));
        if (fds->spec < 0)
            rc = MW_FAIL_SYS(err, MW_E_IO, "make the child's order");
    }
    if (rc == MW_OK)
        rc = mw_write_all(fds->spec, mw_buf_str(&buf), err);
    if (rc == MW_OK && lseek(fds->spec, 0, SEEK_SET) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "rewind the child's order");
    if (buf.len > 0)
        explicit_bzero(buf.ptr, buf.len); /* it holds the child's secrets */
    mw_heap_buf_free(&buf);
    return rc;
}

/* The stub needs nothing of the host's environment but what makes our own program start. */
static void stub_environment(bool serve, const char **ret_env, size_t capacity)
{
    static const char *const kept[] = {
        "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "LSAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="};
    size_t count = 0;
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        for (size_t i = 0; i < MW_COUNT(kept) && count + 1 < capacity; i++)
            if (strncmp(*entry, kept[i], strlen(kept[i])) == 0)
                ret_env[count++] = *entry;
    if (serve && count + 1 < capacity)
        ret_env[count++] = "LD_BIND_NOW=1"; /* once for all who are forked from it */
    ret_env[count] = NULL;
}

static int spawn_actions(const int sources[MW_EXEC_FD_END], posix_spawn_file_actions_t *actions,
                         posix_spawnattr_t *attributes)
{
    int failure = 0;
    for (int target = 0; target < MW_EXEC_FD_END && failure == 0; target++)
        failure = posix_spawn_file_actions_adddup2(actions, sources[target], target);
    if (failure == 0)
        failure = posix_spawn_file_actions_addclosefrom_np(actions, MW_EXEC_FD_END);
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    if (failure == 0)
        failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0)
        failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0)
        failure = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    return failure;
}

int mw_exec_spawn(const char *path, bool serve, const int sources[MW_EXEC_FD_END], pid_t *ret_pid)
{
    static char name[] = "millwright", verb[] = "__exec", word[] = "serve";
    char *const argv[] = {name, verb, serve ? word : NULL, NULL};
    const char *env[8];
    stub_environment(serve, env, MW_COUNT(env));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0)
        return failure;
    failure = posix_spawnattr_init(&attributes);
    if (failure == 0) {
        failure = spawn_actions(sources, &actions, &attributes);
        if (failure == 0)
            failure = posix_spawn(ret_pid, path, &actions, &attributes, argv, (char *const *)env);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static void list_fds(const struct stub_fds *fds, int ret_list[MW_EXEC_FD_END])
{
    const int list[MW_EXEC_FD_END] = {fds->input, fds->output,  fds->errors,
                                      fds->spec,  fds->control, fds->report};
    memcpy(ret_list, list, sizeof(list));
}

static enum mw_rc spawn_stub(const char *path, struct stub_fds *fds, struct mw_exec_child *child,
                             struct mw_err *err)
{
    int list[MW_EXEC_FD_END];
    list_fds(fds, list);
    int failure = mw_exec_spawn(path, false, list, &child->pid);
    if (failure == 0)
        return MW_OK;
    return mw_fail(err, failure == ENOENT ? MW_E_MISSING : MW_E_IO, failure, "start '%s'", path);
}

static enum mw_rc fork_stub(const struct mw_sandbox *sandbox, struct stub_fds *fds,
                            struct mw_exec_child *child, bool *ret_nothing, struct mw_err *err)
{
    int list[MW_EXEC_FD_END];
    list_fds(fds, list);
    uid_t user = mw_sandbox_user(sandbox);
    bool ordered = mw_exec_server_order(list, user != 0 ? user : MW_EXEC_NOBODY);
    close_fds(fds); /* or we would never see the control channel end */
    if (!ordered) {
        *ret_nothing = true;
        return MW_FAIL(err, MW_E_IO, "the fork server cannot be started");
    }
    enum mw_rc rc = mw_exec_server_await(child->control_fd, &child->pid, err);
    *ret_nothing = rc == MW_E_MISSING;
    return rc;
}

static enum mw_rc watch_stub(struct mw_exec_child *child, struct mw_err *err)
{
    /* Nobody else collects it, so the number is still its own, even when it has already ended. */
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    struct mw_proc proc;
    if (child->pidfd < 0 || !mw_proc_read(child->pid, &proc)) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "watch the child %d", (int)child->pid);
        pid_t pid = child->pid;
        mw_exec_close(
            child); /* the stub sees a dead host, ends what it may have started, and exits soon */
        (void)waitpid(pid, NULL, 0);
        return rc;
    }
    child->start_ticks = proc.start_ticks;
    child->started_us = mw_now_unix_us();
    return MW_OK;
}

static void close_fds(struct stub_fds *fds)
{
    int *all[] = {&fds->input, &fds->output, &fds->errors, &fds->spec, &fds->control, &fds->report};
    for (size_t i = 0; i < MW_COUNT(all); i++) {
        mw_autoclose_fd(all[i]);
        *all[i] = -1;
    }
}
