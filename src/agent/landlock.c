#include "agent/landlock.h"

#include "posix/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's numbers (same on every machine). */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE 445
#define CALL_RESTRICT_SELF 446
#define FLAG_VERSION 1u
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_MAKE_CHAR (1u << 6)
#define FS_MAKE_SOCK (1u << 9)
#define FS_MAKE_BLOCK (1u << 11)
#define FS_ALL_1 ((1u << 13) - 1)
#define FS_REFER (1u << 13)
#define FS_TRUNCATE (1u << 14)
#define FS_IOCTL_DEV (1u << 15)
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define NET_BIND_TCP 1u
#define NET_CONNECT_TCP 2u
#define SCOPE_ABSTRACT_UNIX 1u
#define SCOPE_SIGNAL 2u

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct net_port_attr {
    uint64_t allowed_access;
    uint64_t port;
};

int mw_landlock_abi(void)
{
    long abi = syscall(CALL_CREATE_RULESET, NULL, 0, FLAG_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t fs_rights(int abi)
{
    uint64_t rights = FS_ALL_1;
    if (abi >= 2)
        rights |= FS_REFER;
    if (abi >= MW_LANDLOCK_ABI_TRUNCATE)
        rights |= FS_TRUNCATE;
    if (abi >= MW_LANDLOCK_ABI_IOCTL)
        rights |= FS_IOCTL_DEV;
    return rights;
}

enum mw_rc mw_landlock_open(int abi, bool tcp_bind, bool tcp_connect, int *ret_fd,
                            struct mw_err *err)
{
    MW_ASSERT(abi > 0);
    struct ruleset_attr attr = {.handled_access_fs = fs_rights(abi)};
    size_t size = sizeof(attr.handled_access_fs);
    if (abi >= MW_LANDLOCK_ABI_NET) {
        attr.handled_access_net =
            (tcp_bind ? NET_BIND_TCP : 0) | (tcp_connect ? NET_CONNECT_TCP : 0);
        size += sizeof(attr.handled_access_net);
    }
    if (abi >= MW_LANDLOCK_ABI_SCOPE) {
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        size += sizeof(attr.scoped);
    }
    int fd = (int)syscall(CALL_CREATE_RULESET, &attr, size, 0);
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "make the Landlock rules (ABI %d)", abi);
    *ret_fd = fd;
    return MW_OK;
}

enum mw_rc mw_landlock_path(int fd, int abi, const char *path, enum mw_landlock_access access,
                            struct mw_err *err)
{
    struct stat facts;
    mw_autoclose int target = open(path, O_PATH | O_CLOEXEC);
    if (target < 0 || fstat(target, &facts) != 0)
        return MW_OK;
    return mw_landlock_file(fd, abi, target, S_ISDIR(facts.st_mode), access, path, err);
}

enum mw_rc mw_landlock_file(int fd, int abi, int target, bool is_folder,
                            enum mw_landlock_access access, const char *name, struct mw_err *err)
{
    uint64_t rights = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR;
    if (access != MW_LANDLOCK_READ)
        rights = fs_rights(abi) & ~(uint64_t)(FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_IOCTL_DEV);
    if (access == MW_LANDLOCK_WRITE)
        rights &= ~(uint64_t)FS_MAKE_SOCK;
    if (!is_folder)
        rights &= FS_OF_FILES;
    struct path_beneath_attr rule = {.allowed_access = rights, .parent_fd = target};
    if (syscall(CALL_ADD_RULE, fd, RULE_PATH_BENEATH, &rule, 0) == 0)
        return MW_OK;
    if (errno == EBADFD)
        return MW_OK; /* a pipe or socket file system: Landlock does not govern it */
    return MW_FAIL_SYS(err, MW_E_DENIED, "allow '%s'", name);
}

enum mw_rc mw_landlock_port(int fd, uint16_t port, bool tcp_bind, bool tcp_connect,
                            struct mw_err *err)
{
    struct net_port_attr rule = {.allowed_access = (tcp_bind ? NET_BIND_TCP : 0) |
                                                   (tcp_connect ? NET_CONNECT_TCP : 0),
                                 .port = port};
    if (syscall(CALL_ADD_RULE, fd, RULE_NET_PORT, &rule, 0) != 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "allow TCP port %u", (unsigned)port);
    return MW_OK;
}

enum mw_rc mw_landlock_restrict(int fd, struct mw_err *err)
{
    if (syscall(CALL_RESTRICT_SELF, fd, 0) != 0)
        return MW_FAIL_SYS(err, MW_E_DENIED, "put the Landlock rules in force");
    return MW_OK;
}
