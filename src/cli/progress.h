/*
 * progress.h - a trail while it grows: a tree redrawn in place on a terminal, one line an event everywhere else.
 *
 * Owns:     what is drawn on standard error. Does not: read records (trail.h) or wait.
 */
#ifndef MW_CLI_PROGRESS_H
#define MW_CLI_PROGRESS_H

#include "cli/render.h"
#include "cli/trail.h"

struct mw_progress {
    bool live, color;
    unsigned drawn; /* lines on the screen now */
    unsigned frame;
    struct mw_buf out; /* owned */
};

void mw_progress_init(struct mw_progress *progress);
/* Plain: the line that this record is worth, or nothing. Live: nothing. Call after mw_trail_take. */
void mw_progress_record(struct mw_progress *progress, const struct mw_trail *trail,
                        const struct mw_tape *record);
/* Live: draws the tree again. now_us: wall clock. Plain: nothing. */
void mw_progress_draw(struct mw_progress *progress, const struct mw_trail *trail, int64_t now_us);
/* Takes the tree off the screen, so that something else can be said; the next draw puts it back. */
void mw_progress_clear(struct mw_progress *progress);
void mw_progress_free(struct mw_progress *progress);
/* The tree as text, rows at most; for tests too. */
void mw_progress_tree(struct mw_buf *out, const struct mw_trail *trail, int64_t now_us, bool color,
                      unsigned frame, unsigned width, unsigned rows, unsigned *ret_lines);

#endif
