/* promises.c - the list of what is tried, how it is tried, and what is tried on folders and files; the journal's are in promises_journal.c. */
#include "host/promises.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "stage/promote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 12u /* of each kill -9 */
#define SYNC_NS 300000000ll
#define EXPECTED_MAX 2u
#define PROMOTION_NS_MAX 999000000ll

static mw_promise_run check_disk, check_promotion, check_paths, check_private;

static const struct {
    const char *id, *what;
    mw_promise_run *run; /* NULL: cannot be tried here */
    const char *why_not;
} rows[] = {
    {"P01", "what was acknowledged is there after kill -9", mw_promise_acks, NULL},
    {"P01", "the disk takes its syncs", check_disk, NULL},
    {"P02", "a failed sync is final", mw_promise_syncs, NULL},
    {"P03", "an unfinished frame is cut off and kept, a changed one is refused", mw_promise_torn,
     NULL},
    {"P04", "a journal that was cut at a frame's border is noticed", mw_promise_cut, NULL},
    {"P10", "a limit is met without losing what was acknowledged", mw_promise_file_limit, NULL},
    {"P11", "one writer, and the others are told who it is", mw_promise_lock, NULL},
    {"P12", "a promotion that is killed leaves the old tree or the new one", check_promotion, NULL},
    {"P13", "a journal of a newer format is refused without writing", mw_promise_format, NULL},
    {"P17", "no path leads out of a folder", check_paths, NULL},
    {"P18", "executable configuration needs a review", NULL, "wants a build"},
    {"P20", "no gate opens by talk", NULL, "wants agents"},
    {"P21", "a file of mode 0600 is its owner's alone", check_private, NULL},
    {"P22", "a body is there before the record that names it", mw_promise_blobs, NULL},
};

bool mw_promise_broken(struct mw_promise_check *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(check->finding.detail, sizeof(check->finding.detail), format, args);
    va_end(args);
    return false;
}

uint64_t mw_promise_roll(struct mw_promise_check *check, uint64_t below)
{
    check->dice ^= check->dice << 13;
    check->dice ^= check->dice >> 7;
    check->dice ^= check->dice << 17;
    return check->dice % below;
}

enum mw_rc mw_promises_check(const char *folder,
                             void (*on_finding)(void *context,
                                                const struct mw_promise_finding *finding),
                             void *context, struct mw_err *err)
{
    struct mw_promise_check check = {.folder = mw_heap_format("%s/verify-XXXXXX", folder),
                                     .dice = (uint64_t)mw_now_monotonic_ns() | 1};
    mw_autofree char *whole = check.folder;
    if (mkdtemp(whole) == NULL)
        return MW_FAIL_SYS(err,
                           errno == ENOSPC                     ? MW_E_FULL
                           : errno == EROFS || errno == EACCES ? MW_E_DENIED
                                                               : MW_E_IO,
                           "make a folder in '%s'", folder);
    /* A limit on the size of files shows as an error, not as an end. */
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        mw_autofree char *place = mw_heap_format("%s/%s-%zu", whole, rows[i].id, i);
        check.finding = (struct mw_promise_finding){
            .id = rows[i].id, .what = rows[i].what, .verdict = MW_PROMISE_NOT_TRIED};
        check.fd = -1;
        if (rows[i].run == NULL) {
            (void)mw_promise_broken(&check, "%s", rows[i].why_not);
        } else if (mkdir(place, 0700) != 0 ||
                   (check.fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
            (void)mw_promise_broken(&check, "no folder for it: %s", strerror(errno));
        } else {
            check.folder = place;
            bool held = rows[i].run(&check);
            check.folder = whole;
            if (check.finding.verdict == MW_PROMISE_NOT_TRIED && check.finding.detail[0] != '\1')
                check.finding.verdict = held ? MW_PROMISE_HOLDS : MW_PROMISE_BROKEN;
            else
                memmove(check.finding.detail, check.finding.detail + 1,
                        sizeof(check.finding.detail) - 1);
        }
        if (check.fd >= 0)
            (void)close(check.fd); /* only a way to it */
        on_finding(context, &check.finding);
    }
    (void)signal(SIGXFSZ, before);
    return mw_remove_tree(AT_FDCWD, whole, err);
}

/* For a check that finds out that this place does not have what it wants. */
static bool cannot(struct mw_promise_check *check, const char *why)
{
    (void)snprintf(check->finding.detail, sizeof(check->finding.detail), "\1%s", why);
    return true;
}

/* ---- folders ---- */

static bool check_disk(struct mw_promise_check *check)
{
    char block[4096] = {0};
    uint64_t count = 0;
    int fd = openat(check->fd, "syncs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int64_t begun_ns = mw_now_monotonic_ns(), now_ns = begun_ns;
    bool well = fd >= 0;
    for (; well && now_ns < begun_ns + SYNC_NS; now_ns = mw_now_monotonic_ns(), count++)
        well = write(fd, block, sizeof(block)) == (ssize_t)sizeof(block) && fdatasync(fd) == 0;
    int sys_errno = errno;
    if (fd >= 0)
        (void)close(fd); /* every block was synced */
    if (!well)
        return mw_promise_broken(check, "a write or fdatasync failed: %s", strerror(sys_errno));
    (void)mw_promise_broken(check,
                            "%lu fdatasync/s of 4 KiB; a disk that says so and lies is not noticed",
                            (unsigned long)(count * 1000000000ull / (uint64_t)(now_ns - begun_ns)));
    return true;
}

static bool make_tree(const struct mw_promise_check *check, const char *name, unsigned version,
                      char ret_sha256[MW_SHA256_HEX])
{
    struct mw_tree tree = {0};
    struct mw_tree_scan scan = {0};
    struct mw_err err;
    bool made = mkdirat(check->fd, name, 0755) == 0;
    for (unsigned i = 0; made && i < 20; i++) {
        mw_autofree char *path = mw_heap_format("%s/file-%u.txt", name, i);
        mw_autofree char *text = mw_heap_format("file %u of version %u\n", i, version);
        mw_autoclose int fd = openat(check->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        made = fd >= 0 && mw_write_all(fd, mw_str_of(text), &err) == MW_OK;
    }
    made = made && mw_tree_scan(check->fd, name, &scan, &tree, &err) == MW_OK;
    if (made)
        mw_tree_digest(&tree, ret_sha256);
    mw_tree_free(&tree);
    return made;
}

static _Noreturn void promote(const struct mw_promote *promotion)
{
    struct mw_promoted promoted;
    struct mw_err err;
    _exit(mw_promote_run(promotion, &promoted, &err) == MW_OK ? 0 : 1);
}

static bool check_promotion(struct mw_promise_check *check)
{
    char sources[2][MW_SHA256_HEX], stands[MW_SHA256_HEX] = "";
    const char *expected[EXPECTED_MAX] = {sources[0], sources[1]};
    unsigned forward = 0;
    int64_t whole_ns = 0;
    mw_autofree char *side = mw_heap_format("%s/.millwright", check->folder);
    if (mkdir(side, 0700) != 0 || !make_tree(check, "one", 1, sources[0]) ||
        !make_tree(check, "two", 2, sources[1]))
        return mw_promise_broken(check, "no trees could be made: %s", strerror(errno));
    for (unsigned round = 0; round < ROUNDS; round++) {
        char id[32];
        struct mw_tree tree = {0};
        struct mw_tree_scan scan = {0};
        struct mw_promoted promoted;
        struct mw_err err = {0};
        enum mw_promote_outcome outcome = MW_PROMOTE_BACK;
        unsigned wanted = strcmp(stands, sources[0]) == 0 ? 1 : 0;
        (void)snprintf(id, sizeof(id), "p%u", round);
        struct mw_promote promotion = {.workspace_fd = check->fd,
                                       .id = id,
                                       .source = wanted == 0 ? "one" : "two",
                                       .source_sha256 = sources[wanted],
                                       .target = "app",
                                       .expected = expected,
                                       .expected_count = EXPECTED_MAX,
                                       .edits = MW_EDITS_REFUSE,
                                       .keep_versions = 2};
        int status;
        int64_t begun_ns = mw_now_monotonic_ns();
        pid_t pid = fork();
        if (pid == 0)
            promote(&promotion);
        if (round >
            0) { /* the first one says how long it takes; the others end at some moment of that time */
            const struct timespec pause = {
                .tv_sec = 0, .tv_nsec = (long)mw_promise_roll(check, (uint64_t)whole_ns)};
            (void)nanosleep(&pause, NULL); /* woken early: killed early */
            (void)kill(pid, SIGKILL);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return mw_promise_broken(check, "no child could be started");
        if (round == 0)
            whole_ns = mw_now_monotonic_ns() - begun_ns;
        if (whole_ns > PROMOTION_NS_MAX)
            whole_ns = PROMOTION_NS_MAX;
        if (mw_promote_recover(check->fd, id, "app", &outcome, &promoted, &err) != MW_OK)
            return mw_promise_broken(check, "after a kill in round %u: %s", round + 1, err.text);
        char now[MW_SHA256_HEX] = "";
        if (mw_exists(check->fd, "app")) {
            if (mw_tree_scan(check->fd, "app", &scan, &tree, &err) != MW_OK)
                return mw_promise_broken(check, "%s", err.text);
            mw_tree_digest(&tree, now);
            mw_tree_free(&tree);
        }
        const char *right = outcome == MW_PROMOTE_FORWARD ? sources[wanted] : stands;
        if (strcmp(now, right) != 0)
            return mw_promise_broken(check, "round %u left neither the old tree nor the new one",
                                     round + 1);
        forward += outcome == MW_PROMOTE_FORWARD;
        memcpy(stands, now, sizeof(stands));
    }
    (void)mw_promise_broken(
        check, "%u promotions, all but one killed: %u stand whole, %u left what was there", ROUNDS,
        forward, ROUNDS - forward);
    return true;
}

static bool check_paths(struct mw_promise_check *check)
{
    static const char *const ways[] = {"out/passwd", "../P17", "/etc/passwd", "up"};
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    if (symlinkat("/etc", check->fd, "out") != 0 || symlinkat("..", check->fd, "up") != 0)
        return cannot(check, "this file system has no symbolic links");
    for (size_t i = 0; i < MW_COUNT(ways); i++) {
        long fd = syscall(SYS_openat2, check->fd, ways[i], &how, sizeof(how));
        if (fd >= 0) {
            (void)close((int)fd); /* only its being there counts */
            return mw_promise_broken(check, "'%s' was opened", ways[i]);
        }
        if (errno == ENOSYS)
            return mw_promise_broken(
                check, "this kernel has no openat2: agents' files cannot be taken safely");
    }
    (void)mw_promise_broken(check, "openat2 refuses links, '..' and absolute paths");
    return true;
}

static bool check_private(struct mw_promise_check *check)
{
    struct stat info;
    mw_autoclose int fd = openat(check->fd, "socket", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0 || fstat(fd, &info) != 0)
        return mw_promise_broken(check, "%s", strerror(errno));
    if ((info.st_mode & 07777) != 0600)
        return mw_promise_broken(check, "mode 0600 comes back as %o: others can read here",
                                 (unsigned)(info.st_mode & 07777));
    (void)mw_promise_broken(check, "mode 0600 stays 0600 on this file system");
    return true;
}
