#include "stage/bundle.h"
#include "stage/tree_internal.h"

#include "posix/heap.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_one_name(const char *text);
static enum mw_rc build_beside(int workspace_fd, const char *path, const char *beside,
                               const struct mw_tree *tree, const struct mw_blobs *blobs,
                               struct mw_err *err);
static enum mw_rc sync_upwards(int workspace_fd, const char *path, struct mw_err *err);

enum mw_rc mw_bundle_path(const char *app_id, const char *build_id,
                          char ret_path[MW_BUNDLE_PATH_MAX], struct mw_err *err)
{
    if (!is_one_name(app_id) || !is_one_name(build_id))
        return MW_FAIL(err, MW_E_INPUT, "app_id '%s' and build_id '%s' have to be plain names",
                       app_id, build_id);
    (void)snprintf(ret_path, MW_BUNDLE_PATH_MAX, "generated/apps/%s/%s/app", app_id,
                   build_id); /* each at most 200 bytes: fits */
    return MW_OK;
}

static bool is_one_name(const char *text)
{
    struct mw_str name = mw_str_of(text);
    return name.len <= 200 && mw_path_is_plain(name) && mw_str_find(name, '/', 0) == SIZE_MAX;
}

enum mw_rc mw_bundle_assemble(int workspace_fd, const char *app_id, const char *build_id,
                              const struct mw_tree *tree, const struct mw_blobs *blobs,
                              char ret_path[MW_BUNDLE_PATH_MAX], struct mw_err *err)
{
    char path[MW_BUNDLE_PATH_MAX];
    enum mw_rc rc = mw_bundle_path(app_id, build_id, path, err);
    if (rc != MW_OK)
        return rc;
    mw_autofree char *parent = mw_heap_copy((struct mw_str){path, strlen(path) - strlen("/app")});
    mw_autofree char *beside = mw_heap_format("%s/.app.new", parent);
    rc = mw_mkdirs(workspace_fd, parent, 0755, err);
    if (rc == MW_OK)
        rc = mw_remove_tree(workspace_fd, beside, err); /* what a crash left half written */
    if (rc == MW_OK && !mw_exists(workspace_fd, path)) {
        rc = build_beside(workspace_fd, path, beside, tree, blobs, err);
    } else if (rc == MW_OK) {
        struct mw_tree found;
        rc = mw_tree_scan(workspace_fd, path, NULL, &found, err);
        if (rc == MW_OK) {
            char wanted[MW_SHA256_HEX], there[MW_SHA256_HEX];
            mw_tree_digest(tree, wanted);
            mw_tree_digest(&found, there);
            mw_tree_free(&found);
            if (strcmp(wanted, there) != 0)
                rc = MW_FAIL(err, MW_E_CONFLICT,
                             "'%s' holds another bundle (%s, not %s): a draft is never changed",
                             path, there, wanted);
        }
    }
    if (rc == MW_OK)
        rc = sync_upwards(workspace_fd, parent, err);
    if (rc == MW_OK)
        memcpy(ret_path, path, sizeof(path));
    return rc;
}

static enum mw_rc build_beside(int workspace_fd, const char *path, const char *beside,
                               const struct mw_tree *tree, const struct mw_blobs *blobs,
                               struct mw_err *err)
{
    struct mw_tree_source source = {.blobs = blobs, .folder_fd = -1, .overlay_fd = -1};
    enum mw_rc rc = mw_tree_write(tree, &source, workspace_fd, beside,
                                  (struct mw_tree_write){.durable = true, .read_only = true}, err);
    if (rc == MW_OK && renameat2(workspace_fd, beside, workspace_fd, path, RENAME_NOREPLACE) != 0)
        rc = MW_FAIL_SYS(err, errno == EEXIST ? MW_E_CONFLICT : MW_E_IO, "name the bundle '%s'",
                         path);
    if (rc != MW_OK)
        mw_clear_away(workspace_fd, beside);
    return rc;
}

/* The folder and the three above it may be new. */
static enum mw_rc sync_upwards(int workspace_fd, const char *path, struct mw_err *err)
{
    mw_autofree char *folder = mw_heap_copy(mw_str_of(path));
    for (;;) {
        enum mw_rc rc = mw_fsync_dir(workspace_fd, folder, err);
        if (rc != MW_OK)
            return rc;
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    return mw_fsync_dir(workspace_fd, ".", err);
}
