/*
 * test_time.c - P15: UTC as text, against the C library's calendar: each day of five hundred years, the borders of years and centuries, times
 * before 1970, and every digit of a microsecond; what is read comes back, and what no clock shows is no time.
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
    int64_t again;
    if (!mw_utc_us(text, &again) || again != seconds * 1000000 + micros)
        fail_msg("%s is read as %ld us", expected, (long)again);
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

static void p14_what_no_clock_shows_is_no_time(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_us; /* 0: it is no time */
    } rows[] = {
        {"2026-11-20T13:59:59Z", 1795183199000000},
        {"2026-11-20T13:59:60Z", 1795183200000000}, /* the next minute's first */
        {"2026-11-20T23:00:00.5Z", 1795215600500000},
        {"2026-11-20T23:00:00.1234567Z", 1795215600123456},
        {"2026-11-20T13:99:59Z", 0},
        {"2026-11-20T13:60:00Z", 0},
        {"2026-11-20T13:59:61Z", 0},
        {"2026-11-20T13:59:75Z", 0},
        {"2026-11-20T24:00:00Z", 0},
        {"2026-00-20T13:00:00Z", 0},
        {"2026-13-20T13:00:00Z", 0},
        {"2026-11-00T13:00:00Z", 0},
        {"2026-11-32T13:00:00Z", 0},
        {"2026-11-20T1x:00:00Z", 0},
        {"2026-11-20T13:-1:00Z", 0},
        {"2026-11-20T13:00: 1Z", 0},
        {"2026-11-20T13:00:00.Z", 0},
        {"2026-11-20T13:00:00.5xZ", 0},
        {"2026-11-20T13:00:00,5Z", 0},
        {"2026-11-20 13:00:00Z", 0},
        {"2026-11-20T13:00:00", 0},
        {"2026-11-20T13:00:00+00:00", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        int64_t unix_us = 1;
        bool is_time = mw_utc_us(mw_str_of(rows[i].text), &unix_us);
        if (is_time != (rows[i].unix_us != 0) || unix_us != rows[i].unix_us)
            fail_msg("'%s' is %s: %ld", rows[i].text, is_time ? "a time" : "none", (long)unix_us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p15_each_day_of_five_hundred_years_is_its_own),
        cmocka_unit_test(p15_each_digit_of_a_time_is_right),
        cmocka_unit_test(p14_what_no_clock_shows_is_no_time),
    };
    mw_heap_arena(&arena, (size_t)1 << 16);
    int failed = cmocka_run_group_tests_name("test_time", tests, NULL, NULL);
    mw_heap_arena_free(&arena);
    return failed;
}
