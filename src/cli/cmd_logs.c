#include "cli/command.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/link.h"
#include "cli/render.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

#define LOG_BYTES_MAX (64u << 20)
#define FOLDERS_MAX 256

/* What an agent wrote on standard error, from the kept folders of its attempts; without a task the host's own log. */

static enum mw_rc show_file(struct mw_cli *cli, const char *path, const char *title,
                            struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_file_read_regular(AT_FDCWD, path, LOG_BYTES_MAX, &text, err);
    if (rc == MW_OK && title != NULL && !cli->json)
        (void)printf("%s==> %s%s\n", mw_color(mw_color_wanted(STDOUT_FILENO), MW_DIM), title,
                     mw_color(mw_color_wanted(STDOUT_FILENO), MW_PLAIN));
    if (rc == MW_OK && cli->json) {
        struct mw_buf out = mw_heap_buf();
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kstr(&json, "file", mw_str_of(path));
        if (mw_utf8_valid(mw_buf_str(&text), NULL))
            mw_json_kstr(&json, "text", mw_buf_str(&text));
        else
            mw_json_kraw(&json, "text", MW_STR("null"));
        mw_json_object_end(&json);
        (void)mw_cli_put_line(mw_buf_str(&out)); /* whoever left has seen enough */
        mw_heap_buf_free(&out);
    } else if (rc == MW_OK && text.len > 0 && isatty(STDOUT_FILENO) == 1) {
        struct mw_buf out = mw_heap_buf(); /* a file gets it as it is */
        mw_put_safe_lines(&out, mw_buf_str(&text));
        (void)mw_cli_put_line(mw_buf_str(&out)); /* likewise */
        mw_heap_buf_free(&out);
    } else if (rc == MW_OK && text.len > 0) {
        (void)mw_cli_put_line(mw_buf_str(&text)); /* likewise */
    }
    mw_heap_buf_free(&text);
    return rc;
}

static int show_task(struct mw_cli *cli, struct mw_err *err)
{
    mw_autofree char *folder = mw_heap_format("%s/.millwright/work", cli->workspace);
    DIR *dir = opendir(folder);
    uint64_t attempts[FOLDERS_MAX];
    size_t count = 0, len = strlen(cli->args[0]);
    for (const struct dirent *entry = dir != NULL ? readdir(dir) : NULL;
         entry != NULL && count < FOLDERS_MAX; entry = readdir(dir)) {
        uint64_t number = 0;
        if (strncmp(entry->d_name, cli->args[0], len) == 0 && entry->d_name[len] == '.' &&
            mw_str_to_u64(mw_str_of(entry->d_name + len + 1), &number)) {
            size_t at = count++;
            for (; at > 0 && attempts[at - 1] > number; at--)
                attempts[at] = attempts[at - 1];
            attempts[at] = number;
        }
    }
    if (dir != NULL)
        (void)closedir(dir); /* it was only read */
    for (size_t i = 0; i < count; i++) {
        mw_autofree char *path = mw_heap_format("%s/%s.%lu/stderr.log", folder, cli->args[0],
                                                (unsigned long)attempts[i]);
        mw_autofree char *title =
            mw_heap_format("%s, attempt %lu", cli->args[0], (unsigned long)attempts[i]);
        if (show_file(cli, path, title, err) != MW_OK && err->rc != MW_E_MISSING)
            return mw_cli_fail(cli, err);
    }
    if (count > 0)
        return 0;
    (void)MW_FAIL(
        err, MW_E_USAGE,
        "no work folder of task %s is kept (`millwright clean` removes them, and one that "
        "nothing was left in is used again); "
        "`millwright show %s` has its records",
        cli->args[0], cli->args[0]);
    return mw_cli_fail(cli, err);
}

int mw_cmd_logs(struct mw_cli *cli)
{
    struct mw_err err = {0};
    if (mw_cli_workspace(cli, MW_WORKSPACE_EXISTS, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (cli->arg_count > 0) {
        if (!mw_path_is_plain(mw_str_of(cli->args[0])) || strchr(cli->args[0], '/') != NULL)
            return mw_cli_usage(cli, "'%s' is no task's id", cli->args[0]);
        return show_task(cli, &err);
    }
    mw_autofree char *log = mw_heap_format("%s/.millwright/log/host.log", cli->workspace);
    if (show_file(cli, log, NULL, &err) == MW_OK)
        return 0;
    if (err.rc != MW_E_MISSING)
        return mw_cli_fail(cli, &err);
    (void)fprintf(stderr, "the host has written no log yet\n");
    return 0;
}
