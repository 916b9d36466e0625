/* recorder.c - what a program does to a folder, seen from its system calls by ptrace. */
#include "recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 64
#define PIECES_MAX 16

/* One thread of the program, and what was found at the entry of its current call. */
struct task {
    pid_t pid;
    uint64_t nr, args[6];
    int folder, folder2; /* objects; NOBODY: outside */
    char name[NAME_MAX + 1], name2[NAME_MAX + 1];
    int object, object2; /* what stands there; NOBODY: nothing, or outside */
    bool there;
    int from;
};
struct recorder {
    struct effects *log;
    dev_t device;
    struct task tasks[TASKS_MAX];
    int task_count;
    char line[4096]; /* of the standard output, unfinished */
    size_t line_bytes;
};

static bool failed(struct recorder *recorder, const char *what, const char *detail)
{
    if (recorder->log->error[0] == '\0')
        (void)snprintf(recorder->log->error, sizeof recorder->log->error, "%.80s%s%.160s", what,
                       detail != NULL ? ": " : "", detail != NULL ? detail : "");
    return false;
}

/* The newest of that inode: a file system gives numbers out again. */
static int find_object(const struct recorder *recorder, const struct stat *info)
{
    if (info->st_dev != recorder->device)
        return NOBODY;
    for (int i = recorder->log->object_count - 1; i >= 0; i--)
        if (recorder->log->objects[i].inode == info->st_ino)
            return i;
    return NOBODY;
}

static enum object_kind kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? OBJECT_FOLDER : S_ISLNK(mode) ? OBJECT_LINK : OBJECT_FILE;
}

/* What is there before the program runs is durable. */
static bool read_tree(struct recorder *recorder, const char *path, int folder)
{
    DIR *list = opendir(path);
    if (list == NULL)
        return failed(recorder, path, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(list)) != NULL;) {
        char below[PATH_MAX];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (lstat(below, &info) != 0) {
            ok = failed(recorder, below, strerror(errno));
            break;
        }
        int object = effects_add_object(recorder->log, kind_of(info.st_mode), &info);
        struct object *made = &recorder->log->objects[object];
        if (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode)) {
            made->size = (size_t)info.st_size;
            made->data = effects_grown(NULL, made->size + 1);
            int fd = S_ISREG(info.st_mode) ? open(below, O_RDONLY | O_CLOEXEC) : -1;
            ssize_t got = fd >= 0 ? read(fd, made->data, made->size)
                                  : readlink(below, made->data, made->size);
            ok = got == (ssize_t)made->size || failed(recorder, below, "cannot be read");
            made->data[made->size] = '\0';
            if (fd >= 0)
                (void)close(fd);
        }
        struct effect *effect = effects_add(recorder->log, EFFECT_NAME);
        effect->folder = folder;
        effect->name = strdup(entry->d_name);
        effect->object = object;
        effect->durable_at = -1;
        if (ok && S_ISDIR(info.st_mode))
            ok = read_tree(recorder, below, object);
    }
    (void)closedir(list);
    return ok;
}

static bool copy_from(pid_t pid, uint64_t address, void *memory, size_t size)
{
    struct iovec to = {memory, size}, from = {(void *)(uintptr_t)address, size};
    return size == 0 || process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)size;
}

/* A text may end just before a page that is not there. */
static bool text_from(pid_t pid, uint64_t address, char *text, size_t cap)
{
    for (size_t done = 0; done < cap;) {
        size_t piece = 4096 - (address + done) % 4096;
        piece = piece < cap - done ? piece : cap - done;
        if (!copy_from(pid, address + done, text + done, piece))
            return false;
        if (memchr(text + done, '\0', piece) != NULL)
            return true;
        done += piece;
    }
    return false;
}

/* A path as this process sees it. */
static bool path_from(pid_t pid, int at_fd, uint64_t address, char path[PATH_MAX + 64])
{
    char text[PATH_MAX];
    if (!text_from(pid, address, text, sizeof text))
        return false;
    if (text[0] == '/')
        (void)snprintf(path, PATH_MAX + 64, "%s", text);
    else if (at_fd == AT_FDCWD)
        (void)snprintf(path, PATH_MAX + 64, "/proc/%d/cwd/%s", (int)pid, text);
    else
        (void)snprintf(path, PATH_MAX + 64, "/proc/%d/fd/%d/%s", (int)pid, at_fd, text);
    return true;
}

/* The folder and the name that a path means, and what stands there now. */
static bool look_at(struct recorder *recorder, pid_t pid, int at_fd, uint64_t address,
                    int *ret_folder, char *ret_name, int *ret_object, bool *ret_there)
{
    char path[PATH_MAX + 64];
    struct stat info;
    if (!path_from(pid, at_fd, address, path))
        return failed(recorder, "a path cannot be read", NULL);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    *ret_there = lstat(path, &info) == 0;
    *ret_object = *ret_there ? find_object(recorder, &info) : NOBODY;
    char *slash = strrchr(path, '/');
    (void)snprintf(ret_name, NAME_MAX + 1, "%s", slash + 1);
    slash[slash == path] = '\0';
    *ret_folder = stat(path, &info) == 0 ? find_object(recorder, &info) : NOBODY;
    return true;
}

static bool stat_fd(pid_t pid, uint64_t fd, struct stat *ret_info)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, (int)fd);
    return stat(path, ret_info) == 0;
}

static bool holds_data(const struct stat *info)
{
    return S_ISREG(info->st_mode) || S_ISDIR(info->st_mode);
}

static bool outside(struct recorder *recorder, const struct task *task, const char *name)
{
    char text[NAME_MAX + 64];
    (void)snprintf(text, sizeof text, "system call %lu, '%s'", (unsigned long)task->nr, name);
    return failed(recorder, "a change outside the folder", text);
}

/* ---- the calls ---- */

static bool only_reads(uint64_t nr)
{
    static const uint16_t calls[] = {
        SYS_read,
        SYS_pread64,
        SYS_readv,
        SYS_preadv,
        SYS_close,
        SYS_fstat,
        SYS_newfstatat,
        SYS_lseek,
        SYS_mprotect,
        SYS_munmap,
        SYS_mremap,
        SYS_brk,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sched_yield,
        SYS_madvise,
        SYS_dup,
        SYS_dup3,
        SYS_nanosleep,
        SYS_clock_nanosleep,
        SYS_getpid,
        SYS_gettid,
        SYS_getppid,
        SYS_fcntl,
        SYS_flock,
        SYS_getdents64,
        SYS_getcwd,
        SYS_chdir,
        SYS_fchdir,
        SYS_umask,
        SYS_getrlimit,
        SYS_prlimit64,
        SYS_prctl,
        SYS_futex,
        SYS_set_tid_address,
        SYS_clock_gettime,
        SYS_clock_getres,
        SYS_exit,
        SYS_exit_group,
        SYS_set_robust_list,
        SYS_getrandom,
        SYS_statx,
        SYS_rseq,
        SYS_faccessat,
        SYS_faccessat2,
        SYS_close_range,
        SYS_clone,
        SYS_clone3,
        SYS_wait4,
        SYS_waitid,
        SYS_kill,
        SYS_tgkill,
        SYS_ppoll,
        SYS_execve,
        SYS_uname,
        SYS_sysinfo,
        SYS_getuid,
        SYS_geteuid,
        SYS_getgid,
        SYS_getegid,
        SYS_statfs,
        SYS_fstatfs,
        SYS_readlinkat,
        SYS_fadvise64,
        SYS_membarrier,
        SYS_sigaltstack,
        SYS_pipe2,
        SYS_sched_getaffinity,
        SYS_sync_file_range,
        SYS_msync,
        SYS_utimensat,
        SYS_times,
        SYS_getrusage,
        SYS_gettimeofday,
        SYS_setpgid,
        SYS_setsid,
        SYS_eventfd2,
        SYS_restart_syscall,
        SYS_epoll_create1,
        SYS_epoll_ctl,
        SYS_epoll_pwait,
        SYS_timerfd_create,
        SYS_timerfd_settime,
#ifdef __x86_64__
        SYS_stat,
        SYS_lstat,
        SYS_access,
        SYS_pipe,
        SYS_dup2,
        SYS_poll,
        SYS_select,
        SYS_readlink,
        SYS_getdents,
        SYS_fork,
        SYS_vfork,
        SYS_arch_prctl,
        SYS_time,
        SYS_epoll_wait,
        SYS_alarm,
#endif
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i] == nr)
            return true;
    return false;
}

/* open and openat as one: the folder's descriptor, the path, the flags. */
static bool open_of(const struct task *task, int *ret_at, uint64_t *ret_path, uint64_t *ret_flags)
{
    *ret_at = (int)task->args[0];
    *ret_path = task->args[1];
    *ret_flags = task->args[2];
    if (task->nr == SYS_openat)
        return true;
#ifdef __x86_64__
    *ret_at = AT_FDCWD;
    *ret_path = task->args[0];
    *ret_flags = task->args[1];
    if (task->nr == SYS_open)
        return true;
#endif
    if (task->nr != SYS_openat2)
        return false;
    *ret_path = task->args[1];
    *ret_at = (int)task->args[0];
    return copy_from(task->pid, task->args[2], ret_flags, sizeof *ret_flags);
}

/* Calls by one path: where it lies among the arguments. */
static bool names_of(const struct task *task, int at[2], uint64_t path[2], int *ret_count)
{
    const uint64_t *args = task->args;
    at[0] = (int)args[0];
    path[0] = args[1];
    at[1] = (int)args[2];
    path[1] = args[3];
    *ret_count = 1;
    switch (task->nr) {
    case SYS_mkdirat:
    case SYS_unlinkat:
    case SYS_fchmodat:
        return true;
    case SYS_symlinkat:
        at[0] = (int)args[1];
        path[0] = args[2];
        return true;
    case SYS_linkat:
    case SYS_renameat:
    case SYS_renameat2:
        *ret_count = 2;
        return true;
#ifdef __x86_64__
    case SYS_mkdir:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_chmod:
        at[0] = AT_FDCWD;
        path[0] = args[0];
        return true;
    case SYS_link:
    case SYS_rename:
        at[0] = at[1] = AT_FDCWD;
        path[0] = args[0];
        path[1] = args[1];
        *ret_count = 2;
        return true;
    case SYS_symlink:
        at[0] = AT_FDCWD;
        path[0] = args[1];
        return true;
#endif
    default:
        return false;
    }
}

static bool entered(struct recorder *recorder, struct task *task)
{
    int at[2], count;
    uint64_t path[2], flags;
    bool unused;
    task->from = recorder->log->count;
    recorder->log->calls++;
    if (only_reads(task->nr))
        return true;
    if (open_of(task, &at[0], &path[0], &flags)) {
        if ((flags & O_TMPFILE) == O_TMPFILE)
            return failed(recorder, "O_TMPFILE is not known to the recorder", NULL);
        return (flags & (O_CREAT | O_TRUNC)) == 0 ||
               look_at(recorder, task->pid, at[0], path[0], &task->folder, task->name,
                       &task->object, &task->there);
    }
    if (!names_of(task, at, path, &count))
        return true;
    return look_at(recorder, task->pid, at[0], path[0], &task->folder, task->name, &task->object,
                   &task->there) &&
           (count == 1 || look_at(recorder, task->pid, at[1], path[1], &task->folder2, task->name2,
                                  &task->object2, &unused));
}

static bool opened(struct recorder *recorder, const struct task *task, int64_t result)
{
    int at;
    uint64_t path, flags;
    struct stat info;
    (void)open_of(task, &at, &path, &flags);
    if ((flags & (O_CREAT | O_TRUNC)) == 0)
        return true;
    if (!stat_fd(task->pid, (uint64_t)result, &info))
        return failed(recorder, "an open file cannot be looked at", task->name);
    if (!S_ISREG(info.st_mode) || ((flags & O_TRUNC) == 0 && task->there))
        return true;
    if (task->there) {
        if (task->object == NOBODY)
            return outside(recorder, task, task->name);
        struct effect *effect = effects_add(recorder->log, EFFECT_SIZE);
        effect->object = task->object;
        return true;
    }
    if (task->folder == NOBODY)
        return outside(recorder, task, task->name);
    int object = effects_add_object(recorder->log, OBJECT_FILE, &info);
    struct effect *effect = effects_add(recorder->log, EFFECT_NAME);
    effect->folder = task->folder;
    effect->name = strdup(task->name);
    effect->object = object;
    return true;
}

/* The standard output is how the program says what it has acknowledged. */
static void said(struct recorder *recorder, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\n') {
            if (recorder->line_bytes < sizeof recorder->line - 1)
                recorder->line[recorder->line_bytes++] = text[i];
            continue;
        }
        recorder->line[recorder->line_bytes++] = '\n';
        struct effect *effect = effects_add(recorder->log, EFFECT_ACK);
        effect->size = recorder->line_bytes;
        effect->data = effects_grown(NULL, effect->size);
        memcpy(effect->data, recorder->line, effect->size);
        recorder->line_bytes = 0;
    }
}

static uint64_t position(pid_t pid, uint64_t fd)
{
    char path[64], text[64] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, (int)fd);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (file >= 0)
        (void)close(file);
    text[got > 0 ? got : 0] = '\0';
    return strncmp(text, "pos:", 4) == 0 ? strtoull(text + 4, NULL, 10) : UINT64_MAX;
}

/* What the call handed over, in one piece. */
static bool gather(const struct task *task, uint64_t size, char *memory)
{
    if (task->nr == SYS_write || task->nr == SYS_pwrite64)
        return copy_from(task->pid, task->args[1], memory, size);
    struct iovec pieces[PIECES_MAX];
    if (task->args[2] > PIECES_MAX ||
        !copy_from(task->pid, task->args[1], pieces, task->args[2] * sizeof pieces[0]))
        return false;
    for (uint64_t i = 0; i < task->args[2] && size > 0; i++) {
        size_t piece = pieces[i].iov_len < size ? pieces[i].iov_len : size;
        if (!copy_from(task->pid, (uint64_t)(uintptr_t)pieces[i].iov_base, memory, piece))
            return false;
        memory += piece;
        size -= piece;
    }
    return size == 0;
}

static bool wrote(struct recorder *recorder, const struct task *task, int64_t result)
{
    struct stat info;
    bool copies = task->nr == SYS_copy_file_range || task->nr == SYS_sendfile;
    uint64_t fd = task->nr == SYS_copy_file_range ? task->args[2] : task->args[0];
    size_t size = (size_t)result;
    if (size == 0)
        return true;
    if (!stat_fd(task->pid, fd, &info))
        return failed(recorder, "a written file cannot be looked at", NULL);
    int object = find_object(recorder, &info);
    if (object == NOBODY && S_ISREG(info.st_mode) && fd != 1 && fd != 2)
        return outside(recorder, task, "a file");
    if (object == NOBODY && fd != 1)
        return true; /* a pipe, a socket, a terminal */
    char *data = effects_grown(NULL, size);
    uint64_t offset = task->nr == SYS_pwrite64 || task->nr == SYS_pwritev
                          ? task->args[3]
                          : position(task->pid, fd) - size;
    bool ok;
    if (copies) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)task->pid, (int)fd);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        /* Only copies that move the file's own position are known. */
        ok = file >= 0 && (task->nr == SYS_sendfile || task->args[3] == 0) &&
             pread(file, data, size, (off_t)offset) == (ssize_t)size;
        if (file >= 0)
            (void)close(file);
    } else {
        ok = gather(task, size, data);
    }
    if (!ok) {
        free(data);
        return failed(recorder, "written bytes cannot be read", NULL);
    }
    if (object == NOBODY) {
        said(recorder, data, size);
        free(data);
        return true;
    }
    struct effect *effect = effects_add(recorder->log, EFFECT_WRITE);
    effect->object = object;
    effect->offset = offset;
    effect->size = size;
    effect->data = data;
    return true;
}

/* ftruncate, fallocate, fchmod, fsync, fdatasync: by descriptor. */
static bool changed_by_fd(struct recorder *recorder, const struct task *task)
{
    struct stat info;
    if (!stat_fd(task->pid, task->args[0], &info))
        return failed(recorder, "a descriptor cannot be looked at", NULL);
    int object = find_object(recorder, &info);
    bool syncs = task->nr == SYS_fsync || task->nr == SYS_fdatasync;
    if (object == NOBODY)
        return syncs || !holds_data(&info) || outside(recorder, task, "a descriptor");
    if (task->nr == SYS_fallocate && (task->args[1] & ~(uint64_t)FALLOC_FL_KEEP_SIZE) != 0)
        return failed(recorder, "this mode of fallocate is not known to the recorder", NULL);
    struct effect *effect = effects_add(recorder->log, syncs                    ? EFFECT_SYNC
                                                       : task->nr == SYS_fchmod ? EFFECT_MODE
                                                                                : EFFECT_SIZE);
    effect->object = object;
    effect->size = (size_t)info.st_size;
    effect->mode = info.st_mode & 07777;
    effect->from = task->from;
    effect->data_only = task->nr == SYS_fdatasync;
    return true;
}

static bool made_or_linked(struct recorder *recorder, const struct task *task, bool links)
{
    int folder = links ? task->folder2 : task->folder;
    const char *name = links ? task->name2 : task->name;
    int object = task->object, at[2], count;
    uint64_t path[2];
    if (folder == NOBODY)
        return outside(recorder, task, name);
    if (!links) {
        char where[PATH_MAX + 64];
        struct stat info;
        (void)names_of(task, at, path, &count);
        if (!path_from(task->pid, at[0], path[0], where) || lstat(where, &info) != 0)
            return failed(recorder, "what was made cannot be looked at", name);
        object = effects_add_object(recorder->log, kind_of(info.st_mode), &info);
        struct object *made = &recorder->log->objects[object];
        if (S_ISLNK(info.st_mode)) {
            made->data = effects_grown(NULL, PATH_MAX);
            ssize_t got = readlink(where, made->data, PATH_MAX - 1);
            made->data[got > 0 ? got : 0] = '\0';
            made->size = got > 0 ? (size_t)got : 0;
        }
    }
    if (object == NOBODY)
        return outside(recorder, task, name);
    struct effect *effect = effects_add(recorder->log, EFFECT_NAME);
    effect->folder = folder;
    effect->name = strdup(name);
    effect->object = object;
    return true;
}

static bool renamed(struct recorder *recorder, const struct task *task)
{
    uint64_t flags = task->nr == SYS_renameat2 ? task->args[4] : 0;
    if (task->folder == NOBODY && task->folder2 == NOBODY)
        return outside(recorder, task, task->name);
    if (task->folder == NOBODY || task->folder2 == NOBODY || task->object == NOBODY)
        return failed(recorder, "a rename across the folder's border", task->name);
    if ((flags & ~(uint64_t)(RENAME_EXCHANGE | RENAME_NOREPLACE)) != 0)
        return failed(recorder, "this kind of rename is not known to the recorder", task->name);
    struct effect *effect = effects_add(
        recorder->log, (flags & RENAME_EXCHANGE) != 0 ? EFFECT_EXCHANGE : EFFECT_RENAME);
    effect->folder = task->folder;
    effect->folder2 = task->folder2;
    effect->name = strdup(task->name);
    effect->name2 = strdup(task->name2);
    effect->object = task->object;
    effect->object2 = task->object2;
    return true;
}

static bool returned(struct recorder *recorder, const struct task *task, int64_t result)
{
    int at;
    uint64_t path, flags;
    if (only_reads(task->nr))
        return true;
    bool syncs = task->nr == SYS_fsync || task->nr == SYS_fdatasync;
    if (result < 0 && !syncs)
        return true; /* nothing has happened */
    if (result < 0)
        return failed(recorder, "a sync failed while recording", NULL);
    if (open_of(task, &at, &path, &flags))
        return opened(recorder, task, result);
    switch (task->nr) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_copy_file_range:
    case SYS_sendfile:
        return wrote(recorder, task, result);
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_fchmod:
    case SYS_fsync:
    case SYS_fdatasync:
        return changed_by_fd(recorder, task);
    case SYS_mkdirat:
    case SYS_symlinkat:
#ifdef __x86_64__
    case SYS_mkdir:
    case SYS_symlink:
#endif
        return made_or_linked(recorder, task, false);
    case SYS_linkat:
#ifdef __x86_64__
    case SYS_link:
#endif
        return made_or_linked(recorder, task, true);
    case SYS_renameat:
    case SYS_renameat2:
#ifdef __x86_64__
    case SYS_rename:
#endif
        return renamed(recorder, task);
    case SYS_unlinkat:
#ifdef __x86_64__
    case SYS_unlink:
    case SYS_rmdir:
#endif
        if (task->folder == NOBODY)
            return outside(recorder, task, task->name);
        struct effect *gone = effects_add(recorder->log, EFFECT_UNNAME);
        gone->folder = task->folder;
        gone->name = strdup(task->name);
        gone->object = task->object;
        return true;
    case SYS_fchmodat:
#ifdef __x86_64__
    case SYS_chmod:
#endif
        if (task->object == NOBODY)
            return outside(recorder, task, task->name);
        struct effect *mode = effects_add(recorder->log, EFFECT_MODE);
        mode->object = task->object;
        mode->mode = (mode_t)(task->nr == SYS_fchmodat ? task->args[2] : task->args[1]) & 07777;
        return true;
    case SYS_mmap:
        if ((task->args[2] & PROT_WRITE) != 0 && (task->args[3] & MAP_TYPE) != MAP_PRIVATE &&
            (task->args[3] & MAP_ANONYMOUS) == 0)
            return failed(recorder, "a file is written through memory", NULL);
        return true;
    case SYS_ioctl:
        if (task->args[1] == FICLONE || task->args[1] == FICLONERANGE)
            return failed(recorder, "a file is cloned", NULL);
        return true;
    default: {
        char number[32];
        (void)snprintf(number, sizeof number, "number %lu", (unsigned long)task->nr);
        return failed(recorder, "a system call that the recorder does not know", number);
    }
    }
}

/* ---- the program ---- */

static struct task *task_of(struct recorder *recorder, pid_t pid)
{
    for (int i = 0; i < recorder->task_count; i++)
        if (recorder->tasks[i].pid == pid)
            return &recorder->tasks[i];
    if (recorder->task_count == TASKS_MAX)
        return NULL;
    recorder->tasks[recorder->task_count] = (struct task){.pid = pid};
    return &recorder->tasks[recorder->task_count++];
}

static bool call_stopped(struct recorder *recorder, pid_t pid)
{
    struct __ptrace_syscall_info info;
    struct task *task = task_of(recorder, pid);
    if (task == NULL || ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
        return failed(recorder, "a stopped call cannot be looked at", strerror(errno));
    if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        return returned(recorder, task, info.exit.rval);
    *task = (struct task){.pid = pid,
                          .nr = info.entry.nr,
                          .folder = NOBODY,
                          .folder2 = NOBODY,
                          .object = NOBODY,
                          .object2 = NOBODY};
    memcpy(task->args, info.entry.args, sizeof task->args);
    return entered(recorder, task);
}

/* Until every thread has ended. What fails ends the program as well. */
static bool follow(struct recorder *recorder, pid_t program)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            return errno == ECHILD || failed(recorder, "wait", strerror(errno));
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == program)
                recorder->log->status = status;
            continue;
        }
        int signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            if (!call_stopped(recorder, pid))
                (void)kill(program, SIGKILL);
            signal = 0;
        } else if (signal == SIGTRAP || signal == SIGSTOP) {
            signal = 0;
        }
        (void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal);
    }
}

bool effects_record(char *const argv[], const char *root, struct effects *log)
{
    *log = (struct effects){0};
    struct recorder *recorder = calloc(1, sizeof *recorder);
    struct stat info;
    if (recorder == NULL)
        abort();
    recorder->log = log;
    if (stat(root, &info) != 0) {
        free(recorder);
        return false;
    }
    recorder->device = info.st_dev;
    (void)effects_add_object(log, OBJECT_FOLDER, &info);
    bool ok = read_tree(recorder, root, 0);
    pid_t program = ok ? fork() : -1;
    if (program == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
            ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(126);
        (void)raise(SIGSTOP);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    int status;
    if (ok && (program < 0 || waitpid(program, &status, 0) != program || !WIFSTOPPED(status)))
        ok = failed(recorder, "the program does not start", strerror(errno));
    if (ok) {
        const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                             PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
        (void)ptrace(PTRACE_SETOPTIONS, program, NULL, (void *)options);
        (void)ptrace(PTRACE_SYSCALL, program, NULL, NULL);
        ok = follow(recorder, program);
    }
    effects_settle(log);
    free(recorder);
    return ok && log->error[0] == '\0';
}
