#include "core/internal.h"

/* Numbers of a table in rising order, so that the text does not depend on where slots fell. One look over the table finds some at once. */
#define WINDOW_MAX 512u

struct window {
    uint64_t keys[WINDOW_MAX]; /* rising */
    uint32_t count;
    uint32_t at;
};

static void fill(struct window *window, const struct mw_table *table, uint64_t after)
{
    window->count = 0;
    window->at = 0;
    for (uint32_t i = 0; i < table->cap; i++) {
        const uint64_t *number = mw_table_at(table, i);
        uint64_t key = number != NULL ? *number : 0;
        if (key <= after || (window->count == WINDOW_MAX && key > window->keys[WINDOW_MAX - 1]))
            continue;
        uint32_t place = window->count < WINDOW_MAX ? window->count++ : WINDOW_MAX - 1;
        for (; place > 0 && window->keys[place - 1] > key; place--)
            window->keys[place] = window->keys[place - 1];
        window->keys[place] = key;
    }
}

static uint64_t next_key(struct window *window, const struct mw_table *table, uint64_t after)
{
    if (window->at == window->count)
        fill(window, table, after);
    return window->at < window->count ? window->keys[window->at++] : UINT64_MAX;
}

static void dump_item(const struct mw_item *item, struct mw_buf *buf)
{
    static const char *const kinds[] = {"task", "group",   "coordinator", "run",
                                        "unit", "journey", "chain"};
    mw_buf_printf(buf, "%s %lu owner=%lu scope=%lu ask=%lu %s", kinds[item->kind],
                  (unsigned long)item->id, (unsigned long)item->owner, (unsigned long)item->scope,
                  (unsigned long)item->ask, mw_outcome_name((enum mw_outcome)item->outcome));
    switch ((enum mw_item_kind)item->kind) {
    case MW_ITEM_TASK:
    case MW_ITEM_GROUP:
    case MW_ITEM_COORDINATOR:
        mw_work_dump_item(item, buf);
        break;
    case MW_ITEM_RUN:
        mw_workflow_dump_item(item, buf);
        break;
    case MW_ITEM_UNIT:
        mw_refine_dump_item(item, buf);
        break;
    case MW_ITEM_JOURNEY:
        mw_session_dump_item(item, buf);
        break;
    case MW_ITEM_CHAIN:
        mw_chain_dump_item(item, buf);
        break;
    }
    mw_buf_put_c(buf, '\n');
}

static void dump_trace(const struct mw_trace *trace, struct mw_buf *buf)
{
    mw_buf_printf(
        buf,
        "trace %lu %.*s blueprint=%.*s catalogue=%.*s priority=%u paused=%d cancelled=%d open=%u\n",
        (unsigned long)trace->id, MW_STR_ARG(trace->wire_id),
        MW_STR_ARG(mw_trace_more(trace)->blueprint_id), MW_STR_ARG(trace->catalogue_sha256),
        (unsigned)trace->priority, (int)trace->paused, (int)trace->cancelled, trace->open_items);
    if (mw_trace_more(trace)->letter_payload.len > 0)
        mw_buf_printf(buf, "letter payload %lx\n",
                      (unsigned long)mw_str_hash(mw_trace_more(trace)->letter_payload));
    for (uint32_t i = 0; i < MW_DOCUMENTS_MAX; i++) {
        char hex[MW_TRACE_SHA256_HEX];
        mw_buf_printf(buf, "document %u %.*s\n", i,
                      MW_STR_ARG(mw_trace_document_sha256(trace, i, hex)));
    }
    for (const struct mw_item *item = trace->newest_item; item != NULL; item = item->older)
        dump_item(item, buf);
    for (const struct mw_fact *fact = trace->newest_fact; fact != NULL; fact = fact->older)
        mw_buf_printf(buf, "fact %lu %.*s key=%.*s scope=%lu task=%lu files=%.*s body=%.*s\n",
                      (unsigned long)fact->seq, MW_STR_ARG(fact->type), MW_STR_ARG(fact->key),
                      (unsigned long)fact->scope, (unsigned long)fact->task,
                      MW_STR_ARG(fact->files_sha256), MW_STR_ARG(fact->body));
}

void mw_core_dump(const struct mw_core *core, struct mw_buf *buf)
{
    const struct mw_world *world = &core->world;
    mw_buf_printf(buf, "seq %lu journal %.*s catalogue %.*s remembered %u ended %lu\n",
                  (unsigned long)world->last_seq, MW_STR_ARG(world->journal_id),
                  MW_STR_ARG(core->catalogue_sha256), core->remembered_index.count,
                  (unsigned long)core->traces_ended);
    if (core->forgotten_ms > 0)
        mw_buf_printf(buf, "remembered after %ld\n", (long)core->forgotten_ms);
    mw_session_dump(&core->session, buf);
    mw_memory_dump(&core->memory, buf);
    mw_work_dump(world, &core->work, buf);
    struct window traces = {.count = 0}, asks = {.count = 0};
    for (uint64_t key = next_key(&traces, &world->traces, 0); key != UINT64_MAX;
         key = next_key(&traces, &world->traces, key))
        dump_trace(mw_table_get(&world->traces, key), buf);
    for (uint64_t key = next_key(&asks, &world->asks, 0); key != UINT64_MAX;
         key = next_key(&asks, &world->asks, key)) {
        const struct mw_ask *ask = mw_table_get(&world->asks, key);
        mw_buf_printf(buf, "ask %lu item=%lu opens=%u due=%ld\n", (unsigned long)ask->seq,
                      (unsigned long)ask->item, (unsigned)ask->opens, (long)ask->due_us);
    }
}

void mw_core_dump_left(const struct mw_core *core, struct mw_buf *buf)
{
    uint64_t sum = 0, mixed = 0;
    for (uint32_t i = 0; i < core->trace_names.cap; i++) {
        uint64_t key = core->trace_names.keys[i];
        sum += key;
        mixed ^= key * 0x9e3779b97f4a7c15u;
    }
    mw_buf_printf(buf, "names %u %lx %lx\n", core->trace_names.count, (unsigned long)sum,
                  (unsigned long)mixed);
    mw_buf_printf(buf, "forgotten %lu %ld\n", (unsigned long)core->forgotten_seq,
                  (long)core->forgotten_ms);
    /* From the oldest on: where in the ring it lies says nothing. */
    for (uint32_t i = 0; i < MW_REMEMBERED_MAX; i++) {
        uint32_t index = (core->remembered_at + i) % MW_REMEMBERED_MAX;
        const struct mw_remembered *entry = mw_remembered_at(core, index);
        if (entry == NULL) /* nor is any other in its part */
            i += MW_REMEMBERED_PART - 1 - index % MW_REMEMBERED_PART;
        else if (entry->id_hash != 0)
            mw_buf_printf(buf, "remembered %lx %lx %lu %u %lu %ld %.*s\n",
                          (unsigned long)entry->id_hash, (unsigned long)entry->body_hash,
                          (unsigned long)entry->seq, (unsigned)entry->record_count,
                          (unsigned long)entry->trace, (long)entry->made_ms,
                          MW_STR_ARG(mw_shared_str(entry->trace_id)));
    }
    mw_work_dump_left(&core->work, buf);
    mw_session_dump_left(&core->session, buf);
}
