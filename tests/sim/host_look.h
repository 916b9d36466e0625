/*
 * host_look.h - the oracles of a host: what has to hold at every answer, start, ring, append and turn, and when all is quiet. Those of
 * oracle.h look after every step of the core, at the host's own core.
 *
 * Which change of one line turns which of them red: the table in tests/crash/planted_host.py, which plays it.
 */
#ifndef MW_TEST_HOST_LOOK_H
#define MW_TEST_HOST_LOOK_H

#include "host_remote.h"

#include "author/author.h"
#include "stage/promote.h"

#define LOOK_RINGS_MAX 4096
#define LOOK_BUNDLES_MAX 64
#define LOOK_ONCE_MAX 1024

struct look {
    mw_seq rung[LOOK_RINGS_MAX]; /* in this life */
    uint32_t rung_count;
    mw_seq began[LOOK_RINGS_MAX]; /* asks whose effect began in this life */
    uint32_t began_count;
    uint32_t fulls; /* appends in a row that found no room */
    uint64_t rings, steps, quiet_turns, blobs, late, promotions;
    char bundles[LOOK_BUNDLES_MAX][MW_SHA256_HEX]; /* that were ever to be promoted in this seed */
    uint32_t bundle_count;
    struct look_once {
        mw_seq item;
        uint32_t asked, allowed;
    } once[LOOK_ONCE_MAX]; /* tasks that are asked at most once, of this seed */
    uint32_t once_count;
    uint64_t onces;
};

static struct look look;

static void look_begin_life(void)
{
    look.rung_count = 0;
    look.began_count = 0;
    look.fulls = 0;
}

/* ---- no_retry ---- */

static struct look_once *look_once_of(mw_seq item)
{
    uint32_t at = 0;
    while (at < look.once_count && look.once[at].item != item)
        at++;
    if (at == LOOK_ONCE_MAX)
        return NULL; /* enough was looked at */
    if (at == look.once_count)
        look.once[look.once_count++] = (struct look_once){.item = item, .allowed = 1};
    return &look.once[at];
}

/* P06: an agent is asked at most once, in all lives of the host together; each further time a person has said so. */
static void look_at_asked(const char *task)
{
    const struct mw_world *state = &world.host->core.world;
    const struct mw_item *item = mw_world_item(state, mw_wire_number(mw_str_of(task)));
    const struct mw_catalogue *catalogue =
        item != NULL ? mw_world_catalogue(state, mw_world_trace_of(state, item)) : NULL;
    if (catalogue == NULL || !catalogue->tasks[((const struct mw_task *)item)->def]->no_retry)
        return;
    struct look_once *once = look_once_of(item->id);
    if (once == NULL)
        return;
    look.onces++;
    WORLD_CHECK(++once->asked <= once->allowed,
                "P06: %s is asked for the time %u, and a person has sent it back %u times", task,
                once->asked, once->allowed - 1);
}

static void look_at_sent_back(const struct mw_request *request)
{
    struct look_once *once =
        mw_str_is(mw_node_get_text(request->body, request->body_node, "action"), "retry")
            ? look_once_of(request->item)
            : NULL;
    if (once != NULL)
        once->allowed++;
}

/* ---- the journal ---- */

extern const struct mw_journal_ops __real_mw_journal_files;
extern struct mw_journal_ops __wrap_mw_journal_files;
struct mw_journal_ops __wrap_mw_journal_files;

static enum mw_rc look_take_line(void *to, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq; /* the lines say it */
    (void)err;
    mw_buf_put(to, line);
    mw_buf_put_c(to, '\n');
    return MW_OK;
}

/* The shadow reads what this life reads. Every line was looked at when it was decided. */
static void look_replay(void)
{
    struct rig *rig = world.rig;
    struct mw_err err;
    WORLD_CHECK(world_begins(&rig->journal, &world.sure),
                "the journal holds what was never decided");
    rig->journal.len = world.sure.len;
    rig->line_count = rig->durable = (size_t)world.sure_seq;
    rig_init_core(rig, &rig->shadow, 2);
    oracle_roll_back(rig, world.sure_seq);
    for (size_t i = 0; i < rig->line_count; i++) {
        enum mw_rc rc = mw_core_replay(&rig->shadow, rig_line(rig, i), &err);
        WORLD_CHECK(rc == MW_OK, "record %zu does not replay: %s", i + 1, err.text);
    }
}

/* P01, P02: every frame that append said is durable is there, byte by byte, and beyond it nothing but the whole of the one on its way. */
static void look_at_opened(void *journal)
{
    struct mw_buf lines = mw_heap_buf();
    struct mw_err err = {0};
    enum mw_rc rc = __real_mw_journal_files.read(journal, 1, look_take_line, &lines, &err);
    WORLD_CHECK(rc == MW_OK, "P01: the journal cannot be read: %s", err.text);
    WORLD_CHECK(world_begins(&lines, &world.sure),
                "P01: of %lu acknowledged records some are gone or changed",
                (unsigned long)world.sure_seq);
    if (lines.len > world.sure.len) {
        struct mw_str more = mw_str_sub(mw_buf_str(&lines), world.sure.len, lines.len);
        WORLD_CHECK(mw_str_eq(more, mw_buf_str(&world.tried)),
                    "P01: the journal holds %zu bytes that nobody wrote, or half a frame",
                    more.len);
        mw_buf_put(&world.sure, more);
        world.sure_seq += world.tried_count;
    }
    world.tried.len = 0;
    world.tried_count = 0;
    world.opened = true;
    mw_heap_buf_free(&lines);
    look_replay();
}

static enum mw_rc look_open(const char *dir, const struct mw_journal_options *options,
                            void **ret_self, struct mw_journal_opened *ret_opened,
                            struct mw_err *err)
{
    struct mw_journal_options small = *options;
    small.segment_bytes = 40000; /* a seed goes over a few segments */
    small.reserve_bytes = 16384;
    enum mw_rc rc = __real_mw_journal_files.open(dir, &small, ret_self, ret_opened, err);
    WORLD_CHECK(rc != MW_E_CONFLICT, "P11: the journal is held by nobody: %s", err->text);
    assert_true(small.check_later);
    return rc;
}

static enum mw_rc look_check(void *self, struct mw_journal_opened *ret_opened, struct mw_err *err)
{
    enum mw_rc rc = __real_mw_journal_files.check(self, ret_opened, err);
    world.inside = false;
    WORLD_CHECK(rc != MW_E_CORRUPT, "P03: the journal does not open: %s", err->text);
    if (rc == MW_OK)
        look_at_opened(self);
    world.inside = true;
    return rc;
}

static size_t look_find(struct mw_str text, const char *words, size_t from)
{
    const char *found = memmem(text.ptr + from, text.len - from, words, strlen(words));
    return found != NULL ? (size_t)(found - text.ptr) : SIZE_MAX;
}

/* P22: a file list, and every file in it. */
static void look_at_blob(struct mw_str sha256, bool is_list, mw_seq seq)
{
    char path[160];
    snprintf(path, sizeof path, DISK_ROOT "/ws/.millwright/blobs/%.2s/%.62s", sha256.ptr,
             sha256.ptr + 2);
    look.blobs++;
    WORLD_CHECK(disk_is_durable(path), "P22: record %lu names blob %.*s, which is not durable",
                (unsigned long)seq, MW_STR_ARG(sha256));
    const struct disk_node *node = disk_find(path);
    struct mw_str text = {node->now.at, node->now.filled};
    for (size_t at = 0; is_list && (at = look_find(text, "\"sha256\":\"", at)) != SIZE_MAX;) {
        at += 10;
        look_at_blob(mw_str_sub(text, at, 64), false, seq);
    }
}

static void look_at_named(struct mw_str line, const char *key, bool is_list, mw_seq seq)
{
    size_t at = look_find(line, key, 0);
    size_t len = strlen(key);
    if (at != SIZE_MAX && at + len + 65 < line.len && line.ptr[at + len + 64] == '"')
        look_at_blob(mw_str_sub(line, at + len, 64), is_list, seq);
}

/* A small one stands in the record itself, whole: its bytes have the hash that the record says. */
static void look_at_intent(struct mw_str line, mw_seq seq)
{
    static const char key[] = "\"intent\":";
    size_t at = look_find(line, key, 0);
    if (at == SIZE_MAX || look_find(line, "\"kind\":\"trace.opened\"", 0) == SIZE_MAX) {
        look_at_named(line, "\"intentSha256\":\"", false, seq);
        return;
    }
    struct mw_arena arena;
    struct mw_tape tape;
    char sha256[MW_SHA256_HEX];
    mw_heap_arena(&arena, (size_t)4 << 20);
    enum mw_rc rc = mw_json_parse(&arena, line, &tape, NULL);
    uint32_t payload = mw_node_get(&tape, 0, "payload");
    WORLD_CHECK(rc == MW_OK && mw_node_get(&tape, payload, "intent") != MW_NODE_NONE,
                "record %lu has no intent where it says so", (unsigned long)seq);
    mw_sha256_hex(tape.nodes[mw_node_get(&tape, payload, "intent")].text, sha256);
    WORLD_CHECK(mw_str_is(mw_node_get_text(&tape, payload, "intentSha256"), sha256),
                "P22: the intent in record %lu is not the one that it names", (unsigned long)seq);
    mw_heap_arena_free(&arena);
}

static void look_at_frame(mw_seq first, struct mw_str lines)
{
    mw_seq seq = first;
    for (size_t at = 0; at < lines.len; seq++) {
        size_t end = mw_str_find(lines, '\n', at);
        struct mw_str line = mw_str_sub(lines, at, end - at);
        look_at_named(line, "\"payloadSha256\":\"", false, seq);
        look_at_intent(line, seq);
        look_at_named(line, "\"filesSha256\":\"", true, seq);
        at = end + 1;
    }
}

static enum mw_rc look_append(void *self, uint64_t first, uint32_t count, struct mw_str lines,
                              struct mw_err *err)
{
    world.inside = false;
    WORLD_CHECK(first == world.sure_seq + 1, "frames out of order");
    WORLD_CHECK(!world.latched, "P02: a write after a failed sync");
    look_at_frame(first, lines);
    world.tried.len = 0;
    mw_buf_put(&world.tried, lines);
    world.tried_count = count;
    world.inside = true;
    enum mw_rc rc = __real_mw_journal_files.append(self, first, count, lines, err);
    world.inside = false;
    world_note("append", (uint64_t)rc, first);
    WORLD_CHECK(rc == MW_OK || rc == MW_E_FULL || (rc == MW_E_IO && world.faulted),
                "append of record %lu: %s", (unsigned long)first, err->text);
    world.latched = rc == MW_E_IO;
    look.fulls = rc == MW_E_FULL ? look.fulls + 1 : 0;
    if (rc == MW_OK) {
        mw_buf_put(&world.sure, lines);
        world.sure_seq += count;
    }
    if (rc != MW_E_IO) {
        world.tried.len = 0;
        world.tried_count = 0;
    }
    world.inside = true;
    return rc;
}

static enum mw_rc look_reader_read(void *reader, uint64_t until_seq, mw_journal_on_record on_record,
                                   void *context, uint64_t *ret_next_seq, struct mw_err *err)
{
    WORLD_CHECK(!callers.follows || until_seq <= world.sure_seq,
                "P01: a follower is told of record %lu, and %lu are durable",
                (unsigned long)until_seq, (unsigned long)world.sure_seq);
    return __real_mw_journal_files.reader_read(reader, until_seq, on_record, context, ret_next_seq,
                                               err);
}

static enum mw_rc look_close(void *self, struct mw_err *err)
{
    WORLD_CHECK(!world.host->writer_started, "P02: the journal is closed and its writer is not");
    return __real_mw_journal_files.close(self, err);
}

/* What the host calls: the real journal, and a look at what it says. */
static void look_begin(void)
{
    __wrap_mw_journal_files = __real_mw_journal_files;
    __wrap_mw_journal_files.name = "watched";
    __wrap_mw_journal_files.open = look_open;
    __wrap_mw_journal_files.check = look_check;
    __wrap_mw_journal_files.append = look_append;
    __wrap_mw_journal_files.reader_read = look_reader_read;
    __wrap_mw_journal_files.close = look_close;
}

/* ---- steps ---- */

/* P07: never early, and once. */
static void look_at_ring(const struct mw_core *core, const struct mw_request *request)
{
    const struct mw_ask *ask = mw_table_get(&core->world.asks, request->fence);
    look.rings++;
    WORLD_CHECK(ask == NULL || world_utc_us() >= ask->due_us, "P07: a timer rings %ld us early",
                (long)(ask->due_us - world_utc_us()));
    for (uint32_t i = 0; i < look.rung_count; i++)
        WORLD_CHECK(look.rung[i] != request->fence, "P07: timer %lu rings twice",
                    (unsigned long)request->fence);
    if (look.rung_count < LOOK_RINGS_MAX)
        look.rung[look.rung_count++] = request->fence;
}

/* The state's text but for its first line, which holds the last number. */
static struct mw_str look_state(const struct mw_core *core, struct mw_buf *buf)
{
    buf->len = 0;
    mw_core_dump(core, buf);
    struct mw_str text = mw_buf_str(buf);
    return mw_str_sub(text, mw_str_find(text, '\n', 0), text.len);
}

/* An answer that may change nothing. What an earlier step had no room for any more goes on with whatever comes next: not looked at then. */
static bool look_is_late(const struct mw_core *core, const struct mw_request *request)
{
    return !mw_work_wants_dispatch(&core->work) &&
           (request->kind == MW_REQ_RECORD_RESULT || request->kind == MW_REQ_RECORD_FAILURE) &&
           mw_table_get(&core->world.asks, request->fence) == NULL;
}

/* P12: a promotion that is told as done stands. */
static void look_at_app(const char *wanted);

static void look_at_promotion(const struct mw_request *request)
{
    char sha256[MW_SHA256_HEX] = "";
    struct mw_str told = mw_node_get_text(request->body, request->body_node, "sha256");
    if (mw_node_get(request->body, request->body_node, "error") != MW_NODE_NONE)
        return;
    WORLD_CHECK(told.len == sizeof sha256 - 1, "P12: version '%.*s' is told as promoted",
                MW_STR_ARG(told));
    memcpy(sha256, told.ptr, told.len);
    look_at_app(sha256);
}

WORLD_WRAP(void, mw_core_step, struct mw_core *core, const struct mw_request *request,
           struct mw_buf *frame, struct mw_step_result *ret_result)
{
    struct rig *rig = world.rig;
    if (!world.inside) {
        __real_mw_core_step(core, request, frame, ret_result);
        return;
    }
    world.inside = false;
    world_note("step", (uint64_t)request->kind, core->world.last_seq);
    if (!world.compared) {
        rig->core = *core;
        oracle_same(rig, "P16: after a restart");
        const struct disk_node *unfinished = disk_find(DISK_ROOT "/ws/.millwright/blobs/tmp");
        WORLD_CHECK(unfinished != NULL && unfinished->count == 0,
                    "P10: what a host before has left of %u bodies takes room for ever",
                    unfinished != NULL ? unfinished->count : 0);
        world.compared = true;
    }
    /* A frame is tried twice, the second time without the reserve; a third time only after the host has heard of it. What is said again is not
     * decided: its answer is known. */
    WORLD_CHECK(look.fulls < 3 || !mw_request_begins(request->kind) ||
                    mw_core_knows(core, request->message_id),
                "P10: %s is decided, and for what was decided before it there is no room",
                mw_request_info(request->kind)->name);
    if (request->kind == MW_REQ_RING_TIMER)
        look_at_ring(core, request);
    if (request->kind == MW_REQ_RECORD_PROMOTION)
        look_at_promotion(request);
    bool late = look_is_late(core, request);
    struct mw_str before = late ? look_state(core, &rig->dump_a) : MW_STR_NONE;
    size_t start = frame->len, first = rig->line_count, from = rig->journal.len;
    world.inside = true;
    __real_mw_core_step(core, request, frame, ret_result);
    world.inside = false;
    mw_buf_put(&rig->journal, mw_str_sub(mw_buf_str(frame), start, frame->len));
    rig_note_lines(rig, from);
    rig->core = *core;
    rig->result = *ret_result;
    if (request->kind == MW_REQ_ANSWER_ITEM && rig->line_count > first)
        look_at_sent_back(request);
    caller_decided(request->message_id, core->world.last_seq);
    look.late += late;
    WORLD_CHECK(!late || (rig->line_count <= first + 1 &&
                          mw_str_eq(before, look_state(core, &rig->dump_b))),
                "P06: the answer to ask %lu, which is over, changed the state",
                (unsigned long)request->fence);
    WORLD_CHECK(!ret_result->duplicate || rig->line_count == first,
                "P05: a repeat left %zu records", rig->line_count - first);
    oracle_after_step(rig, first, request);
    look.steps++;
    world.inside = true;
}

/* ---- effects ---- */

static void look_at_begin(const struct mw_host *host, const struct mw_host_ask *ask)
{
    world.inside = false;
    world_note("begins", ask->seq, 0);
    WORLD_CHECK(!world.latched, "P02: something is started after a failed sync");
    WORLD_CHECK(ask->seq <= world.sure_seq, "P01: ask %lu is started and not durable",
                (unsigned long)ask->seq);
    WORLD_CHECK(mw_table_get(&host->core.world.asks, ask->seq) != NULL && !ask->closed,
                "P06: ask %lu is started and not open", (unsigned long)ask->seq);
    for (uint32_t i = 0; i < look.began_count; i++)
        WORLD_CHECK(look.began[i] != ask->seq, "P06: ask %lu is started twice",
                    (unsigned long)ask->seq);
    if (look.began_count < LOOK_RINGS_MAX)
        look.began[look.began_count++] = ask->seq;
    world.inside = true;
}

WORLD_WRAP(void, mw_attempt_begin, struct mw_host *host, struct mw_host_ask *ask)
{
    look_at_begin(host, ask);
    __real_mw_attempt_begin(host, ask);
}

WORLD_WRAP(void, mw_worker_begin, struct mw_host *host, struct mw_host_ask *ask)
{
    look_at_begin(host, ask);
    __real_mw_worker_begin(host, ask);
}

WORLD_WRAP(void, mw_stage_begin, struct mw_host *host, struct mw_host_ask *ask)
{
    look_at_begin(host, ask);
    __real_mw_stage_begin(host, ask);
}

/* P12: the app root is absent, or one whole tree that was to be put there. */
static void look_at_app(const char *wanted)
{
    struct mw_tree tree;
    struct mw_err err = {0};
    char sha256[MW_SHA256_HEX];
    if (disk_find(DISK_ROOT "/ws/app") == NULL) {
        WORLD_CHECK(wanted == NULL, "P12: version %s was promoted, and there is no app", wanted);
        return;
    }
    const struct mw_tree_scan observe = {.observe = true};
    enum mw_rc rc = mw_tree_scan(AT_FDCWD, DISK_ROOT "/ws/app", &observe, &tree, &err);
    WORLD_CHECK(rc == MW_OK, "P12: %s", err.text);
    mw_tree_digest(&tree, sha256);
    mw_tree_free(&tree);
    bool known = false;
    for (uint32_t i = 0; i < look.bundle_count; i++)
        known = known || strcmp(look.bundles[i], sha256) == 0;
    WORLD_CHECK(known, "P12: the app is %s, which nobody promoted", sha256);
    WORLD_CHECK(wanted == NULL || strcmp(wanted, sha256) == 0,
                "P12: %s was promoted, and the app is %s", wanted, sha256);
}

WORLD_WRAP(enum mw_rc, mw_promote_run, const struct mw_promote *promote,
           struct mw_promoted *ret_promoted, struct mw_err *err)
{
    assert_true(look.bundle_count < LOOK_BUNDLES_MAX);
    snprintf(look.bundles[look.bundle_count++], MW_SHA256_HEX, "%s", promote->source_sha256);
    look.promotions++;
    if (world_chance(15)) /* also when all is calm otherwise: most are asked for then */
        disk.sync_fails = 1 + world_below(12);
    return __real_mw_promote_run(promote, ret_promoted, err);
}

static const struct mw_host_ask *look_for_attempt(const struct agent_child *child)
{
    const struct mw_host_ask *found = NULL;
    for (const struct mw_host_ask *ask = world.host->asks.oldest; ask != NULL; ask = ask->newer)
        if (ask->attempt != NULL && strcmp(ask->attempt->folder, child->folder) == 0)
            found = ask;
    return found;
}

/* P06: what a killed supervisor ran is ended before its attempt is over, whether its answer is still wanted or not. */
static void look_for_strays(void)
{
    for (uint32_t i = 0; i < agents.count; i++) {
        const struct agent_child *child = &agents.children[i];
        if (agent_lives(child) && child->exited && child->life == world.lives)
            WORLD_CHECK(look_for_attempt(child) != NULL,
                        "P06: %s is over, and what its killed supervisor ran goes on",
                        child->folder);
    }
}

static void look_at_start(struct agent_child *child)
{
    const struct mw_host *host = world.host;
    uint32_t running = 0;
    const struct mw_host_ask *found = look_for_attempt(child);
    look_for_strays();
    WORLD_CHECK(found != NULL, "P06: %s is started for no ask", child->folder);
    child->ask = found->seq;
    look_at_asked(child->task);
    WORLD_CHECK(child->ask <= world.sure_seq && !found->closed,
                "P06: a child for ask %lu, which is closed or not durable",
                (unsigned long)child->ask);
    for (uint32_t i = 0; i < agents.count; i++) {
        const struct agent_child *other = &agents.children[i];
        if (other == child || !agent_lives(other))
            continue;
        WORLD_CHECK(other->life == child->life || !other->has_pid_file,
                    "P06: %s runs on from an earlier host while %s is started", other->folder,
                    child->folder);
        WORLD_CHECK(other->ask != child->ask || other->life != child->life,
                    "P06: two children for ask %lu", (unsigned long)child->ask);
        running += other->life == child->life && !other->told && !other->exited;
    }
    WORLD_CHECK(running < host->core.work.running_max, "P09: %u children run besides", running);
}

static void look_at_idle_end(const struct agent_child *child)
{
    /* 20 s; the loop's clock may be behind by what a turn took, and a host that stood still has not read everything yet. */
    WORLD_CHECK(world.now_ns - child->spoke_ns >= 18000000000ll || child->out_read < child->out.len,
                "a child that spoke %ld ms ago is ended for its silence",
                (long)((world.now_ns - child->spoke_ns) / 1000000));
}

/* ---- answers ---- */

static void look_at_answer(const struct mw_api_call *call, unsigned status,
                           const struct mw_tape *tape)
{
    mw_seq first = (mw_seq)mw_node_int(tape, mw_node_get(tape, 0, "first"), 0);
    mw_seq last = (mw_seq)mw_node_int(tape, mw_node_get(tape, 0, "last"), 0);
    bool later = status == 503 || status == 507 || status == 429;
    const char *kind = mw_request_info(call->kind)->name;
    WORLD_CHECK(status != 200 || !world.latched, "P02: %s is acknowledged after a failed sync",
                kind);
    /* What was taken on another thread may have met the full disk before there was room again. */
    WORLD_CHECK(status != 507 || disk.room_bytes != SIZE_MAX || world.host->writing != NULL ||
                    disk.full_until_ns >= call->at_ns,
                "P10: %s is refused for want of room, and there is room", kind);
    WORLD_CHECK(status != 200 || last <= world.sure_seq,
                "P01: %s is acknowledged and record %lu is not durable", kind, (unsigned long)last);
    WORLD_CHECK(world.latched || call->saw <= world.sure_seq,
                "P01: %s is answered (%u) by record %lu, which is not durable", kind, status,
                (unsigned long)call->saw);
    WORLD_CHECK(status != 200 || (disk_is_named(DISK_ROOT "/ws/.millwright") &&
                                  disk_is_named(DISK_ROOT "/ws/.millwright/journal")),
                "P01: %s is acknowledged and the folders of the journal have no name", kind);
    if (!call->again)
        return;
    if (call->changed) {
        WORLD_CHECK(status != 200, "P05: %s with another body under one messageId", kind);
        return;
    }
    if (later || (status == 410 && caller_is_old(call)) || (status == 500 && world.faulted))
        return;
    WORLD_CHECK(status == 200, "P05: %s was acknowledged, and said again it is refused (%u)", kind,
                status);
    WORLD_CHECK(mw_node_bool(tape, mw_node_get(tape, 0, "duplicate"), false) &&
                    first == call->first,
                "P05: %s said again is done again: record %lu in place of %lu", kind,
                (unsigned long)first, (unsigned long)call->first);
    WORLD_CHECK(last == call->last, "P05: %s said again ends at record %lu in place of %lu", kind,
                (unsigned long)last, (unsigned long)call->last);
    WORLD_CHECK(mw_str_is(mw_node_get_text(tape, 0, "traceId"), call->trace_id),
                "P05: %s said again tells another trace", kind);
}

/* ---- turns ---- */

static bool look_is_settled(const struct mw_host *host)
{
    return !host->replaying && host->filling != NULL && host->writing == NULL &&
           host->filling->count == 0 && host->filling->posts == NULL && host->pending == NULL;
}

static const struct loop_timer *look_timer(const uv_timer_t *handle)
{
    for (uint32_t i = 0; i < loop.timer_count; i++)
        if (loop.timers[i].handle == handle)
            return &loop.timers[i];
    return NULL;
}

/* P07: the time is kept for it, and the timer that is armed for the soonest of all. */
static void look_at_deadline(const struct mw_host *host, const struct mw_ask *ask)
{
    const struct mw_deadlines *all = &host->deadlines;
    uint32_t times = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        times += all->heap[i].seq == ask->seq;
        WORLD_CHECK(i == 0 || all->heap[(i - 1) / 2].due_us <= all->heap[i].due_us,
                    "P07: what is due soonest is not known");
    }
    const struct loop_timer *timer = look_timer(&all->timer);
    WORLD_CHECK(times == 1 && timer != NULL && timer->active,
                "P07: ask %lu has a deadline and no timer", (unsigned long)ask->seq);
    /* It rings when the soonest is due, or the clock is seen to have been set since it was armed. */
    int64_t moved_us = world_utc_us() - world.now_ns / 1000 - all->clock_offset_us;
    int64_t left_us = all->heap[0].due_us - world_utc_us();
    int64_t rings_us = (int64_t)timer->due_ms * 1000 - world.now_ns / 1000;
    bool seen = moved_us > 240000 || moved_us < -240000;
    WORLD_CHECK(seen || rings_us <= (left_us > 0 ? left_us : 0) + 1500000,
                "P07: what is due in %ld ms rings in %ld ms", (long)(left_us / 1000),
                (long)(rings_us / 1000));
}

/* What runs is what is asked, once everything decided is durable. */
static void look_at_asks(struct mw_host *host)
{
    const struct mw_table *table = &host->core.world.asks;
    for (const struct mw_host_ask *ask = host->asks.oldest; ask != NULL; ask = ask->newer) {
        const struct mw_ask *asked = mw_table_get(table, ask->seq);
        WORLD_CHECK((asked == NULL) == ask->closed, "P06: the host and the core differ on ask %lu",
                    (unsigned long)ask->seq);
        WORLD_CHECK(!ask->closed || ask->attempt != NULL || ask->held,
                    "ask %lu is closed and kept for nothing", (unsigned long)ask->seq);
    }
    for (uint32_t i = 0; i < table->cap; i++) {
        const struct mw_ask *asked = mw_table_at(table, i);
        if (asked == NULL)
            continue;
        const struct mw_host_ask *ask = mw_host_ask_find(host, asked->seq);
        bool works = asked->opens == MW_OPENS_STAGE ||
                     (asked->opens == MW_OPENS_AGENT && asked->agent_kind != MW_AGENT_HUMAN);
        WORLD_CHECK((!works && asked->opens != MW_OPENS_CONTINUE) || (ask != NULL && ask->started),
                    "P06: ask %lu is open, durable and not started", (unsigned long)asked->seq);
        WORLD_CHECK(!works || ask->attempt != NULL || ask->held || ask->offer != NULL,
                    "P06: nothing works for ask %lu, which is open", (unsigned long)asked->seq);
        if (asked->due_us != 0)
            look_at_deadline(host, asked);
    }
}

static void look_at_children(struct mw_host *host)
{
    for (uint32_t i = 0; i < agents.count; i++) {
        const struct agent_child *child = &agents.children[i];
        if (!agent_lives(child) || child->life != world.lives || child->exited || child->told)
            continue;
        WORLD_CHECK(mw_table_get(&host->core.world.asks, child->ask) != NULL,
                    "P06: %s runs and its ask %lu is closed", child->folder,
                    (unsigned long)child->ask);
    }
}

/* ---- the test's own cost: the same definitions are parsed once in the program's life ---- */

#define LOOK_TEXTS_MAX 64

struct look_text {
    struct mw_str path, text;
    struct mw_tape tape;
};
static struct look_text look_texts[LOOK_TEXTS_MAX];
static uint32_t look_text_count;

WORLD_WRAP(enum mw_rc, mw_author_read, struct mw_arena *arena, struct mw_str path,
           struct mw_str text, struct mw_tape *ret_tape, struct mw_err *err)
{
    if (!world.inside)
        return __real_mw_author_read(arena, path, text, ret_tape, err);
    for (uint32_t i = 0; i < look_text_count; i++)
        if (mw_str_eq(look_texts[i].text, text)) {
            *ret_tape = look_texts[i].tape;
            return MW_OK;
        }
    world.inside = false;
    assert_true(look_text_count < LOOK_TEXTS_MAX);
    struct look_text *made = &look_texts[look_text_count++];
    made->path = mw_arena_copy(&world.rig->definitions, path);
    made->text = mw_arena_copy(&world.rig->definitions, text);
    enum mw_rc rc =
        __real_mw_author_read(&world.rig->definitions, made->path, made->text, &made->tape, err);
    WORLD_CHECK(rc == MW_OK, "%s", err->text);
    *ret_tape = made->tape;
    world.inside = true;
    return rc;
}

WORLD_WRAP(enum mw_rc, mw_catalogue_load, struct mw_arena *arena,
           const struct mw_definition_file *files, size_t count, struct mw_str sha256,
           const struct mw_catalogue **ret_catalogue, struct mw_err *err)
{
    struct mw_arena *kept = &world.rig->definitions;
    if (!world.inside)
        return __real_mw_catalogue_load(arena, files, count, sha256, ret_catalogue, err);
    *ret_catalogue = rig_catalogue(world.rig, sha256);
    if (*ret_catalogue != NULL)
        return MW_OK;
    world.inside = false;
    struct mw_definition_file *copies = mw_arena_array(kept, struct mw_definition_file, count + 1);
    for (size_t i = 0; i < count; i++)
        copies[i] = (struct mw_definition_file){.path = mw_arena_copy(kept, files[i].path),
                                                .text = mw_arena_copy(kept, files[i].text),
                                                .tape = files[i].tape};
    enum mw_rc rc = __real_mw_catalogue_load(kept, copies, count, mw_arena_copy(kept, sha256),
                                             ret_catalogue, err);
    WORLD_CHECK(rc == MW_OK, "%s", err->text);
    assert_true(world.rig->catalogue_count < RIG_CATALOGUES_MAX);
    world.rig->catalogues[world.rig->catalogue_count++] = *ret_catalogue;
    world.inside = true;
    return rc;
}

#endif
