/*
 * matches() against the C library's regular expressions: the input is read as a grammar's choices for a pattern that both understand, and a
 * text of a few letters. Found is found for both; which part was taken, where they differ by their rules, is not asked.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "rules/expr.h"

#define DEPTH_MAX 1 /* deeper, the other takes exponential time */

static struct fuzz_bytes in;
static struct mw_buf pattern;

static void say(const char *text)
{
    mw_buf_put_z(&pattern, text);
}

static void alternatives(unsigned depth);

/* False for a group. */
static bool atom(unsigned depth)
{
    static const char *const atoms[] = {"a", "b", "c", ".", "[ab]", "[^a]", "[b-d]", "[^b-d]"};
    unsigned choice = fuzz_byte(&in) % 10;
    if (choice < 8 || depth >= DEPTH_MAX) {
        say(atoms[choice % MW_COUNT(atoms)]);
        return true;
    }
    say("(");
    alternatives(depth + 1);
    say(")");
    return false;
}

static void sequence(unsigned depth)
{
    static const char *const repetitions[] = {"*", "+", "?", "{2}", "{1,2}", "{0,3}", "{2,}"};
    for (unsigned count = 1 + fuzz_byte(&in) % 3; count > 0; count--) {
        bool single = atom(depth);
        unsigned choice = fuzz_byte(&in) % 14;
        /* A group counted several times takes the other exponential time; without end is enough for it. */
        if (choice < (single ? MW_COUNT(repetitions) : 3))
            say(single ? repetitions[choice] : "*");
    }
}

static void alternatives(unsigned depth)
{
    sequence(depth);
    for (unsigned count = fuzz_byte(&in) % 8; count > 5; count--) {
        say("|");
        sequence(depth);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    static char memory[8192], whole[8192 + 64];
    char text[17] = "";
    const struct mw_expr *expr;
    struct mw_value value;
    regex_t theirs;
    in = (struct fuzz_bytes){data, size};
    fuzz_arena(&arena, (size_t)4 << 20);
    mw_buf_init(&pattern, memory, sizeof memory - 1);
    for (unsigned i = 0, len = fuzz_byte(&in) % 16; i < len; i++)
        text[i] = (char)('a' + fuzz_byte(&in) % 5);
    unsigned anchors = fuzz_byte(&in);
    /* The group is needed by neither, but binds alternatives to the anchors. */
    say(anchors % 2 == 1 ? "^(" : "(");
    alternatives(0);
    say(anchors % 4 >= 2 ? ")$" : ")");
    if (pattern.overflowed)
        return 0;
    memory[pattern.len] = '\0';
    (void)snprintf(whole, sizeof whole, "'%s'.matches('%s')", text, memory);
    MW_ASSERT(mw_expr_compile(&arena, mw_str_of(whole), &expr, NULL) == MW_OK);
    struct mw_err err = {.rc = MW_OK};
    if (mw_expr_eval(expr, NULL, 0, &arena, &value, &err) != MW_OK) {
        MW_ASSERT(strstr(err.text, "too large") != NULL);
        return 0;
    }
    if (regcomp(&theirs, memory, REG_EXTENDED | REG_NOSUB) != 0)
        return 0; /* theirs has limits of its own */
    bool found = regexec(&theirs, text, 0, NULL, 0) == 0;
    regfree(&theirs);
    if (found != value.boolean) {
        (void)fprintf(stderr, "they differ: %s: %d here\n", whole, value.boolean);
        abort();
    }
    return 0;
}
