#include "builtin/infer.h"

/* Stores, authentication and flags are taken out of the text first: their words mean the same wherever they stand. */

struct hit {
    const struct mw_phrase *phrase;
    uint32_t from, to; /* with the words that belong to it */
    struct mw_str kind, value;
    bool negated;
};

#define HITS_MAX 512

static bool is_glue(const struct mw_infer *inf, const struct mw_toks *toks, uint32_t i)
{
    return toks->at[i].kind == MW_TOK_WORD &&
           mw_words_has(&inf->words->stop, "articles", toks->at[i].low);
}

static bool is_negator(const struct mw_infer *inf, const struct mw_toks *toks, uint32_t i)
{
    return toks->at[i].kind == MW_TOK_WORD &&
           mw_words_has(&inf->words->stop, "negators", toks->at[i].low);
}

/* "after": the row's words count only behind certain words. */
/* "reminders with due date and text": these are records, and no feature of the program. */
static bool is_described_record(const struct mw_infer *inf, const struct mw_phrase *p,
                                const struct mw_toks *toks, uint32_t i)
{
    uint32_t next = i + 2;
    bool open = i + 1 < toks->count && toks->at[i + 1].kind == MW_TOK_OPEN;
    bool describes = open || mw_tok_is(toks, i + 1, "with") || mw_tok_is(toks, i + 1, "have") ||
                     mw_tok_is(toks, i + 1, "having");
    return p->words == 1 && describes &&
           mw_str_is(mw_node_get_text(p->table, p->row, "kind"), "flag") &&
           mw_words_is_plural(inf->words, toks->at[i].low) && next < toks->count &&
           toks->at[next].kind == MW_TOK_WORD &&
           mw_phrase_at(&inf->technologies, toks, next, MW_FORM_BASE) == NULL;
}

/* "spring|summer": a value among others, unless these are technologies, too. */
static bool is_value(const struct mw_infer *inf, const struct mw_phrase *p,
                     const struct mw_toks *toks, uint32_t i)
{
    uint32_t after = i + p->words;
    bool left = i > 1 && toks->at[i - 1].kind == MW_TOK_BAR &&
                mw_phrase_at(&inf->technologies, toks, i - 2, MW_FORM_BASE) == NULL;
    bool right = toks->at[after].kind == MW_TOK_BAR &&
                 mw_phrase_at(&inf->technologies, toks, after + 1, MW_FORM_BASE) == NULL;
    return (left || right) && mw_str_is(mw_node_get_text(p->table, p->row, "kind"), "flag");
}

/* "Greenhouse monitoring: sensors": the product's name. */
static bool is_title(const struct mw_phrase *p, const struct mw_toks *toks, uint32_t i)
{
    bool words = i > 0 && i < 4 && p->words == 1 && toks->at[i + 1].kind == MW_TOK_COLON;
    for (uint32_t k = 0; k < i; k++)
        words = words && toks->at[k].kind == MW_TOK_WORD && !toks->at[k].tech &&
                !mw_tok_is(toks, k, "with") && !mw_tok_is(toks, k, "no") &&
                !mw_tok_is(toks, k, "without");
    return words && mw_str_is(mw_node_get_text(p->table, p->row, "kind"), "flag");
}

static bool allowed_here(const struct mw_infer *inf, const struct mw_phrase *p,
                         const struct mw_toks *toks, uint32_t i)
{
    uint32_t list = mw_node_get(p->table, p->row, "after");
    if (is_described_record(inf, p, toks, i) || is_title(p, toks, i) || is_value(inf, p, toks, i))
        return false;
    if (list == MW_NODE_NONE)
        return true;
    while (i > 0 && is_glue(inf, toks, i - 1))
        i--;
    if (i == 0)
        return false;
    if (toks->at[i - 1].tech)
        return true;
    for (uint32_t a = mw_node_first(p->table, list); a != MW_NODE_NONE;
         a = mw_node_after(p->table, list, a))
        if (mw_str_eq(mw_node_str(p->table, a), toks->at[i - 1].low))
            return true;
    return toks->at[i - 1].kind == MW_TOK_COLON;
}

/* "not" reaches over "or" and "nor", and over "and" and commas between flags: "without a frontend, gateway or mobile app". */
static bool is_negated(const struct mw_infer *inf, const struct mw_toks *toks,
                       const struct hit *hit, const struct hit *before, uint32_t *ret_from)
{
    static const char *const fillers[] = {
        "need", "needs",    "want", "require", "requires", "any", "use", "using", "have",    "has",
        "with", "required", "to",   "do",      "of",       "is",  "a",   "an",    "include", "be"};
    bool joined = false, loose = false;
    uint32_t i = hit->from;
    while (i > 0) {
        uint32_t k = i - 1;
        if (is_negator(inf, toks, k)) {
            *ret_from = k;
            return true;
        }
        bool filler = is_glue(inf, toks, k);
        for (size_t f = 0; f < MW_COUNT(fillers) && !filler; f++)
            filler = mw_tok_is(toks, k, fillers[f]) && !(joined || loose);
        bool word_or = mw_tok_is(toks, k, "or") || mw_tok_is(toks, k, "nor");
        bool word_and = mw_tok_is(toks, k, "and") || toks->at[k].kind == MW_TOK_COMMA;
        joined = joined || word_or;
        loose = loose || word_and;
        if (before != NULL && k + 1 == before->to && (joined || loose)) {
            bool both_flags = mw_str_is(before->kind, "flag") && mw_str_is(hit->kind, "flag");
            *ret_from = hit->from;
            return before->negated && (joined || both_flags);
        }
        if (!filler && !word_or && !word_and)
            return false;
        i = k;
    }
    return false;
}

/* "no login needed", "authentication is not needed", "auth: false". */
static bool is_negated_after(const struct mw_toks *toks, struct hit *hit)
{
    uint32_t i = hit->to;
    if (toks->at[i].kind == MW_TOK_COLON)
        i++;
    if (mw_tok_is(toks, i, "is") || mw_tok_is(toks, i, "are"))
        i++;
    bool not_word = mw_tok_is(toks, i, "not") || mw_tok_is(toks, i, "isn't");
    if (not_word && (mw_tok_is(toks, i + 1, "needed") || mw_tok_is(toks, i + 1, "required") ||
                     mw_tok_is(toks, i + 1, "wanted") || mw_tok_is(toks, i + 1, "necessary"))) {
        hit->to = i + 2;
        return true;
    }
    bool off = mw_tok_is(toks, i, "false") ||
               (i > hit->to && (mw_tok_is(toks, i, "none") || mw_tok_is(toks, i, "off")));
    if (off)
        hit->to = i + 1;
    return off;
}

static uint32_t find_hits(struct mw_infer *inf, struct mw_toks *toks, struct hit *hits)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i + 1 < toks->count && count < HITS_MAX; i++) {
        const struct mw_phrase *p = mw_phrase_at(&inf->technologies, toks, i, MW_FORM_BASE);
        if (p == NULL || !allowed_here(inf, p, toks, i))
            continue;
        struct hit *hit = &hits[count];
        *hit = (struct hit){.phrase = p, .from = i, .to = i + p->words};
        hit->kind = mw_node_get_text(p->table, p->row, "kind");
        hit->value = mw_node_get_text(p->table, p->row, "value");
        uint32_t from = hit->from;
        bool before = is_negated(inf, toks, hit, count > 0 ? &hits[count - 1] : NULL, &from);
        hit->negated = is_negated_after(toks, hit) || before;
        hit->from = from;
        for (uint32_t k = hit->from; k < hit->to; k++)
            toks->at[k].tech = toks->at[k].used = true;
        i = hit->to - 1;
        count++;
    }
    return count;
}

static struct mw_str words_of(const struct mw_toks *toks, const struct hit *hit)
{
    return mw_tokens_text(toks, hit->from, hit->to);
}

static void conflict(struct mw_infer *inf, const char *field, struct mw_str a, struct mw_str b,
                     const char *const *options)
{
    mw_infer_ask(inf, mw_str_of(field),
                 mw_arena_format(inf->arena, "'%.*s' and '%.*s' contradict each other. Which one?",
                                 MW_STR_ARG(a), MW_STR_ARG(b)),
                 MW_STR("two statements of the prompt conflict"), options);
}

static void take_store(struct mw_infer *inf, const struct mw_toks *toks, const struct hit *hits,
                       uint32_t count)
{
    static const char *const options[] = {"MongoDB", "File", "Memory",
                                          "leave it out (File is used)", NULL};
    const struct hit *first = NULL;
    struct mw_str store = MW_STR_NONE, answer = MW_STR_NONE;
    bool conflicts = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!mw_str_is(hits[i].kind, "store"))
            continue;
        if (hits[i].negated) {
            mw_infer_note(inf, false, NULL, "storage", MW_STR("null"), words_of(toks, &hits[i]));
            continue;
        }
        mw_infer_note(inf, false, NULL, "storage", mw_infer_quote(inf, hits[i].value),
                      words_of(toks, &hits[i]));
        if (first != NULL && !mw_str_eq(first->value, hits[i].value) && !conflicts) {
            conflicts = true;
            if (!mw_infer_answer(inf, MW_STR("storage"), &answer))
                conflict(inf, "storage", words_of(toks, first), words_of(toks, &hits[i]), options);
        }
        first = first == NULL ? &hits[i] : first;
    }
    if (first == NULL)
        return;
    /* After a conflict only the answer decides: the first statement is not more right than the second. */
    if (mw_infer_storage(inf, conflicts ? MW_STR("two stores at once") : first->value,
                         MW_STR("storage"), &store)) {
        inf->storage = store;
        inf->storage_known = true;
    }
}

static struct mw_str auth_of(const struct hit *hit)
{
    if (hit->negated)
        return mw_str_is(hit->value, "false") ? MW_STR("JWT") : MW_STR("false");
    return hit->value;
}

static void note_auth(struct mw_infer *inf, const struct mw_toks *toks, const struct hit *hit)
{
    struct mw_str value = auth_of(hit);
    bool none = mw_str_is(value, "false");
    mw_infer_note(inf, false, NULL, "auth", none ? MW_STR("false") : mw_infer_quote(inf, value),
                  words_of(toks, hit));
    if (!none && mw_node_bool(hit->phrase->table,
                              mw_node_get(hit->phrase->table, hit->phrase->row, "assumed"), false))
        mw_infer_note(inf, true, NULL, "auth", MW_STR("\"JWT\""),
                      MW_STR("technologies.yaml: authentication of no named kind is JWT"));
}

static void take_auth(struct mw_infer *inf, const struct mw_toks *toks, const struct hit *hits,
                      uint32_t count)
{
    static const char *const options[] = {"JWT", "no authentication", "leave it out", NULL};
    const struct hit *first = NULL;
    struct mw_str algorithm = MW_STR_NONE, answer = MW_STR_NONE, said = MW_STR_NONE,
                  wished = MW_STR_NONE;
    bool conflicts = false, algorithm_said = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct hit *hit = &hits[i];
        if (!mw_str_is(hit->kind, "auth"))
            continue;
        note_auth(inf, toks, hit);
        /* "no roles" says nothing about JWT; "no auth" and "no JWT" do. */
        if (hit->negated && !mw_str_is(hit->value, "JWT") && !mw_str_is(hit->value, "false"))
            continue;
        struct mw_str own = mw_node_get_text(hit->phrase->table, hit->phrase->row, "algorithm");
        bool other_algorithm = own.len > 0 && algorithm_said && !mw_str_eq(own, wished);
        bool generic =
            mw_node_bool(hit->phrase->table,
                         mw_node_get(hit->phrase->table, hit->phrase->row, "assumed"), false);
        /* "OAuth2 authentication": the general word adds nothing to the named kind. */
        if (first != NULL && !other_algorithm && generic && !hit->negated &&
            !mw_str_is(said, "false"))
            continue;
        bool named_later =
            first != NULL && !first->negated && mw_str_is(said, "JWT") &&
            !mw_str_is(auth_of(hit), "false") &&
            mw_node_bool(first->phrase->table,
                         mw_node_get(first->phrase->table, first->phrase->row, "assumed"), false);
        if (first != NULL && !named_later && (other_algorithm || !mw_str_eq(auth_of(hit), said)) &&
            !conflicts) {
            conflicts = true;
            if (!mw_infer_answer(inf, MW_STR("auth"), &answer))
                conflict(inf, "auth", words_of(toks, first), words_of(toks, hit), options);
        }
        if (first == NULL || named_later)
            first = hit, said = auth_of(hit);
        if (own.len > 0 && !hit->negated)
            wished = own, algorithm_said = true;
    }
    if (first == NULL)
        return;
    if (mw_infer_auth(inf, conflicts ? MW_STR("two kinds of authentication at once") : said,
                      MW_STR("auth"), &algorithm)) {
        bool plain =
            algorithm.len > 0 && mw_str_is(algorithm, "HS256") && algorithm_said && !conflicts;
        inf->algorithm = plain ? wished : algorithm;
        inf->auth_known = true;
    }
}

static void take_flag(struct mw_infer *inf, const struct mw_toks *toks, const struct hit *hit)
{
    const struct mw_tape *t = hit->phrase->table;
    struct mw_str field = mw_node_get_text(t, hit->phrase->row, "field");
    struct mw_str said = words_of(toks, hit), answer = MW_STR_NONE;
    char *path = mw_arena_array(inf->arena, char, field.len + 1);
    if (path == NULL)
        return;
    for (size_t i = 0; i < field.len; i++)
        path[i] = field.ptr[i];
    if (hit->negated) {
        mw_infer_note(inf, false, NULL, path, MW_STR("false"), said);
        return;
    }
    if (!mw_infer_drop(inf, field, mw_node_get_text(t, hit->phrase->row, "what"), said))
        return;
    (void)mw_infer_answer(inf, field, &answer); /* it is there: that is why it was dropped */
    mw_infer_note(
        inf, false, NULL, path, MW_STR("false"),
        mw_arena_format(inf->arena, "%.*s; answered: %.*s", MW_STR_ARG(said), MW_STR_ARG(answer)));
}

void mw_infer_technologies(struct mw_infer *inf, struct mw_toks *toks)
{
    struct hit *hits = mw_arena_array(inf->arena, struct hit, HITS_MAX);
    if (hits == NULL)
        return;
    uint32_t count = find_hits(inf, toks, hits);
    take_store(inf, toks, hits, count);
    take_auth(inf, toks, hits, count);
    for (uint32_t i = 0; i < count; i++) {
        if (mw_str_is(hits[i].kind, "flag"))
            take_flag(inf, toks, &hits[i]);
        if (mw_str_is(hits[i].kind, "given") && !hits[i].negated)
            mw_infer_note(inf, false, NULL, "services", mw_infer_quote(inf, hits[i].value),
                          words_of(toks, &hits[i]));
        if (mw_str_is(hits[i].kind, "given") && hits[i].negated)
            for (uint32_t k = hits[i].from; k < hits[i].to; k++)
                toks->at[k].used = false; /* every service has it: saying no changes nothing */
    }
}
