#include "cli/render.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "posix/heap.h"

#define COLUMNS_MAX 12
#define CELL_MAX 60
#define DEPTH_MAX 12
#define ROWS_LOOKED_AT 200

struct render {
    struct mw_buf *out;
    const struct mw_tape *tape;
    bool color, verbose;
};

static void put_node(struct render *render, uint32_t node, unsigned depth);
static void put_object(struct render *render, uint32_t node, unsigned depth);
static void put_table(struct render *render, uint32_t node, unsigned depth);

bool mw_color_wanted(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) == 1 && (no == NULL || *no == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

const char *mw_color(bool wanted, enum mw_color color)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[32m",
                                        "\033[31m", "\033[33m", "\033[36m"};
    MW_ASSERT((unsigned)color < MW_COUNT(codes));
    return wanted ? codes[color] : "";
}

unsigned mw_terminal_width(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

size_t mw_text_columns(struct mw_str text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.len; i++)
        columns += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return columns;
}

void mw_put_safe(struct mw_buf *out, struct mw_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        /* C0, DEL, and C1 in its UTF-8 form: none of them may reach a terminal. */
        bool c1 = c == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0;
        i += c1;
        mw_buf_put_c(out, c < 0x20 || c == 0x7f || c1 ? ' ' : (char)c);
    }
}

void mw_put_safe_lines(struct mw_buf *out, struct mw_str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t end = mw_str_find(text, '\n', at);
        mw_put_safe(out, mw_str_sub(text, at, end - at));
        if (end < text.len)
            mw_buf_put_c(out, '\n');
        at = end < text.len ? end + 1 : text.len;
    }
}

void mw_put_cut(struct mw_buf *out, struct mw_str text, size_t columns)
{
    if (mw_text_columns(text) <= columns) {
        mw_put_safe(out, text);
        return;
    }
    size_t at = 0, taken = 0;
    while (at < text.len && taken + 1 < columns) {
        at++;
        while (at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80)
            at++;
        taken++;
    }
    mw_put_safe(out, mw_str_sub(text, 0, at));
    if (columns > 0)
        mw_buf_put_z(out, "…");
}

void mw_put_size(struct mw_buf *out, uint64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (bytes < 1000) {
        mw_buf_printf(out, "%lu B", (unsigned long)bytes);
        return;
    }
    size_t unit = 0;
    uint64_t tenths = (bytes + 50) / 100;
    for (; tenths >= 10000 && unit + 1 < MW_COUNT(units); unit++)
        tenths = (tenths + 500) / 1000;
    mw_buf_printf(out, "%lu.%lu %s", (unsigned long)(tenths / 10), (unsigned long)(tenths % 10),
                  units[unit]);
}

void mw_put_ms(struct mw_buf *out, uint64_t ms)
{
    uint64_t tenths = (ms + 50) / 100;
    if (tenths < 600)
        mw_buf_printf(out, "%lu.%lu s", (unsigned long)(tenths / 10), (unsigned long)(tenths % 10));
    else if (ms < 3600000)
        mw_buf_printf(out, "%lu m %lu s", (unsigned long)(ms / 60000),
                      (unsigned long)(ms / 1000 % 60));
    else
        mw_buf_printf(out, "%lu h %lu m", (unsigned long)(ms / 3600000),
                      (unsigned long)(ms / 60000 % 60));
}

void mw_render(struct mw_buf *out, const struct mw_tape *tape, uint32_t node, bool color,
               bool verbose)
{
    struct render render = {out, tape, color, verbose};
    put_node(&render, node, 0);
}

/* ---- the parts ---- */

static bool is_container(const struct mw_tape *tape, uint32_t node)
{
    enum mw_node_type type = mw_node_type(tape, node);
    return type == MW_NODE_OBJECT || type == MW_NODE_ARRAY;
}

static bool is_hidden(const struct render *render, struct mw_str key)
{
    static const char *const names[] = {"traceId",
                                        "trace_id",
                                        "sessionId",
                                        "messageId",
                                        "causationId",
                                        "builderSessionId",
                                        "builder_session_id",
                                        "buildRegistryId",
                                        "build_registry_id",
                                        "workspace_root",
                                        "journey_instance_id",
                                        "blueprintId",
                                        "contract",
                                        "seq",
                                        "sha256"};
    for (size_t i = 0; !render->verbose && i < MW_COUNT(names); i++)
        if (mw_str_is(key, names[i]))
            return true;
    return false;
}

static bool is_tree(const struct render *render, uint32_t node)
{
    for (uint32_t i = mw_node_first(render->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(render->tape, node, i))
        if (is_container(render->tape, i))
            return true;
    return false;
}

static void put_indent(struct render *render, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        mw_buf_put_z(render->out, "  ");
}

static struct mw_str scalar(const struct render *render, uint32_t node)
{
    switch (mw_node_type(render->tape, node)) {
    case MW_NODE_TRUE:
        return MW_STR("yes");
    case MW_NODE_FALSE:
        return MW_STR("no");
    case MW_NODE_INTEGER:
    case MW_NODE_NUMBER:
    case MW_NODE_STRING:
        return render->tape->nodes[node].text;
    default:
        return MW_STR("-");
    }
}

static bool is_block(struct mw_str text)
{
    return mw_str_find(text, '\n', 0) != SIZE_MAX;
}

/* Text of several lines, indented; a unified diff in its colours. */
static void put_block(struct render *render, struct mw_str text, unsigned depth)
{
    for (size_t at = 0; at < text.len;) {
        size_t end = mw_str_find(text, '\n', at);
        if (end == SIZE_MAX)
            end = text.len;
        struct mw_str line = mw_str_sub(text, at, end - at);
        char first = line.len > 0 ? line.ptr[0] : ' ';
        enum mw_color color = first == '+'   ? MW_GREEN
                              : first == '-' ? MW_RED
                              : first == '@' ? MW_CYAN
                                             : MW_PLAIN;
        put_indent(render, depth);
        if (color != MW_PLAIN)
            mw_buf_put_z(render->out, mw_color(render->color, color));
        mw_put_safe(render->out, line);
        if (color != MW_PLAIN)
            mw_buf_put_z(render->out, mw_color(render->color, MW_PLAIN));
        mw_buf_put_c(render->out, '\n');
        at = end + 1;
    }
}

static void put_words(struct render *render, uint32_t node)
{
    bool any = false;
    for (uint32_t i = mw_node_first(render->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(render->tape, node, i)) {
        mw_buf_put_z(render->out, any ? ", " : "");
        mw_put_safe(render->out, scalar(render, i));
        any = true;
    }
    mw_buf_put_z(render->out, any ? "\n" : "-\n");
}

static void put_node(struct render *render, uint32_t node, unsigned depth)
{
    enum mw_node_type type = mw_node_type(render->tape, node);
    if (depth > DEPTH_MAX)
        return;
    if (type == MW_NODE_OBJECT) {
        put_object(render, node, depth);
    } else if (type == MW_NODE_ARRAY && is_tree(render, node)) {
        put_table(render, node, depth);
    } else if (type == MW_NODE_ARRAY) {
        put_indent(render, depth);
        put_words(render, node);
    } else {
        put_indent(render, depth);
        mw_put_safe(render->out, scalar(render, node));
        mw_buf_put_c(render->out, '\n');
    }
}

static void put_key(struct render *render, struct mw_str key, size_t width, unsigned depth)
{
    put_indent(render, depth);
    mw_buf_put_z(render->out, mw_color(render->color, MW_DIM));
    mw_put_safe(render->out, key);
    mw_buf_put_z(render->out, mw_color(render->color, MW_PLAIN));
    size_t columns = mw_text_columns(key);
    for (size_t i = columns; i < (columns > width ? columns : width) + 2; i++)
        mw_buf_put_c(render->out, ' ');
}

/* Stands beside its key: a scalar, a list of words, nothing. */
static bool is_beside(const struct render *render, uint32_t value)
{
    const struct mw_tape *tape = render->tape;
    return !is_container(tape, value) || mw_node_count(tape, value) == 0 ||
           (mw_node_type(tape, value) == MW_NODE_ARRAY && !is_tree(render, value));
}

static void put_object(struct render *render, uint32_t node, unsigned depth)
{
    const struct mw_tape *tape = render->tape;
    size_t width = 0;
    for (uint32_t i = mw_node_first(tape, node); i != MW_NODE_NONE;
         i = mw_node_after(tape, node, i)) {
        size_t columns = mw_text_columns(tape->nodes[i].text);
        if (!is_hidden(render, tape->nodes[i].text) && is_beside(render, i + 1) &&
            columns > width && columns <= 24)
            width = columns;
    }
    for (uint32_t i = mw_node_first(tape, node); i != MW_NODE_NONE;
         i = mw_node_after(tape, node, i)) {
        struct mw_str key = tape->nodes[i].text;
        uint32_t value = i + 1;
        if (is_hidden(render, key) || mw_node_type(tape, value) == MW_NODE_NULL)
            continue;
        bool words = mw_node_type(tape, value) == MW_NODE_ARRAY && !is_tree(render, value);
        if (is_container(tape, value) && mw_node_count(tape, value) == 0) {
            put_key(render, key, width, depth);
            mw_buf_put_z(render->out, "none\n");
        } else if (words) {
            put_key(render, key, width, depth);
            put_words(render, value);
        } else if (is_container(tape, value) || is_block(scalar(render, value))) {
            put_indent(render, depth);
            mw_buf_put_z(render->out, mw_color(render->color, MW_BOLD));
            mw_put_safe(render->out, key);
            mw_buf_put_z(render->out, mw_color(render->color, MW_PLAIN));
            mw_buf_put_c(render->out, '\n');
            if (is_container(tape, value))
                put_node(render, value, depth + 1);
            else
                put_block(render, scalar(render, value), depth + 1);
        } else {
            put_key(render, key, width, depth);
            mw_put_safe(render->out, scalar(render, value));
            mw_buf_put_c(render->out, '\n');
        }
    }
}

/* ---- tables ---- */

struct columns {
    struct mw_str keys[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    size_t count;
};

static void put_value(struct render *render, struct mw_buf *cell, uint32_t value)
{
    const struct mw_tape *tape = render->tape;
    if (mw_node_type(tape, value) == MW_NODE_ARRAY && !is_tree(render, value)) {
        bool any = false;
        for (uint32_t i = mw_node_first(tape, value); i != MW_NODE_NONE;
             i = mw_node_after(tape, value, i)) {
            mw_buf_put_z(cell, any ? ", " : "");
            mw_put_safe(cell, scalar(render, i));
            any = true;
        }
    } else if (is_container(tape, value)) {
        mw_buf_printf(cell, "%u", mw_node_count(tape, value));
    } else {
        mw_put_safe(cell, scalar(render, value));
    }
}

static void collect(struct render *render, uint32_t node, struct columns *columns)
{
    const struct mw_tape *tape = render->tape;
    struct mw_buf cell = mw_heap_buf();
    unsigned looked_at = 0;
    for (uint32_t row = mw_node_first(tape, node);
         row != MW_NODE_NONE && looked_at < ROWS_LOOKED_AT;
         row = mw_node_after(tape, node, row), looked_at++)
        for (uint32_t i = mw_node_type(tape, row) == MW_NODE_OBJECT ? mw_node_first(tape, row)
                                                                    : MW_NODE_NONE;
             i != MW_NODE_NONE; i = mw_node_after(tape, row, i)) {
            size_t at = 0;
            struct mw_str key = tape->nodes[i].text;
            while (at < columns->count && !mw_str_eq(columns->keys[at], key))
                at++;
            if (at == COLUMNS_MAX || is_hidden(render, key) ||
                (at == columns->count && mw_node_type(tape, i + 1) == MW_NODE_NULL))
                continue;
            if (at == columns->count) {
                columns->keys[at] = key;
                columns->widths[at] = mw_text_columns(key);
                columns->count++;
            }
            mw_buf_reset(&cell);
            put_value(render, &cell, i + 1);
            size_t width = mw_text_columns(mw_buf_str(&cell));
            if (width > CELL_MAX)
                width = CELL_MAX;
            if (width > columns->widths[at])
                columns->widths[at] = width;
        }
    mw_heap_buf_free(&cell);
}

static void put_cell(struct render *render, struct mw_str text, size_t width, bool last)
{
    if (last) {
        mw_put_safe(render->out, text);
        return;
    }
    mw_put_cut(render->out, text, width);
    size_t columns = mw_text_columns(text);
    for (size_t i = columns < width ? columns : width; i < width + 2; i++)
        mw_buf_put_c(render->out, ' ');
}

static void put_row(struct render *render, uint32_t row, const struct columns *columns,
                    unsigned depth)
{
    struct mw_buf cell = mw_heap_buf();
    put_indent(render, depth);
    if (mw_node_type(render->tape, row) != MW_NODE_OBJECT) {
        put_value(render, render->out, row);
        mw_buf_put_c(render->out, '\n');
        mw_heap_buf_free(&cell);
        return;
    }
    for (size_t i = 0; i < columns->count; i++) {
        uint32_t value = mw_node_get_str(render->tape, row, columns->keys[i]);
        mw_buf_reset(&cell);
        put_value(render, &cell, value);
        put_cell(render, mw_buf_str(&cell), columns->widths[i], i + 1 == columns->count);
    }
    mw_buf_put_c(render->out, '\n');
    mw_heap_buf_free(&cell);
}

static void put_table(struct render *render, uint32_t node, unsigned depth)
{
    struct columns columns = {.count = 0};
    collect(render, node, &columns);
    put_indent(render, depth);
    mw_buf_put_z(render->out, mw_color(render->color, MW_DIM));
    for (size_t i = 0; i < columns.count; i++)
        put_cell(render, columns.keys[i], columns.widths[i], i + 1 == columns.count);
    mw_buf_put_z(render->out, mw_color(render->color, MW_PLAIN));
    mw_buf_put_c(render->out, '\n');
    for (uint32_t row = mw_node_first(render->tape, node); row != MW_NODE_NONE;
         row = mw_node_after(render->tape, node, row))
        put_row(render, row, &columns, depth);
}
