#include "builtin/builtin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/heap.h"

/* One task in, one answer out. The arena is reserved, not touched: only what a task needs becomes real memory. */
#define ARENA_BYTES (1024UL * 1024 * 1024)
#define TASK_BYTES_MAX (64UL * 1024 * 1024)

static const struct {
    const char *name;
    mw_builtin_fn *work;
} generators[] = {{"blueprint", mw_builtin_blueprint},
                  {"design", mw_builtin_design},
                  {"render", mw_builtin_render},
                  {"check", mw_builtin_check},
                  {"commit", mw_builtin_commit}};

static const char *failure_class(enum mw_rc rc)
{
    switch (rc) {
    case MW_E_INPUT:
        return "invalid_input";
    case MW_E_MISSING:
        return "unsupported";
    case MW_E_FAILED:
        return "tool";
    default:
        return "internal";
    }
}

/* One line on standard output. When even that fails, the exit code says the rest. */
static bool put_line(struct mw_buf *line)
{
    struct mw_err err = {0};
    mw_buf_put_c(line, '\n');
    enum mw_rc rc = mw_write_all(STDOUT_FILENO, mw_buf_str(line), &err);
    mw_heap_buf_free(line);
    return rc == MW_OK;
}

void mw_builtin_progress(const struct mw_builtin *b, struct mw_str text)
{
    struct mw_buf line = mw_heap_buf();
    struct mw_json json;
    (void)b; /* one process, one task: the line needs no name */
    mw_json_init(&json, &line);
    mw_json_object(&json);
    mw_json_kstr(&json, "progress", text);
    mw_json_object_end(&json);
    (void)put_line(&line); /* progress that nobody reads is no failure */
}

static int answer_failure(enum mw_rc rc, const struct mw_err *err)
{
    struct mw_buf line = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &line);
    mw_json_object(&json);
    mw_json_kobject(&json, "error");
    mw_json_kstr(&json, "class", mw_str_of(failure_class(rc)));
    mw_json_kstr(&json, "message", mw_str_of(err->text));
    /* The generators are deterministic: only a failing machine may do better next time. */
    mw_json_kbool(&json, "retryable", rc == MW_E_IO || rc == MW_E_TIMEOUT || rc == MW_E_FULL);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    (void)put_line(&line); /* the exit code says it too */
    return 1;
}

static int answer_result(const struct mw_builtin *b, struct mw_str name, struct mw_str event)
{
    struct mw_buf line = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &line);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", event);
    mw_json_kraw(&json, "payload", mw_buf_str(&b->answer));
    struct mw_buf why = mw_heap_buf();
    mw_buf_printf(&why, "built-in generator '%.*s': rules and tables, no model", MW_STR_ARG(name));
    mw_json_kstr(&json, "rationale", mw_buf_str(&why));
    mw_heap_buf_free(&why);
    mw_json_kraw(&json, "usage", MW_STR("{\"tokens_in\":0,\"tokens_out\":0,\"cost_usd\":0}"));
    mw_json_object_end(&json);
    return put_line(&line) ? 0 : 1;
}

static enum mw_rc read_task(struct mw_builtin *b, struct mw_err *err)
{
    struct mw_buf text = mw_heap_buf();
    char block[65536];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, block, sizeof(block));
        if (got < 0) {
            mw_heap_buf_free(&text);
            return mw_fail(err, MW_E_IO, 0, "the task cannot be read from standard input");
        }
        if (got == 0 || text.len + (size_t)got > TASK_BYTES_MAX)
            break;
        mw_buf_put(&text, (struct mw_str){block, (size_t)got});
    }
    struct mw_str copy = mw_arena_copy(&b->arena, mw_buf_str(&text));
    mw_heap_buf_free(&text);
    enum mw_rc rc = mw_json_parse(&b->arena, copy, &b->task, err);
    if (rc != MW_OK)
        return rc;
    if (mw_node_type(&b->task, 0) != MW_NODE_OBJECT)
        return MW_FAIL(err, MW_E_INPUT, "the task is no JSON object");
    b->payload = mw_node_get(&b->task, 0, "payload");
    b->context = mw_node_get(&b->task, 0, "context");
    b->task_type = mw_node_get_text(&b->task, 0, "taskType");
    return MW_OK;
}

/* MILLWRIGHT_FACTORY, else the folder beside the program, as built or as installed. */
static enum mw_rc find_factory(struct mw_builtin *b, struct mw_err *err)
{
    static const char *const beside[] = {"factory", "../factory", "../share/millwright/factory",
                                         "../../factory"};
    const char *named = getenv("MILLWRIGHT_FACTORY");
    char program[4096];
    if (named != NULL && *named != 0) {
        b->factory = mw_arena_copy(&b->arena, mw_str_of(named));
        return MW_OK;
    }
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    struct mw_str folder = {program, len > 0 ? (size_t)len : 0};
    while (folder.len > 0 && folder.ptr[folder.len - 1] != '/')
        folder.len--;
    for (size_t i = 0; i < MW_COUNT(beside); i++) {
        struct mw_str path = mw_arena_format(&b->arena, "%.*s%s", MW_STR_ARG(folder), beside[i]);
        struct mw_str probe = mw_arena_format(&b->arena, "%.*s/understanding", MW_STR_ARG(path));
        if (access(probe.ptr, R_OK) == 0) {
            b->factory = path;
            return MW_OK;
        }
    }
    return MW_FAIL(err, MW_E_MISSING,
                   "the factory folder is not beside the program; set MILLWRIGHT_FACTORY");
}

int mw_builtin_main(int argc, char **argv)
{
    struct mw_builtin b = {.payload = MW_NODE_NONE};
    struct mw_err err = {0};
    struct mw_str event = MW_STR_NONE;
    mw_builtin_fn *work = NULL;
    const char *name = argc > 0 ? argv[argc - 1] : "";
    for (size_t i = 0; i < MW_COUNT(generators); i++)
        if (strcmp(name, generators[i].name) == 0)
            work = generators[i].work;
    if (work == NULL) {
        (void)MW_FAIL(&err, MW_E_MISSING,
                      "no generator '%s'; there are blueprint, design, render, check and commit",
                      name);
        return answer_failure(MW_E_MISSING, &err);
    }
    mw_heap_arena(&b.arena, ARENA_BYTES);
    b.answer = mw_heap_buf();
    enum mw_rc rc = read_task(&b, &err);
    if (rc == MW_OK)
        rc = find_factory(&b, &err);
    if (rc == MW_OK)
        rc = work(&b, &event, &err);
    int code = rc == MW_OK ? answer_result(&b, mw_str_of(name), event) : answer_failure(rc, &err);
    mw_heap_buf_free(&b.answer);
    mw_heap_arena_free(&b.arena);
    return code;
}
