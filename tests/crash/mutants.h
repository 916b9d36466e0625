/*
 * mutants.h - journals that somebody or something changed: the kinds of change, each made from a seed, and how far the changed bytes are the old
 * ones, which is what a reader has to give: no record less and none more.
 *
 * For inclusion by one test program. The sound journal is kept in memory; a mutant is a changed copy of it.
 */
#ifndef MW_CRASH_MUTANTS_H
#define MW_CRASH_MUTANTS_H

#include "journal/frame.h"
#include "journal_rig.h"

#define FILES_MAX 16
#define FRAMES_MAX 64
#define IMAGE_BYTES_MAX (1u << 16)

struct image {
    char name[40];
    char bytes[IMAGE_BYTES_MAX];
    size_t size;
};

/* A journal with the places where its frames begin, and the end. */
struct journal_image {
    struct image files[FILES_MAX];
    int file_count;
    struct image head;
    size_t borders[FILES_MAX][FRAMES_MAX];
    uint64_t border_seq[FILES_MAX][FRAMES_MAX]; /* records before it */
    int border_count[FILES_MAX];
    uint64_t last_seq, last_count;
};

static struct journal_image sound, foreign; /* foreign: the same records, another writer's */
static struct image changed[FILES_MAX + 1];
static int changed_count;
static struct image changed_head;

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
    CUT_RECORD,
    DUPLICATE_RECORD,
    SWAP_RECORDS,
    FOREIGN_FRAME,
    FOREIGN_FILE,
    FOREIGN_HEAD,
    CHANGE_HEAD,
    REPEAT_FILE,
    CUT_FILES,
    TWO_CHANGES,
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
    [CUT_RECORD] = "a cut record",
    [DUPLICATE_RECORD] = "a double record",
    [SWAP_RECORDS] = "two records swapped",
    [FOREIGN_FRAME] = "another journal's frame",
    [FOREIGN_FILE] = "another journal's file",
    [FOREIGN_HEAD] = "another journal's head",
    [CHANGE_HEAD] = "a changed head",
    [REPEAT_FILE] = "a file once more",
    [CUT_FILES] = "the last files gone",
    [TWO_CHANGES] = "two changes at once",
};

/* One place is touched, so all but the last frame must come out of it or the journal be refused. */
static const bool touches_one_place[CHANGES] = {
    [FLIP_ONE_BIT] = true, [GLUE_LINES] = true,     [SPLIT_LINE] = true,
    [CHANGE_DIGIT] = true, [GARBAGE_AT_END] = true,
};
/* May leave a journal that ends at a frame's border: without a head nobody can tell. */
static const bool may_shorten[CHANGES] = {
    [CUT_ANYWHERE] = true, [CUT_FRAME] = true, [DROP_FILE] = true,   [CUT_MIDDLE] = true,
    [MOVE_FRAME] = true,   [CUT_FILES] = true, [TWO_CHANGES] = true,
};

static size_t below(size_t limit)
{
    return limit == 0 ? 0 : (size_t)(rig_random() >> 11) % limit;
}

static void read_image(int dir_fd, const char *name, struct image *ret_image)
{
    (void)snprintf(ret_image->name, sizeof ret_image->name, "%s", name);
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, ret_image->bytes, sizeof ret_image->bytes, 0) : -1;
    MW_ASSERT(got >= 0 && (size_t)got < sizeof ret_image->bytes / 4);
    ret_image->size = (size_t)got;
    (void)close(fd);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct image *)a)->name, ((const struct image *)b)->name);
}

static void find_borders(struct journal_image *journal)
{
    for (int f = 0; f < journal->file_count; f++) {
        const char *at = journal->files[f].bytes, *end = at + journal->files[f].size;
        uint64_t records = strtoull(journal->files[f].name, NULL, 10) - 1;
        while (at < end) {
            if (strncmp(at, "{\"frame\":", 9) == 0) {
                int i = journal->border_count[f]++;
                journal->borders[f][i] = (size_t)(at - journal->files[f].bytes);
                journal->border_seq[f][i] = records;
            } else {
                records++;
            }
            at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        }
        journal->borders[f][journal->border_count[f]] = journal->files[f].size;
        journal->border_seq[f][journal->border_count[f]] = records;
    }
}

/* The journal in the folder dir. */
static void load_journal(const char *dir, struct journal_image *journal)
{
    DIR *folder = opendir(dir);
    const struct dirent *entry;
    MW_ASSERT(folder != NULL);
    while ((entry = readdir(folder)) != NULL)
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".jsonl")))
            read_image(dirfd(folder), entry->d_name, &journal->files[journal->file_count++]);
    read_image(dirfd(folder), "head", &journal->head);
    (void)closedir(folder);
    qsort(journal->files, (size_t)journal->file_count, sizeof journal->files[0], by_name);
    find_borders(journal);
}

static void copy_image(struct image *to, const struct image *from)
{
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->bytes, from->bytes, from->size);
    to->size = from->size;
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

static size_t frame_size(const struct journal_image *journal, int f, int i)
{
    return journal->borders[f][i + 1] - journal->borders[f][i];
}

static void change_frames(enum change kind, int f)
{
    struct image *image = &changed[f];
    int i = (int)below((size_t)sound.border_count[f]);
    size_t at = sound.borders[f][i], size = frame_size(&sound, f, i);
    const char *frame = sound.files[f].bytes + at;
    if (kind == CUT_FRAME) {
        cut_out(image, at, at + size);
    } else if (kind == DUPLICATE_FRAME) {
        put_in(image, at, frame, size);
    } else if (kind == SWAP_FRAMES && i + 1 < sound.border_count[f]) {
        size_t next = frame_size(&sound, f, i + 1);
        cut_out(image, at, at + size);
        put_in(image, at + next, frame, size);
    } else if (kind == MOVE_FRAME) {
        int to = (int)below((size_t)sound.file_count);
        cut_out(image, at, at + size);
        size_t place = sound.borders[to][below((size_t)sound.border_count[to] + 1)];
        put_in(&changed[to], to == f && place > at ? place - size : place, frame, size);
    } else if (kind == FOREIGN_FRAME) {
        int from = (int)below((size_t)foreign.file_count);
        int j = (int)below((size_t)foreign.border_count[from]);
        if (below(2) != 0 && f < foreign.file_count && i < foreign.border_count[f]) {
            from = f; /* the one that stands at the same place */
            j = i;
        }
        cut_out(image, at, at + size);
        put_in(image, at, foreign.files[from].bytes + foreign.borders[from][j],
               frame_size(&foreign, from, j));
    }
}

/* Another body with a header that fits it in all but the next frame's `prev` (of the last frame: the head's hash). */
static void forge_frame(int f)
{
    struct image *image = &changed[f];
    size_t at = sound.borders[f][below((size_t)sound.border_count[f])], header_bytes;
    struct mw_frame header;
    MW_ASSERT(mw_frame_read((struct mw_str){image->bytes + at, image->size - at}, &header,
                            &header_bytes) == MW_FRAME_OK);
    char *body = image->bytes + at + header_bytes;
    memcpy(body + 2, "SEQ", 3);
    char text[MW_FRAME_HEADER_MAX];
    MW_ASSERT(mw_frame_write(&header, (struct mw_str){body, header.bytes}, text) == header_bytes);
    memcpy(image->bytes + at, text, header_bytes);
}

/* Whole lines within one frame; its header stays. */
static void change_records(enum change kind, int f)
{
    struct image *image = &changed[f];
    int i = (int)below((size_t)sound.border_count[f]);
    size_t end = sound.borders[f][i + 1], line[FRAMES_MAX];
    size_t lines = 0;
    for (size_t at = sound.borders[f][i]; at < end; lines++) {
        line[lines] = at;
        at = (size_t)((char *)memchr(image->bytes + at, '\n', end - at) - image->bytes) + 1;
    }
    line[lines] = end;
    size_t chosen = 1 + below(lines - 1); /* 0 is the header */
    size_t at = line[chosen], size = line[chosen + 1] - at;
    char *copy = malloc(size);
    MW_ASSERT(copy != NULL);
    memcpy(copy, image->bytes + at, size);
    if (kind == DUPLICATE_RECORD) {
        put_in(image, at, copy, size);
    } else {
        cut_out(image, at, at + size);
        if (kind == SWAP_RECORDS && chosen + 1 < lines)
            put_in(image, at + line[chosen + 2] - line[chosen + 1], copy, size);
    }
    free(copy);
}

/* Of a header, which stays well-formed. */
static void change_digit(int f)
{
    struct image *image = &changed[f];
    size_t header = sound.borders[f][below((size_t)sound.border_count[f])];
    size_t span =
        (size_t)((char *)memchr(image->bytes + header, '\n', 1000) - image->bytes) - header;
    for (int tries = 0; tries < 100; tries++) {
        char *digit = &image->bytes[header + below(span)];
        if (*digit >= '0' && *digit <= '8') {
            ++*digit;
            return;
        }
    }
}

static void change_bytes(enum change kind, struct image *image)
{
    size_t at = below(image->size);
    char *newline;
    switch (kind) {
    case FLIP_ONE_BIT:
        image->bytes[at] ^= (char)(1 << below(8));
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
        const struct image *from = &sound.files[below((size_t)sound.file_count)];
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
    default: { /* CUT_MIDDLE */
        size_t to = at + 1 + below(2000);
        cut_out(image, at, to < image->size ? to : image->size);
    }
    }
}

static void change_files(enum change kind, int f)
{
    int g = (int)below((size_t)sound.file_count);
    switch (kind) {
    case DROP_FILE:
        for (int i = f; i + 1 < changed_count; i++)
            copy_image(&changed[i], &changed[i + 1]);
        changed_count--;
        break;
    case CUT_FILES:
        changed_count = f;
        break;
    case SWAP_FILES:
        copy_image(&changed[f], &sound.files[g]);
        copy_image(&changed[g], &sound.files[f]);
        memcpy(changed[f].name, sound.files[f].name, sizeof changed[f].name);
        memcpy(changed[g].name, sound.files[g].name, sizeof changed[g].name);
        break;
    case FOREIGN_FILE:
        copy_image(&changed[f], &foreign.files[(size_t)f % (size_t)foreign.file_count]);
        memcpy(changed[f].name, sound.files[f].name, sizeof changed[f].name);
        break;
    default: { /* REPEAT_FILE: under a name between the others, or after them */
        struct image *more = &changed[changed_count++];
        copy_image(more, &sound.files[f]);
        (void)snprintf(more->name, sizeof more->name, "%020lu.jsonl",
                       (unsigned long)(1 + below(sound.last_seq + 40)));
        for (int i = 0; i + 1 < changed_count; i++)
            if (strcmp(changed[i].name, more->name) == 0) {
                changed_count--; /* that name is taken: what it holds is swapped */
                copy_image(&changed[i], &sound.files[f]);
                memcpy(changed[i].name, sound.files[i].name, sizeof changed[i].name);
                break;
            }
        qsort(changed, (size_t)changed_count, sizeof changed[0], by_name);
    }
    }
}

static void change_head(void)
{
    size_t line = below(2) * 512;
    for (size_t n = 1 + below(4); n > 0; n--)
        changed_head.bytes[line + below(512)] ^= (char)(1 << below(8));
    if (below(2) != 0)
        changed_head.bytes[512 - line + below(512)] ^= (char)(1 << below(8));
}

/* A mutant of that kind, from the state of rig_random. */
static void change_journal(enum change kind)
{
    changed_count = sound.file_count;
    for (int f = 0; f < sound.file_count; f++)
        copy_image(&changed[f], &sound.files[f]);
    copy_image(&changed_head, &sound.head);
    int f = (int)below((size_t)sound.file_count);
    switch (kind) {
    case CUT_FRAME:
    case DUPLICATE_FRAME:
    case SWAP_FRAMES:
    case MOVE_FRAME:
    case FOREIGN_FRAME:
        change_frames(kind, f);
        break;
    case CUT_RECORD:
    case DUPLICATE_RECORD:
    case SWAP_RECORDS:
        change_records(kind, f);
        break;
    case DROP_FILE:
    case SWAP_FILES:
    case FOREIGN_FILE:
    case REPEAT_FILE:
    case CUT_FILES:
        change_files(kind, f);
        break;
    case FOREIGN_HEAD:
        copy_image(&changed_head, &foreign.head);
        break;
    case CHANGE_HEAD:
        change_head();
        break;
    case FORGE_FRAME:
        forge_frame(f);
        break;
    case CHANGE_DIGIT:
        change_digit(f);
        break;
    case TWO_CHANGES: {
        static const enum change first[] = {
            CUT_FRAME,    DUPLICATE_FRAME, SWAP_FRAMES,  MOVE_FRAME,   FOREIGN_FRAME, CUT_RECORD,
            SWAP_RECORDS, FORGE_FRAME,     CHANGE_DIGIT, FOREIGN_FILE, SWAP_FILES};
        static const enum change second[] = {FLIP_ONE_BIT, FLIP_BITS,    NUL_RUN,    SPLIT_LINE,
                                             SPLICE,       CUT_ANYWHERE, CUT_MIDDLE, GLUE_LINES};
        change_journal(first[below(MW_COUNT(first))]);
        struct image *image = &changed[below((size_t)changed_count)];
        if (image->size > 0)
            change_bytes(second[below(MW_COUNT(second))], image);
        break;
    }
    default:
        change_bytes(kind, &changed[f]);
    }
}

/* Without the head. */
static bool is_sound(void)
{
    bool same = changed_count == sound.file_count;
    for (int f = 0; same && f < changed_count; f++)
        same = changed[f].size == sound.files[f].size &&
               strcmp(changed[f].name, sound.files[f].name) == 0 &&
               memcmp(changed[f].bytes, sound.files[f].bytes, sound.files[f].size) == 0;
    return same;
}

/* Records of the whole frames before the first byte that is another one: all that can be read, and all that has to be. */
static uint64_t sound_prefix(void)
{
    uint64_t records = 0;
    for (int f = 0; f < changed_count && f < sound.file_count; f++) {
        const struct image *now = &changed[f], *was = &sound.files[f];
        if (strcmp(now->name, was->name) != 0)
            return records;
        size_t shared = now->size < was->size ? now->size : was->size, same = 0;
        while (same < shared && now->bytes[same] == was->bytes[same])
            same++;
        for (int i = 0; i <= sound.border_count[f] && sound.borders[f][i] <= same; i++)
            records = sound.border_seq[f][i];
        if (same < was->size || now->size > was->size)
            return records;
    }
    return records;
}

#endif
