#include "stage/tree.h"

#include "base/json.h"
#include "posix/heap.h"
#include "stage/fold.h"
#include "stage/tree_internal.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct mw_tree_limits mw_tree_limits_default = {
    .files_max = 20000,
    .bytes_max = (uint64_t)1 << 30,
    .file_bytes_max = (uint64_t)64 << 20,
    .path_bytes_max = 1024,
};

#define NAMES_IN_MESSAGE 8

/* One prefix of a path (a folder, or the file itself) in its folded form. */
struct fold_entry {
    size_t at; /* in the buf of folded names */
    size_t len;
    struct mw_str name; /* borrowed */
    bool is_folder;
};

static enum mw_rc check_paths(const struct mw_tree *tree, struct mw_err *err);
static enum mw_rc check_collisions(const struct mw_tree *tree, struct mw_err *err);
static void diff_put(struct mw_tree_diff *diff, enum mw_tree_change_kind kind,
                     const struct mw_tree_file *before, const struct mw_tree_file *after);
static bool same_file(const struct mw_tree_file *a, const struct mw_tree_file *b);
static enum mw_rc parse_file(const struct mw_tape *tape, uint32_t node, struct mw_tree *tree,
                             struct mw_err *err);

void mw_tree_free(struct mw_tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++)
        mw_heap_free((char *)(uintptr_t)tree->files[i].path.ptr); /* made by mw_tree_add */
    mw_heap_free(tree->files);
    *tree = (struct mw_tree){0};
}

void mw_tree_add(struct mw_tree *tree, const struct mw_tree_file *file)
{
    MW_ASSERT(tree->count < UINT32_MAX / 2);
    if (tree->count == tree->capacity) {
        uint32_t capacity = tree->capacity > 0 ? tree->capacity * 2 : 64;
        struct mw_tree_file *grown = mw_heap_alloc(sizeof(*grown) * capacity);
        if (tree->count > 0)
            memcpy(grown, tree->files, sizeof(*grown) * tree->count);
        mw_heap_free(tree->files);
        tree->files = grown;
        tree->capacity = capacity;
    }
    struct mw_tree_file *added = &tree->files[tree->count++];
    *added = *file;
    added->path = (struct mw_str){mw_heap_copy(file->path), file->path.len};
    tree->total_bytes += file->size_bytes;
}

static int by_path(const void *a, const void *b)
{
    return mw_str_cmp(((const struct mw_tree_file *)a)->path,
                      ((const struct mw_tree_file *)b)->path);
}

void mw_tree_sort(struct mw_tree *tree)
{
    if (tree->count > 1)
        qsort(tree->files, tree->count, sizeof(*tree->files), by_path);
}

enum mw_rc mw_tree_seal(struct mw_tree *tree, struct mw_err *err)
{
    mw_tree_sort(tree);
    enum mw_rc rc = check_paths(tree, err);
    return rc == MW_OK ? check_collisions(tree, err) : rc;
}

static enum mw_rc check_paths(const struct mw_tree *tree, struct mw_err *err)
{
    for (uint32_t i = 0; i < tree->count; i++) {
        struct mw_str path = tree->files[i].path;
        if (!mw_path_is_plain(path))
            return MW_FAIL(err, MW_E_DENIED,
                           "'%.*s' is refused: a path has plain names only, no '..', '.', empty "
                           "part, backslash, control character or leading '/'",
                           MW_STR_ARG(path));
        if (i > 0 && mw_str_eq(path, tree->files[i - 1].path))
            return MW_FAIL(err, MW_E_DENIED, "'%.*s' is refused: it is there twice",
                           MW_STR_ARG(path));
    }
    return MW_OK;
}

static int by_folded(const void *a, const void *b, void *names)
{
    const struct fold_entry *x = a, *y = b;
    const char *base = names;
    int order =
        mw_str_cmp((struct mw_str){base + x->at, x->len}, (struct mw_str){base + y->at, y->len});
    return order != 0 ? order : mw_str_cmp(x->name, y->name);
}

/* Adds the prefixes of path that the path before it (in sorted order) did not have. */
static enum mw_rc fold_prefixes(struct mw_str path, struct mw_str before, struct mw_buf *names,
                                struct fold_entry *entries, uint32_t *count, struct mw_err *err)
{
    size_t shared = 0;
    for (size_t i = 0; i < path.len && i < before.len && path.ptr[i] == before.ptr[i]; i++)
        if (path.ptr[i] == '/')
            shared = i + 1;
    for (size_t end = shared; end < path.len;) {
        size_t slash = mw_str_find(path, '/', end);
        size_t stop = slash == SIZE_MAX ? path.len : slash;
        struct mw_str prefix = mw_str_sub(path, 0, stop);
        struct fold_entry *entry = &entries[(*count)++];
        *entry = (struct fold_entry){names->len, 0, prefix, slash != SIZE_MAX};
        enum mw_rc rc = mw_fold_name(prefix, names, err);
        if (rc != MW_OK)
            return rc;
        entry->len = names->len - entry->at;
        struct mw_str folded = {names->ptr + entry->at, entry->len};
        if (mw_str_is(folded, ".git") || mw_str_ends(folded, MW_STR("/.git")))
            return MW_FAIL(err, MW_E_DENIED, "'%.*s' is refused: '.git' belongs to git",
                           MW_STR_ARG(path));
        end = stop + 1;
    }
    return MW_OK;
}

static enum mw_rc check_collisions(const struct mw_tree *tree, struct mw_err *err)
{
    size_t entries_max = 1;
    for (uint32_t i = 0; i < tree->count; i++)
        for (size_t at = 0; at < tree->files[i].path.len; at++)
            entries_max += tree->files[i].path.ptr[at] == '/' || at == 0;
    struct fold_entry *entries = mw_heap_alloc(sizeof(*entries) * entries_max);
    struct mw_buf names = mw_heap_buf();
    uint32_t count = 0;
    enum mw_rc rc = MW_OK;
    for (uint32_t i = 0; i < tree->count && rc == MW_OK; i++)
        rc = fold_prefixes(tree->files[i].path, i > 0 ? tree->files[i - 1].path : MW_STR_NONE,
                           &names, entries, &count, err);
    if (rc == MW_OK && count > 1)
        qsort_r(entries, count, sizeof(*entries), by_folded, names.ptr);
    for (uint32_t i = 1; i < count && rc == MW_OK; i++) {
        const struct fold_entry *a = &entries[i - 1], *b = &entries[i];
        if (!mw_str_eq((struct mw_str){names.ptr + a->at, a->len},
                       (struct mw_str){names.ptr + b->at, b->len}))
            continue;
        if (!mw_str_eq(a->name, b->name))
            rc = MW_FAIL(err, MW_E_DENIED,
                         "'%.*s' and '%.*s' are refused: they are one name where case or Unicode "
                         "form does not count",
                         MW_STR_ARG(a->name), MW_STR_ARG(b->name));
        else if (a->is_folder != b->is_folder)
            rc = MW_FAIL(err, MW_E_DENIED, "'%.*s' is refused: it is a file and a folder",
                         MW_STR_ARG(a->name));
    }
    mw_heap_buf_free(&names);
    mw_heap_free(entries);
    return rc;
}

void mw_tree_text(const struct mw_tree *tree, struct mw_buf *buf)
{
    struct mw_json json;
    mw_json_init(&json, buf);
    mw_json_object(&json);
    mw_json_karray(&json, "files");
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct mw_tree_file *file = &tree->files[i];
        char mode[8] = {'0', 0};
        for (int digit = 0, shift = file->mode > 07777 ? 15 : 6; shift >= 0; shift -= 3)
            mode[++digit] = (char)('0' + ((file->mode >> shift) & 7));
        mw_json_object(&json);
        mw_json_kstr(&json, "path", file->path);
        mw_json_kstr(&json, "mode", mw_str_of(mode));
        mw_json_ku64(&json, "size", file->size_bytes);
        mw_json_kstr(&json, "sha256", mw_str_of(file->sha256));
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    mw_json_object_end(&json);
}

void mw_tree_digest(const struct mw_tree *tree, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_buf text = mw_heap_buf();
    mw_tree_text(tree, &text);
    mw_sha256_hex(mw_buf_str(&text), ret_sha256);
    mw_heap_buf_free(&text);
}

enum mw_rc mw_tree_parse(struct mw_str text, struct mw_tree *ret_tree, struct mw_err *err)
{
    struct mw_arena arena;
    /* A file's object is at least 100 bytes of text and 9 nodes on the tape. */
    mw_heap_arena(&arena, text.len * 16 + 65536);
    struct mw_tape tape;
    struct mw_tree tree = {0};
    enum mw_rc rc = mw_json_parse(&arena, text, &tape, err);
    uint32_t files = rc == MW_OK ? mw_node_get(&tape, 0, "files") : MW_NODE_NONE;
    if (rc == MW_OK && mw_node_type(&tape, files) != MW_NODE_ARRAY)
        rc = MW_FAIL(err, MW_E_INPUT, "a manifest has an array 'files'");
    for (uint32_t i = rc == MW_OK ? mw_node_first(&tape, files) : MW_NODE_NONE;
         i != MW_NODE_NONE && rc == MW_OK; i = mw_node_after(&tape, files, i))
        rc = parse_file(&tape, i, &tree, err);
    if (rc == MW_OK)
        rc = mw_tree_seal(&tree, err);
    mw_heap_arena_free(&arena);
    /* One spelling: another order, spacing or member would be another text, hence another digest, of the same tree. */
    struct mw_buf again = mw_heap_buf();
    if (rc == MW_OK)
        mw_tree_text(&tree, &again);
    if (rc == MW_OK && !mw_str_eq(text, mw_buf_str(&again)))
        rc = MW_FAIL(err, MW_E_INPUT, "a manifest that is not in its canonical form");
    mw_heap_buf_free(&again);
    if (rc == MW_OK)
        *ret_tree = tree;
    else
        mw_tree_free(&tree);
    return rc;
}

static enum mw_rc parse_file(const struct mw_tape *tape, uint32_t node, struct mw_tree *tree,
                             struct mw_err *err)
{
    struct mw_tree_file file = {.path = mw_node_get_text(tape, node, "path")};
    struct mw_str mode = mw_node_get_text(tape, node, "mode");
    struct mw_str sha256 = mw_node_get_text(tape, node, "sha256");
    int64_t size_bytes = mw_node_int(tape, mw_node_get(tape, node, "size"), -1);
    if (mw_str_is(mode, "0755"))
        file.mode = 0755;
    else if (mw_str_is(mode, "0644"))
        file.mode = 0644;
    if (sha256.len == sizeof(file.sha256) - 1)
        memcpy(file.sha256, sha256.ptr, sha256.len);
    if (file.mode == 0 || size_bytes < 0 || !mw_sha256_is_hex(file.sha256))
        return MW_FAIL(err, MW_E_INPUT,
                       "line %u: a manifest's file has path, mode 0644 or 0755, size and sha256",
                       tape->nodes[node].line);
    file.size_bytes = (uint64_t)size_bytes;
    mw_tree_add(tree, &file);
    return MW_OK;
}

const struct mw_tree_file *mw_tree_find(const struct mw_tree *tree, struct mw_str path)
{
    struct mw_tree_file key = {.path = path};
    if (tree->count == 0)
        return NULL;
    return bsearch(&key, tree->files, tree->count, sizeof(*tree->files), by_path);
}

static bool same_file(const struct mw_tree_file *a, const struct mw_tree_file *b)
{
    return a->mode == b->mode && strcmp(a->sha256, b->sha256) == 0;
}

void mw_tree_compare(const struct mw_tree *before, const struct mw_tree *after,
                     struct mw_tree_diff *ret_diff)
{
    struct mw_tree_diff diff = {0};
    diff.changes = mw_heap_alloc(sizeof(*diff.changes) * ((size_t)before->count + after->count));
    for (uint32_t b = 0, a = 0; b < before->count || a < after->count;) {
        int order = b == before->count  ? 1
                    : a == after->count ? -1
                                        : mw_str_cmp(before->files[b].path, after->files[a].path);
        if (order < 0) {
            diff_put(&diff, MW_TREE_REMOVED, &before->files[b++], NULL);
        } else if (order > 0) {
            diff_put(&diff, MW_TREE_ADDED, NULL, &after->files[a++]);
        } else {
            if (!same_file(&before->files[b], &after->files[a]))
                diff_put(&diff, MW_TREE_CHANGED, &before->files[b], &after->files[a]);
            b++;
            a++;
        }
    }
    *ret_diff = diff;
}

static void diff_put(struct mw_tree_diff *diff, enum mw_tree_change_kind kind,
                     const struct mw_tree_file *before, const struct mw_tree_file *after)
{
    diff->changes[diff->count++] =
        (struct mw_tree_change){kind, before != NULL ? before->path : after->path, before, after};
}

void mw_tree_diff_free(struct mw_tree_diff *diff)
{
    mw_heap_free(diff->changes);
    *diff = (struct mw_tree_diff){0};
}

static const char *const change_words[] = {
    [MW_TREE_ADDED] = "added", [MW_TREE_CHANGED] = "changed", [MW_TREE_REMOVED] = "removed"};

uint32_t mw_tree_diff_json(const struct mw_tree_diff *diff, size_t bytes_max, struct mw_buf *buf)
{
    struct mw_buf text = mw_heap_buf();
    struct mw_json json;
    size_t whole = 0;
    uint32_t count = 0;
    mw_json_init(&json, &text);
    mw_json_array(&json);
    for (; count < diff->count; count++) {
        mw_json_object(&json);
        mw_json_kstr(&json, "path", diff->changes[count].path);
        mw_json_kstr(&json, "change", mw_str_of(change_words[diff->changes[count].kind]));
        mw_json_object_end(&json);
        if (text.len + 1 > bytes_max)
            break;
        whole = text.len;
    }
    mw_buf_put(buf, whole > 0 ? mw_str_sub(mw_buf_str(&text), 0, whole) : MW_STR("["));
    mw_buf_put_c(buf, ']');
    mw_heap_buf_free(&text);
    return diff->count - count;
}

void mw_tree_diff_words(const struct mw_tree_diff *diff, uint32_t names_max, struct mw_buf *buf)
{
    for (uint32_t i = 0; i < diff->count && i < names_max; i++) {
        mw_buf_put_z(buf, i > 0 ? ", " : "");
        mw_buf_put_z(buf, change_words[diff->changes[i].kind]);
        mw_buf_put_c(buf, ' ');
        mw_buf_put(buf, diff->changes[i].path);
    }
    if (diff->count > names_max)
        mw_buf_printf(buf, " (and %u more)", diff->count - names_max);
}

enum mw_rc mw_tree_load(const struct mw_blobs *blobs, const char *sha256, struct mw_tree *ret_tree,
                        struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_blob_get(blobs, sha256, MW_BLOB_BYTES_MAX, &text, err);
    if (rc == MW_OK)
        rc = mw_tree_parse(mw_buf_str(&text), ret_tree, err);
    mw_heap_buf_free(&text);
    return rc;
}

bool mw_tree_owns(const struct mw_str *patterns, uint32_t pattern_count, struct mw_str path)
{
    for (uint32_t i = 0; i < pattern_count; i++)
        if (mw_glob_match(patterns[i], path))
            return true;
    return false;
}

void mw_tree_violations(const struct mw_tree_diff *diff, const struct mw_str *patterns,
                        uint32_t pattern_count, struct mw_tree_diff *ret_diff)
{
    struct mw_tree_diff found = {.changes = mw_heap_alloc(sizeof(*found.changes) * diff->count)};
    for (uint32_t i = 0; i < diff->count; i++)
        if (diff->changes[i].after == NULL ||
            !mw_tree_owns(patterns, pattern_count, diff->changes[i].path))
            found.changes[found.count++] = diff->changes[i];
    *ret_diff = found;
}

enum mw_rc mw_tree_merge(const struct mw_tree *const *trees, uint32_t tree_count,
                         struct mw_tree *ret_tree, struct mw_err *err)
{
    struct mw_tree all = {0}, merged = {0};
    struct mw_buf names = mw_heap_buf();
    uint32_t conflict_count = 0;
    for (uint32_t t = 0; t < tree_count; t++)
        for (uint32_t i = 0; i < trees[t]->count; i++)
            mw_tree_add(&all, &trees[t]->files[i]);
    mw_tree_sort(&all);
    for (uint32_t i = 0; i < all.count; i++) {
        const struct mw_tree_file *last = merged.count ? &merged.files[merged.count - 1] : NULL;
        if (last == NULL || !mw_str_eq(last->path, all.files[i].path)) {
            mw_tree_add(&merged, &all.files[i]);
        } else if (!same_file(last, &all.files[i])) {
            if (conflict_count++ < NAMES_IN_MESSAGE)
                mw_buf_printf(&names, "%s%.*s", names.len > 0 ? ", " : "", MW_STR_ARG(last->path));
        }
    }
    enum mw_rc rc = MW_OK;
    if (conflict_count > 0)
        rc = MW_FAIL(err, MW_E_CONFLICT, "written by two with different bytes (%u): %.*s",
                     conflict_count, MW_STR_ARG(mw_buf_str(&names)));
    else
        rc = mw_tree_seal(&merged, err);
    mw_heap_buf_free(&names);
    mw_tree_free(&all);
    if (rc == MW_OK)
        *ret_tree = merged;
    else
        mw_tree_free(&merged);
    return rc;
}
