/* expr_lex.c - tokens: names, numbers, CEL's string literals. */
#include "rules/expr_internal.h"

#include <string.h>

bool expr_refuse(struct expr_lexer *lexer, enum mw_rc rc, uint32_t column, const char *what)
{
    lexer->rc = MW_FAIL(lexer->err, rc, "column %u: %s", column, what);
    return false;
}

static bool refuse_at(struct expr_lexer *lexer, size_t at, const char *what)
{
    return expr_refuse(lexer, MW_E_INPUT, (uint32_t)at + 1, what);
}

/* The byte at offset ahead; NUL behind the end, which no token holds outside of strings. */
static char peek(const struct expr_lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.len ? lexer->text.ptr[at] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_space(struct expr_lexer *lexer)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (c == '/' && peek(lexer, 1) == '/')
            while (lexer->at < lexer->text.len && peek(lexer, 0) != '\n')
                lexer->at++;
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f')
            lexer->at++;
        else
            return;
    }
}

static bool read_hex_number(struct expr_lexer *lexer, struct expr_token *token)
{
    uint64_t value = 0;
    int digit;
    lexer->at += 2;
    if (mw_hex_value(peek(lexer, 0)) < 0)
        return refuse_at(lexer, lexer->at, "expected a hexadecimal digit after 0x");
    while ((digit = mw_hex_value(peek(lexer, 0))) >= 0) {
        if (value >> 60 != 0)
            return expr_refuse(lexer, MW_E_INPUT, token->column, "an integer over 64 bits");
        value = value << 4 | (uint64_t)digit;
        lexer->at++;
    }
    token->magnitude = value;
    return true;
}

static bool read_digits_as_integer(struct expr_lexer *lexer, size_t from, struct expr_token *token)
{
    struct mw_str digits = mw_str_sub(lexer->text, from, lexer->at - from);
    if (!mw_str_to_u64(digits, &token->magnitude))
        return expr_refuse(lexer, MW_E_INPUT, token->column, "an integer over 64 bits");
    return true;
}

/* JSON's spelling has a digit before the point and no leading zeros. What comes here has a point or an exponent behind its first byte. */
static void set_number_text(struct expr_lexer *lexer, size_t from, struct expr_token *token)
{
    struct mw_str text = mw_str_sub(lexer->text, from, lexer->at - from);
    MW_ASSERT(text.len > 1);
    while (text.ptr[0] == '0' && is_digit(text.ptr[1]))
        text = mw_str_sub(text, 1, text.len - 1);
    token->kind = TOKEN_NUMBER;
    token->text =
        text.ptr[0] == '.' ? mw_arena_format(lexer->arena, "0%.*s", MW_STR_ARG(text)) : text;
}

static bool read_number(struct expr_lexer *lexer, struct expr_token *token)
{
    size_t from = lexer->at;
    bool fraction = false;
    token->kind = TOKEN_INTEGER;
    if (peek(lexer, 0) == '0' && (peek(lexer, 1) == 'x' || peek(lexer, 1) == 'X')) {
        if (!read_hex_number(lexer, token))
            return false;
    } else {
        while (is_digit(peek(lexer, 0)))
            lexer->at++;
        if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
            fraction = true;
            for (lexer->at++; is_digit(peek(lexer, 0));)
                lexer->at++;
        }
        if ((peek(lexer, 0) | 0x20) == 'e') {
            size_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-' ? 1 : 0;
            if (!is_digit(peek(lexer, 1 + sign)))
                return refuse_at(lexer, lexer->at, "expected a digit in the exponent");
            fraction = true;
            for (lexer->at += 1 + sign; is_digit(peek(lexer, 0));)
                lexer->at++;
        }
        if (fraction)
            set_number_text(lexer, from, token);
        else if (!read_digits_as_integer(lexer, from, token))
            return false;
    }
    if (!fraction && (peek(lexer, 0) | 0x20) == 'u') {
        token->is_unsigned = true;
        lexer->at++;
    }
    if (is_name_start(peek(lexer, 0)))
        return refuse_at(lexer, lexer->at, "expected an operator between a number and a name");
    return true;
}

/* count hexadecimal or octal digits as one code point, put at *to. */
static bool read_code(struct expr_lexer *lexer, int count, int base, char **to)
{
    uint32_t code = 0;
    size_t from = lexer->at;
    for (int i = 0; i < count; i++) {
        int digit = mw_hex_value(peek(lexer, 0));
        if (digit < 0 || digit >= base)
            return refuse_at(lexer, lexer->at,
                             base == 8 ? "expected three octal digits"
                                       : "expected a hexadecimal digit");
        code = code * (uint32_t)base + (uint32_t)digit;
        lexer->at++;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return refuse_at(lexer, from, "no such character");
    *to += mw_utf8_put(*to, code);
    return true;
}

/* After a backslash. An escape never gives more bytes than it is long. */
static bool read_escape(struct expr_lexer *lexer, char **to)
{
    static const char names[] = "abfnrtv\\?\"'`";
    static const char values[] = "\a\b\f\n\r\t\v\\?\"'`";
    char c = peek(lexer, 0);
    for (size_t i = 0; i < sizeof names - 1; i++) {
        if (names[i] == c) {
            *(*to)++ = values[i];
            lexer->at++;
            return true;
        }
    }
    if (c >= '0' && c <= '3') /* \377 is the highest */
        return read_code(lexer, 3, 8, to);
    lexer->at++;
    switch (c) {
    case 'x':
    case 'X':
        return read_code(lexer, 2, 16, to);
    case 'u':
        return read_code(lexer, 4, 16, to);
    case 'U':
        return read_code(lexer, 8, 16, to);
    default:
        return refuse_at(lexer, lexer->at - 2, "no such escape; \\\\ is a backslash");
    }
}

static bool at_closing(const struct expr_lexer *lexer, char quote, size_t quote_count)
{
    for (size_t i = 0; i < quote_count; i++)
        if (peek(lexer, i) != quote)
            return false;
    return true;
}

/* From the opening quote on; raw strings keep their backslashes. */
static bool read_string(struct expr_lexer *lexer, bool raw, struct expr_token *token)
{
    char quote = peek(lexer, 0);
    size_t quote_count = peek(lexer, 1) == quote && peek(lexer, 2) == quote ? 3 : 1;
    lexer->at += quote_count;
    char *start = mw_arena_alloc(lexer->arena, lexer->text.len - lexer->at + 1);
    char *to = start;
    if (start == NULL)
        return expr_refuse(lexer, MW_E_LIMIT, token->column, "no memory left");
    while (!at_closing(lexer, quote, quote_count)) {
        char c = peek(lexer, 0);
        if (lexer->at >= lexer->text.len)
            return expr_refuse(lexer, MW_E_INPUT, token->column, "a string that is not closed");
        if (quote_count == 1 && (c == '\n' || c == '\r'))
            return refuse_at(lexer, lexer->at, "a line end in a string; write \\n or use \"\"\"");
        lexer->at++;
        if (c != '\\' || raw) {
            *to++ = c;
        } else if (!read_escape(lexer, &to)) {
            return false;
        }
    }
    lexer->at += quote_count;
    /* Give back what the bound was too large by; nothing was allocated since. */
    lexer->arena->used_bytes = (size_t)(to - lexer->arena->memory);
    token->kind = TOKEN_STRING;
    token->text = (struct mw_str){start, (size_t)(to - start)};
    return true;
}

static bool read_quoted_name(struct expr_lexer *lexer, struct expr_token *token)
{
    size_t from = lexer->at + 1;
    size_t end = mw_str_find(lexer->text, '`', from);
    if (end == SIZE_MAX || end == from)
        return expr_refuse(lexer, MW_E_INPUT, token->column, "expected `a field name`");
    token->kind = TOKEN_QUOTED;
    token->text = mw_str_sub(lexer->text, from, end - from);
    lexer->at = end + 1;
    return true;
}

static bool read_mark(struct expr_lexer *lexer, struct expr_token *token)
{
    static const char *const marks[] = {"==", "!=", "<=", ">=", "&&", "||", "${", "<", ">",
                                        "!",  "+",  "-",  "*",  "/",  "%",  "?",  ":", ",",
                                        ".",  "(",  ")",  "[",  "]",  "{",  "}",  "&", "|"};
    struct mw_str rest = mw_str_sub(lexer->text, lexer->at, 2);
    for (size_t i = 0; i < MW_COUNT(marks); i++) {
        if (mw_str_starts(rest, mw_str_of(marks[i]))) {
            token->kind = TOKEN_MARK;
            token->text = mw_str_of(marks[i]);
            lexer->at += token->text.len;
            return true;
        }
    }
    if (peek(lexer, 0) == '=')
        return refuse_at(lexer, lexer->at, "'=' is not an operator; to compare write ==");
    return refuse_at(lexer, lexer->at, "a character that no expression has here");
}

bool expr_next_token(struct expr_lexer *lexer, struct expr_token *ret_token)
{
    skip_space(lexer);
    char c = peek(lexer, 0);
    *ret_token = (struct expr_token){.kind = TOKEN_END, .column = (uint32_t)lexer->at + 1};
    if (lexer->at >= lexer->text.len)
        return true;
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1))))
        return read_number(lexer, ret_token);
    if (c == '"' || c == '\'')
        return read_string(lexer, false, ret_token);
    if (c == '`')
        return read_quoted_name(lexer, ret_token);
    if ((c == 'r' || c == 'R') && (peek(lexer, 1) == '"' || peek(lexer, 1) == '\'')) {
        lexer->at++;
        return read_string(lexer, true, ret_token);
    }
    if (!is_name_start(c))
        return read_mark(lexer, ret_token);
    size_t from = lexer->at;
    while (is_name_start(peek(lexer, 0)) || is_digit(peek(lexer, 0)))
        lexer->at++;
    ret_token->kind = TOKEN_NAME;
    ret_token->text = mw_str_sub(lexer->text, from, lexer->at - from);
    c = peek(lexer, 0);
    if (ret_token->text.len <= 2 && (c == '"' || c == '\''))
        return expr_refuse(lexer, MW_E_INPUT, ret_token->column,
                           "a string with this prefix is not part of the language (bytes are not)");
    return true;
}
