/*
 * Random command sequences against the real core: the bytes choose, one after another, what callers ask (well formed, odd, or the JSON that
 * stands in the input), what agents and the host answer, when the disk is done, when the process dies and comes up again, and how the clock
 * jumps. tests/sim/oracle.h looks after every step, and a core that only replays has the same state.
 */
#include "../sim/rig.h"
#include "fuzz.h"

#define ACTIONS_MAX 96
#define BODY_BYTES 1024
#define CALLS_MAX 16

struct call {
    enum mw_request_kind kind;
    char id[40];
    char body[BODY_BYTES];
    mw_seq item;
};

static struct rig *rig;
static struct call calls[CALLS_MAX];
static uint32_t call_count;
static uint64_t serial;

static void trace_name(struct fuzz_bytes *bytes, char *ret_name, size_t size)
{
    const struct mw_table *traces = &rig->core.world.traces;
    uint32_t skip = traces->count > 0 ? fuzz_byte(bytes) % traces->count : 0;
    (void)snprintf(ret_name, size, "nobody");
    for (uint32_t i = 0; i < traces->cap; i++) {
        const struct mw_trace *trace = mw_table_at(traces, i);
        if (trace != NULL && skip-- == 0)
            (void)snprintf(ret_name, size, "%.*s", MW_STR_ARG(trace->wire_id));
    }
}

static void ask(enum mw_request_kind kind, const char *body, mw_seq item)
{
    struct call *call = &calls[call_count % CALLS_MAX];
    call_count++;
    *call = (struct call){.kind = kind, .item = item};
    (void)snprintf(call->id, sizeof call->id, "%08x-0000-7000-8000-%012lx",
                   (unsigned)(rig->now_us >> 32), (unsigned long)++serial);
    (void)snprintf(call->body, sizeof call->body, "%s", body);
    (void)rig_step(rig, kind, call->body, call->id, item, 0);
}

/* P05: said again it is known, or was refused before and is looked at anew. */
static void ask_again(struct fuzz_bytes *bytes)
{
    if (call_count == 0)
        return;
    const struct call *call =
        &calls[fuzz_byte(bytes) % (call_count < CALLS_MAX ? call_count : CALLS_MAX)];
    (void)rig_step(rig, call->kind, call->body, call->id, call->item, 0);
}

/* A caller's request whose body is JSON of the input: `"` stands for one text after another, so that short inputs say much. */
static void ask_anything(struct fuzz_bytes *bytes)
{
    static const char *const starts[] = {"{\"prompt\":",
                                         "{\"workflow\":",
                                         "{\"coordinator\":",
                                         "{\"skill\":",
                                         "{\"agent\":",
                                         "{\"traceId\":",
                                         "{\"item\":",
                                         "{\"buildId\":",
                                         "{\"agentId\":",
                                         "{\"type\":",
                                         "{\"kind\":",
                                         "{\"id\":",
                                         "{",
                                         ""};
    char body[BODY_BYTES], text[BODY_BYTES];
    struct mw_tape tape;
    enum mw_request_kind kind = (enum mw_request_kind)(fuzz_byte(bytes) % MW_REQ_CREATE_JOURNAL);
    const char *start = starts[fuzz_byte(bytes) % MW_COUNT(starts)];
    size_t len = fuzz_byte(bytes), at = 0;
    while (at < len && bytes->size > 0 && bytes->data[0] != '\0')
        text[at++] = (char)fuzz_byte(bytes);
    text[at] = '\0';
    (void)snprintf(body, sizeof body, "%s%s", start, text);
    mw_arena_reset(&rig->body);
    /* What is no JSON object never reaches the core: the edge refuses it. */
    if (mw_json_parse(&rig->body, mw_str_of(body), &tape, NULL) != MW_OK ||
        mw_node_type(&tape, 0) != MW_NODE_OBJECT)
        return;
    ask(kind, body,
        kind == MW_REQ_ANSWER_ITEM && rig->run_count > 0
            ? rig->runs[fuzz_byte(bytes) % rig->run_count].item
            : 0);
}

static void ask_something(struct fuzz_bytes *bytes)
{
    static const char *const intents[] = {"{\"prompt\":\"app\",\"priority\":\"high\"}",
                                          "{\"prompt\":\"app\",\"traceId\":\"my-trace\"}"};
    static const enum mw_request_kind of_trace[] = {MW_REQ_PAUSE_TRACE, MW_REQ_RESUME_TRACE,
                                                    MW_REQ_CANCEL_TRACE};
    static const enum mw_request_kind of_build[] = {MW_REQ_ACCEPT_DRAFT, MW_REQ_REJECT_DRAFT,
                                                    MW_REQ_PROMOTE, MW_REQ_ROLLBACK};
    char body[BODY_BYTES], trace[96];
    unsigned number = fuzz_byte(bytes);
    switch (fuzz_byte(bytes) % 10) {
    case 0:
        ask(MW_REQ_SUBMIT_INTENT, intents[number % 2], 0);
        break;
    case 1:
        ask(MW_REQ_START_LONE_RUN, "{\"workflow\":\"TalkItOver\",\"prompt\":\"talk\"}", 0);
        break;
    case 2:
        (void)snprintf(
            body, sizeof body,
            "{\"coordinator\":\"SiteCoordinator\",\"payload\":{\"site\":\"L%u\",\"paint\":%s,"
            "\"ask\":%s,\"holes\":[{\"name\":\"a\",\"domain\":\"Gardens\"}]}}",
            number, number % 2 == 0 ? "true" : "false", number % 3 == 0 ? "true" : "false");
        ask(MW_REQ_START_LONE_COORDINATOR, body, 0);
        break;
    case 3:
        ask(MW_REQ_START_LONE_CHAIN,
            "{\"workflows\":[\"TalkItOver\",\"TalkItOver\"],\"prompt\":\"chain\"}", 0);
        break;
    case 4:
        ask(MW_REQ_START_LONE_UNIT,
            number % 2 == 0 ? "{\"skill\":\"FillHole\",\"payload\":{}}"
                            : "{\"skill\":\"PaintWall\",\"payload\":{\"n\":1}}",
            0);
        break;
    case 5:
    case 6:
        trace_name(bytes, trace, sizeof trace);
        (void)snprintf(body, sizeof body, "{\"traceId\":\"%s\"}", trace);
        ask(of_trace[number % 3], body, 0);
        break;
    case 7:
        ask(of_build[number % 4], number >= 128 ? "{\"why\":\"no\"}" : "{}", 0);
        break;
    case 8:
        trace_name(bytes, trace, sizeof trace);
        (void)snprintf(body, sizeof body,
                       "{\"type\":\"%s\",\"traceId\":\"%s\",\"sessionId\":\"%s\",\"componentTag\":"
                       "\"Ext:Thing\",\"timestamp\":\"2025-06-15T15:06:40Z\",\"emittedBy\":\"ext\","
                       "\"payload\":{\"result\":\"Passed\"}}",
                       number % 2 == 0 ? "WallPainted" : "HoleDug", trace, trace);
        ask(MW_REQ_PUBLISH_MESSAGE, body, 0);
        break;
    default:
        ask(MW_REQ_ADD_MEMORY, "{\"kind\":\"learning\",\"text\":\"a thing\"}", 0);
    }
}

static void change_agent(struct fuzz_bytes *bytes)
{
    const struct mw_catalogue *catalogue = rig_catalogue(rig, rig->core.catalogue_sha256);
    const struct mw_agent_def *agent =
        &catalogue->agents[fuzz_byte(bytes) % catalogue->agent_count];
    char body[BODY_BYTES];
    unsigned what = fuzz_byte(bytes);
    (void)snprintf(body, sizeof body, "{\"agentId\":\"%.*s\",\"health\":\"%s\"}",
                   MW_STR_ARG(agent->id), what >= 128 ? "Healthy" : "Unhealthy");
    if (what % 3 == 0)
        ask(MW_REQ_REMOVE_AGENT, body, 0);
    else if (what % 3 == 1)
        (void)rig_step(rig, MW_REQ_SET_HEALTH, body, NULL, 0, 0);
    else
        (void)rig_step(rig, MW_REQ_REGISTER_AGENT, rig_agent_body(rig, agent), NULL, 0, 0);
}

static const char *agent_says(const struct rig_run *run, unsigned how)
{
    static char memory[BODY_BYTES];
    struct mw_buf buf;
    const struct mw_task *task = rig_task(rig, run->item);
    struct rig_shape shape = {.auth = how % 2 == 0,
                              .ci = how % 3 == 0,
                              .services = how % 3,
                              .use_cases = how % 4,
                              .ports = how % 2};
    if (task == NULL)
        return "{\"type\":\"HoleDug\",\"payload\":{\"late\":true}}";
    const struct mw_task_def *def = rig_task_def(rig, task);
    struct mw_str type = def->expects[how % def->expects_count];
    if (!mw_str_is(type, "PlanSketched"))
        return rig_good_body(rig, task, &shape);
    mw_buf_init(&buf, memory, sizeof memory);
    mw_buf_printf(&buf,
                  "{\"app\":\"sites\",\"blueprintId\":\"blueprint-1\",\"sites\":[{\"site\":\"S0\","
                  "\"paint\":%s,\"ask\":%s,\"holes\":[{\"name\":\"H0\",\"domain\":\"Roads\"}]}]}",
                  shape.auth ? "true" : "false", shape.ci ? "true" : "false");
    return rig_result_body(rig, type, mw_buf_str(&buf));
}

/* Something that runs says something; `how` may be anything that an agent, a person or the host's stage can say. */
static void answer(struct fuzz_bytes *bytes)
{
    if (rig->run_count == 0)
        return;
    struct rig_run run = rig->runs[fuzz_byte(bytes) % rig->run_count];
    unsigned how = fuzz_byte(bytes);
    switch ((enum mw_opens)run.opens) {
    case MW_OPENS_AGENT:
        if (run.agent_kind == MW_AGENT_HUMAN && how % 4 == 0)
            ask(MW_REQ_ANSWER_ITEM, "{\"item\":\"t\",\"action\":\"retry\"}", run.item);
        else if (run.agent_kind == MW_AGENT_HUMAN)
            ask(MW_REQ_ANSWER_ITEM,
                how % 4 == 1
                    ? "{\"item\":\"t\",\"action\":\"answer\",\"payload\":{\"result\":\"Passed\"}}"
                    : "{\"item\":\"t\",\"action\":\"answer\",\"filesSha256\":\"00ff\",\"payload\":"
                      "{\"app\":\"sites\",\"sites\":[],\"result\":\"Passed\"}}",
                run.item);
        else if (how < 200)
            (void)rig_step(rig, MW_REQ_RECORD_RESULT, agent_says(&run, how), NULL, run.item,
                           run.seq);
        else
            (void)rig_step(rig, MW_REQ_RECORD_FAILURE,
                           how % 2 == 0
                               ? "{\"class\":\"crash\",\"message\":\"it fell\",\"retryable\":true}"
                               : "{\"class\":\"refused\",\"message\":\"no\",\"retryable\":false}",
                           NULL, run.item, run.seq);
        break;
    case MW_OPENS_CONTINUE:
        (void)rig_step(rig, MW_REQ_CONTINUE, NULL, NULL, 0, run.seq);
        break;
    case MW_OPENS_STAGE:
        (void)rig_step(rig, run.item != 0 ? MW_REQ_RECORD_STAGE : MW_REQ_RECORD_PROMOTION,
                       how >= 200 ? "{\"error\":\"no space\",\"class\":\"full\"}"
                                  : rig_stage_body(),
                       NULL, run.item, run.seq);
        break;
    case MW_OPENS_TIMER:
    case MW_OPENS_NONE:
        break;
    }
}

/* Due or not, open or not. */
static void ring(struct fuzz_bytes *bytes)
{
    if (rig->run_count == 0)
        return;
    const struct rig_run *run = &rig->runs[fuzz_byte(bytes) % rig->run_count];
    bool early = fuzz_byte(bytes) >= 192;
    if (!early && run->due_us > rig->now_us)
        rig->now_us = run->due_us;
    size_t before = rig->line_count;
    bool due = run->due_us <= rig->now_us;
    (void)rig_step(rig, MW_REQ_RING_TIMER, NULL, NULL, 0, run->seq);
    RIG_CHECK(rig, due || rig->line_count == before, "a timer rang early");
}

static void crash(struct fuzz_bytes *bytes)
{
    size_t keep = rig->durable;
    uint32_t wanted = fuzz_byte(bytes) % 4;
    for (size_t i = rig->step_count; i > 0 && rig->step_ends[i - 1] > rig->durable; i--)
        if (wanted-- == 0) {
            keep = rig->step_ends[i - 1];
            break;
        }
    rig_crash(rig, keep);
}

static void act(struct fuzz_bytes *bytes)
{
    switch (fuzz_byte(bytes) % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        answer(bytes);
        break;
    case 5:
    case 6:
        ask_something(bytes);
        break;
    case 7:
        ask_anything(bytes);
        break;
    case 8:
        ask_again(bytes);
        break;
    case 9:
        ring(bytes);
        break;
    case 10:
        crash(bytes);
        break;
    case 11:
        change_agent(bytes);
        break;
    case 12: /* P08: the wall clock goes forward and back */
        rig->now_us += ((int64_t)fuzz_u32(bytes) - INT32_MAX) * 1000;
        break;
    default:
        rig_sync(rig);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes bytes = {data, size};
    if (rig == NULL) {
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed check is a crash here */
        rig = rig_new();
        rig->region_bytes = (size_t)64 << 20;
    }
    call_count = 0;
    serial = 0;
    rig->random = fuzz_byte(&bytes);
    rig->quiet_dump =
        rig->random % 4 != 0; /* the whole state compared at every step, or now and then */
    rig_begin(rig, fuzz_byte(&bytes) % 4 == 0 ? "factory" : "mixed");
    rig_register_all(rig);
    for (unsigned i = 0; i < ACTIONS_MAX && bytes.size > 0; i++)
        act(&bytes);
    rig_sync(rig);
    rig_crash(rig, rig->durable);
    for (uint32_t d = 64; d < rig->document_count; d++)
        mw_heap_arena_free(&rig->documents[d].arena);
    if (rig->document_count > 64)
        rig->document_count = 64;
    return 0;
}
