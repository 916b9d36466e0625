/*
 * test_archive.c - V39: archives of sealed segments. Every call fails once, in every way that such calls fail, and the power is cut at every
 * moment: the archive holds what its manifest says, all that was told stored is there, and the next run goes on. What is no archive of this
 * journal is left as it is.
 */
#include "../crash/archive_rig.h"
#include "../crash/every_call.h"
#include "journal/archive_folder.h"
#include "posix/heap.h"

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

static const struct scene scenes[] = {
    {"a fresh archive", fresh, add_plain, MW_OK},
    {"a fresh packed one", fresh, add_packed, MW_OK},
    {"more of it", half, add_packed, MW_OK},
    {"nothing more", whole, add_plain, MW_OK},
    {"sealed and stored", half, seal_and_add, MW_OK},
    {"checked", whole, check_it, MW_OK},
    {"checked, as they are", half, check_it, MW_OK},
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

static void v39_every_call_that_fails_is_told_and_the_archive_holds_what_it_says(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (size_t s = 0; s < MW_COUNT(scenes); s++)
        failed += fail_every_call(&scenes[s], judge);
    print_message("%u calls failed\n", failed);
    assert_true(failed > 1000);
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

/* A run that was killed left its manifest in the cache alone: the next one finds all of it stored, adds nothing, and says so. */
static void p01_what_a_killed_run_stored_is_durable_when_the_next_one_counts_it(void **state)
{
    char cut_dir[64];
    bool died = true;
    (void)state;
    rig_new_dir(cut_dir);
    int cut_fd = open(cut_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (long at = 1; died; at++) {
        struct mw_err err = {.text = ""};
        rig_reset(1);
        begin_anew(FIRST, 3);
        rig_arm(RIG_DEAD, 0, 1u << RIG_FSYNC, at);
        (void)add(&rigged, true, &err);
        died = rig.fault_hit;
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        const uint64_t before = told;
        if (check_of(archive_dir, &told, &err) != MW_OK)
            told = before; /* there is none yet */
        if (add(&rigged, true, &err) != MW_OK)
            fail_msg("after a death at sync %ld: %s", at, err.text);
        rig.recording = false;
        for (int kind = 0; kind < 8; kind++) {
            uint64_t last;
            rig_empty_dir(cut_dir);
            (void)rig_power_cut(rig.op_count, kind, cut_fd);
            if (check_of(cut_dir, &last, &err) != MW_OK || last != sealed_last())
                fail_msg("after a death at sync %ld, kind %d: it ends with record %lu of %lu: %s",
                         at, kind, (unsigned long)last, (unsigned long)sealed_last(), err.text);
        }
    }
    (void)close(cut_fd);
    rig_remove_dir(cut_dir);
}

/* Else the writer would go on in the segment that is archived already, and the archive would never be added to again. */
static void p01_the_segment_that_seals_a_journal_has_its_name_when_that_is_told(void **state)
{
    char cut_dir[64], name[MW_SEGMENT_NAME_BYTES];
    struct mw_err err = {.text = ""};
    bool sealed = false;
    (void)state;
    rig_new_dir(cut_dir);
    begin_anew(FIRST, 3);
    rig_reset(2);
    assert_int_equal(mw_archive_seal(journal_dir, &rigged, &sealed, &err), MW_OK);
    assert_true(sealed);
    rig.recording = false;
    mw_segment_name(sealed_last() + 1, name);
    int cut_fd = open(cut_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int kind = 0; kind < 8; kind++) {
        rig_empty_dir(cut_dir);
        (void)rig_power_cut(rig.op_count, kind, cut_fd);
        if (!mw_exists(cut_fd, name))
            fail_msg("cut after all, kind %d: '%s' is not there", kind, name);
    }
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

/* ---- what an archive is not added to ---- */

static void v39_a_folder_that_holds_something_else_is_left_as_it_is(void **state)
{
    struct mw_err err = {.text = ""};
    char path[RIG_PATH];
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(mkdir(archive_dir, 0700), 0);
    rig_path(archive_dir, "letter", path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(add(&quick, false, &err), MW_E_DENIED);
    assert_non_null(strstr(err.text, "'letter'"));
    rig_path(archive_dir, "lock", path);
    assert_false(mw_exists(AT_FDCWD, path));
    rig_path(archive_dir, "letter", path);
    assert_int_equal(unlink(path), 0);
    rig_path(archive_dir, "lost+found", path);
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
    char name[MW_SEGMENT_NAME_BYTES], path[RIG_PATH];
    same_journal();
    mw_segment_name(told + 1, name);
    rig_path(journal_dir, name, path);
    assert_int_equal(unlink(path), 0);
}
static void a_later_segment_less(void)
{
    struct mw_segments segments;
    struct mw_err err;
    char name[MW_SEGMENT_NAME_BYTES], path[RIG_PATH];
    same_journal();
    int fd = open(journal_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_segments_list(fd, &segments, &err), MW_OK);
    mw_segment_name(segments.first[segments.count - 2], name);
    mw_segments_free(&segments);
    (void)close(fd);
    rig_path(journal_dir, name, path);
    assert_int_equal(unlink(path), 0);
}
static void repeated_segment(void)
{
    char path[RIG_PATH], name[MW_SEGMENT_NAME_BYTES];
    same_journal();
    mw_segment_name(told + 2, name); /* within the next one */
    rig_path(journal_dir, name, path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static void next_segment_damaged(void)
{
    char name[MW_SEGMENT_NAME_BYTES], path[RIG_PATH];
    same_journal();
    mw_segment_name(told + 1, name);
    rig_path(journal_dir, name, path);
    rig_change_byte(path, 3, 1);
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
    char path[RIG_PATH];
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    grow_journal(journal_dir, FIRST, 5);
    rig_path(archive_dir, MW_MANIFEST_FILE, path);
    rig_change_byte(path, 200, 1);
    assert_int_equal(add(&quick, false, &err), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "manifest.jsonl at line 2"));
    assert_int_equal(
        mw_archive_check(archive_dir, NULL, &quick, note_damage, &damage, &manifest, &err),
        MW_E_CORRUPT);
    assert_int_equal(manifest.count, 0);
    rig_change_byte(path, 200, 1);
    assert_int_equal(add(&quick, false, &err), MW_OK);
}

static void v39_one_at_a_time_writes_and_what_a_dead_one_left_is_removed(void **state)
{
    struct mw_err err = {.text = ""};
    char lock[RIG_PATH], left[RIG_PATH];
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    rig_path(archive_dir, "lock", lock);
    rig_path(archive_dir, "segment.new", left);
    (void)close(open(left, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(__real_flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(add(&quick, false, &err), MW_E_CONFLICT);
    assert_true(mw_exists(AT_FDCWD, left)); /* perhaps it is being written */
    (void)close(fd);
    /* Another run like this one holds it in the same way. */
    struct mw_folder other;
    struct mw_manifest manifest;
    assert_int_equal(mw_archive_open(&other, archive_dir, &rig_quick, ID, &fd, &manifest, &err),
                     MW_OK);
    assert_int_equal(add(&quick, false, &err), MW_E_CONFLICT);
    (void)close(fd);
    mw_manifest_free(&manifest);
    mw_archive_close(&other);
    (void)close(open(left, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(add(&quick, false, &err), MW_OK);
    assert_false(mw_exists(AT_FDCWD, left));
}

static char manifest_path[RIG_PATH], manifest_aside[RIG_PATH];

static bool begin_manifest(int folder_fd)
{
    struct stat listed, archive;
    assert_int_equal(fstat(folder_fd, &listed), 0);
    assert_int_equal(stat(archive_dir, &archive), 0);
    if (listed.st_ino != archive.st_ino)
        return false;
    assert_int_equal(rename(manifest_aside, manifest_path), 0);
    return true;
}

/* Between two looks of this one: what stands in the folder then is the archive's, not a stranger's. */
static void v39_an_archive_that_another_begins_meanwhile_is_no_strange_folder(void **state)
{
    struct mw_err err = {.text = ""};
    (void)state;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    rig_path(archive_dir, "manifest.jsonl", manifest_path);
    rig_path(base, "manifest", manifest_aside);
    assert_int_equal(rename(manifest_path, manifest_aside), 0);
    assert_int_equal(add(&quick, false, &err), MW_E_DENIED);
    before_listing = begin_manifest;
    if (add(&quick, false, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_null(before_listing);
}

static void p17_p23_an_archive_is_not_written_through_a_link(void **state)
{
    static const char *const names[] = {"manifest.new", "segment.new", "lock"};
    char words[RIG_PATH], link[RIG_PATH];
    struct stat file;
    (void)state;
    for (size_t i = 0; i < MW_COUNT(names); i++) {
        struct mw_err err = {.text = ""};
        begin_anew(FIRST, 3);
        assert_int_equal(add(&quick, false, &err), MW_OK);
        grow_journal(journal_dir, FIRST, 5);
        rig_path(base, "words", words);
        (void)unlink(words);
        rig_append_text(words, "mine");
        rig_path(archive_dir, names[i], link);
        (void)unlink(link);
        assert_int_equal(symlink("../words", link), 0);
        (void)add(&quick, false, &err); /* refused, or the link is out of the way */
        assert_true(stat(words, &file) == 0 && file.st_size == 4);
    }
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

/* ---- another run in between ---- */

static bool another_has_run;

static int openat_after_another(int dir_fd, const char *path, int flags, mode_t mode)
{
    struct mw_err err = {.text = ""};
    if (strcmp(path, "lock") == 0 && !another_has_run) {
        another_has_run = true;
        if (add(&quick, false, &err) != MW_OK)
            fail_msg("the other run: %s", err.text);
    }
    return rig_quick.openat(dir_fd, path, flags, mode);
}

/* What it stored is told as stored: this one, which had looked at the manifest before, goes on from there. */
static void p01_what_another_run_stored_before_the_lock_is_not_stored_again(void **state)
{
    struct mw_journal_sys sys = rig_quick;
    struct mw_journal_options options = quick;
    struct mw_err err = {.text = ""};
    uint64_t last;
    (void)state;
    sys.openat = openat_after_another;
    options.sys = &sys;
    begin_anew(FIRST, 3);
    assert_int_equal(add(&quick, false, &err), MW_OK);
    grow_journal(journal_dir, FIRST, 6);
    another_has_run = false;
    if (add(&options, true, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_true(another_has_run);
    assert_int_equal(check_of(archive_dir, &last, &err), MW_OK);
    assert_int_equal(last, sealed_last());
    assert_int_equal(last, told);
}

/* Else a disk that was filled by it would stay full. */
static void p10_what_does_not_fit_into_the_archive_is_not_left_there(void **state)
{
    static const char *const unfinished[] = {"segment.new", "manifest.new"};
    (void)state;
    for (long at = 1;; at++) {
        struct mw_err err = {.text = ""};
        rig_reset(1);
        begin_anew(FIRST, 3);
        rig.recording = false;
        rig_arm(RIG_ERROR, ENOSPC, 1u << RIG_PWRITE, at);
        enum mw_rc rc = add(&rigged, false, &err);
        bool hit = rig.fault_hit;
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        if (rc != (hit ? MW_E_FULL : MW_OK))
            fail_msg("write %ld: %s: %s", at, mw_rc_name(rc), err.text);
        for (size_t i = 0; i < MW_COUNT(unfinished); i++) {
            char path[RIG_PATH];
            rig_path(archive_dir, unfinished[i], path);
            if (mw_exists(AT_FDCWD, path))
                fail_msg("write %ld failed, and '%s' is left", at, unfinished[i]);
        }
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v39_every_call_that_fails_is_told_and_the_archive_holds_what_it_says),
        cmocka_unit_test(v39_after_a_power_cut_at_any_moment_all_that_was_told_stored_is_there),
        cmocka_unit_test(p01_what_a_killed_run_stored_is_durable_when_the_next_one_counts_it),
        cmocka_unit_test(p01_the_segment_that_seals_a_journal_has_its_name_when_that_is_told),
        cmocka_unit_test(v39_a_journal_that_does_not_name_itself_is_not_archived),
        cmocka_unit_test(v39_an_empty_journal_is_neither_archived_nor_sealed),
        cmocka_unit_test(v39_a_folder_that_holds_something_else_is_left_as_it_is),
        cmocka_unit_test(v39_an_archive_is_only_added_to_by_the_journal_that_goes_on_from_it),
        cmocka_unit_test(v39_an_archive_whose_manifest_is_damaged_is_left_as_it_is),
        cmocka_unit_test(v39_an_archive_that_another_begins_meanwhile_is_no_strange_folder),
        cmocka_unit_test(v39_one_at_a_time_writes_and_what_a_dead_one_left_is_removed),
        cmocka_unit_test(p01_what_another_run_stored_before_the_lock_is_not_stored_again),
        cmocka_unit_test(p10_what_does_not_fit_into_the_archive_is_not_left_there),
        cmocka_unit_test(p17_p23_an_archive_is_not_written_through_a_link),
        cmocka_unit_test(v39_sealed_twice_is_sealed_once),
    };
    return cmocka_run_group_tests(tests, NULL, end_archives);
}
