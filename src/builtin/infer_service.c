/* infer_service.c - the services that a prompt names: "NotificationService", "user, order and payment services", "a todo app". */
#include "builtin/infer_walk.h"

static void name_service(struct walk *w, uint32_t at, uint32_t from, uint32_t to,
                         struct mw_str base)
{
    base = mw_bp_base(w->inf->arena, base);
    if (mw_name_pascal(w->inf->arena, base).len == 0)
        return;
    if (!mw_bp_same_name(mw_words_singular(w->inf->words, base), base) &&
        is_noun(w, from, to > from + 1 ? to - 1 : to))
        base = mw_words_singular(w->inf->words, base);
    struct mw_bp_service *service = mw_bp_service_of(w->inf->bp, base);
    if (service == NULL)
        service = mw_bp_add_service(w->inf->bp, base);
    if (service == NULL)
        return;
    use(w, from, to);
    w->heads[at] = service;
    mw_infer_note(w->inf, false, service, NULL, mw_infer_quote(w->inf, service->name),
                  mw_tokens_text(w->toks, from, to));
    struct mw_str noun = mw_infer_noun(w->inf, base), name = MW_STR_NONE;
    if (mw_words_noun(w->inf->words, mw_words_singular(w->inf->words, noun), &name) != MW_NODE_NONE)
        (void)mw_infer_main_entity(w->inf, service);
}

/* The words before a container, from the longest known noun to, at most, three unknown words. Returns where they begin. */
static uint32_t noun_before(const struct walk *w, uint32_t container)
{
    uint32_t from = container;
    while (from > 0 && from + 3 > container && plain_word(w, from - 1) &&
           !w->toks->at[from - 1].used)
        from--;
    for (uint32_t k = container > 3 ? container - 3 : 0; k < container; k++)
        if ((k >= from || k + 2 <= container) && !listed(w, k, "articles") && word_at(w, k) &&
            is_noun(w, k, container))
            return k;
    bool stored =
        from < container &&
        mw_node_get_str(&w->inf->words->nouns, mw_node_get(&w->inf->words->nouns, 0, "products"),
                        w->toks->at[container - 1].low) != MW_NODE_NONE;
    if (stored)
        return container - 1;
    while (from < container &&
           (mw_phrase_at(&w->inf->verbs, w->toks, from, MW_FORM_BASE) != NULL) &&
           from + 1 < container)
        from++; /* "create blood donation service" */
    return from;
}

/* "user, order and payment services" */
static void head_list(struct walk *w, uint32_t container)
{
    uint32_t end = container;
    for (;;) {
        uint32_t from = noun_before(w, end);
        if (from == end)
            return;
        name_service(w, from, from, end == container ? container + 1 : end, low_of(w, from, end));
        uint32_t gap = from;
        while (gap > 0 && (kind_at(w, gap - 1, MW_TOK_COMMA) ||
                           mw_tok_is(w->toks, gap - 1, "and") || listed(w, gap - 1, "articles")))
            gap--;
        if (gap == from || !(mw_tok_is(w->toks, from - 1, "and") ||
                             kind_at(w, from - 1, MW_TOK_COMMA) || listed(w, from - 1, "articles")))
            return;
        end = gap;
    }
}

static void reverse_services(struct mw_bp *bp)
{
    struct mw_bp_service *done = NULL;
    while (bp->services != NULL) {
        struct mw_bp_service *next = bp->services->next;
        bp->services->next = done;
        done = bp->services;
        bp->services = next;
    }
    bp->services = done;
}

static bool is_plural_container(const struct walk *w, uint32_t i)
{
    return one_of(w, i,
                  (const char *const[]){"services", "apps", "applications", "apis", "systems",
                                        "microservices", "modules", NULL});
}

static void find_compounds(struct walk *w)
{
    for (uint32_t i = 0; i < w->toks->count; i++) {
        struct mw_tok *tok = &w->toks->at[i];
        if (!tok->compound || tok->tech)
            continue;
        struct mw_str text = tok->text;
        if (mw_str_ends(text, MW_STR("Services")))
            text = mw_str_sub(text, 0, text.len - 1);
        name_service(w, i, i, i + 1, text);
    }
}

/* "Food delivery: restaurants and orders": a title. */
static void take_title(struct walk *w)
{
    uint32_t from = 0, to = 0;
    while (word_at(w, from) && !plain_word(w, from))
        from++;
    for (to = from; to < from + 3 && plain_word(w, to); to++)
        ;
    if (to > from && mw_walk_is_title(w, from, to) &&
        mw_phrase_at(&w->inf->verbs, w->toks, from, MW_FORM_BASE) == NULL)
        name_service(w, from, from, to, mw_words_singular(w->inf->words, low_of(w, from, to)));
}

void mw_infer_services(struct walk *w)
{
    const struct mw_tape *nouns = &w->inf->words->nouns;
    uint32_t products = mw_node_get(nouns, 0, "products");
    find_compounds(w);
    for (uint32_t i = 0; i < w->toks->count; i++) {
        if (is_plural_container(w, i)) {
            uint32_t before = w->inf->bp->service_count;
            head_list(w, i);
            if (before == 0)
                reverse_services(w->inf->bp); /* it was read backwards */
        } else if (is_container(w, i) && !is_container(w, i + 1)) {
            uint32_t end = i;
            while (end > 0 && is_container(w, end - 1))
                end--;
            uint32_t from = noun_before(w, end);
            if (from < end)
                name_service(w, from, from, i + 1, low_of(w, from, end));
        } else if (word_at(w, i) && !w->toks->at[i].used && !is_container(w, i + 1) &&
                   w->inf->bp->service_count == 0 &&
                   mw_node_get_str(nouns, products, w->toks->at[i].low) != MW_NODE_NONE) {
            name_service(w, i, i, i + 1, w->toks->at[i].low);
        }
    }
    if (w->inf->bp->service_count == 0)
        take_title(w);
}
