#include "core/core.h"
#include "host/internal.h"
#include "host/offline.h"

#include <sys/mman.h>

/* JR-18: the journal alone gives the state again: no definitions, no documents, nobody who could be asked. */

static const struct mw_catalogue *no_catalogue(void *self, struct mw_str sha256)
{
    (void)self;
    (void)sha256; /* replay applies, and decides nothing */
    return NULL;
}

static const struct mw_tape *no_document(void *self, struct mw_str sha256)
{
    (void)self;
    (void)sha256; /* as above */
    return NULL;
}

static enum mw_rc on_line(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq; /* the record says it too */
    return mw_core_replay(context, line, err);
}

static void *reserve(size_t size_bytes)
{
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MW_ASSERT(memory != MAP_FAILED);
    return memory;
}

void mw_core_digest(const struct mw_core *core, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_buf text = mw_heap_buf();
    mw_core_dump(core, &text);
    mw_sha256_hex(mw_buf_str(&text), ret_sha256);
    mw_heap_buf_free(&text);
}

enum mw_rc mw_offline_state(const char *workspace, char ret_sha256[65], uint64_t *ret_seq,
                            struct mw_err *err)
{
    struct mw_core core;
    struct mw_core_config config = {.region = reserve(MW_REGION_BYTES),
                                    .region_bytes = MW_REGION_BYTES,
                                    .arena = reserve(MW_STEP_ARENA_BYTES),
                                    .arena_bytes = MW_STEP_ARENA_BYTES,
                                    .catalogue = no_catalogue,
                                    .document = no_document};
    mw_core_init(&core, &config);
    enum mw_rc rc = mw_offline_journal(workspace, on_line, &core, err);
    if (rc == MW_OK) {
        mw_core_digest(&core, ret_sha256);
        *ret_seq = core.world.last_seq;
    }
    (void)munmap(config.region, config.region_bytes);
    (void)munmap(config.arena, config.arena_bytes);
    return rc;
}
