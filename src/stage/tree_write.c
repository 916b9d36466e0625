#include "stage/tree_internal.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum mw_rc write_files(const struct mw_tree *tree, const struct mw_tree_source *source,
                              int root_fd, const struct mw_tree_write *how, int *file_fds,
                              struct mw_err *err);
static enum mw_rc write_file(const struct mw_tree_file *file, const struct mw_tree_source *source,
                             int root_fd, const struct mw_tree_write *how, int *ret_fd,
                             struct mw_err *err);
static enum mw_rc make_folders(struct mw_str path, struct mw_str before,
                               const struct mw_tree_source *source, int root_fd,
                               const struct mw_tree_write *how, struct mw_err *err);
static enum mw_rc narrow(const struct mw_tree_source *source, const struct mw_tree_write *how,
                         const char *path, mode_t *mode, struct mw_err *err);
static enum mw_rc sync_folders(const struct mw_tree *tree, int root_fd, struct mw_err *err);

#define OPEN_MAX_COUNT 128

enum mw_rc mw_tree_write(const struct mw_tree *tree, const struct mw_tree_source *source, int at_fd,
                         const char *folder, struct mw_tree_write how, struct mw_err *err)
{
    mode_t mode = 0755;
    enum mw_rc rc = narrow(source, &how, ".", &mode, err);
    if (rc != MW_OK)
        return rc;
    if (mkdirat(at_fd, folder, mode) != 0)
        return MW_FAIL_SYS(err,
                           errno == ENOSPC || errno == EDQUOT                    ? MW_E_FULL
                           : errno == EEXIST                                     ? MW_E_CONFLICT
                           : errno == EACCES || errno == EPERM || errno == EROFS ? MW_E_DENIED
                                                                                 : MW_E_IO,
                           "make the folder '%s'", folder);
    mw_autoclose int root_fd =
        openat(at_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open the folder '%s'", folder);
    int file_fds[OPEN_MAX_COUNT];
    for (uint32_t i = 0; i < OPEN_MAX_COUNT; i++)
        file_fds[i] = -1;
    rc = write_files(tree, source, root_fd, &how, file_fds, err);
    for (uint32_t i = 0; i < OPEN_MAX_COUNT; i++)
        mw_autoclose_fd(&file_fds[i]);
    if (rc == MW_OK && how.durable)
        rc = sync_folders(tree, root_fd, err);
    return rc;
}

/* In rounds: a round's files are all written before the first is synced, so that the disk sees them together. */
static enum mw_rc write_files(const struct mw_tree *tree, const struct mw_tree_source *source,
                              int root_fd, const struct mw_tree_write *how, int *file_fds,
                              struct mw_err *err)
{
    for (uint32_t from = 0; from < tree->count; from += OPEN_MAX_COUNT) {
        uint32_t round = tree->count - from < OPEN_MAX_COUNT ? tree->count - from : OPEN_MAX_COUNT;
        for (uint32_t i = 0; i < round; i++) {
            const struct mw_tree_file *file = &tree->files[from + i];
            struct mw_str before = from + i > 0 ? file[-1].path : MW_STR_NONE;
            enum mw_rc rc = make_folders(file->path, before, source, root_fd, how, err);
            if (rc == MW_OK)
                rc = write_file(file, source, root_fd, how, &file_fds[i], err);
            if (rc != MW_OK)
                return rc;
        }
        for (uint32_t i = 0; i < round; i++) {
            if (how->durable && fsync(file_fds[i]) != 0)
                return MW_FAIL_SYS(err, MW_E_IO, "make '%s' durable",
                                   tree->files[from + i].path.ptr);
            mw_autoclose_fd(&file_fds[i]);
            file_fds[i] = -1;
        }
    }
    return MW_OK;
}

static enum mw_rc read_body(const struct mw_tree_file *file, const struct mw_tree_source *source,
                            struct mw_buf *body, struct mw_err *err)
{
    bool over = source->overlay != NULL && mw_tree_find(source->overlay, file->path) != NULL;
    if (!over && source->blobs != NULL)
        return mw_blob_get(source->blobs, file->sha256, MW_BLOB_BYTES_MAX, body, err);
    int fd = over ? source->overlay_fd : source->folder_fd;
    enum mw_rc rc = mw_file_read_beneath(fd, file->path.ptr, MW_BLOB_BYTES_MAX, body, err);
    if (rc != MW_OK)
        return rc;
    char found[MW_SHA256_HEX];
    mw_sha256_hex(mw_buf_str(body), found);
    if (strcmp(found, file->sha256) != 0)
        return MW_FAIL(err, MW_E_CORRUPT, "'%s' has changed: its hash is %s, not %s",
                       file->path.ptr, found, file->sha256);
    return MW_OK;
}

static enum mw_rc write_file(const struct mw_tree_file *file, const struct mw_tree_source *source,
                             int root_fd, const struct mw_tree_write *how, int *ret_fd,
                             struct mw_err *err)
{
    MW_ASSERT(file->mode == 0644 || file->mode == 0755);
    struct mw_buf body = mw_heap_buf();
    enum mw_rc rc = read_body(file, source, &body, err);
    int fd = -1;
    if (rc == MW_OK) {
        fd = openat(root_fd, file->path.ptr, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        if (fd < 0)
            rc = MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                             "make '%s'", file->path.ptr);
    }
    if (rc == MW_OK)
        rc = mw_write_all(fd, mw_buf_str(&body), err);
    mode_t mode = how->read_only ? file->mode & 0555 : file->mode;
    if (rc == MW_OK)
        rc = narrow(source, how, file->path.ptr, &mode, err);
    /* The umask has no say: the mode is part of the tree's digest. */
    if (rc == MW_OK && fchmod(fd, mode) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "set the mode of '%s'", file->path.ptr);
    mw_heap_buf_free(&body);
    *ret_fd = fd;
    return rc;
}

/* The owner's part, which is what a digest sees, stays. A link counts as what anybody may do anything with. */
static enum mw_rc narrow(const struct mw_tree_source *source, const struct mw_tree_write *how,
                         const char *path, mode_t *mode, struct mw_err *err)
{
    const int folders[] = {source->folder_fd, source->overlay_fd};
    for (size_t i = 0; how->keep_private && i < MW_COUNT(folders); i++) {
        struct stat st;
        if (folders[i] < 0)
            continue;
        if (fstatat(folders[i], path, &st, AT_SYMLINK_NOFOLLOW) == 0)
            *mode &= st.st_mode | 0700;
        else if (errno != ENOENT && errno != ENOTDIR)
            return MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", path);
    }
    return MW_OK;
}

static enum mw_rc make_folders(struct mw_str path, struct mw_str before,
                               const struct mw_tree_source *source, int root_fd,
                               const struct mw_tree_write *how, struct mw_err *err)
{
    size_t shared = 0;
    for (size_t i = 0; i < path.len && i < before.len && path.ptr[i] == before.ptr[i]; i++)
        if (path.ptr[i] == '/')
            shared = i + 1;
    for (size_t slash = mw_str_find(path, '/', shared); slash != SIZE_MAX;
         slash = mw_str_find(path, '/', slash + 1)) {
        mw_autofree char *folder = mw_heap_copy(mw_str_sub(path, 0, slash));
        mode_t mode = 0755;
        enum mw_rc rc = narrow(source, how, folder, &mode, err);
        if (rc != MW_OK)
            return rc;
        if (mkdirat(root_fd, folder, mode) != 0)
            return MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                               "make the folder '%s'", folder);
    }
    return MW_OK;
}

static enum mw_rc sync_folders(const struct mw_tree *tree, int root_fd, struct mw_err *err)
{
    for (uint32_t f = 0; f < tree->count; f++) {
        struct mw_str path = tree->files[f].path;
        struct mw_str before = f > 0 ? tree->files[f - 1].path : MW_STR_NONE;
        size_t shared = 0;
        for (size_t i = 0; i < path.len && i < before.len && path.ptr[i] == before.ptr[i]; i++)
            if (path.ptr[i] == '/')
                shared = i + 1;
        for (size_t slash = mw_str_find(path, '/', shared); slash != SIZE_MAX;
             slash = mw_str_find(path, '/', slash + 1)) {
            mw_autofree char *folder = mw_heap_copy(mw_str_sub(path, 0, slash));
            enum mw_rc rc = mw_fsync_dir(root_fd, folder, err);
            if (rc != MW_OK)
                return rc;
        }
    }
    if (fsync(root_fd) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the new folder durable");
    return MW_OK;
}

void mw_clear_away(int at_fd, const char *path)
{
    struct mw_err ignored;
    if (mw_remove_tree(at_fd, path, &ignored) != MW_OK)
        return;
}
