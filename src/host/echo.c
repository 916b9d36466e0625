#include "host/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_MS 500u

/*
 * The agent that the host is itself: its answer is the task's own payload, said as soon as the asking record is durable. No folder, no child,
 * no thread; what it says goes the road of every other answer, so it is recorded before anything can follow from it.
 */

/* What holds an escaped control character is left to the whole reader. */
static struct mw_str read_payload(struct mw_str line)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_heap_arena(&arena, line.len * 64 + 65536);
    enum mw_rc rc = mw_json_parse(&arena, line, &tape, NULL);
    MW_ASSERT(rc == MW_OK);                                                    /* our own line */
    struct mw_str payload = tape.nodes[mw_node_get(&tape, 0, "payload")].text; /* in the line */
    mw_heap_arena_free(&arena);
    return payload;
}

/* Our own line: a key can stand nowhere in a text, whose quotes are escaped, and nothing before the payload has members of that name. */
static struct mw_str payload_of(struct mw_str line)
{
    static const char key[] = ",\"payload\":";
    const char *at = memmem(line.ptr, line.len, key, sizeof(key) - 1);
    MW_ASSERT(at != NULL);
    size_t from = (size_t)(at - line.ptr) + sizeof(key) - 1;
    size_t to = mw_json_skip(line, from);
    return to > from ? mw_str_sub(line, from, to - from) : read_payload(line);
}

static enum mw_rc answer(struct mw_host *host, const struct mw_host_ask *ask, struct mw_err *err)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct mw_str type = mw_work_expects(&host->core.world, open->item);
    struct mw_str payload = payload_of(mw_str_of(ask->line));
    struct mw_json json;
    struct mw_buf body = mw_heap_buf();
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", type);
    mw_json_kraw(&json, "payload", payload);
    enum mw_rc rc = mw_host_keep_payload(host, open->item, type, payload, &json, err);
    mw_json_object_end(&json);
    if (rc == MW_OK)
        mw_host_tell(host, MW_REQ_RECORD_RESULT, open->item, open->seq, mw_buf_str(&body));
    mw_heap_buf_free(&body);
    return rc;
}

static void fail(struct mw_host *host, const struct mw_host_ask *ask, const struct mw_err *err)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct mw_json json;
    struct mw_buf body = mw_heap_buf();
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "class", MW_STR("internal"));
    mw_json_kstr(&json, "message", mw_str_of(err->text));
    mw_json_kbool(&json, "notBegun", true);
    mw_json_object_end(&json);
    mw_host_tell(host, MW_REQ_RECORD_FAILURE, open->item, open->seq, mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

/* ---- a full disk is nobody's failure (P10): the answer waits for space, as long as its deadline lets it ---- */

struct waiting {
    uv_timer_t timer; /* first: it is freed as one */
    struct mw_host *host;
    mw_seq seq;
};

static void on_try_again(uv_timer_t *timer);

static void wait_for_space(struct mw_host *host, mw_seq seq, const struct mw_err *err)
{
    struct waiting *waiting = mw_heap_alloc(sizeof(*waiting));
    mw_host_log(host, "warning", "attempt.waits_for_space", "%s", err->text);
    waiting->host = host;
    waiting->seq = seq;
    (void)uv_timer_init(&host->loop, &waiting->timer);
    (void)uv_timer_start(&waiting->timer, on_try_again, SPACE_MS, 0);
}

/* True: it is answered, or has failed. */
static bool try_once(struct mw_host *host, const struct mw_host_ask *ask)
{
    struct mw_err err = {0};
    enum mw_rc rc = answer(host, ask, &err);
    bool full =
        rc == MW_E_FULL || (rc != MW_OK && (err.sys_errno == ENOSPC || err.sys_errno == EDQUOT));
    if (full)
        wait_for_space(host, ask->seq, &err);
    else if (rc != MW_OK)
        fail(host, ask, &err);
    return !full;
}

static void on_try_again(uv_timer_t *timer)
{
    struct waiting *waiting = (struct waiting *)timer;
    const struct mw_host_ask *ask = mw_host_ask_find(waiting->host, waiting->seq);
    if (ask != NULL && mw_table_get(&waiting->host->core.world.asks, waiting->seq) != NULL)
        (void)try_once(waiting->host, ask);
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
}

bool mw_echo_begin(struct mw_host *host, const struct mw_host_ask *ask)
{
    return try_once(host, ask);
}
