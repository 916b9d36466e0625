/*
 * test_sim.c - the core in a simulated world: one seed decides what agents answer and when, what callers ask and ask again, when the disk is
 * done and when the process dies. oracle.h looks after every step; here are the promises that need a memory of the past.
 *
 * MW_SEED=N plays one seed; seeds.h has more. When many are played, the costly oracles look at every 64th step of seven seeds in eight.
 */
#include "rig.h"
#include "seeds.h"

#define CALLS_MAX 512
#define ACTIONS 140
#define TWICE 50 /* one of so many seeds is played twice */

enum plan {
    ANSWER_WELL,
    ANSWER_WRONG_TYPE,
    ANSWER_OTHER_TYPE,
    FAIL,
    FAIL_FOR_GOOD,
    SILENT,
    ANSWER_TWICE
};

/* What a caller asked and what it was told. */
struct call {
    enum mw_request_kind kind;
    char id[40];
    char body[600];
    mw_seq item;
    enum mw_rc rc;
    mw_seq first, last;
    mw_seq trace;
    char trace_id[96];
    bool acknowledged;
};

struct sim {
    struct rig *rig;
    struct rig_shape shape;
    bool mixed;
    struct call calls[CALLS_MAX];
    uint32_t call_count;
    uint64_t serial;
    uint32_t crash_percent;
};

static bool chance(struct sim *sim, uint32_t percent)
{
    return rig_below(sim->rig, 100) < percent;
}

/* UUIDv7 of the simulated time. */
static void make_id(struct sim *sim, char id[40])
{
    uint64_t millis = (uint64_t)(sim->rig->now_us / 1000);
    snprintf(id, 40, "%08x-%04x-7000-8000-%012lx", (unsigned)(millis >> 16),
             (unsigned)(millis & 0xffff), (unsigned long)++sim->serial);
}

static void plan_runs(struct sim *sim)
{
    struct rig *rig = sim->rig;
    for (uint32_t i = 0; i < rig->run_count; i++) {
        struct rig_run *run = &rig->runs[i];
        if (run->answer_us != INT64_MAX || run->plan != 0)
            continue;
        uint32_t dice = rig_below(rig, 100);
        run->plan = dice < 70   ? ANSWER_WELL
                    : dice < 76 ? ANSWER_WRONG_TYPE
                    : dice < 80 ? ANSWER_OTHER_TYPE
                    : dice < 88 ? FAIL
                    : dice < 90 ? FAIL_FOR_GOOD
                    : dice < 95 ? SILENT
                                : ANSWER_TWICE;
        if (run->opens == MW_OPENS_TIMER ||
            (run->plan == SILENT && run->opens == MW_OPENS_AGENT && run->due_us > 0)) {
            run->answer_us = run->due_us > 0 ? run->due_us : INT64_MAX - 1;
            run->plan = SILENT;
        } else {
            run->answer_us = rig->now_us + 1000 + rig_below(rig, 20000000);
        }
    }
}

static bool acknowledged_calls_stand(struct sim *sim);

static void maybe_sync(struct sim *sim, uint32_t percent)
{
    if (!chance(sim, percent))
        return;
    rig_sync(sim->rig);
    for (uint32_t i = 0; i < sim->call_count; i++)
        if (sim->calls[i].rc == MW_OK && sim->calls[i].first <= sim->rig->durable)
            sim->calls[i].acknowledged = true;
    plan_runs(sim);
}

/* A caller's request through the core, and what it heard. */
static struct call *ask(struct sim *sim, enum mw_request_kind kind, const char *body, mw_seq item)
{
    struct rig *rig = sim->rig;
    struct call *call =
        &sim->calls[sim->call_count < CALLS_MAX ? sim->call_count++ : CALLS_MAX - 1];
    *call = (struct call){.kind = kind, .item = item};
    make_id(sim, call->id);
    assert_true(strlen(body) < sizeof call->body);
    strcpy(call->body, body);
    (void)rig_step(rig, kind, body, call->id, item, 0);
    call->rc = rig->result.rc;
    call->first = rig->result.first;
    call->last = rig->result.last;
    call->trace = rig->result.trace;
    snprintf(call->trace_id, sizeof call->trace_id, "%.*s", MW_STR_ARG(rig->result.trace_wire_id));
    return call;
}

/* P05: the same request again gets the same answer and changes nothing; the same id with another body is refused. */
static void ask_again(struct sim *sim)
{
    struct rig *rig = sim->rig;
    if (sim->call_count == 0)
        return;
    struct call *call = &sim->calls[rig_below(rig, sim->call_count)];
    if (call->rc != MW_OK || call->first == 0)
        return;
    size_t before = rig->line_count;
    if (chance(sim, 30)) {
        (void)rig_step(rig, call->kind, "{\"other\":1}", call->id, call->item, 0);
        RIG_CHECK(rig, rig->result.rc == MW_E_CONFLICT && rig->line_count == before,
                  "another body under one messageId");
        return;
    }
    (void)rig_step(rig, call->kind, call->body, call->id, call->item, 0);
    RIG_CHECK(rig, rig->result.rc == MW_OK && rig->result.duplicate && rig->line_count == before,
              "%s said again is not known", mw_request_info(call->kind)->name);
    RIG_CHECK(rig, rig->result.first == call->first && rig->result.trace == call->trace,
              "%s said again: %lu in place of %lu", mw_request_info(call->kind)->name,
              rig->result.first, call->first);
    RIG_CHECK(rig, rig->result.last == call->last, "P05: %s said again ends at %lu, not at %lu",
              mw_request_info(call->kind)->name, rig->result.last, call->last);
    RIG_CHECK(rig, mw_str_is(rig->result.trace_wire_id, call->trace_id), "'%.*s' in place of '%s'",
              MW_STR_ARG(rig->result.trace_wire_id), call->trace_id);
}

/* Everything that a caller was told is done is still done. */
static bool acknowledged_calls_stand(struct sim *sim)
{
    struct rig *rig = sim->rig;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->call_count; i++) {
        struct call *call = &sim->calls[i];
        if (!call->acknowledged && (call->rc != MW_OK || call->first > rig->line_count))
            continue; /* it may ask again with the same id; here it gives up */
        if (call->first > 0) {
            (void)rig_step(rig, call->kind, call->body, call->id, call->item, 0);
            RIG_CHECK(rig,
                      rig->result.duplicate && rig->result.first == call->first &&
                          rig->result.last == call->last,
                      "%s %s was acknowledged and is gone", mw_request_info(call->kind)->name,
                      call->id);
        }
        sim->calls[kept++] = *call;
    }
    sim->call_count = kept;
    return true;
}

static void crash(struct sim *sim)
{
    struct rig *rig = sim->rig;
    size_t keep = rig->durable;
    for (size_t i = rig->step_count; i > 0 && rig->step_ends[i - 1] > rig->durable; i--)
        if (chance(sim, 40)) {
            keep = rig->step_ends[i - 1];
            break;
        }
    rig_crash(rig, keep);
    (void)acknowledged_calls_stand(sim);
    plan_runs(sim);
}

/* ---- what agents say ---- */

static struct mw_str state_without_seq(struct rig *rig, struct mw_buf *buf)
{
    buf->len = 0;
    mw_core_dump(&rig->core, buf);
    struct mw_str text = mw_buf_str(buf);
    return mw_str_sub(text, mw_str_find(text, '\n', 0), text.len);
}

/* P06, FH-16: an answer whose attempt is over leaves one record and changes nothing. */
static void answer_late(struct sim *sim, mw_seq item, mw_seq fence)
{
    struct rig *rig = sim->rig;
    struct mw_buf before = mw_heap_buf(), after = mw_heap_buf();
    struct mw_str was = state_without_seq(rig, &before);
    size_t lines = rig->line_count;
    bool there = mw_world_item(&rig->core.world, item) != NULL;
    (void)rig_step(rig, chance(sim, 50) ? MW_REQ_RECORD_RESULT : MW_REQ_RECORD_FAILURE,
                   "{\"type\":\"HoleDug\",\"payload\":{\"late\":true},\"class\":\"crash\"}", NULL,
                   item, fence);
    RIG_CHECK(rig, rig->line_count == lines + (there ? 1 : 0), "a late answer left %zu records",
              rig->line_count - lines);
    RIG_CHECK(rig, there == (rig->result.rc == MW_OK), "a late answer was refused");
    RIG_CHECK(rig, mw_str_eq(was, state_without_seq(rig, &after)),
              "a late answer changed the state");
    mw_heap_buf_free(&before);
    mw_heap_buf_free(&after);
}

static void good_answer(struct sim *sim, const struct rig_run *run, const char **ret_body)
{
    struct rig *rig = sim->rig;
    const struct mw_task *task = rig_task(rig, run->item);
    struct mw_str type = rig_task_def(rig, task)->expects[0];
    static char memory[1 << 16];
    struct mw_buf buf;
    mw_buf_init(&buf, memory, sizeof memory);
    if (mw_str_is(type, "PlanSketched")) {
        mw_buf_put(&buf, MW_STR("{\"app\":\"sites\",\"blueprintId\":\"blueprint-1\",\"sites\":["));
        for (uint32_t i = 0; i < sim->shape.services; i++) {
            mw_buf_printf(&buf, "%s{\"site\":\"S%u\",\"paint\":%s,\"ask\":%s,\"holes\":[",
                          i > 0 ? "," : "", i, i % 2 == 0 ? "true" : "false",
                          i % 3 == 2 ? "true" : "false");
            for (uint32_t h = 0; h < sim->shape.use_cases; h++)
                mw_buf_printf(&buf, "%s{\"name\":\"H%u\",\"domain\":\"%s\"}", h > 0 ? "," : "", h,
                              h % 2 == 0 ? "Gardens" : "Roads");
            mw_buf_put(&buf, MW_STR("]}"));
        }
        mw_buf_put(&buf, MW_STR("]}"));
    } else if (mw_str_is(type, "SiteChecked")) {
        mw_buf_put(&buf, MW_STR("{\"result\":\"Passed\"}"));
    } else {
        rig_payload(&buf, type, &sim->shape);
    }
    *ret_body = rig_result_body(rig, type, mw_buf_str(&buf));
}

static void answer_agent(struct sim *sim, struct rig_run run)
{
    struct rig *rig = sim->rig;
    const struct mw_task_def *def = rig_task_def(rig, rig_task(rig, run.item));
    const char *body;
    switch ((enum plan)run.plan) {
    case ANSWER_WRONG_TYPE:
        (void)rig_step(rig, MW_REQ_RECORD_RESULT,
                       chance(sim, 50) ? "{\"type\":\"NobodyAsked\",\"payload\":{}}"
                                       : "{\"type\":\"ApprovalGranted\",\"payload\":{}}",
                       NULL, run.item, run.seq);
        return;
    case ANSWER_OTHER_TYPE:
        if (def->expects_count > 1) {
            (void)rig_step(
                rig, MW_REQ_RECORD_RESULT,
                rig_result_body(rig, def->expects[1], MW_STR("{\"question\":\"what?\"}")), NULL,
                run.item, run.seq);
            return;
        }
        (void)rig_step(rig, MW_REQ_RECORD_RESULT, "{\"type\":\"x\",\"payload\":[]}", NULL, run.item,
                       run.seq);
        return;
    case FAIL:
        (void)rig_step(rig, MW_REQ_RECORD_FAILURE,
                       "{\"class\":\"crash\",\"message\":\"it fell over\",\"retryable\":true}",
                       NULL, run.item, run.seq);
        return;
    case FAIL_FOR_GOOD:
        (void)rig_step(rig, MW_REQ_RECORD_FAILURE,
                       "{\"class\":\"refused\",\"message\":\"never\",\"retryable\":false}", NULL,
                       run.item, run.seq);
        return;
    case ANSWER_WELL:
    case SILENT:
    case ANSWER_TWICE:
        /* While it runs: of an attempt before it, and of one that nobody began. */
        if (run.plan == ANSWER_TWICE)
            answer_late(sim, run.item, run.seq - 1);
        if (run.plan == ANSWER_TWICE && run.seq < rig->core.world.last_seq)
            answer_late(sim, run.item, run.seq + 1);
        good_answer(sim, &run, &body);
        (void)rig_step(rig, MW_REQ_RECORD_RESULT, body, NULL, run.item, run.seq);
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        if (run.plan == ANSWER_TWICE)
            answer_late(sim, run.item, run.seq);
        return;
    }
}

static void answer_person(struct sim *sim, struct rig_run run)
{
    if (chance(sim, 10))
        (void)ask(sim, MW_REQ_ANSWER_ITEM, "{\"item\":\"t\",\"action\":\"retry\"}", run.item);
    else if (chance(sim, 10))
        (void)ask(sim, MW_REQ_ANSWER_ITEM, "{\"item\":\"t\",\"action\":\"answer\",\"payload\":7}",
                  run.item);
    else
        /* Now and then without the files that its task may want: refused, and asked again. */
        (void)ask(
            sim, MW_REQ_ANSWER_ITEM,
            run.seq % 8 == 0
                ? "{\"item\":\"t\",\"action\":\"answer\",\"payload\":{\"result\":\"Passed\"}}"
                : "{\"item\":\"t\",\"action\":\"answer\",\"filesSha256\":\"00ff\",\"payload\":"
                  "{\"app\":\"sites\",\"sites\":[],\"result\":\"Passed\"}}",
            run.item);
}

/* What runs says something: the one whose time comes first. False: nothing ever will. */
static bool next_thing(struct sim *sim)
{
    struct rig *rig = sim->rig;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (best == UINT32_MAX || rig->runs[i].answer_us < rig->runs[best].answer_us)
            best = i;
    if (best == UINT32_MAX || rig->runs[best].answer_us >= INT64_MAX - 1)
        return false;
    struct rig_run run = rig->runs[best];
    if (run.answer_us > rig->now_us)
        rig->now_us = run.answer_us;
    bool stands = mw_table_get(&rig->core.world.asks, run.seq) != NULL;
    if (run.due_us > rig->now_us && chance(sim, 20)) {
        size_t before = rig->line_count;
        (void)rig_step(rig, MW_REQ_RING_TIMER, NULL, NULL, 0, run.seq);
        RIG_CHECK(rig, rig->line_count == before, "a timer rang early");
    }
    rig->runs[best].answer_us = INT64_MAX - 1; /* it has said what it had to say */
    rig->runs[best].plan = SILENT;
    if (!stands && run.opens == MW_OPENS_AGENT) {
        answer_late(sim, run.item, run.seq);
        return true;
    }
    switch ((enum mw_opens)run.opens) {
    case MW_OPENS_AGENT:
        if (run.plan == SILENT)
            (void)rig_step(rig, MW_REQ_RING_TIMER, NULL, NULL, 0, run.seq);
        else if (run.agent_kind == MW_AGENT_HUMAN)
            answer_person(sim, run);
        else
            answer_agent(sim, run);
        break;
    case MW_OPENS_TIMER:
        (void)rig_step(rig, MW_REQ_RING_TIMER, NULL, NULL, 0, run.seq);
        break;
    case MW_OPENS_CONTINUE:
        (void)rig_step(rig, MW_REQ_CONTINUE, NULL, NULL, 0, run.seq);
        break;
    case MW_OPENS_STAGE:
        (void)rig_step(rig, run.item != 0 ? MW_REQ_RECORD_STAGE : MW_REQ_RECORD_PROMOTION,
                       chance(sim, 10) ? "{\"error\":\"no space\",\"class\":\"full\"}"
                                       : rig_stage_body(),
                       NULL, run.item, run.seq);
        break;
    case MW_OPENS_NONE:
        break;
    }
    /* A run that still stands is asked again later: a person who only wanted a retry, or who was refused. */
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].seq == run.seq && mw_table_get(&rig->core.world.asks, run.seq) != NULL) {
            rig->runs[i].answer_us = INT64_MAX;
            rig->runs[i].plan = 0;
        }
    return true;
}

/* ---- what callers want ---- */

static void some_trace(struct sim *sim, char *ret_name, size_t size)
{
    const struct mw_table *traces = &sim->rig->core.world.traces;
    snprintf(ret_name, size, "nobody");
    const struct mw_trace *trace = rig_next(traces, 0);
    for (uint32_t skip = traces->count > 0 ? rig_below(sim->rig, traces->count) : 0; skip > 0;
         skip--)
        trace = rig_next(traces, trace->id);
    if (trace != NULL)
        snprintf(ret_name, size, "%.*s", MW_STR_ARG(trace->wire_id));
}

static void start_something(struct sim *sim)
{
    struct rig *rig = sim->rig;
    char body[600];
    static const char *const priorities[] = {"low", "normal", "high"};
    uint32_t dice = rig_below(rig, sim->mixed ? 6 : 1);
    unsigned long n = (unsigned long)++sim->serial;
    sim->shape.auth = chance(sim, 50);
    sim->shape.ci = chance(sim, 20);
    sim->shape.services = rig_below(rig, 4);
    sim->shape.use_cases = rig_below(rig, 5);
    sim->shape.ports = rig_below(rig, 3);
    if (dice <= 1)
        snprintf(body, sizeof body, "{\"prompt\":\"app %lu\",\"priority\":\"%s\"%s}", n,
                 priorities[rig_below(rig, 3)],
                 chance(sim, 20) ? ",\"parentTraceId\":\"outer-1\",\"traceId\":\"my-trace\"" : "");
    else if (dice == 2)
        snprintf(body, sizeof body, "{\"workflow\":\"TalkItOver\",\"prompt\":\"talk %lu\"}", n);
    else if (dice == 3)
        snprintf(body, sizeof body,
                 "{\"coordinator\":\"SiteCoordinator\",\"payload\":{\"site\":\"L%lu\",\"paint\":%s,"
                 "\"ask\":%s,\"holes\":[{\"name\":\"a\",\"domain\":\"Gardens\"},{\"name\":\"b\","
                 "\"domain\":\"Seas\"}]}}",
                 n, chance(sim, 50) ? "true" : "false", chance(sim, 30) ? "true" : "false");
    else if (dice == 4)
        snprintf(body, sizeof body,
                 "{\"workflows\":[\"TalkItOver\",\"TalkItOver\"],\"prompt\":\"chain %lu\"}", n);
    else
        snprintf(body, sizeof body, "{\"skill\":\"%s\",\"payload\":{\"n\":%lu}}",
                 chance(sim, 50) ? "FillHole" : "PaintWall", n);
    (void)ask(sim,
              dice <= 1   ? MW_REQ_SUBMIT_INTENT
              : dice == 2 ? MW_REQ_START_LONE_RUN
              : dice == 3 ? MW_REQ_START_LONE_COORDINATOR
              : dice == 4 ? MW_REQ_START_LONE_CHAIN
                          : MW_REQ_START_LONE_UNIT,
              body, 0);
}

/* Now and then more than is allowed; what is removed is there, or was. */
static void remember(struct sim *sim)
{
    static const char *const kinds[] = {"learning", "preference", "meta", "rumour"};
    const struct mw_memory *memory = &sim->rig->core.memory;
    char body[600];
    if (chance(sim, 60)) {
        snprintf(body, sizeof body, "{\"kind\":\"%s\",\"text\":\"%.*s\"}",
                 kinds[rig_below(sim->rig, 4)], (int)rig_below(sim->rig, 400),
                 "a thing that was learnt, and is worth the room that it takes");
        (void)ask(sim, MW_REQ_ADD_MEMORY, body, 0);
        return;
    }
    snprintf(body, sizeof body, "{\"id\":%lu}",
             memory->count > 0
                 ? (unsigned long)memory->entries[rig_below(sim->rig, memory->count)].id
                 : 1ul);
    (void)ask(sim, MW_REQ_REMOVE_MEMORY, body, 0);
}

static void change_agents(struct sim *sim)
{
    struct rig *rig = sim->rig;
    const struct mw_catalogue *catalogue = rig_catalogue(rig, rig->core.catalogue_sha256);
    const struct mw_agent_def *agent = &catalogue->agents[rig_below(rig, catalogue->agent_count)];
    char body[600];
    if (chance(sim, 40)) {
        const char *text = rig_agent_body(rig, agent);
        if (strlen(text) < sizeof body)
            (void)ask(sim, MW_REQ_REGISTER_AGENT, text, 0);
        return;
    }
    snprintf(body, sizeof body, "{\"agentId\":\"%.*s\",\"health\":\"%s\"}", MW_STR_ARG(agent->id),
             chance(sim, 50) ? "Healthy" : "Unhealthy");
    if (chance(sim, 50))
        (void)ask(sim, MW_REQ_REMOVE_AGENT, body, 0);
    else
        (void)rig_step(rig, MW_REQ_SET_HEALTH, body, NULL, 0, 0);
}

static void publish(struct sim *sim)
{
    static const char *const types[] = {"WallPainted", "HoleDug", "AuthConfigured",
                                        "TestResultsReady", "TaskFailed"};
    char trace[96], body[600];
    some_trace(sim, trace, sizeof trace);
    struct rig *rig = sim->rig;
    char session[96];
    snprintf(session, sizeof session, "%s", trace);
    for (const struct mw_item *item = rig_next(&rig->core.world.items, 0); item != NULL;
         item = rig_next(&rig->core.world.items, item->id)) {
        if (item->kind != MW_ITEM_COORDINATOR || !chance(sim, 30))
            continue;
        snprintf(session, sizeof session, "svc-%.*s-%lu", MW_STR_ARG(rig->core.world.journal_id),
                 (unsigned long)item->id);
        snprintf(trace, sizeof trace, "%.*s",
                 MW_STR_ARG(mw_world_trace_of(&rig->core.world, item)->wire_id));
    }
    snprintf(
        body, sizeof body,
        "{\"type\":\"%s\",\"traceId\":\"%s\",\"sessionId\":\"%s\",\"componentTag\":\"Ext:Thing\","
        "\"timestamp\":\"2025-06-15T15:06:40Z\",\"emittedBy\":\"ext\",\"payload\":{\"result\":"
        "\"Passed\"}}",
        types[rig_below(rig, 5)], trace, session);
    (void)ask(sim, MW_REQ_PUBLISH_MESSAGE, body, 0);
}

/* Dead letters go back: with the payload of their record, now and then with another one, now and then twice. */
static void put_back(struct sim *sim)
{
    struct rig *rig = sim->rig;
    const struct mw_work *work = &rig->core.work;
    if (work->letter_count == 0)
        return;
    const struct mw_letter *letter = &work->letters[rig_below(rig, work->letter_count)];
    struct mw_str payload = MW_STR_NONE, inputs = MW_STR_NONE;
    for (size_t i = rig->line_count; i-- > 0 && payload.len == 0;) {
        struct mw_event event;
        mw_arena_reset(&rig->body);
        RIG_CHECK(rig, mw_event_read(&rig->body, rig_line(rig, i), &event, NULL) == MW_OK,
                  "a line is no record");
        if (event.kind != MW_EVT_TASK_DEAD || event.item != letter->task)
            continue;
        payload = event.task_payload;
        inputs = event.inputs;
    }
    if (payload.len + inputs.len + 100 > sizeof sim->calls[0].body)
        return;
    bool another = payload.len == 0 || chance(sim, 20);
    bool back = letter->put_back != 0;
    if (another)
        payload = MW_STR("{\"other\":1}");
    if (inputs.len > 0 && chance(sim, 10)) { /* not what it had */
        another = true;
        inputs = MW_STR("[]");
    }
    const char *body =
        mw_arena_format(&rig->body, "{\"item\":\"t\",\"payload\":%.*s%s%.*s}", MW_STR_ARG(payload),
                        inputs.len > 0 ? ",\"inputs\":" : "", MW_STR_ARG(inputs))
            .ptr;
    struct call *call = ask(sim, MW_REQ_REPLAY_TASK, body, letter->task);
    RIG_CHECK(rig, (call->rc == MW_OK) == (!back && !another), "letter %lu: %s",
              (unsigned long)letter->task, mw_rc_name(call->rc));
}

static void call(struct sim *sim)
{
    char trace[96], body[200];
    uint32_t dice = rig_below(sim->rig, 100);
    some_trace(sim, trace, sizeof trace);
    snprintf(body, sizeof body, "{\"traceId\":\"%s\"}", trace);
    if (dice < 30)
        start_something(sim);
    else if (dice < 40)
        (void)ask(sim, MW_REQ_PAUSE_TRACE, body, 0);
    else if (dice < 50)
        (void)ask(sim, MW_REQ_RESUME_TRACE, body, 0);
    else if (dice < 54)
        (void)ask(sim, MW_REQ_CANCEL_TRACE, body, 0);
    else if (dice < 60)
        change_agents(sim);
    else if (dice < 62)
        remember(sim);
    else if (dice < 70)
        publish(sim);
    else if (dice < 78)
        (void)ask(sim, MW_REQ_ACCEPT_DRAFT, "{}", 0);
    else if (dice < 81)
        (void)ask(sim, MW_REQ_REJECT_DRAFT, "{\"why\":\"no\"}", 0);
    else if (dice < 87)
        (void)ask(sim, MW_REQ_PROMOTE, "{}", 0);
    else if (dice < 89)
        (void)ask(sim, MW_REQ_ROLLBACK, "{}", 0);
    else if (dice < 92)
        put_back(sim);
    else
        ask_again(sim);
}

/* ---- a seed ---- */

static void check_lineage(struct sim *sim)
{
    const struct mw_session *session = &sim->rig->core.session;
    uint32_t current = 0;
    for (uint32_t i = 0; i < session->build_count; i++)
        current += session->builds[i].state == MW_BUILD_CURRENT;
    RIG_CHECK(sim->rig, current == (session->current > 0 ? 1u : 0u), "%u current builds", current);
    RIG_CHECK(sim->rig,
              session->current == 0 ||
                  session->builds[session->current - 1].state == MW_BUILD_CURRENT,
              "the current build is not");
}

/* A draft is accepted or rejected; what is current and waits is promoted. */
static void review_something(struct sim *sim)
{
    struct rig *rig = sim->rig;
    char body[200];
    for (uint32_t i = 0; i < rig->core.session.build_count; i++) {
        const struct mw_build *build = &rig->core.session.builds[i];
        bool open = mw_world_trace(&rig->core.world, build->trace) != NULL;
        snprintf(body, sizeof body, "{\"buildId\":\"%.*s\"}", MW_STR_ARG(build->build_id));
        if (build->state == MW_BUILD_DRAFT)
            (void)rig_do(rig, chance(sim, 50) ? MW_REQ_ACCEPT_DRAFT : MW_REQ_REJECT_DRAFT, body, 0,
                         0);
        else if (build->state == MW_BUILD_CURRENT && open)
            (void)rig_do(rig, MW_REQ_PROMOTE, body, 0, 0);
    }
}

/* Everybody comes back and does well: whatever is open ends by itself or by a person's word. */
static void drain(struct sim *sim)
{
    struct rig *rig = sim->rig;
    char body[200];
    rig_sync(rig);
    rig_register_all(rig);
    const struct mw_catalogue *catalogue = rig_catalogue(rig, rig->core.catalogue_sha256);
    for (uint32_t i = 0; i < catalogue->agent_count; i++) {
        snprintf(body, sizeof body, "{\"agentId\":\"%.*s\",\"health\":\"Healthy\"}",
                 MW_STR_ARG(catalogue->agents[i].id));
        (void)rig_do(rig, MW_REQ_SET_HEALTH, body, 0, 0);
    }
    const struct mw_trace *trace = rig_next(&rig->core.world.traces, 0);
    for (mw_seq id = 0; trace != NULL; trace = rig_next(&rig->core.world.traces, id)) {
        id = trace->id; /* it may be gone by then */
        snprintf(body, sizeof body, "{\"traceId\":\"%.*s\"}", MW_STR_ARG(trace->wire_id));
        if (trace->paused)
            (void)rig_do(rig, MW_REQ_RESUME_TRACE, body, 0, 0);
    }
    for (uint32_t turn = 0; rig->core.world.traces.count > 0 || rig->core.world.asks.count > 0;
         turn++) {
        RIG_CHECK(rig, turn < 20000, "it never ends");
        rig_sync(rig);
        plan_runs(sim);
        if (next_thing(sim))
            continue;
        size_t lines = rig->line_count;
        review_something(sim);
        RIG_CHECK(rig, rig->line_count > lines, "%u traces wait for nothing",
                  rig->core.world.traces.count);
    }
    RIG_CHECK(rig, rig->core.world.items.count == 0 && rig->core.work.running == 0,
              "%u items are left", rig->core.world.items.count);
    for (size_t i = 0; i < rig->item_cap; i++)
        RIG_CHECK(rig, !rig->items[i].opened || rig->items[i].ended, "item %zu never ended", i);
    oracle_memory(rig);
}

static void play(struct rig *rig, uint64_t seed)
{
    static struct sim sim;
    sim = (struct sim){.rig = rig};
    rig->seed = seed;
    rig->random = seed * 0x2545f4914f6cdd1dull + 1;
    sim.mixed = chance(&sim, 70);
    sim.crash_percent = rig_below(rig, 6);
    rig_begin(rig, sim.mixed ? "mixed" : "factory");
    rig_register_all(rig);
    sim.shape = (struct rig_shape){.auth = true, .services = 2, .use_cases = 2, .ports = 1};
    uint32_t call_percent = 10 + rig_below(rig, 40), sync_percent = 30 + rig_below(rig, 71);
    start_something(&sim);
    for (uint32_t i = 0; i < ACTIONS; i++) {
        if (chance(&sim, call_percent) || !next_thing(&sim))
            call(&sim);
        maybe_sync(&sim, sync_percent);
        if (chance(&sim, sim.crash_percent))
            crash(&sim);
        check_lineage(&sim);
    }
    drain(&sim);
    rig_crash(rig, rig->durable);
}

/* P16: one seed, one journal, byte by byte; also when more or less of it is looked at, as when it is played alone. */
static void play_again(struct rig *rig, uint64_t seed)
{
    struct mw_buf first = mw_heap_buf();
    mw_buf_put(&first, mw_buf_str(&rig->journal));
    rig->quiet_dump = !rig->quiet_dump;
    rig->seldom_shortened = rig->quiet_dump;
    play(rig, seed);
    RIG_CHECK(rig, mw_str_eq(mw_buf_str(&first), mw_buf_str(&rig->journal)),
              "P16: the same seed wrote another journal");
    mw_heap_buf_free(&first);
}

static void play_seeds(uint64_t from, uint64_t step, uint64_t end, bool is_worker, uint64_t *totals)
{
    struct rig *rig = rig_new();
    bool many = end - from > 2000;
    rig->program = "test_sim";
    rig->is_worker = is_worker;
    for (uint64_t seed = from; seed < end; seed += step) {
        rig->quiet_dump = many && seed % 8 != 0;
        rig->seldom_shortened = rig->quiet_dump;
        seeds_begin(seed);
        play(rig, seed);
        if (seed % TWICE == 1)
            play_again(rig, seed);
        for (unsigned kind = 0; kind < MW_EVENT_COUNT; kind++)
            totals[kind] += rig->kind_count[kind];
        for (uint32_t d = 256; d < rig->document_count; d++)
            mw_heap_arena_free(&rig->documents[d].arena);
        if (rig->document_count > 256)
            rig->document_count = 256;
    }
    rig_free(rig);
}

static void the_world_stays_whole(void **state)
{
    uint64_t totals[SEEDS_TOTALS] = {0};
    (void)state;
    seeds_run("simulated core", play_seeds, 300, 1, totals);
    for (unsigned kind = 0; kind < MW_EVENT_COUNT && getenv("MW_SEED") == NULL; kind++)
        if (totals[kind] == 0)
            print_message("  never seen: %s\n", mw_event_info((enum mw_event_kind)kind)->kind.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_world_stays_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
