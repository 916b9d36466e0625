/*
 * sys.h - the system calls that change or read the journal's files, as a table, so that tests can fail, record and replay each of them.
 *
 * Every function has the meaning, result and errno of the call of that name. Nothing in this room changes a file by another way.
 */
#ifndef MW_JOURNAL_SYS_H
#define MW_JOURNAL_SYS_H

#include <sys/types.h>

struct mw_journal_sys {
    int (*openat)(int dir_fd, const char *path, int flags, mode_t mode);
    int (*mkdirat)(int dir_fd, const char *path, mode_t mode);
    ssize_t (*pread)(int fd, void *memory, size_t size_bytes, off_t offset);
    ssize_t (*pwrite)(int fd, const void *memory, size_t size_bytes, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t size_bytes);
    int (*fallocate)(int fd, int mode, off_t offset, off_t size_bytes);
    int (*renameat)(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
    int (*unlinkat)(int dir_fd, const char *path, int flags);
};

extern const struct mw_journal_sys mw_journal_sys_real;

#endif
