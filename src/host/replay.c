/*
 * replay.c - the journal is checked and replayed in one pass: this thread checks the frames, another applies the records of those that were
 * found good and that no snapshot stands for. Nothing is believed before its frame is verified, and nothing is written before both are done.
 */
#include "host/poison.h"

#include <string.h>

#define BATCH_COUNT 4u
#define BATCH_BYTES ((size_t)256 << 10)

/* Records of verified frames, one a line, on their way from the checker to the applier. */
struct batch {
    struct mw_buf lines;
    mw_seq first;
    bool last; /* nothing comes after it */
};

struct mw_replay {
    struct mw_host *host;
    struct batch batches[BATCH_COUNT];
    uint32_t filling;
    mw_seq known;    /* a snapshot stands for the records up to here: they are only checked */
    mw_seq next_seq; /* of the record that goes into the filling one */
    uv_sem_t filled, empty; /* batches in each state */
    uv_thread_t applier;
    bool started, ended;
    int failed;    /* atomic: the applier takes no more */
    enum mw_rc rc; /* the applier's; read when it has ended */
    struct mw_err err;
};

static enum mw_rc apply(struct mw_host *host, mw_seq seq, struct mw_str line, struct mw_err *err)
{
    mw_poison_replays(host, seq);
    enum mw_rc rc = mw_core_replay(&host->core, line, err);
    mw_poison_replayed(host);
    for (uint32_t i = 0; rc == MW_OK && i < host->core.ask_change_count; i++) {
        if (host->core.ask_changes[i].opened)
            mw_host_ask_opened(host, seq, line);
        else
            mw_host_ask_closed(host, host->core.ask_changes[i].seq);
    }
    return rc;
}

static void apply_batch(struct mw_replay *replay, const struct batch *batch)
{
    struct mw_str lines = mw_buf_str(&batch->lines);
    mw_seq seq = batch->first;
    for (size_t at = 0; at < lines.len && replay->rc == MW_OK; seq++) {
        const char *newline = memchr(lines.ptr + at, '\n', lines.len - at);
        MW_ASSERT(newline != NULL); /* every line was put in with one */
        size_t end = (size_t)(newline - lines.ptr);
        replay->rc = apply(replay->host, seq, mw_str_sub(lines, at, end - at), &replay->err);
        at = end + 1;
    }
    if (lines.len > 0)
        __atomic_store_n(&replay->host->replayed, seq - 1, __ATOMIC_RELAXED);
    if (replay->rc != MW_OK)
        __atomic_store_n(&replay->failed, 1, __ATOMIC_RELEASE);
}

static enum mw_rc on_known(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    return apply(context, seq, line, err);
}

/* From the snapshot, or, when it gives another state than it says, from the records that it was to stand for. */
static void begin_state(struct mw_replay *replay)
{
    struct mw_host *host = replay->host;
    void *reader = NULL;
    uint64_t next;
    if (replay->known == 0 || mw_host_snapshot_load(host))
        return;
    mw_autofree char *folder = mw_heap_format("%s/.millwright/journal", host->workspace);
    replay->rc = host->ops->reader_open(folder, NULL, 1, &reader, &replay->err);
    if (replay->rc == MW_OK)
        replay->rc =
            host->ops->reader_read(reader, replay->known, on_known, host, &next, &replay->err);
    host->ops->reader_close(reader);
    if (replay->rc != MW_OK)
        __atomic_store_n(&replay->failed, 1, __ATOMIC_RELEASE);
}

static void applier_main(void *user)
{
    struct mw_replay *replay = user;
    begin_state(replay);
    for (uint32_t at = 0;; at = (at + 1) % BATCH_COUNT) {
        uv_sem_wait(&replay->filled);
        struct batch *batch = &replay->batches[at];
        apply_batch(replay, batch);
        bool last = batch->last;
        uv_sem_post(&replay->empty);
        if (last)
            return;
    }
}

/* A journal that fits one batch needs no second thread. */
static void start_applier(struct mw_replay *replay)
{
    if (replay->started)
        return;
    MW_ASSERT(uv_thread_create(&replay->applier, applier_main, replay) == 0);
    replay->started = true;
}

static void hand_over(struct mw_replay *replay, bool last)
{
    start_applier(replay);
    replay->batches[replay->filling].last = last;
    uv_sem_post(&replay->filled);
    if (last)
        return;
    uv_sem_wait(&replay->empty);
    replay->filling = (replay->filling + 1) % BATCH_COUNT;
    struct batch *batch = &replay->batches[replay->filling];
    mw_buf_reset(&batch->lines);
    batch->first = replay->next_seq;
}

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct mw_replay *replay = context;
    struct batch *batch = &replay->batches[replay->filling];
    if (__atomic_load_n(&replay->failed, __ATOMIC_ACQUIRE) != 0) {
        *err = replay->err; /* it is not written any more */
        return replay->err.rc;
    }
    if (seq <= replay->known)
        return MW_OK;
    if (batch->lines.len == 0)
        batch->first = seq;
    mw_buf_put(&batch->lines, line);
    mw_buf_put_c(&batch->lines, '\n');
    replay->next_seq = seq + 1;
    if (batch->lines.len >= BATCH_BYTES)
        hand_over(replay, false);
    return MW_OK;
}

static enum mw_rc end_applier(struct mw_replay *replay)
{
    if (!replay->started && !replay->ended) {
        apply_batch(replay, &replay->batches[0]);
    } else if (!replay->ended) {
        hand_over(replay, true);
        uv_thread_join(&replay->applier);
    }
    replay->ended = true;
    return replay->rc;
}

static enum mw_rc on_checked(void *context, struct mw_err *err)
{
    struct mw_replay *replay = context;
    enum mw_rc rc = end_applier(replay);
    if (rc != MW_OK)
        *err = replay->err;
    return rc;
}

struct mw_replay *mw_replay_make(struct mw_host *host, struct mw_journal_options *options)
{
    struct mw_replay *replay = mw_heap_alloc(sizeof(*replay));
    replay->host = host;
    options->check_later = true;
    options->on_record = on_record;
    options->on_checked = on_checked;
    options->context = replay;
    return replay;
}

enum mw_rc mw_replay_run(struct mw_replay *replay, struct mw_journal_opened *ret_opened,
                         struct mw_err *err)
{
    struct mw_host *host = replay->host;
    for (uint32_t i = 0; i < BATCH_COUNT; i++)
        replay->batches[i].lines = mw_heap_buf();
    MW_ASSERT(uv_sem_init(&replay->filled, 0) == 0);
    MW_ASSERT(uv_sem_init(&replay->empty, BATCH_COUNT - 1) == 0);
    replay->known = mw_host_snapshot_find(host);
    if (replay->known > 0)
        start_applier(replay); /* it loads the snapshot while the frames are checked */
    enum mw_rc rc = host->ops->check(host->journal, ret_opened, err);
    (void)end_applier(
        replay); /* when the check failed it has not heard of the end yet; the check's error counts */
    if (rc == MW_OK && host->core.world.last_seq != host->ops->last_seq(host->journal))
        rc = MW_FAIL(err, MW_E_CORRUPT, "the state is that of record %lu, the journal ends at %lu",
                     (unsigned long)host->core.world.last_seq,
                     (unsigned long)host->ops->last_seq(host->journal));
    uv_sem_destroy(&replay->filled);
    uv_sem_destroy(&replay->empty);
    for (uint32_t i = 0; i < BATCH_COUNT; i++)
        mw_heap_buf_free(&replay->batches[i].lines);
    return rc;
}
