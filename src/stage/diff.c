#include "stage/bundle.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMPLAINTS_BYTES_MAX ((size_t)1 << 20)

/* One of the two, and what is in it. */
struct side {
    const char *folder; /* borrowed: relative to the folder that diff runs in */
    struct mw_tree tree;
    bool links;
};

static enum mw_rc run_diff(const char *cwd, const struct side sides[2], int complaints_fd,
                           int ret_pipe[2], pid_t *ret_pid, struct mw_err *err);
static bool is_plain_operand(const char *path);
static enum mw_rc look_at(const char *cwd, struct side *side, struct mw_err *err);
static void tell_lone_links(const char *cwd, const struct side sides[2], struct mw_buf *told,
                            struct mw_buf *complaints);
static bool complains_of_no_more(int complaints_fd, struct mw_str expected);
static enum mw_rc diff_sides(const char *cwd, const struct side sides[2], size_t max_bytes,
                             struct mw_buf *buf, bool *ret_cut, struct mw_err *err);

enum mw_rc mw_diff_trees(const char *cwd, const char *old_folder, const char *new_folder,
                         size_t max_bytes, struct mw_buf *buf, bool *ret_cut, struct mw_err *err)
{
    struct side sides[2] = {{.folder = old_folder}, {.folder = new_folder}};
    if (!is_plain_operand(old_folder) || !is_plain_operand(new_folder))
        return MW_FAIL(err, MW_E_INPUT, "a folder to compare has a name that diff would misread");
    mw_autofree char *old_path = mw_heap_format("%s/%s", cwd, old_folder);
    mw_autofree char *new_path = mw_heap_format("%s/%s", cwd, new_folder);
    if (!mw_exists(AT_FDCWD, old_path) && !mw_exists(AT_FDCWD, new_path)) {
        *ret_cut = false; /* nothing and nothing do not differ; diff would complain */
        return MW_OK;
    }
    enum mw_rc rc = look_at(cwd, &sides[0], err);
    if (rc == MW_OK)
        rc = look_at(cwd, &sides[1], err);
    if (rc == MW_OK)
        rc = diff_sides(cwd, sides, max_bytes, buf, ret_cut, err);
    mw_tree_free(&sides[0].tree);
    mw_tree_free(&sides[1].tree);
    return rc;
}

/* 0, or errno. */
static int read_words(int fd, size_t max_bytes, struct mw_buf *buf, bool *ret_cut)
{
    size_t before = buf->len;
    char block[65536];
    while (!*ret_cut) {
        ssize_t got = read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : 0;
        size_t room = max_bytes - (buf->len - before);
        *ret_cut = (size_t)got > room;
        mw_buf_put(buf, (struct mw_str){block, *ret_cut ? room : (size_t)got});
    }
    return 0;
}

static enum mw_rc diff_sides(const char *cwd, const struct side sides[2], size_t max_bytes,
                             struct mw_buf *buf, bool *ret_cut, struct mw_err *err)
{
    int ends[2] = {-1, -1};
    pid_t pid = -1;
    mw_autoclose int complaints_fd = memfd_create("complaints", MFD_CLOEXEC);
    if (complaints_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make room for what diff complains of");
    enum mw_rc rc = run_diff(cwd, sides, complaints_fd, ends, &pid, err);
    if (rc != MW_OK)
        return rc;
    size_t before = buf->len;
    bool cut = false;
    int read_errno = read_words(ends[0], max_bytes, buf, &cut);
    (void)close(ends[0]); /* a diff that was cut ends by SIGPIPE */
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    struct mw_buf told = mw_heap_buf(), complaints = mw_heap_buf();
    tell_lone_links(cwd, sides, &told, &complaints);
    bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
    if (!ended_well && WIFEXITED(status) && WEXITSTATUS(status) == 2)
        ended_well = complains_of_no_more(complaints_fd, mw_buf_str(&complaints));
    if (read_errno != 0 || (!cut && !ended_well)) {
        buf->len = before;
        rc = mw_fail(err,
                     WIFEXITED(status) && WEXITSTATUS(status) == 127 ? MW_E_MISSING : MW_E_FAILED,
                     read_errno, "diff of '%s' and '%s' failed", sides[0].folder, sides[1].folder);
    } else if (!cut) {
        size_t room = max_bytes - (buf->len - before);
        cut = told.len > room;
        mw_buf_put(buf, mw_str_sub(mw_buf_str(&told), 0, room));
    }
    mw_heap_buf_free(&told);
    mw_heap_buf_free(&complaints);
    if (rc == MW_OK)
        *ret_cut = cut;
    return rc;
}

static bool is_plain_operand(const char *path)
{
    return path[0] != '\0' && path[0] != '-' && path[0] != '/';
}

/* diff follows links unless told, and waits for ever for a named pipe. */
static enum mw_rc look_at(const char *cwd, struct side *side, struct mw_err *err)
{
    struct mw_tree_scan observe = {.observe = true};
    mw_autofree char *path = mw_heap_format("%s/%s", cwd, side->folder);
    if (!mw_exists(AT_FDCWD, path))
        return MW_OK;
    enum mw_rc rc = mw_tree_scan(AT_FDCWD, path, &observe, &side->tree, err);
    for (uint32_t i = 0; i < side->tree.count && rc == MW_OK; i++) {
        if (S_ISLNK(side->tree.files[i].mode))
            side->links = true;
        else if (side->tree.files[i].mode > 07777)
            rc = MW_FAIL(err, MW_E_DENIED, "'%s/%.*s' is not a file to compare", path,
                         MW_STR_ARG(side->tree.files[i].path));
    }
    return rc;
}

/*
 * Of a link that has nothing beside it on the other side diff cannot say what it says of a file: it complains that the other one is not there,
 * and goes on. What it would have said is told here.
 */
static void tell_lone_links(const char *cwd, const struct side sides[2], struct mw_buf *told,
                            struct mw_buf *complaints)
{
    struct stat beside;
    for (int s = 0; s < 2; s++) {
        const struct side *here = &sides[s], *other = &sides[1 - s];
        for (uint32_t i = 0; i < here->tree.count; i++) {
            struct mw_str path = here->tree.files[i].path, name = path, folder = MW_STR_NONE;
            if (!S_ISLNK(here->tree.files[i].mode))
                continue;
            mw_autofree char *there = mw_heap_format("%s/%s/%s", cwd, other->folder, path.ptr);
            if (lstat(there, &beside) == 0)
                continue;
            for (size_t at = 0; at < path.len; at++)
                if (path.ptr[at] == '/') {
                    folder = mw_str_sub(path, 0, at);
                    name = mw_str_sub(path, at + 1, SIZE_MAX);
                }
            mw_buf_printf(told, "Only in %s%s%.*s: %.*s\n", here->folder, folder.len > 0 ? "/" : "",
                          MW_STR_ARG(folder), MW_STR_ARG(name));
            mw_buf_printf(complaints, "diff: %s/%.*s: No such file or directory\n", other->folder,
                          MW_STR_ARG(path));
        }
    }
}

/* Each line is one of those that are expected. */
static bool complains_of_no_more(int complaints_fd, struct mw_str expected)
{
    struct stat file;
    if (fstat(complaints_fd, &file) != 0 || file.st_size == 0 ||
        (size_t)file.st_size > COMPLAINTS_BYTES_MAX)
        return false;
    mw_autofree char *text = mw_heap_alloc((size_t)file.st_size);
    if (pread(complaints_fd, text, (size_t)file.st_size, 0) != (ssize_t)file.st_size)
        return false;
    struct mw_str said = {text, (size_t)file.st_size};
    for (size_t at = 0; at < said.len;) {
        size_t end = mw_str_find(said, '\n', at);
        if (end == SIZE_MAX)
            return false;
        const char *hit =
            expected.len > 0 ? memmem(expected.ptr, expected.len, text + at, end + 1 - at) : NULL;
        if (hit == NULL || (hit != expected.ptr && hit[-1] != '\n'))
            return false;
        at = end + 1;
    }
    return true;
}

static enum mw_rc run_diff(const char *cwd, const struct side sides[2], int complaints_fd,
                           int ret_pipe[2], pid_t *ret_pid, struct mw_err *err)
{
    bool links = sides[0].links || sides[1].links;
    mw_autoclose int cwd_fd = open(cwd, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cwd_fd < 0)
        return MW_FAIL_SYS(err, MW_E_MISSING, "open the folder '%s'", cwd);
    /* Its first lines repeat the words of the command: only an edited app root with links in it is told so. */
    const char *argv[] = {
        "diff", "-ruN", sides[0].folder, sides[1].folder, links ? "--no-dereference" : NULL, NULL};
    const char *envp[] = {"PATH=/usr/bin:/bin:/usr/local/bin", "LC_ALL=C", "TZ=UTC", NULL};
    if (pipe2(ret_pipe, O_CLOEXEC) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make a pipe");
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0)
        failed = posix_spawn_file_actions_addfchdir_np(&actions, cwd_fd);
    if (failed == 0)
        failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, ret_pipe[1], 1);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, complaints_fd, 2);
    if (failed == 0)
        failed =
            posix_spawnp(ret_pid, "diff", &actions, NULL, (char *const *)argv, (char *const *)envp);
    (void)posix_spawn_file_actions_destroy(&actions); /* frees memory only */
    (void)close(ret_pipe[1]);                         /* the child's end */
    if (failed != 0) {
        (void)close(ret_pipe[0]);
        return mw_fail(err, failed == ENOENT ? MW_E_MISSING : MW_E_IO, failed,
                       "start the program 'diff'");
    }
    return MW_OK;
}
