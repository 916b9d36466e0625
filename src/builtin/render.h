/*
 * render.h - a stack's templates to files: the generator behind every task type of factory/stacks/NAME/stack.yaml (docs/stacks.md).
 *
 * Owns:     reading the stack, choosing its files, the contexts that templates see, the answer.
 * Does not: know a language or a task type; run anything; keep anything between tasks. Same payload, same bytes.
 */
#ifndef MW_RENDER_H
#define MW_RENDER_H

#include "builtin/builtin.h"

#define MW_RENDER_TEMPLATE_BYTES_MAX ((size_t)1 << 20) /* one template */
#define MW_RENDER_FILE_BYTES_MAX ((size_t)16 << 20)    /* one rendered file */
#define MW_RENDER_FILES_MAX 4096                       /* files of one task */

/*
 * Writes bytes to path beneath root_fd and makes its folders. Never outside: a path that is not plain is MW_E_INPUT, a symbolic link on
 * the way is MW_E_DENIED.
 */
MW_MUST enum mw_rc mw_render_write(int root_fd, struct mw_str path, struct mw_str bytes,
                                   struct mw_err *err);

#endif
