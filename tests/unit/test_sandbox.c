/* What a sandboxed child may not do is refused by the kernel, in every profile, and node still runs. */
#include "exec_fixture.h"

#include "agent/landlock.h"
#include "agent/seccomp.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

/* ---- the probe: this program again, inside; prints one word a line ---- */

static void say(const char *what, long result)
{
    printf("%s %s\n", what, result >= 0 ? "allowed" : strerrorname_np(errno));
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof(address));
}

/* Asked so that a kernel which is left to answer says something else than EPERM, whoever we are. */
static void try_calls(pid_t supervisor)
{
    const pid_t self = getpid();
    const struct {
        const char *name;
        long number, args[6];
    } calls[] = {
        {"vm_writev", SYS_process_vm_writev, {self}},
        {"kcmp", SYS_kcmp, {self, self, 0, 0, 0}},
        {"type_into_terminal", SYS_ioctl, {-1, TIOCSTI}},
        {"paste_into_terminal", SYS_ioctl, {-1, 0x541C /* TIOCLINUX */}},
        {"setns", SYS_setns, {-1, 0}},
        {"userfaultfd", SYS_userfaultfd, {-1}},
        {"move_pages", SYS_move_pages, {self}},
        {"add_key", SYS_add_key, {0}},
        {"request_key", SYS_request_key, {0}},
        {"tkill_supervisor", SYS_tkill, {supervisor, 1000 /* no signal */}},
        {"queue_to_supervisor", SYS_rt_sigqueueinfo, {supervisor, 0, 0}},
        {"tgqueue_to_supervisor", SYS_rt_tgsigqueueinfo, {supervisor, supervisor, 0, 0}},
        {"limit_supervisor", SYS_prlimit64, {supervisor, RLIMIT_NOFILE, 0, 0}},
        {"schedule_supervisor", SYS_sched_setscheduler, {supervisor, 0, 0}},
        {"rank_supervisor", SYS_sched_setparam, {supervisor, 0}},
        {"pin_supervisor", SYS_sched_setaffinity, {supervisor, sizeof(long), 0}},
        {"limit_self", SYS_prlimit64, {self, RLIMIT_NOFILE, 0, 0}},
        {"ask_a_terminal", SYS_ioctl, {-1, TCGETS}},
        {"fast_sendto", SYS_sendto, {-1, 0, 0, MSG_FASTOPEN, 0, 0}},
        {"fast_sendmsg", SYS_sendmsg, {-1, 0, MSG_FASTOPEN}},
        {"fast_sendmmsg", SYS_sendmmsg, {-1, 0, 0, MSG_FASTOPEN}},
        {"plain_sendto", SYS_sendto, {-1, 0, 0, MSG_NOSIGNAL, 0, 0}},
    };
    for (size_t i = 0; i < MW_COUNT(calls); i++) {
        const long *args = calls[i].args;
        say(calls[i].name,
            syscall(calls[i].number, args[0], args[1], args[2], args[3], args[4], args[5]));
    }
}

static int be_probe(int argc, char **argv)
{
    pid_t supervisor = getppid();
    char word[8];
    int pair[2];
    struct rlimit files, core;
    struct stat facts;
    for (int i = 2; i + 1 < argc; i += 2) { /* connect PORT, listen PORT, signal PID */
        int number = atoi(argv[i + 1]);
        if (strcmp(argv[i], "connect") == 0)
            say("connect", connect_to((uint16_t)number));
        else if (strcmp(argv[i], "listen") == 0)
            say("listen", listen_on((uint16_t)number));
        else
            say("signal", kill((pid_t)number, 0));
    }
    if (argc > 2)
        return 0;
    say("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    say("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    say("bpf", syscall(SYS_bpf, 0, NULL, 0));
    say("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -1, 0));
    say("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    say("vm_readv", syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
    say("io_uring", syscall(425, 1, NULL));
    say("module", syscall(SYS_finit_module, -1, "", 0));
    say("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    say("pidfd_getfd", syscall(438, 0, 0, 0));
    say("unshare_user", unshare(CLONE_NEWUSER));
    say("unshare_net", unshare(CLONE_NEWNET));
    say("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0));
    say("clone3", syscall(435, NULL, 0));
    say("kill_all", kill(-1, 0));
    say("kill_supervisor", kill(supervisor, 0));
    say("kill_supervisors_group", kill(-supervisor, 0));
    say("tgkill_supervisor", syscall(SYS_tgkill, supervisor, supervisor, 0));
    say("pidfd_supervisor", syscall(SYS_pidfd_open, supervisor, 0));
    say("kill_self", kill(getpid(), 0));
    try_calls(supervisor);
    say("inet", socket(AF_INET, SOCK_STREAM, 0));
    say("inet6", socket(AF_INET6, SOCK_STREAM, 0));
    say("udp", socket(AF_INET, SOCK_DGRAM, 0));
    say("mptcp", socket(AF_INET, SOCK_STREAM, 262));
    say("vsock", socket(40, SOCK_STREAM, 0));
    say("packet", socket(AF_PACKET, SOCK_RAW, 0));
    say("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    say("route", socket(AF_NETLINK, SOCK_RAW, 0));
    say("audit", socket(AF_NETLINK, SOCK_RAW, 9));
    say("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    say("pair_dgram", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    (void)getrlimit(RLIMIT_NOFILE, &files);
    (void)getrlimit(RLIMIT_CORE, &core);
    printf("files %lu core %lu nnp %d dumpable %d\n", (unsigned long)files.rlim_max,
           (unsigned long)core.rlim_max, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
           prctl(PR_GET_DUMPABLE));
    (void)creat("made", 0666);
    (void)snprintf(word, sizeof(word), "%o", stat("made", &facts) == 0 ? facts.st_mode & 0777 : 0);
    printf("mode %s\n", word);
    return 0;
}

/* Not by way of exit(): a leak checker traces its own process there, and that is refused inside. */
static _Noreturn void exit_probe(int code)
{
    (void)fflush(stdout);
    _exit(code);
}

/* ---- helpers ---- */

static bool lacks_landlock(int abi)
{
    if (mw_sandbox_probe().landlock_abi >= abi)
        return false;
    print_message("skipped: no Landlock (ABI %d)\n", abi);
    return true;
}

static struct ended *run_probe(const struct fixture *f, enum mw_profile profile, bool network,
                               bool unix_sockets)
{
    char self[PATH_MAX] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    const char *argv[] = {self, "probe", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.sandbox.profile = profile;
    spec.sandbox.network = network;
    spec.sandbox.unix_sockets = unix_sockets;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("", ended->report.error_text);
    return ended;
}

static void assert_has(const struct ended *ended, const char *line)
{
    char with_newline[256];
    (void)snprintf(with_newline, sizeof(with_newline), "%s\n", line);
    const char *at = strstr(ended->out.ptr, with_newline);
    if (at == NULL || (at != ended->out.ptr && at[-1] != '\n'))
        fail_msg("no line '%s' in:\n%s", line, ended->out.ptr);
}

static const enum mw_profile profiles[] = {MW_PROFILE_BUILD, MW_PROFILE_TEST, MW_PROFILE_SERVE};

/* ---- system calls ---- */

static void what_no_agent_needs_is_refused_in_every_profile(void **state)
{
    static const char *const lines[] = {"ptrace EPERM",
                                        "mount EPERM",
                                        "bpf EPERM",
                                        "keyctl EPERM",
                                        "perf EPERM",
                                        "vm_readv EPERM",
                                        "io_uring ENOSYS",
                                        "module EPERM",
                                        "kexec EPERM",
                                        "pidfd_getfd EPERM",
                                        "unshare_user EPERM",
                                        "unshare_net EPERM",
                                        "clone_user EPERM",
                                        "clone3 ENOSYS",
                                        "kill_all EPERM",
                                        "kill_supervisor EPERM",
                                        "kill_supervisors_group EPERM",
                                        "tgkill_supervisor EPERM",
                                        "pidfd_supervisor EPERM",
                                        "kill_self allowed",
                                        "vm_writev EPERM",
                                        "kcmp EPERM",
                                        "type_into_terminal EPERM",
                                        "paste_into_terminal EPERM",
                                        "ask_a_terminal EBADF",
                                        "setns EPERM",
                                        "userfaultfd EPERM",
                                        "move_pages EPERM",
                                        "add_key EPERM",
                                        "request_key EPERM",
                                        "tkill_supervisor EPERM",
                                        "queue_to_supervisor EPERM",
                                        "tgqueue_to_supervisor EPERM",
                                        "limit_supervisor EPERM",
                                        "schedule_supervisor EPERM",
                                        "rank_supervisor EPERM",
                                        "pin_supervisor EPERM",
                                        "limit_self allowed",
                                        "plain_sendto EBADF",
                                        "vsock EACCES",
                                        "packet EACCES",
                                        "unix EACCES",
                                        "route allowed",
                                        "audit EACCES",
                                        "pair allowed",
                                        "pair_dgram EACCES",
                                        "files 4096 core 0 nnp 1 dumpable 1",
                                        "mode 644"};
    for (size_t i = 0; i < MW_COUNT(profiles); i++) {
        struct ended *ended = run_probe(*state, profiles[i], false, false);
        for (size_t j = 0; j < MW_COUNT(lines); j++)
            assert_has(ended, lines[j]);
        fixture_free(ended);
    }
}

static void build_has_no_network_and_test_and_serve_have_only_tcp(void **state)
{
    for (size_t i = 0; i < MW_COUNT(profiles); i++) {
        bool build = profiles[i] == MW_PROFILE_BUILD;
        struct ended *ended = run_probe(*state, profiles[i], false, false);
        assert_has(ended, build ? "inet EACCES" : "inet allowed");
        assert_has(ended, build ? "inet6 EACCES" : "inet6 allowed");
        assert_has(ended, "udp EACCES");
        assert_has(ended, "mptcp EACCES");
        /* A send that connects would go past the rule which ports: without a socket there is none. */
        assert_has(ended, build ? "fast_sendto EBADF" : "fast_sendto EPERM");
        assert_has(ended, build ? "fast_sendmsg EBADF" : "fast_sendmsg EPERM");
        assert_has(ended, build ? "fast_sendmmsg EBADF" : "fast_sendmmsg EPERM");
        fixture_free(ended);
    }
}

static void network_and_unix_sockets_are_given_when_the_spec_says_so(void **state)
{
    struct ended *ended = run_probe(*state, MW_PROFILE_BUILD, true, true);
    assert_has(ended, "inet allowed");
    assert_has(ended, "udp allowed");
    assert_has(ended, "unix allowed");
    assert_has(ended, "packet EACCES");
    assert_has(ended, "mount EPERM");
    fixture_free(ended);
}

static void a_listed_port_is_open_and_every_other_is_not(void **state)
{
    if (lacks_landlock(MW_LANDLOCK_ABI_NET))
        return;
    char self[PATH_MAX] = {0};
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(server, (struct sockaddr *)&address, len));
    assert_int_equal(0, listen(server, 8));
    assert_int_equal(0, getsockname(server, (struct sockaddr *)&address, &len));
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
    const uint16_t mine[] = {ntohs(address.sin_port), 0}, other[] = {1, 0};
    const char *argv[] = {self, "probe", "connect", port, "listen", port, NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.sandbox.profile = MW_PROFILE_SERVE;

    spec.sandbox.bind_ports = other;
    struct ended *ended = fixture_run(&spec);
    assert_has(ended, "connect EACCES");
    assert_has(ended, "listen EACCES");
    fixture_free(ended);

    spec.sandbox.connect_ports = mine;
    ended = fixture_run(&spec);
    assert_has(ended, "connect allowed");
    assert_has(ended, "listen EACCES");
    fixture_free(ended);

    spec.sandbox.bind_ports = mine;
    ended = fixture_run(&spec);
    assert_has(ended, "listen EADDRINUSE"); /* past the sandbox: we listen there ourselves */
    fixture_free(ended);
    (void)close(server);
}

static void a_process_outside_cannot_be_signalled(void **state)
{
    char self[PATH_MAX] = {0}, number[16];
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    pid_t stranger = fork();
    if (stranger == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must not leave it behind */
        pause();
        _exit(0);
    }
    (void)snprintf(number, sizeof(number), "%d",
                   (int)(lacks_landlock(MW_LANDLOCK_ABI_SCOPE) ? getpid() : stranger));
    const char *argv[] = {self, "probe", "signal", number, NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    struct ended *ended = fixture_run(&spec);
    assert_has(ended, "signal EPERM");
    fixture_free(ended);
    (void)kill(stranger, SIGKILL);
    (void)waitpid(stranger, NULL, 0);
}

/* Without Landlock (an old kernel) the rest holds: proven by leaving it out. */
static void seccomp_and_limits_hold_without_landlock(void **state)
{
    const struct fixture *f = *state;
    struct mw_sandbox sandbox = {
        .profile = MW_PROFILE_BUILD, .work_dir = f->work, .file_size_bytes_max = 4096};
    struct mw_sandbox_offer offer = {.landlock_abi = 0, .seccomp = true};
    struct mw_sandbox_program program = {.program = "/bin/true", .path_list = "", .home = f->home};
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_err err;
        struct rlimit size;
        if (mw_sandbox_confine(&sandbox, &offer, &program, &err) != MW_OK)
            _exit(1);
        if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EACCES)
            _exit(2);
        if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
            _exit(3);
        if (getrlimit(RLIMIT_FSIZE, &size) != 0 || size.rlim_max != 4096)
            _exit(4);
        if (open("/etc/passwd", O_RDONLY) < 0)
            _exit(5);
        _exit(0);
    }
    int status;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(0, WEXITSTATUS(status));
    char words[512];
    struct mw_buf buf;
    struct mw_json json;
    mw_buf_init(&buf, words, sizeof(words));
    mw_json_init(&json, &buf);
    mw_sandbox_report(&json, &sandbox, &offer);
    mw_buf_put_c(&buf, '\0');
    assert_non_null(strstr(words, "\"landlock\":\"absent\""));
    offer.seccomp = false;
    mw_buf_reset(&buf);
    mw_json_init(&json, &buf);
    mw_sandbox_report(&json, &sandbox, &offer);
    mw_buf_put_c(&buf, '\0');
    assert_non_null(strstr(words, "\"seccomp\":\"absent\""));
    assert_non_null(strstr(words, "\"network\":\"all: the kernel offers nothing to limit it\""));
}

/* ---- files ---- */

static void the_work_folder_and_tmp_are_writable_and_nothing_else(void **state)
{
    const struct fixture *f = *state;
    if (lacks_landlock(1))
        return;
    char script[4096];
    fixture_write(f->root, "vault", "secret", 0600);
    fixture_write(f->home, "key", "secret", 0600);
    (void)snprintf(script, sizeof(script),
                   "try() { if sh -c \"$2\" 2>/dev/null; then echo \"$1 allowed\"; else echo \"$1 "
                   "denied\"; fi; }\n"
                   "try work 'echo x > in; mkdir d; mv in d/in; rm -r d'\n"
                   "try tmp 'echo x > %s/x'\n"
                   "try null 'echo x > /dev/null'\n"
                   "try urandom 'head -c 4 /dev/urandom > /dev/null'\n"
                   "try passwd 'cat /etc/passwd'\n"
                   "try shadow 'cat /etc/shadow'\n"
                   "try keys 'ls /etc/ssl/private'\n"
                   "try beside_the_keys 'ls /etc/ssl'\n"
                   "ln -s /etc/shadow link; try link 'cat link'\n"
                   "try home_read 'cat %s/key'\n"
                   "try home_write 'echo x > %s/new'\n"
                   "try home_list 'ls %s'\n"
                   "try vault 'cat %s/vault'\n"
                   "try above 'cat ../vault'\n"
                   "try above_write 'echo x > ../new'\n"
                   "try above_move 'echo x > y; mv y ../new'\n"
                   "try above_truncate ': > ../vault'\n"
                   "try own_cut 'echo xy > own; perl -e \"truncate(q(own), 1) or exit 1\"'\n"
                   "try above_cut 'perl -e \"truncate(q(../vault), 0) or exit 1\"'\n"
                   "try usr_write 'echo x > /usr/mw-new'\n"
                   "try device 'mknod dev c 1 3'\n"
                   "try tty 'echo x > /dev/tty'\n"
                   "try kernel 'echo x > /proc/sys/kernel/hostname'\n"
                   "try others_memory 'cat /proc/%d/environ'\n"
                   "try root_list 'ls /'\n"
                   "exit 0",
                   f->tmp, f->home, f->home, f->home, f->root, (int)getpid());
    struct ended *ended = fixture_shell(f, script);
    static const char *const allowed[] = {"work", "tmp", "null", "urandom"};
    static const char *const refused[] = {
        "shadow", "link",        "home_read",     "home_write",     "home_list", "vault",
        "above",  "above_write", "above_move",    "above_truncate", "usr_write", "device",
        "tty",    "kernel",      "others_memory", "root_list",      "keys",      "beside_the_keys"};
    char line[64];
    for (size_t i = 0; i < MW_COUNT(allowed); i++) {
        (void)snprintf(line, sizeof(line), "%s allowed", allowed[i]);
        assert_has(ended, line);
    }
    for (size_t i = 0; i < MW_COUNT(refused); i++) {
        (void)snprintf(line, sizeof(line), "%s denied", refused[i]);
        assert_has(ended, line);
    }
    /* By its name, without opening it: that has a right of its own. */
    if (access("/usr/bin/perl", X_OK) == 0 && !lacks_landlock(MW_LANDLOCK_ABI_TRUNCATE)) {
        assert_has(ended, "own_cut allowed");
        assert_has(ended, "above_cut denied");
    }
    assert_false(mw_exists(AT_FDCWD, "/usr/mw-new"));
    fixture_free(ended);
}

static void listed_paths_are_opened_as_listed(void **state)
{
    const struct fixture *f = *state;
    if (lacks_landlock(1))
        return;
    char read_only[512], read_write[512], script[2048];
    struct mw_err err;
    fixture_join(read_only, sizeof(read_only), f->root, "nur lesen ä");
    fixture_join(read_write, sizeof(read_write), f->root, "beides");
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, read_only, 0755, &err));
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, read_write, 0755, &err));
    fixture_write(read_only, "a", "lesbar\n", 0644);
    const char *reads[] = {read_only, "/no/such/path", NULL};
    const char *writes[] = {read_write, NULL};
    (void)snprintf(script, sizeof(script),
                   "cat '%s/a'; (echo x > '%s/a') 2>/dev/null || echo refused; echo y > '%s/b' && "
                   "echo written",
                   read_only, read_only, read_write);
    const char *argv[] = {"sh", "-c", script, NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.sandbox.read_paths = reads;
    spec.sandbox.write_paths = writes;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("lesbar\nrefused\nwritten\n", ended->out.ptr);
    fixture_free(ended);
}

/* The script lies in the workspace, beside the vault: its folder must not be opened, it itself must. */
static void a_programs_folder_above_the_work_folder_stays_closed(void **state)
{
    const struct fixture *f = *state;
    if (lacks_landlock(1))
        return;
    fixture_write(f->root, "vault", "secret\n", 0600);
    fixture_write(f->root, "agent.sh", "#!/bin/sh\ncat ../vault 2>/dev/null || echo closed\n",
                  0755);
    const char *argv[] = {"../agent.sh", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("closed\n", ended->out.ptr);
    fixture_free(ended);
}

static void a_programs_own_folder_is_readable(void **state)
{
    const struct fixture *f = *state;
    char folder[PATH_MAX], program[PATH_MAX];
    struct mw_err err;
    fixture_join(folder, sizeof(folder), f->root, "agents/mine");
    fixture_join(program, sizeof(program), folder, "agent.sh");
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, folder, 0755, &err));
    fixture_write(folder, "agent.sh", "#!/bin/sh\n. \"${0%/*}/helper.sh\"\n", 0755);
    fixture_write(folder, "helper.sh", "echo helped\n", 0644);
    const char *argv[] = {program, NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("helped\n", ended->out.ptr);
    fixture_free(ended);
}

static void path_brings_programs_and_their_lib_but_never_the_home_nor_what_all_share(void **state)
{
    const struct fixture *f = *state;
    if (lacks_landlock(1))
        return;
    char bin[PATH_MAX], lib[PATH_MAX], shared[PATH_MAX], path[PATH_MAX * 3 + 64];
    struct mw_err err;
    fixture_join(bin, sizeof(bin), f->home, ".nvm/v1/bin");
    fixture_join(lib, sizeof(lib), f->home, ".nvm/v1/lib");
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, bin, 0755, &err));
    assert_int_equal(MW_OK, mw_mkdirs(AT_FDCWD, lib, 0755, &err));
    fixture_write(bin, "tool", "#!/bin/sh\ncat \"${0%/bin/tool}/lib/data\"\n", 0755);
    fixture_write(lib, "data", "from lib\n", 0644);
    fixture_write(f->home, "key", "secret\n", 0644);
    fixture_join(shared, sizeof(shared), f->root, "shared"); /* as /tmp is */
    assert_int_equal(0, mkdir(shared, 0755));
    assert_int_equal(0, chmod(shared, 01777));
    fixture_write(shared, "left", "somebody's\n", 0644);
    (void)snprintf(path, sizeof(path), "PATH=%s:%s:%s:/usr/bin:/bin", f->home, shared, bin);
    char script[PATH_MAX * 2 + 128];
    (void)snprintf(script, sizeof(script),
                   "tool; cat '%s/key' 2>/dev/null || echo closed; cat '%s/left' 2>/dev/null || "
                   "echo closed as well",
                   f->home, shared);
    const char *argv[] = {"sh", "-c", script, NULL};
    const char *env[] = {path, NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.env = env;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("from lib\nclosed\nclosed as well\n", ended->out.ptr);
    fixture_free(ended);
}

/* As what a process of our user without special rights would be told: root's right over all memory is put away meanwhile. */
static int read_memory_of(pid_t pid)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2], less[2];
    char byte;
    struct iovec mine = {&byte, 1}, its = {(void *)4096, 1};
    assert_int_equal(0, syscall(SYS_capget, &head, held));
    memcpy(less, held, sizeof(less));
    less[0].effective &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
    assert_int_equal(0, syscall(SYS_capset, &head, less));
    int why = process_vm_readv(pid, &mine, 1, &its, 1, 0) < 0 ? errno : 0;
    assert_int_equal(0, syscall(SYS_capset, &head, held));
    return why;
}

/* It holds the agent's secrets for as long as the agent runs. */
static void p17_nobody_reads_the_memory_of_the_process_that_waits_for_an_agent(void **state)
{
    const struct fixture *f = *state;
    char line[32];
    const char *argv[] = {"sh", "-c", "echo $PPID; exec sleep 1000", NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    struct mw_exec_child child = fixture_start(&spec);
    fixture_read_line(child.stdout_fd, line, sizeof(line));
    assert_int_equal(EPERM, read_memory_of((pid_t)atoi(line)));
    struct mw_err err;
    assert_int_equal(MW_OK, mw_exec_end(&child, MW_EXEC_ASKED, 0, &err));
    fixture_free(fixture_finish(&child));
}

/* ---- users and limits ---- */

static void root_becomes_the_workspaces_owner(void **state)
{
    const struct fixture *f = *state;
    if (geteuid() != 0) {
        print_message("skipped: not root\n");
        return;
    }
    char task[PATH_MAX];
    fixture_join(task, sizeof(task), f->root, "task");
    fixture_write(f->root, "task", "in\n", 0600);
    assert_int_equal(0, chown(f->work, FIXTURE_NOBODY, FIXTURE_NOBODY));
    const char *argv[] = {
        "sh", "-c",
        "id -u; id -g; id -G; grep -E 'CapEff|CapBnd' /proc/self/status | tr -d '\\t '; touch x && "
        "echo made;"
        " cat /dev/stdin; echo out > /dev/stdout; echo e > /dev/stderr && echo err",
        NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.stdin_path = task;
    spec.sandbox.drop = true;
    spec.sandbox.uid = spec.sandbox.gid = FIXTURE_NOBODY;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("65534\n65534\n65534\nCapEff:0000000000000000\nCapBnd:"
                        "0000000000000000\nmade\nin\nout\nerr\n",
                        ended->out.ptr);
    fixture_free(ended);
}

static void root_that_stays_root_has_no_capabilities(void **state)
{
    if (geteuid() != 0) {
        print_message("skipped: not root\n");
        return;
    }
    struct ended *ended = fixture_shell(
        *state, "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | grep -v 0000000000000000");
    assert_string_equal("", ended->out.ptr);
    fixture_free(ended);
}

static void sizes_are_limited(void **state)
{
    const struct fixture *f = *state;
    const char *argv[] = {"sh", "-c",
                          "head -c 100000 /dev/zero > big; echo $?; wc -c < big; ulimit -t; ulimit "
                          "-v; ulimit -d; ulimit -n",
                          NULL};
    struct mw_exec_spec spec = fixture_spec(f, argv);
    spec.sandbox.file_size_bytes_max = 65536;
    spec.sandbox.cpu_seconds_max = 60;
    spec.sandbox.address_space_bytes_max = 1u << 30;
    spec.sandbox.data_bytes_max = 1u << 29;
    spec.sandbox.open_files_max = 100;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("153\n65536\n60\n1048576\n524288\n100\n",
                        ended->out.ptr); /* 153: SIGXFSZ */
    fixture_free(ended);
}

/* ---- node ---- */

static bool lacks_node(void)
{
    if (access("/usr/bin/node", X_OK) == 0 || access("/usr/local/bin/node", X_OK) == 0)
        return false;
    print_message("skipped: no node\n");
    return true;
}

static void node_runs_in_every_profile(void **state)
{
    static const char script[] =
        "const fs=require('fs');fs.writeFileSync('a','1');"
        "require('child_process').execFileSync(process.execPath,['-e','console.log(\"child\")'],{"
        "stdio:'inherit'});"
        "new "
        "(require('worker_threads').Worker)('console.log(\"worker\")',{eval:true}).on('exit',async("
        ")=>{"
        "await WebAssembly.compile(new Uint8Array([0,97,115,109,1,0,0,0]));"
        "require('crypto').randomBytes(8);require('os').networkInterfaces();require('os').cpus();"
        "console.log('done')})";
    if (lacks_node())
        return;
    for (size_t i = 0; i < MW_COUNT(profiles); i++) {
        const char *argv[] = {"node", "-e", script, NULL};
        struct mw_exec_spec spec = fixture_spec(*state, argv);
        spec.sandbox.profile = profiles[i];
        struct ended *ended = fixture_run(&spec);
        assert_string_equal("child\nworker\ndone\n", ended->out.ptr);
        assert_int_equal(0, ended->report.exit_code);
        fixture_free(ended);
    }
}

static void node_serves_and_asks_itself_in_test(void **state)
{
    static const char script[] = "const h=require('http');const "
                                 "s=h.createServer((q,r)=>r.end('hello')).listen(0,'127.0.0.1',()=>"
                                 "h.get({port:s.address().port,host:'127.0.0.1'},r=>r.on('data',d=>"
                                 "console.log(''+d)).on('end',()=>s.close())))";
    if (lacks_node())
        return;
    const char *argv[] = {"node", "-e", script, NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.sandbox.profile = MW_PROFILE_TEST;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("hello\n", ended->out.ptr);
    fixture_free(ended);
}

static void node_runs_with_the_least_memory_that_we_give(void **state)
{
    if (lacks_node())
        return;
    const char *argv[] = {"node", "-e", "console.log('small')", NULL};
    struct mw_exec_spec spec = fixture_spec(*state, argv);
    spec.sandbox.data_bytes_max = 1u << 30;
    struct ended *ended = fixture_run(&spec);
    assert_string_equal("small\n", ended->out.ptr);
    fixture_free(ended);
}

static void a_profile_is_known_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_COUNT(profiles); i++) {
        enum mw_profile found = MW_PROFILE_COUNT;
        assert_true(mw_profile_of(mw_str_of(mw_profile_name(profiles[i])), &found));
        assert_int_equal(profiles[i], found);
    }
    enum mw_profile untouched = MW_PROFILE_TEST;
    assert_false(mw_profile_of(MW_STR("none"), &untouched));
    assert_int_equal(MW_PROFILE_TEST, untouched);
}

int main(int argc, char **argv)
{
    if (fixture_is_stub(argc, argv))
        return mw_exec_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "probe") == 0)
        exit_probe(be_probe(argc, argv));
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
    const struct CMUnitTest tests[] = {
        TEST(what_no_agent_needs_is_refused_in_every_profile),
        TEST(build_has_no_network_and_test_and_serve_have_only_tcp),
        TEST(network_and_unix_sockets_are_given_when_the_spec_says_so),
        TEST(a_listed_port_is_open_and_every_other_is_not),
        TEST(a_process_outside_cannot_be_signalled),
        TEST(seccomp_and_limits_hold_without_landlock),
        TEST(the_work_folder_and_tmp_are_writable_and_nothing_else),
        TEST(listed_paths_are_opened_as_listed),
        TEST(a_programs_folder_above_the_work_folder_stays_closed),
        TEST(a_programs_own_folder_is_readable),
        TEST(path_brings_programs_and_their_lib_but_never_the_home_nor_what_all_share),
        TEST(p17_nobody_reads_the_memory_of_the_process_that_waits_for_an_agent),
        TEST(root_becomes_the_workspaces_owner),
        TEST(root_that_stays_root_has_no_capabilities),
        TEST(sizes_are_limited),
        TEST(node_runs_in_every_profile),
        TEST(node_serves_and_asks_itself_in_test),
        TEST(node_runs_with_the_least_memory_that_we_give),
        TEST(a_profile_is_known_by_its_name),
    };
    int failed = cmocka_run_group_tests_name("loaded", tests, NULL, NULL);
    fixture_by_server = true;
    return failed + cmocka_run_group_tests_name("forked", tests, NULL, NULL);
}
