/*
 * work.h - carrying out: agents, tasks, groups, coordinators. One task path for whoever asks.
 *
 * Owns:     the registry of agents, the ready queue, attempts and leases, joins, state machines from data.
 * Does not: know runs, journeys or repairs; they ask by START_TASK and START_GROUP and hear by NOTE_ENDED.
 * Resume:   replaying its events is enough.
 */
#ifndef MW_WORK_H
#define MW_WORK_H

#include "defs/world.h"

#define MW_AGENTS_MAX 1024
#define MW_EXCLUDED_MAX MW_REROUTES_MAX /* each further agent leaves one behind */
#define MW_LETTERS_MAX 1024 /* dead letters that can be put back; the oldest gives way */

struct mw_agent {
    struct mw_str id;         /* all strings KEEP */
    struct mw_str definition; /* JSON text as registered */
    struct mw_agent_def def;  /* its strings and lists point into `block` */
    void *block;              /* KEEP: one block for everything above */
    size_t block_bytes;
    uint64_t
        told_hash; /* of the words that the host registered last, off a file; 0: it never did */
    uint32_t running;
    bool healthy;
    bool removed;
};

/* Tasks of one skill that wait for a free agent, oldest first, by priority; linked through their `ready_next`. */
struct mw_skill_queue {
    struct mw_str skill; /* KEEP */
    mw_seq head[3];
    mw_seq tail[3];
};

/* A task that ended because nobody could do it, and what is needed to put it back. Its evidence is in the record (task.dead). */
struct mw_letter {
    mw_seq task;
    mw_seq put_back;         /* trace that it was put back in; 0: it lies here */
    mw_seq event_fact;       /* what it was an answer to; 0: nothing */
    uint64_t payload_hash;   /* 0: it never had a payload, so it cannot be put back */
    uint64_t inputs_hash;    /* of the facts it was given, as its record lists them; 0: none */
    uint64_t catalogue_hash; /* of the definitions in which it is number `def`; 0: not noted */
    struct mw_str skill;     /* all strings KEEP */
    struct mw_str expects;
    struct mw_str trace_id;
    struct mw_str documents;   /* JSON list of hashes: what its trace was made from */
    struct mw_str intent_body; /* the first of them, when its text stood in a record */
    uint32_t document;
    uint32_t node;
    uint32_t outer_document;
    uint32_t outer_node;
    uint32_t def;
};

struct mw_work {
    struct mw_agent *agents; /* KEEP */
    uint32_t agent_count;
    uint32_t agent_cap;
    struct mw_skill_queue *queues; /* KEEP */
    uint32_t queue_count;
    uint32_t queue_cap;
    uint32_t running;     /* attempts in agents' hands, people not counted */
    uint32_t running_max; /* of the newest catalogue */
    /* Groups of the queue without a name that may have a member to start, oldest first, by priority: made of what is applied and of what
     * DISPATCH learned, so that it need not ask them all. */
    struct mw_group *startable[3];
    bool dirty;                /* something became ready or free since the last dispatch */
    struct mw_letter *letters; /* KEEP; a ring of MW_LETTERS_MAX, made with the first one */
    uint32_t letter_count;
    uint32_t letter_at; /* where the next one goes */
};

enum mw_task_state { MW_TASK_READY, MW_TASK_RUNNING, MW_TASK_WAITING, MW_TASK_ENDED };

struct mw_task {
    struct mw_item item;
    mw_seq ready_next;
    mw_seq event_fact;
    mw_seq fence;  /* record of the running attempt */
    mw_seq letter; /* dead letter that it is the putting back of; 0: none */
    int64_t dispatched_us;
    uint32_t def; /* task definition's index in the trace's catalogue */
    uint32_t node;
    uint32_t outer_node;
    uint32_t queue; /* index + 1 while it stands in one */
    uint16_t agent; /* index + 1 while running */
    uint16_t attempt;
    uint16_t attempts_with_agent;
    uint16_t routing_attempts;
    uint16_t excluded[MW_EXCLUDED_MAX]; /* agent indexes */
    uint8_t document;
    uint8_t outer_document;
    uint8_t excluded_count;
    uint8_t state; /* enum mw_task_state */
    bool with_person;
    bool escalated;
};
_Static_assert(MW_AGENTS_MAX < UINT16_MAX && MW_DOCUMENTS_MAX < UINT8_MAX &&
                   MW_STATE_ASKS_MAX < UINT8_MAX,
               "a task keeps their indexes in so many bits");

enum mw_position_state {
    MW_POSITION_WAITING,
    MW_POSITION_OPEN,
    MW_POSITION_DONE,
    MW_POSITION_FAILED
};

/* Members of one definition row: `count` positions from `first`. */
struct mw_group_row {
    uint32_t first;
    uint32_t count;
    uint32_t document;
    uint32_t node; /* the list; MW_NODE_NONE: the group's own item */
};

/* The first member that failed, for the group's reason. */
struct mw_group_failure {
    struct mw_str reason, error_class, task_type; /* TRACE */
};

struct mw_group {
    struct mw_item item;
    mw_seq ready_next;
    struct mw_group *startable_before, *startable_next; /* mw_work.startable */
    struct mw_str id;
    struct mw_group_failure *failure; /* TRACE; NULL: none has failed */
    uint32_t def;
    uint32_t node;
    uint32_t outer_node;
    uint32_t total;
    uint32_t done;
    uint32_t failed;
    uint32_t open;
    uint32_t scan;  /* no position before it waits */
    uint32_t queue; /* index + 1 while it stands in one */
    uint32_t row_count;
    uint8_t document;
    uint8_t outer_document;
    bool is_startable;
    struct mw_group_row rows[]; /* and behind them the positions */
};

/* enum mw_position_state of each of `total`. */
static inline uint8_t *mw_group_positions(const struct mw_group *group)
{
    return (uint8_t *)(uintptr_t)(group->rows + group->row_count);
}

struct mw_coordinator {
    struct mw_item item;
    struct mw_str key; /* the service */
    mw_seq *asked;     /* TRACE; the items that the state's asks made, as many as were asked */
    uint32_t def;
    uint32_t node;
    uint32_t state;
    uint32_t fired;       /* bit an ask of the state */
    uint32_t transitions; /* taken so far */
    uint8_t document;
    uint8_t asked_cap;
};

/* The item that an ask of its state made; 0: none. */
static inline mw_seq mw_coordinator_made(const struct mw_coordinator *coordinator, uint32_t ask)
{
    return ask < coordinator->asked_cap ? coordinator->asked[ask] : 0;
}

void mw_work_decide(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_request *request, struct mw_out *out);
void mw_work_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event);
/* A dead letter by its task; NULL: there is none (any more). */
const struct mw_letter *mw_work_letter(const struct mw_work *work, mw_seq task);
/* True when DISPATCH would look for something: called by core when a step is otherwise quiet. */
bool mw_work_wants_dispatch(const struct mw_work *work);
/* What a DISPATCH found out about what is not there to be started. It is no state: only looking is saved. */
void mw_work_learn(const struct mw_world *world, struct mw_work *work, const struct mw_out *out);
/* True when this result's payload is one of the journey's documents, which have to be on disk before the record that names them. */
bool mw_work_wants_document(const struct mw_world *world, mw_seq task, struct mw_str type);
/* The trace ends: nothing of it waits in a queue any more. */
void mw_work_forget(struct mw_world *world, struct mw_work *work, struct mw_trace *trace);
/* Who put it back has cancelled that trace: it is a dead letter as before. */
void mw_letters_lie_again(struct mw_work *work, mw_seq trace);
/* For TRACE_CANCELLED: this task ends now. */
void mw_task_cancel(const struct mw_world *world, const struct mw_item *item, struct mw_str reason,
                    struct mw_out *out);
const struct mw_agent *mw_work_agent(const struct mw_work *work,
                                     struct mw_str id); /* NULL: not registered */
/* What the host has to know to start an attempt; strings in the arena or the state, valid until the next step. */
struct mw_task_needs {
    const struct mw_task_def *def;
    const struct mw_agent *agent;
    const struct mw_trace *trace;
    mw_seq scope;
    struct mw_str *owns; /* path patterns that the agent may write */
    uint32_t owns_count;
};
bool mw_work_needs(const struct mw_world *world, const struct mw_work *work, struct mw_arena *arena,
                   mw_seq task, struct mw_task_needs *ret_needs, struct mw_str *ret_why);
/* P06: an agent that may have begun this task is not asked again; whoever asked it has to say what is known of it. False: gone, or asked as
 * often as its policy says. */
bool mw_work_asks_once(const struct mw_world *world, mw_seq task);
/* The event type that is an answer to this task: the first one, when its definition lets it answer differently. Empty: gone. */
struct mw_str mw_work_expects(const struct mw_world *world, mw_seq task);
#define MW_SCOPE_TRACE UINT64_MAX
/* Facts that a scope sees (or the whole trace), oldest first: of one type, or with an empty type those that brought files. Returns how many there
 * are; ret_facts has room for facts_max of them (0: they are only counted). */
uint32_t mw_work_facts(const struct mw_trace *trace, mw_seq scope, struct mw_str type,
                       const struct mw_fact **ret_facts, uint32_t facts_max);
/* Who did a task whose fact this trace has, for a commit's author line. */
bool mw_work_author(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_trace *trace, mw_seq task, struct mw_str *ret_task_type,
                    struct mw_str *ret_agent_id);
/* Canonical text of everything owned, for the state hash. */
void mw_work_dump(const struct mw_world *world, const struct mw_work *work, struct mw_buf *buf);
/* What the state hash leaves out and ended traces leave behind. */
void mw_work_dump_left(const struct mw_work *work, struct mw_buf *buf);
/* The queue that this event puts something into, index + 1; 0: none. Queues are asked in the order in which they were first used, which
 * outlives what stood in them: mw_work_name_queue makes the event's queue, and puts nothing into it. */
uint32_t mw_work_queue_of(const struct mw_work *work, const struct mw_event *event);
void mw_work_name_queue(struct mw_world *world, struct mw_work *work, const struct mw_event *event);
void mw_work_dump_item(const struct mw_item *item, struct mw_buf *buf);

#endif
