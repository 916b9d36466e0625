#include "cli/command.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/link.h"
#include "cli/read.h"
#include "cli/render.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* review, why: views whose arguments or diff need more than cmd_view.c gives. */

#define DIFF_BYTES_MAX ((size_t)4 << 20)

/* The unified diff between what is reviewed and the version before it; empty for a first version. */
static void put_diff(struct mw_cli *cli, const struct mw_tape *view, struct mw_buf *out,
                     bool *ret_cut)
{
    struct mw_err err;
    uint32_t against = mw_node_get(view, mw_node_get(view, 0, "changes"), "against");
    mw_autofree char *before = mw_heap_copy(mw_node_get_text(view, against, "path"));
    mw_autofree char *after =
        mw_heap_copy(mw_node_get_text(view, mw_node_get(view, 0, "build"), "generated_app_dir"));
    *ret_cut = false;
    if (cli->ports->diff_trees == NULL || *before == '\0' || *after == '\0')
        return;
    if (cli->ports->diff_trees(cli->workspace, before, after, DIFF_BYTES_MAX, out, ret_cut, &err) !=
        MW_OK)
        (void)fprintf(stderr, "millwright: no diff: %s\n", err.text);
}

/* The view, and beside it the diff, which only files can give. */
static void compose_review(struct mw_cli *cli, const struct mw_tape *view, struct mw_buf *out)
{
    struct mw_json json;
    struct mw_buf diff = mw_heap_buf();
    bool cut = false;
    put_diff(cli, view, &diff, &cut);
    mw_json_init(&json, out);
    mw_json_object(&json);
    for (uint32_t i = mw_node_first(view, 0); i != MW_NODE_NONE; i = mw_node_after(view, 0, i)) {
        if (mw_str_is(view->nodes[i].text, "diff") || mw_str_is(view->nodes[i].text, "diff_cut"))
            continue;
        mw_json_key(&json, view->nodes[i].text);
        mw_json_node(&json, view, i + 1);
    }
    bool text = mw_utf8_valid(mw_buf_str(&diff), NULL);
    mw_json_kstr(&json, "diff", text ? mw_buf_str(&diff) : MW_STR("the diff is not text"));
    mw_json_kbool(&json, "diff_cut", cut);
    mw_json_object_end(&json);
    mw_heap_buf_free(&diff);
}

int mw_cmd_review(struct mw_cli *cli)
{
    struct mw_cli_arg args[MW_CLI_VIEW_ARGS_MAX];
    struct mw_err err = {0};
    struct mw_tape view;
    uint32_t count = mw_read_args(cli, args);
    if (mw_link_view_tape(cli, "review", args, count, &view, &err) != MW_OK)
        return mw_read_refused(cli, &err);
    struct mw_buf out = mw_heap_buf();
    compose_review(cli, &view, &out);
    int code = mw_read_print(cli, &out);
    bool draft =
        mw_str_is(mw_node_get_text(&view, mw_node_get(&view, 0, "build"), "status"), "draft");
    if (code == 0 && !cli->json && draft)
        (void)mw_cli_put(MW_STR("\nnext: millwright accept · millwright reject --why \"…\" · "
                                "millwright preview\n"));
    mw_heap_buf_free(&out);
    return code;
}

/* "app/services/x/src/main.js:12" as people type it, from wherever they are, becomes a path in the workspace. */
static void split_place(struct mw_cli *cli, const char **ret_file, const char **ret_line)
{
    char resolved[PATH_MAX];
    mw_autofree char *word = mw_heap_copy(mw_str_of(cli->args[0]));
    char *colon = strrchr(word, ':');
    uint64_t line = 0;
    *ret_line = NULL;
    if (colon != NULL && mw_str_to_u64(mw_str_of(colon + 1), &line) && line > 0) {
        *ret_line = mw_arena_copy(&cli->arena, mw_str_of(colon + 1)).ptr;
        *colon = '\0';
    }
    size_t len = strlen(cli->workspace);
    /* The workspace's own spelling first: the words then mean the same from everywhere. */
    mw_autofree char *inside = mw_heap_format("%s/%s", cli->workspace, word);
    const char *file = word;
    if (!mw_exists(AT_FDCWD, inside) && realpath(word, resolved) != NULL &&
        strncmp(resolved, cli->workspace, len) == 0 && resolved[len] == '/')
        file = resolved + len + 1;
    *ret_file = mw_arena_copy(&cli->arena, mw_str_of(file)).ptr;
}

int mw_cmd_why(struct mw_cli *cli)
{
    const char *file, *line;
    struct mw_err err = {0};
    struct mw_buf out = mw_heap_buf();
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err);
    if (rc == MW_OK) {
        split_place(cli, &file, &line);
        struct mw_cli_arg args[] = {{"path", file}, {"line", line}};
        rc = mw_link_view(cli, "why", args, line != NULL ? 2 : 1, &out, &err);
    }
    struct mw_tape tape;
    int code = 0;
    if (rc == MW_OK && !cli->json && !cli->verbose) {
        struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&out));
        rc = mw_json_parse(&cli->arena, text, &tape, &err);
        mw_buf_reset(&out);
        if (rc == MW_OK)
            mw_why_text(&out, &tape, mw_color_wanted(STDOUT_FILENO));
        if (rc == MW_OK)
            (void)mw_cli_put(mw_buf_str(&out)); /* whoever left has seen enough */
    } else if (rc == MW_OK) {
        code = mw_read_print(cli, &out);
    }
    if (rc != MW_OK)
        code = mw_cli_fail(cli, &err);
    mw_heap_buf_free(&out);
    return code;
}
