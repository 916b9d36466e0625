/*
 * bench_core.c - what one step of the core costs: whole lives of an app with stub answers, and their replay. No disk, no agents.
 *
 *   bench_core [BUILDS]     default 200: one app, version after version, in one journal
 * The simulator's rig gives definitions and answers; its oracle is not asked, because it would be what is measured.
 */
#include "life.h"

static double replay_all(struct rig *rig)
{
    struct mw_err err;
    rig_init_core(rig, &rig->shadow, 2);
    int64_t from_ns = bench_now_ns();
    for (size_t i = 0; i < rig->line_count; i++)
        if (mw_core_replay(&rig->shadow, rig_line(rig, i), &err) != MW_OK)
            fail_msg("record %zu: %s", i + 1, err.text);
    return (double)(bench_now_ns() - from_ns) / 1e9;
}

int main(int argc, char **argv)
{
    int builds = argc > 1 ? atoi(argv[1]) : 200;
    struct life life = {.rig = rig_new(),
                        .shape = {.auth = true, .services = 1, .use_cases = 4, .ports = 1}};
    struct rig *rig = life.rig;
    rig->quiet_dump = true;
    rig_begin(rig, "factory");
    rig_register_all(rig);
    /* What the preparation asked has nothing to do with a build. */
    rig->run_count = 0;
    size_t records = rig->line_count, bytes = rig->journal.len;
    int64_t from_ns = bench_now_ns();
    for (int i = 0; i < builds; i++)
        life_build(&life, "{\"prompt\":\"a notification service\",\"source\":\"bench\"}");
    double seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    records = rig->line_count - records;
    bytes = rig->journal.len - bytes;
    double per_build = (double)life.steps.count / builds;
    bench_sort(&life.steps);
    bench_sort(&life.parses);
    bench_tell("core", "step, median", bench_percentile_us(&life.steps, 50), "us", "");
    bench_tell("core", "step, 99 of 100", bench_percentile_us(&life.steps, 99), "us", "");
    bench_tell("core", "step, slowest", bench_percentile_us(&life.steps, 100), "us", "");
    bench_tell("core", "reading a request's JSON, median", bench_percentile_us(&life.parses, 50),
               "us", "");
    bench_tell("core", "steps a build", per_build, "", "four use cases, from prompt to promoted");
    bench_tell("core", "records a build", (double)records / builds, "", "");
    bench_tell("core", "journal a build", (double)bytes / builds / 1024.0, "KiB", "");
    bench_tell("core", "builds a second", builds / seconds, "/s",
               "one core, stub answers, no disk");
    double replay = replay_all(rig);
    bench_tell("core", "replay", (double)rig->line_count / replay, "records/s", "");
    bench_tell("core", "replay", (double)rig->journal.len / replay / 1048576.0, "MiB/s", "");
    bench_tell("core", "state after the builds", (double)rig->core.world.mem.used_bytes / 1048576.0,
               "MiB", "memory in use, all builds remembered");
    free(life.steps.items);
    free(life.parses.items);
    rig_free(rig);
    return 0;
}
