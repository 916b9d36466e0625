/* doctor.c - verify and repair, offline. */
#include "journal/doctor.h"

#include "journal/folder.h"
#include "journal/lock.h"
#include "posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE_SUFFIX "damaged"

struct repair {
    struct mw_folder folder;
    mw_journal_say say;
    void *context;
    bool dry_run;
};

static void fill_report(const struct mw_survey *survey, struct mw_journal_report *ret_report);
static void say_report(const struct mw_journal_report *report, mw_journal_say say, void *context);
static enum mw_rc repair_at(struct repair *repair, const struct mw_survey *survey,
                            struct mw_err *err);
static enum mw_rc cut_segment(struct repair *repair, const struct mw_damage *damage,
                              struct mw_err *err);
static enum mw_rc move_aside(struct repair *repair, uint64_t segment, struct mw_err *err);
static enum mw_rc set_head(struct repair *repair, const struct mw_survey *before,
                           struct mw_err *err);
static void say(mw_journal_say say_line, void *context, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum mw_rc mw_journal_verify(const char *dir, const struct mw_journal_options *options,
                             mw_journal_say say_line, void *context,
                             struct mw_journal_report *ret_report, struct mw_err *err)
{
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    struct mw_folder folder;
    enum mw_rc rc = mw_folder_look(&folder, dir, options, err);
    if (rc != MW_OK)
        return rc;
    struct mw_survey survey;
    rc = mw_survey(&folder, &survey, err);
    mw_folder_close(&folder);
    if (rc != MW_OK)
        return rc;
    struct mw_journal_report report;
    fill_report(&survey, &report);
    say_report(&report, say_line, context);
    if (ret_report != NULL)
        *ret_report = report;
    return report.damaged ? mw_damage_fail(mw_survey_fault(&survey), err) : MW_OK;
}

enum mw_rc mw_journal_repair(const char *dir, const struct mw_journal_options *options,
                             bool dry_run, mw_journal_say say_line, void *context,
                             struct mw_err *err)
{
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    struct repair repair = {.say = say_line, .context = context, .dry_run = dry_run};
    enum mw_rc rc = mw_folder_look(&repair.folder, dir, options, err);
    if (rc != MW_OK)
        return rc;
    int lock_fd = -1;
    uint64_t epoch = 0;
    struct mw_survey survey;
    rc = mw_scan_refuse_newer(repair.folder.sys, repair.folder.dir_fd, err);
    /* Who only says changes nothing: without the file nobody can hold the lock. */
    struct stat lock;
    bool nobody =
        dry_run && fstatat(repair.folder.side_fd, MW_LOCK_FILE, &lock, AT_SYMLINK_NOFOLLOW) != 0;
    if (rc == MW_OK && !nobody)
        rc = mw_lock_take(repair.folder.sys, repair.folder.side_fd, &lock_fd, &epoch, err);
    if (rc == MW_OK)
        rc = mw_survey(&repair.folder, &survey, err);
    if (rc == MW_OK) {
        struct mw_journal_report report;
        fill_report(&survey, &report);
        say_report(&report, say_line, context);
        if (report.damaged)
            rc = repair_at(&repair, &survey, err);
        else
            say(say_line, context, "nothing to repair");
    }
    if (lock_fd >= 0)
        mw_lock_release(repair.folder.sys, lock_fd, 0);
    mw_folder_close(&repair.folder);
    return rc;
}

static void fill_report(const struct mw_survey *survey, struct mw_journal_report *ret_report)
{
    const struct mw_damage *fault = mw_survey_fault(survey);
    const struct mw_damage *damage = fault != NULL ? fault : &survey->damage;
    *ret_report = (struct mw_journal_report){
        .segments = survey->segments,
        .frames = survey->frames,
        .records = survey->records,
        .bytes = survey->bytes,
        .last_seq = survey->chain.next_seq - 1,
        .epoch = survey->chain.epoch,
        .head = survey->head_state,
        .head_seq = survey->head.seq,
        .torn = survey->damaged && fault == NULL,
        .damaged = fault != NULL,
        .segment = damage->segment,
        .offset = damage->offset,
        .seq = damage->seq,
    };
    mw_hex(survey->chain.hash, sizeof survey->chain.hash, ret_report->hash);
    memcpy(ret_report->what, damage->what, sizeof ret_report->what);
}

static void say_report(const struct mw_journal_report *report, mw_journal_say say_line,
                       void *context)
{
    static const char *const head_words[] = {
        [MW_JOURNAL_HEAD_ABSENT] = "absent: a cut at a frame's border cannot be seen",
        [MW_JOURNAL_HEAD_DAMAGED] = "damaged: a cut at a frame's border cannot be seen",
        [MW_JOURNAL_HEAD_BEHIND] = "behind the journal, as after a power cut",
        [MW_JOURNAL_HEAD_EQUAL] = "agrees or is ahead",
    };
    say(say_line, context, "%lu segments, %lu frames, %lu records, %lu bytes, epoch %lu",
        (unsigned long)report->segments, (unsigned long)report->frames,
        (unsigned long)report->records, (unsigned long)report->bytes, (unsigned long)report->epoch);
    say(say_line, context, "good up to record %lu, sha256 %s", (unsigned long)report->last_seq,
        report->hash);
    say(say_line, context, "head file: record %lu, %s", (unsigned long)report->head_seq,
        head_words[report->head]);
    if (!report->torn && !report->damaged)
        return;
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(report->segment, name);
    say(say_line, context, "%s: %s, byte %lu, record %lu: %s",
        report->damaged ? "DAMAGED" : "unfinished last frame, never acknowledged", name,
        (unsigned long)report->offset, (unsigned long)report->seq, report->what);
}

/*
 * Later segments go first, then the damaged one is cut, then the head follows: a crash in between leaves a journal that is refused again and
 * repaired by running this again, never one that is accepted with a hole.
 */
static enum mw_rc repair_at(struct repair *repair, const struct mw_survey *survey,
                            struct mw_err *err)
{
    const struct mw_damage *damage = &survey->damage;
    struct mw_segments segments;
    enum mw_rc rc = mw_segments_list(repair->folder.dir_fd, &segments, err);
    if (rc != MW_OK)
        return rc;
    /* Frames that are all sound are all kept, whatever the head says: only the head is set. */
    for (size_t i = segments.count; survey->damaged && rc == MW_OK && i > 0; i--)
        if (segments.first[i - 1] > damage->segment)
            rc = move_aside(repair, segments.first[i - 1], err);
    mw_segments_free(&segments);
    if (rc == MW_OK && survey->damaged)
        rc = damage->offset == 0 ? move_aside(repair, damage->segment, err)
                                 : cut_segment(repair, damage, err);
    if (rc == MW_OK && !repair->dry_run && repair->folder.sys->fsync(repair->folder.dir_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's folder durable");
    if (rc == MW_OK)
        rc = set_head(repair, survey, err);
    return rc;
}

static enum mw_rc move_aside(struct repair *repair, uint64_t segment, struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES], aside[MW_JOURNAL_PATH_MAX];
    mw_segment_name(segment, name);
    mw_folder_aside_name(&repair->folder, segment, ASIDE_SUFFIX, aside);
    struct stat file;
    if (fstatat(repair->folder.dir_fd, name, &file, AT_SYMLINK_NOFOLLOW) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", name);
    say(repair->say, repair->context, "%s: move %s, all its %lu bytes, records from %lu on, to %s",
        repair->dry_run ? "would" : "now", name, (unsigned long)file.st_size,
        (unsigned long)segment, aside);
    if (repair->dry_run)
        return MW_OK;
    const int fd = repair->folder.dir_fd;
    if (repair->folder.sys->renameat(fd, name, fd, aside) != 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "move '%s' to '%s'", name, aside);
    return MW_OK;
}

static enum mw_rc cut_segment(struct repair *repair, const struct mw_damage *damage,
                              struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES], aside[MW_JOURNAL_PATH_MAX];
    mw_segment_name(damage->segment, name);
    int fd = repair->folder.sys->openat(repair->folder.dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    struct stat file;
    if (fd < 0 || fstat(fd, &file) != 0) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "open '%s'", name);
        if (fd >= 0)
            (void)close(fd); /* was only read */
        return rc;
    }
    (void)close(fd); /* was only read */
    mw_folder_aside_name(&repair->folder, damage->segment, ASIDE_SUFFIX, aside);
    say(repair->say, repair->context,
        "%s: cut %s at byte %lu, before record %lu, and keep the %lu bytes after it in %s",
        repair->dry_run ? "would" : "now", name, (unsigned long)damage->offset,
        (unsigned long)damage->seq, (unsigned long)((uint64_t)file.st_size - damage->offset),
        aside);
    if (repair->dry_run)
        return MW_OK;
    enum mw_rc rc = mw_folder_copy(&repair->folder, name, damage->offset, (uint64_t)file.st_size,
                                   aside, false, err);
    return rc == MW_OK
               ? mw_folder_refresh(&repair->folder, damage->segment, damage->offset, NULL, err)
               : rc;
}

/* What is left is surveyed again, so the head is what the frames say and not what this file hopes. */
static enum mw_rc set_head(struct repair *repair, const struct mw_survey *before,
                           struct mw_err *err)
{
    uint64_t kept = before->chain.next_seq - 1;
    say(repair->say, repair->context, "%s: set the head file to record %lu%s",
        repair->dry_run ? "would" : "now", (unsigned long)kept,
        before->head.seq > kept ? "; acknowledged records after it are no longer in the journal"
                                : "");
    if (repair->dry_run)
        return MW_OK;
    struct mw_survey after;
    enum mw_rc rc = mw_survey(&repair->folder, &after, err);
    if (rc != MW_OK)
        return rc;
    struct mw_head head = {.seq = after.chain.next_seq - 1,
                           .frame = after.chain.next_frame - 1,
                           .segment = after.tail_segment,
                           .bytes = after.tail_bytes};
    memcpy(head.hash, after.chain.hash, sizeof head.hash);
    const struct mw_folder *folder = &repair->folder;
    int fd =
        folder->sys->openat(folder->side_fd, MW_HEAD_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "open the journal's head");
    rc = mw_folder_put_head(folder, fd, &head, err);
    (void)close(fd); /* synced, or failed already */
    /* It may have been made just now: without its name a cut would not be seen. */
    if (rc == MW_OK && folder->sys->fsync(folder->side_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's head durable");
    return rc;
}

static void say(mw_journal_say say_line, void *context, const char *format, ...)
{
    char line[512];
    if (say_line == NULL)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    say_line(context, line);
}
