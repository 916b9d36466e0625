/*
 * oracle.h - what has to hold after every step, whatever happened. Part of rig.h.
 */
#ifndef MW_TEST_ORACLE_H
#define MW_TEST_ORACLE_H

static inline void oracle_forget(struct rig *rig)
{
    if (rig->items != NULL)
        memset(rig->items, 0, rig->item_cap * sizeof *rig->items);
}

/* Records after `keep` never were. */
static inline void oracle_roll_back(struct rig *rig, mw_seq keep)
{
    for (size_t i = 0; i < rig->item_cap; i++) {
        struct rig_item *item = &rig->items[i];
        if (i > keep)
            *item = (struct rig_item){.trace = 0};
        else if (item->ended_at > keep)
            item->ended = false;
    }
}

static inline struct rig_item *oracle_item(struct rig *rig, mw_seq id)
{
    if (id >= rig->item_cap) {
        size_t cap = rig->item_cap > 0 ? rig->item_cap : 4096;
        while (cap <= id)
            cap *= 2;
        rig->items = realloc(rig->items, cap * sizeof *rig->items);
        assert_non_null(rig->items);
        memset(rig->items + rig->item_cap, 0, (cap - rig->item_cap) * sizeof *rig->items);
        rig->item_cap = cap;
    }
    return &rig->items[id];
}

static inline bool oracle_opens_item(const struct mw_event *event)
{
    switch (event->kind) {
    case MW_EVT_GROUP_STARTED:
    case MW_EVT_COORDINATOR_STARTED:
    case MW_EVT_RUN_STARTED:
    case MW_EVT_UNIT_STARTED:
    case MW_EVT_JOURNEY_STARTED:
    case MW_EVT_CHAIN_STARTED:
        return true;
    case MW_EVT_TASK_READY:
    case MW_EVT_TASK_DISPATCHED:
    case MW_EVT_AGENT_NOT_FOUND:
        return event->item == 0;
    default:
        return false;
    }
}

static inline bool oracle_ends_item(const struct mw_event *event)
{
    return mw_event_info(event->kind)->closes == MW_CLOSES_ITEM || mw_event_ends_task(event);
}

/* MS-01: {AgentType}:{Task}. */
static inline bool oracle_is_tag(struct mw_str tag)
{
    size_t colon = mw_str_find(tag, ':', 0);
    if (colon == SIZE_MAX || colon == 0 || colon + 1 == tag.len)
        return false;
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.ptr[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (i != colon && !letter && !(i > colon && c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

static inline void oracle_envelope(struct rig *rig, const struct mw_event *event,
                                   const struct mw_request *request)
{
    RIG_CHECK(rig, event->trace_id.len > 0, "record %lu has no traceId", event->seq);
    RIG_CHECK(rig, event->session_id.len > 0, "record %lu has no sessionId", event->seq);
    RIG_CHECK(rig, oracle_is_tag(event->component_tag), "record %lu: tag '%.*s'", event->seq,
              MW_STR_ARG(event->component_tag));
    RIG_CHECK(rig, event->timestamp.len >= 20 && mw_str_ends(event->timestamp, MW_STR("Z")),
              "record %lu: time '%.*s'", event->seq, MW_STR_ARG(event->timestamp));
    RIG_CHECK(rig, event->message_id.len > 0, "record %lu has no messageId", event->seq);
    bool command = mw_event_info(event->kind)->form == MW_FORM_COMMAND;
    RIG_CHECK(rig, (command ? event->target_agent : event->emitted_by).len > 0,
              "record %lu has no %s", event->seq, command ? "target" : "emitter");
    if (request == NULL)
        return;
    struct mw_str cause = event->causation_id;
    uint64_t of = 0;
    size_t dash = mw_str_starts(cause, MW_STR("m-")) ? mw_str_find(cause, '-', 2) : SIZE_MAX;
    bool record = dash != SIZE_MAX && mw_str_to_u64(mw_str_sub(cause, dash + 1, cause.len), &of) &&
                  of < event->seq;
    bool from_nobody = request->message_id.len == 0 && request->fence == 0;
    RIG_CHECK(rig,
              record || (cause.len > 0 && mw_str_eq(cause, request->message_id)) ||
                  (cause.len == 0 && from_nobody),
              "record %lu: causation '%.*s'", event->seq, MW_STR_ARG(cause));
}

/* AG-06: an agent that is no person has the skill of what it is handed. */
static inline void oracle_skilled(struct rig *rig, const struct mw_event *event)
{
    const struct mw_world *world = &rig->shadow.world;
    const struct mw_item *item = mw_world_item(world, event->item != 0 ? event->item : event->seq);
    RIG_CHECK(rig, item != NULL && item->kind == MW_ITEM_TASK, "record %lu: no task", event->seq);
    const struct mw_task *task = (const struct mw_task *)item;
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, item));
    if (catalogue == NULL)
        return; /* a test took the definitions away */
    struct mw_str skill = catalogue->tasks[task->def]->skill;
    RIG_CHECK(rig, task->agent > 0, "record %lu: nobody holds the task", event->seq);
    const struct mw_agent_def *def = &rig->shadow.work.agents[task->agent - 1].def;
    bool has = def->kind == MW_AGENT_HUMAN && task->escalated;
    for (uint32_t i = 0; i < def->skill_count; i++)
        has = has || mw_str_eq(def->skills[i], skill);
    RIG_CHECK(rig, has, "record %lu: '%.*s' was handed to %.*s", event->seq, MW_STR_ARG(skill),
              MW_STR_ARG(event->target_agent));
}

/* One line: it reads back to the same bytes, its envelope is whole, items open and end once. */
static inline void oracle_look(struct rig *rig, size_t index, const struct mw_request *request)
{
    static char again[4 << 20];
    struct mw_err err;
    struct mw_event event;
    struct mw_buf buf;
    struct mw_str line = rig_line(rig, index);
    enum mw_rc rc = mw_core_replay(&rig->shadow, line, &err);
    RIG_CHECK(rig, rc == MW_OK, "record %zu does not replay: %s", index + 1, err.text);
    mw_arena_reset(&rig->shadow.arena);
    rc = mw_event_read(&rig->shadow.arena, line, &event, &err);
    RIG_CHECK(rig, rc == MW_OK, "%s", err.text);
    mw_buf_init(&buf, again, sizeof again);
    mw_event_write(&event, &buf);
    RIG_CHECK(rig, mw_str_eq(line, mw_buf_str(&buf)), "reads back as %.*s",
              MW_STR_ARG(mw_buf_str(&buf)));
    RIG_CHECK(rig, event.seq == index + 1, "a gap in the sequence numbers");
    oracle_envelope(rig, &event, request);
    rig->kind_count[event.kind]++;
    if (event.kind == MW_EVT_TASK_DISPATCHED)
        oracle_skilled(rig, &event);
    if (event.kind == MW_EVT_TASK_FAILED && mw_str_is(event.error_class, "unsupported"))
        oracle_item(rig, event.item)->not_mine++;
    if (oracle_opens_item(&event)) {
        struct rig_item *item = oracle_item(rig, event.seq);
        *item = (struct rig_item){.trace = event.trace, .opened = true};
    }
    if (oracle_ends_item(&event) && event.item != 0) {
        struct rig_item *item = oracle_item(rig, event.item);
        RIG_CHECK(rig, item->opened && !item->ended, "item %lu ends twice", event.item);
        item->ended = true;
        item->ended_at = event.seq;
    }
    if (event.kind == MW_EVT_TRACE_ENDED)
        for (mw_seq i = event.trace; i < event.seq && i < rig->item_cap; i++)
            RIG_CHECK(rig, rig->items[i].trace != event.trace || rig->items[i].ended,
                      "trace %lu ended and item %lu of it did not", event.trace, i);
}

static inline void oracle_same(struct rig *rig, const char *when)
{
    rig->dump_a.len = 0;
    rig->dump_b.len = 0;
    mw_core_dump(&rig->core, &rig->dump_a);
    mw_core_dump(&rig->shadow, &rig->dump_b);
    if (mw_str_eq(mw_buf_str(&rig->dump_a), mw_buf_str(&rig->dump_b)))
        return;
    size_t at = 0;
    while (at < rig->dump_a.len && at < rig->dump_b.len &&
           rig->dump_a.ptr[at] == rig->dump_b.ptr[at])
        at++;
    size_t from = at > 200 ? at - 200 : 0;
    RIG_CHECK(
        rig, false, "%s: live and replayed state differ:\nlive:     …%.*s\nreplayed: …%.*s", when,
        (int)(rig->dump_a.len - from < 400 ? rig->dump_a.len - from : 400), rig->dump_a.ptr + from,
        (int)(rig->dump_b.len - from < 400 ? rig->dump_b.len - from : 400), rig->dump_b.ptr + from);
}

static inline size_t oracle_block(size_t bytes)
{
    return mw_mem_block_bytes(bytes);
}

static inline size_t oracle_table(const struct mw_table *table)
{
    return table->cap > 0 ? oracle_block(table->cap * sizeof(*table->slots)) : 0;
}

static inline size_t oracle_set(const struct mw_set *set)
{
    return set->cap > 0 ? oracle_block(set->cap * sizeof(*set->keys)) : 0;
}

static inline size_t oracle_text(struct mw_str text, size_t more)
{
    return text.len > 0 ? oracle_block(text.len + more) : 0;
}

/* Its holder's part of it: all of them together have the whole. */
static inline double oracle_shared(const struct mw_shared *shared)
{
    return shared != NULL ? (double)oracle_block(sizeof(*shared) + shared->len) / shared->holders
                          : 0;
}

/* Every byte that is out belongs to something that is there: nothing leaks, whatever ended. */
static inline void oracle_memory(struct rig *rig)
{
    const struct mw_core *core = &rig->core;
    const struct mw_world *world = &core->world;
    size_t bytes = oracle_block(core->ask_change_cap * sizeof(*core->ask_changes));
    bytes +=
        oracle_table(&world->items) + oracle_table(&world->traces) + oracle_table(&world->asks);
    bytes += oracle_set(&core->trace_names) + oracle_table(&core->remembered_index);
    double shared = oracle_shared(mw_shared_of(core->catalogue_sha256));
    for (uint32_t i = 0; i < MW_COUNT(core->remembered); i++) {
        const struct mw_remembered *part = core->remembered[i];
        bytes += part != NULL ? oracle_block(MW_REMEMBERED_PART * sizeof(*part)) : 0;
        for (uint32_t n = 0; part != NULL && n < MW_REMEMBERED_PART; n++)
            shared += oracle_shared(part[n].trace_id);
    }
    bytes += oracle_text(world->journal_id, 1);
    if (core->work.agent_cap > 0)
        bytes += oracle_block(core->work.agent_cap * sizeof(*core->work.agents));
    for (uint32_t i = 0; i < core->work.agent_count; i++)
        bytes += oracle_block(core->work.agents[i].block_bytes);
    if (core->work.queue_cap > 0)
        bytes += oracle_block(core->work.queue_cap * sizeof(*core->work.queues));
    for (uint32_t i = 0; i < core->work.queue_count; i++)
        bytes += oracle_block(core->work.queues[i].skill.len + 1);
    if (core->work.letters != NULL)
        bytes += oracle_block(MW_LETTERS_MAX * sizeof(*core->work.letters));
    for (uint32_t i = 0; i < core->work.letter_count; i++) {
        const struct mw_letter *letter = &core->work.letters[i];
        bytes += oracle_text(letter->skill, 1) + oracle_text(letter->expects, 1) +
                 oracle_text(letter->trace_id, 1) + oracle_text(letter->documents, 1) +
                 oracle_text(letter->intent_body, 1);
    }
    if (core->session.build_cap > 0)
        bytes += oracle_block(core->session.build_cap * sizeof(*core->session.builds));
    for (uint32_t i = 0; i < core->session.build_count; i++) {
        const struct mw_build *build = &core->session.builds[i];
        bytes += oracle_text(build->build_id, 0) + oracle_text(build->app_id, 0) +
                 oracle_text(build->registry_id, 0) + oracle_text(build->bundle_sha256, 0) +
                 oracle_text(build->path, 0);
    }
    bytes += oracle_text(core->session.app_id, 0) + oracle_text(core->session.promoted_sha256, 0);
    bytes += oracle_text(core->session.app_name, 0);
    if (core->memory.cap > 0)
        bytes += oracle_block(core->memory.cap * sizeof(*core->memory.entries));
    for (uint32_t i = 0; i < core->memory.count; i++)
        bytes += oracle_text(core->memory.entries[i].text, 0);
    bytes += world->asks.count * oracle_block(sizeof(struct mw_ask));
    for (uint32_t i = 0; i < world->traces.cap; i++) {
        const struct mw_trace *trace = mw_table_at(&world->traces, i);
        if (trace != NULL)
            bytes += oracle_block(sizeof(*trace)) + trace->pool.total_bytes;
        if (trace != NULL)
            shared += oracle_shared(mw_shared_of(trace->wire_id)) +
                      oracle_shared(mw_shared_of(trace->catalogue_sha256));
    }
    bytes += (size_t)(shared + 0.5);
    RIG_CHECK(rig, bytes == world->mem.used_bytes, "%zu bytes are owned and %zu are out", bytes,
              world->mem.used_bytes);
}

static inline void oracle_limits(struct rig *rig)
{
    const struct mw_work *work = &rig->core.work;
    uint32_t running = 0, *by_agent = mw_heap_alloc((work->agent_count + 1) * sizeof *by_agent);
    for (uint32_t i = 0; i < rig->core.world.items.cap; i++) {
        const struct mw_item *item = mw_table_at(&rig->core.world.items, i);
        if (item == NULL || item->kind != MW_ITEM_TASK)
            continue;
        const struct mw_task *task = (const struct mw_task *)item;
        const struct mw_task_def *def =
            rig_catalogue(rig, mw_world_trace_of(&rig->core.world, item)->catalogue_sha256)
                ->tasks[task->def];
        const struct mw_policy *policy =
            &rig_catalogue(rig, mw_world_trace_of(&rig->core.world, item)->catalogue_sha256)
                 ->policies[def->policy];
        RIG_CHECK(rig, task->attempts_with_agent <= policy->attempts_max,
                  "task %lu: %u attempts with one agent", item->id, task->attempts_with_agent);
        RIG_CHECK(rig,
                  task->escalated ||
                      task->attempt <= policy->attempts_max * (task->excluded_count + 1u),
                  "task %lu: %u attempts, %u agents excluded", item->id, (unsigned)task->attempt,
                  (unsigned)task->excluded_count);
        RIG_CHECK(rig,
                  task->excluded_count <=
                      policy->reroutes_max + oracle_item(rig, item->id)->not_mine,
                  "task %lu: %u reroutes", item->id, task->excluded_count);
        RIG_CHECK(rig, (item->outcome == MW_OUTCOME_OPEN) == (task->state != MW_TASK_ENDED),
                  "task %lu ended by halves", item->id);
        if (task->state != MW_TASK_RUNNING)
            continue;
        RIG_CHECK(rig, item->ask != 0 && item->ask == task->fence, "task %lu runs without an ask",
                  item->id);
        by_agent[task->agent - 1]++;
        running += task->with_person ? 0 : 1;
    }
    RIG_CHECK(rig, running == work->running && running <= work->running_max,
              "%u attempts run, %u counted, %u allowed", running, work->running, work->running_max);
    for (uint32_t i = 0; i < work->agent_count; i++)
        RIG_CHECK(rig,
                  by_agent[i] == work->agents[i].running &&
                      (by_agent[i] <= work->agents[i].def.capacity || rig->relaxed_limits ||
                       work->agents[i].def.kind == MW_AGENT_HUMAN),
                  "agent %u: %u run, %u counted, capacity %u", i, by_agent[i],
                  work->agents[i].running, work->agents[i].def.capacity);
    mw_heap_free(by_agent);
}

/* Whatever waits, waits for something that will come: an open item has an ask, stands in a queue, or has open items inside. */
static inline void oracle_nothing_is_stuck(struct rig *rig)
{
    const struct mw_world *world = &rig->core.world;
    bool continues = false;
    for (uint32_t i = 0; i < world->asks.cap; i++) {
        const struct mw_ask *ask = mw_table_at(&world->asks, i);
        continues = continues || (ask != NULL && ask->opens == MW_OPENS_CONTINUE);
    }
    for (uint32_t i = 0; i < world->traces.cap && !continues; i++) {
        const struct mw_trace *trace = mw_table_at(&world->traces, i);
        if (trace == NULL)
            continue;
        RIG_CHECK(rig, !trace->cancelled, "trace %lu is cancelled and still there", trace->id);
        RIG_CHECK(rig, trace->open_items > 0, "trace %lu has nothing open and is there", trace->id);
        for (const struct mw_item *item = trace->newest_item; item != NULL; item = item->older) {
            if (item->outcome != MW_OUTCOME_OPEN)
                continue;
            const struct mw_item *owner = mw_world_item(world, item->owner);
            RIG_CHECK(rig,
                      owner == NULL || owner->outcome == MW_OUTCOME_OPEN ||
                          owner->kind == MW_ITEM_GROUP,
                      "item %lu is open in item %lu which has ended", item->id, item->owner);
            if (item->kind == MW_ITEM_TASK) {
                const struct mw_task *task = (const struct mw_task *)item;
                RIG_CHECK(rig, item->ask != 0 || task->queue != 0, "task %lu waits for nothing",
                          item->id);
            }
            if (item->kind != MW_ITEM_GROUP && item->kind != MW_ITEM_RUN &&
                item->kind != MW_ITEM_CHAIN)
                continue;
            bool inside = false;
            for (const struct mw_item *other = trace->newest_item; other != NULL && !inside;
                 other = other->older)
                inside = other->owner == item->id && other->outcome == MW_OUTCOME_OPEN;
            bool queued = item->kind == MW_ITEM_GROUP &&
                          ((const struct mw_group *)item)->queue != 0 && trace->paused;
            RIG_CHECK(
                rig,
                inside || queued || rig->relaxed_limits ||
                    (item->kind == MW_ITEM_GROUP && ((const struct mw_group *)item)->scan <
                                                        ((const struct mw_group *)item)->total),
                "item %lu is open with nothing inside", item->id);
        }
    }
}

static inline void oracle_runs_are_the_asks(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->run_count; i++)
        RIG_CHECK(rig, mw_table_get(&rig->core.world.asks, rig->runs[i].seq) != NULL,
                  "something runs for ask %lu which is closed", rig->runs[i].seq);
    RIG_CHECK(rig, rig->run_count == rig->core.world.asks.count, "%u run and %u asks are open",
              rig->run_count, rig->core.world.asks.count);
}

static inline void oracle_after_step(struct rig *rig, size_t first,
                                     const struct mw_request *request)
{
    RIG_CHECK(rig, rig->result.rc == MW_OK || rig->line_count == first,
              "a refused request left records");
    RIG_CHECK(rig, rig->line_count - first <= MW_STEP_RECORDS_MAX, "a step of %zu records",
              rig->line_count - first);
    for (size_t i = first; i < rig->line_count; i++)
        oracle_look(rig, i, request);
    bool look = !rig->quiet_dump || rig->steps_looked_at % 64 == 0;
    rig->steps_looked_at++;
    if (!look)
        return;
    oracle_same(rig, mw_request_info(request->kind)->name);
    oracle_memory(rig);
    oracle_limits(rig);
    oracle_nothing_is_stuck(rig);
}

#endif
