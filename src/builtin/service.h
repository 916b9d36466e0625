/*
 * service.h - one program as a child of the check: a service that is started, watched, killed or asked to stop; or a command that runs to
 * its end.
 *
 * Owns:     the child, its process group and everything it leaves behind; its output up to MW_SERVICE_OUTPUT_MAX (the newest is kept).
 * Does not: speak HTTP or judge. One service at a time. Not for processes that have threads.
 * Promise:  after mw_service_kill, mw_service_stop and mw_service_run no process of the child's group or line is left; when this process
 *           dies, the child is killed by the kernel.
 */
#ifndef MW_SERVICE_H
#define MW_SERVICE_H

#include "base/arena.h"
#include "base/buf.h"
#include "posix/file.h"

#include <sys/types.h>

#define MW_SERVICE_OUTPUT_MAX ((size_t)4 << 20)
#define MW_COMMAND_TAIL_MAX ((size_t)64 << 10)
#define MW_COMMAND_WORDS_MAX 64
#define MW_SERVICE_LEFT_GRACE_MS 500

struct mw_command {
    const char *const *words; /* borrowed, NULL at the end; words[0] is looked up on PATH */
    const char *folder;       /* borrowed: the working directory; NULL: this one */
    const char *const
        *env; /* borrowed, NULL at the end: "NAME=value", over the inherited; NULL: none */
};

struct mw_service {
    pid_t pid; /* 0: none */
    int pid_fd;
    int out_fd;
    int err_fd;
    uint16_t port;
    bool first_line_listens; /* the very first line of output was the listening line */
    struct mw_buf out;       /* owned: standard output since the start */
    struct mw_buf err;       /* owned: standard error, the newest */
    bool terminated;         /* SIGTERM was sent */
    int status;              /* wait status once ended */
    uint32_t left_count;     /* processes that outlived it (and were ended) */
};

/* Starts it and waits for {"event":"listening","port":N}. MW_E_MISSING: no such program; MW_E_TIMEOUT: it said nothing in time;
 * MW_E_FAILED: it ended first (the text has its last words). On failure nothing is left running; out and err are kept until _free. */
MW_MUST enum mw_rc mw_service_start(struct mw_service *service, const struct mw_command *command,
                                    int64_t timeout_ms, struct mw_err *err);
/* Starts it and waits for its end: for a program that is expected to refuse. MW_E_TIMEOUT: it went on running (and was killed). */
MW_MUST enum mw_rc mw_service_start_refused(struct mw_service *service,
                                            const struct mw_command *command, int64_t timeout_ms,
                                            struct mw_err *err);
bool mw_service_runs(struct mw_service *service);
/* Waits for its end, at most so long; true: it ended. */
bool mw_service_wait(struct mw_service *service, int64_t timeout_ms);
void mw_service_drain(
    struct mw_service *service); /* takes what it has written so far; never blocks */
void mw_service_kill(struct mw_service *service); /* kill -9, the whole group; waits for the end */
void mw_service_terminate(struct mw_service *service); /* SIGTERM; does not wait */
/* SIGTERM, unless it was sent already; waits. MW_E_TIMEOUT: it went on and was killed. *ret_exit: exit code, or 128 + signal. */
MW_MUST enum mw_rc mw_service_stop(struct mw_service *service, int64_t timeout_ms, int *ret_exit,
                                   struct mw_err *err);
void mw_service_free(struct mw_service *service); /* kills what still runs */

/* A command that runs to its end. */
struct mw_command_result {
    int exit; /* exit code, or 128 + signal */
    bool timed_out;
    int64_t duration_ms;
    char output_sha256[MW_SHA256_HEX]; /* of standard output and error as they came */
    struct mw_buf tail;                /* owned: the last MW_COMMAND_TAIL_MAX bytes */
};
/* A line of output (without its end), as it arrives. */
typedef void mw_command_line_fn(void *user, struct mw_str line);

MW_MUST enum mw_rc mw_command_run(const struct mw_command *command, int64_t timeout_ms,
                                  mw_command_line_fn *on_line, void *user,
                                  struct mw_command_result *ret_result, struct mw_err *err);
void mw_command_result_free(struct mw_command_result *result);

#endif
