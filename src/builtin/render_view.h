/*
 * render_view.h - what templates of a stack can say beyond the payload's own names: names that follow from the data (docs/stacks.md).
 *
 * Owns:     the derived names. Knows no stack, no task type, no language.
 * Limits:   MW_RENDER_DERIVE_MAX derivations inside each other (`a_snake_upper` has two).
 */
#ifndef MW_RENDER_VIEW_H
#define MW_RENDER_VIEW_H

#include "builtin/mustache.h"

#define MW_RENDER_DERIVE_MAX 8

/* The derive function of struct mw_mustache. self is the struct mw_arena that derived values are made in. */
struct mw_mustache_value mw_render_derive(void *self, const struct mw_mustache_frame *stack,
                                          struct mw_str name);

#endif
