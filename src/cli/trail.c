#include "cli/trail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "cli/render.h"
#include "msg/msg.h"

struct record {
    struct mw_trail *trail;
    const struct mw_tape *tape;
    uint32_t payload;
    struct mw_str kind;
    uint64_t seq, scope;
    int64_t at_us;
};

typedef void take_fn(struct record *record);

static take_fn take_turn, take_chain, take_intent, take_registered, take_step, take_staging,
    take_validation, take_staged, take_run, take_completed, take_failed_build, take_run_ended,
    take_service, take_service_state, take_service_ended, take_ready, take_dispatched, take_result,
    take_task_failed, take_retry, take_escalated, take_task_ended, take_cancelled, take_trace_ended;

static const struct {
    const char *kind;
    take_fn *take;
} takers[] = {{"intent.submitted", take_intent},
              {"trace.opened", take_intent},
              {"build.registered", take_registered},
              {"journey.step", take_step},
              {"build.stage", take_staging},
              {"build.staged", take_staged},
              {"build.validation", take_validation},
              {"build.completed", take_completed},
              {"build.failed", take_failed_build},
              {"chain.start", take_chain},
              {"loop.start", take_run},
              {"iteration.start", take_turn},
              {"iteration.finish", take_turn},
              {"loop.complete", take_run_ended},
              {"loop.stop", take_run_ended},
              {"coordinator.started", take_service},
              {"coordinator.state", take_service_state},
              {"coordinator.ended", take_service_ended},
              {"coordinator.halted", take_service_ended},
              {"task.ready", take_ready},
              {"task.unrouted", take_ready},
              {"task.dispatched", take_dispatched},
              {"task.result", take_result},
              {"task.failed", take_task_failed},
              {"task.timed_out", take_task_failed},
              {"task.routing_failed", take_task_failed},
              {"task.retry", take_retry},
              {"task.escalated", take_escalated},
              {"task.ended", take_task_ended},
              {"trace.cancelled", take_cancelled},
              {"trace.ended", take_trace_ended}};

void mw_trail_init(struct mw_trail *trail, struct mw_arena *arena)
{
    *trail = (struct mw_trail){.arena = arena, .last_failed = -1, .cost_known = true};
}

static struct mw_str text_of(const struct record *record, uint32_t object, const char *key)
{
    return mw_node_get_text(record->tape, object, key);
}

static struct mw_str keep(const struct record *record, struct mw_str text)
{
    return mw_arena_copy(record->trail->arena, text);
}

static uint64_t number_of(const struct record *record, uint32_t object, const char *key)
{
    int64_t value = mw_node_int(record->tape, mw_node_get(record->tape, object, key), 0);
    return value > 0 ? (uint64_t)value : 0;
}

static void add_usage(struct record *record)
{
    struct mw_trail *trail = record->trail;
    uint32_t usage = mw_node_get(record->tape, 0, "usage");
    if (mw_node_type(record->tape, usage) != MW_NODE_OBJECT)
        return;
    uint32_t cost = mw_node_get(record->tape, usage, "cost_usd");
    enum mw_node_type type = mw_node_type(record->tape, cost);
    trail->tokens_in += number_of(record, usage, "tokens_in");
    trail->tokens_out += number_of(record, usage, "tokens_out");
    if (type == MW_NODE_INTEGER || type == MW_NODE_NUMBER) {
        char number[64] = "";
        struct mw_str text = record->tape->nodes[cost].text;
        memcpy(number, text.ptr, text.len < sizeof(number) - 1 ? text.len : sizeof(number) - 1);
        trail->cost_usd += strtod(number, NULL); /* shown, never decided on */
    } else {
        trail->cost_known = false;
    }
}

void mw_trail_take(struct mw_trail *trail, const struct mw_tape *tape)
{
    struct record record = {.trail = trail, .tape = tape};
    record.payload = mw_node_get(tape, 0, "payload");
    record.kind = mw_node_get_text(tape, 0, "kind");
    record.seq = number_of(&record, 0, "seq");
    record.scope = number_of(&record, 0, "scopeItem");
    if (record.scope == 0)
        record.scope = mw_scope_of_session(text_of(&record, 0, "sessionId"), record.seq);
    (void)mw_utc_us(mw_node_get_text(tape, 0, "timestamp"), &record.at_us);
    if (record.seq != 0 && record.seq <= trail->last_seq)
        return; /* a stream that was opened again may repeat */
    trail->last_seq = record.seq;
    trail->record_count++;
    if (trail->first_us == 0)
        trail->first_us = record.at_us;
    if (trail->trace_id.len == 0)
        trail->trace_id = keep(&record, mw_node_get_text(tape, 0, "traceId"));
    if (trail->state == MW_TRAIL_OPEN)
        trail->last_us = record.at_us;
    add_usage(&record);
    for (size_t i = 0; i < MW_COUNT(takers); i++)
        if (mw_str_is(record.kind, takers[i].kind)) {
            takers[i].take(&record);
            return;
        }
}

/* ---- phases and services ---- */

static struct mw_trail_scope *scope_at(const struct mw_trail *trail, uint64_t seq)
{
    for (uint32_t i = trail->scope_count; i > 0; i--)
        if (trail->scopes[i - 1].seq == seq)
            return &trail->scopes[i - 1];
    return NULL;
}

const struct mw_trail_scope *mw_trail_scope_of(const struct mw_trail *trail, uint64_t seq)
{
    return scope_at(trail, seq);
}

static struct mw_trail_scope *add_scope(struct record *record, struct mw_str name, bool is_service)
{
    struct mw_trail *trail = record->trail;
    if (trail->scope_count == trail->scope_cap) {
        uint32_t cap = trail->scope_cap > 0 ? trail->scope_cap * 2 : 16;
        struct mw_trail_scope *scopes = mw_arena_array(trail->arena, struct mw_trail_scope, cap);
        if (trail->scope_count > 0)
            memcpy(scopes, trail->scopes, trail->scope_count * sizeof(*scopes));
        trail->scopes = scopes;
        trail->scope_cap = cap;
    }
    struct mw_trail_scope *scope = &trail->scopes[trail->scope_count++];
    *scope = (struct mw_trail_scope){
        .seq = record->seq, .name = keep(record, name), .is_service = is_service};
    return scope;
}

static void end_phases(struct mw_trail *trail, bool failed)
{
    for (uint32_t i = 0; i < trail->scope_count; i++)
        if (!trail->scopes[i].is_service && !trail->scopes[i].ended) {
            trail->scopes[i].ended = true;
            trail->scopes[i].failed = failed;
        }
}

static void take_intent(struct record *record)
{
    struct mw_str name = text_of(record, record->payload, "appName");
    if (name.len > 0)
        record->trail->app_name = keep(record, name);
}

static void take_registered(struct record *record)
{
    record->trail->app_id = keep(record, text_of(record, record->payload, "app_id"));
    record->trail->app_name = keep(record, text_of(record, record->payload, "appName"));
    record->trail->build_id = keep(record, text_of(record, record->payload, "buildId"));
}

static void take_step(struct record *record)
{
    end_phases(record->trail, false);
    if (record->trail->build_id.len == 0)
        record->trail->build_id = keep(record, text_of(record, record->payload, "buildId"));
    (void)add_scope(record, text_of(record, record->payload, "workflow"), false);
}

static void take_staging(struct record *record)
{
    end_phases(record->trail, false);
    (void)add_scope(record, MW_STR("Staging"), false);
}

static void take_validation(struct record *record)
{
    end_phases(record->trail, false);
    (void)add_scope(record, MW_STR("Validation"), false);
}

static void take_staged(struct record *record)
{
    record->trail->staged = keep(record, text_of(record, record->payload, "path"));
}

/* A run of a journey has its phase already; a lone one is its own. */
static void take_run(struct record *record)
{
    struct mw_str name = text_of(record, record->payload, "preset");
    if (record->trail->run_id.len == 0)
        record->trail->run_id = keep(record, text_of(record, record->payload, "run_id"));
    if (record->trail->scope_count == 0)
        (void)add_scope(record, name.len > 0 ? name : MW_STR("run"), false);
}

/* A chain is the run that was asked for; the runs of its steps bring the turns. */
static void take_chain(struct record *record)
{
    record->trail->run_id = keep(record, text_of(record, record->payload, "run_id"));
    record->trail->is_chain = true;
}

static void take_turn(struct record *record)
{
    uint64_t iteration = number_of(record, record->payload, "iteration");
    if (record->trail->is_chain)
        record->trail->iterations += mw_str_is(record->kind, "iteration.finish");
    else if (iteration > record->trail->iterations &&
             mw_str_eq(text_of(record, 0, "sessionId"), record->trail->run_id))
        record->trail->iterations = iteration;
}

static void take_run_ended(struct record *record)
{
    take_turn(record);
    if (mw_str_is(record->kind, "loop.stop")) {
        struct mw_str class = text_of(record, 0, "errorClass");
        struct mw_str reason = text_of(record, 0, "reason");
        if (class.len == 0 && mw_str_starts(reason, MW_STR("limit ")))
            class = MW_STR("limit");
        record->trail->reason = keep(record, reason);
        record->trail->error_class = keep(record, class);
    }
}

static void take_service(struct record *record)
{
    struct mw_str name = text_of(record, 0, "key");
    struct mw_trail_scope *scope =
        add_scope(record, name.len > 0 ? name : text_of(record, 0, "coordinator"), true);
    scope->state = keep(record, text_of(record, 0, "state"));
}

static void take_service_state(struct record *record)
{
    struct mw_trail_scope *scope = scope_at(record->trail, number_of(record, 0, "item"));
    if (scope != NULL)
        scope->state = keep(record, text_of(record, 0, "state"));
}

static void take_service_ended(struct record *record)
{
    struct mw_trail_scope *scope = scope_at(record->trail, number_of(record, 0, "item"));
    bool failed = !mw_str_is(text_of(record, 0, "outcome"), "completed");
    if (scope == NULL)
        return;
    scope->failed = failed;
    scope->ended = mw_str_is(record->kind, "coordinator.ended");
    if (failed && text_of(record, 0, "reason").len > 0)
        record->trail->reason = keep(record, text_of(record, 0, "reason"));
}

/* ---- tasks ---- */

const struct mw_trail_task *mw_trail_task_of(const struct mw_trail *trail, struct mw_str id)
{
    for (uint32_t i = trail->task_count; i > 0; i--)
        if (mw_str_eq(trail->tasks[i - 1].id, id))
            return &trail->tasks[i - 1];
    return NULL;
}

static struct mw_trail_task *task_of(struct record *record)
{
    struct mw_trail *trail = record->trail;
    struct mw_str id = text_of(record, 0, "taskId");
    const struct mw_trail_task *known = mw_trail_task_of(trail, id);
    if (known != NULL)
        return &trail->tasks[known - trail->tasks];
    if (trail->task_count == trail->task_cap) {
        uint32_t cap = trail->task_cap > 0 ? trail->task_cap * 2 : 64;
        struct mw_trail_task *tasks = mw_arena_array(trail->arena, struct mw_trail_task, cap);
        if (trail->task_count > 0)
            memcpy(tasks, trail->tasks, trail->task_count * sizeof(*tasks));
        trail->tasks = tasks;
        trail->task_cap = cap;
    }
    struct mw_trail_task *task = &trail->tasks[trail->task_count++];
    *task = (struct mw_trail_task){.id = keep(record, id), .scope = record->scope};
    task->type = keep(record, text_of(record, 0, "taskType"));
    return task;
}

static void take_ready(struct record *record)
{
    struct mw_trail_task *task = task_of(record);
    task->state = MW_TRAIL_TASK_READY;
}

static void take_dispatched(struct record *record)
{
    struct mw_trail_task *task = task_of(record);
    bool person = number_of(record, 0, "agentKind") == MW_TRAIL_AGENT_KIND_HUMAN;
    struct mw_str tag = text_of(record, 0, "componentTag");
    size_t subject = mw_str_find(tag, ':', 0);
    if (task->type.len == 0)
        task->type = keep(record, text_of(record, 0, "taskType"));
    if (subject != SIZE_MAX)
        task->subject = keep(record, mw_str_sub(tag, subject + 1, tag.len));
    task->agent = keep(record, text_of(record, 0, "agentId"));
    task->attempt = number_of(record, 0, "attempt");
    task->state = person ? MW_TRAIL_TASK_PERSON : MW_TRAIL_TASK_RUNNING;
    task->started_us = record->at_us;
    if (!person)
        return;
    task->question = keep(record, text_of(record, record->payload, "question"));
    task->field = keep(record, text_of(record, record->payload, "field"));
    uint32_t options = mw_node_get(record->tape, record->payload, "options");
    if (mw_node_type(record->tape, options) == MW_NODE_ARRAY)
        task->options = keep(record, record->tape->nodes[options].text);
}

static void count_tests(struct record *record)
{
    struct mw_trail *trail = record->trail;
    struct mw_str service = text_of(record, record->payload, "service");
    uint32_t suites = mw_node_get(record->tape, record->payload, "suites");
    uint32_t at = 0;
    while (at < trail->test_service_count && !mw_str_eq(trail->test_services[at], service))
        at++;
    if (at == MW_COUNT(trail->test_services))
        return;
    if (at == trail->test_service_count)
        trail->test_services[trail->test_service_count++] = keep(record, service);
    trail->tests_passed -= trail->test_counts[at][0];
    trail->tests_failed -= trail->test_counts[at][1];
    trail->test_counts[at][0] = trail->test_counts[at][1] = 0;
    for (uint32_t i = mw_node_type(record->tape, suites) == MW_NODE_ARRAY
                          ? mw_node_first(record->tape, suites)
                          : MW_NODE_NONE;
         i != MW_NODE_NONE; i = mw_node_after(record->tape, suites, i)) {
        trail->test_counts[at][0] += number_of(record, i, "passed");
        trail->test_counts[at][1] += number_of(record, i, "failed");
    }
    trail->tests_passed += trail->test_counts[at][0];
    trail->tests_failed += trail->test_counts[at][1];
}

static void take_result(struct record *record)
{
    if (mw_str_is(text_of(record, 0, "type"), "TestResultsReady"))
        count_tests(record);
    if (text_of(record, 0, "outcome").len > 0)
        take_task_ended(record);
}

static void take_task_failed(struct record *record)
{
    struct mw_trail_task *task = task_of(record);
    task->state = MW_TRAIL_TASK_RETRYING; /* task.ended says when it is over */
    task->reason = keep(record, text_of(record, 0, "reason"));
    task->error_class = keep(record, text_of(record, 0, "errorClass"));
    if (mw_str_is(record->kind, "task.timed_out") && task->error_class.len == 0)
        task->error_class = MW_STR("timeout");
    task->ended_us = record->at_us;
    record->trail->last_failed = (int32_t)(task - record->trail->tasks);
}

static void take_retry(struct record *record)
{
    task_of(record)->state = MW_TRAIL_TASK_RETRYING;
}

static void take_escalated(struct record *record)
{
    task_of(record)->escalated = true;
}

static void take_task_ended(struct record *record)
{
    struct mw_trail_task *task = task_of(record);
    struct mw_str outcome = text_of(record, 0, "outcome");
    task->ended_us = record->at_us;
    task->state = mw_str_is(outcome, "completed")   ? MW_TRAIL_TASK_DONE
                  : mw_str_is(outcome, "cancelled") ? MW_TRAIL_TASK_CANCELLED
                                                    : MW_TRAIL_TASK_FAILED;
    record->trail->tasks_done += task->state == MW_TRAIL_TASK_DONE;
    if (task->state != MW_TRAIL_TASK_FAILED)
        return;
    if (text_of(record, 0, "reason").len > 0)
        task->reason = keep(record, text_of(record, 0, "reason"));
    record->trail->last_failed = (int32_t)(task - record->trail->tasks);
}

/* ---- ends ---- */

static void take_completed(struct record *record)
{
    end_phases(record->trail, false);
    record->trail->state = MW_TRAIL_DRAFT;
    record->trail->version = number_of(record, record->payload, "appVersion");
    record->trail->build_id = keep(record, text_of(record, record->payload, "buildId"));
}

static void take_failed_build(struct record *record)
{
    struct mw_trail *trail = record->trail;
    struct mw_str class = text_of(record, 0, "errorClass");
    struct mw_str reason = text_of(record, 0, "reason");
    end_phases(trail, true);
    if (class.len > 0)
        trail->error_class = keep(record, class);
    if (reason.len > 0)
        trail->reason = keep(record, reason);
    trail->build_id = keep(record, text_of(record, record->payload, "buildId"));
    if (mw_str_is(text_of(record, record->payload, "status"), "cancelled"))
        trail->state = MW_TRAIL_CANCELLED;
    else
        trail->state = mw_str_is(trail->error_class, "limit") ? MW_TRAIL_LIMIT : MW_TRAIL_FAILED;
}

static void take_cancelled(struct record *record)
{
    record->trail->state = MW_TRAIL_CANCELLED;
    record->trail->reason = keep(record, text_of(record, 0, "reason"));
}

static void take_trace_ended(struct record *record)
{
    struct mw_trail *trail = record->trail;
    struct mw_str outcome = text_of(record, 0, "outcome");
    if (trail->state != MW_TRAIL_OPEN)
        return; /* a build said it before */
    end_phases(trail, !mw_str_is(outcome, "completed"));
    if (text_of(record, 0, "reason").len > 0)
        trail->reason = keep(record, text_of(record, 0, "reason"));
    trail->state = mw_str_is(outcome, "completed")          ? MW_TRAIL_DONE
                   : mw_str_is(outcome, "cancelled")        ? MW_TRAIL_CANCELLED
                   : mw_str_is(trail->error_class, "limit") ? MW_TRAIL_LIMIT
                                                            : MW_TRAIL_FAILED;
}

bool mw_trail_waits(const struct mw_trail *trail, const struct mw_trail_task **ret_task)
{
    const struct mw_trail_task *item = NULL;
    if (trail->state != MW_TRAIL_OPEN)
        return false;
    for (uint32_t i = 0; i < trail->task_count; i++) {
        const struct mw_trail_task *task = &trail->tasks[i];
        if (task->state == MW_TRAIL_TASK_PERSON && item == NULL)
            item = task;
        if (task->state == MW_TRAIL_TASK_RUNNING || task->state == MW_TRAIL_TASK_RETRYING)
            return false;
    }
    if (item != NULL)
        *ret_task = item;
    return item != NULL;
}

void mw_trail_sum(const struct mw_trail *trail, struct mw_buf *out)
{
    char cost[32];
    uint64_t tests = trail->tests_passed + trail->tests_failed;
    uint64_t tokens = trail->tokens_in + trail->tokens_out;
    int64_t us = trail->last_us > trail->first_us ? trail->last_us - trail->first_us : 0;
    (void)snprintf(cost, sizeof(cost), "$%.2f", trail->cost_usd);
    mw_buf_printf(out, "%lu %s · %lu %s · %lu %s · %s · ", (unsigned long)trail->tasks_done,
                  trail->tasks_done == 1 ? "task" : "tasks", (unsigned long)tests,
                  tests == 1 ? "test" : "tests", (unsigned long)tokens,
                  tokens == 1 ? "token" : "tokens", trail->cost_known ? cost : "unknown");
    mw_put_ms(out, (uint64_t)us / 1000);
}

void mw_trail_usage(const struct mw_trail *trail, struct mw_json *json)
{
    char cost[32];
    (void)snprintf(cost, sizeof(cost), "%.6f", trail->cost_usd);
    mw_json_ku64(json, "tasks", trail->tasks_done);
    mw_json_ku64(json, "tests", trail->tests_passed + trail->tests_failed);
    mw_json_ku64(json, "tokens_in", trail->tokens_in);
    mw_json_ku64(json, "tokens_out", trail->tokens_out);
    mw_json_kraw(json, "cost_usd", mw_str_of(trail->cost_known ? cost : "null"));
    mw_json_ki64(json, "elapsed_ms",
                 trail->last_us > trail->first_us ? (trail->last_us - trail->first_us) / 1000 : 0);
}
