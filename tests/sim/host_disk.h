/*
 * host_disk.h - the simulated file system: everything under /sim lies here, and what of it is on the disk is known at any moment.
 *
 * Model: a file's bytes are durable when fsync or fdatasync of it has returned 0; a failed one forgets what was to be written, and the next
 * one succeeds (as Linux does it). Names are a log of changes in their order; fsync of a folder makes durable every change up to the last one
 * in that folder. A power cut keeps any beginning of the changes that are not durable, and of each file that is not durable any 512-byte
 * sectors of what was written. A killed process loses nothing but its descriptors.
 */
#ifndef MW_TEST_HOST_DISK_H
#define MW_TEST_HOST_DISK_H

#include "host_heap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DISK_ROOT "/sim"
#define DISK_FD_BASE 5000
#define DISK_FDS_MAX 1024
#define DISK_MEMORY_BYTES ((size_t)1 << 30)
#define DISK_SECTOR 512u

struct disk_node;

struct disk_entry {
    const char *name;
    struct disk_node *node;
};

struct disk_bytes {
    char *at;
    size_t filled, cap;
    size_t size; /* behind filled there are zeros */
};

struct disk_node {
    uint64_t inode;
    bool folder;
    mode_t mode;
    uint32_t links;
    struct disk_node *parent; /* folders */
    struct disk_entry *entries;
    uint32_t count, cap;
    struct disk_bytes now;  /* as everybody reads it */
    struct disk_bytes kept; /* as it would be after a power cut */
    size_t dirty_from, dirty_to, cut_to;
    bool dirty, mapped;
    bool
        named; /* its folder was synced itself since it has a name there, whatever else orders names */
    bool unkept;         /* a sync failed: what was to be written then is in the cache only */
    size_t blocks_bytes; /* asked for by fallocate */
    int64_t changed_us;  /* UTC */
    struct disk_node *next;
};

/* One name came to mean another thing. */
struct disk_change {
    struct disk_node *folder;
    const char *name;
    struct disk_node *before, *after;
    bool with_next; /* a rename is two changes at once */
};

enum disk_fd_kind { DISK_FREE, DISK_FILE, DISK_LIST, DISK_OTHER };

struct disk_fd {
    enum disk_fd_kind kind;
    struct disk_node *node;
    off_t at;
    int flags;
    uint32_t listed;
    bool locked;
    /* DISK_OTHER: host_agents.h */
    void *other;
    int which;
};

struct disk {
    char *memory;
    size_t used_bytes;
    struct disk_node *root, *nodes;
    uint64_t inodes;
    struct disk_change *changes;
    uint32_t change_count, change_cap;
    struct disk_fd fds[DISK_FDS_MAX];
    size_t written_bytes;  /* what the files take */
    size_t room_bytes;     /* SIZE_MAX: enough */
    int64_t full_until_ns; /* when there was room again, the last time */
    uint32_t sync_fails;   /* the how manieth sync from now on fails; 0: none */
    uint64_t syncs;
};

static struct disk disk;

static void *disk_alloc(size_t size_bytes)
{
    size_t from = (disk.used_bytes + 15) & ~(size_t)15;
    assert_true(from + size_bytes < DISK_MEMORY_BYTES);
    disk.used_bytes = from + size_bytes;
    return memset(disk.memory + from, 0, size_bytes);
}

static struct disk_node *disk_node_make(bool folder, mode_t mode)
{
    struct disk_node *node = disk_alloc(sizeof *node);
    node->inode = ++disk.inodes;
    node->folder = folder;
    node->mode = mode & 0777;
    node->changed_us = world_utc_us();
    node->next = disk.nodes;
    disk.nodes = node;
    return node;
}

/* ---- bytes ---- */

static void disk_bytes_put(struct disk_bytes *bytes, size_t offset, const char *from, size_t len)
{
    size_t end = offset + len;
    if (len == 0)
        return;
    if (end > bytes->cap) {
        size_t cap = bytes->cap > 0 ? bytes->cap : 256;
        while (cap < end)
            cap *= 2;
        char *fresh = disk_alloc(cap);
        if (bytes->filled > 0)
            memcpy(fresh, bytes->at, bytes->filled);
        bytes->at = fresh;
        bytes->cap = cap;
    }
    if (offset > bytes->filled)
        memset(bytes->at + bytes->filled, 0, offset - bytes->filled);
    memcpy(bytes->at + offset, from, len);
    if (end > bytes->filled)
        bytes->filled = end;
    if (end > bytes->size)
        bytes->size = end;
}

static void disk_bytes_resize(struct disk_bytes *bytes, size_t size)
{
    if (bytes->filled > size)
        bytes->filled = size;
    bytes->size = size;
}

static size_t disk_bytes_get(const struct disk_bytes *bytes, size_t offset, char *to, size_t len)
{
    if (offset >= bytes->size)
        return 0;
    if (len > bytes->size - offset)
        len = bytes->size - offset;
    size_t real = offset < bytes->filled ? bytes->filled - offset : 0;
    if (real > len)
        real = len;
    if (real > 0)
        memcpy(to, bytes->at + offset, real);
    memset(to + real, 0, len - real);
    return len;
}

static void disk_touch(struct disk_node *node, size_t from, size_t to)
{
    node->changed_us = world_utc_us();
    if (!node->dirty) {
        node->dirty_from = from;
        node->dirty_to = to;
        node->cut_to = SIZE_MAX;
    }
    node->dirty = true;
    node->dirty_from = from < node->dirty_from ? from : node->dirty_from;
    node->dirty_to = to > node->dirty_to ? to : node->dirty_to;
}

static size_t disk_weight(const struct disk_node *node)
{
    return node->now.size > node->blocks_bytes ? node->now.size : node->blocks_bytes;
}

/* What a full disk says, and what it says when only the user's quota is: by where it happens, so that no draw of the dice is added. */
static int disk_full_errno(void)
{
    return disk.room_bytes % 2 == 0 ? ENOSPC : EDQUOT;
}

/* False, with errno: there is no room for so much more. */
static bool disk_takes(struct disk_node *node, size_t end)
{
    size_t was = disk_weight(node);
    size_t more = end > was ? end - was : 0;
    if (more > 0 && disk.room_bytes != SIZE_MAX && disk.written_bytes + more > disk.room_bytes) {
        errno = disk_full_errno();
        return false;
    }
    disk.written_bytes += more;
    return true;
}

static void disk_resize(struct disk_node *node, size_t size)
{
    size_t was = disk_weight(node);
    disk_touch(node, size, size);
    if (size < node->now.filled && size < node->cut_to)
        node->cut_to = size;
    disk_bytes_resize(&node->now, size);
    if (node->blocks_bytes > size)
        node->blocks_bytes = size;
    disk.written_bytes -= was - (disk_weight(node) < was ? disk_weight(node) : was);
}

static void disk_sync(struct disk_node *node)
{
    if (!node->dirty)
        return;
    if (node->cut_to < node->kept.filled)
        node->kept.filled = node->cut_to;
    size_t to = node->dirty_to < node->now.filled ? node->dirty_to : node->now.filled;
    if (node->dirty_from < to)
        disk_bytes_put(&node->kept, node->dirty_from, node->now.at + node->dirty_from,
                       to - node->dirty_from);
    disk_bytes_resize(&node->kept, node->now.size);
    node->dirty = false;
}

/* ---- names ---- */

static struct disk_entry *disk_entry(const struct disk_node *folder, const char *name, size_t len)
{
    for (uint32_t i = 0; i < folder->count; i++)
        if (strncmp(folder->entries[i].name, name, len) == 0 && folder->entries[i].name[len] == 0)
            return &folder->entries[i];
    return NULL;
}

static void disk_set(struct disk_node *folder, const char *name, struct disk_node *node)
{
    struct disk_entry *entry = disk_entry(folder, name, strlen(name));
    if (entry != NULL && node == NULL) {
        *entry = folder->entries[--folder->count];
    } else if (entry != NULL) {
        entry->node = node;
    } else if (node != NULL) {
        if (folder->count == folder->cap) {
            uint32_t cap = folder->cap > 0 ? folder->cap * 2 : 8;
            struct disk_entry *grown = disk_alloc(cap * sizeof *grown);
            if (folder->count > 0)
                memcpy(grown, folder->entries, folder->count * sizeof *grown);
            folder->entries = grown;
            folder->cap = cap;
        }
        folder->entries[folder->count++] = (struct disk_entry){name, node};
    }
    if (node != NULL && node->folder)
        node->parent = folder;
}

static void disk_change(struct disk_node *folder, const char *name, struct disk_node *node,
                        bool with_next)
{
    struct disk_entry *entry = disk_entry(folder, name, strlen(name));
    char *kept_name = disk_alloc(strlen(name) + 1);
    strcpy(kept_name, name);
    if (disk.change_count == disk.change_cap) {
        uint32_t cap = disk.change_cap > 0 ? disk.change_cap * 2 : 256;
        struct disk_change *grown = disk_alloc(cap * sizeof *grown);
        if (disk.change_count > 0)
            memcpy(grown, disk.changes, disk.change_count * sizeof *grown);
        disk.changes = grown;
        disk.change_cap = cap;
    }
    disk.changes[disk.change_count++] = (struct disk_change){
        folder, kept_name, entry != NULL ? entry->node : NULL, node, with_next};
    if (entry != NULL && entry->node != NULL && --entry->node->links == 0)
        disk.written_bytes -= disk_weight(entry->node);
    if (node != NULL && node->links++ == 0)
        disk.written_bytes += disk_weight(node);
    disk_set(folder, kept_name, node);
    folder->changed_us = world_utc_us();
}

static void disk_sync_names(const struct disk_node *folder)
{
    uint32_t upto = 0;
    for (uint32_t i = disk.change_count; i > 0 && upto == 0; i--)
        if (disk.changes[i - 1].folder == folder)
            upto = i;
    while (upto > 0 && upto < disk.change_count && disk.changes[upto - 1].with_next)
        upto++;
    if (upto == 0)
        return;
    disk.change_count -= upto;
    memmove(disk.changes, disk.changes + upto, disk.change_count * sizeof *disk.changes);
}

/* The node of a path; NULL with errno. *ret_folder and ret_name (at least 256 bytes): where its last part belongs. */
static struct disk_node *disk_walk(struct disk_node *from, const char *path,
                                   struct disk_node **ret_folder, char *ret_name)
{
    struct disk_node *at = from, *folder = from;
    bool missing = false;
    if (ret_name != NULL)
        strcpy(ret_name, ".");
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        const char *rest = path + len + strspn(path + len, "/");
        if (len == 0 || (len == 1 && path[0] == '.')) {
            path = rest;
            continue;
        }
        if (missing) {
            errno = ENOENT;
            return NULL;
        }
        if (!at->folder) {
            errno = ENOTDIR;
            return NULL;
        }
        folder = at;
        if (ret_name != NULL) {
            assert_true(len < 256);
            memcpy(ret_name, path, len);
            ret_name[len] = '\0';
        }
        if (len == 2 && path[0] == '.' && path[1] == '.') {
            at = at->parent != NULL ? at->parent : at;
        } else {
            const struct disk_entry *entry = disk_entry(at, path, len);
            missing = entry == NULL;
            at = entry != NULL ? entry->node : at;
        }
        path = rest;
    }
    if (ret_folder != NULL)
        *ret_folder = folder;
    if (missing)
        errno = ENOENT;
    return missing ? NULL : at;
}

static struct disk_node *disk_find(const char *path)
{
    assert_true(strncmp(path, DISK_ROOT, sizeof DISK_ROOT - 1) == 0);
    return disk_walk(disk.root, path + sizeof DISK_ROOT - 1, NULL, NULL);
}

static void disk_make_folders(const char *path)
{
    char name[256], part[1024];
    for (const char *slash = strchr(path + sizeof DISK_ROOT, '/');;
         slash = strchr(slash + 1, '/')) {
        size_t len = slash != NULL ? (size_t)(slash - path) : strlen(path);
        struct disk_node *folder;
        memcpy(part, path, len);
        part[len] = '\0';
        if (disk_walk(disk.root, part + sizeof DISK_ROOT - 1, &folder, name) == NULL)
            disk_change(folder, name, disk_node_make(true, 0755), false);
        if (slash == NULL)
            return;
    }
}

/* What somebody else than the host writes. */
static void disk_write_file(const char *path, struct mw_str bytes)
{
    char name[256];
    struct disk_node *folder;
    struct disk_node *node = disk_walk(disk.root, path + sizeof DISK_ROOT - 1, &folder, name);
    if (node == NULL) {
        node = disk_node_make(false, 0644);
        disk_change(folder, name, node, false);
    }
    disk_resize(node, 0);
    if (disk_takes(node, bytes.len)) {
        disk_touch(node, 0, bytes.len);
        disk_bytes_put(&node->now, 0, bytes.ptr, bytes.len);
    }
}

/* ---- the machine ---- */

static void disk_begin(void)
{
    if (disk.memory == NULL)
        disk.memory = __real_mmap(NULL, DISK_MEMORY_BYTES, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(disk.memory != MAP_FAILED);
    char *memory = disk.memory;
    disk = (struct disk){.memory = memory, .room_bytes = SIZE_MAX};
    disk.root = disk_node_make(true, 0755);
}

/* The process is gone: its descriptors and locks are, too. */
static void disk_process_gone(void)
{
    memset(disk.fds, 0, sizeof disk.fds);
}

static void disk_tear(struct disk_node *node)
{
    uint32_t dice = world_below(4);
    if (dice == 0 && !node->unkept) {
        disk_sync(node); /* it had all been written back */
        return;
    }
    struct disk_bytes torn = {0};
    if (node->kept.filled > 0)
        disk_bytes_put(&torn, 0, node->kept.at, node->kept.filled);
    disk_bytes_resize(&torn, node->kept.size);
    if (dice > 1) {
        size_t size = world_chance(50) ? node->now.size : node->kept.size;
        if (size == node->now.size && node->cut_to < torn.filled)
            disk_bytes_resize(&torn, node->cut_to);
        for (size_t at = node->dirty_from / DISK_SECTOR * DISK_SECTOR;
             at < node->dirty_to && at < node->now.filled && at < size; at += DISK_SECTOR) {
            size_t len = node->now.filled - at < DISK_SECTOR ? node->now.filled - at : DISK_SECTOR;
            if (at + len > size)
                len = size - at;
            if (dice == 2 || world_chance(50))
                disk_bytes_put(&torn, at, node->now.at + at, len);
        }
        disk_bytes_resize(&torn, size);
    }
    node->now = torn;
    node->kept = (struct disk_bytes){0};
    if (torn.filled > 0)
        disk_bytes_put(&node->kept, 0, torn.at, torn.filled);
    disk_bytes_resize(&node->kept, torn.size);
    node->dirty = false;
}

static void disk_weigh(const struct disk_node *folder)
{
    for (uint32_t i = 0; i < folder->count; i++) {
        struct disk_node *node = folder->entries[i].node;
        node->links++;
        if (node->folder)
            disk_weigh(node);
        else
            disk.written_bytes += disk_weight(node);
    }
}

static void disk_power_cut(void)
{
    uint32_t keep = disk.change_count > 0 ? world_below(disk.change_count + 1) : 0;
    while (keep > 0 && keep < disk.change_count && disk.changes[keep - 1].with_next)
        keep++;
    for (uint32_t i = disk.change_count; i > keep; i--)
        disk_set(disk.changes[i - 1].folder, disk.changes[i - 1].name, disk.changes[i - 1].before);
    disk.change_count = 0;
    for (struct disk_node *node = disk.nodes; node != NULL; node = node->next) {
        node->links = 0;
        if (node->mapped)
            disk_touch(node, 0, node->now.filled);
        node->mapped = false;
        if (node->unkept && !node->dirty)
            disk_touch(node, 0, 0); /* torn with nothing to write: what is kept */
        if (node->dirty)
            disk_tear(node);
        node->unkept = false;
    }
    disk.written_bytes = 0;
    disk_weigh(disk.root);
}

/* Whatever a power cut keeps: this file is there, as it is. */
static bool disk_is_durable(const char *path)
{
    const struct disk_node *node = disk_find(path);
    if (node == NULL || node->dirty || node->unkept)
        return false;
    for (uint32_t i = 0; i < disk.change_count; i++)
        if (disk.changes[i].after == node || disk.changes[i].before == node)
            return false;
    return true;
}

/* Its name, whatever is in it: on a disk that keeps no names together but those of one folder. */
static bool disk_is_named(const char *path)
{
    const struct disk_node *node = disk_find(path);
    return node != NULL && node->named;
}

/* ---- descriptors ---- */

static struct disk_fd *disk_fd(int fd)
{
    if (fd < DISK_FD_BASE || fd >= DISK_FD_BASE + DISK_FDS_MAX)
        return NULL;
    struct disk_fd *found = &disk.fds[fd - DISK_FD_BASE];
    return found->kind != DISK_FREE ? found : NULL;
}

static int disk_fd_open(enum disk_fd_kind kind, struct disk_node *node, int flags)
{
    for (int i = 0; i < DISK_FDS_MAX; i++)
        if (disk.fds[i].kind == DISK_FREE) {
            disk.fds[i] = (struct disk_fd){.kind = kind, .node = node, .flags = flags};
            return DISK_FD_BASE + i;
        }
    WORLD_CHECK(false, "the host keeps more than %d descriptors open", DISK_FDS_MAX);
    return -1;
}

/* The page cache itself: what is written there outlives the process, and may or may not reach the disk. NULL: not ours. */
static void *disk_map(int fd, size_t size_bytes)
{
    struct disk_fd *ours = disk_fd(fd);
    if (ours == NULL)
        return NULL;
    if (ours->node->now.filled < size_bytes) {
        char zero = 0;
        disk_touch(ours->node, 0, size_bytes);
        disk_bytes_put(&ours->node->now, size_bytes - 1, &zero, 1);
    }
    ours->node->mapped = true;
    return ours->node->now.at;
}

static bool disk_unmap(const void *memory)
{
    return disk.memory != NULL && (const char *)memory >= disk.memory &&
           (const char *)memory < disk.memory + DISK_MEMORY_BYTES;
}

/* Where a path begins; NULL: it is none of ours. */
static struct disk_node *disk_start(int at_fd, const char **path)
{
    if ((*path)[0] == '/') {
        size_t len = sizeof DISK_ROOT - 1;
        if (strncmp(*path, DISK_ROOT, len) != 0 || ((*path)[len] != '/' && (*path)[len] != '\0'))
            return NULL;
        *path += len;
        return disk.root;
    }
    const struct disk_fd *fd = disk_fd(at_fd);
    return fd != NULL ? fd->node : NULL;
}

static int disk_open(struct disk_node *start, const char *path, int flags, mode_t mode)
{
    char name[256];
    struct disk_node *folder = NULL;
    struct disk_node *node = disk_walk(start, path, &folder, name);
    if (node == NULL && (errno != ENOENT || folder == NULL || (flags & O_CREAT) == 0))
        return -1;
    if (node != NULL && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
        errno = EEXIST;
        return -1;
    }
    if (node == NULL) {
        world_point();
        if (disk.room_bytes != SIZE_MAX && disk.written_bytes >= disk.room_bytes) {
            errno = disk_full_errno();
            return -1;
        }
        node = disk_node_make(false, mode);
        disk_change(folder, name, node, false);
    }
    if ((flags & O_DIRECTORY) != 0 && !node->folder) {
        errno = ENOTDIR;
        return -1;
    }
    if (node->folder && (flags & O_ACCMODE) != O_RDONLY) {
        errno = EISDIR;
        return -1;
    }
    if ((flags & O_TRUNC) != 0)
        disk_resize(node, 0);
    return disk_fd_open(DISK_FILE, node, flags);
}

static ssize_t disk_write(struct disk_fd *fd, const char *bytes, size_t len, off_t offset)
{
    world_point();
    if (!disk_takes(fd->node, (size_t)offset + len)) {
        size_t some =
            disk.room_bytes > disk.written_bytes ? disk.room_bytes - disk.written_bytes : 0;
        if (some >= len || (size_t)offset != fd->node->now.size || !world_chance(50))
            return -1;
        if (some == 0 || !disk_takes(fd->node, (size_t)offset + some))
            return -1;
        len = some; /* a short write before the disk is full */
    }
    disk_touch(fd->node, (size_t)offset, (size_t)offset + len);
    disk_bytes_put(&fd->node->now, (size_t)offset, bytes, len);
    world_point();
    return (ssize_t)len;
}

static int disk_fsync(struct disk_fd *fd)
{
    world_point();
    disk.syncs++;
    if (disk.sync_fails > 0 && --disk.sync_fails == 0) {
        world_note("a sync fails", fd->node->inode, 0);
        world.faulted = true;
        fd->node->dirty = false; /* and nobody will write it any more */
        fd->node->unkept = true;
        errno = EIO;
        return -1;
    }
    disk_sync(fd->node);
    if (fd->node->folder)
        disk_sync_names(fd->node);
    for (uint32_t i = 0; i < fd->node->count; i++)
        if (fd->node->entries[i].node != NULL)
            fd->node->entries[i].node->named = true;
    world_point();
    return 0;
}

static void disk_stat(const struct disk_node *node, struct stat *info)
{
    memset(info, 0, sizeof *info);
    info->st_ino = node->inode;
    info->st_dev = 77;
    info->st_mode = node->mode | (node->folder ? S_IFDIR : S_IFREG);
    info->st_nlink = node->folder ? 2 : 1;
    info->st_uid = 1000;
    info->st_gid = 1000;
    info->st_size = (off_t)node->now.size;
    info->st_mtim = (struct timespec){.tv_sec = node->changed_us / 1000000,
                                      .tv_nsec = node->changed_us % 1000000 * 1000};
    info->st_ctim = info->st_mtim;
    info->st_blocks = (blkcnt_t)((disk_weight(node) + 511) / 512);
}

static int disk_unlink(struct disk_node *start, const char *path, bool folder_wanted)
{
    char name[256];
    struct disk_node *folder;
    struct disk_node *node = disk_walk(start, path, &folder, name);
    if (node == NULL)
        return -1;
    if (node->folder != folder_wanted) {
        errno = folder_wanted ? ENOTDIR : EISDIR;
        return -1;
    }
    if (node->folder && node->count > 0) {
        errno = ENOTEMPTY;
        return -1;
    }
    world_point();
    disk_change(folder, name, NULL, false);
    world_point();
    return 0;
}

static int disk_rename(struct disk_node *from_start, const char *from, struct disk_node *to_start,
                       const char *to, unsigned flags)
{
    char from_name[256], to_name[256];
    struct disk_node *from_folder = NULL, *to_folder = NULL;
    struct disk_node *node = disk_walk(from_start, from, &from_folder, from_name);
    if (node == NULL)
        return -1;
    struct disk_node *there = disk_walk(to_start, to, &to_folder, to_name);
    if (there == NULL && (errno != ENOENT || to_folder == NULL || (flags & RENAME_EXCHANGE) != 0))
        return -1;
    if (there != NULL && (flags & RENAME_NOREPLACE) != 0) {
        errno = EEXIST;
        return -1;
    }
    if (there != NULL && there->folder && there->count > 0 && (flags & RENAME_EXCHANGE) == 0) {
        errno = ENOTEMPTY;
        return -1;
    }
    if (there == node)
        return 0;
    world_point();
    disk_change(from_folder, from_name, (flags & RENAME_EXCHANGE) != 0 ? there : NULL, true);
    disk_change(to_folder, to_name, node, false);
    world_point();
    return 0;
}

#endif
