/*
 * test_manifest.c - V39: a manifest is read as it was written; every line that is not one that was written is refused with its number. What
 * gzip packed is unpacked in pieces of any size, or refused.
 */
#include "../crash/journal_rig.h"
#include "journal/gzip.h"
#include "journal/manifest.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>

#include <cmocka.h>

#define ID "c0ffee"

/* ---- the manifest's text ---- */

static struct mw_manifest_segment segment_of(uint64_t first)
{
    struct mw_manifest_segment segment = {.first = first,
                                          .last = first + 9,
                                          .frame = (first - 1) / 10 * 3 + 1,
                                          .frames = 3,
                                          .epoch = first,
                                          .bytes = 1000,
                                          .gzip = first > 20,
                                          .stored = first > 20 ? 100 : 1000};
    memset(segment.sha256, 'a', 64);
    memset(segment.stored_sha256, first > 20 ? 'b' : 'a', 64);
    memset(segment.prev, first > 1 ? (int)(first - 10) : 0, sizeof segment.prev);
    memset(segment.hash, (int)first, sizeof segment.hash);
    return segment;
}

static void fill(struct mw_manifest *manifest, size_t count)
{
    *manifest = (struct mw_manifest){.journal = ID};
    for (size_t i = 0; i < count; i++) {
        struct mw_manifest_segment segment = segment_of(1 + 10 * i);
        mw_manifest_add(manifest, &segment);
    }
}

static void v39_a_manifest_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (size_t count = 0; count < 40; count++) {
        struct mw_manifest manifest, again;
        struct mw_buf text = mw_heap_buf(), twice = mw_heap_buf();
        struct mw_err err = {.text = ""};
        fill(&manifest, count);
        mw_manifest_write(&manifest, &text);
        if (mw_manifest_read(mw_buf_str(&text), &again, &err) != MW_OK)
            fail_msg("%zu segments: %s", count, err.text);
        assert_int_equal(again.count, count);
        mw_manifest_write(&again, &twice);
        assert_true(mw_str_eq(mw_buf_str(&text), mw_buf_str(&twice)));
        mw_manifest_free(&manifest);
        mw_manifest_free(&again);
        mw_heap_buf_free(&text);
        mw_heap_buf_free(&twice);
    }
}

static void v39_every_byte_of_a_manifest_counts(void **state)
{
    struct mw_manifest manifest, again;
    struct mw_buf text = mw_heap_buf();
    struct mw_err err = {.text = ""};
    (void)state;
    fill(&manifest, 4);
    mw_manifest_write(&manifest, &text);
    for (size_t at = 0; at < text.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            text.ptr[at] = (char)(text.ptr[at] ^ 1 << bit);
            enum mw_rc rc = mw_manifest_read(mw_buf_str(&text), &again, &err);
            text.ptr[at] = (char)(text.ptr[at] ^ 1 << bit);
            if (rc != MW_E_CORRUPT && rc != MW_E_CONFIG)
                fail_msg("bit %d of byte %zu: %s", bit, at, mw_rc_name(rc));
        }
        assert_int_equal(mw_manifest_read(mw_str_sub(mw_buf_str(&text), 0, at), &again, &err),
                         MW_E_CORRUPT);
    }
    mw_buf_put_c(&text, '\n');
    assert_int_equal(mw_manifest_read(mw_buf_str(&text), &again, &err), MW_E_CORRUPT);
    mw_manifest_free(&manifest);
    mw_heap_buf_free(&text);
}

/* Lines that are spelled right, with the right digests, and cannot be. */
static void last_before_first(struct mw_manifest_segment *segment)
{
    segment->last = segment->first - 1;
}
static void gap(struct mw_manifest_segment *segment)
{
    segment->first++;
}
static void other_frame(struct mw_manifest_segment *segment)
{
    segment->frame++;
}
static void no_frames(struct mw_manifest_segment *segment)
{
    segment->frames = 0;
}
static void more_frames_than_records(struct mw_manifest_segment *segment)
{
    segment->frames = 11;
}
static void earlier_epoch(struct mw_manifest_segment *segment)
{
    segment->epoch = 0;
}
static void other_prev(struct mw_manifest_segment *segment)
{
    segment->prev[31] ^= 1;
}
static void no_bytes(struct mw_manifest_segment *segment)
{
    segment->bytes = segment->stored = 0;
}
static void too_many_bytes(struct mw_manifest_segment *segment)
{
    segment->bytes = segment->stored = MW_SEGMENT_BYTES_MAX + 1;
}
static void stored_shorter(struct mw_manifest_segment *segment)
{
    segment->stored--;
}
static void stored_otherwise(struct mw_manifest_segment *segment)
{
    segment->stored_sha256[0] = 'c';
}
static void not_hexadecimal(struct mw_manifest_segment *segment)
{
    segment->sha256[3] = 'g';
}
static void as_it_is(struct mw_manifest_segment *segment)
{
    (void)segment;
}

static void v39_a_line_that_cannot_be_is_refused_with_its_number(void **state)
{
    static const struct {
        const char *name;
        void (*change)(struct mw_manifest_segment *segment);
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"as it is", as_it_is, MW_OK, ""},
        {"last before first", last_before_first, MW_E_CORRUPT, "records and frames"},
        {"a gap", gap, MW_E_CORRUPT, "does not begin with the record"},
        {"another frame", other_frame, MW_E_CORRUPT, "first frame"},
        {"no frames", no_frames, MW_E_CORRUPT, "records and frames"},
        {"too many frames", more_frames_than_records, MW_E_CORRUPT, "records and frames"},
        {"epoch", earlier_epoch, MW_E_CORRUPT, "epoch"},
        {"prev", other_prev, MW_E_CORRUPT, "does not follow"},
        {"no bytes", no_bytes, MW_E_CORRUPT, "number of bytes"},
        {"too many bytes", too_many_bytes, MW_E_CORRUPT, "number of bytes"},
        {"stored shorter", stored_shorter, MW_E_CORRUPT, "stored as it is"},
        {"stored otherwise", stored_otherwise, MW_E_CORRUPT, "stored as it is"},
        {"not hexadecimal", not_hexadecimal, MW_E_CORRUPT, "not a segment's line"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_manifest manifest, again = {.count = 0};
        struct mw_buf text = mw_heap_buf();
        struct mw_err err = {.text = ""};
        fill(&manifest, 2);
        rows[i].change(&manifest.segments[1]);
        mw_manifest_write(&manifest, &text);
        enum mw_rc rc = mw_manifest_read(mw_buf_str(&text), &again, &err);
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL ||
            (rc != MW_OK && strstr(err.text, "manifest.jsonl at line 3:") == NULL))
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        mw_manifest_free(&manifest);
        mw_manifest_free(&again);
        mw_heap_buf_free(&text);
    }
}

/* A line with one part of its text replaced, under a first line whose count and digests are right. */
static enum mw_rc read_with(const char *from, const char *to, size_t count, struct mw_err *err)
{
    struct mw_manifest manifest, again;
    struct mw_buf lines = mw_heap_buf(), text = mw_heap_buf();
    char sha256[65];
    fill(&manifest, 1);
    mw_manifest_write(&manifest, &text);
    size_t first = mw_str_find(mw_buf_str(&text), '\n', 0) + 1;
    struct mw_str line = mw_str_sub(mw_buf_str(&text), first, SIZE_MAX);
    const char *at = memmem(line.ptr, line.len, from, strlen(from));
    assert_non_null(at);
    mw_buf_put(&lines, mw_str_sub(line, 0, (size_t)(at - line.ptr)));
    mw_buf_put_z(&lines, to);
    mw_buf_put(&lines, mw_str_sub(line, (size_t)(at - line.ptr) + strlen(from), SIZE_MAX));
    mw_sha256_hex(mw_buf_str(&lines), sha256);
    mw_buf_reset(&text);
    mw_buf_printf(&text, "{\"archive\":1,\"journal\":\"" ID "\",\"segments\":%zu,\"sha256\":\"%s\"",
                  count, sha256);
    char crc[32];
    (void)snprintf(crc, sizeof crc, ",\"crc32c\":\"%08x\"}\n", mw_crc32c(0, mw_buf_str(&text)));
    mw_buf_put_z(&text, crc);
    mw_buf_put(&text, mw_buf_str(&lines));
    enum mw_rc rc = mw_manifest_read(mw_buf_str(&text), &again, err);
    if (rc == MW_OK)
        mw_manifest_free(&again);
    mw_manifest_free(&manifest);
    mw_heap_buf_free(&lines);
    mw_heap_buf_free(&text);
    return rc;
}

static void v39_a_line_of_another_spelling_is_refused(void **state)
{
    static const struct {
        const char *from, *to;
        size_t count;
        enum mw_rc rc;
    } rows[] = {
        {"{", "{", 1, MW_OK},
        {"{", "{", 0, MW_E_CORRUPT},
        {"{", "{", 2, MW_E_CORRUPT},
        {"{", "{", MW_MANIFEST_SEGMENTS_MAX + 1, MW_E_CORRUPT},
        {"\"sha256\":\"aa", "\"sha256\":\"a", 1, MW_E_CORRUPT},
        {"\"prev\":\"00", "\"prev\":\"0", 1, MW_E_CORRUPT},
        {"\"hash\":\"01", "\"hash\":\"1", 1, MW_E_CORRUPT},
        {"\"stored_sha256\":\"aa", "\"stored_sha256\":\"a", 1, MW_E_CORRUPT},
        {"\"hash\":\"01", "\"hash\":\"0A", 1, MW_E_CORRUPT},
        {"\"bytes\":1000", "\"bytes\":01000", 1, MW_E_CORRUPT},
        {"\"bytes\":1000", "\"bytes\": 1000", 1, MW_E_CORRUPT},
        {"\"gzip\":false", "\"gzip\":maybe", 1, MW_E_CORRUPT},
        {"\"}\n", "\"}", 1, MW_E_CORRUPT},
        {"\"}\n", "\"}\n\n", 1, MW_E_CORRUPT},
        {"\"}\n", "\",\"more\":1}\n", 1, MW_E_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        enum mw_rc rc = read_with(rows[i].from, rows[i].to, rows[i].count, &err);
        if (rc != rows[i].rc)
            fail_msg("%s → %s: %s: %s", rows[i].from, rows[i].to, mw_rc_name(rc), err.text);
    }
}

static void v39_a_first_line_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum mw_rc rc;
    } rows[] = {
        {"", MW_E_CORRUPT},
        {"\n", MW_E_CORRUPT},
        {"{\"archive\":1,\"journal\":\"c0ffee\"}\n", MW_E_CORRUPT},
        {"{\"archive\":2,\"journal\":\"c0ffee\"}\n", MW_E_CONFIG},
        {"{\"archive\":123,\"anything\"\n", MW_E_CONFIG},
        {"{\"archive\":1x,\n", MW_E_CORRUPT},
        {"{\"archive\":2", MW_E_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_manifest manifest;
        struct mw_err err = {.text = ""};
        assert_int_equal(mw_manifest_read(mw_str_of(rows[i].text), &manifest, &err), rows[i].rc);
        assert_non_null(strstr(err.text, "manifest.jsonl"));
    }
}

/* ---- gzip ---- */

static enum mw_rc put_into(void *context, struct mw_str bytes, struct mw_err *err)
{
    (void)err;
    mw_buf_put(context, bytes);
    return MW_OK;
}

static enum mw_rc refuse(void *context, struct mw_str bytes, struct mw_err *err)
{
    (void)context;
    return MW_FAIL(err, MW_E_LIMIT, "not %zu bytes", bytes.len);
}

static void pack(struct mw_str bytes, size_t piece, struct mw_buf *out)
{
    struct mw_gzip *gzip;
    struct mw_err err;
    assert_int_equal(mw_gzip_open(true, put_into, out, &gzip, &err), MW_OK);
    for (size_t at = 0; at < bytes.len; at += piece)
        assert_int_equal(mw_gzip_put(gzip, mw_str_sub(bytes, at, piece), false, &err), MW_OK);
    assert_false(mw_gzip_ended(gzip));
    assert_int_equal(mw_gzip_put(gzip, MW_STR_NONE, true, &err), MW_OK);
    assert_true(mw_gzip_ended(gzip));
    mw_gzip_close(gzip);
}

static enum mw_rc unpack(struct mw_str bytes, size_t piece, struct mw_buf *out, bool *ret_ended)
{
    struct mw_gzip *gzip;
    struct mw_err err;
    enum mw_rc rc = mw_gzip_open(false, put_into, out, &gzip, &err);
    for (size_t at = 0; rc == MW_OK && at < bytes.len; at += piece)
        rc = mw_gzip_put(gzip, mw_str_sub(bytes, at, piece), false, &err);
    *ret_ended = mw_gzip_ended(gzip);
    mw_gzip_close(gzip);
    return rc;
}

static void v39_what_gzip_packed_is_unpacked_in_pieces_of_any_size(void **state)
{
    struct mw_buf bytes = mw_heap_buf(), packed = mw_heap_buf(), again = mw_heap_buf();
    bool ended;
    (void)state;
    rig_reset(7);
    /* Some that can be packed well, and some that cannot: more than one piece comes out either way. */
    for (int i = 0; i < 400000; i++)
        mw_buf_put_c(&bytes, i < 200000 ? (char)('a' + i % 7) : (char)(rig_random() >> 32));
    for (size_t piece = 1000; piece <= bytes.len; piece *= 20) {
        mw_buf_reset(&packed);
        pack(mw_buf_str(&bytes), piece, &packed);
        assert_true(packed.len > 190000 && packed.len < 230000);
        mw_buf_reset(&again);
        assert_int_equal(unpack(mw_buf_str(&packed), piece, &again, &ended), MW_OK);
        assert_true(ended && mw_str_eq(mw_buf_str(&bytes), mw_buf_str(&again)));
    }
    /* What comes out fills a piece exactly, and nothing is left to be read. */
    mw_buf_reset(&packed);
    mw_buf_reset(&again);
    pack(mw_str_sub(mw_buf_str(&bytes), 0, 256 << 10), 1000, &packed);
    assert_int_equal(
        unpack(mw_str_sub(mw_buf_str(&packed), 0, packed.len - 8), packed.len, &again, &ended),
        MW_OK);
    assert_true(!ended && again.len == 256 << 10);
    mw_buf_reset(&packed);
    pack(MW_STR_NONE, 1, &packed);
    mw_buf_reset(&again);
    assert_int_equal(unpack(mw_buf_str(&packed), 1, &again, &ended), MW_OK);
    assert_true(ended && again.len == 0);
    mw_heap_buf_free(&bytes);
    mw_heap_buf_free(&packed);
    mw_heap_buf_free(&again);
}

static void v39_what_is_no_gzip_member_is_not_unpacked(void **state)
{
    struct mw_buf packed = mw_heap_buf(), again = mw_heap_buf();
    struct mw_gzip *gzip;
    struct mw_err err;
    bool ended;
    (void)state;
    pack(MW_STR("{\"a\":1}\n{\"b\":2}\n"), 5, &packed);
    for (size_t piece = 1; piece <= packed.len; piece += packed.len - 1) {
        for (size_t len = 0; len < packed.len; len++) { /* cut: no fault, and no end */
            mw_buf_reset(&again);
            assert_int_equal(unpack(mw_str_sub(mw_buf_str(&packed), 0, len), piece, &again, &ended),
                             MW_OK);
            assert_false(ended);
        }
        mw_buf_put_c(&packed, 'x'); /* it goes on */
        assert_int_equal(unpack(mw_buf_str(&packed), piece, &again, &ended), MW_E_CORRUPT);
        packed.len--;
        packed.ptr[packed.len - 6] ^= 1; /* the checksum */
        assert_int_equal(unpack(mw_buf_str(&packed), piece, &again, &ended), MW_E_CORRUPT);
        assert_false(ended);
        packed.ptr[packed.len - 6] ^= 1;
        assert_int_equal(unpack(MW_STR("{\"a\":1}\n"), piece, &again, &ended), MW_E_CORRUPT);
    }
    /* Who does not want what comes out ends it. */
    assert_int_equal(mw_gzip_open(false, refuse, NULL, &gzip, &err), MW_OK);
    assert_int_equal(mw_gzip_put(gzip, mw_buf_str(&packed), false, &err), MW_E_LIMIT);
    mw_gzip_close(gzip);
    mw_gzip_close(NULL);
    mw_heap_buf_free(&packed);
    mw_heap_buf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v39_a_manifest_is_read_as_it_was_written),
        cmocka_unit_test(v39_every_byte_of_a_manifest_counts),
        cmocka_unit_test(v39_a_line_that_cannot_be_is_refused_with_its_number),
        cmocka_unit_test(v39_a_line_of_another_spelling_is_refused),
        cmocka_unit_test(v39_a_first_line_that_cannot_be_is_refused),
        cmocka_unit_test(v39_what_gzip_packed_is_unpacked_in_pieces_of_any_size),
        cmocka_unit_test(v39_what_is_no_gzip_member_is_not_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
