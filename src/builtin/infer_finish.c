#include "builtin/infer.h"

/* What nobody said is taken from the tables and listed as assumed; what is left open or contradictory is asked. */

struct mw_bp_entity *mw_infer_main_entity(struct mw_infer *inf, struct mw_bp_service *service)
{
    return mw_infer_add_entity(inf, service,
                               mw_infer_noun(inf, mw_bp_base(inf->arena, service->name)));
}

static void product_entities(struct mw_infer *inf, struct mw_bp_service *service)
{
    const struct mw_tape *t = &inf->words->nouns;
    struct mw_str noun = mw_infer_noun(inf, mw_bp_base(inf->arena, service->name));
    uint32_t list = mw_node_get_str(t, mw_node_get(t, 0, "products"), noun);
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i)) {
        struct mw_bp_entity *entity = mw_infer_add_entity(inf, service, mw_node_str(t, i));
        if (entity != NULL)
            mw_infer_note(
                inf, true, entity, NULL, mw_infer_quote(inf, entity->name),
                mw_arena_format(inf->arena, "nouns.yaml: products %.*s", MW_STR_ARG(noun)));
    }
    if (service->entities != NULL)
        return;
    struct mw_bp_entity *entity = mw_infer_main_entity(inf, service);
    if (entity != NULL)
        mw_infer_note(inf, true, entity, NULL, mw_infer_quote(inf, entity->name),
                      MW_STR("the service's own name"));
}

/* "to manage a book store" beside books: the product, and no record. */
static bool is_product(const struct mw_infer *inf, const struct mw_item *item)
{
    struct mw_str low = mw_tokens_low(inf->arena, item->toks, item->object_from, item->object_to),
                  last = MW_STR_NONE, name = MW_STR_NONE;
    struct mw_bp_service *service = item->service != NULL ? item->service : inf->bp->services,
                         *found = NULL;
    if (item->phrase == NULL || item->object_to == item->object_from || service->entities == NULL ||
        mw_node_count(item->phrase->table,
                      mw_node_get(item->phrase->table, item->phrase->row, "effects")) < 5)
        return false;
    last = item->toks->at[item->object_to - 1].low;
    if (!mw_tok_is(item->toks, item->object_from - 1, "a") &&
        !mw_tok_is(item->toks, item->object_from - 1, "an"))
        return false;
    return !mw_words_is_plural(inf->words, low) &&
           mw_words_noun(inf->words, low, &name) == MW_NODE_NONE &&
           mw_infer_entity(inf, service, low, &found) == NULL &&
           mw_infer_entity(inf, service, last, &found) == NULL;
}

/* Objects of verbs are records too, unless they are fields of what was spoken of. */
static void object_entities(struct mw_infer *inf)
{
    for (struct mw_item *item = inf->first_item; item != NULL; item = item->next) {
        if (item->phrase == NULL || item->is_state || item->object_to == item->object_from ||
            is_product(inf, item))
            continue;
        struct mw_str low =
            mw_tokens_low(inf->arena, item->toks, item->object_from, item->object_to);
        struct mw_bp_service *service = item->service != NULL ? item->service : inf->bp->services,
                             *found = NULL;
        bool creates = mw_str_is(
            mw_node_str(item->phrase->table,
                        mw_node_at(item->phrase->table,
                                   mw_node_get(item->phrase->table, item->phrase->row, "effects"),
                                   0)),
            "create");
        struct mw_str last = item->toks->at[item->object_to - 1].low;
        if (creates && mw_infer_entity(inf, service, low, &found) == NULL &&
            mw_infer_entity(inf, service, last, &found) == NULL) /* "parking permits": permits */
            (void)mw_infer_add_entity(inf, service, low);
    }
}

static bool repair_field(struct mw_infer *inf, struct mw_bp_field *field, struct mw_str answer)
{
    if (mw_infer_leaves_out(inf, answer)) {
        field->default_given = false;
        field->min = field->max = MW_STR_NONE;
        return field->type != MW_BP_ENUM || field->value_count > 0;
    }
    struct mw_str bad = MW_STR_NONE;
    struct mw_bp_field *now = mw_infer_field_text(
        inf, mw_arena_format(inf->arena, "%.*s: %.*s", MW_STR_ARG(field->name), MW_STR_ARG(answer)),
        NULL, &bad);
    if (now == NULL)
        return false;
    if (now->type_said) {
        field->type = now->type;
        field->value_count = now->value_count;
        for (uint32_t i = 0; i < now->value_count; i++)
            field->values[i] = now->values[i];
    }
    field->default_given = now->default_given;
    field->default_text = now->default_text;
    field->min = now->min;
    field->max = now->max;
    return true;
}

static void check_field(struct mw_infer *inf, const struct mw_bp_entity *entity,
                        struct mw_bp_field *field)
{
    static const char *const options[] = {"leave it out (without default and bounds)",
                                          "between 1 and 100", "one of low, high (default low)",
                                          NULL};
    struct mw_str why = mw_bp_field_wrong(inf->arena, field), answer = MW_STR_NONE;
    if (why.len == 0)
        return;
    struct mw_str path = mw_arena_format(inf->arena, "fields/%.*s.%.*s", MW_STR_ARG(entity->name),
                                         MW_STR_ARG(field->name));
    if (mw_infer_answer(inf, path, &answer)) {
        if (mw_str_starts(answer, MW_STR("leave it out")))
            answer = MW_STR("leave it out");
        if (repair_field(inf, field, answer) && mw_bp_field_wrong(inf->arena, field).len == 0)
            return;
    }
    mw_infer_ask(
        inf, path,
        mw_arena_format(inf->arena,
                        "The field '%.*s' of %.*s contradicts itself: %.*s. What shall it be?",
                        MW_STR_ARG(field->name), MW_STR_ARG(entity->name), MW_STR_ARG(why)),
        why, options);
}

/* "surveys have questions; questions have a text": each question belongs to a survey, and a survey has no text called "questions". */
static void turn_round(struct mw_infer *inf, struct mw_bp_service *service,
                       struct mw_bp_entity *entity)
{
    for (struct mw_bp_field **at = &entity->fields; *at != NULL;) {
        struct mw_bp_field *field = *at;
        struct mw_str low = mw_name_words(inf->arena, field->name);
        struct mw_bp_entity *other =
            field->type_said || !mw_words_is_plural(inf->words, low)
                ? NULL
                : mw_bp_entity_of(service, mw_words_singular(inf->words, low));
        struct mw_str name = mw_name_camel(inf->arena, mw_name_words(inf->arena, entity->name));
        if (other == NULL || other == entity || mw_bp_field_of(other, name) != NULL) {
            at = &field->next;
            continue;
        }
        *at = field->next;
        entity->field_count--;
        *field = (struct mw_bp_field){
            .name = name, .type = MW_BP_REFERENCE, .type_said = true, .entity = entity->name};
        mw_bp_add_field(other, field); /* its note stays: the words are the same */
    }
}

static void finish_fields(struct mw_infer *inf, struct mw_bp_service *service)
{
    for (struct mw_bp_entity *e = service->entities; e != NULL; e = e->next)
        turn_round(inf, service, e);
    for (struct mw_bp_entity *e = service->entities; e != NULL && !inf->arena->exhausted;
         e = e->next) {
        bool only_references = true; /* "belongs to a list" says nothing of what it holds itself */
        for (const struct mw_bp_field *f = e->fields; f != NULL; f = f->next)
            only_references = only_references && f->type == MW_BP_REFERENCE && f->type_said;
        if (only_references) {
            mw_infer_default_fields(inf, service, e);
            continue;
        }
        for (struct mw_bp_field *f = e->fields; f != NULL; f = f->next)
            mw_infer_field_finish(inf, service, e, f);
        for (struct mw_bp_field *f = e->fields; f != NULL; f = f->next)
            check_field(inf, e, f);
    }
}

static void make_cases(struct mw_infer *inf)
{
    uint32_t made = 0;
    for (struct mw_item *item = inf->first_item;
         item != NULL && !inf->asked && !inf->arena->exhausted; item = item->next) {
        struct mw_bp_service *service = item->service != NULL ? item->service : inf->bp->services;
        struct mw_bp_entity *entity = item->entity != NULL ? item->entity : service->entities;
        struct mw_str why = MW_STR_NONE;
        if (item->negated || is_product(inf, item))
            continue;
        (void)mw_infer_item(inf, service, entity, item, false, MW_STR_NONE,
                            &why); /* what cannot be derived is asked */
        if (++made > MW_BP_CASES_MAX * 4)
            return;
    }
}

static void forget_notes(struct mw_infer *inf, const void *part)
{
    struct mw_note **at = &inf->first_note;
    while (*at != NULL) {
        if ((*at)->part == part)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    inf->next_note = at;
}

static bool is_forbidden(const struct mw_infer *inf, const struct mw_item *item,
                         const struct mw_bp_case *made)
{
    const struct mw_tape *t = item->phrase->table;
    struct mw_str verb = mw_tokens_low(inf->arena, &item->phrase->toks, 0, item->phrase->words);
    uint32_t effects = mw_node_get(t, item->phrase->row, "effects");
    if (item->is_state)
        return made->action.len > 0 && mw_str_starts(made->action, mw_name_slug(inf->arena, verb));
    for (uint32_t i = mw_node_first(t, effects); i != MW_NODE_NONE;
         i = mw_node_after(t, effects, i))
        if (mw_str_is(mw_node_str(t, i), mw_bp_effect_name(made->effect)))
            return true;
    return false;
}

/* "Users cannot delete todos": the tables must not bring it back. */
static void drop_forbidden(struct mw_infer *inf, const struct mw_item *item)
{
    struct mw_bp_service *service = item->service != NULL ? item->service : inf->bp->services;
    struct mw_str low = mw_tokens_low(inf->arena, item->toks, item->object_from, item->object_to);
    struct mw_bp_entity *entity = mw_infer_entity(inf, service, low, &service);
    if (entity == NULL)
        entity = item->entity != NULL ? item->entity : service->entities;
    for (uint32_t i = item->from; i < item->to; i++)
        item->toks->at[i].used = true;
    struct mw_bp_case **at = &service->cases;
    while (*at != NULL && item->phrase != NULL && entity != NULL) {
        struct mw_bp_case *made = *at;
        if (!mw_str_eq(made->entity, entity->name) || !is_forbidden(inf, item, made)) {
            at = &made->next;
            continue;
        }
        forget_notes(inf, made);
        *at = made->next;
        service->case_count--;
    }
    mw_infer_note(inf, false, NULL, "use_cases", MW_STR("false"),
                  mw_tokens_text(item->toks, item->from, item->to));
}

enum said { NOTHING, ONLY_CHANGES, NEVER_READ, USE_CASES };

static enum said cases_said(const struct mw_bp_service *service, const struct mw_bp_entity *entity)
{
    enum said said = NOTHING;
    for (const struct mw_bp_case *c = service->cases; c != NULL; c = c->next) {
        if (!mw_str_eq(c->entity, entity->name))
            continue;
        if (c->effect == MW_BP_READ || c->effect == MW_BP_LIST)
            return USE_CASES;
        if (c->effect < MW_BP_SET)
            said = NEVER_READ;
        else if (said == NOTHING)
            said = ONLY_CHANGES;
    }
    return said;
}

/* Use cases that nobody said. Who only says how a record changes ("users can cancel appointments") wants it made and read, too; who says
 * that it is made ("save recipes") and never that it is read wants it read. */
static void assume_cases(struct mw_infer *inf, struct mw_bp_service *service,
                         struct mw_bp_entity *entity)
{
    enum said said = cases_said(service, entity);
    if (said == NEVER_READ) {
        struct mw_str why = MW_STR_NONE;
        (void)mw_infer_case_text(inf, service, entity, MW_STR("get"), true, MW_STR_NONE, &why);
        (void)mw_infer_case_text(inf, service, entity, MW_STR("list"), true, MW_STR_NONE, &why);
    } else if (said != USE_CASES) {
        mw_infer_default_cases(inf, service, entity, said == ONLY_CHANGES);
    }
}

static void name_product(struct mw_infer *inf, struct mw_str wish)
{
    struct mw_bp *bp = inf->bp;
    struct mw_str base = mw_bp_base(inf->arena, bp->services->name);
    if (wish.len > 0) {
        bp->name = wish;
        bp->slug = mw_name_slug(inf->arena, wish);
        return;
    }
    bp->name = mw_name_pascal(inf->arena, base);
    if (bp->service_count > 1)
        bp->name = mw_arena_format(inf->arena, "%.*sApp", MW_STR_ARG(bp->name));
    bp->slug = mw_name_slug(inf->arena, bp->name);
    mw_infer_note(inf, true, NULL, "name", mw_infer_quote(inf, bp->name),
                  MW_STR("called after its first service"));
}

static void settle(struct mw_infer *inf)
{
    struct mw_bp *bp = inf->bp;
    if (!inf->storage_known) {
        inf->storage = MW_STR("File");
        mw_infer_note(inf, true, NULL, "storage", MW_STR("\"File\""),
                      MW_STR("nothing is said about storage"));
    }
    if (!inf->auth_known)
        mw_infer_note(inf, true, NULL, "auth", MW_STR("false"),
                      MW_STR("nothing is said about authentication"));
    bp->test_scope = MW_STR("[\"Unit\",\"Integration\"]");
    for (struct mw_bp_service *s = bp->services; s != NULL; s = s->next) {
        s->storage = inf->storage;
        s->algorithm = inf->algorithm;
    }
}

void mw_infer_finish(struct mw_infer *inf, struct mw_str name_wish)
{
    struct mw_bp *bp = inf->bp;
    MW_ASSERT(bp->services != NULL);
    object_entities(inf);
    for (struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        if (s->entities == NULL)
            product_entities(inf, s);
    for (struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        finish_fields(inf, s);
    if (inf->asked)
        return;
    make_cases(inf);
    for (struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        for (struct mw_bp_entity *e = s->entities; e != NULL && !inf->arena->exhausted;
             e = e->next) {
            if (e->fields == NULL)
                mw_infer_default_fields(inf, s, e);
            assume_cases(inf, s, e);
        }
    for (const struct mw_item *item = inf->first_item; item != NULL; item = item->next)
        if (item->negated)
            drop_forbidden(inf, item);
    name_product(inf, name_wish);
    settle(inf);
}
