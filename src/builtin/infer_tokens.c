#include "builtin/infer.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (uint8_t)c >= 0x80;
}

static char at(struct mw_str s, size_t i)
{
    return i < s.len ? s.ptr[i] : 0;
}

/* Bytes of a typographic mark, a symbol or an emoji at i; 0 when it is a letter. Such marks only separate. */
static size_t symbol_len(struct mw_str s, size_t i)
{
    uint8_t a = (uint8_t)at(s, i), b = (uint8_t)at(s, i + 1), c = (uint8_t)at(s, i + 2);
    if (a == 0xC2 && b < 0xC0)
        return 2; /* Latin-1 signs and the hard space */
    if (a == 0xE2 && b == 0x80 && c == 0x99)
        return 0; /* the typographic apostrophe stays in its word */
    if (a == 0xE2 && b >= 0x80 && b <= 0xAF)
        return 3; /* punctuation, arrows, symbols */
    if (a == 0xE3 && b == 0x80)
        return 3; /* CJK punctuation */
    if (a == 0xEF && (b == 0xB8 || b == 0xBC || b == 0xBB || b == 0xBF))
        return 3; /* variation selectors, full-width punctuation, byte order mark */
    return a == 0xF0 && b == 0x9F ? 4 : 0;
}

static bool in_word(struct mw_str s, size_t i)
{
    char c = at(s, i), before = i > 0 ? s.ptr[i - 1] : 0, after = at(s, i + 1);
    if (is_letter(c))
        return symbol_len(s, i) == 0 || ((uint8_t)c & 0xC0) == 0x80;
    if (is_digit(c) || c == '_' || c == '@')
        return true;
    bool inside = (is_letter(before) || is_digit(before)) && (is_letter(after) || is_digit(after));
    if (c == '\'' || c == '-')
        return inside;
    if (c == '&') /* R&D */
        return before >= 'A' && before <= 'Z' && after >= 'A' && after <= 'Z';
    if (c == '.') /* node.js, but not "todos.Users" */
        return inside && is_letter(after) && !(after >= 'A' && after <= 'Z' && before >= 'a');
    return c == '#' && is_letter(before) && !is_letter(after);
}

static size_t word_end(struct mw_str s, size_t i)
{
    size_t end = i + 1;
    while (end < s.len && in_word(s, end))
        end++;
    return end;
}

static bool all_digits(struct mw_str s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return to > from;
}

/* 12, 1.5, 10,000; a date or "2fa" is a word. Returns the end, or 0. */
static size_t number_end(struct mw_str s, size_t i)
{
    size_t end = i + (at(s, i) == '-' ? 1 : 0);
    if (!is_digit(at(s, end)))
        return 0;
    while (is_digit(at(s, end)))
        end++;
    while (at(s, end) == ',' && end + 4 <= s.len && all_digits(s, end + 1, end + 4) &&
           !is_digit(at(s, end + 4)))
        end += 4;
    if (at(s, end) == '.' && is_digit(at(s, end + 1)))
        for (end++; is_digit(at(s, end));)
            end++;
    size_t dash = end;
    if (at(s, dash) == '-' && is_digit(at(s, dash + 1))) {
        for (dash++; is_digit(at(s, dash));)
            dash++;
        return at(s, dash) == '-' && is_digit(at(s, dash + 1)) ? 0 : end; /* 2024-01-31 */
    }
    return is_letter(at(s, end)) && symbol_len(s, end) == 0 ? 0 : end;
}

/* A line break ends a sentence before an empty line, a bullet, or a capital. *ret_end: where text goes on. */
static bool newline_breaks(struct mw_str s, size_t i, size_t *ret_end)
{
    size_t k = i + 1;
    bool empty_line = false;
    while (at(s, k) == ' ' || at(s, k) == '\t' || at(s, k) == '\r' || at(s, k) == '\n')
        empty_line = empty_line || at(s, k) == '\n', k++;
    *ret_end = k;
    bool bullet = (at(s, k) == '-' || at(s, k) == '*') && at(s, k + 1) == ' ';
    if (bullet)
        *ret_end = k + 1;
    return empty_line || bullet || (at(s, k) >= 'A' && at(s, k) <= 'Z');
}

struct lexer {
    struct mw_arena *arena;
    struct mw_toks toks;
};

static void put(struct lexer *lex, enum mw_tok_kind kind, size_t from, size_t to)
{
    struct mw_tok *tok = &lex->toks.at[lex->toks.count++];
    tok->kind = kind;
    tok->text = mw_str_sub(lex->toks.source, from, to - from);
    tok->low = mw_name_fold(lex->arena, tok->text);
}

static size_t put_mark(struct lexer *lex, struct mw_str s, size_t i)
{
    char c = s.ptr[i];
    size_t end = i + 1;
    if ((c == '>' || c == '<') && at(s, i + 1) == '=') {
        put(lex, MW_TOK_WORD, i, ++end);
        lex->toks.at[lex->toks.count - 1].low = c == '>' ? MW_STR("min") : MW_STR("max");
    } else if (c == '.' && at(s, i + 1) == '.') {
        while (at(s, end) == '.')
            end++;
        put(lex, MW_TOK_RANGE, i, end);
    } else if (c == ',' || c == '&')
        put(lex, MW_TOK_COMMA, i, end);
    else if (c == ':' || c == '=')
        put(lex, MW_TOK_COLON, i, end);
    else if (c == '(' || c == '[' || c == '{')
        put(lex, MW_TOK_OPEN, i, end);
    else if (c == ')' || c == ']' || c == '}')
        put(lex, MW_TOK_CLOSE, i, end);
    else if (c == '|' || c == '/')
        put(lex, MW_TOK_BAR, i, end);
    else if (c == '.' || c == ';' || c == '!' || c == '?')
        put(lex, MW_TOK_BREAK, i, end);
    else if (c == '-' && i > 0 && is_digit(s.ptr[i - 1]) && is_digit(at(s, end)))
        put(lex, MW_TOK_RANGE, i, end);
    else if (c == '\n' && newline_breaks(s, i, &end))
        put(lex, MW_TOK_BREAK, i, i + 1);
    return end;
}

static bool is_compound(struct mw_str text)
{
    static const char *const tails[] = {"Service", "Services", "Microservice"};
    for (size_t i = 0; i < MW_COUNT(tails); i++)
        if (text.len > strlen(tails[i]) && mw_str_ends(text, mw_str_of(tails[i])))
            return true;
    return false;
}

/* Bytes of a dash with space around it, between words: what follows describes what was before, as after a colon. 0: none. */
static size_t dash_len(const struct lexer *lex, struct mw_str s, size_t i)
{
    uint8_t b = (uint8_t)at(s, i + 2);
    bool wide =
        (uint8_t)at(s, i) == 0xE2 && (uint8_t)at(s, i + 1) == 0x80 && (b == 0x93 || b == 0x94);
    size_t len = at(s, i) == '-' ? 1 : wide ? 3 : 0;
    bool between = len > 0 && i > 0 && s.ptr[i - 1] == ' ' && at(s, i + len) == ' ' &&
                   is_letter(at(s, i + len + 1)) && lex->toks.count > 0;
    return between && lex->toks.at[lex->toks.count - 1].kind == MW_TOK_WORD ? len : 0;
}

struct mw_toks mw_tokens(struct mw_arena *arena, struct mw_str text)
{
    struct lexer lex = {.arena = arena, .toks = {.source = text}};
    lex.toks.at = mw_arena_array(arena, struct mw_tok, text.len + 1);
    if (lex.toks.at == NULL)
        return (struct mw_toks){.at = NULL};
    for (size_t i = 0; i < text.len;) {
        char c = text.ptr[i];
        bool minus = c == '-' && (i == 0 || at(text, i - 1) == ' ' || at(text, i - 1) == '(');
        size_t end = is_digit(c) || minus ? number_end(text, i) : 0, symbol = symbol_len(text, i);
        size_t dash = dash_len(&lex, text, i);
        if (end > 0) {
            put(&lex, MW_TOK_NUMBER, i, end);
        } else if (dash > 0) {
            end = i + dash;
            put(&lex, MW_TOK_COLON, i, end);
        } else if (symbol > 0) {
            end = i + symbol;
        } else if (is_letter(c) || is_digit(c) ||
                   (c == '.' && is_letter(at(text, i + 1)) && (i == 0 || text.ptr[i - 1] == ' '))) {
            end = word_end(text, i);
            put(&lex, MW_TOK_WORD, i, end);
            lex.toks.at[lex.toks.count - 1].compound = is_compound(mw_str_sub(text, i, end - i));
        } else {
            end = put_mark(&lex, text, i);
        }
        i = end > i ? end : i + 1;
    }
    put(&lex, MW_TOK_BREAK, text.len, text.len);
    return lex.toks;
}

struct mw_str mw_tokens_text(const struct mw_toks *toks, uint32_t from, uint32_t to)
{
    if (from >= to || to > toks->count)
        return MW_STR_NONE;
    const char *start = toks->at[from].text.ptr;
    struct mw_str last = toks->at[to - 1].text;
    return (struct mw_str){start, (size_t)(last.ptr + last.len - start)};
}

struct mw_str mw_tokens_low(struct mw_arena *arena, const struct mw_toks *toks, uint32_t from,
                            uint32_t to)
{
    struct mw_str low = MW_STR_NONE;
    for (uint32_t i = from; i < to; i++)
        low = low.len == 0 ? toks->at[i].low
                           : mw_arena_format(arena, "%.*s %.*s", MW_STR_ARG(low),
                                             MW_STR_ARG(toks->at[i].low));
    return low;
}

bool mw_tok_is(const struct mw_toks *toks, uint32_t i, const char *low)
{
    return i < toks->count && toks->at[i].kind == MW_TOK_WORD && mw_str_is(toks->at[i].low, low);
}

/* --- phrases --- */

#define PHRASES_MAX 1024

void mw_phrases_add(struct mw_arena *arena, struct mw_phrases *phrases, const struct mw_tape *table,
                    uint32_t row, uint32_t list)
{
    if (phrases->at == NULL)
        phrases->at = mw_arena_array(arena, struct mw_phrase, PHRASES_MAX);
    for (uint32_t i = mw_node_first(table, list); i != MW_NODE_NONE;
         i = mw_node_after(table, list, i)) {
        if (phrases->at == NULL || phrases->count == PHRASES_MAX)
            return;
        struct mw_phrase *p = &phrases->at[phrases->count];
        *p = (struct mw_phrase){
            .table = table, .row = row, .toks = mw_tokens(arena, mw_node_str(table, i))};
        if (p->toks.at == NULL || p->toks.count < 2)
            continue;
        p->words = p->toks.count - 1;
        phrases->count++;
    }
}

static bool is_with(struct mw_str word, struct mw_str stem, const char *tail)
{
    size_t n = strlen(tail);
    return word.len == stem.len + n && mw_str_starts(word, stem) &&
           mw_str_ends(word, mw_str_of(tail));
}

/* Is word the base in that form? Spelling rules of English; no dictionary. */
static bool inflected(struct mw_str base, struct mw_str word, enum mw_form form)
{
    if (form == MW_FORM_BASE || base.len < 2)
        return mw_str_eq(base, word);
    struct mw_str stem = mw_str_sub(base, 0, base.len - 1);
    char last = base.ptr[base.len - 1];
    if (form == MW_FORM_S)
        return is_with(word, base, "s") || is_with(word, base, "es") ||
               (last == 'y' && is_with(word, stem, "ies"));
    if (form == MW_FORM_ED) {
        bool doubled =
            word.len == base.len + 3 && mw_str_starts(word, base) && word.ptr[base.len] == last;
        return is_with(word, base, "ed") || (last == 'e' && is_with(word, base, "d")) ||
               (last == 'y' && is_with(word, stem, "ied")) ||
               (doubled && mw_str_ends(word, MW_STR("ed")));
    }
    if (is_with(word, base, "ing") || (last == 'e' && is_with(word, stem, "ing")))
        return true;
    return word.len == base.len + 4 && mw_str_starts(word, base) && word.ptr[base.len] == last &&
           mw_str_ends(word, MW_STR("ing"));
}

/* "paid": the table names the participles that no rule gives. */
static bool is_irregular(const struct mw_phrase *p, struct mw_str base, struct mw_str word)
{
    uint32_t row = mw_node_get_str(p->table, mw_node_get(p->table, 0, "irregular"), word);
    return row != MW_NODE_NONE && mw_str_eq(mw_node_str(p->table, row), base);
}

static bool phrase_fits(const struct mw_phrase *p, const struct mw_toks *toks, uint32_t i,
                        enum mw_form form)
{
    if (i + p->words >= toks->count)
        return false;
    for (uint32_t k = 0; k < p->words; k++) {
        const struct mw_tok *want = &p->toks.at[k], *have = &toks->at[i + k];
        if (want->kind != have->kind || have->compound)
            return false;
        bool fits = k > 0 ? mw_str_eq(want->low, have->low)
                          : inflected(want->low, have->low, form) ||
                                (form == MW_FORM_ED && is_irregular(p, want->low, have->low));
        if (!fits)
            return false;
    }
    return true;
}

const struct mw_phrase *mw_phrase_at(const struct mw_phrases *phrases, const struct mw_toks *toks,
                                     uint32_t i, enum mw_form form)
{
    const struct mw_phrase *best = NULL;
    if (i >= toks->count || (form != MW_FORM_BASE && toks->at[i].kind != MW_TOK_WORD))
        return NULL;
    for (uint32_t k = 0; k < phrases->count; k++)
        if ((best == NULL || phrases->at[k].words > best->words) &&
            phrase_fits(&phrases->at[k], toks, i, form))
            best = &phrases->at[k];
    return best;
}
