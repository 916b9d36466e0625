/*
 * blob.h - bodies kept by their SHA-256: <.millwright>/blobs/ab/cdef….
 *
 * Owns:     durability (P22): after a put every byte, every name and every new folder is on the disk; a crash leaves a whole blob or none.
 * Does not: count references or remove blobs (clean does, by what the journal still names).
 * Limits:   MW_BLOB_BYTES_MAX a blob.
 * Errors:   MW_E_FULL, MW_E_IO; get and verify: MW_E_MISSING, MW_E_CORRUPT (the bytes do not have that hash).
 * Threads:  a store may be used from several threads and processes at once.
 */
#ifndef MW_BLOB_H
#define MW_BLOB_H

#include "posix/file.h"

#define MW_BLOB_BYTES_MAX ((size_t)256 << 20)

struct mw_blobs {
    int root_fd; /* owned: the folder `blobs` */
    uint8_t *
        named; /* owned: of each of the 256 folders, whether this process has made its name durable */
};

struct mw_blob_item {
    struct mw_str bytes;        /* borrowed */
    char sha256[MW_SHA256_HEX]; /* set by put_many */
};

/* folder: what holds `blobs` (<workspace>/.millwright); both are made when missing. */
MW_MUST enum mw_rc mw_blobs_open(int at_fd, const char *folder, struct mw_blobs *ret_blobs,
                                 struct mw_err *err);
void mw_blobs_close(struct mw_blobs *blobs);
/* An existing blob of the same size is taken as it is; one of another size (a damaged disk) is written again. */
MW_MUST enum mw_rc mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                               char ret_sha256[MW_SHA256_HEX], struct mw_err *err);
/* Many blobs, one round of syncs: all are written, then all synced, then all named, then each folder synced once. */
MW_MUST enum mw_rc mw_blob_put_many(const struct mw_blobs *blobs, struct mw_blob_item *items,
                                    uint32_t count, struct mw_err *err);
/* Appends the bytes to buf (heap) after checking their hash. */
MW_MUST enum mw_rc mw_blob_get(const struct mw_blobs *blobs, const char *sha256, size_t max_bytes,
                               struct mw_buf *buf, struct mw_err *err);
/* Syncs of files and folders that this process has done for blobs so far; what a measurement wants to know. */
uint64_t mw_blobs_syncs(void);
bool mw_blob_has(const struct mw_blobs *blobs, const char *sha256);
MW_MUST enum mw_rc mw_blob_verify(const struct mw_blobs *blobs, const char *sha256,
                                  struct mw_err *err);
/* Removes what a crash left half written. Only while nobody else puts: at the host's start. */
MW_MUST enum mw_rc mw_blobs_sweep(const struct mw_blobs *blobs, struct mw_err *err);
/* 64 lower-case hex digits and nothing else. */
bool mw_sha256_is_hex(const char *text);

#endif
