/*
 * view.h - what can be asked of the journal: pure folds over records handed in, each giving one JSON document.
 *
 * Owns:     the meaning of each view (docs/views.md): status, builds, build, artifacts, plan, traces, trace, groups, group, coordinators,
 *           coordinator, items, agents, review, why, show, failure, document, route, events, run, chains, chain, memory,
 *           letters, letter.
 * Does not: read files, keep anything between calls, or know the core's memory: the records alone say everything (JR-11).
 * The same function answers in the host (records up to the durable one) and offline in the command line.
 */
#ifndef MW_VIEW_H
#define MW_VIEW_H

#include "base/json.h"
#include "msg/msg.h"

struct mw_view_source {
    void *self;
    /* Hands over every record in order. event's strings are valid during the call only. */
    enum mw_rc (*each)(void *self,
                       enum mw_rc (*on_record)(void *context, const struct mw_event *event,
                                               struct mw_str line, struct mw_err *err),
                       void *context, struct mw_err *err);
    /* A body by its hash, in the arena; MW_E_MISSING when it is not there (any more). */
    enum mw_rc (*blob)(void *self, struct mw_arena *arena, struct mw_str sha256,
                       struct mw_str *ret_bytes, struct mw_err *err);
};

#define MW_VIEW_ARGS_MAX 16
struct mw_view_query {
    struct mw_str name;
    struct mw_str keys[MW_VIEW_ARGS_MAX];
    struct mw_str values[MW_VIEW_ARGS_MAX];
    uint32_t count;
};

/* The value of an argument, or empty. */
struct mw_str mw_view_arg(const struct mw_view_query *query, const char *key);
/* Appends one JSON object. MW_E_USAGE: no such view, or an argument is missing; MW_E_MISSING: nothing with that id; MW_E_WAITING is never used. */
MW_MUST enum mw_rc mw_view_run(struct mw_arena *arena, const struct mw_view_query *query,
                               const struct mw_view_source *source, struct mw_buf *out,
                               struct mw_err *err);

#endif
