#include "builtin/infer.h"

#include <string.h>

/* --- types from names --- */

static bool camel_ends(struct mw_str name, struct mw_str tail)
{
    if (mw_str_eq(name, tail))
        return true;
    if (!mw_str_ends(name, mw_str_sub(tail, 1, tail.len)) || name.len <= tail.len)
        return false;
    char first = name.ptr[name.len - tail.len], want = tail.ptr[0];
    return first == (want >= 'a' && want <= 'z' ? want - 'a' + 'A' : want);
}

static bool camel_begins(struct mw_str name, struct mw_str head)
{
    return name.len > head.len && mw_str_starts(name, head) && name.ptr[head.len] >= 'A' &&
           name.ptr[head.len] <= 'Z';
}

/* The row of fields.yaml that knows the name; empty when none does. */
static struct mw_str rule_for(const struct mw_infer *inf, struct mw_str name,
                              struct mw_str *ret_row)
{
    const struct mw_tape *t = &inf->words->fields;
    uint32_t exact = mw_node_get_str(t, mw_node_get(t, 0, "exact"), name);
    if (exact != MW_NODE_NONE)
        return *ret_row = mw_arena_format(inf->arena, "fields.yaml: exact %.*s", MW_STR_ARG(name)),
               mw_node_str(t, exact);
    static const char *const maps[] = {"begins", "ends"};
    for (size_t m = 0; m < MW_COUNT(maps); m++) {
        uint32_t map = mw_node_get(t, 0, maps[m]);
        for (uint32_t i = mw_node_first(t, map); i != MW_NODE_NONE; i = mw_node_after(t, map, i)) {
            struct mw_str key = mw_node_str(t, i);
            if (m == 1 ? camel_ends(name, key) : camel_begins(name, key))
                return *ret_row = mw_arena_format(inf->arena, "fields.yaml: %s %.*s", maps[m],
                                                  MW_STR_ARG(key)),
                       mw_node_str(t, i + 1);
        }
    }
    return MW_STR_NONE;
}

static bool looks_boolean(struct mw_str text)
{
    return mw_str_is(text, "true") || mw_str_is(text, "false") || mw_str_is(text, "yes") ||
           mw_str_is(text, "no");
}

/* "short description max 200": of a text, bounds are those of its length. */
static bool is_text(const struct mw_infer *inf, struct mw_str name)
{
    const struct mw_tape *t = &inf->words->fields;
    uint32_t list = mw_node_get(t, 0, "texts");
    bool text = mw_words_has(t, "required", name);
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i))
        text = text || camel_ends(name, mw_node_str(t, i));
    return text;
}

static void type_from_form(struct mw_infer *inf, struct mw_bp_field *field, struct mw_str *ret_row)
{
    bool bounded = field->min.len > 0 || field->max.len > 0;
    if (field->default_given && looks_boolean(field->default_text)) {
        field->type = MW_BP_BOOLEAN;
        *ret_row = MW_STR("fields.yaml: its default is true or false");
    } else if (bounded && !is_text(inf, field->name)) {
        bool fraction = mw_str_find(field->min, '.', 0) != SIZE_MAX ||
                        mw_str_find(field->max, '.', 0) != SIZE_MAX;
        field->type = fraction ? MW_BP_NUMBER : MW_BP_INTEGER;
        *ret_row = MW_STR("fields.yaml: it has bounds and no unit");
    } else if (field->measured) {
        field->type = MW_BP_NUMBER;
        *ret_row = MW_STR("fields.yaml: it is measured in a unit");
    } else {
        field->type = MW_BP_STRING;
        *ret_row = MW_STR("fields.yaml: no rule knows the name");
    }
}

void mw_infer_field_finish(struct mw_infer *inf, struct mw_bp_service *service,
                           struct mw_bp_entity *entity, struct mw_bp_field *field)
{
    struct mw_str row = MW_STR_NONE;
    bool said_somewhere = false;
    for (const struct mw_bp_field *f = entity->fields; f != NULL; f = f->next)
        said_somewhere = said_somewhere || f->required_said;
    if (!field->required_said && !said_somewhere && !field->default_given &&
        mw_words_has(&inf->words->fields, "required", field->name)) {
        field->required = true;
        mw_infer_note(
            inf, true, field, NULL, MW_STR("\"required\""),
            mw_arena_format(inf->arena, "fields.yaml: required %.*s", MW_STR_ARG(field->name)));
    }
    if (field->type_said)
        return;
    struct mw_bp_entity *other = service != NULL ? mw_bp_entity_of(service, field->name) : NULL;
    if (other != NULL && other != entity && field->min.len == 0 && field->max.len == 0 &&
        !field->default_given) {
        field->type = MW_BP_REFERENCE;
        field->entity = other->name;
        row =
            mw_arena_format(inf->arena, "the service has the entity %.*s", MW_STR_ARG(other->name));
    } else {
        struct mw_str type = rule_for(inf, field->name, &row);
        bool known = type.len > 0 && mw_bp_type_of(type, &field->type);
        if (known && field->default_given && looks_boolean(field->default_text))
            known = field->type == MW_BP_BOOLEAN;
        if (!known)
            type_from_form(inf, field, &row);
    }
    mw_infer_note(inf, true, field, NULL,
                  mw_infer_quote(inf, mw_str_of(mw_bp_type_name(field->type))), row);
}

/* --- declaring --- */

static struct mw_str describe(const struct mw_infer *inf, const struct mw_bp_field *field)
{
    struct mw_str text = mw_arena_format(inf->arena, "%s", mw_bp_type_name(field->type));
    for (uint32_t i = 0; i < field->value_count; i++)
        text = mw_arena_format(inf->arena, "%.*s%s%.*s", MW_STR_ARG(text), i == 0 ? " " : "|",
                               MW_STR_ARG(field->values[i]));
    return text;
}

static bool same_values(const struct mw_bp_field *a, const struct mw_bp_field *b)
{
    bool same = a->value_count == b->value_count;
    for (uint32_t i = 0; i < a->value_count && same; i++)
        same = mw_str_eq(a->values[i], b->values[i]);
    return same;
}

static void take_type(struct mw_bp_field *to, const struct mw_bp_field *from)
{
    to->type = from->type;
    to->type_said = true;
    to->entity = from->entity;
    to->value_count = from->value_count;
    memcpy(to->values, from->values, sizeof(to->values));
}

/* Two types for one field: a person decides; the answer is read like a field's text. */
static void type_conflict(struct mw_infer *inf, const struct mw_bp_entity *entity,
                          struct mw_bp_field *old, const struct mw_bp_field *now)
{
    struct mw_str path = mw_arena_format(inf->arena, "fields/%.*s.%.*s", MW_STR_ARG(entity->name),
                                         MW_STR_ARG(old->name));
    struct mw_str answer = MW_STR_NONE, bad = MW_STR_NONE;
    if (mw_infer_answer(inf, path, &answer)) {
        if (mw_infer_leaves_out(inf, answer)) {
            old->type = MW_BP_STRING;
            old->value_count = 0;
            old->type_said = false;
            return;
        }
        struct mw_str text =
            mw_arena_format(inf->arena, "%.*s: %.*s", MW_STR_ARG(old->name), MW_STR_ARG(answer));
        struct mw_bp_field *chosen = mw_infer_field_text(inf, text, NULL, &bad);
        if (chosen != NULL && chosen->type_said) {
            take_type(old, chosen);
            return;
        }
    }
    struct mw_str first = describe(inf, old), second = describe(inf, now);
    const char *const options[] = {first.ptr, second.ptr,
                                   "leave it out (its type is then taken from its name)", NULL};
    mw_infer_ask(inf, path,
                 mw_arena_format(inf->arena,
                                 "The field '%.*s' of %.*s is said to be %.*s and %.*s. Which one?",
                                 MW_STR_ARG(old->name), MW_STR_ARG(entity->name), MW_STR_ARG(first),
                                 MW_STR_ARG(second)),
                 MW_STR("two statements conflict"), options);
}

static void merge(struct mw_infer *inf, const struct mw_bp_entity *entity, struct mw_bp_field *old,
                  const struct mw_bp_field *now)
{
    if (now->type_said && old->type_said &&
        (now->type != old->type || !same_values(now, old) ||
         !mw_bp_same_name(now->entity, old->entity)))
        type_conflict(inf, entity, old, now);
    else if (now->type_said && !old->type_said)
        take_type(old, now);
    if (now->required_said) {
        old->required = now->required;
        old->required_said = true;
    }
    if (now->default_given) {
        old->default_given = true;
        old->default_text = now->default_text;
    }
    old->measured = old->measured || now->measured;
    old->min = now->min.len > 0 ? now->min : old->min;
    old->max = now->max.len > 0 ? now->max : old->max;
}

void mw_infer_declare(struct mw_infer *inf, struct mw_bp_service *service,
                      struct mw_bp_entity *entity, struct mw_bp_field *field)
{
    struct mw_bp_field *old = mw_bp_field_of(entity, field->name);
    if (field->type == MW_BP_REFERENCE && service != NULL) {
        struct mw_bp_service *found = service;
        struct mw_bp_entity *target =
            mw_infer_entity(inf, service, mw_name_words(inf->arena, field->entity), &found);
        target = found == service ? target : NULL; /* only records of one service refer */
        if (target == NULL)
            target = mw_infer_add_entity(inf, service, mw_name_words(inf->arena, field->entity));
        if (target != NULL)
            field->entity = target->name;
    }
    if (old != NULL)
        merge(inf, entity, old, field);
    else
        mw_bp_add_field(entity, field);
}

/* --- what the noun tables know --- */

struct mw_str mw_infer_noun(const struct mw_infer *inf, struct mw_str base)
{
    struct mw_str low = mw_name_words(inf->arena, base);
    for (;;) {
        size_t space = low.len;
        while (space > 0 && low.ptr[space - 1] != ' ')
            space--;
        struct mw_str last = mw_str_sub(low, space, low.len);
        if (space == 0 || !mw_words_has(&inf->words->nouns, "containers", last))
            return low;
        low = mw_str_sub(low, 0, space - 1);
    }
}

struct mw_bp_entity *mw_infer_add_entity(struct mw_infer *inf, struct mw_bp_service *service,
                                         struct mw_str low)
{
    struct mw_str singular = mw_words_main_name(inf->words, mw_words_singular(inf->words, low));
    if (mw_name_pascal(inf->arena, singular).len == 0)
        return NULL;
    struct mw_bp_entity *old = mw_bp_entity_of(service, mw_name_pascal(inf->arena, singular));
    return old != NULL ? old : mw_bp_add_entity(inf->bp, service, singular);
}

static uint32_t noun_row(const struct mw_infer *inf, const struct mw_bp_entity *entity,
                         struct mw_str *ret_row)
{
    struct mw_str name = MW_STR_NONE;
    uint32_t row = mw_words_noun(inf->words, mw_name_words(inf->arena, entity->name), &name);
    *ret_row = row == MW_NODE_NONE
                   ? MW_STR("nouns.yaml: unknown")
                   : mw_arena_format(inf->arena, "nouns.yaml: %.*s", MW_STR_ARG(name));
    return row == MW_NODE_NONE ? mw_node_get(&inf->words->nouns, 0, "unknown") : row;
}

void mw_infer_default_fields(struct mw_infer *inf, struct mw_bp_service *service,
                             struct mw_bp_entity *entity)
{
    const struct mw_tape *t = &inf->words->nouns;
    struct mw_str row = MW_STR_NONE, bad = MW_STR_NONE;
    uint32_t list = mw_node_get(t, noun_row(inf, entity, &row), "fields");
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i)) {
        struct mw_bp_field *field = mw_infer_field_text(inf, mw_node_str(t, i), service, &bad);
        if (field == NULL || mw_bp_field_of(entity, field->name) != NULL)
            continue;
        mw_bp_add_field(entity, field);
        mw_infer_note(inf, true, field, NULL, mw_infer_quote(inf, mw_node_str(t, i)), row);
    }
}

bool mw_infer_has_by_default(const struct mw_infer *inf, const struct mw_bp_entity *entity,
                             struct mw_str field)
{
    const struct mw_tape *t = &inf->words->nouns;
    struct mw_str row = MW_STR_NONE;
    uint32_t list = mw_node_get(t, noun_row(inf, entity, &row), "fields");
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i)) {
        struct mw_str text = mw_node_str(t, i);
        if (mw_str_starts(text, field) && text.len > field.len && text.ptr[field.len] == ':')
            return true;
    }
    return false;
}

void mw_infer_default_cases(struct mw_infer *inf, struct mw_bp_service *service,
                            struct mw_bp_entity *entity, bool as_unknown)
{
    const struct mw_tape *t = &inf->words->nouns;
    struct mw_str row = MW_STR_NONE, why = MW_STR_NONE;
    uint32_t noun = as_unknown ? mw_node_get(t, 0, "unknown") : noun_row(inf, entity, &row);
    uint32_t list = mw_node_get(t, noun, "use_cases");
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i))
        (void)mw_infer_case_text(inf, service, entity, mw_node_str(t, i), true, MW_STR_NONE,
                                 &why); /* our own table; a test holds it */
}
