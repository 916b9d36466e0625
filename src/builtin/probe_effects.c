#include "builtin/probe_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_ID "3b241101-e2bb-4255-8caf-4136c566a962"
#define FINE_CLOCK_NS 20000000 /* after this long a time with a fraction has moved */
#define COARSE_CLOCK_NS 1100000000

static void check_state_change(struct probe *p, uint32_t index);
static void check_delete(struct probe *p, uint32_t index);
static void check_unknown_id(struct probe *p, uint32_t index);
static bool has_id(const struct probe_use_case *use_case);

void probe_effects(struct probe *p)
{
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++) {
        const struct probe_use_case *use_case = &p->use_cases[i];
        mw_arena_reset(&p->scratch);
        if (use_case->effect == PROBE_SET || use_case->effect == PROBE_INCREMENT ||
            use_case->effect == PROBE_ASSIGN || use_case->effect == PROBE_UPDATE)
            check_state_change(p, i);
        if (use_case->effect == PROBE_DELETE)
            check_delete(p, i);
        if (has_id(use_case))
            check_unknown_id(p, i);
        if (use_case->effect == PROBE_LIST)
            probe_list(p, i);
    }
}

static bool has_id(const struct probe_use_case *use_case)
{
    return use_case->effect != PROBE_CREATE && use_case->effect != PROBE_LIST;
}

struct mw_str probe_record_field(struct probe *p, uint32_t record, struct mw_str field)
{
    struct mw_tape tape;
    if (mw_json_parse(&p->scratch, p->records[record].json, &tape, NULL) != MW_OK)
        return MW_STR_NONE;
    return probe_node_json(&p->scratch, &tape, mw_node_get_str(&tape, 0, field));
}

/* passed_ns: from the answer before this one to when this was asked. How long the answer took says nothing: the service may have set its time at once. */
static void check_moved(struct probe *p, uint32_t record, const struct probe_answer *answer,
                        int64_t passed_ns, struct mw_str name)
{
    struct mw_tape old;
    if (mw_json_parse(&p->scratch, p->records[record].json, &old, NULL) != MW_OK)
        return;
    struct mw_str before = mw_node_get_text(&old, 0, "updatedAt");
    struct mw_str after = mw_node_get_text(&answer->tape, 0, "updatedAt");
    bool fine = mw_str_find(before, '.', 0) != SIZE_MAX;
    if (passed_ns > (fine ? FINE_CLOCK_NS : COARSE_CLOCK_NS))
        (void)probe_judge(p, !mw_str_eq(before, after),
                          probe_say(p, "%.*s: updatedAt moves", MW_STR_ARG(name)),
                          "a later updatedAt", probe_say(p, "still %.*s", MW_STR_ARG(after)));
}

bool probe_change_by(struct probe *p, uint32_t index, uint32_t record, struct mw_str body,
                     const struct probe_change *changes, uint32_t change_count, struct mw_str name)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    struct probe_answer answer;
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct probe_ask ask = {.method = method.ptr,
                            .path = probe_path(p, use_case, p->records[record].id),
                            .owner = p->records[record].owner,
                            .body = body};
    int64_t passed_ns = mw_now_monotonic_ns() - p->records[record].changed_ns;
    if (!probe_expect(p, name, &ask, 200, &answer))
        return false;
    struct mw_str difference =
        probe_difference(p, p->records[record].json, changes, change_count, true, &answer.tape, 0);
    bool same = probe_judge(p, difference.ptr == NULL, name,
                            "exactly its field and updatedAt change", difference);
    p->records[record].last = index;
    if (same)
        check_moved(p, record, &answer, passed_ns, use_case->name);
    if (answer.tape.count > 0 && mw_node_get_text(&answer.tape, 0, "id").len > 0)
        probe_record_update(p, record, &answer.tape, 0);
    return same;
}

static uint32_t changes_of_set(struct probe *p, const struct probe_use_case *use_case,
                               struct probe_change *ret_changes)
{
    const struct mw_tape *tape = p->options->tape;
    uint32_t count = 0;
    for (uint32_t i = mw_node_first(tape, use_case->set);
         i != MW_NODE_NONE && count < PROBE_CHANGES_MAX;
         i = mw_node_after(tape, use_case->set, i)) {
        struct mw_str value =
            mw_node_is_null(tape, i + 1) ? MW_STR_NONE : probe_node_json(&p->scratch, tape, i + 1);
        ret_changes[count++] = (struct probe_change){tape->nodes[i].text, value};
    }
    return count;
}

static struct mw_str incremented(struct probe *p, const struct probe_use_case *use_case,
                                 uint32_t record)
{
    struct mw_str now = probe_record_field(p, record, use_case->field);
    if (now.ptr == NULL)
        return MW_STR_NONE;
    struct mw_str text = mw_arena_copy(&p->scratch, now);
    return probe_number(&p->scratch, strtod(text.ptr, NULL) + use_case->by);
}

bool probe_has_room(struct probe *p, const struct probe_use_case *use_case, struct mw_str after)
{
    const struct probe_entity *kind = &p->entities[use_case->entity];
    uint32_t field = probe_find_field(kind, use_case->field);
    if (after.ptr == NULL || field == PROBE_NONE)
        return true;
    double value = strtod(after.ptr, NULL);
    /* The largest numbers are too coarse to be added to. */
    if (fabs(value) >= 9007199254740992.0)
        return false;
    return !(kind->fields[field].has_min && value < kind->fields[field].min) &&
           !(kind->fields[field].has_max && value > kind->fields[field].max);
}

/* Fields of the use case (assign) or one field (update), with good values other than the record has. */
static struct mw_str choose_body(struct probe *p, const struct probe_use_case *use_case,
                                 uint32_t owner, uint32_t record, struct probe_change *ret_changes,
                                 uint32_t *ret_count)
{
    const struct mw_tape *tape = p->options->tape;
    const struct probe_entity *kind = &p->entities[use_case->entity];
    struct probe_body body;
    uint32_t count = 0;
    memset(&body, 0, sizeof body);
    for (uint32_t i = 0; i < kind->field_count; i++) {
        const struct probe_field *field = &kind->fields[i];
        bool wanted = use_case->effect == PROBE_UPDATE && count == 0;
        for (uint32_t k = mw_node_first(tape, use_case->fields);
             use_case->effect == PROBE_ASSIGN && k != MW_NODE_NONE;
             k = mw_node_after(tape, use_case->fields, k))
            wanted = wanted || mw_str_eq(mw_node_str(tape, k), field->name);
        if (!wanted)
            continue;
        struct mw_str now =
            record == PROBE_NONE ? MW_STR_NONE : probe_record_field(p, record, field->name);
        struct mw_str value = field->type == PROBE_REFERENCE
                                  ? probe_value_normal(p, field, owner)
                                  : probe_value_not(p, field, owner, now);
        if (value.ptr == NULL) /* there is no other value */
            value = probe_value_normal(p, field, owner);
        if (value.ptr == NULL)
            continue;
        body.values[i] = value;
        ret_changes[count++] = (struct probe_change){field->name, value};
    }
    *ret_count = count;
    return probe_body_text(p, kind, &body, NULL);
}

struct mw_str probe_body_for(struct probe *p, const struct probe_use_case *use_case, uint32_t owner)
{
    struct probe_change changes[PROBE_CHANGES_MAX];
    struct probe_body body;
    uint32_t count;
    if (use_case->effect == PROBE_CREATE) {
        probe_body_minimal(p, use_case->entity, owner, &body);
        return probe_body_text(p, &p->entities[use_case->entity], &body, NULL);
    }
    if (use_case->effect == PROBE_UPDATE || use_case->effect == PROBE_ASSIGN)
        return choose_body(p, use_case, owner, PROBE_NONE, changes, &count);
    return MW_STR_NONE;
}

uint32_t probe_stand_in(struct probe *p, uint32_t record)
{
    static const enum probe_effect showing[] = {PROBE_INCREMENT, PROBE_SET, PROBE_ASSIGN,
                                                PROBE_UPDATE};
    uint32_t same = PROBE_NONE;
    for (size_t i = 0; i < MW_COUNT(showing); i++)
        for (uint32_t k = 0; k < p->use_case_count; k++) {
            const struct probe_use_case *use_case = &p->use_cases[k];
            if (use_case->entity != p->records[record].entity || use_case->effect != showing[i])
                continue;
            if (showing[i] == PROBE_INCREMENT) {
                struct mw_str after = incremented(p, use_case, record);
                if (after.ptr == NULL || !probe_has_room(p, use_case, after))
                    continue;
                return k; /* it shows its own last change too */
            }
            if (k != p->records[record].last)
                return k;
            same = k;
        }
    if (same != PROBE_NONE)
        probe_skip(
            p,
            "%.*s: whether its change is kept (no other use case shows the record, and asking "
            "again writes the same)",
            MW_STR_ARG(p->use_cases[same].name));
    return same;
}

bool probe_do(struct probe *p, uint32_t index, uint32_t record, struct mw_str name)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    struct probe_change changes[PROBE_CHANGES_MAX];
    uint32_t count = 0;
    struct mw_str body = MW_STR_NONE;
    if (use_case->effect == PROBE_SET)
        count = changes_of_set(p, use_case, changes);
    else if (use_case->effect == PROBE_INCREMENT) {
        changes[0] = (struct probe_change){use_case->field, incremented(p, use_case, record)};
        if (!probe_has_room(p, use_case, changes[0].json))
            return true; /* what happens at the bound nobody said */
        if (changes[0].json.ptr == NULL) {
            probe_skip(p, "%.*s: a record without its field (nothing says where it begins)",
                       MW_STR_ARG(use_case->name));
            return true;
        }
        count = 1;
    } else
        body = choose_body(p, use_case, p->records[record].owner, record, changes, &count);
    return probe_change_by(p, index, record, body, changes, count, name);
}

/* A record on which the use case makes a difference. */
uint32_t probe_fresh_for(struct probe *p, const struct probe_use_case *use_case)
{
    const struct probe_entity *kind = &p->entities[use_case->entity];
    struct probe_change changes[PROBE_CHANGES_MAX];
    struct probe_body body;
    if (!probe_can_create(p, use_case->entity, "changing one"))
        return PROBE_NONE;
    probe_body_full(p, use_case->entity, 0, &body);
    uint32_t count = use_case->effect == PROBE_SET ? changes_of_set(p, use_case, changes) : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t field = probe_find_field(kind, changes[i].name);
        struct mw_str other = field == PROBE_NONE
                                  ? MW_STR_NONE
                                  : probe_value_not(p, &kind->fields[field], 0, changes[i].json);
        if (other.ptr != NULL) /* an enum may have a single value */
            body.values[field] = other;
    }
    uint32_t counted =
        use_case->effect == PROBE_INCREMENT ? probe_find_field(kind, use_case->field) : PROBE_NONE;
    if (counted != PROBE_NONE) { /* room for three steps up or down */
        const struct probe_field *field = &kind->fields[counted];
        double base = use_case->by > 0 ? (field->has_min   ? field->min
                                          : field->has_max ? field->max - 3 * use_case->by
                                                           : 0)
                                       : (field->has_max   ? field->max
                                          : field->has_min ? field->min - 3 * use_case->by
                                                           : 0);
        body.values[counted] = probe_number(&p->keep, base);
    }
    struct mw_str create = p->use_cases[kind->by_effect[PROBE_CREATE]].name;
    return probe_create(p, use_case->entity, 0, &body,
                        probe_say(p, "%.*s: a full body is accepted", MW_STR_ARG(create)));
}

static void check_state_change(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    bool bodiless = use_case->effect == PROBE_SET || use_case->effect == PROBE_INCREMENT;
    uint32_t record = probe_fresh_for(p, use_case);
    if (record == PROBE_NONE)
        return;
    struct mw_str name =
        probe_say(p, "%.*s: changes exactly its field", MW_STR_ARG(use_case->name));
    (void)probe_do(p, index, record, name);
    (void)probe_read_back(p, record,
                          probe_say(p, "%.*s: the change reads back", MW_STR_ARG(use_case->name)));
    (void)probe_do(p, index, record,
                   probe_say(p, "%.*s: a second time works too", MW_STR_ARG(use_case->name)));
    uint32_t neighbour = p->entities[use_case->entity].anchor[0];
    if (neighbour != PROBE_NONE)
        (void)probe_read_back(
            p, neighbour,
            probe_say(p, "%.*s: leaves other records alone", MW_STR_ARG(use_case->name)));
    if (!bodiless)
        return;
    /* An empty object is as good as no body. */
    struct probe_change changes[PROBE_CHANGES_MAX];
    uint32_t count = 1;
    if (use_case->effect == PROBE_SET)
        count = changes_of_set(p, use_case, changes);
    else
        changes[0] = (struct probe_change){use_case->field, incremented(p, use_case, record)};
    if (use_case->effect == PROBE_SET || probe_has_room(p, use_case, changes[0].json))
        (void)probe_change_by(
            p, index, record, MW_STR("{}"), changes, count,
            probe_say(p, "%.*s: an empty object as body is accepted", MW_STR_ARG(use_case->name)));
    if (use_case->effect == PROBE_INCREMENT)
        probe_raw_together(p, index);
    if (use_case->effect == PROBE_SET && neighbour != PROBE_NONE)
        (void)probe_do(p, index, neighbour, /* one that never had the field */
                       probe_say(p, "%.*s: works on the least record", MW_STR_ARG(use_case->name)));
}

static void expect_gone(struct probe *p, const struct probe_use_case *use_case, uint32_t record)
{
    const struct probe_entity *kind = &p->entities[use_case->entity];
    for (uint32_t i = 0; i < p->use_case_count; i++) {
        const struct probe_use_case *other = &p->use_cases[i];
        if (other->entity != use_case->entity || !has_id(other))
            continue;
        struct mw_str method = mw_arena_copy(&p->scratch, other->method);
        struct probe_ask ask = {.method = method.ptr,
                                .path = probe_path(p, other, p->records[record].id),
                                .owner = p->records[record].owner,
                                .body = probe_body_for(p, other, 0)};
        (void)probe_expect(p,
                           probe_say(p, "%.*s: %.*s of the deleted record answers 404",
                                     MW_STR_ARG(use_case->name), MW_STR_ARG(other->name)),
                           &ask, 404, NULL);
    }
    if (kind->by_effect[PROBE_LIST] != PROBE_NONE)
        probe_list(p, kind->by_effect[PROBE_LIST]);
}

static void check_delete(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    struct probe_answer answer;
    uint32_t record = probe_fresh(p, use_case->entity, 0, "delete");
    if (record == PROBE_NONE)
        return;
    struct probe_ask ask = {
        .method = "DELETE", .path = probe_path(p, use_case, p->records[record].id), .owner = 0};
    bool done = probe_expect(p, probe_say(p, "%.*s: answers 204", MW_STR_ARG(use_case->name)), &ask,
                             204, &answer);
    if (!done)
        return;
    p->records[record].gone = true;
    expect_gone(p, use_case, record);
    uint32_t neighbour = p->entities[use_case->entity].anchor[0];
    if (neighbour != PROBE_NONE)
        (void)probe_read_back(
            p, neighbour,
            probe_say(p, "%.*s: leaves other records alone", MW_STR_ARG(use_case->name)));
}

static void check_unknown_id(struct probe *p, uint32_t index)
{
    static const char *const ids[] = {UNKNOWN_ID, "not-an-id", "__proto__",
                                      "..%2f..%2fetc%2fpasswd"};
    const struct probe_use_case *use_case = &p->use_cases[index];
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    for (size_t i = 0; i < MW_COUNT(ids); i++) {
        struct probe_ask ask = {.method = method.ptr,
                                .path = probe_path(p, use_case, mw_str_of(ids[i])),
                                .owner = 0,
                                .body = probe_body_for(p, use_case, 0)};
        (void)probe_expect(
            p, probe_say(p, "%.*s: unknown id %s answers 404", MW_STR_ARG(use_case->name), ids[i]),
            &ask, 404, NULL);
    }
}

void probe_effects_last(struct probe *p)
{
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++) {
        const struct probe_use_case *use_case = &p->use_cases[i];
        uint32_t record = PROBE_NONE;
        mw_arena_reset(&p->scratch);
        if (use_case->effect != PROBE_SET && use_case->effect != PROBE_INCREMENT &&
            use_case->effect != PROBE_ASSIGN && use_case->effect != PROBE_UPDATE)
            continue;
        /* An old record, so that updatedAt has to move; increments want one with room. */
        for (uint32_t k = 0; k < p->record_count && use_case->effect != PROBE_INCREMENT; k++)
            if (record == PROBE_NONE && p->records[k].entity == use_case->entity &&
                p->records[k].owner == 0 && !p->records[k].gone && !p->records[k].vague)
                record = k;
        if (record == PROBE_NONE)
            record = probe_fresh_for(p, use_case);
        if (record != PROBE_NONE)
            (void)probe_do(p, i, record,
                           probe_say(p, "%.*s: changes exactly its field after a restart",
                                     MW_STR_ARG(use_case->name)));
    }
    for (uint32_t i = 0; i < p->entity_count && !p->stopped; i++)
        if (p->entities[i].creatable)
            (void)probe_fresh(p, i, 0, "create"); /* answered, then killed */
}
