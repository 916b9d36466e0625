/* A request keeps its messageId over lost connections, refusals keep their code, and a host of another build is not read from. */
#include "cli/link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "posix/file.h"
#include "posix/heap.h"

/* What the fake host answers, one connection each; "" closes without a word. Requests are written to `seen`. */
struct script {
    const char *answers[8];
};

#define HELLO(build)                                                                               \
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"product\":\"millwright\",\"build\":\"" build   \
    "\",\"api\":1,\"pid\":1}"
#define DONE                                                                                       \
    "HTTP/1.1 200 "                                                                                \
    "OK\r\n\r\n{\"ok\":true,\"first\":7,\"last\":9,\"traceId\":\"tr-7\",\"duplicate\":false}"

struct fixture {
    char root[64];
    int listener, seen;
    pid_t host;
    struct mw_cli cli;
};

static const char *build_id(void)
{
    return "b1";
}

static enum mw_rc offline_view(const char *workspace, const char *name,
                               const struct mw_cli_arg *args, uint32_t arg_count,
                               struct mw_buf *out, struct mw_err *err)
{
    (void)workspace;
    (void)args;
    (void)arg_count;
    if (strcmp(name, "status") != 0)
        return MW_FAIL(err, MW_E_MISSING, "nothing with that id");
    mw_buf_put_z(out, "{\"from\":\"offline\"}");
    return MW_OK;
}

static const struct mw_cli_ports ports = {.build_id = build_id, .offline_view = offline_view};

static void play(int listener, int seen, const struct script *script)
{
    for (size_t i = 0; i < MW_COUNT(script->answers) && script->answers[i] != NULL; i++) {
        char text[4096];
        int client = accept(listener, NULL, NULL);
        size_t len = 0, body = 0;
        const char *end = NULL;
        while (client >= 0 && len < sizeof(text) - 1) {
            ssize_t got = recv(client, text + len, sizeof(text) - 1 - len, 0);
            if (got <= 0)
                break;
            len += (size_t)got;
            text[len] = '\0';
            const char *length = strstr(text, "Content-Length: ");
            end = strstr(text, "\r\n\r\n");
            body = length != NULL ? (size_t)atoi(length + 16) : 0;
            if (end != NULL && len >= (size_t)(end - text) + 4 + body)
                break;
        }
        (void)!write(seen, text, len);
        (void)!write(seen, "\n", 1);
        (void)!write(client, script->answers[i], strlen(script->answers[i]));
        (void)close(client);
    }
    _exit(0);
}

static void begin(struct fixture *fixture, const char *deep, const struct script *script)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int pipe_fds[2];
    (void)snprintf(fixture->root, sizeof(fixture->root), "/tmp/mw-link-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    fixture->cli = (struct mw_cli){.ports = &ports};
    fixture->cli.workspace = mw_heap_format("%s%s", fixture->root, deep);
    mw_heap_arena(&fixture->cli.arena, 16u << 20);
    mw_autofree char *state = mw_heap_format("%s/.millwright", fixture->cli.workspace);
    assert_int_equal(mw_mkdirs(AT_FDCWD, state, 0700, NULL), MW_OK);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(state), 0); /* the path may be longer than an address */
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "millwright.sock");
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(listen(fixture->listener, 8), 0);
    assert_int_equal(pipe(pipe_fds), 0);
    fixture->host = fork();
    if (fixture->host == 0)
        play(fixture->listener, pipe_fds[1], script);
    (void)close(pipe_fds[1]);
    (void)close(fixture->listener);
    fixture->seen = pipe_fds[0];
}

/* Everything that the host was asked. */
static char *end(struct fixture *fixture)
{
    struct mw_buf said = mw_heap_buf();
    char block[4096];
    ssize_t got;
    int status;
    while ((got = read(fixture->seen, block, sizeof(block))) > 0)
        mw_buf_put(&said, (struct mw_str){block, (size_t)got});
    (void)close(fixture->seen);
    assert_int_equal(waitpid(fixture->host, &status, 0), fixture->host);
    mw_buf_put_c(&said, '\0');
    assert_int_equal(mw_remove_tree(AT_FDCWD, fixture->root, NULL), MW_OK);
    mw_heap_free(fixture->cli.workspace);
    mw_heap_arena_free(&fixture->cli.arena);
    return said.ptr;
}

static void test_a_lost_connection_is_asked_again_with_the_same_message_id(void **state)
{
    static const struct script script = {{HELLO("b1"), "", HELLO("b1"), DONE}};
    struct fixture fixture;
    struct mw_post post;
    struct mw_posted posted;
    struct mw_err err = {0};
    (void)state;
    begin(&fixture, "", &script);
    mw_post_begin(&post, "AcceptDraft");
    mw_json_kstr(&post.json, "buildId", MW_STR("b-1"));
    mw_autofree char *id = mw_heap_copy(mw_str_of(post.message_id));
    assert_int_equal(mw_post_send(&fixture.cli, &post, &posted, &err), MW_OK);
    assert_int_equal(posted.first, 7);
    assert_true(mw_str_is(posted.trace_id, "tr-7"));
    mw_autofree char *said = end(&fixture);
    char *first = strstr(said, id);
    assert_non_null(first);
    assert_non_null(strstr(first + 1, id)); /* twice the same */
    assert_non_null(strstr(said, "POST /v1/requests/AcceptDraft HTTP/1.1"));
    assert_non_null(strstr(said, "Millwright-Path: "));
    assert_non_null(strstr(said, "\"actor\":\"user:"));
    assert_non_null(strstr(said, "\"buildId\":\"b-1\"}"));
}

static const struct {
    const char *answer;
    enum mw_rc rc;
    int exit_code;
} refusals[] = {
    {"HTTP/1.1 400 x\r\n\r\n{\"error\":{\"code\":\"input\",\"message\":\"why\"}}", MW_E_USAGE, 2},
    {"HTTP/1.1 403 x\r\n\r\n{\"error\":{\"code\":\"denied\",\"message\":\"why\"}}", MW_E_DENIED,
     77},
    {"HTTP/1.1 404 x\r\n\r\n{\"error\":{\"code\":\"missing\",\"message\":\"why\"}}", MW_E_USAGE, 2},
    {"HTTP/1.1 409 x\r\n\r\n{\"error\":{\"code\":\"conflict\",\"message\":\"why\"}}", MW_E_CONFLICT,
     75},
    {"HTTP/1.1 422 x\r\n\r\n{\"error\":{\"code\":\"config\",\"message\":\"why\"}}", MW_E_CONFIG,
     78},
    {"HTTP/1.1 429 x\r\n\r\n{\"error\":{\"code\":\"limit\",\"message\":\"why\"}}", MW_E_LIMIT, 4},
    {"HTTP/1.1 507 x\r\n\r\n{\"error\":{\"code\":\"full\",\"message\":\"why\"}}", MW_E_FULL, 74},
};

static void test_a_refusal_keeps_its_words_and_its_exit_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_COUNT(refusals); i++) {
        struct script script = {{HELLO("b1"), refusals[i].answer}};
        struct fixture fixture;
        struct mw_post post;
        struct mw_posted posted;
        struct mw_err err = {0};
        begin(&fixture, "", &script);
        mw_post_begin(&post, "Promote");
        assert_int_equal(mw_post_send(&fixture.cli, &post, &posted, &err), refusals[i].rc);
        assert_string_equal(err.text, "why");
        assert_int_equal(mw_rc_exit_code(err.rc), refusals[i].exit_code);
        free(end(&fixture));
    }
}

static void test_views_come_from_the_host_of_this_build_else_from_the_files(void **state)
{
    static const struct script same = {{HELLO("b1"), "HTTP/1.1 200 OK\r\n\r\n{\"from\":\"host\"}"}};
    static const struct script other = {{HELLO("b2")}};
    const char *deep = "/a-path-that-is-longer-than-a-socket-address-may-be/"
                       "a-path-that-is-longer-than-a-socket-address-may-be/x";
    struct fixture fixture;
    struct mw_tape tape;
    struct mw_err err = {0};
    struct mw_cli_arg args[] = {{"build", "b 1"}};
    (void)state;
    begin(&fixture, deep, &same);
    assert_int_equal(mw_link_view_tape(&fixture.cli, "status", args, 1, &tape, &err), MW_OK);
    assert_true(mw_str_is(mw_node_get_text(&tape, 0, "from"), "host"));
    mw_autofree char *said = end(&fixture);
    assert_non_null(strstr(said, "GET /v1/views/status?build=b%201 HTTP/1.1"));
    begin(&fixture, "", &other);
    assert_int_equal(mw_link_view_tape(&fixture.cli, "status", NULL, 0, &tape, &err), MW_OK);
    assert_true(mw_str_is(mw_node_get_text(&tape, 0, "from"), "offline"));
    /* The script is over: nobody listens any more. */
    assert_int_equal(mw_link_view_tape(&fixture.cli, "build", NULL, 0, &tape, &err), MW_E_USAGE);
    /* Who shows candidates beside a refusal does not ask why there are none. */
    assert_int_equal(mw_link_view_tape(&fixture.cli, "build", NULL, 0, &tape, NULL), MW_E_USAGE);
    free(end(&fixture));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_connection_is_asked_again_with_the_same_message_id),
        cmocka_unit_test(test_a_refusal_keeps_its_words_and_its_exit_code),
        cmocka_unit_test(test_views_come_from_the_host_of_this_build_else_from_the_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
