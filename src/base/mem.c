#include "base/mem.h"

#include <string.h>

#define UNIT_BYTES 8u /* sizes and places are multiples of it */
#define SMALL_BYTES 256u
#define SMALL_COUNT (SMALL_BYTES / UNIT_BYTES)
#define STEPS 8u /* sizes to each doubling above the small ones */
#define CUT_BYTES                                                                                  \
    4096u /* what came back and is as large is cut up before anything fresh is taken */

/* ---- blocks ---- */

static unsigned class_of(size_t size_bytes)
{
    if (size_bytes <= SMALL_BYTES)
        return size_bytes > 0 ? (unsigned)((size_bytes - 1) / UNIT_BYTES) : 0;
    unsigned doubling = 55u - (unsigned)__builtin_clzll((unsigned long long)size_bytes - 1);
    size_t base = (size_t)SMALL_BYTES << doubling, step = base / STEPS;
    unsigned index = SMALL_COUNT + doubling * STEPS + (unsigned)((size_bytes - base - 1) / step);
    MW_ASSERT(index < MW_MEM_CLASS_COUNT);
    return index;
}

static size_t class_bytes(unsigned index)
{
    if (index < SMALL_COUNT)
        return (size_t)(index + 1) * UNIT_BYTES;
    size_t base = (size_t)SMALL_BYTES << ((index - SMALL_COUNT) / STEPS);
    return base + base / STEPS * ((index - SMALL_COUNT) % STEPS + 1);
}

size_t mw_mem_block_bytes(size_t size_bytes)
{
    return class_bytes(class_of(size_bytes));
}

void mw_mem_init(struct mw_mem *mem, void *region, size_t size_bytes)
{
    MW_ASSERT(((uintptr_t)region & 63) == 0);
    MW_ASSERT(size_bytes / UNIT_BYTES < UINT32_MAX);
    *mem = (struct mw_mem){.region = region, .size_bytes = size_bytes};
}

static size_t spare_bytes_of(unsigned index)
{
    return class_bytes(index) >= MW_MEM_LARGE_BYTES ? class_bytes(index) : 0;
}

static void put_back(struct mw_mem *mem, void *block, unsigned index)
{
    memcpy(block, &mem->free_lists[index], sizeof(void *));
    mem->free_lists[index] = block;
    mem->filled[index / 64] |= (uint64_t)1 << index % 64;
    mem->spare_bytes += spare_bytes_of(index);
}

static void *take_back(struct mw_mem *mem, unsigned index)
{
    void *block = mem->free_lists[index];
    memcpy(&mem->free_lists[index], block, sizeof(void *));
    if (mem->free_lists[index] == NULL)
        mem->filled[index / 64] &= ~((uint64_t)1 << index % 64);
    mem->spare_bytes -= spare_bytes_of(index);
    return block;
}

/* The smallest class from this one on that has a block; MW_MEM_CLASS_COUNT: none. */
static unsigned next_filled(const struct mw_mem *mem, unsigned index)
{
    for (unsigned word = index / 64; word < MW_COUNT(mem->filled); word++) {
        uint64_t bits = mem->filled[word];
        if (word == index / 64)
            bits &= UINT64_MAX << index % 64;
        if (bits != 0)
            return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return MW_MEM_CLASS_COUNT;
}

/* What is left of the block that is being cut up goes back in as few pieces as there are sizes for. */
static void end_cutting(struct mw_mem *mem)
{
    while (mem->cut_at < mem->cut_end) {
        size_t left_bytes = mem->cut_end - mem->cut_at;
        unsigned piece = class_of(left_bytes);
        if (class_bytes(piece) > left_bytes)
            piece--;
        put_back(mem, mem->region + mem->cut_at, piece);
        mem->cut_at += class_bytes(piece);
    }
}

/* The next bytes of the block that is being cut up, or of another one that came back and is so large. NULL: there is none. */
static void *cut(struct mw_mem *mem, size_t block_bytes, unsigned larger)
{
    if (mem->cut_end - mem->cut_at < block_bytes) {
        if (larger == MW_MEM_CLASS_COUNT)
            return NULL;
        char *block = take_back(mem, larger);
        end_cutting(mem);
        mem->cut_at = (size_t)(block - mem->region);
        mem->cut_end = mem->cut_at + class_bytes(larger);
    }
    mem->cut_at += block_bytes;
    return mem->region + mem->cut_at - block_bytes;
}

static size_t limit_of(const struct mw_mem *mem)
{
    return mem->ceiling_bytes > 0 && mem->ceiling_bytes < mem->size_bytes ? mem->ceiling_bytes
                                                                          : mem->size_bytes;
}

/* Nothing of this size came back: a part of something larger that did, while that is worth it or nothing fresh is left. */
static void *take_part(struct mw_mem *mem, unsigned index)
{
    size_t block_bytes = class_bytes(index);
    unsigned least = class_of(CUT_BYTES);
    void *block = NULL;
    if (block_bytes < MW_MEM_LARGE_BYTES)
        block = cut(mem, block_bytes, next_filled(mem, index < least ? least : index + 1));
    if (block == NULL && mem->fresh_at + block_bytes > limit_of(mem))
        block = cut(mem, block_bytes, next_filled(mem, index + 1));
    return block;
}

void *mw_mem_alloc(struct mw_mem *mem, size_t size_bytes)
{
    unsigned index = class_of(size_bytes);
    size_t block_bytes = class_bytes(index);
    bool clean = false;
    void *block = mem->free_lists[index] != NULL ? take_back(mem, index) : take_part(mem, index);
    if (block == NULL) {
        MW_ASSERT(block_bytes <=
                  mem->size_bytes -
                      mem->fresh_at); /* the core looked at the room before the step */
        block = mem->region + mem->fresh_at;
        mem->fresh_at += block_bytes;
        clean = mem->zeroed;
    }
    mem->used_bytes += block_bytes;
    return clean ? block : memset(block, 0, size_bytes);
}

void mw_mem_free(struct mw_mem *mem, void *block, size_t size_bytes)
{
    if (block == NULL)
        return;
    unsigned index = class_of(size_bytes);
    put_back(mem, block, index);
    MW_ASSERT(mem->used_bytes >= class_bytes(index));
    mem->used_bytes -= class_bytes(index);
}

size_t mw_mem_room(const struct mw_mem *mem)
{
    size_t limit = limit_of(mem);
    size_t cut_bytes = mem->cut_end - mem->cut_at;
    return (limit > mem->fresh_at ? limit - mem->fresh_at : 0) + mem->spare_bytes +
           (cut_bytes >= MW_MEM_LARGE_BYTES ? cut_bytes : 0);
}

/* Where something lies, in 32 bits; never 0. */
static uint32_t place_of(const char *region, const void *memory)
{
    return (uint32_t)((size_t)((const char *)memory - region) / UNIT_BYTES) + 1;
}

static void *at_place(char *region, uint32_t place)
{
    return region + (size_t)(place - 1) * UNIT_BYTES;
}

/* ---- pools ---- */

struct pool_block {
    uint32_t older; /* its place; 0: this is the first */
    uint32_t size_bytes;
};

/* A quarter of what there is more, so that little lies idle at the end. What is large is so large that it is cut up for others later. */
static void pool_grow(struct mw_pool *pool, struct mw_mem *mem, size_t want_bytes)
{
    size_t size_bytes = pool->total_bytes / 4;
    if (size_bytes > MW_MEM_LARGE_BYTES)
        size_bytes = MW_MEM_LARGE_BYTES;
    if (size_bytes < want_bytes + sizeof(struct pool_block))
        size_bytes = want_bytes + sizeof(struct pool_block);
    if (want_bytes > MW_MEM_LARGE_BYTES / 2 && size_bytes < MW_MEM_LARGE_BYTES)
        size_bytes = MW_MEM_LARGE_BYTES;
    size_bytes = mw_mem_block_bytes(size_bytes);
    MW_ASSERT(size_bytes <= UINT32_MAX - pool->total_bytes);
    struct pool_block *block = mw_mem_alloc(mem, size_bytes);
    block->older = pool->block;
    block->size_bytes = (uint32_t)size_bytes;
    pool->block = place_of(mem->region, block);
    pool->at = sizeof(struct pool_block);
    pool->end = (uint32_t)size_bytes;
    pool->total_bytes += (uint32_t)size_bytes;
}

void mw_pool_reserve(struct mw_pool *pool, struct mw_mem *mem, size_t size_bytes)
{
    if (size_bytes > pool->end - pool->at)
        pool_grow(pool, mem, size_bytes);
}

void *mw_pool_alloc(struct mw_pool *pool, struct mw_mem *mem, size_t size_bytes)
{
    size_t rounded = (size_bytes + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES;
    mw_pool_reserve(pool, mem, rounded);
    pool->at += (uint32_t)rounded;
    return (char *)at_place(mem->region, pool->block) + pool->at - rounded;
}

struct mw_str mw_pool_copy(struct mw_pool *pool, struct mw_mem *mem, struct mw_str s)
{
    if (s.len == 0)
        return MW_STR_NONE;
    mw_pool_reserve(pool, mem, s.len);
    pool->end -= (uint32_t)s.len;
    char *copy = (char *)at_place(mem->region, pool->block) + pool->end;
    memcpy(copy, s.ptr, s.len);
    return (struct mw_str){copy, s.len};
}

void mw_pool_release(struct mw_pool *pool, struct mw_mem *mem)
{
    for (uint32_t place = pool->block; place != 0;) {
        struct pool_block *block = at_place(mem->region, place);
        place = block->older;
        mw_mem_free(mem, block, block->size_bytes);
    }
    *pool = (struct mw_pool){0};
}

/* ---- shared texts ---- */

struct mw_shared *mw_shared_make(struct mw_mem *mem, struct mw_str s)
{
    MW_ASSERT(s.len < UINT32_MAX);
    if (s.len == 0)
        return NULL;
    struct mw_shared *shared = mw_mem_alloc(mem, sizeof(*shared) + s.len);
    shared->holders = 1;
    shared->len = (uint32_t)s.len;
    memcpy(shared->bytes, s.ptr, s.len);
    return shared;
}

struct mw_shared *mw_shared_hold(struct mw_shared *shared)
{
    if (shared != NULL)
        shared->holders++;
    return shared;
}

void mw_shared_drop(struct mw_mem *mem, struct mw_shared *shared)
{
    if (shared == NULL)
        return;
    MW_ASSERT(shared->holders > 0);
    if (--shared->holders == 0)
        mw_mem_free(mem, shared, sizeof(*shared) + shared->len);
}

struct mw_str mw_shared_str(const struct mw_shared *shared)
{
    return shared != NULL ? (struct mw_str){shared->bytes, shared->len} : MW_STR_NONE;
}

struct mw_shared *mw_shared_of(struct mw_str s)
{
    return s.len > 0 ? (struct mw_shared *)(uintptr_t)(s.ptr - offsetof(struct mw_shared, bytes))
                     : NULL;
}

/* ---- tables ---- */

#define CAP_LEAST 16u

/* Numbers are dense, slots should not be: Fibonacci hashing, and the high bits scaled to any size. */
static uint32_t home_of(uint32_t key, uint32_t cap)
{
    uint32_t spread = (uint32_t)((key * (uint64_t)0x9e3779b97f4a7c15u) >> 32);
    return (uint32_t)(((uint64_t)spread * cap) >> 32);
}

/* Half as much again, and all of the block that this takes. */
static uint32_t larger_cap(uint32_t cap)
{
    size_t wanted = cap < CAP_LEAST ? CAP_LEAST : (size_t)cap + cap / 2;
    size_t larger = mw_mem_block_bytes(wanted * sizeof(uint64_t)) / sizeof(uint64_t);
    MW_ASSERT(larger < UINT32_MAX);
    return (uint32_t)larger;
}

static bool is_crowded(uint32_t count, uint32_t cap)
{
    return (uint64_t)count * 4 >= (uint64_t)cap * 3;
}

static void *value_of(const struct mw_table *table, uint64_t slot)
{
    return at_place(table->region, (uint32_t)slot);
}

static bool is_of(const struct mw_table *table, uint64_t slot, uint64_t key)
{
    uint64_t number;
    if ((uint32_t)(slot >> 32) != (uint32_t)key)
        return false;
    memcpy(&number, value_of(table, slot), sizeof(number));
    return number == key;
}

/* Where it is, or would be. */
static uint32_t slot_of(const struct mw_table *table, uint64_t key)
{
    uint32_t at = home_of((uint32_t)key, table->cap);
    while (table->slots[at] != 0 && !is_of(table, table->slots[at], key))
        at = at + 1 < table->cap ? at + 1 : 0;
    return at;
}

void *mw_table_get(const struct mw_table *table, uint64_t key)
{
    if (table->cap == 0 || key == 0)
        return NULL;
    uint64_t slot = table->slots[slot_of(table, key)];
    return slot != 0 ? value_of(table, slot) : NULL;
}

void *mw_table_at(const struct mw_table *table, uint32_t slot)
{
    MW_ASSERT(slot < table->cap);
    return table->slots[slot] != 0 ? value_of(table, table->slots[slot]) : NULL;
}

static void table_grow(struct mw_table *table, struct mw_mem *mem)
{
    struct mw_table old = *table;
    table->cap = larger_cap(old.cap);
    table->slots = mw_mem_alloc(mem, table->cap * sizeof(*table->slots));
    table->region = mem->region;
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.slots[i] == 0)
            continue;
        uint32_t at = home_of((uint32_t)(old.slots[i] >> 32), table->cap);
        while (table->slots[at] != 0)
            at = at + 1 < table->cap ? at + 1 : 0;
        table->slots[at] = old.slots[i];
    }
    mw_mem_free(mem, old.slots, old.cap * sizeof(*old.slots));
}

void mw_table_put(struct mw_table *table, struct mw_mem *mem, void *value)
{
    uint64_t key;
    memcpy(&key, value, sizeof(key));
    MW_ASSERT(key != 0);
    MW_ASSERT((char *)value >= mem->region && (char *)value < mem->region + mem->size_bytes);
    if (is_crowded(table->count, table->cap))
        table_grow(table, mem);
    uint32_t at = slot_of(table, key);
    table->count += table->slots[at] == 0 ? 1 : 0;
    table->slots[at] = (uint64_t)(uint32_t)key << 32 | place_of(mem->region, value);
}

/* Linear probing without tombstones: the run after the hole is moved up (Knuth 6.4, algorithm R). */
void mw_table_remove(struct mw_table *table, uint64_t key)
{
    if (table->cap == 0 || key == 0)
        return;
    uint32_t hole = slot_of(table, key), cap = table->cap;
    if (table->slots[hole] == 0)
        return;
    for (uint32_t at = hole + 1 < cap ? hole + 1 : 0; table->slots[at] != 0;
         at = at + 1 < cap ? at + 1 : 0) {
        uint32_t home = home_of((uint32_t)(table->slots[at] >> 32), cap);
        uint32_t from_home = at >= home ? at - home : at + cap - home;
        uint32_t from_hole = at >= hole ? at - hole : at + cap - hole;
        if (from_home >= from_hole) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = 0;
    table->count--;
}

void mw_table_free(struct mw_table *table, struct mw_mem *mem)
{
    mw_mem_free(mem, table->slots, table->cap * sizeof(*table->slots));
    *table = (struct mw_table){0};
}

/* ---- sets ---- */

static uint32_t place_in(const struct mw_set *set, uint64_t key)
{
    uint32_t at = home_of((uint32_t)(key ^ key >> 32), set->cap);
    while (set->keys[at] != 0 && set->keys[at] != key)
        at = at + 1 < set->cap ? at + 1 : 0;
    return at;
}

bool mw_set_has(const struct mw_set *set, uint64_t key)
{
    MW_ASSERT(key != 0);
    return set->cap > 0 && set->keys[place_in(set, key)] != 0;
}

void mw_set_add(struct mw_set *set, struct mw_mem *mem, uint64_t key)
{
    MW_ASSERT(key != 0);
    if (is_crowded(set->count, set->cap)) {
        struct mw_set old = *set;
        set->cap = larger_cap(old.cap);
        set->keys = mw_mem_alloc(mem, set->cap * sizeof(*set->keys));
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.keys[i] != 0)
                set->keys[place_in(set, old.keys[i])] = old.keys[i];
        mw_mem_free(mem, old.keys, old.cap * sizeof(*old.keys));
    }
    uint32_t at = place_in(set, key);
    set->count += set->keys[at] == 0 ? 1 : 0;
    set->keys[at] = key;
}
