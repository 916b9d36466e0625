/*
 * watch.h - has anything in these folders changed since they were last read? One answer, at the price of one system call.
 *
 * Owns:     an inotify descriptor. Does not: read the files, say what changed.
 * Promise:  "quiet" is said only when nothing changed. Where the system cannot tell (another kind of file system, files that are links or
 *           have a second name), it is never said.
 */
#ifndef MW_HOST_WATCH_H
#define MW_HOST_WATCH_H

#include "base/base.h"

/* All zero: nothing was begun. */
struct mw_watch {
    bool open;
    int fd;      /* owned while open */
    bool trusts; /* the system tells every change of what is watched */
};

/* From here on changes are noticed: call it before reading. In each root, the folders named; those that are not there yet count too. */
void mw_watch_begin(struct mw_watch *watch, const char *const *roots, size_t root_count,
                    const char *const *folders, size_t folder_count);
/* False: something changed since begin, or it cannot be known. */
bool mw_watch_is_quiet(const struct mw_watch *watch);
void mw_watch_end(struct mw_watch *watch);

#endif
