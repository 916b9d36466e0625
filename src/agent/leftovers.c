#include "agent/leftovers.h"

#include "agent/proc.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096
#define ENVIRONMENT_BYTES_MAX (1u << 20)
#define END_MS 10000 /* for KILL to take effect everywhere */
#define MARK "MILLWRIGHT_WORK_DIR="

/* The file's content and what is known from its place. */
struct leftover {
    pid_t pid;
    uint64_t start_ticks;
    char boot[MW_BOOT_TEXT];
    char folder[PATH_MAX]; /* of the file; no links; empty when it has gone */
};

static enum mw_rc read_leftover(const char *path, struct leftover *ret_leftover, bool *ret_there,
                                struct mw_err *err);
static void folder_of(const char *path, char ret_folder[PATH_MAX]);
static bool end_supervisor(const struct leftover *leftover, uint32_t grace_ms);
static bool is_ancestor_of_ours(const struct mw_procs *procs, pid_t pid);
static enum mw_rc end_strays(const struct leftover *leftover, bool *ret_found, struct mw_err *err);

enum mw_rc mw_leftover_write(const char *path, const struct mw_exec_child *child,
                             struct mw_err *err)
{
    char boot[MW_BOOT_TEXT];
    enum mw_rc rc = mw_boot_id(boot, err);
    if (rc != MW_OK)
        return rc;
    char text[FILE_BYTES_MAX];
    int len = snprintf(text, sizeof(text), "{\"pid\":%d,\"start\":%llu,\"boot\":\"%s\"}\n",
                       (int)child->pid, (unsigned long long)child->start_ticks, boot);
    /* One write of a few bytes: a host killed here leaves nothing or all of it. */
    return mw_file_put(AT_FDCWD, path, (struct mw_str){text, (size_t)len}, 0600, err);
}

void mw_leftover_forget(const char *path)
{
    /* Not emptied, it names a process that is gone: that is found out when somebody asks. */
    int fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        (void)close(fd); /* nothing is written to it */
}

enum mw_rc mw_leftover_end(const char *path, uint32_t grace_ms, enum mw_leftover *ret_found,
                           struct mw_err *err)
{
    struct leftover leftover;
    char boot[MW_BOOT_TEXT];
    bool there;
    enum mw_rc rc = mw_boot_id(boot, err);
    if (rc == MW_OK)
        rc = read_leftover(path, &leftover, &there, err);
    if (rc != MW_OK)
        return rc;
    if (!there ||
        strcmp(boot, leftover.boot) != 0) { /* another boot: every process of then is gone */
        *ret_found = MW_LEFTOVER_NONE;
        return MW_OK;
    }
    bool supervised = end_supervisor(&leftover, grace_ms);
    bool strayed = false;
    rc = end_strays(&leftover, &strayed, err);
    if (rc == MW_OK)
        *ret_found = supervised || strayed ? MW_LEFTOVER_ENDED : MW_LEFTOVER_NONE;
    return rc;
}

static enum mw_rc parse_leftover(struct mw_arena *arena, const char *path, struct mw_str text,
                                 struct leftover *ret_leftover, struct mw_err *err)
{
    struct mw_tape tape;
    if (mw_json_parse(arena, mw_str_trim(text), &tape, err) != MW_OK)
        return MW_FAIL(err, MW_E_CORRUPT, "'%s' is no pid file of a child", path);
    int64_t pid = mw_node_int(&tape, mw_node_get(&tape, 0, "pid"), 0);
    int64_t start = mw_node_int(&tape, mw_node_get(&tape, 0, "start"), -1);
    struct mw_str boot = mw_node_get_text(&tape, 0, "boot");
    if (pid <= 1 || pid > INT_MAX || start < 0 || boot.len == 0 || boot.len >= MW_BOOT_TEXT)
        return MW_FAIL(err, MW_E_CORRUPT, "'%s' is no pid file of a child", path);
    *ret_leftover = (struct leftover){.pid = (pid_t)pid, .start_ticks = (uint64_t)start};
    memcpy(ret_leftover->boot, boot.ptr, boot.len);
    folder_of(path, ret_leftover->folder);
    return MW_OK;
}

static enum mw_rc read_leftover(const char *path, struct leftover *ret_leftover, bool *ret_there,
                                struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_file_read_regular(AT_FDCWD, path, FILE_BYTES_MAX, &text, err);
    bool there = rc == MW_OK && text.len > 0;
    if (rc == MW_E_MISSING)
        rc = MW_OK;
    else if (rc == MW_E_LIMIT)
        rc = MW_FAIL(err, MW_E_CORRUPT, "'%s' is no pid file of a child", path);
    if (there) {
        struct mw_arena arena;
        mw_heap_arena(&arena, FILE_BYTES_MAX * 64);
        rc = parse_leftover(&arena, path, mw_buf_str(&text), ret_leftover, err);
        mw_heap_arena_free(&arena);
    }
    mw_heap_buf_free(&text);
    *ret_there = there;
    return rc;
}

static void folder_of(const char *path, char ret_folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    mw_autofree char *folder =
        slash == NULL
            ? mw_heap_format(".")
            : mw_heap_copy((struct mw_str){path, slash == path ? 1 : (size_t)(slash - path)});
    if (realpath(folder, ret_folder) == NULL)
        ret_folder[0] = '\0';
}

/* ---- the stub still runs ---- */

static uint64_t now_ms(void)
{
    return (uint64_t)(mw_now_monotonic_ns() / 1000000);
}

static bool ended_by(int pidfd, uint64_t until_ms)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    for (;;) {
        uint64_t now = now_ms();
        int rest = now >= until_ms ? 0 : (int)(until_ms - now);
        int count = poll(&gone, 1, rest);
        if (count > 0)
            return true;
        if (count == 0 || errno != EINTR)
            return false;
    }
}

/* While the stub lives it collects what we kill, so "no descendants" can be reached; it then goes by itself. */
static void kill_below(pid_t supervisor, int pidfd)
{
    uint64_t until_ms = now_ms() + END_MS;
    while (now_ms() < until_ms) {
        struct mw_procs procs = mw_procs_all();
        mw_procs_keep_descendants(&procs, supervisor);
        for (size_t i = 0; i < procs.count; i++)
            (void)mw_proc_signal(&procs.list[i], SIGKILL); /* gone meanwhile is as good */
        bool none = procs.count == 0;
        mw_procs_free(&procs);
        if (none || ended_by(pidfd, now_ms() + 20))
            return;
    }
}

/* Us, or what we run in: then somebody else wrote the file, or this host is what a task of the one before began. */
static bool is_ours(pid_t pid)
{
    struct mw_procs procs = mw_procs_all();
    bool ours = is_ancestor_of_ours(&procs, pid);
    mw_procs_free(&procs);
    return ours;
}

static bool end_supervisor(const struct leftover *leftover, uint32_t grace_ms)
{
    struct mw_proc proc;
    if (!mw_proc_read(leftover->pid, &proc) || proc.start_ticks != leftover->start_ticks ||
        proc.state == 'Z' || is_ours(proc.pid))
        return false;
    mw_autoclose int pidfd = mw_proc_open(&proc);
    if (pidfd < 0)
        return false;
    (void)mw_proc_signal(&proc, SIGTERM);
    (void)mw_proc_signal(&proc, SIGCONT); /* it may have been stopped */
    if (ended_by(pidfd, now_ms() + grace_ms))
        return true;
    kill_below(proc.pid, pidfd);
    if (!ended_by(pidfd, now_ms() + 1000)) {
        (void)mw_proc_signal(&proc, SIGKILL);
        (void)ended_by(pidfd, now_ms() + END_MS); /* what is left then, end_strays names */
    }
    return true;
}

/* ---- the stub has gone and something outlived it ---- */

static bool is_below(const char *folder, const char *path)
{
    size_t len = strlen(folder);
    return len > 1 && strncmp(folder, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* True when the process was given a work folder that is the pid file's or lies in it. */
static bool carries_mark(const struct leftover *leftover, pid_t pid)
{
    char path[40], real[PATH_MAX];
    bool found = false;
    struct mw_err err;
    struct mw_buf text = mw_heap_buf();
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    if (leftover->folder[0] != '\0' &&
        mw_file_read(AT_FDCWD, path, ENVIRONMENT_BYTES_MAX, &text, &err) == MW_OK) {
        mw_buf_put_c(&text, '\0');
        for (size_t at = 0; at < text.len && !found; at += strlen(text.ptr + at) + 1) {
            const char *entry = text.ptr + at;
            if (strncmp(entry, MARK, strlen(MARK)) != 0)
                continue;
            const char *value = entry + strlen(MARK);
            found = is_below(leftover->folder, realpath(value, real) != NULL ? real : value);
        }
    }
    mw_heap_buf_free(&text);
    return found;
}

static bool is_ancestor_of_ours(const struct mw_procs *procs, pid_t pid)
{
    pid_t at = getpid();
    for (size_t steps = 0; at > 1 && steps <= procs->count; steps++) {
        if (at == pid)
            return true;
        pid_t parent = 0;
        for (size_t i = 0; i < procs->count; i++)
            if (procs->list[i].pid == at)
                parent = procs->list[i].parent;
        at = parent;
    }
    return false;
}

static bool is_stray(const struct leftover *leftover, const struct mw_procs *procs,
                     const struct mw_proc *proc, bool session_is_ours)
{
    if (proc->state == 'Z' || proc->pid <= 1 || proc->start_ticks < leftover->start_ticks)
        return false;
    if (!(session_is_ours && proc->session == leftover->pid) && !carries_mark(leftover, proc->pid))
        return false;
    return !is_ancestor_of_ours(procs, proc->pid);
}

/* One round: KILL each, wait for each. Returns how many there were. */
static size_t kill_strays(const struct leftover *leftover, uint64_t until_ms)
{
    struct mw_proc leader;
    size_t count = 0;
    /* A number in use as a session is not given out again; a leader with another start time means the session had died out before. */
    bool session_is_ours =
        !mw_proc_read(leftover->pid, &leader) || leader.start_ticks == leftover->start_ticks;
    struct mw_procs procs = mw_procs_all();
    for (size_t i = 0; i < procs.count; i++) {
        if (!is_stray(leftover, &procs, &procs.list[i], session_is_ours))
            continue;
        count++;
        mw_autoclose int pidfd = mw_proc_open(&procs.list[i]);
        if (pidfd < 0)
            continue;
        (void)mw_proc_signal(&procs.list[i], SIGKILL); /* gone meanwhile is as good */
        (void)ended_by(pidfd, until_ms);               /* still there: the next round says so */
    }
    mw_procs_free(&procs);
    return count;
}

static enum mw_rc end_strays(const struct leftover *leftover, bool *ret_found, struct mw_err *err)
{
    uint64_t until_ms = now_ms() + END_MS;
    bool found = false;
    for (;;) {
        size_t count = kill_strays(leftover, until_ms);
        if (count == 0)
            break;
        found = true;
        if (now_ms() >= until_ms)
            return MW_FAIL(err, MW_E_TIMEOUT, "%zu processes of the child %d cannot be ended",
                           count, (int)leftover->pid);
    }
    *ret_found = found;
    return MW_OK;
}
