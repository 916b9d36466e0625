#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

#define TYPE_COLUMNS 26
#define NAME_COLUMNS 42 /* the type and what it is for, in one column */
#define AGENT_COLUMNS 22
#define LINE_BYTES 1024
#define HEAD_LINES 1

static const char *const spinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};

struct tree {
    struct mw_buf *out;
    const struct mw_trail *trail;
    int64_t now_us;
    bool color;
    unsigned frame, width, lines;
    bool brief; /* only what runs, waits or failed; the rest is counted */
};

void mw_progress_init(struct mw_progress *progress)
{
    const char *term = getenv("TERM");
    *progress = (struct mw_progress){.out = mw_heap_buf()};
    progress->live = isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
    progress->color = mw_color_wanted(STDERR_FILENO);
}

void mw_progress_free(struct mw_progress *progress)
{
    mw_heap_buf_free(&progress->out);
}

static void flush(struct mw_progress *progress)
{
    /* Progress that cannot be shown stops nothing. */
    if (mw_write_all(STDERR_FILENO, mw_buf_str(&progress->out), NULL) != MW_OK)
        progress->live = false;
    mw_buf_reset(&progress->out);
}

/* ---- the tree ---- */

static const char *mark(const struct tree *tree, enum mw_trail_task_state state)
{
    switch (state) {
    case MW_TRAIL_TASK_DONE:
        return "✓";
    case MW_TRAIL_TASK_FAILED:
        return "✗";
    case MW_TRAIL_TASK_CANCELLED:
        return "-";
    case MW_TRAIL_TASK_PERSON:
        return "?";
    case MW_TRAIL_TASK_RETRYING:
        return "↻";
    case MW_TRAIL_TASK_READY:
        return "·";
    case MW_TRAIL_TASK_RUNNING:
        break;
    }
    return spinner[tree->frame % MW_COUNT(spinner)];
}

static enum mw_color color_of(enum mw_trail_task_state state)
{
    switch (state) {
    case MW_TRAIL_TASK_DONE:
        return MW_GREEN;
    case MW_TRAIL_TASK_FAILED:
        return MW_RED;
    case MW_TRAIL_TASK_PERSON:
    case MW_TRAIL_TASK_RETRYING:
        return MW_YELLOW;
    case MW_TRAIL_TASK_CANCELLED:
    case MW_TRAIL_TASK_READY:
        return MW_DIM;
    case MW_TRAIL_TASK_RUNNING:
        break;
    }
    return MW_CYAN;
}

/* One line: a mark in its colour, then text cut to the width. */
static void put_line(struct tree *tree, unsigned depth, enum mw_trail_task_state state,
                     const struct mw_buf *text)
{
    size_t used = (size_t)depth * 2 + 2;
    for (unsigned i = 0; i < depth; i++)
        mw_buf_put_z(tree->out, "  ");
    mw_buf_put_z(tree->out, mw_color(tree->color, color_of(state)));
    mw_buf_put_z(tree->out, mark(tree, state));
    mw_buf_put_z(tree->out, mw_color(tree->color, MW_PLAIN));
    mw_buf_put_c(tree->out, ' ');
    /* One column stays free: a full line would wrap on some terminals. */
    mw_put_cut(tree->out, mw_buf_str(text), tree->width > used + 1 ? tree->width - used - 1 : 1);
    mw_buf_put_c(tree->out, '\n');
    tree->lines++;
}

static void pad(struct mw_buf *text, size_t from, size_t columns)
{
    struct mw_str written = {text->ptr + from, text->len - from};
    for (size_t i = mw_text_columns(written); i < columns; i++)
        mw_buf_put_c(text, ' ');
}

static void put_task(struct tree *tree, unsigned depth, const struct mw_trail_task *task)
{
    char memory[LINE_BYTES];
    struct mw_buf text;
    mw_buf_init(&text, memory, sizeof(memory));
    mw_put_cut(&text, task->type, TYPE_COLUMNS);
    if (task->subject.len > 0 && !mw_str_eq(task->subject, task->type)) {
        mw_buf_put_c(&text, ' ');
        mw_put_cut(&text, task->subject,
                   NAME_COLUMNS - mw_text_columns((struct mw_str){text.ptr, text.len}));
    }
    pad(&text, 0, NAME_COLUMNS);
    mw_buf_put_c(&text, ' ');
    size_t from = text.len;
    mw_put_cut(&text, task->agent, AGENT_COLUMNS);
    pad(&text, from, AGENT_COLUMNS);
    mw_buf_put_c(&text, ' ');
    int64_t end = task->ended_us > task->started_us ? task->ended_us : tree->now_us;
    if (task->started_us > 0 && end > task->started_us)
        mw_put_ms(&text, (uint64_t)(end - task->started_us) / 1000);
    if (task->attempt > 1)
        mw_buf_printf(&text, "  attempt %lu", (unsigned long)task->attempt);
    if (task->state == MW_TRAIL_TASK_PERSON)
        mw_buf_put_z(&text, "  waits for a person");
    put_line(tree, depth, task->state, &text);
}

static bool belongs(const struct mw_trail *trail, const struct mw_trail_task *task, uint32_t scope)
{
    uint32_t home = 0;
    bool found = false;
    for (uint32_t i = 0; i < trail->scope_count && !found; i++)
        if (trail->scopes[i].seq == task->scope) {
            home = i;
            found = true;
        }
    /* A task of a run is shown under the phase that was open when it began: the last one before it. */
    for (uint32_t i = 0; i < trail->scope_count && !found; i++)
        if (!trail->scopes[i].is_service && trail->scopes[i].seq <= task->scope)
            home = i;
    return home == scope;
}

static void put_tasks(struct tree *tree, uint32_t scope, unsigned depth)
{
    unsigned counts[2] = {0};
    for (uint32_t i = 0; i < tree->trail->task_count; i++) {
        const struct mw_trail_task *task = &tree->trail->tasks[i];
        if (!belongs(tree->trail, task, scope))
            continue;
        if (tree->brief && task->state == MW_TRAIL_TASK_DONE)
            counts[0]++;
        else if (tree->brief && task->state == MW_TRAIL_TASK_READY)
            counts[1]++;
        else
            put_task(tree, depth, task);
    }
    char memory[LINE_BYTES];
    struct mw_buf text;
    for (unsigned i = 0; i < 2; i++)
        if (counts[i] > 0) {
            mw_buf_init(&text, memory, sizeof(memory));
            mw_buf_printf(&text, i == 0 ? "%u done" : "%u waiting for an agent", counts[i]);
            put_line(tree, depth, i == 0 ? MW_TRAIL_TASK_DONE : MW_TRAIL_TASK_READY, &text);
        }
}

static void put_scope(struct tree *tree, uint32_t index)
{
    const struct mw_trail_scope *scope = &tree->trail->scopes[index];
    char memory[LINE_BYTES];
    struct mw_buf text;
    enum mw_trail_task_state state = scope->failed  ? MW_TRAIL_TASK_FAILED
                                     : scope->ended ? MW_TRAIL_TASK_DONE
                                                    : MW_TRAIL_TASK_RUNNING;
    mw_buf_init(&text, memory, sizeof(memory));
    mw_put_safe(&text, scope->name);
    if (scope->state.len > 0 && !scope->ended) {
        mw_buf_put_z(&text, "  ");
        mw_put_safe(&text, scope->state);
    }
    put_line(tree, scope->is_service ? 1 : 0, state, &text);
    if (!tree->brief || !scope->ended || scope->failed)
        put_tasks(tree, index, scope->is_service ? 2 : 1);
}

static void put_tree(struct tree *tree)
{
    char memory[LINE_BYTES];
    struct mw_buf text;
    for (uint32_t i = 0; i < tree->trail->scope_count; i++)
        put_scope(tree, i);
    if (tree->trail->state != MW_TRAIL_OPEN)
        return; /* the sums are the last line of all, under what came of it */
    mw_buf_init(&text, memory, sizeof(memory));
    struct mw_trail now = *tree->trail;
    if (tree->now_us > now.last_us)
        now.last_us = tree->now_us; /* the clock goes on between records */
    mw_trail_sum(&now, &text);
    mw_put_cut(tree->out, mw_buf_str(&text), tree->width > 1 ? tree->width - 1 : 1);
    mw_buf_put_c(tree->out, '\n');
    tree->lines += HEAD_LINES;
}

/* Keeps the last rows of what was written from `from` on. */
static unsigned keep_last(struct mw_buf *out, size_t from, unsigned lines, unsigned rows)
{
    size_t at = from;
    for (; lines > rows; lines--)
        at = mw_str_find(mw_buf_str(out), '\n', at) + 1;
    memmove(out->ptr + from, out->ptr + at, out->len - at);
    out->len -= at - from;
    return lines;
}

void mw_progress_tree(struct mw_buf *out, const struct mw_trail *trail, int64_t now_us, bool color,
                      unsigned frame, unsigned width, unsigned rows, unsigned *ret_lines)
{
    size_t from = out->len;
    struct tree tree = {out, trail, now_us, color, frame, width, 0, false};
    put_tree(&tree);
    if (tree.lines > rows) {
        out->len = from;
        tree.lines = 0;
        tree.brief = true;
        put_tree(&tree);
    }
    *ret_lines = tree.lines > rows ? keep_last(out, from, tree.lines, rows) : tree.lines;
}

static unsigned terminal_rows(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2)
        return size.ws_row - 1u;
    return 23;
}

void mw_progress_clear(struct mw_progress *progress)
{
    if (progress->drawn == 0)
        return;
    mw_buf_printf(&progress->out, "\033[%uA\r\033[J", progress->drawn);
    progress->drawn = 0;
    flush(progress);
}

void mw_progress_draw(struct mw_progress *progress, const struct mw_trail *trail, int64_t now_us)
{
    unsigned lines = 0;
    if (!progress->live)
        return;
    if (progress->drawn > 0)
        mw_buf_printf(&progress->out, "\033[%uA\r\033[J", progress->drawn);
    mw_progress_tree(&progress->out, trail, now_us, progress->color, progress->frame++,
                     mw_terminal_width(STDERR_FILENO), terminal_rows(), &lines);
    progress->drawn = lines;
    flush(progress);
}

/* ---- one line an event ---- */

static void put_of_scope(struct mw_buf *out, const struct mw_trail *trail,
                         const struct mw_trail_task *task)
{
    const struct mw_trail_scope *scope = mw_trail_scope_of(trail, task->scope);
    mw_put_safe(out, task->type);
    if (task->subject.len > 0 && !mw_str_eq(task->subject, task->type)) {
        mw_buf_put_c(out, ' ');
        mw_put_safe(out, task->subject);
    } else if (scope != NULL && scope->is_service) {
        mw_buf_put_c(out, ' ');
        mw_put_safe(out, scope->name);
    }
}

static bool task_line(struct mw_buf *out, const struct mw_trail *trail, struct mw_str kind,
                      const struct mw_trail_task *task)
{
    if (mw_str_is(kind, "task.dispatched")) {
        put_of_scope(out, trail, task);
        mw_buf_printf(out, " → %.*s", MW_STR_ARG(task->agent));
        if (task->attempt > 1)
            mw_buf_printf(out, ", attempt %lu", (unsigned long)task->attempt);
        return true;
    }
    if (mw_str_is(kind, "task.ended") ||
        (mw_str_is(kind, "task.result") && task->state == MW_TRAIL_TASK_DONE)) {
        put_of_scope(out, trail, task);
        mw_buf_put_z(out, task->state == MW_TRAIL_TASK_DONE        ? " done"
                          : task->state == MW_TRAIL_TASK_CANCELLED ? " cancelled"
                                                                   : " failed");
        if (task->started_us > 0 && task->ended_us > task->started_us) {
            mw_buf_put_z(out, " in ");
            mw_put_ms(out, (uint64_t)(task->ended_us - task->started_us) / 1000);
        }
        if (task->state == MW_TRAIL_TASK_FAILED) {
            mw_buf_put_z(out, ": ");
            mw_put_cut(out, task->reason, 300);
        }
        return true;
    }
    if (mw_str_is(kind, "task.failed") || mw_str_is(kind, "task.timed_out") ||
        mw_str_is(kind, "task.routing_failed")) {
        put_of_scope(out, trail, task);
        if (task->attempt > 0)
            mw_buf_printf(out, " attempt %lu", (unsigned long)task->attempt);
        mw_buf_put_z(out, " failed");
        if (task->error_class.len > 0) {
            mw_buf_put_z(out, " (");
            mw_put_safe(out, task->error_class);
            mw_buf_put_c(out, ')');
        }
        mw_buf_put_z(out, ": ");
        mw_put_cut(out, task->reason, 300);
        return true;
    }
    if (mw_str_is(kind, "task.retry") || mw_str_is(kind, "task.escalated")) {
        put_of_scope(out, trail, task);
        mw_buf_put_z(out,
                     mw_str_is(kind, "task.retry") ? " is tried again" : " is handed to a person");
        return true;
    }
    return false;
}

static bool phase_line(struct mw_buf *out, const struct mw_trail *trail, struct mw_str kind,
                       const struct mw_tape *record)
{
    if (mw_str_is(kind, "journey.step") || mw_str_is(kind, "build.stage") ||
        mw_str_is(kind, "build.validation")) {
        mw_buf_put_z(out, "phase ");
        mw_put_safe(out, trail->scopes[trail->scope_count - 1].name);
        return true;
    }
    if (mw_str_is(kind, "coordinator.started") || mw_str_is(kind, "coordinator.state") ||
        mw_str_is(kind, "coordinator.ended") || mw_str_is(kind, "coordinator.halted")) {
        uint64_t seq = (uint64_t)mw_node_int(record, mw_node_get(record, 0, "item"), 0);
        if (seq == 0)
            seq = (uint64_t)mw_node_int(record, mw_node_get(record, 0, "seq"), 0);
        const struct mw_trail_scope *scope = mw_trail_scope_of(trail, seq);
        if (scope == NULL)
            return false;
        mw_buf_put_z(out, "service ");
        mw_put_safe(out, scope->name);
        mw_buf_put_z(out, ": ");
        mw_put_safe(out, scope->failed  ? MW_STR("failed")
                         : scope->ended ? MW_STR("complete")
                                        : scope->state);
        return true;
    }
    if (mw_str_is(kind, "intent.submitted")) {
        mw_buf_put_z(out, "intent submitted");
        return true;
    }
    if (mw_str_is(kind, "build.staged")) {
        mw_buf_put_z(out, "staged in ");
        mw_put_safe(out, trail->staged);
        return true;
    }
    if (mw_str_is(kind, "trace.paused") || mw_str_is(kind, "trace.resumed")) {
        mw_buf_put_z(out, mw_str_is(kind, "trace.paused") ? "paused" : "resumed");
        return true;
    }
    return false;
}

void mw_progress_record(struct mw_progress *progress, const struct mw_trail *trail,
                        const struct mw_tape *record)
{
    struct mw_str kind = mw_node_get_text(record, 0, "kind");
    const struct mw_trail_task *task =
        mw_trail_task_of(trail, mw_node_get_text(record, 0, "taskId"));
    if (progress->live)
        return;
    bool said = task != NULL && mw_str_starts(kind, MW_STR("task."))
                    ? task_line(&progress->out, trail, kind, task)
                    : phase_line(&progress->out, trail, kind, record);
    if (said)
        mw_buf_put_c(&progress->out, '\n');
    flush(progress);
}
