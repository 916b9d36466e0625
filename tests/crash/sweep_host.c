/*
 * sweep_host.c - the real host, all its threads: killed at system calls of its whole life and of its leaving, and with syncs and writes that
 * fail or take long (P01, P02, P05, P10). It works on flows of factory/bench while a caller asks for more, is told to leave, and a host after it
 * has to know everything that was acknowledged, once.
 */
#include "sweep_host.h"

#include "journal/files.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
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
#define FAILURES_SHOWN 10
#define LEAVING_ROUNDS                                                                             \
    3 /* of a night: what its threads do while it leaves differs from life to life */
#define STOPS_MAX 50000
#define ENDED_BY_ITSELF 5 /* so many lives in a row ended before the stop: there are no more */

struct host_life life;

/* ---- the caller ---- */

int host_connect(void)
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

bool host_is_ready(void)
{
    struct pollfd ready = {.fd = life.ready[0], .events = POLLIN};
    memset(life.word, 0, sizeof life.word);
    return poll(&ready, 1, WAIT_MS) == 1 &&
           read(life.ready[0], life.word, sizeof life.word - 1) >= 5 &&
           strncmp(life.word, "ready", 5) == 0;
}

int host_ask(const char *request, const char *members, uint64_t life_number, int number,
             struct mw_buf *ret_body)
{
    char body[512], target[64];
    struct mw_http_stream stream = {0};
    struct mw_err err;
    int fd = host_connect();
    if (fd < 0)
        return 0;
    (void)snprintf(target, sizeof target, "/v1/requests/%s", request);
    (void)snprintf(body, sizeof body,
                   "{\"messageId\":\"01a1f76d-ff7a-7e29-%04x-%012x\",\"actor\":\"user:crash\","
                   "\"source\":\"crash\"%s}",
                   0x8000u | (unsigned)(life_number & 0xfff), (unsigned)number, members);
    const struct mw_http_request asked = {"POST", target, "", mw_str_of(body), false};
    enum mw_rc rc = mw_http_start(fd, &asked, WAIT_MS, &stream, &err);
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

/* What a caller of flows sends more. */
static const char *flow_members(uint64_t life_number, int number)
{
    static char members[160];
    (void)snprintf(members, sizeof members,
                   ",\"coordinator\":\"BenchSteps\",\"traceId\":\"c%lu.%d\",\"payload\":{}",
                   (unsigned long)life_number, number);
    return members;
}

uint64_t host_member(const struct mw_buf *body, const char *name)
{
    const char *at = strstr(body->ptr, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void host_say_ack(uint64_t life_number, int number, const struct mw_buf *body)
{
    subject_say("ack request %lu %d %lu %lu", (unsigned long)life_number, number,
                (unsigned long)host_member(body, "\"first\":"),
                (unsigned long)host_member(body, "\"last\":"));
}

/* Asks until nobody answers; what was answered with 200 is acknowledged. After some requests it tells the host to leave. */
static void call_flows(pid_t host, uint64_t life_number)
{
    struct mw_buf body = mw_heap_buf();
    for (int number = 1; number <= REQUESTS_MAX; number++) {
        int status = host_ask("StartCoordinator", flow_members(life_number, number), life_number,
                              number, &body);
        if (status == 200)
            host_say_ack(life_number, number, &body);
        else if (status != 507)
            _exit(0); /* 503: it is leaving */
        if (number == REQUESTS_BEFORE_LEAVING)
            (void)kill(host, SIGTERM); /* it may be gone */
    }
    (void)kill(host, SIGTERM); /* it may be gone */
    _exit(0);
}

/* ---- one life ---- */

struct life_context {
    uint64_t number;
    void (*call)(pid_t host, uint64_t number);
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
    if (life.caller > 0)
        return;
    (void)alarm(CALLER_SECONDS);
    if (dup2(life.acks_fd, STDOUT_FILENO) != STDOUT_FILENO || !host_is_ready())
        _exit(1);
    one->call(host, one->number);
    _exit(0);
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

void host_fault(const char *format, ...)
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

void host_check_journal(struct mw_str acks)
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
        host_fault("the journal is refused: %s", err.text);
    } else {
        if (ops->read(journal, 1, on_record, reading, &err) != MW_OK)
            host_fault("the journal cannot be read: %s", err.text);
        (void)ops->close(journal, &err); /* was only read */
        if (reading->twice_seq != 0)
            host_fault("P06: record %lu is out of order, or a second result of one task",
                       (unsigned long)reading->twice_seq);
        for (size_t i = 0; i < reading->count; i++) {
            const struct once *once = &reading->requests[i];
            if (!once->found)
                host_fault(
                    "P01: request %d was acknowledged as records %lu to %lu and is not there",
                    once->request, (unsigned long)once->first, (unsigned long)once->last);
            if (once->twice != 0)
                host_fault("P05: request %d had a second effect, record %lu", once->request,
                           (unsigned long)once->twice);
        }
        life.acknowledged += (long)reading->count;
    }
    mw_heap_free(reading->requests);
    mw_heap_free(reading);
}

void host_ask_again(const char *request, const char *members, struct mw_str acks)
{
    char rest[200];
    struct mw_buf body = mw_heap_buf();
    unsigned long number = 0, first = 0, last = 0;
    int count = 0;
    if (subject_last_ack(acks, "request", rest, sizeof rest) &&
        sscanf(rest, "%lu %d %lu %lu", &number, &count, &first, &last) == 4) {
        members = members != NULL ? members : flow_members(number, count);
        int status = host_ask(request, members, number, count, &body);
        if (status != 200 || strstr(body.ptr, "\"duplicate\":true") == NULL ||
            host_member(&body, "\"first\":") != first)
            host_fault("P05: the same request again is answered %d %s", status,
                       body.ptr != NULL ? body.ptr : "");
    }
    mw_heap_buf_free(&body);
}

int host_run_program(const char *const *words)
{
    const char *argv[16] = {life.program, "--workspace", life.dir};
    int status = -1;
    for (size_t i = 0; words[i] != NULL && i + 4 < MW_COUNT(argv); i++)
        argv[i + 3] = words[i];
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0) {
        int log_fd = open(life.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0 || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0 ||
            setenv("MILLWRIGHT_FACTORY", life.factory, 1) != 0)
            _exit(122);
        (void)execv(life.program, (char *const *)argv);
        _exit(123);
    }
    MW_ASSERT(waitpid(pid, &status, 0) == pid);
    return status;
}

void host_live_on(struct mw_str acks, void (*while_it_lives)(struct mw_str acks))
{
    int status = -1;
    open_ready();
    pid_t pid = fork();
    MW_ASSERT(pid >= 0);
    if (pid == 0)
        _exit(job_host(NULL));
    if (host_is_ready())
        while_it_lives(acks);
    else
        host_fault("the next host does not become ready: %s",
                   life.word[0] != '\0' ? life.word : "it says nothing");
    (void)kill(pid, SIGTERM); /* when it died already, waitpid tells */
    MW_ASSERT(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        host_fault("the next host ended with %d", status);
    close_ready();
}

static void ask_flow_again(struct mw_str acks)
{
    host_ask_again("StartCoordinator", NULL, acks);
}

static void judge_flows(void)
{
    static const char *const verify[] = {"verify", NULL};
    struct mw_buf acks = mw_heap_buf();
    struct mw_err err;
    MW_ASSERT(mw_file_read(AT_FDCWD, life.acks_path, (size_t)16 << 20, &acks, &err) == MW_OK);
    host_live_on(mw_buf_str(&acks), ask_flow_again);
    host_check_journal(mw_buf_str(&acks));
    if (life.points % 8 == 1 && host_run_program(verify) != 0)
        host_fault("millwright verify does not say that all is well");
    mw_heap_buf_free(&acks);
}

static void begin_empty(void)
{
    place_make(life.dir);
}

void host_live(struct traced *traced, uint64_t number, void (*call)(pid_t host, uint64_t number))
{
    struct life_context one = {.number = number, .call = call};
    MW_ASSERT(ftruncate(life.acks_fd, 0) == 0);
    open_ready();
    traced->started = begin_caller;
    trace_run(traced, life.dir, life.acks_fd, job_host, &one);
    end_caller();
    close_ready();
}

/* ---- the sweeps ---- */

static long count_stops(int after_signal, void (*begin)(void),
                        void (*call)(pid_t host, uint64_t number))
{
    struct traced traced = {.after_signal = after_signal, .strikes = {{.kind = STRIKE_KILL}}};
    begin();
    host_live(&traced, 1, call);
    if (traced.status != 0)
        host_fault("an undisturbed host ended with %d", traced.status);
    return traced.strikes[0].seen;
}

void host_sweep_kills(int after_signal, long wanted, const char *when, void (*begin)(void),
                      void (*call)(pid_t host, uint64_t number), void (*judge)(void))
{
    char words[160];
    life.what = "undisturbed";
    long stops = count_stops(after_signal, begin, call), ended = 0;
    life.stops = stops;
    long lives = wanted > 0 ? wanted : STOPS_MAX;
    for (long i = 0; i < lives && (wanted > 0 || ended < ENDED_BY_ITSELF); i++) {
        long at = wanted > 0 ? 1 + i * stops / wanted : 1 + i;
        struct traced traced = {.after_signal = after_signal,
                                .strikes = {{.kind = STRIKE_KILL, .at = at}}};
        (void)snprintf(words, sizeof words, "killed at stop %ld of some %ld%s", at, stops, when);
        life.what = words;
        begin();
        host_live(&traced, (uint64_t)i + 2, call);
        if (!traced.killed && traced.status != 0)
            host_fault("it ended by itself with %d", traced.status);
        ended = traced.killed ? 0 : ended + 1;
        life.points++;
        judge();
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
            begin_empty();
            host_live(&traced, (uint64_t)(1000 + i), call_flows);
            int code = WIFEXITED(traced.status) ? WEXITSTATUS(traced.status) : -1;
            if (code != 0 && code != 74)
                host_fault("it ended with status %d, not 0 or 74", traced.status);
            life.points++;
            judge_flows();
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
    host_live_on(MW_STR_NONE, ask_flow_again);
}

int host_say_lives(const char *ids, const char *words)
{
    char stops[64] = "";
    if (life.stops > 0)
        (void)snprintf(stops, sizeof stops, " in lives of some %ld stops", life.stops);
    printf("%s %s: host: %s (%ld points%s, %ld acknowledged requests)\n",
           life.faults == 0 ? "ok" : "not ok", ids, words, life.points, stops, life.acknowledged);
    int code = life.faults > 0;
    life.all_points += life.points;
    life.all_faults += life.faults;
    life.points = life.faults = life.acknowledged = life.stops = 0;
    return code;
}

int sweep_host(const char *base, const char *program, bool night)
{
    static const char title[] = "host lives";
    int code = 0;
    if (realpath(program, life.program) == NULL ||
        realpath("factory/bench", life.factory) == NULL) {
        static const char why[] =
            "skipped: the host's sweep: the program or factory/bench is not here";
        printf("%s\n", why);
        table_summary_line(title, 0, 0, "", why);
        return night; /* a night tries everything */
    }
    (void)snprintf(life.dir, sizeof life.dir, "%s/host", base);
    (void)snprintf(life.acks_path, sizeof life.acks_path, "%s/host.acks", base);
    (void)snprintf(life.log_path, sizeof life.log_path, "%s/host.out", base);
    life.acks_fd = open(life.acks_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MW_ASSERT(life.acks_fd >= 0);
    (void)fflush(stdout);
    host_sweep_kills(0, night ? 0 : 24, "", begin_empty, call_flows, judge_flows);
    code |= host_say_lives("P01 P05 P06", "killed at system calls of all its threads");
    for (int round = 0; round < (night ? LEAVING_ROUNDS : 1); round++)
        host_sweep_kills(SIGTERM, night ? 0 : 24, " while it leaves", begin_empty, call_flows,
                         judge_flows);
    code |= host_say_lives("P01 P05 P06", "killed at system calls while it leaves");
    sweep_lingering_child();
    code |= host_say_lives("P11", "a start waits for what a killed host left running");
    sweep_failures(night ? 20 : 2);
    code |= host_say_lives("P01 P02 P10", "syncs and writes that fail or take long");
    code |= sweep_app(base, night);
    table_summary_line(title, life.all_points, life.all_faults,
                       "of the real host, killed or with calls that fail", NULL);
    (void)close(life.acks_fd); /* was only for this */
    return code;
}
