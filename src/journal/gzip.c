/* gzip.c - zlib behind the two calls that archives need. */
#include "journal/gzip.h"

#include "posix/heap.h"
#include "posix/library.h"

#define ZLIB_CONST /* what is packed is not changed */
#include <zlib.h>

#define ZLIB "libz.so.1"
#define GZIP_WINDOW_BITS (15 + 16) /* the largest window; with gzip's header and trailer */
#define GZIP_MEMORY_LEVEL 8        /* zlib's own default */
#define PIECE_BYTES (256u << 10)
#define INPUT_BYTES_MAX (1u << 30) /* at once: zlib counts in unsigned int */

/* inflateInit2 and deflateInit2 are macros over these. */
#define ZLIB_FUNCTIONS(each)                                                                       \
    each(deflateInit2_) each(deflate) each(deflateEnd) each(inflateInit2_) each(inflate)           \
        each(inflateEnd)

static struct {
#define ZLIB_MEMBER(name) __typeof__(name) *name;
    ZLIB_FUNCTIONS(ZLIB_MEMBER)
#undef ZLIB_MEMBER
} lib;

struct mw_gzip {
    z_stream stream;
    bool packs;
    bool ended;
    mw_gzip_sink sink;
    void *context; /* borrowed */
    uint8_t piece[PIECE_BYTES];
};

static bool load_library(void)
{
#define ZLIB_ROW(name) {#name, &lib.name},
    static const struct mw_library_function functions[] = {ZLIB_FUNCTIONS(ZLIB_ROW)};
#undef ZLIB_ROW
    static bool loaded;
    loaded = loaded || mw_library_load(ZLIB, functions, MW_COUNT(functions));
    return loaded;
}

enum mw_rc mw_gzip_open(bool packs, mw_gzip_sink sink, void *context, struct mw_gzip **ret_gzip,
                        struct mw_err *err)
{
    if (!load_library())
        return MW_FAIL(err, MW_E_MISSING,
                       "compressed segments need " ZLIB " (Debian package zlib1g)");
    struct mw_gzip *gzip = mw_heap_alloc(sizeof *gzip);
    gzip->packs = packs;
    gzip->sink = sink;
    gzip->context = context;
    int begun = packs ? lib.deflateInit2_(&gzip->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                          GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY,
                                          ZLIB_VERSION, (int)sizeof gzip->stream)
                      : lib.inflateInit2_(&gzip->stream, GZIP_WINDOW_BITS, ZLIB_VERSION,
                                          (int)sizeof gzip->stream);
    if (begun != Z_OK) {
        mw_heap_free(gzip);
        return MW_FAIL(err, MW_E_MISSING, ZLIB " cannot be used (its answer: %d)", begun);
    }
    *ret_gzip = gzip;
    return MW_OK;
}

/* One round of zlib, and what it gave out: also what stands before a damage. */
static enum mw_rc turn(struct mw_gzip *gzip, bool ends, struct mw_err *err)
{
    gzip->stream.next_out = gzip->piece;
    gzip->stream.avail_out = sizeof gzip->piece;
    int answer = gzip->packs ? lib.deflate(&gzip->stream, ends ? Z_FINISH : Z_NO_FLUSH)
                             : lib.inflate(&gzip->stream, Z_NO_FLUSH);
    struct mw_str out = {(const char *)gzip->piece, sizeof gzip->piece - gzip->stream.avail_out};
    gzip->ended = answer == Z_STREAM_END;
    enum mw_rc rc = out.len > 0 ? gzip->sink(gzip->context, out, err) : MW_OK;
    /* Z_BUF_ERROR: nothing could be done without more input. */
    if (rc != MW_OK || answer == Z_OK || answer == Z_STREAM_END || answer == Z_BUF_ERROR)
        return rc;
    return MW_FAIL(err, MW_E_CORRUPT, "not what gzip writes (%s)",
                   gzip->stream.msg != NULL ? gzip->stream.msg : "no gzip member");
}

enum mw_rc mw_gzip_put(struct mw_gzip *gzip, struct mw_str bytes, bool ends, struct mw_err *err)
{
    enum mw_rc rc = MW_OK;
    MW_ASSERT(bytes.len <= INPUT_BYTES_MAX);
    gzip->stream.next_in = (const uint8_t *)bytes.ptr;
    gzip->stream.avail_in = (uInt)bytes.len;
    do
        rc = turn(gzip, ends, err);
    while (rc == MW_OK && !gzip->ended && gzip->stream.avail_out == 0);
    if (rc == MW_OK && !gzip->packs && gzip->ended && gzip->stream.avail_in > 0)
        rc = MW_FAIL(err, MW_E_CORRUPT, "it goes on after the end of what gzip wrote");
    MW_ASSERT(rc != MW_OK || !gzip->packs || gzip->ended == ends);
    return rc;
}

bool mw_gzip_ended(const struct mw_gzip *gzip)
{
    return gzip->ended;
}

void mw_gzip_close(struct mw_gzip *gzip)
{
    if (gzip == NULL)
        return;
    (void)(gzip->packs ? lib.deflateEnd(&gzip->stream) : lib.inflateEnd(&gzip->stream)); /* only
        memory is given back */
    mw_heap_free(gzip);
}
