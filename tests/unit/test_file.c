/*
 * test_file.c - P10 P12 P22: a whole file is written or none. A write that takes a part is gone on with where it ended; a file that cannot be
 * replaced stays as it was, and nothing is left beside it, however often somebody tries on a disk that is full.
 */
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a disk that takes a part, or nothing ---- */

static struct {
    size_t most;     /* bytes that a write takes; 0: all */
    bool interrupts; /* every other write, by a signal */
    bool interrupted;
    int fails_at; /* the n-th call from here on, from 1; 0: none */
    int error;
    int calls;
} disk;

static bool fails(void)
{
    if (disk.fails_at == 0 || ++disk.calls != disk.fails_at)
        return false;
    errno = disk.error;
    return true;
}

ssize_t __real_write(int fd, const void *memory, size_t size);
ssize_t __wrap_write(int fd, const void *memory, size_t size);
ssize_t __wrap_write(int fd, const void *memory, size_t size)
{
    disk.interrupted = disk.interrupts && !disk.interrupted;
    if (disk.interrupted) {
        errno = EINTR;
        return -1;
    }
    if (fails())
        return -1;
    return __real_write(fd, memory, disk.most != 0 && size > disk.most ? disk.most : size);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return fails() ? -1 : __real_fsync(fd);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return fails() ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

/* Somebody moves a folder while it is removed, just before the way back out of it. */
static struct {
    int fd;
    const char *from, *to; /* NULL: nobody does */
} move;

int __real_openat(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode)
{
    if (move.from != NULL && strcmp(path, "..") == 0) {
        assert_int_equal(__real_renameat(move.fd, move.from, move.fd, move.to), 0);
        move.from = NULL;
    }
    return __real_openat(fd, path, flags, mode);
}

/* ---- a folder ---- */

static char top[32];
static int top_fd;

static int begin(void **state)
{
    (void)state;
    memset(&disk, 0, sizeof disk);
    memset(&move, 0, sizeof move);
    (void)strcpy(top, "/tmp/mw-file-XXXXXX");
    if (mkdtemp(top) == NULL)
        return 1;
    top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return top_fd < 0;
}

static int end(void **state)
{
    (void)state;
    (void)close(top_fd);
    return mw_remove_tree(AT_FDCWD, top, NULL) != MW_OK;
}

static void expect_file(const char *path, struct mw_str expected)
{
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    assert_int_equal(mw_file_read(top_fd, path, 1 << 20, &text, &err), MW_OK);
    if (!mw_str_eq(mw_buf_str(&text), expected))
        fail_msg("'%s': %zu bytes, not the %zu that were written", path, text.len, expected.len);
    mw_heap_buf_free(&text);
}

static int files(void)
{
    DIR *list = opendir(top);
    int count = 0;
    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(list);
    return count;
}

static void p12_p22_a_write_that_takes_a_part_is_gone_on_with(void **state)
{
    static const char text[] = "the one who counts these letters finds that none is there twice";
    const struct mw_str whole = {text, sizeof text - 1};
    struct mw_err err;
    (void)state;
    for (size_t most = 1; most <= whole.len; most += 7)
        for (int interrupts = 0; interrupts < 2; interrupts++) {
            disk.most = most;
            disk.interrupts = interrupts != 0;
            assert_int_equal(mw_file_replace(top_fd, "replaced", whole, 0600, &err), MW_OK);
            assert_int_equal(mw_file_put(top_fd, "put", whole, 0600, &err), MW_OK);
            disk.most = 0;
            expect_file("replaced", whole);
            expect_file("put", whole);
            assert_int_equal(mw_file_put(top_fd, "put", MW_STR("short"), 0600, &err), MW_OK);
            expect_file("put", MW_STR("short"));
        }
}

static void p10_p12_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(void **state)
{
    static const struct {
        int error;
        int at; /* write, sync, rename */
        enum mw_rc rc;
    } rows[] = {{ENOSPC, 1, MW_E_FULL},
                {EDQUOT, 1, MW_E_FULL},
                {EIO, 1, MW_E_IO},
                {EIO, 2, MW_E_IO},
                {EIO, 3, MW_E_IO}};
    struct mw_err err;
    (void)state;
    assert_int_equal(mw_file_replace(top_fd, "file", MW_STR("before"), 0600, &err), MW_OK);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        disk.calls = 0;
        disk.error = rows[i].error;
        disk.fails_at = rows[i].at;
        enum mw_rc rc = mw_file_replace(top_fd, "file", MW_STR("after"), 0600, &err);
        disk.fails_at = 0;
        if (rc != rows[i].rc || files() != 1)
            fail_msg("row %zu: %s, %d files", i, mw_rc_name(rc), files());
        expect_file("file", MW_STR("before"));
    }
    assert_int_equal(mw_file_replace(top_fd, "file", MW_STR("after"), 0600, &err), MW_OK);
    expect_file("file", MW_STR("after"));
}

static void p17_p23_nothing_is_put_through_a_link(void **state)
{
    struct mw_err err;
    (void)state;
    assert_int_equal(mw_file_replace(top_fd, "words", MW_STR("mine"), 0600, &err), MW_OK);
    assert_int_equal(symlinkat("words", top_fd, "link"), 0);
    assert_int_equal(mw_file_put(top_fd, "link", MW_STR("theirs"), 0600, &err), MW_E_IO);
    expect_file("words", MW_STR("mine"));
    assert_int_equal(mw_file_replace(top_fd, "link", MW_STR("theirs"), 0600, &err), MW_OK);
    expect_file("words", MW_STR("mine")); /* the link itself is what was replaced */
    expect_file("link", MW_STR("theirs"));
}

#define DEPTH 20000

static int remove_all(void)
{
    struct mw_err err;
    if (mw_remove_tree(top_fd, "made", &err) == MW_OK && !mw_exists(top_fd, "made"))
        return 0;
    (void)fprintf(stderr, "%s\n", err.text);
    return 1;
}

/* An agent's folder holds what an agent makes. */
static void p23_folders_as_deep_as_somebody_makes_them_are_removed(void **state)
{
    struct rlimit limit, few;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){.rlim_cur = 64, .rlim_max = limit.rlim_max};
    assert_int_equal(mkdirat(top_fd, "made", 0700), 0);
    int fd = openat(top_fd, "made", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        assert_int_equal(mkdirat(fd, i % 2 == 0 ? "a" : "z", 0700), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int failed = remove_all();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(failed, 0);
}

/* Else what lies beside the place that it was moved to would be removed as well. */
static void p17_p23_a_folder_that_is_moved_while_it_is_removed_takes_nothing_along(void **state)
{
    static const char *const folders[] = {"made", "made/in", "made/in/deep", "theirs"};
    struct mw_err err = {0};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(folders); i++)
        assert_int_equal(mkdirat(top_fd, folders[i], 0700), 0);
    assert_int_equal(mw_file_replace(top_fd, "made/in/a", MW_STR("mine"), 0600, &err), MW_OK);
    assert_int_equal(mw_file_replace(top_fd, "made/in/deep/a", MW_STR("mine"), 0600, &err), MW_OK);
    assert_int_equal(mw_file_replace(top_fd, "theirs/words", MW_STR("theirs"), 0600, &err), MW_OK);
    move.fd = top_fd;
    move.to = "theirs/deep";
    move.from = "made/in/deep";
    assert_int_equal(mw_remove_tree(top_fd, "made", &err), MW_E_IO);
    assert_non_null(strstr(err.text, "moved"));
    assert_null(move.from);
    expect_file("theirs/words", MW_STR("theirs"));
    assert_int_equal(mw_remove_tree(top_fd, "made", &err), MW_OK); /* what is still in its place */
    assert_false(mw_exists(top_fd, "made"));
    expect_file("theirs/words", MW_STR("theirs"));
}

/* Root may read it all the same, so somebody else tries. */
static void p23_a_folder_that_nobody_may_read_is_removed(void **state)
{
    int status = 1;
    (void)state;
    assert_int_equal(chown(top, getuid() == 0 ? 65534 : getuid(), (gid_t)-1), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool made =
            (getuid() != 0 || setresuid(65534, 65534, 65534) == 0) &&
            mkdirat(top_fd, "made", 0700) == 0 && mkdirat(top_fd, "made/closed", 0700) == 0 &&
            mkdirat(top_fd, "made/closed/in", 0700) == 0 &&
            fchmodat(top_fd, "made/closed", 0, 0) == 0 && fchmodat(top_fd, "made", 0, 0) == 0;
        _exit(made ? remove_all() : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(p12_p22_a_write_that_takes_a_part_is_gone_on_with),
        TEST(p23_folders_as_deep_as_somebody_makes_them_are_removed),
        TEST(p23_a_folder_that_nobody_may_read_is_removed),
        TEST(p17_p23_a_folder_that_is_moved_while_it_is_removed_takes_nothing_along),
        TEST(p17_p23_nothing_is_put_through_a_link),
        TEST(p10_p12_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it),
    };
    return cmocka_run_group_tests_name("test_file", tests, NULL, NULL);
}
