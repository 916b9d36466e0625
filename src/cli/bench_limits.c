#include "cli/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

#define SPAWNS_MAX 64 /* at once */

/* What the machine does when nothing of ours is in between. Machines differ by a hundred times; a ratio to these says more than a number. */

static double since_s(int64_t from_ns)
{
    return (double)(mw_now_monotonic_ns() - from_ns) / 1e9;
}

static double cpu_us(const struct rusage *used)
{
    return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1e6 +
           (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
}

static double own_cpu_us(void)
{
    struct rusage used = {0};
    (void)getrusage(RUSAGE_SELF, &used);
    return cpu_us(&used);
}

enum mw_rc mw_bench_syncs(const char *folder, size_t size_bytes, double seconds,
                          struct mw_bench_syncs *ret_syncs, struct mw_err *err)
{
    mw_autofree char *path = mw_heap_format("%s/millwright-bench-disk-%ld", folder, (long)getpid());
    mw_autofree char *block = mw_heap_alloc(size_bytes + 1);
    mw_autofree double *latency_us = mw_heap_alloc(MW_BENCH_SYNCS_KEPT * sizeof(*latency_us));
    mw_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make '%s'", path);
    (void)unlink(path); /* it goes with us */
    memset(block, 'x', size_bytes);
    double before_us = own_cpu_us();
    int64_t from_ns = mw_now_monotonic_ns();
    uint32_t kept = 0;
    uint64_t count = 0;
    off_t at = 0;
    do {
        int64_t begun_ns = mw_now_monotonic_ns();
        if (pwrite(fd, block, size_bytes, at) != (ssize_t)size_bytes || fdatasync(fd) != 0)
            return MW_FAIL_SYS(err, MW_E_IO, "write and sync in '%s'", folder);
        if (kept < MW_BENCH_SYNCS_KEPT)
            latency_us[kept++] = (double)(mw_now_monotonic_ns() - begun_ns) / 1e3;
        at += (off_t)size_bytes;
        count++;
    } while (since_s(from_ns) < seconds);
    *ret_syncs = (struct mw_bench_syncs){.rate = (double)count / since_s(from_ns),
                                         .cpu_us = (own_cpu_us() - before_us) / (double)count,
                                         .latency_us = latency_us,
                                         .kept_count = kept};
    latency_us = NULL;
    return MW_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double mw_bench_syncs_percentile_us(const struct mw_bench_syncs *syncs, uint32_t in_a_row,
                                    double percent)
{
    mw_autofree double *sums = mw_heap_alloc((syncs->kept_count + 1) * sizeof(*sums));
    uint32_t count = 0;
    MW_ASSERT(in_a_row > 0);
    for (uint32_t from = 0; from + in_a_row <= syncs->kept_count; from++, count++)
        for (uint32_t i = 0; i < in_a_row; i++)
            sums[count] += syncs->latency_us[from + i];
    if (count == 0) /* fewer than one row: what it would take */
        return 1e6 * in_a_row / syncs->rate;
    qsort(sums, count, sizeof(*sums), by_size);
    uint32_t at = (uint32_t)(count * percent / 100);
    return sums[at < count ? at : count - 1];
}

void mw_bench_syncs_free(struct mw_bench_syncs *syncs)
{
    mw_heap_free(syncs->latency_us);
    *syncs = (struct mw_bench_syncs){.rate = 0};
}

static enum mw_rc spawn_true(pid_t *ret_pid, struct mw_err *err)
{
    extern char **environ;
    char *argv[] = {(char[]){"true"}, NULL};
    int failed = posix_spawn(ret_pid, "/bin/true", NULL, NULL, argv, environ);
    return failed == 0 ? MW_OK : mw_fail(err, MW_E_IO, failed, "start /bin/true");
}

/* This one: others of our children, hosts that were measured among them, end meanwhile. */
static double end_of(pid_t pid)
{
    struct rusage used = {0};
    while (wait4(pid, NULL, 0, &used) < 0 && errno == EINTR)
        ;
    return cpu_us(&used);
}

enum mw_rc mw_bench_spawns(double seconds, struct mw_bench_limits *limits, struct mw_err *err)
{
    pid_t pids[SPAWNS_MAX];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t at_once = processors < 1            ? 1
                       : processors < SPAWNS_MAX ? (uint64_t)processors
                                                 : SPAWNS_MAX;
    uint64_t begun = 0, ended = 0;
    double used_us = 0, elapsed_s = 0;
    int64_t from_ns = mw_now_monotonic_ns();
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && (ended == 0 || since_s(from_ns) < seconds)) {
        if (begun - ended < at_once) {
            rc = spawn_true(&pids[begun % at_once], err);
            begun += rc == MW_OK ? 1 : 0;
            continue;
        }
        used_us += end_of(pids[ended++ % at_once]); /* the oldest first */
        elapsed_s = since_s(from_ns);
    }
    for (uint64_t i = ended; i < begun; i++)
        (void)end_of(pids[i % at_once]); /* begun too late to be counted */
    if (rc != MW_OK)
        return rc;
    limits->spawn_rate = (double)ended / elapsed_s;
    limits->spawn_ms = 1e3 * (double)at_once / limits->spawn_rate;
    limits->spawn_cpu_us = used_us / (double)ended;
    return MW_OK;
}

static void answer_each_byte(int fd)
{
    char byte;
    while (read(fd, &byte, 1) == 1)
        if (write(fd, &byte, 1) != 1)
            break;
}

enum mw_rc mw_bench_round_trip(double seconds, struct mw_bench_limits *limits, struct mw_err *err)
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
    double before_us = own_cpu_us();
    int64_t from_ns = mw_now_monotonic_ns();
    uint64_t count = 0;
    char byte = 'x';
    while (since_s(from_ns) < seconds && write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1)
        count++;
    double trips = (double)(count > 0 ? count : 1);
    limits->trip_us = since_s(from_ns) * 1e6 / trips;
    limits->trip_cpu_us = (own_cpu_us() - before_us) / trips;
    (void)shutdown(fd, SHUT_RDWR); /* the child reads the end */
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return MW_OK;
}

static enum mw_rc read_file(int folder_fd, const char *name, char *block, size_t block_bytes,
                            struct mw_err *err)
{
    mw_autoclose int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd >= 0 ? 1 : -1;
    while (got > 0)
        got = read(fd, block, block_bytes);
    return got == 0 ? MW_OK : MW_FAIL_SYS(err, MW_E_IO, "read the journal's '%s'", name);
}

enum mw_rc mw_bench_journal_read(const struct mw_trial *host, double *ret_ms, struct mw_err *err)
{
    static const size_t block_bytes = (size_t)1 << 20;
    mw_autofree char *path = mw_heap_format("%s/.millwright/journal", host->folder);
    mw_autofree char *block = mw_heap_alloc(block_bytes);
    int64_t from_ns = mw_now_monotonic_ns();
    DIR *list = opendir(path);
    if (list == NULL)
        return MW_FAIL_SYS(err, MW_E_IO, "list '%s'", path);
    enum mw_rc rc = MW_OK;
    for (struct dirent *entry; rc == MW_OK && (entry = readdir(list)) != NULL;)
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")))
            rc = read_file(dirfd(list), entry->d_name, block, block_bytes, err);
    (void)closedir(list); /* only read from */
    *ret_ms = since_s(from_ns) * 1e3;
    return rc;
}

static void note(struct mw_bench *bench, const char *name, const char *unit, double value)
{
    (void)mw_bench_note(bench, "machine", 1, name, unit, value);
}

enum mw_rc mw_bench_machine(struct mw_bench *bench, struct mw_err *err)
{
    static const struct {
        const char *name;
        size_t size_bytes;
    } appends[] = {{"appends of 512 bytes, each synced", 512},
                   {"appends of 64 KiB, each synced", 65536}};
    bool beside = bench->only != NULL && strcmp(bench->only, "machine") != 0;
    double seconds = beside ? bench->seconds / 8 : bench->seconds / 2;
    enum mw_rc rc = MW_OK;
    for (size_t i = 0; rc == MW_OK && i < MW_COUNT(appends); i++) {
        struct mw_bench_syncs syncs;
        rc = mw_bench_syncs(bench->folder, appends[i].size_bytes, seconds, &syncs, err);
        if (rc != MW_OK)
            break;
        note(bench, appends[i].name, "/s", syncs.rate);
        mw_bench_syncs_free(&syncs);
    }
    if (rc == MW_OK)
        rc = mw_bench_spawns(seconds, &bench->limits, err);
    if (rc == MW_OK)
        rc = mw_bench_round_trip(seconds / 2, &bench->limits, err);
    if (rc != MW_OK)
        return rc;
    note(bench, "programs started", "/s", bench->limits.spawn_rate);
    note(bench, "round trip over a socket", "us", bench->limits.trip_us);
    return MW_OK;
}
