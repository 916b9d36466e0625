/*
 * blueprint.h - the blueprint in memory (docs/blueprint.md, schema 1): building, checking, writing.
 *
 * Owns:     names and their derivations, limits, duplicate checks, the canonical bytes, the payload of StrategicBlueprintGenerated.
 * Does not: read prompts (infer.h) or files (blueprint_import.h).
 * Memory:   everything lies in one arena; lists keep their order; nothing is ever taken out but by unlinking.
 * Limits:   64 services, 64 entities a service, 128 fields an entity, 1,000 use cases a service, 100 values an enum; names 64 bytes.
 * Errors:   a check gives MW_E_INPUT (or MW_E_LIMIT for a limit, named) with the JSON pointer of the place.
 */
#ifndef MW_BLUEPRINT_H
#define MW_BLUEPRINT_H

#include "base/json.h"
#include "builtin/words.h"

#define MW_BP_SERVICES_MAX 64
#define MW_BP_ENTITIES_MAX 64
#define MW_BP_FIELDS_MAX 128
#define MW_BP_CASES_MAX 1000
#define MW_BP_VALUES_MAX 100
#define MW_BP_RECORD_BYTES_MAX                                                                     \
    50000 /* of its texts; a service is judged with bodies of 64 KiB too */

enum mw_bp_type {
    MW_BP_STRING,
    MW_BP_INTEGER,
    MW_BP_NUMBER,
    MW_BP_BOOLEAN,
    MW_BP_DATE,
    MW_BP_EMAIL,
    MW_BP_ENUM,
    MW_BP_REFERENCE,
    MW_BP_TYPE_COUNT
};

enum mw_bp_effect {
    MW_BP_CREATE,
    MW_BP_READ,
    MW_BP_LIST,
    MW_BP_UPDATE,
    MW_BP_DELETE,
    MW_BP_SET,
    MW_BP_ASSIGN,
    MW_BP_INCREMENT,
    MW_BP_EFFECT_COUNT
};

struct mw_bp_field {
    struct mw_bp_field *next;
    struct mw_str name;
    enum mw_bp_type type;
    bool required;
    bool default_given;
    struct mw_str default_text; /* a string's or enum's text; for the others the JSON text */
    struct mw_str min, max;     /* canonical decimals; empty: none */
    struct mw_str values[MW_BP_VALUES_MAX];
    uint32_t value_count;
    struct mw_str entity; /* reference */
    /* How it came to be, for what is assumed. */
    bool type_said, required_said;
    bool measured; /* "in km": a number when nothing else says so */
};

struct mw_bp_set {
    struct mw_bp_set *next;
    struct mw_str field;
    struct mw_str json; /* the value's JSON text */
};

struct mw_bp_name {
    struct mw_bp_name *next;
    struct mw_str name;
};

struct mw_bp_case {
    struct mw_bp_case *next;
    struct mw_str name, slug, action, entity;
    enum mw_bp_effect effect;
    struct mw_bp_set *set;     /* MW_BP_SET */
    struct mw_bp_name *fields; /* MW_BP_ASSIGN */
    struct mw_str field, by;   /* MW_BP_INCREMENT */
};

struct mw_bp_entity {
    struct mw_bp_entity *next;
    struct mw_str name, slug, plural;
    struct mw_bp_field *fields;
    uint32_t field_count;
};

struct mw_bp_service {
    struct mw_bp_service *next;
    struct mw_str name, slug, domain;
    struct mw_str storage;   /* "MongoDB", "File", "Memory"; empty while undecided */
    struct mw_str algorithm; /* "HS256" …; empty: no authentication */
    struct mw_bp_entity *entities;
    struct mw_bp_case *cases;
    uint32_t entity_count, case_count;
};

struct mw_bp {
    struct mw_arena *arena;       /* borrowed */
    const struct mw_words *words; /* borrowed */
    struct mw_str name, slug;
    struct mw_bp_service *services;
    uint32_t service_count;
    struct mw_str test_scope; /* JSON array */
};

const char *mw_bp_type_name(enum mw_bp_type type);
/* False when there is no such type or effect. */
bool mw_bp_type_of(struct mw_str name, enum mw_bp_type *ret_type);
const char *mw_bp_effect_name(enum mw_bp_effect effect);
bool mw_bp_effect_of(struct mw_str name, enum mw_bp_effect *ret_effect);

/* Adding: at the end of its list; name, slug, plural and domain are derived. NULL when the arena is exhausted. */
struct mw_bp_service *mw_bp_add_service(struct mw_bp *bp, struct mw_str base);
struct mw_bp_entity *mw_bp_add_entity(struct mw_bp *bp, struct mw_bp_service *service,
                                      struct mw_str words);
void mw_bp_add_field(struct mw_bp_entity *entity, struct mw_bp_field *field);
void mw_bp_add_case(struct mw_bp_service *service, struct mw_bp_case *made);

/* Finding: by name, without regard to case and word breaks; NULL when there is none. */
struct mw_bp_service *mw_bp_service_of(const struct mw_bp *bp, struct mw_str base);
struct mw_bp_entity *mw_bp_entity_of(const struct mw_bp_service *service, struct mw_str name);
struct mw_bp_field *mw_bp_field_of(const struct mw_bp_entity *entity, struct mw_str name);
/* "NotificationService", "notification-service" and "Notification" give "notification". */
struct mw_str mw_bp_base(struct mw_arena *arena, struct mw_str service_name);
bool mw_bp_same_name(struct mw_str a, struct mw_str b);

/* A plain decimal ("-0012.50" gives "-12.5"); empty when text is none, or has more than 15 digits. */
struct mw_str mw_bp_decimal(struct mw_arena *arena, struct mw_str text);
int mw_bp_decimal_cmp(struct mw_str a, struct mw_str b); /* canonical ones */
/* Makes default_text canonical ("yes" gives true for a boolean). What is wrong with the field by itself, or the empty string. */
struct mw_str mw_bp_field_wrong(struct mw_arena *arena, struct mw_bp_field *field);
/* JSON text of a plain value for the field, or empty when it does not fit: *ret_why. */
struct mw_str mw_bp_value(struct mw_arena *arena, const struct mw_bp_field *field,
                          struct mw_str text, struct mw_str *ret_why);

/* HTTP of a use case: method and path as docs/blueprint.md says. */
const char *mw_bp_method(enum mw_bp_effect effect);
struct mw_str mw_bp_path(struct mw_arena *arena, const struct mw_bp_entity *entity,
                         const struct mw_bp_case *made);

/* Everything that must hold of a whole blueprint: limits, names, duplicates, references, no two use cases with one method and path. */
MW_MUST enum mw_rc mw_bp_check(const struct mw_bp *bp, struct mw_err *err);

/* The canonical `blueprint` object. */
void mw_bp_write(const struct mw_bp *bp, struct mw_buf *out);
void mw_bp_write_entity(struct mw_json *json, const struct mw_bp_entity *entity);
/* A use case's members, for the inside of an object. */
void mw_bp_write_case(struct mw_json *json, const struct mw_bp_case *made);

#endif
