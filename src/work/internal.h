/*
 * internal.h - between the files of this room only.
 */
#ifndef MW_WORK_INTERNAL_H
#define MW_WORK_INTERNAL_H

#include "work/work.h"

#define MW_AGENT_NONE UINT32_MAX
#define MW_DISPATCH_BYTES_MAX (512u * 1024)
#define MW_RESULT_INLINE_MAX 8192u
#define MW_WORDS_MAX 16384u /* of what an agent says for people: a record's line is bounded (P14) */
#define MW_AGENT_TEXT_MAX 65536u /* of an agent's definition; its memory is some fifty times that */
#define MW_LETTER_INPUTS_BYTES_MAX (512u * 1024) /* with the payload less than a line may have */

/* One thing to be started: from a definition row, for an owner, about an item. */
struct mw_order {
    const struct mw_trace *trace;
    const struct mw_catalogue *catalogue;
    const struct mw_task_def *def;
    const struct mw_task *task; /* NULL: not there yet */
    mw_seq owner;
    mw_seq scope; /* 0: the new item itself */
    struct mw_place place;
    uint32_t member;
    uint32_t ask;
    mw_seq letter; /* 0: none */
    int64_t now_us;
    uint64_t entropy;
};

/* Who comes into question. A person who is asked in the end is never too busy for it: it waits in the inbox. */
enum mw_choosing {
    MW_AMONG_FREE,      /* with the skill, and a free place */
    MW_AMONG_REVIEWERS, /* with the skill; people however many wait for them */
    MW_AMONG_PEOPLE     /* people, whatever their skills and however much waits for them */
};

struct mw_choice {
    uint32_t agent;      /* index; MW_AGENT_NONE */
    bool exists;         /* somebody registered has the skill and may be asked */
    bool fallback;       /* only in another domain */
    struct mw_str trail; /* JSON object: candidates, filters, scores; shortened (rules/route.h) */
};

/* agent.c */
void mw_agents_decide(const struct mw_world *world, const struct mw_work *work,
                      const struct mw_request *request, struct mw_out *out);
void mw_agents_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event);
struct mw_choice mw_agents_choose(const struct mw_work *work, struct mw_arena *arena,
                                  struct mw_str skill, struct mw_str domain,
                                  const struct mw_task *task, enum mw_choosing among);
/* Whether somebody with the skill, of whatever domain, has room for one task more. */
bool mw_agents_are_free(const struct mw_work *work, struct mw_str skill);
uint32_t mw_agents_index(const struct mw_work *work, struct mw_str id); /* MW_AGENT_NONE */
/* task.c */
void mw_task_decide(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_request *request, struct mw_out *out);
void mw_task_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event);
/* Starts an order now when an agent is free, else queues it (or tells that nobody can). wait: queue when all are busy; false: says nothing. */
bool mw_task_start(const struct mw_world *world, const struct mw_work *work,
                   const struct mw_order *order, bool wait, struct mw_out *out);
struct mw_order mw_task_order(const struct mw_world *world, const struct mw_task *task,
                              const struct mw_request *request);
void mw_task_add_fact(struct mw_world *world, const struct mw_event *event);
/* What its agent is told; false with words when it cannot be had. */
bool mw_task_payload(const struct mw_world *world, const struct mw_order *order, struct mw_out *out,
                     struct mw_str *ret_payload, struct mw_str *ret_why);
/* letter.c: the task ends now because nobody is left who could do it. None is written while its owner asks for it once more. */
void mw_letter_write(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_task *task, const struct mw_request *request,
                     struct mw_out *out);
void mw_letter_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event);
void mw_letters_dump(const struct mw_work *work, struct mw_buf *buf);
/* queue.c */
void mw_queue_add(struct mw_world *world, struct mw_work *work, struct mw_str skill,
                  struct mw_item *item);
/* Not in a queue: nothing happens. */
void mw_queue_remove(struct mw_world *world, struct mw_work *work, struct mw_item *item);
/* One of its members has ended: it may have another to start. */
void mw_queue_wake(struct mw_world *world, struct mw_work *work, struct mw_group *group);
void mw_queue_dispatch(const struct mw_world *world, const struct mw_work *work,
                       const struct mw_request *request, struct mw_out *out);
/* group.c */
void mw_group_decide(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_request *request, struct mw_out *out);
void mw_group_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event);
void mw_group_start(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_order *order, const struct mw_group_def *def, bool is_plan,
                    struct mw_out *out);
struct mw_group_next {
    uint32_t position;
    uint32_t behind_row; /* the first position that is of another row of the definition */
    struct mw_str skill; /* what it asks for; empty when that is no task */
};
/* The first member from a position on that waits and may start; false: there is none. Without definitions nobody can say: it may. */
bool mw_group_next(const struct mw_world *world, const struct mw_group *group, uint32_t from,
                   struct mw_group_next *ret_next);
/* Of one that mw_group_next gave. False: nobody is free for it, and nothing is said. */
bool mw_group_start_member(const struct mw_world *world, const struct mw_work *work,
                           const struct mw_group *group, uint32_t position,
                           const struct mw_request *request, struct mw_out *out);
/* It ends because what asked for it is over. */
void mw_group_cancel(const struct mw_world *world, const struct mw_group *group,
                     struct mw_out *out);
/* An ended group whose other members go on all the same. */
bool mw_group_keeps_late(const struct mw_world *world, const struct mw_item *item);
/* How a record tells the item of the list around: the root of a document is nobody's item, so 0, which is not written, is none. Older records write
 * MW_NODE_NONE as a number. */
static inline uint64_t told_node(uint32_t node)
{
    return node == MW_NODE_NONE ? 0 : node;
}
static inline uint32_t node_of_told(uint64_t told)
{
    return told == 0 ? MW_NODE_NONE : (uint32_t)told;
}
/* A member ended or was opened: the owner group's counts. */
void mw_group_member_opened(struct mw_world *world, mw_seq owner, uint32_t member);
void mw_group_member_ended(struct mw_world *world, struct mw_work *work, mw_seq owner,
                           uint32_t member, enum mw_outcome outcome, const struct mw_event *event);
/* coordinator.c */
void mw_coordinator_decide(const struct mw_world *world, const struct mw_work *work,
                           const struct mw_request *request, struct mw_out *out);
void mw_coordinator_apply(struct mw_world *world, struct mw_work *work,
                          const struct mw_event *event);
void mw_coordinator_start(const struct mw_world *world, const struct mw_order *order, uint32_t def,
                          struct mw_out *out);
void mw_coordinator_asked(struct mw_world *world, mw_seq owner, uint32_t ask, mw_seq item);
void mw_coordinator_deliver(const struct mw_world *world, const struct mw_request *request,
                            struct mw_out *out);
void mw_coordinator_take_up(const struct mw_world *world, const struct mw_request *request,
                            struct mw_out *out);
void mw_coordinator_cancel_inside(const struct mw_world *world, const struct mw_request *request,
                                  struct mw_out *out);
/* "{AgentType}:{Task}", letters and digits only (ST-03). */
struct mw_str mw_component_tag(struct mw_arena *arena, struct mw_str agent_type,
                               struct mw_str task);
/* Skips by a rule are told (CD-15). */
void mw_tell_skip(const struct mw_world *world, const struct mw_order *order, mw_seq item,
                  uint32_t ask, struct mw_str rule, const struct mw_expr *condition,
                  const struct mw_expr *field, struct mw_str what, struct mw_out *out);

#endif
