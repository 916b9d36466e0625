/*
 * test_file_beneath.c - P17: what is read beneath a folder lies beneath it: no link on the way is followed, wherever it leads, and nothing climbs.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p17_nothing_is_read_through_a_link_or_from_outside),
        cmocka_unit_test(p17_a_plain_path_does_not_climb),
    };
    return cmocka_run_group_tests_name("test_file_beneath", tests, NULL, NULL);
}
