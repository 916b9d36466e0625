#include "stage/promote_internal.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct split {
    char parent[PATH_MAX];
    char name[256];
    char workspace[PATH_MAX]; /* its whole path; "" when the target is the app root */
};
static enum mw_rc split_target(int workspace_fd, const char *target, struct split *ret_split,
                               struct mw_err *err);
static enum mw_rc fail_parent(const char *folder, struct mw_err *err);
static enum mw_rc check_target(const char *workspace, const char *parent, const char *name,
                               struct mw_err *err);
static enum mw_rc look_at_tree(const struct mw_promote *promote, struct mw_promote_edits *edits,
                               struct mw_err *err);
static enum mw_rc load_base(const struct mw_promote *promote, const struct mw_tree *scaffold,
                            struct mw_tree *ret_base, struct mw_err *err);

bool mw_promote_id_is_plain(const char *id)
{
    struct mw_str name = mw_str_of(id);
    return name.len <= 100 && mw_path_is_plain(name) && mw_str_find(name, '/', 0) == SIZE_MAX;
}

/* Ids are one workspace's own; a folder elsewhere may be the target of several. */
void mw_promote_beside(const char *id, const char *workspace,
                       char ret_beside[MW_PROMOTE_BESIDE_MAX])
{
    char sha256[MW_SHA256_HEX];
    mw_sha256_hex(mw_str_of(workspace), sha256);
    bool own = workspace[0] == '\0';
    (void)snprintf(ret_beside, MW_PROMOTE_BESIDE_MAX, MW_PROMOTE_BESIDE "%s%s%.16s", id,
                   own ? "" : "-", own ? "" : sha256); /* fits: id <= 100 */
}

enum mw_rc mw_promote_place_open(int workspace_fd, const char *id, const char *target,
                                 struct mw_promote_place *ret_place, struct mw_err *err)
{
    struct split split;
    struct mw_promote_place place = {.workspace_fd = workspace_fd, .parent_fd = -1};
    if (!mw_promote_id_is_plain(id))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a plain id for a promotion", id);
    enum mw_rc rc = split_target(workspace_fd, target, &split, err);
    if (rc != MW_OK)
        return rc;
    memcpy(place.name, split.name, sizeof(place.name));
    mw_promote_beside(id, split.workspace, place.beside);
    place.parent_fd = openat(workspace_fd, split.parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place.parent_fd < 0)
        return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : MW_E_IO, "open the folder '%s'",
                           split.parent);
    *ret_place = place;
    return MW_OK;
}

void mw_promote_place_close(struct mw_promote_place *place)
{
    mw_autoclose_fd(&place->parent_fd);
    place->parent_fd = -1;
}

static const struct split app = {.parent = ".", .name = "app"};

/* The app root is named alike however it was said. */
static enum mw_rc split_target(int workspace_fd, const char *target, struct split *ret_split,
                               struct mw_err *err)
{
    if (strcmp(target, "app") == 0) {
        *ret_split = app;
        return MW_OK;
    }
    size_t len = strlen(target);
    while (len > 1 && target[len - 1] == '/')
        len--;
    size_t slash = len;
    while (slash > 0 && target[slash - 1] != '/')
        slash--;
    struct mw_str name = {target + slash, len - slash};
    if (len >= PATH_MAX || name.len > NAME_MAX)
        return MW_FAIL(
            err, MW_E_USAGE,
            "the target's path is too long: %zu bytes, its last name %zu; at most %d and "
            "%d",
            len, name.len, PATH_MAX - 1, NAME_MAX);
    if (target[0] != '/' || !mw_path_is_plain(name))
        return MW_FAIL(err, MW_E_USAGE,
                       "'%s' is not a target: 'app' or an absolute folder is, by a path that ends "
                       "in its name",
                       target);
    mw_autofree char *folder = mw_heap_copy((struct mw_str){target, slash});
    struct split split = {.parent = ""};
    char self[64];
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", workspace_fd); /* fits */
    if (realpath(folder, split.parent) == NULL)
        return fail_parent(folder, err);
    if (realpath(self, split.workspace) == NULL)
        return MW_FAIL_SYS(err, MW_E_IO, "find the workspace's path");
    memcpy(split.name, name.ptr, name.len);
    if (strcmp(split.name, "app") == 0 && strcmp(split.parent, split.workspace) == 0) {
        *ret_split = app;
        return MW_OK;
    }
    enum mw_rc rc = check_target(split.workspace, split.parent, split.name, err);
    if (rc == MW_OK)
        *ret_split = split;
    return rc;
}

/* What is wrong with the folder that the target would lie in, and what would be right. */
static enum mw_rc fail_parent(const char *folder, struct mw_err *err)
{
    switch (errno) {
    case ENOENT:
        return MW_FAIL_SYS(err, MW_E_MISSING,
                           "the target would lie in '%s', which has to be there before", folder);
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return MW_FAIL_SYS(err, MW_E_USAGE,
                           "the target would lie in '%s', and only a folder can hold it", folder);
    case EACCES:
        return MW_FAIL_SYS(err, MW_E_DENIED, "the target would lie in '%s'", folder);
    default:
        return MW_FAIL_SYS(err, MW_E_IO, "open the folder '%s'", folder);
    }
}

enum mw_rc mw_promote_check_target(int workspace_fd, const char *target, struct mw_err *err)
{
    struct mw_promote_place place = {.parent_fd = -1};
    struct stat info;
    if (strcmp(target, "app") == 0)
        return MW_OK;
    enum mw_rc rc = mw_promote_place_open(workspace_fd, "look", target, &place, err);
    if (rc != MW_OK)
        return rc;
    /* As whoever we are, not as whoever started us. */
    if (faccessat(place.parent_fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        rc = MW_FAIL_SYS(err, MW_E_DENIED, "nothing can be made beside '%s'", target);
    else if (fstatat(place.parent_fd, place.name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
             !S_ISDIR(info.st_mode))
        rc = MW_FAIL(err, MW_E_USAGE, "'%s' is %s: name a folder that is empty or not there yet",
                     target, S_ISLNK(info.st_mode) ? "a link" : "no folder");
    mw_promote_place_close(&place);
    return rc;
}

const char *mw_promote_target(int workspace_fd, const char *target)
{
    struct split split;
    struct mw_err ignored; /* whoever opens it next says what is wrong with it */
    return split_target(workspace_fd, target, &split, &ignored) == MW_OK &&
                   strcmp(split.parent, app.parent) == 0
               ? "app"
               : target;
}

/* A whole folder is moved aside by a promotion: never one that holds the workspace or lies in it, never a home. */
static enum mw_rc check_target(const char *workspace, const char *parent, const char *name,
                               struct mw_err *err)
{
    mw_autofree char *whole =
        mw_heap_format("%s/%s/", strcmp(parent, "/") == 0 ? "" : parent, name);
    mw_autofree char *inside = mw_heap_format("%s/", strcmp(workspace, "/") == 0 ? "" : workspace);
    const char *home = getenv("HOME");
    mw_autofree char *home_inside = mw_heap_format("%s/", home != NULL ? home : "");
    if (mw_str_starts(mw_str_of(inside), mw_str_of(whole)) ||
        mw_str_starts(mw_str_of(whole), mw_str_of(inside)) ||
        (home != NULL && home[0] == '/' && mw_str_starts(mw_str_of(home_inside), mw_str_of(whole))))
        return MW_FAIL(err, MW_E_DENIED,
                       "'%s' cannot be a target: it holds the workspace or a home, or lies in the "
                       "workspace",
                       whole);
    return MW_OK;
}

enum mw_rc mw_promote_look(const struct mw_promote *promote, struct mw_promote_edits *ret_edits,
                           struct mw_err *err)
{
    struct mw_promote_edits edits = {0};
    enum mw_rc rc = look_at_tree(promote, &edits, err);
    if (rc == MW_OK)
        *ret_edits = edits;
    else
        mw_promote_edits_free(&edits);
    return rc;
}

static enum mw_rc look_at_tree(const struct mw_promote *promote, struct mw_promote_edits *edits,
                               struct mw_err *err)
{
    struct mw_promote_place place = {.parent_fd = -1};
    struct mw_tree_scan observe = {.observe = true};
    enum mw_rc rc =
        mw_promote_place_open(promote->workspace_fd, "look", promote->target, &place, err);
    if (rc != MW_OK)
        return rc;
    bool there = false;
    rc = mw_is_there(place.parent_fd, place.name, &there, err);
    if (rc == MW_OK && there)
        rc = mw_tree_scan(place.parent_fd, place.name, &observe, &edits->current, err);
    mw_promote_place_close(&place);
    if (rc != MW_OK || edits->current.count == 0)
        return rc;
    mw_tree_digest(&edits->current, edits->current_sha256);
    for (uint32_t i = 0; i < promote->expected_count; i++)
        if (strcmp(promote->expected[i], edits->current_sha256) == 0)
            return MW_OK;
    /* What is to be put there stands there already, whoever put it. */
    if (promote->source_sha256 != NULL &&
        strcmp(promote->source_sha256, edits->current_sha256) == 0)
        return MW_OK;
    struct mw_tree scaffold = {0};
    char scaffold_sha256[MW_SHA256_HEX] = "";
    if (promote->scaffold != NULL) {
        rc = mw_tree_scan(AT_FDCWD, promote->scaffold, NULL, &scaffold, err);
        if (rc != MW_OK)
            return rc;
        mw_tree_digest(&scaffold, scaffold_sha256);
    }
    if (strcmp(scaffold_sha256, edits->current_sha256) != 0) {
        edits->edited = true;
        rc = load_base(promote, &scaffold, &edits->base, err);
        if (rc == MW_OK)
            mw_tree_compare(&edits->base, &edits->current, &edits->diff);
    }
    mw_tree_free(&scaffold);
    return rc;
}

/* The first expected tree whose manifest is known, else the scaffold: what the edits are told against. */
static enum mw_rc load_base(const struct mw_promote *promote, const struct mw_tree *scaffold,
                            struct mw_tree *ret_base, struct mw_err *err)
{
    for (uint32_t i = 0; i < promote->expected_count; i++) {
        enum mw_rc rc =
            mw_promote_tree_load(promote->workspace_fd, promote->expected[i], ret_base, err);
        if (rc != MW_E_MISSING)
            return rc;
    }
    for (uint32_t i = 0; i < scaffold->count; i++)
        mw_tree_add(ret_base, &scaffold->files[i]);
    return MW_OK;
}

void mw_promote_edits_free(struct mw_promote_edits *edits)
{
    mw_tree_diff_free(&edits->diff);
    mw_tree_free(&edits->base);
    mw_tree_free(&edits->current);
    *edits = (struct mw_promote_edits){0};
}
