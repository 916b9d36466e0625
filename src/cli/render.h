/*
 * render.h - a view's JSON as text for people: scalars as lines, lists of objects as tables, long text as it is.
 *
 * Owns:     layout, colours, terminals. Does not: know any view; the verbs with a layout of their own are in their own files.
 */
#ifndef MW_CLI_RENDER_H
#define MW_CLI_RENDER_H

#include "cli/command.h"

enum mw_color { MW_PLAIN, MW_BOLD, MW_DIM, MW_GREEN, MW_RED, MW_YELLOW, MW_CYAN };

/* Colours only on a terminal, and not with NO_COLOR or TERM=dumb. */
bool mw_color_wanted(int fd);
/* The escape for color, or "" when colours are off; MW_PLAIN ends one. */
const char *mw_color(bool wanted, enum mw_color color);
/* Columns of the terminal; 80 when it cannot be known. */
unsigned mw_terminal_width(int fd);
/* Columns that UTF-8 text takes, wide characters not considered. */
size_t mw_text_columns(struct mw_str text);
/* text cut to columns with … when it is longer; control bytes become spaces. Appends. */
void mw_put_cut(struct mw_buf *out, struct mw_str text, size_t columns);
/* The same without a limit: what came from agents cannot move the cursor. */
void mw_put_safe(struct mw_buf *out, struct mw_str text);
/* The same, line by line: a line's end stays one. */
void mw_put_safe_lines(struct mw_buf *out, struct mw_str text);

/* The whole document. Ids of traces, sessions and journeys only with verbose. */
void mw_render(struct mw_buf *out, const struct mw_tape *tape, uint32_t node, bool color,
               bool verbose);
/* 1234567 as "1.2 MB". */
void mw_put_size(struct mw_buf *out, uint64_t bytes);
/* 3123 ms as "3.1 s", 190000 as "3 m 10 s". */
void mw_put_ms(struct mw_buf *out, uint64_t ms);

#endif
