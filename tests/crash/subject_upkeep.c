/*
 * subject_upkeep.c - what is done to a journal beside appending, as scenarios: the repair of a damaged one, and snapshots of it.
 * P03, P04: a repair that is cut off loses no record before the damage and no byte after it. P16: a snapshot is whole or it is not there.
 */
#include "subject.h"

#include "journal/doctor.h"
#include "journal/files.h"
#include "journal/snapshot.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDE ".millwright"
#define FOLDER SIDE "/journal"
#define CACHE SIDE "/cache"
#define ORIGINAL "original" /* the damaged journal as it was */
#define FRAMES 12
#define RECORDS (2 * FRAMES)
#define SOUND_FRAMES 5 /* before the damage, at least */
#define SEGMENT_BYTES_MAX 65536

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options options = {
    .reserve_bytes = 4096, .segment_bytes = 1500, .side_dir = SIDE};

const char *const subject_upkeep_branches[] = {
    "repair.not_needed", "repair.run_again",           "repair.after_a_half_copy", "snapshot.none",
    "snapshot.found",    "snapshot.beside_a_half_one", "snapshot.older_one",       NULL,
};

/* ---- records ---- */

static size_t make_line(uint64_t seed, uint64_t seq, char ret_line[512])
{
    uint64_t mixed = subject_mix(seed, seq);
    int length = snprintf(ret_line, 512, "{\"seq\":%" PRIu64 ",\"text\":\"", seq);
    size_t pad = mixed % 300;
    memset(ret_line + length, (int)('a' + (mixed >> 20) % 20), pad);
    memcpy(ret_line + (size_t)length + pad, "\"}\n", 4);
    return (size_t)length + pad + 3;
}

static enum mw_rc append_two(void *journal, uint64_t seed, struct mw_err *err)
{
    char lines[1024];
    uint64_t first = ops->last_seq(journal) + 1;
    size_t size = make_line(seed, first, lines);
    size += make_line(seed, first + 1, lines + size);
    return ops->append(journal, first, 2, (struct mw_str){lines, size}, err);
}

/* The seed, and how many records stand before the damage. */
static uint64_t kept_seed(uint64_t *ret_sound)
{
    FILE *file = fopen("seed", "re");
    uint64_t seed = 0, sound = 0;
    MW_ASSERT(file != NULL && fscanf(file, "%" SCNu64 " %" SCNu64, &seed, &sound) >= 1);
    (void)fclose(file); /* only read from */
    if (ret_sound != NULL)
        *ret_sound = sound;
    return seed;
}

static void put_file(const char *path, const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
}

static void prepare_journal(uint64_t seed)
{
    char text[32];
    struct mw_err err;
    struct mw_journal_opened opened;
    void *journal;
    put_file("seed", text, (size_t)snprintf(text, sizeof text, "%" PRIu64, seed));
    MW_ASSERT(mkdir(SIDE, 0700) == 0);
    MW_ASSERT(ops->open(FOLDER, &options, &journal, &opened, &err) == MW_OK);
    for (int i = 0; i < FRAMES; i++)
        MW_ASSERT(append_two(journal, seed, &err) == MW_OK);
    MW_ASSERT(ops->close(journal, &err) == MW_OK);
}

struct reading {
    uint64_t seed, next;
    bool wrong;
    struct mw_sha256 *sha;
};

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct reading *reading = context;
    char expected[512];
    size_t length = make_line(reading->seed, seq, expected);
    (void)err;
    reading->wrong = reading->wrong || seq != reading->next || line.len != length - 1 ||
                     memcmp(line.ptr, expected, line.len) != 0;
    reading->next = seq + 1;
    mw_sha256_add(reading->sha, line);
    return MW_OK;
}

/* Every record that is there is the one that was written; at least `least` of them. */
static int read_journal(uint64_t least, struct mw_sha256 *sha)
{
    struct mw_err err = {0};
    struct reading reading = {.seed = kept_seed(NULL), .next = 1, .sha = sha};
    void *reader;
    enum mw_rc rc = ops->reader_open(FOLDER, &options, 1, &reader, &err);
    if (rc == MW_OK) {
        rc = ops->reader_read(reader, UINT64_MAX, on_record, &reading, NULL, &err);
        ops->reader_close(reader);
    }
    if (rc != MW_OK)
        return subject_wrong("P03: the journal cannot be read: %s", err.text);
    if (reading.wrong)
        return subject_wrong("P03: a record is not the one that was written");
    if (reading.next <= least)
        return subject_wrong("P04: %" PRIu64 " records of %" PRIu64 " are left", reading.next - 1,
                             least);
    return 0;
}

static int start_and_close(void)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    enum mw_rc rc = ops->open(FOLDER, &options, &journal, &opened, &err);
    if (rc == MW_OK)
        rc = ops->close(journal, &err);
    return rc == MW_OK ? 0 : subject_fail("open", rc, &err);
}

static int go_on(uint64_t seed)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    enum mw_rc rc = ops->open(FOLDER, &options, &journal, &opened, &err);
    if (rc == MW_OK) {
        struct mw_err later = {0};
        rc = append_two(journal, seed, &err);
        enum mw_rc closed = ops->close(journal, &later);
        if (rc == MW_OK && closed != MW_OK) {
            err = later;
            rc = closed;
        }
    }
    return rc == MW_OK ? 0 : subject_fail("append", rc, &err);
}

/* ---- repair ---- */

static size_t read_file(const char *folder, const char *name, char ret_bytes[SEGMENT_BYTES_MAX])
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, ret_bytes, SEGMENT_BYTES_MAX) : 0;
    MW_ASSERT(got >= 0 && got < SEGMENT_BYTES_MAX);
    if (fd >= 0)
        (void)close(fd); /* only read from */
    return (size_t)got;
}

/* One bit of a frame in the middle: the first of its segment when the seed is even, else one within. False: no such frame in here. */
static bool flip_a_bit(uint64_t seed, char *bytes, size_t size, uint64_t *frames)
{
    static const char start[] = "{\"frame\":";
    for (char *at = bytes; (at = memmem(at, (size_t)(bytes + size - at), start, 9)) != NULL;
         at += 9) {
        if (*frames >= SOUND_FRAMES && (at == bytes) == (seed % 2 == 0)) {
            at[230] ^= 4;
            return true;
        }
        ++*frames;
    }
    return false;
}

/* Every segment is kept as it is after the damage. */
static void prepare_repair(uint64_t seed)
{
    static char bytes[SEGMENT_BYTES_MAX];
    prepare_journal(seed);
    MW_ASSERT(mkdir(ORIGINAL, 0700) == 0);
    struct dirent **entries;
    int count = scandir(FOLDER, &entries, NULL, alphasort);
    uint64_t sound = 0;
    bool damaged = false;
    char path[300], text[64];
    MW_ASSERT(count > 2);
    for (int i = 0; i < count; i++) {
        if (strstr(entries[i]->d_name, ".jsonl") != NULL) {
            size_t size = read_file(FOLDER, entries[i]->d_name, bytes);
            damaged = damaged || flip_a_bit(seed, bytes, size, &sound);
            (void)snprintf(path, sizeof path, FOLDER "/%s", entries[i]->d_name);
            put_file(path, bytes, size);
            (void)snprintf(path, sizeof path, ORIGINAL "/%s", entries[i]->d_name);
            put_file(path, bytes, size);
        }
        free(entries[i]);
    }
    free(entries);
    MW_ASSERT(damaged);
    put_file("seed", text,
             (size_t)snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, seed, 2 * sound));
}

static int run_repair(uint64_t seed)
{
    struct mw_err err = {0};
    enum mw_rc rc = mw_journal_repair(FOLDER, &options, false, NULL, NULL, &err);
    if (rc != MW_OK)
        return subject_fail("repair", rc, &err);
    subject_say("ack repaired");
    return go_on(seed);
}

static bool folder_has(const char *folder, const char *part)
{
    DIR *list = opendir(folder);
    bool found = false;
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        found = found || strstr(entry->d_name, part) != NULL;
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return found;
}

/* A repair that was cut off is repaired by running it again. */
static int recover_repair(void)
{
    struct mw_err err = {0};
    bool half_copy = folder_has(FOLDER, ".fresh") || folder_has(FOLDER, ".damaged");
    enum mw_rc rc = mw_journal_verify(FOLDER, &options, NULL, NULL, NULL, &err);
    subject_branch(rc == MW_OK ? "repair.not_needed"
                   : half_copy ? "repair.after_a_half_copy"
                               : "repair.run_again");
    if (rc == MW_E_CORRUPT)
        rc = mw_journal_repair(FOLDER, &options, false, NULL, NULL, &err);
    return rc == MW_OK ? start_and_close() : subject_fail("repair", rc, &err);
}

/* What followed the damage stands in a file of its own: all of a segment, or what is missing in it. */
static bool is_kept(const char *name, const char *bytes, size_t size)
{
    static char now[SEGMENT_BYTES_MAX], aside[SEGMENT_BYTES_MAX];
    size_t now_size = read_file(FOLDER, name, now), same = 0;
    while (same < now_size && same < size && now[same] == bytes[same])
        same++;
    bool kept = same == size;
    DIR *list = opendir(FOLDER);
    for (struct dirent *entry; list != NULL && !kept && (entry = readdir(list)) != NULL;) {
        if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
            strstr(entry->d_name, ".damaged") == NULL)
            continue;
        size_t aside_size = read_file(FOLDER, entry->d_name, aside);
        kept = aside_size <= size && size - aside_size <= same &&
               memcmp(aside, bytes + (size - aside_size), aside_size) == 0;
    }
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return kept;
}

static int verify_repair(struct mw_str acks, char ret_state[65])
{
    static char bytes[SEGMENT_BYTES_MAX];
    uint8_t digest[32];
    struct mw_sha256 sha;
    (void)acks;
    uint64_t sound;
    (void)kept_seed(&sound);
    mw_sha256_begin(&sha);
    int code = read_journal(sound, &sha);
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof digest, ret_state);
    DIR *list = opendir(ORIGINAL);
    for (struct dirent *entry; list != NULL && code == 0 && (entry = readdir(list)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        size_t size = read_file(ORIGINAL, entry->d_name, bytes);
        if (!is_kept(entry->d_name, bytes, size))
            code = subject_wrong("P03: what a repair cut off of %s is not kept", entry->d_name);
    }
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return code;
}

static int resume_repair(struct mw_str acks)
{
    (void)acks;
    return go_on(kept_seed(NULL));
}

/* ---- snapshots ---- */

static void prepare_snapshot(uint64_t seed)
{
    prepare_journal(seed);
    MW_ASSERT(mkdir(CACHE, 0700) == 0);
}

static enum mw_rc add_line(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq;
    return mw_snapshot_add(context, line, false, err);
}

/* Of the records up to the frame that ends at or before until_seq: the lines as they are. */
static enum mw_rc make_snapshot(uint64_t until_seq, uint64_t *ret_seq, struct mw_err *err)
{
    struct mw_snapshot snapshot = {.journal = "0123456789abcdef"};
    struct mw_snapshot_writer writer;
    void *reader;
    memset(snapshot.made_by, '0', 64);
    memset(snapshot.state, '0', 64);
    memset(snapshot.left, '0', 64);
    mw_autoclose int cache_fd = open(CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum mw_rc rc = mw_journal_position(FOLDER, &options, until_seq, &snapshot.at, err);
    if (rc == MW_OK)
        rc = mw_snapshot_begin(&writer, NULL, cache_fd, err);
    if (rc != MW_OK)
        return rc;
    rc = ops->reader_open(FOLDER, &options, 1, &reader, err);
    if (rc == MW_OK) {
        rc = ops->reader_read(reader, snapshot.at.seq, add_line, &writer, NULL, err);
        ops->reader_close(reader);
    }
    if (rc == MW_OK)
        rc = mw_snapshot_seal(&writer, &snapshot, err);
    if (rc != MW_OK) {
        mw_snapshot_abandon(&writer);
        return rc;
    }
    *ret_seq = snapshot.at.seq;
    return mw_snapshot_commit(&writer, &snapshot, err);
}

static int run_snapshot(uint64_t seed)
{
    struct mw_err err = {0};
    enum mw_rc rc = MW_OK;
    for (uint64_t until = 5 + subject_mix(seed, 1) % 4; rc == MW_OK && until < RECORDS;
         until += 7) {
        uint64_t made;
        rc = make_snapshot(until, &made, &err);
        if (rc == MW_OK)
            subject_say("ack snapshot %" PRIu64, made);
    }
    return rc == MW_OK ? 0 : subject_fail("snapshot", rc, &err);
}

/* The newest one and its number; 0: none. Anything else is said. */
static int newest_snapshot(struct mw_buf *file, struct mw_snapshot *ret_snapshot)
{
    struct mw_err err = {0};
    char name[MW_SNAPSHOT_NAME_BYTES];
    mw_autoclose int cache_fd = open(CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum mw_rc rc = mw_snapshot_newest(cache_fd, name, &err);
    *ret_snapshot = (struct mw_snapshot){0};
    if (rc == MW_E_MISSING)
        return 0;
    if (rc == MW_OK)
        rc = mw_snapshot_read(cache_fd, name, ret_snapshot, file, &err);
    if (rc == MW_OK)
        rc = mw_snapshot_belongs(FOLDER, &options, ret_snapshot, &err);
    return rc == MW_OK ? 0 : subject_wrong("P16: a snapshot that was put in place: %s", err.text);
}

static int count_snapshots(void)
{
    DIR *list = opendir(CACHE);
    int count = 0;
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        count += strncmp(entry->d_name, "snapshot-", 9) == 0;
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return count;
}

static int recover_snapshot(void)
{
    int count = count_snapshots();
    subject_branch(count == 0 ? "snapshot.none" : "snapshot.found");
    if (count > 1)
        subject_branch("snapshot.older_one");
    if (access(CACHE "/" MW_SNAPSHOT_UNFINISHED, F_OK) == 0)
        subject_branch("snapshot.beside_a_half_one");
    return start_and_close();
}

static enum mw_rc on_line(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    struct reading *reading = context;
    return left ? MW_FAIL(err, MW_E_CORRUPT, "a line that was left out")
                : on_record(context, reading->next, line, err);
}

static int verify_snapshot(struct mw_str acks, char ret_state[65])
{
    uint8_t digest[32];
    char rest[256];
    struct mw_sha256 sha;
    struct mw_snapshot snapshot;
    struct mw_err err = {0};
    struct mw_buf file = mw_heap_buf();
    mw_sha256_begin(&sha);
    int code = read_journal(RECORDS, &sha);
    if (code == 0)
        code = newest_snapshot(&file, &snapshot);
    if (code == 0 && subject_last_ack(acks, "snapshot", rest, sizeof rest) &&
        strtoull(rest, NULL, 10) > snapshot.at.seq)
        code = subject_wrong("P16: snapshot %s was put in place, and %" PRIu64 " is the newest",
                             rest, snapshot.at.seq);
    struct reading reading = {.seed = kept_seed(NULL), .next = 1, .sha = &sha};
    if (code == 0 && snapshot.at.seq > 0 &&
        (mw_snapshot_each(mw_buf_str(&file), on_line, &reading, &err) != MW_OK || reading.wrong ||
         reading.next - 1 != snapshot.at.seq))
        code = subject_wrong("P16: a snapshot does not hold the journal's records");
    mw_heap_buf_free(&file);
    mw_sha256_end(&sha, digest);
    mw_hex(digest, sizeof digest, ret_state);
    return code;
}

static int resume_snapshot(struct mw_str acks)
{
    struct mw_err err = {0};
    struct mw_snapshot snapshot;
    struct mw_buf file = mw_heap_buf();
    uint64_t made;
    (void)acks;
    enum mw_rc rc = make_snapshot(RECORDS, &made, &err);
    int code = rc == MW_OK ? newest_snapshot(&file, &snapshot) : subject_fail("snapshot", rc, &err);
    if (code == 0 && (snapshot.at.seq != made || count_snapshots() != 1))
        code = subject_wrong("P16: the newest snapshot is %" PRIu64 " of %d, not %" PRIu64,
                             snapshot.at.seq, count_snapshots(), made);
    mw_heap_buf_free(&file);
    return code;
}

const struct subject subject_upkeep[] = {
    {"repair", "P03 P04", prepare_repair, run_repair, recover_repair, verify_repair, resume_repair,
     false},
    {"snapshot", "P16", prepare_snapshot, run_snapshot, recover_snapshot, verify_snapshot,
     resume_snapshot, false},
};
const size_t subject_upkeep_count = MW_COUNT(subject_upkeep);
