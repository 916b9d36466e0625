/*
 * bundle.h - the staged bundle <workspace>/generated/apps/{app_id}/{build_id}/app: whole or not there, immutable once drafted.
 *
 * Owns:     assembling it, unified diffs between trees.
 * Does not: choose its files, know lineage, promote.
 * Files are 0444 / 0555 (an editor is told no); folders stay writable, so that `clean` can remove the bundle. Promotion checks the bytes again.
 */
#ifndef MW_BUNDLE_H
#define MW_BUNDLE_H

#include "stage/tree.h"

#define MW_BUNDLE_PATH_MAX 512

/* "generated/apps/{app_id}/{build_id}/app", relative to the workspace. MW_E_INPUT when an id is not one plain name. */
MW_MUST enum mw_rc mw_bundle_path(const char *app_id, const char *build_id,
                                  char ret_path[MW_BUNDLE_PATH_MAX], struct mw_err *err);
/* Builds it beside, syncs, renames, syncs the parents. Repeated with the same tree: fine. Another tree under the same ids: MW_E_CONFLICT. */
MW_MUST enum mw_rc mw_bundle_assemble(int workspace_fd, const char *app_id, const char *build_id,
                                      const struct mw_tree *tree, const struct mw_blobs *blobs,
                                      char ret_path[MW_BUNDLE_PATH_MAX], struct mw_err *err);

/* Appends what `diff -ruN old new` says, run in the folder cwd (AR-03); old and new are relative to it and may be absent, which reads as
 * empty. Links are not followed; of one that has nothing beside it on the other side it says "Only in". More than max_bytes is cut there and
 * told by *ret_cut. MW_E_MISSING without the diff program. */
MW_MUST enum mw_rc mw_diff_trees(const char *cwd, const char *old_folder, const char *new_folder,
                                 size_t max_bytes, struct mw_buf *buf, bool *ret_cut,
                                 struct mw_err *err);

#endif
