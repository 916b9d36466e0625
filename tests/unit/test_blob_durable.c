/*
 * test_blob_durable.c - P22: when a body is said to be kept, its bytes and every name that leads to it are on the disk: also when it was there
 * already, when many are put at once, and when it is put again after a sync that failed. The same of bundles and of promotions, of however many
 * files. What could not be kept leaves nothing behind (P10).
 */
#include "base/mem.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "stage/blob.h"
#include "stage/bundle.h"
#include "stage/promote.h"
#include "stage/scaffold.h"
#include "stage/tree.h"

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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LEFT_MAX 1024
#define MANY 60u

/* A file whose bytes, or a folder's name for it, the disk need not have. */
struct unsynced {
    ino_t file;
    ino_t folder; /* 0: it is the bytes, not the name */
    char name[100];
};

static struct {
    bool watches;
    struct unsynced left[LEFT_MAX];
    int left_count;
    int fails_at; /* the n-th sync from here on, from 1; 0: none */
    int syncs;
    int write_fails_at; /* the n-th write from here on, from 1; 0: none */
    int write_errno;
    int writes;
    int mkdir_errno; /* 0: folders are made */
} disk;

int __real_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_mkdirat(int at_fd, const char *path, mode_t mode);
ssize_t __real_write(int fd, const void *memory, size_t size);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_mkdirat(int at_fd, const char *path, mode_t mode);
ssize_t __wrap_write(int fd, const void *memory, size_t size);

static void now_unsynced(ino_t file, ino_t folder, const char *name)
{
    assert_true(disk.left_count < LEFT_MAX);
    struct unsynced *entry = &disk.left[disk.left_count++];
    *entry = (struct unsynced){.file = file, .folder = folder};
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
}

static void named(int at_fd, const char *path)
{
    char parent[300];
    struct stat file, folder;
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    (void)snprintf(slash != NULL ? slash : parent, 3, slash != NULL ? "" : ".");
    assert_int_equal(fstatat(at_fd, path, &file, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(fstatat(at_fd, parent, &folder, 0), 0);
    now_unsynced(file.st_ino, folder.st_ino, path);
}

int __wrap_fsync(int fd)
{
    struct stat file;
    int kept = 0;
    if (!disk.watches)
        return __real_fsync(fd);
    if (++disk.syncs == disk.fails_at) {
        errno = EIO;
        return -1;
    }
    assert_int_equal(fstat(fd, &file), 0);
    for (int i = 0; i < disk.left_count; i++) {
        const struct unsynced *entry = &disk.left[i];
        if (entry->folder != 0 ? entry->folder != file.st_ino : entry->file != file.st_ino)
            disk.left[kept++] = *entry;
    }
    disk.left_count = kept;
    return 0;
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    int rc = __real_renameat(from_fd, from, to_fd, to);
    if (rc == 0 && disk.watches)
        named(to_fd, to);
    return rc;
}

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    int rc = __real_renameat2(from_fd, from, to_fd, to, flags);
    if (rc == 0 && disk.watches)
        named(to_fd, to);
    return rc;
}

int __wrap_mkdirat(int at_fd, const char *path, mode_t mode)
{
    if (disk.watches && disk.mkdir_errno != 0) {
        errno = disk.mkdir_errno;
        return -1;
    }
    int rc = __real_mkdirat(at_fd, path, mode);
    if (rc == 0 && disk.watches)
        named(at_fd, path);
    return rc;
}

ssize_t __wrap_write(int fd, const void *memory, size_t size)
{
    struct stat file;
    if (disk.watches && ++disk.writes == disk.write_fails_at) {
        errno = disk.write_errno;
        return -1;
    }
    ssize_t wrote = __real_write(fd, memory, size);
    if (disk.watches && fstat(fd, &file) == 0 && S_ISREG(file.st_mode))
        now_unsynced(file.st_ino, 0, "what was written");
    return wrote;
}

static void nothing_is_left(const char *when)
{
    for (int i = 0; i < disk.left_count; i++)
        fail_msg("P22: %s: %s of '%s' not synced", when,
                 disk.left[i].folder == 0 ? "the bytes are" : "the name is", disk.left[i].name);
}

/* ---- a folder of blobs ---- */

static char top[64];
static int top_fd;
static struct mw_blobs blobs;

static void begin(void)
{
    struct mw_err err = {0};
    (void)strcpy(top, "/tmp/mw-blobs-XXXXXX");
    assert_non_null(mkdtemp(top));
    top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(top_fd, "side", 0700), 0);
    disk.left_count = 0;
    disk.fails_at = 0;
    disk.write_fails_at = 0;
    disk.mkdir_errno = 0;
    disk.watches = true;
    if (mw_blobs_open(top_fd, "side", &blobs, &err) != MW_OK)
        fail_msg("%s", err.text);
}

static void end(void)
{
    disk.watches = false;
    mw_blobs_close(&blobs);
    (void)close(top_fd);
    assert_int_equal(mw_remove_tree(AT_FDCWD, top, NULL), MW_OK);
}

static enum mw_rc put_many(uint32_t first, uint32_t count)
{
    static char texts[MANY][40];
    struct mw_blob_item items[MANY];
    struct mw_err err = {0};
    for (uint32_t i = 0; i < count; i++) {
        int len = snprintf(texts[i], sizeof texts[i], "body %u", first + i);
        items[i] = (struct mw_blob_item){.bytes = {texts[i], (size_t)len}};
    }
    return mw_blob_put_many(&blobs, items, count, &err);
}

/* Is it, under its own name, one of those that put_many(first, count) puts? */
static bool is_named(uint32_t first, uint32_t count, ino_t file)
{
    for (uint32_t i = first; i < first + count; i++) {
        char text[40], sha256[MW_SHA256_HEX], path[100];
        struct stat found;
        int len = snprintf(text, sizeof text, "body %u", i);
        mw_sha256_hex((struct mw_str){text, (size_t)len}, sha256);
        (void)snprintf(path, sizeof path, "%.2s/%s", sha256, sha256 + 2);
        if (fstatat(blobs.root_fd, path, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_ino == file)
            return true;
    }
    return false;
}

static void p22_the_folder_of_blobs_has_its_name_when_it_is_opened(void **state)
{
    (void)state;
    begin();
    nothing_is_left("it was opened");
    end();
}

static void p22_what_was_put_is_on_the_disk_with_every_name(void **state)
{
    (void)state;
    begin();
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(put_many(i, 1), MW_OK);
        nothing_is_left("one was put");
    }
    assert_int_equal(put_many(100, MANY), MW_OK);
    nothing_is_left("many were put at once");
    assert_int_equal(put_many(90, MANY), MW_OK);
    nothing_is_left("some of them were there already");
    end();
}

/* Whichever of its syncs fails: it is not kept, and when it is put again and said to be kept, it is. */
static void p22_what_is_put_again_after_a_failed_sync_is_on_the_disk(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 7; count += 3)
        for (int at = 1;; at++) {
            begin();
            nothing_is_left("it was opened");
            disk.syncs = 0;
            disk.fails_at = at;
            enum mw_rc rc = put_many(0, count);
            bool failed = disk.syncs >= at;
            disk.fails_at = 0;
            if (failed)
                assert_int_equal(rc, MW_E_IO);
            /* What lies in a file that was thrown away is nobody's; one that has its name counts as kept. */
            for (int i = 0; i < disk.left_count; i++)
                if (disk.left[i].folder == 0 && !is_named(0, count, disk.left[i].file))
                    disk.left[i--] = disk.left[--disk.left_count];
            assert_int_equal(put_many(0, count), MW_OK);
            nothing_is_left("put again after a sync that failed");
            end();
            if (!failed)
                break;
        }
}

/* ---- more files than are open at once ---- */

#define FILES 300u

/* As others left it, long ago. */
static void put_files(const char *folder, const char *text)
{
    disk.watches = false;
    for (unsigned i = 0; i < FILES; i++) {
        struct mw_err err;
        mw_autofree char *parent = mw_heap_format("%s/f%u/g%u", folder, i % 5, i % 3);
        mw_autofree char *path = mw_heap_format("%s/%u", parent, i);
        mw_autofree char *body = mw_heap_format("%s %u", text, i);
        assert_int_equal(mw_mkdirs(top_fd, parent, 0755, &err), MW_OK);
        assert_int_equal(mw_file_replace(top_fd, path, mw_str_of(body), 0644, &err), MW_OK);
    }
    disk.watches = true;
}

static void p22_a_bundle_is_on_the_disk_with_every_name(void **state)
{
    (void)state;
    begin();
    for (unsigned round = 0; round < 2; round++) {
        struct mw_tree tree = {0};
        struct mw_tree_scan options = {.blobs = &blobs};
        struct mw_err err = {0};
        char path[MW_BUNDLE_PATH_MAX];
        const char *build = round == 0 ? "b1" : "b2";
        put_files("made", build);
        assert_int_equal(mw_tree_scan(top_fd, "made", &options, &tree, &err), MW_OK);
        nothing_is_left("the bodies were put");
        if (mw_bundle_assemble(top_fd, "notes", build, &tree, &blobs, path, &err) != MW_OK)
            fail_msg("%s", err.text);
        nothing_is_left("a bundle is said to be staged");
        mw_tree_free(&tree);
    }
    end();
}

/* The list of a version's files is what its edits are told against: it is kept once, by whoever gets to it first. Whichever sync fails there,
 * the next try makes it durable. */
static void p23_the_list_of_a_version_is_on_the_disk_though_a_try_before_failed(void **state)
{
    (void)state;
    for (int at = 1;; at++) {
        struct mw_tree tree = {0};
        struct mw_promoted promoted;
        struct mw_err err = {0};
        char sha256[MW_SHA256_HEX];
        begin();
        assert_int_equal(mkdirat(top_fd, ".millwright", 0755), 0);
        assert_int_equal(mw_mkdirs(top_fd, "source", 0755, &err), MW_OK);
        assert_int_equal(mw_file_replace(top_fd, "source/a", MW_STR("1"), 0644, &err), MW_OK);
        assert_int_equal(mw_tree_scan(top_fd, "source", NULL, &tree, &err), MW_OK);
        mw_tree_digest(&tree, sha256);
        mw_tree_free(&tree);
        const struct mw_promote promote = {.workspace_fd = top_fd,
                                           .id = "p1",
                                           .source = "source",
                                           .source_sha256 = sha256,
                                           .target = "app"};
        disk.left_count = 0;
        disk.syncs = 0;
        disk.fails_at = at;
        enum mw_rc rc = mw_promote_run(&promote, &promoted, &err);
        bool failed = disk.syncs >= at;
        disk.fails_at = 0;
        if (failed && rc == MW_OK)
            fail_msg("sync %d failed, and it is promoted", at);
        if (mw_promote_run(&promote, &promoted, &err) != MW_OK)
            fail_msg("after sync %d had failed: %s", at, err.text);
        for (int i = 0; i < disk.left_count; i++)
            if (disk.left[i].folder != 0 && strstr(disk.left[i].name, "trees") != NULL)
                fail_msg("after sync %d had failed: '%s' has no name", at, disk.left[i].name);
        end();
        if (!failed)
            break;
    }
}

static void p12_what_is_promoted_is_on_the_disk_with_every_name(void **state)
{
    char last[MW_SHA256_HEX] = "";
    (void)state;
    begin();
    assert_int_equal(mkdirat(top_fd, ".millwright", 0755), 0);
    disk.left_count = 0;
    for (unsigned round = 0; round < 3; round++) {
        mw_autofree char *id = mw_heap_format("p%u", round);
        struct mw_promoted promoted;
        struct mw_tree tree = {0};
        struct mw_err err = {0};
        char sha256[MW_SHA256_HEX];
        const char *expected = last;
        put_files("source", id);
        assert_int_equal(mw_tree_scan(top_fd, "source", NULL, &tree, &err), MW_OK);
        mw_tree_digest(&tree, sha256);
        mw_tree_free(&tree);
        const struct mw_promote promote = {.workspace_fd = top_fd,
                                           .id = id,
                                           .source = "source",
                                           .source_sha256 = sha256,
                                           .target = "app",
                                           .expected = &expected,
                                           .expected_count = round > 0};
        if (mw_promote_run(&promote, &promoted, &err) != MW_OK)
            fail_msg("%s", err.text);
        nothing_is_left("a promotion is said to be done");
        memcpy(last, promoted.sha256, sizeof last);
    }
    end();
}

static void p12_a_scaffold_is_on_the_disk_with_every_name(void **state)
{
    struct mw_err err = {0};
    bool made = false;
    (void)state;
    begin();
    disk.left_count = 0;
    if (mw_scaffold_make(top_fd, MW_SOURCE_DIR "/factory", "default", &made, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_true(made);
    nothing_is_left("an app is said to be begun");
    end();
}

/* ---- a disk that takes no more ---- */

static int unfinished(void)
{
    int fd = openat(blobs.root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0;
    DIR *list = fdopendir(fd);
    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(list);
    return count;
}

static int next_descriptor(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)close(fd);
    return fd;
}

/* A disk that is full stays as full as it was, however often somebody tries. */
static void p10_what_could_not_be_kept_gives_its_room_and_its_descriptors_back(void **state)
{
    static const struct {
        int write_errno; /* 0: a sync fails */
        enum mw_rc rc;
    } rows[] = {{ENOSPC, MW_E_FULL}, {EDQUOT, MW_E_FULL}, {EIO, MW_E_IO}, {0, MW_E_IO}};
    (void)state;
    for (size_t row = 0; row < MW_COUNT(rows); row++)
        for (int at = 1; at <= 7; at++) {
            begin();
            int next = next_descriptor();
            disk.syncs = disk.writes = 0;
            disk.write_errno = rows[row].write_errno;
            *(rows[row].write_errno != 0 ? &disk.write_fails_at : &disk.fails_at) = at;
            assert_int_equal(put_many(0, 7), rows[row].rc);
            if (unfinished() != 0 || next_descriptor() != next)
                fail_msg(
                    "row %zu, call %d: %d files are left, the next descriptor is %d and was %d",
                    row, at, unfinished(), next_descriptor(), next);
            end();
        }
    static const struct {
        int mkdir_errno;
        enum mw_rc rc;
    } folders[] = {{ENOSPC, MW_E_FULL}, {EDQUOT, MW_E_FULL}, {EIO, MW_E_IO}};
    for (size_t row = 0; row < MW_COUNT(folders); row++) {
        begin();
        disk.mkdir_errno = folders[row].mkdir_errno;
        assert_int_equal(put_many(0, 7), folders[row].rc);
        assert_int_equal(unfinished(), 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p22_the_folder_of_blobs_has_its_name_when_it_is_opened),
        cmocka_unit_test(p22_what_was_put_is_on_the_disk_with_every_name),
        cmocka_unit_test(p22_what_is_put_again_after_a_failed_sync_is_on_the_disk),
        cmocka_unit_test(p22_a_bundle_is_on_the_disk_with_every_name),
        cmocka_unit_test(p12_what_is_promoted_is_on_the_disk_with_every_name),
        cmocka_unit_test(p23_the_list_of_a_version_is_on_the_disk_though_a_try_before_failed),
        cmocka_unit_test(p12_a_scaffold_is_on_the_disk_with_every_name),
        cmocka_unit_test(p10_what_could_not_be_kept_gives_its_room_and_its_descriptors_back),
    };
    return cmocka_run_group_tests_name("test_blob_durable", tests, NULL, NULL);
}
