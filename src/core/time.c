#include "core/time.h"

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
    return mw_arena_format(arena, "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld.%06ldZ", (long)year,
                           (long)month, (long)(doy - (153 * mp + 2) / 5 + 1), (long)(of_day / 3600),
                           (long)(of_day / 60 % 60), (long)(of_day % 60), (long)micros);
}
