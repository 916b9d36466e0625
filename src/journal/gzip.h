/*
 * gzip.h - one gzip member, packed or unpacked piece by piece.
 *
 * Owns:     zlib, loaded when the first piece of work asks for it: only who archives a journal needs it.
 * Does not: read or write files. A member never carries a name or a time, so the same bytes are always packed the same by the same zlib.
 * Errors:   MW_E_MISSING  zlib is not installed
 *           MW_E_CORRUPT  what is unpacked is no gzip member, is damaged, or goes on after its end
 */
#ifndef MW_JOURNAL_GZIP_H
#define MW_JOURNAL_GZIP_H

#include "base/str.h"

/* Takes what came out, borrowed for the call. Anything but MW_OK ends the work and is passed on. */
typedef enum mw_rc (*mw_gzip_sink)(void *context, struct mw_str bytes, struct mw_err *err);

struct mw_gzip; /* from one thread at a time */

MW_MUST enum mw_rc mw_gzip_open(bool packs, mw_gzip_sink sink, void *context,
                                struct mw_gzip **ret_gzip, struct mw_err *err);
/* ends: these are the last bytes, which may be none; packing only. */
MW_MUST enum mw_rc mw_gzip_put(struct mw_gzip *gzip, struct mw_str bytes, bool ends,
                               struct mw_err *err);
/* Was the member's end reached? Its checksum and length did fit then. */
bool mw_gzip_ended(const struct mw_gzip *gzip);
void mw_gzip_close(struct mw_gzip *gzip); /* may be NULL */

#endif
