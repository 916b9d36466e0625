/*
 * Routing rules as text: they load or are refused with their place; and the condition that is derived for a route is true exactly when the
 * set gives that route.
 */
#include "defs/rules.h"
#include "fuzz.h"

#define DOCUMENT                                                                                   \
    "{\"metadata\":{\"auth\":\"JWT\",\"storage\":\"File\",\"n\":3,\"features\":[\"a\",\"b\"],"     \
    "\"ci\":true},\"x\":1}"

static void check_route(struct mw_arena *arena, const struct mw_rules *rules,
                        const struct mw_rule_decision *decision, struct mw_str route,
                        const struct mw_expr_root *root)
{
    const struct mw_expr *expr;
    struct mw_str condition = mw_rules_route_condition(arena, rules, route);
    if (condition.len == 0)
        return;
    enum mw_rc rc = mw_expr_compile(arena, condition, &expr, NULL);
    MW_ASSERT(rc == MW_OK || rc == MW_E_LIMIT);
    if (rc == MW_OK && !arena->exhausted)
        MW_ASSERT(mw_expr_test(expr, root, 1, arena, NULL) == mw_str_eq(decision->route, route));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    static struct mw_rule_decision decision;
    struct mw_tape tape;
    struct mw_rules rules;
    struct mw_err err = {.rc = MW_OK};
    char *memory;
    fuzz_arena(&arena, (size_t)32 << 20);
    MW_ASSERT(mw_json_parse(&arena, MW_STR(DOCUMENT), &tape, NULL) == MW_OK);
    struct mw_expr_root root = {MW_STR(""), &tape, 0};
    struct mw_str text = fuzz_rest(data, size, &memory);
    (void)mw_rules_is_text(text);
    enum mw_rc rc = mw_rules_load(&arena, MW_STR("r.yaml"), text, &rules, &err);
    if (rc != MW_OK) {
        MW_ASSERT(strncmp(err.text, "r.yaml:", 7) == 0);
    } else {
        MW_ASSERT(rules.count > 0 && rules.count <= MW_RULES_MAX);
        mw_rules_decide(&rules, &root, 1, &arena, &decision);
        for (uint32_t i = 0; i < rules.count && !arena.exhausted; i++)
            if (rules.items[i].route.len > 0)
                check_route(&arena, &rules, &decision, rules.items[i].route, &root);
    }
    mw_heap_free(memory);
    return 0;
}
