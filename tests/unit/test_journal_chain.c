/*
 * test_journal_chain.c - P03 P11: frames that are sound by themselves, checksum and all, and do not belong where they stand: of a writer that
 * was not the last, of another place in the chain, of another journal. What a torn write can leave is cut off; these are refused.
 */
#include "../crash/journal_rig.h"
#include "journal/extract.h"
#include "journal/frame.h"
#include "posix/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {
    .segment_bytes = 1u << 20, .reserve_bytes = 4096, .sys = &rig_quick};

/* A journal that is written by hand, frame by frame. */
struct hand {
    char dir[64];
    struct mw_frame next; /* as the next frame has to be */
};

static void begin(struct hand *hand)
{
    rig_new_dir(hand->dir);
    hand->next = (struct mw_frame){.frame = 1, .epoch = 1, .first = 1, .count = 1};
}

static void end(const struct hand *hand)
{
    rig_remove_dir(hand->dir);
}

/* One record; `cut` bytes of the frame are not written. What follows is told in hand->next. */
static void put(struct hand *hand, uint64_t segment, struct mw_frame frame, size_t cut)
{
    char path[160], line[RIG_LINE_MAX], header[MW_FRAME_HEADER_MAX];
    static char whole[MW_FRAME_HEADER_MAX + RIG_LINE_MAX];
    size_t line_bytes = rig_line(frame.first, line);
    frame.bytes = line_bytes;
    size_t header_bytes = mw_frame_write(&frame, (struct mw_str){line, line_bytes}, header);
    memcpy(whole, header, header_bytes);
    memcpy(whole + header_bytes, line, line_bytes);
    (void)snprintf(path, sizeof path, "%s/%020lu.jsonl", hand->dir, (unsigned long)segment);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_t size = header_bytes + line_bytes - cut;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, whole, size), (ssize_t)size);
    (void)close(fd);
    hand->next = frame;
    hand->next.frame++;
    hand->next.first++;
    mw_sha256_of((struct mw_str){whole, header_bytes + line_bytes}, hand->next.prev);
}

static void put_some(struct hand *hand, uint64_t segment, int count)
{
    for (int i = 0; i < count; i++)
        put(hand, segment, hand->next, 0);
}

/* `last`: what is recorded, when it opens. */
static void opens_as(const struct hand *hand, enum mw_rc expected, uint64_t last, const char *what)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened = {0};
    void *journal = NULL;
    enum mw_rc rc = ops->open(hand->dir, &quick, &journal, &opened, &err);
    if (rc != expected || (rc == MW_OK && opened.last_seq != last))
        fail_msg("%s: answered %s (%s), last record %lu", what, mw_rc_name(rc), err.text,
                 (unsigned long)opened.last_seq);
    if (rc == MW_OK)
        assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void p03_a_journal_by_hand_opens(void **state)
{
    struct hand hand;
    (void)state;
    begin(&hand);
    put_some(&hand, 1, 3);
    hand.next.epoch = 4;
    put_some(&hand, 4, 2);
    opens_as(&hand, MW_OK, 5, "two segments, two epochs");
    put(&hand, 4, hand.next, 20);
    opens_as(&hand, MW_OK, 5, "half a frame behind them");
    end(&hand);
}

static void p11_a_frame_of_a_writer_before_the_last_is_refused(void **state)
{
    struct hand hand;
    (void)state;
    for (uint64_t segment = 1; segment <= 4; segment += 3) { /* in the same one, in a new one */
        begin(&hand);
        hand.next.epoch = 7;
        put_some(&hand, 1, 3);
        hand.next.epoch = 6;
        put(&hand, segment, hand.next, 0);
        opens_as(&hand, MW_E_CORRUPT, 0, "an earlier epoch after a later one");
        end(&hand);
    }
}

static void p03_a_frame_with_another_number_is_refused(void **state)
{
    struct hand hand;
    (void)state;
    begin(&hand);
    put_some(&hand, 1, 3);
    hand.next.frame += 1;
    put(&hand, 1, hand.next, 0);
    opens_as(&hand, MW_E_CORRUPT, 0, "a frame's number is left out");
    end(&hand);
}

/* Half of a frame at the end is what a cut leaves, when it is the one that was to come; any other was never being written there. */
static void p03_half_a_frame_is_cut_off_only_where_it_belongs(void **state)
{
    static const struct {
        const char *what;
        int64_t frame, first, epoch;
        bool prev;
        enum mw_rc expected;
    } cases[] = {{"the next frame", 0, 0, 0, false, MW_OK},
                 {"of the next epoch", 0, 0, 1, false, MW_OK},
                 {"of an earlier epoch", 0, 0, -1, false, MW_E_CORRUPT},
                 {"with an earlier record", 0, -1, 0, false, MW_E_CORRUPT},
                 {"with a later record", 0, 1, 0, false, MW_E_CORRUPT},
                 {"with an earlier number", -1, 0, 0, false, MW_E_CORRUPT},
                 {"with a later number", 1, 0, 0, false, MW_E_CORRUPT},
                 {"after another frame", 0, 0, 0, true, MW_E_CORRUPT}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(cases); i++) {
        struct hand hand;
        begin(&hand);
        hand.next.epoch = 5;
        put_some(&hand, 1, 3);
        struct mw_frame half = hand.next;
        half.frame += (uint64_t)cases[i].frame;
        half.first += (uint64_t)cases[i].first;
        half.epoch += (uint64_t)cases[i].epoch;
        half.prev[7] ^= cases[i].prev ? 1 : 0;
        put(&hand, 1, half, 20);
        opens_as(&hand, cases[i].expected, 3, cases[i].what);
        end(&hand);
    }
}

/* ---- readers beside a writer ---- */

static enum mw_rc count_line(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    uint64_t *last = context;
    (void)line;
    (void)err;
    assert_int_equal(seq, *last + 1);
    *last = seq;
    return MW_OK;
}

static enum mw_rc read_until(const struct hand *hand, uint64_t until, uint64_t *ret_last)
{
    struct mw_err err = {0};
    void *reader = NULL;
    uint64_t next = 0;
    *ret_last = 0;
    assert_int_equal(ops->reader_open(hand->dir, &quick, 1, &reader, &err), MW_OK);
    enum mw_rc rc = ops->reader_read(reader, until, count_line, ret_last, &next, &err);
    assert_int_equal(next, *ret_last + 1);
    ops->reader_close(reader);
    return rc;
}

/* What the writer has not said to be durable may still be taken back: it is not there yet. */
static void p01_a_reader_hands_out_what_is_durable_and_no_more(void **state)
{
    struct hand hand;
    uint64_t last;
    (void)state;
    begin(&hand);
    put_some(&hand, 1, 2);
    put_some(&hand, 3, 3);
    for (uint64_t durable = 1; durable <= 5; durable++) {
        assert_int_equal(read_until(&hand, durable, &last), MW_OK);
        assert_int_equal(last, durable);
    }
    put(&hand, 3, hand.next, 20); /* it is being written */
    assert_int_equal(read_until(&hand, 5, &last), MW_OK);
    assert_int_equal(last, 5);
    assert_int_equal(read_until(&hand, UINT64_MAX, &last), MW_OK);
    assert_int_equal(last, 5);
    end(&hand);
}

/* A snapshot beside a writer is made of what the writer has said to be committed. */
static void p01_what_is_settled_beside_a_writer_is_what_its_head_says(void **state)
{
    struct hand hand;
    struct mw_err err = {0};
    struct mw_journal_opened opened = {0};
    void *journal = NULL;
    (void)state;
    begin(&hand);
    put_some(&hand, 1, 3);
    assert_int_equal(ops->open(hand.dir, &quick, &journal, &opened, &err), MW_OK);
    assert_int_equal(rig_append(journal, 4, 2, &err), MW_OK);
    assert_int_equal(mw_journal_settled(hand.dir, &quick), 5);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    assert_true(mw_journal_settled(hand.dir, &quick) == UINT64_MAX); /* nobody writes */
    end(&hand);
}

/* The same half frame is damage when its record was acknowledged. */
static void p03_a_reader_tells_damage_from_what_is_being_written(void **state)
{
    struct hand hand;
    uint64_t last;
    (void)state;
    begin(&hand);
    put_some(&hand, 1, 3);
    put(&hand, 1, hand.next, 20);
    assert_int_equal(read_until(&hand, 3, &last), MW_OK);
    assert_int_equal(read_until(&hand, 4, &last), MW_E_CORRUPT);
    assert_int_equal(last, 3);
    end(&hand);
}

/* A newer release went on in a segment of this one's, or began the next: nothing of it is an unfinished frame, however short. */
static void p13_a_frame_of_a_newer_format_is_nowhere_taken_for_an_unfinished_one(void **state)
{
    static const struct {
        const char *text;
        uint64_t segment;
    } rows[] = {{"{\"frame\":4,\"format\":2,\"epoch\":1}\n{\"seq\":4}\n", 1},
                {"{\"frame\":4,\"format\":2,\"epoch\":1}\n{\"seq\":4}\n", 4},
                {"{\"frame\":4,\"format\":2}\n", 1},
                {"{\"frame\":4,\"format\":17,\"and\":\"more\"}\n{\"seq\":4}\n", 1}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct hand hand;
        struct stat before, after;
        char path[160];
        begin(&hand);
        put_some(&hand, 1, 3);
        (void)snprintf(path, sizeof path, "%s/%020lu.jsonl", hand.dir,
                       (unsigned long)rows[i].segment);
        rig_append_text(path, rows[i].text);
        assert_int_equal(stat(path, &before), 0);
        opens_as(&hand, MW_E_CONFIG, 0, rows[i].text);
        assert_int_equal(stat(path, &after), 0);
        assert_true(before.st_size == after.st_size && before.st_ino == after.st_ino);
        end(&hand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p03_a_journal_by_hand_opens),
        cmocka_unit_test(p11_a_frame_of_a_writer_before_the_last_is_refused),
        cmocka_unit_test(p03_a_frame_with_another_number_is_refused),
        cmocka_unit_test(p01_a_reader_hands_out_what_is_durable_and_no_more),
        cmocka_unit_test(p01_what_is_settled_beside_a_writer_is_what_its_head_says),
        cmocka_unit_test(p03_a_reader_tells_damage_from_what_is_being_written),
        cmocka_unit_test(p03_half_a_frame_is_cut_off_only_where_it_belongs),
        cmocka_unit_test(p13_a_frame_of_a_newer_format_is_nowhere_taken_for_an_unfinished_one),
    };
    return cmocka_run_group_tests_name("test_journal_chain", tests, NULL, NULL);
}
