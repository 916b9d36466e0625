/* lock.c - one writer a journal. */
#include "journal/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define LOCK_LINE_BYTES 80
#define LOCK_TRIES_MAX                                                                             \
    100 /* each lost to somebody who replaced the file in between, or who has not said yet who it is */
#define LOCK_WAIT_NS (10L * 1000 * 1000)

struct lock_line {
    uint64_t pid;
    uint64_t epoch;
};

static struct lock_line read_line(int fd);
static void put_line(uint64_t pid, uint64_t epoch, char ret_text[LOCK_LINE_BYTES]);
static int write_line(const struct mw_journal_sys *sys, int fd, uint64_t pid, uint64_t epoch);
static uint64_t holder_of(int fd);
static void wait_a_little(void);

enum mw_rc mw_lock_take(const struct mw_journal_sys *sys, int side_fd, int *ret_fd,
                        uint64_t *ret_epoch, struct mw_err *err)
{
    for (int tries = 0; tries < LOCK_TRIES_MAX; tries++) {
        int fd = sys->openat(side_fd, MW_LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (fd < 0)
            return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "open the journal's lock");
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int failed = errno;
            uint64_t pid = holder_of(fd);
            (void)close(fd); /* nothing was written */
            if (failed != EWOULDBLOCK)
                return mw_fail(err, MW_E_IO, failed, "lock the journal");
            if (pid == 0 && tries + 1 < LOCK_TRIES_MAX) {
                wait_a_little(); /* who took it just now has not written yet who it is */
                continue;
            }
            if (pid == 0)
                return MW_FAIL(err, MW_E_CONFLICT, "the journal is held by another process");
            return MW_FAIL(err, MW_E_CONFLICT, "the journal is held by process %lu",
                           (unsigned long)pid);
        }
        if (mw_lock_is_of_name(fd, side_fd, MW_LOCK_FILE)) {
            *ret_epoch = read_line(fd).epoch;
            *ret_fd = fd;
            return MW_OK;
        }
        (void)close(fd); /* nothing was written */
    }
    return MW_FAIL(err, MW_E_CONFLICT, "the journal's lock file keeps being replaced");
}

enum mw_rc mw_lock_note(const struct mw_journal_sys *sys, int fd, uint64_t epoch,
                        struct mw_err *err)
{
    if (write_line(sys, fd, (uint64_t)getpid(), epoch) != 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "write the journal's lock");
    if (sys->fdatasync(fd) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the journal's lock durable");
    return MW_OK;
}

void mw_lock_release(const struct mw_journal_sys *sys, int fd, uint64_t epoch)
{
    if (epoch > 0)
        (void)write_line(sys, fd, 0,
                         epoch); /* only a courtesy: the lock itself says who holds it */
    (void)close(fd);             /* lets go */
}

bool mw_lock_is_of_name(int fd, int dir_fd, const char *name)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

enum mw_rc mw_journal_rc_of(int sys_errno)
{
    if (sys_errno == ENOSPC || sys_errno == EDQUOT || sys_errno == EFBIG)
        return MW_E_FULL;
    if (sys_errno == EROFS || sys_errno == EACCES || sys_errno == EPERM)
        return MW_E_DENIED;
    return MW_E_IO;
}

/* Of one spelling: sscanf would take a sign, which makes the next epoch smaller than any before it. */
static struct lock_line read_line(int fd)
{
    char text[LOCK_LINE_BYTES + 1] = {0}, again[LOCK_LINE_BYTES];
    struct lock_line line = {0};
    if (pread(fd, text, LOCK_LINE_BYTES, 0) != LOCK_LINE_BYTES ||
        sscanf(text, "{\"lock\":1,\"pid\":%18" SCNu64 ",\"epoch\":%18" SCNu64 "}", &line.pid,
               &line.epoch) != 2)
        return (struct lock_line){0};
    put_line(line.pid, line.epoch, again);
    return memcmp(text, again, sizeof again) == 0 ? line : (struct lock_line){0};
}

static void put_line(uint64_t pid, uint64_t epoch, char ret_text[LOCK_LINE_BYTES])
{
    int length = snprintf(ret_text, LOCK_LINE_BYTES,
                          "{\"lock\":1,\"pid\":%" PRIu64 ",\"epoch\":%" PRIu64 "}", pid, epoch);
    MW_ASSERT(length > 0 && length < LOCK_LINE_BYTES);
    memset(ret_text + length, ' ', LOCK_LINE_BYTES - (size_t)length);
    ret_text[LOCK_LINE_BYTES - 1] = '\n';
}

/* One line of a fixed length, so that it is replaced by one write. 0, or -1 with errno. */
static int write_line(const struct mw_journal_sys *sys, int fd, uint64_t pid, uint64_t epoch)
{
    char text[LOCK_LINE_BYTES];
    put_line(pid, epoch, text);
    ssize_t wrote = sys->pwrite(fd, text, sizeof text, 0);
    if (wrote >= 0 && wrote != (ssize_t)sizeof text) {
        errno = ENOSPC;
        return -1;
    }
    return wrote < 0 ? -1 : 0;
}

static void wait_a_little(void)
{
    const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
    (void)nanosleep(&wait, NULL); /* a shorter wait is one more try */
}

/* The kernel's own list first: what stands in the file may be the holder before this one. 0: not known. A container's list may be empty. */
static uint64_t holder_of(int fd)
{
    struct stat file;
    uint64_t noted = read_line(fd).pid;
    if (noted != 0 && kill((pid_t)noted, 0) != 0 && errno == ESRCH)
        noted = 0; /* it was killed, and somebody else holds it now */
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL || fstat(fd, &file) != 0) {
        if (locks != NULL)
            (void)fclose(locks); /* was only read */
        return noted;
    }
    char line[256];
    uint64_t found = 0;
    while (found == 0 && fgets(line, sizeof line, locks) != NULL) {
        long pid;
        unsigned long inode;
        unsigned device_major, device_minor;
        if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %ld %x:%x:%lu", &pid, &device_major,
                   &device_minor, &inode) == 4 &&
            pid > 0 && inode == file.st_ino && device_major == major(file.st_dev) &&
            device_minor == minor(file.st_dev))
            found = (uint64_t)pid;
    }
    (void)fclose(locks); /* was only read */
    return found != 0 ? found : noted;
}
