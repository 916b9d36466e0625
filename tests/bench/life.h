/*
 * life.h - whole lives of an app for the benches: prompt, plan, tasks, draft, accepted, promoted; stub answers, no disk, no agents.
 *
 * Owns:     the times of its steps. The rig (tests/sim/rig.h) gives definitions and answers; its oracle is not asked, because it would be
 *           what is measured.
 */
#ifndef MW_BENCH_LIFE_H
#define MW_BENCH_LIFE_H

#include "../sim/rig.h"

#include "bench.h"

struct life {
    struct rig *rig;
    struct rig_shape shape;
    struct bench_times steps;
    struct bench_times parses;
};

static inline void life_note_asks(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->core.ask_change_count; i++) {
        const struct mw_ask_change *change = &rig->core.ask_changes[i];
        const struct mw_ask *ask = mw_table_get(&rig->core.world.asks, change->seq);
        if (change->opened && ask != NULL) {
            assert_true(rig->run_count < RIG_RUNS_MAX);
            rig->runs[rig->run_count++] = (struct rig_run){
                .seq = ask->seq,
                .item = ask->item,
                .trace = ask->item != 0 ? mw_world_item(&rig->core.world, ask->item)->trace : 0,
                .opens = ask->opens,
                .agent_kind = ask->agent_kind};
        }
        for (uint32_t r = 0; !change->opened && r < rig->run_count; r++)
            if (rig->runs[r].seq == change->seq)
                rig->runs[r--] = rig->runs[--rig->run_count];
    }
}

static inline void life_step(struct life *life, enum mw_request_kind kind, const char *body,
                             mw_seq item, mw_seq fence)
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
    life_note_asks(rig);
}

static inline struct rig_run *life_oldest(struct rig *rig, enum mw_opens opens)
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

static inline void life_build(struct life *life, const char *prompt)
{
    struct rig *rig = life->rig;
    life_step(life, MW_REQ_SUBMIT_INTENT, prompt, 0, 0);
    for (;;) {
        const struct rig_run *more = life_oldest(rig, MW_OPENS_CONTINUE);
        const struct rig_run *run = life_oldest(rig, MW_OPENS_AGENT);
        const struct rig_run *stage = life_oldest(rig, MW_OPENS_STAGE);
        if (more != NULL)
            life_step(life, MW_REQ_CONTINUE, NULL, 0, more->seq);
        else if (run != NULL)
            life_step(life, MW_REQ_RECORD_RESULT,
                      rig_good_body(rig, rig_task(rig, run->item), &life->shape), run->item,
                      run->seq);
        else if (stage != NULL)
            life_step(life, MW_REQ_RECORD_STAGE, rig_stage_body(), stage->item, stage->seq);
        else
            break;
    }
    life_step(life, MW_REQ_ACCEPT_DRAFT, NULL, 0, 0);
    life_step(life, MW_REQ_PROMOTE, NULL, 0, 0);
    const struct rig_run *stage = life_oldest(rig, MW_OPENS_STAGE);
    assert_non_null(stage);
    life_step(life, MW_REQ_RECORD_PROMOTION, rig_stage_body(), stage->item, stage->seq);
}

#endif
