/*
 * exec_fixture.h - run a child to its end and keep everything that it said. The test program is its own stub: main must begin with
 * mw_fixture_stub.
 */
#ifndef MW_EXEC_FIXTURE_H
#define MW_EXEC_FIXTURE_H

#include "agent/exec.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURE_WAIT_MS 30000 /* a hang ends the test; nothing waits this long */
#define FIXTURE_NOBODY 65534u

static const char *const fixture_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                                          NULL};

/* Which way the supervisors of fixture_spec come into being: the same tests hold for both. */
static bool fixture_by_server;

struct fixture {
    char root[256]; /* temporary; holds work, tmp, home, err */
    char work[288], tmp[288], home[288], err_path[288];
};

struct ended {
    struct mw_buf out; /* terminated */
    struct mw_exec_report report;
    struct mw_arena arena;
    char line[MW_EXEC_REPORT_BYTES_MAX];
};

static inline void fixture_join(char *ret_path, size_t capacity, const char *folder,
                                const char *name)
{
    assert_true((size_t)snprintf(ret_path, capacity, "%s/%s", folder, name) < capacity);
}

static inline int fixture_make(void **state)
{
    struct fixture *f = mw_heap_alloc(sizeof(*f));
    (void)snprintf(f->root, sizeof(f->root), "/tmp/mw-exec-XXXXXX");
    if (mkdtemp(f->root) == NULL)
        return -1;
    fixture_join(f->work, sizeof(f->work), f->root, "work");
    fixture_join(f->tmp, sizeof(f->tmp), f->root, "tmp");
    fixture_join(f->home, sizeof(f->home), f->root, "home");
    fixture_join(f->err_path, sizeof(f->err_path), f->root, "err");
    (void)chmod(f->root, 0755);
    if (mkdir(f->work, 0755) != 0 || mkdir(f->tmp, 0755) != 0 || mkdir(f->home, 0755) != 0)
        return -1;
    (void)setenv("HOME", f->home, 1);
    *state = f;
    return 0;
}

static inline int fixture_remove(void **state)
{
    struct fixture *f = *state;
    struct mw_err err;
    enum mw_rc rc = mw_remove_tree(AT_FDCWD, f->root, &err);
    mw_heap_free(f);
    return rc == MW_OK ? 0 : -1;
}

static inline struct mw_exec_spec fixture_spec(const struct fixture *f, const char *const *argv)
{
    return (struct mw_exec_spec){
        .argv = argv,
        .env = fixture_env,
        .cwd = f->work,
        .stderr_path = f->err_path,
        .grace_ms = 2000,
        .by_server = fixture_by_server,
        .sandbox = {.profile = MW_PROFILE_BUILD, .work_dir = f->work, .tmp_dir = f->tmp}};
}

static inline struct mw_exec_child fixture_start(const struct mw_exec_spec *spec)
{
    struct mw_exec_child child;
    struct mw_err err;
    if (mw_exec_start(spec, &child, &err) != MW_OK)
        fail_msg("%s", err.text);
    return child;
}

static inline void fixture_wait(int fd)
{
    struct pollfd heard = {.fd = fd, .events = POLLIN};
    assert_int_equal(1, poll(&heard, 1, FIXTURE_WAIT_MS));
}

/* Appends what is there now; false at the end of the stream. */
static inline bool fixture_drain(int fd, struct mw_buf *buf)
{
    char bytes[65536];
    for (;;) {
        ssize_t len = read(fd, bytes, sizeof(bytes));
        if (len > 0)
            mw_buf_put(buf, (struct mw_str){bytes, (size_t)len});
        else
            return len < 0 && (errno == EAGAIN || errno == EINTR);
    }
}

/* One line of output: how a test waits until the child has come so far. */
static inline void fixture_read_line(int fd, char *ret_line, size_t capacity)
{
    size_t len = 0;
    for (;;) {
        fixture_wait(fd);
        assert_true(len + 1 < capacity);
        assert_int_equal(1, read(fd, ret_line + len, 1));
        if (ret_line[len] == '\n')
            break;
        len++;
    }
    ret_line[len] = '\0';
}

static inline struct ended *fixture_finish(struct mw_exec_child *child)
{
    struct ended *ended = mw_heap_alloc(sizeof(*ended));
    struct mw_buf report = mw_heap_buf();
    ended->out = mw_heap_buf();
    mw_heap_arena(&ended->arena, 1u << 20);
    while (child->stdout_fd >= 0) { /* to the end of the stream: it must come */
        fixture_wait(child->stdout_fd);
        if (!fixture_drain(child->stdout_fd, &ended->out))
            break;
    }
    fixture_wait(child->pidfd);
    while (fixture_drain(child->report_fd, &report))
        fixture_wait(child->report_fd); /* its fork server lets go of it a moment later */
    assert_true(report.len < sizeof(ended->line));
    memcpy(ended->line, report.len > 0 ? report.ptr : "", report.len);
    mw_exec_report_read(&ended->arena, (struct mw_str){ended->line, report.len}, &ended->report);
    mw_heap_buf_free(&report);
    mw_buf_put_c(&ended->out, '\0');
    assert_true(mw_exec_reap(child));
    mw_exec_close(child);
    return ended;
}

static inline struct ended *fixture_run(const struct mw_exec_spec *spec)
{
    struct mw_exec_child child = fixture_start(spec);
    return fixture_finish(&child);
}

static inline struct ended *fixture_shell(const struct fixture *f, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    return fixture_run(&spec);
}

static inline void fixture_free(struct ended *ended)
{
    mw_heap_buf_free(&ended->out);
    mw_heap_arena_free(&ended->arena);
    mw_heap_free(ended);
}

static inline int fixture_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(fd >= 0);
    return fd;
}

static inline void fixture_write(const char *folder, const char *name, const char *text,
                                 mode_t mode)
{
    char path[PATH_MAX];
    struct mw_err err;
    fixture_join(path, sizeof(path), folder, name);
    if (mw_file_replace(AT_FDCWD, path, mw_str_of(text), mode, &err) != MW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(0, chmod(path, mode));
}

static inline bool fixture_is_stub(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "__exec") == 0;
}

#endif
