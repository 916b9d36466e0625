/*
 * bench_journal.c - durable records a second by the journal on files, beside what the same disk does in the same run with nothing in between.
 *
 *   bench_journal [FOLDER] [SECONDS]     a folder on the disk in question, default the current one; seconds for each number, default 2
 */
#include "bench.h"

#include "journal/files.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define RECORD_BYTES 700 /* about what a record of a build has */

static void give_up(const char *what, const struct mw_err *err)
{
    fprintf(stderr, "bench_journal: %s: %s\n", what, err->text);
    exit(1);
}

/* The disk alone: append, fdatasync, again. Writes of size_bytes a second. */
static double disk_syncs(const char *folder, size_t size_bytes, double seconds)
{
    struct mw_err err = {0};
    mw_autofree char *path = mw_heap_format("%s/disk-alone", folder);
    mw_autofree char *block = mw_heap_alloc(size_bytes);
    memset(block, 'x', size_bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        exit(1);
    int64_t from_ns = bench_now_ns(), until_ns = from_ns + (int64_t)(seconds * 1e9), now_ns;
    unsigned long count = 0;
    do {
        if (mw_write_all(fd, (struct mw_str){block, size_bytes}, &err) != MW_OK)
            give_up("the disk alone", &err);
        if (fdatasync(fd) != 0)
            exit(1);
        count++;
        now_ns = bench_now_ns();
    } while (now_ns < until_ns);
    (void)close(fd);
    (void)unlink(path);
    return (double)count * 1e9 / (double)(now_ns - from_ns);
}

static void fill_record(struct mw_buf *lines, uint64_t seq)
{
    size_t from = lines->len;
    mw_buf_printf(lines,
                  "{\"seq\":%lu,\"kind\":\"task.result\",\"type\":\"HandlerReady\",\"filler\":\"",
                  (unsigned long)seq);
    while (lines->len - from < RECORD_BYTES - 3)
        mw_buf_put_c(lines, 'x');
    mw_buf_put(lines, MW_STR("\"}\n"));
}

/* Frames a second of `records` each. */
static double frames(const struct mw_journal_ops *ops, void *journal, uint32_t records,
                     double seconds)
{
    struct mw_err err = {0};
    struct mw_buf lines = mw_heap_buf();
    int64_t from_ns = bench_now_ns(), until_ns = from_ns + (int64_t)(seconds * 1e9), now_ns;
    unsigned long count = 0;
    do {
        uint64_t first = ops->last_seq(journal) + 1;
        mw_buf_reset(&lines);
        for (uint32_t i = 0; i < records; i++)
            fill_record(&lines, first + i);
        if (ops->append(journal, first, records, mw_buf_str(&lines), &err) != MW_OK)
            give_up("append", &err);
        count++;
        now_ns = bench_now_ns();
    } while (now_ns < until_ns);
    mw_heap_buf_free(&lines);
    return (double)count * 1e9 / (double)(now_ns - from_ns);
}

static enum mw_rc count_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    uint64_t *bytes = context;
    (void)seq;
    (void)err;
    *bytes += line.len + 1;
    return MW_OK;
}

static void tell_read(const struct mw_journal_ops *ops, void *journal)
{
    struct mw_err err = {0};
    uint64_t bytes = 0;
    int64_t from_ns = bench_now_ns();
    if (ops->read(journal, 1, count_record, &bytes, &err) != MW_OK)
        give_up("read", &err);
    double seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    bench_tell("journal", "reading back", (double)ops->last_seq(journal) / seconds, "records/s",
               "");
    bench_tell("journal", "reading back", (double)bytes / seconds / 1048576.0, "MiB/s", "");
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1, 16, 256};
    const char *where = argc > 1 ? argv[1] : ".";
    double seconds = argc > 2 ? atof(argv[2]) : 2.0;
    const struct mw_journal_ops *ops = &mw_journal_files;
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal = NULL;
    mw_autofree char *folder = mw_heap_format("%s/bench-journal-%d", where, (int)getpid());
    mw_autofree char *dir = mw_heap_format("%s/journal", folder);
    if (mw_mkdirs(AT_FDCWD, dir, 0700, &err) != MW_OK)
        give_up("folder", &err);
    if (ops->open(dir, NULL, &journal, &opened, &err) != MW_OK)
        give_up("open", &err);
    for (size_t i = 0; i < MW_COUNT(sizes); i++) {
        char name[64], note[128];
        /* The limit before and after: the disk may share its time with others. */
        double before = disk_syncs(folder, (size_t)sizes[i] * RECORD_BYTES, seconds / 2);
        double ours = frames(ops, journal, sizes[i], seconds);
        double after = disk_syncs(folder, (size_t)sizes[i] * RECORD_BYTES, seconds / 2);
        double limit = (before + after) / 2;
        (void)snprintf(name, sizeof name, "durable records, %u a frame", sizes[i]);
        (void)snprintf(note, sizeof note, "%.0f frames/s; the disk alone syncs %.0f/s: %.0f %%",
                       ours, limit, 100 * ours / limit);
        bench_tell("journal", name, ours * sizes[i], "records/s", note);
    }
    tell_read(ops, journal);
    if (ops->close(journal, &err) != MW_OK)
        give_up("close", &err);
    /* As a host does at its start: the whole chain of hashes and checksums. */
    int64_t from_ns = bench_now_ns();
    if (ops->open(dir, NULL, &journal, &opened, &err) != MW_OK)
        give_up("open again", &err);
    double checking = (double)(bench_now_ns() - from_ns) / 1e9;
    bench_tell("journal", "opening, every frame checked",
               (double)opened.bytes / checking / 1048576.0, "MiB/s", "");
    if (ops->close(journal, &err) != MW_OK)
        give_up("close", &err);
    if (mw_remove_tree(AT_FDCWD, folder, &err) != MW_OK)
        give_up("remove", &err);
    return 0;
}
