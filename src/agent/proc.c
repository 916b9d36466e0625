#include "agent/proc.h"

#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAT_BYTES_MAX 1024

bool mw_proc_read(pid_t pid, struct mw_proc *ret_proc)
{
    char path[32];
    char text[STAT_BYTES_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    mw_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    if (len <= 0)
        return false;
    text[len] = '\0';
    /* The name may hold blanks and parentheses; the last ')' ends it. */
    const char *rest = strrchr(text, ')');
    if (rest == NULL)
        return false;
    char state;
    int parent, group, session;
    long threads;
    unsigned long long start;
    if (sscanf(rest + 1,
               " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
               &state, &parent, &group, &session, &threads, &start) != 6)
        return false;
    *ret_proc = (struct mw_proc){.pid = pid,
                                 .parent = parent,
                                 .group = group,
                                 .session = session,
                                 .state = state,
                                 .thread_count = threads > 0 ? (uint32_t)threads : 0,
                                 .start_ticks = start};
    return true;
}

struct mw_procs mw_procs_all(void)
{
    struct mw_procs procs = {NULL, 0};
    size_t capacity = 0;
    DIR *folder = opendir("/proc");
    if (folder == NULL)
        return procs;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        struct mw_proc proc;
        if (pid <= 0 || *end != '\0' || !mw_proc_read((pid_t)pid, &proc))
            continue;
        if (procs.count == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 256;
            struct mw_proc *larger = mw_heap_alloc(capacity * sizeof(*larger));
            if (procs.count > 0)
                memcpy(larger, procs.list, procs.count * sizeof(*larger));
            mw_heap_free(procs.list);
            procs.list = larger;
        }
        procs.list[procs.count++] = proc;
    }
    (void)closedir(folder); /* nothing was written */
    return procs;
}

static int by_pid(const void *a, const void *b)
{
    const struct mw_proc *left = a;
    const struct mw_proc *right = b;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

void mw_procs_keep_descendants(struct mw_procs *procs, pid_t root)
{
    if (procs->count == 0)
        return;
    qsort(procs->list, procs->count, sizeof(procs->list[0]), by_pid);
    mw_autofree bool *kept = mw_heap_alloc(procs->count * sizeof(*kept));
    /* Each round adds one generation at least; the tree is as deep as it is. */
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t i = 0; i < procs->count; i++) {
            if (kept[i] || procs->list[i].pid == root)
                continue;
            struct mw_proc key = {.pid = procs->list[i].parent};
            const struct mw_proc *parent =
                bsearch(&key, procs->list, procs->count, sizeof(procs->list[0]), by_pid);
            kept[i] = key.pid == root || (parent != NULL && kept[parent - procs->list]);
            grew = grew || kept[i];
        }
    }
    size_t count = 0;
    for (size_t i = 0; i < procs->count; i++)
        if (kept[i])
            procs->list[count++] = procs->list[i];
    procs->count = count;
}

void mw_procs_free(struct mw_procs *procs)
{
    mw_heap_free(procs->list);
    *procs = (struct mw_procs){NULL, 0};
}

int mw_proc_open(const struct mw_proc *proc)
{
    int fd = (int)syscall(SYS_pidfd_open, proc->pid, 0);
    struct mw_proc now;
    if (fd >= 0 && mw_proc_read(proc->pid, &now) && now.start_ticks == proc->start_ticks)
        return fd;
    if (fd >= 0)
        (void)close(fd); /* the number belongs to somebody else now */
    return -1;
}

bool mw_proc_signal(const struct mw_proc *proc, int number)
{
    mw_autoclose int fd = mw_proc_open(proc);
    return fd >= 0 && syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) == 0;
}
