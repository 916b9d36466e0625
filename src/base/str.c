#include "base/str.h"

#include <string.h>

struct mw_str mw_str_fit(struct mw_str s, size_t len_max)
{
    if (s.len <= len_max)
        return s;
    while (len_max > 0 && ((unsigned char)s.ptr[len_max] & 0xc0) == 0x80)
        len_max--;
    return (struct mw_str){s.ptr, len_max};
}

struct mw_str mw_str_sub(struct mw_str s, size_t from, size_t len)
{
    if (from >= s.len)
        return MW_STR_NONE;
    size_t rest = s.len - from;
    return (struct mw_str){s.ptr + from, len < rest ? len : rest};
}

int mw_str_cmp(struct mw_str a, struct mw_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len ? 1 : 0;
}

bool mw_str_starts(struct mw_str s, struct mw_str prefix)
{
    return s.len >= prefix.len && mw_str_eq(mw_str_sub(s, 0, prefix.len), prefix);
}

bool mw_str_ends(struct mw_str s, struct mw_str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || mw_str_eq(mw_str_sub(s, s.len - suffix.len, suffix.len), suffix));
}

size_t mw_str_find(struct mw_str s, char c, size_t from)
{
    if (from >= s.len)
        return SIZE_MAX;
    const char *hit = memchr(s.ptr + from, c, s.len - from);
    return hit != NULL ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

struct mw_str mw_str_trim(struct mw_str s)
{
    while (s.len > 0 && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool mw_str_to_u64(struct mw_str s, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool mw_str_to_i64(struct mw_str s, int64_t *ret_value)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    if (!mw_str_to_u64(negative ? mw_str_sub(s, 1, s.len) : s, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret_value = negative ? (int64_t)((uint64_t)0 - magnitude) : (int64_t)magnitude;
    return true;
}

uint64_t mw_str_hash(struct mw_str s)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * 0x100000001b3u;
    return hash;
}

/* Length of the well-formed sequence at p (Unicode table 3-7), or 0. NUL is refused. */
static size_t utf8_sequence(const uint8_t *p, size_t room)
{
    if (p[0] < 0x80)
        return p[0] != 0 ? 1 : 0;
    size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                 : (p[0] & 0xf0) == 0xe0        ? 3
                 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                : 0;
    if (len == 0 || len > room)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool mw_utf8_valid(struct mw_str s, size_t *ret_bad_at)
{
    for (size_t i = 0; i < s.len;) {
        size_t len = utf8_sequence((const uint8_t *)s.ptr + i, s.len - i);
        if (len == 0) {
            if (ret_bad_at != NULL)
                *ret_bad_at = i;
            return false;
        }
        i += len;
    }
    return true;
}

size_t mw_utf8_put(char *to, uint32_t code)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(lead[length] | code);
    return length;
}

int mw_hex_value(char c)
{
    char lower = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
