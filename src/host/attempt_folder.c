#include "agent/leftovers.h"
#include "host/attempt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat2 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- made ---- */

enum mw_rc mw_attempt_folder_new(const char *path, mode_t mode, bool *ret_there, struct mw_err *err)
{
    int failure = mkdirat(AT_FDCWD, path, mode) != 0 ? errno : 0;
    *ret_there = failure == EEXIST;
    if (failure == 0 || failure == EEXIST)
        return MW_OK;
    errno = failure;
    if (errno == ENOENT) /* `clean` took the folder of all attempts with it */
        return mw_mkdirs(AT_FDCWD, path, mode, err);
    return MW_FAIL_SYS(err,
                       errno == ENOSPC || errno == EDQUOT  ? MW_E_FULL
                       : errno == EACCES || errno == EPERM ? MW_E_DENIED
                                                           : MW_E_IO,
                       "make the folder '%s'", path);
}

/* What cannot be had (`clean` removed it, this attempt's own folder is there) is made instead. */
static bool use_again(const struct mw_run_attempt *attempt)
{
    return attempt->used_folder != NULL && renameat2(AT_FDCWD, attempt->used_folder, AT_FDCWD,
                                                     attempt->folder, RENAME_NOREPLACE) == 0;
}

enum mw_rc mw_attempt_folder_make(struct mw_run_attempt *attempt)
{
    bool there;
    if (use_again(attempt))
        return MW_OK;
    enum mw_rc rc = mw_attempt_folder_new(attempt->folder, 0700, &there, &attempt->err);
    if (rc == MW_OK && there) { /* the same attempt again: the host was killed while it ran */
        mw_autofree char *pid_file = mw_attempt_path(attempt, "pid");
        enum mw_leftover found;
        rc = mw_leftover_end(pid_file, 1000, &found, &attempt->err);
        if (rc == MW_OK)
            rc = mw_remove_tree(AT_FDCWD, attempt->folder, &attempt->err);
        if (rc == MW_OK)
            rc = mw_attempt_folder_new(attempt->folder, 0700, &there, &attempt->err);
    }
    if (rc != MW_OK || mw_attempt_is_words(attempt))
        return rc;
    mw_autofree char *tmp = mw_attempt_path(attempt, "tmp");
    return mw_attempt_folder_new(tmp, 0700, &there, &attempt->err);
}

/* ---- left ---- */

/* Nothing but what has one of these names. False also when it cannot be listed. */
static bool holds_only(const char *folder, const char *const *names, size_t count)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        mw_autoclose_fd(&fd);
        return false;
    }
    bool known = true;
    for (const struct dirent *entry; known && (entry = readdir(list)) != NULL;) {
        known = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        for (size_t i = 0; !known && i < count; i++)
            known = strcmp(entry->d_name, names[i]) == 0;
    }
    (void)closedir(list); /* only read from */
    return known;
}

/* What stands beside the content: lists of who may, and notes. What the system itself marks (SELinux) is no agent's. */
static bool has_attributes(const char *path)
{
    char names[512];
    ssize_t len = llistxattr(path, names, sizeof(names));
    if (len < 0)
        return errno != ENOTSUP;
    for (const char *name = names; name < names + len; name += strlen(name) + 1)
        if (!mw_str_starts(mw_str_of(name), MW_STR("security.")))
            return true;
    return false;
}

/* As it was made: what an agent has open as its input or its log it can also lock against the next. */
static bool is_own_file(const struct mw_run_attempt *attempt, const char *name, bool is_empty)
{
    mw_autofree char *path = mw_attempt_path(attempt, name);
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 &&
           (info.st_mode & 07700) == 0600 && (!is_empty || info.st_size == 0) &&
           !has_attributes(path);
}

/* Nobody could tell it from a new one, but by what task.json says. */
static bool is_like_new(const struct mw_run_attempt *attempt, const char *files)
{
    static const char *const names[] = {"files", "pid", "stderr.log", "task.json"};
    struct stat info;
    return lstat(files, &info) == 0 && S_ISDIR(info.st_mode) && (info.st_mode & 07700) == 0700 &&
           is_own_file(attempt, "pid", true) && is_own_file(attempt, "stderr.log", true) &&
           is_own_file(attempt, "task.json", false) &&
           holds_only(attempt->folder, names, MW_COUNT(names)) && !has_attributes(files);
}

/* What an attempt left that went well is in the blobs; the folder of one that did not, or that says so itself, stays to be looked at. */
void mw_attempt_folder_tidy(struct mw_run_attempt *attempt)
{
    static const char said[] = "\"result\":\"Failed\"";
    struct mw_str payload = attempt->outcome.payload;
    bool wants_change = attempt->writes_files || attempt->agent.answers_by_diff;
    mw_autofree char *files = mw_attempt_path(attempt, "files");
    mw_autofree char *tmp = mw_attempt_path(attempt, "tmp");
    if (attempt->rc != MW_OK || attempt->violations.len > 0 ||
        (wants_change && attempt->changed_count == 0) ||
        (payload.len > 0 && memmem(payload.ptr, payload.len, said, sizeof(said) - 1) != NULL))
        return;
    if (mw_attempt_is_words(attempt) && holds_only(files, NULL, 0)) {
        attempt->folder_is_like_new = is_like_new(attempt, files);
        return; /* one folder less to make and to remove is worth an empty one until `clean` */
    }
    if (mw_remove_tree(AT_FDCWD, files, NULL) != MW_OK ||
        mw_remove_tree(AT_FDCWD, tmp, NULL) != MW_OK)
        return; /* `clean` gets it later */
}

/* ---- used again ---- */

char *mw_used_folder_take(struct mw_used_folders *used)
{
    if (used->count <= MW_USED_FOLDERS_KEPT)
        return NULL;
    char *path = used->paths[used->oldest];
    used->oldest = (used->oldest + 1) % MW_COUNT(used->paths);
    used->count--;
    return path;
}

void mw_used_folder_give(struct mw_used_folders *used, char *path)
{
    if (used->count == MW_COUNT(used->paths)) {
        free(path);
        return;
    }
    used->paths[(used->oldest + used->count++) % MW_COUNT(used->paths)] = path;
}
