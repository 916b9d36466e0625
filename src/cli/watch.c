#include "cli/watch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/follow.h"
#include "posix/file.h"
#include "posix/heap.h"

#define ANSWER_BYTES_MAX 4096
#define OPTIONS_MAX 16

static bool ask_in_place(struct mw_watch *watch, const struct mw_trail_task *item);
static int finish(struct mw_watch *watch, bool left);

static bool on_record(void *context, struct mw_str line, const struct mw_tape *record)
{
    struct mw_watch *watch = context;
    mw_trail_take(&watch->trail, record);
    if (watch->cli->json && !mw_cli_put_line(line)) {
        watch->reader_gone = true;
        return false;
    }
    if (!watch->cli->json && !watch->blueprint_said &&
        mw_str_is(mw_node_get_text(record, 0, "type"), "StrategicBlueprintGenerated")) {
        mw_progress_clear(&watch->progress);
        mw_explain_blueprint(watch, record, mw_node_get(record, 0, "payload"));
        watch->blueprint_said = true;
    }
    if (!watch->cli->json)
        mw_progress_record(&watch->progress, &watch->trail, record);
    return watch->trail.state == MW_TRAIL_OPEN;
}

static bool on_quiet(void *context)
{
    struct mw_watch *watch = context;
    const struct mw_trail_task *item;
    if (!watch->cli->json)
        mw_progress_draw(&watch->progress, &watch->trail, mw_now_unix_us());
    if (!mw_trail_waits(&watch->trail, &item))
        return true;
    if (mw_str_eq(watch->asked, item->id))
        return true; /* answered: its record is on the way */
    if (!watch->asks || item->question.len == 0)
        return false;
    mw_progress_clear(&watch->progress);
    return ask_in_place(watch, item);
}

static bool on_tick(void *context)
{
    struct mw_watch *watch = context;
    mw_progress_draw(&watch->progress, &watch->trail, mw_now_unix_us());
    return true;
}

/* The record with which the trace began is the number at the end of its id; whoever joins later sees it from there, too. */
static int64_t before_trace(const struct mw_posted *posted)
{
    struct mw_str trace_id = posted->trace_id;
    size_t digits = 0;
    int64_t seq = 0, place = 1;
    while (digits < trace_id.len && digits < 18) {
        char c = trace_id.ptr[trace_id.len - 1 - digits];
        if (c < '0' || c > '9')
            break;
        seq += (c - '0') * place;
        place *= 10;
        digits++;
    }
    bool is_number = digits > 0 && digits < trace_id.len &&
                     trace_id.ptr[trace_id.len - 1 - digits] == '-' &&
                     mw_str_starts(trace_id, MW_STR("tr-"));
    /* An id of the caller's own choice may end in any number. */
    return is_number && seq > 0 && seq <= posted->first ? seq - 1 : 0;
}

int mw_watch_trace(struct mw_cli *cli, const char *verb, const struct mw_posted *posted)
{
    struct mw_err err = {0};
    bool left = false;
    struct mw_watch watch = {.cli = cli, .verb = verb};
    mw_autofree char *trace = mw_heap_copy(posted->trace_id);
    mw_trail_init(&watch.trail, &cli->arena);
    mw_progress_init(&watch.progress);
    watch.asks = !cli->json && isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    struct mw_follow follow = {.trace = trace,
                               .after = before_trace(posted),
                               .ticks = watch.progress.live && !cli->json,
                               .on_record = on_record,
                               .on_quiet = on_quiet,
                               .on_tick = on_tick,
                               .context = &watch};
    enum mw_rc rc = mw_follow(cli, &follow, &left, &err);
    mw_progress_clear(&watch.progress);
    int code = rc != MW_OK ? mw_cli_fail(cli, &err) : finish(&watch, left);
    mw_progress_free(&watch.progress);
    return code;
}

/* ---- questions ---- */

static uint32_t options_of(const struct mw_watch *watch, const struct mw_trail_task *item,
                           struct mw_str options[OPTIONS_MAX])
{
    struct mw_tape tape;
    uint32_t count = 0;
    if (item->options.len == 0 ||
        mw_json_parse(&watch->cli->arena, item->options, &tape, NULL) != MW_OK)
        return 0;
    for (uint32_t i = mw_node_first(&tape, 0); i != MW_NODE_NONE && count < OPTIONS_MAX;
         i = mw_node_after(&tape, 0, i))
        if (mw_node_type(&tape, i) == MW_NODE_STRING)
            options[count++] = mw_node_str(&tape, i);
    return count;
}

static bool read_line(void *context)
{
    return fgets(context, ANSWER_BYTES_MAX, stdin) != NULL;
}

static bool post_answer(struct mw_watch *watch, const struct mw_trail_task *item,
                        struct mw_str answer)
{
    struct mw_post post;
    struct mw_posted posted;
    struct mw_err err = {0};
    mw_post_begin(&post, "AnswerItem");
    mw_json_kstr(&post.json, "item", item->id);
    mw_json_kstr(&post.json, "action", MW_STR("answer"));
    mw_json_kobject(&post.json, "payload");
    mw_json_kstr(&post.json, "field", item->field);
    mw_json_kstr(&post.json, "answer", answer);
    mw_json_object_end(&post.json);
    if (mw_post_send(watch->cli, &post, &posted, &err) != MW_OK) {
        (void)fprintf(stderr, "millwright: %s\n", err.text);
        return false;
    }
    watch->asked = item->id;
    return true;
}

/* False: the person gave no answer; the item stays in the inbox. */
static bool ask_in_place(struct mw_watch *watch, const struct mw_trail_task *item)
{
    struct mw_str options[OPTIONS_MAX];
    char line[ANSWER_BYTES_MAX];
    uint32_t count = options_of(watch, item, options);
    struct mw_buf text = mw_heap_buf();
    mw_buf_put_c(&text, '\n');
    mw_put_safe(&text, item->question);
    for (uint32_t i = 0; i < count; i++) {
        mw_buf_printf(&text, "\n  %u  ", i + 1);
        mw_put_safe(&text, options[i]);
    }
    mw_buf_put_z(&text, "\n> ");
    if (mw_write_all(STDERR_FILENO, mw_buf_str(&text), NULL) != MW_OK ||
        !mw_follow_ask(read_line, line)) {
        mw_heap_buf_free(&text);
        return false;
    }
    mw_heap_buf_free(&text);
    struct mw_str answer = mw_str_trim(mw_str_of(line));
    uint64_t number = 0;
    if (answer.len == 0)
        return true; /* asked again at the next quiet moment */
    if (count > 0 && mw_str_to_u64(answer, &number) && number >= 1 && number <= count)
        answer = options[number - 1];
    return post_answer(watch, item, answer);
}

static void print_question(const struct mw_watch *watch, const struct mw_trail_task *item)
{
    struct mw_str options[OPTIONS_MAX];
    uint32_t count = options_of(watch, item, options);
    struct mw_buf out = mw_heap_buf();
    if (item->question.len > 0) {
        mw_put_safe(&out, item->question);
        for (uint32_t i = 0; i < count; i++) {
            mw_buf_put_z(&out, "\n  - ");
            mw_put_safe(&out, options[i]);
        }
        mw_buf_printf(&out, "\nItem %.*s waits for an answer: millwright answer %.*s \"…\"\n",
                      MW_STR_ARG(item->id), MW_STR_ARG(item->id));
    } else {
        mw_buf_printf(&out, "Item %.*s waits for a person: ", MW_STR_ARG(item->id));
        mw_put_safe(&out, item->type);
        if (item->reason.len > 0) {
            mw_buf_put_z(&out, "\n  cause: ");
            mw_put_safe(&out, item->reason);
        }
        mw_buf_printf(&out,
                      "\nLet an agent try again: millwright approve %.*s\nEnd it: millwright "
                      "cancel %.*s\n",
                      MW_STR_ARG(item->id), MW_STR_ARG(watch->trail.trace_id));
    }
    (void)mw_cli_put(mw_buf_str(&out)); /* a reader that left is told nothing */
    mw_heap_buf_free(&out);
}

/* ---- the end ---- */

static int exit_code(const struct mw_watch *watch, bool waits)
{
    switch (watch->trail.state) {
    case MW_TRAIL_DRAFT:
    case MW_TRAIL_DONE:
        return 0;
    case MW_TRAIL_LIMIT:
        return mw_rc_exit_code(MW_E_LIMIT);
    case MW_TRAIL_FAILED:
    case MW_TRAIL_CANCELLED:
        return mw_rc_exit_code(MW_E_FAILED);
    case MW_TRAIL_OPEN:
        break;
    }
    return waits ? mw_rc_exit_code(MW_E_WAITING) : 0;
}

static const char *state_name(const struct mw_watch *watch)
{
    static const char *const names[] = {
        [MW_TRAIL_OPEN] = "waiting",   [MW_TRAIL_DRAFT] = "draft",
        [MW_TRAIL_DONE] = "completed", [MW_TRAIL_FAILED] = "failed",
        [MW_TRAIL_LIMIT] = "limit",    [MW_TRAIL_CANCELLED] = "cancelled"};
    return names[watch->trail.state];
}

static void put_error(const struct mw_watch *watch, struct mw_json *json)
{
    const struct mw_trail *trail = &watch->trail;
    bool failed = trail->state == MW_TRAIL_FAILED || trail->state == MW_TRAIL_LIMIT;
    if (!failed) {
        mw_json_kraw(json, "error", MW_STR("null"));
        return;
    }
    mw_json_kobject(json, "error");
    mw_json_kstr(json, "class", trail->error_class);
    mw_json_kstr(json, "message", trail->reason);
    if (trail->last_failed >= 0) {
        mw_json_kstr(json, "task", trail->tasks[trail->last_failed].id);
        mw_json_kstr(json, "taskType", trail->tasks[trail->last_failed].type);
    }
    (void)mw_explain_failed_tests(watch, json); /* most failures are none of a test */
    mw_json_object_end(json);
}

static void kstr_or_null(struct mw_json *json, const char *key, struct mw_str text)
{
    if (text.len > 0)
        mw_json_kstr(json, key, text);
    else
        mw_json_kraw(json, key, MW_STR("null"));
}

static void put_gen_members(const struct mw_watch *watch, struct mw_json *json)
{
    const struct mw_trail *trail = &watch->trail;
    const char *workspace = watch->cli->workspace;
    kstr_or_null(json, "traceId", trail->trace_id);
    kstr_or_null(json, "app_id", trail->app_id);
    kstr_or_null(json, "build_id", trail->build_id);
    if (trail->version > 0)
        mw_json_ku64(json, "version", trail->version);
    else
        mw_json_kraw(json, "version", MW_STR("null"));
    struct mw_buf staged = mw_heap_buf();
    if (trail->staged.len > 0)
        mw_buf_printf(&staged, "%s/%.*s", workspace, MW_STR_ARG(trail->staged));
    kstr_or_null(json, "staged", mw_buf_str(&staged));
    mw_heap_buf_free(&staged);
}

static void put_run_members(const struct mw_watch *watch, struct mw_json *json)
{
    const struct mw_trail *trail = &watch->trail;
    kstr_or_null(json, "traceId", trail->trace_id);
    kstr_or_null(json, "run_id", trail->run_id);
    kstr_or_null(json, "reason", trail->reason);
    mw_json_ku64(json, "iterations", trail->iterations);
}

/* The one line of our own at the end of a --json stream. */
static void print_result(const struct mw_watch *watch, const struct mw_trail_task *item)
{
    struct mw_buf out = mw_heap_buf();
    struct mw_json json;
    bool gen = strcmp(watch->verb, "gen") == 0;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", gen ? MW_STR("gen.result") : MW_STR("run.result"));
    mw_json_kstr(
        &json, "state",
        mw_str_of(!gen && watch->trail.state == MW_TRAIL_OPEN ? "paused" : state_name(watch)));
    if (gen)
        put_gen_members(watch, &json);
    else
        put_run_members(watch, &json);
    mw_json_karray(&json, "items");
    for (uint32_t i = 0; item != NULL && i < watch->trail.task_count; i++)
        if (watch->trail.tasks[i].state == MW_TRAIL_TASK_PERSON)
            mw_json_str(&json, watch->trail.tasks[i].id);
    mw_json_array_end(&json);
    put_error(watch, &json);
    mw_json_kobject(&json, "usage");
    mw_trail_usage(&watch->trail, &json);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the exit code says it too */
    mw_heap_buf_free(&out);
}

static void print_cancelled(struct mw_str reason)
{
    struct mw_buf out = mw_heap_buf();
    mw_buf_put_z(&out, reason.len > 0 ? "cancelled: " : "cancelled");
    mw_put_safe(&out, reason);
    (void)mw_cli_put_line(mw_buf_str(&out)); /* a reader that left is told nothing */
    mw_heap_buf_free(&out);
}

static void print_draft(const struct mw_watch *watch)
{
    const struct mw_trail *trail = &watch->trail;
    struct mw_buf out = mw_heap_buf();
    bool color = mw_color_wanted(STDOUT_FILENO);
    mw_buf_put_z(&out, mw_color(color, MW_BOLD));
    mw_put_safe(&out, trail->app_name.len > 0 ? trail->app_name : trail->app_id);
    mw_buf_printf(&out, "%s version %lu is a draft, build %.*s\n", mw_color(color, MW_PLAIN),
                  (unsigned long)trail->version, MW_STR_ARG(trail->build_id));
    mw_buf_printf(&out, "staged in %s/%.*s\n", watch->cli->workspace, MW_STR_ARG(trail->staged));
    mw_buf_put_z(&out, "next: millwright review · millwright accept · millwright promote · "
                       "millwright up\n");
    (void)mw_cli_put(mw_buf_str(&out)); /* a reader that left is told nothing */
    mw_heap_buf_free(&out);
}

static void print_sum(const struct mw_watch *watch)
{
    struct mw_buf out = mw_heap_buf();
    mw_trail_sum(&watch->trail, &out);
    mw_buf_put_c(&out, '\n');
    (void)mw_cli_put(mw_buf_str(&out)); /* a reader that left is told nothing */
    mw_heap_buf_free(&out);
}

static int leave(const struct mw_watch *watch)
{
    const struct mw_trail *trail = &watch->trail;
    (void)fprintf(stderr,
                  "\nStopped watching; %s %.*s goes on in the background.\n"
                  "  watch it again:  the same millwright %s\n"
                  "  stop it:         millwright cancel %.*s\n",
                  trail->build_id.len > 0 ? "build" : "trace",
                  MW_STR_ARG(trail->build_id.len > 0 ? trail->build_id : trail->trace_id),
                  watch->verb,
                  MW_STR_ARG(trail->build_id.len > 0 ? trail->build_id : trail->trace_id));
    return 130;
}

static int finish(struct mw_watch *watch, bool left)
{
    const struct mw_trail_task *item = NULL;
    bool waits = mw_trail_waits(&watch->trail, &item);
    if (left)
        return leave(watch);
    if (watch->reader_gone)
        return 0; /* `| head` has seen enough; the work goes on */
    int code = exit_code(watch, waits);
    if (watch->cli->json) {
        print_result(watch, item);
        return code;
    }
    if (watch->progress.live) { /* the tree stays on the screen as it was at the end */
        mw_progress_draw(&watch->progress, &watch->trail, mw_now_unix_us());
        watch->progress.drawn = 0;
    }
    if (waits)
        print_question(watch, item);
    else if (watch->trail.state == MW_TRAIL_DRAFT)
        print_draft(watch);
    else if (watch->trail.state == MW_TRAIL_CANCELLED)
        print_cancelled(watch->trail.reason);
    else if (watch->trail.state == MW_TRAIL_DONE)
        (void)printf("completed\n");
    else
        mw_explain_failure(watch);
    print_sum(watch);
    return code;
}
