/*
 * sweep_app.c - the real host promotes a version and rolls it back, and is killed at its system calls meanwhile (P12, P01, P05, P23): the app
 * is the old tree or the new one, whole; the host after it ends what was begun, once, and the app is what the last record says.
 */
#include "sweep_host.h"

#include "journal/files.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "stage/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BY_DAY 12
#define BY_NIGHT 2000 /* of some 10,000 stops; each life takes a tenth of a second */
#define MARK SIGURG   /* the caller is about to ask; whoever is not traced ignores it */
#define PRECIOUS "precious\n"
#define SAID_BYTES 600 /* of what the program said, when it fails */

static struct {
    char template[160];
    char old_sha256[MW_SHA256_HEX], new_sha256[MW_SHA256_HEX];
    uint64_t prepared_seq; /* the journal's last record before the life */
} app;

/* ---- records, as the host tells them ---- */

struct ends {
    long started, promoted, failed;
    char last_sha256[MW_SHA256_HEX];   /* of the last app.promoted; empty: none */
    char staged_sha256[MW_SHA256_HEX]; /* of the last build.staged */
};

static void take_sha256(const char *text, char ret_sha256[MW_SHA256_HEX])
{
    static const char member[] = "\"sha256\":\"";
    const char *found = strstr(text, member);
    if (found != NULL)
        (void)snprintf(ret_sha256, MW_SHA256_HEX, "%.64s", found + sizeof member - 1);
}

static void see_record(struct ends *ends, struct mw_str line)
{
    mw_autofree char *text = mw_heap_copy(line);
    ends->started += strstr(text, "\"kind\":\"promotion.started\"") != NULL;
    ends->failed += strstr(text, "\"kind\":\"promotion.failed\"") != NULL;
    if (strstr(text, "\"kind\":\"app.promoted\"") != NULL) {
        ends->promoted++;
        take_sha256(text, ends->last_sha256);
    }
    if (strstr(text, "\"kind\":\"build.staged\"") != NULL)
        take_sha256(text, ends->staged_sha256);
}

static long ended(const struct ends *ends)
{
    return ends->promoted + ends->failed;
}

/* Hears the host's records after the preparation until `wanted` promotions have ended. False: the host is gone. */
static bool hear_ends(long wanted, struct ends *ends)
{
    char target[96];
    struct mw_http_stream stream = {0};
    struct mw_err err;
    *ends = (struct ends){0};
    int fd = host_connect();
    if (fd < 0)
        return false;
    (void)snprintf(target, sizeof target, "/v1/journal?after=%lu&follow=1",
                   (unsigned long)app.prepared_seq);
    const struct mw_http_request request = {"GET", target, "", MW_STR_NONE, false};
    enum mw_rc rc = mw_http_start(fd, &request, WAIT_MS, &stream, &err);
    if (rc == MW_OK)
        rc = mw_http_head(&stream, WAIT_MS, &err);
    while (rc == MW_OK && ended(ends) < wanted) {
        struct mw_str line;
        size_t at = 0;
        while (mw_http_line(&stream, &at, &line))
            see_record(ends, line);
        mw_http_taken(&stream, at);
        struct pollfd more = {.fd = stream.fd, .events = POLLIN};
        if (ended(ends) < wanted && (stream.done || poll(&more, 1, WAIT_MS) != 1))
            break;
        if (ended(ends) < wanted)
            rc = mw_http_fill(&stream, &err);
    }
    mw_http_close(&stream);
    return ended(ends) >= wanted;
}

/* ---- the life ---- */

/* Promotes the new version and puts the old one back; each request when the one before has ended. */
static void call_app(pid_t host, uint64_t life_number)
{
    static const char *const requests[] = {"Promote", "Rollback"};
    struct mw_buf body = mw_heap_buf();
    struct ends ends;
    (void)kill(host, MARK); /* it may be gone */
    for (int number = 1; number <= (int)MW_COUNT(requests); number++) {
        if (host_ask(requests[number - 1], "", life_number, number, &body) != 200)
            _exit(0);
        host_say_ack(life_number, number, &body);
        if (!hear_ends(number, &ends))
            _exit(0);
    }
    (void)kill(host, SIGTERM); /* it may be gone */
    _exit(0);
}

static void begin_app(void)
{
    place_copy(app.template, life.dir);
}

/* ---- what has to hold ---- */

static void digest_of_app(char ret_sha256[MW_SHA256_HEX])
{
    char path[200];
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    struct mw_err err;
    (void)snprintf(path, sizeof path, "%s/app", life.dir);
    ret_sha256[0] = '\0';
    if (mw_tree_scan(AT_FDCWD, path, &observe, &tree, &err) != MW_OK)
        return;
    mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
}

static void check_whole(const char *when)
{
    char found[MW_SHA256_HEX], path[200];
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    digest_of_app(found);
    if (strcmp(found, app.old_sha256) != 0 && strcmp(found, app.new_sha256) != 0)
        host_fault("P12: %s the app is neither the old tree nor the new one", when);
    (void)snprintf(path, sizeof path, "%s/data/notes", life.dir);
    if (mw_file_read(AT_FDCWD, path, 100, &text, &err) != MW_OK ||
        !mw_str_is(mw_buf_str(&text), PRECIOUS))
        host_fault("P23: %s the app's data is not what it was", when);
    mw_heap_buf_free(&text);
}

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)err;
    if (seq > app.prepared_seq)
        see_record(context, line);
    return MW_OK;
}

static bool read_journal(struct ends *ret_ends, uint64_t *ret_last_seq)
{
    const struct mw_journal_ops *ops = &mw_journal_files;
    char folder[200], side[200];
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    (void)snprintf(folder, sizeof folder, "%s/.millwright/journal", life.dir);
    (void)snprintf(side, sizeof side, "%s/.millwright", life.dir);
    const struct mw_journal_options reads = {.side_dir = side, .read_only = true};
    *ret_ends = (struct ends){0};
    if (ops->open(folder, &reads, &journal, &opened, &err) != MW_OK) {
        host_fault("P03: the journal is refused: %s", err.text);
        return false;
    }
    if (ops->read(journal, 1, on_record, ret_ends, &err) != MW_OK)
        host_fault("P03: the journal cannot be read: %s", err.text);
    *ret_last_seq = opened.last_seq;
    (void)ops->close(journal, &err); /* was only read */
    return true;
}

/* What was begun when the host died: the next one has to end it by itself. */
static long begun;

static void while_next_lives(struct mw_str acks)
{
    char rest[200];
    unsigned long number;
    int count;
    struct ends ends;
    if (subject_last_ack(acks, "request", rest, sizeof rest) &&
        sscanf(rest, "%lu %d", &number, &count) == 2)
        host_ask_again(count == 1 ? "Promote" : "Rollback", "", acks);
    if (!hear_ends(begun, &ends))
        host_fault("P12: of %ld promotions that were begun the next host ended %ld", begun,
                   ended(&ends));
}

static void check_end(void)
{
    char found[MW_SHA256_HEX];
    struct ends ends;
    uint64_t last;
    digest_of_app(found);
    if (!read_journal(&ends, &last))
        return;
    const char *wanted = ends.last_sha256[0] != '\0' ? ends.last_sha256 : app.old_sha256;
    if (ends.started != ended(&ends))
        host_fault("P12: %ld promotions were begun, and %ld ends of them are recorded",
                   ends.started, ended(&ends));
    if (ends.failed > 0)
        host_fault("P12: a promotion that a kill cut off is told as failed");
    if (strcmp(found, wanted) != 0)
        host_fault("P12: the app is not the tree that the last record names");
    DIR *list = opendir(life.dir);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        if (strncmp(entry->d_name, ".millwright-", 12) == 0)
            host_fault("P12: '%s' is left beside the app", entry->d_name);
    if (list != NULL)
        (void)closedir(list); /* only read from */
}

static void judge_app(void)
{
    static const char *const verify[] = {"verify", NULL};
    struct mw_buf acks = mw_heap_buf();
    struct mw_err err;
    struct ends before;
    uint64_t last;
    MW_ASSERT(mw_file_read(AT_FDCWD, life.acks_path, (size_t)16 << 20, &acks, &err) == MW_OK);
    check_whole("after the kill");
    begun = read_journal(&before, &last) ? before.started : 0;
    host_live_on(mw_buf_str(&acks), while_next_lives);
    check_whole("after the next host");
    check_end();
    host_check_journal(mw_buf_str(&acks));
    if (life.points % 8 == 1 && host_run_program(verify) != 0)
        host_fault("millwright verify does not say that all is well");
    mw_heap_buf_free(&acks);
}

/* ---- what stands before it ---- */

static void put(const char *name, const char *text, mode_t mode)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", life.dir, name);
    mw_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    struct mw_err err;
    MW_ASSERT(fd >= 0 && mw_write_all(fd, mw_str_of(text), &err) == MW_OK);
}

static void make_folder(const char *name)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", life.dir, name);
    MW_ASSERT(mkdir(path, 0755) == 0);
}

static bool prepared;

/* One version that is promoted, another one that is accepted. */
static void make_versions(struct mw_str acks)
{
    static const char *const steps[][4] = {
        {"gen", "Build a TaskService with File storage", "--json", NULL},
        {"accept", NULL},
        {"promote", NULL},
        {"gen", "Build a TaskService with File storage and due dates", "--json", NULL},
        {"accept", NULL},
    };
    (void)acks;
    prepared = true;
    for (size_t i = 0; prepared && i < MW_COUNT(steps); i++)
        prepared = host_run_program(steps[i]) == 0;
}

static bool prepare_app(const char *base)
{
    /* The service's own tests take seconds and are proven elsewhere. */
    static const char agent[] = "agent_id: quick-qa\nagent_type: Test Agent\nskills: [RunTests]\n"
                                "domains: [\"*\"]\ntier: 50\ncapacity: 4\n"
                                "backend: {kind: command, argv: [\"./quick-qa.sh\"]}\n";
    static const char script[] =
        "#!/bin/sh\nservice=$(sed "
        "'s/.*\"payload\":{[^{]*\"service\":\"\\([A-Za-z0-9]*\\)\".*/\\1/')\n"
        "printf "
        "'{\"type\":\"TestResultsReady\",\"payload\":{\"service\":\"%s\",\"result\":\"Passed\","
        "\"coverage\":\"95%%\",\"testScope\":[\"Unit\",\"Integration\"],\"suites\":[],"
        "\"failures\":[],\"not_checked\":[]}}\\n' \"$service\"\n";
    struct ends ends = {0};
    (void)snprintf(app.template, sizeof app.template, "%s/app.template", base);
    (void)snprintf(life.dir, sizeof life.dir, "%s/app.template", base);
    place_make(life.dir);
    make_folder("data");
    make_folder("agents");
    put("data/notes", PRECIOUS, 0644);
    put("agents/quick-qa.yaml", agent, 0644);
    put("agents/quick-qa.sh", script, 0755);
    host_live_on(MW_STR_NONE, make_versions);
    digest_of_app(app.old_sha256);
    app.prepared_seq = 0;
    prepared = prepared && life.faults == 0 && read_journal(&ends, &app.prepared_seq);
    memcpy(app.new_sha256, ends.staged_sha256, sizeof app.new_sha256);
    return prepared && app.old_sha256[0] != '\0' && app.new_sha256[0] != '\0' &&
           strcmp(app.old_sha256, app.new_sha256) != 0;
}

int sweep_app(const char *base, bool night)
{
    life.what = "one version promoted, another one accepted";
    if (realpath("factory", life.factory) == NULL || !prepare_app(base)) {
        struct mw_buf said = mw_heap_buf();
        struct mw_err err;
        MW_ASSERT(mw_file_read(AT_FDCWD, life.log_path, (size_t)64 << 20, &said, &err) == MW_OK);
        size_t from = said.len > SAID_BYTES ? said.len - SAID_BYTES : 0;
        host_fault("this cannot be prepared: %.*s",
                   MW_STR_ARG(mw_str_sub(mw_buf_str(&said), from, SIZE_MAX)));
        mw_heap_buf_free(&said);
        return host_say_lives("P12", "promotes and rolls back");
    }
    (void)snprintf(life.dir, sizeof life.dir, "%s/app", base);
    host_sweep_kills(MARK, night ? BY_NIGHT : BY_DAY, " while it promotes and rolls back",
                     begin_app, call_app, judge_app);
    return host_say_lives("P01 P05 P12 P23",
                          "killed at system calls while it promotes and rolls back");
}
