/* sys.c - the real system behind the table. */
#include "journal/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    /* A pipe in a file's place is no file: who waited for its other end waited for ever. */
    return openat(dir_fd, path, flags | O_CLOEXEC | O_NONBLOCK, mode);
}

const struct mw_journal_sys mw_journal_sys_real = {
    .openat = real_openat,
    .mkdirat = mkdirat,
    .pread = pread,
    .pwrite = pwrite,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .fallocate = fallocate,
    .renameat = renameat,
    .unlinkat = unlinkat,
};
