/* test_rules.c - routing rules: the decision, its reasons, and that a plan's condition for each route says the same. */
#include "author/author.h"
#include "base/json.h"
#include "defs/rules.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mw_arena arena;

static int begin(void **state)
{
    (void)state;
    mw_heap_arena(&arena, (size_t)4 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    mw_heap_arena_free(&arena);
    return 0;
}

static void assert_text(struct mw_str actual, const char *expected)
{
    if (!mw_str_is(actual, expected))
        fail_msg("'%.*s' is not '%s'", MW_STR_ARG(actual), expected);
}

static const char seed_rules[] = "if:\n  metadata.auth == \"OAuth2\"\nthen:\n  route: "
                                 "ConfigureOAuth2\nelse if:\n  metadata.auth == \"JWT\"\nthen:\n  "
                                 "route: ConfigureJWTAuth\nelse:\n  skip: true\n";
static const char list_rules[] =
    "rules:\n"
    "  - {id: gateway, if: 'metadata.gateway.enabled == true', then: {route: ConfigureRoutes}}\n"
    "  - {id: jwt, if: 'metadata.auth == \"JWT\"', then: {route: ConfigureJWTAuth}}\n"
    "  - {id: off, if: 'metadata.auth == false', then: {skip: true}}\n"
    "else: {route: ConfigureAuth}\n";

static struct mw_rules rules_of(struct mw_str path, struct mw_str text)
{
    struct mw_rules rules = {0};
    struct mw_err err;
    struct mw_tape tape;
    enum mw_rc rc;
    if (mw_rules_is_text(text)) {
        rc = mw_rules_load(&arena, path, text, &rules, &err);
    } else {
        rc = mw_author_read(&arena, path, text, &tape, &err);
        if (rc == MW_OK)
            rc = mw_rules_load_tape(&arena, path, &tape, &rules, &err);
    }
    if (rc != MW_OK)
        fail_msg("%s", err.text);
    return rules;
}

/* The decision, and for every route that its condition as a member of a plan says the same. */
static struct mw_rule_decision decide(const struct mw_rules *rules, const char *metadata)
{
    struct mw_rule_decision decision;
    struct mw_tape tape;
    struct mw_err err;
    struct mw_str text = mw_arena_copy(&arena, mw_str_of(metadata));
    if (mw_json_parse(&arena, text, &tape, &err) != MW_OK)
        fail_msg("%s", err.text);
    struct mw_tape *kept = mw_arena_array(&arena, struct mw_tape, 1);
    *kept = tape;
    struct mw_expr_root root = {MW_STR("metadata"), kept, 0};
    mw_rules_decide(rules, &root, 1, &arena, &decision);
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct mw_expr *when;
        struct mw_str route = rules->items[i].route;
        if (route.len == 0)
            continue;
        struct mw_str condition = mw_rules_route_condition(&arena, rules, route);
        if (mw_expr_compile(&arena, condition, &when, &err) != MW_OK)
            fail_msg("%.*s: %s", MW_STR_ARG(condition), err.text);
        if (mw_expr_test(when, &root, 1, &arena, NULL) != mw_str_eq(route, decision.route))
            fail_msg("%s: '%.*s' and the decision '%.*s' differ", metadata, MW_STR_ARG(condition),
                     MW_STR_ARG(decision.route));
    }
    return decision;
}

/* CD-01, CD-03 */
static void the_seeds_rules_give_their_three_results(void **state)
{
    (void)state;
    struct mw_rules rules = rules_of(MW_STR("rules/auth.yaml"), MW_STR(seed_rules));
    assert_text(rules.name, "auth");
    struct mw_rule_decision decision = decide(&rules, "{\"auth\":\"OAuth2\"}");
    assert_text(decision.route, "ConfigureOAuth2");
    assert_text(decision.rule, "auth/1");
    assert_false(decision.steps[1].looked_at);
    decision = decide(&rules, "{\"auth\":\"JWT\"}");
    assert_text(decision.route, "ConfigureJWTAuth");
    assert_text(decision.rule, "auth/2");
    assert_text(decision.field, "metadata.auth");
    assert_text(decision.value.text, "JWT");
    assert_false(decision.steps[0].holds);
    decision = decide(&rules, "{\"auth\":false}");
    assert_text(decision.route, "");
    assert_text(decision.rule, "auth/else");
    assert_int_equal(decision.value.type, MW_VALUE_BOOL);
}

static void the_seeds_text_is_read_as_it_stands_in_the_contract(void **state)
{
    (void)state;
    const char *shared = getenv("MILLWRIGHT_SHARED");
    char path[512];
    snprintf(path, sizeof path, "%s/spec/contracts.json",
             shared != NULL ? shared : MW_SOURCE_DIR "/../shared");
    if (!mw_exists(AT_FDCWD, path)) {
        print_message("skipped: not present\n");
        skip();
    }
    struct mw_tape tape;
    struct mw_err err;
    struct mw_buf contract = mw_heap_buf();
    if (mw_file_read(AT_FDCWD, path, 1 << 20, &contract, &err) != MW_OK ||
        mw_json_parse(&arena, mw_buf_str(&contract), &tape, &err) != MW_OK)
        fail_msg("%s", err.text);
    struct mw_str text =
        mw_node_str(&tape, mw_node_pointer(&tape, 0, MW_STR("/conditional_dsl/text")));
    assert_true(mw_rules_is_text(text));
    struct mw_rules rules = rules_of(MW_STR("auth.yaml"), text);
    assert_int_equal(rules.count, 3);
    assert_text(decide(&rules, "{\"auth\":\"JWT\"}").route, "ConfigureJWTAuth");
    mw_heap_buf_free(&contract);
}

/* CD-14 */
static void a_field_that_is_not_there_leads_to_the_else(void **state)
{
    (void)state;
    static const struct {
        const char *metadata;
        const char *route;
        const char *rule;
    } rows[] = {
        {"{\"auth\":\"JWT\"}", "ConfigureJWTAuth", "some/jwt"},
        {"{\"auth\":\"JWT\",\"gateway\":{}}", "ConfigureJWTAuth", "some/jwt"},
        {"{\"auth\":\"JWT\",\"gateway\":{\"enabled\":false}}", "ConfigureJWTAuth", "some/jwt"},
        {"{\"auth\":\"JWT\",\"gateway\":{\"enabled\":true}}", "ConfigureRoutes", "some/gateway"},
        {"{\"auth\":false}", "", "some/off"},
        {"{\"auth\":7}", "ConfigureAuth", "some/else"},
        {"{}", "ConfigureAuth", "some/else"},
    };
    struct mw_rules rules = rules_of(MW_STR("some.yaml"), MW_STR(list_rules));
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_rule_decision decision = decide(&rules, rows[i].metadata);
        assert_text(decision.route, rows[i].route);
        assert_text(decision.rule, rows[i].rule);
    }
    struct mw_rule_decision decision = decide(&rules, "{}");
    assert_int_equal(decision.steps[0].why.cause, MW_EXPR_ABSENT);
}

static void rules_in_json_nest_their_else(void **state)
{
    (void)state;
    struct mw_rules rules = rules_of(
        MW_STR("auth.json"),
        MW_STR("{\"if\":\"metadata.auth == 'OAuth2'\",\"then\":{\"route\":\"ConfigureOAuth2\"},"
               "\"else\":{\"if\":\"metadata.auth == 'JWT'\",\"then\":{\"route\":"
               "\"ConfigureJWTAuth\"},\"else\":{\"skip\":true}}}"));
    assert_int_equal(rules.count, 3);
    assert_text(decide(&rules, "{\"auth\":\"JWT\"}").route, "ConfigureJWTAuth");
    assert_text(decide(&rules, "{\"auth\":false}").rule, "auth/else");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_seeds_rules_give_their_three_results),
        TEST(the_seeds_text_is_read_as_it_stands_in_the_contract),
        TEST(a_field_that_is_not_there_leads_to_the_else),
        TEST(rules_in_json_nest_their_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
