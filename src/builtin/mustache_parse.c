#include "builtin/mustache_parse.h"
#include "builtin/mustache.h"

struct parser {
    struct mw_mustache_template *template;
    struct mw_str text;
    size_t at;
    uint32_t line; /* of `at` */
    struct mw_str open_mark;
    struct mw_str close_mark;
    uint32_t open_sections[MW_MUSTACHE_DEPTH_MAX];
    uint32_t open_count;
    struct mw_err *err;
};

/* One {{tag}} as it stands in the text. */
struct found {
    size_t from;
    size_t to;
    char sigil; /* '\0': a value */
    struct mw_str content;
};

static enum mw_rc parse_tag(struct parser *p, size_t from);
static enum mw_rc read_tag(struct parser *p, size_t from, struct found *ret_found);
static enum mw_rc apply_tag(struct parser *p, const struct found *found, struct mw_str indent);
static enum mw_rc open_section(struct parser *p, const struct found *found);
static enum mw_rc close_section(struct parser *p, const struct found *found);
static enum mw_rc set_marks(struct parser *p, struct mw_str content);
static struct mw_mustache_tag *add_tag(struct parser *p, enum mw_mustache_kind kind,
                                       struct mw_str text);
static void add_text(struct parser *p, size_t to);
static void move_to(struct parser *p, size_t to);
static bool stands_alone(const struct parser *p, const struct found *found, size_t *ret_line_from,
                         size_t *ret_line_to);
static size_t find(struct mw_str text, struct mw_str part, size_t from);
static enum mw_rc fail(const struct parser *p, const char *what, struct mw_str name);

enum mw_rc mw_mustache_compile(struct mw_arena *arena, struct mw_str name, struct mw_str text,
                               struct mw_mustache_template **ret_template, struct mw_err *err)
{
    /* The shortest tag has 3 bytes, between delimiters of one; each has at most one text before it. */
    size_t tags_max = 2 * (text.len / 3) + 1;
    struct mw_mustache_template *template = mw_arena_array(arena, struct mw_mustache_template, 1);
    struct mw_mustache_tag *tags = mw_arena_array(arena, struct mw_mustache_tag, tags_max);
    if (arena->exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "template %.*s: no memory is left for it",
                       MW_STR_ARG(name));
    *template = (struct mw_mustache_template){.name = name, .tags = tags};
    struct parser p = {.template = template,
                       .text = text,
                       .line = 1,
                       .open_mark = MW_STR("{{"),
                       .close_mark = MW_STR("}}"),
                       .err = err};
    for (;;) {
        size_t from = find(text, p.open_mark, p.at);
        if (from == SIZE_MAX)
            break;
        enum mw_rc rc = parse_tag(&p, from);
        if (rc != MW_OK)
            return rc;
    }
    add_text(&p, text.len);
    if (p.open_count > 0) {
        const struct mw_mustache_tag *open = &tags[p.open_sections[p.open_count - 1]];
        p.line = open->line;
        return fail(&p, "the section is never closed:", open->text);
    }
    MW_ASSERT(template->tag_count <= tags_max);
    *ret_template = template;
    return MW_OK;
}

static enum mw_rc parse_tag(struct parser *p, size_t from)
{
    struct found found = {.sigil = '\0'};
    enum mw_rc rc = read_tag(p, from, &found);
    if (rc != MW_OK)
        return rc;
    size_t line_from = found.from;
    size_t line_to = found.to;
    struct mw_str indent = MW_STR_NONE;
    if (stands_alone(p, &found, &line_from, &line_to))
        indent = mw_str_sub(p->text, line_from, found.from - line_from);
    add_text(p, line_from);
    move_to(p, found.from);
    rc = apply_tag(p, &found, indent);
    move_to(p, line_to);
    return rc;
}

static enum mw_rc read_tag(struct parser *p, size_t from, struct found *ret_found)
{
    struct mw_str close = p->close_mark;
    size_t content_from = from + p->open_mark.len;
    char sigil = content_from < p->text.len ? p->text.ptr[content_from] : '\0';
    bool is_triple = sigil == '{' && mw_str_is(p->open_mark, "{{");
    if (is_triple)
        close = MW_STR("}}}");
    else if (sigil == '=')
        content_from++; /* so that the closing mark is not found in the new marks */
    size_t content_to = find(p->text, close, content_from);
    if (content_to == SIZE_MAX) {
        move_to(p, from);
        return fail(p, "the tag is never closed:", mw_str_sub(p->text, from, 20));
    }
    struct mw_str content = mw_str_sub(p->text, content_from, content_to - content_from);
    bool has_sigil = is_triple || mw_str_find(MW_STR("#^/!>&"), sigil, 0) != SIZE_MAX;
    *ret_found = (struct found){
        .from = from,
        .to = content_to + close.len,
        .sigil = has_sigil || sigil == '=' ? sigil : '\0',
        .content = mw_str_trim(has_sigil ? mw_str_sub(content, 1, SIZE_MAX) : content)};
    return MW_OK;
}

static enum mw_rc apply_tag(struct parser *p, const struct found *found, struct mw_str indent)
{
    if (found->sigil == '!')
        return MW_OK;
    if (found->content.len == 0)
        return fail(p, "the tag has no name", MW_STR_NONE);
    switch (found->sigil) {
    case '#':
    case '^':
        return open_section(p, found);
    case '/':
        return close_section(p, found);
    case '=':
        return set_marks(p, found->content);
    case '>':
        add_tag(p, MW_MUSTACHE_PARTIAL, found->content)->indent = indent;
        return MW_OK;
    case '{':
    case '&':
        add_tag(p, MW_MUSTACHE_RAW_VALUE, found->content);
        return MW_OK;
    default:
        add_tag(p, MW_MUSTACHE_VALUE, found->content);
        return MW_OK;
    }
}

static enum mw_rc open_section(struct parser *p, const struct found *found)
{
    if (p->open_count == MW_MUSTACHE_DEPTH_MAX)
        return MW_FAIL(p->err, MW_E_LIMIT, "template %.*s, line %u: more than %d sections deep",
                       MW_STR_ARG(p->template->name), p->line, MW_MUSTACHE_DEPTH_MAX);
    p->open_sections[p->open_count++] = p->template->tag_count;
    add_tag(p, found->sigil == '#' ? MW_MUSTACHE_SECTION : MW_MUSTACHE_INVERTED, found->content);
    return MW_OK;
}

static enum mw_rc close_section(struct parser *p, const struct found *found)
{
    if (p->open_count == 0)
        return fail(p, "no section is open to be closed by", found->content);
    struct mw_mustache_tag *open = &p->template->tags[p->open_sections[p->open_count - 1]];
    if (!mw_str_eq(open->text, found->content))
        return fail(p, "another section is open than the one closed:", found->content);
    p->open_count--;
    open->next = p->template->tag_count;
    return MW_OK;
}

/* {{=<% %>=}}: content is `<% %>=`. */
static enum mw_rc set_marks(struct parser *p, struct mw_str content)
{
    if (!mw_str_ends(content, MW_STR("=")))
        return fail(p, "a change of delimiters ends with '=':", content);
    struct mw_str marks = mw_str_trim(mw_str_sub(content, 0, content.len - 1));
    size_t end = 0;
    while (end < marks.len && mw_str_trim(mw_str_sub(marks, end, 1)).len > 0)
        end++;
    struct mw_str open = mw_str_sub(marks, 0, end);
    struct mw_str close = mw_str_trim(mw_str_sub(marks, end, SIZE_MAX));
    for (size_t i = 0; i < close.len; i++)
        if (mw_str_trim(mw_str_sub(close, i, 1)).len == 0)
            return fail(p, "delimiters are two words:", content);
    if (open.len == 0 || close.len == 0)
        return fail(p, "delimiters are two words:", content);
    p->open_mark = open;
    p->close_mark = close;
    return MW_OK;
}

static struct mw_mustache_tag *add_tag(struct parser *p, enum mw_mustache_kind kind,
                                       struct mw_str text)
{
    struct mw_mustache_template *template = p->template;
    struct mw_mustache_tag *tag = &template->tags[template->tag_count++];
    *tag = (struct mw_mustache_tag){
        .kind = kind, .line = p->line, .next = template->tag_count, .text = text};
    return tag;
}

static void add_text(struct parser *p, size_t to)
{
    MW_ASSERT(to >= p->at);
    if (to > p->at)
        add_tag(p, MW_MUSTACHE_TEXT, mw_str_sub(p->text, p->at, to - p->at));
    move_to(p, to);
}

static void move_to(struct parser *p, size_t to)
{
    for (; p->at < to; p->at++)
        p->line += p->text.ptr[p->at] == '\n';
}

/* Everything but values on a line without anything else takes the whole line with it. */
static bool stands_alone(const struct parser *p, const struct found *found, size_t *ret_line_from,
                         size_t *ret_line_to)
{
    if (found->sigil == '\0' || found->sigil == '{' || found->sigil == '&')
        return false;
    size_t from = found->from;
    while (from > 0 && (p->text.ptr[from - 1] == ' ' || p->text.ptr[from - 1] == '\t'))
        from--;
    if (from > 0 && p->text.ptr[from - 1] != '\n')
        return false;
    size_t to = found->to;
    while (to < p->text.len && (p->text.ptr[to] == ' ' || p->text.ptr[to] == '\t'))
        to++;
    if (to < p->text.len && p->text.ptr[to] == '\r')
        to++;
    if (to < p->text.len && p->text.ptr[to] != '\n')
        return false;
    *ret_line_from = from;
    *ret_line_to = to < p->text.len ? to + 1 : to;
    return true;
}

static size_t find(struct mw_str text, struct mw_str part, size_t from)
{
    for (;;) {
        size_t at = mw_str_find(text, part.ptr[0], from);
        if (at == SIZE_MAX || mw_str_starts(mw_str_sub(text, at, SIZE_MAX), part))
            return at;
        from = at + 1;
    }
}

static enum mw_rc fail(const struct parser *p, const char *what, struct mw_str name)
{
    return MW_FAIL(p->err, MW_E_CONFIG, "template %.*s, line %u: %s %.*s",
                   MW_STR_ARG(p->template->name), p->line, what, MW_STR_ARG(name));
}
