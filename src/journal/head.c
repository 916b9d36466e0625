/* head.c - the position sidecar. */
#include "journal/head.h"

#include "posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CRC_MEMBER ",\"crc32c\":\""

static bool parse_line(const char *line, struct mw_head *ret_head);

void mw_head_write(const struct mw_head *head, char ret_line[MW_HEAD_LINE_BYTES])
{
    char hash[2 * MW_FRAME_HASH_BYTES + 1];
    mw_hex(head->hash, sizeof head->hash, hash);
    int length = snprintf(
        ret_line, MW_HEAD_LINE_BYTES,
        "{\"head\":1,\"seq\":%" PRIu64 ",\"frame\":%" PRIu64 ",\"segment\":%" PRIu64
        ",\"bytes\":%" PRIu64 ",\"clean\":%s,\"hash\":\"%s\"",
        head->seq, head->frame, head->segment, head->bytes, head->clean ? "true" : "false", hash);
    MW_ASSERT(length > 0 && length < MW_HEAD_LINE_BYTES - 32);
    uint32_t crc = mw_crc32c(0, (struct mw_str){ret_line, (size_t)length});
    length += snprintf(ret_line + length, 32, CRC_MEMBER "%08" PRIx32 "\"}", crc);
    memset(ret_line + length, ' ', MW_HEAD_LINE_BYTES - (size_t)length);
    ret_line[MW_HEAD_LINE_BYTES - 1] = '\n';
}

enum mw_rc mw_head_read(const struct mw_journal_sys *sys, int side_fd, struct mw_head *ret_head,
                        enum mw_journal_head *ret_state, struct mw_err *err)
{
    int fd = sys->openat(side_fd, MW_HEAD_FILE, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0 && errno == ENOENT) {
        *ret_state = MW_JOURNAL_HEAD_ABSENT;
        return MW_OK;
    }
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open the journal's head");
    char lines[2 * MW_HEAD_LINE_BYTES] = {0};
    ssize_t got = sys->pread(fd, lines, sizeof lines, 0);
    int failed = got < 0 ? errno : 0;
    (void)close(fd); /* was only read */
    if (got < 0)
        return mw_fail(err, MW_E_IO, failed, "read the journal's head");
    struct mw_head found[2];
    bool valid[2];
    for (int i = 0; i < 2; i++)
        valid[i] = parse_line(lines + (size_t)i * MW_HEAD_LINE_BYTES, &found[i]);
    if (!valid[0] && !valid[1]) {
        *ret_state = got == 0 ? MW_JOURNAL_HEAD_ABSENT : MW_JOURNAL_HEAD_DAMAGED;
        return MW_OK;
    }
    /* At the same seq the clean line is the later one. */
    bool second = !valid[0] || (valid[1] && (found[1].seq > found[0].seq ||
                                             (found[1].seq == found[0].seq && found[1].clean)));
    *ret_head = found[second];
    *ret_state = MW_JOURNAL_HEAD_EQUAL;
    return MW_OK;
}

/* Reads the members, writes the line again and compares: one spelling, as with frames. */
static bool parse_line(const char *line, struct mw_head *ret_head)
{
    char text[MW_HEAD_LINE_BYTES + 1];
    memcpy(text, line, MW_HEAD_LINE_BYTES);
    text[MW_HEAD_LINE_BYTES] = '\0';
    struct mw_head head = {0};
    char clean[6], hash[2 * MW_FRAME_HASH_BYTES + 1];
    if (sscanf(text,
               "{\"head\":1,\"seq\":%18" SCNu64 ",\"frame\":%18" SCNu64 ",\"segment\":%18" SCNu64
               ",\"bytes\":%18" SCNu64 ",\"clean\":%5[a-z],\"hash\":\"%64[0-9a-f]\"",
               &head.seq, &head.frame, &head.segment, &head.bytes, clean, hash) != 6 ||
        !mw_unhex(hash, head.hash, sizeof head.hash))
        return false;
    head.clean = strcmp(clean, "true") == 0;
    char again[MW_HEAD_LINE_BYTES];
    mw_head_write(&head, again);
    if (memcmp(again, line, MW_HEAD_LINE_BYTES) != 0)
        return false;
    *ret_head = head;
    return true;
}
