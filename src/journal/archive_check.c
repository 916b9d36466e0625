/* archive_check.c - an archive's segments against its manifest, frame by frame, and against the journal that they were copied from. */
#include "journal/archive.h"

#include "journal/archive_folder.h"
#include "journal/gzip.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_BYTES (256u << 10)

struct check {
    struct mw_folder archive;
    struct mw_folder journal; /* dir_fd -1: not compared */
    mw_archive_on_damage on_damage;
    void *context;
    struct mw_archive_damage first; /* found; file empty: none */
    char *piece;                    /* owned: PIECE_BYTES */
};

/* One segment's bytes, unpacked into memory that has no name. */
struct unpacked {
    const struct mw_manifest_segment *segment; /* borrowed */
    int fd;
    uint64_t bytes;
};

static enum mw_rc check_segment(struct check *check, const struct mw_manifest_segment *segment,
                                struct mw_chain *chain, struct mw_err *err);
static enum mw_rc unpack(struct check *check, int stored_fd, struct unpacked *unpacked,
                         char ret_fault[160], bool *ret_same, struct mw_err *err);
static enum mw_rc check_frames(struct check *check, const struct mw_manifest_segment *segment,
                               const char *name, struct mw_scan *scan, const char *unpack_fault,
                               bool *ret_sound, struct mw_err *err);
static enum mw_rc compare(struct check *check, int journal_fd,
                          const struct mw_manifest_segment *segment,
                          const struct mw_scan_frame *frame, bool *ret_same, struct mw_err *err);
static enum mw_rc compare_ends(struct check *check, int journal_fd,
                               const struct mw_manifest_segment *segment, struct mw_err *err);
static void tell(struct check *check, bool in_journal, const char *file, uint64_t offset,
                 uint64_t seq, const char *what);

enum mw_rc mw_archive_check(const char *dir, const char *journal_dir,
                            const struct mw_journal_options *options,
                            mw_archive_on_damage on_damage, void *context,
                            struct mw_manifest *ret_manifest, struct mw_err *err)
{
    struct check check = {
        .journal = {.dir_fd = -1, .side_fd = -1}, .on_damage = on_damage, .context = context};
    struct mw_manifest manifest = {.count = 0};
    struct mw_chain chain = {.next_frame = 1, .next_seq = 1};
    struct mw_err unheard;
    char id[sizeof manifest.journal];
    const struct mw_journal_sys *sys =
        options != NULL && options->sys != NULL ? options->sys : &mw_journal_sys_real;
    err = err != NULL ? err : &unheard;
    *ret_manifest = manifest;
    enum mw_rc rc = mw_archive_look(&check.archive, dir, sys, &manifest, err);
    if (rc != MW_OK)
        return rc;
    if (journal_dir != NULL)
        rc = mw_archive_journal_id(journal_dir, options, id, err);
    if (rc == MW_E_CORRUPT ||
        rc == MW_E_MISSING) { /* that is no reason not to look at the archive */
        char own[MW_SEGMENT_NAME_BYTES];
        mw_segment_name(1, own);
        tell(&check, true, own, 0, 1, "the journal's first record cannot be read");
        journal_dir = NULL;
        rc = MW_OK;
    }
    if (rc == MW_OK && journal_dir != NULL && strcmp(id, manifest.journal) != 0)
        rc =
            MW_FAIL(err, MW_E_DENIED, "'%s' is the archive of another journal (%s; this one is %s)",
                    dir, manifest.journal, id);
    if (rc == MW_OK && journal_dir != NULL)
        rc = mw_folder_look(&check.journal, journal_dir, options, err);
    check.piece = mw_heap_alloc(PIECE_BYTES);
    for (size_t i = 0; i < manifest.count && rc == MW_OK; i++) {
        rc = check_segment(&check, &manifest.segments[i], &chain, err);
        chain = mw_archive_chain_after(&manifest.segments[i]);
    }
    mw_heap_free(check.piece);
    if (check.journal.dir_fd >= 0)
        mw_folder_close(&check.journal);
    mw_archive_close(&check.archive);
    if (rc != MW_OK) {
        mw_manifest_free(&manifest);
        return rc;
    }
    *ret_manifest = manifest;
    if (check.first.file[0] == '\0')
        return MW_OK;
    return MW_FAIL(err, MW_E_CORRUPT, "%s damaged: %s at byte %lu, record %lu: %s",
                   check.first.in_journal ? "journal" : "archive", check.first.file,
                   (unsigned long)check.first.offset, (unsigned long)check.first.seq,
                   check.first.what);
}

static enum mw_rc check_segment(struct check *check, const struct mw_manifest_segment *segment,
                                struct mw_chain *chain, struct mw_err *err)
{
    const struct mw_journal_sys *sys = check->archive.sys;
    struct unpacked unpacked = {.segment = segment, .fd = -1};
    char name[MW_ARCHIVE_NAME_BYTES], fault[160] = "";
    struct mw_scan scan;
    bool sound = false, same = true;
    mw_archive_name(segment, name);
    int fd = sys->openat(check->archive.dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0 && errno != ENOENT)
        return MW_FAIL_SYS(err, MW_E_IO, "open '%s' of the archive", name);
    if (fd < 0) {
        tell(check, false, name, 0, segment->first, "it is not there");
        return MW_OK;
    }
    if (segment->gzip) {
        enum mw_rc rc = unpack(check, fd, &unpacked, fault, &same, err);
        (void)close(fd); /* was only read */
        if (rc != MW_OK)
            return rc;
        fd = unpacked.fd;
    }
    mw_scan_file(&scan, sys, fd, chain);
    enum mw_rc rc = check_frames(check, segment, name, &scan, fault, &sound, err);
    mw_scan_close(&scan);
    if (rc == MW_OK && sound && !same)
        tell(check, false, name, 0, segment->first,
             "the packed bytes are not the ones that were written");
    return rc;
}

/* ---- unpacking ---- */

static enum mw_rc keep_unpacked(void *context, struct mw_str bytes, struct mw_err *err)
{
    struct unpacked *unpacked = context;
    struct mw_str part = mw_str_sub(bytes, 0, unpacked->segment->bytes - unpacked->bytes);
    unpacked->bytes += part.len;
    enum mw_rc rc = mw_write_all(unpacked->fd, part, err);
    if (rc == MW_OK && part.len < bytes.len)
        rc = MW_FAIL(err, MW_E_CORRUPT, "it unpacks to more bytes than the manifest says");
    return rc;
}

/* What can be unpacked, and in ret_fault why no more; *ret_same: are the packed bytes those of the manifest? */
static enum mw_rc unpack(struct check *check, int stored_fd, struct unpacked *unpacked,
                         char ret_fault[160], bool *ret_same, struct mw_err *err)
{
    struct mw_gzip *gzip;
    struct mw_sha256 sha;
    uint8_t digest[32];
    char sha256[65];
    uint64_t offset = 0;
    ssize_t got = 1;
    enum mw_rc unpacks = MW_OK;
    enum mw_rc rc = mw_gzip_open(false, keep_unpacked, unpacked, &gzip, err);
    if (rc != MW_OK)
        return rc;
    unpacked->fd = memfd_create("segment", MFD_CLOEXEC);
    if (unpacked->fd < 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make room for an unpacked segment");
    mw_sha256_begin(&sha);
    while (rc == MW_OK && got != 0) {
        got = check->archive.sys->pread(stored_fd, check->piece, PIECE_BYTES, (off_t)offset);
        if (got < 0 && errno != EINTR)
            rc = MW_FAIL_SYS(err, MW_E_IO, "read a segment of the archive");
        if (got <= 0)
            continue;
        struct mw_str bytes = {check->piece, (size_t)got};
        offset += bytes.len;
        mw_sha256_add(&sha, bytes);
        if (unpacks == MW_OK)
            unpacks = mw_gzip_put(gzip, bytes, false, err);
        if (unpacks != MW_OK && unpacks != MW_E_CORRUPT)
            rc = unpacks;
    }
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof digest, sha256);
    *ret_same = offset == unpacked->segment->stored &&
                strcmp(sha256, unpacked->segment->stored_sha256) == 0;
    if (rc == MW_OK && unpacks != MW_OK)
        (void)snprintf(ret_fault, 160, "%.150s", err->text);
    else if (rc == MW_OK && !mw_gzip_ended(gzip))
        (void)snprintf(ret_fault, 160, "the packed file is cut");
    mw_gzip_close(gzip);
    if (rc != MW_OK && unpacked->fd >= 0)
        (void)close(unpacked->fd); /* nobody reads it */
    return rc;
}

/* ---- frames ---- */

static const char *count_fault(const struct mw_manifest_segment *segment,
                               const struct mw_scan *scan, const char *sha256)
{
    if (scan->offset != segment->bytes)
        return "its length is not the manifest's";
    if (scan->chain.next_seq != segment->last + 1 || scan->segment_frames != segment->frames ||
        scan->chain.epoch != segment->epoch)
        return "its records, frames or epoch are not the manifest's";
    if (memcmp(scan->chain.hash, segment->hash, sizeof segment->hash) != 0)
        return "its last frame is not the manifest's";
    if (strcmp(sha256, segment->sha256) != 0)
        return "its bytes are not the ones that were written";
    return NULL;
}

static enum mw_rc check_frames(struct check *check, const struct mw_manifest_segment *segment,
                               const char *name, struct mw_scan *scan, const char *unpack_fault,
                               bool *ret_sound, struct mw_err *err)
{
    char own[MW_SEGMENT_NAME_BYTES], sha256[65];
    struct mw_scan_frame frame;
    struct mw_sha256 sha;
    uint8_t digest[32];
    enum mw_scan_step step = MW_SCAN_END;
    enum mw_rc rc = MW_OK;
    bool compares = check->journal.dir_fd >= 0;
    mw_segment_name(segment->first, own);
    mw_autoclose int journal_fd =
        compares ? check->journal.sys->openat(check->journal.dir_fd, own, O_RDONLY | O_NOFOLLOW, 0)
                 : -1;
    if (compares && journal_fd < 0 && errno != ENOENT)
        return MW_FAIL_SYS(err, MW_E_IO, "open journal segment %s", own);
    if (compares && journal_fd < 0) {
        tell(check, true, own, 0, segment->first, "the journal has no such segment");
        compares = false;
    }
    mw_sha256_begin(&sha);
    while (rc == MW_OK && (step = mw_scan_next(scan, &frame, err)) == MW_SCAN_FRAME) {
        mw_sha256_add(&sha, frame.whole);
        if (compares)
            rc = compare(check, journal_fd, segment, &frame, &compares, err);
    }
    if (rc == MW_OK && step == MW_SCAN_END && compares)
        rc = compare_ends(check, journal_fd, segment, err);
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof digest, sha256);
    if (rc != MW_OK)
        return rc;
    if (step == MW_SCAN_FAILED)
        return err->rc;
    const char *fault =
        step == MW_SCAN_DAMAGE ? scan->damage.what : count_fault(segment, scan, sha256);
    if (fault != NULL || unpack_fault[0] != '\0')
        tell(check, false, name, scan->offset, scan->chain.next_seq,
             unpack_fault[0] != '\0' ? unpack_fault : fault);
    *ret_sound = fault == NULL && unpack_fault[0] == '\0';
    return MW_OK;
}

/* The journal's bytes where this frame stands. *ret_same false: told. */
static enum mw_rc compare(struct check *check, int journal_fd,
                          const struct mw_manifest_segment *segment,
                          const struct mw_scan_frame *frame, bool *ret_same, struct mw_err *err)
{
    char own[MW_SEGMENT_NAME_BYTES];
    uint64_t seq = frame->header.first;
    size_t head = frame->whole.len - frame->lines.len;
    mw_segment_name(segment->first, own);
    for (size_t at = 0; at < frame->whole.len;) {
        size_t want = frame->whole.len - at < PIECE_BYTES ? frame->whole.len - at : PIECE_BYTES;
        ssize_t got =
            check->journal.sys->pread(journal_fd, check->piece, want, (off_t)(frame->offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MW_FAIL_SYS(err, MW_E_IO, "read journal segment %s", own);
        size_t same = 0;
        for (; same < (size_t)got && check->piece[same] == frame->whole.ptr[at + same]; same++)
            seq += at + same >= head && check->piece[same] == '\n';
        at += same;
        if (same == (size_t)got && got > 0)
            continue;
        tell(check, true, own, frame->offset + at, seq,
             got == 0 ? "the journal's segment ends here, the archive's goes on"
                      : "the journal has other bytes than the archive");
        *ret_same = false;
        return MW_OK;
    }
    return MW_OK;
}

static enum mw_rc compare_ends(struct check *check, int journal_fd,
                               const struct mw_manifest_segment *segment, struct mw_err *err)
{
    char own[MW_SEGMENT_NAME_BYTES];
    ssize_t more;
    mw_segment_name(segment->first, own);
    do
        more = check->journal.sys->pread(journal_fd, check->piece, 1, (off_t)segment->bytes);
    while (more < 0 && errno == EINTR);
    if (more < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "read journal segment %s", own);
    if (more > 0)
        tell(check, true, own, segment->bytes, segment->last + 1,
             "the journal's segment goes on, the archive's ends here");
    return MW_OK;
}

static void tell(struct check *check, bool in_journal, const char *file, uint64_t offset,
                 uint64_t seq, const char *what)
{
    struct mw_archive_damage damage = {.in_journal = in_journal, .offset = offset, .seq = seq};
    (void)snprintf(damage.file, sizeof damage.file, "%s", file);
    (void)snprintf(damage.what, sizeof damage.what, "%s", what);
    if (check->first.file[0] == '\0')
        check->first = damage;
    check->on_damage(check->context, &damage);
}
