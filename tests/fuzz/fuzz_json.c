/*
 * JSON against jansson: both accept or both refuse, and what the writer makes of a tape says the same to both.
 * They legitimately differ in numbers that jansson cannot hold (it refuses integers over 64 bits and reals over a double; here both keep
 * their text) and in depth (64 here, 2048 there); a text that either refuses for that is not compared. jansson takes a NUL byte behind a
 * value for the end of the text; here a NUL byte is refused wherever it is.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JANSSON_FLAGS (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES)

static void compare_accepted(struct mw_arena *arena, struct mw_str text, const struct mw_tape *tape,
                             const json_t *theirs)
{
    struct mw_buf buf;
    struct mw_json json;
    struct mw_tape again;
    /* An escape in the output is at most six times as long as what it says. */
    size_t cap = 6 * text.len + 16;
    char *memory = malloc(cap);
    mw_buf_init(&buf, memory, cap);
    mw_json_init(&json, &buf);
    mw_json_node(&json, tape, 0);
    MW_ASSERT(!buf.overflowed);
    json_t *rewritten = json_loadb(buf.ptr, buf.len, JANSSON_FLAGS, NULL);
    MW_ASSERT(rewritten != NULL);
    MW_ASSERT(json_equal(rewritten, theirs));
    MW_ASSERT(mw_json_parse(arena, mw_buf_str(&buf), &again, NULL) == MW_OK);
    MW_ASSERT(again.count == tape->count);
    MW_ASSERT(mw_node_equal(tape, 0, &again, 0));
    MW_ASSERT(mw_node_equal(&again, 0, tape, 0));
    json_decref(rewritten);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err;
    json_error_t error;
    /* The first byte chooses the memory: small arenas try every way of running out. */
    size_t memory_size = size > 0 && data[0] < 128 ? 1 << 20 : (size > 0 ? data[0] * 16u : 64);
    struct mw_str text = {(const char *)data + (size > 0), size - (size > 0)};
    char *memory = aligned_alloc(16, memory_size);
    mw_arena_init(&arena, memory, memory_size);
    enum mw_rc rc = mw_json_parse(&arena, text, &tape, &err);
    MW_ASSERT(arena.used_bytes <= arena.size_bytes);
    json_t *theirs = json_loadb(text.ptr, text.len, JANSSON_FLAGS, &error);
    bool overflow = theirs == NULL && json_error_code(&error) == json_error_numeric_overflow;
    bool has_nul = text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL;
    if (has_nul)
        MW_ASSERT(rc != MW_OK);
    if (rc != MW_E_LIMIT && !overflow && !has_nul) {
        MW_ASSERT((rc == MW_OK) == (theirs != NULL));
        if (rc == MW_OK && memory_size == 1 << 20)
            compare_accepted(&arena, text, &tape, theirs);
    }
    if (rc != MW_OK)
        MW_ASSERT(strncmp(err.text, "line ", 5) == 0);
    json_decref(theirs);
    free(memory);
    return 0;
}
