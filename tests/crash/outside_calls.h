/*
 * outside_calls.h - calls of the C library that do not go through the journal's table and have to fail once all the same, by the linker: a test
 * that includes this names them in its .wraps.
 */
#ifndef MW_OUTSIDE_CALLS_H
#define MW_OUTSIDE_CALLS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static struct {
    long at;
    long calls;
    int error;
    bool hit;
} outside;

/* The at-th of them from now on fails with error; 0: none does. */
static inline void strike_outside_at(long at, int error)
{
    outside.at = at;
    outside.calls = 0;
    outside.error = error;
    outside.hit = false;
}

static bool strikes_outside(void)
{
    if (outside.at == 0 || ++outside.calls != outside.at)
        return false;
    outside.hit = true;
    errno = outside.error;
    return true;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    return strikes_outside() ? -1 : __real_flock(fd, operation);
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    return strikes_outside() ? NULL : __real_fdopendir(fd);
}

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder)
{
    return strikes_outside() ? NULL : __real_readdir(folder);
}

/* What somebody else does just before a folder is listed, until it says that it was this one. NULL: nothing. */
static bool (*before_listing)(int folder_fd) __attribute__((unused));

/* Of a folder that is opened once more, to be listed: everything else is opened through the table. */
int __real_openat(int folder_fd, const char *path, int flags, ...);
int __wrap_openat(int folder_fd, const char *path, int flags, ...);
int __wrap_openat(int folder_fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (strcmp(path, ".") == 0 && before_listing != NULL && before_listing(folder_fd))
        before_listing = NULL;
    if (strcmp(path, ".") == 0 && strikes_outside())
        return -1;
    return __real_openat(folder_fd, path, flags, mode);
}

#endif
