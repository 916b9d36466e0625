/*
 * Staged bundles (BL-10, P22), the scaffold (BL-02) and unified diffs (AR-03).
 */
#include "base/json.h"
#include "own_folder.h"
#include "stage/bundle.h"
#include "stage/scaffold.h"
#include <sys/stat.h>

static int ws_fd;

static int setup(void **state)
{
    (void)enter_own_folder(state);
    ws_fd = open(".", O_RDONLY | O_DIRECTORY);
    return 0;
}

static int teardown(void **state)
{
    close(ws_fd);
    return leave_own_folder(state);
}

static void bl10_a_bundle_is_whole_repeatable_and_immutable(void **state)
{
    (void)state;
    struct mw_err err = {0};
    struct mw_blobs blobs;
    struct mw_tree tree, found;
    char path[MW_BUNDLE_PATH_MAX];
    put("t/app.json", "{}\n");
    put("t/services/a/main.js", "1\n");
    assert_int_equal(mw_blobs_open(ws_fd, ".millwright", &blobs, &err), MW_OK);
    struct mw_tree_scan options = {.blobs = &blobs};
    assert_int_equal(mw_tree_scan(AT_FDCWD, "t", &options, &tree, &err), MW_OK);
    /* A half written one of an earlier try is in the way. */
    put("generated/apps/notes/b1/.app.new/services/a/main.js", "hal");
    if (mw_bundle_assemble(ws_fd, "notes", "b1", &tree, &blobs, path, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_string_equal(path, "generated/apps/notes/b1/app");
    assert_false(mw_exists(ws_fd, "generated/apps/notes/b1/.app.new"));
    assert_int_equal(mw_tree_scan(ws_fd, path, NULL, &found, &err), MW_OK);
    char one[MW_SHA256_HEX], two[MW_SHA256_HEX];
    mw_tree_digest(&tree, one);
    mw_tree_digest(&found, two);
    assert_string_equal(one, two);
    mw_tree_free(&found);
    struct stat st;
    assert_int_equal(stat("generated/apps/notes/b1/app/app.json", &st), 0);
    assert_int_equal(st.st_mode & 0222, 0);
    ino_t inode = st.st_ino;
    assert_int_equal(mw_bundle_assemble(ws_fd, "notes", "b1", &tree, &blobs, path, &err), MW_OK);
    assert_int_equal(stat("generated/apps/notes/b1/app/app.json", &st), 0);
    assert_int_equal(st.st_ino, inode);
    struct mw_tree_file more = tree.files[0];
    more.path = MW_STR("more");
    mw_tree_add(&tree, &more);
    assert_int_equal(mw_tree_seal(&tree, &err), MW_OK);
    assert_int_equal(mw_bundle_assemble(ws_fd, "notes", "b1", &tree, &blobs, path, &err),
                     MW_E_CONFLICT);
    assert_int_equal(mw_remove_tree(ws_fd, "generated", &err), MW_OK);
    mw_tree_free(&tree);
    mw_blobs_close(&blobs);
}

static void p17_ids_cannot_lead_out(void **state)
{
    (void)state;
    struct mw_err err;
    char path[MW_BUNDLE_PATH_MAX];
    static const char *const bad[] = {"..", "", "a/b", "/", ".", "a\\b", "a\nb"};
    for (size_t i = 0; i < MW_COUNT(bad); i++) {
        assert_int_equal(mw_bundle_path(bad[i], "b1", path, &err), MW_E_INPUT);
        assert_int_equal(mw_bundle_path("a", bad[i], path, &err), MW_E_INPUT);
    }
    assert_int_equal(mw_bundle_path("a", "build-1", path, &err), MW_OK);
}

static void p22_a_missing_blob_leaves_no_bundle(void **state)
{
    (void)state;
    struct mw_err err;
    struct mw_blobs blobs;
    char path[MW_BUNDLE_PATH_MAX];
    assert_int_equal(mw_blobs_open(ws_fd, ".millwright", &blobs, &err), MW_OK);
    struct mw_tree tree = {0};
    struct mw_tree_file file = {.path = MW_STR("a"), .mode = 0644};
    memset(file.sha256, 'a', 64);
    mw_tree_add(&tree, &file);
    assert_int_equal(mw_bundle_assemble(ws_fd, "notes", "b1", &tree, &blobs, path, &err),
                     MW_E_MISSING);
    assert_false(mw_exists(ws_fd, "generated/apps/notes/b1/app"));
    assert_false(mw_exists(ws_fd, "generated/apps/notes/b1/.app.new"));
    mw_tree_free(&tree);
    mw_blobs_close(&blobs);
}

static void ar03_the_diff_is_what_diff_says(void **state)
{
    (void)state;
    struct mw_err err = {0};
    bool cut = true;
    put("old/same", "1\n");
    put("old/src/edit", "1\n2\n3\n");
    put("old/gone", "1\n");
    put("old/no newline", "x");
    put("old/bin", "\x01\x02");
    put("new/same", "1\n");
    put("new/src/edit", "1\n2\nthree\n");
    put("new/src/deep/added", "1\n");
    put("new/no newline", "y");
    put("new/bin", "\x01\x03");
    struct mw_buf diff = mw_heap_buf();
    if (mw_diff_trees(own_folder, "old", "new", 1 << 20, &diff, &cut, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_buf_put_c(&diff, '\0');
    mw_autofree char *said = shell("TZ=UTC LC_ALL=C diff -ruN old new");
    assert_false(cut);
    assert_non_null(strstr(diff.ptr, "+three\n"));
    assert_string_equal(diff.ptr, said);
    mw_buf_reset(&diff);
    assert_int_equal(mw_diff_trees(own_folder, "old", "old", 1 << 20, &diff, &cut, &err), MW_OK);
    assert_int_equal(diff.len, 0);
    assert_int_equal(mw_diff_trees(own_folder, "none", "neither", 1 << 20, &diff, &cut, &err),
                     MW_OK);
    assert_int_equal(diff.len, 0);
    assert_int_equal(mw_diff_trees(own_folder, "none", "new", 1 << 20, &diff, &cut, &err), MW_OK);
    mw_autofree char *all = shell("TZ=UTC LC_ALL=C diff -ruN none new");
    mw_buf_put_c(&diff, '\0');
    assert_string_equal(diff.ptr, all);
    mw_buf_reset(&diff);
    assert_int_equal(mw_diff_trees(own_folder, "old", "new", 10, &diff, &cut, &err), MW_OK);
    assert_true(cut);
    assert_int_equal(diff.len, 10);
    assert_int_equal(mw_diff_trees(own_folder, "-r", "new", 10, &diff, &cut, &err), MW_E_INPUT);
    mw_heap_buf_free(&diff);
}

/* What diff says of one that is in old/ alone. */
#define LONE_LINK "echo 'diff: new/link: No such file or directory' >&2\n"

/* Whoever reviews a change sees all of it or is told that it could not be shown: half of it is worse than nothing (P20). */
static void p20_a_diff_that_stops_half_way_is_no_diff(void **state)
{
    static const struct {
        const char *ends;
        enum mw_rc rc;
    } rows[] = {{"exit 0", MW_OK},
                {"exit 1", MW_OK},
                {"exit 2", MW_E_FAILED},
                {"exit 3", MW_E_FAILED},
                {"exit 127", MW_E_MISSING},
                {"kill -9 $$", MW_E_FAILED},
                {"kill $$", MW_E_FAILED},
                {"exit 255", MW_E_FAILED},
                {LONE_LINK "exit 2", MW_OK},
                {LONE_LINK "exit 3", MW_E_FAILED},
                {"echo 'diff: new/a: Input/output error' >&2\n" LONE_LINK "exit 2", MW_E_FAILED},
                {LONE_LINK "printf 'diff: old/a' >&2\nexit 2", MW_E_FAILED},
                {"echo 'new/link: No such file or directory' >&2\nexit 2", MW_E_FAILED}};
    const char *const was = getenv("PATH");
    mw_autofree char *kept = mw_heap_copy(mw_str_of(was));
    mw_autofree char *first = mw_heap_format("%s/bin:%s", own_folder, was);
    struct mw_buf diff = mw_heap_buf();
    (void)state;
    put("old/a", "1\n");
    put("new/a", "2\n");
    assert_int_equal(symlink("a", "old/link"), 0);
    assert_int_equal(setenv("PATH", first, 1), 0);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {0};
        bool cut = false;
        mw_autofree char *text = mw_heap_format("#!/bin/sh\necho half\n%s\n", rows[i].ends);
        put("bin/diff", text);
        assert_int_equal(chmod("bin/diff", 0755), 0);
        mw_buf_reset(&diff);
        mw_buf_put_z(&diff, "before ");
        enum mw_rc rc = mw_diff_trees(own_folder, "old", "new", 1 << 20, &diff, &cut, &err);
        if (rc != rows[i].rc)
            fail_msg("'%s' is %s: %s", rows[i].ends, mw_rc_name(rc), err.text);
        assert_true(mw_str_is(mw_buf_str(&diff),
                              rc == MW_OK ? "before half\nOnly in old: link\n" : "before "));
    }
    assert_int_equal(setenv("PATH", kept, 1), 0);
    mw_heap_buf_free(&diff);
}

static void bl02_init_makes_exactly_these_and_a_rerun_changes_nothing(void **state)
{
    (void)state;
    struct mw_err err = {0};
    bool made = false;
    if (mw_scaffold_make(ws_fd, MW_SOURCE_DIR "/factory", "default", &made, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_true(made);
    mw_autofree char *found = shell("find . | LC_ALL=C sort");
    assert_string_equal(found, ".\n./app\n./app/app.json\n./app/brand\n"
                               "./app/brand/theme_config.json\n./app/config\n"
                               "./app/config/ai.json\n./app/config/shell.json\n./app/modules\n"
                               "./app/ui\n./app/ui/index.js\n./app/ui/route_manifest.json\n"
                               "./app/workflows\n");
    struct mw_tree tree;
    char want[MW_SHA256_HEX], digest[MW_SHA256_HEX];
    assert_int_equal(mw_tree_scan(ws_fd, "app", NULL, &tree, &err), MW_OK);
    mw_tree_digest(&tree, digest);
    assert_int_equal(mw_scaffold_digest(MW_SOURCE_DIR "/factory", "default", want, &err), MW_OK);
    assert_string_equal(digest, want);
    mw_autoclose int app_fd = openat(ws_fd, "app", O_RDONLY | O_DIRECTORY);
    struct mw_arena arena;
    mw_heap_arena(&arena, 1 << 20);
    for (uint32_t i = 0; i < tree.count; i++) {
        struct mw_buf text = mw_heap_buf();
        struct mw_tape tape;
        if (!mw_str_ends(tree.files[i].path, MW_STR(".json")))
            continue;
        assert_int_equal(mw_file_read_beneath(app_fd, tree.files[i].path.ptr, 65536, &text, &err),
                         MW_OK);
        assert_int_equal(mw_json_parse(&arena, mw_buf_str(&text), &tape, &err), MW_OK);
        mw_heap_buf_free(&text);
    }
    mw_heap_arena_free(&arena);
    mw_tree_free(&tree);
    put("app/app.json", "mine\n");
    assert_int_equal(unlink("app/ui/index.js"), 0);
    mw_autofree char *before = shell("find . -printf '%p %T@ %s\\n' | LC_ALL=C sort");
    assert_int_equal(mw_scaffold_make(ws_fd, MW_SOURCE_DIR "/factory", "default", &made, &err),
                     MW_OK);
    assert_false(made);
    mw_autofree char *after = shell("find . -printf '%p %T@ %s\\n' | LC_ALL=C sort");
    assert_string_equal(before, after);
    assert_int_equal(mw_scaffold_make(ws_fd, MW_SOURCE_DIR "/factory", "../x", &made, &err),
                     MW_E_USAGE);
}

static void bl02_a_scaffold_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct mw_err err = {0};
    bool made = false;
    assert_int_equal(mw_scaffold_make(ws_fd, MW_SOURCE_DIR "/factory", "absent", &made, &err),
                     MW_E_MISSING);
    assert_false(mw_exists(ws_fd, "app"));
    assert_int_equal(mkdir("app", 0755), 0);
    assert_int_equal(mw_scaffold_make(ws_fd, MW_SOURCE_DIR "/factory", "default", &made, &err),
                     MW_OK);
    assert_true(made);
}

/* An app root that somebody edited may hold any link: what it leads to is not the app's, and is not shown. */
static void p17_a_diff_follows_no_link(void **state)
{
    (void)state;
    struct mw_buf diff = mw_heap_buf();
    struct mw_err err = {0};
    bool cut;
    put("secret", "hidden words\n");
    put("outside/secret", "hidden words\n");
    put("old/a", "1\n");
    put("new/a", "1\n");
    assert_int_equal(symlink("../secret", "old/file"), 0);
    assert_int_equal(symlink("../other", "new/file"), 0);
    assert_int_equal(symlink("../outside", "old/folder"), 0);
    assert_int_equal(symlink("../a", "new/folder"), 0);
    if (mw_diff_trees(own_folder, "old", "new", 1 << 20, &diff, &cut, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_buf_put_c(&diff, '\0');
    assert_string_equal(diff.ptr, "Symbolic links old/file and new/file differ\n"
                                  "Symbolic links old/folder and new/folder differ\n");
    mw_heap_buf_free(&diff);
}

/* Packages bring links: of one that stands on one side alone the diff says so, and tells the rest. */
static void ar03_a_link_on_one_side_alone_is_told(void **state)
{
    static const char *const words[] = {"--- old/b\t",
                                        "--- old/packages/bin/run.js\t",
                                        "+++ new/c/kept\t",
                                        "\nOnly in old: broken\n",
                                        "\nOnly in old/packages/bin: run\n",
                                        "\nOnly in new/c: link\n"};
    (void)state;
    struct mw_buf diff = mw_heap_buf();
    struct mw_err err = {0};
    bool cut = true;
    put("old/a", "1\n");
    put("old/b", "1\n");
    put("old/packages/bin/run.js", "1\n");
    put("new/a", "1\n");
    put("new/c/kept", "1\n");
    put("new/d/kept", "1\n");
    assert_int_equal(symlink("run.js", "old/packages/bin/run"), 0);
    assert_int_equal(symlink("nowhere", "old/broken"), 0);
    assert_int_equal(symlink("a", "old/d"), 0);
    assert_int_equal(symlink("kept", "new/c/link"), 0);
    if (mw_diff_trees(own_folder, "old", "new", 1 << 20, &diff, &cut, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_false(cut);
    mw_buf_put_c(&diff, '\0');
    for (size_t i = 0; i < MW_COUNT(words); i++)
        if (strstr(diff.ptr, words[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", words[i], diff.ptr);
    assert_null(strstr(diff.ptr, "Only in old: d\n")); /* it is a folder there, which diff says */
    for (size_t bytes = 0; bytes < diff.len; bytes += 7) {
        struct mw_buf part = mw_heap_buf();
        assert_int_equal(mw_diff_trees(own_folder, "old", "new", bytes, &part, &cut, &err), MW_OK);
        assert_true(cut == (bytes < diff.len - 1) && part.len <= bytes);
        mw_heap_buf_free(&part);
    }
    mw_heap_buf_free(&diff);
}

/* Nobody writes into it: diff would wait for ever, and with it whoever asked. */
static void p17_a_diff_waits_for_no_pipe(void **state)
{
    static const char *const folders[] = {"old", "new"};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(folders); i++) {
        mw_autofree char *pipe = mw_heap_format("%s/b/pipe", folders[i]);
        struct mw_buf diff = mw_heap_buf();
        struct mw_err err = {0};
        bool cut;
        put("old/b/a", "1\n");
        put("new/b/a", "2\n");
        assert_int_equal(mkfifo(pipe, 0600), 0);
        (void)alarm(60); /* it would never end */
        assert_int_equal(mw_diff_trees(own_folder, "old", "new", 1 << 20, &diff, &cut, &err),
                         MW_E_DENIED);
        (void)alarm(0);
        assert_non_null(strstr(err.text, "b/pipe"));
        assert_int_equal(unlink(pipe), 0);
        mw_heap_buf_free(&diff);
    }
}

/* P17 P23: what a scaffold lists is made in the app and nowhere else, and where it cannot be, nothing is. */
static void p17_p23_a_scaffold_does_not_lead_out_of_the_app(void **state)
{
    static const struct {
        const char *folder;
        const char *made; /* in the workspace */
        enum mw_rc rc;
    } rows[] = {{"data/kept", "app/data/kept", MW_OK},
                {"../out", "out", MW_E_CONFIG},
                {"data/../../out", "out", MW_E_CONFIG},
                {"/tmp", "app/tmp", MW_E_CONFIG},
                {".", "app", MW_E_CONFIG},
                {"", "app", MW_E_CONFIG}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        char list[120];
        struct mw_err err = {0};
        bool made = false;
        (void)snprintf(list, sizeof list, "{\"empty_folders\":[\"%s\"]}", rows[i].folder);
        put("factory/scaffold/own/scaffold.json", list);
        put("factory/scaffold/own/app/a.txt", "a\n");
        mw_autofree char *factory = mw_heap_format("%s/factory", own_folder);
        enum mw_rc rc = mw_scaffold_make(ws_fd, factory, "own", &made, &err);
        if (rc != rows[i].rc || made != (rc == MW_OK))
            fail_msg("'%s' is %s", rows[i].folder, mw_rc_name(rc));
        assert_true(mw_exists(ws_fd, rows[i].made) == (rc == MW_OK));
        assert_true(mw_exists(ws_fd, "app") == (rc == MW_OK));
        assert_int_equal(mw_remove_tree(ws_fd, "app", &err), MW_OK);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bl10_a_bundle_is_whole_repeatable_and_immutable),
        TEST(p17_ids_cannot_lead_out),
        TEST(p22_a_missing_blob_leaves_no_bundle),
        TEST(ar03_the_diff_is_what_diff_says),
        TEST(p20_a_diff_that_stops_half_way_is_no_diff),
        TEST(p17_a_diff_follows_no_link),
        TEST(p17_a_diff_waits_for_no_pipe),
        TEST(ar03_a_link_on_one_side_alone_is_told),
        TEST(bl02_init_makes_exactly_these_and_a_rerun_changes_nothing),
        TEST(bl02_a_scaffold_that_is_not_there_is_told),
        TEST(p17_p23_a_scaffold_does_not_lead_out_of_the_app),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
