#include "builtin/infer.h"

/* Reading one field: leading "required", the name, then attributes until a separator. */

struct reader {
    struct mw_infer *inf;
    struct mw_toks *toks;
    struct mw_bp_service *service;
    struct mw_bp_field *field;
    bool inside; /* of parentheses: commas part attributes, not fields */
};

static bool is(const struct reader *r, uint32_t i, const char *low)
{
    return mw_tok_is(r->toks, i, low) && !r->toks->at[i].tech;
}

static bool kind_is(const struct reader *r, uint32_t i, enum mw_tok_kind kind)
{
    return i < r->toks->count && r->toks->at[i].kind == kind;
}

static uint32_t use(const struct reader *r, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && i < r->toks->count; i++)
        r->toks->at[i].used = true;
    return to;
}

static bool one_of(const struct reader *r, uint32_t i, const char *const *words)
{
    for (; *words != NULL; words++)
        if (is(r, i, *words))
            return true;
    return false;
}

static bool free_word(const struct reader *r, uint32_t i)
{
    return kind_is(r, i, MW_TOK_WORD) && !r->toks->at[i].tech;
}

static const char *const separators[] = {"and", "or", "plus", NULL};
static const char *const must_words[] = {"required", "mandatory", "compulsory", "obligatory", NULL};
static const char *const may_words[] = {"optional", "optionally", NULL};
static const char *const min_words[] = {"min", "minimum", "minlength", "from", NULL};
static const char *const max_words[] = {"max", "maximum", "maxlength", NULL};
static const char *const default_words[] = {"default", "defaults", "defaulting", "initially", NULL};
static const char *const unit_words[] = {"characters", "character", "chars",  "char",
                                         "letters",    "long",      "length", NULL};
static const char *const refuse_words[] = {
    "unique",    "indexed",  "encrypted", "hashed",   "auto-generated", "automatically",
    "generated", "computed", "multiline", "readonly", "read-only",      NULL};
static const char *const hard_types[] = {
    "string", "integer", "int",      "boolean",   "bool",      "float", "double",  "decimal",
    "enum",   "varchar", "datetime", "timestamp", "reference", "ref",   "numeric", NULL};
static const char *const name_ends[] = {
    "with",  "that",   "which",   "where", "who",     "can",        "could",   "has",
    "have",  "having", "is",      "are",   "must",    "should",     "as",      "by",
    "for",   "to",     "from",    "in",    "on",      "but",        "belongs", "belong",
    "using", "so",     "either",  "via",   "users",   "each",       "every",   "may",
    "will",  "when",   "if",      "being", "linked",  "references", "not",     "at",
    "up",    "of",     "between", "also",  "without", "whose",      NULL};

static bool type_at(const struct reader *r, uint32_t i, enum mw_bp_type *ret_type)
{
    const struct mw_tape *t = &r->inf->words->fields;
    if (!free_word(r, i))
        return false;
    uint32_t row = mw_node_get_str(t, mw_node_get(t, 0, "types"), r->toks->at[i].low);
    return row != MW_NODE_NONE && mw_bp_type_of(mw_node_str(t, row), ret_type);
}

/* --- numbers --- */

static struct mw_str number_at(const struct reader *r, uint32_t i)
{
    if (!kind_is(r, i, MW_TOK_NUMBER))
        return MW_STR_NONE;
    struct mw_str text = r->toks->at[i].text;
    char *plain = mw_arena_array(r->inf->arena, char, text.len + 1);
    size_t len = 0;
    for (size_t k = 0; plain != NULL && k < text.len; k++)
        if (text.ptr[k] != ',')
            plain[len++] = text.ptr[k];
    return mw_bp_decimal(r->inf->arena, (struct mw_str){plain, len});
}

static uint32_t units(const struct reader *r, uint32_t i)
{
    while (one_of(r, i, unit_words) || (is(r, i, "in") && is(r, i + 1, "length"))) {
        r->field->type_said = true; /* a length: only strings have one */
        i = use(r, i, i + 1);
    }
    return i;
}

/* "1 and 5000", "1 to 5000", "1..5000", "1-5000" */
static uint32_t range(const struct reader *r, uint32_t i)
{
    struct mw_str low = number_at(r, i), high = number_at(r, i + 2);
    bool between = is(r, i + 1, "and") || is(r, i + 1, "to") || kind_is(r, i + 1, MW_TOK_RANGE);
    if (low.len == 0 || high.len == 0 || !between)
        return i;
    r->field->min = low;
    r->field->max = high;
    use(r, i, i + 3);
    return units(r, i + 3);
}

static uint32_t glue_words(const struct reader *r, uint32_t i)
{
    static const char *const glue[] = {"of", "is", "length", "value",  "to", "be",
                                       "a",  "an", "the",    "number", NULL};
    while (one_of(r, i, glue) || kind_is(r, i, MW_TOK_COLON))
        i++;
    return i;
}

static uint32_t one_bound(const struct reader *r, uint32_t i, uint32_t number, bool is_max)
{
    number = glue_words(r, number);
    struct mw_str value = number_at(r, number);
    if (value.len == 0)
        return i;
    if (is_max)
        r->field->max = value;
    else
        r->field->min = value;
    use(r, i, number + 1);
    return units(r, number + 1);
}

static uint32_t bounds(const struct reader *r, uint32_t i)
{
    uint32_t to = i;
    if (is(r, i, "between") || is(r, i, "from"))
        to = range(r, i + 1);
    if (to > i + 1)
        return use(r, i, i + 1), to;
    to = range(r, i);
    if (to > i)
        return to;
    if ((is(r, i, "at") && is(r, i + 1, "least")) || (is(r, i, "no") && is(r, i + 1, "less")))
        return one_bound(r, i, i + (is(r, i + 2, "than") ? 3 : 2), false);
    if ((is(r, i, "at") && is(r, i + 1, "most")) || (is(r, i, "up") && is(r, i + 1, "to")) ||
        (is(r, i, "no") && is(r, i + 1, "more")))
        return one_bound(r, i, i + (is(r, i + 2, "than") ? 3 : 2), true);
    if (one_of(r, i, max_words))
        return one_bound(r, i, i + 1, true);
    if (one_of(r, i, min_words) && !is(r, i, "from"))
        return one_bound(r, i, i + 1, false);
    if (is(r, i, "positive") || is(r, i, "non-negative")) {
        r->field->min =
            is(r, i, "positive") && r->field->type != MW_BP_NUMBER ? MW_STR("1") : MW_STR("0");
        return use(r, i, i + 1);
    }
    /* "120 characters", "120 characters max" */
    if (kind_is(r, i, MW_TOK_NUMBER) && one_of(r, i + 1, unit_words)) {
        to = one_bound(r, i, i, true);
        return one_of(r, to, max_words) || is(r, to, "maximum") ? use(r, to, to + 1) : to;
    }
    return i;
}

/* --- values --- */

static bool starts_attribute(const struct reader *r, uint32_t i)
{
    return one_of(r, i, must_words) || one_of(r, i, may_words) || one_of(r, i, default_words) ||
           ((one_of(r, i, max_words) || one_of(r, i, min_words) || is(r, i, "between")) &&
            (kind_is(r, i + 1, MW_TOK_NUMBER) || is(r, i + 1, "of") || is(r, i + 1, "length"))) ||
           (is(r, i, "at") && (is(r, i + 1, "least") || is(r, i + 1, "most"))) ||
           (is(r, i, "up") && is(r, i + 1, "to")) || (is(r, i, "one") && is(r, i + 1, "of")) ||
           (kind_is(r, i, MW_TOK_NUMBER) && one_of(r, i + 1, unit_words)) ||
           (is(r, i, "no") && (is(r, i + 1, "more") || is(r, i + 1, "less"))) ||
           is(r, i, "positive") || is(r, i, "non-negative") ||
           (is(r, i, "not") && (is(r, i + 1, "empty") || is(r, i + 1, "null")));
}

/* One value: up to three words. Returns the index after it, or i. */
static uint32_t value_at(const struct reader *r, uint32_t i, struct mw_str *ret_value)
{
    uint32_t to = i;
    bool stands_alone = r->inside || kind_is(r, i + 1, MW_TOK_BAR) ||
                        (i > 0 && kind_is(r, i - 1, MW_TOK_BAR)); /* "up|down" */
    while (
        to < i + 3 && (free_word(r, to) || kind_is(r, to, MW_TOK_NUMBER)) &&
        !one_of(r, to, separators) &&
        ((stands_alone && (to == i || !free_word(r, to + 1))) || !one_of(r, to, name_ends + 1)) &&
        !(to > i && starts_attribute(r, to)))
        to++;
    /* "in progress": a value may begin with a small word that ends names. */
    if (to == i && is(r, i, "in") && free_word(r, i + 1) && !one_of(r, i + 1, name_ends))
        to = i + 2;
    if (to == i && is(r, i, "on") && free_word(r, i + 1))
        to = i + 2;
    *ret_value = mw_tokens_text(r->toks, i, to);
    return to;
}

static void add_value(const struct reader *r, struct mw_str value)
{
    for (uint32_t i = 0; i < r->field->value_count; i++)
        if (mw_str_eq(r->field->values[i], value))
            return;
    if (r->field->value_count < MW_BP_VALUES_MAX)
        r->field->values[r->field->value_count++] = value;
}

static uint32_t values(const struct reader *r, uint32_t i, bool commas)
{
    bool last = false;
    while (i < r->toks->count) {
        struct mw_str value = MW_STR_NONE;
        uint32_t to = value_at(r, i, &value);
        if (to == i)
            break;
        add_value(r, value);
        i = use(r, i, to);
        uint32_t next = i;
        if (kind_is(r, next, MW_TOK_COMMA) && commas && !last && !starts_attribute(r, next + 1))
            next++;
        if (is(r, next, "or") || (is(r, next, "and") && r->inside)) {
            last = !r->inside && commas;
            next++;
        } else if (kind_is(r, next, MW_TOK_BAR)) {
            next++;
        }
        if (next == i || kind_is(r, next, MW_TOK_BREAK))
            break;
        i = next;
    }
    r->field->type = MW_BP_ENUM;
    r->field->type_said = true;
    return i;
}

static bool is_yes_no(const struct reader *r, uint32_t i)
{
    if ((!kind_is(r, i + 1, MW_TOK_BAR) && !is(r, i + 1, "or")) ||
        kind_is(r, i + 3, MW_TOK_BAR)) /* "yes|no|maybe" */
        return false;
    return (is(r, i, "yes") && is(r, i + 2, "no")) || (is(r, i, "true") && is(r, i + 2, "false")) ||
           (is(r, i, "no") && is(r, i + 2, "yes")) || (is(r, i, "false") && is(r, i + 2, "true"));
}

static uint32_t boolean_type(const struct reader *r, uint32_t i)
{
    r->field->type = MW_BP_BOOLEAN;
    r->field->type_said = true;
    return use(r, i, i + 3);
}

static uint32_t enum_values(const struct reader *r, uint32_t i)
{
    struct reader inner = *r;
    uint32_t at = i;
    if (kind_is(r, at, MW_TOK_COLON) || is(r, at, "of") || is(r, at, "values") || is(r, at, "with"))
        at++;
    if (!kind_is(r, at, MW_TOK_OPEN))
        return values(r, at, true);
    inner.inside = true;
    at = values(&inner, at + 1, true);
    return kind_is(r, at, MW_TOK_CLOSE) ? at + 1 : at;
}

/* --- references --- */

static uint32_t reference_target(const struct reader *r, uint32_t i)
{
    while (
        kind_is(r, i, MW_TOK_COLON) ||
        one_of(r, i, (const char *const[]){"to", "a", "an", "the", "one", "exactly", "of", NULL}))
        i++;
    uint32_t to = i;
    while (to < i + 3 && free_word(r, to) && !one_of(r, to, separators) &&
           !one_of(r, to, name_ends) && !starts_attribute(r, to))
        to++;
    if (to == i)
        return i;
    struct mw_str low = mw_name_words(r->inf->arena, mw_tokens_text(r->toks, i, to));
    r->field->type = MW_BP_REFERENCE;
    r->field->type_said = true;
    r->field->entity = mw_name_pascal(r->inf->arena, mw_words_singular(r->inf->words, low));
    return use(r, i, to);
}

static bool is_reference(const struct reader *r, uint32_t i, uint32_t *ret_to)
{
    *ret_to = mw_infer_relation(r->toks, i);
    return *ret_to > i;
}

uint32_t mw_infer_relation(const struct mw_toks *toks, uint32_t i)
{
    static const char *const with_to[] = {"belongs",   "belong", "belonging", "linked",
                                          "link",      "refers", "refer",     "referring",
                                          "reference", "points", "pointing",  "ref"};
    static const char *const alone[] = {"references", "referencing", "linking",
                                        "connecting", "reference",   "ref"};
    bool to = mw_tok_is(toks, i + 1, "to") ||
              (i + 1 < toks->count && toks->at[i + 1].kind == MW_TOK_COLON);
    for (size_t k = 0; to && k < MW_COUNT(with_to); k++)
        if (mw_tok_is(toks, i, with_to[k]))
            return i + 2;
    for (size_t k = 0; k < MW_COUNT(alone); k++)
        if (mw_tok_is(toks, i, alone[k]))
            return i + 1;
    return i;
}

/* --- attributes --- */

static uint32_t default_value(const struct reader *r, uint32_t i)
{
    uint32_t from = i + 1;
    while (one_of(r, from, (const char *const[]){"to", "is", "of", "value", "being", NULL}) ||
           kind_is(r, from, MW_TOK_COLON))
        from++;
    uint32_t to = from;
    if (kind_is(r, from, MW_TOK_NUMBER))
        to = from + 1;
    else {
        struct mw_str ignored = MW_STR_NONE;
        to = value_at(r, from, &ignored);
        if (to == from && kind_is(r, from, MW_TOK_WORD))
            to = from + 1;
    }
    if (to == from)
        return i;
    r->field->default_given = true;
    r->field->default_text = mw_tokens_text(r->toks, from, to);
    return use(r, i, to);
}

static uint32_t set_required(const struct reader *r, uint32_t from, uint32_t to, bool required)
{
    r->field->required = required;
    r->field->required_said = true;
    return use(r, from, to);
}

static uint32_t parenthesis(const struct reader *r, uint32_t i);

static bool is_unit(const struct reader *r, uint32_t i)
{
    return free_word(r, i) && mw_words_has(&r->inf->words->fields, "units", r->toks->at[i].low);
}

/* One attribute at i; i itself when there is none. */
static uint32_t attribute(const struct reader *r, uint32_t i)
{
    enum mw_bp_type type = MW_BP_STRING;
    uint32_t to = i;
    if (one_of(r, i, must_words))
        return set_required(r, i, i + 1, true);
    if (one_of(r, i, may_words))
        return set_required(r, i, i + 1, false);
    if (is(r, i, "not") &&
        (is(r, i + 1, "empty") || is(r, i + 1, "null") || is(r, i + 1, "required")))
        return set_required(r, i, i + 2, !is(r, i + 1, "required"));
    if (is(r, i, "by") && is(r, i + 1, "default") && !free_word(r, i + 2)) {
        r->field->type = MW_BP_BOOLEAN; /* "active by default" */
        r->field->type_said = r->field->default_given = true;
        r->field->default_text = MW_STR("true");
        return use(r, i, i + 2);
    }
    if (one_of(r, i, default_words))
        return default_value(r, i);
    if (one_of(r, i, refuse_words) && i > 0 && !kind_is(r, i - 1, MW_TOK_COMMA))
        return i + 1; /* "unique": read over, and listed as not understood */
    if (is_yes_no(r, i))
        return boolean_type(r, i);
    if (is(r, i, "or") && is(r, i + 1, "not") && !free_word(r, i + 2)) /* "pinned or not" */
        return boolean_type(r, i) - 1;
    if ((is(r, i, "one") && is(r, i + 1, "of")) || is(r, i, "either")) {
        use(r, i, i + 1);
        return enum_values(r, i + (is(r, i, "either") ? 1 : 2));
    }
    if (is_reference(r, i, &to)) {
        uint32_t after = reference_target(r, to);
        return after > to ? (use(r, i, to), after) : i;
    }
    if (is(r, i, "in") && is_unit(r, i + 1)) { /* "distance in km" */
        r->field->measured = true;
        return use(r, i, i + 2);
    }
    to = bounds(r, i);
    if (to > i)
        return to;
    if (kind_is(r, i, MW_TOK_OPEN))
        return parenthesis(r, i);
    if (type_at(r, i, &type) && !r->field->type_said && !kind_is(r, i + 1, MW_TOK_BAR)) {
        r->field->type = type;
        r->field->type_said = true;
        use(r, i, i + 1);
        return type == MW_BP_ENUM ? enum_values(r, i + 1) : i + 1;
    }
    if (kind_is(r, i + 1, MW_TOK_BAR) && (free_word(r, i) || kind_is(r, i, MW_TOK_NUMBER)))
        return values(r, i, false);
    return i;
}

/* "(low, normal, high)": words and commas only. */
static bool is_value_list(const struct reader *r, uint32_t i)
{
    uint32_t commas = 0, words = 0;
    enum mw_bp_type type;
    for (; i < r->toks->count && !kind_is(r, i, MW_TOK_CLOSE); i++) {
        if (kind_is(r, i, MW_TOK_COMMA) || is(r, i, "or") || kind_is(r, i, MW_TOK_BAR))
            commas++;
        else if (kind_is(r, i, MW_TOK_NUMBER) && words > 0)
            words++;
        else if (!free_word(r, i) || starts_attribute(r, i) || one_of(r, i, refuse_words) ||
                 type_at(r, i, &type))
            return false;
        else
            words++;
    }
    return commas > 0 && words > commas && kind_is(r, i, MW_TOK_CLOSE);
}

static uint32_t parenthesis(const struct reader *r, uint32_t i)
{
    struct reader inner = *r;
    inner.inside = true;
    i++;
    if (!is_yes_no(r, i) && is_value_list(r, i))
        i = values(&inner, i, true);
    while (i < r->toks->count && !kind_is(r, i, MW_TOK_CLOSE) && !kind_is(r, i, MW_TOK_BREAK)) {
        uint32_t to = attribute(&inner, i);
        i = to > i ? to : i + 1;
    }
    return kind_is(r, i, MW_TOK_CLOSE) ? i + 1 : i;
}

/* Small words between a name and its attribute: only when an attribute follows. */
static uint32_t skip_glue(const struct reader *r, uint32_t i)
{
    static const char *const glue[] = {"a",    "an",    "the",  "as",     "of",   "is",
                                       "are",  "be",    "must", "should", "can",  "has",
                                       "have", "with",  "that", "which",  "type", "value",
                                       "to",   "field", "it",   "also",   "only", NULL};
    uint32_t at = i;
    enum mw_bp_type type;
    bool colon = kind_is(r, at, MW_TOK_COLON);
    while (one_of(r, at, glue) || kind_is(r, at, MW_TOK_COLON))
        at++;
    uint32_t reference;
    bool follows = starts_attribute(r, at) || type_at(r, at, &type) || is_yes_no(r, at) ||
                   is(r, at, "either") || kind_is(r, at + 1, MW_TOK_BAR) ||
                   kind_is(r, at, MW_TOK_OPEN) || is_reference(r, at, &reference);
    if (colon && !follows && (free_word(r, at) && kind_is(r, at + 1, MW_TOK_COMMA)))
        return at; /* "priority: low, normal, high" is read by the caller */
    return follows ? at : i;
}

/* After a separator: does the same field go on ("title, required, up to 9 characters")? */
static bool goes_on(const struct reader *r, uint32_t i)
{
    if (one_of(r, i, must_words) || one_of(r, i, may_words))
        return kind_is(r, i + 1, MW_TOK_COMMA) || kind_is(r, i + 1, MW_TOK_BREAK) ||
               kind_is(r, i + 1, MW_TOK_CLOSE) || one_of(r, i + 1, separators);
    return starts_attribute(r, i);
}

uint32_t mw_infer_attributes(struct mw_infer *inf, struct mw_toks *toks, uint32_t i,
                             struct mw_bp_service *service, struct mw_bp_field *field)
{
    struct reader r = {.inf = inf, .toks = toks, .service = service, .field = field};
    for (;;) {
        uint32_t at = skip_glue(&r, i);
        uint32_t to = attribute(&r, at);
        if (to > at) {
            i = to;
            continue;
        }
        bool separator = kind_is(&r, i, MW_TOK_COMMA) || is(&r, i, "and") || is(&r, i, "but");
        uint32_t next = i + (separator ? 1 : 0);
        if (kind_is(&r, i, MW_TOK_COMMA) && is(&r, next, "and"))
            next++;
        if (!separator || !goes_on(&r, skip_glue(&r, next)))
            return i;
        i = skip_glue(&r, next);
    }
}

static bool ends_name(const struct reader *r, uint32_t i, uint32_t from)
{
    if (i == from && (is(r, i, "is") || is(r, i, "has")) && free_word(r, i + 1) &&
        !starts_attribute(r, i + 1))
        return false; /* is vaccinated */
    if (!free_word(r, i) || r->toks->at[i].compound || one_of(r, i, separators))
        return true;
    bool two = free_word(r, i + 1) && !one_of(r, i + 1, separators) && !free_word(r, i + 2);
    if (i == from && is(r, i, "in") && two)
        return false; /* in stock */
    if (i == from && one_of(r, i, (const char *const[]){"from", "to", NULL}) &&
        (one_of(r, i + 1, (const char *const[]){"date", "time", "dates", "times", NULL}) ||
         (is(r, i + 1, "and") && is(r, i + 2, "to"))))
        return false; /* from date, from and to dates */
    if (is(r, i, "of") && i > from && free_word(r, i + 1) && !is(r, i + 1, "type") &&
        !one_of(r, i + 1, name_ends))
        return false; /* date of birth */
    if (i > from && one_of(r, i, (const char *const[]){"at", "on", "by", "for", "to", NULL}) &&
        (one_of(r, i + 1, (const char *const[]){"date", "time", NULL}) ||
         kind_is(r, i + 1, MW_TOK_COMMA) || kind_is(r, i + 1, MW_TOK_BREAK) ||
         kind_is(r, i + 1, MW_TOK_CLOSE) || is(r, i + 1, "and")))
        return false; /* recorded at */
    struct mw_str noun = MW_STR_NONE;
    if (is(r, i, "to") && i > from && free_word(r, i + 1) && !free_word(r, i + 2) &&
        !mw_words_has(&r->inf->words->stop, "articles", r->toks->at[i + 1].low) &&
        mw_words_noun(r->inf->words, r->toks->at[i + 1].low, &noun) == MW_NODE_NONE &&
        !one_of(r, from, (const char *const[]){"belongs", "belong", "linked", "refers", NULL}))
        return false; /* steps to reproduce */
    if (one_of(r, i, name_ends) || starts_attribute(r, i) || one_of(r, i, refuse_words) ||
        one_of(r, i, default_words))
        return true;
    if (i == from)
        return false;
    if (one_of(r, i,
               (const char *const[]){"over", "above", "under", "below", "more", "greater", "less",
                                     NULL}) &&
        (kind_is(r, i + 1, MW_TOK_NUMBER) || is(r, i + 1, "than")))
        return true;
    return one_of(r, i, hard_types) || kind_is(r, i + 1, MW_TOK_BAR) || is_yes_no(r, i);
}

/* "whether it is signed": where the name begins; i when it is nothing such. */
static uint32_t whether_it_is(const struct reader *r, uint32_t i)
{
    static const char *const subjects[] = {"it", "they", "he", "she", NULL};
    static const char *const verbs[] = {"is", "are", "was", "were", "has", "have", "been", NULL};
    uint32_t at = i + 1;
    if (!is(r, i, "whether") || !one_of(r, at, subjects))
        return i;
    while (one_of(r, at, subjects) || one_of(r, at, verbs))
        at++;
    if (!free_word(r, at))
        return i;
    use(r, i, at);
    return at;
}

static uint32_t leading(const struct reader *r, uint32_t i)
{
    for (;; i++) {
        if (one_of(r, i, must_words))
            set_required(r, i, i + 1, true);
        else if (one_of(r, i, may_words))
            set_required(r, i, i + 1, false);
        else if (one_of(r, i, refuse_words) && free_word(r, i + 1) && !one_of(r, i + 1, separators))
            continue; /* "a unique username": listed as not understood */
        else if (!free_word(r, i) ||
                 !mw_words_has(&r->inf->words->stop, "articles", r->toks->at[i].low) ||
                 (!free_word(r, i + 1)))
            return i;
    }
}

static uint32_t colon_values(const struct reader *r, uint32_t i)
{
    enum mw_bp_type type;
    if (kind_is(r, i, MW_TOK_COLON) && free_word(r, i + 1) && !type_at(r, i + 1, &type) &&
        !starts_attribute(r, i + 1) && (kind_is(r, i + 2, MW_TOK_COMMA) || is(r, i + 2, "or")))
        return values(r, i + 1, true);
    return i;
}

/* "watched status": what a verb of the tables sets to true or false. */
static bool is_switch(const struct reader *r, uint32_t i)
{
    const struct mw_phrase *state = mw_phrase_at(&r->inf->states, r->toks, i, MW_FORM_ED);
    uint32_t field = state != NULL ? mw_node_get(state->table, state->row, "field") : MW_NODE_NONE;
    return is(r, i + 1, "status") && field != MW_NODE_NONE &&
           mw_str_eq(mw_node_str(state->table, field), r->toks->at[i].low) &&
           !kind_is(r, i + 3, MW_TOK_BAR) && !is(r, i + 3, "or");
}

/* "of low, medium or high", "that is low, …" */
static uint32_t choice_begin(const struct reader *r, uint32_t i)
{
    static const char *const glue[] = {"of",  "that", "which", "is", "can",
                                       "may", "be",   "being", NULL};
    while (one_of(r, i, glue))
        i++;
    return i;
}

/* "status in transit or delivered", "severity of low, medium or high" */
static bool is_state_choice(const struct reader *r, uint32_t i)
{
    if (i == 0 || !free_word(r, i - 1) || starts_attribute(r, i) ||
        !mw_words_has(&r->inf->words->fields, "choices", r->toks->at[i - 1].low))
        return false;
    for (uint32_t at = choice_begin(r, i);; at++) {
        uint32_t from = at;
        while (free_word(r, at) && at < from + 2 && !one_of(r, at, separators) &&
               !(at > from && one_of(r, at, name_ends)))
            at++;
        if (at == from)
            return false;
        if (is(r, at, "or") || (kind_is(r, at, MW_TOK_COMMA) && is(r, at + 1, "or")))
            return free_word(r, at + 1);
        if (!kind_is(r, at, MW_TOK_COMMA))
            return false;
    }
}

static bool in_list(const struct reader *r, const char *key, uint32_t from, uint32_t to)
{
    return mw_words_has(&r->inf->words->fields, key,
                        mw_tokens_low(r->inf->arena, r->toks, from, to));
}

/* "check-in and check-out dates": the last word of the second name belongs to the first, too. Its index; 0: there is none. */
static uint32_t shared_word(const struct reader *r, uint32_t from, uint32_t to)
{
    const struct mw_tape *t = &r->inf->words->fields;
    uint32_t end = to + 1;
    if (!is(r, to, "and") || to - from > 2 || in_list(r, "whole", from, to) ||
        mw_node_get_str(t, mw_node_get(t, 0, "exact"),
                        mw_tokens_low(r->inf->arena, r->toks, from, to)) != MW_NODE_NONE)
        return 0;
    while (end < to + 4 && !ends_name(r, end, to + 1))
        end++;
    return end > to + 2 && in_list(r, "shared", end - 1, end) && !in_list(r, "shared", to - 1, to)
               ? end - 1
               : 0;
}

/* The name of the field at [from,to), as written or with the word that it shares. */
static struct mw_str field_name(const struct reader *r, uint32_t from, uint32_t to)
{
    struct mw_arena *arena = r->inf->arena;
    struct mw_str written = mw_tokens_text(r->toks, from, to);
    uint32_t share = shared_word(r, from, to);
    if (share > 0)
        written = mw_arena_format(arena, "%.*s %.*s", MW_STR_ARG(written),
                                  MW_STR_ARG(r->toks->at[share].text));
    for (uint32_t words = 1; words <= 2 && share == 0; words++)
        if (from > words + 1 && is(r, from - 1, "and") && free_word(r, from - 1 - words) &&
            free_word(r, from - 2) && shared_word(r, from - 1 - words, from - 1) == to - 1)
            share = to - 1;
    if (share > 0)
        written = mw_words_singular(r->inf->words, mw_name_fold(arena, written));
    return mw_name_is_camel(written) ? written : mw_name_camel(arena, written);
}

uint32_t mw_infer_reference(struct mw_infer *inf, struct mw_toks *toks, uint32_t i,
                            struct mw_bp_service *service, struct mw_bp_field **ret_field)
{
    struct reader r = {.inf = inf, .toks = toks, .service = service};
    *ret_field = NULL;
    r.field = mw_arena_array(inf->arena, struct mw_bp_field, 1);
    if (r.field == NULL)
        return i;
    uint32_t target = reference_target(&r, i);
    if (target == i)
        return i;
    r.field->name = mw_name_camel(inf->arena, r.field->entity);
    uint32_t to = mw_infer_attributes(inf, toks, target, service, r.field);
    if (r.field->name.len > 0)
        *ret_field = r.field;
    return to;
}

uint32_t mw_infer_field(struct mw_infer *inf, struct mw_toks *toks, uint32_t i,
                        struct mw_bp_service *service, struct mw_bp_field **ret_field)
{
    struct reader r = {.inf = inf, .toks = toks, .service = service};
    *ret_field = NULL;
    r.field = mw_arena_array(inf->arena, struct mw_bp_field, 1);
    if (r.field == NULL)
        return i;
    uint32_t from = leading(&r, i), to = from, reference = 0;
    if (one_of(&r, from, (const char *const[]){"is", "are", NULL}) &&
        is_reference(&r, from + 1, &reference))
        from++;
    bool named_so = is(&r, from, "reference") &&
                    !(free_word(&r, from + 1) &&
                      mw_words_has(&inf->words->stop, "articles", toks->at[from + 1].low));
    if (is_reference(&r, from, &reference) && !named_so) {
        to = mw_infer_attributes(inf, toks, from, service, r.field);
        r.field->name = mw_name_camel(inf->arena, r.field->entity);
        if (r.field->name.len > 0)
            *ret_field = r.field;
        return to;
    }
    uint32_t whether = whether_it_is(&r, from);
    if (whether > from) {
        r.field->type = MW_BP_BOOLEAN;
        r.field->type_said = true;
        to = from = whether;
    }
    while (to < from + 4 && !ends_name(&r, to, from) && !is_state_choice(&r, to))
        to++;
    if (to == from)
        return i;
    r.field->name = field_name(&r, from, to);
    if (r.field->name.len == 0 || r.field->name.len > MW_NAME_MAX ||
        !mw_name_is_camel(r.field->name))
        return i;
    if (to == from + 2 && (is(&r, to - 1, "flag") || is_switch(&r, from))) { /* "published flag" */
        r.field->name = mw_name_camel(inf->arena, toks->at[from].low);
        r.field->type = MW_BP_BOOLEAN;
        r.field->type_said = true;
    }
    use(&r, from, to);
    *ret_field = r.field;
    to = is_state_choice(&r, to) ? values(&r, choice_begin(&r, to), true) : colon_values(&r, to);
    return mw_infer_attributes(inf, toks, to, service, r.field);
}

struct mw_bp_field *mw_infer_field_text(struct mw_infer *inf, struct mw_str text,
                                        struct mw_bp_service *service, struct mw_str *ret_bad)
{
    struct mw_toks toks = mw_tokens(inf->arena, text);
    struct mw_bp_field *field = NULL;
    *ret_bad = text;
    if (toks.at == NULL)
        return NULL;
    (void)mw_infer_field(inf, &toks, 0, service, &field); /* what it left unread is found below */
    if (field == NULL)
        return NULL;
    for (uint32_t i = 0; i < toks.count; i++)
        if ((toks.at[i].kind == MW_TOK_WORD || toks.at[i].kind == MW_TOK_NUMBER) &&
            mw_infer_is_left(inf, &toks.at[i])) {
            *ret_bad = toks.at[i].text;
            return NULL;
        }
    return field;
}
