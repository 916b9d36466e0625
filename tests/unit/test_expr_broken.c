/*
 * Expressions that somebody broke: every prefix of a corpus, every byte left out, put in and replaced by each of those that mean something. Each
 * is read and evaluated, or refused with a column that is in it; with every size of memory it is the same or a limit. Then the corners of the
 * language that no example of docs/expressions.md shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr.h"

/* Behind it come n (0 to 99), wide (k0 to k99) and long (318 letters and zz). */
#define DOCUMENT                                                                                   \
    "{\"r\":{\"a\":1,\"b\":[1,2,{\"c\":null}],\"in\":true,\"x-y\":\"z\",\"f\":false,\"d\":1.5,"    \
    "\"m\":{\"a\":[1,2],\"b\":{\"k\":1}}}"

static const char *const corpus[] = {
    "r.a == 1 && !(r.b[0] > 2) || not has(r.m.a)",
    "r.b.all(x, x != 3) ? ${r.m.b}['k'] : [1, -2, 3u, 0x1F,]",
    "{'a': 1, true: 2, 3: r.`x-y` + \"\\x41\\u00e9\\U0001F600\\101\"}.a",
    "r.m.transformMap(k, v, k != 'a', v)['b'].k + 7 * -2 % 3 / 1 - 4",
    "r.b.exists_one(i, v, v == 2) and r.d >= 1.5e0 or null in r.b",
    "r.b.map(x, x == 1, x).filter(y, y < 2) contains 1 // said",
    "\"\"\"a\"b\"\"\" + r'\\n' + '''x''' + R\"y\" + 'q\\'' == 'no'",
    "holds(!r.f) == true & (size(r.b) <= len('ab') | dyn(None) == null)",
    "int('-7') + int(1.9) < uint('5') && string(1) == 's' && bool('t') && double('1.5') == 1.5",
    "-9223372036854775808 == - 1 - 9223372036854775807 && 18446744073709551615u > .5",
    "['a', 'b'].transformList(i, v, i > 0, v.startsWith('b') != v.endsWith('b'))",
    "double(7) == 7.0 && -(r.d) == -1.5 && string(7) + string(true) == '7true'",
    "'%s'.format([strings.quote('a')]).replace('a', 'b', 1).matches('^.b[^c]$')",
};

static char memory[1 << 20] __attribute__((aligned(16)));

struct tried {
    enum mw_rc compiled, evaluated;
    char words[MW_ERR_TEXT_MAX];
    char json[1024];
};

static struct mw_str document(void)
{
    static char text[8192];
    static size_t len;
    if (len > 0)
        return (struct mw_str){text, len};
    len = (size_t)snprintf(text, sizeof text, "%s,\"n\":[0", DOCUMENT);
    for (int i = 1; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",%d", i);
    len += (size_t)snprintf(text + len, sizeof text - len, "],\"wide\":{\"k0\":0");
    for (int i = 1; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",\"k%d\":0", i);
    len += (size_t)snprintf(text + len, sizeof text - len, "},\"long\":\"%0318d", 0);
    for (size_t at = len - 318; at < len; at++)
        text[at] = 'a';
    len += (size_t)snprintf(text + len, sizeof text - len, "zz\"}");
    return (struct mw_str){text, len};
}

static void try_text(struct mw_str text, size_t memory_bytes, struct tried *ret)
{
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err = {.rc = MW_OK};
    struct mw_value value = {.type = MW_VALUE_NULL};
    struct mw_expr_why why;
    const struct mw_expr *expr = NULL;
    struct mw_expr_use use;
    mw_arena_init(&arena, memory, sizeof memory);
    assert_int_equal(mw_json_parse(&arena, document(), &tape, NULL), MW_OK);
    if (arena.used_bytes + memory_bytes < sizeof memory)
        arena.size_bytes = arena.used_bytes + memory_bytes;
    struct mw_expr_root root = {MW_STR(""), &tape, 0};
    memset(ret, 0, sizeof *ret);
    ret->compiled = mw_expr_compile(&arena, text, &expr, &err);
    if (ret->compiled != MW_OK) {
        unsigned column = 0;
        assert_null(expr); /* untouched */
        assert_int_equal(sscanf(err.text, "column %u: ", &column), 1);
        assert_true(column >= 1 && column <= text.len + 1);
        (void)snprintf(ret->words, sizeof ret->words, "%s", err.text);
        return;
    }
    for (uint32_t i = 0; mw_expr_roots(expr, i, &use); i++)
        assert_true(use.column >= 1 && use.column <= text.len && mw_expr_uses(expr, use.root));
    ret->evaluated = mw_expr_eval(expr, &root, 1, &arena, &value, &err);
    bool exhausted = arena.exhausted;
    bool passed = mw_expr_test(expr, &root, 1, &arena, &why);
    if (!exhausted && !arena.exhausted)
        assert_int_equal(passed,
                         ret->evaluated == MW_OK && value.type == MW_VALUE_BOOL && value.boolean);
    if (ret->evaluated != MW_OK) {
        assert_true(ret->evaluated == MW_E_INPUT || ret->evaluated == MW_E_LIMIT);
        (void)snprintf(ret->words, sizeof ret->words, "%s", err.text);
        return;
    }
    struct mw_buf buf;
    struct mw_json json;
    mw_buf_init(&buf, ret->json, sizeof ret->json - 1);
    mw_json_init(&json, &buf);
    mw_value_write(&value, &json);
}

static void a_broken_expression_is_evaluated_or_refused_at_its_column(void **state)
{
    static const char bytes[] = "()[]{}.,:?!=<>&|+-*/%'\"`\\$ \t\n\r\f019exruUa_\x01\x80\xc3";
    char text[256];
    struct tried tried;
    unsigned sound = 0;
    (void)state;
    for (size_t c = 0; c < MW_COUNT(corpus); c++) {
        size_t len = strlen(corpus[c]);
        assert_true(len + 1 < sizeof text);
        for (size_t at = 0; at <= len; at++) {
            try_text((struct mw_str){corpus[c], at}, sizeof memory, &tried);
            for (size_t b = 0; b < sizeof bytes; b++) { /* the last one is NUL */
                memcpy(text, corpus[c], len);
                text[at] = bytes[b];
                try_text((struct mw_str){text, at < len ? len : len + 1}, sizeof memory, &tried);
                memcpy(text + at + 1, corpus[c] + at, len - at);
                try_text((struct mw_str){text, len + 1}, sizeof memory, &tried);
                sound += tried.compiled == MW_OK;
            }
            if (at < len) {
                memcpy(text, corpus[c], at);
                memcpy(text + at, corpus[c] + at + 1, len - at - 1);
                try_text((struct mw_str){text, len - 1}, sizeof memory, &tried);
            }
        }
        try_text(mw_str_of(corpus[c]), sizeof memory, &tried);
        if (tried.compiled != MW_OK)
            fail_msg("%s: %s", corpus[c], tried.words);
    }
    assert_true(sound > 1000);
}

static void memory_is_enough_or_a_limit(void **state)
{
    struct tried whole, part;
    (void)state;
    for (size_t c = 0; c < MW_COUNT(corpus); c++) {
        try_text(mw_str_of(corpus[c]), sizeof memory, &whole);
        for (size_t size = 0; size < 40960; size += 16) {
            try_text(mw_str_of(corpus[c]), size, &part);
            if (part.compiled == MW_E_LIMIT || part.evaluated == MW_E_LIMIT)
                continue;
            assert_int_equal(part.compiled, whole.compiled);
            assert_int_equal(part.evaluated, whole.evaluated);
            assert_string_equal(part.json, whole.json);
        }
    }
}

/* A chain of fields deeper and deeper, in each place that takes a part: a hundred levels, then the limit by its name. */
static void depth_is_limited_in_every_place(void **state)
{
    static const char *const places[] = {
        "$",         "[$]",       "{'a': $}",      "{$: 1}",      "$ + 1",       "1 + $",
        "$ ? 1 : 2", "a ? $ : 2", "a ? 1 : $",     "$[0]",        "a[$]",        "$.b",
        "-$",        "!$",        "not $",         "$.size()",    "a.charAt($)", "size($)",
        "has($.b)",  "holds($)",  "[1].all(x, $)", "$.all(x, x)", "a || $",      "$ && b",
        "$ in a",    "a in $",    "$ contains b",  "a == $",      "$.f",         "${a}.b + $"};
    char chain[256], text[512];
    struct tried tried;
    (void)state;
    for (size_t p = 0; p < MW_COUNT(places); p++) {
        unsigned limits = 0;
        for (size_t depth = 90; depth <= 101; depth++) {
            const char *hole = strchr(places[p], '$');
            hole = hole[1] == '{' ? strchr(hole + 1, '$') : hole;
            memset(chain, 'a', sizeof chain);
            for (size_t i = 1; i < 2 * depth; i += 2)
                chain[i] = '.';
            chain[2 * depth - 1] = '\0';
            (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - places[p]), places[p], chain,
                           hole + 1);
            try_text(mw_str_of(text), sizeof memory, &tried);
            assert_true(tried.compiled == MW_OK || tried.compiled == MW_E_LIMIT);
            if (limits > 0)
                assert_int_equal(tried.compiled, MW_E_LIMIT);
            if (tried.compiled == MW_E_LIMIT)
                assert_non_null(strstr(tried.words, "deeper than 100 levels"));
            limits += tried.compiled == MW_E_LIMIT;
        }
        assert_true(limits > 0 && limits < 5);
    }
}

static void variables_are_limited(void **state)
{
    char text[4096];
    struct tried tried;
    (void)state;
    for (unsigned count = 31; count <= 34; count++) {
        size_t len = 0;
        for (unsigned i = 0; i < count; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "[1].all(x%u, ", i);
        len += (size_t)snprintf(text + len, sizeof text - len, "true");
        memset(text + len, ')', count);
        try_text((struct mw_str){text, len + count}, sizeof memory, &tried);
        assert_int_equal(tried.compiled, MW_OK);
        assert_int_equal(tried.evaluated, count <= MW_EXPR_VARIABLES_MAX ? MW_OK : MW_E_LIMIT);
    }
}

struct row {
    const char *text;
    const char *outcome; /* JSON, or the beginning of the error behind its column */
};

static void corners_are_as_documented(void **state)
{
    static const struct row rows[] = {
        {"1//c\n+\t2\r\f", "3"},
        {"1 // the rest", "1"},
        {"/1", "expected a value here"},
        {"True == true && False != true", "true"},
        {"0x", "expected a hexadecimal digit after 0x"},
        {"0x11111111111111111", "an integer over 64 bits"},
        {"0XfF", "255"},
        {"0xfFg", "expected an operator"},
        {"00", "0"},
        {"01.5", "1.5"},
        {"0", "0"},
        {"1e", "expected a digit in the exponent"},
        {"1e+", "expected a digit in the exponent"},
        {"1e5", "1e5"},
        {"1.5E-3", "1.5E-3"},
        {".5", "0.5"},
        {".x", "expected a value here"},
        {"'\\400'", "no such escape"},
        {"'\\377'", "\"\xc3\xbf\""},
        {"'\\9'", "no such escape"},
        {"'\\08'", "expected three octal digits"},
        {"'\\18x'", "expected three octal digits"},
        {"'\\xg1'", "expected a hexadecimal digit"},
        {"'\\X4a\\x4A'", "\"JJ\""},
        {"'abcab' contains 'cab' && !('abcab' contains 'cc') && !('ab' contains 'abc')", "true"},
        {"''.split('') == [] && 'ab'.split('') == ['a', 'b'] && ''.split('-') == ['']", "true"},
        {"'\\ud800'", "no such character"},
        {"'\\U00110000'", "no such character"},
        {"'\\U0010FFFF' == '\\U0010ffff'", "true"},
        {"'\\\"\\'\\`\\?\\\\'", "\"\\\"'`?\\\\\""},
        {"'\\/'", "no such escape"},
        {"'\\q'", "no such escape"},
        {"'\r'", "a line end in a string"},
        {"'\n'", "a line end in a string"},
        {"'''a\nb'''", "\"a\\nb\""},
        {"'abc", "a string"},
        {"r.`", "expected `a field name`"},
        {"r.``", "expected `a field name`"},
        {"r.`a", "expected `a field name`"},
        {"r.`x-y`", "\"z\""},
        {"has(r.a, r.b)", "has() asks for a field"},
        {"has()", "has() asks for a field"},
        {"has(r[0])", "has() asks for a field"},
        {"has(r[r.a])", "has() asks for a field"},
        {"has(1 + 2)", "has() asks for a field"},
        {"has(r['a']) && !has(r['zz'])", "true"},
        {"exists(r.a)", "true"},
        {"r.b.all(1, true)", "expected the name of a variable"},
        {"r.b.all(x, 1, true)", "expected the name of a variable"},
        {"r.b.all(x, x, true)", "the same name for both"},
        {"r.b.all(x)", "a wrong number of arguments"},
        {"r.b.map(x, y, z, 1)", "a wrong number of arguments"},
        {"dyn(1, 2)", "no such function"},
        {"holds(1, 2)", "no such function"},
        {"holds()", "no such function"},
        {"holds(1) || holds(r.zz) || holds(r.in)", "true"},
        {"r.b.dyn()", "no such function"},
        {"r.b.transformList(i, v, [i, v].filter(i, i != 0))[0]", "[1]"},
        {"r.m.map(k, k)", "[\"a\",\"b\"]"},
        {"r.m.filter(k, k == 'b')", "[\"b\"]"},
        {"r.m.all(k, v, k < 'c')", "true"},
        {"r.m.exists(k, r.m[k] == [1, 2])", "true"},
        {"1.all(x, true)", "types do not fit: a macro over the items of integer"},
        {"r.b.filter(x, 1)", "types do not fit: a condition that is not boolean"},
        {"r.b.map(x, 1, x)", "types do not fit: a condition that is not boolean"},
        {"r.b.exists_one(x, x)", "types do not fit: a condition that is not boolean"},
        {"r.b.all(x, 1 / 0 == 1)", "arithmetic: division by zero"},
        {"r.b.all(x, x)", "types do not fit: a condition that is not boolean"},
        {"[1, 2].all(x, [3, 0].all(y, x / y > 0) || x > 0)", "true"},
        {"-1u", "an unsigned integer with a minus"},
        {"9223372036854775808", "an integer that does not fit"},
        {"-9223372036854775809", "an integer that does not fit"},
        {"-(-9223372036854775808)", "arithmetic: an integer over 64 bits"},
        {"-r.d", "-1.5"},
        {"-(-r.d)", "1.5"},
        {"-'a'", "types do not fit: - of something not a number"},
        {"!1", "types do not fit: ! of something not boolean"},
        {"1 ? 2 : 3", "types do not fit: ?: on something not boolean"},
        {"r.zz ? 2 : 3", "not there: zz"},
        {"true ? 1", "expected ':'"},
        {"true ? : 2", "expected a value"},
        {"!r.zz", "not there: zz"},
        {"-r.zz", "not there: zz"},
        {"[r.zz]", "not there: zz"},
        {"{r.zz: 1}", "not there: zz"},
        {"{'a': r.zz}", "not there: zz"},
        {"{1.5: 1}", "types do not fit: a key is a string, integer or boolean"},
        {"{'a': 1, 'a': 2}", "types do not fit: the same key twice"},
        {"{'a' 1}", "expected ':' after a key"},
        {"{'a': 1 'b': 2}", "expected ','"},
        {"{'a':", "expected a value"},
        {"{'a': 1,}", "{\"a\":1}"},
        {"{true: 1, false: 2}[true] + {true: 1, false: 2}[false]", "3"},
        {"{true: 1, false: 2, 3: 4}", "{\"true\":1,\"false\":2,\"3\":4}"},
        {"[1 2]", "expected ','"},
        {"[1, [2, {'a': null}]] == [1.0, [2, {'a': null}]]", "true"},
        {"[1, 2] == [1]", "false"},
        {"[1, 2] == [1, 3]", "false"},
        {"{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1}", "true"},
        {"{'a': 1, 'b': 2} == {'b': 2, 'a': 2}", "false"},
        {"{'a': 1, 'b': 2} == {'b': 2, 'c': 1}", "false"},
        {"{1: 1} == {'1': 1}", "false"},
        {"r.m == {'a': [1, 2], 'b': {'k': 1}}", "true"},
        {"{'a': [1, 2], 'b': {'k': 1}} == r.m", "true"},
        {"r.m.a == [1, 2] && [1, 2] == r.m.a", "true"},
        {"1 in r.m", "false"},
        {"1 == null || 'a' == 1 || true == 1 || [] == {}", "false"},
        {"r.b[0.0] + r.b[1.0]", "3"},
        {"r.b[0.5]", "types do not fit: an index that is not an integer"},
        {"r.b['a']", "types do not fit: an index that is not an integer"},
        {"r.b[1e99]", "types do not fit: an index that is not an integer"},
        {"r.b[-1]", "not there: index -1"},
        {"r.b[3]", "not there: index 3"},
        {"[1, 2][1]", "2"},
        {"[1][r.zz]", "not there: zz"},
        {"r.zz[0]", "not there: zz"},
        {"r[null]", "types do not fit: a key that is not"},
        {"r[1]", "not there: the key"},
        {"r[1.5]", "not there: the key"},
        {"r[true]", "not there: the key"},
        {"1[0]", "types do not fit: an index of something"},
        {"r.a.b", "types do not fit: field 'b' of integer"},
        {"has(r.a.b)", "types do not fit: field 'b' of integer"},
        {"has(r.zz.b)", "not there: zz"},
        {"'a' < 'b' && 'b' <= 'b' && 'b' > 'a' && 'b' >= 'b' && 'ab' > 'a'", "true"},
        {"false < true && !(true < false) && true >= true", "true"},
        {"1 < 'a'", "types do not fit: integer ordered against string"},
        {"'a' < 1", "types do not fit: string ordered against integer"},
        {"true < 1", "types do not fit: bool ordered against integer"},
        {"1.5 < 'a'", "types do not fit: number ordered against string"},
        {"1 in 1", "types do not fit: integer in integer"},
        {"1 in 'a'", "types do not fit: integer in string"},
        {"1 + 'a'", "types do not fit: integer + string"},
        {"'a' + 1", "types do not fit: string + integer"},
        {"[1] + 1", "types do not fit: list + integer"},
        {"'a' - 'b'", "types do not fit: string - string"},
        {"[1] * [1]", "types do not fit: list * list"},
        {"1.5 + 1", "types do not fit: number + integer"},
        {"'' + ''", "\"\""},
        {"'a' + '' + 'b'", "\"ab\""},
        {"r.b + [9]", "[1,2,{\"c\":null},9]"},
        {"9223372036854775807 + 1", "arithmetic: an integer over 64 bits"},
        {"-9223372036854775808 - 1", "arithmetic: an integer over 64 bits"},
        {"9223372036854775807 * 2", "arithmetic: an integer over 64 bits"},
        {"-9223372036854775808 / -1", "arithmetic: an integer over 64 bits"},
        {"-9223372036854775808 % -1", "arithmetic: an integer over 64 bits"},
        {"-7 / 2 * 10 + -7 % 2", "-31"},
        {"-9223372036854775808 / 1", "-9223372036854775808"},
        {"1 / 0", "arithmetic: division by zero"},
        {"1 % 0", "arithmetic: division by zero"},
        {"1 || true", "true"},
        {"true || 1", "true"},
        {"1 || false", "types do not fit: || of something not boolean"},
        {"1 && true", "types do not fit: && of something not boolean"},
        {"1 && false", "false"},
        {"r.zz && 1", "not there: zz"},
        {"size(1)", "types do not fit: size of integer"},
        {"size(r.m)", "2"},
        {"size(r.zz)", "not there: zz"},
        {"1 contains 2", "types do not fit: contains of integer"},
        {"'a' contains 2", "types do not fit: contains of integer"},
        {"'abab' contains 'bab' && !('a' contains 'ab') && 'a' contains '' && '' contains ''",
         "true"},
        {"r.m contains 'a' && r.b contains 2", "true"},
        {"'a'.startsWith(1)", "types do not fit: startsWith of integer"},
        {"1.endsWith('a')", "types do not fit: endsWith of integer"},
        {"int('a')", "arithmetic: no such integer"},
        {"int('9223372036854775808')", "arithmetic: no such integer"},
        {"int(9223372036854775808.0)", "arithmetic: no such integer"},
        {"int(true)", "types do not fit: int of bool"},
        {"uint(-1)", "arithmetic: no such integer"},
        {"uint(1.5)", "1"},
        {"double(true)", "types do not fit: double of bool"},
        {"double('1')", "1"},
        {"double(1)", "1.0"},
        {"double('a')", "arithmetic: no such number"},
        {"double('')", "arithmetic: no such number"},
        {"double('-')", "arithmetic: no such number"},
        {"double('01')", "arithmetic: no such number"},
        {"double('1.')", "arithmetic: no such number"},
        {"double('1.5.2')", "arithmetic: no such number"},
        {"double('1e')", "arithmetic: no such number"},
        {"double('1e+')", "arithmetic: no such number"},
        {"double('1e5.2')", "arithmetic: no such number"},
        {"double('1e5e2')", "arithmetic: no such number"},
        {"double('-1.5E+2') == -150.0", "true"},
        {"double('1e-2')", "1e-2"},
        {"string(null)", "types do not fit: string of null"},
        {"string(true) + string(false) + string(1.50) + string('a') + string(-3)",
         "\"truefalse1.50a-3\""},
        {"bool(1)", "types do not fit: bool of integer"},
        {"bool('x')", "arithmetic: no such boolean"},
        {"bool(true) && bool('1') && !bool('F' + 'ALSE')", "true"},
        {"${r.b}[0]", "1"},
        {"${", "expected a name in ${ }"},
        {"${1}", "expected a name in ${ }"},
        {"${r.}", "expected a name in ${ }"},
        {"${r.a", "expected '}'"},
        {"${r.in}", "true"},
        {"${r.'a'}", "expected a name in ${ }"},
        {"r.in", "true"},
        {"in", "a reserved word"},
        {"r.", "expected a field name"},
        {"r.1", "expected"},
        {"r.b[0", "expected ']'"},
        {"r.b[", "expected a value"},
        {"(1", "expected ')'"},
        {"f(", "expected a value"},
        {"f(1", "expected ','"},
        {"f(1)", "no such function"},
        {"r.b.f(", "expected a value"},
        {"not", "expected a value"},
        {"not not true", "true"},
        {"!!true", "true"},
        {"1 2", "expected an operator"},
        {"5", "5"},
        {"null", "null"},
        {"[null]", "[null]"},
        {"1 @", "a character"},
        {"", "expected a value"},
    };
    struct tried tried;
    unsigned wrong = 0;
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        try_text(mw_str_of(rows[i].text), sizeof memory, &tried);
        const char *behind = tried.words[0] != '\0' ? strchr(tried.words, ':') + 2 : tried.json;
        bool same = tried.words[0] != '\0'
                        ? strncmp(behind, rows[i].outcome, strlen(rows[i].outcome)) == 0
                        : strcmp(tried.json, rows[i].outcome) == 0;
        if (!same)
            print_error("%s gave %s, not %s\n", rows[i].text, behind, rows[i].outcome);
        wrong += !same;
    }
    assert_int_equal(wrong, 0);
}

/* The target after so many steps that few are left. */
static enum mw_rc after_steps(unsigned loops, unsigned words, const char *target)
{
    static char text[MW_EXPR_TEXT_MAX];
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_value value = {.type = MW_VALUE_NULL};
    struct mw_err err = {.rc = MW_OK};
    const struct mw_expr *expr;
    size_t len = 0;
    for (unsigned i = 0; i < 9; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "n.all(x, n.all(y, true)) && ");
    for (unsigned i = 0; i < loops; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "n.all(x, true) && ");
    for (unsigned i = 0; i < words; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "true && ");
    (void)snprintf(text + len, sizeof text - len, "%s", target);
    mw_arena_init(&arena, memory, sizeof memory);
    assert_int_equal(mw_json_parse(&arena, document(), &tape, NULL), MW_OK);
    struct mw_expr_root root = {MW_STR(""), &tape, 0};
    enum mw_rc rc = mw_expr_compile(&arena, mw_str_of(text), &expr, &err);
    if (rc == MW_OK)
        rc = mw_expr_eval(expr, &root, 1, &arena, &value, &err);
    if (rc != MW_E_LIMIT && (rc != MW_OK || value.type != MW_VALUE_BOOL || !value.boolean))
        fail_msg("%s: %s", target, err.text);
    return rc;
}

/* Wherever in an evaluation the steps run out, it is the limit and nothing else, and nothing absorbs it. */
static void steps_run_out_anywhere(void **state)
{
    static const char *const targets[] = {
        "true",
        "{'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7, 'h': 8, 'i': 9, 'j': 0}.j == 0",
        "'%s %s'.format([{'a': 1, 'b': [1, 'c']}, [2, 'd', {}]]).size() > 9",
        "!'a'.matches('abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz|b*c+d?')",
        "['a', 'b', 'c'].join('') == 'abc' && 'abc'.split('').size() == 3",
        "n[60] == 60",
        "r.m.a[1] == 2",
        "wide.k40 == 0 && has(wide.k41) && wide['k42'] == 0",
        "'k43' in wide && wide contains 'k44'",
        "[1, 2, [3, 4]] == [1, 2, [3, 4]]",
        "{'a': [1], 'b': 2} == {'b': 2, 'a': [1]}",
        "n == n && 40 in n && n.contains(41)",
        "n + [1] != [] && {'a': 1, 'b': 2, 'c': n}.a == 1",
        "long < long + 'a' && size(long) == 320 && long contains 'zz'",
        "long + long != '' && long.startsWith(long) && long.endsWith(long)",
        "n.map(x, x)[1] == 1 && n.filter(x, x > 90).size() == 9 && n.exists_one(x, x == 4)",
        "r.m.transformMap(k, v, v) == r.m",
        "holds(n.exists(x, x == 50)) && !(1 in [2, 3])",
        "long.indexOf('zz') == 318 && long.replace('a', 'b').size() == 320",
        "long.split('a').size() == 319 && long.split('').join('-').size() == 639",
        "'%s %s %x %.3f'.format([r.m, [1, 'a'], long, 1.5]).size() > 600",
        "long.matches('^(a|b)*zz$') && long.reverse().startsWith('zz')",
        "long.lowerAscii() == long && strings.quote(long).size() == 322 && long.trim() == long",
    };
    unsigned loops = 0;
    (void)state;
    while (after_steps(loops, 0, "true") == MW_OK)
        loops++;
    assert_true(loops > 20);
    for (size_t i = 0; i < MW_COUNT(targets); i++) {
        unsigned limits = 0;
        assert_int_equal(after_steps(0, 0, targets[i]), MW_OK);
        /* From far away in great steps, from near in small ones; the night looks at each. */
        bool far = after_steps(loops - 2, 0, targets[i]) == MW_E_LIMIT;
        unsigned step = getenv("MW_NIGHT") != NULL ? 1 : far ? 23 : i < 5 ? 1 : 4;
        for (unsigned words = i % step; words < (far ? 1000 : 260); words += step) {
            enum mw_rc rc = after_steps(loops - (far ? 8 : 2), words, targets[i]);
            if (limits > 0)
                assert_int_equal(rc, MW_E_LIMIT); /* with less still less */
            limits += rc == MW_E_LIMIT;
        }
        assert_true(limits > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_expression_is_evaluated_or_refused_at_its_column),
        cmocka_unit_test(memory_is_enough_or_a_limit),
        cmocka_unit_test(corners_are_as_documented),
        cmocka_unit_test(depth_is_limited_in_every_place),
        cmocka_unit_test(variables_are_limited),
        cmocka_unit_test(steps_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
