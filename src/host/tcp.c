#include "host/tcp.h"

#include "posix/file.h"
#include "posix/heap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HTTP_PORT 80u
#define TOKEN_BYTES 32

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "127.0.0.1:7000", "[::1]:7000", "7000" (on 127.0.0.1). Port 0: any free one. A name or every address of the machine is not taken. */
static bool read_address(struct mw_str text, union address *ret, socklen_t *ret_len)
{
    char host[INET6_ADDRSTRLEN] = "127.0.0.1";
    uint64_t port;
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon > 0) {
        struct mw_str name = mw_str_sub(text, 0, colon - 1);
        bool bracketed = name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
        if (bracketed)
            name = mw_str_sub(name, 1, name.len - 2);
        if (name.len == 0 || name.len >= sizeof(host) ||
            bracketed != (mw_str_find(name, ':', 0) != SIZE_MAX))
            return false;
        memcpy(host, name.ptr, name.len);
        host[name.len] = '\0';
    }
    if (!mw_str_to_u64(mw_str_sub(text, colon, SIZE_MAX), &port) || port > 65535)
        return false;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        *ret_len = sizeof(ret->v4);
        return ret->v4.sin_addr.s_addr != htonl(INADDR_ANY);
    }
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons((uint16_t)port);
    *ret_len = sizeof(ret->v6);
    /* An address of four numbers has its own spelling: in this one, ::ffff:0.0.0.0 would be all of them. */
    return inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1 &&
           !IN6_IS_ADDR_UNSPECIFIED(&ret->v6.sin6_addr) &&
           !IN6_IS_ADDR_V4MAPPED(&ret->v6.sin6_addr);
}

/* What requests have to call us: the address as it is bound, and localhost where it is that. The port that HTTP has by itself nobody names. */
static void name_hosts(const union address *bound, struct mw_api_guard *guard)
{
    char text[INET6_ADDRSTRLEN] = "", colon[8] = "";
    bool v4 = bound->any.sa_family == AF_INET;
    unsigned port = ntohs(v4 ? bound->v4.sin_port : bound->v6.sin6_port);
    bool loopback = v4 ? (ntohl(bound->v4.sin_addr.s_addr) >> 24) == 127
                       : IN6_IS_ADDR_LOOPBACK(&bound->v6.sin6_addr);
    (void)inet_ntop(bound->any.sa_family,
                    v4 ? (const void *)&bound->v4.sin_addr : (const void *)&bound->v6.sin6_addr,
                    text, sizeof(text));
    if (port != HTTP_PORT)
        snprintf(colon, sizeof(colon), ":%u", port);
    snprintf(guard->hosts[0], sizeof(guard->hosts[0]), v4 ? "%s%s" : "[%s]%s", text, colon);
    if (loopback)
        snprintf(guard->hosts[1], sizeof(guard->hosts[1]), "localhost%s", colon);
}

static enum mw_rc make_token(int folder, char token[MW_API_TOKEN_TEXT], struct mw_err *err)
{
    uint8_t random[TOKEN_BYTES];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return MW_FAIL_SYS(err, MW_E_IO, "draw a token");
    mw_hex(random, sizeof(random), token);
    return mw_file_replace(folder, "token", mw_str_of(token), 0600, err);
}

/* The workspace's own; whoever removes the file gets a new one with the next host. */
static enum mw_rc read_token(int folder, char token[MW_API_TOKEN_TEXT], struct mw_err *err)
{
    struct stat facts;
    uint8_t bytes[TOKEN_BYTES];
    struct mw_buf text = mw_heap_buf();
    if (fstatat(folder, "token", &facts, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        mw_heap_buf_free(&text);
        return make_token(folder, token, err);
    }
    enum mw_rc rc = mw_file_read_beneath(folder, "token", 4096, &text, err);
    struct mw_str word = mw_str_trim(mw_buf_str(&text));
    if (rc == MW_OK && word.len == TOKEN_BYTES * 2) {
        memcpy(token, word.ptr, word.len);
        token[word.len] = '\0';
    }
    if (rc == MW_OK && ((facts.st_mode & 077) != 0 || !mw_unhex(token, bytes, sizeof(bytes))))
        rc = MW_FAIL(err, MW_E_CONFIG,
                     "'.millwright/token' is not %d hexadecimal digits that its owner alone can "
                     "read: remove it, and the next host makes another",
                     TOKEN_BYTES * 2);
    mw_heap_buf_free(&text);
    return rc;
}

enum mw_rc mw_host_tcp_listen(int workspace_fd, const char *address, int *ret_fd,
                              struct mw_api_guard *ret_guard, struct mw_err *err)
{
    union address wanted;
    socklen_t len;
    const int yes = 1;
    *ret_guard = (struct mw_api_guard){.token = ""};
    if (!read_address(mw_str_of(address), &wanted, &len))
        return MW_FAIL(err, MW_E_USAGE,
                       "'%s' is no address to listen on: 127.0.0.1:PORT or another address of this "
                       "machine, in numbers",
                       address);
    mw_autoclose int folder =
        openat(workspace_fd, ".millwright", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open '.millwright'");
    enum mw_rc rc = read_token(folder, ret_guard->token, err);
    if (rc != MW_OK)
        return rc;
    mw_autoclose int fd =
        socket(wanted.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, &wanted.any, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, &wanted.any, &len) != 0)
        return MW_FAIL_SYS(err, errno == EADDRINUSE ? MW_E_CONFLICT : MW_E_IO, "listen on '%s'",
                           address);
    name_hosts(&wanted, ret_guard);
    *ret_fd = fd;
    fd = -1;
    return MW_OK;
}
