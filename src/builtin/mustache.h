/*
 * mustache.h - templates: the mustache specification 1.x (interpolation, sections, inverted, comments, delimiters, partials) over tapes.
 *
 * Data:     values of a tape. A name is looked up from the innermost context outwards; what no context holds is asked of `derive`, so a
 *           view can offer names that follow from the data. A dotted name looks up its first part so, the others in the result only.
 * False:    absent, null, false, the empty string, the empty array. 0 is true: a bound of 0 is a bound.
 * Escaping: {{x}} escapes & " < > for HTML; {{{x}}} and {{&x}} do not.
 * Refused, with template name and line: sections left open or closed wrongly, tags left open, a partial that is not there, text asked of
 * an array or object; with `strict` also text asked of a name that nothing has.
 * Memory:   the arena is scratch. What derive and partial put there lives until the item or partial that asked is rendered.
 * Limits:   MW_MUSTACHE_DEPTH_MAX sections and partials inside each other, output_max bytes, the arena (compiled templates lie there too).
 */
#ifndef MW_MUSTACHE_H
#define MW_MUSTACHE_H

#include "base/json.h"

#define MW_MUSTACHE_DEPTH_MAX 64

struct mw_mustache_value {
    const struct mw_tape *tape; /* borrowed; NULL: absent */
    uint32_t node;
};

/* One context of the stack. */
struct mw_mustache_frame {
    struct mw_mustache_value value;
    uint32_t index; /* in the array that the section goes through */
    uint32_t count; /* items of that array; 0: the context is no item */
    const struct mw_mustache_frame *outer;
};

struct mw_mustache {
    struct mw_arena *arena; /* borrowed */
    size_t output_max;
    bool strict;
    void *self; /* borrowed: handed to the two below */
    /* A name that no context holds. Gives absent when it means nothing; NULL: nothing is ever derived. */
    struct mw_mustache_value (*derive)(void *self, const struct mw_mustache_frame *stack,
                                       struct mw_str name);
    /* The text of a partial, in the arena or longer-lived; MW_E_MISSING: there is none. NULL: there are no partials. */
    enum mw_rc (*partial)(void *self, struct mw_str name, struct mw_str *ret_text,
                          struct mw_err *err);
};

/* Appends the rendered template to out. `name` is for errors. On failure what was appended so far is meaningless. */
MW_MUST enum mw_rc mw_mustache_render(const struct mw_mustache *mustache, struct mw_str name,
                                      struct mw_str text, const struct mw_mustache_frame *stack,
                                      struct mw_buf *out, struct mw_err *err);

/* What `name` (no dots) is in the contexts as they are written; absent when none holds it. */
struct mw_mustache_value mw_mustache_find(const struct mw_mustache_frame *stack,
                                          struct mw_str name);
bool mw_mustache_is_true(struct mw_mustache_value value);

#endif
