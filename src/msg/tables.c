#include "msg/msg.h"

#include <string.h>

#define MW_REQ_NOTHING MW_REQUEST_COUNT

static const struct mw_event_info event_table[MW_EVENT_COUNT] = {
#define MW_EVENT(symbol, kind_name, type_name, component_name, form_name, owner_name, opens_name,  \
                 closes_name, becomes_name, to_name, lives_name)                                   \
    [MW_EVT_##symbol] = {{kind_name, sizeof(kind_name) - 1},                                       \
                         {type_name, sizeof(type_name) - 1},                                       \
                         {component_name, sizeof(component_name) - 1},                             \
                         {component_name ":", sizeof(component_name)},                             \
                         MW_FORM_##form_name,                                                      \
                         MW_ROOM_##owner_name,                                                     \
                         MW_OPENS_##opens_name,                                                    \
                         MW_CLOSES_##closes_name,                                                  \
                         MW_REQ_##becomes_name,                                                    \
                         MW_TO_##to_name,                                                          \
                         MW_LIVES_##lives_name},
#include "msg/events.def"
#undef MW_EVENT
};

static const struct mw_request_info request_table[MW_REQUEST_COUNT] = {
#define MW_REQUEST(symbol, wire_name, from_name, decider_name)                                     \
    [MW_REQ_##symbol] = {wire_name, MW_FROM_##from_name, MW_ROOM_##decider_name},
#include "msg/requests.def"
#undef MW_REQUEST
};

/* Names of the contract that the control plane says for itself though no kind of this release has them yet. */
static const char *const reserved_names[] = {
    "TaskRouted",
    "TaskCompleted",
    "TaskEnded",
    "AgentActionStarted",
    "AgentActionCompleted",
    "ApprovalRequired",
    "ApprovalGranted",
    "ApprovalRejected",
    "ApprovalEdited",
    "ApprovalExpired",
    "TestsPassed",
    "TestsFailed",
    "AssemblyCompleted",
    "MicroserviceAssemblyCompleted",
    "FullStackReady",
    "RouteToHumanReview",
    "RouteToFallbackAgent",
};

const struct mw_event_info *mw_event_info(enum mw_event_kind kind)
{
    MW_ASSERT((unsigned)kind < MW_EVENT_COUNT);
    return &event_table[kind];
}

const struct mw_request_info *mw_request_info(enum mw_request_kind kind)
{
    MW_ASSERT((unsigned)kind < MW_REQUEST_COUNT);
    return &request_table[kind];
}

bool mw_request_begins(enum mw_request_kind kind)
{
    return mw_request_info(kind)->from == MW_FROM_CALLER && kind != MW_REQ_CANCEL_TRACE &&
           kind != MW_REQ_PAUSE_TRACE && kind != MW_REQ_ANSWER_ITEM &&
           kind != MW_REQ_REJECT_DRAFT && kind != MW_REQ_REMOVE_AGENT &&
           kind != MW_REQ_REMOVE_MEMORY;
}

enum mw_request_kind mw_request_by_name(struct mw_str name)
{
    unsigned kind = 0;
    while (kind < MW_REQUEST_COUNT && !mw_str_is(name, request_table[kind].name))
        kind++;
    return (enum mw_request_kind)kind;
}

enum mw_event_kind mw_event_by_kind(struct mw_str kind_name)
{
    unsigned kind = 0;
    while (kind < MW_EVENT_COUNT && !mw_str_eq(event_table[kind].kind, kind_name))
        kind++;
    return (enum mw_event_kind)kind;
}

bool mw_event_ends_task(const struct mw_event *event)
{
    return event->kind == MW_EVT_TASK_ENDED ||
           (event->kind == MW_EVT_TASK_RESULT && event->outcome.len > 0);
}

bool mw_type_is_reserved(struct mw_str type)
{
    for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++)
        if (mw_str_eq(type, event_table[kind].type))
            return true;
    for (size_t i = 0; i < MW_COUNT(reserved_names); i++)
        if (mw_str_is(type, reserved_names[i]))
            return true;
    return false;
}

bool mw_type_is_well_formed(struct mw_str type)
{
    if (type.len < 3 || type.len > 64 || type.ptr[0] < 'A' || type.ptr[0] > 'Z')
        return false;
    bool has_word = false; /* WEATHER is a shout, not NounVerb */
    for (size_t i = 1; i < type.len; i++) {
        char c = type.ptr[i];
        bool lower = c >= 'a' && c <= 'z';
        if (!(lower || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            return false;
        has_word = has_word || lower;
    }
    return has_word;
}
