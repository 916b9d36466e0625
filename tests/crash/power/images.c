/* images.c - from effects and a choice to a tree. */
#include "images.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define PAGE 4096

#define TORN_SECTORS_MAX 16 /* of the last write: every number of sectors */
#define FILE_BYTES_MAX (8u << 20)

static uint64_t mixed(uint64_t seed)
{
    seed += 0x9e3779b97f4a7c15u;
    seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
    return seed ^ seed >> 31;
}

/* ---- choices ---- */

static bool changes_names(enum effect_kind kind)
{
    return kind == EFFECT_NAME || kind == EFFECT_UNNAME || kind == EFFECT_RENAME ||
           kind == EFFECT_EXCHANGE;
}

static int last_write(const struct choice *choice)
{
    for (int i = choice->loose_count - 1; i >= 0; i--)
        if (choice->log->list[choice->loose[i]].kind == EFFECT_WRITE)
            return choice->loose[i];
    return -1;
}

static long torn_count(const struct choice *choice)
{
    int write = last_write(choice);
    if (write < 0)
        return 0;
    size_t sectors = choice->log->list[write].size / SECTOR + 1;
    return (long)(sectors < TORN_SECTORS_MAX ? sectors : TORN_SECTORS_MAX);
}

void choice_begin(struct choice *choice, const struct effects *log, int prefix, uint64_t seed)
{
    *choice = (struct choice){.log = log, .prefix = prefix, .seed = mixed(seed ^ (uint64_t)prefix)};
    choice->keep = calloc((size_t)log->count + 1, sizeof *choice->keep);
    choice->loose = calloc((size_t)log->count + 1, sizeof *choice->loose);
    if (choice->keep == NULL || choice->loose == NULL)
        abort();
    for (int i = 0; i < prefix; i++) {
        const struct effect *effect = &log->list[i];
        bool durable = effect->durable_at < prefix;
        if (effect->kind == EFFECT_RENAME && effect->folder != effect->folder2 &&
            effect->other_durable_at >= prefix)
            durable = false;
        if (effect->kind != EFFECT_SYNC && effect->kind != EFFECT_ACK && !durable)
            choice->loose[choice->loose_count++] = i;
    }
    int n = choice->loose_count;
    choice->subsets = n <= EXHAUSTIVE_MAX ? 1L << n : 2 + 2L * n;
    choice->structured = choice->subsets + 4 + 3 * torn_count(choice);
    choice->tried = calloc((size_t)choice->structured, 1);
    if (choice->tried == NULL)
        abort();
}

static void keep_all(struct choice *choice, enum keep_how how)
{
    for (int i = 0; i < choice->loose_count; i++)
        choice->keep[choice->loose[i]] = (struct keep){.how = (uint8_t)how};
}

/* One that mixes kinds of effects: names without bytes, bytes without names, lengths without bytes. */
static void keep_by_kind(struct choice *choice, long n)
{
    for (int i = 0; i < choice->loose_count; i++) {
        struct keep *keep = &choice->keep[choice->loose[i]];
        enum effect_kind kind = choice->log->list[choice->loose[i]].kind;
        bool names = changes_names(kind);
        keep->how = KEEP_ALL;
        if (n == 0)
            keep->how = names ? KEEP_ALL : KEEP_NOTHING;
        else if (n == 1)
            keep->how = names ? KEEP_NOTHING : KEEP_ALL;
        else if (n == 2)
            keep->how = kind == EFFECT_WRITE ? KEEP_SIZE : KEEP_ALL;
        else
            keep->how = kind == EFFECT_UNNAME || kind == EFFECT_RENAME ? KEEP_ALL : KEEP_NOTHING;
        keep->old_name_too = n == 2;
    }
}

static void keep_by_coins(struct choice *choice, uint64_t seed)
{
    /* Some states lose little, some lose much. */
    unsigned kept_of_8 = 1 + (unsigned)(seed >> 40) % 7;
    for (int i = 0; i < choice->loose_count; i++) {
        struct keep *keep = &choice->keep[choice->loose[i]];
        uint64_t coin = mixed(seed + (uint64_t)choice->loose[i]);
        *keep = (struct keep){.how = (coin >> 8 & 7) < kept_of_8 ? KEEP_ALL : KEEP_NOTHING,
                              .old_name_too = (coin >> 4 & 1) != 0,
                              .number = coin};
        if (choice->log->list[choice->loose[i]].kind == EFFECT_WRITE && (coin >> 16 & 3) != 0)
            keep->how = (uint8_t)((coin >> 18 & 7) == 0   ? KEEP_SIZE
                                  : (coin >> 18 & 1) == 0 ? KEEP_PAGES
                                                          : KEEP_SECTORS);
    }
}

void choice_take(struct choice *choice, long n)
{
    int count = choice->loose_count;
    long torn = torn_count(choice), subsets = choice->subsets;
    if (n >= choice->structured) {
        choice->coins++;
        keep_by_coins(choice, mixed(choice->seed + (uint64_t)n));
        return;
    }
    choice->tried[n] = 1;
    if (n < subsets && count <= EXHAUSTIVE_MAX) {
        for (int i = 0; i < count; i++)
            choice->keep[choice->loose[i]] =
                (struct keep){.how = (n >> i & 1) != 0 ? KEEP_ALL : KEEP_NOTHING};
        return;
    }
    if (n < subsets) { /* none, all, each lost alone, each kept alone */
        bool kept = n < 2 ? n == 1 : n < 2 + count;
        keep_all(choice, kept ? KEEP_ALL : KEEP_NOTHING);
        if (n >= 2)
            choice->keep[choice->loose[(n - 2) % count]].how = kept ? KEEP_NOTHING : KEEP_ALL;
        return;
    }
    n -= subsets;
    if (n < 4) {
        keep_by_kind(choice, n);
        return;
    }
    n -= 4;
    keep_all(choice, KEEP_ALL);
    struct keep *last = &choice->keep[last_write(choice)];
    last->number = (uint64_t)(n % torn);
    last->how = n < torn ? KEEP_FIRST_SECTORS : n < 2 * torn ? KEEP_LAST_SECTORS : KEEP_SECTORS;
    if (last->how == KEEP_SECTORS) /* all but one, one after the other */
        last->number = mixed(choice->seed + (uint64_t)n);
}

double choice_left_out(const struct choice *choice)
{
    double all = 1, tried = 0;
    for (int i = 0; i < choice->loose_count; i++)
        all *= 2;
    for (long n = 0; n < choice->subsets; n++)
        tried += choice->tried[n];
    /* Of many loose effects a random choice is hardly ever one of the structured ones. */
    if (choice->loose_count > EXHAUSTIVE_MAX)
        tried += (double)choice->coins;
    return all > tried ? all - tried : 0;
}

void choice_end(struct choice *choice)
{
    free(choice->tried);
    free(choice->keep);
    free(choice->loose);
}

/* ---- names ---- */

/* During a build: entries hold the folder's object in front of the name, and are made paths at the end. */
struct name {
    int folder;
    int object;
    const char *name;
};
struct names {
    struct name *list;
    int count, cap;
};

static int find_name(const struct names *names, int folder, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (names->list[i].folder == folder && strcmp(names->list[i].name, name) == 0)
            return i;
    return -1;
}

static void drop_name(struct names *names, int folder, const char *name, int only_object)
{
    int i = find_name(names, folder, name);
    if (i >= 0 && (only_object < 0 || names->list[i].object == only_object))
        names->list[i] = names->list[--names->count];
}

static void set_name(struct names *names, const struct effects *log, int folder, const char *name,
                     int object)
{
    /* A folder stands at one place, whatever was lost before. */
    for (int i = names->count - 1; log->objects[object].kind == OBJECT_FOLDER && i >= 0; i--)
        if (names->list[i].object == object)
            names->list[i] = names->list[--names->count];
    int i = find_name(names, folder, name);
    if (i < 0) {
        if (names->count == names->cap) {
            names->cap = names->cap == 0 ? 256 : names->cap * 2;
            names->list = realloc(names->list, (size_t)names->cap * sizeof *names->list);
            if (names->list == NULL)
                abort();
        }
        i = names->count++;
    }
    names->list[i] = (struct name){folder, object, name};
}

static void apply_name(struct names *names, const struct effects *log, const struct effect *effect,
                       bool old_name_too)
{
    switch (effect->kind) {
    case EFFECT_NAME:
        set_name(names, log, effect->folder, effect->name, effect->object);
        break;
    case EFFECT_UNNAME:
        drop_name(names, effect->folder, effect->name, -1);
        break;
    case EFFECT_RENAME:
        if (!old_name_too || log->objects[effect->object].kind == OBJECT_FOLDER)
            drop_name(names, effect->folder, effect->name, effect->object);
        set_name(names, log, effect->folder2, effect->name2, effect->object);
        break;
    default:
        set_name(names, log, effect->folder, effect->name, effect->object2);
        set_name(names, log, effect->folder2, effect->name2, effect->object);
    }
}

/* ---- bytes ---- */

static void make_room(struct image_file *file, size_t size)
{
    if (size > FILE_BYTES_MAX)
        abort(); /* a scenario's files are small */
    if (size > file->cap) {
        size_t cap = size * 2 + PAGE;
        file->data = realloc(file->data, cap);
        if (file->data == NULL)
            abort();
        memset(file->data + file->cap, 0, cap - file->cap);
        file->cap = cap;
    }
}

static void set_size(struct image_file *file, size_t size)
{
    make_room(file, size);
    if (size < file->size)
        memset(file->data + size, 0, file->size - size);
    file->size = size;
}

static bool piece_kept(const struct keep *keep, uint64_t at, uint64_t first, uint64_t last)
{
    uint64_t sector = at / SECTOR;
    switch (keep->how) {
    case KEEP_ALL:
        return true;
    case KEEP_FIRST_SECTORS:
        return sector < first + keep->number;
    case KEEP_LAST_SECTORS:
        return sector + keep->number > last;
    case KEEP_SECTORS:
        return (mixed(keep->number + sector) & 1) != 0;
    case KEEP_PAGES:
        return (mixed(keep->number + at / PAGE) & 1) != 0;
    default:
        return false;
    }
}

static void apply_write(struct image_file *file, const struct effect *effect,
                        const struct keep *keep)
{
    uint64_t end = effect->offset + effect->size;
    uint64_t first = effect->offset / SECTOR, last = (end - 1) / SECTOR;
    if (keep->how == KEEP_NOTHING)
        return;
    make_room(file, end);
    for (uint64_t at = effect->offset; at < end;) {
        uint64_t stop = (at / SECTOR + 1) * SECTOR;
        stop = stop < end ? stop : end;
        if (piece_kept(keep, at, first, last)) {
            memcpy(file->data + at, effect->data + (at - effect->offset), stop - at);
            file->size = file->size > stop ? file->size : stop;
        }
        at = stop;
    }
    bool long_already =
        keep->how == KEEP_SIZE || keep->how == KEEP_LAST_SECTORS ||
        ((keep->how == KEEP_SECTORS || keep->how == KEEP_PAGES) && (keep->number >> 33 & 1) != 0);
    if (long_already && file->size < end)
        file->size = end;
}

static void start_file(const struct object *object, struct image_file *file)
{
    file->size = 0;
    if (file->cap > 0)
        memset(file->data, 0, file->cap);
    if (object->kind == OBJECT_FILE && object->data != NULL) {
        make_room(file, object->size);
        memcpy(file->data, object->data, object->size);
        file->size = object->size;
    }
    file->mode = object->mode;
}

/* ---- the tree ---- */

void image_open(struct image *image, const struct effects *log)
{
    *image = (struct image){.log = log};
    image->files = calloc((size_t)log->object_count, sizeof *image->files);
    if (image->files == NULL)
        abort();
}

static void forget_entries(struct image *image)
{
    for (int i = 0; i < image->count; i++)
        free(image->entries[i].path);
    image->count = 0;
}

void image_close(struct image *image)
{
    forget_entries(image);
    for (int i = 0; i < image->log->object_count; i++)
        free(image->files[i].data);
    free(image->files);
    free(image->entries);
}

static void add_entry(struct image *image, const char *parent, const struct name *name)
{
    if (image->count == image->cap) {
        image->cap = image->cap == 0 ? 256 : image->cap * 2;
        image->entries = realloc(image->entries, (size_t)image->cap * sizeof *image->entries);
        if (image->entries == NULL)
            abort();
    }
    struct image_entry *entry = &image->entries[image->count++];
    size_t size = strlen(parent) + strlen(name->name) + 2;
    entry->path = malloc(size);
    entry->object = name->object;
    entry->folder = name->folder;
    if (entry->path == NULL)
        abort();
    (void)snprintf(entry->path, size, "%s%s%s", parent, parent[0] != '\0' ? "/" : "", name->name);
    entry->name = entry->path + strlen(entry->path) - strlen(name->name);
}

static int by_place(const void *a, const void *b)
{
    const struct name *left = a, *right = b;
    return left->folder != right->folder ? (left->folder < right->folder ? -1 : 1)
                                         : strcmp(left->name, right->name);
}

/* Only what can be reached from the root is there. */
static void add_folder(struct image *image, const struct names *names, int folder, const char *path,
                       int depth)
{
    if (depth > 64)
        return; /* a folder within itself cannot be reached either */
    for (int i = 0; i < names->count; i++) {
        if (names->list[i].folder != folder)
            continue;
        int object = names->list[i].object;
        add_entry(image, path, &names->list[i]);
        if (image->log->objects[object].kind != OBJECT_FOLDER)
            continue;
        char *below = strdup(image->entries[image->count - 1].path);
        add_folder(image, names, object, below, depth + 1);
        free(below);
    }
}

static uint64_t hashed(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t word;
    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 32;
    }
    for (; size > 0; size--)
        hash = (hash ^ *at++) * 0x100000001b3u;
    return mixed(hash);
}

static void hash_tree(struct image *image)
{
    uint64_t hash = mixed((uint64_t)image->acks);
    for (int i = 0; i < image->count; i++) {
        const struct image_entry *entry = &image->entries[i];
        const struct image_file *file = &image->files[entry->object];
        uint64_t shape[2] = {file->mode, image->log->objects[entry->object].kind};
        hash = hashed(hash, entry->path, strlen(entry->path));
        hash = hashed(hash, shape, sizeof shape);
        if (image->log->objects[entry->object].kind == OBJECT_FILE)
            hash = hashed(hash ^ file->size, file->data, file->size);
    }
    image->hash = hash;
}

void image_build(struct image *image, const struct choice *choice)
{
    static const struct keep whole = {.how = KEEP_ALL};
    const struct effects *log = image->log;
    struct names names = {0};
    forget_entries(image);
    image->acks = 0;
    for (int i = 0; i < log->object_count; i++)
        start_file(&log->objects[i], &image->files[i]);
    int loose = 0;
    for (int i = 0; i < log->count && (i < choice->prefix || log->list[i].durable_at < 0); i++) {
        const struct effect *effect = &log->list[i];
        bool is_loose = loose < choice->loose_count && choice->loose[loose] == i;
        const struct keep *keep = is_loose ? &choice->keep[i] : &whole;
        loose += is_loose;
        bool other_name = false;
        if (is_loose && effect->kind == EFFECT_RENAME && effect->folder != effect->folder2) {
            bool there = effect->durable_at < choice->prefix;
            other_name = keep->old_name_too && effect->other_durable_at >= choice->prefix;
            if (there) { /* only the old name is open */
                other_name = keep->how == KEEP_NOTHING;
                keep = &whole;
            }
        }
        if (effect->kind == EFFECT_ACK)
            image->acks++;
        if (effect->kind == EFFECT_ACK || effect->kind == EFFECT_SYNC || keep->how == KEEP_NOTHING)
            continue;
        if (effect->kind == EFFECT_WRITE)
            apply_write(&image->files[effect->object], effect, keep);
        else if (effect->kind == EFFECT_SIZE)
            set_size(&image->files[effect->object], effect->size);
        else if (effect->kind == EFFECT_MODE)
            image->files[effect->object].mode = effect->mode;
        else
            apply_name(&names, log, effect, other_name);
    }
    qsort(names.list, (size_t)names.count, sizeof *names.list, by_place);
    add_folder(image, &names, 0, "", 0);
    free(names.list);
    hash_tree(image);
}

/* ---- writing it ---- */

static bool write_file(int root_fd, const char *path, const char *data, size_t size, mode_t mode)
{
    int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode | 0200);
    bool ok = fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size) &&
              ((mode & 0200) != 0 || fchmod(fd, mode) == 0);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* A note names the folder of the new tree by its inode; the copy of that folder has another one. */
static bool write_note(const struct image *image, int root_fd, const struct image_entry *entry)
{
    static const char key[] = "\"inode\":";
    const struct image_file *file = &image->files[entry->object];
    char *text = malloc(file->size + 64);
    if (text == NULL)
        abort();
    memcpy(text, file->data, file->size);
    text[file->size] = '\0';
    size_t size = file->size;
    char *found = strstr(text, key);
    if (found != NULL) {
        char *number = found + sizeof key - 1, *end;
        uint64_t inode = strtoull(number, &end, 10);
        for (int i = 0; end > number && *end != '\0' && i < image->count; i++) {
            const struct object *object = &image->log->objects[image->entries[i].object];
            struct stat info;
            if ((object->inode != inode && object->inode_later != inode) ||
                object->kind != OBJECT_FOLDER ||
                fstatat(root_fd, image->entries[i].path, &info, AT_SYMLINK_NOFOLLOW) != 0)
                continue;
            char *rest = strdup(end);
            size = (size_t)(number - text);
            size += (size_t)sprintf(number, "%lu%s", (unsigned long)info.st_ino, rest);
            free(rest);
            break;
        }
    }
    bool ok = write_file(root_fd, entry->path, text, size, file->mode);
    free(text);
    return ok;
}

bool image_write(const struct image *image, int root_fd)
{
    /* Folders first: notes name them. A file with two names is one file. */
    int *first = calloc((size_t)image->log->object_count, sizeof *first);
    if (first == NULL)
        abort();
    bool ok = true;
    for (int i = 0; ok && i < image->count; i++) {
        const struct image_entry *entry = &image->entries[i];
        if (image->log->objects[entry->object].kind == OBJECT_FOLDER)
            ok = mkdirat(root_fd, entry->path, 0700) == 0;
    }
    for (int i = 0; ok && i < image->count; i++) {
        const struct image_entry *entry = &image->entries[i];
        const struct object *object = &image->log->objects[entry->object];
        const struct image_file *file = &image->files[entry->object];
        if (object->kind == OBJECT_FOLDER)
            continue;
        if (object->kind == OBJECT_LINK)
            ok = symlinkat(object->data, root_fd, entry->path) == 0;
        else if (first[entry->object] != 0)
            ok = linkat(root_fd, image->entries[first[entry->object] - 1].path, root_fd,
                        entry->path, 0) == 0;
        else if (strstr(entry->path, "promotions/") != NULL)
            ok = write_note(image, root_fd, entry);
        else
            ok = write_file(root_fd, entry->path, file->data, file->size, file->mode);
        if (first[entry->object] == 0)
            first[entry->object] = i + 1;
    }
    for (int i = image->count - 1; ok && i >= 0; i--) {
        const struct image_entry *entry = &image->entries[i];
        if (image->log->objects[entry->object].kind == OBJECT_FOLDER)
            ok = fchmodat(root_fd, entry->path, image->files[entry->object].mode, 0) == 0;
    }
    free(first);
    return ok;
}
