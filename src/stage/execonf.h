/*
 * execonf.h - executable configuration (P18): files that tools run or obey on their own, without anybody asking.
 *
 * Owns:     the list of such files and why each is on it; the check that each new or changed one was approved with exactly these bytes.
 * Does not: ask anybody.
 */
#ifndef MW_EXECONF_H
#define MW_EXECONF_H

#include "stage/tree.h"

/* Who would run it, or NULL for an ordinary file. content matters only for package.json (its install-time scripts); without content
 * (ptr NULL) it is on the list. Names are compared without case. */
const char *mw_execonf_why(struct mw_str path, struct mw_str content);

struct mw_execonf {
    struct mw_str path; /* borrowed from the tree */
    const char *sha256; /* borrowed from the tree */
    const char *why;    /* static */
};
struct mw_execonf_list {
    struct mw_execonf *items; /* owned */
    uint32_t count;
};
/* The executable configuration of tree that base (may be NULL) does not hold with the same bytes. */
MW_MUST enum mw_rc mw_execonf_find(const struct mw_tree *tree, const struct mw_tree *base,
                                   const struct mw_tree_source *source,
                                   struct mw_execonf_list *ret_list, struct mw_err *err);
void mw_execonf_free(struct mw_execonf_list *list);
/* One digest over every path and its bytes, in the tree's order: what a person's word holds for. Empty list: that of nothing. */
void mw_execonf_digest(const struct mw_execonf_list *list, char ret_sha256[MW_SHA256_HEX]);
/* MW_OK when the list is empty or `approved` is its digest; else MW_E_DENIED, naming files, reasons and the digest. */
MW_MUST enum mw_rc mw_execonf_review(const struct mw_execonf_list *list, const char *approved,
                                     struct mw_err *err);
/* approved: files as a person approved them (path and sha256). One that is not there with these bytes: MW_E_WAITING naming each. */
MW_MUST enum mw_rc mw_execonf_check(const struct mw_execonf_list *list,
                                    const struct mw_tree *approved, struct mw_err *err);

#endif
