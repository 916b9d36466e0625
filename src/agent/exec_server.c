/* Both sides of the fork server: the host, which hands over descriptors, and the server, which forks. */
#include "agent/exec_server.h"

#include "agent/proc.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL_FD 3
#define ANSWER_MS 10000 /* a server that does not answer by then is stuck: it is killed */
#define LOOK_MS 100     /* one that was stopped is found so soon: the host's loop waits meanwhile */
#define FRESH_NS (250 * (int64_t)1000000)

struct order {
    uid_t counted;
};

/* Room for the control message that carries the descriptors. */
union passed {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int) * MW_EXEC_FD_END)];
};

/* ---- the host's side ---- */

/* One for the process: whoever forked without exec has none, the numbers are its parent's. */
static struct server {
    pid_t owner, pid;
    int channel;
} server = {.owner = -1, .pid = -1, .channel = -1};

void mw_exec_server_stop(void)
{
    if (server.channel >= 0)
        (void)close(server.channel);
    if (server.pid > 0 && server.owner == getpid()) {
        (void)kill(server.pid, SIGKILL); /* not collected, so the number is still its own */
        while (waitpid(server.pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    server.owner = server.pid = server.channel = -1;
}

uint64_t mw_exec_server_cpu_us(void)
{
    clockid_t clock;
    struct timespec used;
    if (server.owner != getpid() || clock_getcpuclockid(server.pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static bool start_server(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, MW_EXEC_FD_END);
    int sources[MW_EXEC_FD_END] = {nothing, nothing, nothing, theirs, nothing, nothing};
    pid_t pid = -1;
    if (nothing >= 0 && theirs >= 0 && mw_exec_spawn("/proc/self/exe", true, sources, &pid) == 0)
        server = (struct server){.owner = getpid(), .pid = pid, .channel = ends[0]};
    else
        (void)close(ends[0]);
    (void)close(ends[1]); /* the server's */
    mw_autoclose_fd(&nothing);
    mw_autoclose_fd(&theirs);
    return pid > 0;
}

static bool hand_over(const int fds[MW_EXEC_FD_END], uid_t counted)
{
    struct order order = {.counted = counted};
    struct iovec part = {.iov_base = &order, .iov_len = sizeof(order)};
    union passed passed = {.room = {0}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = passed.room,
                             .msg_controllen = sizeof(passed.room)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * MW_EXEC_FD_END);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * MW_EXEC_FD_END);
    ssize_t sent;
    do {
        sent = sendmsg(server.channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof(order);
}

bool mw_exec_server_order(const int fds[MW_EXEC_FD_END], uid_t counted)
{
    if (server.owner != getpid())
        mw_exec_server_stop();
    if (server.pid > 0 && hand_over(fds, counted))
        return true;
    /* None yet, or it was killed: one more try with a new one. */
    mw_exec_server_stop();
    return start_server() && hand_over(fds, counted);
}

static bool is_stopped(void)
{
    struct mw_proc proc;
    return server.pid > 0 && mw_proc_read(server.pid, &proc) &&
           (proc.state == 'T' || proc.state == 't');
}

/* True: something can be read, or never will. */
static bool hears(int control_fd)
{
    struct pollfd heard = {.fd = control_fd, .events = POLLIN};
    int64_t until_ns = mw_now_monotonic_ns() + ANSWER_MS * (int64_t)1000000;
    for (;;) {
        int ready = poll(&heard, 1, LOOK_MS);
        if (ready > 0)
            return true;
        if ((ready < 0 && errno != EINTR) || (ready == 0 && is_stopped()) ||
            mw_now_monotonic_ns() > until_ns)
            return false;
    }
}

enum mw_rc mw_exec_server_await(int control_fd, pid_t *ret_pid, struct mw_err *err)
{
    for (int round = 0; round < 2; round++) {
        if (hears(control_fd)) {
            pid_t pid = -1;
            if (read(control_fd, &pid, sizeof(pid)) != (ssize_t)sizeof(pid) || pid <= 0)
                return MW_FAIL(err, MW_E_MISSING, "the fork server started nothing");
            *ret_pid = pid;
            return MW_OK;
        }
        mw_exec_server_stop(); /* what it held of the order is gone with it: the channel ends, or was taken over by a supervisor */
    }
    return MW_FAIL(err, MW_E_TIMEOUT, "no word of the child within %d s", 2 * ANSWER_MS / 1000);
}

/* ---- the server ---- */

/* Descriptors that come with an order must lie above those that the supervisor has. */
static int settle(void)
{
    int channel = fcntl(CHANNEL_FD, F_DUPFD_CLOEXEC, MW_EXEC_FD_END);
    if (channel < 0 || dup2(STDIN_FILENO, CHANNEL_FD) < 0)
        return -1;
    (void)prctl(PR_SET_NAME, "millwright-fork"); /* for people who look at ps */
    return channel;
}

/* False when the host has gone. What came without all its descriptors is dropped: the host sees its channel end. */
static bool receive(int channel, struct order *ret_order, int fds[MW_EXEC_FD_END])
{
    for (;;) {
        struct iovec part = {.iov_base = ret_order, .iov_len = sizeof(*ret_order)};
        union passed passed;
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = passed.room,
                                 .msg_controllen = sizeof(passed.room)};
        ssize_t got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        size_t bytes =
            head != NULL && head->cmsg_type == SCM_RIGHTS ? head->cmsg_len - CMSG_LEN(0) : 0;
        size_t count = bytes / sizeof(int) < MW_EXEC_FD_END ? bytes / sizeof(int) : MW_EXEC_FD_END;
        if (count > 0)
            memcpy(fds, CMSG_DATA(head), count * sizeof(int));
        if (got == (ssize_t)sizeof(*ret_order) && count == MW_EXEC_FD_END)
            return true;
        for (size_t i = 0; i < count; i++)
            (void)close(fds[i]);
    }
}

/* Looked up at most four times a second, not for each child: the kernel limits a user's processes by their number over all. */
static void look_again(struct mw_exec_known *known, uid_t user)
{
    static uid_t counted = MW_EXEC_NOBODY;
    static int64_t counted_at_ns, opened_at_ns = INT64_MIN / 2;
    int64_t now_ns = mw_now_monotonic_ns();
    if (now_ns - opened_at_ns >= FRESH_NS) {
        mw_sandbox_system_close(&known->system);
        mw_sandbox_system_open(&known->system);
        opened_at_ns = now_ns;
    }
    if (user == MW_EXEC_NOBODY || (user == counted && now_ns - counted_at_ns < FRESH_NS))
        return;
    known->tasks = mw_sandbox_count_tasks(user);
    counted = user;
    counted_at_ns = now_ns;
}

static int be_supervisor(const struct mw_exec_known *known, int channel,
                         const int fds[MW_EXEC_FD_END], char *word)
{
    (void)close(channel); /* the server's alone */
    for (int target = 0; target < MW_EXEC_FD_END; target++) {
        if (dup2(fds[target], target) < 0)
            return 70;
        (void)close(fds[target]); /* the host has to see when ours are closed */
    }
    memset(word, 0, strlen(word));
    pid_t own = getpid();
    if (send(MW_EXEC_FD_CONTROL, &own, sizeof(own), MSG_NOSIGNAL) != (ssize_t)sizeof(own))
        return 70; /* the host has gone */
    return mw_exec_stub_main(known);
}

int mw_exec_server_main(char *word)
{
    struct mw_exec_known known = {.server = getpid(), .offer = mw_sandbox_probe()};
    struct order order;
    struct mw_err err;
    int fds[MW_EXEC_FD_END];
    int channel = settle();
    if (channel < 0 || mw_sandbox_bound(&err) != MW_OK)
        return 70;
    mw_exec_offer_first();
    for (size_t i = 0; i < MW_SANDBOX_SYSTEM_MAX; i++)
        known.system.fds[i] = -1;
    while (receive(channel, &order, fds)) {
        look_again(&known, order.counted);
        /* Not fork(): the child is to be our parent's. There is one thread here and no lock that the child could miss. */
        long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0)
            _exit(be_supervisor(&known, channel, fds, word));
        for (size_t i = 0; i < MW_EXEC_FD_END; i++)
            (void)close(fds[i]); /* no child: the host sees the end of its channel */
    }
    return 0;
}
