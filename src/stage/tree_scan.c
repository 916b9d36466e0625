#include "stage/tree_internal.h"

#include "posix/heap.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH_FILES_MAX 256
#define BATCH_BYTES_MAX ((size_t)32 << 20)

#define DEPTH_MAX 64
#define OBSERVE_DEPTH_MAX 256

/* A person may have put anything into an app root (installed packages, a database): it is looked at, not judged. */
static const struct mw_tree_limits observe_limits = {
    .files_max = 4000000,
    .bytes_max = UINT64_MAX,
    .file_bytes_max = UINT64_MAX,
    .path_bytes_max = 4000,
};

struct scan {
    int root_fd;
    const char *folder; /* for messages */
    struct mw_tree_scan options;
    const struct mw_tree_limits *limits;
    struct mw_tree tree;
    struct mw_buf batch[BATCH_FILES_MAX]; /* bodies on their way to the blobs */
    uint32_t batch_count;
    size_t batch_bytes;
};

static enum mw_rc scan_folder(struct scan *scan, const char *path, uint32_t depth,
                              struct mw_err *err);
static enum mw_rc scan_entry(struct scan *scan, const char *path, uint32_t depth,
                             struct mw_err *err);
static enum mw_rc scan_file(struct scan *scan, const char *path, const struct stat *seen,
                            struct mw_err *err);
static void scan_special(struct scan *scan, const char *path, const struct stat *seen);
static enum mw_rc hash_file(const struct scan *scan, int fd, const char *path,
                            struct mw_tree_file *file, struct mw_err *err);
static enum mw_rc batch_file(struct scan *scan, int fd, const char *path, struct mw_tree_file *file,
                             struct mw_err *err);
static enum mw_rc batch_flush(struct scan *scan, struct mw_err *err);

int mw_open_beneath(int root_fd, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

enum mw_rc mw_tree_scan(int at_fd, const char *folder, const struct mw_tree_scan *options,
                        struct mw_tree *ret_tree, struct mw_err *err)
{
    mw_autoclose int root_fd =
        openat(at_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root_fd < 0)
        return MW_FAIL_SYS(err,
                           errno == ENOENT                      ? MW_E_MISSING
                           : errno == ELOOP || errno == ENOTDIR ? MW_E_DENIED
                                                                : MW_E_IO,
                           "open the folder '%s'", folder);
    struct scan *scan = mw_heap_alloc(sizeof(*scan));
    scan->root_fd = root_fd;
    scan->folder = folder;
    if (options != NULL)
        scan->options = *options;
    scan->limits = scan->options.limits != NULL ? scan->options.limits
                   : scan->options.observe      ? &observe_limits
                                                : &mw_tree_limits_default;
    MW_ASSERT(!scan->options.observe || scan->options.blobs == NULL);
    enum mw_rc rc = scan_folder(scan, "", 0, err);
    if (rc == MW_OK)
        rc = batch_flush(scan, err);
    if (rc == MW_OK && scan->options.observe)
        mw_tree_sort(&scan->tree);
    else if (rc == MW_OK)
        rc = mw_tree_seal(&scan->tree, err);
    for (uint32_t i = 0; i < scan->batch_count; i++)
        mw_heap_buf_free(&scan->batch[i]);
    if (rc == MW_OK)
        *ret_tree = scan->tree;
    else
        mw_tree_free(&scan->tree);
    mw_heap_free(scan);
    return rc;
}

static enum mw_rc scan_folder(struct scan *scan, const char *path, uint32_t depth,
                              struct mw_err *err)
{
    uint32_t depth_max = scan->options.observe ? OBSERVE_DEPTH_MAX : DEPTH_MAX;
    if (depth > depth_max)
        return MW_FAIL(err, MW_E_LIMIT, "'%s' is nested more than %u folders deep", path,
                       depth_max);
    int fd = mw_open_beneath(scan->root_fd, path[0] != '\0' ? path : ".", O_RDONLY | O_DIRECTORY);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        enum mw_rc rc = MW_FAIL_SYS(err, errno == ELOOP ? MW_E_DENIED : MW_E_IO,
                                    "open the folder '%s/%s'", scan->folder, path);
        mw_autoclose_fd(&fd);
        return rc;
    }
    enum mw_rc rc = MW_OK;
    struct dirent *entry;
    while (rc == MW_OK && (errno = 0, entry = readdir(list)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        mw_autofree char *child =
            mw_heap_format("%s%s%s", path, path[0] != '\0' ? "/" : "", entry->d_name);
        rc = scan_entry(scan, child, depth, err);
    }
    if (rc == MW_OK && errno != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "list the folder '%s/%s'", scan->folder, path);
    (void)closedir(list); /* only read from */
    return rc;
}

static enum mw_rc scan_entry(struct scan *scan, const char *path, uint32_t depth,
                             struct mw_err *err)
{
    struct stat st;
    const struct mw_tree_scan *options = &scan->options;
    for (uint32_t i = 0; i < options->ignore_count; i++)
        if (mw_glob_match(options->ignore[i], mw_str_of(path)))
            return MW_OK;
    if (strlen(path) > scan->limits->path_bytes_max)
        return MW_FAIL(err, MW_E_LIMIT, "'%s' is longer than %u bytes", path,
                       scan->limits->path_bytes_max);
    if (fstatat(scan->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return options->observe && errno == ENOENT
                   ? MW_OK /* somebody works there: it is gone */
                   : MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", path);
    if (S_ISDIR(st.st_mode))
        return scan_folder(scan, path, depth + 1, err);
    if (scan->tree.count >= scan->limits->files_max)
        return MW_FAIL(err, MW_E_LIMIT, "'%s' holds more than %u files", scan->folder,
                       scan->limits->files_max);
    if (S_ISREG(st.st_mode) && (options->observe || st.st_nlink == 1))
        return scan_file(scan, path, &st, err);
    if (options->observe) {
        scan_special(scan, path, &st);
        return MW_OK;
    }
    const char *what = S_ISREG(st.st_mode)    ? "a file with several names (a hard link)"
                       : S_ISLNK(st.st_mode)  ? "a symbolic link"
                       : S_ISFIFO(st.st_mode) ? "a named pipe"
                       : S_ISSOCK(st.st_mode) ? "a socket"
                                              : "a device";
    return MW_FAIL(err, MW_E_DENIED, "'%s' is refused: it is %s", path, what);
}

static enum mw_rc fail_large(const struct scan *scan, const char *path, struct mw_err *err)
{
    return MW_FAIL(err, MW_E_LIMIT, "'%s' is larger than %lu bytes", path,
                   (unsigned long)scan->limits->file_bytes_max);
}

static enum mw_rc scan_file(struct scan *scan, const char *path, const struct stat *seen,
                            struct mw_err *err)
{
    struct mw_tree_file file = {.path = mw_str_of(path),
                                .mode = seen->st_mode & S_IXUSR ? 0755 : 0644};
    struct stat st;
    mw_autoclose int fd = mw_open_beneath(scan->root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && scan->options.observe && errno == EACCES) {
        scan_special(scan, path, seen);
        return MW_OK;
    }
    if (fd < 0 && scan->options.observe && errno == ENOENT)
        return MW_OK;
    if (fd < 0)
        return MW_FAIL_SYS(err, errno == ELOOP ? MW_E_DENIED : MW_E_IO, "open '%s'", path);
    if (fstat(fd, &st) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", path);
    if (!scan->options.observe && (!S_ISREG(st.st_mode) || st.st_ino != seen->st_ino ||
                                   st.st_dev != seen->st_dev || st.st_nlink != 1))
        return MW_FAIL(err, MW_E_DENIED, "'%s' is refused: it was exchanged while it was read",
                       path);
    if ((uint64_t)st.st_size > scan->limits->file_bytes_max)
        return fail_large(scan, path, err);
    enum mw_rc rc = scan->options.blobs != NULL ? batch_file(scan, fd, path, &file, err)
                                                : hash_file(scan, fd, path, &file, err);
    if (rc != MW_OK)
        return rc;
    mw_tree_add(&scan->tree, &file);
    if (scan->tree.total_bytes > scan->limits->bytes_max)
        return MW_FAIL(err, MW_E_LIMIT, "'%s' holds more than %lu bytes", scan->folder,
                       (unsigned long)scan->limits->bytes_max);
    return MW_OK;
}

/* What is not a file has a digest of what it is, so that a change of it is an edit; it is never followed or opened. */
static void scan_special(struct scan *scan, const char *path, const struct stat *seen)
{
    char target[4096];
    ssize_t len =
        S_ISLNK(seen->st_mode) ? readlinkat(scan->root_fd, path, target, sizeof(target)) : 0;
    mw_autofree char *words =
        mw_heap_format("%u:%lu:%.*s", seen->st_mode & S_IFMT, (unsigned long)seen->st_rdev,
                       (int)(len > 0 ? len : 0), target);
    struct mw_tree_file file = {.path = mw_str_of(path), .mode = seen->st_mode & S_IFMT};
    mw_sha256_hex(mw_str_of(words), file.sha256);
    mw_tree_add(&scan->tree, &file);
}

static enum mw_rc hash_file(const struct scan *scan, int fd, const char *path,
                            struct mw_tree_file *file, struct mw_err *err)
{
    char block[65536];
    uint8_t digest[32];
    struct mw_sha256 sha;
    mw_sha256_begin(&sha);
    ssize_t got;
    while ((got = read(fd, block, sizeof(block))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        file->size_bytes += (uint64_t)got;
        if (file->size_bytes >
            scan->limits->file_bytes_max) /* more than it said: it grows, or is the kernel's */
            return fail_large(scan, path, err);
        mw_sha256_add(&sha, (struct mw_str){block, (size_t)got});
    }
    int read_errno = errno;
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof(digest), file->sha256);
    errno = read_errno;
    return got < 0 ? MW_FAIL_SYS(err, MW_E_IO, "read '%s'", path) : MW_OK;
}

static enum mw_rc batch_file(struct scan *scan, int fd, const char *path, struct mw_tree_file *file,
                             struct mw_err *err)
{
    struct mw_buf *body = &scan->batch[scan->batch_count];
    char block[65536];
    *body = mw_heap_buf();
    scan->batch_count++;
    ssize_t got;
    while ((got = read(fd, block, sizeof(block))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MW_FAIL_SYS(err, MW_E_IO, "read '%s'", path);
        mw_buf_put(body, (struct mw_str){block, (size_t)got});
        if (body->len > scan->limits->file_bytes_max)
            return fail_large(scan, path, err);
    }
    file->size_bytes = body->len;
    mw_sha256_hex(mw_buf_str(body), file->sha256);
    scan->batch_bytes += body->len;
    if (scan->batch_count == BATCH_FILES_MAX || scan->batch_bytes > BATCH_BYTES_MAX)
        return batch_flush(scan, err);
    return MW_OK;
}

static enum mw_rc batch_flush(struct scan *scan, struct mw_err *err)
{
    if (scan->batch_count == 0)
        return MW_OK;
    struct mw_blob_item *items = mw_heap_alloc(sizeof(*items) * scan->batch_count);
    for (uint32_t i = 0; i < scan->batch_count; i++)
        items[i].bytes = mw_buf_str(&scan->batch[i]);
    enum mw_rc rc = mw_blob_put_many(scan->options.blobs, items, scan->batch_count, err);
    mw_heap_free(items);
    for (uint32_t i = 0; i < scan->batch_count; i++)
        mw_heap_buf_free(&scan->batch[i]);
    scan->batch_count = 0;
    scan->batch_bytes = 0;
    return rc;
}
