#include "work/internal.h"

/* One line an entity, fields in a fixed order: two states are the same when these bytes are. */

void mw_work_dump(const struct mw_world *world, const struct mw_work *work, struct mw_buf *buf)
{
    for (uint32_t i = 0; i < work->agent_count; i++) {
        const struct mw_agent *agent = &work->agents[i];
        mw_buf_printf(buf, "agent %.*s running=%u healthy=%d removed=%d\n", MW_STR_ARG(agent->id),
                      agent->running, (int)agent->healthy, (int)agent->removed);
    }
    mw_buf_printf(buf, "work running=%u\n", work->running);
    mw_letters_dump(work, buf);
    for (uint32_t i = 0; i < work->queue_count; i++)
        for (unsigned priority = 0; priority < 3; priority++)
            for (mw_seq at = work->queues[i].head[priority]; at != 0;) {
                const struct mw_item *item = mw_world_item(world, at);
                mw_buf_printf(buf, "queued '%.*s' %u %lu\n", MW_STR_ARG(work->queues[i].skill),
                              priority, (unsigned long)at);
                at = item->kind == MW_ITEM_TASK ? ((const struct mw_task *)item)->ready_next
                                                : ((const struct mw_group *)item)->ready_next;
            }
}

void mw_work_dump_left(const struct mw_work *work, struct mw_buf *buf)
{
    mw_buf_printf(buf, "running_max %u\n", work->running_max);
    for (uint32_t i = 0; i < work->agent_count; i++)
        mw_buf_printf(buf, "agent told=%lx %.*s\n", (unsigned long)work->agents[i].told_hash,
                      MW_STR_ARG(work->agents[i].definition));
    for (uint32_t i = 0; i < work->queue_count; i++)
        mw_buf_printf(buf, "queue '%.*s'\n", MW_STR_ARG(work->queues[i].skill));
}

static void dump_task(const struct mw_task *task, struct mw_buf *buf)
{
    mw_buf_printf(buf,
                  " def=%u doc=%u:%u outer=%u:%u event=%lu member=%u ask=%u agent=%u attempt=%u "
                  "with=%u routing=%u state=%u fence=%lu person=%d escalated=%d excluded=%u",
                  task->def, task->document, task->node, task->outer_document, task->outer_node,
                  (unsigned long)task->event_fact, task->item.member, task->item.owner_ask,
                  task->agent, (unsigned)task->attempt, (unsigned)task->attempts_with_agent,
                  (unsigned)task->routing_attempts, (unsigned)task->state,
                  (unsigned long)task->fence, (int)task->with_person, (int)task->escalated,
                  (unsigned)task->excluded_count);
    for (uint32_t i = 0; i < task->excluded_count; i++)
        mw_buf_printf(buf, "%c%u", i == 0 ? ':' : ',', (unsigned)task->excluded[i]);
    if (task->letter != 0)
        mw_buf_printf(buf, " letter=%lu", (unsigned long)task->letter);
}

static bool is_placed(uint32_t document, uint32_t node)
{
    return document != 0 || (node != 0 && node != MW_NODE_NONE);
}

static void dump_group(const struct mw_group *group, struct mw_buf *buf)
{
    mw_buf_printf(buf, " def=%u total=%u done=%u failed=%u open=%u scan=%u member=%u ask=%u at=",
                  group->def, group->total, group->done, group->failed, group->open, group->scan,
                  group->item.member, group->item.owner_ask);
    for (uint32_t i = 0; i < group->total; i++)
        mw_buf_put_c(buf, (char)('0' + mw_group_positions(group)[i]));
    /* Of a plan, which stands nowhere, nothing: as the releases before this one told it. */
    if (is_placed(group->document, group->node) ||
        is_placed(group->outer_document, group->outer_node))
        mw_buf_printf(buf, " doc=%u:%u outer=%u:%u", (unsigned)group->document, group->node,
                      (unsigned)group->outer_document, group->outer_node);
    for (uint32_t i = 0; i < group->row_count; i++)
        if (is_placed(group->rows[i].document, group->rows[i].node))
            mw_buf_printf(buf, " row=%u:%u:%u", i, group->rows[i].document, group->rows[i].node);
}

static void dump_coordinator(const struct mw_coordinator *coordinator, struct mw_buf *buf)
{
    mw_buf_printf(buf,
                  " def=%u key=%.*s state=%u transitions=%u fired=%x doc=%u:%u member=%u asked=",
                  coordinator->def, MW_STR_ARG(coordinator->key), coordinator->state,
                  coordinator->transitions, coordinator->fired, coordinator->document,
                  coordinator->node, coordinator->item.member);
    for (uint32_t i = 0; i < MW_STATE_ASKS_MAX; i++)
        mw_buf_printf(buf, "%lu,", (unsigned long)mw_coordinator_made(coordinator, i));
}

void mw_work_dump_item(const struct mw_item *item, struct mw_buf *buf)
{
    if (item->kind == MW_ITEM_TASK)
        dump_task((const struct mw_task *)item, buf);
    else if (item->kind == MW_ITEM_GROUP)
        dump_group((const struct mw_group *)item, buf);
    else if (item->kind == MW_ITEM_COORDINATOR)
        dump_coordinator((const struct mw_coordinator *)item, buf);
}
