#include "stage/promote_internal.h"
#include "stage/tree_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the new tree stands, as far as the disk tells. */
enum stands { STANDS_BESIDE, STANDS_IN_TARGET, STANDS_NOWHERE };

static enum mw_rc where_new_stands(const struct mw_promote_place *place,
                                   const struct mw_promote_note *note, enum stands *ret_stands,
                                   struct mw_err *err);
static enum mw_rc go_back(const struct mw_promote_place *place, const char *id, struct mw_err *err);

enum mw_rc mw_promote_recover(int workspace_fd, const char *id, const char *target,
                              enum mw_promote_outcome *ret_outcome,
                              struct mw_promoted *ret_promoted, struct mw_err *err)
{
    struct mw_promote_note note = {0};
    bool noted = false;
    enum mw_rc rc = mw_promote_note_read(workspace_fd, id, &note, &noted, err);
    if (rc != MW_OK)
        return rc;
    struct mw_promote_place place = {.parent_fd = -1};
    rc = mw_promote_place_open(workspace_fd, id, target, &place, err);
    if (rc != MW_OK)
        return rc;
    if (noted)
        memcpy(place.beside, note.beside, sizeof(place.beside));
    enum stands stands = STANDS_BESIDE;
    if (noted && note.done)
        stands = STANDS_IN_TARGET;
    else if (noted)
        rc = where_new_stands(&place, &note, &stands, err);
    /* Without a note the copy was never complete: the target was not touched. */
    if (rc == MW_OK && stands == STANDS_NOWHERE)
        rc =
            MW_FAIL(err, MW_E_CONFLICT,
                    "'%s' and the copy '%s' beside it were both changed after promotion '%s' was "
                    "cut off; nothing was touched: keep the one you want as '%s', remove the other",
                    target, place.beside, id, target);
    else if (rc == MW_OK && stands == STANDS_BESIDE)
        rc = go_back(&place, id, err);
    else if (rc == MW_OK && !note.done)
        rc = fsync(place.parent_fd) != 0 ? MW_FAIL_SYS(err, MW_E_IO, "make '%s' durable", target)
                                         : mw_promote_finish(&place, id, target, &note, err);
    mw_promote_place_close(&place);
    bool forward = stands == STANDS_IN_TARGET;
    *ret_promoted = forward ? note.promoted : (struct mw_promoted){0};
    *ret_outcome = forward ? MW_PROMOTE_FORWARD : MW_PROMOTE_BACK;
    return rc == MW_OK ? mw_promote_sweep(workspace_fd, err) : rc;
}

/* 0: nothing there. */
static enum mw_rc inode_of(int at_fd, const char *path, uint64_t *ret_inode, struct mw_err *err)
{
    struct stat st;
    if (fstatat(at_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *ret_inode = st.st_ino;
    else if (errno == ENOENT || errno == ENOTDIR)
        *ret_inode = 0;
    else
        return MW_FAIL_SYS(err, MW_E_IO, "look at '%s'", path);
    return MW_OK;
}

static enum mw_rc holds(int at_fd, const char *path, const char *sha256, bool *ret_holds,
                        struct mw_err *err)
{
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    enum mw_rc rc = mw_tree_scan(at_fd, path, &observe, &tree, err);
    if (rc == MW_E_IO)
        return rc;
    *ret_holds = false; /* what is not there, or is no folder, is not what we wrote */
    if (rc != MW_OK)
        return MW_OK;
    char found[MW_SHA256_HEX];
    mw_tree_digest(&tree, found);
    mw_tree_free(&tree);
    *ret_holds = strcmp(found, sha256) == 0;
    return MW_OK;
}

/*
 * A folder keeps its inode through an exchange and through edits of what is in it; only a restored backup loses it, and has the digest.
 * A disk that cannot tell ends it: a guess would throw one of the two trees away.
 */
static enum mw_rc where_new_stands(const struct mw_promote_place *place,
                                   const struct mw_promote_note *note, enum stands *ret_stands,
                                   struct mw_err *err)
{
    MW_ASSERT(!note->done);
    const char *sha256 = note->promoted.sha256;
    uint64_t target_inode = 0, beside_inode = 0;
    bool in_target = false, is_beside = false, kept = false;
    char kept_path[MW_VERSION_PATH_MAX];
    mw_version_path(note->number, kept_path);
    enum mw_rc rc = inode_of(place->parent_fd, place->name, &target_inode, err);
    if (rc == MW_OK)
        rc = inode_of(place->parent_fd, place->beside, &beside_inode, err);
    if (rc != MW_OK)
        return rc;
    if (target_inode == note->inode || beside_inode == note->inode) {
        *ret_stands = target_inode == note->inode ? STANDS_IN_TARGET : STANDS_BESIDE;
        return MW_OK;
    }
    rc = holds(place->parent_fd, place->name, sha256, &in_target, err);
    if (rc == MW_OK && !in_target)
        rc = holds(place->parent_fd, place->beside, sha256, &is_beside, err);
    if (rc == MW_OK && note->number != 0)
        rc = mw_is_there(place->workspace_fd, kept_path, &kept, err);
    if (rc != MW_OK)
        return rc;
    *ret_stands = in_target           ? STANDS_IN_TARGET
                  : is_beside         ? STANDS_BESIDE
                  : beside_inode != 0 ? STANDS_NOWHERE
                  : kept              ? STANDS_IN_TARGET
                                      : STANDS_BESIDE;
    return MW_OK;
}

/* The note first: without it the copy is nothing but a leftover, whatever happens to it. */
static enum mw_rc go_back(const struct mw_promote_place *place, const char *id, struct mw_err *err)
{
    enum mw_rc rc = mw_promote_note_remove(place->workspace_fd, id, err);
    if (rc == MW_OK)
        rc = mw_remove_tree(place->parent_fd, place->beside, err);
    if (rc == MW_OK && fsync(place->parent_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the folder of '%s' durable", place->name);
    return rc;
}
