/*
 * fuzz.h - what the fuzz targets share: the entry point's prototype, an arena that is reset and not returned, bytes taken one after another.
 * Header only, because every file of tests/fuzz is a program of its own.
 */
#ifndef MW_TEST_FUZZ_H
#define MW_TEST_FUZZ_H

#include "posix/heap.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. Beyond its end there are zeros, so that every input means something. */
struct fuzz_bytes {
    const uint8_t *data;
    size_t size;
};

static inline MW_UNUSED uint8_t fuzz_byte(struct fuzz_bytes *bytes)
{
    if (bytes->size == 0)
        return 0;
    bytes->size--;
    return *bytes->data++;
}

static inline MW_UNUSED uint32_t fuzz_u32(struct fuzz_bytes *bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value = value << 8 | fuzz_byte(bytes);
    return value;
}

static inline MW_UNUSED uint32_t fuzz_below(struct fuzz_bytes *bytes, uint32_t bound)
{
    return bound <= 256 ? fuzz_byte(bytes) % bound : fuzz_u32(bytes) % bound;
}

/* The rest of the input, in memory of exactly its size: reading past it is seen.. */
static inline MW_UNUSED struct mw_str fuzz_rest(const uint8_t *data, size_t size, char **ret_memory)
{
    *ret_memory = mw_heap_alloc(size > 0 ? size : 1);
    if (size > 0)
        memcpy(*ret_memory, data, size);
    return (struct mw_str){*ret_memory, size};
}

/* Begins anew. The block is lazily backed, so its size costs nothing. */
static inline MW_UNUSED void fuzz_arena(struct mw_arena *arena, size_t size_bytes)
{
    if (arena->memory == NULL)
        mw_heap_arena(arena, size_bytes);
    mw_arena_reset(arena);
}

#endif
