#include "cli/command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/link.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/*
 * Removes what nothing needs any more: bundles of builds that were not accepted, kept work folders, caches. Never the journal, data, or a
 * current, draft or promoted version. What is refused while something runs is refused whole.
 */

struct sweep {
    struct mw_cli *cli; /* borrowed */
    bool dry_run;
    uint64_t removed;
    struct mw_json json;
    struct mw_buf out; /* owned */
};

static bool removable(struct mw_str state)
{
    return mw_str_is(state, "archived") || mw_str_is(state, "failed") ||
           mw_str_is(state, "cancelled") || mw_str_is(state, "stale");
}

static enum mw_rc drop(struct sweep *sweep, const char *path, struct mw_err *err)
{
    mw_autofree char *whole = mw_heap_format("%s/%s", sweep->cli->workspace, path);
    if (!mw_exists(AT_FDCWD, whole))
        return MW_OK;
    enum mw_rc rc = sweep->dry_run ? MW_OK : mw_remove_tree(AT_FDCWD, whole, err);
    /* Another clean was faster somewhere in it: each further look finds less. */
    while (rc != MW_OK && err->sys_errno == ENOENT)
        rc = mw_remove_tree(AT_FDCWD, whole, err);
    if (rc != MW_OK)
        return rc;
    sweep->removed++;
    if (sweep->cli->json)
        mw_json_str(&sweep->json, mw_str_of(path));
    else
        mw_buf_printf(&sweep->out, "%s %s\n", sweep->dry_run ? "would remove" : "removed", path);
    return MW_OK;
}

/* Newest first in the view or not: the last `keep` of the list stay, which are the newest. */
static enum mw_rc sweep_bundles(struct sweep *sweep, const struct mw_tape *tape, uint64_t keep,
                                struct mw_err *err)
{
    uint32_t rows = mw_node_get(tape, 0, "builds");
    enum mw_rc rc = MW_OK;
    uint64_t count = 0, seen = 0;
    if (mw_node_type(tape, rows) != MW_NODE_ARRAY)
        return MW_OK;
    for (uint32_t i = mw_node_first(tape, rows); i != MW_NODE_NONE;
         i = mw_node_after(tape, rows, i))
        count += removable(mw_node_get_text(tape, i, "status"));
    for (uint32_t i = mw_node_first(tape, rows); i != MW_NODE_NONE && rc == MW_OK;
         i = mw_node_after(tape, rows, i)) {
        struct mw_str build = mw_node_get_text(tape, i, "build_id");
        struct mw_str app = mw_node_get_text(tape, i, "app_id");
        if (!removable(mw_node_get_text(tape, i, "status")) || count - seen++ <= keep)
            continue;
        if (mw_node_bool(tape, mw_node_get(tape, i, "promoted"), false) ||
            !mw_path_is_plain(build) || !mw_path_is_plain(app))
            continue;
        mw_autofree char *bundle =
            mw_heap_format("generated/apps/%.*s/%.*s", MW_STR_ARG(app), MW_STR_ARG(build));
        mw_autofree char *repository = mw_heap_format(".millwright/repos/%.*s", MW_STR_ARG(build));
        rc = drop(sweep, bundle, err);
        if (rc == MW_OK)
            rc = drop(sweep, repository, err);
    }
    return rc;
}

/* Except what a host may have open: it would go on writing where nobody reads. */
static enum mw_rc sweep_folder(struct sweep *sweep, const char *folder, const char *except,
                               struct mw_err *err)
{
    mw_autofree char *whole = mw_heap_format("%s/%s", sweep->cli->workspace, folder);
    DIR *dir = opendir(whole);
    enum mw_rc rc = MW_OK;
    for (const struct dirent *entry = dir != NULL ? readdir(dir) : NULL;
         entry != NULL && rc == MW_OK; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strcmp(entry->d_name, except) == 0)
            continue;
        mw_autofree char *path = mw_heap_format("%s/%s", folder, entry->d_name);
        rc = drop(sweep, path, err);
    }
    if (dir != NULL)
        (void)closedir(dir); /* it was only read */
    return rc;
}

/* A draft's trace stays open until it is promoted or rejected: only one that is being made counts. */
static bool is_building(struct mw_cli *cli, struct mw_str build)
{
    struct mw_tape tape;
    if (mw_link_view_tape(cli, "builds", NULL, 0, &tape, NULL) != MW_OK)
        return true;
    uint32_t rows = mw_node_get(&tape, 0, "builds");
    for (uint32_t i = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_first(&tape, rows)
                                                                 : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(&tape, rows, i))
        if (mw_str_eq(mw_node_get_text(&tape, i, "build_id"), build))
            return mw_str_is(mw_node_get_text(&tape, i, "status"), "building");
    return true;
}

/* Work folders and caches are in use while anything runs. */
static enum mw_rc refuse_busy(struct mw_cli *cli, struct mw_err *err)
{
    struct mw_tape tape;
    enum mw_rc rc = mw_link_view_tape(cli, "traces", NULL, 0, &tape, err);
    if (rc != MW_OK)
        return rc;
    uint32_t rows = mw_node_get(&tape, 0, "traces");
    for (uint32_t i = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_first(&tape, rows)
                                                                 : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(&tape, rows, i)) {
        struct mw_str state = mw_node_get_text(&tape, i, "state");
        struct mw_str build = mw_node_get_text(&tape, i, "build_id");
        bool busy =
            mw_str_is(state, "open") || mw_str_is(state, "waiting") || mw_str_is(state, "paused");
        if (busy && (build.len == 0 || is_building(cli, build)))
            return MW_FAIL(
                err, MW_E_CONFLICT, "%.*s is on its way: clean when it is done",
                MW_STR_ARG(build.len > 0 ? build : mw_node_get_text(&tape, i, "traceId")));
    }
    return MW_OK;
}

int mw_cmd_clean(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_tape tape;
    uint64_t keep = 0;
    const char *word = mw_cli_value(cli, "keep");
    struct sweep sweep = {.cli = cli, .dry_run = mw_cli_has(cli, "dry-run"), .out = mw_heap_buf()};
    if (word != NULL && !mw_str_to_u64(mw_str_of(word), &keep))
        return mw_cli_usage(cli, "--keep is a number");
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err);
    if (rc == MW_OK)
        rc = refuse_busy(cli, &err);
    if (rc == MW_OK)
        rc = mw_link_view_tape(cli, "builds", NULL, 0, &tape, &err);
    mw_json_init(&sweep.json, &sweep.out);
    if (cli->json) {
        mw_json_object(&sweep.json);
        mw_json_kbool(&sweep.json, "dry_run", sweep.dry_run);
        mw_json_karray(&sweep.json, "removed");
    }
    if (rc == MW_OK)
        rc = sweep_bundles(&sweep, &tape, keep, &err);
    if (rc == MW_OK)
        rc = sweep_folder(&sweep, ".millwright/work", "", &err);
    if (rc == MW_OK)
        rc = sweep_folder(&sweep, ".millwright/cache", "leases", &err);
    if (cli->json) {
        mw_json_array_end(&sweep.json);
        mw_json_object_end(&sweep.json);
    } else if (sweep.removed == 0 && rc == MW_OK) {
        mw_buf_put_z(&sweep.out, "nothing to remove");
    }
    if (sweep.out.len > 0)
        (void)mw_cli_put_line(mw_buf_str(&sweep.out)); /* the exit code says it too */
    mw_heap_buf_free(&sweep.out);
    return rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
}
