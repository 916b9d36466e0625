#include "cli/command.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/follow.h"
#include "cli/intent.h"
#include "cli/link.h"
#include "cli/post.h"
#include "cli/render.h"
#include "cli/watch.h"
#include "posix/heap.h"

/* promote, rollback, answer, approve, agent register, run, coordinator start. */

/* ---- promotion: the request begins it, a later record says how it went ---- */

struct promotion {
    int64_t started; /* sequence number of PromotionStarted */
    bool done, failed;
    struct mw_arena *arena; /* borrowed */
    struct mw_str build_id, root, sha256, reason, error_class, target;
    int64_t version;
};

static bool on_promotion(void *context, struct mw_str line, const struct mw_tape *record)
{
    struct promotion *promotion = context;
    struct mw_str kind = mw_node_get_text(record, 0, "kind");
    uint32_t payload = mw_node_get(record, 0, "payload");
    (void)line; /* only what it says counts */
    bool promoted = mw_str_is(kind, "app.promoted");
    if (!promoted && !mw_str_is(kind, "promotion.failed"))
        return true;
    struct mw_arena *arena = promotion->arena;
    promotion->done = true;
    promotion->failed = !promoted;
    promotion->build_id = mw_arena_copy(arena, mw_node_get_text(record, payload, "buildId"));
    promotion->root = mw_arena_copy(arena, mw_node_get_text(record, payload, "path"));
    promotion->sha256 = mw_arena_copy(arena, mw_node_get_text(record, payload, "sha256"));
    promotion->target = mw_arena_copy(arena, mw_node_get_text(record, payload, "target"));
    promotion->reason = mw_arena_copy(arena, mw_node_get_text(record, 0, "reason"));
    promotion->error_class = mw_arena_copy(arena, mw_node_get_text(record, 0, "errorClass"));
    promotion->version = mw_node_int(record, mw_node_get(record, payload, "appVersion"), 0);
    return false;
}

static enum mw_rc rc_by_name(struct mw_str name)
{
    for (int rc = 1; rc < MW_RC_COUNT; rc++)
        if (mw_str_is(name, mw_rc_name((enum mw_rc)rc)))
            return (enum mw_rc)rc;
    return MW_E_FAILED;
}

static struct mw_str absolute_root(struct mw_cli *cli, const struct promotion *promotion)
{
    if (promotion->root.len == 0 || promotion->root.ptr[0] == '/')
        return promotion->root;
    return mw_arena_format(&cli->arena, "%s/%.*s", cli->workspace, MW_STR_ARG(promotion->root));
}

static int say_promotion(struct mw_cli *cli, const struct promotion *promotion, const char *verb)
{
    struct mw_buf out = mw_heap_buf();
    if (cli->json) {
        struct mw_json json;
        mw_json_init(&json, &out);
        mw_json_object(&json);
        mw_json_kstr(&json, "type", MW_STR("promote.result"));
        mw_json_kstr(&json, "state", promotion->failed ? MW_STR("failed") : MW_STR("promoted"));
        mw_json_ki64(&json, "version", promotion->version);
        mw_json_kstr(&json, "build_id", promotion->build_id);
        mw_json_kstr(&json, "root", absolute_root(cli, promotion));
        mw_json_kstr(&json, "sha256", promotion->sha256);
        if (promotion->failed) {
            mw_json_kobject(&json, "error");
            mw_json_kstr(&json, "class", promotion->error_class);
            mw_json_kstr(&json, "message", promotion->reason);
            mw_json_object_end(&json);
        }
        mw_json_object_end(&json);
    } else if (!promotion->failed) {
        mw_buf_printf(&out, "version %ld (build %.*s) is in %.*s\n", (long)promotion->version,
                      MW_STR_ARG(promotion->build_id),
                      MW_STR_ARG(promotion->root.len > 0 ? promotion->root : MW_STR("app")));
        if (promotion->root.len == 0 || mw_str_ends(promotion->root, MW_STR("app")))
            mw_buf_put_z(&out, "next: millwright up");
    }
    if (out.len > 0)
        (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
    if (!promotion->failed)
        return 0;
    struct mw_buf why =
        mw_heap_buf(); /* it names files, and a name can hold what a terminal obeys */
    mw_put_safe(&why, promotion->reason);
    (void)fprintf(stderr, "millwright: %s failed: %.*s\n", verb, MW_STR_ARG(mw_buf_str(&why)));
    mw_heap_buf_free(&why);
    return mw_rc_exit_code(rc_by_name(promotion->error_class));
}

static int promote(struct mw_cli *cli, struct mw_post *post, const char *verb)
{
    struct mw_posted posted;
    struct mw_err err = {0};
    struct promotion promotion = {.arena = &cli->arena};
    bool left = false;
    if (mw_post_send(cli, post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    struct mw_follow follow = {.after = posted.first > 0 ? posted.first : 0,
                               .on_record = on_promotion,
                               .context = &promotion};
    if (mw_follow(cli, &follow, &left, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    if (left) {
        (void)fprintf(stderr,
                      "\nStopped watching; the %s goes on. `millwright status` says when "
                      "it is done.\n",
                      verb);
        return 130;
    }
    return say_promotion(cli, &promotion, verb);
}

/* The host has another current folder. Owned by the caller. */
static char *absolute_path(const char *path)
{
    char folder[PATH_MAX];
    return path[0] == '/' || getcwd(folder, sizeof(folder)) == NULL
               ? mw_heap_copy(mw_str_of(path))
               : mw_heap_format("%s/%s", folder, path);
}

int mw_cmd_promote(struct mw_cli *cli)
{
    struct mw_post post;
    const char *to = mw_cli_value(cli, "to");
    bool adopt = mw_cli_has(cli, "adopt-edits"), discard = mw_cli_has(cli, "discard-edits");
    if (to != NULL && to[0] == '\0')
        return mw_cli_usage(cli, "--to wants a folder");
    mw_autofree char *target = to != NULL ? absolute_path(to) : NULL;
    if (to != NULL && !mw_utf8_valid(mw_str_of(target), NULL))
        return mw_cli_usage(cli, "--to wants a folder whose path is UTF-8");
    if (adopt && discard)
        return mw_cli_usage(cli, "--adopt-edits and --discard-edits exclude each other");
    mw_post_begin(&post, "Promote");
    if (cli->arg_count > 0)
        mw_json_kstr(&post.json, "buildId", mw_str_of(cli->args[0]));
    if (to != NULL)
        mw_json_kstr(&post.json, "target", mw_str_of(target));
    if (mw_cli_has(cli, "approve-config"))
        mw_json_kstr(&post.json, "approvedConfig", mw_str_of(mw_cli_value(cli, "approve-config")));
    if (adopt || discard)
        mw_json_kstr(&post.json, "mode", adopt ? MW_STR("adopt-edits") : MW_STR("discard-edits"));
    return promote(cli, &post, "promotion");
}

int mw_cmd_rollback(struct mw_cli *cli)
{
    struct mw_post post;
    mw_post_begin(&post, "Rollback");
    return promote(cli, &post, "rollback");
}

/* ---- the inbox ---- */

/* The field that the question is about: the answer has to name it. Empty when the item cannot be found. */
static struct mw_str field_of(struct mw_cli *cli, const char *item)
{
    struct mw_tape tape;
    uint64_t number = 0;
    struct mw_str id = mw_str_of(item);
    if (mw_link_view_tape(cli, "items", NULL, 0, &tape, NULL) != MW_OK)
        return MW_STR_NONE;
    (void)mw_str_to_u64(id, &number); /* 0 is nobody's number */
    uint32_t rows = mw_node_get(&tape, 0, "items");
    for (uint32_t i = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_first(&tape, rows)
                                                                 : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(&tape, rows, i))
        if (mw_str_eq(mw_node_get_text(&tape, i, "item"), id) ||
            (number > 0 &&
             mw_node_int(&tape, mw_node_get(&tape, i, "number"), 0) == (int64_t)number))
            return mw_node_get_text(&tape, i, "field");
    return MW_STR_NONE;
}

int mw_cmd_answer(struct mw_cli *cli)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_tape tape;
    struct mw_err err = {0};
    const char *file = mw_cli_value(cli, "json"), *files = mw_cli_value(cli, "files");
    if (file != NULL && cli->arg_count == 2)
        return mw_cli_usage(cli, "give the answer as a text, or as an object with --json FILE");
    if (file == NULL && files == NULL && cli->arg_count < 2)
        return mw_cli_usage(cli, "give the answer as a text, as an object with --json FILE, or as "
                                 "files with --files DIR");
    if (file != NULL && mw_file_tape(cli, file, &tape, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_post_begin(&post, "AnswerItem");
    mw_json_kstr(&post.json, "item", mw_str_of(cli->args[0]));
    mw_json_kstr(&post.json, "action", MW_STR("answer"));
    if (files != NULL) {
        mw_autofree char *folder = absolute_path(files);
        mw_json_kstr(&post.json, "files", mw_str_of(folder));
    }
    if (file != NULL) {
        mw_json_knode(&post.json, "payload", &tape, 0);
    } else if (cli->arg_count < 2) {
        mw_json_kobject(&post.json, "payload");
        mw_json_object_end(&post.json);
    } else {
        struct mw_str field = field_of(cli, cli->args[0]);
        mw_json_kobject(&post.json, "payload");
        if (field.len > 0)
            mw_json_kstr(&post.json, "field", field);
        mw_json_kstr(&post.json, "answer", mw_str_of(cli->args[1]));
        mw_json_object_end(&post.json);
    }
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_post_say(cli, "AnswerItem", &posted, "answered; the work goes on");
}

/* A task that no agent could do came to a person: approving lets an agent try again. Anything else that waits goes on. */
int mw_cmd_approve(struct mw_cli *cli)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_tape tape;
    struct mw_err err = {0};
    bool question = false;
    if (mw_link_view_tape(cli, "items", NULL, 0, &tape, &err) == MW_OK) {
        uint32_t rows = mw_node_get(&tape, 0, "items");
        for (uint32_t i = mw_node_type(&tape, rows) == MW_NODE_ARRAY ? mw_node_first(&tape, rows)
                                                                     : MW_NODE_NONE;
             i != MW_NODE_NONE; i = mw_node_after(&tape, rows, i))
            if (mw_str_is(mw_node_get_text(&tape, i, "item"), cli->args[0]))
                question = mw_str_is(mw_node_get_text(&tape, i, "kind"), "question");
    }
    if (question)
        return mw_cli_usage(cli, "item %s is a question: millwright answer %s \"…\"", cli->args[0],
                            cli->args[0]);
    mw_post_begin(&post, "AnswerItem");
    mw_json_kstr(&post.json, "item", mw_str_of(cli->args[0]));
    mw_json_kstr(&post.json, "action", MW_STR("retry"));
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_post_say(cli, "AnswerItem", &posted, "approved; it is tried again");
}

/* ---- agents, runs, coordinators ---- */

int mw_cmd_agent_register(struct mw_cli *cli)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_tape tape;
    struct mw_err err = {0};
    if (mw_file_tape(cli, cli->args[0], &tape, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_post_begin(&post, "RegisterAgent");
    mw_json_knode(&post.json, "agent", &tape, 0);
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_post_say(cli, "RegisterAgent", &posted, "registered");
}

/* Posts what opens a trace of its own, and watches it. */
static int start(struct mw_cli *cli, const char *request, const char *key, const char *file)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_tape tape;
    struct mw_err err = {0};
    if (file != NULL && mw_file_tape(cli, file, &tape, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    mw_post_begin(&post, request);
    mw_json_kstr(&post.json, key, mw_str_of(cli->args[0]));
    mw_json_kstr(&post.json, "source", MW_STR("cli"));
    if (cli->arg_count > 1)
        mw_json_kstr(&post.json, "prompt", mw_str_of(cli->args[1]));
    if (file != NULL)
        mw_json_knode(&post.json, "payload", &tape, 0);
    if (mw_post_send(cli, &post, &posted, &err) != MW_OK)
        return mw_cli_fail(cli, &err);
    return mw_watch_trace(cli, "run", &posted);
}

int mw_cmd_run(struct mw_cli *cli)
{
    return start(cli, "StartRun", "workflow", mw_cli_value(cli, "payload"));
}

int mw_cmd_coordinator_start(struct mw_cli *cli)
{
    const char *file = mw_cli_value(cli, "json");
    if (file == NULL)
        return mw_cli_usage(cli, "a coordinator wants its fragment: --json FILE");
    return start(cli, "StartCoordinator", "coordinator", file);
}
