/* promises_journal.c - what is tried on journals of a trial's own: writers that are killed, frames that are damaged, limits, races, syncs. */
#include "base/json.h"
#include "host/promises.h"
#include "journal/files.h"
#include "journal/sys.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "stage/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 12u   /* of each kill -9 */
#define ACKS_MAX 24u /* acknowledgements at which a writer is killed */
#define RACERS 8u
#define FRAMES 6u /* of the journals that are damaged on purpose */
#define FILE_LIMIT_BYTES 65536u
#define LINE_MAX_BYTES 320u
#define SYNCED_MAX 64u

static void line_of(uint64_t seq, char ret_line[LINE_MAX_BYTES])
{
    /* Its length changes with the number, its text says the number twice: half a line or another one is seen. */
    (void)snprintf(ret_line, LINE_MAX_BYTES, "{\"seq\":%lu,\"again\":%lu,\"fill\":\"%0*d\"}\n",
                   (unsigned long)seq, (unsigned long)seq, (int)(seq % 200) + 1, 0);
}

/* sys: NULL, the real system. */
static enum mw_rc open_over(const struct mw_promise_check *check, const struct mw_journal_sys *sys,
                            void **ret_journal, struct mw_journal_opened *ret_opened,
                            struct mw_err *err)
{
    mw_autofree char *folder = mw_heap_format("%s/journal", check->folder);
    struct mw_journal_options options = {.side_dir = check->folder, .sys = sys};
    (void)mkdir(folder, 0700); /* it may be there */
    return mw_journal_files.open(folder, &options, ret_journal, ret_opened, err);
}

static enum mw_rc open_journal(const struct mw_promise_check *check, void **ret_journal,
                               struct mw_journal_opened *ret_opened, struct mw_err *err)
{
    return open_over(check, NULL, ret_journal, ret_opened, err);
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

/* All records of a journal that has just been opened; it is closed. */
static bool reads_back(struct mw_promise_check *check, void *journal, uint64_t acked,
                       uint64_t *ret_last)
{
    struct mw_err err = {0};
    struct reading reading = {0};
    enum mw_rc rc = mw_journal_files.read(journal, 1, on_line, &reading, &err);
    (void)mw_journal_files.close(journal, NULL); /* nothing was written */
    *ret_last = reading.count;
    if (rc != MW_OK)
        return mw_promise_broken(check, "the journal cannot be read again: %s", err.text);
    if (reading.changed)
        return mw_promise_broken(check, "a record came back changed");
    if (reading.count < acked)
        return mw_promise_broken(check, "record %lu was acknowledged, and %lu is the last",
                                 (unsigned long)acked, (unsigned long)reading.count);
    return true;
}

/* Opens what a killed writer left, and reads all of it. */
static bool recovers(struct mw_promise_check *check, uint64_t acked, uint64_t *ret_last)
{
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    if (open_journal(check, &journal, &opened, &err) != MW_OK)
        return mw_promise_broken(check, "the journal does not open again: %s", err.text);
    return reads_back(check, journal, acked, ret_last);
}

/* In the child: append, and say each number that is acknowledged, until somebody ends it. */
static _Noreturn void write_for_ever(struct mw_promise_check *check, int out, bool with_blobs)
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
static uint64_t killed_writer(struct mw_promise_check *check, bool with_blobs)
{
    int ends[2];
    uint64_t seq = 0, acked = 0, wanted = mw_promise_roll(check, ACKS_MAX);
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
        for (volatile uint64_t spin = mw_promise_roll(check, 20000); spin > 0; spin--) {
        }
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    while (heard && read(ends[0], &seq, sizeof(seq)) == (ssize_t)sizeof(seq))
        acked = seq; /* said before it was ended */
    (void)close(ends[0]);
    return heard ? acked : UINT64_MAX;
}

bool mw_promise_acks(struct mw_promise_check *check)
{
    uint64_t acked = 0, last = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        acked = killed_writer(check, false);
        if (acked == UINT64_MAX)
            return mw_promise_broken(check, "the writer ended by itself in round %u", round + 1);
        if (!recovers(check, acked, &last))
            return false;
    }
    (void)mw_promise_broken(check,
                            "%u writers killed, %lu records acknowledged, %lu there, none changed",
                            ROUNDS, (unsigned long)acked, (unsigned long)last);
    return true;
}

/* A journal of a few frames; *ret_bytes (FRAMES + 1 long) says where each ends. */
static bool few_frames(struct mw_promise_check *check, uint64_t ret_bytes[FRAMES + 1])
{
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    struct mw_err err = {0};
    void *journal;
    if (open_journal(check, &journal, &opened, &err) != MW_OK)
        return mw_promise_broken(check, "%s", err.text);
    enum mw_rc rc = MW_OK;
    ret_bytes[0] = 0;
    for (uint64_t seq = 1; rc == MW_OK && seq <= FRAMES; seq++) {
        rc = append(journal, seq, &err);
        mw_journal_files.stats(journal, &stats);
        ret_bytes[seq] = stats.bytes;
    }
    if (mw_journal_files.close(journal, rc == MW_OK ? &err : NULL) != MW_OK || rc != MW_OK)
        return mw_promise_broken(check, "%s", err.text);
    return true;
}

static int open_segment(const struct mw_promise_check *check)
{
    return openat(check->fd, "journal/00000000000000000001.jsonl", O_RDWR | O_CLOEXEC);
}

bool mw_promise_torn(struct mw_promise_check *check)
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
        return mw_promise_broken(check, "the segment cannot be opened: %s", strerror(errno));
    if (!recovers(check, FRAMES, &last))
        return false;
    if (last != FRAMES)
        return mw_promise_broken(check, "half a frame came back as record %lu",
                                 (unsigned long)last);
    /* The tail was cut, or the segment written afresh: the name is opened anew. */
    mw_autoclose int again = open_segment(check);
    off_t place = (off_t)bytes[2] + 60;
    if (again < 0 || pread(again, &byte, 1, place) != 1)
        return mw_promise_broken(check, "the segment cannot be read: %s", strerror(errno));
    byte = (char)(byte ^ 1);
    if (pwrite(again, &byte, 1, place) != 1)
        return mw_promise_broken(check, "the segment cannot be changed: %s", strerror(errno));
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, &err); /* it should not have opened */
    if (rc != MW_E_CORRUPT)
        return mw_promise_broken(check, "one changed bit of an earlier frame was not refused");
    (void)mw_promise_broken(check, "half a frame cut off, %u records kept; one changed bit refused",
                            FRAMES);
    return true;
}

bool mw_promise_cut(struct mw_promise_check *check)
{
    uint64_t bytes[FRAMES + 1];
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    if (!few_frames(check, bytes))
        return false;
    mw_autoclose int fd = open_segment(check);
    if (fd < 0 || ftruncate(fd, (off_t)bytes[FRAMES - 1]) != 0)
        return mw_promise_broken(check, "the segment cannot be cut: %s", strerror(errno));
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, &err); /* it should not have opened */
    if (rc != MW_E_CORRUPT)
        return mw_promise_broken(check,
                                 "a journal without its last frame opened as if it were whole");
    (void)mw_promise_broken(check, "the last of %u frames cut off: refused", FRAMES);
    return true;
}

/* Everything of the segment is right but its format, which a later release wrote. */
bool mw_promise_format(struct mw_promise_check *check)
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
        return mw_promise_broken(check, "the segment cannot be changed: %s", strerror(errno));
    enum mw_rc rc = open_journal(check, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, &err); /* it should not have opened */
    mw_autoclose int again = open_segment(check);
    if (rc == MW_OK || strstr(err.text, "format") == NULL)
        return mw_promise_broken(check, "a journal of a newer format was not refused as such: %s",
                                 err.text);
    if (again < 0 || fstat(again, &after) != 0 || after.st_ino != before.st_ino ||
        after.st_size != before.st_size ||
        memcmp(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim)) != 0)
        return mw_promise_broken(check, "a journal of a newer format was refused, and written to");
    (void)mw_promise_broken(check,
                            "refused, and not a byte of it written; journals of the release before "
                            "were not tried");
    return true;
}

/* In a child, so that the limit and the signal's disposition are its own. */
static _Noreturn void meet_limit(struct mw_promise_check *check)
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

bool mw_promise_file_limit(struct mw_promise_check *check)
{
    uint64_t last = 0;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        meet_limit(check);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return mw_promise_broken(check, "no child could be started");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return mw_promise_broken(check,
                                 WIFEXITED(status) && WEXITSTATUS(status) == 3
                                     ? "the journal did not go on when there was room again"
                                     : "the limit was not met as 'no space' (status %d)",
                                 status);
    if (!recovers(check, 1, &last))
        return false;
    (void)mw_promise_broken(check,
                            "%lu records up to a file-size limit of %u bytes, and one after it",
                            (unsigned long)last, FILE_LIMIT_BYTES);
    return true;
}

/* ---- a disk that refuses one sync ---- */

/* The calls of the journal's table are handed no context: which sync is refused, once, and what was synced is kept here. */
static struct {
    unsigned refused_in; /* syncs from now; 0: none is refused */
    int sys_errno;
    ino_t synced[SYNCED_MAX];
    unsigned synced_count;
} disk;

static int sync_by(int (*sync)(int fd), int fd)
{
    struct stat info;
    if (disk.refused_in > 0 && --disk.refused_in == 0) {
        errno = disk.sys_errno;
        return -1;
    }
    if (sync(fd) != 0)
        return -1;
    if (disk.synced_count < SYNCED_MAX && fstat(fd, &info) == 0)
        disk.synced[disk.synced_count++] = info.st_ino;
    return 0;
}

static int sync_data(int fd)
{
    return sync_by(fdatasync, fd);
}

static int sync_all(int fd)
{
    return sync_by(fsync, fd);
}

static bool was_synced(ino_t file)
{
    for (unsigned i = 0; i < disk.synced_count; i++)
        if (disk.synced[i] == file)
            return true;
    return false;
}

/* Of the segment; 0: there is none. */
static ino_t segment_file(const struct mw_promise_check *check)
{
    struct stat info;
    return fstatat(check->fd, "journal/00000000000000000001.jsonl", &info, 0) == 0 ? info.st_ino
                                                                                   : 0;
}

/* A writer to whom one sync is refused: `acked` records are acknowledged before it, and none after it, although the disk takes every sync again. */
static bool is_final(struct mw_promise_check *check, const struct mw_journal_sys *sys,
                     uint64_t acked, unsigned refused_in)
{
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    struct mw_err err = {0};
    void *journal;
    enum mw_rc rc = open_over(check, sys, &journal, &opened, &err);
    if (rc != MW_OK)
        return mw_promise_broken(check, "%s", err.text);
    for (uint64_t seq = 1; rc == MW_OK && seq <= acked; seq++)
        rc = append(journal, seq, &err);
    if (rc != MW_OK) {
        (void)mw_journal_files.close(journal, NULL); /* it failed before */
        return mw_promise_broken(check, "%s", err.text);
    }
    disk.refused_in = refused_in;
    enum mw_rc first = append(journal, acked + 1, &err), again = append(journal, acked + 1, NULL),
               next = append(journal, acked + 2, NULL);
    mw_journal_files.stats(journal, &stats);
    (void)mw_journal_files.close(journal, NULL); /* latched: it has nothing to say */
    if (disk.refused_in > 0)
        return mw_promise_broken(check, "record %lu was acknowledged with less than %u syncs",
                                 (unsigned long)acked + 1, refused_in);
    if (first == MW_OK || again == MW_OK || next == MW_OK || stats.last_seq != acked)
        return mw_promise_broken(check, "the sync of record %lu was refused, and %s acknowledged",
                                 (unsigned long)acked + 1,
                                 first == MW_OK   ? "it was"
                                 : again == MW_OK ? "asked again it was"
                                                  : "what came after it was");
    if (mw_rc_exit_code(first) != 74 || again != first || next != first || !stats.latched)
        return mw_promise_broken(check, "a refused sync ends with %d and then with %d, not with 74",
                                 mw_rc_exit_code(first), mw_rc_exit_code(again));
    return true;
}

/* What the writer left is in the page cache, and perhaps nowhere else: the next start writes it afresh, and does not start when that is refused. */
static bool is_not_believed(struct mw_promise_check *check, const struct mw_journal_sys *sys,
                            uint64_t acked)
{
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal;
    uint64_t last = 0;
    disk.refused_in = 1;
    enum mw_rc rc = open_over(check, sys, &journal, &opened, &err);
    if (rc == MW_OK)
        (void)mw_journal_files.close(journal, NULL); /* it should not have opened */
    if (rc == MW_OK || mw_rc_exit_code(rc) != 74)
        return mw_promise_broken(check,
                                 "a start whose first sync was refused ended with %d, not 74",
                                 mw_rc_exit_code(rc));
    ino_t before = segment_file(check);
    disk.synced_count = 0;
    if (open_over(check, sys, &journal, &opened, &err) != MW_OK)
        return mw_promise_broken(check, "the journal does not open again: %s", err.text);
    ino_t after = segment_file(check);
    if (!opened.copied || (after == before && !opened.in_place) || !was_synced(after)) {
        (void)mw_journal_files.close(journal, NULL); /* nothing was written */
        return mw_promise_broken(check, "after a refused sync the page cache was believed");
    }
    return reads_back(check, journal, acked, &last) &&
           (last <= acked + 1 ||
            mw_promise_broken(check, "record %lu was refused, and is there", (unsigned long)last));
}

bool mw_promise_syncs(struct mw_promise_check *check)
{
    struct mw_journal_sys sys = mw_journal_sys_real;
    struct mw_promise_check one = *check;
    sys.fdatasync = sync_data;
    sys.fsync = sync_all;
    for (unsigned round = 0; round <= FRAMES; round++) {
        /* The first record has two: of the segment, and of the folder that names it. */
        uint64_t acked = round == 0 ? 0 : round - 1;
        unsigned refused_in = round == 0 ? 2 : 1;
        char name[32];
        (void)snprintf(name, sizeof(name), "round-%u", round);
        mw_autofree char *folder = mw_heap_format("%s/%s", check->folder, name);
        mw_autoclose int fd = mkdirat(check->fd, name, 0700) == 0
                                  ? openat(check->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                  : -1;
        if (fd < 0)
            return mw_promise_broken(check, "no folder for it: %s", strerror(errno));
        one.folder = folder;
        one.fd = fd;
        disk.refused_in = 0;
        disk.sys_errno = round % 2 == 0 ? EIO : ENOSPC;
        bool held = is_final(&one, &sys, acked, refused_in) && is_not_believed(&one, &sys, acked);
        check->finding = one.finding;
        if (!held)
            return false;
    }
    (void)mw_promise_broken(check,
                            "%u writers to whom the system refused one sync: none acknowledged "
                            "anything after it (74); each next start wrote the segment afresh, and "
                            "did not start while that was refused; no disk failed",
                            FRAMES + 1);
    return true;
}

/* ---- one writer ---- */

/* Exit 0: it has the lock, and keeps it until `hold` ends; 7: told who has it; 8: refused without a name. */
static _Noreturn void race(struct mw_promise_check *check, int hold)
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

bool mw_promise_lock(struct mw_promise_check *check)
{
    pid_t pids[RACERS];
    int hold[2], status;
    unsigned won = 0, told = 0;
    if (pipe2(hold, O_CLOEXEC) != 0)
        return mw_promise_broken(check, "no pipe: %s", strerror(errno));
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
        return mw_promise_broken(check, "of %u, %u had the lock and %u were told who has it",
                                 RACERS, won, told);
    (void)mw_promise_broken(check, "of %u at once, one had the lock and %u were told who it is",
                            RACERS, told);
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

bool mw_promise_blobs(struct mw_promise_check *check)
{
    struct mw_blobs blobs;
    struct mw_err err = {0};
    struct bodies bodies = {.blobs = &blobs};
    for (unsigned round = 0; round < ROUNDS / 2; round++) {
        struct mw_journal_opened opened;
        void *journal;
        if (killed_writer(check, true) == UINT64_MAX)
            return mw_promise_broken(check, "the writer ended by itself in round %u", round + 1);
        if (mw_blobs_open(check->fd, ".", &blobs, &err) != MW_OK ||
            open_journal(check, &journal, &opened, &err) != MW_OK)
            return mw_promise_broken(check, "%s", err.text);
        bodies.count = 0;
        enum mw_rc rc = mw_journal_files.read(journal, 1, on_body, &bodies, &err);
        (void)mw_journal_files.close(journal, &err); /* nothing was written */
        if (rc == MW_OK)
            rc = mw_blobs_sweep(&blobs, &err);
        mw_blobs_close(&blobs);
        if (rc != MW_OK)
            return mw_promise_broken(check, "%s", err.text);
        if (bodies.missing > 0)
            return mw_promise_broken(check, "%lu of %lu bodies that a record names are not there",
                                     (unsigned long)bodies.missing, (unsigned long)bodies.count);
    }
    (void)mw_promise_broken(check,
                            "%u writers killed, %lu records, the body of each is there and whole",
                            ROUNDS / 2, (unsigned long)bodies.count);
    return true;
}
