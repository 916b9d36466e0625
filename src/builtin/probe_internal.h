/*
 * probe_internal.h - what the parts of the probe share. Private to src/builtin/probe*.c and its tests.
 *
 * probe_design.c reads the design; probe_values.c knows good and bad values of each field type; probe_record.c compares records; probe_ask.c
 * asks and judges one answer; probe_fields.c, probe_effects.c, probe_list.c, probe_door.c, probe_http.c and probe_raw.c hold one chapter of docs/generated-app.md each;
 * probe.c starts, kills and restarts the service and puts the chapters in order.
 */
#ifndef MW_PROBE_INTERNAL_H
#define MW_PROBE_INTERNAL_H

#include "builtin/blueprint.h"
#include "builtin/http_client.h"
#include "builtin/jwt.h"
#include "builtin/probe.h"
#include "builtin/service.h"

#define PROBE_FIELDS_MAX MW_BP_FIELDS_MAX
#define PROBE_ENTITIES_MAX MW_BP_ENTITIES_MAX
#define PROBE_USE_CASES_MAX MW_BP_CASES_MAX
#define PROBE_RECORDS_MAX 4096
#define PROBE_VALUES_MAX 320
#define PROBE_CHANGES_MAX PROBE_FIELDS_MAX
#define PROBE_STRING_MAX 10000 /* a string without max */
#define PROBE_NONE UINT32_MAX

enum probe_type {
    PROBE_STRING,
    PROBE_INTEGER,
    PROBE_NUMBER,
    PROBE_BOOLEAN,
    PROBE_DATE,
    PROBE_EMAIL,
    PROBE_ENUM,
    PROBE_REFERENCE,
    PROBE_TYPE_COUNT
};

enum probe_effect {
    PROBE_CREATE,
    PROBE_READ,
    PROBE_LIST,
    PROBE_UPDATE,
    PROBE_DELETE,
    PROBE_SET,
    PROBE_ASSIGN,
    PROBE_INCREMENT,
    PROBE_EFFECT_COUNT
};

struct probe_field {
    struct mw_str name;
    struct mw_str words; /* "due date" */
    enum probe_type type;
    bool required;
    struct mw_str preset; /* the default as JSON; ptr NULL: none */
    bool has_min, has_max;
    double min, max;
    uint32_t values; /* node: of an enum */
    uint32_t entity; /* of a reference; PROBE_NONE when it is no entity of the service */
};

struct probe_entity {
    struct mw_str name;
    struct probe_field *fields; /* arena */
    uint32_t field_count;
    uint32_t by_effect[PROBE_EFFECT_COUNT]; /* the first use case; PROBE_NONE */
    uint32_t anchor[2]; /* a record of each owner that references point to; PROBE_NONE */
    bool creatable;     /* has a create use case and no circle of required references */
};

struct probe_use_case {
    struct mw_str name, method, path;
    uint32_t entity;
    enum probe_effect effect;
    uint32_t set;    /* node: of set */
    uint32_t fields; /* node: of assign */
    struct mw_str field;
    double by;
};

struct probe_record {
    uint32_t entity;
    uint32_t owner; /* 0 or 1 */
    struct mw_str id;
    struct mw_str
        json; /* heap: the whole record as last answered; not its own place: replaced in place */
    int64_t changed_ns;
    bool gone;     /* deleted, or not there by rights: never compared */
    uint32_t last; /* the use case that changed it last; PROBE_NONE */
    bool vague;    /* made by a request that should have been refused: counted, not compared */
};

/* One answer. */
struct probe_answer {
    int status;
    struct mw_str body; /* borrowed from the client until the next request */
    const char *content_type, *allow, *challenge;
    struct mw_tape tape; /* scratch; count 0 when the body is no JSON */
};

struct probe_value {
    struct mw_str json;
    struct mw_str label;
};

struct probe_values {
    struct probe_value items[PROBE_VALUES_MAX];
    uint32_t count;
};

struct probe_change {
    struct mw_str name;
    struct mw_str json; /* ptr NULL: absent afterwards */
};

struct probe_body {
    struct mw_str values[PROBE_FIELDS_MAX]; /* JSON; ptr NULL: absent */
};

struct probe {
    const struct mw_probe_options *options;
    struct mw_probe_report *report;
    struct mw_arena keep;    /* as long as the probe */
    struct mw_arena scratch; /* one check */
    struct mw_str service_name;
    struct mw_str slug;
    bool durable; /* storage other than Memory */
    bool auth;
    enum mw_jwt_algorithm algorithm;
    struct probe_entity *entities;
    uint32_t entity_count;
    struct probe_use_case *use_cases;
    uint32_t use_case_count;
    struct probe_record *records;
    uint32_t record_count;
    struct mw_jwt_key key, other_key, rsa_key;
    struct mw_str public_pem;
    const char *bearer[2]; /* keep: "Bearer …" of each owner */
    struct mw_client http;
    struct mw_service service;
    char data_dir[4096];
    uint32_t number;        /* makes normal values differ */
    uint32_t asked_count;   /* requests since the start of this process of the service */
    uint32_t revived_count; /* times it had to be started again because it ended by itself */
    bool issuer;            /* this start checks the issuer */
    uint32_t body_limit;    /* BODY_LIMIT_BYTES of this start; 0: not given */
    const char *when;       /* of a list: "", " after kill -9" */
    bool stopped;           /* nothing more can be asked */
    bool missing;           /* the program that starts the service is not there */
};

/* probe_design.c */
MW_MUST enum mw_rc probe_design_read(struct probe *p, struct mw_err *err);
uint32_t probe_find_entity(const struct probe *p, struct mw_str name);
uint32_t probe_find_field(const struct probe_entity *entity, struct mw_str name);
/* "due date" of "dueDate". */
struct mw_str probe_words(struct mw_arena *arena, struct mw_str name);
struct mw_str probe_node_json(struct mw_arena *arena, const struct mw_tape *tape, uint32_t node);

/* probe_values.c: a reference's values are asked for, which may create records. */
struct mw_str probe_value_normal(struct probe *p, const struct probe_field *field, uint32_t owner);
/* A good value that is not `other`; ptr NULL when there is no second one. */
struct mw_str probe_value_not(struct probe *p, const struct probe_field *field, uint32_t owner,
                              struct mw_str other);
void probe_values_good(struct probe *p, const struct probe_field *field, uint32_t owner,
                       struct probe_values *ret_values);
void probe_values_bad(struct probe *p, const struct probe_field *field, uint32_t owner,
                      struct probe_values *ret_values);
struct mw_str probe_quote(struct mw_arena *arena, struct mw_str text); /* as a JSON string */
struct mw_str probe_number(struct mw_arena *arena, double value);

/* probe_record.c */
bool probe_json_equal(const struct mw_tape *a, uint32_t a_node, const struct mw_tape *b,
                      uint32_t b_node);
/* The first difference between what the record was with the changes and what the answer holds at node; ptr NULL: none. before may be empty. */
struct mw_str probe_difference(struct probe *p, struct mw_str before,
                               const struct probe_change *changes, uint32_t change_count,
                               bool may_touch, const struct mw_tape *tape, uint32_t node);
bool probe_time_us(struct mw_str text, int64_t *ret_us); /* RFC 3339 UTC */
bool probe_is_uuid(struct mw_str text);
/* Keeps a new record (vague when its answer was not as expected). PROBE_NONE when there is no room or no id. */
uint32_t probe_record_add(struct probe *p, uint32_t entity, uint32_t owner,
                          const struct mw_tape *tape, uint32_t node, bool vague);
void probe_record_update(struct probe *p, uint32_t record, const struct mw_tape *tape,
                         uint32_t node);

/* probe_ask.c */
struct probe_ask {
    const char *method;
    struct mw_str path;
    uint32_t owner;            /* whose token; ignored without auth; PROBE_NONE: no token */
    const char *authorization; /* instead of the owner's */
    const char *content_type;  /* NULL: application/json when there is a body; "": none */
    struct mw_str body;        /* ptr NULL: none */
};
/* Sends it. False: no answer (told as a failure of `name`), or the probe is over. */
bool probe_send(struct probe *p, struct mw_str name, const struct probe_ask *ask,
                struct probe_answer *ret_answer);
/* Sends and wants this status, and for errors the shape of errors. */
bool probe_expect(struct probe *p, struct mw_str name, const struct probe_ask *ask, int status,
                  struct probe_answer *ret_answer);
/* Sends and wants 400 naming exactly these fields. *ret_answer may be NULL. */
bool probe_expect_refused(struct probe *p, struct mw_str name, const struct probe_ask *ask,
                          const struct mw_str *fields, uint32_t field_count,
                          struct probe_answer *ret_answer);
void probe_pass(struct probe *p);
void probe_fail(struct probe *p, struct mw_str name, struct mw_str expected, struct mw_str actual);
/* Passes or fails; true: passed. */
bool probe_judge(struct probe *p, bool passed, struct mw_str name, const char *expected,
                 struct mw_str actual);
void probe_skip(struct probe *p, const char *format, ...) MW_PRINTF(2, 3);
#define probe_say(p, ...) mw_arena_format(&(p)->scratch, __VA_ARGS__)
/* The use case's path with the id put in. */
struct mw_str probe_path(struct probe *p, const struct probe_use_case *use_case, struct mw_str id);
struct mw_str probe_body_text(struct probe *p, const struct probe_entity *entity,
                              const struct probe_body *body, const char *extra);
void probe_body_minimal(struct probe *p, uint32_t entity, uint32_t owner,
                        struct probe_body *ret_body);
void probe_body_full(struct probe *p, uint32_t entity, uint32_t owner, struct probe_body *ret_body);
/* Creates and compares the answer with what the body means. The record's index or PROBE_NONE (told). */
uint32_t probe_create(struct probe *p, uint32_t entity, uint32_t owner,
                      const struct probe_body *body, struct mw_str name);
/* False (told as not checked) when no record of it can be made. */
bool probe_can_create(struct probe *p, uint32_t entity, const char *why);
/* A record that references may point to. PROBE_NONE when none can be made. */
uint32_t probe_anchor(struct probe *p, uint32_t entity, uint32_t owner);
/* A fresh record with every field given. PROBE_NONE when none can be made (told once as not checked). */
uint32_t probe_fresh(struct probe *p, uint32_t entity, uint32_t owner, const char *why);
/* Reads one record back by whatever the service has and compares. False only when that failed or could not be done. */
bool probe_read_back(struct probe *p, uint32_t record, struct mw_str name);
/* All records, by list and by id; after a restart. */
void probe_read_all(struct probe *p, const char *when);

/* The chapters. */
void probe_http(struct probe *p);                 /* probe_http.c */
void probe_http_limit(struct probe *p);           /* with BODY_LIMIT_BYTES */
void probe_http_log(struct probe *p, bool whole); /* after the end of the process */
void probe_fields(struct probe *p);               /* probe_fields.c: create, update, assign */
void probe_fields_update(struct probe *p, uint32_t use_case);
void probe_effects(
    struct probe *p); /* probe_effects.c: set, assign, increment, update, delete, list */
/* Every state-changing use case once more on its own record, without reading back: the service is killed next. */
void probe_effects_last(struct probe *p);
void probe_list(struct probe *p, uint32_t use_case);
/* Sends the change, wants 200, compares the answer with the record and the changes, and keeps the answer as what the record is now. */
bool probe_change_by(struct probe *p, uint32_t use_case, uint32_t record, struct mw_str body,
                     const struct probe_change *changes, uint32_t change_count, struct mw_str name);
/* The record's field as JSON; ptr NULL: absent. */
struct mw_str probe_record_field(struct probe *p, uint32_t record, struct mw_str field);
/* A record on which the use case makes a difference. PROBE_NONE: none can be made (told). */
uint32_t probe_fresh_for(struct probe *p, const struct probe_use_case *use_case);
/* Whether an increment's result stays inside the field's bounds. */
bool probe_has_room(struct probe *p, const struct probe_use_case *use_case, struct mw_str after);
/* A state-changing use case whose answer shows the record, rather not the one that changed it last; PROBE_NONE: there is none. */
uint32_t probe_stand_in(struct probe *p, uint32_t record);
/* A body that assign or update accepts for this record's owner. */
struct mw_str probe_body_for(struct probe *p, const struct probe_use_case *use_case,
                             uint32_t owner);
/* Does use_case (set, increment, assign, update) to record with values of its own choice, as probe_change_by. */
bool probe_do(struct probe *p, uint32_t use_case, uint32_t record, struct mw_str name);
void probe_door(struct probe *p);        /* probe_door.c: tokens and other users */
void probe_door_issuer(struct probe *p); /* with JWT_ISSUER */
struct mw_str probe_token(struct probe *p, const char *header_algorithm,
                          const struct mw_jwt_key *key, struct mw_str claims);
struct mw_str probe_claims(struct probe *p, uint32_t owner);

/* probe_raw.c */
#define PROBE_SLOW_MS 1000 /* REQUEST_TIMEOUT_MS of the start that checks it */
void probe_raw_slow(struct probe *p);
void probe_raw_together(struct probe *p,
                        uint32_t use_case); /* increments at the same time: all count */
void probe_raw_burst(struct probe *p); /* creates that nobody hears the answer of, then kill -9 */
/* A request that runs; its connection and the rest of its body. -1: it could not be begun (told as not checked). */
int probe_raw_begin(struct probe *p, struct mw_str *ret_rest);
void probe_raw_finish(struct probe *p, int fd, struct mw_str rest);

/* probe.c */
MW_MUST bool probe_start(struct probe *p, const char *when);

#endif
