/*
 * test_snapshot.c - snapshots: the journal kept from every release, shortened at each of its frames, gives the state that all of its records
 * give; a snapshot that is damaged, cut, of another journal, of another build, ahead or wrong is not used; a disk that fails leaves the one
 * before, or the new one, or none.
 */
#include "host/host.h"
#include "host/snapshot.h"
#include "journal/extract.h"
#include "journal/files.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KEPT MW_SOURCE_DIR "/tests/golden/journals"
#define FRAMES_MAX 4096

static char workspace[64], journal[96], cache[96];
static uint64_t ends[FRAMES_MAX];
static size_t end_count;

static void copy_file(const char *from_dir, const char *name, const char *to_dir)
{
    struct mw_buf bytes = mw_heap_buf();
    struct mw_err err;
    mw_autofree char *from = mw_heap_format("%s/%s", from_dir, name);
    mw_autofree char *to = mw_heap_format("%s/%s", to_dir, name);
    assert_int_equal(mw_file_read(AT_FDCWD, from, (size_t)1 << 28, &bytes, &err), MW_OK);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(mw_write_all(fd, mw_buf_str(&bytes), &err), MW_OK);
    (void)close(fd);
    mw_heap_buf_free(&bytes);
}

static enum mw_rc note_end(void *context, const struct mw_journal_frame_info *frame,
                           struct mw_str lines, struct mw_err *err)
{
    (void)context;
    (void)lines;
    (void)err;
    assert_true(end_count < FRAMES_MAX);
    ends[end_count++] = frame->first + frame->count - 1;
    return MW_OK;
}

static void begin_workspace(const char *release)
{
    struct mw_err err;
    mw_autofree char *from = mw_heap_format(KEPT "/%s/journal", release);
    snprintf(workspace, sizeof workspace, "/tmp/mw-snapshot-XXXXXX");
    assert_non_null(mkdtemp(workspace));
    snprintf(journal, sizeof journal, "%s/.millwright/journal", workspace);
    snprintf(cache, sizeof cache, "%s/.millwright/cache", workspace);
    assert_int_equal(mw_mkdirs(AT_FDCWD, journal, 0700, &err), MW_OK);
    assert_int_equal(mw_mkdirs(AT_FDCWD, cache, 0700, &err), MW_OK);
    DIR *list = opendir(from);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.')
            copy_file(from, entry->d_name, journal);
    (void)closedir(list);
    end_count = 0;
    assert_int_equal(mw_journal_frames(journal, NULL, UINT64_MAX, note_end, NULL, &err), MW_OK);
    assert_true(end_count > 1);
}

static void end_workspace(void)
{
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, workspace, &err), MW_OK);
}

static void empty_cache(void)
{
    struct mw_err err;
    assert_int_equal(mw_remove_tree(AT_FDCWD, cache, &err), MW_OK);
    assert_int_equal(mw_mkdirs(AT_FDCWD, cache, 0700, &err), MW_OK);
}

static enum mw_rc replay(void *core, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq;
    return mw_core_replay(core, line, err);
}

/* What the records up to the end give, from a snapshot or from the first on. */
static void state_of(bool from_snapshot, uint64_t until, char ret_state[65], char ret_left[65])
{
    static struct mw_core core;
    struct mw_snapshot snapshot;
    struct mw_err err = {0};
    struct mw_buf file = mw_heap_buf();
    void *reader;
    uint64_t next, from = 1;
    mw_offline_core_open(&core);
    if (from_snapshot) {
        if (mw_snapshot_find(workspace, &snapshot, &file, &err) != MW_OK ||
            mw_snapshot_load(&core, &snapshot, mw_buf_str(&file), &err) != MW_OK)
            fail_msg("%s", err.text);
        from = snapshot.at.seq + 1;
    }
    assert_int_equal(mw_journal_files.reader_open(journal, NULL, from, &reader, &err), MW_OK);
    if (mw_journal_files.reader_read(reader, until, replay, &core, &next, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_journal_files.reader_close(reader);
    mw_core_digest(&core, ret_state);
    mw_core_left_digest(&core, ret_left);
    mw_offline_core_close(&core);
    mw_heap_buf_free(&file);
}

static void make_at(uint64_t seq)
{
    struct mw_snapshot snapshot;
    struct mw_err err = {0};
    bool made;
    if (mw_snapshot_make(workspace, seq, &snapshot, &made, &err) != MW_OK)
        fail_msg("record %lu: %s", (unsigned long)seq, err.text);
    assert_true(made);
    assert_int_equal(snapshot.at.seq, seq);
    assert_int_equal(mw_snapshot_make(workspace, seq, &snapshot, &made, &err), MW_OK);
    assert_false(made); /* there is one for this very place */
}

static void check_release(const char *release)
{
    char whole[65], whole_left[65], short_state[65], short_left[65];
    begin_workspace(release);
    state_of(false, UINT64_MAX, whole, whole_left);
    for (unsigned turn = 0; turn < 2; turn++) { /* each from the one before; then each afresh */
        empty_cache();
        for (size_t i = 0; i < end_count; i++) {
            if (turn == 1)
                empty_cache();
            make_at(ends[i]);
            state_of(true, UINT64_MAX, short_state, short_left);
            assert_string_equal(short_state, whole);
            assert_string_equal(short_left, whole_left);
        }
    }
    end_workspace();
}

static void p13_p16_a_kept_journal_shortened_anywhere_gives_the_same_state(void **state)
{
    DIR *list = opendir(KEPT);
    unsigned releases = 0;
    (void)state;
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.') {
            check_release(entry->d_name);
            releases++;
        }
    (void)closedir(list);
    assert_true(releases > 0);
}

static void a_position_is_the_last_whole_frame_before_a_record(void **state)
{
    struct mw_journal_position at;
    struct mw_err err = {0};
    (void)state;
    begin_workspace("0.1.0");
    size_t frame = 0;
    for (uint64_t seq = ends[0]; seq <= ends[end_count - 1] + 3; seq++) {
        while (frame + 1 < end_count && ends[frame + 1] <= seq)
            frame++;
        assert_int_equal(mw_journal_position(journal, NULL, seq, &at, &err), MW_OK);
        assert_int_equal(at.seq, ends[frame]);
        assert_int_equal(at.frame, frame + 1);
    }
    assert_int_equal(mw_journal_position(journal, NULL, UINT64_MAX, &at, &err), MW_OK);
    assert_int_equal(at.seq, ends[end_count - 1]);
    assert_int_equal(mw_journal_position(journal, NULL, 0, &at, &err), MW_E_MISSING);
    end_workspace();
}

/* ---- what is not used ---- */

static enum mw_rc use(struct mw_err *err)
{
    static struct mw_core core;
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    enum mw_rc rc = mw_snapshot_find(workspace, &snapshot, &file, err);
    if (rc == MW_OK) {
        mw_offline_core_open(&core);
        rc = mw_snapshot_load(&core, &snapshot, mw_buf_str(&file), err);
        mw_offline_core_close(&core);
    }
    mw_heap_buf_free(&file);
    return rc;
}

static void put_snapshot(uint64_t seq, struct mw_str bytes)
{
    char name[MW_SNAPSHOT_NAME_BYTES];
    struct mw_err err;
    mw_snapshot_name(seq, name);
    mw_autofree char *path = mw_heap_format("%s/%s", cache, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(mw_write_all(fd, bytes, &err), MW_OK);
    (void)close(fd);
}

static struct mw_buf read_snapshot(uint64_t seq, struct mw_snapshot *ret_snapshot)
{
    char name[MW_SNAPSHOT_NAME_BYTES];
    struct mw_buf file = mw_heap_buf();
    struct mw_err err;
    mw_snapshot_name(seq, name);
    int fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(mw_snapshot_read(fd, name, ret_snapshot, &file, &err), MW_OK);
    (void)close(fd);
    return file;
}

static void a_snapshot_with_one_byte_changed_or_missing_is_not_used(void **state)
{
    struct mw_snapshot snapshot;
    struct mw_err err = {0};
    (void)state;
    begin_workspace("0.1.0");
    uint64_t seq = ends[end_count - 1];
    make_at(seq);
    struct mw_buf file = read_snapshot(seq, &snapshot);
    size_t step = 1, tried = 0;
    for (size_t at = 0; at < file.len; at += step, tried++) {
        step = at < MW_SNAPSHOT_HEADER_BYTES ? 1 : 61;
        char kept = file.ptr[at];
        file.ptr[at] = (char)(kept ^ (1 << (at % 7)));
        put_snapshot(seq, mw_buf_str(&file));
        file.ptr[at] = kept;
        enum mw_rc rc = use(&err);
        if (rc != MW_E_CORRUPT)
            fail_msg("byte %zu changed: %d %s", at, (int)rc, rc != MW_OK ? err.text : "used");
    }
    for (size_t len = 0; len < file.len; len += step) {
        put_snapshot(seq, mw_str_sub(mw_buf_str(&file), 0, len));
        assert_int_equal(use(&err), MW_E_CORRUPT);
    }
    mw_buf_put(&file, MW_STR("{}\n"));
    put_snapshot(seq, mw_buf_str(&file));
    assert_int_equal(use(&err), MW_E_CORRUPT);
    file.len -= 3;
    put_snapshot(seq, mw_buf_str(&file));
    assert_int_equal(use(&err), MW_OK);
    assert_true(tried > MW_SNAPSHOT_HEADER_BYTES);
    mw_heap_buf_free(&file);
    end_workspace();
}

static enum mw_rc add_line(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    return mw_snapshot_add(context, line, left, err);
}

/* The same lines under another header. */
static void write_with_header(struct mw_snapshot *snapshot, struct mw_str file)
{
    struct mw_snapshot_writer writer;
    struct mw_err err = {0};
    int fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_snapshot_begin(&writer, NULL, fd, &err), MW_OK);
    assert_int_equal(mw_snapshot_each(file, add_line, &writer, &err), MW_OK);
    assert_int_equal(mw_snapshot_seal(&writer, snapshot, &err), MW_OK);
    assert_int_equal(mw_snapshot_commit(&writer, snapshot, &err), MW_OK);
    (void)close(fd);
}

struct change {
    const char *name;
    void (*make)(struct mw_snapshot *snapshot);
    enum mw_rc rc;
};

static void nothing(struct mw_snapshot *snapshot)
{
    (void)snapshot;
}
static void another_hash(struct mw_snapshot *snapshot)
{
    snapshot->at.hash[7] ^= 1;
}
static void another_frame(struct mw_snapshot *snapshot)
{
    snapshot->at.frame++;
}
static void another_epoch(struct mw_snapshot *snapshot)
{
    snapshot->at.epoch++;
}
static void another_segment(struct mw_snapshot *snapshot)
{
    snapshot->at.segment += 5;
}
static void another_offset(struct mw_snapshot *snapshot)
{
    snapshot->at.offset++;
}
static void past_the_end(struct mw_snapshot *snapshot)
{
    snapshot->at.offset += 1 << 20;
}
static void another_end(struct mw_snapshot *snapshot)
{
    snapshot->at.seq++;
}
static void another_build(struct mw_snapshot *snapshot)
{
    snapshot->made_by[0] = '9';
}
static void another_state(struct mw_snapshot *snapshot)
{
    snapshot->state[3] = snapshot->state[3] == '0' ? '1' : '0';
}
static void another_rest(struct mw_snapshot *snapshot)
{
    snapshot->left[3] = snapshot->left[3] == '0' ? '1' : '0';
}

static void a_sound_file_that_is_not_of_this_journal_and_build_and_state_is_not_used(void **state)
{
    static const struct change changes[] = {
        {"as it was made", nothing, MW_OK},
        {"hash", another_hash, MW_E_CONFLICT},
        {"frame", another_frame, MW_E_CONFLICT},
        {"epoch", another_epoch, MW_E_CONFLICT},
        {"segment", another_segment, MW_E_CONFLICT},
        {"offset", another_offset, MW_E_CONFLICT},
        {"past the end", past_the_end, MW_E_CONFLICT},
        {"last record", another_end, MW_E_CONFLICT},
        {"build", another_build, MW_E_CONFIG},
        {"state", another_state, MW_E_CORRUPT},
        {"what the state leaves out", another_rest, MW_E_CORRUPT},
    };
    (void)state;
    begin_workspace("0.1.0");
    for (size_t i = 0; i < MW_COUNT(changes); i++) {
        struct mw_snapshot snapshot;
        struct mw_err err = {0};
        empty_cache();
        make_at(ends[end_count / 2]);
        struct mw_buf file = read_snapshot(ends[end_count / 2], &snapshot);
        changes[i].make(&snapshot);
        empty_cache();
        write_with_header(&snapshot, mw_buf_str(&file));
        enum mw_rc rc = use(&err);
        if (rc != changes[i].rc)
            fail_msg("%s: %d, not %d: %s", changes[i].name, (int)rc, (int)changes[i].rc,
                     rc != MW_OK ? err.text : "used");
        mw_heap_buf_free(&file);
    }
    end_workspace();
}

/* What only the second digest sees is decided by as well: whether an app was edited, by the tree that was promoted; what goes by a path, by the path. */
static void p16_p23_a_snapshot_with_another_promotion_or_build_is_not_used(void **state)
{
    static const struct {
        const char *kind, *member;
    } rows[] = {{"\"kind\":\"app.promoted\"", "\"sha256\":\""},
                {"\"kind\":\"build.staged\"", "\"path\":\"generated/apps/"}};
    (void)state;
    begin_workspace("0.1.0");
    uint64_t seq = ends[end_count - 1];
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_snapshot snapshot;
        struct mw_err err = {0};
        empty_cache();
        make_at(seq);
        struct mw_buf file = read_snapshot(seq, &snapshot);
        char *at = memmem(file.ptr, file.len, rows[i].kind, strlen(rows[i].kind));
        assert_non_null(at);
        at = memmem(at, (size_t)(file.ptr + file.len - at), rows[i].member, strlen(rows[i].member));
        assert_non_null(at);
        at += strlen(rows[i].member);
        *at = *at == 'a' ? 'b' : 'a';
        empty_cache();
        write_with_header(&snapshot, mw_buf_str(&file));
        enum mw_rc rc = use(&err);
        if (rc != MW_E_CORRUPT)
            fail_msg("another %s%s: %d", rows[i].kind, rows[i].member, (int)rc);
        mw_heap_buf_free(&file);
    }
    end_workspace();
}

static void a_snapshot_ahead_of_a_journal_that_was_cut_is_not_used(void **state)
{
    struct mw_journal_position at;
    struct mw_err err = {0};
    char segment[32];
    (void)state;
    begin_workspace("0.1.0");
    make_at(ends[end_count - 1]);
    assert_int_equal(mw_journal_position(journal, NULL, UINT64_MAX, &at, &err), MW_OK);
    snprintf(segment, sizeof segment, "%020lu.jsonl", (unsigned long)at.segment);
    mw_autofree char *path = mw_heap_format("%s/%s", journal, segment);
    assert_int_equal(truncate(path, (off_t)at.offset), 0);
    assert_int_equal(use(&err), MW_E_CONFLICT);
    end_workspace();
}

/* ---- a disk that fails ---- */

static bool disk_forgets; /* a byte of what was written before it was read again */

enum mw_rc __real_mw_snapshot_read(int dir_fd, const char *name, struct mw_snapshot *ret_snapshot,
                                   struct mw_buf *file, struct mw_err *err);
enum mw_rc __wrap_mw_snapshot_read(int dir_fd, const char *name, struct mw_snapshot *ret_snapshot,
                                   struct mw_buf *file, struct mw_err *err);
enum mw_rc __wrap_mw_snapshot_read(int dir_fd, const char *name, struct mw_snapshot *ret_snapshot,
                                   struct mw_buf *file, struct mw_err *err)
{
    if (disk_forgets && strcmp(name, MW_SNAPSHOT_UNFINISHED) == 0) {
        int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "\0", 1, MW_SNAPSHOT_HEADER_BYTES + 5), 1);
        (void)close(fd);
    }
    return __real_mw_snapshot_read(dir_fd, name, ret_snapshot, file, err);
}

static void
p16_a_snapshot_that_is_not_what_was_written_does_not_replace_the_one_before(void **state)
{
    struct mw_snapshot snapshot;
    struct mw_err err = {0};
    struct mw_buf file = mw_heap_buf();
    bool made;
    (void)state;
    begin_workspace("0.1.0");
    make_at(ends[0]);
    disk_forgets = true;
    assert_int_equal(mw_snapshot_make(workspace, UINT64_MAX, &snapshot, &made, &err), MW_E_CORRUPT);
    disk_forgets = false;
    assert_int_equal(mw_snapshot_find(workspace, &snapshot, &file, &err), MW_OK);
    assert_int_equal(snapshot.at.seq, ends[0]);
    make_at(ends[end_count - 1]);
    mw_heap_buf_free(&file);
    end_workspace();
}

static struct {
    long at, calls; /* the call that fails; 0: none */
    int sys_errno;
} fault;

static bool fails(void)
{
    if (++fault.calls != fault.at)
        return false;
    errno = fault.sys_errno;
    return true;
}

static int fault_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    return fails() ? -1 : mw_journal_sys_real.openat(dir_fd, path, flags, mode);
}
static ssize_t fault_pwrite(int fd, const void *memory, size_t size, off_t offset)
{
    if (!fails())
        return mw_journal_sys_real.pwrite(fd, memory, size, offset);
    (void)mw_journal_sys_real.pwrite(fd, memory, size / 2, offset); /* half of it is there */
    errno = fault.sys_errno;
    return -1;
}
static int fault_fsync(int fd)
{
    return fails() ? -1 : mw_journal_sys_real.fsync(fd);
}
static int fault_ftruncate(int fd, off_t size)
{
    return fails() ? -1 : mw_journal_sys_real.ftruncate(fd, size);
}
static int fault_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return fails() ? -1 : mw_journal_sys_real.renameat(from_fd, from, to_fd, to);
}
static int fault_unlinkat(int dir_fd, const char *path, int flags)
{
    return fails() ? -1 : mw_journal_sys_real.unlinkat(dir_fd, path, flags);
}

/* Writes the lines of file again as `snapshot`, on the failing disk. */
static enum mw_rc write_failing(int fd, struct mw_snapshot *snapshot, struct mw_str file)
{
    struct mw_journal_sys sys = mw_journal_sys_real;
    struct mw_snapshot_writer writer;
    struct mw_err err = {0};
    sys.openat = fault_openat;
    sys.pwrite = fault_pwrite;
    sys.fsync = fault_fsync;
    sys.ftruncate = fault_ftruncate;
    sys.renameat = fault_renameat;
    sys.unlinkat = fault_unlinkat;
    enum mw_rc rc = mw_snapshot_begin(&writer, &sys, fd, &err);
    if (rc != MW_OK)
        return rc;
    rc = mw_snapshot_each(file, add_line, &writer, &err);
    if (rc == MW_OK)
        rc = mw_snapshot_seal(&writer, snapshot, &err);
    if (rc == MW_OK)
        return mw_snapshot_commit(&writer, snapshot, &err);
    mw_snapshot_abandon(&writer);
    return rc;
}

static void a_disk_that_fails_leaves_the_snapshot_before_or_the_new_one(void **state)
{
    static const int errnos[] = {EIO, ENOSPC};
    struct mw_snapshot before, after;
    (void)state;
    begin_workspace("0.1.0");
    make_at(ends[end_count - 1]);
    struct mw_buf file_after = read_snapshot(ends[end_count - 1], &after);
    empty_cache();
    make_at(ends[end_count / 2]);
    struct mw_buf file_before = read_snapshot(ends[end_count / 2], &before);
    unsigned old_ones = 0, new_ones = 0, failures = 0;
    for (size_t e = 0; e < MW_COUNT(errnos); e++)
        for (long at = 1;; at++) {
            struct mw_snapshot found = {.records = 0};
            struct mw_err err = {0};
            struct mw_buf file = mw_heap_buf();
            empty_cache();
            put_snapshot(before.at.seq, mw_buf_str(&file_before));
            int fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            fault.at = at;
            fault.calls = 0;
            fault.sys_errno = errnos[e];
            enum mw_rc rc = write_failing(fd, &after, mw_buf_str(&file_after));
            (void)close(fd);
            assert_int_equal(mw_snapshot_find(workspace, &found, &file, &err), MW_OK);
            assert_int_equal(use(&err), MW_OK);
            if (found.at.seq == before.at.seq)
                old_ones++;
            else if (found.at.seq == after.at.seq)
                new_ones++;
            else
                fail_msg("record %lu", (unsigned long)found.at.seq);
            failures += rc != MW_OK;
            mw_heap_buf_free(&file);
            if (fault.calls < at) { /* nothing was hit */
                assert_int_equal(rc, MW_OK);
                break;
            }
        }
    assert_true(old_ones > 4 && new_ones > 2 && failures > 6);
    mw_heap_buf_free(&file_before);
    mw_heap_buf_free(&file_after);
    end_workspace();
}

static void two_writers_at_once_are_one(void **state)
{
    struct mw_snapshot_writer first, second;
    struct mw_err err = {0};
    (void)state;
    begin_workspace("0.1.0");
    int fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_snapshot_begin(&first, NULL, fd, &err), MW_OK);
    assert_int_equal(mw_snapshot_begin(&second, NULL, fd, &err), MW_E_CONFLICT);
    mw_snapshot_abandon(&first);
    assert_int_equal(mw_snapshot_begin(&second, NULL, fd, &err), MW_OK);
    mw_snapshot_abandon(&second);
    (void)close(fd);
    end_workspace();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p13_p16_a_kept_journal_shortened_anywhere_gives_the_same_state),
        cmocka_unit_test(a_position_is_the_last_whole_frame_before_a_record),
        cmocka_unit_test(a_snapshot_with_one_byte_changed_or_missing_is_not_used),
        cmocka_unit_test(a_sound_file_that_is_not_of_this_journal_and_build_and_state_is_not_used),
        cmocka_unit_test(p16_p23_a_snapshot_with_another_promotion_or_build_is_not_used),
        cmocka_unit_test(a_snapshot_ahead_of_a_journal_that_was_cut_is_not_used),
        cmocka_unit_test(a_disk_that_fails_leaves_the_snapshot_before_or_the_new_one),
        cmocka_unit_test(
            p16_a_snapshot_that_is_not_what_was_written_does_not_replace_the_one_before),
        cmocka_unit_test(two_writers_at_once_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
