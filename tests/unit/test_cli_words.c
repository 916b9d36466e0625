/* Words: what is a command, what is an option, what is neither; which folder is meant; what times and versions say. */
#include "base/time.h"
#include "cli/command.h"
#include "cli/link.h"
#include "cli/render.h"
#include "cli/requires.h"
#include "cli/trail.h"
#include "cli/workspace.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "posix/file.h"
#include "posix/heap.h"

static struct mw_cli_ports no_ports;

static int run(int argc, const char *const *words)
{
    char *argv[16] = {NULL};
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)words[i];
    return mw_cli_main(argc, argv, &no_ports);
}

static void test_wrong_words_end_with_2_and_nothing_else_happens(void **state)
{
    static const char *const lines[][6] = {
        {"millwright", "statsu"},
        {"millwright", "gen", "--nonsense", "x"},
        {"millwright", "gen", "a prompt", "two"},
        {"millwright", "gen"},
        {"millwright", "gen", "a", "--blueprint", "b.json"},
        {"millwright", "gen", "a", "--priority", "huge"},
        {"millwright", "gen", "a", "--priority"},
        {"millwright", "gen", "a", "--priority", "low", "--priority=low"},
        {"millwright", "gen", "  "},
        {"millwright", "plan"},
        {"millwright", "plan", "shwo"},
        {"millwright", "status", "--json=yes"},
        {"millwright", "answer", "t-1"},
        {"millwright", "promote", "--adopt-edits", "--discard-edits"},
        {"millwright", "reject", "b-1"},
        {"millwright", "up", "--port", "99999"},
        {"millwright", "completion", "tcsh"},
        {"millwright", "help", "nonsense"},
        {"millwright", "coordinator", "start", "X"},
        {"millwright"}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(lines); i++) {
        int argc = 0;
        while (argc < 6 && lines[i][argc] != NULL)
            argc++;
        int code = run(argc, lines[i]);
        if (code != 2)
            fail_msg("line %zu (%s %s): exit %d", i, lines[i][1] ? lines[i][1] : "",
                     argc > 2 ? lines[i][2] : "", code);
    }
}

static void test_suggestions_are_near_or_nothing(void **state)
{
    (void)state;
    assert_string_equal(mw_command_suggest("statsu"), "status");
    assert_string_equal(mw_command_suggest("acept"), "accept");
    assert_string_equal(mw_command_suggest("promte"), "promote");
    assert_string_equal(mw_command_suggest("plan shwo"), "plan show");
    assert_null(mw_command_suggest("xyzzy"));
    assert_null(mw_command_suggest("q"));
}

static void test_the_longest_name_is_the_command(void **state)
{
    char plan[] = "plan", show[] = "show", status[] = "status";
    char *words[] = {plan, show, status};
    int taken = 0;
    (void)state;
    assert_string_equal(mw_command_find(3, words, &taken)->name, "plan show");
    assert_int_equal(taken, 2);
    assert_string_equal(mw_command_find(2, words + 1, &taken)->name, "show");
    assert_int_equal(taken, 1);
    assert_null(mw_command_find(1, words, &taken));
}

static void test_options_may_stand_anywhere_and_a_commands_own_comes_first(void **state)
{
    char text[] = "text", json[] = "--json", file[] = "f.json", item[] = "t-1", dashes[] = "--",
         odd[] = "--odd";
    char *answer[] = {item, json, file};
    char *gen[] = {json, dashes, odd};
    struct mw_err err = {0};
    int taken = 0;
    (void)state;
    char name[] = "answer";
    char *names[] = {name};
    struct mw_cli cli = {.command = mw_command_find(1, names, &taken)};
    assert_int_equal(mw_cli_parse(&cli, 3, answer, &err), MW_OK);
    assert_string_equal(mw_cli_value(&cli, "json"), "f.json");
    assert_false(cli.json);
    char gen_name[] = "gen";
    names[0] = gen_name;
    cli = (struct mw_cli){.command = mw_command_find(1, names, &taken)};
    assert_int_equal(mw_cli_parse(&cli, 3, gen, &err), MW_OK);
    assert_true(cli.json);
    assert_string_equal(cli.args[0], "--odd"); /* after -- everything is a word */
    cli = (struct mw_cli){.command = mw_command_find(1, names, &taken)};
    char *one[] = {text};
    assert_int_equal(mw_cli_parse(&cli, 1, one, &err), MW_OK);
    assert_false(mw_cli_has(&cli, "detach"));
}

static void test_every_command_has_help_a_manual_page_and_completions(void **state)
{
    (void)state;
    int saved = dup(STDOUT_FILENO), null_fd = open("/dev/null", O_WRONLY);
    (void)fflush(stdout);
    assert_true(saved >= 0 && null_fd >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0);
    int worst = 0;
    for (size_t i = 0; i < mw_command_count; i++) {
        char copy[64];
        (void)snprintf(copy, sizeof(copy), "%s", mw_commands[i].name);
        char *space = strchr(copy, ' ');
        if (space != NULL)
            *space = '\0';
        const char *help[] = {"millwright", "help", copy, space != NULL ? space + 1 : NULL};
        const char *man[] = {"millwright", "man", copy, space != NULL ? space + 1 : NULL};
        worst |= run(space != NULL ? 4 : 3, help) | run(space != NULL ? 4 : 3, man);
        worst |= mw_commands[i].run == NULL || mw_commands[i].summary[0] == '\0';
        for (size_t j = 0; j < i; j++)
            worst |= strcmp(mw_commands[i].name, mw_commands[j].name) == 0;
    }
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < MW_COUNT(shells); i++) {
        const char *words[] = {"millwright", "completion", shells[i]};
        worst |= run(3, words);
    }
    (void)fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    (void)close(saved);
    (void)close(null_fd);
    assert_int_equal(worst, 0);
}

/* What run says on standard error. Owned by the caller. */
static char *complaint(int argc, const char *const *words)
{
    char text[4096];
    int saved = dup(STDERR_FILENO), ends[2];
    (void)fflush(stderr);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    int code = run(argc, words);
    (void)fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(ends[1]);
    ssize_t got = read(ends[0], text, sizeof(text));
    (void)close(ends[0]);
    assert_int_equal(code, 2);
    assert_true(got > 0);
    return mw_heap_copy((struct mw_str){text, (size_t)got});
}

static void test_a_refusal_says_nothing_that_a_terminal_obeys(void **state)
{
    static const char *const lines[][4] = {
        {"millwright", "x\033[2J", NULL},
        {"millwright", "agent", "x\033[2J", NULL},
        {"millwright", "status", "--x\033[2J", NULL},
        {"millwright", "--workspace=/x\033[2J", "status", NULL},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(lines); i++) {
        mw_autofree char *said = complaint(lines[i][2] == NULL ? 2 : 3, lines[i]);
        assert_non_null(strstr(said, "x [2J"));
        assert_null(strchr(said, '\033'));
    }
    /* Lines stay lines. */
    mw_autofree char *usage = complaint(3, lines[1]);
    assert_non_null(strstr(usage, "\nusage: millwright agent show"));
    static const char *const texts[][2] = {
        {"", ""}, {"\n", "\n"}, {"a\033[m\nb\177\xc2\x9b\n\nc", "a [m\nb  \n\nc"}};
    for (size_t i = 0; i < MW_COUNT(texts); i++) {
        struct mw_buf out = mw_heap_buf();
        mw_put_safe_lines(&out, mw_str_of(texts[i][0]));
        assert_true(mw_str_is(mw_buf_str(&out), texts[i][1]));
        mw_heap_buf_free(&out);
    }
}

/* ---- folders ---- */

static void make(const char *root, const char *path)
{
    mw_autofree char *whole = mw_heap_format("%s/%s", root, path);
    assert_int_equal(mw_mkdirs(AT_FDCWD, whole, 0700, NULL), MW_OK);
}

static void expect(const char *root, const char *from, const char *home, const char *wanted)
{
    mw_autofree char *start = mw_heap_format("%s%s", root, from);
    mw_autofree char *house = home != NULL ? mw_heap_format("%s%s", root, home) : NULL;
    mw_autofree char *right = wanted != NULL ? mw_heap_format("%s%s", root, wanted) : NULL;
    char *found = mw_workspace_search(start, house);
    if (right == NULL)
        assert_null(found);
    else
        assert_string_equal(found != NULL ? found : "", right);
    mw_heap_free(found);
}

static void test_the_nearest_folder_upwards_is_the_workspace(void **state)
{
    char root[] = "/tmp/mw-words-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(root));
    make(root, "one/.millwright");
    make(root, "one/deep/er");
    make(root, "one/two/app");
    make(root, "one/repository/.git");
    make(root, "one/repository/src");
    make(root, "home/person/.millwright");
    make(root, "home/person/work");
    mw_autofree char *app = mw_heap_format("%s/one/two/app/app.json", root);
    assert_int_equal(mw_file_replace(AT_FDCWD, app, MW_STR("{}"), 0600, NULL), MW_OK);
    expect(root, "/one", NULL, "/one");
    expect(root, "/one/deep/er", NULL, "/one");
    expect(root, "/one/two/app", NULL, "/one/two");
    expect(root, "/one/repository/src", NULL, NULL);         /* a git root ends the search */
    expect(root, "/home/person/work", "/home/person", NULL); /* $HOME is never one */
    expect(root, "/home", NULL, NULL);
    assert_int_equal(mw_remove_tree(AT_FDCWD, root, NULL), MW_OK);
}

/* ---- small readers ---- */

static void test_versions_are_numbers_between_dots(void **state)
{
    (void)state;
    assert_true(mw_version_cmp(MW_STR("20.20.2"), MW_STR("18.20")) > 0);
    assert_true(mw_version_cmp(MW_STR("18.9"), MW_STR("18.20")) < 0);
    assert_true(mw_version_cmp(MW_STR("18.20"), MW_STR("18.20.0")) == 0);
    assert_true(mw_version_cmp(MW_STR("9"), MW_STR("18.20")) < 0);
}

static void test_times_are_utc_with_microseconds(void **state)
{
    (void)state;
    int64_t us;
    assert_true(mw_utc_us(MW_STR("1970-01-01T00:00:01.000002Z"), &us));
    assert_int_equal(us, 1000002);
    assert_true(mw_utc_us(MW_STR("2026-11-20T04:53:09.5Z"), &us));
    assert_int_equal(us % 1000000, 500000);
    assert_true(mw_utc_us(MW_STR("2026-11-20T04:53:09.1234569Z"), &us));
    assert_int_equal(us % 1000000, 123456);
    static const char *const others[] = {
        "",
        "yesterday",
        "2026-11-20T04:53:09",
        "2026-11-20T04:53:09+01:00",
        "2026-11-20T04:53:09.Z",
        "2026-11-20T04:53:09.5xZ",
        "2026-11-20T04:53:09,5Z",
        "2026-11-20 04:53:09Z",
        "2026-13-20T04:53:09Z",
        "2026-00-20T04:53:09Z",
        "2026-11-32T04:53:09Z",
        "2026-11-00T04:53:09Z",
        "2026-11-20T24:53:09Z",
        "2026-11-20T04:60:09Z",
        "2026-11-20T04:53:61Z",
        "20x6-11-20T04:53:09Z",
        "-026-11-20T04:53:09Z",
    };
    for (size_t i = 0; i < MW_COUNT(others); i++) {
        assert_false(mw_utc_us(mw_str_of(others[i]), &us));
        assert_int_equal(us, 0);
    }
}

/* The C library's calendar says the same, over all years that the text can name. */
static void test_times_go_there_and_back(void **state)
{
    static char memory[256];
    uint64_t random = 1;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int64_t seconds =
            (int64_t)((random >> 16) % 315569520000u) - 62167219200; /* 0000 to 9999 */
        int64_t us = seconds * 1000000 + (int64_t)(random % 1000000), read;
        time_t whole = (time_t)seconds;
        struct tm parts;
        char expected[64];
        struct mw_arena arena;
        mw_arena_init(&arena, memory, sizeof(memory));
        struct mw_str text = mw_utc_text(&arena, us);
        assert_non_null(gmtime_r(&whole, &parts));
        (void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ",
                       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                       parts.tm_min, parts.tm_sec, (unsigned)(random % 1000000));
        assert_true(mw_str_is(text, expected));
        assert_true(mw_utc_us(text, &read));
        assert_int_equal(read, us);
    }
}

static void test_message_ids_are_uuid_version_7_and_rise(void **state)
{
    char first[37], second[37];
    (void)state;
    mw_uuid7(first);
    mw_uuid7(second);
    assert_int_equal(strlen(first), 36);
    assert_int_equal(first[14], '7');
    assert_non_null(strchr("89ab", first[19]));
    assert_true(strncmp(first, second, 13) <= 0);
    assert_string_not_equal(first, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_words_end_with_2_and_nothing_else_happens),
        cmocka_unit_test(test_suggestions_are_near_or_nothing),
        cmocka_unit_test(test_the_longest_name_is_the_command),
        cmocka_unit_test(test_options_may_stand_anywhere_and_a_commands_own_comes_first),
        cmocka_unit_test(test_a_refusal_says_nothing_that_a_terminal_obeys),
        cmocka_unit_test(test_every_command_has_help_a_manual_page_and_completions),
        cmocka_unit_test(test_the_nearest_folder_upwards_is_the_workspace),
        cmocka_unit_test(test_versions_are_numbers_between_dots),
        cmocka_unit_test(test_times_are_utc_with_microseconds),
        cmocka_unit_test(test_times_go_there_and_back),
        cmocka_unit_test(test_message_ids_are_uuid_version_7_and_rise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
