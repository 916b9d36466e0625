/*
 * Expressions: the first byte chooses the memory, the rest is the expression over a fixed document. Nothing crashes or runs away, eval and
 * test agree, the uses name what is there, and a value can be written as JSON that the reader takes.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DOCUMENT                                                                                   \
    "{\"a\":{\"b\":[1,2.5,\"x\",null,true],\"c\":{\"d\":-9223372036854775808}},\"s\":"             \
    "\"h\\u00e9\","                                                                                \
    "\"n\":12345678901234567890,\"l\":[[1],[2,3],{}]}"

static void check_written(struct mw_arena *arena, const struct mw_value *value)
{
    static char output[1 << 20];
    struct mw_buf buf;
    struct mw_json json;
    struct mw_tape tape;
    struct mw_err err;
    mw_buf_init(&buf, output, sizeof output);
    mw_json_init(&json, &buf);
    mw_value_write(value, &json);
    if (buf.overflowed)
        return;
    enum mw_rc rc = mw_json_parse(arena, mw_buf_str(&buf), &tape, &err);
    /* Keys that differ only in type ({1: 0, "1": 0}) become the same string; that is the one thing JSON cannot say. */
    bool same_keys = rc == MW_E_INPUT && strstr(err.text, "is there twice") != NULL;
    MW_ASSERT(rc == MW_OK || rc == MW_E_LIMIT || same_keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mw_str document = {DOCUMENT, sizeof DOCUMENT - 1};
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_value value;
    struct mw_expr_use use;
    const struct mw_expr *expr;
    if (size == 0)
        return 0;
    size_t memory_size = data[0] < 128 ? 1 << 22 : 4096 + data[0] * 64u;
    char *memory = aligned_alloc(16, memory_size);
    mw_arena_init(&arena, memory, memory_size);
    MW_ASSERT(mw_json_parse(&arena, document, &tape, NULL) == MW_OK);
    struct mw_expr_root roots[] = {{MW_STR("r"), &tape, 0}, {MW_STR(""), &tape, 0}};
    struct mw_str text = {(const char *)data + 1, size - 1};
    if (mw_expr_compile(&arena, text, &expr, NULL) == MW_OK) {
        struct mw_expr_why why;
        for (uint32_t i = 0; mw_expr_roots(expr, i, &use); i++)
            MW_ASSERT(mw_expr_uses(expr, use.root) && use.column > 0 && use.column <= text.len);
        enum mw_rc rc = mw_expr_eval(expr, roots, 2, &arena, &value, NULL);
        MW_ASSERT(rc == MW_OK || rc == MW_E_INPUT || rc == MW_E_LIMIT);
        bool exhausted = arena.exhausted;
        bool passed = mw_expr_test(expr, roots, 2, &arena, &why);
        if (!exhausted && !arena.exhausted) {
            MW_ASSERT(passed == (rc == MW_OK && value.type == MW_VALUE_BOOL && value.boolean));
            MW_ASSERT((why.cause == MW_EXPR_DECIDED) ==
                      (rc == MW_OK && value.type == MW_VALUE_BOOL));
        }
        if (rc == MW_OK && !exhausted)
            check_written(&arena, &value);
    }
    free(memory);
    return 0;
}
