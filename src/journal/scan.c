/* scan.c - walking the frames of a journal's segments. */
#include "journal/scan.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_BUFFER_BYTES (1u << 20)

static enum mw_scan_step open_segment(struct mw_scan *scan, struct mw_err *err);
static enum mw_scan_step read_frame(struct mw_scan *scan, struct mw_scan_frame *ret_frame,
                                    struct mw_err *err);
static const char *chain_fault(const struct mw_scan *scan, const struct mw_frame *frame);
static enum mw_scan_step unfinished(struct mw_scan *scan, const struct mw_frame *header,
                                    size_t header_bytes, const char *what, struct mw_err *err);
static enum mw_scan_step damaged(struct mw_scan *scan, const char *what);
static bool fill(struct mw_scan *scan, size_t want, struct mw_err *err);
static enum mw_scan_step newer(uint64_t segment, struct mw_err *err);

void mw_segment_name(uint64_t first, char ret_name[MW_SEGMENT_NAME_BYTES])
{
    (void)snprintf(ret_name, MW_SEGMENT_NAME_BYTES, "%020" PRIu64 ".jsonl", first);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* False: not the canonical name of a segment. */
static bool parse_segment_name(const char *name, uint64_t *ret_first)
{
    char canonical[MW_SEGMENT_NAME_BYTES];
    if (!mw_str_to_u64(mw_str_sub(mw_str_of(name), 0, 20), ret_first))
        return false;
    mw_segment_name(*ret_first, canonical);
    return strcmp(name, canonical) == 0;
}

enum mw_rc mw_segments_list(int dir_fd, struct mw_segments *ret_segments, struct mw_err *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "list the journal's folder");
        if (fd >= 0)
            (void)close(fd); /* the failure is reported already */
        return rc;
    }
    struct mw_segments segments = {0};
    size_t cap = 0;
    enum mw_rc rc = MW_OK;
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(dir)) != NULL) {
        if (!mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")))
            continue;
        uint64_t first;
        if (!parse_segment_name(entry->d_name, &first)) {
            rc = MW_FAIL(err, MW_E_CORRUPT, "journal: '%s' is not the name of a segment",
                         entry->d_name);
            break;
        }
        if (segments.count == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            uint64_t *grown = mw_heap_alloc(cap * sizeof *grown);
            if (segments.count > 0)
                memcpy(grown, segments.first, segments.count * sizeof *grown);
            mw_heap_free(segments.first);
            segments.first = grown;
        }
        segments.first[segments.count++] = first;
    }
    if (rc == MW_OK && errno != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "list the journal's folder");
    (void)closedir(dir); /* was only read */
    if (rc != MW_OK) {
        mw_segments_free(&segments);
        return rc;
    }
    if (segments.count > 1)
        qsort(segments.first, segments.count, sizeof *segments.first, compare_u64);
    *ret_segments = segments;
    return MW_OK;
}

void mw_segments_free(struct mw_segments *segments)
{
    mw_heap_free(segments->first);
    *segments = (struct mw_segments){0};
}

enum mw_rc mw_scan_open(struct mw_scan *scan, const struct mw_journal_sys *sys, int dir_fd,
                        uint64_t from_seq, struct mw_err *err)
{
    struct mw_scan fresh = {.sys = sys, .dir_fd = dir_fd, .fd = -1};
    enum mw_rc rc = mw_segments_list(dir_fd, &fresh.segments, err);
    if (rc != MW_OK)
        return rc;
    fresh.chain.next_frame = 1;
    fresh.chain.next_seq = 1;
    fresh.chained = true;
    while (fresh.index + 1 < fresh.segments.count &&
           fresh.segments.first[fresh.index + 1] <= from_seq)
        fresh.index++;
    if (fresh.index > 0) {
        fresh.chained = false;
        fresh.chain.next_seq = fresh.segments.first[fresh.index];
    }
    fresh.cap = SCAN_BUFFER_BYTES;
    fresh.memory = mw_heap_alloc(fresh.cap);
    *scan = fresh;
    return MW_OK;
}

void mw_scan_file(struct mw_scan *scan, const struct mw_journal_sys *sys, int fd,
                  const struct mw_chain *chain)
{
    *scan = (struct mw_scan){.sys = sys, .dir_fd = -1, .fd = fd, .chained = true, .chain = *chain};
    scan->segments.first = mw_heap_alloc(sizeof *scan->segments.first);
    scan->segments.first[0] = chain->next_seq;
    scan->segments.count = 1;
    scan->cap = SCAN_BUFFER_BYTES;
    scan->memory = mw_heap_alloc(scan->cap);
}

enum mw_scan_step mw_scan_next(struct mw_scan *scan, struct mw_scan_frame *ret_frame,
                               struct mw_err *err)
{
    while (scan->index < scan->segments.count) {
        enum mw_scan_step step;
        if (scan->fd < 0 && (step = open_segment(scan, err)) != MW_SCAN_FRAME)
            return step;
        if (!fill(scan, MW_FRAME_HEADER_MAX, err))
            return MW_SCAN_FAILED;
        if (scan->len > 0)
            return read_frame(scan, ret_frame, err);
        if (scan->index + 1 == scan->segments.count)
            return MW_SCAN_END;
        if (scan->segment_frames == 0)
            return damaged(scan, "an empty segment before the last one");
        (void)close(scan->fd); /* was only read */
        scan->fd = -1;
        scan->index++;
    }
    return MW_SCAN_END;
}

void mw_scan_rewind(struct mw_scan *scan, const struct mw_chain *chain, uint64_t offset)
{
    scan->chain = *chain;
    scan->offset = offset;
    scan->start = 0;
    scan->len = 0;
}

bool mw_scan_extend(struct mw_scan *scan)
{
    struct mw_segments *segments = &scan->segments;
    uint64_t current = scan->index < segments->count ? segments->first[scan->index] : 0;
    char name[MW_SEGMENT_NAME_BYTES];
    struct stat opened, named;
    if (current != 0 && scan->fd >= 0) {
        mw_segment_name(current, name);
        if (fstat(scan->fd, &opened) == 0 && fstatat(scan->dir_fd, name, &named, 0) == 0 &&
            (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)) {
            int fd = scan->sys->openat(scan->dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
            if (fd < 0)
                return false;
            (void)close(scan->fd); /* was only read */
            scan->fd = fd;
            return true;
        }
    }
    mw_segment_name(scan->chain.next_seq, name);
    if (segments->count > 0 && segments->first[segments->count - 1] == scan->chain.next_seq)
        return false;
    if (fstatat(scan->dir_fd, name, &named, 0) != 0)
        return false;
    uint64_t *grown = mw_heap_alloc((segments->count + 1) * sizeof *grown);
    if (segments->count > 0)
        memcpy(grown, segments->first, segments->count * sizeof *grown);
    grown[segments->count++] = scan->chain.next_seq;
    mw_heap_free(segments->first);
    segments->first = grown;
    return true;
}

void mw_scan_close(struct mw_scan *scan)
{
    if (scan->fd >= 0)
        (void)close(scan->fd); /* was only read */
    scan->fd = -1;
    mw_heap_free(scan->memory);
    scan->memory = NULL;
    mw_segments_free(&scan->segments);
}

enum mw_rc mw_damage_fail(const struct mw_damage *damage, struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(damage->segment, name);
    return MW_FAIL(err, MW_E_CORRUPT,
                   "journal damaged: %s at byte %lu, record %lu: %s; run 'millwright doctor'", name,
                   (unsigned long)damage->offset, (unsigned long)damage->seq, damage->what);
}

enum mw_rc mw_scan_refuse_newer(const struct mw_journal_sys *sys, int dir_fd, struct mw_err *err)
{
    struct mw_scan scan;
    enum mw_rc rc = mw_scan_open(&scan, sys, dir_fd, UINT64_MAX, err);
    if (rc != MW_OK)
        return rc;
    struct mw_frame frame;
    size_t header_bytes;
    if (scan.segments.count > 0) {
        if (open_segment(&scan, err) != MW_SCAN_FRAME || !fill(&scan, MW_FRAME_HEADER_MAX, err))
            rc = err->rc;
        else if (mw_frame_read((struct mw_str){scan.memory, scan.len}, &frame, &header_bytes) ==
                 MW_FRAME_NEWER) {
            (void)newer(scan.segments.first[scan.index], err);
            rc = err->rc;
        }
    }
    mw_scan_close(&scan);
    return rc;
}

/* MW_SCAN_FRAME: open, go on. */
static enum mw_scan_step open_segment(struct mw_scan *scan, struct mw_err *err)
{
    uint64_t first = scan->segments.first[scan->index];
    scan->offset = 0;
    scan->start = 0;
    scan->len = 0;
    scan->segment_frames = 0;
    if (scan->chained && first != scan->chain.next_seq)
        return damaged(scan, first > scan->chain.next_seq ? "a segment before this one is missing"
                                                          : "this segment repeats records");
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(first, name);
    scan->fd = scan->sys->openat(scan->dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (scan->fd < 0) {
        (void)MW_FAIL_SYS(err, MW_E_IO, "open journal segment %s", name);
        return MW_SCAN_FAILED;
    }
    return MW_SCAN_FRAME;
}

static enum mw_scan_step read_frame(struct mw_scan *scan, struct mw_scan_frame *ret_frame,
                                    struct mw_err *err)
{
    struct mw_frame header = {0};
    size_t header_bytes = 0;
    switch (mw_frame_read((struct mw_str){scan->memory + scan->start, scan->len}, &header,
                          &header_bytes)) {
    case MW_FRAME_NEWER:
        return newer(scan->segments.first[scan->index], err);
    case MW_FRAME_PARTIAL:
        return unfinished(scan, NULL, 0, "the file ends inside a frame's header", err);
    case MW_FRAME_BAD:
        return unfinished(scan, NULL, 0, "not a frame's header", err);
    case MW_FRAME_OK:
        break;
    }
    size_t size = header_bytes + header.bytes;
    if (!fill(scan, size, err))
        return MW_SCAN_FAILED;
    const char *at = scan->memory + scan->start;
    struct mw_str line = {at, header_bytes};
    struct mw_str body = {at + header_bytes, header.bytes};
    if (scan->len < size)
        return unfinished(scan, &header, header_bytes, "the file ends inside a frame", err);
    if (!mw_frame_check(&header, line, body))
        return unfinished(scan, &header, header_bytes, "the frame's checksum does not fit", err);
    const char *fault = chain_fault(scan, &header);
    if (fault == NULL)
        fault = mw_frame_lines_fault(body, header.count);
    if (fault != NULL)
        return damaged(scan, fault);
    scan->chained = true;
    scan->chain.next_frame = header.frame + 1;
    scan->chain.next_seq = header.first + header.count;
    scan->chain.epoch = header.epoch;
    if (!scan->no_hash)
        mw_sha256_of((struct mw_str){at, size}, scan->chain.hash);
    *ret_frame = (struct mw_scan_frame){.header = header,
                                        .lines = body,
                                        .whole = {at, size},
                                        .segment = scan->segments.first[scan->index],
                                        .offset = scan->offset,
                                        .end = scan->offset + size};
    scan->segment_frames++;
    scan->start += size;
    scan->len -= size;
    scan->offset += size;
    return MW_SCAN_FRAME;
}

static const char *chain_fault(const struct mw_scan *scan, const struct mw_frame *frame)
{
    const struct mw_chain *chain = &scan->chain;
    if (frame->first != chain->next_seq)
        return frame->first < chain->next_seq ? "a frame is repeated or out of order"
                                              : "frames are missing before this one";
    if (!scan->chained)
        return NULL;
    if (frame->frame != chain->next_frame)
        return "a frame's number is not the next one";
    if (frame->epoch < chain->epoch)
        return "a frame of an earlier epoch comes after a later one";
    if (!scan->no_hash && memcmp(frame->prev, chain->hash, sizeof frame->prev) != 0)
        return "the frame before this one is not the one that was written";
    return NULL;
}

/*
 * Frame k+1 is written only after k is durable, so only the last frame may be unfinished: nothing that could be a later frame follows it,
 * the file does not go on past the length that its own header names, and it is in the last segment.
 */
static enum mw_scan_step unfinished(struct mw_scan *scan, const struct mw_frame *header,
                                    size_t header_bytes, const char *what, struct mw_err *err)
{
    if (!fill(scan, SIZE_MAX, err))
        return MW_SCAN_FAILED;
    struct mw_str rest = {scan->memory + scan->start, scan->len};
    bool goes_on = header != NULL && rest.len > header_bytes + header->bytes;
    bool misplaced = header != NULL && chain_fault(scan, header) != NULL;
    bool follows =
        mw_frame_follows(mw_str_sub(rest, 1, SIZE_MAX), scan->chained ? scan->chain.next_frame : 0);
    (void)damaged(scan, what);
    scan->damage.may_be_torn =
        scan->index + 1 == scan->segments.count && !goes_on && !misplaced && !follows;
    return MW_SCAN_DAMAGE;
}

static enum mw_scan_step damaged(struct mw_scan *scan, const char *what)
{
    scan->damage = (struct mw_damage){.segment = scan->segments.first[scan->index],
                                      .offset = scan->offset,
                                      .seq = scan->chain.next_seq};
    (void)snprintf(scan->damage.what, sizeof scan->damage.what, "%s", what);
    return MW_SCAN_DAMAGE;
}

/* Until `want` bytes are at hand or the file ends. False: the disk failed. */
static bool fill(struct mw_scan *scan, size_t want, struct mw_err *err)
{
    while (scan->len < want) {
        if (scan->start > 0 && scan->start + scan->len == scan->cap) {
            memmove(scan->memory, scan->memory + scan->start, scan->len);
            scan->start = 0;
        }
        if (scan->start + scan->len == scan->cap) {
            char *grown = mw_heap_alloc(scan->cap * 2);
            memcpy(grown, scan->memory + scan->start, scan->len);
            mw_heap_free(scan->memory);
            scan->memory = grown;
            scan->cap *= 2;
        }
        ssize_t got = scan->sys->pread(scan->fd, scan->memory + scan->start + scan->len,
                                       scan->cap - scan->start - scan->len,
                                       (off_t)(scan->offset + scan->len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            (void)MW_FAIL_SYS(err, MW_E_IO, "read journal segment %lu at byte %lu",
                              (unsigned long)scan->segments.first[scan->index],
                              (unsigned long)(scan->offset + scan->len));
            return false;
        }
        if (got == 0)
            return true;
        scan->len += (size_t)got;
    }
    return true;
}

static enum mw_scan_step newer(uint64_t segment, struct mw_err *err)
{
    (void)MW_FAIL(err, MW_E_CONFIG,
                  "journal segment %lu is written in a newer format than this millwright reads "
                  "(%d); nothing was changed: use the newer millwright",
                  (unsigned long)segment, MW_JOURNAL_FORMAT);
    return MW_SCAN_FAILED;
}
