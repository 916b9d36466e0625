#include "cli/bench.h"

#include <ftw.h>
#include <sys/stat.h>

/* A workspace of its own for every measurement, on the disk that is measured, and what its host says of itself. */

enum mw_rc mw_bench_trial(const struct mw_bench *bench, struct mw_trial *ret_host,
                          struct mw_err *err)
{
    return mw_trial_start(bench->cli->ports, bench->folder, "millwright-bench", bench->factory,
                          ret_host, err);
}

static int64_t number(const struct mw_tape *tape, const char *key)
{
    return mw_node_int(tape, mw_node_get(tape, 0, key), 0);
}

enum mw_rc mw_bench_stats_read(struct mw_trial *host, struct mw_bench_stats *ret_stats,
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

uint64_t mw_bench_disk_bytes(const struct mw_trial *host)
{
    disk_bytes = 0;
    (void)nftw(host->folder, add_blocks, 16, FTW_PHYS); /* what went meanwhile is not counted */
    return disk_bytes;
}
