#include "host/internal.h"
#include "host/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A start begins from the newest snapshot when it is sound, of this build and of this journal, and gives the state that it names. A process of
 * its own makes snapshots, with what time is left over: no step waits for it, its memory goes with it, and what goes wrong in it stays there.
 */

/* So much costs a start a second; a journal that grows faster than that is busy, and left alone for a while. */
#define RECORDS_BUSY 500000u
#define RECORDS_LEAVING 20000u
#define PAUSE_MS 60000u

/* ---- from a snapshot ---- */

static mw_seq seq_of(struct mw_str line)
{
    static const char member[] = "\"seq\":";
    const char *at = memmem(line.ptr, line.len, member, sizeof(member) - 1);
    mw_seq seq = 0;
    MW_ASSERT(at != NULL); /* the core has read it */
    for (at += sizeof(member) - 1; *at >= '0' && *at <= '9'; at++)
        seq = seq * 10 + (mw_seq)(*at - '0');
    return seq;
}

static enum mw_rc note_ask(void *context, struct mw_str line, bool left, struct mw_err *err)
{
    struct mw_host *host = context;
    mw_seq seq = left ? 0 : seq_of(line);
    (void)err; /* nothing can fail */
    if (seq > 0 && mw_table_get(&host->core.world.asks, seq) != NULL)
        mw_host_ask_opened(host, seq, line);
    return MW_OK;
}

/* As it was before: its memory is given back to the system, so it is zeros again. */
static void empty_core(struct mw_host *host)
{
    struct mw_core *core = &host->core;
    struct mw_core_config config = {.region = core->world.mem.region,
                                    .region_bytes = core->world.mem.size_bytes,
                                    .arena = core->arena.memory,
                                    .arena_bytes = core->arena.size_bytes,
                                    .catalogue = core->world.catalogue,
                                    .document = core->world.document,
                                    .host = core->world.host};
    (void)madvise(config.region, config.region_bytes, MADV_DONTNEED);
    mw_core_init(core, &config);
}

/* A snapshot that ends the process that loads it is tried once: the mark is still there at the next start. */
#define LOADING ".millwright/cache/loading"

static enum mw_rc load(struct mw_host *host, const struct mw_snapshot *snapshot, struct mw_str file,
                       struct mw_err *err)
{
    if (mw_exists(host->workspace_fd, LOADING))
        return MW_FAIL(err, MW_E_CORRUPT, "the last start ended while it loaded this snapshot");
    int mark = openat(host->workspace_fd, LOADING, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (mark >= 0)
        (void)close(mark); /* without the mark it is only not known */
    enum mw_rc rc = mw_snapshot_load(&host->core, snapshot, file, err);
    if (rc != MW_OK)
        empty_core(host);
    return rc;
}

static void say_ignored(struct mw_host *host, const struct mw_err *err)
{
    mw_host_log(host, "warning", "snapshot.ignored", "%s; the whole journal is replayed",
                err->text);
    host->snapshot.at = 0;
}

mw_seq mw_host_snapshot_find(struct mw_host *host)
{
    struct mw_snapshot found = {.records = 0};
    struct mw_err err = {0};
    const char *every = getenv("MILLWRIGHT_SNAPSHOT_RECORDS");
    host->snapshot.told = every != NULL && mw_str_to_u64(mw_str_of(every), &host->snapshot.every);
    host->snapshot.file = mw_heap_buf();
    host->snapshot.at = 0;
    enum mw_rc rc = mw_snapshot_find(host->workspace, &found, &host->snapshot.file, &err);
    if (rc != MW_OK) {
        if (rc != MW_E_MISSING)
            say_ignored(host, &err);
        mw_heap_buf_free(&host->snapshot.file);
        return 0;
    }
    host->snapshot.found = mw_heap_alloc(sizeof(found));
    *host->snapshot.found = found;
    host->snapshot.at = found.at.seq;
    return found.at.seq;
}

bool mw_host_snapshot_load(struct mw_host *host)
{
    struct mw_err err = {0};
    struct mw_snapshot *found = host->snapshot.found;
    struct mw_str file = mw_buf_str(&host->snapshot.file);
    MW_ASSERT(found != NULL);
    enum mw_rc rc = load(host, found, file, &err);
    if (rc == MW_OK)
        rc = mw_snapshot_each(file, note_ask, host, &err);
    (void)unlinkat(host->workspace_fd, LOADING, 0); /* perhaps there is none */
    if (rc == MW_OK)
        mw_host_log(host, "info", "snapshot.used", "%lu records stand for the first %lu",
                    (unsigned long)found->records, (unsigned long)found->at.seq);
    else
        say_ignored(host, &err);
    mw_heap_buf_free(&host->snapshot.file);
    mw_heap_free(found);
    host->snapshot.found = NULL;
    return rc == MW_OK;
}

/* ---- having one made ---- */

static int spawn_actions(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int failure = 0;
    for (int fd = 0; fd < 3 && failure == 0; fd++)
        failure = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
    if (failure == 0)
        failure = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (failure == 0)
        failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0)
        failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0)
        failure =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    return failure;
}

/* 0, or errno. */
static int spawn_maker(const struct mw_host *host, pid_t *ret_pid)
{
    char name[] = "millwright", verb[] = "__snapshot", until[24];
    char *const argv[] = {name, verb, host->workspace, until, NULL};
    char *const env[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    (void)snprintf(until, sizeof until, "%lu", (unsigned long)host->snapshot.until);
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0)
        return failure;
    failure = posix_spawnattr_init(&attributes);
    if (failure == 0) {
        failure = spawn_actions(&actions, &attributes);
        if (failure == 0)
            failure = posix_spawn(ret_pid, host->program, &actions, &attributes, argv, env);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* On a worker thread. The number is taken back before the process is reaped, so that nobody else's can be ended by it. */
static void make(uv_work_t *work)
{
    struct mw_host *host = work->data;
    siginfo_t info;
    pid_t pid;
    host->snapshot.status = -1;
    if (spawn_maker(host, &pid) != 0)
        return;
    __atomic_store_n(&host->snapshot.pid, pid, __ATOMIC_SEQ_CST);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        continue;
    __atomic_store_n(&host->snapshot.pid, 0, __ATOMIC_SEQ_CST);
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    host->snapshot.status = status;
}

static void after_make(uv_work_t *work, int status)
{
    struct mw_host *host = work->data;
    (void)status; /* never cancelled */
    host->snapshot.running = false;
    int ended = host->snapshot.status;
    bool made = ended != -1 && WIFEXITED(ended) && WEXITSTATUS(ended) == 0;
    /* After a failure too: it is tried again when as much has come again. */
    host->snapshot.at = host->snapshot.until;
    if (made)
        mw_host_log(host, "info", "snapshot.made", "up to record %lu",
                    (unsigned long)host->snapshot.until);
    else
        mw_host_log(host, "warning", "snapshot.failed",
                    "status %d; 'millwright journal snapshot' says why", ended);
}

static bool is_wanted(const struct mw_host *host, bool leaving)
{
    uint64_t since = host->durable - host->snapshot.at;
    if (host->snapshot.told)
        return host->snapshot.every > 0 && since >= host->snapshot.every;
    if (leaving)
        return since >= RECORDS_LEAVING;
    return since >= RECORDS_BUSY && (host->snapshot.begun_ms == 0 ||
                                     uv_now(&host->loop) >= host->snapshot.begun_ms + PAUSE_MS);
}

bool mw_host_snapshot_consider(struct mw_host *host, bool leaving)
{
    if (host->snapshot.running || host->draining || host->read_only_for != 0 ||
        !is_wanted(host, leaving))
        return host->snapshot.running;
    host->snapshot.running = true;
    host->snapshot.until = host->durable;
    host->snapshot.begun_ms = uv_now(&host->loop);
    host->snapshot.work.data = host;
    (void)uv_queue_work(&host->loop, &host->snapshot.work, make, after_make);
    return true;
}

void mw_host_snapshot_stop(struct mw_host *host)
{
    pid_t pid = __atomic_load_n(&host->snapshot.pid, __ATOMIC_SEQ_CST);
    if (host->snapshot.running && pid > 0)
        (void)kill(pid, SIGKILL); /* what it has written is taken by nobody */
}
