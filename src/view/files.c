#include "view/internal.h"

/* Manifests: {"files":[{"path","mode","size","sha256"},…]}, sorted by path (docs/promotion.md). */

enum mw_rc mw_view_files_read(struct mw_view *view, struct mw_str sha256,
                              struct mw_view_files *ret_files)
{
    struct mw_str text;
    struct mw_tape tape;
    enum mw_rc rc = mw_view_blob(view, sha256, &text);
    if (rc == MW_OK)
        rc = mw_view_parse(view, text, "a list of files", &tape);
    if (rc != MW_OK)
        return rc;
    uint32_t list = mw_node_get(&tape, 0, "files");
    struct mw_view_files files = {0};
    files.files = mw_arena_array(view->arena, struct mw_view_file, mw_node_count(&tape, list) + 1);
    if (files.files == NULL)
        return MW_FAIL(view->err, MW_E_LIMIT, "view_memory: a list of %u files does not fit",
                       mw_node_count(&tape, list));
    for (uint32_t at = mw_node_first(&tape, list); at != MW_NODE_NONE;
         at = mw_node_after(&tape, list, at)) {
        struct mw_view_file *file = &files.files[files.count++];
        file->path = mw_node_get_text(&tape, at, "path");
        file->mode = mw_node_get_text(&tape, at, "mode");
        file->sha256 = mw_node_get_text(&tape, at, "sha256");
        file->size_bytes = (uint64_t)mw_node_int(&tape, mw_node_get(&tape, at, "size"), 0);
        files.total_bytes += file->size_bytes;
    }
    *ret_files = files;
    return MW_OK;
}

static struct mw_view_file *find(const struct mw_view_files *files, struct mw_str path)
{
    uint32_t low = 0, high = files->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = mw_str_cmp(path, files->files[middle].path);
        if (order == 0)
            return &files->files[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct mw_view_file *mw_view_file_find(const struct mw_view_files *files, struct mw_str path)
{
    return find(files, path);
}

/* Two sorted lists as one; of the same path the later one's stands. */
static struct mw_view_files merge(struct mw_view *view, const struct mw_view_files *a,
                                  const struct mw_view_files *b)
{
    struct mw_view_files all = {.from_tasks = true};
    uint32_t i = 0, j = 0;
    all.files = mw_arena_array(view->arena, struct mw_view_file, a->count + b->count + 1);
    while (all.files != NULL && (i < a->count || j < b->count)) {
        int order = i == a->count   ? 1
                    : j == b->count ? -1
                                    : mw_str_cmp(a->files[i].path, b->files[j].path);
        i += order == 0 ? 1 : 0;
        all.files[all.count] = order < 0 ? a->files[i++] : b->files[j++];
        all.total_bytes += all.files[all.count++].size_bytes;
    }
    return all;
}

/* Lists are joined in pairs of like size, as digits carry, so that many small ones do not copy one large one again and again. */
#define LEVELS_MAX 32u
struct pile {
    struct mw_view_files levels[LEVELS_MAX];
};

static void pile_add(struct mw_view *view, struct pile *pile, struct mw_view_files list)
{
    uint32_t level = 0;
    while (level + 1 < LEVELS_MAX && pile->levels[level].count > 0) {
        list = merge(view, &pile->levels[level], &list);
        pile->levels[level++] = (struct mw_view_files){0};
    }
    pile->levels[level] = level + 1 < LEVELS_MAX ? list : merge(view, &pile->levels[level], &list);
}

static struct mw_view_files pile_join(struct mw_view *view, const struct pile *pile)
{
    struct mw_view_files all = {.from_tasks = true};
    for (uint32_t level = LEVELS_MAX; level > 0; level--)
        if (pile->levels[level - 1].count > 0)
            all = merge(view, &all, &pile->levels[level - 1]);
    return all;
}

static void mark(struct mw_view_files *files, const struct mw_view_files *list,
                 const struct mw_view_item *task)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct mw_view_file *file = find(files, list->files[i].path);
        if (file != NULL && mw_str_eq(file->sha256, list->files[i].sha256))
            file->task = task;
    }
}

enum mw_rc mw_view_files_of_build(struct mw_view *view, const struct mw_view_build *build,
                                  const struct mw_view_detail *detail,
                                  struct mw_view_files *ret_files)
{
    struct mw_view_files files = {0};
    struct pile *pile = mw_arena_alloc(view->arena, sizeof(*pile));
    bool whole = false;
    enum mw_rc rc = mw_view_files_read(view, build->sha256, &files);
    if (rc != MW_OK && rc != MW_E_MISSING)
        return rc;
    whole = rc == MW_OK;
    for (const struct mw_view_fact *fact = detail->facts; fact != NULL && pile != NULL;
         fact = fact->next) {
        struct mw_view_files list;
        const struct mw_view_item *task = mw_view_item_of(detail, fact->item);
        if (fact->files_sha256.len == 0)
            continue;
        rc = mw_view_files_read(view, fact->files_sha256, &list);
        if (rc == MW_E_MISSING)
            continue; /* cleaned away: whoever wrote its files is not known */
        if (rc != MW_OK)
            return rc;
        for (uint32_t i = 0; i < list.count; i++)
            list.files[i].task = task;
        if (whole)
            mark(&files, &list, task);
        else
            pile_add(view, pile, list);
    }
    *ret_files = whole || pile == NULL ? files : pile_join(view, pile);
    return MW_OK;
}
