/* load_names.c - names that definitions use for one another: each once, each known. */
#include "defs/load.h"

#include "msg/msg.h"

static const char *const kind_names[] = {
    [LOAD_WORKFLOW] = "workflow", [LOAD_JOURNEY] = "journey",
    [LOAD_PLAN] = "plan",         [LOAD_COORDINATOR] = "coordinator",
    [LOAD_POLICIES] = "policies", [LOAD_RULES] = "rules",
    [LOAD_AGENT] = "agent",       [LOAD_POLICY] = "policy",
    [LOAD_DOCUMENT] = "document",
};

/* The orchestration contract's events that no first-party definition emits (yet), so that one may wait for them. */
static const char *const contract_events[] = {
    "ProductIntentSubmitted",
    "BlueprintGenerated",
    "StrategicBlueprintGenerated",
    "PortsAndUseCasesReady",
    "DTOsReady",
    "HandlerReady",
    "AdapterNeeded",
    "AdapterGenerated",
    "AdapterReady",
    "AuthConfigured",
    "AuthLayerReady",
    "StorageReady",
    "ObservabilityReady",
    "CommitComplete",
    "AssemblyStageCompleted",
    "AssemblyCompleted",
    "AssemblyComplete",
    "MicroserviceAssemblyCompleted",
    "FrontendGenerated",
    "MobileAppReady",
    "GatewayConfigured",
    "FullStackReady",
    "TestResultsReady",
    "TestsPassed",
    "TestsFailed",
    "PullRequestCreated",
    "IaCPlanGenerated",
    "ProvisioningApproved",
    "ResourcesProvisioned",
    "SecretsProvisioned",
    "TaskRouted",
    "TaskCompleted",
    "TaskRoutingFailed",
    "AgentCapabilityDeclared",
    "AgentActionStarted",
    "AgentActionCompleted",
    "ApprovalRequired",
    "ApprovalGranted",
    "ApprovalRejected",
    "ApprovalEdited",
    "ApprovalExpired",
};

static const char *const contract_commands[] = {
    "GenerateVisionBlueprint",
    "GenerateHandler",
    "GenerateAdapter",
    "GenerateSPA",
    "GenerateFlutterApp",
    "ConfigureRoutes",
    "ConfigureAuth",
    "ConfigureJWTAuth",
    "ConfigureOAuth2",
    "ConfigureRBAC",
    "CommitCode",
    "CreatePullRequest",
    "RunTests",
    "TriggerPipeline",
    "GenerateChangelog",
    "NotifyStakeholders",
    "CreateReleaseTag",
    "AutoMergeOnApprove",
    "PublishRelease",
    "CreateAggregate",
    "BuildDomainLogic",
    "ValidateAggregate",
    "ValidateUseCase",
    "CreateRepository",
    "ConfigurePersistence",
    "RunUnitTests",
    "RunIntegrationTests",
    "EmitCoverageReport",
    "LinkAPIContracts",
    "SetupRouting",
};

static bool table_has(const char *const *table, size_t count, struct mw_str word)
{
    for (size_t i = 0; i < count; i++)
        if (mw_str_is(word, table[i]))
            return true;
    return false;
}

bool load_contract_has_event(struct mw_str type)
{
    for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++)
        if (mw_str_eq(type, mw_event_info(kind)->type))
            return true;
    return table_has(contract_events, MW_COUNT(contract_events), type);
}

bool load_contract_has_command(struct mw_str type)
{
    return table_has(contract_commands, MW_COUNT(contract_commands), type);
}

const char *load_kind_name(enum load_kind kind)
{
    return kind_names[kind];
}

const struct load_name *load_name_find(const struct loader *l, enum load_kind kind,
                                       struct mw_str name)
{
    for (uint32_t i = 0; i < l->names.count; i++) {
        const struct load_name *known = l->names.items[i];
        if (known->kind == kind && mw_str_eq(known->name, name))
            return known;
    }
    return NULL;
}

bool load_name_add(struct loader *l, enum load_kind kind, struct mw_str name, uint32_t node,
                   uint32_t index)
{
    const struct load_name *known = load_name_find(l, kind, name);
    if (known != NULL)
        return load_refuse(l, node, "%s '%.*s' is there already, in %.*s:%u; choose another name",
                           kind_names[kind], MW_STR_ARG(name), MW_STR_ARG(known->path),
                           known->line);
    struct load_name *added = load_array(l, struct load_name, 1);
    if (added == NULL)
        return false;
    *added = (struct load_name){.kind = kind,
                                .name = name,
                                .index = index,
                                .path = l->file->path,
                                .line = load_line(l, node)};
    return load_add(l, &l->names, added);
}

bool load_name_index(struct loader *l, enum load_kind kind, uint32_t node, uint32_t *ret_index)
{
    struct mw_str name;
    if (!load_word(l, node, kind_names[kind], &name))
        return false;
    const struct load_name *known = load_name_find(l, kind, name);
    if (known != NULL) {
        *ret_index = known->index;
        return true;
    }
    struct mw_str near = load_near_name(l, kind, name);
    if (near.len > 0)
        return load_refuse(l, node, "there is no %s '%.*s'; did you mean '%.*s'?", kind_names[kind],
                           MW_STR_ARG(name), MW_STR_ARG(near));
    return load_refuse(l, node, "there is no %s '%.*s'", kind_names[kind], MW_STR_ARG(name));
}

/* Without any agent file in the set nothing is known about skills, and nothing is refused. */
bool load_skill_is_known(const struct loader *l, struct mw_str skill)
{
    for (uint32_t i = 0; i < l->agents.count; i++) {
        const struct mw_agent_def *agent = l->agents.items[i];
        for (uint32_t j = 0; j < agent->skill_count; j++)
            if (mw_str_eq(agent->skills[j], skill))
                return true;
    }
    return l->agents.count == 0;
}

static struct mw_str near_skill(const struct loader *l, struct mw_str skill)
{
    struct mw_str near = MW_STR_NONE;
    unsigned best = 4;
    for (uint32_t i = 0; i < l->agents.count; i++) {
        const struct mw_agent_def *agent = l->agents.items[i];
        for (uint32_t j = 0; j < agent->skill_count; j++) {
            unsigned distance = load_distance(agent->skills[j], skill);
            if (distance < best) {
                best = distance;
                near = agent->skills[j];
            }
        }
    }
    return near;
}

bool load_skill(struct loader *l, uint32_t node, struct mw_str *ret_skill)
{
    struct mw_str skill;
    if (!load_text(l, node, "skill", &skill))
        return false;
    if (load_name_find(l, LOAD_AGENT, skill) != NULL)
        return load_refuse(l, node, "'%.*s' is an agent; definitions name skills, never agents",
                           MW_STR_ARG(skill));
    if (!load_type(l, node, "skill", &skill))
        return false;
    if (!load_skill_is_known(l, skill)) {
        struct mw_str near = near_skill(l, skill);
        if (near.len > 0)
            return load_refuse(l, node, "no agent has the skill '%.*s'; did you mean '%.*s'?",
                               MW_STR_ARG(skill), MW_STR_ARG(near));
        return load_refuse(l, node,
                           "no agent has the skill '%.*s'; add it to an agent's file or write one",
                           MW_STR_ARG(skill));
    }
    *ret_skill = skill;
    return true;
}

bool load_wait_add(struct loader *l, struct mw_str type, uint32_t line, uint32_t column)
{
    struct load_wait *wait = load_array(l, struct load_wait, 1);
    if (wait == NULL)
        return false;
    *wait = (struct load_wait){l->file, type, line, column};
    return load_add(l, &l->waits, wait);
}

bool load_emit_add(struct loader *l, struct mw_str type)
{
    struct mw_str *emit = load_array(l, struct mw_str, 1);
    if (emit == NULL)
        return false;
    *emit = type;
    return load_add(l, &l->emits, emit);
}

static bool somebody_emits(const struct loader *l, struct mw_str type, struct mw_str *ret_near)
{
    unsigned best = 4;
    for (uint32_t i = 0; i < l->emits.count; i++) {
        const struct mw_str *emit = l->emits.items[i];
        if (mw_str_eq(*emit, type))
            return true;
        if (load_distance(*emit, type) < best) {
            best = load_distance(*emit, type);
            *ret_near = *emit;
        }
    }
    return load_contract_has_event(type);
}

bool load_waits_check(struct loader *l)
{
    for (uint32_t i = 0; i < l->waits.count; i++) {
        const struct load_wait *wait = l->waits.items[i];
        struct mw_str near = MW_STR_NONE;
        if (somebody_emits(l, wait->type, &near))
            continue;
        l->file = wait->file;
        if (near.len > 0)
            return load_refuse_at(l, wait->line, wait->column,
                                  "nobody emits the event '%.*s'; did you mean '%.*s'?",
                                  MW_STR_ARG(wait->type), MW_STR_ARG(near));
        return load_refuse_at(l, wait->line, wait->column,
                              "nobody emits the event '%.*s': no task expects it and it is not in "
                              "the contract",
                              MW_STR_ARG(wait->type));
    }
    return true;
}
