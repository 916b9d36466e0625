#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "author/author.h"
#include "author/yaml.h"

#define MEMORY_SIZE ((size_t)64 << 20)

static char *memory;
static struct mw_arena arena;

static int set_up(void **state)
{
    (void)state;
    memory = aligned_alloc(16, MEMORY_SIZE);
    return memory == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

static void yaml_means_what_the_core_schema_says(void **state)
{
    static const struct {
        const char *yaml;
        const char *json;
    } rows[] = {
        {"a: 1\nb: two", "{\"a\":1,\"b\":\"two\"}"},
        {"[~, null, Null, NULL, '']", "[null,null,null,null,\"\"]"},
        {"a:", "{\"a\":null}"},
        {"[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]"},
        {"[yes, no, on, off, y, n]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\"]"},
        {"['1', \"true\", 'null']", "[\"1\",\"true\",\"null\"]"},
        {"[0, -0, +7, 007, 0o17, 0x1F]", "[0,0,7,7,15,31]"},
        {"[9223372036854775807, 9223372036854775808]", "[9223372036854775807,9223372036854775808]"},
        {"[.5, -.5, 1., +1.50, 1e5, 1.e-3, 00.5]", "[0.5,-0.5,1.0,1.50,1e5,1e-3,0.5]"},
        {"[0b1, 1_000, 0o8, 1:30, '.', -, 1.2.3]",
         "[\"0b1\",\"1_000\",\"0o8\",\"1:30\",\".\",\"-\",\"1.2.3\"]"},
        {"[2026-11-20, =, .e5]", "[\"2026-11-20\",\"=\",\".e5\"]"},
        {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
        {"- !!str 12\n- !!int '7'\n- ! true\n- !!float 1", "[\"12\",7,\"true\",1]"},
        {"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
        {"a: &x {k: [1]}\nb: *x", "{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]}}"},
        {"&k key: *k", "{\"key\":\"key\"}"},
        {"'<<': 1", "{\"<<\":1}"},
        {"%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}"},
        {"\xef\xbb\xbf"
         "a: 1",
         "{\"a\":1}"},
        {"{\"json\": [1, {\"is\": \"yaml\"}]}", "{\"json\":[1,{\"is\":\"yaml\"}]}"},
        {"# only\nplain # comment", "\"plain\""},
        {"\xef\xbb\xbf"
         "a: 1\r\nb: 2\r\n",
         "{\"a\":1,\"b\":2}"},
    };
    char room[1024];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_tape tape;
        struct mw_buf buf;
        struct mw_json json;
        struct mw_err err = {.rc = MW_OK};
        mw_arena_init(&arena, memory, MEMORY_SIZE);
        if (mw_yaml_parse(&arena, mw_str_of(rows[i].yaml), &tape, &err) != MW_OK)
            fail_msg("%s: %s", rows[i].yaml, err.text);
        mw_buf_init(&buf, room, sizeof room);
        mw_json_init(&json, &buf);
        mw_json_node(&json, &tape, 0);
        if (!mw_str_is(mw_buf_str(&buf), rows[i].json))
            fail_msg("%s: got %.*s, want %s", rows[i].yaml, MW_STR_ARG(mw_buf_str(&buf)),
                     rows[i].json);
    }
}

static void what_yaml_may_not_say_is_refused_at_its_place(void **state)
{
    static const struct {
        const char *yaml;
        enum mw_rc rc;
        const char *want;
    } rows[] = {
        {"a: 1\nb: 2\na: 3", MW_E_INPUT,
         "line 3, column 1: key 'a' is there twice; the first is at line 1, column 1"},
        {"a: 1\n1: 2", MW_E_INPUT,
         "line 2, column 1: a key that is not a string; put it in quotes"},
        {"? [a]\n: 1", MW_E_INPUT, "line 1, column 3: a key that is a mapping"},
        {"~: 1", MW_E_INPUT, "line 1, column 1: a key that is not a string"},
        {"a: &x 1\n*x : 2", MW_E_INPUT, "line 2, column 1: a key that is not a string"},
        {"a: &x {b: 1}\nc:\n  <<: *x", MW_E_INPUT, "line 3, column 3: a merge key"},
        {"a: 1\n---\nb: 2", MW_E_INPUT, "line 2, column 1: a second document"},
        {"", MW_E_INPUT, "line 1, column 1: expected a value"},
        {"# nothing\n", MW_E_INPUT, "line 2, column 1: expected a value"},
        {"[.inf]", MW_E_INPUT, "line 1, column 2: a number that JSON does not have"},
        {"[-.INF]", MW_E_INPUT, "line 1, column 2: a number that JSON does not have"},
        {"[.nan]", MW_E_INPUT, "line 1, column 2: a number that JSON does not have"},
        {"[0xFFFFFFFFFFFFFFFFF]", MW_E_INPUT, "line 1, column 2: an integer that does not fit"},
        {"[!!int x]", MW_E_INPUT, "line 1, column 2: a tag"},
        {"[!!binary eA==]", MW_E_INPUT, "line 1, column 2: a tag"},
        {"!mine {a: 1}", MW_E_INPUT, "line 1, column 1: a tag"},
        {"[\"a\\0b\"]", MW_E_INPUT, "line 1, column 2: a string may not hold the character NUL"},
        {"a: &x [*x]", MW_E_INPUT, "line 1, column 8: an alias inside what it names"},
        {"[*nowhere]", MW_E_INPUT, "line 1, column 2: an alias without an anchor"},
        {"a: [1, 2", MW_E_INPUT, "line 2, column 1: did not find expected ',' or ']'"},
        {"a:\n\t- b", MW_E_INPUT, "line 2, column 1: found character that cannot start any token"},
        {"a: \xff", MW_E_INPUT, "line 1, column "},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_tape tape = {NULL, 77};
        struct mw_err err = {.rc = MW_OK};
        mw_arena_init(&arena, memory, MEMORY_SIZE);
        enum mw_rc rc = mw_yaml_parse(&arena, mw_str_of(rows[i].yaml), &tape, &err);
        if (rc != rows[i].rc || strncmp(err.text, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("%s: got '%s', want '%s'", rows[i].yaml, rc == MW_OK ? "" : err.text,
                     rows[i].want);
        assert_int_equal(tape.count, 77);
        assert_int_equal(arena.used_bytes, 0);
    }
}

static void every_node_knows_its_line_and_column(void **state)
{
    static const char yaml[] = "name: x\nsteps:\n  - run: a\n    with: {k: 1}\n  - run: b\n";
    struct mw_tape tape;
    (void)state;
    mw_arena_init(&arena, memory, MEMORY_SIZE);
    assert_int_equal(mw_yaml_parse(&arena, mw_str_of(yaml), &tape, NULL), MW_OK);
    uint32_t k = mw_node_pointer(&tape, 0, MW_STR("/steps/0/with/k"));
    assert_int_equal(mw_node_int(&tape, k, 0), 1);
    assert_int_equal(tape.nodes[k].line, 4);
    assert_int_equal(tape.nodes[k].column, 15);
    uint32_t second = mw_node_pointer(&tape, 0, MW_STR("/steps/1"));
    assert_int_equal(tape.nodes[second].line, 5);
    assert_int_equal(tape.nodes[second].column, 5);
}

/* "Billion laughs": nine doublings by ten. */
static void aliases_cannot_multiply_beyond_the_node_limit(void **state)
{
    char yaml[2048];
    struct mw_tape tape;
    struct mw_err err;
    int len = snprintf(yaml, sizeof yaml, "a0: &a0 [x]\n");
    (void)state;
    for (int i = 1; i < 10; i++) {
        len += snprintf(yaml + len, sizeof yaml - (size_t)len, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            len += snprintf(yaml + len, sizeof yaml - (size_t)len, "*a%d,", i - 1);
        len += snprintf(yaml + len, sizeof yaml - (size_t)len, "]\n");
    }
    mw_arena_init(&arena, memory, MEMORY_SIZE);
    assert_int_equal(mw_yaml_parse(&arena, (struct mw_str){yaml, (size_t)len}, &tape, &err),
                     MW_E_LIMIT);
    assert_non_null(strstr(err.text, "MW_YAML_NODES_MAX"));
}

/* So many anchors, and as many aliases to the first of them, would be looked through for seconds. */
static void anchors_are_limited(void **state)
{
    char yaml[24 * 1024];
    struct mw_tape tape;
    struct mw_err err;
    (void)state;
    for (unsigned count = MW_YAML_ANCHORS_MAX; count <= MW_YAML_ANCHORS_MAX + 1; count++) {
        int len = 0;
        for (unsigned i = 0; i < count; i++)
            len += snprintf(yaml + len, sizeof yaml - (size_t)len, "- &a%u x\n", i);
        len += snprintf(yaml + len, sizeof yaml - (size_t)len, "- *a0\n");
        mw_arena_init(&arena, memory, MEMORY_SIZE);
        assert_int_equal(mw_yaml_parse(&arena, (struct mw_str){yaml, (size_t)len}, &tape, &err),
                         count > MW_YAML_ANCHORS_MAX ? MW_E_LIMIT : MW_OK);
    }
    assert_non_null(strstr(err.text, "line 1025"));
    assert_non_null(strstr(err.text, "MW_YAML_ANCHORS_MAX"));
}

static void depth_is_limited_through_aliases_too(void **state)
{
    char yaml[2 * MW_JSON_DEPTH_MAX + 64];
    struct mw_tape tape;
    struct mw_err err;
    (void)state;
    /* A list of depth - 1 levels in a mapping, then a copy of it one list deeper. */
    for (int depth = MW_JSON_DEPTH_MAX; depth <= MW_JSON_DEPTH_MAX + 1; depth++) {
        int inner = depth - 2;
        int len = snprintf(yaml, sizeof yaml, "a: &a ");
        for (int i = 0; i < inner; i++)
            yaml[len++] = '[';
        for (int i = 0; i < inner; i++)
            yaml[len++] = ']';
        len += snprintf(yaml + len, sizeof yaml - (size_t)len, "\nb: [*a]\n");
        mw_arena_init(&arena, memory, MEMORY_SIZE);
        assert_int_equal(mw_yaml_parse(&arena, (struct mw_str){yaml, (size_t)len}, &tape, &err),
                         depth == MW_JSON_DEPTH_MAX ? MW_OK : MW_E_LIMIT);
    }
    assert_non_null(strstr(err.text, "MW_JSON_DEPTH_MAX"));
}

static void memory_that_runs_out_is_a_limit(void **state)
{
    struct mw_tape tape;
    enum mw_rc rc = MW_E_LIMIT;
    (void)state;
    for (size_t size = 0; rc != MW_OK; size += 16) {
        mw_arena_init(&arena, memory, size);
        rc = mw_yaml_parse(&arena, MW_STR("a: [b, &x {c: 1.50}]\nd: *x"), &tape, NULL);
        assert_true(rc == MW_OK || rc == MW_E_LIMIT);
        assert_true(rc != MW_OK || !arena.exhausted);
    }
}

static void files_are_read_by_their_ending_and_errors_can_be_jumped_to(void **state)
{
    static const struct {
        const char *path;
        const char *text;
        enum mw_rc rc;
        const char *want;
    } rows[] = {
        {"a.json", "{\"a\":1}", MW_OK, ""},
        {"a.yaml", "a: 1", MW_OK, ""},
        {"a.yml", "a: 1", MW_OK, ""},
        {"d/a.json", "{\"a\":1,\n}", MW_E_INPUT, "d/a.json:2:1: expected a key, written with \""},
        {"d/a.yml", "a: 1\na: 2", MW_E_INPUT,
         "d/a.yml:2:1: key 'a' is there twice; the first is at line 1, column 1"},
        {"a.toml", "a = 1", MW_E_USAGE,
         "a.toml: expected a file that ends in .json, .yaml or .yml"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_tape tape;
        struct mw_err err = {.text = ""};
        mw_arena_init(&arena, memory, MEMORY_SIZE);
        assert_int_equal(
            mw_author_read(&arena, mw_str_of(rows[i].path), mw_str_of(rows[i].text), &tape, &err),
            rows[i].rc);
        assert_string_equal(err.text, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_means_what_the_core_schema_says),
        cmocka_unit_test(what_yaml_may_not_say_is_refused_at_its_place),
        cmocka_unit_test(every_node_knows_its_line_and_column),
        cmocka_unit_test(aliases_cannot_multiply_beyond_the_node_limit),
        cmocka_unit_test(anchors_are_limited),
        cmocka_unit_test(depth_is_limited_through_aliases_too),
        cmocka_unit_test(memory_that_runs_out_is_a_limit),
        cmocka_unit_test(files_are_read_by_their_ending_and_errors_can_be_jumped_to),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
