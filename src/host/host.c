#include "agent/leftovers.h"
#include "host/poison.h"
#include "host/workers.h"
#include "journal/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define OPEN_FILES_WANTED 8192u

static enum mw_rc open_workspace(struct mw_host *host, const char *workspace, struct mw_err *err);
static enum mw_rc open_journal(struct mw_host *host, struct mw_err *err);
static enum mw_rc end_leftovers(struct mw_host *host, struct mw_err *err);
static void begin_work(struct mw_host *host, const char *catalogue_sha256);
static void on_signal(uv_signal_t *handle, int number);
static void on_idle(uv_timer_t *timer);
static void leave(struct mw_host *host, int exit_code);
static void find_program(struct mw_host *host);
static void tell_starter(const char *words);

static uint64_t idle_ms(void)
{
    const char *text = getenv("MILLWRIGHT_IDLE_MS");
    uint64_t value;
    return text != NULL && mw_str_to_u64(mw_str_of(text), &value) && value > 0 ? value
                                                                               : MW_IDLE_EXIT_MS;
}

/* How much the core may hold (P09). */
static enum mw_rc read_ceiling(struct mw_host *host, struct mw_err *err)
{
    const char *text = getenv("MILLWRIGHT_MEMORY_MB");
    uint64_t mebibytes = MW_REGION_BYTES >> 20;
    if (text != NULL && *text != '\0' &&
        (!mw_str_to_u64(mw_str_of(text), &mebibytes) || mebibytes < MW_MEMORY_MB_MIN ||
         mebibytes > MW_REGION_BYTES >> 20))
        return MW_FAIL(err, MW_E_CONFIG,
                       "MILLWRIGHT_MEMORY_MB is a number from %u to %lu, not '%s'",
                       MW_MEMORY_MB_MIN, (unsigned long)(MW_REGION_BYTES >> 20), text);
    host->memory_bytes = (size_t)mebibytes << 20;
    return MW_OK;
}

const char *mw_build_id(void)
{
    static char text[64];
    struct stat info;
    if (text[0] == '\0' && stat("/proc/self/exe", &info) == 0)
        snprintf(text, sizeof(text), "%s-%llx-%llx", MW_PRODUCT_VERSION,
                 (unsigned long long)info.st_mtim.tv_sec, (unsigned long long)info.st_size);
    return text;
}

/* On a worker thread: the loop meanwhile answers 503 with how far it is. */
static void replay(uv_work_t *work)
{
    struct mw_host *host = work->data;
    struct mw_journal_opened opened = {0};
    host->start_rc = mw_replay_run(host->replay_plan, &opened, &host->start_err);
    mw_heap_free(host->replay_plan);
    host->replay_plan = NULL;
    if (opened.torn_bytes > 0)
        mw_host_log(host, "warning", "journal.torn",
                    "%lu bytes of an unfinished frame are kept in %s",
                    (unsigned long)opened.torn_bytes, opened.torn_file);
    if (host->start_rc == MW_OK)
        host->start_rc = end_leftovers(host, &host->start_err);
    if (host->start_rc == MW_OK)
        host->start_rc = mw_blobs_sweep(&host->blobs, &host->start_err);
}

static void stop_at_start(struct mw_host *host, enum mw_rc rc, const struct mw_err *err)
{
    mw_autofree char *words = mw_heap_format("error %d %s\n", mw_rc_exit_code(rc), err->text);
    tell_starter(words);
    fprintf(stderr, "millwright: %s\n", err->text);
    leave(host, mw_rc_exit_code(rc));
}

static void after_replay(uv_work_t *work, int status)
{
    struct mw_host *host = work->data;
    char sha256[MW_SHA256_HEX];
    (void)status; /* never cancelled */
    if (host->draining)
        return; /* told to leave in the meantime */
    if (host->start_rc == MW_OK)
        host->start_rc = mw_pins_load_factory(host, sha256, &host->start_err);
    if (host->start_rc != MW_OK) {
        stop_at_start(host, host->start_rc, &host->start_err);
        return;
    }
    host->durable = host->core.world.last_seq; /* of a start that failed nothing is believed */
    mw_poison_replay_over(host);
    host->core.world.mem.ceiling_bytes = host->memory_bytes; /* what is there already stays */
    mw_host_commit_start(host);
    begin_work(host, sha256);
    host->replaying = false;
    host->last_busy_ms = uv_now(&host->loop);
    (void)uv_timer_start(&host->idle, on_idle, idle_ms(), 0);
    mw_host_log(host, "info", "host.ready", "%lu records",
                (unsigned long)host->core.world.last_seq);
    mw_host_api_look(host); /* who came to follow while the journal was read is waiting for it */
    tell_starter("ready\n");
}

/* A record that ends every replay: what is on the disk is shown, nothing is changed, and nobody starts the host again and again (P08). */
static void stay_read_only(struct mw_host *host)
{
    host->read_only_for = mw_poison_record(host);
    host->durable = mw_poison_last_seq(host);
    host->replaying = false;
    host->last_busy_ms = uv_now(&host->loop);
    (void)uv_timer_start(&host->idle, on_idle, idle_ms(), 0);
    mw_host_log(host, "error", "host.read_only",
                "record %lu ended the host each time it was replayed: views work, nothing new is "
                "taken",
                (unsigned long)host->read_only_for);
    tell_starter("ready\n");
}

static void watch_signals(struct mw_host *host)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < MW_COUNT(numbers); i++) {
        (void)uv_signal_init(&host->loop, &host->signals[i]);
        (void)uv_signal_start(&host->signals[i], on_signal, numbers[i]);
    }
}

static ino_t socket_inode(const struct mw_host *host)
{
    struct stat info;
    bool there =
        fstatat(host->workspace_fd, ".millwright/millwright.sock", &info, AT_SYMLINK_NOFOLLOW) == 0;
    return there ? info.st_ino : 0;
}

int mw_host_run(struct mw_host *host, const char *workspace)
{
    struct mw_err err = {0};
    (void)uv_loop_init(&host->loop);
    host->loop.data = host;
    host->workspace_fd = -1;
    host->mask = mw_mask_make();
    host->replaying = true;
    enum mw_rc rc = read_ceiling(host, &err);
    if (rc == MW_OK)
        rc = open_workspace(host, workspace, &err);
    if (rc == MW_OK)
        rc = open_journal(host, &err);
    if (rc == MW_OK)
        rc = mw_host_api_start(host, &err);
    if (rc != MW_OK) {
        stop_at_start(host, rc, &err);
        return host->exit_code;
    }
    host->socket_inode = socket_inode(host);
    host->socket_path = mw_heap_format("%s/.millwright/millwright.sock", host->workspace);
    watch_signals(host);
    (void)uv_timer_init(&host->loop, &host->idle);
    host->replay.data = host;
    mw_poison_open(host);
    if (mw_poison_record(host) != 0)
        stay_read_only(host);
    else
        (void)uv_queue_work(&host->loop, &host->replay, replay, after_replay);
    (void)uv_run(&host->loop, UV_RUN_DEFAULT);
    if (host->replaying) { /* the worker may still be reading; nothing was written that could be lost */
        if (host->exit_code == 0) { /* told to leave: that is no death to be suspicious of */
            (void)unlinkat(host->workspace_fd, ".millwright/cache/loading", 0);
            mw_poison_replayed(host);
        }
        (void)unlinkat(host->workspace_fd, ".millwright/millwright.sock", 0);
        _exit(host->exit_code);
    }
    mw_host_snapshot_stop(host);
    mw_host_api_stop(host);
    mw_host_commit_stop(host);
    /* Workers still hash, copy, put bundles together and promote, or wait for a process: no other host may begin before they have ended. */
    bool at_work = host->attempts_running > 0 || host->snapshot.running;
    if (at_work)
        host->ops->keep_lock(host->journal);
    if (host->read_only_for ==
        0) /* else it was never checked, and the process's end lets go of it */
        (void)host->ops->close(host->journal, &err); /* every record is durable already */
    mw_poison_close(host);
    /* Whoever waits for the socket to go may remove everything then: the last word is said before. */
    mw_host_log(host, "info", "host.left", "exit %d", host->exit_code);
    if (socket_inode(host) ==
        host->socket_inode) /* else the next host's: the lock is free already */
        (void)unlinkat(host->workspace_fd, ".millwright/millwright.sock", 0);
    if (at_work) /* libraries must not be torn down under them */
        _exit(host->exit_code);
    mw_exec_server_stop(); /* else it would be left to whoever collects orphans */
    return host->exit_code;
}

/* Callers, workers and agents each take some; what agents get is limited on its own (agent/sandbox.c). */
static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= OPEN_FILES_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < OPEN_FILES_WANTED ? limit.rlim_max : OPEN_FILES_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* without it there is room for fewer */
}

int mw_host_main(int argc, char **argv)
{
    static struct mw_host host; /* one a process; too large for the stack */
    if (argc < 3) {
        fprintf(stderr, "usage: millwright __host WORKSPACE\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    raise_open_files();
    return mw_host_run(&host, argv[2]);
}

/* Who started us waits on this descriptor for one line. */
static void tell_starter(const char *words)
{
    const char *text = getenv("MILLWRIGHT_READY_FD");
    uint64_t fd;
    if (text == NULL || !mw_str_to_u64(mw_str_of(text), &fd) || fd > 1024)
        return;
    (void)unsetenv("MILLWRIGHT_READY_FD");
    if (mw_write_all((int)fd, mw_str_of(words), NULL) == MW_OK)
        (void)close((int)fd);
}

static void find_program(struct mw_host *host)
{
    static const char *const places[] = {"factory", "../factory", "../share/millwright/factory",
                                         "../../factory"};
    char path[4096], found[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    /* The program was replaced while it ran: agents are started from what stands there now. */
    struct mw_str whole = mw_str_of(path), gone = MW_STR(" (deleted)");
    if (mw_str_ends(whole, gone) && !mw_exists(AT_FDCWD, path))
        path[whole.len - gone.len] = '\0';
    host->program = mw_heap_copy(mw_str_of(path));
    const char *set = getenv("MILLWRIGHT_FACTORY");
    if (set != NULL && realpath(set, found) != NULL) {
        host->factory = mw_heap_copy(mw_str_of(found));
        return;
    }
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; host->factory == NULL && i < MW_COUNT(places); i++) {
        mw_autofree char *place = mw_heap_format("%s/%s", path, places[i]);
        if (realpath(place, found) != NULL)
            host->factory = mw_heap_copy(mw_str_of(found));
    }
}

static enum mw_rc open_workspace(struct mw_host *host, const char *workspace, struct mw_err *err)
{
    static const char *const folders[] = {".millwright/journal", ".millwright/defs",
                                          ".millwright/work",    ".millwright/log",
                                          ".millwright/cache",   ".millwright/repos"};
    char full[4096];
    struct stat info;
    if (realpath(workspace, full) == NULL)
        return MW_FAIL_SYS(err, MW_E_USAGE, "the workspace '%s'", workspace);
    host->workspace = mw_heap_copy(mw_str_of(full));
    host->workspace_fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (host->workspace_fd < 0 || fstat(host->workspace_fd, &info) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open '%s'", full);
    host->is_root = geteuid() == 0;
    host->owner_uid = info.st_uid;
    host->owner_gid = info.st_gid;
    host->path = mw_heap_copy(mw_str_of(getenv("PATH") != NULL ? getenv("PATH") : "/usr/bin:/bin"));
    mw_time_text(mw_now_unix_us(), host->since);
    find_program(host);
    if (host->factory == NULL)
        return MW_FAIL(err, MW_E_MISSING,
                       "factory/ is not beside the program; set MILLWRIGHT_FACTORY");
    for (size_t i = 0; i < MW_COUNT(folders); i++) {
        enum mw_rc rc = mw_mkdirs(host->workspace_fd, folders[i], 0700, err);
        if (rc != MW_OK)
            return rc;
    }
    /* Agents may run as the workspace's owner: the way to their folders has to be open to that person. */
    if (host->is_root && host->owner_uid != 0) {
        (void)fchmodat(host->workspace_fd, ".millwright", 0711, 0);
        (void)fchmodat(host->workspace_fd, ".millwright/work", 0711, 0);
        (void)fchownat(host->workspace_fd, ".millwright/repos", host->owner_uid, host->owner_gid,
                       0);
    }
    enum mw_rc rc = mw_blobs_open(host->workspace_fd, ".millwright", &host->blobs, err);
    host->blobs_open = rc == MW_OK;
    (void)fchmodat(host->workspace_fd, ".millwright/blobs", 0700,
                   0); /* an older one that was open to everybody is closed */
    return rc;
}

#define LEAVING_NS (5ll * 1000000000)

/* Who listened may be dead while a child that it was just starting holds its socket and its lock a moment longer. */
static bool listener_lives(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid == 0)
        return true; /* of another container: it cannot be asked */
    return kill(peer.pid, 0) == 0 || errno != ESRCH;
}

static bool somebody_answers(struct mw_host *host)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mw_autoclose int folder =
        openat(host->workspace_fd, ".millwright", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mw_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/millwright.sock",
             folder);
    return folder >= 0 && fd >= 0 &&
           connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
           listener_lives(fd);
}

static enum mw_rc open_journal(struct mw_host *host, struct mw_err *err)
{
    struct mw_core_config config = {.region = mw_heap_reserve(MW_REGION_BYTES),
                                    .region_bytes = MW_REGION_BYTES,
                                    .region_zeroed = true,
                                    .arena = mw_heap_reserve(MW_STEP_ARENA_BYTES),
                                    .arena_bytes = MW_STEP_ARENA_BYTES,
                                    .catalogue = mw_pins_catalogue,
                                    .document = mw_pins_document,
                                    .host = host};
    mw_autofree char *folder = mw_heap_format("%s/.millwright/journal", host->workspace);
    mw_autofree char *side = mw_heap_format("%s/.millwright", host->workspace);
    struct mw_journal_options options = {.side_dir = side};
    mw_core_init(&host->core, &config);
    host->ops = &mw_journal_files;
    host->replay_plan = mw_replay_make(host, &options);
    enum mw_rc rc = host->ops->open(folder, &options, &host->journal, NULL, err);
    /* A host that is leaving answers no more and holds the lock a moment longer; one that answers keeps it. */
    int64_t give_up_ns = mw_now_monotonic_ns() + LEAVING_NS;
    while (rc == MW_E_CONFLICT && mw_now_monotonic_ns() < give_up_ns && !somebody_answers(host)) {
        const struct timespec pause = {.tv_nsec = 20000000};
        (void)nanosleep(&pause, NULL); /* woken early: it is looked at early */
        rc = host->ops->open(folder, &options, &host->journal, NULL, err);
    }
    /* The first host of a workspace: what leads to the journal has to have its name on the disk, too (P01). */
    if (rc == MW_OK && host->ops->last_seq(host->journal) == 0 && fsync(host->workspace_fd) != 0)
        rc = MW_FAIL_SYS(err, MW_E_IO, "make '.millwright' durable");
    return rc;
}

/* Whatever a killed host left running is ended before anything is asked again. */
static enum mw_rc end_leftovers(struct mw_host *host, struct mw_err *err)
{
    int fd = openat(host->workspace_fd, ".millwright/work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    enum mw_rc rc = MW_OK;
    if (list == NULL)
        return MW_FAIL_SYS(err, MW_E_IO, "list '.millwright/work'");
    for (struct dirent *entry; rc == MW_OK && (entry = readdir(list)) != NULL;) {
        mw_autofree char *path =
            mw_heap_format("%s/.millwright/work/%s/pid", host->workspace, entry->d_name);
        enum mw_leftover found;
        struct mw_err why;
        struct stat facts;
        if (entry->d_name[0] == '.' || fstatat(AT_FDCWD, path, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
            facts.st_size == 0)
            continue;
        if (mw_leftover_end(path, 1000, &found, &why) != MW_OK)
            mw_host_log(host, "warning", "leftover.unknown", "%s", why.text);
        else if (found == MW_LEFTOVER_ENDED)
            mw_host_log(host, "warning", "leftover.ended", "%s", entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(list);
    return rc;
}

static void tell_digest(struct mw_host *host, enum mw_request_kind kind, const char *sha256)
{
    mw_autofree char *body =
        mw_heap_format("{\"sha256\":\"%s\",\"version\":\"%s\"}", sha256, MW_PRODUCT_VERSION);
    mw_host_tell(host, kind, 0, 0, mw_str_of(body));
}

static void begin_work(struct mw_host *host, const char *catalogue_sha256)
{
    if (host->core.world.last_seq == 0)
        tell_digest(host, MW_REQ_CREATE_JOURNAL, catalogue_sha256);
    tell_digest(host, MW_REQ_LOAD_DEFINITION, catalogue_sha256);
    mw_pins_register_agents(host);
    mw_host_asks_start_all(host);
}

static void leave(struct mw_host *host, int exit_code)
{
    host->exit_code = exit_code;
    host->draining = true;
    uv_stop(&host->loop);
}

/* The workspace's path leads somewhere else, or nowhere, or another host has come: our socket is not at its end. What cannot be asked is taken
 * to stand. Asked with every request: one look. */
static bool has_lost_its_place(const struct mw_host *host)
{
    struct stat there;
    if (host->socket_inode == 0) /* it could not be seen when it was ours */
        return false;
    if (fstatat(AT_FDCWD, host->socket_path, &there, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || errno == ENOTDIR;
    return there.st_ino != host->socket_inode;
}

bool mw_host_is_elsewhere(struct mw_host *host)
{
    if (host->elsewhere || host->replaying || !has_lost_its_place(host))
        return host->elsewhere;
    mw_host_log(host, "warning", "host.moved",
                "the workspace is not '%s' any more: the next host works where it is now",
                host->workspace);
    host->elsewhere = true;
    mw_host_drain(host);
    return true;
}

bool mw_host_leaves(struct mw_host *host)
{
    return mw_host_is_elsewhere(host) || host->draining;
}

static void on_drained(uv_timer_t *timer)
{
    leave(timer->loop->data, 0);
}

void mw_host_drain(struct mw_host *host)
{
    host->draining = true;
    (void)uv_timer_start(&host->idle, on_drained, 50, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct mw_host *host = handle->loop->data;
    mw_host_log(host, "info", "host.signal", "%d", number);
    leave(host, 0);
}

/* Idle: no client, nothing running, nothing on its way to the disk, no open ask but untimed ones of people. */
bool mw_host_is_busy(const struct mw_host *host)
{
    return mw_host_asks_busy(host) > 0 || mw_workers_awake(host) || host->attempts_running > 0 ||
           host->writing != NULL || mw_host_api_connections(host) > 0 || mw_host_api_has_port(host);
}

static void on_idle(uv_timer_t *timer)
{
    struct mw_host *host = timer->loop->data;
    if (mw_host_is_elsewhere(host))
        return;
    mw_host_api_look(host);
    uint64_t since = uv_now(&host->loop) - host->last_busy_ms;
    bool busy = mw_host_is_busy(host);
    busy = busy || (since >= idle_ms() && mw_host_snapshot_consider(host, true));
    if (!busy && since >= idle_ms()) {
        leave(host, 0);
        return;
    }
    (void)uv_timer_start(timer, on_idle, since < idle_ms() && !busy ? idle_ms() - since : idle_ms(),
                         0);
}
