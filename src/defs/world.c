#include "defs/world.h"

#include <string.h>

static const char *const outcome_names[] = {"open", "completed", "failed", "cancelled"};
static const char *const item_prefixes[] = {"t", "grp", "svc", "run", "unit", "b", "chain"};

struct mw_event *mw_out_event(struct mw_out *out, enum mw_event_kind kind)
{
    MW_ASSERT(out->event_count < MW_OUT_EVENTS_MAX);
    struct mw_event *event = mw_arena_alloc(out->arena, sizeof(*event));
    MW_ASSERT(event != NULL);
    event->kind = kind;
    out->events[out->event_count++] = event;
    return event;
}

void mw_out_refuse(struct mw_out *out, enum mw_rc rc, const char *pointer, struct mw_str words)
{
    MW_ASSERT(out->event_count == 0);
    MW_ASSERT(rc != MW_OK);
    out->refused = rc;
    out->pointer = mw_str_of(pointer);
    out->refusal = words;
}

mw_seq mw_out_next_seq(const struct mw_world *world, const struct mw_out *out)
{
    return world->last_seq + out->event_count + 1;
}

void mw_out_follow(struct mw_out *out, enum mw_request_kind kind, mw_seq item)
{
    MW_ASSERT(out->follow_count < MW_OUT_FOLLOWS_MAX);
    out->follows[out->follow_count].kind = kind;
    out->follows[out->follow_count++].item = item;
}

struct mw_item *mw_world_item(const struct mw_world *world, mw_seq id)
{
    return mw_table_get(&world->items, id);
}

struct mw_trace *mw_world_trace(const struct mw_world *world, mw_seq id)
{
    return mw_table_get(&world->traces, id);
}

struct mw_trace *mw_world_trace_of(const struct mw_world *world, const struct mw_item *item)
{
    struct mw_trace *trace = mw_world_trace(world, item->trace);
    MW_ASSERT(trace != NULL);
    return trace;
}

const struct mw_trace_more *mw_trace_more(const struct mw_trace *trace)
{
    static const struct mw_trace_more nothing;
    return trace->more != NULL ? trace->more : &nothing;
}

struct mw_trace_more *mw_trace_make_more(struct mw_world *world, struct mw_trace *trace)
{
    if (trace->more == NULL)
        trace->more = mw_pool_alloc(&trace->pool, &world->mem, sizeof(*trace->more));
    return trace->more;
}

struct mw_str mw_trace_document_sha256(const struct mw_trace *trace, uint32_t index,
                                       char hex[MW_TRACE_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    MW_ASSERT(index < MW_DOCUMENTS_MAX);
    if (index > 0 || !trace->has_intent_sha256)
        return mw_trace_more(trace)->document_sha256[index];
    for (size_t i = 0; i < sizeof(trace->intent_sha256); i++) {
        hex[i * 2] = digits[trace->intent_sha256[i] >> 4];
        hex[i * 2 + 1] = digits[trace->intent_sha256[i] & 15];
    }
    return (struct mw_str){hex, MW_TRACE_SHA256_HEX};
}

/* What is not written as we write it is kept as it came. */
static bool to_bytes(struct mw_str hex, uint8_t bytes[MW_TRACE_SHA256_HEX / 2])
{
    if (hex.len != MW_TRACE_SHA256_HEX)
        return false;
    for (size_t i = 0; i < hex.len; i++) {
        char c = hex.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        uint8_t digit = (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        bytes[i / 2] = i % 2 == 0 ? (uint8_t)(digit << 4) : (uint8_t)(bytes[i / 2] | digit);
    }
    return true;
}

void mw_trace_set_document_sha256(struct mw_world *world, struct mw_trace *trace, uint32_t index,
                                  struct mw_str sha256)
{
    MW_ASSERT(index < MW_DOCUMENTS_MAX);
    if (index == 0)
        trace->has_intent_sha256 = to_bytes(sha256, trace->intent_sha256);
    if ((index == 0 && trace->has_intent_sha256) ||
        (sha256.len == 0 && mw_trace_more(trace)->document_sha256[index].len == 0))
        return;
    mw_trace_make_more(world, trace)->document_sha256[index] =
        mw_pool_copy(&trace->pool, &world->mem, sha256);
}

const struct mw_catalogue *mw_world_catalogue(const struct mw_world *world,
                                              const struct mw_trace *trace)
{
    return world->catalogue(world->host, trace->catalogue_sha256);
}

const struct mw_journey_def *mw_world_documents(const struct mw_world *world,
                                                const struct mw_trace *trace)
{
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    if (catalogue == NULL)
        return NULL;
    return mw_trace_more(trace)->journey.len > 0
               ? mw_catalogue_journey(catalogue, mw_trace_more(trace)->journey)
               : catalogue->lone;
}

struct mw_str mw_wire_id(const struct mw_world *world, struct mw_arena *arena, const char *prefix,
                         mw_seq seq)
{
    /* Every record has a few of them: put together by hand. */
    struct mw_buf text;
    mw_arena_text_begin(arena, &text);
    mw_buf_put_z(&text, prefix);
    mw_buf_put_c(&text, '-');
    mw_buf_put(&text, world->journal_id);
    mw_buf_put_c(&text, '-');
    mw_buf_put_u64(&text, seq);
    size_t len = text.len;
    mw_buf_put_c(&text, '\0');
    struct mw_str kept = mw_arena_text_keep(arena, &text);
    return kept.len > 0 ? mw_str_sub(kept, 0, len) : kept;
}

struct mw_str mw_scope_id(const struct mw_world *world, struct mw_arena *arena, mw_seq scope)
{
    const struct mw_item *item = mw_world_item(world, scope);
    if (item != NULL)
        return mw_wire_id(world, arena, item_prefixes[item->kind], scope);
    return mw_world_trace(world, scope) != NULL ? mw_wire_id(world, arena, "s", scope)
                                                : MW_STR("workspace");
}

void mw_event_about(const struct mw_world *world, struct mw_out *out, struct mw_event *event,
                    const struct mw_item *item)
{
    event->item = item->id;
    event->trace = item->trace;
    event->owner = item->owner;
    if (event->scope_item == 0)
        event->scope_item = item->scope != 0 ? item->scope : item->id;
    if (item->kind == MW_ITEM_TASK)
        event->task_id = mw_wire_id(world, out->arena, "t", item->id);
}

struct mw_item *mw_world_add_item(struct mw_world *world, const struct mw_event *event,
                                  enum mw_item_kind kind, size_t size_bytes)
{
    struct mw_trace *trace = mw_world_trace(world, event->trace);
    MW_ASSERT(trace != NULL);
    MW_ASSERT(size_bytes >= sizeof(struct mw_item));
    struct mw_item *item = mw_pool_alloc(&trace->pool, &world->mem, size_bytes);
    item->id = event->seq;
    item->owner = event->owner;
    item->trace = event->trace;
    item->scope = event->scope_item;
    item->kind = (uint8_t)kind;
    item->older = trace->newest_item;
    trace->newest_item = item;
    trace->open_items++;
    mw_table_put(&world->items, &world->mem, item);
    return item;
}

void mw_world_end_item(struct mw_world *world, struct mw_item *item, enum mw_outcome outcome)
{
    MW_ASSERT(item->outcome == MW_OUTCOME_OPEN);
    MW_ASSERT(outcome != MW_OUTCOME_OPEN);
    item->outcome = (uint8_t)outcome;
    mw_world_trace_of(world, item)->open_items--;
}

const char *mw_outcome_name(enum mw_outcome outcome)
{
    MW_ASSERT((unsigned)outcome < MW_COUNT(outcome_names));
    return outcome_names[outcome];
}

enum mw_outcome mw_outcome_by_name(struct mw_str name)
{
    for (unsigned i = 0; i < MW_COUNT(outcome_names); i++)
        if (mw_str_is(name, outcome_names[i]))
            return (enum mw_outcome)i;
    return MW_OUTCOME_OPEN;
}

const struct mw_fact *mw_world_fact(const struct mw_trace *trace, struct mw_str type,
                                    struct mw_str key, mw_seq scope)
{
    for (const struct mw_fact *fact = trace->newest_fact; fact != NULL; fact = fact->older)
        if ((fact->scope == 0 || fact->scope == scope) && mw_str_eq(fact->type, type) &&
            (key.len == 0 || mw_str_eq(fact->key, key)))
            return fact;
    return NULL;
}
