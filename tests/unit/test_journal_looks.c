/*
 * test_journal_looks.c - what looks at a journal without writing it: walking the frames, the settled end, positions, where a snapshot belongs.
 * One row a way in which each can go wrong: what the answer is, and that its words name the cause.
 */
#include "../crash/journal_rig.h"
#include "../crash/outside_calls.h"
#include "journal/extract.h"
#include "journal/scan.h"
#include "journal/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>

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
    memset(&outside, 0, sizeof outside);
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

static void last_segment(char ret_path[RIG_PATH])
{
    struct mw_segments segments;
    struct mw_err err;
    char name[MW_SEGMENT_NAME_BYTES];
    assert_int_equal(mw_segments_list(dir_fd, &segments, &err), MW_OK);
    assert_true(segments.count > 2);
    mw_segment_name(segments.first[segments.count - 1], name);
    mw_segments_free(&segments);
    rig_path(dir, name, ret_path);
}

/* ---- what is changed in the folder ---- */

static void change(const char *name, off_t at)
{
    char path[RIG_PATH];
    rig_path(dir, name, path);
    rig_change_byte(path, at, 1);
}
static void lose(const char *name)
{
    assert_int_equal(unlinkat(dir_fd, name, 0), 0);
}
static void empty(void)
{
    rig_empty_dir(dir);
}
static void put_strange_name(void)
{
    char path[RIG_PATH];
    rig_path(dir, "notes.jsonl", path);
    rig_append_text(path, "");
}
static void damage_first(void)
{
    change("00000000000000000001.jsonl", 400);
}
static void damage_last(void)
{
    char path[RIG_PATH];
    last_segment(path);
    rig_change_byte(path, 3, 1); /* more frames stand after it */
}
static void tear(void)
{
    char path[RIG_PATH];
    last_segment(path);
    rig_append_text(path, "{\"frame\":99,\"for");
}
static void cut_last(void)
{
    char path[RIG_PATH];
    struct stat file;
    last_segment(path);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(truncate(path, file.st_size - 3), 0);
}
static void make_newer(void)
{
    int fd = openat(dir_fd, "00000000000000000001.jsonl", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "{\"frame\":1,\"format\":2,", 22, 0), 22);
    (void)close(fd);
}
static void lose_head(void)
{
    lose("head");
}
static void damage_head(void)
{
    change("head", 20);
    change("head", 512 + 20);
}
static void lose_lock(void)
{
    lose("lock");
}

/* ---- what may be wrong ---- */

struct trouble {
    const char *name;
    void (*change)(void); /* of the folder; NULL: none */
    enum rig_call call;   /* the at-th such call fails; at 0: none does */
    long at;
    long outside_at; /* or so many-th of those in outside_calls.h */
    int error;
};
static const struct trouble sound = {.name = "sound"};
static const struct trouble torn = {.name = "torn", .change = tear};
static const struct trouble cut = {.name = "cut", .change = cut_last};
static const struct trouble emptied = {.name = "emptied", .change = empty};
static const struct trouble newer = {.name = "newer", .change = make_newer};
static const struct trouble strange = {.name = "strange name", .change = put_strange_name};
static const struct trouble damaged_first = {.name = "first damaged", .change = damage_first};
static const struct trouble damaged_last = {.name = "last damaged", .change = damage_last};
static const struct trouble no_head = {.name = "no head", .change = lose_head};
static const struct trouble damaged_head = {.name = "head damaged", .change = damage_head};
static const struct trouble no_lock = {.name = "no lock", .change = lose_lock};
static const struct trouble no_folder = {"no folder", NULL, RIG_OPENAT, 1, 0, ENOENT};
static const struct trouble denied = {"folder denied", NULL, RIG_OPENAT, 1, 0, EACCES};
static const struct trouble not_opened = {"segment not opened", NULL, RIG_OPENAT, 3, 0, EIO};
static const struct trouble not_read = {"not read", NULL, RIG_PREAD, 1, 0, EIO};
static const struct trouble then_not_read = {"second not read", NULL, RIG_PREAD, 2, 0, EIO};
static const struct trouble interrupted = {"interrupted", NULL, RIG_PREAD, 1, 0, EINTR};
static const struct trouble then_interrupted = {"second interrupted", NULL, RIG_PREAD, 2, 0, EINTR};
static const struct trouble list_not_opened = {"list not opened", NULL, 0, 0, 1, EMFILE};
static const struct trouble list_not_begun = {"list not begun", NULL, 0, 0, 2, ENOMEM};
static const struct trouble list_broken = {"list broken", NULL, 0, 0, 3, EIO};

static void make(const struct trouble *trouble)
{
    if (trouble->change != NULL)
        trouble->change();
    if (trouble->at > 0)
        rig_arm(RIG_ERROR, trouble->error, 1u << trouble->call, trouble->at);
    strike_outside_at(trouble->outside_at, trouble->error);
}

static void make_none(void)
{
    rig_arm(RIG_NO_FAULT, 0, 0, 0);
    strike_outside_at(0, 0);
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
        const struct trouble *trouble;
        int refuse_at;
        enum mw_rc rc;
        int least, most; /* frames handed over */
        const char *words;
    } rows[] = {
        {&sound, 0, MW_OK, 14, 14, ""},
        {&torn, 0, MW_OK, 14, 14, ""},
        {&sound, 5, MW_E_LIMIT, 5, 5, "enough"},
        {&emptied, 0, MW_OK, 0, 0, ""},
        {&no_folder, 0, MW_E_MISSING, 0, 0, "folder"},
        {&denied, 0, MW_E_DENIED, 0, 0, "folder"},
        {&list_not_opened, 0, MW_E_IO, 0, 0, "list"},
        {&list_not_begun, 0, MW_E_IO, 0, 0, "list"},
        {&list_broken, 0, MW_E_IO, 0, 0, "list"},
        {&strange, 0, MW_E_CORRUPT, 0, 0, "notes.jsonl"},
        {&not_opened, 0, MW_E_IO, 0, 0, "open journal segment"},
        {&not_read, 0, MW_E_IO, 0, 0, "read journal segment"},
        {&interrupted, 0, MW_OK, 14, 14, ""},
        {&damaged_first, 0, MW_E_CORRUPT, 0, 3, "00000000000000000001.jsonl at"},
        {&damaged_last, 0, MW_E_CORRUPT, 1, 13, "not a frame's header"},
        {&newer, 0, MW_E_CONFIG, 0, 0, "newer format"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (int quiet = 0; quiet < 2; quiet++) {
            struct walk walk = {.refuse_at = rows[i].refuse_at};
            struct mw_err err = {.text = ""};
            begin();
            make(rows[i].trouble);
            enum mw_rc rc = mw_journal_frames(dir, &rigged, UINT64_MAX, count_frame, &walk,
                                              quiet == 0 ? &err : NULL);
            if (rc != rows[i].rc || walk.count < rows[i].least || walk.count > rows[i].most ||
                (quiet == 0 && strstr(err.text, rows[i].words) == NULL))
                fail_msg("%s: %s, %d frames: %s", rows[i].trouble->name, mw_rc_name(rc), walk.count,
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

static void p04_settled_is_what_the_head_says_while_somebody_writes_and_else_all(void **state)
{
    static const struct {
        const struct trouble *trouble;
        bool held, by_head;
    } rows[] = {
        {&sound, false, false},       {&sound, true, true},      {&no_head, true, false},
        {&damaged_head, true, false}, {&not_read, true, false}, /* the head is all that is read */
        {&no_lock, false, false},     {&no_folder, true, false},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        begin();
        int fd = rows[i].held ? openat(dir_fd, "lock", O_RDWR | O_CLOEXEC) : -1;
        assert_true(fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0);
        make(rows[i].trouble);
        uint64_t until = mw_journal_settled(dir, &rigged);
        if (until != (rows[i].by_head ? last : UINT64_MAX))
            fail_msg("%s: %lu", rows[i].trouble->name, (unsigned long)until);
        make_none();
        if (rows[i].by_head)
            assert_int_equal(mw_journal_settled(dir, NULL), last);
        if (fd >= 0)
            (void)close(fd);
    }
}

/* A journal of which the end is gone is no short one; who asks up to a record that is there is told it. */
static void p04_what_was_committed_and_is_gone_is_told(void **state)
{
    static const struct {
        const struct trouble *trouble;
        uint64_t committed; /* 1: what the head says */
        enum mw_rc rc;
    } rows[] = {
        {&sound, 1, MW_OK},        {&torn, 1, MW_OK},    {&cut, 1, MW_E_CORRUPT},
        {&damaged_head, 0, MW_OK}, {&no_head, 0, MW_OK}, {&not_read, 0, MW_OK},
        {&no_folder, 0, MW_OK},    {&emptied, 0, MW_OK},
    };
    const struct mw_journal_options beside = {.side_dir = dir, .sys = &rig_sys};
    const struct mw_journal_options real = {.side_dir = dir};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct walk walk = {.count = 0};
        struct mw_journal_position at;
        struct mw_err err = {.text = ""};
        begin();
        make(rows[i].trouble);
        uint64_t committed = mw_journal_committed(&beside, UINT64_MAX);
        make_none();
        enum mw_rc rc = mw_journal_frames(dir, &real, UINT64_MAX, count_frame, &walk, &err);
        if (committed != rows[i].committed * last || rc != rows[i].rc ||
            (rc != MW_OK && strstr(err.text, "were committed") == NULL))
            fail_msg("%s: %lu, %s: %s", rows[i].trouble->name, (unsigned long)committed,
                     mw_rc_name(rc), err.text);
        if (rc == MW_E_CORRUPT) {
            assert_int_equal(mw_journal_position(dir, &real, UINT64_MAX, &at, &err), MW_E_CORRUPT);
            assert_int_equal(mw_journal_position(dir, &real, ends[frames - 2], &at, &err), MW_OK);
        }
    }
    assert_int_equal(mw_journal_committed(&real, 5), 0);
    assert_int_equal(mw_journal_committed(NULL, UINT64_MAX), 0);
    assert_int_equal(mw_journal_committed(&quick, UINT64_MAX), 0);
}

/* ---- positions ---- */

static void p04_a_position_is_found_across_segments_or_the_fault_is_told(void **state)
{
    static const struct {
        const struct trouble *trouble;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {&sound, MW_OK, ""},
        {&torn, MW_OK, ""},
        {&emptied, MW_E_MISSING, "nothing is recorded"},
        {&no_folder, MW_E_MISSING, "folder"},
        {&list_not_begun, MW_E_IO, "list"},
        {&not_read, MW_E_IO, "read journal segment"},
        {&damaged_last, MW_E_CORRUPT, "not a frame's header"},
        {&damaged_first, MW_OK, ""}, /* it is not looked at */
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (int quiet = 0; quiet < 2; quiet++) {
            struct mw_journal_position at = {.seq = 0};
            struct mw_err err = {.text = ""};
            begin();
            make(rows[i].trouble);
            enum mw_rc rc =
                mw_journal_position(dir, &rigged, UINT64_MAX, &at, quiet == 0 ? &err : NULL);
            if (rc != rows[i].rc || (quiet == 0 && strstr(err.text, rows[i].words) == NULL) ||
                at.seq != (rc == MW_OK ? last : 0))
                fail_msg("%s: %s, record %lu: %s", rows[i].trouble->name, mw_rc_name(rc),
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
    char name[MW_SEGMENT_NAME_BYTES], path[RIG_PATH];
    (void)state;
    begin();
    mw_segment_name(last + 1, name);
    rig_path(dir, name, path);
    rig_append_text(path, "");
    assert_int_equal(mw_journal_position(dir, &quick, last + 1, &at, &err), MW_OK);
    assert_int_equal(at.seq, last);
}

/* ---- where a snapshot belongs ---- */

static void p16_a_snapshot_belongs_where_its_frame_lies_and_nowhere_else(void **state)
{
    static const struct {
        const struct trouble *trouble;
        int other; /* offset of the byte of the position that is another one; -1: none is */
        enum mw_rc rc;
    } rows[] = {
        {&sound, -1, MW_OK},
        {&then_interrupted, -1, MW_OK},
        {&sound, offsetof(struct mw_journal_position, frame), MW_E_CONFLICT},
        {&sound, offsetof(struct mw_journal_position, epoch), MW_E_CONFLICT},
        {&sound, offsetof(struct mw_journal_position, seq), MW_E_CONFLICT},
        {&sound, offsetof(struct mw_journal_position, hash), MW_E_CONFLICT},
        {&sound, offsetof(struct mw_journal_position, offset), MW_E_CONFLICT},
        {&sound, offsetof(struct mw_journal_position, segment), MW_E_CONFLICT},
        {&cut, -1, MW_E_CONFLICT},
        {&no_folder, -1, MW_E_MISSING},
        {&not_opened, -1, MW_E_IO},
        {&not_read, -1, MW_E_IO},
        {&then_not_read, -1, MW_E_IO},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_snapshot snapshot = {.journal = "c0ffee", .made_by = "1.2.3"};
        struct mw_err err = {.text = ""};
        begin();
        assert_int_equal(mw_journal_position(dir, &quick, UINT64_MAX, &snapshot.at, &err), MW_OK);
        if (rows[i].other >= 0)
            ((uint8_t *)&snapshot.at)[rows[i].other] ^= 1;
        make(rows[i].trouble);
        enum mw_rc rc = mw_snapshot_belongs(dir, &rigged, &snapshot, &err);
        if (rc != rows[i].rc || (rc != MW_OK && err.text[0] == '\0'))
            fail_msg("%s, byte %d: %s: %s", rows[i].trouble->name, rows[i].other, mw_rc_name(rc),
                     err.text);
        make_none();
        if (rows[i].trouble == &sound)
            assert_int_equal(mw_snapshot_belongs(dir, NULL, &snapshot, &err), rows[i].rc);
    }
}

static int end(void **state)
{
    (void)state;
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
        cmocka_unit_test(p04_what_was_committed_and_is_gone_is_told),
        cmocka_unit_test(p04_a_position_is_found_across_segments_or_the_fault_is_told),
        cmocka_unit_test(p04_a_position_whose_segment_is_just_begun_is_in_the_one_before),
        cmocka_unit_test(p16_a_snapshot_belongs_where_its_frame_lies_and_nowhere_else),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
