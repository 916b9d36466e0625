/* subject_journal.c - the journal as scenarios: appending, rotating, a full disk, the head, starting after every kind of end. */
#include "subject_journal.h"

#include "journal/files.h"
#include "journal/folder.h"
#include "journal/head.h"
#include "posix/heap.h"
#include "stage/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES 32768
#define LONG_SEED                                                                                  \
    (UINT64_C(1) << 40) /* of lines so long that a frame of one is written in two steps */
#define LONG_LINE_BYTES 20000
#define FRAME_RECORDS_MAX 3
#define RESUME_SEED 7777777
#define RESUME_MEMBER ",\"seed\":7777777,"

static const struct mw_journal_ops *const ops = &mw_journal_files;
const struct mw_journal_options subject_journal_plain = {.reserve_bytes = 4096, .side_dir = SIDE};
static const struct mw_journal_options rotating = {
    .reserve_bytes = 4096, .segment_bytes = 3000, .side_dir = SIDE};

const char *const subject_journal_branches[] = {
    "journal.fresh",
    "journal.closed_in_order",
    "journal.tail_copied",
    "journal.torn_tail_kept_aside",
    "journal.torn_tail_beside_an_older_one",
    "journal.empty_last_segment",
    "journal.unfinished_rotation",
    "journal.half_copy_replaced",
    "journal.rewritten_in_place",
    "journal.starts_without_reserve",
    "journal.reserve_made_again",
    "journal.head_absent",
    "journal.head_damaged",
    "journal.head_behind",
    "journal.head_equal",
    "journal.head_one_line_damaged",
    "journal.epoch_of_the_lock",
    "journal.refused_earlier_frame_damaged",
    "journal.refused_committed_frame_torn",
    "journal.refused_cut_before_the_head",
    "journal.refused_another_frame_than_the_head",
    "journal.refused_segment_missing",
    "journal.refused_empty_segment_before_the_last",
    "journal.refused_name_of_no_segment",
    "journal.refused_held_by_another",
    "journal.refused_newer_format",
    NULL,
};
/* ---- records ---- */

/* A record says from which seed it is, so that whoever reads it can make it again. */
static size_t make_line(uint64_t seed, uint64_t seq, const char *blob, char *ret_line)
{
    uint64_t mixed = subject_mix(seed, seq);
    int length =
        snprintf(ret_line, LINE_MAX_BYTES, "{\"seq\":%" PRIu64 ",\"seed\":%" PRIu64, seq, seed);
    if (blob != NULL)
        length +=
            snprintf(ret_line + length, LINE_MAX_BYTES - (size_t)length, ",\"blob\":\"%s\"", blob);
    length += snprintf(ret_line + length, LINE_MAX_BYTES - (size_t)length, ",\"text\":\"");
    size_t pad = mixed % 1200 + (seed >= LONG_SEED ? LONG_LINE_BYTES : 0);
    memset(ret_line + length, (int)('a' + (mixed >> 20) % 20), pad);
    memcpy(ret_line + (size_t)length + pad, "\"}\n", 4);
    return (size_t)length + pad + 3;
}

static bool line_is_right(uint64_t seq, struct mw_str line)
{
    char expected[LINE_MAX_BYTES], text[LINE_MAX_BYTES], blob[65] = "";
    uint64_t said_seq = 0, seed = 0;
    if (line.len >= sizeof text)
        return false;
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\0';
    if (sscanf(text, "{\"seq\":%" SCNu64 ",\"seed\":%" SCNu64 ",\"blob\":\"%64[0-9a-f]", &said_seq,
               &seed, blob) < 2 ||
        said_seq != seq)
        return false;
    size_t length = make_line(seed, seq, blob[0] != '\0' ? blob : NULL, expected);
    return line.len == length - 1 && memcmp(line.ptr, expected, line.len) == 0;
}

/* One frame, acknowledged record by record in one breath. As the host: FULL is tried once more, when the reserve has been let go. */
enum mw_rc subject_journal_append(void *journal, uint64_t seed, uint32_t count, const char *blob,
                                  struct mw_err *err)
{
    char lines[FRAME_RECORDS_MAX * LINE_MAX_BYTES], acks[FRAME_RECORDS_MAX * 128], sha256[65];
    size_t size = 0;
    int acks_size = 0;
    uint64_t first = ops->last_seq(journal) + 1;
    for (uint64_t seq = first; seq < first + count; seq++) {
        size_t length = make_line(seed, seq, blob, lines + size);
        mw_sha256_hex((struct mw_str){lines + size, length - 1}, sha256);
        acks_size += snprintf(acks + acks_size, sizeof acks - (size_t)acks_size,
                              "%sack append %" PRIu64 " %s", seq > first ? "\n" : "", seq, sha256);
        size += length;
    }
    enum mw_rc rc = ops->append(journal, first, count, (struct mw_str){lines, size}, err);
    if (rc == MW_E_FULL)
        rc = ops->append(journal, first, count, (struct mw_str){lines, size}, err);
    if (rc == MW_OK) {
        subject_say("%s", acks);
        return MW_OK;
    }
    struct mw_err again = {0};
    enum mw_rc second = ops->append(journal, first, count, (struct mw_str){lines, size}, &again);
    if ((rc == MW_E_IO || rc == MW_E_CONFLICT) && second != rc)
        (void)subject_wrong("P02: after '%s' an append answers %s", err->text, mw_rc_name(second));
    if (second == MW_OK && rc == MW_E_FULL) { /* there was room again */
        subject_say("%s", acks);
        return MW_OK;
    }
    return rc;
}

static uint32_t frame_records(uint64_t seed, uint64_t n)
{
    return 1 + (uint32_t)(subject_mix(seed, n + 1000) % FRAME_RECORDS_MAX);
}

static void say_opened(const struct mw_journal_opened *opened, bool half_copy, bool reserve_there,
                       bool reserve_held);

enum mw_rc subject_journal_open(const struct mw_journal_options *options, void **ret_journal,
                                struct mw_journal_opened *ret_opened, struct mw_err *err)
{
    bool half_copy = subject_folder_has(FOLDER, ".fresh");
    bool reserve_there = access(SIDE "/reserve", F_OK) == 0;
    struct mw_journal_stats stats;
    enum mw_rc rc = ops->open(FOLDER, options, ret_journal, ret_opened, err);
    if (rc != MW_OK)
        return rc;
    ops->stats(*ret_journal, &stats);
    subject_say("ack epoch %" PRIu64, ret_opened->epoch);
    say_opened(ret_opened, half_copy, reserve_there, stats.reserve_held);
    return MW_OK;
}

int subject_journal_end(void *journal, const char *what, enum mw_rc rc, struct mw_err *err)
{
    if (rc != MW_OK) {
        int code = subject_fail(what, rc, err);
        (void)ops->close(journal, NULL); /* the first failure is the one to tell */
        return code;
    }
    rc = ops->close(journal, err);
    if (rc != MW_OK)
        return subject_fail("close", rc, err);
    subject_say("ack close");
    return 0;
}

/* ---- the scenarios ---- */

int subject_journal_side(void)
{
    return mkdir(SIDE, 0700) == 0 || errno == EEXIST ? 0 : subject_wrong("no folder '" SIDE "'");
}

static int run_frames(const struct mw_journal_options *options, uint64_t seed, uint64_t frames)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    enum mw_rc rc = subject_journal_open(options, &journal, &opened, &err);
    if (rc != MW_OK)
        return subject_fail("open", rc, &err);
    for (uint64_t i = 0; rc == MW_OK && i < frames; i++)
        rc = subject_journal_append(journal, seed, frame_records(seed, i), NULL, &err);
    return subject_journal_end(journal, "append", rc, &err);
}

static void prepare_side(uint64_t seed)
{
    (void)seed;
    (void)subject_journal_side(); /* open says it when it is not there */
}

static int run_append(uint64_t seed)
{
    return run_frames(&subject_journal_plain, seed, 5 + seed % 3);
}

int subject_append_until_it_fails(uint64_t seed)
{
    return run_frames(&subject_journal_plain, LONG_SEED + seed, UINT64_MAX);
}

static int run_rotate(uint64_t seed)
{
    return run_frames(&rotating, seed, 6 + seed % 5);
}

static int run_head(uint64_t seed)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    enum mw_rc rc = subject_journal_open(&rotating, &journal, &opened, &err);
    if (rc != MW_OK)
        return subject_fail("open", rc, &err);
    for (uint64_t i = 0; rc == MW_OK && i < 4 + seed % 3; i++) {
        rc = subject_journal_append(journal, seed, frame_records(seed, i), NULL, &err);
        if (rc == MW_OK && (rc = ops->sync_head(journal, &err)) == MW_OK)
            subject_say("ack head %" PRIu64, ops->last_seq(journal));
    }
    return subject_journal_end(journal, "head", rc, &err);
}

/* The reserve is let go and taken again; in between a frame meets the limit of a file's size, which the kernel cuts in the middle. */
static int run_full(uint64_t seed)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    struct mw_journal_stats stats;
    struct rlimit before;
    void *journal;
    enum mw_rc rc = subject_journal_open(&subject_journal_plain, &journal, &opened, &err);
    if (rc != MW_OK)
        return subject_fail("open", rc, &err);
    rc = subject_journal_append(journal, seed, 2, NULL, &err);
    if (rc == MW_OK)
        rc = ops->reserve_release(journal, &err);
    if (rc == MW_OK)
        rc = subject_journal_append(journal, seed, 1 + (uint32_t)(seed & 1), NULL, &err);
    if (rc == MW_OK) {
        ops->stats(journal, &stats);
        struct rlimit small;
        MW_ASSERT(getrlimit(RLIMIT_FSIZE, &before) == 0);
        small = before;
        small.rlim_cur = stats.bytes + 1 + subject_mix(seed, 7) % 200;
        MW_ASSERT(setrlimit(RLIMIT_FSIZE, &small) == 0);
        char line[LINE_MAX_BYTES];
        uint64_t next = ops->last_seq(journal) + 1;
        size_t length = make_line(seed, next, NULL, line);
        struct mw_err full = {0};
        enum mw_rc met = ops->append(journal, next, 1, (struct mw_str){line, length}, &full);
        MW_ASSERT(setrlimit(RLIMIT_FSIZE, &before) == 0);
        if (met != MW_E_FULL) /* an injected failure came before it */
            rc = met == MW_OK ? MW_OK : (err = full, met);
        else if (ops->stats(journal, &stats), stats.latched)
            (void)subject_wrong("P10: a full disk latched the journal");
    }
    if (rc == MW_OK)
        rc = subject_journal_append(journal, seed, 2, NULL, &err);
    if (rc == MW_OK && (rc = ops->reserve_restore(journal, &err)) == MW_E_FULL)
        rc = MW_OK; /* the host tries again after the next frame */
    if (rc == MW_OK)
        rc = subject_journal_append(journal, seed, 1, NULL, &err);
    return subject_journal_end(journal, "full", rc, &err);
}

/* ---- starting after every kind of end ---- */

enum ending {
    ENDED_UNCLEAN,
    ENDED_TORN,
    ENDED_ROTATING,
    ENDED_ROTATING_TORN,
    ENDED_HEAD_ABSENT,
    ENDED_HEAD_DAMAGED,
    ENDED_HEAD_BEHIND,
    ENDED_IN_RECOVERY,
    ENDED_RESERVE_LOST,
    ENDED_IN_ORDER,
    ENDED_HEAD_LINE_DAMAGED,
    ENDED_COUNT
};

void subject_put_file(const char *path, const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0);
    MW_ASSERT(write(fd, bytes, size) == (ssize_t)size);
    MW_ASSERT(close(fd) == 0);
}

static void last_segment(char ret_path[128]);
static void *open_narrow(void *journal);
static void tear(void *journal, uint64_t seed, bool all);
static void damage_a_head_line(uint64_t seed);

static void copy_file(const char *from, const char *to)
{
    struct mw_buf bytes = mw_heap_buf();
    struct mw_err err;
    MW_ASSERT(mw_file_read(AT_FDCWD, from, (size_t)1 << 20, &bytes, &err) == MW_OK);
    subject_put_file(to, bytes.ptr != NULL ? bytes.ptr : "", bytes.len);
    mw_heap_buf_free(&bytes);
}

/* In a process of its own, which ends without closing: its lock goes with it. */
static void write_and_die(uint64_t seed, enum ending ending)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    int acks_fd = open(SUBJECT_PREPARED, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MW_ASSERT(acks_fd >= 0 && dup2(acks_fd, STDOUT_FILENO) == STDOUT_FILENO);
    MW_ASSERT(subject_journal_open(&rotating, &journal, &opened, &err) == MW_OK);
    for (uint64_t i = 0; i < 5; i++) {
        MW_ASSERT(subject_journal_append(journal, seed, frame_records(seed, i), NULL, &err) ==
                  MW_OK);
        if (i == 2)
            copy_file(SIDE "/" MW_HEAD_FILE, "head.before");
    }
    if (ending == ENDED_IN_ORDER && ops->close(journal, &err) == MW_OK) {
        subject_say("ack close");
        _exit(0);
    }
    if (ending == ENDED_ROTATING || ending == ENDED_ROTATING_TORN)
        journal = open_narrow(journal);
    if (ending == ENDED_TORN || ending == ENDED_IN_RECOVERY || ending == ENDED_ROTATING ||
        ending == ENDED_ROTATING_TORN)
        tear(journal, seed, ending == ENDED_ROTATING);
    _exit(0);
}

/* The next frame of this one begins a new segment. */
static void *open_narrow(void *journal)
{
    const struct mw_journal_options narrow = {
        .reserve_bytes = 4096, .segment_bytes = 1, .side_dir = SIDE};
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    MW_ASSERT(ops->close(journal, &err) == MW_OK);
    MW_ASSERT(subject_journal_open(&narrow, &journal, &opened, &err) == MW_OK);
    return journal;
}

/* A frame as the kernel may have left it: cut anywhere, and the head does not know of it. */
static void tear(void *journal, uint64_t seed, bool all)
{
    char line[LINE_MAX_BYTES], last[128];
    struct mw_journal_stats before, after;
    struct mw_err err;
    struct stat file;
    uint64_t next = ops->last_seq(journal) + 1;
    size_t length = make_line(seed, next, NULL, line);
    copy_file(SIDE "/" MW_HEAD_FILE, "head.before");
    ops->stats(journal, &before);
    MW_ASSERT(ops->append(journal, next, 1, (struct mw_str){line, length}, &err) == MW_OK);
    ops->stats(journal, &after);
    copy_file("head.before", SIDE "/" MW_HEAD_FILE);
    last_segment(last);
    uint64_t frame_bytes = after.bytes - before.bytes;
    uint64_t kept = all ? 0 : 1 + subject_mix(seed, 3) % (frame_bytes - 1);
    MW_ASSERT(stat(last, &file) == 0 &&
              truncate(last, file.st_size - (off_t)(frame_bytes - kept)) == 0);
}

/* The one that was written last: the other one names a frame before it. */
static void damage_a_head_line(uint64_t seed)
{
    struct mw_folder folder;
    struct mw_head head = {0};
    enum mw_journal_head state;
    struct mw_err err;
    MW_ASSERT(mw_folder_open(&folder, FOLDER, SIDE, NULL, false, &err) == MW_OK);
    MW_ASSERT(mw_head_read(folder.sys, folder.side_fd, &head, &state, &err) == MW_OK);
    mw_folder_close(&folder);
    mw_autoclose int fd = open(SIDE "/" MW_HEAD_FILE, O_WRONLY | O_CLOEXEC);
    off_t at = (off_t)(head.frame & 1) * MW_HEAD_LINE_BYTES + (off_t)(seed % 100);
    MW_ASSERT(fd >= 0 && pwrite(fd, "\0", 1, at) == 1);
}

static void last_segment(char ret_path[128])
{
    DIR *list = opendir(FOLDER);
    char last[64] = "";
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        if (strlen(entry->d_name) == 26 && strcmp(entry->d_name, last) > 0)
            (void)snprintf(last, sizeof last, "%.63s", entry->d_name);
    if (list != NULL)
        (void)closedir(list); /* only read from */
    (void)snprintf(ret_path, 128, FOLDER "/%s", last);
}

static void prepare_recover(uint64_t seed)
{
    enum ending ending = (enum ending)(seed % ENDED_COUNT);
    char last[128], beside[160];
    int status = 0;
    (void)subject_journal_side();
    pid_t child = fork();
    if (child == 0)
        write_and_die(seed, ending);
    MW_ASSERT(waitpid(child, &status, 0) == child && status == 0);
    last_segment(last);
    if (ending == ENDED_IN_RECOVERY) {
        (void)snprintf(beside, sizeof beside, "%s.fresh", last);
        subject_put_file(beside, "{\"frame\":1", 10);
        (void)snprintf(beside, sizeof beside, "%s.torn", last);
        subject_put_file(beside, "{\"fra", 5);
    }
    if (ending == ENDED_HEAD_ABSENT)
        MW_ASSERT(unlink(SIDE "/" MW_HEAD_FILE) == 0);
    if (ending == ENDED_HEAD_DAMAGED)
        subject_put_file(SIDE "/" MW_HEAD_FILE, "{\"head\":1,\"seq\":", 16);
    if (ending == ENDED_HEAD_BEHIND)
        copy_file("head.before", SIDE "/" MW_HEAD_FILE);
    if (ending == ENDED_HEAD_LINE_DAMAGED)
        damage_a_head_line(seed);
    if (ending == ENDED_RESERVE_LOST)
        MW_ASSERT(unlink(SIDE "/reserve") == 0);
    MW_ASSERT(unlink("head.before") == 0);
}

static int run_recover(uint64_t seed)
{
    return run_frames(&rotating, seed + 1, 2);
}

/* ---- recovery, and what has to hold after it ---- */

bool subject_folder_has(const char *folder, const char *part)
{
    DIR *list = opendir(folder);
    bool found = false;
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        found = found || (entry->d_name[0] != '.' && strstr(entry->d_name, part) != NULL);
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return found;
}

static void say_opened(const struct mw_journal_opened *opened, bool half_copy, bool reserve_there,
                       bool reserve_held)
{
    static const char *const heads[] = {[MW_JOURNAL_HEAD_ABSENT] = "journal.head_absent",
                                        [MW_JOURNAL_HEAD_DAMAGED] = "journal.head_damaged",
                                        [MW_JOURNAL_HEAD_BEHIND] = "journal.head_behind",
                                        [MW_JOURNAL_HEAD_EQUAL] = "journal.head_equal"};
    subject_branch(opened->segments == 0 ? "journal.fresh"
                   : opened->in_place    ? "journal.rewritten_in_place"
                   : opened->copied      ? "journal.tail_copied"
                                         : "journal.closed_in_order");
    subject_branch(heads[opened->head]);
    if (opened->copied && half_copy && !opened->in_place)
        subject_branch("journal.half_copy_replaced");
    if (opened->torn_file[0] != '\0')
        subject_branch(strstr(opened->torn_file, ".torn.") != NULL
                           ? "journal.torn_tail_beside_an_older_one"
                           : "journal.torn_tail_kept_aside");
    if (!reserve_held)
        subject_branch("journal.starts_without_reserve");
    else if (!reserve_there)
        subject_branch("journal.reserve_made_again");
}

/* One of the head's two lines is not what was written there, and the other one is. */
static bool one_head_line_is_damaged(void)
{
    char lines[2 * MW_HEAD_LINE_BYTES], zeros[MW_HEAD_LINE_BYTES] = {0};
    static const char member[] = ",\"crc32c\":\"";
    int sound = 0, damaged = 0;
    mw_autoclose int fd = open(SIDE "/" MW_HEAD_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, lines, sizeof lines, 0) != (ssize_t)sizeof lines)
        return false;
    for (int i = 0; i < 2; i++) {
        const char *line = lines + (size_t)i * MW_HEAD_LINE_BYTES;
        const char *crc = memmem(line, MW_HEAD_LINE_BYTES - 16, member, sizeof member - 1);
        char expected[9] = "";
        if (crc != NULL)
            (void)snprintf(expected, sizeof expected, "%08" PRIx32,
                           mw_crc32c(0, (struct mw_str){line, (size_t)(crc - line)}));
        if (crc != NULL && memcmp(crc + sizeof member - 1, expected, 8) == 0)
            sound++;
        else if (memcmp(line, zeros, sizeof zeros) != 0)
            damaged++;
    }
    return sound == 1 && damaged == 1;
}

static uint64_t surveyed_epoch; /* of the last frame before this start */

/* A last segment in which nothing whole stands: the process ended between beginning it and the end of its first frame. */
static void say_rotation(void)
{
    char last[128];
    struct stat file;
    surveyed_epoch = 0;
    if (access(FOLDER, F_OK) != 0)
        return;
    last_segment(last);
    if (stat(last, &file) != 0 || !S_ISREG(file.st_mode))
        return;
    struct mw_folder folder;
    struct mw_survey survey;
    struct mw_err err;
    if (mw_folder_open(&folder, FOLDER, SIDE, NULL, false, &err) != MW_OK)
        return;
    bool surveyed = mw_survey(&folder, &survey, &err) == MW_OK;
    if (surveyed)
        surveyed_epoch = survey.chain.epoch;
    if (surveyed && survey.tail_bytes == 0) {
        if (file.st_size == 0)
            subject_branch("journal.empty_last_segment");
        if (survey.segments > 1)
            subject_branch("journal.unfinished_rotation");
    }
    mw_folder_close(&folder);
}

/* -1: this recovery did not get so far. */
static int last_copied = -1;

int subject_journal_recover(void)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    if (access(FOLDER, F_OK) != 0 && access(SIDE, F_OK) != 0)
        return 0; /* nothing was begun */
    say_rotation();
    bool head_line = one_head_line_is_damaged();
    last_copied = -1;
    enum mw_rc rc = subject_journal_open(&rotating, &journal, &opened, &err);
    if (rc != MW_OK)
        return subject_fail("open", rc, &err);
    if (head_line && opened.head != MW_JOURNAL_HEAD_DAMAGED)
        subject_branch("journal.head_one_line_damaged");
    if (surveyed_epoch > 0 && opened.epoch > surveyed_epoch + 1)
        subject_branch("journal.epoch_of_the_lock");
    last_copied = opened.copied;
    rc = ops->close(journal, &err);
    return rc == MW_OK ? 0 : subject_fail("close", rc, &err);
}

struct reading {
    uint64_t next;
    uint64_t wrong_seq; /* 0: none */
    uint64_t
        resumed; /* records of subject_journal_resume, which nobody acknowledged to this scenario */
    struct mw_sha256 sha;
    const struct mw_blobs *blobs; /* NULL: none are named */
    char missing[65];
};

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct reading *reading = context;
    static const char member[] = "\"blob\":\"";
    (void)err;
    if ((seq != reading->next || !line_is_right(seq, line)) && reading->wrong_seq == 0)
        reading->wrong_seq = seq;
    reading->next = seq + 1;
    reading->resumed += memmem(line.ptr, line.len, RESUME_MEMBER, sizeof RESUME_MEMBER - 1) != NULL;
    mw_sha256_add(&reading->sha, line);
    mw_sha256_add(&reading->sha, MW_STR("\n"));
    const char *named = memmem(line.ptr, line.len, member, sizeof member - 1);
    char sha256[65] = "";
    struct mw_err ignored;
    if (named == NULL || reading->blobs == NULL)
        return MW_OK;
    memcpy(sha256, named + sizeof member - 1, 64);
    if (mw_blob_verify(reading->blobs, sha256, &ignored) != MW_OK)
        memcpy(reading->missing, sha256, sizeof sha256);
    return MW_OK;
}

struct wanted {
    uint64_t seq;
    char sha256[65];
    struct mw_str acks;
    uint64_t found;
    bool differs;
};

/* Acknowledgements come in the records' order: the list is walked beside the journal. */
static enum mw_rc on_acked(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct wanted *wanted = context;
    char sha256[65];
    (void)err;
    if (seq != wanted->seq)
        return MW_OK;
    mw_sha256_hex(line, sha256);
    wanted->differs = wanted->differs || strcmp(sha256, wanted->sha256) != 0;
    wanted->found = seq;
    return MW_OK;
}

/* Lives that may have left a frame that was not acknowledged: the one that acknowledged last, and those that began after it. */
static uint64_t lives_since(struct mw_str acks)
{
    char rest[256];
    size_t last = 0;
    uint64_t lives = 1;
    for (size_t at = 0; subject_next_ack(acks, &at, "append", rest, sizeof rest);)
        last = at;
    for (size_t at = last; subject_next_ack(acks, &at, "epoch", rest, sizeof rest);)
        lives += last > 0;
    return lives;
}

static int check_acked(struct mw_str acks, uint64_t last_seq, uint64_t resumed)
{
    char rest[256];
    uint64_t expected = 0, seq = 0;
    struct mw_err err = {0};
    void *reader;
    struct wanted wanted = {0};
    if (!subject_last_ack(acks, "append", rest, sizeof rest))
        return 0;
    if (ops->reader_open(FOLDER, &rotating, 1, &reader, &err) != MW_OK)
        return subject_wrong("P01: the journal cannot be read: %s", err.text);
    int code = 0;
    for (size_t at = 0; code == 0 && subject_next_ack(acks, &at, "append", rest, sizeof rest);) {
        if (sscanf(rest, "%" SCNu64 " %64s", &seq, wanted.sha256) != 2)
            code = subject_wrong("an acknowledgement cannot be read: %s", rest);
        else if (
            seq <=
            expected) /* a gap is a frame that was whole and that no life could acknowledge any more */
            code = subject_wrong("P01: record %" PRIu64 " was acknowledged after %" PRIu64, seq,
                                 expected);
        else if (seq > last_seq)
            code = subject_wrong("P01: record %" PRIu64 " was acknowledged and is not there; the "
                                 "last is %" PRIu64,
                                 seq, last_seq);
        expected = wanted.seq = seq;
        if (code == 0 && ops->reader_read(reader, seq, on_acked, &wanted, NULL, &err) != MW_OK)
            code = subject_wrong("P01: record %" PRIu64 " cannot be read: %s", seq, err.text);
        if (code == 0 && wanted.differs)
            code =
                subject_wrong("P01: record %" PRIu64 " is not the one that was acknowledged", seq);
    }
    ops->reader_close(reader);
    if (code == 0 && last_seq > expected + lives_since(acks) * FRAME_RECORDS_MAX + resumed)
        code = subject_wrong("P01: %" PRIu64 " records after the last acknowledged one, more than "
                             "one frame a life",
                             last_seq - expected);
    return code;
}

static int check_promises(struct mw_str acks, uint64_t epoch)
{
    char rest[256];
    for (size_t at = 0; subject_next_ack(acks, &at, "epoch", rest, sizeof rest);)
        if (strtoull(rest, NULL, 10) >= epoch)
            return subject_wrong("P11: epoch %s was given before; this one is %" PRIu64, rest,
                                 epoch);
    struct mw_str last = acks;
    while (last.len > 0 && last.ptr[last.len - 1] == '\n')
        last.len--;
    if (mw_str_ends(last, MW_STR("ack close")) && last_copied == 1)
        return subject_wrong("P04: the head of a journal that was closed in order is not believed");
    return 0;
}

static int check_head(struct mw_str acks, const struct mw_folder *folder)
{
    char rest[256];
    struct mw_head head = {0};
    enum mw_journal_head state;
    struct mw_err err = {0};
    if (!subject_last_ack(acks, "head", rest, sizeof rest))
        return 0;
    if (mw_head_read(folder->sys, folder->side_fd, &head, &state, &err) != MW_OK)
        return subject_wrong("P04: %s", err.text);
    if (state != MW_JOURNAL_HEAD_EQUAL || head.seq < strtoull(rest, NULL, 10))
        return subject_wrong("P04: the head was synced at %s and is at %" PRIu64, rest, head.seq);
    return 0;
}

static int read_all(const struct mw_blobs *blobs, struct reading *reading)
{
    struct mw_err err = {0};
    const struct mw_journal_options reads = {.side_dir = SIDE, .read_only = true};
    struct mw_journal_opened opened;
    void *journal;
    *reading = (struct reading){.next = 1, .blobs = blobs};
    enum mw_rc rc = ops->open(FOLDER, &reads, &journal, &opened, &err);
    if (rc != MW_OK)
        return subject_wrong("P03: after a recovery the journal is refused: %s", err.text);
    mw_sha256_begin(&reading->sha);
    rc = ops->read(journal, 1, on_record, reading, &err);
    (void)ops->close(journal, &err); /* was only read */
    if (rc != MW_OK)
        return subject_wrong("P03: %s", err.text);
    if (reading->wrong_seq != 0)
        return subject_wrong("P03: record %" PRIu64 " is not whole", reading->wrong_seq);
    if (reading->missing[0] != '\0')
        return subject_wrong("P22: a record names blob %s, which is not there", reading->missing);
    if (opened.torn_bytes != 0 || reading->next != opened.last_seq + 1)
        return subject_wrong("P03: after a recovery something unfinished stands");
    return 0;
}

static void state_of(struct reading *reading, char ret_state[65])
{
    uint8_t digest[32];
    mw_sha256_end(&reading->sha, digest);
    mw_hex(digest, sizeof digest, ret_state);
}

int subject_journal_verify(const struct mw_blobs *blobs, struct mw_str said, char ret_state[65])
{
    struct mw_buf all = subject_all_acks(said);
    struct mw_str acks = mw_buf_str(&all);
    struct mw_folder folder;
    struct mw_survey survey = {0};
    struct mw_err err = {0};
    struct reading reading = {0};
    char rest[256];
    int code = 0;
    if (access(FOLDER, F_OK) != 0) {
        code = subject_last_ack(acks, "append", rest, sizeof rest)
                   ? subject_wrong("P01: the journal's folder is gone")
                   : 0;
        memset(ret_state, '0', 64);
        ret_state[64] = '\0';
        mw_heap_buf_free(&all);
        return code;
    }
    code = read_all(blobs, &reading);
    if (code == 0)
        state_of(&reading, ret_state);
    if (code == 0)
        code = check_acked(acks, reading.next - 1, reading.resumed);
    if (code == 0 && mw_folder_open(&folder, FOLDER, SIDE, NULL, false, &err) == MW_OK) {
        if (mw_survey(&folder, &survey, &err) != MW_OK || survey.damaged || survey.head_ahead)
            code = subject_wrong("P03: after a recovery there is damage: %s", survey.damage.what);
        if (code == 0)
            code = check_head(acks, &folder);
        mw_folder_close(&folder);
    }
    mw_heap_buf_free(&all);
    return code;
}

static int verify_journal(struct mw_str said, char ret_state[65])
{
    return subject_journal_verify(NULL, said, ret_state);
}

/* Opens, looks at what open promised, appends one more record, closes. */
int subject_journal_resume(struct mw_str said)
{
    struct mw_buf all = subject_all_acks(said);
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    int code = subject_journal_side();
    enum mw_rc rc = ops->open(FOLDER, &rotating, &journal, &opened, &err);
    if (code != 0 || rc != MW_OK) {
        mw_heap_buf_free(&all);
        return subject_wrong("after a recovery the journal does not open: %s", err.text);
    }
    code = check_promises(mw_buf_str(&all), opened.epoch);
    if (code == 0 && opened.copied)
        code = subject_wrong("P02: a recovery that was closed in order is not believed");
    if (code == 0 && subject_journal_append(journal, RESUME_SEED, 1, NULL, &err) != MW_OK)
        code = subject_wrong("after a recovery an append fails: %s", err.text);
    rc = ops->close(journal, &err);
    mw_heap_buf_free(&all);
    return code == 0 && rc != MW_OK ? subject_wrong("after a recovery: %s", err.text) : code;
}

const struct subject subject_journal[] = {
    {"append", "P01 P02 P03", prepare_side, run_append, subject_journal_recover, verify_journal,
     subject_journal_resume, false},
    {"rotate", "P01 P03 P04", prepare_side, run_rotate, subject_journal_recover, verify_journal,
     subject_journal_resume, false},
    {"full", "P10", prepare_side, run_full, subject_journal_recover, verify_journal,
     subject_journal_resume, false},
    {"head", "P04", prepare_side, run_head, subject_journal_recover, verify_journal,
     subject_journal_resume, false},
    {"recover", "P02 P03 P04", prepare_recover, run_recover, subject_journal_recover,
     verify_journal, subject_journal_resume, false},
    {"blob_put", "P22", subject_blob_prepare, subject_blob_run, subject_blob_recover,
     subject_blob_verify, subject_journal_resume, false},
};
const size_t subject_journal_count = MW_COUNT(subject_journal);
