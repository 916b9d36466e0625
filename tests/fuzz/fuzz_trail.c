/* Records as the command line follows them: any JSON lines fold into a trail whose sums can be written. */
#include "cli/trail.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    struct mw_trail trail;
    const struct mw_trail_task *task = NULL;
    char *memory;
    fuzz_arena(&arena, (size_t)32 << 20);
    mw_trail_init(&trail, &arena);
    struct mw_str text = fuzz_rest(data, size, &memory);
    while (text.len > 0) {
        size_t end = mw_str_find(text, '\n', 0);
        struct mw_tape tape;
        struct mw_str line = mw_str_sub(text, 0, end == SIZE_MAX ? text.len : end);
        if (mw_json_parse(&arena, line, &tape, NULL) == MW_OK)
            mw_trail_take(&trail, &tape);
        text = mw_str_sub(text, line.len + 1, text.len);
    }
    struct mw_buf out = mw_heap_buf();
    struct mw_json json;
    mw_trail_sum(&trail, &out);
    out.len = 0;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_trail_usage(&trail, &json);
    mw_json_object_end(&json);
    struct mw_tape tape;
    enum mw_rc rc = mw_json_parse(&arena, mw_buf_str(&out), &tape, NULL);
    MW_ASSERT(rc == MW_OK || arena.exhausted);
    if (mw_trail_waits(&trail, &task))
        MW_ASSERT(task != NULL);
    mw_heap_buf_free(&out);
    mw_heap_free(memory);
    return 0;
}
