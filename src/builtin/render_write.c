#include "builtin/render.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum mw_rc enter_folder(int *folder_fd, const char *name, struct mw_str path,
                               struct mw_err *err);

enum mw_rc mw_render_write(int root_fd, struct mw_str path, struct mw_str bytes, struct mw_err *err)
{
    if (!mw_path_is_plain(path))
        return MW_FAIL(err, MW_E_INPUT, "'%.*s' is not a plain path inside the folder",
                       MW_STR_ARG(path));
    mw_autoclose int folder_fd = dup(root_fd);
    if (folder_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "write '%.*s'", MW_STR_ARG(path));
    size_t from = 0;
    for (size_t slash; (slash = mw_str_find(path, '/', from)) != SIZE_MAX; from = slash + 1) {
        mw_autofree char *name = mw_heap_copy(mw_str_sub(path, from, slash - from));
        enum mw_rc rc = enter_folder(&folder_fd, name, path, err);
        if (rc != MW_OK)
            return rc;
    }
    mw_autofree char *leaf = mw_heap_copy(mw_str_sub(path, from, SIZE_MAX));
    mw_autoclose int fd =
        openat(folder_fd, leaf, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 && errno == ELOOP)
        return MW_FAIL(err, MW_E_DENIED, "'%.*s' is a symbolic link", MW_STR_ARG(path));
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "create '%.*s'", MW_STR_ARG(path));
    return mw_write_all(fd, bytes, err);
}

static enum mw_rc enter_folder(int *folder_fd, const char *name, struct mw_str path,
                               struct mw_err *err)
{
    if (mkdirat(*folder_fd, name, 0755) != 0 && errno != EEXIST)
        return MW_FAIL_SYS(err, MW_E_IO, "make the folder '%s' of '%.*s'", name, MW_STR_ARG(path));
    int inner_fd = openat(*folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner_fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return MW_FAIL(err, MW_E_DENIED, "'%s' in '%.*s' is no folder (or a symbolic link)", name,
                       MW_STR_ARG(path));
    if (inner_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open the folder '%s' of '%.*s'", name, MW_STR_ARG(path));
    (void)close(*folder_fd); /* opened for reading only: nothing can be lost */
    *folder_fd = inner_fd;
    return MW_OK;
}
