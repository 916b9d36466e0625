/*
 * blueprint_import.h - a blueprint file in any spelling that docs/understanding.md lists, into the normalised blueprint.
 *
 * Owns:     the spellings, which keys there are, and errors with the JSON pointer of the place.
 * Does not: read files; the object arrives parsed.
 * Errors:   MW_E_INPUT: pointer, what was found, what would be right. What only a person can say is asked (inf->asked).
 */
#ifndef MW_BLUEPRINT_IMPORT_H
#define MW_BLUEPRINT_IMPORT_H

#include "builtin/infer.h"

MW_MUST enum mw_rc mw_blueprint_import(struct mw_infer *inf, const struct mw_tape *tape,
                                       uint32_t blueprint, struct mw_str name_wish,
                                       struct mw_err *err);

#endif
