/* "Nothing has changed" is said only when nothing has: files written, made, renamed, removed, folders that come later, links that tell nothing. */
#include "host/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "posix/file.h"
#include "posix/heap.h"

static const char *const folders[] = {"agents", "plans"};

struct place {
    char root[64];
    struct mw_watch watch;
};

static int begin(void **state)
{
    struct place *place = mw_heap_alloc(sizeof(*place));
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
        cmocka_unit_test_setup_teardown(test_what_changes_behind_the_folder_is_never_trusted, begin,
                                        end),
        cmocka_unit_test(test_nothing_begun_is_nothing_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
