/*
 * bench_start.c - what a start costs: a large journal out of real work, written through the real journal, then opened, checked and replayed.
 *
 *   bench_start [--keep] FOLDER [RECORDS]     default 1,000,000; a journal that is there already is measured as it is, and stays
 *
 * The work is whole lives of an app with stub answers (tests/sim/rig.h): every record is one that the core decided. A frame holds 16 steps,
 * as it does when 16 callers wait for one sync. --keep leaves the folder, which a host can then be started in.
 */
#include "life.h"

#include "journal/files.h"

#include <sys/resource.h>

#define STEPS_A_FRAME 16u

static double cpu_now(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

struct writer {
    void *journal;
    size_t line, at; /* the first that is not written yet */
};

static void check(enum mw_rc rc, const struct mw_err *err)
{
    if (rc == MW_OK)
        return;
    fprintf(stderr, "bench_start: %s\n", err->text);
    exit(1);
}

static void write_frame(struct writer *writer, const struct rig *rig)
{
    struct mw_err err = {0};
    if (rig->line_count == writer->line)
        return;
    struct mw_str lines = {rig->journal.ptr + writer->at, rig->journal.len - writer->at};
    check(mw_journal_files.append(writer->journal, writer->line + 1,
                                  (uint32_t)(rig->line_count - writer->line), lines, &err),
          &err);
    writer->line = rig->line_count;
    writer->at = rig->journal.len;
}

static void write_work(const char *folder, const struct mw_journal_options *options, size_t records)
{
    struct life life = {.rig = rig_new(),
                        .shape = {.auth = true, .services = 1, .use_cases = 4, .ports = 1}};
    struct rig *rig = life.rig;
    struct writer writer = {0};
    struct mw_err err = {0};
    check(mw_journal_files.open(folder, options, &writer.journal, NULL, &err), &err);
    rig->quiet_dump = true;
    rig_begin(rig, "factory");
    rig_register_all(rig);
    rig->run_count = 0; /* what the preparation asked has nothing to do with a build */
    while (rig->line_count < records) {
        size_t steps = life.steps.count;
        life_build(&life, "{\"prompt\":\"a notification service\",\"source\":\"bench\"}");
        if (life.steps.count - steps >= STEPS_A_FRAME)
            write_frame(&writer, rig);
    }
    write_frame(&writer, rig);
    check(mw_journal_files.close(writer.journal, &err), &err);
    free(life.steps.items);
    free(life.parses.items);
    rig_free(rig);
}

static enum mw_rc on_record(void *context, uint64_t seq, struct mw_str line, struct mw_err *err)
{
    (void)seq;
    return mw_core_replay(context, line, err);
}

struct span {
    int64_t wall_ns;
    double cpu;
};

static struct span span_now(void)
{
    return (struct span){bench_now_ns(), cpu_now()};
}

static void tell_span(const char *what, struct span from, double records)
{
    struct span to = span_now();
    double seconds = (double)(to.wall_ns - from.wall_ns) / 1e9;
    char note[64];
    (void)snprintf(note, sizeof note, "%.2f million records/s", records / seconds / 1e6);
    bench_tell("start", what, seconds * 1e3, "ms", note);
    (void)snprintf(note, sizeof note, "%s, CPU", what);
    bench_tell("start", note, (to.cpu - from.cpu) * 1e3, "ms", "");
}

static void measure(const char *folder, const struct mw_journal_options *options)
{
    struct rig *rig = rig_new();
    struct mw_journal_opened opened;
    struct mw_err err = {0};
    void *journal = NULL;
    rig_init_core(rig, &rig->shadow, 2);
    struct span from = span_now();
    check(mw_journal_files.open(folder, options, &journal, &opened, &err), &err);
    double records = (double)opened.last_seq;
    bench_tell("start", "records", records, "", "");
    bench_tell("start", "journal", (double)opened.bytes / 1048576.0, "MiB", "");
    tell_span("every frame checked", from, records);
    from = span_now();
    check(mw_journal_files.read(journal, 1, on_record, &rig->shadow, &err), &err);
    tell_span("replayed, on one thread", from, records);
    bench_tell("start", "state", (double)rig->shadow.world.mem.used_bytes / 1048576.0, "MiB", "");
    check(mw_journal_files.close(journal, &err), &err);
    rig_free(rig);
}

int main(int argc, char **argv)
{
    bool keep = argc > 1 && strcmp(argv[1], "--keep") == 0;
    int at = keep ? 2 : 1;
    if (argc <= at) {
        fprintf(stderr, "usage: bench_start [--keep] FOLDER [RECORDS]\n");
        return 2;
    }
    size_t records = argc > at + 1 ? (size_t)atoll(argv[at + 1]) : 1000000;
    mw_autofree char *side = mw_heap_format("%s/.millwright", argv[at]);
    mw_autofree char *folder = mw_heap_format("%s/journal", side);
    struct mw_journal_options options = {.side_dir = side};
    struct mw_err err = {0};
    keep = keep || mw_exists(AT_FDCWD, folder);
    if (!mw_exists(AT_FDCWD, folder)) {
        check(mw_mkdirs(AT_FDCWD, folder, 0700, &err), &err);
        write_work(folder, &options, records);
    }
    measure(folder, &options);
    if (!keep)
        check(mw_remove_tree(AT_FDCWD, side, &err), &err);
    return 0;
}
