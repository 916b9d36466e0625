/*
 * world.h - what the pure rooms share: items, traces, facts, asks, and the way to put an event out.
 *
 * Owns:     the shape of what all rooms see. Rooms reach each other through events alone; here they only look.
 * Does not: decide anything. Only core (and a room's apply, for its own items) writes.
 *
 * Lifetimes (base/mem.h): KEEP for tables and trace heads; TRACE (the trace's pool) for items, facts and their strings; STEP (out->arena)
 * for everything a decide makes.
 */
#ifndef MW_WORLD_H
#define MW_WORLD_H

#include "base/mem.h"
#include "defs/catalogue.h"
#include "msg/msg.h"

enum mw_item_kind {
    MW_ITEM_TASK,
    MW_ITEM_GROUP,
    MW_ITEM_COORDINATOR,
    MW_ITEM_RUN,
    MW_ITEM_UNIT,
    MW_ITEM_JOURNEY,
    MW_ITEM_CHAIN
};
enum mw_outcome { MW_OUTCOME_OPEN, MW_OUTCOME_COMPLETED, MW_OUTCOME_FAILED, MW_OUTCOME_CANCELLED };

/* The head of everything that ends exactly once. Each room's struct begins with it. */
struct mw_item {
    mw_seq id;
    mw_seq owner; /* item that is told; 0: the trace itself */
    mw_seq trace;
    mw_seq
        scope; /* item whose sessionId it carries: a run, a coordinator, a group that opens a scope */
    mw_seq ask;            /* open ask, 0: none */
    struct mw_item *older; /* in the trace; TRACE memory of the same trace */
    uint32_t member;       /* position in the owner group + 1; 0: none */
    uint8_t owner_ask;     /* index in the owner coordinator's state + 1; 0: none */
    uint8_t kind;          /* enum mw_item_kind */
    uint8_t outcome;       /* enum mw_outcome */
    bool tries_again;      /* when what it asked for fails, it asks once more */
};

/* What happened and may be waited for. */
struct mw_fact {
    mw_seq seq;
    mw_seq task;  /* 0: not from a task */
    mw_seq scope; /* 0: seen by the whole trace */
    struct mw_str type;
    struct mw_str key;
    struct mw_str body;        /* JSON text: whole when small, else its scalar members */
    struct mw_str body_sha256; /* of the whole; empty when `body` is whole */
    struct mw_str files_sha256;
    struct mw_fact *older;
};

#define MW_FACT_BODY_MAX 4096

/* Who made a fact of another trace, whose task is not in this one. All strings TRACE. */
struct mw_author {
    mw_seq task;
    struct mw_str task_type;
    struct mw_str agent_id;
};

/* What only builds, runs and what is about to end have. */
struct mw_trace_more {
    struct mw_str parent_trace_id;
    struct mw_str blueprint_id;
    struct mw_str app_id;
    struct mw_str build_id; /* empty: no build */
    struct mw_str journey;  /* empty: a lone run, coordinator or unit */
    struct mw_str user_id;
    struct mw_str prompt; /* at most MW_PROMPT_KEPT bytes of it: the objective of runs */
    struct mw_str document_sha256[MW_DOCUMENTS_MAX]; /* [0], the intent's, stands in its trace */
    struct mw_str closing_reason;
    struct mw_str letter_payload;     /* of the dead letter that was put back in it; empty: none */
    struct mw_author *letter_authors; /* TRACE; of the facts that came with it */
    uint32_t letter_author_count;
};

/* Ten thousand of them may wait for a person: what few have lies in `more`. All strings TRACE, but for those that are shared (base/mem.h). */
struct mw_trace {
    mw_seq id;
    struct mw_str wire_id;          /* shared: with what remembers the request */
    struct mw_str catalogue_sha256; /* shared: with all traces of the same definitions */
    struct mw_str intent_source;
    struct mw_str
        intent_body; /* its text, when it stood in the record; else the host has it by its hash */
    struct mw_trace_more *more; /* TRACE; NULL: nothing of it; read with mw_trace_more */
    struct mw_item *newest_item;
    struct mw_fact *newest_fact;
    struct mw_pool pool;
    uint32_t open_items;
    uint8_t intent_sha256[32];
    bool has_intent_sha256;
    uint8_t priority; /* 0 high, 1 normal, 2 low */
    bool paused;
    bool cancelled;  /* or closing: nothing new begins, what is open ends */
    uint8_t closing; /* enum mw_outcome; OPEN: it was cancelled */
};

#define MW_PROMPT_KEPT 65536

/* What the host still has to do or wait for. Key: the asking record's number. */
struct mw_ask {
    mw_seq seq;
    mw_seq item;        /* 0: none (CONTINUE) */
    int64_t due_us;     /* 0: no deadline */
    uint8_t opens;      /* enum mw_opens */
    uint8_t agent_kind; /* AGENT: enum mw_agent_kind */
};

struct mw_world {
    struct mw_mem mem;
    struct mw_table items;    /* id -> struct mw_item */
    struct mw_table traces;   /* id -> struct mw_trace (open ones) */
    struct mw_table asks;     /* seq -> struct mw_ask */
    struct mw_str journal_id; /* KEEP */
    mw_seq last_seq;
    /* Content-addressed look-ups that the host pins before a step (architecture 2.13). NULL: not there. */
    const struct mw_catalogue *(*catalogue)(void *host, struct mw_str sha256);
    const struct mw_tape *(*document)(void *host, struct mw_str sha256);
    void *host;
    struct mw_arena *scratch; /* STEP memory for apply's reading of lists */
};

#define MW_OUT_EVENTS_MAX 384 /* a group of the most members that all are left out says one each */
#define MW_OUT_EVENTS_ENOUGH                                                                       \
    96 /* where any number could be said: the rest comes in another decide */
#define MW_OUT_FOLLOWS_MAX 256
#define MW_OUT_BLOCKED_MAX 1024

/* What a decide says: events, or for a request from outside one refusal. */
struct mw_out {
    struct mw_arena *arena; /* STEP */
    struct mw_event *events[MW_OUT_EVENTS_MAX];
    uint32_t event_count;
    /* Questions of a room to its own items that no event stands for (a fact delivered to many coordinators). */
    struct {
        enum mw_request_kind kind;
        mw_seq item;
    } follows[MW_OUT_FOLLOWS_MAX];
    uint32_t follow_count;
    /* Groups that a DISPATCH looked at and that start nothing before one of their members has ended. */
    mw_seq blocked[MW_OUT_BLOCKED_MAX];
    uint32_t blocked_count;
    mw_seq answer;         /* trace that the caller is told of when there is no event to tell by */
    enum mw_rc refused;    /* MW_OK: not */
    struct mw_str refusal; /* words */
    struct mw_str pointer; /* JSON pointer of the wrong part; may be empty */
};

/* A zeroed event of this kind, to be filled. */
struct mw_event *mw_out_event(struct mw_out *out, enum mw_event_kind kind);
void mw_out_refuse(struct mw_out *out, enum mw_rc rc, const char *pointer, struct mw_str words);

/* The number that the next event of this decide will get: the id of an item it creates. */
mw_seq mw_out_next_seq(const struct mw_world *world, const struct mw_out *out);
void mw_out_follow(struct mw_out *out, enum mw_request_kind kind, mw_seq item);

struct mw_item *mw_world_item(const struct mw_world *world, mw_seq id); /* NULL when gone */
struct mw_trace *mw_world_trace(const struct mw_world *world, mw_seq id);
const struct mw_trace_more *mw_trace_more(const struct mw_trace *trace); /* never NULL */
/* For apply, which fills it: made when it is not there. */
struct mw_trace_more *mw_trace_make_more(struct mw_world *world, struct mw_trace *trace);
#define MW_TRACE_SHA256_HEX 64
/* Of a document, index 0 the intent's: the text, in hex when that is where it has to be written. Empty: not there (yet). */
struct mw_str mw_trace_document_sha256(const struct mw_trace *trace, uint32_t index,
                                       char hex[MW_TRACE_SHA256_HEX]);
void mw_trace_set_document_sha256(struct mw_world *world, struct mw_trace *trace, uint32_t index,
                                  struct mw_str sha256);
struct mw_trace *mw_world_trace_of(const struct mw_world *world, const struct mw_item *item);
const struct mw_catalogue *mw_world_catalogue(const struct mw_world *world,
                                              const struct mw_trace *trace);
/* One of a trace's documents, 0 being the intent. NULL: not there (yet). Valid until the step ends. */
const struct mw_tape *mw_world_document(const struct mw_world *world, const struct mw_trace *trace,
                                        uint32_t index);
/* The documents of a trace: its journey's, or, of a run, chain or coordinator on its own, those of all journeys (mw_catalogue.lone). NULL: none. */
const struct mw_journey_def *mw_world_documents(const struct mw_world *world,
                                                const struct mw_trace *trace);
/* "run-ab12cd-57" and the like. */
struct mw_str mw_wire_id(const struct mw_world *world, struct mw_arena *arena, const char *prefix,
                         mw_seq seq);
/* The sessionId of a scope: run-…, svc-…, grp-… or the trace's own. */
struct mw_str mw_scope_id(const struct mw_world *world, struct mw_arena *arena, mw_seq scope);
/* Envelope of everything said about an item. */
void mw_event_about(const struct mw_world *world, struct mw_out *out, struct mw_event *event,
                    const struct mw_item *item);

/* For a room's apply: links a new item of its own into the tables. size_bytes: of the room's struct. */
struct mw_item *mw_world_add_item(struct mw_world *world, const struct mw_event *event,
                                  enum mw_item_kind kind, size_t size_bytes);
void mw_world_end_item(struct mw_world *world, struct mw_item *item, enum mw_outcome outcome);
const char *mw_outcome_name(enum mw_outcome outcome);
enum mw_outcome mw_outcome_by_name(struct mw_str name);

/* The newest fact of a type that `scope` may see: its own and trace-wide ones; key empty: any. */
const struct mw_fact *mw_world_fact(const struct mw_trace *trace, struct mw_str type,
                                    struct mw_str key, mw_seq scope);

/* Roots for expressions, made once per decide. */
#define MW_ROOTS_MAX (MW_DOCUMENTS_MAX + 8)
struct mw_place {
    mw_seq scope;      /* facts that are seen */
    uint32_t document; /* item: document and node; node MW_NODE_NONE: none */
    uint32_t node;
    uint32_t outer_document;
    uint32_t outer_node;
    mw_seq event_fact;                            /* root `event`; 0: none */
    const struct mw_coordinator_def *coordinator; /* NULL: not inside one */
    const struct mw_workflow_def *workflow;       /* NULL: not a handoff of one */
    const struct mw_event *derived; /* a fact of this very decision, not applied yet; NULL: none */
};
struct mw_roots {
    struct mw_expr_root items[MW_ROOTS_MAX];
    uint32_t count;
};
/* expr may be NULL; otherwise only what it uses is built. False: a document is not pinned (missing: its name). */
bool mw_roots_of(const struct mw_world *world, struct mw_arena *arena, const struct mw_trace *trace,
                 const struct mw_place *place, const struct mw_expr *expr,
                 struct mw_roots *ret_roots, struct mw_str *ret_missing);
/* Evaluates to text (strings as they are, other values as JSON) of at most MW_FACT_BODY_MAX bytes. False with words in ret_why. */
bool mw_eval_text(const struct mw_world *world, struct mw_arena *arena,
                  const struct mw_trace *trace, const struct mw_place *place,
                  const struct mw_expr *expr, struct mw_str *ret_text, struct mw_str *ret_why);
/* The beginning of that text, however long it is; its ptr is NULL when it cannot be had. */
struct mw_str mw_eval_shown(const struct mw_world *world, struct mw_arena *arena,
                            const struct mw_trace *trace, const struct mw_place *place,
                            const struct mw_expr *expr, size_t bytes_max);
bool mw_eval_test(const struct mw_world *world, struct mw_arena *arena,
                  const struct mw_trace *trace, const struct mw_place *place,
                  const struct mw_expr *expr);
/* A payload object as JSON text. */
bool mw_eval_bindings(const struct mw_world *world, struct mw_arena *arena,
                      const struct mw_trace *trace, const struct mw_place *place,
                      const struct mw_bindings *bindings, size_t bytes_max, struct mw_str *ret_json,
                      struct mw_str *ret_why);
/* The list that a for_each iterates. False: not a list, or the document is not there. */
bool mw_place_list(const struct mw_world *world, const struct mw_trace *trace,
                   const struct mw_place *place, struct mw_str root, struct mw_str pointer,
                   uint32_t *ret_document, uint32_t *ret_node, uint32_t *ret_count);

#endif
