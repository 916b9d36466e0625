#include "stage/promote_internal.h"
#include "stage/tree_internal.h"

#include "base/json.h"
#include "posix/heap.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_BYTES_MAX 65536
#define NUMBER_MAX (UINT32_MAX - 1)
#define PRUNED MW_VERSIONS "/.pruned"

static enum mw_rc keep_tree(const struct mw_promote_place *place, const char *id,
                            const struct mw_promote_note *note, const struct mw_tree *old,
                            const char *kept, struct mw_err *err);
static int move_home(const struct mw_promote_place *place, const char *kept);
static enum mw_rc stay_beside(const struct mw_promote_place *place, struct mw_err *err);
static enum mw_rc write_record(int workspace_fd, const struct mw_version *version,
                               struct mw_err *err);
static enum mw_rc copy_across(const struct mw_promote_place *place, const char *kept,
                              struct mw_err *err);
static enum mw_rc read_record(int workspace_fd, uint32_t number, struct mw_version *ret_version,
                              struct mw_err *err);
static enum mw_rc list_numbers(int workspace_fd, uint32_t **ret_numbers, uint32_t *ret_count,
                               struct mw_err *err);

void mw_version_path(uint32_t number, char ret_path[MW_VERSION_PATH_MAX])
{
    (void)snprintf(ret_path, MW_VERSION_PATH_MAX, MW_VERSIONS "/%u", number); /* fits */
}

static char *record_path(uint32_t number)
{
    return mw_heap_format(MW_VERSIONS "/%u.json", number);
}

enum mw_rc mw_version_keep(const struct mw_promote_place *place, const char *id,
                           const struct mw_promote_note *note, struct mw_err *err)
{
    char kept[MW_VERSION_PATH_MAX];
    mw_version_path(note->number, kept);
    bool there = false, kept_already = false;
    enum mw_rc rc = mw_is_there(place->parent_fd, place->beside, &there, err);
    if (rc == MW_OK)
        rc = mw_is_there(place->workspace_fd, kept, &kept_already, err);
    /* Who moved or copied it there may have died before the sync; what it was copied from goes only after that. */
    if (rc == MW_OK && kept_already)
        rc = mw_fsync_dir(place->workspace_fd, MW_VERSIONS, err);
    if (rc == MW_OK && there) {
        struct mw_tree old;
        struct mw_tree_scan observe = {.observe = true};
        rc = mw_tree_scan(place->parent_fd, place->beside, &observe, &old, err);
        if (rc != MW_OK)
            return rc;
        bool empty = old.count == 0 || kept_already;
        rc = empty ? mw_remove_tree(place->parent_fd, place->beside, err)
                   : keep_tree(place, id, note, &old, kept, err);
        mw_tree_free(&old);
    }
    if (rc == MW_OK && fsync(place->parent_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the folder of '%s' durable", place->name);
    return rc;
}

/* The old tree is looked at once more: an edit in the last moment makes it an edited one, which is never pruned. */
static enum mw_rc keep_tree(const struct mw_promote_place *place, const char *id,
                            const struct mw_promote_note *note, const struct mw_tree *old,
                            const char *kept, struct mw_err *err)
{
    struct mw_version version = {.number = note->number};
    mw_tree_digest(old, version.sha256);
    version.edited =
        note->promoted.edited || strcmp(version.sha256, note->promoted.previous_sha256) != 0;
    (void)snprintf(version.promotion, sizeof(version.promotion), "%s", id); /* fits: id <= 100 */
    enum mw_rc rc = write_record(place->workspace_fd, &version, err);
    if (rc != MW_OK)
        return rc;
    int failed = move_home(place, kept);
    switch (failed) {
    case 0:
        break;
    case EXDEV:
        rc = copy_across(place, kept, err);
        break;
    case EACCES:
    case EPERM:
        rc = stay_beside(place, err);
        break;
    default:
        rc = mw_fail(err, MW_E_IO, failed, "keep the old tree, now '%s' beside '%s', as '%s'",
                     place->beside, place->name, kept);
    }
    return rc == MW_OK ? mw_fsync_dir(place->workspace_fd, MW_VERSIONS, err) : rc;
}

static bool moved(const struct mw_promote_place *place, const char *kept)
{
    return renameat2(place->parent_fd, place->beside, place->workspace_fd, kept,
                     RENAME_NOREPLACE) == 0;
}

/* 0, or errno. A folder that is not writable cannot be moved into another one, for its ".." changes: its owner may write it then. */
static int move_home(const struct mw_promote_place *place, const char *kept)
{
    struct stat st;
    if (moved(place, kept))
        return 0;
    int failed = errno;
    if (failed != EACCES)
        return failed;
    mw_autoclose int old_fd =
        openat(place->parent_fd, place->beside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fstat(old_fd, &st) != 0 || fchmod(old_fd, (st.st_mode & 07777) | 0700) != 0)
        return failed;
    return moved(place, kept) ? 0 : errno;
}

/* What cannot be brought home keeps a name beside the target that tells whose it was. */
static enum mw_rc stay_beside(const struct mw_promote_place *place, struct mw_err *err)
{
    mw_autofree char *stays = mw_heap_format("%s%s", place->name, place->beside);
    if (renameat2(place->parent_fd, place->beside, place->parent_fd, stays, RENAME_NOREPLACE) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "keep the old tree as '%s'", stays);
    return MW_OK;
}

/* --to another file system: the old tree is copied home, then removed there. One with links or devices in it stays where it is. */
static enum mw_rc copy_across(const struct mw_promote_place *place, const char *kept,
                              struct mw_err *err)
{
    struct mw_tree tree;
    mw_autofree char *fresh = mw_heap_format("%s.new", kept);
    enum mw_rc rc = mw_tree_scan(place->parent_fd, place->beside, NULL, &tree, err);
    if (rc == MW_E_DENIED || rc == MW_E_LIMIT)
        return stay_beside(place, err);
    if (rc != MW_OK)
        return rc;
    mw_autoclose int from_fd =
        openat(place->parent_fd, place->beside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct mw_tree_source source = {.folder_fd = from_fd, .overlay_fd = -1};
    rc = mw_remove_tree(place->workspace_fd, fresh, err);
    if (rc == MW_OK)
        rc = mw_tree_write(&tree, &source, place->workspace_fd, fresh,
                           (struct mw_tree_write){.durable = true, .keep_private = true}, err);
    mw_tree_free(&tree);
    if (rc == MW_OK && renameat(place->workspace_fd, fresh, place->workspace_fd, kept) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "keep the old tree as '%s'", kept);
    if (rc == MW_OK)
        rc = mw_fsync_dir(place->workspace_fd, MW_VERSIONS, err);
    return rc == MW_OK ? mw_remove_tree(place->parent_fd, place->beside, err) : rc;
}

static enum mw_rc write_record(int workspace_fd, const struct mw_version *version,
                               struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_object(&json);
    mw_json_ki64(&json, "version", version->number);
    mw_json_kstr(&json, "sha256", mw_str_of(version->sha256));
    mw_json_kstr(&json, "promotion", mw_str_of(version->promotion));
    mw_json_kbool(&json, "edited", version->edited);
    mw_json_object_end(&json);
    mw_buf_put_c(&text, '\n');
    mw_autofree char *path = record_path(version->number);
    enum mw_rc rc = mw_mkdirs(workspace_fd, MW_VERSIONS, 0755, err);
    if (rc == MW_OK)
        rc = mw_file_replace(workspace_fd, path, mw_buf_str(&text), 0644, err);
    if (rc == MW_OK)
        rc = mw_fsync_dir(workspace_fd, ".millwright", err);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_version_next(int workspace_fd, uint32_t *ret_number, struct mw_err *err)
{
    uint32_t *numbers = NULL, count = 0;
    enum mw_rc rc = list_numbers(workspace_fd, &numbers, &count, err);
    if (rc != MW_OK)
        return rc;
    uint32_t last = count > 0 ? numbers[count - 1] : 0;
    mw_heap_free(numbers);
    if (last == NUMBER_MAX) /* one above it would not be seen, and given to every later tree too */
        return MW_FAIL(err, MW_E_LIMIT,
                       "'" MW_VERSIONS "' has a version %u, after which there is no number: "
                       "move it elsewhere",
                       last);
    *ret_number = last + 1;
    return MW_OK;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Every number that a folder or a record has, ascending, once. */
static enum mw_rc list_numbers(int workspace_fd, uint32_t **ret_numbers, uint32_t *ret_count,
                               struct mw_err *err)
{
    uint32_t capacity = 64, count = 0;
    uint32_t *numbers = mw_heap_alloc(sizeof(*numbers) * capacity);
    int fd = openat(workspace_fd, MW_VERSIONS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL && errno != ENOENT) {
        mw_heap_free(numbers);
        return MW_FAIL_SYS(err, MW_E_IO, "open '" MW_VERSIONS "'");
    }
    struct dirent *entry;
    while (list != NULL && (errno = 0, entry = readdir(list)) != NULL) {
        struct mw_str name = mw_str_of(entry->d_name);
        uint64_t number;
        if (mw_str_ends(name, MW_STR(".json")))
            name.len -= 5;
        if (!mw_str_to_u64(name, &number) || number == 0 || number > NUMBER_MAX)
            continue;
        if (count == capacity) {
            uint32_t *grown = mw_heap_alloc(sizeof(*grown) * capacity * 2);
            memcpy(grown, numbers, sizeof(*grown) * count);
            mw_heap_free(numbers);
            numbers = grown;
            capacity *= 2;
        }
        numbers[count++] = (uint32_t)number;
    }
    int failed = list != NULL ? errno : 0;
    if (list != NULL)
        (void)closedir(list); /* only read from */
    if (failed !=
        0) { /* a number that was not seen would be given again, over what is kept under it */
        mw_heap_free(numbers);
        return mw_fail(err, MW_E_IO, failed, "list '" MW_VERSIONS "'");
    }
    qsort(numbers, count, sizeof(*numbers), by_number);
    uint32_t unique = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            numbers[unique++] = numbers[i];
    *ret_numbers = numbers;
    *ret_count = unique;
    return MW_OK;
}

enum mw_rc mw_versions_list(int workspace_fd, struct mw_version_list *ret_list, struct mw_err *err)
{
    uint32_t *numbers = NULL, count = 0;
    enum mw_rc rc = list_numbers(workspace_fd, &numbers, &count, err);
    if (rc != MW_OK)
        return rc;
    struct mw_version_list list = {.items = mw_heap_alloc(sizeof(*list.items) * (count + 1))};
    for (uint32_t i = 0; i < count && rc == MW_OK; i++) {
        char folder[MW_VERSION_PATH_MAX];
        mw_autofree char *record = record_path(numbers[i]);
        mw_version_path(numbers[i], folder);
        /* One without the other is the middle of keeping or of pruning. */
        bool there = false, recorded = false;
        rc = mw_is_there(workspace_fd, folder, &there, err);
        if (rc == MW_OK)
            rc = mw_is_there(workspace_fd, record, &recorded, err);
        if (rc != MW_OK || !there || !recorded)
            continue;
        rc = read_record(workspace_fd, numbers[i], &list.items[list.count], err);
        list.count += rc == MW_OK;
    }
    mw_heap_free(numbers);
    if (rc == MW_OK)
        *ret_list = list;
    else
        mw_versions_free(&list);
    return rc;
}

void mw_versions_free(struct mw_version_list *list)
{
    mw_heap_free(list->items);
    *list = (struct mw_version_list){0};
}

static enum mw_rc read_record(int workspace_fd, uint32_t number, struct mw_version *ret_version,
                              struct mw_err *err)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_buf text = mw_heap_buf();
    mw_autofree char *path = record_path(number);
    mw_heap_arena(&arena, (size_t)8 << 20);
    enum mw_rc rc = mw_file_read_regular(workspace_fd, path, RECORD_BYTES_MAX, &text, err);
    if (rc == MW_OK)
        rc = mw_json_parse(&arena, mw_buf_str(&text), &tape, err);
    if (rc == MW_OK) {
        struct mw_version version = {.number = number};
        struct mw_str sha256 = mw_node_get_text(&tape, 0, "sha256");
        struct mw_str promotion = mw_node_get_text(&tape, 0, "promotion");
        if (sha256.len == sizeof(version.sha256) - 1)
            memcpy(version.sha256, sha256.ptr, sha256.len);
        if (!mw_sha256_is_hex(version.sha256))
            version.sha256[0] = '\0';
        if (promotion.len > 0 && promotion.len < sizeof(version.promotion))
            memcpy(version.promotion, promotion.ptr, promotion.len);
        version.edited = mw_node_bool(&tape, mw_node_get(&tape, 0, "edited"), true);
        *ret_version = version;
    }
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_versions_prune(int workspace_fd, uint32_t keep_count, struct mw_err *err)
{
    MW_ASSERT(keep_count > 0);
    struct mw_version_list list;
    enum mw_rc rc = mw_versions_list(workspace_fd, &list, err);
    if (rc != MW_OK)
        return rc;
    uint32_t removable_count = 0;
    for (uint32_t i = 0; i < list.count; i++)
        removable_count += !list.items[i].edited;
    for (uint32_t i = 0; i < list.count && removable_count > keep_count && rc == MW_OK; i++) {
        if (list.items[i].edited)
            continue;
        char folder[MW_VERSION_PATH_MAX];
        mw_autofree char *record = record_path(list.items[i].number);
        mw_version_path(list.items[i].number, folder);
        /* Renamed, so that a half removed tree is never taken for a version; while the record stands, the number is not given again. */
        rc = mw_remove_tree(workspace_fd, PRUNED, err);
        if (rc == MW_OK && renameat(workspace_fd, folder, workspace_fd, PRUNED) != 0)
            rc = MW_FAIL_SYS(err, MW_E_IO, "remove '%s'", folder);
        /* The new name first: after a power cut the old one must not hold what is left of the tree. */
        if (rc == MW_OK)
            rc = mw_fsync_dir(workspace_fd, MW_VERSIONS, err);
        if (rc == MW_OK)
            rc = mw_remove_tree(workspace_fd, PRUNED, err);
        if (rc == MW_OK && unlinkat(workspace_fd, record, 0) != 0 && errno != ENOENT)
            rc = MW_FAIL_SYS(err, MW_E_IO, "remove '%s'", record);
        removable_count--;
    }
    mw_versions_free(&list);
    return rc;
}
