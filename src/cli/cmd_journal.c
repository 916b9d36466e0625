#include "cli/command.h"

#include "cli/render.h"
#include "cli/workspace.h"
#include "posix/heap.h"

/* journal snapshot: what the disk gets beside the records. */

int mw_cmd_journal_snapshot(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_cli_snapshot snapshot;
    bool made = false;
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (cli->ports->make_snapshot(cli->workspace, &snapshot, &made, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kbool(&json, "made", made);
        mw_json_ku64(&json, "seq", snapshot.seq);
        mw_json_ku64(&json, "records", snapshot.records);
        mw_json_object_end(&json);
    } else {
        mw_buf_printf(&out, "%s: %lu records stand for the first %lu",
                      made ? "made" : "there already", (unsigned long)snapshot.records,
                      (unsigned long)snapshot.seq);
    }
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    return 0;
}
