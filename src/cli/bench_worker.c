/* bench_worker.c - W1x: the agent is another process, which takes its tasks over the socket and answers everything at once. */
#include "cli/bench.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void serve(struct mw_trial *host)
{
    struct mw_trial_worker worker;
    struct mw_err err;
    uint32_t count;
    mw_trial_worker_open(host, "bench", &worker);
    while (mw_trial_worker_take(&worker, 20000, &count, &err) == MW_OK) {
        const struct mw_tape *tape = &worker.tape;
        uint32_t tasks = mw_node_get(tape, 0, "tasks");
        for (uint32_t at = mw_node_first(tape, tasks); at != MW_NODE_NONE;
             at = mw_node_after(tape, tasks, at))
            mw_trial_worker_answer(&worker, mw_node_get_text(tape, at, "taskId"),
                                   (uint64_t)mw_node_int(tape, mw_node_get(tape, at, "fence"), 0),
                                   tape->nodes[mw_node_get(tape, at, "payload")].text);
    }
}

enum mw_rc mw_bench_worker_start(struct mw_trial *host, pid_t *ret_pid, struct mw_err *err)
{
    pid_t parent = getpid();
    pid_t pid = fork(); /* one thread, and nothing buffered that matters */
    if (pid < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "start a worker");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            serve(host);
        _exit(0);
    }
    *ret_pid = pid;
    return MW_OK;
}

void mw_bench_worker_end(pid_t pid, double *ret_cpu_s)
{
    struct rusage used = {0};
    (void)kill(pid, SIGTERM);
    while (wait4(pid, NULL, 0, &used) < 0 && errno == EINTR)
        ;
    *ret_cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
