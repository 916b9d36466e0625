/*
 * json_text.h - private to json_read.c and json_write.c: how far a run of string bytes needs no care.
 */
#ifndef MW_JSON_TEXT_H
#define MW_JSON_TEXT_H

#include "base/str.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* All from first to at are plain. Eight bytes at once, then the last eight, some of them for the second time: most texts are short. What is left
 * may be plain, too. */
static inline const char *json_skip_words(const char *first, const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
    while (at < end && end - first >= 8) {
        const char *block_at = end - at >= 8 ? at : end - 8;
        uint64_t block;
        memcpy(&block, block_at, sizeof block);
        uint64_t quote = block ^ (ones * '"');
        uint64_t backslash = block ^ (ones * '\\');
        uint64_t special = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                           ((block - ones * ' ') & ~block) | block;
        if ((special & (ones << 7)) != 0)
            return at;
        at = block_at + 8;
    }
    return at;
}

/* The first byte at or after at that is '"', '\\', below 0x20 or above 0x7f; end when there is none. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
    const char *first = at;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    while (at < end && end - first >= 16) {
        const char *block_at = end - at >= 16 ? at : end - 16; /* as above */
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)block_at);
        /* Bytes above 0x7f are negative, so one signed compare finds them and the control characters. */
        __m128i special = _mm_or_si128(
            _mm_cmplt_epi8(block, space),
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0)
            return block_at + __builtin_ctz((unsigned)mask);
        at = block_at + 16;
    }
#endif
    at = json_skip_words(first, at, end);
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

/* Bytes of the well-formed UTF-8 sequence (two to four bytes) at at; 0 when it is malformed. */
static inline size_t json_utf8_sequence(const char *at, const char *end)
{
    const unsigned char *byte = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    if (byte[0] < 0xc2 || byte[0] > 0xf4)
        return 0;
    if (byte[0] < 0xe0)
        return left >= 2 && (byte[1] & 0xc0) == 0x80 ? 2 : 0;
    /* Overlong forms, surrogates and numbers over U+10FFFF all show in the second byte. */
    unsigned char least = byte[0] == 0xe0 ? 0xa0 : byte[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = byte[0] == 0xed ? 0x9f : byte[0] == 0xf4 ? 0x8f : 0xbf;
    if (left < 3 || byte[1] < least || byte[1] > most || (byte[2] & 0xc0) != 0x80)
        return 0;
    if (byte[0] < 0xf0)
        return 3;
    return left >= 4 && (byte[3] & 0xc0) == 0x80 ? 4 : 0;
}

#endif
