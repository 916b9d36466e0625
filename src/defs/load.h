/*
 * load.h - what the files of the loader share. Private to src/defs.
 *
 * Functions give false after they have filled err: the first mistake ends the loading. Everything is allocated in the catalogue's arena.
 */
#ifndef MW_DEFS_LOAD_H
#define MW_DEFS_LOAD_H

#include "base/format.h"
#include "defs/catalogue.h"
#include "defs/rules.h"

#define MW_GROUP_DEPTH_MAX 8         /* groups inside groups */
#define MW_MEMBERS_MAX 256           /* members of one group, as written and as made */
#define MW_STATES_MAX 64             /* of a coordinator */
#define MW_TRANSITIONS_MAX 32        /* of a state */
#define MW_ROLES_MAX 64              /* of a workflow */
#define MW_HANDOFFS_MAX 256          /* of a workflow */
#define MW_STEPS_MAX 32              /* of a journey */
#define MW_BINDINGS_MAX 64           /* names in a payload */
#define MW_TEXTS_MAX 256             /* of a list of names */
#define MW_DURATION_MAX_MS 604800000 /* a week */
#define MW_ITERATIONS_MAX 10000
#define MW_ITERATIONS_DEFAULT 50
#define MW_RUN_TIMEOUT_DEFAULT_MS 3600000
#define MW_ATTEMPTS_MAX 10
#define MW_BACKOFF_FACTOR_MAX 10
#define MW_ROUTING_ATTEMPTS_MAX 100
#define MW_RUNNING_MAX 1024
#define MW_RUNNING_DEFAULT 8
#define MW_TIER_MAX 1000
#define MW_CAPACITY_MAX 65536
#define MW_OUTPUT_BYTES_MAX 1073741824
#define MW_FILES_MAX 100000

/* Roots that a place offers besides intent, documents, metadata and scope. */
#define LOAD_ITEM 1u
#define LOAD_OUTER 2u
#define LOAD_EVENT 4u
#define LOAD_FACTS 8u

enum load_kind {
    LOAD_WORKFLOW,
    LOAD_JOURNEY,
    LOAD_PLAN,
    LOAD_COORDINATOR,
    LOAD_POLICIES,
    LOAD_RULES,
    LOAD_AGENT,
    LOAD_POLICY, /* one of a file's policies; no kind of file */
    LOAD_DOCUMENT
};

/* A name that definitions use for one another. */
struct load_name {
    enum load_kind kind;
    struct mw_str name;
    uint32_t index; /* among its kind */
    struct mw_str path;
    uint32_t line;
};

/* An event type that something waits for; checked when all that emit are known. */
struct load_wait {
    const struct mw_definition_file *file;
    struct mw_str type;
    uint32_t line;
    uint32_t column;
};

struct load_list {
    void **items; /* arena */
    uint32_t count;
    uint32_t cap;
};

struct loader {
    struct mw_arena *arena;
    struct mw_err *err;
    enum mw_rc rc;
    const struct mw_definition_file *file; /* the one being read */
    const struct mw_tape *tape;            /* its */
    struct load_list names;                /* struct load_name */
    struct load_list waits;                /* struct load_wait */
    struct load_list emits;     /* struct mw_str: types that tasks expect and definitions emit */
    struct load_list documents; /* struct mw_document_def: of all journeys */
    struct load_list tasks;     /* struct mw_task_def */
    struct load_list groups;    /* struct mw_group_def */
    struct load_list agents;    /* struct mw_agent_def */
    struct load_list rules;     /* struct mw_rules */
    struct load_list policies;  /* struct mw_policy */
    struct load_list policy_skills; /* struct mw_str lists; see load_policy.c */
    struct load_list plans;         /* struct mw_group_def, by index of the plan's name */
    struct load_list coordinators;  /* struct mw_coordinator_def */
    struct load_list workflows;     /* struct mw_workflow_def */
    struct load_list journeys;      /* struct mw_journey_def */
    uint32_t policy_any;            /* index of the policy for "*" */
    uint32_t running_max;
    uint32_t running_line; /* where concurrency was set; 0: nowhere yet */
    struct mw_str running_path;
    uint32_t depth; /* groups around */
};

/* load_common.c */
bool load_refuse(struct loader *l, uint32_t node, const char *format, ...) MW_PRINTF(3, 4);
bool load_refuse_at(struct loader *l, uint32_t line, uint32_t column, const char *format, ...)
    MW_PRINTF(4, 5);
void *load_alloc(struct loader *l, size_t item_bytes, size_t count); /* NULL after refusing */
bool load_memory(struct loader *l);                                  /* refuses: no memory left */
#define load_array(l, type, count) ((type *)load_alloc((l), sizeof(type), (count)))
bool load_add(struct loader *l, struct load_list *list, void *item);
uint32_t load_line(const struct loader *l, uint32_t node);
uint32_t load_key(const struct loader *l, uint32_t object, const char *key); /* the value's node */
/* The object at node has no keys but these (separated by spaces). what: "a task". */
bool load_keys(struct loader *l, uint32_t node, const char *keys, const char *what);
bool load_need(struct loader *l, uint32_t object, const char *key, const char *what,
               uint32_t *ret_node);
bool load_text(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_text);
/* Letters, digits, '_', '-' and '.', starting with a letter; at most 64. */
bool load_word(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_text);
bool load_type(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_type);
/* Absent: none. One word or a list of words, none twice. */
bool load_texts(struct loader *l, uint32_t node, const char *what, const struct mw_str **ret_items,
                uint32_t *ret_count);
/* Well-formed types that something must emit. */
bool load_waits(struct loader *l, uint32_t node, const struct mw_str **ret_items,
                uint32_t *ret_count);
bool load_bool(struct loader *l, uint32_t object, const char *key, bool otherwise, bool *ret_value);
bool load_number(struct loader *l, uint32_t object, const char *key, int64_t least, int64_t most,
                 int64_t otherwise, int64_t *ret_value);
bool load_duration(struct loader *l, uint32_t object, const char *key, uint32_t otherwise_ms,
                   uint32_t *ret_ms);
/* The nearest of the words (separated by spaces), for "did you mean"; empty when none is near. */
struct mw_str load_near(struct mw_str word, const char *words);
struct mw_str load_near_name(const struct loader *l, enum load_kind kind, struct mw_str word);
unsigned load_distance(struct mw_str a, struct mw_str b);

/* load_names.c */
bool load_name_add(struct loader *l, enum load_kind kind, struct mw_str name, uint32_t node,
                   uint32_t index);
const struct load_name *load_name_find(const struct loader *l, enum load_kind kind,
                                       struct mw_str name);
bool load_name_index(struct loader *l, enum load_kind kind, uint32_t node, uint32_t *ret_index);
const char *load_kind_name(enum load_kind kind);
bool load_skill(struct loader *l, uint32_t node, struct mw_str *ret_skill);
bool load_skill_is_known(const struct loader *l, struct mw_str skill);
bool load_wait_add(struct loader *l, struct mw_str type, uint32_t line, uint32_t column);
bool load_emit_add(struct loader *l, struct mw_str type);
bool load_waits_check(struct loader *l);
bool load_contract_has_event(struct mw_str type);
bool load_contract_has_command(struct mw_str type);

/* load_expr.c */
bool load_expr(struct loader *l, uint32_t node, unsigned roots, const struct mw_expr **ret_expr);
/* Of the member key; absent gives NULL. */
bool load_expr_at(struct loader *l, uint32_t object, const char *key, unsigned roots,
                  const struct mw_expr **ret_expr);
bool load_expr_text(struct loader *l, struct mw_str text, uint32_t line, uint32_t column,
                    unsigned roots, const struct mw_expr **ret_expr);
bool load_bindings(struct loader *l, uint32_t node, unsigned roots,
                   struct mw_bindings *ret_bindings);
/* when, rule and field of an object; rule is `otherwise` and field what `when` looks at first, when not written. */
bool load_rule(struct loader *l, uint32_t object, unsigned roots, struct mw_str otherwise,
               const struct mw_expr **ret_when, struct mw_str *ret_rule,
               const struct mw_expr **ret_field);
/* What a condition reads first, as an expression of its own (NULL: nothing): the journal says its value. */
bool load_field_of(struct loader *l, const struct mw_expr *when, uint32_t line, uint32_t column,
                   unsigned roots, const struct mw_expr **ret_field);
/* The path of plain names that begins where the use does: metadata.gateway.enabled. At least the root. */
struct mw_str load_path_at(struct mw_str text, const struct mw_expr_use *use);
/* blueprint and design, for files that are read without a journey. */
bool load_documents_usual(struct loader *l);
bool load_is_document(const struct loader *l, struct mw_str name);

/* load_task.c, load_group.c and one file a kind */
bool load_task(struct loader *l, uint32_t node, unsigned roots, struct mw_str routed_skill,
               const struct mw_task_def **ret_task);
bool load_group(struct loader *l, uint32_t node, unsigned roots,
                const struct mw_group_def **ret_group);
bool load_plan(struct loader *l);
bool load_coordinator(struct loader *l);
bool load_workflow(struct loader *l);
bool load_journey(struct loader *l);
bool load_policies(struct loader *l);
bool load_policies_end(struct loader *l);
bool load_policy_for(struct loader *l, uint32_t task_node, struct mw_str skill,
                     uint32_t *ret_policy);
bool load_agent(struct loader *l, uint32_t node, struct mw_agent_def *ret_agent);

/* load_rules.c: of the file being read. */
bool load_rules_name(struct loader *l, struct mw_str *ret_name);
bool load_rules_tape(struct loader *l, struct mw_rules *ret_rules);
bool load_rules_text(struct loader *l, struct mw_rules *ret_rules);

#endif
