#include "base/mem.h"

#include <string.h>

#define SMALLEST_BYTES 64u
#define POOL_FIRST_BYTES 512u
#define POOL_LARGEST_BYTES 65536u

struct pool_block {
    struct pool_block *next;
    size_t size_bytes;
};

static unsigned class_of(size_t size_bytes)
{
    unsigned index = 0;
    for (size_t block = SMALLEST_BYTES; block < size_bytes; block *= 2)
        index++;
    MW_ASSERT(index < MW_MEM_CLASS_COUNT);
    return index;
}

static size_t class_bytes(unsigned index)
{
    return (size_t)SMALLEST_BYTES << index;
}

void mw_mem_init(struct mw_mem *mem, void *region, size_t size_bytes)
{
    MW_ASSERT(((uintptr_t)region & (SMALLEST_BYTES - 1)) == 0);
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
    mem->spare_bytes += spare_bytes_of(index);
}

static void *take_back(struct mw_mem *mem, unsigned index)
{
    void *block = mem->free_lists[index];
    memcpy(&mem->free_lists[index], block, sizeof(void *));
    mem->spare_bytes -= spare_bytes_of(index);
    return block;
}

/* The region was handed out once: the smallest larger block that came back is halved until it fits. */
static void *cut_larger(struct mw_mem *mem, unsigned index)
{
    unsigned larger = index + 1;
    while (larger < MW_MEM_CLASS_COUNT && mem->free_lists[larger] == NULL)
        larger++;
    MW_ASSERT(larger < MW_MEM_CLASS_COUNT); /* the core looked at the room before the step */
    char *block = take_back(mem, larger);
    while (larger > index) {
        larger--;
        put_back(mem, block + class_bytes(larger), larger);
    }
    return block;
}

static size_t limit_of(const struct mw_mem *mem)
{
    return mem->ceiling_bytes > 0 && mem->ceiling_bytes < mem->size_bytes ? mem->ceiling_bytes
                                                                          : mem->size_bytes;
}

static bool has_larger(const struct mw_mem *mem, unsigned index)
{
    for (unsigned larger = index + 1; larger < MW_MEM_CLASS_COUNT; larger++)
        if (mem->free_lists[larger] != NULL)
            return true;
    return false;
}

void *mw_mem_alloc(struct mw_mem *mem, size_t size_bytes)
{
    unsigned index = class_of(size_bytes);
    size_t block_bytes = class_bytes(index);
    void *block;
    bool clean = false;
    if (mem->free_lists[index] != NULL) {
        block = take_back(mem, index);
    } else if (mem->fresh_at + block_bytes <= limit_of(mem) ||
               (!has_larger(mem, index) && block_bytes <= mem->size_bytes - mem->fresh_at)) {
        block = mem->region + mem->fresh_at;
        mem->fresh_at += block_bytes;
        clean = mem->zeroed;
    } else {
        block = cut_larger(mem, index);
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
    return (limit > mem->fresh_at ? limit - mem->fresh_at : 0) + mem->spare_bytes;
}

static void pool_grow(struct mw_pool *pool, struct mw_mem *mem, size_t want_bytes)
{
    size_t block_bytes = POOL_FIRST_BYTES;
    while (block_bytes < POOL_LARGEST_BYTES && block_bytes < pool->total_bytes)
        block_bytes *= 2;
    while (block_bytes < want_bytes + sizeof(struct pool_block))
        block_bytes *= 2;
    struct pool_block *block = mw_mem_alloc(mem, block_bytes);
    block->next = pool->blocks;
    block->size_bytes = block_bytes;
    pool->blocks = block;
    pool->at = sizeof(struct pool_block);
    pool->end = block_bytes;
    pool->total_bytes += block_bytes;
}

void *mw_pool_alloc(struct mw_pool *pool, struct mw_mem *mem, size_t size_bytes)
{
    size_t rounded = (size_bytes + 15) & ~(size_t)15;
    if (rounded > pool->end - pool->at)
        pool_grow(pool, mem, rounded);
    void *memory = (char *)pool->blocks + pool->at;
    pool->at += rounded;
    return memory;
}

struct mw_str mw_pool_copy(struct mw_pool *pool, struct mw_mem *mem, struct mw_str s)
{
    if (s.len == 0)
        return MW_STR_NONE;
    char *copy = mw_pool_alloc(pool, mem, s.len);
    memcpy(copy, s.ptr, s.len);
    return (struct mw_str){copy, s.len};
}

void mw_pool_release(struct mw_pool *pool, struct mw_mem *mem)
{
    for (struct pool_block *block = pool->blocks; block != NULL;) {
        struct pool_block *next = block->next;
        mw_mem_free(mem, block, block->size_bytes);
        block = next;
    }
    *pool = (struct mw_pool){0};
}

/* splitmix64's finaliser: sequence numbers are dense, slots should not be. */
static uint64_t spread(uint64_t key)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
    return key ^ (key >> 31);
}

static uint32_t slot_of(const struct mw_table *table, uint64_t key)
{
    uint32_t at = (uint32_t)spread(key) & (table->cap - 1);
    while (table->slots[at].key != 0 && table->slots[at].key != key)
        at = (at + 1) & (table->cap - 1);
    return at;
}

void *mw_table_get(const struct mw_table *table, uint64_t key)
{
    if (table->cap == 0 || key == 0)
        return NULL;
    return table->slots[slot_of(table, key)].value;
}

static void table_grow(struct mw_table *table, struct mw_mem *mem)
{
    struct mw_table old = *table;
    table->cap = old.cap > 0 ? old.cap * 2 : 16;
    table->slots = mw_mem_alloc(mem, table->cap * sizeof(*table->slots));
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.slots[i].key != 0)
            table->slots[slot_of(table, old.slots[i].key)] = old.slots[i];
    mw_mem_free(mem, old.slots, old.cap * sizeof(*old.slots));
}

void mw_table_put(struct mw_table *table, struct mw_mem *mem, uint64_t key, void *value)
{
    MW_ASSERT(key != 0);
    MW_ASSERT(value != NULL);
    if (table->count * 4 >= table->cap * 3)
        table_grow(table, mem);
    uint32_t at = slot_of(table, key);
    table->count += table->slots[at].key == 0 ? 1 : 0;
    table->slots[at] = (struct mw_table_slot){key, value};
}

/* Linear probing without tombstones: the run after the hole is moved up (Knuth 6.4, algorithm R). */
void mw_table_remove(struct mw_table *table, uint64_t key)
{
    if (table->cap == 0 || key == 0)
        return;
    uint32_t hole = slot_of(table, key);
    if (table->slots[hole].key == 0)
        return;
    uint32_t mask = table->cap - 1;
    for (uint32_t at = (hole + 1) & mask; table->slots[at].key != 0; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)spread(table->slots[at].key) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = (struct mw_table_slot){0};
    table->count--;
}

void mw_table_free(struct mw_table *table, struct mw_mem *mem)
{
    mw_mem_free(mem, table->slots, table->cap * sizeof(*table->slots));
    *table = (struct mw_table){0};
}
