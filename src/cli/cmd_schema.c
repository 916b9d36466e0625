#include "cli/command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

/* schema list, schema show: the published JSON Schemas, as they lie in the factory folder. No workspace and no host. */

#define SCHEMA_BYTES_MAX (1u << 20)
#define NAME_COLUMNS 32
#define SCHEMA_ENDING ".schema.json"
#define SCHEMA_ENDING_LEN (sizeof(SCHEMA_ENDING) - 1)

/* The folder, in cli's arena. */
static enum mw_rc schema_folder(struct mw_cli *cli, const char **ret_folder, struct mw_err *err)
{
    const char *factory = mw_cli_factory(cli);
    if (factory == NULL)
        return MW_FAIL(err, MW_E_MISSING,
                       "the factory folder is not beside the program; set MILLWRIGHT_FACTORY");
    *ret_folder = mw_arena_format(&cli->arena, "%s/schemas", factory).ptr;
    return MW_OK;
}

static int is_schema(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > SCHEMA_ENDING_LEN &&
           strcmp(entry->d_name + len - SCHEMA_ENDING_LEN, SCHEMA_ENDING) == 0;
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name); /* the same order in every locale */
}

/* The text and what it says, both in cli's arena. */
static enum mw_rc read_schema(struct mw_cli *cli, const char *folder, const char *file,
                              struct mw_str *ret_text, struct mw_tape *ret_tape, struct mw_err *err)
{
    struct mw_buf buf = mw_heap_buf();
    mw_autofree char *path = mw_heap_format("%s/%s", folder, file);
    enum mw_rc rc = mw_file_read(AT_FDCWD, path, SCHEMA_BYTES_MAX, &buf, err);
    if (rc == MW_OK) {
        *ret_text = mw_arena_copy(&cli->arena, mw_buf_str(&buf));
        rc = mw_json_parse(&cli->arena, *ret_text, ret_tape, err);
    }
    mw_heap_buf_free(&buf);
    return rc;
}

static void put_row(struct mw_cli *cli, const char *file, const struct mw_tape *schema,
                    struct mw_json *json, struct mw_buf *out)
{
    struct mw_str name = {file, strlen(file) - SCHEMA_ENDING_LEN};
    struct mw_str about = mw_node_get_text(schema, 0, "description");
    if (!cli->json) {
        mw_buf_put(out, name);
        for (size_t len = name.len; len < NAME_COLUMNS || len == name.len; len++)
            mw_buf_put_c(out, ' ');
        mw_buf_put(out, about);
        mw_buf_put_c(out, '\n');
        return;
    }
    mw_json_object(json);
    mw_json_kstr(json, "name", name);
    mw_json_kstr(json, "id", mw_node_get_text(schema, 0, "$id"));
    mw_json_kstr(json, "description", about);
    mw_json_object_end(json);
}

int mw_cmd_schema_list(struct mw_cli *cli)
{
    const char *folder = NULL; /* gcc -O2 does not see that MW_OK sets it */
    struct dirent **entries = NULL;
    struct mw_err err = {0};
    struct mw_json json;
    enum mw_rc rc = schema_folder(cli, &folder, &err);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    int count = scandir(folder, &entries, is_schema, by_name);
    if (count < 0)
        rc = MW_FAIL_SYS(&err, MW_E_MISSING, "read '%s'", folder);
    struct mw_buf out = mw_heap_buf();
    mw_json_init(&json, &out);
    if (cli->json)
        mw_json_array(&json);
    for (int i = 0; i < count; i++) {
        struct mw_str text;
        struct mw_tape tape;
        if (rc == MW_OK)
            rc = read_schema(cli, folder, entries[i]->d_name, &text, &tape, &err);
        if (rc == MW_OK)
            put_row(cli, entries[i]->d_name, &tape, &json, &out);
        free(entries[i]);
    }
    free(entries);
    if (cli->json)
        mw_json_array_end(&json);
    if (rc == MW_OK && cli->json)
        (void)mw_cli_put_line(mw_buf_str(&out)); /* whoever left has seen enough */
    else if (rc == MW_OK)
        (void)mw_cli_put(mw_buf_str(&out)); /* likewise */
    mw_heap_buf_free(&out);
    return rc == MW_OK ? 0 : mw_cli_fail(cli, &err);
}

int mw_cmd_schema_show(struct mw_cli *cli)
{
    const char *folder = NULL; /* gcc -O2 does not see that MW_OK sets it */
    struct mw_err err = {0};
    struct mw_str text;
    struct mw_tape tape;
    struct mw_str file = mw_arena_format(&cli->arena, "%s" SCHEMA_ENDING, cli->args[0]);
    /* A name, not a way to some other file. */
    if (strchr(cli->args[0], '/') != NULL || !mw_path_is_plain(file))
        return mw_cli_usage(cli, "'%s' is no name of `millwright schema list`", cli->args[0]);
    enum mw_rc rc = schema_folder(cli, &folder, &err);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    rc = read_schema(cli, folder, file.ptr, &text, &tape, &err);
    if (rc == MW_E_MISSING)
        return mw_cli_usage(cli, "no schema '%s': millwright schema list", cli->args[0]);
    if (rc != MW_OK)
        return mw_cli_fail(cli, &err);
    (void)mw_cli_put(text); /* it is JSON already; whoever left has seen enough */
    return 0;
}
