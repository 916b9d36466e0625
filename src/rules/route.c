#include "rules/route.h"

#define SKILL_SCORE 100u

static struct mw_str stem(struct mw_str domain)
{
    if (mw_str_ends(domain, MW_STR("Service")))
        domain.len -= sizeof("Service") - 1;
    if (mw_str_ends(domain, MW_STR("s")))
        domain.len -= 1;
    return domain;
}

enum mw_domain_match mw_route_domain(struct mw_str agent_domain, struct mw_str task_domain)
{
    if (mw_str_is(agent_domain, "*") || mw_str_is(task_domain, "*") || task_domain.len == 0)
        return MW_DOMAIN_ANY;
    return mw_str_eq(stem(agent_domain), stem(task_domain)) ? MW_DOMAIN_EXACT : MW_DOMAIN_NONE;
}

uint32_t mw_route_score(const struct mw_route_candidate *candidate)
{
    return SKILL_SCORE + (uint32_t)candidate->domain;
}

bool mw_route_better(const struct mw_route_candidate *a, const struct mw_route_candidate *b)
{
    /* A specialist of the domain beats "*" only within its tier: tiers are the user's word about quality. */
    if ((a->domain != MW_DOMAIN_NONE) != (b->domain != MW_DOMAIN_NONE))
        return a->domain != MW_DOMAIN_NONE;
    if (a->tier != b->tier)
        return a->tier > b->tier;
    if (a->domain != b->domain)
        return a->domain > b->domain;
    uint64_t a_load = (uint64_t)a->running * b->capacity;
    uint64_t b_load = (uint64_t)b->running * a->capacity;
    if (a_load != b_load)
        return a_load < b_load;
    return mw_str_cmp(a->id, b->id) < 0;
}

void mw_route_put_filters(struct mw_json *json, const struct mw_route_filters *left)
{
    mw_json_kobject(json, "filters");
    mw_json_ku64(json, "skill", left->skill);
    mw_json_ku64(json, "domain", left->domain);
    mw_json_ku64(json, "healthy", left->healthy);
    mw_json_ku64(json, "free", left->free);
    mw_json_object_end(json);
}

static void put_text(struct mw_json *json, const struct mw_tape *tape, const char *key,
                     struct mw_str otherwise)
{
    uint32_t node = mw_node_get(tape, 0, key);
    if (node != MW_NODE_NONE)
        mw_json_knode(json, key, tape, node);
    else if (otherwise.len > 0)
        mw_json_kstr(json, key, otherwise);
}

struct mw_str mw_route_whole_trail(struct mw_arena *arena, struct mw_str trail,
                                   struct mw_str task_type)
{
    struct mw_tape tape;
    struct mw_buf text;
    struct mw_json json;
    if (trail.len == 0 || mw_json_parse(arena, trail, &tape, NULL) != MW_OK)
        return MW_STR_NONE;
    mw_arena_text_begin(arena, &text);
    mw_json_init(&json, &text);
    mw_json_object(&json);
    put_text(&json, &tape, "skill", task_type);
    put_text(&json, &tape, "domain", MW_STR("*"));
    static const char *const rest[] = {"candidates", "filters", "chosen"};
    for (size_t i = 0; i < MW_COUNT(rest); i++)
        put_text(&json, &tape, rest[i], MW_STR_NONE);
    mw_json_object_end(&json);
    return mw_arena_text_keep(arena, &text);
}
