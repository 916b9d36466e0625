/*
 * tree.h - a manifest: the sorted list of a folder's regular files with mode, size and SHA-256; its digest names the whole tree.
 *
 * Canonical text: {"files":[{"path":"a/b","mode":"0644","size":3,"sha256":"…"},…]} sorted by the bytes of the path; the tree's digest is the
 * SHA-256 of that text. Folders count only through the files in them. Modes are 0755 when the owner may execute, else 0644.
 *
 * Owns:     what a tree is, which paths and files are refused (P17), which changes lie outside owned paths.
 * Does not: decide what a refused tree means for the product.
 * Errors:   MW_E_DENIED a file or path that is not allowed, by name; MW_E_LIMIT; MW_E_CONFLICT (merge); MW_E_CORRUPT (bytes changed since).
 */
#ifndef MW_TREE_H
#define MW_TREE_H

#include "stage/blob.h"

struct mw_tree_file {
    struct mw_str path; /* owned by the tree; terminated */
    uint32_t
        mode; /* 0644 or 0755; with `observe` also S_IFLNK and the like for what is not a file */
    uint64_t size_bytes;
    char sha256[MW_SHA256_HEX];
};

struct mw_tree {
    struct mw_tree_file *files; /* owned; sorted by path */
    uint32_t count;
    uint32_t capacity;
    uint64_t total_bytes;
};

struct mw_tree_limits {
    uint32_t files_max;
    uint64_t bytes_max;
    uint64_t file_bytes_max;
    uint32_t path_bytes_max;
};
/* 20,000 files, 1 GiB, 64 MiB a file, 1,024 bytes a path. */
extern const struct mw_tree_limits mw_tree_limits_default;

struct mw_tree_scan {
    /* borrowed; NULL: the default, with observe a far larger one */
    const struct mw_tree_limits *limits;
    const struct mw_blobs
        *blobs; /* borrowed; not NULL: every file's bytes are also put there, durably */
    const struct mw_str *ignore; /* borrowed patterns (mw_glob_match): not looked at, not entered */
    uint32_t ignore_count;
    bool
        observe; /* looks at somebody else's folder: nothing is refused, links and devices become entries that are never followed */
};

/* Files only, never through a link, opened beneath the folder. options may be NULL. Free with mw_tree_free. */
MW_MUST enum mw_rc mw_tree_scan(int at_fd, const char *folder, const struct mw_tree_scan *options,
                                struct mw_tree *ret_tree, struct mw_err *err);
void mw_tree_free(struct mw_tree *tree);
/* Appends a copy of file; call mw_tree_seal when all are in. */
void mw_tree_add(struct mw_tree *tree, const struct mw_tree_file *file);
/* Sorts, then checks: plain paths, nothing twice, no file that is also a folder, no two names that are one on a file system that folds case or
 * normalises Unicode (NFKC_Casefold of each prefix), no part `.git`. */
MW_MUST enum mw_rc mw_tree_seal(struct mw_tree *tree, struct mw_err *err);
void mw_tree_text(const struct mw_tree *tree,
                  struct mw_buf *buf); /* appends the canonical text (heap buf) */
void mw_tree_digest(const struct mw_tree *tree, char ret_sha256[MW_SHA256_HEX]);
/* Reads a canonical text back; anything else is MW_E_INPUT. */
MW_MUST enum mw_rc mw_tree_parse(struct mw_str text, struct mw_tree *ret_tree, struct mw_err *err);
/* The canonical text that a blob holds. */
MW_MUST enum mw_rc mw_tree_load(const struct mw_blobs *blobs, const char *sha256,
                                struct mw_tree *ret_tree, struct mw_err *err);
const struct mw_tree_file *mw_tree_find(const struct mw_tree *tree, struct mw_str path);

enum mw_tree_change_kind { MW_TREE_ADDED, MW_TREE_CHANGED, MW_TREE_REMOVED };
struct mw_tree_change {
    enum mw_tree_change_kind kind;
    struct mw_str path;                /* borrowed from the trees */
    const struct mw_tree_file *before; /* borrowed; NULL when added */
    const struct mw_tree_file *after;  /* borrowed; NULL when removed */
};
struct mw_tree_diff {
    struct mw_tree_change *changes; /* owned; by path */
    uint32_t count;
};
void mw_tree_compare(const struct mw_tree *before, const struct mw_tree *after,
                     struct mw_tree_diff *ret_diff);
void mw_tree_diff_free(struct mw_tree_diff *diff);
/* Appends `[{"path","change":"added|changed|removed"},…]`, as many of the first as bytes_max takes. Returns how many do not stand in it. */
uint32_t mw_tree_diff_json(const struct mw_tree_diff *diff, size_t bytes_max, struct mw_buf *buf);
/* Appends "changed a/b, added c (and 3 more)": for messages. */
void mw_tree_diff_words(const struct mw_tree_diff *diff, uint32_t names_max, struct mw_buf *buf);

/* `*` stands for anything within one part, `**` as a whole part for any number of parts (at the end: at least one). */
bool mw_glob_match(struct mw_str pattern, struct mw_str path);
/* The path matches one of the patterns. */
bool mw_tree_owns(const struct mw_str *patterns, uint32_t pattern_count, struct mw_str path);
/* What an agent had no right to do: changes whose path matches none of the patterns, and whatever was removed. */
void mw_tree_violations(const struct mw_tree_diff *diff, const struct mw_str *patterns,
                        uint32_t pattern_count, struct mw_tree_diff *ret_diff);

/* All trees as one. The same path with other bytes or another mode: MW_E_CONFLICT naming each. */
MW_MUST enum mw_rc mw_tree_merge(const struct mw_tree *const *trees, uint32_t tree_count,
                                 struct mw_tree *ret_tree, struct mw_err *err);

/* Where a tree's bytes come from when it is written out: exactly one of blobs and folder_fd; `overlay` first for the paths it holds. */
struct mw_tree_source {
    const struct mw_blobs *blobs; /* borrowed; NULL: folder_fd */
    int folder_fd;
    const struct mw_tree *overlay; /* borrowed; may be NULL: files that come from overlay_fd */
    int overlay_fd;
};
struct mw_tree_write {
    bool durable;   /* every file and folder is synced before it returns */
    bool read_only; /* files 0444 / 0555; folders stay writable, so that they can be removed */
    bool
        keep_private; /* what others may not do with a file or folder of folder_fd or overlay_fd they may not with its copy either */
};
/* Makes folder (which must not exist) and everything in it; every byte is checked against the manifest while copied. On failure the half
 * written folder is left for the caller to remove. */
MW_MUST enum mw_rc mw_tree_write(const struct mw_tree *tree, const struct mw_tree_source *source,
                                 int at_fd, const char *folder, struct mw_tree_write how,
                                 struct mw_err *err);

#endif
