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

#endif
