/* workers_ask.c - what a worker says over the socket, checked whole before any of it is done; and what it is told. */
#include "host/workers_state.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_DEFAULT_MS 20000u
#define ARENA_KEPT_BYTES ((size_t)1 << 20)

struct asked {
    struct mw_host *host;
    struct mw_worker_agent *agent;
    struct mw_api_call *call;
    const struct mw_tape *tape;
    struct mw_str worker;
    uint32_t tasks_max, wait_ms;
    uint32_t answers; /* node of the list; MW_NODE_NONE */
    bool says_holds;
    mw_seq holds[MW_WORKER_BATCH_MAX];
    uint32_t hold_count;
};

/* ---- refusing ---- */

static bool refuse(struct mw_api_call *call, enum mw_rc rc, const char *pointer, const char *why)
{
    struct mw_buf body = mw_heap_buf();
    mw_api_error_body(&body, rc, mw_str_of(why), mw_str_of(pointer));
    mw_api_answer(call, mw_api_status_of(rc), mw_buf_str(&body));
    mw_heap_buf_free(&body);
    return false;
}

static bool refuse_in(const struct asked *asked, const char *list, uint32_t index,
                      const char *member, const char *why)
{
    mw_autofree char *pointer =
        mw_heap_format("/%s/%u%s%s", list, index, member[0] != '\0' ? "/" : "", member);
    return refuse(asked->call, MW_E_INPUT, pointer, why);
}

/* ---- reading ---- */

static bool is_one_of(struct mw_str word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (mw_str_is(word, *words))
            return true;
    return false;
}

static bool read_worker(struct asked *asked)
{
    struct mw_str name = mw_node_get_text(asked->tape, 0, "worker");
    bool good = name.len > 0 && name.len <= MW_WORKER_NAME_MAX;
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    }
    asked->worker = name;
    return good || refuse(asked->call, MW_E_INPUT, "/worker",
                          "'worker' is this worker's own name: 1 to 64 letters, digits, - _ .");
}

static bool read_number(const struct asked *asked, const char *key, uint32_t max,
                        uint32_t otherwise, uint32_t *ret_value)
{
    uint32_t node = mw_node_get(asked->tape, 0, key);
    int64_t value = mw_node_int(asked->tape, node, -1);
    *ret_value = otherwise;
    if (node == MW_NODE_NONE)
        return true;
    if (value < 0 || value > max) {
        mw_autofree char *pointer = mw_heap_format("/%s", key);
        mw_autofree char *why = mw_heap_format("'%s' is 0 to %u", key, max);
        return refuse(asked->call, MW_E_INPUT, pointer, why);
    }
    *ret_value = (uint32_t)value;
    return true;
}

static bool read_holds(struct asked *asked)
{
    uint32_t list = mw_node_get(asked->tape, 0, "holds");
    uint32_t index = 0;
    if (list == MW_NODE_NONE)
        return true;
    if (mw_node_type(asked->tape, list) != MW_NODE_ARRAY ||
        mw_node_count(asked->tape, list) > MW_WORKER_BATCH_MAX)
        return refuse(asked->call, MW_E_INPUT, "/holds",
                      "'holds' is a list of at most 1024 fences");
    for (uint32_t at = mw_node_first(asked->tape, list); at != MW_NODE_NONE;
         at = mw_node_after(asked->tape, list, at), index++) {
        int64_t fence = mw_node_int(asked->tape, at, 0);
        if (fence <= 0)
            return refuse_in(asked, "holds", index, "", "a fence is a whole number");
        asked->holds[asked->hold_count++] = (mw_seq)fence;
    }
    asked->says_holds = true;
    return true;
}

/* "t-ab12cd-57" */
static mw_seq item_of(struct mw_str task_id)
{
    uint64_t number = 0;
    size_t dash = task_id.len;
    while (dash > 0 && task_id.ptr[dash - 1] != '-')
        dash--;
    return mw_str_to_u64(mw_str_sub(task_id, dash, task_id.len), &number) ? number : 0;
}

static bool check_error(const struct asked *asked, uint32_t index, uint32_t error)
{
    const struct mw_tape *tape = asked->tape;
    struct mw_str word = mw_node_get_text(tape, error, "class");
    uint32_t message = mw_node_get(tape, error, "message");
    uint32_t retryable = mw_node_get(tape, error, "retryable");
    bool known = false;
    if (mw_node_type(tape, error) != MW_NODE_OBJECT)
        return refuse_in(asked, "answers", index, "error", "an error is an object");
    for (int i = 0; i < MW_ANSWER_CLASS_COUNT; i++)
        known = known || mw_str_is(word, mw_answer_class_name((enum mw_answer_class)i));
    if (!known)
        return refuse_in(asked, "answers", index, "error/class",
                         "the classes are invalid_input, unsupported, tool, model, quota, auth, "
                         "timeout and internal");
    if (mw_node_type(tape, message) != MW_NODE_STRING)
        return refuse_in(asked, "answers", index, "error/message", "a message is text");
    if (retryable != MW_NODE_NONE && mw_node_type(tape, retryable) != MW_NODE_TRUE &&
        mw_node_type(tape, retryable) != MW_NODE_FALSE)
        return refuse_in(asked, "answers", index, "error/retryable", "it is true or false");
    return true;
}

static bool check_result(const struct asked *asked, uint32_t index, uint32_t answer)
{
    const struct mw_tape *tape = asked->tape;
    uint32_t rationale = mw_node_get(tape, answer, "rationale");
    uint32_t usage = mw_node_get(tape, answer, "usage");
    if (mw_node_type(tape, mw_node_get(tape, answer, "payload")) != MW_NODE_OBJECT)
        return refuse_in(asked, "answers", index, "payload",
                         "an answer has a payload, which is an object, or an error");
    if (!mw_type_is_well_formed(mw_node_get_text(tape, answer, "type")))
        return refuse_in(asked, "answers", index, "type", "that is no name of an event");
    if (rationale != MW_NODE_NONE && mw_node_type(tape, rationale) != MW_NODE_STRING)
        return refuse_in(asked, "answers", index, "rationale", "a rationale is text");
    if (usage != MW_NODE_NONE && mw_node_type(tape, usage) != MW_NODE_OBJECT)
        return refuse_in(asked, "answers", index, "usage", "usage is an object");
    return true;
}

/* It is for a task that this agent was asked for; of one that is over nobody can say that any more, and it changes nothing. */
static bool check_fence(const struct asked *asked, uint32_t index, uint32_t answer)
{
    int64_t fence = mw_node_int(asked->tape, mw_node_get(asked->tape, answer, "fence"), 0);
    mw_seq item = item_of(mw_node_get_text(asked->tape, answer, "taskId"));
    if (fence <= 0 || (mw_seq)fence > asked->host->core.world.last_seq)
        return refuse_in(asked, "answers", index, "fence",
                         "the fence is the number that came with the task");
    if (item == 0)
        return refuse_in(asked, "answers", index, "taskId", "the taskId that came with the task");
    const struct mw_ask *open = mw_table_get(&asked->host->core.world.asks, (mw_seq)fence);
    const struct mw_host_ask *ask = mw_host_ask_find(asked->host, (mw_seq)fence);
    if (open == NULL)
        return true;
    if (open->item != item || ask == NULL || ask->offer == NULL ||
        ask->offer->agent != asked->agent)
        return refuse_in(asked, "answers", index, "fence",
                         "this agent was not asked for that task");
    return true;
}

static bool check_answer(const struct asked *asked, uint32_t index, uint32_t answer)
{
    static const char *const members[] = {"taskId",    "fence", "type",  "payload",
                                          "rationale", "usage", "error", NULL};
    const struct mw_tape *tape = asked->tape;
    uint32_t error = mw_node_get(tape, answer, "error");
    if (mw_node_type(tape, answer) != MW_NODE_OBJECT)
        return refuse_in(asked, "answers", index, "", "an answer is an object");
    for (uint32_t key = mw_node_first(tape, answer); key != MW_NODE_NONE;
         key = mw_node_after(tape, answer, key))
        if (!is_one_of(tape->nodes[key].text, members))
            return refuse_in(asked, "answers", index, "",
                             "an answer has a member that is not known");
    if (error != MW_NODE_NONE && mw_node_get(tape, answer, "payload") != MW_NODE_NONE)
        return refuse_in(asked, "answers", index, "error", "a payload or an error, not both");
    return check_fence(asked, index, answer) &&
           (error != MW_NODE_NONE ? check_error(asked, index, error)
                                  : check_result(asked, index, answer));
}

static bool read_answers(struct asked *asked)
{
    const struct mw_tape *tape = asked->tape;
    mw_seq seen[MW_WORKER_BATCH_MAX];
    uint32_t count = 0;
    asked->answers = mw_node_get(tape, 0, "answers");
    if (asked->answers == MW_NODE_NONE)
        return true;
    if (mw_node_type(tape, asked->answers) != MW_NODE_ARRAY ||
        mw_node_count(tape, asked->answers) > MW_WORKER_BATCH_MAX)
        return refuse(asked->call, MW_E_INPUT, "/answers",
                      "'answers' is a list of at most 1024 answers");
    for (uint32_t at = mw_node_first(tape, asked->answers); at != MW_NODE_NONE;
         at = mw_node_after(tape, asked->answers, at), count++) {
        if (!check_answer(asked, count, at))
            return false;
        seen[count] = (mw_seq)mw_node_int(tape, mw_node_get(tape, at, "fence"), 0);
        for (uint32_t i = 0; i < count; i++)
            if (seen[i] == seen[count])
                return refuse_in(asked, "answers", count, "fence", "two answers for one fence");
    }
    return true;
}

/* ---- recording ---- */

static void on_recorded(void *user, const struct mw_host_answer *got)
{
    struct mw_worker_answer *answer = user;
    answer->got = *got;
    if (--answer->call->recording == 0)
        mw_worker_call_done(answer->call);
}

static void answer_at_once(struct mw_worker_answer *answer, const struct mw_err *err)
{
    struct mw_host_answer got = {.rc = err->rc};
    memcpy(got.text, err->text, sizeof(got.text));
    on_recorded(answer, &got);
}

/* A record is one line, and a caller's JSON may have its blanks over many: then it is written again. */
static struct mw_str put_in_line(struct mw_json *json, const char *key, const struct mw_tape *tape,
                                 uint32_t node)
{
    struct mw_str text = tape->nodes[node].text;
    mw_json_key(json, mw_str_of(key));
    size_t from = json->buf->len;
    if (mw_str_find(text, '\n', 0) == SIZE_MAX)
        mw_json_raw(json, text);
    else
        mw_json_node(json, tape, node);
    return mw_str_sub(mw_buf_str(json->buf), from, json->buf->len);
}

static bool write_answer(struct mw_host *host, const struct mw_tape *tape, uint32_t node,
                         mw_seq item, struct mw_buf *body, struct mw_err *err)
{
    uint32_t error = mw_node_get(tape, node, "error");
    uint32_t payload = mw_node_get(tape, node, "payload");
    uint32_t usage = mw_node_get(tape, node, "usage");
    uint32_t rationale = mw_node_get(tape, node, "rationale");
    struct mw_str type = mw_node_get_text(tape, node, "type");
    struct mw_json json;
    bool good = true;
    mw_json_init(&json, body);
    mw_json_object(&json);
    if (error != MW_NODE_NONE) {
        mw_json_knode(&json, "class", tape, mw_node_get(tape, error, "class"));
        mw_json_knode(&json, "message", tape, mw_node_get(tape, error, "message"));
        mw_json_kbool(&json, "said", true);
        mw_json_kbool(&json, "retryable",
                      mw_node_bool(tape, mw_node_get(tape, error, "retryable"), true));
    } else {
        mw_json_kstr(&json, "type", type);
        struct mw_str text = put_in_line(&json, "payload", tape, payload);
        good = mw_host_keep_payload(host, item, type, text, &json, err) == MW_OK;
    }
    if (usage != MW_NODE_NONE)
        (void)put_in_line(&json, "usage", tape, usage);
    if (rationale != MW_NODE_NONE)
        mw_json_knode(&json, "rationale", tape, rationale);
    mw_json_object_end(&json);
    return good;
}

/* P06: one that had the task before may know its fence, and its lease is over all the same. */
static bool is_held_by_another(struct mw_host *host, mw_seq fence, const struct mw_worker *worker)
{
    const struct mw_host_ask *ask = mw_host_ask_find(host, fence);
    return ask != NULL && ask->offer != NULL && ask->offer->holder != NULL &&
           ask->offer->holder != worker;
}

static void record(const struct asked *asked, struct mw_worker_call *call, uint32_t node,
                   struct mw_worker_answer *answer)
{
    struct mw_host *host = asked->host;
    const struct mw_tape *tape = asked->tape;
    mw_seq item = item_of(mw_node_get_text(tape, node, "taskId"));
    bool failed = mw_node_get(tape, node, "error") != MW_NODE_NONE;
    mw_autofree char *actor = mw_heap_format("agent:%s/%s", call->agent->id, call->worker->name);
    struct mw_post *post = NULL;
    struct mw_err err = {0};
    answer->call = call;
    answer->fence = (mw_seq)mw_node_int(tape, mw_node_get(tape, node, "fence"), 0);
    answer->late = mw_table_get(&host->core.world.asks, answer->fence) == NULL;
    call->recording++;
    if (is_held_by_another(host, answer->fence, call->worker)) {
        (void)MW_FAIL(&err, MW_E_CONFLICT, "another worker holds this task");
        answer_at_once(answer, &err);
        return;
    }
    struct mw_buf body = mw_heap_buf();
    if (write_answer(host, tape, node, item, &body, &err))
        post = mw_post_make(host, failed ? MW_REQ_RECORD_FAILURE : MW_REQ_RECORD_RESULT,
                            mw_buf_str(&body), MW_STR_NONE, mw_str_of(actor), &err);
    mw_heap_buf_free(&body);
    if (post == NULL) { /* no room for its body: it may be sent again */
        answer_at_once(answer, &err);
        return;
    }
    post->request.item = item;
    post->request.fence = answer->fence;
    mw_host_post(host, post, on_recorded, answer);
}

/* ---- answering ---- */

static void put_answers(const struct mw_worker_call *call, struct mw_json *json)
{
    mw_json_karray(json, "answers");
    for (uint32_t i = 0; i < call->answer_count; i++) {
        const struct mw_worker_answer *answer = &call->answers[i];
        bool refused = answer->got.rc != MW_OK;
        mw_json_object(json);
        mw_json_ku64(json, "fence", answer->fence);
        mw_json_kstr(json, "status",
                     refused        ? MW_STR("refused")
                     : answer->late ? MW_STR("late")
                                    : MW_STR("recorded"));
        if (refused) {
            mw_json_kstr(json, "code", mw_str_of(mw_rc_name(answer->got.rc)));
            mw_json_kstr(json, "message", mw_str_of(answer->got.text));
        } else {
            mw_json_ku64(json, "first", answer->got.first);
            mw_json_ku64(json, "last", answer->got.last);
        }
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

void mw_worker_call_answer(struct mw_worker_call *call, uint32_t task_count)
{
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_ku64(&json, "leaseMs", call->agent->lease_ms);
    mw_json_karray(&json, "tasks");
    (void)mw_worker_lease(call, task_count, &json); /* fewer when some were over already */
    mw_json_array_end(&json);
    put_answers(call, &json);
    mw_json_karray(&json, "gone");
    if (call->gone.len > 0)
        mw_json_raw(&json, mw_buf_str(&call->gone));
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    mw_api_answer(call->call, 200, mw_buf_str(&body));
    mw_heap_buf_free(&body);
    mw_heap_buf_free(&call->gone);
    call->worker->calls--;
    free(call->answers);
    free(call);
}

/* The domain that it was routed for stands in the routing trail, before the candidates, whose matches are called so too; "*" is left out. */
static struct mw_str domain_of(struct mw_str line)
{
    static const char routing[] = "\"routing\":{",
                      domain[] = "\"domain\":", candidates[] = "\"candidates\":";
    const char *from = memmem(line.ptr, line.len, routing, sizeof(routing) - 1);
    const char *end = from == NULL ? NULL
                                   : memmem(from, (size_t)(line.ptr + line.len - from), candidates,
                                            sizeof(candidates) - 1);
    const char *at =
        end != NULL ? memmem(from, (size_t)(end - from), domain, sizeof(domain) - 1) : NULL;
    if (at == NULL)
        return MW_STR("\"*\"");
    size_t start = (size_t)(at - line.ptr) + sizeof(domain) - 1;
    size_t stop = mw_json_skip(line, start);
    return stop > start ? mw_str_sub(line, start, stop - start) : MW_STR("\"*\"");
}

/* The asking record as it is, and what its definition wants it to know beside it. */
enum mw_rc mw_worker_task_text(struct mw_host *host, const struct mw_host_ask *ask,
                               struct mw_json *json, struct mw_err *err)
{
    const struct mw_ask *open = mw_table_get(&host->core.world.asks, ask->seq);
    struct mw_arena *arena = &host->workers->text_arena;
    struct mw_str line = mw_str_of(ask->line);
    struct mw_str context = MW_STR("{}"), memory = MW_STR("[]"), why;
    struct mw_task_needs needs;
    MW_ASSERT(line.len > 2);
    mw_arena_reset(arena);
    if (open != NULL &&
        mw_work_needs(&host->core.world, &host->core.work, arena, open->item, &needs, &why)) {
        if (needs.def->context_count > 0 &&
            mw_attempt_context(host, &needs, arena, &context, err) != MW_OK)
            return MW_E_CONFIG;
        if (host->core.memory.count > 0)
            memory = mw_attempt_memory(host, arena);
    }
    mw_json_raw(json, mw_str_sub(line, 0, line.len - 1));
    mw_buf_printf(json->buf, ",\"fence\":%lu,\"domain\":%.*s,\"context\":", (unsigned long)ask->seq,
                  MW_STR_ARG(domain_of(line)));
    mw_buf_put(json->buf, context);
    mw_buf_put_z(json->buf, ",\"memory\":");
    mw_buf_put(json->buf, memory);
    int64_t left_ms =
        open != NULL && open->due_us > 0 ? (open->due_us - mw_now_unix_us()) / 1000 : 0;
    mw_buf_printf(
        json->buf, ",\"limits\":{\"deadline_ms\":%ld},\"expects\":{\"type\":\"%.*s\"}}",
        (long)(left_ms > 0 ? left_ms : 0),
        MW_STR_ARG(open != NULL ? mw_work_expects(&host->core.world, open->item) : MW_STR_NONE));
    return MW_OK;
}

/* ---- a request ---- */

static void put_gone(struct mw_worker_call *call, mw_seq fence)
{
    if (call->gone.len > 0)
        mw_buf_put_c(&call->gone, ',');
    mw_buf_printf(&call->gone, "%lu", (unsigned long)fence);
}

static void carry_out(const struct asked *asked, bool leases, struct mw_worker *worker)
{
    struct mw_host *host = asked->host;
    struct mw_worker_call *call = mw_heap_alloc(sizeof(*call));
    uint32_t count = mw_node_count(asked->tape, asked->answers), index = 0;
    *call = (struct mw_worker_call){.host = host,
                                    .call = asked->call,
                                    .agent = asked->agent,
                                    .worker = worker,
                                    .tasks_max = leases ? asked->tasks_max : 0,
                                    .until_ms = uv_now(&host->loop) + asked->wait_ms,
                                    .recording = 1,
                                    .answer_count = count,
                                    .gone = mw_heap_buf()};
    worker->calls++;
    if (count > 0)
        call->answers = mw_heap_alloc(count * sizeof(*call->answers));
    for (uint32_t i = 0; i < asked->hold_count; i++)
        if (!mw_worker_holds(host, asked->agent, worker, asked->holds[i]))
            put_gone(call, asked->holds[i]);
    for (uint32_t at = mw_node_first(asked->tape, asked->answers); at != MW_NODE_NONE;
         at = mw_node_after(asked->tape, asked->answers, at))
        record(asked, call, at, &call->answers[index++]);
    if (leases && asked->says_holds && count == 0)
        mw_worker_holds_only(host, worker, asked->holds, asked->hold_count);
    if (--call->recording == 0)
        mw_worker_call_done(call);
}

static bool read_all(struct asked *asked, struct mw_str verb)
{
    static const char *const lease[] = {"worker", "max", "waitMs", "holds", "answers", NULL};
    static const char *const answers[] = {"worker", "answers", NULL};
    static const char *const heartbeat[] = {"worker", "holds", NULL};
    const char *const *members = mw_str_is(verb, "lease")     ? lease
                                 : mw_str_is(verb, "answers") ? answers
                                                              : heartbeat;
    const struct mw_tape *tape = asked->tape;
    if (mw_node_type(tape, 0) != MW_NODE_OBJECT)
        return refuse(asked->call, MW_E_INPUT, "", "a request's body is one JSON object");
    for (uint32_t key = mw_node_first(tape, 0); key != MW_NODE_NONE;
         key = mw_node_after(tape, 0, key))
        if (!is_one_of(tape->nodes[key].text, members)) {
            mw_autofree char *pointer = mw_heap_format("/%.*s", MW_STR_ARG(tape->nodes[key].text));
            return refuse(asked->call, MW_E_INPUT, pointer, "there is no such member here");
        }
    return read_worker(asked) &&
           read_number(asked, "max", MW_WORKER_BATCH_MAX, 1, &asked->tasks_max) &&
           read_number(asked, "waitMs", MW_WORKER_WAIT_MAX, WAIT_DEFAULT_MS, &asked->wait_ms) &&
           read_holds(asked) && read_answers(asked);
}

static void take_request(struct asked *asked, struct mw_str verb)
{
    struct mw_worker *worker;
    if (!read_all(asked, verb))
        return;
    worker = mw_worker_heard(asked->host, asked->agent, asked->worker);
    if (worker == NULL) {
        (void)refuse(asked->call, MW_E_LIMIT, "/worker", "too many workers of this agent");
        return;
    }
    carry_out(asked, mw_str_is(verb, "lease"), worker);
}

void mw_workers_asked(void *self, struct mw_str agent_id, struct mw_str verb, struct mw_str body,
                      struct mw_api_call *call)
{
    static const char *const verbs[] = {"lease", "answers", "heartbeat", NULL};
    struct mw_host *host = self;
    struct mw_tape tape;
    struct mw_err err = {0};
    if (mw_host_refuse_closed(host, call))
        return;
    struct mw_worker_agent *agent = mw_worker_agent_of(host, agent_id);
    if (!is_one_of(verb, verbs) || agent == NULL) {
        (void)refuse(call, MW_E_MISSING, "",
                     agent == NULL ? "no agent of that id takes work over the socket"
                                   : "a worker asks for lease, answers or heartbeat");
        return;
    }
    struct mw_arena *arena = &host->workers->arena;
    if (arena->used_bytes > ARENA_KEPT_BYTES) { /* a large request's pages go back */
        size_t size_bytes = arena->size_bytes;
        mw_heap_arena_free(arena);
        mw_heap_arena(arena, size_bytes);
    }
    mw_arena_reset(arena);
    if (mw_json_parse(arena, body.len > 0 ? body : MW_STR("{}"), &tape, &err) != MW_OK) {
        (void)refuse(call, MW_E_INPUT, "", err.text);
        return;
    }
    struct asked *asked = mw_arena_alloc(arena, sizeof(*asked));
    MW_ASSERT(asked != NULL); /* 4 MiB of JSON leave room */
    *asked = (struct asked){
        .host = host, .agent = agent, .call = call, .tape = &tape, .answers = MW_NODE_NONE};
    take_request(asked, verb);
}
