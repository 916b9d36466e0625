#include "builtin/http_client.h"

#include "posix/heap.h"
#include "posix/library.h"

#define CURL_DISABLE_TYPECHECK /* its macros would stand in the way of the names below */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static size_t take_body(char *bytes, size_t size, size_t count, void *user);
static size_t take_header(char *bytes, size_t size, size_t count, void *user);
static struct curl_slist *make_headers(const struct mw_client_request *request);
static void set_method(CURL *easy, const struct mw_client_request *request);

/*
 * Loaded when the first client is opened: libcurl brings some twenty libraries, and nearly every process of this program, the host among
 * them, never asks anybody over HTTP. They would be a third of its memory and most of its start.
 */
#define CURL_LIBRARY "libcurl.so.4"
#define CURL_FUNCTIONS(each)                                                                       \
    each(easy_init) each(easy_cleanup) each(easy_reset) each(easy_setopt) each(easy_perform)       \
        each(easy_getinfo) each(easy_strerror) each(slist_append) each(slist_free_all)

static struct {
#define CURL_MEMBER(name) __typeof__(curl_##name) *name;
    CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
    bool loaded;
} lib;

static void load_library(void)
{
#define CURL_ROW(name) {"curl_" #name, &lib.name},
    static const struct mw_library_function functions[] = {CURL_FUNCTIONS(CURL_ROW)};
#undef CURL_ROW
    lib.loaded = mw_library_load(CURL_LIBRARY, functions, MW_COUNT(functions));
}

enum mw_rc mw_client_open(struct mw_client *client, struct mw_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    memset(client, 0, sizeof *client);
    (void)pthread_once(&once, load_library); /* cannot fail */
    if (!lib.loaded)
        return MW_FAIL(err, MW_E_MISSING, "the HTTP client needs " CURL_LIBRARY);
    client->easy = lib.easy_init();
    if (client->easy == NULL)
        return MW_FAIL(err, MW_E_FAILED, "the HTTP client could not start");
    client->body = mw_heap_buf();
    return MW_OK;
}

void mw_client_close(struct mw_client *client)
{
    if (client->easy == NULL)
        return;
    lib.easy_cleanup(client->easy);
    mw_heap_buf_free(&client->body);
    memset(client, 0, sizeof *client);
}

enum mw_rc mw_client_target(struct mw_client *client, uint16_t port, struct mw_err *err)
{
    /* A fresh handle: a restarted service must not meet the connection of the killed one. */
    lib.easy_cleanup(client->easy);
    client->easy = lib.easy_init();
    if (client->easy == NULL)
        return MW_FAIL(err, MW_E_FAILED, "the HTTP client could not start");
    client->port = port;
    return MW_OK;
}

enum mw_rc mw_client_send(struct mw_client *client, const struct mw_client_request *request,
                          struct mw_client_answer *ret_answer, struct mw_err *err)
{
    MW_ASSERT(client->easy != NULL);
    MW_ASSERT(request->path[0] == '/');
    CURL *easy = client->easy;
    char *url = mw_heap_format("http://127.0.0.1:%d%s", (int)client->port, request->path);
    struct curl_slist *headers = make_headers(request);
    long status = 0;

    lib.easy_reset(easy);
    mw_buf_reset(&client->body);
    client->too_large = false;
    client->content_type[0] = client->allow[0] = client->challenge[0] = '\0';
    lib.easy_setopt(easy, CURLOPT_URL, url);
    lib.easy_setopt(easy, CURLOPT_PROXY, "");
    lib.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    lib.easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    lib.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    lib.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    lib.easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    lib.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    lib.easy_setopt(easy, CURLOPT_WRITEDATA, client);
    lib.easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    lib.easy_setopt(easy, CURLOPT_HEADERDATA, client);
    set_method(easy, request);

    CURLcode code = lib.easy_perform(easy);
    lib.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    lib.slist_free_all(headers);
    mw_heap_free(url);
    if (client->too_large)
        return MW_FAIL(err, MW_E_LIMIT, "an answer of more than %u bytes", MW_HTTP_ANSWER_MAX);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return MW_FAIL(err, MW_E_TIMEOUT, "no answer within %ld ms", (long)request->timeout_ms);
    /* A server that refuses a body early may close before it was read whole; its answer counts. */
    if (code != CURLE_OK && !(code == CURLE_SEND_ERROR && status >= 400))
        return MW_FAIL(err, MW_E_FAILED, "no answer: %s", lib.easy_strerror(code));
    *ret_answer = (struct mw_client_answer){.status = (int)status,
                                            .body = mw_buf_str(&client->body),
                                            .content_type = client->content_type,
                                            .allow = client->allow,
                                            .challenge = client->challenge};
    return MW_OK;
}

static void set_method(CURL *easy, const struct mw_client_request *request)
{
    if (request->has_body || strcmp(request->method, "POST") == 0 ||
        strcmp(request->method, "PATCH") == 0 || strcmp(request->method, "PUT") == 0) {
        lib.easy_setopt(easy, CURLOPT_POST, 1L);
        lib.easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.ptr : "");
        lib.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    } else if (strcmp(request->method, "HEAD") == 0) {
        lib.easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    lib.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char *line =
        value != NULL ? mw_heap_format("%s: %s", name, value) : mw_heap_format("%s:", name);
    struct curl_slist *longer = lib.slist_append(list, line);
    mw_heap_free(line);
    return longer != NULL ? longer : list;
}

static struct curl_slist *make_headers(const struct mw_client_request *request)
{
    struct curl_slist *list = add_header(NULL, "Expect", NULL);
    /* Without a value the header is left out: libcurl's own choice for POST would be a form. */
    list = add_header(list, "Content-Type", request->content_type);
    if (request->authorization != NULL)
        list = add_header(list, "Authorization", request->authorization);
    return list;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct mw_client *client = user;
    size_t len = size * count;
    if (client->body.len + len > MW_HTTP_ANSWER_MAX) {
        client->too_large = true;
        return 0;
    }
    mw_buf_put(&client->body, (struct mw_str){bytes, len});
    return len;
}

static void keep_header(struct mw_str line, const char *name, char ret_value[MW_HTTP_HEADER_MAX])
{
    size_t name_len = strlen(name);
    if (line.len <= name_len || strncasecmp(line.ptr, name, name_len) != 0 ||
        line.ptr[name_len] != ':')
        return;
    struct mw_str value = mw_str_trim(mw_str_sub(line, name_len + 1, line.len));
    if (value.len >= MW_HTTP_HEADER_MAX)
        value.len = MW_HTTP_HEADER_MAX - 1;
    memcpy(ret_value, value.ptr, value.len);
    ret_value[value.len] = '\0';
}

static size_t take_header(char *bytes, size_t size, size_t count, void *user)
{
    struct mw_client *client = user;
    struct mw_str line = {bytes, size * count};
    keep_header(line, "content-type", client->content_type);
    keep_header(line, "allow", client->allow);
    keep_header(line, "www-authenticate", client->challenge);
    return size * count;
}
