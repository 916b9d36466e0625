/* A journal record: what is read can be written, and what was written reads back as the same bytes, however often. */
#include "fuzz.h"
#include "msg/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    static char *outputs[2];
    struct mw_event event;
    struct mw_err err = {.rc = MW_OK};
    char *memory;
    if (outputs[0] == NULL)
        for (unsigned i = 0; i < 2; i++)
            outputs[i] = mw_heap_alloc(1 << 20);
    fuzz_arena(&arena, (size_t)16 << 20);
    struct mw_str line = fuzz_rest(data, size, &memory);
    enum mw_rc rc = mw_event_read(&arena, line, &event, &err);
    if (rc == MW_OK) {
        struct mw_buf first, second;
        mw_buf_init(&first, outputs[0], 1 << 20);
        mw_buf_init(&second, outputs[1], 1 << 20);
        mw_event_write(&event, &first);
        if (!first.overflowed) {
            struct mw_str text = mw_buf_str(&first);
            MW_ASSERT(text.len > 0 && text.ptr[text.len - 1] == '\n');
            rc = mw_event_read(&arena, text, &event, &err);
            MW_ASSERT(rc == MW_OK || arena.exhausted);
            if (rc == MW_OK) {
                mw_event_write(&event, &second);
                MW_ASSERT(mw_str_eq(text, mw_buf_str(&second)));
            }
        }
    } else {
        MW_ASSERT(err.text[0] != '\0');
    }
    mw_heap_free(memory);
    return 0;
}
