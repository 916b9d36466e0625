/*
 * follow.h - records of the host as they become durable, until the caller has seen enough, the person leaves, or the host is lost for good.
 *
 * Owns:     the stream, its repair (it goes on after the last record seen), SIGINT while it waits. Does not: read the records.
 */
#ifndef MW_CLI_FOLLOW_H
#define MW_CLI_FOLLOW_H

#include "cli/command.h"

#define MW_FOLLOW_TICK_MS 100

struct mw_follow {
    const char *trace; /* borrowed; NULL: all records */
    int64_t after;     /* sequence number; goes forward with the records */
    bool ticks;        /* call on_tick while waiting */
    /* All return false to stop. record is the parsed line, valid during the call. */
    bool (*on_record)(void *context, struct mw_str line, const struct mw_tape *record);
    bool (*on_quiet)(void *context); /* all that was there is read */
    bool (*on_tick)(void *context);
    void *context;
};

/* *ret_left: Ctrl-C was pressed. */
MW_MUST enum mw_rc mw_follow(struct mw_cli *cli, struct mw_follow *follow, bool *ret_left,
                             struct mw_err *err);

/* Runs read with SIGINT heard; false when it was interrupted. For questions on a terminal. */
bool mw_follow_ask(bool (*read)(void *context), void *context);

#endif
