/*
 * mask.h - secrets are replaced where text comes in, before anything is decided or hashed (P19).
 *
 * Owns:     the values of the secrets that agents' definitions name (taken from the host's environment), in the forms in which they travel:
 *           plain, base64 (alone or amid other bytes, also with the letters for addresses), and each of these as any writer of JSON or of
 *           addresses spells it: by escapes where it likes.
 * Does not: keep them anywhere else, find secrets that nobody named, look into files.
 * Limits:   values of at least MW_SECRET_BYTES_MIN bytes; shorter ones would mask ordinary words.
 */
#ifndef MW_MASK_H
#define MW_MASK_H

#include "base/buf.h"

#define MW_SECRET_BYTES_MIN 8u

struct mw_mask; /* owned by the host */

struct mw_mask *mw_mask_make(void);
void mw_mask_free(struct mw_mask *mask);
/* Registers a secret; the same name again replaces nothing that is the same, and adds what is new. */
void mw_mask_add(struct mw_mask *mask, struct mw_str name, struct mw_str value);
/* Appends text, which is JSON, to out with every registered form replaced by "[secret NAME]". False: there was none (out is then a plain copy).
 * What is left is JSON again, unless two members now have one name or a secret was more than text: whoever hands on what others wrote looks. */
bool mw_mask_text(const struct mw_mask *mask, struct mw_str text, struct mw_buf *out);

#endif
