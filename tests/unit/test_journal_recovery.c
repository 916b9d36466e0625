/*
 * test_journal_recovery.c - what a start does when the disk does other things than it is told: it is full, a copy is not what was checked, the
 * head is of elsewhere or of another history. It starts with every record, or is refused by its cause; then nothing was lost.
 */
#include "../crash/odd_disk.h"
#include "journal/doctor.h"
#include "posix/heap.h"

#include <stddef.h>

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

/* What stands there may be in the page cache alone: that it is accepted says nothing of the disk. */
static void p02_a_repair_that_only_sets_the_head_does_not_vouch_for_the_disk(void **state)
{
    struct mw_journal_opened opened;
    (void)state;
    const uint64_t last = make_journal(9);
    struct mw_head head = read_head();
    head.seq += 5; /* more was committed than there is */
    write_head(&head);
    expect("open", refuses_to_open(&quick), MW_E_CORRUPT, "was committed");
    assert_int_equal(mw_journal_repair(dir, &quick, false, NULL, NULL, &err), MW_OK);
    void *journal = open_with(&quick, &opened);
    assert_true(opened.copied && opened.last_seq == last);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    expect_journal(last);
}

/* As a copy of the workspace may have it, or a start that was killed: as long as the reserve, and nothing in it that could be given up. */
static void p10_a_reserve_without_room_in_it_is_filled(void **state)
{
    static const off_t sizes[] = {0, 4096, 1 << 20};
    struct mw_journal_options real = quick;
    (void)state;
    real.sys = NULL;
    const uint64_t last = make_journal(3);
    for (size_t i = 0; i < MW_COUNT(sizes); i++) {
        struct mw_journal_stats stats;
        struct stat file;
        char path[RIG_PATH];
        rig_path(dir, "reserve", path);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        (void)close(fd);
        void *journal = open_with(&real, NULL);
        ops->stats(journal, &stats);
        assert_int_equal(stat(path, &file), 0);
        assert_true(stats.reserve_held && (uint64_t)file.st_blocks * 512 >= real.reserve_bytes);
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
    expect_journal(last);
}

static struct mw_buf read_file(const char *path)
{
    struct mw_buf bytes = mw_heap_buf();
    assert_int_equal(mw_file_read(AT_FDCWD, path, 1 << 26, &bytes, &err), MW_OK);
    return bytes;
}

/* Longer than what is copied at once: the segment, and what stands unfinished at its end. */
static void p02_p03_a_long_segment_is_copied_and_its_end_put_aside_whole(void **state)
{
    enum { LETTERS = 900 << 10, FRAMES = 4, TORN = 1500 << 10 };
    struct mw_journal_options large = quick;
    struct mw_journal_opened opened;
    char path[RIG_PATH], aside[RIG_PATH];
    struct mw_buf text = mw_heap_buf();
    (void)state;
    large.segment_bytes = 0;
    void *journal = open_with(&large, NULL);
    for (uint64_t seq = 1; seq <= FRAMES; seq++) {
        mw_buf_reset(&text);
        mw_buf_printf(&text, "{\"seq\":%lu,\"text\":\"", (unsigned long)seq);
        for (uint32_t i = 0; i < LETTERS; i++)
            mw_buf_put_c(&text, (char)('a' + (i / 1000 + seq) % 26));
        mw_buf_put_z(&text, "\"}\n");
        assert_int_equal(ops->append(journal, seq, 1, mw_buf_str(&text), &err), MW_OK);
    }
    assert_int_equal(ops->close(journal, &err), MW_OK);
    (void)last_frame(path);
    struct mw_buf good = read_file(path);
    mw_buf_reset(&text);
    mw_buf_put_z(&text, "{\"frame\":");
    for (uint32_t i = 0; i < TORN; i++)
        mw_buf_put_c(&text, (char)('a' + i / 1000 % 26));
    mw_buf_put_c(&text, '\0');
    rig_append_text(path, text.ptr);

    journal = open_with(&large, &opened);
    assert_true(opened.copied && opened.last_seq == FRAMES && opened.torn_bytes == text.len - 1);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    rig_path(dir, opened.torn_file, aside);
    struct mw_buf copy = read_file(path), torn = read_file(aside);
    assert_int_equal(copy.len, good.len);
    assert_memory_equal(copy.ptr, good.ptr, good.len);
    assert_int_equal(torn.len, text.len - 1);
    assert_memory_equal(torn.ptr, text.ptr, torn.len);
    mw_heap_buf_free(&good);
    mw_heap_buf_free(&copy);
    mw_heap_buf_free(&torn);
    mw_heap_buf_free(&text);
}

static void p13_a_journal_of_many_segments_opens(void **state)
{
    struct mw_journal_options small = quick;
    struct mw_journal_opened opened;
    (void)state;
    small.segment_bytes = 1; /* each frame has its own */
    void *journal = open_with(&small, NULL);
    append_many(journal, 150);
    const uint64_t last = ops->last_seq(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    journal = open_with(&small, &opened);
    assert_true(opened.segments == 150 && opened.last_seq == last);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    expect_journal(last);
}

static int reserve_errno; /* 0: there is room for it */

static int fill_reserve(int fd, int mode, off_t offset, off_t size)
{
    (void)fd, (void)mode, (void)offset, (void)size;
    return reserve_errno != 0 ? fails(reserve_errno) : 0;
}

static void p10_half_a_reserve_is_none(void **state)
{
    static const struct {
        int fallocate_errno, pwrite_errno;
    } rows[] = {{ENOSPC, 0}, {EDQUOT, 0}, {EOPNOTSUPP, ENOSPC}};
    struct mw_journal_sys sys = disk_sys;
    struct mw_journal_options tight = quick;
    struct mw_journal_stats stats;
    char path[RIG_PATH];
    (void)state;
    sys.fallocate = fill_reserve;
    tight.sys = &sys;
    void *journal = open_with(&tight, NULL);
    rig_path(dir, "reserve", path);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        assert_int_equal(ops->reserve_release(journal, &err), MW_OK);
        reserve_errno = rows[i].fallocate_errno;
        disk.pwrite_errno = rows[i].pwrite_errno;
        assert_int_equal(ops->reserve_restore(journal, &err), MW_E_FULL);
        assert_int_not_equal(access(path, F_OK), 0); /* nobody would give that up */
        reserve_errno = disk.pwrite_errno = 0;
        assert_int_equal(ops->reserve_restore(journal, &err), MW_OK);
        ops->stats(journal, &stats);
        assert_true(stats.reserve_held && access(path, F_OK) == 0);
    }
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

/* ---- what is put aside ---- */

#define ROUNDS 4

static void aside_path(const char *name, const char *suffix, int round, char ret_path[RIG_PATH])
{
    char aside[80];
    (void)snprintf(aside, sizeof aside, round == 1 ? "%s.%s" : "%s.%s.%d", name, suffix, round);
    rig_path(dir, aside, ret_path);
}

static void expect_bytes(const char *path, const struct mw_buf *expected)
{
    struct mw_buf bytes = read_file(path);
    if (!mw_str_eq(mw_buf_str(&bytes), mw_buf_str(expected)))
        fail_msg("'%s' holds other bytes", path);
    mw_heap_buf_free(&bytes);
}

static void p03_what_is_put_aside_again_never_takes_the_place_of_what_was_before(void **state)
{
    char path[RIG_PATH], aside[RIG_PATH], text[40];
    struct mw_buf kept[ROUNDS];
    (void)state;
    for (int round = 1; round <= ROUNDS; round++) { /* repaired: the whole segment is moved */
        (void)make_journal(1);
        rig_path(dir, FIRST, path);
        rig_change_byte(path, 3, (char)round);
        kept[round - 1] = read_file(path);
        assert_int_equal(mw_journal_repair(dir, &quick, false, NULL, NULL, &err), MW_OK);
        for (int before = 1; before <= round; before++) {
            aside_path(FIRST, "damaged", before, aside);
            expect_bytes(aside, &kept[before - 1]);
        }
    }
    (void)make_journal(1);
    for (int round = 1; round <= ROUNDS; round++) { /* started: what was unfinished is cut off */
        mw_buf_reset(&kept[round - 1]);
        (void)snprintf(text, sizeof text, "{\"frame\":unfinished %d", round);
        mw_buf_put_z(&kept[round - 1], text);
        rig_append_text(path, text);
        assert_int_equal(ops->close(open_with(&quick, NULL), &err), MW_OK);
        for (int before = 1; before <= round; before++) {
            aside_path(FIRST, "torn", before, aside);
            expect_bytes(aside, &kept[before - 1]);
        }
    }
    for (int round = 0; round < ROUNDS; round++)
        mw_heap_buf_free(&kept[round]);
}

static void p23_a_repair_that_only_says_what_it_would_do_makes_no_file(void **state)
{
    char path[RIG_PATH];
    (void)state;
    (void)make_journal(9);
    remove_file("lock");
    rig_path(dir, FIRST, path);
    rig_change_byte(path, 3, 1);
    assert_int_equal(mw_journal_repair(dir, &quick, true, NULL, NULL, &err), MW_OK);
    rig_path(dir, "lock", path);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- whose files they are ---- */

/* Somebody who may write into the folder, or an archive that was unpacked there, has put a link where a file of the journal's is to be. */
static void p17_p23_no_file_is_written_through_a_link(void **state)
{
    static const struct {
        const char *name;
        bool killed; /* the writer before was */
    } rows[] = {{"lock", false},    {"head", false}, {"head", true},
                {"reserve", false}, {FIRST, true},   {FIRST ".fresh", true}};
    static const char words[] = "what somebody wrote, and wants to find again as it was";
    struct mw_journal_options real = {.reserve_bytes = 4096};
    char path[RIG_PATH], victim[RIG_PATH];
    struct mw_buf expected = mw_heap_buf();
    (void)state;
    mw_buf_put_z(&expected, words);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_journal_opened opened;
        void *journal;
        rig_empty_dir(dir);
        (void)make_journal(2);
        if (rows[i].killed)
            remove_file("head");
        rig_path(dir, "words", victim);
        rig_append_text(victim, words);
        rig_path(dir, rows[i].name, path);
        (void)unlink(path);
        assert_int_equal(symlink("words", path), 0);
        if (ops->open(dir, &real, &journal, &opened, &err) == MW_OK)
            fail_msg("'%s' is a link, and it opens", rows[i].name);
        expect_bytes(victim, &expected);
    }
    mw_heap_buf_free(&expected);
}

/* By the lock's note or by the frames: the one may be lost, and the other may not have been written. */
static void p11_no_writer_has_the_epoch_of_one_before_it(void **state)
{
    static const struct {
        const char *what;
        bool records, loses_the_lock;
    } lives[] = {{"the first", true, false},
                 {"after one that recorded", false, false},
                 {"after one that recorded nothing", false, false},
                 {"the first that records again", true, false},
                 {"without the lock file", true, true},
                 {"after that", true, false}};
    uint64_t before = 0, last = 0;
    (void)state;
    rig_empty_dir(dir);
    for (size_t i = 0; i < MW_COUNT(lives); i++) {
        if (lives[i].loses_the_lock)
            remove_file("lock");
        void *journal = open_with(&quick, NULL);
        uint64_t epoch = ops->epoch(journal);
        if (epoch <= before)
            fail_msg("%s: epoch %lu after %lu", lives[i].what, (unsigned long)epoch,
                     (unsigned long)before);
        before = epoch;
        if (lives[i].records)
            append_many(journal, 2);
        last = ops->last_seq(journal);
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
    expect_journal(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(p10_who_was_killed_on_a_full_disk_starts_with_what_the_reserve_held),
        TEST(p10_a_disk_that_takes_no_byte_ends_a_recovery_and_loses_nothing),
        TEST(p02_a_segment_that_ends_while_it_is_copied_stays_as_it_is),
        TEST(p02_a_copy_that_is_not_what_was_checked_is_refused),
        TEST(p02_a_head_of_elsewhere_is_not_trusted_and_is_written_anew),
        TEST(p04_another_history_is_told_though_its_end_is_torn),
        TEST(p02_a_repair_that_only_sets_the_head_does_not_vouch_for_the_disk),
        TEST(p11_no_writer_has_the_epoch_of_one_before_it),
        TEST(p10_a_reserve_without_room_in_it_is_filled),
        TEST(p02_p03_a_long_segment_is_copied_and_its_end_put_aside_whole),
        TEST(p13_a_journal_of_many_segments_opens),
        TEST(p10_half_a_reserve_is_none),
        TEST(p03_what_is_put_aside_again_never_takes_the_place_of_what_was_before),
        TEST(p17_p23_no_file_is_written_through_a_link),
        TEST(p23_a_repair_that_only_says_what_it_would_do_makes_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
