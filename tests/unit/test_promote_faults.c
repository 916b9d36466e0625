/*
 * Every system call of a promotion, a rollback and a recovery fails once, within this process (test_promote_crash watches from outside): the
 * root is the old tree or the new one, what was answered says which, recovery without faults agrees, and nothing stays beside it (P12, P22).
 * What a person saves at such a call is kept (P23).
 */
#include "posix/heap.h"
#include "stage/promote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- calls that fail, by the linker (test_promote_faults.wraps) ---- */

static struct {
    long at; /* 0: never */
    long calls;
    int error;
    bool exchange_only;
    bool dies;  /* the process ends there instead */
    bool edits; /* a person saves a file there instead */
    bool lasts; /* and so does every later call */
    bool hit;
} strike;

/* The folder of kept versions counts as one of another file system: nothing can be renamed into it. */
static bool across;
/* Nor can what is not writable, or what is somebody else's. */
static enum { MOVES, MOVES_WHEN_WRITABLE, NEVER_MOVES } moves;
/* Whether the folder of kept versions was synced, and whether something was removed before that. */
static struct {
    ino_t versions; /* 0: nobody watches */
    bool synced, removed_before;
} watch;

static void save_an_edit(void);

static bool strikes(bool is_exchange)
{
    if (strike.at == 0 || (strike.exchange_only && !is_exchange) || ++strike.calls < strike.at ||
        (strike.calls > strike.at && !strike.lasts))
        return false;
    strike.hit = true;
    if (strike.edits) {
        save_an_edit();
        return false;
    }
    if (strike.dies)
        _exit(0);
    errno = strike.error;
    return true;
}

#define WRAP(result, name, parameters, arguments, failure)                                         \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        return strikes(false) ? (failure) : __real_##name arguments;                               \
    }

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat file;
    if (strikes(false))
        return -1;
    if (watch.versions != 0 && fstat(fd, &file) == 0 && file.st_ino == watch.versions)
        watch.synced = true;
    return __real_fsync(fd);
}

int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags)
{
    if (strikes(false))
        return -1;
    watch.removed_before = watch.removed_before || !watch.synced;
    return __real_unlinkat(fd, path, flags);
}

WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
WRAP(int, fstat, (int fd, struct stat *ret), (fd, ret), -1)
WRAP(int, fstatat, (int fd, const char *path, struct stat *ret, int flags), (fd, path, ret, flags),
     -1)
WRAP(int, faccessat, (int fd, const char *path, int mode, int flags), (fd, path, mode, flags), -1)
WRAP(int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), -1)
WRAP(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to), -1)
WRAP(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size), -1)
WRAP(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size), -1)
WRAP(char *, realpath, (const char *path, char *ret), (path, ret), NULL)
WRAP(DIR *, fdopendir, (int fd), (fd), NULL)
WRAP(struct dirent *, readdir, (DIR * folder), (folder), NULL)

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (strikes(true))
        return -1;
    struct stat old;
    bool home = strncmp(to, ".millwright/versions/", 21) == 0;
    if (across && home) {
        errno = EXDEV;
        return -1;
    }
    if (moves != MOVES && home &&
        (moves == NEVER_MOVES ||
         (__real_fstatat(from_fd, from, &old, 0) == 0 && (old.st_mode & S_IWUSR) == 0))) {
        errno = EACCES;
        return -1;
    }
    return __real_renameat2(from_fd, from, to_fd, to, flags);
}

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode)
{
    return strikes(false) ? -1 : __real_openat(fd, path, flags, mode);
}

long __real_syscall(long number, long a, long b, long c, long d);
long __wrap_syscall(long number, long a, long b, long c, long d);
long __wrap_syscall(long number, long a, long b, long c, long d)
{
    return strikes(false) ? -1 : __real_syscall(number, a, b, c, d);
}

/* ---- the workspace ---- */

enum operation {
    PROMOTE,
    ROLLBACK,
    FIRST,
    ADOPT,
    DISCARD,
    ACROSS,
    ACROSS_LINK,
    READ_ONLY,
    OTHERS,
    SAME,
    OPERATIONS
};
static const char *const names[OPERATIONS] = {"promote",
                                              "rollback",
                                              "first",
                                              "adopt",
                                              "discard",
                                              "across",
                                              "across with a link",
                                              "a root that is not writable",
                                              "a root that is somebody else's",
                                              "the same again"};
static char base[64];
static char v1[MW_SHA256_HEX], v2[MW_SHA256_HEX], edited[MW_SHA256_HEX], adopted[MW_SHA256_HEX];
static unsigned struck;

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void put_tree(const char *folder, const char *a, const char *b, const char *only)
{
    char path[256];
    struct mw_err err;
    (void)snprintf(path, sizeof path, "%s/src", folder);
    assert_int_equal(mw_mkdirs(AT_FDCWD, path, 0755, &err), MW_OK);
    (void)snprintf(path, sizeof path, "%s/app.json", folder);
    put(path, a);
    (void)snprintf(path, sizeof path, "%s/src/b.js", folder);
    put(path, b);
    (void)snprintf(path, sizeof path, "%s/src/%s", folder, only);
    put(path, only);
}

static void digest_of(const char *folder, char ret_sha256[MW_SHA256_HEX])
{
    struct mw_err err;
    struct mw_tree tree;
    struct mw_tree_scan observe = {.observe = true};
    ret_sha256[0] = '\0';
    if (mw_tree_scan(AT_FDCWD, folder, &observe, &tree, &err) != MW_OK)
        return;
    if (tree.count > 0)
        mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
}

static enum mw_rc promote(const char *id, const char *source, const char *sha256,
                          const char *expected, enum mw_promote_edits_mode edits,
                          struct mw_promoted *ret_promoted, struct mw_err *err)
{
    int ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_promote promote = {.workspace_fd = ws_fd,
                                 .id = id,
                                 .source = source,
                                 .source_sha256 = sha256,
                                 .target = "app",
                                 .expected = &expected,
                                 .expected_count = expected != NULL,
                                 .edits = edits,
                                 .keep_versions = 1};
    enum mw_rc rc = mw_promote_run(&promote, ret_promoted, err);
    (void)close(ws_fd);
    return rc;
}

static enum mw_rc operate(enum operation operation, struct mw_promoted *ret_promoted,
                          struct mw_err *err)
{
    switch (operation) {
    case ROLLBACK:
        return promote("p9", ".millwright/versions/1", v1, v2, MW_EDITS_REFUSE, ret_promoted, err);
    case FIRST:
        return promote("p9", "v2", v2, NULL, MW_EDITS_REFUSE, ret_promoted, err);
    case ADOPT:
        return promote("p9", "v2", v2, v1, MW_EDITS_ADOPT, ret_promoted, err);
    case DISCARD:
    case ACROSS_LINK:
        return promote("p9", "v2", v2, v1, MW_EDITS_DISCARD, ret_promoted, err);
    case SAME:
        return promote("p9", "v1", v1, v1, MW_EDITS_REFUSE, ret_promoted, err);
    default:
        return promote("p9", "v2", v2, v1, MW_EDITS_REFUSE, ret_promoted, err);
    }
}

static const char *old_digest(enum operation operation)
{
    return operation == ROLLBACK                                                    ? v2
           : operation == FIRST                                                     ? ""
           : operation == ADOPT || operation == DISCARD || operation == ACROSS_LINK ? edited
                                                                                    : v1;
}

static const char *new_digest(enum operation operation)
{
    return operation == ROLLBACK || operation == SAME ? v1 : operation == ADOPT ? adopted : v2;
}

static void prepare(enum operation operation)
{
    struct mw_err err = {.text = ""};
    struct mw_promoted promoted;
    across = false;
    moves = MOVES;
    assert_int_equal(chdir(base), 0);
    (void)chmod("ws/app", 0755);
    assert_int_equal(mw_remove_tree(AT_FDCWD, "ws", &err), MW_OK);
    assert_int_equal(mkdir("ws", 0755), 0);
    assert_int_equal(chdir("ws"), 0);
    put_tree("v1", "1\n", "b1\n", "one");
    put_tree("v2", "2\n", "b1\n", "two");
    assert_int_equal(mkdir(".millwright", 0755), 0);
    digest_of("v1", v1);
    digest_of("v2", v2);
    if (operation != FIRST)
        assert_int_equal(promote("p1", "v1", v1, NULL, MW_EDITS_REFUSE, &promoted, &err), MW_OK);
    if (operation == ROLLBACK)
        assert_int_equal(promote("p2", "v2", v2, v1, MW_EDITS_REFUSE, &promoted, &err), MW_OK);
    across = operation == ACROSS || operation == ACROSS_LINK;
    moves = operation == READ_ONLY ? MOVES_WHEN_WRITABLE
            : operation == OTHERS  ? NEVER_MOVES
                                   : MOVES;
    if (operation == READ_ONLY)
        assert_int_equal(chmod("app", 0555), 0);
    if (operation != ADOPT && operation != DISCARD && operation != ACROSS_LINK)
        return;
    put("app/src/b.js", "mine\n");
    put("app/mine", "mine\n");
    if (operation == ACROSS_LINK)
        assert_int_equal(symlink("mine", "app/link"), 0);
    digest_of("app", edited);
    put_tree("as-adopted", "2\n", "mine\n", "two");
    put("as-adopted/mine", "mine\n");
    digest_of("as-adopted", adopted);
}

static bool new_stands(enum operation operation, const char *when)
{
    char found[MW_SHA256_HEX];
    digest_of("app", found);
    if (strcmp(found, new_digest(operation)) == 0)
        return true;
    if (strcmp(found, old_digest(operation)) != 0)
        fail_msg("%s: neither the old nor the new tree stands", when);
    return false;
}

static void nothing_beside(const char *when)
{
    DIR *list = opendir(".");
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        if (strncmp(entry->d_name, ".millwright-", 12) == 0)
            fail_msg("%s: %s is left", when, entry->d_name);
    (void)closedir(list);
}

static enum mw_rc recover(enum mw_promote_outcome *ret_outcome, struct mw_err *err)
{
    struct mw_promoted promoted;
    int ws_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum mw_rc rc = mw_promote_recover(ws_fd, "p9", "app", ret_outcome, &promoted, err);
    (void)close(ws_fd);
    return rc;
}

/* Recovery, undisturbed, says what stands, twice, and clears away. */
static void recovers(enum operation operation, const char *when)
{
    enum mw_promote_outcome outcome = MW_PROMOTE_BACK;
    struct mw_err err = {.text = ""};
    for (int again = 0; again < 2; again++) {
        if (recover(&outcome, &err) != MW_OK)
            fail_msg("%s: does not recover: %s", when, err.text);
        bool is_new = new_stands(operation, when);
        if (operation != SAME && is_new != (outcome == MW_PROMOTE_FORWARD))
            fail_msg("%s: recovery says %s, and the %s tree stands", when,
                     outcome == MW_PROMOTE_FORWARD ? "forward" : "back", is_new ? "new" : "old");
    }
    nothing_beside(when);
}

static void arm(long at, int error, bool exchange_only, bool dies)
{
    strike.at = at;
    strike.calls = 0;
    strike.error = error;
    strike.exchange_only = exchange_only;
    strike.dies = dies;
    strike.edits = strike.lasts = false;
    strike.hit = false;
}

static bool night(void)
{
    return getenv("MW_NIGHT") != NULL;
}

static const struct {
    int error;
    bool exchange_only;
    bool lasts;
    long by_day; /* every so many calls; by night all */
} faults[] = {{EIO, false, false, 1},   {ENOSPC, false, false, 3}, {EIO, false, true, 7},
              {ENOSYS, true, false, 1}, {EINVAL, true, false, 1},  {EEXIST, true, false, 1}};

static void every_call_of_a_promotion_fails(void **state)
{
    (void)state;
    for (enum operation operation = 0; operation < OPERATIONS; operation++) {
        for (size_t f = 0; f < MW_COUNT(faults); f++) {
            bool hit = true;
            for (long at = 1; hit; at += night() ? 1 : faults[f].by_day) {
                struct mw_promoted promoted;
                struct mw_err err = {.text = ""};
                char when[160];
                prepare(operation);
                (void)snprintf(when, sizeof when, "%s, call %ld: %s", names[operation], at,
                               strerror(faults[f].error));
                arm(at, faults[f].error, faults[f].exchange_only, false);
                strike.lasts = faults[f].lasts;
                enum mw_rc rc = operate(operation, &promoted, &err);
                hit = strike.hit;
                struck += hit;
                arm(0, 0, false, false);
                bool is_new = new_stands(operation, when);
                if (rc == MW_OK && !is_new)
                    fail_msg("%s: it is said to be done and is not", when);
                if (rc != MW_OK && rc != MW_E_IO && rc != MW_E_FULL && is_new && operation != SAME)
                    fail_msg("%s: refused (%s), and done", when, err.text);
                if (rc != MW_OK && err.text[0] == '\0')
                    fail_msg("%s: refused without a word", when);
                if (!hit && rc != MW_OK)
                    fail_msg("%s: %s", names[operation], err.text);
                recovers(operation, when);
            }
        }
    }
}

/* What stands in the app root is kept where it can be, and never the reason for a promotion to be told as failed. */
static void p12_an_app_that_may_not_be_moved_is_kept_all_the_same(void **state)
{
    static const struct {
        enum operation operation;
        const char *kept;
    } rows[] = {{READ_ONLY, ".millwright/versions/1"}, {OTHERS, "app.millwright-p9"}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_promoted promoted;
        struct mw_err err = {.text = ""};
        char found[MW_SHA256_HEX];
        prepare(rows[i].operation);
        if (operate(rows[i].operation, &promoted, &err) != MW_OK)
            fail_msg("%s: %s", names[rows[i].operation], err.text);
        assert_true(new_stands(rows[i].operation, names[rows[i].operation]));
        digest_of(rows[i].kept, found);
        assert_string_equal(found, v1);
        nothing_beside(names[rows[i].operation]);
    }
}

/* The process dies at a call, and then a call of the recovery fails. */
static void every_call_of_a_recovery_fails(void **state)
{
    (void)state;
    for (enum operation operation = 0; operation < SAME; operation++) {
        bool died = true;
        for (long death = 1; died; death += night() ? 1 : 37) {
            bool hit = true;
            for (long at = 1; hit; at++) {
                enum mw_promote_outcome outcome;
                struct mw_promoted promoted;
                struct mw_err err = {.text = ""};
                char when[160];
                int status = 0;
                prepare(operation);
                pid_t child = fork();
                if (child == 0) {
                    arm(death, 0, false, true);
                    (void)operate(operation, &promoted, &err);
                    _exit(1);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                died = WIFEXITED(status) && WEXITSTATUS(status) == 0;
                bool restored = death % 4 == 0;
                (void)snprintf(when, sizeof when, "%s, died at call %ld%s, recovery's call %ld",
                               names[operation], death, restored ? ", restored" : "", at);
                if (restored) /* from a backup: every folder has another inode */
                    assert_int_equal(system("cp -a . ../restored && rm -rf ../ws && "
                                            "mv ../restored ../ws"),
                                     0);
                assert_int_equal(chdir(base) | chdir("ws"), 0);
                arm(at, at % 2 == 0 ? EIO : ENOSPC, false, false);
                enum mw_rc rc = recover(&outcome, &err);
                hit = strike.hit;
                struck += hit;
                arm(0, 0, false, false);
                bool is_new = new_stands(operation, when);
                if (rc == MW_OK && is_new != (outcome == MW_PROMOTE_FORWARD))
                    fail_msg("%s: recovery says what is not", when);
                if (!hit && rc != MW_OK)
                    fail_msg("%s: %s", when, err.text);
                recovers(operation, when);
            }
        }
    }
}

/* On another file system the old tree is copied home: what it was copied from goes only when the copy has its name durably. */
static void p12_the_old_tree_goes_only_after_its_copy_is_durable(void **state)
{
    long both = 0;
    bool died = true;
    (void)state;
    for (long death = 1; died; death++) {
        struct mw_promoted promoted;
        struct mw_err err = {.text = ""};
        struct stat folder;
        enum mw_promote_outcome outcome;
        int status = 0;
        prepare(ACROSS);
        pid_t child = fork();
        if (child == 0) {
            arm(death, 0, false, true);
            (void)operate(ACROSS, &promoted, &err);
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        died = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (access(".millwright/versions/1", F_OK) != 0 || access(".millwright-p9", F_OK) != 0)
            continue;
        both++;
        assert_int_equal(stat(".millwright/versions", &folder), 0);
        watch.versions = folder.st_ino;
        watch.synced = watch.removed_before = false;
        enum mw_rc rc = recover(&outcome, &err);
        watch.versions = 0;
        if (rc != MW_OK || outcome != MW_PROMOTE_FORWARD)
            fail_msg("died at call %ld: %s", death, err.text);
        if (!watch.synced || watch.removed_before)
            fail_msg("died at call %ld: the old tree was removed before its copy was durable",
                     death);
    }
    assert_true(both > 3);
}

static enum mw_rc discard_into(const char *workspace, const char *target, struct mw_err *err)
{
    mw_autofree char *source = mw_heap_format("%s/ws/v1", base);
    int ws_fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mw_promoted promoted;
    const struct mw_promote promote = {.workspace_fd = ws_fd,
                                       .id = "p9",
                                       .source = source,
                                       .source_sha256 = v1,
                                       .target = target,
                                       .edits = MW_EDITS_DISCARD};
    enum mw_rc rc = mw_promote_run(&promote, &promoted, err);
    (void)close(ws_fd);
    return rc;
}

/* Two workspaces that promote into folders of one parent under the same id, the first of which dies at any call and is moved elsewhere before
 * it is recovered: neither takes the other's for its own leftover, and the first still knows its own. */
static void p23_another_workspace_leaves_what_lies_beside_its_target(void **state)
{
    bool died = true;
    (void)state;
    for (long death = 1; died; death++) {
        struct mw_err err = {.text = ""};
        struct mw_promoted promoted;
        enum mw_promote_outcome outcome;
        mw_autofree char *one = mw_heap_format("%s/out/one", base);
        mw_autofree char *other = mw_heap_format("%s/out/other", base);
        int status = 0;
        prepare(FIRST);
        assert_int_equal(chdir(".."), 0);
        assert_int_equal(mw_remove_tree(AT_FDCWD, "out", &err), MW_OK);
        assert_int_equal(mw_remove_tree(AT_FDCWD, "other", &err), MW_OK);
        assert_int_equal(mw_remove_tree(AT_FDCWD, "moved", &err), MW_OK);
        assert_int_equal(mkdir("out", 0755) | mkdir("out/one", 0755) | mkdir("other", 0755), 0);
        assert_int_equal(mkdir("other/.millwright", 0755), 0);
        put("out/one/mine", "mine\n");
        pid_t child = fork();
        if (child == 0) {
            arm(death, 0, false, true);
            (void)discard_into("ws", one, &err);
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        died = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (discard_into("other", other, &err) != MW_OK)
            fail_msg("died at call %ld: %s", death, err.text);
        bool noted = access("ws/.millwright/promotions/p9.json", F_OK) == 0;
        assert_int_equal(rename("ws", "moved"), 0);
        int ws_fd = open("moved", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (mw_promote_recover(ws_fd, "p9", one, &outcome, &promoted, &err) != MW_OK)
            fail_msg("died at call %ld: %s", death, err.text);
        (void)close(ws_fd);
        const char *kept =
            outcome == MW_PROMOTE_FORWARD ? "moved/.millwright/versions/1/mine" : "out/one/mine";
        if (access(kept, F_OK) != 0)
            fail_msg("died at call %ld: what a person had there is gone", death);
        assert_int_equal(chdir("out"), 0);
        if (noted) /* else a half-made copy under the name of where the workspace was: nobody's tree */
            nothing_beside("moved");
    }
}

static void save_an_edit(void)
{
    struct stat folder;
    strike.at = 0; /* what this does is not the promotion's */
    if (stat("app", &folder) == 0)
        put("app/saved", "mine\n");
}

/* A person saves a file at any moment: the promotion sees it and refuses, or the file is in the old tree, which is kept. */
static void p23_what_is_saved_meanwhile_is_never_lost(void **state)
{
    static const enum operation operations[] = {PROMOTE, ROLLBACK, ADOPT, DISCARD};
    long refused = 0, kept = 0;
    (void)state;
    for (size_t i = 0; i < MW_COUNT(operations); i++) {
        bool hit = true;
        for (long at = 1; hit; at++) {
            struct mw_promoted promoted = {0};
            struct mw_err err = {.text = ""};
            char path[160];
            prepare(operations[i]);
            arm(at, 0, false, false);
            strike.edits = true;
            enum mw_rc rc = operate(operations[i], &promoted, &err);
            hit = strike.hit;
            arm(0, 0, false, false);
            if (!hit)
                continue;
            (void)snprintf(path, sizeof path, ".millwright/versions/%u/saved",
                           promoted.previous_version);
            bool in_app = access("app/saved", F_OK) == 0, in_kept = access(path, F_OK) == 0;
            if (!in_app && !in_kept)
                fail_msg("%s, saved at call %ld: the file is gone (%s)", names[operations[i]], at,
                         rc == MW_OK ? "promoted" : err.text);
            if (rc != MW_OK && rc != MW_E_DENIED && rc != MW_E_CONFLICT)
                fail_msg("%s, saved at call %ld: %s", names[operations[i]], at, err.text);
            refused += rc != MW_OK;
            kept += in_kept;
        }
    }
    print_message("%ld refused, %ld kept with the old tree\n", refused, kept);
    assert_true(refused > 50 && kept > 0);
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "%s/mw-promote-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(base) == NULL;
}

static int end(void **state)
{
    struct mw_err err;
    (void)state;
    print_message("%u calls failed\n", struck);
    return chdir("/") != 0 || mw_remove_tree(AT_FDCWD, base, &err) != MW_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_a_promotion_fails),
        cmocka_unit_test(every_call_of_a_recovery_fails),
        cmocka_unit_test(p12_an_app_that_may_not_be_moved_is_kept_all_the_same),
        cmocka_unit_test(p12_the_old_tree_goes_only_after_its_copy_is_durable),
        cmocka_unit_test(p23_another_workspace_leaves_what_lies_beside_its_target),
        cmocka_unit_test(p23_what_is_saved_meanwhile_is_never_lost),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
