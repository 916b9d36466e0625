#include "builtin/render.h"
#include "author/yaml.h"
#include "builtin/mustache.h"
#include "builtin/render_view.h"
#include "posix/file.h"
#include "posix/heap.h"
#include "rules/expr.h"

#include <errno.h>
#include <fcntl.h>

struct render {
    struct mw_builtin *builtin;
    struct mw_tape stack; /* stack.yaml */
    int stack_fd;         /* the stack's folder */
    int out_fd;           /* the folder we work in */
    struct mw_json *json; /* the answer, inside its `files` array */
    uint32_t file_count;
};

/* Keys of the payload that say which task this was; the answer repeats those that are there. */
static const char *const passed_through[] = {"service", "serviceName", "handler", "useCase",
                                             "adapter", "interface",   "strategy"};

static enum mw_rc open_stack(struct render *r, int *ret_fd, struct mw_err *err);
static enum mw_rc render_task(struct render *r, uint32_t task, struct mw_err *err);
static enum mw_rc render_entry(struct render *r, uint32_t entry, struct mw_err *err);
static enum mw_rc render_one(struct render *r, uint32_t entry, uint32_t item, struct mw_err *err);
static enum mw_rc render_file(struct render *r, uint32_t entry, const struct mw_mustache *mustache,
                              const struct mw_mustache_frame *stack, struct mw_err *err);
static enum mw_rc is_wanted(struct render *r, uint32_t entry, uint32_t item, bool *ret_wanted,
                            struct mw_err *err);
static enum mw_rc read_partial(void *self, struct mw_str name, struct mw_str *ret_text,
                               struct mw_err *err);
static enum mw_rc read_beneath(struct render *r, const char *path, struct mw_str *ret_text,
                               struct mw_err *err);
static struct mw_mustache_value derive(void *self, const struct mw_mustache_frame *stack,
                                       struct mw_str name);
static uint32_t find_dotted(const struct mw_tape *tape, uint32_t node, struct mw_str path);
static enum mw_rc make_root(struct render *r, uint32_t item, struct mw_tape *ret_tape,
                            struct mw_err *err);

enum mw_rc mw_builtin_render(struct mw_builtin *b, struct mw_str *ret_event, struct mw_err *err)
{
    struct mw_json json;
    struct render r = {.builtin = b, .stack_fd = -1, .out_fd = -1, .json = &json};
    mw_autoclose int stack_fd = -1;
    enum mw_rc rc = open_stack(&r, &stack_fd, err);
    if (rc != MW_OK)
        return rc;
    mw_autoclose int out_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out_fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open the working folder");
    r.out_fd = out_fd;

    uint32_t task = mw_node_get_str(&r.stack, mw_node_get(&r.stack, 0, "tasks"), b->task_type);
    struct mw_str event = mw_node_get_text(&r.stack, task, "event");
    if (task == MW_NODE_NONE)
        return MW_FAIL(err, MW_E_MISSING, "the stack has no task type '%.*s'",
                       MW_STR_ARG(b->task_type));
    if (event.len == 0)
        return MW_FAIL(err, MW_E_CONFIG, "stack.yaml, line %u: the task names no event",
                       r.stack.nodes[task].line);

    size_t answer_mark = b->answer.len;
    mw_json_init(&json, &b->answer);
    mw_json_object(&json);
    for (size_t i = 0; i < MW_COUNT(passed_through); i++) {
        uint32_t value = mw_node_get(&b->task, b->payload, passed_through[i]);
        if (value != MW_NODE_NONE)
            mw_json_knode(&json, passed_through[i], &b->task, value);
    }
    mw_json_karray(&json, "files");
    rc = render_task(&r, task, err);
    if (rc != MW_OK) {
        b->answer.len = answer_mark;
        return rc;
    }
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    *ret_event = event;
    return MW_OK;
}

static enum mw_rc open_stack(struct render *r, int *ret_fd, struct mw_err *err)
{
    struct mw_builtin *b = r->builtin;
    struct mw_str name = mw_node_get_text(&b->task, b->payload, "stack");
    if (name.len == 0)
        name = MW_STR("node");
    if (!mw_path_is_plain(name) || mw_str_find(name, '/', 0) != SIZE_MAX)
        return MW_FAIL(err, MW_E_INPUT, "'%.*s' is no name of a stack", MW_STR_ARG(name));
    mw_autofree char *folder =
        mw_heap_format("%.*s/stacks/%.*s", MW_STR_ARG(b->factory), MW_STR_ARG(name));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return MW_FAIL(err, MW_E_MISSING, "there is no stack '%.*s'", MW_STR_ARG(name));
    if (fd < 0)
        return MW_FAIL_SYS(err, MW_E_IO, "open the stack '%s'", folder);
    *ret_fd = fd;
    r->stack_fd = fd;
    struct mw_str text;
    enum mw_rc rc = read_beneath(r, "stack.yaml", &text, err);
    if (rc != MW_OK)
        return rc;
    struct mw_err why = {0};
    rc = mw_yaml_parse(&b->arena, text, &r->stack, &why);
    if (rc != MW_OK)
        return MW_FAIL(err, MW_E_CONFIG, "%s/stack.yaml: %s", folder, why.text);
    return MW_OK;
}

static enum mw_rc render_task(struct render *r, uint32_t task, struct mw_err *err)
{
    uint32_t files = mw_node_get(&r->stack, task, "files");
    enum mw_rc rc = MW_OK;
    for (uint32_t entry = mw_node_first(&r->stack, files); entry != MW_NODE_NONE && rc == MW_OK;
         entry = mw_node_after(&r->stack, files, entry))
        rc = render_entry(r, entry, err);
    return rc;
}

/* One line of `files`: once, or once for every item of forEach. */
static enum mw_rc render_entry(struct render *r, uint32_t entry, struct mw_err *err)
{
    const struct mw_tape *task = &r->builtin->task;
    struct mw_str for_each = mw_node_get_text(&r->stack, entry, "forEach");
    if (for_each.len == 0)
        return render_one(r, entry, MW_NODE_NONE, err);
    uint32_t items = find_dotted(task, r->builtin->payload, for_each);
    enum mw_rc rc = MW_OK;
    for (uint32_t item = mw_node_first(task, items); item != MW_NODE_NONE && rc == MW_OK;
         item = mw_node_after(task, items, item))
        rc = render_one(r, entry, item, err);
    return rc;
}

/* The contexts, from the outermost: {payload, item}, the payload, the item. */
static enum mw_rc render_one(struct render *r, uint32_t entry, uint32_t item, struct mw_err *err)
{
    struct mw_builtin *b = r->builtin;
    size_t mark_bytes = b->arena.used_bytes;
    bool wanted = true;
    enum mw_rc rc = is_wanted(r, entry, item, &wanted, err);
    if (rc != MW_OK || !wanted)
        return rc;
    struct mw_tape root_tape;
    rc = make_root(r, item, &root_tape, err);
    if (rc != MW_OK)
        return rc;
    struct mw_mustache mustache = {.arena = &b->arena,
                                   .output_max = MW_RENDER_FILE_BYTES_MAX,
                                   .strict = true,
                                   .self = r,
                                   .derive = derive,
                                   .partial = read_partial};
    struct mw_mustache_frame root = {.value = {&root_tape, 0}};
    struct mw_mustache_frame payload = {.value = {&b->task, b->payload}, .outer = &root};
    struct mw_mustache_frame inner = {.value = {&b->task, item}, .outer = &payload};
    rc = render_file(r, entry, &mustache, item == MW_NODE_NONE ? &payload : &inner, err);
    b->arena.used_bytes = mark_bytes; /* nothing of this file is needed for the next */
    return rc;
}

static enum mw_rc render_file(struct render *r, uint32_t entry, const struct mw_mustache *mustache,
                              const struct mw_mustache_frame *stack, struct mw_err *err)
{
    struct mw_str template_name = mw_node_get_text(&r->stack, entry, "template");
    struct mw_str path_name = mw_node_get_text(&r->stack, entry, "path");
    if (template_name.len == 0 || path_name.len == 0)
        return MW_FAIL(err, MW_E_CONFIG, "stack.yaml, line %u: a file has a template and a path",
                       r->stack.nodes[entry].line);
    if (++r->file_count > MW_RENDER_FILES_MAX)
        return MW_FAIL(err, MW_E_LIMIT, "a task may write at most %d files", MW_RENDER_FILES_MAX);
    struct mw_buf template_path = mw_heap_buf();
    struct mw_buf path = mw_heap_buf();
    struct mw_buf out = mw_heap_buf();
    struct mw_str text;
    mw_buf_put_z(&template_path, "templates/");
    enum mw_rc rc = mw_mustache_render(mustache, MW_STR("stack.yaml: template"), template_name,
                                       stack, &template_path, err);
    mw_buf_put_c(&template_path, '\0');
    if (rc == MW_OK)
        rc = mw_mustache_render(mustache, MW_STR("stack.yaml: path"), path_name, stack, &path, err);
    if (rc == MW_OK)
        rc = read_beneath(r, template_path.ptr, &text, err);
    if (rc == MW_OK)
        rc = mw_mustache_render(mustache, mw_str_of(template_path.ptr), text, stack, &out, err);
    if (rc == MW_OK && r->builtin->arena.exhausted)
        rc = MW_FAIL(err, MW_E_LIMIT, "template %s: no memory is left for it", template_path.ptr);
    if (rc == MW_OK)
        rc = mw_render_write(r->out_fd, mw_buf_str(&path), mw_buf_str(&out), err);
    if (rc == MW_OK)
        mw_json_str(r->json, mw_buf_str(&path));
    mw_heap_buf_free(&template_path);
    mw_heap_buf_free(&path);
    mw_heap_buf_free(&out);
    return rc;
}

/* when: a condition over `payload` and `item`; a bare name is a key of the payload. */
static enum mw_rc is_wanted(struct render *r, uint32_t entry, uint32_t item, bool *ret_wanted,
                            struct mw_err *err)
{
    struct mw_builtin *b = r->builtin;
    struct mw_str when = mw_node_get_text(&r->stack, entry, "when");
    if (when.len == 0)
        return MW_OK;
    const struct mw_expr *expr;
    struct mw_err why = {0};
    if (mw_expr_compile(&b->arena, when, &expr, &why) != MW_OK)
        return MW_FAIL(err, MW_E_CONFIG, "stack.yaml, line %u: when: %s",
                       r->stack.nodes[entry].line, why.text);
    const struct mw_expr_root roots[] = {{MW_STR("payload"), &b->task, b->payload},
                                         {MW_STR("item"), &b->task, item},
                                         {MW_STR_NONE, &b->task, b->payload}};
    *ret_wanted = mw_expr_test(expr, roots, MW_COUNT(roots), &b->arena, NULL);
    return MW_OK;
}

static enum mw_rc read_partial(void *self, struct mw_str name, struct mw_str *ret_text,
                               struct mw_err *err)
{
    struct render *r = self;
    mw_autofree char *path = mw_heap_format("partials/%.*s.mustache", MW_STR_ARG(name));
    return read_beneath(r, path, ret_text, err);
}

/* A file of the stack, kept in the arena. */
static enum mw_rc read_beneath(struct render *r, const char *path, struct mw_str *ret_text,
                               struct mw_err *err)
{
    if (!mw_path_is_plain(mw_str_of(path)))
        return MW_FAIL(err, MW_E_INPUT, "'%s' is not a plain path inside the stack", path);
    struct mw_buf buf = mw_heap_buf();
    enum mw_rc rc =
        mw_file_read_beneath(r->stack_fd, path, MW_RENDER_TEMPLATE_BYTES_MAX, &buf, err);
    if (rc == MW_OK)
        *ret_text = mw_arena_copy(&r->builtin->arena, mw_buf_str(&buf));
    mw_heap_buf_free(&buf);
    return rc;
}

static struct mw_mustache_value derive(void *self, const struct mw_mustache_frame *stack,
                                       struct mw_str name)
{
    struct render *r = self;
    return mw_render_derive(&r->builtin->arena, stack, name);
}

static uint32_t find_dotted(const struct mw_tape *tape, uint32_t node, struct mw_str path)
{
    for (size_t from = 0; from < path.len;) {
        size_t dot = mw_str_find(path, '.', from);
        size_t to = dot == SIZE_MAX ? path.len : dot;
        node = mw_node_get_str(tape, node, mw_str_sub(path, from, to - from));
        from = to + 1;
    }
    return node;
}

static enum mw_rc make_root(struct render *r, uint32_t item, struct mw_tape *ret_tape,
                            struct mw_err *err)
{
    struct mw_builtin *b = r->builtin;
    struct mw_buf text = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_object(&json);
    mw_json_knode(&json, "payload", &b->task, b->payload);
    if (item != MW_NODE_NONE)
        mw_json_knode(&json, "item", &b->task, item);
    mw_json_object_end(&json);
    struct mw_str kept = mw_arena_copy(&b->arena, mw_buf_str(&text));
    mw_heap_buf_free(&text);
    return mw_json_parse(&b->arena, kept, ret_tape, err);
}
