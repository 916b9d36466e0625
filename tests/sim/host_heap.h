/*
 * host_heap.h - memory of the host: given back when its process is gone, counted while it lives.
 *
 * Every block of the program has a small head, so that a dead host's can be found. Mappings are kept and used again: making them afresh was
 * half of a seed's time. Arenas are not asked to be zeros; the core's region is, and becomes it.
 */
#ifndef MW_TEST_HOST_HEAP_H
#define MW_TEST_HOST_HEAP_H

#include "host_world.h"

#include <sys/mman.h>

struct heap_head {
    struct heap_head *next, *prev; /* NULL: not the host's */
    size_t size_bytes;
    uint64_t mark;
};
#define HEAP_MARK 0x6d696c6c77726967u

static struct heap_head heap_live = {&heap_live, &heap_live, 0, 0};
static size_t heap_live_count;

void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
void *__real_realloc(void *memory, size_t size_bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);
void *__wrap_realloc(void *memory, size_t size_bytes);
void __wrap_free(void *memory);

static void *heap_give(struct heap_head *head, size_t size_bytes)
{
    if (head == NULL)
        return NULL;
    *head = (struct heap_head){.size_bytes = size_bytes, .mark = HEAP_MARK};
    if (world.inside) {
        head->next = heap_live.next;
        head->prev = &heap_live;
        head->next->prev = head;
        heap_live.next = head;
        heap_live_count++;
    }
    return head + 1;
}

static void heap_unlink(struct heap_head *head)
{
    if (head->next == NULL)
        return;
    head->next->prev = head->prev;
    head->prev->next = head->next;
    head->next = NULL;
    heap_live_count--;
}

void *__wrap_malloc(size_t size_bytes)
{
    return heap_give(__real_malloc(sizeof(struct heap_head) + size_bytes), size_bytes);
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
    size_t bytes = count * size_bytes;
    return heap_give(__real_calloc(1, sizeof(struct heap_head) + bytes), bytes);
}

void __wrap_free(void *memory)
{
    struct heap_head *head = memory;
    if (memory == NULL)
        return;
    head--;
    if (head->mark != HEAP_MARK) { /* the library's own */
        __real_free(memory);
        return;
    }
    head->mark = 0;
    heap_unlink(head);
    __real_free(head);
}

void *__wrap_realloc(void *memory, size_t size_bytes)
{
    if (memory == NULL)
        return __wrap_malloc(size_bytes);
    struct heap_head *head = (struct heap_head *)memory - 1;
    void *fresh = __wrap_malloc(size_bytes);
    if (fresh != NULL)
        memcpy(fresh, memory, head->size_bytes < size_bytes ? head->size_bytes : size_bytes);
    __wrap_free(memory);
    return fresh;
}

/* ---- mappings ---- */

#define HEAP_MAPS_MAX 4096
#define HEAP_REGION_BYTES ((size_t)1 << 30) /* the core's region: it is believed to be zeros */

struct heap_map {
    void *memory;
    size_t size_bytes; /* of the mapping: a power of two */
    bool used;
};
static struct heap_map heap_maps[HEAP_MAPS_MAX];
static uint32_t heap_map_count;

void *__real_mmap(void *at, size_t size_bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size_bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *memory, size_t size_bytes);
int __wrap_munmap(void *memory, size_t size_bytes);

/* host_disk.h */
static void *disk_map(int fd, size_t size_bytes);
static bool disk_unmap(const void *memory);

void *__wrap_mmap(void *at, size_t size_bytes, int protection, int flags, int fd, off_t offset)
{
    size_t whole = 65536;
    if (fd >= 0 && disk_map(fd, size_bytes) != NULL)
        return disk_map(fd, size_bytes);
    if (!world.inside)
        return __real_mmap(at, size_bytes, protection, flags, fd, offset);
    while (whole < size_bytes)
        whole *= 2;
    for (uint32_t i = 0; i < heap_map_count; i++)
        if (!heap_maps[i].used && heap_maps[i].size_bytes == whole) {
            heap_maps[i].used = true;
            return heap_maps[i].memory;
        }
    void *memory = __real_mmap(NULL, whole, protection, flags, fd, offset);
    assert_true(memory != MAP_FAILED && heap_map_count < HEAP_MAPS_MAX);
    heap_maps[heap_map_count++] = (struct heap_map){memory, whole, true};
    return memory;
}

int __wrap_munmap(void *memory, size_t size_bytes)
{
    if (disk_unmap(memory))
        return 0;
    for (uint32_t i = 0; i < heap_map_count; i++)
        if (heap_maps[i].memory == memory) {
            heap_maps[i].used = false;
            return 0;
        }
    return __real_munmap(memory, size_bytes);
}

/* The process is gone. */
static void heap_take_back(void)
{
    while (heap_live.next != &heap_live) {
        struct heap_head *head = heap_live.next;
        head->mark = 0;
        heap_unlink(head);
        __real_free(head);
    }
    for (uint32_t i = 0; i < heap_map_count; i++) {
        if (heap_maps[i].used && heap_maps[i].size_bytes >= HEAP_REGION_BYTES)
            assert_int_equal(madvise(heap_maps[i].memory, heap_maps[i].size_bytes, MADV_DONTNEED),
                             0);
        heap_maps[i].used = false;
    }
}

#endif
