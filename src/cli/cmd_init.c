#include "author/author.h"
#include "cli/link.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WORKFLOW_BYTES_MAX (1u << 20)

/* init; workflow list and validate: all without a host. */

static int no_factory(struct mw_cli *cli)
{
    struct mw_err err;
    (void)MW_FAIL(&err, MW_E_MISSING,
                  "the factory folder is not beside the program; set MILLWRIGHT_FACTORY");
    return mw_cli_fail(cli, &err);
}

int mw_cmd_init(struct mw_cli *cli)
{
    struct mw_err err = {0};
    bool made = false;
    const char *factory = mw_cli_factory(cli);
    if (factory == NULL || cli->ports->make_scaffold == NULL)
        return no_factory(cli);
    const char *name = cli->arg_count > 0 ? cli->args[0] : "default";
    mw_autofree char *scaffold = mw_heap_format("%s/scaffold/%s/app", factory, name);
    if (strchr(name, '/') != NULL || !mw_exists(AT_FDCWD, scaffold))
        return mw_cli_usage(cli, "there is no template '%s'", name);
    if (mw_cli_workspace(cli, MW_WORKSPACE_MAKE, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_autoclose int root = open(cli->workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_autofree char *state = mw_heap_format("%s/.millwright", cli->workspace);
    if (root < 0) {
        (void)MW_FAIL(&err, MW_E_IO, "open %s", cli->workspace);
        return mw_cli_fail(cli, &err);
    }
    if (mw_mkdirs(AT_FDCWD, state, 0700, &err) != MW_OK ||
        cli->ports->make_scaffold(root, factory, name, &made, &err) != MW_OK ||
        (mw_cli_has(cli, "serve") && mw_link_ensure(cli, &err) != MW_OK))
        return mw_cli_fail(cli, &err);
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kstr(&json, "workspace", mw_str_of(cli->workspace));
        mw_json_kbool(&json, "made", made);
        mw_json_object_end(&json);
    } else {
        mw_buf_printf(&out, "%s %s\nnext: millwright gen \"…\"",
                      made ? "scaffold made in" : "there is an app root already in",
                      cli->workspace);
    }
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    return 0;
}

/* The workflows of one folder as members of the array. */
static enum mw_rc list_folder(struct mw_cli *cli, const char *folder, const char *origin,
                              struct mw_json *json, struct mw_err *err)
{
    DIR *dir = opendir(folder);
    enum mw_rc rc = MW_OK;
    for (const struct dirent *entry = dir != NULL ? readdir(dir) : NULL;
         entry != NULL && rc == MW_OK; entry = readdir(dir)) {
        struct mw_buf text = mw_heap_buf();
        struct mw_tape tape;
        mw_autofree char *path = mw_heap_format("%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || !mw_author_knows(mw_str_of(path)))
            continue;
        rc = mw_file_read(AT_FDCWD, path, WORKFLOW_BYTES_MAX, &text, err);
        struct mw_str copy = mw_arena_copy(&cli->arena, mw_buf_str(&text));
        mw_heap_buf_free(&text);
        if (rc == MW_OK)
            rc = mw_author_read(&cli->arena, mw_str_of(path), copy, &tape, err);
        if (rc != MW_OK)
            break;
        mw_json_object(json);
        mw_json_kstr(json, "workflow", mw_node_get_text(&tape, 0, "workflow"));
        mw_json_kstr(json, "purpose", mw_node_get_text(&tape, 0, "purpose"));
        mw_json_kstr(json, "from", mw_str_of(origin));
        mw_json_kstr(json, "file", mw_str_of(path));
        mw_json_object_end(json);
    }
    if (dir != NULL)
        (void)closedir(dir); /* it was only read */
    return rc;
}

int mw_cmd_workflow_list(struct mw_cli *cli)
{
    struct mw_err err = {0};
    struct mw_json json;
    struct mw_buf out = mw_heap_buf();
    const char *factory = mw_cli_factory(cli);
    if (factory == NULL)
        return no_factory(cli);
    mw_json_init(&json, &out);
    mw_json_array(&json);
    mw_autofree char *first_party = mw_heap_format("%s/workflows", factory);
    enum mw_rc rc = list_folder(cli, first_party, "factory", &json, &err);
    enum mw_rc found = rc == MW_OK ? mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) : rc;
    if (found != MW_OK && cli->workspace_flag != NULL)
        rc = found;
    if (found == MW_OK) {
        mw_autofree char *own = mw_heap_format("%s/workflows", cli->workspace);
        rc = list_folder(cli, own, "workspace", &json, &err);
    }
    mw_json_array_end(&json);
    int code = rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
    struct mw_tape tape;
    struct mw_str text = mw_arena_copy(&cli->arena, mw_buf_str(&out));
    if (code == 0 && cli->json)
        (void)mw_cli_put_line(text); /* whoever left has seen enough */
    else if (code == 0 && mw_json_parse(&cli->arena, text, &tape, &err) == MW_OK)
        for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE;
             i = mw_node_after(&tape, 0, i))
            (void)printf("%-20.*s %.*s\n", MW_STR_ARG(mw_node_get_text(&tape, i, "workflow")),
                         MW_STR_ARG(mw_node_get_text(&tape, i, "purpose")));
    mw_heap_buf_free(&out);
    return code;
}

int mw_cmd_workflow_validate(struct mw_cli *cli)
{
    struct mw_err err = {0};
    const char *factory = mw_cli_factory(cli);
    if (factory == NULL || cli->ports->check_definitions == NULL)
        return no_factory(cli);
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK) {
        if (cli->workspace_flag != NULL)
            return mw_cli_fail(cli, &err);
        cli->workspace = NULL; /* the factory's own are checked all the same */
    }
    enum mw_rc rc = cli->ports->check_definitions(factory, cli->workspace, &err);
    if (rc != MW_OK) {
        if (cli->json)
            (void)mw_cli_put_line(MW_STR("{\"valid\":false}")); /* the exit code says it too */
        return mw_cli_fail(cli, &err);
    }
    (void)mw_cli_put_line(
        cli->json ? MW_STR("{\"valid\":true}")
        : cli->workspace != NULL
            ? MW_STR("every definition is valid")
            : MW_STR("every definition of the factory is valid; no workspace here"));
    return 0;
}
