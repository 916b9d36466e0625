/*
 * A pid file of a task and a table of processes, both any: what the killed host before left is ended, and never anybody else. Which process
 * may be signalled is said here a second time, from what leftovers.h promises; it is looked at with each signal. Nothing real is signalled:
 * the table, its environments, the clock and the waiting are this file's.
 */
#include "agent/leftovers.h"
#include "agent/proc.h"
#include "fuzz.h"
#include "posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define PROCS_MAX 8u
#define FDS_MAX 1024
#define FOLDER "/w/t1"
#define BOOT "0f0e0d0c-boot"
#define MARK "MILLWRIGHT_WORK_DIR="

/* How a process takes TERM and KILL. */
enum manner { OBEYS, DEAF_TO_TERM, STAYS_DEAD, CANNOT_BE_ENDED, MANNERS };

static struct one {
    struct mw_proc proc;
    enum manner manner;
    char env[128];
    size_t env_bytes;
    bool there;
} table[PROCS_MAX];
static struct mw_str pid_file;
static bool file_there, folder_there;
static int64_t now_ns;
static uint8_t process_of_fd[FDS_MAX];
static uint32_t signals;

/* What the file says to another reader. */
static struct {
    bool read, ours; /* ours: it names a child of this boot */
    int64_t pid, start;
} said;

/* ---- who may be ended ---- */

static const struct one *by_pid(pid_t pid)
{
    for (size_t i = 0; i < PROCS_MAX; i++)
        if (table[i].there && table[i].proc.pid == pid)
            return &table[i];
    return NULL;
}

static bool is_under(const struct one *one, pid_t root)
{
    for (size_t steps = 0; one != NULL && steps <= PROCS_MAX; steps++) {
        if (one->proc.parent == root)
            return true;
        one = by_pid(one->proc.parent);
    }
    return false;
}

static bool is_marked(const struct one *one)
{
    static const char *const marks[] = {MARK FOLDER, MARK FOLDER "/"};
    for (size_t at = 0; folder_there && at < one->env_bytes; at += strlen(one->env + at) + 1)
        if (strcmp(one->env + at, marks[0]) == 0 ||
            strncmp(one->env + at, marks[1], strlen(marks[1])) == 0)
            return true;
    return false;
}

static bool is_ours(const struct one *one)
{
    const struct one *us = by_pid(getpid());
    return one == us || is_under(us, one->proc.pid);
}

/* Known when the supervisor is gone, too: by the session that it led, or by the mark. */
static bool is_known(const struct one *one)
{
    const struct one *leader = by_pid((pid_t)said.pid);
    bool session = one->proc.session == said.pid &&
                   (leader == NULL || leader->proc.start_ticks == (uint64_t)said.start);
    return said.ours && one->proc.pid > 1 && !is_ours(one) &&
           one->proc.start_ticks >= (uint64_t)said.start && (session || is_marked(one));
}

static bool may_be_ended(const struct one *one)
{
    const struct one *leader = by_pid((pid_t)said.pid);
    bool lives = said.ours && leader != NULL && !is_ours(leader) &&
                 leader->proc.start_ticks == (uint64_t)said.start && leader->proc.state != 'Z';
    return is_known(one) ||
           (lives && one->proc.pid > 1 && (one == leader || is_under(one, leader->proc.pid)));
}

/* ---- the world ---- */

enum mw_rc __wrap_mw_file_read(int at_fd, const char *path, size_t max_bytes, struct mw_buf *buf,
                               struct mw_err *err);
enum mw_rc __wrap_mw_file_read(int at_fd, const char *path, size_t max_bytes, struct mw_buf *buf,
                               struct mw_err *err)
{
    int pid = 0;
    (void)at_fd, (void)max_bytes;
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        mw_buf_put_z(buf, BOOT "\n");
        return MW_OK;
    }
    MW_ASSERT(sscanf(path, "/proc/%d/environ", &pid) == 1);
    const struct one *one = by_pid(pid);
    if (one == NULL)
        return MW_FAIL(err, MW_E_MISSING, "it has gone");
    mw_buf_put(buf, (struct mw_str){one->env, one->env_bytes});
    return MW_OK;
}

enum mw_rc __wrap_mw_file_read_regular(int at_fd, const char *path, size_t max_bytes,
                                       struct mw_buf *buf, struct mw_err *err);
enum mw_rc __wrap_mw_file_read_regular(int at_fd, const char *path, size_t max_bytes,
                                       struct mw_buf *buf, struct mw_err *err)
{
    (void)at_fd;
    if (!file_there)
        return MW_FAIL(err, MW_E_MISSING, "'%s' is not there", path);
    if (pid_file.len > max_bytes)
        return MW_FAIL(err, MW_E_LIMIT, "'%s' is too large", path);
    mw_buf_put(buf, pid_file);
    return MW_OK;
}

char *__wrap_realpath(const char *path, char *ret_path);
char *__wrap_realpath(const char *path, char *ret_path)
{
    if (strlen(path) >= PATH_MAX || !folder_there) {
        errno = ENOENT;
        return NULL;
    }
    return strcpy(ret_path, path);
}

int64_t __wrap_mw_now_monotonic_ns(void);
int64_t __wrap_mw_now_monotonic_ns(void)
{
    return now_ns;
}

struct mw_procs __wrap_mw_procs_all(void);
struct mw_procs __wrap_mw_procs_all(void)
{
    struct mw_procs procs = {mw_heap_alloc(sizeof(*procs.list) * PROCS_MAX), 0};
    for (size_t i = 0; i < PROCS_MAX; i++)
        if (table[i].there)
            procs.list[procs.count++] = table[i].proc;
    return procs;
}

bool __wrap_mw_proc_read(pid_t pid, struct mw_proc *ret_proc);
bool __wrap_mw_proc_read(pid_t pid, struct mw_proc *ret_proc)
{
    const struct one *one = by_pid(pid);
    if (one != NULL)
        *ret_proc = one->proc;
    return one != NULL;
}

static struct one *exactly(const struct mw_proc *proc)
{
    const struct one *one = by_pid(proc->pid);
    return one != NULL && one->proc.start_ticks == proc->start_ticks ? &table[one - table] : NULL;
}

int __wrap_mw_proc_open(const struct mw_proc *proc);
int __wrap_mw_proc_open(const struct mw_proc *proc)
{
    const struct one *one = exactly(proc);
    if (one == NULL)
        return -1;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    MW_ASSERT(fd >= 0 && fd < FDS_MAX);
    process_of_fd[fd] = (uint8_t)(one - table);
    return fd;
}

/* A dead process that is not collected has ended for whoever waits for it. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    MW_ASSERT(count == 1 && timeout_ms >= 0);
    const struct one *one = &table[process_of_fd[fds[0].fd]];
    if (!one->there || one->proc.state == 'Z')
        return 1;
    now_ns += (int64_t)timeout_ms * 1000000;
    return 0;
}

bool __wrap_mw_proc_signal(const struct mw_proc *proc, int number);
bool __wrap_mw_proc_signal(const struct mw_proc *proc, int number)
{
    struct one *one = exactly(proc);
    if (one == NULL)
        return false;
    if (one->proc.state == 'Z') /* to the dead it is nothing */
        return true;
    MW_ASSERT(!said.read || may_be_ended(one));
    signals++;
    now_ns += 1000000;
    if (number == SIGCONT || one->manner == CANNOT_BE_ENDED ||
        (number == SIGTERM && one->manner == DEAF_TO_TERM))
        return true;
    one->there = one->manner == STAYS_DEAD;
    one->proc.state = 'Z';
    for (size_t i = 0; i < PROCS_MAX; i++) /* a supervisor inherits what is below it */
        if (table[i].proc.parent == one->proc.pid)
            table[i].proc.parent = one->proc.parent;
    return true;
}

/* ---- an input ---- */

/* Small numbers, that meet; one of them is this process's. */
static pid_t some_pid(struct fuzz_bytes *bytes)
{
    unsigned number = fuzz_byte(bytes) % (PROCS_MAX + 2);
    return number == 0 ? getpid() : (pid_t)number;
}

static void make_table(struct fuzz_bytes *bytes)
{
    static const char *const folders[] = {"",   FOLDER, FOLDER "/files", FOLDER "x", "/w/t2",
                                          "/w", "t1",   FOLDER "/../t2"};
    memset(table, 0, sizeof table);
    for (size_t i = 0; i < PROCS_MAX; i++) {
        struct one *one = &table[i];
        uint8_t kind = fuzz_byte(bytes);
        const char *folder = folders[fuzz_byte(bytes) % MW_COUNT(folders)];
        one->proc = (struct mw_proc){.pid = i == 0 ? getpid() : some_pid(bytes),
                                     .parent = some_pid(bytes),
                                     .session = some_pid(bytes),
                                     .state = kind & 4 ? 'Z' : 'S',
                                     .start_ticks = fuzz_byte(bytes) % 4};
        if (one->proc.pid == 1)
            one->proc.parent = 0;
        one->manner = (enum manner)(kind / 8 % MANNERS);
        int length = snprintf(one->env, sizeof one->env, "A=1%c%s%s", '\0',
                              folder[0] != '\0' ? MARK : "B=2", folder);
        one->env_bytes = (size_t)length + (kind & 2 ? 1 : 0); /* its last end may be missing */
        one->there = i == 0 || (kind % 2 == 1 && by_pid(one->proc.pid) == NULL);
    }
}

static void ask_another_reader(void)
{
    json_t *json = json_loadb(pid_file.ptr, pid_file.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *pid = json_object_get(json, "pid"), *start = json_object_get(json, "start");
    const char *boot = json_string_value(json_object_get(json, "boot"));
    memset(&said, 0, sizeof said);
    said.read = json != NULL || pid_file.len == 0;
    said.pid = json_integer_value(pid);
    said.start = json_integer_value(start);
    said.ours = json_is_integer(pid) && json_is_integer(start) && said.pid > 1 &&
                said.pid <= INT_MAX && said.start >= 0 && boot != NULL && strcmp(boot, BOOT) == 0;
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes bytes = {data, size};
    struct mw_err err = {0};
    enum mw_leftover found = MW_LEFTOVER_NONE;
    char made[128], *memory = NULL;
    uint8_t how = fuzz_byte(&bytes);
    uint32_t grace_ms = fuzz_byte(&bytes) * 10u;
    make_table(&bytes);
    folder_there = how % 8 != 0;
    file_there = how % 16 != 1;
    if (how & 16) {
        int pid = (int)some_pid(&bytes), start = fuzz_byte(&bytes) % 4;
        int length = snprintf(made, sizeof made, "{\"pid\":%d,\"start\":%d,\"boot\":\"%s\"}\n", pid,
                              start, fuzz_byte(&bytes) == 1 ? "another" : BOOT);
        pid_file = (struct mw_str){made, (size_t)length};
    } else {
        pid_file = fuzz_rest(bytes.data, bytes.size, &memory);
    }
    ask_another_reader();
    now_ns = 1000000000;
    signals = 0;
    enum mw_rc rc = mw_leftover_end(FOLDER "/pid", grace_ms, &found, &err);
    MW_ASSERT(rc == MW_OK || rc == MW_E_CORRUPT || rc == MW_E_TIMEOUT);
    if (rc != MW_OK)
        MW_ASSERT(err.text[0] != '\0');
    if (!file_there || rc == MW_E_CORRUPT)
        MW_ASSERT(signals == 0);
    /* It says so when there was something; and then nothing of it runs. */
    if (rc == MW_OK && said.read) {
        MW_ASSERT((found == MW_LEFTOVER_ENDED) == (signals > 0));
        for (size_t i = 0; file_there && i < PROCS_MAX; i++)
            MW_ASSERT(!table[i].there || table[i].proc.state == 'Z' || !is_known(&table[i]));
    }
    mw_heap_free(memory);
    return 0;
}
