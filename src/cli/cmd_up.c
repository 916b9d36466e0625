#include "cli/command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/app_run.h"
#include "cli/link.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

#define DEPTH_MAX 32

/* up: the promoted app on its data. preview: a staged bundle on a throw-away copy of the data. */

static bool read_port(struct mw_cli *cli, uint16_t *ret_port)
{
    const char *word = mw_cli_value(cli, "port");
    uint64_t port = 0;
    if (word != NULL && (!mw_str_to_u64(mw_str_of(word), &port) || port > 65535))
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* The build that is in app/, for its blueprint; NULL when the journal does not say. */
static const char *promoted_build(struct mw_cli *cli)
{
    struct mw_tape tape;
    if (mw_link_view_tape(cli, "status", NULL, 0, &tape, NULL) != MW_OK)
        return NULL;
    struct mw_str build = mw_node_get_text(&tape, mw_node_get(&tape, 0, "promoted"), "build_id");
    return build.len > 0 ? mw_arena_copy(&cli->arena, build).ptr : NULL;
}

int mw_cmd_up(struct mw_cli *cli)
{
    struct mw_err err = {0};
    uint16_t port = 0;
    struct mw_app *app = mw_arena_alloc(&cli->arena, sizeof(*app));
    if (!read_port(cli, &port))
        return mw_cli_usage(cli, "--port is a number up to 65535");
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    const char *root = mw_arena_format(&cli->arena, "%s/app", cli->workspace).ptr;
    if (mw_app_read(cli, root, app, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    app->data =
        mw_arena_format(&cli->arena, "%s/data/%.*s", cli->workspace, MW_STR_ARG(app->app_id)).ptr;
    app->build = promoted_build(cli);
    if (mw_app_key(app, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_app_run(app, port);
}

/* ---- preview ---- */

static enum mw_rc copy_file(int from_fd, int to_fd, const char *name, mode_t mode, off_t size,
                            struct mw_err *err)
{
    mw_autoclose int from = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    mw_autoclose int to = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0700);
    if (from < 0 || to < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "copy '%s' of the data", name);
    while (size > 0) {
        ssize_t sent = sendfile(to, from, NULL, (size_t)size);
        if (sent < 0)
            return MW_FAIL_SYS(err, MW_E_IO, "copy '%s' of the data", name);
        if (sent == 0)
            break;
        size -= sent;
    }
    return MW_OK;
}

static enum mw_rc copy_folder(int at_from, const char *from, int at_to, const char *to,
                              unsigned depth, struct mw_err *err)
{
    enum mw_rc rc = mw_mkdirs(at_to, to, 0700, err);
    if (rc != MW_OK)
        return rc;
    mw_autoclose int to_fd = openat(at_to, to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int from_fd = openat(at_from, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from_fd < 0 && errno == ENOENT)
        return MW_OK; /* no data yet */
    DIR *dir = from_fd >= 0 ? fdopendir(from_fd) : NULL;
    if (dir == NULL || to_fd < 0 || depth > DEPTH_MAX)
        rc = MW_FAIL_SYS(err, MW_E_IO, "copy the data in '%s'", from);
    for (const struct dirent *entry = rc == MW_OK ? readdir(dir) : NULL;
         entry != NULL && rc == MW_OK; entry = readdir(dir)) {
        struct stat found;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(from_fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(found.st_mode))
            rc = copy_folder(from_fd, entry->d_name, to_fd, entry->d_name, depth + 1, err);
        else if (S_ISREG(found.st_mode))
            rc = copy_file(from_fd, to_fd, entry->d_name, found.st_mode, found.st_size, err);
    }
    if (dir != NULL)
        (void)closedir(dir); /* it was only read */
    else if (from_fd >= 0)
        (void)close(from_fd); /* likewise */
    return rc;
}

/* The bundle to preview: the one named, else the only draft, else the current version. */
static enum mw_rc find_bundle(struct mw_cli *cli, const char **ret_build, const char **ret_path,
                              struct mw_err *err)
{
    struct mw_tape tape;
    struct mw_buf list = mw_heap_buf();
    const char *states[] = {"draft", "current"};
    uint32_t found = MW_NODE_NONE, count = 0;
    enum mw_rc rc = mw_link_view_tape(cli, "status", NULL, 0, &tape, err);
    uint32_t rows = rc == MW_OK ? mw_node_get(&tape, 0, "versions") : MW_NODE_NONE;
    for (size_t pass = 0; rc == MW_OK && count == 0 && pass < MW_COUNT(states); pass++)
        for (uint32_t i = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_first(&tape, rows)
                                                                     : MW_NODE_NONE;
             i != MW_NODE_NONE; i = mw_node_after(&tape, rows, i)) {
            struct mw_str build = mw_node_get_text(&tape, i, "build_id");
            mw_autofree char *version = mw_heap_format(
                "v%ld", (long)mw_node_int(&tape, mw_node_get(&tape, i, "version"), 0));
            bool named = cli->arg_count > 0 &&
                         (mw_str_is(build, cli->args[0]) || strcmp(version, cli->args[0]) == 0 ||
                          strcmp(version + 1, cli->args[0]) == 0);
            if (cli->arg_count > 0 ? !named
                                   : !mw_str_is(mw_node_get_text(&tape, i, "state"), states[pass]))
                continue;
            mw_buf_printf(&list, "%s%.*s", count > 0 ? ", " : "", MW_STR_ARG(build));
            found = i;
            count++;
        }
    if (rc == MW_OK && count == 0)
        rc = cli->arg_count > 0 ? MW_FAIL(err, MW_E_USAGE, "no build '%s'", cli->args[0])
                                : MW_FAIL(err, MW_E_USAGE,
                                          "nothing is staged: millwright gen "
                                          "makes a draft");
    else if (rc == MW_OK && count > 1 && cli->arg_count == 0)
        rc = MW_FAIL(err, MW_E_USAGE, "name one of: %.*s", MW_STR_ARG(mw_buf_str(&list)));
    if (rc == MW_OK) {
        struct mw_str path = mw_node_get_text(&tape, found, "staged");
        *ret_build = mw_arena_copy(&cli->arena, mw_node_get_text(&tape, found, "build_id")).ptr;
        *ret_path = mw_arena_format(&cli->arena, "%s/%.*s", cli->workspace, MW_STR_ARG(path)).ptr;
    }
    mw_heap_buf_free(&list);
    return rc;
}

int mw_cmd_preview(struct mw_cli *cli)
{
    struct mw_err err = {0};
    uint16_t port = 0;
    const char *build = NULL, *path = NULL;
    struct mw_app *app = mw_arena_alloc(&cli->arena, sizeof(*app));
    if (!read_port(cli, &port))
        return mw_cli_usage(cli, "--port is a number up to 65535");
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK ||
        find_bundle(cli, &build, &path, &err) != MW_OK ||
        mw_app_read(cli, path, app, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_autofree char *cache = mw_heap_format("%s/.millwright/cache", cli->workspace);
    mw_autofree char *copy = mw_heap_format("%s/preview-XXXXXX", cache);
    mw_autofree char *data =
        mw_heap_format("%s/data/%.*s", cli->workspace, MW_STR_ARG(app->app_id));
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, cache, 0700, &err);
    if (rc == MW_OK && mkdtemp(copy) == NULL)
        rc = MW_FAIL_SYS(&err, MW_E_IO, "make a folder in '%s'", cache);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    app->data = copy;
    app->build = build;
    rc = copy_folder(AT_FDCWD, data, AT_FDCWD, copy, 0, &err);
    if (rc == MW_OK)
        rc = mw_app_key(app, &err);
    int code = rc == MW_OK ? mw_app_run(app, port) : mw_cli_fail(cli, &err);
    if (mw_remove_tree(AT_FDCWD, copy, &err) != MW_OK)
        (void)fprintf(stderr, "millwright: the copy of the data stays in %s: %s\n", copy, err.text);
    return code;
}
