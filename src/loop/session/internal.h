/*
 * internal.h - between the files of this room only.
 */
#ifndef MW_SESSION_INTERNAL_H
#define MW_SESSION_INTERNAL_H

#include "loop/session/session.h"

/* lineage.c: accept, reject, promote, rollback. */
void mw_lineage_decide(const struct mw_world *world, const struct mw_session *session,
                       const struct mw_request *request, struct mw_out *out);
/* session.c */
void mw_build_fail(const struct mw_world *world, const struct mw_session *session,
                   const struct mw_journey *journey, struct mw_str reason,
                   const struct mw_event *cause, struct mw_out *out);
void mw_journey_end(const struct mw_world *world, const struct mw_journey *journey,
                    struct mw_str outcome, struct mw_str reason, struct mw_out *out);

#endif
