#include "builtin/blueprint.h"

#include <string.h>

static const char *const type_names[MW_BP_TYPE_COUNT] = {
    "string", "integer", "number", "boolean", "date", "email", "enum", "reference"};
static const char *const effect_names[MW_BP_EFFECT_COUNT] = {
    "create", "read", "list", "update", "delete", "set", "assign", "increment"};

static bool index_of(const char *const *names, uint32_t count, struct mw_str name,
                     uint32_t *ret_index)
{
    for (uint32_t i = 0; i < count; i++)
        if (mw_str_is(name, names[i])) {
            *ret_index = i;
            return true;
        }
    return false;
}

const char *mw_bp_type_name(enum mw_bp_type type)
{
    MW_ASSERT(type < MW_BP_TYPE_COUNT);
    return type_names[type];
}

bool mw_bp_type_of(struct mw_str name, enum mw_bp_type *ret_type)
{
    uint32_t index = 0;
    if (!index_of(type_names, MW_BP_TYPE_COUNT, name, &index))
        return false;
    *ret_type = (enum mw_bp_type)index;
    return true;
}

const char *mw_bp_effect_name(enum mw_bp_effect effect)
{
    MW_ASSERT(effect < MW_BP_EFFECT_COUNT);
    return effect_names[effect];
}

bool mw_bp_effect_of(struct mw_str name, enum mw_bp_effect *ret_effect)
{
    uint32_t index = 0;
    if (!index_of(effect_names, MW_BP_EFFECT_COUNT, name, &index))
        return false;
    *ret_effect = (enum mw_bp_effect)index;
    return true;
}

/* --- names --- */

static char fold_char(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_break(char c)
{
    return c == '-' || c == '_' || c == ' ';
}

bool mw_bp_same_name(struct mw_str a, struct mw_str b)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a.len && is_break(a.ptr[i]))
            i++;
        while (k < b.len && is_break(b.ptr[k]))
            k++;
        if (i == a.len || k == b.len)
            return i == a.len && k == b.len;
        if (fold_char(a.ptr[i++]) != fold_char(b.ptr[k++]))
            return false;
    }
}

struct mw_str mw_bp_base(struct mw_arena *arena, struct mw_str service_name)
{
    struct mw_str words = mw_name_words(arena, service_name);
    static const char *const tails[] = {" microservice", " service"};
    for (size_t i = 0; i < MW_COUNT(tails); i++)
        if (mw_str_ends(words, mw_str_of(tails[i])))
            return mw_str_sub(words, 0, words.len - strlen(tails[i]));
    return words;
}

/* --- adding and finding --- */

struct mw_bp_service *mw_bp_add_service(struct mw_bp *bp, struct mw_str base)
{
    struct mw_bp_service *service = mw_arena_array(bp->arena, struct mw_bp_service, 1);
    if (service == NULL)
        return NULL;
    struct mw_bp_service **at = &bp->services;
    while (*at != NULL)
        at = &(*at)->next;
    *at = service;
    bp->service_count++;
    struct mw_str pascal = mw_name_pascal(bp->arena, base);
    service->name = mw_arena_format(bp->arena, "%.*sService", MW_STR_ARG(pascal));
    service->slug = mw_name_slug(bp->arena, base);
    service->domain =
        mw_name_pascal(bp->arena, mw_words_plural(bp->words, mw_name_words(bp->arena, base)));
    return service;
}

struct mw_bp_entity *mw_bp_add_entity(struct mw_bp *bp, struct mw_bp_service *service,
                                      struct mw_str words)
{
    struct mw_bp_entity *entity = mw_arena_array(bp->arena, struct mw_bp_entity, 1);
    if (entity == NULL)
        return NULL;
    struct mw_bp_entity **at = &service->entities;
    while (*at != NULL)
        at = &(*at)->next;
    *at = entity;
    service->entity_count++;
    entity->name = mw_name_is_pascal(words) ? words : mw_name_pascal(bp->arena, words);
    entity->slug = mw_name_slug(bp->arena, words);
    entity->plural =
        mw_name_slug(bp->arena, mw_words_plural(bp->words, mw_name_words(bp->arena, words)));
    return entity;
}

void mw_bp_add_field(struct mw_bp_entity *entity, struct mw_bp_field *field)
{
    struct mw_bp_field **at = &entity->fields;
    while (*at != NULL)
        at = &(*at)->next;
    *at = field;
    entity->field_count++;
}

void mw_bp_add_case(struct mw_bp_service *service, struct mw_bp_case *made)
{
    struct mw_bp_case **at = &service->cases;
    while (*at != NULL)
        at = &(*at)->next;
    *at = made;
    service->case_count++;
}

struct mw_bp_service *mw_bp_service_of(const struct mw_bp *bp, struct mw_str base)
{
    struct mw_str wanted = mw_bp_base(bp->arena, base);
    for (struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        if (mw_bp_same_name(mw_bp_base(bp->arena, s->name), wanted))
            return s;
    return NULL;
}

struct mw_bp_entity *mw_bp_entity_of(const struct mw_bp_service *service, struct mw_str name)
{
    for (struct mw_bp_entity *e = service->entities; e != NULL; e = e->next)
        if (mw_bp_same_name(e->name, name))
            return e;
    return NULL;
}

struct mw_bp_field *mw_bp_field_of(const struct mw_bp_entity *entity, struct mw_str name)
{
    for (struct mw_bp_field *f = entity->fields; f != NULL; f = f->next)
        if (mw_bp_same_name(f->name, name))
            return f;
    return NULL;
}

/* --- HTTP --- */

const char *mw_bp_method(enum mw_bp_effect effect)
{
    switch (effect) {
    case MW_BP_READ:
    case MW_BP_LIST:
        return "GET";
    case MW_BP_UPDATE:
        return "PATCH";
    case MW_BP_DELETE:
        return "DELETE";
    default:
        return "POST";
    }
}

struct mw_str mw_bp_path(struct mw_arena *arena, const struct mw_bp_entity *entity,
                         const struct mw_bp_case *made)
{
    if (made->effect == MW_BP_CREATE || made->effect == MW_BP_LIST)
        return mw_arena_format(arena, "/%.*s", MW_STR_ARG(entity->plural));
    if (made->effect == MW_BP_READ || made->effect == MW_BP_UPDATE || made->effect == MW_BP_DELETE)
        return mw_arena_format(arena, "/%.*s/{id}", MW_STR_ARG(entity->plural));
    return mw_arena_format(arena, "/%.*s/{id}/%.*s", MW_STR_ARG(entity->plural),
                           MW_STR_ARG(made->action));
}

/* --- values --- */

struct mw_str mw_bp_decimal(struct mw_arena *arena, struct mw_str text)
{
    size_t i = 0, digits = 0, dot = SIZE_MAX;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    i += negative ? 1 : 0;
    size_t from = i;
    for (; i < text.len; i++) {
        if (text.ptr[i] == '.' && dot == SIZE_MAX && i > from)
            dot = i;
        else if (text.ptr[i] >= '0' && text.ptr[i] <= '9')
            digits++;
        else
            return MW_STR_NONE;
    }
    if (digits == 0 || digits > 15 || dot == text.len - 1)
        return MW_STR_NONE;
    size_t end = text.len;
    if (dot != SIZE_MAX) {
        while (text.ptr[end - 1] == '0')
            end--;
        if (text.ptr[end - 1] == '.')
            end--;
    }
    while (from + 1 < end && text.ptr[from] == '0' && text.ptr[from + 1] != '.')
        from++;
    struct mw_str body = mw_str_sub(text, from, end - from);
    if (mw_str_is(body, "0"))
        negative = false;
    return mw_arena_format(arena, "%s%.*s", negative ? "-" : "", MW_STR_ARG(body));
}

/* Magnitudes: by the length of the whole part, then digit by digit. */
static int magnitude_cmp(struct mw_str a, struct mw_str b)
{
    size_t a_whole = mw_str_find(a, '.', 0), b_whole = mw_str_find(b, '.', 0);
    a_whole = a_whole == SIZE_MAX ? a.len : a_whole;
    b_whole = b_whole == SIZE_MAX ? b.len : b_whole;
    if (a_whole != b_whole)
        return a_whole < b_whole ? -1 : 1;
    return mw_str_cmp(a, b);
}

int mw_bp_decimal_cmp(struct mw_str a, struct mw_str b)
{
    bool a_neg = a.len > 0 && a.ptr[0] == '-', b_neg = b.len > 0 && b.ptr[0] == '-';
    if (a_neg != b_neg)
        return a_neg ? -1 : 1;
    if (a_neg)
        return magnitude_cmp(mw_str_sub(b, 1, b.len), mw_str_sub(a, 1, a.len));
    return magnitude_cmp(a, b);
}

static bool is_integer(struct mw_str decimal)
{
    return mw_str_find(decimal, '.', 0) == SIZE_MAX;
}

static uint64_t code_points(struct mw_str s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((uint8_t)s.ptr[i] & 0xC0) != 0x80;
    return count;
}

static struct mw_str quoted(struct mw_arena *arena, struct mw_str text)
{
    struct mw_buf buf;
    size_t cap = text.len * 6 + 2;
    mw_buf_init(&buf, mw_arena_alloc(arena, cap), cap);
    struct mw_json json;
    if (buf.ptr == NULL)
        return MW_STR_NONE;
    mw_json_init(&json, &buf);
    mw_json_str(&json, text);
    return mw_buf_str(&buf);
}

static bool day_exists(struct mw_str s)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t y = 0, m = 0, d = 0;
    if (s.len < 10 || s.ptr[4] != '-' || s.ptr[7] != '-' ||
        !mw_str_to_i64(mw_str_sub(s, 0, 4), &y) || !mw_str_to_i64(mw_str_sub(s, 5, 2), &m) ||
        !mw_str_to_i64(mw_str_sub(s, 8, 2), &d))
        return false;
    if (y < 0 || m < 1 || m > 12 || d < 1 || d > days[m - 1])
        return false;
    return m != 2 || d < 29 || (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
}

static bool date_fits(struct mw_str s)
{
    if (!day_exists(s))
        return false;
    if (s.len == 10)
        return true;
    /* An RFC 3339 date-time: only its shape is held here; the service refuses the rest. */
    return s.len >= 20 && s.ptr[10] == 'T' && s.ptr[13] == ':' && s.ptr[16] == ':';
}

static bool email_fits(struct mw_str s)
{
    size_t at = mw_str_find(s, '@', 0);
    if (at == 0 || at == SIZE_MAX || mw_str_find(s, '@', at + 1) != SIZE_MAX || s.len > 254)
        return false;
    size_t dot = mw_str_find(s, '.', at + 2);
    if (dot == SIZE_MAX || dot + 1 == s.len)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.ptr[i] <= ' ')
            return false;
    return true;
}

static struct mw_str wrong(struct mw_arena *arena, struct mw_str text, const char *what)
{
    return mw_arena_format(arena, "'%.*s' is not %s", MW_STR_ARG(mw_name_clip(text, 100)), what);
}

static struct mw_str number_value(struct mw_arena *arena, const struct mw_bp_field *field,
                                  struct mw_str text, struct mw_str *ret_why)
{
    struct mw_str value = mw_bp_decimal(arena, text);
    bool whole = field->type == MW_BP_INTEGER;
    if (value.len == 0 || (whole && !is_integer(value)))
        return *ret_why = wrong(arena, text, whole ? "a whole number" : "a number"), MW_STR_NONE;
    if (field->min.len > 0 && mw_bp_decimal_cmp(value, field->min) < 0)
        return *ret_why = mw_arena_format(arena, "%.*s is less than the smallest value %.*s",
                                          MW_STR_ARG(value), MW_STR_ARG(field->min)),
               MW_STR_NONE;
    if (field->max.len > 0 && mw_bp_decimal_cmp(value, field->max) > 0)
        return *ret_why = mw_arena_format(arena, "%.*s is more than the largest value %.*s",
                                          MW_STR_ARG(value), MW_STR_ARG(field->max)),
               MW_STR_NONE;
    return value;
}

static struct mw_str boolean_value(struct mw_arena *arena, struct mw_str text,
                                   struct mw_str *ret_why)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};
    struct mw_str low = mw_name_fold(arena, text);
    for (size_t i = 0; i < MW_COUNT(yes); i++) {
        if (mw_str_is(low, yes[i]))
            return MW_STR("true");
        if (mw_str_is(low, no[i]))
            return MW_STR("false");
    }
    return *ret_why = wrong(arena, text, "true or false"), MW_STR_NONE;
}

/* The value that a text names, to the letter or else loosely; "low" and "Low" may both be values. */
static const struct mw_str *named_value(const struct mw_bp_field *field, struct mw_str text)
{
    for (uint32_t i = 0; i < field->value_count; i++)
        if (mw_str_eq(field->values[i], text))
            return &field->values[i];
    for (uint32_t i = 0; i < field->value_count; i++)
        if (mw_bp_same_name(field->values[i], text))
            return &field->values[i];
    return NULL;
}

static struct mw_str enum_value(struct mw_arena *arena, const struct mw_bp_field *field,
                                struct mw_str text, struct mw_str *ret_why)
{
    const struct mw_str *value = named_value(field, text);
    if (value != NULL)
        return quoted(arena, *value);
    return *ret_why = wrong(arena, text, "one of the values"), MW_STR_NONE;
}

struct mw_str mw_bp_value(struct mw_arena *arena, const struct mw_bp_field *field,
                          struct mw_str text, struct mw_str *ret_why)
{
    switch (field->type) {
    case MW_BP_INTEGER:
    case MW_BP_NUMBER:
        return number_value(arena, field, text, ret_why);
    case MW_BP_BOOLEAN:
        return boolean_value(arena, text, ret_why);
    case MW_BP_ENUM:
        return enum_value(arena, field, text, ret_why);
    case MW_BP_DATE:
        if (!date_fits(text))
            return *ret_why = wrong(arena, text, "a date (YYYY-MM-DD)"), MW_STR_NONE;
        return quoted(arena, text);
    case MW_BP_EMAIL:
        if (!email_fits(text))
            return *ret_why = wrong(arena, text, "an e-mail address"), MW_STR_NONE;
        return quoted(arena, text);
    default:
        break;
    }
    struct mw_str length = mw_arena_format(arena, "%lu", (unsigned long)code_points(text));
    struct mw_str longest = field->max.len > 0 ? field->max : MW_STR("10000");
    if ((field->min.len > 0 && mw_bp_decimal_cmp(length, field->min) < 0) ||
        mw_bp_decimal_cmp(length, longest) > 0)
        return *ret_why = wrong(arena, text, "within the length limits"), MW_STR_NONE;
    return quoted(arena, text);
}

static struct mw_str bounds_wrong(struct mw_arena *arena, const struct mw_bp_field *field)
{
    bool any = field->min.len > 0 || field->max.len > 0;
    bool takes =
        field->type == MW_BP_STRING || field->type == MW_BP_INTEGER || field->type == MW_BP_NUMBER;
    if (any && !takes)
        return mw_arena_format(arena, "a field of type %s has no smallest or largest value",
                               type_names[field->type]);
    const struct mw_str bounds[] = {field->min, field->max};
    for (size_t i = 0; i < MW_COUNT(bounds); i++) {
        if (field->type != MW_BP_NUMBER && !is_integer(bounds[i]))
            return wrong(arena, bounds[i], "a whole number");
        if (field->type == MW_BP_STRING && bounds[i].len > 0 && bounds[i].ptr[0] == '-')
            return wrong(arena, bounds[i], "a length");
    }
    if (field->min.len > 0 && field->max.len > 0 && mw_bp_decimal_cmp(field->min, field->max) > 0)
        return mw_arena_format(arena, "its smallest value %.*s is more than its largest %.*s",
                               MW_STR_ARG(field->min), MW_STR_ARG(field->max));
    return MW_STR_NONE;
}

static struct mw_str values_wrong(struct mw_arena *arena, const struct mw_bp_field *field)
{
    if (field->type == MW_BP_ENUM && field->value_count == 0)
        return MW_STR("an enum needs its values");
    if (field->type != MW_BP_ENUM && field->value_count > 0)
        return mw_arena_format(arena, "only an enum has values, and its type is %s",
                               type_names[field->type]);
    for (uint32_t i = 0; i < field->value_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (mw_str_eq(field->values[i], field->values[k]))
                return mw_arena_format(arena, "the value '%.*s' is there twice",
                                       MW_STR_ARG(field->values[i]));
    return MW_STR_NONE;
}

struct mw_str mw_bp_field_wrong(struct mw_arena *arena, struct mw_bp_field *field)
{
    struct mw_str why = bounds_wrong(arena, field);
    if (why.len == 0)
        why = values_wrong(arena, field);
    if (why.len > 0 || !field->default_given)
        return why;
    if (field->type == MW_BP_REFERENCE)
        return MW_STR("a reference has no default");
    struct mw_str value = mw_bp_value(arena, field, field->default_text, &why);
    if (value.len == 0)
        return mw_arena_format(arena, "its default: %.*s", MW_STR_ARG(why));
    if (field->type == MW_BP_ENUM)
        field->default_text = *named_value(field, field->default_text);
    if (field->type == MW_BP_BOOLEAN || field->type == MW_BP_INTEGER || field->type == MW_BP_NUMBER)
        field->default_text = value;
    return MW_STR_NONE;
}
