/*
 * test_file_beneath.c - P17: what is read beneath a folder lies beneath it: no link on the way is followed, wherever it leads, nothing climbs, and
 * nothing that is no file is waited for.
 */
#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void p17_nothing_is_read_through_a_link_or_from_outside(void **state)
{
    static const struct {
        const char *path;
        enum mw_rc expected;
    } cases[] = {{"in/plain", MW_OK},
                 {"in/to-file", MW_E_DENIED},
                 {"in/to-folder/plain", MW_E_DENIED},
                 {"in/out/plain", MW_E_DENIED},
                 {"in/self/in/plain", MW_E_DENIED},
                 {"../outside", MW_E_DENIED},
                 {"in/../../outside", MW_E_DENIED},
                 {"/etc/hostname", MW_E_DENIED},
                 {"in/none", MW_E_MISSING}};
    char top[] = "/tmp/mw-beneath-XXXXXX";
    struct mw_err err = {0};
    (void)state;
    assert_non_null(mkdtemp(top));
    int top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_mkdirs(top_fd, "root/in/folder", 0700, &err), MW_OK);
    int root_fd = openat(top_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_file_replace(top_fd, "outside", MW_STR("x"), 0600, &err), MW_OK);
    assert_int_equal(mw_file_replace(root_fd, "in/plain", MW_STR("x"), 0600, &err), MW_OK);
    assert_int_equal(mw_file_replace(root_fd, "in/folder/plain", MW_STR("x"), 0600, &err), MW_OK);
    assert_int_equal(symlinkat("plain", root_fd, "in/to-file"), 0);
    assert_int_equal(symlinkat("folder", root_fd, "in/to-folder"), 0);
    assert_int_equal(symlinkat("../..", root_fd, "in/out"), 0);
    assert_int_equal(symlinkat("..", root_fd, "in/self"), 0);
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        struct mw_buf text = mw_heap_buf();
        enum mw_rc rc = mw_file_read_beneath(root_fd, cases[i].path, 100, &text, &err);
        if (rc != cases[i].expected)
            fail_msg("%s: %s, not %s", cases[i].path, mw_rc_name(rc),
                     mw_rc_name(cases[i].expected));
        mw_heap_buf_free(&text);
    }
    (void)close(root_fd);
    (void)close(top_fd);
    assert_int_equal(mw_remove_tree(AT_FDCWD, top, &err), MW_OK);
}

/* Nobody writes into it: whoever waited for that would wait for ever. */
static void p17_a_pipe_that_stands_where_a_file_was_holds_nobody_up(void **state)
{
    char top[] = "/tmp/mw-beneath-XXXXXX";
    struct mw_err err = {0};
    struct mw_buf text = mw_heap_buf();
    (void)state;
    assert_non_null(mkdtemp(top));
    int top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkfifoat(top_fd, "pipe", 0600), 0);
    (void)alarm(20);
    assert_int_equal(mw_file_read_beneath(top_fd, "pipe", 100, &text, &err), MW_OK);
    (void)alarm(0);
    assert_int_equal(text.len, 0);
    mw_heap_buf_free(&text);
    (void)close(top_fd);
    assert_int_equal(mw_remove_tree(AT_FDCWD, top, &err), MW_OK);
}

static void p17_a_plain_path_does_not_climb(void **state)
{
    static const char *const plain[] = {"a", "a/b", "a..b", "...", ".a", "a/.b/c"};
    static const char *const other[] = {"",
                                        "/",
                                        "/a",
                                        "a/",
                                        "a//b",
                                        ".",
                                        "..",
                                        "a/..",
                                        "../a",
                                        "./a",
                                        "a/./b",
                                        "a/../b",
                                        "a\\b",
                                        "a\nb",
                                        ("a\x7f"
                                         "b"),
                                        "\xff"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(plain); i++)
        if (!mw_path_is_plain(mw_str_of(plain[i])))
            fail_msg("'%s' is refused", plain[i]);
    for (size_t i = 0; i < MW_COUNT(other); i++)
        if (mw_path_is_plain(mw_str_of(other[i])))
            fail_msg("'%s' is taken", other[i]);
    assert_false(mw_path_is_plain((struct mw_str){"a\0b", 3}));
}

/* What every file system takes; more of it would look like a broken disk when it is written. */
static void p14_p17_a_plain_path_is_no_longer_than_a_file_system_takes(void **state)
{
    static const struct {
        size_t part; /* bytes of each */
        size_t parts;
        size_t last; /* bytes of one more; 0: there is none */
        bool plain;
    } rows[] = {{255, 1, 0, true},    {256, 1, 0, false},    {1, 1, 255, true},
                {1, 1, 256, false},   {1, 64, 0, true},      {1, 65, 0, false},
                {255, 15, 255, true}, {255, 15, 256, false}, {255, 16, 1, false}};
    static char path[8192];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        size_t len = 0;
        for (size_t part = 0; part < rows[i].parts; part++, path[len++] = '/')
            for (size_t at = 0; at < rows[i].part; at++)
                path[len++] = 'a';
        len -= rows[i].last == 0;
        for (size_t at = 0; at < rows[i].last; at++)
            path[len++] = 'b';
        if (mw_path_is_plain((struct mw_str){path, len}) != rows[i].plain)
            fail_msg("row %zu, of %zu bytes: it is %s", i, len,
                     rows[i].plain ? "refused" : "taken");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p17_nothing_is_read_through_a_link_or_from_outside),
        cmocka_unit_test(p17_a_pipe_that_stands_where_a_file_was_holds_nobody_up),
        cmocka_unit_test(p17_a_plain_path_does_not_climb),
        cmocka_unit_test(p14_p17_a_plain_path_is_no_longer_than_a_file_system_takes),
    };
    return cmocka_run_group_tests_name("test_file_beneath", tests, NULL, NULL);
}
