#include "view/internal.h"

#include <string.h>

static uint32_t slot_of(const struct mw_view_table *table, uint64_t key)
{
    /* Numbers of records come close together; the multiplication spreads them. */
    uint32_t at = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (table->cap - 1);
    while (table->slots[at].key != 0 && table->slots[at].key != key)
        at = (at + 1) & (table->cap - 1);
    return at;
}

void *mw_view_table_get(const struct mw_view_table *table, uint64_t key)
{
    if (table->cap == 0 || key == 0)
        return NULL;
    const struct mw_view_slot *slot = &table->slots[slot_of(table, key)];
    return slot->key == key ? slot->value : NULL;
}

static bool grow(struct mw_view_table *table, struct mw_arena *arena)
{
    struct mw_view_table larger = {.cap = table->cap > 0 ? table->cap * 2 : 64};
    larger.slots = mw_arena_array(arena, struct mw_view_slot, larger.cap);
    if (larger.slots == NULL)
        return false;
    for (uint32_t i = 0; i < table->cap; i++)
        if (table->slots[i].key != 0)
            larger.slots[slot_of(&larger, table->slots[i].key)] = table->slots[i];
    larger.count = table->count;
    *table = larger;
    return true;
}

void mw_view_table_put(struct mw_view_table *table, struct mw_arena *arena, uint64_t key,
                       void *value)
{
    MW_ASSERT(key != 0);
    if ((table->count + 1) * 2 > table->cap && !grow(table, arena))
        return;
    struct mw_view_slot *slot = &table->slots[slot_of(table, key)];
    table->count += slot->key == 0 ? 1 : 0;
    *slot = (struct mw_view_slot){key, value};
}

/* What stands behind the hole moves up when it may not stand behind one. */
void mw_view_table_remove(struct mw_view_table *table, uint64_t key)
{
    if (mw_view_table_get(table, key) == NULL)
        return;
    uint32_t hole = slot_of(table, key);
    table->slots[hole].key = 0;
    table->count--;
    for (uint32_t at = (hole + 1) & (table->cap - 1); table->slots[at].key != 0;
         at = (at + 1) & (table->cap - 1)) {
        struct mw_view_slot moved = table->slots[at];
        table->slots[at].key = 0;
        table->slots[slot_of(table, moved.key)] = moved;
    }
}

void mw_view_text_set(struct mw_view_text *text, struct mw_arena *arena, struct mw_str value)
{
    if (value.len > text->cap) {
        size_t cap = 256;
        while (cap < value.len)
            cap *= 2;
        char *block = mw_arena_alloc(arena, cap);
        if (block == NULL)
            return;
        text->block = block;
        text->cap = cap;
    }
    if (value.len > 0)
        memcpy(text->block, value.ptr, value.len);
    text->len = value.len;
}

struct mw_str mw_view_text_get(const struct mw_view_text *text)
{
    return (struct mw_str){text->block, text->len};
}
