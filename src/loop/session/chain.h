/*
 * chain.h - a journey given inline: workflows one after the other, each a run of its own.
 *
 * Owns:     the sequence and its limit (limits.def). It stops at the first run that does not complete.
 * Does not: make a build or a draft, take turns inside a run, open or end the trace.
 * Errors:   mw_chain_check refuses before anything is written: MW_E_INPUT no list of names, MW_E_LIMIT, MW_E_MISSING no such workflow.
 * Resume:   replaying its events is enough.
 */
#ifndef MW_CHAIN_H
#define MW_CHAIN_H

#include "defs/world.h"

struct mw_chain {
    struct mw_item item;
    struct mw_str workflows; /* TRACE: the names, a JSON array */
    uint32_t step;           /* steps begun */
};

/* What the caller asks for can be begun: the names as a JSON array in out's arena. False: refused. catalogue may be NULL. */
bool mw_chain_check(const struct mw_catalogue *catalogue, const struct mw_request *request,
                    struct mw_out *out, struct mw_str *ret_workflows);
/* START_CHAIN, and NOTE_ENDED of one of its runs. */
void mw_chain_decide(const struct mw_world *world, const struct mw_request *request,
                     struct mw_out *out);
void mw_chain_apply(struct mw_world *world, const struct mw_event *event);
void mw_chain_dump_item(const struct mw_item *item, struct mw_buf *buf);

#endif
