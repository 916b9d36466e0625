#include "cli/intent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "author/author.h"
#include "cli/requires.h"
#include "cli/workspace.h"
#include "posix/file.h"
#include "posix/heap.h"

static enum mw_rc read_input(struct mw_cli *cli, const char *path, struct mw_str *ret_text,
                             struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = MW_OK;
    if (strcmp(path, "-") != 0) {
        rc = mw_file_read(AT_FDCWD, path, MW_INTENT_BYTES_MAX, &text, err);
        if (rc == MW_E_MISSING) /* the user's word, not a program that is missing */
            err->rc = rc = MW_E_USAGE;
    }
    while (rc == MW_OK && strcmp(path, "-") == 0) {
        char block[16384];
        ssize_t got = read(STDIN_FILENO, block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = MW_FAIL_SYS(err, MW_E_IO, "read standard input");
        if (got <= 0)
            break;
        mw_buf_put(&text, (struct mw_str){block, (size_t)got});
        if (text.len > MW_INTENT_BYTES_MAX)
            rc = MW_FAIL(err, MW_E_LIMIT, "standard input has more than %u bytes",
                         MW_INTENT_BYTES_MAX);
    }
    if (rc == MW_OK)
        *ret_text = mw_arena_copy(&cli->arena, mw_buf_str(&text));
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_file_tape(struct mw_cli *cli, const char *path, struct mw_tape *ret_tape,
                        struct mw_err *err)
{
    struct mw_str text;
    bool standard = strcmp(path, "-") == 0;
    if (!standard && !mw_author_knows(mw_str_of(path)))
        return MW_FAIL(err, MW_E_USAGE, "'%s' ends in none of .json, .yaml and .yml", path);
    enum mw_rc rc = read_input(cli, path, &text, err);
    if (rc != MW_OK)
        return rc;
    /* YAML reads JSON as well. */
    rc = mw_author_read(&cli->arena, standard ? MW_STR("standard-input.yaml") : mw_str_of(path),
                        text, ret_tape, err);
    if (rc != MW_OK)
        return rc;
    if (mw_node_type(ret_tape, 0) != MW_NODE_OBJECT)
        return MW_FAIL(err, MW_E_INPUT, "%s:1:1: an object is wanted", path);
    return MW_OK;
}

static enum mw_rc put_blueprint(struct mw_cli *cli, struct mw_post *post, const char *path,
                                struct mw_err *err)
{
    struct mw_tape tape;
    enum mw_rc rc = mw_file_tape(cli, path, &tape, err);
    if (rc == MW_OK)
        mw_json_knode(&post->json, "blueprint", &tape, 0);
    return rc;
}

static enum mw_rc put_prompt(struct mw_cli *cli, struct mw_post *post, const char *file,
                             struct mw_err *err)
{
    struct mw_str prompt;
    bool standard = cli->arg_count > 0 && strcmp(cli->args[0], "-") == 0;
    if (file != NULL || standard) {
        enum mw_rc rc = read_input(cli, file != NULL ? file : "-", &prompt, err);
        if (rc != MW_OK)
            return rc;
    } else {
        prompt = mw_str_of(cli->args[0]);
    }
    prompt = mw_str_trim(prompt);
    if (prompt.len == 0)
        return MW_FAIL(err, MW_E_USAGE, "the prompt is empty");
    if (!mw_utf8_valid(prompt, NULL))
        return MW_FAIL(err, MW_E_USAGE, "the prompt is not UTF-8");
    mw_json_kstr(&post->json, "prompt", prompt);
    return MW_OK;
}

static enum mw_rc check_words(const struct mw_cli *cli, struct mw_err *err)
{
    const char *priority = mw_cli_value(cli, "priority");
    int sources =
        (cli->arg_count > 0) + mw_cli_has(cli, "prompt-file") + mw_cli_has(cli, "blueprint");
    if (sources != 1)
        return MW_FAIL(err, MW_E_USAGE, "give one of a prompt, -, --prompt-file and --blueprint");
    if (priority != NULL && strcmp(priority, "low") != 0 && strcmp(priority, "normal") != 0 &&
        strcmp(priority, "high") != 0)
        return MW_FAIL(err, MW_E_USAGE, "--priority is low, normal or high");
    return MW_OK;
}

enum mw_rc mw_intent_submit(struct mw_cli *cli, struct mw_posted *ret_posted, struct mw_err *err)
{
    static const char *const options[] = {"name", "priority", "trace-id", "parent-trace-id"};
    static const char *const keys[] = {"name", "priority", "traceId", "parentTraceId"};
    struct mw_post post;
    const char *blueprint = mw_cli_value(cli, "blueprint");
    enum mw_rc rc = check_words(cli, err);
    if (rc != MW_OK)
        return rc;
    mw_post_begin(&post, "SubmitIntent");
    rc = blueprint != NULL ? put_blueprint(cli, &post, blueprint, err)
                           : put_prompt(cli, &post, mw_cli_value(cli, "prompt-file"), err);
    for (size_t i = 0; i < MW_COUNT(options); i++)
        if (mw_cli_has(cli, options[i]))
            mw_json_kstr(&post.json, keys[i], mw_str_of(mw_cli_value(cli, options[i])));
    mw_json_kstr(&post.json, "source", MW_STR("cli"));
    if (rc == MW_OK)
        rc = mw_cli_workspace(cli, MW_WORKSPACE_MAKE, err);
    if (rc == MW_OK)
        rc = mw_requires_check(cli, err);
    if (rc == MW_OK) {
        mw_autofree char *state = mw_heap_format("%s/.millwright", cli->workspace);
        rc = mw_mkdirs(AT_FDCWD, state, 0700, err);
    }
    if (rc == MW_OK)
        return mw_post_send(cli, &post, ret_posted, err);
    mw_heap_buf_free(&post.body);
    return rc;
}
