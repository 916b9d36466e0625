/*
 * test_json_escapes.c - P14: every escape of four digits, and every border of the surrogates, against the definitions of JSON (RFC 8259) and of
 * UTF-8 (RFC 3629), written here once more; and keys that are there twice, in objects of every size.
 */
#include "base/json.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mw_arena arena;

/* 0: no such character may be written. */
static size_t expected_of(uint32_t code, char text[4])
{
    static const struct {
        uint32_t last;
        uint8_t mark, length;
    } ranges[] = {{0x7f, 0x00, 1}, {0x7ff, 0xc0, 2}, {0xffff, 0xe0, 3}, {0x10ffff, 0xf0, 4}};
    if (code == 0 || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    for (size_t i = 0; i < MW_COUNT(ranges); i++) {
        size_t length = ranges[i].length;
        if (code > ranges[i].last)
            continue;
        for (size_t at = length; at-- > 1; code /= 64)
            text[at] = (char)(0x80 + code % 64);
        text[0] = (char)(ranges[i].mark + code);
        return length;
    }
    return 0;
}

static void check(const char *json, uint32_t code)
{
    struct mw_tape tape;
    struct mw_err err = {0};
    char text[4];
    size_t length = expected_of(code, text);
    mw_arena_reset(&arena);
    enum mw_rc rc = mw_json_parse(&arena, mw_str_of(json), &tape, &err);
    if ((rc == MW_OK) != (length > 0))
        fail_msg("%s is %s: %s", json, rc == MW_OK ? "read" : "refused", err.text);
    if (rc == MW_OK && !mw_str_eq(mw_node_str(&tape, 0), (struct mw_str){text, length}))
        fail_msg("%s is read as another character than U+%04X", json, code);
}

static void p14_each_escape_is_the_character_that_it_names_or_is_refused(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0xffff; code++) {
        char json[16];
        (void)snprintf(json, sizeof json, code % 2 == 0 ? "\"\\u%04x\"" : "\"\\u%04X\"", code);
        check(json, code);
    }
}

static void p14_two_escapes_are_one_character_only_as_a_pair_of_surrogates(void **state)
{
    static const uint32_t units[] = {0x0001, 0x0041, 0xd7ff, 0xd800, 0xd801, 0xdbff, 0xdc00,
                                     0xdc01, 0xdfff, 0xe000, 0xe001, 0xfffd, 0xffff};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(units); i++)
        for (size_t n = 0; n < MW_COUNT(units); n++) {
            char json[24];
            uint32_t high = units[i], low = units[n];
            bool is_high = high >= 0xd800 && high <= 0xdbff;
            bool is_low = low >= 0xdc00 && low <= 0xdfff;
            bool surrogates =
                (high >= 0xd800 && high <= 0xdfff) || (low >= 0xd800 && low <= 0xdfff);
            (void)snprintf(json, sizeof json, "\"\\u%04x\\u%04x\"", high, low);
            if (surrogates) /* 0: refused */
                check(json,
                      is_high && is_low ? 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00) : 0);
        }
}

static void p14_a_pair_that_is_cut_is_refused(void **state)
{
    static const char *const cut[] = {"\"\\ud800\"",       "\"\\ud800\\\"",    "\"\\ud800\\u\"",
                                      "\"\\ud800\\udc0\"", "\"\\ud800udc00\"", "\"\\ud800\\n\"",
                                      "\"\\ud800",         "\"\\ud800\\",      "\"\\ud800\\u",
                                      "\"\\ud800\\udc00",  "\"\\u\"",          "\"\\u00g0\""};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(cut); i++)
        check(cut[i], 0);
}

/* However many keys an object has, and wherever the two stand that are the same. */
static void p14_a_key_that_is_there_twice_is_refused_in_an_object_of_any_size(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 36; count++)
        for (unsigned second = 0; second <= count; second++) {
            struct mw_buf json = mw_heap_buf();
            struct mw_tape tape;
            struct mw_err err = {0};
            /* The key at `second` is that of the place half as far; at the end none is. */
            mw_buf_put_c(&json, '{');
            for (unsigned i = 0; i < count; i++)
                mw_buf_printf(&json, "%s\"k%u\":%u", i > 0 ? "," : "",
                              i == second && i > 0 ? i / 2 : i, i);
            mw_buf_put_c(&json, '}');
            mw_arena_reset(&arena);
            bool twice = second > 0 && second < count;
            enum mw_rc rc = mw_json_parse(&arena, mw_buf_str(&json), &tape, &err);
            if (rc != (twice ? MW_E_INPUT : MW_OK))
                fail_msg("%u keys, the one at %u is %s: %s", count, second,
                         twice ? "there twice" : "its own", mw_rc_name(rc));
            mw_heap_buf_free(&json);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p14_each_escape_is_the_character_that_it_names_or_is_refused),
        cmocka_unit_test(p14_two_escapes_are_one_character_only_as_a_pair_of_surrogates),
        cmocka_unit_test(p14_a_pair_that_is_cut_is_refused),
        cmocka_unit_test(p14_a_key_that_is_there_twice_is_refused_in_an_object_of_any_size),
    };
    mw_heap_arena(&arena, (size_t)1 << 20);
    int failed = cmocka_run_group_tests_name("test_json_escapes", tests, NULL, NULL);
    mw_heap_arena_free(&arena);
    return failed;
}
