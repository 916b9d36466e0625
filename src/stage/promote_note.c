#include "stage/promote_internal.h"

#include "base/json.h"
#include "posix/heap.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTE_BYTES_MAX 65536
#define TREE_BYTES_MAX ((size_t)64 << 20)

static void note_text(const char *id, const char *target, const struct mw_promote_note *note,
                      struct mw_buf *buf);
static enum mw_rc note_parse(const char *id, struct mw_str text, struct mw_promote_note *ret_note,
                             struct mw_err *err);

static char *note_path(const char *id)
{
    return mw_heap_format(MW_PROMOTIONS "/%s.json", id);
}

enum mw_rc mw_promote_note_read(int workspace_fd, const char *id, struct mw_promote_note *ret_note,
                                bool *ret_there, struct mw_err *err)
{
    if (!mw_promote_id_is_plain(id))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a plain id for a promotion", id);
    mw_autofree char *path = note_path(id);
    struct mw_buf text = mw_heap_buf();
    bool there = false;
    enum mw_rc rc = mw_is_there(workspace_fd, path, &there, err);
    if (rc != MW_OK || !there) {
        mw_heap_buf_free(&text);
        if (rc == MW_OK)
            *ret_there = false;
        return rc;
    }
    rc = mw_file_read_regular(workspace_fd, path, NOTE_BYTES_MAX, &text, err);
    if (rc == MW_OK)
        rc = note_parse(id, mw_buf_str(&text), ret_note, err);
    mw_heap_buf_free(&text);
    if (rc == MW_OK)
        *ret_there = true;
    return rc;
}

static void copy_digest(struct mw_str text, char ret_sha256[MW_SHA256_HEX])
{
    if (text.len == MW_SHA256_HEX - 1)
        memcpy(ret_sha256, text.ptr, text.len);
}

/* What beside the target is this promotion's own. It is removed or kept by that name: a note that names anything else is not acted upon. */
static bool take_beside(const char *id, struct mw_str name, char ret_beside[MW_PROMOTE_BESIDE_MAX])
{
    mw_promote_beside(id, "", ret_beside); /* a note from before the name stood in it */
    struct mw_str own = mw_str_of(ret_beside);
    if (name.len == 0)
        return true;
    if (!mw_str_starts(name, own) || name.len >= MW_PROMOTE_BESIDE_MAX ||
        mw_str_find(name, '/', 0) != SIZE_MAX)
        return false;
    if (name.len > own.len && name.ptr[own.len] != '-')
        return false; /* another promotion's */
    memcpy(ret_beside, name.ptr, name.len);
    ret_beside[name.len] = '\0';
    return true;
}

static enum mw_rc note_parse(const char *id, struct mw_str text, struct mw_promote_note *ret_note,
                             struct mw_err *err)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_promote_note note = {0};
    mw_heap_arena(&arena, text.len * 64 + 65536);
    enum mw_rc rc = mw_json_parse(&arena, text, &tape, err);
    if (rc == MW_OK) {
        copy_digest(mw_node_get_text(&tape, 0, "sha256"), note.promoted.sha256);
        copy_digest(mw_node_get_text(&tape, 0, "source_sha256"), note.source_sha256);
        struct mw_str previous = mw_node_get_text(&tape, 0, "previous_sha256");
        copy_digest(previous, note.promoted.previous_sha256);
        note.done = mw_str_is(mw_node_get_text(&tape, 0, "state"), "done");
        note.inode = (uint64_t)mw_node_int(&tape, mw_node_get(&tape, 0, "inode"), 0);
        int64_t number = mw_node_int(&tape, mw_node_get(&tape, 0, "version"), 0);
        note.number = (uint32_t)number;
        note.promoted.previous_version = note.promoted.previous_sha256[0] != '\0' ? note.number : 0;
        note.promoted.edited = mw_node_bool(&tape, mw_node_get(&tape, 0, "edited"), false);
        note.promoted.unchanged = mw_node_bool(&tape, mw_node_get(&tape, 0, "unchanged"), false);
        if (!mw_sha256_is_hex(note.promoted.sha256))
            rc = MW_FAIL(err, MW_E_CORRUPT, "a note of a promotion has no digest");
        else if (previous.len > 0 && !mw_sha256_is_hex(note.promoted.previous_sha256))
            rc = MW_FAIL(err, MW_E_CORRUPT, "what a note of a promotion replaced is no digest");
        else if (number < 0 || number > UINT32_MAX)
            rc = MW_FAIL(err, MW_E_CORRUPT, "a note of a promotion has no version's number");
        else if (!take_beside(id, mw_node_get_text(&tape, 0, "beside"), note.beside))
            rc = MW_FAIL(err, MW_E_CORRUPT, "a note of a promotion names a folder not its own");
    }
    mw_heap_arena_free(&arena);
    if (rc == MW_OK)
        *ret_note = note;
    return rc;
}

static void note_text(const char *id, const char *target, const struct mw_promote_note *note,
                      struct mw_buf *buf)
{
    struct mw_json json;
    mw_json_init(&json, buf);
    mw_json_object(&json);
    mw_json_ki64(&json, "schema", 1);
    mw_json_kstr(&json, "id", mw_str_of(id));
    mw_json_kstr(&json, "state", mw_str_of(note->done ? "done" : "ready"));
    mw_json_kstr(&json, "target", mw_str_of(target));
    mw_json_kstr(&json, "sha256", mw_str_of(note->promoted.sha256));
    mw_json_kstr(&json, "previous_sha256", mw_str_of(note->promoted.previous_sha256));
    mw_json_ki64(&json, "version", note->number);
    mw_json_kbool(&json, "edited", note->promoted.edited);
    mw_json_kbool(&json, "unchanged", note->promoted.unchanged);
    mw_json_ki64(&json, "inode", (int64_t)note->inode);
    if (note->source_sha256[0] != '\0')
        mw_json_kstr(&json, "source_sha256", mw_str_of(note->source_sha256));
    if (note->beside[0] != '\0')
        mw_json_kstr(&json, "beside", mw_str_of(note->beside));
    mw_json_object_end(&json);
    mw_buf_put_c(buf, '\n');
}

enum mw_rc mw_promote_note_write(int workspace_fd, const char *id, const char *target,
                                 const struct mw_promote_note *note, struct mw_err *err)
{
    mw_autofree char *path = note_path(id);
    struct mw_buf text = mw_heap_buf();
    note_text(id, target, note, &text);
    enum mw_rc rc = mw_mkdirs(workspace_fd, MW_PROMOTIONS, 0755, err);
    if (rc == MW_OK)
        rc = mw_file_replace(workspace_fd, path, mw_buf_str(&text), 0644, err);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_promote_note_remove(int workspace_fd, const char *id, struct mw_err *err)
{
    mw_autofree char *path = note_path(id);
    if (unlinkat(workspace_fd, path, 0) != 0) {
        if (errno == ENOENT)
            return MW_OK;
        return MW_FAIL_SYS(err, MW_E_IO, "remove '%s'", path);
    }
    return mw_fsync_dir(workspace_fd, MW_PROMOTIONS, err);
}

static enum mw_rc sweep_folder(int workspace_fd, const char *folder, struct mw_err *err)
{
    int fd = openat(workspace_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return MW_OK; /* nothing was promoted yet */
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL)
        return MW_FAIL_SYS(err, MW_E_IO, "list '%s'", folder);
    enum mw_rc rc = MW_OK;
    struct dirent *entry;
    while (rc == MW_OK && (errno = 0, entry = readdir(list)) != NULL) {
        if (!mw_str_ends(mw_str_of(entry->d_name), MW_STR(".tmp")))
            continue;
        if (unlinkat(fd, entry->d_name, 0) != 0 && errno != ENOENT)
            rc = MW_FAIL_SYS(err, MW_E_IO, "remove '%s/%s'", folder, entry->d_name);
    }
    if (rc == MW_OK && errno != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "list '%s'", folder);
    (void)closedir(list); /* only read from */
    return rc;
}

enum mw_rc mw_promote_sweep(int workspace_fd, struct mw_err *err)
{
    static const char *const folders[] = {MW_PROMOTIONS, MW_PROMOTIONS "/trees", MW_VERSIONS};
    enum mw_rc rc = MW_OK;
    for (size_t i = 0; i < MW_COUNT(folders) && rc == MW_OK; i++)
        rc = sweep_folder(workspace_fd, folders[i], err);
    return rc;
}

enum mw_rc mw_promote_tree_save(int workspace_fd, const struct mw_tree *tree, const char *sha256,
                                struct mw_err *err)
{
    mw_autofree char *path = mw_heap_format(MW_PROMOTIONS "/trees/%s.json", sha256);
    struct mw_buf text = mw_heap_buf();
    mw_tree_text(tree, &text);
    enum mw_rc rc = mw_mkdirs(workspace_fd, MW_PROMOTIONS "/trees", 0755, err);
    if (rc == MW_OK && !mw_exists(workspace_fd, path))
        rc = mw_file_replace(workspace_fd, path, mw_buf_str(&text), 0644, err);
    else if (rc == MW_OK) /* who put it there may have died before its name was durable */
        rc = mw_fsync_dir(workspace_fd, MW_PROMOTIONS "/trees", err);
    if (rc == MW_OK)
        rc = mw_fsync_dir(workspace_fd, MW_PROMOTIONS, err);
    if (rc == MW_OK)
        rc = mw_fsync_dir(workspace_fd, ".millwright", err);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_promote_tree_load(int workspace_fd, const char *sha256, struct mw_tree *ret_tree,
                                struct mw_err *err)
{
    if (!mw_sha256_is_hex(sha256))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a SHA-256", sha256);
    mw_autofree char *path = mw_heap_format(MW_PROMOTIONS "/trees/%s.json", sha256);
    struct mw_buf text = mw_heap_buf();
    enum mw_rc rc = mw_file_read_regular(workspace_fd, path, TREE_BYTES_MAX, &text, err);
    if (rc == MW_OK)
        rc = mw_tree_parse(mw_buf_str(&text), ret_tree, err);
    mw_heap_buf_free(&text);
    return rc;
}
