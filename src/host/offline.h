/*
 * offline.h - a workspace's views and records without its host: what the journal's files say, read beside whoever writes them.
 *
 * Owns:     finding journal and blobs, the memory of one question.
 * Does not: lock, write or make anything, in a folder of any kind; talk to the host. A missing journal is an empty one.
 * Errors:   those of the view (view/view.h); MW_E_CORRUPT, MW_E_CONFIG, MW_E_IO of the journal (port/journal.h).
 */
#ifndef MW_OFFLINE_H
#define MW_OFFLINE_H

#include "port/journal.h"
#include "view/view.h"

/* Appends the view's JSON object. out should be able to grow (posix/heap.h). */
MW_MUST enum mw_rc mw_offline_view(const char *workspace, const struct mw_view_query *query,
                                   struct mw_buf *out, struct mw_err *err);
/* What there is of a snapshot (host/snapshot.h). */
struct mw_offline_snapshot {
    bool found;
    bool usable; /* a start would begin from it; else why it would not */
    bool agrees; /* the state that it gives is the one that every record up to there gives */
    uint64_t seq;
    uint64_t records;
    char why[256];
};

/* Replays every record into a core of its own, which asks nobody anything. The digest of the state that it comes to: the host that wrote
 * the journal has the same (GET /v1/views/state). MW_E_CORRUPT: a record that this release cannot have written there. */
MW_MUST enum mw_rc mw_offline_state(const char *workspace, char ret_sha256[65], uint64_t *ret_seq,
                                    struct mw_offline_snapshot *ret_snapshot, struct mw_err *err);
/* The same of the records up to until_seq: the host shows what is durable and nothing else (P01). */
MW_MUST enum mw_rc mw_offline_view_until(const char *workspace, const struct mw_view_query *query,
                                         uint64_t until_seq, struct mw_buf *out,
                                         struct mw_err *err);
/* Every whole record, in order. */
MW_MUST enum mw_rc mw_offline_journal(const char *workspace, mw_journal_on_record on_record,
                                      void *context, struct mw_err *err);

/* poison.c: the record for which a host of this build stays read-only, because it ended three replays; 0: none. */
uint64_t mw_poison_look(const char *workspace);

#endif
