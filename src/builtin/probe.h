/*
 * probe.h - the independent judge of a service: it knows the design (entities and use cases) and docs/generated-app.md, and nothing of how the
 * service was made. It starts the service, speaks HTTP to it, kills it, starts it again, and says which sentence was broken.
 *
 * Owns:     the service's process while it runs, its throw-away data folder, keys and tokens.
 * Does not: read the service's source, know a language, or decide what follows from a failed check.
 * Limits:   MW_PROBE_FAILURES_MAX failures are told, all are counted; every request and the whole probe have a time-out.
 * Errors:   a broken service is a result, never an error. MW_E_INPUT: the design cannot be read. MW_E_MISSING: the program that starts the
 *           service is not there. MW_E_IO: no place for the data folder.
 */
#ifndef MW_PROBE_H
#define MW_PROBE_H

#include "base/json.h"

#define MW_PROBE_FAILURES_MAX 512
#define MW_PROBE_DEADLINE_MS 120000
#define MW_PROBE_REQUEST_MS 5000

struct mw_probe_report {
    uint32_t passed;
    uint32_t failed;
    uint32_t skipped; /* the count of not_checked */
    uint32_t failure_count;
    struct mw_probe_failure {
        struct mw_str test;     /* heap */
        struct mw_str expected; /* heap */
        struct mw_str actual;   /* heap */
    } failures[MW_PROBE_FAILURES_MAX];
    uint32_t not_checked_count;
    struct mw_str not_checked[MW_PROBE_FAILURES_MAX]; /* heap: "what: why" */
};

void mw_probe_passed(struct mw_probe_report *report);
/* Counts, and keeps the words of the first failure of each of the first MW_PROBE_FAILURES_MAX tests. */
void mw_probe_failed(struct mw_probe_report *report, struct mw_str test, struct mw_str expected,
                     struct mw_str actual);
void mw_probe_not_checked(struct mw_probe_report *report, struct mw_str what);
void mw_probe_report_free(struct mw_probe_report *report);

struct mw_probe_options {
    const struct mw_tape *tape; /* borrowed */
    uint32_t design;            /* the SERVICE object */
    const char *folder;         /* borrowed: the service's folder */
    const char *
        scratch; /* borrowed: an existing folder for its data; what the probe makes there it removes */
    const char *const *start; /* borrowed: the words of service.json `start`, NULL at the end */
    int64_t deadline_ns;      /* monotonic */
    bool smoke;               /* only: starts, is healthy, ready, stops */
    void (*say)(void *user, struct mw_str text); /* progress; may be NULL */
    void *user;
};

/* Fills the report (which the caller began with zeros). */
MW_MUST enum mw_rc mw_probe_run(const struct mw_probe_options *options,
                                struct mw_probe_report *report, struct mw_err *err);

/* True when the OpenAPI document describes method and path; parameters may have any names. */
bool mw_probe_openapi_has(const struct mw_tape *tape, uint32_t document, struct mw_str method,
                          struct mw_str path);
/* The path of a use case: as the design says, else as docs/blueprint.md says. */
struct mw_str mw_probe_path_of(struct mw_arena *arena, const struct mw_tape *tape, uint32_t design,
                               uint32_t use_case);
/* Its method likewise. */
struct mw_str mw_probe_method_of(const struct mw_tape *tape, uint32_t use_case);

#endif
