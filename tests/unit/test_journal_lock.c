/*
 * test_journal_lock.c - P11: who gets the journal's lock, and what somebody who does not is told. One row a way in which that can go.
 */
#include "../crash/journal_rig.h"
#include "journal/lock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <cmocka.h>

static char dir[64];
static int dir_fd = -1;

/* What the calls answer that do not go through the journal's table, by the linker (test_journal_lock.wraps). All zero: the truth. */
struct world {
    int flock_errno, stat_errno, kill_errno; /* 0: the real answer */
    bool other_file;                         /* fstatat tells another file than is open */
    bool other_disk;                         /* or one of that number on another disk */
    bool no_list;                            /* /proc/locks cannot be read */
    const char *list;                        /* what it says instead; NULL: the truth */
};
static struct world world;

static int answer(int error)
{
    errno = error;
    return -1;
}

int __real_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret)
{
    return world.stat_errno != 0 ? answer(world.stat_errno) : __real_fstat(fd, ret);
}

int __real_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags);
int __wrap_fstatat(int fd, const char *path, struct stat *ret, int flags)
{
    int result = __real_fstatat(fd, path, ret, flags);
    ret->st_ino += world.other_file;
    ret->st_dev += world.other_disk;
    return result;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    return world.flock_errno != 0 ? answer(world.flock_errno) : __real_flock(fd, operation);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (world.no_list)
        return NULL;
    return world.list != NULL ? fmemopen((void *)(uintptr_t)world.list, strlen(world.list), "r")
                              : __real_fopen(path, mode);
}

int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal)
{
    return world.kill_errno != 0 ? answer(world.kill_errno) : __real_kill(pid, signal);
}

/* Who waits for a holder to say its name waits no longer than the clock of this test. */
int __wrap_nanosleep(const struct timespec *wait, struct timespec *left);
int __wrap_nanosleep(const struct timespec *wait, struct timespec *left)
{
    (void)wait, (void)left;
    return 0;
}

static void begin(void)
{
    memset(&world, 0, sizeof world);
    rig_reset(1);
    rig.recording = false;
    if (dir[0] == '\0') {
        rig_new_dir(dir);
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    rig_empty_dir(dir);
}

static void put_line(const char *text)
{
    char line[81];
    int length = snprintf(line, sizeof line, "%s", text);
    memset(line + length, ' ', sizeof line - (size_t)length);
    line[79] = '\n';
    int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, line, 80, 0), 80);
    (void)close(fd);
}

/* As a process left it, or has it. */
static void put_lock(int pid)
{
    char text[64];
    (void)snprintf(text, sizeof text, "{\"lock\":1,\"pid\":%d,\"epoch\":7}", pid);
    put_line(text);
}

static const struct world truth;
static const struct world held = {.flock_errno = EWOULDBLOCK, .list = "\n"};
static const struct world no_list = {.flock_errno = EWOULDBLOCK, .no_list = true};
static const struct world others = {.flock_errno = EWOULDBLOCK,
                                    .list = "1: FLOCK  ADVISORY  WRITE 17 08:01:1 0 EOF\n"
                                            "2: POSIX  ADVISORY  READ 3 08:01:2 0 EOF\nx\n"};
static const struct world gone = {.flock_errno = EWOULDBLOCK, .kill_errno = ESRCH, .list = "\n"};
static const struct world foreign = {.flock_errno = EWOULDBLOCK, .kill_errno = EPERM, .list = "\n"};
static const struct world no_locks = {.flock_errno = ENOLCK};
static const struct world other_file = {.other_file = true};
static const struct world other_disk = {.other_disk = true};
static const struct world no_stat = {.stat_errno = EIO};
static const struct world held_no_stat = {.flock_errno = EWOULDBLOCK, .stat_errno = EIO};

enum noted { NOBODY, US, ANOTHER, NO_LINE };

static void p11_who_does_not_get_the_lock_is_told_why(void **state)
{
    static const struct {
        const char *name;
        enum noted noted; /* in the file */
        const struct world *world;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"free", NOBODY, &truth, MW_OK, ""},
        {"held by one that is noted", US, &held, MW_E_CONFLICT, "held by process"},
        {"the list cannot be read", US, &no_list, MW_E_CONFLICT, "held by process"},
        {"other files are locked", US, &others, MW_E_CONFLICT, "held by process"},
        {"the noted one is gone", ANOTHER, &gone, MW_E_CONFLICT, "held by another process"},
        {"the noted one is another's", ANOTHER, &foreign, MW_E_CONFLICT, "held by process 12345"},
        {"nobody is noted", NOBODY, &held, MW_E_CONFLICT, "held by another process"},
        {"not a line", NO_LINE, &held, MW_E_CONFLICT, "held by another process"},
        {"no locks here", NOBODY, &no_locks, MW_E_IO, "lock the journal"},
        {"always another file", NOBODY, &other_file, MW_E_CONFLICT, "replaced"},
        {"always on another disk", NOBODY, &other_disk, MW_E_CONFLICT, "replaced"},
        {"not to be looked at", NOBODY, &no_stat, MW_E_CONFLICT, "replaced"},
        {"held, and no look at it", US, &held_no_stat, MW_E_CONFLICT, "held by process"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const int pids[] = {0, getpid(), 12345, 0};
        struct mw_err err = {.text = ""};
        char path[RIG_PATH];
        uint64_t epoch = 0;
        int fd = -1;
        begin();
        put_lock(pids[rows[i].noted]);
        rig_path(dir, "lock", path);
        if (rows[i].noted == NO_LINE)
            rig_change_byte(path, 4, 1);
        world = *rows[i].world;
        enum mw_rc rc = mw_lock_take(&rig_quick, dir_fd, &fd, &epoch, &err);
        memset(&world, 0, sizeof world);
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        if (rc == MW_OK) {
            assert_int_equal(epoch, 7);
            mw_lock_release(&rig_quick, fd, 0);
        }
    }
}

/* Damaged, it must not make the next epoch smaller than one before it. */
static void p11_a_line_of_another_spelling_says_nothing(void **state)
{
    static const char *const lines[] = {
        "{\"lock\":1,\"pid\":0,\"epoch\":-1}",
        "{\"lock\":1,\"pid\":0,\"epoch\":+7}",
        "{\"lock\":1,\"pid\":0,\"epoch\":07}",
        "{\"lock\":1,\"pid\":0,\"epoch\": 7}",
        "{\"lock\":1,\"pid\":-1,\"epoch\":7}",
        "{\"lock\":1,\"pid\":0,\"epoch\":7",
        "{\"lock\":1,\"pid\":0,\"epoch\":7}x",
        "{\"lock\":1,\"pid\":0,\"epoch\":7.5}",
        "{\"lock\":1,\"pid\":0,\"epoch\":7} 1",
        "{\"lock\":1,\"pid\":0,\"epoch\":9999999999999999999}",
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(lines); i++) {
        struct mw_err err = {.text = ""};
        uint64_t epoch = 1;
        int fd = -1;
        begin();
        put_line(lines[i]);
        assert_int_equal(mw_lock_take(&rig_quick, dir_fd, &fd, &epoch, &err), MW_OK);
        if (epoch != 0)
            fail_msg("%s: epoch %lu", lines[i], (unsigned long)epoch);
        mw_lock_release(&rig_quick, fd, 0);
    }
}

/* One line of the kernel's list for the lock's file, with its numbers changed by so much. */
static size_t put_listed(char *text, size_t size, long pid, unsigned more_major,
                         unsigned more_minor, unsigned long more_inode)
{
    struct stat file;
    assert_int_equal(__real_fstatat(dir_fd, "lock", &file, 0), 0);
    int length = snprintf(text, size, "1: FLOCK  ADVISORY  WRITE %ld %02x:%02x:%lu 0 EOF\n", pid,
                          major(file.st_dev) + more_major, minor(file.st_dev) + more_minor,
                          (unsigned long)file.st_ino + more_inode);
    return (size_t)length;
}

static void p11_the_holder_is_found_in_the_kernels_list(void **state)
{
    struct mw_err err = {.text = ""};
    char locks[800];
    size_t used = 0;
    uint64_t epoch;
    int fd;
    (void)state;
    begin();
    put_lock(0);
    /* Other files, and one without a process, as in a container that does not see it, come first. */
    used += put_listed(locks + used, sizeof locks - used, 11, 1, 0, 0);
    used += put_listed(locks + used, sizeof locks - used, 12, 0, 1, 0);
    used += put_listed(locks + used, sizeof locks - used, 13, 0, 0, 1);
    used += put_listed(locks + used, sizeof locks - used, 0, 0, 0, 0);
    used += put_listed(locks + used, sizeof locks - used, 4242, 0, 0, 0);
    used += put_listed(locks + used, sizeof locks - used, 14, 0, 0, 0);
    world = (struct world){.list = locks, .flock_errno = EWOULDBLOCK};
    assert_int_equal(mw_lock_take(&rig_quick, dir_fd, &fd, &epoch, &err), MW_E_CONFLICT);
    if (strstr(err.text, "process 4242") == NULL)
        fail_msg("%s", err.text);
}

static void p11_a_lock_that_cannot_be_opened_or_noted_is_told_by_its_cause(void **state)
{
    static const struct {
        const char *name;
        enum rig_fault fault;
        int error;
        enum rig_call call;
        enum mw_rc rc;
        const char *words;
    } rows[] = {
        {"sound", RIG_NO_FAULT, 0, RIG_PWRITE, MW_OK, ""},
        {"read-only", RIG_ERROR, EROFS, RIG_OPENAT, MW_E_DENIED, "open the journal's lock"},
        {"not permitted", RIG_ERROR, EPERM, RIG_OPENAT, MW_E_DENIED, "open the journal's lock"},
        {"denied", RIG_ERROR, EACCES, RIG_OPENAT, MW_E_DENIED, "open the journal's lock"},
        {"failed", RIG_ERROR, EIO, RIG_OPENAT, MW_E_IO, "open the journal's lock"},
        {"full", RIG_ERROR, ENOSPC, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"quota", RIG_ERROR, EDQUOT, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"too large", RIG_ERROR, EFBIG, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"short", RIG_SHORT, 0, RIG_PWRITE, MW_E_FULL, "write the journal's lock"},
        {"not synced", RIG_ERROR, ENOSPC, RIG_FDATASYNC, MW_E_IO, "durable"},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct mw_err err = {.text = ""};
        uint64_t epoch = 0;
        int fd = -1;
        begin();
        rig_arm(rows[i].fault, rows[i].error, 1u << rows[i].call, 1);
        enum mw_rc rc = mw_lock_take(&rig_sys, dir_fd, &fd, &epoch, &err);
        if (rc == MW_OK) {
            assert_int_equal(epoch, 0); /* a fresh one */
            rc = mw_lock_note(&rig_sys, fd, 5, &err);
            mw_lock_release(&rig_sys, fd, 5);
        }
        if (rc != rows[i].rc || strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, mw_rc_name(rc), err.text);
        if (rc != MW_OK)
            continue;
        assert_int_equal(mw_lock_take(&rig_sys, dir_fd, &fd, &epoch, &err), MW_OK);
        assert_int_equal(epoch, 5); /* which outlives its holder */
        mw_lock_release(&rig_sys, fd, epoch);
    }
}

static int end(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    if (dir_fd >= 0)
        (void)close(dir_fd);
    if (dir[0] != '\0')
        rig_remove_dir(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p11_who_does_not_get_the_lock_is_told_why),
        cmocka_unit_test(p11_a_line_of_another_spelling_says_nothing),
        cmocka_unit_test(p11_the_holder_is_found_in_the_kernels_list),
        cmocka_unit_test(p11_a_lock_that_cannot_be_opened_or_noted_is_told_by_its_cause),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
