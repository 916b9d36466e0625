/*
 * Every system call of the journal fails once, in every way that such calls fail: while it is opened fresh, after an orderly end, after a torn
 * one, while it is appended to, closed, read, checked and repaired. The caller hears a code that tells it what to do; what was acknowledged
 * before is there afterwards (P01, P02, P03, P10); a call that was only interrupted is made again.
 */
#include "../crash/every_call.h"
#include "journal/doctor.h"
#include "posix/file.h"

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_quick};
static const struct mw_journal_options rigged = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_sys};
static const struct mw_journal_options looking = {.read_only = true, .sys = &rig_sys};
static const struct mw_journal_options checking = {.verify_only = true, .sys = &rig_sys};
static char dir[64];
static uint64_t acked;

int __real_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret)
{
    return strikes_outside() ? -1 : __real_fstat(fd, ret);
}

int __real_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags)
{
    return strikes_outside() ? -1 : __real_fstatat(fd, path, ret, flags);
}

/* ---- what is there before ---- */

static void last_segment(char ret_path[RIG_PATH])
{
    DIR *folder = opendir(dir);
    char name[40] = "";
    const struct dirent *entry;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")) &&
            strcmp(entry->d_name, name) > 0)
            (void)snprintf(name, sizeof name, "%.39s", entry->d_name);
    (void)closedir(folder);
    rig_path(dir, name, ret_path);
}

static void make_sound(void)
{
    struct mw_journal_opened opened;
    struct mw_err err;
    void *journal;
    rig_empty_dir(dir);
    assert_int_equal(ops->open(dir, &quick, &journal, &opened, &err), MW_OK);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1 + i % 3, &err), MW_OK);
    acked = ops->last_seq(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* The head says that it ended in the middle of things, and half a frame stands behind it. */
static void make_torn(void)
{
    char path[RIG_PATH];
    make_sound();
    rig_path(dir, "head", path);
    (void)unlink(path);
    last_segment(path);
    rig_append_text(path, "{\"frame\":7,\"for");
}

static void make_damaged(void)
{
    char path[RIG_PATH];
    make_sound();
    rig_path(dir, "00000000000000000001.jsonl", path);
    rig_change_byte(path, 1200, 1); /* in its second frame */
}

static void make_damaged_at_start(void)
{
    char path[RIG_PATH];
    make_sound();
    last_segment(path);
    rig_change_byte(path, 3, 1);
}

static void make_nothing(void)
{
    rig_empty_dir(dir);
    acked = 0;
}

/* ---- what is done, with a call that fails somewhere in it ---- */

/* A full disk: nothing grows while the reserve holds the last room, and a copy of a segment has none even without it. */
static int tight_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    if (mw_str_ends(mw_str_of(path), MW_STR(".fresh"))) {
        errno = ENOSPC;
        return -1;
    }
    return rig_openat(dir_fd, path, flags, mode);
}

static ssize_t tight_pwrite(int fd, const void *memory, size_t size, off_t offset)
{
    char reserve[RIG_PATH];
    struct stat file;
    rig_path(dir, "reserve", reserve);
    assert_int_equal(__real_fstat(fd, &file), 0);
    if (offset + (off_t)size > file.st_size && access(reserve, F_OK) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return rig_pwrite(fd, memory, size, offset);
}

static const struct mw_journal_sys tight_sys = {
    tight_openat, rig_mkdirat,   rig_pread,     tight_pwrite, rig_fdatasync,
    rig_fsync,    rig_ftruncate, rig_fallocate, rig_renameat, rig_unlinkat,
};
static const struct mw_journal_options tight = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &tight_sys};

static enum mw_rc write_with(const struct mw_journal_options *options, struct mw_err *err)
{
    struct mw_journal_opened opened;
    void *journal;
    enum mw_rc rc = ops->open(dir, options, &journal, &opened, err);
    if (rc != MW_OK)
        return rc;
    struct mw_err ignored;
    for (uint32_t i = 0; i < 6 && rc == MW_OK; i++) {
        uint64_t first = ops->last_seq(journal) + 1;
        rc = rig_append(journal, first, 1 + i % 3, err);
        /* P10: no room is no reason to stop; the same call may be made again at once. */
        if (rc == MW_E_FULL)
            rc = rig_append(journal, first, 1 + i % 3, err);
        if (rc == MW_OK)
            acked = ops->last_seq(journal);
        if (rc == MW_OK && i == 2)
            rc = ops->sync_head(journal, err);
    }
    if (rc == MW_OK)
        rc = ops->reserve_release(journal, err);
    if (rc == MW_OK)
        rc = ops->reserve_restore(journal, err);
    if (rc == MW_OK)
        rc = ops->reserve_restore(journal, err);
    enum mw_rc closed = ops->close(journal, rc == MW_OK ? err : &ignored);
    return rc == MW_OK ? closed : rc;
}

static enum mw_rc write_more(struct mw_err *err)
{
    return write_with(&rigged, err);
}

static enum mw_rc write_tight(struct mw_err *err)
{
    return write_with(&tight, err);
}

static enum mw_rc read_all(const struct mw_journal_options *options, struct mw_err *err)
{
    struct mw_journal_opened opened;
    struct rig_read read = {.next = 1};
    struct mw_err ignored;
    void *journal;
    enum mw_rc rc = ops->open(dir, options, &journal, &opened, err);
    if (rc != MW_OK)
        return rc;
    rc = ops->read(journal, 1, rig_check_line, &read, err);
    assert_false(read.wrong);
    (void)ops->close(journal, &ignored);
    return rc;
}

static enum mw_rc look(struct mw_err *err)
{
    return read_all(&looking, err);
}

static enum mw_rc check(struct mw_err *err)
{
    return read_all(&checking, err);
}

static enum mw_rc verify(struct mw_err *err)
{
    struct mw_journal_report report;
    return mw_journal_verify(dir, &rigged, NULL, NULL, &report, err);
}

static enum mw_rc repair(struct mw_err *err)
{
    acked = 0; /* what stands behind the damage is put aside, and said */
    return mw_journal_repair(dir, &rigged, false, NULL, NULL, err);
}

static enum mw_rc follow(struct mw_err *err)
{
    struct rig_read read = {.next = 1};
    void *reader;
    uint64_t next = 0;
    enum mw_rc rc = ops->reader_open(dir, &looking, 0, &reader, err);
    if (rc != MW_OK)
        return rc;
    rc = ops->reader_read(reader, 5, rig_check_line, &read, &next, err);
    if (rc == MW_OK)
        rc = ops->reader_read(reader, UINT64_MAX, rig_check_line, &read, &next, err);
    assert_false(read.wrong);
    ops->reader_close(reader);
    return rc;
}

static const struct scene scenes[] = {
    {"a fresh journal", make_nothing, write_more, MW_OK},
    {"after an orderly end", make_sound, write_more, MW_OK},
    {"after a torn end", make_torn, write_more, MW_OK},
    {"after damage", make_damaged, write_more, MW_E_CORRUPT},
    {"on a full disk, after a torn end", make_torn, write_tight, MW_OK},
    {"looked at", make_sound, look, MW_OK},
    {"looked at, torn", make_torn, look, MW_OK},
    {"checked", make_sound, check, MW_OK},
    {"checked, torn", make_torn, check, MW_OK},
    {"verified", make_sound, verify, MW_OK},
    {"verified, damaged", make_damaged, verify, MW_E_CORRUPT},
    {"repaired", make_damaged, repair, MW_OK},
    {"repaired at a segment's start", make_damaged_at_start, repair, MW_OK},
    {"repaired, torn", make_torn, repair, MW_OK},
    {"repaired, sound", make_sound, repair, MW_OK},
    {"followed", make_sound, follow, MW_OK},
    {"followed, torn", make_torn, follow, MW_OK},
    {"followed, damaged", make_damaged, follow, MW_E_CORRUPT},
};

/* Without faults: it is sound, or damage that was there before is still said; then everything acknowledged is read. */
static void judge(const struct scene *scene, const char *what)
{
    struct mw_journal_opened opened;
    struct mw_journal_report report;
    struct rig_read read = {.next = 1};
    struct mw_err err = {.text = ""};
    void *journal;
    enum mw_rc rc = mw_journal_verify(dir, &quick, NULL, NULL, &report, &err);
    if (rc == MW_E_MISSING && scene->before == make_nothing)
        return; /* not even the folder */
    if (rc == MW_E_CORRUPT &&
        (scene->before == make_damaged || scene->before == make_damaged_at_start)) {
        rc = mw_journal_repair(dir, &quick, false, NULL, NULL, &err);
        acked = 0;
    }
    if (rc != MW_OK)
        fail_msg("%s, %s: afterwards: %s", scene->name, what, err.text);
    if (ops->open(dir, &quick, &journal, &opened, &err) != MW_OK)
        fail_msg("%s, %s: does not open again: %s", scene->name, what, err.text);
    assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
    assert_false(read.wrong);
    if (read.next <= acked)
        fail_msg("%s, %s: %lu records were acknowledged and %lu are there", scene->name, what,
                 (unsigned long)acked, (unsigned long)read.next - 1);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void every_call_that_fails_is_told_and_loses_nothing(void **state)
{
    (void)state;
    rig_new_dir(dir);
    unsigned failed = 0;
    for (size_t s = 0; s < MW_COUNT(scenes); s++)
        failed += fail_every_call(&scenes[s], judge);
    print_message("%u calls failed\n", failed);
    assert_true(failed > 5000);
    rig_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_that_fails_is_told_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
