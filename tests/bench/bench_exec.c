/*
 * bench_exec.c - what starting a program costs under supervision and sandbox, beside starting it bare: wall clock and CPU of all processes.
 *
 *   bench_exec [COUNT [IN_FLIGHT [forked|loaded]]]     default 500 programs, 8 at once, both ways
 * The program is its own supervisor, as the tests of exec.h are. Nothing is written but what /bin/echo says.
 */
#include "bench.h"

#include "agent/exec.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define IN_FLIGHT_MAX 64

extern char **environ;

static double cpu_ms(int who)
{
    struct rusage usage;
    (void)getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void start_bare(void)
{
    char *argv[] = {(char[]){"echo"}, (char[]){"hello"}, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) != 0 ||
        posix_spawn(&pid, "/bin/echo", &actions, NULL, argv, environ) != 0)
        abort();
    (void)posix_spawn_file_actions_destroy(&actions);
}

static void bare(int count, int in_flight)
{
    for (int started = 0, ended = 0; ended < count; ended++) {
        while (started < count && started - ended < in_flight) {
            start_bare();
            started++;
        }
        if (wait(NULL) < 0)
            abort();
    }
}

static bool by_server;

static struct mw_exec_child start_supervised(const char *folder)
{
    const char *argv[] = {"/bin/echo", "hello", NULL};
    const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    struct mw_exec_spec spec = {
        .argv = argv,
        .env = env,
        .cwd = folder,
        .by_server = by_server,
        .sandbox = {.profile = MW_PROFILE_BUILD, .work_dir = folder, .tmp_dir = folder}};
    struct mw_exec_child child;
    struct mw_err err;
    if (mw_exec_start(&spec, &child, &err) != MW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return child;
}

/* As the host does: output to its end, then the report, then the exited supervisor. */
static void finish(struct mw_exec_child *child)
{
    char bytes[MW_EXEC_REPORT_BYTES_MAX];
    ssize_t report = read(child->report_fd, bytes, sizeof(bytes) - 1);
    if (report <= 0 || read(child->stdout_fd, bytes, sizeof(bytes)) != 6 || !mw_exec_reap(child)) {
        (void)fprintf(stderr, "the supervised program ended otherwise\n");
        exit(1);
    }
    mw_exec_close(child);
}

static void supervised(int count, int in_flight, const char *folder)
{
    struct mw_exec_child children[IN_FLIGHT_MAX];
    struct pollfd gone[IN_FLIGHT_MAX];
    int running = 0;
    for (int started = 0, ended = 0; ended < count;) {
        while (started < count && running < in_flight) {
            children[running] = start_supervised(folder);
            gone[running] = (struct pollfd){.fd = children[running].pidfd, .events = POLLIN};
            running++;
            started++;
        }
        (void)poll(gone, (nfds_t)running, -1);
        for (int i = running - 1; i >= 0; i--) {
            if (gone[i].revents == 0)
                continue;
            finish(&children[i]);
            running--;
            children[i] = children[running];
            gone[i] = gone[running];
            ended++;
        }
    }
}

static double tell(const char *name, int count, int64_t from_ns, double own_ms, double children_ms)
{
    double seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    double own = (cpu_ms(RUSAGE_SELF) - own_ms) / count;
    double children = (cpu_ms(RUSAGE_CHILDREN) - children_ms) / count;
    char label[96];
    (void)snprintf(label, sizeof(label), "%s, programs", name);
    bench_tell("exec", label, count / seconds, "/s", "");
    (void)snprintf(label, sizeof(label), "%s, CPU of who starts", name);
    bench_tell("exec", label, own, "ms", "a program");
    (void)snprintf(label, sizeof(label), "%s, CPU of what is started", name);
    bench_tell("exec", label, children, "ms", "a program");
    return own + children;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "__exec") == 0)
        return mw_exec_main(argc, argv);
    int count = argc > 1 ? atoi(argv[1]) : 500;
    int in_flight = argc > 2 ? atoi(argv[2]) : 8;
    char folder[] = "/tmp/mw-bench-exec-XXXXXX";
    if (count < 1 || in_flight < 1 || in_flight > IN_FLIGHT_MAX || mkdtemp(folder) == NULL)
        return 64;
    int64_t from_ns = bench_now_ns();
    double own = cpu_ms(RUSAGE_SELF), children = cpu_ms(RUSAGE_CHILDREN);
    bare(count, in_flight);
    double limit = tell("bare", count, from_ns, own, children);
    for (int round = 0; round < 2; round++) {
        by_server = round == 1;
        if (argc > 3 && strcmp(argv[3], by_server ? "forked" : "loaded") != 0)
            continue;
        from_ns = bench_now_ns();
        own = cpu_ms(RUSAGE_SELF);
        children = cpu_ms(RUSAGE_CHILDREN);
        supervised(count, in_flight, folder);
        mw_exec_server_stop(); /* only what is collected is counted */
        const char *name = by_server ? "supervised, forked" : "supervised, loaded";
        double cost = tell(name, count, from_ns, own, children);
        char label[96];
        (void)snprintf(label, sizeof(label), "%s, part of the bare rate by CPU", name);
        bench_tell("exec", label, 100 * limit / cost, "%", "");
    }
    (void)rmdir(folder);
    return 0;
}
