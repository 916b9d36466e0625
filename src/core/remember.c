#include "base/time.h"
#include "core/internal.h"

#include <string.h>

/* Requests of callers, so that one asked twice is done once (P05). The ring forgets the oldest, and keeps how new the newest of those was: what
 * says it is no newer is not done, for it may have been. Ids and bodies are kept as hashes. */

static int64_t millis_of(struct mw_str message_id);

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

/* A clock that was ahead, the caller's, does not move the window ahead of what was done. */
static uint64_t made_ms(const struct mw_event *event)
{
    int64_t millis = millis_of(event->causation_id), recorded_us = 0;
    if (millis < 0 || !mw_utc_us(event->timestamp, &recorded_us) || recorded_us < 0)
        return 0;
    return (uint64_t)(millis < recorded_us / 1000 ? millis : recorded_us / 1000);
}

/* One that does not say it made one record, or is of a release that did not say it and answered so. */
static uint16_t record_count(const struct mw_event *event)
{
    uint64_t count = event->request_records;
    return count == 0 ? 1 : count < UINT16_MAX ? (uint16_t)count : UINT16_MAX;
}

static void forget(struct mw_core *core, const struct mw_remembered *entry)
{
    if (mw_table_get(&core->remembered_index, entry->id_hash) == entry)
        mw_table_remove(&core->remembered_index, entry->id_hash);
    if ((int64_t)entry->made_ms > core->forgotten_ms) {
        core->forgotten_ms = (int64_t)entry->made_ms;
        core->forgotten_seq = entry->seq;
    }
}

void mw_remember(struct mw_core *core, const struct mw_event *event)
{
    struct mw_remembered *entry = next_place(core);
    if (entry->id_hash != 0)
        forget(core, entry);
    mw_shared_drop(&core->world.mem, entry->trace_id);
    *entry = (struct mw_remembered){.id_hash = id_hash(event->causation_id),
                                    .body_hash = mw_str_hash(event->request_hash),
                                    .seq = event->seq,
                                    .trace = event->trace,
                                    .made_ms = made_ms(event),
                                    .record_count = record_count(event),
                                    .trace_id = own_name(core, event)};
    mw_table_put(&core->remembered_index, &core->world.mem, entry);
}

void mw_remember_records(struct mw_core *core, struct mw_str message_id, uint32_t count)
{
    struct mw_remembered *entry = mw_table_get(&core->remembered_index, id_hash(message_id));
    MW_ASSERT(entry != NULL && entry->id_hash == id_hash(message_id));
    MW_ASSERT(count > 1 && count <= UINT16_MAX);
    entry->record_count = count & UINT16_MAX;
}

/* RFC 9562: 48 bits of Unix milliseconds, then version 7. -1: it does not say when it was made. */
static int64_t millis_of(struct mw_str message_id)
{
    int64_t millis = 0;
    if (message_id.len != 36 || message_id.ptr[14] != '7')
        return -1;
    for (size_t i = 0; i < 13; i++) {
        if (i == 8)
            continue;
        int digit = mw_hex_value(message_id.ptr[i]);
        if (digit < 0)
            return -1;
        millis = millis * 16 + digit;
    }
    return millis;
}

bool mw_message_id_is_old(struct mw_str message_id, int64_t now_us)
{
    int64_t millis = millis_of(message_id);
    return millis >= 0 && millis < (now_us - MW_REMEMBERED_US) / 1000;
}

bool mw_message_id_is_behind(const struct mw_core *core, struct mw_str message_id, int64_t now_us)
{
    const int64_t now_ms = now_us / 1000, slack_ms = MW_REMEMBERED_SLACK_US / 1000;
    int64_t millis = millis_of(message_id);
    if (millis < 0 || millis > core->forgotten_ms)
        return false;
    if (core->forgotten_ms <= now_ms + slack_ms)
        return true;
    /* The clock was set back since: with nothing made now would anything be done until it is there again. */
    return millis < now_ms - slack_ms || millis > now_ms + slack_ms;
}
