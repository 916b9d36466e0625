/*
 * refine.h - loop 3: one scoped repair, bounded in attempts. It asks for its task by the same path as everybody.
 *
 * Owns:     the unit and its own limits (limits.def).
 * Does not: classify requests, choose re-entry points, promote.
 * Resume:   replaying the unit's events is enough.
 */
#ifndef MW_REFINE_H
#define MW_REFINE_H

#include "defs/world.h"

struct mw_unit {
    struct mw_item item;
    uint32_t task_def;
    uint32_t document; /* where its payload stands: `item` in the task's expressions */
    uint32_t node;
    uint32_t tries;
};

void mw_refine_decide(const struct mw_world *world, const struct mw_request *request,
                      struct mw_out *out);
void mw_refine_apply(struct mw_world *world, const struct mw_event *event);
void mw_refine_dump_item(const struct mw_item *item, struct mw_buf *buf);

#endif
