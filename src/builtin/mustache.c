#include "builtin/mustache.h"
#include "builtin/mustache_parse.h"

#include <string.h>

/* One rendering: what stays the same in all its sections and partials. */
struct rendering {
    const struct mw_mustache *mustache;
    struct mw_buf *out;
    struct mw_err *err;
    uint32_t depth;
};

/* A run of tags of one template. */
struct part {
    const struct mw_mustache_template *template;
    uint32_t from;
    uint32_t to; /* after the last */
};

static const struct mw_mustache_value absent = {NULL, MW_NODE_NONE};

static enum mw_rc render_text(struct rendering *r, struct mw_str name, struct mw_str text,
                              const struct mw_mustache_frame *stack);
static enum mw_rc render_part(struct rendering *r, struct part part,
                              const struct mw_mustache_frame *stack);
static enum mw_rc render_value(struct rendering *r, struct part part,
                               const struct mw_mustache_frame *stack);
static enum mw_rc render_section(struct rendering *r, struct part part,
                                 const struct mw_mustache_frame *stack);
static enum mw_rc render_items(struct rendering *r, struct part body,
                               struct mw_mustache_value array,
                               const struct mw_mustache_frame *stack);
static enum mw_rc render_partial(struct rendering *r, struct part part,
                                 const struct mw_mustache_frame *stack);
static struct mw_mustache_value resolve(const struct mw_mustache *mustache,
                                        const struct mw_mustache_frame *stack, struct mw_str name);
static struct mw_mustache_value find_or_derive(const struct mw_mustache *mustache,
                                               const struct mw_mustache_frame *stack,
                                               struct mw_str name);
static struct mw_str indented(struct mw_arena *arena, struct mw_str text, struct mw_str indent);
static void put_escaped(struct mw_buf *out, struct mw_str text);

enum mw_rc mw_mustache_render(const struct mw_mustache *mustache, struct mw_str name,
                              struct mw_str text, const struct mw_mustache_frame *stack,
                              struct mw_buf *out, struct mw_err *err)
{
    MW_ASSERT(mustache->arena != NULL);
    struct rendering r = {mustache, out, err, 0};
    enum mw_rc rc = render_text(&r, name, text, stack);
    if (rc != MW_OK)
        return rc;
    if (out->overflowed || out->len > mustache->output_max)
        return MW_FAIL(err, MW_E_LIMIT, "template %.*s: the output is larger than %zu bytes",
                       MW_STR_ARG(name), mustache->output_max);
    return MW_OK;
}

struct mw_mustache_value mw_mustache_find(const struct mw_mustache_frame *stack, struct mw_str name)
{
    for (const struct mw_mustache_frame *frame = stack; frame != NULL; frame = frame->outer) {
        struct mw_mustache_value value = frame->value;
        if (value.tape == NULL || mw_node_type(value.tape, value.node) != MW_NODE_OBJECT)
            continue;
        uint32_t node = mw_node_get_str(value.tape, value.node, name);
        if (node != MW_NODE_NONE)
            return (struct mw_mustache_value){value.tape, node};
    }
    return absent;
}

bool mw_mustache_is_true(struct mw_mustache_value value)
{
    if (value.tape == NULL)
        return false;
    switch (mw_node_type(value.tape, value.node)) {
    case MW_NODE_NULL:
    case MW_NODE_FALSE:
        return false;
    case MW_NODE_STRING:
        return mw_node_str(value.tape, value.node).len > 0;
    case MW_NODE_ARRAY:
        return mw_node_count(value.tape, value.node) > 0;
    case MW_NODE_TRUE:
    case MW_NODE_INTEGER:
    case MW_NODE_NUMBER:
    case MW_NODE_OBJECT:
        return true;
    }
    MW_UNREACHABLE("all node types are above");
}

static enum mw_rc render_text(struct rendering *r, struct mw_str name, struct mw_str text,
                              const struct mw_mustache_frame *stack)
{
    struct mw_mustache_template *template;
    enum mw_rc rc = mw_mustache_compile(r->mustache->arena, name, text, &template, r->err);
    if (rc != MW_OK)
        return rc;
    return render_part(r, (struct part){template, 0, template->tag_count}, stack);
}

static enum mw_rc render_part(struct rendering *r, struct part part,
                              const struct mw_mustache_frame *stack)
{
    const struct mw_mustache_tag *tags = part.template->tags;
    enum mw_rc rc = MW_OK;
    if (r->depth >= MW_MUSTACHE_DEPTH_MAX)
        return MW_FAIL(r->err, MW_E_LIMIT, "template %.*s: more than %d sections and partials deep",
                       MW_STR_ARG(part.template->name), MW_MUSTACHE_DEPTH_MAX);
    r->depth++;
    for (uint32_t i = part.from; i < part.to && rc == MW_OK; i = tags[i].next) {
        struct part here = {part.template, i, tags[i].next};
        switch (tags[i].kind) {
        case MW_MUSTACHE_TEXT:
            mw_buf_put(r->out, tags[i].text);
            break;
        case MW_MUSTACHE_VALUE:
        case MW_MUSTACHE_RAW_VALUE:
            rc = render_value(r, here, stack);
            break;
        case MW_MUSTACHE_SECTION:
        case MW_MUSTACHE_INVERTED:
            rc = render_section(r, here, stack);
            break;
        case MW_MUSTACHE_PARTIAL:
            rc = render_partial(r, here, stack);
            break;
        }
        if (rc == MW_OK && (r->out->overflowed || r->out->len > r->mustache->output_max))
            rc = MW_FAIL(r->err, MW_E_LIMIT,
                         "template %.*s, line %u: the output is larger than %zu bytes",
                         MW_STR_ARG(part.template->name), tags[i].line, r->mustache->output_max);
    }
    r->depth--;
    return rc;
}

static enum mw_rc render_value(struct rendering *r, struct part part,
                               const struct mw_mustache_frame *stack)
{
    const struct mw_mustache_tag *tag = &part.template->tags[part.from];
    struct mw_mustache_value value = resolve(r->mustache, stack, tag->text);
    if (value.tape == NULL) {
        if (!r->mustache->strict)
            return MW_OK;
        return MW_FAIL(r->err, MW_E_CONFIG, "template %.*s, line %u: nothing is named '%.*s' here",
                       MW_STR_ARG(part.template->name), tag->line, MW_STR_ARG(tag->text));
    }
    struct mw_str text = MW_STR_NONE;
    switch (mw_node_type(value.tape, value.node)) {
    case MW_NODE_NULL:
        break;
    case MW_NODE_FALSE:
        text = MW_STR("false");
        break;
    case MW_NODE_TRUE:
        text = MW_STR("true");
        break;
    case MW_NODE_INTEGER:
    case MW_NODE_NUMBER:
    case MW_NODE_STRING:
        text = value.tape->nodes[value.node].text;
        break;
    case MW_NODE_ARRAY:
    case MW_NODE_OBJECT:
        return MW_FAIL(r->err, MW_E_CONFIG,
                       "template %.*s, line %u: '%.*s' is an array or an object, not text",
                       MW_STR_ARG(part.template->name), tag->line, MW_STR_ARG(tag->text));
    }
    if (tag->kind == MW_MUSTACHE_VALUE)
        put_escaped(r->out, text);
    else
        mw_buf_put(r->out, text);
    return MW_OK;
}

static enum mw_rc render_section(struct rendering *r, struct part part,
                                 const struct mw_mustache_frame *stack)
{
    const struct mw_mustache_tag *tag = &part.template->tags[part.from];
    struct part body = {part.template, part.from + 1, part.to};
    struct mw_mustache_value value = resolve(r->mustache, stack, tag->text);
    bool is_true = mw_mustache_is_true(value);
    if (tag->kind == MW_MUSTACHE_INVERTED)
        return is_true ? MW_OK : render_part(r, body, stack);
    if (!is_true)
        return MW_OK;
    if (mw_node_type(value.tape, value.node) == MW_NODE_ARRAY)
        return render_items(r, body, value, stack);
    struct mw_mustache_frame frame = {.value = value, .outer = stack};
    return render_part(r, body, &frame);
}

static enum mw_rc render_items(struct rendering *r, struct part body,
                               struct mw_mustache_value array,
                               const struct mw_mustache_frame *stack)
{
    struct mw_mustache_frame frame = {.outer = stack};
    frame.count = mw_node_count(array.tape, array.node);
    uint32_t item = mw_node_first(array.tape, array.node);
    enum mw_rc rc = MW_OK;
    while (item != MW_NODE_NONE && rc == MW_OK) {
        frame.value = (struct mw_mustache_value){array.tape, item};
        size_t mark_bytes = r->mustache->arena->used_bytes;
        rc = render_part(r, body, &frame);
        r->mustache->arena->used_bytes = mark_bytes;
        frame.index++;
        item = mw_node_after(array.tape, array.node, item);
    }
    return rc;
}

static enum mw_rc render_partial(struct rendering *r, struct part part,
                                 const struct mw_mustache_frame *stack)
{
    const struct mw_mustache *mustache = r->mustache;
    const struct mw_mustache_tag *tag = &part.template->tags[part.from];
    struct mw_str text = MW_STR_NONE;
    size_t mark_bytes = mustache->arena->used_bytes;
    enum mw_rc rc = MW_E_MISSING;
    if (mustache->partial != NULL)
        rc = mustache->partial(mustache->self, tag->text, &text, r->err);
    if (rc == MW_E_MISSING && !mustache->strict)
        return MW_OK;
    if (rc == MW_E_MISSING)
        return MW_FAIL(r->err, MW_E_CONFIG, "template %.*s, line %u: there is no partial '%.*s'",
                       MW_STR_ARG(part.template->name), tag->line, MW_STR_ARG(tag->text));
    if (rc != MW_OK)
        return rc;
    rc = render_text(r, tag->text, indented(mustache->arena, text, tag->indent), stack);
    mustache->arena->used_bytes = mark_bytes;
    return rc;
}

static struct mw_mustache_value resolve(const struct mw_mustache *mustache,
                                        const struct mw_mustache_frame *stack, struct mw_str name)
{
    if (mw_str_is(name, "."))
        return stack != NULL ? stack->value : absent;
    size_t dot = mw_str_find(name, '.', 0);
    size_t first_len = dot == SIZE_MAX ? name.len : dot;
    struct mw_mustache_value value =
        find_or_derive(mustache, stack, mw_str_sub(name, 0, first_len));
    while (dot != SIZE_MAX && value.tape != NULL) {
        size_t from = dot + 1;
        dot = mw_str_find(name, '.', from);
        size_t end = dot == SIZE_MAX ? name.len : dot;
        struct mw_mustache_frame frame = {.value = value};
        value = find_or_derive(mustache, &frame, mw_str_sub(name, from, end - from));
    }
    return value;
}

static struct mw_mustache_value find_or_derive(const struct mw_mustache *mustache,
                                               const struct mw_mustache_frame *stack,
                                               struct mw_str name)
{
    struct mw_mustache_value value = mw_mustache_find(stack, name);
    if (value.tape == NULL && mustache->derive != NULL)
        value = mustache->derive(mustache->self, stack, name);
    return value;
}

/* The specification indents the partial's own lines, not what its values bring along; so the template is indented, not the output. */
static struct mw_str indented(struct mw_arena *arena, struct mw_str text, struct mw_str indent)
{
    if (indent.len == 0 || text.len == 0)
        return text;
    size_t lines = 1;
    for (size_t i = 0; i + 1 < text.len; i++)
        lines += text.ptr[i] == '\n';
    size_t cap = text.len + lines * indent.len;
    char *memory = mw_arena_alloc(arena, cap);
    if (memory == NULL)
        return MW_STR_NONE; /* the arena remembers; compiling refuses */
    struct mw_buf buf;
    mw_buf_init(&buf, memory, cap);
    mw_buf_put(&buf, indent);
    for (size_t i = 0; i < text.len; i++) {
        mw_buf_put_c(&buf, text.ptr[i]);
        if (text.ptr[i] == '\n' && i + 1 < text.len)
            mw_buf_put(&buf, indent);
    }
    MW_ASSERT(!buf.overflowed);
    return mw_buf_str(&buf);
}

static void put_escaped(struct mw_buf *out, struct mw_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            mw_buf_put_z(out, "&amp;");
            break;
        case '"':
            mw_buf_put_z(out, "&quot;");
            break;
        case '<':
            mw_buf_put_z(out, "&lt;");
            break;
        case '>':
            mw_buf_put_z(out, "&gt;");
            break;
        default:
            mw_buf_put_c(out, text.ptr[i]);
        }
    }
}
