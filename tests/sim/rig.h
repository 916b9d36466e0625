/*
 * rig.h - the core with a world around it that a test holds in its hand: definitions, documents, a clock, a journal that becomes durable later.
 *
 * Owns:     one core, a shadow that only replays, what was journaled and how much of it is durable, the host's table of things that run.
 * Does not: choose what happens (sim.h and the scenarios do). Every step is looked at by oracle.h.
 * Header only, because every file of tests/sim is a program of its own.
 */
#ifndef MW_TEST_RIG_H
#define MW_TEST_RIG_H

#include "author/author.h"
#include "core/core.h"
#include "defs/rules.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RIG_REGION_BYTES ((size_t)256 << 20)
#define RIG_ARENA_BYTES ((size_t)64 << 20)
#define RIG_DOCUMENTS_MAX 8192
#define RIG_RUNS_MAX 65536
#define RIG_IN_RECORD_BYTES_MAX 4096
#define RIG_CATALOGUES_MAX 16

struct rig_document {
    char sha256[MW_SHA256_HEX];
    struct mw_arena arena;
    struct mw_tape tape;
};

/* Something that the host started because an ask stands. */
struct rig_run {
    mw_seq seq;
    mw_seq item;
    mw_seq trace;
    int64_t due_us;
    int64_t answer_us; /* sim.h: when it says something; INT64_MAX: never */
    uint8_t opens;
    uint8_t agent_kind;
    uint8_t plan; /* sim.h */
};

struct rig_line {
    size_t from;
    size_t len;
};

struct rig_item {
    mw_seq trace;
    mw_seq ended_at;  /* record */
    uint8_t not_mine; /* agents that said they cannot do it */
    bool opened;
    bool ended;
};

struct rig {
    struct mw_core core;
    struct mw_core shadow;
    void *memory[4]; /* region and arena of core and shadow; kept over restarts */
    const struct mw_catalogue *catalogues[RIG_CATALOGUES_MAX];
    struct mw_arena definitions;
    uint32_t catalogue_count;
    struct rig_document *documents;
    uint32_t document_count;
    struct mw_arena body; /* one request's */
    struct mw_buf journal;
    struct rig_line *lines;
    size_t line_count, line_cap, durable; /* lines */
    size_t *step_ends;                    /* line counts at which a step was over */
    size_t step_count, step_cap;
    struct rig_run *runs;
    uint32_t run_count;
    struct rig_run *
        news; /* asks opened (opens != 0) and closed by steps that are not durable yet; seq 0: taken */
    size_t news_count, news_cap;
    int64_t now_us;
    uint64_t random;
    struct mw_step_result result;
    uint64_t seed;
    /* oracle.h */
    struct rig_item *items;
    size_t item_cap;
    struct mw_buf dump_a, dump_b;
    uint64_t kind_count[MW_EVENT_COUNT];
    bool quiet_dump; /* long runs: compare every 64th step only */
    bool
        seldom_shortened; /* long runs: every fourth restart begins from a shortened journal, else each */
    uint64_t steps_looked_at;
    mw_seq last_trace;
    char last_trace_id[128];
    bool relaxed_limits;
    size_t region_bytes; /* 0: RIG_REGION_BYTES */
    bool
        small_in_record; /* as the host does it: small documents stand in the record that opens their trace */
    bool files_are_talk; /* the host has seen none, whatever a body says of a digest */
    const char *program; /* for the command that plays a seed again */
    bool is_worker;      /* seeds.h */
    FILE *stderr_was;
    void (*before_failing)(void); /* NULL: nothing */
};

static inline void rig_hear(struct rig *rig);
static inline void rig_fail(struct rig *rig);

static inline uint64_t rig_random(struct rig *rig)
{
    uint64_t z = (rig->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t rig_below(struct rig *rig, uint32_t bound)
{
    return (uint32_t)(rig_random(rig) % bound);
}

#define RIG_CHECK(rig, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            rig_hear(rig);                                                                         \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            rig_fail(rig);                                                                         \
        }                                                                                          \
    } while (0)

static inline struct mw_str rig_line(const struct rig *rig, size_t index)
{
    return (struct mw_str){rig->journal.ptr + rig->lines[index].from, rig->lines[index].len};
}

static inline void rig_tell_tail(const struct rig *rig)
{
    const char *wanted = getenv("MW_TAIL");
    size_t count = wanted != NULL ? (size_t)atoi(wanted) : 12;
    for (size_t i = rig->line_count > count ? rig->line_count - count : 0; i < rig->line_count; i++)
        fprintf(stderr, "  %.*s", MW_STR_ARG(rig_line(rig, i)));
    if (getenv("MW_DUMP") == NULL)
        return;
    struct mw_buf dump = mw_heap_buf();
    mw_core_dump(&rig->core, &dump);
    fprintf(stderr, "%.*s", MW_STR_ARG(mw_buf_str(&dump)));
    mw_heap_buf_free(&dump);
}

/* A world that keeps what is said to standard error to itself gives it back before a failure is told. */
static inline void rig_hear(struct rig *rig)
{
    if (rig->stderr_was != NULL)
        stderr = rig->stderr_was;
    if (rig->before_failing != NULL)
        rig->before_failing();
}

/* The words are said: here is how to see it again. Leaves the test, or the process when it is one of many that play seeds. */
static inline void rig_fail(struct rig *rig)
{
    fprintf(stderr, "\nseed %lu: run again with MW_SEED=%lu build/release/%s\n", rig->seed,
            rig->seed, rig->program != NULL ? rig->program : "(this test)");
    rig_tell_tail(rig);
    fflush(NULL);
    if (rig->is_worker)
        _exit(1);
    fail();
}

/* ---- what the core asks of its host ---- */

static inline const struct mw_catalogue *rig_catalogue(void *host, struct mw_str sha256)
{
    struct rig *rig = host;
    for (uint32_t i = 0; i < rig->catalogue_count; i++)
        if (mw_str_eq(rig->catalogues[i]->sha256, sha256))
            return rig->catalogues[i];
    return NULL;
}

static inline const struct mw_tape *rig_document(void *host, struct mw_str sha256)
{
    struct rig *rig = host;
    for (uint32_t i = rig->document_count; i > 0; i--)
        if (mw_str_is(sha256, rig->documents[i - 1].sha256))
            return &rig->documents[i - 1].tape;
    return NULL;
}

static inline struct mw_str rig_keep_document(struct rig *rig, struct mw_str text)
{
    char sha256[MW_SHA256_HEX];
    struct mw_err err;
    mw_sha256_hex(text, sha256);
    for (uint32_t i = rig->document_count; i > 0; i--)
        if (strcmp(rig->documents[i - 1].sha256, sha256) == 0)
            return mw_str_of(rig->documents[i - 1].sha256);
    assert_true(rig->document_count < RIG_DOCUMENTS_MAX);
    struct rig_document *document = &rig->documents[rig->document_count++];
    strcpy(document->sha256, sha256);
    mw_heap_arena(&document->arena, text.len * 64 + 65536);
    if (mw_json_parse(&document->arena, mw_arena_copy(&document->arena, text), &document->tape,
                      &err) != MW_OK)
        fail_msg("%s in %.*s", err.text, MW_STR_ARG(text));
    return mw_str_of(document->sha256);
}

/* ---- definitions ---- */

struct rig_files {
    struct mw_definition_file items[512];
    size_t count;
};

static inline int rig_by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline struct mw_str rig_read(struct mw_arena *arena, const char *path)
{
    struct mw_buf buf = mw_heap_buf();
    struct mw_err err;
    if (mw_file_read(AT_FDCWD, path, 1 << 22, &buf, &err) != MW_OK)
        fail_msg("%s", err.text);
    struct mw_str text = mw_arena_copy(arena, mw_buf_str(&buf));
    mw_heap_buf_free(&buf);
    return text;
}

static inline void rig_add_folder(struct rig *rig, struct rig_files *files, const char *folder)
{
    char *names[512];
    size_t count = 0;
    struct mw_err err;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (entry->d_name[0] != '.' && mw_author_knows(mw_str_of(entry->d_name)))
            names[count++] = mw_heap_copy(mw_str_of(entry->d_name));
    closedir(dir);
    qsort(names, count, sizeof *names, rig_by_name);
    for (size_t i = 0; i < count; i++) {
        struct mw_str path = mw_arena_format(&rig->definitions, "%s/%s", folder, names[i]);
        struct mw_str text = rig_read(&rig->definitions, path.ptr);
        struct mw_definition_file *file = &files->items[files->count++];
        *file = (struct mw_definition_file){
            .path = mw_arena_copy(&rig->definitions, mw_str_of(names[i]))};
        if (mw_rules_is_text(text))
            file->text = text;
        else if (mw_author_read(&rig->definitions, file->path, text, &file->tape, &err) != MW_OK)
            fail_msg("%s", err.text);
        mw_heap_free(names[i]);
    }
}

/* name: "factory", or a folder under tests/sim/definitions. */
static inline const struct mw_catalogue *rig_load(struct rig *rig, const char *name)
{
    static const char *const parts[] = {"workflows", "journeys", "plans", "coordinators",
                                        "policies",  "rules",    "agents"};
    struct rig_files *files = mw_heap_alloc(sizeof *files);
    const struct mw_catalogue *catalogue;
    struct mw_err err;
    char sha256[MW_SHA256_HEX], path[512];
    if (strcmp(name, "factory") == 0) {
        for (size_t i = 0; i < MW_COUNT(parts); i++) {
            snprintf(path, sizeof path, MW_SOURCE_DIR "/factory/%s", parts[i]);
            rig_add_folder(rig, files, path);
        }
    } else {
        snprintf(path, sizeof path, MW_SOURCE_DIR "/tests/sim/definitions/%s", name);
        rig_add_folder(rig, files, path);
    }
    mw_sha256_hex(mw_str_of(name), sha256);
    struct mw_str digest = mw_arena_copy(&rig->definitions, mw_str_of(sha256));
    if (mw_catalogue_load(&rig->definitions, files->items, files->count, digest, &catalogue,
                          &err) != MW_OK)
        fail_msg("%s: %s", name, err.text);
    mw_heap_free(files);
    assert_true(rig->catalogue_count < RIG_CATALOGUES_MAX);
    rig->catalogues[rig->catalogue_count++] = catalogue;
    return catalogue;
}

/* ---- a life ---- */

static inline void rig_init_core(struct rig *rig, struct mw_core *core, unsigned which)
{
    struct mw_core_config config = {.region = rig->memory[which],
                                    .region_bytes = rig->region_bytes > 0 ? rig->region_bytes
                                                                          : RIG_REGION_BYTES,
                                    .arena = rig->memory[which + 1],
                                    .arena_bytes = RIG_ARENA_BYTES,
                                    .catalogue = rig_catalogue,
                                    .document = rig_document,
                                    .host = rig};
    mw_core_init(core, &config);
}

static inline struct rig *rig_new(void)
{
    struct rig *rig = mw_heap_alloc(sizeof *rig);
    for (unsigned i = 0; i < 4; i++)
        rig->memory[i] = aligned_alloc(64, i % 2 == 0 ? RIG_REGION_BYTES : RIG_ARENA_BYTES);
    rig->documents = mw_heap_alloc(RIG_DOCUMENTS_MAX * sizeof *rig->documents);
    rig->runs = mw_heap_alloc(RIG_RUNS_MAX * sizeof *rig->runs);
    rig->journal = mw_heap_buf();
    rig->dump_a = mw_heap_buf();
    rig->dump_b = mw_heap_buf();
    mw_heap_arena(&rig->definitions, (size_t)256 << 20);
    mw_heap_arena(&rig->body, (size_t)64 << 20);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    for (unsigned i = 0; i < 4; i++)
        free(rig->memory[i]);
    for (uint32_t i = 0; i < rig->document_count; i++)
        mw_heap_arena_free(&rig->documents[i].arena);
    mw_heap_free(rig->documents);
    mw_heap_free(rig->runs);
    free(rig->lines);
    free(rig->step_ends);
    free(rig->items);
    free(rig->news);
    mw_heap_buf_free(&rig->journal);
    mw_heap_buf_free(&rig->dump_a);
    mw_heap_buf_free(&rig->dump_b);
    mw_heap_arena_free(&rig->definitions);
    mw_heap_arena_free(&rig->body);
    mw_heap_free(rig);
}

#define RIG_GROW(pointer, count, cap)                                                              \
    do {                                                                                           \
        if ((count) >= (cap)) {                                                                    \
            (cap) = (cap) > 0 ? (cap)*2 : 1024;                                                    \
            (pointer) = realloc((pointer), (cap) * sizeof *(pointer));                             \
            assert_non_null(pointer);                                                              \
        }                                                                                          \
    } while (0)

#include "oracle.h"

/* ---- steps ---- */

static inline void rig_note_lines(struct rig *rig, size_t from)
{
    while (from < rig->journal.len) {
        const char *at = rig->journal.ptr + from;
        const char *end = memchr(at, '\n', rig->journal.len - from);
        assert_non_null(end);
        RIG_GROW(rig->lines, rig->line_count, rig->line_cap);
        rig->lines[rig->line_count++] = (struct rig_line){from, (size_t)(end - at) + 1};
        from += (size_t)(end - at) + 1;
    }
}

/* One request through the core; its lines are journaled and not durable yet. Body: JSON text or NULL. */
static inline const struct mw_step_result *rig_step(struct rig *rig, enum mw_request_kind kind,
                                                    const char *body, const char *message_id,
                                                    mw_seq item, mw_seq fence)
{
    struct mw_request request = {.kind = kind,
                                 .actor = mw_request_info(kind)->from == MW_FROM_CALLER
                                              ? MW_STR("user:test")
                                              : MW_STR("host"),
                                 .message_id = mw_str_of(message_id),
                                 .now_us = rig->now_us,
                                 .entropy = rig_random(rig),
                                 .item = item,
                                 .fence = fence};
    struct mw_tape tape;
    struct mw_err err;
    char sha256[MW_SHA256_HEX], hash[MW_SHA256_HEX];
    mw_arena_reset(&rig->body);
    struct mw_str text = mw_arena_copy(&rig->body, mw_str_of(body != NULL ? body : "{}"));
    if (mw_json_parse(&rig->body, text, &tape, &err) != MW_OK)
        fail_msg("%s in %.*s", err.text, MW_STR_ARG(text));
    request.body = &tape;
    if (!rig->files_are_talk)
        request.files_sha256 =
            mw_node_get_text(&tape, 0, "filesSha256"); /* as the host would say it */
    mw_sha256_hex(text, sha256);
    mw_sha256_hex(
        mw_arena_format(&rig->body, "%s %.*s", mw_request_info(kind)->name, MW_STR_ARG(text)),
        hash);
    request.body_sha256 = mw_str_of(sha256);
    request.body_hash = mw_str_of(hash);
    bool has_document = kind == MW_REQ_SUBMIT_INTENT || kind == MW_REQ_START_LONE_RUN ||
                        kind == MW_REQ_START_LONE_COORDINATOR || kind == MW_REQ_START_LONE_UNIT ||
                        kind == MW_REQ_START_LONE_CHAIN;
    request.body_in_record = rig->small_in_record && has_document && kind != MW_REQ_SUBMIT_INTENT &&
                             text.len <= RIG_IN_RECORD_BYTES_MAX &&
                             !mw_json_is_deeper(text, MW_JSON_MADE_DEPTH_MAX);
    if (has_document && !request.body_in_record)
        (void)rig_keep_document(rig, text);
    size_t from = rig->journal.len, first = rig->line_count;
    mw_core_step(&rig->core, &request, &rig->journal, &rig->result);
    rig_note_lines(rig, from);
    for (uint32_t i = 0; i < rig->core.ask_change_count; i++) {
        const struct mw_ask_change *change = &rig->core.ask_changes[i];
        const struct mw_ask *ask = mw_table_get(&rig->core.world.asks, change->seq);
        struct rig_run run = {.seq = change->seq};
        if (change->opened && ask == NULL)
            continue; /* opened and closed in one step */
        if (change->opened)
            run = (struct rig_run){
                .seq = ask->seq,
                .item = ask->item,
                .trace = ask->item != 0 ? mw_world_item(&rig->core.world, ask->item)->trace : 0,
                .due_us = ask->due_us,
                .answer_us = INT64_MAX,
                .opens = ask->opens,
                .agent_kind = ask->agent_kind};
        RIG_GROW(rig->news, rig->news_count, rig->news_cap);
        rig->news[rig->news_count++] = run;
    }
    if (rig->line_count > first) {
        RIG_GROW(rig->step_ends, rig->step_count, rig->step_cap);
        rig->step_ends[rig->step_count++] = rig->line_count;
    }
    if (rig->result.trace_wire_id.len > 0 && rig->result.trace_wire_id.len < 128) {
        rig->last_trace = rig->result.trace;
        memcpy(rig->last_trace_id, rig->result.trace_wire_id.ptr, rig->result.trace_wire_id.len);
        rig->last_trace_id[rig->result.trace_wire_id.len] = 0;
    }
    oracle_after_step(rig, first, &request);
    return &rig->result;
}

/* What was decided is durable now: the host starts what is asked and stops what is closed. */
static inline void rig_sync(struct rig *rig)
{
    rig->durable = rig->line_count;
    for (size_t n = 0; n < rig->news_count; n++) {
        const struct rig_run *news = &rig->news[n];
        if (news->opens != MW_OPENS_NONE) {
            assert_true(rig->run_count < RIG_RUNS_MAX);
            rig->runs[rig->run_count++] = *news;
            continue;
        }
        for (uint32_t i = rig->run_count; i > 0; i--)
            if (rig->runs[i - 1].seq == news->seq) {
                rig->runs[i - 1] = rig->runs[--rig->run_count];
                break;
            }
    }
    rig->news_count = 0;
    if (!rig->quiet_dump)
        oracle_runs_are_the_asks(rig);
}

static inline const struct mw_step_result *rig_do(struct rig *rig, enum mw_request_kind kind,
                                                  const char *body, mw_seq item, mw_seq fence)
{
    (void)rig_step(rig, kind, body, NULL, item, fence);
    rig_sync(rig);
    return &rig->result;
}

/* The core comes up from a shortened journal up to line `until` (kept: one enum mw_kept a line, of its first `known`) and the lines after. */
static inline void rig_load_kept(struct rig *rig, const uint8_t *kept, size_t known, size_t until)
{
    struct mw_err err;
    rig_init_core(rig, &rig->core, 0);
    for (size_t i = 0; i < until; i++) {
        enum mw_rc rc = MW_OK;
        if (i == known)
            mw_core_replay_skip(&rig->core, known);
        if (i >= known)
            rc = mw_core_replay(&rig->core, rig_line(rig, i), &err);
        else if (kept[i] != MW_KEPT_NOT)
            rc = mw_core_replay_kept(&rig->core, rig_line(rig, i), (enum mw_kept)kept[i], &err);
        RIG_CHECK(rig, rc == MW_OK, "record %zu of a shortened journal: %s", i + 1, err.text);
    }
    if (until == known)
        mw_core_replay_skip(&rig->core, known);
}

/* A start from a journal that was shortened up to `second`, from one that had been shortened up to `first`: the same state, and what decides
 * with it. */
static inline void rig_come_up_shortened(struct rig *rig, size_t first, size_t second)
{
    size_t count = rig->line_count;
    uint8_t *kept = mw_heap_alloc(count + 1);
    uint8_t *seen = mw_heap_alloc(MW_KEEP_QUEUES_MAX);
    const size_t ends[] = {first, second};
    struct mw_event event;
    struct mw_err err;
    memset(kept, MW_KEPT_WHOLE, count + 1);
    for (unsigned turn = 0; turn < 2; turn++) {
        rig_load_kept(rig, kept, turn == 0 ? 0 : first, ends[turn]);
        memset(seen, 0, MW_KEEP_QUEUES_MAX);
        for (size_t i = 0; i < ends[turn]; i++) {
            mw_arena_reset(&rig->core.arena);
            if (kept[i] == MW_KEPT_NOT)
                continue;
            assert_int_equal(mw_event_read(&rig->core.arena, rig_line(rig, i), &event, &err),
                             MW_OK);
            enum mw_kept now = mw_core_keeps(&rig->core, &event, seen);
            RIG_CHECK(rig, now <= kept[i], "record %zu comes back to life", i + 1);
            kept[i] = (uint8_t)now;
        }
    }
    rig_load_kept(rig, kept, second, count);
    mw_heap_free(kept);
    mw_heap_free(seen);
    rig->dump_a.len = 0;
    rig->dump_b.len = 0;
    mw_core_dump_left(&rig->core, &rig->dump_a);
    mw_core_dump_left(&rig->shadow, &rig->dump_b);
    RIG_CHECK(rig, mw_str_eq(mw_buf_str(&rig->dump_a), mw_buf_str(&rig->dump_b)),
              "shortened (%zu, %zu of %zu):\n%.*s\nwhole:\n%.*s", first, second, count,
              (int)rig->dump_a.len, rig->dump_a.ptr, (int)rig->dump_b.len, rig->dump_b.ptr);
}

/* Of what is in a table, that with the next number after `after`; NULL: none. Where in a table something lies tells how the core came up: what is
 * chosen by it would differ between two worlds that are the same. */
static inline void *rig_next(const struct mw_table *table, uint64_t after)
{
    void *next = NULL;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < table->cap; i++) {
        uint64_t *number = mw_table_at(table, i);
        if (number != NULL && *number > after && *number < least) {
            least = *number;
            next = number;
        }
    }
    return next;
}

static inline int rig_by_seq(const void *a, const void *b)
{
    const struct rig_run *one = a, *other = b;
    return one->seq < other->seq ? -1 : one->seq > other->seq;
}

/* The process dies with only `keep` lines on the disk, and comes up again from them: from all of them, or from a shortened journal. */
static inline void rig_crash(struct rig *rig, size_t keep)
{
    struct mw_err err;
    assert_true(keep >= rig->durable && keep <= rig->line_count);
    rig->line_count = keep;
    rig->durable = keep;
    rig->journal.len = keep > 0 ? rig->lines[keep - 1].from + rig->lines[keep - 1].len : 0;
    while (rig->step_count > 0 && rig->step_ends[rig->step_count - 1] > keep)
        rig->step_count--;
    rig->run_count = 0;
    rig->news_count = 0;
    rig_init_core(rig, &rig->shadow, 2);
    oracle_roll_back(rig, keep);
    for (size_t i = 0; i < keep; i++)
        if (mw_core_replay(&rig->shadow, rig_line(rig, i), &err) != MW_OK)
            fail_msg("record %zu: %s", i + 1, err.text);
    uint64_t random = rig->random; /* how it is looked at changes nothing of what happens */
    if (rig->seldom_shortened && rig_below(rig, 4) > 0) {
        rig_load_kept(rig, NULL, 0, keep);
    } else {
        size_t first = rig_below(rig, (uint32_t)keep + 1);
        rig_come_up_shortened(rig, first, first + rig_below(rig, (uint32_t)(keep - first) + 1));
    }
    rig->random = random;
    for (uint32_t i = 0; i < rig->core.world.asks.cap; i++) {
        const struct mw_ask *ask = mw_table_at(&rig->core.world.asks, i);
        if (ask == NULL)
            continue;
        assert_true(rig->run_count < RIG_RUNS_MAX);
        rig->runs[rig->run_count++] = (struct rig_run){
            .seq = ask->seq,
            .item = ask->item,
            .trace = ask->item != 0 ? mw_world_item(&rig->core.world, ask->item)->trace : 0,
            .due_us = ask->due_us,
            .answer_us = INT64_MAX,
            .opens = ask->opens,
            .agent_kind = ask->agent_kind};
    }
    qsort(rig->runs, rig->run_count, sizeof *rig->runs, rig_by_seq); /* as they were opened */
    oracle_same(rig, "after a restart");
}

static inline void rig_begin(struct rig *rig, const char *definitions)
{
    char body[256];
    const struct mw_catalogue *catalogue = NULL;
    char sha256[MW_SHA256_HEX];
    mw_sha256_hex(mw_str_of(definitions), sha256);
    catalogue = rig_catalogue(rig, mw_str_of(sha256));
    if (catalogue == NULL)
        catalogue = rig_load(rig, definitions);
    rig->now_us = 1750000000000000;
    rig->line_count = rig->durable = rig->step_count = rig->journal.len = 0;
    rig->run_count = 0;
    rig->news_count = 0;
    memset(rig->kind_count, 0, sizeof rig->kind_count);
    rig_init_core(rig, &rig->core, 0);
    rig_init_core(rig, &rig->shadow, 2);
    oracle_forget(rig);
    snprintf(body, sizeof body, "{\"version\":\"0.1.0\",\"sha256\":\"%s\"}", sha256);
    (void)rig_do(rig, MW_REQ_CREATE_JOURNAL, body, 0, 0);
    (void)rig_do(rig, MW_REQ_LOAD_DEFINITION, body, 0, 0);
    assert_int_equal(rig->result.rc, MW_OK);
}

/* {"agent": …} of a definition's agent. kind: as in docs/agents.md. */
static inline const char *rig_agent_body(struct rig *rig, const struct mw_agent_def *agent)
{
    static char text[16384];
    struct mw_buf buf;
    struct mw_json json;
    (void)rig;
    mw_buf_init(&buf, text, sizeof text - 1);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    mw_json_kobject(&json, "agent");
    mw_json_kstr(&json, "agent_id", agent->id);
    mw_json_kstr(&json, "agent_type", agent->type);
    mw_json_karray(&json, "skills");
    for (uint32_t i = 0; i < agent->skill_count; i++)
        mw_json_str(&json, agent->skills[i]);
    mw_json_array_end(&json);
    mw_json_karray(&json, "domains");
    for (uint32_t i = 0; i < agent->domain_count; i++)
        mw_json_str(&json, agent->domains[i]);
    mw_json_array_end(&json);
    mw_json_ku64(&json, "tier", agent->tier);
    mw_json_ku64(&json, "capacity", agent->capacity);
    mw_json_kobject(&json, "backend");
    mw_json_kstr(&json, "kind",
                 agent->kind == MW_AGENT_HUMAN     ? MW_STR("human")
                 : agent->kind == MW_AGENT_BUILTIN ? MW_STR("builtin")
                                                   : MW_STR("command"));
    if (agent->kind == MW_AGENT_BUILTIN)
        mw_json_kstr(&json, "name", agent->builtin);
    if (agent->kind == MW_AGENT_COMMAND)
        mw_json_kraw(&json, "argv", MW_STR("[\"./agent\"]"));
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    text[buf.len] = 0;
    return text;
}

static inline void rig_register_all(struct rig *rig)
{
    const struct mw_catalogue *catalogue = rig_catalogue(rig, rig->core.catalogue_sha256);
    for (uint32_t i = 0; i < catalogue->agent_count; i++) {
        (void)rig_do(rig, MW_REQ_REGISTER_AGENT, rig_agent_body(rig, &catalogue->agents[i]), 0, 0);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
    }
}

/* ---- answers ---- */

static inline const struct mw_task *rig_task(const struct rig *rig, mw_seq item)
{
    const struct mw_item *found = mw_world_item(&rig->core.world, item);
    return found != NULL && found->kind == MW_ITEM_TASK ? (const struct mw_task *)found : NULL;
}

static inline const struct mw_task_def *rig_task_def(const struct rig *rig,
                                                     const struct mw_task *task)
{
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(&rig->core.world, mw_world_trace_of(&rig->core.world, &task->item));
    return catalogue->tasks[task->def];
}

/* A payload that lets everything go on. auth and the number of services and use cases shape the blueprint. */
struct rig_shape {
    bool auth;
    bool ci;
    uint32_t services;
    uint32_t use_cases;
    uint32_t ports;
};

static inline void rig_services(struct mw_buf *buf, const struct rig_shape *shape)
{
    for (uint32_t s = 0; s < shape->services; s++) {
        mw_buf_printf(buf,
                      "%s{\"serviceName\":\"Svc%uService\",\"slug\":\"svc%u\",\"domain\":\"Dom%u\","
                      "\"useCases\":[],\"storage\":\"File\",\"auth\":%s,\"jwt\":%s,\"features\":[],"
                      "\"entities\":[{\"name\":\"Thing\"}],\"use_cases\":[",
                      s > 0 ? "," : "", s, s, s, shape->auth ? "\"JWT\"" : "false",
                      shape->auth ? "{\"algorithm\":\"HS256\"}" : "null");
        for (uint32_t i = 0; i < shape->use_cases; i++)
            mw_buf_printf(buf,
                          "%s{\"name\":\"Do%u\",\"slug\":\"do%u\",\"handler\":\"Do%uHandler\","
                          "\"entity\":\"Thing\"}",
                          i > 0 ? "," : "", i, i, i);
        mw_buf_put(buf, MW_STR("],\"ports\":["));
        for (uint32_t i = 0; i < shape->ports; i++)
            mw_buf_printf(
                buf,
                "%s{\"name\":\"IThing%uRepository\",\"slug\":\"thing%u\",\"entity\":\"Thing\"}",
                i > 0 ? "," : "", i, i);
        mw_buf_put(buf, MW_STR("]}"));
    }
}

static inline void rig_payload(struct mw_buf *buf, struct mw_str type,
                               const struct rig_shape *shape)
{
    if (mw_str_is(type, "StrategicBlueprintGenerated")) {
        mw_buf_printf(buf,
                      "{\"blueprintId\":\"blueprint-0123456789ab\",\"modules\":[],\"auth\":%s,"
                      "\"storage\":\"File\",\"blueprint\":{\"name\":\"Demo\",\"slug\":\"demo\","
                      "\"frontend\":{},\"gateway\":{}},\"metadata\":{\"auth\":%s,\"ci\":%s,"
                      "\"features\":[],\"testScope\":[\"Unit\"]}}",
                      shape->auth ? "\"JWT\"" : "false", shape->auth ? "\"JWT\"" : "false",
                      shape->ci ? "true" : "false");
    } else if (mw_str_is(type, "PortsAndUseCasesReady")) {
        mw_buf_put(buf, MW_STR("{\"services\":["));
        rig_services(buf, shape);
        mw_buf_put(buf, MW_STR("]}"));
    } else if (mw_str_is(type, "TestResultsReady") || mw_str_is(type, "BundleValidated")) {
        mw_buf_put(buf, MW_STR("{\"result\":\"Passed\",\"passed\":3}"));
    } else if (mw_str_is(type, "PullRequestCreated")) {
        mw_buf_put(buf, MW_STR("{\"url\":\"http://example.test/pr/1\"}"));
    } else {
        mw_buf_put(buf, MW_STR("{\"ok\":true}"));
    }
}

/* The body of RecordResult; documents are kept before, as a host does. */
static inline const char *rig_result_body(struct rig *rig, struct mw_str type,
                                          struct mw_str payload)
{
    static char text[1 << 20];
    struct mw_buf buf;
    struct mw_str sha256 = rig_keep_document(rig, payload);
    mw_buf_init(&buf, text, sizeof text - 1);
    mw_buf_printf(&buf, "{\"type\":\"%.*s\",\"payload\":%.*s,\"payloadSha256\":\"%.*s\"}",
                  MW_STR_ARG(type), MW_STR_ARG(payload), MW_STR_ARG(sha256));
    assert_false(buf.overflowed);
    text[buf.len] = 0;
    return text;
}

static inline const char *rig_good_body(struct rig *rig, const struct mw_task *task,
                                        const struct rig_shape *shape)
{
    static char memory[1 << 19];
    struct mw_buf buf;
    struct mw_str type = rig_task_def(rig, task)->expects[0];
    mw_buf_init(&buf, memory, sizeof memory);
    rig_payload(&buf, type, shape);
    assert_false(buf.overflowed);
    return rig_result_body(rig, type, mw_buf_str(&buf));
}

static inline const char *rig_stage_body(void)
{
    return "{\"sha256\":\"00ff\",\"path\":\"generated/apps/demo/b/app\",\"fileCount\":3,"
           "\"sizeBytes\":100,\"root\":\"app\",\"target\":\"app\"}";
}

#endif
