/*
 * promote.h - the only thing that changes an app root: all or nothing (P12), and never over a person's work unasked (P23).
 *
 * Order: note (digests, in .millwright/promotions) after the new tree is complete and synced beside the target; one RENAME_EXCHANGE; sync of
 * the parent; the old tree goes to .millwright/versions/{n}. Rollback is the same operation with a kept version as the source.
 * Owns:     the order, the guard, kept versions, recovery.
 * Does not: write the intent record (the journal's; its id comes in), ask people, touch <workspace>/data.
 * One promotion at a time in a workspace: the caller's business. See docs/promotion.md.
 */
#ifndef MW_PROMOTE_H
#define MW_PROMOTE_H

#include "stage/tree.h"

enum mw_promote_edits_mode {
    MW_EDITS_REFUSE, /* an edited root: MW_E_DENIED, naming what was added, changed, removed */
    MW_EDITS_ADOPT, /* edits that the new version did not touch are carried into it; others: MW_E_CONFLICT naming them */
    MW_EDITS_DISCARD, /* replaced; the edited tree is kept as a version that is never pruned */
};

struct mw_promote {
    int workspace_fd;
    const char *
        id; /* borrowed: the intent's, one plain name; the same id again continues or repeats the answer */
    const char *source;        /* borrowed: folder, relative to the workspace or absolute */
    const char *source_sha256; /* borrowed: tree digest that was accepted */
    const char *target;        /* borrowed: "app", or an absolute folder (--to) */
    const char *const *
        expected; /* borrowed: digests that may be replaced (the last promotion's to this target) */
    uint32_t expected_count;
    const char
        *scaffold; /* borrowed: folder of the untouched scaffold (mw_scaffold_folder); NULL: none */
    enum mw_promote_edits_mode edits;
    bool
        is_rollback; /* a refusal names what can be done about edits: rollback itself takes no word about them */
    uint32_t
        keep_versions; /* older kept versions are removed, but never edited ones; 0: keep all */
};

struct mw_promoted {
    char sha256[MW_SHA256_HEX];          /* what stands in the target now */
    char previous_sha256[MW_SHA256_HEX]; /* what stood there; "" when nothing did */
    uint32_t
        previous_version; /* under .millwright/versions; 0: nothing stood there, or the same tree did */
    bool edited;          /* what stood there was somebody's edit */
    bool unchanged;       /* the target already held this tree */
};

/* "app" when the folder that target names is the workspace's app root by its whole path, else target. */
const char *mw_promote_target(int workspace_fd, const char *target);
/* Before anything is read or copied: whether something can be put there. MW_E_USAGE: no folder, or no place for one; MW_E_MISSING: the folder
 * above it; MW_E_DENIED: it holds the workspace or a home, lies in the workspace, or may not be written. */
MW_MUST enum mw_rc mw_promote_check_target(int workspace_fd, const char *target,
                                           struct mw_err *err);

/* MW_E_DENIED, MW_E_CONFLICT (see above), MW_E_CORRUPT (the source is not what was accepted), MW_E_MISSING (no source; or the file system
 * cannot exchange folders), MW_E_FULL, MW_E_IO: the target is what it was, and nothing is left beside it. Only when the disk fails after the
 * exchange (MW_E_IO, MW_E_FULL) does the new tree stand already: on those two ask mw_promote_recover what stands. */
MW_MUST enum mw_rc mw_promote_run(const struct mw_promote *promote,
                                  struct mw_promoted *ret_promoted, struct mw_err *err);

enum mw_promote_outcome {
    MW_PROMOTE_BACK,    /* never happened: the old tree stands; record a failure or run it again */
    MW_PROMOTE_FORWARD, /* happened: the new tree stands; record the promotion */
};
/* After a crash, for an intent without an end: decides from the note and from what stands on the disk, finishes or clears away. Repeatable.
 * MW_E_CONFLICT: somebody changed both trees meanwhile; nothing was touched.
 * MW_E_IO, MW_E_FULL with *ret_outcome FORWARD: the new tree stands, and what is left to do can be done by another call. */
MW_MUST enum mw_rc mw_promote_recover(int workspace_fd, const char *id, const char *target,
                                      enum mw_promote_outcome *ret_outcome,
                                      struct mw_promoted *ret_promoted, struct mw_err *err);

/* Digest of the version that the newest finished promotion to this absolute folder put there, without the edits that it adopted: what the next
 * one may replace. false: none is known of. */
bool mw_promote_last(int workspace_fd, const char *target, char ret_sha256[MW_SHA256_HEX]);

/* How the target differs from what was put there. */
struct mw_promote_edits {
    struct mw_tree base;                /* owned; empty when unknown */
    struct mw_tree current;             /* owned */
    struct mw_tree_diff diff;           /* owned; of the two */
    char current_sha256[MW_SHA256_HEX]; /* "" when the target is absent or has no files */
    bool edited;
};
/* Uses workspace_fd, target, expected, scaffold and source_sha256 (NULL: nothing is to be put there) only. */
MW_MUST enum mw_rc mw_promote_look(const struct mw_promote *promote,
                                   struct mw_promote_edits *ret_edits, struct mw_err *err);
void mw_promote_edits_free(struct mw_promote_edits *edits);

/* Kept versions, oldest first. */
struct mw_version {
    uint32_t number;
    char sha256[MW_SHA256_HEX];
    char promotion[128]; /* id of the promotion that replaced it */
    bool edited;
};
struct mw_version_list {
    struct mw_version *items; /* owned */
    uint32_t count;
};
MW_MUST enum mw_rc mw_versions_list(int workspace_fd, struct mw_version_list *ret_list,
                                    struct mw_err *err);
void mw_versions_free(struct mw_version_list *list);
/* ".millwright/versions/{n}": the source of a rollback. */
#define MW_VERSION_PATH_MAX 64
void mw_version_path(uint32_t number, char ret_path[MW_VERSION_PATH_MAX]);

#endif
