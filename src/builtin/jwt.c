#include "builtin/jwt.h"

#include "posix/library.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>

#define SIGNATURE_MAX 1024
#define ES256_HALF 32

/* Loaded with the first key: its tables cost a megabyte and a millisecond, and few processes of this program ever sign anything. */
#define CRYPTO_LIBRARY "libcrypto.so.3"
#define CRYPTO_FUNCTIONS(each)                                                                     \
    each(BIO_ctrl) each(BIO_free) each(BIO_new) each(BIO_new_mem_buf) each(BIO_s_mem)              \
        each(BN_bn2binpad) each(d2i_ECDSA_SIG) each(ECDSA_SIG_free) each(ECDSA_SIG_get0_r)         \
            each(ECDSA_SIG_get0_s) each(EVP_DigestSign) each(EVP_DigestSignInit)                   \
                each(EVP_MD_CTX_free) each(EVP_MD_CTX_new) each(EVP_PKEY_free)                     \
                    each(EVP_PKEY_Q_keygen) each(EVP_sha256) each(EVP_sha384) each(EVP_sha512)     \
                        each(HMAC) each(PEM_read_bio_PrivateKey) each(PEM_write_bio_PrivateKey)    \
                            each(PEM_write_bio_PUBKEY) each(RAND_bytes)

static struct {
#define CRYPTO_MEMBER(name) __typeof__(name) *name;
    CRYPTO_FUNCTIONS(CRYPTO_MEMBER)
#undef CRYPTO_MEMBER
    bool loaded;
} lib;

static const char *const algorithm_names[MW_JWT_ALGORITHM_COUNT] = {
    [MW_JWT_NONE] = "none",   [MW_JWT_HS256] = "HS256", [MW_JWT_HS384] = "HS384",
    [MW_JWT_HS512] = "HS512", [MW_JWT_RS256] = "RS256", [MW_JWT_ES256] = "ES256",
};

static enum mw_rc sign(const struct mw_jwt_key *key, struct mw_str input,
                       uint8_t ret_bytes[SIGNATURE_MAX], size_t *ret_len, struct mw_err *err);
static struct mw_str base64url(struct mw_arena *arena, struct mw_str bytes);

static void load_library(void)
{
#define CRYPTO_ROW(name) {#name, &lib.name},
    static const struct mw_library_function functions[] = {CRYPTO_FUNCTIONS(CRYPTO_ROW)};
#undef CRYPTO_ROW
    lib.loaded = mw_library_load(CRYPTO_LIBRARY, functions, MW_COUNT(functions));
}

static enum mw_rc load(struct mw_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load_library); /* cannot fail */
    return lib.loaded ? MW_OK : MW_FAIL(err, MW_E_MISSING, "keys and tokens need " CRYPTO_LIBRARY);
}

/* What was written, when it was; the BIO goes in every case. */
static enum mw_rc keep_pem(struct mw_arena *arena, BIO *bio, enum mw_rc rc, struct mw_str *ret_pem)
{
    char *bytes = NULL;
    long len = rc == MW_OK ? lib.BIO_ctrl(bio, BIO_CTRL_INFO, 0, &bytes) : 0;
    if (rc == MW_OK)
        *ret_pem = mw_arena_copy(arena, (struct mw_str){bytes, (size_t)len});
    lib.BIO_free(bio);
    return rc;
}

const char *mw_jwt_algorithm_name(enum mw_jwt_algorithm algorithm)
{
    MW_ASSERT(algorithm < MW_JWT_ALGORITHM_COUNT);
    return algorithm_names[algorithm];
}

bool mw_jwt_algorithm_of(struct mw_str name, enum mw_jwt_algorithm *ret_algorithm)
{
    for (unsigned i = 0; i < MW_JWT_ALGORITHM_COUNT; i++) {
        if (mw_str_is(name, algorithm_names[i])) {
            *ret_algorithm = (enum mw_jwt_algorithm)i;
            return true;
        }
    }
    return false;
}

enum mw_rc mw_jwt_key_make(struct mw_arena *arena, enum mw_jwt_algorithm algorithm,
                           struct mw_jwt_key *ret_key, struct mw_err *err)
{
    struct mw_jwt_key key = {.algorithm = algorithm};
    enum mw_rc rc = load(err);
    if (rc != MW_OK)
        return rc;
    if (algorithm == MW_JWT_RS256) {
        key.pair = lib.EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    } else if (algorithm == MW_JWT_ES256) {
        key.pair = lib.EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    } else {
        uint8_t random[48];
        if (lib.RAND_bytes(random, sizeof random) != 1)
            return MW_FAIL(err, MW_E_FAILED, "no random bytes for a key");
        key.secret = base64url(arena, (struct mw_str){(const char *)random, sizeof random});
    }
    if ((algorithm == MW_JWT_RS256 || algorithm == MW_JWT_ES256) && key.pair == NULL)
        return MW_FAIL(err, MW_E_FAILED, "could not make a key for %s", algorithm_names[algorithm]);
    *ret_key = key;
    return MW_OK;
}

void mw_jwt_key_free(struct mw_jwt_key *key)
{
    if (key->pair != NULL)
        lib.EVP_PKEY_free(key->pair);
    key->pair = NULL;
}

enum mw_rc mw_jwt_key_public_pem(struct mw_arena *arena, const struct mw_jwt_key *key,
                                 struct mw_str *ret_pem, struct mw_err *err)
{
    MW_ASSERT(key->pair != NULL);
    enum mw_rc rc = load(err);
    if (rc != MW_OK)
        return rc;
    BIO *bio = lib.BIO_new(lib.BIO_s_mem());
    bool written = bio != NULL && lib.PEM_write_bio_PUBKEY(bio, key->pair) == 1;
    if (!written)
        rc = MW_FAIL(err, MW_E_FAILED, "could not write a public key");
    return keep_pem(arena, bio, rc, ret_pem);
}

enum mw_rc mw_jwt_key_private_pem(struct mw_arena *arena, const struct mw_jwt_key *key,
                                  struct mw_str *ret_pem, struct mw_err *err)
{
    MW_ASSERT(key->pair != NULL);
    enum mw_rc rc = load(err);
    if (rc != MW_OK)
        return rc;
    BIO *bio = lib.BIO_new(lib.BIO_s_mem());
    bool written =
        bio != NULL && lib.PEM_write_bio_PrivateKey(bio, key->pair, NULL, NULL, 0, NULL, NULL) == 1;
    if (!written)
        rc = MW_FAIL(err, MW_E_FAILED, "could not write a private key");
    return keep_pem(arena, bio, rc, ret_pem);
}

/* Else OpenSSL asks the terminal, or whatever stands on stdin. */
static int say_no_password(char *text, int size, int writing, void *unused)
{
    (void)text, (void)size, (void)writing, (void)unused;
    return -1;
}

bool mw_jwt_key_read_pem(struct mw_str pem, struct mw_jwt_key *key)
{
    if (load(NULL) != MW_OK)
        return false;
    BIO *bio = lib.BIO_new_mem_buf(pem.ptr, (int)pem.len);
    key->pair = bio != NULL ? lib.PEM_read_bio_PrivateKey(bio, NULL, say_no_password, NULL) : NULL;
    lib.BIO_free(bio);
    return key->pair != NULL;
}

enum mw_rc mw_jwt_mint(struct mw_arena *arena, const char *header_algorithm,
                       const struct mw_jwt_key *key, struct mw_str claims, struct mw_str *ret_token,
                       struct mw_err *err)
{
    struct mw_str header =
        mw_arena_format(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", header_algorithm);
    struct mw_str head = base64url(arena, header);
    struct mw_str body = base64url(arena, claims);
    struct mw_str input = mw_arena_format(arena, "%.*s.%.*s", MW_STR_ARG(head), MW_STR_ARG(body));
    uint8_t bytes[SIGNATURE_MAX];
    size_t len = 0;
    enum mw_rc rc = sign(key, input, bytes, &len, err);
    if (rc != MW_OK)
        return rc;
    struct mw_str signature = base64url(arena, (struct mw_str){(const char *)bytes, len});
    struct mw_str token =
        mw_arena_format(arena, "%.*s.%.*s", MW_STR_ARG(input), MW_STR_ARG(signature));
    if (arena->exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "no room for a token");
    *ret_token = token;
    return MW_OK;
}

static enum mw_rc sign_pair(const struct mw_jwt_key *key, struct mw_str input,
                            uint8_t ret_bytes[SIGNATURE_MAX], size_t *ret_len, struct mw_err *err)
{
    uint8_t der[SIGNATURE_MAX];
    size_t der_len = sizeof der;
    EVP_MD_CTX *context = lib.EVP_MD_CTX_new();
    bool made =
        context != NULL &&
        lib.EVP_DigestSignInit(context, NULL, lib.EVP_sha256(), NULL, key->pair) == 1 &&
        lib.EVP_DigestSign(context, der, &der_len, (const uint8_t *)input.ptr, input.len) == 1;
    lib.EVP_MD_CTX_free(context);
    if (!made)
        return MW_FAIL(err, MW_E_FAILED, "could not sign a token");
    if (key->algorithm == MW_JWT_RS256) {
        memcpy(ret_bytes, der, der_len);
        *ret_len = der_len;
        return MW_OK;
    }
    /* JWS wants r and s side by side, OpenSSL gives a DER sequence. */
    const uint8_t *cursor = der;
    ECDSA_SIG *pair = lib.d2i_ECDSA_SIG(NULL, &cursor, (long)der_len);
    if (pair == NULL)
        return MW_FAIL(err, MW_E_FAILED, "could not sign a token");
    bool fits = lib.BN_bn2binpad(lib.ECDSA_SIG_get0_r(pair), ret_bytes, ES256_HALF) == ES256_HALF &&
                lib.BN_bn2binpad(lib.ECDSA_SIG_get0_s(pair), ret_bytes + ES256_HALF, ES256_HALF) ==
                    ES256_HALF;
    lib.ECDSA_SIG_free(pair);
    if (!fits)
        return MW_FAIL(err, MW_E_FAILED, "the key is of another curve than P-256");
    *ret_len = (size_t)2 * ES256_HALF;
    return MW_OK;
}

static enum mw_rc sign(const struct mw_jwt_key *key, struct mw_str input,
                       uint8_t ret_bytes[SIGNATURE_MAX], size_t *ret_len, struct mw_err *err)
{
    if (key->algorithm == MW_JWT_NONE) {
        *ret_len = 0;
        return MW_OK;
    }
    enum mw_rc rc = load(err);
    if (rc != MW_OK)
        return rc;
    if (key->pair != NULL)
        return sign_pair(key, input, ret_bytes, ret_len, err);
    const EVP_MD *digest = key->algorithm == MW_JWT_HS256   ? lib.EVP_sha256()
                           : key->algorithm == MW_JWT_HS384 ? lib.EVP_sha384()
                                                            : lib.EVP_sha512();
    unsigned len = 0;
    if (lib.HMAC(digest, key->secret.ptr, (int)key->secret.len, (const uint8_t *)input.ptr,
                 input.len, ret_bytes, &len) == NULL)
        return MW_FAIL(err, MW_E_FAILED, "could not sign a token");
    *ret_len = len;
    return MW_OK;
}

static struct mw_str base64url(struct mw_arena *arena, struct mw_str bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = mw_arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);
    size_t len = 0;
    if (text == NULL)
        return MW_STR_NONE;
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t group = (uint32_t)(uint8_t)bytes.ptr[i] << 16;
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        if (have > 1)
            group |= (uint32_t)(uint8_t)bytes.ptr[i + 1] << 8;
        if (have > 2)
            group |= (uint32_t)(uint8_t)bytes.ptr[i + 2];
        for (size_t digit = 0; digit <= have; digit++)
            text[len++] = alphabet[group >> (18 - 6 * digit) & 63];
    }
    return (struct mw_str){text, len};
}
