/*
 * test_digest.c - P03 P13: the checksum of a journal is CRC-32C on every processor, with an instruction for it or without, over one piece or many.
 * The values are those of RFC 3720, B.4.
 */
#include "posix/file.h"
#include "posix/heap.h"

#include <nettle/sha2.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The same source once more, as it is for another processor: it has functions of the same names. */
uint32_t other_crc32c(uint32_t crc, struct mw_str bytes);
void other_sha256_begin(struct mw_sha256 *sha);
void other_sha256_add(struct mw_sha256 *sha, struct mw_str bytes);
void other_sha256_end(struct mw_sha256 *sha, uint8_t ret_digest[32]);
void other_sha256_of(struct mw_str bytes, uint8_t ret_digest[32]);
void other_sha256_hex(struct mw_str bytes, char ret_text[MW_SHA256_HEX]);
void other_hex(const uint8_t *bytes, size_t count, char *ret_text);
bool other_unhex(const char *terminated, uint8_t *ret_bytes, size_t count);
#define mw_crc32c other_crc32c
#define mw_sha256_begin other_sha256_begin
#define mw_sha256_add other_sha256_add
#define mw_sha256_end other_sha256_end
#define mw_sha256_of other_sha256_of
#define mw_sha256_hex other_sha256_hex
#define mw_hex other_hex
#define mw_unhex other_unhex
#undef __x86_64__
#include "../../src/posix/digest.c"
#undef mw_crc32c

static void p03_p13_the_checksum_is_the_same_on_every_processor(void **state)
{
    static uint8_t zeros[32], ones[32], up[32], down[32];
    const struct {
        struct mw_str bytes;
        uint32_t crc;
    } rows[] = {{{(const char *)zeros, 32}, 0x8a9136aa}, {{(const char *)ones, 32}, 0x62a8ab43},
                {{(const char *)up, 32}, 0x46dd794e},    {{(const char *)down, 32}, 0x113fdb5c},
                {MW_STR("123456789"), 0xe3069283},       {MW_STR(""), 0}};
    (void)state;
    for (uint8_t i = 0; i < 32; i++) {
        ones[i] = 0xff;
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (size_t cut = 0; cut <= rows[i].bytes.len; cut++) {
            struct mw_str first = mw_str_sub(rows[i].bytes, 0, cut);
            struct mw_str rest = mw_str_sub(rows[i].bytes, cut, SIZE_MAX);
            uint32_t crc = mw_crc32c(mw_crc32c(0, first), rest);
            uint32_t other = other_crc32c(other_crc32c(0, first), rest);
            if (crc != rows[i].crc || other != rows[i].crc)
                fail_msg("row %zu, cut at %zu: %08x and %08x, not %08x", i, cut, crc, other,
                         rows[i].crc);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p03_p13_the_checksum_is_the_same_on_every_processor),
    };
    return cmocka_run_group_tests_name("test_digest", tests, NULL, NULL);
}
