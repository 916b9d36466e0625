#include "cli/command.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/link.h"
#include "cli/render.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

#define DEPTH_MAX 64

/* What exists (scaffold, staged, promoted), what runs, what waits, how large it is. */

/* Bytes of the regular files under a folder; links are not followed. */
static uint64_t size_under(int at_fd, const char *name, unsigned depth)
{
    uint64_t total = 0;
    int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL || depth > DEPTH_MAX) {
        if (dir != NULL)
            (void)closedir(dir); /* it was only read */
        else if (fd >= 0)
            (void)close(fd); /* likewise */
        return 0;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct stat found;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(dir), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(found.st_mode))
            total += (uint64_t)found.st_size;
        else if (S_ISDIR(found.st_mode))
            total += size_under(dirfd(dir), entry->d_name, depth + 1);
    }
    (void)closedir(dir); /* it was only read */
    return total;
}

static const struct {
    const char *name, *folder;
} sized[] = {{"app", "app"},
             {"data", "data"},
             {"staged", "generated"},
             {"journal", ".millwright/journal"},
             {"blobs", ".millwright/blobs"},
             {"work", ".millwright/work"},
             {"cache", ".millwright/cache"}};

static void put_sizes(struct mw_cli *cli, struct mw_json *json)
{
    mw_autoclose int root = open(cli->workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_json_kobject(json, "sizes");
    for (size_t i = 0; i < MW_COUNT(sized); i++)
        mw_json_ku64(json, sized[i].name, root >= 0 ? size_under(root, sized[i].folder, 0) : 0);
    mw_json_object_end(json);
}

static void put_host(struct mw_cli *cli, struct mw_json *json)
{
    struct mw_str text;
    struct mw_tape hello;
    static const char *const keys[] = {"pid", "version", "since"};
    if (!mw_link_running(cli, &text) || mw_json_parse(&cli->arena, text, &hello, NULL) != MW_OK) {
        mw_json_kraw(json, "host", MW_STR("null"));
        return;
    }
    mw_json_kobject(json, "host");
    for (size_t i = 0; i < MW_COUNT(keys); i++)
        mw_json_knode(json, keys[i], &hello, mw_node_get(&hello, 0, keys[i]));
    mw_json_object_end(json);
}

static void put_exists(struct mw_cli *cli, const struct mw_tape *view, struct mw_json *json)
{
    mw_autofree char *app = mw_heap_format("%s/app/app.json", cli->workspace);
    uint32_t versions = mw_node_get(view, 0, "versions");
    uint32_t promoted = mw_node_get(view, 0, "promoted");
    bool is_promoted = mw_node_type(view, promoted) == MW_NODE_OBJECT;
    bool has_app = mw_exists(AT_FDCWD, app);
    mw_json_kobject(json, "exists");
    mw_json_kbool(json, "scaffold", has_app && !is_promoted);
    mw_json_kbool(json, "staged",
                  mw_node_type(view, versions) == MW_NODE_ARRAY &&
                      mw_node_count(view, versions) > 0);
    mw_json_kbool(json, "promoted", has_app && is_promoted);
    mw_json_object_end(json);
}

static void compose(struct mw_cli *cli, const struct mw_tape *view, struct mw_buf *out)
{
    struct mw_json json;
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_kstr(&json, "workspace", mw_str_of(cli->workspace));
    put_host(cli, &json);
    put_exists(cli, view, &json);
    for (uint32_t i = mw_node_first(view, 0); i != MW_NODE_NONE; i = mw_node_after(view, 0, i)) {
        struct mw_str key = view->nodes[i].text;
        if (mw_str_is(key, "host") || mw_str_is(key, "workspace") || mw_str_is(key, "sizes") ||
            mw_str_is(key, "exists"))
            continue;
        mw_json_key(&json, key);
        mw_json_node(&json, view, i + 1);
    }
    put_sizes(cli, &json);
    mw_json_object_end(&json);
}

/* ---- as text ---- */

static void say_versions(struct mw_buf *out, const struct mw_tape *tape, bool color)
{
    uint32_t rows = mw_node_get(tape, 0, "versions");
    for (uint32_t i = mw_node_type(tape, rows) == MW_NODE_ARRAY ? mw_node_first(tape, rows)
                                                                : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(tape, rows, i)) {
        struct mw_str state = mw_node_get_text(tape, i, "state");
        mw_buf_printf(out, "  version %ld  %s%.*s%s",
                      (long)mw_node_int(tape, mw_node_get(tape, i, "version"), 0),
                      mw_color(color, mw_str_is(state, "current") ? MW_GREEN
                                      : mw_str_is(state, "draft") ? MW_YELLOW
                                                                  : MW_DIM),
                      MW_STR_ARG(state), mw_color(color, MW_PLAIN));
        mw_buf_printf(out, "  build %.*s  %ld files, ",
                      MW_STR_ARG(mw_node_get_text(tape, i, "build_id")),
                      (long)mw_node_int(tape, mw_node_get(tape, i, "files"), 0));
        mw_put_size(out, (uint64_t)mw_node_int(tape, mw_node_get(tape, i, "bytes"), 0));
        mw_buf_put_z(out, "\n");
    }
}

static bool is_running(struct mw_str state)
{
    return mw_str_is(state, "running") || mw_str_is(state, "building");
}

static void say_running(struct mw_buf *out, const struct mw_tape *tape)
{
    uint32_t rows = mw_node_get(tape, 0, "builds");
    for (uint32_t i = mw_node_type(tape, rows) == MW_NODE_ARRAY ? mw_node_first(tape, rows)
                                                                : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(tape, rows, i)) {
        struct mw_str state = mw_node_get_text(tape, i, "state");
        struct mw_str reason = mw_node_get_text(tape, i, "reason");
        if (is_running(state))
            mw_buf_printf(out, "building   %.*s, %.*s\n",
                          MW_STR_ARG(mw_node_get_text(tape, i, "build_id")),
                          MW_STR_ARG(mw_node_get_text(tape, i, "workflow")));
        if (mw_str_is(state, "failed")) {
            mw_buf_printf(out,
                          "failed     %.*s: ", MW_STR_ARG(mw_node_get_text(tape, i, "build_id")));
            mw_put_cut(out, reason, 200);
            mw_buf_put_c(out, '\n');
        }
    }
}

static void say_items(struct mw_buf *out, const struct mw_tape *tape, bool color)
{
    uint32_t rows = mw_node_get(tape, 0, "items");
    for (uint32_t i = mw_node_type(tape, rows) == MW_NODE_ARRAY ? mw_node_first(tape, rows)
                                                                : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(tape, rows, i)) {
        struct mw_str id = mw_node_get_text(tape, i, "item");
        struct mw_str question = mw_node_get_text(tape, i, "question");
        bool asks = mw_str_is(mw_node_get_text(tape, i, "kind"), "question");
        mw_buf_printf(out, "%swaits%s      %.*s  ", mw_color(color, MW_YELLOW),
                      mw_color(color, MW_PLAIN), MW_STR_ARG(id));
        mw_put_cut(out, question.len > 0 ? question : mw_node_get_text(tape, i, "task"), 200);
        mw_buf_printf(out, "\n           → millwright %s %.*s%s\n", asks ? "answer" : "approve",
                      MW_STR_ARG(id), asks ? " \"…\"" : "");
    }
}

static void say_host(struct mw_buf *out, const struct mw_tape *tape)
{
    uint32_t host = mw_node_get(tape, 0, "host");
    if (mw_node_type(tape, host) == MW_NODE_OBJECT)
        mw_buf_printf(out, "host       process %ld, version %.*s, since %.*s\n",
                      (long)mw_node_int(tape, mw_node_get(tape, host, "pid"), 0),
                      MW_STR_ARG(mw_node_get_text(tape, host, "version")),
                      MW_STR_ARG(mw_node_get_text(tape, host, "since")));
    else
        mw_buf_put_z(out,
                     "host       none runs; the next command that needs one starts it, nothing "
                     "else does\n");
}

static void say_sizes(struct mw_buf *out, const struct mw_tape *tape)
{
    uint32_t sizes = mw_node_get(tape, 0, "sizes");
    bool any = false;
    mw_buf_put_z(out, "sizes      ");
    for (uint32_t i = mw_node_first(tape, sizes); i != MW_NODE_NONE;
         i = mw_node_after(tape, sizes, i)) {
        int64_t bytes = mw_node_int(tape, i + 1, 0);
        if (bytes <= 0)
            continue;
        mw_buf_printf(out, "%s%.*s ", any ? " · " : "", MW_STR_ARG(tape->nodes[i].text));
        mw_put_size(out, (uint64_t)bytes);
        any = true;
    }
    mw_buf_put_z(out, any ? "\n" : "nothing yet\n");
}

static void say(struct mw_buf *out, const struct mw_tape *tape, bool color)
{
    uint32_t app = mw_node_get(tape, 0, "app"), exists = mw_node_get(tape, 0, "exists");
    uint32_t promoted = mw_node_get(tape, 0, "promoted");
    mw_buf_printf(out, "workspace  %.*s\n", MW_STR_ARG(mw_node_get_text(tape, 0, "workspace")));
    say_host(out, tape);
    mw_buf_put_z(out, "app        ");
    if (mw_node_type(tape, app) == MW_NODE_OBJECT) {
        mw_buf_put_z(out, mw_color(color, MW_BOLD));
        mw_put_safe(out, mw_node_get_text(tape, app, "name"));
        mw_buf_printf(out, "%s (%.*s)\n", mw_color(color, MW_PLAIN),
                      MW_STR_ARG(mw_node_get_text(tape, app, "app_id")));
    } else {
        mw_buf_put_z(out, "no build yet: millwright gen \"…\"\n");
    }
    bool scaffold = mw_node_bool(tape, mw_node_get(tape, exists, "scaffold"), false);
    bool staged = mw_node_bool(tape, mw_node_get(tape, exists, "staged"), false);
    if (mw_node_type(tape, promoted) == MW_NODE_OBJECT)
        mw_buf_printf(out, "app root   version %ld is promoted, %.*s\n",
                      (long)mw_node_int(tape, mw_node_get(tape, promoted, "version"), 0),
                      MW_STR_ARG(mw_node_get_text(tape, promoted, "at")));
    else
        mw_buf_printf(out, "app root   %s\n",
                      scaffold ? "the scaffold; nothing is promoted" : "none; nothing is promoted");
    mw_buf_put_z(out, staged ? "staged\n" : "staged     nothing\n");
    say_versions(out, tape, color);
    say_running(out, tape);
    say_items(out, tape, color);
    say_sizes(out, tape);
}

int mw_cmd_status(struct mw_cli *cli)
{
    struct mw_tape view, whole;
    struct mw_err err = {0};
    struct mw_buf json = mw_heap_buf();
    int code = 0;
    if (mw_link_view_tape(cli, "status", NULL, 0, &view, &err) != MW_OK) {
        mw_heap_buf_free(&json);
        return mw_cli_fail(cli, &err);
    }
    compose(cli, &view, &json);
    struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&json));
    mw_buf_reset(&json);
    if (cli->json) {
        (void)mw_cli_put_line(text); /* whoever left has seen enough */
    } else if (mw_json_parse(&cli->arena, text, &whole, &err) != MW_OK) {
        code = mw_cli_fail(cli, &err);
    } else {
        say(&json, &whole, mw_color_wanted(STDOUT_FILENO));
        (void)mw_cli_put(mw_buf_str(&json)); /* whoever left has seen enough */
    }
    mw_heap_buf_free(&json);
    return code;
}
