/*
 * bench_core.c - what one step of the core costs: whole lives of an app with stub answers, and their replay. No disk, no agents.
 *
 *   bench_core [BUILDS]     default 200: one app, version after version, in one journal
 * The simulator's rig gives definitions and answers; its oracle is not asked, because it would be what is measured.
 */
#include "../sim/rig.h"

#include "bench.h"

struct life {
    struct rig *rig;
    struct rig_shape shape;
    struct bench_times steps;
    struct bench_times parses;
};

static void note_asks(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->core.ask_change_count; i++) {
        const struct mw_ask_change *change = &rig->core.ask_changes[i];
        const struct mw_ask *ask = mw_table_get(&rig->core.world.asks, change->seq);
        if (change->opened && ask != NULL) {
            assert_true(rig->run_count < RIG_RUNS_MAX);
            rig->runs[rig->run_count++] = (struct rig_run){.seq = ask->seq,
                                                           .item = ask->item,
                                                           .trace = ask->trace,
                                                           .opens = ask->opens,
                                                           .agent_kind = ask->agent_kind};
        }
        for (uint32_t r = 0; !change->opened && r < rig->run_count; r++)
            if (rig->runs[r].seq == change->seq)
                rig->runs[r--] = rig->runs[--rig->run_count];
    }
}

static void step(struct life *life, enum mw_request_kind kind, const char *body, mw_seq item,
                 mw_seq fence)
{
    struct rig *rig = life->rig;
    struct mw_tape tape;
    struct mw_err err;
    char sha256[MW_SHA256_HEX];
    struct mw_step_result result;
    mw_arena_reset(&rig->body);
    struct mw_str text = mw_arena_copy(&rig->body, mw_str_of(body != NULL ? body : "{}"));
    mw_sha256_hex(text, sha256);
    if (kind == MW_REQ_SUBMIT_INTENT)
        (void)rig_keep_document(rig, text);
    int64_t from_ns = bench_now_ns();
    if (mw_json_parse(&rig->body, text, &tape, &err) != MW_OK)
        fail_msg("%s", err.text);
    int64_t parsed_ns = bench_now_ns();
    rig->now_us += 1000;
    struct mw_request request = {.kind = kind,
                                 .actor = MW_STR("user:bench"),
                                 .now_us = rig->now_us,
                                 .entropy = rig_random(rig),
                                 .body = &tape,
                                 .body_sha256 = mw_str_of(sha256),
                                 .body_hash = mw_str_of(sha256),
                                 .item = item,
                                 .fence = fence};
    size_t from = rig->journal.len;
    int64_t step_ns = bench_now_ns();
    mw_core_step(&rig->core, &request, &rig->journal, &result);
    bench_add(&life->steps, bench_now_ns() - step_ns);
    bench_add(&life->parses, parsed_ns - from_ns);
    if (result.rc != MW_OK)
        fail_msg("%s: %.*s", mw_request_info(kind)->name, MW_STR_ARG(result.refusal));
    rig_note_lines(rig, from);
    note_asks(rig);
}

static struct rig_run *oldest(struct rig *rig, enum mw_opens opens)
{
    struct rig_run *found = NULL;
    for (uint32_t i = 0; i < rig->run_count; i++) {
        struct rig_run *run = &rig->runs[i];
        bool person = run->opens == MW_OPENS_AGENT && run->agent_kind == MW_AGENT_HUMAN;
        if (run->opens == opens && !person && (found == NULL || run->seq < found->seq))
            found = run;
    }
    return found;
}

static void build_once(struct life *life, const char *prompt)
{
    struct rig *rig = life->rig;
    step(life, MW_REQ_SUBMIT_INTENT, prompt, 0, 0);
    for (;;) {
        const struct rig_run *more = oldest(rig, MW_OPENS_CONTINUE);
        const struct rig_run *run = oldest(rig, MW_OPENS_AGENT);
        const struct rig_run *stage = oldest(rig, MW_OPENS_STAGE);
        if (more != NULL)
            step(life, MW_REQ_CONTINUE, NULL, 0, more->seq);
        else if (run != NULL)
            step(life, MW_REQ_RECORD_RESULT,
                 rig_good_body(rig, rig_task(rig, run->item), &life->shape), run->item, run->seq);
        else if (stage != NULL)
            step(life, MW_REQ_RECORD_STAGE, rig_stage_body(), stage->item, stage->seq);
        else
            break;
    }
    step(life, MW_REQ_ACCEPT_DRAFT, NULL, 0, 0);
    step(life, MW_REQ_PROMOTE, NULL, 0, 0);
    const struct rig_run *stage = oldest(rig, MW_OPENS_STAGE);
    assert_non_null(stage);
    step(life, MW_REQ_RECORD_PROMOTION, rig_stage_body(), stage->item, stage->seq);
}

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
        build_once(&life, "{\"prompt\":\"a notification service\",\"source\":\"bench\"}");
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
