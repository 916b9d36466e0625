#include "work/internal.h"

#include <string.h>

#define PART_BYTES (24u * 1024)
#define PART_MEMBERS_MAX 256u
#define PARTS_MAX 90u
#define LOOKS_MAX                                                                                  \
    262144u /* at members, told or not: lists in lists are many more than their lines */
#define COMPLETED_TOLD_MAX 256u
#define SCRATCH_BYTES ((size_t)4 << 20) /* what telling one line of a plan needs */

enum {
#define MW_LIMIT(name, standard, maximum, why) limit_##name = standard,
#include "work/limits.def"
#undef MW_LIMIT
};

static void tell_plan(const struct mw_world *world, const struct mw_order *order,
                      const struct mw_group_def *def, mw_seq group, const struct mw_group_row *rows,
                      struct mw_out *out);

static const struct mw_group_def *def_of(const struct mw_world *world, const struct mw_group *group)
{
    const struct mw_catalogue *catalogue =
        mw_world_catalogue(world, mw_world_trace_of(world, &group->item));
    return catalogue != NULL ? catalogue->groups[group->def] : NULL;
}

/* ---- starting ---- */

/* How many positions each row has. A row whose condition is false has none, and the skip is told. */
static bool lay_out(const struct mw_world *world, const struct mw_order *order,
                    const struct mw_group_def *def, struct mw_group_row *rows, struct mw_out *out,
                    struct mw_str *ret_why)
{
    uint32_t first = 0;
    *ret_why = MW_STR("the list that it goes over is not there");
    for (uint32_t i = 0; i < def->member_count; i++) {
        const struct mw_member_def *member = &def->members[i];
        rows[i] = (struct mw_group_row){.first = first, .node = MW_NODE_NONE};
        if (!mw_eval_test(world, out->arena, order->trace, &order->place, member->when)) {
            mw_tell_skip(world, order, 0, 0, member->rule, member->when, member->rule_field,
                         member->id, out);
            continue;
        }
        rows[i].count = 1;
        if (member->for_each_root.len > 0 &&
            !mw_place_list(world, order->trace, &order->place, member->for_each_root,
                           member->for_each_pointer, &rows[i].document, &rows[i].node,
                           &rows[i].count))
            return false;
        if (rows[i].count > limit_members_max - first) {
            *ret_why =
                mw_arena_format(out->arena, "members_max: it would have more than %u members",
                                (unsigned)limit_members_max);
            return false;
        }
        first += rows[i].count;
    }
    return true;
}

static struct mw_str layout_text(struct mw_arena *arena, const struct mw_group_def *def,
                                 const struct mw_group_row *rows)
{
    struct mw_buf buf;
    struct mw_json json;
    mw_arena_text_begin(arena, &buf);
    mw_json_init(&json, &buf);
    mw_json_array(&json);
    for (uint32_t i = 0; i < def->member_count; i++) {
        if (rows[i].node == MW_NODE_NONE) { /* of no list: the number of tasks alone */
            mw_json_u64(&json, rows[i].count);
            continue;
        }
        mw_json_array(&json);
        mw_json_u64(&json, rows[i].count);
        mw_json_u64(&json, rows[i].document);
        mw_json_u64(&json, rows[i].node);
        mw_json_array_end(&json);
    }
    mw_json_array_end(&json);
    return mw_arena_text_keep(arena, &buf);
}

void mw_group_start(const struct mw_world *world, const struct mw_work *work,
                    const struct mw_order *order, const struct mw_group_def *def, bool is_plan,
                    struct mw_out *out)
{
    static const char *const strategies[] = {"wait-all", "wait-any", "N-of-M"};
    struct mw_group_row *rows =
        mw_arena_array(out->arena, struct mw_group_row, def->member_count + 1);
    MW_ASSERT(rows != NULL);
    (void)work; /* members start by DISPATCH */
    struct mw_str why;
    bool laid_out = lay_out(world, order, def, rows, out, &why);
    mw_seq id = mw_out_next_seq(world, out);
    struct mw_event *event = mw_out_event(out, MW_EVT_GROUP_STARTED);
    event->trace = order->trace->id;
    event->owner = order->owner;
    event->scope_item = def->opens_scope ? 0 : order->scope;
    event->member = order->member;
    event->ask_index = order->ask;
    event->document = order->place.document;
    event->node = order->place.node;
    event->outer_document = order->place.outer_document;
    event->outer_node = told_node(order->place.outer_node);
    event->group_def = def->index;
    event->group_id = def->id;
    event->strategy = mw_str_of(strategies[def->strategy]);
    event->layout = layout_text(out->arena, def, rows);
    for (uint32_t i = 0; i < def->member_count; i++)
        event->expected_count += rows[i].count;
    if (!laid_out) {
        event->layout = MW_STR("[]");
        event->expected_count = 0;
        event->reason = why;
    }
    if (def->opens_scope) {
        struct mw_event *scope = mw_out_event(out, MW_EVT_SCOPE_OPENED);
        scope->trace = order->trace->id;
        scope->session_id = mw_wire_id(world, out->arena, "grp", id);
        scope->target_agent = def->id;
    }
    if (is_plan && laid_out)
        tell_plan(world, order, def, id, rows, out);
}

static struct mw_place member_place(const struct mw_world *world, const struct mw_trace *trace,
                                    const struct mw_place *outer, const struct mw_group_row *row,
                                    uint32_t nth)
{
    struct mw_place place = *outer;
    if (row->node == MW_NODE_NONE)
        return place;
    const struct mw_tape *tape = mw_world_document(world, trace, row->document);
    place.outer_document = outer->document;
    place.outer_node = outer->node;
    place.document = row->document;
    place.node = tape != NULL ? mw_node_at(tape, row->node, nth) : MW_NODE_NONE;
    return place;
}

static struct mw_place group_place(const struct mw_world *world, const struct mw_group *group,
                                   const struct mw_catalogue *catalogue)
{
    const struct mw_item *scope = mw_world_item(world, group->item.scope);
    struct mw_place place = {.scope = group->item.scope != 0 ? group->item.scope : group->item.id,
                             .document = group->document,
                             .node = group->node,
                             .outer_document = group->outer_document,
                             .outer_node = group->outer_node};
    if (scope != NULL && scope->kind == MW_ITEM_COORDINATOR)
        place.coordinator = &catalogue->coordinators[((const struct mw_coordinator *)scope)->def];
    return place;
}

static uint32_t row_of(const struct mw_group *group, uint32_t position)
{
    uint32_t row = 0;
    while (position >= group->rows[row].first + group->rows[row].count)
        row++;
    return row;
}

static bool all_done(const struct mw_group *group, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (mw_group_positions(group)[i] != MW_POSITION_DONE)
            return false;
    return true;
}

static bool may_start(const struct mw_group *group, const struct mw_group_def *def, uint32_t row,
                      uint32_t position)
{
    if (def->sequential && !all_done(group, 0, position))
        return false;
    const struct mw_group_row *own = &group->rows[row];
    uint32_t after = def->members[row].after;
    /* Who is left out, as a route that was not taken is, hands on what it would have waited for. */
    while (after != UINT32_MAX && group->rows[after].count == 0)
        after = def->members[after].after;
    if (after == UINT32_MAX)
        return true;
    const struct mw_group_row *before = &group->rows[after];
    if (before->count == own->count && before->document == own->document &&
        before->node == own->node) {
        uint32_t at = before->first + position - own->first;
        return all_done(group, at, at + 1);
    }
    return all_done(group, before->first, before->first + before->count);
}

/* The next position worth a look, when this one may not start: where each waits for its own, the first whose own has ended; where each waits for
 * all, none of the row. */
static uint32_t behind_refused(const struct mw_group *group, const struct mw_group_def *def,
                               uint32_t row, uint32_t position)
{
    const uint8_t *positions = mw_group_positions(group);
    uint32_t end = group->rows[row].first + group->rows[row].count;
    uint32_t after = def->members[row].after;
    if (after == UINT32_MAX)
        return position + 1;
    const struct mw_group_row *before = &group->rows[after];
    if (before->count != group->rows[row].count)
        return end;
    const uint8_t *own = positions + before->first + (position - group->rows[row].first);
    for (uint32_t i = 1; position + i < end; i++)
        if (own[i] != MW_POSITION_WAITING && own[i] != MW_POSITION_OPEN)
            return position + i;
    return end;
}

/* The first member from there on that waits and may start; UINT32_MAX: none. */
static uint32_t next_position(const struct mw_group *group, const struct mw_group_def *def,
                              uint32_t from)
{
    const uint8_t *positions = mw_group_positions(group);
    for (uint32_t i = from > group->scan ? from : group->scan; i < group->total; i++) {
        const uint8_t *waiting = memchr(positions + i, MW_POSITION_WAITING, group->total - i);
        if (waiting == NULL)
            return UINT32_MAX;
        i = (uint32_t)(waiting - positions);
        uint32_t row = row_of(group, i);
        if (may_start(group, def, row, i))
            return i;
        if (def->sequential)
            return UINT32_MAX;
        i = behind_refused(group, def, row, i) - 1;
    }
    return UINT32_MAX;
}

bool mw_group_next(const struct mw_world *world, const struct mw_group *group, uint32_t from,
                   struct mw_group_next *ret_next)
{
    *ret_next = (struct mw_group_next){.behind_row = group->total};
    if (group->total == group->open + group->done + group->failed)
        return false;
    const struct mw_group_def *def = def_of(world, group);
    if (def == NULL)
        return from < group->total;
    ret_next->position = next_position(group, def, from);
    if (ret_next->position == UINT32_MAX)
        return false;
    uint32_t row = row_of(group, ret_next->position);
    ret_next->behind_row = group->rows[row].first + group->rows[row].count;
    if (def->members[row].kind == MW_MEMBER_TASK)
        ret_next->skill = def->members[row].task->skill;
    return true;
}

bool mw_group_start_member(const struct mw_world *world, const struct mw_work *work,
                           const struct mw_group *group, uint32_t position,
                           const struct mw_request *request, struct mw_out *out)
{
    const struct mw_trace *trace = mw_world_trace_of(world, &group->item);
    const struct mw_catalogue *catalogue = mw_world_catalogue(world, trace);
    const struct mw_group_def *def = def_of(world, group);
    if (def == NULL)
        return false;
    uint32_t row = row_of(group, position);
    const struct mw_member_def *member = &def->members[row];
    struct mw_place place = group_place(world, group, catalogue);
    struct mw_order order = {.trace = trace,
                             .catalogue = catalogue,
                             .def = member->task,
                             .owner = group->item.id,
                             .scope = place.scope,
                             .member = position + 1,
                             .now_us = request->now_us,
                             .entropy = request->entropy};
    order.place =
        member_place(world, trace, &place, &group->rows[row], position - group->rows[row].first);
    switch (member->kind) {
    case MW_MEMBER_TASK:
        return mw_task_start(world, work, &order, false, out);
    case MW_MEMBER_GROUP:
        mw_group_start(world, work, &order, member->group, false, out);
        return true;
    case MW_MEMBER_COORDINATOR:
        mw_coordinator_start(world, &order, member->coordinator, out);
        return true;
    }
    MW_UNREACHABLE("a kind of member that catalogue.h does not know");
}

/* ---- the plan as it can be read before it runs (PL-06) ---- */

struct plan_writer {
    const struct mw_world *world;
    const struct mw_order *order;
    struct mw_out *out;
    struct mw_arena scratch; /* of the line that is told: nothing of it is kept */
    mw_seq group;
    struct mw_buf buf;
    struct mw_json json;
    uint32_t count, part_count, looks, nesting;
};

static void begin_part(struct plan_writer *writer)
{
    char *memory = mw_arena_alloc(writer->out->arena, PART_BYTES + 8192);
    MW_ASSERT(memory != NULL);
    mw_buf_init(&writer->buf, memory, PART_BYTES + 8192);
    mw_json_init(&writer->json, &writer->buf);
    mw_json_array(&writer->json);
    writer->count = 0;
}

static void end_part(struct plan_writer *writer)
{
    mw_json_array_end(&writer->json);
    if (writer->count == 0 || writer->part_count == PARTS_MAX)
        return; /* what a plan of more than 20,000 lines does not tell here, its tasks tell when they start */
    writer->part_count++;
    struct mw_event *event = mw_out_event(writer->out, MW_EVT_PLAN_PART);
    event->trace = writer->order->trace->id;
    event->scope_item = writer->order->scope;
    event->item = writer->group;
    event->members = mw_buf_str(&writer->buf);
}

static void plan_line(struct plan_writer *writer, const struct mw_task_def *task,
                      struct mw_str receiver, struct mw_str stage, struct mw_str after,
                      const struct mw_place *place)
{
    struct mw_str subject = MW_STR_NONE, why;
    if (writer->count == PART_MEMBERS_MAX || writer->buf.len > PART_BYTES) {
        end_part(writer);
        begin_part(writer);
    }
    mw_json_object(&writer->json);
    if (task != NULL) {
        mw_json_kstr(&writer->json, "task", task->skill);
        mw_json_kstr(&writer->json, "expects", task->expects[0]);
        if (task->subject != NULL &&
            mw_eval_text(writer->world, &writer->scratch, writer->order->trace, place,
                         task->subject, &subject, &why))
            mw_json_kstr(&writer->json, "purpose", mw_str_sub(subject, 0, 256));
    }
    mw_json_kstr(&writer->json, "receiver", mw_str_sub(receiver, 0, 256));
    if (stage.len > 0)
        mw_json_kstr(&writer->json, "stage", stage);
    if (after.len > 0)
        mw_json_kstr(&writer->json, "after", after);
    mw_json_object_end(&writer->json);
    writer->count++;
}

static void plan_members(struct plan_writer *writer, const struct mw_group_def *def,
                         const struct mw_place *outer, const struct mw_group_row *rows,
                         struct mw_str stage);

/* A group inside: its rows are counted without telling the skips, which are told when it starts. */
static void plan_group(struct plan_writer *writer, const struct mw_group_def *def,
                       const struct mw_place *place, struct mw_str stage)
{
    struct mw_group_row *rows =
        mw_arena_array(&writer->scratch, struct mw_group_row, def->member_count + 1);
    if (rows == NULL)
        return; /* what is not told here, its tasks tell */
    writer->looks += def->member_count;
    for (uint32_t i = 0; i < def->member_count; i++) {
        const struct mw_member_def *member = &def->members[i];
        rows[i] = (struct mw_group_row){.node = MW_NODE_NONE};
        if (!mw_eval_test(writer->world, &writer->scratch, writer->order->trace, place,
                          member->when))
            continue;
        rows[i].count = 1;
        if (member->for_each_root.len > 0 &&
            !mw_place_list(writer->world, writer->order->trace, place, member->for_each_root,
                           member->for_each_pointer, &rows[i].document, &rows[i].node,
                           &rows[i].count))
            rows[i].count = 0;
    }
    plan_members(writer, def, place, rows, stage);
}

static void plan_coordinator(struct plan_writer *writer, const struct mw_coordinator_def *def,
                             const struct mw_place *place, struct mw_str after)
{
    struct mw_str key = def->name, why;
    if (writer->nesting == limit_nesting_max)
        return; /* it will be halted */
    writer->nesting++;
    (void)mw_eval_text(writer->world, &writer->scratch, writer->order->trace, place, def->key, &key,
                       &why); /* the name stands for a key that cannot be had */
    struct mw_str receiver =
        mw_arena_format(&writer->scratch, "%.*s %.*s", MW_STR_ARG(def->name), MW_STR_ARG(key));
    plan_line(writer, NULL, receiver, MW_STR_NONE, after, place);
    for (uint32_t s = 0; s < def->state_count; s++)
        for (uint32_t a = 0; a < def->states[s].ask_count; a++) {
            const struct mw_ask_def *ask = &def->states[s].asks[a];
            writer->looks++;
            if (!mw_eval_test(writer->world, &writer->scratch, writer->order->trace, place,
                              ask->when))
                continue;
            struct mw_str stage = def->states[s].name;
            if (ask->task != NULL)
                plan_line(writer, ask->task, key, stage,
                          ask->after_count > 0 ? ask->after[0] : MW_STR_NONE, place);
            else
                plan_group(writer, ask->group, place, stage);
        }
    writer->nesting--;
}

static void plan_members(struct plan_writer *writer, const struct mw_group_def *def,
                         const struct mw_place *outer, const struct mw_group_row *rows,
                         struct mw_str stage)
{
    for (uint32_t i = 0; i < def->member_count; i++) {
        size_t row_mark = writer->scratch.used_bytes;
        const struct mw_tape *tape =
            mw_world_document(writer->world, writer->order->trace, rows[i].document);
        struct mw_place place =
            member_place(writer->world, writer->order->trace, outer, &rows[i], 0);
        for (uint32_t nth = 0;
             nth < rows[i].count && writer->part_count < PARTS_MAX && writer->looks < LOOKS_MAX;
             nth++) {
            const struct mw_member_def *member = &def->members[i];
            size_t mark = writer->scratch.used_bytes;
            writer->looks++;
            if (nth > 0 && rows[i].node != MW_NODE_NONE && tape != NULL)
                place.node = mw_node_after(tape, rows[i].node, place.node);
            struct mw_str after =
                member->after != UINT32_MAX ? def->members[member->after].id : MW_STR_NONE;
            if (member->kind == MW_MEMBER_TASK)
                plan_line(writer, member->task, def->id, stage, after, &place);
            else if (member->kind == MW_MEMBER_GROUP)
                plan_group(writer, member->group, &place, member->group->id);
            else
                plan_coordinator(writer,
                                 &writer->order->catalogue->coordinators[member->coordinator],
                                 &place, after);
            writer->scratch.used_bytes = mark;
            writer->scratch.exhausted = false;
        }
        writer->scratch.used_bytes = row_mark;
    }
}

static void tell_plan(const struct mw_world *world, const struct mw_order *order,
                      const struct mw_group_def *def, mw_seq group, const struct mw_group_row *rows,
                      struct mw_out *out)
{
    struct mw_world looked_at =
        *world; /* it is only read, and documents are opened in our scratch */
    struct plan_writer writer = {.world = &looked_at, .order = order, .out = out, .group = group};
    void *memory = mw_arena_alloc_unset(out->arena, SCRATCH_BYTES);
    MW_ASSERT(memory != NULL);
    mw_arena_init(&writer.scratch, memory, SCRATCH_BYTES);
    looked_at.scratch = &writer.scratch;
    begin_part(&writer);
    plan_members(&writer, def, &order->place, rows, MW_STR_NONE);
    end_part(&writer);
}

/* ---- joining ---- */

static bool join(const struct mw_group *group, const struct mw_group_def *def, bool *ret_failed)
{
    uint32_t waiting = group->total - group->done - group->failed - group->open;
    bool can_start = waiting > 0 && next_position(group, def, 0) != UINT32_MAX;
    bool over = group->open == 0 && !can_start;
    /* A group of no members passes at once, whatever it would have waited for. */
    uint32_t needed = def->strategy == MW_JOIN_ALL || group->total == 0 ? group->total
                      : def->strategy == MW_JOIN_ANY                    ? 1
                                                                        : def->needed;
    if (def->strategy == MW_JOIN_ALL) {
        *ret_failed = group->failed > 0 || waiting > 0;
        return over;
    }
    *ret_failed = group->done < needed;
    return group->done >= needed || over || group->total - group->failed < needed;
}

static struct mw_event *end_event(const struct mw_world *world, const struct mw_group *group,
                                  struct mw_out *out)
{
    struct mw_event *event = mw_out_event(out, MW_EVT_GROUP_ENDED);
    mw_event_about(world, out, event, &group->item);
    event->group_id = group->id;
    event->expected_count = group->total;
    event->completed_count = group->done;
    event->failed_count = group->failed;
    event->member = group->item.member;
    event->ask_index = group->item.owner_ask;
    return event;
}

void mw_group_cancel(const struct mw_world *world, const struct mw_group *group, struct mw_out *out)
{
    struct mw_event *event = end_event(world, group, out);
    event->outcome = MW_STR("cancelled");
    event->status = MW_STR("failed");
    event->reason = MW_STR("what asked for it is over");
}

bool mw_group_keeps_late(const struct mw_world *world, const struct mw_item *item)
{
    if (item->kind != MW_ITEM_GROUP)
        return false;
    const struct mw_group_def *def = def_of(world, (const struct mw_group *)item);
    return def != NULL && def->keeps_late;
}

void mw_group_decide(const struct mw_world *world, const struct mw_work *work,
                     const struct mw_request *request, struct mw_out *out)
{
    const struct mw_group *group = (const struct mw_group *)mw_world_item(world, request->item);
    MW_ASSERT(request->kind == MW_REQ_NOTE_ENDED);
    MW_ASSERT(group != NULL);
    (void)work; /* counting needs no agents */
    const struct mw_group_def *def = def_of(world, group);
    bool failed = true;
    if (group->item.outcome != MW_OUTCOME_OPEN || mw_world_trace_of(world, &group->item)->cancelled)
        return; /* a late member: no second release */
    if (def != NULL && !join(group, def, &failed))
        return;
    bool unlaid = def == NULL ||
                  (request->cause->kind == MW_EVT_GROUP_STARTED && request->cause->reason.len > 0);
    struct mw_event *event = end_event(world, group, out);
    event->outcome = failed || unlaid ? MW_STR("failed") : MW_STR("completed");
    event->status = failed || unlaid ? MW_STR("failed") : MW_STR("complete");
    if (failed || unlaid) {
        /* The last member to end may have done well: then the first that did not is the reason. */
        const struct mw_event *cause = request->cause;
        const struct mw_group_failure *first = group->failure;
        bool earlier = cause->reason.len == 0 && first != NULL;
        event->reason = def == NULL ? MW_STR("the definitions of this trace are missing")
                        : earlier   ? first->reason
                                    : cause->reason;
        if (event->reason.len == 0 && def->strategy == MW_JOIN_N_OF_M && group->total < def->needed)
            event->reason =
                mw_arena_format(out->arena, "it needs %lu members and has %lu",
                                (unsigned long)def->needed, (unsigned long)group->total);
        event->error_class = earlier ? first->error_class : cause->error_class;
        event->task_type = earlier ? first->task_type : cause->task_type;
    }
    if (group->open > 0 && !mw_group_keeps_late(world, &group->item))
        mw_out_follow(out, MW_REQ_CANCEL_INSIDE, group->item.id);
}

/* ---- apply ---- */

static void apply_started(struct mw_world *world, struct mw_work *work,
                          const struct mw_event *event)
{
    struct mw_tape tape;
    enum mw_rc rc = mw_json_parse(world->scratch, event->layout, &tape, NULL);
    MW_ASSERT(rc == MW_OK);
    uint32_t row_count = mw_node_count(&tape, 0), total = (uint32_t)event->expected_count;
    size_t size_bytes =
        offsetof(struct mw_group, rows) + row_count * sizeof(struct mw_group_row) + total;
    struct mw_trace *trace = mw_world_trace(world, event->trace);
    mw_pool_reserve(&trace->pool, &world->mem, (size_bytes + 7) / 8 * 8 + event->group_id.len);
    struct mw_group *group =
        (struct mw_group *)mw_world_add_item(world, event, MW_ITEM_GROUP, size_bytes);
    group->id = mw_pool_copy(&trace->pool, &world->mem, event->group_id);
    group->def = (uint32_t)event->group_def;
    group->document = (uint8_t)event->document;
    group->node = (uint32_t)event->node;
    group->outer_document = (uint8_t)event->outer_document;
    group->outer_node = node_of_told(event->outer_node);
    group->item.member = (uint32_t)event->member;
    group->item.owner_ask = (uint8_t)event->ask_index;
    group->total = total;
    group->row_count = row_count;
    uint32_t first = 0, row = 0;
    for (uint32_t at = mw_node_first(&tape, 0); at != MW_NODE_NONE;
         at = mw_node_after(&tape, 0, at), row++) {
        bool listed = mw_node_type(&tape, at) == MW_NODE_ARRAY;
        group->rows[row] = (struct mw_group_row){
            .first = first,
            .count = (uint32_t)mw_node_int(&tape, listed ? mw_node_at(&tape, at, 0) : at, 0),
            .document = (uint32_t)mw_node_int(&tape, mw_node_at(&tape, at, 1), 0),
            .node =
                listed ? (uint32_t)mw_node_int(&tape, mw_node_at(&tape, at, 2), 0) : MW_NODE_NONE};
        first += group->rows[row].count;
    }
    MW_ASSERT(first == group->total);
    if (group->item.member > 0)
        mw_group_member_opened(world, event->owner, group->item.member);
    if (group->item.owner_ask > 0)
        mw_coordinator_asked(world, event->owner, group->item.owner_ask, group->item.id);
    if (group->total > 0)
        mw_queue_add(world, work, MW_STR_NONE, &group->item);
}

void mw_group_apply(struct mw_world *world, struct mw_work *work, const struct mw_event *event)
{
    switch (event->kind) {
    case MW_EVT_PLAN_PART:
        return;
    case MW_EVT_GROUP_STARTED:
        apply_started(world, work, event);
        return;
    case MW_EVT_GROUP_ENDED: {
        struct mw_group *group = (struct mw_group *)mw_world_item(world, event->item);
        enum mw_outcome outcome = mw_outcome_by_name(event->outcome);
        MW_ASSERT(group != NULL);
        mw_queue_remove(world, work, &group->item);
        mw_world_end_item(world, &group->item, outcome);
        if (group->item.member > 0)
            mw_group_member_ended(world, work, group->item.owner, group->item.member, outcome,
                                  event);
        return;
    }
    default:
        MW_UNREACHABLE("an event that is not about groups");
    }
}

static struct mw_group *owner_group(struct mw_world *world, mw_seq owner, uint32_t member)
{
    struct mw_group *group = (struct mw_group *)mw_world_item(world, owner);
    MW_ASSERT(group != NULL);
    MW_ASSERT(group->item.kind == MW_ITEM_GROUP);
    MW_ASSERT(member >= 1 && member <= group->total);
    return group;
}

void mw_group_member_opened(struct mw_world *world, mw_seq owner, uint32_t member)
{
    struct mw_group *group = owner_group(world, owner, member);
    MW_ASSERT(mw_group_positions(group)[member - 1] == MW_POSITION_WAITING);
    mw_group_positions(group)[member - 1] = MW_POSITION_OPEN;
    group->open++;
    while (group->scan < group->total &&
           mw_group_positions(group)[group->scan] != MW_POSITION_WAITING)
        group->scan++;
}

static void note_first_failure(struct mw_world *world, struct mw_group *group,
                               const struct mw_event *event)
{
    struct mw_trace *trace = mw_world_trace(world, group->item.trace);
    if (group->failure != NULL || event->reason.len == 0)
        return;
    MW_ASSERT(trace != NULL);
    struct mw_group_failure *first =
        mw_pool_alloc(&trace->pool, &world->mem, sizeof(*group->failure));
    first->reason = mw_pool_copy(&trace->pool, &world->mem, event->reason);
    first->error_class = mw_pool_copy(&trace->pool, &world->mem, event->error_class);
    first->task_type = mw_pool_copy(&trace->pool, &world->mem, event->task_type);
    group->failure = first;
}

void mw_group_member_ended(struct mw_world *world, struct mw_work *work, mw_seq owner,
                           uint32_t member, enum mw_outcome outcome, const struct mw_event *event)
{
    struct mw_group *group = owner_group(world, owner, member);
    MW_ASSERT(mw_group_positions(group)[member - 1] == MW_POSITION_OPEN);
    group->open--;
    if (outcome == MW_OUTCOME_COMPLETED) {
        mw_group_positions(group)[member - 1] = MW_POSITION_DONE;
        group->done++;
    } else {
        mw_group_positions(group)[member - 1] = MW_POSITION_FAILED;
        group->failed++;
        note_first_failure(world, group, event);
    }
    mw_queue_wake(world, work, group);
}
