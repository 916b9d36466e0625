#include "core/internal.h"

#include <string.h>

/* Requests of callers, so that one asked twice is done once (P05). The ring forgets the oldest; ids and bodies are kept as hashes. */

static uint64_t id_hash(struct mw_str message_id)
{
    uint64_t hash = mw_str_hash(message_id);
    return hash != 0 ? hash : 1;
}

const struct mw_remembered *mw_remembered_find(const struct mw_core *core, struct mw_str message_id)
{
    return mw_table_get(&core->remembered_index, id_hash(message_id));
}

bool mw_core_knows(const struct mw_core *core, struct mw_str message_id)
{
    return message_id.len > 0 && mw_remembered_find(core, message_id) != NULL;
}

struct mw_remembered *mw_remembered_at(const struct mw_core *core, uint32_t index)
{
    MW_ASSERT(index < MW_REMEMBERED_MAX);
    struct mw_remembered *part = core->remembered[index / MW_REMEMBERED_PART];
    return part != NULL ? &part[index % MW_REMEMBERED_PART] : NULL;
}

static struct mw_remembered *next_place(struct mw_core *core)
{
    uint32_t index = core->remembered_at;
    struct mw_remembered **part = &core->remembered[index / MW_REMEMBERED_PART];
    if (*part == NULL)
        *part = mw_mem_alloc(&core->world.mem, MW_REMEMBERED_PART * sizeof(**part));
    core->remembered_at = (index + 1) % MW_REMEMBERED_MAX;
    return mw_remembered_at(core, index);
}

/* A name that the caller chose; all others can be made again. It is the trace's own while there is one. */
static struct mw_shared *own_name(struct mw_core *core, const struct mw_event *event)
{
    const struct mw_trace *trace = mw_world_trace(&core->world, event->trace);
    if (event->trace == 0 ||
        mw_str_eq(event->trace_id, mw_wire_id(&core->world, &core->arena, "tr", event->trace)))
        return NULL;
    return trace != NULL && mw_str_eq(trace->wire_id, event->trace_id)
               ? mw_shared_hold(mw_shared_of(trace->wire_id))
               : mw_shared_make(&core->world.mem, event->trace_id);
}

struct mw_str mw_remembered_trace_id(struct mw_core *core, const struct mw_remembered *known)
{
    return known->trace == 0         ? MW_STR_NONE
           : known->trace_id != NULL ? mw_shared_str(known->trace_id)
                                     : mw_wire_id(&core->world, &core->arena, "tr", known->trace);
}

void mw_remember(struct mw_core *core, const struct mw_event *event)
{
    struct mw_remembered *entry = next_place(core);
    if (entry->id_hash != 0)
        mw_table_remove(&core->remembered_index, entry->id_hash);
    mw_shared_drop(&core->world.mem, entry->trace_id);
    *entry = (struct mw_remembered){.id_hash = id_hash(event->causation_id),
                                    .body_hash = mw_str_hash(event->request_hash),
                                    .seq = event->seq,
                                    .trace = event->trace,
                                    .trace_id = own_name(core, event)};
    mw_table_put(&core->remembered_index, &core->world.mem, entry);
}

/* RFC 9562: 48 bits of Unix milliseconds, then version 7. */
bool mw_message_id_is_old(struct mw_str message_id, int64_t now_us)
{
    int64_t millis = 0;
    if (message_id.len != 36 || message_id.ptr[14] != '7')
        return false;
    for (size_t i = 0; i < 13; i++) {
        if (i == 8)
            continue;
        int digit = mw_hex_value(message_id.ptr[i]);
        if (digit < 0)
            return false;
        millis = millis * 16 + digit;
    }
    return millis < (now_us - MW_REMEMBERED_US) / 1000;
}
