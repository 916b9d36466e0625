/*
 * test_journal_corpus.c - P03 P04 P14: thousands of journals that somebody or something changed. Each is refused, or read as an unfinished
 * last frame whose loss could not be known; no change is ever read as truth. The seed is printed; MW_SEED=N repeats it.
 */
#include "../crash/journal_rig.h"
#include "journal/frame.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FILES_MAX 16
#define FRAMES_MAX 64

static const struct mw_journal_ops *const ops = &mw_journal_files;
static const struct mw_journal_options quick = {.segment_bytes = 9000, .sys = &rig_quick};
static const struct mw_journal_options looking = {.read_only = true, .sys = &rig_quick};

struct image {
    char name[40];
    char bytes[1u << 16];
    size_t size;
};

static struct image sound[FILES_MAX], changed[FILES_MAX];
static int file_count;
static size_t borders[FILES_MAX][FRAMES_MAX]; /* offsets at which frames begin, and the end */
static int border_count[FILES_MAX];
static uint64_t last_seq, last_count;
static char dir[64];
static struct image head;

static size_t below(size_t limit)
{
    return limit == 0 ? 0 : (size_t)(rig_random() >> 11) % limit;
}

static void read_image(int dir_fd, const char *name, struct image *ret_image)
{
    (void)snprintf(ret_image->name, sizeof ret_image->name, "%s", name);
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, ret_image->bytes, sizeof ret_image->bytes, 0) : -1;
    assert_true(got >= 0 && (size_t)got < sizeof ret_image->bytes / 2);
    ret_image->size = (size_t)got;
    (void)close(fd);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct image *)a)->name, ((const struct image *)b)->name);
}

static int make_journal(void **state)
{
    (void)state;
    struct mw_err err;
    void *journal;
    struct mw_journal_opened opened;
    const char *seed = getenv("MW_SEED");
    rig_new_dir(dir);
    rig_reset(seed != NULL ? strtoull(seed, NULL, 10) : 4711);
    print_message("seed %s\n", seed != NULL ? seed : "4711");
    assert_int_equal(ops->open(dir, &quick, &journal, &opened, &err), MW_OK);
    for (int i = 0; i < 22; i++) {
        last_count = 1 + (uint64_t)i % 4;
        assert_int_equal(
            rig_append(journal, ops->last_seq(journal) + 1, (uint32_t)last_count, &err), MW_OK);
    }
    last_seq = ops->last_seq(journal);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    DIR *folder = opendir(dir);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")))
            read_image(dirfd(folder), entry->d_name, &sound[file_count++]);
    read_image(dirfd(folder), "head", &head);
    (void)closedir(folder);
    qsort(sound, (size_t)file_count, sizeof sound[0], by_name);
    assert_true(file_count >= 3);
    for (int f = 0; f < file_count; f++) {
        const char *at = sound[f].bytes, *end = at + sound[f].size;
        while (at < end) {
            if (strncmp(at, "{\"frame\":", 9) == 0)
                borders[f][border_count[f]++] = (size_t)(at - sound[f].bytes);
            at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        }
        borders[f][border_count[f]] = sound[f].size;
    }
    return 0;
}

static int done(void **state)
{
    (void)state;
    rig_remove_dir(dir);
    return 0;
}

static void cut_out(struct image *image, size_t from, size_t to)
{
    memmove(image->bytes + from, image->bytes + to, image->size - to);
    image->size -= to - from;
}

static void put_in(struct image *image, size_t at, const char *bytes, size_t size)
{
    MW_ASSERT(image->size + size <= sizeof image->bytes);
    memmove(image->bytes + at + size, image->bytes + at, image->size - at);
    memcpy(image->bytes + at, bytes, size);
    image->size += size;
}

enum change {
    FLIP_ONE_BIT,
    FLIP_BITS,
    NUL_RUN,
    GLUE_LINES,
    SPLIT_LINE,
    SPLICE,
    CUT_ANYWHERE,
    CUT_FRAME,
    DUPLICATE_FRAME,
    SWAP_FRAMES,
    MOVE_FRAME,
    GARBAGE_AT_END,
    DROP_FILE,
    SWAP_FILES,
    CUT_MIDDLE,
    CHANGE_DIGIT,
    FORGE_FRAME,
    CHANGES
};
static const char *const change_names[CHANGES] = {
    [FLIP_ONE_BIT] = "a flipped bit",
    [FLIP_BITS] = "flipped bits",
    [NUL_RUN] = "a run of NUL",
    [GLUE_LINES] = "glued lines",
    [SPLIT_LINE] = "a split line",
    [SPLICE] = "a splice",
    [CUT_ANYWHERE] = "a cut tail",
    [CUT_FRAME] = "a cut frame",
    [DUPLICATE_FRAME] = "a double frame",
    [SWAP_FRAMES] = "two frames swapped",
    [MOVE_FRAME] = "a moved frame",
    [GARBAGE_AT_END] = "garbage at the end",
    [DROP_FILE] = "a missing file",
    [SWAP_FILES] = "two files swapped",
    [CUT_MIDDLE] = "a hole",
    [CHANGE_DIGIT] = "a changed digit",
    [FORGE_FRAME] = "a forged frame",
};

/* One place is touched, so all but the last frame must come out of it or the journal be refused. */
static const bool touches_one_place[CHANGES] = {
    [FLIP_ONE_BIT] = true, [GLUE_LINES] = true,     [SPLIT_LINE] = true,
    [CHANGE_DIGIT] = true, [GARBAGE_AT_END] = true,
};

static size_t frame_size(int f, int i)
{
    return borders[f][i + 1] - borders[f][i];
}

static void change_frames(enum change kind, int f)
{
    struct image *image = &changed[f];
    int i = (int)below((size_t)border_count[f]);
    size_t at = borders[f][i], size = frame_size(f, i);
    const char *frame = sound[f].bytes + at;
    if (kind == CUT_FRAME) {
        cut_out(image, at, at + size);
    } else if (kind == DUPLICATE_FRAME) {
        put_in(image, at, frame, size);
    } else if (kind == SWAP_FRAMES && i + 1 < border_count[f]) {
        size_t next = frame_size(f, i + 1);
        cut_out(image, at, at + size);
        put_in(image, at + next, frame, size);
    } else if (kind == MOVE_FRAME) {
        int to = (int)below((size_t)file_count);
        cut_out(image, at, at + size);
        size_t place = borders[to][below((size_t)border_count[to] + 1)];
        put_in(&changed[to], to == f && place > at ? place - size : place, frame, size);
    }
}

/* Another body with a header that fits it in all but the next frame's `prev` (of the last frame: the head's hash). */
static void forge_frame(int f)
{
    struct image *image = &changed[f];
    size_t at = borders[f][below((size_t)border_count[f])], header_bytes;
    struct mw_frame header;
    assert_int_equal(
        mw_frame_read((struct mw_str){image->bytes + at, image->size - at}, &header, &header_bytes),
        MW_FRAME_OK);
    char *body = image->bytes + at + header_bytes;
    memcpy(body + 2, "SEQ", 3);
    char text[MW_FRAME_HEADER_MAX];
    assert_int_equal(mw_frame_write(&header, (struct mw_str){body, header.bytes}, text),
                     header_bytes);
    memcpy(image->bytes + at, text, header_bytes);
}

static void change_bytes(enum change kind, int f)
{
    struct image *image = &changed[f];
    size_t at = below(image->size);
    char *newline;
    switch (kind) {
    case FLIP_ONE_BIT:
        image->bytes[at] ^= (char)(1 << below(8));
        break;
    case FORGE_FRAME:
        forge_frame(f);
        break;
    case FLIP_BITS:
        for (size_t n = 1 + below(3); n > 0; n--)
            image->bytes[below(image->size)] ^= (char)(1 << below(8));
        break;
    case NUL_RUN: {
        size_t size = 1 + below(below(2) ? 64 : 4096);
        memset(image->bytes + at, 0, size < image->size - at ? size : image->size - at);
        break;
    }
    case GLUE_LINES:
        newline = memchr(image->bytes + at, '\n', image->size - at);
        if (newline != NULL)
            cut_out(image, (size_t)(newline - image->bytes), (size_t)(newline - image->bytes) + 1);
        break;
    case SPLIT_LINE:
        put_in(image, at, "\n", 1);
        break;
    case SPLICE: {
        const struct image *from = &sound[below((size_t)file_count)];
        size_t start = below(from->size), size = 1 + below(3000);
        size = size < from->size - start ? size : from->size - start;
        put_in(image, at, from->bytes + start, size);
        break;
    }
    case CUT_ANYWHERE:
        image->size = at;
        break;
    case GARBAGE_AT_END:
        for (size_t n = 1 + below(600); n > 0; n--)
            put_in(image, image->size, &(char){(char)rig_random()}, 1);
        break;
    case CUT_MIDDLE: {
        size_t to = at + 1 + below(2000);
        cut_out(image, at, to < image->size ? to : image->size);
        break;
    }
    default: { /* CHANGE_DIGIT: of a header, which stays well-formed */
        size_t header = borders[f][below((size_t)border_count[f])];
        size_t span =
            (size_t)((char *)memchr(image->bytes + header, '\n', 1000) - image->bytes) - header;
        for (int tries = 0; tries < 100; tries++) {
            char *digit = &image->bytes[header + below(span)];
            if (*digit >= '0' && *digit <= '8') {
                ++*digit;
                break;
            }
        }
    }
    }
}

/* Returns how many files are left. */
static int change_journal(enum change kind)
{
    memcpy(changed, sound, sizeof changed);
    int f = (int)below((size_t)file_count), g = (int)below((size_t)file_count);
    switch (kind) {
    case CUT_FRAME:
    case DUPLICATE_FRAME:
    case SWAP_FRAMES:
    case MOVE_FRAME:
        change_frames(kind, f);
        return file_count;
    case DROP_FILE:
        memmove(&changed[f], &changed[f + 1], (size_t)(file_count - f - 1) * sizeof changed[0]);
        return file_count - 1;
    case SWAP_FILES:
        memcpy(changed[f].bytes, sound[g].bytes, sizeof sound[g].bytes);
        memcpy(changed[g].bytes, sound[f].bytes, sizeof sound[f].bytes);
        changed[f].size = sound[g].size;
        changed[g].size = sound[f].size;
        return file_count;
    default:
        change_bytes(kind, f);
        return file_count;
    }
}

static bool is_sound(int count)
{
    bool same = count == file_count;
    for (int f = 0; same && f < count; f++)
        same = changed[f].size == sound[f].size && strcmp(changed[f].name, sound[f].name) == 0 &&
               memcmp(changed[f].bytes, sound[f].bytes, sound[f].size) == 0;
    return same;
}

static void write_image(const struct image *image)
{
    char path[120];
    (void)snprintf(path, sizeof path, "%s/%s", dir, image->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, image->bytes, image->size, 0), image->size);
    (void)close(fd);
}

struct verdicts {
    long refused;
    long torn;
    long shorter; /* cut at a border, without a head to tell */
    long same;
};

static void judge(enum change kind, int count, bool with_head, struct verdicts *verdicts)
{
    struct mw_err err = {0};
    struct mw_journal_opened opened;
    void *journal;
    rig_empty_dir(dir);
    for (int f = 0; f < count; f++)
        write_image(&changed[f]);
    if (with_head)
        write_image(&head);
    enum mw_rc rc = ops->open(dir, &looking, &journal, &opened, &err);
    if (rc != MW_OK) {
        if (is_sound(count) || (rc != MW_E_CORRUPT && rc != MW_E_CONFIG))
            fail_msg("%s: %s", change_names[kind], err.text);
        verdicts->refused++;
        return;
    }
    struct rig_read read = {.next = 1};
    assert_int_equal(ops->read(journal, 1, rig_check_line, &read, &err), MW_OK);
    assert_int_equal(ops->close(journal, &err), MW_OK);
    bool last_is_forged = kind == FORGE_FRAME && !with_head; /* nobody is left who could tell */
    if (last_is_forged) {
        verdicts->shorter++;
        assert_memory_equal(changed, sound, (size_t)(file_count - 1) * sizeof changed[0]);
        return;
    }
    if (read.wrong || read.next != opened.last_seq + 1)
        fail_msg("%s was read as truth", change_names[kind]);
    if (with_head && opened.last_seq < last_seq)
        fail_msg("%s: P04: acknowledged records are missing and nobody noticed",
                 change_names[kind]);
    if (touches_one_place[kind] && opened.last_seq + last_count < last_seq)
        fail_msg("%s: an earlier frame was cut off as if it were the last: %lu of %lu, torn %lu",
                 change_names[kind], (unsigned long)opened.last_seq, (unsigned long)last_seq,
                 (unsigned long)opened.torn_bytes);
    if (opened.torn_bytes > 0)
        verdicts->torn++;
    else if (opened.last_seq < last_seq)
        verdicts->shorter++;
    else if (is_sound(count))
        verdicts->same++;
    else
        fail_msg("%s was not noticed", change_names[kind]);
    if (opened.torn_bytes == 0 && opened.last_seq < last_seq && kind != CUT_ANYWHERE &&
        kind != CUT_FRAME && kind != DROP_FILE && kind != CUT_MIDDLE && kind != MOVE_FRAME)
        fail_msg("%s shortened the journal without a word", change_names[kind]);
}

static void changed_journals(bool with_head)
{
    const long rounds = rig_night() ? 200000 : 600;
    for (enum change kind = 0; kind < CHANGES; kind++) {
        struct verdicts verdicts = {0};
        for (long i = 0; i < rounds; i++)
            judge(kind, change_journal(kind), with_head, &verdicts);
        print_message("%-20s refused %5ld  torn tail %4ld  shorter %4ld  unchanged %4ld\n",
                      change_names[kind], verdicts.refused, verdicts.torn, verdicts.shorter,
                      verdicts.same);
        assert_true(verdicts.refused > 0 || !with_head || kind == GARBAGE_AT_END);
    }
}

static void p03_p04_every_change_is_noticed_with_the_head_file(void **state)
{
    (void)state;
    changed_journals(true);
}

static void p03_every_change_is_refused_or_a_torn_tail_without_the_head_file(void **state)
{
    (void)state;
    changed_journals(false);
}

/* The head is a witness, not the truth: damaged, it is reported and the records are all there. */
static void p04_a_damaged_head_never_hides_a_record(void **state)
{
    (void)state;
    const struct image kept = head;
    long damaged = 0;
    memcpy(changed, sound, sizeof changed);
    for (int i = 0; i < 2000; i++) {
        struct mw_err err = {0};
        struct mw_journal_opened opened;
        void *journal;
        head = kept;
        size_t line = below(2) * 512;
        for (size_t n = 1 + below(4); n > 0; n--)
            head.bytes[line + below(512)] ^= (char)(1 << below(8));
        if (below(2) != 0)
            head.bytes[512 - line + below(512)] ^= (char)(1 << below(8));
        rig_empty_dir(dir);
        for (int f = 0; f < file_count; f++)
            write_image(&changed[f]);
        write_image(&head);
        if (ops->open(dir, &looking, &journal, &opened, &err) != MW_OK)
            fail_msg("%s", err.text);
        assert_int_equal(opened.last_seq, last_seq);
        damaged += opened.head == MW_JOURNAL_HEAD_DAMAGED;
        assert_int_equal(ops->close(journal, &err), MW_OK);
    }
    head = kept;
    assert_true(damaged > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p03_p04_every_change_is_noticed_with_the_head_file),
        cmocka_unit_test(p03_every_change_is_refused_or_a_torn_tail_without_the_head_file),
        cmocka_unit_test(p04_a_damaged_head_never_hides_a_record),
    };
    return cmocka_run_group_tests_name("journal corpus", tests, make_journal, done);
}
