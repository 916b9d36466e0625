/*
 * words.h - the word tables of factory/understanding, and what names are made of: folding to ASCII, plural and singular, CamelCase,
 * camelCase and slugs.
 *
 * Owns:     reading the tables and answering questions about one word.
 * Does not: know prompts or blueprints. All results lie in the arena; nothing fails but loading.
 * Limits:   a table file has at most MW_WORDS_FILE_MAX bytes.
 * Errors:   mw_words_load: MW_E_MISSING (no such file), MW_E_CONFIG (not the shape that docs/understanding.md says).
 */
#ifndef MW_WORDS_H
#define MW_WORDS_H

#include "base/json.h"

#define MW_WORDS_FILE_MAX (1024 * 1024)

struct mw_words {
    struct mw_arena *arena; /* borrowed */
    struct mw_tape nouns, verbs, fields, technologies, stop;
};

MW_MUST enum mw_rc mw_words_load(struct mw_arena *arena, struct mw_str factory,
                                 struct mw_words *ret_words, struct mw_err *err);

/* True when the list at key (in the root of table) holds the folded word. */
bool mw_words_has(const struct mw_tape *table, const char *key, struct mw_str low);
/* The row of a known noun (singular, folded, words parted by one space), or MW_NODE_NONE. *ret_name: its main name. */
uint32_t mw_words_noun(const struct mw_words *words, struct mw_str singular,
                       struct mw_str *ret_name);
/* The noun's main name for a word that only stands for it ("todo item", "shopping list"), else the word itself. */
struct mw_str mw_words_main_name(const struct mw_words *words, struct mw_str singular);
/* True for the plural of a known noun or a word that can only be a plural. */
bool mw_words_is_plural(const struct mw_words *words, struct mw_str low);
struct mw_str mw_words_singular(const struct mw_words *words, struct mw_str low);
struct mw_str mw_words_plural(const struct mw_words *words, struct mw_str low);

/* Lower-case ASCII: accents are taken off (ä gives ae, é gives e); what has no ASCII form is left out. */
struct mw_str mw_name_fold(struct mw_arena *arena, struct mw_str text);
/* "due date", "due-date", "due_date" and "DueDate" give "due date"; folded; empty when nothing is left. */
struct mw_str mw_name_words(struct mw_arena *arena, struct mw_str text);
struct mw_str mw_name_pascal(struct mw_arena *arena, struct mw_str text);
struct mw_str mw_name_camel(struct mw_arena *arena, struct mw_str text);
struct mw_str mw_name_slug(struct mw_arena *arena, struct mw_str text);
/* At most max_bytes, never cut inside a character: for messages. */
struct mw_str mw_name_clip(struct mw_str text, size_t max_bytes);
/* ASCII letters and digits, starting with a letter of the wanted case, at most MW_NAME_MAX. */
#define MW_NAME_MAX 64
bool mw_name_is_pascal(struct mw_str name);
bool mw_name_is_camel(struct mw_str name);
bool mw_name_is_slug(struct mw_str name);

#endif
