/*
 * A frame of the journal: there is one spelling of a header, so what is read and written again is the same bytes; a frame made of the input
 * is always read back, and with one bit changed never passes as the same.
 */
#include "fuzz.h"
#include "journal/frame.h"

static void read_anything(struct mw_str text)
{
    struct mw_frame frame, again;
    size_t header_bytes = 0;
    char memory[MW_FRAME_HEADER_MAX];
    enum mw_frame_read read = mw_frame_read(text, &frame, &header_bytes);
    (void)mw_frame_follows(text, 1);
    (void)mw_frame_lines_fault(text, 1 + text.len % 4);
    if (read != MW_FRAME_OK)
        return;
    MW_ASSERT(header_bytes > 0 && header_bytes <= text.len);
    again = frame;
    struct mw_str body =
        mw_str_sub(text, header_bytes, frame.bytes < text.len ? (size_t)frame.bytes : text.len);
    size_t len = mw_frame_write(&again, body, memory);
    MW_ASSERT(len == header_bytes);
    /* All but the sum is the header's own; the sum is, when it is right. */
    bool right =
        body.len == frame.bytes && mw_frame_check(&frame, mw_str_sub(text, 0, header_bytes), body);
    MW_ASSERT(memcmp(memory, text.ptr, right ? len : len - 12) == 0);
}

static void make_and_spoil(struct fuzz_bytes bytes)
{
    char header[MW_FRAME_HEADER_MAX], spoiled[MW_FRAME_HEADER_MAX];
    struct mw_frame frame = {.frame = UINT64_C(1) + fuzz_u32(&bytes),
                             .epoch = UINT64_C(1) + fuzz_u32(&bytes),
                             .first = UINT64_C(1) + fuzz_u32(&bytes)};
    struct mw_frame read;
    size_t header_bytes = 0;
    char *body = mw_heap_alloc(16 + bytes.size);
    for (unsigned i = 0; i < MW_FRAME_HASH_BYTES; i++)
        frame.prev[i] = fuzz_byte(&bytes);
    uint32_t bit = fuzz_u32(&bytes);
    size_t len = 0;
    for (frame.count = 1 + fuzz_byte(&bytes) % 4; frame.bytes < frame.count; frame.bytes++) {
        memcpy(body + len, "{}\n", 3);
        len += 3;
    }
    frame.bytes = len;
    struct mw_str lines = {body, len};
    size_t size = mw_frame_write(&frame, lines, header);
    MW_ASSERT(size < MW_FRAME_HEADER_MAX);
    MW_ASSERT(mw_frame_read((struct mw_str){header, size}, &read, &header_bytes) == MW_FRAME_OK);
    MW_ASSERT(header_bytes == size && mw_frame_check(&read, (struct mw_str){header, size}, lines));
    MW_ASSERT(mw_frame_lines_fault(lines, frame.count) == NULL);
    memcpy(spoiled, header, size);
    spoiled[bit / 8 % size] ^= (char)(1u << bit % 8);
    bool passes =
        mw_frame_read((struct mw_str){spoiled, size}, &read, &header_bytes) == MW_FRAME_OK &&
        mw_frame_check(&read, (struct mw_str){spoiled, header_bytes}, lines);
    MW_ASSERT(!passes);
    mw_heap_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *memory;
    if (size == 0)
        return 0;
    if (data[0] % 4 == 0) {
        make_and_spoil((struct fuzz_bytes){data + 1, size - 1});
        return 0;
    }
    read_anything(fuzz_rest(data + 1, size - 1, &memory));
    mw_heap_free(memory);
    return 0;
}
