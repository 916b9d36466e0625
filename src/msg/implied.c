#include "msg/fields.h"

/* implied.c - what the lines of some kinds leave out because other members of the same line say it (docs/messages.md). Nothing here looks at state. */

mw_seq mw_wire_number(struct mw_str id)
{
    size_t at = id.len;
    uint64_t value = 0, place = 1;
    while (at > 0 && id.len - at < 18 && id.ptr[at - 1] >= '0' && id.ptr[at - 1] <= '9') {
        value += (uint64_t)(id.ptr[--at] - '0') * place;
        place *= 10;
    }
    return at > 0 && id.ptr[at - 1] == '-' ? value : 0;
}

mw_seq mw_scope_of_session(struct mw_str session_id, mw_seq seq)
{
    mw_seq number = mw_str_starts(session_id, MW_STR("s-")) ? 0 : mw_wire_number(session_id);
    return number != seq ? number : 0;
}

uint8_t event_implies(enum mw_event_kind kind)
{
    switch (kind) {
    case MW_EVT_TASK_READY:
    case MW_EVT_TASK_DISPATCHED:
        return IMPLIES_SCOPE | IMPLIES_ITEM;
    case MW_EVT_TASK_RESULT:
        return IMPLIES_SCOPE | IMPLIES_ITEM | IMPLIES_FENCE | IMPLIES_ACTOR;
    case MW_EVT_GROUP_STARTED:
    case MW_EVT_GROUP_ENDED:
    case MW_EVT_COORDINATOR_ENDED:
        return IMPLIES_SCOPE;
    default:
        return IMPLIES_NOTHING;
    }
}

static mw_seq implied_item(const struct mw_event *event)
{
    mw_seq number = mw_wire_number(event->task_id);
    return number != event->seq ? number : 0;
}

bool event_must_say(const struct mw_event *event, uint8_t what)
{
    switch (what) {
    case IMPLIES_SCOPE:
        return event->scope_item != mw_scope_of_session(event->session_id, event->seq);
    case IMPLIES_ITEM:
        return event->item != implied_item(event);
    case IMPLIES_FENCE:
        return event->fence != mw_wire_number(event->causation_id);
    case IMPLIES_ACTOR:
        return event->actor.ptr != NULL && !mw_str_is(event->actor, "host");
    default:
        MW_UNREACHABLE("one thing that a line can imply");
    }
}

void event_begin_implied(struct mw_event *event)
{
    uint8_t implies = event_implies(event->kind);
    if ((implies & IMPLIES_SCOPE) != 0)
        event->scope_item = EVENT_NOT_SAID;
    if ((implies & IMPLIES_ITEM) != 0)
        event->item = EVENT_NOT_SAID;
    if ((implies & IMPLIES_FENCE) != 0)
        event->fence = EVENT_NOT_SAID;
}

void event_fill_implied(struct mw_event *event)
{
    if (event->scope_item == EVENT_NOT_SAID)
        event->scope_item = mw_scope_of_session(event->session_id, event->seq);
    if (event->item == EVENT_NOT_SAID)
        event->item = implied_item(event);
    if (event->fence == EVENT_NOT_SAID)
        event->fence = mw_wire_number(event->causation_id);
    if (event->actor.ptr == NULL && (event_implies(event->kind) & IMPLIES_ACTOR) != 0)
        event->actor = MW_STR("host");
}
