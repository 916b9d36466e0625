/*
 * check_internal.h - what check.c, check_tests.c and check_bundle.c share. Private to src/builtin/check*.c and its tests.
 */
#ifndef MW_CHECK_INTERNAL_H
#define MW_CHECK_INTERNAL_H

#include "builtin/builtin.h"
#include "builtin/probe.h"
#include "builtin/service.h"

#define CHECK_COVERAGE_MAX 16
#define CHECK_FILE_MAX ((size_t)16 << 20)
#define CHECK_NAMES_MAX 64

/* service.json, read. */
struct check_service {
    char *folder; /* owned */
    struct mw_buf text;
    struct mw_arena arena;
    struct mw_tape tape;
};

/* services/{slug} and its service.json. MW_E_MISSING: no such folder or file; MW_E_INPUT: it cannot be read. */
MW_MUST enum mw_rc check_service_open(struct mw_str slug, struct check_service *ret_service,
                                      struct mw_err *err);
void check_service_close(struct check_service *service);
/* The words of one of its commands (heap, NULL at the end; free with check_words_free); NULL when there is none. */
char **check_words(const struct check_service *service, const char *key);
void check_words_free(char **words);

/* What a test runner said. */
struct check_tests {
    uint32_t passed, failed, skipped;
    bool counted;                         /* the runner's own summary was seen */
    char coverage[CHECK_COVERAGE_MAX];    /* "92%" or "unknown" */
    struct mw_str names[CHECK_NAMES_MAX]; /* heap: failed tests */
    uint32_t name_count;
    uint32_t tap_ok, tap_not_ok; /* counted by line, for runners without a summary */
    uint32_t failed_indent; /* of the last failed line, plus one; 0: none since an outer line */
    bool spec;              /* the spec reporter's marks were seen */
};

/* form: "tap", "node-spec" or empty for either. One line at a time. */
void check_tests_line(struct check_tests *tests, struct mw_str form, struct mw_str line);
void check_tests_end(struct check_tests *tests);
void check_tests_free(struct check_tests *tests);

/* ValidateBundle: writes the payload into b->answer. */
MW_MUST enum mw_rc check_bundle(struct mw_builtin *b, struct mw_err *err);

/* One line in detail for everything in which the payload's design differs from its blueprint. */
void check_design_promise(const struct mw_tape *tape, uint32_t payload, struct mw_buf *detail);
/* One line for every field of the use case's entity that its operation in openapi.json does not describe. */
void check_described_fields(const struct mw_tape *tape, uint32_t design, uint32_t use_case,
                            const struct mw_tape *document, struct mw_str path,
                            struct mw_str method_lower, struct mw_buf *detail);

/* A folder for what the checks write: MILLWRIGHT's TMPDIR, else .probe in the current folder. Heap. */
MW_MUST enum mw_rc check_scratch_make(char **ret_path, struct mw_err *err);
void check_scratch_remove(char *path);
int64_t check_deadline_ns(const struct mw_builtin *b);

#endif
