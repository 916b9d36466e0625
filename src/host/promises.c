#include "port/promises.h"
#include "base/json.h"
#include "journal/files.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "stage/blob.h"
#include "stage/promote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 12u   /* of each kill -9 */
#define ACKS_MAX 24u /* acknowledgements at which a writer is killed */
#define RACERS 8u
#define FRAMES 6u /* of the journals that are damaged on purpose */
#define SYNC_NS 300000000ll
#define FILE_LIMIT_BYTES 65536u
#define LINE_MAX_BYTES 320u
#define EXPECTED_MAX 2u
#define PROMOTION_NS_MAX 999000000ll

struct check {
    char *folder; /* owned */
    int fd;
    uint64_t dice;
    struct mw_promise_finding finding;
};

typedef bool check_run(struct check *check);

/* True, or the reason in the finding. */
static bool broken(struct check *check, const char *format, ...) MW_PRINTF(2, 3);

static check_run check_disk, check_acks, check_torn, check_cut, check_file_limit, check_lock,
    check_format, check_promotion, check_paths, check_private, check_blobs;

static const struct {
    const char *id, *what;
    check_run *run; /* NULL: cannot be tried here */
    const char *why_not;
} rows[] = {
    {"P01", "what was acknowledged is there after kill -9", check_acks, NULL},
    {"P01", "the disk takes its syncs", check_disk, NULL},
    {"P02", "a failed sync is final", NULL, "wants a disk that fails"},
    {"P03", "an unfinished frame is cut off and kept, a changed one is refused", check_torn, NULL},
    {"P04", "a journal that was cut at a frame's border is noticed", check_cut, NULL},
    {"P10", "a limit is met without losing what was acknowledged", check_file_limit, NULL},
    {"P11", "one writer, and the others are told who it is", check_lock, NULL},
    {"P12", "a promotion that is killed leaves the old tree or the new one", check_promotion, NULL},
    {"P13", "a journal of a newer format is refused without writing", check_format, NULL},
    {"P17", "no path leads out of a folder", check_paths, NULL},
    {"P18", "executable configuration needs a review", NULL, "wants a build"},
    {"P20", "no gate opens by talk", NULL, "wants agents"},
    {"P21", "a file of mode 0600 is its owner's alone", check_private, NULL},
    {"P22", "a body is there before the record that names it", check_blobs, NULL},
};

static bool broken(struct check *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(check->finding.detail, sizeof(check->finding.detail), format, args);
    va_end(args);
    return false;
}

static uint64_t roll(struct check *check, uint64_t below)
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
    struct check check = {.folder = mw_heap_format("%s/verify-XXXXXX", folder),
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
            (void)broken(&check, "%s", rows[i].why_not);
        } else if (mkdir(place, 0700) != 0 ||
                   (check.fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
            (void)broken(&check, "no folder for it: %s", strerror(errno));
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
static bool cannot(struct check *check, const char *why)
{
    (void)snprintf(check->finding.detail, sizeof(check->finding.detail), "\1%s", why);
    return true;
}

/* ---- the journal ---- */

static void line_of(uint64_t seq, char ret_line[LINE_MAX_BYTES])
{
    /* Its length changes with the number, its text says the number twice: half a line or another one is seen. */
    (void)snprintf(ret_line, LINE_MAX_BYTES, "{\"seq\":%lu,\"again\":%lu,\"fill\":\"%0*d\"}\n",
                   (unsigned long)seq, (unsigned long)seq, (int)(seq % 200) + 1, 0);
}

static enum mw_rc open_journal(const struct check *check, void **ret_journal,
                               struct mw_journal_opened *ret_opened, struct mw_err *err)
{
    mw_autofree char *folder = mw_heap_format("%s/journal", check->folder);
    struct mw_journal_options options = {.side_dir = check->folder};
    (void)mkdir(folder, 0700); /* it may be there */
    return mw_journal_files.open(folder, &options, ret_journal, ret_opened, err);
}

static enum mw_rc append(void *journal, uint64_t seq, struct mw_err *err)
{
    char line[LINE_MAX_BYTES];
    line_of(seq, line);
    return mw_journal_files.append(journal, seq, 1, mw_str_of(line), err);
}

struct reading {
    uint64_t count;
    bool changed;
};

static enum mw_rc on_line(void *context, uint64_t seq, struct mw_str text, struct mw_err *err)
{
    struct reading *reading = context;
    char line[LINE_MAX_BYTES];
    (void)err; /* looking cannot fail */
    line_of(seq, line);
    line[strlen(line) - 1] = '\0';
    reading->changed = reading->changed || !mw_str_is(text, line);
    reading->count = seq;
    return MW_OK;
}

/* Opens what a killed writer left, and reads all of it. */
static bool recovers(struct check *check, uint64_t acked, uint64_t *ret_last)
{
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    struct reading reading = {0};
    void *journal;
    if (open_journal(check, &journal, &opened, &err) != MW_OK)
        return broken(check, "the journal does not open again: %s", err.text);
    enum mw_rc rc = mw_journal_files.read(journal, 1, on_line, &reading, &err);
    (void)mw_journal_files.close(journal, &err); /* nothing was written */
    *ret_last = reading.count;
    if (rc != MW_OK)
        return broken(check, "the journal cannot be read again: %s", err.text);
    if (reading.changed)
        return broken(check, "a record came back changed");
    if (reading.count < acked)
        return broken(check, "record %lu was acknowledged, and %lu is the last",
                      (unsigned long)acked, (unsigned long)reading.count);
    return true;
}

/* In the child: append, and say each number that is acknowledged, until somebody ends it. */
static _Noreturn void write_for_ever(struct check *check, int out, bool with_blobs)
{
    struct mw_journal_opened opened;
    struct mw_blobs blobs = {.root_fd = -1};
    struct mw_err err = {0};
    void *journal;
    if (open_journal(check, &journal, &opened, &err) != MW_OK ||
        (with_blobs && mw_blobs_open(check->fd, ".", &blobs, &err) != MW_OK))
        _exit(1);
    for (uint64_t seq = opened.last_seq + 1;; seq++) {
        char line[LINE_MAX_BYTES], sha256[MW_SHA256_HEX];
        enum mw_rc rc;
        if (with_blobs) {
            (void)snprintf(line, sizeof(line), "the body of record %lu", (unsigned long)seq);
            rc = mw_blob_put(&blobs, mw_str_of(line), sha256, &err);
            (void)snprintf(line, sizeof(line), "{\"seq\":%lu,\"sha256\":\"%s\"}\n",
                           (unsigned long)seq, rc == MW_OK ? sha256 : "");
            if (rc == MW_OK)
                rc = mw_journal_files.append(journal, seq, 1, mw_str_of(line), &err);
        } else {
            rc = append(journal, seq, &err);
        }
        if (rc != MW_OK || write(out, &seq, sizeof(seq)) != (ssize_t)sizeof(seq))
            _exit(1);
    }
}

/* Starts a writer, and kills it at some moment after some acknowledgements. The last one that was heard; UINT64_MAX: it ended by itself. */
static uint64_t killed_writer(struct check *check, bool with_blobs)
{
    int ends[2];
    uint64_t seq = 0, acked = 0, wanted = roll(check, ACKS_MAX);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return UINT64_MAX;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        write_for_ever(check, ends[1], with_blobs);
    }
    (void)close(ends[1]);
    bool heard = pid > 0;
    for (uint64_t i = 0; heard && i < wanted + 1; i++) {
        heard = read(ends[0], &seq, sizeof(seq)) == (ssize_t)sizeof(seq);
        acked = heard ? seq : acked;
    }
    int status = 0;
    if (pid > 0) {
        for (volatile uint64_t spin = roll(check, 20000); spin > 0; spin--) {
        }
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    while (heard && read(ends[0], &seq, sizeof(seq)) == (ssize_t)sizeof(seq))
        acked = seq; /* said before it was ended */
    (void)close(ends[0]);
    return heard ? acked : UINT64_MAX;
}

static bool check_acks(struct check *check)
{
    uint64_t acked = 0, last = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        acked = killed_writer(check, false);
        if (acked == UINT64_MAX)
            return broken(check, "the writer ended by itself in round %u", round + 1);
        if (!recovers(check, acked, &last))
            return false;
    }
    (void)broken(check, "%u writers killed, %lu records acknowledged, %lu there, none changed",
                 ROUNDS, (unsigned long)acked, (unsigned long)last);
    return true;
}

static bool check_disk(struct check *check)
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
        return broken(check, "a write or fdatasync failed: %s", strerror(sys_errno));
    (void)broken(check, "%lu fdatasync/s of 4 KiB; a disk that says so and lies is not noticed",
                 (unsigned long)(count * 1000000000ull / (uint64_t)(now_ns - begun_ns)));
    return true;
}

/* A journal of a few frames; *ret_bytes (FRAMES + 1 long) says where each ends. */
static bool few_frames(struct check *check, uint64_t ret_bytes[FRAMES + 1])
{
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    struct mw_err err = {0};
    void *journal;
    if (open_journal(check, &journal, &opened, &err) != MW_OK)
        return broken(check, "%s", err.text);
    enum mw_rc rc = MW_OK;
    ret_bytes[0] = 0;
    for (uint64_t seq = 1; rc == MW_OK && seq <= FRAMES; seq++) {
        rc = append(journal, seq, &err);
        mw_journal_files.stats(journal, &stats);
        ret_bytes[seq] = stats.bytes;
    }
    if (mw_journal_files.close(journal, rc == MW_OK ? &err : NULL) != MW_OK || rc != MW_OK)
        return broken(check, "%s", err.text);
    return true;
}

static int open_segment(const struct check *check)
{
    return openat(check->fd, "journal/00000000000000000001.jsonl", O_RDWR | O_CLOEXEC);
}

static bool check_torn(struct check *check)
{
    static const char half[] = "{\"frame\":1,\"epoch\":1,\"first\":7,\"coun";
    uint64_t bytes[FRAMES + 1], last = 0;
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    char byte;
    if (!few_frames(check, bytes))
        return false;
    mw_autoclose int fd = open_segment(check);
    if (fd < 0 || pwrite(fd, half, sizeof(half) - 1, (off_t)bytes[FRAMES]) < 0)
        return broken(check, "the segment cannot be opened: %s", strerror(errno));
    if (!recovers(check, FRAMES, &last))
        return false;
    if (last != FRAMES)
        return broken(check, "half a frame came back as record %lu", (unsigned long)last);
    /* The tail was cut, or the segment written afresh: the name is opened anew. */
    mw_autoclose int again = open_segment(check);
    off_t place = (off_t)bytes[2] + 60;
    if (again < 0 || pread(again, &byte, 1, place) != 1)
        return broken(check, "the segment cannot be read: %s", strerror(errno));
    byte = (char)(byte ^ 1);
    if (pwrite(again, &byte, 1, place) != 1)
        return broken(check, "the segment cannot be changed: %s", strerror(errno));
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, &err); /* it should not have opened */
    if (rc != MW_E_CORRUPT)
        return broken(check, "one changed bit of an earlier frame was not refused");
    (void)broken(check, "half a frame cut off, %u records kept; one changed bit refused", FRAMES);
    return true;
}

static bool check_cut(struct check *check)
{
    uint64_t bytes[FRAMES + 1];
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    if (!few_frames(check, bytes))
        return false;
    mw_autoclose int fd = open_segment(check);
    if (fd < 0 || ftruncate(fd, (off_t)bytes[FRAMES - 1]) != 0)
        return broken(check, "the segment cannot be cut: %s", strerror(errno));
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, &err); /* it should not have opened */
    if (rc != MW_E_CORRUPT)
        return broken(check, "a journal without its last frame opened as if it were whole");
    (void)broken(check, "the last of %u frames cut off: refused", FRAMES);
    return true;
}

/* Everything of the segment is right but its format, which a later release wrote. */
static bool check_format(struct check *check)
{
    static const char newer[] = "{\"frame\":1,\"format\":2,";
    uint64_t bytes[FRAMES + 1];
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    struct stat before, after;
    void *journal;
    if (!few_frames(check, bytes))
        return false;
    mw_autoclose int fd = open_segment(check);
    if (fd < 0 || pwrite(fd, newer, sizeof(newer) - 1, 0) < 0 || fstat(fd, &before) != 0)
        return broken(check, "the segment cannot be changed: %s", strerror(errno));
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, &err); /* it should not have opened */
    mw_autoclose int again = open_segment(check);
    if (rc == MW_OK || strstr(err.text, "format") == NULL)
        return broken(check, "a journal of a newer format was not refused as such: %s", err.text);
    if (again < 0 || fstat(again, &after) != 0 || after.st_ino != before.st_ino ||
        after.st_size != before.st_size ||
        memcmp(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim)) != 0)
        return broken(check, "a journal of a newer format was refused, and written to");
    (void)broken(check, "refused, and not a byte of it written; journals of the release before "
                        "were not tried");
    return true;
}

/* In a child, so that the limit and the signal's disposition are its own. */
static _Noreturn void meet_limit(struct check *check)
{
    struct rlimit limit;
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    uint64_t seq = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        open_journal(check, &journal, &opened, &err) != MW_OK)
        _exit(1);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = FILE_LIMIT_BYTES;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(1);
    enum mw_rc rc = MW_OK;
    while (rc == MW_OK && seq < FILE_LIMIT_BYTES)
        rc = append(journal, ++seq, &err);
    if (rc != MW_E_FULL)
        _exit(2);
    limit.rlim_cur = before;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || append(journal, seq, &err) != MW_OK)
        _exit(3);
    _exit(mw_journal_files.close(journal, &err) == MW_OK ? 0 : 4);
}

static bool check_file_limit(struct check *check)
{
    uint64_t last = 0;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        meet_limit(check);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return broken(check, "no child could be started");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return broken(check,
                      WIFEXITED(status) && WEXITSTATUS(status) == 3
                          ? "the journal did not go on when there was room again"
                          : "the limit was not met as 'no space' (status %d)",
                      status);
    if (!recovers(check, 1, &last))
        return false;
    (void)broken(check, "%lu records up to a file-size limit of %u bytes, and one after it",
                 (unsigned long)last, FILE_LIMIT_BYTES);
    return true;
}

/* Exit 0: it has the lock, and keeps it until `hold` ends; 7: told who has it; 8: refused without a name. */
static _Noreturn void race(struct check *check, int hold)
{
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    char byte;
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_E_CONFLICT)
        _exit(strpbrk(err.text, "0123456789") != NULL ? 7 : 8);
    if (rc != MW_OK)
        _exit(9);
    (void)!read(hold, &byte, 1); /* until the parent has counted the losers */
    _exit(0);
}

static bool check_lock(struct check *check)
{
    pid_t pids[RACERS];
    int hold[2], status;
    unsigned won = 0, told = 0;
    if (pipe2(hold, O_CLOEXEC) != 0)
        return broken(check, "no pipe: %s", strerror(errno));
    for (unsigned i = 0; i < RACERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            (void)close(hold[1]);
            race(check, hold[0]);
        }
    }
    (void)close(hold[0]);
    /* All but one end by themselves; the winner when its pipe does. */
    for (unsigned i = 0; i + 1 < RACERS; i++)
        if (waitpid(-1, &status, 0) > 0 && WIFEXITED(status))
            told += WEXITSTATUS(status) == 7;
    (void)close(hold[1]);
    if (waitpid(-1, &status, 0) > 0 && WIFEXITED(status))
        won = WEXITSTATUS(status) == 0;
    if (won != 1 || told != RACERS - 1)
        return broken(check, "of %u, %u had the lock and %u were told who has it", RACERS, won,
                      told);
    (void)broken(check, "of %u at once, one had the lock and %u were told who it is", RACERS, told);
    return true;
}

/* ---- folders ---- */

static bool make_tree(const struct check *check, const char *name, unsigned version,
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

static bool check_promotion(struct check *check)
{
    char sources[2][MW_SHA256_HEX], stands[MW_SHA256_HEX] = "";
    const char *expected[EXPECTED_MAX] = {sources[0], sources[1]};
    unsigned forward = 0;
    int64_t whole_ns = 0;
    mw_autofree char *side = mw_heap_format("%s/.millwright", check->folder);
    if (mkdir(side, 0700) != 0 || !make_tree(check, "one", 1, sources[0]) ||
        !make_tree(check, "two", 2, sources[1]))
        return broken(check, "no trees could be made: %s", strerror(errno));
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
            const struct timespec pause = {.tv_sec = 0,
                                           .tv_nsec = (long)roll(check, (uint64_t)whole_ns)};
            (void)nanosleep(&pause, NULL); /* woken early: killed early */
            (void)kill(pid, SIGKILL);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return broken(check, "no child could be started");
        if (round == 0)
            whole_ns = mw_now_monotonic_ns() - begun_ns;
        if (whole_ns > PROMOTION_NS_MAX)
            whole_ns = PROMOTION_NS_MAX;
        if (mw_promote_recover(check->fd, id, "app", &outcome, &promoted, &err) != MW_OK)
            return broken(check, "after a kill in round %u: %s", round + 1, err.text);
        char now[MW_SHA256_HEX] = "";
        if (mw_exists(check->fd, "app")) {
            if (mw_tree_scan(check->fd, "app", &scan, &tree, &err) != MW_OK)
                return broken(check, "%s", err.text);
            mw_tree_digest(&tree, now);
            mw_tree_free(&tree);
        }
        const char *right = outcome == MW_PROMOTE_FORWARD ? sources[wanted] : stands;
        if (strcmp(now, right) != 0)
            return broken(check, "round %u left neither the old tree nor the new one", round + 1);
        forward += outcome == MW_PROMOTE_FORWARD;
        memcpy(stands, now, sizeof(stands));
    }
    (void)broken(check, "%u promotions, all but one killed: %u stand whole, %u left what was there",
                 ROUNDS, forward, ROUNDS - forward);
    return true;
}

static bool check_paths(struct check *check)
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
            return broken(check, "'%s' was opened", ways[i]);
        }
        if (errno == ENOSYS)
            return broken(check,
                          "this kernel has no openat2: agents' files cannot be taken safely");
    }
    (void)broken(check, "openat2 refuses links, '..' and absolute paths");
    return true;
}

static bool check_private(struct check *check)
{
    struct stat info;
    mw_autoclose int fd = openat(check->fd, "socket", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0 || fstat(fd, &info) != 0)
        return broken(check, "%s", strerror(errno));
    if ((info.st_mode & 07777) != 0600)
        return broken(check, "mode 0600 comes back as %o: others can read here",
                      (unsigned)(info.st_mode & 07777));
    (void)broken(check, "mode 0600 stays 0600 on this file system");
    return true;
}

/* ---- bodies ---- */

struct bodies {
    const struct mw_blobs *blobs;
    uint64_t count, missing;
};

static enum mw_rc on_body(void *context, uint64_t seq, struct mw_str text, struct mw_err *err)
{
    struct bodies *bodies = context;
    struct mw_arena arena;
    struct mw_tape tape;
    char sha256[MW_SHA256_HEX] = "";
    (void)seq; /* counted */
    (void)err; /* what is missing is counted too */
    mw_heap_arena(&arena, 65536);
    if (mw_json_parse(&arena, text, &tape, NULL) == MW_OK) {
        struct mw_str named = mw_node_get_text(&tape, 0, "sha256");
        if (named.len == sizeof(sha256) - 1)
            memcpy(sha256, named.ptr, named.len);
    }
    mw_heap_arena_free(&arena);
    bodies->count++;
    bodies->missing += mw_blob_verify(bodies->blobs, sha256, NULL) != MW_OK;
    return MW_OK;
}

static bool check_blobs(struct check *check)
{
    struct mw_blobs blobs;
    struct mw_err err = {0};
    struct bodies bodies = {.blobs = &blobs};
    for (unsigned round = 0; round < ROUNDS / 2; round++) {
        struct mw_journal_opened opened;
        void *journal;
        if (killed_writer(check, true) == UINT64_MAX)
            return broken(check, "the writer ended by itself in round %u", round + 1);
        if (mw_blobs_open(check->fd, ".", &blobs, &err) != MW_OK ||
            open_journal(check, &journal, &opened, &err) != MW_OK)
            return broken(check, "%s", err.text);
        bodies.count = 0;
        enum mw_rc rc = mw_journal_files.read(journal, 1, on_body, &bodies, &err);
        (void)mw_journal_files.close(journal, &err); /* nothing was written */
        if (rc == MW_OK)
            rc = mw_blobs_sweep(&blobs, &err);
        mw_blobs_close(&blobs);
        if (rc != MW_OK)
            return broken(check, "%s", err.text);
        if (bodies.missing > 0)
            return broken(check, "%lu of %lu bodies that a record names are not there",
                          (unsigned long)bodies.missing, (unsigned long)bodies.count);
    }
    (void)broken(check, "%u writers killed, %lu records, the body of each is there and whole",
                 ROUNDS / 2, (unsigned long)bodies.count);
    return true;
}
