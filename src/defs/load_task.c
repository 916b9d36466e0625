/* load_task.c - one unit of work as a definition asks for it. */
#include "defs/load.h"

#include "msg/msg.h"

#define TASK_KEYS                                                                                  \
    "skill expects subject domain key payload context files owns writes repository shared "        \
    "no_retry "                                                                                    \
    "policy"

static bool read_expects(struct loader *l, uint32_t node, struct mw_task_def *task)
{
    const struct mw_str *types;
    uint32_t count;
    if (!load_texts(l, node, "expects", &types, &count))
        return false;
    if (count == 0 || count > MW_COUNT(task->expects))
        return load_refuse(l, node, "a task expects one to %d event types",
                           (int)MW_COUNT(task->expects));
    bool list = mw_node_type(l->tape, node) == MW_NODE_ARRAY;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = list ? mw_node_at(l->tape, node, i) : node;
        if (!load_type(l, at, "event", &task->expects[i]) || !load_emit_add(l, task->expects[i]))
            return false;
        if (mw_type_is_reserved(types[i]))
            return load_refuse(
                l, at, "'%.*s' is the control plane's own event: no agent may answer with it",
                MW_STR_ARG(types[i]));
    }
    task->expects_count = count;
    return true;
}

static bool read_files(struct loader *l, uint32_t node, enum mw_inputs *ret_inputs)
{
    struct mw_str text = MW_STR("none");
    if (node != MW_NODE_NONE && !load_text(l, node, "files", &text))
        return false;
    if (mw_str_is(text, "none"))
        *ret_inputs = MW_INPUTS_NONE;
    else if (mw_str_is(text, "scope"))
        *ret_inputs = MW_INPUTS_SCOPE;
    else if (mw_str_is(text, "trace"))
        *ret_inputs = MW_INPUTS_TRACE;
    else
        return load_refuse(l, node, "'files' is none, scope or trace");
    return true;
}

static bool read_owns(struct loader *l, uint32_t node, unsigned roots, struct mw_task_def *task)
{
    if (node == MW_NODE_NONE)
        return true;
    if (mw_node_type(l->tape, node) != MW_NODE_ARRAY)
        return load_refuse(l, node, "'owns' is a list of expressions that give path patterns");
    uint32_t count = mw_node_count(l->tape, node);
    if (count > MW_TEXTS_MAX)
        return load_refuse(l, node, "'owns' has more than %d patterns", MW_TEXTS_MAX);
    const struct mw_expr **owns = load_array(l, const struct mw_expr *, count);
    if (owns == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!load_expr(l, mw_node_at(l->tape, node, i), roots, &owns[i]))
            return false;
    task->owns = owns;
    task->owns_count = count;
    return true;
}

static bool read_skill(struct loader *l, uint32_t node, struct mw_str routed_skill,
                       struct mw_str *ret_skill)
{
    uint32_t skill = load_key(l, node, "skill");
    if (routed_skill.len > 0) {
        if (skill != MW_NODE_NONE)
            return load_refuse(l, skill, "the skill comes from 'route:'; leave 'skill:' out");
        *ret_skill = routed_skill;
        return true;
    }
    return load_need(l, node, "skill", "a task", &skill) && load_skill(l, skill, ret_skill);
}

bool load_task(struct loader *l, uint32_t node, unsigned roots, struct mw_str routed_skill,
               const struct mw_task_def **ret_task)
{
    uint32_t expects;
    struct mw_task_def *task = load_array(l, struct mw_task_def, 1);
    if (task == NULL)
        return false;
    if (!load_keys(l, node, TASK_KEYS, "a task") ||
        !read_skill(l, node, routed_skill, &task->skill) ||
        !load_need(l, node, "expects", "a task", &expects) || !read_expects(l, expects, task) ||
        !load_expr_at(l, node, "subject", roots, &task->subject) ||
        !load_expr_at(l, node, "domain", roots, &task->domain) ||
        !load_expr_at(l, node, "key", roots, &task->key) ||
        !load_bindings(l, load_key(l, node, "payload"), roots, &task->payload) ||
        !load_waits(l, load_key(l, node, "context"), &task->context, &task->context_count) ||
        !read_files(l, load_key(l, node, "files"), &task->inputs) ||
        !read_owns(l, load_key(l, node, "owns"), roots, task) ||
        !load_bool(l, node, "writes", task->owns_count > 0, &task->writes_files) ||
        !load_bool(l, node, "repository", false, &task->reads_repository) ||
        !load_bool(l, node, "shared", false, &task->scope_wide) ||
        !load_bool(l, node, "no_retry", false, &task->no_retry) ||
        !load_policy_for(l, node, task->skill, &task->policy))
        return false;
    if (task->writes_files && task->owns_count == 0)
        return load_refuse(
            l, load_key(l, node, "writes"),
            "a task that writes files needs 'owns:', the patterns of what it may write");
    task->index = l->tasks.count;
    task->line = load_line(l, node);
    *ret_task = task;
    return load_add(l, &l->tasks, task);
}
