/*
 * host_callers.h - people and programs that ask: several at once, each knowing what it was told; who heard nothing asks again with the same
 * messageId, also of the next host. They come through api_server's own post, in the place of libmicrohttpd.
 */
#ifndef MW_TEST_HOST_CALLERS_H
#define MW_TEST_HOST_CALLERS_H

#include "host_agents.h"

#include "api/api.h"
#include "host/offline.h"

#define CALLERS_MAX 160

enum call_state {
    CALL_NONE,
    CALL_WANTS,  /* at at_ns */
    CALL_FLIES,  /* the host has it */
    CALL_STANDS, /* it was acknowledged */
    CALL_OVER    /* refused, or given up */
};

/* One request of one caller. Opaque to api_server, as libmicrohttpd's would be. */
struct mw_api_call {
    enum call_state state;
    enum mw_request_kind kind;
    char id[40];
    int64_t made_us;
    char body[700]; /* without the messageId */
    int64_t at_ns;
    uint32_t tries;
    bool again;   /* it is acknowledged and asked once more */
    bool changed; /* once more, with another body */
    mw_seq first, last;
    mw_seq saw; /* the last record there was when it was decided; 0: it was not */
    char trace_id[96];
    struct remote *remote; /* host_remote.h: a worker's; NULL: a caller's */
};

struct callers {
    struct mw_api_call calls[CALLERS_MAX];
    uint32_t count;
    uint64_t serial;
    const struct mw_api_ops *ops; /* NULL: nobody listens */
    int fd;
    uint64_t acknowledged, repeated, refused;
    uint32_t promotions; /* asked for since all is calm */
    bool follows;        /* the records are being read for a follower */
};

static struct callers callers;

static void callers_begin(void)
{
    uint64_t kept[] = {callers.acknowledged, callers.repeated, callers.refused};
    callers = (struct callers){.acknowledged = kept[0], .repeated = kept[1], .refused = kept[2]};
}

/* host_remote.h: workers come the same way. */
static int64_t remotes_next_ns(void);
static void remotes_run(void);
static void remote_hears(struct mw_api_call *call, unsigned status, const struct mw_tape *tape);

static int64_t api_next_ns(void)
{
    int64_t next = remotes_next_ns();
    for (uint32_t i = 0; i < callers.count; i++)
        if (callers.calls[i].state == CALL_WANTS && callers.calls[i].at_ns < next)
            next = callers.calls[i].at_ns;
    return next;
}

static int64_t callers_next_ns(void)
{
    return callers.ops != NULL ? api_next_ns() : WORLD_FAR_NS;
}

static struct mw_api_call *caller_wants(enum mw_request_kind kind, const char *body)
{
    if (callers.count == CALLERS_MAX)
        return NULL;
    struct mw_api_call *call = &callers.calls[callers.count++];
    *call = (struct mw_api_call){
        .state = CALL_WANTS, .kind = kind, .made_us = world_utc_us(), .at_ns = loop_soon()};
    uint64_t millis = (uint64_t)(call->made_us / 1000);
    snprintf(call->id, sizeof call->id, "%08x-%04x-7000-8000-%012lx", (unsigned)(millis >> 16),
             (unsigned)(millis & 0xffff), (unsigned long)++callers.serial);
    assert_true(strlen(body) < sizeof call->body);
    strcpy(call->body, body);
    return call;
}

/* ---- in the place of api.c ---- */

WORLD_WRAP(enum mw_rc, mw_api_start, int listen_fd, const struct mw_api_limits *limits,
           const struct mw_api_ops *ops, void *host, struct mw_api **ret_api, struct mw_err *err)
{
    (void)listen_fd;
    (void)limits;
    (void)err;
    WORLD_CHECK(host == world.host, "another host");
    callers.ops = ops;
    callers.fd = disk_fd_open(DISK_OTHER, NULL, 0);
    disk.fds[callers.fd - DISK_FD_BASE].which = PIPE_API;
    *ret_api = (struct mw_api *)(void *)&callers;
    return MW_OK;
}

WORLD_WRAP(int, mw_api_fd, const struct mw_api *api)
{
    (void)api;
    return callers.fd;
}

WORLD_WRAP(int64_t, mw_api_timeout_ms, const struct mw_api *api)
{
    (void)api;
    return -1;
}

/* Somebody follows the records: none may be told before it is durable. */
WORLD_WRAP(void, mw_api_wake, struct mw_api *api)
{
    struct mw_buf lines = mw_heap_buf();
    struct mw_err err = {0};
    uint64_t upto = 0;
    (void)api;
    if (callers.ops == NULL || !world_rarely(30))
        return;
    const struct mw_api_wanted all = {.start = MW_STR_NONE};
    callers.follows = true;
    enum mw_rc rc = MW_OK;
    /* In pieces, as they are sent: none is lost or comes twice where two of them meet. */
    for (uint64_t from = UINT64_MAX; rc == MW_OK && from != upto;) {
        struct mw_buf piece = mw_heap_buf();
        from = upto;
        rc = callers.ops->records(world.host, from, &all, world_below(20000), &piece, &upto, &err);
        mw_buf_put(&lines, mw_buf_str(&piece));
        mw_heap_buf_free(&piece);
    }
    callers.follows = false;
    WORLD_CHECK(rc == MW_OK || world.faulted, "following the records: %s", err.text);
    WORLD_CHECK(rc != MW_OK || world_begins(&world.sure, &lines),
                "a follower hears what is not durable");
    WORLD_CHECK(rc != MW_OK || world.host->replaying || upto == world.host->durable,
                "P15: a follower hears %lu of %lu records", (unsigned long)upto,
                (unsigned long)world.host->durable);
    mw_heap_buf_free(&lines);
}

/* Somebody looks, at any moment: what is shown is durable (P01). Which records a view is made from is all that is asked here. */
WORLD_WRAP(enum mw_rc, mw_offline_view_until, const char *workspace,
           const struct mw_view_query *query, uint64_t until_seq, struct mw_buf *out,
           struct mw_err *err)
{
    (void)workspace;
    (void)query;
    (void)err;
    WORLD_CHECK(until_seq <= world.sure_seq, "P01: a view shows record %lu, and %lu are durable",
                (unsigned long)until_seq, (unsigned long)world.sure_seq);
    mw_buf_put(out, MW_STR("{}"));
    return MW_OK;
}

static void caller_looks(void)
{
    const struct mw_api_query none = {.count = 0};
    struct mw_buf out = mw_heap_buf();
    if (world_rarely(20))
        (void)callers.ops->view(world.host, MW_STR("status"), &none, &out);
    WORLD_CHECK(world.host->replaying || world.host->durable <= world.sure_seq,
                "P01: %lu records count as durable, and %lu are",
                (unsigned long)world.host->durable, (unsigned long)world.sure_seq);
    mw_heap_buf_free(&out);
}

/* What is handed over from memory is durable, whole and in its place. */
WORLD_WRAP(void, mw_api_feed, struct mw_api *api, uint64_t first, uint32_t count,
           struct mw_str lines)
{
    (void)first;
    (void)count;
    WORLD_CHECK(lines.len > 0 && memmem(world.sure.ptr, world.sure.len, lines.ptr, lines.len),
                "followers are fed what is not durable");
    __wrap_mw_api_wake(api);
}

WORLD_WRAP(uint32_t, mw_api_connections, const struct mw_api *api)
{
    uint32_t count = 0;
    (void)api;
    for (uint32_t i = 0; i < callers.count; i++)
        count += callers.calls[i].state == CALL_FLIES;
    return count;
}

WORLD_WRAP(void, mw_api_stop, struct mw_api *api)
{
    (void)api;
    callers.ops = NULL;
}

WORLD_WRAP(void, mw_api_run, struct mw_api *api)
{
    (void)api;
    if (callers.ops != NULL)
        caller_looks();
    for (uint32_t i = 0; i < callers.count && callers.ops != NULL; i++) {
        struct mw_api_call *call = &callers.calls[i];
        char body[900];
        if (call->state != CALL_WANTS || call->at_ns > world.now_ns)
            continue;
        call->state = CALL_FLIES;
        call->saw = 0;
        call->tries++;
        snprintf(body, sizeof body, "{\"messageId\":\"%s\",\"actor\":\"user:sim\"%s%s%s", call->id,
                 call->changed ? ",\"other\":1" : "", strlen(call->body) > 2 ? "," : "",
                 call->body + 1);
        world_note("asked", i, (uint64_t)call->kind);
        callers.ops->post(world.host, call->kind, mw_str_of(body), MW_STR_NONE, call);
        return; /* one connection at a time; the descriptor stays readable */
    }
    remotes_run();
}

/* ---- answers ---- */

static void caller_decided(struct mw_str message_id, mw_seq last_seq)
{
    for (uint32_t i = 0; message_id.len > 0 && i < callers.count; i++)
        if (callers.calls[i].state == CALL_FLIES && mw_str_is(message_id, callers.calls[i].id))
            callers.calls[i].saw = last_seq;
}

/* host_look.h */
static void look_at_answer(const struct mw_api_call *call, unsigned status,
                           const struct mw_tape *tape);

static bool caller_is_old(const struct mw_api_call *call)
{
    return call->made_us / 1000 < (world_utc_us() - MW_REMEMBERED_US) / 1000;
}

static void caller_hears(struct mw_api_call *call, unsigned status, const struct mw_tape *tape)
{
    bool later = status == 503 || status == 507 || status == 429 || status >= 500;
    look_at_answer(call, status, tape);
    if (call->again) {
        callers.repeated++;
        call->again = call->changed = false;
        call->state = CALL_STANDS;
        return;
    }
    if (status == 200) {
        callers.acknowledged++;
        call->state = CALL_STANDS;
        call->first = (mw_seq)mw_node_int(tape, mw_node_get(tape, 0, "first"), 0);
        call->last = (mw_seq)mw_node_int(tape, mw_node_get(tape, 0, "last"), 0);
        agent_copy(call->trace_id, sizeof call->trace_id, mw_node_get_text(tape, 0, "traceId"));
        return;
    }
    callers.refused++;
    call->state = CALL_OVER;
    if (later && call->tries < 20) {
        call->state = CALL_WANTS;
        call->at_ns = loop_soon() + 500000000;
    }
}

WORLD_WRAP(void, mw_api_answer, struct mw_api_call *call, unsigned status, struct mw_str body)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err;
    bool was = world.inside;
    world.inside = false;
    world_note("answered", call->remote != NULL ? CALLERS_MAX : (uint64_t)(call - callers.calls),
               status);
    WORLD_CHECK(call->state == CALL_FLIES, "one request is answered twice");
    mw_heap_arena(&arena, body.len * 40 + 65536);
    enum mw_rc rc = mw_json_parse(&arena, body, &tape, &err);
    WORLD_CHECK(rc == MW_OK, "an answer that is not JSON: %.*s", MW_STR_ARG(body));
    if (call->remote != NULL)
        remote_hears(call, status, &tape);
    else
        caller_hears(call, status, &tape);
    mw_heap_arena_free(&arena);
    world.inside = was;
    world_point();
}

/* Whoever waited for an answer heard nothing: most ask again, with the same messageId. */
static void callers_host_gone(void)
{
    callers.ops = NULL;
    for (uint32_t i = 0; i < callers.count; i++) {
        struct mw_api_call *call = &callers.calls[i];
        if (call->state != CALL_FLIES)
            continue;
        call->state = call->again || world_chance(85) ? CALL_WANTS : CALL_OVER;
        call->at_ns = loop_soon();
    }
}

/* ---- what they want ---- */

static const struct mw_trace *caller_trace(void)
{
    const struct mw_table *traces = &world.host->core.world.traces;
    for (uint32_t i = 0, skip = traces->count > 0 ? world_below(traces->count) : 0; i < traces->cap;
         i++)
        if (mw_table_at(traces, i) != NULL && skip-- == 0)
            return mw_table_at(traces, i);
    return NULL;
}

static void caller_starts_something(void)
{
    static const char *const skills[] = {"FillHole", "PaintWall", "DigHole"};
    char body[400];
    unsigned long n = (unsigned long)callers.serial;
    uint32_t dice = world_below(6);
    if (dice <= 1)
        snprintf(body, sizeof body, "{\"prompt\":\"app %lu\"}", n % 3);
    else if (dice == 2)
        snprintf(body, sizeof body, "{\"workflow\":\"TalkItOver\",\"prompt\":\"talk %lu\"}", n);
    else if (dice == 3)
        snprintf(body, sizeof body,
                 "{\"coordinator\":\"SiteCoordinator\",\"payload\":{\"site\":\"L%lu\",\"paint\":%s,"
                 "\"ask\":%s,\"holes\":[{\"name\":\"a\",\"domain\":\"Gardens\"},{\"name\":\"b\","
                 "\"domain\":\"Seas\"}]}}",
                 n, world_chance(50) ? "true" : "false", world_chance(30) ? "true" : "false");
    else if (dice == 4)
        snprintf(body, sizeof body,
                 "{\"workflows\":[\"TalkItOver\",\"TalkItOver\"],\"prompt\":\"chain %lu\"}", n);
    else
        snprintf(body, sizeof body, "{\"skill\":\"%s\",\"payload\":{\"n\":%lu}}",
                 skills[world_below(3)], n);
    (void)caller_wants(dice <= 1   ? MW_REQ_SUBMIT_INTENT
                       : dice == 2 ? MW_REQ_START_LONE_RUN
                       : dice == 3 ? MW_REQ_START_LONE_COORDINATOR
                       : dice == 4 ? MW_REQ_START_LONE_CHAIN
                                   : MW_REQ_START_LONE_UNIT,
                       body);
}

/* What a person made for a task that makes files lies in a folder of their own. False: it makes none. */
static bool caller_makes_files(mw_seq item, char *ret_folder, size_t size)
{
    const struct mw_world *state = &world.host->core.world;
    const struct mw_task *task = (const struct mw_task *)mw_world_item(state, item);
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(state, mw_world_trace_of(state, &task->item));
    char path[300], text[60];
    if (catalogue == NULL || !catalogue->tasks[task->def]->writes_files)
        return false;
    bool digs = mw_str_is(catalogue->tasks[task->def]->skill, "DigHole");
    snprintf(ret_folder, size, DISK_ROOT "/brought/%lu", (unsigned long)item);
    snprintf(path, sizeof path, "%s/%s", ret_folder, digs ? "holes" : "walls");
    disk_make_folders(path);
    snprintf(path, sizeof path, "%s/%s/by_hand_%lu.txt", ret_folder, digs ? "holes" : "walls",
             (unsigned long)item);
    snprintf(text, sizeof text, "made by hand for %lu\n", (unsigned long)item);
    disk_write_file(path, mw_str_of(text));
    return true;
}

/* A person answers one of the items that wait for people. False: none does. */
static bool caller_answers(bool well)
{
    const struct mw_table *asks = &world.host->core.world.asks;
    char body[300], folder[100];
    for (uint32_t i = 0, from = world_below(asks->cap + 1); i < asks->cap; i++) {
        uint32_t at = (from + i) % asks->cap;
        const struct mw_ask *ask = mw_table_at(asks, at);
        if (ask == NULL || ask->opens != MW_OPENS_AGENT || ask->agent_kind != MW_AGENT_HUMAN ||
            ask->seq > world.sure_seq)
            continue;
        const char *action = !well && world_chance(15) ? "retry" : "answer";
        const char *payload = !well && world_chance(10)
                                  ? "7"
                                  : "{\"app\":\"sites\",\"sites\":[],\"result\":\"Passed\"}";
        bool brings =
            (well || !world_chance(10)) && caller_makes_files(ask->item, folder, sizeof folder);
        snprintf(body, sizeof body, "{\"item\":%lu,\"action\":\"%s\",\"payload\":%s%s%s%s}",
                 (unsigned long)ask->item, action, payload, brings ? ",\"files\":\"" : "",
                 brings ? folder : "", brings ? "\"" : "");
        (void)caller_wants(MW_REQ_ANSWER_ITEM, body);
        return true;
    }
    return false;
}

static bool caller_reviews(void)
{
    const struct mw_session *session = &world.host->core.session;
    char body[200], cancel[200];
    for (uint32_t i = 0; i < session->build_count; i++) {
        const struct mw_build *build = &session->builds[i];
        bool open = mw_world_trace(&world.host->core.world, build->trace) != NULL;
        snprintf(body, sizeof body, "{\"buildId\":\"%.*s\"}", MW_STR_ARG(build->build_id));
        if (build->state == MW_BUILD_DRAFT) {
            (void)caller_wants(world_chance(70) ? MW_REQ_ACCEPT_DRAFT : MW_REQ_REJECT_DRAFT, body);
            return true;
        }
        if (build->state == MW_BUILD_CURRENT && open) {
            /* A bundle that cannot be promoted (its app was edited) is given up. */
            snprintf(cancel, sizeof cancel, "{\"traceId\":\"%.*s\"}",
                     MW_STR_ARG(mw_world_trace(&world.host->core.world, build->trace)->wire_id));
            bool tired = world.draining && ++callers.promotions > 4;
            (void)caller_wants(tired ? MW_REQ_CANCEL_TRACE : MW_REQ_PROMOTE, tired ? cancel : body);
            return true;
        }
    }
    return false;
}

static void caller_asks_again(void)
{
    struct mw_api_call *call =
        callers.count > 0 ? &callers.calls[world_below(callers.count)] : NULL;
    if (call == NULL || call->state != CALL_STANDS)
        return;
    call->again = true;
    call->changed = world_chance(25);
    call->state = CALL_WANTS;
    call->at_ns = loop_soon();
}

/* Somebody from outside says that something has happened. */
static void caller_publishes(const struct mw_trace *trace)
{
    static const char *const types[] = {"WallPainted", "HoleDug", "SiteMarked", "TaskFailed"};
    char body[600];
    snprintf(body, sizeof body,
             "{\"type\":\"%s\",\"traceId\":\"%.*s\",\"sessionId\":\"%.*s\",\"componentTag\":"
             "\"Ext:Thing\",\"timestamp\":\"2025-06-15T15:06:40Z\",\"emittedBy\":\"ext\","
             "\"payload\":{\"result\":\"Passed\"}}",
             types[world_below(MW_COUNT(types))], MW_STR_ARG(trace->wire_id),
             MW_STR_ARG(trace->wire_id));
    (void)caller_wants(MW_REQ_PUBLISH_MESSAGE, body);
}

static void caller_remembers(void)
{
    const struct mw_memory *memory = &world.host->core.memory;
    char body[100];
    if (memory->count == 0 || world_chance(50)) {
        (void)caller_wants(MW_REQ_ADD_MEMORY, "{\"kind\":\"learning\",\"text\":\"clay is heavy\"}");
        return;
    }
    snprintf(body, sizeof body, "{\"id\":%lu}",
             (unsigned long)memory->entries[world_below(memory->count)].id);
    (void)caller_wants(MW_REQ_REMOVE_MEMORY, body);
}

static void caller_puts_back(void)
{
    const struct mw_work *work = &world.host->core.work;
    char body[100];
    if (work->letter_count == 0)
        return;
    snprintf(body, sizeof body, "{\"item\":%lu}",
             (unsigned long)work->letters[world_below(work->letter_count)].task);
    (void)caller_wants(MW_REQ_REPLAY_TASK, body);
}

static void caller_does_something(void)
{
    char body[200];
    uint32_t dice = world_below(100);
    const struct mw_trace *trace = caller_trace();
    snprintf(body, sizeof body, "{\"traceId\":\"%.*s\"}",
             trace != NULL ? (int)trace->wire_id.len : 6,
             trace != NULL ? trace->wire_id.ptr : "nobody");
    if (dice < 25)
        caller_starts_something();
    else if (dice < 32)
        (void)caller_wants(MW_REQ_PAUSE_TRACE, body);
    else if (dice < 42)
        (void)caller_wants(MW_REQ_RESUME_TRACE, body);
    else if (dice < 48)
        (void)caller_wants(MW_REQ_CANCEL_TRACE, body);
    else if (dice < 60)
        (void)caller_answers(false);
    else if (dice < 72)
        (void)caller_reviews();
    else if (dice < 74)
        (void)caller_wants(MW_REQ_ROLLBACK, "{}");
    else if (dice < 77)
        caller_remembers();
    else if (dice < 80)
        caller_puts_back();
    else if (dice < 83 && trace != NULL)
        caller_publishes(trace);
    else
        caller_asks_again();
}

/* Everybody comes and does what is waited for. False: nobody waits for anybody. */
static bool callers_finish(void)
{
    const struct mw_table *traces = &world.host->core.world.traces;
    char body[200];
    for (uint32_t i = 0; i < callers.count; i++)
        if (callers.calls[i].state == CALL_WANTS || callers.calls[i].state == CALL_FLIES)
            return true;
    if (callers.count > CALLERS_MAX - 8) { /* the oldest are forgotten */
        memmove(callers.calls, callers.calls + 32, (CALLERS_MAX - 32) * sizeof callers.calls[0]);
        callers.count -= 32;
    }
    for (uint32_t i = 0; i < traces->cap; i++) {
        const struct mw_trace *trace = mw_table_at(traces, i);
        if (trace == NULL || trace->cancelled || (!trace->paused && !world.mood.herd))
            continue;
        snprintf(body, sizeof body, "{\"traceId\":\"%.*s\"}", MW_STR_ARG(trace->wire_id));
        (void)caller_wants(world.mood.herd ? MW_REQ_CANCEL_TRACE : MW_REQ_RESUME_TRACE, body);
        return true;
    }
    return caller_answers(true) || caller_reviews();
}

#endif
