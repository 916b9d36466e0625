#include "builtin/blueprint_import.h"
#include "builtin/builtin.h"

/* DesignPortsAndUseCases: what each service needs from the outside (ports), how it is reached (method and path), who handles what. */

static bool does(const struct mw_bp_service *service, const struct mw_bp_entity *entity,
                 enum mw_bp_effect effect)
{
    for (const struct mw_bp_case *c = service->cases; c != NULL; c = c->next)
        if (c->effect == effect && mw_str_eq(c->entity, entity->name))
            return true;
    return false;
}

static struct mw_str port_name(const struct mw_bp *bp, const struct mw_bp_entity *entity)
{
    return mw_arena_format(bp->arena, "I%.*sRepository", MW_STR_ARG(entity->name));
}

static void write_entities(const struct mw_bp *bp, struct mw_json *json,
                           const struct mw_bp_service *service)
{
    mw_json_karray(json, "entities");
    for (const struct mw_bp_entity *e = service->entities; e != NULL; e = e->next) {
        mw_json_object(json);
        mw_bp_write_entity(json, e);
        mw_json_kbool(json, "has_create", does(service, e, MW_BP_CREATE));
        mw_json_kbool(json, "has_read", does(service, e, MW_BP_READ));
        mw_json_kbool(json, "has_list", does(service, e, MW_BP_LIST));
        mw_json_kstr(json, "repository", port_name(bp, e));
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_cases(const struct mw_bp *bp, struct mw_json *json,
                        const struct mw_bp_service *service)
{
    mw_json_karray(json, "use_cases");
    for (const struct mw_bp_case *c = service->cases; c != NULL; c = c->next) {
        const struct mw_bp_entity *entity = mw_bp_entity_of(service, c->entity);
        mw_json_object(json);
        mw_bp_write_case(json, c);
        mw_json_kstr(json, "handler",
                     mw_arena_format(bp->arena, "%.*sHandler", MW_STR_ARG(c->name)));
        mw_json_kstr(json, "method", mw_str_of(mw_bp_method(c->effect)));
        mw_json_kstr(json, "path", mw_bp_path(bp->arena, entity, c));
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_ports(const struct mw_bp *bp, struct mw_json *json,
                        const struct mw_bp_service *service)
{
    mw_json_karray(json, "ports");
    for (const struct mw_bp_entity *e = service->entities; e != NULL; e = e->next) {
        mw_json_object(json);
        mw_json_kstr(json, "name", port_name(bp, e));
        mw_json_kstr(json, "entity", e->name);
        mw_json_kstr(json, "slug", e->slug);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_auth(struct mw_json *json, bool any)
{
    if (any)
        mw_json_kstr(json, "auth", MW_STR("JWT"));
    else
        mw_json_kbool(json, "auth", false);
}

static void write_service(const struct mw_bp *bp, struct mw_json *json,
                          const struct mw_bp_service *service)
{
    mw_json_object(json);
    mw_json_kstr(json, "serviceName", service->name);
    mw_json_kstr(json, "slug", service->slug);
    mw_json_kstr(json, "domain", service->domain);
    mw_json_karray(json, "useCases");
    for (const struct mw_bp_case *c = service->cases; c != NULL; c = c->next)
        mw_json_str(json, c->name);
    mw_json_array_end(json);
    mw_json_kstr(json, "storage", service->storage);
    write_auth(json, service->algorithm.len > 0);
    mw_json_key(json, MW_STR("jwt"));
    if (service->algorithm.len > 0) {
        mw_json_object(json);
        mw_json_kstr(json, "algorithm", service->algorithm);
        mw_json_object_end(json);
    } else {
        mw_json_null(json);
    }
    mw_json_kraw(json, "features", MW_STR("[]"));
    write_entities(bp, json, service);
    write_cases(bp, json, service);
    write_ports(bp, json, service);
    mw_json_kstr(json, "stack", MW_STR("node"));
    mw_json_object_end(json);
}

static void write_surface(const struct mw_bp *bp, struct mw_json *json)
{
    mw_json_karray(json, "surface_map");
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        for (const struct mw_bp_case *c = s->cases; c != NULL; c = c->next) {
            mw_json_object(json);
            mw_json_kstr(json, "service", s->name);
            mw_json_kstr(json, "method", mw_str_of(mw_bp_method(c->effect)));
            mw_json_kstr(json, "path", mw_bp_path(bp->arena, mw_bp_entity_of(s, c->entity), c));
            mw_json_kstr(json, "useCase", c->name);
            mw_json_object_end(json);
        }
    mw_json_array_end(json);
}

static void write_design(const struct mw_bp *bp, struct mw_str blueprint_id, struct mw_buf *answer)
{
    struct mw_json json;
    bool auth = false;
    mw_json_init(&json, answer);
    mw_json_object(&json);
    mw_json_kstr(&json, "blueprintId", blueprint_id);
    mw_json_karray(&json, "services");
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next) {
        write_service(bp, &json, s);
        auth = auth || s->algorithm.len > 0;
    }
    mw_json_array_end(&json);
    write_surface(bp, &json);
    mw_json_kstr(&json, "name", bp->name);
    mw_json_kstr(&json, "slug", bp->slug);
    write_auth(&json, auth);
    mw_json_kstr(&json, "storage", bp->services->storage);
    mw_json_object_end(&json);
}

/* The blueprint is read by the importer: it holds every rule already, and a normalised blueprint comes back as it was. */
enum mw_rc mw_builtin_design(struct mw_builtin *b, struct mw_str *ret_event, struct mw_err *err)
{
    struct mw_words words;
    struct mw_infer inf;
    enum mw_rc rc = mw_words_load(&b->arena, b->factory, &words, err);
    if (rc != MW_OK)
        return rc;
    struct mw_bp bp = {.arena = &b->arena, .words = &words};
    mw_infer_init(&inf, &bp, &b->task, MW_NODE_NONE);
    uint32_t blueprint = mw_node_get(&b->task, b->payload, "blueprint");
    if (mw_node_type(&b->task, blueprint) != MW_NODE_OBJECT)
        return MW_FAIL(err, MW_E_INPUT,
                       "/blueprint: missing or no object; the blueprint of "
                       "StrategicBlueprintGenerated is needed");
    rc = mw_blueprint_import(&inf, &b->task, blueprint, MW_STR_NONE, err);
    if (rc == MW_OK && inf.asked)
        rc = MW_FAIL(err, MW_E_INPUT, "/blueprint: not normalised: %.*s",
                     MW_STR_ARG(inf.ask.question));
    if (rc == MW_OK && b->arena.exhausted)
        rc = MW_FAIL(err, MW_E_LIMIT, "the blueprint needs more memory than a task has");
    if (rc == MW_OK)
        rc = mw_bp_check(&bp, err);
    if (rc != MW_OK)
        return rc;
    write_design(&bp, mw_node_get_text(&b->task, b->payload, "blueprintId"), &b->answer);
    *ret_event = MW_STR("PortsAndUseCasesReady");
    return MW_OK;
}
