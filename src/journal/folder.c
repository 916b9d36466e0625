/* folder.c - a journal's folder: opened, surveyed, refreshed. */
#include "journal/folder.h"

#include "journal/lock.h"
#include "journal/reader.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)
/* A check without the lock may see a frame half written and, a moment later, what follows it: it looks again before it says damage. */
#define LOOKS_MAX 4

static enum mw_rc make_folder(const struct mw_journal_sys *sys, const char *dir,
                              struct mw_err *err);
static void check_head(struct mw_survey *survey, const struct mw_scan_frame *frame,
                       const struct mw_chain *after);
static void conclude_head(struct mw_survey *survey, bool head_met);
static enum mw_rc copy_range(const struct mw_folder *folder, int from_fd, uint64_t from,
                             uint64_t to, int to_fd, uint64_t to_offset, struct mw_err *err);
static enum mw_rc rewrite_in_place(const struct mw_folder *folder, const char *name, uint64_t bytes,
                                   struct mw_err *err);
static enum mw_rc sync_folder(const struct mw_folder *folder, struct mw_err *err);

enum mw_rc mw_folder_open(struct mw_folder *folder, const char *dir, const char *side_dir,
                          const struct mw_journal_sys *sys, bool create, struct mw_err *err)
{
    struct mw_folder opened = {.sys = sys != NULL ? sys : &mw_journal_sys_real, .side_fd = -1};
    const int flags = O_RDONLY | O_DIRECTORY;
    opened.dir_fd = opened.sys->openat(AT_FDCWD, dir, flags, 0);
    if (opened.dir_fd < 0 && errno == ENOENT && create) {
        enum mw_rc rc = make_folder(opened.sys, dir, err);
        if (rc != MW_OK)
            return rc;
        opened.dir_fd = opened.sys->openat(AT_FDCWD, dir, flags, 0);
    }
    if (opened.dir_fd < 0)
        return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : mw_journal_rc_of(errno),
                           "open the journal's folder '%s'", dir);
    opened.side_fd = opened.sys->openat(AT_FDCWD, side_dir != NULL ? side_dir : dir, flags, 0);
    if (opened.side_fd < 0) {
        enum mw_rc rc = MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : mw_journal_rc_of(errno),
                                    "open '%s'", side_dir != NULL ? side_dir : dir);
        (void)close(opened.dir_fd); /* was only read */
        return rc;
    }
    *folder = opened;
    return MW_OK;
}

enum mw_rc mw_folder_look(struct mw_folder *folder, const char *dir,
                          const struct mw_journal_options *options, struct mw_err *err)
{
    static const struct mw_journal_options defaults = {0};
    options = options != NULL ? options : &defaults;
    return mw_folder_open(folder, dir, options->side_dir, options->sys, false, err);
}

void mw_folder_close(struct mw_folder *folder)
{
    (void)close(folder->dir_fd);  /* was only read */
    (void)close(folder->side_fd); /* was only read */
}

enum mw_rc mw_survey(const struct mw_folder *folder, struct mw_survey *ret_survey,
                     struct mw_err *err)
{
    return mw_survey_each(folder, NULL, NULL, ret_survey, err);
}

enum mw_rc mw_survey_each(const struct mw_folder *folder, mw_journal_on_record on_record,
                          void *context, struct mw_survey *ret_survey, struct mw_err *err)
{
    struct mw_survey survey = {0};
    enum mw_rc rc =
        mw_head_read(folder->sys, folder->side_fd, &survey.head, &survey.head_state, err);
    if (rc != MW_OK)
        return rc;
    struct mw_scan scan;
    rc = mw_scan_open(&scan, folder->sys, folder->dir_fd, 1, err);
    if (rc != MW_OK)
        return rc;
    survey.segments = scan.segments.count;
    struct mw_scan_frame frame;
    enum mw_scan_step step = MW_SCAN_END;
    bool head_met = survey.head.seq == 0;
    for (int looks = 0; rc == MW_OK;) {
        step = mw_scan_next(&scan, &frame, err);
        if (step == MW_SCAN_DAMAGE && ++looks < LOOKS_MAX) {
            mw_scan_rewind(&scan, &scan.chain, scan.offset);
            continue;
        }
        if (step != MW_SCAN_FRAME)
            break;
        survey.frames++;
        survey.records += frame.header.count;
        survey.bytes += frame.end - frame.offset;
        if (survey.head.seq >= frame.header.first && survey.head.seq < scan.chain.next_seq) {
            check_head(&survey, &frame, &scan.chain);
            head_met = true;
        }
        if (on_record != NULL)
            rc = mw_reader_deliver(&frame, 1, on_record, context, err);
    }
    if (rc != MW_OK) {
        mw_scan_close(&scan);
        return rc;
    }
    if (step == MW_SCAN_DAMAGE) {
        survey.damaged = true;
        survey.damage = scan.damage;
    }
    survey.chain = scan.chain;
    if (scan.segments.count > 0) {
        survey.tail_segment = scan.segments.first[scan.segments.count - 1];
        if (scan.index + 1 >= scan.segments.count) {
            struct stat file;
            survey.tail_bytes = scan.offset;
            survey.tail_size =
                scan.fd >= 0 && fstat(scan.fd, &file) == 0 ? (uint64_t)file.st_size : 0;
        }
    }
    rc = step == MW_SCAN_FAILED ? err->rc : MW_OK;
    mw_scan_close(&scan);
    if (rc != MW_OK)
        return rc;
    conclude_head(&survey, head_met);
    *ret_survey = survey;
    return MW_OK;
}

const struct mw_damage *mw_survey_fault(const struct mw_survey *survey)
{
    if (survey->head_ahead)
        return &survey->ahead;
    return survey->damaged && !survey->damage.may_be_torn ? &survey->damage : NULL;
}

enum mw_rc mw_folder_copy(const struct mw_folder *folder, const char *from_name, uint64_t from,
                          uint64_t to, const char *to_name, bool replace, struct mw_err *err)
{
    int from_fd = folder->sys->openat(folder->dir_fd, from_name, O_RDONLY | O_NOFOLLOW, 0);
    if (from_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open '%s'", from_name);
    int to_fd =
        folder->sys->openat(folder->dir_fd, to_name,
                            O_WRONLY | O_CREAT | O_NOFOLLOW | (replace ? O_TRUNC : O_EXCL), 0600);
    if (to_fd < 0) {
        enum mw_rc rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "create '%s'", to_name);
        (void)close(from_fd); /* was only read */
        return rc;
    }
    enum mw_rc rc = copy_range(folder, from_fd, from, to, to_fd, 0, err);
    if (rc == MW_OK && folder->sys->fsync(to_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make '%s' durable", to_name);
    /* What is put aside has its name before the caller cuts it off where it was. */
    if (rc == MW_OK && !replace)
        rc = sync_folder(folder, err);
    (void)close(from_fd); /* was only read */
    (void)close(to_fd);   /* synced, or failed already */
    if (rc == MW_E_FULL)
        (void)folder->sys->unlinkat(folder->dir_fd, to_name, 0); /* gives the space back */
    return rc;
}

enum mw_rc mw_folder_refresh(const struct mw_folder *folder, uint64_t segment, uint64_t bytes,
                             bool *ret_in_place, struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES], fresh[MW_SEGMENT_NAME_BYTES + 8];
    mw_segment_name(segment, name);
    (void)snprintf(fresh, sizeof fresh, "%s.fresh", name);
    enum mw_rc rc = mw_folder_copy(folder, name, 0, bytes, fresh, true, err);
    if (ret_in_place != NULL)
        *ret_in_place = rc == MW_E_FULL;
    if (rc == MW_E_FULL)
        return rewrite_in_place(folder, name, bytes, err);
    if (rc != MW_OK)
        return rc;
    if (folder->sys->renameat(folder->dir_fd, fresh, folder->dir_fd, name) != 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "put the fresh copy of '%s' in place",
                           name);
    return sync_folder(folder, err);
}

void mw_folder_aside_name(const struct mw_folder *folder, uint64_t segment, const char *suffix,
                          char ret_name[MW_JOURNAL_PATH_MAX])
{
    char name[MW_SEGMENT_NAME_BYTES];
    struct stat file;
    mw_segment_name(segment, name);
    (void)snprintf(ret_name, MW_JOURNAL_PATH_MAX, "%s.%s", name, suffix);
    for (int i = 2; fstatat(folder->dir_fd, ret_name, &file, AT_SYMLINK_NOFOLLOW) == 0; i++)
        (void)snprintf(ret_name, MW_JOURNAL_PATH_MAX, "%s.%s.%d", name, suffix, i);
}

enum mw_rc mw_folder_put_head(const struct mw_folder *folder, int head_fd,
                              const struct mw_head *head, struct mw_err *err)
{
    char lines[2 * MW_HEAD_LINE_BYTES];
    mw_head_write(head, lines);
    memcpy(lines + MW_HEAD_LINE_BYTES, lines, MW_HEAD_LINE_BYTES);
    enum mw_rc rc = mw_folder_write(folder, head_fd, (struct mw_str){lines, sizeof lines}, 0,
                                    "the journal's head", err);
    if (rc == MW_OK && folder->sys->fdatasync(head_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's head durable");
    return rc;
}

enum mw_rc mw_folder_write(const struct mw_folder *folder, int fd, struct mw_str bytes,
                           uint64_t offset, const char *what, struct mw_err *err)
{
    while (bytes.len > 0) {
        ssize_t wrote = folder->sys->pwrite(fd, bytes.ptr, bytes.len, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "write %s", what);
        if (wrote == 0)
            return mw_fail(err, MW_E_FULL, ENOSPC, "write %s", what);
        bytes = mw_str_sub(bytes, (size_t)wrote, SIZE_MAX);
        offset += (uint64_t)wrote;
    }
    return MW_OK;
}

/* The parent must be there: the workspace is not made by accident. */
static enum mw_rc make_folder(const struct mw_journal_sys *sys, const char *dir, struct mw_err *err)
{
    if (sys->mkdirat(AT_FDCWD, dir, 0700) != 0 && errno != EEXIST)
        return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : mw_journal_rc_of(errno),
                           "make the journal's folder '%s'", dir);
    return MW_OK;
}

/* The record that was acknowledged last must be the last of a frame, and that frame the one that was written. */
static void check_head(struct mw_survey *survey, const struct mw_scan_frame *frame,
                       const struct mw_chain *after)
{
    const struct mw_head *head = &survey->head;
    if (head->seq == after->next_seq - 1 && memcmp(head->hash, after->hash, sizeof head->hash) == 0)
        return;
    survey->head_ahead = true;
    survey->ahead = (struct mw_damage){
        .segment = frame->segment, .offset = frame->offset, .seq = frame->header.first};
    (void)snprintf(survey->ahead.what, sizeof survey->ahead.what,
                   "this is not the frame that the head file says was committed");
}

static void conclude_head(struct mw_survey *survey, bool head_met)
{
    if (survey->head_state != MW_JOURNAL_HEAD_EQUAL)
        return;
    uint64_t last_seq = survey->chain.next_seq - 1;
    if (survey->head.seq < last_seq)
        survey->head_state = MW_JOURNAL_HEAD_BEHIND;
    if (head_met)
        return;
    survey->head_ahead = true;
    if (survey->damaged) {
        survey->damage.may_be_torn = false; /* an acknowledged frame, so not an unfinished one */
        survey->ahead = survey->damage;
        return;
    }
    survey->ahead = (struct mw_damage){
        .segment = survey->tail_segment, .offset = survey->tail_bytes, .seq = last_seq + 1};
    (void)snprintf(survey->ahead.what, sizeof survey->ahead.what,
                   "the journal ends here, but record %lu was committed",
                   (unsigned long)survey->head.seq);
}

static enum mw_rc copy_range(const struct mw_folder *folder, int from_fd, uint64_t from,
                             uint64_t to, int to_fd, uint64_t to_offset, struct mw_err *err)
{
    char *memory = mw_heap_alloc(COPY_BYTES);
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && from < to) {
        size_t want = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        ssize_t got = folder->sys->pread(from_fd, memory, want, (off_t)from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            rc = mw_fail(err, MW_E_IO, got < 0 ? errno : 0, "read the journal while copying it");
            break;
        }
        rc = mw_folder_write(folder, to_fd, (struct mw_str){memory, (size_t)got}, to_offset,
                             "a copy of the journal", err);
        from += (uint64_t)got;
        to_offset += (uint64_t)got;
    }
    mw_heap_free(memory);
    return rc;
}

/*
 * For a disk without room for a copy: the same bytes are written over themselves, which makes every page of the file dirty again, so that
 * the sync after it proves what a sync of fresh blocks would. A cut in between leaves each sector as it was, for the bytes are the same.
 */
static enum mw_rc rewrite_in_place(const struct mw_folder *folder, const char *name, uint64_t bytes,
                                   struct mw_err *err)
{
    int fd = folder->sys->openat(folder->dir_fd, name, O_RDWR | O_NOFOLLOW, 0);
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open '%s'", name);
    enum mw_rc rc = copy_range(folder, fd, 0, bytes, fd, 0, err);
    if (rc == MW_OK && folder->sys->ftruncate(fd, (off_t)bytes) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "cut '%s'", name);
    if (rc == MW_OK && folder->sys->fsync(fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make '%s' durable", name);
    (void)close(fd); /* synced, or failed already */
    return rc == MW_OK ? sync_folder(folder, err) : rc;
}

static enum mw_rc sync_folder(const struct mw_folder *folder, struct mw_err *err)
{
    if (folder->sys->fsync(folder->dir_fd) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the journal's folder durable");
    return MW_OK;
}
