/*
 * rules.h - routing rules as the seed writes them: if / then / else if / else, with `route: Skill` or `skip: true` (docs/definitions.md).
 *
 * Owns:     what such a file means, and the decision. The first rule whose condition is true decides; a condition that cannot be evaluated
 *           (a field that is not there, types that do not compare) is not true; with no rule true and no else, the path is skipped.
 * Does not: read files, or know where the route leads. Everything lies in the arena given to the loader.
 */
#ifndef MW_RULES_H
#define MW_RULES_H

#include "rules/expr.h"

#define MW_RULES_MAX 64 /* rules of one set, the else included */

struct mw_rule {
    struct mw_str id;            /* "auth/jwt", "auth/1", "auth/else" */
    const struct mw_expr *when;  /* NULL: the else */
    const struct mw_expr *field; /* what it looks at first, such as metadata.auth; NULL: nothing */
    struct mw_str route;         /* empty: skips */
    uint32_t line;
    uint32_t column; /* of the action */
};

struct mw_rules {
    struct mw_str name; /* the file's, without folder and ending */
    const struct mw_rule *items;
    uint32_t count;
};

/* True when text is the seed's spelling (its first word is `if:`), which mw_rules_load reads and YAML refuses for its repeated keys. */
bool mw_rules_is_text(struct mw_str text);

/* The seed's spelling. Errors: MW_E_CONFIG with "PATH:LINE:COLUMN: what; what would be right". Strings are copied. */
MW_MUST enum mw_rc mw_rules_load(struct mw_arena *arena, struct mw_str path, struct mw_str text,
                                 struct mw_rules *ret_rules, struct mw_err *err);
/* The list form {rules: [{id, if, then}, …, {else}]} or {if, then, else} in YAML or JSON. */
MW_MUST enum mw_rc mw_rules_load_tape(struct mw_arena *arena, struct mw_str path,
                                      const struct mw_tape *tape, struct mw_rules *ret_rules,
                                      struct mw_err *err);

/* How one rule was evaluated. */
struct mw_rule_step {
    bool looked_at; /* rules after the one that decided are not */
    bool holds;
    struct mw_expr_why why;
};

struct mw_rule_decision {
    struct mw_str route;                     /* empty: skip */
    struct mw_str rule;                      /* id of the rule that decided; empty: none did */
    struct mw_str field;                     /* text of the field it looked at; empty: none */
    struct mw_value value;                   /* of the field; null when it is not there */
    struct mw_rule_step steps[MW_RULES_MAX]; /* one for each rule */
};

void mw_rules_decide(const struct mw_rules *rules, const struct mw_expr_root *roots,
                     size_t root_count, struct mw_arena *arena,
                     struct mw_rule_decision *ret_decision);

/* Text of a condition that is true exactly when the set gives this route: what a plan's member waits for. Empty when memory ran out. */
struct mw_str mw_rules_route_condition(struct mw_arena *arena, const struct mw_rules *rules,
                                       struct mw_str route);

#endif
