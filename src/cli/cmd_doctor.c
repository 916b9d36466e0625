#include "cli/command.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/link.h"
#include "cli/render.h"
#include "cli/requires.h"
#include "cli/workspace.h"
#include "journal/doctor.h"
#include "posix/file.h"
#include "posix/heap.h"

/* doctor, verify, journal repair: what the disk says, with no host. */

static char *journal_of(const struct mw_cli *cli)
{
    return mw_heap_format("%s/.millwright/journal", cli->workspace);
}

static const struct mw_journal_options *options_for(struct mw_cli *cli)
{
    struct mw_journal_options *options = mw_arena_alloc(&cli->arena, sizeof(*options));
    options->side_dir = mw_arena_format(&cli->arena, "%s/.millwright", cli->workspace).ptr;
    return options;
}

static enum mw_rc verify(struct mw_cli *cli, struct mw_journal_report *report, struct mw_err *err)
{
    mw_autofree char *journal = journal_of(cli);
    *report = (struct mw_journal_report){0};
    mw_autofree char *head = mw_heap_format("%s/.millwright/head", cli->workspace);
    if (!mw_exists(AT_FDCWD, journal) && mw_exists(AT_FDCWD, head))
        return MW_FAIL(err, MW_E_CORRUPT,
                       "the journal's folder is gone, and .millwright/head says that records were "
                       "committed: put it back, from a backup or an archive");
    if (!mw_exists(AT_FDCWD, journal))
        return MW_OK; /* nothing was ever recorded */
    return mw_journal_verify(journal, options_for(cli), NULL, NULL, report, err);
}

static void json_snapshot(struct mw_json *json, const struct mw_cli_snapshot *snapshot)
{
    if (!snapshot->found)
        return;
    mw_json_kobject(json, "snapshot");
    mw_json_ku64(json, "seq", snapshot->seq);
    mw_json_ku64(json, "records", snapshot->records);
    mw_json_kbool(json, "usable", snapshot->usable);
    if (snapshot->usable)
        mw_json_kbool(json, "agrees", snapshot->agrees);
    else
        mw_json_kstr(json, "why", mw_str_of(snapshot->why));
    mw_json_object_end(json);
}

static void put_snapshot(struct mw_buf *out, const struct mw_cli_snapshot *snapshot)
{
    if (snapshot->usable && snapshot->agrees)
        mw_buf_printf(out, "\nsnapshot: %lu records stand for the first %lu, same state",
                      (unsigned long)snapshot->records, (unsigned long)snapshot->seq);
    else if (snapshot->usable)
        mw_buf_printf(out, "\nsnapshot: of record %lu, ANOTHER STATE",
                      (unsigned long)snapshot->seq);
    else if (snapshot->found)
        mw_buf_printf(out, "\nsnapshot: not used by a start: %s", snapshot->why);
}

int mw_cmd_verify(struct mw_cli *cli)
{
    struct mw_journal_report report;
    struct mw_err err = {0};
    if (mw_cli_has(cli, "promises"))
        return mw_cmd_verify_promises(cli);
    if (mw_cli_has(cli, "dir"))
        return mw_cli_usage(cli, "--dir goes with --promises");
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    char state[65] = "";
    uint64_t state_seq = 0;
    struct mw_cli_snapshot snapshot = {.found = false};
    enum mw_rc rc = verify(cli, &report, &err);
    uint64_t stuck =
        cli->ports->read_only_for != NULL ? cli->ports->read_only_for(cli->workspace) : 0;
    if (rc == MW_OK && stuck != 0)
        rc = MW_FAIL(&err, MW_E_CORRUPT,
                     "the frames are sound, but record %lu ends every replay: millwright doctor "
                     "says what can be done",
                     (unsigned long)stuck);
    if (rc == MW_OK && cli->ports->offline_state != NULL)
        rc = cli->ports->offline_state(cli->workspace, state, &state_seq, &snapshot, &err);
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kbool(&json, "sound", rc == MW_OK);
        mw_json_ku64(&json, "segments", report.segments);
        mw_json_ku64(&json, "frames", report.frames);
        mw_json_ku64(&json, "records", report.records);
        mw_json_ku64(&json, "bytes", report.bytes);
        mw_json_ku64(&json, "last_seq", report.last_seq);
        mw_json_kstr(&json, "hash", mw_str_of(report.hash));
        mw_json_ku64(&json, "state_seq", state_seq);
        mw_json_kstr(&json, "state_sha256", mw_str_of(state));
        mw_json_kbool(&json, "unfinished", report.torn);
        json_snapshot(&json, &snapshot);
        if (report.damaged) {
            mw_json_ku64(&json, "segment", report.segment);
            mw_json_ku64(&json, "offset", report.offset);
            mw_json_ku64(&json, "seq", report.seq);
            mw_json_kstr(&json, "what", mw_str_of(report.what));
        }
        mw_json_object_end(&json);
    } else if (rc == MW_OK) {
        mw_buf_printf(&out, "sound: %lu records in %lu frames and %lu segments, ",
                      (unsigned long)report.records, (unsigned long)report.frames,
                      (unsigned long)report.segments);
        mw_put_size(&out, report.bytes);
        mw_buf_printf(
            &out, "\nlast record %lu, hash %s%s", (unsigned long)report.last_seq, report.hash,
            report.torn ? "\nthe last frame is unfinished; the next start puts it aside" : "");
        if (state[0] != '\0')
            mw_buf_printf(&out, "\nreplayed without agents to record %lu, state %s",
                          (unsigned long)state_seq, state);
        put_snapshot(&out, &snapshot);
    }
    if (out.len > 0)
        (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    if (rc == MW_OK && snapshot.usable && !snapshot.agrees)
        rc = MW_FAIL(&err, MW_E_CORRUPT,
                     "the snapshot of record %lu gives another state than the journal: remove "
                     ".millwright/cache, which loses nothing, and report it",
                     (unsigned long)snapshot.seq);
    return rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
}

struct told {
    struct mw_cli *cli;
    struct mw_json *json; /* NULL: as text, at once */
};

static void tell_step(void *context, const char *line)
{
    const struct told *told = context;
    if (told->json != NULL)
        mw_json_str(told->json, mw_str_of(line));
    else
        (void)mw_cli_put_line(mw_str_of(line)); /* what is done is done whoever reads it */
}

/* Said first, whole; then, with --yes, said again step by step and done. */
static enum mw_rc repair(struct mw_cli *cli, const char *journal, bool yes, struct mw_json *json,
                         struct mw_err *err)
{
    struct told told = {cli, cli->json ? json : NULL};
    enum mw_rc rc = mw_journal_repair(journal, options_for(cli), true, tell_step, &told, err);
    if (rc == MW_OK && yes)
        rc = mw_journal_repair(journal, options_for(cli), false, tell_step, &told, err);
    return rc;
}

int mw_cmd_journal_repair(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_journal_report report;
    struct mw_json json;
    struct mw_buf out = mw_heap_buf();
    bool yes = mw_cli_has(cli, "yes");
    if (yes && mw_cli_has(cli, "dry-run"))
        return mw_cli_usage(cli, "--yes or --dry-run, not both");
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_autofree char *journal = journal_of(cli);
    enum mw_rc rc = verify(cli, &report, &err);
    bool damaged = report.damaged;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_json_karray(&json, "steps");
    /* Of a folder that is gone there is nothing to cut: what verify said stands. */
    if (mw_exists(AT_FDCWD, journal) && (rc == MW_OK || rc == MW_E_CORRUPT))
        rc = repair(cli, journal, yes && damaged, &json, &err);
    mw_json_array_end(&json);
    mw_json_kbool(&json, "damaged", damaged);
    mw_json_kbool(&json, "repaired", rc == MW_OK && yes && damaged);
    mw_json_object_end(&json);
    if (cli->json && rc == MW_OK)
        (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    if (rc == MW_OK && damaged && !yes)
        rc = MW_FAIL(&err, MW_E_CORRUPT,
                     "nothing was changed; 'millwright journal repair --yes' does it");
    return rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
}

/* ---- doctor ---- */

struct finding {
    const char *what;
    bool well;
    struct mw_str text, remedy;
};

struct findings {
    struct finding rows[32];
    size_t count;
};

static void add(struct findings *findings, const char *what, bool well, struct mw_str text,
                struct mw_str remedy)
{
    if (findings->count < MW_COUNT(findings->rows))
        findings->rows[findings->count++] = (struct finding){what, well, text, remedy};
}

static void look_programs(struct mw_cli *cli, struct findings *findings)
{
    const struct mw_requirement *items;
    struct mw_err err;
    uint32_t count = 0;
    struct mw_arena *arena = &cli->arena;
    const char *factory = mw_cli_factory(cli);
    if (factory == NULL) {
        add(findings, "factory", false, MW_STR("the factory folder is not beside the program"),
            MW_STR("set MILLWRIGHT_FACTORY"));
        return;
    }
    if (access(mw_arena_format(arena, "%s/workflows", factory).ptr, R_OK) != 0) {
        add(findings, "factory", false, mw_arena_format(arena, "%s holds no definitions", factory),
            MW_STR("set MILLWRIGHT_FACTORY to a factory folder, or to nothing"));
        return;
    }
    add(findings, "factory", true, mw_arena_copy(arena, mw_str_of(factory)), MW_STR_NONE);
    if (mw_requires_probe(cli, factory, "node", &items, &count, &err) != MW_OK) {
        add(findings, "stack", false, mw_arena_copy(arena, mw_str_of(err.text)), MW_STR_NONE);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        add(findings, "program", items[i].met,
            mw_arena_format(
                arena, "%.*s %.*s (at least %.*s)", MW_STR_ARG(items[i].program),
                MW_STR_ARG(items[i].found.len > 0 ? items[i].found : MW_STR("is not there")),
                MW_STR_ARG(items[i].wanted)),
            items[i].met ? MW_STR_NONE : items[i].install);
    struct mw_err definitions;
    if (cli->ports->check_definitions != NULL &&
        cli->ports->check_definitions(factory, cli->workspace, &definitions) != MW_OK)
        add(findings, "definitions", false, mw_arena_copy(arena, mw_str_of(definitions.text)),
            MW_STR("correct the file that is named"));
}

static void note_step(void *context, const char *line)
{
    struct mw_buf *plan = context;
    if (strncmp(line, "would: ", 7) != 0)
        return; /* the finding says the rest */
    mw_buf_put_z(plan, plan->len > 0 ? "; " : "millwright journal repair --yes would ");
    mw_buf_put_z(plan, line + 7);
}

/* What a repair would do, in its own words: nothing is done. */
static struct mw_str repair_plan(struct mw_cli *cli)
{
    struct mw_err err;
    struct mw_buf plan = mw_heap_buf();
    struct mw_str words = MW_STR("millwright journal repair says what a repair would do");
    mw_autofree char *journal = journal_of(cli);
    if (mw_journal_repair(journal, options_for(cli), true, note_step, &plan, &err) == MW_OK &&
        plan.len > 0)
        words = mw_arena_copy(&cli->arena, mw_buf_str(&plan));
    mw_heap_buf_free(&plan);
    return words;
}

static void look_workspace(struct mw_cli *cli, struct findings *findings)
{
    struct mw_journal_report report;
    struct mw_err err;
    struct mw_arena *arena = &cli->arena;
    struct mw_str hello;
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK) {
        add(findings, "workspace", true, MW_STR("none here"),
            MW_STR("millwright gen \"…\" in an empty folder begins one"));
        return;
    }
    add(findings, "workspace", access(cli->workspace, W_OK) == 0,
        mw_arena_copy(arena, mw_str_of(cli->workspace)),
        access(cli->workspace, W_OK) == 0 ? MW_STR_NONE : MW_STR("it cannot be written to"));
    bool running = mw_link_running(cli, &hello);
    add(findings, "host", true, running ? MW_STR("runs") : MW_STR("none runs"), MW_STR_NONE);
    if (verify(cli, &report, &err) == MW_OK)
        add(findings, "journal", true,
            mw_arena_format(arena, "sound, %lu records", (unsigned long)report.records),
            MW_STR_NONE);
    else
        add(findings, "journal", false, mw_arena_copy(arena, mw_str_of(err.text)),
            repair_plan(cli));
}

/* P08: the host refuses new work; what is here is whole and can be read. */
static void look_read_only(struct mw_cli *cli, struct findings *findings)
{
    uint64_t stuck = cli->workspace != NULL && cli->ports->read_only_for != NULL
                         ? cli->ports->read_only_for(cli->workspace)
                         : 0;
    if (stuck == 0)
        return;
    add(findings, "journal", false,
        mw_arena_format(&cli->arena,
                        "record %lu ended the host three times while it was replayed, so the host "
                        "is read-only: views and the journal can be read, new work is refused",
                        (unsigned long)stuck),
        MW_STR("install a release that can replay it (it is tried by itself), or put back a copy "
               "of the journal; to try once more with this one: remove .millwright/deciding"));
}

static void put_findings(const struct mw_cli *cli, const struct findings *findings,
                         struct mw_buf *out)
{
    struct mw_json json;
    bool color = mw_color_wanted(STDOUT_FILENO);
    mw_json_init(&json, out);
    if (cli->json) {
        mw_json_object(&json);
        mw_json_karray(&json, "findings");
    }
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *row = &findings->rows[i];
        if (cli->json) {
            mw_json_object(&json);
            mw_json_kstr(&json, "what", mw_str_of(row->what));
            mw_json_kbool(&json, "well", row->well);
            mw_json_kstr(&json, "text", row->text);
            if (row->remedy.len > 0)
                mw_json_kstr(&json, "remedy", row->remedy);
            mw_json_object_end(&json);
            continue;
        }
        mw_buf_printf(out, "%s%s%s %s: ", mw_color(color, row->well ? MW_GREEN : MW_RED),
                      row->well ? "✓" : "✗", mw_color(color, MW_PLAIN), row->what);
        mw_put_safe(out, row->text);
        mw_buf_put_c(out, '\n');
        if (row->remedy.len > 0)
            mw_buf_printf(out, "    → %.*s\n", MW_STR_ARG(row->remedy));
    }
    if (cli->json) {
        mw_json_array_end(&json);
        mw_json_object_end(&json);
    }
}

int mw_cmd_doctor(struct mw_cli *cli)
{
    struct findings findings = {.count = 0};
    struct mw_buf out = mw_heap_buf();
    bool damaged = false, missing = false;
    look_workspace(cli, &findings);
    look_read_only(cli, &findings);
    look_programs(cli, &findings);
    for (size_t i = 0; i < findings.count; i++) {
        damaged =
            damaged || (!findings.rows[i].well && strcmp(findings.rows[i].what, "journal") == 0);
        missing = missing || !findings.rows[i].well;
    }
    put_findings(cli, &findings, &out);
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    return mw_rc_exit_code(damaged ? MW_E_CORRUPT : missing ? MW_E_MISSING : MW_OK);
}
