/*
 * effects.h - every effect of a program on one folder, in order: what a power cut may take away and what it may not.
 *
 * Owns:     the log: objects (files, folders, links), the effects on them, and the lines that the program wrote to its standard output.
 * Does not: know what the program does, or build states (images.h).
 * Limits:   one folder on one file system; a call that changes files and is not known here ends the recording with an error, as does a
 *           change outside the folder: nothing is overlooked.
 */
#ifndef MW_CRASH_EFFECTS_H
#define MW_CRASH_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum object_kind { OBJECT_FILE, OBJECT_FOLDER, OBJECT_LINK };
struct object {
    enum object_kind kind;
    mode_t mode;
    uint64_t inode;       /* while the program ran: its notes may name it */
    uint64_t inode_later; /* in a life that followed; 0: none did */
    char *data;           /* owned: of a file that was there before; a link's target */
    size_t size;
};

enum effect_kind {
    EFFECT_WRITE,    /* object, offset, size, data */
    EFFECT_SIZE,     /* object, size */
    EFFECT_MODE,     /* object, mode */
    EFFECT_NAME,     /* folder, name, object: made or linked */
    EFFECT_UNNAME,   /* folder, name */
    EFFECT_RENAME,   /* folder, name to folder2, name2; object */
    EFFECT_EXCHANGE, /* likewise; object2 is what stood at the second name */
    EFFECT_SYNC,     /* object; from: effects before this index are covered; data_only */
    EFFECT_ACK,      /* data: a line that the program wrote */
};
#define NEVER INT32_MAX
struct effect {
    enum effect_kind kind;
    int object, object2;
    int folder, folder2;
    char *name, *name2; /* owned */
    uint64_t offset;
    size_t size;
    char *data; /* owned */
    mode_t mode;
    int from;
    bool data_only;
    int durable_at;       /* index of the sync that made it durable; NEVER */
    int other_durable_at; /* of a file's rename between folders: when the old name is durably gone */
};

struct effects {
    struct object *objects; /* 0: the folder itself */
    int object_count, object_cap;
    struct effect *list;
    int count, cap;
    long calls; /* system calls seen */
    int status; /* the program's, as from waitpid */
    char error[256];
};

/* Runs argv with the folder root watched. False: log->error says why the recording is worth nothing. */
bool effects_record(char *const argv[], const char *root, struct effects *log);
/* Fills durable_at of everything; effects_record has done so. For a log that somebody changed to see whether that is noticed. */
void effects_settle(struct effects *log);
/*
 * One life after the other on the same disk: what the first did before `prefix`, with all of it in the page cache, then the second, which began
 * with that as its tree. objects: by object of `then` that was there at its beginning, the object of `first`; -1: none. Copies all it needs.
 */
void effects_join(const struct effects *first, int prefix, const struct effects *then,
                  const int *objects, struct effects *ret_log);
void effects_free(struct effects *log);

#endif
