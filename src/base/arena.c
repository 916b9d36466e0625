#include "base/arena.h"
#include "base/format.h"

#include <string.h>

#define ALIGNMENT 16u

void mw_arena_init(struct mw_arena *arena, void *memory, size_t size_bytes)
{
    MW_ASSERT(((uintptr_t)memory & (ALIGNMENT - 1)) == 0);
    *arena = (struct mw_arena){.memory = memory, .size_bytes = size_bytes};
}

void mw_arena_reset(struct mw_arena *arena)
{
    arena->used_bytes = 0;
    arena->exhausted = false;
}

void *mw_arena_alloc(struct mw_arena *arena, size_t size_bytes)
{
    void *memory = mw_arena_alloc_unset(arena, size_bytes);
    return memory != NULL ? memset(memory, 0, size_bytes) : NULL;
}

void *mw_arena_alloc_unset(struct mw_arena *arena, size_t size_bytes)
{
    size_t start = (arena->used_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (arena->exhausted || start > arena->size_bytes || size_bytes > arena->size_bytes - start) {
        arena->exhausted = true;
        return NULL;
    }
    arena->used_bytes = start + size_bytes;
    return arena->memory + start;
}

void *mw_arena_alloc_array(struct mw_arena *arena, size_t item_bytes, size_t count)
{
    size_t size_bytes;
    if (__builtin_mul_overflow(item_bytes, count, &size_bytes)) {
        arena->exhausted = true;
        return NULL;
    }
    return mw_arena_alloc(arena, size_bytes);
}

struct mw_str mw_arena_copy(struct mw_arena *arena, struct mw_str s)
{
    char *copy = mw_arena_alloc(arena, s.len + 1);
    if (copy == NULL)
        return MW_STR_NONE;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return (struct mw_str){copy, s.len};
}

static void count_bytes(void *sink, const char *bytes, size_t len)
{
    (void)bytes; /* only the length is wanted */
    *(size_t *)sink += len;
}

static void put_bytes(void *sink, const char *bytes, size_t len)
{
    char **at = sink;
    memcpy(*at, bytes, len);
    *at += len;
}

struct mw_str mw_arena_format(struct mw_arena *arena, const char *format, ...)
{
    va_list args;
    size_t len = 0;
    va_start(args, format);
    mw_format(count_bytes, &len, format, args);
    va_end(args);
    char *text = mw_arena_alloc(arena, len + 1);
    if (text == NULL)
        return MW_STR_NONE;
    char *at = text;
    va_start(args, format);
    mw_format(put_bytes, &at, format, args);
    va_end(args);
    return (struct mw_str){text, len};
}

void mw_arena_text_begin(struct mw_arena *arena, struct mw_buf *ret_buf)
{
    size_t start = (arena->used_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    size_t room = arena->exhausted || start > arena->size_bytes ? 0 : arena->size_bytes - start;
    mw_buf_init(ret_buf, room > 0 ? arena->memory + start : NULL, room);
}

struct mw_str mw_arena_text_keep(struct mw_arena *arena, const struct mw_buf *buf)
{
    if (buf->overflowed || buf->ptr == NULL) {
        arena->exhausted = true;
        return MW_STR_NONE;
    }
    arena->used_bytes = (size_t)(buf->ptr - arena->memory) + buf->len;
    return mw_buf_str(buf);
}
