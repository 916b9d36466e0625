/* snapshot.c - the file of a shortened journal. */
#include "journal/snapshot.h"

#include "journal/extract.h"
#include "journal/folder.h"
#include "journal/lock.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define CRC_MEMBER ",\"crc32c\":\""
#define LEFT_START "{\"left\":"
#define NAME_START "snapshot-"
#define FLUSH_BYTES (1u << 20)
#define LOOKS_MAX 4 /* as in folder.c */

static void write_header(const struct mw_snapshot *snapshot, char ret_line[]);
static bool parse_header(const char *line, struct mw_snapshot *ret_snapshot);
static enum mw_rc flush(struct mw_snapshot_writer *writer, struct mw_err *err);
static void end_writer(struct mw_snapshot_writer *writer);
static void remove_older(const struct mw_snapshot_writer *writer, const char *kept);
static bool parse_name(const char *name, uint64_t *ret_seq);

/* ---- the place in the journal ---- */

static enum mw_scan_step last_frame(struct mw_scan *scan, uint64_t until_seq,
                                    struct mw_journal_position *found, struct mw_err *err)
{
    struct mw_scan_frame frame;
    enum mw_scan_step step = MW_SCAN_FRAME;
    while (scan->chain.next_seq <= until_seq &&
           (step = mw_scan_next(scan, &frame, err)) == MW_SCAN_FRAME &&
           scan->chain.next_seq - 1 <= until_seq) {
        *found = (struct mw_journal_position){.seq = scan->chain.next_seq - 1,
                                              .frame = frame.header.frame,
                                              .epoch = frame.header.epoch,
                                              .segment = frame.segment,
                                              .offset = frame.offset};
        memcpy(found->hash, scan->chain.hash, sizeof found->hash);
    }
    return step;
}

enum mw_rc mw_journal_position(const char *dir, const struct mw_journal_options *options,
                               uint64_t until_seq, struct mw_journal_position *ret_position,
                               struct mw_err *err)
{
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    struct mw_folder folder;
    enum mw_rc rc = mw_folder_look(&folder, dir, options, err);
    if (rc != MW_OK)
        return rc;
    struct mw_journal_position found = {0};
    uint64_t committed = mw_journal_committed(options, until_seq);
    int looks = 0;
    /* A frame that ends there may begin in the segment before the one that the number points to. */
    for (uint64_t from = until_seq; rc == MW_OK && found.seq == 0 && from > 0;) {
        struct mw_scan scan;
        rc = mw_scan_open(&scan, folder.sys, folder.dir_fd, from, err);
        if (rc != MW_OK)
            break;
        uint64_t segment = scan.segments.count > 0 ? scan.segments.first[scan.index] : 1;
        enum mw_scan_step step = last_frame(&scan, until_seq, &found, err);
        if (step == MW_SCAN_FAILED)
            rc = err->rc;
        else if (step == MW_SCAN_DAMAGE && !scan.damage.may_be_torn && ++looks < LOOKS_MAX)
            found.seq = 0; /* perhaps a writer was seen at work: once more */
        else if (step == MW_SCAN_DAMAGE && !scan.damage.may_be_torn)
            rc = mw_damage_fail(&scan.damage, err);
        else
            from = segment > 1 ? segment - 1 : 0;
        mw_scan_close(&scan);
    }
    mw_folder_close(&folder);
    if (rc == MW_OK)
        rc = mw_journal_check_end(committed, found.seq, err);
    if (rc == MW_OK && found.seq == 0)
        rc = MW_FAIL(err, MW_E_MISSING, "nothing is recorded yet");
    if (rc == MW_OK)
        *ret_position = found;
    return rc;
}

/* One frame at a known place, with the whole of its proof. */
static enum mw_rc read_frame_at(const struct mw_folder *folder,
                                const struct mw_journal_position *at, bool *ret_same,
                                struct mw_err *err)
{
    char name[MW_SEGMENT_NAME_BYTES], head[MW_FRAME_HEADER_MAX];
    struct mw_frame frame;
    size_t header_bytes;
    uint8_t hash[MW_FRAME_HASH_BYTES];
    *ret_same = false;
    mw_segment_name(at->segment, name);
    mw_autoclose int fd = folder->sys->openat(folder->dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return errno == ENOENT ? MW_OK : MW_FAIL_SYS(err, MW_E_IO, "open '%s'", name);
    ssize_t got = folder->sys->pread(fd, head, sizeof head, (off_t)at->offset);
    if (got < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "read '%s'", name);
    if (mw_frame_read((struct mw_str){head, (size_t)got}, &frame, &header_bytes) != MW_FRAME_OK ||
        frame.frame != at->frame || frame.epoch != at->epoch ||
        frame.first + frame.count - 1 != at->seq)
        return MW_OK;
    size_t size = header_bytes + frame.bytes, have = 0;
    mw_autofree char *memory = mw_heap_alloc(size);
    while (have < size) {
        got = folder->sys->pread(fd, memory + have, size - have, (off_t)(at->offset + have));
        if (got < 0 && errno != EINTR)
            return MW_FAIL_SYS(err, MW_E_IO, "read '%s'", name);
        if (got == 0)
            return MW_OK;
        have += got > 0 ? (size_t)got : 0;
    }
    mw_sha256_of((struct mw_str){memory, size}, hash);
    *ret_same = memcmp(hash, at->hash, sizeof hash) == 0;
    return MW_OK;
}

enum mw_rc mw_snapshot_belongs(const char *dir, const struct mw_journal_options *options,
                               const struct mw_snapshot *snapshot, struct mw_err *err)
{
    struct mw_folder folder;
    bool same;
    enum mw_rc rc = mw_folder_look(&folder, dir, options, err);
    if (rc != MW_OK)
        return rc;
    rc = read_frame_at(&folder, &snapshot->at, &same, err);
    mw_folder_close(&folder);
    if (rc == MW_OK && !same)
        rc = MW_FAIL(err, MW_E_CONFLICT,
                     "the journal has another frame, or none, where the snapshot's record %lu ends",
                     (unsigned long)snapshot->at.seq);
    return rc;
}

/* ---- writing ---- */

enum mw_rc mw_snapshot_begin(struct mw_snapshot_writer *writer, const struct mw_journal_sys *sys,
                             int dir_fd, struct mw_err *err)
{
    struct mw_snapshot_writer fresh = {.sys = sys != NULL ? sys : &mw_journal_sys_real,
                                       .dir_fd = dir_fd,
                                       .offset = MW_SNAPSHOT_HEADER_BYTES};
    fresh.fd =
        fresh.sys->openat(dir_fd, MW_SNAPSHOT_UNFINISHED, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fresh.fd < 0)
        return MW_FAIL_SYS(err, mw_journal_rc_of(errno), "create a snapshot");
    enum mw_rc rc = MW_OK;
    errno = 0; /* a look that succeeds leaves it */
    if (flock(fresh.fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK
                 ? MW_FAIL(err, MW_E_CONFLICT, "a snapshot is being written already")
                 : MW_FAIL_SYS(err, MW_E_IO, "lock a snapshot");
    else if (!mw_lock_is_of_name(fresh.fd, dir_fd, MW_SNAPSHOT_UNFINISHED))
        /* Whoever wrote it has put it in its place meanwhile: it is not to be emptied there. */
        rc = errno == EIO ? MW_FAIL_SYS(err, MW_E_IO, "look at a snapshot")
                          : MW_FAIL(err, MW_E_CONFLICT, "a snapshot was written just now");
    else if (fresh.sys->ftruncate(fresh.fd, 0) != 0) /* what a writer that died has left */
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "empty an unfinished snapshot");
    if (rc != MW_OK) {
        (void)close(fresh.fd); /* nothing is in it */
        return rc;
    }
    fresh.buf = mw_heap_buf();
    mw_sha256_begin(&fresh.sha);
    *writer = fresh;
    return MW_OK;
}

enum mw_rc mw_snapshot_add(struct mw_snapshot_writer *writer, struct mw_str line, bool left,
                           struct mw_err *err)
{
    if (left)
        mw_buf_put(&writer->buf, MW_STR(LEFT_START));
    mw_buf_put(&writer->buf, line);
    mw_buf_put(&writer->buf, left ? MW_STR("}\n") : MW_STR("\n"));
    writer->records++;
    return writer->buf.len < FLUSH_BYTES ? MW_OK : flush(writer, err);
}

enum mw_rc mw_snapshot_seal(struct mw_snapshot_writer *writer, struct mw_snapshot *snapshot,
                            struct mw_err *err)
{
    char line[MW_SNAPSHOT_HEADER_BYTES];
    uint8_t digest[32];
    enum mw_rc rc = flush(writer, err);
    if (rc != MW_OK)
        return rc;
    mw_sha256_end(&writer->sha, digest);
    mw_sha256_begin(&writer->sha); /* end_writer ends it */
    mw_hex(digest, sizeof digest, snapshot->body);
    snapshot->records = writer->records;
    snapshot->bytes = writer->offset - MW_SNAPSHOT_HEADER_BYTES;
    write_header(snapshot, line);
    const struct mw_folder folder = {writer->sys, writer->dir_fd, writer->dir_fd};
    rc = mw_folder_write(&folder, writer->fd, (struct mw_str){line, sizeof line}, 0,
                         "a snapshot's header", err);
    if (rc == MW_OK && writer->sys->fsync(writer->fd) != 0)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "make a snapshot durable");
    return rc;
}

enum mw_rc mw_snapshot_commit(struct mw_snapshot_writer *writer, const struct mw_snapshot *snapshot,
                              struct mw_err *err)
{
    char name[MW_SNAPSHOT_NAME_BYTES];
    mw_snapshot_name(snapshot->at.seq, name);
    enum mw_rc rc = MW_OK;
    if (writer->sys->renameat(writer->dir_fd, MW_SNAPSHOT_UNFINISHED, writer->dir_fd, name) != 0)
        rc = MW_FAIL_SYS(err, mw_journal_rc_of(errno), "put the snapshot '%s' in place", name);
    else if (writer->sys->fsync(writer->dir_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the folder of snapshots durable");
    if (rc == MW_OK)
        remove_older(writer, name);
    end_writer(writer);
    return rc;
}

void mw_snapshot_abandon(struct mw_snapshot_writer *writer)
{
    /* Whatever is left of it is emptied by the next writer and taken by no reader. */
    (void)writer->sys->unlinkat(writer->dir_fd, MW_SNAPSHOT_UNFINISHED, 0);
    end_writer(writer);
}

/* ---- reading ---- */

void mw_snapshot_name(uint64_t seq, char ret_name[MW_SNAPSHOT_NAME_BYTES])
{
    (void)snprintf(ret_name, MW_SNAPSHOT_NAME_BYTES, NAME_START "%020" PRIu64 ".jsonl", seq);
}

enum mw_rc mw_snapshot_newest(int dir_fd, char ret_name[MW_SNAPSHOT_NAME_BYTES], struct mw_err *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    uint64_t newest = 0, seq;
    if (dir == NULL) {
        enum mw_rc rc = MW_FAIL_SYS(err, MW_E_IO, "list the folder of snapshots");
        if (fd >= 0)
            (void)close(fd); /* the failure is reported already */
        return rc;
    }
    for (const struct dirent *entry; (errno = 0, entry = readdir(dir)) != NULL;)
        if (parse_name(entry->d_name, &seq) && seq > newest)
            newest = seq;
    enum mw_rc rc = errno == 0 ? MW_OK : MW_FAIL_SYS(err, MW_E_IO, "list the folder of snapshots");
    (void)closedir(dir); /* was only read */
    if (rc != MW_OK)
        return rc;
    if (newest == 0)
        return MW_FAIL(err, MW_E_MISSING, "there is no snapshot");
    mw_snapshot_name(newest, ret_name);
    return MW_OK;
}

enum mw_rc mw_snapshot_read(int dir_fd, const char *name, struct mw_snapshot *ret_snapshot,
                            struct mw_buf *file, struct mw_err *err)
{
    size_t start = file->len;
    enum mw_rc rc = mw_file_read_regular(dir_fd, name, MW_SNAPSHOT_BYTES_MAX, file, err);
    return rc == MW_OK ? mw_snapshot_check(mw_str_sub(mw_buf_str(file), start, SIZE_MAX), name,
                                           ret_snapshot, err)
                       : rc;
}

enum mw_rc mw_snapshot_check(struct mw_str all, const char *name, struct mw_snapshot *ret_snapshot,
                             struct mw_err *err)
{
    struct mw_snapshot snapshot;
    char digest[65];
    if (all.len < MW_SNAPSHOT_HEADER_BYTES || !parse_header(all.ptr, &snapshot))
        return MW_FAIL(err, MW_E_CORRUPT, "%s: not a snapshot's header", name);
    struct mw_str body = mw_str_sub(all, MW_SNAPSHOT_HEADER_BYTES, SIZE_MAX);
    if (body.len != snapshot.bytes)
        return MW_FAIL(err, MW_E_CORRUPT, "%s: %zu bytes of records, not %lu", name, body.len,
                       (unsigned long)snapshot.bytes);
    mw_sha256_hex(body, digest);
    if (strcmp(digest, snapshot.body) != 0)
        return MW_FAIL(err, MW_E_CORRUPT, "%s: its records are not the ones that were written",
                       name);
    if (body.len > 0 && body.ptr[body.len - 1] != '\n')
        return MW_FAIL(err, MW_E_CORRUPT, "%s: the last record has no end", name);
    *ret_snapshot = snapshot;
    return MW_OK;
}

enum mw_rc mw_snapshot_each(struct mw_str file, mw_snapshot_on_line on_line, void *context,
                            struct mw_err *err)
{
    enum mw_rc rc = MW_OK;
    MW_ASSERT(file.len >= MW_SNAPSHOT_HEADER_BYTES);
    for (size_t at = MW_SNAPSHOT_HEADER_BYTES; rc == MW_OK && at < file.len;) {
        const char *newline = memchr(file.ptr + at, '\n', file.len - at);
        MW_ASSERT(newline != NULL); /* read has looked */
        struct mw_str line = {file.ptr + at, (size_t)(newline - file.ptr) - at};
        at += line.len + 1;
        bool left = mw_str_starts(line, MW_STR(LEFT_START)) && mw_str_ends(line, MW_STR("}"));
        if (left)
            line = mw_str_sub(line, sizeof(LEFT_START) - 1, line.len - sizeof(LEFT_START));
        rc = on_line(context, line, left, err);
    }
    return rc;
}

/* ---- parts ---- */

static void write_header(const struct mw_snapshot *snapshot, char ret_line[])
{
    char hash[2 * MW_FRAME_HASH_BYTES + 1];
    const struct mw_journal_position *at = &snapshot->at;
    mw_hex(at->hash, sizeof at->hash, hash);
    int length = snprintf(ret_line, MW_SNAPSHOT_HEADER_BYTES,
                          "{\"snapshot\":%d,\"journal\":\"%s\",\"made_by\":\"%s\",\"seq\":%" PRIu64
                          ",\"frame\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"segment\":%" PRIu64
                          ",\"offset\":%" PRIu64 ",\"hash\":\"%s\",\"records\":%" PRIu64
                          ",\"bytes\":%" PRIu64 ",\"body\":\"%s\",\"state\":\"%s\",\"left\":\"%s\"",
                          MW_SNAPSHOT_FORMAT, snapshot->journal, snapshot->made_by, at->seq,
                          at->frame, at->epoch, at->segment, at->offset, hash, snapshot->records,
                          snapshot->bytes, snapshot->body, snapshot->state, snapshot->left);
    MW_ASSERT(length > 0 && length < MW_SNAPSHOT_HEADER_BYTES - 32);
    uint32_t crc = mw_crc32c(0, (struct mw_str){ret_line, (size_t)length});
    length += snprintf(ret_line + length, 32, CRC_MEMBER "%08" PRIx32 "\"}", crc);
    memset(ret_line + length, ' ', MW_SNAPSHOT_HEADER_BYTES - (size_t)length);
    ret_line[MW_SNAPSHOT_HEADER_BYTES - 1] = '\n';
}

/* Reads the members, writes the line again and compares: one spelling, as with frames. */
static bool parse_header(const char *line, struct mw_snapshot *ret_snapshot)
{
    char text[MW_SNAPSHOT_HEADER_BYTES + 1], again[MW_SNAPSHOT_HEADER_BYTES], hash[65];
    struct mw_snapshot snapshot = {0};
    struct mw_journal_position *at = &snapshot.at;
    memcpy(text, line, MW_SNAPSHOT_HEADER_BYTES);
    text[MW_SNAPSHOT_HEADER_BYTES] = '\0';
    if (sscanf(text,
               "{\"snapshot\":1,\"journal\":\"%16[0-9a-f]\",\"made_by\":\"%64[0-9A-Za-z.+~-]\","
               "\"seq\":%18" SCNu64 ",\"frame\":%18" SCNu64 ",\"epoch\":%18" SCNu64
               ",\"segment\":%18" SCNu64 ",\"offset\":%18" SCNu64
               ",\"hash\":\"%64[0-9a-f]\",\"records\":%18" SCNu64 ",\"bytes\":%18" SCNu64
               ",\"body\":\"%64[0-9a-f]\",\"state\":\"%64[0-9a-f]\",\"left\":\"%64[0-9a-f]\"",
               snapshot.journal, snapshot.made_by, &at->seq, &at->frame, &at->epoch, &at->segment,
               &at->offset, hash, &snapshot.records, &snapshot.bytes, snapshot.body, snapshot.state,
               snapshot.left) != 13 ||
        !mw_unhex(hash, at->hash, sizeof at->hash) || strlen(snapshot.body) != 64 ||
        strlen(snapshot.state) != 64 || strlen(snapshot.left) != 64 || at->seq == 0)
        return false;
    write_header(&snapshot, again);
    if (memcmp(again, line, MW_SNAPSHOT_HEADER_BYTES) != 0)
        return false;
    *ret_snapshot = snapshot;
    return true;
}

static enum mw_rc flush(struct mw_snapshot_writer *writer, struct mw_err *err)
{
    struct mw_str bytes = mw_buf_str(&writer->buf);
    MW_ASSERT(!writer->buf.overflowed);
    mw_sha256_add(&writer->sha, bytes);
    const struct mw_folder folder = {writer->sys, writer->dir_fd, writer->dir_fd};
    enum mw_rc rc =
        mw_folder_write(&folder, writer->fd, bytes, writer->offset, "a snapshot's records", err);
    writer->offset += bytes.len;
    mw_buf_reset(&writer->buf);
    return rc;
}

static void end_writer(struct mw_snapshot_writer *writer)
{
    uint8_t unused[32];
    mw_sha256_end(&writer->sha, unused);
    mw_heap_buf_free(&writer->buf);
    (void)close(writer->fd); /* synced by seal, or not wanted */
    writer->fd = -1;
}

/* A snapshot that cannot be removed is only older. */
static void remove_older(const struct mw_snapshot_writer *writer, const char *kept)
{
    int fd = openat(writer->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    uint64_t seq;
    if (dir == NULL && fd >= 0)
        (void)close(fd); /* was only opened */
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (parse_name(entry->d_name, &seq) && strcmp(entry->d_name, kept) < 0)
            (void)writer->sys->unlinkat(writer->dir_fd, entry->d_name, 0);
    if (dir != NULL)
        (void)closedir(dir); /* was only read */
}

/* False: not the canonical name of a snapshot. */
static bool parse_name(const char *name, uint64_t *ret_seq)
{
    char canonical[MW_SNAPSHOT_NAME_BYTES];
    struct mw_str text = mw_str_of(name);
    if (!mw_str_starts(text, MW_STR(NAME_START)) ||
        !mw_str_to_u64(mw_str_sub(text, sizeof(NAME_START) - 1, 20), ret_seq))
        return false;
    mw_snapshot_name(*ret_seq, canonical);
    return strcmp(name, canonical) == 0;
}
