/*
 * journal_rig.h - a disk that can be pulled: the journal's system calls on real files, with a log of every change and sync, faults at the
 * n-th call, and the states in which a power cut could leave the disk, rebuilt as real folders.
 *
 * The model is POSIX at its strictest: a write is durable after a sync of its file, a name after a sync of its folder, nothing else is; what
 * is not may be there or not, sector by sector of 512 bytes. After a failed sync the cache forgets what it could not write.
 * For inclusion by one test program each; one rig at a time; one journal folder without subfolders.
 */
#ifndef MW_JOURNAL_RIG_H
#define MW_JOURNAL_RIG_H

#include "journal/files.h"
#include "journal/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIG_OPS_MAX 65536
#define RIG_FDS_MAX 1024
#define RIG_FILES_MAX 4096
#define RIG_NAME 80
#define RIG_SECTOR 512
#define RIG_FILE_BYTES_MAX (1u << 20)

enum rig_call {
    RIG_OPENAT,
    RIG_MKDIRAT,
    RIG_PREAD,
    RIG_PWRITE,
    RIG_FDATASYNC,
    RIG_FSYNC,
    RIG_FTRUNCATE,
    RIG_FALLOCATE,
    RIG_RENAMEAT,
    RIG_UNLINKAT,
    RIG_CALLS
};
enum rig_fault { RIG_NO_FAULT, RIG_ERROR, RIG_SHORT, RIG_DEAD };
enum rig_op_kind { OP_WRITE, OP_SIZE, OP_CREATE, OP_RENAME, OP_UNLINK, OP_ACK, OP_SYNC };

struct rig_op {
    enum rig_op_kind kind;
    int file;
    uint64_t offset;
    size_t size;
    char *data;
    char name[RIG_NAME];
    char to[RIG_NAME];
    int synced_at;  /* index in the log from which it is durable; INT32_MAX: never */
    bool forgotten; /* a sync of it failed */
    uint64_t acked;
};

static struct {
    bool recording;
    struct rig_op *ops;
    int op_count;
    struct {
        char name[RIG_NAME];
        int file;
    } names[RIG_FILES_MAX];
    int name_count;
    int file_count;
    int fd_file[RIG_FDS_MAX]; /* -1: not ours, -2: the folder */
    enum rig_fault fault;
    int fault_errno;
    unsigned fault_calls; /* bit per enum rig_call */
    long fault_at;        /* the n-th of those calls, from 1 */
    long calls;
    bool fault_hit;
    bool sync_failed;
    bool dead;
    uint64_t random;
} rig;

static MW_UNUSED uint64_t rig_random(void)
{
    rig.random ^= rig.random << 13;
    rig.random ^= rig.random >> 7;
    rig.random ^= rig.random << 17;
    return rig.random;
}

static struct rig_op *rig_log(enum rig_op_kind kind, int file)
{
    static struct rig_op dropped;
    if (!rig.recording)
        return &dropped;
    MW_ASSERT(rig.op_count < RIG_OPS_MAX);
    struct rig_op *op = &rig.ops[rig.op_count++];
    *op = (struct rig_op){.kind = kind, .file = file, .synced_at = INT32_MAX};
    return op;
}

static int rig_find(const char *name)
{
    for (int i = 0; i < rig.name_count; i++)
        if (strcmp(rig.names[i].name, name) == 0)
            return i;
    return -1;
}

static void rig_set_name(const char *name, int file)
{
    int i = rig_find(name);
    if (i < 0) {
        MW_ASSERT(rig.name_count < RIG_FILES_MAX);
        i = rig.name_count++;
        (void)snprintf(rig.names[i].name, RIG_NAME, "%s", name);
    }
    rig.names[i].file = file;
}

static void rig_drop_name(const char *name)
{
    int i = rig_find(name);
    if (i >= 0)
        rig.names[i] = rig.names[--rig.name_count];
}

/* 0: go on; else what the call answers with errno set (-1), or a short write (1). */
static int rig_strike(enum rig_call call)
{
    if (rig.dead) {
        errno = EIO;
        return -1;
    }
    if (rig.fault == RIG_NO_FAULT || (rig.fault_calls & 1u << call) == 0 ||
        ++rig.calls != rig.fault_at)
        return 0;
    rig.fault_hit = true;
    if (rig.fault == RIG_DEAD)
        rig.dead = true;
    if (rig.fault == RIG_SHORT)
        return call == RIG_PWRITE ? 1 : 0;
    errno = rig.fault == RIG_DEAD ? EIO : rig.fault_errno;
    return -1;
}

static int rig_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    if (rig_strike(RIG_OPENAT) != 0)
        return -1;
    int fd = openat(dir_fd, path, flags | O_CLOEXEC, mode);
    if (fd < 0 || fd >= RIG_FDS_MAX)
        return fd;
    rig.fd_file[fd] = -1;
    if ((flags & O_DIRECTORY) != 0) {
        rig.fd_file[fd] = strcmp(path, "..") == 0 ? -1 : -2;
        return fd;
    }
    int name = rig_find(path);
    if (name < 0) {
        int file = rig.file_count++;
        rig_set_name(path, file);
        (void)snprintf(rig_log(OP_CREATE, file)->name, RIG_NAME, "%s", path);
        rig.fd_file[fd] = file;
    } else {
        rig.fd_file[fd] = rig.names[name].file;
    }
    if ((flags & O_TRUNC) != 0)
        rig_log(OP_SIZE, rig.fd_file[fd])->size = 0;
    return fd;
}

static int rig_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    return rig_strike(RIG_MKDIRAT) != 0 ? -1 : mkdirat(dir_fd, path, mode);
}

static ssize_t rig_pread(int fd, void *memory, size_t size, off_t offset)
{
    return rig_strike(RIG_PREAD) != 0 ? -1 : pread(fd, memory, size, offset);
}

static ssize_t rig_pwrite(int fd, const void *memory, size_t size, off_t offset)
{
    int strike = rig_strike(RIG_PWRITE);
    if (strike < 0 && !(rig.dead && rig.fault_hit && rig.calls == rig.fault_at))
        return -1;
    if (strike != 0) /* a killed writer, too, may have written a part */
        size = size / 2;
    if (rig.dead)
        rig.calls++;
    ssize_t wrote = pwrite(fd, memory, size, offset);
    if (wrote > 0 && rig.recording) {
        struct rig_op *op = rig_log(OP_WRITE, rig.fd_file[fd]);
        op->offset = (uint64_t)offset;
        op->size = (size_t)wrote;
        op->data = malloc((size_t)wrote);
        MW_ASSERT(op->data != NULL);
        memcpy(op->data, memory, (size_t)wrote);
    }
    return strike < 0 ? -1 : wrote;
}

static void rig_synced(int file, bool failed)
{
    for (int i = 0; i < rig.op_count; i++) {
        struct rig_op *op = &rig.ops[i];
        bool names = op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_UNLINK;
        bool mine = file == -2 ? names : !names && op->kind != OP_ACK && op->file == file;
        if (!mine || op->synced_at != INT32_MAX || op->forgotten)
            continue;
        if (failed)
            op->forgotten = true;
        else
            op->synced_at = rig.op_count;
    }
}

static int rig_sync(int fd, enum rig_call call)
{
    int strike = rig_strike(call);
    (void)rig_log(OP_SYNC, -1); /* changes nothing: the power may also go just before it */
    if (strike != 0) {
        rig.sync_failed = true;
        if (!rig.dead)
            rig_synced(rig.fd_file[fd], true);
        return -1;
    }
    rig_synced(rig.fd_file[fd], false);
    return 0;
}

static int rig_fdatasync(int fd)
{
    return rig_sync(fd, RIG_FDATASYNC);
}

static int rig_fsync(int fd)
{
    return rig_sync(fd, RIG_FSYNC);
}

static int rig_ftruncate(int fd, off_t size)
{
    if (rig_strike(RIG_FTRUNCATE) != 0)
        return -1;
    rig_log(OP_SIZE, rig.fd_file[fd])->size = (size_t)size;
    return ftruncate(fd, size);
}

static int rig_fallocate(int fd, int mode, off_t offset, off_t size)
{
    (void)fd, (void)mode, (void)offset, (void)size; /* the reserve's bytes mean nothing here */
    return rig_strike(RIG_FALLOCATE) != 0 ? -1 : 0;
}

static int rig_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    if (rig_strike(RIG_RENAMEAT) != 0)
        return -1;
    if (renameat(from_fd, from, to_fd, to) != 0)
        return -1;
    int at = rig_find(from);
    if (at < 0)
        return 0; /* of a file that was not made through here: no power is cut in such a test */
    int file = rig.names[at].file;
    struct rig_op *op = rig_log(OP_RENAME, file);
    (void)snprintf(op->name, RIG_NAME, "%s", from);
    (void)snprintf(op->to, RIG_NAME, "%s", to);
    rig_drop_name(from);
    rig_set_name(to, file);
    return 0;
}

static int rig_unlinkat(int dir_fd, const char *path, int flags)
{
    if (rig_strike(RIG_UNLINKAT) != 0)
        return -1;
    if (unlinkat(dir_fd, path, flags) != 0)
        return -1;
    (void)snprintf(rig_log(OP_UNLINK, -1)->name, RIG_NAME, "%s", path);
    rig_drop_name(path);
    return 0;
}

static MW_UNUSED const struct mw_journal_sys rig_sys = {
    rig_openat, rig_mkdirat,   rig_pread,     rig_pwrite,   rig_fdatasync,
    rig_fsync,  rig_ftruncate, rig_fallocate, rig_renameat, rig_unlinkat,
};

/* Real files, but syncs and the reserve cost nothing: for tests that ask about contents only. */
static int rig_no_sync(int fd)
{
    (void)fd;
    return 0;
}
static int rig_no_reserve(int fd, int mode, off_t offset, off_t size)
{
    (void)fd, (void)mode, (void)offset, (void)size;
    return 0;
}
static int rig_plain_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    return openat(dir_fd, path, flags | O_CLOEXEC, mode);
}
static MW_UNUSED const struct mw_journal_sys rig_quick = {
    rig_plain_openat, mkdirat,   pread,          pwrite,   rig_no_sync,
    rig_no_sync,      ftruncate, rig_no_reserve, renameat, unlinkat,
};

static MW_UNUSED void rig_reset(uint64_t seed)
{
    for (int i = 0; i < rig.op_count; i++)
        free(rig.ops[i].data);
    struct rig_op *ops = rig.ops != NULL ? rig.ops : calloc(RIG_OPS_MAX, sizeof *ops);
    MW_ASSERT(ops != NULL);
    memset(&rig, 0, sizeof rig);
    rig.ops = ops;
    rig.recording = true;
    rig.random = seed * 0x9e3779b97f4a7c15u | 1;
    for (int i = 0; i < RIG_FDS_MAX; i++)
        rig.fd_file[i] = -1;
}

static MW_UNUSED void rig_arm(enum rig_fault fault, int sys_errno, unsigned calls, long at)
{
    rig.fault = fault;
    rig.fault_errno = sys_errno;
    rig.fault_calls = calls;
    rig.fault_at = at;
    rig.calls = 0;
    rig.fault_hit = false;
    rig.sync_failed = false;
    rig.dead = false;
}

static MW_UNUSED void rig_ack(uint64_t seq)
{
    rig_log(OP_ACK, -1)->acked = seq;
}

/* What is not synced: in a state of kind 0 nothing of it, 1 all of it, 2 and more a coin for each sector and name. */
static bool rig_kept(const struct rig_op *op, int prefix, int kind)
{
    if (op->synced_at <= prefix)
        return true;
    if (kind < 2)
        return kind == 1 && !op->forgotten;
    return (rig_random() >> 20 & 1) != 0;
}

static void rig_apply_data(const struct rig_op *op, int prefix, int kind, char *bytes, size_t *size)
{
    if (op->kind == OP_SIZE) {
        if (!rig_kept(op, prefix, kind))
            return;
        if (op->size < *size)
            memset(bytes + op->size, 0, *size - op->size);
        *size = op->size;
        return;
    }
    MW_ASSERT(op->offset + op->size <= RIG_FILE_BYTES_MAX);
    bool grown = false;
    for (uint64_t at = op->offset; at < op->offset + op->size;) {
        uint64_t end = (at / RIG_SECTOR + 1) * RIG_SECTOR;
        end = end < op->offset + op->size ? end : op->offset + op->size;
        if (rig_kept(op, prefix, kind)) {
            memcpy(bytes + at, op->data + (at - op->offset), end - at);
            grown = true;
            *size = *size > end ? *size : end;
        }
        at = end;
    }
    /* The length may have reached the disk before the bytes did. */
    if (op->synced_at > prefix && kind >= 2 && (grown || (rig_random() >> 9 & 3) == 0) &&
        *size < op->offset + op->size && (rig_random() >> 9 & 1) != 0)
        *size = op->offset + op->size;
}

/* Writes the state after the first `prefix` operations into the empty folder dir. Returns what had been acknowledged by then. */
static MW_UNUSED uint64_t rig_power_cut(int prefix, int kind, int dir_fd)
{
    static char bytes[RIG_FILE_BYTES_MAX];
    struct {
        char name[RIG_NAME];
        int file;
    } names[256];
    int name_count = 0;
    uint64_t acked = 0;
    for (int i = 0; i < prefix; i++) {
        const struct rig_op *op = &rig.ops[i];
        if (op->kind == OP_ACK)
            acked = op->acked;
        bool adds = op->kind == OP_CREATE || op->kind == OP_RENAME;
        if ((!adds && op->kind != OP_UNLINK) || !rig_kept(op, prefix, kind))
            continue;
        const char *set = op->kind == OP_RENAME ? op->to : op->name;
        int found = name_count;
        for (int n = name_count - 1; n >= 0; n--) {
            if (op->kind != OP_CREATE && strcmp(names[n].name, op->name) == 0) {
                names[n] = names[--name_count];
                found = found == name_count ? n : found;
            }
        }
        found = name_count;
        for (int n = 0; n < name_count; n++)
            if (strcmp(names[n].name, set) == 0)
                found = n;
        if (!adds)
            continue;
        name_count += found == name_count;
        MW_ASSERT(name_count < (int)MW_COUNT(names));
        (void)snprintf(names[found].name, RIG_NAME, "%s", set);
        names[found].file = op->file;
    }
    for (int n = 0; n < name_count; n++) {
        size_t size = 0;
        memset(bytes, 0, sizeof bytes);
        for (int i = 0; i < prefix; i++)
            if (rig.ops[i].file == names[n].file &&
                (rig.ops[i].kind == OP_WRITE || rig.ops[i].kind == OP_SIZE))
                rig_apply_data(&rig.ops[i], prefix, kind, bytes, &size);
        int fd = openat(dir_fd, names[n].name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        MW_ASSERT(fd >= 0);
        MW_ASSERT(pwrite(fd, bytes, size, 0) == (ssize_t)size);
        (void)close(fd);
    }
    return acked;
}

/* ---- small things that the journal's tests share ---- */

/* In memory when the machine has such a folder: the rig says what is durable, not the disk. */
static MW_UNUSED void rig_new_dir(char ret_path[64])
{
    (void)snprintf(ret_path, 64, "%s/mw-journal-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MW_ASSERT(mkdtemp(ret_path) != NULL);
}

#include <dirent.h>
static MW_UNUSED void rig_empty_dir(const char *path)
{
    DIR *dir = opendir(path);
    MW_ASSERT(dir != NULL);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
}

static MW_UNUSED void rig_remove_dir(const char *path)
{
    rig_empty_dir(path);
    (void)rmdir(path);
}

#define RIG_PATH 400
static MW_UNUSED void rig_path(const char *dir, const char *name, char ret_path[RIG_PATH])
{
    (void)snprintf(ret_path, RIG_PATH, "%s/%s", dir, name);
}

static MW_UNUSED void rig_change_byte(const char *path, off_t at, char bits)
{
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    MW_ASSERT(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte = (char)(byte ^ bits);
    MW_ASSERT(pwrite(fd, &byte, 1, at) == 1);
    (void)close(fd);
}

/* The file is made when it is not there. */
static MW_UNUSED void rig_append_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

/* The one line that record seq is made of. Its length varies from one sector to three, so that frames tear. */
static MW_UNUSED size_t rig_line(uint64_t seq, char *ret_line)
{
    int length = sprintf(ret_line, "{\"seq\":%lu,\"text\":\"", (unsigned long)seq);
    size_t pad = (size_t)(seq * 7919 % 1200);
    memset(ret_line + length, 'a' + (char)(seq % 26), pad);
    memcpy(ret_line + (size_t)length + pad, "\"}\n", 4);
    return (size_t)length + pad + 3;
}
#define RIG_LINE_MAX 2048

struct rig_read {
    uint64_t next; /* the seq expected */
    bool wrong;
};

static MW_UNUSED enum mw_rc rig_check_line(void *context, uint64_t seq, struct mw_str line,
                                           struct mw_err *err)
{
    struct rig_read *read = context;
    char expected[RIG_LINE_MAX];
    size_t length = rig_line(seq, expected);
    (void)err;
    if (seq != read->next++ || line.len != length - 1 ||
        memcmp(line.ptr, expected, length - 1) != 0)
        read->wrong = true;
    return MW_OK;
}

/* Appends records first .. first + count - 1 as one frame. */
static MW_UNUSED enum mw_rc rig_append(void *journal, uint64_t first, uint32_t count,
                                       struct mw_err *err)
{
    static char lines[64 * RIG_LINE_MAX];
    MW_ASSERT(count <= 64);
    size_t length = 0;
    for (uint32_t i = 0; i < count; i++)
        length += rig_line(first + i, lines + length);
    return mw_journal_files.append(journal, first, count, (struct mw_str){lines, length}, err);
}

static MW_UNUSED bool rig_night(void)
{
    return getenv("MW_NIGHT") != NULL;
}

#endif
