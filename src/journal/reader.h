/*
 * reader.h - reading records without the lock, beside a writer that may be at work (the reader_ functions of port/journal).
 */
#ifndef MW_JOURNAL_READER_H
#define MW_JOURNAL_READER_H

#include "journal/scan.h"

MW_MUST enum mw_rc mw_reader_open(const char *dir, const struct mw_journal_options *options,
                                  uint64_t from_seq, void **ret_reader, struct mw_err *err);
MW_MUST enum mw_rc mw_reader_read(void *reader, uint64_t until_seq, mw_journal_on_record on_record,
                                  void *context, uint64_t *ret_next_seq, struct mw_err *err);
void mw_reader_close(void *reader);

/* Hands over a frame's records from from_seq on. */
MW_MUST enum mw_rc mw_reader_deliver(const struct mw_scan_frame *frame, uint64_t from_seq,
                                     mw_journal_on_record on_record, void *context,
                                     struct mw_err *err);

#endif
