/*
 * library.h - a shared library that most processes of this program never need, and that would cost each of them its start: loaded by who
 * needs it.
 *
 * Owns:     nothing: what is loaded stays until the process ends.
 * Does not: see to it that two threads do not load at once (pthread_once does), call anything.
 */
#ifndef MW_LIBRARY_H
#define MW_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct mw_library_function {
    const char *name;
    void *at; /* the function pointer that is to point to it */
};

/* True when the library is there with all of them; else none of the pointers means anything. */
bool mw_library_load(const char *file, const struct mw_library_function *functions, size_t count);

#endif
