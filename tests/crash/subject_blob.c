/* subject_blob.c - the blobs as a scenario: bodies are durable before the records that name them (P22). */
#include "subject_journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_COUNT 12
#define DAMAGED_BLOB 5 /* its name stands with too few bytes before the scenario begins */

const char *const subject_blob_branches[] = {
    "blobs.nothing_to_sweep",
    "blobs.half_written_swept",
    "blobs.damaged_one_written_again",
    NULL,
};

static size_t make_body(uint64_t seed, uint64_t n, char *ret_bytes, size_t cap)
{
    size_t size = 1 + subject_mix(seed, 500 + n) % (cap - 1);
    for (size_t i = 0; i < size; i++)
        ret_bytes[i] = (char)('A' + subject_mix(seed + n, i / 64) % 26);
    return size;
}

void subject_blob_prepare(uint64_t seed)
{
    char body[3000], sha256[MW_SHA256_HEX], path[128];
    struct mw_err err;
    struct mw_blobs blobs;
    (void)subject_journal_side();
    MW_ASSERT(mw_blobs_open(AT_FDCWD, SIDE, &blobs, &err) == MW_OK);
    mw_blobs_close(&blobs);
    size_t size = make_body(seed, DAMAGED_BLOB, body, sizeof body);
    mw_sha256_hex((struct mw_str){body, size}, sha256);
    (void)snprintf(path, sizeof path, SIDE "/blobs/%.2s", sha256);
    MW_ASSERT(mkdir(path, 0755) == 0);
    (void)snprintf(path, sizeof path, SIDE "/blobs/%.2s/%s", sha256, sha256 + 2);
    subject_put_file(path, body, size / 2);
    subject_put_file("damaged.blob", sha256, strlen(sha256));
}

int subject_blob_run(uint64_t seed)
{
    static char bodies[BLOB_COUNT][3000];
    struct mw_blob_item items[BLOB_COUNT];
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    struct mw_blobs blobs;
    void *journal;
    enum mw_rc rc = mw_blobs_open(AT_FDCWD, SIDE, &blobs, &err);
    if (rc != MW_OK)
        return subject_fail("blobs", rc, &err);
    rc = subject_journal_open(&subject_journal_plain, &journal, &opened, &err);
    if (rc != MW_OK) {
        mw_blobs_close(&blobs);
        return subject_fail("open", rc, &err);
    }
    for (uint32_t i = 0; i < BLOB_COUNT; i++)
        items[i].bytes =
            (struct mw_str){bodies[i], make_body(seed, i, bodies[i], sizeof bodies[i])};
    for (uint32_t at = 0, some; rc == MW_OK && at < BLOB_COUNT; at += some) {
        some = 1 + (uint32_t)(subject_mix(seed, at) % 4);
        some = some < BLOB_COUNT - at ? some : BLOB_COUNT - at;
        rc = mw_blob_put_many(&blobs, items + at, some, &err);
        for (uint32_t i = at; rc == MW_OK && i < at + some; i++) {
            subject_say("ack blob %s", items[i].sha256);
            if (i == at)
                rc = subject_journal_append(journal, seed, 1, items[i].sha256, &err);
        }
    }
    /* Once more: what is there is taken as it is. */
    if (rc == MW_OK)
        rc = mw_blob_put(&blobs, items[1].bytes, items[1].sha256, &err);
    mw_blobs_close(&blobs);
    return subject_journal_end(journal, "blobs", rc, &err);
}

int subject_blob_recover(void)
{
    struct mw_err err = {0};
    struct mw_blobs blobs;
    if (access(SIDE, F_OK) != 0)
        return 0;
    bool half = subject_folder_has(SIDE "/blobs/tmp", "");
    enum mw_rc rc = mw_blobs_open(AT_FDCWD, SIDE, &blobs, &err);
    if (rc != MW_OK)
        return subject_fail("blobs", rc, &err);
    rc = mw_blobs_sweep(&blobs, &err);
    mw_blobs_close(&blobs);
    if (rc != MW_OK)
        return subject_fail("sweep", rc, &err);
    subject_branch(half ? "blobs.half_written_swept" : "blobs.nothing_to_sweep");
    return subject_journal_recover();
}

/* One folder of the store: every file has the bytes that its name says, but for the planted one until it is put. */
static int check_shard(const struct mw_blobs *blobs, const char *shard, const char *damaged)
{
    char path[64], sha256[MW_SHA256_HEX];
    struct mw_err err;
    (void)snprintf(path, sizeof path, SIDE "/blobs/%.2s", shard);
    DIR *list = opendir(path);
    int code = 0;
    for (struct dirent *entry; code == 0 && list != NULL && (entry = readdir(list)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(sha256, sizeof sha256, "%.2s%.62s", shard, entry->d_name);
        if (mw_blob_verify(blobs, sha256, &err) == MW_OK) {
            if (strcmp(sha256, damaged) == 0)
                subject_branch("blobs.damaged_one_written_again");
            continue;
        }
        if (strcmp(sha256, damaged) != 0)
            code = subject_wrong("P22: blob %s is half: %s", sha256, err.text);
    }
    if (list != NULL)
        (void)closedir(list); /* only read from */
    return code;
}

static int check_store(const struct mw_blobs *blobs, struct mw_str acks, const char *damaged)
{
    DIR *list = opendir(SIDE "/blobs");
    int code = 0;
    for (struct dirent *entry; code == 0 && list != NULL && (entry = readdir(list)) != NULL;)
        if (strspn(entry->d_name, "0123456789abcdef") == 2 && entry->d_name[2] == '\0')
            code = check_shard(blobs, entry->d_name, damaged);
    if (list != NULL)
        (void)closedir(list); /* only read from */
    if (code != 0)
        return code;
    char sha256[256];
    for (size_t at = 0; subject_next_ack(acks, &at, "blob", sha256, sizeof sha256);) {
        struct mw_err err = {0};
        if (mw_blob_verify(blobs, sha256, &err) != MW_OK)
            return subject_wrong("P22: blob %s was acknowledged: %s", sha256, err.text);
    }
    return subject_folder_has(SIDE "/blobs/tmp", "") ? subject_wrong("a half written blob stays")
                                                     : 0;
}

static void damaged_name(char ret_sha256[128])
{
    FILE *file = fopen("damaged.blob", "re");
    ret_sha256[0] = '\0';
    if (file == NULL)
        return;
    if (fscanf(file, "%127s", ret_sha256) != 1)
        ret_sha256[0] = '\0';
    (void)fclose(file);
}

int subject_blob_verify(struct mw_str said, char ret_state[65])
{
    struct mw_err err = {0};
    struct mw_blobs blobs;
    char damaged[128];
    damaged_name(damaged);
    if (mw_blobs_open(AT_FDCWD, SIDE, &blobs, &err) != MW_OK)
        return subject_wrong("the blobs cannot be opened: %s", err.text);
    int code = check_store(&blobs, said, damaged);
    if (code == 0)
        code = subject_journal_verify(&blobs, said, ret_state);
    mw_blobs_close(&blobs);
    return code;
}
