/*
 * What a caller sends, through the host's own sockets: heads, queries, bodies of requests and of workers. The first byte says how: as it
 * stands or in a sound head, over the workspace's socket or the port, in one piece or two, answered at once or later. The second says what it is.
 *
 * A sound head is always answered, with one of the statuses of docs/api.md; whatever is said to be JSON is, to another reader; over the port
 * nothing is let in without the token; and no secret gets into a request. Nothing is decided or written: what is posted ends here. What is read
 * is a kept journal.
 */
#include "api/api.h"
#include "fuzz.h"
#include "host/internal.h"
#include "host/offline.h"
#include "host/workers_state.h"
#include "journal/files.h"

#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 8192
#define SECRET "correct-horse-battery"
#define TURNS_MAX 64  /* of the loop, without a byte that moves: then nobody answers */
#define LATER_MAX 64u /* requests whose answers wait */

static struct mw_host host;
static char workspace[64];
static char token[MW_API_TOKEN_TEXT];
static uint16_t port;
static uint64_t later_ms; /* the clock has been put forward by so much */

/* ---- what would decide, write or wait ---- */

void __wrap_mw_host_log(const struct mw_host *self, const char *level, const char *event,
                        const char *format, ...);
void __wrap_mw_host_log(const struct mw_host *self, const char *level, const char *event,
                        const char *format, ...)
{
    (void)self, (void)level, (void)event, (void)format;
}

void __wrap_mw_host_drain(struct mw_host *self);
void __wrap_mw_host_drain(struct mw_host *self)
{
    (void)self;
}

enum mw_rc __wrap_mw_pins_refresh(struct mw_host *self, struct mw_err *err);
enum mw_rc __wrap_mw_pins_refresh(struct mw_host *self, struct mw_err *err)
{
    (void)self, (void)err;
    return MW_OK;
}

enum mw_rc __wrap_mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                              char ret_sha256[MW_SHA256_HEX], struct mw_err *err);
enum mw_rc __wrap_mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                              char ret_sha256[MW_SHA256_HEX], struct mw_err *err)
{
    (void)blobs, (void)err;
    MW_ASSERT(memmem(bytes.ptr, bytes.len, SECRET, strlen(SECRET)) == NULL);
    mw_sha256_hex(bytes, ret_sha256);
    return MW_OK;
}

uint64_t __real_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_now(const uv_loop_t *loop)
{
    return __real_uv_now(loop) + later_ms;
}

/* ---- what is posted ---- */

static struct {
    struct mw_post *post;
    mw_host_answered *answered;
    void *user;
} later[LATER_MAX];
static uint32_t later_count;
static bool answers_later;

static void answer(struct mw_post *post, mw_host_answered *answered, void *user)
{
    struct mw_host_answer said = {.first = 7, .last = 8, .trace_id = "tr-000000-7"};
    if (post->request.body_hash.len % 2 == 1) {
        said.rc = MW_E_CONFLICT;
        (void)snprintf(said.text, sizeof said.text, "it does not fit");
    }
    if (answered != NULL)
        answered(user, &said);
    mw_post_discard(&host, post);
}

/* A record can be made of it: it is an object that says no secret, and what it is known by is there. */
void __wrap_mw_host_post(struct mw_host *self, struct mw_post *post, mw_host_answered *answered,
                         void *user);
void __wrap_mw_host_post(struct mw_host *self, struct mw_post *post, mw_host_answered *answered,
                         void *user)
{
    struct mw_buf text = mw_heap_buf();
    struct mw_json json;
    MW_ASSERT(self == &host && mw_node_type(&post->tape, 0) == MW_NODE_OBJECT);
    MW_ASSERT(post->request.actor.len > 0);
    mw_json_init(&json, &text);
    mw_json_node(&json, &post->tape, 0);
    MW_ASSERT(memmem(text.ptr, text.len, SECRET, strlen(SECRET)) == NULL);
    mw_heap_buf_free(&text);
    if (!answers_later || later_count == LATER_MAX) {
        answer(post, answered, user);
        return;
    }
    later[later_count].post = post;
    later[later_count].answered = answered;
    later[later_count++].user = user;
}

/* That an agent is well, or is not. */
void __wrap_mw_host_tell(struct mw_host *self, enum mw_request_kind kind, mw_seq item, mw_seq fence,
                         struct mw_str body_text);
void __wrap_mw_host_tell(struct mw_host *self, enum mw_request_kind kind, mw_seq item, mw_seq fence,
                         struct mw_str body_text)
{
    (void)self, (void)item, (void)fence;
    MW_ASSERT(kind == MW_REQ_SET_HEALTH && body_text.len > 0);
}

/* The files that an answer of a person names: they are there, or are not. */
void __wrap_mw_answer_files_begin(struct mw_host *self, mw_seq item, struct mw_str folder,
                                  struct mw_str body, struct mw_api_call *call,
                                  mw_files_taken *taken);
void __wrap_mw_answer_files_begin(struct mw_host *self, mw_seq item, struct mw_str folder,
                                  struct mw_str body, struct mw_api_call *call,
                                  mw_files_taken *taken)
{
    const struct mw_err missing = {.rc = MW_E_MISSING, .text = "no such folder"};
    (void)item;
    taken(self, body, "", folder.len % 2 == 0 ? NULL : &missing, call);
}

/* ---- the host ---- */

static void remove_workspace(void)
{
    (void)mw_remove_tree(AT_FDCWD, workspace, NULL);
}

static enum mw_rc count_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)line, (void)err;
    *(mw_seq *)context = seq;
    return MW_OK;
}

/* A journal of an earlier release, with a build in it: views and streams have something to say. */
static void add_journal(void)
{
    static const char from[] =
        MW_SOURCE_DIR "/tests/golden/journals/0.1.0/journal/00000000000000000001.jsonl";
    struct mw_buf text = mw_heap_buf();
    MW_ASSERT(mw_file_read(AT_FDCWD, from, (size_t)1 << 20, &text, NULL) == MW_OK);
    MW_ASSERT(mw_file_put(host.workspace_fd, ".millwright/journal/00000000000000000001.jsonl",
                          mw_buf_str(&text), 0600, NULL) == MW_OK);
    MW_ASSERT(mw_offline_journal(workspace, count_record, &host.durable, NULL) == MW_OK);
    MW_ASSERT(host.durable > 100);
    mw_heap_buf_free(&text);
}

/* One agent takes its work over the socket; there have been records, and none of its tasks is open. */
static void add_worker_agent(void)
{
    static struct mw_agent agent = {.healthy = true};
    agent.id = MW_STR("echo");
    agent.def.kind = MW_AGENT_WORKER;
    agent.def.lease_ms = 5000;
    host.core.work.agents = &agent;
    host.core.work.agent_count = 1;
    host.core.world.last_seq = 1000;
}

static int connect_here(bool over_port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(over_port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s/.millwright/millwright.sock",
                   workspace);
    MW_ASSERT(fd >= 0);
    MW_ASSERT(over_port ? connect(fd, (struct sockaddr *)&address, sizeof address) == 0
                        : connect(fd, (struct sockaddr *)&name, sizeof name) == 0);
    return fd;
}

static void make_host(void)
{
    static const char *const folders[] = {".millwright/cache", ".millwright/log",
                                          ".millwright/journal"};
    const struct mw_core_config config = {.region = mw_heap_reserve((size_t)256 << 20),
                                          .region_bytes = (size_t)256 << 20,
                                          .region_zeroed = true,
                                          .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                          .arena_bytes = MW_STEP_ARENA_BYTES};
    struct mw_buf text = mw_heap_buf();
    struct mw_err err = {0};
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(workspace, sizeof workspace, "%s/mw-fuzz-api-XXXXXX", tmp);
    MW_ASSERT(mkdtemp(workspace) != NULL && setenv("MILLWRIGHT_LISTEN", "127.0.0.1:0", 1) == 0);
    (void)atexit(remove_workspace);
    host.workspace = workspace;
    host.workspace_fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < MW_COUNT(folders); i++)
        MW_ASSERT(mw_mkdirs(host.workspace_fd, folders[i], 0700, NULL) == MW_OK);
    mw_core_init(&host.core, &config);
    MW_ASSERT(uv_loop_init(&host.loop) == 0);
    MW_ASSERT(mw_blobs_open(host.workspace_fd, ".millwright", &host.blobs, &err) == MW_OK);
    host.blobs_open = true;
    host.ops = &mw_journal_files;
    host.path = mw_heap_copy(MW_STR("/bin"));
    host.mask = mw_mask_make();
    mw_mask_add(host.mask, MW_STR("passphrase"), MW_STR(SECRET));
    add_worker_agent();
    add_journal();
    MW_ASSERT(mw_host_api_start(&host, &err) == MW_OK);
    MW_ASSERT(mw_file_read(host.workspace_fd, ".millwright/token", sizeof token, &text, NULL) ==
              MW_OK);
    MW_ASSERT(text.len == sizeof token - 1);
    memcpy(token, text.ptr, text.len);
    mw_heap_buf_free(&text);
}

/* ---- a conversation ---- */

static void run_loop(void)
{
    (void)uv_run(&host.loop, UV_RUN_NOWAIT);
    while (later_count > 0) {
        later_count--;
        answer(later[later_count].post, later[later_count].answered, later[later_count].user);
    }
}

/* So much that no worker's request waits longer. */
static void pass_time(void)
{
    later_ms += 2 * MW_WORKER_WAIT_MAX;
    if (host.workers != NULL && host.workers->timer.timer_cb != NULL)
        host.workers->timer.timer_cb(&host.workers->timer);
}

/* Whatever comes until nothing more does. */
static void hear(int fd, struct mw_buf *heard)
{
    char some[4096];
    for (unsigned still = 0; still < TURNS_MAX && heard->len < (size_t)1 << 20; still++) {
        run_loop();
        ssize_t got = recv(fd, some, sizeof some, MSG_DONTWAIT);
        if (got == 0)
            return;
        if (got > 0) {
            mw_buf_put(heard, (struct mw_str){some, (size_t)got});
            still = 0;
        }
        if (still == TURNS_MAX / 2) /* who waits for a task waits no more */
            pass_time();
    }
}

static void say(int fd, struct mw_str words, struct mw_buf *heard, bool in_two)
{
    size_t first = in_two ? words.len / 2 : words.len;
    MW_ASSERT(send(fd, words.ptr, first, MSG_NOSIGNAL) == (ssize_t)first);
    if (in_two) {
        run_loop();
        /* It may have been refused by now, and the connection closed. */
        struct mw_str rest = mw_str_sub(words, first, words.len);
        (void)send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
    }
    hear(fd, heard);
}

static struct mw_str header_of(struct mw_str head, const char *name)
{
    mw_autofree char *start = mw_heap_format("\r\n%s: ", name);
    const char *at = memmem(head.ptr, head.len, start, strlen(start));
    if (at == NULL)
        return MW_STR_NONE;
    size_t from = (size_t)(at - head.ptr) + strlen(start);
    return mw_str_sub(head, from, mw_str_find(head, '\r', from) - from);
}

/* The status of the first answer; 0: there is none. */
static int judge(struct mw_str heard, bool sound)
{
    static const int statuses[] = {200, 400, 401, 403, 404, 405, 409, 410, 411,
                                   413, 414, 415, 422, 423, 429, 503, 507};
    char line[16] = "";
    bool known = false;
    const char *end = heard.len > 0 ? memmem(heard.ptr, heard.len, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        return 0;
    struct mw_str head = mw_str_sub(heard, 0, (size_t)(end - heard.ptr) + 2);
    memcpy(line, head.ptr, head.len < 12 ? head.len : 12);
    MW_ASSERT(strncmp(line, "HTTP/1.", 7) == 0);
    int status = atoi(line + 9);
    for (size_t i = 0; i < MW_COUNT(statuses); i++)
        known = known || statuses[i] == status;
    MW_ASSERT(known || !sound);
    uint64_t length = 0;
    if (!mw_str_is(header_of(head, "content-type"), "application/json"))
        return status;
    MW_ASSERT(mw_str_to_u64(header_of(head, "Content-Length"), &length));
    struct mw_str body = mw_str_sub(heard, head.len + 2, (size_t)length);
    MW_ASSERT(body.len == length);
    json_t *json = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    MW_ASSERT(json_is_object(json));
    MW_ASSERT((status == 200) == (json_object_get(json, "error") == NULL) || status == 503);
    json_decref(json);
    return status;
}

/* ---- an input ---- */

static const char *path_of(uint8_t what)
{
    static const char *const paths[] = {"/v1/agents/echo/lease", "/v1/agents/echo/answers",
                                        "/v1/agents/echo/heartbeat", "/v1/shutdown"};
    static char path[128];
    if (what < MW_COUNT(paths))
        return paths[what];
    (void)snprintf(path, sizeof path, "/v1/requests/%s",
                   mw_request_info((enum mw_request_kind)(what % MW_REQUEST_COUNT))->name);
    return path;
}

/* what odd: the text is an address of a view or of the journal, as far as a head can hold it; even: a body. */
static void put_request(struct mw_buf *words, uint8_t what, struct mw_str text, bool over_port,
                        const char *bearer)
{
    if (what % 2 == 1) {
        mw_buf_printf(words, "GET /v1/%s", what & 2 ? "views/" : "journal?");
        for (size_t i = 0; i < text.len && i < 2048; i++)
            mw_buf_put_c(words, text.ptr[i] > ' ' && text.ptr[i] < 127 ? text.ptr[i] : '+');
        mw_buf_put_z(words, " HTTP/1.1\r\n");
    } else {
        mw_buf_printf(words, "POST %s HTTP/1.1\r\ncontent-type: application/json\r\n",
                      path_of(what / 2));
        mw_buf_printf(words, "content-length: %zu\r\n", text.len);
    }
    if (over_port)
        mw_buf_printf(words, "host: 127.0.0.1:%u\r\nauthorization: Bearer %s\r\n", port, bearer);
    else
        mw_buf_put_z(words, "host: x\r\n");
    mw_buf_put_z(words, "\r\n");
    if (what % 2 == 0)
        mw_buf_put(words, text);
}

static void find_port(void)
{
    struct mw_buf heard = mw_heap_buf();
    int fd = connect_here(false);
    say(fd, MW_STR("GET /v1/hello HTTP/1.1\r\nhost: x\r\n\r\n"), &heard, false);
    mw_buf_put_c(&heard, '\0');
    const char *at = strstr(heard.ptr, "\"listens\":\"127.0.0.1:");
    MW_ASSERT(at != NULL);
    port = (uint16_t)atoi(at + strlen("\"listens\":\"127.0.0.1:"));
    mw_heap_buf_free(&heard);
    (void)close(fd);
    run_loop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *memory;
    struct mw_buf words = mw_heap_buf(), heard = mw_heap_buf();
    if (workspace[0] == '\0') {
        make_host();
        find_port();
    }
    if (size < 2 || size > INPUT_BYTES_MAX)
        return 0;
    struct mw_str text = fuzz_rest(data + 2, size - 2, &memory);
    bool sound = data[0] & 1, over_port = data[0] & 2, in_two = data[0] & 4;
    answers_later = data[0] & 8;
    char bearer[MW_API_TOKEN_TEXT];
    bool spoilt = sound && over_port && data[0] & 16;
    memcpy(bearer, token, sizeof bearer);
    if (spoilt) /* the first digit to the last, each 9 apart */
        bearer[data[0] / 32 * 9] ^= 1;
    if (sound)
        put_request(&words, data[1], text, over_port, bearer);
    else
        mw_buf_put(&words, text);
    int fd = connect_here(over_port);
    say(fd, mw_buf_str(&words), &heard, in_two);
    int status = judge(mw_buf_str(&heard), sound);
    MW_ASSERT(!sound || status != 0);
    MW_ASSERT(sound || !over_port || status != 200);
    MW_ASSERT(!spoilt || status == 401);
    (void)close(fd);
    for (unsigned i = 0; i < 4; i++)
        run_loop();
    mw_pins_trim(&host);
    mw_heap_buf_free(&words);
    mw_heap_buf_free(&heard);
    mw_heap_free(memory);
    return 0;
}
