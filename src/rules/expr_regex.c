/*
 * expr_regex.c - text.matches(pattern): regular expressions of CEL (RE2's syntax, without its Unicode classes, flags and POSIX names).
 *
 * A pattern becomes a program whose threads all take one character at a time, so no pattern is slow: each step costs what it looks at.
 * It says whether the pattern is found anywhere; so greedy and lazy, and which group took what, make no difference.
 */
#include "rules/expr_internal.h"

#include <string.h>

#define PROGRAM_MAX 2048 /* instructions, after counted repetitions were written out */
#define RANGES_MAX 1024
#define GROUPS_MAX 50   /* inside each other */
#define REPEAT_MAX 1000 /* RE2's own */
#define CODE_POINT_MAX 0x10ffffu

enum step_kind {
    STEP_SET,  /* one character of (or not of) ranges */
    STEP_FORK, /* two ways on */
    STEP_JUMP,
    STEP_BEGIN,
    STEP_END,
    STEP_BORDER, /* between a word's character and another, or not */
    STEP_FOUND
};

/* Ways are relative, so that a piece of program can be copied. */
struct step {
    uint8_t kind;
    bool negated;
    int32_t first; /* FORK, JUMP: way on. SET: index of the first range */
    int32_t other; /* FORK: the other way. SET: count of ranges */
};

struct range {
    uint32_t from, to;
};

struct regex {
    struct expr_eval *eval;
    const struct expr_node *node;
    struct mw_str text; /* the pattern */
    size_t at;
    unsigned depth;
    struct step *steps; /* arena, PROGRAM_MAX */
    int32_t count;
    struct range *ranges; /* arena, RANGES_MAX */
    int32_t range_count;
};

static bool refuse(struct regex *regex, const char *what)
{
    return expr_fail(regex->eval, regex->node, MW_EXPR_MISMATCH,
                     mw_arena_format(regex->eval->arena, "pattern, character %lu: %s",
                                     (unsigned long)regex->at + 1, what));
}

/* The code point at *at, which is moved behind it; the text is well-formed. */
static uint32_t take_character(struct mw_str text, size_t *at)
{
    static const uint8_t lead_bits[] = {0x7f, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *byte = (const unsigned char *)text.ptr + *at;
    size_t count = byte[0] < 0x80 ? 1 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    uint32_t point = byte[0] & lead_bits[count];
    for (size_t i = 1; i < count; i++)
        point = point << 6 | (byte[i] & 0x3fu);
    *at += count;
    return point;
}

static bool here(const struct regex *regex, char c)
{
    return regex->at < regex->text.len && regex->text.ptr[regex->at] == c;
}

static bool take(struct regex *regex, const char *words)
{
    struct mw_str rest = mw_str_sub(regex->text, regex->at, regex->text.len);
    bool found = mw_str_starts(rest, mw_str_of(words));
    regex->at += found ? strlen(words) : 0;
    return found;
}

/* Makes room for one step at index; what was there and behind moves on as a whole. */
static bool insert(struct regex *regex, int32_t index, struct step step)
{
    if (regex->count == PROGRAM_MAX)
        return refuse(regex, "the pattern is too large");
    memmove(&regex->steps[index + 1], &regex->steps[index],
            (size_t)(regex->count - index) * sizeof *regex->steps);
    regex->steps[index] = step;
    regex->count++;
    return true;
}

static bool append(struct regex *regex, struct step step)
{
    return insert(regex, regex->count, step);
}

static bool add_range(struct regex *regex, uint32_t from, uint32_t to)
{
    if (regex->range_count == RANGES_MAX)
        return refuse(regex, "the pattern is too large");
    regex->ranges[regex->range_count++] = (struct range){from, to};
    return true;
}

/* \d \w \s and their opposites as ranges; false when c is none of them. *ret_added: there was room. */
static bool add_named(struct regex *regex, char c, bool *ret_added)
{
    static const struct {
        char name;
        struct range ranges[5];
        unsigned count;
    } sets[] = {
        {'d', {{'0', '9'}}, 1},
        {'D', {{0, '0' - 1}, {'9' + 1, CODE_POINT_MAX}}, 2},
        {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
        {'W',
         {{0, '0' - 1},
          {'9' + 1, 'A' - 1},
          {'Z' + 1, '_' - 1},
          {'`', '`'},
          {'z' + 1, CODE_POINT_MAX}},
         5},
        {'s', {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}, 3},
        {'S', {{0, '\t' - 1}, {'\v', '\v'}, {'\r' + 1, ' ' - 1}, {' ' + 1, CODE_POINT_MAX}}, 4},
    };
    for (size_t i = 0; i < MW_COUNT(sets); i++) {
        if (sets[i].name != c)
            continue;
        *ret_added = true;
        for (unsigned r = 0; r < sets[i].count && *ret_added; r++)
            *ret_added = add_range(regex, sets[i].ranges[r].from, sets[i].ranges[r].to);
        return true;
    }
    return false;
}

/* After a backslash: the character that it stands for. */
static bool take_escaped(struct regex *regex, uint32_t *ret_point)
{
    static const char from[] = "afnrtv";
    static const char to[] = "\a\f\n\r\t\v";
    if (regex->at == regex->text.len)
        return refuse(regex, "a backslash at the end");
    char c = regex->text.ptr[regex->at];
    const char *hit = memchr(from, c, sizeof from - 1);
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (hit == NULL && is_letter)
        return refuse(regex, "an escape that is not known");
    uint32_t point = take_character(regex->text, &regex->at);
    *ret_point = hit != NULL ? (uint32_t)to[hit - from] : point;
    return true;
}

/* One character of a set, or one end of a range. */
static bool take_set_character(struct regex *regex, uint32_t *ret_point)
{
    if (regex->at == regex->text.len)
        return refuse(regex, "a set without ]");
    if (take(regex, "\\"))
        return take_escaped(regex, ret_point);
    *ret_point = take_character(regex->text, &regex->at);
    return true;
}

/* Behind the [. A ] that stands first means itself. */
static bool parse_set(struct regex *regex)
{
    struct step step = {.kind = STEP_SET, .negated = take(regex, "^"), .first = regex->range_count};
    bool first = true, added = false;
    for (; first || !here(regex, ']'); first = false) {
        uint32_t from, to;
        size_t at = regex->at;
        if (take(regex, "[:"))
            return refuse(regex, "a set's name is not known");
        if (take(regex, "\\") && regex->at < regex->text.len &&
            add_named(regex, regex->text.ptr[regex->at], &added)) {
            if (!added)
                return false;
            regex->at++;
            continue;
        }
        regex->at = at;
        if (!take_set_character(regex, &from))
            return false;
        to = from;
        at = regex->at;
        if (take(regex, "-") && !here(regex, ']')) {
            if (!take_set_character(regex, &to))
                return false;
        } else {
            regex->at = at;
        }
        if (to < from)
            return refuse(regex, "a range that ends before it begins");
        if (!add_range(regex, from, to))
            return false;
    }
    regex->at++;
    step.other = regex->range_count - step.first;
    return append(regex, step);
}

static bool parse_alternatives(struct regex *regex);

static bool parse_group(struct regex *regex)
{
    if (!take(regex, "?:") && here(regex, '?'))
        return refuse(regex, "flags and names of groups are not known");
    if (++regex->depth > GROUPS_MAX)
        return refuse(regex, "more than 50 groups inside each other");
    if (!parse_alternatives(regex))
        return false;
    regex->depth--;
    if (take(regex, ")"))
        return true;
    return refuse(regex, "a group without )");
}

static bool append_character(struct regex *regex, uint32_t point)
{
    struct step step = {.kind = STEP_SET, .first = regex->range_count, .other = 1};
    return add_range(regex, point, point) && append(regex, step);
}

static bool parse_escape(struct regex *regex)
{
    struct step step = {.kind = STEP_SET, .first = regex->range_count};
    bool added = false;
    uint32_t point;
    if (take(regex, "b") || take(regex, "B"))
        return append(regex, (struct step){.kind = STEP_BORDER,
                                           .negated = regex->text.ptr[regex->at - 1] == 'B'});
    if (take(regex, "A"))
        return append(regex, (struct step){.kind = STEP_BEGIN});
    if (take(regex, "z"))
        return append(regex, (struct step){.kind = STEP_END});
    if (regex->at < regex->text.len && add_named(regex, regex->text.ptr[regex->at], &added)) {
        regex->at++;
        step.other = regex->range_count - step.first;
        return added && append(regex, step);
    }
    return take_escaped(regex, &point) && append_character(regex, point);
}

/* What a repetition can follow. */
static bool parse_atom(struct regex *regex)
{
    if (take(regex, "("))
        return parse_group(regex);
    if (take(regex, "["))
        return parse_set(regex);
    if (take(regex, "\\"))
        return parse_escape(regex);
    if (take(regex, "^"))
        return append(regex, (struct step){.kind = STEP_BEGIN});
    if (take(regex, "$"))
        return append(regex, (struct step){.kind = STEP_END});
    if (take(regex, "."))
        return add_range(regex, '\n', '\n') &&
               append(regex, (struct step){.kind = STEP_SET,
                                           .negated = true,
                                           .first = regex->range_count - 1,
                                           .other = 1});
    if (here(regex, '*') || here(regex, '+') || here(regex, '?'))
        return refuse(regex, "nothing to repeat");
    return append_character(regex, take_character(regex->text, &regex->at));
}

/* Digits at *at; -1 when there are none or too many. */
static int32_t take_count(const struct regex *regex, size_t *at)
{
    int32_t count = -1;
    for (; *at < regex->text.len && regex->text.ptr[*at] >= '0' && regex->text.ptr[*at] <= '9';
         ++*at)
        count = (count < 0            ? 0
                 : count > REPEAT_MAX ? REPEAT_MAX
                                      : count) *
                    10 +
                (regex->text.ptr[*at] - '0');
    return count;
}

/* A repetition at the current place. *ret_max: -1 without end. False: there is none; a { that says none means itself. */
static bool take_repetition(struct regex *regex, int32_t *ret_min, int32_t *ret_max)
{
    size_t at = regex->at + 1;
    *ret_min = here(regex, '+') ? 1 : 0;
    *ret_max = here(regex, '?') ? 1 : -1;
    if (here(regex, '{')) {
        *ret_min = *ret_max = take_count(regex, &at);
        if (*ret_min >= 0 && at < regex->text.len && regex->text.ptr[at] == ',') {
            at++;
            *ret_max = take_count(regex, &at);
        }
        if (*ret_min < 0 || at >= regex->text.len || regex->text.ptr[at++] != '}')
            return false;
    } else if (!here(regex, '*') && !here(regex, '+') && !here(regex, '?')) {
        return false;
    }
    regex->at = at;
    (void)take(regex, "?"); /* lazy: found is found */
    return true;
}

static bool copy_piece(struct regex *regex, int32_t from, int32_t length)
{
    for (int32_t i = 0; i < length; i++)
        if (!append(regex, regex->steps[from + i]))
            return false;
    return true;
}

/* The piece from `from` to the end, repeated: its copies that must be, then those that may. */
static bool repeat(struct regex *regex, int32_t from, int32_t min, int32_t max)
{
    int32_t length = regex->count - from;
    if (min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && max < min))
        return refuse(regex, "a repetition that cannot be; 1000 times at most");
    if (max == 0) {
        regex->count = from;
        return true;
    }
    for (int32_t i = 1; i < min; i++)
        if (!copy_piece(regex, from, length))
            return false;
    if (max < 0 && min > 0) /* back into the last copy, or on */
        return append(regex, (struct step){.kind = STEP_FORK, .first = -length, .other = 1});
    if (max < 0)
        return insert(regex, from,
                      (struct step){.kind = STEP_FORK, .first = 1, .other = length + 2}) &&
               append(regex, (struct step){.kind = STEP_JUMP, .first = -(length + 1)});
    /* Each that may be is passed by together with all behind it. */
    for (int32_t left = max - min; left > 0; left--) {
        struct step fork = {.kind = STEP_FORK, .first = 1, .other = (length + 1) * left};
        bool is_first = min == 0 && left == max;
        bool done =
            is_first ? insert(regex, from, fork)
                     : append(regex, fork) && copy_piece(regex, from + (min == 0 ? 1 : 0), length);
        if (!done)
            return false;
    }
    return true;
}

static bool parse_sequence(struct regex *regex)
{
    while (regex->at < regex->text.len && !here(regex, '|') && !here(regex, ')')) {
        int32_t from = regex->count, min, max;
        if (!expr_charge(regex->eval, regex->node, 1) || !parse_atom(regex))
            return false;
        if (take_repetition(regex, &min, &max) && !repeat(regex, from, min, max))
            return false;
        if (here(regex, '*') || here(regex, '+') || here(regex, '?'))
            return refuse(regex, "a repetition of a repetition");
    }
    return true;
}

static bool parse_alternatives(struct regex *regex)
{
    int32_t from = regex->count;
    if (!parse_sequence(regex))
        return false;
    while (take(regex, "|")) {
        int32_t length = regex->count - from;
        if (!insert(regex, from,
                    (struct step){.kind = STEP_FORK, .first = 1, .other = length + 2}) ||
            !append(regex, (struct step){.kind = STEP_JUMP}))
            return false;
        int32_t jump = regex->count - 1;
        if (!parse_sequence(regex))
            return false;
        regex->steps[jump].first = regex->count - jump;
    }
    return true;
}

/* The threads that wait for the next character, each once. */
struct threads {
    int32_t *at;    /* arena */
    uint32_t *seen; /* arena: by step, the round in which it was reached */
    int32_t count;
};

struct place {
    struct mw_str text;
    size_t at;
};

static bool is_word(struct mw_str text, size_t at)
{
    char c = at < text.len ? text.ptr[at] : ' ';
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* May a thread pass a step that takes no character? */
static bool passes(const struct step *step, const struct place *place)
{
    switch (step->kind) {
    case STEP_BEGIN:
        return place->at == 0;
    case STEP_END:
        return place->at == place->text.len;
    default: {
        bool before = place->at > 0 && is_word(place->text, place->at - 1);
        return (before != is_word(place->text, place->at)) != step->negated;
    }
    }
}

/* Follows all ways from step that need no character. True: one of them has found it. stack: PROGRAM_MAX places. */
static bool follow(const struct regex *regex, const struct place *place, int32_t start,
                   uint32_t round, struct threads *threads, int32_t *stack)
{
    int32_t height = 0;
    stack[height++] = start;
    while (height > 0) {
        int32_t at = stack[--height];
        const struct step *step = &regex->steps[at];
        if (threads->seen[at] == round)
            continue;
        threads->seen[at] = round;
        switch ((enum step_kind)step->kind) {
        case STEP_FOUND:
            return true;
        case STEP_SET:
            threads->at[threads->count++] = at;
            break;
        case STEP_FORK:
            stack[height++] = at + step->other;
            stack[height++] = at + step->first;
            break;
        case STEP_JUMP:
            stack[height++] = at + step->first;
            break;
        default:
            if (passes(step, place))
                stack[height++] = at + 1;
        }
    }
    return false;
}

static bool takes(const struct regex *regex, const struct step *step, uint32_t point)
{
    bool inside = false;
    for (int32_t i = 0; i < step->other && !inside; i++)
        inside = point >= regex->ranges[step->first + i].from &&
                 point <= regex->ranges[step->first + i].to;
    return inside != step->negated;
}

static bool search(struct regex *regex, struct mw_str text, bool *ret_found)
{
    struct mw_arena *arena = regex->eval->arena;
    size_t size = (size_t)regex->count;
    struct threads now = {.at = mw_arena_array(arena, int32_t, size), .count = 0};
    struct threads next = {.at = mw_arena_array(arena, int32_t, size), .count = 0};
    /* A step is on the stack twice at most: each is expanded once, into two. */
    int32_t *stack = mw_arena_array(arena, int32_t, 2 * size + 2);
    struct place place = {text, 0};
    now.seen = next.seen = mw_arena_array(arena, uint32_t, size);
    if (arena->exhausted)
        return expr_fail(regex->eval, regex->node, MW_EXPR_LIMIT,
                         MW_STR("no memory left for the pattern"));
    *ret_found = follow(regex, &place, 0, 1, &now, stack);
    for (uint32_t round = 2; place.at < text.len && !*ret_found; round++) {
        uint32_t point = take_character(text, &place.at);
        if (!expr_charge(regex->eval, regex->node, 1 + (size_t)now.count / 8))
            return false;
        next.count = 0;
        for (int32_t i = 0; i < now.count && !*ret_found; i++)
            if (takes(regex, &regex->steps[now.at[i]], point))
                *ret_found = follow(regex, &place, now.at[i] + 1, round, &next, stack);
        /* It may begin anywhere. */
        if (!*ret_found)
            *ret_found = follow(regex, &place, 0, round, &next, stack);
        struct threads swap = now;
        now = next;
        next = swap;
    }
    return true;
}

bool expr_call_matches(struct expr_eval *eval, const struct expr_node *node,
                       const struct mw_value *arguments, struct mw_value *ret_value)
{
    struct regex regex = {.eval = eval, .node = node, .text = arguments[1].text};
    bool found = false;
    if (arguments[0].type != MW_VALUE_STRING || arguments[1].type != MW_VALUE_STRING)
        return expr_fail(eval, node, MW_EXPR_MISMATCH, MW_STR("matches is of two strings"));
    size_t used_bytes = eval->arena->used_bytes;
    regex.steps = mw_arena_array(eval->arena, struct step, PROGRAM_MAX);
    regex.ranges = mw_arena_array(eval->arena, struct range, RANGES_MAX);
    if (eval->arena->exhausted)
        return expr_fail(eval, node, MW_EXPR_LIMIT, MW_STR("no memory left for the pattern"));
    /* What the program costs to be made room for is paid too. */
    if (!expr_charge(eval, node, PROGRAM_MAX / 32) || !parse_alternatives(&regex))
        return false;
    if (regex.at < regex.text.len)
        return refuse(&regex, "a ) without a group");
    if (!append(&regex, (struct step){.kind = STEP_FOUND}) ||
        !search(&regex, arguments[0].text, &found))
        return false;
    eval->arena->used_bytes = used_bytes; /* a boolean points to nothing */
    *ret_value = expr_bool(found);
    return true;
}
