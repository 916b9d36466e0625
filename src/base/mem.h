/*
 * mem.h - the core's memory: blocks by size class out of one region that the host reserves (the configured ceiling).
 *
 * Owns:     the region's book-keeping. A block is a power of two, 64 bytes and up; a freed block goes to its class's free list.
 * Does not: ask the system for memory, move anything, or know what lies in a block.
 * KEEP lifetime: mw_mem_alloc / mw_mem_free. TRACE lifetime: an mw_pool, a chain of blocks given back whole.
 */
#ifndef MW_MEM_H
#define MW_MEM_H

#include "base/str.h"

#define MW_MEM_CLASS_COUNT 40
#define MW_MEM_LARGE_BYTES 65536u

struct mw_mem {
    char *region; /* borrowed */
    size_t size_bytes;
    bool
        zeroed; /* what was never handed out is zeros: it is not written, so not backed, before somebody does */
    size_t fresh_at;   /* everything below was handed out once */
    size_t used_bytes; /* in blocks that are out now */
    size_t
        spare_bytes; /* in large blocks that came back: they are cut up when nothing fresh is left */
    size_t
        ceiling_bytes; /* room counts up to here, and what came back is cut up before more is taken; 0: the whole region */
    void *free_lists[MW_MEM_CLASS_COUNT];
};

void mw_mem_init(struct mw_mem *mem, void *region, size_t size_bytes);
/* Zeroed block of at least size_bytes. Never NULL: the core checks mw_mem_room before a step. */
void *mw_mem_alloc(struct mw_mem *mem, size_t size_bytes);
void mw_mem_free(struct mw_mem *mem, void *block,
                 size_t size_bytes); /* the size it was asked with; NULL is fine */
/* Bytes that are still to be had in blocks of MW_MEM_LARGE_BYTES and less: fresh ones, and large ones that came back. */
size_t mw_mem_room(const struct mw_mem *mem);

struct mw_pool {
    void *blocks; /* newest first; owned */
    size_t at;
    size_t end;
    size_t total_bytes;
};

void *mw_pool_alloc(struct mw_pool *pool, struct mw_mem *mem,
                    size_t size_bytes); /* zeroed, 16-aligned */
struct mw_str mw_pool_copy(struct mw_pool *pool, struct mw_mem *mem, struct mw_str s);
void mw_pool_release(struct mw_pool *pool, struct mw_mem *mem);

/* A hash table from a number (never 0) to a pointer, in KEEP memory. Iteration is by slot; removal keeps the others findable. */
struct mw_table {
    struct mw_table_slot {
        uint64_t key; /* 0: empty */
        void *value;  /* borrowed */
    } * slots;        /* owned */
    uint32_t cap;     /* power of two or 0 */
    uint32_t count;
};

void *mw_table_get(const struct mw_table *table, uint64_t key); /* NULL when absent */
void mw_table_put(struct mw_table *table, struct mw_mem *mem, uint64_t key, void *value);
void mw_table_remove(struct mw_table *table, uint64_t key);
void mw_table_free(struct mw_table *table, struct mw_mem *mem);

#endif
