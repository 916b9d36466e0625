#include "builtin/blueprint_keys.h"

enum { C_NAME, C_SLUG, C_ACTION, C_ENTITY, C_EFFECT, C_SET, C_FIELDS, C_FIELD, C_BY, C_COUNT };

static const struct mw_key case_keys[] = {
    {"name", C_NAME},     {"slug", C_SLUG},   {"action", C_ACTION}, {"entity", C_ENTITY},
    {"effect", C_EFFECT}, {"does", C_EFFECT}, {"set", C_SET},       {"sets", C_SET},
    {"fields", C_FIELDS}, {"field", C_FIELD}, {"by", C_BY}};

struct reading {
    const struct mw_import *imp;
    struct mw_str at;
    struct mw_str name;
    uint32_t slots[C_COUNT];
    struct mw_bp_service *service;
    struct mw_bp_entity *entity;
};

static struct mw_str spaced(const struct mw_import *imp, struct mw_str words)
{
    return mw_arena_format(imp->inf->arena, " %.*s ", MW_STR_ARG(words));
}

static size_t place_of(struct mw_str words, struct mw_str part)
{
    for (size_t i = 0; part.len > 2 && i + part.len <= words.len; i++)
        if (mw_str_eq(mw_str_sub(words, i, part.len), part))
            return i;
    return SIZE_MAX;
}

/* How many bytes of the name speak of the entity, one or many; 0: none. */
static size_t speaks_of(const struct mw_import *imp, struct mw_str name,
                        const struct mw_bp_entity *entity, size_t *ret_at)
{
    struct mw_str words = spaced(imp, mw_name_words(imp->inf->arena, name));
    struct mw_str one = mw_name_words(imp->inf->arena, entity->name);
    const struct mw_str forms[] = {spaced(imp, one),
                                   spaced(imp, mw_words_plural(imp->inf->words, one))};
    for (size_t i = 0; i < MW_COUNT(forms); i++) {
        size_t at = place_of(words, forms[i]);
        if (at != SIZE_MAX) {
            *ret_at = at;
            return forms[i].len - 1;
        }
    }
    return 0;
}

static struct mw_bp_entity *entity_in(const struct mw_import *imp, struct mw_bp_service *service,
                                      struct mw_str name)
{
    struct mw_bp_entity *best = NULL;
    size_t best_len = 0, at = 0;
    for (struct mw_bp_entity *e = service->entities; e != NULL; e = e->next) {
        size_t len = speaks_of(imp, name, e, &at);
        if (len > best_len) {
            best = e;
            best_len = len;
        }
    }
    return best;
}

/* "mark notification as read" without "notification" is the action's slug. */
static struct mw_str action_of(const struct reading *r)
{
    struct mw_arena *arena = r->imp->inf->arena;
    struct mw_str words = spaced(r->imp, mw_name_words(arena, r->name));
    size_t at = 0, len = speaks_of(r->imp, r->name, r->entity, &at);
    if (len > 0)
        words = mw_arena_format(arena, "%.*s%.*s", (int)at, words.ptr, (int)(words.len - at - len),
                                words.ptr + at + len);
    struct mw_str slug = mw_name_slug(arena, mw_str_trim(words));
    return slug.len > 0 ? slug : mw_name_slug(arena, r->name);
}

/* --- matching a capability of the top to a service --- */

static struct mw_bp_service *ask_service(const struct mw_import *imp, struct mw_str name,
                                         bool *ret_leave_out)
{
    struct mw_infer *inf = imp->inf;
    const char *options[MW_BP_SERVICES_MAX + 2] = {NULL};
    struct mw_str field = mw_arena_format(inf->arena, "use_cases/%.*s", MW_STR_ARG(name)),
                  answer = MW_STR_NONE;
    uint32_t count = 0;
    if (mw_infer_answer(inf, field, &answer)) {
        *ret_leave_out = mw_infer_leaves_out(inf, answer);
        struct mw_bp_service *chosen = mw_bp_service_of(inf->bp, answer);
        if (chosen != NULL || *ret_leave_out)
            return chosen;
    }
    for (struct mw_bp_service *s = inf->bp->services; s != NULL && count < MW_BP_SERVICES_MAX;
         s = s->next)
        options[count++] = mw_arena_format(inf->arena, "%.*s", MW_STR_ARG(s->name)).ptr;
    options[count] = "leave it out";
    mw_infer_ask(inf, field,
                 mw_arena_format(inf->arena, "Which service has the use case '%.*s'?",
                                 MW_STR_ARG(mw_name_clip(name, 100))),
                 MW_STR("its name speaks of no record of any service"), options);
    return NULL;
}

static struct mw_bp_service *service_for(const struct mw_import *imp, struct mw_str name,
                                         bool *ret_leave_out)
{
    struct mw_bp *bp = imp->inf->bp;
    struct mw_bp_service *best = NULL;
    size_t best_len = 0, at = 0;
    for (struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        for (struct mw_bp_entity *e = s->entities; e != NULL; e = e->next) {
            size_t len = speaks_of(imp, name, e, &at);
            if (len > best_len) {
                best = s;
                best_len = len;
            }
        }
    if (best == NULL && bp->service_count == 1)
        return bp->services;
    return best != NULL ? best : ask_service(imp, name, ret_leave_out);
}

/* --- use cases that say their effect --- */

static enum mw_rc read_set(const struct reading *r, struct mw_bp_case *made)
{
    const struct mw_import *imp = r->imp;
    const struct mw_tape *t = imp->tape;
    struct mw_str at = mw_keys_at(imp, r->at, MW_STR("set"));
    uint32_t node = r->slots[C_SET];
    if (mw_node_type(t, node) != MW_NODE_OBJECT || mw_node_count(t, node) == 0)
        return mw_keys_wrong(imp, node, at, "an object from field to value is needed");
    struct mw_bp_set **next = &made->set;
    for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE; i = mw_node_after(t, node, i)) {
        struct mw_str here = mw_keys_at(imp, at, mw_node_str(t, i)), text = MW_STR_NONE,
                      why = MW_STR_NONE;
        const struct mw_bp_field *field =
            mw_bp_field_of(r->entity, mw_name_words(imp->inf->arena, mw_node_str(t, i)));
        struct mw_bp_set *set = mw_arena_array(imp->inf->arena, struct mw_bp_set, 1);
        if (field == NULL || set == NULL)
            return MW_FAIL(imp->err, MW_E_INPUT,
                           "%.*s: found no such field of %.*s; name one of its fields",
                           MW_STR_ARG(here), MW_STR_ARG(r->entity->name));
        for (const struct mw_bp_set *s = made->set; s != NULL; s = s->next)
            if (mw_str_eq(s->field, field->name))
                return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: found the field twice; keep one",
                               MW_STR_ARG(here));
        enum mw_rc rc = mw_import_scalar(imp, field, i + 1, here, &text);
        if (rc != MW_OK)
            return rc;
        set->field = field->name;
        set->json = mw_bp_value(imp->inf->arena, field, text, &why);
        if (set->json.len == 0)
            return MW_FAIL(imp->err, MW_E_INPUT, "%.*s: %.*s", MW_STR_ARG(here), MW_STR_ARG(why));
        *next = set;
        next = &set->next;
    }
    return MW_OK;
}

static enum mw_rc known_field(const struct reading *r, uint32_t node, struct mw_str at,
                              struct mw_str *ret_name)
{
    struct mw_str name = MW_STR_NONE;
    enum mw_rc rc = mw_keys_text(r->imp, node, at, "the name of a field is needed", &name);
    if (rc != MW_OK)
        return rc;
    const struct mw_bp_field *field =
        mw_bp_field_of(r->entity, mw_name_words(r->imp->inf->arena, name));
    if (field == NULL)
        return mw_keys_wrong(r->imp, node, at, "the entity has no such field");
    *ret_name = field->name;
    return MW_OK;
}

static enum mw_rc read_fields(const struct reading *r, struct mw_bp_case *made)
{
    const struct mw_tape *t = r->imp->tape;
    struct mw_str at = mw_keys_at(r->imp, r->at, MW_STR("fields"));
    uint32_t node = r->slots[C_FIELDS], index = 0;
    if (mw_node_type(t, node) != MW_NODE_ARRAY || mw_node_count(t, node) == 0)
        return mw_keys_wrong(r->imp, node, at, "a list of field names is needed");
    struct mw_bp_name **next = &made->fields;
    for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), index++) {
        struct mw_bp_name *name = mw_arena_array(r->imp->inf->arena, struct mw_bp_name, 1);
        if (name == NULL)
            return MW_FAIL(r->imp->err, MW_E_LIMIT,
                           "the blueprint needs more memory than a task has");
        enum mw_rc rc = known_field(r, i, mw_keys_index(r->imp, at, index), &name->name);
        if (rc != MW_OK)
            return rc;
        for (const struct mw_bp_name *n = made->fields; n != NULL; n = n->next)
            if (mw_str_eq(n->name, name->name))
                return mw_keys_wrong(r->imp, i, mw_keys_index(r->imp, at, index),
                                     "the field is there twice; keep one");
        *next = name;
        next = &name->next;
    }
    return MW_OK;
}

static enum mw_rc read_increment(const struct reading *r, struct mw_bp_case *made)
{
    struct mw_str at = mw_keys_at(r->imp, r->at, MW_STR("by"));
    enum mw_rc rc =
        known_field(r, r->slots[C_FIELD], mw_keys_at(r->imp, r->at, MW_STR("field")), &made->field);
    if (rc != MW_OK)
        return rc;
    const struct mw_bp_field *field = mw_bp_field_of(r->entity, made->field);
    if (field->type != MW_BP_INTEGER && field->type != MW_BP_NUMBER)
        return mw_keys_wrong(r->imp, r->slots[C_FIELD], mw_keys_at(r->imp, r->at, MW_STR("field")),
                             "an integer or number field is needed");
    made->by = MW_STR("1");
    if (mw_keys_absent(r->imp, r->slots[C_BY]))
        return MW_OK;
    enum mw_node_type type = mw_node_type(r->imp->tape, r->slots[C_BY]);
    bool number = type == MW_NODE_INTEGER || type == MW_NODE_NUMBER;
    made->by = number ? mw_bp_decimal(r->imp->inf->arena, r->imp->tape->nodes[r->slots[C_BY]].text)
                      : MW_STR_NONE;
    bool fraction = mw_str_find(made->by, '.', 0) != SIZE_MAX;
    if (made->by.len == 0 || mw_str_is(made->by, "0") || (fraction && field->type == MW_BP_INTEGER))
        return mw_keys_wrong(r->imp, r->slots[C_BY], at,
                             "a number other than 0 is needed, whole for an integer");
    return MW_OK;
}

static enum mw_rc read_effect(const struct reading *r, struct mw_bp_case *made)
{
    const uint32_t implied[] = {C_SET, C_FIELDS, C_FIELD};
    const enum mw_bp_effect effects[] = {MW_BP_SET, MW_BP_ASSIGN, MW_BP_INCREMENT};
    struct mw_str at = mw_keys_at(r->imp, r->at, MW_STR("effect"));
    bool said = !mw_keys_absent(r->imp, r->slots[C_EFFECT]);
    if (said && !mw_bp_effect_of(mw_node_str(r->imp->tape, r->slots[C_EFFECT]), &made->effect))
        return mw_keys_wrong(
            r->imp, r->slots[C_EFFECT], at,
            "create, read, list, update, delete, set, assign or increment is needed");
    for (size_t i = 0; i < MW_COUNT(implied); i++) {
        if (mw_keys_absent(r->imp, r->slots[implied[i]]))
            continue;
        if (said && made->effect != effects[i])
            return MW_FAIL(r->imp->err, MW_E_INPUT,
                           "%.*s: found what belongs to the effect %s beside %s; keep one",
                           MW_STR_ARG(r->at), mw_bp_effect_name(effects[i]),
                           mw_bp_effect_name(made->effect));
        made->effect = effects[i];
        said = true;
    }
    if (made->effect == MW_BP_SET)
        return read_set(r, made);
    if (made->effect == MW_BP_ASSIGN)
        return read_fields(r, made);
    return made->effect == MW_BP_INCREMENT ? read_increment(r, made) : MW_OK;
}

static enum mw_rc find_entity(struct reading *r)
{
    struct mw_str name = MW_STR_NONE;
    if (mw_keys_absent(r->imp, r->slots[C_ENTITY])) {
        r->entity = entity_in(r->imp, r->service, r->name);
        if (r->entity == NULL && r->service->entity_count == 1)
            r->entity = r->service->entities;
        if (r->entity == NULL)
            return MW_FAIL(r->imp->err, MW_E_INPUT,
                           "%.*s/entity: found nothing; name the entity of '%.*s'",
                           MW_STR_ARG(r->at), MW_STR_ARG(mw_name_clip(r->name, 80)));
        return MW_OK;
    }
    enum mw_rc rc =
        mw_keys_text(r->imp, r->slots[C_ENTITY], mw_keys_at(r->imp, r->at, MW_STR("entity")),
                     "the name of an entity is needed", &name);
    if (rc != MW_OK)
        return rc;
    r->entity = mw_bp_entity_of(r->service, mw_name_words(r->imp->inf->arena, name));
    if (r->entity == NULL && !r->imp->inf->entities_closed) {
        r->entity =
            mw_infer_add_entity(r->imp->inf, r->service, mw_name_words(r->imp->inf->arena, name));
        if (r->entity != NULL && r->entity->fields == NULL)
            mw_infer_default_fields(r->imp->inf, r->service, r->entity);
    }
    if (r->entity == NULL)
        return mw_keys_wrong(r->imp, r->slots[C_ENTITY],
                             mw_keys_at(r->imp, r->at, MW_STR("entity")),
                             "the service has no such entity");
    return MW_OK;
}

static enum mw_rc said_case(struct reading *r)
{
    const struct mw_import *imp = r->imp;
    struct mw_bp_case *made = mw_arena_array(imp->inf->arena, struct mw_bp_case, 1);
    if (made == NULL)
        return MW_FAIL(imp->err, MW_E_LIMIT, "the blueprint needs more memory than a task has");
    enum mw_rc rc = find_entity(r);
    if (rc == MW_OK)
        rc = read_effect(r, made);
    if (rc != MW_OK)
        return rc;
    made->name = mw_name_is_pascal(r->name) ? r->name : mw_name_pascal(imp->inf->arena, r->name);
    made->slug = mw_name_slug(imp->inf->arena, made->name);
    made->entity = r->entity->name;
    if (made->effect >= MW_BP_SET)
        made->action = action_of(r);
    if (!mw_keys_absent(imp, r->slots[C_SLUG])) {
        made->slug = mw_node_str(imp->tape, r->slots[C_SLUG]);
        if (!mw_name_is_slug(made->slug))
            return mw_keys_wrong(imp, r->slots[C_SLUG], mw_keys_at(imp, r->at, MW_STR("slug")),
                                 "small letters, digits and single '-' are needed");
    }
    if (!mw_keys_absent(imp, r->slots[C_ACTION])) {
        made->action = mw_node_str(imp->tape, r->slots[C_ACTION]);
        if (!mw_name_is_slug(made->action))
            return mw_keys_wrong(imp, r->slots[C_ACTION], mw_keys_at(imp, r->at, MW_STR("action")),
                                 "small letters, digits and single '-' are needed");
    }
    mw_bp_add_case(r->service, made);
    mw_infer_note(imp->inf, false, made, NULL, mw_infer_quote(imp->inf, made->name), r->at);
    return MW_OK;
}

/* --- use cases that are only named --- */

static enum mw_rc named_case(struct reading *r)
{
    struct mw_infer *inf = r->imp->inf;
    struct mw_str why = MW_STR_NONE;
    struct mw_bp_entity *entity = entity_in(r->imp, r->service, r->name);
    if (!mw_keys_absent(r->imp, r->slots[C_ENTITY])) {
        enum mw_rc rc = find_entity(r);
        if (rc != MW_OK)
            return rc;
        entity = r->entity;
    }
    if (entity == NULL)
        entity = r->service->entities;
    bool made = mw_infer_case_text(inf, r->service, entity, r->name, false, r->name, &why);
    if (!made && !inf->asked)
        return MW_FAIL(r->imp->err, MW_E_INPUT, "%.*s: found '%.*s'; %.*s", MW_STR_ARG(r->at),
                       MW_STR_ARG(mw_name_clip(r->name, 80)), MW_STR_ARG(why));
    return MW_OK;
}

static enum mw_rc one_case(const struct mw_import *imp, struct mw_bp_service *service,
                           struct mw_str name, uint32_t node, struct mw_str at)
{
    struct reading r = {.imp = imp, .at = at, .name = name, .service = service};
    enum mw_node_type type = mw_node_type(imp->tape, node);
    enum mw_rc rc = MW_OK;
    bool leave_out = false;
    for (uint32_t i = 0; i < C_COUNT; i++)
        r.slots[i] = MW_NODE_NONE;
    if (type == MW_NODE_OBJECT)
        rc = mw_keys_read(imp, node, at, case_keys, MW_COUNT(case_keys), r.slots, C_COUNT);
    else if (name.len == 0 && type == MW_NODE_STRING)
        r.slots[C_NAME] = node;
    else if (name.len == 0 || type != MW_NODE_NULL)
        return mw_keys_wrong(imp, node, at,
                             "a use case is a name or an object with name and effect");
    if (rc == MW_OK && (name.len == 0 || r.slots[C_NAME] != MW_NODE_NONE))
        rc = mw_keys_text(imp, r.slots[C_NAME], at, "the use case's name is needed", &r.name);
    if (rc != MW_OK)
        return rc;
    if (r.service == NULL) {
        struct mw_str entity = mw_node_str(imp->tape, r.slots[C_ENTITY]);
        r.service = service_for(imp, entity.len > 0 ? entity : r.name, &leave_out);
    }
    if (r.service == NULL)
        return MW_OK; /* asked, or left out */
    bool says = !mw_keys_absent(imp, r.slots[C_EFFECT]) || !mw_keys_absent(imp, r.slots[C_SET]) ||
                !mw_keys_absent(imp, r.slots[C_FIELDS]) || !mw_keys_absent(imp, r.slots[C_FIELD]);
    return says ? said_case(&r) : named_case(&r);
}

enum mw_rc mw_import_cases(const struct mw_import *imp, struct mw_bp_service *service,
                           uint32_t node, struct mw_str at)
{
    const struct mw_tape *t = imp->tape;
    bool map = mw_node_type(t, node) == MW_NODE_OBJECT;
    uint32_t max = service != NULL ? MW_BP_CASES_MAX : MW_BP_CASES_MAX * MW_BP_SERVICES_MAX,
             index = 0;
    if (!map && mw_node_type(t, node) != MW_NODE_ARRAY)
        return mw_keys_wrong(imp, node, at, "use cases are a list of names or objects");
    if (mw_node_count(t, node) > max)
        return MW_FAIL(imp->err, MW_E_INPUT,
                       "%.*s: %u use cases; a service has at most %d (use cases)", MW_STR_ARG(at),
                       mw_node_count(t, node), MW_BP_CASES_MAX);
    for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE;
         i = mw_node_after(t, node, i), index++) {
        struct mw_str here =
            map ? mw_keys_at(imp, at, mw_node_str(t, i)) : mw_keys_index(imp, at, index);
        enum mw_rc rc =
            one_case(imp, service, map ? mw_node_str(t, i) : MW_STR_NONE, map ? i + 1 : i, here);
        if (rc != MW_OK)
            return rc;
    }
    return MW_OK;
}
