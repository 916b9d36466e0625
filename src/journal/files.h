/*
 * files.h - port/journal on files: segments of frames of JSON lines. docs/journal.md is the format.
 */
#ifndef MW_JOURNAL_FILES_H
#define MW_JOURNAL_FILES_H

#include "port/journal.h"

extern const struct mw_journal_ops mw_journal_files;

#endif
