#include "builtin/render_words.h"

enum letters { SMALL, CAPITAL };

/* How a style writes: between words, the first letter of the first word, of the others, all other letters. */
static const struct {
    struct mw_str name;
    char between; /* '\0': nothing */
    enum letters first, others_first, rest;
} styles[MW_RENDER_WORDS_STYLE_COUNT] = {
    [MW_RENDER_WORDS_KEBAB] = {{"kebab", 5}, '-', SMALL, SMALL, SMALL},
    [MW_RENDER_WORDS_SNAKE] = {{"snake", 5}, '_', SMALL, SMALL, SMALL},
    [MW_RENDER_WORDS_CAMEL] = {{"camel", 5}, '\0', SMALL, CAPITAL, SMALL},
    [MW_RENDER_WORDS_PASCAL] = {{"pascal", 6}, '\0', CAPITAL, CAPITAL, SMALL},
    [MW_RENDER_WORDS_TITLE] = {{"title", 5}, ' ', CAPITAL, CAPITAL, SMALL},
    [MW_RENDER_WORDS_UPPER] = {{"upper", 5}, '_', CAPITAL, CAPITAL, CAPITAL},
    [MW_RENDER_WORDS_LOWER] = {{"lower", 5}, ' ', SMALL, SMALL, SMALL},
};

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_small(char c)
{
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool starts_word(struct mw_str text, size_t at)
{
    char here = text.ptr[at];
    char before = text.ptr[at - 1];
    char after = at + 1 < text.len ? text.ptr[at + 1] : '\0';
    return is_capital(here) &&
           (is_small(before) || is_digit(before) || (is_capital(before) && is_small(after)));
}

static char spelled(char c, enum letters letters)
{
    if (letters == SMALL && is_capital(c))
        return (char)(c - 'A' + 'a');
    if (letters == CAPITAL && c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return c;
}

struct mw_str mw_render_words_style_name(enum mw_render_words_style style)
{
    MW_ASSERT(style < MW_RENDER_WORDS_STYLE_COUNT);
    return styles[style].name;
}

void mw_render_words_put(struct mw_buf *out, struct mw_str text, enum mw_render_words_style style)
{
    MW_ASSERT(style < MW_RENDER_WORDS_STYLE_COUNT);
    bool in_word = false;
    bool any_word = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_capital(c) && !is_small(c) && !is_digit(c)) {
            in_word = false;
            continue;
        }
        if (in_word && !starts_word(text, i)) {
            mw_buf_put_c(out, spelled(c, styles[style].rest));
            continue;
        }
        if (any_word && styles[style].between != '\0')
            mw_buf_put_c(out, styles[style].between);
        mw_buf_put_c(out, spelled(c, any_word ? styles[style].others_first : styles[style].first));
        in_word = true;
        any_word = true;
    }
}
