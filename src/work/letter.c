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

/* ---- what it was given: the facts that it could see and was told of, so that it can be given them again ---- */

static bool names_fact(const struct mw_expr *expr, struct mw_str type)
{
    struct mw_expr_use use;
    for (uint32_t i = 0; expr != NULL && mw_expr_roots(expr, i, &use); i++)
        if (mw_str_is(use.root, "facts") && mw_str_eq(use.field, type))
            return true;
    return false;
}

/* Its payload goes back as it was made; everything else of it is made anew. */
static bool reads_fact(const struct mw_task_def *def, struct mw_str type)
{
    for (uint32_t i = 0; i < def->context_count; i++)
        if (mw_str_eq(def->context[i], type))
            return true;
    for (uint32_t i = 0; i < def->owns_count; i++)
        if (names_fact(def->owns[i], type))
            return true;
    return names_fact(def->subject, type) || names_fact(def->domain, type) ||
           names_fact(def->key, type);
}

static void write_input(const struct mw_world *world, const struct mw_work *work,
                        const struct mw_order *order, const struct mw_fact *fact,
                        struct mw_json *json)
{
    const struct mw_task_def *def = order->def;
    struct mw_str task_type = MW_STR_NONE, agent_id = MW_STR_NONE;
    bool seen = fact->scope == 0 || fact->scope == order->scope;
    bool files = fact->files_sha256.len > 0 &&
                 (def->inputs == MW_INPUTS_TRACE || (def->inputs == MW_INPUTS_SCOPE && seen));
    bool words = (seen && reads_fact(def, fact->type)) || fact->seq == order->place.event_fact;
    if (!files && !words)
        return;
    mw_json_object(json);
    mw_json_ku64(json, "fact", fact->seq);
    mw_json_kstr(json, "type", fact->type);
    mw_json_ku64(json, "task", fact->task);
    if (mw_work_author(world, work, order->trace, fact->task, &task_type, &agent_id)) {
        mw_json_kstr(json, "taskType", task_type);
        mw_json_kstr(json, "agentId", agent_id);
    }
    if (fact->key.len > 0)
        mw_json_kstr(json, "key", fact->key);
    if (words && fact->body.len > 0)
        mw_json_kraw(json, "payload", fact->body);
    if (words && fact->body_sha256.len > 0)
        mw_json_kstr(json, "payloadSha256", fact->body_sha256);
    if (files)
        mw_json_kstr(json, "filesSha256", fact->files_sha256);
    mw_json_object_end(json);
}

/* Oldest first. None: empty. More than a record holds: their number instead, and it cannot be put back. */
static struct mw_str inputs_of(const struct mw_world *world, const struct mw_work *work,
                               const struct mw_order *order, struct mw_arena *arena)
{
    uint32_t count = 0;
    for (const struct mw_fact *fact = order->trace->newest_fact; fact != NULL; fact = fact->older)
        count++;
    const struct mw_fact **facts = mw_arena_array(arena, const struct mw_fact *, count + 1);
    struct mw_buf text;
    struct mw_json json;
    uint32_t at = count;
    for (const struct mw_fact *fact = order->trace->newest_fact; fact != NULL; fact = fact->older)
        facts[--at] = fact;
    mw_arena_text_begin(arena, &text);
    mw_json_init(&json, &text);
    mw_json_array(&json);
    for (uint32_t i = 0; i < count && text.len <= MW_LETTER_INPUTS_BYTES_MAX; i++)
        write_input(world, work, order, facts[i], &json);
    mw_json_array_end(&json);
    struct mw_str list = mw_arena_text_keep(arena, &text);
    if (list.len > MW_LETTER_INPUTS_BYTES_MAX || mw_json_is_deeper(list, MW_JSON_MADE_DEPTH_MAX))
        return mw_arena_format(arena, "%u", count);
    return mw_str_is(list, "[]") ? MW_STR_NONE : list;
}

void mw_letter_write(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_task *task, const struct mw_request *request,
                     struct mw_out *out)
{
    struct mw_order order = mw_task_order(world, task, request);
    const struct mw_item *owner = mw_world_item(world, task->item.owner);
    struct mw_str payload, why;
    MW_ASSERT(order.def != NULL);
    /* P06: of one that is asked at most once there is no other try. */
    if (owner != NULL && owner->tries_again && !order.def->no_retry)
        return;
    struct mw_event *event = mw_out_event(out, MW_EVT_TASK_DEAD);
    mw_event_about(world, out, event, &task->item);
    event->task_type = order.def->skill;
    event->event_type = order.def->expects[0];
    event->attempt = task->attempt;
    event->fence = task->fence;
    event->agent_id = task->agent > 0 ? work->agents[task->agent - 1].id : MW_STR_NONE;
    event->error_class = request->cause->error_class.len > 0 ? request->cause->error_class
                         : request->cause->kind == MW_EVT_TASK_TIMED_OUT ? MW_STR("timeout")
                         : request->cause->kind == MW_EVT_ROUTING_FAILED ? MW_STR("routing")
                                                                         : MW_STR_NONE;
    event->reason = request->cause->reason;
    event->evidence = request->cause->evidence;
    event->task_def = task->def;
    event->catalogue = order.trace->catalogue_sha256;
    event->document = task->document;
    event->node = task->node;
    event->outer_document = task->outer_document;
    event->outer_node = task->outer_node;
    event->documents = documents_of(order.trace, out->arena);
    event->intent_body = order.trace->intent_body;
    event->fact = task->event_fact;
    event->inputs = inputs_of(world, work, &order, out->arena);
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
        .event_fact = event->fact,
        .inputs_hash = event->inputs.len > 0 ? mw_str_hash(event->inputs) : 0,
        .catalogue_hash = event->catalogue.len > 0 ? mw_str_hash(event->catalogue) : 0,
        .def = (uint32_t)event->task_def,
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

/* They stand in the new trace as they stood in the old one, and all of it sees them. */
static void take_inputs(struct mw_world *world, struct mw_trace *trace, struct mw_str list)
{
    struct mw_tape tape;
    struct mw_err err;
    uint32_t count = 0;
    if (list.len == 0 || mw_json_parse(world->scratch, list, &tape, &err) != MW_OK)
        return;
    struct mw_trace_more *more = mw_trace_make_more(world, trace);
    more->letter_authors = mw_pool_alloc(&trace->pool, &world->mem,
                                         (mw_node_count(&tape, 0) + 1) * sizeof(struct mw_author));
    for (uint32_t at = mw_node_first(&tape, 0); at != MW_NODE_NONE;
         at = mw_node_after(&tape, 0, at)) {
        uint32_t payload = mw_node_get(&tape, at, "payload");
        struct mw_event made = {
            .seq = (mw_seq)mw_node_int(&tape, mw_node_get(&tape, at, "fact"), 0),
            .item = (mw_seq)mw_node_int(&tape, mw_node_get(&tape, at, "task"), 0),
            .trace = trace->id,
            .trace_wide = true,
            .type = mw_node_get_text(&tape, at, "type"),
            .key = mw_node_get_text(&tape, at, "key"),
            .body = payload != MW_NODE_NONE ? tape.nodes[payload].text : MW_STR_NONE,
            .body_sha256 = mw_node_get_text(&tape, at, "payloadSha256"),
            .files_sha256 = mw_node_get_text(&tape, at, "filesSha256")};
        mw_task_add_fact(world, &made);
        more->letter_authors[count++] = (struct mw_author){
            .task = made.item,
            .task_type =
                mw_pool_copy(&trace->pool, &world->mem, mw_node_get_text(&tape, at, "taskType")),
            .agent_id =
                mw_pool_copy(&trace->pool, &world->mem, mw_node_get_text(&tape, at, "agentId"))};
    }
    more->letter_author_count = count;
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
    take_inputs(world, trace, event->inputs);
    if (mw_json_parse(world->scratch, event->documents, &tape, &err) != MW_OK)
        return; /* a record without documents: nothing of it is asked for by its definition */
    uint32_t index = 0;
    for (uint32_t at = mw_node_first(&tape, 0); at != MW_NODE_NONE && index < MW_DOCUMENTS_MAX;
         at = mw_node_after(&tape, 0, at), index++)
        mw_trace_set_document_sha256(world, trace, index, mw_node_str(&tape, at));
}

void mw_letters_lie_again(struct mw_work *work, mw_seq trace)
{
    for (uint32_t i = 0; i < work->letter_count; i++)
        if (work->letters[i].put_back == trace)
            work->letters[i].put_back = 0;
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
        mw_buf_printf(buf, "letter %lu %.*s %.*s payload=%lx back=%lu", (unsigned long)letter->task,
                      MW_STR_ARG(letter->skill), MW_STR_ARG(letter->trace_id),
                      (unsigned long)letter->payload_hash, (unsigned long)letter->put_back);
        /* Absent in journals of releases that did not note it. */
        if (letter->inputs_hash != 0)
            mw_buf_printf(buf, " inputs=%lx event=%lu", (unsigned long)letter->inputs_hash,
                          (unsigned long)letter->event_fact);
        if (letter->catalogue_hash != 0)
            mw_buf_printf(buf, " def=%u of=%lx", letter->def,
                          (unsigned long)letter->catalogue_hash);
        mw_buf_put_c(buf, '\n');
    }
}
