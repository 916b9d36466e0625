#include "cli/watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

#define ROWS_MAX 60
#define LAST_LINES 20
#define LOG_BYTES_MAX (8u << 20)
#define TESTS_MAX 20

/* ---- the blueprint ---- */

static void put_value(struct mw_buf *out, const struct mw_tape *tape, uint32_t node)
{
    if (mw_node_type(tape, node) == MW_NODE_STRING) {
        mw_put_cut(out, mw_node_str(tape, node), 60);
        return;
    }
    struct mw_buf text = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_node(&json, tape, node);
    mw_put_cut(out, mw_buf_str(&text), 60);
    mw_heap_buf_free(&text);
}

/* "services/0/entities/0/fields/2" is a place; people know the name that stands there. */
static struct mw_str place_name(struct mw_arena *arena, const struct mw_tape *tape,
                                uint32_t blueprint, struct mw_str field)
{
    struct mw_buf name = mw_heap_buf();
    uint32_t node = blueprint;
    for (size_t at = 0; at < field.len;) {
        size_t end = mw_str_find(field, '/', at);
        struct mw_str part = mw_str_sub(field, at, (end == SIZE_MAX ? field.len : end) - at);
        uint64_t index = 0;
        at = end == SIZE_MAX ? field.len : end + 1;
        bool number = mw_str_to_u64(part, &index);
        if (number && mw_node_type(tape, node) == MW_NODE_ARRAY)
            node = mw_node_at(tape, node, (uint32_t)index);
        else
            node = mw_node_get_str(tape, node, part);
        struct mw_str own = number ? mw_node_get_text(tape, node, "name") : MW_STR_NONE;
        if (!number && at < field.len)
            continue; /* the name of a list says nothing that its member's name does not */
        mw_buf_put_z(&name, name.len > 0 ? "." : "");
        mw_buf_put(&name, own.len > 0 ? own : part);
    }
    struct mw_str copy = mw_arena_copy(arena, mw_buf_str(&name));
    mw_heap_buf_free(&name);
    return copy;
}

static void put_list(const struct mw_watch *watch, struct mw_buf *out, const struct mw_tape *tape,
                     uint32_t payload, const char *key, const char *title)
{
    uint32_t list = mw_node_get(tape, payload, key), rows = 0;
    uint32_t blueprint = mw_node_get(tape, payload, "blueprint");
    bool color = mw_color_wanted(STDERR_FILENO);
    if (mw_node_type(tape, list) != MW_NODE_ARRAY || mw_node_count(tape, list) == 0)
        return;
    mw_buf_printf(out, "%s%s%s\n", mw_color(color, MW_BOLD), title, mw_color(color, MW_PLAIN));
    for (uint32_t i = mw_node_first(tape, list); i != MW_NODE_NONE;
         i = mw_node_after(tape, list, i)) {
        if (rows++ == ROWS_MAX && !watch->cli->verbose) {
            mw_buf_printf(out, "  … and %u more: --verbose shows them\n",
                          mw_node_count(tape, list) - ROWS_MAX);
            return;
        }
        mw_buf_put_z(out, "  ");
        if (mw_node_type(tape, i) == MW_NODE_STRING) {
            mw_put_safe(out, mw_node_str(tape, i));
        } else {
            mw_put_safe(out, place_name(&watch->cli->arena, tape, blueprint,
                                        mw_node_get_text(tape, i, "field")));
            mw_buf_put_z(out, " = ");
            put_value(out, tape, mw_node_get(tape, i, "value"));
            mw_buf_put_z(out, mw_color(color, MW_DIM));
            mw_buf_put_z(out, "  (");
            mw_put_cut(out, mw_node_get_text(tape, i, "why"), 100);
            mw_buf_put_z(out, ")");
            mw_buf_put_z(out, mw_color(color, MW_PLAIN));
        }
        mw_buf_put_c(out, '\n');
    }
}

void mw_explain_blueprint(const struct mw_watch *watch, const struct mw_tape *tape,
                          uint32_t payload)
{
    struct mw_tape whole;
    struct mw_err err;
    /* A large payload is shortened in its record; the document itself is a view away. */
    if (mw_node_get(tape, payload, "blueprint") == MW_NODE_NONE) {
        mw_autofree char *trace = mw_heap_copy(watch->trail.trace_id);
        struct mw_cli_arg args[] = {{"trace", trace}, {"name", "blueprint"}};
        if (mw_link_view_tape(watch->cli, "document", args, 2, &whole, &err) != MW_OK)
            return; /* the plan and `show` have it */
        tape = &whole;
        payload = 0;
    }
    struct mw_buf out = mw_heap_buf();
    put_list(watch, &out, tape, payload, "understood", "understood");
    put_list(watch, &out, tape, payload, "assumed", "assumed");
    put_list(watch, &out, tape, payload, "notUnderstood", "not understood");
    /* Talk, not data: the outcome does not hang on it. */
    if (mw_write_all(STDERR_FILENO, mw_buf_str(&out), NULL) != MW_OK)
        mw_buf_reset(&out);
    mw_heap_buf_free(&out);
}

/* ---- a failure ---- */

static struct mw_str last_lines(struct mw_str text)
{
    size_t from = text.len, lines = 0;
    while (from > 0) {
        if (text.ptr[from - 1] == '\n' && from < text.len && ++lines == LAST_LINES)
            break;
        from--;
    }
    return mw_str_sub(text, from, text.len);
}

static void put_lines(struct mw_buf *out, struct mw_str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t end = mw_str_find(text, '\n', at);
        if (end == SIZE_MAX)
            end = text.len;
        mw_buf_put_z(out, "    ");
        mw_put_safe(out, mw_str_sub(text, at, end - at));
        mw_buf_put_c(out, '\n');
        at = end + 1;
    }
}

static void put_tests(struct mw_buf *out, const struct mw_tape *tape, uint32_t failures)
{
    uint32_t count = 0;
    if (mw_node_type(tape, failures) != MW_NODE_ARRAY || mw_node_count(tape, failures) == 0)
        return;
    mw_buf_put_z(out, "  failed tests:\n");
    for (uint32_t i = mw_node_first(tape, failures); i != MW_NODE_NONE && count < TESTS_MAX;
         i = mw_node_after(tape, failures, i), count++) {
        struct mw_str name = mw_node_type(tape, i) == MW_NODE_STRING
                                 ? mw_node_str(tape, i)
                                 : mw_node_get_text(tape, i, "test");
        if (name.len == 0)
            name = mw_node_get_text(tape, i, "name");
        mw_buf_put_z(out, "    ");
        mw_put_safe(out, name);
        struct mw_str expected = mw_node_get_text(tape, i, "expected");
        struct mw_str actual = mw_node_get_text(tape, i, "actual");
        if (actual.len > 0) {
            mw_buf_put_z(out, ": expected ");
            mw_put_cut(out, expected, 100);
            mw_buf_put_z(out, ", got ");
            mw_put_cut(out, actual, 200);
        }
        mw_buf_put_c(out, '\n');
    }
}

/* The kept folder of the attempt; empty when it is gone. */
static struct mw_str kept_folder(const struct mw_watch *watch, const struct mw_trail_task *task)
{
    struct mw_arena *arena = &watch->cli->arena;
    for (uint64_t attempt = task->attempt; attempt > 0; attempt--) {
        struct mw_str path =
            mw_arena_format(arena, "%s/.millwright/work/%.*s.%lu", watch->cli->workspace,
                            MW_STR_ARG(task->id), (unsigned long)attempt);
        if (mw_exists(AT_FDCWD, path.ptr))
            return path;
    }
    struct mw_str path = mw_arena_format(arena, "%s/.millwright/work/%.*s", watch->cli->workspace,
                                         MW_STR_ARG(task->id));
    return mw_exists(AT_FDCWD, path.ptr) ? path : MW_STR_NONE;
}

/* What the agent said last, out of the folder that was kept. */
static void put_output(const struct mw_watch *watch, struct mw_buf *out, struct mw_str folder)
{
    struct mw_buf log = mw_heap_buf();
    struct mw_str path = mw_arena_format(&watch->cli->arena, "%.*s/stderr.log", MW_STR_ARG(folder));
    if (mw_file_read_regular(AT_FDCWD, path.ptr, LOG_BYTES_MAX, &log, NULL) == MW_OK &&
        log.len > 0) {
        mw_buf_put_z(out, "  last lines:\n");
        put_lines(out, last_lines(mw_buf_str(&log)));
    }
    mw_heap_buf_free(&log);
}

bool mw_explain_failed_tests(const struct mw_watch *watch, struct mw_json *json)
{
    struct mw_tape view = {0};
    struct mw_err err;
    mw_autofree char *trace = mw_heap_copy(watch->trail.trace_id);
    struct mw_cli_arg args[] = {{"trace", trace}};
    if (mw_link_view_tape(watch->cli, "failure", args, 1, &view, &err) != MW_OK)
        return false;
    uint32_t failures = mw_node_get(&view, 0, "failures");
    if (mw_node_type(&view, failures) != MW_NODE_ARRAY || mw_node_count(&view, failures) == 0)
        return false;
    mw_json_knode(json, "tests", &view, failures);
    return true;
}

void mw_explain_failure(const struct mw_watch *watch)
{
    const struct mw_trail *trail = &watch->trail;
    const struct mw_trail_task *task =
        trail->last_failed >= 0 ? &trail->tasks[trail->last_failed] : NULL;
    struct mw_buf out = mw_heap_buf();
    struct mw_tape view = {0};
    struct mw_err err;
    mw_autofree char *trace = mw_heap_copy(trail->trace_id);
    struct mw_cli_arg args[] = {{"trace", trace}};
    bool has_view = mw_link_view_tape(watch->cli, "failure", args, 1, &view, &err) == MW_OK;
    struct mw_str folder = task != NULL ? kept_folder(watch, task) : MW_STR_NONE;
    mw_buf_put_z(&out, trail->state == MW_TRAIL_LIMIT ? "stopped at a limit: " : "failed: ");
    mw_put_safe(&out, trail->reason.len > 0 ? trail->reason : MW_STR("no reason was given"));
    mw_buf_put_c(&out, '\n');
    if (task != NULL) {
        mw_buf_printf(&out, "  task:   %.*s %.*s", MW_STR_ARG(task->id), MW_STR_ARG(task->type));
        if (task->agent.len > 0)
            mw_buf_printf(&out, " by %.*s, attempt %lu", MW_STR_ARG(task->agent),
                          (unsigned long)task->attempt);
        mw_buf_put_z(&out, "\n  cause:  ");
        if (task->error_class.len > 0)
            mw_put_safe(&out, task->error_class);
        mw_buf_put_z(&out, task->error_class.len > 0 ? ": " : "");
        mw_put_safe(&out, task->reason);
        mw_buf_put_c(&out, '\n');
    }
    if (has_view)
        put_tests(&out, &view, mw_node_get(&view, 0, "failures"));
    if (folder.len > 0) {
        put_output(watch, &out, folder);
        mw_buf_printf(&out, "  kept:   %.*s\n", MW_STR_ARG(folder));
    }
    if (task != NULL)
        mw_buf_printf(&out,
                      "next: millwright logs %.*s · millwright trace show %.*s · then gen again\n",
                      MW_STR_ARG(task->id), MW_STR_ARG(trail->trace_id));
    else
        mw_buf_printf(&out, "next: millwright trace show %.*s\n", MW_STR_ARG(trail->trace_id));
    (void)mw_cli_put(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
}
