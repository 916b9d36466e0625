#include "cli/command.h"

#include "cli/link.h"
#include "cli/start.h"
#include "cli/workspace.h"
#include "posix/heap.h"

#include <stdlib.h>

/* The host by hand: start it, run it here, stop it. */

static int stop(struct mw_cli *cli)
{
    struct mw_err err = {0};
    bool was = false;
    if (mw_link_stop(cli, &was, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    (void)mw_cli_put_line(cli->json
                              ? (was ? MW_STR("{\"stopped\":true}") : MW_STR("{\"stopped\":false}"))
                          : was ? MW_STR("the host has stopped")
                                : MW_STR("no host was running"));
    return 0;
}

static struct mw_str address_of(struct mw_cli *cli, struct mw_str hello)
{
    struct mw_tape tape;
    return mw_json_parse(&cli->arena, hello, &tape, NULL) == MW_OK
               ? mw_node_get_text(&tape, 0, "listens")
               : MW_STR_NONE;
}

/* "7000" is said for "127.0.0.1:7000"; port 0 is any. */
static bool is_same_address(struct mw_str wanted, struct mw_str listens)
{
    if (mw_str_is(wanted, "0") || mw_str_ends(wanted, MW_STR(":0")))
        return listens.len > 0;
    if (mw_str_find(wanted, ':', 0) == SIZE_MAX && mw_str_starts(listens, MW_STR("127.0.0.1:")))
        listens = mw_str_sub(listens, sizeof("127.0.0.1:") - 1, SIZE_MAX);
    return mw_str_eq(wanted, listens);
}

/* What a host was started with it keeps: another one has to be started for another port. */
static bool check_running(struct mw_cli *cli, const char *listen, struct mw_err *err)
{
    struct mw_str hello = MW_STR_NONE;
    if (!mw_link_running(cli, &hello))
        return true;
    struct mw_str listens = address_of(cli, hello);
    if (is_same_address(mw_str_of(listen), listens))
        return true;
    (void)MW_FAIL(err, MW_E_CONFLICT,
                  "a host runs here already and listens on %.*s; `millwright serve --stop` ends it",
                  MW_STR_ARG(listens.len > 0 ? listens : MW_STR("no port")));
    return false;
}

int mw_cmd_serve(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_str hello = MW_STR_NONE;
    struct mw_tape tape;
    const char *listen = mw_cli_value(cli, "listen");
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (mw_cli_has(cli, "stop"))
        return stop(cli);
    if (listen != NULL) {
        (void)setenv("MILLWRIGHT_LISTEN", listen, 1); /* the host that is started next reads it */
        if (!check_running(cli, listen, &err))
            return mw_cli_fail(cli, &err);
    }
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
    else if (address_of(cli, hello).len > 0)
        (void)printf("the host runs as process %ld and listens on http://%.*s; its token is in "
                     ".millwright/token\n",
                     (long)mw_node_int(&tape, mw_node_get(&tape, 0, "pid"), 0),
                     MW_STR_ARG(address_of(cli, hello)));
    else
        (void)printf("the host runs as process %ld and leaves when it is idle\n",
                     (long)mw_node_int(&tape, mw_node_get(&tape, 0, "pid"), 0));
    return 0;
}
