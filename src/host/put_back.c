#include "host/internal.h"
#include "stage/tree.h"

/* Before a dead letter goes back (P08): what it was given is named by digests, and has to be there still. */

/* The list of files, and every file of it. */
static enum mw_rc has_tree(struct mw_host *host, struct mw_str sha256, struct mw_err *err)
{
    struct mw_tree tree = {0};
    mw_autofree char *name = mw_heap_copy(sha256);
    enum mw_rc rc = mw_tree_load(&host->blobs, name, &tree, err);
    for (uint32_t i = 0; rc == MW_OK && i < tree.count; i++)
        if (!mw_blob_has(&host->blobs, tree.files[i].sha256))
            rc = MW_FAIL(err, MW_E_MISSING, "the body of '%.*s' (%s) is not there",
                         MW_STR_ARG(tree.files[i].path), tree.files[i].sha256);
    mw_tree_free(&tree);
    return rc;
}

enum mw_rc mw_host_has_inputs(struct mw_host *host, const struct mw_tape *tape, struct mw_err *err)
{
    uint32_t list = mw_node_get(tape, 0, "inputs");
    if (mw_node_type(tape, list) != MW_NODE_ARRAY)
        return MW_OK; /* none, or nothing that core would take */
    for (uint32_t at = mw_node_first(tape, list); at != MW_NODE_NONE;
         at = mw_node_after(tape, list, at)) {
        struct mw_str sha256 = mw_node_get_text(tape, at, "filesSha256");
        struct mw_err why = {0};
        if (sha256.len == 0 || has_tree(host, sha256, &why) == MW_OK)
            continue;
        return MW_FAIL(err, MW_E_CORRUPT,
                       "it cannot be put back: of the files that an earlier task (%.*s) made for "
                       "it, %s",
                       MW_STR_ARG(mw_node_get_text(tape, at, "taskType")), why.text);
    }
    return MW_OK;
}
