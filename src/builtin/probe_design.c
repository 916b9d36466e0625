#include "builtin/probe_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[PROBE_TYPE_COUNT] = {
    [PROBE_STRING] = "string",   [PROBE_INTEGER] = "integer",     [PROBE_NUMBER] = "number",
    [PROBE_BOOLEAN] = "boolean", [PROBE_DATE] = "date",           [PROBE_EMAIL] = "email",
    [PROBE_ENUM] = "enum",       [PROBE_REFERENCE] = "reference",
};

static const struct {
    const char *name;
    const char *method;
    const char *path; /* after /{plural}; %: /{id}, @: /{action} */
} effects[PROBE_EFFECT_COUNT] = {
    [PROBE_CREATE] = {"create", "POST", ""},    [PROBE_READ] = {"read", "GET", "%"},
    [PROBE_LIST] = {"list", "GET", ""},         [PROBE_UPDATE] = {"update", "PATCH", "%"},
    [PROBE_DELETE] = {"delete", "DELETE", "%"}, [PROBE_SET] = {"set", "POST", "%@"},
    [PROBE_ASSIGN] = {"assign", "POST", "%@"},  [PROBE_INCREMENT] = {"increment", "POST", "%@"},
};

static enum mw_rc read_entity(struct probe *p, uint32_t node, struct probe_entity *ret_entity,
                              struct mw_err *err);
static enum mw_rc read_field(struct probe *p, uint32_t node, struct probe_field *ret_field,
                             struct mw_err *err);
static enum mw_rc read_use_case(struct probe *p, uint32_t node, struct probe_use_case *ret_use_case,
                                struct mw_err *err);
static void find_creatable(struct probe *p);
static double number_of(const struct mw_tape *tape, uint32_t node, double otherwise);
static bool effect_of(struct mw_str name, enum probe_effect *ret_effect);

enum mw_rc probe_design_read(struct probe *p, struct mw_err *err)
{
    const struct mw_tape *tape = p->options->tape;
    uint32_t design = p->options->design;
    uint32_t entities = mw_node_get(tape, design, "entities");
    uint32_t use_cases = mw_node_get(tape, design, "use_cases");
    uint32_t entity_count = mw_node_count(tape, entities);
    uint32_t use_case_count = mw_node_count(tape, use_cases);
    struct mw_str algorithm = mw_node_get_text(tape, mw_node_get(tape, design, "jwt"), "algorithm");

    if (mw_node_type(tape, design) != MW_NODE_OBJECT ||
        mw_node_type(tape, entities) != MW_NODE_ARRAY ||
        mw_node_type(tape, use_cases) != MW_NODE_ARRAY)
        return MW_FAIL(err, MW_E_INPUT, "the design has no entities or no use_cases");
    if (entity_count > PROBE_ENTITIES_MAX || use_case_count > PROBE_USE_CASES_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "the design has %u entities and %u use cases", entity_count,
                       use_case_count);
    p->service_name = mw_node_get_text(tape, design, "serviceName");
    p->slug = mw_node_get_text(tape, design, "slug");
    p->durable = !mw_str_is(mw_node_get_text(tape, design, "storage"), "Memory");
    p->auth = mw_str_is(mw_node_get_text(tape, design, "auth"), "JWT");
    p->algorithm = MW_JWT_HS256;
    if (p->auth && algorithm.len > 0 &&
        (!mw_jwt_algorithm_of(algorithm, &p->algorithm) || p->algorithm == MW_JWT_NONE))
        return MW_FAIL(err, MW_E_INPUT, "jwt algorithm '%.*s'", MW_STR_ARG(algorithm));

    p->entities = mw_arena_array(&p->keep, struct probe_entity, entity_count + 1);
    p->use_cases = mw_arena_array(&p->keep, struct probe_use_case, use_case_count + 1);
    p->records = mw_arena_array(&p->keep, struct probe_record, PROBE_RECORDS_MAX);
    if (p->keep.exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "no room for the design");
    /* Names first: a reference may point forward. */
    for (uint32_t i = mw_node_first(tape, entities); i != MW_NODE_NONE;
         i = mw_node_after(tape, entities, i))
        p->entities[p->entity_count++].name = mw_node_get_text(tape, i, "name");
    uint32_t index = 0;
    for (uint32_t i = mw_node_first(tape, entities); i != MW_NODE_NONE;
         i = mw_node_after(tape, entities, i)) {
        enum mw_rc rc = read_entity(p, i, &p->entities[index++], err);
        if (rc != MW_OK)
            return rc;
    }
    for (uint32_t i = mw_node_first(tape, use_cases); i != MW_NODE_NONE;
         i = mw_node_after(tape, use_cases, i)) {
        struct probe_use_case *use_case = &p->use_cases[p->use_case_count];
        enum mw_rc rc = read_use_case(p, i, use_case, err);
        if (rc != MW_OK)
            return rc;
        uint32_t *first = &p->entities[use_case->entity].by_effect[use_case->effect];
        if (*first == PROBE_NONE)
            *first = p->use_case_count;
        p->use_case_count++;
    }
    find_creatable(p);
    return MW_OK;
}

static bool needs_uncreatable(const struct probe *p, const struct probe_entity *entity)
{
    for (uint32_t i = 0; i < entity->field_count; i++) {
        const struct probe_field *field = &entity->fields[i];
        if (field->type == PROBE_REFERENCE && field->required && field->preset.ptr == NULL &&
            field->entity != PROBE_NONE && !p->entities[field->entity].creatable &&
            p->entities[field->entity].by_effect[PROBE_CREATE] != PROBE_NONE)
            return true;
    }
    return false;
}

/* The least fixed point: what is left out is a circle, or hangs on one. */
static void find_creatable(struct probe *p)
{
    for (bool found = true; found;) {
        found = false;
        for (uint32_t i = 0; i < p->entity_count; i++) {
            struct probe_entity *entity = &p->entities[i];
            if (entity->creatable || entity->by_effect[PROBE_CREATE] == PROBE_NONE ||
                needs_uncreatable(p, entity))
                continue;
            entity->creatable = found = true;
        }
    }
}

uint32_t probe_find_entity(const struct probe *p, struct mw_str name)
{
    for (uint32_t i = 0; i < p->entity_count; i++)
        if (mw_str_eq(p->entities[i].name, name))
            return i;
    return PROBE_NONE;
}

uint32_t probe_find_field(const struct probe_entity *entity, struct mw_str name)
{
    for (uint32_t i = 0; i < entity->field_count; i++)
        if (mw_str_eq(entity->fields[i].name, name))
            return i;
    return PROBE_NONE;
}

struct mw_str probe_words(struct mw_arena *arena, struct mw_str name)
{
    char *text = mw_arena_alloc(arena, 2 * name.len + 1);
    size_t len = 0;
    if (text == NULL)
        return name;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (isupper(c) && i > 0 && !isupper((unsigned char)name.ptr[i - 1]))
            text[len++] = ' ';
        text[len++] = (char)tolower(c);
    }
    return (struct mw_str){text, len};
}

struct mw_str probe_node_json(struct mw_arena *arena, const struct mw_tape *tape, uint32_t node)
{
    if (node == MW_NODE_NONE)
        return MW_STR_NONE;
    /* Escapes may make a copy longer than its source, at most six-fold. */
    size_t cap = 64;
    for (uint32_t i = node; i < tape->nodes[node].next; i++)
        cap += 6 * tape->nodes[i].text.len + 8;
    char *memory = mw_arena_alloc(arena, cap);
    struct mw_buf buf;
    struct mw_json json;
    if (memory == NULL)
        return MW_STR_NONE;
    mw_buf_init(&buf, memory, cap);
    mw_json_init(&json, &buf);
    mw_json_node(&json, tape, node);
    MW_ASSERT(!buf.overflowed);
    return mw_buf_str(&buf);
}

struct mw_str mw_probe_method_of(const struct mw_tape *tape, uint32_t use_case)
{
    struct mw_str said = mw_node_get_text(tape, use_case, "method");
    enum probe_effect effect;
    if (said.len == 0 && effect_of(mw_node_get_text(tape, use_case, "effect"), &effect))
        said = mw_str_of(effects[effect].method);
    return said;
}

struct mw_str mw_probe_path_of(struct mw_arena *arena, const struct mw_tape *tape, uint32_t design,
                               uint32_t use_case)
{
    struct mw_str said = mw_node_get_text(tape, use_case, "path");
    struct mw_str entity = mw_node_get_text(tape, use_case, "entity");
    struct mw_str action = mw_node_get_text(tape, use_case, "action");
    uint32_t entities = mw_node_get(tape, design, "entities");
    enum probe_effect effect;
    if (said.len > 0 || !effect_of(mw_node_get_text(tape, use_case, "effect"), &effect))
        return said;
    for (uint32_t i = mw_node_first(tape, entities); i != MW_NODE_NONE;
         i = mw_node_after(tape, entities, i)) {
        struct mw_str plural = mw_node_get_text(tape, i, "plural");
        if (!mw_str_eq(mw_node_get_text(tape, i, "name"), entity))
            continue;
        const char *rest = effects[effect].path;
        return mw_arena_format(arena, "/%.*s%s%s%.*s", MW_STR_ARG(plural),
                               rest[0] == '%' ? "/{id}" : "",
                               rest[0] == '%' && rest[1] == '@' ? "/" : "",
                               rest[0] == '%' && rest[1] == '@' ? (int)action.len : 0,
                               action.ptr != NULL ? action.ptr : "");
    }
    return MW_STR_NONE;
}

static enum mw_rc read_entity(struct probe *p, uint32_t node, struct probe_entity *ret_entity,
                              struct mw_err *err)
{
    const struct mw_tape *tape = p->options->tape;
    uint32_t fields = mw_node_get(tape, node, "fields");
    uint32_t count = mw_node_count(tape, fields);
    if (ret_entity->name.len == 0)
        return MW_FAIL(err, MW_E_INPUT, "an entity without a name");
    if (count > PROBE_FIELDS_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "entity '%.*s' has %u fields", MW_STR_ARG(ret_entity->name),
                       count);
    ret_entity->fields = mw_arena_array(&p->keep, struct probe_field, count + 1);
    for (uint32_t i = 0; i < PROBE_EFFECT_COUNT; i++)
        ret_entity->by_effect[i] = PROBE_NONE;
    ret_entity->anchor[0] = ret_entity->anchor[1] = PROBE_NONE;
    if (ret_entity->fields == NULL)
        return MW_FAIL(err, MW_E_LIMIT, "no room for the design");
    for (uint32_t i = mw_node_first(tape, fields); i != MW_NODE_NONE;
         i = mw_node_after(tape, fields, i)) {
        enum mw_rc rc = read_field(p, i, &ret_entity->fields[ret_entity->field_count], err);
        if (rc != MW_OK)
            return rc;
        ret_entity->field_count++;
    }
    return MW_OK;
}

static enum mw_rc read_field(struct probe *p, uint32_t node, struct probe_field *ret_field,
                             struct mw_err *err)
{
    const struct mw_tape *tape = p->options->tape;
    struct mw_str type = mw_node_get_text(tape, node, "type");
    struct probe_field field = {.name = mw_node_get_text(tape, node, "name")};
    uint32_t known = 0;
    while (known < PROBE_TYPE_COUNT && !mw_str_is(type, type_names[known]))
        known++;
    if (known == PROBE_TYPE_COUNT || field.name.len == 0)
        return MW_FAIL(err, MW_E_INPUT, "field '%.*s' has the type '%.*s'", MW_STR_ARG(field.name),
                       MW_STR_ARG(type));
    field.type = (enum probe_type)known;
    field.words = probe_words(&p->keep, field.name);
    field.required = mw_node_bool(tape, mw_node_get(tape, node, "required"), false);
    uint32_t preset = mw_node_get(tape, node, "default");
    if (!mw_node_is_null(tape, preset))
        field.preset = probe_node_json(&p->keep, tape, preset);
    field.has_min = !mw_node_is_null(tape, mw_node_get(tape, node, "min"));
    field.has_max = !mw_node_is_null(tape, mw_node_get(tape, node, "max"));
    field.min = number_of(tape, mw_node_get(tape, node, "min"), 0);
    field.max = number_of(tape, mw_node_get(tape, node, "max"), 0);
    field.values = mw_node_get(tape, node, "values");
    field.entity = probe_find_entity(p, mw_node_get_text(tape, node, "entity"));
    if (field.type == PROBE_ENUM && mw_node_count(tape, field.values) == 0)
        return MW_FAIL(err, MW_E_INPUT, "field '%.*s' is an enum without values",
                       MW_STR_ARG(field.name));
    *ret_field = field;
    return MW_OK;
}

static enum mw_rc read_use_case(struct probe *p, uint32_t node, struct probe_use_case *ret_use_case,
                                struct mw_err *err)
{
    const struct mw_tape *tape = p->options->tape;
    struct mw_str effect = mw_node_get_text(tape, node, "effect");
    struct mw_str entity = mw_node_get_text(tape, node, "entity");
    struct probe_use_case use_case = {
        .name = mw_node_get_text(tape, node, "name"),
        .method = mw_probe_method_of(tape, node),
        .path = mw_probe_path_of(&p->keep, tape, p->options->design, node),
        .entity = probe_find_entity(p, entity),
        .set = mw_node_get(tape, node, "set"),
        .fields = mw_node_get(tape, node, "fields"),
        .field = mw_node_get_text(tape, node, "field"),
        .by = number_of(tape, mw_node_get(tape, node, "by"), 1),
    };
    if (!effect_of(effect, &use_case.effect))
        return MW_FAIL(err, MW_E_INPUT, "use case '%.*s' has the effect '%.*s'",
                       MW_STR_ARG(use_case.name), MW_STR_ARG(effect));
    if (use_case.entity == PROBE_NONE || use_case.path.len == 0)
        return MW_FAIL(err, MW_E_INPUT, "use case '%.*s' has the entity '%.*s'",
                       MW_STR_ARG(use_case.name), MW_STR_ARG(entity));
    *ret_use_case = use_case;
    return MW_OK;
}

static bool effect_of(struct mw_str name, enum probe_effect *ret_effect)
{
    for (uint32_t i = 0; i < PROBE_EFFECT_COUNT; i++) {
        if (mw_str_is(name, effects[i].name)) {
            *ret_effect = (enum probe_effect)i;
            return true;
        }
    }
    return false;
}

static double number_of(const struct mw_tape *tape, uint32_t node, double otherwise)
{
    char text[64];
    if (mw_node_type(tape, node) == MW_NODE_INTEGER)
        return (double)mw_node_int(tape, node, 0);
    if (node == MW_NODE_NONE || mw_node_type(tape, node) != MW_NODE_NUMBER)
        return otherwise;
    struct mw_str said = tape->nodes[node].text;
    if (said.len >= sizeof text)
        return otherwise;
    memcpy(text, said.ptr, said.len);
    text[said.len] = '\0';
    return strtod(text, NULL);
}
