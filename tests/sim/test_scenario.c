/*
 * test_scenario.c - stories in tests/scenario: requests in, records out. MW_GOLDEN=1 rewrites what is expected; read the diff.
 *
 * A block is lines of input, "----", and the records that came of them; blocks are parted by empty lines, '#' begins a comment. Input:
 *   use NAME                   definitions: factory, or a folder of tests/sim/definitions
 *   agents                     registers the set's agents; says nothing when it goes well
 *   shape auth=1 ci=0 services=1 use_cases=2 ports=1   what stub answers say from now on
 *   RequestName {json}         a caller's request; $TRACE is the last trace, $BUILD its build
 *   answer SKILL [TYPE {json}] the oldest task of that skill that an agent holds is answered, by a stub answer when none is given
 *   person SKILL {json}        AnswerItem for the oldest task of that skill that a person holds
 *   intrude SKILL {json}       AnswerItem for one that an agent holds
 *   fail SKILL {json}          RecordFailure
 *   expire SKILL {json}        ExpireLease
 *   interrupted SKILL          NoteInterrupted: the host that asked has ended
 *   late SKILL TYPE {json}     an answer for an attempt that is over, of a task that an agent holds, or else a person
 *   putback [{json}]           ReplayTask for the newest dead letter, with the payload of its record or this one
 *   ring                       the clock goes to the next due time and the timer rings
 *   stage {json} | promoted {json}   the answer to the open ask for staging or promotion
 *   drain                      every task of an agent gets a stub answer and the bundle is staged, until nothing is left; counts steps
 *   crash                      the process dies and comes up again
 *   memory                     what is out is what is owned; open traces are counted
 */
#include "rig.h"

#define STORY_BYTES (1 << 20)

struct story {
    struct rig *rig;
    struct rig_shape shape;
    struct mw_buf out; /* what happened */
    bool quiet;
};

static void tell(struct story *story, size_t first)
{
    struct rig *rig = story->rig;
    static const char *const opens[] = {"", " -> AGENT", " -> STAGE", " -> TIMER", " -> CONTINUE"};
    struct mw_err err;
    if (rig->result.rc != MW_OK)
        mw_buf_printf(&story->out, "refused %s %.*s: %.*s\n", mw_rc_name(rig->result.rc),
                      MW_STR_ARG(rig->result.pointer), MW_STR_ARG(rig->result.refusal));
    if (rig->result.duplicate)
        mw_buf_put_z(&story->out, "said before\n");
    for (size_t i = first; i < rig->line_count; i++) {
        struct mw_event e;
        mw_arena_reset(&rig->body);
        assert_int_equal(mw_event_read(&rig->body, rig_line(rig, i), &e, &err), MW_OK);
        const struct mw_event_info *info = mw_event_info(e.kind);
        mw_buf_printf(&story->out, "%.*s", MW_STR_ARG(e.type));
        struct mw_str ended = e.kind == MW_EVT_SCOPE_TERMINATED
                                  ? mw_str_sub(e.session_id, 0, mw_str_find(e.session_id, '-', 0))
                                  : MW_STR_NONE;
#define TELL(name, text)                                                                           \
    if ((text).len > 0)                                                                            \
    mw_buf_printf(&story->out, " " name "=%.*s", MW_STR_ARG(text))
        TELL("scope", ended);
        TELL("task", e.task_type);
        TELL("agent", e.target_agent);
        TELL("preset", e.preset);
        TELL("workflow", e.workflow);
        TELL("role", e.role);
        TELL("event", e.event_type);
        TELL("group", e.group_id);
        TELL("key", e.key);
        TELL("from", e.from_state);
        TELL("to", e.state);
        TELL("by", e.by_event);
        TELL("rule", e.rule);
        TELL("value", e.rule_value);
        TELL("skips", e.kind == MW_EVT_PATH_SKIPPED ? e.target : MW_STR_NONE);
        TELL("family", e.family);
        TELL("status", e.status);
        TELL("outcome", e.outcome);
        TELL("class", e.error_class);
        TELL("excluded", e.agent_excluded);
        TELL("escalated", e.escalation_target);
        if (e.attempt > 0)
            mw_buf_printf(&story->out, " attempt=%lu", (unsigned long)e.attempt);
        if (e.kind == MW_EVT_GROUP_STARTED || e.kind == MW_EVT_GROUP_ENDED)
            mw_buf_printf(&story->out, " %lu+%lu/%lu", (unsigned long)e.completed_count,
                          (unsigned long)e.failed_count, (unsigned long)e.expected_count);
        if (e.step > 0)
            mw_buf_printf(&story->out, " step=%lu", (unsigned long)e.step);
        if (e.reason.len > 0)
            mw_buf_printf(&story->out, " \"%.*s\"", MW_STR_ARG(e.reason));
        bool asks = info->opens != MW_OPENS_TIMER || e.due_us != 0;
        mw_buf_printf(&story->out, "%s\n", asks ? opens[info->opens] : "");
    }
}

/* The oldest; NULL: none. */
static struct rig_run *look_for_run(struct story *story, struct mw_str skill, bool person)
{
    struct rig *rig = story->rig;
    struct rig_run *found = NULL;
    for (uint32_t i = 0; i < rig->run_count; i++) {
        struct rig_run *run = &rig->runs[i];
        if (run->opens != MW_OPENS_AGENT || (run->agent_kind == MW_AGENT_HUMAN) != person)
            continue;
        const struct mw_task *task = rig_task(rig, run->item);
        if ((skill.len == 0 || mw_str_eq(rig_task_def(rig, task)->skill, skill)) &&
            (found == NULL || run->seq < found->seq))
            found = run;
    }
    return found;
}

static struct rig_run *find_run(struct story *story, struct mw_str skill, bool person)
{
    struct rig *rig = story->rig;
    struct rig_run *found = look_for_run(story, skill, person);
    if (found == NULL && skill.len > 0)
        rig_tell_tail(rig);
    if (found == NULL && skill.len > 0)
        fail_msg("no task %.*s is there to be answered; so far:\n%.*s", MW_STR_ARG(skill),
                 (int)(story->out.len > 2000 ? 2000 : story->out.len),
                 story->out.ptr + (story->out.len > 2000 ? story->out.len - 2000 : 0));
    return found;
}

static struct rig_run *find_opens(struct rig *rig, enum mw_opens opens)
{
    struct rig_run *found = NULL;
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].opens == opens && (found == NULL || rig->runs[i].seq < found->seq))
            found = &rig->runs[i];
    return found;
}

static void act(struct story *story, enum mw_request_kind kind, const char *body, mw_seq item,
                mw_seq fence)
{
    size_t first = story->rig->line_count;
    story->rig->now_us += 1000;
    (void)rig_do(story->rig, kind, body, item, fence);
    if (!story->quiet)
        tell(story, first);
}

static void drain(struct story *story)
{
    struct rig *rig = story->rig;
    size_t records = rig->line_count, steps = rig->step_count;
    uint32_t answers = 0;
    story->quiet = true;
    for (;;) {
        struct rig_run *run = find_run(story, MW_STR_NONE, false);
        struct rig_run *stage = find_opens(rig, MW_OPENS_STAGE);
        struct rig_run *more = find_opens(rig, MW_OPENS_CONTINUE);
        if (more != NULL)
            act(story, MW_REQ_CONTINUE, NULL, 0, more->seq);
        else if (run != NULL)
            act(story, MW_REQ_RECORD_RESULT,
                rig_good_body(rig, rig_task(rig, run->item), &story->shape), run->item, run->seq);
        else if (stage != NULL && stage->item != 0)
            act(story, MW_REQ_RECORD_STAGE, rig_stage_body(), stage->item, stage->seq);
        else
            break;
        RIG_CHECK(rig, rig->result.rc == MW_OK, "%.*s", MW_STR_ARG(rig->result.refusal));
        answers++;
    }
    story->quiet = false;
    mw_buf_printf(&story->out, "%u answers, %zu steps, %zu records; the last is ", answers,
                  rig->step_count - steps, rig->line_count - records);
    if (rig->line_count > 0)
        tell(story, rig->line_count - 1);
}

static void ring(struct story *story)
{
    struct rig *rig = story->rig;
    struct rig_run *next = NULL;
    for (uint32_t i = 0; i < rig->run_count; i++)
        if (rig->runs[i].due_us > 0 && (next == NULL || rig->runs[i].due_us < next->due_us))
            next = &rig->runs[i];
    if (next == NULL)
        fail_msg("nothing is due");
    size_t first = rig->line_count;
    rig->now_us = next->due_us;
    (void)rig_do(rig, MW_REQ_RING_TIMER, NULL, 0, next->seq);
    tell(story, first);
}

/* The next word of the line. */
static struct mw_str word(struct mw_str *line)
{
    *line = mw_str_trim(*line);
    size_t end = mw_str_find(*line, ' ', 0);
    struct mw_str first = mw_str_sub(*line, 0, end == SIZE_MAX ? line->len : end);
    *line = mw_str_trim(mw_str_sub(*line, first.len, line->len));
    return first;
}

/* $TRACE and $BUILD; terminated. */
static const char *filled(struct story *story, struct mw_str text)
{
    static char memory[1 << 20];
    struct mw_buf buf;
    const struct mw_core *core = &story->rig->core;
    struct mw_str build = core->session.build_count > 0
                              ? core->session.builds[core->session.build_count - 1].build_id
                              : MW_STR_NONE;
    mw_buf_init(&buf, memory, sizeof memory - 1);
    for (size_t i = 0; i < text.len;) {
        struct mw_str rest = mw_str_sub(text, i, text.len);
        if (mw_str_starts(rest, MW_STR("$TRACE"))) {
            mw_buf_put_z(&buf, story->rig->last_trace_id);
            i += 6;
        } else if (mw_str_starts(rest, MW_STR("$BUILD"))) {
            mw_buf_put(&buf, build);
            i += 6;
        } else {
            mw_buf_put_c(&buf, text.ptr[i++]);
        }
    }
    memory[buf.len] = 0;
    return memory;
}

static void set_shape(struct story *story, struct mw_str line)
{
    while (line.len > 0) {
        struct mw_str pair = word(&line);
        size_t at = mw_str_find(pair, '=', 0);
        uint64_t value = 0;
        struct mw_str name = mw_str_sub(pair, 0, at);
        assert_true(mw_str_to_u64(mw_str_sub(pair, at + 1, pair.len), &value));
        if (mw_str_is(name, "auth"))
            story->shape.auth = value > 0;
        else if (mw_str_is(name, "ci"))
            story->shape.ci = value > 0;
        else if (mw_str_is(name, "services"))
            story->shape.services = (uint32_t)value;
        else if (mw_str_is(name, "use_cases"))
            story->shape.use_cases = (uint32_t)value;
        else if (mw_str_is(name, "ports"))
            story->shape.ports = (uint32_t)value;
        else
            fail_msg("shape has no %.*s", MW_STR_ARG(name));
    }
}

static void answer(struct story *story, struct mw_str skill, struct mw_str line, bool late)
{
    struct rig *rig = story->rig;
    bool with_person = late && look_for_run(story, skill, false) == NULL;
    struct rig_run *run = find_run(story, skill, with_person);
    mw_seq item = run->item, fence = late ? run->seq - 1 : run->seq;
    if (line.len == 0) {
        act(story, MW_REQ_RECORD_RESULT, rig_good_body(rig, rig_task(rig, item), &story->shape),
            item, fence);
        return;
    }
    struct mw_str type = word(&line);
    act(story, MW_REQ_RECORD_RESULT, rig_result_body(rig, type, line), item, fence);
}

/* The newest dead letter's payload as its record has it; *ret_task: whose. */
static const char *letter_body(struct story *story, struct mw_str payload, mw_seq *ret_task)
{
    struct rig *rig = story->rig;
    struct mw_event e;
    struct mw_err err;
    for (size_t i = rig->line_count; i-- > 0;) {
        mw_arena_reset(&rig->body);
        assert_int_equal(mw_event_read(&rig->body, rig_line(rig, i), &e, &err), MW_OK);
        if (e.kind != MW_EVT_TASK_DEAD)
            continue;
        *ret_task = e.item;
        struct mw_str told = payload.len > 0 ? payload : e.task_payload;
        return mw_arena_format(&rig->body, "{\"item\":\"t\",\"payload\":%.*s%s%.*s}",
                               MW_STR_ARG(told.len > 0 ? told : MW_STR("{}")),
                               e.inputs.len > 0 ? ",\"inputs\":" : "", MW_STR_ARG(e.inputs))
            .ptr;
    }
    fail_msg("no letter is dead");
    return NULL;
}

static void play_line(struct story *story, struct mw_str line)
{
    struct rig *rig = story->rig;
    struct mw_str verb = word(&line);
    struct rig_run *run;
    char name[128];
    snprintf(name, sizeof name, "%.*s", MW_STR_ARG(line));
    if (mw_str_is(verb, "use")) {
        rig_begin(rig, name);
    } else if (mw_str_is(verb, "agents")) {
        rig_register_all(rig);
    } else if (mw_str_is(verb, "shape")) {
        set_shape(story, line);
    } else if (mw_str_is(verb, "answer")) {
        struct mw_str skill = word(&line);
        answer(story, skill, line, false);
    } else if (mw_str_is(verb, "late")) {
        struct mw_str skill = word(&line);
        answer(story, skill, line, true);
    } else if (mw_str_is(verb, "person")) {
        run = find_run(story, word(&line), true);
        act(story, MW_REQ_ANSWER_ITEM, filled(story, line), run->item, 0);
    } else if (mw_str_is(verb, "intrude")) {
        run = find_run(story, word(&line), false);
        act(story, MW_REQ_ANSWER_ITEM, filled(story, line), run->item, 0);
    } else if (mw_str_is(verb, "fail")) {
        run = find_run(story, word(&line), false);
        act(story, MW_REQ_RECORD_FAILURE, filled(story, line), run->item, run->seq);
    } else if (mw_str_is(verb, "expire")) {
        run = find_run(story, word(&line), false);
        act(story, MW_REQ_EXPIRE_LEASE, filled(story, line), run->item, run->seq);
    } else if (mw_str_is(verb, "interrupted")) {
        run = find_run(story, word(&line), false);
        act(story, MW_REQ_NOTE_INTERRUPTED, NULL, run->item, run->seq);
    } else if (mw_str_is(verb, "putback")) {
        mw_seq task = 0;
        const char *body = letter_body(story, line, &task);
        act(story, MW_REQ_REPLAY_TASK, body, task, 0);
    } else if (mw_str_is(verb, "ring")) {
        ring(story);
    } else if (mw_str_is(verb, "stage") || mw_str_is(verb, "promoted")) {
        run = find_opens(rig, MW_OPENS_STAGE);
        RIG_CHECK(rig, run != NULL, "nothing asks for staging or promotion");
        act(story, mw_str_is(verb, "stage") ? MW_REQ_RECORD_STAGE : MW_REQ_RECORD_PROMOTION,
            line.len > 0 ? filled(story, line) : rig_stage_body(), run->item, run->seq);
    } else if (mw_str_is(verb, "drain")) {
        drain(story);
    } else if (mw_str_is(verb, "crash")) {
        rig_crash(rig, rig->durable);
    } else if (mw_str_is(verb, "memory")) {
        oracle_memory(rig);
        mw_buf_printf(&story->out, "%u traces, %u items, %u asks\n", rig->core.world.traces.count,
                      rig->core.world.items.count, rig->core.world.asks.count);
    } else {
        enum mw_request_kind kind = mw_request_by_name(verb);
        if (kind == MW_REQUEST_COUNT)
            fail_msg("nothing is called %.*s", MW_STR_ARG(verb));
        act(story, kind, filled(story, line), 0, 0);
    }
}

/* Plays the text and gives it back with what really happened. */
static void play(struct story *story, struct mw_str text, struct mw_buf *again)
{
    enum { INPUT, EXPECTED } at = INPUT;
    while (text.len > 0) {
        size_t end = mw_str_find(text, '\n', 0);
        struct mw_str line = mw_str_sub(text, 0, end == SIZE_MAX ? text.len : end);
        text = mw_str_sub(text, end == SIZE_MAX ? text.len : end + 1, text.len);
        if (line.len == 0)
            at = INPUT;
        if (at == EXPECTED)
            continue;
        mw_buf_put(again, line);
        mw_buf_put_c(again, '\n');
        if (mw_str_is(line, "----")) {
            mw_buf_put(again, mw_buf_str(&story->out));
            story->out.len = 0;
            at = EXPECTED;
        } else if (line.len > 0 && line.ptr[0] != '#') {
            play_line(story, line);
        }
    }
}

/* P13 P16: however the story went, its journal, shortened up to any record, gives the state that all of it gives. */
static void shorten(struct rig *rig)
{
    rig_crash(rig, rig->durable);
    for (size_t until = 0; until <= rig->durable; until++) {
        rig_come_up_shortened(rig, until / 2, until);
        oracle_same(rig, "from a shortened journal");
    }
}

static void play_file(struct rig *rig, const char *path)
{
    struct story story = {.rig = rig,
                          .shape = {.auth = true, .services = 1, .use_cases = 2, .ports = 1}};
    struct mw_buf again = mw_heap_buf();
    struct mw_err err;
    struct mw_buf file = mw_heap_buf();
    story.out = mw_heap_buf();
    rig->random = 7;
    if (mw_file_read(AT_FDCWD, path, STORY_BYTES, &file, &err) != MW_OK)
        fail_msg("%s", err.text);
    play(&story, mw_buf_str(&file), &again);
    bool same = mw_str_eq(mw_buf_str(&file), mw_buf_str(&again));
    if (!same && getenv("MW_GOLDEN") != NULL) {
        if (mw_file_replace(AT_FDCWD, path, mw_buf_str(&again), 0644, &err) != MW_OK)
            fail_msg("%s", err.text);
    } else if (!same) {
        size_t at = 0;
        while (at < file.len && at < again.len && file.ptr[at] == again.ptr[at])
            at++;
        while (at > 0 && file.ptr[at - 1] != '\n')
            at--;
        fail_msg("%s differs; MW_GOLDEN=1 rewrites it\nexpected: %.*s\nhappened: %.*s", path,
                 (int)(file.len - at < 300 ? file.len - at : 300), file.ptr + at,
                 (int)(again.len - at < 300 ? again.len - at : 300), again.ptr + at);
    }
    shorten(rig);
    mw_heap_buf_free(&again);
    mw_heap_buf_free(&file);
    mw_heap_buf_free(&story.out);
}

static void every_story_is_told_as_it_happens(void **state)
{
    struct rig *rig = rig_new();
    char *names[512], path[512];
    size_t count = 0;
    const char *only = getenv("MW_STORY");
    (void)state;
    DIR *dir = opendir(MW_SOURCE_DIR "/tests/scenario");
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (mw_str_ends(mw_str_of(entry->d_name), MW_STR(".txt")) &&
            (only == NULL || strstr(entry->d_name, only) != NULL))
            names[count++] = mw_heap_copy(mw_str_of(entry->d_name));
    closedir(dir);
    qsort(names, count, sizeof *names, rig_by_name);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, MW_SOURCE_DIR "/tests/scenario/%s", names[i]);
        print_message("  %s\n", names[i]);
        play_file(rig, path);
        mw_heap_free(names[i]);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_story_is_told_as_it_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
