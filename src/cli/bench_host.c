#include "cli/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* A workspace of its own for every measurement, on the disk that is measured, with the host that every user gets. */

#define ARENA_BYTES ((size_t)64 << 20)

enum mw_rc mw_bench_host_start(const struct mw_bench *bench, struct mw_bench_host *ret_host,
                               struct mw_err *err)
{
    struct mw_bench_host host = {.cli = {.ports = bench->cli->ports}};
    host.folder = mw_heap_format("%s/millwright-bench-XXXXXX", bench->folder);
    if (mkdtemp(host.folder) == NULL) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "make a folder in '%s'", bench->folder);
        mw_heap_free(host.folder);
        return rc;
    }
    mw_autofree char *hidden = mw_heap_format("%s/.millwright", host.folder);
    (void)setenv("MILLWRIGHT_FACTORY", bench->factory, 1); /* the host's only definitions */
    mw_heap_arena(&host.cli.arena, ARENA_BYTES);
    host.cli.workspace_flag = host.folder;
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, hidden, 0700, err);
    if (rc == MW_OK)
        rc = mw_cli_workspace(&host.cli, MW_WORKSPACE_EXISTS, err);
    if (rc == MW_OK)
        rc = mw_link_ensure(&host.cli, err);
    if (rc != MW_OK) {
        mw_bench_host_end(&host);
        return rc;
    }
    *ret_host = host;
    return MW_OK;
}

void mw_bench_host_end(struct mw_bench_host *host)
{
    struct mw_err err;
    bool was;
    if (host->cli.workspace != NULL && mw_link_stop(&host->cli, true, &was, &err) != MW_OK)
        (void)fprintf(stderr, "millwright: %s\n", err.text);
    if (mw_remove_tree(AT_FDCWD, host->folder, &err) != MW_OK)
        (void)fprintf(stderr, "millwright: %s\n", err.text);
    mw_heap_free(host->cli.workspace);
    mw_heap_free(host->folder);
    mw_heap_arena_free(&host->cli.arena);
    host->cli.workspace = NULL;
    host->folder = NULL;
}

static int64_t number(const struct mw_tape *tape, const char *key)
{
    return mw_node_int(tape, mw_node_get(tape, 0, key), 0);
}

enum mw_rc mw_bench_stats_read(struct mw_bench_host *host, struct mw_bench_stats *ret_stats,
                               struct mw_err *err)
{
    struct mw_tape tape;
    mw_arena_reset(&host->cli.arena);
    enum mw_rc rc = mw_link_view_tape(&host->cli, "stats", NULL, 0, &tape, err);
    if (rc != MW_OK)
        return rc;
    *ret_stats = (struct mw_bench_stats){
        .durable = number(&tape, "durable"),
        .journal_bytes = number(&tape, "journalBytes"),
        .frames = number(&tape, "frames"),
        .syncs = number(&tape, "fileSyncs") + number(&tape, "folderSyncs") +
                 number(&tape, "headSyncs") + number(&tape, "blobSyncs"),
        .cpu_us = number(&tape, "cpuUs"),
        .children_cpu_us = number(&tape, "childrenCpuUs"),
        .state_bytes = number(&tape, "stateBytes"),
    };
    return MW_OK;
}

static uint64_t disk_bytes; /* of the walk that goes on: nftw has no other way to say it */

static int add_blocks(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)path;
    (void)type;
    (void)place;
    disk_bytes += (uint64_t)info->st_blocks * 512;
    return 0;
}

uint64_t mw_bench_disk_bytes(const struct mw_bench_host *host)
{
    disk_bytes = 0;
    (void)nftw(host->folder, add_blocks, 16, FTW_PHYS); /* what went meanwhile is not counted */
    return disk_bytes;
}

/* ---- its process ---- */

enum mw_rc mw_bench_host_pid(struct mw_bench_host *host, pid_t *ret_pid, struct mw_err *err)
{
    struct mw_str hello;
    struct mw_tape tape;
    mw_arena_reset(&host->cli.arena);
    if (!mw_link_running(&host->cli, &hello))
        return MW_FAIL(err, MW_E_IO, "the host does not answer");
    enum mw_rc rc = mw_json_parse(&host->cli.arena, hello, &tape, err);
    if (rc == MW_OK)
        *ret_pid = (pid_t)mw_node_int(&tape, mw_node_get(&tape, 0, "pid"), 0);
    return rc;
}

enum mw_rc mw_bench_host_kill(struct mw_bench_host *host, struct mw_err *err)
{
    pid_t pid;
    enum mw_rc rc = mw_bench_host_pid(host, &pid, err);
    if (rc != MW_OK)
        return rc;
    (void)kill(pid, SIGKILL);
    host->cli.host_checked = false;
    for (int fd = 0; fd >= 0;) {
        fd = mw_link_connect(&host->cli);
        if (fd >= 0)
            (void)close(fd);               /* it was the one that dies */
        (void)waitpid(pid, NULL, WNOHANG); /* perhaps a child of ours */
    }
    return MW_OK;
}

enum mw_rc mw_bench_host_stop(struct mw_bench_host *host, struct mw_err *err)
{
    bool was;
    mw_arena_reset(&host->cli.arena);
    return mw_link_stop(&host->cli, true, &was, err);
}

enum mw_rc mw_bench_host_again(struct mw_bench_host *host, double *ret_ms, struct mw_err *err)
{
    mw_arena_reset(&host->cli.arena);
    int64_t from_ns = mw_now_monotonic_ns();
    enum mw_rc rc = mw_link_ensure(&host->cli, err);
    *ret_ms = (double)(mw_now_monotonic_ns() - from_ns) / 1e6;
    return rc;
}
