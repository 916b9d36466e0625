/*
 * expr_internal.h - what the files of the expression language share: tokens, the tree, values with a budget. Private to rules/expr*.c.
 */
#ifndef MW_EXPR_INTERNAL_H
#define MW_EXPR_INTERNAL_H

#include "rules/expr.h"

enum expr_token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_INTEGER, /* magnitude */
    TOKEN_NUMBER,  /* text in JSON's spelling */
    TOKEN_STRING,  /* text decoded */
    TOKEN_QUOTED,  /* `a field` */
    TOKEN_MARK     /* text is the operator or bracket */
};

struct expr_token {
    enum expr_token_kind kind;
    uint32_t column;
    bool is_unsigned;
    uint64_t magnitude;
    struct mw_str text;
};

struct expr_lexer {
    struct mw_arena *arena;
    struct mw_str text;
    size_t at;
    struct mw_err *err;
    enum mw_rc rc;
};

bool expr_next_token(struct expr_lexer *lexer, struct expr_token *ret_token);
/* Fills err with "column C: what" and keeps the code in lexer->rc. Always false. */
bool expr_refuse(struct expr_lexer *lexer, enum mw_rc rc, uint32_t column, const char *what);

enum expr_op {
    OP_LITERAL,
    OP_NAME,
    OP_SELECT, /* child, name */
    OP_HAS,    /* child, name */
    OP_INDEX,  /* child, index */
    OP_LIST,
    OP_MAP, /* keys and values in turn */
    OP_NOT,
    OP_HOLDS, /* true when the child is; false for everything else, failures too */
    OP_NEGATE,
    OP_AND, /* two or more children */
    OP_OR,
    OP_CHOOSE, /* condition, then, otherwise */
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_IN,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_REMAINDER,
    OP_CALL, /* function, arguments */
    OP_EACH  /* macro, range and bodies */
};

enum expr_function {
    FUNCTION_SIZE,
    FUNCTION_CONTAINS,
    FUNCTION_STARTS_WITH,
    FUNCTION_ENDS_WITH,
    FUNCTION_INT,
    FUNCTION_UINT,
    FUNCTION_DOUBLE,
    FUNCTION_STRING,
    FUNCTION_BOOL,
    FUNCTION_FORMAT,
    FUNCTION_MATCHES,
    /* expr_text.c */
    FUNCTION_CHAR_AT,
    FUNCTION_INDEX_OF,
    FUNCTION_LAST_INDEX_OF,
    FUNCTION_LOWER,
    FUNCTION_UPPER,
    FUNCTION_REPLACE,
    FUNCTION_SPLIT,
    FUNCTION_SUBSTRING,
    FUNCTION_TRIM,
    FUNCTION_REVERSE,
    FUNCTION_JOIN,
    FUNCTION_QUOTE
};

#define EXPR_ARGUMENTS_MAX 4 /* of any function, the target of a method included */

enum expr_macro {
    MACRO_ALL,
    MACRO_EXISTS,
    MACRO_EXISTS_ONE,
    MACRO_FILTER,
    MACRO_LIST, /* map, transformList; two bodies: condition, result */
    MACRO_MAP   /* transformMap */
};

struct expr_node {
    uint8_t op;
    uint8_t which; /* function or macro */
    uint16_t depth;
    uint32_t column;
    uint32_t child_count;
    struct expr_node *first; /* arena */
    struct expr_node *last;
    struct expr_node *next;         /* sibling */
    struct mw_str name;             /* NAME, SELECT, HAS; EACH: its variable */
    struct mw_str second;           /* EACH: its other variable or empty */
    const struct mw_value *literal; /* LITERAL, arena */
};

struct mw_expr {
    struct mw_str text;
    const struct expr_node *root;
    struct mw_expr_use *uses; /* arena */
    uint32_t use_count;
};

/* What an evaluation carries along. */
struct expr_eval {
    const struct mw_expr_root *roots;
    size_t root_count;
    struct mw_arena *arena;
    uint32_t budget; /* steps left */
    bool spent;      /* a limit was reached: no operator absorbs that */
    struct mw_expr_why why;
    uint32_t variable_count;
    struct {
        struct mw_str name;
        struct mw_value value;
    } variables[MW_EXPR_VARIABLES_MAX];
};

/* Always false. */
bool expr_fail(struct expr_eval *eval, const struct expr_node *node, enum mw_expr_cause cause,
               struct mw_str about);
/* Takes steps out of the budget; false when it is spent. */
bool expr_charge(struct expr_eval *eval, const struct expr_node *node, size_t steps);
struct mw_value *expr_new_values(struct expr_eval *eval, const struct expr_node *node,
                                 size_t count);
bool expr_eval_node(struct expr_eval *eval, const struct expr_node *node,
                    struct mw_value *ret_value);
bool expr_eval_each(struct expr_eval *eval, const struct expr_node *node,
                    struct mw_value *ret_value);
bool expr_eval_call(struct expr_eval *eval, const struct expr_node *node,
                    struct mw_value *ret_value);
/* The functions of the strings extension; arguments: node->child_count values. */
bool expr_call_text(struct expr_eval *eval, const struct expr_node *node,
                    const struct mw_value *arguments, struct mw_value *ret_value);
bool expr_call_format(struct expr_eval *eval, const struct expr_node *node,
                      const struct mw_value *arguments, struct mw_value *ret_value);
bool expr_call_matches(struct expr_eval *eval, const struct expr_node *node,
                       const struct mw_value *arguments, struct mw_value *ret_value);
int64_t expr_count_characters(struct mw_str text);
bool expr_contains(struct expr_eval *eval, const struct expr_node *node,
                   const struct mw_value *container, const struct mw_value *item, bool *ret_found);

/* A walk over a list (key: the index) or a map. */
struct expr_cursor {
    const struct mw_value *container; /* borrowed */
    uint32_t index;
    uint32_t node;
};
struct expr_cursor expr_cursor_of(const struct mw_value *container);
bool expr_cursor_next(struct expr_cursor *cursor, struct mw_value *ret_key,
                      struct mw_value *ret_value);

/* False when *budget ran out; otherwise *ret_equal tells. */
bool expr_equal(const struct mw_value *a, const struct mw_value *b, uint32_t *budget,
                bool *ret_equal);
/* The value under key in a map; false when there is none. */
bool expr_lookup(const struct mw_value *map, const struct mw_value *key,
                 struct mw_value *ret_value);
/* Two numbers of either type: <0 0 >0. */
int expr_compare_numbers(const struct mw_value *a, const struct mw_value *b);
bool expr_is_number(const struct mw_value *value);
struct mw_value expr_bool(bool value);
struct mw_value expr_integer(int64_t value);
struct mw_value expr_text(enum mw_value_type type, struct mw_str text);
struct mw_value expr_items(enum mw_value_type type, const struct mw_value *items, uint32_t count);

#endif
