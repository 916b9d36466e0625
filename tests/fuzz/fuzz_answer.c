/*
 * What an agent wrote: however the stream is cut, the outcome is the same; a result's payload is an object to an independent reader too; and
 * nothing that the rules forbid is ever a result (P20).
 */
#include "agent/answer.h"
#include "fuzz.h"
#include "msg/msg.h"

#include <jansson.h>
#include <stdlib.h>

static void check_result(const struct mw_answer_outcome *outcome)
{
    json_t *payload =
        json_loadb(outcome->payload.ptr, outcome->payload.len, JSON_REJECT_DUPLICATES, NULL);
    json_error_t error;
    if (payload == NULL) {
        /* Numbers over a double and depth past its own are what jansson may refuse. */
        (void)json_loadb(outcome->payload.ptr, outcome->payload.len, JSON_REJECT_DUPLICATES,
                         &error);
        MW_ASSERT(json_error_code(&error) == json_error_numeric_overflow);
    } else {
        MW_ASSERT(json_is_object(payload));
    }
    json_decref(payload);
    MW_ASSERT(mw_type_is_well_formed(outcome->type) && !mw_type_is_reserved(outcome->type));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mw_exec_report reports[] = {
        {.exited = true},
        {.exited = true, .exit_code = 1},
        {.signal = 9},
        {.exited = true, .killed = MW_EXEC_DEADLINE},
        {.error = MW_EXEC_NO_REPORT, .error_text = "no report"}};
    struct mw_answer whole, pieces;
    struct mw_answer_outcome a, b;
    char *memory;
    if (size < 2)
        return 0;
    const struct mw_exec_report *report = &reports[data[0] % MW_COUNT(reports)];
    size_t step = 1 + data[1] % 32;
    struct mw_answer_rules rules = {.trace_id = MW_STR("trace-1"),
                                    .output_bytes_max = data[0] >= 128 ? 256 : 0,
                                    .is_reserved = mw_type_is_reserved,
                                    .is_well_formed = mw_type_is_well_formed};
    struct mw_str text = fuzz_rest(data + 2, size - 2, &memory);
    mw_answer_init(&whole, &rules);
    mw_answer_init(&pieces, &rules);
    (void)mw_answer_feed(&whole, text);
    for (size_t at = 0; at < text.len; at += step)
        (void)mw_answer_feed(&pieces, mw_str_sub(text, at, step));
    mw_answer_finish(&whole, report, &a);
    mw_answer_finish(&pieces, report, &b);
    MW_ASSERT(a.verdict == b.verdict && strcmp(a.evidence, b.evidence) == 0);
    MW_ASSERT(mw_str_eq(a.type, b.type) && mw_str_eq(a.payload, b.payload));
    MW_ASSERT(a.verdict == MW_ANSWER_RESULT || a.error_class == b.error_class);
    MW_ASSERT(a.verdict < MW_ANSWER_VERDICT_COUNT);
    MW_ASSERT(mw_utf8_valid(mw_str_of(a.evidence), NULL));
    if (a.verdict == MW_ANSWER_RESULT)
        check_result(&a);
    mw_answer_free(&whole);
    mw_answer_free(&pieces);
    mw_heap_free(memory);
    return 0;
}
