/*
 * scaffold.h - a minimal app root that the platform can run: files from factory/scaffold/{name}, copied as they are (BL-02).
 *
 * Owns:     making it once. Does not: generate, name the app, replace anything: an app root that holds anything stays untouched.
 */
#ifndef MW_SCAFFOLD_H
#define MW_SCAFFOLD_H

#include "stage/tree.h"

/* "{factory}/scaffold/{name}/app": what mw_promote.scaffold wants. Owned by the caller (mw_heap_free). NULL when name is not a plain name. */
char *mw_scaffold_folder(const char *factory, const char *name);
/* Makes {workspace}/app whole or not at all. *ret_made: false when there was one already. MW_E_MISSING: no such scaffold. */
MW_MUST enum mw_rc mw_scaffold_make(int workspace_fd, const char *factory, const char *name,
                                    bool *ret_made, struct mw_err *err);
/* The untouched scaffold's digest. */
MW_MUST enum mw_rc mw_scaffold_digest(const char *factory, const char *name,
                                      char ret_sha256[MW_SHA256_HEX], struct mw_err *err);

#endif
