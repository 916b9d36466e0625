/* sweep_place.c - the folders that a sweep works in: made, copied, told apart. */
#include "sweep.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)64 << 20)

void place_remove(const char *path)
{
    struct mw_err err = {0};
    enum mw_rc rc = mw_remove_tree(AT_FDCWD, path, &err);
    /* What a killed host had started may write its last file meanwhile, and then ends. */
    for (int tries = 0; rc != MW_OK && tries < 1000; tries++)
        rc = mw_remove_tree(AT_FDCWD, path, &err);
    if (rc != MW_OK) {
        fprintf(stderr, "crash_sweep: %s\n", err.text);
        exit(74);
    }
}

void place_make(const char *path)
{
    place_remove(path);
    MW_ASSERT(mkdir(path, 0755) == 0);
}

static void copy_beneath(int from_fd, int to_fd)
{
    int list_fd = dup(from_fd);
    DIR *list = fdopendir(list_fd);
    MW_ASSERT(list != NULL);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        const char *name = entry->d_name;
        struct stat st;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        MW_ASSERT(fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        if (S_ISDIR(st.st_mode)) {
            MW_ASSERT(mkdirat(to_fd, name, st.st_mode & 07777) == 0);
            mw_autoclose int from = openat(from_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            mw_autoclose int to = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            MW_ASSERT(from >= 0 && to >= 0);
            copy_beneath(from, to);
            continue;
        }
        MW_ASSERT(S_ISREG(st.st_mode));
        struct mw_buf bytes = mw_heap_buf();
        struct mw_err err;
        MW_ASSERT(mw_file_read(from_fd, name, FILE_BYTES_MAX, &bytes, &err) == MW_OK);
        mw_autoclose int fd = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        MW_ASSERT(fd >= 0 && mw_write_all(fd, mw_buf_str(&bytes), &err) == MW_OK);
        MW_ASSERT(fchmod(fd, st.st_mode & 07777) == 0);
        mw_heap_buf_free(&bytes);
    }
    (void)closedir(list); /* only read from */
}

void place_copy(const char *from, const char *to)
{
    place_make(to);
    mw_autoclose int from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_autoclose int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MW_ASSERT(from_fd >= 0 && to_fd >= 0);
    copy_beneath(from_fd, to_fd);
}

/* ---- the image ---- */

static uint64_t fold(uint64_t hash, struct mw_str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (uint8_t)bytes.ptr[i]) * 0x100000001b3u;
    return subject_mix(hash, bytes.len);
}

/* Sixteen hex digits of a temporary name say nothing. */
static uint64_t fold_name(uint64_t hash, const char *name)
{
    struct mw_str text = mw_str_of(name);
    size_t hex = strspn(name, "0123456789abcdef");
    if (hex == 16 && text.len == 16)
        return fold(hash, MW_STR("nonce"));
    if (mw_str_ends(text, MW_STR(".tmp")) && text.len > 20) {
        hash = fold(hash, mw_str_sub(text, 0, text.len - 20));
        return fold(hash, MW_STR("nonce"));
    }
    return fold(hash, text);
}

/* The digits after a member that differs from life to life. */
static void blank_digits(struct mw_buf *bytes, const char *member)
{
    char *at = bytes->len > 0 ? memmem(bytes->ptr, bytes->len, member, strlen(member)) : NULL;
    if (at == NULL)
        return;
    at += strlen(member);
    while (at < bytes->ptr + bytes->len && *at >= '0' && *at <= '9')
        *at++ = '#';
}

static uint64_t image_beneath(int fd)
{
    uint64_t sum = 0;
    int list_fd = dup(fd);
    DIR *list = fdopendir(list_fd);
    MW_ASSERT(list != NULL);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        const char *name = entry->d_name;
        struct stat st;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        MW_ASSERT(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        uint64_t hash = fold_name(0xcbf29ce484222325u, name);
        if (S_ISDIR(st.st_mode)) {
            mw_autoclose int beneath = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            MW_ASSERT(beneath >= 0);
            hash = subject_mix(hash, image_beneath(beneath));
        } else if (S_ISREG(st.st_mode)) {
            struct mw_buf bytes = mw_heap_buf();
            struct mw_err err;
            MW_ASSERT(mw_file_read(fd, name, FILE_BYTES_MAX, &bytes, &err) == MW_OK);
            bool lock = strcmp(name, "lock") == 0;
            if (lock)
                blank_digits(&bytes, "\"pid\":");
            blank_digits(&bytes, "\"inode\":");
            /* The blanks that a shorter process id leaves say nothing either. */
            hash = lock ? subject_mix(hash, bytes.len) : fold(hash, mw_buf_str(&bytes));
            mw_heap_buf_free(&bytes);
        }
        sum += hash; /* in whatever order the folder is listed */
    }
    (void)closedir(list); /* only read from */
    return sum;
}

uint64_t place_image(const char *path)
{
    mw_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MW_ASSERT(fd >= 0);
    return image_beneath(fd);
}
