#include "builtin/infer.h"

/* From "mark todos as done" to a use case: the entity, the effect, the fields, the names. */

struct plan {
    struct mw_infer *inf;
    struct mw_bp_service *service;
    struct mw_bp_entity *entity;
    const struct mw_item *item;
    struct mw_str verb;  /* base form, folded: "mark" */
    struct mw_str field; /* the object is this field of the entity, or empty */
    struct mw_str rest;  /* after the preposition, as written */
    struct mw_str exact; /* the name the use case must have */
    bool is_exact;
    bool plural;
    bool assumed;
    bool renamed; /* an answer says what it does: names come from the verb of the prompt */
    struct mw_str why_not;
};

static struct mw_str row_text(const struct mw_item *item, const char *key)
{
    return mw_node_get_text(item->phrase->table, item->phrase->row, key);
}

static uint32_t row_node(const struct mw_item *item, const char *key)
{
    return mw_node_get(item->phrase->table, item->phrase->row, key);
}

static struct mw_str pascal(const struct plan *p, struct mw_str text)
{
    return mw_name_pascal(p->inf->arena, text);
}

static bool fail(struct plan *p, struct mw_str why)
{
    p->why_not = why;
    return false;
}

/* --- the entity --- */

/* "talks", when the only record that can be meant is the conference talk. */
static struct mw_bp_entity *called_briefly(const struct mw_infer *inf, struct mw_str singular,
                                           struct mw_bp_service **ret_service)
{
    struct mw_str tail = mw_arena_format(inf->arena, " %.*s", MW_STR_ARG(singular)),
                  noun = MW_STR_NONE;
    struct mw_bp_entity *found = NULL;
    bool known = mw_words_noun(inf->words, singular, &noun) != MW_NODE_NONE;
    if (singular.len == 0)
        return NULL;
    for (struct mw_bp_service *s = inf->bp->services; s != NULL; s = s->next)
        for (struct mw_bp_entity *e = s->entities; e != NULL; e = e->next) {
            struct mw_str own = mw_name_words(inf->arena, e->name), row = MW_STR_NONE;
            if (!mw_str_ends(own, tail) ||
                (known && mw_words_noun(inf->words, own, &row) != MW_NODE_NONE))
                continue;
            if (found != NULL)
                return NULL;
            found = e;
            *ret_service = s;
        }
    return found;
}

struct mw_bp_entity *mw_infer_entity(const struct mw_infer *inf, struct mw_bp_service *service,
                                     struct mw_str low, struct mw_bp_service **ret_service)
{
    struct mw_str singular = mw_words_main_name(inf->words, mw_words_singular(inf->words, low)),
                  one = mw_name_pascal(inf->arena, singular);
    struct mw_bp_entity *found =
        service != NULL && low.len > 0 ? mw_bp_entity_of(service, one) : NULL;
    *ret_service = service;
    for (struct mw_bp_service *s = inf->bp->services; s != NULL && found == NULL && low.len > 0;
         s = s->next) {
        found = mw_bp_entity_of(s, one);
        *ret_service = s;
    }
    return found != NULL ? found : called_briefly(inf, singular, ret_service);
}

/* "notification read": the first words name the entity, the others are what it becomes; "overdue todos": only the last name it. */
static bool split_object(struct plan *p)
{
    const struct mw_item *item = p->item;
    for (uint32_t to = item->object_to; to > item->object_from; to--) {
        struct mw_bp_service *service = p->service;
        struct mw_str low = mw_tokens_low(p->inf->arena, item->toks, item->object_from, to);
        struct mw_bp_entity *entity = mw_infer_entity(p->inf, p->service, low, &service);
        if (entity == NULL)
            continue;
        p->service = service;
        p->entity = entity;
        p->plural = mw_words_is_plural(p->inf->words, low);
        if (to < item->object_to && p->rest.len == 0)
            p->rest = mw_tokens_text(item->toks, to, item->object_to);
        return true;
    }
    for (uint32_t from = item->object_from + 1; from < item->object_to; from++) {
        struct mw_bp_service *service = p->service;
        struct mw_str low = mw_tokens_low(p->inf->arena, item->toks, from, item->object_to);
        struct mw_bp_entity *entity = mw_infer_entity(p->inf, p->service, low, &service);
        if (entity == NULL)
            continue;
        p->service = service;
        p->entity = entity;
        p->plural = mw_words_is_plural(p->inf->words, low);
        return true;
    }
    return false;
}

static bool takes_field(const struct plan *p)
{
    if (p->item->phrase == NULL)
        return false;
    struct mw_str special = p->item->is_state ? row_text(p->item, "special") : MW_STR_NONE;
    bool assigns = p->item->is_state &&
                   mw_node_bool(p->item->phrase->table, row_node(p->item, "from_body"), false);
    bool updates =
        !p->item->is_state &&
        mw_node_pointer(p->item->phrase->table, p->item->phrase->row, MW_STR("/effects/0")) !=
            MW_NODE_NONE &&
        mw_str_is(mw_node_str(p->item->phrase->table,
                              mw_node_at(p->item->phrase->table, row_node(p->item, "effects"), 0)),
                  "update");
    return special.len > 0 || assigns || updates;
}

/* "change the priority (of a todo)": the object is a field. */
static bool object_is_field(struct plan *p)
{
    const struct mw_item *item = p->item;
    if (!takes_field(p) || item->object_to == item->object_from)
        return false;
    struct mw_bp_service *service = p->service;
    struct mw_str rest = mw_tokens_low(p->inf->arena, item->toks, item->rest_from, item->rest_to);
    struct mw_bp_entity *owner = mw_infer_entity(p->inf, p->service, rest, &service);
    if (owner != NULL &&
        (mw_str_is(item->preposition, "of") || mw_str_is(item->preposition, "to"))) {
        p->entity = owner;
        p->service = service;
        p->rest = MW_STR_NONE;
    }
    struct mw_str name =
        mw_name_camel(p->inf->arena,
                      mw_tokens_low(p->inf->arena, item->toks, item->object_from, item->object_to));
    bool there = p->entity != NULL && mw_bp_field_of(p->entity, name) != NULL;
    if (!there && owner == NULL)
        return false;
    p->field = name;
    return true;
}

/* "create events …; people can register": hardly an event, which is made in other words already. */
static bool makes_another(const struct plan *p)
{
    const struct mw_item *item = p->item;
    if (p->assumed || p->entity == NULL || item->phrase == NULL || item->is_state)
        return false;
    const struct mw_tape *t = item->phrase->table;
    uint32_t first = mw_node_pointer(t, item->phrase->row, MW_STR("/effects/0"));
    if (first == MW_NODE_NONE || !mw_str_is(mw_node_str(t, first), "create"))
        return false;
    for (const struct mw_bp_case *c = p->service->cases; c != NULL; c = c->next)
        if (c->effect == MW_BP_CREATE && mw_str_eq(c->entity, p->entity->name) &&
            !mw_str_starts(c->name, pascal(p, p->verb)))
            return true;
    return false;
}

static bool find_entity(struct plan *p)
{
    const struct mw_item *item = p->item;
    if (item->object_to == item->object_from && makes_another(p))
        return fail(p, MW_STR("nothing says what it makes"));
    if (item->object_to == item->object_from)
        return p->entity != NULL || fail(p, MW_STR("nothing says what it is done to"));
    if (split_object(p) || object_is_field(p))
        return true;
    struct mw_str low =
        mw_tokens_low(p->inf->arena, item->toks, item->object_from, item->object_to);
    bool mark = item->phrase != NULL && item->is_state && row_text(item, "special").len > 0;
    if (mark && p->entity != NULL) { /* "MarkRead", "set done" */
        p->rest = p->rest.len > 0 ? p->rest
                                  : mw_tokens_text(item->toks, item->object_from, item->object_to);
        if (mw_str_is(item->preposition, "to"))
            p->field = mw_name_camel(p->inf->arena, low);
        return true;
    }
    if (p->inf->entities_closed)
        return fail(p,
                    mw_arena_format(p->inf->arena, "there is no entity '%.*s'", MW_STR_ARG(low)));
    p->entity = mw_infer_add_entity(p->inf, p->service, low);
    p->plural = mw_words_is_plural(p->inf->words, low);
    if (p->entity != NULL && p->entity->fields == NULL)
        mw_infer_default_fields(p->inf, p->service, p->entity);
    return p->entity != NULL || fail(p, MW_STR("its object gives no usable name"));
}

/* --- notes and names --- */

static void note_case(struct plan *p, const struct mw_bp_case *made)
{
    struct mw_str value = mw_infer_quote(p->inf, made->name);
    const struct mw_item *item = p->item;
    if (p->assumed) {
        mw_infer_note(p->inf, true, made, NULL, value, MW_STR("nouns.yaml: use_cases"));
        return;
    }
    for (uint32_t i = item->from; i < item->to; i++) {
        bool object = i >= item->object_from && i < item->object_to,
             rest = i >= item->rest_from && i < item->rest_to;
        if (object || rest || i < item->verb_to)
            item->toks->at[i].used = true;
    }
    mw_infer_note(p->inf, false, made, NULL, value,
                  mw_tokens_text(item->toks, item->from, item->to));
}

static bool same_route(const struct mw_bp_case *a, const struct mw_bp_case *b)
{
    bool acts = a->effect >= MW_BP_SET && b->effect >= MW_BP_SET;
    return mw_str_eq(a->entity, b->entity) &&
           (acts ? mw_str_eq(a->action, b->action) : a->effect == b->effect);
}

static bool names_entity(const struct plan *p, struct mw_str name)
{
    struct mw_str words =
        mw_arena_format(p->inf->arena, " %.*s ", MW_STR_ARG(mw_name_words(p->inf->arena, name)));
    struct mw_str entity = mw_name_words(p->inf->arena, p->entity->name);
    const struct mw_str wanted[] = {entity, mw_words_plural(p->inf->words, entity)};
    for (size_t w = 0; w < MW_COUNT(wanted); w++) {
        struct mw_str key = mw_arena_format(p->inf->arena, " %.*s ", MW_STR_ARG(wanted[w]));
        for (size_t i = 0; i + key.len <= words.len; i++)
            if (mw_str_eq(mw_str_sub(words, i, key.len), key))
                return true;
    }
    return false;
}

static void keep_case(struct plan *p, struct mw_bp_case *made)
{
    if (p->is_exact && p->exact.len > 0 && names_entity(p, p->exact))
        made->name = mw_name_is_pascal(p->exact) ? p->exact : pascal(p, p->exact);
    made->slug = mw_name_slug(p->inf->arena, made->name);
    made->entity = p->entity->name;
    for (struct mw_bp_case *c = p->service->cases; c != NULL && !p->is_exact; c = c->next)
        if (same_route(c, made)) { /* said twice, or in other words */
            if (!p->assumed)       /* what is there already is assumed once */
                note_case(p, c);
            return;
        }
    mw_bp_add_case(p->service, made);
    note_case(p, made);
}

static struct mw_bp_case *new_case(const struct plan *p, enum mw_bp_effect effect)
{
    struct mw_bp_case *made = mw_arena_array(p->inf->arena, struct mw_bp_case, 1);
    if (made != NULL)
        made->effect = effect;
    return made;
}

static struct mw_str plural_name(const struct plan *p)
{
    return pascal(p, mw_words_plural(p->inf->words, mw_name_words(p->inf->arena, p->entity->name)));
}

/* --- fields that a use case changes --- */

static struct mw_bp_field *add_field(struct plan *p, struct mw_str name, enum mw_bp_type type,
                                     const char *default_text)
{
    struct mw_bp_field *field = mw_arena_array(p->inf->arena, struct mw_bp_field, 1);
    if (field == NULL || !mw_name_is_camel(name))
        return NULL;
    field->name = name;
    field->type = type;
    field->type_said = true;
    if (default_text != NULL) {
        field->default_given = true;
        field->default_text = mw_str_of(default_text);
    }
    mw_bp_add_field(p->entity, field);
    mw_infer_note(p->inf, true, field, NULL,
                  mw_infer_quote(p->inf, mw_str_of(mw_bp_type_name(type))),
                  mw_arena_format(p->inf->arena, "verbs.yaml: '%.*s' changes the field '%.*s'",
                                  MW_STR_ARG(p->verb), MW_STR_ARG(name)));
    return field;
}

static bool add_set(struct plan *p, struct mw_bp_case *made, const struct mw_bp_field *field,
                    struct mw_str value)
{
    struct mw_str why = MW_STR_NONE, json = mw_bp_value(p->inf->arena, field, value, &why);
    struct mw_bp_set *set = mw_arena_array(p->inf->arena, struct mw_bp_set, 1);
    if (json.len == 0 || set == NULL)
        return fail(p, mw_arena_format(p->inf->arena, "the field '%.*s': %.*s",
                                       MW_STR_ARG(field->name), MW_STR_ARG(why)));
    *set = (struct mw_bp_set){.field = field->name, .json = json};
    made->set = set;
    return true;
}

/* An enum field with one of the values; *ret_value: which. */
static struct mw_bp_field *enum_with(const struct plan *p, struct mw_str value,
                                     struct mw_str *ret_value)
{
    for (struct mw_bp_field *f = p->entity->fields; f != NULL; f = f->next)
        for (uint32_t i = 0; i < f->value_count; i++)
            if (mw_bp_same_name(f->values[i], value)) {
                *ret_value = f->values[i];
                return f;
            }
    return NULL;
}

static struct mw_bp_field *boolean_field(const struct plan *p, struct mw_str name)
{
    struct mw_bp_field *f = mw_bp_field_of(p->entity, name);
    if (f == NULL)
        f = mw_bp_field_of(p->entity,
                           mw_arena_format(p->inf->arena, "is%.*s", MW_STR_ARG(pascal(p, name))));
    return f;
}

static struct mw_str set_name(const struct plan *p, const char *joint, struct mw_str tail)
{
    return mw_arena_format(p->inf->arena, "%.*s%.*s%s%.*s", MW_STR_ARG(pascal(p, p->verb)),
                           MW_STR_ARG(p->entity->name), joint, MW_STR_ARG(pascal(p, tail)));
}

static bool set_state(struct plan *p)
{
    const struct mw_tape *t = p->item->phrase->table;
    struct mw_str name = row_text(p->item, "field"), value = MW_STR_NONE;
    struct mw_bp_case *made = new_case(p, MW_BP_SET);
    struct mw_bp_field *field = NULL;
    uint32_t values = row_node(p->item, "values"), also = row_node(p->item, "also");
    for (uint32_t i = mw_node_first(t, values); i != MW_NODE_NONE && field == NULL;
         i = mw_node_after(t, values, i))
        field = enum_with(p, mw_node_str(t, i), &value);
    if (field == NULL) {
        value =
            mw_node_bool(t, row_node(p->item, "value"), true) ? MW_STR("true") : MW_STR("false");
        field = boolean_field(p, name);
        for (uint32_t i = mw_node_first(t, also); i != MW_NODE_NONE && field == NULL;
             i = mw_node_after(t, also, i))
            field = boolean_field(p, mw_node_str(t, i));
    }
    if (field == NULL)
        field = add_field(p, name, MW_BP_BOOLEAN, "false");
    if (made == NULL || field == NULL || !add_set(p, made, field, value))
        return false;
    made->name = set_name(p, "", MW_STR_NONE);
    made->action = mw_name_slug(p->inf->arena, p->verb);
    keep_case(p, made);
    return true;
}

/* "mark as done": a value of an enum, a boolean field, or a new boolean field. */
static bool set_marked(struct plan *p)
{
    struct mw_str value = MW_STR("true"), word = mw_name_words(p->inf->arena, p->rest);
    struct mw_bp_case *made = new_case(p, MW_BP_SET);
    if (mw_str_starts(word, MW_STR("as ")))
        word = mw_str_sub(word, 3, word.len);
    if (word.len == 0) /* "MarkRead": what it becomes stands where the object would */
        word = mw_name_words(p->inf->arena, p->field);
    if (word.len == 0 || made == NULL)
        return fail(p, MW_STR("it does not say as what"));
    struct mw_bp_field *field = boolean_field(p, word);
    if (field == NULL || field->type != MW_BP_BOOLEAN) {
        struct mw_bp_field *by_value = enum_with(p, word, &value);
        field = by_value != NULL ? by_value : field;
    }
    bool negative = mw_str_starts(word, MW_STR("un")) || mw_str_starts(word, MW_STR("not "));
    if (field == NULL && negative) {
        struct mw_str positive =
            mw_str_sub(word, mw_str_starts(word, MW_STR("un")) ? 2 : 4, word.len);
        field = boolean_field(p, positive);
        if (field == NULL && mw_str_starts(word, MW_STR("not ")))
            field = add_field(p, mw_name_camel(p->inf->arena, positive), MW_BP_BOOLEAN, "false");
        value = field != NULL ? MW_STR("false") : value;
    }
    if (field == NULL)
        field = add_field(p, mw_name_camel(p->inf->arena, word), MW_BP_BOOLEAN, "false");
    if (field == NULL || !add_set(p, made, field, value))
        return p->why_not.len > 0 ? false : fail(p, MW_STR("what it becomes gives no usable name"));
    made->name = set_name(p, "As", word);
    made->action =
        mw_name_slug(p->inf->arena, mw_arena_format(p->inf->arena, "%.*s as %.*s",
                                                    MW_STR_ARG(p->verb), MW_STR_ARG(word)));
    keep_case(p, made);
    return true;
}

/* "set the status to done" */
static bool set_value(struct plan *p)
{
    struct mw_bp_case *made = new_case(p, MW_BP_SET);
    struct mw_bp_field *field = mw_bp_field_of(p->entity, p->field);
    struct mw_str number = mw_bp_decimal(p->inf->arena, p->rest),
                  low = mw_name_fold(p->inf->arena, p->rest);
    if (field == NULL && (mw_str_is(low, "true") || mw_str_is(low, "false")))
        field = add_field(p, p->field, MW_BP_BOOLEAN, "false");
    else if (field == NULL)
        field = add_field(p, p->field, number.len > 0 ? MW_BP_NUMBER : MW_BP_STRING, NULL);
    if (made == NULL || field == NULL || !add_set(p, made, field, p->rest))
        return p->why_not.len > 0 ? false : fail(p, MW_STR("the field has no usable name"));
    struct mw_str tail = mw_arena_format(p->inf->arena, "%.*s to %.*s", MW_STR_ARG(field->name),
                                         MW_STR_ARG(p->rest));
    made->name = set_name(p, "", p->renamed ? MW_STR_NONE : tail);
    made->action = mw_name_slug(
        p->inf->arena, p->renamed ? p->verb
                                  : mw_arena_format(p->inf->arena, "%.*s %.*s", MW_STR_ARG(p->verb),
                                                    MW_STR_ARG(tail)));
    keep_case(p, made);
    return true;
}

static bool assign_field(struct plan *p, const struct mw_bp_field *field, bool verb_says_it)
{
    struct mw_bp_case *made = new_case(p, MW_BP_ASSIGN);
    struct mw_bp_name *name = mw_arena_array(p->inf->arena, struct mw_bp_name, 1);
    if (made == NULL || name == NULL || field == NULL)
        return fail(p, MW_STR("it does not say which field it changes"));
    name->name = field->name;
    made->fields = name;
    verb_says_it = verb_says_it || p->renamed;
    made->name = set_name(p, "", verb_says_it ? MW_STR_NONE : field->name);
    made->action =
        mw_name_slug(p->inf->arena,
                     verb_says_it ? p->verb
                                  : mw_arena_format(p->inf->arena, "%.*s %.*s", MW_STR_ARG(p->verb),
                                                    MW_STR_ARG(field->name)));
    keep_case(p, made);
    return true;
}

/* "assign (todos) to a user": the field of that name, a reference to the entity, or the table's field. */
static bool assign_somebody(struct plan *p)
{
    struct mw_bp_service *service = p->service;
    struct mw_str name = p->field;
    struct mw_bp_field *field = name.len > 0 ? mw_bp_field_of(p->entity, name) : NULL;
    if (name.len > 0 && field == NULL)
        field = add_field(p, name, MW_BP_STRING, NULL);
    if (field != NULL)
        return assign_field(p, field, false);
    struct mw_str low = mw_name_words(p->inf->arena, p->rest);
    struct mw_str one = mw_name_camel(p->inf->arena, mw_words_singular(p->inf->words, low));
    field = one.len > 0 ? mw_bp_field_of(p->entity, one) : NULL;
    struct mw_bp_entity *other = mw_infer_entity(p->inf, p->service, low, &service);
    if (field == NULL && other != NULL && other != p->entity && service == p->service) {
        field = add_field(p, one, MW_BP_REFERENCE, NULL);
        if (field != NULL)
            field->entity = other->name;
    }
    if (field == NULL)
        field = mw_bp_field_of(p->entity, row_text(p->item, "field"));
    if (field == NULL)
        field = add_field(p, row_text(p->item, "field"), MW_BP_STRING, NULL);
    return assign_field(p, field, true);
}

static bool increment(struct plan *p, struct mw_str name, bool verb_says_it)
{
    const struct mw_tape *t = p->item->phrase->table;
    struct mw_bp_field *field = mw_bp_field_of(p->entity, name);
    int64_t by = mw_node_int(t, row_node(p->item, "by"), 1);
    int64_t said = 0;
    if (mw_str_is(p->item->preposition, "by") && mw_str_to_i64(p->rest, &said) && said > 0 &&
        said < 1000000000)
        by *= said;
    if (field == NULL && name.len > 0)
        field = add_field(p, name, MW_BP_INTEGER, "0");
    struct mw_bp_case *made = new_case(p, MW_BP_INCREMENT);
    if (made == NULL || field == NULL ||
        (field->type != MW_BP_INTEGER && field->type != MW_BP_NUMBER))
        return fail(p, MW_STR("it does not say which number it changes"));
    made->field = field->name;
    made->by = mw_arena_format(p->inf->arena, "%ld", (long)by);
    verb_says_it = verb_says_it || p->renamed;
    made->name = set_name(p, "", verb_says_it ? MW_STR_NONE : field->name);
    made->action =
        mw_name_slug(p->inf->arena,
                     verb_says_it ? p->verb
                                  : mw_arena_format(p->inf->arena, "%.*s %.*s", MW_STR_ARG(p->verb),
                                                    MW_STR_ARG(field->name)));
    keep_case(p, made);
    return true;
}

static bool make_state(struct plan *p)
{
    struct mw_str special = row_text(p->item, "special");
    if (mw_str_is(special, "mark"))
        return set_marked(p);
    if (mw_str_is(special, "set") && p->rest.len > 0 && p->field.len > 0)
        return set_value(p);
    if (mw_str_is(special, "set"))
        return assign_field(p,
                            mw_bp_field_of(p->entity, p->field.len > 0
                                                          ? p->field
                                                          : mw_name_camel(p->inf->arena, p->rest)),
                            false);
    if (mw_str_is(special, "increase"))
        return increment(p, p->field, false);
    if (row_node(p->item, "by") != MW_NODE_NONE)
        return increment(p, row_text(p->item, "field"), true);
    if (mw_node_bool(p->item->phrase->table, row_node(p->item, "from_body"), false))
        return assign_somebody(p);
    return set_state(p);
}

/* --- create, read, list, update, delete --- */

static void plain_case(struct plan *p, enum mw_bp_effect effect)
{
    struct mw_bp_case *made = new_case(p, effect);
    if (made == NULL)
        return;
    struct mw_str named = mw_node_get_text(p->item->phrase->table, row_node(p->item, "names"),
                                           mw_bp_effect_name(effect));
    struct mw_str verb = named.len > 0 && !p->renamed ? named : pascal(p, p->verb);
    if (effect == MW_BP_READ && !p->renamed)
        verb = MW_STR("Get");
    made->name =
        mw_arena_format(p->inf->arena, "%.*s%.*s", MW_STR_ARG(verb),
                        MW_STR_ARG(effect == MW_BP_LIST ? plural_name(p) : p->entity->name));
    keep_case(p, made);
}

static bool wanted(const struct plan *p, enum mw_bp_effect effect, uint32_t effect_count)
{
    bool reads = effect == MW_BP_READ || effect == MW_BP_LIST;
    if (effect_count != 2 || !reads || !p->is_exact)
        return true;
    return (effect == MW_BP_LIST) == p->plural;
}

static bool by_one(const struct plan *p)
{
    const struct mw_item *item = p->item;
    uint32_t i = item->object_from;
    bool article =
        i > 0 && (mw_tok_is(item->toks, i - 1, "a") || mw_tok_is(item->toks, i - 1, "an") ||
                  mw_tok_is(item->toks, i - 1, "one") || mw_tok_is(item->toks, i - 1, "single"));
    return !p->plural && (article || mw_tok_is(item->toks, item->object_to, "by"));
}

/* "send an invoice" of status draft|sent: a later state of it, and no new one. */
static bool is_a_state(struct plan *p)
{
    for (struct mw_bp_field *f = p->entity->fields; f != NULL; f = f->next)
        for (uint32_t i = 1; i < f->value_count; i++) {
            struct mw_toks toks = mw_tokens(p->inf->arena, f->values[i]);
            const struct mw_phrase *past =
                toks.at != NULL ? mw_phrase_at(&p->inf->verbs, &toks, 0, MW_FORM_ED) : NULL;
            bool same =
                past != NULL && toks.count == past->words + 1 &&
                mw_str_eq(mw_tokens_low(p->inf->arena, &past->toks, 0, past->words), p->verb);
            if (!same || mw_str_eq(f->default_text, f->values[i]))
                continue;
            p->field = f->name;
            p->rest = f->values[i];
            p->renamed = true;
            return true;
        }
    return false;
}

static bool make_plain(struct plan *p)
{
    const struct mw_tape *t = p->item->phrase->table;
    uint32_t effects = row_node(p->item, "effects"), count = mw_node_count(t, effects);
    if (p->is_exact && count > 2)
        return fail(p, MW_STR("it names several use cases; write each one"));
    for (uint32_t i = mw_node_first(t, effects); i != MW_NODE_NONE;
         i = mw_node_after(t, effects, i)) {
        enum mw_bp_effect effect = MW_BP_CREATE;
        if (!mw_bp_effect_of(mw_node_str(t, i), &effect) || !wanted(p, effect, count))
            continue;
        if (effect == MW_BP_LIST && count == 2 && by_one(p))
            continue;
        if (effect == MW_BP_CREATE && !p->assumed && is_a_state(p))
            return set_value(p);
        if (effect == MW_BP_UPDATE && p->field.len > 0 && p->rest.len > 0 &&
            mw_str_is(p->item->preposition, "to"))
            return set_value(p);
        if (effect == MW_BP_UPDATE && p->field.len > 0)
            return assign_field(p, mw_bp_field_of(p->entity, p->field), false);
        plain_case(p, effect);
    }
    return true;
}

/* --- verbs that nobody knows --- */

static struct mw_item *read_answer(struct mw_infer *inf, struct mw_str text)
{
    static const enum mw_form forms[] = {MW_FORM_BASE, MW_FORM_S, MW_FORM_ING};
    struct mw_toks *toks = mw_arena_array(inf->arena, struct mw_toks, 1);
    if (toks == NULL)
        return NULL;
    *toks = mw_tokens(inf->arena, text);
    uint32_t start = 0;
    while (toks->at != NULL && (mw_tok_is(toks, start, "it") || mw_tok_is(toks, start, "that")))
        start++;
    struct mw_item **saved_next = inf->next_item, *first = NULL;
    inf->next_item = &first;
    for (size_t i = 0; toks->at != NULL && i < MW_COUNT(forms) && first == NULL; i++)
        (void)mw_infer_verbs(inf, toks, start, start, forms[i], false);
    inf->next_item = saved_next;
    return first;
}

/* The options name fields that are there, so that each can be taken as it stands. */
static bool ask_effect(struct plan *p, struct mw_str verb)
{
    struct mw_str sets = MW_STR("sets done to true"), changes = MW_STR_NONE;
    for (const struct mw_bp_field *f = p->entity != NULL ? p->entity->fields : NULL; f != NULL;
         f = f->next) {
        if (f->type == MW_BP_BOOLEAN)
            sets = mw_arena_format(p->inf->arena, "sets %.*s to true", MW_STR_ARG(f->name));
        else if (changes.len == 0)
            changes = mw_arena_format(p->inf->arena, "changes %.*s", MW_STR_ARG(f->name));
    }
    const char *const options[] = {"leave it out",
                                   sets.ptr,
                                   "creates one",
                                   "deletes it",
                                   changes.len > 0 ? changes.ptr : NULL,
                                   NULL};
    struct mw_str said = mw_tokens_text(p->item->toks, p->item->verb, p->item->to);
    mw_infer_ask(
        p->inf, mw_arena_format(p->inf->arena, "use_cases/%.*s", MW_STR_ARG(verb)),
        mw_arena_format(p->inf->arena,
                        "What does '%.*s' do? Say which field it changes, or leave it out.",
                        MW_STR_ARG(mw_name_clip(said, 200))),
        p->why_not.len > 0
            ? p->why_not
            : mw_arena_format(p->inf->arena, "the effect of '%.*s' is not known", MW_STR_ARG(verb)),
        options);
    return false;
}

static bool make(struct plan *p)
{
    if (p->item->phrase == NULL)
        return fail(p, MW_STR("its effect is not known"));
    if (!find_entity(p))
        return false;
    return p->item->is_state ? make_state(p) : make_plain(p);
}

/* The answer's words say what happens, the prompt's words to what and under which name. */
static bool make_answered(struct plan *p, struct mw_str answer)
{
    struct mw_item *told = read_answer(p->inf, answer);
    const struct mw_item *asked = p->item;
    if (told == NULL || told->phrase == NULL)
        return fail(p, MW_STR("it names no effect that is known"));
    /* Where the prompt's object is an entity, that one is meant; the answer's object is its field. */
    struct mw_item *bare = mw_arena_array(p->inf->arena, struct mw_item, 1);
    if (bare == NULL)
        return false;
    *bare = *asked;
    bare->phrase = told->phrase;
    bare->is_state = told->is_state;
    p->item = bare;
    if (!find_entity(p))
        return false;
    p->renamed = true;
    p->rest = mw_tokens_text(told->toks, told->rest_from, told->rest_to);
    struct mw_str object = mw_tokens_text(told->toks, told->object_from, told->object_to);
    bool plain_object =
        mw_bp_same_name(object, MW_STR("one")) || mw_bp_same_name(object, p->entity->name);
    p->field = plain_object ? MW_STR_NONE : mw_name_camel(p->inf->arena, object);
    bare->preposition = told->preposition;
    return bare->is_state ? make_state(p) : make_plain(p);
}

bool mw_infer_item(struct mw_infer *inf, struct mw_bp_service *service, struct mw_bp_entity *entity,
                   const struct mw_item *item, bool assumed, struct mw_str exact_name,
                   struct mw_str *ret_why)
{
    struct plan p = {.inf = inf,
                     .service = service,
                     .entity = entity,
                     .item = item,
                     .assumed = assumed,
                     .exact = exact_name};
    struct mw_str answer = MW_STR_NONE;
    p.is_exact = exact_name.len > 0;
    p.rest = mw_tokens_text(item->toks, item->rest_from, item->rest_to);
    p.verb = item->phrase != NULL
                 ? mw_tokens_low(inf->arena, &item->phrase->toks, 0, item->phrase->words)
                 : mw_tokens_low(inf->arena, item->toks, item->verb, item->verb_to);
    struct mw_str verb = p.verb;
    struct plan clean = p;
    if (make(&p))
        return true;
    struct mw_str field = mw_arena_format(inf->arena, "use_cases/%.*s", MW_STR_ARG(verb));
    if (!mw_infer_answer(inf, field, &answer)) {
        *ret_why = p.why_not;
        return ask_effect(&p, verb);
    }
    if (mw_infer_leaves_out(inf, answer)) {
        for (uint32_t i = item->from; i < item->to; i++)
            item->toks->at[i].used = true;
        mw_infer_note(inf, false, NULL, "use_cases", MW_STR("null"),
                      mw_arena_format(inf->arena, "%.*s; answered: %.*s",
                                      MW_STR_ARG(mw_tokens_text(item->toks, item->from, item->to)),
                                      MW_STR_ARG(answer)));
        return true;
    }
    if (make_answered(&clean, answer))
        return true;
    *ret_why = clean.why_not;
    clean.item = item;
    return ask_effect(&clean, verb);
}

bool mw_infer_case_text(struct mw_infer *inf, struct mw_bp_service *service,
                        struct mw_bp_entity *entity, struct mw_str text, bool assumed,
                        struct mw_str exact_name, struct mw_str *ret_why)
{
    struct mw_toks *toks = mw_arena_array(inf->arena, struct mw_toks, 1);
    if (toks == NULL)
        return false;
    *toks = mw_tokens(inf->arena, mw_name_words(inf->arena, text));
    struct mw_item **saved_next = inf->next_item, *first = NULL;
    inf->next_item = &first;
    if (toks->at != NULL)
        (void)mw_infer_verbs(inf, toks, 0, 0, MW_FORM_BASE, true);
    inf->next_item = saved_next;
    if (first == NULL) {
        *ret_why = MW_STR("it has no verb");
        return false;
    }
    return mw_infer_item(inf, service, entity, first, assumed, exact_name, ret_why);
}
