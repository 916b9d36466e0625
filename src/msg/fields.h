/*
 * fields.h - private to codec.c and quick.c: what an event's members are called, where they stand on the wire and where in memory.
 */
#ifndef MW_MSG_FIELDS_H
#define MW_MSG_FIELDS_H

#include "msg/msg.h"

enum field_type { FIELD_STR, FIELD_RAW, FIELD_U64, FIELD_I64, FIELD_BOOL };
enum field_place { PLACE_ENV, PLACE_PAYLOAD };

struct field {
    const char *written; /* "key": with quotes and colon */
    const char *key;
    uint16_t key_len;
    uint8_t type;
    uint8_t place;
    uint32_t offset;
};

#define FIELD_ROW(name, type, place, key)                                                          \
    {                                                                                              \
        "\"" key "\":", key, sizeof(key) - 1, FIELD_##type, PLACE_##place,                         \
            offsetof(struct mw_event, name)                                                        \
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
/* quick.c: a line spelt exactly as mw_event_write spells it, without escapes in its texts. False: nothing is said about it, ask the whole reader. */
bool event_read_quick(struct mw_str line, struct mw_event *ret_event);

#endif
