/* infer_list.c - the records that a prompt speaks of, and the lists of what they hold: "books with title, due date and tags: a, b or c". */
#include "builtin/infer_walk.h"

const char *const mw_walk_having[] = {"has",        "have",     "having",  "contains",  "contain",
                                      "containing", "includes", "include", "including", "with",
                                      "consists",   "consist",  "needs",   "need",      "stores",
                                      "store",      NULL};
const char *const mw_walk_strict_having[] = {"has",     "have",     "having",  "contains",
                                             "contain", "consists", "consist", "belongs",
                                             "belong",  NULL};
const char *const mw_walk_field_words[] = {"fields",     "field",     "properties", "property",
                                           "attributes", "attribute", "columns",    NULL};

/* --- entities --- */

static struct mw_bp_service *owner_of(struct walk *w, struct mw_str low)
{
    struct mw_bp_service *own = mw_bp_service_of(w->inf->bp, mw_words_singular(w->inf->words, low));
    if (own != NULL)
        return own;
    if (w->service != NULL)
        return w->service;
    if (w->inf->bp->services != NULL)
        return w->inf->bp->services;
    struct mw_bp_service *made =
        mw_bp_add_service(w->inf->bp, mw_words_singular(w->inf->words, low));
    if (made != NULL)
        mw_infer_note(w->inf, true, made, NULL, mw_infer_quote(w->inf, made->name),
                      MW_STR("no service is named: called after its first record"));
    return made;
}

struct mw_bp_entity *mw_walk_speak_of(struct walk *w, uint32_t from, uint32_t to)
{
    struct mw_str low = low_of(w, from, to);
    struct mw_bp_service *service = NULL;
    struct mw_bp_entity *entity = mw_infer_entity(w->inf, w->service, low, &service);
    if (entity == NULL && mw_name_pascal(w->inf->arena, low).len > 0) {
        service = owner_of(w, low);
        entity = service != NULL ? mw_infer_add_entity(w->inf, service, low) : NULL;
    }
    if (entity == NULL)
        return NULL;
    use(w, from, to);
    mw_infer_note(w->inf, false, entity, NULL, mw_infer_quote(w->inf, entity->name),
                  mw_tokens_text(w->toks, from, to));
    w->service = service;
    w->entity = entity;
    w->subject_here = true;
    return entity;
}

/* Length of a noun phrase at i that names a known noun or an entity already there; 0: none. */
uint32_t mw_walk_noun_len(const struct walk *w, uint32_t i)
{
    if (i < w->toks->count && w->records[i] > 0)
        return w->records[i] == MW_WALK_NO_RECORD ? 0 : w->records[i];
    for (uint32_t len = 3; len > 0; len--) {
        bool words = true;
        for (uint32_t k = i; k < i + len; k++)
            words = words && word_at(w, k) && !w->toks->at[k].compound;
        struct mw_bp_service *service = NULL;
        if (words && (is_noun(w, i, i + len) ||
                      mw_infer_entity(w->inf, w->service, low_of(w, i, i + len), &service) != NULL))
            return len;
    }
    return 0;
}

/* "menu items": a word that nobody knows before a known plural; both name the record. 0: no such two words. */
static uint32_t compound_len(const struct walk *w, uint32_t i)
{
    bool first = plain_word(w, i) && !is_small(w, i) && !listed(w, i, "adjectives") &&
                 !listed(w, i, "measures") && !is_noun(w, i, i + 1) &&
                 !mw_words_is_plural(w->inf->words, w->toks->at[i].low) &&
                 mw_phrase_at(&w->inf->verbs, w->toks, i, MW_FORM_BASE) == NULL;
    bool known = plain_word(w, i + 1) && mw_walk_noun_len(w, i + 1) == 1;
    bool tail =
        word_at(w, i + 1) && mw_words_has(&w->inf->words->nouns, "tails", w->toks->at[i + 1].low);
    first = first ||
            (tail && plain_word(w, i) && !listed(w, i, "adjectives") && !listed(w, i, "measures") &&
             !mw_words_is_plural(w->inf->words, w->toks->at[i].low));
    if (mw_infer_relation(w->toks, i) > i)
        return 0; /* "linking passengers" */
    return first && (known || tail) && mw_words_is_plural(w->inf->words, w->toks->at[i + 1].low)
               ? 2
               : 0;
}

/* --- lists of fields --- */

bool mw_walk_is_trigger(const struct walk *w, uint32_t i)
{
    const struct mw_phrase *p = mw_phrase_at(&w->inf->triggers_base, w->toks, i, MW_FORM_BASE);
    return p != NULL && !w->toks->at[i].tech;
}

bool mw_walk_starts_verbs(const struct walk *w, uint32_t i)
{
    uint32_t verb = i;
    while (
        one_of(w, verb,
               (const char *const[]){"to", "that", "which", "who", "for", "users", "people", NULL}))
        verb++;
    if (mw_walk_is_trigger(w, i) || mw_walk_is_trigger(w, verb))
        return true;
    if (verb == i || one_of(w, i, (const char *const[]){"users", NULL}))
        return false;
    return mw_phrase_at(&w->inf->verbs, w->toks, verb,
                        mw_tok_is(w->toks, i, "for") ? MW_FORM_ING : MW_FORM_BASE) != NULL ||
           mw_phrase_at(&w->inf->states, w->toks, verb,
                        mw_tok_is(w->toks, i, "for") ? MW_FORM_ING : MW_FORM_BASE) != NULL;
}

static const char *const taken[] = {"id", "createdAt", "updatedAt", "ownerId", NULL};

void mw_walk_declare(struct walk *w, uint32_t from, uint32_t to, struct mw_bp_field *field)
{
    struct mw_str said = mw_tokens_text(w->toks, from, to);
    for (const char *const *name = taken; *name != NULL; name++)
        if (mw_bp_same_name(field->name, mw_str_of(*name))) {
            mw_infer_note(w->inf, false, NULL, "services", MW_STR("\"every record has it\""), said);
            return;
        }
    if (w->entity == NULL)
        w->entity = w->service != NULL ? mw_infer_main_entity(w->inf, w->service) : NULL;
    if (w->entity == NULL || w->entity->field_count > MW_BP_FIELDS_MAX)
        return;
    mw_infer_declare(w->inf, w->service, w->entity, field);
    mw_infer_note(w->inf, false, mw_bp_field_of(w->entity, field->name), NULL,
                  mw_infer_quote(w->inf, field->name), said);
}

/* "has many comments": each comment refers back. more: records were named before in this list, so a plural that nobody knows is one, too. */
static uint32_t has_many(struct walk *w, uint32_t i, bool more)
{
    static const char *const many[] = {"many", "multiple", "several", NULL};
    uint32_t from = one_of(w, i, many) ? i + 1 : i,
             len = word_at(w, from) ? mw_walk_noun_len(w, from) : 0;
    len = len == 0 && word_at(w, from) ? compound_len(w, from) : len;
    if (w->entity == NULL || !word_at(w, from) || (from == i && len == 0 && !more))
        return i;
    len = len == 0 ? 1 : len;
    uint32_t end = from + len;
    bool alone = kind_at(w, end, MW_TOK_COMMA) || kind_at(w, end, MW_TOK_BREAK) ||
                 kind_at(w, end, MW_TOK_CLOSE) || mw_tok_is(w->toks, end, "and");
    bool plural = mw_words_is_plural(w->inf->words, w->toks->at[end - 1].low);
    if (from == i && (!alone || !plural || w->toks->at[i].used))
        return i;
    struct mw_bp_entity *one = w->entity;
    struct mw_bp_service *service = w->service;
    struct mw_bp_entity *other = mw_infer_add_entity(w->inf, service, low_of(w, from, end));
    struct mw_bp_field *field = mw_arena_array(w->inf->arena, struct mw_bp_field, 1);
    if (other == one) { /* "subscription billing with plans, subscriptions": named again */
        use(w, i, end);
        return end;
    }
    if (other == NULL || field == NULL)
        return i;
    *field = (struct mw_bp_field){.name = mw_name_camel(w->inf->arena, one->name),
                                  .type = MW_BP_REFERENCE,
                                  .type_said = true,
                                  .entity = one->name};
    mw_infer_declare(w->inf, service, other, field);
    use(w, i, end);
    mw_infer_note(w->inf, false, mw_bp_field_of(other, field->name), NULL,
                  mw_infer_quote(w->inf, field->name), mw_tokens_text(w->toks, i, end));
    return end;
}

static bool is_field_name(const struct walk *w, uint32_t i)
{
    const struct mw_tape *t = &w->inf->words->fields;
    return word_at(w, i) &&
           mw_node_get_str(t, mw_node_get(t, 0, "exact"), w->toks->at[i].low) != MW_NODE_NONE;
}

static bool item_is_entity(const struct walk *w, uint32_t i, bool among_fields, uint32_t *ret_len)
{
    *ret_len = mw_walk_noun_len(w, i);
    if (*ret_len == 0 && w->entity == NULL && (*ret_len = compound_len(w, i)) > 0)
        return true;
    bool opens = kind_at(w, i + *ret_len, MW_TOK_OPEN) && w->entity == NULL;
    if (*ret_len > 0)
        return w->entity == NULL &&
               (mw_words_is_plural(w->inf->words, w->toks->at[i + *ret_len - 1].low) || opens);
    bool plural =
        word_at(w, i) && mw_words_is_plural(w->inf->words, w->toks->at[i].low) && w->entity == NULL;
    bool known = is_field_name(w, i);
    bool alone = kind_at(w, i + 1, MW_TOK_COMMA) || kind_at(w, i + 1, MW_TOK_BREAK) ||
                 kind_at(w, i + 1, MW_TOK_OPEN) || mw_tok_is(w->toks, i + 1, "and");
    *ret_len = 1;
    return plural && !known && alone && !among_fields &&
           !mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low);
}

/* "loans referencing a book": records, and no field of the record before. */
bool mw_walk_is_related(const struct walk *w, uint32_t i)
{
    return word_at(w, i) && mw_words_is_plural(w->inf->words, w->toks->at[i].low) &&
           !mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low) &&
           mw_infer_relation(w->toks, i + 1) > i + 1;
}

/* "companies post jobs": who does what to which records. Returns where the verb is, or i. */
uint32_t mw_walk_clause_verb(const struct walk *w, uint32_t i)
{
    uint32_t len = word_at(w, i) ? mw_walk_noun_len(w, i) : 0;
    bool begins = w->sentence_start || i == 0 || mw_tok_is(w->toks, i - 1, "and") ||
                  kind_at(w, i - 1, MW_TOK_COMMA) || mw_tok_is(w->toks, i - 1, "where");
    if (len == 0 && begins && plain_word(w, i) && !is_small(w, i))
        len = 1; /* "organizers publish events" */
    uint32_t verb = i + len;
    if (len == 0 || !mw_words_is_plural(w->inf->words, w->toks->at[verb - 1].low))
        return i;
    const struct mw_phrase *p = mw_phrase_at(&w->inf->verbs, w->toks, verb, MW_FORM_BASE);
    if (p == NULL)
        p = mw_phrase_at(&w->inf->states, w->toks, verb, MW_FORM_BASE);
    uint32_t object = verb + (p != NULL ? p->words : 0);
    uint32_t words =
        word_at(w, object) && mw_walk_noun_len(w, object) > 0 ? mw_walk_noun_len(w, object) : 1;
    bool plural = word_at(w, object) && !is_small(w, object) &&
                  mw_words_is_plural(w->inf->words, w->toks->at[object + words - 1].low);
    return p != NULL && (plural || listed(w, object, "articles")) ? verb : i;
}

/* "candidates apply": no field begins with the name of many records. */
static bool is_clause(const struct walk *w, uint32_t i)
{
    uint32_t len = mw_walk_noun_len(w, i);
    if (listed(w, i, "actors") && plain_word(w, i + 1) && !one_of(w, i + 1, mw_walk_field_words))
        return true; /* "people vote once" */
    if (mw_phrase_at(&w->inf->keeps, w->toks, i, MW_FORM_ING) != NULL && is_small(w, i + 1))
        return true; /* "storing data in MongoDB" */
    bool acts = mw_phrase_at(&w->inf->states, w->toks, i + 1, MW_FORM_BASE) != NULL ||
                mw_phrase_at(&w->inf->verbs, w->toks, i + 1, MW_FORM_BASE) != NULL;
    if (len == 0 && acts && word_at(w, i) && !is_field_name(w, i) && word_at(w, i + 1) &&
        !is_noun(w, i + 1, i + 2) && mw_words_is_plural(w->inf->words, w->toks->at[i].low))
        return true; /* "managers approve or reject" */
    return len > 0 && mw_words_is_plural(w->inf->words, w->toks->at[i + len - 1].low) &&
           plain_word(w, i + len) && !one_of(w, i + len, mw_walk_field_words);
}

/* "courses with title and credits": a record that nobody knows yet. */
static bool is_described_record(const struct walk *w, uint32_t i)
{
    if (!mw_words_is_plural(w->inf->words, w->toks->at[i].low))
        return false;
    if (kind_at(w, i + 1, MW_TOK_COLON))
        return mw_walk_noun_len(w, i) == 1;
    return one_of(w, i + 1, (const char *const[]){"with", "mw_walk_having", "containing", NULL}) &&
           word_at(w, i + 2);
}

/* "code unique, discount": a word that nobody can make anything of does not end the list; it is listed as not understood. */
static uint32_t skip_unread(const struct walk *w, uint32_t i)
{
    bool unit = one_of(w, i, (const char *const[]){"in", "per", "as", NULL}); /* "in parsecs" */
    if (unit && plain_word(w, i + 1) &&
        (kind_at(w, i + 2, MW_TOK_COMMA) || mw_tok_is(w->toks, i + 2, "and")))
        return i + 2;
    uint32_t to = i;
    while (to < i + 2 && plain_word(w, to) && !one_of(w, to, mw_walk_having) &&
           !mw_walk_starts_verbs(w, to) && !mw_tok_is(w->toks, to, "and"))
        to++;
    return to > i && kind_at(w, to, MW_TOK_COMMA) && !is_small(w, i) ? to : i;
}

/* "tags: home, work or other": no record, but the values of a field. */
static bool names_choices(const struct walk *w, uint32_t i)
{
    uint32_t at = i + 2;
    if (!word_at(w, i) || !kind_at(w, i + 1, MW_TOK_COLON) ||
        !mw_words_is_plural(w->inf->words, w->toks->at[i].low))
        return false;
    for (; word_at(w, at) && kind_at(w, at + 1, MW_TOK_COMMA); at += 2)
        if (mw_tok_is(w->toks, at + 2, "or"))
            at++;
    return word_at(w, at) &&
           (mw_tok_is(w->toks, at, "or") ? word_at(w, at + 1) : mw_tok_is(w->toks, at + 1, "or"));
}

static uint32_t choices(struct walk *w, uint32_t i)
{
    struct mw_bp_field *field = NULL;
    uint32_t after = mw_infer_field(w->inf, w->toks, i, w->service, &field);
    if (field == NULL)
        return i + 1;
    field->name =
        mw_name_camel(w->inf->arena, mw_words_singular(w->inf->words, w->toks->at[i].low));
    mw_walk_declare(w, i, after, field);
    return after;
}

static bool names_records(const struct walk *w, uint32_t i)
{
    uint32_t len = word_at(w, i) ? mw_walk_noun_len(w, i) : 0;
    return len > 0 && !is_small(w, i) &&
           mw_words_is_plural(w->inf->words, w->toks->at[i + len - 1].low);
}

/* "title, due date and priority low|normal|high" at i. Returns the index after it. */
uint32_t mw_walk_field_list(struct walk *w, uint32_t i)
{
    uint32_t fields = 0;
    bool service_level = w->entity == NULL, refers = false, many = false, last = false;
    for (;;) {
        bool ended = last && kind_at(w, i, MW_TOK_COMMA) && !mw_tok_is(w->toks, i + 1, "and");
        last = fields > 0 && (mw_tok_is(w->toks, i, "and") || mw_tok_is(w->toks, i + 1, "and"));
        while (
            kind_at(w, i, MW_TOK_COMMA) || kind_at(w, i, MW_TOK_COLON) ||
            (i < w->toks->count && w->toks->at[i].tech) ||
            one_of(w, i,
                   (const char *const[]){"and", "also", "of", "following", "plus", "the", NULL}) ||
            (fields > 0 && one_of(w, i, (const char *const[]){"has", "have", NULL}) &&
             listed(w, i + 1, "articles")) ||
            (one_of(w, i, mw_walk_field_words) && !mw_tok_is(w->toks, i + 1, "and")))
            i++;
        bool text = fields > 0 && is_field_name(w, i); /* "date and notes" */
        if (ended && !service_level && !text && (names_records(w, i) || mw_walk_is_record(w, i)))
            return i; /* "books with title and author, members": the list had its last item */
        uint32_t after = service_level || text ? i : has_many(w, i, many), len = 0;
        if (after > i) {
            many = true;
            i = after;
            continue;
        }
        uint32_t start = i;
        while (listed(w, start, "articles") && word_at(w, start + 1))
            start++;
        if (!word_at(w, start) || w->heads[start] != NULL || mw_walk_starts_verbs(w, i) ||
            (is_container(w, start) && !plain_word(w, start + 1)) ||
            one_of(w, start,
                   (const char *const[]){"ability", "possibility", "option", "support", "endpoints",
                                         "operations", "use", NULL}))
            return i;
        if (mw_walk_clause_verb(w, start) > start || is_clause(w, start))
            return i;
        bool made_of =
            names_records(w, start) && one_of(w, start + mw_walk_noun_len(w, start),
                                              (const char *const[]){"of", "by", "between", "with",
                                                                    "having", "containing", NULL});
        bool after_adjective =
            listed(w, start, "adjectives") && start + 1 < w->toks->count &&
            (w->records[start + 1] > 0 || (service_level && names_records(w, start + 1)));
        if (after_adjective || (!service_level && (w->records[start] > 0 || made_of)))
            return i; /* a record of its own: what follows describes that one */
        if (service_level)
            w->entity = NULL;
        if (names_choices(w, start)) {
            i = choices(w, start);
            continue;
        }
        if (item_is_entity(w, start, fields > 0, &len) &&
            mw_walk_speak_of(w, start, start + len) != NULL) {
            i = mw_walk_of_records(w, start + len);
            if (one_of(w, i, mw_walk_having) || kind_at(w, i, MW_TOK_OPEN) ||
                kind_at(w, i, MW_TOK_COLON) || mw_walk_starts_verbs(w, i) ||
                one_of(w, i, (const char *const[]){"that", "which", NULL}) ||
                mw_infer_relation(w->toks, i) > i)
                return i;
            if (word_at(w, i) && !mw_tok_is(w->toks, i, "and"))
                return i; /* "tasks assigned to members": no field is called "assigned" */
            continue;
        }
        uint32_t follow = start + (len > 0 ? len : 1);
        if (one_of(w, i, (const char *const[]){"each", "every", NULL}) &&
            mw_infer_relation(w->toks, follow) > follow)
            return i; /* "and each vote references a poll", too */
        if (one_of(w, follow, mw_walk_strict_having) &&
            !one_of(w, start, (const char *const[]){"belongs", "belong", NULL}))
            return i; /* "and each list has a name": another sentence */
        if (mw_walk_is_related(w, start))
            return i;
        struct mw_bp_field *field = NULL;
        refers =
            mw_infer_relation(w->toks, start) > start || (refers && mw_walk_noun_len(w, start) > 0);
        after = refers && mw_infer_relation(w->toks, start) == start
                    ? mw_infer_reference(w->inf, w->toks, start, w->service, &field)
                    : mw_infer_field(w->inf, w->toks, i, w->service, &field);
        if (field == NULL || after == i)
            return i;
        bool another = service_level && w->service != NULL && w->service->entities != NULL &&
                       one_of(w, follow, (const char *const[]){"must", "should", "may", NULL});
        if (another)
            return i; /* "accounts and transactions, amounts must be positive" */
        if ((after == start + 1 || kind_at(w, start + 1, MW_TOK_COLON)) &&
            is_described_record(w, start) && !(field->type_said && after == start + 3))
            return mw_walk_speak_of(w, start, start + 1) != NULL ? start + 1 : i;
        mw_walk_declare(w, i, after, field);
        fields++;
        i = skip_unread(w, after);
        if (!kind_at(w, i, MW_TOK_COMMA) && !mw_tok_is(w->toks, i, "and") &&
            !(i < w->toks->count && w->toks->at[i].tech) && !mw_tok_is(w->toks, i, "plus"))
            return i;
    }
}
