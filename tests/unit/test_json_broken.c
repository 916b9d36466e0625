/*
 * JSON texts that somebody broke: every prefix of a corpus, every byte left out, doubled, and replaced by each of those that mean something.
 * jansson says what is JSON; what is taken is read as it reads it, whatever the memory; what is refused says where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static char memory[1 << 20] __attribute__((aligned(16)));

static const char *const corpus[] = {
    "{\"a\":[1,-2.5e+10,true,false,null,\"x\"],\"b\":{},\"c\":[],\"\":0}",
    " [ 1 ,\t2\r\n, \"\\\"\\\\\\/\\b\\f\\n\\r\\t\" ] ",
    "\"\\u00e9\\uD83D\\uDE00\\ud7ff\\ue000\"",
    "\"h\xc3\xa9 \xe2\x82\xac \xed\x9f\xbf \xe0\xa0\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"",
    "[-0,0.0,1e5,1E-5,9223372036854775807,-9223372036854775808,9223372036854775808]",
    "[[[[{\"k\":[{\"l\":\"long enough to be skipped sixteen bytes at a time, twice over\"}]}]]]]",
    ("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,"
     "\"l\":12,\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":17,\"r\":18,\"s\":19,\"\\u0061b\":20}"),
};

/* The end of a value that is skipped is the one that a whole reading finds. */
static void compare_skip(struct mw_str text)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err = {.text = ""};
    size_t from = 0, to = text.len;
    while (from < to && strchr(" \t\r\n", text.ptr[from]) != NULL && text.ptr[from] != '\0')
        from++;
    while (to > from && strchr(" \t\r\n", text.ptr[to - 1]) != NULL && text.ptr[to - 1] != '\0')
        to--;
    size_t end = mw_json_skip(text, from);
    mw_arena_init(&arena, memory, sizeof memory);
    bool taken = mw_json_parse(&arena, text, &tape, NULL) == MW_OK;
    if (taken && memmem(text.ptr, text.len, "\\u", 2) == NULL && end != to)
        fail_msg("%.*s: skipped up to %zu", MW_STR_ARG(text), end);
    if (end == 0)
        return;
    /* Behind the value may stand what is none. */
    mw_arena_init(&arena, memory, sizeof memory);
    if (mw_json_parse(&arena, mw_str_sub(text, from, end - from), &tape, &err) != MW_OK &&
        strstr(err.text, "is there twice") == NULL)
        fail_msg("%.*s: skipped up to %zu: %s", MW_STR_ARG(text), end, err.text);
}

static void compare(struct mw_str text, size_t memory_bytes)
{
    struct mw_arena arena;
    struct mw_tape tape = {NULL, 7};
    struct mw_err err = {.rc = MW_OK};
    json_error_t error;
    mw_arena_init(&arena, memory, memory_bytes);
    enum mw_rc rc = mw_json_parse(&arena, text, &tape, &err);
    if (rc != MW_OK) {
        assert_int_equal(tape.count, 7); /* untouched */
        assert_memory_equal(err.text, "line ", 5);
    }
    if (rc == MW_E_LIMIT) {
        assert_true(memory_bytes < sizeof memory);
        return;
    }
    json_t *theirs =
        json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    /* Numbers of any length are kept here. */
    bool overflow = theirs == NULL && json_error_code(&error) == json_error_numeric_overflow;
    if (!overflow && (rc == MW_OK) != (theirs != NULL))
        fail_msg("%.*s: %s, and jansson says %s", MW_STR_ARG(text),
                 rc == MW_OK ? "taken" : err.text, theirs != NULL ? "taken" : error.text);
    json_decref(theirs);
    compare_skip(text);
}

static void a_broken_text_is_what_another_reader_says_it_is(void **state)
{
    static const char bytes[] =
        "{}[]:,\"\\ \t\n\r\f01-+.eEuaAnt/\x01\x7f\x80\xbf\xc0\xc2\xe0\xed\xf0\xf4"
        "\xf5\xff";
    char text[512];
    (void)state;
    for (size_t c = 0; c < MW_COUNT(corpus); c++) {
        size_t len = strlen(corpus[c]);
        assert_true(len + 1 < sizeof text);
        for (size_t at = 0; at <= len; at++) {
            compare((struct mw_str){corpus[c], at}, sizeof memory);
            for (size_t b = 0; b + 1 < sizeof bytes; b++) {
                memcpy(text, corpus[c], len);
                text[at] = bytes[b];
                compare((struct mw_str){text, at < len ? len : len + 1}, sizeof memory);
                memcpy(text + at + 1, corpus[c] + at, len - at);
                compare((struct mw_str){text, len + 1}, sizeof memory);
            }
            if (at < len) {
                memcpy(text, corpus[c], at);
                memcpy(text + at, corpus[c] + at + 1, len - at - 1);
                compare((struct mw_str){text, len - 1}, sizeof memory);
            }
        }
    }
}

static void every_size_of_memory_is_enough_or_said_to_be_too_small(void **state)
{
    (void)state;
    for (size_t c = 0; c < MW_COUNT(corpus); c++)
        for (size_t size = 0; size < 8192; size++)
            for (size_t offset = 0; offset < 2; offset++) {
                struct mw_arena arena;
                struct mw_tape tape;
                mw_arena_init(&arena, memory, size);
                (void)mw_arena_alloc(&arena, offset * 8); /* what was there before */
                enum mw_rc rc = mw_json_parse(&arena, mw_str_of(corpus[c]), &tape, NULL);
                assert_true(rc == MW_OK || rc == MW_E_LIMIT);
                assert_true(arena.used_bytes <= size);
            }
}

static uint32_t parse(struct mw_arena *arena, const char *text, struct mw_tape *tape)
{
    struct mw_err err;
    if (mw_json_parse(arena, mw_str_of(text), tape, &err) != MW_OK)
        fail_msg("%s: %s", text, err.text);
    return 0;
}

static void nesting_is_limited(void **state)
{
    char text[3 * MW_JSON_DEPTH_MAX];
    (void)state;
    for (size_t depth = MW_JSON_DEPTH_MAX - 1; depth <= MW_JSON_DEPTH_MAX + 1; depth++) {
        struct mw_arena arena;
        struct mw_tape tape;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct mw_str all = {text, 2 * depth};
        mw_arena_init(&arena, memory, sizeof memory);
        bool taken = mw_json_parse(&arena, all, &tape, NULL) == MW_OK;
        assert_int_equal(taken, depth <= MW_JSON_DEPTH_MAX);
        assert_int_equal(mw_json_skip(all, 0), taken ? all.len : 0);
    }
    assert_int_equal(mw_json_skip(MW_STR_NONE, 0), 0);
    assert_int_equal(mw_json_skip(MW_STR("\"\\u0041\""), 0), 0);
}

static void pointers_find_what_they_name(void **state)
{
    static const struct {
        const char *pointer;
        const char *text; /* NULL: nothing */
    } rows[] = {
        {"", "whole"},      {"/a/0", "1"},           {"/a/1/b", "2"},
        {"/a/2", NULL},     {"/a/00", NULL},         {"/a/01", NULL},
        {"/a/-", NULL},     {"/a/4294967295", NULL}, {"/a/99999999999999999999", NULL},
        {"/a/", NULL},      {"/a/0/x", NULL},        {"a", NULL},
        {"/m~0n", "3"},     {"/k~1l", "4"},          {"/~01", "5"},
        {"/t~", "6"},       {"/t~x", "7"},           {"/t~2", NULL},
        {"/m~", NULL},      {"/m~1n", NULL},         {"/", "8"},
        {"/nothing", NULL}, {"/nothing/more", NULL}, {"/mm", NULL},
        {"/z/10", "10"},    {"/z/11", NULL},
    };
    struct mw_arena arena;
    struct mw_tape tape;
    (void)state;
    mw_arena_init(&arena, memory, sizeof memory);
    (void)parse(&arena,
                "{\"a\":[1,{\"b\":2}],\"m~n\":3,\"k/l\":4,\"~1\":5,\"t~\":6,\"t~x\":7,\"\":8,"
                "\"z\":[0,1,2,3,4,5,6,7,8,9,10]}",
                &tape);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        uint32_t node = mw_node_pointer(&tape, 0, mw_str_of(rows[i].pointer));
        if (rows[i].text == NULL)
            assert_int_equal(node, MW_NODE_NONE);
        else if (i == 0)
            assert_int_equal(node, 0);
        else if (node == MW_NODE_NONE || !mw_str_is(tape.nodes[node].text, rows[i].text))
            fail_msg("%s", rows[i].pointer);
    }
    assert_int_equal(mw_node_get(&tape, 0, ""), mw_node_pointer(&tape, 0, MW_STR("/")));
    assert_int_equal(mw_node_get_str(&tape, 0, MW_STR_NONE), mw_node_get(&tape, 0, ""));
    assert_int_equal(mw_node_get(&tape, 1, "a"), MW_NODE_NONE);
}

static void values_are_equal_when_they_mean_the_same(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"1", "1.0", true},
        {"1.0", "1", true},
        {"1.5", "15e-1", true},
        {"1.5", "\"1.5\"", false},
        {"\"1.5\"", "1.5", false},
        {"1.5", "1.6", false},
        {"1", "2", false},
        {"null", "null", true},
        {"null", "false", false},
        {"true", "true", true},
        {"true", "1", false},
        {"1", "true", false},
        {"1.5", "true", false},
        {"true", "1.5", false},
        {"[]", "[]", true},
        {"[1,2]", "[1,3]", false},
        {"[1]", "[1,2]", false},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":3}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"a\":1,\"b\":2}", true},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"a\":1,\"d\":2}", false},
        {"\"a\"", "\"b\"", false},
        {"{}", "[]", false},
        {"1E2", "100", true},
        {"1e+2", "100.0", true},
        {"0.0", "-0", true},
    };
    struct mw_arena arena;
    struct mw_tape a, b;
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        mw_arena_init(&arena, memory, sizeof memory);
        (void)parse(&arena, rows[i].a, &a);
        (void)parse(&arena, rows[i].b, &b);
        if (mw_node_equal(&a, 0, &b, 0) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
    /* What is not there is null. */
    (void)parse(&arena, "null", &a);
    (void)parse(&arena, "1", &b);
    assert_true(mw_node_equal(&a, 0, &b, MW_NODE_NONE));
    assert_true(mw_node_equal(&b, MW_NODE_NONE, &a, 0));
    assert_false(mw_node_equal(&b, 0, &a, MW_NODE_NONE));
    assert_false(mw_node_equal(&a, MW_NODE_NONE, &b, 0));
}

static void numbers_are_compared_exactly(void **state)
{
    static const struct {
        const char *a, *b;
        int order;
    } rows[] = {
        {"1", "2", -1},
        {"-1", "1", -1},
        {"-1", "-2", 1},
        {"0", "-0.0e9", 0},
        {"10", "9.99", 1},
        {"1e400", "1e399", 1},
        {"-1e400", "-1e399", -1},
        {"1E2", "1e2", 0},
        {"0.1", "0.10", 0},
        {"0.012e3", "12", 0},
        {"123", "123.0001", -1},
        {"1e-5", "0.00001", 0},
        {"1e+5", "100000", 0},
        {"1e99999999999999999999", "1e99999999999999999998", 0},
        {"1e99999999999999999999", "1e5", 1},
        {"1e-99999999999999999999", "1e5", -1},
        {"0", "1", -1},
        {"1", "0", 1},
        {"12.5", "12.49", 1},
        {"", "0", 0},
        {"1e", "1", 0},
        {"1e-", "1", 0},
    };
    static const struct {
        const char *text;
        int64_t whole;
        bool fits, exact;
    } wholes[] = {
        {"1.0", 1, true, true},
        {"1.5", 1, true, false},
        {"-1.5", -1, true, false},
        {"9223372036854775807", INT64_MAX, true, true},
        {"-9223372036854775808", INT64_MIN, true, true},
        {"9223372036854775808", 0, false, false},
        {"-9223372036854775809", 0, false, false},
        {"1e19", 0, false, false},
        {"1e18", 1000000000000000000, true, true},
        {"0.5", 0, true, false},
        {"0e999", 0, true, true},
        {"1e-3", 0, true, false},
        {"99999999999999999999", 0, false, false},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        int order = mw_number_cmp(mw_str_of(rows[i].a), mw_str_of(rows[i].b));
        int other = mw_number_cmp(mw_str_of(rows[i].b), mw_str_of(rows[i].a));
        if (order != rows[i].order || other != -rows[i].order)
            fail_msg("%s against %s: %d, %d", rows[i].a, rows[i].b, order, other);
    }
    for (size_t i = 0; i < MW_COUNT(wholes); i++) {
        int64_t whole = 0;
        bool exact = false;
        bool fits = mw_number_to_i64(mw_str_of(wholes[i].text), &whole, &exact);
        if (fits != wholes[i].fits || exact != wholes[i].exact || whole != wholes[i].whole)
            fail_msg("%s", wholes[i].text);
        assert_int_equal(mw_number_to_i64(mw_str_of(wholes[i].text), &whole, NULL), fits);
    }
}

static void every_control_character_is_escaped(void **state)
{
    char all[0x20], output[512];
    struct mw_buf buf;
    struct mw_json json;
    struct mw_arena arena;
    struct mw_tape tape;
    (void)state;
    for (int i = 0; i < 0x20; i++)
        all[i] = (char)i;
    mw_buf_init(&buf, output, sizeof output);
    mw_json_init(&json, &buf);
    mw_json_str(&json, (struct mw_str){all + 1, sizeof all - 1});
    mw_arena_init(&arena, memory, sizeof memory);
    assert_int_equal(mw_json_parse(&arena, mw_buf_str(&buf), &tape, NULL), MW_OK);
    assert_int_equal(tape.nodes[0].text.len, sizeof all - 1);
    assert_memory_equal(tape.nodes[0].text.ptr, all + 1, sizeof all - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_text_is_what_another_reader_says_it_is),
        cmocka_unit_test(every_size_of_memory_is_enough_or_said_to_be_too_small),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(pointers_find_what_they_name),
        cmocka_unit_test(values_are_equal_when_they_mean_the_same),
        cmocka_unit_test(numbers_are_compared_exactly),
        cmocka_unit_test(every_control_character_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
