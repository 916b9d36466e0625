/* infer_record.c - records that no table knows, found by where they stand: "students, time entries with hours; stock movements", and what
 * records made of records refer to: "loans of books to members". */
#include "builtin/infer_walk.h"

static bool noun_list_has(const struct walk *w, const char *key, struct mw_str low)
{
    return mw_words_has(&w->inf->words->nouns, key, low);
}

static bool plural_at(const struct walk *w, uint32_t i)
{
    return word_at(w, i) && mw_words_is_plural(w->inf->words, w->toks->at[i].low);
}

static bool is_field_word(const struct walk *w, uint32_t i)
{
    const struct mw_tape *t = &w->inf->words->fields;
    struct mw_str low = w->toks->at[i].low;
    return mw_node_get_str(t, mw_node_get(t, 0, "exact"), low) != MW_NODE_NONE ||
           mw_words_has(t, "shared", low);
}

static bool ends_item(const struct walk *w, uint32_t i)
{
    static const char *const after[] = {"and", "with", "having", "containing", "including", NULL};
    return kind_at(w, i, MW_TOK_COMMA) || kind_at(w, i, MW_TOK_CLOSE) ||
           kind_at(w, i, MW_TOK_BREAK) || kind_at(w, i, MW_TOK_OPEN) ||
           kind_at(w, i, MW_TOK_COLON) || one_of(w, i, after) ||
           mw_infer_relation(w->toks, i) > i ||
           (one_of(w, i, (const char *const[]){"that", "which", "each", NULL}) &&
            one_of(w, i + 1, mw_walk_having)) ||
           (one_of(w, i, (const char *const[]){"of", "by", "between", NULL}) &&
            word_at(w, i + 1)) ||
           (mw_tok_is(w->toks, i, "for") && plural_at(w, i + 1));
}

static uint32_t skip_articles(const struct walk *w, uint32_t i)
{
    while ((listed(w, i, "articles") || listed(w, i, "adjectives")) && word_at(w, i + 1))
        i++;
    return i;
}

static bool is_with(const struct walk *w, uint32_t i)
{
    static const char *const with[] = {"with", "having", "containing", "including", NULL};
    return (one_of(w, i, with) && word_at(w, i + 1)) ||
           (one_of(w, i, (const char *const[]){"that", "which", "each", NULL}) &&
            one_of(w, i + 1, mw_walk_having));
}

/* Words of a plural that fill a list's item at i, up to three: "sessions", "time entries"; 0: none. */
static uint32_t plural_len(const struct walk *w, uint32_t i)
{
    bool verb = mw_phrase_at(&w->inf->verbs, w->toks, i, MW_FORM_BASE) != NULL ||
                mw_phrase_at(&w->inf->states, w->toks, i, MW_FORM_BASE) != NULL;
    if (verb && !is_noun(w, i, i + 1))
        return 0;
    for (uint32_t len = 1; len <= 3; len++) {
        uint32_t last = i + len - 1;
        bool program = is_container(w, last) && plural_at(w, last) && is_with(w, last + 1);
        bool tail = len > 1 && noun_list_has(w, "tails", w->toks->at[last].low);
        if ((!plain_word(w, last) && !program && !tail) || w->heads[last] != NULL ||
            listed(w, last, "actors"))
            return 0;
        if (plural_at(w, last))
            return ends_item(w, last + 1) ? len : 0;
        if (listed(w, last, "adjectives") || listed(w, last, "measures"))
            return 0;
    }
    return 0;
}

/* A record nobody knows: not a noun of the tables, not what fields are called. */
static uint32_t unknown_len(const struct walk *w, uint32_t i)
{
    uint32_t len = plural_len(w, i), last = i + len - 1;
    if (len == 0 || mw_walk_noun_len(w, i) >= len)
        return 0;
    if (is_field_word(w, last) && !is_with(w, i + len) && !mw_tok_is(w->toks, i + len, "of"))
        return 0;
    bool two_known = len > 1 && is_noun(w, last, last + 1) && is_noun(w, i, last);
    return two_known && !is_with(w, i + len) ? 0 : len;
}

/* Length of the record, known or not, that a list's item is at i; 0: it is something else. */
static uint32_t record_len(const struct walk *w, uint32_t i)
{
    uint32_t known = word_at(w, i) ? mw_walk_noun_len(w, i) : 0;
    bool verbs = mw_walk_clause_verb(w, i) > i;
    if (known > 0 && !verbs && plural_at(w, i + known - 1) && !is_field_word(w, i + known - 1))
        return known;
    return unknown_len(w, i);
}

/* What is done, and to what: a loan, a stay; no group, which holds what it is of. */
static bool is_act(const struct walk *w, struct mw_str singular)
{
    struct mw_str name = MW_STR_NONE;
    return noun_list_has(w, "acts", singular) ||
           (mw_words_noun(w->inf->words, singular, &name) == MW_NODE_NONE &&
            !noun_list_has(w, "holds", singular));
}

/* "loans of books" */
static bool is_act_of(const struct walk *w, uint32_t i, uint32_t len)
{
    struct mw_str act = mw_words_singular(w->inf->words, low_of(w, i, i + len));
    return one_of(w, i + len, (const char *const[]){"of", "by", "for", "between", NULL}) &&
           is_act(w, act) && plural_at(w, skip_articles(w, i + len + 1));
}

static bool starts_item(const struct walk *w, uint32_t i)
{
    while (i > 0 && (listed(w, i - 1, "articles") || listed(w, i - 1, "adjectives")))
        i--;
    bool built_for = i > 1 && mw_tok_is(w->toks, i - 1, "for") && is_container(w, i - 2);
    return i == 0 || built_for || kind_at(w, i - 1, MW_TOK_COMMA) ||
           kind_at(w, i - 1, MW_TOK_BREAK) || kind_at(w, i - 1, MW_TOK_COLON) ||
           mw_tok_is(w->toks, i - 1, "and");
}

/* After an item: where the next one of the same list begins; 0: the list ends, what follows describes the item. */
static uint32_t next_item(const struct walk *w, uint32_t i)
{
    if (kind_at(w, i, MW_TOK_OPEN)) {
        while (i < w->toks->count && !kind_at(w, i, MW_TOK_CLOSE) && !kind_at(w, i, MW_TOK_BREAK))
            i++;
        i += kind_at(w, i, MW_TOK_CLOSE) ? 1 : 0;
    }
    uint32_t from = i;
    while (kind_at(w, i, MW_TOK_COMMA) || one_of(w, i, (const char *const[]){"and", "plus", NULL}))
        i++;
    return i > from ? i : 0;
}

/* Marks the unknown records of the list that begins at i. Returns where it ends. */
static uint32_t read_list(struct walk *w, uint32_t i)
{
    for (uint32_t next = i;;) {
        i = skip_articles(w, next);
        uint32_t len = record_len(w, i);
        if (len == 0)
            return i;
        if (unknown_len(w, i) == len)
            w->records[i] = (uint8_t)len;
        i += len;
        next = next_item(w, i);
        if (next == 0)
            return i;
    }
}

/* After "time tracking": ": projects, …", "with projects, …", "for freelancers: projects, …", "for trucks with mileage …". */
static uint32_t after_head(struct walk *w, uint32_t i)
{
    if (mw_tok_is(w->toks, i, "for") && word_at(w, i + 1)) {
        uint32_t colon = i + 1;
        while (colon < i + 6 && word_at(w, colon))
            colon++;
        if (kind_at(w, colon, MW_TOK_COLON) && record_len(w, skip_articles(w, colon + 1)) > 0) {
            w->records[colon - 1] = MW_WALK_NO_RECORD;
            return read_list(w, colon + 1);
        }
        uint32_t whom = skip_articles(w, i + 1), len = plural_len(w, whom), end = whom + len;
        bool described = len > 0 && (kind_at(w, end, MW_TOK_COLON) || is_with(w, end));
        if (!described)
            return i;
        if (record_len(w, skip_articles(w, end + 1)) > 0)
            return read_list(w, end + 1);
        if (mw_walk_noun_len(w, whom) < len && !listed(w, end + 1, "actors") &&
            word_at(w, end + 1) && !mw_walk_starts_verbs(w, end + 1) &&
            mw_phrase_at(&w->inf->verbs, w->toks, end + 1, MW_FORM_BASE) == NULL)
            w->records[whom] = (uint8_t)len;
        return end;
    }
    bool colon = kind_at(w, i, MW_TOK_COLON) || kind_at(w, i, MW_TOK_OPEN);
    uint32_t from = i + 1;
    if ((!colon && !is_with(w, i)) || record_len(w, skip_articles(w, from)) == 0)
        return i;
    return read_list(w, from);
}

/* "that stores measurements", "to keep track of visits", at "that": where the records are; i when there are none. */
uint32_t mw_walk_kept(const struct walk *w, uint32_t i)
{
    bool that = one_of(w, i, (const char *const[]){"that", "which", NULL}),
         to = one_of(w, i, (const char *const[]){"to", "for", NULL});
    if (!that && !to)
        return i;
    enum mw_form form = that                           ? MW_FORM_S
                        : mw_tok_is(w->toks, i, "for") ? MW_FORM_ING
                                                       : MW_FORM_BASE;
    const struct mw_phrase *keeps = mw_phrase_at(&w->inf->keeps, w->toks, i + 1, form);
    if (keeps == NULL)
        return i;
    uint32_t at = skip_articles(w, i + 1 + keeps->words), len = plural_len(w, at);
    bool described = len > 0 && (kind_at(w, at + len, MW_TOK_COLON) ||
                                 kind_at(w, at + len, MW_TOK_OPEN) || is_with(w, at + len));
    return described || (len > 0 && kind_at(w, at + len, MW_TOK_BREAK) && that) ? at : i;
}

bool mw_walk_is_record(struct walk *w, uint32_t i)
{
    uint32_t len = unknown_len(w, i);
    bool clause = len > 0 && word_at(w, i + len) && !is_with(w, i + len) &&
                  !mw_tok_is(w->toks, i + len, "and");
    if (len == 0 || clause)
        return false;
    w->records[i] = (uint8_t)len;
    return true;
}

/* "Gym with members": what is kept there follows; the words before it are the product's name and no record. */
bool mw_walk_is_title(const struct walk *w, uint32_t from, uint32_t to)
{
    if (kind_at(w, to, MW_TOK_COLON))
        return true;
    if (kind_at(w, to, MW_TOK_OPEN) && to > from && !plural_at(w, to - 1) && !is_noun(w, from, to))
        return record_len(w, skip_articles(w, to + 1)) > 0;
    if (to == from || plural_at(w, to - 1) || is_noun(w, from, to) || is_noun(w, to - 1, to))
        return false;
    uint32_t record = skip_articles(w, to + 1), len = is_with(w, to) ? record_len(w, record) : 0;
    uint32_t next = len > 0 ? next_item(w, record + len) : 0;
    bool known =
        len > 0 && (unknown_len(w, record) == 0 || is_with(w, record + len) ||
                    (next > 0 && record_len(w, skip_articles(w, next)) > 0) ||
                    mw_str_eq(mw_words_singular(w->inf->words, low_of(w, record, record + len)),
                              w->toks->at[to - 1].low));
    return known || mw_walk_kept(w, to) > to;
}

/* "a catalogue of minerals" */
static bool is_held(const struct walk *w, uint32_t i)
{
    return i > 1 && mw_tok_is(w->toks, i - 1, "of") &&
           (is_container(w, i - 2) || noun_list_has(w, "holds", w->toks->at[i - 2].low));
}

void mw_infer_records(struct walk *w)
{
    bool lists =
        false; /* a list of records was read: its items may be parted by semicolons and bullets, too */
    for (uint32_t i = 0; i < w->toks->count;) {
        uint32_t after = i;
        if (w->heads[i] != NULL) {
            while (after < w->toks->count && (w->toks->at[after].used || is_container(w, after)))
                after++;
            uint32_t end = after_head(w, after);
            lists = lists || end > after;
            after = end;
        } else if (kind_at(w, i, MW_TOK_BREAK)) {
            bool same = !mw_str_is(w->toks->at[i].text, ".");
            after = i + 1;
            if (lists && same && record_len(w, skip_articles(w, after)) > 0)
                after = read_list(w, after);
        } else if (i == 0 && record_len(w, i) > 0) {
            after = read_list(w, i);
            lists = true;
        } else if (mw_walk_kept(w, i) > i) {
            after = mw_walk_kept(w, i);
            w->records[after] = (uint8_t)unknown_len(w, after);
            bool verb = mw_phrase_at(&w->inf->verbs, w->toks, i + 1, MW_FORM_S) != NULL;
            use(w, i + 1, verb ? i + 1 : after);
        } else if (word_at(w, i) && (starts_item(w, i) || is_held(w, i))) {
            uint32_t len = unknown_len(w, i);
            if (is_held(w, i))
                w->records[i] = (uint8_t)len;
            if (len > 0 && (is_with(w, i + len) || is_act_of(w, i, len))) {
                w->records[i] = (uint8_t)len;
                after = i + len;
            }
        }
        i = after > i ? after : i + 1;
    }
}

/* --- what a record refers to --- */

static struct mw_bp_entity *named_record(struct walk *w, uint32_t i, uint32_t *ret_to)
{
    uint32_t from = skip_articles(w, i), len = word_at(w, from) ? mw_walk_noun_len(w, from) : 0;
    bool named = len > 0 && (from > i || plural_at(w, from + len - 1)) &&
                 (!is_small(w, from) || plural_at(w, from));
    *ret_to = from + len;
    return named && w->service != NULL
               ? mw_infer_add_entity(w->inf, w->service, low_of(w, from, from + len))
               : NULL;
}

/* "loans of books to members", at "of": the record spoken of refers to them. Returns the index after it, or i. */
uint32_t mw_walk_of_records(struct walk *w, uint32_t i)
{
    static const char *const first[] = {"of", "by", "for", "between", NULL};
    static const char *const further[] = {"to", "by", "for", "from", "with",
                                          "at", "in", "on",  NULL};
    struct mw_bp_entity *one = w->entity;
    struct mw_str act = one != NULL ? mw_name_words(w->inf->arena, one->name) : MW_STR_NONE;
    if (one == NULL || !is_act(w, act))
        return i;
    bool meets = mw_tok_is(w->toks, i, "with") && noun_list_has(w, "meets", act);
    bool between = mw_tok_is(w->toks, i, "between");
    for (uint32_t at = i, begin = i; one_of(w, at, at == begin && !meets ? first : further) ||
                                     (between && mw_tok_is(w->toks, at, "and"));) {
        uint32_t to = at;
        struct mw_bp_entity *other = named_record(w, at + 1, &to);
        struct mw_bp_field *field = mw_arena_array(w->inf->arena, struct mw_bp_field, 1);
        if (other == NULL || other == one || field == NULL)
            return i;
        *field = (struct mw_bp_field){.name = mw_name_camel(w->inf->arena, other->name),
                                      .type = MW_BP_REFERENCE,
                                      .type_said = true,
                                      .entity = other->name};
        mw_walk_declare(w, at, to, field);
        use(w, at, to);
        at = i = to;
    }
    return i;
}
