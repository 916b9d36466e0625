#include "builtin/service.h"

#include "base/json.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a service is told by the check and must not inherit; the last one changes how node's test runner speaks. */
static const char *const env_dropped[] = {
    "PORT",
    "HOST",
    "DATA_DIR",
    "MONGODB_URL",
    "BODY_LIMIT_BYTES",
    "REQUEST_TIMEOUT_MS",
    "JWT_ALGORITHM",
    "JWT_SECRET",
    "JWT_ISSUER",
    "JWT_PUBLIC_KEY",
    "JWT_AUDIENCE",
    "NODE_TEST_CONTEXT",
};

#define CHILDREN_MAX 256
#define PIPE_BYTES (1 << 20)
#define READS_MAX 128u /* of 16 KiB: what a pipe holds, and then somebody looks at the time */

struct child {
    pid_t pid;
    int pid_fd;
    int out_fd;
    int err_fd;
};

extern char **environ;

static enum mw_rc spawn(const struct mw_command *command, bool one_pipe, struct child *ret_child,
                        struct mw_err *err);
static char **make_env(const char *const *extra);
static bool take_output(int *fd, struct mw_buf *buf);
static void keep_newest(struct mw_buf *buf, size_t max);
static void trim(struct mw_buf *buf, size_t max);
static uint32_t end_all(pid_t pid, int *ret_status);
static bool find_listening(struct mw_service *service);
static int exit_of(int status);
static int64_t ms_until(int64_t deadline_ns);
static void close_all(struct mw_service *service);

static enum mw_rc begin(struct mw_service *service, const struct mw_command *command,
                        struct mw_err *err)
{
    memset(service, 0, sizeof *service);
    service->pid_fd = service->out_fd = service->err_fd = -1;
    service->out = mw_heap_buf();
    service->err = mw_heap_buf();
    struct child child;
    enum mw_rc rc = spawn(command, false, &child, err);
    if (rc != MW_OK)
        return rc;
    service->pid = child.pid;
    service->pid_fd = child.pid_fd;
    service->out_fd = child.out_fd;
    service->err_fd = child.err_fd;
    return MW_OK;
}

/* Waits until the child writes or ends; false at the deadline. */
static bool wait_for_news(struct mw_service *service, int64_t deadline_ns, bool *ret_ended)
{
    struct pollfd polls[3] = {{.fd = service->pid_fd, .events = POLLIN},
                              {.fd = service->out_fd, .events = POLLIN},
                              {.fd = service->err_fd, .events = POLLIN}};
    int ready;
    do
        ready = poll(polls, 3, (int)ms_until(deadline_ns));
    while (ready < 0 && errno == EINTR && ms_until(deadline_ns) > 0);
    *ret_ended = ready > 0 && (polls[0].revents & POLLIN) != 0;
    mw_service_drain(service);
    /* One that writes without end has news for ever. */
    return *ret_ended || (ready > 0 && ms_until(deadline_ns) > 0);
}

enum mw_rc mw_service_start(struct mw_service *service, const struct mw_command *command,
                            int64_t timeout_ms, struct mw_err *err)
{
    enum mw_rc rc = begin(service, command, err);
    if (rc != MW_OK)
        return rc;
    int64_t deadline_ns = mw_now_monotonic_ns() + timeout_ms * 1000000;
    for (;;) {
        bool ended = false;
        if (!wait_for_news(service, deadline_ns, &ended)) {
            mw_service_kill(service);
            return MW_FAIL(err, MW_E_TIMEOUT, "did not say that it listens within %ld ms",
                           (long)timeout_ms);
        }
        if (find_listening(service))
            return MW_OK;
        if (ended) {
            mw_service_kill(service);
            struct mw_str words = mw_str_trim(mw_buf_str(&service->err));
            if (words.len == 0)
                words = mw_str_trim(mw_buf_str(&service->out));
            if (words.len > 400)
                words = mw_str_sub(words, words.len - 400, 400);
            return MW_FAIL(err, MW_E_FAILED, "ended with %d before it listened: %.*s",
                           exit_of(service->status), MW_STR_ARG(words));
        }
    }
}

enum mw_rc mw_service_start_refused(struct mw_service *service, const struct mw_command *command,
                                    int64_t timeout_ms, struct mw_err *err)
{
    enum mw_rc rc = begin(service, command, err);
    if (rc != MW_OK)
        return rc;
    int64_t deadline_ns = mw_now_monotonic_ns() + timeout_ms * 1000000;
    bool ended = false;
    bool listens = false;
    while (!ended && !listens && wait_for_news(service, deadline_ns, &ended))
        listens = find_listening(service);
    mw_service_kill(service);
    return ended ? MW_OK : MW_FAIL(err, MW_E_TIMEOUT, "it went on running");
}

bool mw_service_runs(struct mw_service *service)
{
    struct pollfd poll_pid = {.fd = service->pid_fd, .events = POLLIN};
    return service->pid != 0 && poll(&poll_pid, 1, 0) == 0;
}

bool mw_service_wait(struct mw_service *service, int64_t timeout_ms)
{
    int64_t deadline_ns = mw_now_monotonic_ns() + timeout_ms * 1000000;
    bool ended = false;
    while (!ended && wait_for_news(service, deadline_ns, &ended)) {
    }
    return ended;
}

void mw_service_drain(struct mw_service *service)
{
    (void)take_output(&service->out_fd,
                      &service->out); /* the end of output is no news: the pid is watched */
    (void)take_output(&service->err_fd, &service->err);
    keep_newest(&service->out, MW_SERVICE_OUTPUT_MAX);
    keep_newest(&service->err, MW_COMMAND_TAIL_MAX);
}

void mw_service_kill(struct mw_service *service)
{
    if (service->pid == 0)
        return;
    (void)kill(-service->pid, SIGKILL);
    service->left_count = end_all(service->pid, &service->status);
    close_all(service);
}

void mw_service_terminate(struct mw_service *service)
{
    if (!service->terminated)
        (void)kill(service->pid, SIGTERM); /* it may have ended already: whoever waits sees it */
    service->terminated = true;
}

enum mw_rc mw_service_stop(struct mw_service *service, int64_t timeout_ms, int *ret_exit,
                           struct mw_err *err)
{
    MW_ASSERT(service->pid != 0);
    mw_service_terminate(service);
    bool ended = mw_service_wait(service, timeout_ms);
    if (!ended)
        (void)kill(-service->pid, SIGKILL);
    service->left_count = end_all(service->pid, &service->status);
    close_all(service);
    if (!ended)
        return MW_FAIL(err, MW_E_TIMEOUT, "still ran %ld ms after SIGTERM", (long)timeout_ms);
    *ret_exit = exit_of(service->status);
    return MW_OK;
}

void mw_service_free(struct mw_service *service)
{
    mw_service_kill(service);
    if (service->out.grow != NULL)
        mw_heap_buf_free(&service->out);
    if (service->err.grow != NULL)
        mw_heap_buf_free(&service->err);
    memset(service, 0, sizeof *service);
}

static void close_all(struct mw_service *service)
{
    mw_service_drain(service);
    if (service->out_fd >= 0)
        (void)close(service->out_fd);
    if (service->err_fd >= 0)
        (void)close(service->err_fd);
    (void)close(service->pid_fd);
    service->pid_fd = service->out_fd = service->err_fd = -1;
    service->pid = 0;
}

/* The port of the first listening line, and whether that was the first line at all. */
static bool find_listening(struct mw_service *service)
{
    struct mw_str all = mw_buf_str(&service->out);
    size_t from = 0;
    size_t end;
    while ((end = mw_str_find(all, '\n', from)) != SIZE_MAX) {
        char memory[16384];
        struct mw_arena arena;
        struct mw_tape tape;
        mw_arena_init(&arena, memory, sizeof memory);
        struct mw_str line = mw_str_sub(all, from, end - from);
        if (mw_json_parse(&arena, line, &tape, NULL) == MW_OK &&
            mw_str_is(mw_node_get_text(&tape, 0, "event"), "listening")) {
            int64_t port = mw_node_int(&tape, mw_node_get(&tape, 0, "port"), 0);
            service->first_line_listens = from == 0;
            service->port = port > 0 && port < 65536 ? (uint16_t)port : 0;
            return service->port != 0;
        }
        from = end + 1;
    }
    return false;
}

/* ------------------------------------------------------------------ commands */

struct lines {
    mw_command_line_fn *on_line;
    void *user;
    struct mw_buf part; /* an unfinished line */
    struct mw_sha256 sha;
};

static void give_lines(struct lines *lines, struct mw_str bytes, bool last)
{
    size_t from = 0;
    size_t end;
    mw_buf_put(&lines->part, bytes);
    struct mw_str all = mw_buf_str(&lines->part);
    while ((end = mw_str_find(all, '\n', from)) != SIZE_MAX) {
        lines->on_line(lines->user, mw_str_sub(all, from, end - from));
        from = end + 1;
    }
    struct mw_str rest = mw_str_sub(all, from, all.len);
    if (rest.len > 0 && (last || rest.len > MW_COMMAND_TAIL_MAX)) {
        lines->on_line(lines->user, rest);
        rest.len = 0;
    }
    if (rest.len > 0)
        memmove(lines->part.ptr, rest.ptr, rest.len);
    lines->part.len = rest.len;
}

static bool read_some(int fd, struct lines *lines, struct mw_buf *tail)
{
    char bytes[16384];
    ssize_t got = 1;
    for (unsigned i = 0; i < READS_MAX && (got = read(fd, bytes, sizeof bytes)) > 0; i++) {
        struct mw_str piece = {bytes, (size_t)got};
        mw_sha256_add(&lines->sha, piece);
        mw_buf_put(tail, piece);
        keep_newest(tail, MW_COMMAND_TAIL_MAX);
        give_lines(lines, piece, false);
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

enum mw_rc mw_command_run(const struct mw_command *command, int64_t timeout_ms,
                          mw_command_line_fn *on_line, void *user,
                          struct mw_command_result *ret_result, struct mw_err *err)
{
    struct child child;
    enum mw_rc rc = spawn(command, true, &child, err);
    if (rc != MW_OK)
        return rc;
    struct lines lines = {.on_line = on_line, .user = user, .part = mw_heap_buf()};
    struct mw_command_result result = {.tail = mw_heap_buf()};
    int64_t started_ns = mw_now_monotonic_ns();
    int64_t deadline_ns = started_ns + timeout_ms * 1000000;
    bool ended = false;
    mw_sha256_begin(&lines.sha);
    while (!ended) {
        struct pollfd polls[2] = {{.fd = child.pid_fd, .events = POLLIN},
                                  {.fd = child.out_fd, .events = POLLIN}};
        int ready = poll(polls, 2, (int)ms_until(deadline_ns));
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            result.timed_out = true;
            break;
        }
        ended = ready > 0 && (polls[0].revents & POLLIN) != 0;
        if (child.out_fd >= 0 && !read_some(child.out_fd, &lines, &result.tail)) {
            (void)close(child.out_fd);
            child.out_fd = -1;
        }
        if (!ended && ms_until(deadline_ns) == 0) {
            result.timed_out = true;
            break;
        }
    }
    int status = 0;
    if (!ended)
        (void)kill(-child.pid, SIGKILL);
    (void)end_all(child.pid, &status); /* what a test left running is not the test's result */
    if (child.out_fd >= 0) {
        (void)read_some(child.out_fd, &lines, &result.tail);
        (void)close(child.out_fd);
    }
    (void)close(child.pid_fd);
    give_lines(&lines, MW_STR_NONE, true);
    trim(&result.tail, MW_COMMAND_TAIL_MAX);
    mw_heap_buf_free(&lines.part);
    uint8_t digest[32];
    mw_sha256_end(&lines.sha, digest);
    mw_hex(digest, sizeof digest, result.output_sha256);
    result.exit = exit_of(status);
    result.duration_ms = (mw_now_monotonic_ns() - started_ns) / 1000000;
    *ret_result = result;
    return MW_OK;
}

void mw_command_result_free(struct mw_command_result *result)
{
    if (result->tail.grow != NULL)
        mw_heap_buf_free(&result->tail);
    memset(result, 0, sizeof *result);
}

/* ------------------------------------------------------------------ the child */

/* After fork: only calls that are safe there. */
static void become(const struct mw_command *command, char **env, const int fds[4], pid_t parent)
{
    static const int reset[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; i < MW_COUNT(reset); i++)
        (void)signal(reset[i], SIG_DFL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    bool set = dup2(fds[0], 0) >= 0 && dup2(fds[1], 1) >= 0 && dup2(fds[2], 2) >= 0 &&
               (command->folder == NULL || chdir(command->folder) == 0);
    (void)syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    if (set)
        (void)execvpe(command->words[0], (char *const *)(uintptr_t)command->words, env);
    int cause = errno;
    (void)!write(fds[3], &cause, sizeof cause); /* the parent hears nothing else */
    _exit(127);
}

static enum mw_rc spawn(const struct mw_command *command, bool one_pipe, struct child *ret_child,
                        struct mw_err *err)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out[2] = {-1, -1};
    int errs[2] = {-1, -1};
    int said[2] = {-1, -1};
    if (null_fd < 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(said, O_CLOEXEC) != 0 ||
        (!one_pipe && pipe2(errs, O_CLOEXEC) != 0))
        return MW_FAIL_SYS(err, MW_E_IO, "open pipes for '%s'", command->words[0]);
    (void)fcntl(out[1], F_SETPIPE_SZ,
                PIPE_BYTES); /* a chatty service does not wait for us; smaller works too */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what it leaves behind becomes ours to find */

    char **env = make_env(command->env);
    int fds[4] = {null_fd, out[1], one_pipe ? out[1] : errs[1], said[1]};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(command, env, fds, parent);
    int fork_errno = errno;
    mw_heap_free(env);
    (void)close(null_fd);
    (void)close(out[1]);
    (void)close(said[1]);
    if (!one_pipe)
        (void)close(errs[1]);
    int cause = pid < 0 ? fork_errno : 0;
    if (pid > 0) {
        (void)setpgid(pid, pid);                    /* whoever is first */
        (void)!read(said[0], &cause, sizeof cause); /* nothing when it was started */
    }
    (void)close(said[0]);
    if (cause != 0) {
        if (pid > 0)
            (void)waitpid(pid, NULL, 0);
        (void)close(out[0]);
        if (!one_pipe)
            (void)close(errs[0]);
        return mw_fail(err, cause == ENOENT ? MW_E_MISSING : MW_E_FAILED, cause, "start '%s'",
                       command->words[0]);
    }
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    if (!one_pipe)
        (void)fcntl(errs[0], F_SETFL, O_NONBLOCK);
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid_fd < 0) { /* a sandbox may forbid it; without it nobody hears of the child's end */
        int why = errno;
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)close(out[0]);
        if (!one_pipe)
            (void)close(errs[0]);
        return mw_fail(err, MW_E_FAILED, why, "watch '%s'", command->words[0]);
    }
    *ret_child = (struct child){pid, pid_fd, out[0], one_pipe ? -1 : errs[0]};
    return MW_OK;
}

static bool env_names(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static char **make_env(const char *const *extra)
{
    size_t count = 0;
    for (char **entry = environ; *entry != NULL; entry++)
        count++;
    size_t extra_count = 0;
    while (extra != NULL && extra[extra_count] != NULL)
        extra_count++;
    char **env = mw_heap_alloc((count + extra_count + 1) * sizeof *env);
    size_t used = 0;
    for (char **entry = environ; *entry != NULL; entry++) {
        bool dropped = false;
        for (size_t i = 0; i < MW_COUNT(env_dropped); i++)
            dropped = dropped || env_names(*entry, env_dropped[i]);
        if (!dropped)
            env[used++] = *entry;
    }
    for (size_t i = 0; i < extra_count; i++)
        env[used++] = (char *)(uintptr_t)extra[i];
    return env;
}

/* False once the other end is closed; then the descriptor is closed too. */
static bool take_output(int *fd, struct mw_buf *buf)
{
    char bytes[16384];
    ssize_t got = 1;
    if (*fd < 0)
        return false;
    for (unsigned i = 0; i < READS_MAX && (got = read(*fd, bytes, sizeof bytes)) > 0; i++)
        mw_buf_put(buf, (struct mw_str){bytes, (size_t)got});
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return true;
    (void)close(*fd);
    *fd = -1;
    return false;
}

static void keep_newest(struct mw_buf *buf, size_t max)
{
    if (buf->len > 2 * max) /* seldom: moving is dear */
        trim(buf, max);
}

static void trim(struct mw_buf *buf, size_t max)
{
    if (buf->len <= max)
        return;
    memmove(buf->ptr, buf->ptr + (buf->len - max), max);
    buf->len = max;
}

static uint32_t list_children(pid_t ret_pids[CHILDREN_MAX])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    uint32_t count = 0;
    int pid;
    if (file == NULL)
        return 0;
    while (count < CHILDREN_MAX && fscanf(file, "%d", &pid) == 1)
        ret_pids[count++] = pid;
    (void)fclose(file);
    return count;
}

/* Ends what its line left to us: those already ending get a moment, the others are killed and counted. */
static uint32_t end_line(pid_t leader)
{
    pid_t pids[CHILDREN_MAX];
    uint32_t count;
    uint32_t ended;
    uint32_t left = 0;
    int64_t deadline_ns = mw_now_monotonic_ns() + (int64_t)MW_SERVICE_LEFT_GRACE_MS * 1000000;
    do {
        ended = 0;
        count = list_children(pids);
        for (uint32_t i = 0; i < count; i++) {
            if (pids[i] == leader)
                continue;
            struct pollfd ending = {.fd = (int)syscall(SYS_pidfd_open, pids[i], 0),
                                    .events = POLLIN};
            if (ending.fd >= 0 && poll(&ending, 1, (int)ms_until(deadline_ns)) == 0) {
                left++;
                (void)kill(pids[i], SIGKILL);
            }
            if (ending.fd >= 0)
                (void)close(ending.fd);
            (void)waitpid(pids[i], NULL, 0);
            ended++;
        }
    } while (ended > 0); /* the ended ones may have left theirs */
    return left;
}

/* Waits for pid, which ends or has ended, and clears away its line and its group. Returns how many outlived it. The leader stays a zombie until
 * last, so that its number cannot become another group's. */
static uint32_t end_all(pid_t pid, int *ret_status)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    uint32_t left = end_line(pid);
    (void)kill(-pid, SIGKILL);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR) {
    }
    return left;
}

static int exit_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int64_t ms_until(int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - mw_now_monotonic_ns();
    return left_ns > 0 ? (left_ns + 999999) / 1000000 : 0;
}
