/*
 * time.h - UTC microseconds as RFC 3339 text, without a clock or a locale.
 */
#ifndef MW_TIME_H
#define MW_TIME_H

#include "base/arena.h"

struct mw_str mw_utc_text(struct mw_arena *arena, int64_t unix_us);

#endif
