/*
 * test_time.c - P15: UTC as text, against the C library's calendar: each day of five hundred years, the borders of years and centuries, times
 * before 1970, and every digit of a microsecond.
 */
#include "base/time.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static struct mw_arena arena;

static void check(int64_t seconds, int64_t micros)
{
    time_t whole = (time_t)seconds;
    struct tm parts;
    char expected[80];
    assert_non_null(gmtime_r(&whole, &parts));
    (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ",
                   parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                   parts.tm_min, parts.tm_sec, (long)micros);
    mw_arena_reset(&arena);
    struct mw_str text = mw_utc_text(&arena, seconds * 1000000 + micros);
    if (!mw_str_is(text, expected))
        fail_msg("%ld s and %ld us: %.*s, not %s", (long)seconds, (long)micros, MW_STR_ARG(text),
                 expected);
}

static void p15_each_day_of_five_hundred_years_is_its_own(void **state)
{
    (void)state;
    for (int64_t day = -80 * 365; day < 430 * 365; day++) {
        check(day * 86400, 0);
        check(day * 86400 + 86399, 999999);
    }
}

static void p15_each_digit_of_a_time_is_right(void **state)
{
    (void)state;
    int64_t micros = 1;
    for (int64_t seconds = -200000; seconds < 200000; seconds += 1009) {
        micros = (micros * 7919 + 13) % 1000000;
        check(seconds, micros);
    }
    for (int64_t digit = 1; digit < 1000000; digit *= 10)
        check(-1, 1000000 - digit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p15_each_day_of_five_hundred_years_is_its_own),
        cmocka_unit_test(p15_each_digit_of_a_time_is_right),
    };
    mw_heap_arena(&arena, (size_t)1 << 16);
    int failed = cmocka_run_group_tests_name("test_time", tests, NULL, NULL);
    mw_heap_arena_free(&arena);
    return failed;
}
