/* files.c - port/journal on files: open with recovery, append, the reserve, the position sidecar. */
#include "journal/files.h"

#include "journal/folder.h"
#include "journal/lock.h"
#include "journal/reader.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE_FILE "reserve"
#define TORN_SUFFIX "torn"
#define LONG_FRAME_BYTES (16u << 10) /* its hash is made while the disk writes */
#define HEAD_SYNC_NS 1000000000LL    /* the detection that a power cut may cost (P04) */

struct files {
    struct mw_folder folder;
    struct mw_journal_stats stats;
    struct mw_chain chain;
    struct mw_head head;
    struct mw_err latch; /* set once stats.latched is */
    struct mw_buf frame; /* owned: header and body, for one write */
    uint64_t segment_bytes;
    uint64_t reserve_bytes;
    uint64_t segment; /* name of the open one; 0: none */
    uint64_t offset;  /* where the next frame goes */
    int64_t head_synced_ns;
    uint64_t noted_epoch; /* of the writer before, for `check` */
    mw_journal_on_record on_record;
    enum mw_rc (*on_checked)(void *context, struct mw_err *err);
    void *context; /* borrowed, of the two above */
    int lock_fd;   /* -1: read-only */
    bool lock_stays;
    int head_fd;
    int fd;            /* of the open segment; -1: none */
    bool folder_dirty; /* the open segment's name is not yet durable */
    bool head_dirty;
    bool writable;
};

static enum mw_rc files_check(void *self, struct mw_journal_opened *ret_opened, struct mw_err *err);
static enum mw_rc recover(struct files *files, const struct mw_survey *survey,
                          struct mw_journal_opened *opened, struct mw_err *err);
static enum mw_rc confirm_copy(const struct files *files, const struct mw_survey *survey,
                               struct mw_err *err);
static enum mw_rc keep_torn(struct files *files, const struct mw_survey *survey,
                            struct mw_journal_opened *opened, struct mw_err *err);
static enum mw_rc open_head(struct files *files, const struct mw_survey *survey,
                            struct mw_err *err);
static enum mw_rc begin_segment(struct files *files, uint64_t first, struct mw_err *err);
static enum mw_rc seal_if_full(struct files *files, size_t frame_bytes, struct mw_err *err);
static enum mw_rc guard_position(struct files *files, struct mw_err *err);
static enum mw_rc write_frame(struct files *files, struct mw_err *err);
static enum mw_rc take_back(struct files *files, int sys_errno, struct mw_err *err);
static void begin_sync(const struct files *files);
static enum mw_rc sync_frame(struct files *files, struct mw_err *err);
static enum mw_rc note_head(struct files *files, bool clean, struct mw_err *err);
static enum mw_rc latch(struct files *files, enum mw_rc rc, struct mw_err *err);
static void release_everything(struct files *files);

static enum mw_rc files_sync_head(void *self, struct mw_err *err);
static enum mw_rc files_reserve_release(void *self, struct mw_err *err);
static enum mw_rc files_reserve_restore(void *self, struct mw_err *err);

static enum mw_rc files_open(const char *dir, const struct mw_journal_options *options,
                             void **ret_self, struct mw_journal_opened *ret_opened,
                             struct mw_err *err)
{
    static const struct mw_journal_options defaults = {0};
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    options = options != NULL ? options : &defaults;
    bool reads = options->read_only || options->verify_only;
    struct mw_folder folder;
    enum mw_rc rc = mw_folder_open(&folder, dir, options->side_dir, options->sys, !reads, err);
    if (rc != MW_OK)
        return rc;
    struct files *files = mw_heap_alloc(sizeof *files);
    *files = (struct files){.folder = folder,
                            .lock_fd = -1,
                            .head_fd = -1,
                            .fd = -1,
                            .writable = !reads,
                            .frame = mw_heap_buf(),
                            .segment_bytes = options->segment_bytes,
                            .reserve_bytes = options->reserve_bytes,
                            .on_record = options->on_record,
                            .on_checked = options->on_checked,
                            .context = options->context};
    if (files->segment_bytes == 0)
        files->segment_bytes = MW_JOURNAL_SEGMENT_BYTES;
    if (files->reserve_bytes == 0)
        files->reserve_bytes = MW_JOURNAL_RESERVE_BYTES;
    rc = mw_scan_refuse_newer(folder.sys, folder.dir_fd, err);
    if (rc == MW_OK && !options->read_only)
        rc = mw_lock_take(folder.sys, folder.side_fd, &files->lock_fd, &files->noted_epoch, err);
    if (rc == MW_OK && !options->check_later)
        rc = files_check(files, ret_opened, err);
    if (rc != MW_OK) {
        release_everything(files);
        return rc;
    }
    *ret_self = files;
    return MW_OK;
}

static enum mw_rc files_check(void *self, struct mw_journal_opened *ret_opened, struct mw_err *err)
{
    struct files *files = self;
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    struct mw_survey survey = {0};
    struct mw_journal_opened opened = {0};
    enum mw_rc rc = mw_survey_each(&files->folder, files->on_record, files->context, &survey, err);
    if (rc == MW_OK && mw_survey_fault(&survey) != NULL)
        rc = mw_damage_fail(mw_survey_fault(&survey), err);
    if (rc == MW_OK) {
        files->chain = survey.chain;
        files->stats = (struct mw_journal_stats){.last_seq = survey.chain.next_seq - 1,
                                                 .bytes = survey.bytes,
                                                 .frames = survey.frames,
                                                 .segments = survey.segments};
        opened.head = survey.head_state;
        opened.torn_bytes = survey.damaged ? survey.tail_size - survey.tail_bytes : 0;
    }
    if (rc == MW_OK && files->on_checked != NULL)
        rc = files->on_checked(files->context, err);
    if (rc == MW_OK && files->writable)
        rc = recover(files, &survey, &opened, err);
    if (rc != MW_OK)
        return rc;
    opened.epoch = files->stats.epoch;
    opened.last_seq = files->stats.last_seq;
    opened.frames = files->stats.frames;
    opened.segments = files->stats.segments;
    opened.bytes = files->stats.bytes;
    if (ret_opened != NULL)
        *ret_opened = opened;
    return MW_OK;
}

static enum mw_rc files_append(void *self, uint64_t expected_first_seq, uint32_t count,
                               struct mw_str lines, struct mw_err *err)
{
    struct files *files = self;
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    if (!files->writable)
        return MW_FAIL(err, MW_E_DENIED, "this journal was opened for reading only");
    if (files->stats.latched) {
        *err = files->latch;
        return err->rc;
    }
    if (expected_first_seq != files->chain.next_seq)
        return MW_FAIL(err, MW_E_CONFLICT, "the journal's next record is %lu, not %lu",
                       (unsigned long)files->chain.next_seq, (unsigned long)expected_first_seq);
    if (count == 0 || count > MW_JOURNAL_FRAME_RECORDS_MAX ||
        lines.len > MW_JOURNAL_FRAME_BYTES_MAX)
        return MW_FAIL(err, MW_E_LIMIT,
                       "a frame of %u records and %zu bytes: the most is %u and %u", count,
                       lines.len, MW_JOURNAL_FRAME_RECORDS_MAX, MW_JOURNAL_FRAME_BYTES_MAX);
    const char *fault = mw_frame_lines_fault(lines, count);
    if (fault != NULL)
        return MW_FAIL(err, MW_E_INPUT, "a frame is refused: %s", fault);

    struct mw_frame header = {.frame = files->chain.next_frame,
                              .epoch = files->stats.epoch,
                              .first = expected_first_seq,
                              .count = count,
                              .bytes = lines.len};
    memcpy(header.prev, files->chain.hash, sizeof header.prev);
    char text[MW_FRAME_HEADER_MAX];
    size_t text_bytes = mw_frame_write(&header, lines, text);
    mw_buf_reset(&files->frame);
    mw_buf_put(&files->frame, (struct mw_str){text, text_bytes});
    mw_buf_put(&files->frame, lines);
    MW_ASSERT(!files->frame.overflowed);

    enum mw_rc rc = seal_if_full(files, files->frame.len, err);
    if (rc == MW_OK && files->fd < 0)
        rc = begin_segment(files, expected_first_seq, err);
    if (rc == MW_OK)
        rc = guard_position(files, err);
    if (rc == MW_OK)
        rc = write_frame(files, err);
    uint8_t hash[MW_FRAME_HASH_BYTES];
    if (rc == MW_OK) {
        begin_sync(files);
        mw_sha256_of(mw_buf_str(&files->frame), hash);
        rc = sync_frame(files, err);
    }
    if (rc != MW_OK)
        return rc;

    files->offset += files->frame.len;
    files->chain.next_frame++;
    files->chain.next_seq += count;
    files->chain.epoch = files->stats.epoch;
    memcpy(files->chain.hash, hash, sizeof hash);
    files->stats.last_seq = files->chain.next_seq - 1;
    files->stats.bytes += files->frame.len;
    files->stats.frames++;
    files->stats.appends++;
    return note_head(files, false, err);
}

static enum mw_rc files_read(void *self, uint64_t from_seq, mw_journal_on_record on_record,
                             void *context, struct mw_err *err)
{
    struct files *files = self;
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    struct mw_scan scan;
    enum mw_rc rc = mw_scan_open(&scan, files->folder.sys, files->folder.dir_fd, from_seq, err);
    if (rc != MW_OK)
        return rc;
    scan.no_hash = true; /* open has checked the chain of these very files */
    struct mw_scan_frame frame;
    while (rc == MW_OK && scan.chain.next_seq <= files->stats.last_seq) {
        enum mw_scan_step step = mw_scan_next(&scan, &frame, err);
        if (step == MW_SCAN_FRAME)
            rc = mw_reader_deliver(&frame, from_seq, on_record, context, err);
        else if (step == MW_SCAN_DAMAGE)
            rc = mw_damage_fail(&scan.damage, err);
        else if (step == MW_SCAN_FAILED)
            rc = err->rc;
        else
            rc = MW_FAIL(err, MW_E_CORRUPT, "the journal ends before record %lu",
                         (unsigned long)files->stats.last_seq);
    }
    mw_scan_close(&scan);
    return rc;
}

static enum mw_rc files_sync_head(void *self, struct mw_err *err)
{
    struct files *files = self;
    if (!files->writable || !files->head_dirty)
        return MW_OK;
    if (files->stats.latched) {
        if (err != NULL)
            *err = files->latch;
        return files->latch.rc;
    }
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    if (files->folder.sys->fdatasync(files->head_fd) != 0)
        return latch(files, MW_FAIL_SYS(err, MW_E_IO, "make the journal's head durable"), err);
    files->stats.head_syncs++;
    files->head_dirty = false;
    files->head_synced_ns = mw_now_monotonic_ns();
    return MW_OK;
}

static enum mw_rc files_reserve_release(void *self, struct mw_err *err)
{
    struct files *files = self;
    if (!files->stats.reserve_held)
        return MW_OK;
    const struct mw_folder *folder = &files->folder;
    if (folder->sys->unlinkat(folder->side_fd, RESERVE_FILE, 0) != 0 && errno != ENOENT)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "release the journal's reserve");
    files->stats.reserve_held = false;
    return MW_OK;
}

static enum mw_rc files_reserve_restore(void *self, struct mw_err *err)
{
    struct files *files = self;
    if (files->stats.reserve_held || !files->writable)
        return MW_OK;
    const struct mw_folder *folder = &files->folder;
    int fd =
        folder->sys->openat(folder->side_fd, RESERVE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "create the journal's reserve");
    enum mw_rc rc = MW_OK;
    struct stat file;
    bool kept = fstat(fd, &file) == 0 && (uint64_t)file.st_blocks * 512 >= files->reserve_bytes;
    if (!kept && folder->sys->fallocate(fd, 0, 0, (off_t)files->reserve_bytes) != 0) {
        if (errno != EOPNOTSUPP && errno != ENOSYS)
            rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "fill the journal's reserve");
        else {
            char *zeros = mw_heap_alloc(files->reserve_bytes);
            rc = mw_folder_write(folder, fd, (struct mw_str){zeros, files->reserve_bytes}, 0,
                                 "the journal's reserve", err);
            mw_heap_free(zeros);
        }
    }
    (void)close(fd); /* holds space, not data */
    if (rc != MW_OK)
        (void)folder->sys->unlinkat(folder->side_fd, RESERVE_FILE, 0); /* half a reserve is none */
    else
        files->stats.reserve_held = true;
    return rc;
}

static uint64_t files_last_seq(const void *self)
{
    return ((const struct files *)self)->stats.last_seq;
}

static uint64_t files_epoch(const void *self)
{
    return ((const struct files *)self)->stats.epoch;
}

static void files_stats(const void *self, struct mw_journal_stats *ret_stats)
{
    *ret_stats = ((const struct files *)self)->stats;
}

static void files_keep_lock(void *self)
{
    ((struct files *)self)->lock_stays = true;
}

static enum mw_rc files_close(void *self, struct mw_err *err)
{
    struct files *files = self;
    if (files == NULL)
        return MW_OK;
    enum mw_rc rc = MW_OK;
    /* Without a head it was never checked to the end, and has nothing to say. */
    if (files->head_fd >= 0 && !files->stats.latched) {
        rc = note_head(files, true, err);
        if (rc == MW_OK)
            rc = files_sync_head(files, err);
    }
    release_everything(files);
    return rc;
}

const struct mw_journal_ops mw_journal_files = {
    .name = "files",
    .open = files_open,
    .check = files_check,
    .append = files_append,
    .read = files_read,
    .sync_head = files_sync_head,
    .reserve_release = files_reserve_release,
    .reserve_restore = files_reserve_restore,
    .last_seq = files_last_seq,
    .epoch = files_epoch,
    .stats = files_stats,
    .keep_lock = files_keep_lock,
    .close = files_close,
    .reader_open = mw_reader_open,
    .reader_read = mw_reader_read,
    .reader_close = mw_reader_close,
};

/* Everything found is good, apart from a torn tail perhaps. Only from here on is anything written. */
static enum mw_rc recover(struct files *files, const struct mw_survey *survey,
                          struct mw_journal_opened *opened, struct mw_err *err)
{
    const struct mw_folder *folder = &files->folder;
    const struct mw_head *head = &survey->head;
    /* The only file that a failed sync can have left with bytes that are in the cache and not on the disk is the last one; the head's
     * word that it was closed in order, at this very place, is a word that every sync up to it succeeded. */
    bool trusted = survey->head_state == MW_JOURNAL_HEAD_EQUAL && head->clean &&
                   head->segment == survey->tail_segment && head->bytes == survey->tail_size &&
                   !survey->damaged;
    enum mw_rc rc = MW_OK;
    if (survey->tail_segment != 0 && !trusted) {
        if (survey->damaged)
            rc = keep_torn(files, survey, opened, err);
        if (rc == MW_OK)
            rc = mw_folder_refresh(folder, survey->tail_segment, survey->tail_bytes,
                                   &opened->in_place, err);
        if (rc == MW_OK)
            rc = confirm_copy(files, survey, err);
        opened->copied = true;
    }
    if (rc == MW_OK && survey->tail_segment == 0) {
        /* Nobody else makes the new folder's own name durable. */
        int parent_fd = folder->sys->openat(folder->dir_fd, "..", O_RDONLY | O_DIRECTORY, 0);
        if (parent_fd < 0 || folder->sys->fsync(parent_fd) != 0)
            rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's folder durable");
        if (parent_fd >= 0)
            (void)close(parent_fd); /* was only read */
    }
    if (rc == MW_OK && survey->tail_segment != 0) {
        char name[MW_SEGMENT_NAME_BYTES];
        mw_segment_name(survey->tail_segment, name);
        files->fd = folder->sys->openat(folder->dir_fd, name, O_RDWR | O_NOFOLLOW, 0);
        if (files->fd < 0)
            rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "open '%s'", name);
        files->segment = survey->tail_segment;
        files->offset = survey->tail_bytes;
    }
    if (rc == MW_OK) {
        uint64_t epoch =
            files->noted_epoch > survey->chain.epoch ? files->noted_epoch : survey->chain.epoch;
        rc = mw_lock_note(folder->sys, files->lock_fd, epoch + 1, err);
        files->stats.epoch = rc == MW_OK ? epoch + 1 : 0;
    }
    if (rc == MW_OK)
        rc = open_head(files, survey, err);
    if (rc != MW_OK)
        return rc;
    rc = files_reserve_restore(files, err);
    return rc == MW_E_FULL ? MW_OK : rc; /* the host starts in full mode */
}

/* Between the check and the copy the page cache may have let go of bytes that the disk never had: the copy has to be what was checked. */
static enum mw_rc confirm_copy(const struct files *files, const struct mw_survey *survey,
                               struct mw_err *err)
{
    struct mw_scan scan;
    struct mw_scan_frame frame;
    enum mw_scan_step step;
    if (survey->tail_bytes == 0)
        return MW_OK;
    enum mw_rc rc =
        mw_scan_open(&scan, files->folder.sys, files->folder.dir_fd, survey->tail_segment, err);
    if (rc != MW_OK)
        return rc;
    do
        step = mw_scan_next(&scan, &frame, err);
    while (step == MW_SCAN_FRAME);
    if (step == MW_SCAN_FAILED)
        rc = err->rc;
    else if (step == MW_SCAN_DAMAGE)
        rc = mw_damage_fail(&scan.damage, err);
    else if (scan.chain.next_seq != survey->chain.next_seq ||
             memcmp(scan.chain.hash, survey->chain.hash, sizeof scan.chain.hash) != 0)
        rc = MW_FAIL(err, MW_E_CORRUPT,
                     "journal damaged: the copy of the last segment is not what was checked");
    mw_scan_close(&scan);
    return rc;
}

static enum mw_rc keep_torn(struct files *files, const struct mw_survey *survey,
                            struct mw_journal_opened *opened, struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(survey->tail_segment, name);
    const struct mw_folder *folder = &files->folder;
    mw_folder_aside_name(folder, survey->tail_segment, TORN_SUFFIX, opened->torn_file);
    enum mw_rc rc = mw_folder_copy(folder, name, survey->tail_bytes, survey->tail_size,
                                   opened->torn_file, false, err);
    if (rc != MW_E_FULL)
        return rc;
    /* Whoever was killed on a full disk has to be able to start. The end of the recovery takes the reserve back when it can. */
    (void)folder->sys->unlinkat(folder->side_fd, RESERVE_FILE, 0);
    return mw_folder_copy(folder, name, survey->tail_bytes, survey->tail_size, opened->torn_file,
                          false, err);
}

/* At this moment every byte is known to be on the disk, so the head may say "clean" here; the first append takes it back. */
static enum mw_rc open_head(struct files *files, const struct mw_survey *survey, struct mw_err *err)
{
    const struct mw_folder *folder = &files->folder;
    files->head = (struct mw_head){.seq = files->stats.last_seq,
                                   .frame = files->chain.next_frame - 1,
                                   .segment = files->segment,
                                   .bytes = files->offset,
                                   .clean = true};
    memcpy(files->head.hash, files->chain.hash, sizeof files->head.hash);
    files->head_synced_ns = mw_now_monotonic_ns();
    files->head_fd =
        folder->sys->openat(folder->side_fd, MW_HEAD_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (files->head_fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "open the journal's head");
    /* A life that was killed may have left the right one, or its name, in the cache alone: then nothing later would make it durable. */
    bool right = survey->head_state == MW_JOURNAL_HEAD_EQUAL && survey->head.clean &&
                 memcmp(survey->head.hash, files->head.hash, sizeof files->head.hash) == 0 &&
                 survey->head.segment == files->head.segment &&
                 survey->head.bytes == files->head.bytes;
    enum mw_rc rc = MW_OK;
    if (!right)
        rc = mw_folder_put_head(folder, files->head_fd, &files->head, err);
    else if (folder->sys->fdatasync(files->head_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's head durable");
    if (rc == MW_OK && folder->sys->fsync(folder->side_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's head durable");
    return rc;
}

static enum mw_rc begin_segment(struct files *files, uint64_t first, struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(first, name);
    int fd = files->folder.sys->openat(files->folder.dir_fd, name,
                                       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return latch(files,
                     MW_FAIL(err, MW_E_CONFLICT, "somebody else began journal segment %s", name),
                     err);
    if (fd < 0) {
        enum mw_rc rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "begin journal segment %s", name);
        if (rc == MW_E_FULL)
            (void)files_reserve_release(files, NULL); /* the answer is FULL either way */
        return rc == MW_E_FULL ? rc : latch(files, rc, err);
    }
    files->fd = fd;
    files->segment = first;
    files->offset = 0;
    files->folder_dirty = true;
    files->stats.segments++;
    return MW_OK;
}

/* The whole file is durable already: every frame in it was. */
static enum mw_rc seal_if_full(struct files *files, size_t frame_bytes, struct mw_err *err)
{
    if (files->fd < 0 || files->offset == 0 || files->offset + frame_bytes <= files->segment_bytes)
        return MW_OK;
    enum mw_rc rc = files_sync_head(files, err);
    if (rc != MW_OK)
        return rc;
    (void)close(files->fd); /* synced with its last frame */
    files->fd = -1;
    return MW_OK;
}

/* The lock keeps honest writers out; this notices the others, and a file that was deleted or replaced under us. */
static enum mw_rc guard_position(struct files *files, struct mw_err *err)
{
    struct stat file;
    if (fstat(files->fd, &file) != 0)
        return latch(files, MW_FAIL_SYS(err, MW_E_IO, "look at the journal segment"), err);
    if (file.st_nlink > 0 && (uint64_t)file.st_size == files->offset)
        return MW_OK;
    return latch(files,
                 MW_FAIL(err, MW_E_CONFLICT,
                         "journal segment %lu was changed by somebody else: %lu bytes, not %lu",
                         (unsigned long)files->segment, (unsigned long)file.st_size,
                         (unsigned long)files->offset),
                 err);
}

/* One write. Less than all of it means that the disk is full or a limit is reached. */
static enum mw_rc write_frame(struct files *files, struct mw_err *err)
{
    ssize_t wrote;
    do
        wrote = files->folder.sys->pwrite(files->fd, files->frame.ptr, files->frame.len,
                                          (off_t)files->offset);
    while (wrote < 0 && errno == EINTR);
    if (wrote == (ssize_t)files->frame.len)
        return MW_OK;
    return take_back(files, wrote < 0 ? errno : ENOSPC, err);
}

static enum mw_rc take_back(struct files *files, int sys_errno, struct mw_err *err)
{
    enum mw_rc rc = mw_journal_rc_of(sys_errno);
    if (rc != MW_E_FULL)
        return latch(files, mw_fail(err, MW_E_IO, sys_errno, "write a frame of the journal"), err);
    if (files->folder.sys->ftruncate(files->fd, (off_t)files->offset) != 0)
        return latch(files, MW_FAIL_SYS(err, MW_E_IO, "take an unfinished frame back"), err);
    /* Before another frame goes there: else a power cut could leave the end of this one behind that one. */
    if (files->folder.sys->fdatasync(files->fd) != 0)
        return latch(files, MW_FAIL_SYS(err, MW_E_IO, "take an unfinished frame back"), err);
    (void)files_reserve_release(files, NULL); /* the answer is FULL either way */
    return mw_fail(err, MW_E_FULL, sys_errno, "no space for a frame of the journal");
}

/* Only a beginning, which changes nothing: whether the disk took it is heard from fdatasync, which waits for it. */
static void begin_sync(const struct files *files)
{
    if (files->frame.len >= LONG_FRAME_BYTES)
        (void)sync_file_range(files->fd, (off_t)files->offset, (off_t)files->frame.len,
                              SYNC_FILE_RANGE_WRITE);
}

/* P01: file first, then the name of the file. P02: the first failure is the last word. */
static enum mw_rc sync_frame(struct files *files, struct mw_err *err)
{
    const struct mw_journal_sys *sys = files->folder.sys;
    if (sys->fdatasync(files->fd) != 0)
        return latch(files, MW_FAIL_SYS(err, MW_E_IO, "make a frame of the journal durable"), err);
    files->stats.file_syncs++;
    if (!files->folder_dirty)
        return MW_OK;
    if (sys->fsync(files->folder.dir_fd) != 0)
        return latch(files, MW_FAIL_SYS(err, MW_E_IO, "make the journal's folder durable"), err);
    files->stats.folder_syncs++;
    files->folder_dirty = false;
    return MW_OK;
}

static enum mw_rc note_head(struct files *files, bool clean, struct mw_err *err)
{
    if (files->head.seq == files->stats.last_seq && files->head.clean == clean)
        return MW_OK;
    files->head = (struct mw_head){.seq = files->stats.last_seq,
                                   .frame = files->chain.next_frame - 1,
                                   .segment = files->segment,
                                   .bytes = files->offset,
                                   .clean = clean};
    memcpy(files->head.hash, files->chain.hash, sizeof files->head.hash);
    char line[MW_HEAD_LINE_BYTES];
    mw_head_write(&files->head, line);
    /* In turns by frame; the clean line goes beside the last one, which stays readable. */
    uint64_t slot = (files->head.frame + (clean ? 1 : 0)) & 1;
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    enum mw_rc rc =
        mw_folder_write(&files->folder, files->head_fd, (struct mw_str){line, sizeof line},
                        slot * MW_HEAD_LINE_BYTES, "the journal's head", err);
    if (rc ==
        MW_E_FULL) /* it costs a little detection, never a record; the next commit tries again */
        return MW_OK;
    if (rc != MW_OK)
        return latch(files, rc, err);
    files->head_dirty = true;
    if (!clean && mw_now_monotonic_ns() - files->head_synced_ns >= HEAD_SYNC_NS)
        return files_sync_head(files, err);
    return MW_OK;
}

static enum mw_rc latch(struct files *files, enum mw_rc rc, struct mw_err *err)
{
    MW_ASSERT(rc != MW_OK && !files->stats.latched);
    err->rc = rc == MW_E_CONFLICT ? MW_E_CONFLICT : MW_E_IO;
    files->latch = *err;
    files->stats.latched = true;
    return err->rc;
}

static void release_everything(struct files *files)
{
    if (files->fd >= 0)
        (void)close(files->fd); /* every acknowledged byte is synced */
    if (files->head_fd >= 0)
        (void)close(files->head_fd); /* synced by close, or not promised */
    if (files->lock_fd >= 0 && !files->lock_stays)
        mw_lock_release(files->folder.sys, files->lock_fd, files->stats.epoch);
    mw_folder_close(&files->folder);
    mw_heap_buf_free(&files->frame);
    mw_heap_free(files);
}
