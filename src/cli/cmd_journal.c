#include "cli/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "cli/workspace.h"
#include "journal/extract.h"
#include "journal/snapshot.h"
#include "posix/heap.h"

/* journal segments, export, position, snapshot: what the files hold, with the proof of it, and no host. */

struct journal {
    char *dir, *side; /* owned */
    struct mw_journal_options options;
    uint64_t until_seq; /* how far it is settled */
};

static enum mw_rc open_journal(struct mw_cli *cli, struct journal *journal, struct mw_err *err)
{
    *journal = (struct journal){.dir = NULL};
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, err);
    if (rc != MW_OK)
        return rc;
    journal->dir = mw_heap_format("%s/.millwright/journal", cli->workspace);
    journal->side = mw_heap_format("%s/.millwright", cli->workspace);
    journal->options.side_dir = journal->side;
    journal->until_seq = mw_journal_settled(journal->dir, &journal->options);
    return MW_OK;
}

static int close_journal(struct mw_cli *cli, struct journal *journal, enum mw_rc rc,
                         const struct mw_err *err)
{
    mw_heap_free(journal->dir);
    mw_heap_free(journal->side);
    return rc == MW_OK ? 0 : mw_cli_fail(cli, err);
}

static void put_position(struct mw_json *json, const struct mw_journal_position *at)
{
    char hash[65];
    mw_hex(at->hash, sizeof at->hash, hash);
    mw_json_ku64(json, "seq", at->seq);
    mw_json_ku64(json, "frame", at->frame);
    mw_json_ku64(json, "epoch", at->epoch);
    mw_json_ku64(json, "segment", at->segment);
    mw_json_ku64(json, "offset", at->offset);
    mw_json_kstr(json, "hash", mw_str_of(hash));
}

/* ---- position ---- */

/* SEQ:HASH, as it was printed once. */
static enum mw_rc read_expected(const char *word, uint64_t *ret_seq, const char **ret_hash,
                                struct mw_err *err)
{
    const char *colon = strchr(word, ':');
    if (colon == NULL || strlen(colon + 1) != 64 ||
        !mw_str_to_u64((struct mw_str){word, (size_t)(colon - word)}, ret_seq) || *ret_seq == 0)
        return MW_FAIL(err, MW_E_USAGE,
                       "--expect is SEQ:HASH, as 'journal position' printed it once");
    *ret_hash = colon + 1;
    return MW_OK;
}

int mw_cmd_journal_position(struct mw_cli *cli)
{
    struct journal journal;
    struct mw_journal_position at;
    struct mw_err err = {0};
    const char *word = mw_cli_value(cli, "expect"), *expected = NULL;
    char hash[65];
    enum mw_rc rc = open_journal(cli, &journal, &err);
    if (rc == MW_OK && word != NULL)
        rc = read_expected(word, &journal.until_seq, &expected, &err);
    uint64_t wanted = journal.until_seq;
    if (rc == MW_OK)
        rc = mw_journal_position(journal.dir, &journal.options, wanted, &at, &err);
    if (rc == MW_OK)
        mw_hex(at.hash, sizeof at.hash, hash);
    if (rc == MW_OK && expected != NULL && (at.seq != wanted || strcmp(hash, expected) != 0))
        rc = MW_FAIL(&err, MW_E_CORRUPT,
                     "no frame of the journal ends at record %lu with that hash: it was cut or "
                     "changed since (there: record %lu, hash %s)",
                     (unsigned long)wanted, (unsigned long)at.seq, hash);
    if (rc != MW_OK)
        return close_journal(cli, &journal, rc, &err);
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        put_position(&json, &at);
        mw_json_object_end(&json);
    } else {
        mw_buf_printf(&out, "%lu:%s", (unsigned long)at.seq, hash);
    }
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    return close_journal(cli, &journal, MW_OK, NULL);
}

/* ---- segments ---- */

struct segment {
    uint64_t first, last, frames, bytes;
    char hash[65]; /* of its last frame */
};

struct segments {
    struct mw_cli *cli;
    struct segment open; /* first 0: none yet */
    struct mw_json json;
    struct mw_buf out; /* owned */
};

static void put_segment(struct segments *segments, bool sealed)
{
    const struct segment *row = &segments->open;
    char name[32];
    if (row->first == 0)
        return;
    (void)snprintf(name, sizeof name, "%020lu.jsonl", (unsigned long)row->first);
    if (!segments->cli->json) {
        mw_buf_printf(&segments->out, "%s  %lu to %lu  %lu frames  ", name,
                      (unsigned long)row->first, (unsigned long)row->last,
                      (unsigned long)row->frames);
        mw_put_size(&segments->out, row->bytes);
        mw_buf_printf(&segments->out, "  %s\n", sealed ? "sealed" : "open");
        return;
    }
    mw_json_object(&segments->json);
    mw_json_kstr(&segments->json, "name", mw_str_of(name));
    mw_json_ku64(&segments->json, "first", row->first);
    mw_json_ku64(&segments->json, "last", row->last);
    mw_json_ku64(&segments->json, "frames", row->frames);
    mw_json_ku64(&segments->json, "bytes", row->bytes);
    mw_json_kbool(&segments->json, "sealed", sealed);
    mw_json_kstr(&segments->json, "hash", mw_str_of(row->hash));
    mw_json_object_end(&segments->json);
}

static enum mw_rc count_frame(void *context, const struct mw_journal_frame_info *frame,
                              struct mw_str lines, struct mw_err *err)
{
    struct segments *segments = context;
    (void)lines;
    (void)err; /* nothing can fail */
    if (segments->open.first != frame->segment) {
        put_segment(segments, true);
        segments->open = (struct segment){.first = frame->segment};
    }
    segments->open.last = frame->first + frame->count - 1;
    segments->open.frames++;
    segments->open.bytes = frame->offset + frame->bytes;
    memcpy(segments->open.hash, frame->hash, sizeof frame->hash);
    return MW_OK;
}

int mw_cmd_journal_segments(struct mw_cli *cli)
{
    struct journal journal;
    struct mw_err err = {0};
    struct segments segments = {.cli = cli, .out = mw_heap_buf()};
    enum mw_rc rc = open_journal(cli, &journal, &err);
    mw_json_init(&segments.json, &segments.out);
    if (cli->json) {
        mw_json_object(&segments.json);
        mw_json_karray(&segments.json, "segments");
    }
    if (rc == MW_OK)
        rc = mw_journal_frames(journal.dir, &journal.options, journal.until_seq, count_frame,
                               &segments, &err);
    put_segment(&segments, false);
    if (cli->json) {
        mw_json_array_end(&segments.json);
        mw_json_object_end(&segments.json);
        mw_buf_put_c(&segments.out, '\n');
    }
    /* Also what stands before a damage is told. */
    if (rc == MW_OK || rc == MW_E_CORRUPT)
        (void)mw_cli_put(mw_buf_str(&segments.out));
    mw_heap_buf_free(&segments.out);
    return close_journal(cli, &journal, rc, &err);
}

/* ---- export ---- */

struct extract {
    const char *trace; /* NULL: all */
    struct mw_arena arena;
    char journal_id[32];
    uint64_t records, first, last;
    struct mw_sha256 sha; /* of the lines, newlines included */
    bool writes;          /* the second time */
    bool gone;            /* nobody reads on */
};

static bool is_wanted(struct extract *extract, struct mw_str line)
{
    struct mw_tape record;
    if (extract->trace == NULL)
        return true;
    if (memmem(line.ptr, line.len, extract->trace, strlen(extract->trace)) == NULL)
        return false;
    mw_arena_reset(&extract->arena);
    return mw_json_parse(&extract->arena, line, &record, NULL) == MW_OK &&
           mw_str_is(mw_node_get_text(&record, 0, "traceId"), extract->trace);
}

static void note_journal(struct extract *extract, struct mw_str line)
{
    struct mw_tape record;
    mw_arena_reset(&extract->arena);
    if (mw_json_parse(&extract->arena, line, &record, NULL) != MW_OK)
        return;
    uint32_t payload = mw_node_get(&record, 0, "payload");
    (void)snprintf(extract->journal_id, sizeof extract->journal_id, "%.*s",
                   MW_STR_ARG(mw_node_get_text(&record, payload, "journalId")));
}

static bool put_frame(const struct mw_journal_frame_info *frame)
{
    struct mw_buf out = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_json_ku64(&json, "frame", frame->frame);
    mw_json_ku64(&json, "epoch", frame->epoch);
    mw_json_ku64(&json, "first", frame->first);
    mw_json_ku64(&json, "count", frame->count);
    mw_json_ku64(&json, "segment", frame->segment);
    mw_json_ku64(&json, "offset", frame->offset);
    mw_json_ku64(&json, "bytes", frame->bytes);
    mw_json_kstr(&json, "prev", mw_str_of(frame->prev));
    mw_json_kstr(&json, "hash", mw_str_of(frame->hash));
    mw_json_object_end(&json);
    bool read = mw_cli_put_line(mw_buf_str(&out));
    mw_heap_buf_free(&out);
    return read;
}

static enum mw_rc take_out(void *context, const struct mw_journal_frame_info *frame,
                           struct mw_str lines, struct mw_err *err)
{
    struct extract *extract = context;
    bool told = false;
    uint64_t seq = frame->first;
    for (size_t at = 0; at < lines.len && !extract->gone; seq++) {
        size_t end = mw_str_find(lines, '\n', at);
        struct mw_str line = mw_str_sub(lines, at, end - at);
        at = end + 1;
        if (seq == 1)
            note_journal(extract, line);
        if (!is_wanted(extract, line))
            continue;
        if (extract->writes) {
            extract->gone = (!told && !put_frame(frame)) || !mw_cli_put_line(line);
            told = true;
            continue;
        }
        extract->records++;
        extract->first = extract->first == 0 ? seq : extract->first;
        extract->last = seq;
        mw_sha256_add(&extract->sha, line);
        mw_sha256_add(&extract->sha, MW_STR("\n"));
    }
    return extract->gone ? MW_FAIL(err, MW_E_LIMIT, "nobody reads on") : MW_OK;
}

static bool put_header(const struct extract *extract, const char *sha256,
                       const struct mw_journal_position *at)
{
    struct mw_buf out = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_json_ku64(&json, "export", 1);
    mw_json_kstr(&json, "journal", mw_str_of(extract->journal_id));
    if (extract->trace != NULL)
        mw_json_kstr(&json, "trace", mw_str_of(extract->trace));
    mw_json_ku64(&json, "records", extract->records);
    mw_json_ku64(&json, "first", extract->first);
    mw_json_ku64(&json, "last", extract->last);
    mw_json_kstr(&json, "sha256", mw_str_of(sha256));
    mw_json_kobject(&json, "position");
    put_position(&json, at);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    bool read = mw_cli_put_line(mw_buf_str(&out));
    mw_heap_buf_free(&out);
    return read;
}

/* Twice over the same frames: the header says what follows, so that a cut extract is noticed. */
static enum mw_rc export_records(struct journal *journal, struct extract *extract,
                                 struct mw_err *err)
{
    struct mw_journal_position at;
    uint8_t digest[32];
    char sha256[65];
    enum mw_rc rc =
        mw_journal_position(journal->dir, &journal->options, journal->until_seq, &at, err);
    mw_sha256_begin(&extract->sha);
    if (rc == MW_OK)
        rc = mw_journal_frames(journal->dir, &journal->options, at.seq, take_out, extract, err);
    mw_sha256_end(&extract->sha, digest);
    mw_hex(digest, sizeof digest, sha256);
    if (rc == MW_OK && extract->records == 0)
        rc = MW_FAIL(err, MW_E_MISSING, "the journal has no record of trace '%s'",
                     extract->trace != NULL ? extract->trace : "");
    if (rc != MW_OK || !put_header(extract, sha256, &at))
        return rc;
    extract->writes = true;
    rc = mw_journal_frames(journal->dir, &journal->options, at.seq, take_out, extract, err);
    return extract->gone ? MW_OK : rc;
}

int mw_cmd_journal_export(struct mw_cli *cli)
{
    struct journal journal;
    struct mw_err err = {0};
    struct extract extract = {.trace = mw_cli_value(cli, "trace")};
    enum mw_rc rc = open_journal(cli, &journal, &err);
    mw_heap_arena(&extract.arena, 64UL * 1024 * 1024);
    if (rc == MW_OK)
        rc = export_records(&journal, &extract, &err);
    mw_heap_arena_free(&extract.arena);
    return close_journal(cli, &journal, rc, &err);
}

/* ---- snapshot ---- */

int mw_cmd_journal_snapshot(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_cli_snapshot snapshot;
    bool made = false;
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (cli->ports->make_snapshot(cli->workspace, &snapshot, &made, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kbool(&json, "made", made);
        mw_json_ku64(&json, "seq", snapshot.seq);
        mw_json_ku64(&json, "records", snapshot.records);
        mw_json_object_end(&json);
    } else {
        mw_buf_printf(&out, "%s: %lu records stand for the first %lu",
                      made ? "made" : "there already", (unsigned long)snapshot.records,
                      (unsigned long)snapshot.seq);
    }
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    return 0;
}
