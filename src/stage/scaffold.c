#include "stage/scaffold.h"
#include "stage/tree_internal.h"

#include "base/json.h"
#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BESIDE ".app.scaffold"
#define LIST_BYTES_MAX 65536

static enum mw_rc make_beside(int workspace_fd, int source_fd, const struct mw_tree *tree,
                              struct mw_str list, struct mw_err *err);
static enum mw_rc make_empty_folders(int workspace_fd, struct mw_str list, struct mw_err *err);
static bool folder_is_empty(int at_fd, const char *path);

char *mw_scaffold_folder(const char *factory, const char *name)
{
    struct mw_str plain = mw_str_of(name);
    if (!mw_path_is_plain(plain) || mw_str_find(plain, '/', 0) != SIZE_MAX)
        return NULL;
    return mw_heap_format("%s/scaffold/%s/app", factory, name);
}

enum mw_rc mw_scaffold_make(int workspace_fd, const char *factory, const char *name, bool *ret_made,
                            struct mw_err *err)
{
    mw_autofree char *folder = mw_scaffold_folder(factory, name);
    if (folder == NULL)
        return MW_FAIL(err, MW_E_USAGE, "'%s' is not the name of a scaffold", name);
    if (mw_exists(workspace_fd, "app") && !folder_is_empty(workspace_fd, "app")) {
        *ret_made = false;
        return MW_OK;
    }
    mw_autofree char *list_path = mw_heap_format("%s/scaffold/%s/scaffold.json", factory, name);
    mw_autoclose int source_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source_fd < 0)
        return MW_FAIL_SYS(err, MW_E_MISSING, "there is no scaffold '%s'", folder);
    struct mw_tree tree = {0};
    struct mw_buf list = mw_heap_buf();
    enum mw_rc rc = mw_file_read(AT_FDCWD, list_path, LIST_BYTES_MAX, &list, err);
    if (rc == MW_OK)
        rc = mw_tree_scan(AT_FDCWD, folder, NULL, &tree, err);
    if (rc == MW_OK)
        rc = mw_remove_tree(workspace_fd, BESIDE, err);
    if (rc == MW_OK)
        rc = make_beside(workspace_fd, source_fd, &tree, mw_buf_str(&list), err);
    if (rc != MW_OK)
        mw_clear_away(workspace_fd, BESIDE);
    mw_heap_buf_free(&list);
    mw_tree_free(&tree);
    if (rc == MW_OK)
        *ret_made = true;
    return rc;
}

/* Takes the place of an empty folder too, but never of one that holds something: rename refuses that. */
static enum mw_rc make_beside(int workspace_fd, int source_fd, const struct mw_tree *tree,
                              struct mw_str list, struct mw_err *err)
{
    struct mw_tree_source source = {.folder_fd = source_fd, .overlay_fd = -1};
    enum mw_rc rc = mw_tree_write(tree, &source, workspace_fd, BESIDE,
                                  (struct mw_tree_write){.durable = true}, err);
    if (rc == MW_OK)
        rc = make_empty_folders(workspace_fd, list, err);
    if (rc == MW_OK)
        rc = mw_fsync_dir(workspace_fd, BESIDE, err);
    if (rc == MW_OK && renameat(workspace_fd, BESIDE, workspace_fd, "app") != 0)
        rc = MW_FAIL_SYS(err, errno == ENOTEMPTY || errno == EEXIST ? MW_E_CONFLICT : MW_E_IO,
                         "make the folder 'app'");
    return rc == MW_OK ? mw_fsync_dir(workspace_fd, ".", err) : rc;
}

static enum mw_rc make_empty_folders(int workspace_fd, struct mw_str list, struct mw_err *err)
{
    struct mw_arena arena;
    struct mw_tape tape;
    mw_heap_arena(&arena, list.len * 64 + 65536);
    enum mw_rc rc = mw_json_parse(&arena, list, &tape, err);
    uint32_t folders = rc == MW_OK ? mw_node_get(&tape, 0, "empty_folders") : MW_NODE_NONE;
    for (uint32_t i = rc == MW_OK ? mw_node_first(&tape, folders) : MW_NODE_NONE;
         i != MW_NODE_NONE && rc == MW_OK; i = mw_node_after(&tape, folders, i)) {
        struct mw_str name = mw_node_str(&tape, i);
        mw_autofree char *path = mw_heap_format(BESIDE "/%.*s", MW_STR_ARG(name));
        if (!mw_path_is_plain(name))
            rc = MW_FAIL(err, MW_E_CONFIG, "scaffold.json:%u: '%.*s' is not a plain path",
                         tape.nodes[i].line, MW_STR_ARG(name));
        if (rc == MW_OK)
            rc = mw_mkdirs(workspace_fd, path, 0755, err);
    }
    mw_heap_arena_free(&arena);
    return rc;
}

/* Folders in it count for nothing unless rename finds them. A link named app is not a folder of ours. */
static bool folder_is_empty(int at_fd, const char *path)
{
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    if (mw_tree_scan(at_fd, path, &observe, &tree, NULL) != MW_OK)
        return false;
    bool empty = tree.count == 0;
    mw_tree_free(&tree);
    return empty;
}

enum mw_rc mw_scaffold_digest(const char *factory, const char *name, char ret_sha256[MW_SHA256_HEX],
                              struct mw_err *err)
{
    mw_autofree char *folder = mw_scaffold_folder(factory, name);
    struct mw_tree tree;
    if (folder == NULL)
        return MW_FAIL(err, MW_E_USAGE, "'%s' is not the name of a scaffold", name);
    enum mw_rc rc = mw_tree_scan(AT_FDCWD, folder, NULL, &tree, err);
    if (rc != MW_OK)
        return rc;
    mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
    return MW_OK;
}
