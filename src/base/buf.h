/*
 * buf.h - append bytes to a block of memory that somebody else owns, with an optional way to grow.
 *
 * In pure code the block is fixed and overflow is sticky (`overflowed`); the edge sets `grow` (posix/heap.h) and never overflows short of
 * the memory's end.
 */
#ifndef MW_BUF_H
#define MW_BUF_H

#include "base/str.h"

struct mw_buf {
    char *ptr;
    size_t len;
    size_t cap;
    bool overflowed;
    /* Makes room for at least want_cap bytes, keeping the first len; false when it cannot. NULL: fixed. */
    bool (*grow)(struct mw_buf *buf, size_t want_cap);
};

void mw_buf_init(struct mw_buf *buf, void *memory, size_t cap);
void mw_buf_reset(struct mw_buf *buf); /* keeps the memory */
void mw_buf_put(struct mw_buf *buf, struct mw_str s);
/* Room for `more` bytes behind len; false, and overflowed, when there is none. */
bool mw_buf_room(struct mw_buf *buf, size_t more);
static inline void mw_buf_put_c(struct mw_buf *buf, char c)
{
    if ((buf->len < buf->cap && !buf->overflowed) || mw_buf_room(buf, 1))
        buf->ptr[buf->len++] = c;
}
void mw_buf_put_z(struct mw_buf *buf, const char *terminated);
void mw_buf_put_u64(struct mw_buf *buf, uint64_t value);
void mw_buf_put_i64(struct mw_buf *buf, int64_t value);
void mw_buf_put_hex(struct mw_buf *buf, const uint8_t *bytes, size_t count);
void mw_buf_printf(struct mw_buf *buf, const char *format, ...) MW_PRINTF(2, 3);
struct mw_str mw_buf_str(const struct mw_buf *buf);

#endif
