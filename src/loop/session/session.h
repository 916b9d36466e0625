/*
 * session.h - loop 2: the builder session of a workspace. Journeys of workflows, builds, versions of artifacts, promotion.
 *
 * Owns:     the sequence of a journey, the build's record and state, lineage, what may be accepted and promoted.
 * Does not: take turns inside a workflow, write a file, choose an agent.
 * Resume:   replaying its events is enough. A workspace holds one app; its builds stay (KEEP).
 */
#ifndef MW_SESSION_H
#define MW_SESSION_H

#include "defs/world.h"

enum mw_build_state {
    MW_BUILD_BUILDING,
    MW_BUILD_DRAFT,
    MW_BUILD_CURRENT,
    MW_BUILD_SUPERSEDED,
    MW_BUILD_REJECTED,
    MW_BUILD_FAILED,
    MW_BUILD_CANCELLED,
    MW_BUILD_STALE, /* a draft whose upstream families were replaced by a later version */
    MW_BUILD_STATE_COUNT
};

struct mw_build {
    mw_seq journey; /* item; its wire id is the build id */
    mw_seq trace;
    mw_seq session;
    struct mw_str build_id; /* all KEEP */
    struct mw_str app_id;
    struct mw_str registry_id;
    struct mw_str bundle_sha256;
    struct mw_str path;
    uint64_t version; /* of the app; 0 until drafted */
    uint64_t file_count;
    uint64_t size_bytes;
    uint32_t families; /* artifacts drafted */
    uint8_t state;     /* enum mw_build_state */
    bool registered;
    bool validated;
    bool promoted;
};

/* The journey as an item: its place in the sequence. */
struct mw_journey {
    struct mw_item item;
    uint32_t def;
    uint32_t step;
    uint32_t build; /* index */
};

struct mw_session {
    struct mw_build *builds; /* KEEP */
    uint32_t build_count;
    uint32_t build_cap;
    uint32_t current;       /* index + 1; 0: none accepted */
    uint32_t promoted;      /* index + 1 of what stands in the app root; 0: nothing */
    uint32_t promoted_last; /* the one before: where rollback goes */
    struct mw_str
        promoted_sha256;    /* KEEP: of the tree that the last promotion left in the app root */
    mw_seq promotion;       /* ask that is open; 0: none */
    uint32_t promoting;     /* index + 1 */
    mw_seq session;         /* BuilderSessionOpened; 0: none yet */
    struct mw_str app_id;   /* KEEP; empty until the first build is registered */
    struct mw_str app_name; /* KEEP; as the first build was called */
    uint64_t version_last;
};

void mw_session_decide(const struct mw_world *world, const struct mw_session *session,
                       const struct mw_request *request, struct mw_out *out);
void mw_session_apply(struct mw_world *world, struct mw_session *session,
                      const struct mw_event *event);
/* An open trace whose intent and journey are these very ones, still on its way or waiting for review; 0: none. */
mw_seq mw_session_same_intent(const struct mw_world *world, const struct mw_session *session,
                              struct mw_str intent_sha256, struct mw_str journey);
/* The build that is on its way (one at a time); NULL: none. */
const struct mw_build *mw_session_building(const struct mw_session *session);
const struct mw_build *mw_session_build_of(const struct mw_session *session, mw_seq trace);
const char *mw_build_state_name(enum mw_build_state state);
void mw_session_dump(const struct mw_session *session, struct mw_buf *buf);
/* What the state hash leaves out. */
void mw_session_dump_left(const struct mw_session *session, struct mw_buf *buf);
void mw_session_dump_item(const struct mw_item *item, struct mw_buf *buf);

#endif
