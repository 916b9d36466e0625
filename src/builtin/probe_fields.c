#include "builtin/probe_internal.h"

#include <string.h>

static const char *const taken_names[] = {"id", "createdAt", "updatedAt", "ownerId"};
static const char *const unknown_names[] = {"mwprobeUnknown", "constructor", "__proto__"};

static void check_create(struct probe *p, uint32_t index);
static void check_create_good(struct probe *p, const struct probe_use_case *use_case);
static void check_create_bad(struct probe *p, const struct probe_use_case *use_case);
static void check_assign(struct probe *p, uint32_t index);

void probe_fields(struct probe *p)
{
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++)
        if (p->use_cases[i].effect == PROBE_CREATE)
            check_create(p, i);
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++) {
        if (p->use_cases[i].effect == PROBE_UPDATE)
            probe_fields_update(p, i);
        if (p->use_cases[i].effect == PROBE_ASSIGN)
            check_assign(p, i);
    }
}

/* A refusal that must name field; a record made in spite of it is remembered, so that it is not blamed on something else. */
static void refuse(struct probe *p, const struct probe_use_case *use_case, const char *id,
                   struct mw_str body, struct mw_str field, struct mw_str name)
{
    struct probe_answer answer = {0};
    struct probe_ask ask = {.method = use_case->effect == PROBE_UPDATE ? "PATCH" : "POST",
                            .path = probe_path(p, use_case, mw_str_of(id)),
                            .owner = 0,
                            .body = body};
    if (!probe_expect_refused(p, name, &ask, &field, 1, &answer) && answer.status == 201)
        (void)probe_record_add(p, use_case->entity, 0, &answer.tape, /* no id: nothing to keep */
                               answer.tape.count > 0 ? 0 : MW_NODE_NONE, true);
}

static void check_create(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    mw_arena_reset(&p->scratch);
    if (probe_anchor(p, use_case->entity, 0) == PROBE_NONE)
        return; /* told; without the least body nothing else means anything */
    uint32_t full = probe_fresh(p, use_case->entity, 0, "create");
    if (full != PROBE_NONE)
        (void)probe_read_back(
            p, full,
            probe_say(p, "%.*s: the record reads back as created", MW_STR_ARG(use_case->name)));
    check_create_good(p, use_case);
    check_create_bad(p, use_case);
}

static void create_with(struct probe *p, const struct probe_use_case *use_case, uint32_t field,
                        struct mw_str value, struct mw_str name)
{
    struct probe_body body;
    probe_body_minimal(p, use_case->entity, 0, &body);
    body.values[field] = value;
    uint32_t record = probe_create(p, use_case->entity, 0, &body, name);
    if (record != PROBE_NONE)
        (void)probe_read_back(p, record, probe_say(p, "%.*s and reads back", MW_STR_ARG(name)));
}

static void check_create_good(struct probe *p, const struct probe_use_case *use_case)
{
    const struct probe_entity *kind = &p->entities[use_case->entity];
    struct probe_values values;
    for (uint32_t i = 0; i < kind->field_count; i++) {
        const struct probe_field *field = &kind->fields[i];
        probe_values_good(p, field, 0, &values);
        for (uint32_t k = 0; k < values.count && !p->stopped; k++) {
            mw_arena_reset(&p->scratch);
            create_with(p, use_case, i, values.items[k].json,
                        probe_say(p, "%.*s: %.*s %.*s is accepted", MW_STR_ARG(use_case->name),
                                  MW_STR_ARG(field->words), MW_STR_ARG(values.items[k].label)));
        }
        if (values.count == 0)
            probe_skip(p, "%.*s: %.*s (no record it could refer to)", MW_STR_ARG(use_case->name),
                       MW_STR_ARG(field->words));
        mw_arena_reset(&p->scratch);
        if (!field->required)
            create_with(p, use_case, i, MW_STR("null"),
                        probe_say(p, "%.*s: optional %.*s that is null counts as absent",
                                  MW_STR_ARG(use_case->name), MW_STR_ARG(field->words)));
    }
}

static void check_missing(struct probe *p, const struct probe_use_case *use_case, uint32_t index)
{
    const struct probe_entity *kind = &p->entities[use_case->entity];
    const struct probe_field *field = &kind->fields[index];
    struct probe_body body;
    probe_body_minimal(p, use_case->entity, 0, &body);
    body.values[index] = MW_STR_NONE;
    refuse(p, use_case, "", probe_body_text(p, kind, &body, NULL), field->name,
           probe_say(p, "%.*s: a missing %.*s is refused", MW_STR_ARG(use_case->name),
                     MW_STR_ARG(field->words)));
    body.values[index] = MW_STR("null");
    refuse(p, use_case, "", probe_body_text(p, kind, &body, NULL), field->name,
           probe_say(p, "%.*s: %.*s null is refused", MW_STR_ARG(use_case->name),
                     MW_STR_ARG(field->words)));
}

/* Fields that no body may hold, each beside a good body. */
static void check_foreign_names(struct probe *p, const struct probe_use_case *use_case,
                                const char *id, struct mw_str good)
{
    for (size_t i = 0; i < MW_COUNT(taken_names) + MW_COUNT(unknown_names); i++) {
        bool taken = i < MW_COUNT(taken_names);
        const char *name = taken ? taken_names[i] : unknown_names[i - MW_COUNT(taken_names)];
        struct mw_str inner = mw_str_sub(good, 0, good.len - 1);
        struct mw_str body = probe_say(p, "%.*s%s\"%s\":\"3b241101-e2bb-4255-8caf-4136c566a962\"}",
                                       MW_STR_ARG(inner), inner.len > 1 ? "," : "", name);
        refuse(p, use_case, id, body, mw_str_of(name),
               probe_say(p, "%.*s: %s %s in the body is refused", MW_STR_ARG(use_case->name),
                         taken ? "the record's own" : "the unknown field", name));
    }
}

static void check_create_bad(struct probe *p, const struct probe_use_case *use_case)
{
    const struct probe_entity *kind = &p->entities[use_case->entity];
    struct probe_values values;
    struct probe_body body;
    struct mw_str two[2];
    uint32_t two_count = 0;
    for (uint32_t i = 0; i < kind->field_count && !p->stopped; i++) {
        const struct probe_field *field = &kind->fields[i];
        probe_values_bad(p, field, 0, &values);
        for (uint32_t k = 0; k < values.count && !p->stopped; k++) {
            mw_arena_reset(&p->scratch);
            probe_body_minimal(p, use_case->entity, 0, &body);
            body.values[i] = values.items[k].json;
            refuse(p, use_case, "", probe_body_text(p, kind, &body, NULL), field->name,
                   probe_say(p, "%.*s: %.*s %.*s is refused", MW_STR_ARG(use_case->name),
                             MW_STR_ARG(field->words), MW_STR_ARG(values.items[k].label)));
        }
        mw_arena_reset(&p->scratch);
        if (field->required && field->preset.ptr == NULL)
            check_missing(p, use_case, i);
    }
    mw_arena_reset(&p->scratch);
    probe_body_minimal(p, use_case->entity, 0, &body);
    check_foreign_names(p, use_case, "", probe_body_text(p, kind, &body, NULL));
    for (uint32_t i = 0; i < kind->field_count && two_count < 2; i++) {
        two[two_count++] = kind->fields[i].name;
        body.values[i] = MW_STR("{}"); /* no type's value */
    }
    struct probe_ask ask = {
        .method = "POST", .path = use_case->path, .body = probe_body_text(p, kind, &body, NULL)};
    if (two_count == 2)
        (void)probe_expect_refused(
            p, /* told there */
            probe_say(p, "%.*s: two wrong fields are both named", MW_STR_ARG(use_case->name)), &ask,
            two, 2, NULL);
}

static void update_one(struct probe *p, uint32_t index, uint32_t record,
                       const struct probe_field *field, struct mw_str value, struct mw_str name)
{
    bool cleared = mw_str_is(value, "null");
    struct probe_change change = {field->name, cleared ? MW_STR_NONE : value};
    struct mw_str body =
        probe_say(p, "{\"%.*s\":%.*s}", MW_STR_ARG(field->name), MW_STR_ARG(value));
    (void)probe_change_by(p, index, record, body, &change, 1, name); /* told there */
}

void probe_fields_update(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    const struct probe_entity *kind = &p->entities[use_case->entity];
    struct probe_values values;
    mw_arena_reset(&p->scratch);
    uint32_t record = probe_fresh(p, use_case->entity, 0, "update");
    if (record == PROBE_NONE)
        return;
    const char *id = p->records[record].id.ptr;
    for (uint32_t i = 0; i < kind->field_count && !p->stopped; i++) {
        const struct probe_field *field = &kind->fields[i];
        probe_values_good(p, field, 0, &values);
        for (uint32_t k = 0; k < values.count; k++) {
            mw_arena_reset(&p->scratch);
            update_one(p, index, record, field, values.items[k].json,
                       probe_say(p, "%.*s: %.*s %.*s is accepted", MW_STR_ARG(use_case->name),
                                 MW_STR_ARG(field->words), MW_STR_ARG(values.items[k].label)));
        }
        mw_arena_reset(&p->scratch);
        (void)probe_read_back(p, record,
                              probe_say(p, "%.*s: the changed %.*s reads back",
                                        MW_STR_ARG(use_case->name), MW_STR_ARG(field->words)));
        probe_values_bad(p, field, 0, &values);
        for (uint32_t k = 0; k < values.count && !p->stopped; k++) {
            mw_arena_reset(&p->scratch);
            refuse(p, use_case, id,
                   probe_say(p, "{\"%.*s\":%.*s}", MW_STR_ARG(field->name),
                             MW_STR_ARG(values.items[k].json)),
                   field->name,
                   probe_say(p, "%.*s: %.*s %.*s is refused", MW_STR_ARG(use_case->name),
                             MW_STR_ARG(field->words), MW_STR_ARG(values.items[k].label)));
        }
        mw_arena_reset(&p->scratch);
        if (field->required && field->preset.ptr == NULL)
            refuse(p, use_case, id, probe_say(p, "{\"%.*s\":null}", MW_STR_ARG(field->name)),
                   field->name,
                   probe_say(p, "%.*s: %.*s null is refused", MW_STR_ARG(use_case->name),
                             MW_STR_ARG(field->words)));
        if (!field->required && field->preset.ptr == NULL)
            update_one(p, index, record, field, MW_STR("null"),
                       probe_say(p, "%.*s: null clears the optional %.*s",
                                 MW_STR_ARG(use_case->name), MW_STR_ARG(field->words)));
    }
    mw_arena_reset(&p->scratch);
    check_foreign_names(p, use_case, id, MW_STR("{}"));
    struct probe_ask empty = {
        .method = "PATCH", .path = probe_path(p, use_case, mw_str_of(id)), .body = MW_STR("{}")};
    (void)probe_expect(
        p, probe_say(p, "%.*s: a body without fields is refused", MW_STR_ARG(use_case->name)),
        &empty, 400, NULL);
    (void)probe_read_back(
        p, record,
        probe_say(p, "%.*s: refused bodies changed nothing", MW_STR_ARG(use_case->name)));
}

/* The body of an assign with one value replaced, or left out (ptr NULL). */
static struct mw_str assign_body(struct probe *p, const struct probe_use_case *use_case,
                                 uint32_t other_index, struct mw_str value,
                                 struct probe_change *ret_changes, uint32_t *ret_count)
{
    const struct mw_tape *tape = p->options->tape;
    const struct probe_entity *kind = &p->entities[use_case->entity];
    struct probe_body body;
    uint32_t count = 0;
    memset(&body, 0, sizeof body);
    for (uint32_t i = mw_node_first(tape, use_case->fields); i != MW_NODE_NONE;
         i = mw_node_after(tape, use_case->fields, i)) {
        uint32_t field = probe_find_field(kind, mw_node_str(tape, i));
        if (field == PROBE_NONE)
            continue;
        body.values[field] =
            field == other_index ? value : probe_value_normal(p, &kind->fields[field], 0);
        if (count < PROBE_CHANGES_MAX)
            ret_changes[count++] =
                (struct probe_change){kind->fields[field].name, body.values[field]};
    }
    *ret_count = count;
    return probe_body_text(p, kind, &body, NULL);
}

static void check_assign_field(struct probe *p, uint32_t index, uint32_t record, uint32_t at)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    const struct probe_field *field = &p->entities[use_case->entity].fields[at];
    const char *id = p->records[record].id.ptr;
    struct probe_change changes[PROBE_CHANGES_MAX];
    uint32_t count;
    struct probe_values values;
    probe_values_good(p, field, 0, &values);
    for (uint32_t k = 0; k < values.count && !p->stopped; k++) {
        mw_arena_reset(&p->scratch);
        struct mw_str body = assign_body(p, use_case, at, values.items[k].json, changes, &count);
        (void)probe_change_by(p, index, record, body, changes, count,
                              probe_say(p, "%.*s: %.*s %.*s is accepted",
                                        MW_STR_ARG(use_case->name), MW_STR_ARG(field->words),
                                        MW_STR_ARG(values.items[k].label)));
    }
    probe_values_bad(p, field, 0, &values);
    for (uint32_t k = 0; k < values.count && !p->stopped; k++) {
        mw_arena_reset(&p->scratch);
        refuse(p, use_case, id, assign_body(p, use_case, at, values.items[k].json, changes, &count),
               field->name,
               probe_say(p, "%.*s: %.*s %.*s is refused", MW_STR_ARG(use_case->name),
                         MW_STR_ARG(field->words), MW_STR_ARG(values.items[k].label)));
    }
    mw_arena_reset(&p->scratch);
    refuse(p, use_case, id, assign_body(p, use_case, at, MW_STR_NONE, changes, &count), field->name,
           probe_say(p, "%.*s: a missing %.*s is refused", MW_STR_ARG(use_case->name),
                     MW_STR_ARG(field->words)));
    if (field->required && field->preset.ptr == NULL)
        refuse(p, use_case, id, assign_body(p, use_case, at, MW_STR("null"), changes, &count),
               field->name,
               probe_say(p, "%.*s: %.*s null is refused", MW_STR_ARG(use_case->name),
                         MW_STR_ARG(field->words)));
}

static void check_assign(struct probe *p, uint32_t index)
{
    const struct probe_use_case *use_case = &p->use_cases[index];
    const struct probe_entity *kind = &p->entities[use_case->entity];
    const struct mw_tape *tape = p->options->tape;
    struct probe_change changes[PROBE_CHANGES_MAX];
    uint32_t count;
    mw_arena_reset(&p->scratch);
    uint32_t record = probe_fresh(p, use_case->entity, 0, "assign");
    if (record == PROBE_NONE)
        return;
    for (uint32_t i = mw_node_first(tape, use_case->fields); i != MW_NODE_NONE;
         i = mw_node_after(tape, use_case->fields, i)) {
        uint32_t field = probe_find_field(kind, mw_node_str(tape, i));
        if (field != PROBE_NONE)
            check_assign_field(p, index, record, field);
    }
    mw_arena_reset(&p->scratch);
    check_foreign_names(p, use_case, p->records[record].id.ptr,
                        assign_body(p, use_case, PROBE_NONE, MW_STR_NONE, changes, &count));
    (void)probe_read_back(
        p, record,
        probe_say(p, "%.*s: the last good values read back, refused bodies changed nothing",
                  MW_STR_ARG(use_case->name)));
}
