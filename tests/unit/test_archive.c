/*
 * test_archive.c - V39: archives of sealed segments. Every call fails once, in every way that such calls fail, and the power is cut at every
 * moment: the archive holds what its manifest says, all that was told stored is there, and the next run goes on. Every line of the manifest
 * that is not the one that was written is refused with its number. What gzip packed is unpacked in pieces of any size, or refused.
 */
#include "../crash/journal_rig.h"
#include "journal/archive.h"
#include "journal/gzip.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>

#include <cmocka.h>

#define ID "c0ffee"

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_quick};
static const struct mw_journal_options rigged = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_sys};
static char base[64], journal_dir[80], archive_dir[80];
static uint64_t told; /* the last record of what was told stored */

/* The calls that do not go through the journal's table, by the linker (test_archive.wraps). */
static struct {
    long at;
    long calls;
    int error;
    bool hit;
} outside;

static bool strikes_outside(void)
{
    if (outside.at == 0 || ++outside.calls != outside.at)
        return false;
    outside.hit = true;
    errno = outside.error;
    return true;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    return strikes_outside() ? -1 : __real_flock(fd, operation);
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    return strikes_outside() ? NULL : __real_fdopendir(fd);
}

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder)
{
    return strikes_outside() ? NULL : __real_readdir(folder);
}

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
    return strikes_outside() ? -1 : __real_memfd_create(name, flags);
}

ssize_t __real_write(int fd, const void *memory, size_t size_bytes);
ssize_t __wrap_write(int fd, const void *memory, size_t size_bytes);
ssize_t __wrap_write(int fd, const void *memory, size_t size_bytes)
{
    return strikes_outside() ? -1 : __real_write(fd, memory, size_bytes);
}

static bool no_library;

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    return no_library ? NULL : __real_dlopen(name, flags);
}

/* ---- a journal of several segments ---- */

/* Appends frames until there are `segments`; the first record names the journal. */
static void grow_journal(const char *dir, const char *first_line, int segments)
{
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    struct mw_err err;
    void *journal;
    assert_int_equal(ops->open(dir, &quick, &journal, &opened, &err), MW_OK);
    ops->stats(journal, &stats);
    if (ops->last_seq(journal) == 0)
        assert_int_equal(ops->append(journal, 1, 1, mw_str_of(first_line), &err), MW_OK);
    while (ops->stats(journal, &stats), stats.segments < (uint64_t)segments)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1,
                                    1 + (uint32_t)ops->last_seq(journal) % 3, &err),
                         MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}

static void remove_archive(void)
{
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, archive_dir, &err), MW_OK);
}

static void begin_anew(const char *first_line, int segments)
{
    if (base[0] == '\0') {
        rig_new_dir(base);
        (void)snprintf(journal_dir, sizeof journal_dir, "%s/journal", base);
        (void)snprintf(archive_dir, sizeof archive_dir, "%s/archive", base);
    }
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, journal_dir, &err), MW_OK);
    remove_archive();
    told = 0;
    grow_journal(journal_dir, first_line, segments);
}

#define FIRST "{\"seq\":1,\"payload\":{\"journalId\":\"" ID "\"}}\n"

static void note_told(void *context, const struct mw_manifest_segment *segment)
{
    (void)context;
    assert_int_equal(segment->first, told + 1);
    told = segment->last;
    rig_ack(told);
}

static void note_damage(void *context, const struct mw_archive_damage *damage)
{
    struct mw_archive_damage *last = context;
    *last = *damage;
}

static enum mw_rc add(const struct mw_journal_options *options, bool packs, struct mw_err *err)
{
    struct mw_manifest manifest;
    enum mw_rc rc =
        mw_archive_add(journal_dir, archive_dir, options, packs, note_told, NULL, &manifest, err);
    if (rc != MW_OK)
        return rc;
    assert_string_equal(manifest.journal, ID);
    mw_manifest_free(&manifest);
    return MW_OK;
}

/* Without faults: a sound archive, of the journal, with all that was told stored. *ret_last: its last record. */
static enum mw_rc check_of(const char *dir, uint64_t *ret_last, struct mw_err *err)
{
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    enum mw_rc rc =
        mw_archive_check(dir, journal_dir, &quick, note_damage, &damage, &manifest, err);
    *ret_last = 0;
    if (rc != MW_OK && rc != MW_E_CORRUPT)
        return rc;
    if (manifest.count > 0)
        *ret_last = manifest.segments[manifest.count - 1].last;
    mw_manifest_free(&manifest);
    return rc;
}

static uint64_t sealed_last(void)
{
    int fd = open(journal_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_segments segments;
    struct mw_err err;
    assert_int_equal(mw_segments_list(fd, &segments, &err), MW_OK);
    uint64_t last = segments.count > 1 ? segments.first[segments.count - 1] - 1 : 0;
    mw_segments_free(&segments);
    (void)close(fd);
    return last;
}

/* ---- every call fails once ---- */

static void fresh(void)
{
    begin_anew(FIRST, 4);
}

static void half(void)
{
    struct mw_err err;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    grow_journal(journal_dir, FIRST, 5);
}

static void whole(void)
{
    struct mw_err err;
    begin_anew(FIRST, 4);
    assert_int_equal(add(&quick, true, &err), MW_OK);
}

static enum mw_rc add_plain(struct mw_err *err)
{
    return add(&rigged, false, err);
}

static enum mw_rc add_packed(struct mw_err *err)
{
    return add(&rigged, true, err);
}

static enum mw_rc seal_and_add(struct mw_err *err)
{
    bool sealed;
    enum mw_rc rc = mw_archive_seal(journal_dir, &rigged, &sealed, err);
    return rc == MW_OK ? add(&rigged, true, err) : rc;
}

static enum mw_rc check_it(struct mw_err *err)
{
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    enum mw_rc rc =
        mw_archive_check(archive_dir, journal_dir, &rigged, note_damage, &damage, &manifest, err);
    if (rc == MW_OK || rc == MW_E_CORRUPT)
        mw_manifest_free(&manifest);
    return rc;
}

static const struct scene {
    const char *name;
    void (*before)(void);
    enum mw_rc (*act)(struct mw_err *err);
} scenes[] = {
    {"a fresh archive", fresh, add_plain},     {"a fresh packed one", fresh, add_packed},
    {"more of it", half, add_packed},          {"nothing more", whole, add_plain},
    {"sealed and stored", half, seal_and_add}, {"checked", whole, check_it},
    {"checked, as they are", half, check_it},
};

static const struct fault {
    enum rig_fault kind; /* NO_FAULT: a call outside of the table */
    int error;
} faults[] = {
    {RIG_ERROR, EIO},
    {RIG_ERROR, ENOSPC},
    {RIG_ERROR, EINTR},
    {RIG_ERROR, EACCES},
    {RIG_ERROR, EROFS},
    {RIG_ERROR, EFBIG},
    {RIG_ERROR, ENOENT},
    {RIG_SHORT, 0},
    {RIG_DEAD, 0},
    {RIG_NO_FAULT, EIO},
    {RIG_NO_FAULT, EINTR},
    {RIG_NO_FAULT, ENOMEM},
    {RIG_NO_FAULT, EWOULDBLOCK},
};

static void judge(const struct scene *scene, const char *what)
{
    struct mw_err err = {.text = ""};
    uint64_t last;
    enum mw_rc rc = check_of(archive_dir, &last, &err);
    if (rc != MW_OK && !(rc == MW_E_MISSING && told == 0))
        fail_msg("%s, %s: afterwards: %s", scene->name, what, err.text);
    if (last < told)
        fail_msg("%s, %s: record %lu was told stored, the archive ends with %lu", scene->name, what,
                 (unsigned long)told, (unsigned long)last);
    told = last;
    if (add(&quick, false, &err) != MW_OK)
        fail_msg("%s, %s: the next run: %s", scene->name, what, err.text);
    assert_int_equal(check_of(archive_dir, &last, &err), MW_OK);
    assert_int_equal(last, sealed_last());
    assert_int_equal(told, last);
}

static unsigned disturb(const struct scene *scene, const struct fault *fault)
{
    unsigned struck = 0;
    bool hit = true;
    for (long at = 1; hit; at++) {
        struct mw_err err = {.text = ""};
        char what[160];
        assert_true(at < 1000);
        rig_reset(1);
        scene->before();
        rig.recording = false;
        if (fault->kind == RIG_NO_FAULT) {
            outside.at = at;
            outside.calls = 0;
            outside.error = fault->error;
            outside.hit = false;
        } else {
            rig_arm(fault->kind, fault->error, UINT32_MAX, at);
        }
        enum mw_rc rc = scene->act(&err);
        hit = fault->kind == RIG_NO_FAULT ? outside.hit : rig.fault_hit;
        outside.at = 0;
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        (void)snprintf(what, sizeof what, "call %ld: %s", at,
                       fault->kind == RIG_SHORT  ? "short"
                       : fault->kind == RIG_DEAD ? "killed"
                                                 : strerror(fault->error));
        bool known = rc == MW_OK || rc == MW_E_IO || rc == MW_E_FULL || rc == MW_E_DENIED ||
                     rc == MW_E_MISSING || rc == MW_E_CORRUPT || rc == MW_E_CONFLICT;
        if (!known || (rc != MW_OK && err.text[0] == '\0'))
            fail_msg("%s, %s: %s: %s", scene->name, what, mw_rc_name(rc), err.text);
        if (!hit && rc != MW_OK)
            fail_msg("%s: %s: %s", scene->name, mw_rc_name(rc), err.text);
        judge(scene, what);
        struck += hit;
    }
    return struck;
}

static void v39_every_call_that_fails_is_told_and_the_archive_holds_what_it_says(void **state)
{
    unsigned struck = 0;
    (void)state;
    for (size_t s = 0; s < MW_COUNT(scenes); s++)
        for (size_t f = 0; f < MW_COUNT(faults); f++)
            struck += disturb(&scenes[s], &faults[f]);
    print_message("%u calls failed\n", struck);
    assert_true(struck > 1000);
}

/* ---- the power is cut ---- */

static void v39_after_a_power_cut_at_any_moment_all_that_was_told_stored_is_there(void **state)
{
    char cut_dir[64];
    unsigned states = 0, with_manifest = 0;
    struct mw_err err = {.text = ""};
    (void)state;
    rig_new_dir(cut_dir);
    rig_reset(1);
    begin_anew(FIRST, 5);
    /* Packed: the rig knows files by name alone, and the journal's have other names then. */
    if (add(&rigged, true, &err) != MW_OK)
        fail_msg("%s", err.text);
    rig.recording = false;
    int cut_fd = open(cut_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int prefix = 0; prefix <= rig.op_count; prefix++)
        for (int kind = 0; kind < (rig_night() ? 40 : 8); kind++, states++) {
            uint64_t last;
            rig_empty_dir(cut_dir);
            uint64_t acked = rig_power_cut(prefix, kind, cut_fd);
            enum mw_rc rc = check_of(cut_dir, &last, &err);
            if (rc != MW_OK && !(rc == MW_E_MISSING && acked == 0))
                fail_msg("cut after %d, kind %d: %s", prefix, kind, err.text);
            if (last < acked)
                fail_msg("cut after %d, kind %d: record %lu was told stored, it ends with %lu",
                         prefix, kind, (unsigned long)acked, (unsigned long)last);
            with_manifest += rc == MW_OK;
        }
    print_message("%u states, %u with a manifest\n", states, with_manifest);
    assert_true(with_manifest > 100 && with_manifest < states);
    (void)close(cut_fd);
    rig_remove_dir(cut_dir);
}

/* ---- what is refused ---- */

static void v39_a_journal_that_does_not_name_itself_is_not_archived(void **state)
{
    static const struct {
        const char *first_line;
        enum mw_rc rc;
    } rows[] = {
        {FIRST, MW_OK},
        {"{\"seq\":1}\n", MW_E_CORRUPT},
        {"{\"seq\":1,}\n", MW_E_CORRUPT},
        {"{\"seq\":1,\"payload\":{\"journalId\":\"\"}}\n", MW_E_CORRUPT},
        {"{\"seq\":1,\"payload\":{\"journalId\":\"0123456789abcdef0\"}}\n", MW_E_CORRUPT},
        {"{\"seq\":1,\"payload\":{\"journalId\":\"c0ffeE\"}}\n", MW_E_CORRUPT},
        {"{\"seq\":1,\"payload\":{\"journalId\":7}}\n", MW_E_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_manifest manifest;
        struct mw_err err = {.text = ""};
        begin_anew(rows[i].first_line, 3);
        enum mw_rc rc = mw_archive_add(journal_dir, archive_dir, &quick, false, note_told, NULL,
                                       &manifest, &err);
        if (rc != rows[i].rc)
            fail_msg("%s: %s: %s", rows[i].first_line, mw_rc_name(rc), err.text);
        if (rc == MW_OK)
            mw_manifest_free(&manifest);
        else
            assert_false(mw_exists(AT_FDCWD, archive_dir)); /* nothing was made */
    }
}

static void v39_an_empty_journal_is_neither_archived_nor_sealed(void **state)
{
    struct mw_journal_opened opened;
    struct mw_manifest manifest;
    struct mw_err err;
    void *journal;
    bool sealed;
    (void)state;
    begin_anew(FIRST, 1);
    assert_int_equal(mw_remove_tree(AT_FDCWD, journal_dir, &err), MW_OK);
    assert_int_equal(mw_archive_seal(journal_dir, &quick, &sealed, &err), MW_E_MISSING);
    assert_int_equal(ops->open(journal_dir, &quick, &journal, &opened, &err), MW_OK);
    assert_int_equal(mw_archive_seal(journal_dir, &quick, &sealed, &err), MW_E_CONFLICT);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    assert_int_equal(mw_archive_seal(journal_dir, &quick, &sealed, &err), MW_E_MISSING);
    assert_int_equal(
        mw_archive_add(journal_dir, archive_dir, &quick, false, note_told, NULL, &manifest, &err),
        MW_E_MISSING);
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

static void path_in(const char *dir, const char *name, char ret_path[160])
{
    (void)snprintf(ret_path, 160, "%s/%s", dir, name);
}

static void change_file(const char *path, off_t at, char with)
{
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ with);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void append_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void in_archive(const struct place *place, char ret_path[160])
{
    path_in(archive_dir, place->segment, ret_path);
}

static void in_journal(const struct place *place, char ret_path[160])
{
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(place->first, name);
    path_in(journal_dir, name, ret_path);
}

static void as_stored(const struct place *place)
{
    (void)place;
}
static void file_gone(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    assert_int_equal(unlink(path), 0);
}
static void file_emptied(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    assert_int_equal(truncate(path, 0), 0);
}
static void second_frame_changed(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    change_file(path, (off_t)place->frame_end + 5, 1);
}
static void cut_after_first_frame(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    assert_int_equal(truncate(path, (off_t)place->frame_end), 0);
}
static void cut_in_the_end(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    assert_int_equal(truncate(path, (off_t)place->bytes - 4), 0);
}
static void goes_on(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    append_to(path, "more");
}
static void checksum_changed(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    change_file(path, (off_t)place->bytes - 6, 1);
}
static void time_changed(const struct place *place)
{
    char path[160];
    in_archive(place, path);
    change_file(path, 5, 1); /* gzip's own header: unpacked, nothing is seen of it */
}
static void journal_changed(const struct place *place)
{
    char path[160];
    in_journal(place, path);
    change_file(path, (off_t)place->frame_end - 3, 1);
}
static void journal_cut(const struct place *place)
{
    char path[160];
    in_journal(place, path);
    assert_int_equal(truncate(path, (off_t)place->frame_end), 0);
}
static void journal_goes_on(const struct place *place)
{
    char path[160];
    in_journal(place, path);
    append_to(path, "x");
}
static void journal_segment_gone(const struct place *place)
{
    char path[160];
    in_journal(place, path);
    assert_int_equal(unlink(path), 0);
}
static void journal_unreadable(const struct place *place)
{
    char path[160];
    (void)place;
    path_in(journal_dir, "00000000000000000001.jsonl", path);
    change_file(path, 2, 1);
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
    char path[160];
    path_in(archive_dir, MW_MANIFEST_FILE, path);
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
    char path[160], head[MW_FRAME_HEADER_MAX];
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

static void packed_after_all(struct mw_manifest_segment *segment)
{
    segment->gzip = true;
}

static void v39_without_zlib_it_is_said_what_is_missing(void **state)
{
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    struct mw_err err = {.text = ""};
    char plain[160], packed[170];
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
    char path[160];
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
    path_in(archive_dir, "00000000000000000002.jsonl.gz", path);
    change_file(path, 100, 8);
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, NULL, note_damage, &damage, &manifest, &err),
        MW_E_CORRUPT);
    mw_manifest_free(&manifest);
    assert_true(damage.offset == 0 && damage.seq == 2);
    change_file(path, 100, 8);
    path_in(journal_dir, "00000000000000000002.jsonl", path);
    change_file(path, 700000, 1);
    assert_int_equal(check_of(archive_dir, &last, &err), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "journal damaged: 00000000000000000002.jsonl at byte 700000"));
}

/* ---- what an archive is not added to ---- */

static void v39_a_folder_that_holds_something_else_is_left_as_it_is(void **state)
{
    struct mw_err err = {.text = ""};
    char path[160];
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(mkdir(archive_dir, 0700), 0);
    path_in(archive_dir, "letter", path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(add(&quick, false, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "'letter'"));
    path_in(archive_dir, "lock", path);
    assert_false(mw_exists(AT_FDCWD, path));
    path_in(archive_dir, "letter", path);
    assert_int_equal(unlink(path), 0);
    path_in(archive_dir, "lost+found", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(add(&quick, false, &err), MW_OK);
}

static void same_journal(void)
{
    grow_journal(journal_dir, FIRST, 5);
}
static void shorter_journal(void)
{
    rig_empty_dir(journal_dir);
    grow_journal(journal_dir, FIRST, 2);
}
static void other_frames(void)
{
    struct mw_journal_opened opened;
    struct mw_err err;
    void *journal;
    rig_empty_dir(journal_dir);
    assert_int_equal(ops->open(journal_dir, &quick, &journal, &opened, &err), MW_OK);
    assert_int_equal(ops->append(journal, 1, 1, MW_STR(FIRST), &err), MW_OK);
    for (int i = 0; i < 30; i++)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
}
/* The same records in the same frames, by a writer of another epoch. */
static void another_life(void)
{
    struct mw_journal_opened opened;
    struct mw_err err;
    void *journal;
    rig_empty_dir(journal_dir);
    assert_int_equal(ops->open(journal_dir, &quick, &journal, &opened, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    same_journal();
}
static void a_segment_less(void)
{
    char name[MW_SEGMENT_NAME_BYTES], path[160];
    same_journal();
    mw_segment_name(told + 1, name);
    path_in(journal_dir, name, path);
    assert_int_equal(unlink(path), 0);
}
static void a_later_segment_less(void)
{
    struct mw_segments segments;
    struct mw_err err;
    char name[MW_SEGMENT_NAME_BYTES], path[160];
    same_journal();
    int fd = open(journal_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_segments_list(fd, &segments, &err), MW_OK);
    mw_segment_name(segments.first[segments.count - 2], name);
    mw_segments_free(&segments);
    (void)close(fd);
    path_in(journal_dir, name, path);
    assert_int_equal(unlink(path), 0);
}
static void repeated_segment(void)
{
    char path[160], name[MW_SEGMENT_NAME_BYTES];
    same_journal();
    mw_segment_name(told + 2, name); /* within the next one */
    path_in(journal_dir, name, path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static void next_segment_damaged(void)
{
    char name[MW_SEGMENT_NAME_BYTES], path[160];
    same_journal();
    mw_segment_name(told + 1, name);
    path_in(journal_dir, name, path);
    change_file(path, 3, 1);
}
static void other_name(void)
{
    rig_empty_dir(journal_dir);
    grow_journal(journal_dir, "{\"seq\":1,\"payload\":{\"journalId\":\"decade\"}}\n", 5);
}

static void v39_an_archive_is_only_added_to_by_the_journal_that_goes_on_from_it(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"the same", same_journal, MW_OK, ""},
        {"shorter", shorter_journal, MW_E_CORRUPT, "does not go on"},
        {"other frames", other_frames, MW_E_CORRUPT, "does not go on"},
        {"another life", another_life, MW_E_CORRUPT, "does not go on"},
        {"without the next segment", a_segment_less, MW_E_CORRUPT, "does not go on"},
        {"without a later one", a_later_segment_less, MW_E_CORRUPT, "segment before this one"},
        {"repeated", repeated_segment, MW_E_CORRUPT, "repeats records"},
        {"damaged", next_segment_damaged, MW_E_CORRUPT, "not a frame's header"},
        {"another journal", other_name, MW_E_DENIED, "archive of another journal"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        uint64_t before, after;
        begin_anew(FIRST, 3);
        assert_int_equal(add(&quick, false, &err), MW_OK);
        before = told;
        rows[i].change();
        enum mw_rc rc = add(&quick, false, &err);
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        if (rc == MW_OK)
            assert_true(told > before);
        /* Whatever was refused, what was there is as it was. */
        struct mw_archive_damage damage;
        struct mw_manifest manifest;
        assert_int_equal(
            mw_archive_check(archive_dir, NULL, &quick, note_damage, &damage, &manifest, &err),
            MW_OK);
        after = manifest.segments[manifest.count - 1].last;
        mw_manifest_free(&manifest);
        assert_int_equal(after, told);
    }
}

static void v39_an_archive_whose_manifest_is_damaged_is_left_as_it_is(void **state)
{
    struct mw_archive_damage damage;
    struct mw_manifest manifest;
    struct mw_err err = {.text = ""};
    char path[160];
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    grow_journal(journal_dir, FIRST, 5);
    path_in(archive_dir, MW_MANIFEST_FILE, path);
    change_file(path, 200, 1);
    assert_int_equal(add(&quick, false, &err), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "manifest.jsonl at line 2"));
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, &quick, note_damage, &damage, &manifest, &err),
        MW_E_CORRUPT);
    assert_int_equal(manifest.count, 0);
    change_file(path, 200, 1);
    assert_int_equal(add(&quick, false, &err), MW_OK);
}

static void v39_one_at_a_time_writes_and_what_a_dead_one_left_is_removed(void **state)
{
    struct mw_err err = {.text = ""};
    char lock[160], left[160];
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    path_in(archive_dir, "lock", lock);
    path_in(archive_dir, "segment.new", left);
    (void)close(open(left, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(__real_flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(add(&quick, false, &err), MW_E_CONFLICT);
    assert_true(mw_exists(AT_FDCWD, left)); /* perhaps it is being written */
    (void)close(fd);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    assert_false(mw_exists(AT_FDCWD, left));
}

static void v39_sealed_twice_is_sealed_once(void **state)
{
    struct mw_err err = {.text = ""};
    bool sealed = false;
    (void)state;
    begin_anew(FIRST, 2);
    assert_int_equal(mw_archive_seal(journal_dir, NULL, &sealed, &err), MW_OK);
    assert_true(sealed);
    assert_int_equal(mw_archive_seal(journal_dir, &quick, &sealed, &err), MW_OK);
    assert_false(sealed);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    assert_int_equal(told, sealed_last());
    /* The writer goes on in the empty one. */
    grow_journal(journal_dir, FIRST, 4);
    assert_int_equal(add(&quick, true, &err), MW_OK);
    uint64_t last = 0;
    assert_int_equal(check_of(archive_dir, &last, &err), MW_OK);
    assert_int_equal(last, sealed_last());
}

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

static int end(void **state)
{
    struct mw_err err;
    (void)state;
    return base[0] != '\0' && mw_remove_tree(AT_FDCWD, base, &err) != MW_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v39_without_zlib_it_is_said_what_is_missing), /* before it is loaded */
        cmocka_unit_test(v39_every_call_that_fails_is_told_and_the_archive_holds_what_it_says),
        cmocka_unit_test(v39_after_a_power_cut_at_any_moment_all_that_was_told_stored_is_there),
        cmocka_unit_test(v39_a_journal_that_does_not_name_itself_is_not_archived),
        cmocka_unit_test(v39_an_empty_journal_is_neither_archived_nor_sealed),
        cmocka_unit_test(v39_damage_is_told_with_file_byte_and_record),
        cmocka_unit_test(v39_records_of_any_size_are_packed_compared_and_their_damage_told),
        cmocka_unit_test(v39_a_folder_that_holds_something_else_is_left_as_it_is),
        cmocka_unit_test(v39_more_than_the_manifest_says_is_not_unpacked),
        cmocka_unit_test(v39_a_journal_that_cannot_be_read_does_not_hide_its_archive),
        cmocka_unit_test(v39_an_archive_is_only_added_to_by_the_journal_that_goes_on_from_it),
        cmocka_unit_test(v39_an_archive_whose_manifest_is_damaged_is_left_as_it_is),
        cmocka_unit_test(v39_one_at_a_time_writes_and_what_a_dead_one_left_is_removed),
        cmocka_unit_test(v39_sealed_twice_is_sealed_once),
        cmocka_unit_test(v39_a_manifest_is_read_as_it_was_written),
        cmocka_unit_test(v39_every_byte_of_a_manifest_counts),
        cmocka_unit_test(v39_a_line_that_cannot_be_is_refused_with_its_number),
        cmocka_unit_test(v39_a_line_of_another_spelling_is_refused),
        cmocka_unit_test(v39_a_first_line_that_cannot_be_is_refused),
        cmocka_unit_test(v39_what_gzip_packed_is_unpacked_in_pieces_of_any_size),
        cmocka_unit_test(v39_what_is_no_gzip_member_is_not_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
