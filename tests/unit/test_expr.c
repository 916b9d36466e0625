#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr.h"

static char memory[1 << 22] __attribute__((aligned(16)));
static struct mw_arena arena;
static struct mw_tape tape;
static struct mw_expr_root roots[3];

static const char document[] =
    "{\"metadata\":{\"auth\":\"JWT\",\"storage\":\"MongoDB\",\"features\":[\"realtime\",\"search\"]"
    ","
    "\"gateway\":{\"enabled\":false},\"count\":3,\"ratio\":0.75,\"big\":9223372036854775807,"
    "\"nothing\":null,\"content-type\":\"x\",\"in\":1},"
    "\"reviews\":[{\"verdict\":\"pass\",\"score\":9},{\"verdict\":\"fail\",\"score\":4}]}";

/* metadata is a root of its own; every other name is a field of the nameless root. */
static void begin(void)
{
    mw_arena_init(&arena, memory, sizeof memory);
    assert_int_equal(mw_json_parse(&arena, mw_str_of(document), &tape, NULL), MW_OK);
    roots[0] = (struct mw_expr_root){MW_STR("metadata"), &tape, mw_node_get(&tape, 0, "metadata")};
    roots[1] = (struct mw_expr_root){MW_STR(""), &tape, 0};
    roots[2] = (struct mw_expr_root){MW_STR("outcome"), &tape, MW_NODE_NONE};
}

static const struct mw_expr *compile(const char *text)
{
    const struct mw_expr *expr = NULL;
    struct mw_err err = {.text = ""};
    begin();
    if (mw_expr_compile(&arena, mw_str_of(text), &expr, &err) != MW_OK)
        fail_msg("%s: %s", text, err.text);
    return expr;
}

static void values_are_as_documented(void **state)
{
    static const struct {
        const char *text;
        const char *json;
    } rows[] = {
        {"metadata.auth == 'JWT' && metadata.storage in ['MongoDB', 'File']", "true"},
        {"metadata.auth == 'JWT' and not metadata.storage == 'File'", "true"},
        {"not metadata.auth == 'JWT' or metadata.count > 2", "true"},
        {"metadata.auth == 'x' | metadata.count > 2 & true", "true"},
        {"metadata.features contains 'search'", "true"},
        {"metadata.features.contains('chat')", "false"},
        {"contains(metadata, 'auth')", "true"},
        {"metadata.auth contains 'W'", "true"},
        {"metadata.`content-type` + metadata['content-type']", "\"xx\""},
        {"metadata.in", "1"},
        {"${metadata.in} + 1", "2"},
        {"${reviews}[1].verdict", "\"fail\""},
        {"reviews.all(r, r.score > 3) ? 'ok' : 'no'", "\"ok\""},
        {"reviews.filter(r, r.score > 5)", "[{\"verdict\":\"pass\",\"score\":9}]"},
        {"reviews.map(r, r.score >= 9, r.verdict)", "[\"pass\"]"},
        {"reviews.transformList(i, r, i * 10 + r.score)", "[9,14]"},
        {"reviews.exists_one(r, r.score == 4)", "true"},
        {"metadata.exists(k, k == 'auth')", "true"},
        {"reviews.map(r, reviews.map(q, r.score - q.score))", "[[0,5],[-5,0]]"},
        {"{'b': 1}.transformMap(k, v, {k: v})", "{\"b\":{\"b\":1}}"},
        {"{1: 'a', true: 'b', 'c': metadata.gateway}",
         "{\"1\":\"a\",\"true\":\"b\",\"c\":{\"enabled\":false}}"},
        {"metadata.ratio < 0.750000000000000000000001", "true"},
        {"metadata.ratio == 75e-2", "true"},
        {"metadata.big < 9223372036854775808.0", "true"},
        {"18446744073709551615u > metadata.big", "true"},
        {"metadata.nothing == null && metadata.nothing == None", "true"},
        {"1 == '1'", "false"},
        {"[1, {'a': [2]}] == [1.0, {'a': [2]}]", "true"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"-7 / 2 * 10 + -7 % 2", "-31"},
        {"2 + 3 * 4 - 10 / 5", "12"},
        {"'\\u00e9' + \"\\x41\\101\\n\" + r'\\n'", "\"\xc3\xa9"
                                                   "AA\\n\\\\n\""},
        {"'''a\n\"b''' // a comment", "\"a\\n\\\"b\""},
        {"size('h\xc3\xa9llo') + len([1, 2]) + metadata.gateway.size()", "8"},
        {"has(metadata.auth) && !has(metadata.none) && exists(metadata.nothing)", "true"},
        {"holds(has(metadata.auth)) && !holds(metadata.none.deeper == 1)", "true"},
        {"holds(metadata.auth > 3) || holds(metadata.auth) || holds(1 / 0 == 1)", "false"},
        {"'abc'.startsWith('ab') && endsWith('abc', 'bc')", "true"},
        {"int(2.9) + int('40') + int(-0.5)", "42"},
        {"string(12) + string(true) + string(1.50)", "\"12true1.50\""},
        {"double(3)", "3.0"},
        {".5", "0.5"},
        {"-metadata.ratio", "-0.75"},
        {"[1, 2] + [3] + []", "[1,2,3]"},
        {"[[1, 2][0], {'a': 7}.a,]", "[1,7]"},
        {"false && 1 / 0 == 1", "false"},
        {"1 / 0 == 1 && false", "false"},
        {"metadata.none || true", "true"},
        {"[0, 1].exists(x, 1 / x == 1)", "true"},
        {"[0, 1].all(x, 1 / x == 2)", "false"},
        {"true ? 1 : 1 / 0", "1"},
    };
    char room[512];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_value value;
        struct mw_buf buf;
        struct mw_json json;
        struct mw_err err = {.text = ""};
        const struct mw_expr *expr = compile(rows[i].text);
        if (mw_expr_eval(expr, roots, 3, &arena, &value, &err) != MW_OK)
            fail_msg("%s: %s", rows[i].text, err.text);
        mw_buf_init(&buf, room, sizeof room);
        mw_json_init(&json, &buf);
        mw_value_write(&value, &json);
        if (!mw_str_is(mw_buf_str(&buf), rows[i].json))
            fail_msg("%s: got %.*s, want %s", rows[i].text, MW_STR_ARG(mw_buf_str(&buf)),
                     rows[i].json);
    }
}

static void an_expression_that_makes_no_sense_is_refused_at_its_column(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"", "column 1: expected a value, the expression ends here"},
        {"a ==", "column 5: expected a value, the expression ends here"},
        {"a = 1", "column 3: '=' is not an operator; to compare write =="},
        {"a b", "column 3: expected an operator or the end"},
        {"(a", "column 3: expected ')' or an operator"},
        {"[1 2]", "column 4: expected ',' or the closing bracket"},
        {"{'a' 1}", "column 6: expected ':' after a key"},
        {"a ? b", "column 6: expected ':' and the other value"},
        {"a.", "column 3: expected a field name after '.'"},
        {"a.1", "column 2: expected an operator or the end"},
        {"a[1", "column 4: expected ']' after an index"},
        {"'abc", "column 1: a string that is not closed"},
        {"'a\nb'", "column 3: a line end in a string; write \\n or use \"\"\""},
        {"'\\q'", "column 2: no such escape; \\\\ is a backslash"},
        {"'\\ud800'", "column 4: no such character"},
        {"b'x'", "column 1: a string with this prefix is not part of the language (bytes are not)"},
        {"1abc", "column 2: expected an operator between a number and a name"},
        {"9223372036854775808", "column 1: an integer that does not fit 64 bits with a sign"},
        {"99999999999999999999", "column 1: an integer over 64 bits"},
        {"-5u", "column 2: an unsigned integer with a minus"},
        {"while", "column 1: a reserved word; fields of this name follow a '.'"},
        {"frob(1)", "column 1: no such function; docs/expressions.md lists them"},
        {"x.frob(1)", "column 3: no such function; docs/expressions.md lists them"},
        {"size(1, 2)", "column 1: a wrong number of arguments for this function"},
        {"x.all(y)", "column 3: a wrong number of arguments for this function"},
        {"x.all(y.z, true)", "column 9: expected the name of a variable here"},
        {"has(x)", "column 1: has() asks for a field: has(a.b)"},
        {"${1}", "column 3: expected a name in ${ }"},
        {"${a", "column 4: expected '}' after the name"},
        {"a # b", "column 3: a character that no expression has here"},
        {"'\xff'", "column 2: not well-formed UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const struct mw_expr *expr = NULL;
        struct mw_err err = {.text = ""};
        begin();
        enum mw_rc rc = mw_expr_compile(&arena, mw_str_of(rows[i].text), &expr, &err);
        if (rc != MW_E_INPUT || strcmp(err.text, rows[i].want) != 0)
            fail_msg("%s: got '%s', want '%s'", rows[i].text, err.text, rows[i].want);
        assert_null(expr);
    }
}

static void a_failed_evaluation_names_cause_and_column(void **state)
{
    static const struct {
        const char *text;
        enum mw_rc rc;
        const char *want;
        enum mw_expr_cause cause;
    } rows[] = {
        {"nowhere", MW_E_INPUT, "column 1: not there: nowhere", MW_EXPR_ABSENT},
        {"outcome.ok", MW_E_INPUT, "column 1: not there: outcome", MW_EXPR_ABSENT},
        {"metadata.none.deeper", MW_E_INPUT, "column 10: not there: none", MW_EXPR_ABSENT},
        {"metadata['none']", MW_E_INPUT, "column 9: not there: none", MW_EXPR_ABSENT},
        {"reviews[2]", MW_E_INPUT, "column 8: not there: index 2", MW_EXPR_ABSENT},
        {"metadata.auth.x", MW_E_INPUT, "column 15: types do not fit: field 'x' of string",
         MW_EXPR_MISMATCH},
        {"1 + 'a'", MW_E_INPUT, "column 3: types do not fit: integer + string", MW_EXPR_MISMATCH},
        {"1.5 + 1", MW_E_INPUT, "column 5: types do not fit: number + integer", MW_EXPR_MISMATCH},
        {"null < 1", MW_E_INPUT, "column 6: types do not fit: null ordered against integer",
         MW_EXPR_MISMATCH},
        {"1 / 0", MW_E_INPUT, "column 3: arithmetic: division by zero", MW_EXPR_ARITHMETIC},
        {"metadata.big + 1", MW_E_INPUT, "column 14: arithmetic: an integer over 64 bits",
         MW_EXPR_ARITHMETIC},
        {"(-9223372036854775808) / -1", MW_E_INPUT,
         "column 24: arithmetic: an integer over 64 bits", MW_EXPR_ARITHMETIC},
        {"(-9223372036854775808) % -1", MW_E_INPUT,
         "column 24: arithmetic: an integer over 64 bits", MW_EXPR_ARITHMETIC},
        {"!1", MW_E_INPUT, "column 1: types do not fit: ! of something not boolean",
         MW_EXPR_MISMATCH},
        {"1 && true", MW_E_INPUT, "column 1: types do not fit: && of something not boolean",
         MW_EXPR_MISMATCH},
        {"{1: 2, 1u: 3}", MW_E_INPUT, "column 8: types do not fit: the same key twice",
         MW_EXPR_MISMATCH},
        {"size(1)", MW_E_INPUT, "column 1: types do not fit: size of integer", MW_EXPR_MISMATCH},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_value value = {.type = MW_VALUE_MAP, .count = 77};
        struct mw_err err = {.text = ""};
        struct mw_expr_why why;
        const struct mw_expr *expr = compile(rows[i].text);
        enum mw_rc rc = mw_expr_eval(expr, roots, 3, &arena, &value, &err);
        if (rc != rows[i].rc || strcmp(err.text, rows[i].want) != 0)
            fail_msg("%s: got '%s', want '%s'", rows[i].text, err.text, rows[i].want);
        assert_int_equal(value.count, 77);
        assert_false(mw_expr_test(expr, roots, 3, &arena, &why));
        assert_int_equal(why.cause, rows[i].cause);
        assert_true(why.column > 0);
    }
}

static void a_test_passes_only_on_true(void **state)
{
    static const struct {
        const char *text;
        bool want;
        enum mw_expr_cause cause;
    } rows[] = {
        {"true", true, MW_EXPR_DECIDED},
        {"false", false, MW_EXPR_DECIDED},
        {"1", false, MW_EXPR_NOT_BOOL},
        {"'true'", false, MW_EXPR_NOT_BOOL},
        {"metadata.nothing", false, MW_EXPR_NOT_BOOL},
        {"metadata.none", false, MW_EXPR_ABSENT},
        {"!metadata.none", false, MW_EXPR_ABSENT},
        {"metadata.none != 'x'", false, MW_EXPR_ABSENT},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_expr_why why;
        const struct mw_expr *expr = compile(rows[i].text);
        assert_int_equal(mw_expr_test(expr, roots, 3, &arena, &why), rows[i].want);
        assert_int_equal(why.cause, rows[i].cause);
        assert_int_equal(mw_expr_test(expr, roots, 3, &arena, NULL), rows[i].want);
    }
}

static void uses_name_what_is_read_and_never_a_variable(void **state)
{
    static const char text[] =
        "metadata.auth == 'x' && has(metadata.b.c) && event['type'] in list && "
        "list.all(x, x.y > lim.max && metadata.auth.exists(y, y == x && q)) && ${a.b} == y";
    static const char *const want[] = {"metadata.auth", "metadata.b", "event.type", "list.",
                                       "lim.max",       "q.",         "a.b",        "y."};
    char got[64];
    struct mw_expr_use use;
    uint32_t count = 0;
    (void)state;
    const struct mw_expr *expr = compile(text);
    for (; mw_expr_roots(expr, count, &use); count++) {
        assert_true(count < MW_COUNT(want));
        (void)snprintf(got, sizeof got, "%.*s.%.*s", MW_STR_ARG(use.root), MW_STR_ARG(use.field));
        assert_string_equal(got, want[count]);
    }
    assert_int_equal(count, MW_COUNT(want));
    assert_true(mw_expr_uses(expr, MW_STR("event")));
    assert_false(mw_expr_uses(expr, MW_STR("x")));
    assert_true(mw_str_is(mw_expr_text(expr), text));
}

static void fill(char *text, size_t *len, const char *part, int count)
{
    for (int i = 0; i < count; i++) {
        memcpy(text + *len, part, strlen(part));
        *len += strlen(part);
    }
}

static void depth_and_size_are_limited_by_name(void **state)
{
    static const struct {
        const char *open;
        const char *middle;
        const char *close;
        int fits;
        int too_many;
        const char *limit;
    } rows[] = {
        {"(", "1", ")", MW_EXPR_DEPTH_MAX - 1, MW_EXPR_DEPTH_MAX, "MW_EXPR_DEPTH_MAX"},
        {"[", "1", "]", MW_EXPR_DEPTH_MAX - 1, MW_EXPR_DEPTH_MAX, "MW_EXPR_DEPTH_MAX"},
        {"!", "true", "", MW_EXPR_DEPTH_MAX - 1, 60000, "MW_EXPR_DEPTH_MAX"},
        {"not ", "true", "", MW_EXPR_DEPTH_MAX - 1, 10000, "MW_EXPR_DEPTH_MAX"},
        {"", "1", "+1", MW_EXPR_DEPTH_MAX - 1, MW_EXPR_DEPTH_MAX, "MW_EXPR_DEPTH_MAX"},
        {"", "a", ".a", MW_EXPR_DEPTH_MAX - 1, MW_EXPR_DEPTH_MAX, "MW_EXPR_DEPTH_MAX"},
        {"true?1:", "1", "", MW_EXPR_DEPTH_MAX - 1, MW_EXPR_DEPTH_MAX, "MW_EXPR_DEPTH_MAX"},
        {"", "true", "&&true", 4000, 5000, "MW_EXPR_NODES_MAX"},
        {"", "1", " ", 60000, 70000, "MW_EXPR_TEXT_MAX"},
    };
    static char text[1 << 20];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        for (int too_many = 0; too_many < 2; too_many++) {
            const struct mw_expr *expr = NULL;
            struct mw_err err = {.text = ""};
            size_t len = 0;
            int count = too_many ? rows[i].too_many : rows[i].fits;
            fill(text, &len, rows[i].open, count);
            fill(text, &len, rows[i].middle, 1);
            fill(text, &len, rows[i].close, count);
            begin();
            enum mw_rc rc = mw_expr_compile(&arena, (struct mw_str){text, len}, &expr, &err);
            if (rc != (too_many ? MW_E_LIMIT : MW_OK))
                fail_msg("row %zu, %d: %s", i, count, err.text);
            if (too_many)
                assert_non_null(strstr(err.text, rows[i].limit));
        }
    }
}

/* 40 items, a cube of them: more steps than one evaluation may take, and no operator hides that. */
static void cost_is_limited_and_not_absorbed(void **state)
{
    char text[512];
    struct mw_value value;
    struct mw_err err;
    struct mw_expr_why why;
    char list[256] = "[0";
    (void)state;
    for (int i = 1; i < 40; i++)
        strcat(list, ",0");
    strcat(list, "]");
    (void)snprintf(text, sizeof text,
                   "true || [%s].exists(l, l.all(a, l.all(b, l.all(c, c == 0))))", list);
    const struct mw_expr *expr = compile(text + strlen("true || "));
    assert_int_equal(mw_expr_eval(expr, roots, 3, &arena, &value, &err), MW_E_LIMIT);
    assert_non_null(strstr(err.text, "MW_EXPR_COST_MAX"));
    assert_false(mw_expr_test(expr, roots, 3, &arena, &why));
    assert_int_equal(why.cause, MW_EXPR_LIMIT);
    (void)snprintf(text, sizeof text,
                   "[%s].exists(l, l.all(a, l.all(b, l.all(c, c == 0)))) || true", list);
    expr = compile(text);
    assert_int_equal(mw_expr_eval(expr, roots, 3, &arena, &value, &err), MW_E_LIMIT);
}

/* One operation that is too dear leaves steps over; || may not go on with them. */
static void a_limit_is_not_absorbed_while_steps_are_left(void **state)
{
    static char text[4 << 20];
    struct mw_value value;
    struct mw_tape big;
    (void)state;
    const struct mw_expr *expr = compile("s.size() == 1 || true");
    memset(text, 'x', sizeof text);
    text[0] = '"';
    text[sizeof text - 1] = '"';
    assert_int_equal(mw_json_parse(&arena, (struct mw_str){text, sizeof text}, &big, NULL), MW_OK);
    struct mw_expr_root root = {MW_STR("s"), &big, 0};
    assert_int_equal(mw_expr_eval(expr, &root, 1, &arena, &value, NULL), MW_E_LIMIT);
}

/* A text of one letter and a part that fits everywhere but for its end. */
static void a_search_that_almost_fits_everywhere_is_too_dear(void **state)
{
    static char text[200000];
    struct mw_value value;
    struct mw_tape big;
    (void)state;
    const struct mw_expr *expr = compile("s[0].contains(s[1])");
    memset(text, 'x', sizeof text);
    memcpy(text, "[\"", 2);
    memcpy(text + sizeof text - 2000, "\",\"", 3);
    memcpy(text + sizeof text - 4, "y\"]", 3);
    assert_int_equal(mw_json_parse(&arena, (struct mw_str){text, sizeof text - 1}, &big, NULL),
                     MW_OK);
    struct mw_expr_root root = {MW_STR("s"), &big, 0};
    assert_int_equal(mw_expr_eval(expr, &root, 1, &arena, &value, NULL), MW_E_LIMIT);
}

/* Ten thousand failures absorbed one after the other keep nothing but the first one's words. */
static void absorbed_failures_do_not_use_up_the_arena(void **state)
{
    struct mw_value value;
    (void)state;
    const struct mw_expr *expr = compile("l.exists(x, x.field == 1 || 'a' + x == 'b')");
    struct mw_buf buf;
    static char room[1 << 16];
    mw_buf_init(&buf, room, sizeof room);
    mw_buf_put_z(&buf, "{\"l\":[0");
    for (int i = 1; i < 10000; i++)
        mw_buf_put_z(&buf, ",0");
    mw_buf_put_z(&buf, "]}");
    struct mw_tape many;
    assert_int_equal(mw_json_parse(&arena, mw_buf_str(&buf), &many, NULL), MW_OK);
    struct mw_expr_root root = {MW_STR(""), &many, 0};
    size_t before = arena.used_bytes;
    assert_int_equal(mw_expr_eval(expr, &root, 1, &arena, &value, NULL), MW_E_INPUT);
    assert_true(arena.used_bytes - before < 256);
}

static void memory_that_runs_out_is_a_limit(void **state)
{
    static const char text[] =
        "[1, 2].map(x, string(x) + 'abc').exists(y, y == '1abc') && -1.5 < double(2)";
    enum mw_rc rc = MW_E_LIMIT;
    (void)state;
    for (size_t size = 0; rc != MW_OK; size += 16) {
        struct mw_arena small;
        const struct mw_expr *expr = NULL;
        struct mw_value value;
        struct mw_err err;
        begin();
        mw_arena_init(&small, memory + sizeof memory / 2, size);
        rc = mw_expr_compile(&small, mw_str_of(text), &expr, &err);
        if (rc == MW_OK)
            rc = mw_expr_eval(expr, roots, 3, &small, &value, &err);
        assert_true(rc == MW_OK || rc == MW_E_LIMIT);
        if (rc == MW_OK)
            assert_true(value.type == MW_VALUE_BOOL && value.boolean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_as_documented),
        cmocka_unit_test(an_expression_that_makes_no_sense_is_refused_at_its_column),
        cmocka_unit_test(a_failed_evaluation_names_cause_and_column),
        cmocka_unit_test(a_test_passes_only_on_true),
        cmocka_unit_test(uses_name_what_is_read_and_never_a_variable),
        cmocka_unit_test(depth_and_size_are_limited_by_name),
        cmocka_unit_test(cost_is_limited_and_not_absorbed),
        cmocka_unit_test(a_limit_is_not_absorbed_while_steps_are_left),
        cmocka_unit_test(a_search_that_almost_fits_everywhere_is_too_dear),
        cmocka_unit_test(absorbed_failures_do_not_use_up_the_arena),
        cmocka_unit_test(memory_that_runs_out_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
