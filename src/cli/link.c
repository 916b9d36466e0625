#include "cli/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/start.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

#define POST_TRIES_MAX 4 /* a host that dies under each of them is no accident any more */
#define AGAIN_MS 50      /* between two looks at a host that reads its journal or leaves */
#define CLOSING_NS (2ll * 1000000000) /* for a host that listens no more to close its journal */

static enum mw_rc ask(struct mw_cli *cli, const struct mw_http_request *request, int timeout_ms,
                      struct mw_http_stream *ret_stream, struct mw_err *err);
static enum mw_rc refusal(struct mw_cli *cli, const struct mw_http_stream *stream,
                          struct mw_err *err);
static enum mw_rc hello(struct mw_cli *cli, int *ret_status, struct mw_str *ret_text,
                        struct mw_err *err);
static bool is_same_build(struct mw_cli *cli, struct mw_str hello_text);

void mw_uuid7(char ret_text[37])
{
    static const int breaks[] = {4, 6, 8, 10};
    uint8_t bytes[16];
    uint64_t ms = (uint64_t)mw_now_unix_us() / 1000;
    size_t at = 0, next = 0;
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        MW_UNREACHABLE("16 random bytes are always given");
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (int i = 0; i < 16; i++) {
        if (next < MW_COUNT(breaks) && i == breaks[next]) {
            ret_text[at++] = '-';
            next++;
        }
        mw_hex(bytes + i, 1, ret_text + at);
        at += 2;
    }
    ret_text[at] = '\0';
}

/* ---- posting ---- */

static void put_actor(struct mw_json *json)
{
    const char *user = getenv("USER");
    const struct passwd *entry = user == NULL || *user == '\0' ? getpwuid(geteuid()) : NULL;
    mw_autofree char *actor =
        mw_heap_format("user:%s", entry != NULL                   ? entry->pw_name
                                  : user != NULL && *user != '\0' ? user
                                                                  : "unknown");
    mw_json_kstr(json, "actor", mw_str_of(actor));
}

void mw_post_begin(struct mw_post *post, const char *name)
{
    *post = (struct mw_post){.name = name, .body = mw_heap_buf()};
    mw_uuid7(post->message_id);
    mw_json_init(&post->json, &post->body);
    mw_json_object(&post->json);
    mw_json_kstr(&post->json, "messageId", mw_str_of(post->message_id));
    put_actor(&post->json);
}

/* One try. *ret_again: the connection was lost, or the host is leaving: the same may be said once more. */
static enum mw_rc post_once(struct mw_cli *cli, const struct mw_post *post, bool *ret_again,
                            struct mw_posted *ret_posted, struct mw_err *err)
{
    struct mw_http_stream stream;
    struct mw_tape tape;
    const char *path = getenv("PATH");
    mw_autofree char *target = mw_heap_format("/v1/requests/%s", post->name);
    mw_autofree char *headers = mw_heap_format(
        "Millwright-Path: %s\r\n",
        path != NULL && strpbrk(path, "\r\n") == NULL ? path : "/usr/local/bin:/usr/bin:/bin");
    *ret_again = true;
    enum mw_rc rc = mw_link_ensure(cli, err);
    if (rc != MW_OK) {
        *ret_again = false;
        return rc;
    }
    struct mw_http_request request = {"POST", target, headers, mw_buf_str(&post->body), false};
    rc = ask(cli, &request, MW_LINK_ANSWER_MS, &stream, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_http_rest(&stream, MW_LINK_ANSWER_MS, MW_HTTP_BODY_BYTES_MAX, err);
    *ret_again = rc == MW_E_IO;
    if (rc == MW_OK && stream.status != 200) {
        *ret_again = stream.status == 503;
        rc = refusal(cli, &stream, err);
    } else if (rc == MW_OK) {
        struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&stream.body));
        rc = mw_json_parse(&cli->arena, text, &tape, err);
    }
    if (rc == MW_OK)
        *ret_posted = (struct mw_posted){
            .first = mw_node_int(&tape, mw_node_get(&tape, 0, "first"), 0),
            .last = mw_node_int(&tape, mw_node_get(&tape, 0, "last"), 0),
            .trace_id = mw_node_get_text(&tape, 0, "traceId"),
            .duplicate = mw_node_bool(&tape, mw_node_get(&tape, 0, "duplicate"), false)};
    mw_http_close(&stream);
    return rc;
}

enum mw_rc mw_post_send(struct mw_cli *cli, struct mw_post *post, struct mw_posted *ret_posted,
                        struct mw_err *err)
{
    bool again = false;
    mw_json_object_end(&post->json);
    enum mw_rc rc = post_once(cli, post, &again, ret_posted, err);
    /* The messageId makes this safe: what was done is answered, not done twice. */
    for (unsigned tries = 1; rc != MW_OK && again && tries < POST_TRIES_MAX; tries++) {
        cli->host_checked = false;
        rc = post_once(cli, post, &again, ret_posted, err);
    }
    mw_heap_buf_free(&post->body);
    return rc;
}

/* ---- views ---- */

static void view_target(struct mw_buf *target, const char *name, const struct mw_cli_arg *args,
                        uint32_t arg_count)
{
    mw_buf_printf(target, "/v1/views/%s", name);
    for (uint32_t i = 0; i < arg_count; i++) {
        mw_buf_put_c(target, i == 0 ? '?' : '&');
        mw_buf_put_z(target, args[i].key);
        mw_buf_put_c(target, '=');
        mw_http_encode(target, args[i].value);
    }
    mw_buf_put_c(target, '\0');
}

static enum mw_rc host_view(struct mw_cli *cli, const char *name, const struct mw_cli_arg *args,
                            uint32_t arg_count, struct mw_buf *out, struct mw_err *err)
{
    struct mw_http_stream stream;
    struct mw_buf target = mw_heap_buf();
    view_target(&target, name, args, arg_count);
    struct mw_http_request request = {"GET", target.ptr, "", MW_STR_NONE, false};
    enum mw_rc rc = ask(cli, &request, MW_LINK_ANSWER_MS, &stream, err);
    mw_heap_buf_free(&target);
    if (rc != MW_OK)
        return rc;
    rc = mw_http_rest(&stream, MW_LINK_ANSWER_MS, MW_HTTP_BODY_BYTES_MAX, err);
    if (rc == MW_OK && stream.status != 200)
        rc = refusal(cli, &stream, err);
    if (rc == MW_OK)
        mw_buf_put(out, mw_buf_str(&stream.body));
    mw_http_close(&stream);
    return rc;
}

enum mw_rc mw_link_view(struct mw_cli *cli, const char *name, const struct mw_cli_arg *args,
                        uint32_t arg_count, struct mw_buf *out, struct mw_err *err)
{
    struct mw_str text;
    struct mw_err unheard;
    err = err != NULL ? err : &unheard;
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, err);
    if (rc != MW_OK)
        return rc;
    if (mw_link_running(cli, &text) && is_same_build(cli, text)) {
        rc = host_view(cli, name, args, arg_count, out, err);
        if (rc != MW_E_IO && rc != MW_E_TIMEOUT && rc != MW_E_CONFLICT) /* it is leaving */
            return rc;
    }
    if (cli->ports->offline_view == NULL)
        return MW_FAIL(err, MW_E_MISSING, "no host answers in %s", cli->workspace);
    size_t before = out->len;
    rc = cli->ports->offline_view(cli->workspace, name, args, arg_count, out, err);
    if (rc != MW_OK)
        out->len = before;
    /* A wrong id is the user's word, not a missing program. */
    if (rc == MW_E_MISSING && err->sys_errno == 0)
        err->rc = rc = MW_E_USAGE;
    return rc;
}

enum mw_rc mw_link_view_tape(struct mw_cli *cli, const char *name, const struct mw_cli_arg *args,
                             uint32_t arg_count, struct mw_tape *ret_tape, struct mw_err *err)
{
    struct mw_buf out = mw_heap_buf();
    enum mw_rc rc = mw_link_view(cli, name, args, arg_count, &out, err);
    if (rc == MW_OK) {
        struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&out));
        rc = mw_json_parse(&cli->arena, text, ret_tape, err);
    }
    mw_heap_buf_free(&out);
    return rc;
}

enum mw_rc mw_link_follow(struct mw_cli *cli, int64_t after, const char *trace, const char *kind,
                          struct mw_http_stream *ret_stream, struct mw_err *err)
{
    struct mw_buf target = mw_heap_buf();
    enum mw_rc rc = mw_link_ensure(cli, err);
    mw_buf_printf(&target, "/v1/journal?after=%ld", (long)after);
    if (trace != NULL) {
        mw_buf_put_z(&target, "&trace=");
        mw_http_encode(&target, trace);
    }
    if (kind != NULL)
        mw_buf_printf(&target, "&kind=%s", kind);
    mw_buf_put_z(&target, "&follow=1");
    mw_buf_put_c(&target, '\0');
    struct mw_http_request request = {"GET", target.ptr, "", MW_STR_NONE, false};
    if (rc == MW_OK)
        rc = ask(cli, &request, MW_LINK_ANSWER_MS, ret_stream, err);
    mw_heap_buf_free(&target);
    if (rc != MW_OK)
        return rc;
    rc = mw_http_head(ret_stream, MW_LINK_ANSWER_MS, err);
    if (rc == MW_OK && ret_stream->status != 200) {
        rc = mw_http_rest(ret_stream, MW_LINK_ANSWER_MS, MW_HTTP_HEAD_BYTES_MAX, err);
        if (rc == MW_OK)
            rc = refusal(cli, ret_stream, err);
    }
    if (rc != MW_OK)
        mw_http_close(ret_stream);
    return rc;
}

/* ---- the host ---- */

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MW_ASSERT(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd); /* nobody listens */
    return -1;
}

/* -1: nobody listens. A path too long for a socket's address goes through the opened folder. */
static int connect_host(const char *workspace)
{
    mw_autofree char *path = mw_heap_format("%s/.millwright/millwright.sock", workspace);
    if (strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path))
        return connect_path(path);
    path[strlen(path) - strlen("/millwright.sock")] = '\0';
    mw_autoclose int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    mw_autofree char *via = mw_heap_format("/proc/self/fd/%d/millwright.sock", folder);
    return folder >= 0 ? connect_path(via) : -1;
}

int mw_link_connect(const struct mw_cli *cli)
{
    return connect_host(cli->workspace);
}

static enum mw_rc ask(struct mw_cli *cli, const struct mw_http_request *request, int timeout_ms,
                      struct mw_http_stream *ret_stream, struct mw_err *err)
{
    int fd = connect_host(cli->workspace);
    if (fd < 0)
        return MW_FAIL(err, MW_E_IO, "no host answers in %s", cli->workspace);
    return mw_http_start(fd, request, timeout_ms, ret_stream, err);
}

static enum mw_rc rc_of_status(int status)
{
    switch (status) {
    case 400:
    case 404:
    case 405:
    case 410:
    case 413:
        return MW_E_USAGE;
    case 403:
        return MW_E_DENIED;
    case 409:
    case 503:
        return MW_E_CONFLICT;
    case 422:
        return MW_E_CONFIG;
    case 423:
        return MW_E_CORRUPT;
    case 429:
        return MW_E_LIMIT;
    case 507:
        return MW_E_FULL;
    default:
        return MW_E_IO;
    }
}

static enum mw_rc refusal(struct mw_cli *cli, const struct mw_http_stream *stream,
                          struct mw_err *err)
{
    struct mw_tape tape;
    struct mw_str message = MW_STR_NONE;
    struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&stream->body));
    if (mw_json_parse(&cli->arena, text, &tape, NULL) == MW_OK)
        message = mw_node_get_text(&tape, mw_node_get(&tape, 0, "error"), "message");
    if (message.len == 0)
        return MW_FAIL(err, rc_of_status(stream->status), "the host answered with status %d",
                       stream->status);
    return MW_FAIL(err, rc_of_status(stream->status), "%.*s", MW_STR_ARG(message));
}

static enum mw_rc hello(struct mw_cli *cli, int *ret_status, struct mw_str *ret_text,
                        struct mw_err *err)
{
    struct mw_http_stream stream;
    struct mw_http_request request = {"GET", "/v1/hello", "", MW_STR_NONE, false};
    enum mw_rc rc = ask(cli, &request, MW_LINK_ANSWER_MS, &stream, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_http_rest(&stream, MW_LINK_ANSWER_MS, MW_HTTP_HEAD_BYTES_MAX, err);
    if (rc == MW_OK) {
        *ret_status = stream.status;
        *ret_text = mw_arena_copy(&cli->arena, mw_buf_str(&stream.body));
    }
    mw_http_close(&stream);
    return rc;
}

bool mw_link_running(struct mw_cli *cli, struct mw_str *ret_hello)
{
    int status = 0;
    struct mw_str text;
    if (hello(cli, &status, &text, NULL) != MW_OK || status != 200)
        return false;
    if (ret_hello != NULL)
        *ret_hello = text;
    return true;
}

static bool is_same_build(struct mw_cli *cli, struct mw_str hello_text)
{
    struct mw_tape tape;
    const char *ours = cli->ports->build_id != NULL ? cli->ports->build_id() : "";
    if (mw_json_parse(&cli->arena, hello_text, &tape, NULL) != MW_OK ||
        mw_node_int(&tape, mw_node_get(&tape, 0, "api"), 0) != MW_CLI_API)
        return false;
    return *ours == '\0' || mw_str_is(mw_node_get_text(&tape, 0, "build"), ours);
}

static bool is_leaving(struct mw_cli *cli, struct mw_str hello_text)
{
    struct mw_tape tape;
    return mw_json_parse(&cli->arena, hello_text, &tape, NULL) == MW_OK &&
           mw_str_is(mw_node_get_text(&tape, 0, "state"), "draining");
}

static void wait_a_little(void)
{
    (void)poll(NULL, 0, AGAIN_MS); /* only its time matters */
}

enum mw_rc mw_link_ensure(struct mw_cli *cli, struct mw_err *err)
{
    int status = 0;
    bool told = false;
    struct mw_str text;
    if (cli->host_checked)
        return MW_OK;
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, err);
    if (rc != MW_OK)
        return rc;
    int64_t until_ns = mw_now_monotonic_ns() + (int64_t)MW_LINK_REPLAY_MS * 1000000;
    while (mw_now_monotonic_ns() < until_ns) {
        rc = hello(cli, &status, &text, err);
        if (rc == MW_E_IO) { /* nobody, or one that just left */
            rc = mw_host_start(cli, err);
            if (rc != MW_OK)
                return rc;
            continue;
        }
        if (rc != MW_OK)
            return rc;
        if (!is_same_build(cli, text)) {
            bool was;
            (void)fprintf(stderr, "millwright: another build's host runs here and is replaced; the "
                                  "tasks that run are begun again\n");
            rc = mw_link_stop(cli, &was, err);
            if (rc != MW_OK)
                return rc;
            continue;
        }
        if (status == 200) {
            cli->host_checked = true;
            return MW_OK;
        }
        if (!told && !is_leaving(cli, text)) {
            (void)fprintf(stderr, "millwright: the host reads its journal…\n");
            told = true;
        }
        wait_a_little();
    }
    return MW_FAIL(err, MW_E_TIMEOUT, "the host was not ready within %d s",
                   MW_LINK_REPLAY_MS / 1000);
}

enum mw_rc mw_link_stop(struct mw_cli *cli, bool *ret_was, struct mw_err *err)
{
    struct mw_http_stream stream;
    struct mw_http_request request = {"POST", "/v1/shutdown", "", MW_STR("{}"), false};
    *ret_was = false;
    if (ask(cli, &request, MW_LINK_ANSWER_MS, &stream, err) != MW_OK)
        return MW_OK; /* there is none */
    *ret_was = true;
    cli->host_checked = false;
    enum mw_rc rc = mw_http_rest(&stream, MW_LINK_ANSWER_MS, MW_HTTP_HEAD_BYTES_MAX, err);
    if (rc == MW_OK && stream.status >= 400)
        rc = refusal(cli, &stream, err);
    mw_http_close(&stream);
    if (rc != MW_OK && rc != MW_E_IO) /* a host that went at once did what was asked */
        return rc;
    mw_autofree char *socket = mw_heap_format("%s/.millwright/millwright.sock", cli->workspace);
    int64_t until_ns = mw_now_monotonic_ns() + (int64_t)MW_LINK_REPLAY_MS * 1000000;
    int64_t deaf_until_ns =
        0; /* nobody listens, but the socket is there: it closes its journal, or was killed over that */
    while (mw_now_monotonic_ns() < until_ns) {
        int fd = connect_host(cli->workspace);
        if (fd >= 0)
            (void)close(fd); /* only looked whether somebody listens */
        else if (deaf_until_ns == 0)
            deaf_until_ns = mw_now_monotonic_ns() + CLOSING_NS;
        if (fd < 0 && (!mw_exists(AT_FDCWD, socket) || mw_now_monotonic_ns() > deaf_until_ns))
            return MW_OK;
        wait_a_little();
    }
    return MW_FAIL(err, MW_E_CONFLICT, "the host still works after %d s: try later",
                   MW_LINK_REPLAY_MS / 1000);
}
