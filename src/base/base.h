/*
 * base.h - what every room needs from C: asserts, result codes, errors, small helpers.
 *
 * Owns:     the meaning of a result code (a code tells the caller what to do).
 * Does not: allocate, print, or know the product.
 */
#ifndef MW_BASE_H
#define MW_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Our own mistakes only: stays on in every build. What a person, file, agent or socket sent is refused, never asserted. */
#ifndef MW_COVERAGE
#define MW_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : mw_assert_failed(#condition, __FILE__, __LINE__))
#else /* coverage is measured: what can never fail is no branch that a test forgot */
#define MW_ASSERT(condition) mw_assert_that((condition), #condition, __FILE__, __LINE__)
#endif
#define MW_UNREACHABLE(why) mw_assert_failed("unreachable: " why, __FILE__, __LINE__)
#define MW_MUST __attribute__((warn_unused_result))
#define MW_PRINTF(format_index, first_index)                                                       \
    __attribute__((format(printf, format_index, first_index)))
#define MW_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MW_UNUSED __attribute__((unused))

__attribute__((noreturn)) void mw_assert_failed(const char *condition, const char *file, int line);
#ifdef MW_COVERAGE
static inline void mw_assert_that(bool holds, const char *condition, const char *file, int line)
{
    if (!holds)
        mw_assert_failed(condition, file, line);
}
#endif

/* A code is a policy. The numbers are internal; mw_rc_exit_code gives the command line's. */
enum mw_rc {
    MW_OK = 0,
    MW_E_USAGE,    /* the caller's words are wrong: refuse */
    MW_E_INPUT,    /* a file, body or answer is malformed: refuse, with the place */
    MW_E_CORRUPT,  /* our own data is damaged: stop, offer doctor */
    MW_E_MISSING,  /* a needed program, service or file is not there */
    MW_E_IO,       /* the disk or a descriptor failed: stop */
    MW_E_FULL,     /* no space: refuse new work, keep what is held */
    MW_E_CONFLICT, /* somebody else holds it or wrote first: reload or try later */
    MW_E_DENIED,   /* not allowed */
    MW_E_CONFIG,   /* a definition or setting is wrong: refuse, with file and line */
    MW_E_LIMIT,    /* a named limit was reached */
    MW_E_TIMEOUT,  /* nothing came in time */
    MW_E_FAILED,   /* the work itself failed */
    MW_E_WAITING,  /* a person has to answer first */
    MW_RC_COUNT
};

#define MW_ERR_TEXT_MAX 1024

/* Filled once, where the error arises; everybody else passes it on. */
struct mw_err {
    enum mw_rc rc;
    int sys_errno; /* 0 when the system was not the cause */
    char text[MW_ERR_TEXT_MAX];
};

/* Formats text (and errno's words when errno is set) into err (may be NULL) and returns rc. Only %s %d %u %ld %lu %zu %c %.*s. */
enum mw_rc mw_fail(struct mw_err *err, enum mw_rc rc, int sys_errno, const char *format, ...)
    MW_PRINTF(4, 5);

/* MW_FAIL: with no system cause. MW_FAIL_SYS: with errno. */
#define MW_FAIL(err, rc, ...) mw_fail((err), (rc), 0, __VA_ARGS__)
#define MW_FAIL_SYS(err, rc, ...) mw_fail((err), (rc), errno, __VA_ARGS__)

/* The process exit code that spec'd shells use for rc: 0 1 2 3 4 65 69 74 75 77 78. */
int mw_rc_exit_code(enum mw_rc rc);
const char *mw_rc_name(enum mw_rc rc);

#endif
