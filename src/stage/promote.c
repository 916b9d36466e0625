#include "stage/promote_internal.h"
#include "stage/tree_internal.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_IN_MESSAGE 12

/* Everything that one promotion holds while it runs. */
struct run {
    const struct mw_promote *promote;
    struct mw_promote_place place;
    struct mw_promote_edits edits;
    struct mw_tree source;  /* what was accepted */
    struct mw_tree tree;    /* what will stand: source and adopted edits; its files are copies */
    struct mw_tree carried; /* the adopted files: their bytes come from the target */
    struct mw_promote_note note;
};

static enum mw_rc run_new(struct run *run, struct mw_err *err);
#define PROMOTE_REMEDY                                                                             \
    "--to DIR puts the new version elsewhere, --adopt-edits carries the edits over, "              \
    "--discard-edits keeps them aside"
#define ROLLBACK_REMEDY                                                                            \
    "'millwright promote --discard-edits' puts the accepted version there and keeps the edits "    \
    "aside; 'millwright rollback' can follow it"

static enum mw_rc check_edits(const struct run *run, struct mw_err *err);
static enum mw_rc read_source(struct run *run, struct mw_err *err);
static enum mw_rc make_tree(struct run *run, struct mw_err *err);
static enum mw_rc build_beside(struct run *run, struct mw_err *err);
static enum mw_rc note_ready(struct run *run, struct mw_err *err);
static enum mw_rc check_unchanged(const struct run *run, struct mw_err *err);
static enum mw_rc exchange(const struct run *run, struct mw_err *err);
static void step_back(const struct run *run);

enum mw_rc mw_promote_run(const struct mw_promote *promote, struct mw_promoted *ret_promoted,
                          struct mw_err *err)
{
    struct run *run = mw_heap_alloc(sizeof(*run));
    run->promote = promote;
    enum mw_promote_outcome outcome = MW_PROMOTE_BACK;
    struct mw_promoted promoted;
    /* An earlier try under this id is finished or cleared away first. */
    enum mw_rc rc = mw_promote_recover(promote->workspace_fd, promote->id, promote->target,
                                       &outcome, &promoted, err);
    if (rc == MW_OK && outcome == MW_PROMOTE_BACK) {
        rc = mw_promote_place_open(promote->workspace_fd, promote->id, promote->target, &run->place,
                                   err);
        if (rc == MW_OK) {
            rc = run_new(run, err);
            mw_promote_place_close(&run->place);
        }
        promoted = run->note.promoted;
        mw_promote_edits_free(&run->edits);
        mw_tree_free(&run->source);
        mw_tree_free(&run->tree);
        mw_tree_free(&run->carried);
    }
    mw_heap_free(run);
    if (rc == MW_OK)
        *ret_promoted = promoted;
    return rc;
}

static enum mw_rc run_new(struct run *run, struct mw_err *err)
{
    const struct mw_promote *promote = run->promote;
    enum mw_rc rc = mw_promote_look(promote, &run->edits, err);
    if (rc == MW_OK)
        rc = check_edits(run, err);
    if (rc == MW_OK)
        rc = read_source(run, err);
    if (rc == MW_OK)
        rc = make_tree(run, err);
    if (rc != MW_OK)
        return rc;
    struct mw_promoted *promoted = &run->note.promoted;
    mw_tree_digest(&run->tree, promoted->sha256);
    memcpy(promoted->previous_sha256, run->edits.current_sha256, MW_SHA256_HEX);
    memcpy(run->note.source_sha256, promote->source_sha256,
           MW_SHA256_HEX); /* read_source: it is one */
    promoted->edited = run->edits.edited;
    promoted->unchanged = strcmp(promoted->sha256, promoted->previous_sha256) == 0;
    /* What the next promotion tells edits against: adopted ones are still edits then. */
    rc = mw_promote_tree_save(promote->workspace_fd, &run->source, promote->source_sha256, err);
    if (rc == MW_OK && strcmp(promoted->sha256, promote->source_sha256) != 0)
        rc = mw_promote_tree_save(promote->workspace_fd, &run->tree, promoted->sha256, err);
    if (rc == MW_OK && promoted->unchanged) {
        run->note.done = true;
        return mw_promote_note_write(promote->workspace_fd, promote->id, promote->target,
                                     &run->note, err);
    }
    if (rc == MW_OK)
        rc = build_beside(run, err);
    if (rc == MW_OK)
        rc = note_ready(run, err);
    if (rc == MW_OK)
        rc = check_unchanged(run, err);
    if (rc == MW_OK)
        rc = exchange(run, err);
    if (rc != MW_OK) {
        step_back(run);
        return rc;
    }
    if (fsync(run->place.parent_fd) != 0) /* recovery tells which of the two stands */
        return MW_FAIL_SYS(err, MW_E_IO, "make '%s' durable", promote->target);
    rc = mw_promote_finish(&run->place, promote->id, promote->target, &run->note, err);
    struct mw_err
        ignored; /* the promotion is done; what could not be pruned is pruned by the next one */
    if (rc == MW_OK && promote->keep_versions > 0 &&
        mw_versions_prune(promote->workspace_fd, promote->keep_versions, &ignored) != MW_OK)
        return MW_OK;
    return rc;
}

/* Somebody else's folder: not one path of it was ever ours. */
static bool shares_nothing(const struct mw_tree *base, const struct mw_tree *current)
{
    for (uint32_t i = 0; i < current->count; i++)
        if (mw_tree_find(base, current->files[i].path) != NULL)
            return false;
    return true;
}

static enum mw_rc check_edits(const struct run *run, struct mw_err *err)
{
    const struct mw_promote_edits *edits = &run->edits;
    if (!edits->edited || run->promote->edits != MW_EDITS_REFUSE)
        return MW_OK;
    if (strcmp(run->promote->target, "app") != 0 && shares_nothing(&edits->base, &edits->current))
        return MW_FAIL(err, MW_E_DENIED,
                       "'%s' holds what no promotion put there (%.*s%s): name a folder that "
                       "is empty or not there yet, or say --discard-edits, which keeps it aside",
                       run->promote->target, MW_STR_ARG(edits->current.files[0].path),
                       edits->current.count > 1 ? ", …" : "");
    struct mw_buf words = mw_heap_buf();
    mw_tree_diff_words(&edits->diff, NAMES_IN_MESSAGE, &words);
    enum mw_rc rc = MW_FAIL(err, MW_E_DENIED, "'%s' was edited since it was put there: %.*s. %s",
                            run->promote->target, MW_STR_ARG(mw_buf_str(&words)),
                            run->promote->is_rollback ? ROLLBACK_REMEDY : PROMOTE_REMEDY);
    mw_heap_buf_free(&words);
    return rc;
}

static enum mw_rc read_source(struct run *run, struct mw_err *err)
{
    char found[MW_SHA256_HEX];
    enum mw_rc rc =
        mw_tree_scan(run->promote->workspace_fd, run->promote->source, NULL, &run->source, err);
    if (rc != MW_OK)
        return rc;
    mw_tree_digest(&run->source, found);
    if (strcmp(found, run->promote->source_sha256) != 0)
        return MW_FAIL(err, MW_E_CORRUPT, "'%s' is not what was accepted: its hash is %s, not %s",
                       run->promote->source, found, run->promote->source_sha256);
    if (run->source.count == 0)
        return MW_FAIL(err, MW_E_INPUT, "'%s' holds no files", run->promote->source);
    return MW_OK;
}

/* Whether an edit can be carried into the new version, given the file before the edit, after it, and in the new version (NULL: absent). */
enum carry { CARRY, CARRY_NOT_NEEDED, CARRY_CONFLICT };
static bool same(const struct mw_tree_file *a, const struct mw_tree_file *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->mode == b->mode && strcmp(a->sha256, b->sha256) == 0;
}
static enum carry carry_edit(const struct mw_tree_change *edit, const struct mw_tree_file *fresh)
{
    if (same(edit->after, fresh))
        return CARRY_NOT_NEEDED;
    if (edit->after != NULL && edit->after->mode > 0777)
        return CARRY_CONFLICT; /* a link or a device */
    return same(edit->before, fresh) ? CARRY : CARRY_CONFLICT;
}

static enum mw_rc make_tree(struct run *run, struct mw_err *err)
{
    bool adopt = run->promote->edits == MW_EDITS_ADOPT && run->edits.edited;
    const struct mw_tree_diff none = {0};
    const struct mw_tree_diff *edits = adopt ? &run->edits.diff : &none;
    struct mw_tree_diff conflicts = {.changes =
                                         mw_heap_alloc(sizeof(*conflicts.changes) * edits->count)};
    struct mw_tree removed = {0};
    for (uint32_t i = 0; i < edits->count; i++) {
        const struct mw_tree_change *edit = &edits->changes[i];
        enum carry carry = carry_edit(edit, mw_tree_find(&run->source, edit->path));
        if (carry == CARRY_CONFLICT)
            conflicts.changes[conflicts.count++] = *edit;
        else if (carry == CARRY && edit->after != NULL)
            mw_tree_add(&run->carried, edit->after);
        else if (carry == CARRY)
            mw_tree_add(&removed, edit->before);
    }
    for (uint32_t i = 0; i < run->source.count; i++)
        if (mw_tree_find(&run->carried, run->source.files[i].path) == NULL &&
            mw_tree_find(&removed, run->source.files[i].path) == NULL)
            mw_tree_add(&run->tree, &run->source.files[i]);
    for (uint32_t i = 0; i < run->carried.count; i++)
        mw_tree_add(&run->tree, &run->carried.files[i]);
    enum mw_rc rc = mw_tree_seal(&run->tree, err);
    if (conflicts.count > 0) {
        struct mw_buf words = mw_heap_buf();
        mw_tree_diff_words(&conflicts, NAMES_IN_MESSAGE, &words);
        rc = MW_FAIL(err, MW_E_CONFLICT,
                     "edits of '%s' meet changes of the new version and cannot be carried over: "
                     "%.*s",
                     run->promote->target, MW_STR_ARG(mw_buf_str(&words)));
        mw_heap_buf_free(&words);
    }
    mw_tree_free(&removed);
    mw_tree_diff_free(&conflicts);
    return rc;
}

static enum mw_rc build_beside(struct run *run, struct mw_err *err)
{
    const struct mw_promote_place *place = &run->place;
    mw_autoclose int source_fd = openat(run->promote->workspace_fd, run->promote->source,
                                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source_fd < 0)
        return MW_FAIL_SYS(err, errno == ENOENT ? MW_E_MISSING : MW_E_IO, "open '%s'",
                           run->promote->source);
    mw_autoclose int target_fd =
        openat(place->parent_fd, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct mw_tree_source source = {.folder_fd = source_fd,
                                    .overlay = run->carried.count > 0 ? &run->carried : NULL,
                                    .overlay_fd = target_fd};
    enum mw_rc rc =
        mw_tree_write(&run->tree, &source, place->parent_fd, place->beside,
                      (struct mw_tree_write){.durable = true, .keep_private = true}, err);
    if (rc == MW_OK && fsync(place->parent_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the new tree beside '%s' durable",
                         run->promote->target);
    return rc;
}

static enum mw_rc note_ready(struct run *run, struct mw_err *err)
{
    struct stat st;
    if (fstatat(run->place.parent_fd, run->place.beside, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "look at the new tree beside '%s'", run->promote->target);
    run->note.inode = st.st_ino;
    memcpy(run->note.beside, run->place.beside, sizeof(run->note.beside));
    bool there = false;
    enum mw_rc rc = mw_is_there(run->place.parent_fd, run->place.name, &there, err);
    if (rc == MW_OK && there)
        rc = mw_version_next(run->promote->workspace_fd, &run->note.number, err);
    if (rc != MW_OK)
        return rc;
    if (run->note.promoted.previous_sha256[0] != '\0')
        run->note.promoted.previous_version = run->note.number;
    return mw_promote_note_write(run->promote->workspace_fd, run->promote->id, run->promote->target,
                                 &run->note, err);
}

/* Copying takes time; who edited meanwhile is not overrun. What is edited after this look is still kept, with the old tree. */
static enum mw_rc check_unchanged(const struct run *run, struct mw_err *err)
{
    struct mw_promote_edits now;
    enum mw_rc rc = mw_promote_look(run->promote, &now, err);
    if (rc != MW_OK)
        return rc;
    if (strcmp(now.current_sha256, run->edits.current_sha256) != 0)
        rc = MW_FAIL(err, MW_E_CONFLICT, "'%s' was changed while the new version was copied",
                     run->promote->target);
    mw_promote_edits_free(&now);
    return rc;
}

static enum mw_rc exchange(const struct run *run, struct mw_err *err)
{
    const struct mw_promote_place *place = &run->place;
    bool there = false;
    enum mw_rc rc = mw_is_there(place->parent_fd, place->name, &there, err);
    if (rc != MW_OK)
        return rc;
    if (renameat2(place->parent_fd, place->beside, place->parent_fd, place->name,
                  there ? RENAME_EXCHANGE : RENAME_NOREPLACE) == 0)
        return MW_OK;
    if (errno == EINVAL || errno == ENOSYS)
        return MW_FAIL_SYS(err, MW_E_MISSING,
                           "the file system of '%s' cannot exchange two folders at once; --to DIR "
                           "on ext4, xfs, btrfs or tmpfs can",
                           run->promote->target);
    return MW_FAIL_SYS(err, MW_E_IO, "exchange '%s' with its new version", run->promote->target);
}

/* Before the exchange nothing has happened to the target: the copy and the note go. */
static void step_back(const struct run *run)
{
    struct mw_err ignored; /* the first failure is the one to tell; recovery clears what stays */
    mw_clear_away(run->place.parent_fd, run->place.beside);
    if (mw_promote_note_remove(run->promote->workspace_fd, run->promote->id, &ignored) != MW_OK)
        return;
}

enum mw_rc mw_promote_finish(const struct mw_promote_place *place, const char *id,
                             const char *target, struct mw_promote_note *note, struct mw_err *err)
{
    enum mw_rc rc = mw_version_keep(place, id, note, err);
    if (rc != MW_OK)
        return rc;
    note->done = true;
    return mw_promote_note_write(place->workspace_fd, id, target, note, err);
}
