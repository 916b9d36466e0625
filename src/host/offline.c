#include "host/offline.h"

#include "journal/extract.h"
#include "journal/files.h"
#include "posix/heap.h"
#include "stage/blob.h"

#include <fcntl.h>
#include <string.h>

/* Reserved, backed when touched. */
#define VIEW_ARENA_BYTES ((size_t)4 << 30)
#define RECORD_ARENA_BYTES ((size_t)256 << 20)

static enum mw_rc read_until(const char *workspace, uint64_t until_seq,
                             mw_journal_on_record on_record, void *context, struct mw_err *err);

enum mw_rc mw_offline_journal(const char *workspace, mw_journal_on_record on_record, void *context,
                              struct mw_err *err)
{
    return read_until(workspace, UINT64_MAX, on_record, context, err);
}

static enum mw_rc read_until(const char *workspace, uint64_t until_seq,
                             mw_journal_on_record on_record, void *context, struct mw_err *err)
{
    mw_autofree char *side = mw_heap_format("%s/.millwright", workspace);
    mw_autofree char *dir = mw_heap_format("%s/journal", side);
    const struct mw_journal_options options = {.side_dir = side};
    void *reader = NULL;
    uint64_t next = 1;
    uint64_t committed = mw_journal_committed(&options, until_seq);
    bool there = mw_exists(AT_FDCWD, dir);
    enum mw_rc rc = there ? mw_journal_files.reader_open(dir, NULL, 1, &reader, err) : MW_OK;
    if (rc == MW_OK && there)
        rc = mw_journal_files.reader_read(reader, until_seq, on_record, context, &next, err);
    mw_journal_files.reader_close(reader);
    /* A journal of which a part is gone is no short one. */
    return rc == MW_OK ? mw_journal_check_end(committed, next - 1, err) : rc;
}

struct offline {
    const char *workspace;
    uint64_t until_seq;
    struct mw_arena record; /* of the record that is handed over */
    enum mw_rc (*on_record)(void *context, const struct mw_event *event, struct mw_str line,
                            struct mw_err *err);
    void *context;
};

static enum mw_rc on_line(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct offline *offline = context;
    struct mw_event event;
    (void)seq; /* the record says it too */
    mw_arena_reset(&offline->record);
    enum mw_rc rc = mw_event_read(&offline->record, line, &event, err);
    return rc == MW_OK ? offline->on_record(offline->context, &event, line, err) : rc;
}

static enum mw_rc each(void *self,
                       enum mw_rc (*on_record)(void *context, const struct mw_event *event,
                                               struct mw_str line, struct mw_err *err),
                       void *context, struct mw_err *err)
{
    struct offline *offline = self;
    offline->on_record = on_record;
    offline->context = context;
    return read_until(offline->workspace, offline->until_seq, on_line, offline, err);
}

static enum mw_rc blob(void *self, struct mw_arena *arena, struct mw_str sha256,
                       struct mw_str *ret_bytes, struct mw_err *err)
{
    const struct offline *offline = self;
    mw_autofree char *folder = mw_heap_format("%s/.millwright", offline->workspace);
    mw_autofree char *inside = mw_heap_format("%s/blobs", folder);
    mw_autofree char *name = mw_heap_copy(sha256);
    struct mw_blobs blobs;
    if (!mw_sha256_is_hex(name) || !mw_exists(AT_FDCWD, inside)) /* opening would make it */
        return MW_FAIL(err, MW_E_MISSING, "no body %s", name);
    struct mw_buf bytes = mw_heap_buf();
    enum mw_rc rc = mw_blobs_open(AT_FDCWD, folder, &blobs, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_blob_get(&blobs, name, MW_BLOB_BYTES_MAX, &bytes, err);
    if (rc == MW_OK)
        *ret_bytes = mw_arena_copy(arena, mw_buf_str(&bytes));
    mw_heap_buf_free(&bytes);
    mw_blobs_close(&blobs);
    return rc;
}

enum mw_rc mw_offline_view(const char *workspace, const struct mw_view_query *query,
                           struct mw_buf *out, struct mw_err *err)
{
    return mw_offline_view_until(workspace, query, UINT64_MAX, out, err);
}

enum mw_rc mw_offline_view_until(const char *workspace, const struct mw_view_query *query,
                                 uint64_t until_seq, struct mw_buf *out, struct mw_err *err)
{
    struct offline offline = {.workspace = workspace, .until_seq = until_seq};
    struct mw_view_source source = {.self = &offline, .each = each, .blob = blob};
    struct mw_view_query placed = *query;
    struct mw_arena arena;
    /* The records say nothing of where the workspace lies now. */
    if (placed.count < MW_VIEW_ARGS_MAX) {
        placed.keys[placed.count] = MW_STR("workspace");
        placed.values[placed.count++] = mw_str_of(workspace);
    }
    mw_heap_arena(&arena, VIEW_ARENA_BYTES);
    mw_heap_arena(&offline.record, RECORD_ARENA_BYTES);
    enum mw_rc rc = mw_view_run(&arena, &placed, &source, out, err);
    mw_heap_arena_free(&offline.record);
    mw_heap_arena_free(&arena);
    return rc;
}
