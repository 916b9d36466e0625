#include "cli/command.h"

#include "cli/intent.h"
#include "cli/watch.h"
#include "posix/heap.h"

/* `gen` and `submit`: one intent; gen follows it to its end. */

static void print_submitted(const struct mw_cli *cli, const struct mw_posted *posted)
{
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kstr(&json, "type", MW_STR("submit.result"));
        mw_json_kstr(&json, "traceId", posted->trace_id);
        mw_json_kbool(&json, "duplicate", posted->duplicate);
        mw_json_object_end(&json);
        mw_buf_put_c(&out, '\n');
    } else {
        mw_buf_printf(&out,
                      "%s as %.*s\nwatch it: the same words with `millwright gen` · stop it: "
                      "millwright cancel %.*s\n",
                      posted->duplicate ? "already on its way" : "submitted",
                      MW_STR_ARG(posted->trace_id), MW_STR_ARG(posted->trace_id));
    }
    (void)mw_cli_put(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
}

int mw_cmd_submit(struct mw_cli *cli)
{
    struct mw_posted posted;
    struct mw_err err = {0};
    if (mw_intent_submit(cli, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    print_submitted(cli, &posted);
    return 0;
}

/* A gen that could not begin still ends with exactly one line of its own. */
static int not_begun(const struct mw_cli *cli, const struct mw_err *err)
{
    if (cli->json) {
        struct mw_buf out = mw_heap_buf();
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kstr(&json, "type", MW_STR("gen.result"));
        mw_json_kstr(&json, "state", err->rc == MW_E_LIMIT ? MW_STR("limit") : MW_STR("failed"));
        mw_json_kraw(&json, "traceId", MW_STR("null"));
        mw_json_kraw(&json, "app_id", MW_STR("null"));
        mw_json_kraw(&json, "build_id", MW_STR("null"));
        mw_json_kraw(&json, "version", MW_STR("null"));
        mw_json_kraw(&json, "staged", MW_STR("null"));
        mw_json_kraw(&json, "items", MW_STR("[]"));
        mw_json_kobject(&json, "error");
        mw_json_kstr(&json, "class", mw_str_of(mw_rc_name(err->rc)));
        mw_json_kstr(&json, "message", mw_str_of(err->text));
        mw_json_object_end(&json);
        mw_json_kraw(
            &json, "usage",
            MW_STR("{\"tasks\":0,\"tests\":0,\"tokens_in\":0,\"tokens_out\":0,\"cost_usd\":"
                   "0,\"elapsed_ms\":0}"));
        mw_json_object_end(&json);
        (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
        mw_heap_buf_free(&out);
    }
    return mw_cli_fail(cli, err);
}

int mw_cmd_gen(struct mw_cli *cli)
{
    struct mw_posted posted;
    struct mw_err err = {0};
    if (mw_intent_submit(cli, &posted, &err) != MW_OK)
        return not_begun(cli, &err);
    if (mw_cli_has(cli, "detach")) {
        print_submitted(cli, &posted);
        return 0;
    }
    if (posted.trace_id.len == 0) {
        (void)MW_FAIL(&err, MW_E_CONFLICT,
                      "the same request was answered before and its trace has "
                      "ended; `millwright status` says how");
        return not_begun(cli, &err);
    }
    if ((posted.duplicate || posted.first == 0) && !cli->json)
        (void)fprintf(stderr, "the same gen is on its way as %.*s: watching it\n",
                      MW_STR_ARG(posted.trace_id));
    return mw_watch_trace(cli, "gen", &posted);
}
