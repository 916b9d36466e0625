/*
 * poison.h - what ends the process each time it is taken up, found out by its death (P08, architecture 2.11).
 *
 * Owns:     one page, .millwright/deciding, mapped and shared with the kernel: it says which request is decided, or which record replayed,
 *           right now. What it says when a host starts is what the one before died of. A killed process leaves it as it is; a power cut may
 *           lose it, which costs one more death.
 * Does not: decide what is done about it (commit.c refuses, host.c stays read-only), or need the page: where it cannot be had, nothing is
 *           found out, and nothing else is missed.
 * Limits:   MW_POISON_REQUEST_DEATHS times for a request, MW_POISON_RECORD_DEATHS for a record; MW_POISON_SUSPECTS_MAX requests, the one
 *           with the fewest deaths gives way.
 */
#ifndef MW_HOST_POISON_H
#define MW_HOST_POISON_H

#include "host/internal.h"

#define MW_POISON_REQUEST_DEATHS 2u
#define MW_POISON_RECORD_DEATHS 3u
#define MW_POISON_SUSPECTS_MAX 16u
#define MW_POISON_PATH ".millwright/deciding"

/* Maps the page and counts what the host before died of. host->poison is owned. Needs the journal's lock. */
void mw_poison_open(struct mw_host *host);
void mw_poison_close(struct mw_host *host);
/* Around a step, and around one record of the replay. */
void mw_poison_decides(struct mw_host *host, const struct mw_post *post);
void mw_poison_decided(struct mw_host *host);
void mw_poison_replays(struct mw_host *host, mw_seq seq);
void mw_poison_replayed(struct mw_host *host);
/* The whole journal was replayed: no record of it is under suspicion any more. */
void mw_poison_replay_over(struct mw_host *host);
/* True: this request ended the process twice, and is not decided again by this build. */
bool mw_poison_is_quarantined(const struct mw_host *host, const struct mw_post *post);
/* The record that ended three replays of this build and still stands in the journal as it stood; 0: none. */
mw_seq mw_poison_record(const struct mw_host *host);
/* Then: the last record that can be read. */
mw_seq mw_poison_last_seq(const struct mw_host *host);

#endif
