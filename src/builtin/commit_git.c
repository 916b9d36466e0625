#include "builtin/commit_git.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 48
#define OUTPUT_BYTES_MAX ((size_t)256 << 20)
#define WORDS_MAX 400

/* In front of every command: what a user's or a system's configuration could have set. */
static const char *const settings[] = {
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.autocrlf=false",
    "-c",
    "core.attributesFile=/dev/null",
    "-c",
    "core.fsync=all",
    "-c",
    "gc.auto=0",
    "-c",
    "fastimport.unpackLimit=0",
    "-c",
    "core.quotePath=false",
    "-c",
    "maintenance.auto=false",
    "-c",
    "protocol.allow=never",
    "-c",
    "core.logAllRefUpdates=false",
};

/* Files in memory: no pipe to drain while writing, no temporary file to leave behind. */
struct streams {
    int in, out, words;
};

static enum mw_rc streams_open(struct mw_str input, struct streams *ret_streams,
                               struct mw_err *err);
static enum mw_rc spawn_and_wait(const char *const *argv, const char *repo,
                                 const struct streams *streams, int *ret_status,
                                 struct mw_err *err);
static enum mw_rc read_back(int fd, struct mw_buf *buf, struct mw_err *err);
static enum mw_rc make_repository(const char *fresh, struct mw_err *err);

enum mw_rc mw_git_run(const char *repo, const char *const *args, struct mw_str input,
                      struct mw_buf *out, int *ret_status, struct mw_err *err)
{
    const char *argv[MW_COUNT(settings) + ARGS_MAX + 1];
    size_t count = 0;
    for (; count < MW_COUNT(settings); count++)
        argv[count] = settings[count];
    for (size_t i = 0; args[i] != NULL; i++) {
        MW_ASSERT(i < ARGS_MAX);
        argv[count++] = args[i];
    }
    argv[count] = NULL;
    struct streams streams;
    int status = 0;
    enum mw_rc rc = streams_open(input, &streams, err);
    if (rc == MW_OK)
        rc = spawn_and_wait(argv, repo, &streams, &status, err);
    if (rc == MW_OK && status != 0 && ret_status == NULL) {
        struct mw_buf words = mw_heap_buf();
        rc = read_back(streams.words, &words, err);
        struct mw_str tail = mw_str_trim(mw_buf_str(&words));
        if (tail.len > WORDS_MAX)
            tail = mw_str_sub(tail, tail.len - WORDS_MAX, WORDS_MAX);
        if (rc == MW_OK)
            rc = MW_FAIL(err, MW_E_FAILED, "git %s ended with %d: %.*s", args[0], status,
                         MW_STR_ARG(tail));
        mw_heap_buf_free(&words);
    }
    if (rc == MW_OK && out != NULL)
        rc = read_back(streams.out, out, err);
    mw_autoclose_fd(&streams.in);
    mw_autoclose_fd(&streams.out);
    mw_autoclose_fd(&streams.words);
    if (rc == MW_OK && ret_status != NULL)
        *ret_status = status;
    return rc;
}

static enum mw_rc streams_open(struct mw_str input, struct streams *ret_streams, struct mw_err *err)
{
    struct streams streams = {memfd_create("git-in", MFD_CLOEXEC),
                              memfd_create("git-out", MFD_CLOEXEC),
                              memfd_create("git-words", MFD_CLOEXEC)};
    *ret_streams = streams;
    if (streams.in < 0 || streams.out < 0 || streams.words < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make a file in memory");
    enum mw_rc rc = mw_write_all(streams.in, input, err);
    if (rc == MW_OK && lseek(streams.in, 0, SEEK_SET) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "rewind a file in memory");
    return rc;
}

static enum mw_rc spawn_and_wait(const char *const *argv, const char *repo,
                                 const struct streams *streams, int *ret_status, struct mw_err *err)
{
    const char *search = getenv("PATH");
    mw_autofree char *path = mw_heap_format("PATH=%s", search != NULL ? search : "/usr/bin:/bin");
    mw_autofree char *git_dir = mw_heap_format("GIT_DIR=%s", repo);
    const char *envp[] = {path,
                          git_dir,
                          "LC_ALL=C",
                          "TZ=UTC",
                          "HOME=/nonexistent",
                          "GIT_CONFIG_GLOBAL=/dev/null",
                          "GIT_CONFIG_SYSTEM=/dev/null",
                          "GIT_CONFIG_NOSYSTEM=1",
                          "GIT_ATTR_NOSYSTEM=1",
                          "GIT_TERMINAL_PROMPT=0",
                          "GIT_NO_REPLACE_OBJECTS=1",
                          "GIT_OPTIONAL_LOCKS=0",
                          NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, streams->in, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, streams->out, 1);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, streams->words, 2);
    if (failed == 0)
        failed = posix_spawnp(&pid, "git", &actions, NULL, (char *const *)(uintptr_t)argv,
                              (char *const *)(uintptr_t)envp);
    (void)posix_spawn_file_actions_destroy(&actions); /* frees memory only */
    if (failed != 0)
        return mw_fail(err, failed == ENOENT ? MW_E_MISSING : MW_E_IO, failed,
                       "start the program 'git'");
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return MW_FAIL_SYS(err, MW_E_IO, "wait for git");
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return MW_OK;
}

static enum mw_rc read_back(int fd, struct mw_buf *buf, struct mw_err *err)
{
    size_t total = 0;
    for (;;) {
        char block[65536];
        ssize_t got = pread(fd, block, sizeof(block), (off_t)total);
        if (got < 0)
            return MW_FAIL_SYS(err, MW_E_IO, "read git's answer");
        if (got == 0)
            return MW_OK;
        total += (size_t)got;
        if (total > OUTPUT_BYTES_MAX)
            return MW_FAIL(err, MW_E_LIMIT, "git's answer is larger than %zu bytes",
                           OUTPUT_BYTES_MAX);
        mw_buf_put(buf, (struct mw_str){block, (size_t)got});
    }
}

enum mw_rc mw_git_open(const char *repo, struct mw_err *err)
{
    if (repo[0] != '/')
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not an absolute path of a repository", repo);
    if (mw_exists(AT_FDCWD, repo))
        return MW_OK; /* it got its name when it was complete */
    mw_autofree char *fresh = mw_heap_format("%s.new-%d", repo, (int)getpid());
    mw_autofree char *parent = mw_heap_copy(mw_str_of(repo));
    char *slash = strrchr(parent, '/');
    if (slash != parent)
        *slash = '\0';
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, parent, 0755, err);
    if (rc == MW_OK)
        rc = mw_remove_tree(AT_FDCWD, fresh, err); /* of a process that had our number and died */
    if (rc == MW_OK)
        rc = make_repository(fresh, err);
    if (rc == MW_OK && renameat2(AT_FDCWD, fresh, AT_FDCWD, repo, RENAME_NOREPLACE) != 0 &&
        errno != EEXIST)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make the repository '%s'", repo);
    struct mw_err ignored; /* another one was first, or the failure above is the one to tell */
    if (mw_exists(AT_FDCWD, fresh) && mw_remove_tree(AT_FDCWD, fresh, &ignored) != MW_OK)
        return rc;
    return rc == MW_OK ? mw_fsync_dir(AT_FDCWD, parent, err) : rc;
}

static enum mw_rc make_repository(const char *fresh, struct mw_err *err)
{
    const char *const init[] = {
        "init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--object-format=sha1",
        NULL};
    const char *const import[] = {"fast-import", "--quiet", "--done", NULL};
    mw_autofree char *root = mw_heap_format(
        "commit refs/heads/main\nauthor " MW_GIT_COMMITTER " %ld +0000\n"
        "committer " MW_GIT_COMMITTER " %ld +0000\ndata 22\nmillwright: empty root\ndone\n",
        MW_GIT_EPOCH, MW_GIT_EPOCH);
    enum mw_rc rc = mw_mkdirs(AT_FDCWD, fresh, 0755, err);
    if (rc == MW_OK)
        rc = mw_git_run(fresh, init, MW_STR_NONE, NULL, NULL, err);
    if (rc == MW_OK)
        rc = mw_git_run(fresh, import, mw_str_of(root), NULL, NULL, err);
    return rc;
}

enum mw_rc mw_git_resolve(const char *repo, const char *name, char ret_id[MW_GIT_ID],
                          struct mw_err *err)
{
    mw_autofree char *commit = mw_heap_format("%s^{commit}", name);
    const char *const args[] = {"rev-parse",        "--verify", "--quiet",
                                "--end-of-options", commit,     NULL};
    struct mw_buf out = mw_heap_buf();
    int status = 0;
    enum mw_rc rc = mw_git_run(repo, args, MW_STR_NONE, &out, &status, err);
    struct mw_str id = mw_str_trim(mw_buf_str(&out));
    if (rc == MW_OK && status != 0 && status != 1)
        rc = MW_FAIL(err, MW_E_FAILED, "git rev-parse of '%s' in '%s' ended with %d", name, repo,
                     status);
    if (rc == MW_OK) {
        memset(ret_id, 0, MW_GIT_ID);
        if (status == 0 && id.len < MW_GIT_ID)
            memcpy(ret_id, id.ptr, id.len);
    }
    mw_heap_buf_free(&out);
    return rc;
}

bool mw_git_branch_is_plain(struct mw_str branch)
{
    if (branch.len > 200 || !mw_path_is_plain(branch) || mw_str_ends(branch, MW_STR(".lock")) ||
        mw_str_ends(branch, MW_STR(".")))
        return false;
    for (size_t i = 0; i < branch.len; i++) {
        char c = branch.ptr[i];
        bool begins = i == 0 || branch.ptr[i - 1] == '/';
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '/' && (begins || (c != '-' && c != '.')))
            return false;
        if (c == '.' && branch.ptr[i - 1] == '.')
            return false;
    }
    return true;
}
