/*
 * str.h - a borrowed string: pointer and length, not terminated. Bytes are UTF-8 unless said otherwise.
 */
#ifndef MW_STR_H
#define MW_STR_H

#include "base/base.h"

#include <string.h>

struct mw_str {
    const char *ptr; /* borrowed; NULL only when len is 0 */
    size_t len;
};

#define MW_STR(literal) ((struct mw_str){(literal), sizeof(literal) - 1})
#define MW_STR_NONE ((struct mw_str){NULL, 0})
#define MW_STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

/* NULL gives the empty string. Here, as the next two, so that of a constant nothing is counted when it runs. */
static inline struct mw_str mw_str_of(const char *terminated)
{
    return terminated != NULL ? (struct mw_str){terminated, strlen(terminated)} : MW_STR_NONE;
}
struct mw_str mw_str_sub(struct mw_str s, size_t from, size_t len); /* clamped */
/* The whole characters of the first len_max bytes. */
struct mw_str mw_str_fit(struct mw_str s, size_t len_max);
static inline bool mw_str_eq(struct mw_str a, struct mw_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool mw_str_is(struct mw_str a, const char *terminated)
{
    return mw_str_eq(a, mw_str_of(terminated));
}
int mw_str_cmp(struct mw_str a, struct mw_str b); /* bytewise; <0 0 >0 */
bool mw_str_starts(struct mw_str s, struct mw_str prefix);
bool mw_str_ends(struct mw_str s, struct mw_str suffix);
/* Index of the first occurrence of c at or after from, or SIZE_MAX. */
size_t mw_str_find(struct mw_str s, char c, size_t from);
struct mw_str mw_str_trim(struct mw_str s); /* ASCII white space, both ends */
/* Strict decimal: digits with an optional '-', nothing else; false on overflow. */
bool mw_str_to_i64(struct mw_str s, int64_t *ret_value);
bool mw_str_to_u64(struct mw_str s, uint64_t *ret_value);
/* FNV-1a, 64 bit: tables only, never a digest. */
uint64_t mw_str_hash(struct mw_str s);
/* True when s is well-formed UTF-8 without NUL. *ret_bad_at: offset of the first bad byte (may be NULL). */
/* The bytes of one character, a code point of Unicode and no surrogate; to has room for four. How many they are. */
size_t mw_utf8_put(char *to, uint32_t code);
/* Of a hexadecimal digit, in either case; -1: it is none. */
int mw_hex_value(char c);
bool mw_utf8_valid(struct mw_str s, size_t *ret_bad_at);

#endif
