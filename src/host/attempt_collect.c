#include "agent/leftovers.h"
#include "host/attempt.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PAYLOAD_KEPT_BYTES 1024u
/* Of a log that is looked through for secrets: the last that are kept, and those before them in which one may begin. */
#define LOG_BYTES_MAX ((size_t)1 << 20)
#define LOG_BEFORE_BYTES 65536u
#define VIOLATIONS_BYTES_MAX 3072u /* core keeps evidence of 8 KiB at most, or none */

/* The manifest of what it added or changed; what it removed or had no right to touch is a violation. */
static enum mw_rc compare(struct mw_run_attempt *attempt, const struct mw_tree *after)
{
    if (attempt->owns_count == 0)
        return MW_OK; /* its answer is words: what it jotted down in its folder is nobody's */
    struct mw_tree_diff diff = {0}, forbidden = {0};
    struct mw_tree changed = {0};
    struct mw_buf text = mw_heap_buf();
    mw_tree_compare(&attempt->base, after, &diff);
    mw_tree_violations(&diff, attempt->owns, attempt->owns_count, &forbidden);
    if (forbidden.count > 0)
        attempt->violations_left_out =
            mw_tree_diff_json(&forbidden, VIOLATIONS_BYTES_MAX, &attempt->violations);
    for (uint32_t i = 0; i < diff.count; i++)
        if (diff.changes[i].after != NULL)
            mw_tree_add(&changed, diff.changes[i].after);
    attempt->changed_count = changed.count;
    enum mw_rc rc = mw_tree_seal(&changed, &attempt->err);
    if (rc == MW_OK && changed.count > 0) {
        mw_tree_text(&changed, &text);
        rc = mw_blob_put(&attempt->host->blobs, mw_buf_str(&text), attempt->files_sha256,
                         &attempt->err);
    }
    mw_heap_buf_free(&text);
    mw_tree_free(&changed);
    mw_tree_diff_free(&diff);
    mw_tree_diff_free(&forbidden);
    return rc;
}

/* Nothing is kept with a secret in it, and what is no JSON without it cannot be kept at all: two members may be of one name then. */
static enum mw_rc mask_json(struct mw_run_attempt *attempt, struct mw_str *text)
{
    struct mw_buf masked = mw_heap_buf();
    struct mw_arena arena;
    struct mw_tape tape;
    enum mw_rc rc = MW_OK;
    if (mw_mask_text(attempt->host->mask, *text, &masked)) {
        *text = mw_arena_copy(&attempt->arena, mw_buf_str(&masked));
        mw_heap_arena(&arena, text->len * 40 + 65536);
        if (mw_json_parse(&arena, *text, &tape, NULL) != MW_OK) {
            attempt->outcome.verdict = MW_ANSWER_BAD_SHAPE; /* nor is it evidence, late */
            rc = MW_FAIL(&attempt->err, MW_E_DENIED,
                         "the answer is none any more without the secret that is in it");
        }
        mw_heap_arena_free(&arena);
    }
    mw_heap_buf_free(&masked);
    return rc;
}

/* P22: bodies are durable before the record that names them. */
static enum mw_rc keep_payload(struct mw_run_attempt *attempt)
{
    enum mw_rc rc = mask_json(attempt, &attempt->outcome.payload);
    if (rc == MW_OK && attempt->outcome.usage.len > 0)
        rc = mask_json(attempt, &attempt->outcome.usage);
    if (rc != MW_OK)
        return rc;
    struct mw_str payload = attempt->outcome.payload;
    if (attempt->outcome.verdict != MW_ANSWER_RESULT ||
        (payload.len <= PAYLOAD_KEPT_BYTES && !attempt->wants_document))
        return MW_OK;
    return mw_blob_put(&attempt->host->blobs, payload, attempt->payload_sha256, &attempt->err);
}

/* The log of who was given secrets is kept without them; one that cannot be written so is not kept. */
static void mask_log(const struct mw_run_attempt *attempt)
{
    if (attempt->agent.secret_count == 0)
        return;
    mw_autofree char *path = mw_attempt_path(attempt, "stderr.log");
    struct mw_buf text = mw_heap_buf();
    struct mw_err err;
    uint64_t left_out = 0;
    bool read = mw_attempt_log(attempt, LOG_BYTES_MAX, &text, &left_out);
    bool found = read && mw_attempt_mask(attempt, &text);
    struct mw_str kept =
        mw_str_sub(mw_buf_str(&text), left_out > 0 ? LOG_BEFORE_BYTES : 0, SIZE_MAX);
    if (!read ||
        ((found || left_out > 0) && mw_file_put(AT_FDCWD, path, kept, 0600, &err) != MW_OK))
        (void)unlink(path);
    mw_heap_buf_free(&text);
}

void mw_attempt_collect(uv_work_t *work)
{
    struct mw_run_attempt *attempt = work->data;
    const struct mw_str ignored[] = {MW_STR("node_modules/**"), MW_STR(".probe/**")};
    struct mw_tree_limits limits = mw_tree_limits_default;
    if (attempt->agent.files_max > 0)
        limits.files_max = attempt->agent.files_max + attempt->base.count;
    struct mw_tree_scan options = {.limits = &limits,
                                   .blobs = &attempt->host->blobs,
                                   .ignore = ignored,
                                   .ignore_count = MW_COUNT(ignored)};
    struct mw_tree after = {0};
    mw_autofree char *pid_file = mw_attempt_path(attempt, "pid");
    bool answered =
        attempt->outcome.verdict == MW_ANSWER_RESULT ||
        (attempt->agent.answers_by_diff && attempt->report.exited &&
         attempt->report.exit_code == 0 && attempt->report.killed == MW_EXEC_NOT_KILLED);
    enum mw_leftover found;
    attempt->rc = MW_OK;
    if (attempt->report.error == MW_EXEC_NO_REPORT) { /* nobody ended what the killed stub ran */
        if (attempt->pid_unwritten)
            attempt->rc = mw_leftover_write(pid_file, &attempt->child, &attempt->err);
        if (attempt->rc == MW_OK)
            attempt->rc = mw_leftover_end(pid_file, 0, &found, &attempt->err);
    }
    if (attempt->rc == MW_OK)
        mw_leftover_forget(pid_file);
    mask_log(attempt);
    if (attempt->rc != MW_OK || attempt->over)
        return;
    if (!answered)
        return;
    if (!mw_attempt_is_words(attempt))
        attempt->rc = mw_tree_scan(
            AT_FDCWD, mw_arena_format(&attempt->arena, "%s/files", attempt->folder).ptr, &options,
            &after, &attempt->err);
    if (attempt->rc == MW_OK)
        attempt->rc = compare(attempt, &after);
    if (attempt->rc == MW_OK)
        attempt->rc = keep_payload(attempt);
    mw_tree_free(&after);
    mw_attempt_folder_tidy(attempt);
}
