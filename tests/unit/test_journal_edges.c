/*
 * test_journal_edges.c - the journal asked for what cannot be, and a disk that changes underneath it: a copy that is not what was checked, a head
 * of elsewhere, a segment that is removed or damaged after it was read, frames larger than a buffer. What the caller gets, and what stands then.
 */
#include "../crash/journal_rig.h"
#include "journal/doctor.h"
#include "journal/extract.h"
#include "journal/head.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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
    return pread(fd, memory, size, offset);
}
static ssize_t disk_pwrite(int fd, const void *memory, size_t size, off_t offset)
{
    if (disk.writes_nothing)
        return 0;
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
static const struct mw_journal_options looking = {.read_only = true, .sys = &disk_sys};
static const struct mw_journal_options checking = {.verify_only = true, .sys = &disk_sys};

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

static void append_many(void *journal, int frames)
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

static void expect_records(void *journal, uint64_t last)
{
    struct rig_read read = {.next = 1};
    assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
    assert_false(read.wrong);
    assert_int_equal(read.next, last + 1);
}

/* Whatever was done to it: it opens, and this is its last record. */
static void expect_journal(uint64_t last)
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

static enum mw_rc refuses_to_open(const struct mw_journal_options *options)
{
    struct mw_journal_opened opened;
    void *journal = NULL;
    enum mw_rc rc = ops->open(dir, options, &journal, &opened, &err);
    assert_null(journal);
    return rc;
}

static enum mw_rc keep_frame(void *context, const struct mw_journal_frame_info *frame,
                             struct mw_str lines, struct mw_err *fault)
{
    (void)lines, (void)fault;
    *(struct mw_journal_frame_info *)context = *frame;
    return MW_OK;
}

static struct mw_journal_frame_info last_frame(char ret_path[RIG_PATH])
{
    struct mw_journal_frame_info frame = {.frame = 0};
    char name[MW_SEGMENT_NAME_BYTES];
    assert_int_equal(mw_journal_frames(dir, &looking, UINT64_MAX, keep_frame, &frame, &err), MW_OK);
    mw_segment_name(frame.segment, name);
    rig_path(dir, name, ret_path);
    return frame;
}

static void remove_file(const char *name)
{
    char path[RIG_PATH];
    rig_path(dir, name, path);
    assert_int_equal(unlink(path), 0);
}

/* ---- what is asked ---- */

static void what_an_append_cannot_be_is_refused_and_changes_nothing(void **state)
{
    static char none[1];
    const struct mw_str too_long = {none, (size_t)MW_JOURNAL_FRAME_BYTES_MAX + 1};
    (void)state;
    void *journal = open_with(&quick, NULL);
    expect("no records", ops->append(journal, 1, 0, MW_STR("{}\n"), &err), MW_E_LIMIT, "the most");
    expect("too many records",
           ops->append(journal, 1, MW_JOURNAL_FRAME_RECORDS_MAX + 1, MW_STR("{}\n"), &err),
           MW_E_LIMIT, "the most");
    expect("too many bytes", ops->append(journal, 1, 1, too_long, &err), MW_E_LIMIT, "the most");
    expect("no bytes", ops->append(journal, 1, 1, MW_STR_NONE, &err), MW_E_INPUT, "newline");
    expect("not an object", ops->append(journal, 1, 1, MW_STR("{\"a\":1\n"), &err), MW_E_INPUT,
           "not a JSON object");
    assert_int_equal(ops->append(journal, 2, 1, MW_STR("{}\n"), NULL), MW_E_CONFLICT);
    append_many(journal, 2);
    expect_records(journal, 3);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void who_reads_only_writes_neither_head_nor_reserve(void **state)
{
    struct mw_journal_stats stats;
    (void)state;
    (void)make_journal(2);
    remove_file("reserve");
    void *journal = open_with(&looking, NULL);
    assert_int_equal(ops->sync_head(journal, &err), MW_OK);
    assert_int_equal(ops->reserve_restore(journal, &err), MW_OK);
    ops->stats(journal, &stats);
    assert_false(stats.reserve_held);
    assert_int_equal(stats.head_syncs, 0);
    assert_int_equal(ops->close(journal, NULL), MW_OK);
    assert_int_equal(ops->close(NULL, NULL), MW_OK);
    ops->reader_close(NULL);
    char path[RIG_PATH];
    rig_path(dir, "reserve", path);
    assert_int_not_equal(access(path, F_OK), 0);
}

struct heard {
    uint64_t records;
    uint64_t refuse_at; /* 0: never */
    bool refuses_end, ended;
};

static enum mw_rc hear(void *context, uint64_t seq, struct mw_str line, struct mw_err *fault)
{
    struct heard *heard = context;
    (void)line;
    assert_int_equal(seq, ++heard->records);
    return seq == heard->refuse_at ? MW_FAIL(fault, MW_E_LIMIT, "enough") : MW_OK;
}

static enum mw_rc hear_end(void *context, struct mw_err *fault)
{
    struct heard *heard = context;
    heard->ended = true;
    return heard->refuses_end ? MW_FAIL(fault, MW_E_CONFIG, "not mine") : MW_OK;
}

static void one_pass_checks_and_hands_over_and_is_ended_by_what_it_is_told(void **state)
{
    struct heard heard = {.records = 0};
    struct mw_journal_options options = quick;
    struct mw_journal_opened opened;
    void *journal;
    (void)state;
    const uint64_t last = make_journal(9);
    options.on_record = hear;
    options.on_checked = hear_end;
    options.context = &heard;
    for (int later = 0; later < 2; later++) {
        heard = (struct heard){.records = 0};
        options.check_later = later == 1;
        journal = open_with(&options, NULL);
        assert_int_equal(heard.records, later ? 0 : last);
        if (later)
            assert_int_equal(ops->check(journal, NULL, NULL), MW_OK);
        assert_true(heard.ended && heard.records == last);
        append_many(journal, 1);
        assert_int_equal(ops->close(journal, &err), MW_OK);
        rig_empty_dir(dir);
        assert_int_equal(make_journal(9), last);
    }
    options.check_later = false;
    heard = (struct heard){.refuse_at = 5};
    expect("a record", refuses_to_open(&options), MW_E_LIMIT, "enough");
    assert_true(heard.records == 5 && !heard.ended);
    heard = (struct heard){.refuses_end = true};
    expect("the end", refuses_to_open(&options), MW_E_CONFIG, "not mine");
    assert_int_equal(heard.records, last);
    heard = (struct heard){.records = 0};
    options.check_later = true;
    journal = open_with(&options, NULL);
    char path[RIG_PATH];
    rig_path(dir, FIRST, path);
    rig_change_byte(path, 500, 1);
    assert_int_equal(ops->check(journal, &opened, NULL), MW_E_CORRUPT);
    assert_false(heard.ended);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* Who does not want words gets the same code. */
static void answers_do_not_depend_on_words_being_wanted(void **state)
{
    struct mw_journal_opened opened;
    struct mw_journal_report report;
    struct heard heard = {.records = 0};
    void *journal, *reader;
    uint64_t next;
    (void)state;
    (void)make_journal(4);
    assert_int_equal(mw_journal_verify(dir, NULL, NULL, NULL, &report, NULL), MW_OK);
    assert_int_equal(mw_journal_verify(dir, NULL, NULL, NULL, NULL, NULL), MW_OK);
    assert_int_equal(mw_journal_repair(dir, NULL, true, NULL, NULL, NULL), MW_OK);
    journal = open_with(&quick, NULL);
    heard.refuse_at = 2;
    assert_int_equal(ops->read(journal, 1, hear, &heard, NULL), MW_E_LIMIT);
    assert_int_equal(ops->close(journal, NULL), MW_OK);
    assert_int_equal(ops->reader_open(dir, &looking, 1, &reader, NULL), MW_OK);
    heard = (struct heard){.refuse_at = 3};
    assert_int_equal(ops->reader_read(reader, UINT64_MAX, hear, &heard, &next, NULL), MW_E_LIMIT);
    ops->reader_close(reader);
    char path[RIG_PATH];
    rig_path(dir, FIRST, path);
    rig_change_byte(path, 500, 1);
    assert_int_equal(mw_journal_verify(dir, NULL, NULL, NULL, NULL, NULL), MW_E_CORRUPT);
    assert_int_equal(ops->open(dir, &quick, &journal, &opened, NULL), MW_E_CORRUPT);
    assert_int_equal(ops->reader_open(dir, &looking, 1, &reader, NULL), MW_OK);
    assert_int_equal(ops->reader_read(reader, UINT64_MAX, hear, &heard, NULL, NULL), MW_E_CORRUPT);
    ops->reader_close(reader);
}

/* ---- the folder ---- */

static void a_folder_that_somebody_else_makes_meanwhile_is_as_good(void **state)
{
    static const struct {
        const char *name;
        int error;
        enum mw_rc rc;
    } rows[] = {{"made by us", 0, MW_OK},
                {"made meanwhile", EEXIST, MW_OK},
                {"not allowed", EACCES, MW_E_DENIED},
                {"no parent", ENOENT, MW_E_MISSING},
                {"failed", EIO, MW_E_IO}};
    char inner[RIG_PATH];
    (void)state;
    rig_path(dir, "journal", inner);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_journal_opened opened;
        void *journal;
        disk.mkdirat_errno = rows[i].error;
        enum mw_rc rc = ops->open(inner, &quick, &journal, &opened, &err);
        expect(rows[i].name, rc, rows[i].rc, rc == MW_OK ? "" : "make the journal's folder");
        if (rc == MW_OK)
            assert_int_equal(ops->close(journal, &err), MW_OK);
        rig_remove_dir(inner);
        err.text[0] = '\0';
    }
}

/* ---- writing ---- */

static void p02_a_frame_that_cannot_be_taken_back_is_the_last(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        struct mw_journal_stats stats;
        rig_empty_dir(dir);
        void *journal = open_with(&quick, NULL);
        append_many(journal, 2);
        disk.pwrite_errno = ENOSPC;
        *(row == 0 ? &disk.ftruncate_errno : &disk.fdatasync_errno) = EIO;
        expect("first", rig_append(journal, 4, 1, &err), MW_E_IO, "take an unfinished frame back");
        memset(&disk, 0, sizeof disk);
        expect("again", rig_append(journal, 4, 1, &err), MW_E_IO, "take an unfinished frame back");
        ops->stats(journal, &stats);
        assert_true(stats.latched && stats.last_seq == 3);
        /* The head of the last frame was written and not synced: whoever asks for that hears the same. */
        assert_int_equal(ops->sync_head(journal, NULL), MW_E_IO);
        expect("head", ops->sync_head(journal, &err), MW_E_IO, "take an unfinished frame back");
        assert_int_equal(ops->close(journal, &err), MW_OK);
        expect_journal(3);
    }
}

static void p04_a_head_that_cannot_be_made_durable_is_the_last(void **state)
{
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 2);
    disk.fdatasync_errno = EIO;
    assert_int_equal(ops->sync_head(journal, NULL), MW_E_IO);
    disk.fdatasync_errno = 0;
    expect("append", rig_append(journal, 4, 1, &err), MW_E_IO, "head durable");
    assert_int_equal(ops->close(journal, &err), MW_OK);
    expect_journal(3);
}

static void p04_the_head_is_made_durable_by_the_first_append_of_each_second(void **state)
{
    static const struct {
        int64_t after_ns;
        uint64_t syncs; /* of the head, all in all */
    } rows[] = {{0, 0}, {999999999, 0}, {1, 1}, {1, 1}, {999999998, 1}, {1, 2}, {5000000000, 3}};
    struct mw_journal_stats stats;
    (void)state;
    disk.clock_ns = 1;
    void *journal = open_with(&quick, NULL);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        disk.clock_ns += rows[i].after_ns;
        append_many(journal, 1);
        ops->stats(journal, &stats);
        if (stats.head_syncs != rows[i].syncs)
            fail_msg("row %zu: %lu", i, (unsigned long)stats.head_syncs);
    }
    assert_int_equal(ops->close(journal, NULL), MW_OK);
}

static void p11_a_segment_that_was_removed_under_its_writer_is_noticed(void **state)
{
    struct mw_journal_stats stats;
    (void)state;
    void *journal = open_with(&quick, NULL);
    append_many(journal, 1);
    remove_file(FIRST);
    expect("append", rig_append(journal, 2, 1, &err), MW_E_CONFLICT, "changed by somebody else");
    ops->stats(journal, &stats);
    assert_true(stats.latched && stats.last_seq == 1);
    (void)ops->close(journal, &err);
}

/* ---- recovery ---- */

static void p10_who_was_killed_on_a_full_disk_starts_with_what_the_reserve_held(void **state)
{
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    char path[RIG_PATH];
    (void)state;
    const uint64_t last = make_journal(9);
    (void)last_frame(path);
    rig_append_text(path, "{\"frame\":");
    disk.full = true;
    void *journal = open_with(&quick, &opened);
    assert_true(opened.last_seq == last && opened.torn_bytes == 9);
    rig_path(dir, opened.torn_file, path);
    assert_int_equal(access(path, F_OK), 0);
    ops->stats(journal, &stats);
    assert_true(stats.reserve_held); /* as soon as there is room again */
    assert_int_equal(ops->close(journal, &err), MW_OK);
    expect_journal(last);
}

static void p10_a_disk_that_takes_no_byte_ends_a_recovery_and_loses_nothing(void **state)
{
    (void)state;
    const uint64_t last = make_journal(9);
    remove_file("head"); /* so that the last segment is not believed */
    disk.writes_nothing = true;
    expect("open", refuses_to_open(&quick), MW_E_FULL, "");
    expect_journal(last);
}

static void p02_a_segment_that_ends_while_it_is_copied_stays_as_it_is(void **state)
{
    (void)state;
    const uint64_t last = make_journal(9);
    remove_file("head");
    disk.copies_nothing = true;
    expect("open", refuses_to_open(&quick), MW_E_IO, "while copying");
    expect_journal(last);
}

static void damage_copy(const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    rig_change_byte(path, (off_t)file.st_size - 20, 1);
}
static void shorten_copy(const char *path)
{
    char same[RIG_PATH];
    disk.after_rename = NULL;
    assert_int_equal(truncate(path, (off_t)last_frame(same).offset), 0);
    assert_string_equal(same, path);
}
/* Another frame of the same place, size and number, with a checksum that fits. */
static void replace_copy(const char *path)
{
    char header[MW_FRAME_HEADER_MAX], same[RIG_PATH];
    struct mw_buf file = mw_heap_buf();
    struct mw_frame frame;
    size_t header_bytes;
    disk.after_rename = NULL;
    size_t offset = last_frame(same).offset;
    assert_int_equal(mw_file_read(AT_FDCWD, path, 1 << 20, &file, &err), MW_OK);
    assert_int_equal(
        mw_frame_read(mw_str_sub(mw_buf_str(&file), offset, SIZE_MAX), &frame, &header_bytes),
        MW_FRAME_OK);
    char *body = file.ptr + offset + header_bytes;
    body[frame.bytes - 4] ^= 1; /* in the text of the record */
    assert_int_equal(mw_frame_write(&frame, (struct mw_str){body, frame.bytes}, header),
                     header_bytes);
    memcpy(file.ptr + offset, header, header_bytes);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, file.ptr, file.len, 0), file.len);
    (void)close(fd);
    mw_heap_buf_free(&file);
}

static void p02_a_copy_that_is_not_what_was_checked_is_refused(void **state)
{
    static const struct {
        const char *name;
        void (*after_rename)(const char *path);
        const char *words;
    } rows[] = {
        {"damaged", damage_copy, "checksum does not fit"},
        {"shorter", shorten_copy, "not what was checked"},
        {"another history", replace_copy, "not what was checked"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        rig_empty_dir(dir);
        (void)make_journal(9);
        remove_file("head");
        disk.after_rename = rows[i].after_rename;
        expect(rows[i].name, refuses_to_open(&quick), MW_E_CORRUPT, rows[i].words);
        memset(&disk, 0, sizeof disk);
    }
}

static struct mw_head read_head(void)
{
    struct mw_head head = {.seq = 0};
    enum mw_journal_head head_state;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_head_read(&disk_sys, fd, &head, &head_state, &err), MW_OK);
    assert_int_equal(head_state, MW_JOURNAL_HEAD_EQUAL);
    (void)close(fd);
    return head;
}

static void write_head(const struct mw_head *head)
{
    char lines[2 * MW_HEAD_LINE_BYTES], path[RIG_PATH];
    mw_head_write(head, lines);
    mw_head_write(head, lines + MW_HEAD_LINE_BYTES);
    rig_path(dir, "head", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, lines, sizeof lines), sizeof lines);
    (void)close(fd);
}

static void p02_a_head_of_elsewhere_is_not_trusted_and_is_written_anew(void **state)
{
    static const struct {
        const char *name;
        int frames;
        size_t other;     /* offset of the member that says something else */
        const char *tail; /* what stands behind the last frame: the head's length covers it */
    } rows[] = {
        {"of another length", 9, offsetof(struct mw_head, bytes), ""},
        {"of another segment", 9, offsetof(struct mw_head, segment), ""},
        {"not closed in order", 9, offsetof(struct mw_head, clean), ""},
        {"closed in order, over a torn end", 9, SIZE_MAX, "{\"frame\":"},
        {"of an empty journal, with a hash", 0, offsetof(struct mw_head, hash), ""},
        {"of an empty journal, with a length", 0, offsetof(struct mw_head, bytes), ""},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_journal_opened opened;
        char path[RIG_PATH];
        rig_empty_dir(dir);
        uint64_t last = make_journal(rows[i].frames);
        struct mw_head head = read_head(), other = head;
        if (rows[i].other != SIZE_MAX)
            ((uint8_t *)&other)[rows[i].other] ^= 1;
        other.bytes += strlen(rows[i].tail);
        if (rows[i].frames > 0) {
            (void)last_frame(path);
            rig_append_text(path, rows[i].tail);
        }
        write_head(&other);
        void *journal = open_with(&quick, &opened);
        if (opened.copied != (rows[i].frames > 0) || opened.last_seq != last ||
            opened.torn_bytes != strlen(rows[i].tail))
            fail_msg("%s: %lu records, %lu torn bytes", rows[i].name, opened.last_seq,
                     opened.torn_bytes);
        struct mw_head now = read_head();
        if (now.clean != head.clean || now.seq != head.seq || now.segment != head.segment ||
            now.bytes != head.bytes || memcmp(now.hash, head.hash, sizeof now.hash) != 0)
            fail_msg("%s: the head is what it was", rows[i].name);
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
}

/* The head names a frame that is not there as it was committed, and a write that did not finish stands at the end: the first is what counts. */
static void p04_another_history_is_told_though_its_end_is_torn(void **state)
{
    struct mw_journal_report report;
    struct mw_head head;
    char path[RIG_PATH];
    (void)state;
    for (int row = 0; row < 2; row++) {
        rig_empty_dir(dir);
        const uint64_t last = make_journal(9);
        struct mw_journal_frame_info frame = last_frame(path);
        rig_append_text(path, "{\"frame\":");
        head = read_head();
        if (row == 0)
            head.hash[0] ^= 1; /* a frame of that number, and not that one */
        else
            head.seq--; /* in the middle of a frame */
        assert_true(frame.count > 1);
        write_head(&head);
        expect("open", refuses_to_open(&quick), MW_E_CORRUPT, "not the frame that the head");
        expect("verify", mw_journal_verify(dir, &looking, NULL, NULL, &report, &err), MW_E_CORRUPT,
               "not the frame that the head");
        assert_true(report.damaged && !report.torn && report.last_seq == last);
        assert_true(report.segment == frame.segment && report.offset == frame.offset);
        /* Whoever repairs accepts what stands there. */
        assert_int_equal(mw_journal_repair(dir, &quick, false, NULL, NULL, &err), MW_OK);
        expect_journal(last);
    }
}

/* ---- reading what was checked ---- */

static void p03_what_is_damaged_after_it_was_checked_is_told_when_it_is_read(void **state)
{
    struct heard heard = {.records = 0};
    char path[RIG_PATH];
    (void)state;
    const uint64_t last = make_journal(9);
    struct mw_journal_frame_info frame = last_frame(path);
    void *journal = open_with(&looking, NULL);
    rig_change_byte(path, (off_t)frame.offset + 300, 1);
    expect("damaged", ops->read(journal, 1, hear, &heard, &err), MW_E_CORRUPT, "checksum");
    assert_int_equal(heard.records, frame.first - 1);
    heard.records = 0;
    assert_int_equal(truncate(path, (off_t)frame.offset), 0);
    expect("cut", ops->read(journal, 1, hear, &heard, &err), MW_E_CORRUPT, "ends before record");
    assert_int_equal(heard.records, frame.first - 1);
    assert_true(heard.records < last);
    heard.records = 0;
    disk.preads_until_eio = 2;
    expect("not read", ops->read(journal, 1, hear, &heard, &err), MW_E_IO, "read journal segment");
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void p03_an_empty_segment_that_is_not_the_last_is_damage(void **state)
{
    (void)state;
    const uint64_t last = make_journal(9);
    for (uint64_t first = last + 1; first <= last + 2; first++) {
        char name[MW_SEGMENT_NAME_BYTES], path[RIG_PATH];
        mw_segment_name(first, name);
        rig_path(dir, name, path);
        rig_append_text(path, "");
        if (first == last + 1) { /* which is what a writer leaves that dies between two calls */
            void *journal = open_with(&checking, NULL);
            expect_records(journal, last);
            assert_int_equal(ops->close(journal, &err), MW_OK);
        }
    }
    expect("open", refuses_to_open(&quick), MW_E_CORRUPT, "empty segment before the last");
}

/* A frame of three buffers, and one behind it. */
static void p03_a_frame_larger_than_any_buffer_is_read_or_the_disk_is_blamed(void **state)
{
    const size_t size = (3u << 20) + 11;
    struct heard heard = {.records = 0};
    (void)state;
    mw_autofree char *line = mw_heap_alloc(size);
    memset(line, 'x', size);
    memcpy(line, "{\"seq\":1,\"x\":\"", 14);
    memcpy(line + size - 3, "\"}\n", 3);
    void *journal = open_with(&quick, NULL);
    assert_int_equal(ops->append(journal, 1, 1, (struct mw_str){line, size}, &err), MW_OK);
    assert_int_equal(ops->append(journal, 2, 1, MW_STR("{\"seq\":2}\n"), &err), MW_OK);
    assert_int_equal(ops->read(journal, 1, hear, &heard, &err), MW_OK);
    assert_int_equal(heard.records, 2);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    journal = open_with(&looking, NULL);
    long reads = 0;
    for (enum mw_rc rc = MW_E_IO; rc != MW_OK;) {
        heard.records = 0;
        disk.preads_until_eio = ++reads;
        rc = ops->read(journal, 1, hear, &heard, &err);
        assert_true(rc == MW_OK || (rc == MW_E_IO && heard.records < 2));
    }
    assert_true(reads > 3 && heard.records == 2);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* ---- a reader beside the writer ---- */

static void a_reader_asked_past_the_end_waits_for_nobody_and_says_what_is_torn(void **state)
{
    struct rig_read read = {.next = 1};
    char path[RIG_PATH];
    uint64_t next = 0;
    void *reader;
    (void)state;
    const uint64_t last = make_journal(9);
    assert_int_equal(ops->reader_open(dir, &looking, 1, &reader, &err), MW_OK);
    assert_int_equal(ops->reader_read(reader, last + 5, rig_check_line, &read, &next, &err), MW_OK);
    assert_int_equal(next, last + 1);
    (void)last_frame(path);
    rig_append_text(path, "{\"frame\":");
    assert_int_equal(ops->reader_read(reader, UINT64_MAX, rig_check_line, &read, &next, &err),
                     MW_OK);
    assert_int_equal(next, last + 1);
    /* Who says that the next record is durable is told that it is not there. */
    expect("torn", ops->reader_read(reader, last + 1, rig_check_line, &read, &next, &err),
           MW_E_CORRUPT, "the file ends inside");
    assert_int_equal(next, last + 1);
    assert_false(read.wrong);
    ops->reader_close(reader);
}

static void a_reader_goes_on_in_the_file_that_a_recovery_put_in_place(void **state)
{
    (void)state;
    for (int row = 0; row < 3; row++) {
        struct rig_read read = {.next = 1};
        char path[RIG_PATH];
        uint64_t next = 0;
        void *reader;
        rig_empty_dir(dir);
        uint64_t last = make_journal(9);
        assert_int_equal(ops->reader_open(dir, &looking, 1, &reader, &err), MW_OK);
        assert_int_equal(ops->reader_read(reader, last, rig_check_line, &read, &next, &err), MW_OK);
        (void)last_frame(path);
        if (row < 2)
            remove_file("head"); /* so that recovery writes the last segment afresh */
        void *journal = open_with(&quick, NULL);
        append_many(journal, 1);
        if (row == 1) /* it cannot be opened the first time: what is there is read the next time */
            disk.not_opened = path + strlen(dir) + 1;
        if (row == 2)
            disk.other_disk_once = true; /* a file of the same number is another one all the same */
        assert_int_equal(ops->reader_read(reader, UINT64_MAX, rig_check_line, &read, &next, &err),
                         MW_OK);
        if (row == 1)
            assert_int_equal(next, last + 1);
        assert_int_equal(ops->reader_read(reader, last + 1, rig_check_line, &read, &next, &err),
                         MW_OK);
        assert_int_equal(next, last + 2);
        assert_false(read.wrong || disk.other_disk_once || disk.not_opened != NULL);
        ops->reader_close(reader);
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_an_append_cannot_be_is_refused_and_changes_nothing),
        TEST(who_reads_only_writes_neither_head_nor_reserve),
        TEST(one_pass_checks_and_hands_over_and_is_ended_by_what_it_is_told),
        TEST(answers_do_not_depend_on_words_being_wanted),
        TEST(a_folder_that_somebody_else_makes_meanwhile_is_as_good),
        TEST(p02_a_frame_that_cannot_be_taken_back_is_the_last),
        TEST(p04_a_head_that_cannot_be_made_durable_is_the_last),
        TEST(p04_the_head_is_made_durable_by_the_first_append_of_each_second),
        TEST(p11_a_segment_that_was_removed_under_its_writer_is_noticed),
        TEST(p10_who_was_killed_on_a_full_disk_starts_with_what_the_reserve_held),
        TEST(p10_a_disk_that_takes_no_byte_ends_a_recovery_and_loses_nothing),
        TEST(p02_a_segment_that_ends_while_it_is_copied_stays_as_it_is),
        TEST(p02_a_copy_that_is_not_what_was_checked_is_refused),
        TEST(p02_a_head_of_elsewhere_is_not_trusted_and_is_written_anew),
        TEST(p04_another_history_is_told_though_its_end_is_torn),
        TEST(p03_what_is_damaged_after_it_was_checked_is_told_when_it_is_read),
        TEST(p03_an_empty_segment_that_is_not_the_last_is_damage),
        TEST(p03_a_frame_larger_than_any_buffer_is_read_or_the_disk_is_blamed),
        TEST(a_reader_asked_past_the_end_waits_for_nobody_and_says_what_is_torn),
        TEST(a_reader_goes_on_in_the_file_that_a_recovery_put_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
