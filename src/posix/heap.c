#include "posix/heap.h"
#include "base/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *or_die(void *memory)
{
    if (memory == NULL) {
        static const char words[] = "millwright: out of memory\n";
        (void)!write(2, words, sizeof(words) - 1); /* nothing else can be done */
        _exit(74);
    }
    return memory;
}

/* The pure rooms call this on their own mistakes; dying loudly is the edge's way of telling. */
void mw_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "millwright: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}

void *mw_heap_alloc(size_t size_bytes)
{
    return or_die(calloc(1, size_bytes > 0 ? size_bytes : 1));
}

void mw_heap_free(void *memory)
{
    free(memory);
}

char *mw_heap_copy(struct mw_str s)
{
    char *copy = mw_heap_alloc(s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

static void put_to_buf(void *sink, const char *bytes, size_t len)
{
    mw_buf_put(sink, (struct mw_str){bytes, len});
}

char *mw_heap_format(const char *format, ...)
{
    struct mw_buf buf = mw_heap_buf();
    va_list args;
    va_start(args, format);
    mw_format(put_to_buf, &buf, format, args);
    va_end(args);
    mw_buf_put_c(&buf, '\0');
    return buf.ptr;
}

static bool grow_on_heap(struct mw_buf *buf, size_t want_cap)
{
    size_t cap = buf->cap > 0 ? buf->cap : 256;
    while (cap < want_cap)
        cap *= 2;
    buf->ptr = or_die(realloc(buf->ptr, cap));
    buf->cap = cap;
    return true;
}

struct mw_buf mw_heap_buf(void)
{
    return (struct mw_buf){.grow = grow_on_heap};
}

void mw_heap_buf_free(struct mw_buf *buf)
{
    free(buf->ptr);
    *buf = mw_heap_buf();
}

void *mw_heap_reserve(size_t size_bytes)
{
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return or_die(memory != MAP_FAILED ? memory : NULL);
}

void mw_heap_arena(struct mw_arena *arena, size_t size_bytes)
{
    mw_arena_init(arena, mw_heap_reserve(size_bytes), size_bytes);
}

void mw_heap_arena_free(struct mw_arena *arena)
{
    if (arena->memory != NULL)
        (void)munmap(arena->memory, arena->size_bytes); /* cannot fail on a mapping of ours */
    *arena = (struct mw_arena){0};
}

void mw_autoclose_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* only read from, or already synced */
}

void mw_autofree_ptr(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
