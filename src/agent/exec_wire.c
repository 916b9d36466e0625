#include "agent/exec_wire.h"

#include <string.h>

static const char *const killed_names[MW_EXEC_KILLED_COUNT] = {
    [MW_EXEC_DEADLINE] = "deadline",
    [MW_EXEC_IDLE] = "idle",
    [MW_EXEC_ASKED] = "asked",
    [MW_EXEC_HOST_GONE] = "host_gone",
    [MW_EXEC_OUTPUT_CLOSED] = "output_closed",
    [MW_EXEC_PROCESSES] = "processes",
};

static const char *const error_names[MW_EXEC_ERROR_COUNT] = {
    [MW_EXEC_PROGRAM_MISSING] = "program_missing",
    [MW_EXEC_PROGRAM_DENIED] = "program_denied",
    [MW_EXEC_SANDBOX_FAILED] = "sandbox_failed",
    [MW_EXEC_SETUP_FAILED] = "setup_failed",
    [MW_EXEC_NO_REPORT] = "no_report",
};

const char *mw_exec_killed_name(enum mw_exec_killed killed)
{
    MW_ASSERT((unsigned)killed < MW_EXEC_KILLED_COUNT);
    return killed_names[killed];
}

/* 0 (the nameless row) when the word is none of the table's. */
static int index_of(struct mw_str word, const char *const *names, int count)
{
    for (int i = 1; i < count; i++)
        if (mw_str_is(word, names[i]))
            return i;
    return 0;
}

static enum mw_rc write_list(struct mw_json *json, const char *key, const char *const *list,
                             struct mw_err *err)
{
    mw_json_karray(json, key);
    for (size_t i = 0; list[i] != NULL; i++) {
        struct mw_str item = mw_str_of(list[i]);
        if (i >= MW_EXEC_ARGS_MAX)
            return MW_FAIL(err, MW_E_LIMIT, "%s of the child: more than %u", key, MW_EXEC_ARGS_MAX);
        if (!mw_utf8_valid(item, NULL))
            return MW_FAIL(err, MW_E_USAGE, "%s of the child: item %zu is not UTF-8", key, i);
        mw_json_str(json, item);
    }
    mw_json_array_end(json);
    return MW_OK;
}

enum mw_rc mw_exec_spec_write(const struct mw_exec_spec *spec, const char *home, struct mw_buf *buf,
                              struct mw_err *err)
{
    if (spec->argv[0] == NULL || spec->argv[0][0] == '\0')
        return MW_FAIL(err, MW_E_USAGE, "no program given");
    if (spec->cwd[0] != '/' || !mw_utf8_valid(mw_str_of(spec->cwd), NULL))
        return MW_FAIL(err, MW_E_USAGE, "the child's folder '%s' is not an absolute UTF-8 path",
                       spec->cwd);
    struct mw_json json;
    mw_json_init(&json, buf);
    mw_json_object(&json);
    enum mw_rc rc = write_list(&json, "argv", spec->argv, err);
    if (rc == MW_OK)
        rc = write_list(&json, "env", spec->env, err);
    if (rc != MW_OK)
        return rc;
    mw_json_kstr(&json, "cwd", mw_str_of(spec->cwd));
    struct mw_str home_text = mw_str_of(home);
    mw_json_kstr(&json, "home", mw_utf8_valid(home_text, NULL) ? home_text : MW_STR_NONE);
    mw_json_ku64(&json, "grace_ms", spec->grace_ms > 0 ? spec->grace_ms : MW_EXEC_GRACE_DEFAULT_MS);
    mw_json_ku64(&json, "hard_max_ms",
                 spec->hard_max_ms > 0 ? spec->hard_max_ms : MW_EXEC_HARD_MAX_MS);
    mw_json_key(&json, MW_STR("sandbox"));
    mw_sandbox_write(&json, &spec->sandbox);
    mw_json_object_end(&json);
    if (buf->len > MW_EXEC_SPEC_BYTES_MAX)
        return MW_FAIL(err, MW_E_LIMIT,
                       "arguments and environment of the child: more than %u bytes",
                       MW_EXEC_SPEC_BYTES_MAX);
    size_t bad_at;
    if (!mw_utf8_valid(mw_buf_str(buf), &bad_at))
        return MW_FAIL(err, MW_E_USAGE, "a path of the child's sandbox is not UTF-8");
    return MW_OK;
}

static char **read_list(struct mw_arena *arena, const struct mw_tape *tape, const char *key)
{
    uint32_t node = mw_node_get(tape, 0, key);
    uint32_t count = mw_node_count(tape, node);
    char **list = mw_arena_array(arena, char *, (size_t)count + 1);
    for (uint32_t i = 0; list != NULL && i < count; i++)
        list[i] =
            (char *)(uintptr_t)mw_arena_copy(arena, mw_node_str(tape, mw_node_at(tape, node, i)))
                .ptr;
    return list;
}

enum mw_rc mw_exec_order_read(struct mw_arena *arena, struct mw_str text,
                              struct mw_exec_order *ret_order, struct mw_err *err)
{
    struct mw_tape tape;
    enum mw_rc rc = mw_json_parse(arena, text, &tape, err);
    if (rc != MW_OK)
        return rc;
    struct mw_exec_order order = {
        .argv = read_list(arena, &tape, "argv"),
        .env = read_list(arena, &tape, "env"),
        .cwd = mw_arena_copy(arena, mw_node_get_text(&tape, 0, "cwd")).ptr,
        .home = mw_arena_copy(arena, mw_node_get_text(&tape, 0, "home")).ptr,
        .grace_ms = (uint32_t)mw_node_int(&tape, mw_node_get(&tape, 0, "grace_ms"),
                                          MW_EXEC_GRACE_DEFAULT_MS),
        .hard_max_ms = (uint64_t)mw_node_int(&tape, mw_node_get(&tape, 0, "hard_max_ms"),
                                             MW_EXEC_HARD_MAX_MS)};
    rc = mw_sandbox_read(arena, &tape, mw_node_get(&tape, 0, "sandbox"), &order.sandbox, err);
    if (rc != MW_OK)
        return rc;
    if (arena->exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "the child's order is too large");
    if (order.argv[0] == NULL || order.cwd[0] != '/')
        return MW_FAIL(err, MW_E_INPUT, "the child's order names no program or no folder");
    *ret_order = order;
    return MW_OK;
}

bool mw_exec_control_read(struct mw_str line, enum mw_exec_killed *ret_why, uint32_t *ret_grace_ms)
{
    if (!mw_str_starts(line, MW_STR("term ")))
        return false;
    size_t blank = mw_str_find(line, ' ', 5);
    uint64_t grace_ms;
    if (blank == SIZE_MAX || !mw_str_to_u64(mw_str_sub(line, 5, blank - 5), &grace_ms) ||
        grace_ms > UINT32_MAX)
        return false;
    int why = index_of(mw_str_sub(line, blank + 1, line.len), killed_names, MW_EXEC_KILLED_COUNT);
    if (why == MW_EXEC_NOT_KILLED)
        return false;
    *ret_why = (enum mw_exec_killed)why;
    *ret_grace_ms = (uint32_t)grace_ms;
    return true;
}

void mw_exec_report_write(const struct mw_exec_report *report, struct mw_buf *buf)
{
    struct mw_json json;
    mw_json_init(&json, buf);
    mw_json_object(&json);
    mw_json_key(&json, MW_STR("exit"));
    if (report->exited)
        mw_json_i64(&json, report->exit_code);
    else
        mw_json_null(&json);
    mw_json_key(&json, MW_STR("signal"));
    if (report->signal != 0)
        mw_json_i64(&json, report->signal);
    else
        mw_json_null(&json);
    mw_json_key(&json, MW_STR("killed"));
    if (report->killed != MW_EXEC_NOT_KILLED)
        mw_json_str(&json, mw_str_of(killed_names[report->killed]));
    else
        mw_json_null(&json);
    if (report->error != MW_EXEC_NO_ERROR) {
        mw_json_kobject(&json, "error");
        mw_json_kstr(&json, "class", mw_str_of(error_names[report->error]));
        struct mw_str text = mw_str_of(report->error_text);
        size_t good = text.len;
        if (!mw_utf8_valid(text, &good))
            text.len = good; /* cut at its limit, or a strange name: the sound beginning is kept */
        mw_json_kstr(&json, "message", text);
        mw_json_object_end(&json);
    }
    mw_json_ku64(&json, "user_ms", report->user_ms);
    mw_json_ku64(&json, "system_ms", report->system_ms);
    mw_json_ku64(&json, "max_rss_kb", report->max_rss_kb);
    mw_json_ku64(&json, "orphans_killed", report->orphans_killed);
    mw_json_ku64(&json, "orphans_left", report->orphans_left);
    mw_json_kraw(&json, "sandbox", report->sandbox.len > 0 ? report->sandbox : MW_STR("null"));
    mw_json_object_end(&json);
    mw_buf_put_c(buf, '\n');
}

static void no_report(struct mw_exec_report *report, struct mw_str why)
{
    *report = (struct mw_exec_report){.error = MW_EXEC_NO_REPORT};
    size_t len = why.len < MW_EXEC_ERROR_MAX - 1 ? why.len : MW_EXEC_ERROR_MAX - 1;
    if (len > 0)
        memcpy(report->error_text, why.ptr, len);
}

static uint64_t number(const struct mw_tape *tape, const char *key)
{
    int64_t value = mw_node_int(tape, mw_node_get(tape, 0, key), 0);
    return value > 0 ? (uint64_t)value : 0;
}

void mw_exec_report_read(struct mw_arena *arena, struct mw_str line,
                         struct mw_exec_report *ret_report)
{
    struct mw_tape tape;
    struct mw_err err;
    if (line.len == 0) {
        no_report(ret_report, MW_STR("the child's supervisor ended without a report"));
        return;
    }
    if (mw_json_parse(arena, mw_str_trim(line), &tape, &err) != MW_OK ||
        mw_node_type(&tape, 0) != MW_NODE_OBJECT) {
        no_report(ret_report, MW_STR("the report of the child's supervisor cannot be read"));
        return;
    }
    struct mw_exec_report report = {0};
    uint32_t code = mw_node_get(&tape, 0, "exit");
    report.exited = !mw_node_is_null(&tape, code);
    report.exit_code = (int)mw_node_int(&tape, code, 0);
    report.signal = (int)mw_node_int(&tape, mw_node_get(&tape, 0, "signal"), 0);
    report.killed = (enum mw_exec_killed)index_of(mw_node_get_text(&tape, 0, "killed"),
                                                  killed_names, MW_EXEC_KILLED_COUNT);
    uint32_t error = mw_node_get(&tape, 0, "error");
    if (!mw_node_is_null(&tape, error)) {
        no_report(&report, mw_node_get_text(&tape, error, "message"));
        int which =
            index_of(mw_node_get_text(&tape, error, "class"), error_names, MW_EXEC_ERROR_COUNT);
        report.error = which > 0 ? (enum mw_exec_error)which : MW_EXEC_NO_REPORT;
    }
    report.user_ms = number(&tape, "user_ms");
    report.system_ms = number(&tape, "system_ms");
    report.max_rss_kb = number(&tape, "max_rss_kb");
    report.orphans_killed = (uint32_t)number(&tape, "orphans_killed");
    report.orphans_left = (uint32_t)number(&tape, "orphans_left");
    uint32_t sandbox = mw_node_get(&tape, 0, "sandbox");
    if (mw_node_type(&tape, sandbox) == MW_NODE_OBJECT)
        report.sandbox = tape.nodes[sandbox].text;
    *ret_report = report;
}
