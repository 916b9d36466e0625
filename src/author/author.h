/*
 * author.h - what people write in files, as a tape: JSON or YAML by the file's ending, and errors that an editor can jump to.
 *
 * Does not: open files (the caller has the text), or know what the tape should hold.
 */
#ifndef MW_AUTHOR_H
#define MW_AUTHOR_H

#include "base/json.h"

/* True when mw_author_read knows the ending of path: .json, .yaml or .yml. */
bool mw_author_knows(struct mw_str path);

/*
 * Reads text as what path's ending says. Errors begin "PATH:LINE:COLUMN: "; a path with another ending is MW_E_USAGE.
 * The tape's strings point into text or the arena: both must outlive it.
 */
MW_MUST enum mw_rc mw_author_read(struct mw_arena *arena, struct mw_str path, struct mw_str text,
                                  struct mw_tape *ret_tape, struct mw_err *err);

#endif
