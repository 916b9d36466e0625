#include "posix/file.h"
#include "posix/heap.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

/* OpenSSL looks the algorithm up by its name again and again unless it is held. */
static const EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    MW_ASSERT(sha256 != NULL);
}

void mw_sha256_begin(struct mw_sha256 *sha)
{
    (void)pthread_once(&sha256_once, fetch_sha256);
    sha->state = EVP_MD_CTX_new();
    MW_ASSERT(sha->state != NULL);
    MW_ASSERT(EVP_DigestInit_ex(sha->state, sha256, NULL) == 1);
}

void mw_sha256_add(struct mw_sha256 *sha, struct mw_str bytes)
{
    MW_ASSERT(EVP_DigestUpdate(sha->state, bytes.ptr, bytes.len) == 1);
}

void mw_sha256_end(struct mw_sha256 *sha, uint8_t ret_digest[32])
{
    MW_ASSERT(EVP_DigestFinal_ex(sha->state, ret_digest, NULL) == 1);
    EVP_MD_CTX_free(sha->state);
    sha->state = NULL;
}

void mw_sha256_of(struct mw_str bytes, uint8_t ret_digest[32])
{
    (void)pthread_once(&sha256_once, fetch_sha256);
    MW_ASSERT(EVP_Digest(bytes.ptr, bytes.len, ret_digest, NULL, sha256, NULL) == 1);
}

void mw_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        ret_text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    ret_text[2 * count] = '\0';
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
