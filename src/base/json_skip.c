/* json_skip.c - where a JSON value ends, for readers that keep it as text and need no tape of it. */
#include "base/json.h"
#include "base/json_text.h"

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* From the opening quote to behind the closing one. NULL: not a string, or one with \u, which the whole reader has to look at. */
static const char *skip_string(const char *at, const char *end)
{
    if (at == end || *at != '"')
        return NULL;
    for (at++; (at = json_skip_plain(at, end)) < end;) {
        size_t length;
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            if (end - at < 2 || memchr("\"\\/bfnrt", at[1], 8) == NULL)
                return NULL;
            at += 2;
        } else if ((unsigned char)*at >= 0x80 && (length = json_utf8_sequence(at, end)) > 0) {
            at += length;
        } else {
            return NULL;
        }
    }
    return NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > from ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    if (*at == '-')
        at++;
    const char *digits = at;
    at = skip_digits(at, end);
    if (at == NULL || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.')
        at = skip_digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = skip_digits(at, end);
    }
    return at;
}

static const char *skip_word(const char *at, const char *end, struct mw_str word)
{
    return (size_t)(end - at) >= word.len && memcmp(at, word.ptr, word.len) == 0 ? at + word.len
                                                                                 : NULL;
}

static const char *skip_scalar(const char *at, const char *end)
{
    MW_ASSERT(at < end);
    switch (*at) {
    case '"':
        return skip_string(at, end);
    case 't':
        return skip_word(at, end, MW_STR("true"));
    case 'f':
        return skip_word(at, end, MW_STR("false"));
    case 'n':
        return skip_word(at, end, MW_STR("null"));
    default:
        return skip_number(at, end);
    }
}

/* "key" and ':' and what is between. */
static const char *skip_key(const char *at, const char *end)
{
    at = skip_string(at, end);
    if (at == NULL || (at = skip_space(at, end)) == end || *at != ':')
        return NULL;
    return skip_space(at + 1, end);
}

size_t mw_json_skip(struct mw_str text, size_t from)
{
    MW_ASSERT(from <= text.len);
    const char *at = text.ptr + from;
    const char *end = text.ptr + text.len;
    uint64_t objects = 0; /* bit d: the container at depth d + 1 is an object */
    uint32_t depth = 0;
    while (at != NULL && at < end) {
        if (*at == '{' || *at == '[') {
            bool object = *at == '{';
            if (depth == MW_JSON_DEPTH_MAX)
                return 0;
            objects = object ? objects | (uint64_t)1 << depth : objects & ~((uint64_t)1 << depth);
            depth++;
            at = skip_space(at + 1, end);
            if (at == end)
                return 0;
            if (*at != (object ? '}' : ']')) {
                at = object ? skip_key(at, end) : at;
                continue;
            }
            at++;
            depth--;
        } else {
            at = skip_scalar(at, end);
        }
        while (at != NULL && depth > 0) {
            bool object = (objects >> (depth - 1) & 1) != 0;
            at = skip_space(at, end);
            if (at < end && *at == ',') {
                at = skip_space(at + 1, end);
                at = object ? skip_key(at, end) : at;
                break;
            }
            at = at < end && *at == (object ? '}' : ']') ? at + 1 : NULL;
            depth--;
        }
        if (at != NULL && depth == 0)
            return (size_t)(at - text.ptr);
    }
    return 0;
}

/* Seldom are there so many at all: that is asked first. */
static bool has_more(struct mw_str text, uint32_t levels)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '{' || text.ptr[i] == '[';
    return count > levels;
}

bool mw_json_is_deeper(struct mw_str text, uint32_t levels)
{
    uint32_t depth = 0;
    bool quoted = false;
    if (!has_more(text, levels))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (depth++ == levels)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}
