#include "cli/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

/* What the machine does when nothing of ours is in between. Machines differ by a hundred times; a ratio to these says more than a number. */

static double since_s(int64_t from_ns)
{
    return (double)(mw_now_monotonic_ns() - from_ns) / 1e9;
}

enum mw_rc mw_bench_syncs(const char *folder, size_t size_bytes, double seconds, double *ret_rate,
                          struct mw_err *err)
{
    mw_autofree char *path = mw_heap_format("%s/millwright-bench-disk-%ld", folder, (long)getpid());
    mw_autofree char *block = mw_heap_alloc(size_bytes + 1);
    mw_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make '%s'", path);
    (void)unlink(path); /* it goes with us */
    memset(block, 'x', size_bytes);
    int64_t from_ns = mw_now_monotonic_ns();
    uint64_t count = 0;
    off_t at = 0;
    do {
        if (pwrite(fd, block, size_bytes, at) != (ssize_t)size_bytes || fdatasync(fd) != 0)
            return MW_FAIL_SYS(err, MW_E_IO, "write and sync in '%s'", folder);
        at += (off_t)size_bytes;
        count++;
    } while (since_s(from_ns) < seconds);
    *ret_rate = (double)count / since_s(from_ns);
    return MW_OK;
}

static enum mw_rc spawn_true(struct mw_err *err)
{
    extern char **environ;
    char *argv[] = {(char[]){"true"}, NULL};
    pid_t pid;
    int failed = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);
    return failed == 0 ? MW_OK : mw_fail(err, MW_E_IO, failed, "start /bin/true");
}

enum mw_rc mw_bench_spawns(double seconds, double *ret_rate, struct mw_err *err)
{
    long at_once = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t from_ns = mw_now_monotonic_ns();
    uint64_t ended = 0;
    long running = 0;
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && since_s(from_ns) < seconds) {
        while (rc == MW_OK && running < (at_once > 0 ? at_once : 1)) {
            rc = spawn_true(err);
            running += rc == MW_OK ? 1 : 0;
        }
        if (wait(NULL) > 0) {
            running--;
            ended++;
        }
    }
    double elapsed_s = since_s(from_ns);
    while (running > 0 && wait(NULL) > 0)
        running--;
    *ret_rate = (double)ended / elapsed_s;
    return rc;
}

static void answer_each_byte(int fd)
{
    char byte;
    while (read(fd, &byte, 1) == 1)
        if (write(fd, &byte, 1) != 1)
            break;
}

enum mw_rc mw_bench_round_trip(double seconds, double *ret_us, struct mw_err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make a pair of sockets");
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        answer_each_byte(ends[1]);
        _exit(0);
    }
    (void)close(ends[1]); /* the child's */
    mw_autoclose int fd = ends[0];
    if (child < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "fork");
    int64_t from_ns = mw_now_monotonic_ns();
    uint64_t count = 0;
    char byte = 'x';
    while (since_s(from_ns) < seconds && write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1)
        count++;
    *ret_us = since_s(from_ns) * 1e6 / (double)(count > 0 ? count : 1);
    (void)shutdown(fd, SHUT_RDWR); /* the child reads the end */
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return MW_OK;
}

enum mw_rc mw_bench_machine(struct mw_bench *bench, struct mw_err *err)
{
    static const struct {
        const char *name;
        size_t size_bytes;
    } appends[] = {{"appends of 512 bytes, each synced", 512},
                   {"appends of 64 KiB, each synced", 65536}};
    double value = 0;
    enum mw_rc rc = MW_OK;
    for (size_t i = 0; rc == MW_OK && i < MW_COUNT(appends); i++) {
        rc = mw_bench_syncs(bench->folder, appends[i].size_bytes, bench->seconds / 2, &value, err);
        if (rc == MW_OK)
            (void)mw_bench_note(bench, "machine", 1, appends[i].name, "/s", value);
    }
    if (rc == MW_OK)
        rc = mw_bench_spawns(bench->seconds / 2, &value, err);
    if (rc == MW_OK)
        (void)mw_bench_note(bench, "machine", 1, "programs started", "/s", value);
    if (rc == MW_OK)
        rc = mw_bench_round_trip(bench->seconds / 4, &value, err);
    if (rc == MW_OK)
        (void)mw_bench_note(bench, "machine", 1, "round trip over a socket", "us", value);
    return rc;
}
