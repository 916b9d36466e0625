#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATH_PARTS_MAX 64
#define PATH_BYTES_MAX 4095

static enum mw_rc read_open_file(int fd, const char *path, bool regular_only, size_t max_bytes,
                                 struct mw_buf *buf, struct mw_err *err);
static void folder_of(const char *path, char *ret_folder, size_t cap);

static enum mw_rc open_failed(struct mw_err *err, const char *path)
{
    enum mw_rc rc = errno == ENOENT || errno == ENOTDIR ? MW_E_MISSING
                    : errno == EACCES || errno == EPERM || errno == ELOOP || errno == EXDEV
                        ? MW_E_DENIED
                        : MW_E_IO;
    return MW_FAIL_SYS(err, rc, "open '%s'", path);
}

enum mw_rc mw_file_read(int at_fd, const char *path, size_t max_bytes, struct mw_buf *buf,
                        struct mw_err *err)
{
    mw_autoclose int fd = openat(at_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(err, path);
    return read_open_file(fd, path, false, max_bytes, buf, err);
}

enum mw_rc mw_file_read_regular(int at_fd, const char *path, size_t max_bytes, struct mw_buf *buf,
                                struct mw_err *err)
{
    mw_autoclose int fd = openat(at_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return open_failed(err, path);
    return read_open_file(fd, path, true, max_bytes, buf, err);
}

enum mw_rc mw_file_read_beneath(int root_fd, const char *path, size_t max_bytes, struct mw_buf *buf,
                                struct mw_err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    mw_autoclose int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    if (fd < 0)
        return open_failed(err, path);
    return read_open_file(fd, path, false, max_bytes, buf, err);
}

static enum mw_rc read_open_file(int fd, const char *path, bool regular_only, size_t max_bytes,
                                 struct mw_buf *buf, struct mw_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", path);
    if (regular_only && !S_ISREG(info.st_mode))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a regular file", path);
    if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a file", path);
    size_t total = 0;
    for (;;) {
        char chunk[65536];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MW_FAIL_SYS(err, MW_E_IO, "read '%s'", path);
        if (got == 0)
            return MW_OK;
        total += (size_t)got;
        if (total > max_bytes)
            return MW_FAIL(err, MW_E_LIMIT, "'%s' is larger than %zu bytes", path, max_bytes);
        mw_buf_put(buf, (struct mw_str){chunk, (size_t)got});
    }
}

enum mw_rc mw_write_all(int fd, struct mw_str bytes, struct mw_err *err)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t put = write(fd, bytes.ptr + done, bytes.len - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                               "write");
        done += (size_t)put;
    }
    return MW_OK;
}

enum mw_rc mw_file_put(int at_fd, const char *path, struct mw_str bytes, mode_t mode,
                       struct mw_err *err)
{
    struct stat before;
    mw_autoclose int fd = openat(at_fd, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0 || fstat(fd, &before) != 0)
        return MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                           "create '%s'", path);
    enum mw_rc rc = mw_write_all(fd, bytes, err);
    if (rc == MW_OK && (uint64_t)before.st_size > bytes.len && ftruncate(fd, (off_t)bytes.len) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "shorten '%s'", path);
    return rc;
}

enum mw_rc mw_file_replace(int at_fd, const char *path, struct mw_str bytes, mode_t mode,
                           struct mw_err *err)
{
    char temporary[PATH_BYTES_MAX + 32];
    char folder[PATH_BYTES_MAX + 1];
    uint64_t nonce = 0;
    if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
        return MW_FAIL_SYS(err, MW_E_IO, "get randomness");
    if (strlen(path) > PATH_BYTES_MAX)
        return MW_FAIL(err, MW_E_INPUT, "a path of more than %d bytes", PATH_BYTES_MAX);
    snprintf(temporary, sizeof(temporary), "%s.%016llx.tmp", path, (unsigned long long)nonce);
    folder_of(path, folder, sizeof(folder));
    mw_autoclose int fd =
        openat(at_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                           "create '%s'", temporary);
    enum mw_rc rc = mw_write_all(fd, bytes, err);
    if (rc == MW_OK && fsync(fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "sync '%s'", temporary);
    if (rc == MW_OK && renameat(at_fd, temporary, at_fd, path) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "rename '%s' to '%s'", temporary, path);
    if (rc != MW_OK) {
        (void)unlinkat(at_fd, temporary, 0); /* the first error is the one to tell */
        return rc;
    }
    return mw_fsync_dir(at_fd, folder, err);
}

enum mw_rc mw_mkdirs(int at_fd, const char *path, mode_t mode, struct mw_err *err)
{
    char part[PATH_BYTES_MAX + 1];
    size_t len = strlen(path);
    if (len == 0 || len > PATH_BYTES_MAX)
        return MW_FAIL(err, MW_E_INPUT, "a folder's path of %zu bytes", len);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdirat(at_fd, part, mode) != 0 && errno != EEXIST)
            return MW_FAIL_SYS(err,
                               errno == ENOSPC || errno == EDQUOT  ? MW_E_FULL
                               : errno == EACCES || errno == EPERM ? MW_E_DENIED
                                                                   : MW_E_IO,
                               "make the folder '%s'", part);
        part[i] = kept;
    }
    struct stat info;
    if (fstatat(at_fd, path, &info, 0) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", path);
    if (!S_ISDIR(info.st_mode))
        return MW_FAIL(err, MW_E_IO, "'%s' is in the way: it is not a folder", path);
    return MW_OK;
}

enum mw_rc mw_fsync_dir(int at_fd, const char *path, struct mw_err *err)
{
    mw_autoclose int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(err, path);
    if (fsync(fd) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "sync the folder '%s'", path);
    return MW_OK;
}

/* A folder that its owner closed to himself is still ours to remove. */
static enum mw_rc open_to_empty(int at_fd, const char *path, int *ret_fd, struct mw_err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at_fd, path, flags);
    if (fd < 0 && errno == EACCES && fchmodat(at_fd, path, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(at_fd, path, flags);
    if (fd < 0)
        return open_failed(err, path);
    (void)fchmod(fd, 0700);
    *ret_fd = fd;
    return MW_OK;
}

/* All that is in it, but a folder that holds something: then it is named. */
static enum mw_rc remove_entries(int dir_fd, char ret_left[NAME_MAX + 1], struct mw_err *err)
{
    int list_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    DIR *list = list_fd >= 0 ? fdopendir(list_fd) : NULL;
    if (list == NULL) {
        if (list_fd >= 0)
            (void)close(list_fd);
        return MW_FAIL_SYS(err, MW_E_IO, "list a folder that is being removed");
    }
    enum mw_rc rc = MW_OK;
    ret_left[0] = '\0';
    for (const struct dirent *entry;
         rc == MW_OK && ret_left[0] == '\0' && (entry = readdir(list)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || unlinkat(dir_fd, name, 0) == 0 ||
            errno == ENOENT)
            continue;
        if (errno != EISDIR && errno != EPERM)
            rc = MW_FAIL_SYS(err, MW_E_IO, "remove '%s'", name);
        else if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            continue; /* nothing in it: most often so */
        else if (errno == ENOTEMPTY || errno == EEXIST)
            (void)snprintf(ret_left, NAME_MAX + 1, "%s", name);
        else
            rc = MW_FAIL_SYS(err, MW_E_IO, "remove the folder '%s'", name);
    }
    (void)closedir(list); /* only read from */
    return rc;
}

/* Which folder it is, however it is reached. */
struct place {
    dev_t dev;
    ino_t ino;
};

static struct place place_of(int fd)
{
    struct stat info = {0};
    (void)fstat(fd, &info); /* an open folder: it can be asked */
    return (struct place){info.st_dev, info.st_ino};
}

static bool is_same(struct place a, struct place b)
{
    return a.dev == b.dev && a.ino == b.ino;
}

static void note_place(struct mw_buf *way, struct place place)
{
    mw_buf_put(way, (struct mw_str){(const char *)&place, sizeof(place)});
}

static struct place take_place(struct mw_buf *way)
{
    struct place place;
    way->len -= sizeof(place);
    memcpy(&place, way->ptr + way->len, sizeof(place));
    return place;
}

/* One folder is open at a time, however deep they lie: who made them may have made more than there are descriptors, or room for calls. */
static enum mw_rc empty_folder(int fd, const char *path, struct mw_err *err)
{
    char left[NAME_MAX + 1];
    struct mw_buf way = mw_heap_buf(); /* the folders above the open one */
    struct place emptied = {0};
    enum mw_rc rc;
    while ((rc = remove_entries(fd, left, err)) == MW_OK && (left[0] != '\0' || way.len > 0)) {
        int next = -1;
        if (left[0] != '\0') {
            note_place(&way, place_of(fd));
            rc = open_to_empty(fd, left, &next, err);
            if (rc == MW_OK && is_same(place_of(next), emptied))
                rc = MW_FAIL(err, MW_E_IO, "'%s' is filled while it is removed", path);
        } else {
            emptied = place_of(fd);
            next = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (next < 0 || !is_same(place_of(next), take_place(&way)))
                rc = MW_FAIL(err, MW_E_IO, "'%s' is moved while it is removed", path);
        }
        mw_autoclose_fd(&fd);
        fd = next;
        if (rc != MW_OK)
            break;
    }
    mw_autoclose_fd(&fd);
    mw_heap_buf_free(&way);
    return rc;
}

enum mw_rc mw_remove_tree(int at_fd, const char *path, struct mw_err *err)
{
    int fd = -1;
    if (unlinkat(at_fd, path, 0) == 0 || errno == ENOENT)
        return MW_OK;
    if (errno != EISDIR && errno != EPERM)
        return MW_FAIL_SYS(err, MW_E_IO, "remove '%s'", path);
    if (unlinkat(at_fd, path, AT_REMOVEDIR) == 0) /* nothing in it: most often so */
        return MW_OK;
    enum mw_rc rc = open_to_empty(at_fd, path, &fd, err);
    if (rc == MW_OK)
        rc = empty_folder(fd, path, err);
    if (rc != MW_OK)
        return rc;
    if (unlinkat(at_fd, path, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return MW_FAIL_SYS(err, MW_E_IO, "remove the folder '%s'", path);
    return MW_OK;
}

static void folder_of(const char *path, char *ret_folder, size_t cap)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(ret_folder, cap, ".");
    else
        snprintf(ret_folder, cap, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

bool mw_path_is_plain(struct mw_str path)
{
    size_t parts = 0;
    if (path.len == 0 || path.len > PATH_BYTES_MAX || !mw_utf8_valid(path, NULL))
        return false;
    for (size_t from = 0; from <= path.len; parts++) {
        size_t end = mw_str_find(path, '/', from);
        end = end == SIZE_MAX ? path.len : end;
        struct mw_str part = mw_str_sub(path, from, end - from);
        if (part.len == 0 || part.len > 255 || mw_str_is(part, ".") || mw_str_is(part, ".."))
            return false;
        from = end + 1;
    }
    for (size_t i = 0; i < path.len; i++)
        if ((uint8_t)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f || path.ptr[i] == '\\')
            return false;
    return parts <= PATH_PARTS_MAX;
}

bool mw_exists(int at_fd, const char *path)
{
    return faccessat(at_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum mw_rc mw_is_there(int at_fd, const char *path, bool *ret_there, struct mw_err *err)
{
    bool there = mw_exists(at_fd, path);
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return MW_FAIL_SYS(err, MW_E_IO, "look for '%s'", path);
    *ret_there = there;
    return MW_OK;
}

void mw_time_text(int64_t unix_us, char ret_text[MW_TIME_TEXT])
{
    time_t seconds = (time_t)(unix_us / 1000000);
    long micros = (long)(unix_us % 1000000);
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[80];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, micros);
    memcpy(ret_text, text, MW_TIME_TEXT - 1);
    ret_text[MW_TIME_TEXT - 1] = '\0';
}

int64_t mw_now_unix_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t mw_now_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The same as long as the process lives: read once. */
enum mw_rc mw_boot_id(char ret_boot[MW_BOOT_TEXT], struct mw_err *err)
{
    static _Thread_local char known[MW_BOOT_TEXT];
    if (known[0] == '\0') {
        struct mw_buf text = mw_heap_buf();
        enum mw_rc rc =
            mw_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", MW_BOOT_TEXT - 1, &text, err);
        if (rc == MW_OK) {
            struct mw_str boot = mw_str_trim(mw_buf_str(&text));
            (void)snprintf(known, MW_BOOT_TEXT, "%.*s", MW_STR_ARG(boot));
        }
        mw_heap_buf_free(&text);
        if (rc != MW_OK)
            return rc;
    }
    memcpy(ret_boot, known, MW_BOOT_TEXT);
    return MW_OK;
}
