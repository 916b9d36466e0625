#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static char memory[1 << 20] __attribute__((aligned(16)));
static struct mw_arena arena;

static struct mw_tape parse(const char *text)
{
    struct mw_tape tape;
    struct mw_err err = {.rc = MW_OK};
    mw_arena_init(&arena, memory, sizeof memory);
    if (mw_json_parse(&arena, mw_str_of(text), &tape, &err) != MW_OK)
        fail_msg("%s: %s", text, err.text);
    return tape;
}

static void assert_str(struct mw_str got, const char *want)
{
    if (!mw_str_is(got, want))
        fail_msg("got '%.*s', want '%s'", MW_STR_ARG(got), want);
}

static void p14_a_refusal_names_place_and_remedy(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"{\"a\": 1,\n \"b\": 2\n      x", "line 3, column 7: expected ',' or '}' after a member"},
        {"", "line 1, column 1: expected a value, the text ends here"},
        {"[1 2]", "line 1, column 4: expected ',' or ']' after an item"},
        {"[1,]", "line 1, column 4: expected a value here"},
        {"{\"a\":1,}", "line 1, column 8: expected a key, written with \""},
        {"{a:1}", "line 1, column 2: expected a key, written with \""},
        {"{\"a\" 1}", "line 1, column 6: expected ':' after a key"},
        {"'a'", "line 1, column 1: expected a value; strings are written with \""},
        {"01", "line 1, column 1: a number may not begin with 0 unless it is 0"},
        {"1.", "line 1, column 3: expected a digit after the decimal point"},
        {"1e", "line 1, column 3: expected a digit in the exponent"},
        {"-", "line 1, column 2: expected a digit after '-'"},
        {"tru", "line 1, column 1: expected a value; the words are true, false and null"},
        {"\"a", "line 1, column 3: the text ends within a string"},
        {"\"a\nb\"",
         "line 1, column 3: a control character in a string; write it as an escape such "
         "as \\n"},
        {"\"a\\nb\xff\"", "line 1, column 6: not well-formed UTF-8"},
        {"\"\xc0\x80\"", "line 1, column 2: not well-formed UTF-8"},
        {"\"\xe0\x9f\xbf\"", "line 1, column 2: not well-formed UTF-8"},
        {"\"\xed\xa0\x80\"", "line 1, column 2: not well-formed UTF-8"},
        {"\"\xf0\x8f\xbf\xbf\"", "line 1, column 2: not well-formed UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "line 1, column 2: not well-formed UTF-8"},
        {"\"\xf0\x9f\x98\"", "line 1, column 2: not well-formed UTF-8"},
        {"\"\\x\"", "line 1, column 2: expected one of \" \\ / b f n r t u after a backslash"},
        {"\"\\u12g4\"", "line 1, column 6: expected four hexadecimal digits after \\u"},
        {"\"\\ud800\"", "line 1, column 2: a high surrogate without a low one after it"},
        {"\"\\udc00\"", "line 1, column 2: a low surrogate without a high one before it"},
        {"\"\\u0000\"", "line 1, column 2: a string may not hold the character NUL (\\u0000)"},
        {"1 2", "line 1, column 3: expected the end of the text after the value"},
        {"\xef\xbb\xbf{}", "line 1, column 1: a byte order mark; save the text without it"},
        {"{\"a\":1,\n\"b\":2,\n  \"\\u0061\":3}",
         "line 3, column 3: key 'a' is there twice; the first is at line 1, column 2"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_tape tape = {NULL, 77};
        struct mw_err err = {.rc = MW_OK};
        mw_arena_init(&arena, memory, sizeof memory);
        assert_int_equal(mw_json_parse(&arena, mw_str_of(rows[i].text), &tape, &err), MW_E_INPUT);
        assert_string_equal(err.text, rows[i].want);
        assert_int_equal(err.rc, MW_E_INPUT);
        assert_int_equal(tape.count, 77);
        assert_int_equal(arena.used_bytes, 0);
    }
}

static void nodes_carry_their_place_text_and_extent(void **state)
{
    (void)state;
    struct mw_tape tape = parse("{\"a\": [1,\n  {\"b\": \"x\"}], \"c\": -2.50}");
    assert_int_equal(tape.count, 9);
    assert_int_equal(tape.nodes[0].next, 9);
    assert_int_equal(mw_node_count(&tape, 0), 2);
    uint32_t a = mw_node_get(&tape, 0, "a");
    assert_str(tape.nodes[a].text, "[1,\n  {\"b\": \"x\"}]");
    assert_int_equal(tape.nodes[a].next, 7);
    uint32_t object = mw_node_at(&tape, a, 1);
    assert_int_equal(tape.nodes[object].line, 2);
    assert_int_equal(tape.nodes[object].column, 3);
    assert_str(mw_node_get_text(&tape, object, "b"), "x");
    assert_str(tape.nodes[mw_node_get(&tape, 0, "c")].text, "-2.50");
}

static void strings_without_escapes_stay_where_they_are(void **state)
{
    static const char text[] = "[\"plain\", \"q\\u0075oted \\ud83d\\ude00\"]";
    (void)state;
    struct mw_tape tape = parse(text);
    assert_ptr_equal(mw_node_str(&tape, 1).ptr, text + 2);
    assert_str(mw_node_str(&tape, 2), "quoted \xf0\x9f\x98\x80");
    assert_true(mw_node_str(&tape, 2).ptr >= memory);
    assert_true(mw_node_str(&tape, 2).ptr < memory + arena.used_bytes);
}

static void integers_are_exact_to_the_last_bit(void **state)
{
    static const struct {
        const char *text;
        enum mw_node_type type;
        int64_t value;
    } rows[] = {
        {"0", MW_NODE_INTEGER, 0},
        {"-0", MW_NODE_INTEGER, 0},
        {"9223372036854775807", MW_NODE_INTEGER, INT64_MAX},
        {"-9223372036854775808", MW_NODE_INTEGER, INT64_MIN},
        {"9223372036854775808", MW_NODE_NUMBER, 0},
        {"-9223372036854775809", MW_NODE_NUMBER, 0},
        {"18446744073709551617", MW_NODE_NUMBER, 0},
        {"10000000000000000000000000000000000000000", MW_NODE_NUMBER, 0},
        {"1.0", MW_NODE_NUMBER, 0},
        {"1e2", MW_NODE_NUMBER, 0},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_tape tape = parse(rows[i].text);
        assert_int_equal(tape.nodes[0].type, rows[i].type);
        assert_true(tape.nodes[0].integer == rows[i].value);
        assert_str(tape.nodes[0].text, rows[i].text);
    }
}

static void p14_depth_is_limited_by_name(void **state)
{
    char text[2 * MW_JSON_DEPTH_MAX + 3];
    struct mw_tape tape;
    struct mw_err err;
    (void)state;
    for (size_t depth = MW_JSON_DEPTH_MAX; depth <= MW_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        mw_arena_init(&arena, memory, sizeof memory);
        enum mw_rc rc = mw_json_parse(&arena, (struct mw_str){text, 2 * depth}, &tape, &err);
        assert_int_equal(rc, depth == MW_JSON_DEPTH_MAX ? MW_OK : MW_E_LIMIT);
        assert_false(arena.exhausted);
    }
    assert_non_null(strstr(err.text, "MW_JSON_DEPTH_MAX"));
}

static void a_full_arena_is_a_limit_and_sticky(void **state)
{
    static const char text[] = "{\"key\":\"va\\nlue\",\"list\":[1,2,3]}";
    struct mw_tape tape;
    struct mw_err err;
    size_t size = 0;
    enum mw_rc rc;
    (void)state;
    do {
        mw_arena_init(&arena, memory, size);
        rc = mw_json_parse(&arena, mw_str_of(text), &tape, &err);
        assert_true(rc == MW_OK || rc == MW_E_LIMIT);
        assert_int_equal(arena.exhausted, rc != MW_OK);
        assert_true(arena.used_bytes <= size);
        size += 1;
    } while (rc != MW_OK);
    assert_true(size > 8 * sizeof(struct mw_node));
}

static void large_objects_find_the_key_that_is_there_twice(void **state)
{
    static char text[1 << 16];
    (void)state;
    for (int twice = -1; twice < 1000; twice += twice < 0 ? 1 : 333) {
        struct mw_tape tape;
        struct mw_err err;
        int len = snprintf(text, sizeof text, "{");
        for (int i = 0; i < 1000; i++)
            len +=
                snprintf(text + len, sizeof text - (size_t)len, "\"k%d\":%d,", i * 7919 % 1000, i);
        len +=
            snprintf(text + len, sizeof text - (size_t)len, "\"k%d\":0}", twice < 0 ? 1000 : twice);
        mw_arena_init(&arena, memory, sizeof memory);
        enum mw_rc rc = mw_json_parse(&arena, (struct mw_str){text, (size_t)len}, &tape, &err);
        assert_int_equal(rc, twice < 0 ? MW_OK : MW_E_INPUT);
        if (twice >= 0)
            assert_non_null(strstr(err.text, "is there twice"));
    }
}

static void absent_goes_through_every_function(void **state)
{
    (void)state;
    struct mw_tape tape = parse("{\"a\":{\"b\":[true,7,null]}}");
    uint32_t none = mw_node_get(&tape, mw_node_get(&tape, 0, "x"), "y");
    assert_int_equal(none, MW_NODE_NONE);
    assert_int_equal(mw_node_type(&tape, none), MW_NODE_NULL);
    assert_int_equal(mw_node_at(&tape, none, 0), MW_NODE_NONE);
    assert_int_equal(mw_node_first(&tape, none), MW_NODE_NONE);
    assert_int_equal(mw_node_count(&tape, none), 0);
    assert_int_equal(mw_node_str(&tape, none).len, 0);
    assert_int_equal(mw_node_int(&tape, none, 5), 5);
    assert_true(mw_node_bool(&tape, none, true));
    assert_true(mw_node_is_null(&tape, none));
    assert_int_equal(mw_node_pointer(&tape, none, MW_STR("/a")), MW_NODE_NONE);
}

static void pointers_follow_rfc_6901(void **state)
{
    static const struct {
        const char *pointer;
        int64_t want; /* -1: absent */
    } rows[] = {
        {"/a/0/b", 1}, {"/a/1", 2},   {"/", 3},     {"/x~1y", 4}, {"/m~0n", 5}, {"/~01", 6},
        {"/a/2", -1},  {"/a/01", -1}, {"/a/-", -1}, {"a", -1},    {"/a/", -1},  {"/zz", -1},
    };
    (void)state;
    struct mw_tape tape = parse("{\"a\":[{\"b\":1},2],\"\":3,\"x/y\":4,\"m~n\":5,\"~1\":6}");
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        uint32_t node = mw_node_pointer(&tape, 0, mw_str_of(rows[i].pointer));
        if (mw_node_int(&tape, node, -1) != rows[i].want)
            fail_msg("%s", rows[i].pointer);
    }
    assert_int_equal(mw_node_pointer(&tape, 0, MW_STR("")), 0);
}

static void iteration_visits_every_child_once(void **state)
{
    (void)state;
    struct mw_tape tape = parse("{\"a\":[1,[2,3],{}],\"b\":{\"c\":4},\"d\":5}");
    char seen[16] = "";
    for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE; i = mw_node_after(&tape, 0, i))
        strncat(seen, mw_node_str(&tape, i).ptr, 1);
    assert_string_equal(seen, "abd");
    uint32_t list = mw_node_get(&tape, 0, "a");
    uint32_t count = 0;
    for (uint32_t i = mw_node_first(&tape, list); i != MW_NODE_NONE;
         i = mw_node_after(&tape, list, i))
        count++;
    assert_int_equal(count, 3);
}

static void equality_is_by_value(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool want;
    } rows[] = {
        {"1", "1.0", true},
        {"100", "1e2", true},
        {"1.5e3", "1500", true},
        {"0.001", "1e-3", true},
        {"-0.0", "0", true},
        {"0e999999999999999999999", "0", true},
        {"1e400", "1e401", false},
        {"9007199254740993.0", "9007199254740992.0", false},
        {"1", "\"1\"", false},
        {"null", "false", false},
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"[1,2]", "[2,1]", false},
        {"[[],{}]", "[[],{}]", true},
        {"[[]]", "[{}]", false},
        {"\"\\u00e9\"", "\"\xc3\xa9\"", true},
    };
    static char other[1 << 16] __attribute__((aligned(16)));
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_arena second;
        struct mw_tape b;
        struct mw_tape a = parse(rows[i].a);
        mw_arena_init(&second, other, sizeof other);
        assert_int_equal(mw_json_parse(&second, mw_str_of(rows[i].b), &b, NULL), MW_OK);
        if (mw_node_equal(&a, 0, &b, 0) != rows[i].want ||
            mw_node_equal(&b, 0, &a, 0) != rows[i].want)
            fail_msg("%s against %s", rows[i].a, rows[i].b);
    }
}

static void numbers_are_ordered_exactly(void **state)
{
    static const char *const ascending[] = {
        "-1e400", "-20", "-3.5", "-3.05", "-1e-400", "0",  "1e-400",
        "0.09",   "0.1", "0.11", "1",     "9.99",    "10", "1e1000000000000"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(ascending); i++)
        for (size_t j = 0; j < MW_COUNT(ascending); j++) {
            int order = mw_number_cmp(mw_str_of(ascending[i]), mw_str_of(ascending[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
}

static void numbers_give_their_whole_part(void **state)
{
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
        bool exact;
    } rows[] = {
        {"1.0", true, 1, true},
        {"-7.9", true, -7, false},
        {"0.5", true, 0, false},
        {"1.5e1", true, 15, true},
        {"12e2", true, 1200, true},
        {"1e-5", true, 0, false},
        {"0.0", true, 0, true},
        {"9223372036854775807.0", true, INT64_MAX, true},
        {"9223372036854775808", false, 0, false},
        {"-9223372036854775808.0", true, INT64_MIN, true},
        {"1e19", false, 0, false},
        {"1e400", false, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        int64_t value = 0;
        bool exact = false;
        bool fits = mw_number_to_i64(mw_str_of(rows[i].text), &value, &exact);
        if (fits != rows[i].fits || value != rows[i].value || exact != rows[i].exact)
            fail_msg("%s gave %d %ld %d", rows[i].text, fits, (long)value, exact);
    }
}

static void write_everything(struct mw_buf *buf)
{
    struct mw_json json;
    struct mw_tape tape = parse("{ \"t\" : [ 1 , 2.50 , { } ] }");
    mw_json_init(&json, buf);
    mw_json_object(&json);
    mw_json_kstr(&json, "s", MW_STR("a\"\\\n\x01\xc3\xa9/"));
    mw_json_kstr(&json, "bad", (struct mw_str){"x\xff\0y", 4});
    mw_json_ki64(&json, "i", INT64_MIN);
    mw_json_ku64(&json, "u", UINT64_MAX);
    mw_json_kbool(&json, "b", true);
    mw_json_key(&json, MW_STR("n"));
    mw_json_null(&json);
    mw_json_knode(&json, "node", &tape, mw_node_get(&tape, 0, "t"));
    mw_json_knode(&json, "none", &tape, MW_NODE_NONE);
    mw_json_kraw(&json, "raw", MW_STR("[0]"));
    mw_json_kobject(&json, "o");
    mw_json_object_end(&json);
    mw_json_karray(&json, "l");
    mw_json_array(&json);
    mw_json_array_end(&json);
    mw_json_bool(&json, false);
    mw_json_array_end(&json);
    mw_json_object_end(&json);
}

static void the_writer_puts_commas_and_escapes(void **state)
{
    char room[512];
    struct mw_buf buf;
    (void)state;
    mw_buf_init(&buf, room, sizeof room);
    write_everything(&buf);
    assert_str(mw_buf_str(&buf),
               "{\"s\":\"a\\\"\\\\\\n\\u0001\xc3\xa9/\",\"bad\":\"x\xef\xbf\xbd\xef\xbf\xbdy\","
               "\"i\":-9223372036854775808,\"u\":18446744073709551615,\"b\":true,\"n\":null,"
               "\"node\":[1,2.50,{}],\"none\":null,\"raw\":[0],\"o\":{},\"l\":[[],false]}");
    struct mw_tape again;
    assert_int_equal(mw_json_parse(&arena, mw_buf_str(&buf), &again, NULL), MW_OK);
}

/* Under UBSan: no place is counted from where there is no text. */
static void a_text_that_is_nowhere_is_written_empty(void **state)
{
    char room[16];
    struct mw_buf buf;
    struct mw_json json;
    (void)state;
    mw_buf_init(&buf, room, sizeof room);
    mw_json_init(&json, &buf);
    mw_json_str(&json, MW_STR_NONE);
    assert_str(mw_buf_str(&buf), "\"\"");
}

static void a_buffer_that_is_too_small_is_said_to_be_and_holds_the_beginning(void **state)
{
    char all[512], room[512];
    struct mw_buf whole, part;
    (void)state;
    mw_buf_init(&whole, all, sizeof all);
    write_everything(&whole);
    for (size_t cap = 0; cap <= whole.len; cap++) {
        memset(room, '#', sizeof room);
        mw_buf_init(&part, room, cap);
        write_everything(&part);
        assert_int_equal(part.overflowed, cap < whole.len);
        assert_true(part.len <= cap);
        assert_memory_equal(room, all, part.len);
        assert_int_equal(room[cap], '#');
    }
}

/* Strings of every length around the widths in which the scanner steps, with something special at every place. */
static void special_bytes_are_found_at_every_offset(void **state)
{
    static const char *const specials[] = {"\\n", "\\u00e9", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    (void)state;
    for (size_t len = 0; len < 40; len++)
        for (size_t at = 0; at <= len; at++)
            for (size_t s = 0; s < MW_COUNT(specials); s++) {
                char text[128];
                struct mw_tape tape;
                int size = snprintf(text, sizeof text, "\"%.*s%s%.*s\"", (int)at,
                                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", specials[s],
                                    (int)(len - at), "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
                char *exact = malloc((size_t)size);
                memcpy(exact, text, (size_t)size);
                mw_arena_init(&arena, memory, sizeof memory);
                assert_int_equal(
                    mw_json_parse(&arena, (struct mw_str){exact, (size_t)size}, &tape, NULL),
                    MW_OK);
                assert_int_equal(mw_node_str(&tape, 0).len, len + (s == 0 ? 1 : s == 3 ? 4 : 2));
                free(exact);
            }
}

static void p14_how_deep_a_text_is_can_be_asked(void **state)
{
    static const struct {
        const char *text;
        uint32_t levels;
    } rows[] = {
        {"1", 0},
        {"\"{[{[\"", 0},
        {"{}", 1},
        {"[[],[],[],[]]", 2},
        {"{\"a\":{},\"b\":{\"c\":[1,{}]},\"d\":[]}", 4},
        {"{\"}\\\"}\":[\"[[[\",\"\\\\\",{}]}", 3},
        {"\"\\\"[[[[\"", 0},
        {"[\"\\\"\",[[[[1]]]]]", 5},
        {"[\"\\\\\",[[[[1]]]]]", 5},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (uint32_t levels = 0; levels < 8; levels++)
            if (mw_json_is_deeper(mw_str_of(rows[i].text), levels) != (levels < rows[i].levels))
                fail_msg("%s, asked for %u levels", rows[i].text, levels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p14_a_refusal_names_place_and_remedy),
        cmocka_unit_test(nodes_carry_their_place_text_and_extent),
        cmocka_unit_test(strings_without_escapes_stay_where_they_are),
        cmocka_unit_test(integers_are_exact_to_the_last_bit),
        cmocka_unit_test(p14_depth_is_limited_by_name),
        cmocka_unit_test(p14_how_deep_a_text_is_can_be_asked),
        cmocka_unit_test(a_full_arena_is_a_limit_and_sticky),
        cmocka_unit_test(large_objects_find_the_key_that_is_there_twice),
        cmocka_unit_test(absent_goes_through_every_function),
        cmocka_unit_test(pointers_follow_rfc_6901),
        cmocka_unit_test(iteration_visits_every_child_once),
        cmocka_unit_test(equality_is_by_value),
        cmocka_unit_test(numbers_are_ordered_exactly),
        cmocka_unit_test(numbers_give_their_whole_part),
        cmocka_unit_test(the_writer_puts_commas_and_escapes),
        cmocka_unit_test(a_text_that_is_nowhere_is_written_empty),
        cmocka_unit_test(a_buffer_that_is_too_small_is_said_to_be_and_holds_the_beginning),
        cmocka_unit_test(special_bytes_are_found_at_every_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
