#include "base/time.h"

#include <string.h>

static void put_digits(char *to, int64_t value, unsigned count)
{
    while (count-- > 0) {
        to[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
struct mw_str mw_utc_text(struct mw_arena *arena, int64_t unix_us)
{
    int64_t micros = unix_us % 1000000;
    int64_t seconds = unix_us / 1000000;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    int64_t days = seconds / 86400;
    int64_t of_day = seconds % 86400;
    if (of_day < 0) {
        of_day += 86400;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
    char *text = mw_arena_alloc_unset(arena, sizeof("2000-01-01T00:00:00.000000Z"));
    if (text == NULL)
        return MW_STR_NONE;
    memcpy(text, "0000-00-00T00:00:00.000000Z", sizeof("2000-01-01T00:00:00.000000Z"));
    put_digits(text, year, 4);
    put_digits(text + 5, month, 2);
    put_digits(text + 8, doy - (153 * mp + 2) / 5 + 1, 2);
    put_digits(text + 11, of_day / 3600, 2);
    put_digits(text + 14, of_day / 60 % 60, 2);
    put_digits(text + 17, of_day % 60, 2);
    put_digits(text + 20, micros, 6);
    return (struct mw_str){text, sizeof("2000-01-01T00:00:00.000000Z") - 1};
}

/* UINT32_MAX: something else stands there. */
static uint32_t digits(struct mw_str text, size_t from, size_t count)
{
    uint32_t value = 0;
    for (size_t i = from; i < from + count; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return UINT32_MAX;
        value = value * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return value;
}

/* Civil date to days: Howard Hinnant, as above, days_from_civil. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool mw_utc_us(struct mw_str text, int64_t *ret_unix_us)
{
    *ret_unix_us = 0;
    if (text.len < 20 || text.ptr[4] != '-' || text.ptr[7] != '-' || text.ptr[10] != 'T' ||
        text.ptr[13] != ':' || text.ptr[16] != ':' || text.ptr[text.len - 1] != 'Z')
        return false;
    uint32_t year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    uint32_t hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    if (year == UINT32_MAX || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    uint32_t micros = 0, unit = 100000;
    if (text.len > 20) {
        if (text.ptr[19] != '.' || text.len < 22)
            return false;
        for (size_t i = 20; i < text.len - 1; i++, unit /= 10) {
            uint32_t digit = digits(text, i, 1);
            if (digit == UINT32_MAX)
                return false;
            micros += digit * unit;
        }
    }
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *ret_unix_us = seconds * 1000000 + micros;
    return true;
}
