/*
 * promote_internal.h - what promotion, its notes and its recovery share; nobody outside src/stage includes it.
 */
#ifndef MW_PROMOTE_INTERNAL_H
#define MW_PROMOTE_INTERNAL_H

#include "stage/promote.h"

#define MW_PROMOTIONS ".millwright/promotions"
#define MW_VERSIONS ".millwright/versions"

/* The new tree's name beside the target begins so. */
#define MW_PROMOTE_BESIDE ".millwright-"
#define MW_PROMOTE_BESIDE_MAX 192
/* Where a promotion happens: the target's parent folder, the target's name in it, and the name of the new tree beside it. */
struct mw_promote_place {
    int workspace_fd; /* borrowed */
    int parent_fd;    /* owned */
    char name[256];
    char beside[MW_PROMOTE_BESIDE_MAX];
};
MW_MUST enum mw_rc mw_promote_place_open(int workspace_fd, const char *id, const char *target,
                                         struct mw_promote_place *ret_place, struct mw_err *err);
void mw_promote_place_close(struct mw_promote_place *place);
/* The name beside a target that several workspaces may have; workspace: its whole path, or "" for the app root, which is nobody else's. */
void mw_promote_beside(const char *id, const char *workspace,
                       char ret_beside[MW_PROMOTE_BESIDE_MAX]);

/* .millwright/promotions/{id}.json: written when the new tree stands complete beside the target, and again when all is done. */
struct mw_promote_note {
    bool done;
    uint64_t inode; /* of the new tree's folder: it keeps it through the exchange */
    char source_sha256[MW_SHA256_HEX]; /* "" in a note from before it stood there */
    uint32_t number; /* under which the old tree is kept; 0: it is not (absent or empty) */
    char beside
        [MW_PROMOTE_BESIDE_MAX]; /* its name then: the workspace may be moved before recovery */
    struct mw_promoted promoted;
};
/* *ret_there false when there is none. */
MW_MUST enum mw_rc mw_promote_note_read(int workspace_fd, const char *id,
                                        struct mw_promote_note *ret_note, bool *ret_there,
                                        struct mw_err *err);
MW_MUST enum mw_rc mw_promote_note_write(int workspace_fd, const char *id, const char *target,
                                         const struct mw_promote_note *note, struct mw_err *err);
MW_MUST enum mw_rc mw_promote_note_remove(int workspace_fd, const char *id, struct mw_err *err);
/* Removes the half written notes, records and manifests that a crash left: nobody else promotes now. */
MW_MUST enum mw_rc mw_promote_sweep(int workspace_fd, struct mw_err *err);
/* Manifests of what was promoted, by digest: they name the edits later. MW_E_MISSING when there is none. */
MW_MUST enum mw_rc mw_promote_tree_save(int workspace_fd, const struct mw_tree *tree,
                                        const char *sha256, struct mw_err *err);
MW_MUST enum mw_rc mw_promote_tree_load(int workspace_fd, const char *sha256,
                                        struct mw_tree *ret_tree, struct mw_err *err);

MW_MUST enum mw_rc mw_version_next(int workspace_fd, uint32_t *ret_number, struct mw_err *err);
/* Moves the old tree from beside the target to its number. Repeatable. */
MW_MUST enum mw_rc mw_version_keep(const struct mw_promote_place *place, const char *id,
                                   const struct mw_promote_note *note, struct mw_err *err);
MW_MUST enum mw_rc mw_versions_prune(int workspace_fd, uint32_t keep_count, struct mw_err *err);

/* The tail after the exchange: keep the old tree, note that it is done. Repeatable. */
MW_MUST enum mw_rc mw_promote_finish(const struct mw_promote_place *place, const char *id,
                                     const char *target, struct mw_promote_note *note,
                                     struct mw_err *err);
bool mw_promote_id_is_plain(const char *id);

#endif
