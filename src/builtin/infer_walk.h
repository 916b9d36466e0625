/*
 * infer_walk.h - the place in a prompt where its reading is, and the questions that its readers ask about the words there.
 *
 * Owns:     nothing; the tokens and the blueprint are the caller's.
 * Does not: decide what words mean (infer.c: use cases; infer_list.c: records and fields; infer_service.c: services).
 */
#ifndef MW_INFER_WALK_H
#define MW_INFER_WALK_H

#include "builtin/infer.h"

/* In walk.records: the word says whom the product is for. */
#define MW_WALK_NO_RECORD 255

struct walk {
    struct mw_infer *inf;
    struct mw_toks *toks;
    struct mw_bp_service **heads; /* by token: the service that is named there */
    uint8_t *records; /* by token: words from there on that name a record no table knows; 0: none */
    struct mw_bp_service *service; /* spoken of */
    struct mw_bp_entity *entity;   /* spoken of; NULL: the service itself */
    bool sentence_start;
    bool begins_anew;  /* after the colon that was just read */
    bool subject_here; /* the words just before named the subject */
};

static inline bool word_at(const struct walk *w, uint32_t i)
{
    return i < w->toks->count && w->toks->at[i].kind == MW_TOK_WORD && !w->toks->at[i].tech;
}

static inline bool kind_at(const struct walk *w, uint32_t i, enum mw_tok_kind kind)
{
    return i < w->toks->count && w->toks->at[i].kind == kind;
}

static inline bool listed(const struct walk *w, uint32_t i, const char *key)
{
    return word_at(w, i) && mw_words_has(&w->inf->words->stop, key, w->toks->at[i].low);
}

static inline bool one_of(const struct walk *w, uint32_t i, const char *const *words)
{
    for (; *words != NULL; words++)
        if (word_at(w, i) && mw_tok_is(w->toks, i, *words))
            return true;
    return false;
}

static inline bool is_container(const struct walk *w, uint32_t i)
{
    return word_at(w, i) && mw_words_has(&w->inf->words->nouns, "containers", w->toks->at[i].low);
}

static inline void use(const struct walk *w, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        w->toks->at[i].used = true;
}

static inline struct mw_str low_of(const struct walk *w, uint32_t from, uint32_t to)
{
    return mw_tokens_low(w->inf->arena, w->toks, from, to);
}

static inline bool is_noun(const struct walk *w, uint32_t from, uint32_t to)
{
    struct mw_str name = MW_STR_NONE;
    return mw_words_noun(w->inf->words, mw_words_singular(w->inf->words, low_of(w, from, to)),
                         &name) != MW_NODE_NONE;
}

static inline bool plain_word(const struct walk *w, uint32_t i)
{
    return word_at(w, i) && !w->toks->at[i].compound && !is_container(w, i) &&
           (!mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low) ||
            is_noun(w, i, i + 1)) &&
           !listed(w, i, "articles");
}

static inline bool is_small(const struct walk *w, uint32_t i)
{
    return word_at(w, i) && mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low);
}

/* --- infer_list.c --- */
/* Words that say what a record holds; those that only a record can be followed by; names of what is held. NULL-terminated. */
extern const char *const mw_walk_having[];
extern const char *const mw_walk_strict_having[];
extern const char *const mw_walk_field_words[];
/* The record that [from,to) names, made when it is new; from here on it is the one spoken of. NULL: no usable name. */
struct mw_bp_entity *mw_walk_speak_of(struct walk *w, uint32_t from, uint32_t to);
/* Length of a noun phrase at i that names a known noun or a record already there; 0: none. */
uint32_t mw_walk_noun_len(const struct walk *w, uint32_t i);
bool mw_walk_is_trigger(const struct walk *w, uint32_t i);
/* Do use cases begin here, and no field? */
bool mw_walk_starts_verbs(const struct walk *w, uint32_t i);
/* Adds a field to the record spoken of. */
void mw_walk_declare(struct walk *w, uint32_t from, uint32_t to, struct mw_bp_field *field);
/* "loans referencing a book": records, and no field of the record before. */
bool mw_walk_is_related(const struct walk *w, uint32_t i);
/* "companies post jobs": who does what to which records. Returns where the verb is, or i. */
uint32_t mw_walk_clause_verb(const struct walk *w, uint32_t i);
/* "title, due date and priority low|normal|high" at i. Returns the index after it. */
uint32_t mw_walk_field_list(struct walk *w, uint32_t i);

/* --- infer_record.c --- */
/* Finds the records that only their place in a list tells; after the services, before anything else is read. */
void mw_infer_records(struct walk *w);
/* Do the words [from,to) at the beginning only name the product? "Gym with members". */
bool mw_walk_is_title(const struct walk *w, uint32_t from, uint32_t to);
/* "that stores measurements", "to keep track of visits", at "that": where the records are; i when there are none. */
uint32_t mw_walk_kept(const struct walk *w, uint32_t i);
/* A plural that nobody knows fills the item at i: from here on it is a record. */
bool mw_walk_is_record(struct walk *w, uint32_t i);
/* "loans of books to members", at "of": the record spoken of refers to them. Returns the index after it, or i. */
uint32_t mw_walk_of_records(struct walk *w, uint32_t i);

/* --- infer_service.c --- */
/* Finds the services that the prompt names and marks their heads; they are the blueprint's before anything else is read. */
void mw_infer_services(struct walk *w);

#endif
