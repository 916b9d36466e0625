/*
 * own_folder.h - a test that works in a folder of its own, which is the current one while it runs: files put there, a shell's words about them.
 */
#ifndef OWN_FOLDER_H
#define OWN_FOLDER_H

#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char own_folder[64];

static inline int enter_own_folder(void **state)
{
    (void)state;
    (void)strcpy(own_folder, "/tmp/mw-test-XXXXXX");
    assert_non_null(mkdtemp(own_folder));
    assert_int_equal(chdir(own_folder), 0);
    return 0;
}

static inline int leave_own_folder(void **state)
{
    struct mw_err err;
    (void)state;
    assert_int_equal(chdir("/"), 0);
    return mw_remove_tree(AT_FDCWD, own_folder, &err) == MW_OK ? 0 : -1;
}

/* With the folders on the way to it. */
static inline void put(const char *path, const char *text)
{
    struct mw_err err;
    mw_autofree char *folder = mw_heap_copy(mw_str_of(path));
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = '\0';
        assert_int_equal(mw_mkdirs(AT_FDCWD, folder, 0755, &err), MW_OK);
    }
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

/* What a command says; owned by the caller. */
static inline char *shell(const char *command)
{
    struct mw_buf buf = mw_heap_buf();
    FILE *pipe = popen(command, "r");
    char block[4096];
    assert_non_null(pipe);
    for (size_t got; (got = fread(block, 1, sizeof(block), pipe)) > 0;)
        mw_buf_put(&buf, (struct mw_str){block, got});
    (void)pclose(pipe);
    mw_buf_put_c(&buf, '\0');
    return buf.ptr;
}

#endif
