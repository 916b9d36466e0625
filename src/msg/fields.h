/*
 * fields.h - private to codec.c, quick.c and implied.c: what an event's members are called, where they stand on the wire and where in memory.
 */
#ifndef MW_MSG_FIELDS_H
#define MW_MSG_FIELDS_H

#include "msg/msg.h"

enum field_type { FIELD_STR, FIELD_RAW, FIELD_U64, FIELD_I64, FIELD_BOOL };
enum field_place { PLACE_ENV, PLACE_PAYLOAD };

/* What a line can leave out because other members of it say it; what a kind's lines do leave out is a set of these. */
enum { IMPLIES_NOTHING, IMPLIES_SCOPE = 1, IMPLIES_ITEM = 2, IMPLIES_FENCE = 4, IMPLIES_ACTOR = 8 };

struct field {
    const char *written; /* ,"key": as behind another member */
    const char *key;
    uint16_t key_len;
    uint8_t type;
    uint8_t place;
    uint8_t implied; /* the one thing that it is of those above */
    uint16_t offset;
    uint16_t told_by; /* where eight bytes are 0 when it is unset; of a BOOL it is one */
};

/* A text that is there has a place, an empty one too; JSON has a length. */
#define TOLD_BY_STR offsetof(struct mw_str, ptr)
#define TOLD_BY_RAW offsetof(struct mw_str, len)
#define TOLD_BY_U64 0
#define TOLD_BY_I64 0
#define TOLD_BY_BOOL 0
_Static_assert(sizeof(((struct mw_str *)0)->ptr) == 8 && sizeof(((struct mw_str *)0)->len) == 8,
               "eight bytes tell whether a member is set");
_Static_assert(sizeof(struct mw_event) <= UINT16_MAX, "an offset in it is two bytes");

#define FIELD_IMPLIED(name)                                                                        \
    (offsetof(struct mw_event, name) == offsetof(struct mw_event, scope_item) ? IMPLIES_SCOPE      \
     : offsetof(struct mw_event, name) == offsetof(struct mw_event, item)     ? IMPLIES_ITEM       \
     : offsetof(struct mw_event, name) == offsetof(struct mw_event, fence)    ? IMPLIES_FENCE      \
     : offsetof(struct mw_event, name) == offsetof(struct mw_event, actor)    ? IMPLIES_ACTOR      \
                                                                              : IMPLIES_NOTHING)

#define FIELD_ROW(name, type, place, key)                                                          \
    {                                                                                              \
        ",\"" key "\":", key, sizeof(key) - 1, FIELD_##type, PLACE_##place, FIELD_IMPLIED(name),   \
            offsetof(struct mw_event, name), offsetof(struct mw_event, name) + TOLD_BY_##type      \
    }

/* The envelope's own keys, then what fields.def lists. The order here is the order on the wire. */
static const struct field fields[] = {
    FIELD_ROW(seq, U64, ENV, "seq"),
    FIELD_ROW(type, STR, ENV, "type"),
    FIELD_ROW(trace_id, STR, ENV, "traceId"),
    FIELD_ROW(session_id, STR, ENV, "sessionId"),
    FIELD_ROW(component_tag, STR, ENV, "componentTag"),
    FIELD_ROW(blueprint_id, STR, ENV, "blueprintId"),
    FIELD_ROW(parent_trace_id, STR, ENV, "parentTraceId"),
    FIELD_ROW(timestamp, STR, ENV, "timestamp"),
    FIELD_ROW(message_id, STR, ENV, "messageId"),
    FIELD_ROW(causation_id, STR, ENV, "causationId"),
    FIELD_ROW(emitted_by, STR, ENV, "emittedBy"),
    FIELD_ROW(target_agent, STR, ENV, "targetAgent"),
    FIELD_ROW(actor, STR, ENV, "actor"),
    FIELD_ROW(request_hash, STR, ENV, "requestHash"),
    FIELD_ROW(contract_version, STR, ENV, "contract"),
#define MW_FIELD(name, type, place, key) FIELD_ROW(name, type, place, key),
#include "msg/fields.def"
#undef MW_FIELD
};

/* Kinds whose payload is the contract's or a definition's, kept as it is; all others have fields of PLACE_PAYLOAD. */
bool event_payload_is_body(enum mw_event_kind kind);
/* implied.c. What the lines of this kind leave out: a set. */
uint8_t event_implies(enum mw_event_kind kind);
/* One thing of that set: true when it is not so here, and has to be written, even if it is 0. */
bool event_must_say(const struct mw_event *event, uint8_t what);
/* Before a line is read, its kind being known, and after: what it did not say is what the others imply. */
#define EVENT_NOT_SAID UINT64_MAX /* no number on the wire is as large */
void event_begin_implied(struct mw_event *event);
void event_fill_implied(struct mw_event *event);

/* quick.c: a line spelt exactly as mw_event_write spells it, without escapes in its texts. What it implies is
 * not filled in yet. False: nothing is said about it, ask the whole reader. */
bool event_read_quick(struct mw_str line, struct mw_event *ret_event);

#endif
