/*
 * quick.c - reads the lines that this code wrote itself, which is nearly every line of a replay: members in the order of the table, no blanks,
 * no escapes. Whatever is spelt otherwise goes to the whole reader (codec.c), so nothing is read here that it would read differently.
 */
#include "base/json_text.h"
#include "msg/fields.h"

struct quick {
    const char *at;
    const char *end;
    struct mw_str line;
};

static bool take(struct quick *quick, struct mw_str text)
{
    if ((size_t)(quick->end - quick->at) < text.len || memcmp(quick->at, text.ptr, text.len) != 0)
        return false;
    quick->at += text.len;
    return true;
}

/* Behind the opening quote. ASCII only; anything that needs care ends it. */
static bool take_text(struct quick *quick, struct mw_str *ret_text)
{
    const char *from = quick->at;
    const char *at = json_skip_plain(from, quick->end);
    if (at == quick->end || *at != '"')
        return false;
    *ret_text = (struct mw_str){from, (size_t)(at - from)};
    quick->at = at + 1;
    return true;
}

static bool take_number(struct quick *quick, uint64_t *ret_value)
{
    const char *from = quick->at;
    const char *at = from;
    uint64_t value = 0;
    while (at < quick->end && *at >= '0' && *at <= '9')
        value = value * 10 + (uint64_t)(*at++ - '0');
    if (at == from || at - from > 18 || (*from == '0' && at - from > 1) || at == quick->end ||
        (*at != ',' && *at != '}'))
        return false;
    *ret_value = value;
    quick->at = at;
    return true;
}

/* An object or array, kept as text. */
static bool take_raw(struct quick *quick, struct mw_str *ret_text)
{
    size_t from = (size_t)(quick->at - quick->line.ptr);
    if (quick->at == quick->end || (*quick->at != '{' && *quick->at != '['))
        return false;
    size_t to = mw_json_skip(quick->line, from);
    if (to == 0)
        return false;
    *ret_text = (struct mw_str){quick->at, to - from};
    quick->at = quick->line.ptr + to;
    return true;
}

static bool take_value(struct quick *quick, const struct field *field, struct mw_event *event)
{
    char *at = (char *)event + field->offset;
    uint64_t number;
    bool negative;
    switch ((enum field_type)field->type) {
    case FIELD_STR:
        return take(quick, MW_STR("\"")) && take_text(quick, (struct mw_str *)(void *)at);
    case FIELD_RAW:
        return take_raw(quick, (struct mw_str *)(void *)at);
    case FIELD_U64:
        return take_number(quick, (uint64_t *)(void *)at);
    case FIELD_I64:
        negative = take(quick, MW_STR("-"));
        if (!take_number(quick, &number))
            return false;
        *(int64_t *)(void *)at = negative ? -(int64_t)number : (int64_t)number;
        return true;
    case FIELD_BOOL:
        *(bool *)at = true;
        return take(quick, MW_STR("true"));
    }
    return false;
}

/* `"key":` has been read. *at: where the table goes on, so that no member can come twice or out of turn. */
static bool take_member(struct quick *quick, struct mw_str key, enum field_place place,
                        uint32_t *table_at, struct mw_event *event)
{
    for (uint32_t i = *table_at; i < MW_COUNT(fields); i++)
        if (fields[i].key_len == key.len && fields[i].place == place &&
            memcmp(fields[i].key, key.ptr, key.len) == 0) {
            *table_at = i + 1;
            return take_value(quick, &fields[i], event);
        }
    return false;
}

static bool take_key(struct quick *quick, struct mw_str *ret_key)
{
    return take(quick, MW_STR("\"")) && take_text(quick, ret_key) && take(quick, MW_STR(":"));
}

/* Behind the payload's opening brace. */
static bool take_payload(struct quick *quick, struct mw_event *event)
{
    uint32_t table_at = 0;
    struct mw_str key;
    if (take(quick, MW_STR("}")))
        return true;
    do {
        if (!take_key(quick, &key) || !take_member(quick, key, PLACE_PAYLOAD, &table_at, event))
            return false;
    } while (take(quick, MW_STR(",")));
    return take(quick, MW_STR("}"));
}

bool event_read_quick(struct mw_str line, struct mw_event *ret_event)
{
    struct quick quick = {line.ptr, line.ptr + line.len, line};
    struct mw_str key;
    uint32_t table_at = 0;
    bool paid = false;
    if (!take(&quick, MW_STR("{\"kind\":\"")) || !take_text(&quick, &key))
        return false;
    enum mw_event_kind kind = mw_event_by_kind(key);
    if (kind == MW_EVENT_COUNT)
        return false;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->kind = kind;
    event_begin_implied(ret_event);
    while (take(&quick, MW_STR(","))) {
        if (!take_key(&quick, &key))
            return false;
        if (mw_str_eq(key, MW_STR("payload"))) {
            bool good = paid ? false
                        : event_payload_is_body(kind)
                            ? take_raw(&quick, &ret_event->body) && ret_event->body.ptr[0] == '{'
                            : take(&quick, MW_STR("{")) && take_payload(&quick, ret_event);
            if (!good)
                return false;
            paid = true;
        } else if (!take_member(&quick, key, PLACE_ENV, &table_at, ret_event)) {
            return false;
        }
    }
    return take(&quick, MW_STR("}")) && quick.at == quick.end;
}
