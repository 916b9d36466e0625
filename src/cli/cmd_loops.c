#include "cli/command.h"

#include <string.h>

#include "cli/link.h"
#include "cli/post.h"
#include "cli/watch.h"
#include "posix/heap.h"

/* inspect, chain, memory add. */

int mw_cmd_inspect(struct mw_cli *cli)
{
    const char *last = cli->arg_count > 0 ? cli->args[cli->arg_count - 1] : NULL;
    bool named = last != NULL && strcmp(last, "iterations") == 0;
    if (cli->arg_count == 2 && !named)
        return mw_cli_usage(cli, "of a run, 'iterations' can be seen, not '%s'", last);
    if (named) /* it is all that there is to see so far, with the word and without */
        cli->arg_count--;
    return mw_cmd_view(cli);
}

/* "A,B,C" as a list. False: a name is empty. */
static bool put_names(struct mw_json *json, struct mw_str words)
{
    bool whole = true;
    mw_json_karray(json, "workflows");
    for (size_t at = 0; at <= words.len;) {
        size_t comma = mw_str_find(words, ',', at);
        size_t end = comma != SIZE_MAX ? comma : words.len;
        struct mw_str name = mw_str_trim(mw_str_sub(words, at, end - at));
        whole = whole && name.len > 0;
        mw_json_str(json, name);
        at = end + 1;
    }
    mw_json_array_end(json);
    return whole;
}

int mw_cmd_chain(struct mw_cli *cli)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_err err = {0};
    mw_post_begin(&post, "StartChain");
    mw_json_kstr(&post.json, "source", MW_STR("cli"));
    mw_json_kstr(&post.json, "prompt", mw_str_of(cli->args[1]));
    if (!put_names(&post.json, mw_str_of(cli->args[0]))) {
        mw_heap_buf_free(&post.body);
        return mw_cli_usage(cli, "'%s' is no list of workflows: A,B,C", cli->args[0]);
    }
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_watch_trace(cli, "chain", &posted);
}

int mw_cmd_memory_add(struct mw_cli *cli)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_err err = {0};
    mw_post_begin(&post, "AddMemory");
    mw_json_kstr(&post.json, "text", mw_str_of(cli->args[0]));
    if (mw_cli_has(cli, "kind"))
        mw_json_kstr(&post.json, "kind", mw_str_of(mw_cli_value(cli, "kind")));
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    struct mw_str words = mw_arena_format(&cli->arena, "remembered as %ld", (long)posted.first);
    return mw_post_say(cli, "AddMemory", &posted, words.ptr);
}
