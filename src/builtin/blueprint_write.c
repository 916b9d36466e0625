#include "builtin/blueprint.h"

static void write_default(struct mw_json *json, const struct mw_bp_field *field)
{
    bool bare =
        field->type == MW_BP_BOOLEAN || field->type == MW_BP_INTEGER || field->type == MW_BP_NUMBER;
    if (bare)
        mw_json_kraw(json, "default", field->default_text);
    else
        mw_json_kstr(json, "default", field->default_text);
}

static void write_field(struct mw_json *json, const struct mw_bp_field *field)
{
    mw_json_object(json);
    mw_json_kstr(json, "name", field->name);
    mw_json_kstr(json, "type", mw_str_of(mw_bp_type_name(field->type)));
    mw_json_kbool(json, "required", field->required);
    if (field->value_count > 0) {
        mw_json_karray(json, "values");
        for (uint32_t i = 0; i < field->value_count; i++)
            mw_json_str(json, field->values[i]);
        mw_json_array_end(json);
    }
    if (field->type == MW_BP_REFERENCE)
        mw_json_kstr(json, "entity", field->entity);
    if (field->default_given)
        write_default(json, field);
    if (field->min.len > 0)
        mw_json_kraw(json, "min", field->min);
    if (field->max.len > 0)
        mw_json_kraw(json, "max", field->max);
    mw_json_object_end(json);
}

void mw_bp_write_entity(struct mw_json *json, const struct mw_bp_entity *entity)
{
    mw_json_kstr(json, "name", entity->name);
    mw_json_kstr(json, "slug", entity->slug);
    mw_json_kstr(json, "plural", entity->plural);
    mw_json_karray(json, "fields");
    for (const struct mw_bp_field *f = entity->fields; f != NULL; f = f->next)
        write_field(json, f);
    mw_json_array_end(json);
}

static void write_what_it_changes(struct mw_json *json, const struct mw_bp_case *made)
{
    if (made->effect == MW_BP_SET) {
        mw_json_kobject(json, "set");
        for (const struct mw_bp_set *s = made->set; s != NULL; s = s->next) {
            mw_json_key(json, s->field);
            mw_json_raw(json, s->json);
        }
        mw_json_object_end(json);
    }
    if (made->effect == MW_BP_ASSIGN) {
        mw_json_karray(json, "fields");
        for (const struct mw_bp_name *n = made->fields; n != NULL; n = n->next)
            mw_json_str(json, n->name);
        mw_json_array_end(json);
    }
    if (made->effect == MW_BP_INCREMENT) {
        mw_json_kstr(json, "field", made->field);
        mw_json_kraw(json, "by", made->by);
    }
}

void mw_bp_write_case(struct mw_json *json, const struct mw_bp_case *made)
{
    mw_json_kstr(json, "name", made->name);
    mw_json_kstr(json, "slug", made->slug);
    if (made->action.len > 0)
        mw_json_kstr(json, "action", made->action);
    mw_json_kstr(json, "entity", made->entity);
    mw_json_kstr(json, "effect", mw_str_of(mw_bp_effect_name(made->effect)));
    write_what_it_changes(json, made);
}

static void write_service(struct mw_json *json, const struct mw_bp_service *service)
{
    mw_json_object(json);
    mw_json_kstr(json, "name", service->name);
    mw_json_kstr(json, "slug", service->slug);
    mw_json_kstr(json, "domain", service->domain);
    mw_json_kstr(json, "storage", service->storage);
    if (service->algorithm.len > 0) {
        mw_json_kobject(json, "auth");
        mw_json_kstr(json, "strategy", MW_STR("JWT"));
        mw_json_key(json, MW_STR("provider"));
        mw_json_null(json);
        mw_json_kstr(json, "algorithm", service->algorithm);
        mw_json_object_end(json);
    } else {
        mw_json_key(json, MW_STR("auth"));
        mw_json_null(json);
    }
    mw_json_kraw(json, "features", MW_STR("[]"));
    mw_json_karray(json, "entities");
    for (const struct mw_bp_entity *e = service->entities; e != NULL; e = e->next) {
        mw_json_object(json);
        mw_bp_write_entity(json, e);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_karray(json, "use_cases");
    for (const struct mw_bp_case *c = service->cases; c != NULL; c = c->next) {
        mw_json_object(json);
        mw_bp_write_case(json, c);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_object_end(json);
}

void mw_bp_write(const struct mw_bp *bp, struct mw_buf *out)
{
    struct mw_json json;
    mw_json_init(&json, out);
    mw_json_object(&json);
    mw_json_ki64(&json, "schema", 1);
    mw_json_kstr(&json, "name", bp->name);
    mw_json_kstr(&json, "slug", bp->slug);
    mw_json_karray(&json, "services");
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        write_service(&json, s);
    mw_json_array_end(&json);
    mw_json_kraw(&json, "frontend", MW_STR("{\"spa\":false,\"mobile\":false}"));
    mw_json_kraw(&json, "gateway", MW_STR("{\"enabled\":false}"));
    mw_json_key(&json, MW_STR("infrastructure"));
    mw_json_null(&json);
    mw_json_kbool(&json, "ci", false);
    mw_json_kbool(&json, "autoDeploy", false);
    mw_json_kraw(&json, "testScope", bp->test_scope);
    mw_json_kbool(&json, "approvalRequired", false);
    mw_json_object_end(&json);
}
