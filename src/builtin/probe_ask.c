#include "builtin/probe_internal.h"

#include "posix/heap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUTS_MAX 3

static bool error_shape_wrong(struct probe *p, const struct probe_answer *answer,
                              struct mw_str *ret_actual);
static bool names_exactly(const struct probe_answer *answer, const struct mw_str *fields,
                          uint32_t field_count);
static bool read_by_list(struct probe *p, uint32_t record, struct mw_str name);

void mw_probe_passed(struct mw_probe_report *report)
{
    report->passed++;
}

static struct mw_str kept_copy(struct mw_str text)
{
    return (struct mw_str){mw_heap_copy(text), text.len};
}

void mw_probe_failed(struct mw_probe_report *report, struct mw_str test, struct mw_str expected,
                     struct mw_str actual)
{
    report->failed++;
    for (uint32_t i = 0; i < report->failure_count; i++)
        if (mw_str_eq(report->failures[i].test, test))
            return; /* one check that fails for many records is told once, so that others are heard */
    if (report->failure_count < MW_PROBE_FAILURES_MAX)
        report->failures[report->failure_count++] =
            (struct mw_probe_failure){kept_copy(test), kept_copy(expected), kept_copy(actual)};
}

void mw_probe_not_checked(struct mw_probe_report *report, struct mw_str what)
{
    for (uint32_t i = 0; i < report->not_checked_count; i++)
        if (mw_str_eq(report->not_checked[i], what))
            return;
    report->skipped++;
    if (report->not_checked_count < MW_PROBE_FAILURES_MAX)
        report->not_checked[report->not_checked_count++] = kept_copy(what);
}

static void drop(struct mw_str text)
{
    mw_heap_free((void *)(uintptr_t)text.ptr);
}

void mw_probe_report_free(struct mw_probe_report *report)
{
    for (uint32_t i = 0; i < report->failure_count; i++) {
        drop(report->failures[i].test);
        drop(report->failures[i].expected);
        drop(report->failures[i].actual);
    }
    for (uint32_t i = 0; i < report->not_checked_count; i++)
        drop(report->not_checked[i]);
    memset(report, 0, sizeof *report);
}

void probe_pass(struct probe *p)
{
    mw_probe_passed(p->report);
}

void probe_fail(struct probe *p, struct mw_str name, struct mw_str expected, struct mw_str actual)
{
    mw_probe_failed(p->report, name, expected, actual);
}

bool probe_judge(struct probe *p, bool passed, struct mw_str name, const char *expected,
                 struct mw_str actual)
{
    if (passed)
        probe_pass(p);
    else
        probe_fail(p, name, mw_str_of(expected), actual);
    return passed;
}

void probe_skip(struct probe *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mw_probe_not_checked(p->report, mw_str_of(text));
}

/* ------------------------------------------------------------------ asking */

static bool revive(struct probe *p, struct mw_str name)
{
    (void)name;
    if (mw_service_runs(&p->service))
        return true;
    p->revived_count++;
    if (p->revived_count > TIMEOUTS_MAX || !probe_start(p, "again after it ended by itself"))
        p->stopped = true;
    return false;
}

static bool no_answer(struct probe *p, struct mw_str name, const struct mw_err *err)
{
    bool runs = mw_service_runs(&p->service);
    probe_fail(p, name, MW_STR("an answer"),
               runs ? mw_str_of(err->text) : probe_say(p, "the service ended: %s", err->text));
    if (runs && err->rc == MW_E_TIMEOUT && ++p->revived_count > TIMEOUTS_MAX)
        p->stopped = true;
    (void)revive(p, name);
    return false;
}

bool probe_send(struct probe *p, struct mw_str name, const struct probe_ask *ask,
                struct probe_answer *ret_answer)
{
    struct mw_client_answer http;
    struct mw_err err = {0};
    struct probe_answer answer = {0};
    int64_t left_ms = (p->options->deadline_ns - mw_now_monotonic_ns()) / 1000000;
    if (p->stopped)
        return false;
    if (left_ms <= 0) {
        probe_fail(p, MW_STR("service: answers fast enough for the whole probe"),
                   MW_STR("an end within the deadline"), MW_STR("the deadline passed"));
        p->stopped = true;
        return false;
    }
    const char *authorization = ask->authorization;
    if (authorization == NULL && p->auth && ask->owner != PROBE_NONE)
        authorization = p->bearer[ask->owner];
    if (authorization != NULL && authorization[0] == '\0')
        authorization = NULL;
    const char *content_type = ask->content_type;
    if (content_type == NULL && ask->body.ptr != NULL)
        content_type = "application/json";
    struct mw_str path = mw_arena_copy(&p->scratch, ask->path);
    struct mw_client_request request = {
        .method = ask->method,
        .path = path.ptr,
        .authorization = authorization,
        .content_type = content_type != NULL && content_type[0] != '\0' ? content_type : NULL,
        .body = ask->body,
        .has_body = ask->body.ptr != NULL,
        .timeout_ms = left_ms < MW_PROBE_REQUEST_MS ? left_ms : MW_PROBE_REQUEST_MS};
    p->asked_count++;
    enum mw_rc rc = mw_client_send(&p->http, &request, &http, &err);
    mw_service_drain(&p->service);
    if (rc != MW_OK)
        return no_answer(p, name, &err);
    answer.status = http.status;
    answer.body = http.body;
    answer.content_type = http.content_type;
    answer.allow = http.allow;
    answer.challenge = http.challenge;
    if (http.body.len == 0 || mw_json_parse(&p->scratch, http.body, &answer.tape, NULL) != MW_OK)
        answer.tape.count = 0;
    *ret_answer = answer;
    return true;
}

bool probe_expect(struct probe *p, struct mw_str name, const struct probe_ask *ask, int status,
                  struct probe_answer *ret_answer)
{
    struct probe_answer answer;
    struct mw_str actual;
    if (!probe_send(p, name, ask, &answer))
        return false;
    if (ret_answer != NULL)
        *ret_answer = answer;
    struct mw_str wanted = probe_say(p, "%d", status);
    if (answer.status != status) {
        probe_fail(p, name, wanted, probe_say(p, "%d", answer.status));
        return false;
    }
    if (status >= 400 && error_shape_wrong(p, &answer, &actual)) {
        probe_fail(p, name, probe_say(p, "%d with {\"error\":{code, message}}", status), actual);
        return false;
    }
    if (status < 400 && status != 204 &&
        (answer.tape.count == 0 || strncmp(answer.content_type, "application/json", 16) != 0)) {
        probe_fail(p, name, probe_say(p, "%d with JSON", status),
                   probe_say(p, "%d with content type '%s'", status, answer.content_type));
        return false;
    }
    probe_pass(p);
    return true;
}

static bool error_shape_wrong(struct probe *p, const struct probe_answer *answer,
                              struct mw_str *ret_actual)
{
    if (answer->tape.count == 0 || strncmp(answer->content_type, "application/json", 16) != 0) {
        *ret_actual =
            probe_say(p, "%d with content type '%s'", answer->status, answer->content_type);
        return true;
    }
    uint32_t error = mw_node_get(&answer->tape, 0, "error");
    if (mw_node_get_text(&answer->tape, error, "code").len > 0 &&
        mw_node_type(&answer->tape, mw_node_get(&answer->tape, error, "message")) == MW_NODE_STRING)
        return false;
    *ret_actual =
        probe_say(p, "%d with %.*s", answer->status,
                  (int)(answer->body.len < 120 ? answer->body.len : 120), answer->body.ptr);
    return true;
}

static struct mw_str list_names(struct probe *p, const struct mw_str *names, uint32_t count)
{
    struct mw_str text = MW_STR("");
    for (uint32_t i = 0; i < count; i++)
        text =
            probe_say(p, "%.*s%s%.*s", MW_STR_ARG(text), i > 0 ? ", " : "", MW_STR_ARG(names[i]));
    return text;
}

static struct mw_str named_fields(struct probe *p, const struct probe_answer *answer)
{
    struct mw_str names[32];
    uint32_t count = 0;
    const struct mw_tape *tape = &answer->tape;
    if (answer->status != 400 || tape->count == 0)
        return probe_say(p, "%d", answer->status);
    uint32_t fields = mw_node_get(tape, mw_node_get(tape, 0, "error"), "fields");
    for (uint32_t i = mw_node_first(tape, fields); i != MW_NODE_NONE && count < MW_COUNT(names);
         i = mw_node_after(tape, fields, i))
        names[count++] = mw_node_get_text(tape, i, "field");
    if (count == 0)
        return MW_STR("400 naming no field");
    struct mw_str all = list_names(p, names, count);
    return probe_say(p, "400 naming %.*s", MW_STR_ARG(all));
}

bool probe_expect_refused(struct probe *p, struct mw_str name, const struct probe_ask *ask,
                          const struct mw_str *fields, uint32_t field_count,
                          struct probe_answer *ret_answer)
{
    struct probe_answer answer;
    struct mw_str actual;
    if (!probe_send(p, name, ask, &answer))
        return false;
    if (ret_answer != NULL)
        *ret_answer = answer;
    struct mw_str names = list_names(p, fields, field_count);
    struct mw_str wanted = probe_say(p, "400 naming %.*s", MW_STR_ARG(names));
    if (answer.status == 400 && error_shape_wrong(p, &answer, &actual)) {
        probe_fail(p, name, wanted, actual);
        return false;
    }
    if (answer.status != 400 || !names_exactly(&answer, fields, field_count)) {
        probe_fail(p, name, wanted, named_fields(p, &answer));
        return false;
    }
    probe_pass(p);
    return true;
}

static bool names_exactly(const struct probe_answer *answer, const struct mw_str *fields,
                          uint32_t field_count)
{
    const struct mw_tape *tape = &answer->tape;
    uint32_t error = mw_node_get(tape, 0, "error");
    uint32_t list = mw_node_get(tape, error, "fields");
    uint32_t found = 0;
    if (!mw_str_is(mw_node_get_text(tape, error, "code"), "validation_failed"))
        return false;
    for (uint32_t i = mw_node_first(tape, list); i != MW_NODE_NONE;
         i = mw_node_after(tape, list, i)) {
        bool wanted = false;
        for (uint32_t k = 0; k < field_count; k++)
            wanted = wanted || mw_str_eq(mw_node_get_text(tape, i, "field"), fields[k]);
        if (!wanted || mw_node_get_text(tape, i, "message").len == 0)
            return false;
        found++;
    }
    return found == field_count;
}

/* ------------------------------------------------------------------ records */

struct mw_str probe_path(struct probe *p, const struct probe_use_case *use_case, struct mw_str id)
{
    size_t open = mw_str_find(use_case->path, '{', 0);
    size_t close = mw_str_find(use_case->path, '}', 0);
    if (open == SIZE_MAX || close == SIZE_MAX)
        return use_case->path;
    struct mw_str rest = mw_str_sub(use_case->path, close + 1, use_case->path.len);
    return probe_say(p, "%.*s%.*s%.*s", (int)open, use_case->path.ptr, MW_STR_ARG(id),
                     MW_STR_ARG(rest));
}

struct mw_str probe_body_text(struct probe *p, const struct probe_entity *entity,
                              const struct probe_body *body, const char *extra)
{
    size_t cap = 64 + (extra != NULL ? strlen(extra) : 0);
    for (uint32_t i = 0; i < entity->field_count; i++)
        cap += entity->fields[i].name.len + body->values[i].len + 8;
    char *memory = mw_arena_alloc(&p->scratch, cap);
    struct mw_buf buf;
    bool comma = false;
    if (memory == NULL)
        return MW_STR("{}");
    mw_buf_init(&buf, memory, cap);
    mw_buf_put_c(&buf, '{');
    for (uint32_t i = 0; i < entity->field_count; i++) {
        if (body->values[i].ptr == NULL)
            continue;
        mw_buf_printf(&buf, "%s\"%.*s\":", comma ? "," : "", MW_STR_ARG(entity->fields[i].name));
        mw_buf_put(&buf, body->values[i]);
        comma = true;
    }
    if (extra != NULL)
        mw_buf_printf(&buf, "%s%s", comma ? "," : "", extra);
    mw_buf_put_c(&buf, '}');
    MW_ASSERT(!buf.overflowed);
    return mw_buf_str(&buf);
}

void probe_body_minimal(struct probe *p, uint32_t entity, uint32_t owner,
                        struct probe_body *ret_body)
{
    const struct probe_entity *kind = &p->entities[entity];
    memset(ret_body, 0, sizeof *ret_body);
    for (uint32_t i = 0; i < kind->field_count; i++)
        if (kind->fields[i].required && kind->fields[i].preset.ptr == NULL)
            ret_body->values[i] = probe_value_normal(p, &kind->fields[i], owner);
}

void probe_body_full(struct probe *p, uint32_t entity, uint32_t owner, struct probe_body *ret_body)
{
    const struct probe_entity *kind = &p->entities[entity];
    memset(ret_body, 0, sizeof *ret_body);
    for (uint32_t i = 0; i < kind->field_count; i++)
        ret_body->values[i] = probe_value_normal(p, &kind->fields[i], owner);
}

uint32_t probe_create(struct probe *p, uint32_t entity, uint32_t owner,
                      const struct probe_body *body, struct mw_str name)
{
    const struct probe_entity *kind = &p->entities[entity];
    const struct probe_use_case *use_case = &p->use_cases[kind->by_effect[PROBE_CREATE]];
    struct probe_change changes[PROBE_FIELDS_MAX];
    struct probe_answer answer;
    for (uint32_t i = 0; i < kind->field_count; i++) {
        struct mw_str given = body->values[i];
        bool absent = given.ptr == NULL || mw_str_is(given, "null");
        changes[i] =
            (struct probe_change){kind->fields[i].name, absent ? kind->fields[i].preset : given};
    }
    struct probe_ask ask = {.method = "POST",
                            .path = use_case->path,
                            .owner = owner,
                            .body = probe_body_text(p, kind, body, NULL)};
    if (!probe_expect(p, name, &ask, 201, &answer))
        return PROBE_NONE;
    struct mw_str difference =
        probe_difference(p, MW_STR_NONE, changes, kind->field_count, true, &answer.tape, 0);
    bool same = probe_judge(p, difference.ptr == NULL, name,
                            "the answer holds what was sent and the defaults", difference);
    return probe_record_add(p, entity, owner, &answer.tape, 0, !same);
}

bool probe_can_create(struct probe *p, uint32_t entity, const char *why)
{
    const struct probe_entity *kind = &p->entities[entity];
    if (kind->by_effect[PROBE_CREATE] == PROBE_NONE)
        probe_skip(p, "%.*s, %s: no use case creates one", MW_STR_ARG(kind->name), why);
    else if (!kind->creatable)
        probe_skip(p, "%.*s, %s: its required references go in a circle", MW_STR_ARG(kind->name),
                   why);
    return kind->creatable;
}

uint32_t probe_anchor(struct probe *p, uint32_t entity, uint32_t owner)
{
    struct probe_entity *kind = &p->entities[entity];
    struct probe_body body;
    if (kind->anchor[owner] != PROBE_NONE || kind->by_effect[PROBE_CREATE] == PROBE_NONE)
        return kind->anchor[owner];
    if (!probe_can_create(p, entity, "the least one"))
        return PROBE_NONE;
    probe_body_minimal(p, entity, owner, &body);
    struct mw_str use_case = p->use_cases[kind->by_effect[PROBE_CREATE]].name;
    kind->anchor[owner] =
        probe_create(p, entity, owner, &body,
                     probe_say(p, "%.*s: the least body is accepted", MW_STR_ARG(use_case)));
    return kind->anchor[owner];
}

uint32_t probe_fresh(struct probe *p, uint32_t entity, uint32_t owner, const char *why)
{
    const struct probe_entity *kind = &p->entities[entity];
    struct probe_body body;
    if (!probe_can_create(p, entity, why))
        return PROBE_NONE;
    probe_body_full(p, entity, owner, &body);
    struct mw_str use_case = p->use_cases[kind->by_effect[PROBE_CREATE]].name;
    return probe_create(p, entity, owner, &body,
                        probe_say(p, "%.*s: a full body is accepted", MW_STR_ARG(use_case)));
}

bool probe_read_back(struct probe *p, uint32_t record, struct mw_str name)
{
    const struct probe_record *kept = &p->records[record];
    const struct probe_entity *kind = &p->entities[kept->entity];
    struct probe_answer answer;
    if (kept->vague || kept->gone)
        return true;
    if (kind->by_effect[PROBE_READ] != PROBE_NONE) {
        const struct probe_use_case *read = &p->use_cases[kind->by_effect[PROBE_READ]];
        struct probe_ask ask = {
            .method = "GET", .path = probe_path(p, read, kept->id), .owner = kept->owner};
        if (!probe_expect(p, name, &ask, 200, &answer))
            return false;
        struct mw_str difference = probe_difference(p, kept->json, NULL, 0, false, &answer.tape, 0);
        return probe_judge(p, difference.ptr == NULL, name, "the record as it was answered",
                           difference);
    }
    if (kind->by_effect[PROBE_LIST] != PROBE_NONE)
        return read_by_list(p, record, name);
    uint32_t stand_in = probe_stand_in(p, record);
    if (stand_in != PROBE_NONE)
        return probe_do(p, stand_in, record,
                        probe_say(p,
                                  "%.*s: changes exactly its field (asked in place of reading)%s",
                                  MW_STR_ARG(p->use_cases[stand_in].name), p->when));
    probe_skip(p, "%.*s: what is kept (no use case shows a record)", MW_STR_ARG(kind->name));
    return true;
}

static bool read_by_list(struct probe *p, uint32_t record, struct mw_str name)
{
    const struct probe_record *kept = &p->records[record];
    const struct probe_use_case *list =
        &p->use_cases[p->entities[kept->entity].by_effect[PROBE_LIST]];
    struct probe_answer answer;
    for (uint32_t offset = 0;; offset += 1000) {
        struct probe_ask ask = {
            .method = "GET",
            .path = probe_say(p, "%.*s?limit=1000&offset=%u", MW_STR_ARG(list->path), offset),
            .owner = kept->owner};
        if (!probe_expect(p, name, &ask, 200, &answer))
            return false;
        uint32_t items = mw_node_get(&answer.tape, 0, "items");
        for (uint32_t i = mw_node_first(&answer.tape, items); i != MW_NODE_NONE;
             i = mw_node_after(&answer.tape, items, i)) {
            if (!mw_str_eq(mw_node_get_text(&answer.tape, i, "id"), kept->id))
                continue;
            struct mw_str difference =
                probe_difference(p, kept->json, NULL, 0, false, &answer.tape, i);
            return probe_judge(p, difference.ptr == NULL, name, "the record as it was answered",
                               difference);
        }
        if (mw_node_count(&answer.tape, items) == 0)
            break;
    }
    probe_fail(p, name, MW_STR("the record in the list"), MW_STR("it is not there"));
    return false;
}

void probe_read_all(struct probe *p, const char *when)
{
    p->when = when;
    for (uint32_t i = 0; i < p->use_case_count; i++)
        if (p->use_cases[i].effect == PROBE_LIST) {
            mw_arena_reset(&p->scratch);
            probe_list(p, i);
        }
    for (uint32_t i = 0; i < p->record_count && !p->stopped; i++) {
        mw_arena_reset(&p->scratch);
        struct mw_str entity = p->entities[p->records[i].entity].name;
        (void)probe_read_back(
            p, i, /* told by its own words */
            probe_say(p, "%.*s: a record is the same%s", MW_STR_ARG(entity), when));
    }
    p->when = "";
}
