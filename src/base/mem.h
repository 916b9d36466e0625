/*
 * mem.h - the core's memory: blocks by size class out of one region that the host reserves (the configured ceiling).
 *
 * Owns:     the region's book-keeping. Blocks are made to measure: multiples of 8 bytes up to 256, above that eight sizes to each doubling.
 *           A freed block goes to its class's free list; one of 4 KiB and more is cut up for small ones before anything fresh is taken.
 * Does not: ask the system for memory, move anything, or know what lies in a block.
 * KEEP lifetime: mw_mem_alloc / mw_mem_free. TRACE lifetime: an mw_pool, a chain of blocks given back whole.
 * Limits:   a region of at most 32 GiB; places in it are kept as 32-bit numbers of 8 bytes.
 */
#ifndef MW_MEM_H
#define MW_MEM_H

#include "base/str.h"

#define MW_MEM_CLASS_COUNT 256u
#define MW_MEM_LARGE_BYTES 65536u

struct mw_mem {
    char *region; /* borrowed */
    size_t size_bytes;
    bool
        zeroed; /* what was never handed out is zeros: it is not written, so not backed, before somebody does */
    size_t fresh_at;        /* everything below was handed out once */
    size_t used_bytes;      /* in blocks that are out now */
    size_t cut_at, cut_end; /* what is left of a block that came back and is being cut up */
    size_t spare_bytes;     /* in large blocks that came back */
    size_t
        ceiling_bytes; /* room counts up to here, and what came back is cut up before more is taken; 0: the whole region */
    uint64_t filled[MW_MEM_CLASS_COUNT / 64]; /* a bit for each free list that is not empty */
    void *free_lists[MW_MEM_CLASS_COUNT];
};

void mw_mem_init(struct mw_mem *mem, void *region, size_t size_bytes);
/* Zeroed block of at least size_bytes, aligned to 8. Never NULL: the core checks mw_mem_room before a step. */
void *mw_mem_alloc(struct mw_mem *mem, size_t size_bytes);
void mw_mem_free(struct mw_mem *mem, void *block,
                 size_t size_bytes); /* the size it was asked with; NULL is fine */
/* What a block of so many bytes takes. */
size_t mw_mem_block_bytes(size_t size_bytes);
/* Bytes that are still to be had in blocks of MW_MEM_LARGE_BYTES and less: fresh ones, and large ones that came back. */
size_t mw_mem_room(const struct mw_mem *mem);

/* Blocks grow with the pool, so that a small one wastes little and a large one asks seldom. */
struct mw_pool {
    uint32_t block; /* where the newest lies; owned, and so are those that it leads to; 0: none */
    uint32_t at;    /* structs are laid from the front, text from the back */
    uint32_t end;
    uint32_t total_bytes;
};

void *mw_pool_alloc(struct mw_pool *pool, struct mw_mem *mem,
                    size_t size_bytes); /* zeroed, 8-aligned */
/* Of text: not aligned. */
struct mw_str mw_pool_copy(struct mw_pool *pool, struct mw_mem *mem, struct mw_str s);
/* So many bytes are asked for next, in parts: they get one block if the newest has no room. */
void mw_pool_reserve(struct mw_pool *pool, struct mw_mem *mem, size_t size_bytes);
void mw_pool_release(struct mw_pool *pool, struct mw_mem *mem);

/* A text in KEEP memory that several hold; it goes with the last of them. */
struct mw_shared {
    uint32_t holders;
    uint32_t len;
    char bytes[];
};

/* Held once. NULL for the empty text, which nobody has to let go. */
struct mw_shared *mw_shared_make(struct mw_mem *mem, struct mw_str s);
struct mw_shared *mw_shared_hold(struct mw_shared *shared); /* once more; NULL is fine */
void mw_shared_drop(struct mw_mem *mem, struct mw_shared *shared);
struct mw_str mw_shared_str(const struct mw_shared *shared);
struct mw_shared *mw_shared_of(struct mw_str s); /* whose text mw_shared_str gave */

/*
 * A hash table of things in KEEP or TRACE memory by number (never 0): each begins with its number, eight bytes, which stays as it is while
 * the thing is in the table. Iteration is by slot; removal keeps the others findable.
 */
struct mw_table {
    uint64_t *slots; /* owned; low half of the number, and where it lies; 0: empty */
    char *region;    /* borrowed */
    uint32_t cap;
    uint32_t count;
};

void *mw_table_get(const struct mw_table *table, uint64_t key); /* NULL when absent */
void mw_table_put(struct mw_table *table, struct mw_mem *mem, void *value);
void mw_table_remove(struct mw_table *table, uint64_t key);
void mw_table_free(struct mw_table *table, struct mw_mem *mem);
/* For i from 0 to table->cap. NULL: nothing in this slot. */
void *mw_table_at(const struct mw_table *table, uint32_t slot);

/* Numbers alone (never 0), in KEEP memory. */
struct mw_set {
    uint64_t *keys; /* owned; 0: empty */
    uint32_t cap;
    uint32_t count;
};

bool mw_set_has(const struct mw_set *set, uint64_t key);
void mw_set_add(struct mw_set *set, struct mw_mem *mem, uint64_t key);

#endif
