#include "cli/command.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/promises.h"
#include "cli/render.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* verify --promises: short forms of the proofs, on the disk that holds the workspace (or --dir). docs/promises.md has the long ones. */

#define FINDINGS_MAX 64u

struct found {
    struct mw_promise_finding findings[FINDINGS_MAX];
    uint32_t count;
};

struct told {
    const struct mw_cli *cli;
    struct mw_buf out;
    struct mw_json json;
    unsigned held, broken, not_tried;
};

/* Those without a host come first, and all are told in the order of their ids. */
static void on_finding(void *context, const struct mw_promise_finding *finding)
{
    struct found *found = context;
    MW_ASSERT(found->count < FINDINGS_MAX);
    uint32_t at = found->count++;
    for (; at > 0 && strcmp(found->findings[at - 1].id, finding->id) > 0; at--)
        found->findings[at] = found->findings[at - 1];
    found->findings[at] = *finding;
}

static void tell(struct told *told, const struct mw_promise_finding *finding)
{
    static const char *const words[] = {"holds", "does not hold here", "cannot be tried here"};
    const char *verdict = words[finding->verdict];
    told->held += finding->verdict == MW_PROMISE_HOLDS;
    told->broken += finding->verdict == MW_PROMISE_BROKEN;
    told->not_tried += finding->verdict == MW_PROMISE_NOT_TRIED;
    if (told->cli->json) {
        mw_json_object(&told->json);
        mw_json_kstr(&told->json, "id", mw_str_of(finding->id));
        mw_json_kstr(&told->json, "what", mw_str_of(finding->what));
        mw_json_kstr(&told->json, "verdict", mw_str_of(verdict));
        mw_json_kstr(&told->json, "detail", mw_str_of(finding->detail));
        mw_json_object_end(&told->json);
        return;
    }
    struct mw_buf line = mw_heap_buf();
    bool color = mw_color_wanted(STDOUT_FILENO);
    mw_buf_printf(&line, "%s %s%s%s: %s", finding->id,
                  mw_color(color, finding->verdict == MW_PROMISE_HOLDS    ? MW_GREEN
                                  : finding->verdict == MW_PROMISE_BROKEN ? MW_RED
                                                                          : MW_PLAIN),
                  verdict, mw_color(color, MW_PLAIN), finding->what);
    if (finding->detail[0] != '\0') {
        mw_buf_put_z(&line, " (");
        mw_put_safe(&line, mw_str_of(finding->detail));
        mw_buf_put_z(&line, ")");
    }
    (void)mw_cli_put_line(mw_buf_str(&line)); /* the exit code says it too */
    mw_heap_buf_free(&line);
}

/* Where it is tried: the folder that is given, else within the workspace's own, which is on the same disk. */
static enum mw_rc place_of(struct mw_cli *cli, const char **ret_place, struct mw_err *err)
{
    *ret_place = mw_cli_value(cli, "dir");
    if (*ret_place != NULL)
        return MW_OK;
    enum mw_rc rc = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, err);
    if (rc != MW_OK)
        return rc;
    *ret_place = mw_arena_format(&cli->arena, "%s/.millwright", cli->workspace).ptr;
    return mw_mkdirs(AT_FDCWD, *ret_place, 0700, err);
}

int mw_cmd_verify_promises(struct mw_cli *cli)
{
    struct told told = {.cli = cli, .out = mw_heap_buf()};
    const char *place = NULL;
    struct mw_err err = {0};
    if (cli->ports->check_promises == NULL)
        return mw_cli_usage(cli, "this program has no such check");
    struct found *found = mw_heap_alloc(sizeof(*found));
    enum mw_rc rc = place_of(cli, &place, &err);
    mw_json_init(&told.json, &told.out);
    mw_json_object(&told.json);
    mw_json_karray(&told.json, "promises");
    if (rc == MW_OK)
        rc = cli->ports->check_promises(place, on_finding, found, &err);
    if (rc == MW_OK)
        mw_promises_try(cli, place, on_finding, found);
    for (uint32_t i = 0; rc == MW_OK && i < found->count; i++)
        tell(&told, &found->findings[i]);
    mw_heap_free(found);
    mw_json_array_end(&told.json);
    mw_json_ku64(&told.json, "hold", told.held);
    mw_json_ku64(&told.json, "broken", told.broken);
    mw_json_ku64(&told.json, "not_tried", told.not_tried);
    mw_json_object_end(&told.json);
    if (rc == MW_OK && cli->json)
        (void)mw_cli_put_line(mw_buf_str(&told.out)); /* the exit code says it too */
    mw_heap_buf_free(&told.out);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    if (!cli->json) {
        mw_autofree char *sum = mw_heap_format("%u hold, %u do not, %u cannot be tried here",
                                               told.held, told.broken, told.not_tried);
        (void)mw_cli_put_line(mw_str_of(sum)); /* as above */
    }
    return told.broken > 0 ? mw_rc_exit_code(MW_E_FAILED) : 0;
}
