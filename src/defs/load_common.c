/* load_common.c - reading one file's nodes with errors that an editor can jump to. */
#include "defs/load.h"

#include "msg/msg.h"

#include <string.h>

#define WORD_MAX 64

struct text_sink {
    char *at;
    size_t left;
};

static void put_text(void *sink, const char *bytes, size_t len)
{
    struct text_sink *text = sink;
    size_t taken = len < text->left ? len : text->left;
    memcpy(text->at, bytes, taken);
    text->at += taken;
    text->left -= taken;
}

static bool refuse(struct loader *l, uint32_t line, uint32_t column, const char *format,
                   va_list args)
{
    char text[MW_ERR_TEXT_MAX / 2];
    struct text_sink sink = {text, sizeof text - 1};
    mw_format(put_text, &sink, format, args);
    *sink.at = '\0';
    l->rc = MW_FAIL(l->err, MW_E_CONFIG, "%.*s:%u:%u: %s", MW_STR_ARG(l->file->path), line, column,
                    text);
    return false;
}

bool load_refuse_at(struct loader *l, uint32_t line, uint32_t column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse(l, line, column, format, args);
    va_end(args);
    return false;
}

bool load_refuse(struct loader *l, uint32_t node, const char *format, ...)
{
    const struct mw_node *at = node < l->tape->count ? &l->tape->nodes[node] : NULL;
    va_list args;
    va_start(args, format);
    refuse(l, at ? at->line : 1, at ? at->column : 1, format, args);
    va_end(args);
    return false;
}

void *load_alloc(struct loader *l, size_t item_bytes, size_t count)
{
    void *items = mw_arena_alloc_array(l->arena, item_bytes, count > 0 ? count : 1);
    if (items == NULL)
        load_memory(l);
    return items;
}

bool load_memory(struct loader *l)
{
    l->rc = MW_FAIL(l->err, MW_E_LIMIT, "no memory left for the definitions");
    return false;
}

bool load_add(struct loader *l, struct load_list *list, void *item)
{
    if (list->count == list->cap) {
        uint32_t cap = list->cap > 0 ? list->cap * 2 : 16;
        void **items = load_array(l, void *, cap);
        if (items == NULL)
            return false;
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    return true;
}

uint32_t load_line(const struct loader *l, uint32_t node)
{
    return node < l->tape->count ? l->tape->nodes[node].line : 1;
}

uint32_t load_key(const struct loader *l, uint32_t object, const char *key)
{
    return mw_node_get(l->tape, object, key);
}

/* The next word of a list separated by spaces; empty at the end. */
static struct mw_str next_word(const char **at)
{
    while (**at == ' ')
        (*at)++;
    const char *from = *at;
    while (**at != ' ' && **at != '\0')
        (*at)++;
    return (struct mw_str){from, (size_t)(*at - from)};
}

unsigned load_distance(struct mw_str a, struct mw_str b)
{
    unsigned row[WORD_MAX + 1];
    if (a.len > WORD_MAX || b.len > WORD_MAX)
        return WORD_MAX;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned change = diagonal + (a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1);
            unsigned other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[b.len];
}

static bool is_near(struct mw_str word, struct mw_str other, unsigned *best)
{
    unsigned distance = load_distance(word, other);
    if (distance >= *best || distance * 2 > word.len)
        return false;
    *best = distance;
    return true;
}

struct mw_str load_near(struct mw_str word, const char *words)
{
    struct mw_str near = MW_STR_NONE;
    unsigned best = 4;
    for (struct mw_str other = next_word(&words); other.len > 0; other = next_word(&words))
        if (is_near(word, other, &best))
            near = other;
    return near;
}

struct mw_str load_near_name(const struct loader *l, enum load_kind kind, struct mw_str word)
{
    struct mw_str near = MW_STR_NONE;
    unsigned best = 4;
    for (uint32_t i = 0; i < l->names.count; i++) {
        const struct load_name *name = l->names.items[i];
        if (name->kind == kind && is_near(word, name->name, &best))
            near = name->name;
    }
    return near;
}

static bool names_an_agent(struct mw_str key)
{
    return mw_str_is(key, "agent") || mw_str_is(key, "agents") || mw_str_is(key, "agent_id") ||
           mw_str_is(key, "agentId") || mw_str_is(key, "targetAgent") ||
           mw_str_is(key, "target_agent");
}

bool load_keys(struct loader *l, uint32_t node, const char *keys, const char *what)
{
    if (mw_node_type(l->tape, node) != MW_NODE_OBJECT)
        return load_refuse(l, node, "%s is a mapping of names to values; it may have: %s", what,
                           keys);
    for (uint32_t i = mw_node_first(l->tape, node); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, node, i)) {
        struct mw_str key = mw_node_str(l->tape, i);
        const char *at = keys;
        struct mw_str word = next_word(&at);
        while (word.len > 0 && !mw_str_eq(word, key))
            word = next_word(&at);
        if (word.len > 0)
            continue;
        if (names_an_agent(key))
            return load_refuse(l, i,
                               "%s names an agent ('%.*s'); definitions name skills, never agents",
                               what, MW_STR_ARG(key));
        struct mw_str near = load_near(key, keys);
        if (near.len > 0)
            return load_refuse(l, i, "%s has no key '%.*s'; did you mean '%.*s'?", what,
                               MW_STR_ARG(key), MW_STR_ARG(near));
        return load_refuse(l, i, "%s has no key '%.*s'; it may have: %s", what, MW_STR_ARG(key),
                           keys);
    }
    return true;
}

bool load_need(struct loader *l, uint32_t object, const char *key, const char *what,
               uint32_t *ret_node)
{
    uint32_t node = load_key(l, object, key);
    if (node == MW_NODE_NONE)
        return load_refuse(l, object, "%s needs '%s:'", what, key);
    *ret_node = node;
    return true;
}

bool load_text(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_text)
{
    if (mw_node_type(l->tape, node) != MW_NODE_STRING)
        return load_refuse(l, node, "%s is text", what);
    struct mw_str text = mw_str_trim(mw_node_str(l->tape, node));
    if (text.len == 0)
        return load_refuse(l, node, "%s is empty", what);
    *ret_text = mw_arena_copy(l->arena, text);
    return true;
}

bool load_word(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_text)
{
    struct mw_str text;
    if (!load_text(l, node, what, &text))
        return false;
    bool good = text.len <= WORD_MAX;
    for (size_t i = 0; i < text.len && good; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        good = letter || (i > 0 && ((c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'));
    }
    if (!good)
        return load_refuse(
            l, node,
            "%s is a name of letters, digits, '_', '-' and '.', at most %d, starting "
            "with a letter; not '%.*s'",
            what, WORD_MAX, (int)(text.len < 80 ? text.len : 80), text.ptr);
    *ret_text = text;
    return true;
}

bool load_type(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_type)
{
    struct mw_str type;
    if (!load_text(l, node, what, &type))
        return false;
    if (!mw_type_is_well_formed(type))
        return load_refuse(l, node,
                           "%s '%.*s' is not well-formed; write NounVerb (events) or VerbNoun "
                           "(commands) in PascalCase, such as HandlerReady",
                           what, (int)(type.len < 80 ? type.len : 80), type.ptr);
    *ret_type = type;
    return true;
}

typedef bool read_text(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_text);

static bool read_texts(struct loader *l, uint32_t node, const char *what, read_text *read,
                       const struct mw_str **ret_items, uint32_t *ret_count)
{
    *ret_items = NULL;
    *ret_count = 0;
    if (mw_node_is_null(l->tape, node))
        return true;
    bool list = mw_node_type(l->tape, node) == MW_NODE_ARRAY;
    uint32_t count = list ? mw_node_count(l->tape, node) : 1;
    if (count > MW_TEXTS_MAX)
        return load_refuse(l, node, "%s: more than %d", what, MW_TEXTS_MAX);
    struct mw_str *items = load_array(l, struct mw_str, count);
    if (items == NULL)
        return false;
    uint32_t at = list ? mw_node_first(l->tape, node) : node;
    for (uint32_t i = 0; i < count; i++) {
        if (!read(l, at, what, &items[i]))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (mw_str_eq(items[j], items[i]))
                return load_refuse(l, at, "%s '%.*s' is there twice", what, MW_STR_ARG(items[i]));
        if (list)
            at = mw_node_after(l->tape, node, at);
    }
    *ret_items = items;
    *ret_count = count;
    return true;
}

bool load_texts(struct loader *l, uint32_t node, const char *what, const struct mw_str **ret_items,
                uint32_t *ret_count)
{
    return read_texts(l, node, what, load_text, ret_items, ret_count);
}

static bool read_wait(struct loader *l, uint32_t node, const char *what, struct mw_str *ret_type)
{
    return load_type(l, node, what, ret_type) &&
           load_wait_add(l, *ret_type, l->tape->nodes[node].line, l->tape->nodes[node].column);
}

bool load_waits(struct loader *l, uint32_t node, const struct mw_str **ret_items,
                uint32_t *ret_count)
{
    return read_texts(l, node, "event", read_wait, ret_items, ret_count);
}

bool load_bool(struct loader *l, uint32_t object, const char *key, bool otherwise, bool *ret_value)
{
    uint32_t node = load_key(l, object, key);
    enum mw_node_type type = mw_node_type(l->tape, node);
    if (node != MW_NODE_NONE && type != MW_NODE_TRUE && type != MW_NODE_FALSE)
        return load_refuse(l, node, "'%s' is true or false", key);
    *ret_value = mw_node_bool(l->tape, node, otherwise);
    return true;
}

bool load_number(struct loader *l, uint32_t object, const char *key, int64_t least, int64_t most,
                 int64_t otherwise, int64_t *ret_value)
{
    uint32_t node = load_key(l, object, key);
    if (node == MW_NODE_NONE) {
        *ret_value = otherwise;
        return true;
    }
    int64_t value = mw_node_int(l->tape, node, 0);
    if (mw_node_type(l->tape, node) != MW_NODE_INTEGER || value < least || value > most)
        return load_refuse(l, node, "'%s' is a whole number from %ld to %ld", key, (long)least,
                           (long)most);
    *ret_value = value;
    return true;
}

static bool duration_of(struct mw_str text, uint32_t *ret_ms)
{
    static const struct {
        char unit[3];
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    size_t digits = 0;
    int64_t value = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (digits == 0 || digits > 10 || !mw_str_to_i64(mw_str_sub(text, 0, digits), &value))
        return false;
    for (size_t i = 0; i < MW_COUNT(units); i++)
        if (mw_str_is(mw_str_sub(text, digits, text.len), units[i].unit)) {
            if (value < 1 || value > MW_DURATION_MAX_MS / units[i].ms)
                return false;
            *ret_ms = (uint32_t)(value * units[i].ms);
            return true;
        }
    return false;
}

bool load_duration(struct loader *l, uint32_t object, const char *key, uint32_t otherwise_ms,
                   uint32_t *ret_ms)
{
    uint32_t node = load_key(l, object, key);
    if (node == MW_NODE_NONE) {
        *ret_ms = otherwise_ms;
        return true;
    }
    if (!duration_of(mw_node_str(l->tape, node), ret_ms))
        return load_refuse(l, node, "'%s' is a duration such as 250ms, 90s, 5m or 1h, at most 168h",
                           key);
    return true;
}
