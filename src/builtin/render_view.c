#include "builtin/render_view.h"
#include "builtin/render_words.h"

static const struct mw_mustache_value absent = {NULL, MW_NODE_NONE};

struct view {
    struct mw_arena *arena;
    const struct mw_mustache_frame *stack;
    uint32_t depth;
};

typedef struct mw_mustache_value derive_fn(const struct view *view, struct mw_str left,
                                           struct mw_str right);

/* NAME_suffix, has_NAME, LEFT_word_RIGHT. Tried in this order; each gives absent when it does not apply. */
struct rule {
    enum { PREFIX, SUFFIX, INFIX } place;
    struct mw_str word;
    derive_fn *derive;
};

static derive_fn derive_has, derive_defines, derive_json, derive_entries, derive_is, derive_in,
    derive_where, derive_by;

static const struct rule rules[] = {
    {PREFIX, {"has_", 4}, derive_has},     {PREFIX, {"defines_", 8}, derive_defines},
    {SUFFIX, {"_json", 5}, derive_json},   {SUFFIX, {"_entries", 8}, derive_entries},
    {INFIX, {"_is_", 4}, derive_is},       {INFIX, {"_in_", 4}, derive_in},
    {INFIX, {"_where_", 7}, derive_where}, {INFIX, {"_by_", 4}, derive_by},
};

static struct mw_mustache_value derive(const struct view *view, struct mw_str name);
static struct mw_mustache_value derive_place(const struct view *view, struct mw_str name);
static struct mw_mustache_value derive_case(const struct view *view, struct mw_str name);
static struct mw_mustache_value derive_filter(const struct view *view, struct mw_str name);
static struct mw_mustache_value filter(const struct view *view, struct mw_mustache_value list,
                                       struct mw_str question, bool wanted);
static struct mw_mustache_value try_rule(const struct view *view, const struct rule *rule,
                                         struct mw_str name);
static struct mw_mustache_value look_up(const struct view *view, struct mw_str name);
static struct mw_mustache_value of_json(const struct view *view, const struct mw_buf *json_text);
static struct mw_mustache_value of_bool(const struct view *view, bool value);
static struct mw_buf scratch(const struct view *view, size_t cap);
static size_t json_size(struct mw_mustache_value value);
static struct mw_str text_of(struct mw_mustache_value value);
static bool is_type(struct mw_mustache_value value, enum mw_node_type type);

struct mw_mustache_value mw_render_derive(void *self, const struct mw_mustache_frame *stack,
                                          struct mw_str name)
{
    struct view view = {self, stack, 0};
    return derive(&view, name);
}

static struct mw_mustache_value derive(const struct view *view, struct mw_str name)
{
    if (view->depth >= MW_RENDER_DERIVE_MAX)
        return absent;
    struct view inner = {view->arena, view->stack, view->depth + 1};
    struct mw_mustache_value value = derive_place(&inner, name);
    if (value.tape == NULL)
        value = derive_case(&inner, name);
    if (value.tape == NULL && !mw_str_starts(name, MW_STR("has_")))
        value = derive_filter(&inner, name);
    for (size_t i = 0; i < MW_COUNT(rules) && value.tape == NULL; i++)
        value = try_rule(&inner, &rules[i], name);
    return value;
}

/* this: the context itself. first, last, index: where the item stands in its array. */
static struct mw_mustache_value derive_place(const struct view *view, struct mw_str name)
{
    if (mw_str_is(name, "this") && view->stack != NULL)
        return view->stack->value;
    const struct mw_mustache_frame *frame = view->stack;
    while (frame != NULL && frame->count == 0)
        frame = frame->outer;
    if (frame == NULL)
        return absent;
    if (mw_str_is(name, "first"))
        return of_bool(view, frame->index == 0);
    if (mw_str_is(name, "last"))
        return of_bool(view, frame->index + 1 == frame->count);
    if (!mw_str_is(name, "index"))
        return absent;
    struct mw_buf text = scratch(view, 16);
    mw_buf_put_u64(&text, frame->index);
    return of_json(view, &text);
}

/* NAME_kebab and its like: a string in another spelling. */
static struct mw_mustache_value derive_case(const struct view *view, struct mw_str name)
{
    for (uint32_t style = 0; style < MW_RENDER_WORDS_STYLE_COUNT; style++) {
        struct mw_str suffix = mw_render_words_style_name((enum mw_render_words_style)style);
        if (name.len <= suffix.len + 1 || !mw_str_ends(name, suffix) ||
            name.ptr[name.len - suffix.len - 1] != '_')
            continue;
        struct mw_mustache_value base =
            look_up(view, mw_str_sub(name, 0, name.len - suffix.len - 1));
        if (!is_type(base, MW_NODE_STRING))
            continue;
        struct mw_str text = text_of(base);
        struct mw_buf spelled = scratch(view, 2 * text.len + 1);
        mw_render_words_put(&spelled, text, (enum mw_render_words_style)style);
        struct mw_buf quoted = scratch(view, 6 * spelled.len + 2);
        struct mw_json json;
        mw_json_init(&json, &quoted);
        mw_json_str(&json, mw_buf_str(&spelled));
        return of_json(view, &quoted);
    }
    return absent;
}

static struct mw_mustache_value try_rule(const struct view *view, const struct rule *rule,
                                         struct mw_str name)
{
    size_t word_len = rule->word.len;
    if (name.len <= word_len)
        return absent;
    if (rule->place == PREFIX)
        return mw_str_starts(name, rule->word)
                   ? rule->derive(view, mw_str_sub(name, word_len, SIZE_MAX), MW_STR_NONE)
                   : absent;
    if (rule->place == SUFFIX)
        return mw_str_ends(name, rule->word)
                   ? rule->derive(view, mw_str_sub(name, 0, name.len - word_len), MW_STR_NONE)
                   : absent;
    for (size_t at = 1; at + word_len < name.len; at++) {
        if (!mw_str_eq(mw_str_sub(name, at, word_len), rule->word))
            continue;
        struct mw_mustache_value value =
            rule->derive(view, mw_str_sub(name, 0, at), mw_str_sub(name, at + word_len, SIZE_MAX));
        if (value.tape != NULL)
            return value;
    }
    return absent;
}

static struct mw_mustache_value derive_has(const struct view *view, struct mw_str left,
                                           struct mw_str right)
{
    (void)right; /* prefixes have one side */
    struct mw_mustache_value value = look_up(view, left);
    bool is_empty_object =
        is_type(value, MW_NODE_OBJECT) && value.tape->nodes[value.node].count == 0;
    return of_bool(view, mw_mustache_is_true(value) && !is_empty_object);
}

static struct mw_mustache_value derive_defines(const struct view *view, struct mw_str left,
                                               struct mw_str right)
{
    (void)right; /* prefixes have one side */
    struct mw_mustache_value value = look_up(view, left);
    return of_bool(view, value.tape != NULL && !is_type(value, MW_NODE_NULL));
}

/*
 * LIST_if_NAME and LIST_unless_NAME: the items for which NAME is true, or is not. NAME may be derived. The last word of several decides
 * about what the ones before it have left.
 */
static struct mw_mustache_value derive_filter(const struct view *view, struct mw_str name)
{
    static const struct mw_str words[] = {{"_unless_", 8}, {"_if_", 4}};
    for (size_t at = name.len; at-- > 1;) {
        struct mw_str rest = mw_str_sub(name, at, SIZE_MAX);
        bool wanted = mw_str_starts(rest, words[1]);
        if (!wanted && !mw_str_starts(rest, words[0]))
            continue;
        struct mw_str question = mw_str_sub(rest, words[wanted].len, SIZE_MAX);
        struct mw_mustache_value list = look_up(view, mw_str_sub(name, 0, at));
        if (is_type(list, MW_NODE_ARRAY))
            return filter(view, list, question, wanted);
    }
    return absent;
}

static struct mw_mustache_value filter(const struct view *view, struct mw_mustache_value list,
                                       struct mw_str question, bool wanted)
{
    struct mw_buf text = scratch(view, json_size(list));
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_array(&json);
    uint32_t item = mw_node_first(list.tape, list.node);
    for (; item != MW_NODE_NONE; item = mw_node_after(list.tape, list.node, item)) {
        struct mw_mustache_frame frame = {.value = {list.tape, item}};
        struct view inner = {view->arena, &frame, view->depth};
        if (mw_mustache_is_true(look_up(&inner, question)) == wanted)
            mw_json_node(&json, list.tape, item);
    }
    mw_json_array_end(&json);
    return of_json(view, &text);
}

/* NAME_json: the value as JSON text, with a space after every comma and colon, which is also how code writes literals. */
static struct mw_mustache_value derive_json(const struct view *view, struct mw_str left,
                                            struct mw_str right)
{
    (void)right; /* suffixes have one side */
    struct mw_mustache_value value = look_up(view, left);
    if (value.tape == NULL)
        return absent;
    size_t cap = json_size(value);
    struct mw_buf compact = scratch(view, cap);
    struct mw_json json;
    mw_json_init(&json, &compact);
    mw_json_node(&json, value.tape, value.node);
    struct mw_buf spaced = scratch(view, 2 * compact.len);
    bool in_string = false;
    for (size_t i = 0; i < compact.len; i++) {
        char c = compact.ptr[i];
        mw_buf_put_c(&spaced, c);
        if (c == '\\') /* only in strings; what follows is one character */
            mw_buf_put_c(&spaced, compact.ptr[++i]);
        in_string = in_string != (c == '"');
        if (!in_string && (c == ',' || c == ':'))
            mw_buf_put_c(&spaced, ' ');
    }
    struct mw_buf quoted = scratch(view, 6 * spaced.len + 2);
    mw_json_init(&json, &quoted);
    mw_json_str(&json, mw_buf_str(&spaced));
    return of_json(view, &quoted);
}

/* NAME_entries: an object's members as an array of {key, value}. */
static struct mw_mustache_value derive_entries(const struct view *view, struct mw_str left,
                                               struct mw_str right)
{
    (void)right; /* suffixes have one side */
    struct mw_mustache_value object = look_up(view, left);
    if (!is_type(object, MW_NODE_OBJECT))
        return absent;
    struct mw_buf text =
        scratch(view, json_size(object) + 32 * (size_t)mw_node_count(object.tape, object.node));
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_array(&json);
    uint32_t key = mw_node_first(object.tape, object.node);
    for (; key != MW_NODE_NONE; key = mw_node_after(object.tape, object.node, key)) {
        mw_json_object(&json);
        mw_json_kstr(&json, "key", mw_node_str(object.tape, key));
        mw_json_knode(&json, "value", object.tape, key + 1);
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    return of_json(view, &text);
}

/* NAME_is_VALUE: whether the string NAME equals VALUE. A name that nothing has is no string and equals nothing. */
static struct mw_mustache_value derive_is(const struct view *view, struct mw_str left,
                                          struct mw_str right)
{
    struct mw_mustache_value value = look_up(view, left);
    return of_bool(view, is_type(value, MW_NODE_STRING) && mw_str_eq(text_of(value), right));
}

/* NAME_in_LIST: the item of LIST whose `name` is the string NAME. */
static struct mw_mustache_value derive_in(const struct view *view, struct mw_str left,
                                          struct mw_str right)
{
    struct mw_mustache_value value = look_up(view, left);
    struct mw_mustache_value list = look_up(view, right);
    if (!is_type(value, MW_NODE_STRING) || !is_type(list, MW_NODE_ARRAY))
        return absent;
    uint32_t item = mw_node_first(list.tape, list.node);
    while (item != MW_NODE_NONE &&
           !mw_str_eq(mw_node_get_text(list.tape, item, "name"), text_of(value)))
        item = mw_node_after(list.tape, list.node, item);
    return item != MW_NODE_NONE ? (struct mw_mustache_value){list.tape, item} : absent;
}

/* LIST_where_KEY: the items of LIST whose member KEY is the `name` of the context. */
static struct mw_mustache_value derive_where(const struct view *view, struct mw_str left,
                                             struct mw_str right)
{
    struct mw_mustache_value list = look_up(view, left);
    struct mw_mustache_value name = look_up(view, MW_STR("name"));
    if (!is_type(list, MW_NODE_ARRAY) || !is_type(name, MW_NODE_STRING))
        return absent;
    struct mw_buf text = scratch(view, json_size(list));
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_array(&json);
    uint32_t item = mw_node_first(list.tape, list.node);
    for (; item != MW_NODE_NONE; item = mw_node_after(list.tape, list.node, item)) {
        uint32_t member = mw_node_get_str(list.tape, item, right);
        if (mw_str_eq(mw_node_str(list.tape, member), text_of(name)))
            mw_json_node(&json, list.tape, item);
    }
    mw_json_array_end(&json);
    return of_json(view, &text);
}

/* LIST_by_KEY: an array of {KEY: value, items}, one for each string that the items have under KEY, in order of appearance. */
static struct mw_mustache_value derive_by(const struct view *view, struct mw_str left,
                                          struct mw_str right)
{
    struct mw_mustache_value list = look_up(view, left);
    if (!is_type(list, MW_NODE_ARRAY))
        return absent;
    uint32_t count = mw_node_count(list.tape, list.node);
    struct mw_buf text = scratch(view, 2 * json_size(list) + count * (right.len + 32));
    uint32_t *items = mw_arena_array(view->arena, uint32_t, count + 1);
    if (items == NULL)
        return absent;
    uint32_t at = 0;
    for (uint32_t item = mw_node_first(list.tape, list.node); item != MW_NODE_NONE;
         item = mw_node_after(list.tape, list.node, item))
        items[at++] = item;
    struct mw_json json;
    mw_json_init(&json, &text);
    mw_json_array(&json);
    for (uint32_t i = 0; i < count; i++) {
        if (items[i] == MW_NODE_NONE)
            continue; /* in a group already */
        struct mw_str key = mw_node_str(list.tape, mw_node_get_str(list.tape, items[i], right));
        mw_json_object(&json);
        mw_json_key(&json, right);
        mw_json_str(&json, key);
        mw_json_karray(&json, "items");
        for (uint32_t k = i; k < count; k++) {
            if (items[k] == MW_NODE_NONE ||
                !mw_str_eq(mw_node_str(list.tape, mw_node_get_str(list.tape, items[k], right)),
                           key))
                continue;
            mw_json_node(&json, list.tape, items[k]);
            items[k] = MW_NODE_NONE;
        }
        mw_json_array_end(&json);
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    return of_json(view, &text);
}

static struct mw_mustache_value look_up(const struct view *view, struct mw_str name)
{
    struct mw_mustache_value value = mw_mustache_find(view->stack, name);
    return value.tape != NULL ? value : derive(view, name);
}

/* Derived values are values like any other: their JSON is read into a tape of their own. */
static struct mw_mustache_value of_json(const struct view *view, const struct mw_buf *json_text)
{
    struct mw_tape *tape = mw_arena_array(view->arena, struct mw_tape, 1);
    if (tape == NULL || json_text->overflowed)
        return absent;
    struct mw_err err;
    if (mw_json_parse(view->arena, mw_buf_str(json_text), tape, &err) != MW_OK)
        return absent; /* the arena is full: rendering ends with that */
    return (struct mw_mustache_value){tape, 0};
}

static struct mw_mustache_value of_bool(const struct view *view, bool value)
{
    struct mw_buf text = scratch(view, 8);
    mw_buf_put_z(&text, value ? "true" : "false");
    return of_json(view, &text);
}

static struct mw_buf scratch(const struct view *view, size_t cap)
{
    struct mw_buf buf;
    char *memory = mw_arena_alloc(view->arena, cap);
    mw_buf_init(&buf, memory, memory != NULL ? cap : 0);
    return buf;
}

/* An upper bound of the bytes that mw_json_node writes. */
static size_t json_size(struct mw_mustache_value value)
{
    size_t size = 0;
    for (uint32_t i = value.node; i < value.tape->nodes[value.node].next; i++) {
        const struct mw_node *node = &value.tape->nodes[i];
        bool is_container = node->type == MW_NODE_ARRAY || node->type == MW_NODE_OBJECT;
        size += 8 + (is_container ? 0 : 6 * node->text.len);
    }
    return size;
}

static struct mw_str text_of(struct mw_mustache_value value)
{
    return mw_node_str(value.tape, value.node);
}

static bool is_type(struct mw_mustache_value value, enum mw_node_type type)
{
    return value.tape != NULL && mw_node_type(value.tape, value.node) == type;
}
