/*
 * Expressions against a second evaluator that shares no code with the first: the input is read as a grammar's choices; while the text of an
 * expression is written, its value is computed on the side, with values, arithmetic and error rules of its own. Both must agree on what the
 * text means: its precedence, its value, or that it has none.
 *
 * Not compared: decimals (never computed with) and the reason of a failure. Text has only the parentheses that precedence demands.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "rules/expr.h"

#define DEPTH_MAX 6
#define ITEMS_MAX 12
#define TEXT_MAX 64
#define POOL_MAX 4096
#define VARIABLES_MAX 8

enum kind { FAILED, NOTHING, TRUTH, WHOLE, TEXT, LIST, MAP };

/* A map's items are keys and values in turn. */
struct value {
    enum kind kind;
    __int128 whole;
    char text[TEXT_MAX];
    size_t text_len;
    struct value *items;
    size_t count;
};

static struct value pool[POOL_MAX];
static size_t pool_used;
static bool overfull; /* this input is not compared */
static struct fuzz_bytes in;
static struct mw_buf out;
static struct {
    char name[4];
    struct value value;
} variables[VARIABLES_MAX];
static unsigned variable_count;

static const struct value failed = {.kind = FAILED};

static struct value truth(bool is)
{
    return (struct value){.kind = TRUTH, .whole = is};
}

static struct value whole(__int128 number)
{
    if (number > INT64_MAX || number < INT64_MIN)
        return failed;
    return (struct value){.kind = WHOLE, .whole = number};
}

static struct value text_of(const char *bytes, size_t len)
{
    struct value value = {.kind = TEXT, .text_len = len};
    if (len > TEXT_MAX) {
        overfull = true;
        return failed;
    }
    memcpy(value.text, bytes, len);
    return value;
}

static struct value list_of(enum kind kind, size_t count)
{
    struct value value = {.kind = kind, .count = count};
    if (count > ITEMS_MAX || pool_used + count > POOL_MAX) {
        overfull = true;
        return failed;
    }
    value.items = pool + pool_used;
    pool_used += count;
    return value;
}

static bool is_true(const struct value *value)
{
    return value->kind == TRUTH && value->whole != 0;
}

static const struct value *member(const struct value *map, const struct value *key)
{
    for (size_t i = 0; i + 1 < map->count; i += 2)
        if (key->kind == TEXT && map->items[i].text_len == key->text_len &&
            memcmp(map->items[i].text, key->text, key->text_len) == 0)
            return &map->items[i + 1];
    return NULL;
}

static bool equal(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == TEXT)
        return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    if (a->kind == MAP) {
        for (size_t i = 0; i < a->count; i += 2) {
            const struct value *other = member(b, &a->items[i]);
            if (other == NULL || !equal(&a->items[i + 1], other))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < a->count; i++)
        if (!equal(&a->items[i], &b->items[i]))
            return false;
    return a->whole == b->whole;
}

static bool within(const char *text, size_t len, const char *part, size_t part_len)
{
    for (size_t i = 0; i + part_len <= len; i++)
        if (memcmp(text + i, part, part_len) == 0)
            return true;
    return false;
}

/* in and contains. */
static struct value has_item(const struct value *container, const struct value *item, bool texts)
{
    if (container->kind == FAILED || item->kind == FAILED)
        return failed;
    if (container->kind == MAP)
        return truth(member(container, item) != NULL);
    if (container->kind == TEXT && item->kind == TEXT && texts)
        return truth(within(container->text, container->text_len, item->text, item->text_len));
    if (container->kind != LIST)
        return failed;
    for (size_t i = 0; i < container->count; i++)
        if (equal(&container->items[i], item))
            return truth(true);
    return truth(false);
}

/* ---- the grammar: each writes its text and returns its value ---- */

enum level { ANY, EITHER, BOTH, NOT_WORD, RELATION, SUM, PRODUCT, UNARY, PRIMARY };

static struct value expression(enum level least, unsigned depth);

static void say(const char *text)
{
    mw_buf_put_z(&out, text);
}

static bool open_if(enum level own, enum level least)
{
    if (own < least)
        say("(");
    return own < least;
}

static void close_if(bool opened)
{
    if (opened)
        say(")");
}

static struct value number(enum level least)
{
    static const int64_t numbers[] = {0, 1, 2, 3, -1, 7, 100, INT64_MAX, INT64_MIN, -2};
    char text[32];
    int64_t value = numbers[fuzz_byte(&in) % MW_COUNT(numbers)];
    bool opened = open_if(value < 0 ? UNARY : PRIMARY, least);
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    say(text);
    close_if(opened);
    return whole(value);
}

static struct value quoted(void)
{
    static const char *const texts[] = {"", "a", "b", "ab", "h\xc3\xa9", "true", "12", "-7", "0x1"};
    const char *text = texts[fuzz_byte(&in) % MW_COUNT(texts)];
    say("\"");
    say(text);
    say("\"");
    return text_of(text, strlen(text));
}

/* Names of the document below. */
static struct value name(void)
{
    static const char json[] = "abmlstin";
    unsigned choice = fuzz_byte(&in) % (sizeof json - 1 + variable_count);
    struct value value, *items;
    char text[2] = {0};
    text[0] =
        choice < sizeof json - 1 ? json[choice] : variables[choice - (sizeof json - 1)].name[0];
    say(text);
    for (unsigned i = variable_count; i > 0; i--) /* the innermost of that name */
        if (strcmp(variables[i - 1].name, text) == 0)
            return variables[i - 1].value;
    switch (text[0]) {
    case 'i':
        return whole(7);
    case 's':
        return text_of("h\xc3\xa9llo", 6);
    case 't':
        return truth(true);
    case 'n':
        return (struct value){.kind = NOTHING};
    case 'l':
        value = list_of(LIST, 3);
        items = value.items;
        if (!overfull) {
            items[0] = whole(1);
            items[1] = text_of("a", 1);
            items[2] = truth(false);
        }
        return value;
    case 'm':
        value = list_of(MAP, 4);
        items = value.items;
        if (!overfull) {
            items[0] = text_of("a", 1);
            items[1] = whole(1);
            items[2] = text_of("ab", 2);
            items[3] = (struct value){.kind = NOTHING};
        }
        return value;
    default: /* a and b are not there */
        return failed;
    }
}

static struct value written_list(unsigned depth)
{
    struct value items[4], value;
    unsigned count = fuzz_byte(&in) % 4;
    bool fails = false;
    say("[");
    for (unsigned i = 0; i < count; i++) {
        say(i > 0 ? ", " : "");
        items[i] = expression(ANY, depth + 1);
        fails = fails || items[i].kind == FAILED;
    }
    say("]");
    value = list_of(LIST, count);
    if (fails || value.kind == FAILED)
        return failed;
    memcpy(value.items, items, count * sizeof *items);
    return value;
}

static struct value written_map(unsigned depth)
{
    struct value value = list_of(MAP, 4), items[4];
    bool same = fuzz_byte(&in) % 8 == 0;
    say(same ? "{\"a\": " : "{\"b\": ");
    items[0] = text_of(same ? "a" : "b", 1);
    items[1] = expression(ANY, depth + 1);
    say(", \"a\": ");
    items[2] = text_of("a", 1);
    items[3] = expression(ANY, depth + 1);
    say("}");
    if (same || items[1].kind == FAILED || items[3].kind == FAILED || value.kind == FAILED)
        return failed;
    memcpy(value.items, items, sizeof items);
    return value;
}

static struct value size_of(const struct value *value)
{
    size_t count = 0;
    for (size_t i = 0; value->kind == TEXT && i < value->text_len; i++)
        count += ((unsigned char)value->text[i] & 0xc0) != 0x80;
    if (value->kind == TEXT)
        return whole((__int128)count);
    if (value->kind == MAP)
        return whole((__int128)(value->count / 2));
    return value->kind == LIST ? whole((__int128)value->count) : failed;
}

static struct value as_int(const struct value *value)
{
    char *end, text[TEXT_MAX + 1] = {0};
    if (value->kind == WHOLE)
        return *value;
    if (value->kind != TEXT || value->text_len == 0)
        return failed;
    memcpy(text, value->text, value->text_len);
    if (strspn(text + (text[0] == '-'), "0123456789") != value->text_len - (text[0] == '-') ||
        value->text_len == (size_t)(text[0] == '-'))
        return failed;
    long long number_of = strtoll(text, &end, 10);
    return value->text_len > 18 ? failed : whole(number_of);
}

static struct value as_string(const struct value *value)
{
    char text[32];
    if (value->kind == TEXT)
        return *value;
    if (value->kind == TRUTH)
        return text_of(value->whole ? "true" : "false", value->whole ? 4 : 5);
    if (value->kind != WHOLE)
        return failed;
    (void)snprintf(text, sizeof text, "%lld", (long long)value->whole);
    return text_of(text, strlen(text));
}

static struct value called(unsigned depth)
{
    static const char *const names[] = {"size(", "int(", "string(", "holds(", "dyn("};
    unsigned choice = fuzz_byte(&in) % MW_COUNT(names);
    say(names[choice]);
    struct value value = expression(ANY, depth + 1);
    say(")");
    switch (choice) {
    case 0:
        return value.kind == FAILED ? failed : size_of(&value);
    case 1:
        return as_int(&value);
    case 2:
        return as_string(&value);
    case 3:
        return truth(is_true(&value));
    default:
        return value;
    }
}

static struct value method(unsigned depth)
{
    static const char *const names[] = {".contains(", ".startsWith(", ".endsWith("};
    struct value target = expression(PRIMARY, depth + 1);
    unsigned choice = fuzz_byte(&in) % MW_COUNT(names);
    say(names[choice]);
    struct value part = expression(ANY, depth + 1);
    say(")");
    if (choice == 0)
        return has_item(&target, &part, true);
    if (target.kind != TEXT || part.kind != TEXT)
        return failed;
    if (part.text_len > target.text_len)
        return truth(false);
    const char *from = choice == 1 ? target.text : target.text + target.text_len - part.text_len;
    return truth(memcmp(from, part.text, part.text_len) == 0);
}

/* has(x.a), x.a, x[i]. */
static struct value taken(unsigned depth)
{
    static const char *const fields[] = {"a", "b", "ab"};
    unsigned how = fuzz_byte(&in) % 3;
    const char *field = fields[fuzz_byte(&in) % MW_COUNT(fields)];
    say(how == 0 ? "has(" : "");
    struct value target = expression(PRIMARY, depth + 1);
    struct value key = text_of(field, strlen(field));
    if (how < 2) {
        say(".");
        say(field);
        say(how == 0 ? ")" : "");
        const struct value *found = target.kind == MAP ? member(&target, &key) : NULL;
        if (target.kind != MAP)
            return failed;
        if (how == 0)
            return truth(found != NULL);
        return found != NULL ? *found : failed;
    }
    say("[");
    key = expression(ANY, depth + 1);
    say("]");
    if (target.kind == MAP) {
        const struct value *found = member(&target, &key);
        return found != NULL ? *found : failed;
    }
    if (target.kind != LIST || key.kind != WHOLE || key.whole < 0 ||
        key.whole >= (__int128)target.count)
        return failed;
    return target.items[(size_t)key.whole];
}

/* The body is written once and computed for each item, from the same choices. */
static struct value each(unsigned depth)
{
    static const char *const names[] = {".all(", ".exists(", ".exists_one(", ".filter(", ".map("};
    struct value range = expression(PRIMARY, depth + 1), result = failed, kept[ITEMS_MAX];
    unsigned choice = fuzz_byte(&in) % MW_COUNT(names);
    unsigned slot = variable_count, hits = 0, failures = 0, decided = 0;
    size_t step = range.kind == MAP ? 2 : 1, count = range.count / step;
    if (variable_count == VARIABLES_MAX)
        overfull = true;
    if (overfull)
        return failed;
    (void)snprintf(variables[slot].name, sizeof variables[slot].name, "%c",
                   "xyi"[fuzz_byte(&in) % 3]);
    say(names[choice]);
    say(variables[slot].name);
    say(", ");
    struct fuzz_bytes here = in;
    size_t len = out.len;
    for (size_t i = 0; i < (count > 0 ? count : 1); i++) {
        in = here;
        out.len = len;
        variables[slot].value = i < count ? range.items[i * step] : failed;
        variable_count = slot + 1;
        struct value body = expression(ANY, depth + 1);
        variable_count = slot;
        if (overfull || i >= count)
            continue;
        bool wrong = body.kind == FAILED || (choice < 4 && body.kind != TRUTH);
        failures += wrong;
        if (!wrong && choice < 2)
            decided += is_true(&body) == (choice == 1);
        if (wrong || (choice != 4 && !is_true(&body)))
            continue;
        kept[hits++] = choice == 4 ? body : range.items[i * step];
    }
    say(")");
    if (overfull || (range.kind != LIST && range.kind != MAP))
        return failed;
    if (choice < 2 && decided > 0)
        return truth(choice == 1);
    if (failures > 0)
        return failed;
    if (choice < 2)
        return truth(choice == 0);
    if (choice == 2)
        return truth(hits == 1);
    result = list_of(LIST, hits);
    if (result.kind == LIST)
        memcpy(result.items, kept, hits * sizeof *kept);
    return result;
}

static struct value computed(unsigned mark, const struct value *a, const struct value *b)
{
    if (a->kind == TEXT && b->kind == TEXT && mark == 0) {
        struct value joined = *a;
        if (a->text_len + b->text_len > TEXT_MAX) {
            overfull = true;
            return failed;
        }
        memcpy(joined.text + a->text_len, b->text, b->text_len);
        joined.text_len += b->text_len;
        return joined;
    }
    if (a->kind == LIST && b->kind == LIST && mark == 0) {
        struct value joined = list_of(LIST, a->count + b->count);
        for (size_t i = 0; joined.kind == LIST && i < joined.count; i++)
            joined.items[i] = i < a->count ? a->items[i] : b->items[i - a->count];
        return joined;
    }
    if (a->kind != WHOLE || b->kind != WHOLE || (mark >= 3 && b->whole == 0))
        return failed;
    if (mark == 4 && a->whole == INT64_MIN && b->whole == -1)
        return failed; /* as CEL has it: the quotient would be over 64 bits */
    return whole(mark == 0   ? a->whole + b->whole
                 : mark == 1 ? a->whole - b->whole
                 : mark == 2 ? a->whole * b->whole
                 : mark == 3 ? a->whole / b->whole
                             : a->whole % b->whole);
}

static struct value compared(unsigned mark, const struct value *a, const struct value *b)
{
    int order;
    if (a->kind == FAILED || b->kind == FAILED)
        return failed;
    if (mark < 2)
        return truth(equal(a, b) == (mark == 0));
    if (a->kind != b->kind || (a->kind != WHOLE && a->kind != TEXT && a->kind != TRUTH))
        return failed;
    if (a->kind == TEXT) {
        size_t len = a->text_len < b->text_len ? a->text_len : b->text_len;
        order = memcmp(a->text, b->text, len);
        if (order == 0)
            order = (a->text_len > b->text_len) - (a->text_len < b->text_len);
    } else {
        order = (a->whole > b->whole) - (a->whole < b->whole);
    }
    return truth(mark == 2   ? order < 0
                 : mark == 3 ? order <= 0
                 : mark == 4 ? order > 0
                             : order >= 0);
}

static struct value binary(enum level least, unsigned depth)
{
    static const struct {
        const char *text;
        enum level level;
        unsigned mark;
    } marks[] = {{" || ", EITHER, 0},   {" or ", EITHER, 0},   {" && ", BOTH, 0},
                 {" and ", BOTH, 0},    {" == ", RELATION, 0}, {" != ", RELATION, 1},
                 {" < ", RELATION, 2},  {" <= ", RELATION, 3}, {" > ", RELATION, 4},
                 {" >= ", RELATION, 5}, {" in ", RELATION, 6}, {" contains ", RELATION, 7},
                 {" + ", SUM, 0},       {" - ", SUM, 1},       {" * ", PRODUCT, 2},
                 {" / ", PRODUCT, 3},   {" % ", PRODUCT, 4}};
    unsigned choice = fuzz_byte(&in) % MW_COUNT(marks);
    enum level level = marks[choice].level;
    bool opened = open_if(level, least);
    struct value a = expression(level, depth + 1);
    say(marks[choice].text);
    struct value b = expression((enum level)(level + 1), depth + 1);
    close_if(opened);
    if (level == SUM || level == PRODUCT)
        return computed(marks[choice].mark, &a, &b);
    if (level == RELATION)
        return marks[choice].mark == 6   ? has_item(&b, &a, false)
               : marks[choice].mark == 7 ? has_item(&a, &b, true)
                                         : compared(marks[choice].mark, &a, &b);
    bool decisive = level == EITHER;
    if ((a.kind == TRUTH && is_true(&a) == decisive) ||
        (b.kind == TRUTH && is_true(&b) == decisive))
        return truth(decisive);
    return a.kind != TRUTH || b.kind != TRUTH ? failed : truth(!decisive);
}

static struct value chosen(enum level least, unsigned depth)
{
    bool opened = open_if(ANY, least);
    struct value condition = expression(EITHER, depth + 1);
    say(" ? ");
    struct value then = expression(EITHER, depth + 1);
    say(" : ");
    struct value otherwise = expression(ANY, depth + 1);
    close_if(opened);
    if (condition.kind != TRUTH)
        return failed;
    return is_true(&condition) ? then : otherwise;
}

static struct value unary(enum level least, unsigned depth)
{
    unsigned choice = fuzz_byte(&in) % 3;
    bool opened = open_if(choice == 2 ? NOT_WORD : UNARY, least);
    say(choice == 0 ? "!" : choice == 1 ? "- " : "not ");
    struct value value = expression(choice == 2 ? NOT_WORD : UNARY, depth + 1);
    close_if(opened);
    if (choice == 1)
        return value.kind == WHOLE ? whole(-value.whole) : failed;
    return value.kind == TRUTH ? truth(!is_true(&value)) : failed;
}

static struct value expression(enum level least, unsigned depth)
{
    unsigned choice = fuzz_byte(&in);
    if (overfull)
        return failed;
    if (depth >= DEPTH_MAX || choice < 40)
        choice %= 4;
    switch (choice % 16) {
    case 0:
        return number(least);
    case 1:
        return quoted();
    case 2:
        return name();
    case 3:
        say(in.size % 2 == 0 ? "true" : "false");
        return truth(in.size % 2 == 0);
    case 4:
        return written_list(depth);
    case 5:
        return written_map(depth);
    case 6:
        return called(depth);
    case 7:
        return method(depth);
    case 8:
        return taken(depth);
    case 9:
    case 10:
        return each(depth);
    case 11:
        return chosen(least, depth);
    case 12:
        return unary(least, depth);
    default:
        return binary(least, depth);
    }
}

static bool same(const struct value *mine, const struct mw_value *theirs)
{
    struct mw_value item;
    switch (mine->kind) {
    case NOTHING:
        return theirs->type == MW_VALUE_NULL;
    case TRUTH:
        return theirs->type == MW_VALUE_BOOL && theirs->boolean == (mine->whole != 0);
    case WHOLE:
        return theirs->type == MW_VALUE_INTEGER && theirs->integer == (int64_t)mine->whole;
    case TEXT:
        return theirs->type == MW_VALUE_STRING && theirs->text.len == mine->text_len &&
               (mine->text_len == 0 || memcmp(theirs->text.ptr, mine->text, mine->text_len) == 0);
    case LIST:
    case MAP:
        if (theirs->type != (mine->kind == LIST ? MW_VALUE_LIST : MW_VALUE_MAP) ||
            (size_t)theirs->count * (mine->kind == LIST ? 1 : 2) != mine->count)
            return false;
        for (size_t i = 0, node = theirs->node + 1; i < mine->count; i++) {
            if (theirs->tape == NULL) {
                item = theirs->items[i];
            } else {
                item = mw_value_of_node(theirs->tape, (uint32_t)node);
                node = theirs->tape->nodes[node].next;
            }
            if (!same(&mine->items[i], &item))
                return false;
        }
        return true;
    case FAILED:
        break;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    static char text[1 << 16];
    struct mw_tape tape;
    struct mw_value theirs;
    struct mw_err err = {.rc = MW_OK};
    const struct mw_expr *expr;
    fuzz_arena(&arena, (size_t)16 << 20);
    MW_ASSERT(mw_json_parse(&arena,
                            MW_STR("{\"i\":7,\"s\":\"h\xc3\xa9llo\",\"t\":true,\"n\":null,"
                                   "\"l\":[1,\"a\",false],\"m\":{\"a\":1,\"ab\":null}}"),
                            &tape, NULL) == MW_OK);
    struct mw_expr_root root = {MW_STR(""), &tape, 0};
    mw_buf_init(&out, text, sizeof text);
    in = (struct fuzz_bytes){data, size};
    pool_used = 0;
    overfull = false;
    variable_count = 0;
    struct value mine = expression(ANY, 0);
    if (overfull || out.overflowed)
        return 0;
    enum mw_rc rc = mw_expr_compile(&arena, mw_buf_str(&out), &expr, &err);
    if (rc == MW_OK)
        rc = mw_expr_eval(expr, &root, 1, &arena, &theirs, &err);
    else
        MW_ASSERT(rc == MW_E_LIMIT); /* the grammar writes nothing that is refused */
    if (rc == MW_E_LIMIT)
        return 0;
    if ((rc == MW_OK) != (mine.kind != FAILED) || (rc == MW_OK && !same(&mine, &theirs))) {
        (void)fprintf(stderr, "they differ: %.*s\n%s\n", MW_STR_ARG(mw_buf_str(&out)), err.text);
        abort();
    }
    return 0;
}
