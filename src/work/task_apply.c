#include "base/time.h"
#include "work/internal.h"

/* What a record about a task changes; nothing is decided here, so replay is this file alone. */

static struct mw_task *task_of(struct mw_world *world, const struct mw_event *event)
{
    if (event->item != 0) {
        struct mw_item *item = mw_world_item(world, event->item);
        MW_ASSERT(item != NULL);
        MW_ASSERT(item->kind == MW_ITEM_TASK);
        return (struct mw_task *)item;
    }
    struct mw_task *task =
        (struct mw_task *)mw_world_add_item(world, event, MW_ITEM_TASK, sizeof(*task));
    task->def = (uint32_t)event->task_def;
    task->document = (uint8_t)event->document;
    task->node = (uint32_t)event->node;
    task->outer_document = (uint8_t)event->outer_document;
    task->outer_node = node_of_told(event->outer_node);
    task->event_fact = event->fact;
    task->letter = event->letter;
    task->item.member = (uint32_t)event->member;
    task->item.owner_ask = (uint8_t)event->ask_index;
    if (task->item.member > 0)
        mw_group_member_opened(world, event->owner, task->item.member);
    if (task->item.owner_ask > 0)
        mw_coordinator_asked(world, event->owner, task->item.owner_ask, task->item.id);
    return task;
}

/* The attempt is over: the agent is free again. */
static void release_agent(struct mw_work *work, struct mw_task *task)
{
    if (task->agent == 0)
        return;
    if (task->state == MW_TASK_RUNNING) {
        MW_ASSERT(work->agents[task->agent - 1].running > 0);
        work->agents[task->agent - 1].running--;
        work->running -= task->with_person ? 0 : 1;
        work->dirty = true;
    }
}

static void apply_dispatched(struct mw_world *world, struct mw_work *work,
                             const struct mw_event *event)
{
    struct mw_task *task = task_of(world, event);
    uint32_t agent = mw_agents_index(work, event->agent_id);
    MW_ASSERT(agent != MW_AGENT_NONE);
    mw_queue_remove(world, work, &task->item);
    /* A person who says "again" is no failed attempt: only the person decides how often. */
    task->attempts_with_agent = event->agent_kind == MW_AGENT_HUMAN ? 0
                                : task->agent == agent + 1          ? task->attempts_with_agent + 1
                                                                    : 1;
    task->agent = (uint16_t)(agent + 1);
    task->attempt = (uint16_t)event->attempt;
    task->fence = event->seq;
    task->with_person = event->agent_kind == MW_AGENT_HUMAN;
    (void)mw_utc_us(event->timestamp, &task->dispatched_us);
    task->routing_attempts = 0; /* of the next time that nobody can be found */
    task->state = MW_TASK_RUNNING;
    work->agents[agent].running++;
    work->running += task->with_person ? 0 : 1;
}

static void exclude(struct mw_work *work, struct mw_task *task, struct mw_str agent_id)
{
    uint32_t agent = mw_agents_index(work, agent_id);
    if (agent_id.len > 0 && agent != MW_AGENT_NONE && task->excluded_count < MW_EXCLUDED_MAX)
        task->excluded[task->excluded_count++] = (uint16_t)agent;
}

void mw_task_add_fact(struct mw_world *world, const struct mw_event *event)
{
    struct mw_trace *trace = mw_world_trace(world, event->trace);
    MW_ASSERT(trace != NULL);
    struct mw_fact *fact = mw_pool_alloc(&trace->pool, &world->mem, sizeof(*fact));
    fact->seq = event->seq;
    fact->task = event->item;
    fact->scope = event->trace_wide ? 0 : event->scope_item;
    fact->type = mw_pool_copy(&trace->pool, &world->mem, event->type);
    fact->key = mw_pool_copy(&trace->pool, &world->mem, event->key);
    fact->body = mw_pool_copy(&trace->pool, &world->mem, event->body);
    fact->body_sha256 = mw_pool_copy(&trace->pool, &world->mem, event->body_sha256);
    fact->files_sha256 = mw_pool_copy(&trace->pool, &world->mem, event->files_sha256);
    fact->older = trace->newest_fact;
    trace->newest_fact = fact;
    if (event->blueprint_id.len > 0 && mw_trace_more(trace)->blueprint_id.len == 0)
        mw_trace_make_more(world, trace)->blueprint_id =
            mw_pool_copy(&trace->pool, &world->mem, event->blueprint_id);
}

/* C-30: what was done in another scope of the trace is known in this one, too. */
static void take_over_fact(struct mw_world *world, const struct mw_event *event)
{
    struct mw_trace *trace = mw_world_trace(world, event->trace);
    const struct mw_fact *fact = trace->newest_fact;
    while (fact != NULL && fact->seq != event->fact)
        fact = fact->older;
    if (fact == NULL || fact->scope == 0 || fact->scope == event->scope_item)
        return;
    struct mw_fact *known = mw_pool_alloc(&trace->pool, &world->mem, sizeof(*known));
    *known = *fact; /* their texts live as long as the trace */
    known->seq = event->seq;
    known->scope = event->scope_item;
    known->older = trace->newest_fact;
    trace->newest_fact = known;
}

static void apply_ended(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    struct mw_task *task = task_of(world, event);
    enum mw_outcome outcome = mw_outcome_by_name(event->outcome);
    mw_queue_remove(world, work, &task->item);
    release_agent(work, task);
    task->state = MW_TASK_ENDED;
    mw_world_end_item(world, &task->item, outcome);
    if (task->item.member > 0)
        mw_group_member_ended(world, work, task->item.owner, task->item.member, outcome, event);
    work->dirty = true;
}

void mw_task_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    struct mw_task *task;
    switch (event->kind) {
    case MW_EVT_ROUTING_FALLBACK:
    case MW_EVT_TASK_LATE:
        return;
    case MW_EVT_TASK_READY:
        task = task_of(world, event);
        task->state = MW_TASK_READY;
        mw_queue_add(world, work, event->task_type, &task->item);
        return;
    case MW_EVT_TASK_DISPATCHED:
        apply_dispatched(world, work, event);
        return;
    case MW_EVT_AGENT_NOT_FOUND:
        task = task_of(world, event);
        mw_queue_remove(world, work, &task->item);
        task->routing_attempts = (uint16_t)event->routing_attempt;
        task->state = MW_TASK_WAITING;
        return;
    case MW_EVT_ROUTING_FAILED:
        return;
    case MW_EVT_TASK_FAILED:
    case MW_EVT_TASK_TIMED_OUT:
        task = task_of(world, event);
        mw_queue_remove(world, work, &task->item);
        release_agent(work, task);
        task->state = MW_TASK_WAITING;
        return;
    case MW_EVT_RETRY_SCHEDULED:
        task = task_of(world, event);
        exclude(work, task, event->agent_excluded);
        task->state = MW_TASK_WAITING;
        return;
    case MW_EVT_TASK_ESCALATED:
        task_of(world, event)->escalated = true;
        return;
    case MW_EVT_TASK_RESULT:
        mw_task_add_fact(world, event);
        if (mw_event_ends_task(event))
            apply_ended(world, work, event);
        return;
    case MW_EVT_TASK_ENDED:
        if (event->fact != 0)
            take_over_fact(world, event);
        apply_ended(world, work, event);
        return;
    default:
        MW_UNREACHABLE("an event that is not about tasks");
    }
}
