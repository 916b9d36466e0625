#include "work/internal.h"

#include <string.h>

/*
 * Dead letters (P08): a task that failed for good, with what it was told and why nobody could do it. The records keep the evidence; the state
 * keeps what is needed to put one back.
 */

static struct mw_str documents_of(const struct mw_trace *trace, struct mw_arena *arena)
{
    struct mw_buf text;
    struct mw_json json;
    size_t size_bytes = (MW_DOCUMENTS_MAX + 1) * 72;
    char *memory = mw_arena_alloc(arena, size_bytes);
    MW_ASSERT(memory != NULL);
    mw_buf_init(&text, memory, size_bytes);
    mw_json_init(&json, &text);
    mw_json_array(&json);
    for (uint32_t i = 0; i < MW_DOCUMENTS_MAX; i++) {
        char hex[MW_TRACE_SHA256_HEX];
        struct mw_str sha256 = mw_trace_document_sha256(trace, i, hex);
        mw_json_str(&json, sha256.len > 0 ? sha256 : MW_STR(""));
    }
    mw_json_array_end(&json);
    return mw_buf_str(&text);
}

void mw_letter_write(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_task *task, const struct mw_request *request,
                     struct mw_out *out)
{
    struct mw_order order = mw_task_order(world, task, request);
    struct mw_str payload, why;
    MW_ASSERT(order.def != NULL);
    struct mw_event *event = mw_out_event(out, MW_EVT_TASK_DEAD);
    mw_event_about(world, out, event, &task->item);
    event->task_type = order.def->skill;
    event->event_type = order.def->expects[0];
    event->attempt = task->attempt;
    event->fence = task->fence;
    event->agent_id = task->agent > 0 ? work->agents[task->agent - 1].id : MW_STR_NONE;
    event->error_class = request->cause->kind == MW_EVT_TASK_TIMED_OUT ? MW_STR("timeout")
                         : request->cause->kind == MW_EVT_ROUTING_FAILED
                             ? MW_STR("routing")
                             : request->cause->error_class;
    event->reason = request->cause->reason;
    event->evidence = request->cause->evidence;
    event->document = task->document;
    event->node = task->node;
    event->outer_document = task->outer_document;
    event->outer_node = task->outer_node;
    event->documents = documents_of(order.trace, out->arena);
    event->intent_body = order.trace->intent_body;
    event->letter = task->letter; /* it was put back before, and came to nothing again */
    if (mw_task_payload(world, &order, out, &payload, &why))
        event->task_payload = payload;
}

const struct mw_letter *mw_work_letter(const struct mw_work *work, mw_seq task)
{
    for (uint32_t i = 0; task != 0 && i < work->letter_count; i++)
        if (work->letters[i].task == task)
            return &work->letters[i];
    return NULL;
}

static struct mw_str keep(struct mw_world *world, struct mw_str s)
{
    if (s.len == 0)
        return MW_STR_NONE;
    char *copy = mw_mem_alloc(&world->mem, s.len + 1);
    memcpy(copy, s.ptr, s.len);
    return (struct mw_str){copy, s.len};
}

static void release(struct mw_world *world, struct mw_str s)
{
    if (s.len > 0)
        mw_mem_free(&world->mem, (void *)(uintptr_t)s.ptr, s.len + 1);
}

static void apply_dead(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    if (work->letters == NULL)
        work->letters = mw_mem_alloc(&world->mem, MW_LETTERS_MAX * sizeof(*work->letters));
    struct mw_letter *letter = &work->letters[work->letter_at];
    work->letter_at = (work->letter_at + 1) % MW_LETTERS_MAX;
    if (work->letter_count < MW_LETTERS_MAX) {
        work->letter_count++;
    } else {
        release(world, letter->skill);
        release(world, letter->expects);
        release(world, letter->trace_id);
        release(world, letter->documents);
        release(world, letter->intent_body);
    }
    *letter = (struct mw_letter){
        .task = event->item,
        .payload_hash = event->task_payload.len > 0 ? mw_str_hash(event->task_payload) : 0,
        .skill = keep(world, event->task_type),
        .expects = keep(world, event->event_type),
        .trace_id = keep(world, event->trace_id),
        .documents = keep(world, event->documents),
        .intent_body = keep(world, event->intent_body),
        .document = (uint32_t)event->document,
        .node = (uint32_t)event->node,
        .outer_document = (uint32_t)event->outer_document,
        .outer_node = (uint32_t)event->outer_node};
}

static void apply_put_back(struct mw_world *world, struct mw_work *work,
                           const struct mw_event *event)
{
    struct mw_trace *trace = mw_world_trace(world, event->trace);
    struct mw_tape tape;
    struct mw_err err;
    MW_ASSERT(trace != NULL);
    for (uint32_t i = 0; i < work->letter_count; i++)
        if (work->letters[i].task == event->letter)
            work->letters[i].put_back = event->trace;
    mw_trace_make_more(world, trace)->letter_payload =
        mw_pool_copy(&trace->pool, &world->mem, event->task_payload);
    trace->intent_body = mw_pool_copy(&trace->pool, &world->mem, event->intent_body);
    if (mw_json_parse(world->scratch, event->documents, &tape, &err) != MW_OK)
        return; /* a record without documents: nothing of it is asked for by its definition */
    uint32_t index = 0;
    for (uint32_t at = mw_node_first(&tape, 0); at != MW_NODE_NONE && index < MW_DOCUMENTS_MAX;
         at = mw_node_after(&tape, 0, at), index++)
        mw_trace_set_document_sha256(world, trace, index, mw_node_str(&tape, at));
}

void mw_letter_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    if (event->kind == MW_EVT_TASK_DEAD)
        apply_dead(world, work, event);
    else
        apply_put_back(world, work, event);
}

void mw_letters_dump(const struct mw_work *work, struct mw_buf *buf)
{
    for (uint32_t i = 0; i < work->letter_count; i++) {
        const struct mw_letter *letter = &work->letters[i];
        mw_buf_printf(buf, "letter %lu %.*s %.*s payload=%lx back=%lu\n",
                      (unsigned long)letter->task, MW_STR_ARG(letter->skill),
                      MW_STR_ARG(letter->trace_id), (unsigned long)letter->payload_hash,
                      (unsigned long)letter->put_back);
    }
}
