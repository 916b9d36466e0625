/*
 * expr.h - the one expression language: routing rules, handoffs, gates, coordinator guards. A subset of CEL (docs/expressions.md).
 *
 * Total and bounded: no loops but the macros over finite lists, no calls out, no clock; a named limit on depth, nodes and cost. Integers are
 * int64 and overflow is an error; other numbers stay decimal text, are compared exactly and never computed with. No floating point.
 * Errors are values, as in CEL: && and || absorb them when the other side decides; everything else passes them on.
 *
 * Does not: know which roots a place offers (the caller checks with mw_expr_roots) or what a result is good for.
 */
#ifndef MW_EXPR_H
#define MW_EXPR_H

#include "base/json.h"

#define MW_EXPR_DEPTH_MAX 100  /* nesting of an expression */
#define MW_EXPR_NODES_MAX 4096 /* parts of an expression */
#define MW_EXPR_TEXT_MAX 65536 /* bytes of an expression */
#define MW_EXPR_COST_MAX                                                                           \
    100000 /* steps of one evaluation: a part evaluated, an item compared, 32 bytes looked at */
#define MW_EXPR_VARIABLES_MAX 32 /* variables of macros around one place */

struct mw_expr; /* arena of mw_expr_compile; immutable */

/* The text is copied. On failure (MW_E_INPUT, or MW_E_LIMIT) err says "column C: what; what would be right". */
MW_MUST enum mw_rc mw_expr_compile(struct mw_arena *arena, struct mw_str text,
                                   const struct mw_expr **ret_expr, struct mw_err *err);
struct mw_str mw_expr_text(const struct mw_expr *expr);

/* A name and what it means. The root with the empty name is special: names that no other root has are looked up as its fields. */
struct mw_expr_root {
    struct mw_str name;         /* borrowed */
    const struct mw_tape *tape; /* borrowed; must outlive the value */
    uint32_t node;              /* MW_NODE_NONE: as if the root were not there */
};

/* What an expression reads, each pair once, in order of appearance. For checking definitions. */
struct mw_expr_use {
    struct mw_str root;  /* the name read; never a macro's variable */
    struct mw_str field; /* its first field when written as .name or ["name"]; empty: the whole */
    uint32_t column;
};
/* False when index is past the last use. */
bool mw_expr_roots(const struct mw_expr *expr, uint32_t index, struct mw_expr_use *ret_use);
bool mw_expr_uses(const struct mw_expr *expr, struct mw_str root);

enum mw_value_type {
    MW_VALUE_NULL,
    MW_VALUE_BOOL,
    MW_VALUE_INTEGER,
    MW_VALUE_NUMBER, /* a number that is not an int64: `text`, in JSON's spelling */
    MW_VALUE_STRING,
    MW_VALUE_LIST,
    MW_VALUE_MAP
};

/* A list or map is either a node of a tape (tape not NULL) or items: a list's items, a map's keys and values in turn. */
struct mw_value {
    enum mw_value_type type;
    bool boolean;
    uint32_t node;
    uint32_t count; /* of list items or map members, either form */
    int64_t integer;
    struct mw_str text;           /* borrowed from expression or tape, or arena */
    const struct mw_tape *tape;   /* borrowed */
    const struct mw_value *items; /* arena */
};

const char *mw_value_type_name(enum mw_value_type type);
struct mw_value mw_value_of_node(const struct mw_tape *tape,
                                 uint32_t node); /* absent reads as null */
/* CEL equality: numbers by value, other types never equal one another. Its own cost is not counted. */
bool mw_value_equal(const struct mw_value *a, const struct mw_value *b);
/* As JSON. Keys of maps that are not strings are written as strings. */
void mw_value_write(const struct mw_value *value, struct mw_json *json);

/* The value, or MW_E_INPUT (MW_E_LIMIT for cost and memory) with "column C: what". The arena holds what the value points to. */
MW_MUST enum mw_rc mw_expr_eval(const struct mw_expr *expr, const struct mw_expr_root *roots,
                                size_t root_count, struct mw_arena *arena,
                                struct mw_value *ret_value, struct mw_err *err);

enum mw_expr_cause {
    MW_EXPR_DECIDED,    /* the value was true or false */
    MW_EXPR_NOT_BOOL,   /* the value was something else */
    MW_EXPR_ABSENT,     /* a root, key or index that is not there */
    MW_EXPR_MISMATCH,   /* an operation that these types do not have */
    MW_EXPR_ARITHMETIC, /* overflow, division by zero, a conversion that does not fit */
    MW_EXPR_LIMIT       /* cost, memory */
};

struct mw_expr_why {
    enum mw_expr_cause cause;
    uint32_t column; /* 1-based, in bytes; 0 when DECIDED */
    struct mw_str
        about; /* absent: the key or name; otherwise words. Borrowed from expression, tape or arena. */
};

/* True only when the value is the boolean true. ret_why (may be NULL) says why it is false. */
bool mw_expr_test(const struct mw_expr *expr, const struct mw_expr_root *roots, size_t root_count,
                  struct mw_arena *arena, struct mw_expr_why *ret_why);

#endif
