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

/* The calls that reach another process by its number, their first argument. */
static const uint32_t by_number[] = {
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    434 /* pidfd_open */,
    SYS_prlimit64,
    SYS_sched_setscheduler,
    SYS_sched_setparam,
    SYS_sched_setaffinity,
};

/*
 * The program: entry, a search for the call's number, and behind it a block for each kind of call that must be looked at. Every path ends in
 * an answer. The kernel runs the search once for each number there is when it installs the filter (what is then always allowed is never
 * asked again), for every process that we start: hence a tree, and few instructions.
 */
enum place {
    PLACE_EPERM,
    PLACE_ENOSYS,
    PLACE_PROCESS, /* names another process */
    PLACE_CLONE,
    PLACE_UNSHARE,
    PLACE_IOCTL,
    PLACE_SOCKET,
    PLACE_PAIR,
    PLACE_SENDTO,
    PLACE_SENDMSG,
    PLACE_SENDMMSG,
    PLACE_COUNT
};

struct row {
    uint32_t number;
    enum place place;
};

#define LEAF_MAX 6
#define ROWS_MAX (MW_COUNT(denied) + MW_COUNT(by_number) + PLACE_COUNT)

struct program {
    struct sock_filter code[PROGRAM_MAX];
    uint16_t count;
    uint16_t places[PLACE_COUNT];
    struct {
        uint16_t at;
        enum place place;
    } jumps[ROWS_MAX];
    uint16_t jump_count;
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

static void allow(struct program *program)
{
    put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void answer(struct program *program, uint32_t number)
{
    put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | number);
}

/* The jump at `at` goes, when its test holds, to what is put next. */
static void land(struct program *program, uint16_t at)
{
    unsigned length = program->count - at - 1u;
    MW_ASSERT(length <= UINT8_MAX);
    program->code[at].jt = (uint8_t)length;
}

/* With the argument loaded; each of these ends with an answer. */
static void refuse_any_bit(struct program *program, uint32_t bits, uint32_t number)
{
    put(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits);
    answer(program, number);
    allow(program);
}

static void refuse_any_of(struct program *program, const uint32_t *values, size_t count)
{
    uint16_t first = program->count;
    for (size_t i = 0; i < count; i++)
        put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, values[i]);
    allow(program);
    for (size_t i = 0; i < count; i++)
        land(program, (uint16_t)(first + i));
    answer(program, EPERM);
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

/* ---- the search ---- */

static void add_row(struct row *rows, size_t *count, uint32_t number, enum place place)
{
    MW_ASSERT(*count < ROWS_MAX);
    size_t at = (*count)++;
    for (; at > 0 && rows[at - 1].number > number; at--)
        rows[at] = rows[at - 1];
    rows[at] = (struct row){number, place};
}

/* Sorted by number, each number once. */
static size_t list_rows(const struct mw_seccomp *rules, struct row rows[ROWS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < MW_COUNT(denied); i++)
        add_row(rows, &count, denied[i].number,
                denied[i].answer == ENOSYS ? PLACE_ENOSYS : PLACE_EPERM);
    for (size_t i = 0; i < MW_COUNT(by_number); i++)
        add_row(rows, &count, by_number[i], PLACE_PROCESS);
    add_row(rows, &count, SYS_clone, PLACE_CLONE);
    add_row(rows, &count, SYS_unshare, PLACE_UNSHARE);
    add_row(rows, &count, SYS_ioctl, PLACE_IOCTL);
    add_row(rows, &count, SYS_socket, PLACE_SOCKET);
    if (!rules->unix_sockets)
        add_row(rows, &count, SYS_socketpair, PLACE_PAIR);
    if (rules->inet_tcp && !rules->inet_all) {
        add_row(rows, &count, SYS_sendto, PLACE_SENDTO);
        add_row(rows, &count, SYS_sendmsg, PLACE_SENDMSG);
        add_row(rows, &count, SYS_sendmmsg, PLACE_SENDMMSG);
    }
    return count;
}

static void put_leaf(struct program *program, const struct row *rows, size_t count)
{
    uint16_t refused[LEAF_MAX];
    size_t refused_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].place == PLACE_EPERM) { /* most of them: one answer serves the leaf */
            refused[refused_count++] = program->count;
            put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, rows[i].number);
            continue;
        }
        put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, rows[i].number);
        program->jumps[program->jump_count].at = program->count;
        program->jumps[program->jump_count++].place = rows[i].place;
        put(program, BPF_JMP | BPF_JA, 0, 0, 0);
    }
    allow(program);
    for (size_t i = 0; i < refused_count; i++)
        land(program, refused[i]);
    if (refused_count > 0)
        answer(program, EPERM);
}

static void put_search(struct program *program, const struct row *rows, size_t count)
{
    if (count <= LEAF_MAX) {
        put_leaf(program, rows, count);
        return;
    }
    size_t half = count / 2;
    uint16_t node = program->count;
    put(program, BPF_JMP | BPF_JGE | BPF_K, 0, 0, rows[half].number);
    put_search(program, rows, half);
    land(program, node);
    put_search(program, rows + half, count - half);
}

/* ---- the blocks ---- */

static void begin(struct program *program, enum place place)
{
    program->places[place] = program->count;
}

static void put_flag_blocks(struct program *program)
{
    static const uint32_t typing[] = {TIOCSTI,
                                      0x541C /* TIOCLINUX */}; /* into somebody's terminal */
    begin(program, PLACE_ENOSYS);
    answer(program, ENOSYS);
    begin(program, PLACE_CLONE);
    load_argument(program, 0);
    refuse_any_bit(program, NEW_NAMESPACES, EPERM);
    begin(program, PLACE_UNSHARE);
    load_argument(program, 0);
    refuse_any_bit(program, NEW_NAMESPACES | NEW_TIME_NAMESPACE, EPERM);
    begin(program, PLACE_IOCTL);
    load_argument(program, 1);
    refuse_any_of(program, typing, MW_COUNT(typing));
}

/* seccomp(SECCOMP_SET_MODE_FILTER) stays allowed: more filters only take away. */
static void put_process_block(struct program *program, const struct mw_seccomp *rules)
{
    uint32_t values[MW_SECCOMP_PROTECT_MAX + 1] = {(uint32_t)-1}; /* kill: everybody of this user */
    size_t count = 1;
    for (size_t i = 0; i < MW_SECCOMP_PROTECT_MAX; i++)
        if (rules->protect[i] != 0)
            values[count++] = (uint32_t)rules->protect[i];
    begin(program, PLACE_PROCESS);
    load_argument(program, 0);
    refuse_any_of(program, values, count);
}

/* With the family loaded: this one and nothing else of it is refused. */
static void allow_family(struct program *program, uint32_t family)
{
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, family);
    allow(program);
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
    allow(program);
}

static void put_socket_block(struct program *program, const struct mw_seccomp *rules)
{
    begin(program, PLACE_SOCKET);
    load_argument(program, 0);
    if (rules->unix_sockets)
        allow_family(program, AF_UNIX);
    if (rules->inet_all) {
        allow_family(program, AF_INET);
        allow_family(program, AF_INET6);
    }
    /* Netlink's routing family only: resolvers and os.networkInterfaces() read addresses from it. */
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, AF_NETLINK);
    load_argument(program, 2);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    allow(program);
    if (rules->inet_tcp && !rules->inet_all) {
        allow_tcp(program, AF_INET);
        allow_tcp(program, AF_INET6);
    }
    answer(program, EACCES);
}

/* A datagram pair could still be sent to a path. */
static void put_pair_block(struct program *program)
{
    begin(program, PLACE_PAIR);
    load_argument(program, 1);
    put(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, SOCKET_TYPE_MASK);
    put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SOCK_DGRAM);
    answer(program, EACCES);
    allow(program);
}

static void put_send_blocks(struct program *program)
{
    static const struct {
        enum place place;
        unsigned flags;
    } rows[] = {{PLACE_SENDTO, 3}, {PLACE_SENDMSG, 2}, {PLACE_SENDMMSG, 3}};
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        begin(program, rows[i].place);
        load_argument(program, rows[i].flags);
        refuse_any_bit(program, FAST_OPEN, EPERM);
    }
}

enum mw_rc mw_seccomp_apply(const struct mw_seccomp *rules, struct mw_err *err)
{
    struct row rows[ROWS_MAX];
    struct program program;
    program.count = program.jump_count = 0;
    put_entry(&program);
    put_search(&program, rows, list_rows(rules, rows));
    put_flag_blocks(&program);
    put_process_block(&program, rules);
    put_socket_block(&program, rules);
    if (!rules->unix_sockets)
        put_pair_block(&program);
    if (rules->inet_tcp && !rules->inet_all)
        put_send_blocks(&program);
    for (uint16_t i = 0; i < program.jump_count; i++) {
        uint16_t at = program.jumps[i].at;
        program.code[at].k = program.places[program.jumps[i].place] - at - 1u;
    }

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
