/* core_runs.h - a core with definitions of tests/sim/definitions, all their agents known, and what is asked of the world just now. */
#ifndef CORE_RUNS_H
#define CORE_RUNS_H

#include "../sim/rig.h"

static inline struct rig *begin(const char *definitions)
{
    struct rig *rig = rig_new();
    rig_begin(rig, definitions);
    rig_register_all(rig);
    return rig;
}

/* The first open ask of that kind; NULL: there is none. */
static inline const struct rig_run *run_that(const struct rig *rig, enum mw_opens opens)
{
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].opens == opens)
            return &rig->runs[i];
    return NULL;
}

/* A draft of its own of the set "gate", validated. */
static inline void draft_version(struct rig *rig, const char *prompt)
{
    char body[100];
    const struct rig_run *run;
    snprintf(body, sizeof body, "{\"prompt\":\"%s\"}", prompt);
    (void)rig_do(rig, MW_REQ_SUBMIT_INTENT, body, 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    run = run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                 rig_result_body(rig, MW_STR("PlanSketched"), MW_STR("{\"app\":\"gate\"}")),
                 run->item, run->seq);
    run = run_that(rig, MW_OPENS_STAGE);
    (void)rig_do(rig, MW_REQ_RECORD_STAGE, rig_stage_body(), run->item, run->seq);
    run = run_that(rig, MW_OPENS_AGENT);
    (void)rig_do(rig, MW_REQ_RECORD_RESULT,
                 "{\"type\":\"SiteChecked\",\"payload\":{\"result\":\"Passed\"}}", run->item,
                 run->seq);
}

/* The same, accepted. */
static inline void accept_version(struct rig *rig, const char *prompt)
{
    draft_version(rig, prompt);
    (void)rig_do(rig, MW_REQ_ACCEPT_DRAFT, "{}", 0, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
}

#endif
