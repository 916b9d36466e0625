#include "agent/sandbox.h"

#include "agent/landlock.h"
#include "agent/proc.h"
#include "agent/seccomp.h"
#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const profile_names[MW_PROFILE_COUNT] = {
    [MW_PROFILE_BUILD] = "build", [MW_PROFILE_TEST] = "test", [MW_PROFILE_SERVE] = "serve"};

/* Single files of /etc: Landlock only allows, so the secret ones (shadow, ssl/private, ssh) are those not here. */
static const char *const readable[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/alternatives",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/terminfo",
    "/etc/inputrc",
    "/etc/gitconfig",
    "/etc/python3",
    "/etc/perl",
    /* The kernel keeps other processes' memory, environment and descriptors from a Landlocked one; the rest of /proc is no secret. */
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/random",
    "/dev/urandom",
};
/* Those of them that are folders of programs and libraries, never links to other places. */
static const char *const system_folders[] = {"/usr"};
/* Where programs lie, and what belongs to them: nearly every PATH has them. */
static const char *const usual[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/local/lib",
                                    "/usr/sbin",       "/usr/bin",       "/usr/lib",
                                    "/sbin",           "/bin",           "/lib"};
static const char *const writable[] = {"/dev/null", "/dev/zero", "/dev/full"};

struct mw_sandbox_offer mw_sandbox_probe(void)
{
    return (struct mw_sandbox_offer){.landlock_abi = mw_landlock_abi(),
                                     .seccomp = mw_seccomp_offered()};
}

const char *mw_profile_name(enum mw_profile profile)
{
    MW_ASSERT((unsigned)profile < MW_PROFILE_COUNT);
    return profile_names[profile];
}

bool mw_profile_of(struct mw_str name, enum mw_profile *ret_profile)
{
    for (int i = 0; i < MW_PROFILE_COUNT; i++)
        if (mw_str_is(name, profile_names[i])) {
            *ret_profile = (enum mw_profile)i;
            return true;
        }
    return false;
}

uid_t mw_sandbox_user(const struct mw_sandbox *sandbox)
{
    uid_t own = geteuid();
    return own == 0 && sandbox->drop ? sandbox->uid : own;
}

/* ---- rights ---- */

enum mw_rc mw_sandbox_bound(struct mw_err *err)
{
    if (geteuid() != 0)
        return MW_OK;
    for (int capability = 0;; capability++) {
        int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
        if (held < 0)
            break; /* the kernel has no more */
        if (held == 1 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return MW_FAIL_SYS(err, MW_E_DENIED, "give up capability %d", capability);
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
                0); /* older kernels have none to clear */
    return MW_OK;
}

static enum mw_rc forget_capabilities(struct mw_err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capset, &header, none) != 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "give up root's capabilities");
    return MW_OK;
}

enum mw_rc mw_sandbox_drop(const struct mw_sandbox *sandbox, struct mw_err *err)
{
    if (geteuid() != 0)
        return MW_OK;
    enum mw_rc rc = mw_sandbox_bound(err);
    if (rc != MW_OK)
        return rc;
    if (sandbox->drop) {
        if (setgroups(0, NULL) != 0)
            return MW_FAIL_SYS(err, MW_E_DENIED, "leave root's groups");
        if (setresgid(sandbox->gid, sandbox->gid, sandbox->gid) != 0)
            return MW_FAIL_SYS(err, MW_E_DENIED, "become group %u", (unsigned)sandbox->gid);
        if (setresuid(sandbox->uid, sandbox->uid, sandbox->uid) != 0)
            return MW_FAIL_SYS(err, MW_E_DENIED, "become user %u", (unsigned)sandbox->uid);
        if (sandbox->uid != 0 && setuid(0) == 0)
            return MW_FAIL(err, MW_E_DENIED, "the way back to root is still open");
    }
    return forget_capabilities(err);
}

/* ---- limits ---- */

uint32_t mw_sandbox_count_tasks(uid_t uid)
{
    uint32_t count = 0;
    struct mw_procs procs = mw_procs_all();
    for (size_t i = 0; i < procs.count; i++) {
        char path[32];
        struct stat facts;
        (void)snprintf(path, sizeof(path), "/proc/%d", (int)procs.list[i].pid);
        if (stat(path, &facts) == 0 && facts.st_uid == uid)
            count += procs.list[i].thread_count;
    }
    mw_procs_free(&procs);
    return count;
}

static enum mw_rc limit(int resource, rlim_t value, const char *name, struct mw_err *err)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return MW_FAIL_SYS(err, MW_E_IO, "read the limit on %s", name);
    if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max)
        value = now.rlim_max; /* a stricter one is already in force */
    struct rlimit next = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit((__rlimit_resource_t)resource, &next) != 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "limit %s", name);
    return MW_OK;
}

static enum mw_rc apply_limits(const struct mw_sandbox *sandbox, uint32_t tasks, struct mw_err *err)
{
    uint32_t processes =
        sandbox->processes_max > 0 ? sandbox->processes_max : MW_SANDBOX_PROCESSES_DEFAULT;
    const struct {
        int resource;
        uint64_t value; /* 0: none */
        const char *name;
        bool always;
    } rows[] = {
        {RLIMIT_CORE, 0, "core files", true},
        {RLIMIT_NOFILE,
         sandbox->open_files_max > 0 ? sandbox->open_files_max : MW_SANDBOX_NOFILE_DEFAULT,
         "open files", true},
        {RLIMIT_FSIZE, sandbox->file_size_bytes_max, "file size", false},
        {RLIMIT_AS, sandbox->address_space_bytes_max, "address space", false},
        {RLIMIT_DATA, sandbox->data_bytes_max, "data", false},
        {RLIMIT_CPU, sandbox->cpu_seconds_max, "CPU time", false},
    };
    enum mw_rc rc = MW_OK;
    for (size_t i = 0; i < MW_COUNT(rows) && rc == MW_OK; i++)
        if (rows[i].always || rows[i].value > 0)
            rc = limit(rows[i].resource, rows[i].value, rows[i].name, err);
    /* The kernel counts all of the user's; ours come on top of what runs now. It holds root to no number, so there is nothing to count. */
    if (rc == MW_OK && geteuid() != 0)
        rc = limit(RLIMIT_NPROC, (rlim_t)tasks + processes, "processes", err);
    return rc;
}

/* ---- files and ports ---- */

struct doors {
    int fd;
    int abi;
    const struct mw_sandbox *sandbox;
    const struct mw_sandbox_system *system; /* NULL: found now */
    struct mw_err *err;
    enum mw_rc rc; /* the first failure stays */
    /* What no folder of programs may lie above, after following links; empty: there is none. */
    char private[3][PATH_MAX];
};

_Static_assert(MW_COUNT(readable) + MW_COUNT(writable) <= MW_SANDBOX_SYSTEM_MAX,
               "all of them can be held open");
_Static_assert(MW_COUNT(usual) <= MW_SANDBOX_USUAL_MAX, "all of them have a place");

/* Both after following links. */
static bool is_at_or_below(const char *real, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(folder, real, len) == 0 && (real[len] == '/' || real[len] == '\0');
}

/* After following links: what lies in a folder that every sandbox may read is open already. */
static bool is_open(const char *real)
{
    for (size_t i = 0; i < MW_COUNT(system_folders); i++)
        if (is_at_or_below(real, system_folders[i]))
            return true;
    return false;
}

/* The path, when it leads (by links too) below one of the folders that are open as a whole. */
static bool leads_to_open(const char *path)
{
    char real[PATH_MAX];
    for (size_t i = 0; i < MW_COUNT(system_folders); i++)
        if (strcmp(path, system_folders[i]) == 0)
            return false;
    return realpath(path, real) != NULL && is_open(real);
}

static void hold(struct mw_sandbox_system *system, size_t index, const char *path)
{
    struct stat facts;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0 && !leads_to_open(path) && fstat(fd, &facts) == 0) {
        system->fds[index] = fd;
        system->is_folder[index] = S_ISDIR(facts.st_mode);
    } else if (fd >= 0) {
        (void)close(fd); /* only looked at */
    }
}

void mw_sandbox_system_open(struct mw_sandbox_system *ret_system)
{
    for (size_t i = 0; i < MW_SANDBOX_SYSTEM_MAX; i++)
        ret_system->fds[i] = -1;
    for (size_t i = 0; i < MW_COUNT(readable); i++)
        hold(ret_system, i, readable[i]);
    for (size_t i = 0; i < MW_COUNT(writable); i++)
        hold(ret_system, MW_COUNT(readable) + i, writable[i]);
    for (size_t i = 0; i < MW_COUNT(usual); i++)
        ret_system->usual_is_open[i] = leads_to_open(usual[i]);
}

void mw_sandbox_system_close(struct mw_sandbox_system *system)
{
    for (size_t i = 0; i < MW_SANDBOX_SYSTEM_MAX; i++) {
        mw_autoclose_fd(&system->fds[i]);
        system->fds[i] = -1;
    }
}

static void open_door(struct doors *doors, const char *path, enum mw_landlock_access access)
{
    if (doors->rc == MW_OK)
        doors->rc = mw_landlock_path(doors->fd, doors->abi, path, access, doors->err);
}

static void open_door_of(struct doors *doors, int target, bool is_folder,
                         enum mw_landlock_access access, const char *name)
{
    if (doors->rc == MW_OK)
        doors->rc =
            mw_landlock_file(doors->fd, doors->abi, target, is_folder, access, name, doors->err);
}

static void open_one(struct doors *doors, size_t index, const char *path,
                     enum mw_landlock_access access)
{
    const struct mw_sandbox_system *system = doors->system;
    if (system == NULL)
        open_door(doors, path, access);
    else if (system->fds[index] >= 0)
        open_door_of(doors, system->fds[index], system->is_folder[index], access, path);
}

static void open_system(struct doors *doors)
{
    for (size_t i = 0; i < MW_COUNT(readable); i++)
        open_one(doors, i, readable[i], MW_LANDLOCK_READ);
    for (size_t i = 0; i < MW_COUNT(writable); i++)
        open_one(doors, MW_COUNT(readable) + i, writable[i], MW_LANDLOCK_WRITE);
}

static bool is_usual_and_open(const struct doors *doors, const char *path)
{
    for (size_t i = 0; doors->system != NULL && i < MW_COUNT(usual); i++)
        if (strcmp(path, usual[i]) == 0)
            return doors->system->usual_is_open[i];
    return false;
}

/* A program's folder may be the workspace, the home or /tmp: opening it would open the vault, so only narrower ones are. */
static bool is_narrow(const struct doors *doors, const char *folder)
{
    struct stat facts;
    if (strcmp(folder, "/") == 0 || stat(folder, &facts) != 0 || (facts.st_mode & S_ISVTX) != 0)
        return false;
    for (size_t i = 0; i < MW_COUNT(doors->private); i++)
        if (doors->private[i][0] != '\0' && is_at_or_below(doors->private[i], folder))
            return false;
    return true;
}

static void note_private(struct doors *doors, const char *home)
{
    const char *work = doors->sandbox->work_dir, *tmp = doors->sandbox->tmp_dir;
    const char *paths[] = {home, work,
                           work != NULL && tmp != NULL && strcmp(work, tmp) == 0 ? NULL : tmp};
    for (size_t i = 0; i < MW_COUNT(paths); i++)
        if (paths[i] == NULL || paths[i][0] == '\0' ||
            realpath(paths[i], doors->private[i]) == NULL)
            doors->private[i][0] = '\0';
}

static void open_folder_if_narrow(struct doors *doors, const char *path)
{
    char real[PATH_MAX];
    if (!is_usual_and_open(doors, path) && realpath(path, real) != NULL && !is_open(real) &&
        is_narrow(doors, real))
        open_door(doors, real, MW_LANDLOCK_READ);
}

static void open_program(struct doors *doors, const char *program)
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *names[] = {program, realpath(program, real)};
    for (size_t i = 0; i < MW_COUNT(names); i++) {
        if (names[i] == NULL || (i > 0 && is_open(names[i])))
            continue;
        open_door(doors, names[i], MW_LANDLOCK_READ);
        (void)snprintf(folder, sizeof(folder), "%s", names[i]);
        char *slash = strrchr(folder, '/');
        if (slash != NULL && slash != folder) {
            *slash = '\0';
            open_folder_if_narrow(doors, folder);
        }
    }
}

/* What is in PATH may be run; a folder X/bin brings X/lib along, where package managers keep what bin points to. */
static void open_path_list(struct doors *doors, const char *path_list)
{
    char folder[PATH_MAX];
    for (const char *rest = path_list; *rest != '\0';) {
        size_t len = strcspn(rest, ":");
        int written = snprintf(folder, sizeof(folder), "%.*s", (int)len, rest);
        rest += len + (rest[len] == ':');
        if (written <= 0 || (size_t)written >= sizeof(folder) || folder[0] != '/')
            continue;
        open_folder_if_narrow(doors, folder);
        if (written > 4 && strcmp(folder + written - 4, "/bin") == 0) {
            (void)memcpy(folder + written - 3, "lib", 3);
            open_folder_if_narrow(doors, folder);
        }
    }
}

/* Scripts open /dev/stdin and /dev/stderr by name; those lead to the very files that they already hold. */
static void open_standard_files(struct doors *doors)
{
    struct stat facts;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd += STDERR_FILENO - STDIN_FILENO)
        if (fstat(fd, &facts) == 0)
            open_door_of(doors, fd, S_ISDIR(facts.st_mode),
                         fd == STDIN_FILENO ? MW_LANDLOCK_READ : MW_LANDLOCK_WRITE,
                         fd == STDIN_FILENO ? "standard input" : "standard error");
}

static void open_paths(struct doors *doors, const struct mw_sandbox_program *program)
{
    const struct mw_sandbox *sandbox = doors->sandbox;
    open_system(doors);
    open_standard_files(doors);
    open_program(doors, program->program);
    open_path_list(doors, program->path_list);
    for (size_t i = 0; sandbox->read_paths != NULL && sandbox->read_paths[i] != NULL; i++)
        open_door(doors, sandbox->read_paths[i], MW_LANDLOCK_READ);
    for (size_t i = 0; sandbox->write_paths != NULL && sandbox->write_paths[i] != NULL; i++)
        open_door(doors, sandbox->write_paths[i], MW_LANDLOCK_WRITE);
    bool same = sandbox->work_dir != NULL && sandbox->tmp_dir != NULL &&
                strcmp(sandbox->work_dir, sandbox->tmp_dir) == 0;
    if (sandbox->work_dir != NULL && !same)
        open_door(doors, sandbox->work_dir, MW_LANDLOCK_WRITE);
    if (sandbox->tmp_dir != NULL)
        open_door(doors, sandbox->tmp_dir, MW_LANDLOCK_WRITE_SOCKET);
}

/* Which of the two TCP rights are bound to listed ports. */
struct tcp_rule {
    bool bind, connect;
};

static struct tcp_rule tcp_rule(const struct mw_sandbox *sandbox)
{
    if (sandbox->network)
        return (struct tcp_rule){false, false};
    if (sandbox->profile == MW_PROFILE_TEST)
        return (struct tcp_rule){sandbox->bind_ports != NULL, sandbox->connect_ports != NULL};
    return (struct tcp_rule){true, true};
}

static void open_ports(struct doors *doors)
{
    const struct mw_sandbox *sandbox = doors->sandbox;
    struct tcp_rule rule = tcp_rule(sandbox);
    if (doors->abi < MW_LANDLOCK_ABI_NET || sandbox->profile == MW_PROFILE_BUILD ||
        (!rule.bind && !rule.connect))
        return;
    for (size_t i = 0;
         sandbox->bind_ports != NULL && sandbox->bind_ports[i] != 0 && doors->rc == MW_OK; i++)
        doors->rc = mw_landlock_port(doors->fd, sandbox->bind_ports[i], rule.bind, rule.connect,
                                     doors->err);
    for (size_t i = 0; rule.connect && sandbox->connect_ports != NULL &&
                       sandbox->connect_ports[i] != 0 && doors->rc == MW_OK;
         i++)
        doors->rc = mw_landlock_port(doors->fd, sandbox->connect_ports[i], false, true, doors->err);
}

static enum mw_rc apply_landlock(const struct mw_sandbox *sandbox, int abi,
                                 const struct mw_sandbox_program *program, struct mw_err *err)
{
    struct tcp_rule rule = tcp_rule(sandbox);
    mw_autoclose int fd = -1;
    enum mw_rc rc = mw_landlock_open(abi, rule.bind, rule.connect, &fd, err);
    if (rc != MW_OK)
        return rc;
    struct doors doors;
    doors.fd = fd;
    doors.abi = abi;
    doors.sandbox = sandbox;
    doors.system = program->system;
    doors.err = err;
    doors.rc = MW_OK;
    note_private(&doors, program->home);
    open_paths(&doors, program);
    open_ports(&doors);
    return doors.rc == MW_OK ? mw_landlock_restrict(fd, err) : doors.rc;
}

enum mw_rc mw_sandbox_confine(const struct mw_sandbox *sandbox,
                              const struct mw_sandbox_offer *offer,
                              const struct mw_sandbox_program *program, struct mw_err *err)
{
    enum mw_rc rc = apply_limits(sandbox, program->tasks, err);
    if (rc != MW_OK)
        return rc;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "give up gaining rights by running programs");
    if (offer->landlock_abi > 0)
        rc = apply_landlock(sandbox, offer->landlock_abi, program, err);
    if (rc != MW_OK || !offer->seccomp)
        return rc;
    struct mw_seccomp rules = {.inet_tcp = sandbox->network || sandbox->profile != MW_PROFILE_BUILD,
                               .inet_all = sandbox->network,
                               .unix_sockets = sandbox->unix_sockets};
    for (size_t i = 0; i < MW_COUNT(program->protect); i++) {
        if (program->protect[i] <= 0)
            continue;
        rules.protect[2 * i] = program->protect[i];
        rules.protect[2 * i + 1] =
            -getpgid(program->protect[i]); /* its group, as kill() is given it */
    }
    return mw_seccomp_apply(&rules, err);
}

/* ---- words ---- */

static const char *network_words(const struct mw_sandbox *sandbox,
                                 const struct mw_sandbox_offer *offer)
{
    struct tcp_rule rule = tcp_rule(sandbox);
    bool ports = offer->landlock_abi >= MW_LANDLOCK_ABI_NET;
    if (sandbox->network)
        return "all";
    if (!offer->seccomp && !ports)
        return "all: the kernel offers nothing to limit it";
    if (sandbox->profile == MW_PROFILE_BUILD)
        return offer->seccomp ? "none" : "no TCP";
    if (!ports && (rule.bind || rule.connect))
        return "TCP to any port: the kernel has no port rules";
    if (rule.bind && rule.connect)
        return "TCP on listed ports, any address";
    return "TCP, any address";
}

void mw_sandbox_report(struct mw_json *json, const struct mw_sandbox *sandbox,
                       const struct mw_sandbox_offer *offer)
{
    char landlock[24], user[40];
    (void)snprintf(landlock, sizeof(landlock), "abi %d", offer->landlock_abi);
    uid_t uid = mw_sandbox_user(sandbox);
    (void)snprintf(user, sizeof(user), uid == 0 ? "uid %u without capabilities" : "uid %u",
                   (unsigned)uid);
    bool scoped = offer->landlock_abi >= MW_LANDLOCK_ABI_SCOPE;
    mw_json_object(json);
    mw_json_kstr(json, "profile", mw_str_of(profile_names[sandbox->profile]));
    mw_json_kstr(json, "landlock", mw_str_of(offer->landlock_abi > 0 ? landlock : "absent"));
    mw_json_kstr(json, "seccomp", mw_str_of(offer->seccomp ? "filter" : "absent"));
    mw_json_kstr(json, "network", mw_str_of(network_words(sandbox, offer)));
    mw_json_kstr(json, "signals",
                 mw_str_of(scoped           ? "own processes only"
                           : offer->seccomp ? "not to the host or its supervisor"
                                            : "to all of the user's"));
    mw_json_kstr(json, "user", mw_str_of(user));
    mw_json_kstr(json, "processes",
                 mw_str_of(uid == 0 ? "counted by the supervisor" : "limited by the kernel"));
    mw_json_object_end(json);
}

static void write_paths(struct mw_json *json, const char *key, const char *const *paths)
{
    if (paths == NULL)
        return;
    mw_json_karray(json, key);
    for (size_t i = 0; paths[i] != NULL; i++)
        mw_json_str(json, mw_str_of(paths[i]));
    mw_json_array_end(json);
}

static void write_ports(struct mw_json *json, const char *key, const uint16_t *ports)
{
    if (ports == NULL)
        return;
    mw_json_karray(json, key);
    for (size_t i = 0; ports[i] != 0; i++)
        mw_json_u64(json, ports[i]);
    mw_json_array_end(json);
}

void mw_sandbox_write(struct mw_json *json, const struct mw_sandbox *sandbox)
{
    mw_json_object(json);
    mw_json_kstr(json, "profile", mw_str_of(mw_profile_name(sandbox->profile)));
    if (sandbox->work_dir != NULL)
        mw_json_kstr(json, "work_dir", mw_str_of(sandbox->work_dir));
    if (sandbox->tmp_dir != NULL)
        mw_json_kstr(json, "tmp_dir", mw_str_of(sandbox->tmp_dir));
    write_paths(json, "read_paths", sandbox->read_paths);
    write_paths(json, "write_paths", sandbox->write_paths);
    write_ports(json, "bind_ports", sandbox->bind_ports);
    write_ports(json, "connect_ports", sandbox->connect_ports);
    mw_json_kbool(json, "network", sandbox->network);
    mw_json_kbool(json, "unix_sockets", sandbox->unix_sockets);
    mw_json_kbool(json, "drop", sandbox->drop);
    mw_json_ku64(json, "uid", sandbox->uid);
    mw_json_ku64(json, "gid", sandbox->gid);
    mw_json_ku64(json, "file_size_bytes_max", sandbox->file_size_bytes_max);
    mw_json_ku64(json, "address_space_bytes_max", sandbox->address_space_bytes_max);
    mw_json_ku64(json, "data_bytes_max", sandbox->data_bytes_max);
    mw_json_ku64(json, "cpu_seconds_max", sandbox->cpu_seconds_max);
    mw_json_ku64(json, "open_files_max", sandbox->open_files_max);
    mw_json_ku64(json, "processes_max", sandbox->processes_max);
    mw_json_object_end(json);
}

static const char *read_path(struct mw_arena *arena, const struct mw_tape *tape, uint32_t node)
{
    struct mw_str text = mw_node_str(tape, node);
    return text.len > 0 ? mw_arena_copy(arena, text).ptr : NULL;
}

static const char *const *read_paths(struct mw_arena *arena, const struct mw_tape *tape,
                                     uint32_t node)
{
    if (mw_node_is_null(tape, node))
        return NULL;
    uint32_t count = mw_node_count(tape, node);
    const char **paths = mw_arena_array(arena, const char *, (size_t)count + 1);
    for (uint32_t i = 0; paths != NULL && i < count; i++)
        paths[i] = mw_arena_copy(arena, mw_node_str(tape, mw_node_at(tape, node, i))).ptr;
    return paths;
}

static const uint16_t *read_ports(struct mw_arena *arena, const struct mw_tape *tape, uint32_t node)
{
    if (mw_node_is_null(tape, node))
        return NULL;
    uint32_t count = mw_node_count(tape, node);
    uint16_t *ports = mw_arena_array(arena, uint16_t, (size_t)count + 1);
    for (uint32_t i = 0; ports != NULL && i < count; i++)
        ports[i] = (uint16_t)mw_node_int(tape, mw_node_at(tape, node, i), 0);
    return ports;
}

enum mw_rc mw_sandbox_read(struct mw_arena *arena, const struct mw_tape *tape, uint32_t node,
                           struct mw_sandbox *ret_sandbox, struct mw_err *err)
{
    struct mw_sandbox sandbox = {0};
    if (!mw_profile_of(mw_node_get_text(tape, node, "profile"), &sandbox.profile))
        return MW_FAIL(err, MW_E_INPUT, "the sandbox has no profile (build, test, serve)");
    uint32_t reads = mw_node_get(tape, node, "read_paths");
    uint32_t writes = mw_node_get(tape, node, "write_paths");
    uint32_t binds = mw_node_get(tape, node, "bind_ports");
    uint32_t connects = mw_node_get(tape, node, "connect_ports");
    if (mw_node_count(tape, reads) > MW_SANDBOX_PATHS_MAX ||
        mw_node_count(tape, writes) > MW_SANDBOX_PATHS_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "more than %d paths in the sandbox", MW_SANDBOX_PATHS_MAX);
    if (mw_node_count(tape, binds) > MW_SANDBOX_PORTS_MAX ||
        mw_node_count(tape, connects) > MW_SANDBOX_PORTS_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "more than %d ports in the sandbox", MW_SANDBOX_PORTS_MAX);
    sandbox.work_dir = read_path(arena, tape, mw_node_get(tape, node, "work_dir"));
    sandbox.tmp_dir = read_path(arena, tape, mw_node_get(tape, node, "tmp_dir"));
    sandbox.read_paths = read_paths(arena, tape, reads);
    sandbox.write_paths = read_paths(arena, tape, writes);
    sandbox.bind_ports = read_ports(arena, tape, binds);
    sandbox.connect_ports = read_ports(arena, tape, connects);
    sandbox.network = mw_node_bool(tape, mw_node_get(tape, node, "network"), false);
    sandbox.unix_sockets = mw_node_bool(tape, mw_node_get(tape, node, "unix_sockets"), false);
    sandbox.drop = mw_node_bool(tape, mw_node_get(tape, node, "drop"), false);
    sandbox.uid = (uid_t)mw_node_int(tape, mw_node_get(tape, node, "uid"), 0);
    sandbox.gid = (gid_t)mw_node_int(tape, mw_node_get(tape, node, "gid"), 0);
    const struct {
        const char *key;
        uint64_t *value;
    } sizes[] = {{"file_size_bytes_max", &sandbox.file_size_bytes_max},
                 {"address_space_bytes_max", &sandbox.address_space_bytes_max},
                 {"data_bytes_max", &sandbox.data_bytes_max},
                 {"cpu_seconds_max", &sandbox.cpu_seconds_max}};
    for (size_t i = 0; i < MW_COUNT(sizes); i++)
        *sizes[i].value = (uint64_t)mw_node_int(tape, mw_node_get(tape, node, sizes[i].key), 0);
    sandbox.open_files_max =
        (uint32_t)mw_node_int(tape, mw_node_get(tape, node, "open_files_max"), 0);
    sandbox.processes_max =
        (uint32_t)mw_node_int(tape, mw_node_get(tape, node, "processes_max"), 0);
    *ret_sandbox = sandbox;
    return MW_OK;
}
