/*
 * watch.h - watching one trace to its end: progress, what was understood, questions, failures, the last line. For gen and run.
 *
 * Owns:     what is said while a trace goes on, and the exit code its end stands for. Does not: start or decide anything.
 */
#ifndef MW_CLI_WATCH_H
#define MW_CLI_WATCH_H

#include "cli/link.h"
#include "cli/progress.h"
#include "cli/trail.h"

struct mw_watch {
    struct mw_cli *cli; /* borrowed */
    const char *verb;   /* "gen" or "run": for the words that attach again */
    struct mw_trail trail;
    struct mw_progress progress;
    bool asks; /* questions are asked in place */
    bool blueprint_said;
    bool reader_gone;    /* nobody reads standard output any more */
    struct mw_str asked; /* the item that was answered last */
    int64_t after;
};

/* Follows from the record after `after` until the trace has ended, waits for a person, or Ctrl-C. Prints the end; the exit code. */
int mw_watch_trace(struct mw_cli *cli, const char *verb, const struct mw_posted *posted);

/* explain.c: what was understood, assumed and not understood. payload of StrategicBlueprintGenerated. */
void mw_explain_blueprint(const struct mw_watch *watch, const struct mw_tape *tape,
                          uint32_t payload);
/* explain.c: the failed tests as a list of {"test","expected","actual"}; false: there are none, and nothing was written. */
bool mw_explain_failed_tests(const struct mw_watch *watch, struct mw_json *json);
/* explain.c: task, cause, last lines, kept folder, failed tests, the next command. */
void mw_explain_failure(const struct mw_watch *watch);

#endif
