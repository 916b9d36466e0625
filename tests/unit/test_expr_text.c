/*
 * The functions over strings: CEL's strings extension, format and matches. What the conformance suite leaves open stands here: the edges, what
 * is refused, and that no pattern and no text is dear without being charged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "rules/expr.h"

static char memory[1 << 22] __attribute__((aligned(16)));
static struct mw_arena arena;

/* The value as JSON, or the error's text. */
static const char *outcome(const char *text, size_t arena_bytes)
{
    static char output[1 << 18];
    static struct mw_err err;
    struct mw_buf buf;
    struct mw_json json;
    struct mw_value value;
    struct mw_tape tape;
    const struct mw_expr *expr;
    mw_arena_init(&arena, memory, arena_bytes);
    if (mw_json_parse(&arena,
                      MW_STR("{\"l\":[\"a\",\"b\"],\"m\":{\"b\":1,\"a\":[2]},\"n\":1e3000}"), &tape,
                      &err) != MW_OK)
        return "no memory for the document";
    struct mw_expr_root root = {MW_STR(""), &tape, 0};
    if (mw_expr_compile(&arena, mw_str_of(text), &expr, &err) != MW_OK ||
        mw_expr_eval(expr, &root, 1, &arena, &value, &err) != MW_OK)
        return err.text;
    mw_buf_init(&buf, output, sizeof output - 1);
    mw_json_init(&json, &buf);
    mw_value_write(&value, &json);
    assert_false(buf.overflowed);
    output[buf.len] = '\0';
    return output;
}

struct row {
    const char *text;
    const char *outcome; /* JSON, or the beginning of an error behind its column */
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *got = outcome(rows[i].text, sizeof memory);
        const char *behind = strncmp(got, "column ", 7) == 0 ? strchr(got, ':') + 2 : got;
        bool same = behind == got ? strcmp(got, rows[i].outcome) == 0
                                  : strncmp(behind, rows[i].outcome, strlen(rows[i].outcome)) == 0;
        if (!same)
            fail_msg("%s gave %s, not %s", rows[i].text, got, rows[i].outcome);
    }
}

static void strings_are_taken_apart_and_put_together(void **state)
{
    static const struct row rows[] = {
        {"'h\xc3\xa9llo'.charAt(1)", "\"\xc3\xa9\""},
        {"'ab'.charAt(2)", "\"\""},
        {"'ab'.charAt(3)", "not there: character 3"},
        {"'ab'.charAt(-1)", "not there: character -1"},
        {"'ab'.charAt('a')", "types do not fit: a string function with string"},
        {"l.charAt(0)", "types do not fit: a string function with list"},
        {"'abcabc'.indexOf('c')", "2"},
        {"'abcabc'.indexOf('c', 3)", "5"},
        {"'abcabc'.indexOf('c', 6)", "-1"},
        {"'abcabc'.indexOf('', 6)", "6"},
        {"'abcabc'.indexOf('c', 7)", "not there: character 7"},
        {"'abcabc'.indexOf(1)", "types do not fit: a string function with integer"},
        {"'abcabc'.lastIndexOf('abc')", "3"},
        {"'abcabc'.lastIndexOf('abc', 2)", "0"},
        {"'abcabc'.lastIndexOf('x')", "-1"},
        {"'abcabc'.lastIndexOf('')", "6"},
        {"''.lastIndexOf('')", "0"},
        {"''.indexOf('a')", "-1"},
        {"'aBc\xc3\x84'.lowerAscii() + '@[`{Zz'.upperAscii()", "\"abc\xc3\x84@[`{ZZ\""},
        {"'h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'.reverse()",
         "\"\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9h\""},
        {"'\\t \\u00a0 a b \\u3000\\n'.trim()", "\"a b\""},
        {"' \\u2003 '.trim()", "\"\""},
        {"''.trim()", "\"\""},
        {"'aaa'.replace('a', 'b')", "\"bbb\""},
        {"'aaa'.replace('a', 'b', 2)", "\"bba\""},
        {"'aaa'.replace('a', 'b', 0)", "\"aaa\""},
        {"'aaa'.replace('a', 'b', -1)", "\"bbb\""},
        {"'aaaa'.replace('aa', 'a')", "\"aa\""},
        {"'h\xc3\xa9'.replace('', '-')", "\"-h-\xc3\xa9-\""},
        {"'h\xc3\xa9'.replace('', '-', 2)", "\"-h-\xc3\xa9\""},
        {"'a'.replace('a', 1)", "types do not fit: a string function with integer"},
        {"'a'.replace(1, 'a')", "types do not fit: a string function with integer"},
        {"'a'.replace('a', 'b', 'c')", "types do not fit: a string function with string"},
        {"'a,b,,c'.split(',')", "[\"a\",\"b\",\"\",\"c\"]"},
        {"'a,b,,c'.split(',', 2)", "[\"a\",\"b,,c\"]"},
        {"'a,b,,c'.split(',', 9)", "[\"a\",\"b\",\"\",\"c\"]"},
        {"',a,'.split(',')", "[\"\",\"a\",\"\"]"},
        {"'h\xc3\xa9!'.split('')", "[\"h\",\"\xc3\xa9\",\"!\"]"},
        {"'h\xc3\xa9!'.split('', 2)", "[\"h\",\"\xc3\xa9!\"]"},
        {"''.split('')", "[]"},
        {"''.split(',')", "[\"\"]"},
        {"'a'.split(',', 0)", "[]"},
        {"'a'.split(',', '')", "types do not fit: a string function with string"},
        {"'a'.split(1)", "types do not fit: a string function with integer"},
        {"'h\xc3\xa9llo'.substring(1, 3)", "\"\xc3\xa9l\""},
        {"'abc'.substring(3)", "\"\""},
        {"'abc'.substring(2, 1)", "not there: character 2"},
        {"'abc'.substring(1, 4)", "not there: character 4"},
        {"'abc'.substring(4)", "not there: character 4"},
        {"l.join()", "\"ab\""},
        {"l.join(', ')", "\"a, b\""},
        {"[].join(',')", "\"\""},
        {"['a', 1].join()", "types do not fit: a string function with integer"},
        {"l.join(1)", "types do not fit: a string function with integer"},
        {"'a'.join()", "types do not fit: a string function with string"},
        {"strings.quote('a\"\\\\\\n\\u00e9')", "\"\\\"a\\\\\\\"\\\\\\\\\\\\n\xc3\xa9\\\"\""},
        {"strings.quote(1)", "types do not fit: a string function with integer"},
        {"l.quote('a')", "no such function"},
        {"strings.trim()", "not there: strings"},
        {"'a'.quote()", "no such function"},
        {"strings.quote('a', 'b')", "no such function"},
        {"strings.quote()", "no such function"},
        {"'a'.b.quote('a')", "no such function"},
        {"trim('a')", "no such function"},
        {"'a'.trim('b')", "a wrong number of arguments"},
        {"'a'.substring()", "a wrong number of arguments"},
        {"'a'.substring(zzz)", "not there: zzz"},
    };
    (void)state;
    check_rows(rows, MW_COUNT(rows));
}

static void values_are_written_by_format(void **state)
{
    static const struct row rows[] = {
        {"'%s|%s|%s|%s|%s'.format([null, true, -5, 1.50, 'x'])", "\"null|true|-5|1.50|x\""},
        {"'%s %s'.format([[1, ['a', false]], {}])", "\"[1, [a, false]] {}\""},
        {"'%s'.format([m])", "\"{a: [2], b: 1}\""},
        {"'%s'.format([{true: 1, 'true': 2, 10: 3, 9: {'x': 4}, false: 5}])",
         "\"{10: 3, 9: {x: 4}, false: 5, true: 1, true: 2}\""},
        {"'%d%%'.format([7])", "\"7%\""},
        {"'%%'.format([])", "\"%\""},
        {"'%d'.format([1.5])", "types do not fit: %d of something not an integer"},
        {"'%b %b %b %b'.format([true, false, 10, -5])", "\"1 0 1010 -101\""},
        {"'%o %x %X %x'.format([8, 255, 255, -16])", "\"10 ff FF -10\""},
        {"'%b'.format([-9223372036854775807 - 1])",
         "\"-1000000000000000000000000000000000000000000000000000000000000000\""},
        {"'%x %X'.format(['j\xc3\xa9', 'j'])", "\"6ac3a9 6A\""},
        {"'%o'.format(['a'])", "types do not fit: %b, %o and %x"},
        {"'%x'.format([true])", "types do not fit: %b, %o and %x"},
        {"'%b'.format(['a'])", "types do not fit: %b, %o and %x"},
        {"'%f %f'.format([2, -1.5])", "\"2.000000 -1.500000\""},
        {"'%.0f %.0f %.0f %.0f'.format([0.5, 1.5, 2.5, 0.51])", "\"0 2 2 1\""},
        {"'%.1f %.1f %.1f'.format([0.25, 0.35, 0.2501])", "\"0.2 0.4 0.3\""},
        {"'%.2f %.2f %.2f'.format([9.999, 0.009, 0.001])", "\"10.00 0.01 0.00\""},
        {"'%.1f %.1f'.format([0.0, -0.04])", "\"0.0 -0.0\""},
        {"'%.2f %.2f %.0f'.format([1.25e2, 1.25E-2, 5e0])", "\"125.00 0.01 5\""},
        {"'%.1f %.1f'.format([12e+1, 1e-9])", "\"120.0 0.0\""},
        {"'%e %.0e %.2e'.format([0, 12, 0.00099951])", "\"0.000000e+00 1e+01 1.00e-03\""},
        {"'%.1e %.1e %.1e'.format([9.96, -123456789012.0, 1e-12])", "\"1.0e+01 -1.2e+11 1.0e-12\""},
        {"'%.3e'.format([1e200])", "\"1.000e+200\""},
        {"'%f'.format([n])", "types do not fit: a number too large or too small"},
        {"'%f'.format([1e-2000])", "types do not fit: a number too large or too small"},
        {"'%f'.format([1e99999999999999999999])", "types do not fit: a number too large"},
        {"'%f'.format(['a'])", "types do not fit: %f and %e of something not a number"},
        {"'%.101f'.format([1])", "types do not fit: a precision is a number up to 100"},
        {"'%.f'.format([1])", "types do not fit: a precision is a number up to 100"},
        {"'%.99999999999999999999f'.format([1])", "types do not fit: a precision"},
        {"'%.3'.format([1])", "types do not fit: a clause that is none of"},
        {"'%'.format([1])", "types do not fit: a clause that is none of"},
        {"'%.+f'.format([1])", "types do not fit: a precision is a number up to 100"},
        {"'%y'.format([1])", "types do not fit: a clause that is none of"},
        {"'%s %s'.format([1])", "not there: a value for each clause"},
        {"'%s'.format([1, 2])", "\"1\""},
        {"1.format([1])", "types do not fit: format is of a string with a list"},
        {"'a'.format('b')", "types do not fit: format is of a string with a list"},
    };
    (void)state;
    check_rows(rows, MW_COUNT(rows));
}

static void patterns_are_found(void **state)
{
    static const struct row rows[] = {
        {"'abc'.matches('b')", "true"},
        {"matches('abc', '^b')", "false"},
        {"'abc'.matches('^a.c$')", "true"},
        {"'a\\nc'.matches('a.c')", "false"},
        {"'abc'.matches('c$') && !'abc'.matches('b$')", "true"},
        {"'a'.matches('^(a|b|)$') && 'b'.matches('^(a|b|)$') && ''.matches('^(a|b|)$')", "true"},
        {"'c'.matches('^(a|b)$')", "false"},
        {"'ac'.matches('^ab?c$') && 'abc'.matches('^ab?c$') && !'abbc'.matches('^ab?c$')", "true"},
        {"'ac'.matches('^ab+c$')", "false"},
        {"'abbbc'.matches('^ab+c$') && 'abbbc'.matches('^ab*?c$')", "true"},
        {"'aaa'.matches('^a{3}$') && !'aa'.matches('^a{3}$') && !'aaaa'.matches('^a{3}$')", "true"},
        {"'aa'.matches('^a{2,}$') && 'aaaaa'.matches('^a{2,}$') && !'a'.matches('^a{2,}$')",
         "true"},
        {"'a'.matches('^a{1,3}$') && 'aaa'.matches('^a{1,3}$') && !'aaaa'.matches('^a{1,3}$')",
         "true"},
        {"''.matches('^a{0,2}$') && 'aa'.matches('^a{0,2}$') && !'aaa'.matches('^a{0,2}$')",
         "true"},
        {"''.matches('^a{0}$') && !'a'.matches('^a{0}$') && 'aa'.matches('^a{0,}$')", "true"},
        {"'ababab'.matches('^(ab){3}$') && !'abab'.matches('^(ab){3}$')", "true"},
        {"'abcd'.matches('^(?:(a|b)|(c|d)){4}$')", "true"},
        {"'a{1'.matches('^a{1$') && 'a{,2}'.matches('^a{,2}$') && 'a{1,x}'.matches('a{1,x}')",
         "true"},
        {"'b'.matches('^[abc]$') && !'d'.matches('^[abc]$')", "true"},
        {"'d'.matches('^[^abc]$') && !'b'.matches('^[^abc]$')", "true"},
        {"'m'.matches('^[a-z]$') && !'M'.matches('^[a-z]$') && '-'.matches('^[a-]$')", "true"},
        {"']'.matches('^[]]$') && 'a'.matches('^[^]]$')", "true"},
        {"'7x_ '.matches('^\\\\d\\\\w\\\\w\\\\s$')", "true"},
        {"'x7 a'.matches('^\\\\D\\\\S\\\\W\\\\S$')", "true"},
        {"'5-]'.matches('^[\\\\d][-][\\\\]]$')", "true"},
        {"'\\t\\n'.matches('^[\\\\t]\\\\n$')", "true"},
        {"'a.b'.matches('^a\\\\.b$') && !'axb'.matches('^a\\\\.b$')", "true"},
        {"'a b'.matches('\\\\bb') && !'ab'.matches('\\\\bb') && 'ab'.matches('\\\\Bb')", "true"},
        {"'_A9'.matches('^\\\\b_A9\\\\b$') && 'ab'.matches('\\\\Aab\\\\z')", "true"},
        {"'\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'.matches('^[\xc3\xa0-\xc3\xbf].\xf0\x9f\x98\x80$')",
         "true"},
        {"'x'.matches('')", "true"},
        {"'a'.matches('(')", "types do not fit: pattern, character 2: a group without )"},
        {"'a'.matches('a)')", "types do not fit: pattern, character 2: a ) without a group"},
        {"'a'.matches('*')", "types do not fit: pattern, character 1: nothing to repeat"},
        {"'a'.matches('a|+')", "types do not fit: pattern, character 3: nothing to repeat"},
        {"'a'.matches('(?)')", "types do not fit: pattern, character 2: flags and names"},
        {"'a'.matches('a**')", "types do not fit: pattern, character 3: a repetition of a"},
        {"'a'.matches('a++')", "types do not fit: pattern, character 3: a repetition of a"},
        {"'a'.matches('a*?+')", "types do not fit: pattern, character 4: a repetition of a"},
        {"'a'.matches('a{2,1}')", "types do not fit: pattern, character 7: a repetition that"},
        {"'a'.matches('a{1001}')", "types do not fit: pattern, character 8: a repetition that"},
        {"'a'.matches('a{1,1001}')", "types do not fit: pattern, character 10: a repetition that"},
        {"'a'.matches('a{99999999999999}')", "types do not fit: pattern, character 18: a rep"},
        {"'a'.matches('[a')", "types do not fit: pattern, character 3: a set without ]"},
        {"'a'.matches('[')", "types do not fit: pattern, character 2: a set without ]"},
        {"'a'.matches('[a-')", "types do not fit: pattern, character 4: a set without ]"},
        {"'a'.matches('[b-a]')", "types do not fit: pattern, character 5: a range that ends"},
        {"'a'.matches('[[:alpha:]]')", "types do not fit: pattern, character 4: a set's name"},
        {"'a'.matches('[a-\\\\d]')", "types do not fit: pattern, character 5: an escape that"},
        {"'a'.matches('[\\\\q]')", "types do not fit: pattern, character 3: an escape that"},
        {"'a'.matches('\\\\')", "types do not fit: pattern, character 2: a backslash at the end"},
        {"'a'.matches('[\\\\')", "types do not fit: pattern, character 3: a backslash at the end"},
        {"'a'.matches('\\\\pL')", "types do not fit: pattern, character 2: an escape that"},
        {"'a'.matches('\\\\Q')", "types do not fit: pattern, character 2: an escape that"},
        {"'a'.matches('\\\\1')", "types do not fit: pattern, character 2: an escape that"},
        {"'a'.matches('((a{40}){40}){40}')",
         "types do not fit: pattern, character 18: the pattern"},
        {"'a'.matches('(a{1000}){3}')", "types do not fit: pattern, character 13: the pattern"},
        {"'a'.matches('(ab?){1000}')", "types do not fit: pattern, character 12: the pattern"},
        {"'a'.matches('?')", "types do not fit: pattern, character 1: nothing to repeat"},
        {"'a'.matches('a*?\?')", "types do not fit: pattern, character 4: a repetition of a"},
        {"'a{1'.matches('a{1') && 'a{1,2'.matches('a{1,2') && 'a{'.matches('a{')", "true"},
        {"'{:@[`'.matches('^\\\\{\\\\:\\\\@\\\\[\\\\`$')", "true"},
        {"'a{'.matches('a\\\\b\\\\{') && "
         "'/:@[^`{~'.matches('^/\\\\B:\\\\B@\\\\B\\\\[\\\\B\\\\^\\\\B`\\\\B\\\\{\\\\B~')",
         "true"},
        {"'aZ09_z'.matches('^a\\\\BZ\\\\B0\\\\B9\\\\B_\\\\Bz\\\\b$') && 'A{'.matches('A\\\\b')",
         "true"},
        {"'a'.matches(1)", "types do not fit: matches is of two strings"},
        {"1.matches('a')", "types do not fit: matches is of two strings"},
        {"'a'.matches()", "a wrong number of arguments"},
    };
    (void)state;
    check_rows(rows, MW_COUNT(rows));
}

/* `part` said count times between a beginning and an end. */
static const char *repeated(const char *begin, const char *part, unsigned count, const char *end)
{
    static char text[MW_EXPR_TEXT_MAX + 1];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", begin);
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", part);
    (void)snprintf(text + len, sizeof text - len, "%s", end);
    return text;
}

static void limits_of_a_pattern_have_names(void **state)
{
    static const struct {
        const char *begin, *part, *end, *outcome;
        unsigned count;
    } rows[] = {
        {"'a'.matches('", "(", "')", "more than 50 groups inside each other", 51},
        {"'a'.matches('", "a", "')", "the pattern is too large", 1100},
        {"'a'.matches('[", "a", "]')", "the pattern is too large", 1100},
        {"'a'.matches('[", "\\\\W", "]')", "the pattern is too large", 300},
        {"'a'.matches('", "\\\\W", "')", "the pattern is too large", 300},
        {"'a'.matches('", ".", "')", "the pattern is too large", 1100},
        {"'a'.matches('", "^", "')", "the pattern is too large", 2049},
        {"'a'.matches('^^", "(|)", "')", "the pattern is too large", 1024},
        {"'a'.matches('^", "(|)", "')", "the pattern is too large", 1024},
        {"'a'.matches('^^", "(^*)", "')", "the pattern is too large", 683},
        {"'a'.matches('^", "(^*)", "')", "the pattern is too large", 683},
        {"'a'.matches('", "^", "')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", "a')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", "\\\\d')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", "\\\\.')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", "\\\\b')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", ".')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", "[a]')", "the pattern is too large", 2048},
        {"'a'.matches('", "^", "a*')", "the pattern is too large", 2047},
        {"'a'.matches('", "^", "a*')", "the pattern is too large", 2046},
        {"'a'.matches('", "^", "a+')", "the pattern is too large", 2047},
        {"'a'.matches('", "^", "a{3}')", "the pattern is too large", 2046},
        {"'a'.matches('", "^", "a{1,9}')", "the pattern is too large", 2040},
        {"'a'.matches('", "^", "a{1,9}')", "the pattern is too large", 2041},
        {"'a'.matches('", "^", "a{0,9}')", "the pattern is too large", 2047},
        {"'a'.matches('", "^", "(a|b)')", "the pattern is too large", 2046},
        {"'a'.matches('", "\\\\w", "')", "the pattern is too large", 300},
        {"'%f'.format([1.", "1", "])", "a number of more than 1024 digits", 1024},
    };
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        const char *text = repeated(rows[i].begin, rows[i].part, rows[i].count, rows[i].end);
        const char *got = outcome(text, sizeof memory);
        if (strstr(got, rows[i].outcome) == NULL)
            fail_msg("row %zu gave %.80s, not %s", i, got, rows[i].outcome);
    }
    static char nested[MW_EXPR_TEXT_MAX + 1];
    (void)snprintf(nested, sizeof nested, "%s", repeated("'%s'.format([", "[", 70, ""));
    assert_non_null(
        strstr(outcome(repeated(nested, "]", 71, ")"), sizeof memory), "deeper than 64"));
    assert_string_equal(outcome(repeated("'a'.matches('", "^", 2047, "')"), sizeof memory), "true");
}

/* A pattern that makes others take for ever costs what it looks at; every function is charged. */
static void text_is_paid_for(void **state)
{
    static const char *const dear[] = {".matches('(a*)*(a*)*(a*)*(a|a|a)*(a|aa)*b')",
                                       ".replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaa')",
                                       ".replace('a', 'b')",
                                       ".split('a')",
                                       ".split('')",
                                       ".indexOf('aaaaaaaaaaaaaaaaaaaaaab')",
                                       ".split('').join('')",
                                       ".split('').join(',')",
                                       ".replace('b', 'c')",
                                       ".lowerAscii()"};
    static char text[MW_EXPR_TEXT_MAX + 512];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(dear); i++) {
        const char *string = repeated("'", "a", 2000, "'");
        (void)snprintf(text, sizeof text,
                       "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15].all(x, [1,2,3,4,5,6,7,8,9,10,11,12,13"
                       ",14,15,16].all(y, [1,2,3,4,5,6,7,8,9,10].all(z, [%s%s] != [])))",
                       string, dear[i]);
        const char *got = outcome(text, sizeof memory);
        if (strstr(got, "limit: ") == NULL)
            fail_msg("%s gave %s", dear[i], got);
    }
}

/* With every size of memory it is the value or the limit, never anything else. */
static void text_without_memory_is_a_limit(void **state)
{
    static const char *const texts[] = {"'abcabc'.replace('b', 'xyz')",
                                        "'a,b,c'.split(',').join('-')",
                                        "'abc'.reverse()",
                                        "'aBc'.upperAscii()",
                                        "strings.quote('a\"b')",
                                        "'%s %x %.3f %s'.format([l, 'abc', 1.5, m])",
                                        "'abc'.matches('^(a|b|c){3}$')",
                                        "'abc'.charAt(9)",
                                        "'abc'.matches('(')",
                                        "l.join('--')"};
    static char whole[4096];
    (void)state;
    for (size_t i = 0; i < MW_COUNT(texts); i++) {
        unsigned limits = 0;
        (void)snprintf(whole, sizeof whole, "%s", outcome(texts[i], sizeof memory));
        for (size_t size = 1024; size < 65536; size += 16) {
            const char *got = outcome(texts[i], size);
            bool is_limit = strstr(got, "no memory") != NULL;
            /* The words of another failure may be what there was no room for. */
            bool is_failure = strncmp(got, "column", 6) == 0 && strncmp(whole, "column", 6) == 0;
            limits += is_limit;
            if (!is_limit && !is_failure)
                assert_string_equal(got, whole);
        }
        assert_true(limits > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_taken_apart_and_put_together),
        cmocka_unit_test(values_are_written_by_format),
        cmocka_unit_test(patterns_are_found),
        cmocka_unit_test(limits_of_a_pattern_have_names),
        cmocka_unit_test(text_is_paid_for),
        cmocka_unit_test(text_without_memory_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
