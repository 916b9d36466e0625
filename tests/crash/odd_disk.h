/*
 * odd_disk.h - a journal on real files whose disk does other things than it is told, and whose clock is set. All zero, it is a disk that needs no
 * sync. For inclusion by one test program each, which names fstatat and mw_now_monotonic_ns in its .wraps.
 */
#ifndef MW_ODD_DISK_H
#define MW_ODD_DISK_H

#include "journal/extract.h"
#include "journal/head.h"
#include "journal_rig.h"
#include "posix/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FIRST "00000000000000000001.jsonl"

static const struct mw_journal_ops *const ops = &mw_journal_files;
static char dir[64];
static struct mw_err err;

/* ---- a disk that does other things than it is told; all zero: none ---- */

static struct {
    int pwrite_errno, ftruncate_errno, fdatasync_errno; /* 0: they are done */
    int mkdirat_errno;                                  /* the folder is made all the same */
    bool writes_nothing;                                /* pwrite answers 0 */
    long preads_until_eio;                              /* 0: never */
    int head_errno;                                     /* of a write of the head; 0: it is done */
    size_t reads_most;                                  /* bytes that a read gives; 0: all */
    bool copies_nothing, ends;              /* a file ends as soon as a fresh copy of it is begun */
    const char *not_opened;                 /* a file that cannot be opened once */
    bool full;                              /* nothing is put aside while the reserve is there */
    void (*after_rename)(const char *path); /* what becomes of the file of that name */
    bool other_disk_once;                   /* fstatat tells another disk */
    int64_t clock_ns;                       /* 0: the real one */
} disk;

static int fails(int error)
{
    errno = error;
    return -1;
}

static int disk_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    if (disk.not_opened != NULL && strcmp(path, disk.not_opened) == 0) {
        disk.not_opened = NULL;
        return fails(EIO);
    }
    disk.ends = disk.copies_nothing && mw_str_ends(mw_str_of(path), MW_STR(".fresh"));
    if (disk.full && (flags & O_EXCL) != 0 && faccessat(dir_fd, "reserve", F_OK, 0) == 0)
        return fails(ENOSPC);
    return openat(dir_fd, path, flags | O_CLOEXEC, mode);
}
static int disk_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    int made = mkdirat(dir_fd, path, mode);
    return disk.mkdirat_errno != 0 ? fails(disk.mkdirat_errno) : made;
}
static ssize_t disk_pread(int fd, void *memory, size_t size, off_t offset)
{
    if (disk.preads_until_eio > 0 && --disk.preads_until_eio == 0)
        return fails(EIO);
    if (disk.ends)
        return 0;
    return pread(fd, memory, disk.reads_most > 0 && size > disk.reads_most ? disk.reads_most : size,
                 offset);
}
static ssize_t disk_pwrite(int fd, const void *memory, size_t size, off_t offset)
{
    if (disk.writes_nothing)
        return 0;
    if (disk.head_errno != 0 && size == MW_HEAD_LINE_BYTES)
        return fails(disk.head_errno);
    return disk.pwrite_errno != 0 ? fails(disk.pwrite_errno) : pwrite(fd, memory, size, offset);
}
static int disk_fdatasync(int fd)
{
    (void)fd;
    return disk.fdatasync_errno != 0 ? fails(disk.fdatasync_errno) : 0;
}
static int disk_ftruncate(int fd, off_t size)
{
    return disk.ftruncate_errno != 0 ? fails(disk.ftruncate_errno) : ftruncate(fd, size);
}
static int disk_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    char path[RIG_PATH];
    int done = renameat(from_fd, from, to_fd, to);
    rig_path(dir, to, path);
    if (disk.after_rename != NULL)
        disk.after_rename(path);
    return done;
}
static const struct mw_journal_sys disk_sys = {
    disk_openat, disk_mkdirat,   disk_pread,     disk_pwrite,   disk_fdatasync,
    rig_no_sync, disk_ftruncate, rig_no_reserve, disk_renameat, unlinkat,
};
static const struct mw_journal_options quick = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &disk_sys};
static MW_UNUSED const struct mw_journal_options looking = {.read_only = true, .sys = &disk_sys};
static MW_UNUSED const struct mw_journal_options checking = {.verify_only = true, .sys = &disk_sys};

int __real_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags)
{
    int answer = __real_fstatat(fd, path, ret, flags);
    ret->st_dev += disk.other_disk_once;
    disk.other_disk_once = false;
    return answer;
}

int64_t __real_mw_now_monotonic_ns(void);
int64_t __wrap_mw_now_monotonic_ns(void);
int64_t __wrap_mw_now_monotonic_ns(void)
{
    return disk.clock_ns != 0 ? disk.clock_ns : __real_mw_now_monotonic_ns();
}

/* ---- a journal ---- */

static void *open_with(const struct mw_journal_options *options,
                       struct mw_journal_opened *ret_opened)
{
    struct mw_journal_opened opened;
    void *journal = NULL;
    if (ops->open(dir, options, &journal, ret_opened != NULL ? ret_opened : &opened, &err) != MW_OK)
        fail_msg("does not open: %s", err.text);
    return journal;
}

static MW_UNUSED void append_many(void *journal, int frames)
{
    for (int i = 0; i < frames; i++)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1 + (uint32_t)i % 3, &err),
                         MW_OK);
}

static uint64_t make_journal(int frames)
{
    void *journal = open_with(&quick, NULL);
    append_many(journal, frames);
    uint64_t last = ops->last_seq(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    return last;
}

static MW_UNUSED void expect_records(void *journal, uint64_t last)
{
    struct rig_read read = {.next = 1};
    assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
    assert_false(read.wrong);
    assert_int_equal(read.next, last + 1);
}

/* Whatever was done to it: it opens, and this is its last record. */
static MW_UNUSED void expect_journal(uint64_t last)
{
    memset(&disk, 0, sizeof disk);
    void *journal = open_with(&quick, NULL);
    assert_int_equal(ops->last_seq(journal), last);
    expect_records(journal, last);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void expect(const char *what, enum mw_rc rc, enum mw_rc wanted, const char *words)
{
    if (rc != wanted || strstr(err.text, words) == NULL)
        fail_msg("%s: %s: %s", what, mw_rc_name(rc), err.text);
}

static MW_UNUSED enum mw_rc refuses_to_open(const struct mw_journal_options *options)
{
    struct mw_journal_opened opened;
    void *journal = NULL;
    enum mw_rc rc = ops->open(dir, options, &journal, &opened, &err);
    assert_null(journal);
    return rc;
}

static MW_UNUSED enum mw_rc keep_frame(void *context, const struct mw_journal_frame_info *frame,
                                       struct mw_str lines, struct mw_err *fault)
{
    (void)lines, (void)fault;
    *(struct mw_journal_frame_info *)context = *frame;
    return MW_OK;
}

static MW_UNUSED struct mw_journal_frame_info last_frame(char ret_path[RIG_PATH])
{
    struct mw_journal_frame_info frame = {.frame = 0};
    char name[MW_SEGMENT_NAME_BYTES];
    assert_int_equal(mw_journal_frames(dir, &looking, UINT64_MAX, keep_frame, &frame, &err), MW_OK);
    mw_segment_name(frame.segment, name);
    rig_path(dir, name, ret_path);
    return frame;
}

static MW_UNUSED void remove_file(const char *name)
{
    char path[RIG_PATH];
    rig_path(dir, name, path);
    assert_int_equal(unlink(path), 0);
}

static int begin(void **state)
{
    (void)state;
    rig_new_dir(dir);
    memset(&disk, 0, sizeof disk);
    err = (struct mw_err){.text = ""};
    return 0;
}

static int end(void **state)
{
    (void)state;
    rig_remove_dir(dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
