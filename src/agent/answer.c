#include "agent/answer.h"

#include "posix/heap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Enough for the densest line: a node for each two bytes. Lazily backed, given back with the answer. */
#define ARENA_BYTES ((size_t)MW_ANSWER_LINE_BYTES_MAX * 64)
#define SAMPLE_BYTES 80

/* What each verdict means to who decides about another try. */
static const struct {
    const char *name;
    enum mw_answer_class error_class;
    bool retryable;
} verdicts[MW_ANSWER_VERDICT_COUNT] = {
    [MW_ANSWER_RESULT] = {"result", MW_ANSWER_INTERNAL, false},
    [MW_ANSWER_FAILURE] = {"failure", MW_ANSWER_INTERNAL, false},
    [MW_ANSWER_NONE] = {"no_answer", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_SILENT_SUCCESS] = {"silent_success", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_RESULT_BUT_EXIT] = {"result_but_exit", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_TWO] = {"two_answers", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_NOT_LAST] = {"answer_not_last", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_GARBAGE] = {"garbage", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_BAD_UTF8] = {"bad_utf8", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_BAD_SHAPE] = {"bad_shape", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_LINE_TOO_LONG] = {"line_too_long", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_TOO_MUCH] = {"too_much_output", MW_ANSWER_INTERNAL, true},
    [MW_ANSWER_RESERVED_TYPE] = {"reserved_type", MW_ANSWER_INTERNAL, false},
    [MW_ANSWER_WRONG_TRACE] = {"wrong_trace", MW_ANSWER_INTERNAL, false},
    [MW_ANSWER_KILLED] = {"killed", MW_ANSWER_TIMEOUT, true},
    [MW_ANSWER_NOT_STARTED] = {"not_started", MW_ANSWER_UNSUPPORTED, false},
};

static const struct {
    const char *name;
    bool retryable; /* when the agent does not say */
} classes[MW_ANSWER_CLASS_COUNT] = {
    [MW_ANSWER_INVALID_INPUT] = {"invalid_input", false},
    [MW_ANSWER_UNSUPPORTED] = {"unsupported", false},
    [MW_ANSWER_TOOL] = {"tool", true},
    [MW_ANSWER_MODEL] = {"model", true},
    [MW_ANSWER_QUOTA] = {"quota", true},
    [MW_ANSWER_AUTH] = {"auth", false},
    [MW_ANSWER_TIMEOUT] = {"timeout", true},
    [MW_ANSWER_INTERNAL] = {"internal", false},
};

const char *mw_answer_verdict_name(enum mw_answer_verdict verdict)
{
    MW_ASSERT((unsigned)verdict < MW_ANSWER_VERDICT_COUNT);
    return verdicts[verdict].name;
}

const char *mw_answer_class_name(enum mw_answer_class error_class)
{
    MW_ASSERT((unsigned)error_class < MW_ANSWER_CLASS_COUNT);
    return classes[error_class].name;
}

static bool class_of(struct mw_str word, enum mw_answer_class *ret_class)
{
    for (int i = 0; i < MW_ANSWER_CLASS_COUNT; i++)
        if (mw_str_is(word, classes[i].name)) {
            *ret_class = (enum mw_answer_class)i;
            return true;
        }
    return false;
}

/* ---- faults and their evidence ---- */

struct sample {
    char text[SAMPLE_BYTES + 4];
};

/* The first bytes, made fit to show: no control bytes, whole characters, dots when cut. */
static struct sample sample_of(struct mw_str bytes)
{
    struct sample sample = {{0}};
    size_t len = bytes.len < SAMPLE_BYTES ? bytes.len : SAMPLE_BYTES;
    size_t bad_at = len;
    bool whole = mw_utf8_valid((struct mw_str){bytes.ptr, len}, &bad_at);
    bool cut =
        !whole && bad_at + 4 > len && len < bytes.len; /* only the cut's last character is broken */
    if (cut)
        len = bad_at;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        bool shown = byte >= 0x20 && byte != 0x7f && (byte < 0x80 || whole || i < bad_at);
        sample.text[i] = shown ? (char)byte : '?';
    }
    if (len < bytes.len)
        memcpy(sample.text + len, "...", 3);
    return sample;
}

static void MW_PRINTF(3, 4)
    fault(struct mw_answer *answer, enum mw_answer_verdict verdict, const char *format, ...)
{
    MW_ASSERT(!answer->faulty);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(answer->evidence, sizeof(answer->evidence), format, args);
    va_end(args);
    size_t good;
    if (!mw_utf8_valid(mw_str_of(answer->evidence), &good))
        answer->evidence[good] = '\0'; /* a character cut at the end */
    answer->faulty = true;
    answer->fault = verdict;
}

/* ---- lines ---- */

void mw_answer_init(struct mw_answer *answer, const struct mw_answer_rules *rules)
{
    *answer = (struct mw_answer){.rules = *rules, .line = mw_heap_buf(), .kept = mw_heap_buf()};
    if (answer->rules.output_bytes_max == 0)
        answer->rules.output_bytes_max = MW_ANSWER_OUTPUT_BYTES_DEFAULT;
    mw_heap_arena(&answer->arena, ARENA_BYTES);
}

void mw_answer_free(struct mw_answer *answer)
{
    mw_heap_buf_free(&answer->line);
    mw_heap_buf_free(&answer->kept);
    mw_heap_arena_free(&answer->arena);
}

static void take_line(struct mw_answer *answer, struct mw_str line);

bool mw_answer_feed(struct mw_answer *answer, struct mw_str bytes)
{
    /* The lines within the limit are read first, so that the verdict does not hang on how the stream was cut. */
    uint64_t room = answer->output_bytes < answer->rules.output_bytes_max
                        ? answer->rules.output_bytes_max - answer->output_bytes
                        : 0;
    answer->output_bytes += bytes.len;
    bytes = mw_str_sub(bytes, 0, room < bytes.len ? (size_t)room : bytes.len);
    while (bytes.len > 0 && !answer->faulty) {
        size_t newline = mw_str_find(bytes, '\n', 0);
        size_t len = newline != SIZE_MAX ? newline : bytes.len;
        if (answer->line.len + len > MW_ANSWER_LINE_BYTES_MAX) {
            mw_buf_put(&answer->line, mw_str_sub(bytes, 0, SAMPLE_BYTES));
            fault(answer, MW_ANSWER_LINE_TOO_LONG, "line %u is longer than %u bytes; it begins: %s",
                  answer->line_count + 1, MW_ANSWER_LINE_BYTES_MAX,
                  sample_of(mw_buf_str(&answer->line)).text);
            break;
        }
        mw_buf_put(&answer->line, mw_str_sub(bytes, 0, len));
        if (newline == SIZE_MAX)
            break;
        take_line(answer, mw_buf_str(&answer->line));
        mw_buf_reset(&answer->line);
        bytes = mw_str_sub(bytes, newline + 1, bytes.len);
    }
    if (!answer->faulty && answer->output_bytes > answer->rules.output_bytes_max)
        fault(answer, MW_ANSWER_TOO_MUCH, "more than %llu bytes of output",
              (unsigned long long)answer->rules.output_bytes_max);
    return !answer->faulty;
}

/* ---- what a line is ---- */

enum line_kind { LINE_PROGRESS, LINE_RESULT, LINE_FAILURE, LINE_NEITHER };

static enum line_kind kind_of(const struct mw_tape *tape)
{
    bool has_error = mw_node_get(tape, 0, "error") != MW_NODE_NONE;
    bool has_payload = mw_node_get(tape, 0, "payload") != MW_NODE_NONE;
    struct mw_str type = mw_node_get_text(tape, 0, "type");
    if (mw_str_is(type, "progress"))
        return LINE_PROGRESS;
    if (has_error)
        return has_payload ? LINE_NEITHER : LINE_FAILURE;
    if (has_payload)
        return LINE_RESULT;
    return mw_node_get(tape, 0, "progress") != MW_NODE_NONE ? LINE_PROGRESS : LINE_NEITHER;
}

static void check_result(struct mw_answer *answer, const struct mw_tape *tape)
{
    const struct mw_answer_rules *rules = &answer->rules;
    struct mw_str type = mw_node_get_text(tape, 0, "type");
    uint32_t rationale = mw_node_get(tape, 0, "rationale");
    uint32_t usage = mw_node_get(tape, 0, "usage");
    uint32_t line = answer->line_count;
    if (type.len == 0 || type.len > MW_ANSWER_TYPE_BYTES_MAX)
        fault(answer, MW_ANSWER_BAD_SHAPE,
              "line %u: the result has no type (text of 1 to %u bytes)", line,
              MW_ANSWER_TYPE_BYTES_MAX);
    else if (rules->is_reserved != NULL && rules->is_reserved(type))
        fault(answer, MW_ANSWER_RESERVED_TYPE, "line %u: '%s' is the control plane's own event",
              line, sample_of(type).text);
    else if (rules->is_well_formed != NULL && !rules->is_well_formed(type))
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: '%s' is no name of an event", line,
              sample_of(type).text);
    else if (mw_node_type(tape, mw_node_get(tape, 0, "payload")) != MW_NODE_OBJECT)
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: the result's payload is no object", line);
    else if (!mw_node_is_null(tape, rationale) && mw_node_type(tape, rationale) != MW_NODE_STRING)
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: the result's rationale is no text", line);
    else if (!mw_node_is_null(tape, usage) && mw_node_type(tape, usage) != MW_NODE_OBJECT)
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: the result's usage is no object", line);
}

/* Inside the error, or beside it: both are written in the wild. */
static uint32_t retryable_node(const struct mw_tape *tape)
{
    uint32_t inside = mw_node_get(tape, mw_node_get(tape, 0, "error"), "retryable");
    return inside != MW_NODE_NONE ? inside : mw_node_get(tape, 0, "retryable");
}

static void check_failure(struct mw_answer *answer, const struct mw_tape *tape)
{
    uint32_t error = mw_node_get(tape, 0, "error");
    uint32_t retryable = retryable_node(tape);
    struct mw_str word = mw_node_get_text(tape, error, "class");
    enum mw_answer_class error_class;
    uint32_t line = answer->line_count;
    if (!class_of(word, &error_class))
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: '%s' is no class of error", line,
              sample_of(word).text);
    else if (mw_node_type(tape, mw_node_get(tape, error, "message")) != MW_NODE_STRING)
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: the error has no message", line);
    else if (retryable != MW_NODE_NONE && mw_node_type(tape, retryable) != MW_NODE_TRUE &&
             mw_node_type(tape, retryable) != MW_NODE_FALSE)
        fault(answer, MW_ANSWER_BAD_SHAPE, "line %u: retryable is neither true nor false", line);
}

static void take_object(struct mw_answer *answer, const struct mw_tape *tape, struct mw_str line)
{
    uint32_t trace = mw_node_get(tape, 0, "traceId");
    enum line_kind kind = kind_of(tape);
    if (trace != MW_NODE_NONE && answer->rules.trace_id.len > 0 &&
        !mw_str_eq(mw_node_str(tape, trace), answer->rules.trace_id)) {
        fault(answer, MW_ANSWER_WRONG_TRACE, "line %u belongs to trace '%s'", answer->line_count,
              sample_of(mw_node_str(tape, trace)).text);
        return;
    }
    if (answer->answered && kind != LINE_NEITHER) {
        if (kind == LINE_PROGRESS)
            fault(answer, MW_ANSWER_NOT_LAST, "line %u: progress after the answer",
                  answer->line_count);
        else
            fault(answer, MW_ANSWER_TWO, "line %u: a second answer: %s", answer->line_count,
                  sample_of(line).text);
        return;
    }
    switch (kind) {
    case LINE_PROGRESS:
        answer->progress_count++;
        if (answer->rules.on_progress != NULL)
            answer->rules.on_progress(answer->rules.user, line);
        return;
    case LINE_RESULT:
        check_result(answer, tape);
        break;
    case LINE_FAILURE:
        check_failure(answer, tape);
        break;
    case LINE_NEITHER:
        fault(answer, MW_ANSWER_BAD_SHAPE,
              "line %u is neither progress nor a result (type, payload) nor a failure (error); it "
              "begins: %s",
              answer->line_count, sample_of(line).text);
        break;
    }
    if (answer->faulty)
        return;
    answer->answered = true;
    answer->is_failure = kind == LINE_FAILURE;
    mw_buf_put(&answer->kept, line);
}

static void take_line(struct mw_answer *answer, struct mw_str line)
{
    size_t bad_at;
    struct mw_tape tape;
    struct mw_err err;
    answer->line_count++;
    line = mw_str_trim(line);
    if (line.len == 0)
        return;
    if (!mw_utf8_valid(line, &bad_at)) {
        fault(answer, MW_ANSWER_BAD_UTF8, "line %u, byte %zu is not UTF-8; the line begins: %s",
              answer->line_count, bad_at + 1, sample_of(line).text);
        return;
    }
    mw_arena_reset(&answer->arena);
    if (mw_json_parse(&answer->arena, line, &tape, &err) != MW_OK) {
        fault(answer, MW_ANSWER_GARBAGE, "line %u is no JSON object (%.200s); it begins: %s",
              answer->line_count, err.text, sample_of(line).text);
        return;
    }
    if (mw_node_type(&tape, 0) != MW_NODE_OBJECT) {
        fault(answer, MW_ANSWER_GARBAGE, "line %u is JSON but no object; it begins: %s",
              answer->line_count, sample_of(line).text);
        return;
    }
    take_object(answer, &tape, line);
}

/* ---- the verdict ---- */

static void judge_end(struct mw_answer *answer, const struct mw_exec_report *report)
{
    bool clean = report->exited && report->exit_code == 0;
    const char *how = report->exited ? "exit" : "signal";
    int number = report->exited ? report->exit_code : report->signal;
    if (!answer->answered && clean)
        fault(answer, MW_ANSWER_SILENT_SUCCESS, "exit 0 without an answer (%u progress records)",
              answer->progress_count);
    else if (!answer->answered)
        fault(answer, MW_ANSWER_NONE, "%s %d without an answer", how, number);
    else if (!answer->is_failure && !clean)
        fault(answer, MW_ANSWER_RESULT_BUT_EXIT, "a result, but then %s %d", how, number);
}

/* What happened to the process outranks what it said: a program that was ended says many things. */
static void judge_process(struct mw_answer *answer, const struct mw_exec_report *report)
{
    if (report->error != MW_EXEC_NO_ERROR && report->error != MW_EXEC_NO_REPORT) {
        answer->faulty = false;
        fault(answer, MW_ANSWER_NOT_STARTED, "%s", report->error_text);
    } else if (report->error == MW_EXEC_NO_REPORT) {
        answer->faulty = false;
        fault(answer, MW_ANSWER_KILLED, "%s", report->error_text);
    } else if (report->killed != MW_EXEC_NOT_KILLED && !answer->faulty) {
        fault(answer, MW_ANSWER_KILLED, "ended by the control plane (%s)%s",
              mw_exec_killed_name(report->killed), answer->answered ? "; it had answered" : "");
    }
}

static enum mw_answer_class class_of_fault(const struct mw_answer *answer,
                                           const struct mw_exec_report *report)
{
    if (answer->fault == MW_ANSWER_KILLED && report->killed != MW_EXEC_DEADLINE &&
        report->killed != MW_EXEC_IDLE)
        return MW_ANSWER_INTERNAL;
    if (answer->fault == MW_ANSWER_NOT_STARTED && report->error != MW_EXEC_PROGRAM_MISSING &&
        report->error != MW_EXEC_PROGRAM_DENIED)
        return MW_ANSWER_INTERNAL;
    return verdicts[answer->fault].error_class;
}

/* The kept line was checked when it came. */
static void read_kept(struct mw_answer *answer, struct mw_answer_outcome *outcome)
{
    struct mw_tape tape;
    mw_arena_reset(&answer->arena);
    if (mw_json_parse(&answer->arena, mw_buf_str(&answer->kept), &tape, NULL) != MW_OK)
        MW_UNREACHABLE("the same bytes were read before");
    if (answer->is_failure) {
        uint32_t error = mw_node_get(&tape, 0, "error");
        outcome->verdict = MW_ANSWER_FAILURE;
        (void)class_of(mw_node_get_text(&tape, error, "class"),
                       &outcome->error_class); /* checked */
        outcome->message = mw_node_get_text(&tape, error, "message");
        outcome->retryable =
            mw_node_bool(&tape, retryable_node(&tape), classes[outcome->error_class].retryable);
        return;
    }
    uint32_t usage = mw_node_get(&tape, 0, "usage");
    outcome->verdict = MW_ANSWER_RESULT;
    outcome->type = mw_node_get_text(&tape, 0, "type");
    outcome->rationale = mw_node_get_text(&tape, 0, "rationale");
    outcome->payload = tape.nodes[mw_node_get(&tape, 0, "payload")].text;
    if (!mw_node_is_null(&tape, usage))
        outcome->usage = tape.nodes[usage].text;
}

void mw_answer_finish(struct mw_answer *answer, const struct mw_exec_report *report,
                      struct mw_answer_outcome *ret_outcome)
{
    if (!answer->faulty && answer->line.len > 0) {
        take_line(answer,
                  mw_buf_str(&answer->line)); /* a last line without its newline is a line */
        mw_buf_reset(&answer->line);
    }
    judge_process(answer, report);
    if (!answer->faulty)
        judge_end(answer, report);

    struct mw_answer_outcome outcome = {.verdict = answer->fault};
    if (answer->faulty) {
        outcome.error_class = class_of_fault(answer, report);
        outcome.retryable =
            verdicts[answer->fault].retryable && report->killed != MW_EXEC_PROCESSES;
        memcpy(outcome.evidence, answer->evidence, sizeof(outcome.evidence));
    } else {
        read_kept(answer, &outcome);
        (void)snprintf(outcome.evidence, sizeof(outcome.evidence), "line %u of %u bytes of output",
                       answer->line_count, (unsigned)answer->output_bytes);
    }
    *ret_outcome = outcome;
}
