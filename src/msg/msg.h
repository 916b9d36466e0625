/*
 * msg.h - the vocabulary: requests, events, the envelope, and the codec between an event and its journal line.
 *
 * Owns:     the two tables (requests.def, events.def), what an event can carry (fields.def), the line format (docs/journal.md).
 * Does not: decide or keep anything. Strings of an event are borrowed from whoever filled it (a step's arena, a line being replayed).
 */
#ifndef MW_MSG_H
#define MW_MSG_H

#include "base/json.h"

#define MW_CONTRACT_VERSION "1.0"
#define MW_JOURNAL_FORMAT 1

enum mw_request_kind {
#define MW_REQUEST(symbol, name, from, decider) MW_REQ_##symbol,
#include "msg/requests.def"
#undef MW_REQUEST
    MW_REQUEST_COUNT
};

enum mw_event_kind {
#define MW_EVENT(symbol, kind, type, component, form, owner, opens, closes, becomes, to, lives)    \
    MW_EVT_##symbol,
#include "msg/events.def"
#undef MW_EVENT
    MW_EVENT_COUNT
};

enum mw_room {
    MW_ROOM_CORE,
    MW_ROOM_SESSION,
    MW_ROOM_WORKFLOW,
    MW_ROOM_REFINE,
    MW_ROOM_WORK,
    MW_ROOM_OWNER
};
enum mw_requester { MW_FROM_CALLER, MW_FROM_HOST, MW_FROM_FOLLOW };
enum mw_opens { MW_OPENS_NONE, MW_OPENS_AGENT, MW_OPENS_STAGE, MW_OPENS_TIMER, MW_OPENS_CONTINUE };
enum mw_closes { MW_CLOSES_NONE, MW_CLOSES_ASK, MW_CLOSES_ITEM, MW_CLOSES_TRACE };
enum mw_addressee { MW_TO_NONE, MW_TO_SELF, MW_TO_OWNER, MW_TO_TRACE };
enum mw_form { MW_FORM_EVENT, MW_FORM_COMMAND };
enum mw_lives { MW_LIVES_KEEP, MW_LIVES_TRACE };

/* An item's or record's number: the sequence number of the record that created it. 0: none. */
typedef uint64_t mw_seq;

struct mw_event {
    enum mw_event_kind kind;
    mw_seq seq;
    /* the envelope; all borrowed */
    struct mw_str type;
    struct mw_str trace_id;
    struct mw_str session_id;
    struct mw_str component_tag;
    struct mw_str blueprint_id;
    struct mw_str parent_trace_id;
    struct mw_str timestamp;
    struct mw_str message_id;
    struct mw_str causation_id;
    struct mw_str emitted_by;   /* events */
    struct mw_str target_agent; /* commands */
    struct mw_str actor;        /* who asked: user:NAME, agent:ID, host */
    struct mw_str
        request_hash; /* first event of a caller's request: so that replay knows the request again */
    struct mw_str contract_version;
#define MW_TYPE_STR struct mw_str
#define MW_TYPE_RAW struct mw_str
#define MW_TYPE_U64 uint64_t
#define MW_TYPE_I64 int64_t
#define MW_TYPE_BOOL bool
#define MW_FIELD(name, type, place, key) MW_TYPE_##type name;
#include "msg/fields.def"
#undef MW_FIELD
};

struct mw_event_info {
    struct mw_str kind; /* these are terminated, too */
    struct mw_str type; /* "*": open */
    struct mw_str component;
    struct mw_str tag_start; /* "{component}:" */
    enum mw_form form;
    enum mw_room owner;
    enum mw_opens opens;
    enum mw_closes closes;
    enum mw_request_kind becomes; /* MW_REQUEST_COUNT: nothing */
    enum mw_addressee to;
    enum mw_lives lives;
};

struct mw_request_info {
    const char *name;
    enum mw_requester from;
    enum mw_room decider;
};

/* Something asked of the core. Outside requests carry a body; what an event became carries that event. */
struct mw_request {
    enum mw_request_kind kind;
    struct mw_str message_id; /* callers only; borrowed */
    struct mw_str actor;
    int64_t now_us;   /* UTC */
    uint64_t entropy; /* from the host; the only randomness */
    const struct mw_tape *body;
    uint32_t body_node;
    struct mw_str
        body_sha256; /* hex of the body's text; the host has it on disk already when it is large */
    bool
        body_in_record; /* small: it stands in the record that opens the trace, and is nowhere else */
    struct mw_str body_hash; /* hex over kind and body: tells a repeat from a collision */
    struct mw_str
        files_sha256; /* AnswerItem: list of the files that came with it, on disk already; empty: none */
    mw_seq item;      /* addressee */
    mw_seq fence; /* host answers: the asking record's number */
    const struct mw_event *cause;
};

const struct mw_event_info *mw_event_info(enum mw_event_kind kind);
const struct mw_request_info *mw_request_info(enum mw_request_kind kind);
/* A caller's request that begins something, or makes what is there larger: refused while memory or disk are short. What ends, pauses or
 * answers is taken then too. */
bool mw_request_begins(enum mw_request_kind kind);
/* By wire name; MW_REQUEST_COUNT when there is none. */
enum mw_request_kind mw_request_by_name(struct mw_str name);
enum mw_event_kind mw_event_by_kind(struct mw_str kind);
/* True for the types that only fixed kinds may carry: an agent that answers with one is refused. */
bool mw_type_is_reserved(struct mw_str type);
/* NounVerb or VerbNoun in PascalCase, letters and digits, 3 to 64 (MS-06). */
bool mw_type_is_well_formed(struct mw_str type);

/* Its task ends with it: said by a result (which is TaskCompleted as well, under the same messageId) or by a record of its own. */
bool mw_event_ends_task(const struct mw_event *event);

/* The record that the name of one (m-…), of an item or a scope (t-, grp-, svc-, …) ends in; 0: it ends in none. */
mw_seq mw_wire_number(struct mw_str id);
/* `scopeItem` of a record with this sessionId and number where it is left out; 0: the trace, or the record itself. */
mw_seq mw_scope_of_session(struct mw_str session_id, mw_seq seq);

/* Appends the event's line, newline included. Overflow shows in buf. */
void mw_event_write(const struct mw_event *event, struct mw_buf *buf);
/* Reads a line back. Strings point into the line or the arena. A field or kind that this release does not know is refused. */
MW_MUST enum mw_rc mw_event_read(struct mw_arena *arena, struct mw_str line,
                                 struct mw_event *ret_event, struct mw_err *err);

#endif
