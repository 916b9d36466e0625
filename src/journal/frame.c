/* frame.c - the header line of a frame. */
#include "journal/frame.h"

#include "posix/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CRC_MEMBER ",\"crc32c\":\""
#define CRC_TAIL_BYTES (sizeof(CRC_MEMBER) - 1 + 8 + 3) /* the member, eight digits, "}\n */
#define HEADER_START "{\"frame\":"

struct cursor {
    const char *at;
    const char *end;
    bool ok;
};

static void take_text(struct cursor *cursor, const char *text);
static uint64_t take_u64(struct cursor *cursor);
static void take_hex(struct cursor *cursor, uint8_t *ret_bytes, size_t count);
static uint32_t header_crc(struct mw_str header, struct mw_str body);

size_t mw_frame_write(struct mw_frame *frame, struct mw_str body, char *memory)
{
    char prev[2 * MW_FRAME_HASH_BYTES + 1];
    mw_hex(frame->prev, sizeof frame->prev, prev);
    int length =
        snprintf(memory, MW_FRAME_HEADER_MAX,
                 HEADER_START "%" PRIu64 ",\"format\":%d,\"epoch\":%" PRIu64 ",\"first\":%" PRIu64
                              ",\"count\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"prev\":\"%s\"",
                 frame->frame, MW_JOURNAL_FORMAT, frame->epoch, frame->first, frame->count,
                 frame->bytes, prev);
    MW_ASSERT(length > 0 && (size_t)length + CRC_TAIL_BYTES < MW_FRAME_HEADER_MAX);
    uint32_t crc = mw_crc32c(0, (struct mw_str){memory, (size_t)length});
    frame->crc32c = mw_crc32c(crc, body);
    int tail = snprintf(memory + length, MW_FRAME_HEADER_MAX - (size_t)length,
                        CRC_MEMBER "%08" PRIx32 "\"}\n", frame->crc32c);
    MW_ASSERT(tail == (int)CRC_TAIL_BYTES);
    return (size_t)length + (size_t)tail;
}

enum mw_frame_read mw_frame_read(struct mw_str text, struct mw_frame *ret_frame,
                                 size_t *ret_header_bytes)
{
    size_t span = text.len < MW_FRAME_HEADER_MAX ? text.len : MW_FRAME_HEADER_MAX;
    const char *newline = span > 0 ? memchr(text.ptr, '\n', span) : NULL;
    struct mw_frame frame = {0};
    struct cursor cursor = {text.ptr, newline != NULL ? newline : text.ptr + span, true};
    take_text(&cursor, HEADER_START);
    frame.frame = take_u64(&cursor);
    take_text(&cursor, ",\"format\":");
    uint64_t format = take_u64(&cursor);
    /* P13: how long a newer header is, and whether it was written whole, is for a newer release to say. */
    if (cursor.ok && format > MW_JOURNAL_FORMAT)
        return MW_FRAME_NEWER;
    if (newline == NULL)
        return text.len < MW_FRAME_HEADER_MAX ? MW_FRAME_PARTIAL : MW_FRAME_BAD;
    take_text(&cursor, ",\"epoch\":");
    frame.epoch = take_u64(&cursor);
    take_text(&cursor, ",\"first\":");
    frame.first = take_u64(&cursor);
    take_text(&cursor, ",\"count\":");
    frame.count = take_u64(&cursor);
    take_text(&cursor, ",\"bytes\":");
    frame.bytes = take_u64(&cursor);
    take_text(&cursor, ",\"prev\":\"");
    take_hex(&cursor, frame.prev, sizeof frame.prev);
    take_text(&cursor, "\"" CRC_MEMBER);
    uint8_t crc[4] = {0};
    take_hex(&cursor, crc, sizeof crc);
    take_text(&cursor, "\"}");
    if (!cursor.ok || cursor.at != newline || format != MW_JOURNAL_FORMAT || frame.frame == 0 ||
        frame.first == 0 || frame.count == 0 || frame.count > MW_JOURNAL_FRAME_RECORDS_MAX ||
        frame.bytes == 0 || frame.bytes > MW_JOURNAL_FRAME_BYTES_MAX)
        return MW_FRAME_BAD;
    frame.crc32c = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
    *ret_frame = frame;
    *ret_header_bytes = (size_t)(newline - text.ptr) + 1;
    return MW_FRAME_OK;
}

bool mw_frame_check(const struct mw_frame *frame, struct mw_str header, struct mw_str body)
{
    return header_crc(header, body) == frame->crc32c;
}

const char *mw_frame_lines_fault(struct mw_str lines, uint64_t count)
{
    if (lines.len == 0 || lines.ptr[lines.len - 1] != '\n')
        return "the lines do not end with a newline";
    uint64_t seen = 0;
    const char *at = lines.ptr;
    const char *end = lines.ptr + lines.len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)(newline - at);
        if (length < 2 || at[0] != '{' || newline[-1] != '}')
            return "a line is not a JSON object";
        if (mw_str_starts((struct mw_str){at, length}, MW_STR(HEADER_START)))
            return "a record looks like a frame's header";
        seen++;
        at = newline + 1;
    }
    return seen == count ? NULL : "the number of lines is not the number of records";
}

bool mw_frame_follows(struct mw_str text, uint64_t after_frame)
{
    const size_t start_bytes = sizeof(HEADER_START) - 1;
    size_t at = 0;
    while (at + start_bytes <= text.len) {
        const char *hit = memmem(text.ptr + at, text.len - at, HEADER_START, start_bytes);
        if (hit == NULL)
            return false;
        size_t offset = (size_t)(hit - text.ptr);
        /* No record may start like a header, so at the start of a line it is one, whole or not. */
        if (offset > 0 && hit[-1] == '\n')
            return true;
        struct mw_frame frame;
        size_t header_bytes;
        enum mw_frame_read read =
            mw_frame_read(mw_str_sub(text, offset, MW_FRAME_HEADER_MAX), &frame, &header_bytes);
        if (read == MW_FRAME_OK && frame.frame > after_frame)
            return true;
        at = offset + start_bytes;
    }
    return false;
}

static void take_text(struct cursor *cursor, const char *text)
{
    size_t length = strlen(text);
    if (!cursor->ok || (size_t)(cursor->end - cursor->at) < length ||
        memcmp(cursor->at, text, length) != 0) {
        cursor->ok = false;
        return;
    }
    cursor->at += length;
}

static uint64_t take_u64(struct cursor *cursor)
{
    uint64_t value = 0;
    int digits = 0;
    while (cursor->ok && cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        if (digits == 18 || (digits == 1 && value == 0)) {
            cursor->ok = false; /* past what every JSON reader holds, or a leading zero */
            return 0;
        }
        value = value * 10 + (uint64_t)(*cursor->at++ - '0');
        digits++;
    }
    cursor->ok = cursor->ok && digits > 0;
    return value;
}

static void take_hex(struct cursor *cursor, uint8_t *ret_bytes, size_t count)
{
    if (!cursor->ok || (size_t)(cursor->end - cursor->at) < 2 * count) {
        cursor->ok = false;
        return;
    }
    for (size_t i = 0; i < 2 * count; i++) {
        char c = cursor->at[i];
        uint8_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint8_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint8_t)(c - 'a' + 10);
        else {
            cursor->ok = false;
            return;
        }
        ret_bytes[i / 2] = (uint8_t)(ret_bytes[i / 2] << 4 | digit);
    }
    cursor->at += 2 * count;
}

static uint32_t header_crc(struct mw_str header, struct mw_str body)
{
    MW_ASSERT(header.len > CRC_TAIL_BYTES);
    uint32_t crc = mw_crc32c(0, (struct mw_str){header.ptr, header.len - CRC_TAIL_BYTES});
    return mw_crc32c(crc, body);
}
