/*
 * test_journal_looks.c - what looks at a journal without writing it, and what it leans on: walking the frames, the settled end, positions, the
 * place and the file of a snapshot, the lock. One row a way in which each can go wrong: what the answer is, and that its words name the cause.
 */
#include "../crash/journal_rig.h"
#include "journal/extract.h"
#include "journal/lock.h"
#include "journal/scan.h"
#include "journal/snapshot.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <cmocka.h>

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_quick};
static const struct mw_journal_options rigged = {
    .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &rig_sys};
static char dir[64];
static int dir_fd = -1;
static uint64_t ends[64], last; /* of every frame; the last record */
static int frames;

/* The calls that do not go through the journal's table, by the linker (test_journal_looks.wraps). */
static struct {
    int flock_errno; /* what flock answers; 0: the real one */
    int folder_errno;
    int stat_errno;
    int open_errno;    /* of openat itself, for "." */
    bool other_file;   /* fstatat tells another file than is open */
    bool other_disk;   /* or one of that number on another disk */
    bool no_locks;     /* /proc/locks cannot be read */
    const char *locks; /* what it says instead */
    int kill_errno;    /* 0: the real answer */
} world;

int __real_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret)
{
    if (world.stat_errno != 0) {
        errno = world.stat_errno;
        return -1;
    }
    return __real_fstat(fd, ret);
}

int __real_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags)
{
    int answer = __real_fstatat(fd, path, ret, flags);
    ret->st_ino += world.other_file;
    ret->st_dev += world.other_disk;
    return answer;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    if (world.flock_errno != 0) {
        errno = world.flock_errno;
        return -1;
    }
    return __real_flock(fd, operation);
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    if (world.folder_errno != 0) {
        errno = world.folder_errno;
        return NULL;
    }
    return __real_fdopendir(fd);
}

int __real_openat(int at_fd, const char *path, int flags, ...);
int __wrap_openat(int at_fd, const char *path, int flags, ...);
int __wrap_openat(int at_fd, const char *path, int flags, ...)
{
    if (world.open_errno != 0 && strcmp(path, ".") == 0) {
        errno = world.open_errno;
        return -1;
    }
    return __real_openat(at_fd, path, flags, 0600);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (world.no_locks)
        return NULL;
    return world.locks != NULL ? fmemopen((void *)(uintptr_t)world.locks, strlen(world.locks), "r")
                               : __real_fopen(path, mode);
}

int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal)
{
    if (world.kill_errno != 0) {
        errno = world.kill_errno;
        return -1;
    }
    return __real_kill(pid, signal);
}

/* Who waits for a holder to say its name waits no longer than the clock of this test. */
int __wrap_nanosleep(const struct timespec *wait, struct timespec *left);
int __wrap_nanosleep(const struct timespec *wait, struct timespec *left)
{
    (void)wait, (void)left;
    return 0;
}

/* ---- a journal of several segments, of frames of one to three records ---- */

static enum mw_rc note_end(void *context, const struct mw_journal_frame_info *frame,
                           struct mw_str lines, struct mw_err *err)
{
    (void)context, (void)lines, (void)err;
    assert_int_equal(frame->frame, (uint64_t)frames + 1);
    assert_int_equal(frame->first, frames > 0 ? ends[frames - 1] + 1 : 1);
    ends[frames++] = frame->first + frame->count - 1;
    return MW_OK;
}

static void begin(void)
{
    struct mw_journal_opened opened;
    struct mw_err err;
    void *journal;
    memset(&world, 0, sizeof world);
    rig_reset(1);
    rig.recording = false;
    if (dir[0] == '\0') {
        rig_new_dir(dir);
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    rig_empty_dir(dir);
    assert_int_equal(ops->open(dir, &quick, &journal, &opened, &err), MW_OK);
    for (uint32_t i = 0; i < 14; i++)
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1 + i % 3, &err), MW_OK);
    last = ops->last_seq(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    frames = 0;
    assert_int_equal(mw_journal_frames(dir, &quick, UINT64_MAX, note_end, NULL, &err), MW_OK);
    assert_int_equal(frames, 14);
}

static void path_of(const char *name, char ret_path[200])
{
    (void)snprintf(ret_path, 200, "%s/%s", dir, name);
}

static void name_of(size_t index, char ret_name[MW_SEGMENT_NAME_BYTES])
{
    struct mw_segments segments;
    struct mw_err err;
    assert_int_equal(mw_segments_list(dir_fd, &segments, &err), MW_OK);
    assert_true(segments.count > 2);
    mw_segment_name(segments.first[index < segments.count ? index : segments.count - 1], ret_name);
    mw_segments_free(&segments);
}

static void change_byte(const char *name, off_t at)
{
    char path[200], byte;
    path_of(name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void as_it_is(void)
{
}
static void no_folder(void)
{
    rig_arm(RIG_ERROR, ENOENT, 1u << RIG_OPENAT, 1);
}
static void folder_denied(void)
{
    rig_arm(RIG_ERROR, EACCES, 1u << RIG_OPENAT, 1);
}
static void folder_not_listed(void)
{
    world.folder_errno = ENOMEM;
}
static void folder_not_opened(void)
{
    world.open_errno = EMFILE;
}
static void strange_name(void)
{
    char path[200];
    path_of("notes.jsonl", path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static void segment_not_opened(void)
{
    rig_arm(RIG_ERROR, EIO, 1u << RIG_OPENAT, 3);
}
static void not_read(void)
{
    rig_arm(RIG_ERROR, EIO, 1u << RIG_PREAD, 1);
}
static void interrupted(void)
{
    rig_arm(RIG_ERROR, EINTR, 1u << RIG_PREAD, 1);
}
static void second_not_read(void)
{
    rig_arm(RIG_ERROR, EIO, 1u << RIG_PREAD, 2);
}
static void damaged_first(void)
{
    change_byte("00000000000000000001.jsonl", 400);
}
static void damaged_last(void)
{
    char name[MW_SEGMENT_NAME_BYTES];
    name_of(SIZE_MAX, name);
    change_byte(name, 3); /* more frames stand after it */
}
static void torn(void)
{
    char name[MW_SEGMENT_NAME_BYTES], path[200];
    name_of(SIZE_MAX, name);
    path_of(name, path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "{\"frame\":99,\"for", 16), 16);
    (void)close(fd);
}
static void emptied(void)
{
    rig_empty_dir(dir);
}
static void newer(void)
{
    char path[200];
    path_of("00000000000000000001.jsonl", path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "{\"frame\":1,\"format\":2,", 22, 0), 22);
    (void)close(fd);
}

/* ---- walking the frames ---- */

struct walk {
    int count;
    int refuse_at; /* 0: never */
};

static enum mw_rc count_frame(void *context, const struct mw_journal_frame_info *frame,
                              struct mw_str lines, struct mw_err *err)
{
    struct walk *walk = context;
    assert_int_equal(frame->first + frame->count - 1, ends[walk->count]);
    assert_true(lines.len > 0 && lines.len < frame->bytes);
    walk->count++;
    return walk->count == walk->refuse_at ? MW_FAIL(err, MW_E_LIMIT, "enough") : MW_OK;
}

static void p03_who_walks_the_frames_gets_all_that_stand_before_a_fault(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
        int refuse_at;
        enum mw_rc rc;
        int least, most; /* frames handed over */
        const char *words;
    } rows[] = {
        {"as it is", as_it_is, 0, MW_OK, 14, 14, ""},
        {"torn", torn, 0, MW_OK, 14, 14, ""},
        {"refused", as_it_is, 5, MW_E_LIMIT, 5, 5, "enough"},
        {"emptied", emptied, 0, MW_OK, 0, 0, ""},
        {"no folder", no_folder, 0, MW_E_MISSING, 0, 0, "folder"},
        {"folder denied", folder_denied, 0, MW_E_DENIED, 0, 0, "folder"},
        {"folder not listed", folder_not_listed, 0, MW_E_IO, 0, 0, "list"},
        {"folder not opened", folder_not_opened, 0, MW_E_IO, 0, 0, "list"},
        {"a strange name", strange_name, 0, MW_E_CORRUPT, 0, 0, "notes.jsonl"},
        {"segment not opened", segment_not_opened, 0, MW_E_IO, 0, 0, "open journal segment"},
        {"not read", not_read, 0, MW_E_IO, 0, 0, "read journal segment"},
        {"interrupted", interrupted, 0, MW_OK, 14, 14, ""},
        {"damaged first", damaged_first, 0, MW_E_CORRUPT, 0, 3, "00000000000000000001.jsonl at"},
        {"damaged last", damaged_last, 0, MW_E_CORRUPT, 1, 13, "not a frame's header"},
        {"newer", newer, 0, MW_E_CONFIG, 0, 0, "newer format"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (int quiet = 0; quiet < 2; quiet++) {
            struct walk walk = {.refuse_at = rows[i].refuse_at};
            struct mw_err err = {.text = ""};
            begin();
            rows[i].change();
            enum mw_rc rc = mw_journal_frames(dir, &rigged, UINT64_MAX, count_frame, &walk,
                                              quiet == 0 ? &err : NULL);
            if (rc != rows[i].rc || walk.count < rows[i].least || walk.count > rows[i].most ||
                (quiet == 0 && strstr(err.text, rows[i].words) == NULL))
                fail_msg("%s: %s, %d frames: %s", rows[i].name, mw_rc_name(rc), walk.count,
                         err.text);
        }
}

static void p03_who_walks_to_a_record_gets_the_frames_that_end_there(void **state)
{
    (void)state;
    begin();
    for (uint64_t until = 0; until <= last + 2; until++) {
        struct walk walk = {.count = 0};
        struct mw_err err;
        int whole = 0;
        while (whole < frames && ends[whole] <= until)
            whole++;
        /* Without options: the real system, head and lock in the folder. */
        assert_int_equal(mw_journal_frames(dir, NULL, until, count_frame, &walk, &err), MW_OK);
        assert_int_equal(walk.count, whole);
    }
}

/* ---- where it is settled ---- */

static void head_not_there(void)
{
    char path[200];
    path_of("head", path);
    assert_int_equal(unlink(path), 0);
}
static void head_damaged(void)
{
    change_byte("head", 20);
    change_byte("head", 512 + 20);
}
static void head_not_read(void)
{
    rig_arm(RIG_ERROR, EIO, 1u << RIG_PREAD, 1);
}
static void lock_not_there(void)
{
    char path[200];
    path_of("lock", path);
    assert_int_equal(unlink(path), 0);
}

static void p04_settled_is_what_the_head_says_while_somebody_writes_and_else_all(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
        bool held, by_head;
    } rows[] = {
        {"nobody writes", as_it_is, false, false},     {"somebody writes", as_it_is, true, true},
        {"no head", head_not_there, true, false},      {"damaged head", head_damaged, true, false},
        {"head not read", head_not_read, true, false}, {"no lock", lock_not_there, false, false},
        {"no folder", no_folder, true, false},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        begin();
        int fd = rows[i].held ? openat(dir_fd, "lock", O_RDWR | O_CLOEXEC) : -1;
        assert_true(fd < 0 || __real_flock(fd, LOCK_EX | LOCK_NB) == 0);
        rows[i].change();
        uint64_t until = mw_journal_settled(dir, &rigged);
        if (until != (rows[i].by_head ? last : UINT64_MAX))
            fail_msg("%s: %lu", rows[i].name, (unsigned long)until);
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        if (rows[i].by_head)
            assert_int_equal(mw_journal_settled(dir, NULL), last);
        if (fd >= 0)
            (void)close(fd);
    }
}

/* ---- positions ---- */

static void p04_a_position_is_found_across_segments_or_the_fault_is_told(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"as it is", as_it_is, MW_OK, ""},
        {"torn", torn, MW_OK, ""},
        {"emptied", emptied, MW_E_MISSING, "nothing is recorded"},
        {"no folder", no_folder, MW_E_MISSING, "folder"},
        {"folder not listed", folder_not_listed, MW_E_IO, "list"},
        {"not read", not_read, MW_E_IO, "read journal segment"},
        {"damaged last", damaged_last, MW_E_CORRUPT, "not a frame's header"},
        {"damaged first", damaged_first, MW_OK, ""}, /* it is not looked at */
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (int quiet = 0; quiet < 2; quiet++) {
            struct mw_journal_position at = {.seq = 0};
            struct mw_err err = {.text = ""};
            begin();
            rows[i].change();
            enum mw_rc rc =
                mw_journal_position(dir, &rigged, UINT64_MAX, &at, quiet == 0 ? &err : NULL);
            if (rc != rows[i].rc || (quiet == 0 && strstr(err.text, rows[i].words) == NULL) ||
                at.seq != (rc == MW_OK ? last : 0))
                fail_msg("%s: %s, record %lu: %s", rows[i].name, mw_rc_name(rc),
                         (unsigned long)at.seq, err.text);
        }
    begin();
    int frame = -1;
    for (uint64_t until = 0; until <= last + 1; until++) {
        struct mw_journal_position at;
        struct mw_err err;
        frame += frame + 1 < frames && ends[frame + 1] <= until;
        enum mw_rc rc = mw_journal_position(dir, NULL, until, &at, &err);
        if (frame < 0)
            assert_int_equal(rc, MW_E_MISSING);
        else
            assert_true(rc == MW_OK && at.seq == ends[frame] && at.frame == (uint64_t)frame + 1);
    }
}

/* A frame that ends in the last segment's first frame began in it: the number points to a segment in which no whole frame ends before. */
static void p04_a_position_whose_segment_is_just_begun_is_in_the_one_before(void **state)
{
    struct mw_journal_position at;
    struct mw_err err;
    char name[MW_SEGMENT_NAME_BYTES], path[200];
    (void)state;
    begin();
    mw_segment_name(last + 1, name);
    path_of(name, path);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(mw_journal_position(dir, &quick, last + 1, &at, &err), MW_OK);
    assert_int_equal(at.seq, last);
}

/* ---- the place of a snapshot ---- */

static struct mw_snapshot snapshot_here(void)
{
    struct mw_snapshot snapshot = {.journal = "c0ffee", .made_by = "1.2.3"};
    struct mw_err err;
    assert_int_equal(mw_journal_position(dir, &quick, UINT64_MAX, &snapshot.at, &err), MW_OK);
    memset(snapshot.state, 'a', 64);
    memset(snapshot.left, 'b', 64);
    return snapshot;
}

static void other_frame(struct mw_snapshot *snapshot)
{
    snapshot->at.frame++;
}
static void other_epoch(struct mw_snapshot *snapshot)
{
    snapshot->at.epoch++;
}
static void other_seq(struct mw_snapshot *snapshot)
{
    snapshot->at.seq++;
}
static void other_hash(struct mw_snapshot *snapshot)
{
    snapshot->at.hash[0] ^= 1;
}
static void other_offset(struct mw_snapshot *snapshot)
{
    snapshot->at.offset++;
}
static void other_segment(struct mw_snapshot *snapshot)
{
    snapshot->at.segment = last + 7;
}
static void same(struct mw_snapshot *snapshot)
{
    (void)snapshot;
}
static void cut_last(void)
{
    char name[MW_SEGMENT_NAME_BYTES], path[200];
    struct stat file;
    name_of(SIZE_MAX, name);
    path_of(name, path);
    assert_int_equal(__real_fstatat(AT_FDCWD, path, &file, 0), 0);
    assert_int_equal(truncate(path, file.st_size - 3), 0);
}
static void place_not_opened(void)
{
    rig_arm(RIG_ERROR, EIO, 1u << RIG_OPENAT, 3);
}
static void read_twice(void)
{
    rig_arm(RIG_ERROR, EINTR, 1u << RIG_PREAD, 2);
}

static void p16_a_snapshot_belongs_where_its_frame_lies_and_nowhere_else(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
        void (*tell)(struct mw_snapshot *snapshot);
        enum mw_rc rc;
    } rows[] = {
        {"as it is", as_it_is, same, MW_OK},
        {"interrupted", read_twice, same, MW_OK},
        {"frame", as_it_is, other_frame, MW_E_CONFLICT},
        {"epoch", as_it_is, other_epoch, MW_E_CONFLICT},
        {"record", as_it_is, other_seq, MW_E_CONFLICT},
        {"hash", as_it_is, other_hash, MW_E_CONFLICT},
        {"offset", as_it_is, other_offset, MW_E_CONFLICT},
        {"segment", as_it_is, other_segment, MW_E_CONFLICT},
        {"cut", cut_last, same, MW_E_CONFLICT},
        {"no folder", no_folder, same, MW_E_MISSING},
        {"not opened", place_not_opened, same, MW_E_IO},
        {"header not read", not_read, same, MW_E_IO},
        {"body not read", second_not_read, same, MW_E_IO},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        begin();
        struct mw_snapshot snapshot = snapshot_here();
        rows[i].change();
        rows[i].tell(&snapshot);
        enum mw_rc rc = mw_snapshot_belongs(dir, &rigged, &snapshot, &err);
        if (rc != rows[i].rc || (rc != MW_OK && err.text[0] == '\0'))
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        if (rows[i].change == as_it_is) {
            rig_arm(RIG_NO_FAULT, 0, 0, 0);
            assert_int_equal(mw_snapshot_belongs(dir, NULL, &snapshot, &err), rows[i].rc);
        }
    }
}

/* ---- the file of a snapshot ---- */

static enum mw_rc write_snapshot(size_t lines, size_t line_bytes, struct mw_err *err)
{
    struct mw_snapshot_writer writer;
    struct mw_snapshot snapshot = {.at.seq = 9, .journal = "c0ffee", .made_by = "1.2.3"};
    memset(snapshot.state, 'a', 64);
    memset(snapshot.left, 'b', 64);
    mw_autofree char *line = mw_heap_alloc(line_bytes);
    memset(line, 'x', line_bytes);
    line[0] = '{';
    line[line_bytes - 1] = '}';
    enum mw_rc rc = mw_snapshot_begin(&writer, &rig_sys, dir_fd, err);
    if (rc != MW_OK)
        return rc;
    for (size_t i = 0; rc == MW_OK && i < lines; i++)
        rc = mw_snapshot_add(&writer, (struct mw_str){line, line_bytes}, i % 2 == 1, err);
    if (rc == MW_OK)
        rc = mw_snapshot_seal(&writer, &snapshot, err);
    if (rc == MW_OK)
        return mw_snapshot_commit(&writer, &snapshot, err);
    mw_snapshot_abandon(&writer);
    return rc;
}

static void empty_folder(void)
{
    memset(&world, 0, sizeof world);
    rig_reset(1);
    rig.recording = false;
    if (dir[0] == '\0')
        begin();
    rig_empty_dir(dir);
}

static void p16_a_snapshot_that_cannot_be_written_leaves_the_one_before(void **state)
{
    static const struct {
        const char *name;
        enum rig_fault fault;
        int error;
        enum rig_call call;
        long at;
        size_t line_bytes;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"created", RIG_ERROR, EACCES, RIG_OPENAT, 1, 50, MW_E_DENIED, "create"},
        {"emptied", RIG_ERROR, EIO, RIG_FTRUNCATE, 1, 50, MW_E_IO, "empty"},
        {"flushed", RIG_ERROR, ENOSPC, RIG_PWRITE, 1, 2 << 20, MW_E_FULL, "records"},
        {"flushed at the end", RIG_ERROR, EIO, RIG_PWRITE, 1, 50, MW_E_IO, "records"},
        {"header", RIG_ERROR, EDQUOT, RIG_PWRITE, 2, 50, MW_E_FULL, "header"},
        {"synced", RIG_ERROR, ENOSPC, RIG_FSYNC, 1, 50, MW_E_FULL, "durable"},
        {"named", RIG_ERROR, EROFS, RIG_RENAMEAT, 1, 50, MW_E_DENIED, "in place"},
        {"folder synced", RIG_ERROR, EIO, RIG_FSYNC, 2, 50, MW_E_IO, "folder"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        struct mw_snapshot snapshot;
        struct mw_buf file = mw_heap_buf();
        char name[MW_SNAPSHOT_NAME_BYTES];
        empty_folder();
        assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_E_MISSING);
        assert_int_equal(write_snapshot(3, 50, &err), MW_OK);
        rig_arm(rows[i].fault, rows[i].error, 1u << rows[i].call, rows[i].at);
        enum mw_rc rc = write_snapshot(4, rows[i].line_bytes, &err);
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        rig_arm(RIG_NO_FAULT, 0, 0, 0);
        assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_OK);
        assert_int_equal(mw_snapshot_read(dir_fd, name, &snapshot, &file, &err), MW_OK);
        assert_true(snapshot.records == 3 || rows[i].at == 2); /* only its durability is unknown */
        mw_heap_buf_free(&file);
    }
}

static void p16_only_one_writes_a_snapshot_and_a_folder_that_cannot_be_listed_is_told(void **state)
{
    struct mw_snapshot_writer first;
    struct mw_err err = {.text = ""};
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    empty_folder();
    assert_int_equal(mw_snapshot_begin(&first, NULL, dir_fd, &err), MW_OK);
    assert_int_equal(write_snapshot(1, 50, &err), MW_E_CONFLICT);
    mw_snapshot_abandon(&first);
    world.flock_errno = ENOLCK;
    assert_int_equal(write_snapshot(1, 50, &err), MW_E_IO);
    world.flock_errno = 0;
    assert_int_equal(write_snapshot(1, 50, &err), MW_OK);
    /* Names that are none, and an older one that is removed when it can be. */
    static const char *const strange[] = {"snapshot-1.jsonl", "snapshot-0000000000000000000x.jsonl",
                                          "snapshot-00000000000000000123.json", "other"};
    for (size_t i = 0; i < MW_COUNT(strange); i++)
        (void)close(openat(dir_fd, strange[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    (void)close(openat(dir_fd, "snapshot-00000000000000000003.jsonl",
                       O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    world.folder_errno = ENOMEM;
    assert_int_equal(write_snapshot(1, 50, &err), MW_OK);
    assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_E_IO);
    world.folder_errno = 0;
    world.open_errno = EMFILE;
    assert_int_equal(write_snapshot(1, 50, &err), MW_OK);
    assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_E_IO);
    world.open_errno = 0;
    assert_true(mw_exists(dir_fd, "snapshot-00000000000000000003.jsonl"));
    assert_int_equal(write_snapshot(1, 50, &err), MW_OK);
    assert_false(mw_exists(dir_fd, "snapshot-00000000000000000003.jsonl"));
    assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_OK);
    assert_string_equal(name, "snapshot-00000000000000000009.jsonl");
    for (size_t i = 0; i < MW_COUNT(strange); i++)
        assert_true(mw_exists(dir_fd, strange[i]));
}

static void p16_a_snapshot_whose_file_is_not_what_its_header_says_is_refused(void **state)
{
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    struct mw_err err = {.text = ""};
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    empty_folder();
    assert_int_equal(write_snapshot(3, 50, &err), MW_OK);
    mw_snapshot_name(9, name);
    assert_int_equal(mw_snapshot_read(dir_fd, "not there", &snapshot, &file, &err), MW_E_MISSING);
    assert_int_equal(mw_snapshot_read(dir_fd, name, &snapshot, &file, &err), MW_OK);
    struct mw_str whole = mw_buf_str(&file);
    static const struct {
        size_t at; /* the byte that is changed; SIZE_MAX: cut by one */
        const char *words;
    } rows[] = {
        {3, "not a snapshot's header"},
        {MW_SNAPSHOT_HEADER_BYTES - 1, "header"},
        {MW_SNAPSHOT_HEADER_BYTES + 3, "ones that were written"},
        {SIZE_MAX, "bytes of records"},
    };
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_str text = mw_str_sub(whole, 0, whole.len - (rows[i].at == SIZE_MAX));
        if (rows[i].at != SIZE_MAX)
            file.ptr[rows[i].at] ^= 1;
        enum mw_rc rc = mw_snapshot_check(text, "it", &snapshot, &err);
        if (rows[i].at != SIZE_MAX)
            file.ptr[rows[i].at] ^= 1;
        if (rc != MW_E_CORRUPT || strstr(err.text, rows[i].words) == NULL)
            fail_msg("row %zu: %s: %s", i, mw_rc_name(rc), err.text);
    }
    assert_int_equal(mw_snapshot_check(mw_str_sub(whole, 0, 1000), "it", &snapshot, &err),
                     MW_E_CORRUPT);
    mw_heap_buf_free(&file);
}

/* The same file with a part of its header replaced and its checksum right again, or with other lines under digests that fit them. */
static enum mw_rc check_with(struct mw_str whole, const char *from, const char *to,
                             struct mw_err *err)
{
    struct mw_snapshot snapshot;
    struct mw_buf text = mw_heap_buf();
    const char *end = memmem(whole.ptr, whole.len, ",\"crc32c\":", 10);
    const char *at = memmem(whole.ptr, (size_t)(end - whole.ptr), from, strlen(from));
    char crc[32];
    assert_non_null(at);
    mw_buf_put(&text, mw_str_sub(whole, 0, (size_t)(at - whole.ptr)));
    mw_buf_put_z(&text, to);
    at += strlen(from);
    mw_buf_put(&text, (struct mw_str){at, (size_t)(end - at)});
    (void)snprintf(crc, sizeof crc, ",\"crc32c\":\"%08x\"}", mw_crc32c(0, mw_buf_str(&text)));
    mw_buf_put_z(&text, crc);
    while (text.len < MW_SNAPSHOT_HEADER_BYTES - 1)
        mw_buf_put_c(&text, ' ');
    mw_buf_put_c(&text, '\n');
    mw_buf_put(&text, mw_str_sub(whole, MW_SNAPSHOT_HEADER_BYTES, SIZE_MAX));
    enum mw_rc rc = mw_snapshot_check(mw_buf_str(&text), "it", &snapshot, err);
    mw_heap_buf_free(&text);
    return rc;
}

static void p16_a_snapshot_whose_header_is_spelled_otherwise_is_refused(void **state)
{
    static const struct {
        const char *from, *to;
        enum mw_rc rc;
    } rows[] = {
        {"{", "{", MW_OK},
        {"\"seq\":9", "\"seq\":8", MW_OK},
        {"\"seq\":9", "\"seq\":0", MW_E_CORRUPT},
        {"\"seq\":9", "\"seq\":09", MW_E_CORRUPT},
        {"\"hash\":\"00", "\"hash\":\"0", MW_E_CORRUPT},
        {"\"state\":\"aa", "\"state\":\"a", MW_E_CORRUPT},
        {"\"left\":\"bb", "\"left\":\"b", MW_E_CORRUPT},
        {"\"body\":\"", "\"body\":\"\",\"body\":\"", MW_E_CORRUPT},
        {"\"journal\":\"c0ffee\"", "\"journal\":\"\"", MW_E_CORRUPT},
        {"\"records\":", "\"record\":", MW_E_CORRUPT},
    };
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    struct mw_err err = {.text = ""};
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    empty_folder();
    assert_int_equal(write_snapshot(3, 50, &err), MW_OK);
    mw_snapshot_name(9, name);
    assert_int_equal(mw_snapshot_read(dir_fd, name, &snapshot, &file, &err), MW_OK);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        enum mw_rc rc = check_with(mw_buf_str(&file), rows[i].from, rows[i].to, &err);
        if (rc != rows[i].rc)
            fail_msg("%s → %s: %s: %s", rows[i].from, rows[i].to, mw_rc_name(rc), err.text);
    }
    /* A digest that lacks a digit, and one that fits records without an end. */
    char digest[65];
    assert_int_equal(check_with(mw_buf_str(&file), snapshot.body, snapshot.body + 1, &err),
                     MW_E_CORRUPT);
    file.ptr[file.len - 1] = '}';
    mw_sha256_hex(mw_str_sub(mw_buf_str(&file), MW_SNAPSHOT_HEADER_BYTES, SIZE_MAX), digest);
    assert_int_equal(check_with(mw_buf_str(&file), snapshot.body, digest, &err), MW_E_CORRUPT);
    assert_non_null(strstr(err.text, "no end"));
    mw_heap_buf_free(&file);
}

struct lines {
    int count, lefts;
    int refuse_at; /* 0: never */
};

static enum mw_rc count_line(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    struct lines *lines = context;
    assert_true(line.len >= 2);
    lines->count++;
    lines->lefts += left;
    return lines->count == lines->refuse_at ? MW_FAIL(err, MW_E_LIMIT, "enough") : MW_OK;
}

static void p16_the_lines_of_a_snapshot_are_handed_over_until_one_is_refused(void **state)
{
    static const char body[] = "{\"a\":1}\n{\"left\":{\"b\":2}}\n{\"left\":no end\n{}\n";
    struct mw_buf file = mw_heap_buf();
    struct mw_err err = {.text = ""};
    (void)state;
    for (size_t i = 0; i < MW_SNAPSHOT_HEADER_BYTES; i++)
        mw_buf_put_c(&file, ' ');
    struct lines none = {.count = 0}, all = {.count = 0}, two = {.refuse_at = 2};
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), count_line, &none, &err), MW_OK);
    assert_int_equal(none.count, 0);
    mw_buf_put_z(&file, body);
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), count_line, &all, &err), MW_OK);
    assert_true(all.count == 4 && all.lefts == 1);
    assert_int_equal(mw_snapshot_each(mw_buf_str(&file), count_line, &two, &err), MW_E_LIMIT);
    assert_int_equal(two.count, 2);
    mw_heap_buf_free(&file);
}

static void p16_an_empty_snapshot_is_one_and_the_newest_name_counts(void **state)
{
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    struct mw_err err = {.text = ""};
    char name[MW_SNAPSHOT_NAME_BYTES];
    (void)state;
    empty_folder();
    assert_int_equal(write_snapshot(0, 50, &err), MW_OK);
    mw_snapshot_name(9, name);
    assert_int_equal(mw_snapshot_read(dir_fd, name, &snapshot, &file, &err), MW_OK);
    assert_int_equal(snapshot.records, 0);
    mw_heap_buf_free(&file);
    for (uint64_t seq = 1; seq < 200; seq += 7) { /* in whatever order they are listed */
        mw_snapshot_name(seq, name);
        (void)close(openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    assert_int_equal(mw_snapshot_newest(dir_fd, name, &err), MW_OK);
    assert_string_equal(name, "snapshot-00000000000000000197.jsonl");
}

/* ---- the lock ---- */

#define LOCK_LINE "{\"lock\":1,\"pid\":%d,\"epoch\":7}"

static void put_lock(int pid)
{
    char line[81];
    int length = snprintf(line, sizeof line, LOCK_LINE, pid);
    memset(line + length, ' ', sizeof line - (size_t)length);
    line[79] = '\n';
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, line, 80, 0), 80);
    (void)close(fd);
}

static void p11_who_does_not_get_the_lock_is_told_why(void **state)
{
    static const struct {
        const char *name;
        int flock_errno;
        int noted; /* pid in the file: 0 nobody, 1 this process, -1 one that is gone, -2 somebody else's, 2 not a line */
        const char *locks;
        bool no_locks, other_file, no_stat;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"free", 0, 0, NULL, false, false, false, MW_OK, ""},
        {"held by one that is noted", EWOULDBLOCK, 1, "", false, false, false, MW_E_CONFLICT,
         "held by process"},
        {"the list cannot be read", EWOULDBLOCK, 1, NULL, true, false, false, MW_E_CONFLICT,
         "held by process"},
        {"other files are locked", EWOULDBLOCK, 1,
         "1: FLOCK  ADVISORY  WRITE 17 08:01:1 0 EOF\n2: POSIX  ADVISORY  READ 3 08:01:2 0 "
         "EOF\nx\n",
         false, false, false, MW_E_CONFLICT, "held by process"},
        {"the noted one is gone", EWOULDBLOCK, -1, "", false, false, false, MW_E_CONFLICT,
         "held by another process"},
        {"the noted one is another user's", EWOULDBLOCK, -2, "", false, false, false, MW_E_CONFLICT,
         "held by process"},
        {"nobody is noted", EWOULDBLOCK, 0, "", false, false, false, MW_E_CONFLICT,
         "held by another process"},
        {"not a line", EWOULDBLOCK, 2, "", false, false, false, MW_E_CONFLICT,
         "held by another process"},
        {"no locks here", ENOLCK, 0, NULL, false, false, false, MW_E_IO, "lock the journal"},
        {"always another file", 0, 0, NULL, false, true, false, MW_E_CONFLICT, "replaced"},
        {"not to be looked at", 0, 0, NULL, false, false, true, MW_E_CONFLICT, "replaced"},
        {"held, and not to be looked at", EWOULDBLOCK, 1, NULL, false, false, true, MW_E_CONFLICT,
         "held by process"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        uint64_t epoch = 0;
        int fd = -1;
        empty_folder();
        put_lock(rows[i].noted == 1 ? getpid() : rows[i].noted < 0 ? 12345 : 0);
        if (rows[i].noted == 2)
            change_byte("lock", 4);
        world.flock_errno = rows[i].flock_errno;
        world.locks = rows[i].locks != NULL && rows[i].locks[0] == '\0' ? "\n" : rows[i].locks;
        world.no_locks = rows[i].no_locks;
        world.other_file = rows[i].other_file;
        world.stat_errno = rows[i].no_stat ? EIO : 0;
        world.kill_errno = rows[i].noted == -1 ? ESRCH : rows[i].noted == -2 ? EPERM : 0;
        enum mw_rc rc = mw_lock_take(&rig_quick, dir_fd, &fd, &epoch, &err);
        memset(&world, 0, sizeof world);
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        if (rc == MW_OK) {
            assert_int_equal(epoch, 7);
            mw_lock_release(&rig_quick, fd, 0);
        }
    }
}

/* One line of the kernel's list for the lock's file, with its numbers changed by so much. */
static size_t put_listed(char *text, size_t size, long pid, unsigned more_major,
                         unsigned more_minor, unsigned long more_inode)
{
    struct stat file;
    assert_int_equal(__real_fstatat(dir_fd, "lock", &file, 0), 0);
    int length = snprintf(text, size, "1: FLOCK  ADVISORY  WRITE %ld %02x:%02x:%lu 0 EOF\n", pid,
                          major(file.st_dev) + more_major, minor(file.st_dev) + more_minor,
                          (unsigned long)file.st_ino + more_inode);
    return (size_t)length;
}

static void p11_the_holder_is_found_in_the_kernels_list(void **state)
{
    struct mw_err err = {.text = ""};
    char locks[800];
    size_t used = 0;
    uint64_t epoch;
    int fd;
    (void)state;
    empty_folder();
    put_lock(0);
    /* Other files, and one without a process, as in a container that does not see it, come first. */
    used += put_listed(locks + used, sizeof locks - used, 11, 1, 0, 0);
    used += put_listed(locks + used, sizeof locks - used, 12, 0, 1, 0);
    used += put_listed(locks + used, sizeof locks - used, 13, 0, 0, 1);
    used += put_listed(locks + used, sizeof locks - used, 0, 0, 0, 0);
    used += put_listed(locks + used, sizeof locks - used, 4242, 0, 0, 0);
    used += put_listed(locks + used, sizeof locks - used, 14, 0, 0, 0);
    world.locks = locks;
    world.flock_errno = EWOULDBLOCK;
    assert_int_equal(mw_lock_take(&rig_quick, dir_fd, &fd, &epoch, &err), MW_E_CONFLICT);
    if (strstr(err.text, "process 4242") == NULL)
        fail_msg("%s", err.text);
    memset(&world, 0, sizeof world);
    world.other_disk = true;
    assert_int_equal(mw_lock_take(&rig_quick, dir_fd, &fd, &epoch, &err), MW_E_CONFLICT);
    assert_non_null(strstr(err.text, "replaced"));
    memset(&world, 0, sizeof world);
}

static void p11_a_lock_that_cannot_be_opened_or_noted_is_told_by_its_cause(void **state)
{
    static const struct {
        const char *name;
        enum rig_fault fault;
        int error;
        enum rig_call call;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"sound", RIG_NO_FAULT, 0, RIG_PWRITE, MW_OK, ""},
        {"read-only", RIG_ERROR, EROFS, RIG_OPENAT, MW_E_DENIED, "open the journal's lock"},
        {"not permitted", RIG_ERROR, EPERM, RIG_OPENAT, MW_E_DENIED, "open the journal's lock"},
        {"denied", RIG_ERROR, EACCES, RIG_OPENAT, MW_E_DENIED, "open the journal's lock"},
        {"failed", RIG_ERROR, EIO, RIG_OPENAT, MW_E_IO, "open the journal's lock"},
        {"full", RIG_ERROR, ENOSPC, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"quota", RIG_ERROR, EDQUOT, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"too large", RIG_ERROR, EFBIG, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"short", RIG_SHORT, 0, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"not synced", RIG_ERROR, ENOSPC, RIG_FDATASYNC, MW_E_IO, "durable"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        uint64_t epoch = 0;
        int fd = -1;
        empty_folder();
        rig_arm(rows[i].fault, rows[i].error, 1u << rows[i].call, 1);
        enum mw_rc rc = mw_lock_take(&rig_sys, dir_fd, &fd, &epoch, &err);
        if (rc == MW_OK) {
            assert_int_equal(epoch, 0); /* a fresh one */
            rc = mw_lock_note(&rig_sys, fd, 5, &err);
            mw_lock_release(&rig_sys, fd, 5);
        }
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        if (rc != MW_OK)
            continue;
        assert_int_equal(mw_lock_take(&rig_sys, dir_fd, &fd, &epoch, &err), MW_OK);
        assert_int_equal(epoch, 5); /* which outlives its holder */
        mw_lock_release(&rig_sys, fd, epoch);
    }
}

static int end(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    if (dir_fd >= 0)
        (void)close(dir_fd);
    if (dir[0] != '\0')
        rig_remove_dir(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p03_who_walks_the_frames_gets_all_that_stand_before_a_fault),
        cmocka_unit_test(p03_who_walks_to_a_record_gets_the_frames_that_end_there),
        cmocka_unit_test(p04_settled_is_what_the_head_says_while_somebody_writes_and_else_all),
        cmocka_unit_test(p04_a_position_is_found_across_segments_or_the_fault_is_told),
        cmocka_unit_test(p04_a_position_whose_segment_is_just_begun_is_in_the_one_before),
        cmocka_unit_test(p16_a_snapshot_belongs_where_its_frame_lies_and_nowhere_else),
        cmocka_unit_test(p16_a_snapshot_that_cannot_be_written_leaves_the_one_before),
        cmocka_unit_test(p16_only_one_writes_a_snapshot_and_a_folder_that_cannot_be_listed_is_told),
        cmocka_unit_test(p16_a_snapshot_whose_file_is_not_what_its_header_says_is_refused),
        cmocka_unit_test(p16_a_snapshot_whose_header_is_spelled_otherwise_is_refused),
        cmocka_unit_test(p16_the_lines_of_a_snapshot_are_handed_over_until_one_is_refused),
        cmocka_unit_test(p16_an_empty_snapshot_is_one_and_the_newest_name_counts),
        cmocka_unit_test(p11_who_does_not_get_the_lock_is_told_why),
        cmocka_unit_test(p11_the_holder_is_found_in_the_kernels_list),
        cmocka_unit_test(p11_a_lock_that_cannot_be_opened_or_noted_is_told_by_its_cause),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
