/* A template over fixed data, with itself as a partial: it renders within its limits or is refused with its line; twice gives the same. */
#include "builtin/mustache.h"
#include "fuzz.h"

#define OUTPUT_MAX 65536
#define DOCUMENT                                                                                   \
    "{\"a\":{\"b\":{\"c\":\"<x & y>\"}},\"l\":[{\"n\":1},{\"n\":2},{\"n\":\"\"}],\"t\":true,"      \
    "\"f\":false,\"s\":\"text\",\"z\":0,\"e\":[],\"nul\":null}"

static struct mw_str template;

static enum mw_rc partial(void *self, struct mw_str name, struct mw_str *ret_text,
                          struct mw_err *err)
{
    (void)self;
    if (name.len % 2 == 0)
        return MW_FAIL(err, MW_E_MISSING, "no such partial");
    *ret_text = name.len == 1 ? template : MW_STR("{{#l}}\n{{n}}\n{{/l}}\n");
    return MW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err = {.rc = MW_OK};
    char *memory;
    if (size == 0)
        return 0;
    fuzz_arena(&arena, (size_t)8 << 20);
    MW_ASSERT(mw_json_parse(&arena, MW_STR(DOCUMENT), &tape, NULL) == MW_OK);
    template = fuzz_rest(data + 1, size - 1, &memory);
    struct mw_mustache_frame frame = {.value = {&tape, 0}};
    struct mw_mustache mustache = {
        .arena = &arena, .output_max = OUTPUT_MAX, .strict = data[0] % 2 == 1, .partial = partial};
    struct mw_buf first = mw_heap_buf(), second = mw_heap_buf();
    enum mw_rc rc = mw_mustache_render(&mustache, MW_STR("t"), template, &frame, &first, &err);
    MW_ASSERT(rc == MW_OK || rc == MW_E_CONFIG || rc == MW_E_LIMIT || rc == MW_E_MISSING);
    MW_ASSERT(rc != MW_OK || first.len <= OUTPUT_MAX);
    MW_ASSERT(rc == MW_OK || err.text[0] != '\0');
    if (rc == MW_OK && !arena.exhausted) {
        rc = mw_mustache_render(&mustache, MW_STR("t"), template, &frame, &second, &err);
        MW_ASSERT(rc == MW_E_LIMIT || mw_str_eq(mw_buf_str(&first), mw_buf_str(&second)));
    }
    mw_heap_buf_free(&first);
    mw_heap_buf_free(&second);
    mw_heap_free(memory);
    return 0;
}
