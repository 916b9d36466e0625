/*
 * internal.h - between the files of this room only: a question while it is answered, and the two folds that all views share.
 *
 * The index knows every trace, build, run and agent, and what is open now: a few hundred bytes each, nothing of what was said in them.
 * The detail knows one trace: its items, attempts, facts and states. Views that show one trace read the records twice: which trace it
 * is ("v2", "the newest draft") is known only at the end.
 */
#ifndef MW_VIEW_INTERNAL_H
#define MW_VIEW_INTERNAL_H

#include "view/view.h"

struct mw_view {
    struct mw_arena *arena;              /* borrowed */
    const struct mw_view_query *query;   /* borrowed */
    const struct mw_view_source *source; /* borrowed */
    struct mw_json json;
    struct mw_err *err; /* borrowed; may be NULL */
};

typedef enum mw_rc mw_view_on_record(void *context, const struct mw_event *event,
                                     struct mw_str line, struct mw_err *err);

/* ---- table.c: from a number (never 0) to a pointer, in the arena ---- */

struct mw_view_table {
    struct mw_view_slot {
        uint64_t key;
        void *value; /* borrowed */
    } * slots;       /* arena */
    uint32_t cap;
    uint32_t count;
};
void *mw_view_table_get(const struct mw_view_table *table, uint64_t key);
/* Out of memory shows in the arena. */
void mw_view_table_put(struct mw_view_table *table, struct mw_arena *arena, uint64_t key,
                       void *value);
void mw_view_table_remove(struct mw_view_table *table, uint64_t key);

/* A text that is written again and again: its block only grows. */
struct mw_view_text {
    char *block; /* arena */
    size_t cap;
    size_t len;
};
void mw_view_text_set(struct mw_view_text *text, struct mw_arena *arena, struct mw_str value);
struct mw_str mw_view_text_get(const struct mw_view_text *text);

/* ---- index.c ---- */

enum mw_view_build_state {
    MW_VIEW_BUILDING,
    MW_VIEW_DRAFT,
    MW_VIEW_CURRENT,
    MW_VIEW_SUPERSEDED,
    MW_VIEW_ARCHIVED,
    MW_VIEW_FAILED,
    MW_VIEW_CANCELLED,
    MW_VIEW_STALE
};

/* All strings of the index are in the arena. */
struct mw_view_artifact {
    struct mw_str family;
    struct mw_str sha256;
    struct mw_str path;
    struct mw_view_artifact *next;
};

/* Accept, reject, promote, roll back: who and when (AR-22). */
struct mw_view_decision {
    const char *what;
    struct mw_str actor;
    struct mw_str at;
    struct mw_str why;
    struct mw_str target; /* of a promotion */
    struct mw_str outcome;
    mw_seq seq;
    struct mw_view_decision *next;
};

struct mw_view_build {
    mw_seq journey;
    struct mw_view_trace *trace;
    struct mw_str build_id, registry_id, app_id, app_name, user_id, journey_name;
    struct mw_str started, ended;
    struct mw_str sha256, path;
    struct mw_str workflow;
    struct mw_str validation; /* Passed, Failed or empty */
    struct mw_str report;     /* what was kept of it; JSON */
    mw_seq report_fact;       /* the record that has all of it */
    struct mw_str reason, error_class, failed_task;
    uint64_t version, parent_version, file_count, size_bytes, step;
    uint32_t phase;
    enum mw_view_build_state state;
    bool promoted;     /* what stands in the app root now */
    bool was_promoted; /* at some time */
    struct mw_view_artifact *artifacts, **artifacts_end;
    struct mw_view_decision *decisions, **decisions_end;
    struct mw_view_build *next; /* oldest first */
};

struct mw_view_trace {
    mw_seq id;
    struct mw_str wire_id, parent_trace_id, journey, source, user_id, actor, priority, blueprint_id;
    struct mw_str intent_sha256, definition;
    struct mw_str started, ended, reason;
    struct mw_str outcome; /* of its end; empty: open */
    bool paused, cancelled;
    uint64_t tasks, waiting; /* tasks made; attempts in people's hands */
    struct mw_view_build *build;
    struct mw_view_trace *next; /* oldest first */
};

struct mw_view_run {
    mw_seq id;
    struct mw_view_trace *trace;
    struct mw_str run_id, preset, started, ended, outcome, reason;
    uint64_t iterations;
    struct mw_view_run *next;
};

struct mw_view_agent {
    struct mw_str id;
    struct mw_view_text definition; /* JSON as registered */
    bool healthy, removed;
    uint64_t running, completed, failed;
    struct mw_str since; /* of the last change */
    struct mw_view_agent *next;
};

/* An attempt that nobody has ended yet. Of those in people's hands the record is kept. */
struct mw_view_open {
    mw_seq item;
    mw_seq trace;
    struct mw_view_agent *agent;
    bool person;
    struct mw_view_text line;   /* the dispatching record */
    struct mw_view_text reason; /* why it came to a person; empty: it was asked of one */
    struct mw_view_open *next, *previous;
};

struct mw_view_index {
    struct mw_view *view;
    mw_seq wanted; /* in: a number taken from an id, 0: none */
    mw_seq wanted_trace;
    enum mw_event_kind wanted_kind; /* of the record with that number */
    bool wanted_seen;
    mw_seq last_seq;
    struct mw_str journal_id, created, product_version;
    struct mw_str session_name, session_user, session_opened;
    struct mw_view_table trace_by_id, run_by_id, journey_by_id, open_by_item;
    struct mw_view_trace *traces, **traces_end;
    struct mw_view_build *builds, **builds_end;
    struct mw_view_run *runs, **runs_end;
    struct mw_view_agent *agents, **agents_end;
    struct mw_view_open *open, *open_free; /* newest first */
    struct mw_view_build *current, *promoted;
    struct mw_str promoted_root, promoted_sha256, promoted_at;
    struct mw_view_decision *promoting;
    mw_seq escalated_item;
    struct mw_view_text escalated_reason;
};

/* Reads everything once. */
MW_MUST enum mw_rc mw_view_index_make(struct mw_view *view, struct mw_str wanted_id,
                                      struct mw_view_index *ret_index);
const char *mw_view_build_state_name(enum mw_view_build_state state);
/* By build id, registry id, trace id, "v2" or "2"; NULL when there is none. */
struct mw_view_build *mw_view_build_named(const struct mw_view_index *index, struct mw_str name);
/* The build that `name` means, or when it is empty the newest one in the first of these states that there is one in. */
MW_MUST enum mw_rc mw_view_build_pick(const struct mw_view_index *index, struct mw_str name,
                                      const enum mw_view_build_state *states, uint32_t state_count,
                                      struct mw_view_build **ret_build);
/* The trace that `name` (any id that lies in it; index->wanted was set from it) means; empty: the newest. */
MW_MUST enum mw_rc mw_view_trace_pick(const struct mw_view_index *index, struct mw_str name,
                                      struct mw_view_trace **ret_trace);
const char *mw_view_trace_state(const struct mw_view_trace *trace);

/* ---- detail.c ---- */

enum mw_view_item_kind {
    MW_VIEW_TASK,
    MW_VIEW_GROUP,
    MW_VIEW_COORDINATOR,
    MW_VIEW_RUN,
    MW_VIEW_UNIT,
    MW_VIEW_JOURNEY,
    MW_VIEW_CHAIN
};

struct mw_view_attempt {
    uint64_t number;
    mw_seq seq;        /* dispatching record */
    mw_seq result_seq; /* 0: none */
    struct mw_str agent_id, component_tag, at, ended, outcome, reason, error_class, evidence;
    struct mw_str routing, inputs_sha256, files_sha256, body_sha256, result_type, rationale, usage;
    uint64_t duration_ms;
    int64_t due_us;
    bool person, no_retry;
    struct mw_view_attempt *next;
};

/* A state that a coordinator entered, or a turn that a run took. */
struct mw_view_stage {
    mw_seq seq;
    struct mw_str from, to, by, rule, at, reason;
    bool skipped;
    uint64_t iteration;
    struct mw_view_stage *next;
};

struct mw_view_item {
    mw_seq id, owner, scope;
    enum mw_view_item_kind kind;
    struct mw_str session_id; /* of the scope that it stands in; of what opens a scope its own */
    struct mw_str name;       /* skill, group id, coordinator, preset, journey */
    struct mw_str key;        /* coordinators: the service; tasks: the key of their fact */
    struct mw_str subject;    /* tasks: second half of the component tag */
    struct mw_str version, command, strategy, state, definition;
    struct mw_str outcome, reason, error_class, started, ended;
    struct mw_str failed_task; /* what the failure says it came from */
    struct mw_str fragment;    /* JSON; coordinators, when kept */
    uint64_t member, document, node;
    uint64_t expected, completed, failed, late, iterations, duration_ms;
    bool opens_scope, escalated, planned;
    struct mw_view_attempt *attempts, **attempts_end, *last;
    struct mw_view_stage *stages, **stages_end;
    struct mw_view_item *members, *members_last; /* of a group, oldest first */
    struct mw_view_item *next_member;
    struct mw_view_item *next; /* oldest first */
};

struct mw_view_fact {
    mw_seq seq, item, scope;
    struct mw_str type, key, at, agent_id, body, body_sha256, files_sha256;
    uint64_t document;
    bool trace_wide;
    struct mw_view_fact *next;
};

struct mw_view_part {
    struct mw_str members; /* a JSON array */
    struct mw_view_part *next;
};

struct mw_view_skip {
    mw_seq item;
    struct mw_str rule, field, value, target, at;
    struct mw_view_skip *next;
};

struct mw_view_detail {
    struct mw_view *view;
    const struct mw_view_trace *trace;
    /* in: what is kept beside the bones */
    bool keep_parts;               /* of the plan */
    bool keep_fragments;           /* of coordinators */
    const char *const *body_types; /* facts whose payload is kept; NULL-terminated, NULL: none */
    struct mw_view_table item_by_id;
    struct mw_view_item *items, **items_end;
    struct mw_view_fact *facts, **facts_end;
    struct mw_view_part *parts, **parts_end;
    struct mw_view_skip *skips, **skips_end;
    struct mw_str prompt, source, submitted_at, actor;
    uint64_t attempts, retries;
};

/* Reads everything once and keeps what belongs to detail->trace. */
MW_MUST enum mw_rc mw_view_detail_make(struct mw_view *view, struct mw_view_detail *detail);
struct mw_view_item *mw_view_item_of(const struct mw_view_detail *detail, mw_seq id);
/* The newest fact of a type, or NULL; scope 0: any. */
const struct mw_view_fact *mw_view_fact_of(const struct mw_view_detail *detail, const char *type,
                                           mw_seq scope);
/* Of that type, and said by the task that looked: a published message of the name is talk (P20). */
bool mw_view_is_report(const struct mw_view_fact *fact, const char *type);
const struct mw_view_fact *mw_view_fact_at(const struct mw_view_detail *detail, mw_seq seq);
/* The whole payload of a fact as JSON text: from its blob when it was shortened. MW_E_MISSING: the blob is gone. */
MW_MUST enum mw_rc mw_view_fact_body(struct mw_view *view, const struct mw_view_fact *fact,
                                     struct mw_str *ret_body);
/* The service that an item works for: the key of the coordinator around it; empty: none. */
struct mw_str mw_view_service_of(const struct mw_view_detail *detail,
                                 const struct mw_view_item *item);
const char *mw_view_item_state(const struct mw_view_item *item);
/* "t-ab12cd-57" and the like. */
struct mw_str mw_view_wire_id(const struct mw_view_index *index, struct mw_arena *arena,
                              const char *prefix, mw_seq seq);
struct mw_str mw_view_item_id(const struct mw_view_index *index, struct mw_arena *arena,
                              const struct mw_view_item *item);

/* ---- files.c: manifests ---- */

struct mw_view_file {
    struct mw_str path, mode, sha256;
    uint64_t size_bytes;
    const struct mw_view_item *task; /* who wrote it; NULL: not known */
};
struct mw_view_files {
    struct mw_view_file *files; /* arena; sorted by path */
    uint32_t count;
    uint64_t total_bytes;
    bool from_tasks; /* the bundle's own manifest is not there: what the tasks handed in */
};
/* A manifest by its hash. */
MW_MUST enum mw_rc mw_view_files_read(struct mw_view *view, struct mw_str sha256,
                                      struct mw_view_files *ret_files);
/* The bundle's files, each with the task that wrote it. detail is of the build's trace. */
MW_MUST enum mw_rc mw_view_files_of_build(struct mw_view *view, const struct mw_view_build *build,
                                          const struct mw_view_detail *detail,
                                          struct mw_view_files *ret_files);
const struct mw_view_file *mw_view_file_find(const struct mw_view_files *files, struct mw_str path);

/* ---- documents.c: what a trace was made from ---- */

/* The whole text of the intent (0), the blueprint (1), the design (2). MW_E_MISSING: it is not there (yet). */
MW_MUST enum mw_rc mw_view_document_text(struct mw_view *view, const struct mw_view_detail *detail,
                                         uint64_t document, struct mw_str *ret_text);
/* The JSON pointer to a node. */
struct mw_str mw_view_pointer_to(struct mw_view *view, const struct mw_tape *tape, uint32_t node);
/* What was checked: the payload of the bundle's validation, whole when it can be had; empty: there was none. */
MW_MUST enum mw_rc mw_view_validation(struct mw_view *view, const struct mw_view_build *build,
                                      const struct mw_view_detail *detail, struct mw_str *ret_body);

/* ---- helpers (view.c) ---- */

/* on_record ends the reading early, without an error, by MW_VIEW_ENOUGH. */
#define MW_VIEW_ENOUGH MW_E_WAITING
MW_MUST enum mw_rc mw_view_each(struct mw_view *view, mw_view_on_record *on_record, void *context);
/* One record's line, in the arena. */
MW_MUST enum mw_rc mw_view_record(struct mw_view *view, mw_seq seq, struct mw_str *ret_line);
/* The number at the end of "b-ab12cd-57"; 0: it is no such id. */
mw_seq mw_view_id_seq(struct mw_str id);
/* Empty gives null. */
void mw_view_kstr(struct mw_json *json, const char *key, struct mw_str value);
void mw_view_kraw(struct mw_json *json, const char *key, struct mw_str json_text);
/* A value that stands in so many containers of the answer; as a text when it is so deep that nobody could read the answer. */
#define MW_VIEW_DEPTH_MAX 16u /* no answer has more around what an agent said */
void mw_view_raw_in(struct mw_json *json, uint32_t levels, struct mw_str json_text);
struct mw_str mw_view_copy(struct mw_view *view, struct mw_str s); /* empty stays empty */
MW_MUST enum mw_rc mw_view_parse(struct mw_view *view, struct mw_str text, const char *what,
                                 struct mw_tape *ret_tape);
MW_MUST enum mw_rc mw_view_blob(struct mw_view *view, struct mw_str sha256,
                                struct mw_str *ret_text);

/* ---- pieces that several views show ---- */

void mw_view_put_build(struct mw_view *view, const struct mw_view_build *build);
void mw_view_put_decisions(struct mw_view *view, const struct mw_view_build *build);
void mw_view_put_items_open(struct mw_view *view, const struct mw_view_index *index);
void mw_view_put_runs(struct mw_view *view, const struct mw_view_index *index);
void mw_view_put_task(struct mw_view *view, const struct mw_view_index *index,
                      const struct mw_view_detail *detail, const struct mw_view_item *task);
void mw_view_put_group(struct mw_view *view, const struct mw_view_index *index,
                       const struct mw_view_detail *detail, const struct mw_view_item *group);
MW_MUST enum mw_rc mw_view_put_coordinator(struct mw_view *view, const struct mw_view_index *index,
                                           const struct mw_view_detail *detail,
                                           const struct mw_view_item *coordinator);
MW_MUST enum mw_rc mw_view_put_agent(struct mw_view *view, const struct mw_view_agent *agent);
MW_MUST enum mw_rc mw_view_put_trace(struct mw_view *view, const struct mw_view_index *index,
                                     struct mw_view_trace *trace);

/* ---- the views ---- */

#define MW_VIEW(name) MW_MUST enum mw_rc mw_view_##name(struct mw_view *view)
MW_VIEW(status);
MW_VIEW(builds);
MW_VIEW(build);
MW_VIEW(artifacts);
MW_VIEW(plan);
MW_VIEW(traces);
MW_VIEW(trace);
MW_VIEW(groups);
MW_VIEW(group);
MW_VIEW(coordinators);
MW_VIEW(coordinator);
MW_VIEW(items);
MW_VIEW(agents);
MW_VIEW(review);
MW_VIEW(why);
MW_VIEW(show);
MW_VIEW(failure);
MW_VIEW(document);
MW_VIEW(route);
MW_VIEW(events);
MW_VIEW(run_of);
MW_VIEW(chains);
MW_VIEW(chain);
MW_VIEW(memory);
MW_VIEW(letters);
MW_VIEW(letter);
#undef MW_VIEW

#endif
