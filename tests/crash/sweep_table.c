/* sweep_table.c - what a sweep has tried: the table, the lines that are counted as tests, the lines of the night's summary. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

const char *const sweep_kind_names[KINDS] = {"kill",          "tear",           "fault",
                                             "recovery_kill", "recovery_fault", "two_faults"};
static const char *const kind_words[KINDS] = {
    "killed at every system call, before and after it",
    "killed inside every write, and every write short once",
    "every call fails once or from then on",
    "killed, and killed again in the recovery",
    "killed, and a call of the recovery fails",
    "two calls fail in one life",
};
/* In the night's summary; tools/night_summary.py has how many of each there have to be. */
static const char *const kind_titles[KINDS] = {"kill points",           "torn and short writes",
                                               "failing calls",         "pairs: kill and kill",
                                               "pairs: kill and fault", "pairs: two faults"};

static void print_branches(FILE *out, const struct sweep_table *table, uint64_t reached)
{
    int width = 0;
    for (size_t i = 0; i < table->branch_count; i++) {
        if ((reached >> i & 1) == 0)
            continue;
        if (width + (int)strlen(table->branch_names[i]) > 110)
            width = 0;
        width += fprintf(out, "%s%s", width == 0 ? "\n    " : ", ", table->branch_names[i]);
    }
    fprintf(out, "\n");
}

int table_print(FILE *out, const struct sweep_table *table, long unknown_branches, bool all)
{
    long points = 0, images = 0, failures = 0, unreached = 0;
    uint64_t reached = table->other->branches;
    fprintf(out, "\n%-16s %-15s %9s %9s %9s %9s\n", "scenario", "kind", "points", "images",
            "branches", "failures");
    for (size_t i = 0; i < table->scenario_count; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            const struct sweep_row *row = &table->rows[i][kind];
            if (row->points == 0)
                continue;
            fprintf(out, "%-16s %-15s %9ld %9ld %9d %9ld\n", table->scenarios[i].name,
                    sweep_kind_names[kind], row->points, row->images,
                    __builtin_popcountll(row->branches), row->failures);
            points += row->points;
            images += row->images;
            failures += row->failures;
            reached |= row->branches;
        }
    fprintf(out, "%-16s %-15s %9ld %9ld %9d %9ld\n", "all", "", points, images,
            __builtin_popcountll(reached), failures);
    fprintf(out, "\nbranches of recovery that were reached:");
    print_branches(out, table, reached);
    for (size_t i = 0; all && i < table->branch_count; i++)
        if ((reached >> i & 1) == 0) {
            fprintf(out, "not ok branch %s was never reached\n", table->branch_names[i]);
            unreached++;
        }
    if (unknown_branches > 0)
        fprintf(out, "not ok %ld branches were said that the list does not have\n",
                unknown_branches);
    if (all && unreached == 0)
        fprintf(out, "ok every branch of recovery was reached (P02 P03 P04 P12 P22)\n");
    return failures > 0 || unreached > 0 || unknown_branches > 0;
}

void table_lines(const struct sweep_table *table)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < table->scenario_count; i++) {
            const struct sweep_row *row = &table->rows[i][kind];
            if (row->points > 0)
                printf("%s %s: %s: %s (%ld points, %ld images)\n",
                       row->failures == 0 ? "ok" : "not ok", table->scenarios[i].proves,
                       table->scenarios[i].name, kind_words[kind], row->points, row->images);
        }
}

void table_summary_line(const char *what, long tried, long broken, const char *words,
                        const char *skipped)
{
    const char *path = getenv("MW_SUMMARY");
    FILE *file = path != NULL && path[0] != '\0' ? fopen(path, "ae") : NULL;
    if (file == NULL)
        return;
    (void)fprintf(file, "%s|%ld|%ld|%s|%s\n", what, tried, broken,
                  skipped != NULL ? skipped : words,
                  skipped != NULL ? "skipped"
                  : broken > 0    ? "FAILED"
                                  : "ok");
    (void)fclose(file);
}

void table_summary(const struct sweep_table *table, const char *skipped)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct sweep_row sum = {0};
        char words[96];
        for (size_t i = 0; i < table->scenario_count; i++) {
            const struct sweep_row *row = &table->rows[i][kind];
            sum.points += row->points;
            sum.images += row->images;
            sum.failures += row->failures;
            sum.branches |= row->branches;
        }
        (void)snprintf(words, sizeof words, "%ld distinct images, %d branches of recovery",
                       sum.images, __builtin_popcountll(sum.branches));
        table_summary_line(kind_titles[kind], sum.points, sum.failures, words, skipped);
    }
}
