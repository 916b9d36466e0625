/*
 * file.h - whole files and folders, safely: full reads and writes, durable replacement, paths that cannot escape.
 *
 * at_fd: a folder's descriptor or AT_FDCWD. Every failure names the path. P17: functions with `beneath` open with openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS).
 */
#ifndef MW_FILE_H
#define MW_FILE_H

#include "base/buf.h"
#include <sys/types.h>

/* Appends the whole file to buf (a heap buf). Larger than max_bytes: MW_E_LIMIT. Not there: MW_E_MISSING. */
MW_MUST enum mw_rc mw_file_read(int at_fd, const char *path, size_t max_bytes, struct mw_buf *buf,
                                struct mw_err *err);
/* Of a regular file only: a pipe or a terminal, on which one may wait for ever, is refused. */
MW_MUST enum mw_rc mw_file_read_regular(int at_fd, const char *path, size_t max_bytes,
                                        struct mw_buf *buf, struct mw_err *err);
MW_MUST enum mw_rc mw_file_read_beneath(int root_fd, const char *path, size_t max_bytes,
                                        struct mw_buf *buf, struct mw_err *err);
/* All bytes or an error; EINTR and short writes are retried. ENOSPC and EDQUOT: MW_E_FULL. */
MW_MUST enum mw_rc mw_write_all(int fd, struct mw_str bytes, struct mw_err *err);
/*
 * The file's content from now on, in place: made when it is not there, shortened when it was longer. Neither whole-or-nothing nor durable.
 * Not by O_TRUNC: ext4 begins to write a file to disk at once when it was emptied and then written.
 */
MW_MUST enum mw_rc mw_file_put(int at_fd, const char *path, struct mw_str bytes, mode_t mode,
                               struct mw_err *err);
/* Temporary file beside it, write, fsync, rename, fsync of the folder: old or new, never half. */
MW_MUST enum mw_rc mw_file_replace(int at_fd, const char *path, struct mw_str bytes, mode_t mode,
                                   struct mw_err *err);
MW_MUST enum mw_rc mw_mkdirs(int at_fd, const char *path, mode_t mode,
                             struct mw_err *err); /* like mkdir -p; existing is fine */
MW_MUST enum mw_rc mw_fsync_dir(int at_fd, const char *path, struct mw_err *err);
/* Removes path and everything under it, without following links. Not there is fine. */
MW_MUST enum mw_rc mw_remove_tree(int at_fd, const char *path, struct mw_err *err);
/* A relative path of plain names: no empty part, ".", "..", leading '/', backslash, control byte; at most 4,095 bytes, 64 parts. */
bool mw_path_is_plain(struct mw_str path);
bool mw_exists(int at_fd, const char *path);
/* The same where much hangs on the answer: a disk that cannot tell is an error, not a "no". */
MW_MUST enum mw_rc mw_is_there(int at_fd, const char *path, bool *ret_there, struct mw_err *err);

#define MW_SHA256_HEX 65
struct mw_sha256 {
    uint64_t state[16]; /* nettle's; nothing to free */
};
void mw_sha256_begin(struct mw_sha256 *sha);
void mw_sha256_add(struct mw_sha256 *sha, struct mw_str bytes);
void mw_sha256_end(struct mw_sha256 *sha, uint8_t ret_digest[32]);
void mw_sha256_of(struct mw_str bytes, uint8_t ret_digest[32]);
void mw_hex(const uint8_t *bytes, size_t count, char *ret_text); /* lower case, terminated */
/* The other way, of exactly 2 * count lower-case digits; false: it is not that, and ret_bytes means nothing. */
bool mw_unhex(const char *terminated, uint8_t *ret_bytes, size_t count);
void mw_sha256_hex(struct mw_str bytes, char ret_text[MW_SHA256_HEX]);
uint32_t mw_crc32c(uint32_t crc, struct mw_str bytes); /* Castagnoli; start with 0 */

/* Wall clock, UTC: RFC 3339 with microseconds and Z (27 characters, terminated: 28). */
#define MW_TIME_TEXT 28
void mw_time_text(int64_t unix_us, char ret_text[MW_TIME_TEXT]);
int64_t mw_now_unix_us(void);
int64_t mw_now_monotonic_ns(void);
/* Which start of the machine this is; another one after each. Terminated. */
#define MW_BOOT_TEXT 64
MW_MUST enum mw_rc mw_boot_id(char ret_boot[MW_BOOT_TEXT], struct mw_err *err);

#endif
