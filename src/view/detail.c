#include "view/internal.h"

#include "defs/catalogue.h"
#include "rules/route.h"

static struct mw_view_item *add_item(struct mw_view_detail *detail, const struct mw_event *event,
                                     enum mw_view_item_kind kind)
{
    struct mw_view *view = detail->view;
    struct mw_view_item *item = mw_arena_alloc(view->arena, sizeof(*item));
    if (item == NULL)
        return NULL;
    item->id = event->seq;
    item->owner =
        event->owner < event->seq ? event->owner : 0; /* so that no walk upward can turn */
    item->scope = event->scope_item;
    item->kind = kind;
    item->session_id = mw_view_copy(view, event->session_id);
    item->started = mw_view_copy(view, event->timestamp);
    item->member = event->member;
    item->document = event->document;
    item->node = event->node;
    item->attempts_end = &item->attempts;
    item->stages_end = &item->stages;
    if (kind != MW_VIEW_TASK && (kind != MW_VIEW_GROUP || event->scope_item == 0)) {
        item->opens_scope = true;
        item->scope = item->id;
    }
    *detail->items_end = item;
    detail->items_end = &item->next;
    mw_view_table_put(&detail->item_by_id, view->arena, item->id, item);
    return item;
}

struct mw_view_item *mw_view_item_of(const struct mw_view_detail *detail, mw_seq id)
{
    return mw_view_table_get(&detail->item_by_id, id);
}

static void end_item(struct mw_view_detail *detail, struct mw_view_item *item,
                     const struct mw_event *event, struct mw_str outcome)
{
    struct mw_view *view = detail->view;
    if (item == NULL)
        return;
    item->outcome = mw_view_copy(view, outcome);
    item->reason = mw_view_copy(view, event->reason);
    item->error_class = mw_view_copy(view, event->error_class);
    item->ended = mw_view_copy(view, event->timestamp);
    if (item->kind != MW_VIEW_TASK)
        item->failed_task = mw_view_copy(view, event->task_type);
}

/* ---- tasks ---- */

static void on_dispatched(struct mw_view_detail *detail, struct mw_view_item *item,
                          const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_attempt *attempt = mw_arena_alloc(view->arena, sizeof(*attempt));
    if (attempt == NULL)
        return;
    size_t colon = mw_str_find(event->component_tag, ':', 0);
    attempt->number = event->attempt;
    attempt->seq = event->seq;
    attempt->agent_id = mw_view_copy(view, event->agent_id);
    attempt->component_tag = mw_view_copy(view, event->component_tag);
    attempt->at = mw_view_copy(view, event->timestamp);
    attempt->routing = mw_route_whole_trail(view->arena, event->routing, event->task_type);
    attempt->due_us = event->due_us;
    attempt->person = event->agent_kind == MW_AGENT_HUMAN;
    *item->attempts_end = attempt;
    item->attempts_end = &attempt->next;
    item->last = attempt;
    if (colon != SIZE_MAX && item->subject.len == 0)
        item->subject = mw_str_sub(attempt->component_tag, colon + 1, SIZE_MAX);
    detail->attempts++;
    detail->retries += event->attempt > 1 ? 1 : 0;
}

static void end_attempt(struct mw_view_detail *detail, struct mw_view_item *item,
                        const struct mw_event *event, const char *outcome)
{
    struct mw_view *view = detail->view;
    struct mw_view_attempt *attempt = item->last;
    if (attempt == NULL || attempt->outcome.len > 0)
        return; /* it never reached an agent, or is over */
    attempt->outcome = mw_str_of(outcome);
    attempt->ended = mw_view_copy(view, event->timestamp);
    attempt->reason = mw_view_copy(view, event->reason);
    attempt->error_class = mw_view_copy(view, event->error_class);
    attempt->evidence = mw_view_copy(view, event->evidence);
    attempt->inputs_sha256 = mw_view_copy(view, event->inputs_sha256);
    attempt->files_sha256 = mw_view_copy(view, event->files_sha256);
    attempt->rationale = mw_view_copy(view, event->rationale);
    attempt->usage = mw_view_copy(view, event->usage);
    attempt->duration_ms = event->duration_ms > 0 ? event->duration_ms : event->elapsed_ms;
    attempt->no_retry = event->no_retry;
}

static bool keeps_body(const struct mw_view_detail *detail, struct mw_str type)
{
    for (uint32_t i = 0; detail->body_types != NULL && detail->body_types[i] != NULL; i++)
        if (mw_str_is(type, detail->body_types[i]))
            return true;
    return false;
}

static struct mw_view_fact *add_fact(struct mw_view_detail *detail, const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_fact *fact = mw_arena_alloc(view->arena, sizeof(*fact));
    if (fact == NULL)
        return NULL;
    fact->seq = event->seq;
    fact->item = event->item;
    fact->scope = event->scope_item;
    fact->type = mw_view_copy(view, event->type);
    fact->key = mw_view_copy(view, event->key);
    fact->at = mw_view_copy(view, event->timestamp);
    fact->agent_id = mw_view_copy(view, event->agent_id);
    fact->body_sha256 = mw_view_copy(view, event->body_sha256);
    fact->files_sha256 = mw_view_copy(view, event->files_sha256);
    fact->document = event->document;
    fact->trace_wide = event->trace_wide;
    if (keeps_body(detail, event->type))
        fact->body = mw_view_copy(view, event->body);
    *detail->facts_end = fact;
    detail->facts_end = &fact->next;
    return fact;
}

static void on_result(struct mw_view_detail *detail, struct mw_view_item *item,
                      const struct mw_event *event)
{
    struct mw_view_fact *fact = add_fact(detail, event);
    if (item == NULL || fact == NULL)
        return;
    end_attempt(detail, item, event, "completed");
    item->key = fact->key;
    if (mw_event_ends_task(event)) {
        end_item(detail, item, event, event->outcome);
        item->duration_ms = event->duration_ms;
    }
    if (item->last == NULL)
        return;
    item->last->result_seq = event->seq;
    item->last->result_type = fact->type;
    item->last->body_sha256 = fact->body_sha256;
}

static void on_task(struct mw_view_detail *detail, const struct mw_event *event)
{
    struct mw_view_item *item = mw_view_item_of(detail, event->item);
    bool makes = event->item == 0 &&
                 (event->kind == MW_EVT_TASK_READY || event->kind == MW_EVT_TASK_DISPATCHED ||
                  event->kind == MW_EVT_AGENT_NOT_FOUND);
    if (makes)
        item = add_item(detail, event, MW_VIEW_TASK);
    if (item == NULL)
        return;
    if (item->name.len == 0)
        item->name = mw_view_copy(detail->view, event->task_type);
    switch (event->kind) {
    case MW_EVT_TASK_DISPATCHED:
        on_dispatched(detail, item, event);
        return;
    case MW_EVT_TASK_RESULT:
        on_result(detail, item, event);
        return;
    case MW_EVT_TASK_FAILED:
        if (item->attempts == NULL) { /* it could not even be asked: the reason is all there is */
            item->reason = mw_view_copy(detail->view, event->reason);
            item->error_class = mw_view_copy(detail->view, event->error_class);
        }
        end_attempt(detail, item, event, "failed");
        return;
    case MW_EVT_TASK_TIMED_OUT:
        end_attempt(detail, item, event, "timed_out");
        return;
    case MW_EVT_AGENT_NOT_FOUND:
        item->reason = mw_view_copy(detail->view, event->reason);
        return;
    case MW_EVT_TASK_LATE:
        item->late++;
        return;
    case MW_EVT_TASK_ESCALATED:
        item->escalated = true;
        return;
    case MW_EVT_TASK_ENDED:
        if (!mw_str_is(event->outcome, "completed"))
            end_attempt(detail, item, event,
                        mw_str_is(event->outcome, "cancelled") ? "cancelled" : "failed");
        else if (item->last != NULL && item->last->duration_ms == 0)
            item->last->duration_ms = event->elapsed_ms;
        end_item(detail, item, event, event->outcome);
        if (event->key.len > 0 && item->key.len == 0)
            item->key = mw_view_copy(detail->view, event->key);
        item->duration_ms = event->elapsed_ms;
        return;
    default:
        return;
    }
}

/* ---- groups, plans, coordinators ---- */

static void on_group(struct mw_view_detail *detail, const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_item *item = mw_view_item_of(detail, event->item);
    struct mw_view_part *part;
    switch (event->kind) {
    case MW_EVT_GROUP_STARTED:
        item = add_item(detail, event, MW_VIEW_GROUP);
        if (item == NULL)
            return;
        item->name = mw_view_copy(view, event->group_id);
        item->strategy = mw_view_copy(view, event->strategy);
        item->expected = event->expected_count;
        return;
    case MW_EVT_GROUP_ENDED:
        end_item(detail, item, event, event->outcome);
        return;
    case MW_EVT_PLAN_PART:
        if (!detail->keep_parts)
            return;
        part = mw_arena_alloc(view->arena, sizeof(*part));
        if (part == NULL)
            return;
        part->members = mw_view_copy(view, event->members);
        *detail->parts_end = part;
        detail->parts_end = &part->next;
        return;
    default:
        return;
    }
}

static struct mw_view_stage *add_stage(struct mw_view_detail *detail, struct mw_view_item *item,
                                       const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_stage *stage = mw_arena_alloc(view->arena, sizeof(*stage));
    if (stage == NULL || item == NULL)
        return NULL;
    stage->seq = event->seq;
    stage->at = mw_view_copy(view, event->timestamp);
    stage->from = mw_view_copy(view, event->from_state);
    stage->to = mw_view_copy(view, event->state);
    stage->by = mw_view_copy(view, event->by_event);
    stage->rule = mw_view_copy(view, event->rule);
    stage->skipped = event->skipped;
    stage->iteration = event->iteration;
    *item->stages_end = stage;
    item->stages_end = &stage->next;
    return stage;
}

static void on_skip(struct mw_view_detail *detail, const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_skip *skip = mw_arena_alloc(view->arena, sizeof(*skip));
    if (skip == NULL)
        return;
    skip->item = event->item;
    skip->rule = mw_view_copy(view, event->rule);
    skip->field = mw_view_copy(view, event->rule_field);
    skip->value = mw_view_copy(view, event->rule_value);
    skip->target = mw_view_copy(view, event->target);
    skip->at = mw_view_copy(view, event->timestamp);
    *detail->skips_end = skip;
    detail->skips_end = &skip->next;
}

static void on_coordinator(struct mw_view_detail *detail, const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_item *item = mw_view_item_of(detail, event->item);
    struct mw_view_stage *stage;
    switch (event->kind) {
    case MW_EVT_COORDINATOR_STARTED:
        item = add_item(detail, event, MW_VIEW_COORDINATOR);
        if (item == NULL)
            return;
        item->name = mw_view_copy(view, event->coordinator);
        item->version = mw_view_copy(view, event->coordinator_version);
        item->command = mw_view_copy(view, event->type);
        item->key = mw_view_copy(view, event->key);
        item->state = mw_view_copy(view, event->state);
        if (detail->keep_fragments)
            item->fragment = mw_view_copy(view, event->body);
        stage = add_stage(detail, item, event);
        if (stage != NULL)
            stage->by = item->command;
        return;
    case MW_EVT_STATE_ENTERED:
        stage = add_stage(detail, item, event);
        if (stage != NULL)
            item->state = stage->to;
        return;
    case MW_EVT_COORDINATOR_HALTED:
        stage = add_stage(detail, item, event);
        if (stage != NULL) {
            stage->by = MW_STR("CoordinatorHalted");
            stage->from = item->state;
            stage->reason = mw_view_copy(view, event->reason);
        }
        return;
    case MW_EVT_COORDINATOR_ENDED:
        stage = add_stage(detail, item, event);
        end_item(detail, item, event, event->outcome);
        if (stage != NULL) {
            stage->by = mw_view_copy(view, event->type);
            stage->reason = item->reason;
            item->state = stage->to.len > 0 ? stage->to : item->state;
        }
        if (mw_str_is(event->outcome, "completed"))
            (void)add_fact(detail, event); /* out of memory shows in the arena */
        return;
    default:
        return;
    }
}

/* ---- runs, repairs, journeys ---- */

static void on_loop(struct mw_view_detail *detail, const struct mw_event *event)
{
    struct mw_view *view = detail->view;
    struct mw_view_item *item = mw_view_item_of(detail, event->item);
    struct mw_view_stage *stage;
    switch (event->kind) {
    case MW_EVT_RUN_STARTED:
        item = add_item(detail, event, MW_VIEW_RUN);
        if (item == NULL)
            return;
        item->name = mw_view_copy(view, event->preset);
        item->definition = mw_view_copy(view, event->definition);
        return;
    case MW_EVT_UNIT_STARTED:
        item = add_item(detail, event, MW_VIEW_UNIT);
        if (item != NULL)
            item->name = MW_STR("refinement");
        return;
    case MW_EVT_JOURNEY_STARTED:
        item = add_item(detail, event, MW_VIEW_JOURNEY);
        if (item == NULL)
            return;
        item->name = mw_view_copy(view, event->journey);
        item->definition = mw_view_copy(view, event->definition);
        return;
    case MW_EVT_CHAIN_STARTED:
        item = add_item(detail, event, MW_VIEW_CHAIN);
        if (item != NULL)
            item->name = MW_STR("chain");
        return;
    case MW_EVT_TURN_STARTED:
    case MW_EVT_PLAN_ASKED:
        stage = add_stage(detail, item, event);
        if (stage != NULL)
            stage->to = mw_view_copy(view, event->role);
        if (item != NULL)
            item->iterations = event->iteration;
        return;
    case MW_EVT_UNIT_TRIED:
        if (item != NULL)
            item->iterations = event->iteration;
        return;
    case MW_EVT_RUN_COMPLETED:
    case MW_EVT_RUN_STOPPED:
    case MW_EVT_UNIT_ENDED:
    case MW_EVT_JOURNEY_ENDED:
    case MW_EVT_CHAIN_ENDED:
        end_item(detail, item, event, event->outcome);
        return;
    case MW_EVT_SCOPE_TERMINATED:
        end_item(detail, item, event, MW_STR("cancelled"));
        return;
    default:
        return;
    }
}

static enum mw_rc on_record(void *context, const struct mw_event *event, struct mw_str line,
                            struct mw_err *err)
{
    struct mw_view_detail *detail = context;
    (void)line; /* everything wanted is in the event */
    (void)err;  /* nothing here can fail but memory, which the arena says */
    if (event->trace != detail->trace->id && event->seq != detail->trace->id)
        return MW_OK;
    if (event->seq == detail->trace->id) {
        detail->prompt = mw_view_copy(detail->view, event->user_prompt);
        detail->source = mw_view_copy(detail->view, event->source);
        detail->submitted_at = mw_view_copy(detail->view, event->timestamp);
        detail->actor = mw_view_copy(detail->view, event->actor);
    }
    switch (event->kind) {
    case MW_EVT_MESSAGE_PUBLISHED:
    case MW_EVT_FACT_DERIVED:
        (void)add_fact(detail, event); /* out of memory shows in the arena */
        return MW_OK;
    case MW_EVT_PATH_SKIPPED:
        on_skip(detail, event);
        return MW_OK;
    default:
        break;
    }
    on_task(detail, event);
    on_group(detail, event);
    on_coordinator(detail, event);
    on_loop(detail, event);
    return MW_OK;
}

/* Members to their groups; which of them ended, and what came when the group was over. */
static void join_members(struct mw_view_detail *detail)
{
    for (struct mw_view_item *item = detail->items; item != NULL; item = item->next) {
        struct mw_view_item *owner = mw_view_item_of(detail, item->owner);
        if (owner == NULL || owner->kind != MW_VIEW_GROUP)
            continue;
        if (owner->members_last != NULL)
            owner->members_last->next_member = item;
        else
            owner->members = item;
        owner->members_last = item;
        owner->late += item->late;
        if (mw_str_is(item->outcome, "completed")) {
            bool late = owner->ended.len > 0 && mw_str_cmp(item->ended, owner->ended) > 0;
            owner->late += late ? 1 : 0;
            owner->completed++;
        } else if (item->outcome.len > 0) {
            owner->failed++;
        }
    }
}

enum mw_rc mw_view_detail_make(struct mw_view *view, struct mw_view_detail *detail)
{
    detail->view = view;
    detail->items_end = &detail->items;
    detail->facts_end = &detail->facts;
    detail->parts_end = &detail->parts;
    detail->skips_end = &detail->skips;
    enum mw_rc rc = mw_view_each(view, on_record, detail);
    if (rc == MW_OK)
        join_members(detail);
    return rc;
}

/* ---- looking ---- */

const struct mw_view_fact *mw_view_fact_of(const struct mw_view_detail *detail, const char *type,
                                           mw_seq scope)
{
    const struct mw_view_fact *found = NULL;
    for (const struct mw_view_fact *fact = detail->facts; fact != NULL; fact = fact->next)
        if (mw_str_is(fact->type, type) && (scope == 0 || fact->scope == scope))
            found = fact;
    return found;
}

bool mw_view_is_report(const struct mw_view_fact *fact, const char *type)
{
    return fact->item != 0 && mw_str_is(fact->type, type);
}

const struct mw_view_fact *mw_view_fact_at(const struct mw_view_detail *detail, mw_seq seq)
{
    const struct mw_view_fact *fact = detail->facts;
    while (fact != NULL && fact->seq != seq)
        fact = fact->next;
    return fact;
}

enum mw_rc mw_view_fact_body(struct mw_view *view, const struct mw_view_fact *fact,
                             struct mw_str *ret_body)
{
    if (fact->body_sha256.len > 0)
        return mw_view_blob(view, fact->body_sha256, ret_body);
    *ret_body = fact->body.len > 0 ? fact->body : MW_STR("{}");
    return MW_OK;
}

struct mw_str mw_view_service_of(const struct mw_view_detail *detail,
                                 const struct mw_view_item *item)
{
    for (; item != NULL; item = mw_view_item_of(detail, item->owner))
        if (item->kind == MW_VIEW_COORDINATOR)
            return item->key;
    return MW_STR_NONE;
}

const char *mw_view_item_state(const struct mw_view_item *item)
{
    if (mw_str_is(item->outcome, "completed"))
        return "completed";
    if (mw_str_is(item->outcome, "failed"))
        return "failed";
    if (item->outcome.len > 0)
        return "cancelled";
    if (item->kind != MW_VIEW_TASK)
        return "open";
    if (item->last == NULL)
        return "queued";
    if (item->last->outcome.len > 0)
        return "waiting to be tried again";
    return item->last->person ? "waiting for a person" : "running";
}

struct mw_str mw_view_wire_id(const struct mw_view_index *index, struct mw_arena *arena,
                              const char *prefix, mw_seq seq)
{
    return mw_arena_format(arena, "%s-%.*s-%lu", prefix, MW_STR_ARG(index->journal_id),
                           (unsigned long)seq);
}

struct mw_str mw_view_item_id(const struct mw_view_index *index, struct mw_arena *arena,
                              const struct mw_view_item *item)
{
    static const char *const prefixes[] = {"t", "grp", "svc", "run", "unit", "b", "chain"};
    return mw_view_wire_id(index, arena, prefixes[item->kind], item->id);
}
