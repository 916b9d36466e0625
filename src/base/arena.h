/*
 * arena.h - bump allocation in one block of memory that somebody else owns.
 *
 * Running out is sticky: every later allocation gives NULL, and the owner checks `exhausted` once at the end.
 * Nothing is freed singly; reset gives all of it back.
 */
#ifndef MW_ARENA_H
#define MW_ARENA_H

#include "base/buf.h"

struct mw_arena {
    char *memory; /* borrowed */
    size_t size_bytes;
    size_t used_bytes;
    bool exhausted;
};

void mw_arena_init(struct mw_arena *arena, void *memory, size_t size_bytes);
void mw_arena_reset(struct mw_arena *arena);
/* Zeroed, aligned to 16. NULL when exhausted. */
void *mw_arena_alloc(struct mw_arena *arena, size_t size_bytes);
/* The same, not zeroed: for what is written before it is read. */
void *mw_arena_alloc_unset(struct mw_arena *arena, size_t size_bytes);
#define mw_arena_array(arena, type, count)                                                         \
    ((type *)mw_arena_alloc_array((arena), sizeof(type), (count)))
void *mw_arena_alloc_array(struct mw_arena *arena, size_t item_bytes, size_t count);
/* A terminated copy; the empty string when exhausted. */
struct mw_str mw_arena_copy(struct mw_arena *arena, struct mw_str s);
/* printf subset of mw_fail: %s %d %u %ld %lu %zu %c %.*s %08x-style hex. */
struct mw_str mw_arena_format(struct mw_arena *arena, const char *format, ...) MW_PRINTF(2, 3);

/* Writing text of unknown length without a copy: the buffer is what is left of the arena (not zeroed); nothing else may be allocated until
 * the text is kept. An overflowed buffer keeps nothing and marks the arena exhausted. */
void mw_arena_text_begin(struct mw_arena *arena, struct mw_buf *ret_buf);
struct mw_str mw_arena_text_keep(struct mw_arena *arena, const struct mw_buf *buf);

#endif
