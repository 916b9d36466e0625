#include "agent/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the system call filter knows x86_64 and aarch64"
#endif

#define X32_BIT 0x40000000u
#define PROGRAM_MAX 512
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)
#define NEW_TIME_NAMESPACE 0x80u /* in unshare only: for clone these bits are the signal */
#define SOCKET_TYPE_MASK 0xfu
#define FAST_OPEN                                                                                  \
    0x20000000u /* MSG_FASTOPEN: connects inside a send, past Landlock's rule for connect */
#define PROTOCOL_TCP 6u

/* Never, in any profile. The answer is EPERM unless the row says otherwise. */
struct denied {
    uint32_t number;
    uint16_t answer;
};

static const struct denied denied[] = {
    {SYS_ptrace, EPERM},
    {SYS_process_vm_readv, EPERM},
    {SYS_process_vm_writev, EPERM},
    {SYS_kcmp, EPERM},
    {438 /* pidfd_getfd */, EPERM},
    {SYS_mount, EPERM},
    {SYS_umount2, EPERM},
    {SYS_pivot_root, EPERM},
    {SYS_chroot, EPERM},
    {428 /* open_tree */, EPERM},
    {429 /* move_mount */, EPERM},
    {430 /* fsopen */, EPERM},
    {431 /* fsconfig */, EPERM},
    {432 /* fsmount */, EPERM},
    {433 /* fspick */, EPERM},
    {442 /* mount_setattr */, EPERM},
    {SYS_setns, EPERM},
    {SYS_open_by_handle_at, EPERM},
    {SYS_bpf, EPERM},
    {SYS_perf_event_open, EPERM},
    {SYS_userfaultfd, EPERM},
    {SYS_fanotify_init, EPERM},
    {SYS_keyctl, EPERM},
    {SYS_add_key, EPERM},
    {SYS_request_key, EPERM},
    {SYS_kexec_load, EPERM},
#ifdef SYS_kexec_file_load
    {SYS_kexec_file_load, EPERM},
#endif
    {SYS_init_module, EPERM},
    {SYS_finit_module, EPERM},
    {SYS_delete_module, EPERM},
    {SYS_reboot, EPERM},
    {SYS_swapon, EPERM},
    {SYS_swapoff, EPERM},
    {SYS_acct, EPERM},
    {SYS_quotactl, EPERM},
    {SYS_syslog, EPERM},
    {SYS_settimeofday, EPERM},
    {SYS_clock_settime, EPERM},
    {SYS_clock_adjtime, EPERM},
    {SYS_adjtimex, EPERM},
    {SYS_sethostname, EPERM},
    {SYS_setdomainname, EPERM},
    {SYS_vhangup, EPERM},
    {SYS_move_pages, EPERM},
    {SYS_migrate_pages, EPERM},
#ifdef SYS_iopl
    {SYS_iopl, EPERM},
    {SYS_ioperm, EPERM},
#endif
    /* A ring makes sockets and opens files where no filter looks. */
    {425 /* io_uring_setup */, ENOSYS},
    {426 /* io_uring_enter */, ENOSYS},
    {427 /* io_uring_register */, ENOSYS},
    /* Its flags lie behind a pointer; libraries fall back to clone, whose flags can be read. */
    {435 /* clone3 */, ENOSYS},
};

/* The calls that reach another process by its number, and which argument the number is. */
static const struct {
    uint32_t number;
    uint8_t argument;
} by_number[] = {
    {SYS_kill, 0},
    {SYS_tkill, 0},
    {SYS_tgkill, 0},
    {SYS_rt_sigqueueinfo, 0},
    {SYS_rt_tgsigqueueinfo, 0},
    {434 /* pidfd_open */, 0},
    {SYS_prlimit64, 0},
    {SYS_sched_setscheduler, 0},
    {SYS_sched_setparam, 0},
    {SYS_sched_setaffinity, 0},
};

struct program {
    struct sock_filter code[PROGRAM_MAX];
    uint16_t count;
};

static void put(struct program *program, uint16_t code, uint8_t yes, uint8_t no, uint32_t value)
{
    MW_ASSERT(program->count < PROGRAM_MAX);
    program->code[program->count++] = (struct sock_filter){code, yes, no, value};
}

static void load(struct program *program, size_t offset)
{
    put(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* The low half: every argument looked at is an int. Both machines are little-endian. */
static void load_argument(struct program *program, unsigned index)
{
    load(program, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static void answer(struct program *program, uint32_t number)
{
    put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | number);
}

/* A block for one call: begin, tests, end. begin jumps over the block for other calls; end loads the number again. */
static uint16_t begin(struct program *program, uint32_t number)
{
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, number);
    return program->count;
}

static void end(struct program *program, uint16_t start)
{
    load(program, offsetof(struct seccomp_data, nr));
    unsigned length = program->count - start;
    MW_ASSERT(length <= UINT8_MAX);
    program->code[start - 1].jf = (uint8_t)length;
}

/* With the argument loaded. */
static void refuse_if_equal(struct program *program, uint32_t value, uint32_t number)
{
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    answer(program, number);
}

static void refuse_if_any_bit(struct program *program, uint32_t bits, uint32_t number)
{
    put(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits);
    answer(program, number);
}

static void put_entry(struct program *program)
{
    load(program, offsetof(struct seccomp_data, arch));
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OUR_ARCH);
    put(program, BPF_RET | BPF_K, 0, 0,
        SECCOMP_RET_KILL_PROCESS); /* 32-bit calls have other numbers */
    load(program, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    put(program, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
    answer(program, ENOSYS);
#endif
}

static void put_flag_rules(struct program *program)
{
    uint16_t start = begin(program, SYS_clone);
    load_argument(program, 0);
    refuse_if_any_bit(program, NEW_NAMESPACES, EPERM);
    end(program, start);

    start = begin(program, SYS_unshare);
    load_argument(program, 0);
    refuse_if_any_bit(program, NEW_NAMESPACES | NEW_TIME_NAMESPACE, EPERM);
    end(program, start);

    start = begin(program, SYS_ioctl);
    load_argument(program, 1);
    refuse_if_equal(program, TIOCSTI, EPERM); /* types into somebody's terminal */
    refuse_if_equal(program, 0x541C /* TIOCLINUX */, EPERM);
    end(program, start);
}

/* seccomp(SECCOMP_SET_MODE_FILTER) stays allowed: more filters only take away. */
static void put_number_rules(struct program *program, const struct mw_seccomp *rules)
{
    for (size_t i = 0; i < MW_COUNT(by_number); i++) {
        uint16_t start = begin(program, by_number[i].number);
        load_argument(program, by_number[i].argument);
        if (by_number[i].number == SYS_kill)
            refuse_if_equal(program, (uint32_t)-1, EPERM); /* everybody of this user */
        for (size_t j = 0; j < MW_SECCOMP_PROTECT_MAX; j++)
            if (rules->protect[j] != 0)
                refuse_if_equal(program, (uint32_t)rules->protect[j], EPERM);
        end(program, start);
    }
}

/* With the number loaded and the call known to be socket(): the family is one and nothing else of it is refused. */
static void allow_family(struct program *program, uint32_t family)
{
    load_argument(program, 0);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, family);
    put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* Allows socket(family, stream, 0 or TCP): MPTCP and SCTP would pass Landlock's TCP rules. */
static void allow_tcp(struct program *program, uint32_t family)
{
    load_argument(program, 0);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 7, family);
    load_argument(program, 1);
    put(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, SOCKET_TYPE_MASK);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SOCK_STREAM);
    load_argument(program, 2);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PROTOCOL_TCP);
    put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void put_socket_rules(struct program *program, const struct mw_seccomp *rules)
{
    uint16_t start = begin(program, SYS_socket);
    /* Netlink's routing family only: resolvers and os.networkInterfaces() read addresses from it. */
    load_argument(program, 0);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, AF_NETLINK);
    load_argument(program, 2);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    if (rules->unix_sockets)
        allow_family(program, AF_UNIX);
    if (rules->inet_all) {
        allow_family(program, AF_INET);
        allow_family(program, AF_INET6);
    } else if (rules->inet_tcp) {
        allow_tcp(program, AF_INET);
        allow_tcp(program, AF_INET6);
    }
    answer(program, EACCES);
    end(program, start);

    if (!rules->unix_sockets) { /* a datagram pair could still be sent to a path */
        start = begin(program, SYS_socketpair);
        load_argument(program, 1);
        put(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, SOCKET_TYPE_MASK);
        refuse_if_equal(program, SOCK_DGRAM, EACCES);
        end(program, start);
    }
    if (rules->inet_tcp && !rules->inet_all) {
        start = begin(program, SYS_sendto);
        load_argument(program, 3);
        refuse_if_any_bit(program, FAST_OPEN, EPERM);
        end(program, start);
        start = begin(program, SYS_sendmsg);
        load_argument(program, 2);
        refuse_if_any_bit(program, FAST_OPEN, EPERM);
        end(program, start);
        start = begin(program, SYS_sendmmsg);
        load_argument(program, 3);
        refuse_if_any_bit(program, FAST_OPEN, EPERM);
        end(program, start);
    }
}

enum mw_rc mw_seccomp_apply(const struct mw_seccomp *rules, struct mw_err *err)
{
    struct program program = {.count = 0};
    put_entry(&program);
    for (size_t i = 0; i < MW_COUNT(denied); i++)
        refuse_if_equal(&program, denied[i].number, denied[i].answer);
    put_flag_rules(&program);
    put_number_rules(&program, rules);
    put_socket_rules(&program, rules);
    put(&program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);

    struct sock_fprog loaded = {program.count, program.code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) != 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "install the system call filter");
    return MW_OK;
}

bool mw_seccomp_offered(void)
{
    uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}
