#include "api/api.h"
#include "host/offline.h"
#include "host/tcp.h"
#include "host/workers.h"
#include "view/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY_IN_RECORD_BYTES_MAX 4096u
#define NAME_BYTES_MAX 256u /* messageId, actor */
#define TEXT_BYTES_MAX                                                                             \
    16384u /* any other member that is a text, but the prompt, whose limit is core's */
#define CALLERS_MAX 1024u /* connections on the socket */
#define PORT_CALLERS_MAX 256u
#define PORT_SILENT_S                                                                              \
    30u /* who connects there may be anybody, and a place is not held by saying nothing */

/* A socket on which callers come in: the workspace's own, and the port that somebody asked for. */
struct door {
    struct mw_host *host;
    struct mw_api *api;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
};

struct server {
    struct door doors[2];
    uint32_t door_count;
    char address[MW_API_HOST_TEXT]; /* of the port; empty: there is none */
};

static void post(void *self, enum mw_request_kind kind, struct mw_str body,
                 struct mw_str caller_path, struct mw_api_call *call);
static unsigned hello(void *self, struct mw_buf *out);
static unsigned view(void *self, struct mw_str name, const struct mw_api_query *query,
                     struct mw_buf *out);
static unsigned shut_down(void *self, struct mw_buf *out);
static enum mw_rc records(void *self, uint64_t after, const struct mw_api_wanted *wanted,
                          size_t bytes_max, struct mw_buf *out, uint64_t *ret_after,
                          struct mw_err *err);

static const struct mw_api_ops api_ops = {post, hello, view, shut_down, records, mw_workers_asked};

/* ---- the socket and the loop ---- */

static enum mw_rc listen_on(struct mw_host *host, int *ret_fd, struct mw_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mw_autoclose int folder =
        openat(host->workspace_fd, ".millwright", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (folder < 0 || fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the socket");
    /* Reached through the folder's descriptor: however long the path is, 107 bytes are enough. */
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/millwright.sock",
             folder);
    (void)unlinkat(folder, "millwright.sock", 0); /* ours: we hold the journal's lock */
    /* No umask for the moment of bind: it is the process's, and work folders are being made beside. The folder is ours alone anyway,
     * and nobody gets in before listen. */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        fchmodat(folder, "millwright.sock", 0600, 0) != 0 || listen(fd, 128) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "listen on '.millwright/millwright.sock'");
    *ret_fd = fd;
    fd = -1;
    return MW_OK;
}

/* What many callers ask at once goes into one frame. */
static void run_api(struct door *door)
{
    mw_host_hold(door->host);
    mw_api_run(door->api);
    mw_host_release(door->host);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events; /* readable is all that is asked */
    run_api(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    run_api(timer->data);
}

/* Before the loop sleeps: what was resumed meanwhile has to be looked at. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct door *door = prepare->data;
    int64_t timeout = mw_api_timeout_ms(door->api);
    if (timeout == 0)
        run_api(door);
    timeout = mw_api_timeout_ms(door->api);
    if (timeout >= 0)
        (void)uv_timer_start(&door->timer, on_timer, (uint64_t)timeout, 0);
    else
        (void)uv_timer_stop(&door->timer);
}

/* Callers never have more than half of the descriptors that this process may have: the rest is for the journal, bodies and agents, whoever
 * connects. */
static uint32_t callers_max(uint32_t wanted, uint32_t eighths)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 8 * eighths >= wanted)
        return wanted;
    return (uint32_t)(limit.rlim_cur / 8 * eighths);
}

static enum mw_rc open_door(struct mw_host *host, struct server *server, int listen_fd,
                            const struct mw_api_guard *guard, struct mw_err *err)
{
    struct door *door = &server->doors[server->door_count];
    door->host = host;
    const struct mw_api_limits limits = {.connections_max = guard != NULL
                                                                ? callers_max(PORT_CALLERS_MAX, 1)
                                                                : callers_max(CALLERS_MAX, 3),
                                         .silent_s = guard != NULL ? PORT_SILENT_S : 0};
    enum mw_rc rc = mw_api_start(listen_fd, &limits, &api_ops, host, &door->api, err);
    if (rc != MW_OK)
        return rc;
    if (guard != NULL)
        mw_api_guard(door->api, guard);
    server->door_count++;
    (void)uv_poll_init(&host->loop, &door->poll, mw_api_fd(door->api));
    (void)uv_timer_init(&host->loop, &door->timer);
    (void)uv_prepare_init(&host->loop, &door->prepare);
    door->poll.data = door;
    door->timer.data = door;
    door->prepare.data = door;
    (void)uv_poll_start(&door->poll, UV_READABLE, on_poll);
    (void)uv_prepare_start(&door->prepare, on_prepare);
    return MW_OK;
}

/* Only when it was asked for: `serve --listen`. */
static enum mw_rc open_port(struct mw_host *host, struct server *server, struct mw_err *err)
{
    const char *address = getenv("MILLWRIGHT_LISTEN");
    struct mw_api_guard guard;
    int fd = -1;
    if (address == NULL || *address == '\0')
        return MW_OK;
    enum mw_rc rc = mw_host_tcp_listen(host->workspace_fd, address, &fd, &guard, err);
    if (rc == MW_OK)
        rc = open_door(host, server, fd, &guard, err);
    if (rc == MW_OK) {
        memcpy(server->address, guard.hosts[0], sizeof(server->address));
        mw_mask_add(host->mask, MW_STR("token"), mw_str_of(guard.token));
    }
    return rc;
}

enum mw_rc mw_host_api_start(struct mw_host *host, struct mw_err *err)
{
    struct server *server = mw_heap_alloc(sizeof(*server));
    int fd = -1;
    *server = (struct server){.door_count = 0};
    enum mw_rc rc = listen_on(host, &fd, err);
    if (rc == MW_OK)
        rc = open_door(host, server, fd, NULL, err);
    if (rc == MW_OK)
        rc = open_port(host, server, err);
    if (rc != MW_OK) {
        if (server->door_count == 0)
            free(server); /* else the loop still has its handles; the host ends now */
        return rc;
    }
    host->api = server;
    return MW_OK;
}

void mw_host_api_stop(struct mw_host *host)
{
    struct server *server = host->api;
    if (server == NULL)
        return;
    for (uint32_t i = 0; i < server->door_count; i++) {
        (void)uv_poll_stop(&server->doors[i].poll);
        mw_api_stop(server->doors[i].api);
    }
    host->api = NULL;
}

void mw_host_api_durable(struct mw_host *host, mw_seq first, uint32_t count, struct mw_str lines)
{
    struct server *server = host->api;
    for (uint32_t i = 0; server != NULL && i < server->door_count; i++)
        mw_api_feed(server->doors[i].api, first, count, lines);
}

void mw_host_api_look(struct mw_host *host)
{
    struct server *server = host->api;
    for (uint32_t i = 0; server != NULL && i < server->door_count; i++) {
        mw_api_wake(server->doors[i].api);
        run_api(&server->doors[i]);
    }
}

uint32_t mw_host_api_connections(const struct mw_host *host)
{
    const struct server *server = host->api;
    uint32_t count = 0;
    for (uint32_t i = 0; server != NULL && i < server->door_count; i++)
        count += mw_api_connections(server->doors[i].api);
    return count;
}

bool mw_host_api_has_port(const struct mw_host *host)
{
    const struct server *server = host->api;
    return server != NULL && server->address[0] != '\0';
}

/* ---- requests ---- */

static void on_answered(void *user, const struct mw_host_answer *answer)
{
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    if (answer->rc != MW_OK) {
        mw_api_error_body(&body, answer->rc, mw_str_of(answer->text), mw_str_of(answer->pointer));
        mw_api_answer(user, mw_api_status_of(answer->rc), mw_buf_str(&body));
        mw_heap_buf_free(&body);
        return;
    }
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kbool(&json, "ok", true);
    mw_json_ku64(&json, "first", answer->first);
    mw_json_ku64(&json, "last", answer->last);
    mw_json_kstr(&json, "traceId", mw_str_of(answer->trace_id));
    mw_json_kbool(&json, "duplicate", answer->duplicate);
    mw_json_object_end(&json);
    mw_api_answer(user, 200, mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

static void refuse(struct mw_api_call *call, const struct mw_err *err, const char *pointer)
{
    struct mw_buf body = mw_heap_buf();
    mw_api_error_body(&body, err->rc, mw_str_of(err->text), mw_str_of(pointer));
    mw_api_answer(call, mw_api_status_of(err->rc), mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

static void copy_members(const struct mw_tape *tape, const char *const *left_out,
                         size_t left_out_count, struct mw_buf *out)
{
    struct mw_json json;
    mw_json_init(&json, out);
    mw_json_object(&json);
    for (uint32_t key = mw_node_first(tape, 0); key != MW_NODE_NONE;
         key = mw_node_after(tape, 0, key)) {
        bool skip = false;
        for (size_t i = 0; i < left_out_count; i++)
            skip = skip || mw_str_is(tape->nodes[key].text, left_out[i]);
        if (skip)
            continue;
        mw_json_key(&json, tape->nodes[key].text);
        mw_json_node(&json, tape, key + 1);
    }
    mw_json_object_end(&json);
}

/* What is intended, without who asked and how: the same intent is the same bytes. The app's own settings are carried forward. */
static void intent_text(struct mw_host *host, const struct mw_tape *tape, struct mw_buf *out)
{
    static const char *const members[] = {"prompt",  "blueprint", "name",
                                          "payload", "workflow",  "workflows"};
    struct mw_buf settings = mw_heap_buf();
    struct mw_arena arena;
    struct mw_tape ai;
    struct mw_json json;
    mw_json_init(&json, out);
    mw_json_object(&json);
    for (size_t i = 0; i < MW_COUNT(members); i++) {
        uint32_t node = mw_node_get(tape, 0, members[i]);
        if (node != MW_NODE_NONE)
            mw_json_knode(&json, members[i], tape, node);
    }
    mw_heap_arena(&arena, (size_t)4 << 20);
    if (mw_file_read_regular(host->workspace_fd, "app/config/ai.json", 65536, &settings, NULL) ==
            MW_OK &&
        mw_json_parse(&arena, mw_buf_str(&settings), &ai, NULL) == MW_OK &&
        mw_node_type(&ai, 0) == MW_NODE_OBJECT) {
        mw_json_kobject(&json, "previous");
        mw_json_knode(&json, "ai", &ai, 0);
        mw_json_object_end(&json);
    }
    mw_json_object_end(&json);
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&settings);
}

static bool has_document(enum mw_request_kind kind)
{
    return kind == MW_REQ_SUBMIT_INTENT || kind == MW_REQ_START_LONE_RUN ||
           kind == MW_REQ_START_LONE_COORDINATOR || kind == MW_REQ_START_LONE_UNIT ||
           kind == MW_REQ_START_LONE_CHAIN;
}

/* "t-ab12cd-57" or 57. */
static mw_seq item_of(const struct mw_tape *tape)
{
    uint32_t node = mw_node_get(tape, 0, "item");
    struct mw_str text = mw_node_str(tape, node);
    uint64_t number = 0;
    size_t dash = text.len;
    while (dash > 0 && text.ptr[dash - 1] != '-')
        dash--;
    if (text.len > 0)
        return mw_str_to_u64(mw_str_sub(text, dash, text.len), &number) ? number : 0;
    return (mw_seq)mw_node_int(tape, node, 0);
}

static void remember_path(struct mw_host *host, struct mw_str caller_path)
{
    if (caller_path.len == 0 || mw_str_is(caller_path, host->path))
        return;
    free(host->path);
    host->path = mw_heap_copy(caller_path);
}

/* The body without who asked, and with the hash of a payload that has to be on the disk before a record can name it (P22). */
static enum mw_rc request_text(struct mw_host *host, enum mw_request_kind kind,
                               const struct mw_tape *tape, struct mw_buf *out, struct mw_err *err)
{
    static const char *const meta[] = {"messageId", "actor", "payloadSha256", "filesSha256"};
    uint32_t payload = mw_node_get(tape, 0, "payload");
    char sha256[MW_SHA256_HEX];
    copy_members(tape, meta, MW_COUNT(meta), out);
    if (kind != MW_REQ_ANSWER_ITEM || mw_node_type(tape, payload) != MW_NODE_OBJECT)
        return MW_OK;
    enum mw_rc rc = mw_pins_keep_document(host, tape->nodes[payload].text, sha256, err);
    out->len--; /* the closing brace goes behind one more member */
    mw_buf_printf(out, ",\"payloadSha256\":\"%s\"}", rc == MW_OK ? sha256 : "");
    return rc;
}

/* Taken for absent, a number here would mean another build than the one that was said, or the same request done twice (P05). */
static const char *pointer_of_choice(struct mw_str name)
{
    static const char *const pointers[] = {"/messageId", "/actor",  "/traceId", "/parentTraceId",
                                           "/buildId",   "/target", "/mode",    "/approvedConfig",
                                           "/journey",   "/action", "/priority"};
    for (size_t i = 0; i < MW_COUNT(pointers); i++)
        if (mw_str_is(name, pointers[i] + 1))
            return pointers[i];
    return NULL;
}

/* A line of the journal is bounded (P14), and whatever a caller says beside its document stands in one; what chooses is a text. */
static bool has_sound_members(const struct mw_tape *tape, const char **ret_pointer,
                              struct mw_err *err)
{
    for (uint32_t key = mw_node_first(tape, 0); key != MW_NODE_NONE;
         key = mw_node_after(tape, 0, key)) {
        struct mw_str name = tape->nodes[key].text;
        bool is_name = mw_str_is(name, "messageId") || mw_str_is(name, "actor");
        size_t most = is_name ? NAME_BYTES_MAX : TEXT_BYTES_MAX;
        bool is_text = mw_node_type(tape, key + 1) == MW_NODE_STRING;
        size_t len = tape->nodes[key + 1].text.len;
        const char *pointer = pointer_of_choice(name);
        if (pointer != NULL && ((is_text && len == 0 && mw_str_is(name, "messageId")) ||
                                (!is_text && !mw_node_is_null(tape, key + 1)))) {
            *ret_pointer = pointer;
            (void)MW_FAIL(err, MW_E_INPUT, "'%.*s' is a text of 1 to %zu bytes", MW_STR_ARG(name),
                          most);
            return false;
        }
        if (!is_text || mw_str_is(name, "prompt") || len <= most)
            continue;
        (void)MW_FAIL(err, MW_E_INPUT, "'%.*s' has more than %zu bytes", MW_STR_ARG(name), most);
        return false;
    }
    return true;
}

/* Done, and its answer kept: nothing that has come since can refuse it (P05). */
static bool is_said_before(const struct mw_host *host, const struct mw_tape *tape)
{
    return mw_core_knows(&host->core, mw_node_get_text(tape, 0, "messageId"));
}

static struct mw_post *make_of_tape(struct mw_host *host, enum mw_request_kind kind,
                                    const struct mw_tape *tape, struct mw_err *err)
{
    struct mw_buf rest = mw_heap_buf(), document = mw_heap_buf();
    struct mw_str actor = mw_node_get_text(tape, 0, "actor");
    struct mw_post *made = NULL;
    bool anew = kind == MW_REQ_REPLAY_TASK && !is_said_before(host, tape);
    if ((!anew || mw_host_has_inputs(host, tape, err) == MW_OK) &&
        request_text(host, kind, tape, &rest, err) == MW_OK)
        made = mw_post_make(host, kind, mw_buf_str(&rest), mw_node_get_text(tape, 0, "messageId"),
                            actor.len > 0 ? actor : MW_STR("user:unknown"), err);
    /* A small one is durable with the record that it stands in; any other before the record that names it (P22). */
    if (made != NULL && has_document(kind) && kind != MW_REQ_SUBMIT_INTENT &&
        rest.len <= BODY_IN_RECORD_BYTES_MAX &&
        !mw_json_is_deeper(mw_buf_str(&rest), MW_JSON_MADE_DEPTH_MAX)) {
        made->request.body_in_record = true;
    } else if (made != NULL && has_document(kind)) {
        if (kind == MW_REQ_SUBMIT_INTENT)
            intent_text(host, tape, &document);
        else
            mw_buf_put(&document, mw_buf_str(&rest));
        if (mw_pins_keep_document(host, mw_buf_str(&document), made->body_sha256, err) != MW_OK &&
            !is_said_before(host, tape)) {
            mw_post_discard(host, made);
            made = NULL;
        }
    }
    if (made != NULL && (kind == MW_REQ_ANSWER_ITEM || kind == MW_REQ_REPLAY_TASK))
        made->request.item = item_of(tape);
    mw_heap_buf_free(&rest);
    mw_heap_buf_free(&document);
    return made;
}

static struct mw_post *make_post(struct mw_host *host, enum mw_request_kind kind,
                                 struct mw_str body, const char **ret_pointer, struct mw_err *err)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_buf clean = mw_heap_buf();
    struct mw_post *made = NULL;
    (void)mw_mask_text(host->mask, body.len > 0 ? body : MW_STR("{}"), &clean);
    mw_host_arena_take(host, clean.len * 40 + 65536, &arena);
    enum mw_rc rc = mw_json_parse(&arena, mw_buf_str(&clean), &tape, err);
    if (rc == MW_E_LIMIT)
        err->rc = MW_E_INPUT; /* too deep now is too deep later: it is not to be tried again */
    if (rc == MW_OK) {
        if (mw_node_type(&tape, 0) == MW_NODE_OBJECT)
            made = has_sound_members(&tape, ret_pointer, err) ? make_of_tape(host, kind, &tape, err)
                                                              : NULL;
        else
            (void)MW_FAIL(err, MW_E_INPUT, "a request's body is one JSON object");
    }
    mw_host_arena_give(host, &arena);
    mw_heap_buf_free(&clean);
    return made;
}

bool mw_host_refuse_closed(struct mw_host *host, struct mw_api_call *call)
{
    struct mw_err err = {0};
    if (mw_host_leaves(host) || host->replaying) {
        struct mw_buf words = mw_heap_buf();
        mw_api_error_body(&words, MW_E_CONFLICT,
                          host->draining ? MW_STR("the host is leaving: ask again")
                                         : MW_STR("the host is starting: ask again"),
                          MW_STR_NONE);
        mw_api_answer(call, 503, mw_buf_str(&words));
        mw_heap_buf_free(&words);
        return true;
    }
    if (host->read_only_for != 0) {
        (void)MW_FAIL(&err, MW_E_CORRUPT,
                      "the host is read-only: record %lu ended it each time it was replayed; "
                      "millwright doctor says what can be done",
                      (unsigned long)host->read_only_for);
        refuse(call, &err, "");
        return true;
    }
    return false;
}

static void post_files(struct mw_host *host, struct mw_str body, const char *sha256,
                       const struct mw_err *failed, struct mw_api_call *call)
{
    struct mw_err err = {0};
    if (mw_host_refuse_closed(host, call))
        return;
    const char *pointer = "";
    struct mw_post *made = make_post(host, MW_REQ_ANSWER_ITEM, body, &pointer, &err);
    if (made == NULL) {
        refuse(call, &err, pointer);
        return;
    }
    /* The same answer may have been taken while the folder was looked at. */
    if (failed != NULL && !mw_core_knows(&host->core, made->request.message_id)) {
        mw_post_discard(host, made);
        refuse(call, failed, "/files");
        return;
    }
    made->request.files_sha256 = mw_arena_copy(&made->arena, mw_str_of(sha256));
    mw_host_post(host, made, on_answered, call);
}

/* An answer that names a folder is posted when its files are there. False: it names none, or is said again. */
static bool take_files(struct mw_host *host, struct mw_str body, struct mw_api_call *call)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_host_arena_take(host, body.len * 40 + 65536, &arena);
    bool named = mw_json_parse(&arena, body, &tape, NULL) == MW_OK &&
                 mw_node_type(&tape, 0) == MW_NODE_OBJECT &&
                 mw_node_get_text(&tape, 0, "files").len > 0 && !is_said_before(host, &tape);
    if (named)
        mw_answer_files_begin(host, item_of(&tape), mw_node_get_text(&tape, 0, "files"), body, call,
                              post_files);
    mw_host_arena_give(host, &arena);
    return named;
}

/* Whether there is room for it, and definitions to do it by. */
static enum mw_rc admits(struct mw_host *host, enum mw_request_kind kind, struct mw_str body,
                         struct mw_err *err)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err unheard;
    enum mw_rc rc = mw_host_admits(host, kind, false, err);
    /* New work runs by the definitions as they stand on the disk now. */
    if (rc == MW_OK && has_document(kind))
        rc = mw_pins_refresh(host, err);
    if (rc == MW_OK || mw_host_admits(host, kind, true, &unheard) != MW_OK)
        return rc;
    mw_host_arena_take(host, body.len * 40 + 65536, &arena);
    if (mw_json_parse(&arena, body, &tape, NULL) == MW_OK &&
        mw_node_type(&tape, 0) == MW_NODE_OBJECT && is_said_before(host, &tape))
        rc = MW_OK;
    mw_host_arena_give(host, &arena);
    return rc;
}

static void post(void *self, enum mw_request_kind kind, struct mw_str body,
                 struct mw_str caller_path, struct mw_api_call *call)
{
    struct mw_host *host = self;
    struct mw_err err = {0};
    if (mw_host_refuse_closed(host, call))
        return;
    if (admits(host, kind, body, &err) != MW_OK) {
        refuse(call, &err, "");
        return;
    }
    remember_path(host, caller_path);
    if (kind == MW_REQ_ANSWER_ITEM && take_files(host, body, call))
        return;
    const char *pointer = "";
    struct mw_post *made = make_post(host, kind, body, &pointer, &err);
    if (made == NULL) {
        refuse(call, &err, pointer);
        return;
    }
    mw_host_post(host, made, on_answered, call);
}

/* ---- reading ---- */

static unsigned hello(void *self, struct mw_buf *out)
{
    struct mw_host *host = self;
    struct mw_json json;
    bool leaves = mw_host_leaves(host);
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_kstr(&json, "product", MW_STR("millwright"));
    mw_json_kstr(&json, "version", MW_STR(MW_PRODUCT_VERSION));
    mw_json_kstr(&json, "build", mw_str_of(mw_build_id()));
    mw_json_ku64(&json, "api", MW_API_VERSION);
    mw_json_ku64(&json, "pid", (uint64_t)getpid());
    mw_json_kstr(&json, "since", mw_str_of(host->since));
    mw_json_kstr(&json, "workspace", mw_str_of(host->workspace));
    if (mw_host_api_has_port(host))
        mw_json_kstr(&json, "listens", mw_str_of(((struct server *)host->api)->address));
    mw_json_kstr(&json, "state",
                 leaves                     ? MW_STR("draining")
                 : host->replaying          ? MW_STR("replaying")
                 : host->read_only_for != 0 ? MW_STR("read-only")
                                            : MW_STR("ready"));
    if (host->read_only_for != 0)
        mw_json_ku64(&json, "readOnlyFor", host->read_only_for);
    if (host->replaying)
        mw_json_ku64(&json, "replayed", __atomic_load_n(&host->replayed, __ATOMIC_RELAXED));
    else
        mw_json_ku64(&json, "durable", host->durable);
    mw_json_object_end(&json);
    return host->replaying || leaves ? 503 : 200;
}

static uint64_t time_us(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

/* What the memory holds, for whoever wants to compare it with a replay (verify). */
static unsigned state(const struct mw_host *host, struct mw_buf *out)
{
    char sha256[MW_SHA256_HEX];
    struct mw_json json;
    mw_core_digest(&host->core, sha256);
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_ku64(&json, "seq", host->core.world.last_seq);
    mw_json_ku64(&json, "durable", host->durable);
    mw_json_kstr(&json, "sha256", mw_str_of(sha256));
    mw_json_object_end(&json);
    return 200;
}

/* What the host has cost so far, for whoever measures it: its own processor time and what it made the disk do. */
static unsigned stats(const struct mw_host *host, struct mw_buf *out)
{
    const struct mw_journal_stats *journal = &host->journal_stats;
    struct rusage own = {0}, children = {0};
    struct mw_json json;
    (void)getrusage(RUSAGE_SELF, &own);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_ku64(&json, "durable", host->durable);
    mw_json_ku64(&json, "journalBytes", journal->bytes);
    mw_json_ku64(&json, "frames", journal->frames);
    mw_json_ku64(&json, "fileSyncs", journal->file_syncs);
    mw_json_ku64(&json, "folderSyncs", journal->folder_syncs);
    mw_json_ku64(&json, "headSyncs", journal->head_syncs);
    mw_json_ku64(&json, "blobSyncs", mw_blobs_syncs());
    mw_json_ku64(&json, "cpuUs", time_us(&own.ru_utime) + time_us(&own.ru_stime));
    mw_json_ku64(&json, "childrenCpuUs",
                 time_us(&children.ru_utime) + time_us(&children.ru_stime) +
                     mw_exec_server_cpu_us());
    mw_json_ku64(&json, "maxRssKiB", (uint64_t)own.ru_maxrss);
    mw_json_ku64(&json, "stateBytes", host->core.world.mem.used_bytes);
    mw_json_object_end(&json);
    return 200;
}

static unsigned view(void *self, struct mw_str name, const struct mw_api_query *query,
                     struct mw_buf *out)
{
    struct mw_host *host = self;
    struct mw_view_query asked = {.name = name};
    if (host->replaying || mw_host_leaves(host)) { /* what is read is not settled yet (P01) */
        mw_api_error_body(out, MW_E_CONFLICT,
                          host->replaying ? MW_STR("the host is starting: ask again")
                                          : MW_STR("the host is leaving: ask again"),
                          MW_STR_NONE);
        return 503;
    }
    if (mw_str_is(name, "state") && host->read_only_for == 0)
        return state(host, out);
    if (mw_str_is(name, "stats"))
        return stats(host, out);
    struct mw_err err = {0};
    for (uint32_t i = 0; i < query->count && i < MW_VIEW_ARGS_MAX; i++, asked.count++) {
        asked.keys[i] = query->keys[i];
        asked.values[i] = query->values[i];
    }
    enum mw_rc rc = mw_offline_view_until(host->workspace, &asked, host->durable, out, &err);
    if (rc == MW_OK)
        return 200;
    mw_buf_reset(out);
    mw_api_error_body(out, rc, mw_str_of(err.text), MW_STR_NONE);
    return mw_api_status_of(rc);
}

/* Children are ended with us and asked again by the next host: nothing is lost by leaving now. */
static unsigned shut_down(void *self, struct mw_buf *out)
{
    struct mw_host *host = self;
    mw_buf_put_z(out, "{\"ok\":true}");
    mw_host_drain(host);
    return 200;
}

struct collecting {
    struct mw_buf *out;
    const struct mw_api_wanted *asked;
    size_t bytes_max;
    uint64_t last;
};

static enum mw_rc collect(void *user, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct collecting *wanted = user;
    if (wanted->out->len > wanted->bytes_max)
        return MW_FAIL(err, MW_E_LIMIT, "enough");
    wanted->last = seq;
    if (mw_api_wants(wanted->asked, line)) {
        mw_buf_put(wanted->out, line);
        mw_buf_put_c(wanted->out, '\n');
    }
    return MW_OK;
}

static enum mw_rc read_files(struct mw_host *host, struct collecting *wanted, struct mw_err *err)
{
    mw_autofree char *folder = mw_heap_format("%s/.millwright/journal", host->workspace);
    mw_autofree char *side = mw_heap_format("%s/.millwright", host->workspace);
    struct mw_journal_options options = {.side_dir = side};
    void *reader;
    uint64_t next;
    enum mw_rc rc = host->ops->reader_open(folder, &options, wanted->last + 1, &reader, err);
    if (rc != MW_OK)
        return rc;
    rc = host->ops->reader_read(reader, host->durable, collect, wanted, &next, err);
    host->ops->reader_close(reader);
    return rc;
}

static enum mw_rc records(void *self, uint64_t after, const struct mw_api_wanted *asked,
                          size_t bytes_max, struct mw_buf *out, uint64_t *ret_after,
                          struct mw_err *err)
{
    struct mw_host *host = self;
    struct collecting wanted = {.out = out, .asked = asked, .bytes_max = bytes_max, .last = after};
    if (host->replaying || after >= host->durable)
        return MW_OK;
    enum mw_rc rc = read_files(host, &wanted, err);
    *ret_after = wanted.last;
    return rc == MW_E_LIMIT ? MW_OK : rc;
}
