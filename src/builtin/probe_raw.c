/* Requests that no polite client sends: half a body, then nothing; half a body while the service is told to stop; requests cut off by kill -9. */
#include "builtin/probe_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST 8
#define ANSWER_BYTES 4096
#define RUNNING_MS 200

/* A create use case that a body can be made for; NULL: none. */
static const struct probe_use_case *any_create(struct probe *p)
{
    for (uint32_t i = 0; i < p->use_case_count; i++)
        if (p->use_cases[i].effect == PROBE_CREATE && p->entities[p->use_cases[i].entity].creatable)
            return &p->use_cases[i];
    return NULL;
}

static int dial(const struct probe *p)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(p->service.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool put(int fd, struct mw_str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = mw_str_sub(bytes, (size_t)sent, bytes.len);
    }
    return true;
}

static struct mw_str head(struct probe *p, const struct probe_use_case *use_case, size_t length,
                          const char *more)
{
    return probe_say(p,
                     "POST %.*s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%sContent-Type: "
                     "application/json\r\nContent-Length: %zu\r\n%s\r\n",
                     MW_STR_ARG(use_case->path), p->auth ? "Authorization: " : "",
                     p->auth ? p->bearer[0] : "", p->auth ? "\r\n" : "", length, more);
}

/* The status of the next answer that is not 100; 0: the connection ended, -1: nothing came. *ret_body: what followed the head. */
static int take_status(struct probe *p, int fd, int timeout_ms, bool want_continue,
                       struct mw_str *ret_body)
{
    char *bytes = mw_arena_alloc(&p->scratch, ANSWER_BYTES);
    size_t len = 0;
    int64_t deadline_ns = mw_now_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    while (bytes != NULL && len < ANSWER_BYTES - 1) {
        int64_t left_ms = (deadline_ns - mw_now_monotonic_ns()) / 1000000;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) <= 0)
            return -1;
        ssize_t got = recv(fd, bytes + len, ANSWER_BYTES - 1 - len, 0);
        mw_service_drain(&p->service);
        if (got <= 0)
            return 0;
        len += (size_t)got;
        bytes[len] = '\0';
        char *end = strstr(bytes, "\r\n\r\n");
        int status = 0;
        if (end == NULL || sscanf(bytes, "HTTP/1.%*d %d", &status) != 1)
            continue;
        if (status == 100 && !want_continue) {
            len -= (size_t)(end + 4 - bytes);
            memmove(bytes, end + 4, len + 1);
            if (strstr(bytes, "\r\n\r\n") == NULL)
                continue;
            (void)sscanf(bytes, "HTTP/1.%*d %d", &status);
            end = strstr(bytes, "\r\n\r\n");
        }
        *ret_body = mw_str_of(end + 4);
        return status;
    }
    return -1;
}

static struct mw_str said(struct probe *p, int status)
{
    return status > 0    ? probe_say(p, "%d", status)
           : status == 0 ? MW_STR("the connection was closed without an answer")
                         : MW_STR("nothing");
}

void probe_raw_slow(struct probe *p)
{
    const struct probe_use_case *use_case = any_create(p);
    struct mw_str body;
    mw_arena_reset(&p->scratch);
    if (use_case == NULL || p->stopped)
        return;
    struct mw_str name =
        probe_say(p, "%.*s: a body that does not come answers 408", MW_STR_ARG(use_case->name));
    int fd = dial(p);
    if (fd < 0 || !put(fd, head(p, use_case, 100, "")) || !put(fd, MW_STR("{\"a\":"))) {
        probe_fail(p, name, MW_STR("a connection"), MW_STR("none"));
    } else {
        p->asked_count++;
        int status = take_status(p, fd, PROBE_SLOW_MS + MW_PROBE_REQUEST_MS, false, &body);
        (void)probe_judge(p, status == 408, name, "408 after REQUEST_TIMEOUT_MS", said(p, status));
    }
    if (fd >= 0)
        (void)close(fd);
}

static struct mw_str counted(struct probe *p, const struct probe_use_case *use_case,
                             uint32_t record, uint32_t times)
{
    struct mw_str now = probe_record_field(p, record, use_case->field);
    if (now.ptr == NULL)
        return MW_STR_NONE;
    struct mw_str text = mw_arena_copy(&p->scratch, now);
    double value = strtod(text.ptr, NULL);
    for (uint32_t i = 0; i < times; i++) /* as the service adds */
        value += use_case->by;
    return probe_number(&p->scratch, value);
}

void probe_raw_together(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    uint32_t record = probe_fresh_for(p, use_case);
    uint32_t count = BURST;
    int fds[BURST];
    struct mw_str body;
    if (record == PROBE_NONE || counted(p, use_case, record, 1).ptr == NULL)
        return;
    while (count > 1 && !probe_has_room(p, use_case, counted(p, use_case, record, count + 1)))
        count--;
    if (count < 2 || p->stopped)
        return;
    struct probe_use_case place = {.path = probe_path(p, use_case, p->records[record].id)};
    struct mw_str bytes = head(p, &place, 2, "Connection: close\r\n");
    struct mw_str name = probe_say(p, "%.*s: asked %u times at once, every one counts",
                                   MW_STR_ARG(use_case->name), count);
    for (uint32_t i = 0; i < count; i++)
        fds[i] = dial(p);
    for (uint32_t i = 0; i < count; i++)
        if (fds[i] >= 0 && put(fds[i], bytes) && put(fds[i], MW_STR("{}")))
            p->asked_count++;
    for (uint32_t i = 0; i < count; i++) {
        int status = fds[i] < 0 ? 0 : take_status(p, fds[i], MW_PROBE_REQUEST_MS, false, &body);
        (void)probe_judge(p, status == 200, name, "200 for each", said(p, status));
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    /* One more tells how many there were. */
    struct probe_change change = {use_case->field, counted(p, use_case, record, count + 1)};
    (void)probe_change_by(p, index, record, MW_STR("{}"), &change, 1, name);
}

void probe_raw_burst(struct probe *p)
{
    const struct probe_use_case *use_case = any_create(p);
    int fds[BURST];
    mw_arena_reset(&p->scratch);
    if (use_case == NULL || p->stopped)
        return;
    struct mw_str body = probe_body_for(p, use_case, 0);
    struct mw_str bytes = head(p, use_case, body.len, "");
    for (size_t i = 0; i < BURST; i++) {
        fds[i] = dial(p);
        if (fds[i] >= 0 && (!put(fds[i], bytes) || !put(fds[i], body)))
            p->revived_count++; /* it does not listen any more: the restart tells */
    }
    mw_service_kill(&p->service);
    for (size_t i = 0; i < BURST; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

int probe_raw_begin(struct probe *p, struct mw_str *ret_rest)
{
    const struct probe_use_case *use_case = any_create(p);
    struct mw_str none;
    if (use_case == NULL || p->stopped)
        return -1;
    struct mw_str body = probe_body_for(p, use_case, 0);
    int fd = dial(p);
    /* "100 Continue" is the event: from then on the request runs. */
    if (fd < 0 ||
        !put(fd, head(p, use_case, body.len, "Expect: 100-continue\r\nConnection: close\r\n")) ||
        take_status(p, fd, 1000, true, &none) != 100) {
        probe_skip(p, "service: SIGTERM lets a running request finish (it gives no 100 Continue)");
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    p->asked_count++;
    *ret_rest = body;
    return fd;
}

void probe_raw_finish(struct probe *p, int fd, struct mw_str rest)
{
    struct mw_str body;
    /* A service that does not wait for it ends now; one that does goes on, and the time-out is the event. */
    (void)mw_service_wait(&p->service, RUNNING_MS);
    int status = put(fd, rest) ? take_status(p, fd, MW_PROBE_REQUEST_MS, false, &body) : 0;
    (void)probe_judge(p, status == 201, MW_STR("service: SIGTERM lets a running request finish"),
                      "201", said(p, status));
    (void)close(fd);
}
