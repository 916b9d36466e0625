/*
 * fold.h - the form in which two names are one on a file system that folds case or normalises Unicode (NTFS, APFS, HFS+, exFAT).
 *
 * The form is NFKC_Casefold: case folded, composed, compatibility characters and invisible ones gone. It is coarser than any of those file
 * systems, so nothing that collides on them gets through. ASCII needs no library; anything else is asked of ICU, loaded on first use.
 */
#ifndef MW_FOLD_H
#define MW_FOLD_H

#include "base/buf.h"

/* Appends the folded name (UTF-8) to buf (heap). MW_E_INPUT: not UTF-8. MW_E_MISSING: the name is not ASCII and ICU is not there. */
MW_MUST enum mw_rc mw_fold_name(struct mw_str name, struct mw_buf *buf, struct mw_err *err);

#endif
