#include "cli/command.h"

#include "cli/link.h"
#include "cli/post.h"
#include "cli/read.h"
#include "posix/heap.h"

/* dlq replay: payload and inputs go back as the record has them; the core holds them against the hashes that it kept. */

static int post_letter(struct mw_cli *cli, const struct mw_tape *tape)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_err err = {0};
    uint32_t letter = mw_node_get(tape, 0, "letter");
    uint32_t payload = mw_node_get(tape, 0, "payload");
    uint32_t inputs = mw_node_get(tape, 0, "inputs");
    mw_post_begin(&post, "ReplayTask");
    mw_json_kstr(&post.json, "item", mw_node_get_text(tape, letter, "task"));
    mw_json_kstr(&post.json, "source", MW_STR("cli"));
    if (mw_node_type(tape, payload) == MW_NODE_OBJECT)
        mw_json_kraw(&post.json, "payload", tape->nodes[payload].text);
    if (inputs != MW_NODE_NONE && mw_node_type(tape, inputs) != MW_NODE_NULL)
        mw_json_kraw(&post.json, "inputs", tape->nodes[inputs].text);
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    struct mw_str words = mw_arena_format(
        &cli->arena, "put back; it is tried again in trace %.*s. next: millwright trace show %.*s",
        MW_STR_ARG(posted.trace_id), MW_STR_ARG(posted.trace_id));
    return mw_post_say(cli, "ReplayTask", &posted, words.ptr);
}

int mw_cmd_dlq_replay(struct mw_cli *cli)
{
    struct mw_cli_arg args[MW_CLI_VIEW_ARGS_MAX];
    struct mw_tape tape;
    struct mw_err err = {0};
    uint32_t count = mw_read_args(cli, args);
    if (mw_link_view_tape(cli, "letter", args, count, &tape, &err) != MW_OK)
        return mw_read_refused(cli, &err);
    return post_letter(cli, &tape);
}
