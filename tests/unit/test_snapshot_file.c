/*
 * test_snapshot_file.c - P16: a snapshot's file is whole or not there, and its bytes are the ones that were written. One row a way in which
 * that can go wrong.
 */
#include "../crash/journal_rig.h"
#include "../crash/outside_calls.h"
#include "journal/snapshot.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>

#include <cmocka.h>

#define NAME "snapshot-00000000000000000009.jsonl" /* of what write_snapshot writes */
#define OLDER "snapshot-00000000000000000003.jsonl"

static char dir[64];
static int dir_fd = -1;
static struct mw_err err;

static bool look_fails; /* at a name in a folder */

int __real_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags)
{
    if (!look_fails)
        return __real_fstatat(fd, path, ret, flags);
    errno = EIO;
    return -1;
}

static enum mw_rc write_snapshot(size_t lines, size_t line_bytes)
{
    struct mw_snapshot_writer writer;
    struct mw_snapshot snapshot = {.at.seq = 9, .journal = "c0ffee", .made_by = "1.2.3"};
    memset(snapshot.state, 'a', 64);
    memset(snapshot.left, 'b', 64);
    mw_autofree char *line = mw_heap_alloc(line_bytes);
    memset(line, 'x', line_bytes);
    line[0] = '{';
    line[line_bytes - 1] = '}';
    enum mw_rc rc = mw_snapshot_begin(&writer, &rig_sys, dir_fd, &err);
    if (rc != MW_OK)
        return rc;
    for (size_t i = 0; rc == MW_OK && i < lines; i++)
        rc = mw_snapshot_add(&writer, (struct mw_str){line, line_bytes}, i % 2 == 1, &err);
    if (rc == MW_OK)
        rc = mw_snapshot_seal(&writer, &snapshot, &err);
    if (rc == MW_OK)
        return mw_snapshot_commit(&writer, &snapshot, &err);
    mw_snapshot_abandon(&writer);
    return rc;
}

static uint64_t read_snapshot(struct mw_snapshot *ret_snapshot, struct mw_buf *file)
{
    mw_buf_reset(file);
    assert_int_equal(mw_snapshot_read(dir_fd, NAME, ret_snapshot, file, &err), MW_OK);
    return ret_snapshot->records;
}

static void touch(const char *name)
{
    char path[RIG_PATH];
    rig_path(dir, name, path);
    rig_append_text(path, "");
}

static int begin(void **state)
{
    (void)state;
    strike_outside_at(0, 0);
    rig_reset(1);
    rig.recording = false;
    rig_new_dir(dir);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = (struct mw_err){.text = ""};
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)close(dir_fd);
    rig_remove_dir(dir);
    return 0;
}

/* ---- writing ---- */

static void p16_a_snapshot_that_cannot_be_written_leaves_the_one_before(void **state)
{
    static const struct {
        const char *name;
        int error;
        enum rig_call call;
        long at;
        size_t line_bytes;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"created", EACCES, RIG_OPENAT, 1, 50, MW_E_DENIED, "create"},
        {"emptied", EIO, RIG_FTRUNCATE, 1, 50, MW_E_IO, "empty"},
        {"flushed", ENOSPC, RIG_PWRITE, 1, 2 << 20, MW_E_FULL, "records"},
        {"flushed at the end", EIO, RIG_PWRITE, 1, 50, MW_E_IO, "records"},
        {"header", EDQUOT, RIG_PWRITE, 2, 50, MW_E_FULL, "header"},
        {"synced", ENOSPC, RIG_FSYNC, 1, 50, MW_E_FULL, "durable"},
        {"named", EROFS, RIG_RENAMEAT, 1, 50, MW_E_DENIED, "in place"},
        {"folder synced", EIO, RIG_FSYNC, 2, 50, MW_E_IO, "folder"},
    };
    struct mw_buf file = mw_heap_buf();
    struct mw_snapshot snapshot;
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        rig_empty_dir(dir);
        assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_E_MISSING);
        assert_int_equal(write_snapshot(3, 50), MW_OK);
        rig_arm(RIG_ERROR, rows[i].error, 1u << rows[i].call, rows[i].at);
        enum mw_rc rc = write_snapshot(4, rows[i].line_bytes);
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_OK);
        assert_string_equal(name, NAME);
        /* Of the new one only its durability may be unknown. */
        assert_true(read_snapshot(&snapshot, &file) == 3 || rows[i].at == 2);
    }
    mw_heap_buf_free(&file);
}

static enum mw_rc add_line(void *context, struct mw_str line, bool left, struct mw_err *fault)
{
    uint64_t *seen = context;
    (void)fault;
    assert_true(line.len == 300 << 10 && left == (*seen % 2 == 1));
    ++*seen;
    return MW_OK;
}

/* More than is written at once, several times. */
static void p16_a_snapshot_of_any_length_holds_all_its_records(void **state)
{
    struct mw_buf file = mw_heap_buf();
    struct mw_snapshot snapshot;
    uint64_t seen = 0;
    (void)state;
    assert_int_equal(write_snapshot(15, 300 << 10), MW_OK);
    assert_int_equal(read_snapshot(&snapshot, &file), 15);
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), add_line, &seen, &err), MW_OK);
    assert_int_equal(seen, 15);
    mw_heap_buf_free(&file);
}

static void p16_only_one_writes_a_snapshot(void **state)
{
    struct mw_snapshot_writer first;
    struct stat file;
    (void)state;
    assert_int_equal(mw_snapshot_begin(&first, NULL, dir_fd, &err), MW_OK);
    assert_int_equal(pwrite(first.fd, "{}", 2, 0), 2);
    assert_int_equal(write_snapshot(1, 50), MW_E_CONFLICT);
    assert_true(fstat(first.fd, &file) == 0 && file.st_size == 2); /* it is left in peace */
    mw_snapshot_abandon(&first);
    strike_outside_at(1, ENOLCK);
    assert_int_equal(write_snapshot(1, 50), MW_E_IO);
    look_fails = true; /* a broken disk is nobody's snapshot */
    assert_int_equal(write_snapshot(1, 50), MW_E_IO);
    look_fails = false;
    assert_int_equal(write_snapshot(1, 50), MW_OK);
}

/* The other writer puts its snapshot in place and lets go, between this one's open and its lock. */
static int open_and_lose_the_name(int at_fd, const char *path, int flags, mode_t mode)
{
    int fd = openat(at_fd, path, flags | O_CLOEXEC, mode);
    assert_int_equal(renameat(dir_fd, MW_SNAPSHOT_UNFINISHED, dir_fd, NAME), 0);
    return fd;
}

static void p16_a_snapshot_that_was_put_in_place_just_now_is_not_emptied(void **state)
{
    char path[RIG_PATH];
    struct mw_snapshot_writer writer;
    struct mw_journal_sys sys = mw_journal_sys_real;
    struct stat file;
    (void)state;
    sys.openat = open_and_lose_the_name;
    rig_path(dir, MW_SNAPSHOT_UNFINISHED, path);
    rig_append_text(path, "all of it");
    assert_int_equal(mw_snapshot_begin(&writer, &sys, dir_fd, &err), MW_E_CONFLICT);
    assert_true(fstatat(dir_fd, NAME, &file, 0) == 0 && file.st_size == 9);
    assert_int_equal(write_snapshot(1, 50), MW_OK);
}

static void p17_p23_a_snapshot_is_not_written_through_a_link(void **state)
{
    char words[RIG_PATH], link[RIG_PATH];
    struct stat file;
    (void)state;
    rig_path(dir, "words", words);
    rig_path(dir, MW_SNAPSHOT_UNFINISHED, link);
    rig_append_text(words, "mine");
    assert_int_equal(symlink("words", link), 0);
    assert_int_not_equal(write_snapshot(3, 50), MW_OK);
    assert_true(stat(words, &file) == 0 && file.st_size == 4);
}

static void p16_an_older_snapshot_is_removed_when_it_can_be_and_nothing_else_is(void **state)
{
    static const char *const strange[] = {"snapshot-1.jsonl", "snapshot-0000000000000000000x.jsonl",
                                          "snapshot-00000000000000000123.json", "other"};
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(strange); i++)
        touch(strange[i]);
    touch(OLDER);
    /* A folder that cannot be opened once more, or listed, or not to its end: for the one who writes after the lock, for the one who reads
     * first. */
    for (long at = 1; at <= 3; at++) {
        strike_outside_at(at + 1, ENOMEM);
        assert_int_equal(write_snapshot(1, 50), MW_OK);
        assert_true(outside.hit && mw_exists(dir_fd, OLDER));
        strike_outside_at(at, ENOMEM);
        assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_E_IO);
        assert_non_null(strstr(err.text, "list the folder of snapshots"));
    }
    assert_int_equal(write_snapshot(1, 50), MW_OK);
    assert_false(mw_exists(dir_fd, OLDER));
    assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_OK);
    assert_string_equal(name, NAME);
    for (size_t i = 0; i < MW_COUNT(strange); i++)
        assert_true(mw_exists(dir_fd, strange[i]));
}

static void p16_an_empty_snapshot_is_one_and_the_newest_name_counts(void **state)
{
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    assert_int_equal(write_snapshot(0, 50), MW_OK);
    assert_int_equal(read_snapshot(&snapshot, &file), 0);
    mw_heap_buf_free(&file);
    for (uint64_t seq = 1; seq < 200; seq += 7) { /* in whatever order they are listed */
        mw_snapshot_name(seq, name);
        touch(name);
    }
    assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_OK);
    assert_string_equal(name, "snapshot-00000000000000000197.jsonl");
}

/* ---- reading ---- */

static void p16_a_snapshot_whose_file_is_not_what_its_header_says_is_refused(void **state)
{
    static const struct {
        size_t at;  /* the byte that is changed; SIZE_MAX: none */
        size_t cut; /* bytes less */
        const char *words;
    } rows[] = {
        {3, 0, "not a snapshot's header"},
        {MW_SNAPSHOT_HEADER_BYTES - 1, 0, "header"},
        {MW_SNAPSHOT_HEADER_BYTES + 3, 0, "ones that were written"},
        {SIZE_MAX, 1, "bytes of records"},
        {SIZE_MAX, 200, "header"},
    };
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    (void)state;
    assert_int_equal(write_snapshot(3, 50), MW_OK);
    assert_int_equal(mw_snapshot_read(dir_fd, "not there", &snapshot, &file, &err), MW_E_MISSING);
    (void)read_snapshot(&snapshot, &file);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const size_t at = rows[i].at != SIZE_MAX ? rows[i].at : 0;
        const char change = rows[i].at != SIZE_MAX;
        struct mw_str text = mw_str_sub(mw_buf_str(&file), 0, file.len - rows[i].cut);
        file.ptr[at] ^= change;
        enum mw_rc rc = mw_snapshot_check(text, "it", &snapshot, &err);
        file.ptr[at] ^= change;
        if (rc != MW_E_CORRUPT || strstr(err.text, rows[i].words) == NULL)
            fail_msg("row %zu: %s: %s", i, mw_rc_name(rc), err.text);
    }
    mw_heap_buf_free(&file);
}

/* The same file with a part of its header replaced and its checksum right again, or with other lines under digests that fit them. */
static enum mw_rc check_with(struct mw_str whole, const char *from, const char *to)
{
    struct mw_snapshot snapshot;
    struct mw_buf text = mw_heap_buf();
    const char *end = memmem(whole.ptr, whole.len, ",\"crc32c\":", 10);
    const char *at = memmem(whole.ptr, (size_t)(end - whole.ptr), from, strlen(from));
    assert_non_null(at);
    mw_buf_put(&text, mw_str_sub(whole, 0, (size_t)(at - whole.ptr)));
    mw_buf_put_z(&text, to);
    at += strlen(from);
    mw_buf_put(&text, (struct mw_str){at, (size_t)(end - at)});
    mw_buf_printf(&text, ",\"crc32c\":\"%08x\"}", mw_crc32c(0, mw_buf_str(&text)));
    while (text.len < MW_SNAPSHOT_HEADER_BYTES - 1)
        mw_buf_put_c(&text, ' ');
    mw_buf_put_c(&text, '\n');
    mw_buf_put(&text, mw_str_sub(whole, MW_SNAPSHOT_HEADER_BYTES, SIZE_MAX));
    enum mw_rc rc = mw_snapshot_check(mw_buf_str(&text), "it", &snapshot, &err);
    mw_heap_buf_free(&text);
    return rc;
}

static void p16_a_snapshot_whose_header_is_spelled_otherwise_is_refused(void **state)
{
    static const struct {
        const char *from, *to;
        enum mw_rc rc;
    } rows[] = {
        {"{", "{", MW_OK},
        {"\"seq\":9", "\"seq\":8", MW_OK},
        {"\"seq\":9", "\"seq\":0", MW_E_CORRUPT},
        {"\"seq\":9", "\"seq\":09", MW_E_CORRUPT},
        {"\"hash\":\"00", "\"hash\":\"0", MW_E_CORRUPT},
        {"\"state\":\"aa", "\"state\":\"a", MW_E_CORRUPT},
        {"\"left\":\"bb", "\"left\":\"b", MW_E_CORRUPT},
        {"\"body\":\"", "\"body\":\"\",\"body\":\"", MW_E_CORRUPT},
        {"\"journal\":\"c0ffee\"", "\"journal\":\"\"", MW_E_CORRUPT},
        {"\"records\":", "\"record\":", MW_E_CORRUPT},
    };
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    char digest[65];
    (void)state;
    assert_int_equal(write_snapshot(3, 50), MW_OK);
    (void)read_snapshot(&snapshot, &file);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        enum mw_rc rc = check_with(mw_buf_str(&file), rows[i].from, rows[i].to);
        if (rc != rows[i].rc)
            fail_msg("%s → %s: %s: %s", rows[i].from, rows[i].to, mw_rc_name(rc), err.text);
    }
    /* A digest that lacks a digit, and one that fits records without an end. */
    assert_int_equal(check_with(mw_buf_str(&file), snapshot.body, snapshot.body + 1), MW_E_CORRUPT);
    file.ptr[file.len - 1] = '}';
    mw_sha256_hex(mw_str_sub(mw_buf_str(&file), MW_SNAPSHOT_HEADER_BYTES, SIZE_MAX), digest);
    assert_int_equal(check_with(mw_buf_str(&file), snapshot.body, digest), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "no end"));
    mw_heap_buf_free(&file);
}

struct lines {
    int count, lefts;
    int refuse_at; /* 0: never */
};

static enum mw_rc count_line(void *context, struct mw_str line, bool left, struct mw_err *fault)
{
    struct lines *lines = context;
    assert_true(line.len >= 2);
    lines->count++;
    lines->lefts += left;
    return lines->count == lines->refuse_at ? MW_FAIL(fault, MW_E_LIMIT, "enough") : MW_OK;
}

static void p16_the_lines_of_a_snapshot_are_handed_over_until_one_is_refused(void **state)
{
    static const char body[] = "{\"a\":1}\n{\"left\":{\"b\":2}}\n{\"left\":no end\n{}\n";
    struct mw_buf file = mw_heap_buf();
    (void)state;
    for (size_t i = 0; i < MW_SNAPSHOT_HEADER_BYTES; i++)
        mw_buf_put_c(&file, ' ');
    struct lines none = {.count = 0}, all = {.count = 0}, two = {.refuse_at = 2};
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), count_line, &none, &err), MW_OK);
    assert_int_equal(none.count, 0);
    mw_buf_put_z(&file, body);
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), count_line, &all, &err), MW_OK);
    assert_true(all.count == 4 && all.lefts == 1);
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), count_line, &two, &err), MW_E_LIMIT);
    assert_int_equal(two.count, 2);
    mw_heap_buf_free(&file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(p16_a_snapshot_that_cannot_be_written_leaves_the_one_before),
        TEST(p16_only_one_writes_a_snapshot),
        TEST(p16_a_snapshot_that_was_put_in_place_just_now_is_not_emptied),
        TEST(p17_p23_a_snapshot_is_not_written_through_a_link),
        TEST(p16_a_snapshot_of_any_length_holds_all_its_records),
        TEST(p16_an_older_snapshot_is_removed_when_it_can_be_and_nothing_else_is),
        TEST(p16_an_empty_snapshot_is_one_and_the_newest_name_counts),
        TEST(p16_a_snapshot_whose_file_is_not_what_its_header_says_is_refused),
        TEST(p16_a_snapshot_whose_header_is_spelled_otherwise_is_refused),
        TEST(p16_the_lines_of_a_snapshot_are_handed_over_until_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
