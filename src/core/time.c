#include "core/time.h"

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
