/*
 * The head of a request to the development proxy: what is taken is passed on as a head that reads the same and says one framing only; how
 * the body is cut does not change where it ends.
 */
#include "cli/proxy_head.h"
#include "fuzz.h"

static uint64_t take_body(struct mw_body_meter meter, struct mw_str body, size_t step,
                          bool *ret_done, bool *ret_sound)
{
    uint64_t sum = 0;
    bool sound = true;
    for (size_t at = 0; at < body.len && sound && !meter.done; at += step) {
        size_t taken = 0;
        struct mw_str part = mw_str_sub(body, at, step);
        sound = mw_body_take(&meter, part, &taken);
        MW_ASSERT(taken <= part.len);
        MW_ASSERT(!sound || meter.done || taken == part.len);
        sum += sound ? taken : 0;
    }
    *ret_done = meter.done;
    *ret_sound = sound;
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_proxy_request request, again;
    char *memory;
    struct mw_str text = fuzz_rest(data, size, &memory);
    size_t end = 0;
    while (end + 4 <= text.len && memcmp(text.ptr + end, "\r\n\r\n", 4) != 0)
        end++;
    end = end + 4 <= text.len ? end + 4 : text.len;
    struct mw_str head = mw_str_sub(text, 0, end);
    int status = mw_proxy_head_read(head, &request);
    MW_ASSERT(status == 0 || (status >= 400 && status < 600));
    if (status == 0) {
        struct mw_buf out = mw_heap_buf();
        struct mw_str body = mw_str_sub(text, end, text.len - end);
        bool done[2], sound[2];
        mw_proxy_head_write(head, &request, request.target, &out);
        MW_ASSERT(mw_proxy_head_read(mw_buf_str(&out), &again) == 0);
        MW_ASSERT(again.body.framing == request.body.framing &&
                  again.body.left == request.body.left);
        MW_ASSERT(mw_str_eq(again.method, request.method) &&
                  mw_str_eq(again.target, request.target));
        uint64_t sum = take_body(request.body, body, body.len + 1, &done[0], &sound[0]);
        uint64_t same = take_body(request.body, body, 1 + text.len % 7, &done[1], &sound[1]);
        MW_ASSERT(done[0] == done[1] && sound[0] == sound[1]);
        MW_ASSERT(!sound[0] || sum == same);
        mw_heap_buf_free(&out);
    }
    mw_heap_free(memory);
    return 0;
}
