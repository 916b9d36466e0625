/* What a host answers to the command line: however the bytes come, status, body and verdict are the same. */
#include "cli/http.h"
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

struct heard {
    enum mw_rc rc;
    int status;
    bool done;
    size_t len;
    uint64_t hash;
};

/* The bytes are there before they are asked for, in pieces of `step`; then the connection ends. */
static struct heard hear(struct mw_str text, size_t step)
{
    static const struct mw_http_request request = {"GET", "/", "", {NULL, 0}};
    struct mw_http_stream stream;
    struct heard heard = {.rc = MW_OK};
    int ends[2];
    char asked[256];
    MW_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    heard.rc = mw_http_start(ends[0], &request, 1000, &stream, NULL);
    MW_ASSERT(heard.rc == MW_OK && read(ends[1], asked, sizeof asked) > 0);
    for (size_t at = 0; at < text.len && heard.rc == MW_OK && !stream.done; at += step) {
        struct mw_str part = mw_str_sub(text, at, step);
        MW_ASSERT(write(ends[1], part.ptr, part.len) == (ssize_t)part.len);
        heard.rc = mw_http_fill(&stream, NULL);
    }
    (void)shutdown(ends[1], SHUT_WR);
    if (heard.rc == MW_OK && !stream.done)
        heard.rc = mw_http_rest(&stream, 1000, 1 << 20, NULL);
    heard.status = stream.status;
    heard.done = stream.done;
    heard.len = stream.body.len;
    heard.hash = mw_str_hash(mw_buf_str(&stream.body));
    mw_http_close(&stream);
    (void)close(ends[1]);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *memory;
    if (size == 0 || size > 16384)
        return 0;
    struct mw_str text = fuzz_rest(data + 1, size - 1, &memory);
    struct heard whole = hear(text, text.len + 1);
    struct heard pieces = hear(text, 1 + data[0] % 64);
    MW_ASSERT(whole.rc == pieces.rc);
    if (whole.rc == MW_OK)
        MW_ASSERT(whole.done && pieces.done && whole.status == pieces.status &&
                  whole.len == pieces.len && whole.hash == pieces.hash);
    mw_heap_free(memory);
    return 0;
}
