/*
 * SHA-256 is nettle's: it uses the processor's instructions as libcrypto does, and is a small library, where libcrypto's tables alone would cost
 * every process more than a megabyte and a millisecond.
 */
#include "posix/file.h"
#include "posix/heap.h"

#include <nettle/sha2.h>
#include <pthread.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(((struct mw_sha256 *)0)->state),
               "the state has room for nettle's");

static struct sha256_ctx *state_of(struct mw_sha256 *sha)
{
    return (struct sha256_ctx *)(void *)sha->state;
}

void mw_sha256_begin(struct mw_sha256 *sha)
{
    sha256_init(state_of(sha));
}

void mw_sha256_add(struct mw_sha256 *sha, struct mw_str bytes)
{
    if (bytes.len > 0)
        sha256_update(state_of(sha), bytes.len, (const uint8_t *)bytes.ptr);
}

void mw_sha256_end(struct mw_sha256 *sha, uint8_t ret_digest[32])
{
    sha256_digest(state_of(sha), SHA256_DIGEST_SIZE, ret_digest);
}

void mw_sha256_of(struct mw_str bytes, uint8_t ret_digest[32])
{
    struct mw_sha256 sha;
    mw_sha256_begin(&sha);
    mw_sha256_add(&sha, bytes);
    mw_sha256_end(&sha, ret_digest);
}

void mw_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        ret_text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    ret_text[2 * count] = '\0';
}

bool mw_unhex(const char *terminated, uint8_t *ret_bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(terminated) != 2 * count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *high = strchr(digits, terminated[2 * i]);
        const char *low = strchr(digits, terminated[2 * i + 1]);
        if (high == NULL || low == NULL)
            return false;
        ret_bytes[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}

void mw_sha256_hex(struct mw_str bytes, char ret_text[MW_SHA256_HEX])
{
    uint8_t digest[32];
    mw_sha256_of(bytes, digest);
    mw_hex(digest, sizeof(digest), ret_text);
}

/* CRC-32C (Castagnoli, reflected 0x82f63b78). The hardware has an instruction for it; the table is for the rest. */
static uint32_t crc_table_entry(uint32_t index)
{
    for (int bit = 0; bit < 8; bit++)
        index = (index & 1) != 0 ? (index >> 1) ^ 0x82f63b78u : index >> 1;
    return index;
}

static uint32_t crc_table[256];

static void fill_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++)
        crc_table[i] = crc_table_entry(i);
}

static uint32_t crc_by_table(uint32_t crc, const uint8_t *at, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, fill_crc_table); /* cannot fail */
    for (; len > 0; len--, at++)
        crc = crc_table[(crc ^ *at) & 255] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc,
                                                                     const uint8_t *at, size_t len)
{
    uint64_t wide = crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; len--, at++)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return crc;
}
#endif

uint32_t mw_crc32c(uint32_t crc, struct mw_str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_by_instruction(~crc, at, bytes.len);
#endif
    return ~crc_by_table(~crc, at, bytes.len);
}
