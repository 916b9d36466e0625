/*
 * test_clean.c - P23: what `clean` removes and, of far more, what it leaves: every state of a build, as many as are to be kept, and nothing at all
 * while something runs.
 */
#include "cli/cli.h"
#include "own_folder.h"

#include <sys/stat.h>

/* Oldest first, as the view gives them. */
static const struct {
    const char *build, *status;
    bool promoted, goes;
} builds[] = {{"b1", "archived", false, true},     {"b2", "superseded", false, false},
              {"b3", "failed", false, true},       {"b4", "current", true, false},
              {"b5", "cancelled", false, true},    {"b6", "draft", false, false},
              {"b7", "stale", false, true},        {"b8", "building", false, false},
              {"b9", "superseded", true, false},   {"../../../app", "failed", false, false},
              {"../b1/app", "stale", false, false}};
#define GOING 6u /* those two among them whose names lead out: they count, and stay */

/* Nothing of these is clean's to remove. */
static const char *const others[] = {".millwright/journal/00000000000000000001.jsonl",
                                     ".millwright/head",
                                     ".millwright/token",
                                     ".millwright/cache/leases",
                                     ".millwright/blobs/ab/cdef",
                                     ".millwright/defs/a.json",
                                     ".millwright/versions/1/app.json",
                                     ".millwright/versions/1.json",
                                     ".millwright/promotions/p1.json",
                                     ".millwright/log/host.log",
                                     "app/app.json",
                                     "app/b1/mine.txt",
                                     "data/notes/records.jsonl",
                                     "workflows/Own.yaml",
                                     "thesis.txt"};

static char traces[512];

/* ---- somebody else who cleans meanwhile, by the linker (test_clean.wraps) ---- */

static const char
    *taken_by_another; /* a folder that is gone when it is to be opened; NULL: nobody does */

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode)
{
    if (taken_by_another != NULL && strcmp(path, taken_by_another) == 0) {
        taken_by_another = NULL;
        mw_autofree char *gone = shell("rm -r .millwright/work/t-1.1/files/a");
        assert_string_equal(gone, "");
    }
    return __real_openat(fd, path, flags, mode);
}

static const char *build_id(void)
{
    return "b1";
}

static enum mw_rc offline_view(const char *workspace, const char *name,
                               const struct mw_cli_arg *args, uint32_t arg_count,
                               struct mw_buf *out, struct mw_err *err)
{
    (void)workspace;
    (void)args;
    (void)arg_count;
    if (strcmp(name, "traces") == 0) {
        mw_buf_printf(out, "{\"traces\":[%s]}", traces);
        return MW_OK;
    }
    if (strcmp(name, "builds") != 0)
        return MW_FAIL(err, MW_E_MISSING, "no such view");
    mw_buf_put_z(out, "{\"builds\":[");
    for (size_t i = 0; i < MW_COUNT(builds); i++)
        mw_buf_printf(
            out, "%s{\"build_id\":\"%s\",\"app_id\":\"notes\",\"promoted\":%s,\"status\":\"%s\"}",
            i > 0 ? "," : "", builds[i].build, builds[i].promoted ? "true" : "false",
            builds[i].status);
    mw_buf_put_z(out, "]}");
    return MW_OK;
}

static int clean(const char *option, const char *value)
{
    static const struct mw_cli_ports ports = {.build_id = build_id, .offline_view = offline_view};
    char *argv[] = {(char *)(uintptr_t) "millwright",
                    (char *)(uintptr_t) "--workspace",
                    own_folder,
                    (char *)(uintptr_t) "clean",
                    (char *)(uintptr_t)option,
                    (char *)(uintptr_t)value,
                    NULL};
    return mw_cli_main(option == NULL ? 4 : value == NULL ? 5 : 6, argv, &ports);
}

static void make_everything(void)
{
    for (size_t i = 0; i < MW_COUNT(others); i++)
        put(others[i], "mine\n");
    for (size_t i = 0; i < MW_COUNT(builds); i++) {
        if (builds[i].build[0] == '.')
            continue;
        mw_autofree char *bundle =
            mw_heap_format("generated/apps/notes/%s/app/app.json", builds[i].build);
        mw_autofree char *repository = mw_heap_format(".millwright/repos/%s/HEAD", builds[i].build);
        put(bundle, "1\n");
        put(repository, "1\n");
    }
    put(".millwright/work/t-1.1/task.json", "{}\n");
    put(".millwright/cache/x", "1\n");
}

/* Of those that would go the newest `kept` are there, and all that clean has nothing to do with. */
static void check_left(const char *when, unsigned kept, bool swept)
{
    unsigned place = 0;
    for (size_t i = 0; i < MW_COUNT(others); i++)
        if (access(others[i], F_OK) != 0)
            fail_msg("%s: '%s' is gone", when, others[i]);
    for (size_t i = 0; i < MW_COUNT(builds); i++) {
        place += builds[i].goes || builds[i].build[0] == '.';
        if (builds[i].build[0] == '.')
            continue;
        mw_autofree char *bundle =
            mw_heap_format("generated/apps/notes/%s/app/app.json", builds[i].build);
        mw_autofree char *repository = mw_heap_format(".millwright/repos/%s", builds[i].build);
        bool stays = !builds[i].goes || place + kept > GOING;
        if ((access(bundle, F_OK) == 0) != stays || (access(repository, F_OK) == 0) != stays)
            fail_msg("%s: %s, which is %s, %s", when, builds[i].build, builds[i].status,
                     stays ? "is gone" : "was left");
    }
    assert_int_equal(access(".millwright/work/t-1.1", F_OK) != 0, swept);
    assert_int_equal(access(".millwright/cache/x", F_OK) != 0, swept);
}

static void p23_clean_leaves_what_was_accepted_and_what_is_not_its_own(void **state)
{
    (void)state;
    traces[0] = '\0';
    make_everything();
    assert_int_equal(clean("--dry-run", NULL), 0);
    check_left("a dry run", GOING, false);
    assert_int_equal(clean(NULL, NULL), 0);
    check_left("clean", 0, true);
    assert_int_equal(clean(NULL, NULL), 0);
    check_left("again", 0, true);
}

static void p23_as_many_are_kept_as_somebody_says(void **state)
{
    static const struct {
        const char *word;
        unsigned kept;
    } rows[] = {{"0", 0}, {"1", 1}, {"2", 2},
                {"3", 3}, {"4", 4}, {"5", 5},
                {"6", 6}, {"7", 6}, {"18446744073709551615", 6}};
    (void)state;
    traces[0] = '\0';
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        mw_autofree char *when = mw_heap_format("--keep %s", rows[i].word);
        make_everything();
        assert_int_equal(clean("--keep", rows[i].word), 0);
        check_left(when, rows[i].kept, true);
    }
    make_everything();
    assert_int_not_equal(clean("--keep", "some"), 0);
    assert_int_not_equal(clean("--keep", "-1"), 0);
    check_left("a wrong word", GOING, false);
}

static void p23_while_something_runs_nothing_is_removed(void **state)
{
    static const struct {
        const char *trace, *build;
        bool busy;
    } rows[] = {{"open", "", true},       {"waiting", "", true},   {"paused", "", true},
                {"completed", "", false}, {"failed", "", false},   {"cancelled", "", false},
                {"open", "b8", true},     {"waiting", "b8", true}, {"paused", "b8", true},
                {"waiting", "b6", false}, {"open", "b6", false},   {"completed", "b8", false},
                {"waiting", "none", true}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        mw_autofree char *when = mw_heap_format("a trace is %s", rows[i].trace);
        make_everything();
        (void)snprintf(traces, sizeof traces,
                       "{\"traceId\":\"tr-0\",\"state\":\"completed\"},"
                       "{\"traceId\":\"tr-1\",\"state\":\"%s\",\"build_id\":\"%s\"}",
                       rows[i].trace, rows[i].build);
        if ((clean(NULL, NULL) != 0) != rows[i].busy)
            fail_msg("%s, of build '%s'", when, rows[i].build);
        check_left(when, rows[i].busy ? GOING : 0, !rows[i].busy);
    }
}

static void p23_two_who_clean_at_once_are_both_done(void **state)
{
    static const char *const folders[] = {"files", "a", "b"};
    (void)state;
    traces[0] = '\0';
    for (size_t i = 0; i < MW_COUNT(folders); i++) {
        make_everything();
        put(".millwright/work/t-1.1/files/a/b/c", "1\n");
        put(".millwright/work/t-1.1/files/d/e", "1\n");
        taken_by_another = folders[i];
        assert_int_equal(clean(NULL, NULL), 0);
        assert_null(taken_by_another);
        check_left("two at once", 0, true);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter_own_folder, leave_own_folder)
    const struct CMUnitTest tests[] = {
        TEST(p23_clean_leaves_what_was_accepted_and_what_is_not_its_own),
        TEST(p23_as_many_are_kept_as_somebody_says),
        TEST(p23_while_something_runs_nothing_is_removed),
        TEST(p23_two_who_clean_at_once_are_both_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
