#include "base/buf.h"
#include "base/format.h"

#include <string.h>

void mw_buf_init(struct mw_buf *buf, void *memory, size_t cap)
{
    *buf = (struct mw_buf){.ptr = memory, .cap = cap};
}

void mw_buf_reset(struct mw_buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
}

bool mw_buf_room(struct mw_buf *buf, size_t more)
{
    if (buf->overflowed)
        return false;
    if (more <= buf->cap - buf->len)
        return true;
    buf->overflowed = buf->grow == NULL || !buf->grow(buf, buf->len + more);
    return !buf->overflowed;
}

void mw_buf_put(struct mw_buf *buf, struct mw_str s)
{
    if (s.len == 0 || !mw_buf_room(buf, s.len))
        return;
    memcpy(buf->ptr + buf->len, s.ptr, s.len);
    buf->len += s.len;
}

void mw_buf_put_z(struct mw_buf *buf, const char *terminated)
{
    mw_buf_put(buf, mw_str_of(terminated));
}

/* Two digits a division. */
void mw_buf_put_u64(struct mw_buf *buf, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof(digits);
    for (; value > 9; value /= 100)
        memcpy(digits + (at -= 2), pairs + value % 100 * 2, 2);
    if (value > 0 || at == sizeof(digits))
        digits[--at] = (char)('0' + value);
    mw_buf_put(buf, (struct mw_str){digits + at, sizeof(digits) - at});
}

void mw_buf_put_i64(struct mw_buf *buf, int64_t value)
{
    if (value < 0)
        mw_buf_put_c(buf, '-');
    mw_buf_put_u64(buf, value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value);
}

void mw_buf_put_hex(struct mw_buf *buf, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mw_buf_put_c(buf, "0123456789abcdef"[bytes[i] >> 4]);
        mw_buf_put_c(buf, "0123456789abcdef"[bytes[i] & 15]);
    }
}

static void put_to_buf(void *sink, const char *bytes, size_t len)
{
    mw_buf_put(sink, (struct mw_str){bytes, len});
}

void mw_buf_printf(struct mw_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mw_format(put_to_buf, buf, format, args);
    va_end(args);
}

struct mw_str mw_buf_str(const struct mw_buf *buf)
{
    return (struct mw_str){buf->ptr, buf->len};
}
