/*
 * infer.h - understanding of words without a model: a prompt, or the short phrases of a blueprint file, become parts of a blueprint.
 *
 * Owns:     the text's tokens and which of them were understood, what was assumed, the one question that has to be asked next, and the
 *           answers given so far.
 * Does not: read blueprint files as a whole (blueprint_import.h), write payloads (blueprint.c).
 * Rule:     a word either names a part of the blueprint (a note says which), or is a stop word, or is listed as not understood. What cannot
 *           be built or decided is asked; the first question wins, the others come in later rounds.
 * Limits:   MW_PROMPT_MAX bytes of text (MW_E_INPUT).
 */
#ifndef MW_INFER_H
#define MW_INFER_H

#include "builtin/blueprint.h"

#define MW_PROMPT_MAX (64 * 1024)

enum mw_tok_kind {
    MW_TOK_WORD,
    MW_TOK_NUMBER,
    MW_TOK_COMMA,
    MW_TOK_COLON,
    MW_TOK_OPEN,
    MW_TOK_CLOSE,
    MW_TOK_BAR, /* | or / : alternatives */
    MW_TOK_RANGE,
    MW_TOK_BREAK /* end of a sentence; the last token always is one */
};

struct mw_tok {
    struct mw_str text; /* borrowed from the source, as written */
    struct mw_str low;  /* folded */
    enum mw_tok_kind kind;
    bool used;     /* understood: a note names it */
    bool tech;     /* belongs to a store, an authentication or a flag: nothing else may take it */
    bool compound; /* "UserProfileService": starts a service by itself */
};

struct mw_toks {
    struct mw_str source;
    struct mw_tok *at;
    uint32_t count;
};

/* One row of a word table, ready for comparing. */
struct mw_phrase {
    const struct mw_tape *table;
    uint32_t row; /* node */
    struct mw_toks toks;
    uint32_t words; /* tokens without the break */
};

struct mw_phrases {
    struct mw_phrase *at;
    uint32_t count;
};

struct mw_note {
    struct mw_note *next;
    bool assumed;
    const void *part;    /* service, entity, field or use case; NULL: path */
    const char *path;    /* such as "auth" */
    struct mw_str value; /* JSON text */
    struct mw_str why;
};

#define MW_ASK_OPTIONS_MAX 80
struct mw_ask {
    struct mw_str field, question, reason;
    struct mw_str options[MW_ASK_OPTIONS_MAX];
    uint32_t option_count;
};

/* How the verbs of a list are written. */
enum mw_form { MW_FORM_BASE, MW_FORM_ING, MW_FORM_S, MW_FORM_ED };

/* "mark todos as done": [from,to) holds it all; ranges of the object and of what follows "as", "to" or "by". */
struct mw_item {
    struct mw_item *next;
    const struct mw_toks *toks;
    const struct mw_phrase *phrase; /* the verb; NULL: nobody knows it */
    bool is_state;
    bool negated; /* "users cannot delete todos" */
    uint32_t from, verb, verb_to, to;
    uint32_t object_from, object_to;
    uint32_t rest_from, rest_to; /* after as/to/by/from/for */
    struct mw_str preposition;
    struct mw_bp_service *service; /* where it was said, or NULL */
    struct mw_bp_entity *entity;   /* what was spoken of before it, or NULL */
};

struct mw_infer {
    struct mw_arena *arena;
    const struct mw_words *words;
    struct mw_bp *bp;
    const struct mw_tape *answers; /* ClarificationAnswered; MW_NODE_NONE: none */
    uint32_t answers_node;
    struct mw_note *first_note, **next_note;
    bool asked;
    struct mw_ask ask;
    struct mw_phrases technologies, verbs, states, triggers_base, triggers_ing, triggers_s,
        triggers_maybe, keeps;
    struct mw_item *first_item, **next_item;
    bool entities_closed;             /* the entities were given: a use case may not add one */
    struct mw_str storage, algorithm; /* decided so far; algorithm empty: none */
    bool storage_known, auth_known;
};

void mw_infer_init(struct mw_infer *inf, struct mw_bp *bp, const struct mw_tape *task,
                   uint32_t answers);

/* --- infer_ask.c: questions, answers, notes --- */
/* The last answer given to a field; false when there is none. */
bool mw_infer_answer(const struct mw_infer *inf, struct mw_str field, struct mw_str *ret_answer);
/* Keeps the first question. An unusable answer to it becomes part of the reason. Options: a NULL-terminated list of C strings. */
void mw_infer_ask(struct mw_infer *inf, struct mw_str field, struct mw_str question,
                  struct mw_str reason, const char *const *options);
bool mw_infer_leaves_out(const struct mw_infer *inf, struct mw_str answer);
void mw_infer_note(struct mw_infer *inf, bool assumed, const void *part, const char *path,
                   struct mw_str value_json, struct mw_str why);
struct mw_str mw_infer_quote(const struct mw_infer *inf, struct mw_str text); /* as a JSON string */
struct mw_str mw_infer_note_path(const struct mw_infer *inf, const struct mw_note *note);
/* A flag that cannot be built: asks, and is true when the answer is to leave it out. */
bool mw_infer_drop(struct mw_infer *inf, struct mw_str field, struct mw_str what,
                   struct mw_str said);
/* Decides a store or an authentication by its name in the tables; asks when it cannot be built. False: asked. */
bool mw_infer_storage(struct mw_infer *inf, struct mw_str named, struct mw_str field,
                      struct mw_str *ret_storage);
bool mw_infer_auth(struct mw_infer *inf, struct mw_str named, struct mw_str field,
                   struct mw_str *ret_algorithm);

/* --- infer_tokens.c --- */
struct mw_toks mw_tokens(struct mw_arena *arena, struct mw_str text);
struct mw_str mw_tokens_text(const struct mw_toks *toks, uint32_t from,
                             uint32_t to); /* as written */
struct mw_str mw_tokens_low(struct mw_arena *arena, const struct mw_toks *toks, uint32_t from,
                            uint32_t to);
bool mw_tok_is(const struct mw_toks *toks, uint32_t i, const char *low);
void mw_phrases_add(struct mw_arena *arena, struct mw_phrases *phrases, const struct mw_tape *table,
                    uint32_t row, uint32_t list);
/* The longest phrase at i, or NULL. form inflects the first word. */
const struct mw_phrase *mw_phrase_at(const struct mw_phrases *phrases, const struct mw_toks *toks,
                                     uint32_t i, enum mw_form form);

/* --- infer_tech.c: stores, authentication, flags --- */
void mw_infer_technologies(struct mw_infer *inf, struct mw_toks *toks);

/* --- infer_field.c --- */
/* Reads one field at i: "required title up to 120 characters", "price: number min 0". Returns the index after it; *ret_field: NULL when
 * there is no name. entity: for references to entities and notes; may be NULL. */
uint32_t mw_infer_field(struct mw_infer *inf, struct mw_toks *toks, uint32_t i,
                        struct mw_bp_service *service, struct mw_bp_field **ret_field);
/* Reads the words that say of a record that it refers to another: "belongs to", "referencing". Returns the index after them, or i. */
uint32_t mw_infer_relation(const struct mw_toks *toks, uint32_t i);
/* Reads a further record that is referred to: "and a member". Like mw_infer_field. */
uint32_t mw_infer_reference(struct mw_infer *inf, struct mw_toks *toks, uint32_t i,
                            struct mw_bp_service *service, struct mw_bp_field **ret_field);
/* Reads only what can follow a name ("required", "one of a, b"). */
uint32_t mw_infer_attributes(struct mw_infer *inf, struct mw_toks *toks, uint32_t i,
                             struct mw_bp_service *service, struct mw_bp_field *field);
/* Fills in the type from the name when nobody said it, and the assumption that goes with it. */
void mw_infer_field_finish(struct mw_infer *inf, struct mw_bp_service *service,
                           struct mw_bp_entity *entity, struct mw_bp_field *field);
/* A field as a text of the tables or of a blueprint file; every word must be understood. NULL: *ret_bad names the word. */
struct mw_bp_field *mw_infer_field_text(struct mw_infer *inf, struct mw_str text,
                                        struct mw_bp_service *service, struct mw_str *ret_bad);
/* Adds a declared field, or merges it with what the same name said before; a conflict is asked. */
void mw_infer_declare(struct mw_infer *inf, struct mw_bp_service *service,
                      struct mw_bp_entity *entity, struct mw_bp_field *field);

/* --- infer_case.c --- */
/* Reads a list of verbs at i; false at the first word that is none. Items are added to inf's list. Returns the index after it. */
uint32_t mw_infer_verbs(struct mw_infer *inf, struct mw_toks *toks, uint32_t from, uint32_t i,
                        enum mw_form form, bool unknown_too);
/* The entity that a phrase names: one of the service's, of another service, or NULL. */
struct mw_bp_entity *mw_infer_entity(const struct mw_infer *inf, struct mw_bp_service *service,
                                     struct mw_str low, struct mw_bp_service **ret_service);
/* Makes the use cases of one item. exact: exactly one, under the given name (empty: derived). *ret_why: not derivable because. */
bool mw_infer_item(struct mw_infer *inf, struct mw_bp_service *service, struct mw_bp_entity *entity,
                   const struct mw_item *item, bool assumed, struct mw_str exact_name,
                   struct mw_str *ret_why);
/* The use case of one text ("Mark as read", "CreateOrder"); false: asked, or not derivable. */
bool mw_infer_case_text(struct mw_infer *inf, struct mw_bp_service *service,
                        struct mw_bp_entity *entity, struct mw_str text, bool assumed,
                        struct mw_str exact_name, struct mw_str *ret_why);

/* --- infer_parts.c: what the noun tables know --- */
struct mw_bp_entity *mw_infer_add_entity(struct mw_infer *inf, struct mw_bp_service *service,
                                         struct mw_str low);
void mw_infer_default_fields(struct mw_infer *inf, struct mw_bp_service *service,
                             struct mw_bp_entity *entity);
/* Has the table's record of that name such a field? */
bool mw_infer_has_by_default(const struct mw_infer *inf, const struct mw_bp_entity *entity,
                             struct mw_str field);
/* as_unknown: those of a noun that the tables do not know, whatever they know of this one. */
void mw_infer_default_cases(struct mw_infer *inf, struct mw_bp_service *service,
                            struct mw_bp_entity *entity, bool as_unknown);
/* "task manager" gives "task": the noun of a service without words that say "a program". */
struct mw_str mw_infer_noun(const struct mw_infer *inf, struct mw_str base);

/* --- infer_finish.c --- */
/* After reading: fields, use cases, storage, name; everything nobody said is assumed from the tables. */
void mw_infer_finish(struct mw_infer *inf, struct mw_str name_wish);
/* The entity that carries a service's own noun; made when it is not there. */
struct mw_bp_entity *mw_infer_main_entity(struct mw_infer *inf, struct mw_bp_service *service);

/* --- infer.c --- */
/* The whole prompt. After it either inf->asked or inf->bp is complete. *ret_toks: for what was not understood. */
MW_MUST enum mw_rc mw_infer_prompt(struct mw_infer *inf, struct mw_str prompt,
                                   struct mw_str name_wish, struct mw_toks *ret_toks,
                                   struct mw_err *err);
/* True for a word that nobody used and that is no stop word. */
bool mw_infer_is_left(const struct mw_infer *inf, const struct mw_tok *tok);

#endif
