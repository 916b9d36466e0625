#include "host/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * The files that a person brings with an answer (FH-11): a folder of this machine, taken as an agent's folder is. What is new or changed in it
 * is theirs; what they leave out of what the task was given stays as it is.
 */

#define NAMES_MAX 4u
#define ARENA_BYTES ((size_t)16 << 20)

struct brought {
    struct mw_host *host;
    struct mw_api_call *call;
    mw_files_taken *taken;
    uv_work_t work;
    struct mw_arena arena; /* owned: everything below that is a text */
    char *folder, *body;   /* owned */
    char **inputs;         /* owned: lists of files that the task was given */
    uint32_t input_count;
    struct mw_str *owns;
    uint32_t owns_count;
    char sha256[MW_SHA256_HEX];
    enum mw_rc rc;
    struct mw_err err;
};

static void take(uv_work_t *work);
static void after_take(uv_work_t *work, int status);

static void read_task(struct brought *brought, mw_seq item)
{
    const struct mw_core *core = &brought->host->core;
    struct mw_task_needs needs;
    struct mw_str why;
    if (!mw_work_needs(&core->world, &core->work, &brought->arena, item, &needs, &why))
        return; /* nothing waits there: core says so, or that it was answered by the same words */
    brought->owns_count = needs.owns_count;
    brought->owns = mw_arena_array(&brought->arena, struct mw_str, needs.owns_count + 1);
    for (uint32_t i = 0; i < needs.owns_count; i++)
        brought->owns[i] = mw_arena_copy(&brought->arena, needs.owns[i]);
    if (needs.def->inputs == MW_INPUTS_NONE)
        return;
    mw_seq scope = needs.def->inputs == MW_INPUTS_TRACE ? MW_SCOPE_TRACE : needs.scope;
    mw_autofree const struct mw_fact **facts =
        mw_host_facts(needs.trace, scope, MW_STR_NONE, &brought->input_count);
    brought->inputs = mw_heap_alloc((brought->input_count + 1) * sizeof(*brought->inputs));
    for (uint32_t i = 0; i < brought->input_count; i++)
        brought->inputs[i] = mw_heap_copy(facts[i]->files_sha256);
}

void mw_answer_files_begin(struct mw_host *host, mw_seq item, struct mw_str folder,
                           struct mw_str body, struct mw_api_call *call, mw_files_taken *taken)
{
    struct brought *brought = mw_heap_alloc(sizeof(*brought));
    brought->host = host;
    brought->call = call;
    brought->taken = taken;
    brought->folder = mw_heap_copy(folder);
    brought->body = mw_heap_copy(body);
    brought->work.data = brought;
    mw_heap_arena(&brought->arena, ARENA_BYTES);
    read_task(brought, item);
    host->attempts_running++; /* the host does not leave before it is answered */
    (void)uv_queue_work(&host->loop, &brought->work, take, after_take);
}

static void after_take(uv_work_t *work, int status)
{
    struct brought *brought = work->data;
    (void)status; /* never cancelled */
    brought->host->attempts_running--;
    brought->taken(brought->host, mw_str_of(brought->body), brought->sha256,
                   brought->rc == MW_OK ? NULL : &brought->err, brought->call);
    for (uint32_t i = 0; i < brought->input_count; i++)
        free(brought->inputs[i]);
    free(brought->inputs);
    mw_heap_arena_free(&brought->arena);
    free(brought->folder);
    free(brought->body);
    free(brought);
}

/* ---- on a thread of its own ---- */

static enum mw_rc read_given(struct brought *brought, struct mw_tree *ret_base)
{
    struct mw_tree *trees = mw_heap_alloc((brought->input_count + 1) * sizeof(*trees));
    const struct mw_tree **list = mw_heap_alloc((brought->input_count + 1) * sizeof(*list));
    enum mw_rc rc = MW_OK;
    for (uint32_t i = 0; rc == MW_OK && i < brought->input_count; i++) {
        rc = mw_tree_load(&brought->host->blobs, brought->inputs[i], &trees[i], &brought->err);
        list[i] = &trees[i];
    }
    if (rc == MW_OK)
        rc = mw_tree_merge(list, brought->input_count, ret_base, &brought->err);
    for (uint32_t i = 0; i < brought->input_count; i++)
        mw_tree_free(&trees[i]);
    free(trees);
    free(list);
    return rc;
}

static enum mw_rc refuse_others(struct brought *brought, const struct mw_buf *others)
{
    struct mw_buf patterns = mw_heap_buf();
    for (uint32_t i = 0; i < brought->owns_count; i++)
        mw_buf_printf(&patterns, "%s%.*s", i > 0 ? ", " : "", MW_STR_ARG(brought->owns[i]));
    enum mw_rc rc =
        brought->owns_count == 0
            ? MW_FAIL(&brought->err, MW_E_INPUT, "this task makes no files: answer without them")
            : MW_FAIL(
                  &brought->err, MW_E_INPUT,
                  "not this task's to make: %.*s; '%s' may hold %.*s, by their paths in the app",
                  MW_STR_ARG(mw_buf_str(others)), brought->folder,
                  MW_STR_ARG(mw_buf_str(&patterns)));
    mw_heap_buf_free(&patterns);
    return rc;
}

/* What is new or changed, all of it the task's to write. */
static enum mw_rc choose(struct brought *brought, const struct mw_tree *base,
                         const struct mw_tree *found, struct mw_tree *ret_changed)
{
    struct mw_tree_diff diff = {0};
    struct mw_buf others = mw_heap_buf();
    uint32_t other_count = 0;
    mw_tree_compare(base, found, &diff);
    for (uint32_t i = 0; i < diff.count; i++) {
        const struct mw_tree_change *change = &diff.changes[i];
        if (change->after == NULL)
            continue;
        if (mw_tree_owns(brought->owns, brought->owns_count, change->path))
            mw_tree_add(ret_changed, change->after);
        else if (other_count++ < NAMES_MAX)
            mw_buf_printf(&others, "%s%.*s", other_count > 1 ? ", " : "", MW_STR_ARG(change->path));
    }
    if (other_count > NAMES_MAX)
        mw_buf_printf(&others, " (and %u more)", other_count - NAMES_MAX);
    enum mw_rc rc = other_count > 0 ? refuse_others(brought, &others)
                                    : mw_tree_seal(ret_changed, &brought->err);
    if (rc == MW_OK && ret_changed->count == 0)
        rc = MW_FAIL(&brought->err, MW_E_INPUT,
                     "'%s' has no file that is new or changed: there is nothing to take",
                     brought->folder);
    mw_heap_buf_free(&others);
    mw_tree_diff_free(&diff);
    return rc;
}

static enum mw_rc look(struct brought *brought)
{
    struct stat info;
    if (brought->folder[0] != '/')
        return MW_FAIL(&brought->err, MW_E_INPUT, "'%s' is no absolute path", brought->folder);
    if (stat(brought->folder, &info) != 0)
        return MW_FAIL_SYS(&brought->err, MW_E_INPUT, "look at '%s'", brought->folder);
    if (!S_ISDIR(info.st_mode))
        return MW_FAIL(&brought->err, MW_E_INPUT,
                       "'%s' is no folder: name the one that holds the files by their paths in "
                       "the app",
                       brought->folder);
    return MW_OK;
}

/* Twice: nothing is kept of a folder that is refused. */
static enum mw_rc scan(struct brought *brought, const struct mw_tree *base, bool keep)
{
    const struct mw_str ignored[] = {MW_STR("node_modules/**"), MW_STR(".probe/**")};
    struct mw_tree_scan options = {.blobs = keep ? &brought->host->blobs : NULL,
                                   .ignore = ignored,
                                   .ignore_count = MW_COUNT(ignored)};
    struct mw_tree found = {0}, changed = {0};
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_tree_scan(AT_FDCWD, brought->folder, &options, &found, &brought->err);
    if (rc == MW_OK)
        rc = choose(brought, base, &found, &changed);
    mw_tree_text(&changed, &text);
    if (rc == MW_OK && keep) /* durable before the record that names it (P22) */
        rc = mw_blob_put(&brought->host->blobs, mw_buf_str(&text), brought->sha256, &brought->err);
    mw_heap_buf_free(&text);
    mw_tree_free(&changed);
    mw_tree_free(&found);
    return rc;
}

static void take(uv_work_t *work)
{
    struct brought *brought = work->data;
    struct mw_tree base = {0};
    if (brought->owns == NULL)
        return;
    brought->rc = look(brought);
    if (brought->rc == MW_OK)
        brought->rc = read_given(brought, &base);
    for (int keep = 0; brought->rc == MW_OK && keep < 2; keep++)
        brought->rc = scan(brought, &base, keep == 1);
    mw_tree_free(&base);
    /* What the folder is like is the caller's to mend; only a full disk is ours. */
    if (brought->rc == MW_E_IO || brought->rc == MW_E_DENIED || brought->rc == MW_E_LIMIT ||
        brought->rc == MW_E_MISSING)
        brought->rc = brought->err.rc = MW_E_INPUT;
}
