#include "cli/command.h"

#include "cli/link.h"
#include "cli/start.h"
#include "cli/workspace.h"
#include "posix/heap.h"

/* The host by hand: start it, run it here, stop it. */

static int stop(struct mw_cli *cli)
{
    struct mw_err err = {0};
    bool was = false;
    if (mw_link_stop(cli, true, &was, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    (void)mw_cli_put_line(cli->json
                              ? (was ? MW_STR("{\"stopped\":true}") : MW_STR("{\"stopped\":false}"))
                          : was ? MW_STR("the host has stopped")
                                : MW_STR("no host was running"));
    return 0;
}

int mw_cmd_serve(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_str hello = MW_STR_NONE;
    struct mw_tape tape;
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (mw_cli_has(cli, "stop"))
        return stop(cli);
    if (mw_cli_has(cli, "foreground")) {
        if (mw_link_running(cli, NULL)) {
            (void)MW_FAIL(&err, MW_E_CONFLICT,
                          "a host runs here already; `millwright serve --stop` "
                          "ends it");
            return mw_cli_fail(cli, &err);
        }
        /* Comes back only when it failed. */
        return mw_host_become(cli, &err) == MW_OK ? 0 : mw_cli_fail(cli, &err);
    }
    if (mw_link_ensure(cli, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (!mw_link_running(cli, &hello) || mw_json_parse(&cli->arena, hello, &tape, &err) != MW_OK) {
        (void)MW_FAIL(&err, MW_E_MISSING, "the host was started and is gone again");
        return mw_cli_fail(cli, &err);
    }
    if (cli->json)
        (void)mw_cli_put_line(hello); /* the exit code says it too */
    else
        (void)printf("the host runs as process %ld and leaves when it is idle\n",
                     (long)mw_node_int(&tape, mw_node_get(&tape, 0, "pid"), 0));
    return 0;
}
