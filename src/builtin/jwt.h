/*
 * jwt.h - makes JSON Web Tokens, good and bad ones, to hold a service's door against.
 *
 * Owns:     keys made for one check. Does not: verify tokens; these keys and tokens are worth nothing anywhere else.
 * Needs:    libcrypto, loaded with the first key; MW_E_MISSING without it.
 * Limits:   HS256, HS384, HS512, RS256, ES256, and "none" (an empty signature).
 */
#ifndef MW_JWT_H
#define MW_JWT_H

#include "base/arena.h"

enum mw_jwt_algorithm {
    MW_JWT_NONE,
    MW_JWT_HS256,
    MW_JWT_HS384,
    MW_JWT_HS512,
    MW_JWT_RS256,
    MW_JWT_ES256,
    MW_JWT_ALGORITHM_COUNT
};

struct mw_jwt_key {
    enum mw_jwt_algorithm algorithm; /* what it signs with */
    struct mw_str secret;            /* arena: HS… */
    void *pair;                      /* owned: RS256, ES256 */
};

const char *mw_jwt_algorithm_name(enum mw_jwt_algorithm algorithm); /* "none", "HS256", … */
/* False when name is none of them. */
bool mw_jwt_algorithm_of(struct mw_str name, enum mw_jwt_algorithm *ret_algorithm);

/* A fresh random key. */
MW_MUST enum mw_rc mw_jwt_key_make(struct mw_arena *arena, enum mw_jwt_algorithm algorithm,
                                   struct mw_jwt_key *ret_key, struct mw_err *err);
void mw_jwt_key_free(struct mw_jwt_key *key);
/* The public half as PEM (SubjectPublicKeyInfo); RS256 and ES256 only. */
MW_MUST enum mw_rc mw_jwt_key_public_pem(struct mw_arena *arena, const struct mw_jwt_key *key,
                                         struct mw_str *ret_pem, struct mw_err *err);
/* The private half as PEM, and back again: false when that is no key, or one behind a password, which nobody is asked for. */
MW_MUST enum mw_rc mw_jwt_key_private_pem(struct mw_arena *arena, const struct mw_jwt_key *key,
                                          struct mw_str *ret_pem, struct mw_err *err);
bool mw_jwt_key_read_pem(struct mw_str pem, struct mw_jwt_key *key);
/* Signs claims (a JSON text) with key; the header says header_algorithm, which a bad token chooses to differ. */
MW_MUST enum mw_rc mw_jwt_mint(struct mw_arena *arena, const char *header_algorithm,
                               const struct mw_jwt_key *key, struct mw_str claims,
                               struct mw_str *ret_token, struct mw_err *err);

#endif
