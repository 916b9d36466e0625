/*
 * sweep_host.c - the real host, all its threads: killed at system calls of its whole life and of its leaving, and with syncs and writes that
 * fail or take long (P01, P02, P05, P10). It works on flows of factory/bench while a caller asks for more, is told to leave, and a host after it
 * has to know everything that was acknowledged, once.
 */
#include "sweep.h"

#include "cli/http.h"
#include "journal/files.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUESTS_BEFORE_LEAVING 3
#define REQUESTS_MAX 400
#define CALLER_SECONDS 30
#define WAIT_MS 20000
#define FAILURES_SHOWN 10

static struct {
    char program[PATH_MAX], factory[PATH_MAX];
    char dir[128], acks_path[128], log_path[128];
    int acks_fd;
    int ready[2];   /* pipe: the host says "ready" */
    char word[300]; /* what it said */
    bool leaves;    /* the caller tells it to leave after some requests */
    long points, faults, acknowledged;
    const char *what;
    pid_t caller;
} life;

/* ---- the caller ---- */

static int connect_host(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.70s/.millwright/millwright.sock",
                   life.dir);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd); /* nothing was said over it */
    return -1;
}

static bool is_ready(void)
{
    struct pollfd ready = {.fd = life.ready[0], .events = POLLIN};
    memset(life.word, 0, sizeof life.word);
    return poll(&ready, 1, WAIT_MS) == 1 &&
           read(life.ready[0], life.word, sizeof life.word - 1) >= 5 &&
           strncmp(life.word, "ready", 5) == 0;
}

/* One request. The HTTP status and the answer's body in ret_body; 0: the host does not answer any more. */
static int ask(uint64_t life_number, int number, struct mw_buf *ret_body)
{
    char body[512];
    struct mw_http_stream stream = {0};
    struct mw_err err;
    int fd = connect_host();
    if (fd < 0)
        return 0;
    (void)snprintf(body, sizeof body,
                   "{\"messageId\":\"01a1f76d-ff7a-7e29-%04x-%012x\",\"actor\":\"user:crash\","
                   "\"source\":\"crash\",\"coordinator\":\"BenchSteps\",\"traceId\":\"c%lu.%d\","
                   "\"payload\":{}}",
                   0x8000u | (unsigned)(life_number & 0xfff), (unsigned)number,
                   (unsigned long)life_number, number);
    const struct mw_http_request request = {"POST", "/v1/requests/StartCoordinator", "",
                                            mw_str_of(body), false};
    enum mw_rc rc = mw_http_start(fd, &request, WAIT_MS, &stream, &err);
    if (rc == MW_OK)
        rc = mw_http_head(&stream, WAIT_MS, &err);
    if (rc == MW_OK)
        rc = mw_http_rest(&stream, WAIT_MS, (size_t)1 << 20, &err);
    int status = rc == MW_OK ? stream.status : 0;
    mw_buf_reset(ret_body);
    if (rc == MW_OK)
        mw_buf_put(ret_body, mw_buf_str(&stream.body));
    mw_buf_put_c(ret_body, '\0');
    mw_http_close(&stream);
    return status;
}

static uint64_t member(const struct mw_buf *body, const char *name)
{
    const char *at = strstr(body->ptr, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Asks until nobody answers; what was answered with 200 is acknowledged. Its process ends with it. */
static void call(pid_t host, uint64_t life_number)
{
    struct mw_buf body = mw_heap_buf();
    (void)alarm(CALLER_SECONDS);
    if (dup2(life.acks_fd, STDOUT_FILENO) != STDOUT_FILENO || !is_ready())
        _exit(1);
    for (int number = 1; number <= REQUESTS_MAX; number++) {
        int status = ask(life_number, number, &body);
        if (status == 200)
            subject_say("ack request %lu %d %lu %lu", (unsigned long)life_number, number,
                        (unsigned long)member(&body, "\"first\":"),
                        (unsigned long)member(&body, "\"last\":"));
        else if (status != 503 && status != 507)
            _exit(0);
        else if (status == 503)
            _exit(0); /* it is leaving */
        if (number == REQUESTS_BEFORE_LEAVING && life.leaves)
            (void)kill(host, SIGTERM); /* it may be gone */
    }
    (void)kill(host, SIGTERM); /* it may be gone */
    _exit(0);
}

/* ---- one life ---- */

struct life_context {
    uint64_t number;
};

static int job_host(void *context)
{
    (void)context;
    char ready[16];
    int log_fd = open(life.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)snprintf(ready, sizeof ready, "%d", dup(life.ready[1]));
    if (log_fd < 0 || dup2(log_fd, STDERR_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
        setenv("MILLWRIGHT_READY_FD", ready, 1) != 0 ||
        setenv("MILLWRIGHT_FACTORY", life.factory, 1) != 0 ||
        setenv("MILLWRIGHT_SNAPSHOT_RECORDS", "60", 1) != 0)
        return 122;
    (void)alarm(0); /* exec keeps it */
    (void)execl(life.program, life.program, "__host", life.dir, (char *)NULL);
    return 123;
}

static void begin_caller(void *context, pid_t host)
{
    const struct life_context *one = context;
    life.caller = fork();
    MW_ASSERT(life.caller >= 0);
    if (life.caller == 0)
        call(host, one->number);
}

static void open_ready(void)
{
    MW_ASSERT(pipe2(life.ready, O_CLOEXEC) == 0);
}

static void close_ready(void)
{
    (void)close(life.ready[0]); /* a pipe of our own */
    (void)close(life.ready[1]); /* likewise */
}

static void end_caller(void)
{
    int status;
    if (life.caller > 0 && waitpid(life.caller, &status, WNOHANG) == 0) {
        (void)kill(life.caller, SIGKILL); /* the host it talks to is gone */
        (void)waitpid(life.caller, &status, 0);
    }
    life.caller = 0;
}

/* ---- what has to hold ---- */

struct once {
    uint64_t number;
    int request;
    uint64_t first, last;
    bool found;
    uint64_t twice;
};

MW_PRINTF(1, 2)
static void fault(const char *format, ...)
{
    va_list args;
    life.faults++;
    if (life.faults > FAILURES_SHOWN)
        return;
    printf("    %s: ", life.what);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    printf("\n");
}

struct reading {
    uint64_t next;
    struct once *requests;
    size_t count;
    char ended[4096][24]; /* tasks with a result */
    size_t ended_count;
    uint64_t twice_seq;
};

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct reading *reading = context;
    char *text = mw_heap_copy(line);
    (void)err;
    if (seq != reading->next)
        reading->twice_seq = seq;
    reading->next = seq + 1;
    for (size_t i = 0; i < reading->count; i++) {
        struct once *once = &reading->requests[i];
        char id[64];
        (void)snprintf(id, sizeof id, "\"causationId\":\"01a1f76d-ff7a-7e29-%04x-%012x\"",
                       0x8000u | (unsigned)(once->number & 0xfff), (unsigned)once->request);
        if (strstr(text, id) == NULL)
            continue;
        if (once->found && (seq < once->first || seq > once->last))
            once->twice = seq;
        once->found = once->found || (seq >= once->first && seq <= once->last);
    }
    const char *task =
        strstr(text, "\"kind\":\"task.result\"") != NULL ? strstr(text, "\"taskId\":\"") : NULL;
    if (task != NULL && reading->ended_count < MW_COUNT(reading->ended)) {
        char *name = reading->ended[reading->ended_count];
        (void)sscanf(task, "\"taskId\":\"%23[^\"]", name);
        for (size_t i = 0; i < reading->ended_count; i++)
            if (strcmp(reading->ended[i], name) == 0)
                reading->twice_seq = seq;
        reading->ended_count++;
    }
    mw_heap_free(text);
    return MW_OK;
}

static void check_journal(struct mw_str acks)
{
    const struct mw_journal_ops *ops = &mw_journal_files;
    struct reading *reading = mw_heap_alloc(sizeof *reading);
    char folder[160], side[160], rest[200];
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    (void)snprintf(folder, sizeof folder, "%s/.millwright/journal", life.dir);
    (void)snprintf(side, sizeof side, "%s/.millwright", life.dir);
    const struct mw_journal_options reads = {.side_dir = side, .read_only = true};
    reading->next = 1;
    reading->requests = mw_heap_alloc(sizeof *reading->requests * (REQUESTS_MAX + 1));
    for (size_t at = 0; reading->count < REQUESTS_MAX &&
                        subject_next_ack(acks, &at, "request", rest, sizeof rest);) {
        struct once *once = &reading->requests[reading->count++];
        MW_ASSERT(sscanf(rest, "%lu %d %lu %lu", &once->number, &once->request, &once->first,
                         &once->last) == 4);
    }
    if (ops->open(folder, &reads, &journal, &opened, &err) != MW_OK) {
        fault("the journal is refused: %s", err.text);
    } else {
        if (ops->read(journal, 1, on_record, reading, &err) != MW_OK)
            fault("the journal cannot be read: %s", err.text);
        (void)ops->close(journal, &err); /* was only read */
        if (reading->twice_seq != 0)
            fault("P06: record %lu is out of order, or a second result of one task",
                  (unsigned long)reading->twice_seq);
        for (size_t i = 0; i < reading->count; i++) {
            const struct once *once = &reading->requests[i];
            if (!once->found)
                fault("P01: request %d was acknowledged as records %lu to %lu and is not there",
                      once->request, (unsigned long)once->first, (unsigned long)once->last);
            if (once->twice != 0)
                fault("P05: request %d had a second effect, record %lu", once->request,
                      (unsigned long)once->twice);
        }
        life.acknowledged += (long)reading->count;
    }
    mw_heap_free(reading->requests);
    mw_heap_free(reading);
}

/* The same request once more, to the host after it: told as before, as a repetition. */
static void ask_again(struct mw_str acks)
{
    char rest[200];
    struct mw_buf body = mw_heap_buf();
    unsigned long number = 0, first = 0, last = 0;
    int request = 0;
    if (subject_last_ack(acks, "request", rest, sizeof rest) &&
        sscanf(rest, "%lu %d %lu %lu", &number, &request, &first, &last) == 4) {
        int status = ask(number, request, &body);
        if (status != 200 || strstr(body.ptr, "\"duplicate\":true") == NULL ||
            member(&body, "\"first\":") != first)
            fault("P05: the same request again is answered %d %s", status,
                  body.ptr != NULL ? body.ptr : "");
    }
    mw_heap_buf_free(&body);
}

static bool verify_program(void)
{
    int status = -1;
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0) {
        int log_fd = open(life.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0 || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0 ||
            setenv("MILLWRIGHT_FACTORY", life.factory, 1) != 0)
            _exit(122);
        (void)execl(life.program, life.program, "--workspace", life.dir, "verify", (char *)NULL);
        _exit(123);
    }
    MW_ASSERT(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

/* A host after it, undisturbed: ready, knows the last request, leaves in order. */
static void next_host(struct mw_str acks)
{
    int status = -1;
    open_ready();
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0)
        _exit(job_host(NULL));
    if (is_ready())
        ask_again(acks);
    else
        fault("the next host does not become ready: %s",
              life.word[0] != '\0' ? life.word : "it says nothing");
    (void)kill(pid, SIGTERM); /* when it died already, waitpid tells */
    MW_ASSERT(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        fault("the next host ended with %d", status);
    close_ready();
}

static void judge_life(void)
{
    struct mw_buf acks = mw_heap_buf();
    struct mw_err err;
    life.points++;
    MW_ASSERT(mw_file_read(AT_FDCWD, life.acks_path, (size_t)16 << 20, &acks, &err) == MW_OK);
    next_host(mw_buf_str(&acks));
    check_journal(mw_buf_str(&acks));
    if (life.points % 8 == 1 && !verify_program())
        fault("millwright verify does not say that all is well");
    mw_heap_buf_free(&acks);
}

static void live(struct traced *traced, uint64_t number, bool leaves)
{
    struct life_context one = {.number = number};
    place_make(life.dir);
    MW_ASSERT(ftruncate(life.acks_fd, 0) == 0);
    life.leaves = leaves;
    open_ready();
    traced->started = begin_caller;
    trace_run(traced, life.dir, life.acks_fd, job_host, &one);
    end_caller();
    close_ready();
}

static long count_stops(bool after_sigterm)
{
    struct traced traced = {.after_sigterm = after_sigterm, .strikes = {{.kind = STRIKE_KILL}}};
    live(&traced, 1, true);
    if (traced.status != 0)
        fault("an undisturbed host ended with %d", traced.status);
    return traced.strikes[0].seen;
}

static void sweep_kills(bool after_sigterm, long wanted)
{
    char words[96];
    long stops = count_stops(after_sigterm);
    for (long i = 0; i < wanted; i++) {
        long at = 1 + i * stops / wanted;
        struct traced traced = {.after_sigterm = after_sigterm,
                                .strikes = {{.kind = STRIKE_KILL, .at = at}}};
        (void)snprintf(words, sizeof words, "killed at stop %ld of %ld%s", at, stops,
                       after_sigterm ? " while it leaves" : "");
        life.what = words;
        live(&traced, (uint64_t)i + 2, true);
        if (!traced.killed && traced.status != 0)
            fault("it ended by itself with %d", traced.status);
        judge_life();
    }
}

static void sweep_failures(long each)
{
    static const struct {
        enum call_class calls;
        enum strike_kind kind;
        int error;
    } kinds[] = {
        {CALLS_SYNC, STRIKE_ERROR, EIO},    {CALLS_SYNC, STRIKE_ERROR, ENOSPC},
        {CALLS_SYNC, STRIKE_SLOW, 0},       {CALLS_SPACE, STRIKE_ERROR, ENOSPC},
        {CALLS_WRITE, STRIKE_ERROR, EINTR},
    };
    char words[96];
    for (size_t kind = 0; kind < MW_COUNT(kinds); kind++)
        for (long i = 0; i < each; i++) {
            struct traced traced = {.strikes = {{.kind = kinds[kind].kind,
                                                 .calls = kinds[kind].calls,
                                                 .error = kinds[kind].error,
                                                 .at = 2 + i * 3}}};
            (void)snprintf(words, sizeof words, "its %s %ld %s",
                           call_class_names[kinds[kind].calls], traced.strikes[0].at,
                           kinds[kind].error != 0 ? strerrorname_np(kinds[kind].error) : "is slow");
            life.what = words;
            live(&traced, (uint64_t)(1000 + i), true);
            int code = WIFEXITED(traced.status) ? WEXITSTATUS(traced.status) : -1;
            if (code != 0 && code != 74)
                fault("it ended with status %d, not 0 or 74", traced.status);
            judge_life();
        }
}

/* What a host that was killed while it started a child leaves for a moment: a process with its socket and its lock, which ends by itself. */
static void leave_a_child(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[200];
    (void)snprintf(path, sizeof path, "%s/.millwright", life.dir);
    MW_ASSERT(mkdir(path, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/.millwright/lock", life.dir);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.70s/.millwright/millwright.sock",
                   life.dir);
    int lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MW_ASSERT(lock_fd >= 0 && flock(lock_fd, LOCK_EX) == 0);
    MW_ASSERT(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
              listen(fd, 8) == 0);
    pid_t child = fork();
    MW_ASSERT(child >= 0);
    if (child == 0) {
        (void)alarm(CALLER_SECONDS);
        _exit(accept(fd, NULL, NULL) < 0); /* the next host has tried */
    }
    _exit(0);
}

static void sweep_lingering_child(void)
{
    int status;
    life.what = "a child of a killed host still holds its lock";
    place_make(life.dir);
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0)
        leave_a_child();
    MW_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
    life.points++;
    next_host(MW_STR_NONE);
}

static int say(const char *ids, const char *words)
{
    printf("%s %s: host: %s (%ld points, %ld acknowledged requests)\n",
           life.faults == 0 ? "ok" : "not ok", ids, words, life.points, life.acknowledged);
    int code = life.faults > 0;
    life.points = life.faults = life.acknowledged = 0;
    return code;
}

int sweep_host(const char *base, const char *program, bool night)
{
    int code = 0;
    if (realpath(program, life.program) == NULL ||
        realpath("factory/bench", life.factory) == NULL) {
        printf("skipped: the host's sweep: '%s' or factory/bench is not here\n", program);
        return 0;
    }
    (void)snprintf(life.dir, sizeof life.dir, "%s/host", base);
    (void)snprintf(life.acks_path, sizeof life.acks_path, "%s/host.acks", base);
    (void)snprintf(life.log_path, sizeof life.log_path, "%s/host.out", base);
    life.acks_fd = open(life.acks_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MW_ASSERT(life.acks_fd >= 0);
    life.what = "undisturbed";
    (void)fflush(stdout);
    sweep_kills(false, night ? 1500 : 24);
    code |= say("P01 P05 P06", "killed at system calls of all its threads");
    sweep_kills(true, night ? 500 : 24);
    code |= say("P01 P05 P06", "killed at system calls while it leaves");
    sweep_lingering_child();
    code |= say("P11", "a start waits for what a killed host left running");
    sweep_failures(night ? 20 : 2);
    code |= say("P01 P02 P10", "syncs and writes that fail or take long");
    (void)close(life.acks_fd); /* was only for this */
    return code;
}
