#include "host/poison.h"
#include "host/workers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * Requests are decided on the loop's thread into the frame that is filling; the writer thread makes the other one durable. Whatever became
 * ready during the last sync is the next frame: no timer.
 */

static void hand_over(struct mw_host *host);
static void writer_main(void *user);
static void on_written(uv_async_t *async);
static void decide(struct mw_host *host, struct mw_post *post);

void mw_host_arena_take(struct mw_host *host, size_t size_bytes, struct mw_arena *ret_arena)
{
    if (size_bytes <= MW_SPARE_ARENA_BYTES && host->spare_count > 0)
        *ret_arena = host->spare_arenas[--host->spare_count];
    else
        mw_heap_arena(ret_arena,
                      size_bytes > MW_SPARE_ARENA_BYTES ? size_bytes : MW_SPARE_ARENA_BYTES);
}

void mw_host_arena_give(struct mw_host *host, struct mw_arena *arena)
{
    mw_arena_reset(arena);
    if (arena->size_bytes == MW_SPARE_ARENA_BYTES && host->spare_count < MW_SPARE_ARENAS)
        host->spare_arenas[host->spare_count++] = *arena;
    else
        mw_heap_arena_free(arena);
    *arena = (struct mw_arena){0};
}

void mw_post_discard(struct mw_host *host, struct mw_post *post)
{
    if (post->arena.memory != NULL)
        mw_host_arena_give(host, &post->arena);
    free(post);
}

static void frame_reset(struct mw_frame *frame)
{
    mw_buf_reset(&frame->lines);
    frame->first = 0;
    frame->count = 0;
    frame->posts = NULL;
    frame->posts_end = &frame->posts;
    frame->change_count = 0;
}

void mw_host_commit_start(struct mw_host *host)
{
    for (int i = 0; i < 2; i++) {
        host->frames[i].lines = mw_heap_buf();
        frame_reset(&host->frames[i]);
    }
    host->filling = &host->frames[0];
    host->pending_end = &host->pending;
    MW_ASSERT(uv_sem_init(&host->writer_wake, 0) == 0);
    MW_ASSERT(uv_async_init(&host->loop, &host->writer_done, on_written) == 0);
    host->writer_done.data = host;
    MW_ASSERT(uv_thread_create(&host->writer, writer_main, host) == 0);
    host->writer_started = true;
}

void mw_host_commit_stop(struct mw_host *host)
{
    if (!host->writer_started)
        return;
    __atomic_store_n(&host->writer_stop, true, __ATOMIC_RELEASE);
    uv_sem_post(&host->writer_wake);
    uv_thread_join(&host->writer);
    host->writer_started = false;
}

/* Answers to asks are known by the ask; everything else is known again by what it said. */
static bool is_known_by_fence(enum mw_request_kind kind)
{
    return kind == MW_REQ_RECORD_RESULT || kind == MW_REQ_RECORD_FAILURE ||
           kind == MW_REQ_NOTE_INTERRUPTED || kind == MW_REQ_RING_TIMER || kind == MW_REQ_CONTINUE;
}

static void hash_body(struct mw_post *post, enum mw_request_kind kind, struct mw_str text)
{
    struct mw_sha256 sha;
    uint8_t digest[32];
    mw_sha256_hex(text, post->body_sha256);
    mw_sha256_begin(&sha);
    mw_sha256_add(&sha, mw_str_of(mw_request_info(kind)->name));
    mw_sha256_add(&sha, text);
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof(digest), post->body_hash);
}

/* Without a secret in it, whoever says it. */
static struct mw_post *make_of_text(struct mw_host *host, enum mw_request_kind kind,
                                    struct mw_str text, struct mw_str message_id,
                                    struct mw_str actor, struct mw_err *err)
{
    struct mw_post *post = mw_heap_alloc(sizeof(*post));
    mw_host_arena_take(host, text.len * 40 + 65536, &post->arena);
    struct mw_str copy = mw_arena_copy(&post->arena, text);
    if (mw_json_parse(&post->arena, copy, &post->tape, err) != MW_OK ||
        mw_node_type(&post->tape, 0) != MW_NODE_OBJECT) {
        if (err != NULL && err->rc == MW_OK)
            (void)MW_FAIL(err, MW_E_INPUT, "a request's body is one JSON object");
        mw_post_discard(host, post);
        return NULL;
    }
    if (!is_known_by_fence(kind))
        hash_body(post, kind, copy);
    post->request = (struct mw_request){.kind = kind,
                                        .message_id = mw_arena_copy(&post->arena, message_id),
                                        .actor = mw_arena_copy(&post->arena, actor),
                                        .body = &post->tape,
                                        .body_node = 0,
                                        .body_sha256 = mw_str_of(post->body_sha256),
                                        .body_hash = mw_str_of(post->body_hash)};
    return post;
}

struct mw_post *mw_post_make(struct mw_host *host, enum mw_request_kind kind,
                             struct mw_str body_text, struct mw_str message_id, struct mw_str actor,
                             struct mw_err *err)
{
    struct mw_buf masked = mw_heap_buf();
    (void)mw_mask_text(host->mask, body_text.len > 0 ? body_text : MW_STR("{}"), &masked);
    struct mw_post *post = make_of_text(host, kind, mw_buf_str(&masked), message_id, actor, err);
    mw_heap_buf_free(&masked);
    return post;
}

bool mw_host_tell(struct mw_host *host, enum mw_request_kind kind, mw_seq item, mw_seq fence,
                  struct mw_str body_text)
{
    struct mw_err err = {0};
    struct mw_post *post = mw_post_make(host, kind, body_text, MW_STR_NONE, MW_STR("host"), &err);
    if (post == NULL && (kind == MW_REQ_RECORD_RESULT || kind == MW_REQ_RECORD_FAILURE)) {
        /* An agent's words are no JSON any more when a secret in them is a number, or begins within an escape; nor are ours, when one is a
         * piece of JSON. */
        kind = MW_REQ_RECORD_FAILURE;
        post = make_of_text(host, kind,
                            MW_STR("{\"class\":\"invalid_answer\",\"retryable\":true,\"message\":"
                                   "\"what it said cannot be recorded without the secret in it\"}"),
                            MW_STR_NONE, MW_STR("host"), &err);
    }
    /* Ours alone: what is a piece of their JSON is none of the secret's words in them. */
    if (post == NULL)
        post = make_of_text(host, kind, body_text, MW_STR_NONE, MW_STR("host"), &err);
    MW_ASSERT(post != NULL);
    post->request.item = item;
    post->request.fence = fence;
    bool taken = !mw_poison_is_quarantined(host, post);
    mw_host_post(host, post, NULL, NULL);
    return taken;
}

static void answer_now(struct mw_host *host, struct mw_post *post, enum mw_rc rc, const char *text)
{
    post->answer.rc = rc;
    size_t len = strnlen(text, sizeof(post->answer.text) - 1);
    memcpy(post->answer.text, text, len);
    post->answer.text[len] = '\0';
    if (post->answered != NULL)
        post->answered(post->user, &post->answer);
    mw_post_discard(host, post);
}

void mw_host_hold(struct mw_host *host)
{
    host->holds++;
}

void mw_host_release(struct mw_host *host)
{
    MW_ASSERT(host->holds > 0);
    if (--host->holds == 0 && host->filling != NULL) /* NULL: the journal is still being read */
        hand_over(host);
}

/* What is said in the place of an answer of the world's that is in quarantine; nothing when it is no such answer. */
static void put_failure(struct mw_buf *out, enum mw_request_kind kind, struct mw_str target)
{
    static const char words[] = "the answer ended the host twice while it was recorded";
    struct mw_json json;
    if (kind != MW_REQ_RECORD_RESULT && kind != MW_REQ_RECORD_STAGE &&
        kind != MW_REQ_RECORD_PROMOTION)
        return;
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_kstr(&json, "class", MW_STR("poison"));
    mw_json_kbool(&json, "retryable", false);
    mw_json_kstr(&json, kind == MW_REQ_RECORD_RESULT ? "message" : "error", MW_STR(words));
    if (target.len > 0)
        mw_json_kstr(&json, "target", target);
    mw_json_object_end(&json);
}

/* A request that ended the host twice is not decided a third time (P08). The world's answer to a task, or about a bundle, becomes a failure,
 * so that the work goes on; what it was is in the record and in the log. */
static void put_in_quarantine(struct mw_host *host, struct mw_post *post)
{
    static const char words[] = "this request ended the host twice while it was decided: it is in "
                                "quarantine, and nothing was done";
    enum mw_request_kind kind = post->request.kind;
    mw_seq item = post->request.item, fence = post->request.fence;
    struct mw_buf told = mw_heap_buf(), failure = mw_heap_buf();
    struct mw_json json;
    put_failure(&failure, kind, mw_node_get_text(&post->tape, 0, "target"));
    hash_body(post, kind, post->tape.nodes[0].text);
    mw_json_init(&json, &told);
    mw_json_object(&json);
    mw_json_kstr(&json, "request", mw_str_of(mw_request_info(kind)->name));
    mw_json_kstr(&json, "sha256", mw_str_of(post->body_sha256));
    mw_json_kstr(&json, "messageId", post->request.message_id);
    mw_json_object_end(&json);
    mw_host_log(host, "error", "request.refused", "%s: %s", mw_request_info(kind)->name, words);
    answer_now(host, post, MW_E_DENIED, words);
    mw_host_tell(host, MW_REQ_NOTE_QUARANTINE, 0, 0, mw_buf_str(&told));
    if (failure.len > 0)
        mw_host_tell(host, kind == MW_REQ_RECORD_RESULT ? MW_REQ_RECORD_FAILURE : kind, item, fence,
                     mw_buf_str(&failure));
    mw_heap_buf_free(&told);
    mw_heap_buf_free(&failure);
}

/* When nothing is being written, only asking shows whether there is room again: no frame will say so while all new work is refused. */
static bool is_still_full(struct mw_host *host)
{
    struct mw_err err;
    if (host->full && host->writing == NULL)
        host->full = host->ops->reserve_restore(host->journal, &err) != MW_OK;
    return host->full;
}

enum mw_rc mw_host_admits(struct mw_host *host, enum mw_request_kind kind, bool said_before,
                          struct mw_err *err)
{
    if (mw_request_info(kind)->from != MW_FROM_CALLER)
        return MW_OK;
    if (host->pending_count >= MW_PENDING_MAX)
        return MW_FAIL(err, MW_E_LIMIT,
                       "too many requests wait: nothing was done, ask again later");
    if (!mw_request_begins(kind) || said_before) /* its answer is there already (P05) */
        return MW_OK;
    if (is_still_full(host))
        return MW_FAIL(err, MW_E_FULL,
                       "the disk is full: nothing was done; make room and ask again");
    if (mw_mem_room(&host->core.world.mem) < MW_STEP_MEMORY_BYTES)
        return MW_FAIL(err, MW_E_LIMIT,
                       "what is on its way fills the memory that MILLWRIGHT_MEMORY_MB allows: "
                       "nothing was done, ask again later");
    return MW_OK;
}

void mw_host_post(struct mw_host *host, struct mw_post *post, mw_host_answered *answered,
                  void *user)
{
    post->answered = answered;
    post->user = user;
    if (mw_poison_is_quarantined(host, post)) {
        put_in_quarantine(host, post);
        return;
    }
    struct mw_err err = {0};
    bool said_before = mw_core_knows(&host->core, post->request.message_id);
    if (mw_host_admits(host, post->request.kind, said_before, &err) != MW_OK) {
        answer_now(host, post, err.rc, err.text);
        return;
    }
    if (host->pending != NULL || host->filling->lines.len > MW_FRAME_SOFT_MAX) {
        *host->pending_end = post;
        host->pending_end = &post->next;
        host->pending_count++;
        return;
    }
    mw_pins_trim(host);
    decide(host, post);
    if (host->holds == 0)
        hand_over(host);
}

static void note_changes(struct mw_host *host, struct mw_frame *frame)
{
    const struct mw_core *core = &host->core;
    if (frame->change_count + core->ask_change_count > frame->change_cap) {
        frame->change_cap = (frame->change_count + core->ask_change_count) * 2;
        frame->changes = realloc(frame->changes, frame->change_cap * sizeof(*frame->changes));
        MW_ASSERT(frame->changes != NULL);
    }
    if (core->ask_change_count == 0)
        return;
    memcpy(frame->changes + frame->change_count, core->ask_changes,
           core->ask_change_count * sizeof(*frame->changes));
    frame->change_count += core->ask_change_count;
}

/* The lines of a step, by number: the asking records are kept while the ask is open. */
static void keep_asking_lines(struct mw_host *host, struct mw_str lines, mw_seq first)
{
    mw_seq seq = first;
    uint32_t i = 0; /* asks are opened in the order of their records */
    for (size_t at = 0; at < lines.len; seq++) {
        size_t end = mw_str_find(lines, '\n', at);
        while (i < host->core.ask_change_count &&
               (!host->core.ask_changes[i].opened || host->core.ask_changes[i].seq < seq))
            i++;
        if (i < host->core.ask_change_count && host->core.ask_changes[i].seq == seq)
            mw_host_ask_opened(host, seq, mw_str_sub(lines, at, end - at));
        at = end + 1;
    }
}

static void copy_text(char *to, size_t cap, struct mw_str from)
{
    size_t len = from.len < cap - 1 ? from.len : cap - 1;
    if (len > 0)
        memcpy(to, from.ptr, len);
    to[len] = '\0';
}

static uint64_t draw_entropy(struct mw_host *host)
{
    uint64_t drawn;
    if (host->entropy_left < sizeof(drawn)) {
        if (getrandom(host->entropy, sizeof(host->entropy), 0) != (ssize_t)sizeof(host->entropy))
            return (uint64_t)mw_now_monotonic_ns();
        host->entropy_left = sizeof(host->entropy);
    }
    host->entropy_left -= (uint32_t)sizeof(drawn);
    memcpy(&drawn, host->entropy + host->entropy_left, sizeof(drawn));
    return drawn;
}

static void decide(struct mw_host *host, struct mw_post *post)
{
    struct mw_frame *frame = host->filling;
    struct mw_step_result result;
    size_t start = frame->lines.len;
    post->request.now_us = mw_now_unix_us();
    post->request.entropy = draw_entropy(host);
    mw_poison_decides(host, post);
    mw_core_step(&host->core, &post->request, &frame->lines, &result);
    mw_poison_decided(host);
    post->answer.rc = result.rc;
    /* Whoever joins what is on its way already has to look at it from its beginning. */
    post->answer.duplicate = result.duplicate || result.noted;
    post->answer.first = result.first;
    post->answer.last = result.last;
    copy_text(post->answer.text, sizeof(post->answer.text), result.refusal);
    copy_text(post->answer.pointer, sizeof(post->answer.pointer), result.pointer);
    copy_text(post->answer.trace_id, sizeof(post->answer.trace_id), result.trace_wire_id);
    if (result.first != 0 && !result.duplicate) {
        if (frame->count == 0)
            frame->first = result.first;
        frame->count += (uint32_t)(result.last - result.first + 1);
        keep_asking_lines(host, mw_str_sub(mw_buf_str(&frame->lines), start, frame->lines.len),
                          result.first);
    }
    note_changes(host, frame);
    mw_host_arena_give(host, &post->arena); /* what it said is not looked at again */
    /* Also a refusal and a repeat leave only when what they saw is durable. */
    post->leaves_at = host->core.world.last_seq;
    *frame->posts_end = post;
    frame->posts_end = &post->next;
    host->last_busy_ms = uv_now(&host->loop);
}

/* The frame is emptied first: what is started here may decide at once, and into this very frame. */
static void leave(struct mw_host *host, struct mw_frame *frame)
{
    struct mw_ask_change *changes = frame->changes;
    uint32_t change_count = frame->change_count;
    struct mw_post *post = frame->posts;
    frame->changes = NULL;
    frame->change_cap = 0;
    frame_reset(frame);
    for (uint32_t i = 0; i < change_count; i++) {
        if (!changes[i].opened) {
            mw_host_ask_closed(host, changes[i].seq);
            continue;
        }
        mw_host_ask_start(host, changes[i].seq);
    }
    free(changes);
    while (post != NULL) {
        struct mw_post *next = post->next;
        if (post->answered != NULL)
            post->answered(post->user, &post->answer);
        mw_post_discard(host, post);
        post = next;
    }
    mw_workers_serve(host);
}

/* Gives the filled frame to the writer, when it has nothing to do. A frame without records has nothing to wait for. */
static void hand_over(struct mw_host *host)
{
    while (host->writing == NULL && (host->filling->posts != NULL || host->pending != NULL)) {
        while (host->pending != NULL && host->filling->lines.len <= MW_FRAME_SOFT_MAX) {
            struct mw_post *post = host->pending;
            host->pending = post->next;
            if (host->pending == NULL)
                host->pending_end = &host->pending;
            host->pending_count--;
            post->next = NULL;
            decide(host, post);
        }
        struct mw_frame *frame = host->filling;
        host->filling = frame == &host->frames[0] ? &host->frames[1] : &host->frames[0];
        if (frame->count == 0) {
            leave(host, frame); /* may decide more into the other frame */
            continue;
        }
        host->writing = frame;
        uv_sem_post(&host->writer_wake);
    }
}

static void writer_main(void *user)
{
    struct mw_host *host = user;
    for (;;) {
        uv_sem_wait(&host->writer_wake);
        /* A frame that is not begun is nobody's yet. */
        if (__atomic_load_n(&host->writer_stop, __ATOMIC_ACQUIRE))
            return;
        const struct mw_frame *frame = host->writing;
        struct mw_str lines = mw_buf_str(&frame->lines);
        host->writer_rc =
            host->ops->append(host->journal, frame->first, frame->count, lines, &host->writer_err);
        if (host->writer_rc == MW_E_FULL) /* the reserve is released now */
            host->writer_rc = host->ops->append(host->journal, frame->first, frame->count, lines,
                                                &host->writer_err);
        (void)__atomic_add_fetch(&host->writer_turns, 1, __ATOMIC_RELEASE);
        uv_async_send(&host->writer_done);
    }
}

/* The one timer in the commit path: no event says that somebody made room on a disk that is full even for the reserve. */
static void retry_full(uv_timer_t *timer)
{
    struct mw_host *host = timer->data;
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
    uv_sem_post(&host->writer_wake);
}

static void on_written(uv_async_t *async)
{
    struct mw_host *host = async->data;
    (void)__atomic_load_n(&host->writer_turns, __ATOMIC_ACQUIRE);
    struct mw_frame *frame = host->writing;
    struct mw_journal_stats *stats = &host->journal_stats;
    if (frame == NULL)
        return;
    if (host->writer_rc == MW_E_FULL) {
        uv_timer_t *timer = mw_heap_alloc(sizeof(*timer));
        host->full = true;
        mw_host_log(host, "error", "journal.full", "%s", host->writer_err.text);
        timer->data = host;
        (void)uv_timer_init(&host->loop, timer);
        (void)uv_timer_start(timer, retry_full, 500, 0);
        return;
    }
    if (host->writer_rc != MW_OK) {
        mw_host_die(host, mw_rc_exit_code(host->writer_rc), host->writer_err.text);
        return;
    }
    host->durable = frame->first + frame->count - 1;
    host->ops->stats(host->journal, stats);
    if (host->full || !stats->reserve_held)
        host->full = host->ops->reserve_restore(host->journal, &host->writer_err) != MW_OK;
    host->writing = NULL;
    mw_host_api_durable(host, frame->first, frame->count, mw_buf_str(&frame->lines));
    mw_host_hold(host); /* what many asks lead to at once is one frame */
    leave(host, frame);
    (void)mw_host_snapshot_consider(host,
                                    false); /* it works beside us, or there is nothing to do */
    mw_host_release(host);
}
