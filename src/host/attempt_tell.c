#include "host/attempt.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES 4096u
#define TAIL_LINES 20u
#define LOOKED_AT_BYTES 65536u /* for the tail and the secrets that may begin before it */

bool mw_attempt_log(const struct mw_run_attempt *attempt, size_t bytes_max, struct mw_buf *text,
                    uint64_t *ret_left_out)
{
    mw_autofree char *path = mw_attempt_path(attempt, "stderr.log");
    struct stat info;
    mw_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    off_t at = info.st_size > (off_t)bytes_max ? info.st_size - (off_t)bytes_max : 0;
    if (ret_left_out != NULL)
        *ret_left_out = (uint64_t)at;
    char part[16384];
    ssize_t count = 0;
    while (text->len < bytes_max && (count = pread(fd, part, sizeof(part), at)) > 0) {
        mw_buf_put(text, (struct mw_str){part, (size_t)count});
        at += count;
    }
    return count >= 0;
}

bool mw_attempt_mask(const struct mw_run_attempt *attempt, struct mw_buf *text)
{
    struct mw_buf quoted = mw_heap_buf(), masked = mw_heap_buf();
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_json json;
    mw_json_init(&json, &quoted);
    mw_json_str(&json, mw_buf_str(text));
    bool found = mw_mask_text(attempt->host->mask, mw_buf_str(&quoted), &masked);
    mw_heap_arena(&arena, masked.len * 40 + 65536);
    if (found) {
        mw_buf_reset(text);
        if (mw_json_parse(&arena, mw_buf_str(&masked), &tape, NULL) == MW_OK)
            mw_buf_put(text, mw_node_str(&tape, 0));
    }
    mw_heap_arena_free(&arena);
    mw_heap_buf_free(&quoted);
    mw_heap_buf_free(&masked);
    return found;
}

static bool is_shown(char c)
{
    return (c & 0x80) == 0 && (c >= 0x20 || c == '\n' || c == '\t');
}

/* Of a character as JSON writes it. */
static size_t written_bytes(char c)
{
    return is_shown(c) && (c < 0x20 || c == '"' || c == '\\') ? 2 : 1;
}

/* The last lines of what it wrote to standard error: bytes that are not UTF-8 become '?'. */
static void write_tail(struct mw_run_attempt *attempt, struct mw_json *json)
{
    struct mw_buf text = mw_heap_buf();
    (void)mw_attempt_log(attempt, LOOKED_AT_BYTES, &text, NULL);
    /* Before anything is cut or replaced: half a secret is not found any more. */
    (void)mw_attempt_mask(attempt, &text);
    size_t from = text.len;
    size_t bytes = 0;
    uint32_t lines = 0;
    while (from > 0 && bytes < TAIL_BYTES && lines <= TAIL_LINES) {
        from--;
        bytes += written_bytes(text.ptr[from]);
        if (text.ptr[from] == '\n' && from + 1 < text.len)
            lines++;
    }
    for (size_t i = from; i < text.len; i++)
        if (!is_shown(text.ptr[i]))
            text.ptr[i] = '?';
    mw_json_kstr(json, "stderr", mw_str_trim(mw_str_sub(mw_buf_str(&text), from, text.len)));
    mw_heap_buf_free(&text);
}

static void write_evidence(struct mw_run_attempt *attempt, struct mw_json *json)
{
    mw_json_kobject(json, "evidence");
    if (attempt->started) {
        mw_json_kstr(json, "verdict", mw_str_of(mw_answer_verdict_name(attempt->outcome.verdict)));
        if (attempt->report.exited)
            mw_json_ki64(json, "exit", attempt->report.exit_code);
        if (attempt->report.signal != 0)
            mw_json_ki64(json, "signal", attempt->report.signal);
        if (attempt->report.orphans_killed > 0)
            mw_json_ku64(json, "orphansKilled", attempt->report.orphans_killed);
        if (attempt->report.sandbox.len > 0)
            mw_json_kraw(json, "sandbox", attempt->report.sandbox);
    }
    if (attempt->violations.len > 0)
        mw_json_kraw(json, "violations", mw_buf_str(&attempt->violations));
    if (attempt->violations_left_out > 0)
        mw_json_ku64(json, "violationsLeftOut", attempt->violations_left_out);
    mw_json_kstr(json, "folder",
                 mw_arena_format(&attempt->arena, ".millwright/work/%.*s.%lu",
                                 MW_STR_ARG(attempt->task_id), (unsigned long)attempt->attempt));
    write_tail(attempt, json);
    mw_json_object_end(json);
}

/* The agent's own word, whole: what went wrong here says nothing of what it did. */
static bool has_said_so(const struct mw_run_attempt *attempt)
{
    return attempt->rc == MW_OK && attempt->started && !attempt->agent.answers_by_diff &&
           attempt->outcome.verdict == MW_ANSWER_FAILURE;
}

/* Its program was certainly not run; where that cannot be told, it may have been. */
static bool has_not_begun(const struct mw_run_attempt *attempt)
{
    return !attempt->tried || (attempt->started && attempt->report.error != MW_EXEC_NO_ERROR &&
                               attempt->report.error != MW_EXEC_NO_REPORT);
}

static void tell_failure(struct mw_run_attempt *attempt, const char *error_class, bool retryable,
                         const char *message)
{
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    if (mw_host_is_elsewhere(attempt->host))
        return; /* its folder may have gone elsewhere: the next host asks again */
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "class", mw_str_of(error_class));
    mw_json_kstr(&json, "message", mw_str_of(message));
    mw_json_kbool(&json, "retryable", retryable);
    if (has_said_so(attempt))
        mw_json_kbool(&json, "said", true);
    if (has_not_begun(attempt))
        mw_json_kbool(&json, "notBegun", true);
    mw_json_kstr(&json, "inputSha256", mw_str_of(attempt->input_sha256));
    write_evidence(attempt, &json);
    mw_json_object_end(&json);
    mw_host_tell(attempt->host, MW_REQ_RECORD_FAILURE, attempt->item, attempt->ask->seq,
                 mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

static void tell_result(struct mw_run_attempt *attempt)
{
    struct mw_buf body = mw_heap_buf();
    struct mw_json json;
    bool by_diff = attempt->agent.answers_by_diff;
    mw_json_init(&json, &body);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", by_diff ? attempt->expects : attempt->outcome.type);
    mw_json_kraw(&json, "payload",
                 by_diff ? MW_STR("{\"answer\":\"diff\"}") : attempt->outcome.payload);
    if (attempt->outcome.usage.len > 0)
        mw_json_kraw(&json, "usage", attempt->outcome.usage);
    if (attempt->outcome.rationale.len > 0)
        mw_json_kstr(&json, "rationale", attempt->outcome.rationale);
    mw_json_kstr(&json, "inputSha256", mw_str_of(attempt->input_sha256));
    if (attempt->files_sha256[0] != '\0')
        mw_json_kstr(&json, "filesSha256", mw_str_of(attempt->files_sha256));
    if (attempt->payload_sha256[0] != '\0')
        mw_json_kstr(&json, "payloadSha256", mw_str_of(attempt->payload_sha256));
    mw_json_object_end(&json);
    mw_host_tell(attempt->host, MW_REQ_RECORD_RESULT, attempt->item, attempt->ask->seq,
                 mw_buf_str(&body));
    mw_heap_buf_free(&body);
}

/* What we observed decides; what the agent claims is data (P20). */
void mw_attempt_tell(struct mw_run_attempt *attempt)
{
    bool by_diff = attempt->agent.answers_by_diff;
    if (attempt->rc != MW_OK) {
        tell_failure(attempt,
                     attempt->rc == MW_E_DENIED || attempt->rc == MW_E_LIMIT ? "invalid_answer"
                                                                             : "internal",
                     attempt->rc != MW_E_CONFIG, attempt->err.text);
        return;
    }
    if (by_diff && !(attempt->report.exited && attempt->report.exit_code == 0 &&
                     attempt->report.killed == MW_EXEC_NOT_KILLED)) {
        tell_failure(attempt, "tool", true,
                     attempt->report.error != MW_EXEC_NO_ERROR
                         ? attempt->report.error_text
                         : "the program did not end with success");
        return;
    }
    if (!by_diff && attempt->outcome.verdict != MW_ANSWER_RESULT) {
        mw_autofree char *message = attempt->outcome.message.len > 0
                                        ? mw_heap_copy(attempt->outcome.message)
                                        : mw_heap_format("%s", attempt->outcome.evidence);
        tell_failure(attempt, mw_answer_class_name(attempt->outcome.error_class),
                     attempt->outcome.retryable, message);
        return;
    }
    if (attempt->violations.len > 0) {
        tell_failure(attempt, "invalid_answer", true,
                     "the agent changed files that are not its own: the change is refused");
        return;
    }
    if ((attempt->writes_files || by_diff) && attempt->changed_count == 0) {
        tell_failure(attempt, "invalid_answer", true,
                     "the agent claims success but changed nothing in its folder");
        return;
    }
    tell_result(attempt);
}

/* FH-16: an answer of an attempt that is over. Core keeps it as evidence, under the ask that it was for; it changes nothing. */
void mw_attempt_tell_late(struct mw_run_attempt *attempt)
{
    if (attempt->outcome.verdict != MW_ANSWER_RESULT || attempt->host->draining ||
        mw_world_item(&attempt->host->core.world, attempt->item) == NULL)
        return; /* it said nothing, or its trace is over too */
    tell_result(attempt);
}
