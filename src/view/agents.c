#include "view/internal.h"

#include "defs/catalogue.h"
#include "rules/route.h"

/* Who is registered, and who would get a task now (AG-05). */

static enum mw_rc load(struct mw_view *view, const struct mw_view_agent *agent,
                       struct mw_agent_def *ret_def)
{
    struct mw_tape tape;
    enum mw_rc rc =
        mw_view_parse(view, mw_view_text_get(&agent->definition), "an agent's definition", &tape);
    return rc == MW_OK ? mw_agent_def_load(view->arena, agent->id, &tape, 0, ret_def, view->err)
                       : rc;
}

static void put_texts(struct mw_json *json, const char *key, const struct mw_str *texts,
                      uint32_t count)
{
    mw_json_karray(json, key);
    for (uint32_t i = 0; i < count; i++)
        mw_json_str(json, texts[i]);
    mw_json_array_end(json);
}

enum mw_rc mw_view_put_agent(struct mw_view *view, const struct mw_view_agent *agent)
{
    static const char *const kinds[] = {"command", "builtin", "human", "echo", "worker"};
    struct mw_json *json = &view->json;
    struct mw_agent_def loaded, *def = &loaded;
    enum mw_rc rc = load(view, agent, def);
    if (rc != MW_OK)
        return rc;
    mw_json_object(json);
    mw_json_kstr(json, "agentId", agent->id);
    mw_view_kstr(json, "type", def->type);
    put_texts(json, "skills", def->skills, def->skill_count);
    put_texts(json, "domains", def->domains, def->domain_count);
    mw_json_ku64(json, "tier", def->tier);
    mw_json_ku64(json, "capacity", def->capacity);
    mw_json_kstr(json, "kind", mw_str_of(kinds[def->kind]));
    mw_json_kstr(json, "status",
                 agent->removed   ? MW_STR("Removed")
                 : agent->healthy ? MW_STR("Online")
                                  : MW_STR("Unhealthy"));
    mw_json_ku64(json, "running", agent->running);
    mw_json_ku64(json, "completed", agent->completed);
    mw_json_ku64(json, "failed", agent->failed);
    mw_view_kstr(json, "since", agent->since);
    mw_json_object_end(json);
    return MW_OK;
}

enum mw_rc mw_view_agents(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_str only = mw_view_arg(view->query, "id");
    bool found = only.len == 0;
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    mw_json_object(&view->json);
    mw_json_karray(&view->json, "agents");
    for (const struct mw_view_agent *agent = index.agents; agent != NULL; agent = agent->next) {
        if (only.len > 0 ? !mw_str_eq(only, agent->id) : agent->removed)
            continue;
        rc = mw_view_put_agent(view, agent);
        if (rc != MW_OK)
            return rc;
        found = true;
    }
    mw_json_array_end(&view->json);
    mw_json_object_end(&view->json);
    if (!found)
        return MW_FAIL(view->err, MW_E_MISSING, "no agent '%.*s'", MW_STR_ARG(only));
    return MW_OK;
}

/* ---- a dry run of routing ---- */

static void put_candidate(struct mw_json *json, const struct mw_route_candidate *candidate)
{
    mw_json_object(json);
    mw_json_kstr(json, "agentId", candidate->id);
    mw_json_ku64(json, "score", mw_route_score(candidate));
    mw_json_ku64(json, "domain", (uint64_t)candidate->domain);
    mw_json_ku64(json, "tier", candidate->tier);
    mw_json_ku64(json, "running", candidate->running);
    mw_json_ku64(json, "capacity", candidate->capacity);
    if (!candidate->healthy)
        mw_json_kstr(json, "filtered", MW_STR("unhealthy"));
    else if (candidate->running >= candidate->capacity)
        mw_json_kstr(json, "filtered", MW_STR("busy"));
    mw_json_object_end(json);
}

static struct mw_route_candidate candidate_of(const struct mw_view_agent *agent,
                                              const struct mw_agent_def *def, struct mw_str domain)
{
    struct mw_route_candidate candidate = {.id = agent->id,
                                           .tier = def->tier,
                                           .running = (uint32_t)agent->running,
                                           .capacity = def->capacity,
                                           .domain = MW_DOMAIN_NONE,
                                           .healthy = agent->healthy};
    for (uint32_t i = 0; i < def->domain_count; i++) {
        enum mw_domain_match match = mw_route_domain(def->domains[i], domain);
        candidate.domain = match > candidate.domain ? match : candidate.domain;
    }
    return candidate;
}

struct choice {
    struct mw_route_candidate best;
    bool chosen;
    struct mw_route_filters left;
    bool in_domain; /* somebody of the domain exists, if only busy: others are no fallback then */
};

static enum mw_rc put_candidates(struct mw_view *view, const struct mw_view_index *index,
                                 struct mw_str skill, struct mw_str domain, struct choice *choice)
{
    mw_json_karray(&view->json, "candidates");
    for (const struct mw_view_agent *agent = index->agents; agent != NULL; agent = agent->next) {
        struct mw_agent_def def;
        if (agent->removed)
            continue;
        enum mw_rc rc = load(view, agent, &def);
        if (rc != MW_OK)
            return rc;
        if (!mw_agent_has_skill(&def, skill))
            continue;
        struct mw_route_candidate candidate = candidate_of(agent, &def, domain);
        put_candidate(&view->json, &candidate);
        choice->left.skill++;
        choice->left.domain += candidate.domain != MW_DOMAIN_NONE ? 1 : 0;
        if (!candidate.healthy)
            continue;
        choice->left.healthy++;
        choice->left.free += candidate.running < candidate.capacity ? 1 : 0;
        choice->in_domain = choice->in_domain || candidate.domain != MW_DOMAIN_NONE;
        if (candidate.running >= candidate.capacity ||
            (choice->chosen && !mw_route_better(&candidate, &choice->best)))
            continue;
        choice->best = candidate;
        choice->chosen = true;
    }
    mw_json_array_end(&view->json);
    mw_route_put_filters(&view->json, &choice->left);
    return MW_OK;
}

enum mw_rc mw_view_route(struct mw_view *view)
{
    struct mw_view_index index;
    struct mw_json *json = &view->json;
    struct mw_str skill = mw_view_arg(view->query, "task");
    struct mw_str domain = mw_view_arg(view->query, "domain");
    struct choice choice = {0};
    if (skill.len == 0)
        return MW_FAIL(view->err, MW_E_USAGE, "name the skill of the task: --task SKILL");
    if (domain.len == 0)
        domain = MW_STR("*");
    enum mw_rc rc = mw_view_index_make(view, MW_STR_NONE, &index);
    if (rc != MW_OK)
        return rc;
    mw_json_object(json);
    mw_json_kstr(json, "taskType", skill);
    mw_json_kstr(json, "domain", domain);
    rc = put_candidates(view, &index, skill, domain, &choice);
    if (rc != MW_OK)
        return rc;
    bool fallback = choice.chosen && choice.best.domain == MW_DOMAIN_NONE;
    if (fallback && choice.in_domain)
        choice.chosen = false; /* it would wait for one of the domain */
    mw_view_kstr(json, "agentId", choice.chosen ? choice.best.id : MW_STR_NONE);
    mw_json_kbool(json, "fallback", choice.chosen && fallback);
    mw_json_object_end(json);
    return MW_OK;
}
