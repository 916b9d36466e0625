/* The walk over a prompt: from left to right, what each sentence says about records and what is done with them. */
#include "builtin/infer_walk.h"

/* --- statements --- */

/* "amounts must be positive" of a record whose fields nobody listed: the table's fields have such a one. */
static struct mw_bp_field *usual_field(struct walk *w, struct mw_bp_service *service, uint32_t i,
                                       struct mw_bp_entity **ret_entity)
{
    struct mw_str name =
        mw_name_camel(w->inf->arena, mw_words_singular(w->inf->words, w->toks->at[i].low));
    for (struct mw_bp_entity *e = service != NULL ? service->entities : NULL; e != NULL;
         e = e->next) {
        if (e->fields == NULL && mw_infer_has_by_default(w->inf, e, name))
            mw_infer_default_fields(w->inf, service, e);
        struct mw_bp_field *field = mw_bp_field_of(e, name);
        if (field != NULL)
            return *ret_entity = e, field;
    }
    return NULL;
}

static bool may_be_field(const struct walk *w, uint32_t i)
{
    return !mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low) &&
           !is_noun(w, i, i + 1) &&
           one_of(w, i + 1, (const char *const[]){"is", "are", "must", "should", NULL});
}

/* "the title is required", "priority must be between 1 and 5" */
static uint32_t field_statement(struct walk *w, uint32_t i)
{
    static const char *const says[] = {"is",  "are",      "must", "should", "can",
                                       "has", "defaults", "may",  NULL};
    struct mw_bp_service *service = w->service != NULL ? w->service : w->inf->bp->services;
    for (uint32_t len = 3; len > 0; len--) {
        bool words = true;
        for (uint32_t k = i; k < i + len; k++)
            words = words && word_at(w, k);
        bool colon = kind_at(w, i + len, MW_TOK_COLON);
        if (!words || (!one_of(w, i + len, says) && !colon))
            continue;
        struct mw_str name = mw_name_camel(w->inf->arena, low_of(w, i, i + len));
        struct mw_bp_entity *entity = w->entity;
        struct mw_bp_field *field = entity != NULL ? mw_bp_field_of(entity, name) : NULL;
        for (struct mw_bp_entity *e = service != NULL ? service->entities : NULL;
             e != NULL && field == NULL; e = e->next) {
            field = mw_bp_field_of(e, name);
            entity = e;
        }
        if (field == NULL && !colon && len == 1)
            field = usual_field(w, service, i, &entity);
        if (field == NULL && !colon && len == 1 && may_be_field(w, i)) {
            /* "Pages must be at least 1" of a record whose fields nobody listed: the table's fields, and this one. */
            entity = w->entity != NULL ? w->entity : service != NULL ? service->entities : NULL;
            if (entity != NULL && entity->fields == NULL)
                mw_infer_default_fields(w->inf, service, entity);
            name = mw_name_camel(w->inf->arena, low_of(w, i, i + len));
            field = entity != NULL ? mw_bp_field_of(entity, name) : NULL;
        } else if (field == NULL) {
            continue;
        }
        if (entity == NULL)
            continue;
        struct mw_bp_field *said = mw_arena_array(w->inf->arena, struct mw_bp_field, 1);
        if (said == NULL)
            return i;
        said->name = field != NULL ? field->name : name;
        uint32_t after = mw_infer_attributes(w->inf, w->toks, i + len, service, said);
        if (after == i + len)
            return i;
        use(w, i, i + len);
        w->entity = entity;
        w->service = service;
        mw_walk_declare(w, i, after, said);
        return after;
    }
    return i;
}

/* Verbs at i after a trigger that began at from. The subject becomes what the last verb was about. */
static uint32_t verbs_at(struct walk *w, uint32_t from, uint32_t i, enum mw_form form,
                         bool unknown_too)
{
    struct mw_item **first = w->inf->next_item;
    uint32_t after = mw_infer_verbs(w->inf, w->toks, from, i, form, unknown_too);
    if (after == i)
        return i;
    struct mw_item *last = NULL;
    for (struct mw_item *item = *first; item != NULL; item = item->next) {
        item->service = w->service;
        item->entity = w->entity;
        last = item;
    }
    use(w, from, i);
    bool describes = one_of(w, after, mw_walk_having) || kind_at(w, after, MW_TOK_OPEN) ||
                     kind_at(w, after, MW_TOK_COLON);
    if (last != NULL && describes && last->object_to == after &&
        last->object_to > last->object_from)
        (void)mw_walk_speak_of(w, last->object_from, last->object_to);
    return after;
}

/* "todos can be archived": the subject is the object. */
static uint32_t passive_at(struct walk *w, uint32_t from, uint32_t noun_to, uint32_t i)
{
    struct mw_item **first = w->inf->next_item;
    uint32_t after = mw_infer_verbs(w->inf, w->toks, from, i, MW_FORM_ED, true);
    if (after == i || mw_walk_speak_of(w, from, noun_to) == NULL)
        return i;
    for (struct mw_item *item = *first; item != NULL; item = item->next) {
        item->service = w->service;
        item->entity = w->entity;
        if (item->object_to == item->object_from) {
            item->object_from = from;
            item->object_to = noun_to;
        }
    }
    return after;
}

/* "can be closed" of the record that is spoken of. */
static uint32_t changes_at(struct walk *w, uint32_t from, uint32_t i)
{
    struct mw_item **first = w->inf->next_item;
    uint32_t after = mw_infer_verbs(w->inf, w->toks, from, i, MW_FORM_ED, true);
    for (struct mw_item *item = *first; item != NULL; item = item->next) {
        item->service = w->service;
        item->entity = w->entity;
    }
    return after;
}

/* "cannot", "can not", "must never": what follows shall not be there. */
static bool is_negated_trigger(const struct walk *w, uint32_t trigger, uint32_t *after)
{
    static const char *const whole[] = {"cannot", "can't", NULL};
    bool negated = one_of(w, trigger, whole);
    for (; one_of(w, *after, (const char *const[]){"not", "never", NULL}); *after += 1)
        negated = true;
    return negated;
}

/* An actor and a trigger: "users can …", "an admin should be able to …". Returns the index after the verbs, or i. */
static uint32_t actor_at(struct walk *w, uint32_t i)
{
    for (uint32_t k = i; k < i + 4 && k < w->toks->count; k++) {
        const struct mw_phrase *trigger =
            mw_phrase_at(&w->inf->triggers_base, w->toks, k, MW_FORM_BASE);
        if (trigger != NULL && !w->toks->at[k].tech) {
            uint32_t after = k + trigger->words;
            bool be = mw_tok_is(w->toks, after, "be") && !mw_tok_is(w->toks, after + 1, "able");
            if (be && k > i) {
                uint32_t subject = i;
                while (subject + 1 < k && is_small(w, subject))
                    subject++; /* "where issues can be closed" */
                uint32_t done = passive_at(w, subject, k, after + 1);
                return done > after + 1 ? done : i;
            }
            if (be && k == i && w->entity != NULL) { /* "tickets have …, and can be closed" */
                uint32_t done = changes_at(w, i, after + 1);
                return done > after + 1 ? done : i;
            }
            while (kind_at(w, after, MW_TOK_COLON))
                after++;
            bool negated = is_negated_trigger(w, k, &after);
            struct mw_item **first = w->inf->next_item;
            uint32_t to = verbs_at(w, i, after, MW_FORM_BASE, true);
            for (struct mw_item *item = *first; item != NULL; item = item->next)
                item->negated = negated;
            return to > after ? to : i;
        }
        if (!word_at(w, k) || w->heads[k] != NULL || one_of(w, k, mw_walk_having) ||
            one_of(w, k, (const char *const[]){"and", "or", "with", "for", NULL}))
            return i;
    }
    return i;
}

static uint32_t clause_at(struct walk *w, uint32_t i)
{
    uint32_t verb = mw_walk_clause_verb(w, i);
    if (verb == i)
        return i;
    if (mw_walk_noun_len(w, i) > 0)
        (void)mw_walk_speak_of(w, i, verb);
    w->entity = NULL; /* what they do is done to something else */
    struct mw_item **first = w->inf->next_item;
    uint32_t after = verbs_at(w, verb, verb, MW_FORM_BASE, false);
    const struct mw_item *item = after > verb ? *first : NULL;
    if (item != NULL && w->inf->bp->services == NULL && item->object_to > item->object_from)
        (void)mw_walk_speak_of(w, item->object_from, item->object_to); /* what it is about */
    return after > verb ? after : i;
}

static uint32_t trigger_at(struct walk *w, uint32_t i)
{
    const struct {
        const struct mw_phrases *phrases;
        enum mw_form form;
    } kinds[] = {{&w->inf->triggers_ing, MW_FORM_ING},
                 {&w->inf->triggers_s, MW_FORM_S},
                 {&w->inf->triggers_maybe, MW_FORM_BASE}};
    for (size_t k = 0; k < MW_COUNT(kinds); k++) {
        const struct mw_phrase *p = mw_phrase_at(kinds[k].phrases, w->toks, i, MW_FORM_BASE);
        if (p == NULL)
            continue;
        uint32_t after = i + p->words, to = verbs_at(w, i, after, kinds[k].form, false);
        if (to > after)
            return to;
    }
    return i;
}

/* "Create a todo app": the verb only says that there shall be one. */
static uint32_t order_to_build(struct walk *w, uint32_t i)
{
    if (mw_phrase_at(&w->inf->verbs, w->toks, i, MW_FORM_BASE) == NULL)
        return i;
    uint32_t at = i + 1;
    while (word_at(w, at) && w->heads[at] == NULL && at < i + 6 &&
           !(is_container(w, at - 1) && mw_tok_is(w->toks, at, "for")) &&
           (listed(w, at, "articles") ||
            mw_words_has(&w->inf->words->stop, "stop", w->toks->at[at].low)))
        at++;
    bool container = false;
    for (uint32_t k = i + 1; k < at; k++)
        container = container || is_container(w, k);
    if ((at >= w->toks->count || w->heads[at] == NULL) && !container)
        return i;
    use(w, i, i + 1);
    mw_infer_note(w->inf, false, at < w->toks->count ? (const void *)w->heads[at] : NULL,
                  "services", MW_STR("\"build\""), mw_tokens_text(w->toks, i, at));
    return at;
}

static uint32_t imperative_at(struct walk *w, uint32_t i)
{
    bool verb = word_at(w, i) && (mw_phrase_at(&w->inf->verbs, w->toks, i, MW_FORM_BASE) != NULL ||
                                  mw_phrase_at(&w->inf->states, w->toks, i, MW_FORM_BASE) != NULL);
    bool noun = one_of(w, i + 1, mw_walk_strict_having) ||
                one_of(w, i + 1, (const char *const[]){"with", "of", "is", "are", NULL}) ||
                kind_at(w, i + 1, MW_TOK_COLON) || kind_at(w, i + 1, MW_TOK_OPEN);
    bool wish = mw_tok_is(w->toks, i, "like") && i > 0 && is_small(w, i - 1);
    bool named = i > 0 && listed(w, i - 1, "articles"); /* "my book club" */
    if (!verb || noun || wish || named || mw_walk_is_trigger(w, i))
        return i;
    return verbs_at(w, i, i, MW_FORM_BASE, true);
}

static bool describes_next(const struct walk *w, uint32_t i)
{
    return one_of(w, i, mw_walk_strict_having) || kind_at(w, i, MW_TOK_COLON) ||
           kind_at(w, i, MW_TOK_OPEN) || mw_tok_is(w->toks, i, "with") ||
           mw_infer_relation(w->toks, i) > i ||
           (one_of(w, i, (const char *const[]){"that", "which", NULL}) &&
            one_of(w, i + 1, mw_walk_having));
}

static uint32_t noun_at(struct walk *w, uint32_t i)
{
    if (w->records[i] == MW_WALK_NO_RECORD)
        return i;
    uint32_t len = mw_walk_noun_len(w, i);
    bool article = i > 0 && listed(w, i - 1, "articles");
    if (len == 0) { /* nobody knows it: only "X has …" makes it a record */
        bool listed_here = plain_word(w, i) && !is_small(w, i) && kind_at(w, i + 1, MW_TOK_OPEN) &&
                           mw_words_is_plural(w->inf->words, w->toks->at[i].low);
        bool names =
            listed_here ||
            (word_at(w, i) && !mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low) &&
             (one_of(w, i + 1, mw_walk_strict_having) || mw_walk_is_related(w, i) ||
              ((w->sentence_start || article) && describes_next(w, i + 1))));
        uint32_t words = 1;
        bool two = plain_word(w, i) && plain_word(w, i + 1) && !is_small(w, i);
        bool lone = w->sentence_start && two && mw_walk_noun_len(w, i + 1) == 0 &&
                    describes_next(w, i + 2) &&
                    mw_words_is_plural(w->inf->words, w->toks->at[i + 1].low);
        if (!names && two && (lone || one_of(w, i + 2, mw_walk_strict_having)))
            names = true, words = 2;
        return names && mw_walk_speak_of(w, i, i + words) != NULL ? i + words : i;
    }
    bool plural = mw_words_is_plural(w->inf->words, w->toks->at[i + len - 1].low);
    bool actor = len == 1 && w->records[i] == 0 &&
                 mw_words_has(&w->inf->words->stop, "stop", w->toks->at[i].low);
    bool describes = describes_next(w, i + len);
    bool adjective = !plural && plain_word(w, i + len) && !is_small(w, i + len) &&
                     !mw_words_is_plural(w->inf->words, w->toks->at[i + len].low) &&
                     w->heads[i + len] == NULL;
    if (adjective && !describes) /* "a vet clinic" */
        return i;
    if (actor ? !describes || mw_tok_is(w->toks, i + len, "with")
              : !plural && !describes && !article && !w->sentence_start)
        return i;
    return mw_walk_speak_of(w, i, i + len) != NULL ? mw_walk_of_records(w, i + len) : i;
}

/* "for lending books: books with title": after the colon the records are described, they are no fields. */
static bool introduces_record(const struct walk *w, uint32_t i)
{
    uint32_t len = mw_walk_noun_len(w, i);
    len = len == 0 ? 1 : len;
    return word_at(w, i) && mw_words_is_plural(w->inf->words, w->toks->at[i + len - 1].low) &&
           (one_of(w, i + len, mw_walk_having) || mw_infer_relation(w->toks, i + len) > i + len);
}

/* "an events app: create events with a name": a verb and what it is done to. */
static bool is_order(const struct walk *w, uint32_t i)
{
    const struct mw_phrase *verb = mw_phrase_at(&w->inf->verbs, w->toks, i, MW_FORM_BASE);
    if (verb == NULL)
        verb = mw_phrase_at(&w->inf->states, w->toks, i, MW_FORM_BASE);
    uint32_t object = i + (verb != NULL ? verb->words : 0);
    return verb != NULL && word_at(w, object) &&
           (listed(w, object, "articles") ||
            mw_words_is_plural(w->inf->words, w->toks->at[object].low));
}

static uint32_t description_at(struct walk *w, uint32_t i)
{
    bool known = w->entity != NULL || w->service != NULL || w->inf->bp->services != NULL;
    uint32_t at = i;
    if (!known)
        return i;
    while (one_of(w, at, (const char *const[]){"that", "which", "where", "each", "every", NULL}))
        at++;
    bool colon = (kind_at(w, i, MW_TOK_COLON) || kind_at(w, i, MW_TOK_OPEN)) && w->subject_here;
    bool belongs = mw_infer_relation(w->toks, at) > at ||
                   one_of(w, at, (const char *const[]){"belongs", "belong", NULL});
    bool fields = one_of(w, at, mw_walk_field_words) &&
                  (kind_at(w, at + 1, MW_TOK_COLON) ||
                   one_of(w, at + 1, (const char *const[]){"are", "is", NULL}));
    /* "employees request leave with a reason": that is none of the employees' */
    bool strayed = w->entity != NULL && !w->subject_here && mw_tok_is(w->toks, at, "with");
    if (strayed || (!colon && !belongs && !fields && !one_of(w, at, mw_walk_having)))
        return i;
    if (colon && kind_at(w, i, MW_TOK_COLON) &&
        ((w->entity != NULL && introduces_record(w, i + 1)) || is_order(w, i + 1))) {
        w->begins_anew = true;
        return i + 1;
    }
    if (w->service == NULL)
        w->service = w->inf->bp->services;
    uint32_t from = belongs ? at : at + 1;
    while (one_of(w, from, (const char *const[]){"of", "are", "is", "following", NULL}) ||
           one_of(w, from, mw_walk_field_words) || kind_at(w, from, MW_TOK_COLON))
        from++;
    uint32_t after = mw_walk_field_list(w, from);
    if (after == from)
        return i;
    if (kind_at(w, i, MW_TOK_OPEN) && kind_at(w, after, MW_TOK_CLOSE)) {
        after++;
        /* "products (name, price) and orders (total)": the service is spoken of again. */
        if (kind_at(w, after, MW_TOK_COMMA) || mw_tok_is(w->toks, after, "and")) {
            w->entity = NULL;
            return mw_walk_field_list(w, after);
        }
    }
    return after;
}

/* "appointments with doctors" */
static uint32_t meets_at(struct walk *w, uint32_t i)
{
    return w->subject_here && mw_tok_is(w->toks, i, "with") ? mw_walk_of_records(w, i) : i;
}

static uint32_t step(struct walk *w, uint32_t i)
{
    uint32_t (*const readers[])(struct walk *, uint32_t) = {
        field_statement, actor_at, clause_at, trigger_at, noun_at, meets_at, description_at};
    uint32_t after = i;
    if (w->sentence_start) {
        after = order_to_build(w, i);
        if (after == i)
            after = imperative_at(w, i);
    }
    for (size_t k = 0; k < MW_COUNT(readers) && after == i; k++)
        after = readers[k](w, i);
    return after;
}

/* "name, message required; rating 1..5 optional": a semicolon within a list of fields. */
static bool list_goes_on(const struct walk *w, uint32_t i)
{
    uint32_t to = i + 1;
    if (!mw_str_is(w->toks->at[i].text, ";") || w->entity == NULL || mw_walk_noun_len(w, to) > 0 ||
        mw_walk_starts_verbs(w, to) || is_order(w, to))
        return false;
    while (to < i + 4 && plain_word(w, to))
        to++;
    return to > i + 1 && !one_of(w, to, mw_walk_having) &&
           (kind_at(w, to, MW_TOK_NUMBER) || kind_at(w, to, MW_TOK_COLON) ||
            kind_at(w, to, MW_TOK_OPEN) || mw_tok_is(w->toks, to, "required") ||
            mw_tok_is(w->toks, to - 1, "required") || mw_tok_is(w->toks, to - 1, "optional"));
}

static void walk_prompt(struct walk *w)
{
    uint32_t list_end = 0; /* of the fields just read; 0: there were none */
    w->sentence_start = true;
    for (uint32_t i = 0; i < w->toks->count && !w->inf->arena->exhausted;) {
        const struct mw_tok *tok = &w->toks->at[i];
        if (i > 0 && i == list_end && list_goes_on(w, i)) {
            i = list_end = mw_walk_field_list(w, i + 1);
            continue;
        }
        if (tok->kind == MW_TOK_BREAK) {
            w->sentence_start = true;
            w->subject_here = false;
            i++;
            continue;
        }
        if (w->heads[i] != NULL) {
            w->service = w->heads[i];
            w->entity = NULL;
            w->subject_here = true;
            w->sentence_start = false;
            while (i < w->toks->count && (w->toks->at[i].used || is_container(w, i)) &&
                   (w->heads[i] == NULL || w->heads[i] == w->service))
                i++;
            continue;
        }
        uint32_t after = tok->tech ? i : step(w, i);
        list_end = after;
        bool small =
            tok->kind == MW_TOK_WORD && mw_words_has(&w->inf->words->stop, "stop", tok->low);
        if (after == i && !small)
            w->subject_here = w->subject_here && tok->tech;
        if (after > i || !small)
            w->sentence_start = w->begins_anew;
        w->begins_anew = false;
        i = after > i ? after : i + 1;
    }
}

/* --- all of it --- */

static void load_rows(struct mw_infer *inf, struct mw_phrases *phrases, const struct mw_tape *table,
                      const char *key)
{
    uint32_t rows = mw_node_get(table, 0, key);
    for (uint32_t row = mw_node_first(table, rows); row != MW_NODE_NONE;
         row = mw_node_after(table, rows, row))
        mw_phrases_add(inf->arena, phrases, table, row, mw_node_get(table, row, "say"));
}

void mw_infer_init(struct mw_infer *inf, struct mw_bp *bp, const struct mw_tape *task,
                   uint32_t answers)
{
    *inf = (struct mw_infer){
        .arena = bp->arena, .words = bp->words, .bp = bp, .answers = task, .answers_node = answers};
    inf->next_note = &inf->first_note;
    inf->next_item = &inf->first_item;
    const struct mw_tape *verbs = &bp->words->verbs;
    load_rows(inf, &inf->technologies, &bp->words->technologies, "rows");
    load_rows(inf, &inf->verbs, verbs, "verbs");
    load_rows(inf, &inf->states, verbs, "states");
    uint32_t triggers = mw_node_get(verbs, 0, "triggers");
    mw_phrases_add(inf->arena, &inf->triggers_base, verbs, 0, mw_node_get(verbs, triggers, "base"));
    mw_phrases_add(inf->arena, &inf->triggers_ing, verbs, 0, mw_node_get(verbs, triggers, "ing"));
    mw_phrases_add(inf->arena, &inf->triggers_s, verbs, 0, mw_node_get(verbs, triggers, "s"));
    mw_phrases_add(inf->arena, &inf->keeps, verbs, 0, mw_node_get(verbs, 0, "keeps"));
    mw_phrases_add(inf->arena, &inf->triggers_maybe, verbs, 0,
                   mw_node_get(verbs, triggers, "maybe"));
}

bool mw_infer_is_left(const struct mw_infer *inf, const struct mw_tok *tok)
{
    if (tok->used || tok->kind == MW_TOK_BREAK || tok->kind == MW_TOK_RANGE)
        return false;
    if (tok->kind == MW_TOK_NUMBER)
        return true;
    return tok->kind == MW_TOK_WORD && !mw_words_has(&inf->words->stop, "stop", tok->low);
}

static void ask_for_anything(struct mw_infer *inf)
{
    static const char *const options[] = {"a todo app with title and due date",
                                          "a NotificationService with MongoDB and JWT auth",
                                          "leave it out: start with a plain item service", NULL};
    mw_infer_ask(inf, MW_STR("prompt"),
                 MW_STR("What shall be built? Name a service or the records it keeps."),
                 MW_STR("the prompt names no service, no record and no use case"), options);
}

/* Is it written in another language? Its small words would become names of fields. */
static bool is_foreign(const struct walk *w)
{
    uint32_t foreign = 0, english = 0;
    for (uint32_t i = 0; i < w->toks->count; i++) {
        foreign += listed(w, i, "foreign") ? 1 : 0;
        english += listed(w, i, "articles") || is_small(w, i) ? 1 : 0;
    }
    return foreign >= 2 && foreign > english;
}

enum mw_rc mw_infer_prompt(struct mw_infer *inf, struct mw_str prompt, struct mw_str name_wish,
                           struct mw_toks *ret_toks, struct mw_err *err)
{
    struct mw_str answer = MW_STR_NONE;
    if (prompt.len > MW_PROMPT_MAX)
        return MW_FAIL(err, MW_E_INPUT, "/prompt: %zu bytes; a prompt has at most %d bytes",
                       prompt.len, MW_PROMPT_MAX);
    if (mw_infer_answer(inf, MW_STR("prompt"), &answer) && answer.len <= MW_PROMPT_MAX) {
        struct mw_str more =
            mw_infer_leaves_out(inf, answer) ? MW_STR("a plain item service") : answer;
        if (mw_str_starts(more, MW_STR("leave it out: ")))
            more = mw_str_sub(more, sizeof("leave it out: ") - 1, more.len);
        prompt = mw_arena_format(inf->arena, "%.*s\n\n%.*s", MW_STR_ARG(prompt), MW_STR_ARG(more));
    }
    *ret_toks = mw_tokens(inf->arena, prompt);
    if (ret_toks->at == NULL)
        return MW_FAIL(err, MW_E_LIMIT, "out of memory for the prompt's words");
    struct walk w = {.inf = inf, .toks = ret_toks};
    w.heads = mw_arena_array(inf->arena, struct mw_bp_service *, ret_toks->count + 1);
    w.records = mw_arena_array(inf->arena, uint8_t, ret_toks->count + 1);
    if (w.heads == NULL || w.records == NULL)
        return MW_FAIL(err, MW_E_LIMIT, "out of memory for the prompt's words");
    mw_infer_technologies(inf, ret_toks);
    if (is_foreign(&w)) {
        ask_for_anything(inf);
        return MW_OK;
    }
    mw_infer_services(&w);
    mw_infer_records(&w);
    walk_prompt(&w);
    for (struct mw_item *item = inf->first_item; item != NULL; item = item->next)
        if (inf->bp->services == NULL && item->object_to > item->object_from)
            (void)mw_walk_speak_of(&w, item->object_from, item->object_to);
    if (inf->bp->services == NULL)
        ask_for_anything(inf);
    if (!inf->asked)
        mw_infer_finish(inf, name_wish);
    return MW_OK;
}
