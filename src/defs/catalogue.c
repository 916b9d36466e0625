/* catalogue.c - first every name, then every definition, then what they wait for: so the order of files does not matter. */
#include "defs/load.h"

#include <string.h>

static const struct {
    const char *key;
    enum load_kind kind;
} kinds[] = {
    {"workflow", LOAD_WORKFLOW}, {"journey", LOAD_JOURNEY},
    {"plan", LOAD_PLAN},         {"coordinator", LOAD_COORDINATOR},
    {"policies", LOAD_POLICIES}, {"rules", LOAD_RULES},
    {"if", LOAD_RULES},          {"agent_id", LOAD_AGENT},
};

#define KIND_KEYS "workflow, journey, plan, coordinator, policies, rules, if, agent_id"

static void open_file(struct loader *l, const struct mw_definition_file *file)
{
    l->file = file;
    l->tape = &file->tape;
    l->depth = 0;
}

static bool kind_of(struct loader *l, enum load_kind *ret_kind)
{
    if (l->file->text.len > 0) {
        *ret_kind = LOAD_RULES;
        return true;
    }
    bool mapping = l->tape->count > 0 && mw_node_type(l->tape, 0) == MW_NODE_OBJECT;
    uint32_t first = mapping ? mw_node_first(l->tape, 0) : MW_NODE_NONE;
    if (first == MW_NODE_NONE)
        return load_refuse(l, 0, "a definition is a mapping; its first key says what it is: %s",
                           KIND_KEYS);
    struct mw_str key = mw_node_str(l->tape, first);
    for (size_t i = 0; i < MW_COUNT(kinds); i++)
        if (mw_str_is(key, kinds[i].key)) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    struct mw_str near =
        load_near(key, "workflow journey plan coordinator policies rules agent_id");
    if (near.len > 0)
        return load_refuse(l, first,
                           "the first key says what a definition is; '%.*s' does not, did "
                           "you mean '%.*s'?",
                           MW_STR_ARG(key), MW_STR_ARG(near));
    return load_refuse(l, first,
                       "the first key says what a definition is; '%.*s' does not. Known: %s",
                       MW_STR_ARG(key), KIND_KEYS);
}

static bool add_documents(struct loader *l)
{
    uint32_t node = load_key(l, 0, "documents");
    if (node == MW_NODE_NONE)
        return true;
    if (mw_node_type(l->tape, node) != MW_NODE_OBJECT ||
        mw_node_count(l->tape, node) > MW_DOCUMENTS_MAX - 1)
        return load_refuse(l, node, "'documents' is a mapping of names to events, at most %d",
                           MW_DOCUMENTS_MAX - 1);
    for (uint32_t i = mw_node_first(l->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, node, i)) {
        struct mw_document_def *document = load_array(l, struct mw_document_def, 1);
        if (document == NULL || !load_word(l, i, "a document", &document->name) ||
            !load_type(l, i + 1, "event", &document->type))
            return false;
        static const char *const taken[] = {"intent", "metadata", "item", "outer",
                                            "event",  "facts",    "scope"};
        for (size_t j = 0; j < MW_COUNT(taken); j++)
            if (mw_str_is(document->name, taken[j]))
                return load_refuse(l, i, "'%s' is taken; a document has another name", taken[j]);
        for (uint32_t other = mw_node_first(l->tape, node); other != i;
             other = mw_node_after(l->tape, node, other))
            if (mw_str_eq(mw_node_str(l->tape, other + 1), document->type))
                return load_refuse(
                    l, i + 1, "'%.*s' is the document '%.*s' already: one event, one name",
                    MW_STR_ARG(document->type), MW_STR_ARG(mw_node_str(l->tape, other)));
        bool known = false;
        for (uint32_t j = 0; j < l->documents.count; j++) {
            const struct mw_document_def *other = l->documents.items[j];
            if (!mw_str_eq(other->name, document->name))
                continue;
            known = true;
            if (!mw_str_eq(other->type, document->type))
                return load_refuse(
                    l, i + 1,
                    "another journey has the document '%.*s' as '%.*s': one name, one "
                    "event",
                    MW_STR_ARG(document->name), MW_STR_ARG(other->type));
        }
        if (!known && !load_add(l, &l->documents, document))
            return false;
    }
    return true;
}

static bool add_name(struct loader *l, enum load_kind kind, uint32_t counts[])
{
    struct mw_str name;
    uint32_t node = kind == LOAD_RULES ? MW_NODE_NONE : mw_node_first(l->tape, 0) + 1;
    switch (kind) {
    case LOAD_POLICIES:
        return true; /* each of them has a name of its own */
    case LOAD_RULES:
        if (!load_rules_name(l, &name))
            return false;
        break;
    case LOAD_JOURNEY:
        if (!add_documents(l))
            return false;
        /* fall through */
    case LOAD_WORKFLOW:
    case LOAD_PLAN:
    case LOAD_COORDINATOR:
    case LOAD_AGENT:
    case LOAD_POLICY:
    case LOAD_DOCUMENT:
        if (!load_word(l, node, load_kind_name(kind), &name))
            return false;
    }
    return load_name_add(l, kind, name, node, counts[kind]++);
}

static bool read_agent(struct loader *l)
{
    struct mw_agent_def *agent = load_array(l, struct mw_agent_def, 1);
    return agent != NULL && load_agent(l, 0, agent) && load_add(l, &l->agents, agent);
}

/* A route may lead to a skill of the contract that nobody has yet: then a person is asked (FH-03), as for any task that nobody can do. */
static bool check_routes(struct loader *l, const struct mw_rules *rules)
{
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct mw_rule *rule = &rules->items[i];
        if (rule->route.len == 0 || load_skill_is_known(l, rule->route) ||
            load_contract_has_command(rule->route))
            continue;
        return load_refuse_at(l, rule->line, rule->column,
                              "no agent has the skill '%.*s' and the contract does not know it",
                              MW_STR_ARG(rule->route));
    }
    return true;
}

static bool read_rules(struct loader *l)
{
    struct mw_rules *rules = load_array(l, struct mw_rules, 1);
    if (rules == NULL)
        return false;
    bool read = l->file->text.len > 0 ? load_rules_text(l, rules) : load_rules_tape(l, rules);
    return read && check_routes(l, rules) && load_add(l, &l->rules, rules);
}

static bool read_file(struct loader *l, enum load_kind kind)
{
    switch (kind) {
    case LOAD_AGENT:
        return read_agent(l);
    case LOAD_POLICIES:
        return load_policies(l);
    case LOAD_RULES:
        return read_rules(l);
    case LOAD_COORDINATOR:
        return load_coordinator(l);
    case LOAD_PLAN:
        return load_plan(l);
    case LOAD_WORKFLOW:
        return load_workflow(l);
    case LOAD_JOURNEY:
        return load_journey(l);
    case LOAD_POLICY:
    case LOAD_DOCUMENT:
        break;
    }
    MW_UNREACHABLE("no kind of file");
}

/* Indices by name follow the order of files of a kind, which is the order in which they are read. */
static bool read_all(struct loader *l, const struct mw_definition_file *files, size_t file_count)
{
    static const enum load_kind order[] = {LOAD_AGENT, LOAD_POLICIES, LOAD_RULES,  LOAD_COORDINATOR,
                                           LOAD_PLAN,  LOAD_WORKFLOW, LOAD_JOURNEY};
    uint32_t counts[LOAD_DOCUMENT + 1] = {0};
    enum load_kind kind;
    for (size_t i = 0; i < file_count; i++) {
        open_file(l, &files[i]);
        if (!kind_of(l, &kind) || !add_name(l, kind, counts))
            return false;
    }
    if (counts[LOAD_JOURNEY] == 0 && !load_documents_usual(l))
        return false;
    for (size_t pass = 0; pass < MW_COUNT(order); pass++) {
        for (size_t i = 0; i < file_count; i++) {
            open_file(l, &files[i]);
            if (!kind_of(l, &kind) || (kind == order[pass] && !read_file(l, kind)))
                return false;
        }
        if (order[pass] == LOAD_POLICIES && !load_policies_end(l))
            return false;
    }
    return load_waits_check(l);
}

static void *gather(struct loader *l, const struct load_list *list, size_t item_bytes)
{
    char *items = load_alloc(l, item_bytes, list->count);
    for (uint32_t i = 0; i < list->count && items != NULL; i++)
        memcpy(items + i * item_bytes, list->items[i], item_bytes);
    return items;
}

static bool make_lone(struct loader *l, struct mw_catalogue *catalogue)
{
    struct mw_journey_def *lone = load_array(l, struct mw_journey_def, 1);
    if (lone == NULL)
        return false;
    lone->documents = gather(l, &l->documents, sizeof(struct mw_document_def));
    lone->document_count =
        l->documents.count < MW_DOCUMENTS_MAX ? l->documents.count : MW_DOCUMENTS_MAX - 1;
    catalogue->lone = lone;
    return lone->documents != NULL;
}

#define GATHER(name, type)                                                                         \
    (catalogue->name##_count = l.name##s.count,                                                    \
     (catalogue->name##s = gather(&l, &l.name##s, sizeof(type))) != NULL)

static const void *pointers(struct loader *l, const struct load_list *list)
{
    return list->count > 0 ? list->items : load_alloc(l, sizeof(void *), 1);
}

enum mw_rc mw_catalogue_load(struct mw_arena *arena, const struct mw_definition_file *files,
                             size_t file_count, struct mw_str sha256,
                             const struct mw_catalogue **ret_catalogue, struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(files != NULL || file_count == 0);
    MW_ASSERT(ret_catalogue != NULL);
    struct loader l = {
        .arena = arena, .err = err, .running_max = MW_RUNNING_DEFAULT, .policy_any = UINT32_MAX};
    struct mw_catalogue *catalogue = load_array(&l, struct mw_catalogue, 1);
    bool read = catalogue != NULL && read_all(&l, files, file_count);
    if (arena->exhausted)
        load_memory(&l); /* whatever seemed wrong was cut off */
    if (!read || arena->exhausted)
        return l.rc;
    catalogue->sha256 = mw_arena_copy(arena, sha256);
    catalogue->running_max = l.running_max;
    catalogue->task_count = l.tasks.count;
    catalogue->tasks = pointers(&l, &l.tasks);
    catalogue->group_count = l.groups.count;
    catalogue->groups = pointers(&l, &l.groups);
    catalogue->policy_count = l.policies.count;
    catalogue->policies = gather(&l, &l.policies, sizeof(struct mw_policy));
    catalogue->rules_count = l.rules.count;
    catalogue->rules = gather(&l, &l.rules, sizeof(struct mw_rules));
    if (!make_lone(&l, catalogue) || !GATHER(workflow, struct mw_workflow_def) ||
        !GATHER(journey, struct mw_journey_def) ||
        !GATHER(coordinator, struct mw_coordinator_def) || !GATHER(agent, struct mw_agent_def)) {
        load_memory(&l);
        return l.rc;
    }
    *ret_catalogue = catalogue;
    return MW_OK;
}

const struct mw_workflow_def *mw_catalogue_workflow(const struct mw_catalogue *catalogue,
                                                    struct mw_str name)
{
    for (uint32_t i = 0; i < catalogue->workflow_count; i++)
        if (mw_str_eq(catalogue->workflows[i].name, name))
            return &catalogue->workflows[i];
    return NULL;
}

const struct mw_journey_def *mw_catalogue_journey(const struct mw_catalogue *catalogue,
                                                  struct mw_str name)
{
    for (uint32_t i = 0; i < catalogue->journey_count; i++)
        if (mw_str_eq(catalogue->journeys[i].name, name))
            return &catalogue->journeys[i];
    return NULL;
}

uint32_t mw_document_index(const struct mw_journey_def *journey, struct mw_str type)
{
    for (uint32_t i = 0; journey != NULL && i < journey->document_count; i++)
        if (mw_str_eq(journey->documents[i].type, type))
            return i + 1;
    return 0;
}

const struct mw_coordinator_def *mw_catalogue_coordinator(const struct mw_catalogue *catalogue,
                                                          struct mw_str name)
{
    for (uint32_t i = 0; i < catalogue->coordinator_count; i++)
        if (mw_str_eq(catalogue->coordinators[i].name, name))
            return &catalogue->coordinators[i];
    return NULL;
}

static bool task_says(const struct mw_task_def *task, struct mw_str type)
{
    for (uint32_t i = 0; i < task->expects_count; i++)
        if (mw_str_eq(task->expects[i], type))
            return true;
    return false;
}

static bool group_says(const struct mw_catalogue *catalogue, const struct mw_group_def *group,
                       struct mw_str type)
{
    for (uint32_t i = 0; i < group->member_count; i++) {
        const struct mw_member_def *member = &group->members[i];
        if (member->task != NULL ? task_says(member->task, type)
            : member->group != NULL
                ? group_says(catalogue, member->group, type)
                : mw_str_eq(catalogue->coordinators[member->coordinator].completes_with, type))
            return true;
    }
    return false;
}

bool mw_ask_says(const struct mw_catalogue *catalogue, const struct mw_ask_def *ask,
                 struct mw_str type)
{
    return ask->task != NULL ? task_says(ask->task, type) : group_says(catalogue, ask->group, type);
}

bool mw_coordinator_says(const struct mw_catalogue *catalogue,
                         const struct mw_coordinator_def *coordinator, struct mw_str type)
{
    for (uint32_t i = 0; i < coordinator->state_count; i++) {
        const struct mw_state_def *state = &coordinator->states[i];
        for (uint32_t n = 0; n < state->ask_count; n++)
            if (mw_ask_says(catalogue, &state->asks[n], type))
                return true;
        for (uint32_t n = 0; n < state->transition_count; n++)
            if (mw_str_eq(state->transitions[n].emit, type))
                return true;
    }
    return false;
}

bool mw_workflow_says(const struct mw_catalogue *catalogue, const struct mw_workflow_def *workflow,
                      struct mw_str type)
{
    for (uint32_t i = 0; i < workflow->role_count; i++) {
        const struct mw_role_def *role = &workflow->roles[i];
        if (role->task != NULL ? task_says(role->task, type)
                               : group_says(catalogue, role->plan, type))
            return true;
    }
    return false;
}
