/*
 * test_journal_durable.c - P01 P02 P03 P04: whatever way a journal's life takes, nothing that it wrote or named is left unsynced at the moment
 * that promises it: the answer to an append, the end of an opening, of an orderly close, of a repair. It knows nothing of which file is what:
 * every byte and every name counts, but those of the reserve, which holds nothing, and what the lock says when nobody holds it.
 */
#include "../crash/journal_rig.h"
#include "journal/doctor.h"
#include "journal/head.h"
#include "journal/lock.h"
#include "posix/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>

#include <cmocka.h>

#define SEEN_MAX 512

static const struct mw_journal_ops *const ops = &mw_journal_files;

/* A file whose bytes, or a folder's name for it, the disk need not have. */
struct unsynced {
    ino_t file;
    ino_t folder; /* 0: it is the bytes, not the name */
    char name[RIG_NAME];
};

static struct {
    struct unsynced left[SEEN_MAX];
    int left_count;
    ino_t synced[SEEN_MAX]; /* since begin_life */
    int synced_count;
    const char *no_room_for; /* the end of a name that no byte can be written to */
    bool fails;              /* every sync of a file */
    bool no_new_files;       /* there is no room for another name */
    bool interrupts;         /* every other write, by a signal, before a byte is written */
    bool interrupted;        /* the last one was */
    bool replaces_lock;      /* somebody does, between its opening and its taking; once */
} disk;

/* ---- a clock that is set ---- */

static int64_t clock_ns;

int64_t __wrap_mw_now_monotonic_ns(void);
int64_t __wrap_mw_now_monotonic_ns(void)
{
    return clock_ns;
}

/* ---- what is not on the disk yet ---- */

static ino_t inode_of(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    return file.st_ino;
}

static const char *name_of(int fd, char path[256])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, 255);
    path[len > 0 ? len : 0] = '\0';
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool holds_nothing(const char *name)
{
    return strcmp(name, "reserve") == 0;
}

static void now_unsynced(ino_t file, ino_t folder, const char *name)
{
    if (holds_nothing(name))
        return;
    assert_true(disk.left_count < SEEN_MAX);
    struct unsynced *entry = &disk.left[disk.left_count++];
    *entry = (struct unsynced){.file = file, .folder = folder};
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
}

static void wrote(int fd)
{
    char path[256];
    now_unsynced(inode_of(fd), 0, name_of(fd, path));
}

static int synced(int fd)
{
    struct stat file;
    int kept = 0;
    assert_int_equal(fstat(fd, &file), 0);
    bool folder = S_ISDIR(file.st_mode);
    if (disk.fails && !folder) {
        errno = EIO;
        return -1;
    }
    for (int i = 0; i < disk.left_count; i++) {
        const struct unsynced *entry = &disk.left[i];
        bool mine = folder ? entry->folder == file.st_ino
                           : entry->folder == 0 && entry->file == file.st_ino;
        if (!mine)
            disk.left[kept++] = *entry;
    }
    disk.left_count = kept;
    assert_true(disk.synced_count < SEEN_MAX);
    disk.synced[disk.synced_count++] = file.st_ino;
    return 0;
}

static int on_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    struct stat before;
    bool fresh = (flags & O_CREAT) != 0 && fstatat(dir_fd, path, &before, AT_SYMLINK_NOFOLLOW) != 0;
    if (fresh && disk.no_new_files) {
        errno = ENOSPC;
        return -1;
    }
    int fd = openat(dir_fd, path, flags | O_CLOEXEC, mode);
    if (fd >= 0 && fresh)
        now_unsynced(inode_of(fd), inode_of(dir_fd), path);
    if (fd >= 0 && disk.replaces_lock && strcmp(path, MW_LOCK_FILE) == 0) {
        disk.replaces_lock = false;
        assert_int_equal(unlinkat(dir_fd, path, 0), 0);
        int another = openat(dir_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(another >= 0);
        (void)close(another);
    }
    return fd;
}

static int on_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    char parent[160];
    struct stat above, made;
    if (mkdirat(dir_fd, path, mode) != 0)
        return -1;
    (void)snprintf(parent, sizeof parent, "%s/..", path);
    assert_int_equal(fstatat(dir_fd, parent, &above, 0), 0);
    assert_int_equal(fstatat(dir_fd, path, &made, 0), 0);
    now_unsynced(made.st_ino, above.st_ino, path);
    return 0;
}

static ssize_t on_pwrite(int fd, const void *memory, size_t size, off_t offset)
{
    char path[256];
    if (disk.no_room_for != NULL &&
        mw_str_ends(mw_str_of(name_of(fd, path)), mw_str_of(disk.no_room_for))) {
        errno = ENOSPC;
        return -1;
    }
    disk.interrupted = disk.interrupts && !disk.interrupted;
    if (disk.interrupted) {
        errno = EINTR;
        return -1;
    }
    wrote(fd);
    return pwrite(fd, memory, size, offset);
}

static int on_ftruncate(int fd, off_t size)
{
    wrote(fd);
    return ftruncate(fd, size);
}

static int on_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    struct stat file;
    if (fstatat(from_fd, from, &file, AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(from_fd, from, to_fd, to) != 0)
        return -1;
    now_unsynced(file.st_ino, inode_of(to_fd), to);
    return 0;
}

static const struct mw_journal_sys watched = {
    on_openat, on_mkdirat,   pread,          on_pwrite,   synced,
    synced,    on_ftruncate, rig_no_reserve, on_renameat, unlinkat,
};

/* As it is after a start of the machine's or a death of the writer's: what is not synced from here on counts as not on the disk. */
static void begin_life(void)
{
    disk.left_count = 0;
    disk.synced_count = 0;
    disk.no_room_for = NULL;
    disk.fails = false;
    disk.no_new_files = false;
    disk.replaces_lock = false;
    disk.interrupts = false;
}

/* `but` is not asked for; NULL: everything is. */
static void nothing_is_left(const char *but, const char *when)
{
    for (int i = 0; i < disk.left_count; i++)
        if (strcmp(disk.left[i].name, MW_LOCK_FILE) != 0 &&
            (but == NULL || strcmp(disk.left[i].name, but) != 0))
            fail_msg("%s: %s of '%s' not synced", when,
                     disk.left[i].folder == 0 ? "the bytes are" : "the name is", disk.left[i].name);
}

/* Once it is open (P11): at the end who held it is written into the lock as well, and nobody needs that. */
static void the_epoch_is_synced(void)
{
    for (int i = 0; i < disk.left_count; i++)
        if (strcmp(disk.left[i].name, MW_LOCK_FILE) == 0)
            fail_msg("it is open, and its epoch is not synced");
}

static void was_synced(const char *folder, const char *name)
{
    char path[160];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &file), 0);
    for (int i = 0; i < disk.synced_count; i++)
        if (disk.synced[i] == file.st_ino)
            return;
    fail_msg("'%s' was not synced since the life began", name);
}

/* ---- places ---- */

struct place {
    char top[64];
    char journal[96];
    const char *side; /* NULL: everything lies in the journal's folder */
    struct mw_journal_options options;
};

static void new_place(struct place *place, bool beside)
{
    begin_life();
    clock_ns = 1000;
    rig_new_dir(place->top);
    (void)snprintf(place->journal, sizeof place->journal, "%s/journal", place->top);
    place->side = beside ? place->top : NULL;
    place->options = (struct mw_journal_options){
        .side_dir = place->side, .segment_bytes = 3000, .reserve_bytes = 4096, .sys = &watched};
}

static void leave_place(const struct place *place)
{
    rig_remove_dir(place->journal);
    rig_remove_dir(place->top);
}

static void *open_journal(const struct place *place)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal = NULL;
    if (ops->open(place->journal, &place->options, &journal, &opened, &err) != MW_OK)
        fail_msg("does not open: %s", err.text);
    return journal;
}

static void close_journal(void *journal)
{
    struct mw_err err = {0};
    if (ops->close(journal, &err) != MW_OK)
        fail_msg("does not close: %s", err.text);
}

static void append_some(void *journal, int count)
{
    struct mw_err err = {0};
    for (int i = 0; i < count; i++) {
        if (rig_append(journal, ops->last_seq(journal) + 1, 1 + (uint32_t)i % 3, &err) != MW_OK)
            fail_msg("does not append: %s", err.text);
        nothing_is_left(MW_HEAD_FILE, "at an acknowledgement (P01)");
    }
}

/* The last segment's name; its length without, and with, what a torn frame leaves. */
static void last_segment(const struct place *place, char ret_name[RIG_NAME])
{
    DIR *folder = opendir(place->journal);
    const struct dirent *entry;
    ret_name[0] = '\0';
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")) &&
            strcmp(entry->d_name, ret_name) > 0)
            (void)snprintf(ret_name, RIG_NAME, "%.79s", entry->d_name);
    (void)closedir(folder);
}

static off_t size_of(const struct place *place, const char *name)
{
    char path[192];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/%s", place->journal, name);
    assert_int_equal(stat(path, &file), 0);
    return file.st_size;
}

static void change_segment(const struct place *place, const char *name, off_t at)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", place->journal, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "{\"fra", 5, at), 5);
    (void)close(fd);
}

static void change_last_segment(const struct place *place, off_t at, bool appends)
{
    char name[RIG_NAME];
    last_segment(place, name);
    change_segment(place, name, appends ? size_of(place, name) : at);
}

/* The head in the state that a killed writer leaves: the last frame, and not clean. */
static void forget_head(const struct place *place)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/" MW_HEAD_FILE,
                   place->side != NULL ? place->side : place->journal);
    assert_int_equal(unlink(path), 0);
}

/* ---- the promises ---- */

static void a_life(bool beside)
{
    struct place place;
    new_place(&place, beside);
    void *journal = open_journal(&place);
    nothing_is_left(NULL, "a fresh journal is opened");
    the_epoch_is_synced();
    append_some(journal, 12);
    close_journal(journal);
    nothing_is_left(NULL, "an orderly close (P04)");
    begin_life();
    journal = open_journal(&place);
    nothing_is_left(NULL, "it is opened again");
    the_epoch_is_synced();
    append_some(journal, 12);
    close_journal(journal);
    nothing_is_left(NULL, "the second close (P04)");
    leave_place(&place);
}

static void p01_p04_nothing_is_unsynced_when_it_is_promised(void **state)
{
    (void)state;
    a_life(true);
    a_life(false);
}

static int files_that_end_with(const struct place *place, const char *end)
{
    DIR *folder = opendir(place->journal);
    const struct dirent *entry;
    int count = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += mw_str_ends(mw_str_of(entry->d_name), mw_str_of(end));
    (void)closedir(folder);
    return count;
}

static void after_a_death(bool beside, bool torn, const char *no_room_for)
{
    struct place place;
    char name[RIG_NAME];
    new_place(&place, beside);
    void *journal = open_journal(&place);
    append_some(journal, 8);
    close_journal(journal);
    forget_head(&place);
    last_segment(&place, name);
    off_t good = size_of(&place, name);
    if (torn)
        change_last_segment(&place, 0, true);
    begin_life();
    disk.no_room_for = no_room_for;
    journal = open_journal(&place);
    nothing_is_left(NULL, "it is opened after a death (P02)");
    the_epoch_is_synced();
    was_synced(place.journal, name);
    was_synced(place.side != NULL ? place.side : place.journal, MW_HEAD_FILE);
    assert_int_equal(size_of(&place, name), good);
    assert_int_equal(files_that_end_with(&place, ".fresh"),
                     0); /* a copy takes no room for longer */
    disk.no_room_for = NULL;
    append_some(journal, 3);
    close_journal(journal);
    leave_place(&place);
}

static void p02_after_a_death_the_last_segment_is_synced_afresh(void **state)
{
    (void)state;
    after_a_death(true, false, NULL);
    after_a_death(false, false, NULL);
    after_a_death(true, true, NULL);
}

static void p02_p10_without_room_for_a_copy_it_is_written_over_itself_and_synced(void **state)
{
    (void)state;
    after_a_death(true, false, ".fresh");
    after_a_death(true, true, ".fresh");
}

/* Killed after a segment was begun and before anything stood in it: its name is not on the disk, and the next life writes into it. */
static void
p01_a_segment_that_was_only_begun_has_its_name_before_anything_is_acknowledged(void **state)
{
    (void)state;
    for (int frames = 0; frames <= 8; frames += 4) {
        struct place place;
        char path[160], *name;
        struct stat folder, file;
        new_place(&place, true);
        void *journal = open_journal(&place);
        append_some(journal, frames);
        (void)snprintf(path, sizeof path, "%s/%020lu.jsonl", place.journal,
                       (unsigned long)ops->last_seq(journal) + 1);
        close_journal(journal);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && fstat(fd, &file) == 0 && stat(place.journal, &folder) == 0);
        (void)close(fd);
        begin_life();
        name = strrchr(path, '/') + 1;
        now_unsynced(file.st_ino, folder.st_ino, name);
        journal = open_journal(&place);
        append_some(journal, 3);
        close_journal(journal);
        leave_place(&place);
    }
}

/* A signal is no fault of the disk: what it interrupted is done again, and nothing latches. */
static void p02_a_write_that_was_interrupted_is_made_again(void **state)
{
    struct place place;
    struct mw_journal_stats stats;
    (void)state;
    new_place(&place, true);
    void *journal = open_journal(&place);
    disk.interrupts = true;
    append_some(journal, 9);
    ops->stats(journal, &stats);
    assert_false(stats.latched);
    assert_true(stats.reserve_held);
    disk.interrupts = false;
    close_journal(journal);
    leave_place(&place);
}

static void p02_a_journal_whose_sync_failed_is_not_closed_as_clean(void **state)
{
    struct place place;
    struct mw_err err = {0};
    struct mw_head head = {0};
    enum mw_journal_head found = MW_JOURNAL_HEAD_ABSENT;
    (void)state;
    new_place(&place, true);
    void *journal = open_journal(&place);
    append_some(journal, 2);
    disk.fails = true;
    assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_E_IO);
    disk.fails = false;
    (void)ops->close(journal, &err); /* what it answers is not asked here */
    int side_fd = open(place.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mw_head_read(&watched, side_fd, &head, &found, &err), MW_OK);
    (void)close(side_fd);
    assert_int_equal(found, MW_JOURNAL_HEAD_EQUAL);
    assert_false(head.clean);
    leave_place(&place);
}

/* Each second, by the clock that nobody sets: so long a power cut may take the detection of a cut, and no longer. */
static void p04_the_head_is_synced_with_the_first_frame_after_a_second(void **state)
{
    static const struct {
        int64_t ms;
        bool head_is_synced;
    } appends[] = {{0, false},    {999, false}, {1000, true},  {1001, false},
                   {1999, false}, {2100, true}, {3099, false}, {3100, true}};
    struct place place;
    struct mw_err err = {0};
    struct mw_journal_stats stats;
    (void)state;
    new_place(&place, true);
    place.options.segment_bytes = 1u << 20; /* a rotation syncs it, too */
    void *journal = open_journal(&place);
    int64_t begun_ns = clock_ns;
    uint64_t expected = 0;
    for (size_t i = 0; i < MW_COUNT(appends); i++) {
        clock_ns = begun_ns + appends[i].ms * 1000000;
        assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_OK);
        expected += appends[i].head_is_synced;
        ops->stats(journal, &stats);
        if (stats.head_syncs != expected)
            fail_msg("after %ld ms the head was synced %lu times, not %lu", (long)appends[i].ms,
                     (unsigned long)stats.head_syncs, (unsigned long)expected);
        nothing_is_left(appends[i].head_is_synced ? NULL : MW_HEAD_FILE, "after a second (P04)");
    }
    close_journal(journal);
    leave_place(&place);
}

static void p04_the_head_is_synced_with_each_segment_that_is_sealed(void **state)
{
    struct place place;
    struct mw_journal_stats stats;
    (void)state;
    new_place(&place, true);
    void *journal = open_journal(&place); /* the clock stands still: nothing else syncs it */
    append_some(journal, 12);
    ops->stats(journal, &stats);
    assert_true(stats.segments > 3);
    assert_int_equal(stats.head_syncs, stats.segments - 1);
    close_journal(journal);
    leave_place(&place);
}

static void p11_a_segment_that_somebody_else_began_is_not_taken_over(void **state)
{
    struct place place;
    struct mw_err err = {0};
    char path[160];
    (void)state;
    new_place(&place, true);
    place.options.segment_bytes = 1; /* each frame has its own */
    void *journal = open_journal(&place);
    append_some(journal, 1);
    (void)snprintf(path, sizeof path, "%s/%020lu.jsonl", place.journal,
                   (unsigned long)ops->last_seq(journal) + 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_E_CONFLICT);
    assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_E_CONFLICT);
    (void)ops->close(journal, &err); /* what it answers is not asked here */
    leave_place(&place);
}

/* A cut may tear the write of the clean line: the line of the last frame stands beside it, whichever of the two slots it has. */
static void p04_the_head_of_the_last_frame_outlives_a_torn_clean_line(void **state)
{
    (void)state;
    for (int frames = 1; frames <= 4; frames++) {
        struct place place;
        struct mw_err err = {0};
        struct mw_head head = {0};
        enum mw_journal_head found = MW_JOURNAL_HEAD_ABSENT;
        char path[160], slot[MW_HEAD_LINE_BYTES];
        new_place(&place, true);
        void *journal = open_journal(&place);
        append_some(journal, frames);
        uint64_t last = ops->last_seq(journal);
        close_journal(journal);
        (void)snprintf(path, sizeof path, "%s/" MW_HEAD_FILE, place.top);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pread(fd, slot, sizeof slot, i * MW_HEAD_LINE_BYTES),
                             MW_HEAD_LINE_BYTES);
            if (memmem(slot, sizeof slot, "\"clean\":true", 12) != NULL)
                assert_int_equal(pwrite(fd, "#", 1, i * MW_HEAD_LINE_BYTES + 3), 1);
        }
        (void)close(fd);
        int side_fd = open(place.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mw_head_read(&watched, side_fd, &head, &found, &err), MW_OK);
        (void)close(side_fd);
        assert_int_equal(found, MW_JOURNAL_HEAD_EQUAL);
        assert_int_equal(head.seq, last);
        assert_false(head.clean);
        leave_place(&place);
    }
}

/* A cut may tear the write of any line: that of the frame before stands beside it, however many records the frames have. */
static void p04_the_head_of_the_frame_before_outlives_a_torn_line(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 4; count++) {
        struct place place;
        struct mw_err err = {0};
        new_place(&place, true);
        void *journal = open_journal(&place);
        int side_fd = open(place.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd = openat(side_fd, MW_HEAD_FILE, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        for (int frame = 0; frame < 6; frame++) {
            char slots[2][MW_HEAD_LINE_BYTES], again[2][MW_HEAD_LINE_BYTES];
            struct mw_head head = {0};
            enum mw_journal_head found = MW_JOURNAL_HEAD_ABSENT;
            const uint64_t before = ops->last_seq(journal);
            assert_int_equal(pread(fd, slots, sizeof slots, 0), sizeof slots);
            assert_int_equal(rig_append(journal, before + 1, count, &err), MW_OK);
            assert_int_equal(pread(fd, again, sizeof again, 0), sizeof again);
            int written = memcmp(slots[0], again[0], sizeof again[0]) != 0 ? 0 : 1;
            assert_int_equal(pwrite(fd, "#", 1, written * MW_HEAD_LINE_BYTES + 3), 1);
            assert_int_equal(mw_head_read(&watched, side_fd, &head, &found, &err), MW_OK);
            if (found != MW_JOURNAL_HEAD_EQUAL || head.seq != before)
                fail_msg("frames of %u records: the head names record %lu, not %lu", count,
                         (unsigned long)head.seq, (unsigned long)before);
            assert_int_equal(pwrite(fd, again, sizeof again, 0), sizeof again);
        }
        (void)close(fd);
        (void)close(side_fd);
        close_journal(journal);
        leave_place(&place);
    }
}

static void p11_the_lock_is_held_on_the_file_that_has_its_name(void **state)
{
    struct place place;
    char path[160];
    (void)state;
    new_place(&place, true);
    disk.replaces_lock = true;
    void *journal = open_journal(&place);
    assert_false(disk.replaces_lock);
    (void)snprintf(path, sizeof path, "%s/" MW_LOCK_FILE, place.top);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    (void)close(fd);
    close_journal(journal);
    leave_place(&place);
}

static void p01_a_segment_that_was_deleted_is_not_written_on(void **state)
{
    struct place place;
    struct mw_err err = {0};
    char name[RIG_NAME], path[192];
    (void)state;
    new_place(&place, true);
    place.options.segment_bytes = 1u << 20;
    void *journal = open_journal(&place);
    append_some(journal, 2);
    last_segment(&place, name);
    (void)snprintf(path, sizeof path, "%s/%s", place.journal, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_E_CONFLICT);
    (void)ops->close(journal, &err); /* what it answers is not asked here */
    leave_place(&place);
}

static void p10_a_disk_that_is_full_when_a_segment_begins_is_survived(void **state)
{
    struct place place;
    struct mw_err err = {0};
    struct mw_journal_stats stats;
    (void)state;
    new_place(&place, true);
    place.options.segment_bytes = 1; /* each frame has its own */
    void *journal = open_journal(&place);
    append_some(journal, 2);
    disk.no_new_files = true;
    assert_int_equal(rig_append(journal, ops->last_seq(journal) + 1, 1, &err), MW_E_FULL);
    ops->stats(journal, &stats);
    assert_false(stats.reserve_held); /* it was given up for what has to be recorded */
    assert_false(stats.latched);
    disk.no_new_files = false;
    append_some(journal, 2);
    assert_int_equal(ops->reserve_restore(journal, &err), MW_OK);
    ops->stats(journal, &stats);
    assert_true(stats.reserve_held);
    close_journal(journal);
    leave_place(&place);
}

/* What the cache held when the frames were checked, the disk need not have when they are copied. */
static enum mw_rc spoil(void *context, struct mw_err *err)
{
    (void)err;
    change_last_segment(context, 40, false);
    return MW_OK;
}

static void p02_a_copy_that_is_not_what_was_checked_is_refused(void **state)
{
    static const char *const no_room_for[] = {NULL, ".fresh"}; /* then it is written over itself */
    (void)state;
    for (size_t i = 0; i < MW_COUNT(no_room_for); i++) {
        struct place place;
        struct mw_err err = {0};
        struct mw_journal_opened opened;
        new_place(&place, true);
        void *journal = open_journal(&place);
        append_some(journal, 8);
        close_journal(journal);
        forget_head(&place);
        place.options.on_checked = spoil;
        place.options.context = &place;
        disk.no_room_for = no_room_for[i];
        assert_int_equal(ops->open(place.journal, &place.options, &journal, &opened, &err),
                         MW_E_CORRUPT);
        leave_place(&place);
    }
}

static void hear(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static void p03_a_repair_leaves_nothing_to_sync(void **state)
{
    static const struct {
        off_t damage;
        bool no_head; /* one is made then, and has to have its name */
    } rows[] = {{0, false}, {900, false}, {0, true}, {900, true}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct place place;
        struct mw_err err = {0};
        new_place(&place, true);
        void *journal = open_journal(&place);
        append_some(journal, 12);
        close_journal(journal);
        if (rows[i].no_head) { /* without it, damage is only what more follows */
            change_segment(&place, "00000000000000000001.jsonl", rows[i].damage);
            forget_head(&place);
        } else {
            change_last_segment(&place, rows[i].damage, false);
        }
        begin_life();
        if (mw_journal_repair(place.journal, &place.options, false, hear, NULL, &err) != MW_OK)
            fail_msg("is not repaired: %s", err.text);
        nothing_is_left(NULL, "a repair");
        journal = open_journal(&place);
        append_some(journal, 2);
        close_journal(journal);
        leave_place(&place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p01_p04_nothing_is_unsynced_when_it_is_promised),
        cmocka_unit_test(p02_after_a_death_the_last_segment_is_synced_afresh),
        cmocka_unit_test(p02_p10_without_room_for_a_copy_it_is_written_over_itself_and_synced),
        cmocka_unit_test(
            p01_a_segment_that_was_only_begun_has_its_name_before_anything_is_acknowledged),
        cmocka_unit_test(p02_a_write_that_was_interrupted_is_made_again),
        cmocka_unit_test(p02_a_journal_whose_sync_failed_is_not_closed_as_clean),
        cmocka_unit_test(p04_the_head_is_synced_with_the_first_frame_after_a_second),
        cmocka_unit_test(p03_a_repair_leaves_nothing_to_sync),
        cmocka_unit_test(p04_the_head_is_synced_with_each_segment_that_is_sealed),
        cmocka_unit_test(p11_a_segment_that_somebody_else_began_is_not_taken_over),
        cmocka_unit_test(p04_the_head_of_the_last_frame_outlives_a_torn_clean_line),
        cmocka_unit_test(p04_the_head_of_the_frame_before_outlives_a_torn_line),
        cmocka_unit_test(p11_the_lock_is_held_on_the_file_that_has_its_name),
        cmocka_unit_test(p01_a_segment_that_was_deleted_is_not_written_on),
        cmocka_unit_test(p10_a_disk_that_is_full_when_a_segment_begins_is_survived),
        cmocka_unit_test(p02_a_copy_that_is_not_what_was_checked_is_refused),
    };
    return cmocka_run_group_tests_name("test_journal_durable", tests, NULL, NULL);
}
