#include "stage/blob.h"

#include "posix/heap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_DIR "tmp"
#define NAME_MAX_BYTES 96

/* One blob on its way: written and synced under a temporary name until it gets its own. */
struct put {
    int fd; /* -1: already there */
    char temporary[NAME_MAX_BYTES];
    char final[NAME_MAX_BYTES];
};

static enum mw_rc put_write(const struct mw_blobs *blobs, struct mw_str bytes, struct put *put,
                            struct mw_err *err);
static enum mw_rc put_finish(const struct mw_blobs *blobs, struct put *puts, uint32_t count,
                             struct mw_err *err);
static void put_abandon(const struct mw_blobs *blobs, struct put *puts, uint32_t count);
static enum mw_rc sync_folders(const struct mw_blobs *blobs, const struct put *puts, uint32_t count,
                               struct mw_err *err);
static void blob_name(const char *sha256, char ret_name[NAME_MAX_BYTES]);

bool mw_sha256_is_hex(const char *text)
{
    MW_ASSERT(text != NULL);
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

enum mw_rc mw_blobs_open(int at_fd, const char *folder, struct mw_blobs *ret_blobs,
                         struct mw_err *err)
{
    mw_autofree char *path = mw_heap_format("%s/blobs", folder);
    mw_autofree char *temporary = mw_heap_format("%s/" TEMPORARY_DIR, path);
    bool fresh = !mw_exists(at_fd, temporary);
    enum mw_rc rc = mw_mkdirs(at_fd, temporary, 0755, err);
    if (rc == MW_OK && fresh)
        rc = mw_fsync_dir(at_fd, path, err);
    if (rc == MW_OK && fresh)
        rc = mw_fsync_dir(at_fd, folder, err);
    if (rc != MW_OK)
        return rc;
    int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open '%s'", path);
    ret_blobs->root_fd = fd;
    ret_blobs->named = mw_heap_alloc(256);
    return MW_OK;
}

void mw_blobs_close(struct mw_blobs *blobs)
{
    if (blobs->root_fd >= 0)
        (void)close(blobs->root_fd); /* nothing is buffered behind a folder's descriptor */
    blobs->root_fd = -1;
    mw_heap_free(blobs->named);
    blobs->named = NULL;
}

enum mw_rc mw_blob_put(const struct mw_blobs *blobs, struct mw_str bytes,
                       char ret_sha256[MW_SHA256_HEX], struct mw_err *err)
{
    struct mw_blob_item item = {.bytes = bytes};
    enum mw_rc rc = mw_blob_put_many(blobs, &item, 1, err);
    if (rc == MW_OK)
        memcpy(ret_sha256, item.sha256, MW_SHA256_HEX);
    return rc;
}

enum mw_rc mw_blob_put_many(const struct mw_blobs *blobs, struct mw_blob_item *items,
                            uint32_t count, struct mw_err *err)
{
    MW_ASSERT(blobs->root_fd >= 0);
    struct put *puts = mw_heap_alloc(sizeof(*puts) * (count + 1));
    uint32_t begun = 0;
    enum mw_rc rc = MW_OK;
    for (; begun < count && rc == MW_OK; begun++) {
        puts[begun].fd = -1;
        mw_sha256_hex(items[begun].bytes, items[begun].sha256);
        blob_name(items[begun].sha256, puts[begun].final);
        rc = put_write(blobs, items[begun].bytes, &puts[begun], err);
    }
    if (rc == MW_OK)
        rc = put_finish(blobs, puts, count, err);
    if (rc == MW_OK)
        rc = sync_folders(blobs, puts, count, err);
    put_abandon(blobs, puts, begun);
    mw_heap_free(puts);
    return rc;
}

enum mw_rc mw_blob_get(const struct mw_blobs *blobs, const char *sha256, size_t max_bytes,
                       struct mw_buf *buf, struct mw_err *err)
{
    if (!mw_sha256_is_hex(sha256))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a SHA-256", sha256);
    char name[NAME_MAX_BYTES];
    char found[MW_SHA256_HEX];
    size_t before = buf->len;
    blob_name(sha256, name);
    enum mw_rc rc = mw_file_read_regular(blobs->root_fd, name, max_bytes, buf, err);
    if (rc != MW_OK)
        return rc;
    mw_sha256_hex(mw_str_sub(mw_buf_str(buf), before, buf->len - before), found);
    if (strcmp(found, sha256) != 0) {
        buf->len = before;
        return MW_FAIL(err, MW_E_CORRUPT, "blob %s is damaged: its bytes have hash %s", sha256,
                       found);
    }
    return MW_OK;
}

bool mw_blob_has(const struct mw_blobs *blobs, const char *sha256)
{
    char name[NAME_MAX_BYTES];
    if (!mw_sha256_is_hex(sha256))
        return false;
    blob_name(sha256, name);
    return mw_exists(blobs->root_fd, name);
}

enum mw_rc mw_blob_verify(const struct mw_blobs *blobs, const char *sha256, struct mw_err *err)
{
    struct mw_buf buf = mw_heap_buf();
    enum mw_rc rc = mw_blob_get(blobs, sha256, MW_BLOB_BYTES_MAX, &buf, err);
    mw_heap_buf_free(&buf);
    return rc;
}

enum mw_rc mw_blobs_sweep(const struct mw_blobs *blobs, struct mw_err *err)
{
    enum mw_rc rc = mw_remove_tree(blobs->root_fd, TEMPORARY_DIR, err);
    if (rc == MW_OK)
        rc = mw_mkdirs(blobs->root_fd, TEMPORARY_DIR, 0755, err);
    return rc;
}

static uint64_t syncs; /* atomic */

static void count_sync(void)
{
    (void)__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
}

uint64_t mw_blobs_syncs(void)
{
    return __atomic_load_n(&syncs, __ATOMIC_RELAXED);
}

static void blob_name(const char *sha256, char ret_name[NAME_MAX_BYTES])
{
    (void)snprintf(ret_name, NAME_MAX_BYTES, "%.2s/%s", sha256, sha256 + 2); /* 65 bytes: fits */
}

static enum mw_rc put_write(const struct mw_blobs *blobs, struct mw_str bytes, struct put *put,
                            struct mw_err *err)
{
    if (bytes.len > MW_BLOB_BYTES_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "a body of %zu bytes is over the limit of %zu", bytes.len,
                       MW_BLOB_BYTES_MAX);
    struct stat st;
    if (fstatat(blobs->root_fd, put->final, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == bytes.len)
        return MW_OK;
    uint64_t nonce;
    if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return MW_FAIL_SYS(err, MW_E_IO, "read random bytes");
    (void)snprintf(put->temporary, sizeof(put->temporary), TEMPORARY_DIR "/%016lx",
                   (unsigned long)nonce);
    int fd = openat(blobs->root_fd, put->temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0)
        return MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                           "make blob '%s'", put->temporary);
    put->fd = fd;
    enum mw_rc rc = mw_write_all(fd, bytes, err);
    if (rc == MW_OK)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: fsync follows */
    return rc;
}

static enum mw_rc put_finish(const struct mw_blobs *blobs, struct put *puts, uint32_t count,
                             struct mw_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (puts[i].fd < 0)
            continue;
        if (fsync(puts[i].fd) != 0)
            return MW_FAIL_SYS(err, MW_E_IO, "make blob '%s' durable", puts[i].final);
        count_sync();
    }
    for (uint32_t i = 0; i < count; i++) {
        if (puts[i].fd < 0)
            continue;
        char folder[3] = {puts[i].final[0], puts[i].final[1], '\0'};
        if (mkdirat(blobs->root_fd, folder, 0755) != 0 && errno != EEXIST)
            return MW_FAIL_SYS(err, errno == ENOSPC || errno == EDQUOT ? MW_E_FULL : MW_E_IO,
                               "make folder 'blobs/%s'", folder);
        if (renameat(blobs->root_fd, puts[i].temporary, blobs->root_fd, puts[i].final) != 0)
            return MW_FAIL_SYS(err, MW_E_IO, "name blob '%s'", puts[i].final);
        (void)close(puts[i].fd); /* synced above */
        puts[i].fd = -1;
    }
    return MW_OK;
}

static uint8_t folder_index(const char *final)
{
    uint8_t index = 0;
    for (int digit = 0; digit < 2; digit++)
        index = (uint8_t)(index * 16 +
                          (final[digit] <= '9' ? final[digit] - '0' : final[digit] - 'a' + 10));
    return index;
}

/* A folder that is there may have been made by somebody who died, or by another thread that has not synced it yet: only what this process
 * has seen synced itself counts as named. */
static enum mw_rc name_folders(const struct mw_blobs *blobs, const struct put *puts, uint32_t count,
                               struct mw_err *err)
{
    bool all = true;
    for (uint32_t i = 0; i < count; i++)
        all = all && __atomic_load_n(&blobs->named[folder_index(puts[i].final)], __ATOMIC_ACQUIRE);
    if (all)
        return MW_OK;
    if (fsync(blobs->root_fd) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "make the folder 'blobs' durable");
    count_sync();
    for (uint32_t i = 0; i < count; i++)
        __atomic_store_n(&blobs->named[folder_index(puts[i].final)], 1, __ATOMIC_RELEASE);
    return MW_OK;
}

/* Also for blobs that were there: the one who put them may have died, or may not have got so far yet. */
static enum mw_rc sync_folders(const struct mw_blobs *blobs, const struct put *puts, uint32_t count,
                               struct mw_err *err)
{
    uint8_t synced[256] = {0};
    for (uint32_t i = 0; i < count; i++) {
        char folder[3] = {puts[i].final[0], puts[i].final[1], '\0'};
        uint8_t index = folder_index(folder);
        if (synced[index])
            continue;
        synced[index] = 1;
        enum mw_rc rc = mw_fsync_dir(blobs->root_fd, folder, err);
        if (rc != MW_OK)
            return rc;
        count_sync();
    }
    return name_folders(blobs, puts, count, err);
}

static void put_abandon(const struct mw_blobs *blobs, struct put *puts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (puts[i].fd < 0)
            continue;
        (void)close(puts[i].fd);                              /* it is thrown away */
        (void)unlinkat(blobs->root_fd, puts[i].temporary, 0); /* sweep gets what stays */
    }
}
