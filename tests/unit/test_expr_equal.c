/*
 * test_expr_equal.c - which values are equal: each of a list is equal to itself, computed or read, and to no other of the list.
 */
#include "base/json.h"
#include "posix/heap.h"
#include "rules/expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const values[] = {"null",
                                     "true",
                                     "false",
                                     "0",
                                     "1",
                                     "1.5",
                                     "9223372036854775807",
                                     "9223372036854775806",
                                     "\"\"",
                                     "\"a\"",
                                     "\"b\"",
                                     "\"A\"",
                                     "\"aa\"",
                                     "\"1\"",
                                     "\"null\"",
                                     "[]",
                                     "[null]",
                                     "[1]",
                                     "[2]",
                                     "[1,2]",
                                     "[2,1]",
                                     "[1,2,3]",
                                     "[[1]]",
                                     "[[1],2]",
                                     "[\"a\"]",
                                     "{}",
                                     "{\"a\":1}",
                                     "{\"a\":2}",
                                     "{\"b\":1}",
                                     "{\"a\":1,\"b\":2}",
                                     "{\"a\":1,\"b\":3}",
                                     "{\"a\":null}",
                                     "{\"a\":{\"b\":1}}",
                                     "{\"a\":[1]}",
                                     "[{\"a\":1}]"};

static struct mw_arena arena;
static struct mw_tape tape; /* {"v":[…]}: the same values, read */

static bool holds(const char *text)
{
    const struct mw_expr_root roots[] = {{MW_STR("data"), &tape, 0}};
    const struct mw_expr *expr = NULL;
    struct mw_value value;
    struct mw_err err = {0};
    size_t mark = arena.used_bytes;
    if (mw_expr_compile(&arena, mw_str_of(text), &expr, &err) != MW_OK ||
        mw_expr_eval(expr, roots, MW_COUNT(roots), &arena, &value, &err) != MW_OK)
        fail_msg("%s: %s", text, err.text);
    if (value.type != MW_VALUE_BOOL)
        fail_msg("%s is no boolean", text);
    arena.used_bytes = mark;
    return value.boolean;
}

/* How the value at `at` is written: computed, or read. */
static const char *written(size_t at, bool read, char text[64])
{
    if (!read)
        return values[at];
    (void)snprintf(text, 64, "data.v[%zu]", at);
    return text;
}

static void equal_is_what_is_the_same_and_nothing_else(void **state)
{
    struct mw_buf json = mw_heap_buf();
    struct mw_err err = {0};
    (void)state;
    mw_heap_arena(&arena, (size_t)4 << 20);
    mw_buf_put(&json, MW_STR("{\"v\":["));
    for (size_t i = 0; i < MW_COUNT(values); i++)
        mw_buf_printf(&json, "%s%s", i > 0 ? "," : "", values[i]);
    mw_buf_put(&json, MW_STR("]}"));
    assert_int_equal(mw_json_parse(&arena, mw_buf_str(&json), &tape, &err), MW_OK);
    for (size_t i = 0; i < MW_COUNT(values); i++)
        for (size_t n = 0; n < MW_COUNT(values); n++)
            for (unsigned how = 0; how < 4; how++) {
                char a[64], b[64], text[160];
                const char *left = written(i, (how & 1) != 0, a);
                const char *right = written(n, (how & 2) != 0, b);
                (void)snprintf(text, sizeof text, "%s == %s", left, right);
                if (holds(text) != (i == n))
                    fail_msg("%s is %s", text, i == n ? "false" : "true");
                (void)snprintf(text, sizeof text, "%s != %s", left, right);
                if (holds(text) != (i != n))
                    fail_msg("%s is %s", text, i != n ? "false" : "true");
                (void)snprintf(text, sizeof text, "%s in [%s]", left, right);
                if (holds(text) != (i == n))
                    fail_msg("%s is %s", text, i == n ? "false" : "true");
            }
    mw_heap_buf_free(&json);
    mw_heap_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_is_what_is_the_same_and_nothing_else),
    };
    return cmocka_run_group_tests_name("test_expr_equal", tests, NULL, NULL);
}
