/*
 * format.h - the small printf of pure code: no stdio, no locale, no floating point.
 *
 * Knows %s %.*s %c %% %d %i %u %x with the lengths l, ll and z, a width, and the flag 0. Anything else is an assert: the format is ours.
 */
#ifndef MW_FORMAT_H
#define MW_FORMAT_H

#include "base/base.h"
#include <stdarg.h>

typedef void mw_format_put(void *sink, const char *bytes, size_t len);
void mw_format(mw_format_put *put, void *sink, const char *format, va_list args);

#endif
