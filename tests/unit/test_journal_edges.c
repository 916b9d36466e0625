/*
 * test_journal_edges.c - the journal asked for what cannot be, and what changes underneath it: a segment that is removed or damaged after it was
 * read, frames larger than a buffer, a reader past the end. What the caller gets, and what stands then.
 */
#include "../crash/odd_disk.h"
#include "journal/doctor.h"
#include "posix/heap.h"

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

/* Where what is written over itself needs room, too: the head is what a cut is noticed by, and no record. */
static void p10_a_head_that_does_not_fit_is_written_when_there_is_room(void **state)
{
    static const int full[] = {ENOSPC, EDQUOT};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(full); i++) {
        struct mw_journal_stats stats;
        rig_empty_dir(dir);
        void *journal = open_with(&quick, NULL);
        append_many(journal, 3);
        disk.head_errno = full[i];
        append_many(journal, 9);
        ops->stats(journal, &stats);
        assert_false(stats.latched);
        disk.head_errno = 0;
        append_many(journal, 1);
        const uint64_t last = ops->last_seq(journal);
        assert_int_equal(mw_journal_settled(dir, &quick), last);
        assert_int_equal(ops->close(journal, &err), MW_OK);
        expect_journal(last);
    }
}

static void p03_a_disk_that_reads_a_little_at_a_time_hides_nothing(void **state)
{
    static const size_t most[] = {1, 7, 300, 4096};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(most); i++)
        for (int dies = 0; dies < 2; dies++) {
            struct mw_journal_opened opened;
            rig_empty_dir(dir);
            const uint64_t last = make_journal(20);
            if (dies)
                remove_file("head"); /* so that the last segment is copied */
            disk.reads_most = most[i];
            void *journal = open_with(&quick, &opened);
            assert_int_equal(opened.torn_bytes, 0);
            assert_int_equal(opened.last_seq, last);
            expect_records(journal, last);
            assert_int_equal(ops->close(journal, &err), MW_OK);
            expect_journal(last);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_an_append_cannot_be_is_refused_and_changes_nothing),
        TEST(who_reads_only_writes_neither_head_nor_reserve),
        TEST(one_pass_checks_and_hands_over_and_is_ended_by_what_it_is_told),
        TEST(answers_do_not_depend_on_words_being_wanted),
        TEST(a_folder_that_somebody_else_makes_meanwhile_is_as_good),
        TEST(p02_a_frame_that_cannot_be_taken_back_is_the_last),
        TEST(p10_a_head_that_does_not_fit_is_written_when_there_is_room),
        TEST(p03_a_disk_that_reads_a_little_at_a_time_hides_nothing),
        TEST(p04_a_head_that_cannot_be_made_durable_is_the_last),
        TEST(p04_the_head_is_made_durable_by_the_first_append_of_each_second),
        TEST(p11_a_segment_that_was_removed_under_its_writer_is_noticed),
        TEST(p03_what_is_damaged_after_it_was_checked_is_told_when_it_is_read),
        TEST(p03_an_empty_segment_that_is_not_the_last_is_damage),
        TEST(p03_a_frame_larger_than_any_buffer_is_read_or_the_disk_is_blamed),
        TEST(a_reader_asked_past_the_end_waits_for_nobody_and_says_what_is_torn),
        TEST(a_reader_goes_on_in_the_file_that_a_recovery_put_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
