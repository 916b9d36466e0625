/*
 * Blobs (P22): kept by hash, whole or not at all, found damaged when they are.
 */
#include "posix/heap.h"
#include "stage/blob.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];
static struct mw_blobs blobs;

static int setup(void **state)
{
    (void)state;
    struct mw_err err;
    strcpy(base, "/tmp/mw-blob-XXXXXX");
    assert_non_null(mkdtemp(base));
    return mw_blobs_open(AT_FDCWD, base, &blobs, &err) == MW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct mw_err err;
    mw_blobs_close(&blobs);
    return mw_remove_tree(AT_FDCWD, base, &err) == MW_OK ? 0 : -1;
}

static uint32_t temporaries(void)
{
    uint32_t count = 0;
    int fd = openat(blobs.root_fd, "tmp", O_RDONLY | O_DIRECTORY);
    DIR *list = fdopendir(fd);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

static void p22_what_was_put_comes_back_by_its_hash(void **state)
{
    (void)state;
    struct mw_err err;
    char sha256[MW_SHA256_HEX];
    assert_int_equal(mw_blob_put(&blobs, MW_STR("abc"), sha256, &err), MW_OK);
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    char path[256];
    snprintf(path, sizeof(path), "%s/blobs/ba/%s", base, sha256 + 2);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(temporaries(), 0);
    struct mw_buf buf = mw_heap_buf();
    mw_buf_put_z(&buf, "before ");
    assert_int_equal(mw_blob_get(&blobs, sha256, 100, &buf, &err), MW_OK);
    assert_true(mw_str_is(mw_buf_str(&buf), "before abc"));
    assert_int_equal(mw_blob_get(&blobs, sha256, 2, &buf, &err), MW_E_LIMIT);
    mw_heap_buf_free(&buf);
    assert_true(mw_blob_has(&blobs, sha256));
    assert_false(mw_blob_has(&blobs, "../../etc/passwd"));
    assert_int_equal(mw_blob_verify(&blobs, "zz", &err), MW_E_INPUT);
    sha256[0] = 'c';
    assert_int_equal(mw_blob_verify(&blobs, sha256, &err), MW_E_MISSING);
}

static void p22_a_damaged_blob_is_told_and_put_again(void **state)
{
    (void)state;
    struct mw_err err;
    char sha256[MW_SHA256_HEX], path[256];
    assert_int_equal(mw_blob_put(&blobs, MW_STR("abc"), sha256, &err), MW_OK);
    snprintf(path, sizeof(path), "%s/blobs/ba/%s", base, sha256 + 2);
    assert_int_equal(chmod(path, 0644), 0);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, 0), 1);
    assert_int_equal(mw_blob_verify(&blobs, sha256, &err), MW_E_CORRUPT);
    struct mw_buf buf = mw_heap_buf();
    assert_int_equal(mw_blob_get(&blobs, sha256, 100, &buf, &err), MW_E_CORRUPT);
    assert_int_equal(buf.len, 0);
    mw_heap_buf_free(&buf);
    assert_int_equal(ftruncate(fd, 1), 0);
    close(fd);
    assert_int_equal(mw_blob_put(&blobs, MW_STR("abc"), sha256, &err), MW_OK);
    assert_int_equal(mw_blob_verify(&blobs, sha256, &err), MW_OK);
}

static void p22_many_at_once_and_the_same_twice(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct mw_err err;
    static struct mw_blob_item items[COUNT];
    static char text[COUNT][16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof(text[i]), "body %d", i % 200);
        items[i].bytes = mw_str_of(text[i]);
    }
    assert_int_equal(mw_blob_put_many(&blobs, items, COUNT, &err), MW_OK);
    assert_int_equal(mw_blob_put_many(&blobs, items, COUNT, &err), MW_OK);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(mw_blob_verify(&blobs, items[i].sha256, &err), MW_OK);
    assert_int_equal(temporaries(), 0);
    assert_int_equal(mw_blob_put_many(&blobs, items, 0, &err), MW_OK);
}

static void p22_several_processes_put_the_same_blobs(void **state)
{
    (void)state;
    pid_t children[4];
    for (int c = 0; c < 4; c++) {
        children[c] = fork();
        if (children[c] == 0) {
            struct mw_err err;
            char sha256[MW_SHA256_HEX];
            int failed = 0;
            for (int i = 0; i < 50; i++) {
                char text[16];
                snprintf(text, sizeof(text), "shared %d", i);
                failed |= mw_blob_put(&blobs, mw_str_of(text), sha256, &err) != MW_OK;
                failed |= mw_blob_verify(&blobs, sha256, &err) != MW_OK;
            }
            _exit(failed);
        }
    }
    for (int c = 0; c < 4; c++) {
        int status;
        waitpid(children[c], &status, 0);
        assert_int_equal(status, 0);
    }
}

static void p22_a_crash_leaves_only_what_sweep_removes(void **state)
{
    (void)state;
    struct mw_err err;
    int fd = openat(blobs.root_fd, "tmp/0123456789abcdef", O_CREAT | O_WRONLY, 0444);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(temporaries(), 1);
    assert_int_equal(mw_blobs_sweep(&blobs, &err), MW_OK);
    assert_int_equal(temporaries(), 0);
}

/* What it leads to is no body: nobody made it durable, and whoever has it may change it. */
static void p22_a_link_in_the_place_of_a_blob_is_none(void **state)
{
    (void)state;
    struct mw_err err;
    struct stat file;
    char sha256[MW_SHA256_HEX], path[256], outside[256];
    assert_int_equal(mw_blob_put(&blobs, MW_STR("lent"), sha256, &err), MW_OK);
    snprintf(path, sizeof(path), "%s/blobs/%.2s/%s", base, sha256, sha256 + 2);
    snprintf(outside, sizeof(outside), "%s/lent", base);
    assert_int_equal(rename(path, outside), 0);
    assert_int_equal(symlink(outside, path), 0);
    assert_int_equal(mw_blob_put(&blobs, MW_STR("lent"), sha256, &err), MW_OK);
    assert_int_equal(lstat(path, &file), 0);
    assert_true(S_ISREG(file.st_mode));
    assert_int_equal(mw_blob_verify(&blobs, sha256, &err), MW_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(p22_what_was_put_comes_back_by_its_hash),
        TEST(p22_a_damaged_blob_is_told_and_put_again),
        TEST(p22_a_link_in_the_place_of_a_blob_is_none),
        TEST(p22_many_at_once_and_the_same_twice),
        TEST(p22_several_processes_put_the_same_blobs),
        TEST(p22_a_crash_leaves_only_what_sweep_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
