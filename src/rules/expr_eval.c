/* expr_eval.c - the tree evaluated once. A failure is a value to && and ||, except when a limit was reached. */
#include "rules/expr_internal.h"

#include <string.h>

static struct expr_eval begin(const struct mw_expr_root *roots, size_t root_count,
                              struct mw_arena *arena);

enum mw_rc mw_expr_eval(const struct mw_expr *expr, const struct mw_expr_root *roots,
                        size_t root_count, struct mw_arena *arena, struct mw_value *ret_value,
                        struct mw_err *err)
{
    static const char *const words[] = {
        "", "not a boolean: ", "not there: ", "types do not fit: ", "arithmetic: ", "limit: "};
    struct expr_eval eval = begin(roots, root_count, arena);
    struct mw_value value;
    MW_ASSERT(ret_value != NULL);
    if (expr_eval_node(&eval, expr->root, &value)) {
        *ret_value = value;
        return MW_OK;
    }
    MW_ASSERT((size_t)eval.why.cause < MW_COUNT(words));
    return MW_FAIL(err, eval.why.cause == MW_EXPR_LIMIT ? MW_E_LIMIT : MW_E_INPUT,
                   "column %u: %s%.*s", eval.why.column, words[eval.why.cause],
                   MW_STR_ARG(mw_str_sub(eval.why.about, 0, 200)));
}

bool mw_expr_test(const struct mw_expr *expr, const struct mw_expr_root *roots, size_t root_count,
                  struct mw_arena *arena, struct mw_expr_why *ret_why)
{
    struct expr_eval eval = begin(roots, root_count, arena);
    struct mw_value value;
    struct mw_expr_why why = {.cause = MW_EXPR_DECIDED};
    bool passed = false;
    if (!expr_eval_node(&eval, expr->root, &value))
        why = eval.why;
    else if (value.type != MW_VALUE_BOOL)
        why = (struct mw_expr_why){MW_EXPR_NOT_BOOL, expr->root->column,
                                   mw_str_of(mw_value_type_name(value.type))};
    else
        passed = value.boolean;
    if (ret_why != NULL)
        *ret_why = why;
    return passed;
}

/* The variables stay unset: variable_count says how many there are. */
static struct expr_eval begin(const struct mw_expr_root *roots, size_t root_count,
                              struct mw_arena *arena)
{
    struct expr_eval eval;
    MW_ASSERT(roots != NULL || root_count == 0);
    MW_ASSERT(arena != NULL);
    eval.roots = roots;
    eval.root_count = root_count;
    eval.arena = arena;
    eval.budget = MW_EXPR_COST_MAX;
    eval.spent = false;
    eval.why = (struct mw_expr_why){.cause = MW_EXPR_DECIDED};
    eval.variable_count = 0;
    return eval;
}

bool expr_fail(struct expr_eval *eval, const struct expr_node *node, enum mw_expr_cause cause,
               struct mw_str about)
{
    eval->why = (struct mw_expr_why){cause, node->column, about};
    if (cause == MW_EXPR_LIMIT)
        eval->spent = true;
    return false;
}

bool expr_charge(struct expr_eval *eval, const struct expr_node *node, size_t steps)
{
    if (steps > eval->budget)
        return expr_fail(eval, node, MW_EXPR_LIMIT,
                         MW_STR("more than 100000 steps (MW_EXPR_COST_MAX)"));
    eval->budget -= (uint32_t)steps;
    return true;
}

struct mw_value *expr_new_values(struct expr_eval *eval, const struct expr_node *node, size_t count)
{
    if (!expr_charge(eval, node, count))
        return NULL;
    struct mw_value *values = mw_arena_array(eval->arena, struct mw_value, count + 1);
    if (values == NULL)
        (void)expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
    return values;
}

static bool mismatch(struct expr_eval *eval, const struct expr_node *node, struct mw_str about)
{
    return expr_fail(eval, node, MW_EXPR_MISMATCH, about);
}

/* "number + string": for errors only, so the arena pays only then. */
static bool mismatch_pair(struct expr_eval *eval, const struct expr_node *node,
                          const struct mw_value *a, const char *operator, const struct mw_value * b)
{
    return mismatch(eval, node,
                    mw_arena_format(eval->arena, "%s %s %s", mw_value_type_name(a->type), operator,
                                    mw_value_type_name(b->type)));
}

static bool eval_name(struct expr_eval *eval, const struct expr_node *node,
                      struct mw_value *ret_value)
{
    for (uint32_t i = eval->variable_count; i > 0; i--) {
        if (mw_str_eq(eval->variables[i - 1].name, node->name)) {
            *ret_value = eval->variables[i - 1].value;
            return true;
        }
    }
    const struct mw_expr_root *nameless = NULL;
    for (size_t i = 0; i < eval->root_count; i++) {
        const struct mw_expr_root *root = &eval->roots[i];
        if (root->name.len == 0)
            nameless = root;
        if (root->node == MW_NODE_NONE || !mw_str_eq(root->name, node->name))
            continue;
        *ret_value = mw_value_of_node(root->tape, root->node);
        return true;
    }
    uint32_t found = nameless == NULL ? MW_NODE_NONE
                                      : mw_node_get_str(nameless->tape, nameless->node, node->name);
    if (found == MW_NODE_NONE)
        return expr_fail(eval, node, MW_EXPR_ABSENT, node->name);
    *ret_value = mw_value_of_node(nameless->tape, found);
    return true;
}

/* SELECT and HAS. */
static bool eval_select(struct expr_eval *eval, const struct expr_node *node,
                        struct mw_value *ret_value)
{
    struct mw_value target;
    struct mw_value key = expr_text(MW_VALUE_STRING, node->name);
    struct mw_value found;
    if (!expr_eval_node(eval, node->first, &target))
        return false;
    if (target.type != MW_VALUE_MAP)
        return mismatch(eval, node,
                        mw_arena_format(eval->arena, "field '%.*s' of %s", MW_STR_ARG(node->name),
                                        mw_value_type_name(target.type)));
    if (!expr_charge(eval, node, target.count / 8))
        return false;
    bool present = expr_lookup(&target, &key, &found);
    if (node->op == OP_HAS) {
        *ret_value = expr_bool(present);
        return true;
    }
    if (!present)
        return expr_fail(eval, node, MW_EXPR_ABSENT, node->name);
    *ret_value = found;
    return true;
}

static bool whole_number(const struct mw_value *value, int64_t *ret_number)
{
    bool exact = true;
    if (value->type == MW_VALUE_INTEGER)
        *ret_number = value->integer;
    else
        return value->type == MW_VALUE_NUMBER &&
               mw_number_to_i64(value->text, ret_number, &exact) && exact;
    return true;
}

static bool index_list(struct expr_eval *eval, const struct expr_node *node,
                       const struct mw_value *list, const struct mw_value *index,
                       struct mw_value *ret_value)
{
    int64_t at;
    if (!whole_number(index, &at))
        return mismatch(eval, node, MW_STR("an index that is not an integer"));
    if (at < 0 || at >= list->count)
        return expr_fail(eval, node, MW_EXPR_ABSENT,
                         mw_arena_format(eval->arena, "index %ld", (long)at));
    if (!expr_charge(eval, node, (size_t)at / 8))
        return false;
    *ret_value =
        list->tape == NULL
            ? list->items[at]
            : mw_value_of_node(list->tape, mw_node_at(list->tape, list->node, (uint32_t)at));
    return true;
}

static bool eval_index(struct expr_eval *eval, const struct expr_node *node,
                       struct mw_value *ret_value)
{
    struct mw_value target;
    struct mw_value index;
    if (!expr_eval_node(eval, node->first, &target) || !expr_eval_node(eval, node->last, &index))
        return false;
    if (target.type == MW_VALUE_LIST)
        return index_list(eval, node, &target, &index, ret_value);
    if (target.type != MW_VALUE_MAP)
        return mismatch(eval, node, MW_STR("an index of something that is not a list or map"));
    if (index.type != MW_VALUE_STRING && index.type != MW_VALUE_BOOL && !expr_is_number(&index))
        return mismatch(eval, node, MW_STR("a key that is not a string, number or boolean"));
    if (!expr_charge(eval, node, target.count / 8))
        return false;
    if (!expr_lookup(&target, &index, ret_value))
        return expr_fail(eval, node, MW_EXPR_ABSENT,
                         index.type == MW_VALUE_STRING ? index.text : MW_STR("the key"));
    return true;
}

static bool eval_list(struct expr_eval *eval, const struct expr_node *node,
                      struct mw_value *ret_value)
{
    struct mw_value *items = expr_new_values(eval, node, node->child_count);
    uint32_t count = 0;
    if (items == NULL)
        return false;
    for (const struct expr_node *child = node->first; child != NULL; child = child->next)
        if (!expr_eval_node(eval, child, &items[count++]))
            return false;
    *ret_value = expr_items(MW_VALUE_LIST, items, count);
    return true;
}

static bool eval_map(struct expr_eval *eval, const struct expr_node *node,
                     struct mw_value *ret_value)
{
    struct mw_value *items = expr_new_values(eval, node, node->child_count);
    struct mw_value map = expr_items(MW_VALUE_MAP, items, 0);
    struct mw_value earlier;
    if (items == NULL)
        return false;
    for (const struct expr_node *key = node->first; key != NULL; key = key->next->next) {
        struct mw_value *at = &items[2 * (size_t)map.count];
        if (!expr_eval_node(eval, key, &at[0]) || !expr_eval_node(eval, key->next, &at[1]))
            return false;
        if (at->type != MW_VALUE_STRING && at->type != MW_VALUE_BOOL &&
            at->type != MW_VALUE_INTEGER)
            return mismatch(eval, key, MW_STR("a key is a string, integer or boolean"));
        if (!expr_charge(eval, key, map.count / 8))
            return false;
        if (expr_lookup(&map, at, &earlier))
            return mismatch(eval, key, MW_STR("the same key twice"));
        map.count++;
    }
    *ret_value = map;
    return true;
}

/* One side that decides is enough, whatever the others do; a failure counts only when none decides. */
static bool eval_and_or(struct expr_eval *eval, const struct expr_node *node,
                        struct mw_value *ret_value)
{
    bool decisive = node->op == OP_OR;
    bool failed = false;
    struct mw_expr_why why = eval->why;
    for (const struct expr_node *child = node->first; child != NULL; child = child->next) {
        struct mw_value value;
        size_t used_bytes = eval->arena->used_bytes;
        bool evaluated = expr_eval_node(eval, child, &value);
        if (evaluated && value.type != MW_VALUE_BOOL)
            evaluated = mismatch(eval, child,
                                 decisive ? MW_STR("|| of something not boolean")
                                          : MW_STR("&& of something not boolean"));
        if (eval->spent)
            return false;
        if (evaluated && value.boolean == decisive) {
            *ret_value = expr_bool(decisive);
            return true;
        }
        if (!evaluated && !failed) {
            failed = true;
            why = eval->why;
        } else {
            eval->arena->used_bytes = used_bytes; /* only the first failure's words are kept */
        }
    }
    if (failed) {
        eval->why = why;
        return false;
    }
    *ret_value = expr_bool(!decisive);
    return true;
}

static bool eval_choose(struct expr_eval *eval, const struct expr_node *node,
                        struct mw_value *ret_value)
{
    struct mw_value condition;
    if (!expr_eval_node(eval, node->first, &condition))
        return false;
    if (condition.type != MW_VALUE_BOOL)
        return mismatch(eval, node, MW_STR("?: on something not boolean"));
    return expr_eval_node(eval, condition.boolean ? node->first->next : node->last, ret_value);
}

static bool eval_not(struct expr_eval *eval, const struct expr_node *node,
                     struct mw_value *ret_value)
{
    struct mw_value value;
    if (!expr_eval_node(eval, node->first, &value))
        return false;
    if (value.type != MW_VALUE_BOOL)
        return mismatch(eval, node, MW_STR("! of something not boolean"));
    *ret_value = expr_bool(!value.boolean);
    return true;
}

/* A rule's condition as the rules see it: what cannot be evaluated is not true. A limit is no answer here either. */
static bool eval_holds(struct expr_eval *eval, const struct expr_node *node,
                       struct mw_value *ret_value)
{
    struct mw_value value;
    struct mw_expr_why why = eval->why;
    bool evaluated = expr_eval_node(eval, node->first, &value);
    if (eval->spent)
        return false;
    eval->why = why;
    *ret_value = expr_bool(evaluated && value.type == MW_VALUE_BOOL && value.boolean);
    return true;
}

static bool eval_negate(struct expr_eval *eval, const struct expr_node *node,
                        struct mw_value *ret_value)
{
    struct mw_value value;
    if (!expr_eval_node(eval, node->first, &value))
        return false;
    if (value.type == MW_VALUE_NUMBER) {
        bool negative = value.text.ptr[0] == '-';
        struct mw_str text = negative
                                 ? mw_str_sub(value.text, 1, value.text.len - 1)
                                 : mw_arena_format(eval->arena, "-%.*s", MW_STR_ARG(value.text));
        if (text.len == 0)
            return expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
        *ret_value = expr_text(MW_VALUE_NUMBER, text);
        return true;
    }
    if (value.type != MW_VALUE_INTEGER)
        return mismatch(eval, node, MW_STR("- of something not a number"));
    if (value.integer == INT64_MIN)
        return expr_fail(eval, node, MW_EXPR_ARITHMETIC, MW_STR("an integer over 64 bits"));
    *ret_value = expr_integer(-value.integer);
    return true;
}

static bool eval_equality(struct expr_eval *eval, const struct expr_node *node,
                          const struct mw_value *a, const struct mw_value *b,
                          struct mw_value *ret_value)
{
    bool equal = false;
    if (!expr_equal(a, b, &eval->budget, &equal))
        return expr_charge(eval, node, SIZE_MAX);
    *ret_value = expr_bool(equal == (node->op == OP_EQUAL));
    return true;
}

static bool eval_order(struct expr_eval *eval, const struct expr_node *node,
                       const struct mw_value *a, const struct mw_value *b,
                       struct mw_value *ret_value)
{
    int order;
    if (!expr_charge(eval, node, (a->text.len < b->text.len ? a->text.len : b->text.len) / 32))
        return false;
    if (expr_is_number(a) && expr_is_number(b))
        order = expr_compare_numbers(a, b);
    else if (a->type == MW_VALUE_STRING && b->type == MW_VALUE_STRING)
        order = mw_str_cmp(a->text, b->text);
    else if (a->type == MW_VALUE_BOOL && b->type == MW_VALUE_BOOL)
        order = (int)a->boolean - (int)b->boolean;
    else
        return mismatch_pair(eval, node, a, "ordered against", b);
    bool holds = node->op == OP_LESS         ? order < 0
                 : node->op == OP_LESS_EQUAL ? order <= 0
                 : node->op == OP_GREATER    ? order > 0
                                             : order >= 0;
    *ret_value = expr_bool(holds);
    return true;
}

static bool eval_in(struct expr_eval *eval, const struct expr_node *node, const struct mw_value *a,
                    const struct mw_value *b, struct mw_value *ret_value)
{
    bool found = false;
    if (b->type != MW_VALUE_LIST && b->type != MW_VALUE_MAP)
        return mismatch_pair(eval, node, a, "in", b);
    if (!expr_contains(eval, node, b, a, &found))
        return false;
    *ret_value = expr_bool(found);
    return true;
}

static bool join_strings(struct expr_eval *eval, const struct expr_node *node, struct mw_str a,
                         struct mw_str b, struct mw_value *ret_value)
{
    if (!expr_charge(eval, node, (a.len + b.len) / 32))
        return false;
    char *text = mw_arena_alloc(eval->arena, a.len + b.len + 1);
    if (text == NULL)
        return expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
    if (a.len > 0)
        memcpy(text, a.ptr, a.len);
    if (b.len > 0)
        memcpy(text + a.len, b.ptr, b.len);
    *ret_value = expr_text(MW_VALUE_STRING, (struct mw_str){text, a.len + b.len});
    return true;
}

static bool join_lists(struct expr_eval *eval, const struct expr_node *node,
                       const struct mw_value *a, const struct mw_value *b,
                       struct mw_value *ret_value)
{
    struct mw_value *items = expr_new_values(eval, node, (size_t)a->count + b->count);
    struct mw_value key;
    uint32_t count = 0;
    if (items == NULL)
        return false;
    struct expr_cursor cursor = expr_cursor_of(a);
    while (expr_cursor_next(&cursor, &key, &items[count]))
        count++;
    cursor = expr_cursor_of(b);
    while (expr_cursor_next(&cursor, &key, &items[count]))
        count++;
    *ret_value = expr_items(MW_VALUE_LIST, items, count);
    return true;
}

static bool eval_arithmetic(struct expr_eval *eval, const struct expr_node *node, int64_t a,
                            int64_t b, struct mw_value *ret_value)
{
    int64_t value = 0;
    bool overflow = false;
    if ((node->op == OP_DIVIDE || node->op == OP_REMAINDER) && b == 0)
        return expr_fail(eval, node, MW_EXPR_ARITHMETIC, MW_STR("division by zero"));
    switch (node->op) {
    case OP_ADD:
        overflow = __builtin_add_overflow(a, b, &value);
        break;
    case OP_SUBTRACT:
        overflow = __builtin_sub_overflow(a, b, &value);
        break;
    case OP_MULTIPLY:
        overflow = __builtin_mul_overflow(a, b, &value);
        break;
    default:
        overflow = a == INT64_MIN && b == -1;
        if (!overflow)
            value = node->op == OP_DIVIDE ? a / b : a % b;
    }
    if (overflow)
        return expr_fail(eval, node, MW_EXPR_ARITHMETIC, MW_STR("an integer over 64 bits"));
    *ret_value = expr_integer(value);
    return true;
}

static bool eval_sum(struct expr_eval *eval, const struct expr_node *node, const struct mw_value *a,
                     const struct mw_value *b, struct mw_value *ret_value)
{
    static const char *const marks[] = {"+", "-", "*", "/", "%"};
    if (a->type == MW_VALUE_INTEGER && b->type == MW_VALUE_INTEGER)
        return eval_arithmetic(eval, node, a->integer, b->integer, ret_value);
    if (node->op == OP_ADD && a->type == MW_VALUE_STRING && b->type == MW_VALUE_STRING)
        return join_strings(eval, node, a->text, b->text, ret_value);
    if (node->op == OP_ADD && a->type == MW_VALUE_LIST && b->type == MW_VALUE_LIST)
        return join_lists(eval, node, a, b, ret_value);
    return mismatch_pair(eval, node, a, marks[node->op - OP_ADD], b);
}

static bool eval_binary(struct expr_eval *eval, const struct expr_node *node,
                        struct mw_value *ret_value)
{
    struct mw_value a;
    struct mw_value b;
    MW_ASSERT(node->child_count == 2);
    if (!expr_eval_node(eval, node->first, &a) || !expr_eval_node(eval, node->last, &b))
        return false;
    switch (node->op) {
    case OP_EQUAL:
    case OP_NOT_EQUAL:
        return eval_equality(eval, node, &a, &b, ret_value);
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
        return eval_order(eval, node, &a, &b, ret_value);
    case OP_IN:
        return eval_in(eval, node, &a, &b, ret_value);
    default:
        return eval_sum(eval, node, &a, &b, ret_value);
    }
}

bool expr_eval_node(struct expr_eval *eval, const struct expr_node *node,
                    struct mw_value *ret_value)
{
    if (!expr_charge(eval, node, 1))
        return false;
    switch (node->op) {
    case OP_LITERAL:
        *ret_value = *node->literal;
        return true;
    case OP_NAME:
        return eval_name(eval, node, ret_value);
    case OP_SELECT:
    case OP_HAS:
        return eval_select(eval, node, ret_value);
    case OP_INDEX:
        return eval_index(eval, node, ret_value);
    case OP_LIST:
        return eval_list(eval, node, ret_value);
    case OP_MAP:
        return eval_map(eval, node, ret_value);
    case OP_NOT:
        return eval_not(eval, node, ret_value);
    case OP_HOLDS:
        return eval_holds(eval, node, ret_value);
    case OP_NEGATE:
        return eval_negate(eval, node, ret_value);
    case OP_AND:
    case OP_OR:
        return eval_and_or(eval, node, ret_value);
    case OP_CHOOSE:
        return eval_choose(eval, node, ret_value);
    case OP_CALL:
        return expr_eval_call(eval, node, ret_value);
    case OP_EACH:
        return expr_eval_each(eval, node, ret_value);
    default:
        return eval_binary(eval, node, ret_value);
    }
}
