/* archive.c - sealed segments copied into an archive. */
#include "journal/archive.h"

#include "journal/archive_folder.h"
#include "journal/files.h"
#include "journal/gzip.h"
#include "journal/lock.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* One segment on its way into the archive. */
struct store {
    const struct mw_folder *archive; /* borrowed */
    struct mw_gzip *gzip;            /* owned; NULL: it is stored as it is */
    int fd;
    struct mw_sha256 whole;  /* of the journal's bytes */
    struct mw_sha256 stored; /* of the file's */
    struct mw_manifest_segment segment;
};

static enum mw_rc meets(const struct mw_folder *journal, const struct mw_segments *segments,
                        const struct mw_manifest *manifest, size_t *ret_from, struct mw_err *err);
static enum mw_rc add_segment(const struct mw_folder *journal, const struct mw_folder *archive,
                              bool packs, uint64_t next, struct mw_manifest *manifest,
                              struct mw_err *err);

enum mw_rc mw_archive_add(const char *journal_dir, const char *dir,
                          const struct mw_journal_options *options, bool packs,
                          mw_archive_on_segment on_segment, void *context,
                          struct mw_manifest *ret_manifest, struct mw_err *err)
{
    struct mw_folder journal, archive;
    struct mw_manifest manifest = {.count = 0};
    struct mw_segments segments = {.count = 0};
    char id[sizeof manifest.journal];
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    int lock_fd = -1;
    size_t from = 0;
    enum mw_rc rc = mw_archive_journal_id(journal_dir, options, id, err);
    if (rc == MW_OK)
        rc = mw_folder_look(&journal, journal_dir, options, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_archive_open(&archive, dir, journal.sys, id, &lock_fd, &manifest, err);
    if (rc != MW_OK) {
        mw_folder_close(&journal);
        return rc;
    }
    rc = mw_segments_list(journal.dir_fd, &segments, err);
    if (rc == MW_OK)
        rc = meets(&journal, &segments, &manifest, &from, err);
    /* The last one is the writer's. */
    for (size_t i = from; rc == MW_OK && i + 1 < segments.count; i++) {
        rc = add_segment(&journal, &archive, packs, segments.first[i + 1], &manifest, err);
        if (rc == MW_OK)
            on_segment(context, &manifest.segments[manifest.count - 1]);
    }
    mw_segments_free(&segments);
    (void)close(lock_fd); /* lets go */
    mw_archive_close(&archive);
    mw_folder_close(&journal);
    if (rc == MW_OK)
        *ret_manifest = manifest;
    else
        mw_manifest_free(&manifest);
    return rc;
}

enum mw_rc mw_archive_seal(const char *journal_dir, const struct mw_journal_options *options,
                           bool *ret_sealed, struct mw_err *err)
{
    struct mw_journal_options with = options != NULL ? *options : (struct mw_journal_options){0};
    struct mw_journal_opened opened;
    struct mw_folder folder;
    void *journal;
    enum mw_rc rc = mw_folder_look(&folder, journal_dir, options, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_journal_files.open(journal_dir, &with, &journal, &opened, err);
    if (rc != MW_OK) {
        mw_folder_close(&folder);
        return rc;
    }
    char name[MW_SEGMENT_NAME_BYTES];
    mw_segment_name(opened.last_seq + 1, name);
    int fd = -1;
    if (opened.last_seq == 0)
        rc = MW_FAIL(err, MW_E_MISSING, "nothing is recorded yet");
    else if ((fd = folder.sys->openat(folder.dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
                                      0600)) < 0 &&
             errno != EEXIST)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "begin journal segment %s", name);
    else if (fd >= 0 && folder.sys->fsync(folder.dir_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the journal's folder durable");
    if (fd >= 0)
        (void)close(fd); /* it is empty */
    mw_folder_close(&folder);
    enum mw_rc closed = mw_journal_files.close(journal, rc == MW_OK ? err : NULL);
    if (rc == MW_OK && closed == MW_OK)
        *ret_sealed = fd >= 0;
    return rc != MW_OK ? rc : closed;
}

/* Does this journal go on where the archive ends? *ret_from: index of the first segment that is not in it. */
static enum mw_rc meets(const struct mw_folder *journal, const struct mw_segments *segments,
                        const struct mw_manifest *manifest, size_t *ret_from, struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES], head[MW_FRAME_HEADER_MAX];
    struct mw_frame frame;
    size_t header_bytes, from = 0;
    if (manifest->count == 0) {
        *ret_from = 0;
        return MW_OK;
    }
    const struct mw_manifest_segment *last = &manifest->segments[manifest->count - 1];
    while (from < segments->count && segments->first[from] <= last->last)
        from++;
    bool fits = from < segments->count && segments->first[from] == last->last + 1;
    mw_segment_name(last->last + 1, name);
    mw_autoclose int fd =
        fits ? journal->sys->openat(journal->dir_fd, name, O_RDONLY | O_NOFOLLOW, 0) : -1;
    ssize_t got = fd >= 0 ? journal->sys->pread(fd, head, sizeof head, 0) : 0;
    if (fits && (fd < 0 || got < 0))
        return MW_FAIL_SYS(err, MW_E_IO, "read '%s'", name);
    /* A header that cannot be read is for the scan to judge. */
    if (fits &&
        mw_frame_read((struct mw_str){head, (size_t)got}, &frame, &header_bytes) == MW_FRAME_OK)
        fits = frame.frame == last->frame + last->frames &&
               memcmp(frame.prev, last->hash, sizeof frame.prev) == 0;
    if (!fits)
        return MW_FAIL(err, MW_E_CORRUPT,
                       "the archive ends with record %lu, and the journal does not go on from "
                       "there: it was repaired, or put back from an older copy; archive it into "
                       "a new folder",
                       (unsigned long)last->last);
    *ret_from = from;
    return MW_OK;
}

static enum mw_rc put_stored(void *context, struct mw_str bytes, struct mw_err *err)
{
    struct store *store = context;
    enum mw_rc rc = mw_folder_write(store->archive, store->fd, bytes, store->segment.stored,
                                    "a segment into the archive", err);
    mw_sha256_add(&store->stored, bytes);
    store->segment.stored += bytes.len;
    return rc;
}

static enum mw_rc put_frame(struct store *store, const struct mw_scan_frame *frame,
                            const struct mw_chain *after, struct mw_err *err)
{
    struct mw_manifest_segment *segment = &store->segment;
    if (segment->frames == 0) {
        segment->first = frame->header.first;
        segment->frame = frame->header.frame;
        memcpy(segment->prev, frame->header.prev, sizeof segment->prev);
    }
    segment->frames++;
    segment->last = after->next_seq - 1;
    segment->epoch = after->epoch;
    segment->bytes = frame->end;
    memcpy(segment->hash, after->hash, sizeof segment->hash);
    mw_sha256_add(&store->whole, frame->whole);
    return store->gzip != NULL ? mw_gzip_put(store->gzip, frame->whole, false, err)
                               : put_stored(store, frame->whole, err);
}

/* Reads the segment to its end, where the next one has to begin. */
static enum mw_rc put_frames(struct store *store, struct mw_scan *scan, uint64_t next,
                             struct mw_err *err)
{
    struct mw_scan_frame frame;
    enum mw_scan_step step = MW_SCAN_FRAME;
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && (step = mw_scan_next(scan, &frame, err)) == MW_SCAN_FRAME)
        rc = put_frame(store, &frame, &scan->chain, err);
    if (rc != MW_OK)
        return rc;
    if (step == MW_SCAN_FAILED)
        return err->rc;
    if (step == MW_SCAN_END && scan->chain.next_seq != next) {
        scan->damage = (struct mw_damage){.segment = next, .seq = scan->chain.next_seq};
        (void)strcpy(scan->damage.what, scan->chain.next_seq < next
                                            ? "a segment before this one is missing"
                                            : "this segment repeats records");
        step = MW_SCAN_DAMAGE;
    }
    return step == MW_SCAN_DAMAGE ? mw_damage_fail(&scan->damage, err) : MW_OK;
}

/* The file is whole and has its name, or there is none of it. */
static enum mw_rc store_file(struct store *store, struct mw_scan *scan, uint64_t next,
                             struct mw_err *err)
{
    const struct mw_folder *archive = store->archive;
    char name[MW_ARCHIVE_NAME_BYTES];
    uint8_t digest[32];
    store->fd = archive->sys->openat(archive->dir_fd, MW_ARCHIVE_UNFINISHED,
                                     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (store->fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "begin a segment of the archive");
    mw_sha256_begin(&store->whole);
    mw_sha256_begin(&store->stored);
    enum mw_rc rc = put_frames(store, scan, next, err);
    if (rc == MW_OK && store->gzip != NULL)
        rc = mw_gzip_put(store->gzip, MW_STR_NONE, true, err);
    if (rc == MW_OK && archive->sys->fsync(store->fd) != 0)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "make a segment of the archive durable");
    (void)close(store->fd); /* synced, or failed already */
    mw_sha256_end(&store->whole, digest);
    mw_hex(digest, sizeof digest, store->segment.sha256);
    mw_sha256_end(&store->stored, digest);
    mw_hex(digest, sizeof digest, store->segment.stored_sha256);
    store->segment.gzip = store->gzip != NULL;
    mw_archive_name(&store->segment, name);
    if (rc == MW_OK &&
        archive->sys->renameat(archive->dir_fd, MW_ARCHIVE_UNFINISHED, archive->dir_fd, name) != 0)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "name '%s' in the archive", name);
    if (rc != MW_OK)
        (void)archive->sys->unlinkat(archive->dir_fd, MW_ARCHIVE_UNFINISHED,
                                     0); /* gives the space back */
    return rc;
}

static enum mw_rc add_segment(const struct mw_folder *journal, const struct mw_folder *archive,
                              bool packs, uint64_t next, struct mw_manifest *manifest,
                              struct mw_err *err)
{
    struct store store = {.archive = archive};
    struct mw_chain chain = {.next_frame = 1, .next_seq = 1};
    char name[MW_SEGMENT_NAME_BYTES];
    struct mw_scan scan;
    if (manifest->count > 0)
        chain = mw_archive_chain_after(&manifest->segments[manifest->count - 1]);
    mw_segment_name(chain.next_seq, name);
    int fd = journal->sys->openat(journal->dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return errno == ENOENT
                   ? MW_FAIL(err, MW_E_CORRUPT, "journal damaged: segment %s is missing", name)
                   : MW_FAIL_SYS(err, MW_E_IO, "open journal segment %s", name);
    mw_scan_file(&scan, journal->sys, fd, &chain);
    enum mw_rc rc = packs ? mw_gzip_open(true, put_stored, &store, &store.gzip, err) : MW_OK;
    if (rc == MW_OK)
        rc = store_file(&store, &scan, next, err);
    mw_gzip_close(store.gzip);
    mw_scan_close(&scan);
    if (rc != MW_OK)
        return rc;
    mw_manifest_add(manifest, &store.segment);
    return mw_archive_note(archive, manifest, err);
}
