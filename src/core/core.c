#include "base/time.h"
#include "core/internal.h"

#include <string.h>

struct step {
    struct mw_core *core;
    const struct mw_request *outside; /* what started it */
    struct mw_buf *frame;
    size_t frame_start;
    struct mw_request *queue; /* STEP: what events became, in order */
    uint32_t queue_at;
    uint32_t queue_count;
    struct mw_str timestamp;
    const struct mw_event *freed; /* what made something ready: the cause of a dispatch */
    uint32_t record_count;
    size_t asked_bytes; /* of the first line, when it is a caller's that is remembered */
    mw_seq first;
    mw_seq trace;
    struct mw_str trace_id; /* it may have ended in this step */
    bool continues;
};

static void decide(const struct mw_core *core, const struct mw_request *request,
                   struct mw_out *out);
static void emit(struct step *step, const struct mw_request *request, struct mw_event *event,
                 bool from_outside);
static void follow(struct step *step, enum mw_request_kind kind, mw_seq item,
                   const struct mw_event *cause);
static void run(struct step *step);
static void finish(struct step *step, struct mw_step_result *ret_result);

void mw_core_init(struct mw_core *core, const struct mw_core_config *config)
{
    *core = (struct mw_core){0};
    mw_mem_init(&core->world.mem, config->region, config->region_bytes);
    core->world.mem.zeroed = config->region_zeroed;
    mw_arena_init(&core->arena, config->arena, config->arena_bytes);
    core->world.catalogue = config->catalogue;
    core->world.document = config->document;
    core->world.host = config->host;
    core->world.scratch = &core->arena;
    core->work.running_max = 1;
    mw_core_forget_changes(core); /* makes room for them */
}

/* ---- a step ---- */

/* Answers that need no decision: a request seen before, or one that cannot be taken now. True: answered. */
static bool answer_at_once(struct mw_core *core, const struct mw_request *request,
                           struct mw_step_result *result)
{
    if (mw_request_info(request->kind)->from != MW_FROM_CALLER || request->message_id.len == 0)
        return false;
    const struct mw_remembered *known = mw_remembered_find(core, request->message_id);
    if (known != NULL && known->body_hash == mw_str_hash(request->body_hash)) {
        result->duplicate = true;
        result->first = known->seq;
        result->last = known->seq + known->record_count - 1;
        result->trace = known->trace;
        result->trace_wire_id = mw_remembered_trace_id(core, known);
        return true;
    }
    if (known != NULL) {
        result->rc = MW_E_CONFLICT;
        result->pointer = MW_STR("/messageId");
        result->refusal = MW_STR("this messageId was used for another request");
        return true;
    }
    if (mw_message_id_is_old(request->message_id, request->now_us)) {
        result->rc = MW_E_TIMEOUT;
        result->pointer = MW_STR("/messageId");
        result->refusal = MW_STR("this messageId says that it is older than 7 days: not run again");
        return true;
    }
    if (mw_message_id_is_behind(core, request->message_id, request->now_us)) {
        result->rc = MW_E_TIMEOUT;
        result->pointer = MW_STR("/messageId");
        result->refusal =
            MW_STR("this messageId says that it is older than the last 65,536: not run again");
        return true;
    }
    return false;
}

/* What a caller was told is so already changes nothing, and is remembered all the same: said again after things have changed, it is not
 * done then (P05). */
static bool note_request(const struct mw_request *request, struct mw_out *out)
{
    if (out->event_count > 0 || request->message_id.len == 0 ||
        mw_request_info(request->kind)->from != MW_FROM_CALLER)
        return false;
    mw_out_event(out, MW_EVT_REQUEST_NOTED)->trace = out->answer;
    return true;
}

/* Only the counts say what is there; the places behind them are never read. */
static struct mw_out *new_out(struct mw_arena *arena)
{
    struct mw_out *out = mw_arena_alloc_unset(arena, sizeof(*out));
    MW_ASSERT(out != NULL);
    out->arena = arena;
    out->event_count = 0;
    out->follow_count = 0;
    out->blocked_count = 0;
    out->answer = 0;
    out->refused = MW_OK;
    out->refusal = MW_STR_NONE;
    out->pointer = MW_STR_NONE;
    return out;
}

void mw_core_step(struct mw_core *core, const struct mw_request *request, struct mw_buf *frame,
                  struct mw_step_result *ret_result)
{
    MW_ASSERT(mw_request_info(request->kind)->from != MW_FROM_FOLLOW);
    MW_ASSERT(frame->grow != NULL || frame->cap - frame->len >= MW_STEP_ROOM_BYTES);
    *ret_result = (struct mw_step_result){0};
    mw_arena_reset(&core->arena);
    mw_core_forget_changes(core);
    if (answer_at_once(core, request, ret_result))
        return;
    if (mw_mem_room(&core->world.mem) < MW_STEP_MEMORY_BYTES && mw_request_begins(request->kind)) {
        ret_result->rc = MW_E_LIMIT;
        ret_result->refusal = MW_STR("the memory ceiling is reached: try later");
        return;
    }
    struct step step = {.core = core,
                        .outside = request,
                        .frame = frame,
                        .frame_start = frame->len,
                        .timestamp = mw_utc_text(&core->arena, request->now_us)};
    struct mw_out *out = new_out(&core->arena);
    /* Its bounds are generous and most steps use little of it: only what is used is written. */
    step.queue =
        mw_arena_alloc_unset(&core->arena, MW_STEP_FOLLOWS_MAX * sizeof(struct mw_request));
    MW_ASSERT(step.queue != NULL);
    decide(core, request, out);
    if (out->refused != MW_OK) {
        ret_result->rc = out->refused;
        ret_result->refusal = out->refusal;
        ret_result->pointer = out->pointer;
        return;
    }
    ret_result->noted = note_request(request, out);
    step.trace = out->answer;
    for (uint32_t i = 0; i < out->event_count; i++)
        emit(&step, request, out->events[i], true);
    for (uint32_t i = 0; i < out->follow_count; i++)
        follow(&step, out->follows[i].kind, out->follows[i].item,
               out->event_count > 0 ? out->events[out->event_count - 1] : NULL);
    run(&step);
    finish(&step, ret_result);
}

/* Results, timers and cancels are still taken then; they need the rest. */
static bool is_short_of_memory(const struct mw_core *core)
{
    return mw_mem_room(&core->world.mem) < MW_STEP_MEMORY_BYTES / 2;
}

/* What STEP_CONTINUED finds again in the state, so that it need not be done now. */
static bool is_resumable(const struct mw_request *request)
{
    switch (request->kind) {
    case MW_REQ_TERMINATE:
    case MW_REQ_DISPATCH:
    case MW_REQ_DELIVER:
    case MW_REQ_ENTER_STATE:
    case MW_REQ_CANCEL_INSIDE:
    case MW_REQ_TAKE_UP:
    case MW_REQ_TAKE_UP_INSIDE:
        return true;
    default:
        return false;
    }
}

static bool is_full(const struct step *step)
{
    return step->record_count > MW_STEP_RECORDS_MAX - 512 ||
           step->frame->len - step->frame_start > MW_STEP_BYTES_MAX / 2 ||
           step->queue_count - step->queue_at > MW_STEP_FOLLOWS_MAX - 1024 ||
           step->core->arena.used_bytes > step->core->arena.size_bytes / 4 * 3;
}

/* The trace ended earlier in this step, and everything of it is gone. */
static bool is_about_nothing(const struct step *step, const struct mw_request *request)
{
    return request->item != 0 && request->kind != MW_REQ_TAKE_UP &&
           mw_world_item(&step->core->world, request->item) == NULL &&
           mw_world_trace(&step->core->world, request->item) == NULL;
}

static void take(struct step *step, const struct mw_request *request)
{
    size_t mark = step->core->arena.used_bytes;
    if (is_about_nothing(step, request))
        return;
    struct mw_out *out = new_out(&step->core->arena);
    decide(step->core, request, out);
    MW_ASSERT(out->refused == MW_OK); /* a follow-up is never refused */
    mw_work_learn(&step->core->world, &step->core->work, out);
    for (uint32_t i = 0; i < out->event_count; i++)
        emit(step, request, out->events[i], false);
    for (uint32_t i = 0; i < out->follow_count; i++)
        follow(step, out->follows[i].kind, out->follows[i].item, request->cause);
    if (request->kind == MW_REQ_DISPATCH && out->event_count == 0)
        step->core->work.dirty = false;
    if (out->event_count == 0 && !step->core->arena.exhausted)
        step->core->arena.used_bytes = mark; /* it only looked: nothing points into its scratch */
}

/* Until quiet: what events became first; then, while something is ready and a slot is free, one dispatch after the other. */
static void run(struct step *step)
{
    for (;;) {
        while (step->queue_at < step->queue_count) {
            struct mw_request request = step->queue[step->queue_at++];
            if (is_resumable(&request) && is_full(step)) {
                step->continues = true;
                continue;
            }
            take(step, &request);
        }
        if (!mw_work_wants_dispatch(&step->core->work) || is_short_of_memory(step->core))
            return; /* what waits in state goes on once something has ended */
        if (is_full(step)) {
            step->continues = true;
            return;
        }
        follow(step, MW_REQ_DISPATCH, 0, step->freed);
    }
}

/* How many records a request made is known when they are made: then its first line is written once more and says it, so that a repeat hears the
 * same after any restart (P05). From that line, for what it was made of may have gone since. */
static void tell_records(struct step *step)
{
    struct mw_arena *arena = &step->core->arena;
    struct mw_buf *frame = step->frame;
    struct mw_buf line;
    struct mw_event event;
    const size_t was = step->asked_bytes, room = was + sizeof(",\"requestRecords\":") + 20;
    struct mw_str text =
        mw_arena_copy(arena, (struct mw_str){frame->ptr + step->frame_start, was - 1});
    enum mw_rc rc = mw_event_read(arena, text, &event, NULL);
    MW_ASSERT(rc == MW_OK && event.seq == step->first);
    event.request_records = step->record_count;
    mw_buf_init(&line, mw_arena_alloc_unset(arena, room), arena->exhausted ? 0 : room);
    mw_event_write(&event, &line);
    MW_ASSERT(!line.overflowed && line.len > was);
    mw_buf_put(frame, mw_str_sub(mw_buf_str(&line), was, line.len)); /* makes the room */
    MW_ASSERT(!frame->overflowed);
    char *first = frame->ptr + step->frame_start;
    memmove(first + line.len, first + was, frame->len - step->frame_start - line.len);
    memcpy(first, line.ptr, line.len);
    mw_remember_records(step->core, event.causation_id, step->record_count);
}

static void finish(struct step *step, struct mw_step_result *ret_result)
{
    if (step->continues) {
        struct mw_event *event = mw_arena_alloc(&step->core->arena, sizeof(*event));
        MW_ASSERT(event != NULL);
        event->kind = MW_EVT_STEP_CONTINUES;
        emit(step, step->outside, event, false);
    }
    if (step->asked_bytes > 0 && step->record_count > 1)
        tell_records(step);
    MW_ASSERT(!step->frame->overflowed);
    MW_ASSERT(!step->core->arena.exhausted);
    const struct mw_trace *trace = mw_world_trace(&step->core->world, step->trace);
    ret_result->first = step->first;
    ret_result->last = step->first > 0 ? step->core->world.last_seq : 0;
    ret_result->trace = step->trace;
    ret_result->trace_wire_id =
        trace != NULL ? mw_arena_copy(&step->core->arena, trace->wire_id) : step->trace_id;
}

static void decide(const struct mw_core *core, const struct mw_request *request, struct mw_out *out)
{
    enum mw_room room = mw_request_info(request->kind)->decider;
    const struct mw_item *item =
        room == MW_ROOM_OWNER ? mw_world_item(&core->world, request->item) : NULL;
    if (room == MW_ROOM_OWNER)
        room = item == NULL                    ? MW_ROOM_CORE
               : item->kind == MW_ITEM_RUN     ? MW_ROOM_WORKFLOW
               : item->kind == MW_ITEM_JOURNEY ? MW_ROOM_SESSION
               : item->kind == MW_ITEM_CHAIN   ? MW_ROOM_SESSION
               : item->kind == MW_ITEM_UNIT    ? MW_ROOM_REFINE
                                               : MW_ROOM_WORK;
    switch (room) {
    case MW_ROOM_CORE:
        mw_trace_decide(core, request, out);
        return;
    case MW_ROOM_SESSION:
        mw_session_decide(&core->world, &core->session, request, out);
        return;
    case MW_ROOM_WORKFLOW:
        mw_workflow_decide(&core->world, &core->memory, request, out);
        return;
    case MW_ROOM_REFINE:
        mw_refine_decide(&core->world, request, out);
        return;
    case MW_ROOM_WORK:
        mw_work_decide(&core->world, &core->work, request, out);
        return;
    case MW_ROOM_OWNER:
        break;
    }
    MW_UNREACHABLE("a room that does not decide");
}

static void follow(struct step *step, enum mw_request_kind kind, mw_seq item,
                   const struct mw_event *cause)
{
    if (step->queue_count == MW_STEP_FOLLOWS_MAX && step->queue_at > 0) {
        step->queue_count -= step->queue_at;
        for (uint32_t i = 0; i < step->queue_count; i++)
            step->queue[i] = step->queue[step->queue_at + i];
        step->queue_at = 0;
    }
    MW_ASSERT(step->queue_count < MW_STEP_FOLLOWS_MAX);
    step->queue[step->queue_count++] = (struct mw_request){.kind = kind,
                                                           .actor = step->outside->actor,
                                                           .now_us = step->outside->now_us,
                                                           .entropy = step->outside->entropy,
                                                           .item = item,
                                                           .cause = cause};
}

/* Fills what the decide left to the envelope. */
static void fill(struct step *step, const struct mw_request *request, struct mw_event *event,
                 bool from_outside)
{
    struct mw_core *core = step->core;
    struct mw_arena *arena = &core->arena;
    const struct mw_event_info *info = mw_event_info(event->kind);
    const struct mw_trace *trace = mw_world_trace(&core->world, event->trace);
    event->seq = core->world.last_seq + 1;
    if (event->type.len == 0)
        event->type = info->type;
    if (event->trace_id.len == 0)
        event->trace_id = trace != NULL ? trace->wire_id : MW_STR("workspace");
    if (event->session_id.len == 0) {
        mw_seq scope = event->scope_item != 0 ? event->scope_item : event->trace;
        /* A group that opens a scope is its own scope from its first record on. */
        event->session_id = event->kind == MW_EVT_GROUP_STARTED && event->scope_item == 0
                                ? mw_wire_id(&core->world, arena, "grp", event->seq)
                            : event->kind == MW_EVT_JOURNEY_STARTED
                                ? mw_wire_id(&core->world, arena, "b", event->seq)
                                : mw_scope_id(&core->world, arena, scope);
    }
    if (event->blueprint_id.len == 0 && trace != NULL)
        event->blueprint_id = mw_trace_more(trace)->blueprint_id;
    if (event->parent_trace_id.len == 0 && trace != NULL)
        event->parent_trace_id = mw_trace_more(trace)->parent_trace_id;
    if (event->component_tag.len == 0)
        event->component_tag = info->tag_start;
    event->timestamp = step->timestamp;
    if (event->kind == MW_EVT_INTENT_SUBMITTED)
        event->submitted_at = step->timestamp;
    if (event->kind == MW_EVT_RUN_STARTED)
        event->created_at = step->timestamp;
    event->message_id = mw_wire_id(&core->world, arena, "m", event->seq);
    if (event->kind == MW_EVT_JOURNAL_CREATED) /* it brings the id that all others are made of */
        event->message_id = mw_arena_format(arena, "m-%.*s-1", MW_STR_ARG(event->journal_id));
    event->causation_id = request->cause != NULL              ? request->cause->message_id
                          : step->outside->message_id.len > 0 ? step->outside->message_id
                          : step->outside->fence > 0 && step->outside->fence < event->seq
                              ? mw_wire_id(&core->world, arena, "m", step->outside->fence)
                              : MW_STR_NONE; /* the host began it: a journal, definitions */
    if (info->form == MW_FORM_EVENT && event->emitted_by.len == 0)
        event->emitted_by = info->component;
    if (from_outside) {
        event->actor = request->actor;
        if (step->first == 0 && request->message_id.len > 0) {
            event->causation_id = request->message_id;
            event->request_hash = request->body_hash;
        }
    }
}

/* "{AgentType}:{Task}": the task is the type's letters and digits. */
static void complete_tag(struct step *step, struct mw_event *event)
{
    if (!mw_str_ends(event->component_tag, MW_STR(":")))
        return;
    char *text = mw_arena_alloc(&step->core->arena, event->component_tag.len + event->type.len);
    size_t len = event->component_tag.len;
    MW_ASSERT(text != NULL);
    memcpy(text, event->component_tag.ptr, len);
    for (size_t i = 0; i < event->type.len; i++) {
        char c = event->type.ptr[i];
        if (c != '.' && c != '_')
            text[len++] = c;
    }
    event->component_tag = (struct mw_str){text, len};
}

/* The end of its task, which a result says too: the same message under its other name. */
static const struct mw_event *implied_end(struct step *step, const struct mw_event *result)
{
    struct mw_event *ended = mw_arena_alloc_unset(&step->core->arena, sizeof(*ended));
    MW_ASSERT(ended != NULL);
    *ended = *result;
    ended->kind = MW_EVT_TASK_ENDED;
    ended->type = MW_STR("TaskCompleted");
    return ended;
}

static void emit(struct step *step, const struct mw_request *request, struct mw_event *event,
                 bool from_outside)
{
    struct mw_core *core = step->core;
    const struct mw_event_info *info = mw_event_info(event->kind);
    fill(step, request, event, from_outside);
    complete_tag(step, event);
    mw_event_write(event, step->frame);
    step->record_count++;
    if (step->first == 0)
        step->first = event->seq;
    if (event->request_hash.len > 0)
        step->asked_bytes = step->frame->len - step->frame_start;
    /* What the caller asked about, not what became free beside it: the same as replay remembers. */
    if (event->seq == step->first) {
        step->trace = event->trace;
        step->trace_id = event->trace != 0 ? event->trace_id : MW_STR_NONE;
    }
    bool was_dirty = core->work.dirty;
    core->work.dirty = false;
    mw_core_apply(core, event);
    const struct mw_event *ended = event->kind == MW_EVT_TASK_RESULT && mw_event_ends_task(event)
                                       ? implied_end(step, event)
                                       : NULL;
    if (core->work.dirty)
        step->freed = ended != NULL ? ended : event;
    core->work.dirty = core->work.dirty || was_dirty;
    if (info->becomes == MW_REQUEST_COUNT)
        return;
    mw_seq item = mw_core_item_of(core, event);
    mw_seq to = info->to == MW_TO_SELF    ? item
                : info->to == MW_TO_OWNER ? event->owner
                                          : event->trace;
    follow(step, info->becomes, to, event);
    if (ended != NULL)
        follow(step, MW_REQ_NOTE_ENDED, mw_world_item(&core->world, item)->owner, ended);
}

/* ---- replay ---- */

enum mw_rc mw_core_replay(struct mw_core *core, struct mw_str line, struct mw_err *err)
{
    struct mw_event event;
    struct mw_err unread;
    mw_arena_reset(&core->arena);
    mw_core_forget_changes(core);
    enum mw_rc rc = mw_event_read(&core->arena, line, &event, &unread);
    if (rc != MW_OK)
        return MW_FAIL(err, rc, "record %lu: %s", (unsigned long)core->world.last_seq + 1,
                       unread.text);
    if (event.seq != core->world.last_seq + 1)
        return MW_FAIL(err, MW_E_CORRUPT, "record %lu follows record %lu", (unsigned long)event.seq,
                       (unsigned long)core->world.last_seq);
    mw_core_apply(core, &event);
    return MW_OK;
}
