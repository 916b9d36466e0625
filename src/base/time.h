/*
 * time.h - UTC microseconds since 1970 as RFC 3339 text and back, without a clock or a locale. Proleptic Gregorian, years 0000 to 9999, no leap
 * seconds (a second 60 is the next minute's first).
 */
#ifndef MW_TIME_H
#define MW_TIME_H

#include "base/arena.h"

/* 27 characters, always with six digits of a second: 2026-11-20T04:53:09.500000Z. Empty when the arena is exhausted. */
struct mw_str mw_utc_text(struct mw_arena *arena, int64_t unix_us);
/* The other way; any number of digits of a second, of which six count. False, and 0: it is no such time in UTC. Whether the day is one of its month
 * is not looked at. */
bool mw_utc_us(struct mw_str text, int64_t *ret_unix_us);

#endif
