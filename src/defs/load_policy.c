/* load_policy.c - how often, how long and with whom a task is tried (C-43: two attempts, one other agent, 1 s doubling up to 60 s). */
#include "defs/load.h"

#define POLICY_KEYS "name skills attempts reroutes backoff timeout routing_attempts escalate"

/* For which skills a policy is; beside it in the list. */
struct skills {
    const struct mw_str *items;
    uint32_t count;
};

static bool read_skills(struct loader *l, uint32_t node, uint32_t index)
{
    struct skills *skills = load_array(l, struct skills, 1);
    if (skills == NULL || !load_texts(l, node, "skill", &skills->items, &skills->count))
        return false;
    bool list = mw_node_type(l->tape, node) == MW_NODE_ARRAY;
    for (uint32_t i = 0; i < skills->count; i++) {
        uint32_t at = list ? mw_node_at(l->tape, node, i) : node;
        struct mw_str skill = skills->items[i];
        bool any = mw_str_is(skill, "*");
        if (!any && !load_skill(l, at, &skill))
            return false;
        for (uint32_t j = 0; j < l->policy_skills.count; j++) {
            const struct skills *other = l->policy_skills.items[j];
            for (uint32_t k = 0; k < other->count; k++)
                if (mw_str_eq(other->items[k], skill))
                    return load_refuse(
                        l, at, "the skill '%.*s' has a policy already: '%.*s'", MW_STR_ARG(skill),
                        MW_STR_ARG(((struct mw_policy *)l->policies.items[j])->name));
        }
        if (any)
            l->policy_any = index;
    }
    return load_add(l, &l->policy_skills, skills);
}

static bool read_backoff(struct loader *l, uint32_t node, struct mw_policy *policy)
{
    int64_t factor = 2;
    policy->backoff_base_ms = 1000;
    policy->backoff_cap_ms = 60000;
    if (node != MW_NODE_NONE &&
        (!load_keys(l, node, "base factor cap", "a backoff") ||
         !load_duration(l, node, "base", 1000, &policy->backoff_base_ms) ||
         !load_number(l, node, "factor", 1, MW_BACKOFF_FACTOR_MAX, 2, &factor) ||
         !load_duration(l, node, "cap", 60000, &policy->backoff_cap_ms)))
        return false;
    policy->backoff_factor = (uint32_t)factor;
    if (policy->backoff_cap_ms < policy->backoff_base_ms)
        return load_refuse(l, node, "the backoff's 'cap' is below its 'base'");
    return true;
}

static bool read_policy(struct loader *l, uint32_t node)
{
    struct mw_policy *policy = load_array(l, struct mw_policy, 1);
    uint32_t name;
    int64_t attempts;
    int64_t reroutes;
    int64_t routing;
    if (policy == NULL || !load_keys(l, node, POLICY_KEYS, "a policy") ||
        !load_need(l, node, "name", "a policy", &name) ||
        !load_word(l, name, "a policy's name", &policy->name) ||
        !load_name_add(l, LOAD_POLICY, policy->name, name, l->policies.count) ||
        !read_skills(l, load_key(l, node, "skills"), l->policies.count) ||
        !load_number(l, node, "attempts", 1, MW_ATTEMPTS_MAX, 2, &attempts) ||
        !load_number(l, node, "reroutes", 0, MW_REROUTES_MAX, 1, &reroutes) ||
        !load_number(l, node, "routing_attempts", 1, MW_ROUTING_ATTEMPTS_MAX, 3, &routing) ||
        !load_duration(l, node, "timeout", 300000, &policy->timeout_ms) ||
        !load_bool(l, node, "escalate", true, &policy->escalates) ||
        !read_backoff(l, load_key(l, node, "backoff"), policy))
        return false;
    policy->attempts_max = (uint32_t)attempts;
    policy->reroutes_max = (uint32_t)reroutes;
    policy->routing_attempts_max = (uint32_t)routing;
    return load_add(l, &l->policies, policy);
}

bool load_policies(struct loader *l)
{
    uint32_t list = load_key(l, 0, "policies");
    uint32_t concurrency = load_key(l, 0, "concurrency");
    int64_t running;
    if (!load_keys(l, 0, "policies concurrency", "a file of policies") ||
        !load_number(l, 0, "concurrency", 1, MW_RUNNING_MAX, l->running_max, &running))
        return false;
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY)
        return load_refuse(l, list, "'policies' is a list");
    if (concurrency != MW_NODE_NONE && l->running_line > 0)
        return load_refuse(l, concurrency, "'concurrency' is set already, in %.*s:%u",
                           MW_STR_ARG(l->running_path), l->running_line);
    if (concurrency != MW_NODE_NONE) {
        l->running_line = load_line(l, concurrency);
        l->running_path = l->file->path;
    }
    l->running_max = (uint32_t)running;
    for (uint32_t i = mw_node_first(l->tape, list); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, list, i))
        if (!read_policy(l, i))
            return false;
    return true;
}

/* Every skill has a policy: without one for "*", the decided defaults are it. */
bool load_policies_end(struct loader *l)
{
    if (l->policy_any != UINT32_MAX)
        return true;
    struct mw_policy *policy = load_array(l, struct mw_policy, 1);
    struct skills *none = load_array(l, struct skills, 1);
    if (policy == NULL || none == NULL)
        return false;
    *policy = (struct mw_policy){.name = MW_STR("builtin"),
                                 .attempts_max = 2,
                                 .reroutes_max = 1,
                                 .backoff_base_ms = 1000,
                                 .backoff_factor = 2,
                                 .backoff_cap_ms = 60000,
                                 .timeout_ms = 300000,
                                 .routing_attempts_max = 3,
                                 .escalates = true};
    l->policy_any = l->policies.count;
    return load_add(l, &l->policies, policy) && load_add(l, &l->policy_skills, none);
}

bool load_policy_for(struct loader *l, uint32_t task_node, struct mw_str skill,
                     uint32_t *ret_policy)
{
    uint32_t named = load_key(l, task_node, "policy");
    if (named != MW_NODE_NONE)
        return load_name_index(l, LOAD_POLICY, named, ret_policy);
    *ret_policy = l->policy_any;
    for (uint32_t i = 0; i < l->policy_skills.count; i++) {
        const struct skills *skills = l->policy_skills.items[i];
        for (uint32_t j = 0; j < skills->count; j++)
            if (mw_str_eq(skills->items[j], skill))
                *ret_policy = i;
    }
    return true;
}
