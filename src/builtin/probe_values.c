#include "builtin/probe_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMAIL_MAX 254
#define SAFE_INTEGER 9007199254740991.0
#define BIG_STRING_BYTES 900000 /* a body of more does not pass the default limit */

/* What a date is and is not. */
static const char *const good_dates[] = {
    "2024-02-29", "2000-02-29",           "2026-12-31",
    "1970-01-01", "2026-03-01T10:20:30Z", "2026-03-01T10:20:30.125+02:00",
};
static const char *const bad_dates[] = {
    "2024-02-30",
    "2023-02-29",
    "1900-02-29",
    "2024-13-01",
    "2024-00-10",
    "2024-04-31",
    "2024-01-00",
    "2024-1-1",
    "20240101",
    "tomorrow",
    "",
    "2024-02-29 ",
    "2026-02-30T10:00:00Z",
    "2026-01-01T25:00:00Z",
    "2026-01-01T10:61:00Z",
};
static const char *const good_emails[] = {"a@b.co", "first.last+tag@sub.example.org",
                                          "j\303\266rg@b\303\274cher.example"};
static const char *const bad_emails[] = {
    "plain", "a@b", "@b.co", "a@", "a b@c.de", "a@@b.co", "a@b.co@c.de", "", "a@b.co\\n",
};
/* JSON string contents, as they stand in the text. */
static const struct {
    const char *label;
    const char *inner;
    uint32_t length;
} unicode_strings[] = {
    {"letters of many scripts",
     "Gr\xc3\xbc\xc3\x9f"
     "e \xe6\xbc\xa2\xe5\xad\x97 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
     13},
    {"emoji", "a \xf0\x9f\x98\x80\xf0\x9f\x8f\xbd b", 6},
    {"combining marks", "e\xcc\x81n\xcc\x83", 4},
    {"quotes, backslash and line ends", "\\\"q\\\\ \\n\\t\\u2028", 7},
    {"white space at its ends", "  in  ", 6},
    {"words of a program", "__proto__", 9},
};

static void add(struct probe_values *values, struct mw_str json, struct mw_str label);
static void good_string(struct probe *p, const struct probe_field *field,
                        struct probe_values *values);
static void good_number(struct probe *p, const struct probe_field *field,
                        struct probe_values *values);
static void bad_types(struct probe *p, const struct probe_field *field,
                      struct probe_values *values);
static void bad_strings(struct probe *p, const struct probe_field *field,
                        struct probe_values *values);
static void bad_numbers(struct probe *p, const struct probe_field *field,
                        struct probe_values *values);
static void bad_enum(struct probe *p, const struct probe_field *field, struct probe_values *values);
static void bad_reference(struct probe *p, const struct probe_field *field, uint32_t owner,
                          struct probe_values *values);

/* libm is not linked for four lines; bounds beyond int64 are whole anyway. */
static double round_down(double value)
{
    if (value >= 9e18 || value <= -9e18)
        return value;
    double whole = (double)(int64_t)value;
    return whole > value ? whole - 1 : whole;
}

static double round_up(double value)
{
    return -round_down(-value);
}

static bool is_whole(double value)
{
    double whole = round_down(value);
    return !(whole < value) && !(whole > value);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double string_min(const struct probe_field *field)
{
    return field->has_min ? field->min : field->required ? 1 : 0;
}

static double string_max(const struct probe_field *field)
{
    return field->has_max ? field->max : PROBE_STRING_MAX;
}

struct mw_str probe_quote(struct mw_arena *arena, struct mw_str text)
{
    size_t cap = 6 * text.len + 3;
    char *memory = mw_arena_alloc(arena, cap);
    struct mw_buf buf;
    struct mw_json json;
    if (memory == NULL)
        return MW_STR("\"\"");
    mw_buf_init(&buf, memory, cap);
    mw_json_init(&json, &buf);
    mw_json_str(&json, text);
    return mw_buf_str(&buf);
}

struct mw_str probe_number(struct mw_arena *arena, double value)
{
    char text[64];
    if (value <= SAFE_INTEGER + 3 && value >= -SAFE_INTEGER - 3 && is_whole(value))
        (void)snprintf(text, sizeof text, "%.0f", value);
    else
        for (int digits = 15; digits <= 17;
             digits++) { /* the shortest that reads back as the same number */
            (void)snprintf(text, sizeof text, "%.*g", digits, value);
            double again = strtod(text, NULL);
            if (!(again < value) && !(again > value))
                break;
        }
    return mw_arena_copy(arena, mw_str_of(text));
}

/* A JSON string of count times unit. */
static struct mw_str filled(struct mw_arena *arena, size_t count, const char *unit)
{
    size_t unit_len = strlen(unit);
    char *text = mw_arena_alloc(arena, count * unit_len + 2);
    if (text == NULL)
        return MW_STR("\"\"");
    text[0] = '"';
    for (size_t i = 0; i < count; i++)
        memcpy(text + 1 + i * unit_len, unit, unit_len);
    text[1 + count * unit_len] = '"';
    return (struct mw_str){text, count * unit_len + 2};
}

static struct mw_str normal_string(struct probe *p, const struct probe_field *field)
{
    struct mw_str words = mw_arena_format(&p->keep, "mwprobe text %u", p->number++);
    size_t min = (size_t)string_min(field);
    size_t max = (size_t)string_max(field);
    if (words.len > max) /* the end differs, so that is what stays */
        words = mw_str_sub(words, words.len - max, max);
    if (words.len >= min)
        return probe_quote(&p->keep, words);
    struct mw_str fill = filled(&p->keep, min, "x");
    char *text = (char *)(uintptr_t)fill.ptr; /* ours: made just now */
    if (fill.len >= words.len + 2)            /* else there was no memory for it */
        memcpy(text + 1, words.ptr, words.len);
    return fill;
}

static double normal_number(struct probe *p, const struct probe_field *field)
{
    double low = field->has_min ? field->min : field->has_max ? least(field->max, 0) : 0;
    double high = field->has_max ? field->max : low + 1000;
    double value = low + (double)(p->number++ % 7) + 1;
    if (value > high)
        value = low;
    if (field->type == PROBE_INTEGER)
        value = round_up(value);
    return value;
}

static struct mw_str enum_value(struct probe *p, const struct probe_field *field, uint32_t index)
{
    const struct mw_tape *tape = p->options->tape;
    return probe_node_json(&p->keep, tape, mw_node_at(tape, field->values, index));
}

static bool is_checked(const struct probe *p, const struct probe_field *field)
{
    return field->entity != PROBE_NONE &&
           p->entities[field->entity].by_effect[PROBE_CREATE] != PROBE_NONE;
}

struct mw_str probe_value_normal(struct probe *p, const struct probe_field *field, uint32_t owner)
{
    switch (field->type) {
    case PROBE_STRING:
        return normal_string(p, field);
    case PROBE_INTEGER:
    case PROBE_NUMBER:
        return probe_number(&p->keep, normal_number(p, field));
    case PROBE_BOOLEAN:
        return p->number++ % 2 == 0 ? MW_STR("true") : MW_STR("false");
    case PROBE_DATE:
        p->number++;
        return mw_arena_format(&p->keep, "\"2026-0%u-1%u\"", 1 + p->number % 9, p->number % 10);
    case PROBE_EMAIL:
        return mw_arena_format(&p->keep, "\"p%u@example.org\"", p->number++);
    case PROBE_ENUM:
        return enum_value(p, field, p->number++ % mw_node_count(p->options->tape, field->values));
    case PROBE_REFERENCE:
        break;
    case PROBE_TYPE_COUNT:
        MW_UNREACHABLE("a count is no type");
    }
    if (!is_checked(p, field))
        return mw_arena_format(&p->keep, "\"elsewhere-%u\"", p->number++);
    uint32_t anchor = probe_anchor(p, field->entity, owner);
    return anchor == PROBE_NONE ? MW_STR_NONE : probe_quote(&p->keep, p->records[anchor].id);
}

struct mw_str probe_value_not(struct probe *p, const struct probe_field *field, uint32_t owner,
                              struct mw_str other)
{
    if (field->type == PROBE_REFERENCE && is_checked(p, field)) {
        uint32_t fresh = probe_fresh(p, field->entity, owner, "a second one to refer to");
        return fresh == PROBE_NONE ? MW_STR_NONE : probe_quote(&p->keep, p->records[fresh].id);
    }
    for (int attempt = 0; attempt < 16; attempt++) {
        struct mw_str value = probe_value_normal(p, field, owner);
        if (value.ptr != NULL && !mw_str_eq(value, other))
            return value;
    }
    return MW_STR_NONE;
}

void probe_values_good(struct probe *p, const struct probe_field *field, uint32_t owner,
                       struct probe_values *ret_values)
{
    struct probe_values *values = ret_values;
    values->count = 0;
    switch (field->type) {
    case PROBE_STRING:
        good_string(p, field, values);
        break;
    case PROBE_INTEGER:
    case PROBE_NUMBER:
        good_number(p, field, values);
        break;
    case PROBE_BOOLEAN:
        add(values, MW_STR("true"), MW_STR("true"));
        add(values, MW_STR("false"), MW_STR("false"));
        break;
    case PROBE_DATE:
        for (size_t i = 0; i < MW_COUNT(good_dates); i++)
            add(values, probe_quote(&p->keep, mw_str_of(good_dates[i])), mw_str_of(good_dates[i]));
        break;
    case PROBE_EMAIL:
        for (size_t i = 0; i < MW_COUNT(good_emails); i++)
            add(values, probe_quote(&p->keep, mw_str_of(good_emails[i])),
                mw_str_of(good_emails[i]));
        if (!field->has_max || field->max >= EMAIL_MAX) {
            struct mw_str local = filled(&p->keep, EMAIL_MAX - 12, "l");
            add(values,
                mw_arena_format(&p->keep, "%.*s@example.org\"", (int)local.len - 1, local.ptr),
                MW_STR("of 254 characters"));
        }
        break;
    case PROBE_ENUM:
        for (uint32_t i = 0; i < mw_node_count(p->options->tape, field->values); i++)
            add(values, enum_value(p, field, i), enum_value(p, field, i));
        break;
    case PROBE_REFERENCE: {
        struct mw_str value = probe_value_normal(p, field, owner);
        if (value.ptr != NULL)
            add(values, value, MW_STR("of an existing record"));
        break;
    }
    case PROBE_TYPE_COUNT:
        MW_UNREACHABLE("a count is no type");
    }
}

static void good_string(struct probe *p, const struct probe_field *field,
                        struct probe_values *values)
{
    double min = string_min(field);
    double max = string_max(field);
    add(values, filled(&p->keep, (size_t)min, "m"),
        mw_arena_format(&p->keep, "of %u characters", (unsigned)min));
    if (max <= BIG_STRING_BYTES)
        add(values, filled(&p->keep, (size_t)max, "M"),
            mw_arena_format(&p->keep, "of %u characters", (unsigned)max));
    if (max * 4 <= BIG_STRING_BYTES)
        add(values, filled(&p->keep, (size_t)max, "\xf0\x9f\x98\x80"),
            mw_arena_format(&p->keep, "of %u emoji", (unsigned)max));
    for (size_t i = 0; i < MW_COUNT(unicode_strings); i++)
        if (unicode_strings[i].length >= min && unicode_strings[i].length <= max)
            add(values, mw_arena_format(&p->keep, "\"%s\"", unicode_strings[i].inner),
                mw_arena_format(&p->keep, "with %s", unicode_strings[i].label));
}

static void good_number(struct probe *p, const struct probe_field *field,
                        struct probe_values *values)
{
    static const double integers[] = {0, 1, -1, 42, SAFE_INTEGER, -SAFE_INTEGER};
    static const double numbers[] = {0, 1, -1.5, 0.1, 1234.5678, 1e10, 1e-7};
    bool whole = field->type == PROBE_INTEGER;
    const double *some = whole ? integers : numbers;
    size_t count = whole ? MW_COUNT(integers) : MW_COUNT(numbers);
    double low = whole ? round_up(field->min) : field->min;
    double high = whole ? round_down(field->max) : field->max;
    if (field->has_min)
        add(values, probe_number(&p->keep, low), probe_number(&p->keep, low));
    if (field->has_max)
        add(values, probe_number(&p->keep, high), probe_number(&p->keep, high));
    for (size_t i = 0; i < count; i++)
        if ((!field->has_min || some[i] >= field->min) &&
            (!field->has_max || some[i] <= field->max))
            add(values, probe_number(&p->keep, some[i]), probe_number(&p->keep, some[i]));
}

void probe_values_bad(struct probe *p, const struct probe_field *field, uint32_t owner,
                      struct probe_values *ret_values)
{
    struct probe_values *values = ret_values;
    values->count = 0;
    bad_types(p, field, values);
    switch (field->type) {
    case PROBE_STRING:
        bad_strings(p, field, values);
        break;
    case PROBE_INTEGER:
    case PROBE_NUMBER:
        bad_numbers(p, field, values);
        break;
    case PROBE_BOOLEAN:
        break;
    case PROBE_DATE:
        for (size_t i = 0; i < MW_COUNT(bad_dates); i++)
            add(values, probe_quote(&p->keep, mw_str_of(bad_dates[i])),
                bad_dates[i][0] != '\0' ? mw_str_of(bad_dates[i]) : MW_STR("that is empty"));
        break;
    case PROBE_EMAIL:
        for (size_t i = 0; i < MW_COUNT(bad_emails); i++)
            add(values, mw_arena_format(&p->keep, "\"%s\"", bad_emails[i]),
                bad_emails[i][0] != '\0' ? mw_str_of(bad_emails[i]) : MW_STR("that is empty"));
        add(values,
            mw_arena_format(&p->keep, "%.*s@example.org\"", EMAIL_MAX - 10,
                            filled(&p->keep, EMAIL_MAX - 11, "l").ptr),
            MW_STR("of 255 characters"));
        break;
    case PROBE_ENUM:
        bad_enum(p, field, values);
        break;
    case PROBE_REFERENCE:
        bad_reference(p, field, owner, values);
        break;
    case PROBE_TYPE_COUNT:
        MW_UNREACHABLE("a count is no type");
    }
}

static bool is_string_type(enum probe_type type)
{
    return type != PROBE_INTEGER && type != PROBE_NUMBER && type != PROBE_BOOLEAN;
}

static void bad_types(struct probe *p, const struct probe_field *field, struct probe_values *values)
{
    (void)p;
    if (is_string_type(field->type))
        add(values, MW_STR("7"), MW_STR("that is a number"));
    else if (field->type == PROBE_BOOLEAN) {
        add(values, MW_STR("1"), MW_STR("that is a number"));
        add(values, MW_STR("\"true\""), MW_STR("that is a string"));
    } else
        add(values, MW_STR("\"5\""), MW_STR("that is a string"));
    if (field->type != PROBE_BOOLEAN)
        add(values, MW_STR("true"), MW_STR("that is a boolean"));
    add(values, MW_STR("[]"), MW_STR("that is an array"));
    add(values, MW_STR("{}"), MW_STR("that is an object"));
}

static void bad_strings(struct probe *p, const struct probe_field *field,
                        struct probe_values *values)
{
    double min = string_min(field);
    double max = string_max(field);
    if (min > 0)
        add(values, filled(&p->keep, (size_t)min - 1, "m"),
            mw_arena_format(&p->keep, "of %u characters", (unsigned)min - 1));
    if (min > 1 && min * 4 <= BIG_STRING_BYTES) /* code points count, not units of some encoding */
        add(values, filled(&p->keep, (size_t)min - 1, "\xf0\x9f\x98\x80"),
            mw_arena_format(&p->keep, "of %u emoji", (unsigned)min - 1));
    if (max <= BIG_STRING_BYTES)
        add(values, filled(&p->keep, (size_t)max + 1, "M"),
            mw_arena_format(&p->keep, "of %u characters", (unsigned)max + 1));
}

static void bad_numbers(struct probe *p, const struct probe_field *field,
                        struct probe_values *values)
{
    if (field->has_min) {
        struct mw_str below = probe_number(&p->keep, field->min - 1);
        add(values, below, mw_arena_format(&p->keep, "%.*s, below its least", MW_STR_ARG(below)));
    }
    if (field->has_max) {
        struct mw_str above = probe_number(&p->keep, field->max + 1);
        add(values, above, mw_arena_format(&p->keep, "%.*s, above its most", MW_STR_ARG(above)));
    }
    if (field->type != PROBE_INTEGER)
        return;
    double inside = field->has_min ? field->min : field->has_max ? least(0, field->max - 1) : 0;
    struct mw_str broken = probe_number(&p->keep, round_down(inside) + 0.5);
    add(values, broken, mw_arena_format(&p->keep, "%.*s, not whole", MW_STR_ARG(broken)));
    if (!field->has_max || field->max > SAFE_INTEGER)
        add(values, MW_STR("9007199254740994"), MW_STR("beyond 2^53"));
    if (!field->has_min || field->min < -SAFE_INTEGER)
        add(values, MW_STR("-9007199254740994"), MW_STR("beyond -2^53"));
}

static void bad_enum(struct probe *p, const struct probe_field *field, struct probe_values *values)
{
    static const char *const others[] = {"\"mwprobe-unlisted\"", "\"\"", "\"constructor\""};
    uint32_t count = mw_node_count(p->options->tape, field->values);
    for (size_t i = 0; i < MW_COUNT(others); i++) {
        bool listed = false;
        for (uint32_t k = 0; k < count; k++)
            listed = listed || mw_str_is(enum_value(p, field, k), others[i]);
        if (!listed)
            add(values, mw_str_of(others[i]),
                mw_arena_format(&p->keep, "%s, not one of its values", others[i]));
    }
}

static void bad_reference(struct probe *p, const struct probe_field *field, uint32_t owner,
                          struct probe_values *values)
{
    add(values, MW_STR("\"\""), MW_STR("that is empty"));
    if (!is_checked(p, field))
        return;
    add(values, MW_STR("\"3b241101-e2bb-4255-8caf-4136c566a962\""), MW_STR("of no record"));
    add(values, MW_STR("\"nothing\""), MW_STR("that is no id"));
    if (!p->auth)
        return;
    uint32_t foreign = probe_anchor(p, field->entity, 1 - owner);
    if (foreign != PROBE_NONE)
        add(values, probe_quote(&p->keep, p->records[foreign].id),
            MW_STR("of another user's record"));
}

static void add(struct probe_values *values, struct mw_str json, struct mw_str label)
{
    if (values->count == PROBE_VALUES_MAX)
        return;
    for (uint32_t i = 0; i < values->count; i++)
        if (mw_str_eq(values->items[i].json, json))
            return;
    values->items[values->count++] = (struct probe_value){json, label};
}
