#include "builtin/blueprint_keys.h"

enum { F_NAME, F_TYPE, F_REQUIRED, F_DEFAULT, F_MIN, F_MAX, F_VALUES, F_ENTITY, F_COUNT };

static const struct mw_key field_keys[] = {
    {"name", F_NAME},       {"type", F_TYPE},         {"required", F_REQUIRED},
    {"default", F_DEFAULT}, {"min", F_MIN},           {"minlength", F_MIN},
    {"minimum", F_MIN},     {"max", F_MAX},           {"maxlength", F_MAX},
    {"maximum", F_MAX},     {"values", F_VALUES},     {"enum", F_VALUES},
    {"options", F_VALUES},  {"choices", F_VALUES},    {"entity", F_ENTITY},
    {"ref", F_ENTITY},      {"references", F_ENTITY}, {"reference", F_ENTITY},
    {"target", F_ENTITY},
};

enum { E_NAME, E_SLUG, E_PLURAL, E_FIELDS, E_COUNT };

static const struct mw_key entity_keys[] = {{"name", E_NAME},         {"slug", E_SLUG},
                                            {"plural", E_PLURAL},     {"fields", E_FIELDS},
                                            {"properties", E_FIELDS}, {"attributes", E_FIELDS}};

/* --- one field --- */

static enum mw_rc read_bound(const struct mw_import *imp, uint32_t node, struct mw_str at,
                             struct mw_str *ret_bound)
{
    enum mw_node_type type = mw_node_type(imp->tape, node);
    if (mw_keys_absent(imp, node))
        return MW_OK;
    struct mw_str bound = MW_STR_NONE;
    if (type == MW_NODE_INTEGER || type == MW_NODE_NUMBER)
        bound = mw_bp_decimal(imp->inf->arena, imp->tape->nodes[node].text);
    if (bound.len == 0)
        return mw_keys_wrong(imp, node, at, "a plain number of at most 15 digits is needed");
    *ret_bound = bound;
    return MW_OK;
}

static enum mw_rc read_values(const struct mw_import *imp, uint32_t node, struct mw_str at,
                              struct mw_bp_field *field)
{
    const struct mw_tape *t = imp->tape;
    if (mw_node_type(t, node) != MW_NODE_ARRAY || mw_node_count(t, node) == 0)
        return mw_keys_wrong(imp, node, at, "a list of texts is needed");
    if (mw_node_count(t, node) > MW_BP_VALUES_MAX)
        return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: %u values; an enum has at most %d (values)",
                       MW_STR_ARG(at), mw_node_count(t, node), MW_BP_VALUES_MAX);
    for (uint32_t i = mw_node_first(t, node), k = 0; i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), k++) {
        enum mw_rc rc =
            mw_keys_text(imp, i, mw_keys_index(imp, at, k), "a text is needed", &field->values[k]);
        if (rc != MW_OK)
            return rc;
        field->value_count = k + 1;
    }
    return MW_OK;
}

/* "text", "ref List", "string required": a type's name, or a phrase that begins with one. */
static enum mw_rc read_type(const struct mw_import *imp, uint32_t node, struct mw_str at,
                            struct mw_bp_field *field)
{
    struct mw_str text = MW_STR_NONE, bad = MW_STR_NONE;
    const char *right =
        "string, integer, number, boolean, date, email, enum or reference is needed";
    enum mw_rc rc = mw_keys_text(imp, node, at, right, &text);
    if (rc != MW_OK)
        return rc;
    const struct mw_tape *fields = &imp->inf->words->fields;
    struct mw_str low = mw_name_fold(imp->inf->arena, text);
    uint32_t row = mw_node_get_str(fields, mw_node_get(fields, 0, "types"), low);
    field->type_said = true;
    if (row != MW_NODE_NONE && mw_bp_type_of(mw_node_str(fields, row), &field->type))
        return MW_OK;
    struct mw_bp_field *read = mw_infer_field_text(
        imp->inf, mw_arena_format(imp->inf->arena, "x: %.*s", MW_STR_ARG(text)), NULL, &bad);
    if (read == NULL || !read->type_said || !mw_str_is(read->name, "x"))
        return mw_keys_wrong(imp, node, at, right);
    struct mw_str name = field->name;
    *field = *read;
    field->name = name;
    return MW_OK;
}

enum mw_rc mw_import_scalar(const struct mw_import *imp, const struct mw_bp_field *field,
                            uint32_t node, struct mw_str at, struct mw_str *ret_text)
{
    enum mw_node_type type = mw_node_type(imp->tape, node);
    switch (field->type) {
    case MW_BP_BOOLEAN:
        if (type != MW_NODE_TRUE && type != MW_NODE_FALSE)
            return mw_keys_wrong(imp, node, at, "true or false is needed");
        *ret_text = type == MW_NODE_TRUE ? MW_STR("true") : MW_STR("false");
        return MW_OK;
    case MW_BP_INTEGER:
    case MW_BP_NUMBER:
        if (type != MW_NODE_INTEGER && type != MW_NODE_NUMBER)
            return mw_keys_wrong(imp, node, at, "a number is needed");
        *ret_text = imp->tape->nodes[node].text;
        return MW_OK;
    default:
        if (type != MW_NODE_STRING)
            return mw_keys_wrong(imp, node, at, "a text is needed");
        *ret_text = mw_node_str(imp->tape, node);
        return MW_OK;
    }
}

static enum mw_rc read_rest(const struct mw_import *imp, struct mw_bp_service *service,
                            struct mw_bp_entity *entity, const uint32_t *slots, struct mw_str at,
                            struct mw_bp_field *field)
{
    enum mw_rc rc = MW_OK;
    if (!mw_keys_absent(imp, slots[F_REQUIRED])) {
        enum mw_node_type type = mw_node_type(imp->tape, slots[F_REQUIRED]);
        if (type != MW_NODE_TRUE && type != MW_NODE_FALSE)
            return mw_keys_wrong(imp, slots[F_REQUIRED], mw_keys_at(imp, at, MW_STR("required")),
                                 "true or false is needed");
        field->required = type == MW_NODE_TRUE;
    }
    field->required_said = true; /* a file says what it means */
    rc = read_bound(imp, slots[F_MIN], mw_keys_at(imp, at, MW_STR("min")), &field->min);
    if (rc == MW_OK)
        rc = read_bound(imp, slots[F_MAX], mw_keys_at(imp, at, MW_STR("max")), &field->max);
    if (rc != MW_OK)
        return rc;
    if (!field->type_said)
        mw_infer_field_finish(imp->inf, service, entity, field);
    if (slots[F_DEFAULT] == MW_NODE_NONE || mw_keys_absent(imp, slots[F_DEFAULT]))
        return MW_OK;
    field->default_given = true;
    return mw_import_scalar(imp, field, slots[F_DEFAULT], mw_keys_at(imp, at, MW_STR("default")),
                            &field->default_text);
}

static enum mw_rc field_object(const struct mw_import *imp, struct mw_bp_service *service,
                               struct mw_bp_entity *entity, uint32_t node, struct mw_str at,
                               struct mw_bp_field *field)
{
    uint32_t slots[F_COUNT];
    enum mw_rc rc = mw_keys_read(imp, node, at, field_keys, MW_COUNT(field_keys), slots, F_COUNT);
    if (rc != MW_OK)
        return rc;
    if (slots[F_NAME] != MW_NODE_NONE || field->name.len == 0)
        rc = mw_keys_text(imp, slots[F_NAME], mw_keys_at(imp, at, MW_STR("name")),
                          "the field's name is needed", &field->name);
    if (rc == MW_OK && !mw_keys_absent(imp, slots[F_TYPE]))
        rc = read_type(imp, slots[F_TYPE], mw_keys_at(imp, at, MW_STR("type")), field);
    if (rc == MW_OK && !mw_keys_absent(imp, slots[F_VALUES])) {
        if (!field->type_said)
            field->type = MW_BP_ENUM;
        field->type_said = true;
        rc = read_values(imp, slots[F_VALUES], mw_keys_at(imp, at, MW_STR("values")), field);
    }
    if (rc == MW_OK && !mw_keys_absent(imp, slots[F_ENTITY])) {
        if (!field->type_said)
            field->type = MW_BP_REFERENCE;
        field->type_said = true;
        rc = mw_keys_text(imp, slots[F_ENTITY], mw_keys_at(imp, at, MW_STR("entity")),
                          "the name of an entity is needed", &field->entity);
    }
    if (rc == MW_OK && field->type == MW_BP_REFERENCE && field->type_said && field->entity.len == 0)
        field->entity = mw_name_pascal(imp->inf->arena, field->name);
    if (rc == MW_OK && field->type != MW_BP_REFERENCE && field->entity.len > 0)
        return MW_FAIL(imp->err, MW_E_INPUT,
                       "%.*s: found entity beside the type %s; only a reference names one",
                       MW_STR_ARG(at), mw_bp_type_name(field->type));
    if (!mw_name_is_camel(field->name))
        field->name = mw_name_camel(imp->inf->arena, field->name);
    return rc != MW_OK ? rc : read_rest(imp, service, entity, slots, at, field);
}

static enum mw_rc field_text(const struct mw_import *imp, struct mw_bp_service *service,
                             struct mw_bp_entity *entity, struct mw_str text, struct mw_str at,
                             struct mw_bp_field **ret_field)
{
    struct mw_str bad = MW_STR_NONE;
    struct mw_bp_field *field = mw_infer_field_text(imp->inf, text, NULL, &bad);
    size_t colon = mw_str_find(text, ':', 0);
    struct mw_str name = colon == SIZE_MAX ? MW_STR_NONE : mw_str_trim(mw_str_sub(text, 0, colon));
    if (field == NULL && mw_name_is_camel(name)) { /* a name that is a word of the language: "is" */
        struct mw_str rest = mw_str_sub(text, colon + 1, text.len);
        field = mw_infer_field_text(
            imp->inf, mw_arena_format(imp->inf->arena, "x: %.*s", MW_STR_ARG(rest)), NULL, &bad);
        if (field != NULL)
            field->name = name;
    }
    if (field == NULL)
        return MW_FAIL(
            imp->err, MW_E_INPUT,
            "%.*s: found '%.*s', of which '%.*s' means nothing; write \"name: type required\"",
            MW_STR_ARG(at), MW_STR_ARG(mw_name_clip(text, 80)), MW_STR_ARG(mw_name_clip(bad, 80)));
    if (!field->type_said)
        mw_infer_field_finish(imp->inf, service, entity, field);
    *ret_field = field;
    return MW_OK;
}

static enum mw_rc one_field(const struct mw_import *imp, struct mw_bp_service *service,
                            struct mw_bp_entity *entity, struct mw_str name, uint32_t node,
                            struct mw_str at)
{
    struct mw_bp_field *field = mw_arena_array(imp->inf->arena, struct mw_bp_field, 1);
    struct mw_str text = mw_str_trim(mw_node_str(imp->tape, node));
    enum mw_rc rc = MW_OK;
    if (field == NULL)
        return MW_FAIL(imp->err, MW_E_LIMIT, "the blueprint needs more memory than a task has");
    if (mw_node_type(imp->tape, node) == MW_NODE_STRING && text.len > 0) {
        if (name.len > 0)
            text =
                mw_arena_format(imp->inf->arena, "%.*s: %.*s",
                                MW_STR_ARG(mw_name_camel(imp->inf->arena, name)), MW_STR_ARG(text));
        rc = field_text(imp, service, entity, text, at, &field);
        if (rc == MW_OK && name.len > 0 && mw_name_is_camel(name))
            field->name = name;
    } else if (mw_node_type(imp->tape, node) == MW_NODE_OBJECT) {
        field->name = name;
        rc = field_object(imp, service, entity, node, at, field);
    } else {
        return mw_keys_wrong(imp, node, at, "a field is a text or an object");
    }
    if (rc == MW_OK)
        mw_bp_add_field(entity, field);
    return rc;
}

enum mw_rc mw_import_fields(const struct mw_import *imp, struct mw_bp_service *service,
                            struct mw_bp_entity *entity, uint32_t node, struct mw_str at)
{
    const struct mw_tape *t = imp->tape;
    bool map = mw_node_type(t, node) == MW_NODE_OBJECT;
    if (!map && mw_node_type(t, node) != MW_NODE_ARRAY)
        return mw_keys_wrong(imp, node, at, "fields are a list or a map from name to type");
    if (mw_node_count(t, node) > MW_BP_FIELDS_MAX)
        return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: %u fields; an entity has at most %d (fields)",
                       MW_STR_ARG(at), mw_node_count(t, node), MW_BP_FIELDS_MAX);
    uint32_t index = 0;
    for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), index++) {
        struct mw_str here =
            map ? mw_keys_at(imp, at, mw_node_str(t, i)) : mw_keys_index(imp, at, index);
        enum mw_rc rc = one_field(imp, service, entity, map ? mw_node_str(t, i) : MW_STR_NONE,
                                  map ? i + 1 : i, here);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}

/* --- entities --- */

static enum mw_rc given_slug(const struct mw_import *imp, uint32_t node, struct mw_str at,
                             struct mw_str *slug)
{
    if (mw_keys_absent(imp, node))
        return MW_OK;
    if (!mw_name_is_slug(mw_node_str(imp->tape, node)))
        return mw_keys_wrong(imp, node, at, "small letters, digits and single '-' are needed");
    *slug = mw_node_str(imp->tape, node);
    return MW_OK;
}

/* An object is an entity when it has a key of one; else it is its fields by name. */
static bool has_entity_key(const struct mw_import *imp, uint32_t node)
{
    static const char *const keys[] = {"fields", "properties", "attributes"};
    for (size_t i = 0; i < MW_COUNT(keys); i++) {
        enum mw_node_type type = mw_node_type(imp->tape, mw_node_get(imp->tape, node, keys[i]));
        if (type == MW_NODE_ARRAY || type == MW_NODE_OBJECT)
            return true;
    }
    return mw_node_get(imp->tape, node, "plural") != MW_NODE_NONE;
}

static enum mw_rc add_entity(const struct mw_import *imp, struct mw_bp_service *service,
                             struct mw_str name, struct mw_str at, struct mw_bp_entity **ret_entity)
{
    struct mw_str pascal = mw_name_is_pascal(name) ? name : mw_name_pascal(imp->inf->arena, name);
    if (!mw_name_is_pascal(pascal))
        return MW_FAIL(imp->err, MW_E_INPUT,
                       "%.*s: '%.*s' gives no usable name; letters and digits, starting with a "
                       "letter, at most %d",
                       MW_STR_ARG(at), MW_STR_ARG(mw_name_clip(name, 80)), MW_NAME_MAX);
    if (mw_bp_entity_of(service, pascal) != NULL)
        return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: %.*s has the entity '%.*s' twice",
                       MW_STR_ARG(at), MW_STR_ARG(service->name), MW_STR_ARG(pascal));
    *ret_entity = mw_bp_add_entity(imp->inf->bp, service, pascal);
    if (*ret_entity == NULL)
        return MW_FAIL(imp->err, MW_E_LIMIT, "the blueprint needs more memory than a task has");
    return MW_OK;
}

static enum mw_rc one_entity(const struct mw_import *imp, struct mw_bp_service *service,
                             struct mw_str name, uint32_t node, struct mw_str at)
{
    uint32_t slots[E_COUNT] = {MW_NODE_NONE, MW_NODE_NONE, MW_NODE_NONE, MW_NODE_NONE};
    enum mw_node_type type = mw_node_type(imp->tape, node);
    struct mw_bp_entity *entity = NULL;
    enum mw_rc rc = MW_OK;
    if (type == MW_NODE_OBJECT && (name.len == 0 || has_entity_key(imp, node)))
        rc = mw_keys_read(imp, node, at, entity_keys, MW_COUNT(entity_keys), slots, E_COUNT);
    else if (name.len > 0 && (type == MW_NODE_OBJECT || type == MW_NODE_ARRAY))
        slots[E_FIELDS] = node;
    else if (name.len == 0 && type == MW_NODE_STRING)
        slots[E_NAME] = node;
    else if (name.len == 0 || type != MW_NODE_NULL)
        return mw_keys_wrong(imp, node, at,
                             "an entity is a name or an object with name and fields");
    if (rc == MW_OK && (name.len == 0 || slots[E_NAME] != MW_NODE_NONE))
        rc = mw_keys_text(imp, slots[E_NAME], mw_keys_at(imp, at, MW_STR("name")),
                          "the entity's name is needed", &name);
    if (rc == MW_OK)
        rc = add_entity(imp, service, name, at, &entity);
    if (rc == MW_OK)
        rc = given_slug(imp, slots[E_SLUG], mw_keys_at(imp, at, MW_STR("slug")), &entity->slug);
    if (rc == MW_OK)
        rc = given_slug(imp, slots[E_PLURAL], mw_keys_at(imp, at, MW_STR("plural")),
                        &entity->plural);
    if (rc != MW_OK)
        return rc;
    if (!mw_keys_absent(imp, slots[E_FIELDS]))
        return mw_import_fields(imp, service, entity, slots[E_FIELDS],
                                mw_keys_at(imp, at, MW_STR("fields")));
    mw_infer_default_fields(imp->inf, service, entity);
    return MW_OK;
}

/* References may name an entity in any spelling, and one that comes later. */
static void settle_references(const struct mw_import *imp, struct mw_bp_service *service)
{
    for (struct mw_bp_entity *e = service->entities; e != NULL; e = e->next)
        for (struct mw_bp_field *f = e->fields; f != NULL; f = f->next) {
            struct mw_bp_entity *target =
                f->type == MW_BP_REFERENCE
                    ? mw_bp_entity_of(service, mw_name_words(imp->inf->arena, f->entity))
                    : NULL;
            if (target != NULL)
                f->entity = target->name;
        }
}

enum mw_rc mw_import_entities(const struct mw_import *imp, struct mw_bp_service *service,
                              uint32_t node, struct mw_str at)
{
    const struct mw_tape *t = imp->tape;
    bool map = mw_node_type(t, node) == MW_NODE_OBJECT;
    if (!map && mw_node_type(t, node) != MW_NODE_ARRAY)
        return mw_keys_wrong(imp, node, at, "entities are a list or a map from name to fields");
    if (mw_node_count(t, node) > MW_BP_ENTITIES_MAX)
        return MW_FAIL(imp->err, MW_E_INPUT,
                       "%.*s: %u entities; a service has at most %d (entities)", MW_STR_ARG(at),
                       mw_node_count(t, node), MW_BP_ENTITIES_MAX);
    uint32_t index = 0;
    for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), index++) {
        struct mw_str here =
            map ? mw_keys_at(imp, at, mw_node_str(t, i)) : mw_keys_index(imp, at, index);
        enum mw_rc rc =
            one_entity(imp, service, map ? mw_node_str(t, i) : MW_STR_NONE, map ? i + 1 : i, here);
        if (rc != MW_OK)
            return rc;
    }
    settle_references(imp, service);
    return MW_OK;
}
