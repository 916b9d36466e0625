/*
 * test_journal.c - the journal on files, one behaviour a test: positions, rotation, the reserve, the head, formats, readers, the doctor.
 */
#include "../crash/journal_rig.h"
#include "journal/doctor.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <cmocka.h>

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {
    .segment_bytes = 6000, .reserve_bytes = 4096, .sys = &rig_quick};
static const struct mw_journal_options rigged = {
    .segment_bytes = 6000, .reserve_bytes = 4096, .sys = &rig_sys};
static const struct mw_journal_options looking = {.read_only = true, .sys = &rig_quick};
static char dir[64];
static struct mw_err err;

static void *open_with(const struct mw_journal_options *options,
                       struct mw_journal_opened *ret_opened)
{
    void *journal = NULL;
    struct mw_journal_opened opened;
    enum mw_rc rc = ops->open(dir, options, &journal, ret_opened ? ret_opened : &opened, &err);
    if (rc != MW_OK)
        fail_msg("does not open: %s", err.text);
    return journal;
}

static void append_many(void *journal, int frames)
{
    for (int i = 0; i < frames; i++)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1 + (uint32_t)i % 3, &err),
                         MW_OK);
}

static void expect_records(void *journal, uint64_t from, uint64_t last)
{
    struct rig_read read = {.next = from};
    assert_int_equal(ops->read(journal, from, rig_check_line, &read, &err), MW_OK);
    assert_false(read.wrong);
    assert_int_equal(read.next, last + 1);
}

static void expect_refused(const struct mw_journal_options *options, enum mw_rc rc,
                           const char *words)
{
    void *journal = NULL;
    struct mw_journal_opened opened;
    assert_int_equal(ops->open(dir, options, &journal, &opened, &err), rc);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, words);
}

/* Every file of the folder with its bytes, as one digest. */
static void digest_dir(char ret_text[MW_SHA256_HEX])
{
    struct mw_buf all = mw_heap_buf();
    struct dirent **list = NULL;
    int count = scandir(dir, &list, NULL, alphasort);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < count; i++) {
        if (list[i]->d_name[0] != '.') {
            mw_buf_put_z(&all, list[i]->d_name);
            assert_int_equal(mw_file_read(fd, list[i]->d_name, 1u << 24, &all, &err), MW_OK);
        }
        free(list[i]);
    }
    free(list);
    (void)close(fd);
    mw_sha256_hex(mw_buf_str(&all), ret_text);
    mw_heap_buf_free(&all);
}

static void change_file(const char *name, long offset, const char *bytes, size_t size)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (offset < 0)
        offset = lseek(fd, 0, SEEK_END) + offset + 1;
    assert_int_equal(pwrite(fd, bytes, size, offset), size);
    (void)close(fd);
}

static void cut_file(const char *name, long size)
{
    char path[200];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    if (size < 0 && stat(path, &file) == 0)
        size = file.st_size + size;
    assert_int_equal(truncate(path, size), 0);
}

#define FIRST "00000000000000000001.jsonl"

static void p15_records_come_back_in_order_across_segments_and_starts(void **state)
{
    (void)state;
    struct mw_journal_opened opened;
    void *journal = open_with(&quick, &opened);
    assert_int_equal(opened.last_seq, 0);
    assert_int_equal(opened.epoch, 1);
    append_many(journal, 20);
    struct mw_journal_stats stats;
    ops->stats(journal, &stats);
    assert_true(stats.segments > 2);
    assert_int_equal(stats.folder_syncs, stats.segments);
    assert_int_equal(stats.file_syncs, 20);
    uint64_t last = ops->last_seq(journal);
    expect_records(journal, 1, last);
    expect_records(journal, 7, last);
    expect_records(journal, last, last);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    journal = open_with(&quick, &opened);
    assert_int_equal(opened.epoch, 2);
    assert_int_equal(opened.last_seq, last);
    assert_int_equal(opened.head, MW_JOURNAL_HEAD_EQUAL);
    assert_false(opened.copied); /* closed in order: nothing to distrust */
    expect_records(journal, 1, last);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* One that is given to the disk in two steps. */
static void p01_a_long_frame_is_one_like_the_others(void **state)
{
    (void)state;
    struct mw_journal_opened opened;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 2);
    assert_int_equal(rig_append(journal, 4, 64, &err), MW_OK);
    append_many(journal, 2);
    expect_records(journal, 1, 70);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    cut_file("head", 0); /* every byte is checked */
    journal = open_with(&quick, &opened);
    assert_int_equal(opened.last_seq, 70);
    expect_records(journal, 1, 70);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void jr01_the_first_bytes_never_change(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 3);
    struct mw_buf before = mw_heap_buf(), after = mw_heap_buf();
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_file_read(fd, FIRST, 1u << 20, &before, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    cut_file("head", 0); /* so recovery does not trust the cache and writes the segment afresh */
    struct mw_journal_opened opened;
    journal = open_with(&quick, &opened);
    assert_true(opened.copied);
    append_many(journal, 9);
    assert_int_equal(mw_file_read(fd, FIRST, 1u << 20, &after, &err), MW_OK);
    assert_true(after.len > before.len);
    assert_memory_equal(after.ptr, before.ptr, before.len);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    (void)close(fd);
    mw_heap_buf_free(&before);
    mw_heap_buf_free(&after);
}

static void lines_that_are_not_records_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint64_t first;
        uint32_t count;
        const char *lines;
        enum mw_rc rc;
    } rows[] = {
        {"a position that is not the next", 2, 1, "{\"a\":1}\n", MW_E_CONFLICT},
        {"a position that is taken", 0, 1, "{\"a\":1}\n", MW_E_CONFLICT},
        {"no records", 1, 0, "", MW_E_LIMIT},
        {"no newline", 1, 1, "{\"a\":1}", MW_E_INPUT},
        {"fewer lines", 1, 2, "{\"a\":1}\n", MW_E_INPUT},
        {"more lines", 1, 1, "{\"a\":1}\n{\"a\":1}\n", MW_E_INPUT},
        {"an empty line", 1, 2, "{\"a\":1}\n\n", MW_E_INPUT},
        {"an array", 1, 1, "[1]\n", MW_E_INPUT},
        {"a blank before", 1, 1, " {\"a\":1}\n", MW_E_INPUT},
        {"a frame's header", 1, 1, "{\"frame\":9}\n", MW_E_INPUT},
        {"a good one", 1, 1, "{\"a\":{\"frame\":9}}\n", MW_OK},
    };
    void *journal = open_with(&quick, NULL);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        enum mw_rc rc =
            ops->append(journal, rows[i].first, rows[i].count, mw_str_of(rows[i].lines), &err);
        if (rc != rows[i].rc)
            fail_msg("%s: %s", rows[i].what, mw_rc_name(rc));
    }
    assert_int_equal(ops->last_seq(journal), 1);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void p10_a_full_disk_gives_the_frame_back_and_the_journal_goes_on(void **state)
{
    (void)state;
    static const struct {
        enum rig_fault fault;
        int sys_errno;
    } rows[] = {{RIG_ERROR, ENOSPC}, {RIG_ERROR, EDQUOT}, {RIG_ERROR, EFBIG}, {RIG_SHORT, 0}};
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        rig_empty_dir(dir);
        rig_reset(i + 1);
        void *journal = open_with(&rigged, NULL);
        append_many(journal, 2);
        struct mw_journal_stats stats;
        ops->stats(journal, &stats);
        assert_true(stats.reserve_held);
        uint64_t last = ops->last_seq(journal);
        rig_arm(rows[i].fault, rows[i].sys_errno, 1u << RIG_PWRITE, 1);
        assert_int_equal(rig_append(journal, last + 1, 2, &err), MW_E_FULL);
        assert_int_equal(ops->last_seq(journal), last);
        ops->stats(journal, &stats);
        assert_false(stats.reserve_held); /* released: this is full mode */
        assert_false(stats.latched);
        assert_int_equal(rig_append(journal, last + 1, 2, &err), MW_OK);
        rig_arm(RIG_ERROR, ENOSPC, 1u << RIG_FALLOCATE, 1);
        assert_int_equal(ops->reserve_restore(journal, &err), MW_E_FULL);
        assert_int_equal(ops->reserve_restore(journal, &err), MW_OK);
        ops->stats(journal, &stats);
        assert_true(stats.reserve_held);
        expect_records(journal, 1, last + 2);
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
}

static void p10_a_start_on_a_full_disk_recovers_in_place(void **state)
{
    (void)state;
    rig_reset(5);
    void *journal = open_with(&rigged, NULL);
    append_many(journal, 3);
    uint64_t last = ops->last_seq(journal);
    rig.dead = true;
    (void)ops->close(journal, &err);
    rig_arm(RIG_ERROR, ENOSPC, 1u << RIG_PWRITE, 1);
    struct mw_journal_opened opened;
    journal = open_with(&rigged, &opened);
    assert_true(rig.fault_hit && opened.copied);
    assert_int_equal(opened.last_seq, last);
    expect_records(journal, 1, last);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void p02_after_a_failed_sync_nothing_is_acknowledged_any_more(void **state)
{
    (void)state;
    static const struct {
        unsigned calls;
        int sys_errno;
        const char *what;
    } rows[] = {{1u << RIG_FDATASYNC, EIO, "fdatasync EIO"},
                {1u << RIG_FDATASYNC, ENOSPC, "fdatasync ENOSPC"},
                {1u << RIG_PWRITE, EIO, "write EIO"},
                {1u << RIG_FSYNC, EIO, "folder EIO"}};
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        rig_empty_dir(dir);
        rig_reset(i + 1);
        void *journal = open_with(&rigged, NULL);
        if (rows[i].calls != 1u << RIG_FSYNC) /* which comes with the first frame of a segment */
            append_many(journal, 1);
        uint64_t next = ops->last_seq(journal) + 1;
        rig_arm(RIG_ERROR, rows[i].sys_errno, rows[i].calls, 1);
        for (int again = 0; again < 5; again++)
            if (rig_append(journal, next, 1, &err) != MW_E_IO || err.rc != MW_E_IO)
                fail_msg("%s", rows[i].what);
        struct mw_journal_stats stats;
        ops->stats(journal, &stats);
        assert_true(stats.latched);
        assert_int_equal(stats.last_seq, next - 1);
        (void)ops->close(journal, &err);
    }
}

static void p03_a_torn_tail_is_cut_off_kept_and_reported(void **state)
{
    (void)state;
    static const long cuts[] = {-1, -40, -700, -900};
    for (size_t i = 0; i < MW_COUNT(cuts); i++) {
        rig_empty_dir(dir);
        void *journal = open_with(&quick, NULL);
        for (int n = 0; n < 3; n++)
            assert_int_equal(rig_append(journal, (uint64_t)n + 1, 1, &err), MW_OK);
        assert_int_equal(ops->close(journal, &err), MW_OK);
        char path[400];
        (void)snprintf(path, sizeof path, "%s/head", dir);
        assert_int_equal(unlink(path), 0); /* so the last frame was never acknowledged */
        cut_file(FIRST, cuts[i]);
        struct mw_journal_opened opened;
        journal = open_with(&looking, &opened);
        assert_int_equal(opened.last_seq, 2);
        assert_true(opened.torn_bytes > 0 && opened.torn_file[0] == '\0');
        expect_records(journal, 1, 2);
        assert_int_equal(rig_append(journal, 3, 1, &err), MW_E_DENIED);
        assert_int_equal(ops->close(journal, &err), MW_OK);
        uint64_t torn_bytes = opened.torn_bytes;
        journal = open_with(&quick, &opened);
        assert_int_equal(opened.last_seq, 2);
        assert_int_equal(opened.torn_bytes, torn_bytes);
        struct stat kept;
        (void)snprintf(path, sizeof path, "%s/%s", dir, opened.torn_file);
        assert_int_equal(stat(path, &kept), 0);
        assert_int_equal(kept.st_size, torn_bytes);
        assert_non_null(strstr(path, ".torn"));
        assert_int_equal(rig_append(journal, 3, 2, &err), MW_OK);
        expect_records(journal, 1, 4);
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
}

static void p03_a_flipped_bit_in_an_earlier_frame_is_refused(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 20);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    change_file(FIRST, 300, "\x01", 1);
    char before[MW_SHA256_HEX], after[MW_SHA256_HEX];
    digest_dir(before);
    expect_refused(&quick, MW_E_CORRUPT, FIRST " at byte 0, record 1: the frame's checksum");
    digest_dir(after);
    assert_string_equal(before, after);
}

/* A run of damage over the end of one frame and the start of the last: the file goes on past the first one's length. */
static void p03_damage_across_two_frames_is_not_an_unfinished_one(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    struct mw_journal_report report;
    assert_int_equal(rig_append(journal, 1, 2, &err), MW_OK);
    assert_int_equal(mw_journal_verify(dir, &looking, NULL, NULL, &report, &err), MW_OK);
    assert_int_equal(rig_append(journal, 3, 2, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    char path[400], blank[60] = {0};
    (void)snprintf(path, sizeof path, "%s/head", dir);
    assert_int_equal(unlink(path), 0);
    change_file(FIRST, (long)report.bytes - 30, blank, sizeof blank);
    expect_refused(&quick, MW_E_CORRUPT, "byte 0, record 1");
}

static void p04_a_cut_at_a_frames_border_is_noticed(void **state)
{
    (void)state;
    struct mw_journal_report report;
    void *journal = open_with(&quick, NULL);
    assert_int_equal(rig_append(journal, 1, 2, &err), MW_OK);
    assert_int_equal(mw_journal_verify(dir, &looking, NULL, NULL, &report, &err), MW_OK);
    uint64_t border = report.bytes;
    assert_int_equal(rig_append(journal, 3, 2, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    cut_file(FIRST, (long)border);
    expect_refused(&quick, MW_E_CORRUPT, "record 4 was committed");
    char path[400];
    (void)snprintf(path, sizeof path, "%s/" FIRST, dir);
    assert_int_equal(unlink(path), 0);
    expect_refused(&quick, MW_E_CORRUPT, "record 4 was committed");
}

/* Not only at the end: whoever is killed leaves a head that names what was committed. */
static void p04_the_head_names_each_commit_at_once(void **state)
{
    (void)state;
    struct mw_journal_report report;
    void *journal = open_with(&quick, NULL);
    for (int i = 0; i < 4; i++) {
        append_many(journal, 1);
        assert_int_equal(mw_journal_verify(dir, &looking, NULL, NULL, &report, &err), MW_OK);
        assert_int_equal(report.head_seq, ops->last_seq(journal));
    }
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void p04_another_history_of_the_same_length_is_noticed(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 2);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    char kept[100], head[100];
    (void)snprintf(kept, sizeof kept, "%s/kept", dir);
    (void)snprintf(head, sizeof head, "%s/head", dir);
    assert_int_equal(rename(head, kept), 0);
    cut_file(FIRST, 0);
    journal = open_with(&quick, NULL);
    assert_int_equal(ops->append(journal, 1, 1, MW_STR("{\"other\":1}\n"), &err), MW_OK);
    assert_int_equal(ops->append(journal, 2, 2, MW_STR("{\"o\":2}\n{\"o\":3}\n"), &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    assert_int_equal(rename(kept, head), 0);
    expect_refused(&quick, MW_E_CORRUPT, "not the frame that the head file says");
}

static void p04_the_head_outside_notices_that_the_whole_journal_is_gone(void **state)
{
    (void)state;
    char inner[200], path[400];
    (void)snprintf(inner, sizeof inner, "%s/journal", dir);
    const struct mw_journal_options options = {.side_dir = dir, .sys = &rig_quick};
    void *journal = NULL;
    struct mw_journal_opened opened;
    assert_int_equal(ops->open(inner, &options, &journal, &opened, &err), MW_OK);
    append_many(journal, 3);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    (void)snprintf(path, sizeof path, "%s/head", dir);
    assert_int_equal(access(path, F_OK), 0);
    rig_remove_dir(inner);
    assert_int_equal(ops->open(inner, &options, &journal, &opened, &err), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "was committed"));
    rig_remove_dir(inner);
}

static void p10_a_read_only_file_system_is_reported_as_what_it_is(void **state)
{
    (void)state;
    void *journal = open_with(&rigged, NULL);
    append_many(journal, 1);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    struct mw_journal_opened opened;
    rig_arm(RIG_ERROR, EROFS, 1u << RIG_OPENAT,
            4); /* both folders and the first look at a segment are reads */
    assert_int_equal(ops->open(dir, &rigged, &journal, &opened, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "journal's lock"));
    assert_non_null(strstr(err.text, "Read-only file system"));
}

/* Written by the first release and never written again: what it held is read for ever. */
static void p13_the_journal_kept_from_format_1_reads_as_it_was_written(void **state)
{
    (void)state;
    const char *kept = MW_SOURCE_DIR "/tests/crash/journal_v1";
    struct mw_journal_report report;
    struct mw_journal_opened opened;
    void *journal = NULL;
    assert_int_equal(mw_journal_verify(kept, &looking, NULL, NULL, &report, &err), MW_OK);
    assert_int_equal(report.last_seq, 14);
    assert_int_equal(report.head, MW_JOURNAL_HEAD_EQUAL);
    assert_string_equal(report.hash,
                        "6b386b5157e9eaead94c8713818a86a9d61d429ee4f49e9a49aae9519eb1da80");
    assert_int_equal(ops->open(kept, &looking, &journal, &opened, &err), MW_OK);
    expect_records(journal, 1, 14);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void p13_a_newer_format_is_refused_without_writing(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 12);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    char last[80];
    struct dirent **list = NULL;
    int count = scandir(dir, &list, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (mw_str_ends(mw_str_of(list[i]->d_name), MW_STR(".jsonl")))
            (void)snprintf(last, sizeof last, "%.70s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    char start[64] = {0};
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", dir, last);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(pread(fd, start, sizeof start - 1, 0) > 20);
    (void)close(fd);
    const char *format = strstr(start, "\"format\":1");
    assert_non_null(format);
    change_file(last, format - start + 9, "2", 1);
    (void)snprintf(path, sizeof path, "%s/lock", dir);
    assert_int_equal(unlink(path), 0); /* it is not even locked */
    char before[MW_SHA256_HEX], after[MW_SHA256_HEX];
    digest_dir(before);
    expect_refused(&quick, MW_E_CONFIG, "newer format");
    expect_refused(&looking, MW_E_CONFIG, "newer format");
    assert_int_equal(mw_journal_repair(dir, &quick, false, NULL, NULL, &err), MW_E_CONFIG);
    digest_dir(after);
    assert_string_equal(before, after);
}

static void p11_the_loser_is_told_who_holds_the_journal(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    char words[40];
    (void)snprintf(words, sizeof words, "process %d", (int)getpid());
    expect_refused(&quick, MW_E_CONFLICT, words);
    append_many(journal, 1); /* the winner is not disturbed */
    void *reading = open_with(&looking, NULL);
    expect_records(reading, 1, 1);
    assert_int_equal(ops->close(reading, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    journal = open_with(&quick, NULL);
    assert_int_equal(ops->epoch(journal), 2);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* Whoever still has workers at what they do closes its journal, and keeps everybody out until the process has ended. */
static void p11_a_lock_that_is_kept_goes_with_the_process(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        void *journal = open_with(&quick, NULL);
        append_many(journal, 1);
        ops->keep_lock(journal);
        if (ops->close(journal, &err) != MW_OK)
            _exit(1);
        expect_refused(&quick, MW_E_CONFLICT, "process");
        _exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    void *journal = open_with(&quick, NULL);
    assert_int_equal(ops->epoch(journal), 2);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    /* The same here, for as long as this process lives. */
    journal = open_with(&quick, NULL);
    ops->keep_lock(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    expect_refused(&quick, MW_E_CONFLICT, "process");
}

static void p11_the_kernel_is_asked_who_holds_it_before_an_old_note(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    change_file("lock", 0, "{\"lock\":1,\"pid\":1,\"epoch\":7}",
                28); /* left by a host that was killed */
    char path[200], words[40], byte;
    int ready[2], go[2];
    (void)snprintf(path, sizeof path, "%s/lock", dir);
    assert_true(pipe2(ready, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(go[1]);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        _exit(flock(fd, LOCK_EX) == 0 && write(ready[1], "", 1) == 1 && read(go[0], &byte, 1) == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)snprintf(words, sizeof words, "process %d", (int)child);
    expect_refused(&quick, MW_E_CONFLICT, words);
    (void)close(go[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct mw_journal_opened opened;
    journal = open_with(&quick, &opened);
    assert_int_equal(opened.epoch, 8);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(go[0]);
}

static void p11_a_writer_that_went_past_the_lock_is_noticed(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 1);
    change_file(FIRST, -1, "x", 1);
    assert_int_equal(rig_append(journal, 2, 1, &err), MW_E_CONFLICT);
    assert_int_equal(rig_append(journal, 2, 1, &err), MW_E_CONFLICT);
    (void)ops->close(journal, &err);
}

static void a_reader_follows_a_writer_and_never_passes_the_durable_record(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL), *reader = NULL;
    assert_int_equal(ops->reader_open(dir, &looking, 1, &reader, &err), MW_OK);
    struct rig_read read = {.next = 1};
    uint64_t next = 0;
    assert_int_equal(ops->reader_read(reader, 0, rig_check_line, &read, &next, &err), MW_OK);
    assert_int_equal(next, 1);
    for (int round = 0; round < 30; round++) {
        uint64_t durable = ops->last_seq(journal);
        append_many(journal, 2); /* two frames that the reader is not yet told of */
        assert_int_equal(ops->reader_read(reader, durable, rig_check_line, &read, &next, &err),
                         MW_OK);
        assert_int_equal(next, durable + 1);
        assert_int_equal(read.next, durable + 1);
    }
    /* What a kill leaves at the tail is left alone, and read on after recovery has put a fresh file in place. */
    uint64_t last = ops->last_seq(journal);
    struct mw_journal_stats stats;
    ops->stats(journal, &stats);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    struct mw_journal_report report;
    assert_int_equal(mw_journal_verify(dir, &looking, NULL, NULL, &report, &err), MW_OK);
    char name[80];
    struct dirent **list = NULL;
    int count = scandir(dir, &list, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (mw_str_ends(mw_str_of(list[i]->d_name), MW_STR(".jsonl")))
            (void)snprintf(name, sizeof name, "%.70s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    change_file(name, -1, "{\"frame\":", 9);
    assert_int_equal(ops->reader_read(reader, UINT64_MAX, rig_check_line, &read, &next, &err),
                     MW_OK);
    assert_int_equal(next, last + 1);
    struct mw_journal_opened opened;
    journal = open_with(&quick, &opened);
    assert_int_equal(opened.torn_bytes, 9);
    append_many(journal, 20);
    assert_int_equal(
        ops->reader_read(reader, ops->last_seq(journal), rig_check_line, &read, &next, &err),
        MW_OK);
    assert_int_equal(next, ops->last_seq(journal) + 1);
    assert_false(read.wrong);
    ops->reader_close(reader);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static enum mw_rc stop_at_five(void *context, uint64_t seq, struct mw_str line,
                               struct mw_err *fault)
{
    (void)context, (void)line;
    return seq == 5 ? MW_FAIL(fault, MW_E_LIMIT, "enough") : MW_OK;
}

static void what_the_callback_says_is_passed_on(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 8);
    assert_int_equal(ops->read(journal, 1, stop_at_five, NULL, &err), MW_E_LIMIT);
    assert_string_equal(err.text, "enough");
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static char said[8192];
static void note_said(void *context, const char *line)
{
    (void)context;
    (void)strncat(said, line, sizeof said - strlen(said) - 2);
    (void)strcat(said, "\n");
}

static void the_doctor_says_what_it_would_do_then_keeps_all_before_the_damage(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 20);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    change_file(FIRST, 2500, "\0\0\0\0", 4);
    struct mw_journal_report report;
    assert_int_equal(mw_journal_verify(dir, &looking, note_said, NULL, &report, &err),
                     MW_E_CORRUPT);
    assert_true(report.damaged && report.segment == 1 && report.seq == report.last_seq + 1);
    char before[MW_SHA256_HEX], after[MW_SHA256_HEX];
    digest_dir(before);
    said[0] = '\0';
    assert_int_equal(mw_journal_repair(dir, &quick, true, note_said, NULL, &err), MW_OK);
    digest_dir(after);
    assert_string_equal(before, after);
    assert_non_null(strstr(said, "would: cut " FIRST));
    assert_non_null(strstr(said, "would: move"));
    assert_non_null(strstr(said, "acknowledged records after it are no longer"));
    assert_int_equal(mw_journal_repair(dir, &quick, false, note_said, NULL, &err), MW_OK);
    struct mw_journal_opened opened;
    journal = open_with(&quick, &opened);
    assert_int_equal(opened.last_seq, report.last_seq);
    append_many(journal, 20);
    expect_records(journal, 1, ops->last_seq(journal));
    assert_int_equal(ops->close(journal, &err), MW_OK);
    said[0] = '\0';
    assert_int_equal(mw_journal_repair(dir, &quick, false, note_said, NULL, &err), MW_OK);
    assert_non_null(strstr(said, "nothing to repair"));
}

static void the_doctor_accepts_a_shorter_journal_only_when_asked(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 20);
    uint64_t last = ops->last_seq(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    struct dirent **list = NULL;
    int count = scandir(dir, &list, NULL, alphasort);
    char path[200] = "";
    for (int i = 0; i < count; i++) {
        if (mw_str_ends(mw_str_of(list[i]->d_name), MW_STR(".jsonl")))
            (void)snprintf(path, sizeof path, "%s/%.70s", dir, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    assert_int_equal(unlink(path), 0); /* the last segment */
    expect_refused(&quick, MW_E_CORRUPT, "was committed");
    assert_int_equal(mw_journal_repair(dir, &quick, false, NULL, NULL, &err), MW_OK);
    struct mw_journal_opened opened;
    journal = open_with(&quick, &opened);
    assert_true(opened.last_seq < last);
    expect_records(journal, 1, opened.last_seq);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void files_that_are_not_segments_are_not_overlooked(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 2);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    change_file("1.jsonl", 0, "{}\n", 3);
    expect_refused(&quick, MW_E_CORRUPT, "'1.jsonl' is not the name of a segment");
}

static int fresh(void **state)
{
    (void)state;
    rig_new_dir(dir);
    rig_reset(1);
    return 0;
}

static int done(void **state)
{
    (void)state;
    rig_remove_dir(dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(p15_records_come_back_in_order_across_segments_and_starts),
        TEST(p01_a_long_frame_is_one_like_the_others),
        TEST(jr01_the_first_bytes_never_change),
        TEST(lines_that_are_not_records_are_refused),
        TEST(p10_a_full_disk_gives_the_frame_back_and_the_journal_goes_on),
        TEST(p10_a_start_on_a_full_disk_recovers_in_place),
        TEST(p02_after_a_failed_sync_nothing_is_acknowledged_any_more),
        TEST(p03_a_torn_tail_is_cut_off_kept_and_reported),
        TEST(p03_a_flipped_bit_in_an_earlier_frame_is_refused),
        TEST(p03_damage_across_two_frames_is_not_an_unfinished_one),
        TEST(p04_a_cut_at_a_frames_border_is_noticed),
        TEST(p04_the_head_names_each_commit_at_once),
        TEST(p04_another_history_of_the_same_length_is_noticed),
        TEST(p04_the_head_outside_notices_that_the_whole_journal_is_gone),
        TEST(p10_a_read_only_file_system_is_reported_as_what_it_is),
        TEST(p13_the_journal_kept_from_format_1_reads_as_it_was_written),
        TEST(p13_a_newer_format_is_refused_without_writing),
        TEST(p11_the_loser_is_told_who_holds_the_journal),
        TEST(p11_a_lock_that_is_kept_goes_with_the_process),
        TEST(p11_the_kernel_is_asked_who_holds_it_before_an_old_note),
        TEST(p11_a_writer_that_went_past_the_lock_is_noticed),
        TEST(a_reader_follows_a_writer_and_never_passes_the_durable_record),
        TEST(what_the_callback_says_is_passed_on),
        TEST(the_doctor_says_what_it_would_do_then_keeps_all_before_the_damage),
        TEST(the_doctor_accepts_a_shorter_journal_only_when_asked),
        TEST(files_that_are_not_segments_are_not_overlooked),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
