/*
 * heap.h - memory for the edge: libc's heap behind the pure interfaces. Running out of heap ends the process (exit 74): the host's state is
 * on the disk. Pure code never includes this.
 */
#ifndef MW_HEAP_H
#define MW_HEAP_H

#include "base/arena.h"
#include "base/buf.h"

void *mw_heap_alloc(size_t size_bytes); /* zeroed, never NULL */
void mw_heap_free(void *memory);
char *mw_heap_copy(struct mw_str s);                           /* terminated, owned by the caller */
char *mw_heap_format(const char *format, ...) MW_PRINTF(1, 2); /* owned by the caller */
struct mw_buf mw_heap_buf(void); /* empty, grows by doubling; free with mw_heap_buf_free */
void mw_heap_buf_free(struct mw_buf *buf);
/* Address space of zeros that costs nothing until it is touched; for the life of the process, or munmap it. */
void *mw_heap_reserve(size_t size_bytes);
void mw_heap_arena(
    struct mw_arena *arena,
    size_t size_bytes); /* one block (lazily backed); mw_heap_arena_free gives it back */
void mw_heap_arena_free(struct mw_arena *arena);

void mw_autoclose_fd(int *fd);
#define mw_autoclose __attribute__((cleanup(mw_autoclose_fd)))
void mw_autofree_ptr(void *pointer_to_pointer);
#define mw_autofree __attribute__((cleanup(mw_autofree_ptr)))

#endif
