#include "stage/bundle.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static enum mw_rc run_diff(const char *cwd, const char *old_folder, const char *new_folder,
                           bool links, int ret_pipe[2], pid_t *ret_pid, struct mw_err *err);
static bool is_plain_operand(const char *path);
static enum mw_rc look_for_links(const char *folder, bool *ret_links, struct mw_err *err);

enum mw_rc mw_diff_trees(const char *cwd, const char *old_folder, const char *new_folder,
                         size_t max_bytes, struct mw_buf *buf, bool *ret_cut, struct mw_err *err)
{
    if (!is_plain_operand(old_folder) || !is_plain_operand(new_folder))
        return MW_FAIL(err, MW_E_INPUT, "a folder to compare has a name that diff would misread");
    mw_autofree char *old_path = mw_heap_format("%s/%s", cwd, old_folder);
    mw_autofree char *new_path = mw_heap_format("%s/%s", cwd, new_folder);
    if (!mw_exists(AT_FDCWD, old_path) && !mw_exists(AT_FDCWD, new_path)) {
        *ret_cut = false; /* nothing and nothing do not differ; diff would complain */
        return MW_OK;
    }
    bool links = false;
    enum mw_rc rc = look_for_links(old_path, &links, err);
    if (rc == MW_OK)
        rc = look_for_links(new_path, &links, err);
    if (rc != MW_OK)
        return rc;
    int ends[2] = {-1, -1};
    pid_t pid = -1;
    rc = run_diff(cwd, old_folder, new_folder, links, ends, &pid, err);
    if (rc != MW_OK)
        return rc;
    size_t before = buf->len;
    bool cut = false;
    int read_errno = 0;
    char block[65536];
    while (!cut) {
        ssize_t got = read(ends[0], block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            read_errno = got < 0 ? errno : 0;
            break;
        }
        size_t room = max_bytes - (buf->len - before);
        cut = (size_t)got > room;
        mw_buf_put(buf, (struct mw_str){block, cut ? room : (size_t)got});
    }
    (void)close(ends[0]); /* a diff that was cut ends by SIGPIPE */
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
    if (read_errno != 0 || (!cut && !ended_well)) {
        buf->len = before;
        return mw_fail(err,
                       WIFEXITED(status) && WEXITSTATUS(status) == 127 ? MW_E_MISSING : MW_E_FAILED,
                       read_errno, "diff of '%s' and '%s' failed", old_folder, new_folder);
    }
    *ret_cut = cut;
    return MW_OK;
}

static bool is_plain_operand(const char *path)
{
    return path[0] != '\0' && path[0] != '-' && path[0] != '/';
}

/* diff follows links unless told, and waits for ever for a named pipe. */
static enum mw_rc look_for_links(const char *folder, bool *ret_links, struct mw_err *err)
{
    struct mw_tree tree = {0};
    struct mw_tree_scan observe = {.observe = true};
    if (!mw_exists(AT_FDCWD, folder))
        return MW_OK;
    enum mw_rc rc = mw_tree_scan(AT_FDCWD, folder, &observe, &tree, err);
    for (uint32_t i = 0; i < tree.count && rc == MW_OK; i++) {
        if (S_ISLNK(tree.files[i].mode))
            *ret_links = true;
        else if (tree.files[i].mode > 07777)
            rc = MW_FAIL(err, MW_E_DENIED, "'%s/%.*s' is not a file to compare", folder,
                         MW_STR_ARG(tree.files[i].path));
    }
    mw_tree_free(&tree);
    return rc;
}

static enum mw_rc run_diff(const char *cwd, const char *old_folder, const char *new_folder,
                           bool links, int ret_pipe[2], pid_t *ret_pid, struct mw_err *err)
{
    mw_autoclose int cwd_fd = open(cwd, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cwd_fd < 0)
        return MW_FAIL_SYS(err, MW_E_MISSING, "open the folder '%s'", cwd);
    /* Its first lines repeat the words of the command: only an edited app root with links in it is told so. */
    const char *argv[] = {"diff", "-ruN", old_folder, new_folder, links ? "--no-dereference" : NULL,
                          NULL};
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
        failed = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
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
