/* The client reads what a server may send, in whatever pieces, and refuses what two readers could read differently. */
#include "cli/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 2000

struct case_row {
    const char *name;
    const char *answer;
    enum mw_rc rc;
    int status;
    const char *body;
};

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static const struct case_row rows[] = {
    {"a body of known length", OK_HEAD "Content-Length: 5\r\n\r\nhello", MW_OK, 200, "hello"},
    {"no body at all", "HTTP/1.1 204 No Content\r\n\r\n", MW_OK, 204, ""},
    {"a body to the end of the connection", OK_HEAD "\r\nall of it", MW_OK, 200, "all of it"},
    {"chunks, with extension and trailer",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
     MW_OK, 200, "hello!"},
    {"an interim answer comes first",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", MW_OK,
     404, "{}"},
    {"the same length twice is one length",
     OK_HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", MW_OK, 200, "{}"},
    {"two lengths", OK_HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", MW_E_CORRUPT, 0,
     NULL},
    {"length and chunks", OK_HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
     MW_E_CORRUPT, 0, NULL},
    {"an unknown encoding", OK_HEAD "Transfer-Encoding: gzip\r\n\r\n", MW_E_CORRUPT, 0, NULL},
    {"a folded header", OK_HEAD "A: b\r\n c\r\n\r\n", MW_E_CORRUPT, 0, NULL},
    {"no HTTP", "SSH-2.0-x\r\n\r\n", MW_E_CORRUPT, 0, NULL},
    {"a chunk that is longer than it says",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", MW_E_CORRUPT, 0, NULL},
    {"a chunk size that is no number", OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
     MW_E_CORRUPT, 0, NULL},
    {"a chunk size beyond any body", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n123456789\r\n",
     MW_E_CORRUPT, 0, NULL},
    {"half a body", OK_HEAD "Content-Length: 9\r\n\r\nhalf", MW_E_IO, 0, NULL},
    {"half a head", "HTTP/1.1 200", MW_E_IO, 0, NULL},
    {"nothing", "", MW_E_IO, 0, NULL},
};

/* piece: how many bytes are sent before the client reads; 0: all at once. */
static enum mw_rc exchange(const struct case_row *row, size_t piece, struct mw_http_stream *stream,
                           struct mw_err *err)
{
    int fds[2];
    size_t len = strlen(row->answer), at = 0;
    struct mw_http_request request = {"GET", "/v1/hello", "", MW_STR_NONE, false};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    enum mw_rc rc = mw_http_start(fds[0], &request, WAIT_MS, stream, err);
    assert_int_equal(rc, MW_OK);
    /* A socket that is closed with bytes unread resets the connection, which is not what is meant here. */
    char said[1024];
    assert_true(recv(fds[1], said, sizeof(said), 0) > 0);
    while (rc == MW_OK && piece > 0 && at + piece < len) {
        assert_int_equal(send(fds[1], row->answer + at, piece, 0), (ssize_t)piece);
        at += piece;
        rc = mw_http_fill(stream, err);
    }
    if (at < len)
        assert_int_equal(send(fds[1], row->answer + at, len - at, MSG_NOSIGNAL),
                         (ssize_t)(len - at));
    (void)close(fds[1]);
    return rc == MW_OK ? mw_http_rest(stream, WAIT_MS, 1 << 20, err) : rc;
}

static void test_answers_come_out_the_same_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        for (size_t piece = 0; piece < 4; piece++) {
            struct mw_http_stream stream;
            struct mw_err err = {0};
            enum mw_rc rc = exchange(&rows[i], piece, &stream, &err);
            if (rc != rows[i].rc)
                fail_msg("%s (pieces of %zu): %s, %s", rows[i].name, piece, mw_rc_name(rc),
                         err.text);
            if (rc == MW_OK) {
                assert_int_equal(stream.status, rows[i].status);
                assert_true(mw_str_is(mw_buf_str(&stream.body), rows[i].body));
            }
            mw_http_close(&stream);
        }
}

static void test_a_body_over_the_limit_is_refused(void **state)
{
    int fds[2];
    struct mw_http_stream stream;
    struct mw_err err = {0};
    const char *answer = OK_HEAD "Content-Length: 5\r\n\r\nhello";
    struct mw_http_request request = {"GET", "/", "", MW_STR_NONE, false};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(mw_http_start(fds[0], &request, WAIT_MS, &stream, &err), MW_OK);
    assert_true(send(fds[1], answer, strlen(answer), 0) > 0);
    assert_int_equal(mw_http_rest(&stream, WAIT_MS, 4, &err), MW_E_LIMIT);
    mw_http_close(&stream);
    (void)close(fds[1]);
}

static void test_a_silent_server_is_a_timeout_and_a_post_says_its_length(void **state)
{
    int fds[2];
    char text[512];
    struct mw_http_stream stream;
    struct mw_err err = {0};
    struct mw_http_request request = {"POST", "/v1/x", "A: b\r\n", MW_STR("{\"a\":1}"), false};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(mw_http_start(fds[0], &request, WAIT_MS, &stream, &err), MW_OK);
    assert_int_equal(mw_http_head(&stream, 1, &err), MW_E_TIMEOUT);
    ssize_t got = recv(fds[1], text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, "POST /v1/x HTTP/1.1\r\n"));
    assert_non_null(strstr(text, "\r\nA: b\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
    mw_http_close(&stream);
    (void)close(fds[1]);
}

static void test_lines_of_a_stream_come_whole(void **state)
{
    struct case_row row = {
        "", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\na\nbb\r\n3\r\nb\nc\r\n0\r\n\r\n", MW_OK,
        200, ""};
    struct mw_http_stream stream;
    struct mw_err err = {0};
    struct mw_str line;
    size_t at = 0;
    (void)state;
    assert_int_equal(exchange(&row, 1, &stream, &err), MW_OK);
    assert_true(mw_http_line(&stream, &at, &line) && mw_str_is(line, "a"));
    assert_true(mw_http_line(&stream, &at, &line) && mw_str_is(line, "bbb"));
    assert_false(mw_http_line(&stream, &at, &line)); /* "c" may go on */
    mw_http_taken(&stream, at);
    assert_true(mw_str_is(mw_buf_str(&stream.body), "c"));
    mw_http_close(&stream);
}

static void test_arguments_are_encoded(void **state)
{
    char memory[64];
    struct mw_buf buf;
    (void)state;
    mw_buf_init(&buf, memory, sizeof(memory));
    mw_http_encode(&buf, "a b/ü&=~");
    assert_true(mw_str_is(mw_buf_str(&buf), "a%20b%2f%c3%bc%26%3d~"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_come_out_the_same_in_any_pieces),
        cmocka_unit_test(test_a_body_over_the_limit_is_refused),
        cmocka_unit_test(test_a_silent_server_is_a_timeout_and_a_post_says_its_length),
        cmocka_unit_test(test_lines_of_a_stream_come_whole),
        cmocka_unit_test(test_arguments_are_encoded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
