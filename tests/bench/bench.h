/*
 * bench.h - times, percentiles and one JSON line a number: what tools/bench_table.py reads.
 *
 * Header only, because every file of tests/bench is a program of its own.
 */
#ifndef MW_BENCH_H
#define MW_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct bench_times {
    int64_t *items; /* owned */
    size_t count, cap;
};

static inline void bench_add(struct bench_times *times, int64_t ns)
{
    if (times->count == times->cap) {
        times->cap = times->cap > 0 ? times->cap * 2 : 4096;
        times->items = realloc(times->items, times->cap * sizeof *times->items);
        if (times->items == NULL)
            abort();
    }
    times->items[times->count++] = ns;
}

static inline int bench_by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static inline void bench_sort(struct bench_times *times)
{
    if (times->count > 0)
        qsort(times->items, times->count, sizeof *times->items, bench_by_size);
}

/* Of sorted times; percent 0 to 100. */
static inline double bench_percentile_us(const struct bench_times *times, unsigned percent)
{
    return times->count == 0 ? 0.0
                             : (double)times->items[(times->count - 1) * percent / 100] / 1000.0;
}

static inline void bench_tell(const char *group, const char *name, double value, const char *unit,
                              const char *note)
{
    printf("{\"group\":\"%s\",\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"note\":\"%s\"}\n",
           group, name, value, unit, note);
}

#endif
