#include "cli/command.h"

#include <stdlib.h>

#include "cli/link.h"
#include "cli/workspace.h"
#include "posix/heap.h"

/* config show: what is in effect, and where it comes from. */

static void put(struct mw_json *json, const char *name, const char *value, const char *origin)
{
    mw_json_object(json);
    mw_json_kstr(json, "setting", mw_str_of(name));
    if (value != NULL)
        mw_json_kstr(json, "value", mw_str_of(value));
    else
        mw_json_kraw(json, "value", MW_STR("null"));
    mw_json_kstr(json, "from", mw_str_of(origin));
    mw_json_object_end(json);
}

int mw_cmd_config_show(struct mw_cli *cli)
{
    static const char *const passed[] = {"PATH", "HOME", "TMPDIR", "TZ"};
    struct mw_buf out = mw_heap_buf();
    struct mw_tape tape;
    struct mw_json json;
    struct mw_err err = {0};
    bool has = mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) == MW_OK;
    mw_json_init(&json, &out);
    mw_json_array(&json);
    put(&json, "workspace", has ? cli->workspace : NULL,
        cli->workspace_flag != NULL ? "--workspace" : "search from the current folder");
    put(&json, "factory", mw_cli_factory(cli),
        getenv("MILLWRIGHT_FACTORY") != NULL ? "MILLWRIGHT_FACTORY" : "beside the program");
    put(&json, "colours", getenv("NO_COLOR") != NULL ? "off" : "on a terminal",
        getenv("NO_COLOR") != NULL ? "NO_COLOR" : "default");
    const char *memory = getenv("MILLWRIGHT_MEMORY_MB");
    put(&json, "memory", memory != NULL ? memory : "4096",
        memory != NULL ? "MILLWRIGHT_MEMORY_MB, in MiB; for a host that starts now"
                       : "default, in MiB (MILLWRIGHT_MEMORY_MB)");
    for (size_t i = 0; i < MW_COUNT(passed); i++)
        put(&json, passed[i], getenv(passed[i]), "environment, given to the host");
    put(&json, "MONGODB_URL", getenv("MONGODB_URL") != NULL ? "set" : NULL,
        "environment, given to the app by up");
    mw_json_array_end(&json);
    struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&out));
    if (cli->json)
        (void)mw_cli_put_line(text); /* whoever left has seen enough */
    else if (mw_json_parse(&cli->arena, text, &tape, &err) == MW_OK)
        for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE;
             i = mw_node_after(&tape, 0, i)) {
            struct mw_str value = mw_node_get_text(&tape, i, "value");
            (void)printf("%-12.*s %.*s  (%.*s)\n",
                         MW_STR_ARG(mw_node_get_text(&tape, i, "setting")),
                         MW_STR_ARG(value.len > 0 ? value : MW_STR("-")),
                         MW_STR_ARG(mw_node_get_text(&tape, i, "from")));
        }
    mw_heap_buf_free(&out);
    return 0;
}
