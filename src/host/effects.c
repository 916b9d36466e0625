#include "host/internal.h"
#include "stage/bundle.h"
#include "stage/execonf.h"
#include "stage/promote.h"
#include "stage/scaffold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* STAGE asks: putting a bundle together, and promotion. Both run on a worker thread and answer with one request. */

#define KEEP_VERSIONS 10u
#define SPACE_MS 500u

struct effect {
    uv_work_t work;
    struct mw_host *host;
    struct mw_host_ask *ask;
    mw_seq item;
    bool promotes;
    bool stands; /* the new tree is in the target; what comes after that is not done yet */
    struct mw_arena arena;
    struct mw_tape record;
    char **file_lists;
    uint32_t file_list_count;
    char *expected[2];
    uint32_t expected_count;
    enum mw_rc rc;
    struct mw_err err;
    const char *target; /* borrowed */
    char path[MW_BUNDLE_PATH_MAX];
    char sha256[MW_SHA256_HEX];
    uint64_t file_count, size_bytes;
    size_t kept_bytes; /* of the arena: what one try takes is given back to the next */
};

static const char *text_of(struct effect *effect, const char *key)
{
    uint32_t payload = mw_node_get(&effect->record, 0, "payload");
    return mw_arena_copy(&effect->arena, mw_node_get_text(&effect->record, payload, key)).ptr;
}

static void assemble(struct effect *effect)
{
    struct mw_tree *trees = mw_heap_alloc((effect->file_list_count + 1) * sizeof(*trees));
    const struct mw_tree **list = mw_heap_alloc((effect->file_list_count + 1) * sizeof(*list));
    struct mw_tree whole = {0};
    effect->rc = MW_OK;
    for (uint32_t i = 0; effect->rc == MW_OK && i < effect->file_list_count; i++) {
        effect->rc =
            mw_tree_load(&effect->host->blobs, effect->file_lists[i], &trees[i], &effect->err);
        list[i] = &trees[i];
    }
    if (effect->rc == MW_OK)
        effect->rc = mw_tree_merge(list, effect->file_list_count, &whole, &effect->err);
    if (effect->rc == MW_OK) {
        struct mw_buf text = mw_heap_buf();
        mw_tree_text(&whole, &text);
        effect->rc =
            mw_blob_put(&effect->host->blobs, mw_buf_str(&text), effect->sha256, &effect->err);
        mw_heap_buf_free(&text);
    }
    if (effect->rc == MW_OK)
        effect->rc = mw_bundle_assemble(effect->host->workspace_fd, text_of(effect, "app_id"),
                                        text_of(effect, "buildId"), &whole, &effect->host->blobs,
                                        effect->path, &effect->err);
    effect->file_count = whole.count;
    effect->size_bytes = whole.total_bytes;
    mw_tree_free(&whole);
    for (uint32_t i = 0; i < effect->file_list_count; i++)
        mw_tree_free(&trees[i]);
    free(trees);
    free(list);
}

/* P18: what tools execute by themselves, and does not stand in the target with the same bytes, needs somebody's word for these bytes. */
static enum mw_rc review_config(struct effect *effect, const char *source, const char *target)
{
    int at_fd = effect->host->workspace_fd;
    struct mw_tree tree = {0}, base = {0};
    struct mw_tree_scan observe = {.observe = true};
    struct mw_execonf_list list = {0};
    mw_autoclose int folder = openat(at_fd, source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_tree_source bytes = {.folder_fd = folder, .overlay_fd = -1};
    if (folder < 0)
        return MW_FAIL_SYS(&effect->err, MW_E_IO, "open '%s'", source);
    enum mw_rc rc = mw_tree_scan(at_fd, source, NULL, &tree, &effect->err);
    if (rc == MW_OK && mw_exists(at_fd, target))
        rc = mw_tree_scan(at_fd, target, &observe, &base, &effect->err);
    if (rc == MW_OK)
        rc = mw_execonf_find(&tree, &base, &bytes, &list, &effect->err);
    if (rc == MW_OK)
        rc = mw_execonf_review(&list, text_of(effect, "approvedConfig"), &effect->err);
    mw_execonf_free(&list);
    mw_tree_free(&base);
    mw_tree_free(&tree);
    return rc;
}

/* The accepted bundle; of a rollback, when somebody removed it, the tree that stood in the app root and was kept. */
static const char *source_of(struct effect *effect, bool is_rollback, const char *sha256,
                             char kept[MW_VERSION_PATH_MAX])
{
    struct mw_version_list list;
    const char *path = text_of(effect, "path");
    if (!is_rollback || mw_exists(effect->host->workspace_fd, path) ||
        mw_versions_list(effect->host->workspace_fd, &list, NULL) != MW_OK)
        return path;
    for (uint32_t i = 0; i < list.count; i++) {
        if (strcmp(list.items[i].sha256, sha256) != 0)
            continue;
        mw_version_path(list.items[i].number, kept);
        path = kept;
    }
    mw_versions_free(&list);
    return path;
}

static void promote(struct effect *effect)
{
    const char *mode = text_of(effect, "mode"), *sha256 = text_of(effect, "sha256");
    bool is_rollback = strcmp(mode, "rollback") == 0;
    char kept[MW_VERSION_PATH_MAX], last[MW_SHA256_HEX];
    const char *const last_there[] = {last};
    effect->target = mw_promote_target(effect->host->workspace_fd, text_of(effect, "target"));
    mw_autofree char *id = mw_heap_format("p%lu", (unsigned long)effect->ask->seq);
    mw_autofree char *scaffold = mw_scaffold_folder(effect->host->factory, "default");
    struct mw_promote promotion = {.workspace_fd = effect->host->workspace_fd,
                                   .id = id,
                                   .is_rollback = is_rollback,
                                   .source = source_of(effect, is_rollback, sha256, kept),
                                   .source_sha256 = sha256,
                                   .target = effect->target,
                                   .expected = (const char *const *)effect->expected,
                                   .expected_count = effect->expected_count,
                                   .scaffold = scaffold,
                                   .edits = strcmp(mode, "adopt-edits") == 0     ? MW_EDITS_ADOPT
                                            : strcmp(mode, "discard-edits") == 0 ? MW_EDITS_DISCARD
                                                                                 : MW_EDITS_REFUSE,
                                   .keep_versions = KEEP_VERSIONS};
    struct mw_promoted promoted;
    /* Elsewhere stands what was promoted there, not what the app root holds. */
    if (mw_promote_last(promotion.workspace_fd, promotion.target, last)) {
        promotion.expected = last_there;
        promotion.expected_count = 1;
    }
    effect->rc = effect->stands ? MW_OK
                                : mw_promote_check_target(promotion.workspace_fd, promotion.target,
                                                          &effect->err);
    /* A rollback puts back what was reviewed when it came. */
    if (effect->rc == MW_OK && !effect->stands && !promotion.is_rollback)
        effect->rc = review_config(effect, promotion.source, promotion.target);
    if (effect->rc != MW_OK)
        return;
    effect->rc = mw_promote_run(&promotion, &promoted, &effect->err);
    if (effect->rc == MW_E_IO || effect->rc == MW_E_FULL) {
        /* The exchange may have happened all the same: what stands on the disk says. */
        enum mw_promote_outcome outcome = MW_PROMOTE_BACK;
        struct mw_err err;
        enum mw_rc rc = mw_promote_recover(effect->host->workspace_fd, id, promotion.target,
                                           &outcome, &promoted, &err);
        /* Else nobody knows: what was known stands. */
        if (rc == MW_OK || outcome == MW_PROMOTE_FORWARD)
            effect->stands = outcome == MW_PROMOTE_FORWARD;
        if (rc == MW_OK && effect->stands)
            effect->rc = MW_OK;
        if (outcome == MW_PROMOTE_FORWARD)
            memcpy(effect->sha256, promoted.sha256, sizeof(effect->sha256));
    } else if (effect->rc == MW_OK) {
        memcpy(effect->sha256, promoted.sha256, sizeof(effect->sha256));
    }
}

static void run_effect(uv_work_t *work)
{
    struct effect *effect = work->data;
    effect->arena.used_bytes = effect->kept_bytes;
    if (effect->promotes)
        promote(effect);
    else
        assemble(effect);
}

static void tell(struct effect *effect)
{
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &body);
    mw_json_object(&json);
    if (effect->rc != MW_OK) {
        mw_json_kstr(&json, "error", mw_str_of(effect->err.text));
        mw_json_kstr(&json, "class", mw_str_of(mw_rc_name(effect->rc)));
    }
    mw_json_kstr(&json, "sha256", mw_str_of(effect->sha256));
    if (effect->promotes) {
        mw_json_kstr(&json, "target", mw_str_of(effect->target));
        mw_json_kstr(&json, "root", mw_str_of(effect->target));
    } else {
        mw_json_kstr(&json, "path", mw_str_of(effect->path));
        mw_json_ku64(&json, "fileCount", effect->file_count);
        mw_json_ku64(&json, "sizeBytes", effect->size_bytes);
    }
    mw_json_object_end(&json);
    mw_host_tell(effect->host, effect->promotes ? MW_REQ_RECORD_PROMOTION : MW_REQ_RECORD_STAGE,
                 effect->item, effect->ask->seq, mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

static void after_effect(uv_work_t *work, int status);

static void on_try_again(uv_timer_t *timer)
{
    struct effect *effect = timer->data;
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
    effect->err = (struct mw_err){0};
    (void)uv_queue_work(&effect->host->loop, &effect->work, run_effect, after_effect);
}

/* A full disk fails no build: the bundle waits for space (P10). A promotion is a person's, who hears it; but one that stands is no failure, and
 * the tree that stood there before has to be kept. */
static bool waits_for_space(struct effect *effect)
{
    bool full = effect->rc == MW_E_FULL ||
                (effect->rc != MW_OK &&
                 (effect->err.sys_errno == ENOSPC || effect->err.sys_errno == EDQUOT));
    if (!full || (effect->promotes && !effect->stands) || effect->ask->closed)
        return false;
    uv_timer_t *timer = mw_heap_alloc(sizeof(*timer));
    mw_host_log(effect->host, "warning",
                effect->promotes ? "promotion.waits_for_space" : "bundle.waits_for_space", "%s",
                effect->err.text);
    (void)uv_timer_init(&effect->host->loop, timer);
    timer->data = effect;
    (void)uv_timer_start(timer, on_try_again, SPACE_MS, 0);
    return true;
}

static void after_effect(uv_work_t *work, int status)
{
    struct effect *effect = work->data;
    struct mw_host *host = effect->host;
    (void)status; /* never cancelled */
    if (waits_for_space(effect))
        return;
    if (effect->rc != MW_OK && effect->stands) {
        /* Told as a failure, what stands would be taken for somebody's edit by the next promotion. */
        mw_host_log(host, "error", "promotion.not_finished", "'%s' is promoted, but: %s",
                    effect->target, effect->err.text);
        effect->rc = MW_OK;
    }
    effect->ask->held = false;
    if (effect->ask->closed)
        mw_host_ask_forget(host, effect->ask);
    else
        tell(effect);
    for (uint32_t i = 0; i < effect->file_list_count; i++)
        free(effect->file_lists[i]);
    for (uint32_t i = 0; i < effect->expected_count; i++)
        free(effect->expected[i]);
    free(effect->file_lists);
    mw_heap_arena_free(&effect->arena);
    free(effect);
    host->attempts_running--;
}

/* What may stand in the app root and be replaced unasked (P23): the version that was promoted. Edits that a promotion adopted are still edits,
 * to be carried into the next version too; only a rollback, which carries nothing, takes them with it. */
static struct mw_str untouched_of(const struct mw_session *session, bool rollback)
{
    return session->promoted > 0 && !rollback ? session->builds[session->promoted - 1].bundle_sha256
                                              : session->promoted_sha256;
}

void mw_stage_begin(struct mw_host *host, struct mw_host_ask *ask)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct effect *effect = mw_heap_alloc(sizeof(*effect));
    effect->host = host;
    effect->ask = ask;
    ask->held = true; /* it may be closed meanwhile: a cancelled build */
    effect->item = open->item;
    effect->work.data = effect;
    mw_heap_arena(&effect->arena, strlen(ask->line) * 40 + 65536);
    enum mw_rc rc =
        mw_json_parse(&effect->arena, mw_arena_copy(&effect->arena, mw_str_of(ask->line)),
                      &effect->record, &effect->err);
    MW_ASSERT(rc == MW_OK); /* our own line */
    effect->promotes = mw_str_is(mw_node_get_text(&effect->record, 0, "kind"), "promotion.started");
    const struct mw_item *item = mw_world_item(&host->core.world, open->item);
    const struct mw_trace *trace =
        item != NULL ? mw_world_trace(&host->core.world, item->trace) : NULL;
    if (!effect->promotes && trace != NULL) {
        uint32_t count;
        mw_autofree const struct mw_fact **facts =
            mw_host_facts(trace, MW_SCOPE_TRACE, MW_STR_NONE, &count);
        effect->file_lists = mw_heap_alloc((count + 1) * sizeof(*effect->file_lists));
        for (uint32_t i = 0; i < count; i++)
            effect->file_lists[effect->file_list_count++] = mw_heap_copy(facts[i]->files_sha256);
    }
    struct mw_str untouched = untouched_of(
        &host->core.session, effect->promotes && strcmp(text_of(effect, "mode"), "rollback") == 0);
    if (effect->promotes && untouched.len > 0)
        effect->expected[effect->expected_count++] = mw_heap_copy(untouched);
    host->attempts_running++;
    effect->kept_bytes = effect->arena.used_bytes;
    (void)uv_queue_work(&host->loop, &effect->work, run_effect, after_effect);
}
