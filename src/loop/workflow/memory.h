/*
 * memory.h - what the project remembers: short texts that every task of an agent carries, until somebody removes them.
 *
 * Owns:     the entries (KEEP) and their limits (limits.def): how many, how long each, how long all together.
 * Does not: write them into a task (the host does), read or weigh them.
 * Errors:   MW_E_INPUT no text or another kind; MW_E_LIMIT; MW_E_MISSING no entry has that id (any more).
 * Resume:   replaying its events is enough.
 */
#ifndef MW_MEMORY_H
#define MW_MEMORY_H

#include "defs/world.h"

enum mw_memory_kind {
    MW_MEMORY_LEARNING,
    MW_MEMORY_PREFERENCE,
    MW_MEMORY_META,
    MW_MEMORY_KIND_COUNT
};

struct mw_memory_entry {
    mw_seq id;          /* of the record that added it */
    struct mw_str text; /* KEEP */
    uint8_t kind;       /* enum mw_memory_kind */
};

struct mw_memory {
    struct mw_memory_entry *entries; /* KEEP; oldest first */
    uint32_t count;
    uint32_t cap;
    size_t text_bytes; /* of all texts */
};

const char *mw_memory_kind_name(enum mw_memory_kind kind);
void mw_memory_decide(const struct mw_memory *memory, const struct mw_request *request,
                      struct mw_out *out);
void mw_memory_apply(struct mw_world *world, struct mw_memory *memory,
                     const struct mw_event *event);
/* A line an entry; nothing when nothing is remembered. */
void mw_memory_dump(const struct mw_memory *memory, struct mw_buf *buf);

#endif
