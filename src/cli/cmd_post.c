#include "cli/command.h"

#include <string.h>

#include "cli/link.h"
#include "cli/post.h"
#include "cli/render.h"
#include "posix/heap.h"

/* Every verb that posts one request with a word and options, and says that it is recorded. */

int mw_post_say(struct mw_cli *cli, const char *request, const struct mw_posted *posted,
                const char *words)
{
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kbool(&json, "ok", true);
        mw_json_kstr(&json, "request", mw_str_of(request));
        mw_json_ki64(&json, "first", posted->first);
        mw_json_ki64(&json, "last", posted->last);
        mw_json_kstr(&json, "traceId", posted->trace_id);
        mw_json_kbool(&json, "duplicate", posted->duplicate);
        mw_json_object_end(&json);
    } else {
        mw_buf_put_z(&out, words);
        if (posted->first == 0)
            mw_buf_put_z(&out, " (it was so already)");
    }
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    return 0;
}

static bool is_open(struct mw_str state)
{
    return !mw_str_is(state, "completed") && !mw_str_is(state, "failed") &&
           !mw_str_is(state, "cancelled") && !mw_str_is(state, "ended");
}

/* The only build or run that has not ended; none or several: refused, with the list. */
enum mw_rc mw_post_open_trace(struct mw_cli *cli, const char **ret_id, struct mw_err *err)
{
    struct mw_tape tape;
    struct mw_buf list = mw_heap_buf();
    uint32_t count = 0;
    struct mw_str found = MW_STR_NONE;
    enum mw_rc rc = mw_link_view_tape(cli, "traces", NULL, 0, &tape, err);
    uint32_t rows = rc == MW_OK ? mw_node_get(&tape, 0, "traces") : MW_NODE_NONE;
    for (uint32_t i = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_first(&tape, rows)
                                                                 : MW_NODE_NONE;
         rc == MW_OK && i != MW_NODE_NONE; i = mw_node_after(&tape, rows, i)) {
        struct mw_str build = mw_node_get_text(&tape, i, "build_id");
        struct mw_str trace = mw_node_get_text(&tape, i, "traceId");
        if (!is_open(mw_node_get_text(&tape, i, "state")) || mw_str_is(trace, "workspace"))
            continue;
        found = build.len > 0 ? build : trace;
        mw_buf_printf(&list, "%s%.*s", count > 0 ? ", " : "", MW_STR_ARG(found));
        count++;
    }
    if (rc == MW_OK && count == 0)
        rc = MW_FAIL(err, MW_E_USAGE, "nothing is on its way here");
    else if (rc == MW_OK && count > 1)
        rc = MW_FAIL(err, MW_E_USAGE, "name one of: %.*s", MW_STR_ARG(mw_buf_str(&list)));
    else if (rc == MW_OK)
        *ret_id = mw_arena_copy(&cli->arena, found).ptr;
    mw_heap_buf_free(&list);
    return rc;
}

static const char *words_for(const char *request)
{
    static const struct {
        const char *request, *words;
    } rows[] = {
        {"AcceptDraft", "accepted; it is the current version now. next: millwright promote"},
        {"RejectDraft", "rejected; the current version is as it was"},
        {"Cancel", "cancelled"},
        {"Pause", "paused: nothing new is started; millwright resume goes on"},
        {"Resume", "resumed"},
        {"RemoveAgent", "removed"},
        {"RemoveMemory", "forgotten"}};
    for (size_t i = 0; i < MW_COUNT(rows); i++)
        if (strcmp(rows[i].request, request) == 0)
            return rows[i].words;
    return "recorded";
}

int mw_cmd_post(struct mw_cli *cli)
{
    const struct mw_command *command = cli->command;
    struct mw_post post;
    struct mw_posted posted;
    struct mw_err err = {0};
    const char *word = cli->args[0];
    if (strcmp(command->target, "RejectDraft") == 0 && !mw_cli_has(cli, "why"))
        return mw_cli_usage(cli, "say why: --why \"…\"");
    if (word == NULL && command->candidates != NULL &&
        mw_post_open_trace(cli, &word, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_post_begin(&post, command->target);
    if (word != NULL)
        mw_json_kstr(&post.json, command->target_key, mw_str_of(word));
    for (size_t i = 0; command->options != NULL && command->options[i].name != NULL; i++)
        if (cli->values[i] != NULL)
            mw_json_kstr(&post.json, command->options[i].name, mw_str_of(cli->values[i]));
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_post_say(cli, command->target, &posted, words_for(command->target));
}
