/*
 * mustache_parse.h - a template's text as a list of tags. Private to mustache.c.
 *
 * Owns:     delimiters, standalone lines, matching of sections. Does not: know data.
 */
#ifndef MW_MUSTACHE_PARSE_H
#define MW_MUSTACHE_PARSE_H

#include "base/arena.h"

enum mw_mustache_kind {
    MW_MUSTACHE_TEXT,
    MW_MUSTACHE_VALUE,
    MW_MUSTACHE_RAW_VALUE,
    MW_MUSTACHE_SECTION,
    MW_MUSTACHE_INVERTED,
    MW_MUSTACHE_PARTIAL
};

struct mw_mustache_tag {
    enum mw_mustache_kind kind;
    uint32_t line;
    uint32_t next;        /* after this tag and, for a section, its body */
    struct mw_str text;   /* borrowed: literal text, or the name */
    struct mw_str indent; /* borrowed: what stood before a partial on a line of its own */
};

struct mw_mustache_template {
    struct mw_str name;           /* borrowed */
    struct mw_mustache_tag *tags; /* arena */
    uint32_t tag_count;
};

/* The template points into text. MW_E_CONFIG: the text is no template, with its line. MW_E_LIMIT: the arena is full, or too deep. */
MW_MUST enum mw_rc mw_mustache_compile(struct mw_arena *arena, struct mw_str name,
                                       struct mw_str text,
                                       struct mw_mustache_template **ret_template,
                                       struct mw_err *err);

#endif
