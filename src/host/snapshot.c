#include "host/snapshot.h"

#include "host/host.h"
#include "host/internal.h"
#include "journal/extract.h"
#include "journal/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define CACHE "cache"

/* ---- a core that only replays ---- */

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

void mw_offline_core_open(struct mw_core *core)
{
    struct mw_core_config config = {.region = mw_heap_reserve(MW_REGION_BYTES),
                                    .region_bytes = MW_REGION_BYTES,
                                    .region_zeroed = true,
                                    .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                    .arena_bytes = MW_STEP_ARENA_BYTES,
                                    .catalogue = no_catalogue,
                                    .document = no_document};
    mw_core_init(core, &config);
}

void mw_offline_core_close(struct mw_core *core)
{
    (void)munmap(core->world.mem.region, core->world.mem.size_bytes);
    (void)munmap(core->arena.memory, core->arena.size_bytes);
    *core = (struct mw_core){0};
}

void mw_core_digest(const struct mw_core *core, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_buf text = mw_heap_buf();
    mw_core_dump(core, &text);
    mw_sha256_hex(mw_buf_str(&text), ret_sha256);
    mw_heap_buf_free(&text);
}

void mw_core_left_digest(const struct mw_core *core, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_buf text = mw_heap_buf();
    mw_core_dump_left(core, &text);
    mw_sha256_hex(mw_buf_str(&text), ret_sha256);
    mw_heap_buf_free(&text);
}

/* ---- finding and loading ---- */

static int open_cache(const char *workspace, struct mw_err *err)
{
    mw_autofree char *path = mw_heap_format("%s/.millwright/" CACHE, workspace);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        (void)MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : MW_E_IO, "open '%s'", path);
    return fd;
}

enum mw_rc mw_snapshot_find(const char *workspace, struct mw_snapshot *ret_snapshot,
                            struct mw_buf *file, struct mw_err *err)
{
    char name[MW_SNAPSHOT_NAME_BYTES];
    mw_autofree char *journal = mw_heap_format("%s/.millwright/journal", workspace);
    mw_autofree char *side = mw_heap_format("%s/.millwright", workspace);
    const struct mw_journal_options options = {.side_dir = side};
    mw_autoclose int cache_fd = open_cache(workspace, err);
    if (cache_fd < 0)
        return err->rc;
    enum mw_rc rc = mw_snapshot_newest(cache_fd, name, err);
    if (rc == MW_OK)
        rc = mw_snapshot_read(cache_fd, name, ret_snapshot, file, err);
    if (rc == MW_OK && strcmp(ret_snapshot->made_by, mw_build_id()) != 0)
        rc = MW_FAIL(err, MW_E_CONFIG, "%s: made by another build (%s)", name,
                     ret_snapshot->made_by);
    return rc == MW_OK ? mw_snapshot_belongs(journal, &options, ret_snapshot, err) : rc;
}

static enum mw_rc load_line(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    return mw_core_replay_kept(context, line, left ? MW_KEPT_LEFT : MW_KEPT_WHOLE, err);
}

enum mw_rc mw_snapshot_load(struct mw_core *core, const struct mw_snapshot *snapshot,
                            struct mw_str file, struct mw_err *err)
{
    char state[MW_SHA256_HEX], left[MW_SHA256_HEX];
    enum mw_rc rc = mw_snapshot_each(file, load_line, core, err);
    if (rc == MW_OK && core->world.last_seq > snapshot->at.seq)
        rc = MW_FAIL(err, MW_E_CORRUPT, "the snapshot has record %lu and says it ends at %lu",
                     (unsigned long)core->world.last_seq, (unsigned long)snapshot->at.seq);
    if (rc != MW_OK)
        return rc;
    mw_core_replay_skip(core, snapshot->at.seq);
    mw_core_digest(core, state);
    mw_core_left_digest(core, left);
    if (strcmp(state, snapshot->state) != 0 || strcmp(left, snapshot->left) != 0)
        return MW_FAIL(err, MW_E_CORRUPT,
                       "the snapshot does not give the state that it names: %s and %s, not %s and "
                       "%s",
                       state, left, snapshot->state, snapshot->left);
    return MW_OK;
}

/* ---- making ---- */

/* What a shortened journal is made from: the snapshot before, when there is one, and the records since. */
struct source {
    const char *journal;
    const struct mw_journal_options *options;
    struct mw_str before; /* empty: from the first record on */
    uint64_t before_seq;
    uint64_t until_seq;
    mw_snapshot_on_line on_line;
    void *context;
};

static enum mw_rc on_journal_line(void *context, uint64_t seq, struct mw_str line,
                                  struct mw_err *err)
{
    const struct source *source = context;
    (void)seq; /* the record says it too */
    return source->on_line(source->context, line, false, err);
}

static enum mw_rc read_source(struct source *source, mw_snapshot_on_line on_line, void *context,
                              struct mw_err *err)
{
    void *reader = NULL;
    uint64_t next;
    source->on_line = on_line;
    source->context = context;
    enum mw_rc rc =
        source->before.len > 0 ? mw_snapshot_each(source->before, on_line, context, err) : MW_OK;
    if (rc == MW_OK)
        rc = mw_journal_files.reader_open(source->journal, source->options, source->before_seq + 1,
                                          &reader, err);
    if (rc == MW_OK)
        rc = mw_journal_files.reader_read(reader, source->until_seq, on_journal_line, source, &next,
                                          err);
    mw_journal_files.reader_close(reader);
    return rc;
}

struct keeping {
    struct mw_core *core;
    struct mw_arena *record; /* one record's */
    uint8_t *queue_seen;
    struct mw_snapshot_writer *writer;
};

static enum mw_rc keep_line(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    struct keeping *keeping = context;
    struct mw_event event;
    mw_arena_reset(keeping->record);
    enum mw_rc rc = mw_event_read(keeping->record, line, &event, err);
    if (rc != MW_OK)
        return rc;
    enum mw_kept kept = mw_core_keeps(keeping->core, &event, keeping->queue_seen);
    MW_ASSERT(!left || kept != MW_KEPT_WHOLE); /* what is over does not begin again */
    return kept == MW_KEPT_NOT ? MW_OK
                               : mw_snapshot_add(keeping->writer, line, kept == MW_KEPT_LEFT, err);
}

/* The records are chosen by the state that all of them give, and written; nothing is in its place yet. */
static enum mw_rc write_kept(struct source *source, struct mw_snapshot_writer *writer,
                             struct mw_snapshot *snapshot, struct mw_err *err)
{
    struct mw_core core;
    struct mw_arena record;
    mw_autofree uint8_t *queue_seen = mw_heap_alloc(MW_KEEP_QUEUES_MAX);
    mw_offline_core_open(&core);
    mw_heap_arena(&record, MW_STEP_ARENA_BYTES);
    struct keeping keeping = {&core, &record, queue_seen, writer};
    /* The snapshot's gap before the journal's next record is no gap in the state. */
    enum mw_rc rc = read_source(source, load_line, &core, err);
    if (rc == MW_OK && core.world.last_seq > source->until_seq)
        rc = MW_FAIL(err, MW_E_CORRUPT, "more records than the journal was to hold");
    if (rc == MW_OK) {
        mw_core_replay_skip(&core, source->until_seq);
        mw_core_digest(&core, snapshot->state);
        mw_core_left_digest(&core, snapshot->left);
        (void)snprintf(snapshot->journal, sizeof snapshot->journal, "%.*s",
                       MW_STR_ARG(core.world.journal_id));
        rc = read_source(source, keep_line, &keeping, err);
    }
    mw_heap_arena_free(&record);
    mw_offline_core_close(&core);
    return rc == MW_OK ? mw_snapshot_seal(writer, snapshot, err) : rc;
}

/* Read back from the disk and replayed: what the next start will do. */
static enum mw_rc prove(int cache_fd, const struct mw_snapshot *snapshot, struct mw_err *err)
{
    struct mw_core core;
    struct mw_snapshot read;
    struct mw_buf file = mw_heap_buf();
    enum mw_rc rc = mw_snapshot_read(cache_fd, MW_SNAPSHOT_UNFINISHED, &read, &file, err);
    if (rc == MW_OK) {
        mw_offline_core_open(&core);
        rc = mw_snapshot_load(&core, snapshot, mw_buf_str(&file), err);
        mw_offline_core_close(&core);
    }
    mw_heap_buf_free(&file);
    return rc;
}

static enum mw_rc make_from(struct source *source, int cache_fd, struct mw_snapshot *snapshot,
                            struct mw_err *err)
{
    struct mw_snapshot_writer writer;
    enum mw_rc rc = mw_snapshot_begin(&writer, source->options->sys, cache_fd, err);
    if (rc != MW_OK)
        return rc;
    rc = write_kept(source, &writer, snapshot, err);
    if (rc == MW_OK)
        rc = prove(cache_fd, snapshot, err);
    if (rc == MW_OK)
        return mw_snapshot_commit(&writer, snapshot, err);
    mw_snapshot_abandon(&writer);
    return rc;
}

enum mw_rc mw_snapshot_make(const char *workspace, uint64_t until_seq,
                            struct mw_snapshot *ret_snapshot, bool *ret_made, struct mw_err *err)
{
    mw_autofree char *journal = mw_heap_format("%s/.millwright/journal", workspace);
    mw_autofree char *side = mw_heap_format("%s/.millwright", workspace);
    const struct mw_journal_options options = {.side_dir = side};
    struct mw_snapshot before, snapshot = {0};
    struct mw_buf file = mw_heap_buf();
    struct mw_err unusable;
    /* Beside a host: what is not committed yet may still be taken back. */
    uint64_t settled = mw_journal_settled(journal, &options);
    enum mw_rc rc = mw_journal_position(
        journal, &options, settled < until_seq ? settled : until_seq, &snapshot.at, err);
    if (rc != MW_OK)
        return rc;
    struct source source = {.journal = journal, .options = &options, .until_seq = snapshot.at.seq};
    if (mw_snapshot_find(workspace, &before, &file, &unusable) == MW_OK &&
        before.at.seq <= snapshot.at.seq) {
        source.before = mw_buf_str(&file);
        source.before_seq = before.at.seq;
    }
    *ret_made = source.before_seq != snapshot.at.seq;
    if (*ret_made) {
        mw_autofree char *cache = mw_heap_format("%s/.millwright/" CACHE, workspace);
        rc = mw_mkdirs(AT_FDCWD, cache, 0700, err);
        mw_autoclose int cache_fd = rc == MW_OK ? open_cache(workspace, err) : -1;
        (void)snprintf(snapshot.made_by, sizeof snapshot.made_by, "%s", mw_build_id());
        if (rc == MW_OK && snapshot.made_by[0] == '\0')
            rc = MW_FAIL(err, MW_E_IO, "this program's own file cannot be looked at");
        if (rc == MW_OK)
            rc = cache_fd >= 0 ? make_from(&source, cache_fd, &snapshot, err) : err->rc;
    } else {
        snapshot = before;
    }
    mw_heap_buf_free(&file);
    if (rc == MW_OK)
        *ret_snapshot = snapshot;
    return rc;
}

int mw_snapshot_main(int argc, char **argv)
{
    struct mw_snapshot snapshot;
    struct mw_err err = {0};
    uint64_t until_seq;
    bool made;
    const struct sched_param lowest = {0};
    if (argc < 4 || !mw_str_to_u64(mw_str_of(argv[3]), &until_seq)) {
        fprintf(stderr, "usage: millwright __snapshot WORKSPACE SEQ\n");
        return 2;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for it then */
    (void)setpriority(PRIO_PROCESS, 0, 19);
    (void)sched_setscheduler(0, SCHED_IDLE, &lowest); /* a wish */
    enum mw_rc rc = mw_snapshot_make(argv[2], until_seq, &snapshot, &made, &err);
    if (rc != MW_OK)
        fprintf(stderr, "millwright: %s\n", err.text);
    return mw_rc_exit_code(rc);
}
