/*
 * route.h - which agent gets a task (decision V-09). Deterministic whole numbers; the trail goes into the journal.
 *
 * Skill: must be declared exactly (100). Domain: exact 30, "*" 20, singular or plural or with "Service" stripped 30, none 0: such an agent is
 * only a fallback. Then the tier, then the lowest load (in flight / capacity), then the id.
 */
#ifndef MW_ROUTE_H
#define MW_ROUTE_H

#include "base/json.h"

enum mw_domain_match { MW_DOMAIN_NONE = 0, MW_DOMAIN_ANY = 20, MW_DOMAIN_EXACT = 30 };

enum mw_domain_match mw_route_domain(struct mw_str agent_domain, struct mw_str task_domain);

struct mw_route_candidate {
    struct mw_str id;
    uint32_t tier;
    uint32_t running;
    uint32_t capacity;
    enum mw_domain_match domain;
    bool healthy;
};

/* True when a is the better choice of two that both have the skill. */
bool mw_route_better(const struct mw_route_candidate *a, const struct mw_route_candidate *b);
uint32_t mw_route_score(const struct mw_route_candidate *candidate);

/* How many passed each filter, in the filters' order: part of the trail of every decision (AG-14). */
struct mw_route_filters {
    uint32_t skill;   /* declared exactly */
    uint32_t domain;  /* of these, of the domain; the others are fallbacks */
    uint32_t healthy; /* of those with the skill, healthy and not tried in vain */
    uint32_t free;    /* of the healthy, with room for one task more */
};
/* Member "filters" of the object that is open. */
void mw_route_put_filters(struct mw_json *json, const struct mw_route_filters *left);

/*
 * A record's trail leaves out the skill, which is the record's taskType, and a domain "*". This is the trail with both; in the arena, empty
 * when there is none or the arena is full.
 */
struct mw_str mw_route_whole_trail(struct mw_arena *arena, struct mw_str trail,
                                   struct mw_str task_type);

#endif
