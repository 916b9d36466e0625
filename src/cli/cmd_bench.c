#include "cli/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* How fast the control plane is, on a real host with every promise kept, beside what the machine can do at all (docs/performance.md). */

static const struct {
    const char *name;
    const char *what;
    enum mw_rc (*run)(struct mw_bench *bench, struct mw_err *err);
} workloads[] = {
    {"machine", "this machine alone", mw_bench_machine},
    {"W1", "a flow of ten tasks, each after the one before", mw_bench_w1},
    {"W1x", "the same, the agent in another process over the socket", mw_bench_w1x},
    {"W2", "a flow of a hundred tasks at once, joined by all", mw_bench_w2},
    {"W3", "a flow of one task, from the request to its record", mw_bench_w3},
    {"W4", "cold starts, and memory at rest", mw_bench_w4},
    {"W5", "kill -9 of the host with flows in flight", mw_bench_w5},
    {"W6", "tasks that each start a program", mw_bench_w6},
};

/* ---- figures ---- */

struct mw_bench_figure *mw_bench_note(struct mw_bench *bench, const char *work, uint32_t in_flight,
                                      const char *name, const char *unit, double value)
{
    struct mw_bench_figure *figure = NULL;
    for (uint32_t i = 0; i < bench->figure_count && figure == NULL; i++)
        if (strcmp(bench->figures[i].work, work) == 0 &&
            strcmp(bench->figures[i].name, name) == 0 && bench->figures[i].in_flight == in_flight)
            figure = &bench->figures[i];
    if (figure == NULL) {
        MW_ASSERT(bench->figure_count < MW_BENCH_FIGURES_MAX);
        figure = &bench->figures[bench->figure_count++];
        *figure = (struct mw_bench_figure){
            .work = work, .in_flight = in_flight, .name = name, .unit = unit};
    }
    MW_ASSERT(figure->count < MW_BENCH_RUNS_MAX);
    figure->values[figure->count++] = value;
    return figure;
}

void mw_bench_beside(struct mw_bench_figure *figure, const char *limit_name, double limit)
{
    MW_ASSERT(figure->limit_count < MW_BENCH_RUNS_MAX);
    figure->limit_name = limit_name;
    figure->limits[figure->limit_count++] = limit;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct spread {
    double min, median, max;
};

static struct spread spread_of(const double *values, uint32_t count)
{
    double sorted[MW_BENCH_RUNS_MAX];
    MW_ASSERT(count > 0);
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), by_size);
    return (struct spread){sorted[0], sorted[count / 2], sorted[count - 1]};
}

/* ---- saying them ---- */

/* Three digits that mean something, whatever the size. */
static void put_number(char *text, size_t cap, double value)
{
    double size = value < 0 ? -value : value;
    int places = size >= 100 || size < 1e-9 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    (void)snprintf(text, cap, "%.*f", places, value);
}

#define LINE_COLUMNS 100

/* On one line when there is room for it, else the machine's own number stands below ours. */
static void say_figure(const struct mw_bench *bench, const struct mw_bench_figure *figure)
{
    char median[32], min[32], max[32], limit[32], spread_text[80] = "", beside_text[160];
    struct spread spread = spread_of(figure->values, figure->count);
    put_number(median, sizeof(median), spread.median);
    put_number(min, sizeof(min), spread.min);
    put_number(max, sizeof(max), spread.max);
    if (bench->runs > 1)
        (void)snprintf(spread_text, sizeof(spread_text), " (%s to %s)", min, max);
    int columns = printf("  %-34s %10s %-3s%s", figure->name, median, figure->unit, spread_text);
    if (figure->limit_count > 0) {
        double beside = spread_of(figure->limits, figure->limit_count).median;
        put_number(limit, sizeof(limit), beside);
        int length =
            snprintf(beside_text, sizeof(beside_text), "%s: %s, %.0f %%", figure->limit_name, limit,
                     beside > 0 ? 100 * spread.median / beside : 0.0);
        bool fits = columns + 2 + length <= LINE_COLUMNS;
        (void)printf("%s%s", fits ? "  " : "\n      ", beside_text);
    }
    (void)printf("\n");
}

static const char *what_is(const char *work)
{
    for (size_t i = 0; i < MW_COUNT(workloads); i++)
        if (strcmp(workloads[i].name, work) == 0)
            return workloads[i].what;
    return work;
}

static void say_all(const struct mw_bench *bench)
{
    const struct mw_bench_figure *before = NULL;
    for (uint32_t i = 0; i < bench->figure_count; i++) {
        const struct mw_bench_figure *figure = &bench->figures[i];
        if (before == NULL || strcmp(before->work, figure->work) != 0 ||
            before->in_flight != figure->in_flight)
            (void)printf("%s%s: %s%s%u%s\n", before != NULL ? "\n" : "", figure->work,
                         what_is(figure->work), " (", figure->in_flight, " in flight)");
        say_figure(bench, figure);
        before = figure;
    }
}

/* JSON has no floating point here: text with the same digits is a number all the same. */
static void put_member(struct mw_json *json, const char *key, double value)
{
    char text[48];
    (void)snprintf(text, sizeof(text), "%.6g", value);
    if (strpbrk(text, "ni") != NULL) /* nan, inf: nothing was measured */
        (void)snprintf(text, sizeof(text), "null");
    mw_json_kraw(json, key, mw_str_of(text));
}

static void put_spread(struct mw_json *json, const double *values, uint32_t count)
{
    struct spread spread = spread_of(values, count);
    put_member(json, "min", spread.min);
    put_member(json, "median", spread.median);
    put_member(json, "max", spread.max);
}

static void say_json(const struct mw_bench *bench)
{
    struct mw_buf out = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_json_kstr(&json, "folder", mw_str_of(bench->folder));
    mw_json_ku64(&json, "runs", bench->runs);
    mw_json_karray(&json, "figures");
    for (uint32_t i = 0; i < bench->figure_count; i++) {
        const struct mw_bench_figure *figure = &bench->figures[i];
        mw_json_object(&json);
        mw_json_kstr(&json, "work", mw_str_of(figure->work));
        mw_json_ku64(&json, "inFlight", figure->in_flight);
        mw_json_kstr(&json, "name", mw_str_of(figure->name));
        mw_json_kstr(&json, "unit", mw_str_of(figure->unit));
        put_spread(&json, figure->values, figure->count);
        if (figure->limit_count > 0) {
            mw_json_kobject(&json, "limit");
            mw_json_kstr(&json, "name", mw_str_of(figure->limit_name));
            put_spread(&json, figure->limits, figure->limit_count);
            mw_json_object_end(&json);
        }
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    (void)mw_cli_put_line(mw_buf_str(&out)); /* a reader that left is no failure */
    mw_heap_buf_free(&out);
}

/* ---- the command line ---- */

static bool read_count(struct mw_cli *cli, const char *option, uint64_t max, uint32_t *ret_count)
{
    const char *text = mw_cli_value(cli, option);
    uint64_t value = 0;
    if (text == NULL)
        return true;
    if (!mw_str_to_u64(mw_str_of(text), &value) || value == 0 || value > max)
        return false;
    *ret_count = (uint32_t)value;
    return true;
}

static const char *known_workload(const char *word)
{
    for (size_t i = 0; i < MW_COUNT(workloads); i++)
        if (strcmp(workloads[i].name, word) == 0)
            return workloads[i].name;
    return NULL;
}

static enum mw_rc run_all(struct mw_bench *bench, struct mw_err *err)
{
    enum mw_rc rc = MW_OK;
    for (bench->run = 1; rc == MW_OK && bench->run <= bench->runs; bench->run++)
        for (size_t i = 0; rc == MW_OK && i < MW_COUNT(workloads); i++)
            if (bench->only == NULL || strcmp(bench->only, workloads[i].name) == 0 ||
                workloads[i].run == mw_bench_machine) /* what the others stand beside */
                rc = workloads[i].run(bench, err);
    return rc;
}

int mw_cmd_bench(struct mw_cli *cli)
{
    struct mw_err err = {0};
    uint32_t milliseconds = 2000;
    char folder[4096];
    const char *wanted = mw_cli_value(cli, "dir");
    struct mw_bench *bench = mw_arena_alloc(&cli->arena, sizeof(*bench));
    MW_ASSERT(bench != NULL);
    *bench = (struct mw_bench){.cli = cli, .runs = 1};
    if (cli->arg_count > 0 && (bench->only = known_workload(cli->args[0])) == NULL)
        return mw_cli_usage(cli, "there is no workload '%s'; `millwright help bench` lists them",
                            cli->args[0]);
    if (!read_count(cli, "concurrency", MW_BENCH_IN_FLIGHT_MAX, &bench->in_flight))
        return mw_cli_usage(cli, "--concurrency is 1 to %u", MW_BENCH_IN_FLIGHT_MAX);
    if (!read_count(cli, "runs", MW_BENCH_RUNS_MAX, &bench->runs))
        return mw_cli_usage(cli, "--runs is 1 to %u", MW_BENCH_RUNS_MAX);
    if (!read_count(cli, "ms", 600000, &milliseconds))
        return mw_cli_usage(cli, "--ms is 1 to 600000");
    bench->seconds = milliseconds / 1e3;
    if (realpath(wanted != NULL ? wanted : ".", folder) == NULL) {
        (void)MW_FAIL_SYS(&err, MW_E_USAGE, "the folder '%s'", wanted != NULL ? wanted : ".");
        return mw_cli_fail(cli, &err);
    }
    bench->folder = folder;
    const char *factory = mw_cli_factory(cli);
    bench->factory = factory != NULL ? mw_arena_format(&cli->arena, "%s/bench", factory).ptr : NULL;
    if (factory == NULL || !mw_exists(AT_FDCWD, bench->factory)) {
        (void)MW_FAIL(&err, MW_E_MISSING, "factory/bench is not beside the program");
        return mw_cli_fail(cli, &err);
    }
    if (run_all(bench, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (cli->json)
        say_json(bench);
    else
        say_all(bench);
    return 0;
}
