#include "work/internal.h"

bool mw_work_needs(const struct mw_world *world, const struct mw_work *work, struct mw_arena *arena,
                   mw_seq task_id, struct mw_task_needs *ret_needs, struct mw_str *ret_why)
{
    const struct mw_item *item = mw_world_item(world, task_id);
    *ret_why = MW_STR("the task is gone");
    if (item == NULL || item->kind != MW_ITEM_TASK)
        return false;
    const struct mw_task *task = (const struct mw_task *)item;
    struct mw_request request = {.kind = MW_REQ_DISPATCH};
    struct mw_order order = mw_task_order(world, task, &request);
    *ret_why = MW_STR("the definitions of this trace are missing");
    if (order.def == NULL || task->agent == 0)
        return false;
    struct mw_task_needs needs = {.def = order.def,
                                  .agent = &work->agents[task->agent - 1],
                                  .trace = order.trace,
                                  .scope = item->scope};
    needs.owns = mw_arena_array(arena, struct mw_str, order.def->owns_count + 1);
    for (uint32_t i = 0; i < order.def->owns_count; i++, needs.owns_count++)
        if (!mw_eval_text(world, arena, order.trace, &order.place, order.def->owns[i],
                          &needs.owns[i], ret_why))
            return false;
    *ret_needs = needs;
    return true;
}

bool mw_work_asks_once(const struct mw_world *world, mw_seq task_id)
{
    const struct mw_item *item = mw_world_item(world, task_id);
    if (item == NULL || item->kind != MW_ITEM_TASK)
        return false;
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, item));
    return catalogue != NULL && catalogue->tasks[((const struct mw_task *)item)->def]->no_retry;
}

struct mw_str mw_work_expects(const struct mw_world *world, mw_seq task_id)
{
    const struct mw_item *item = mw_world_item(world, task_id);
    if (item == NULL || item->kind != MW_ITEM_TASK)
        return MW_STR_NONE;
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, item));
    return catalogue != NULL ? catalogue->tasks[((const struct mw_task *)item)->def]->expects[0]
                             : MW_STR_NONE;
}

static bool is_seen(const struct mw_fact *fact, mw_seq scope)
{
    return scope == MW_SCOPE_TRACE || fact->scope == 0 || fact->scope == scope;
}

static bool is_asked_for(const struct mw_fact *fact, mw_seq scope, struct mw_str type)
{
    return is_seen(fact, scope) &&
           (type.len > 0 ? mw_str_eq(fact->type, type) : fact->files_sha256.len > 0);
}

uint32_t mw_work_facts(const struct mw_trace *trace, mw_seq scope, struct mw_str type,
                       const struct mw_fact **ret_facts, uint32_t facts_max)
{
    uint32_t count = 0;
    for (const struct mw_fact *fact = trace->newest_fact; fact != NULL; fact = fact->older)
        count += is_asked_for(fact, scope, type);
    uint32_t at = count;
    for (const struct mw_fact *fact = facts_max > 0 ? trace->newest_fact : NULL; fact != NULL;
         fact = fact->older)
        if (is_asked_for(fact, scope, type) && --at < facts_max)
            ret_facts[at] = fact;
    return count;
}

/* A dead letter that was put back brought the names of those whose facts it brought. */
static bool letter_author(const struct mw_trace *trace, mw_seq task, struct mw_str *ret_task_type,
                          struct mw_str *ret_agent_id)
{
    const struct mw_trace_more *more = mw_trace_more(trace);
    for (uint32_t i = 0; i < more->letter_author_count; i++)
        if (more->letter_authors[i].task == task) {
            *ret_task_type = more->letter_authors[i].task_type;
            *ret_agent_id = more->letter_authors[i].agent_id;
            return true;
        }
    return false;
}

bool mw_work_author(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_trace *trace, mw_seq task_id, struct mw_str *ret_task_type,
                    struct mw_str *ret_agent_id)
{
    if (letter_author(trace, task_id, ret_task_type, ret_agent_id))
        return true;
    const struct mw_item *item = mw_world_item(world, task_id);
    if (item == NULL || item->kind != MW_ITEM_TASK)
        return false;
    const struct mw_task *task = (const struct mw_task *)item;
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, item));
    if (catalogue == NULL || task->agent == 0)
        return false;
    *ret_task_type = catalogue->tasks[task->def]->skill;
    *ret_agent_id = work->agents[task->agent - 1].id;
    return true;
}
