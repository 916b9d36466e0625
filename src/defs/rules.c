/* rules.c - what a set of routing rules decides. */
#include "defs/rules.h"

#include "defs/load.h"

#define LOADER(arena_, err_, file_)                                                                \
    {                                                                                              \
        .arena = (arena_), .err = (err_), .file = (file_), .tape = &(file_)->tape                  \
    }

enum mw_rc mw_rules_load(struct mw_arena *arena, struct mw_str path, struct mw_str text,
                         struct mw_rules *ret_rules, struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(ret_rules != NULL);
    struct mw_definition_file file = {.path = path, .text = text};
    struct loader l = LOADER(arena, err, &file);
    struct mw_rules rules = {.count = 0};
    if (!load_documents_usual(&l) || !load_rules_text(&l, &rules))
        return l.rc;
    *ret_rules = rules;
    return MW_OK;
}

enum mw_rc mw_rules_load_tape(struct mw_arena *arena, struct mw_str path,
                              const struct mw_tape *tape, struct mw_rules *ret_rules,
                              struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(tape != NULL);
    MW_ASSERT(ret_rules != NULL);
    struct mw_definition_file file = {.path = path, .tape = *tape};
    struct loader l = LOADER(arena, err, &file);
    struct mw_rules rules = {.count = 0};
    if (!load_documents_usual(&l) || !load_rules_tape(&l, &rules))
        return l.rc;
    *ret_rules = rules;
    return MW_OK;
}

void mw_rules_decide(const struct mw_rules *rules, const struct mw_expr_root *roots,
                     size_t root_count, struct mw_arena *arena,
                     struct mw_rule_decision *ret_decision)
{
    MW_ASSERT(rules->count <= MW_RULES_MAX);
    *ret_decision = (struct mw_rule_decision){.value = {.type = MW_VALUE_NULL}};
    const struct mw_rule *looked_at = NULL;
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct mw_rule *rule = &rules->items[i];
        struct mw_rule_step *step = &ret_decision->steps[i];
        step->looked_at = true;
        step->holds =
            rule->when == NULL || mw_expr_test(rule->when, roots, root_count, arena, &step->why);
        if (rule->field != NULL)
            looked_at = rule; /* an else has looked at what the rule before it did */
        if (!step->holds)
            continue;
        ret_decision->rule = rule->id;
        ret_decision->route = rule->route;
        break;
    }
    if (looked_at == NULL)
        return;
    ret_decision->field = mw_expr_text(looked_at->field);
    struct mw_value value;
    if (mw_expr_eval(looked_at->field, roots, root_count, arena, &value, NULL) == MW_OK)
        ret_decision->value = value;
}

struct mw_str mw_rules_route_condition(struct mw_arena *arena, const struct mw_rules *rules,
                                       struct mw_str route)
{
    struct mw_str before = MW_STR(""); /* what must not hold */
    struct mw_str text = MW_STR("");
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct mw_rule *rule = &rules->items[i];
        struct mw_str when = rule->when != NULL ? mw_expr_text(rule->when) : MW_STR("true");
        if (rule->route.len > 0 && mw_str_eq(rule->route, route))
            text =
                mw_arena_format(arena, "%.*s%s(%.*s(%.*s))", MW_STR_ARG(text),
                                text.len > 0 ? " || " : "", MW_STR_ARG(before), MW_STR_ARG(when));
        if (rule->when == NULL)
            break;
        before =
            mw_arena_format(arena, "%.*s!holds(%.*s) && ", MW_STR_ARG(before), MW_STR_ARG(when));
        if (before.ptr == NULL || text.ptr == NULL)
            return MW_STR_NONE;
    }
    return text;
}
