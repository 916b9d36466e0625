#include "cli/start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/link.h"
#include "posix/file.h"
#include "posix/heap.h"

#define READY_FD 3
#define READY_TEXT_MAX 4096
#define ENVIRONMENT_MAX 1024

static enum mw_rc take_lock(const struct mw_cli *cli, int *ret_fd, struct mw_err *err);
static enum mw_rc spawn_host(struct mw_cli *cli, int ready_fd, pid_t *ret_pid, struct mw_err *err);
static enum mw_rc start_once(struct mw_cli *cli, bool *ret_killed, struct mw_err *err);
static enum mw_rc wait_ready(int fd, pid_t pid, bool *ret_killed, struct mw_err *err);

enum mw_rc mw_host_start(struct mw_cli *cli, struct mw_err *err)
{
    mw_autofree char *log = mw_heap_format("%s/.millwright/log", cli->workspace);
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, log, 0700, err);
    if (rc != MW_OK)
        return rc;
    mw_autoclose int lock = -1;
    rc = take_lock(cli, &lock, err);
    if (rc != MW_OK)
        return rc;
    if (mw_link_running(cli, NULL)) /* another one won the race */
        return MW_OK;
    bool killed = false;
    rc = start_once(cli, &killed, err);
    return killed ? start_once(cli, &killed, err) : rc;
}

/* *ret_killed: by somebody, before it was ready; of its own accord it would have said why, or crashed. */
static enum mw_rc start_once(struct mw_cli *cli, bool *ret_killed, struct mw_err *err)
{
    int pipe_fds[2];
    pid_t pid;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make a pipe for the host");
    enum mw_rc rc = spawn_host(cli, pipe_fds[1], &pid, err);
    (void)close(pipe_fds[1]); /* the host has its own */
    if (rc == MW_OK)
        rc = wait_ready(pipe_fds[0], pid, ret_killed, err);
    (void)close(pipe_fds[0]); /* all was said */
    return rc;
}

static enum mw_rc take_lock(const struct mw_cli *cli, int *ret_fd, struct mw_err *err)
{
    mw_autofree char *path = mw_heap_format("%s/.millwright/start.lock", cli->workspace);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, errno == EACCES || errno == EROFS ? MW_E_DENIED : MW_E_IO,
                           "open '%s'", path);
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) {
            (void)mw_fail(err, MW_E_IO, errno, "lock '%s'", path);
            (void)close(fd); /* the error is said */
            return err->rc;
        }
    *ret_fd = fd;
    return MW_OK;
}

/* The environment as it is now is the host's for its life: an agent gets of it what its definition names and nothing else. The PATH for agents
 * comes with each request. */
static void fill_environment(char **env, bool with_ready)
{
    static const char *const left_out[] = {"MILLWRIGHT_READY_FD=", "LANG=", "LC_", "LANGUAGE="};
    size_t count = 0;
    extern char **environ;
    for (char **at = environ; *at != NULL && count < ENVIRONMENT_MAX - 3; at++) {
        bool skip = false;
        for (size_t i = 0; i < MW_COUNT(left_out); i++)
            skip = skip || strncmp(*at, left_out[i], strlen(left_out[i])) == 0;
        if (!skip)
            env[count++] = mw_heap_copy(mw_str_of(*at));
    }
    env[count++] = mw_heap_copy(MW_STR("LANG=C.UTF-8"));
    if (with_ready)
        env[count++] = mw_heap_format("MILLWRIGHT_READY_FD=%d", READY_FD);
    env[count] = NULL;
}

static const char *host_program(const struct mw_cli *cli)
{
    return cli->ports->host_program != NULL ? cli->ports->host_program : "/proc/self/exe";
}

static enum mw_rc spawn_host(struct mw_cli *cli, int ready_fd, pid_t *ret_pid, struct mw_err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    char *env[ENVIRONMENT_MAX + 1];
    char *argv[] = {(char[]){"millwright"}, (char[]){"__host"}, cli->workspace, NULL};
    mw_autofree char *out = mw_heap_format("%s/.millwright/log/host.out", cli->workspace);
    fill_environment(env, true);
    (void)sigemptyset(&none);
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE);
    (void)sigaddset(&usual, SIGINT);
    (void)sigaddset(&usual, SIGTERM);
    (void)posix_spawn_file_actions_init(&files); /* none of these fail but for memory */
    (void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    /* A pipe in its place would hold us up until somebody reads it. */
    (void)posix_spawn_file_actions_addopen(
        &files, 1, out, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600);
    (void)posix_spawn_file_actions_adddup2(&files, 1, 2);
    (void)posix_spawn_file_actions_adddup2(&files, ready_fd, READY_FD);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &usual);
    int failed = posix_spawn(ret_pid, host_program(cli), &files, &attributes, argv, env);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attributes);
    for (char **at = env; *at != NULL; at++)
        mw_heap_free(*at);
    if (failed != 0)
        return mw_fail(err, MW_E_MISSING, failed,
                       "start the host, which writes to .millwright/log/host.out");
    return MW_OK;
}

static enum mw_rc rc_of_exit(int code)
{
    for (int rc = 1; rc < MW_RC_COUNT; rc++)
        if (mw_rc_exit_code((enum mw_rc)rc) == code)
            return (enum mw_rc)rc;
    return MW_E_MISSING;
}

/* The host ended before it was ready: what it said, with the code it ended with. */
static enum mw_rc not_ready(pid_t pid, struct mw_str said, bool *ret_killed, struct mw_err *err)
{
    int status = 0;
    pid_t got;
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    enum mw_rc rc = got == pid && WIFEXITED(status) && WEXITSTATUS(status) != 0
                        ? rc_of_exit(WEXITSTATUS(status))
                        : MW_E_MISSING;
    *ret_killed = got == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    said = mw_str_trim(said);
    /* "error 65 the journal is damaged": the code is the exit code that was just read. */
    if (mw_str_starts(said, MW_STR("error "))) {
        size_t space = mw_str_find(said, ' ', 6);
        said = space != SIZE_MAX ? mw_str_sub(said, space + 1, said.len) : MW_STR_NONE;
    }
    if (said.len == 0)
        return MW_FAIL(err, rc,
                       "the host ended before it was ready; .millwright/log/host.out may "
                       "say why");
    return MW_FAIL(err, rc, "%.*s", MW_STR_ARG(said));
}

static enum mw_rc wait_ready(int fd, pid_t pid, bool *ret_killed, struct mw_err *err)
{
    char text[READY_TEXT_MAX];
    size_t len = 0;
    int64_t until_ns = mw_now_monotonic_ns() + (int64_t)MW_LINK_START_MS * 1000000;
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        int64_t left_ms = (until_ns - mw_now_monotonic_ns()) / 1000000;
        if (left_ms <= 0)
            return MW_FAIL(err, MW_E_MISSING, "the host was not ready within %d s",
                           MW_LINK_START_MS / 1000);
        int ready = poll(&entry, 1, (int)left_ms);
        if (ready <= 0)
            continue;
        ssize_t got = read(fd, text + len, sizeof(text) - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            len += (size_t)got;
        if (len >= 6 && memcmp(text, "ready\n", 6) == 0)
            return MW_OK;
        if (got <= 0 || len == sizeof(text))
            return not_ready(pid, (struct mw_str){text, len}, ret_killed, err);
    }
}

enum mw_rc mw_host_become(struct mw_cli *cli, struct mw_err *err)
{
    char *env[ENVIRONMENT_MAX + 1];
    char *argv[] = {(char[]){"millwright"}, (char[]){"__host"}, cli->workspace, NULL};
    mw_autofree char *log = mw_heap_format("%s/.millwright/log", cli->workspace);
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, log, 0700, err);
    if (rc != MW_OK)
        return rc;
    fill_environment(env, false);
    (void)signal(SIGPIPE, SIG_DFL);             /* the host chooses for itself */
    (void)execve(host_program(cli), argv, env); /* comes back only when it failed */
    return MW_FAIL_SYS(err, MW_E_MISSING, "start the host");
}
