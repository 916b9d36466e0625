/*
 * Small readers; the first byte chooses one: times, tokens and keys, package.json, gzip, a service's answers, the journal's name in record 1.
 * Each is held against somebody else who reads the same: timegm, nettle, jansson, the packer, the server that said it.
 */
#include "builtin/http_client.h"
#include "builtin/jwt.h"
#include "builtin/probe_internal.h"
#include "fuzz.h"
#include "journal/archive_folder.h"
#include "journal/frame.h"
#include "journal/gzip.h"
#include "posix/file.h"
#include "stage/execonf.h"

#include "base/time.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <nettle/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 16384
#define UNPACKED_BYTES_MAX ((size_t)1 << 20)
#define REQUEST_MS 5000
#define RAW_ANSWER_BYTES_MAX 4095 /* a longer head is none */

static json_t *other_reader(struct mw_str text)
{
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
}

/* ---- times ---- */

/* Digits where the pattern has 0. */
static bool is_like(const char *text, const char *pattern)
{
    for (; *pattern != '\0'; text++, pattern++)
        if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
            return false;
    return true;
}

static int two_digits(const char *at)
{
    return (at[0] - '0') * 10 + at[1] - '0';
}

/* "2026-11-20T04:53:09.5Z" by the C library. */
static bool other_time(const char *text, int64_t *ret_us)
{
    int64_t micros = 0, unit = 100000;
    if (!is_like(text, "0000-00-00T00:00:00"))
        return false;
    struct tm tm = {.tm_year = two_digits(text) * 100 + two_digits(text + 2) - 1900,
                    .tm_mon = two_digits(text + 5) - 1,
                    .tm_mday = two_digits(text + 8),
                    .tm_hour = two_digits(text + 11),
                    .tm_min = two_digits(text + 14),
                    .tm_sec = two_digits(text + 17)};
    const char *at = text + 19;
    if (*at == '.' && !is_like(++at, "0"))
        return false;
    for (; at > text + 19 && *at >= '0' && *at <= '9'; at++, unit /= 10)
        micros += (*at - '0') * unit;
    if (strcmp(at, "Z") != 0 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
        tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    *ret_us = (int64_t)timegm(&tm) * 1000000 + micros;
    return true;
}

/* What is left of it is a time as text; its first eight bytes are one as a number. */
static void try_time(struct mw_str text)
{
    static struct mw_arena arena;
    char seconds[64], whole[80];
    int64_t us = -1, other = 0, again;
    fuzz_arena(&arena, 4096);
    mw_autofree char *terminated = mw_heap_copy(text);
    bool read = mw_utc_us(text, &us);
    if (memchr(text.ptr, '\0', text.len) == NULL) {
        MW_ASSERT(read == other_time(terminated, &other));
        MW_ASSERT(us == other);
    }
    if (text.len < sizeof us)
        return;
    memcpy(&us, text.ptr, sizeof us);
    us %=
        INT64_C(252000000000000000); /* to the year 9955, and as far back: before 0000 is no text */
    if (us < INT64_C(-62167219200000000))
        us = -us;
    struct mw_str written = mw_utc_text(&arena, us);
    MW_ASSERT(mw_utc_us(written, &again) && again == us);
    time_t second = (time_t)((us - (us % 1000000 + 1000000) % 1000000) / 1000000);
    struct tm tm;
    MW_ASSERT(gmtime_r(&second, &tm) != NULL);
    MW_ASSERT(strftime(seconds, sizeof seconds, "-%m-%dT%H:%M:%S", &tm) > 0);
    (void)snprintf(whole, sizeof whole, "%04d%s.%06ldZ", tm.tm_year + 1900, seconds,
                   (long)((us % 1000000 + 1000000) % 1000000));
    MW_ASSERT(mw_str_is(written, whole));
}

/* ---- tokens and keys ---- */

/* SIZE_MAX: it is not of base64's letters for addresses, without padding. */
static size_t decode(struct mw_str text, char *ret_bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *letter = text.ptr[i] != '\0' ? strchr(letters, text.ptr[i]) : NULL;
        if (letter == NULL)
            return SIZE_MAX;
        bits = (bits << 6 | (uint32_t)(letter - letters)) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret_bytes[len++] = (char)(bits >> held);
        }
    }
    return text.len % 4 == 1 ? SIZE_MAX : len;
}

static void check_token(struct mw_str token, struct mw_str claims, struct mw_str secret)
{
    char *bytes = mw_heap_alloc(token.len + 1);
    uint8_t wanted[SHA256_DIGEST_SIZE];
    struct hmac_sha256_ctx hmac;
    size_t first = mw_str_find(token, '.', 0);
    MW_ASSERT(first != SIZE_MAX);
    size_t second = mw_str_find(token, '.', first + 1);
    MW_ASSERT(second != SIZE_MAX);
    size_t len = decode(mw_str_sub(token, first + 1, second - first - 1), bytes);
    MW_ASSERT(mw_str_eq((struct mw_str){bytes, len}, claims));
    len = decode(mw_str_sub(token, second + 1, token.len), bytes);
    hmac_sha256_set_key(&hmac, secret.len, (const uint8_t *)secret.ptr);
    hmac_sha256_update(&hmac, second, (const uint8_t *)token.ptr);
    hmac_sha256_digest(&hmac, sizeof wanted, wanted);
    MW_ASSERT(len == sizeof wanted && memcmp(bytes, wanted, len) == 0);
    mw_heap_free(bytes);
}

/* What OpenSSL takes for a key signs what it should, or nothing. */
static void try_key(struct mw_arena *arena, struct mw_str text)
{
    struct mw_jwt_key key = {.algorithm = text.len % 2 == 0 ? MW_JWT_ES256 : MW_JWT_RS256};
    struct mw_str token;
    char bytes[4096];
    if (!mw_jwt_key_read_pem(text, &key))
        return;
    if (mw_jwt_mint(arena, mw_jwt_algorithm_name(key.algorithm), &key, MW_STR("{}"), &token,
                    NULL) == MW_OK) {
        size_t dot = mw_str_find(token, '.', mw_str_find(token, '.', 0) + 1);
        struct mw_str signature = mw_str_sub(token, dot + 1, token.len);
        MW_ASSERT(signature.len < sizeof bytes);
        size_t len = decode(signature, bytes);
        MW_ASSERT(key.algorithm == MW_JWT_ES256 ? len == 64 : len >= 64 && len <= 1024);
    }
    mw_jwt_key_free(&key);
}

/* A key as a file holds it, or the claims of a token. */
static void try_token(struct mw_str text)
{
    static struct mw_arena arena;
    fuzz_arena(&arena, (size_t)1 << 20);
    struct mw_str secret = mw_str_sub(text, 0, 40), token;
    struct mw_jwt_key key = {.algorithm = MW_JWT_HS256, .secret = secret};
    if (mw_str_starts(text, MW_STR("-----BEGIN"))) {
        try_key(&arena, text);
    } else if (secret.len > 0) {
        MW_ASSERT(mw_jwt_mint(&arena, "HS256", &key, text, &token, NULL) == MW_OK);
        check_token(token, text, secret);
    }
}

/* ---- package.json ---- */

/* P18: whatever another reader takes for a script that runs by itself has to be approved. */
static void try_package(struct mw_str text)
{
    static const char *const scripts[] = {"preinstall",  "install",     "postinstall",
                                          "prepare",     "prepublish",  "preprepare",
                                          "postprepare", "dependencies"};
    const char *why = mw_execonf_why(MW_STR("web/Package.json"), text);
    json_t *json = other_reader(text);
    json_t *listed = json_object_get(json, "scripts");
    bool runs = false;
    for (size_t i = 0; i < MW_COUNT(scripts); i++)
        runs = runs || json_object_get(listed, scripts[i]) != NULL;
    MW_ASSERT(!runs || why != NULL);
    MW_ASSERT(why != NULL || json == NULL || json_is_object(json));
    json_decref(json);
    (void)mw_execonf_why(text, MW_STR("{}"));
}

/* ---- gzip ---- */

static enum mw_rc take(void *context, struct mw_str bytes, struct mw_err *err)
{
    struct mw_buf *out = context;
    if (out->len + bytes.len > UNPACKED_BYTES_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "more than is wanted");
    mw_buf_put(out, bytes);
    return MW_OK;
}

static enum mw_rc turn(bool packs, struct mw_str in, size_t step, struct mw_buf *out,
                       bool *ret_ends)
{
    struct mw_gzip *gzip = NULL;
    enum mw_rc rc = mw_gzip_open(packs, take, out, &gzip, NULL);
    MW_ASSERT(rc == MW_OK);
    for (size_t at = 0; rc == MW_OK && (at < in.len || (packs && at == 0)); at += step)
        rc = mw_gzip_put(gzip, mw_str_sub(in, at, step), packs && at + step >= in.len, NULL);
    *ret_ends = mw_gzip_ended(gzip);
    mw_gzip_close(gzip);
    return rc;
}

/* What is packed comes out as it was; what never was packed is refused the same however it comes. */
static void try_gzip(struct mw_str text)
{
    struct mw_buf packed = mw_heap_buf(), whole = mw_heap_buf(), pieces = mw_heap_buf();
    size_t step = 1 + text.len / 3;
    bool ends = false, piece_ends = false;
    MW_ASSERT(turn(true, text, step, &packed, &ends) == MW_OK && ends);
    MW_ASSERT(turn(false, mw_buf_str(&packed), 7, &pieces, &ends) == MW_OK && ends);
    MW_ASSERT(mw_str_eq(mw_buf_str(&pieces), text));
    mw_buf_reset(&pieces);
    enum mw_rc rc = turn(false, text, text.len + 1, &whole, &ends);
    MW_ASSERT(rc == MW_OK || rc == MW_E_CORRUPT || rc == MW_E_LIMIT);
    MW_ASSERT(turn(false, text, step, &pieces, &piece_ends) == rc);
    if (rc == MW_OK)
        MW_ASSERT(ends == piece_ends && mw_str_eq(mw_buf_str(&pieces), mw_buf_str(&whole)));
    mw_heap_buf_free(&packed);
    mw_heap_buf_free(&whole);
    mw_heap_buf_free(&pieces);
}

/* ---- a service's answers ---- */

/* Says the same to everybody who comes, in two pieces. */
static struct {
    pthread_mutex_t lock; /* of the answer */
    struct mw_buf answer;
    int fd;
    uint16_t port;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static void say_from_now_on(struct mw_str answer)
{
    MW_ASSERT(pthread_mutex_lock(&server.lock) == 0);
    mw_buf_reset(&server.answer);
    mw_buf_put(&server.answer, answer);
    MW_ASSERT(pthread_mutex_unlock(&server.lock) == 0);
}

static void answer_one(int fd)
{
    const int at_once = 1;
    char request[2048];
    size_t len = 0;
    struct mw_buf answer = mw_heap_buf();
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    for (ssize_t got = 1; got > 0 && len < sizeof request - 1;) {
        got = recv(fd, request + len, sizeof request - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
        request[len] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL)
            break;
    }
    MW_ASSERT(pthread_mutex_lock(&server.lock) == 0);
    mw_buf_put(&answer, mw_buf_str(&server.answer));
    MW_ASSERT(pthread_mutex_unlock(&server.lock) == 0);
    size_t cut = answer.len / 2;
    struct mw_str first = mw_str_sub(mw_buf_str(&answer), 0, cut);
    struct mw_str rest = mw_str_sub(mw_buf_str(&answer), cut, answer.len);
    (void)send(fd, first.ptr, first.len, MSG_NOSIGNAL);
    (void)send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, request, sizeof request, 0) > 0)
        continue;
    mw_heap_buf_free(&answer);
    (void)close(fd);
}

static void *serve(void *unused)
{
    (void)unused;
    for (;;) {
        int fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            answer_one(fd);
    }
    return NULL;
}

static void start_server(void)
{
    pthread_t thread;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.answer = mw_heap_buf();
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MW_ASSERT(bind(server.fd, (struct sockaddr *)&address, size) == 0);
    MW_ASSERT(listen(server.fd, 16) == 0);
    MW_ASSERT(getsockname(server.fd, (struct sockaddr *)&address, &size) == 0);
    server.port = ntohs(address.sin_port);
    MW_ASSERT(pthread_create(&thread, NULL, serve, NULL) == 0);
}

/* The same by the reader of requests that no polite client sends: it waits for "100 Continue". */
static void try_raw_answer(struct mw_str text)
{
    static struct mw_arena scratch;
    static struct mw_probe_report report;
    struct probe_entity entity = {.creatable = true};
    struct probe_use_case create = {.path = MW_STR("/things"), .effect = PROBE_CREATE};
    struct probe *p = mw_heap_alloc(sizeof *p);
    struct mw_str rest;
    int status = 0;
    fuzz_arena(&scratch, (size_t)1 << 20);
    p->scratch = scratch;
    p->report = &report;
    p->entities = &entity;
    p->use_cases = &create;
    p->entity_count = p->use_case_count = 1;
    p->service.out_fd = p->service.err_fd = -1;
    p->service.out = p->service.err = mw_heap_buf();
    p->service.port = server.port;
    say_from_now_on(text);
    char *first = mw_heap_copy(mw_str_sub(text, 0, RAW_ANSWER_BYTES_MAX));
    bool goes_on = strstr(first, "\r\n\r\n") != NULL &&
                   sscanf(first, "HTTP/1.%*d %d", &status) == 1 && status == 100;
    int fd = probe_raw_begin(p, &rest);
    if (goes_on && fd < 0) /* it waits a second, which a busy machine may need */
        fd = probe_raw_begin(p, &rest);
    MW_ASSERT((fd >= 0) == goes_on);
    if (fd >= 0)
        (void)close(fd);
    mw_heap_free(first);
    mw_probe_report_free(&report);
    memset(&report, 0, sizeof report);
    mw_heap_free(p);
}

/* As it stands; and as the body of an answer that says its length. */
static void try_answer(struct mw_str text)
{
    static struct mw_client client;
    struct mw_client_request request = {.method = "GET", .path = "/", .timeout_ms = REQUEST_MS};
    struct mw_client_answer answer;
    if (server.fd < 0) {
        start_server();
        MW_ASSERT(mw_client_open(&client, NULL) == MW_OK);
    }
    /* Whoever is served is served alone: the connection before goes first. */
    MW_ASSERT(mw_client_target(&client, server.port, NULL) == MW_OK);
    try_raw_answer(text);
    say_from_now_on(text);
    if (mw_client_send(&client, &request, &answer, NULL) == MW_OK)
        MW_ASSERT(answer.status >= 0 && answer.status <= 999 && answer.body.len <= text.len &&
                  strlen(answer.content_type) < MW_HTTP_HEADER_MAX &&
                  strlen(answer.allow) < MW_HTTP_HEADER_MAX &&
                  strlen(answer.challenge) < MW_HTTP_HEADER_MAX);
    struct mw_buf whole = mw_heap_buf();
    mw_buf_printf(&whole, "HTTP/1.1 418 x\r\nContent-Length: %zu\r\nALLOW:  GET \r\n\r\n",
                  text.len);
    mw_buf_put(&whole, text);
    say_from_now_on(mw_buf_str(&whole));
    MW_ASSERT(mw_client_target(&client, server.port, NULL) == MW_OK);
    MW_ASSERT(mw_client_send(&client, &request, &answer, NULL) == MW_OK);
    MW_ASSERT(answer.status == 418 && mw_str_eq(answer.body, text));
    MW_ASSERT(strcmp(answer.allow, "GET") == 0 && answer.content_type[0] == '\0');
    mw_heap_buf_free(&whole);
}

/* ---- record 1 ---- */

static char journal[64];

static void remove_journal(void)
{
    (void)mw_remove_tree(AT_FDCWD, journal, NULL);
}

/* The journal's name that an archive takes from it. */
static void try_record(struct mw_str line)
{
    char header[MW_FRAME_HEADER_MAX], path[128], id[17] = "";
    struct mw_frame frame = {.frame = 1, .epoch = 1, .first = 1, .count = 1};
    struct mw_buf body = mw_heap_buf(), file = mw_heap_buf();
    struct mw_err err = {0};
    if (journal[0] == '\0') {
        const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        (void)snprintf(journal, sizeof journal, "%s/mw-fuzz-small-XXXXXX", tmp);
        MW_ASSERT(mkdtemp(journal) != NULL);
        (void)atexit(remove_journal);
    }
    mw_buf_put(&body, line);
    mw_buf_put_c(&body, '\n');
    frame.bytes = body.len;
    mw_buf_put(&file, (struct mw_str){header, mw_frame_write(&frame, mw_buf_str(&body), header)});
    mw_buf_put(&file, mw_buf_str(&body));
    (void)snprintf(path, sizeof path, "%s/00000000000000000001.jsonl", journal);
    MW_ASSERT(mw_file_put(AT_FDCWD, path, mw_buf_str(&file), 0600, NULL) == MW_OK);
    if (mw_archive_journal_id(journal, NULL, id, &err) == MW_OK) {
        json_t *json = other_reader(line);
        const char *name =
            json_string_value(json_object_get(json_object_get(json, "payload"), "journalId"));
        MW_ASSERT(id[0] != '\0' && strspn(id, "0123456789abcdef") == strlen(id));
        MW_ASSERT(json == NULL || (name != NULL && strcmp(name, id) == 0));
        json_decref(json);
    } else {
        MW_ASSERT(err.text[0] != '\0');
    }
    mw_heap_buf_free(&body);
    mw_heap_buf_free(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct mw_str text) = {try_time, try_token,  try_package,
                                                          try_gzip, try_answer, try_record};
    char *memory;
    if (size == 0 || size > INPUT_BYTES_MAX)
        return 0;
    struct mw_str text = fuzz_rest(data + 1, size - 1, &memory);
    readers[data[0] % MW_COUNT(readers)](text);
    mw_heap_free(memory);
    return 0;
}
