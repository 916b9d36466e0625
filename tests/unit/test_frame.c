/*
 * test_frame.c - P03: a frame's header has one spelling. One row a way in which it, or the lines behind it, is not one.
 */
#include "journal/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct mw_frame sound = {
    .frame = 7, .epoch = 3, .first = 12, .count = 1, .bytes = 8, .prev = {0xab, 0xcd}};
static const char body[] = "{\"a\":1}\n";

static struct mw_str write_header(struct mw_frame frame, char memory[MW_FRAME_HEADER_MAX])
{
    return (struct mw_str){memory, mw_frame_write(&frame, MW_STR(body), memory)};
}

static void p03_a_header_is_read_as_it_was_written_and_its_checksum_fits(void **state)
{
    char memory[MW_FRAME_HEADER_MAX];
    struct mw_frame read;
    size_t header_bytes;
    (void)state;
    struct mw_str header = write_header(sound, memory);
    assert_int_equal(mw_frame_read(header, &read, &header_bytes), MW_FRAME_OK);
    assert_int_equal(header_bytes, header.len);
    assert_true(read.frame == sound.frame && read.epoch == sound.epoch &&
                read.first == sound.first && read.count == sound.count &&
                read.bytes == sound.bytes);
    assert_memory_equal(read.prev, sound.prev, sizeof read.prev);
    assert_true(mw_frame_check(&read, header, MW_STR(body)));
    assert_false(mw_frame_check(&read, header, MW_STR("{\"a\":2}\n")));
    for (size_t len = 0; len < header.len; len++)
        assert_int_equal(mw_frame_read(mw_str_sub(header, 0, len), &read, &header_bytes),
                         MW_FRAME_PARTIAL);
}

static void p03_a_header_that_is_spelled_otherwise_is_none(void **state)
{
    static const struct {
        const char *from, *to;
        enum mw_frame_read read;
    } rows[] = {
        {"{", "{", MW_FRAME_OK},
        {"\"epoch\":3", "\"epoch\":0", MW_FRAME_OK},
        {"\"frame\":7", "\"frame\":0", MW_FRAME_BAD},
        {"\"frame\":7", "\"frame\":07", MW_FRAME_BAD},
        {"\"frame\":7", "\"frame\":", MW_FRAME_BAD},
        {"\"frame\":7", "\"frame\":-7", MW_FRAME_BAD},
        {"\"frame\":7", "\"frame\":x", MW_FRAME_BAD},
        {"\"frame\":7", "\"frame\":999999999999999999", MW_FRAME_OK},
        {"\"frame\":7", "\"frame\":1000000000000000000", MW_FRAME_BAD},
        {"\"frame\":7", "\"fromo\":7", MW_FRAME_BAD},
        {"\"format\":1", "\"format\":0", MW_FRAME_BAD},
        {"\"format\":1", "\"format\":2", MW_FRAME_NEWER},
        {"\"format\":1", "\"format\":12", MW_FRAME_NEWER},
        {"\"format\":1", "\"format\":02", MW_FRAME_BAD},
        {"\"first\":12", "\"first\":0", MW_FRAME_BAD},
        {"\"count\":1", "\"count\":0", MW_FRAME_BAD},
        {"\"count\":1", "\"count\":1048576", MW_FRAME_OK},
        {"\"count\":1", "\"count\":1048577", MW_FRAME_BAD},
        {"\"bytes\":8", "\"bytes\":0", MW_FRAME_BAD},
        {"\"bytes\":8", "\"bytes\":67108864", MW_FRAME_OK},
        {"\"bytes\":8", "\"bytes\":67108865", MW_FRAME_BAD},
        {"\"prev\":\"abcd", "\"prev\":\"ABcd", MW_FRAME_BAD},
        {"\"prev\":\"abcd", "\"prev\":\"gbcd", MW_FRAME_BAD},
        {"\"prev\":\"abcd", "\"prev\":\"/bcd", MW_FRAME_BAD},
        {"\"prev\":\"abcd", "\"prev\":\"abc", MW_FRAME_BAD},
        {"\"}\n", "\"} \n", MW_FRAME_BAD},
        {"\"}\n", "\"\n", MW_FRAME_BAD},
        {"\"crc32c\":\"", "\"crc32c\":\"\n", MW_FRAME_BAD},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        char memory[MW_FRAME_HEADER_MAX], text[2 * MW_FRAME_HEADER_MAX];
        struct mw_frame read = {.frame = 99};
        size_t header_bytes = 99;
        struct mw_str header = write_header(sound, memory);
        const char *at = memmem(header.ptr, header.len, rows[i].from, strlen(rows[i].from));
        assert_non_null(at);
        int before = (int)(at - header.ptr);
        size_t skipped = (size_t)before + strlen(rows[i].from);
        int length = snprintf(text, sizeof text, "%.*s%s%.*s", before, header.ptr, rows[i].to,
                              (int)(header.len - skipped), header.ptr + skipped);
        enum mw_frame_read is =
            mw_frame_read((struct mw_str){text, (size_t)length}, &read, &header_bytes);
        if (is != rows[i].read)
            fail_msg("%s → %s: %d", rows[i].from, rows[i].to, (int)is);
        assert_int_equal(is == MW_FRAME_OK, read.frame != 99 && header_bytes != 99);
    }
}

/* P13: of a newer format neither the length of a header is known nor whether it ends. */
static void p13_a_newer_format_is_seen_in_a_header_of_any_length(void **state)
{
    static const struct {
        const char *start;
        enum mw_frame_read cut, padded;
    } rows[] = {
        {"{\"frame\":7,\"format\":2,", MW_FRAME_NEWER, MW_FRAME_NEWER},
        {"{\"frame\":7,\"format\":12", MW_FRAME_NEWER, MW_FRAME_NEWER},
        {"{\"frame\":7,\"format\":1,", MW_FRAME_PARTIAL, MW_FRAME_BAD},
        {"{\"frame\":7,\"format\":", MW_FRAME_PARTIAL, MW_FRAME_BAD},
        {"{\"frame\":7,\"formal\":2,", MW_FRAME_PARTIAL, MW_FRAME_BAD},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        char text[2 * MW_FRAME_HEADER_MAX];
        struct mw_frame read;
        size_t header_bytes;
        memset(text, 'x', sizeof text);
        memcpy(text, rows[i].start, strlen(rows[i].start));
        text[sizeof text - 1] = '\n';
        assert_int_equal(mw_frame_read(mw_str_of(rows[i].start), &read, &header_bytes),
                         rows[i].cut);
        assert_int_equal(mw_frame_read((struct mw_str){text, sizeof text}, &read, &header_bytes),
                         rows[i].padded);
    }
}

static void p03_a_line_longer_than_any_header_is_none_and_a_shorter_one_may_become_one(void **state)
{
    char text[MW_FRAME_HEADER_MAX];
    struct mw_frame read;
    size_t header_bytes;
    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(mw_frame_read((struct mw_str){text, sizeof text - 1}, &read, &header_bytes),
                     MW_FRAME_PARTIAL);
    assert_int_equal(mw_frame_read((struct mw_str){text, sizeof text}, &read, &header_bytes),
                     MW_FRAME_BAD);
    assert_int_equal(mw_frame_read(MW_STR_NONE, &read, &header_bytes), MW_FRAME_PARTIAL);
}

static void p03_lines_are_objects_each_ended_and_as_many_as_said(void **state)
{
    static const struct {
        const char *lines;
        uint64_t count;
        const char *words; /* NULL: nothing is wrong */
    } rows[] = {
        {"{}\n", 1, NULL},
        {"{\"a\":{\"frame\":9}}\n{}\n", 2, NULL},
        {"", 0, "newline"},
        {"{}", 1, "newline"},
        {"{}\n{}", 2, "newline"},
        {"\n", 1, "JSON object"},
        {"{\n", 1, "JSON object"},
        {"}\n", 1, "JSON object"},
        {"[]\n", 1, "JSON object"},
        {"{]\n", 1, "JSON object"},
        {"{} \n", 1, "JSON object"},
        {"{\"frame\":1}\n", 1, "frame's header"},
        {"{}\n", 2, "number of lines"},
        {"{}\n{}\n", 1, "number of lines"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const char *fault = mw_frame_lines_fault(mw_str_of(rows[i].lines), rows[i].count);
        if ((fault == NULL) != (rows[i].words == NULL) ||
            (fault != NULL && strstr(fault, rows[i].words) == NULL))
            fail_msg("%s: %s", rows[i].lines, fault != NULL ? fault : "taken");
    }
}

static void p03_what_can_only_be_a_later_frame_is_seen_behind_damage(void **state)
{
    char memory[MW_FRAME_HEADER_MAX], text[3 * MW_FRAME_HEADER_MAX];
    (void)state;
    struct mw_str header = write_header(sound, memory);
    static const struct {
        const char *before;
        bool whole; /* the header of frame 7 stands there, else the first ten bytes of it */
        uint64_t after;
        bool follows;
    } rows[] = {
        {"rest\n", true, 0, true},    {"rest\n", false, 99, true},
        {"rest", true, 6, true},      {"rest", true, 7, false},
        {"rest", false, 0, false},    {"", true, 6, true},
        {"", true, 7, false},         {"{\"frame\":{\"frame\":x", true, 6, true},
        {"{\"fram", false, 0, false},
    };
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        int length = snprintf(text, sizeof text, "%s%.*s", rows[i].before,
                              rows[i].whole ? (int)header.len : 10, header.ptr);
        if (mw_frame_follows((struct mw_str){text, (size_t)length}, rows[i].after) !=
            rows[i].follows)
            fail_msg("row %zu: %.*s", i, length, text);
    }
    assert_false(mw_frame_follows(MW_STR_NONE, 0));
    assert_false(mw_frame_follows(MW_STR("nothing of that kind stands here"), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p03_a_header_is_read_as_it_was_written_and_its_checksum_fits),
        cmocka_unit_test(p03_a_header_that_is_spelled_otherwise_is_none),
        cmocka_unit_test(p13_a_newer_format_is_seen_in_a_header_of_any_length),
        cmocka_unit_test(
            p03_a_line_longer_than_any_header_is_none_and_a_shorter_one_may_become_one),
        cmocka_unit_test(p03_lines_are_objects_each_ended_and_as_many_as_said),
        cmocka_unit_test(p03_what_can_only_be_a_later_frame_is_seen_behind_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
