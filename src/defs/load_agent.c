/* load_agent.c - an agent's definition: what it can do and how it is started (docs/agents.md). */
#include "defs/load.h"

#define AGENT_KEYS "agent_id agent_type skills domains tier capacity backend limits"
#define LEASE_DEFAULT_MS 30000u /* three heartbeats of 10 s (V-08) */
#define LEASE_LEAST_MS 100u
#define LEASE_LONGEST_MS 3600000u
#define BACKEND_KEYS "kind name argv answer environment profile lease"

static bool read_types(struct loader *l, uint32_t node, const char *what,
                       const struct mw_str **ret_items, uint32_t *ret_count)
{
    struct mw_str type;
    if (!load_texts(l, node, what, ret_items, ret_count))
        return false;
    for (uint32_t i = 0; i < *ret_count; i++) {
        uint32_t at =
            mw_node_type(l->tape, node) == MW_NODE_ARRAY ? mw_node_at(l->tape, node, i) : node;
        if (!load_type(l, at, what, &type))
            return false;
    }
    return true;
}

static bool read_argv(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    uint32_t count = mw_node_count(l->tape, node);
    if (mw_node_type(l->tape, node) != MW_NODE_ARRAY || count == 0 || count > MW_TEXTS_MAX)
        return load_refuse(l, node,
                           "'argv' is a list: the program and its arguments, never one "
                           "string for a shell");
    struct mw_str *argv = load_array(l, struct mw_str, count);
    if (argv == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = mw_node_at(l->tape, node, i);
        if (mw_node_type(l->tape, at) != MW_NODE_STRING ||
            (i == 0 && mw_node_str(l->tape, at).len == 0))
            return load_refuse(l, at, "'argv' holds text; put numbers in quotes");
        argv[i] = mw_arena_copy(l->arena, mw_node_str(l->tape, at));
    }
    agent->argv = argv;
    agent->argv_count = count;
    return true;
}

static bool read_environment(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    if (node == MW_NODE_NONE)
        return true;
    return load_keys(l, node, "pass secrets", "an environment") &&
           load_texts(l, load_key(l, node, "pass"), "variable", &agent->pass, &agent->pass_count) &&
           load_texts(l, load_key(l, node, "secrets"), "secret", &agent->secrets,
                      &agent->secret_count);
}

/* build: its folder, no network. test: its own servers on loopback too. */
static bool read_profile(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    struct mw_str text = MW_STR("build");
    if (node != MW_NODE_NONE && !load_text(l, node, "profile", &text))
        return false;
    agent->runs_servers = mw_str_is(text, "test");
    if (!agent->runs_servers && !mw_str_is(text, "build"))
        return load_refuse(l, node, "'profile' is build or test");
    return true;
}

static bool read_answer(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    struct mw_str text = MW_STR("json");
    if (node != MW_NODE_NONE && !load_text(l, node, "answer", &text))
        return false;
    agent->answers_by_diff = mw_str_is(text, "diff");
    if (!agent->answers_by_diff && !mw_str_is(text, "json"))
        return load_refuse(l, node,
                           "'answer' is json (the protocol) or diff (what changed in the "
                           "folder is the answer)");
    return true;
}

static bool read_backend(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    uint32_t kind_node;
    uint32_t part;
    struct mw_str kind;
    if (!load_keys(l, node, BACKEND_KEYS, "a backend") ||
        !load_need(l, node, "kind", "a backend", &kind_node) ||
        !load_text(l, kind_node, "kind", &kind))
        return false;
    if (mw_str_is(kind, "human")) {
        agent->kind = MW_AGENT_HUMAN;
        return load_keys(l, node, "kind", "the backend of a person");
    }
    if (mw_str_is(kind, "echo")) {
        agent->kind = MW_AGENT_ECHO;
        return load_keys(l, node, "kind", "an echo backend");
    }
    if (mw_str_is(kind, "worker")) {
        agent->kind = MW_AGENT_WORKER;
        if (!load_keys(l, node, "kind lease", "a worker backend") ||
            !load_duration(l, node, "lease", LEASE_DEFAULT_MS, &agent->lease_ms))
            return false;
        if (agent->lease_ms < LEASE_LEAST_MS || agent->lease_ms > LEASE_LONGEST_MS)
            return load_refuse(l, load_key(l, node, "lease"), "'lease' is 100ms to 1h");
        return true;
    }
    if (mw_str_is(kind, "builtin")) {
        agent->kind = MW_AGENT_BUILTIN;
        return load_keys(l, node, "kind name profile", "a builtin backend") &&
               read_profile(l, load_key(l, node, "profile"), agent) &&
               load_need(l, node, "name", "a builtin backend", &part) &&
               load_word(l, part, "the builtin's name", &agent->builtin);
    }
    if (!mw_str_is(kind, "command"))
        return load_refuse(l, kind_node,
                           "there is no backend '%.*s'; kinds are command, builtin, echo, "
                           "worker and human",
                           MW_STR_ARG(kind));
    agent->kind = MW_AGENT_COMMAND;
    return load_keys(l, node, "kind argv answer environment profile", "a command backend") &&
           read_profile(l, load_key(l, node, "profile"), agent) &&
           load_need(l, node, "argv", "a command backend", &part) && read_argv(l, part, agent) &&
           read_answer(l, load_key(l, node, "answer"), agent) &&
           read_environment(l, load_key(l, node, "environment"), agent);
}

static bool read_limits(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    int64_t bytes = 0;
    int64_t files = 0;
    if (node == MW_NODE_NONE)
        return true;
    if (!load_keys(l, node, "deadline idle output_bytes files", "limits") ||
        !load_duration(l, node, "deadline", 0, &agent->deadline_ms) ||
        !load_duration(l, node, "idle", 0, &agent->idle_ms) ||
        !load_number(l, node, "output_bytes", 1, MW_OUTPUT_BYTES_MAX, 0, &bytes) ||
        !load_number(l, node, "files", 1, MW_FILES_MAX, 0, &files))
        return false;
    agent->output_bytes_max = (uint64_t)bytes;
    agent->files_max = (uint32_t)files;
    return true;
}

bool load_agent(struct loader *l, uint32_t node, struct mw_agent_def *agent)
{
    const char *const what = "an agent";
    uint32_t id, type, skills, backend;
    int64_t tier;
    int64_t capacity;
    if (!load_keys(l, node, AGENT_KEYS, what) || !load_need(l, node, "agent_id", what, &id) ||
        !load_word(l, id, "agent_id", &agent->id) ||
        !load_need(l, node, "agent_type", what, &type) ||
        !load_text(l, type, "agent_type", &agent->type) ||
        !load_need(l, node, "skills", what, &skills) ||
        !read_types(l, skills, "skill", &agent->skills, &agent->skill_count) ||
        !load_texts(l, load_key(l, node, "domains"), "domain", &agent->domains,
                    &agent->domain_count) ||
        !load_number(l, node, "tier", 0, MW_TIER_MAX, 50, &tier) ||
        !load_number(l, node, "capacity", 1, MW_CAPACITY_MAX, 1, &capacity) ||
        !load_need(l, node, "backend", what, &backend) || !read_backend(l, backend, agent) ||
        !read_limits(l, load_key(l, node, "limits"), agent))
        return false;
    if (agent->skill_count == 0)
        return load_refuse(l, skills, "an agent has at least one skill");
    if (agent->domain_count == 0) {
        struct mw_str *every = load_array(l, struct mw_str, 1);
        if (every == NULL)
            return false;
        *every = MW_STR("*");
        agent->domains = every;
        agent->domain_count = 1;
    }
    agent->tier = (uint32_t)tier;
    agent->capacity = (uint32_t)capacity;
    return true;
}

enum mw_rc mw_agent_def_load(struct mw_arena *arena, struct mw_str path, const struct mw_tape *tape,
                             uint32_t node, struct mw_agent_def *ret_agent, struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(tape != NULL);
    MW_ASSERT(ret_agent != NULL);
    struct mw_definition_file file = {.path = path, .tape = *tape};
    struct loader l = {.arena = arena, .err = err, .file = &file, .tape = tape};
    struct mw_agent_def agent = {.id = MW_STR_NONE};
    if (!load_agent(&l, node, &agent))
        return l.rc;
    *ret_agent = agent;
    return MW_OK;
}

bool mw_agent_has_skill(const struct mw_agent_def *agent, struct mw_str skill)
{
    for (uint32_t i = 0; i < agent->skill_count; i++)
        if (mw_str_eq(agent->skills[i], skill))
            return true;
    return false;
}
