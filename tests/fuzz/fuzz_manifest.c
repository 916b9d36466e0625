/* An archive's manifest: any bytes are refused with a line, or written again as they were read; its segments follow each other. */
#include "fuzz.h"
#include "journal/manifest.h"
#include "posix/file.h"

#include <stdio.h>

/* The first line with the digests that fit what follows it, so that the fuzzer need not find SHA-256 and CRC-32C. */
static void put_header(struct mw_buf *text, struct mw_str lines, size_t count)
{
    char line[256], sha256[65];
    mw_sha256_hex(lines, sha256);
    int length = snprintf(line, sizeof line,
                          "{\"archive\":1,\"journal\":\"f\",\"segments\":%zu,\"sha256\":\"%s\"",
                          count, sha256);
    uint32_t crc = mw_crc32c(0, (struct mw_str){line, (size_t)length});
    length += snprintf(line + length, sizeof line - (size_t)length, ",\"crc32c\":\"%08x\"}\n", crc);
    mw_buf_put(text, (struct mw_str){line, (size_t)length});
}

static void try(struct mw_str text)
{
    struct mw_manifest manifest;
    struct mw_err err = {0};
    enum mw_rc rc = mw_manifest_read(text, &manifest, &err);
    MW_ASSERT(rc == MW_OK || rc == MW_E_CORRUPT || rc == MW_E_CONFIG);
    if (rc != MW_OK)
        return;
    struct mw_buf again = mw_heap_buf();
    mw_manifest_write(&manifest, &again);
    MW_ASSERT(mw_str_eq(mw_buf_str(&again), text));
    for (size_t i = 0; i < manifest.count; i++) {
        const struct mw_manifest_segment *segment = &manifest.segments[i];
        MW_ASSERT(segment->first == (i > 0 ? manifest.segments[i - 1].last + 1 : 1));
        MW_ASSERT(segment->last >= segment->first && segment->bytes <= MW_SEGMENT_BYTES_MAX);
    }
    mw_heap_buf_free(&again);
    mw_manifest_free(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *memory;
    struct mw_str input = fuzz_rest(data, size, &memory);
    try(input);
    struct mw_buf text = mw_heap_buf();
    size_t count = 0;
    for (size_t i = 0; i < input.len; i++)
        count += input.ptr[i] == '\n';
    put_header(&text, input, count);
    mw_buf_put(&text, input);
    try(mw_buf_str(&text));
    mw_heap_buf_free(&text);
    mw_heap_free(memory);
    return 0;
}
