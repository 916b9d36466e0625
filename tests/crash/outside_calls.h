/*
 * outside_calls.h - calls of the C library that do not go through the journal's table and have to fail once all the same, by the linker: a test
 * that includes this names them in its .wraps.
 */
#ifndef MW_OUTSIDE_CALLS_H
#define MW_OUTSIDE_CALLS_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>

/* The at-th of them fails with error; 0: none does. */
static struct {
    long at;
    long calls;
    int error;
    bool hit;
} outside;

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

#endif
