/*
 * catalogue.h - all definitions that a trace runs by: workflows, journeys, plans, coordinators, policies; checked, immutable, one block.
 *
 * Owns:     what a definition file means and when it is wrong (docs/definitions.md).
 * Does not: read files (the host hands over tapes), know agents (they are registered), run anything.
 * A trace pins the catalogue by the SHA-256 over every file; a definition edited later is another catalogue. Everything here lies in the
 * arena given to the loader and lives as long as the catalogue.
 */
#ifndef MW_CATALOGUE_H
#define MW_CATALOGUE_H

#include "rules/expr.h"

#define MW_DOCUMENTS_MAX                                                                           \
    8 /* the intent and what a journey declares; document 0 is always the intent */

/* A name and an expression over the roots; the value becomes a member of a payload. */
struct mw_binding {
    struct mw_str name;
    const struct mw_expr *value;
};

struct mw_bindings {
    const struct mw_binding *items; /* arena */
    uint32_t count;
};

/* Which files of earlier tasks an agent finds in its folder. */
enum mw_inputs { MW_INPUTS_NONE, MW_INPUTS_SCOPE, MW_INPUTS_TRACE };

/* One unit of work as a definition asks for it: a skill, never an agent. */
struct mw_task_def {
    uint32_t index;           /* in the catalogue; what journal records name */
    struct mw_str skill;      /* taskType */
    struct mw_str expects[4]; /* event types that are an answer */
    uint32_t expects_count;
    const struct mw_expr *subject; /* for the component tag; NULL: the skill */
    const struct mw_expr *domain;  /* NULL: "*" */
    const struct mw_expr *
        key; /* idempotency key within the trace; NULL: none. A fact (expected type, key) ends the task at once. */
    struct mw_bindings payload;
    const struct mw_str *context; /* types of facts whose payloads the agent gets */
    uint32_t context_count;
    enum mw_inputs inputs;
    const struct mw_expr *const *owns; /* path patterns that the agent may write */
    uint32_t owns_count;
    bool writes_files; /* an answer without any difference in the folder is a failure */
    bool
        reads_repository; /* the build's git repository is writable for it (CommitCode, CreatePullRequest) */
    bool scope_wide; /* its facts are seen by the whole trace, not only by the scope that asked */
    bool
        no_retry; /* P06: an agent is asked at most once; what came of it unknown, a person decides */
    uint32_t policy; /* index into policies */
    uint32_t line;
};

#define MW_REROUTES_MAX 10

struct mw_policy {
    struct mw_str name;
    uint32_t attempts_max; /* with one agent */
    uint32_t reroutes_max; /* further agents after that */
    uint32_t backoff_base_ms;
    uint32_t backoff_factor;
    uint32_t backoff_cap_ms;
    uint32_t timeout_ms; /* of one attempt */
    uint32_t routing_attempts_max;
    bool escalates; /* in the end a person is asked; else the task fails */
};

enum mw_strategy { MW_JOIN_ALL, MW_JOIN_ANY, MW_JOIN_N_OF_M };
enum mw_member_kind { MW_MEMBER_TASK, MW_MEMBER_GROUP, MW_MEMBER_COORDINATOR };

struct mw_group_def;

/* A member of a group, once or once for each item of a list. */
struct mw_member_def {
    struct mw_str id;
    enum mw_member_kind kind;
    struct mw_str for_each_root;    /* name of a document or "item"; empty: once */
    struct mw_str for_each_pointer; /* JSON pointer to the list inside it */
    const struct mw_expr *when; /* NULL: always; false: skipped, journaled with rule and field */
    struct mw_str rule;         /* id of the rule for the journal; set when `when` is */
    const struct mw_expr *rule_field; /* the value the rule looked at; may be NULL */
    uint32_t
        after; /* index of the member it waits for (same position, or all of them); UINT32_MAX: none */
    const struct mw_task_def *task;   /* TASK */
    const struct mw_group_def *group; /* GROUP */
    uint32_t coordinator;             /* COORDINATOR: index */
};

struct mw_group_def {
    uint32_t index;   /* in the catalogue */
    struct mw_str id; /* taskGroupId */
    enum mw_strategy strategy;
    uint32_t needed; /* N of N_OF_M */
    bool
        keeps_late; /* ANY and N_OF_M: the others go on and their results are kept as late; else they are cancelled */
    bool sequential;  /* each member after the one before */
    bool opens_scope; /* its tasks have a sessionId of their own */
    const struct mw_member_def *members;
    uint32_t member_count;
    uint32_t line;
};

/* What a state asks for when it is entered or once facts are there. */
struct mw_ask_def {
    const struct mw_str *after; /* fact types that must have been seen; none: on entry */
    uint32_t after_count;
    const struct mw_expr *when; /* NULL: always */
    struct mw_str rule;
    const struct mw_expr *rule_field;
    const struct mw_task_def *task; /* one of the two */
    const struct mw_group_def *group;
};

struct mw_transition_def {
    const struct mw_str *events; /* all of these facts seen */
    uint32_t event_count;
    struct mw_str group; /* and this group of the state completed; empty: none */
    const struct mw_expr *when;
    uint32_t go; /* state index */
    bool fails;  /* instead of going on */
    struct mw_str fail_reason;
    struct mw_str emit; /* fact derived when taken; empty: none */
    bool skip;          /* V-43: passes by a rule, not by an event */
    struct mw_str rule;
    const struct mw_expr *rule_field;
};

#define MW_STATE_ASKS_MAX 16

struct mw_state_def {
    struct mw_str name;
    bool final;
    uint32_t timeout_ms;
    const struct mw_ask_def *asks;
    uint32_t ask_count; /* at most MW_STATE_ASKS_MAX */
    const struct mw_transition_def *transitions;
    uint32_t transition_count;
    uint32_t line;
};

struct mw_coordinator_def {
    uint32_t index;
    struct mw_str name;
    struct mw_str version;
    struct mw_str command;        /* StartMicroserviceAssembly */
    struct mw_str completes_with; /* MicroserviceAssemblyCompleted */
    const struct mw_expr *key;    /* the service it is for */
    struct mw_bindings fragment;  /* payload of the command */
    struct mw_bindings result;    /* payload of the completion */
    struct mw_bindings tracker;   /* expected counts: expectedHandlers … */
    const struct mw_state_def *states;
    uint32_t state_count;
    uint32_t initial;
    uint32_t line;
};

struct mw_role_def {
    struct mw_str name;
    const struct mw_task_def *task; /* one of the two */
    const struct mw_group_def *plan;
};

#define MW_ROLE_NONE UINT32_MAX

/* Where control goes: to a role, or the run completes (with an event name) or fails. */
struct mw_handoff_def {
    uint32_t from;    /* role index, MW_ROLE_NONE: any; not looked at in `start` */
    struct mw_str on; /* event type; empty in `start` */
    const struct mw_expr *when;
    uint32_t to; /* role index, MW_ROLE_NONE: ends */
    bool fails;
    struct mw_str
        reason; /* fails: why. In `start`, when it ends without: the event the run completes with */
};

struct mw_workflow_def {
    uint32_t index;
    struct mw_str name;
    struct mw_str purpose;
    const struct mw_role_def *roles;
    uint32_t role_count;
    const struct mw_handoff_def *start; /* the first whose `when` holds */
    uint32_t start_count;
    const struct mw_handoff_def *handoffs;
    uint32_t handoff_count;
    uint32_t iterations_max;
    uint32_t timeout_ms;
    uint32_t line;
};

struct mw_document_def {
    struct mw_str name; /* root in expressions */
    struct mw_str type; /* the event whose payload it is */
};

struct mw_step_def {
    uint32_t workflow;
    const struct mw_str *produces; /* artifact families */
    uint32_t produces_count;
};

struct mw_journey_def {
    uint32_t index;
    struct mw_str name;
    const struct mw_step_def *steps;
    uint32_t step_count;
    const struct mw_document_def *documents; /* beside the intent */
    uint32_t document_count;
    struct mw_str
        build_name; /* pointer expression result: blueprint.slug and such; app id comes from the intent or this */
    const struct mw_expr *app_id; /* over the documents, known after the first step */
    const struct mw_expr *app_name;
    const struct mw_task_def
        *validation; /* the bundle's own check; event field `result` must be "Passed" */
    uint32_t line;
};

struct mw_rules;
struct mw_agent_def;

struct mw_catalogue {
    struct mw_str sha256; /* hex */
    const struct mw_workflow_def *workflows;
    uint32_t workflow_count;
    const struct mw_journey_def *journeys;
    uint32_t journey_count;
    /* Of what belongs to no journey its documents alone: those of all journeys, in their order, each name once, the first seven; where no journey
     * is defined, blueprint and design. */
    const struct mw_journey_def *lone;
    const struct mw_coordinator_def *coordinators;
    uint32_t coordinator_count;
    const struct mw_task_def *const *tasks; /* every task definition, by index */
    uint32_t task_count;
    const struct mw_group_def *const *groups;
    uint32_t group_count;
    const struct mw_policy *policies;
    uint32_t policy_count;
    uint32_t running_max; /* tasks in agents' hands at once, workspace-wide */
    const struct mw_rules
        *rules; /* defs/rules.h; for dry runs: plans have them expanded into members */
    uint32_t rules_count;
    const struct mw_agent_def *agents; /* the agent files among the definitions */
    uint32_t agent_count;
};

/* One file as the host read it. Rules in the seed's spelling are no YAML mapping: mw_rules_is_text (defs/rules.h) knows them. */
struct mw_definition_file {
    struct mw_str path; /* relative to the definitions' folder; for messages */
    struct mw_tape tape;
    struct mw_str text; /* borrowed: such rules' text, then the tape is not looked at; else empty */
};

/* Checks everything; on the first mistake err says "PATH:LINE:COLUMN: what; what would be right" (MW_E_CONFIG). */
MW_MUST enum mw_rc mw_catalogue_load(struct mw_arena *arena, const struct mw_definition_file *files,
                                     size_t file_count, struct mw_str sha256,
                                     const struct mw_catalogue **ret_catalogue, struct mw_err *err);

const struct mw_workflow_def *mw_catalogue_workflow(const struct mw_catalogue *catalogue,
                                                    struct mw_str name);
const struct mw_journey_def *mw_catalogue_journey(const struct mw_catalogue *catalogue,
                                                  struct mw_str name);
/* The place of the document that an event of that type fills, the intent being 0, which none does: 0. Two names of one event have one place. */
uint32_t mw_document_index(const struct mw_journey_def *journey, struct mw_str type);
const struct mw_coordinator_def *mw_catalogue_coordinator(const struct mw_catalogue *catalogue,
                                                          struct mw_str name);
/* P20: whether an event of that type is said by what it asks for itself: a task of any state, role or group, a coordinator of a group that
 * completes, a transition that emits it. */
bool mw_ask_says(const struct mw_catalogue *catalogue, const struct mw_ask_def *ask,
                 struct mw_str type);
bool mw_coordinator_says(const struct mw_catalogue *catalogue,
                         const struct mw_coordinator_def *coordinator, struct mw_str type);
bool mw_workflow_says(const struct mw_catalogue *catalogue, const struct mw_workflow_def *workflow,
                      struct mw_str type);

/* An agent's definition (docs/agents.md), checked the same way. */
/* Written into records by number: new ones go to the end. */
enum mw_agent_kind {
    MW_AGENT_COMMAND,
    MW_AGENT_BUILTIN,
    MW_AGENT_HUMAN,
    MW_AGENT_ECHO,
    MW_AGENT_WORKER
};

struct mw_agent_def {
    struct mw_str id;
    struct mw_str type;
    const struct mw_str *skills;
    uint32_t skill_count;
    const struct mw_str *domains; /* "*": every one */
    uint32_t domain_count;
    uint32_t tier;
    uint32_t capacity;
    enum mw_agent_kind kind;
    bool answers_by_diff;
    bool runs_servers;         /* sandbox profile `test`: may listen on loopback */
    struct mw_str builtin;     /* BUILTIN: name after `millwright __agent` */
    const struct mw_str *argv; /* COMMAND: program and arguments, never a shell string */
    uint32_t argv_count;
    const struct mw_str *pass; /* names of environment variables that go through */
    uint32_t pass_count;
    const struct mw_str *secrets; /* names of secrets that it gets as environment variables */
    uint32_t secret_count;
    uint32_t deadline_ms; /* of one attempt; 0: the policy's */
    uint32_t lease_ms; /* WORKER: how long it may be silent before its tasks are given to others */
    uint32_t idle_ms;  /* without output; 0: not looked at */
    uint64_t output_bytes_max; /* 0: the host's */
    uint32_t files_max;        /* 0: the host's */
};

MW_MUST enum mw_rc mw_agent_def_load(struct mw_arena *arena, struct mw_str path,
                                     const struct mw_tape *tape, uint32_t node,
                                     struct mw_agent_def *ret_agent, struct mw_err *err);

bool mw_agent_has_skill(const struct mw_agent_def *agent, struct mw_str skill);

#endif
