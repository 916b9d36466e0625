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

int mw_cmd_review(struct mw_cli *cli)
{
    struct mw_cli_arg args[MW_CLI_VIEW_ARGS_MAX];
    struct mw_err err = {0};
    struct mw_buf out = mw_heap_buf();
    uint32_t count = mw_read_args(cli, args);
    enum mw_rc rc = mw_link_view(cli, "review", args, count, &out, &err);
    int code = rc == MW_OK ? mw_read_print(cli, &out) : mw_read_refused(cli, &err);
    if (rc == MW_OK && !cli->json)
        (void)mw_cli_put(MW_STR(
            "\nnext: millwright accept · millwright reject --why \"…\" · millwright preview\n"));
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
