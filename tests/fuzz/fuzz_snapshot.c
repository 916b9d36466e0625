/* A snapshot's file: any bytes are refused, or read as they were written; its lines are handed over whole, in order, each as it stands. */
#include "fuzz.h"
#include "journal/snapshot.h"
#include "posix/heap.h"

struct lines {
    struct mw_buf again;
    uint64_t count;
};

static enum mw_rc on_line(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    struct lines *lines = context;
    (void)err;
    if (left)
        mw_buf_put(&lines->again, MW_STR("{\"left\":"));
    mw_buf_put(&lines->again, line);
    mw_buf_put(&lines->again, left ? MW_STR("}\n") : MW_STR("\n"));
    lines->count++;
    return MW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char header[MW_SNAPSHOT_HEADER_BYTES];
    struct mw_snapshot snapshot = {.records = 0};
    struct mw_err err = {0};
    struct mw_buf file = mw_heap_buf();
    /* A short first line stands for one with its blanks, so that the fuzzer need not find 1,024 bytes. */
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t first = newline != NULL ? (size_t)(newline - data) : size;
    first = first < sizeof header - 1 ? first : sizeof header - 1;
    memset(header, ' ', sizeof header);
    if (first > 0)
        memcpy(header, data, first);
    header[sizeof header - 1] = '\n';
    mw_buf_put(&file, (struct mw_str){header, sizeof header});
    if (newline != NULL)
        mw_buf_put(&file,
                   (struct mw_str){(const char *)newline + 1, size - (size_t)(newline - data) - 1});
    enum mw_rc rc = mw_snapshot_check(mw_buf_str(&file), "input", &snapshot, &err);
    MW_ASSERT(rc == MW_OK || rc == MW_E_CORRUPT);
    MW_ASSERT(rc != MW_OK || snapshot.bytes == file.len - sizeof header);
    /* Whatever the digests say of them: only whole lines are promised. */
    if (file.ptr[file.len - 1] == '\n') {
        struct lines lines = {.again = mw_heap_buf()};
        MW_ASSERT(mw_snapshot_each(mw_buf_str(&file), on_line, &lines, &err) == MW_OK);
        MW_ASSERT(mw_str_eq(mw_buf_str(&lines.again),
                            mw_str_sub(mw_buf_str(&file), sizeof header, SIZE_MAX)));
        mw_heap_buf_free(&lines.again);
    }
    mw_heap_buf_free(&file);
    return 0;
}
