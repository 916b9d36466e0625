/*
 * host_calls.h - the system's calls, put in the place of the real ones by the linker: ours when the path or descriptor is of host_disk.h,
 * the system's for everything else (the test's own files).
 */
#ifndef MW_TEST_HOST_CALLS_H
#define MW_TEST_HOST_CALLS_H

#include "host_disk.h"

#include "host/snapshot.h"

#include <dirent.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* host_agents.h */
static ssize_t pipe_read(struct disk_fd *fd, char *to, size_t len);
static void pipe_close(struct disk_fd *fd);

/* ---- opening ---- */

WORLD_WRAP(int, openat, int at_fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    struct disk_node *start = disk_start(at_fd, &path);
    return start != NULL ? disk_open(start, path, flags, mode)
                         : __real_openat(at_fd, path, flags, mode);
}

WORLD_WRAP(int, open, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    struct disk_node *start = disk_start(AT_FDCWD, &path);
    return start != NULL ? disk_open(start, path, flags, mode) : __real_open(path, flags, mode);
}

WORLD_WRAP(long, syscall, long number, ...)
{
    va_list args;
    va_start(args, number);
    int at_fd = va_arg(args, int);
    const char *path = va_arg(args, const char *);
    const struct open_how *how = va_arg(args, const struct open_how *);
    size_t size_bytes = va_arg(args, size_t);
    va_end(args);
    assert_true(number == SYS_openat2);
    struct disk_node *start = disk_start(at_fd, &path);
    return start != NULL ? disk_open(start, path, (int)how->flags, (mode_t)how->mode)
                         : __real_syscall(number, at_fd, path, how, size_bytes);
}

WORLD_WRAP(int, close, int fd)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return fd >= DISK_FD_BASE ? (errno = EBADF, -1) : __real_close(fd);
    if (ours->kind == DISK_OTHER)
        pipe_close(ours);
    WORLD_CHECK(!ours->locked || !world.inside || world.host->attempts_running == 0,
                "P11: the lock is let go of while threads of the host still work");
    ours->kind = DISK_FREE;
    return 0;
}

WORLD_WRAP(int, fcntl, int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    long value = va_arg(args, long);
    va_end(args);
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_fcntl(fd, command, value);
    assert_true(command == F_DUPFD_CLOEXEC);
    return disk_fd_open(DISK_FILE, ours->node, ours->flags);
}

WORLD_WRAP(int, flock, int fd, int operation)
{
    const struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_flock(fd, operation);
    for (int i = 0; i < DISK_FDS_MAX; i++)
        if (disk.fds[i].kind != DISK_FREE && disk.fds[i].locked && disk.fds[i].node == ours->node) {
            errno = EWOULDBLOCK;
            return -1;
        }
    disk.fds[fd - DISK_FD_BASE].locked = true;
    return 0;
}

/* ---- bytes ---- */

WORLD_WRAP(ssize_t, read, int fd, void *to, size_t len)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_read(fd, to, len);
    if (ours->kind == DISK_OTHER)
        return pipe_read(ours, to, len);
    if (ours->node->folder) {
        errno = EISDIR;
        return -1;
    }
    size_t got = disk_bytes_get(&ours->node->now, (size_t)ours->at, to, len);
    ours->at += (off_t)got;
    return (ssize_t)got;
}

WORLD_WRAP(ssize_t, pread, int fd, void *to, size_t len, off_t offset)
{
    struct disk_fd *ours = disk_fd(fd);
    return ours != NULL ? (ssize_t)disk_bytes_get(&ours->node->now, (size_t)offset, to, len)
                        : __real_pread(fd, to, len, offset);
}

WORLD_WRAP(ssize_t, write, int fd, const void *from, size_t len)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_write(fd, from, len);
    if ((ours->flags & O_APPEND) != 0)
        ours->at = (off_t)ours->node->now.size;
    ssize_t put = disk_write(ours, from, len, ours->at);
    if (put > 0)
        ours->at += put;
    return put;
}

WORLD_WRAP(ssize_t, pwrite, int fd, const void *from, size_t len, off_t offset)
{
    struct disk_fd *ours = disk_fd(fd);
    return ours != NULL ? disk_write(ours, from, len, offset)
                        : __real_pwrite(fd, from, len, offset);
}

/* The simulated machine cannot watch folders: its descriptors would outlive the hosts that die. */
WORLD_WRAP(int, inotify_init1, int flags)
{
    (void)flags; /* whichever */
    errno = ENOSYS;
    return -1;
}

WORLD_WRAP(int, fsync, int fd)
{
    struct disk_fd *ours = disk_fd(fd);
    return ours != NULL ? disk_fsync(ours) : __real_fsync(fd);
}

WORLD_WRAP(int, fdatasync, int fd)
{
    struct disk_fd *ours = disk_fd(fd);
    return ours != NULL ? disk_fsync(ours) : __real_fdatasync(fd);
}

WORLD_WRAP(int, sync_file_range, int fd, off64_t from, off64_t len, unsigned flags)
{
    return disk_fd(fd) != NULL ? 0 : __real_sync_file_range(fd, from, len, flags);
}

WORLD_WRAP(int, ftruncate, int fd, off_t size)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_ftruncate(fd, size);
    world_point();
    disk_resize(ours->node, (size_t)size);
    return 0;
}

WORLD_WRAP(int, fallocate, int fd, int mode, off_t from, off_t len)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_fallocate(fd, mode, from, len);
    world_point();
    size_t end = (size_t)(from + len);
    if (!disk_takes(ours->node, end))
        return -1;
    if (end > ours->node->blocks_bytes)
        ours->node->blocks_bytes = end;
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > ours->node->now.size) {
        disk_touch(ours->node, ours->node->now.size, end);
        disk_bytes_resize(&ours->node->now, end);
    }
    return 0;
}

WORLD_WRAP(int, posix_fallocate, int fd, off_t from, off_t len)
{
    if (disk_fd(fd) == NULL)
        return __real_posix_fallocate(fd, from, len);
    return __wrap_fallocate(fd, 0, from, len) == 0 ? 0 : errno;
}

/* ---- names ---- */

WORLD_WRAP(int, fstat, int fd, struct stat *info)
{
    const struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_fstat(fd, info);
    disk_stat(ours->node, info);
    return 0;
}

WORLD_WRAP(int, fstatat, int at_fd, const char *path, struct stat *info, int flags)
{
    struct disk_node *start = disk_start(at_fd, &path);
    if (start == NULL)
        return __real_fstatat(at_fd, path, info, flags);
    const struct disk_node *node = disk_walk(start, path, NULL, NULL);
    if (node == NULL)
        return -1;
    disk_stat(node, info);
    return 0;
}

WORLD_WRAP(int, stat, const char *path, struct stat *info)
{
    return __wrap_fstatat(AT_FDCWD, path, info, 0);
}

WORLD_WRAP(int, faccessat, int at_fd, const char *path, int mode, int flags)
{
    struct disk_node *start = disk_start(at_fd, &path);
    if (start == NULL)
        return __real_faccessat(at_fd, path, mode, flags);
    return disk_walk(start, path, NULL, NULL) != NULL ? 0 : -1;
}

WORLD_WRAP(int, mkdirat, int at_fd, const char *path, mode_t mode)
{
    struct disk_node *start = disk_start(at_fd, &path);
    if (start == NULL)
        return __real_mkdirat(at_fd, path, mode);
    char name[256];
    struct disk_node *folder = NULL;
    if (disk_walk(start, path, &folder, name) != NULL) {
        errno = EEXIST;
        return -1;
    }
    if (errno != ENOENT || folder == NULL)
        return -1;
    world_point();
    disk_change(folder, name, disk_node_make(true, mode), false);
    return 0;
}

WORLD_WRAP(int, unlinkat, int at_fd, const char *path, int flags)
{
    struct disk_node *start = disk_start(at_fd, &path);
    return start != NULL ? disk_unlink(start, path, (flags & AT_REMOVEDIR) != 0)
                         : __real_unlinkat(at_fd, path, flags);
}

WORLD_WRAP(int, unlink, const char *path)
{
    return __wrap_unlinkat(AT_FDCWD, path, 0);
}

WORLD_WRAP(int, renameat2, int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    struct disk_node *from_start = disk_start(from_fd, &from);
    struct disk_node *to_start = disk_start(to_fd, &to);
    return from_start != NULL && to_start != NULL
               ? disk_rename(from_start, from, to_start, to, flags)
               : __real_renameat2(from_fd, from, to_fd, to, flags);
}

WORLD_WRAP(int, renameat, int from_fd, const char *from, int to_fd, const char *to)
{
    return __wrap_renameat2(from_fd, from, to_fd, to, 0);
}

WORLD_WRAP(int, rename, const char *from, const char *to)
{
    return __wrap_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

WORLD_WRAP(int, fchmod, int fd, mode_t mode)
{
    const struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_fchmod(fd, mode);
    ours->node->mode = mode & 0777;
    return 0;
}

WORLD_WRAP(int, fchmodat, int at_fd, const char *path, mode_t mode, int flags)
{
    struct disk_node *start = disk_start(at_fd, &path);
    if (start == NULL)
        return __real_fchmodat(at_fd, path, mode, flags);
    struct disk_node *node = disk_walk(start, path, NULL, NULL);
    if (node == NULL)
        return -1;
    node->mode = mode & 0777;
    return 0;
}

WORLD_WRAP(int, fchownat, int at_fd, const char *path, uid_t uid, gid_t gid, int flags)
{
    return disk_start(at_fd, &path) != NULL ? 0 : __real_fchownat(at_fd, path, uid, gid, flags);
}

WORLD_WRAP(ssize_t, readlink, const char *path, char *to, size_t len)
{
    static const char program[] = DISK_ROOT "/bin/millwright";
    if (!world.inside || strcmp(path, "/proc/self/exe") != 0)
        return __real_readlink(path, to, len);
    memcpy(to, program, sizeof program - 1);
    return sizeof program - 1;
}

WORLD_WRAP(char *, realpath, const char *path, char *to)
{
    const char *rest = path;
    struct disk_node *start = disk_start(-1, &rest);
    if (start == NULL)
        return __real_realpath(path, to);
    if (disk_walk(start, rest, NULL, NULL) == NULL)
        return NULL;
    if (strstr(path, "/../") == NULL)
        return strcpy(to, path);
    return strcpy(to, DISK_ROOT "/factory"); /* the only one that is looked for upwards */
}

/* ---- listing: one list at a time would do, but folders are listed inside folders ---- */

struct disk_list {
    int fd;
    struct dirent entry;
};
static struct disk_list disk_lists[64];

static bool disk_is_list(const DIR *dir)
{
    return (const char *)dir >= (const char *)disk_lists &&
           (const char *)dir < (const char *)(disk_lists + MW_COUNT(disk_lists));
}

WORLD_WRAP(DIR *, fdopendir, int fd)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return __real_fdopendir(fd);
    for (size_t i = 0; i < MW_COUNT(disk_lists); i++)
        if (disk_lists[i].fd == 0) {
            disk_lists[i].fd = fd;
            ours->listed = ours->node->count;
            return (DIR *)(void *)&disk_lists[i];
        }
    WORLD_CHECK(false, "too many lists are open");
    return NULL;
}

/* From the last name to the first, so that what is removed meanwhile moves nothing that is still to come. */
WORLD_WRAP(struct dirent *, readdir, DIR *dir)
{
    if (!disk_is_list(dir))
        return __real_readdir(dir);
    struct disk_list *list = (struct disk_list *)(void *)dir;
    struct disk_fd *ours = disk_fd(list->fd);
    if (ours->listed > ours->node->count)
        ours->listed = ours->node->count;
    if (ours->listed == 0)
        return NULL;
    const struct disk_entry *entry = &ours->node->entries[--ours->listed];
    snprintf(list->entry.d_name, sizeof list->entry.d_name, "%s", entry->name);
    return &list->entry;
}

WORLD_WRAP(int, closedir, DIR *dir)
{
    if (!disk_is_list(dir))
        return __real_closedir(dir);
    struct disk_list *list = (struct disk_list *)(void *)dir;
    int fd = list->fd;
    list->fd = 0;
    return __wrap_close(fd);
}

WORLD_WRAP(int, scandir, const char *path, struct dirent ***ret_list,
           int (*wanted)(const struct dirent *),
           int (*order)(const struct dirent **, const struct dirent **))
{
    struct disk_node *start = disk_start(-1, &path);
    if (start == NULL)
        return __real_scandir(path, ret_list, wanted, order);
    const struct disk_node *folder = disk_walk(start, path, NULL, NULL);
    if (folder == NULL)
        return -1;
    struct dirent **list = __wrap_calloc(folder->count + 1, sizeof *list);
    int count = 0;
    for (uint32_t i = 0; i < folder->count; i++) {
        struct dirent *entry = __wrap_calloc(1, sizeof *entry);
        snprintf(entry->d_name, sizeof entry->d_name, "%s", folder->entries[i].name);
        if (wanted(entry) != 0)
            list[count++] = entry;
        else
            __wrap_free(entry);
    }
    qsort(list, (size_t)count, sizeof *list, (int (*)(const void *, const void *))(void *)order);
    *ret_list = list;
    return count;
}

/* ---- time, randomness, the process ---- */

WORLD_WRAP(int64_t, mw_now_unix_us, void)
{
    return world.rig != NULL ? world_utc_us() : __real_mw_now_unix_us();
}

WORLD_WRAP(int64_t, mw_now_monotonic_ns, void)
{
    return world.rig != NULL ? world.now_ns : __real_mw_now_monotonic_ns();
}

/* A start of the machine: until its power is cut. */
WORLD_WRAP(enum mw_rc, mw_boot_id, char ret_boot[MW_BOOT_TEXT], struct mw_err *err)
{
    (void)err; /* it is always known */
    memset(ret_boot, 0, MW_BOOT_TEXT);
    snprintf(ret_boot, MW_BOOT_TEXT, "boot-%lu", (unsigned long)world.boots);
    return MW_OK;
}

WORLD_WRAP(int, nanosleep, const struct timespec *wanted, struct timespec *left)
{
    if (!world.inside)
        return __real_nanosleep(wanted, left);
    world.now_ns += wanted->tv_sec * 1000000000ll + wanted->tv_nsec;
    return 0;
}

WORLD_WRAP(ssize_t, getrandom, void *to, size_t len, unsigned flags)
{
    if (!world.inside)
        return __real_getrandom(to, len, flags);
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)rig_random(world.rig);
    return (ssize_t)len;
}

WORLD_WRAP(uid_t, geteuid, void)
{
    return world.inside ? 1000 : __real_geteuid();
}

/* Nothing of who runs the test reaches the host. */
WORLD_WRAP(char *, getenv, const char *name)
{
    static char factory[] = DISK_ROOT "/factory", records[] = "50";
    if (!world.inside)
        return __real_getenv(name);
    if (strcmp(name, "MILLWRIGHT_SNAPSHOT_RECORDS") == 0 && world.mood.snapshots)
        return records;
    return strcmp(name, "MILLWRIGHT_FACTORY") == 0 ? factory : NULL;
}

/* ---- the process that makes a snapshot: it does it at once, and the host waits for nothing ---- */

#define SNAPSHOT_PID 99999

WORLD_WRAP(int, posix_spawn, pid_t *ret_pid, const char *path,
           const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
           char *const argv[], char *const env[])
{
    struct mw_snapshot made;
    struct mw_err err = {0};
    bool is_new = false;
    uint64_t until = 0;
    if (!world.inside)
        return __real_posix_spawn(ret_pid, path, actions, attributes, argv, env);
    assert_string_equal(argv[1], "__snapshot");
    assert_true(mw_str_to_u64(mw_str_of(argv[3]), &until));
    world.inside = false;
    enum mw_rc rc = mw_snapshot_make(argv[2], until, &made, &is_new, &err);
    world_note("snapshot", (uint64_t)rc, until);
    world.snapshot_status = mw_rc_exit_code(rc) << 8;
    world.inside = true;
    *ret_pid = SNAPSHOT_PID;
    return 0;
}

WORLD_WRAP(int, waitid, idtype_t type, id_t id, siginfo_t *info, int options)
{
    return id == SNAPSHOT_PID ? 0 : __real_waitid(type, id, info, options);
}

WORLD_WRAP(pid_t, waitpid, pid_t pid, int *ret_status, int options)
{
    if (pid != SNAPSHOT_PID)
        return __real_waitpid(pid, ret_status, options);
    *ret_status = world.snapshot_status;
    return pid;
}

WORLD_WRAP(void, _exit, int code)
{
    if (world.inside) {
        world_note("exits", (uint64_t)code, 0);
        world_gone(END_EXITED, code);
    }
    __real__exit(code);
    __builtin_unreachable();
}

WORLD_WRAP(void, mw_assert_failed, const char *condition, const char *file, int line)
{
    world.inside = false;
    WORLD_CHECK(false, "%s (%s:%d)", condition, file, line);
    abort();
}

WORLD_WRAP(int, socket, int domain, int type, int protocol)
{
    return world.inside ? disk_fd_open(DISK_FILE, disk.root, 0)
                        : __real_socket(domain, type, protocol);
}

WORLD_WRAP(int, bind, int fd, const struct sockaddr *address, socklen_t len)
{
    if (disk_fd(fd) == NULL)
        return __real_bind(fd, address, len);
    bool was = world.inside;
    world.inside = false;
    disk_write_file(DISK_ROOT "/ws/.millwright/millwright.sock", MW_STR_NONE);
    world.inside = was;
    return 0;
}

WORLD_WRAP(int, listen, int fd, int backlog)
{
    return disk_fd(fd) != NULL ? 0 : __real_listen(fd, backlog);
}

WORLD_WRAP(int, connect, int fd, const struct sockaddr *address, socklen_t len)
{
    if (disk_fd(fd) == NULL)
        return __real_connect(fd, address, len);
    errno = ECONNREFUSED;
    return -1;
}

#endif
