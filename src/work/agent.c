#include "rules/route.h"
#include "work/internal.h"

#include <string.h>

#define TRAIL_CANDIDATES_MAX 16

static void decide_register(const struct mw_work *work, const struct mw_request *request,
                            struct mw_out *out);
static void decide_remove(const struct mw_work *work, const struct mw_request *request,
                          struct mw_out *out);
static void decide_health(const struct mw_work *work, const struct mw_request *request,
                          struct mw_out *out);

uint32_t mw_agents_index(const struct mw_work *work, struct mw_str id)
{
    for (uint32_t i = 0; i < work->agent_count; i++)
        if (mw_str_eq(work->agents[i].id, id))
            return i;
    return MW_AGENT_NONE;
}

const struct mw_agent *mw_work_agent(const struct mw_work *work, struct mw_str id)
{
    uint32_t index = mw_agents_index(work, id);
    return index != MW_AGENT_NONE ? &work->agents[index] : NULL;
}

void mw_agents_decide(const struct mw_world *world, const struct mw_work *work,
                      const struct mw_request *request, struct mw_out *out)
{
    (void)world; /* the registry is the whole of what is looked at */
    switch (request->kind) {
    case MW_REQ_REGISTER_AGENT:
        decide_register(work, request, out);
        return;
    case MW_REQ_REMOVE_AGENT:
        decide_remove(work, request, out);
        return;
    case MW_REQ_SET_HEALTH:
        decide_health(work, request, out);
        return;
    default:
        MW_UNREACHABLE("a request that is not about agents");
    }
}

static void decide_register(const struct mw_work *work, const struct mw_request *request,
                            struct mw_out *out)
{
    struct mw_agent_def def;
    struct mw_err *err = mw_arena_alloc(out->arena, sizeof(*err));
    uint32_t node = mw_node_get(request->body, request->body_node, "agent");
    MW_ASSERT(err != NULL);
    if (mw_node_type(request->body, node) != MW_NODE_OBJECT) {
        mw_out_refuse(out, MW_E_INPUT, "/agent", MW_STR("an agent's definition is an object"));
        return;
    }
    if (mw_agent_def_load(out->arena, MW_STR("/agent"), request->body, node, &def, err) != MW_OK) {
        mw_out_refuse(out, MW_E_CONFIG, "/agent", mw_str_of(err->text));
        return;
    }
    const struct mw_agent *known = mw_work_agent(work, def.id);
    struct mw_str text = request->body->nodes[node].text;
    if (text.len > MW_AGENT_TEXT_MAX) {
        mw_out_refuse(out, MW_E_LIMIT, "/agent",
                      mw_arena_format(out->arena, "an agent's definition has at most %u bytes",
                                      MW_AGENT_TEXT_MAX));
        return;
    }
    if (known != NULL && !known->removed && mw_str_eq(known->definition, text))
        return; /* said again: nothing changes */
    if (known == NULL && work->agent_count >= MW_AGENTS_MAX) {
        mw_out_refuse(out, MW_E_LIMIT, "/agent", MW_STR("agents_max: the registry is full"));
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_AGENT_ONLINE);
    event->agent_id = def.id;
    event->body = text;
}

static void decide_remove(const struct mw_work *work, const struct mw_request *request,
                          struct mw_out *out)
{
    struct mw_str id = mw_node_get_text(request->body, request->body_node, "agentId");
    const struct mw_agent *agent = mw_work_agent(work, id);
    if (agent == NULL || agent->removed) {
        mw_out_refuse(out, MW_E_MISSING, "/agentId",
                      mw_arena_format(out->arena, "no agent '%.*s'", MW_STR_ARG(id)));
        return;
    }
    struct mw_event *event = mw_out_event(out, MW_EVT_AGENT_REMOVED);
    event->agent_id = agent->id;
    event->subject_agent = agent->id;
}

static void decide_health(const struct mw_work *work, const struct mw_request *request,
                          struct mw_out *out)
{
    struct mw_str id = mw_node_get_text(request->body, request->body_node, "agentId");
    struct mw_str health = mw_node_get_text(request->body, request->body_node, "health");
    const struct mw_agent *agent = mw_work_agent(work, id);
    bool healthy = mw_str_is(health, "Healthy");
    if (agent == NULL || agent->removed || agent->healthy == healthy)
        return; /* nothing changes */
    struct mw_event *event = mw_out_event(out, MW_EVT_AGENT_HEALTH);
    event->agent_id = agent->id;
    event->health = healthy ? MW_STR("Healthy") : MW_STR("Unhealthy");
}

/* The definition is parsed again into a block of its own, so that everything about an agent lives and goes together. */
static void load_agent(struct mw_world *world, struct mw_agent *agent, struct mw_str definition)
{
    size_t block_bytes = definition.len * 48 + 8192;
    char *block = mw_mem_alloc(&world->mem, block_bytes);
    size_t skew =
        (uintptr_t)block & 15; /* an arena begins at a multiple of 16, a block at one of 8 */
    struct mw_arena arena;
    struct mw_tape tape;
    mw_arena_init(&arena, block + skew, block_bytes - skew);
    struct mw_str text = mw_arena_copy(&arena, definition);
    enum mw_rc rc = mw_json_parse(&arena, text, &tape, NULL);
    MW_ASSERT(rc == MW_OK);
    rc = mw_agent_def_load(&arena, MW_STR("/agent"), &tape, 0, &agent->def, NULL);
    MW_ASSERT(rc == MW_OK);
    mw_mem_free(&world->mem, agent->block, agent->block_bytes);
    agent->block = block;
    agent->block_bytes = block_bytes;
    agent->id = agent->def.id;
    agent->definition = text;
}

static struct mw_agent *add_agent(struct mw_world *world, struct mw_work *work)
{
    if (work->agent_count == work->agent_cap) {
        uint32_t cap = work->agent_cap > 0 ? work->agent_cap * 2 : 32;
        struct mw_agent *agents = mw_mem_alloc(&world->mem, cap * sizeof(*agents));
        if (work->agent_count > 0)
            memcpy(agents, work->agents, work->agent_count * sizeof(*agents));
        mw_mem_free(&world->mem, work->agents, work->agent_cap * sizeof(*agents));
        work->agents = agents;
        work->agent_cap = cap;
    }
    return &work->agents[work->agent_count++];
}

void mw_agents_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    uint32_t index = mw_agents_index(work, event->agent_id);
    switch (event->kind) {
    case MW_EVT_AGENT_ONLINE: {
        struct mw_agent *agent =
            index != MW_AGENT_NONE ? &work->agents[index] : add_agent(world, work);
        load_agent(world, agent, event->body);
        if (mw_str_is(event->actor, "host"))
            agent->told_hash = mw_str_hash(agent->definition);
        agent->healthy = true;
        agent->removed = false;
        work->dirty = true;
        return;
    }
    case MW_EVT_AGENT_REMOVED:
        MW_ASSERT(index != MW_AGENT_NONE);
        work->agents[index].removed = true;
        work->dirty = true; /* who waits for it hears that nobody has the skill */
        return;
    case MW_EVT_AGENT_HEALTH:
        MW_ASSERT(index != MW_AGENT_NONE);
        work->agents[index].healthy = mw_str_is(event->health, "Healthy");
        work->dirty = true;
        return;
    default:
        MW_UNREACHABLE("an event that is not about agents");
    }
}

static bool is_excluded(const struct mw_task *task, uint32_t agent)
{
    /* What a person sends back may go to anybody: that is for the person to know. */
    uint32_t count = task != NULL && !task->with_person ? task->excluded_count : 0;
    for (uint32_t i = 0; i < count; i++)
        if (task->excluded[i] == agent)
            return true;
    return false;
}

static struct mw_route_candidate candidate_of(const struct mw_agent *agent, struct mw_str domain)
{
    struct mw_route_candidate candidate = {.id = agent->id,
                                           .tier = agent->def.tier,
                                           .running = agent->running,
                                           .capacity = agent->def.capacity,
                                           .domain = MW_DOMAIN_NONE,
                                           .healthy = agent->healthy};
    for (uint32_t i = 0; i < agent->def.domain_count; i++) {
        enum mw_domain_match match = mw_route_domain(agent->def.domains[i], domain);
        if (match > candidate.domain)
            candidate.domain = match;
    }
    return candidate;
}

static bool is_busy(const struct mw_work *work, const struct mw_agent *agent)
{
    return agent->running >= agent->def.capacity ||
           (agent->def.kind != MW_AGENT_HUMAN && work->running >= work->running_max);
}

bool mw_agents_are_free(const struct mw_work *work, struct mw_str skill)
{
    for (uint32_t i = 0; i < work->agent_count; i++) {
        const struct mw_agent *agent = &work->agents[i];
        if (!agent->removed && agent->healthy && !is_busy(work, agent) &&
            mw_agent_has_skill(&agent->def, skill))
            return true;
    }
    return false;
}

static void tell_candidate(struct mw_json *json, const struct mw_route_candidate *candidate,
                           bool excluded, bool has_time)
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
    else if (excluded)
        mw_json_kstr(json, "filtered", MW_STR("failed before"));
    else if (!has_time && candidate->running >= candidate->capacity)
        mw_json_kstr(json, "filtered", MW_STR("busy"));
    mw_json_object_end(json);
}

struct mw_choice mw_agents_choose(const struct mw_work *work, struct mw_arena *arena,
                                  struct mw_str skill, struct mw_str domain,
                                  const struct mw_task *task, enum mw_choosing among)
{
    struct mw_choice choice = {.agent = MW_AGENT_NONE};
    struct mw_route_candidate best = {0};
    struct mw_buf buf;
    struct mw_json json;
    uint32_t told = 0;
    struct mw_route_filters left = {0};
    bool in_domain =
        false; /* somebody of the domain exists, if only busy: others are no fallback then */
    mw_arena_text_begin(arena, &buf);
    mw_json_init(&json, &buf);
    mw_json_object(&json);
    if (!mw_str_is(domain, "*"))
        mw_json_kstr(&json, "domain", domain);
    mw_json_karray(&json, "candidates");
    for (uint32_t i = 0; i < work->agent_count; i++) {
        const struct mw_agent *agent = &work->agents[i];
        bool is_person = agent->def.kind == MW_AGENT_HUMAN;
        if (agent->removed ||
            (among == MW_AMONG_PEOPLE ? !is_person : !mw_agent_has_skill(&agent->def, skill)))
            continue;
        struct mw_route_candidate candidate = candidate_of(agent, domain);
        bool excluded = is_excluded(task, i);
        bool has_time = is_person && among != MW_AMONG_FREE;
        if (told++ < TRAIL_CANDIDATES_MAX)
            tell_candidate(&json, &candidate, excluded, has_time);
        left.skill++;
        left.domain += candidate.domain != MW_DOMAIN_NONE ? 1 : 0;
        if (excluded || !agent->healthy)
            continue;
        left.healthy++;
        choice.exists = true;
        in_domain = in_domain || candidate.domain != MW_DOMAIN_NONE;
        bool busy = !has_time && is_busy(work, agent);
        left.free += busy ? 0 : 1;
        if (busy || (choice.agent != MW_AGENT_NONE && !mw_route_better(&candidate, &best)))
            continue;
        best = candidate;
        choice.agent = i;
    }
    mw_json_array_end(&json);
    mw_route_put_filters(&json, &left);
    choice.fallback = choice.agent != MW_AGENT_NONE && best.domain == MW_DOMAIN_NONE;
    if (choice.fallback && in_domain)
        choice = (struct mw_choice){.agent = MW_AGENT_NONE, .exists = true};
    if (choice.agent != MW_AGENT_NONE)
        mw_json_kstr(&json, "chosen", best.id);
    mw_json_object_end(&json);
    choice.trail = mw_arena_text_keep(arena, &buf);
    return choice;
}

struct mw_str mw_component_tag(struct mw_arena *arena, struct mw_str agent_type, struct mw_str task)
{
    char *text = mw_arena_alloc(arena, agent_type.len + task.len + 3);
    size_t len = 0;
    if (text == NULL)
        return MW_STR_NONE;
    for (size_t i = 0; i < agent_type.len; i++)
        if ((agent_type.ptr[i] | 0x20) >= 'a' && (agent_type.ptr[i] | 0x20) <= 'z')
            text[len++] = agent_type.ptr[i];
    text[len++] = ':';
    for (size_t i = 0; i < task.len; i++) {
        char c = task.ptr[i];
        if (((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9'))
            text[len++] = c;
    }
    return (struct mw_str){text, len};
}
