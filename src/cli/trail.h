/*
 * trail.h - what the records of one trace come to, for watching it: phases, services, tasks, questions, and how it ended.
 *
 * Owns:     a fold over journal lines. Does not: print, ask the host, or decide: every word of it stands in a record.
 * Memory:   strings and rows in the arena given; one trail a command.
 */
#ifndef MW_CLI_TRAIL_H
#define MW_CLI_TRAIL_H

#include "base/json.h"

#define MW_TRAIL_AGENT_KIND_HUMAN 2 /* `agentKind` of a dispatch to a person */

enum mw_trail_state {
    MW_TRAIL_OPEN,
    MW_TRAIL_DRAFT, /* a draft is ready for review */
    MW_TRAIL_DONE,  /* a run or coordinator of its own ended well */
    MW_TRAIL_FAILED,
    MW_TRAIL_LIMIT,
    MW_TRAIL_CANCELLED
};

enum mw_trail_task_state {
    MW_TRAIL_TASK_READY,
    MW_TRAIL_TASK_RUNNING,
    MW_TRAIL_TASK_PERSON, /* waits for a person */
    MW_TRAIL_TASK_RETRYING,
    MW_TRAIL_TASK_DONE,
    MW_TRAIL_TASK_FAILED,
    MW_TRAIL_TASK_CANCELLED
};

struct mw_trail_task {
    struct mw_str id, type, agent, reason, error_class;
    struct mw_str subject; /* what the agent's tag says it is about; may be empty */
    struct mw_str question, field, options; /* PERSON: options as JSON text, or empty */
    uint64_t scope;                         /* the service or run it belongs to */
    enum mw_trail_task_state state;
    uint64_t attempt;
    int64_t started_us, ended_us;
    bool escalated;
};

struct mw_trail_scope {
    uint64_t seq;
    struct mw_str name;  /* a workflow or a service */
    struct mw_str state; /* of a coordinator; empty for a phase */
    bool is_service, ended, failed;
};

struct mw_trail {
    struct mw_arena *arena; /* borrowed */
    struct mw_trail_task *tasks;
    uint32_t task_count, task_cap;
    struct mw_trail_scope *scopes; /* in order of their beginning */
    uint32_t scope_count, scope_cap;
    enum mw_trail_state state;
    struct mw_str trace_id, app_id, app_name, build_id, staged, reason, error_class;
    struct mw_str run_id; /* of the chain, else of the first run; with its iterations */
    bool is_chain;
    uint64_t version, iterations;
    uint64_t last_seq, record_count;
    uint64_t tests_passed, tests_failed, tasks_done;
    uint64_t tokens_in, tokens_out;
    double cost_usd;
    bool cost_known;
    int64_t first_us, last_us; /* of the records seen */
    int32_t last_failed;       /* index of the task whose failure counted last; -1: none */
    struct mw_str
        test_services[64]; /* whose results are counted: a second result replaces the first */
    uint64_t test_counts[64][2];
    uint32_t test_service_count;
};

void mw_trail_init(struct mw_trail *trail, struct mw_arena *arena);
/* One record (a journal line) into the trail; tape is the parsed line and may go afterwards. */
void mw_trail_take(struct mw_trail *trail, const struct mw_tape *record);
/* True when nothing is running and a person has to say something first; *ret_task is the item. */
bool mw_trail_waits(const struct mw_trail *trail, const struct mw_trail_task **ret_task);
const struct mw_trail_scope *mw_trail_scope_of(const struct mw_trail *trail, uint64_t seq);
const struct mw_trail_task *mw_trail_task_of(const struct mw_trail *trail, struct mw_str id);
/* "14 tasks · 22 tests · 0 tokens · $0.00 · 3.1 s" */
void mw_trail_sum(const struct mw_trail *trail, struct mw_buf *out);
/* The same as the members of a JSON object. */
void mw_trail_usage(const struct mw_trail *trail, struct mw_json *json);

#endif
