/*
 * manifest.h - what an archive of a journal holds: one line about the archive, one about each segment. docs/journal.md is the format.
 *
 * Owns:     the text, in one spelling, and the proof that its lines fit together and none is missing.
 * Does not: open files, or look into segments (archive.c does).
 */
#ifndef MW_JOURNAL_MANIFEST_H
#define MW_JOURNAL_MANIFEST_H

#include "base/buf.h"
#include "journal/frame.h"

#define MW_MANIFEST_FORMAT 1
#define MW_MANIFEST_FILE "manifest.jsonl"
#define MW_MANIFEST_LINE_MAX 768 /* with its newline; the longest canonical one is shorter */
#define MW_MANIFEST_SEGMENTS_MAX 100000
#define MW_MANIFEST_BYTES_MAX ((size_t)MW_MANIFEST_LINE_MAX * (MW_MANIFEST_SEGMENTS_MAX + 1))
/* A segment is as long as the limit, or one frame. */
#define MW_SEGMENT_BYTES_MAX (MW_JOURNAL_FRAME_BYTES_MAX + MW_FRAME_HEADER_MAX)

struct mw_manifest_segment {
    uint64_t first; /* record, and the segment's name */
    uint64_t last;
    uint64_t frame; /* number of its first one */
    uint64_t frames;
    uint64_t epoch;  /* of its last frame */
    uint64_t bytes;  /* as in the journal */
    char sha256[65]; /* of these bytes */
    uint8_t prev[MW_FRAME_HASH_BYTES];
    uint8_t hash[MW_FRAME_HASH_BYTES]; /* of its last frame */
    bool gzip;
    uint64_t stored; /* bytes of the archive's file */
    char stored_sha256[65];
};

struct mw_manifest {
    char journal[17];                     /* the journal's id, 1 to 16 hexadecimal digits */
    struct mw_manifest_segment *segments; /* owned (libc's heap), in order from record 1 on */
    size_t count;
    size_t cap;
};

void mw_manifest_add(struct mw_manifest *manifest, const struct mw_manifest_segment *segment);
void mw_manifest_free(struct mw_manifest *manifest);
/* Appends the whole text. */
void mw_manifest_write(const struct mw_manifest *manifest, struct mw_buf *out);
/* MW_E_CORRUPT names the line and what is wrong with it; MW_E_CONFIG: a newer format. *ret_manifest is freed with mw_manifest_free. */
MW_MUST enum mw_rc mw_manifest_read(struct mw_str text, struct mw_manifest *ret_manifest,
                                    struct mw_err *err);

#endif
