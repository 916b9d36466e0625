#include "work/internal.h"

#include <string.h>

/*
 * What waits for a slot. Tasks stand in the queue of their skill; groups that still have members to start stand in the queue with the
 * empty name, because only a decide (which has the definition) can say what their next member is.
 */

/* How many of a skill are asked in vain before a walk ends: while nobody who has the skill is free; and while somebody is, but not for these. */
#define TRIED_MAX 16u
#define TRIED_MAX_OF_FREE 4096u
#define TRIED_SKILLS_MAX 16u
/* How many members of one list are asked in vain in a walk. */
#define TRIED_OF_ROW_MAX 64u

static mw_seq *next_of(struct mw_item *item)
{
    if (item->kind == MW_ITEM_TASK)
        return &((struct mw_task *)item)->ready_next;
    MW_ASSERT(item->kind == MW_ITEM_GROUP);
    return &((struct mw_group *)item)->ready_next;
}

/* Index + 1 of the queue that the item stands in. */
static uint32_t *queue_of(struct mw_item *item)
{
    if (item->kind == MW_ITEM_TASK)
        return &((struct mw_task *)item)->queue;
    MW_ASSERT(item->kind == MW_ITEM_GROUP);
    return &((struct mw_group *)item)->queue;
}

static struct mw_skill_queue *find_queue(const struct mw_work *work, struct mw_str skill)
{
    for (uint32_t i = 0; i < work->queue_count; i++)
        if (mw_str_eq(work->queues[i].skill, skill))
            return &work->queues[i];
    return NULL;
}

static struct mw_skill_queue *make_queue(struct mw_world *world, struct mw_work *work,
                                         struct mw_str skill)
{
    if (work->queue_count == work->queue_cap) {
        uint32_t cap = work->queue_cap > 0 ? work->queue_cap * 2 : 32;
        struct mw_skill_queue *queues = mw_mem_alloc(&world->mem, cap * sizeof(*queues));
        if (work->queue_count > 0)
            memcpy(queues, work->queues, work->queue_count * sizeof(*queues));
        mw_mem_free(&world->mem, work->queues, work->queue_cap * sizeof(*queues));
        work->queues = queues;
        work->queue_cap = cap;
    }
    struct mw_skill_queue *queue = &work->queues[work->queue_count++];
    char *name = mw_mem_alloc(&world->mem, skill.len + 1);
    if (skill.len > 0)
        memcpy(name, skill.ptr, skill.len);
    *queue = (struct mw_skill_queue){.skill = {name, skill.len}};
    return queue;
}

/* Oldest first, as they stand in the queue; who wakes is mostly one of the oldest. */
void mw_queue_wake(struct mw_world *world, struct mw_work *work, struct mw_group *group)
{
    if (group->is_startable || group->queue == 0)
        return;
    struct mw_group **first = &work->startable[mw_world_trace_of(world, &group->item)->priority];
    struct mw_group *before = NULL, *next = *first;
    while (next != NULL && next->item.id < group->item.id) {
        before = next;
        next = next->startable_next;
    }
    group->is_startable = true;
    group->startable_before = before;
    group->startable_next = next;
    if (next != NULL)
        next->startable_before = group;
    *(before != NULL ? &before->startable_next : first) = group;
}

static void put_to_sleep(const struct mw_world *world, struct mw_work *work, struct mw_group *group)
{
    if (!group->is_startable)
        return;
    struct mw_group **first = &work->startable[mw_world_trace_of(world, &group->item)->priority];
    group->is_startable = false;
    if (group->startable_next != NULL)
        group->startable_next->startable_before = group->startable_before;
    *(group->startable_before != NULL ? &group->startable_before->startable_next : first) =
        group->startable_next;
}

void mw_work_learn(const struct mw_world *world, struct mw_work *work, const struct mw_out *out)
{
    for (uint32_t i = 0; i < out->blocked_count; i++)
        put_to_sleep(world, work, (struct mw_group *)mw_world_item(world, out->blocked[i]));
}

void mw_queue_add(struct mw_world *world, struct mw_work *work, struct mw_str skill,
                  struct mw_item *item)
{
    struct mw_skill_queue *queue = find_queue(work, skill);
    if (queue == NULL)
        queue = make_queue(world, work, skill);
    unsigned priority = mw_world_trace_of(world, item)->priority;
    *next_of(item) = 0;
    if (queue->tail[priority] == 0)
        queue->head[priority] = item->id;
    else
        *next_of(mw_world_item(world, queue->tail[priority])) = item->id;
    queue->tail[priority] = item->id;
    *queue_of(item) = (uint32_t)(queue - work->queues) + 1;
    if (item->kind == MW_ITEM_GROUP)
        mw_queue_wake(world, work, (struct mw_group *)item);
    work->dirty = true;
}

void mw_queue_remove(struct mw_world *world, struct mw_work *work, struct mw_item *item)
{
    uint32_t index = *queue_of(item);
    if (index == 0)
        return;
    struct mw_skill_queue *queue = &work->queues[index - 1];
    unsigned priority = mw_world_trace_of(world, item)->priority;
    if (item->kind == MW_ITEM_GROUP)
        put_to_sleep(world, work, (struct mw_group *)item);
    *queue_of(item) = 0;
    mw_seq before = 0;
    for (mw_seq at = queue->head[priority]; at != item->id;
         at = *next_of(mw_world_item(world, at))) {
        MW_ASSERT(at != 0);
        before = at;
    }
    mw_seq after = *next_of(item);
    if (before == 0)
        queue->head[priority] = after;
    else
        *next_of(mw_world_item(world, before)) = after;
    if (queue->tail[priority] == item->id)
        queue->tail[priority] = before;
    *next_of(item) = 0;
}

/* Which queue the event's apply puts its item into. */
static bool names_queue(const struct mw_event *event, struct mw_str *ret_skill)
{
    *ret_skill = event->kind == MW_EVT_TASK_READY ? event->task_type : MW_STR_NONE;
    return event->kind == MW_EVT_TASK_READY ||
           (event->kind == MW_EVT_GROUP_STARTED && event->expected_count > 0);
}

uint32_t mw_work_queue_of(const struct mw_work *work, const struct mw_event *event)
{
    struct mw_str skill;
    const struct mw_skill_queue *queue =
        names_queue(event, &skill) ? find_queue(work, skill) : NULL;
    return queue != NULL ? (uint32_t)(queue - work->queues) + 1 : 0;
}

void mw_work_name_queue(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    struct mw_str skill;
    if (names_queue(event, &skill) && find_queue(work, skill) == NULL)
        (void)make_queue(world, work, skill); /* only its place in the order is wanted */
}

bool mw_work_wants_dispatch(const struct mw_work *work)
{
    return work->dirty;
}

/* When some of a skill cannot start, the rest hardly can, unless an agent is free: they differ in domain and in whom they tried. */
static uint32_t tries_max(const struct mw_work *work, struct mw_str skill)
{
    return mw_agents_are_free(work, skill) ? TRIED_MAX_OF_FREE : TRIED_MAX;
}

/* Skills that could not be started in this walk, and how often they may still be tried. */
struct tried {
    struct mw_str skills[TRIED_SKILLS_MAX];
    uint32_t left[TRIED_SKILLS_MAX];
    bool is_free[TRIED_SKILLS_MAX]; /* somebody who has it had room */
    uint32_t count;
};

/* The index of the skill; TRIED_SKILLS_MAX: it is not counted. */
static uint32_t tried_of(const struct mw_work *work, struct tried *tried, struct mw_str skill)
{
    for (uint32_t i = 0; i < tried->count; i++)
        if (mw_str_eq(tried->skills[i], skill))
            return i;
    if (skill.len == 0 || tried->count == TRIED_SKILLS_MAX)
        return TRIED_SKILLS_MAX;
    tried->skills[tried->count] = skill;
    tried->left[tried->count] = tries_max(work, skill);
    tried->is_free[tried->count] = tried->left[tried->count] > TRIED_MAX;
    return tried->count++;
}

/*
 * Ten thousand groups that wait for one skill: when some of them cannot go on, the rest hardly can. Those of other skills are asked, and so
 * are, in a group, the members behind one that nobody is free for: of its own row only while somebody with the skill is, who may be of
 * another's domain.
 */
static bool start_group(const struct mw_world *world, const struct mw_work *work,
                        const struct mw_group *group, const struct mw_request *request,
                        struct tried *tried, struct mw_out *out)
{
    struct mw_group_next next;
    uint32_t from = 0, row_end = 0, of_row = 0;
    while (from < group->total && mw_group_next(world, group, from, &next)) {
        of_row = next.behind_row == row_end ? of_row + 1 : 1;
        row_end = next.behind_row;
        uint32_t skill = tried_of(work, tried, next.skill);
        bool is_counted = skill < TRIED_SKILLS_MAX;
        if ((!is_counted || tried->left[skill] > 0) &&
            mw_group_start_member(world, work, group, next.position, request, out))
            return true;
        if (is_counted && tried->left[skill] > 0)
            tried->left[skill]--;
        bool others_may = is_counted && tried->is_free[skill] && tried->left[skill] > 0 &&
                          of_row < TRIED_OF_ROW_MAX;
        from = others_may ? next.position + 1 : next.behind_row;
    }
    /* Only what cannot go on by itself sleeps; who waits for an agent does not. */
    if (from == 0 && out->blocked_count < MW_OUT_BLOCKED_MAX)
        out->blocked[out->blocked_count++] = group->item.id;
    return false;
}

static bool is_held(const struct mw_trace *trace)
{
    return trace->paused || trace->cancelled;
}

static bool start_groups(const struct mw_world *world, const struct mw_work *work,
                         unsigned priority, const struct mw_request *request, struct mw_out *out)
{
    struct tried tried;
    tried.count = 0;
    for (const struct mw_group *group = work->startable[priority]; group != NULL;
         group = group->startable_next)
        if (!is_held(mw_world_trace_of(world, &group->item)) &&
            start_group(world, work, group, request, &tried, out))
            return true;
    return false;
}

static bool start_tasks(const struct mw_world *world, const struct mw_work *work,
                        const struct mw_skill_queue *queue, unsigned priority,
                        const struct mw_request *request, struct mw_out *out)
{
    uint32_t left = queue->head[priority] != 0 ? tries_max(work, queue->skill) : 0;
    for (mw_seq at = queue->head[priority]; at != 0 && left > 0;) {
        const struct mw_task *task = (const struct mw_task *)mw_world_item(world, at);
        MW_ASSERT(task != NULL);
        at = task->ready_next;
        if (is_held(mw_world_trace_of(world, &task->item)))
            continue;
        struct mw_order order = mw_task_order(world, task, request);
        left--;
        if (order.def != NULL && mw_task_start(world, work, &order, false, out))
            return true;
    }
    return false;
}

void mw_queue_dispatch(const struct mw_world *world, const struct mw_work *work,
                       const struct mw_request *request, struct mw_out *out)
{
    MW_ASSERT(request->kind == MW_REQ_DISPATCH);
    for (unsigned priority = 0; priority < 3; priority++)
        for (uint32_t i = 0; i < work->queue_count; i++)
            if (work->queues[i].skill.len > 0
                    ? start_tasks(world, work, &work->queues[i], priority, request, out)
                    : start_groups(world, work, priority, request, out))
                return;
}
