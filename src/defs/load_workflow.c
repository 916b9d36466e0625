/* load_workflow.c - workflows (roles that take turns) and journeys (workflows in order). */
#include "defs/load.h"

#include "msg/msg.h"

#define PLAN_EVENT                                                                                 \
    "AssemblyCompleted" /* what a run hears when its plan's root group has completed */
#define HERE (LOAD_EVENT | LOAD_FACTS)

static uint32_t role_index(const struct mw_workflow_def *workflow, struct mw_str name)
{
    for (uint32_t i = 0; i < workflow->role_count; i++)
        if (mw_str_eq(workflow->roles[i].name, name))
            return i;
    return MW_ROLE_NONE;
}

static bool need_role(struct loader *l, const struct mw_workflow_def *workflow, uint32_t node,
                      uint32_t *ret_role)
{
    struct mw_str name;
    if (!load_word(l, node, "a role", &name))
        return false;
    *ret_role = role_index(workflow, name);
    if (*ret_role != MW_ROLE_NONE)
        return true;
    for (uint32_t i = 0; i < workflow->role_count; i++)
        if (load_distance(workflow->roles[i].name, name) < 3)
            return load_refuse(l, node, "there is no role '%.*s'; did you mean '%.*s'?",
                               MW_STR_ARG(name), MW_STR_ARG(workflow->roles[i].name));
    if (load_name_find(l, LOAD_AGENT, name) != NULL)
        return load_refuse(l, node,
                           "'%.*s' is an agent, not a role; definitions name skills, never "
                           "agents",
                           MW_STR_ARG(name));
    return load_refuse(l, node, "there is no role '%.*s'", MW_STR_ARG(name));
}

static bool read_role(struct loader *l, uint32_t key, struct mw_role_def *role)
{
    uint32_t task = load_key(l, key + 1, "task");
    uint32_t plan = load_key(l, key + 1, "plan");
    uint32_t index;
    if (!load_word(l, key, "a role", &role->name) || !load_keys(l, key + 1, "task plan", "a role"))
        return false;
    if ((task != MW_NODE_NONE) == (plan != MW_NODE_NONE))
        return load_refuse(l, key, "a role has a 'task:' or a 'plan:', one of the two");
    if (task != MW_NODE_NONE)
        return load_task(l, task, HERE, MW_STR_NONE, &role->task);
    if (!load_name_index(l, LOAD_PLAN, plan, &index))
        return false;
    role->plan = l->plans.items[index];
    return true;
}

static bool read_roles(struct loader *l, uint32_t node, struct mw_workflow_def *workflow)
{
    if (node == MW_NODE_NONE)
        return true;
    uint32_t count = mw_node_count(l->tape, node);
    if (mw_node_type(l->tape, node) != MW_NODE_OBJECT || count > MW_ROLES_MAX)
        return load_refuse(l, node, "'roles' is a mapping of names to roles, at most %d",
                           MW_ROLES_MAX);
    struct mw_role_def *roles = load_array(l, struct mw_role_def, count);
    if (roles == NULL)
        return false;
    uint32_t made = 0;
    for (uint32_t i = mw_node_first(l->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, node, i))
        if (!read_role(l, i, &roles[made++]))
            return false;
    workflow->roles = roles;
    workflow->role_count = count;
    return true;
}

static bool read_start_entry(struct loader *l, const struct mw_workflow_def *workflow,
                             uint32_t node, struct mw_handoff_def *start)
{
    uint32_t role = load_key(l, node, "role");
    uint32_t complete = load_key(l, node, "complete");
    if (!load_keys(l, node, "when role complete", "a start"))
        return false;
    if ((role != MW_NODE_NONE) == (complete != MW_NODE_NONE))
        return load_refuse(l, node, "a start has 'role:' or 'complete: EventName', one of the two");
    start->from = MW_ROLE_NONE;
    start->to = MW_ROLE_NONE;
    if (!load_expr_at(l, node, "when", LOAD_FACTS, &start->when))
        return false;
    if (role != MW_NODE_NONE)
        return need_role(l, workflow, role, &start->to);
    if (!load_type(l, complete, "event", &start->reason))
        return false;
    if (mw_type_is_reserved(start->reason))
        return load_refuse(l, complete,
                           "'%.*s' is the control plane's own event: no definition may emit it",
                           MW_STR_ARG(start->reason));
    return load_emit_add(l, start->reason);
}

static bool read_start(struct loader *l, uint32_t list, struct mw_workflow_def *workflow)
{
    uint32_t count = mw_node_count(l->tape, list);
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY || count == 0 || count > MW_HANDOFFS_MAX)
        return load_refuse(l, list, "'start' is a list: the first whose 'when' holds");
    struct mw_handoff_def *starts = load_array(l, struct mw_handoff_def, count);
    if (starts == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = mw_node_at(l->tape, list, i);
        if (i > 0 && starts[i - 1].when == NULL)
            return load_refuse(l, node,
                               "this start can never be reached: the one before has no "
                               "'when:'");
        if (!read_start_entry(l, workflow, node, &starts[i]))
            return false;
    }
    workflow->start = starts;
    workflow->start_count = count;
    return true;
}

static bool role_answers(const struct mw_role_def *role, struct mw_str type)
{
    if (role->plan != NULL)
        return mw_str_is(type, PLAN_EVENT);
    for (uint32_t i = 0; i < role->task->expects_count; i++)
        if (mw_str_eq(role->task->expects[i], type))
            return true;
    return false;
}

static struct mw_str answers_of(struct loader *l, const struct mw_role_def *role)
{
    if (role->plan != NULL)
        return MW_STR(PLAN_EVENT);
    struct mw_str text = role->task->expects[0];
    for (uint32_t i = 1; i < role->task->expects_count; i++)
        text = mw_arena_format(l->arena, "%.*s, %.*s", MW_STR_ARG(text),
                               MW_STR_ARG(role->task->expects[i]));
    return text;
}

static bool comes_from(const struct mw_handoff_def *handoff, uint32_t role)
{
    return handoff->from == MW_ROLE_NONE || handoff->from == role;
}

/* True when a handoff before takes the event of this role in every case. */
static bool is_taken(const struct mw_handoff_def *handoffs, uint32_t index, uint32_t role)
{
    for (uint32_t i = 0; i < index; i++)
        if (handoffs[i].when == NULL && comes_from(&handoffs[i], role) &&
            mw_str_eq(handoffs[i].on, handoffs[index].on))
            return true;
    return false;
}

/* An event that its role cannot answer with, or one that a handoff before takes in every case. */
static bool check_handoff(struct loader *l, const struct mw_workflow_def *workflow,
                          const struct mw_handoff_def *handoffs, uint32_t index, uint32_t on_node)
{
    const struct mw_handoff_def *handoff = &handoffs[index];
    bool answered = false;
    bool left = false;
    for (uint32_t i = 0; i < workflow->role_count; i++) {
        bool answers = comes_from(handoff, i) && role_answers(&workflow->roles[i], handoff->on);
        answered = answered || answers;
        left = left || (answers && !is_taken(handoffs, index, i));
    }
    if (!answered && handoff->from != MW_ROLE_NONE)
        return load_refuse(l, on_node,
                           "this handoff can never be reached: the role '%.*s' answers with %.*s",
                           MW_STR_ARG(workflow->roles[handoff->from].name),
                           MW_STR_ARG(answers_of(l, &workflow->roles[handoff->from])));
    if (!answered)
        return load_refuse(l, on_node,
                           "this handoff can never be reached: no role answers with '%.*s'",
                           MW_STR_ARG(handoff->on));
    if (!left)
        return load_refuse(
            l, on_node,
            "this handoff can never be reached: an earlier one takes '%.*s' in every "
            "case; give that one a 'when:'",
            MW_STR_ARG(handoff->on));
    return true;
}

static bool read_handoff(struct loader *l, const struct mw_workflow_def *workflow, uint32_t node,
                         struct mw_handoff_def *handoff, uint32_t *ret_on)
{
    uint32_t from = load_key(l, node, "from");
    uint32_t to = load_key(l, node, "to");
    uint32_t fail = load_key(l, node, "fail");
    bool completes;
    handoff->from = MW_ROLE_NONE;
    handoff->to = MW_ROLE_NONE;
    handoff->fails = fail != MW_NODE_NONE;
    if (!load_keys(l, node, "from on when to complete fail", "a handoff") ||
        !load_need(l, node, "on", "a handoff", ret_on) ||
        !load_type(l, *ret_on, "event", &handoff->on) ||
        !load_bool(l, node, "complete", false, &completes) ||
        !load_expr_at(l, node, "when", HERE, &handoff->when) ||
        (from != MW_NODE_NONE && !need_role(l, workflow, from, &handoff->from)))
        return false;
    if ((to != MW_NODE_NONE) + completes + handoff->fails != 1)
        return load_refuse(l, node,
                           "a handoff has one of 'to: role', 'complete: true' and 'fail: reason'");
    if (handoff->fails)
        return load_text(l, fail, "fail", &handoff->reason);
    return to == MW_NODE_NONE || need_role(l, workflow, to, &handoff->to);
}

static bool read_handoffs(struct loader *l, uint32_t list, struct mw_workflow_def *workflow)
{
    if (list == MW_NODE_NONE)
        return true;
    uint32_t count = mw_node_count(l->tape, list);
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY || count > MW_HANDOFFS_MAX)
        return load_refuse(l, list, "'handoffs' is a list of at most %d", MW_HANDOFFS_MAX);
    struct mw_handoff_def *handoffs = load_array(l, struct mw_handoff_def, count);
    if (handoffs == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t on;
        if (!read_handoff(l, workflow, mw_node_at(l->tape, list, i), &handoffs[i], &on) ||
            !check_handoff(l, workflow, handoffs, i, on))
            return false;
    }
    workflow->handoffs = handoffs;
    workflow->handoff_count = count;
    return true;
}

/* Roles that nobody gives control to, and workflows that never complete. */
static bool check_ways(struct loader *l, const struct mw_workflow_def *workflow, uint32_t roles)
{
    uint64_t reached = 0;
    bool completes = false;
    for (uint32_t i = 0; i < workflow->start_count; i++)
        if (workflow->start[i].to != MW_ROLE_NONE)
            reached |= (uint64_t)1 << workflow->start[i].to;
        else
            completes = true;
    for (uint32_t round = 0; round < workflow->role_count; round++)
        for (uint32_t i = 0; i < workflow->handoff_count; i++) {
            const struct mw_handoff_def *handoff = &workflow->handoffs[i];
            bool possible =
                handoff->from == MW_ROLE_NONE ? reached != 0 : (reached >> handoff->from & 1) != 0;
            if (possible && handoff->to != MW_ROLE_NONE)
                reached |= (uint64_t)1 << handoff->to;
            completes = completes || (possible && handoff->to == MW_ROLE_NONE && !handoff->fails);
        }
    uint32_t key = mw_node_first(l->tape, roles);
    for (uint32_t i = 0; i < workflow->role_count; i++) {
        if ((reached >> i & 1) == 0)
            return load_refuse(l, key, "the role '%.*s' is never given control",
                               MW_STR_ARG(workflow->roles[i].name));
        key = mw_node_after(l->tape, roles, key);
    }
    if (!completes)
        return load_refuse(l, 0,
                           "the workflow '%.*s' never completes; add a handoff with "
                           "'complete: true'",
                           MW_STR_ARG(workflow->name));
    return true;
}

static bool read_limits(struct loader *l, uint32_t node, struct mw_workflow_def *workflow)
{
    int64_t iterations = MW_ITERATIONS_DEFAULT;
    workflow->timeout_ms = MW_RUN_TIMEOUT_DEFAULT_MS;
    if (node != MW_NODE_NONE &&
        (!load_keys(l, node, "iterations timeout", "limits") ||
         !load_number(l, node, "iterations", 1, MW_ITERATIONS_MAX, MW_ITERATIONS_DEFAULT,
                      &iterations) ||
         !load_duration(l, node, "timeout", MW_RUN_TIMEOUT_DEFAULT_MS, &workflow->timeout_ms)))
        return false;
    workflow->iterations_max = (uint32_t)iterations;
    return true;
}

bool load_workflow(struct loader *l)
{
    struct mw_workflow_def *workflow = load_array(l, struct mw_workflow_def, 1);
    uint32_t purpose;
    uint32_t start;
    if (workflow == NULL ||
        !load_keys(l, 0, "workflow purpose roles start handoffs limits", "a workflow") ||
        !load_word(l, load_key(l, 0, "workflow"), "a workflow's name", &workflow->name) ||
        !load_need(l, 0, "purpose", "a workflow", &purpose) ||
        !load_text(l, purpose, "purpose", &workflow->purpose) ||
        !read_roles(l, load_key(l, 0, "roles"), workflow) ||
        !load_need(l, 0, "start", "a workflow", &start) || !read_start(l, start, workflow) ||
        !read_handoffs(l, load_key(l, 0, "handoffs"), workflow) ||
        !read_limits(l, load_key(l, 0, "limits"), workflow) ||
        !check_ways(l, workflow, load_key(l, 0, "roles")))
        return false;
    workflow->line = load_line(l, 0);
    workflow->index = l->workflows.count;
    return load_add(l, &l->workflows, workflow);
}

static bool read_documents(struct loader *l, uint32_t node, struct mw_journey_def *journey)
{
    uint32_t count = mw_node_count(l->tape, node);
    struct mw_document_def *documents = load_array(l, struct mw_document_def, count);
    if (documents == NULL)
        return false;
    uint32_t made = 0;
    for (uint32_t i = mw_node_first(l->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, node, i), made++) {
        const struct mw_node *at = &l->tape->nodes[i + 1];
        if (!load_word(l, i, "a document", &documents[made].name) ||
            !load_type(l, i + 1, "event", &documents[made].type) ||
            !load_wait_add(l, documents[made].type, at->line, at->column))
            return false;
    }
    journey->documents = documents;
    journey->document_count = made;
    return true;
}

static bool read_step(struct loader *l, struct mw_journey_def *journey, struct mw_step_def *steps,
                      uint32_t index, uint32_t node)
{
    struct mw_step_def *step = &steps[index];
    uint32_t workflow;
    if (!load_keys(l, node, "workflow produces", "a step") ||
        !load_need(l, node, "workflow", "a step", &workflow) ||
        !load_name_index(l, LOAD_WORKFLOW, workflow, &step->workflow) ||
        !load_texts(l, load_key(l, node, "produces"), "family", &step->produces,
                    &step->produces_count))
        return false;
    for (uint32_t i = 0; i < index; i++)
        for (uint32_t a = 0; a < steps[i].produces_count; a++)
            for (uint32_t b = 0; b < step->produces_count; b++)
                if (mw_str_eq(steps[i].produces[a], step->produces[b]))
                    return load_refuse(l, load_key(l, node, "produces"),
                                       "the family '%.*s' is produced by an earlier step of '%.*s'",
                                       MW_STR_ARG(step->produces[b]), MW_STR_ARG(journey->name));
    return true;
}

static bool read_steps(struct loader *l, uint32_t list, struct mw_journey_def *journey)
{
    uint32_t count = mw_node_count(l->tape, list);
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY || count == 0 || count > MW_STEPS_MAX)
        return load_refuse(l, list, "'steps' is a list of one to %d workflows", MW_STEPS_MAX);
    struct mw_step_def *steps = load_array(l, struct mw_step_def, count);
    if (steps == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!read_step(l, journey, steps, i, mw_node_at(l->tape, list, i)))
            return false;
    journey->steps = steps;
    journey->step_count = count;
    return true;
}

bool load_journey(struct loader *l)
{
    struct mw_journey_def *journey = load_array(l, struct mw_journey_def, 1);
    uint32_t steps, app_id, app_name, validation;
    if (journey == NULL ||
        !load_keys(l, 0, "journey documents app_id app_name steps validation", "a journey") ||
        !load_word(l, load_key(l, 0, "journey"), "a journey's name", &journey->name) ||
        !read_documents(l, load_key(l, 0, "documents"), journey) ||
        !load_need(l, 0, "app_id", "a journey", &app_id) ||
        !load_expr(l, app_id, 0, &journey->app_id) ||
        !load_need(l, 0, "steps", "a journey", &steps) || !read_steps(l, steps, journey) ||
        !load_need(l, 0, "app_name", "a journey", &app_name) ||
        !load_expr(l, app_name, 0, &journey->app_name) ||
        !load_need(l, 0, "validation", "a journey", &validation) ||
        !load_task(l, validation, LOAD_FACTS, MW_STR_NONE, &journey->validation))
        return false;
    journey->build_name = mw_expr_text(journey->app_id);
    journey->line = load_line(l, 0);
    journey->index = l->journeys.count;
    return load_add(l, &l->journeys, journey);
}
