/* The stub: supervisor of one program. Small, single-threaded, and alive exactly until no descendant is left. */
#include "agent/exec.h"

#include "agent/exec_server.h"
#include "agent/exec_wire.h"
#include "agent/proc.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA_BYTES (64u << 20) /* lazily backed */
#define NEVER_MS UINT64_MAX
#define SWEEP_MS 20        /* between two rounds of killing when nothing is heard */
#define SWEEP_MAX_MS 10000 /* after that only the kernel can hold a process: report it */
#define COUNT_EVERY_MS 250 /* root's processes are not held to a limit by the kernel */
#define OUR_FILE_MODE 022

struct stub {
    struct mw_exec_order order;
    struct mw_sandbox_offer offer;
    pid_t server;                           /* 0: not forked by one */
    const struct mw_sandbox_system *system; /* NULL: not held open */
    uint32_t tasks; /* that the program's user had before; not asked for root */
    struct mw_exec_report report;
    pid_t program;
    bool
        program_ended; /* dead, perhaps not yet collected: its number and group are still its own */
    bool program_collected;
    bool control_open;
    int signals;          /* signalfd */
    uint64_t hard_at_ms;  /* monotonic */
    uint64_t kill_at_ms;  /* NEVER_MS until TERM was sent */
    uint64_t count_at_ms; /* NEVER_MS: the kernel holds the limit */
    char control[MW_EXEC_CONTROL_MAX];
    size_t control_len;
};

/* What the forked child says when it could not become the program. */
struct start_failure {
    enum mw_exec_error error;
    char text[MW_EXEC_ERROR_MAX];
};

static enum mw_rc settle(struct stub *stub, struct mw_err *err);
static enum mw_rc take_order(struct stub *stub, struct mw_err *err);
static void start_program(struct stub *stub);
static void watch(struct stub *stub);
static void end_everything(struct stub *stub);
static int report(struct stub *stub);
static void ask_to_end(struct stub *stub, enum mw_exec_killed why, uint32_t grace_ms);
static void fail(struct stub *stub, enum mw_exec_error error, const char *text);

int mw_exec_main(int argc, char **argv)
{
    return argc > 2 ? mw_exec_server_main(argv[2]) : mw_exec_stub_main(NULL);
}

void mw_exec_offer_first(void)
{
    mw_autoclose int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0)
        (void)!write(score, "500", 3); /* without it the kernel takes whom it likes */
}

int mw_exec_stub_main(const struct mw_exec_known *known)
{
    struct stub stub = {.control_open = true, .kill_at_ms = NEVER_MS, .count_at_ms = NEVER_MS};
    struct mw_err err;
    if (known == NULL)
        mw_exec_offer_first();
    if (settle(&stub, &err) != MW_OK || take_order(&stub, &err) != MW_OK) {
        fail(&stub, MW_EXEC_SETUP_FAILED, err.text);
        return report(&stub);
    }
    stub.offer = known != NULL ? known->offer : mw_sandbox_probe();
    stub.server = known != NULL ? known->server : 0;
    stub.system = known != NULL ? &known->system : NULL;
    uid_t user = mw_sandbox_user(&stub.order.sandbox);
    if (user != 0)
        stub.tasks = known != NULL ? known->tasks : mw_sandbox_count_tasks(user);
    start_program(&stub);
    if (stub.program > 0)
        watch(&stub);
    end_everything(&stub);
    return report(&stub);
}

static uint64_t now_ms(void)
{
    return (uint64_t)(mw_now_monotonic_ns() / 1000000);
}

static void fail(struct stub *stub, enum mw_exec_error error, const char *text)
{
    stub->report.error = error;
    (void)snprintf(stub->report.error_text, sizeof(stub->report.error_text), "%.*s",
                   MW_EXEC_ERROR_MAX - 1, text);
}

static enum mw_rc settle(struct stub *stub, struct mw_err *err)
{
    for (int fd = MW_EXEC_FD_SPEC; fd < MW_EXEC_FD_END; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return MW_FAIL_SYS(err, MW_E_USAGE,
                               "__exec is started by millwright itself only; descriptor %d", fd);
    (void)fcntl(MW_EXEC_FD_CONTROL, F_SETFL,
                O_NONBLOCK);                     /* a blocking one only costs the backstop */
    (void)prctl(PR_SET_NAME, "millwright-exec"); /* for people who look at ps */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "become the reaper of what the program starts");
    if (getsid(0) != getpid() && setsid() < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "start a session");

    sigset_t heard;
    (void)sigemptyset(&heard);
    const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < MW_COUNT(numbers); i++)
        (void)sigaddset(&heard, numbers[i]);
    (void)sigprocmask(SIG_BLOCK, &heard, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a dead host shows as EPIPE */
    stub->signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
    if (stub->signals < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "listen to signals");
    return MW_OK;
}

static enum mw_rc read_spec(struct mw_buf *text, struct mw_err *err)
{
    for (;;) {
        char chunk[4096];
        ssize_t got = read(MW_EXEC_FD_SPEC, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MW_FAIL_SYS(err, MW_E_IO, "read the child's order");
        if (got == 0)
            return MW_OK;
        if (text->len + (size_t)got > MW_EXEC_SPEC_BYTES_MAX)
            return MW_FAIL(err, MW_E_LIMIT, "the child's order is too large");
        mw_buf_put(text, (struct mw_str){chunk, (size_t)got});
    }
}

static enum mw_rc take_order(struct stub *stub, struct mw_err *err)
{
    struct mw_arena arena; /* lives as long as the stub: the order points into it */
    struct mw_buf text = mw_heap_buf();
    (void)prctl(PR_SET_DUMPABLE, 0); /* our memory holds the child's secrets: nobody reads it */
    enum mw_rc rc = read_spec(&text, err);
    if (rc == MW_OK) {
        (void)close(MW_EXEC_FD_SPEC); /* only read from */
        mw_heap_arena(&arena, ARENA_BYTES);
        rc = mw_exec_order_read(&arena, mw_buf_str(&text), &stub->order, err);
        stub->hard_at_ms = now_ms() + stub->order.hard_max_ms;
    }
    mw_heap_buf_free(&text);
    return rc;
}

/* ---- becoming the program: everything here runs in the forked child ---- */

static _Noreturn void give_up(int fd, enum mw_exec_error error, const char *text)
{
    struct start_failure failure = {.error = error};
    (void)snprintf(failure.text, sizeof(failure.text), "%.*s", MW_EXEC_ERROR_MAX - 1, text);
    (void)!write(fd, &failure, sizeof(failure)); /* the stub sees a short read as a failure too */
    _exit(127);
}

static const char *path_of(char *const *env)
{
    for (size_t i = 0; env[i] != NULL; i++)
        if (strncmp(env[i], "PATH=", 5) == 0)
            return env[i] + 5;
    return "";
}

/* Absolute path of the program, as the user that it will run as sees it. */
static enum mw_exec_error find_program(const char *name, const char *path_list, char *ret_path,
                                       size_t capacity)
{
    struct stat facts;
    enum mw_exec_error answer = MW_EXEC_PROGRAM_MISSING;
    bool searched = strchr(name, '/') == NULL;
    char cwd[4096];
    const char *rest = path_list;
    if (getcwd(cwd, sizeof(cwd)) == NULL)
        return MW_EXEC_PROGRAM_MISSING;
    do {
        int len;
        if (searched) {
            size_t part = strcspn(rest, ":");
            const char *folder = rest;
            rest += part + (rest[part] == ':');
            if (part == 0 || folder[0] != '/')
                continue; /* an empty or relative part would be the work folder: never */
            len = snprintf(ret_path, capacity, "%.*s/%s", (int)part, folder, name);
        } else {
            len = name[0] == '/' ? snprintf(ret_path, capacity, "%s", name)
                                 : snprintf(ret_path, capacity, "%s/%s", cwd, name);
        }
        if (len <= 0 || (size_t)len >= capacity || stat(ret_path, &facts) != 0)
            continue;
        if (S_ISREG(facts.st_mode) && faccessat(AT_FDCWD, ret_path, X_OK, AT_EACCESS) == 0)
            return MW_EXEC_NO_ERROR;
        answer = MW_EXEC_PROGRAM_DENIED;
    } while (searched && *rest != '\0');
    return answer;
}

static _Noreturn void exec_or_give_up(const struct mw_exec_order *order, const char *program,
                                      int fd)
{
    char text[MW_EXEC_ERROR_MAX];
    (void)execve(program, order->argv, order->env);
    int why = errno;
    if (why == ENOENT)
        (void)snprintf(text, sizeof(text),
                       "program '%s': the interpreter that its first line names is not there",
                       order->argv[0]);
    else if (why == ENOEXEC)
        (void)snprintf(text, sizeof(text),
                       "program '%s' has no #! line and is no binary of this machine",
                       order->argv[0]);
    else
        (void)snprintf(text, sizeof(text), "program '%s' cannot be run: %s", order->argv[0],
                       strerror(why));
    give_up(fd, MW_EXEC_PROGRAM_DENIED, text);
}

static _Noreturn void become_program(const struct stub *stub, pid_t supervisor, pid_t host, int fd)
{
    const struct mw_exec_order *order = &stub->order;
    struct mw_err err;
    char text[MW_EXEC_ERROR_MAX];
    char program[4096];

    (void)setpgid(0, 0); /* the stub does it too; whoever is first */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)umask(OUR_FILE_MODE);
    if (mw_sandbox_drop(&order->sandbox, &err) != MW_OK)
        give_up(fd, MW_EXEC_SANDBOX_FAILED, err.text);
    /* Changing the user clears it, so it comes after. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != supervisor)
        give_up(fd, MW_EXEC_SETUP_FAILED, "the supervisor has gone");
    if (chdir(order->cwd) != 0) {
        (void)snprintf(text, sizeof(text), "the work folder '%s': %s", order->cwd, strerror(errno));
        give_up(fd, MW_EXEC_SETUP_FAILED, text);
    }
    enum mw_exec_error found =
        find_program(order->argv[0], path_of(order->env), program, sizeof(program));
    if (found != MW_EXEC_NO_ERROR) {
        bool missing = found == MW_EXEC_PROGRAM_MISSING;
        bool searched = strchr(order->argv[0], '/') == NULL;
        (void)snprintf(text, sizeof(text), "program '%s' %s%s", order->argv[0],
                       missing ? "not found" : "is there, but may not be run",
                       missing && searched ? " in PATH" : "");
        give_up(fd, found, text);
    }
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* belt and braces: each is opened so */
    struct mw_sandbox_program facts = {.program = program,
                                       .path_list = path_of(order->env),
                                       .home = order->home,
                                       .tasks = stub->tasks,
                                       .system = stub->system,
                                       .protect = {supervisor, host > 1 ? host : 0, stub->server}};
    if (mw_sandbox_confine(&order->sandbox, &stub->offer, &facts, &err) != MW_OK)
        give_up(fd, MW_EXEC_SANDBOX_FAILED, err.text);
    exec_or_give_up(order, program, fd);
}

/* /dev/stdin, /dev/stdout and /dev/stderr are opened anew by scripts: they must belong to the user that the program becomes. */
static void hand_over(const struct mw_sandbox *sandbox)
{
    struct stat facts;
    if (!sandbox->drop || geteuid() != 0)
        return;
    for (int fd = 0; fd <= 2; fd++)
        if (fstat(fd, &facts) == 0 && (S_ISREG(facts.st_mode) || S_ISFIFO(facts.st_mode)) &&
            facts.st_uid == 0)
            (void)fchown(fd, sandbox->uid, sandbox->gid); /* without it only reopening fails */
}

/*
 * Not fork(): the child uses our memory until it becomes the program, while we wait. Nothing is copied, and nothing of it is meant to stay:
 * signal handling, mask, folder, user and descriptors are its own. It never returns.
 */
static __attribute__((noinline)) pid_t begin_program(const struct stub *stub, pid_t supervisor,
                                                     pid_t host, int fd)
{
    pid_t pid = vfork();
    if (pid == 0)
        become_program(stub, supervisor, host, fd);
    return pid;
}

static void start_program(struct stub *stub)
{
    int started[2];
    if (pipe2(started, O_CLOEXEC) != 0) {
        fail(stub, MW_EXEC_SETUP_FAILED, "no descriptor left to start the program");
        return;
    }
    hand_over(&stub->order.sandbox);
    pid_t supervisor = getpid();
    pid_t host = getppid();
    pid_t pid = begin_program(stub, supervisor, host, started[1]);
    (void)close(started[1]);
    if (pid < 0) {
        (void)close(started[0]);
        fail(stub, MW_EXEC_SETUP_FAILED, strerror(errno));
        return;
    }
    (void)setpgid(pid, pid); /* EACCES when it was quicker: then it has done so itself */
    struct start_failure failure = {.error = MW_EXEC_NO_ERROR};
    ssize_t len;
    do {
        len = read(started[0], &failure, sizeof(failure));
    } while (len < 0 && errno == EINTR);
    (void)close(started[0]);
    if (len == 0) { /* exec closed it */
        stub->program = pid;
        int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (input >= 0 && dup2(input, STDIN_FILENO) >= 0)
            (void)close(input);
        bool rooted = mw_sandbox_user(&stub->order.sandbox) == 0;
        stub->count_at_ms = rooted ? now_ms() + COUNT_EVERY_MS : NEVER_MS;
        return;
    }
    failure.text[sizeof(failure.text) - 1] = '\0';
    if (len == (ssize_t)sizeof(failure))
        fail(stub, failure.error, failure.text);
    else
        fail(stub, MW_EXEC_SETUP_FAILED, "the program's process died before it could start");
}

/* ---- watching ---- */

static void note_program_status(struct stub *stub, int status)
{
    stub->program_collected = true;
    stub->program_ended = true;
    stub->report.exited = WIFEXITED(status);
    stub->report.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    stub->report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Collects reparented dead ones, but leaves the program itself uncollected: while it is a zombie, its group's number stays its own. */
static void collect_orphans(struct stub *stub)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)stub->program, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == stub->program) {
            stub->program_ended = true;
            return;
        }
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
            info.si_pid == stub->program)
            return;
        (void)waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void ask_to_end(struct stub *stub, enum mw_exec_killed why, uint32_t grace_ms)
{
    uint64_t kill_at_ms =
        now_ms() + grace_ms + 1; /* the clock is cut to whole milliseconds: never early */
    if (stub->report.killed == MW_EXEC_NOT_KILLED) {
        stub->report.killed = why;
        (void)kill(-stub->program, SIGTERM);
        (void)kill(-stub->program, SIGCONT); /* a stopped program must hear it */
    }
    if (kill_at_ms < stub->kill_at_ms)
        stub->kill_at_ms = kill_at_ms;
}

static void hear_control(struct stub *stub)
{
    char *room = stub->control + stub->control_len;
    ssize_t len = read(MW_EXEC_FD_CONTROL, room, sizeof(stub->control) - stub->control_len);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        uint32_t grace_ms = stub->order.grace_ms;
        stub->control_open = false;
        ask_to_end(stub, MW_EXEC_HOST_GONE,
                   grace_ms < MW_EXEC_GRACE_ORPHANED_MS ? grace_ms : MW_EXEC_GRACE_ORPHANED_MS);
        return;
    }
    stub->control_len += (size_t)len;
    struct mw_str heard = {stub->control, stub->control_len};
    for (size_t end; (end = mw_str_find(heard, '\n', 0)) != SIZE_MAX;) {
        enum mw_exec_killed why;
        uint32_t grace_ms;
        if (mw_exec_control_read(mw_str_sub(heard, 0, end), &why, &grace_ms))
            ask_to_end(stub, why, grace_ms);
        heard = mw_str_sub(heard, end + 1, heard.len);
    }
    stub->control_len = heard.len < sizeof(stub->control)
                            ? heard.len
                            : 0; /* a full line that never ends is noise */
    if (stub->control_len > 0)
        memmove(stub->control, heard.ptr, heard.len);
}

static void hear_signals(struct stub *stub)
{
    struct signalfd_siginfo info;
    while (read(stub->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            ask_to_end(stub, MW_EXEC_ASKED, stub->order.grace_ms);
    collect_orphans(stub);
}

static void count_processes(struct stub *stub)
{
    uint32_t limit = stub->order.sandbox.processes_max;
    uint32_t count = 0;
    struct mw_procs procs = mw_procs_all();
    mw_procs_keep_descendants(&procs, getpid());
    for (size_t i = 0; i < procs.count; i++)
        count += procs.list[i].thread_count;
    mw_procs_free(&procs);
    if (count > (limit > 0 ? limit : MW_SANDBOX_PROCESSES_DEFAULT))
        ask_to_end(stub, MW_EXEC_PROCESSES, 0);
    stub->count_at_ms = now_ms() + COUNT_EVERY_MS;
}

static int wait_ms(uint64_t until_ms)
{
    uint64_t now = now_ms();
    uint64_t left = until_ms > now ? until_ms - now : 0;
    return left > 3600000 ? 3600000 : (int)left;
}

static void watch(struct stub *stub)
{
    collect_orphans(stub);
    while (!stub->program_ended) {
        uint64_t next_ms =
            stub->kill_at_ms < stub->hard_at_ms ? stub->kill_at_ms : stub->hard_at_ms;
        if (stub->count_at_ms < next_ms)
            next_ms = stub->count_at_ms;
        bool asked = stub->report.killed != MW_EXEC_NOT_KILLED;
        struct pollfd heard[] = {
            {.fd = stub->signals, .events = POLLIN},
            {.fd = stub->control_open ? MW_EXEC_FD_CONTROL : -1, .events = POLLIN},
            {.fd = asked ? -1 : STDOUT_FILENO, .events = 0}, /* POLLERR: nobody reads any more */
        };
        if (poll(heard, MW_COUNT(heard), wait_ms(next_ms)) < 0 && errno != EINTR)
            return; /* cannot be; end_everything is the safe answer */
        if (heard[0].revents != 0)
            hear_signals(stub);
        if (heard[1].revents != 0 && !stub->program_ended)
            hear_control(stub);
        if ((heard[2].revents & POLLERR) != 0 && !stub->program_ended)
            ask_to_end(stub, MW_EXEC_OUTPUT_CLOSED, stub->order.grace_ms);
        uint64_t now = now_ms();
        if (now >= stub->kill_at_ms)
            return;
        if (now >= stub->hard_at_ms && !stub->program_ended) {
            stub->hard_at_ms = NEVER_MS;
            ask_to_end(stub, MW_EXEC_DEADLINE, stub->order.grace_ms);
        }
        if (now >= stub->count_at_ms && !stub->program_ended)
            count_processes(stub);
    }
}

/* ---- ending ---- */

/* True when there is no child left at all. Every descendant becomes our child when its parent dies, so that means: no descendant. */
static bool collect_all(struct stub *stub)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return pid < 0;
        if (pid == stub->program)
            note_program_status(stub, status);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            stub->report.orphans_killed++;
    }
}

static void end_everything(struct stub *stub)
{
    uint64_t give_up_ms = now_ms() + SWEEP_MAX_MS;
    struct pollfd heard = {.fd = stub->signals, .events = POLLIN};
    /* One kill of the group is atomic, so a fork bomb cannot outrun it; what left the group is found below. */
    if (stub->program > 0)
        (void)kill(-stub->program, SIGKILL);
    while (!collect_all(stub)) {
        struct mw_procs procs = mw_procs_all();
        mw_procs_keep_descendants(&procs, getpid());
        stub->report.orphans_left = 0;
        for (size_t i = 0; i < procs.count; i++) {
            if (procs.list[i].state == 'Z')
                continue;
            stub->report.orphans_left++;
            (void)mw_proc_signal(&procs.list[i], SIGKILL); /* gone meanwhile is as good */
        }
        mw_procs_free(&procs);
        if (now_ms() > give_up_ms)
            return;
        (void)poll(&heard, 1, SWEEP_MS);
        struct signalfd_siginfo info;
        while (read(stub->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
            continue; /* what happened is asked of the kernel above */
    }
    stub->report.orphans_left = 0;
}

static int report(struct stub *stub)
{
    static char sandbox_memory[2048], memory[MW_EXEC_REPORT_BYTES_MAX];
    struct mw_buf sandbox, line;
    struct rusage usage;
    mw_buf_init(&sandbox, sandbox_memory, sizeof(sandbox_memory));
    mw_buf_init(&line, memory, sizeof(memory));
    if (stub->program > 0) {
        struct mw_json json;
        mw_json_init(&json, &sandbox);
        mw_sandbox_report(&json, &stub->order.sandbox, &stub->offer);
        stub->report.sandbox = mw_buf_str(&sandbox);
    }
    if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
        stub->report.user_ms =
            (uint64_t)usage.ru_utime.tv_sec * 1000 + (uint64_t)usage.ru_utime.tv_usec / 1000;
        stub->report.system_ms =
            (uint64_t)usage.ru_stime.tv_sec * 1000 + (uint64_t)usage.ru_stime.tv_usec / 1000;
        stub->report.max_rss_kb = (uint64_t)usage.ru_maxrss;
    }
    mw_exec_report_write(&stub->report, &line);
    (void)close(STDOUT_FILENO); /* ours was the last: the host reads end of file */
    struct mw_err err;
    return !line.overflowed && mw_write_all(MW_EXEC_FD_REPORT, mw_buf_str(&line), &err) == MW_OK
               ? 0
               : 70;
}
