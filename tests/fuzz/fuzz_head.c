/* The journal's position sidecar: any bytes are read, or said to be damaged; what is read is one of the two lines as they are written. */
#include "fuzz.h"
#include "journal/head.h"

#include <fcntl.h>
#include <unistd.h>

static struct mw_str file;

static int open_nothing(int dir_fd, const char *path, int flags, mode_t mode)
{
    (void)dir_fd, (void)path, (void)mode;
    return open("/dev/null", flags & O_ACCMODE);
}

static ssize_t read_file(int fd, void *memory, size_t size_bytes, off_t offset)
{
    (void)fd;
    struct mw_str part = mw_str_sub(file, (size_t)offset, size_bytes);
    if (part.len > 0)
        memcpy(memory, part.ptr, part.len);
    return (ssize_t)part.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_journal_sys sys = mw_journal_sys_real;
    struct mw_head head;
    enum mw_journal_head state;
    char line[MW_HEAD_LINE_BYTES], two[2 * MW_HEAD_LINE_BYTES];
    char *memory;
    sys.openat = open_nothing;
    sys.pread = read_file;
    /* Short inputs stand for lines without their blanks, so that the fuzzer need not find 512 bytes. */
    memset(two, ' ', sizeof two);
    two[MW_HEAD_LINE_BYTES - 1] = two[2 * MW_HEAD_LINE_BYTES - 1] = '\n';
    const uint8_t *bar = size > 0 && size < sizeof two ? memchr(data, '\n', size) : NULL;
    size_t first = bar != NULL ? (size_t)(bar - data) : size;
    memory = NULL;
    if (size > 0 && data[0] == '{' && first < MW_HEAD_LINE_BYTES - 1 &&
        size - first < MW_HEAD_LINE_BYTES) {
        memcpy(two, data, first);
        if (bar != NULL)
            memcpy(two + MW_HEAD_LINE_BYTES, bar + 1, size - first - 1);
        file = (struct mw_str){two, sizeof two};
    } else {
        file = fuzz_rest(data, size, &memory);
    }
    MW_ASSERT(mw_head_read(&sys, -1, &head, &state, NULL) == MW_OK);
    MW_ASSERT(state == MW_JOURNAL_HEAD_EQUAL || state == MW_JOURNAL_HEAD_DAMAGED ||
              (state == MW_JOURNAL_HEAD_ABSENT && file.len == 0));
    if (state == MW_JOURNAL_HEAD_EQUAL) {
        mw_head_write(&head, line);
        struct mw_str written = {line, sizeof line};
        MW_ASSERT(mw_str_eq(written, mw_str_sub(file, 0, sizeof line)) ||
                  mw_str_eq(written, mw_str_sub(file, sizeof line, sizeof line)));
    }
    mw_heap_free(memory);
    return 0;
}
