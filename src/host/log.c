#include "host/internal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_BYTES_MAX (16 << 20)

void mw_host_log(const struct mw_host *host, const char *level, const char *event,
                 const char *format, ...)
{
    char words[1024], now[MW_TIME_TEXT];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args); /* cut, never failed */
    va_end(args);
    mw_time_text(mw_now_unix_us(), now);
    struct mw_buf buf = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    mw_json_kstr(&json, "timestamp", mw_str_of(now));
    mw_json_kstr(&json, "level", mw_str_of(level));
    mw_json_kstr(&json, "component", MW_STR("Host"));
    mw_json_kstr(&json, "event", mw_str_of(event));
    mw_json_kstr(&json, "message", mw_str_of(words));
    mw_json_object_end(&json);
    mw_buf_put_c(&buf, '\n');
    mw_autoclose int fd =
        openat(host->workspace_fd, ".millwright/log/host.log",
               O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat info;
    /* A log that cannot be written stops nothing. */
    if (fd >= 0 && mw_write_all(fd, mw_buf_str(&buf), NULL) == MW_OK) {
        if (fstat(fd, &info) == 0 && info.st_size > LOG_BYTES_MAX)
            (void)renameat(host->workspace_fd, ".millwright/log/host.log", host->workspace_fd,
                           ".millwright/log/host.log.1");
    }
    mw_heap_buf_free(&buf);
}

void mw_host_die(struct mw_host *host, int exit_code, const char *why)
{
    mw_host_log(host, "error", "host.stopped", "%s", why);
    fprintf(stderr, "millwright: %s\n", why);
    /* What the core holds is past what is on the disk: nothing of it may leave any more. */
    _exit(exit_code);
}
