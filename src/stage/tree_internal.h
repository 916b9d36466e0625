/*
 * tree_internal.h - what the files of a tree share among themselves; nobody outside src/stage includes it.
 */
#ifndef MW_TREE_INTERNAL_H
#define MW_TREE_INTERNAL_H

#include "stage/tree.h"

/* By the bytes of the path, with no check: for a tree that was only observed. */
void mw_tree_sort(struct mw_tree *tree);
/* Opens beneath root_fd without following any link (P17). -1 and errno on failure. */
int mw_open_beneath(int root_fd, const char *path, int flags);
/* Removes what a failure left half made. The failure is what the caller tells; what stays is removed by the next try. */
void mw_clear_away(int at_fd, const char *path);

#endif
