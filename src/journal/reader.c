/* reader.c - reading records beside a writer. */
#include "journal/reader.h"

#include "journal/folder.h"
#include "posix/heap.h"

#include <string.h>

/* A frame may be seen half, with what follows it seen whole a moment later; what is still wrong after this many looks is wrong. */
#define LOOKS_MAX 4

struct reader {
    struct mw_folder folder;
    struct mw_scan scan;
    uint64_t from_seq; /* the next record to hand over */
};

static enum mw_rc next_frame(struct reader *reader, uint64_t until_seq, bool *ret_found,
                             struct mw_scan_frame *ret_frame, struct mw_err *err);

enum mw_rc mw_reader_open(const char *dir, const struct mw_journal_options *options,
                          uint64_t from_seq, void **ret_reader, struct mw_err *err)
{
    struct mw_folder folder;
    enum mw_rc rc = mw_folder_look(&folder, dir, options, err);
    if (rc != MW_OK)
        return rc;
    struct reader *reader = mw_heap_alloc(sizeof *reader);
    reader->folder = folder;
    reader->from_seq = from_seq > 0 ? from_seq : 1;
    rc = mw_scan_open(&reader->scan, folder.sys, folder.dir_fd, reader->from_seq, err);
    if (rc != MW_OK) {
        mw_folder_close(&folder);
        mw_heap_free(reader);
        return rc;
    }
    *ret_reader = reader;
    return MW_OK;
}

enum mw_rc mw_reader_read(void *self, uint64_t until_seq, mw_journal_on_record on_record,
                          void *context, uint64_t *ret_next_seq, struct mw_err *err)
{
    struct reader *reader = self;
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && reader->scan.chain.next_seq <= until_seq) {
        struct mw_scan_frame frame;
        bool found = false;
        rc = next_frame(reader, until_seq, &found, &frame, err);
        if (rc != MW_OK || !found)
            break;
        rc = mw_reader_deliver(&frame, reader->from_seq, on_record, context, err);
        if (reader->from_seq < reader->scan.chain.next_seq)
            reader->from_seq = reader->scan.chain.next_seq;
    }
    if (ret_next_seq != NULL)
        *ret_next_seq = reader->from_seq;
    return rc;
}

void mw_reader_close(void *self)
{
    struct reader *reader = self;
    if (reader == NULL)
        return;
    mw_scan_close(&reader->scan);
    mw_folder_close(&reader->folder);
    mw_heap_free(reader);
}

enum mw_rc mw_reader_deliver(const struct mw_scan_frame *frame, uint64_t from_seq,
                             mw_journal_on_record on_record, void *context, struct mw_err *err)
{
    const char *at = frame->lines.ptr;
    const char *end = at + frame->lines.len;
    uint64_t seq = frame->header.first;
    for (; at < end; seq++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        MW_ASSERT(newline != NULL); /* the scan counted the lines */
        if (seq >= from_seq) {
            enum mw_rc rc =
                on_record(context, seq, (struct mw_str){at, (size_t)(newline - at)}, err);
            if (rc != MW_OK)
                return rc;
        }
        at = newline + 1;
    }
    return MW_OK;
}

static enum mw_rc next_frame(struct reader *reader, uint64_t until_seq, bool *ret_found,
                             struct mw_scan_frame *ret_frame, struct mw_err *err)
{
    struct mw_scan *scan = &reader->scan;
    for (int looks = 0;;) {
        const struct mw_chain before = scan->chain;
        const bool chained = scan->chained;
        switch (mw_scan_next(scan, ret_frame, err)) {
        case MW_SCAN_FAILED:
            return err->rc;
        case MW_SCAN_FRAME:
            *ret_found = scan->chain.next_seq - 1 <= until_seq;
            if (!*ret_found) { /* not durable yet: it may still be taken back */
                mw_scan_rewind(scan, &before, ret_frame->offset);
                scan->chained = chained;
                scan->segment_frames--;
            }
            return MW_OK;
        case MW_SCAN_END:
            /* What is durable can be seen; perhaps the writer rotated between the two looks. */
            if (mw_scan_extend(scan) || (until_seq != UINT64_MAX && ++looks < LOOKS_MAX))
                continue;
            return MW_OK;
        case MW_SCAN_DAMAGE:
            mw_scan_rewind(scan, &before, scan->offset);
            if (mw_scan_extend(scan) || ++looks < LOOKS_MAX)
                continue;
            if (scan->damage.may_be_torn && until_seq == UINT64_MAX)
                return MW_OK; /* else the caller knows that it is durable */
            return mw_damage_fail(&scan->damage, err);
        }
    }
}
