/* expr_call.c - the functions and the macros over lists and maps. */
#include "rules/expr_internal.h"

#include <string.h>

static bool mismatch(struct expr_eval *eval, const struct expr_node *node, const char *function,
                     const struct mw_value *value)
{
    return expr_fail(
        eval, node, MW_EXPR_MISMATCH,
        mw_arena_format(eval->arena, "%s of %s", function, mw_value_type_name(value->type)));
}

static bool call_size(struct expr_eval *eval, const struct expr_node *node,
                      const struct mw_value *value, struct mw_value *ret_value)
{
    if (value->type == MW_VALUE_STRING) {
        if (!expr_charge(eval, node, value->text.len / 32))
            return false;
        *ret_value = expr_integer(expr_count_characters(value->text));
        return true;
    }
    if (value->type != MW_VALUE_LIST && value->type != MW_VALUE_MAP)
        return mismatch(eval, node, "size", value);
    *ret_value = expr_integer(value->count);
    return true;
}

static bool find_text(struct expr_eval *eval, const struct expr_node *node, struct mw_str text,
                      struct mw_str part, bool *ret_found)
{
    *ret_found = part.len == 0;
    if (!expr_charge(eval, node, text.len / 32))
        return false;
    for (size_t at = 0; !*ret_found && part.len <= text.len && at <= text.len - part.len; at++) {
        if (text.ptr[at] != part.ptr[0])
            continue;
        /* Charged for each place that might match, so repetitive texts cannot be slow for free. */
        if (!expr_charge(eval, node, 1 + part.len / 32))
            return false;
        *ret_found = memcmp(text.ptr + at, part.ptr, part.len) == 0;
    }
    return true;
}

bool expr_contains(struct expr_eval *eval, const struct expr_node *node,
                   const struct mw_value *container, const struct mw_value *item, bool *ret_found)
{
    struct mw_value key, value;
    bool found = false;
    if (container->type == MW_VALUE_MAP) {
        if (!expr_charge(eval, node, container->count / 8))
            return false;
        *ret_found = expr_lookup(container, item, &value);
        return true;
    }
    struct expr_cursor cursor = expr_cursor_of(container);
    while (!found && expr_cursor_next(&cursor, &key, &value))
        if (!expr_equal(&value, item, &eval->budget, &found))
            return expr_charge(eval, node, SIZE_MAX);
    *ret_found = found;
    return true;
}

static bool call_contains(struct expr_eval *eval, const struct expr_node *node,
                          const struct mw_value *container, const struct mw_value *item,
                          struct mw_value *ret_value)
{
    bool found = false;
    bool done;
    if (container->type == MW_VALUE_LIST || container->type == MW_VALUE_MAP)
        done = expr_contains(eval, node, container, item, &found);
    else if (container->type == MW_VALUE_STRING && item->type == MW_VALUE_STRING)
        done = find_text(eval, node, container->text, item->text, &found);
    else
        return mismatch(eval, node, "contains",
                        container->type == MW_VALUE_STRING ? item : container);
    *ret_value = expr_bool(found);
    return done;
}

static bool call_affix(struct expr_eval *eval, const struct expr_node *node,
                       const struct mw_value *text, const struct mw_value *part,
                       struct mw_value *ret_value)
{
    bool starts = node->which == FUNCTION_STARTS_WITH;
    if (text->type != MW_VALUE_STRING || part->type != MW_VALUE_STRING)
        return mismatch(eval, node, starts ? "startsWith" : "endsWith",
                        text->type == MW_VALUE_STRING ? part : text);
    if (!expr_charge(eval, node, part->text.len / 32))
        return false;
    *ret_value = expr_bool(starts ? mw_str_starts(text->text, part->text)
                                  : mw_str_ends(text->text, part->text));
    return true;
}

static bool call_int(struct expr_eval *eval, const struct expr_node *node,
                     const struct mw_value *value, struct mw_value *ret_value)
{
    int64_t number = value->integer;
    bool fits = true;
    if (value->type == MW_VALUE_NUMBER)
        fits = mw_number_to_i64(value->text, &number, NULL);
    else if (value->type == MW_VALUE_STRING)
        fits = mw_str_to_i64(value->text, &number);
    else if (value->type != MW_VALUE_INTEGER)
        return mismatch(eval, node, "int", value);
    if (!fits || (node->which == FUNCTION_UINT && number < 0))
        return expr_fail(eval, node, MW_EXPR_ARITHMETIC, MW_STR("no such integer"));
    *ret_value = expr_integer(number);
    return true;
}

/* JSON's number grammar, which is also what a number's text must be. */
static bool is_number_text(struct mw_str text)
{
    size_t at = text.len > 0 && text.ptr[0] == '-' ? 1 : 0;
    size_t part = at;
    for (int section = 0;; section++) {
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        if (at == part || (section == 0 && at - part > 1 && text.ptr[part] == '0'))
            return false;
        if (at == text.len)
            return true;
        bool point = text.ptr[at] == '.' && section == 0;
        bool exponent = (text.ptr[at] | 0x20) == 'e' && section < 2;
        if (!point && !exponent)
            return false;
        at++;
        if (exponent) {
            section = 1; /* becomes 2: nothing may follow */
            if (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-'))
                at++;
        }
        part = at;
    }
}

static bool call_double(struct expr_eval *eval, const struct expr_node *node,
                        const struct mw_value *value, struct mw_value *ret_value)
{
    struct mw_str text = value->text;
    if (value->type == MW_VALUE_INTEGER)
        text = mw_arena_format(eval->arena, "%ld.0", (long)value->integer);
    else if (value->type != MW_VALUE_NUMBER && value->type != MW_VALUE_STRING)
        return mismatch(eval, node, "double", value);
    if (text.len == 0 && value->type == MW_VALUE_INTEGER)
        return expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
    if (!is_number_text(text))
        return expr_fail(eval, node, MW_EXPR_ARITHMETIC, MW_STR("no such number"));
    *ret_value = expr_text(MW_VALUE_NUMBER, text);
    return true;
}

static bool call_string(struct expr_eval *eval, const struct expr_node *node,
                        const struct mw_value *value, struct mw_value *ret_value)
{
    struct mw_str text = value->text;
    if (value->type == MW_VALUE_BOOL)
        text = value->boolean ? MW_STR("true") : MW_STR("false");
    else if (value->type == MW_VALUE_INTEGER)
        text = mw_arena_format(eval->arena, "%ld", (long)value->integer);
    else if (value->type != MW_VALUE_NUMBER && value->type != MW_VALUE_STRING)
        return mismatch(eval, node, "string", value);
    *ret_value = expr_text(MW_VALUE_STRING, text);
    if (!eval->arena->exhausted)
        return true;
    return expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the value"));
}

static bool call_bool(struct expr_eval *eval, const struct expr_node *node,
                      const struct mw_value *value, struct mw_value *ret_value)
{
    static const char *const words[] = {"false", "true", "False", "True", "FALSE",
                                        "TRUE",  "f",    "t",     "0",    "1"};
    if (value->type == MW_VALUE_BOOL) {
        *ret_value = *value;
        return true;
    }
    if (value->type != MW_VALUE_STRING)
        return mismatch(eval, node, "bool", value);
    for (size_t i = 0; i < MW_COUNT(words); i++) {
        if (mw_str_is(value->text, words[i])) {
            *ret_value = expr_bool(i % 2 == 1);
            return true;
        }
    }
    return expr_fail(eval, node, MW_EXPR_ARITHMETIC, MW_STR("no such boolean"));
}

bool expr_eval_call(struct expr_eval *eval, const struct expr_node *node,
                    struct mw_value *ret_value)
{
    struct mw_value arguments[EXPR_ARGUMENTS_MAX];
    struct mw_value *a = &arguments[0];
    uint32_t count = 0;
    MW_ASSERT(node->child_count <= EXPR_ARGUMENTS_MAX);
    for (const struct expr_node *child = node->first; child != NULL; child = child->next)
        if (!expr_eval_node(eval, child, &arguments[count++]))
            return false;
    switch ((enum expr_function)node->which) {
    case FUNCTION_SIZE:
        return call_size(eval, node, a, ret_value);
    case FUNCTION_CONTAINS:
        return call_contains(eval, node, a, &arguments[1], ret_value);
    case FUNCTION_STARTS_WITH:
    case FUNCTION_ENDS_WITH:
        return call_affix(eval, node, a, &arguments[1], ret_value);
    case FUNCTION_INT:
    case FUNCTION_UINT:
        return call_int(eval, node, a, ret_value);
    case FUNCTION_DOUBLE:
        return call_double(eval, node, a, ret_value);
    case FUNCTION_STRING:
        return call_string(eval, node, a, ret_value);
    case FUNCTION_BOOL:
        return call_bool(eval, node, a, ret_value);
    case FUNCTION_FORMAT:
        return expr_call_format(eval, node, arguments, ret_value);
    case FUNCTION_MATCHES:
        return expr_call_matches(eval, node, arguments, ret_value);
    default:
        return expr_call_text(eval, node, arguments, ret_value);
    }
}

/* One round of a macro: its variables set, its bodies evaluated. */
struct round {
    struct mw_value key;
    struct mw_value value;
    uint32_t first_variable;
};

static bool open_variables(struct expr_eval *eval, const struct expr_node *node,
                           struct round *round)
{
    uint32_t wanted = node->second.len > 0 ? 2 : 1;
    if (eval->variable_count + wanted > MW_EXPR_VARIABLES_MAX)
        return expr_fail(eval, node, MW_EXPR_LIMIT,
                         MW_STR("more than 32 variables (MW_EXPR_VARIABLES_MAX)"));
    round->first_variable = eval->variable_count;
    eval->variables[eval->variable_count].name = node->name;
    eval->variables[eval->variable_count + wanted - 1].name =
        wanted == 2 ? node->second : node->name;
    return true;
}

/* With one variable it is a list's item or a map's key; with two they are index and item, or key and value. */
static bool eval_body(struct expr_eval *eval, const struct expr_node *node,
                      const struct mw_value *range, const struct round *round,
                      const struct expr_node *body, struct mw_value *ret_value)
{
    bool both = node->second.len > 0;
    bool key_first = both || range->type == MW_VALUE_MAP;
    eval->variables[round->first_variable].value = key_first ? round->key : round->value;
    if (both)
        eval->variables[round->first_variable + 1].value = round->value;
    eval->variable_count = round->first_variable + (both ? 2 : 1);
    bool evaluated = expr_eval_node(eval, body, ret_value);
    eval->variable_count = round->first_variable;
    return evaluated;
}

static bool eval_condition(struct expr_eval *eval, const struct expr_node *node,
                           const struct mw_value *range, const struct round *round,
                           const struct expr_node *body, bool *ret_holds)
{
    struct mw_value value;
    size_t used_bytes = eval->arena->used_bytes;
    if (!eval_body(eval, node, range, round, body, &value))
        return false;
    if (value.type != MW_VALUE_BOOL)
        return expr_fail(eval, body, MW_EXPR_MISMATCH, MW_STR("a condition that is not boolean"));
    eval->arena->used_bytes = used_bytes; /* a boolean points to nothing */
    *ret_holds = value.boolean;
    return true;
}

/* all and exists absorb failures as && and || do. */
static bool each_quantifier(struct expr_eval *eval, const struct expr_node *node,
                            const struct mw_value *range, struct round *round,
                            struct mw_value *ret_value)
{
    bool decisive = node->which == MACRO_EXISTS;
    bool failed = false;
    struct mw_expr_why why = eval->why;
    struct expr_cursor cursor = expr_cursor_of(range);
    while (expr_cursor_next(&cursor, &round->key, &round->value)) {
        bool holds = !decisive;
        size_t used_bytes = eval->arena->used_bytes;
        bool evaluated = eval_condition(eval, node, range, round, node->last, &holds);
        if (eval->spent)
            return false;
        if (evaluated && holds == decisive) {
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
    eval->why = why;
    *ret_value = expr_bool(!decisive);
    return !failed;
}

static bool each_one(struct expr_eval *eval, const struct expr_node *node,
                     const struct mw_value *range, struct round *round, struct mw_value *ret_value)
{
    uint32_t count = 0;
    struct expr_cursor cursor = expr_cursor_of(range);
    while (expr_cursor_next(&cursor, &round->key, &round->value)) {
        bool holds = false;
        if (!eval_condition(eval, node, range, round, node->last, &holds))
            return false;
        count += holds;
    }
    *ret_value = expr_bool(count == 1);
    return true;
}

/* filter, map, transformList, transformMap: what a round gives goes to items. */
static bool each_result(struct expr_eval *eval, const struct expr_node *node,
                        const struct mw_value *range, struct round *round,
                        struct mw_value *ret_value)
{
    bool to_map = node->which == MACRO_MAP;
    bool has_condition = node->which == MACRO_FILTER || node->child_count == 3;
    const struct expr_node *condition = node->first->next;
    struct mw_value *items = expr_new_values(eval, node, (size_t)range->count * (to_map ? 2 : 1));
    uint32_t count = 0;
    if (items == NULL)
        return false;
    struct expr_cursor cursor = expr_cursor_of(range);
    while (expr_cursor_next(&cursor, &round->key, &round->value)) {
        struct mw_value *to = to_map ? &items[2 * (size_t)count + 1] : &items[count];
        bool holds = true;
        if (has_condition && !eval_condition(eval, node, range, round, condition, &holds))
            return false;
        if (!holds)
            continue;
        if (node->which == MACRO_FILTER)
            *to = range->type == MW_VALUE_MAP ? round->key : round->value;
        else if (!eval_body(eval, node, range, round, node->last, to))
            return false;
        if (to_map)
            items[2 * (size_t)count] = round->key;
        count++;
    }
    *ret_value = expr_items(to_map ? MW_VALUE_MAP : MW_VALUE_LIST, items, count);
    return true;
}

bool expr_eval_each(struct expr_eval *eval, const struct expr_node *node,
                    struct mw_value *ret_value)
{
    struct mw_value range;
    struct round round;
    if (!expr_eval_node(eval, node->first, &range))
        return false;
    if (range.type != MW_VALUE_LIST && range.type != MW_VALUE_MAP)
        return mismatch(eval, node, "a macro over the items", &range);
    if (!open_variables(eval, node, &round))
        return false;
    switch ((enum expr_macro)node->which) {
    case MACRO_ALL:
    case MACRO_EXISTS:
        return each_quantifier(eval, node, &range, &round, ret_value);
    case MACRO_EXISTS_ONE:
        return each_one(eval, node, &range, &round, ret_value);
    case MACRO_FILTER:
    case MACRO_LIST:
    case MACRO_MAP:
        return each_result(eval, node, &range, &round, ret_value);
    }
    MW_UNREACHABLE("every macro was handled");
}
