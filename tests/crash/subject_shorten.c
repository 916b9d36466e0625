/*
 * subject_shorten.c - shortening a journal as a scenario, through the core: real records, shortened while the journal goes on, twice; what a start makes of what is left.
 *
 * However it ends: no snapshot, the one before or the new one stands, each whole, of this journal, and giving the state of all its records.
 */
#include "subject.h"

#include "host/snapshot.h"
#include "journal/files.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDE ".millwright"
#define FOLDER SIDE "/journal"
#define CACHE SIDE "/cache"
#define RESUME_SEED 7777777

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options narrow = {
    .reserve_bytes = 4096, .segment_bytes = 4000, .side_dir = SIDE};

const char *const subject_shorten_branches[] = {
    "shorten.none",
    "shorten.used",
    "shorten.unfinished_one_left",
    NULL,
};

/* ---- records of a core ---- */

static enum mw_rc replay(void *core, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq; /* the record says it too */
    return mw_core_replay(core, line, err);
}

/* One request is one step is one frame, acknowledged record by record. */
static enum mw_rc ask(void *journal, struct mw_core *core, enum mw_request_kind kind,
                      const char *message_id, const char *body, struct mw_err *err)
{
    static char memory[1 << 16];
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_step_result result;
    struct mw_buf lines = mw_heap_buf();
    char hash[65];
    mw_arena_init(&arena, memory, sizeof memory);
    enum mw_rc rc = mw_json_parse(&arena, mw_str_of(body), &tape, err);
    MW_ASSERT(rc == MW_OK);
    mw_sha256_hex(mw_str_of(body), hash);
    struct mw_request request = {.kind = kind,
                                 .message_id = mw_str_of(message_id),
                                 .actor = MW_STR("tester"),
                                 .now_us = 1750000000000000 + (int64_t)core->world.last_seq,
                                 .body = &tape,
                                 .body_sha256 = mw_str_of(hash),
                                 .body_hash = mw_str_of(hash)};
    mw_core_step(core, &request, &lines, &result);
    MW_ASSERT(result.rc == MW_OK && result.first != 0 && !result.duplicate);
    rc = ops->append(journal, result.first, (uint32_t)(result.last - result.first + 1),
                     mw_buf_str(&lines), err);
    uint64_t seq = result.first;
    for (size_t at = 0; rc == MW_OK && at < lines.len; seq++) {
        size_t end = mw_str_find(mw_buf_str(&lines), '\n', at);
        mw_sha256_hex(mw_str_sub(mw_buf_str(&lines), at, end - at), hash);
        subject_say("ack append %" PRIu64 " %s", seq, hash);
        at = end + 1;
    }
    mw_heap_buf_free(&lines);
    return rc;
}

/* Something is learned, and sometimes forgotten: records that matter and records that do not. */
static enum mw_rc learn(void *journal, struct mw_core *core, uint64_t seed, uint64_t n,
                        struct mw_err *err)
{
    char id[64], body[512];
    uint64_t mixed = subject_mix(seed, n);
    if (core->world.last_seq == 0) {
        enum mw_rc rc = ask(journal, core, MW_REQ_CREATE_JOURNAL, "",
                            "{\"version\":\"0.1.0\",\"sha256\":\"\"}", err);
        if (rc != MW_OK)
            return rc;
    }
    (void)snprintf(id, sizeof id, "m-%" PRIu64 "-%" PRIu64, seed, core->world.last_seq);
    if (core->memory.count > 2 && mixed % 3 == 0) {
        (void)snprintf(body, sizeof body, "{\"id\":%" PRIu64 "}", core->memory.entries[0].id);
        return ask(journal, core, MW_REQ_REMOVE_MEMORY, id, body, err);
    }
    (void)snprintf(body, sizeof body, "{\"text\":\"%.*s %" PRIu64 "\"}", (int)(mixed % 200 + 1),
                   "what was learned stands here, in words that are long enough to fill some "
                   "sectors, and again: what was learned stands here, in words that are long "
                   "enough to fill some sectors, and so on, and so on, and so on",
                   n);
    return ask(journal, core, MW_REQ_ADD_MEMORY, id, body, err);
}

static enum mw_rc shorten(struct mw_err *err)
{
    struct mw_snapshot snapshot;
    bool made;
    enum mw_rc rc = mw_snapshot_make(".", UINT64_MAX, &snapshot, &made, err);
    if (rc == MW_OK)
        subject_say("ack snapshot %" PRIu64, snapshot.at.seq);
    return rc;
}

static enum mw_rc work_on(uint64_t seed, uint64_t turns, const char **ret_what, struct mw_err *err)
{
    static struct mw_core core;
    void *journal;
    *ret_what = "open";
    enum mw_rc rc = ops->open(FOLDER, &narrow, &journal, NULL, err);
    if (rc != MW_OK)
        return rc;
    mw_offline_core_open(&core);
    *ret_what = "read";
    rc = ops->read(journal, 1, replay, &core, err);
    for (uint64_t turn = 0; rc == MW_OK && turn < turns; turn++) {
        *ret_what = "append";
        for (uint64_t i = 0; rc == MW_OK && i < 3 + seed % 3; i++)
            rc = learn(journal, &core, seed, turn * 10 + i, err);
        if (rc != MW_OK)
            break;
        *ret_what = "snapshot";
        rc = shorten(err);
    }
    mw_offline_core_close(&core);
    struct mw_err closing = {0};
    enum mw_rc closed = ops->close(journal, rc == MW_OK ? err : &closing);
    if (rc == MW_OK && closed != MW_OK)
        *ret_what = "close";
    return rc != MW_OK ? rc : closed;
}

/* ---- the scenario ---- */

static void prepare(uint64_t seed)
{
    (void)seed;
    (void)mkdir(SIDE, 0700); /* open says it when it is not there */
    (void)mkdir(CACHE, 0700);
}

static int run(uint64_t seed)
{
    struct mw_err err = {0};
    const char *what;
    enum mw_rc rc = work_on(seed, 2, &what, &err);
    if (rc != MW_OK)
        return subject_fail(what, rc, &err);
    subject_say("ack close");
    return 0;
}

/* The newest one, read and found to be of this journal. Not by mw_snapshot_find: who made it may be another program of this build. */
static enum mw_rc take_newest(struct mw_snapshot *snapshot, struct mw_buf *file, struct mw_err *err)
{
    char name[MW_SNAPSHOT_NAME_BYTES];
    mw_autoclose int fd = open(CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return MW_FAIL(err, MW_E_MISSING, "no folder of snapshots");
    enum mw_rc rc = mw_snapshot_newest(fd, name, err);
    if (rc == MW_OK)
        rc = mw_snapshot_read(fd, name, snapshot, file, err);
    return rc == MW_OK ? mw_snapshot_belongs(FOLDER, &narrow, snapshot, err) : rc;
}

static int recover(void)
{
    struct mw_err err = {0};
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    void *journal;
    if (access(SIDE, F_OK) != 0)
        return 0;
    enum mw_rc rc = ops->open(FOLDER, &narrow, &journal, NULL, &err);
    if (rc == MW_OK)
        rc = ops->close(journal, &err);
    if (rc != MW_OK)
        return subject_fail("open", rc, &err);
    rc = take_newest(&snapshot, &file, &err);
    mw_heap_buf_free(&file);
    if (access(CACHE "/" MW_SNAPSHOT_UNFINISHED, F_OK) == 0)
        subject_branch("shorten.unfinished_one_left");
    if (rc == MW_OK || rc == MW_E_MISSING)
        subject_branch(rc == MW_OK ? "shorten.used" : "shorten.none");
    else if (rc == MW_E_CORRUPT || rc == MW_E_CONFLICT)
        return subject_wrong("a snapshot stands that is not whole or not of this journal: %s",
                             err.text);
    return rc == MW_OK || rc == MW_E_MISSING ? 0 : subject_fail("snapshot", rc, &err);
}

struct wanted {
    uint64_t seq;
    const char *sha256;
    bool right;
};

static enum mw_rc compare_line(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct wanted *wanted = context;
    char sha256[65];
    mw_sha256_hex(line, sha256);
    wanted->right = seq == wanted->seq && strcmp(sha256, wanted->sha256) == 0;
    return MW_FAIL(err, MW_E_LIMIT, "one is enough");
}

static int check_acks(void *journal, struct mw_str acks)
{
    char ack[256];
    struct mw_snapshot snapshot = {.records = 0};
    struct mw_buf file = mw_heap_buf();
    struct mw_err err = {0};
    for (size_t at = 0; subject_next_ack(acks, &at, "append", ack, sizeof ack);) {
        char *rest;
        struct wanted wanted = {.seq = strtoull(ack, &rest, 10)};
        wanted.sha256 = rest + 1;
        (void)ops->read(journal, wanted.seq, compare_line, &wanted, &err); /* `right` says it */
        if (!wanted.right)
            return subject_wrong("P01: record %" PRIu64 " was acknowledged and is not there",
                                 wanted.seq);
    }
    enum mw_rc rc = take_newest(&snapshot, &file, &err);
    mw_heap_buf_free(&file);
    if (subject_last_ack(acks, "snapshot", ack, sizeof ack) &&
        (rc != MW_OK || snapshot.at.seq < strtoull(ack, NULL, 10)))
        return subject_wrong("the snapshot of record %s was made and is not there", ack);
    return 0;
}

static void digests(const struct mw_core *core, char ret_text[2 * 65])
{
    mw_core_digest(core, ret_text);
    mw_core_left_digest(core, ret_text + 65);
}

static int same_from_snapshot(void *journal, const char *whole)
{
    static struct mw_core core;
    struct mw_err err = {0};
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    char text[2 * 65];
    int code = 0;
    enum mw_rc rc = take_newest(&snapshot, &file, &err);
    mw_offline_core_open(&core);
    if (rc == MW_OK)
        rc = mw_snapshot_load(&core, &snapshot, mw_buf_str(&file), &err);
    if (rc == MW_OK)
        rc = ops->read(journal, snapshot.at.seq + 1, replay, &core, &err);
    if (rc == MW_OK) {
        digests(&core, text);
        if (memcmp(text, whole, sizeof text) != 0)
            code = subject_wrong("from the snapshot of record %" PRIu64 " on the state is another",
                                 snapshot.at.seq);
    } else if (rc != MW_E_MISSING) {
        code = subject_wrong("a snapshot cannot be used: %s", err.text);
    }
    mw_offline_core_close(&core);
    mw_heap_buf_free(&file);
    return code;
}

static int verify(struct mw_str said, char ret_state[65])
{
    static struct mw_core core;
    static const struct mw_journal_options looking = {.read_only = true, .side_dir = SIDE};
    struct mw_err err = {0};
    struct mw_buf acks = subject_all_acks(said);
    char text[2 * 65];
    void *journal;
    int code = 0;
    ret_state[0] = '\0';
    if (ops->open(FOLDER, &looking, &journal, NULL, &err) != MW_OK) {
        char ack[256];
        size_t at = 0;
        bool promised = subject_next_ack(mw_buf_str(&acks), &at, "append", ack, sizeof ack);
        mw_heap_buf_free(&acks);
        return promised || err.rc != MW_E_MISSING
                   ? subject_wrong("the journal cannot be opened: %s", err.text)
                   : 0;
    }
    mw_offline_core_open(&core);
    if (ops->read(journal, 1, replay, &core, &err) != MW_OK)
        code = subject_wrong("the records cannot be replayed: %s", err.text);
    digests(&core, text);
    memcpy(ret_state, text, 65);
    mw_offline_core_close(&core);
    if (code == 0)
        code = check_acks(journal, mw_buf_str(&acks));
    if (code == 0)
        code = same_from_snapshot(journal, text);
    (void)ops->close(journal, NULL); /* was only read */
    mw_heap_buf_free(&acks);
    return code;
}

/* A new one is made whatever lies about, and is the one of the last record. */
static int resume(struct mw_str said)
{
    struct mw_err err = {0};
    const char *what;
    struct mw_snapshot snapshot;
    struct mw_journal_position at;
    struct mw_buf file = mw_heap_buf();
    (void)said; /* verify has looked for it */
    (void)mkdir(SIDE, 0700);
    if (work_on(RESUME_SEED, 1, &what, &err) != MW_OK)
        return subject_wrong("after a recovery %s fails: %s", what, err.text);
    enum mw_rc rc = take_newest(&snapshot, &file, &err);
    if (rc == MW_OK)
        rc = mw_journal_position(FOLDER, &narrow, UINT64_MAX, &at, &err);
    mw_heap_buf_free(&file);
    if (rc != MW_OK)
        return subject_wrong("after a recovery there is no snapshot: %s", err.text);
    return at.seq == snapshot.at.seq ? 0 : subject_wrong("the snapshot is not of the last record");
}

const struct subject subject_shorten[] = {
    {"shorten", "P01 P13 P16", prepare, run, recover, verify, resume, false},
};
const size_t subject_shorten_count = MW_COUNT(subject_shorten);
