/*
 * blueprint_keys.h - reading the objects of a blueprint file: known keys in any spelling, errors with the place.
 *
 * Owns:     key spelling (useCases, use_cases, use-cases are one key), messages.
 * Does not: know what the values mean.
 * Errors:   all MW_E_INPUT: "POINTER: found WHAT; RIGHT".
 */
#ifndef MW_BLUEPRINT_KEYS_H
#define MW_BLUEPRINT_KEYS_H

#include "builtin/infer.h"

struct mw_key {
    const char *spelling; /* lower case, without '_' and '-' */
    uint32_t slot;
};

struct mw_import {
    struct mw_infer *inf;
    const struct mw_tape *tape;
    struct mw_err *err;
};

/* Fills slots (MW_NODE_NONE where absent). Unknown keys and two spellings of one key are refused. */
MW_MUST enum mw_rc mw_keys_read(const struct mw_import *imp, uint32_t object, struct mw_str at,
                                const struct mw_key *keys, uint32_t key_count, uint32_t *slots,
                                uint32_t slot_count);
MW_MUST enum mw_rc mw_keys_wrong(const struct mw_import *imp, uint32_t node, struct mw_str at,
                                 const char *right);
MW_MUST enum mw_rc mw_keys_text(const struct mw_import *imp, uint32_t node, struct mw_str at,
                                const char *right, struct mw_str *ret_text);
struct mw_str mw_keys_at(const struct mw_import *imp, struct mw_str at, struct mw_str key);
struct mw_str mw_keys_index(const struct mw_import *imp, struct mw_str at, uint32_t index);
bool mw_keys_absent(const struct mw_import *imp, uint32_t node); /* not there, or null */

/* --- blueprint_fields.c --- */
MW_MUST enum mw_rc mw_import_fields(const struct mw_import *imp, struct mw_bp_service *service,
                                    struct mw_bp_entity *entity, uint32_t node, struct mw_str at);
MW_MUST enum mw_rc mw_import_entities(const struct mw_import *imp, struct mw_bp_service *service,
                                      uint32_t node, struct mw_str at);
/* A scalar as text, when its JSON type fits the field's. */
MW_MUST enum mw_rc mw_import_scalar(const struct mw_import *imp, const struct mw_bp_field *field,
                                    uint32_t node, struct mw_str at, struct mw_str *ret_text);

/* --- blueprint_cases.c --- */
/* service: where they were written; NULL: at the top, to be matched by their nouns. */
MW_MUST enum mw_rc mw_import_cases(const struct mw_import *imp, struct mw_bp_service *service,
                                   uint32_t node, struct mw_str at);

#endif
