/*
 * workflow.h - loop 1: one run of one workflow. Roles take turns; a turn asks for one task or one plan; its event says who is next.
 *
 * Owns:     turns, handoffs, the run's own limits (iterations, time); what the project remembers (memory.h).
 * Does not: sequence workflows, classify requests, touch files, know agents.
 * Resume:   replaying the run's events is enough.
 */
#ifndef MW_WORKFLOW_H
#define MW_WORKFLOW_H

#include "loop/workflow/memory.h"

struct mw_run {
    struct mw_item item;
    uint32_t def;       /* workflow's index in the trace's catalogue */
    uint32_t role;      /* MW_ROLE_NONE before the first turn */
    uint32_t iteration; /* turns started */
    mw_seq fact;        /* what the last turn ended with; 0: none */
};

void mw_workflow_decide(const struct mw_world *world, const struct mw_memory *memory,
                        const struct mw_request *request, struct mw_out *out);
void mw_workflow_apply(struct mw_world *world, struct mw_memory *memory,
                       const struct mw_event *event);
void mw_workflow_dump_item(const struct mw_item *item, struct mw_buf *buf);

#endif
