/* sweep_trace.c - the tracer: a forked child whose threads stop at each system call, so that nothing in the product knows of it. */
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_SECONDS 60 /* whoever is not ready by then hangs: SIGALRM says so */
#define HOLD_NS 1000000L
#define THREADS_MAX 256
#define NUMBERS_MAX 32

const char *const call_class_names[CALL_CLASSES] = {
    [CALLS_WRITE] = "write",   [CALLS_SYNC] = "sync",   [CALLS_OPEN] = "open",
    [CALLS_CREATE] = "create", [CALLS_NAME] = "name",   [CALLS_SIZE] = "size",
    [CALLS_READ] = "read",     [CALLS_LOOK] = "look",   [CALLS_CLOSE] = "close",
    [CALLS_LOCK] = "lock",     [CALLS_SPACE] = "space",
};

#if defined(__x86_64__)

/* What each class's calls are; some of them only with certain arguments (is_of). */
struct numbers {
    size_t count;
    long of[NUMBERS_MAX];
};
#define NUMBERS(...)                                                                               \
    {                                                                                              \
        sizeof((const long[]){__VA_ARGS__}) / sizeof(long),                                        \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define WRITES SYS_write, SYS_pwrite64, SYS_writev, SYS_copy_file_range, SYS_sendfile
#define NAMES                                                                                      \
    SYS_rename, SYS_renameat, SYS_renameat2, SYS_mkdir, SYS_mkdirat, SYS_link, SYS_linkat,         \
        SYS_symlinkat
static const struct numbers numbers_of[CALL_CLASSES] = {
    [CALLS_WRITE] = NUMBERS(WRITES),
    [CALLS_SYNC] = NUMBERS(SYS_fsync, SYS_fdatasync, SYS_syncfs),
    [CALLS_OPEN] = NUMBERS(SYS_openat, SYS_openat2, SYS_open),
    [CALLS_CREATE] = NUMBERS(SYS_openat),
    [CALLS_NAME] = NUMBERS(NAMES, SYS_unlink, SYS_unlinkat, SYS_rmdir),
    [CALLS_SIZE] = NUMBERS(SYS_ftruncate, SYS_fallocate),
    [CALLS_READ] = NUMBERS(SYS_read, SYS_pread64, SYS_getdents64),
    [CALLS_LOOK] = NUMBERS(SYS_newfstatat, SYS_fstat, SYS_stat, SYS_lstat, SYS_statx, SYS_faccessat,
                           SYS_faccessat2, SYS_access),
    [CALLS_CLOSE] = NUMBERS(SYS_close),
    [CALLS_LOCK] = NUMBERS(SYS_flock),
    [CALLS_SPACE] = NUMBERS(WRITES, NAMES, SYS_openat, SYS_fallocate),
};

static bool is_in(long number, const struct numbers *numbers)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->of[i] == number)
            return true;
    return false;
}

/* What is said on standard output is the harness's own. */
static bool is_of(enum call_class calls, long number, const uint64_t args[6])
{
    if (!is_in(number, &numbers_of[calls]))
        return false;
    if (number == SYS_close || is_in(number, &numbers_of[CALLS_WRITE]))
        return args[0] != STDOUT_FILENO;
    return calls == CALLS_OPEN || number != SYS_openat || (args[2] & O_CREAT) != 0;
}

static void set_register(pid_t pid, size_t offset, long value)
{
    if (ptrace(PTRACE_POKEUSER, pid, (void *)offset, (void *)value) != 0)
        MW_ASSERT(errno == ESRCH); /* it was killed meanwhile */
}
#define REGISTER(name) offsetof(struct user_regs_struct, name)

/* What is to be undone at the exit of the call that is running. */
struct running {
    long number;
    long result;
    bool set_result;
    bool restore_length;
    long length;
    bool kill;
};

static void hold(void)
{
    const struct timespec time = {.tv_nsec = HOLD_NS};
    (void)nanosleep(&time, NULL); /* a shorter one is as good */
}

/* Pipes and event counters are not what fills up. */
static bool is_file(pid_t pid, uint64_t fd)
{
    char path[64], name[8];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, (int)fd);
    return readlink(path, name, sizeof name) > 0 && name[0] == '/';
}

static void at_entry(struct traced *traced, pid_t pid, struct running *running, uint64_t number,
                     const uint64_t args[6])
{
    *running = (struct running){.number = (long)number};
    for (size_t i = 0; i < MW_COUNT(traced->strikes); i++) {
        struct strike *strike = &traced->strikes[i];
        if (strike->kind == STRIKE_NONE || strike->kind == STRIKE_KILL ||
            !is_of(strike->calls, running->number, args) ||
            (running->number == SYS_write && !is_file(pid, args[0])))
            continue;
        long seen = ++strike->seen;
        if (strike->at == 0 || seen < strike->at ||
            (seen > strike->at && strike->kind != STRIKE_ERROR_FROM))
            continue;
        strike->hit = true;
        strike->hit_sync = strike->hit_sync || is_of(CALLS_SYNC, running->number, args);
        switch (strike->kind) {
        case STRIKE_ERROR:
        case STRIKE_ERROR_FROM:
            running->set_result = true;
            running->result = -strike->error;
            if (running->number != SYS_close)
                set_register(pid, REGISTER(orig_rax), -1);
            break;
        case STRIKE_SHORT:
        case STRIKE_TEAR:
            running->kill = strike->kind == STRIKE_TEAR;
            if (running->number == SYS_getdents64 || args[2] < 2)
                break;
            running->restore_length = true;
            running->length = (long)args[2];
            set_register(pid, REGISTER(rdx), (long)(args[2] / 2));
            break;
        case STRIKE_SLOW:
            hold();
            break;
        default:
            break;
        }
    }
}

static void at_exit_of_call(pid_t pid, struct running *running)
{
    if (running->set_result)
        set_register(pid, REGISTER(rax), running->result);
    if (running->restore_length)
        set_register(pid, REGISTER(rdx), running->length);
    bool kills = running->kill;
    *running = (struct running){0};
    running->kill = kills;
}

static bool looks_at_calls(const struct traced *traced)
{
    for (size_t i = 0; i < MW_COUNT(traced->strikes); i++)
        if (traced->strikes[i].kind != STRIKE_NONE && traced->strikes[i].kind != STRIKE_KILL)
            return true;
    return false;
}

/* The threads of the traced process, with the call that each is in. */
struct threads {
    pid_t pid[THREADS_MAX];
    struct running running[THREADS_MAX];
    size_t count;
};

static struct running *running_of(struct threads *threads, pid_t pid, bool *ret_new)
{
    *ret_new = false;
    for (size_t i = 0; i < threads->count; i++)
        if (threads->pid[i] == pid)
            return &threads->running[i];
    MW_ASSERT(threads->count < THREADS_MAX);
    *ret_new = true;
    threads->pid[threads->count] = pid;
    threads->running[threads->count] = (struct running){0};
    return &threads->running[threads->count++];
}

/* The kernel ends all threads; the leader's end is told when the others' have been heard. */
static void end_by_kill(struct traced *traced, pid_t leader)
{
    MW_ASSERT(kill(leader, SIGKILL) == 0);
    traced->killed = true;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        MW_ASSERT(pid > 0);
        if (WIFSTOPPED(status)) {
            (void)ptrace(PTRACE_CONT, pid, NULL, NULL); /* it may be gone already */
        } else if (pid == leader) {
            traced->status = status;
            return;
        }
    }
}

/* True: this stop is the one at which the process is killed. */
static bool kills_here(struct traced *traced)
{
    for (size_t i = 0; i < MW_COUNT(traced->strikes); i++) {
        struct strike *strike = &traced->strikes[i];
        if (strike->kind != STRIKE_KILL || (traced->after_signal != 0 && !traced->signal_seen))
            continue;
        strike->hit = strike->hit || ++strike->seen == strike->at;
        if (strike->hit)
            return true;
    }
    return false;
}

static void add_to_path(struct call_path *path, long number)
{
    MW_ASSERT(path->count < CALLS_MAX);
    path->numbers[path->count++] = number;
}

/* A system call's entry or exit. True: the process is to end here. */
static bool at_call(struct traced *traced, pid_t pid, struct running *running, bool looks)
{
    if (kills_here(traced))
        return true;
    if (!looks && traced->path == NULL)
        return false;
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) <= 0)
        return false; /* it was killed meanwhile */
    if (traced->path != NULL && info.op == PTRACE_SYSCALL_INFO_ENTRY)
        add_to_path(traced->path, (long)info.entry.nr);
    if (!looks)
        return false;
    uint64_t args[6];
    for (size_t i = 0; i < MW_COUNT(args); i++)
        args[i] = info.entry.args[i];
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        at_entry(traced, pid, running, info.entry.nr, args);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        at_exit_of_call(pid, running);
    return info.op == PTRACE_SYSCALL_INFO_EXIT && running->kill;
}

static void follow(struct traced *traced, pid_t leader)
{
    struct threads threads = {.pid = {leader}, .count = 1};
    bool looks = looks_at_calls(traced), is_new;
    int status, give = 0;
    pid_t pid = leader;
    for (;;) {
        if (pid > 0 && ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)give) != 0)
            MW_ASSERT(errno == ESRCH); /* a thread that ended, or was ended, at this very moment */
        give = 0;
        pid = waitpid(-1, &status, __WALL);
        MW_ASSERT(pid > 0);
        if (!WIFSTOPPED(status)) {
            if (pid == leader) {
                traced->status = status;
                return;
            }
            pid = 0; /* a thread's end, or somebody else's */
            continue;
        }
        struct running *running = running_of(&threads, pid, &is_new);
        int signal_number = WSTOPSIG(status);
        if (signal_number == (SIGTRAP | 0x80)) {
            if (!at_call(traced, pid, running, looks))
                continue;
            end_by_kill(traced, leader);
            return;
        }
        /* A new thread begins with a stop of its own; a clone and an exec are told by SIGTRAP. */
        if (status >> 16 != 0 || (is_new && signal_number == SIGSTOP) || signal_number == SIGTRAP)
            continue;
        traced->signal_seen = traced->signal_seen || signal_number == traced->after_signal;
        give = signal_number;
    }
}

/* ---- a job of one thread: it stops only where something is to happen ---- */

/* The kernel tells the tracer of these calls and lets all others pass. */
static void stop_at(const struct numbers *numbers)
{
    struct sock_filter filter[2 * NUMBERS_MAX + 2];
    unsigned short length = 0;
    filter[length++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < numbers->count; i++) {
        filter[length++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers->of[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        _exit(122);
}

/* True: the process is to end here. *ret_exit: the call's end is wanted as well. */
static bool at_filtered_call(struct traced *traced, pid_t pid, struct running *running,
                             bool *ret_exit)
{
    struct __ptrace_syscall_info info;
    struct strike *first = &traced->strikes[0];
    if (first->kind == STRIKE_KILL) {
        first->hit = ++first->seen == first->at;
        *ret_exit = first->hit && traced->at_exit;
        return first->hit && !traced->at_exit;
    }
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) <= 0)
        return false; /* it was killed meanwhile */
    uint64_t args[6];
    for (size_t i = 0; i < MW_COUNT(args); i++)
        args[i] = info.seccomp.args[i];
    at_entry(traced, pid, running, info.seccomp.nr, args);
    *ret_exit = running->set_result || running->restore_length || running->kill;
    return false;
}

static void follow_filtered(struct traced *traced, pid_t pid)
{
    struct running running = {0};
    int status, give = 0;
    bool ends = false, to_exit = false;
    for (;;) {
        MW_ASSERT(ptrace(to_exit ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, (void *)(long)give) ==
                  0);
        MW_ASSERT(waitpid(pid, &status, __WALL) == pid);
        if (!WIFSTOPPED(status)) {
            traced->status = status;
            return;
        }
        give = 0;
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
            to_exit = false;
            ends = at_filtered_call(traced, pid, &running, &to_exit);
        } else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            to_exit = false;
            ends = running.kill || traced->strikes[0].kind == STRIKE_KILL;
            at_exit_of_call(pid, &running);
        } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP) {
            give = WSTOPSIG(status);
        }
        if (ends) {
            end_by_kill(traced, pid);
            return;
        }
    }
}

static bool knows_registers(void)
{
    return true;
}
#else
struct numbers {
    size_t count;
    long of[NUMBERS_MAX];
};
static const struct numbers numbers_of[CALL_CLASSES];
static void stop_at(const struct numbers *numbers)
{
    (void)numbers;
}
static void follow(struct traced *traced, pid_t pid)
{
    (void)traced;
    (void)pid;
}
static void follow_filtered(struct traced *traced, pid_t pid)
{
    (void)traced;
    (void)pid;
}
static bool knows_registers(void)
{
    return false;
}
#endif

const char *strike_words(const struct strike *strike, char ret_words[96])
{
    static const char *const kinds[] = {[STRIKE_NONE] = "nothing",
                                        [STRIKE_KILL] = "kill",
                                        [STRIKE_TEAR] = "tear",
                                        [STRIKE_ERROR] = "fails",
                                        [STRIKE_ERROR_FROM] = "fails from then on",
                                        [STRIKE_SHORT] = "is short",
                                        [STRIKE_SLOW] = "is slow"};
    (void)snprintf(ret_words, 96, "%s %ld %s%s%s", call_class_names[strike->calls], strike->at,
                   kinds[strike->kind], strike->error != 0 ? " with " : "",
                   strike->error != 0 ? strerrorname_np(strike->error) : "");
    return ret_words;
}

static void become_child(const char *dir, int out_fd)
{
    (void)alarm(CHILD_SECONDS);
    (void)signal(SIGXFSZ, SIG_IGN); /* as the host does */
    if (dup2(out_fd, STDOUT_FILENO) != STDOUT_FILENO || chdir(dir) != 0)
        _exit(120);
}

bool trace_possible(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        static const struct numbers none;
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        stop_at(&none);
        _exit(0);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && knows_registers();
}

/* All that a strike may need to see. */
static void filter_for(const struct traced *traced)
{
    struct numbers wanted = {0};
    const struct strike *first = &traced->strikes[0];
    if (first->kind == STRIKE_KILL)
        wanted = (struct numbers){1, {traced->number}};
    for (size_t i = 0; first->kind != STRIKE_KILL && i < MW_COUNT(traced->strikes); i++) {
        const struct numbers *more = &numbers_of[traced->strikes[i].calls];
        for (size_t n = 0; traced->strikes[i].kind != STRIKE_NONE && n < more->count; n++) {
            MW_ASSERT(wanted.count < NUMBERS_MAX);
            wanted.of[wanted.count++] = more->of[n];
        }
    }
    stop_at(&wanted);
}

void trace_run(struct traced *traced, const char *dir, int out_fd, int (*job)(void *context),
               void *context)
{
    for (size_t i = 0; i < MW_COUNT(traced->strikes); i++) {
        traced->strikes[i].seen = 0;
        traced->strikes[i].hit = traced->strikes[i].hit_sync = false;
    }
    traced->killed = traced->signal_seen = false;
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0) {
        become_child(dir, out_fd);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
            _exit(121);
        if (traced->one_thread)
            filter_for(traced);
        _exit(job(context));
    }
    MW_ASSERT(waitpid(pid, &traced->status, 0) == pid && WIFSTOPPED(traced->status));
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP;
    MW_ASSERT(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options) == 0);
    if (traced->started != NULL)
        traced->started(context, pid);
    if (traced->one_thread)
        follow_filtered(traced, pid);
    else
        follow(traced, pid);
}

int plain_run(const char *dir, int out_fd, int (*job)(void *context), void *context)
{
    int status;
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0) {
        become_child(dir, out_fd);
        _exit(job(context));
    }
    MW_ASSERT(waitpid(pid, &status, 0) == pid);
    return status;
}
