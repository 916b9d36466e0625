/*
 * A journal's folder that somebody changed. First byte odd: the rest is the one segment as it is. Even: the rest are changes to a sound
 * journal of several segments with its head: bits, digits, runs, cuts, copies, moves of bytes, files left out.
 *
 * Whatever it is: no record is ever read that was not written at that place (P03); nothing acknowledged is missing without a word (P04);
 * verify, the port's read and the reader beside it tell the same.
 */
#include "fuzz.h"
#include "journal/doctor.h"
#include "journal/files.h"
#include "journal/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX 8
#define FILE_BYTES_MAX 16384
#define RECORDS_MAX 64
#define LINE_MAX_BYTES 96

struct image {
    char name[40];
    size_t size;
    char bytes[FILE_BYTES_MAX];
};

static struct image sound[FILES_MAX], changed[FILES_MAX];
static unsigned file_count;
static char lines[RECORDS_MAX + 1][LINE_MAX_BYTES];
static uint64_t last_seq;
static char dir[64];

static int sync_nothing(int fd)
{
    (void)fd;
    return 0;
}

static void remove_folder(void)
{
    for (unsigned f = 0; f < file_count; f++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", dir, sound[f].name);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void put_file(const struct image *image)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, image->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0);
    MW_ASSERT(write(fd, image->bytes, image->size) == (ssize_t)image->size);
    (void)close(fd);
}

static void keep_file(const char *name)
{
    char path[400];
    struct image *image = &sound[file_count++];
    MW_ASSERT(file_count <= FILES_MAX && strlen(name) < sizeof image->name);
    (void)snprintf(image->name, sizeof image->name, "%s", name);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, image->bytes, FILE_BYTES_MAX);
    MW_ASSERT(got > 0 && got < FILE_BYTES_MAX);
    image->size = (size_t)got;
    (void)close(fd);
    (void)unlink(path);
}

static void make_journal(void)
{
    static struct mw_journal_sys quick;
    quick = mw_journal_sys_real;
    quick.fdatasync = quick.fsync = sync_nothing;
    const struct mw_journal_options options = {
        .segment_bytes = 1500, .reserve_bytes = 4096, .sys = &quick};
    const struct mw_journal_ops *ops = &mw_journal_files;
    struct mw_journal_opened opened;
    void *journal;
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir, sizeof dir, "%s/mw-fuzz-segment-XXXXXX", tmp);
    MW_ASSERT(mkdtemp(dir) != NULL);
    MW_ASSERT(ops->open(dir, &options, &journal, &opened, NULL) == MW_OK);
    for (unsigned i = 0; i < 12; i++) {
        char body[4 * LINE_MAX_BYTES];
        size_t len = 0;
        unsigned count = 1 + i % 3;
        for (unsigned n = 0; n < count; n++) {
            last_seq++;
            (void)snprintf(lines[last_seq], LINE_MAX_BYTES, "{\"seq\":%u,\"text\":\"record %u\"}",
                           (unsigned)last_seq, (unsigned)last_seq * 7);
            len += (size_t)snprintf(body + len, sizeof body - len, "%s\n", lines[last_seq]);
        }
        MW_ASSERT(ops->append(journal, last_seq - count + 1, count, (struct mw_str){body, len},
                              NULL) == MW_OK);
    }
    MW_ASSERT(ops->close(journal, NULL) == MW_OK);
    DIR *folder = opendir(dir);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[400];
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")) ||
            strcmp(entry->d_name, "head") == 0) {
            keep_file(entry->d_name);
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        (void)unlink(path);
    }
    closedir(folder);
    MW_ASSERT(file_count >= 3);
    (void)atexit(remove_folder);
}

static void copy_within(struct image *to, size_t at, const char *bytes, size_t size)
{
    if (to->size + size > FILE_BYTES_MAX)
        return;
    memmove(to->bytes + at + size, to->bytes + at, to->size - at);
    memcpy(to->bytes + at, bytes, size);
    to->size += size;
}

static void change(struct fuzz_bytes *bytes)
{
    static char part[FILE_BYTES_MAX];
    uint32_t what = fuzz_byte(bytes) % 8;
    struct image *image = &changed[fuzz_below(bytes, file_count)];
    struct image *other = &changed[fuzz_below(bytes, file_count)];
    size_t at = fuzz_u32(bytes) % (image->size + 1);
    size_t size = fuzz_u32(bytes) % (image->size - at + 1);
    switch (what) {
    case 0:
        if (at < image->size)
            image->bytes[at] ^= (char)(1u << size % 8);
        break;
    case 1:
        if (at < image->size)
            image->bytes[at] = (char)fuzz_byte(bytes);
        break;
    case 2:
        memset(image->bytes + at, fuzz_byte(bytes), size);
        break;
    case 3: /* a cut out of the middle, or the end */
        memmove(image->bytes + at, image->bytes + at + size, image->size - at - size);
        image->size -= size;
        break;
    case 4: /* said twice, here or elsewhere */
        memcpy(part, image->bytes + at, size);
        copy_within(other, fuzz_u32(bytes) % (other->size + 1), part, size);
        break;
    case 5: /* at the end */
        memcpy(part, image->bytes + at, size);
        copy_within(other, other->size, part, size);
        break;
    case 6:
        image->size = 0;
        break;
    default:
        for (size_t i = 0; i < 8 && bytes->size > 0; i++) {
            char c = (char)fuzz_byte(bytes);
            copy_within(image, at < image->size ? at : image->size, &c, 1);
        }
    }
}

struct seen {
    uint64_t next;
    bool any; /* the records are not ours: only their order is looked at */
};

static enum mw_rc see(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    struct seen *seen = context;
    (void)err;
    MW_ASSERT(seq == seen->next);
    if (!seen->any)
        MW_ASSERT(seq <= last_seq && mw_str_is(line, lines[seq]));
    seen->next++;
    return MW_OK;
}

/* Verify, open read-only, and the reader that needs no lock. */
static void judge(bool ours, bool same, bool with_head)
{
    static const struct mw_journal_options looking = {.read_only = true};
    const struct mw_journal_ops *ops = &mw_journal_files;
    struct mw_journal_report report;
    struct mw_journal_opened opened;
    struct mw_err err = {.rc = MW_OK};
    struct seen whole = {.next = 1, .any = !ours}, beside = whole;
    void *journal = NULL, *reader = NULL;
    uint64_t next = 0;
    memset(&report, 0, sizeof report);
    enum mw_rc verified = mw_journal_verify(dir, NULL, NULL, NULL, &report, &err);
    MW_ASSERT(verified == MW_OK || verified == MW_E_CORRUPT || verified == MW_E_CONFIG);
    enum mw_rc rc = ops->open(dir, &looking, &journal, &opened, &err);
    MW_ASSERT(rc == verified);
    if (rc == MW_OK) {
        MW_ASSERT(ops->read(journal, 1, see, &whole, &err) == MW_OK);
        MW_ASSERT(whole.next == opened.last_seq + 1 && report.last_seq == opened.last_seq);
        MW_ASSERT(ops->close(journal, &err) == MW_OK);
        if (ours && with_head)
            MW_ASSERT(opened.last_seq == last_seq);
        if (same)
            MW_ASSERT(opened.torn_bytes == 0);
    } else {
        MW_ASSERT(!same && err.text[0] != '\0');
    }
    rc = ops->reader_open(dir, NULL, 1, &reader, &err);
    if (rc == MW_OK) {
        rc = ops->reader_read(reader, UINT64_MAX, see, &beside, &next, &err);
        MW_ASSERT(next == beside.next);
        MW_ASSERT(verified != MW_OK || (rc == MW_OK && next == whole.next));
        ops->reader_close(reader);
    } else {
        MW_ASSERT(verified != MW_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool same = true, with_head = true;
    if (file_count == 0)
        make_journal();
    if (size == 0 || size > FILE_BYTES_MAX)
        return 0;
    memcpy(changed, sound, sizeof sound);
    if (data[0] % 2 == 1) {
        for (unsigned f = 0; f < file_count; f++) {
            char path[128];
            (void)snprintf(path, sizeof path, "%s/%s", dir, sound[f].name);
            (void)unlink(path);
        }
        struct image *image = &changed[0];
        (void)snprintf(image->name, sizeof image->name, "00000000000000000001.jsonl");
        image->size = size - 1;
        memcpy(image->bytes, data + 1, size - 1);
        put_file(image);
        judge(false, false, false);
        return 0;
    }
    struct fuzz_bytes bytes = {data + 1, size - 1};
    for (unsigned n = 0; n < 4 && bytes.size > 0; n++)
        change(&bytes);
    for (unsigned f = 0; f < file_count; f++) {
        bool equal = changed[f].size == sound[f].size &&
                     memcmp(changed[f].bytes, sound[f].bytes, sound[f].size) == 0;
        same = same && equal;
        if (strcmp(sound[f].name, "head") == 0)
            with_head = equal;
        put_file(&changed[f]);
    }
    judge(true, same, with_head);
    return 0;
}
