#include "cli/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

static bool is_workspace(const char *folder);
static bool is_never_one(const char *folder, const char *home);
static bool is_empty(const char *folder);
static enum mw_rc named(struct mw_cli *cli, enum mw_workspace_want want, const char *home,
                        struct mw_err *err);
static enum mw_rc current(struct mw_cli *cli, const char *folder, const char *home,
                          struct mw_err *err);

char *mw_workspace_search(const char *from, const char *home)
{
    char *at = mw_heap_copy(mw_str_of(from));
    struct stat start, here;
    if (stat(at, &start) == 0)
        while (stat(at, &here) == 0 && here.st_dev == start.st_dev && !is_never_one(at, home)) {
            if (is_workspace(at))
                return at;
            mw_autofree char *git = mw_heap_format("%s/.git", at);
            char *slash = strrchr(at, '/');
            if (mw_exists(AT_FDCWD, git) || slash == NULL || slash == at)
                break;
            *slash = '\0';
        }
    mw_heap_free(at);
    return NULL;
}

/* A task says where its folder is, in JSON. */
static enum mw_rc check_text(const char *folder, struct mw_err *err)
{
    return mw_utf8_valid(mw_str_of(folder), NULL)
               ? MW_OK
               : MW_FAIL(err, MW_E_USAGE, "%s: no agent can work below a path that is not UTF-8",
                         folder);
}

static enum mw_rc find(struct mw_cli *cli, enum mw_workspace_want want, struct mw_err *err)
{
    char home_buffer[PATH_MAX], folder[PATH_MAX];
    const char *home = getenv("HOME");
    if (home != NULL)
        home = realpath(home, home_buffer);
    if (cli->workspace != NULL)
        return MW_OK;
    if (cli->workspace_flag != NULL)
        return named(cli, want, home, err);
    if (getcwd(folder, sizeof(folder)) == NULL)
        return MW_FAIL_SYS(err, MW_E_IO, "read the current folder");
    cli->workspace = mw_workspace_search(folder, home);
    if (cli->workspace != NULL)
        return MW_OK;
    if (want == MW_WORKSPACE_EXISTS)
        return MW_FAIL(err, MW_E_USAGE,
                       "no workspace in %s or above it: `millwright gen \"…\"` in an empty folder "
                       "begins one, --workspace DIR names one",
                       folder);
    return current(cli, folder, home, err);
}

enum mw_rc mw_cli_workspace(struct mw_cli *cli, enum mw_workspace_want want, struct mw_err *err)
{
    enum mw_rc rc = find(cli, want, err);
    return rc == MW_OK && want == MW_WORKSPACE_MAKE ? check_text(cli->workspace, err) : rc;
}

const char *mw_cli_factory(struct mw_cli *cli)
{
    static const char *const beside[] = {"factory", "../factory", "../share/millwright/factory",
                                         "../../factory", "../../../factory"};
    const char *given = getenv("MILLWRIGHT_FACTORY");
    char program[PATH_MAX];
    if (given != NULL && *given != '\0')
        return given;
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    while (len > 0 && program[len - 1] != '/')
        len--;
    for (size_t i = 0; len > 0 && i < MW_COUNT(beside); i++) {
        struct mw_str path =
            mw_arena_format(&cli->arena, "%.*s%s/workflows", (int)len, program, beside[i]);
        char plain[PATH_MAX]; /* without the dots, to be shown */
        if (access(path.ptr, R_OK) == 0)
            return realpath(mw_arena_copy(&cli->arena, mw_str_sub(path, 0, path.len - 10)).ptr,
                            plain) != NULL
                       ? mw_arena_copy(&cli->arena, mw_str_of(plain)).ptr
                       : NULL;
    }
    return NULL;
}

static bool is_workspace(const char *folder)
{
    struct stat found;
    mw_autofree char *state = mw_heap_format("%s/.millwright", folder);
    mw_autofree char *app = mw_heap_format("%s/app/app.json", folder);
    return (stat(state, &found) == 0 && S_ISDIR(found.st_mode)) ||
           (stat(app, &found) == 0 && S_ISREG(found.st_mode));
}

static bool is_never_one(const char *folder, const char *home)
{
    return strcmp(folder, "/") == 0 || (home != NULL && strcmp(folder, home) == 0);
}

/* `gen … > out.json`: the shell made that file a moment ago. */
static bool is_redirection(DIR *dir, const char *name)
{
    struct stat file, stream;
    if (fstatat(dirfd(dir), name, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(file.st_mode))
        return false;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fstat(fd, &stream) == 0 && stream.st_dev == file.st_dev && stream.st_ino == file.st_ino)
            return true;
    return false;
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    bool empty = true;
    if (dir == NULL)
        return false;
    for (const struct dirent *entry = readdir(dir); entry != NULL && empty; entry = readdir(dir))
        /* A fresh git repository has nothing in it yet. */
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, ".git") == 0 || is_redirection(dir, entry->d_name);
    (void)closedir(dir); /* it was only read */
    return empty;
}

static enum mw_rc never(const char *folder, struct mw_err *err)
{
    return MW_FAIL(err, MW_E_USAGE, "%s is never a workspace: name a folder of its own", folder);
}

static enum mw_rc named(struct mw_cli *cli, enum mw_workspace_want want, const char *home,
                        struct mw_err *err)
{
    char folder[PATH_MAX];
    struct stat found;
    if (want == MW_WORKSPACE_MAKE && (check_text(cli->workspace_flag, err) != MW_OK ||
                                      mw_mkdirs(AT_FDCWD, cli->workspace_flag, 0777, err) != MW_OK))
        return err->rc;
    if (realpath(cli->workspace_flag, folder) == NULL)
        return MW_FAIL_SYS(err, MW_E_USAGE, "--workspace %s", cli->workspace_flag);
    if (stat(folder, &found) != 0 || !S_ISDIR(found.st_mode))
        return MW_FAIL(err, MW_E_USAGE, "--workspace %s: this is no folder", cli->workspace_flag);
    if (is_never_one(folder, home))
        return never(folder, err);
    if (want == MW_WORKSPACE_EXISTS && !is_workspace(folder))
        return MW_FAIL(err, MW_E_USAGE,
                       "%s is no workspace: it has neither .millwright nor "
                       "app/app.json",
                       folder);
    cli->workspace = mw_heap_copy(mw_str_of(folder));
    return MW_OK;
}

static bool agrees(const char *folder)
{
    char answer[16] = "";
    (void)fprintf(stderr, "%s is not empty and no workspace. Make it one? [y/N] ", folder);
    (void)fflush(stderr); /* a prompt that cannot be shown is answered with no */
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static enum mw_rc current(struct mw_cli *cli, const char *folder, const char *home,
                          struct mw_err *err)
{
    if (is_never_one(folder, home))
        return never(folder, err);
    if (!is_empty(folder)) {
        bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
        if (!terminal || !agrees(folder))
            return MW_FAIL(err, MW_E_USAGE,
                           "%s is not empty and no workspace: use an empty folder, or say "
                           "--workspace %s",
                           folder, folder);
    }
    cli->workspace = mw_heap_copy(mw_str_of(folder));
    return MW_OK;
}
