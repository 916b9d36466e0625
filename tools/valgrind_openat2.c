/*
 * valgrind_openat2.c - openat2 for a valgrind that does not know it: preloaded, for the tests alone.
 *
 * Stands before the C library's `syscall`. The system is asked first; only what answers ENOSYS is done here, one name of the path after the
 * other, for the flags that the program uses: no way out of the folder (EXDEV) and through no link (ELOOP). Another `resolve` is EINVAL.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KNOWN (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

static int refused(int folder, int failure)
{
    if (folder >= 0)
        (void)close(folder);
    errno = failure;
    return -1;
}

/* A folder on the way, never a link. */
static int step(int folder, const char *name)
{
    int next = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (next < 0)
        return refused(folder, errno);
    (void)close(folder);
    if (fstat(next, &info) != 0)
        return refused(next, errno);
    if (!S_ISDIR(info.st_mode))
        return refused(next, S_ISLNK(info.st_mode) ? ELOOP : ENOTDIR);
    return next;
}

static int walk(int root_fd, const char *path, const struct open_how *how)
{
    char copy[PATH_MAX], *rest = copy;
    int depth = 0;
    if ((how->resolve & ~(unsigned long long)KNOWN) != 0 || !(how->resolve & RESOLVE_BENEATH) ||
        !(how->resolve & RESOLVE_NO_SYMLINKS))
        return refused(-1, EINVAL);
    if (path[0] == '\0')
        return refused(-1, ENOENT);
    if (strlen(path) >= sizeof(copy))
        return refused(-1, ENAMETOOLONG);
    if (path[0] == '/')
        return refused(-1, EXDEV);
    strcpy(copy, path);
    int folder = openat(root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -1;
    for (;;) {
        size_t len = strcspn(rest, "/"), blank = strspn(rest + len, "/");
        int last = rest[len] == '\0' || rest[len + blank] == '\0';
        int must_be_folder = rest[len] == '/';
        rest[len] = '\0';
        depth += strcmp(rest, "..") == 0 ? -1 : strcmp(rest, ".") == 0 ? 0 : 1;
        if (depth < 0)
            return refused(folder, EXDEV);
        if (last) {
            int flags = (int)how->flags | O_NOFOLLOW | (must_be_folder ? O_DIRECTORY : 0);
            int fd = openat(folder, rest, flags, (mode_t)how->mode);
            int failure = errno;
            (void)close(folder);
            errno = failure;
            return fd;
        }
        folder = step(folder, rest);
        if (folder < 0)
            return -1;
        rest += len + blank;
    }
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long words[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(list, long);
    va_end(list);
    if (real == NULL)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long result = real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    if (number != SYS_openat2 || result >= 0 || errno != ENOSYS)
        return result;
    return walk((int)words[0], (const char *)words[1], (const struct open_how *)words[2]);
}
