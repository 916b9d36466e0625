/* extract.c - walking the frames, for lists and extracts. */
#include "journal/extract.h"

#include "journal/folder.h"
#include "journal/lock.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define LOOKS_MAX 4 /* as in folder.c */

static enum mw_rc hand_over(const struct mw_scan_frame *found, const struct mw_chain *after,
                            mw_journal_on_frame on_frame, void *context, struct mw_err *err)
{
    struct mw_journal_frame_info info = {.frame = found->header.frame,
                                         .epoch = found->header.epoch,
                                         .first = found->header.first,
                                         .count = found->header.count,
                                         .segment = found->segment,
                                         .offset = found->offset,
                                         .bytes = found->end - found->offset};
    mw_hex(found->header.prev, sizeof found->header.prev, info.prev);
    mw_hex(after->hash, sizeof after->hash, info.hash);
    return on_frame(context, &info, found->lines, err);
}

enum mw_rc mw_journal_frames(const char *dir, const struct mw_journal_options *options,
                             uint64_t until_seq, mw_journal_on_frame on_frame, void *context,
                             struct mw_err *err)
{
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    struct mw_folder folder;
    struct mw_scan scan;
    enum mw_rc rc = mw_folder_look(&folder, dir, options, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_scan_open(&scan, folder.sys, folder.dir_fd, 1, err);
    if (rc != MW_OK) {
        mw_folder_close(&folder);
        return rc;
    }
    uint64_t committed = mw_journal_committed(options, until_seq), last = 0;
    for (int looks = 0; rc == MW_OK && scan.chain.next_seq <= until_seq;) {
        struct mw_scan_frame frame;
        enum mw_scan_step step = mw_scan_next(&scan, &frame, err);
        if (step == MW_SCAN_FRAME && scan.chain.next_seq - 1 <= until_seq) {
            rc = hand_over(&frame, &scan.chain, on_frame, context, err);
            last = scan.chain.next_seq - 1;
            continue;
        }
        if (step == MW_SCAN_FAILED)
            rc = err->rc;
        if (step != MW_SCAN_DAMAGE)
            break;
        mw_scan_rewind(&scan, &scan.chain, scan.offset);
        if (++looks < LOOKS_MAX) /* perhaps a writer was seen at work */
            continue;
        if (!scan.damage.may_be_torn)
            rc = mw_damage_fail(&scan.damage, err);
        break;
    }
    mw_scan_close(&scan);
    mw_folder_close(&folder);
    return rc == MW_OK ? mw_journal_check_end(committed, last, err) : rc;
}

uint64_t mw_journal_settled(const char *dir, const struct mw_journal_options *options)
{
    struct mw_folder folder;
    struct mw_head head = {0};
    enum mw_journal_head state = MW_JOURNAL_HEAD_ABSENT;
    if (mw_folder_look(&folder, dir, options, NULL) != MW_OK)
        return UINT64_MAX;
    mw_autoclose int fd =
        folder.sys->openat(folder.side_fd, MW_LOCK_FILE, O_RDONLY | O_NOFOLLOW, 0);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (held && mw_head_read(folder.sys, folder.side_fd, &head, &state, NULL) != MW_OK)
        state = MW_JOURNAL_HEAD_ABSENT;
    mw_folder_close(&folder);
    return held && state == MW_JOURNAL_HEAD_EQUAL ? head.seq : UINT64_MAX;
}

uint64_t mw_journal_committed(const struct mw_journal_options *options, uint64_t until_seq)
{
    struct mw_head head = {0};
    enum mw_journal_head state = MW_JOURNAL_HEAD_ABSENT;
    if (until_seq != UINT64_MAX || options == NULL || options->side_dir == NULL)
        return 0;
    const struct mw_journal_sys *sys = options->sys != NULL ? options->sys : &mw_journal_sys_real;
    mw_autoclose int fd = sys->openat(AT_FDCWD, options->side_dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || mw_head_read(sys, fd, &head, &state, NULL) != MW_OK)
        return 0;
    return state == MW_JOURNAL_HEAD_EQUAL ? head.seq : 0;
}

enum mw_rc mw_journal_check_end(uint64_t committed_seq, uint64_t last_seq, struct mw_err *err)
{
    if (last_seq >= committed_seq)
        return MW_OK;
    return MW_FAIL(err, MW_E_CORRUPT,
                   "the journal ends at record %lu, and .millwright/head says that records up to "
                   "%lu were committed: 'millwright doctor' says what can be done",
                   (unsigned long)last_seq, (unsigned long)committed_seq);
}
