#include "builtin/infer.h"

/* Reading lists of verbs: "users can create, edit and delete todos". What each does is decided in infer_effect.c. */

struct list {
    struct mw_infer *inf;
    struct mw_toks *toks;
    enum mw_form form;
    bool unknown_too;
    uint32_t from; /* where the list's words begin (the actor) */
    struct mw_item **first;
    struct mw_item *last;
};

static bool word_at(const struct list *l, uint32_t i)
{
    return i < l->toks->count && l->toks->at[i].kind == MW_TOK_WORD && !l->toks->at[i].tech;
}

static bool in(const struct list *l, uint32_t i, const char *key)
{
    return word_at(l, i) && mw_words_has(&l->inf->words->stop, key, l->toks->at[i].low);
}

static bool one_of(const struct list *l, uint32_t i, const char *const *words)
{
    for (; *words != NULL; words++)
        if (mw_tok_is(l->toks, i, *words))
            return true;
    return false;
}

static const char *const ands[] = {"and", "or", "then", "plus", "nor", NULL};
static const char *const fillers[] = {"also", "then",   "to",   "be", "able",
                                      "can",  "either", "even", NULL};
static const char *const prepositions[] = {"as", "to", "by", "of", "from", NULL};
static const char *const object_ends[] = {
    "as",    "to",  "by",      "of",      "from",    "with",   "for",    "in",      "on",
    "when",  "so",  "which",   "that",    "using",   "and",    "or",     "but",     "via",
    "into",  "at",  "where",   "has",     "have",    "is",     "are",    "then",    "can",
    "while", "who", "without", "through", "after",   "before", "within", "if",      "per",
    "plus",  "not", "must",    "should",  "belongs", "belong", "having", "between", NULL};

static const struct mw_phrase *verb_at(const struct list *l, uint32_t i, bool *ret_is_state)
{
    if (!word_at(l, i) || l->toks->at[i].compound)
        return NULL;
    const struct mw_phrase *verb = mw_phrase_at(&l->inf->verbs, l->toks, i, l->form);
    const struct mw_phrase *state = mw_phrase_at(&l->inf->states, l->toks, i, l->form);
    *ret_is_state = state != NULL && (verb == NULL || state->words > verb->words);
    return *ret_is_state ? state : verb;
}

static uint32_t skip(const struct list *l, uint32_t i, const char *const *words)
{
    while (i < l->toks->count && (l->toks->at[i].tech || one_of(l, i, words)))
        i++;
    return i;
}

static uint32_t skip_articles(const struct list *l, uint32_t i)
{
    while (in(l, i, "articles") && !in(l, i, "pronouns"))
        i++;
    if (in(l, i, "articles") && word_at(l, i + 1) && !one_of(l, i + 1, object_ends))
        i++; /* "these todos" */
    return i;
}

static uint32_t words_until(const struct list *l, uint32_t i, uint32_t max)
{
    uint32_t to = i;
    while (to < i + max && word_at(l, to) && !l->toks->at[to].compound &&
           !one_of(l, to, object_ends) && !in(l, to, "pronouns"))
        to++;
    return to;
}

/* "invoices stored somewhere": a known plural ends the object, unless the longer words are known too. */
static uint32_t noun_end(const struct list *l, uint32_t from, uint32_t to)
{
    struct mw_str name = MW_STR_NONE;
    for (uint32_t end = to; end > from; end--) {
        struct mw_str low = mw_tokens_low(l->inf->arena, l->toks, from, end);
        if (mw_words_is_plural(l->inf->words, low) &&
            mw_words_noun(l->inf->words, mw_words_singular(l->inf->words, low), &name) !=
                MW_NODE_NONE)
            return end;
    }
    return to;
}

/* "by id" says only that one is meant. */
static uint32_t skip_by_id(const struct list *l, uint32_t i)
{
    if (mw_tok_is(l->toks, i, "by") &&
        one_of(l, i + 1, (const char *const[]){"id", "ids", "identifier", NULL})) {
        l->toks->at[i + 1].used = true;
        return i + 2;
    }
    if (mw_tok_is(l->toks, i, "by") &&
        one_of(l, i + 1, (const char *const[]){"its", "their", NULL}) &&
        mw_tok_is(l->toks, i + 2, "id"))
        return i + 3;
    return i;
}

/* "a list of orders" speaks of orders. */
static uint32_t skip_collection(const struct list *l, uint32_t i)
{
    static const char *const collections[] = {"list",   "lists",   "collection",
                                              "number", "history", NULL};
    if (!one_of(l, i, collections) || !mw_tok_is(l->toks, i + 1, "of") || !word_at(l, i + 2))
        return i;
    l->toks->at[i].used = true;
    return skip_articles(l, i + 2);
}

static uint32_t read_object(const struct list *l, struct mw_item *item, uint32_t i)
{
    i = skip_collection(l, skip_articles(l, i));
    if (in(l, i, "pronouns")) {
        l->toks->at[i].used = true;
        i++;
    } else {
        item->object_from = i;
        item->object_to = i = noun_end(l, i, words_until(l, i, 4));
    }
    i = skip_by_id(l, i);
    item->to = i;
    if (!one_of(l, i, prepositions))
        return i;
    uint32_t from = skip_articles(l, i + 1), to = from;
    if (to < l->toks->count && l->toks->at[to].kind == MW_TOK_NUMBER)
        to++;
    else
        to = words_until(l, from, 3);
    bool takes =
        to > from && (item->is_state || item->phrase == NULL || !mw_tok_is(l->toks, i, "from"));
    if (!takes)
        return i;
    item->preposition = l->toks->at[i].low;
    item->rest_from = from;
    item->rest_to = to;
    item->to = to;
    /* "change the status of a todo to done" */
    if (mw_str_is(item->preposition, "of") && mw_tok_is(l->toks, to, "to"))
        item->to = to;
    return to;
}

static struct mw_item *add(struct list *l, const struct mw_phrase *phrase, bool is_state,
                           uint32_t i, uint32_t to)
{
    struct mw_item *item = mw_arena_array(l->inf->arena, struct mw_item, 1);
    if (item == NULL)
        return NULL;
    *item = (struct mw_item){.toks = l->toks,
                             .phrase = phrase,
                             .is_state = is_state,
                             .from = i,
                             .verb = i,
                             .verb_to = to,
                             .to = to};
    if (l->last == NULL)
        item->from = l->from;
    *l->inf->next_item = item;
    l->inf->next_item = &item->next;
    l->last = item;
    return item;
}

/* "cities and": no verb in its base form is a plural. */
static bool is_two_or_more(const struct list *l, uint32_t i)
{
    return mw_words_is_plural(l->inf->words, l->toks->at[i].low) &&
           (l->toks->at[i + 1].kind != MW_TOK_WORD || one_of(l, i + 1, object_ends));
}

/* A word nobody knows stands where a verb must: is it one? */
static bool is_unknown_verb(const struct list *l, uint32_t i)
{
    bool gerund = l->form == MW_FORM_BASE && mw_str_ends(l->toks->at[i].low, MW_STR("ing"));
    if (!l->unknown_too || !word_at(l, i) || l->toks->at[i].compound ||
        (gerund && l->last != NULL) || (l->form == MW_FORM_BASE && is_two_or_more(l, i)) ||
        mw_words_has(&l->inf->words->stop, "stop", l->toks->at[i].low))
        return false;
    if (l->last == NULL || l->last->object_to == l->last->object_from)
        return true;
    /* After an object: "and frobnicate them" is a verb, "and gizmos" another object. */
    bool leads = in(l, i + 1, "articles") || in(l, i + 1, "pronouns");
    return leads || !mw_words_is_plural(l->inf->words, l->toks->at[i].low);
}

static uint32_t separator(const struct list *l, uint32_t i)
{
    uint32_t at = i;
    for (;;) {
        enum mw_tok_kind kind = l->toks->at[at].kind;
        if (kind == MW_TOK_COMMA || kind == MW_TOK_BAR || one_of(l, at, ands))
            at++;
        else if (mw_tok_is(l->toks, at, "as") && mw_tok_is(l->toks, at + 1, "well") &&
                 mw_tok_is(l->toks, at + 2, "as"))
            at += 3;
        else if (l->toks->at[at].tech && at > i)
            at++;
        else
            return at;
    }
}

/* "mark as done or cancelled", "create todos and notes": the verb goes on with another object. False: the list ends here. */
static bool continue_verb(struct list *l, uint32_t *at)
{
    struct mw_item *before = l->last;
    uint32_t i = skip_articles(l, *at);
    uint32_t to = words_until(l, i, 4);
    if (before == NULL || to == i || before->phrase == NULL)
        return false;
    if (to > i + 1 && mw_words_is_plural(l->inf->words, l->toks->at[i].low))
        return false; /* "and attendees buy tickets" */
    bool more_rest = mw_str_is(before->preposition, "as") && i == *at;
    bool noun = i > *at || mw_words_is_plural(l->inf->words, l->toks->at[to - 1].low);
    if (!more_rest && (!noun || before->object_to == before->object_from))
        return false;
    struct mw_item *item = add(l, before->phrase, before->is_state, before->verb, before->verb_to);
    if (item == NULL)
        return false;
    item->from = *at;
    if (more_rest) {
        item->preposition = before->preposition;
        item->rest_from = i;
        item->rest_to = item->to = *at = to;
        item->object_from = before->object_from;
        item->object_to = before->object_to;
    } else {
        *at = read_object(l, item, *at);
    }
    return true;
}

/* "track expenses by category and month": more of what it is done by, and no verb. Returns the index after it, or i. */
static uint32_t more_of_by(const struct list *l, uint32_t i)
{
    bool is_state = false;
    uint32_t to = words_until(l, i, 2);
    if (l->last == NULL || !mw_str_is(l->last->preposition, "by") || to == i ||
        verb_at(l, i, &is_state) != NULL || in(l, i, "articles") || in(l, to, "articles") ||
        in(l, to, "pronouns"))
        return i;
    enum mw_tok_kind kind = l->toks->at[to].kind;
    return kind == MW_TOK_BREAK || kind == MW_TOK_COMMA || one_of(l, to, ands) ? to : i;
}

/* Items without an object share the next one's, or the last one's. */
static void share_objects(struct mw_item *first)
{
    struct mw_item *last = NULL;
    for (struct mw_item *a = first; a != NULL; a = a->next) {
        if (a->object_to > a->object_from) {
            last = a;
            continue;
        }
        struct mw_item *b = a->next;
        while (b != NULL && b->object_to == b->object_from)
            b = b->next;
        const struct mw_item *from = last != NULL && b == NULL   ? last
                                     : b != NULL && last == NULL ? b
                                                                 : last;
        if (from != NULL) {
            a->object_from = from->object_from;
            a->object_to = from->object_to;
        }
    }
}

uint32_t mw_infer_verbs(struct mw_infer *inf, struct mw_toks *toks, uint32_t from, uint32_t i,
                        enum mw_form form, bool unknown_too)
{
    struct list l = {
        .inf = inf, .toks = toks, .form = form, .unknown_too = unknown_too, .from = from};
    struct mw_item **first = inf->next_item;
    uint32_t end = i, at = skip(&l, i, fillers);
    for (;;) {
        bool is_state = false;
        uint32_t more = more_of_by(&l, at);
        if (more > at) { /* its words stay unread, and are listed so */
            end = more;
            uint32_t next = separator(&l, end);
            if (next == end)
                break;
            at = skip(&l, next, fillers);
            continue;
        }
        const struct mw_phrase *verb = verb_at(&l, at, &is_state);
        uint32_t object = skip_articles(&l, at + (verb != NULL ? verb->words : 1));
        if (word_at(&l, object) && toks->at[object].used && verb != NULL && l.last == NULL)
            break; /* "I'd like a todo service": that is no use case */
        if (verb != NULL || is_unknown_verb(&l, at)) {
            struct mw_item *item =
                add(&l, verb, is_state, at, at + (verb != NULL ? verb->words : 1));
            if (item == NULL)
                break;
            end = read_object(&l, item, item->verb_to);
        } else if (l.last != NULL && continue_verb(&l, &at)) {
            end = at;
        } else {
            break;
        }
        uint32_t next = separator(&l, end);
        if (next == end)
            break;
        at = skip(&l, next, fillers);
    }
    if (l.last != NULL)
        share_objects(*first);
    return l.last != NULL ? end : i;
}
