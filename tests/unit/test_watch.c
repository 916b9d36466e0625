/* "Nothing has changed" is said only when nothing has: files written, made, renamed, removed, folders that come later, links that tell nothing. */
#include "host/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "posix/file.h"
#include "posix/heap.h"

static const char *const folders[] = {"agents", "plans"};

/* ---- a file system of another kind ---- */

static unsigned long said_kind; /* 0: what it is */

int __real_statfs(const char *path, struct statfs *ret);
int __wrap_statfs(const char *path, struct statfs *ret);
int __wrap_statfs(const char *path, struct statfs *ret)
{
    int rc = __real_statfs(path, ret);
    if (said_kind != 0)
        ret->f_type = (__fsword_t)said_kind;
    return rc;
}

/* ---- a folder ---- */

struct place {
    char root[64];
    struct mw_watch watch;
};

static int begin(void **state)
{
    struct place *place = mw_heap_alloc(sizeof(*place));
    said_kind = 0;
    snprintf(place->root, sizeof(place->root), "/tmp/mw-watch-XXXXXX");
    if (mkdtemp(place->root) == NULL)
        return -1;
    *state = place;
    return 0;
}

static int end(void **state)
{
    struct place *place = *state;
    struct mw_err err;
    mw_watch_end(&place->watch);
    enum mw_rc rc = mw_remove_tree(AT_FDCWD, place->root, &err);
    mw_heap_free(place);
    return rc == MW_OK ? 0 : -1;
}

static char *path_of(const struct place *place, const char *name)
{
    return mw_heap_format("%s/%s", place->root, name);
}

static void put(const struct place *place, const char *name, const char *text)
{
    mw_autofree char *path = path_of(place, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void make_folder(const struct place *place, const char *name)
{
    mw_autofree char *path = path_of(place, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

/* False: this file system is not one that is trusted, and the watch says so. */
static bool watch(struct place *place)
{
    const char *const roots[] = {place->root};
    mw_watch_begin(&place->watch, roots, 1, folders, MW_COUNT(folders));
    return mw_watch_is_quiet(&place->watch);
}

static void test_every_change_is_noticed(void **state)
{
    struct place *place = *state;
    make_folder(place, "agents");
    put(place, "agents/a.yaml", "one");
    if (!watch(place))
        skip();
    assert_true(mw_watch_is_quiet(&place->watch));
    put(place, "agents/a.yaml", "two"); /* the same size, perhaps at the same tick of the clock */
    assert_false(mw_watch_is_quiet(&place->watch));

    assert_true(watch(place));
    put(place, "agents/b.yaml", "new");
    assert_false(mw_watch_is_quiet(&place->watch));

    assert_true(watch(place));
    mw_autofree char *old_name = path_of(place, "agents/b.yaml");
    mw_autofree char *new_name = path_of(place, "agents/c.yaml");
    assert_int_equal(rename(old_name, new_name), 0);
    assert_false(mw_watch_is_quiet(&place->watch));

    assert_true(watch(place));
    assert_int_equal(unlink(new_name), 0);
    assert_false(mw_watch_is_quiet(&place->watch));
}

/* As an editor, or mv, puts a finished file in the place of another. */
static void test_a_file_that_comes_from_elsewhere_or_goes_there_is_noticed(void **state)
{
    struct place *place = *state;
    mw_autofree char *inside = path_of(place, "agents/a.yaml");
    mw_autofree char *outside = path_of(place, "drafts/finished.yaml");
    make_folder(place, "agents");
    make_folder(place, "drafts"); /* which nobody watches */
    put(place, "agents/a.yaml", "one");
    put(place, "drafts/finished.yaml", "two");
    if (!watch(place))
        skip();
    assert_int_equal(rename(outside, inside), 0);
    assert_false(mw_watch_is_quiet(&place->watch));

    assert_true(watch(place));
    assert_int_equal(rename(inside, outside), 0);
    assert_false(mw_watch_is_quiet(&place->watch));
}

static void test_a_folder_that_comes_later_is_noticed(void **state)
{
    struct place *place = *state;
    if (!watch(place))
        skip();
    make_folder(place, "plans");
    assert_false(mw_watch_is_quiet(&place->watch));
    assert_true(watch(place));
    put(place, "plans/p.yaml", "one");
    assert_false(mw_watch_is_quiet(&place->watch));
}

static void test_a_folder_that_is_moved_there_from_elsewhere_is_noticed(void **state)
{
    struct place *place = *state;
    char elsewhere[] = "/tmp/mw-watch-XXXXXX";
    assert_non_null(mkdtemp(elsewhere));
    mw_autofree char *inside = path_of(place, "plans");
    mw_autofree char *outside = mw_heap_format("%s/plans", elsewhere);
    assert_int_equal(mkdir(outside, 0755), 0);
    if (watch(place)) {
        assert_int_equal(rename(outside, inside), 0);
        assert_false(mw_watch_is_quiet(&place->watch));
        assert_true(watch(place));
        assert_int_equal(rename(inside, outside), 0);
        assert_false(mw_watch_is_quiet(&place->watch));
    } else {
        print_message("skipped: not a file system that is trusted\n");
    }
    (void)rmdir(outside);
    (void)rmdir(elsewhere);
}

/* What is written by the second name changes the file without the folder hearing of it. */
static void test_a_second_name_that_comes_later_is_noticed(void **state)
{
    struct place *place = *state;
    mw_autofree char *second = path_of(place, "elsewhere.yaml");
    mw_autofree char *name = path_of(place, "agents/a.yaml");
    make_folder(place, "agents");
    make_folder(place, "drafts"); /* which nobody watches */
    mw_autofree char *beside = path_of(place, "drafts/a.yaml");
    put(place, "agents/a.yaml", "one");
    if (!watch(place))
        skip();
    assert_int_equal(link(name, beside), 0);
    assert_false(mw_watch_is_quiet(&place->watch));
    assert_false(watch(place)); /* from here on it is not trusted */
    assert_int_equal(unlink(beside), 0);
    assert_true(watch(place));
    assert_int_equal(link(name, second), 0);
    put(place, "elsewhere.yaml", "two");
    assert_false(mw_watch_is_quiet(&place->watch));
}

/* Another machine, or whoever serves it, writes there without our kernel seeing it. */
static void test_only_file_systems_of_this_machine_alone_are_trusted(void **state)
{
    static const struct {
        unsigned long kind;
        bool trusted;
    } rows[] = {{EXT4_SUPER_MAGIC, true},
                {0x58465342 /* XFS */, true},
                {BTRFS_SUPER_MAGIC, true},
                {TMPFS_MAGIC, true},
                {NFS_SUPER_MAGIC, false},
                {V9FS_MAGIC, false},
                {0x65735546 /* FUSE */, false},
                {OVERLAYFS_SUPER_MAGIC, false},
                {SMB_SUPER_MAGIC, false},
                {0xFF534D42 /* CIFS */, false},
                {0x6A656A63 /* a folder shared by a virtual machine's host */, false},
                {0x12345678, false}};
    struct place *place = *state;
    make_folder(place, "agents");
    put(place, "agents/a.yaml", "one");
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        said_kind = rows[i].kind;
        if (watch(place) != rows[i].trusted)
            fail_msg("0x%lx is %strusted", rows[i].kind, rows[i].trusted ? "not " : "");
    }
}

static void test_what_changes_behind_the_folder_is_never_trusted(void **state)
{
    struct place *place = *state;
    mw_autofree char *target = path_of(place, "elsewhere.yaml");
    mw_autofree char *name = path_of(place, "agents/a.yaml");
    make_folder(place, "agents");
    put(place, "elsewhere.yaml", "one");
    assert_int_equal(symlink(target, name), 0);
    assert_false(watch(place));
    assert_int_equal(unlink(name), 0);
    assert_int_equal(link(target, name), 0);
    assert_false(watch(place));
}

static void test_nothing_begun_is_nothing_known(void **state)
{
    struct mw_watch none = {0};
    (void)state;
    assert_false(mw_watch_is_quiet(&none));
    mw_watch_end(&none);
    assert_true(fcntl(0, F_GETFD) >= 0 || errno == EBADF); /* no descriptor of others was closed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_change_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(
            test_a_file_that_comes_from_elsewhere_or_goes_there_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(test_a_folder_that_comes_later_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(test_a_folder_that_is_moved_there_from_elsewhere_is_noticed,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_a_second_name_that_comes_later_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(test_only_file_systems_of_this_machine_alone_are_trusted,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_what_changes_behind_the_folder_is_never_trusted, begin,
                                        end),
        cmocka_unit_test(test_nothing_begun_is_nothing_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
