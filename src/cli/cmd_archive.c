#include "cli/command.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "cli/workspace.h"
#include "journal/archive.h"
#include "posix/heap.h"

/* journal archive DIR: sealed segments copied, or with --check read again. The rules are in journal/archive.h; here are words and paths. */

struct report {
    struct mw_cli *cli;
    struct mw_json json;
    struct mw_buf out; /* owned */
};

/* ---- where ---- */

/* The folder's path without links and dots, also of one that is not there yet; empty when its parent is not there either. */
static void resolve(const char *dir, char ret_path[PATH_MAX])
{
    size_t len = strlen(dir);
    if (realpath(dir, ret_path) != NULL)
        return;
    while (len > 1 && dir[len - 1] == '/')
        len--;
    size_t name = len;
    while (name > 0 && dir[name - 1] != '/')
        name--;
    mw_autofree char *parent =
        name == 0 ? mw_heap_copy(MW_STR(".")) : mw_heap_copy((struct mw_str){dir, name});
    char found[PATH_MAX];
    int fits = realpath(parent, found) != NULL
                   ? snprintf(ret_path, PATH_MAX, "%s/%.*s", found, (int)(len - name), dir + name)
                   : -1;
    if (fits < 0 || fits >= PATH_MAX)
        ret_path[0] = '\0';
}

/* Is path the workspace's folder of that name, or in it? */
static bool is_in(const struct mw_cli *cli, const char *name, const char *path)
{
    char folder[PATH_MAX];
    mw_autofree char *whole = mw_heap_format("%s/%s", cli->workspace, name);
    if (realpath(whole, folder) == NULL)
        return false;
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static enum mw_rc refuse_inside(const struct mw_cli *cli, const char *dir, struct mw_err *err)
{
    static const char *const ours[] = {".millwright", ".millwright/journal", "app"};
    char path[PATH_MAX];
    resolve(dir, path);
    for (size_t i = 0; i < MW_COUNT(ours); i++)
        if (path[0] != '\0' && is_in(cli, ours[i], path))
            return MW_FAIL(err, MW_E_USAGE,
                           "'%s' is inside the workspace's %s: an archive needs a folder of its "
                           "own, best on another disk",
                           dir, ours[i]);
    return MW_OK;
}

/* ---- storing ---- */

static void put_segment(void *context, const struct mw_manifest_segment *segment)
{
    struct report *report = context;
    char name[MW_ARCHIVE_NAME_BYTES];
    mw_archive_name(segment, name);
    if (report->cli->json) {
        mw_json_object(&report->json);
        mw_json_kstr(&report->json, "name", mw_str_of(name));
        mw_json_ku64(&report->json, "first", segment->first);
        mw_json_ku64(&report->json, "last", segment->last);
        mw_json_ku64(&report->json, "frames", segment->frames);
        mw_json_ku64(&report->json, "bytes", segment->bytes);
        mw_json_ku64(&report->json, "stored", segment->stored);
        mw_json_object_end(&report->json);
        return;
    }
    mw_buf_printf(&report->out, "%s  %lu to %lu  %lu frames  ", name, (unsigned long)segment->first,
                  (unsigned long)segment->last, (unsigned long)segment->frames);
    mw_put_size(&report->out, segment->bytes);
    if (segment->gzip) {
        mw_buf_put_z(&report->out, ", packed ");
        mw_put_size(&report->out, segment->stored);
    }
    /* At once: the next one may take a while, or fail. */
    (void)mw_cli_put_line(mw_buf_str(&report->out)); /* the exit code says it too */
    mw_buf_reset(&report->out);
}

static void put_summary(struct report *report, const char *dir, const struct mw_manifest *manifest)
{
    uint64_t bytes = 0, stored = 0;
    uint64_t last = manifest->count > 0 ? manifest->segments[manifest->count - 1].last : 0;
    for (size_t i = 0; i < manifest->count; i++) {
        bytes += manifest->segments[i].bytes;
        stored += manifest->segments[i].stored;
    }
    if (report->cli->json) {
        mw_json_kstr(&report->json, "archive", mw_str_of(dir));
        mw_json_kstr(&report->json, "journal", mw_str_of(manifest->journal));
        mw_json_ku64(&report->json, "segments", manifest->count);
        mw_json_ku64(&report->json, "last", last);
        mw_json_ku64(&report->json, "bytes", bytes);
        mw_json_ku64(&report->json, "stored", stored);
        return;
    }
    if (manifest->count == 0) {
        mw_buf_printf(&report->out,
                      "%s: no segment is sealed yet, the journal has only its open one", dir);
        return;
    }
    mw_buf_printf(&report->out, "%s: %zu segment%s, records 1 to %lu, ", dir, manifest->count,
                  manifest->count == 1 ? "" : "s", (unsigned long)last);
    mw_put_size(&report->out, stored);
}

static int store(struct report *report, const char *dir, const char *journal,
                 const struct mw_journal_options *options)
{
    struct mw_cli *cli = report->cli;
    struct mw_manifest manifest = {.count = 0};
    struct mw_err err = {0};
    bool sealed = false;
    enum mw_rc rc = refuse_inside(cli, dir, &err);
    if (rc == MW_OK && mw_cli_has(cli, "seal"))
        rc = mw_archive_seal(journal, options, &sealed, &err);
    if (rc == MW_E_CONFLICT) {
        struct mw_err held = err;
        (void)MW_FAIL(&err, rc,
                      "%.200s, and its last segment is sealed without one: `millwright serve "
                      "--stop` first, or leave out --seal",
                      held.text);
    }
    if (cli->json) {
        mw_json_object(&report->json);
        mw_json_karray(&report->json, "added");
    }
    if (rc == MW_OK)
        rc = mw_archive_add(journal, dir, options, mw_cli_has(cli, "compress"), put_segment, report,
                            &manifest, &err);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    if (cli->json)
        mw_json_array_end(&report->json);
    put_summary(report, dir, &manifest);
    if (cli->json)
        mw_json_object_end(&report->json);
    else if (manifest.count > 0 && !mw_cli_has(cli, "seal"))
        mw_buf_put_z(&report->out, "; the open segment is not in it");
    mw_manifest_free(&manifest);
    (void)mw_cli_put_line(mw_buf_str(&report->out)); /* the exit code says it too */
    return 0;
}

/* ---- checking ---- */

static void put_damage(void *context, const struct mw_archive_damage *damage)
{
    struct report *report = context;
    if (!report->cli->json) {
        mw_buf_printf(&report->out, "%s %s at byte %lu, record %lu: %s\n",
                      damage->in_journal ? "the journal's" : "damaged:", damage->file,
                      (unsigned long)damage->offset, (unsigned long)damage->seq, damage->what);
        return;
    }
    mw_json_object(&report->json);
    mw_json_kstr(&report->json, "where",
                 damage->in_journal ? MW_STR("journal") : MW_STR("archive"));
    mw_json_kstr(&report->json, "file", mw_str_of(damage->file));
    mw_json_ku64(&report->json, "offset", damage->offset);
    mw_json_ku64(&report->json, "seq", damage->seq);
    mw_json_kstr(&report->json, "what", mw_str_of(damage->what));
    mw_json_object_end(&report->json);
}

/* journal: NULL when there is none to compare with. */
static int check(struct report *report, const char *dir, const char *journal,
                 const struct mw_journal_options *options)
{
    struct mw_cli *cli = report->cli;
    struct mw_manifest manifest = {.count = 0};
    struct mw_err err = {0};
    if (cli->json) {
        mw_json_object(&report->json);
        mw_json_karray(&report->json, "damage");
    }
    enum mw_rc rc = mw_archive_check(dir, journal, options, put_damage, report, &manifest, &err);
    bool told = rc == MW_OK || manifest.journal[0] != '\0'; /* else nothing was looked at */
    if (cli->json)
        mw_json_array_end(&report->json);
    if (told)
        put_summary(report, dir, &manifest);
    if (cli->json) {
        mw_json_kbool(&report->json, "sound", rc == MW_OK);
        mw_json_kbool(&report->json, "compared", journal != NULL);
        mw_json_object_end(&report->json);
    } else if (told) {
        mw_buf_put_z(&report->out, rc != MW_OK       ? "; damaged"
                                   : journal != NULL ? "; sound, and the journal's own"
                                                     : "; sound");
    }
    if (told)
        (void)mw_cli_put_line(mw_buf_str(&report->out)); /* the exit code says it too */
    mw_manifest_free(&manifest);
    return rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
}

int mw_cmd_journal_archive(struct mw_cli *cli)
{
    struct report report = {.cli = cli, .out = mw_heap_buf()};
    struct mw_err err = {0};
    bool checks = mw_cli_has(cli, "check");
    if (checks && (mw_cli_has(cli, "compress") || mw_cli_has(cli, "seal")))
        return mw_cli_usage(cli, "--check stores nothing: give it alone");
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err);
    if (rc != MW_OK && (!checks || cli->workspace_flag != NULL))
        return mw_cli_fail(cli, &err);
    mw_autofree char *side = rc == MW_OK ? mw_heap_format("%s/.millwright", cli->workspace) : NULL;
    mw_autofree char *journal = rc == MW_OK ? mw_heap_format("%s/journal", side) : NULL;
    const struct mw_journal_options options = {.side_dir = side};
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is told like a full disk */
    mw_json_init(&report.json, &report.out);
    int code;
    if (checks)
        code = check(&report, cli->args[0],
                     journal != NULL && access(journal, F_OK) == 0 ? journal : NULL, &options);
    else
        code = store(&report, cli->args[0], journal, &options);
    mw_heap_buf_free(&report.out);
    return code;
}
