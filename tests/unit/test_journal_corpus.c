/*
 * test_journal_corpus.c - P03 P04: thousands of journals that somebody or something changed (mutants.h), 1,000,000 different ones with MW_NIGHT.
 * Each is refused, or read as an unfinished last frame whose loss could not be known. Whatever the change: the reader beside a writer, the
 * check and the repair give exactly the records before it, none is skipped, no change is read as truth, and the reader in Python agrees.
 *
 * The seed is printed; MW_SEED=N repeats it. A failure prints MW_MUTANT=KIND:N:HEAD, which plays that mutant alone.
 */
#include "../crash/mutants.h"
#include "journal/doctor.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SEEN_BITS 22
#define TIRED 300 /* tries of a kind without a new mutant, after which it is left alone */
#define JOBS_MAX 64
#define FRAME_RECORDS 4 /* the most that a frame of these journals holds */

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {.segment_bytes = 9000, .sys = &rig_quick};
static const struct mw_journal_options looking = {.read_only = true, .sys = &rig_quick};

static char base[64], dir[96], repair_dir[96], samples_dir[96];
static uint64_t seed;

/* ---- folders ---- */

static struct image on_disk[FILES_MAX + 1];
static int on_disk_count = -1; /* not known */
static bool head_on_disk;

static void write_image(const char *folder, const struct image *image)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, image->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0 && pwrite(fd, image->bytes, image->size, 0) == (ssize_t)image->size);
    (void)close(fd);
}

static void write_mutant(const char *folder, bool with_head)
{
    for (int f = 0; f < changed_count; f++)
        write_image(folder, &changed[f]);
    if (with_head)
        write_image(folder, &changed_head);
}

static bool stands_already(const struct image *image)
{
    for (int f = 0; f < on_disk_count; f++)
        if (strcmp(on_disk[f].name, image->name) == 0)
            return on_disk[f].size == image->size &&
                   memcmp(on_disk[f].bytes, image->bytes, image->size) == 0;
    return false;
}

static bool is_wanted(const struct image *image)
{
    for (int f = 0; f < changed_count; f++)
        if (strcmp(changed[f].name, image->name) == 0)
            return true;
    return false;
}

/* Most of a mutant is what the one before it was. */
static void put_mutant(bool with_head)
{
    char path[200];
    if (on_disk_count < 0)
        rig_empty_dir(dir);
    for (int f = 0; f < on_disk_count; f++) {
        (void)snprintf(path, sizeof path, "%s/%.40s", dir, on_disk[f].name);
        if (!is_wanted(&on_disk[f]))
            (void)unlink(path);
    }
    for (int f = 0; f < changed_count; f++)
        if (on_disk_count < 0 || !stands_already(&changed[f]))
            write_image(dir, &changed[f]);
    (void)snprintf(path, sizeof path, "%s/head", dir);
    if (with_head)
        write_image(dir, &changed_head);
    else if (head_on_disk)
        (void)unlink(path);
    head_on_disk = with_head;
    on_disk_count = changed_count;
    for (int f = 0; f < changed_count; f++)
        copy_image(&on_disk[f], &changed[f]);
}

static int make_journal_of(struct journal_image *journal, int lives)
{
    struct mw_err err;
    void *self;
    struct mw_journal_opened opened;
    rig_empty_dir(dir);
    for (int i = 0; i < lives; i++) { /* each has an epoch of its own */
        assert_int_equal(ops->open(dir, &quick, &self, &opened, &err), MW_OK);
        for (int n = 0; n < 22 && i + 1 == lives; n++) {
            journal->last_count = 1 + (uint64_t)n % FRAME_RECORDS;
            assert_int_equal(
                rig_append(self, ops->last_seq(self) + 1, (uint32_t)journal->last_count, &err),
                MW_OK);
        }
        journal->last_seq = ops->last_seq(self);
        assert_int_equal(ops->close(self, &err), MW_OK);
    }
    load_journal(dir, journal);
    return journal->file_count;
}

static int make_journals(void **state)
{
    (void)state;
    const char *given = getenv("MW_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : 4711;
    print_message("seed %lu\n", (unsigned long)seed);
    rig_new_dir(base);
    rig_reset(seed);
    (void)snprintf(dir, sizeof dir, "%s/mutant", base);
    (void)snprintf(repair_dir, sizeof repair_dir, "%s/repair", base);
    (void)snprintf(samples_dir, sizeof samples_dir, "%s/samples", base);
    assert_int_equal(mkdir(dir, 0700) | mkdir(repair_dir, 0700) | mkdir(samples_dir, 0700), 0);
    assert_true(make_journal_of(&foreign, 3) >= 3);
    assert_true(make_journal_of(&sound, 1) >= 3);
    return 0;
}

static int done(void **state)
{
    (void)state;
    struct mw_err err;
    return mw_remove_tree(AT_FDCWD, base, &err) == MW_OK ? 0 : -1;
}

/* ---- judging one ---- */

struct tally {
    long refused[CHANGES];
    long torn[CHANGES];
    long shorter[CHANGES]; /* cut at a border, without a head to tell */
    long same[CHANGES];
    long repaired, samples;
};

/* The mutant at hand. */
static struct {
    enum change kind;
    long number;
    bool with_head;
    uint64_t prefix;
    struct tally *tally;
    int worker;
} mutant;

/* A worker is a process: what it says is its last word. */
static void blame(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void blame(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s, %s a head: ", change_names[mutant.kind],
            mutant.with_head ? "with" : "without");
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n    again: MW_SEED=%lu MW_MUTANT=%d:%ld:%d\n", (unsigned long)seed,
            (int)mutant.kind, mutant.number, mutant.with_head);
    _exit(1);
}

/* A whole frame, forged with a sum that fits, is given away by what follows it: the next frame, or the head. */
static bool may_be_longer(uint64_t last_seq)
{
    bool forged = mutant.kind == FORGE_FRAME || mutant.kind == TWO_CHANGES;
    return forged && last_seq > mutant.prefix && last_seq <= mutant.prefix + FRAME_RECORDS;
}

static void judge_reading(const struct mw_journal_report *report)
{
    struct mw_err err = {0};
    struct rig_read read = {.next = 1};
    void *reader;
    uint64_t next = 0;
    enum mw_rc rc = ops->reader_open(dir, &looking, 1, &reader, &err);
    if (rc == MW_OK) {
        rc = ops->reader_read(reader, UINT64_MAX, rig_check_line, &read, &next, &err);
        ops->reader_close(reader);
    }
    if (rc != MW_OK && rc != MW_E_CORRUPT && rc != MW_E_CONFIG)
        blame("the reader says %s: %s", mw_rc_name(rc), err.text);
    if (may_be_longer(report->last_seq))
        return;
    if (read.wrong)
        blame("a record was read that nobody wrote");
    /* More are right as well when whole frames were moved to where they still fit. */
    if (read.next - 1 < mutant.prefix)
        blame("the reader gives %lu records of the %lu before the damage",
              (unsigned long)(read.next - 1), (unsigned long)mutant.prefix);
    if (report->last_seq != read.next - 1)
        blame("the check says that %lu records are good, and the reader gives %lu",
              (unsigned long)report->last_seq, (unsigned long)(read.next - 1));
}

static void judge_opened(const struct mw_journal_opened *opened)
{
    struct tally *tally = mutant.tally;
    const enum change kind = mutant.kind;
    if (mutant.with_head && kind != CHANGE_HEAD && opened->last_seq < sound.last_seq)
        blame("P04: acknowledged records are missing and nobody noticed");
    if (touches_one_place[kind] && opened->last_seq + sound.last_count < sound.last_seq)
        blame("an earlier frame was cut off as if it were the last: %lu of %lu",
              (unsigned long)opened->last_seq, (unsigned long)sound.last_seq);
    if (opened->torn_bytes > 0)
        tally->torn[kind]++;
    else if (opened->last_seq < sound.last_seq)
        tally->shorter[kind]++;
    else if (is_sound())
        tally->same[kind]++;
    else if (may_be_longer(opened->last_seq) && opened->last_seq == sound.last_seq &&
             !mutant.with_head)
        tally->shorter[kind]++;
    else
        blame("not noticed");
    if (opened->torn_bytes == 0 && opened->last_seq < sound.last_seq && !may_shorten[kind])
        blame("the journal is shorter without a word");
}

static uint64_t folder_digest(const char *path)
{
    DIR *list = opendir(path);
    const struct dirent *entry;
    uint64_t sum = 0;
    MW_ASSERT(list != NULL);
    while ((entry = readdir(list)) != NULL) {
        static char bytes[IMAGE_BYTES_MAX];
        int fd = openat(dirfd(list), entry->d_name, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd >= 0 && entry->d_name[0] != '.' ? pread(fd, bytes, sizeof bytes, 0) : 0;
        if (fd >= 0)
            (void)close(fd);
        if (strcmp(entry->d_name, "lock") != 0)
            sum += mw_crc32c(mw_crc32c(0, mw_str_of(entry->d_name)),
                             (struct mw_str){bytes, got > 0 ? (size_t)got : 0});
    }
    (void)closedir(list);
    return sum;
}

/* What repair would do it does not do; what it does keeps every record before the damage, and the next start is content. */
static void judge_repair(enum mw_rc found, uint64_t good)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    rig_empty_dir(repair_dir);
    write_mutant(repair_dir, mutant.with_head);
    uint64_t before = folder_digest(repair_dir);
    enum mw_rc rc = mw_journal_repair(repair_dir, &quick, true, NULL, NULL, &err);
    if (rc == MW_E_CONFIG && found == MW_E_CONFIG)
        return; /* a newer format is for a newer program */
    if (rc != MW_OK || folder_digest(repair_dir) != before)
        blame("a repair that only says what it would do: %s %s", mw_rc_name(rc), err.text);
    rc = mw_journal_repair(repair_dir, &quick, false, NULL, NULL, &err);
    if (rc == MW_OK)
        rc = ops->open(repair_dir, &quick, &journal, &opened, &err);
    if (rc != MW_OK)
        blame("after a repair: %s", err.text);
    if (opened.last_seq != good)
        blame("a repair keeps %lu records of %lu", (unsigned long)opened.last_seq,
              (unsigned long)good);
    struct rig_read read = {.next = 1};
    rc = ops->read(journal, 1, rig_check_line, &read, &err);
    if (rc != MW_OK || (read.wrong && !may_be_longer(opened.last_seq)))
        blame("after a repair the records are not the old ones");
    if (ops->close(journal, &err) != MW_OK)
        blame("after a repair: %s", err.text);
    mutant.tally->repaired++;
}

/* For the reader in Python: the mutant, and what was found. */
static void keep_sample(enum mw_rc rc, uint64_t last_seq)
{
    char folder[160], path[200], text[64];
    (void)snprintf(folder, sizeof folder, "%s/%d-%ld-%d-%d", samples_dir, (int)mutant.kind,
                   mutant.number, mutant.with_head, mutant.worker);
    MW_ASSERT(mkdir(folder, 0700) == 0);
    write_mutant(folder, mutant.with_head);
    (void)snprintf(path, sizeof path, "%s/expected", folder);
    int code = rc == MW_OK ? 0 : mw_rc_exit_code(rc);
    int length = snprintf(text, sizeof text, "%d %lu\n", code, (unsigned long)last_seq);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MW_ASSERT(fd >= 0 && write(fd, text, (size_t)length) == length);
    (void)close(fd);
    mutant.tally->samples++;
}

static void judge(bool repair, bool sample)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    struct mw_journal_report report = {0};
    void *journal;
    mutant.prefix = sound_prefix();
    put_mutant(mutant.with_head);
    enum mw_rc rc = ops->open(dir, &looking, &journal, &opened, &err);
    if (rc == MW_OK && ops->close(journal, &err) != MW_OK)
        blame("closing: %s", err.text);
    bool head_only = mutant.kind == FOREIGN_HEAD;
    if (rc != MW_OK && ((is_sound() && !head_only) || (rc != MW_E_CORRUPT && rc != MW_E_CONFIG)))
        blame("%s: %s", mw_rc_name(rc), err.text);
    enum mw_rc verified = mw_journal_verify(dir, &looking, NULL, NULL, &report, &err);
    /* Only the newest segment is looked at for a newer format before everything else. */
    if (verified != rc && !(rc == MW_E_CONFIG && verified == MW_E_CORRUPT))
        blame("a start says %s and a check %s", mw_rc_name(rc), mw_rc_name(verified));
    if (verified != MW_E_CONFIG) /* of a newer format nothing is said */
        judge_reading(&report);
    if (rc == MW_OK)
        judge_opened(&opened);
    else
        mutant.tally->refused[mutant.kind]++;
    if (repair && !head_only)
        judge_repair(rc, report.last_seq);
    if (sample && verified == rc)
        keep_sample(rc, rc == MW_E_CONFIG ? 0 : report.last_seq);
}

/* ---- many ---- */

static uint64_t mutant_hash(void)
{
    uint64_t hash = mutant.with_head;
    for (int f = 0; f < changed_count + mutant.with_head; f++) {
        const struct image *image = f < changed_count ? &changed[f] : &changed_head;
        uint64_t word = strtoull(image->name, NULL, 10) + image->size;
        for (size_t at = 0; at + sizeof word <= image->size; at += sizeof word) {
            hash = (hash ^ word) * 0x9fb21c651e98df25u;
            hash ^= hash >> 32;
            memcpy(&word, image->bytes + at, sizeof word);
        }
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        uint64_t rest = 0;
        memcpy(&rest, image->bytes + (image->size & ~(size_t)7), image->size & 7);
        hash = (hash ^ rest) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 29;
    }
    return hash | 1;
}

static bool seen_before(uint64_t *slots, uint64_t hash)
{
    const size_t mask = ((size_t)1 << SEEN_BITS) - 1;
    size_t at = (size_t)(hash >> 7) & mask;
    while (slots[at] != 0 && slots[at] != hash)
        at = (at + 1) & mask;
    bool seen = slots[at] == hash;
    slots[at] = hash;
    return seen;
}

static void make_mutant(enum change kind, long number, bool with_head)
{
    mutant.kind = kind;
    mutant.number = number;
    mutant.with_head = with_head;
    rig.random = (seed + 1) * 0x9e3779b97f4a7c15u + (uint64_t)number * 0xd1342543de82ef95u +
                 (uint64_t)kind * 64 + with_head;
    for (int i = 0; i < 4; i++)
        (void)rig_random();
    change_journal(kind);
}

struct load {
    long wanted; /* different mutants */
    int jobs;
    long repair_each, sample_each;
};

/* Every worker walks the same way and judges its share. Returns how many different mutants there were. */
static long walk(const struct load *load, int worker)
{
    static int tired[2][CHANGES];
    long distinct = 0;
    uint64_t *slots = calloc((size_t)1 << SEEN_BITS, sizeof *slots);
    MW_ASSERT(slots != NULL);
    for (long number = 0, fresh = 1; distinct < load->wanted && fresh > 0; number++) {
        fresh = 0;
        for (int which = 0; which < 2 * CHANGES; which++) {
            enum change kind = (enum change)(which / 2);
            bool with_head = which % 2 == 0;
            if ((!with_head && (kind == FOREIGN_HEAD || kind == CHANGE_HEAD)) ||
                tired[with_head][kind] >= TIRED)
                continue;
            fresh++;
            make_mutant(kind, number, with_head);
            uint64_t hash = mutant_hash();
            if (seen_before(slots, hash)) {
                tired[with_head][kind]++;
                continue;
            }
            tired[with_head][kind] = 0;
            distinct++;
            if ((int)(hash >> 40) % load->jobs == worker)
                judge(distinct % load->repair_each == 0, distinct % load->sample_each == 0);
        }
    }
    free(slots);
    return distinct;
}

static void work(const struct load *load, int worker, struct tally *tally, long *ret_distinct)
{
    size_t length = strlen(dir);
    (void)snprintf(dir + length, sizeof dir - length, "%d", worker);
    length = strlen(repair_dir);
    (void)snprintf(repair_dir + length, sizeof repair_dir - length, "%d", worker);
    MW_ASSERT(mkdir(dir, 0700) == 0 && mkdir(repair_dir, 0700) == 0);
    mutant.tally = tally;
    mutant.worker = worker;
    const char *one = getenv("MW_MUTANT");
    int kind, with_head;
    long number;
    if (one != NULL && sscanf(one, "%d:%ld:%d", &kind, &number, &with_head) == 3) {
        make_mutant((enum change)kind, number, with_head != 0);
        judge(true, false);
        *ret_distinct = 1;
        return;
    }
    *ret_distinct = walk(load, worker);
}

static void print_tally(const struct tally *sum)
{
    for (int kind = 0; kind < CHANGES; kind++)
        print_message("%-24s refused %6ld  torn tail %5ld  shorter %6ld  unchanged %4ld\n",
                      change_names[kind], sum->refused[kind], sum->torn[kind], sum->shorter[kind],
                      sum->same[kind]);
}

static void add_up(struct tally *sum, const struct tally *tally)
{
    for (int kind = 0; kind < CHANGES; kind++) {
        sum->refused[kind] += tally->refused[kind];
        sum->torn[kind] += tally->torn[kind];
        sum->shorter[kind] += tally->shorter[kind];
        sum->same[kind] += tally->same[kind];
    }
    sum->repaired += tally->repaired;
    sum->samples += tally->samples;
}

static void write_summary(long distinct, bool ok)
{
    const char *path = getenv("MW_SUMMARY");
    FILE *file = path != NULL ? fopen(path, "a") : NULL;
    if (file == NULL)
        return;
    (void)fprintf(file, "mutated journals|%ld|%d|%d kinds of change|%s\n", distinct, ok ? 0 : 1,
                  (int)CHANGES, ok ? "ok" : "FAILED");
    (void)fclose(file);
}

static void p03_p04_every_change_is_noticed_with_the_head_file(void **state)
{
    (void)state;
    struct load load = {.wanted = 12000, .jobs = 1, .repair_each = 37, .sample_each = 300};
    if (rig_night()) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        load = (struct load){.wanted = 1000000,
                             .jobs = (int)(cores < 1          ? 1
                                           : cores > JOBS_MAX ? JOBS_MAX
                                                              : cores),
                             .repair_each = 97,
                             .sample_each = 500};
    }
    struct shared {
        struct tally tally;
        long distinct;
    } *shared = mmap(NULL, sizeof *shared * JOBS_MAX, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    pid_t workers[JOBS_MAX];
    for (int i = 0; i < load.jobs; i++) {
        workers[i] = fork();
        if (workers[i] == 0) {
            work(&load, i, &shared[i].tally, &shared[i].distinct);
            _exit(0);
        }
        assert_true(workers[i] > 0);
    }
    struct tally sum = {0};
    bool ok = true;
    for (int i = 0; i < load.jobs; i++) {
        int status;
        assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
        ok = ok && status == 0;
        add_up(&sum, &shared[i].tally);
    }
    long distinct = shared[0].distinct;
    (void)munmap(shared, sizeof *shared * JOBS_MAX);
    write_summary(distinct, ok);
    assert_true(ok);
    if (getenv("MW_MUTANT") != NULL)
        return;
    print_tally(&sum);
    print_message("%ld different mutants, %ld repaired, %ld for the other reader\n", distinct,
                  sum.repaired, sum.samples);
    assert_true(distinct >= load.wanted && sum.repaired > 100 && sum.samples > 10);
    for (int kind = 0; kind < CHANGES; kind++)
        assert_true(sum.refused[kind] > 0 || kind == GARBAGE_AT_END || kind == CHANGE_HEAD);
}

/* After the test above, which keeps the samples. */
static void p03_the_independent_reader_agrees_on_changed_journals(void **state)
{
    (void)state;
    char command[512];
    if (getenv("MW_MUTANT") != NULL)
        skip();
    (void)snprintf(command, sizeof command, "python3 '%s/tests/crash/read_mutants.py' '%s'",
                   MW_SOURCE_DIR, samples_dir);
    assert_int_equal(system(command), 0);
}

/* Every length that the last file and the one before it can have. */
static void p03_cut_at_every_byte_nothing_before_the_cut_is_lost(void **state)
{
    (void)state;
    const size_t step = rig_night() ? 1 : 7;
    for (int files = sound.file_count - 1; files <= sound.file_count; files++) {
        const struct image *last = &sound.files[files - 1];
        for (size_t size = 0; size < last->size; size += step) {
            struct mw_err err = {0};
            struct mw_journal_opened opened;
            void *journal;
            make_mutant(FLIP_ONE_BIT, 0, false);
            for (int f = 0; f < files; f++)
                copy_image(&changed[f], &sound.files[f]);
            changed_count = files;
            changed[files - 1].size = size;
            uint64_t prefix = sound_prefix();
            put_mutant(false);
            if (ops->open(dir, &looking, &journal, &opened, &err) != MW_OK)
                fail_msg("cut at byte %zu of %s: %s", size, last->name, err.text);
            assert_int_equal(opened.last_seq, prefix);
            struct rig_read read = {.next = 1};
            assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
            assert_int_equal(read.next - 1, prefix);
            assert_false(read.wrong);
            assert_int_equal(ops->close(journal, &err), MW_OK);
            put_mutant(true); /* the head knows what was committed */
            assert_int_equal(ops->open(dir, &looking, &journal, &opened, &err), MW_E_CORRUPT);
        }
    }
}

/* The head is a witness, not the truth: damaged, it is reported and the records are all there. */
static void p04_a_damaged_head_never_hides_a_record(void **state)
{
    (void)state;
    long damaged = 0;
    for (int i = 0; i < 2000; i++) {
        struct mw_err err = {0};
        struct mw_journal_opened opened;
        void *journal;
        make_mutant(CHANGE_HEAD, i, true);
        put_mutant(true);
        if (ops->open(dir, &looking, &journal, &opened, &err) != MW_OK)
            fail_msg("%s", err.text);
        assert_int_equal(opened.last_seq, sound.last_seq);
        damaged += opened.head == MW_JOURNAL_HEAD_DAMAGED;
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
    assert_true(damaged > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p03_p04_every_change_is_noticed_with_the_head_file),
        cmocka_unit_test(p03_the_independent_reader_agrees_on_changed_journals),
        cmocka_unit_test(p03_cut_at_every_byte_nothing_before_the_cut_is_lost),
        cmocka_unit_test(p04_a_damaged_head_never_hides_a_record),
    };
    return cmocka_run_group_tests_name("journal corpus", tests, make_journals, done);
}
