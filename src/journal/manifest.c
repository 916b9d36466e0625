/* manifest.c - the text of an archive's manifest. */
#include "journal/manifest.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CRC_MEMBER ",\"crc32c\":\""
#define FORMAT_START "{\"archive\":"

static size_t write_header(const struct mw_manifest *manifest, const char *sha256, char *line);
static size_t write_segment(const struct mw_manifest_segment *segment, char *line);
static bool read_header(struct mw_str line, struct mw_manifest *manifest, uint64_t *ret_count,
                        char ret_sha256[65]);
static bool read_segment(struct mw_str line, struct mw_manifest_segment *ret_segment);
static const char *segment_fault(const struct mw_manifest *before,
                                 const struct mw_manifest_segment *segment);

void mw_manifest_add(struct mw_manifest *manifest, const struct mw_manifest_segment *segment)
{
    if (manifest->count == manifest->cap) {
        size_t cap = manifest->cap == 0 ? 16 : manifest->cap * 2;
        struct mw_manifest_segment *grown = mw_heap_alloc(cap * sizeof *grown);
        if (manifest->count > 0)
            memcpy(grown, manifest->segments, manifest->count * sizeof *grown);
        mw_heap_free(manifest->segments);
        manifest->segments = grown;
        manifest->cap = cap;
    }
    manifest->segments[manifest->count++] = *segment;
}

void mw_manifest_free(struct mw_manifest *manifest)
{
    mw_heap_free(manifest->segments);
    *manifest = (struct mw_manifest){.count = 0};
}

void mw_manifest_write(const struct mw_manifest *manifest, struct mw_buf *out)
{
    char line[MW_MANIFEST_LINE_MAX], sha256[65];
    uint8_t digest[32];
    struct mw_sha256 sha;
    mw_sha256_begin(&sha);
    for (size_t i = 0; i < manifest->count; i++)
        mw_sha256_add(&sha, (struct mw_str){line, write_segment(&manifest->segments[i], line)});
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof digest, sha256);
    mw_buf_put(out, (struct mw_str){line, write_header(manifest, sha256, line)});
    for (size_t i = 0; i < manifest->count; i++)
        mw_buf_put(out, (struct mw_str){line, write_segment(&manifest->segments[i], line)});
}

/* The line at *at without its newline, and *at after it. False: there is no whole line. */
static bool next_line(struct mw_str text, size_t *at, struct mw_str *ret_line)
{
    size_t end = mw_str_find(text, '\n', *at);
    if (end >= text.len || end - *at >= MW_MANIFEST_LINE_MAX)
        return false;
    *ret_line = mw_str_sub(text, *at, end - *at);
    *at = end + 1;
    return true;
}

static bool is_newer(struct mw_str line)
{
    const size_t start = sizeof(FORMAT_START) - 1;
    uint64_t format;
    return mw_str_starts(line, MW_STR(FORMAT_START)) &&
           mw_str_to_u64(mw_str_sub(line, start, mw_str_find(line, ',', start) - start), &format) &&
           format > MW_MANIFEST_FORMAT;
}

enum mw_rc mw_manifest_read(struct mw_str text, struct mw_manifest *ret_manifest,
                            struct mw_err *err)
{
    struct mw_manifest manifest = {.count = 0};
    struct mw_str line = MW_STR_NONE;
    struct mw_manifest_segment segment;
    char told[65], found[65];
    uint64_t count = 0;
    size_t at = 0;
    bool whole = next_line(text, &at, &line);
    if (whole && is_newer(line))
        return MW_FAIL(err, MW_E_CONFIG,
                       MW_MANIFEST_FILE " is written in a newer format than this millwright reads "
                                        "(%d): use the newer millwright",
                       MW_MANIFEST_FORMAT);
    if (!whole || !read_header(line, &manifest, &count, told))
        return MW_FAIL(err, MW_E_CORRUPT,
                       MW_MANIFEST_FILE " at line 1: not the header of an archive's manifest");
    mw_sha256_hex(mw_str_sub(text, at, SIZE_MAX), found);
    const char *fault = NULL;
    while (fault == NULL && at < text.len) {
        if (manifest.count == count)
            fault = "there are more lines than the first one says";
        else if (!next_line(text, &at, &line) || !read_segment(line, &segment))
            fault = "not a segment's line";
        else
            fault = segment_fault(&manifest, &segment);
        if (fault == NULL)
            mw_manifest_add(&manifest, &segment);
    }
    if (fault == NULL && manifest.count < count)
        fault = "the lines of some segments are missing";
    if (fault == NULL && strcmp(told, found) != 0)
        fault = "the lines are not the ones that were written";
    if (fault != NULL) {
        enum mw_rc rc = MW_FAIL(err, MW_E_CORRUPT, MW_MANIFEST_FILE " at line %zu: %s",
                                manifest.count + 2, fault);
        mw_manifest_free(&manifest);
        return rc;
    }
    *ret_manifest = manifest;
    return MW_OK;
}

static size_t write_header(const struct mw_manifest *manifest, const char *sha256, char *line)
{
    int length = snprintf(line, MW_MANIFEST_LINE_MAX,
                          FORMAT_START "%d,\"journal\":\"%s\",\"segments\":%zu,\"sha256\":\"%s\"",
                          MW_MANIFEST_FORMAT, manifest->journal, manifest->count, sha256);
    MW_ASSERT(length > 0 && length < MW_MANIFEST_LINE_MAX - 32);
    uint32_t crc = mw_crc32c(0, (struct mw_str){line, (size_t)length});
    length += snprintf(line + length, 32, CRC_MEMBER "%08" PRIx32 "\"}\n", crc);
    return (size_t)length;
}

static size_t write_segment(const struct mw_manifest_segment *segment, char *line)
{
    char prev[2 * MW_FRAME_HASH_BYTES + 1], hash[2 * MW_FRAME_HASH_BYTES + 1];
    mw_hex(segment->prev, sizeof segment->prev, prev);
    mw_hex(segment->hash, sizeof segment->hash, hash);
    int length = snprintf(
        line, MW_MANIFEST_LINE_MAX,
        "{\"segment\":%" PRIu64 ",\"last\":%" PRIu64 ",\"frame\":%" PRIu64 ",\"frames\":%" PRIu64
        ",\"epoch\":%" PRIu64 ",\"bytes\":%" PRIu64
        ",\"sha256\":\"%s\",\"prev\":\"%s\",\"hash\":\"%s\",\"gzip\":%s,\"stored\":%" PRIu64
        ",\"stored_sha256\":\"%s\"}\n",
        segment->first, segment->last, segment->frame, segment->frames, segment->epoch,
        segment->bytes, segment->sha256, prev, hash, segment->gzip ? "true" : "false",
        segment->stored, segment->stored_sha256);
    MW_ASSERT(length > 0 && length < MW_MANIFEST_LINE_MAX);
    return (size_t)length;
}

/* Like a frame's header, each line has one spelling: its members are read, it is written again and compared. */
static bool is_spelled(struct mw_str line, const char *again, size_t length)
{
    return length == line.len + 1 && memcmp(again, line.ptr, line.len) == 0;
}

static bool read_header(struct mw_str line, struct mw_manifest *manifest, uint64_t *ret_count,
                        char ret_sha256[65])
{
    char text[MW_MANIFEST_LINE_MAX], again[MW_MANIFEST_LINE_MAX];
    uint64_t count;
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\0';
    if (sscanf(text,
               FORMAT_START "1,\"journal\":\"%16[0-9a-f]\",\"segments\":%18" SCNu64
                            ",\"sha256\":\"%64[0-9a-f]\"",
               manifest->journal, &count, ret_sha256) != 3 ||
        count > MW_MANIFEST_SEGMENTS_MAX || strlen(ret_sha256) != 64)
        return false;
    struct mw_manifest told = *manifest;
    told.count = count; /* only written */
    *ret_count = count;
    return is_spelled(line, again, write_header(&told, ret_sha256, again));
}

static bool read_segment(struct mw_str line, struct mw_manifest_segment *ret_segment)
{
    char text[MW_MANIFEST_LINE_MAX], again[MW_MANIFEST_LINE_MAX], prev[65], hash[65], gzip[6];
    struct mw_manifest_segment segment = {.first = 0};
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\0';
    if (sscanf(text,
               "{\"segment\":%18" SCNu64 ",\"last\":%18" SCNu64 ",\"frame\":%18" SCNu64
               ",\"frames\":%18" SCNu64 ",\"epoch\":%18" SCNu64 ",\"bytes\":%18" SCNu64
               ",\"sha256\":\"%64[0-9a-f]\",\"prev\":\"%64[0-9a-f]\",\"hash\":\"%64[0-9a-f]\","
               "\"gzip\":%5[a-z],\"stored\":%18" SCNu64 ",\"stored_sha256\":\"%64[0-9a-f]\"",
               &segment.first, &segment.last, &segment.frame, &segment.frames, &segment.epoch,
               &segment.bytes, segment.sha256, prev, hash, gzip, &segment.stored,
               segment.stored_sha256) != 12 ||
        strlen(segment.sha256) != 64 || strlen(segment.stored_sha256) != 64 ||
        !mw_unhex(prev, segment.prev, sizeof segment.prev) ||
        !mw_unhex(hash, segment.hash, sizeof segment.hash))
        return false;
    segment.gzip = strcmp(gzip, "true") == 0;
    *ret_segment = segment;
    return is_spelled(line, again, write_segment(&segment, again));
}

/* NULL, or why it cannot be the segment that follows those before it. */
static const char *segment_fault(const struct mw_manifest *before,
                                 const struct mw_manifest_segment *segment)
{
    static const struct mw_manifest_segment none = {.first = 0};
    const struct mw_manifest_segment *last =
        before->count > 0 ? &before->segments[before->count - 1] : &none;
    if (segment->first != last->last + 1)
        return "it does not begin with the record after the line before it";
    if (segment->frame != last->frame + (before->count > 0 ? last->frames : 1))
        return "its first frame is not the one after the line before it";
    if (segment->epoch < last->epoch)
        return "its epoch is before the one of the line before it";
    if (memcmp(segment->prev, last->hash, sizeof segment->prev) != 0)
        return "it does not follow the last frame of the line before it";
    if (segment->last < segment->first || segment->frames == 0 ||
        segment->frames > segment->last - segment->first + 1)
        return "its numbers of records and frames cannot be";
    if (segment->bytes == 0 || segment->bytes > MW_SEGMENT_BYTES_MAX)
        return "its number of bytes cannot be";
    if (!segment->gzip &&
        (segment->stored != segment->bytes || strcmp(segment->stored_sha256, segment->sha256) != 0))
        return "it is stored as it is, and not of the same bytes";
    return NULL;
}
