#include "cli/promises.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/trial.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* First everything is done that a host is needed for; then it is stopped, and its journal is asked what came of it. */

#define FLOWS 8u /* of each kind */
#define WAIT_MS 10000
#define TAKE_MS 5000u
#define RECORDS_MAX 4096u
#define NAME_BYTES 32u
#define ID_DAYS 8 /* one more than requests are remembered for */
#define LARGE_BODIES 10u
#define LARGE_BYTES ((size_t)4 << 20) /* of which the host takes eight at once */

/* What is looked at of a record. */
struct record {
    char kind[NAME_BYTES], trace[NAME_BYTES];
    uint64_t seq, fence;
    int64_t at_us, due_us;
    bool completed;
};

struct task {
    char id[NAME_BYTES];
    uint64_t fence;
};

struct tried {
    struct mw_trial trial;
    struct mw_trial_worker worker;
    struct mw_promise_finding *finding; /* of the row that is tried */
    struct record *records;             /* owned; of the stopped host's journal */
    uint32_t record_count;
    struct mw_arena line; /* of one record */
    char put_back[NAME_BYTES];
};

typedef bool try_step(struct tried *tried);

static try_step do_files, do_repeats, do_tasks, do_timers, do_letters, do_load, do_inputs,
    do_socket;
static try_step see_files, see_repeats, see_tasks, see_timers, see_letters, see_order, see_replay;

/* In the order in which they are done. */
static const struct {
    const char *id, *what;
    try_step *with_host, *afterwards; /* either may be NULL */
} rows[] = {
    {"P23", "the user's things stay the user's", do_files, see_files},
    {"P21", "the host listens to its owner alone", do_socket, NULL},
    {"P05", "a request is done once", do_repeats, see_repeats},
    {"P06", "one effect a task", do_tasks, see_tasks},
    {"P07", "timers ring once and never early", do_timers, see_timers},
    {"P08", "poison goes to the dead letters", do_letters, see_letters},
    {"P09", "what is too much is refused before anything is done", do_load, NULL},
    {"P14", "inputs have limits", do_inputs, NULL},
    {"P15", "order is the number, never the clock", NULL, see_order},
    {"P16", "replay is deterministic", NULL, see_replay},
};

static bool broken(struct tried *tried, const char *format, ...) MW_PRINTF(2, 3);

static bool broken(struct tried *tried, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(tried->finding->detail, sizeof(tried->finding->detail), format, args);
    va_end(args);
    return false;
}

static bool holds(struct tried *tried, const char *format, ...) MW_PRINTF(2, 3);

static bool holds(struct tried *tried, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(tried->finding->detail, sizeof(tried->finding->detail), format, args);
    va_end(args);
    return true;
}

/* ---- the host ---- */

struct answer {
    int status;
    struct mw_tape tape; /* in the trial's arena */
};

/* One request over a connection of its own. */
static enum mw_rc post(struct tried *tried, const char *name, struct mw_str body,
                       struct answer *ret_answer, struct mw_err *err)
{
    struct mw_http_stream stream;
    struct mw_arena *arena = &tried->trial.cli.arena;
    mw_autofree char *target = mw_heap_format("/v1/requests/%s", name);
    struct mw_http_request request = {"POST", target, "", body, false};
    int fd = mw_link_connect(&tried->trial.cli);
    if (fd < 0)
        return MW_FAIL(err, MW_E_IO, "the host does not answer");
    enum mw_rc rc = mw_http_start(fd, &request, WAIT_MS, &stream, err);
    if (rc != MW_OK)
        return rc;
    rc = mw_http_rest(&stream, WAIT_MS, MW_HTTP_BODY_BYTES_MAX, err);
    ret_answer->status = stream.status;
    mw_arena_reset(arena);
    if (rc == MW_OK)
        rc = mw_json_parse(arena, mw_arena_copy(arena, mw_buf_str(&stream.body)), &ret_answer->tape,
                           err);
    mw_http_close(&stream);
    return rc;
}

/* Begins a flow of factory/verify; its trace has the name that is given. */
static enum mw_rc begin_flow(struct tried *tried, const char *coordinator, const char *trace,
                             const char *message_id, struct answer *ret_answer, struct mw_err *err)
{
    mw_autofree char *body = mw_heap_format("{\"messageId\":\"%s\",\"actor\":\"user:verify\","
                                            "\"source\":\"verify\",\"coordinator\":\"%s\","
                                            "\"traceId\":\"%s\",\"payload\":{}}",
                                            message_id, coordinator, trace);
    return post(tried, "StartCoordinator", mw_str_of(body), ret_answer, err);
}

static enum mw_rc begin_flows(struct tried *tried, const char *coordinator, const char *series,
                              struct mw_err *err)
{
    enum mw_rc rc = MW_OK;
    for (unsigned i = 0; rc == MW_OK && i < FLOWS; i++) {
        struct answer answer = {0};
        char message_id[37], trace[NAME_BYTES];
        mw_uuid7(message_id);
        (void)snprintf(trace, sizeof(trace), "%s.%u", series, i);
        rc = begin_flow(tried, coordinator, trace, message_id, &answer, err);
        if (rc == MW_OK && answer.status != 200)
            rc = MW_FAIL(err, MW_E_FAILED, "a flow was refused (%d)", answer.status);
    }
    return rc;
}

static enum mw_rc kill_and_start(struct tried *tried, struct mw_err *err)
{
    double ms;
    enum mw_rc rc = mw_trial_kill(&tried->trial, err);
    mw_trial_worker_lost(&tried->worker);
    return rc == MW_OK ? mw_trial_again(&tried->trial, &ms, err) : rc;
}

/* Until so many records of the kind have come since the journal's beginning. */
static enum mw_rc wait_for(struct tried *tried, const char *kind, unsigned count,
                           struct mw_err *err)
{
    struct mw_http_stream stream;
    int64_t until_ns = mw_now_monotonic_ns() + WAIT_MS * 1000000ll;
    enum mw_rc rc = mw_link_follow(&tried->trial.cli, 0, NULL, kind, &stream, err);
    if (rc != MW_OK)
        return rc;
    for (unsigned seen = 0; rc == MW_OK && seen < count;) {
        struct mw_str line;
        struct pollfd readable = {.fd = stream.fd, .events = POLLIN};
        size_t at = 0;
        while (mw_http_line(&stream, &at, &line))
            seen += line.len > 0;
        mw_http_taken(&stream, at);
        if (seen >= count)
            break;
        int64_t left_ms = (until_ns - mw_now_monotonic_ns()) / 1000000;
        if (left_ms <= 0 || poll(&readable, 1, (int)left_ms) <= 0)
            rc = MW_FAIL(err, MW_E_TIMEOUT, "of %u records %s, %u came in %d s", count, kind, seen,
                         WAIT_MS / 1000);
        else
            rc = mw_http_fill(&stream, err);
    }
    mw_http_close(&stream);
    return rc;
}

/* ---- the worker ---- */

static enum mw_rc take(struct tried *tried, uint32_t wait_ms, struct task ret_tasks[FLOWS],
                       uint32_t *ret_count, struct mw_err *err)
{
    uint32_t count;
    enum mw_rc rc = mw_trial_worker_take(&tried->worker, wait_ms, &count, err);
    if (rc != MW_OK)
        return rc;
    const struct mw_tape *tape = &tried->worker.tape;
    uint32_t at = mw_node_first(tape, mw_node_get(tape, 0, "tasks"));
    for (*ret_count = 0; *ret_count < count && *ret_count < FLOWS; (*ret_count)++) {
        struct task *task = &ret_tasks[*ret_count];
        (void)snprintf(task->id, sizeof(task->id), "%.*s",
                       MW_STR_ARG(mw_node_get_text(tape, at, "taskId")));
        task->fence = (uint64_t)mw_node_int(tape, mw_node_get(tape, at, "fence"), 0);
        at = mw_node_after(tape, mw_node_get(tape, 0, "tasks"), at);
    }
    return MW_OK;
}

/* Answers all of them in one request; *ret_words: how many of the replies say the word. */
static enum mw_rc answer_all(struct tried *tried, const struct task *tasks, uint32_t count,
                             const char *word, uint32_t *ret_words, struct mw_err *err)
{
    struct task more[FLOWS];
    uint32_t more_count;
    for (uint32_t i = 0; i < count; i++)
        mw_trial_worker_answer(&tried->worker, mw_str_of(tasks[i].id), tasks[i].fence,
                               MW_STR("{\"step\":1}"));
    enum mw_rc rc = take(tried, 0, more, &more_count, err);
    const struct mw_tape *tape = &tried->worker.tape;
    uint32_t answers = rc == MW_OK ? mw_node_get(tape, 0, "answers") : MW_NODE_NONE;
    *ret_words = 0;
    for (uint32_t at = mw_node_first(tape, answers); at != MW_NODE_NONE;
         at = mw_node_after(tape, answers, at))
        *ret_words += mw_str_is(mw_node_get_text(tape, at, "status"), word);
    return rc;
}

/* ---- with a host ---- */

static const struct {
    const char *path, *text;
} users_files[] = {{"notes.txt", "mine\n"}, {"Grüße an alle.md", "# mine too\n"}};

static bool do_files(struct tried *tried)
{
    struct mw_err err;
    for (size_t i = 0; i < MW_COUNT(users_files); i++) {
        mw_autofree char *path = mw_heap_format("%s/%s", tried->trial.folder, users_files[i].path);
        mw_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0 || mw_write_all(fd, mw_str_of(users_files[i].text), &err) != MW_OK)
            return broken(tried, "'%s' cannot be made: %s", path, strerror(errno));
    }
    return true;
}

static bool do_socket(struct tried *tried)
{
    struct stat folder, bound;
    mw_autofree char *own = mw_heap_format("%s/.millwright", tried->trial.folder);
    mw_autofree char *path = mw_heap_format("%s/millwright.sock", own);
    if (stat(own, &folder) != 0 || stat(path, &bound) != 0)
        return broken(tried, "the socket is not where it was bound: %s", strerror(errno));
    if (!S_ISSOCK(bound.st_mode) || (bound.st_mode & 07777) != 0600 || bound.st_uid != geteuid())
        return broken(tried, "the socket has mode %o and owner %u", (unsigned)bound.st_mode,
                      (unsigned)bound.st_uid);
    return holds(tried, "its socket has mode 0600, in a folder of mode 0%o",
                 (unsigned)(folder.st_mode & 0777));
}

static bool said(struct tried *tried, enum mw_rc rc, const struct answer *answer, int status,
                 const char *what, const struct mw_err *err)
{
    if (rc != MW_OK)
        return broken(tried, "%s: %s", what, err->text);
    if (answer->status != status)
        return broken(tried, "%s was answered with %d instead of %d", what, answer->status, status);
    return true;
}

static bool do_repeats(struct tried *tried)
{
    struct mw_err err = {0};
    struct answer answer = {0};
    char id[37], old_id[37];
    uint64_t ms = (uint64_t)mw_now_unix_us() / 1000 - ID_DAYS * 86400000ull;
    mw_uuid7(id);
    (void)snprintf(old_id, sizeof(old_id), "%08x-%04x%s", (unsigned)(ms >> 16),
                   (unsigned)(ms & 0xffff), id + 13);
    enum mw_rc rc = begin_flow(tried, "VerifyOne", "p05", id, &answer, &err);
    if (!said(tried, rc, &answer, 200, "a request", &err))
        return false;
    int64_t first = mw_node_int(&answer.tape, mw_node_get(&answer.tape, 0, "first"), 0);
    for (unsigned time = 2; time <= 3; time++) {
        if (time == 3 && (rc = kill_and_start(tried, &err)) != MW_OK)
            return broken(tried, "%s", err.text);
        rc = begin_flow(tried, "VerifyOne", "p05", id, &answer, &err);
        if (!said(tried, rc, &answer, 200, "the same request", &err))
            return false;
        if (mw_node_int(&answer.tape, mw_node_get(&answer.tape, 0, "first"), 0) != first ||
            !mw_node_bool(&answer.tape, mw_node_get(&answer.tape, 0, "duplicate"), false))
            return broken(tried, "the same request had another answer the %s time",
                          time == 2 ? "second" : "third");
    }
    rc = begin_flow(tried, "VerifyOne", "p05-other", id, &answer, &err);
    if (!said(tried, rc, &answer, 409, "another request with the same messageId", &err))
        return false;
    rc = begin_flow(tried, "VerifyOne", "p05-old", old_id, &answer, &err);
    return said(tried, rc, &answer, 410, "a request whose messageId is eight days old", &err);
}

static bool do_tasks(struct tried *tried)
{
    struct mw_err err = {0};
    struct task tasks[FLOWS];
    uint64_t fences[FLOWS];
    uint32_t count = 0, recorded = 0, late = 0, gone = 0;
    enum mw_rc rc = begin_flows(tried, "VerifyHeld", "p06", &err);
    if (rc == MW_OK)
        rc = take(tried, TAKE_MS, tasks, &count, &err);
    if (rc == MW_OK && count != FLOWS)
        return broken(tried, "of %u tasks, %u were given", FLOWS, count);
    if (rc == MW_OK)
        rc = kill_and_start(tried, &err);
    for (uint32_t i = 0; i < count; i++)
        fences[i] = tasks[i].fence;
    if (rc == MW_OK)
        rc = mw_trial_worker_holds(&tried->worker, fences, count, &gone, &err);
    if (rc == MW_OK)
        rc = answer_all(tried, tasks, count, "recorded", &recorded, &err);
    if (rc == MW_OK)
        rc = answer_all(tried, tasks, count, "late", &late, &err);
    if (rc != MW_OK)
        return broken(tried, "%s", err.text);
    if (gone != 0 || recorded != FLOWS || late != FLOWS)
        return broken(tried,
                      "of %u tasks, %u were lost with the host, %u answers counted, and %u of the "
                      "same once more were late",
                      FLOWS, gone, recorded, late);
    return true;
}

static bool do_timers(struct tried *tried)
{
    /* While nobody is there, they become due: factory/verify says after half a second. */
    const struct timespec past_due = {.tv_sec = 0, .tv_nsec = 600000000};
    struct mw_err err = {0};
    double ms;
    enum mw_rc rc = begin_flows(tried, "VerifyTimer", "p07", &err);
    if (rc == MW_OK)
        rc = mw_trial_kill(&tried->trial, &err);
    mw_trial_worker_lost(&tried->worker);
    (void)nanosleep(&past_due, NULL); /* woken early: they ring a little later */
    if (rc == MW_OK)
        rc = mw_trial_again(&tried->trial, &ms, &err);
    if (rc == MW_OK)
        rc = wait_for(tried, "timer.rang", FLOWS, &err);
    if (rc == MW_OK) /* and not again */
        rc = kill_and_start(tried, &err);
    return rc == MW_OK ? true : broken(tried, "%s", err.text);
}

/* The task of the flow fails as often as it is asked. */
static enum mw_rc fail_task(struct tried *tried, struct mw_err *err)
{
    struct task task[FLOWS];
    uint32_t count = 0;
    enum mw_rc rc = take(tried, TAKE_MS, task, &count, err);
    if (rc == MW_OK && count != 1)
        return MW_FAIL(err, MW_E_FAILED, "%u tasks were given instead of one", count);
    if (rc == MW_OK) {
        mw_trial_worker_fail(&tried->worker, mw_str_of(task->id), task->fence);
        rc = take(tried, 0, task, &count, err);
    }
    return rc;
}

static enum mw_rc put_letter_back(struct tried *tried, struct mw_err *err)
{
    struct mw_tape list, letter;
    struct mw_post request;
    struct mw_posted posted;
    struct mw_cli *cli = &tried->trial.cli;
    mw_arena_reset(&cli->arena);
    enum mw_rc rc = mw_link_view_tape(cli, "letters", NULL, 0, &list, err);
    if (rc != MW_OK)
        return rc;
    uint32_t letters = mw_node_get(&list, 0, "letters");
    if (mw_node_count(&list, letters) != 1)
        return MW_FAIL(err, MW_E_FAILED, "there are %u dead letters instead of one",
                       mw_node_count(&list, letters));
    struct mw_str task = mw_node_get_text(&list, mw_node_first(&list, letters), "task");
    struct mw_cli_arg which = {"task", mw_arena_copy(&cli->arena, task).ptr};
    rc = mw_link_view_tape(cli, "letter", &which, 1, &letter, err);
    if (rc != MW_OK)
        return rc;
    mw_post_begin(&request, "ReplayTask");
    mw_json_kstr(&request.json, "item", task);
    mw_json_kstr(&request.json, "source", MW_STR("verify"));
    mw_json_kraw(&request.json, "payload", letter.nodes[mw_node_get(&letter, 0, "payload")].text);
    rc = mw_post_send(cli, &request, &posted, err);
    if (rc == MW_OK)
        (void)snprintf(tried->put_back, sizeof(tried->put_back), "%.*s",
                       MW_STR_ARG(posted.trace_id));
    return rc;
}

static bool do_letters(struct tried *tried)
{
    struct mw_err err = {0};
    struct answer answer = {0};
    struct task task[FLOWS];
    char id[37];
    uint32_t count = 0, recorded = 0;
    mw_uuid7(id);
    enum mw_rc rc = take(tried, 0, task, &count, &err); /* so that it is heard of */
    if (rc == MW_OK)
        rc = begin_flow(tried, "VerifyRemote", "p08", id, &answer, &err);
    for (unsigned attempt = 0; rc == MW_OK && attempt < 2; attempt++)
        rc = fail_task(tried, &err);
    if (rc == MW_OK)
        rc = kill_and_start(tried, &err);
    if (rc == MW_OK)
        rc = take(tried, 0, task, &count, &err);
    if (rc == MW_OK)
        rc = put_letter_back(tried, &err);
    if (rc == MW_OK)
        rc = take(tried, TAKE_MS, task, &count, &err);
    if (rc == MW_OK && count != 1)
        return broken(tried, "put back, it was given %u times", count);
    if (rc == MW_OK)
        rc = answer_all(tried, task, 1, "recorded", &recorded, &err);
    return rc == MW_OK ? true : broken(tried, "%s", err.text);
}

static enum mw_rc durable(struct tried *tried, int64_t *ret_seq, struct mw_err *err)
{
    struct mw_tape tape;
    mw_arena_reset(&tried->trial.cli.arena);
    enum mw_rc rc = mw_link_view_tape(&tried->trial.cli, "stats", NULL, 0, &tape, err);
    if (rc == MW_OK)
        *ret_seq = mw_node_int(&tape, mw_node_get(&tape, 0, "durable"), 0);
    return rc;
}

static bool do_inputs(struct tried *tried)
{
#define TEN(x) x x x x x x x x x x
    static const struct {
        const char *what, *body;
    } inputs[] = {
        {"a key that comes twice", "{\"coordinator\":\"a\",\"coordinator\":\"b\"}"},
        {"65 levels", "{\"payload\":" TEN(TEN("[") TEN("]")) "}"},
        {"bytes that are not UTF-8", "{\"coordinator\":\"\xff\xfe\"}"},
        {"half a surrogate", "{\"coordinator\":\"\\ud800\"}"},
        {"a NUL", "{\"coordinator\":\"\\u0000\"}"},
        {"half an object", "{\"coordinator\":"},
        {"no object", "[1]"},
    };
#undef TEN
    struct mw_err err = {0};
    int64_t before = 0, after = 0;
    enum mw_rc rc = durable(tried, &before, &err);
    for (size_t i = 0; rc == MW_OK && i < MW_COUNT(inputs); i++) {
        struct answer answer = {0};
        rc = post(tried, "StartCoordinator", mw_str_of(inputs[i].body), &answer, &err);
        if (!said(tried, rc, &answer, 400, inputs[i].what, &err))
            return false;
    }
    if (rc == MW_OK)
        rc = durable(tried, &after, &err);
    if (rc != MW_OK)
        return broken(tried, "%s", err.text);
    if (before != after)
        return broken(tried, "what was refused made %ld records", (long)(after - before));
    return holds(tried, "%zu hostile bodies refused with 400, without a record", MW_COUNT(inputs));
}

/* A body of the longest length that is taken, but for its last byte. */
static int begin_large(struct tried *tried, struct mw_str body)
{
    static const struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    struct mw_err err;
    int fd = mw_link_connect(&tried->trial.cli);
    mw_autofree char *head = mw_heap_format("POST /v1/requests/StartCoordinator HTTP/1.1\r\n"
                                            "host: millwright\r\nconnection: close\r\n"
                                            "content-type: application/json\r\n"
                                            "content-length: %zu\r\n\r\n",
                                            body.len);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* else it waits longer */
    if (mw_write_all(fd, mw_str_of(head), &err) != MW_OK ||
        mw_write_all(fd, mw_str_sub(body, 0, body.len - 1), &err) != MW_OK) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static enum mw_rc end_large(int *fd, struct mw_str body, struct mw_http_stream *ret_stream,
                            struct mw_err *err)
{
    enum mw_rc rc = mw_write_all(*fd, mw_str_sub(body, body.len - 1, 1), err);
    if (rc != MW_OK)
        return rc;
    *ret_stream = (struct mw_http_stream){.fd = *fd, .raw = mw_heap_buf(), .body = mw_heap_buf()};
    *fd = -1;
    return mw_http_head(ret_stream, WAIT_MS, err);
}

static bool do_load(struct tried *tried)
{
    int fds[LARGE_BODIES];
    struct mw_err err = {0};
    struct mw_http_stream stream = {.fd = -1};
    int64_t before = 0, after = 0;
    char *text = mw_heap_alloc(LARGE_BYTES);
    memset(text, ' ', LARGE_BYTES);
    text[0] = '{';
    text[LARGE_BYTES - 1] = '}';
    struct mw_str body = {text, LARGE_BYTES};
    enum mw_rc rc = durable(tried, &before, &err);
    for (size_t i = 0; i < LARGE_BODIES; i++)
        if ((fds[i] = rc == MW_OK ? begin_large(tried, body) : -1) < 0 && rc == MW_OK)
            rc = MW_FAIL(&err, MW_E_IO, "of %u bodies, %zu could be sent", LARGE_BODIES, i);
    if (rc == MW_OK)
        rc = end_large(&fds[LARGE_BODIES - 1], body, &stream, &err);
    for (size_t i = 0; i < LARGE_BODIES; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    mw_heap_free(text);
    int status = stream.status;
    mw_http_close(&stream);
    if (rc == MW_OK)
        rc = durable(tried, &after, &err);
    if (rc != MW_OK)
        return broken(tried, "%s", err.text);
    if (status != 429 || before != after)
        return broken(tried,
                      "of %u bodies of 4 MiB at once the last was answered with %d, and %ld "
                      "records were made",
                      LARGE_BODIES, status, (long)(after - before));
    return holds(tried,
                 "%u bodies of 4 MiB at once: 429, without a record; the ceiling of memory "
                 "wants a load for half a minute",
                 LARGE_BODIES);
}

/* ---- afterwards ---- */

static bool on_record(void *context, struct mw_str text)
{
    struct tried *tried = context;
    struct mw_tape tape;
    mw_arena_reset(&tried->line);
    if (tried->record_count == RECORDS_MAX ||
        mw_json_parse(&tried->line, text, &tape, NULL) != MW_OK)
        return false;
    struct record *record = &tried->records[tried->record_count++];
    (void)snprintf(record->kind, sizeof(record->kind), "%.*s",
                   MW_STR_ARG(mw_node_get_text(&tape, 0, "kind")));
    (void)snprintf(record->trace, sizeof(record->trace), "%.*s",
                   MW_STR_ARG(mw_node_get_text(&tape, 0, "traceId")));
    record->seq = (uint64_t)mw_node_int(&tape, mw_node_get(&tape, 0, "seq"), 0);
    record->fence = (uint64_t)mw_node_int(&tape, mw_node_get(&tape, 0, "fence"), 0);
    record->due_us = mw_node_int(&tape, mw_node_get(&tape, 0, "dueUs"), 0);
    record->completed = mw_str_is(mw_node_get_text(&tape, 0, "outcome"), "completed");
    return mw_utc_us(mw_node_get_text(&tape, 0, "timestamp"), &record->at_us);
}

/* Of one trace, or of all whose name begins with SERIES and a dot. */
static unsigned count_of(const struct tried *tried, const char *kind, const char *trace)
{
    unsigned count = 0;
    size_t len = strlen(trace);
    for (uint32_t i = 0; i < tried->record_count; i++) {
        const struct record *record = &tried->records[i];
        count += strcmp(record->kind, kind) == 0 && strncmp(record->trace, trace, len) == 0 &&
                 (record->trace[len] == '\0' || record->trace[len] == '.');
    }
    return count;
}

static bool see_files(struct tried *tried)
{
    for (size_t i = 0; i < MW_COUNT(users_files); i++) {
        struct mw_err err = {0};
        struct stat info;
        struct mw_buf text = mw_heap_buf();
        mw_autofree char *path = mw_heap_format("%s/%s", tried->trial.folder, users_files[i].path);
        bool same = mw_file_read(AT_FDCWD, path, 4096, &text, &err) == MW_OK &&
                    mw_str_is(mw_buf_str(&text), users_files[i].text) && stat(path, &info) == 0 &&
                    (info.st_mode & 0777) == 0640;
        mw_heap_buf_free(&text);
        if (!same)
            return broken(tried, "'%s' is not as it was", users_files[i].path);
    }
    return holds(tried, "what lay beside .millwright is as it was after %u records and four kills",
                 tried->record_count);
}

static bool see_repeats(struct tried *tried)
{
    unsigned opened = count_of(tried, "trace.opened", "p05");
    unsigned others =
        count_of(tried, "trace.opened", "p05-other") + count_of(tried, "trace.opened", "p05-old");
    if (opened != 1 || others != 0)
        return broken(tried, "one request was done %u times, and refused ones %u times", opened,
                      others);
    return holds(tried, "asked three times, once after a kill -9: done once; another body and an "
                        "id of eight days: refused");
}

static bool see_tasks(struct tried *tried)
{
    unsigned asked = count_of(tried, "task.dispatched", "p06");
    unsigned results = count_of(tried, "task.result", "p06");
    unsigned late = count_of(tried, "task.late", "p06");
    /* Each flow then asks a person, who does not answer. */
    if (asked != 2 * FLOWS || results != FLOWS || late != FLOWS)
        return broken(tried, "of %u tasks: asked %u times with a person's, %u results, %u late",
                      FLOWS, asked, results, late);
    return holds(tried,
                 "%u tasks over a kill -9, each answered twice: asked once, one result, the "
                 "other kept as late",
                 FLOWS);
}

static bool see_timers(struct tried *tried)
{
    unsigned rings = count_of(tried, "timer.rang", "p07");
    int64_t latest_us = 0;
    if (rings != FLOWS)
        return broken(tried, "%u timers rang %u times", FLOWS, rings);
    for (uint32_t i = 0; i < tried->record_count; i++) {
        const struct record *ring = &tried->records[i];
        if (strcmp(ring->kind, "timer.rang") != 0)
            continue;
        const struct record *set = NULL;
        for (uint32_t j = 0; j < i; j++) {
            if (tried->records[j].seq == ring->fence)
                set = &tried->records[j];
            else if (strcmp(tried->records[j].kind, "timer.rang") == 0 &&
                     tried->records[j].fence == ring->fence)
                return broken(tried, "record %lu rang again in record %lu",
                              (unsigned long)ring->fence, (unsigned long)ring->seq);
        }
        if (set == NULL || ring->at_us < set->due_us)
            return broken(tried, "record %lu rang too early", (unsigned long)ring->fence);
        if (ring->at_us - set->due_us > latest_us)
            latest_us = ring->at_us - set->due_us;
    }
    return holds(tried,
                 "%u became due while the host was killed: each rang once, %ld ms late at "
                 "most; the clock was not set",
                 FLOWS, (long)(latest_us / 1000));
}

static bool see_letters(struct tried *tried)
{
    unsigned asked = count_of(tried, "task.dispatched", "p08");
    unsigned dead = count_of(tried, "task.dead", "p08");
    unsigned again = count_of(tried, "task.dispatched", tried->put_back);
    unsigned results = count_of(tried, "task.result", tried->put_back);
    if (asked != 2 || dead != 1 || again != 1 || results != 1)
        return broken(tried,
                      "asked %u times it was dead %u times; put back, asked %u times, %u "
                      "results",
                      asked, dead, again, results);
    return holds(tried, "failed twice, a dead letter over a kill -9, put back and done once; a "
                        "request that ends the host was not tried");
}

/* That every time is one in UTC has been looked at when the record was read. */
static bool see_order(struct tried *tried)
{
    for (uint32_t i = 0; i < tried->record_count; i++)
        if (tried->records[i].seq != i + 1)
            return broken(tried, "record %u has the number %lu", (unsigned)i + 1,
                          (unsigned long)tried->records[i].seq);
    return holds(tried,
                 "%u records of five lives of the host have the numbers 1 to %u, each with "
                 "its time in UTC; the clock was not set",
                 (unsigned)tried->record_count, (unsigned)tried->record_count);
}

static bool see_replay(struct tried *tried)
{
    struct mw_err err = {0};
    const struct mw_cli_ports *ports = tried->trial.cli.ports;
    struct mw_cli_snapshot snapshot = {0}, made;
    char once[65], again[65];
    uint64_t seq, seq_again;
    bool fresh;
    const char *folder = tried->trial.folder;
    enum mw_rc rc = ports->offline_state(folder, once, &seq, &snapshot, &err);
    if (rc == MW_OK)
        rc = ports->make_snapshot(folder, &made, &fresh, &err);
    if (rc == MW_OK)
        rc = ports->offline_state(folder, again, &seq_again, &snapshot, &err);
    if (rc != MW_OK)
        return broken(tried, "%s", err.text);
    if (seq != seq_again || strcmp(once, again) != 0)
        return broken(tried, "two replays of the same %lu records give two states",
                      (unsigned long)seq);
    if (!snapshot.usable || !snapshot.agrees)
        return broken(tried, "the snapshot does not give the same state: %s", snapshot.why);
    return holds(tried,
                 "%lu records give the state %.12s… each time, and so does a snapshot of "
                 "%lu of them",
                 (unsigned long)seq, once, (unsigned long)snapshot.records);
}

/* ---- all of them ---- */

static void try_all(struct tried *tried, struct mw_promise_finding *findings)
{
    struct mw_err err = {0};
    bool well[MW_COUNT(rows)];
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        tried->finding = &findings[i];
        well[i] = rows[i].with_host == NULL || rows[i].with_host(tried);
    }
    mw_trial_worker_lost(&tried->worker);
    enum mw_rc rc = mw_trial_stop(&tried->trial, &err);
    if (rc == MW_OK)
        rc =
            tried->trial.cli.ports->offline_records(tried->trial.folder, 1, on_record, tried, &err);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        tried->finding = &findings[i];
        if (well[i] && rows[i].afterwards != NULL)
            well[i] = rc == MW_OK ? rows[i].afterwards(tried) : broken(tried, "%s", err.text);
        findings[i].verdict = well[i] ? MW_PROMISE_HOLDS : MW_PROMISE_BROKEN;
    }
}

void mw_promises_try(struct mw_cli *cli, const char *folder,
                     void (*on_finding)(void *context, const struct mw_promise_finding *finding),
                     void *context)
{
    struct mw_promise_finding findings[MW_COUNT(rows)];
    struct tried tried = {0};
    struct mw_err err = {0};
    char whole[PATH_MAX];
    const char *factory = mw_cli_factory(cli);
    mw_autofree char *definitions = mw_heap_format("%s/verify", factory != NULL ? factory : "");
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        findings[i] = (struct mw_promise_finding){
            .id = rows[i].id, .what = rows[i].what, .verdict = MW_PROMISE_NOT_TRIED};
    enum mw_rc rc =
        factory == NULL || !mw_exists(AT_FDCWD, definitions)
            ? MW_FAIL(&err, MW_E_MISSING, "factory/verify is not beside the program")
        : realpath(folder, whole) == NULL
            ? MW_FAIL_SYS(&err, MW_E_IO, "the folder '%s'", folder)
            : mw_trial_start(cli->ports, whole, "verify", definitions, &tried.trial, &err);
    if (rc == MW_OK) {
        tried.records = mw_heap_alloc(RECORDS_MAX * sizeof(*tried.records));
        mw_heap_arena(&tried.line, 1 << 20);
        mw_trial_worker_open(&tried.trial, "verify", &tried.worker);
        try_all(&tried, findings);
        mw_trial_worker_close(&tried.worker);
        mw_heap_arena_free(&tried.line);
        mw_heap_free(tried.records);
        mw_trial_end(&tried.trial);
    }
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        if (rc != MW_OK)
            (void)snprintf(findings[i].detail, sizeof(findings[i].detail),
                           "no host could be started: %.400s", err.text);
        on_finding(context, &findings[i]);
    }
}
