/*
 * test_archive_damage.c - V39: whatever was changed in an archive, or in the journal that it is of, is told with file, byte and record.
 */
#include "../crash/archive_rig.h"
#include "posix/heap.h"

#include <zlib.h>

static bool no_library, no_memory; /* for zlib */

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    return no_library ? NULL : __real_dlopen(name, flags);
}

static int (*begin_packing)(z_streamp, int, int, int, int, int, const char *, int);
static int (*begin_unpacking)(z_streamp, int, const char *, int);

static int pack(z_streamp stream, int level, int method, int window_bits, int memory_level,
                int strategy, const char *version, int size)
{
    return no_memory ? Z_MEM_ERROR
                     : begin_packing(stream, level, method, window_bits, memory_level, strategy,
                                     version, size);
}

static int unpack(z_streamp stream, int window_bits, const char *version, int size)
{
    return no_memory ? Z_MEM_ERROR : begin_unpacking(stream, window_bits, version, size);
}

void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name)
{
    void *address = __real_dlsym(library, name), *ours = NULL;
    if (strcmp(name, "deflateInit2_") == 0) {
        memcpy(&begin_packing, &address, sizeof address);
        memcpy(&ours, &(__typeof__(&pack)){pack}, sizeof ours);
    } else if (strcmp(name, "inflateInit2_") == 0) {
        memcpy(&begin_unpacking, &address, sizeof address);
        memcpy(&ours, &(__typeof__(&unpack)){unpack}, sizeof ours);
    }
    return ours != NULL ? ours : address;
}

/* ---- damage in the archive ---- */

struct place {
    char dir[80];
    char segment[MW_ARCHIVE_NAME_BYTES]; /* file of the second segment */
    uint64_t first, last;                /* its records */
    uint64_t frame_end;                  /* of its first frame */
    uint64_t frame_last;                 /* last record of it */
    uint64_t bytes;                      /* of the file */
    uint64_t unpacked;                   /* of the segment */
};

static void in_archive(const struct place *place, char ret_path[RIG_PATH])
{
    rig_path(archive_dir, place->segment, ret_path);
}

static void in_journal(const struct place *place, char ret_path[RIG_PATH])
{
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(place->first, name);
    rig_path(journal_dir, name, ret_path);
}

static void as_stored(const struct place *place)
{
    (void)place;
}
static void file_gone(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    assert_int_equal(unlink(path), 0);
}
static void file_emptied(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    assert_int_equal(truncate(path, 0), 0);
}
static void second_frame_changed(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    rig_change_byte(path, (off_t)place->frame_end + 5, 1);
}
static void cut_after_first_frame(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    assert_int_equal(truncate(path, (off_t)place->frame_end), 0);
}
static void cut_in_the_end(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    assert_int_equal(truncate(path, (off_t)place->bytes - 4), 0);
}
static void goes_on(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    rig_append_text(path, "more");
}
static void goes_on_for_long(const struct place *place)
{
    static char text[300000];
    char path[RIG_PATH];
    memset(text, 'x', sizeof text - 1);
    in_archive(place, path);
    rig_append_text(path, text);
}
static void checksum_changed(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    rig_change_byte(path, (off_t)place->bytes - 6, 1);
}
static void time_changed(const struct place *place)
{
    char path[RIG_PATH];
    in_archive(place, path);
    rig_change_byte(path, 5, 1); /* gzip's own header: unpacked, nothing is seen of it */
}
static void journal_changed(const struct place *place)
{
    char path[RIG_PATH];
    in_journal(place, path);
    rig_change_byte(path, (off_t)place->frame_end - 3, 1);
}
static void journal_cut(const struct place *place)
{
    char path[RIG_PATH];
    in_journal(place, path);
    assert_int_equal(truncate(path, (off_t)place->frame_end), 0);
}
static void journal_goes_on(const struct place *place)
{
    char path[RIG_PATH];
    in_journal(place, path);
    rig_append_text(path, "x");
}
static void journal_segment_gone(const struct place *place)
{
    char path[RIG_PATH];
    in_journal(place, path);
    assert_int_equal(unlink(path), 0);
}
static void journal_unreadable(const struct place *place)
{
    char path[RIG_PATH];
    (void)place;
    rig_path(journal_dir, "00000000000000000001.jsonl", path);
    rig_change_byte(path, 2, 1);
}
static void journal_empty(const struct place *place)
{
    (void)place;
    rig_empty_dir(journal_dir);
}
static void both_changed(const struct place *place)
{
    file_gone(place);
    journal_unreadable(place);
}

/* The manifest tells something else of the last segment, with all digests right. */
static void retell(void (*change)(struct mw_manifest_segment *segment))
{
    struct mw_manifest manifest;
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    char path[RIG_PATH];
    rig_path(archive_dir, MW_MANIFEST_FILE, path);
    assert_int_equal(mw_file_read(AT_FDCWD, path, 1 << 20, &text, &err), MW_OK);
    assert_int_equal(mw_manifest_read(mw_buf_str(&text), &manifest, &err), MW_OK);
    change(&manifest.segments[manifest.count - 1]);
    mw_buf_reset(&text);
    mw_manifest_write(&manifest, &text);
    assert_int_equal(mw_file_replace(AT_FDCWD, path, mw_buf_str(&text), 0600, &err), MW_OK);
    mw_manifest_free(&manifest);
    mw_heap_buf_free(&text);
}

static void more_records(struct mw_manifest_segment *segment)
{
    segment->last++;
}
static void fewer_frames(struct mw_manifest_segment *segment)
{
    segment->frames--;
}
static void later_epoch(struct mw_manifest_segment *segment)
{
    segment->epoch++;
}
static void other_hash(struct mw_manifest_segment *segment)
{
    segment->hash[3] ^= 1;
}
static void other_sha256(struct mw_manifest_segment *segment)
{
    segment->sha256[0] = segment->sha256[0] == '0' ? '1' : '0';
    if (!segment->gzip)
        segment->stored_sha256[0] = segment->sha256[0];
}
static void fewer_bytes(struct mw_manifest_segment *segment)
{
    segment->bytes--;
    segment->stored -= !segment->gzip;
}
static void retell_records(const struct place *place)
{
    (void)place;
    retell(more_records);
}
static void retell_frames(const struct place *place)
{
    (void)place;
    retell(fewer_frames);
}
static void retell_epoch(const struct place *place)
{
    (void)place;
    retell(later_epoch);
}
static void retell_hash(const struct place *place)
{
    (void)place;
    retell(other_hash);
}
static void retell_sha256(const struct place *place)
{
    (void)place;
    retell(other_sha256);
}
static void retell_bytes(const struct place *place)
{
    (void)place;
    retell(fewer_bytes);
}

static void first_end(void *context, const struct mw_manifest_segment *segment)
{
    struct place *place = context;
    if (place->first != 0 || segment->first == 1)
        return;
    place->first = segment->first;
    place->last = segment->last;
    place->bytes = segment->stored;
    place->unpacked = segment->bytes;
    mw_archive_name(segment, place->segment);
}

/* An archive of two segments, the first and the `place`; the place's first frame read from the journal. */
static struct place make_place(bool packs)
{
    struct place place = {.first = 0};
    struct mw_manifest manifest;
    struct mw_err err = {.text = ""};
    struct mw_frame frame;
    size_t header_bytes;
    char path[RIG_PATH], head[MW_FRAME_HEADER_MAX];
    begin_anew(FIRST, 3);
    if (mw_archive_add(journal_dir, archive_dir, NULL, packs, first_end, &place, &manifest, &err) !=
        MW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(manifest.count, 2);
    mw_manifest_free(&manifest);
    in_journal(&place, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
    (void)close(fd);
    assert_int_equal(mw_frame_read((struct mw_str){head, sizeof head}, &frame, &header_bytes),
                     MW_FRAME_OK);
    place.frame_end = header_bytes + frame.bytes;
    place.frame_last = frame.first + frame.count - 1;
    assert_true(place.frame_end < place.unpacked);
    return place;
}

/* A call that is interrupted or fails hides no damage. */
static void expect_never_sound(const char *name)
{
    static const int errors[] = {EIO, EINTR};
    for (size_t e = 0; e < MW_COUNT(errors); e++) {
        bool hit = true;
        for (long at = 1; hit; at++) {
            struct mw_archive_damage damage = {.file = ""};
            struct mw_manifest manifest;
            struct mw_err err = {.text = ""};
            rig_arm(RIG_ERROR, errors[e], UINT32_MAX, at);
            enum mw_rc rc = mw_archive_check(archive_dir, journal_dir, &rigged, note_damage,
                                             &damage, &manifest, &err);
            hit = rig.fault_hit;
            rig_arm(RIG_NO_FAULT, 0, 0, 0);
            mw_manifest_free(&manifest);
            if (rc == MW_OK || err.text[0] == '\0')
                fail_msg("%s, call %ld, %s: sound", name, at, strerror(errors[e]));
        }
    }
}

enum expected_place { NOWHERE, AT_START, AT_SECOND, AT_END, IN_FIRST };

static void v39_damage_is_told_with_file_byte_and_record(void **state)
{
    enum { PLAIN = 1, PACKED = 2, BOTH = 3 };
    static const struct {
        const char *name;
        int kinds;
        void (*change)(const struct place *place);
        enum expected_place at;
        bool journal; /* the journal's is the other one */
        const char *words;
    } rows[] = {
        {"sound", BOTH, as_stored, NOWHERE, false, ""},
        {"gone", BOTH, file_gone, AT_START, false, "not there"},
        {"emptied", PLAIN, file_emptied, AT_START, false, "length"},
        {"emptied", PACKED, file_emptied, AT_START, false, "cut"},
        {"changed", PLAIN, second_frame_changed, AT_SECOND, false, "not a frame's header"},
        {"cut between frames", PLAIN, cut_after_first_frame, AT_SECOND, false, "length"},
        {"goes on", PLAIN, goes_on, AT_END, false, "header"},
        {"goes on", PACKED, goes_on, AT_END, false, "goes on after the end"},
        {"goes on for long", PACKED, goes_on_for_long, AT_END, false, "goes on after the end"},
        {"cut", PACKED, cut_in_the_end, AT_END, false, "cut"},
        {"checksum", PACKED, checksum_changed, AT_END, false, "not what gzip writes"},
        {"time", PACKED, time_changed, AT_START, false, "packed bytes"},
        {"records", BOTH, retell_records, AT_END, false, "records, frames or epoch"},
        {"frames", BOTH, retell_frames, AT_END, false, "records, frames or epoch"},
        {"epoch", BOTH, retell_epoch, AT_END, false, "records, frames or epoch"},
        {"hash", BOTH, retell_hash, AT_END, false, "last frame"},
        {"SHA-256", BOTH, retell_sha256, AT_END, false, "bytes are not the ones"},
        {"bytes", PLAIN, retell_bytes, AT_END, false, "length"},
        {"the journal changed", BOTH, journal_changed, IN_FIRST, true, "other bytes"},
        {"the journal cut", BOTH, journal_cut, AT_SECOND, true, "ends here"},
        {"the journal goes on", BOTH, journal_goes_on, AT_END, true, "goes on"},
        {"the journal without it", BOTH, journal_segment_gone, AT_START, true, "no such segment"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (int packs = 0; packs < 2; packs++) {
            if ((rows[i].kinds & 1 << packs) == 0)
                continue;
            struct place place = make_place(packs == 1);
            struct mw_archive_damage damage = {.file = ""};
            struct mw_manifest manifest;
            struct mw_err err = {.text = ""};
            rows[i].change(&place);
            enum mw_rc rc = mw_archive_check(archive_dir, journal_dir, NULL, note_damage, &damage,
                                             &manifest, i % 2 == 0 ? &err : NULL);
            mw_manifest_free(&manifest);
            const struct {
                uint64_t offset, seq;
            } expected[] = {[NOWHERE] = {0, 0},
                            [AT_START] = {0, place.first},
                            [AT_SECOND] = {place.frame_end, place.frame_last + 1},
                            [AT_END] = {place.unpacked, place.last + 1},
                            [IN_FIRST] = {place.frame_end - 3, place.frame_last}};
            if (rc != (rows[i].at == NOWHERE ? MW_OK : MW_E_CORRUPT) ||
                damage.offset != expected[rows[i].at].offset ||
                damage.seq != expected[rows[i].at].seq || damage.in_journal != rows[i].journal ||
                strstr(damage.what, rows[i].words) == NULL)
                fail_msg("%s, %d: %s: %s at byte %lu, record %lu: %s", rows[i].name, packs,
                         mw_rc_name(rc), damage.file, (unsigned long)damage.offset,
                         (unsigned long)damage.seq, damage.what);
            if (rows[i].at != NOWHERE && strncmp(damage.file, place.segment, 20) != 0)
                fail_msg("%s: %s", rows[i].name, damage.file);
            if (rows[i].at != NOWHERE)
                expect_never_sound(rows[i].name);
        }
}

static void v39_more_than_the_manifest_says_is_not_unpacked(void **state)
{
    struct mw_archive_damage damage = {.file = ""};
    struct mw_manifest manifest;
    struct mw_err err;
    (void)state;
    struct place place = make_place(true);
    retell_bytes(&place);
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, &quick, note_damage, &damage, &manifest, &err),
        MW_E_CORRUPT);
    mw_manifest_free(&manifest);
    assert_non_null(strstr(damage.what, "more bytes than"));
    assert_true(damage.offset < place.unpacked && damage.seq <= place.last);
}

static void v39_a_journal_that_cannot_be_read_does_not_hide_its_archive(void **state)
{
    static const struct {
        void (*change)(const struct place *place);
        enum mw_rc rc;
    } rows[] = {{journal_unreadable, MW_E_CORRUPT},
                {journal_empty, MW_E_CORRUPT},
                {both_changed, MW_E_CORRUPT}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_archive_damage damage = {.file = ""};
        struct mw_manifest manifest;
        struct mw_err err;
        struct place place = make_place(false);
        rows[i].change(&place);
        enum mw_rc rc = mw_archive_check(archive_dir, journal_dir, &quick, note_damage, &damage,
                                         &manifest, &err);
        assert_int_equal(rc, rows[i].rc);
        assert_int_equal(manifest.count, 2);
        assert_non_null(strstr(err.text, "journal damaged: 00000000000000000001.jsonl"));
        assert_int_equal(damage.in_journal, rows[i].change != both_changed); /* the last told */
        mw_manifest_free(&manifest);
    }
    struct mw_manifest manifest;
    struct mw_err err;
    assert_int_equal(mw_archive_check(base, NULL, NULL, note_damage, NULL, &manifest, &err),
                     MW_E_MISSING);
}

static void v39_an_archive_is_compared_with_no_journal_but_its_own(void **state)
{
    static const struct mw_journal_options plain = {.segment_bytes = 0};
    struct mw_archive_damage damage = {.file = ""};
    struct mw_manifest manifest;
    struct mw_err err = {.text = ""};
    (void)state;
    (void)make_place(false);
    assert_int_equal(
        mw_archive_check(archive_dir, journal_dir, &plain, note_damage, &damage, &manifest, &err),
        MW_OK);
    mw_manifest_free(&manifest);
    rig_empty_dir(journal_dir);
    grow_journal(journal_dir, "{\"seq\":1,\"payload\":{\"journalId\":\"beef\"}}\n", 3);
    assert_int_equal(
        mw_archive_check(archive_dir, journal_dir, &plain, note_damage, &damage, &manifest, &err),
        MW_E_DENIED);
    assert_non_null(strstr(err.text, "another journal (" ID "; this one is beef)"));
    assert_int_equal(manifest.count, 0);
    assert_int_equal(damage.file[0], '\0'); /* nothing is said of either */
}

static void packed_after_all(struct mw_manifest_segment *segment)
{
    segment->gzip = true;
}

static void v39_without_zlib_it_is_said_what_is_missing(void **state)
{
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    struct mw_err err = {.text = ""};
    char plain[RIG_PATH], packed[RIG_PATH + 4];
    (void)state;
    struct place place = make_place(false);
    retell(packed_after_all);
    in_archive(&place, plain);
    (void)snprintf(packed, sizeof packed, "%s.gz", plain);
    assert_int_equal(rename(plain, packed), 0);
    no_library = true;
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, &quick, note_damage, &damage, &manifest, &err),
        MW_E_MISSING);
    assert_non_null(strstr(err.text, "zlib1g"));
    assert_int_equal(manifest.count, 0);
    remove_archive();
    told = 0;
    assert_int_equal(add(&quick, true, &err), MW_E_MISSING);
    assert_non_null(strstr(err.text, "zlib1g"));
    assert_int_equal(add(&quick, false, &err), MW_OK); /* which needs none */
    no_library = false;
    no_memory = true;
    remove_archive();
    told = 0;
    assert_int_equal(add(&quick, true, &err), MW_E_MISSING);
    assert_non_null(strstr(err.text, "cannot be used (its answer: -4)"));
    no_memory = false;
    assert_int_equal(add(&quick, true, &err), MW_OK);
    no_memory = true;
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, &quick, note_damage, &damage, &manifest, &err),
        MW_E_MISSING);
    assert_int_equal(manifest.count, 0);
    no_memory = false;
}

static void v39_records_of_any_size_are_packed_compared_and_their_damage_told(void **state)
{
    static char line[900000];
    struct mw_journal_opened opened;
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    struct mw_err err = {.text = ""};
    uint64_t last = 0;
    void *journal;
    char path[RIG_PATH];
    (void)state;
    begin_anew(FIRST, 1);
    int length = snprintf(line, sizeof line, "{\"text\":\"");
    for (size_t i = (size_t)length; i < sizeof line - 3; i++)
        line[i] = "0123456789abcdef"[rig_random() >> 32 & 15];
    memcpy(line + sizeof line - 3, "\"}\n", 3);
    assert_int_equal(ops->open(journal_dir, &quick, &journal, &opened, &err), MW_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ops->append(journal, ops->last_seq(journal) + 1, 1,
                                     (struct mw_str){line, sizeof line}, &err),
                         MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    if (add(NULL, true, NULL) != MW_OK || check_of(archive_dir, &last, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(last, sealed_last());
    rig_path(archive_dir, "00000000000000000002.jsonl.gz", path);
    rig_change_byte(path, 100, 8);
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, NULL, note_damage, &damage, &manifest, &err),
        MW_E_CORRUPT);
    mw_manifest_free(&manifest);
    assert_true(damage.offset == 0 && damage.seq == 2);
    rig_change_byte(path, 100, 8);
    rig_path(journal_dir, "00000000000000000002.jsonl", path);
    rig_change_byte(path, 700000, 1);
    assert_int_equal(check_of(archive_dir, &last, &err), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "journal damaged: 00000000000000000002.jsonl at byte 700000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v39_without_zlib_it_is_said_what_is_missing), /* before it is loaded */
        cmocka_unit_test(v39_damage_is_told_with_file_byte_and_record),
        cmocka_unit_test(v39_records_of_any_size_are_packed_compared_and_their_damage_told),
        cmocka_unit_test(v39_more_than_the_manifest_says_is_not_unpacked),
        cmocka_unit_test(v39_an_archive_is_compared_with_no_journal_but_its_own),
        cmocka_unit_test(v39_a_journal_that_cannot_be_read_does_not_hide_its_archive),
    };
    return cmocka_run_group_tests(tests, NULL, end_archives);
}
