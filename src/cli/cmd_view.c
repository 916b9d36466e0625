#include "cli/command.h"

#include <string.h>
#include <unistd.h>

#include "cli/link.h"
#include "cli/read.h"
#include "cli/render.h"
#include "posix/heap.h"

/* Every verb that only reads one view: the word given, and the command's own options, are the view's arguments. */

int mw_read_print(struct mw_cli *cli, const struct mw_buf *json)
{
    struct mw_tape tape;
    struct mw_err err = {0};
    struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(json));
    if (cli->json) {
        (void)mw_cli_put_line(text); /* whoever left has seen enough */
        return 0;
    }
    if (mw_json_parse(&cli->arena, text, &tape, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    struct mw_buf out = mw_heap_buf();
    mw_render(&out, &tape, 0, mw_color_wanted(STDOUT_FILENO), cli->verbose);
    (void)mw_cli_put(mw_buf_str(&out)); /* whoever left has seen enough */
    mw_heap_buf_free(&out);
    return 0;
}

int mw_read_refused(struct mw_cli *cli, const struct mw_err *err)
{
    const char *list = cli->command->candidates;
    int code = mw_cli_fail(cli, err);
    struct mw_buf out = mw_heap_buf();
    struct mw_tape tape;
    if (err->rc == MW_E_USAGE && list != NULL && cli->workspace != NULL &&
        mw_link_view_tape(cli, list, NULL, 0, &tape, NULL) == MW_OK) {
        /* What it could have been: all of it, ids too. */
        mw_render(&out, &tape, 0, mw_color_wanted(STDERR_FILENO), true);
        (void)fwrite(out.ptr, 1, out.len, stderr);
    }
    mw_heap_buf_free(&out);
    return code;
}

uint32_t mw_read_args(const struct mw_cli *cli, struct mw_cli_arg args[MW_CLI_VIEW_ARGS_MAX])
{
    const struct mw_command *command = cli->command;
    uint32_t count = 0;
    if (cli->arg_count > 0 && command->target_key != NULL)
        args[count++] = (struct mw_cli_arg){command->target_key, cli->args[0]};
    for (size_t i = 0; command->options != NULL && command->options[i].name != NULL; i++)
        if (cli->values[i] != NULL && count < MW_CLI_VIEW_ARGS_MAX)
            args[count++] = (struct mw_cli_arg){command->options[i].name,
                                                command->options[i].value ? cli->values[i] : "1"};
    return count;
}

int mw_cmd_view(struct mw_cli *cli)
{
    struct mw_cli_arg args[MW_CLI_VIEW_ARGS_MAX];
    struct mw_err err = {0};
    struct mw_buf out = mw_heap_buf();
    uint32_t count = mw_read_args(cli, args);
    enum mw_rc rc = mw_link_view(cli, cli->command->target, args, count, &out, &err);
    int code = rc == MW_OK ? mw_read_print(cli, &out) : mw_read_refused(cli, &err);
    mw_heap_buf_free(&out);
    return code;
}
