/*
 * images.h - the states in which a power cut may leave a folder, given the effects on it (effects.h).
 *
 * The model is POSIX at its strictest. Synced effects are there; of the others any part may be: each name, size and mode for itself, the
 * bytes of a write in any subset of sectors of 512 bytes or pages of 4 KiB, the length without the bytes (zeros). Only the sync of a folder
 * makes its names durable, the sync of a file does not. One rename or exchange is never half, but a file that was renamed into another
 * folder may keep its old name as well until that folder is synced.
 */
#ifndef MW_CRASH_IMAGES_H
#define MW_CRASH_IMAGES_H

#include "effects.h"

#define EXHAUSTIVE_MAX                                                                             \
    9 /* loose effects of which every subset is tried, as structured choices 0 to 2^n-1 */

/* Which of the effects that are not durable reached the disk. */
enum keep_how {
    KEEP_NOTHING,
    KEEP_ALL,
    KEEP_SIZE,          /* of a write: the length, not the bytes */
    KEEP_FIRST_SECTORS, /* number of them */
    KEEP_LAST_SECTORS,
    KEEP_SECTORS, /* by coins, from the seed */
    KEEP_PAGES,
};
struct keep {
    uint8_t how;
    bool old_name_too; /* of a file's rename between folders */
    uint64_t number;   /* sectors, or the seed */
};

/* All choices for the cut after `prefix` effects, the structured ones first, then random ones without end. */
struct choice {
    const struct effects *log;
    int prefix;
    struct keep *keep; /* owned: by effect */
    int *loose;        /* owned: indices of effects that are not durable */
    int loose_count;
    uint64_t seed;
    long structured; /* how many there are */
    long
        subsets; /* of them, from 0: whole effects kept or lost; with few loose effects every subset */
    unsigned char *tried; /* owned: by structured number, whoever takes one sets it */
    long coins;           /* random ones that were taken */
};
void choice_begin(struct choice *choice, const struct effects *log, int prefix, uint64_t seed);
/* The n-th, from 0. n >= structured: random. */
void choice_take(struct choice *choice, long n);
/* How many subsets of the loose effects were not taken. */
double choice_left_out(const struct choice *choice);
void choice_end(struct choice *choice);

/* A tree in memory. */
struct image_entry {
    char *path;       /* owned: relative */
    int folder;       /* object */
    const char *name; /* borrowed from path: its last part */
    int object;
};
struct image {
    const struct effects *log;
    struct image_entry *entries; /* parents before what is in them */
    int count, cap;
    struct image_file {
        char *data;
        size_t size, cap;
        mode_t mode;
        bool read;
    } * files;     /* by object */
    int acks;      /* lines that the program had written */
    uint64_t hash; /* of names, modes, contents and acks */
};
void image_open(struct image *image, const struct effects *log);
void image_build(struct image *image, const struct choice *choice);
/* Into an empty folder. Numbers of folders' inodes in notes ("inode":N) become those of the copies. False: errno. */
bool image_write(const struct image *image, int root_fd);
void image_close(struct image *image);

#endif
