#include "msg/fields.h"

#include <string.h>

static void write_value(const struct field *field, const struct mw_event *event,
                        struct mw_json *json);
static enum mw_rc read_members(struct mw_arena *arena, const struct mw_tape *tape, uint32_t object,
                               enum field_place place, struct mw_event *event, struct mw_err *err);
static bool read_value(struct mw_arena *arena, const struct field *field,
                       const struct mw_tape *tape, uint32_t node, struct mw_event *event);

static bool is_set(const struct field *field, const struct mw_event *event)
{
    const char *at = (const char *)event + field->told_by;
    uint64_t word;
    if (field->type == FIELD_BOOL)
        return *(const bool *)(const void *)at;
    memcpy(&word, at, sizeof(word));
    return word != 0;
}

_Static_assert(MW_COUNT(fields) <= UINT8_MAX, "a row's number is a byte");

/* Rows of the members that the line has, in their order. One look at each row: most of an event is unset, and a body stands for the payload's. */
static uint32_t said_rows(const struct mw_event *event, uint8_t ret_rows[MW_COUNT(fields)])
{
    uint8_t implies = event_implies(event->kind);
    uint32_t count = 0;
    bool whole_payload = event->body.len > 0;
    for (uint32_t i = 0; i < MW_COUNT(fields); i++) {
        if (whole_payload && fields[i].place == PLACE_PAYLOAD)
            continue;
        if ((fields[i].implied & implies) != 0 ? event_must_say(event, fields[i].implied)
                                               : is_set(&fields[i], event))
            ret_rows[count++] = (uint8_t)i;
    }
    return count;
}

static void write_members(const struct mw_event *event, enum field_place place, const uint8_t *rows,
                          uint32_t count, struct mw_json *json)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct field *field = &fields[rows[i]];
        if (field->place != place)
            continue;
        mw_json_key_written(json, (struct mw_str){field->written, field->key_len + 4u});
        write_value(field, event, json);
    }
}

void mw_event_write(const struct mw_event *event, struct mw_buf *buf)
{
    struct mw_event whole;
    uint8_t rows[MW_COUNT(fields)];
    if (event->body.len == 0 && event_payload_is_body(event->kind)) {
        whole =
            *event; /* an empty payload stands where any other would: a line reads back to itself */
        whole.body = MW_STR("{}");
        event = &whole;
    }
    struct mw_json json;
    mw_json_init(&json, buf);
    mw_json_object(&json);
    mw_json_kstr(&json, "kind", mw_event_info(event->kind)->kind);
    uint32_t count = said_rows(event, rows);
    write_members(event, PLACE_ENV, rows, count, &json);
    if (event->body.len == 0) {
        mw_json_kobject(&json, "payload");
        write_members(event, PLACE_PAYLOAD, rows, count, &json);
        mw_json_object_end(&json);
    }
    mw_json_object_end(&json);
    mw_buf_put_c(buf, '\n');
}

static void write_value(const struct field *field, const struct mw_event *event,
                        struct mw_json *json)
{
    const char *at = (const char *)event + field->offset;
    switch ((enum field_type)field->type) {
    case FIELD_STR:
        mw_json_str(json, *(const struct mw_str *)(const void *)at);
        return;
    case FIELD_RAW:
        mw_json_raw(json, *(const struct mw_str *)(const void *)at);
        return;
    case FIELD_U64:
        mw_json_u64(json, *(const uint64_t *)(const void *)at);
        return;
    case FIELD_I64:
        mw_json_i64(json, *(const int64_t *)(const void *)at);
        return;
    case FIELD_BOOL:
        mw_json_bool(json, *(const bool *)at);
        return;
    }
    MW_UNREACHABLE("a field type that fields.def does not know");
}

bool event_payload_is_body(enum mw_event_kind kind)
{
    switch (kind) {
    case MW_EVT_TASK_DISPATCHED:
    case MW_EVT_TASK_RESULT:
    case MW_EVT_TASK_LATE:
    case MW_EVT_AGENT_ONLINE:
    case MW_EVT_MESSAGE_PUBLISHED:
    case MW_EVT_FACT_DERIVED:
    case MW_EVT_COORDINATOR_STARTED:
    case MW_EVT_COORDINATOR_ENDED:
        return true;
    default:
        return false;
    }
}

enum mw_rc mw_event_read(struct mw_arena *arena, struct mw_str line, struct mw_event *ret_event,
                         struct mw_err *err)
{
    struct mw_tape tape;
    struct mw_event event;
    if (event_read_quick(line, &event)) {
        event_fill_implied(&event);
        *ret_event = event;
        return MW_OK;
    }
    struct mw_err syntax;
    enum mw_rc rc = mw_json_parse(arena, line, &tape, &syntax);
    if (rc != MW_OK)
        return MW_FAIL(err, MW_E_CORRUPT, "a record cannot be read: %s", syntax.text);
    if (mw_node_type(&tape, 0) != MW_NODE_OBJECT)
        return MW_FAIL(err, MW_E_CORRUPT, "a record is not a JSON object");
    memset(&event, 0, sizeof(event));
    struct mw_str kind = mw_node_get_text(&tape, 0, "kind");
    event.kind = mw_event_by_kind(kind);
    if (event.kind == MW_EVENT_COUNT)
        return MW_FAIL(err, MW_E_CORRUPT, "record kind '%.*s' is not known to this release",
                       MW_STR_ARG(kind));
    event_begin_implied(&event);
    rc = read_members(arena, &tape, 0, PLACE_ENV, &event, err);
    if (rc != MW_OK)
        return rc;
    event_fill_implied(&event);
    *ret_event = event;
    return MW_OK;
}

/* The JSON text of a value. Containers and numbers keep theirs on the tape; the others are written again. */
static struct mw_str raw_text(struct mw_arena *arena, const struct mw_tape *tape, uint32_t node)
{
    const struct mw_node *value = &tape->nodes[node];
    if (value->type != MW_NODE_STRING && value->text.len > 0)
        return value->text;
    struct mw_buf buf;
    struct mw_json json;
    size_t cap = 8 + 6 * value->text.len;
    mw_buf_init(&buf, mw_arena_alloc(arena, cap), arena->exhausted ? 0 : cap);
    mw_json_init(&json, &buf);
    mw_json_node(&json, tape, node);
    return mw_buf_str(&buf);
}

/* Members come in the order in which they were written, so the search goes on from the last hit. */
static enum mw_rc read_members(struct mw_arena *arena, const struct mw_tape *tape, uint32_t object,
                               enum field_place place, struct mw_event *event, struct mw_err *err)
{
    size_t at = 0;
    for (uint32_t key = mw_node_first(tape, object); key != MW_NODE_NONE;
         key = mw_node_after(tape, object, key)) {
        struct mw_str name = tape->nodes[key].text;
        size_t tried = 0;
        if (place == PLACE_ENV && mw_str_is(name, "kind"))
            continue;
        if (place == PLACE_ENV && mw_str_is(name, "payload")) {
            if (mw_node_type(tape, key + 1) != MW_NODE_OBJECT)
                return MW_FAIL(err, MW_E_CORRUPT, "a record's payload is not an object");
            if (event_payload_is_body(event->kind)) {
                event->body = tape->nodes[key + 1].text;
                continue;
            }
            enum mw_rc rc = read_members(arena, tape, key + 1, PLACE_PAYLOAD, event, err);
            if (rc != MW_OK)
                return rc;
            continue;
        }
        while (tried < MW_COUNT(fields) &&
               (fields[at].place != place || fields[at].key_len != name.len ||
                memcmp(fields[at].key, name.ptr, name.len) != 0)) {
            at = at + 1 < MW_COUNT(fields) ? at + 1 : 0;
            tried++;
        }
        if (tried == MW_COUNT(fields))
            return MW_FAIL(err, MW_E_CORRUPT, "record field '%.*s' is not known to this release",
                           MW_STR_ARG(name));
        if (!read_value(arena, &fields[at], tape, key + 1, event))
            return MW_FAIL(err, MW_E_CORRUPT, "record field '%.*s' has the wrong type",
                           MW_STR_ARG(name));
    }
    return MW_OK;
}

static bool read_value(struct mw_arena *arena, const struct field *field,
                       const struct mw_tape *tape, uint32_t node, struct mw_event *event)
{
    char *at = (char *)event + field->offset;
    enum mw_node_type type = mw_node_type(tape, node);
    switch ((enum field_type)field->type) {
    case FIELD_STR:
        *(struct mw_str *)(void *)at = tape->nodes[node].text;
        return type == MW_NODE_STRING;
    case FIELD_RAW:
        *(struct mw_str *)(void *)at = raw_text(arena, tape, node);
        return true;
    case FIELD_U64:
        *(uint64_t *)(void *)at = (uint64_t)tape->nodes[node].integer;
        return type == MW_NODE_INTEGER && tape->nodes[node].integer >= 0;
    case FIELD_I64:
        *(int64_t *)(void *)at = tape->nodes[node].integer;
        return type == MW_NODE_INTEGER;
    case FIELD_BOOL:
        *(bool *)at = type == MW_NODE_TRUE;
        return type == MW_NODE_TRUE || type == MW_NODE_FALSE;
    }
    return false;
}
