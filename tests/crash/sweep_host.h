/*
 * sweep_host.h - what the lives of the real host share: the one at work on flows (sweep_host.c), the one that promotes (sweep_app.c).
 */
#ifndef MW_CRASH_SWEEP_HOST_H
#define MW_CRASH_SWEEP_HOST_H

#include "sweep.h"

#include "cli/http.h"

#include <limits.h>

#define REQUESTS_MAX 400
#define CALLER_SECONDS 30
#define WAIT_MS 20000

/* The host that lives now, its folder, and what it was told. */
struct host_life {
    char program[PATH_MAX], factory[PATH_MAX];
    char dir[128], acks_path[128], log_path[128];
    int acks_fd;
    int ready[2];   /* pipe: the host says "ready" */
    char word[300]; /* what it said */
    long points, faults, acknowledged;
    long stops;                  /* of an undisturbed life; 0: nobody counted */
    long all_points, all_faults; /* of those that were told already */
    const char *what;            /* borrowed: the disturbance, for a failure's line */
    pid_t caller;
};
extern struct host_life life;

/* The host says that it is ready; false: it did not. */
bool host_is_ready(void);
/* The connection to it; -1: nobody answers. Owned by the caller. */
int host_connect(void);
/*
 * One request of a caller, the number-th of that life; members: more of its body, "" or starting with a comma. Returns the HTTP status and the
 * answer's body, ending with a zero byte; 0: the host does not answer any more.
 */
int host_ask(const char *request, const char *members, uint64_t life_number, int number,
             struct mw_buf *ret_body);
/* Says the acknowledgement that the answer is: `ack request LIFE NUMBER FIRST LAST`. */
void host_say_ack(uint64_t life_number, int number, const struct mw_buf *body);
uint64_t host_member(const struct mw_buf *body, const char *name);

/* A life in life.dir as it is, disturbed; call(host, number) asks in a process of its own, with the acknowledgements as its standard output. */
void host_live(struct traced *traced, uint64_t number, void (*call)(pid_t host, uint64_t number));
/* A life that nothing disturbs, after it: while(acks) runs when it is ready, then it is told to leave. */
void host_live_on(struct mw_str acks, void (*while_it_lives)(struct mw_str acks));
/* The last request again: it is told as a repetition. */
void host_ask_again(const char *request, const char *members, struct mw_str acks);
/* Every acknowledged request is in the journal, once. */
void host_check_journal(struct mw_str acks);
/* Runs the program on life.dir; words ends with NULL. Returns waitpid's status. */
int host_run_program(const char *const *words);
MW_PRINTF(1, 2) void host_fault(const char *format, ...);
/* Prints the line of the lives since the last one. Returns 0 or 1. */
int host_say_lives(const char *ids, const char *words);

/*
 * Kills at the stops of a life: `wanted` of them, evenly, or each one (wanted 0). begin makes life.dir, judge looks at what is left.
 * after_signal: from its delivery on stops count; 0: from the beginning.
 */
void host_sweep_kills(int after_signal, long wanted, const char *when, void (*begin)(void),
                      void (*call)(pid_t host, uint64_t number), void (*judge)(void));

/* ---- app.c: the host promotes and rolls back ---- */

int sweep_app(const char *base, bool night);

#endif
