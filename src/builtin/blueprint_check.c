#include "builtin/blueprint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Where a check stands, for the JSON pointer. */
struct place {
    const struct mw_bp *bp;
    uint32_t service;
    struct mw_err *err;
};

static const char *const taken_fields[] = {
    "id",        "createdAt", "updatedAt",      "ownerId",       "constructor",
    "prototype", "proto",     "toString",       "valueOf",       "hasOwnProperty",
    "toJSON",    "then",      "toLocaleString", "isPrototypeOf", "propertyIsEnumerable"};

static bool is_taken(struct mw_str name)
{
    for (size_t i = 0; i < MW_COUNT(taken_fields); i++)
        if (mw_bp_same_name(name, mw_str_of(taken_fields[i])))
            return true;
    return false;
}

static enum mw_rc check_field(const struct place *p, const struct mw_bp_service *service,
                              const struct mw_bp_entity *entity, uint32_t entity_index,
                              struct mw_bp_field *field, uint32_t index)
{
    struct mw_str at = mw_arena_format(p->bp->arena, "/services/%u/entities/%u/fields/%u",
                                       p->service, entity_index, index);
    if (!mw_name_is_camel(field->name))
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: '%.*s' is no field name; letters and digits, starting with a small "
                       "letter, at most %d",
                       MW_STR_ARG(at), MW_STR_ARG(field->name), MW_NAME_MAX);
    if (is_taken(field->name))
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: '%.*s' is taken by every record; choose another name", MW_STR_ARG(at),
                       MW_STR_ARG(field->name));
    for (const struct mw_bp_field *f = entity->fields; f != field; f = f->next)
        if (mw_bp_same_name(f->name, field->name))
            return MW_FAIL(p->err, MW_E_INPUT, "%.*s: %.*s has the field '%.*s' twice",
                           MW_STR_ARG(at), MW_STR_ARG(entity->name), MW_STR_ARG(field->name));
    struct mw_str why = mw_bp_field_wrong(p->bp->arena, field);
    if (why.len > 0)
        return MW_FAIL(p->err, MW_E_INPUT, "%.*s: the field '%.*s': %.*s", MW_STR_ARG(at),
                       MW_STR_ARG(field->name), MW_STR_ARG(why));
    if (field->type == MW_BP_REFERENCE && mw_bp_entity_of(service, field->entity) == NULL)
        return MW_FAIL(
            p->err, MW_E_INPUT,
            "%.*s: '%.*s' refers to '%.*s', which is no entity of %.*s; name one of its entities",
            MW_STR_ARG(at), MW_STR_ARG(field->name), MW_STR_ARG(field->entity),
            MW_STR_ARG(service->name));
    return MW_OK;
}

static double number_of(struct mw_str decimal)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", MW_STR_ARG(decimal)); /* at most 15 digits */
    return strtod(text, NULL);
}

/* Bytes that a value takes at least, or that one of its values takes. */
static double least_bytes(const struct mw_bp_field *field)
{
    double bytes = field->type == MW_BP_STRING && field->min.len > 0 ? number_of(field->min) : 0;
    if (field->type == MW_BP_STRING && bytes < (double)field->default_text.len)
        bytes = (double)field->default_text.len;
    for (uint32_t i = 0; i < field->value_count; i++)
        if (bytes < (double)field->values[i].len)
            bytes = (double)field->values[i].len;
    return bytes;
}

static enum mw_rc check_entity(const struct place *p, const struct mw_bp_service *service,
                               const struct mw_bp_entity *entity, uint32_t index)
{
    struct mw_str at = mw_arena_format(p->bp->arena, "/services/%u/entities/%u", p->service, index);
    if (!mw_name_is_pascal(entity->name) || !mw_name_is_slug(entity->slug) ||
        !mw_name_is_slug(entity->plural))
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: '%.*s' gives no usable name; letters and digits, starting with a "
                       "letter, at most %d",
                       MW_STR_ARG(at), MW_STR_ARG(entity->name), MW_NAME_MAX);
    for (const struct mw_bp_entity *e = service->entities; e != entity; e = e->next)
        if (mw_bp_same_name(e->name, entity->name) || mw_str_eq(e->slug, entity->slug) ||
            mw_str_eq(e->plural, entity->plural))
            return MW_FAIL(p->err, MW_E_INPUT, "%.*s: %.*s has two entities that answer to '%.*s'",
                           MW_STR_ARG(at), MW_STR_ARG(service->name), MW_STR_ARG(entity->name));
    if (entity->field_count > MW_BP_FIELDS_MAX)
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s/fields: %u fields; an entity has at most %d (fields)", MW_STR_ARG(at),
                       entity->field_count, MW_BP_FIELDS_MAX);
    uint32_t k = 0;
    double bytes = 0;
    for (struct mw_bp_field *f = entity->fields; f != NULL; f = f->next, k++) {
        enum mw_rc rc = check_field(p, service, entity, index, f, k);
        if (rc != MW_OK)
            return rc;
        bytes += least_bytes(f);
    }
    if (bytes > MW_BP_RECORD_BYTES_MAX)
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: a record of '%.*s' takes more than the %d bytes that a request has "
                       "room for; a smaller 'min', or shorter values",
                       MW_STR_ARG(at), MW_STR_ARG(entity->name), MW_BP_RECORD_BYTES_MAX);
    return MW_OK;
}

static struct mw_str changed_field_wrong(const struct place *p, const struct mw_bp_entity *entity,
                                         const struct mw_bp_case *made)
{
    for (const struct mw_bp_set *s = made->set; s != NULL; s = s->next)
        if (mw_bp_field_of(entity, s->field) == NULL)
            return s->field;
    for (const struct mw_bp_name *n = made->fields; n != NULL; n = n->next)
        if (mw_bp_field_of(entity, n->name) == NULL)
            return n->name;
    if (made->effect != MW_BP_INCREMENT)
        return MW_STR_NONE;
    const struct mw_bp_field *f = mw_bp_field_of(entity, made->field);
    if (f == NULL || (f->type != MW_BP_INTEGER && f->type != MW_BP_NUMBER))
        return mw_arena_format(p->bp->arena, "%.*s", MW_STR_ARG(made->field));
    return MW_STR_NONE;
}

/* Between its bounds there has to be room for one step, or the use case could never do anything. */
static bool has_room(const struct mw_bp_field *field, struct mw_str by)
{
    if (field->min.len == 0 || field->max.len == 0)
        return true;
    return fabs(number_of(by)) <= number_of(field->max) - number_of(field->min) + 1e-9;
}

static bool same_route(const struct mw_bp_case *a, const struct mw_bp_case *b)
{
    if (!mw_str_eq(a->entity, b->entity))
        return false;
    bool a_acts = a->effect >= MW_BP_SET, b_acts = b->effect >= MW_BP_SET;
    return a_acts && b_acts ? mw_str_eq(a->action, b->action) : a->effect == b->effect;
}

static enum mw_rc check_case_names(const struct place *p, const struct mw_bp_service *service,
                                   const struct mw_bp_case *made, struct mw_str at)
{
    if (!mw_name_is_pascal(made->name) || !mw_name_is_slug(made->slug))
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: '%.*s' gives no usable name; letters and digits, starting with a "
                       "letter, at most %d",
                       MW_STR_ARG(at), MW_STR_ARG(made->name), MW_NAME_MAX);
    for (const struct mw_bp_case *c = service->cases; c != made; c = c->next) {
        if (mw_bp_same_name(c->name, made->name) || mw_str_eq(c->slug, made->slug))
            return MW_FAIL(p->err, MW_E_INPUT, "%.*s: %.*s has the use case '%.*s' twice",
                           MW_STR_ARG(at), MW_STR_ARG(service->name), MW_STR_ARG(made->name));
        if (same_route(c, made))
            return MW_FAIL(p->err, MW_E_INPUT,
                           "%.*s: '%.*s' and '%.*s' would answer to the same method and path; keep "
                           "one, or give one another effect",
                           MW_STR_ARG(at), MW_STR_ARG(c->name), MW_STR_ARG(made->name));
    }
    return MW_OK;
}

static enum mw_rc check_case(const struct place *p, const struct mw_bp_service *service,
                             const struct mw_bp_case *made, uint32_t index)
{
    struct mw_str at =
        mw_arena_format(p->bp->arena, "/services/%u/use_cases/%u", p->service, index);
    enum mw_rc rc = check_case_names(p, service, made, at);
    if (rc != MW_OK)
        return rc;
    const struct mw_bp_entity *entity = mw_bp_entity_of(service, made->entity);
    if (entity == NULL)
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: '%.*s' names the entity '%.*s', which %.*s does not have",
                       MW_STR_ARG(at), MW_STR_ARG(made->name), MW_STR_ARG(made->entity),
                       MW_STR_ARG(service->name));
    bool acts = made->effect >= MW_BP_SET;
    if (acts != (made->action.len > 0) || (acts && !mw_name_is_slug(made->action)))
        return MW_FAIL(
            p->err, MW_E_INPUT,
            "%.*s: '%.*s': an action is a slug and belongs to set, assign and increment only",
            MW_STR_ARG(at), MW_STR_ARG(made->name));
    struct mw_str field = changed_field_wrong(p, entity, made);
    if (field.len > 0)
        return MW_FAIL(
            p->err, MW_E_INPUT, "%.*s: '%.*s' changes '%.*s', which is no such field of %.*s",
            MW_STR_ARG(at), MW_STR_ARG(made->name), MW_STR_ARG(field), MW_STR_ARG(entity->name));
    const struct mw_bp_field *counted =
        made->effect == MW_BP_INCREMENT ? mw_bp_field_of(entity, made->field) : NULL;
    if (counted != NULL && !has_room(counted, made->by))
        return MW_FAIL(p->err, MW_E_INPUT,
                       "%.*s: '%.*s' adds %.*s to '%.*s', which has no room for it between %.*s "
                       "and %.*s; widen the bounds or take a smaller step",
                       MW_STR_ARG(at), MW_STR_ARG(made->name), MW_STR_ARG(made->by),
                       MW_STR_ARG(made->field), MW_STR_ARG(counted->min), MW_STR_ARG(counted->max));
    return MW_OK;
}

static enum mw_rc check_service(const struct place *p, const struct mw_bp_service *service)
{
    if (!mw_name_is_pascal(service->name) || !mw_name_is_slug(service->slug))
        return MW_FAIL(p->err, MW_E_INPUT,
                       "/services/%u/name: '%.*s' gives no usable name; letters and digits, "
                       "starting with a letter, at most %d",
                       p->service, MW_STR_ARG(service->name), MW_NAME_MAX);
    for (const struct mw_bp_service *s = p->bp->services; s != service; s = s->next)
        if (mw_bp_same_name(s->name, service->name) || mw_str_eq(s->slug, service->slug))
            return MW_FAIL(p->err, MW_E_INPUT, "/services/%u: the service '%.*s' is there twice",
                           p->service, MW_STR_ARG(service->name));
    if (service->entity_count > MW_BP_ENTITIES_MAX)
        return MW_FAIL(p->err, MW_E_INPUT,
                       "/services/%u/entities: %u entities; a service has at most %d (entities)",
                       p->service, service->entity_count, MW_BP_ENTITIES_MAX);
    if (service->case_count > MW_BP_CASES_MAX)
        return MW_FAIL(p->err, MW_E_INPUT,
                       "/services/%u/use_cases: %u use cases; a service has at most %d (use cases)",
                       p->service, service->case_count, MW_BP_CASES_MAX);
    uint32_t k = 0;
    for (const struct mw_bp_entity *e = service->entities; e != NULL; e = e->next, k++) {
        enum mw_rc rc = check_entity(p, service, e, k);
        if (rc != MW_OK)
            return rc;
    }
    k = 0;
    for (const struct mw_bp_case *c = service->cases; c != NULL; c = c->next, k++) {
        enum mw_rc rc = check_case(p, service, c, k);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}

enum mw_rc mw_bp_check(const struct mw_bp *bp, struct mw_err *err)
{
    if (bp->service_count == 0)
        return MW_FAIL(err, MW_E_INPUT, "/services: empty; name at least one service");
    if (bp->service_count > MW_BP_SERVICES_MAX)
        return MW_FAIL(err, MW_E_INPUT,
                       "/services: %u services; a blueprint has at most %d (services)",
                       bp->service_count, MW_BP_SERVICES_MAX);
    if (bp->name.len == 0 || bp->name.len > 2 * MW_NAME_MAX || !mw_name_is_slug(bp->slug))
        return MW_FAIL(err, MW_E_INPUT,
                       "/name: '%.*s' gives no usable name; use some letters, at most %d bytes",
                       MW_STR_ARG(mw_name_clip(bp->name, 200)), 2 * MW_NAME_MAX);
    struct place p = {.bp = bp, .err = err};
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next, p.service++) {
        enum mw_rc rc = check_service(&p, s);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}
