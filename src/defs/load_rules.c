/* load_rules.c - routing rules in the two ways of writing them: as a list, or in the seed's if / then / else if / else. */
#include "defs/load.h"

#include "msg/msg.h"

#define HERE (LOAD_ITEM | LOAD_OUTER | LOAD_EVENT | LOAD_FACTS)

/* Being read: at most MW_RULES_MAX, and after an else nothing. */
struct reading {
    struct mw_rule *items;
    uint32_t count;
    struct mw_str name;
    bool closed; /* the else was there */
};

static bool begin(struct loader *l, struct reading *reading)
{
    *reading = (struct reading){.items = load_array(l, struct mw_rule, MW_RULES_MAX)};
    return reading->items != NULL && load_rules_name(l, &reading->name);
}

/* The rule that comes next; its id is the set's name and a number unless `id` is there. */
static bool open_rule(struct loader *l, struct reading *reading, uint32_t line, uint32_t column,
                      struct mw_str id, struct mw_rule **ret_rule)
{
    if (reading->closed)
        return load_refuse_at(l, line, column, "nothing comes after 'else:'");
    if (reading->count == MW_RULES_MAX)
        return load_refuse_at(l, line, column, "more than %d rules", MW_RULES_MAX);
    struct mw_rule *rule = &reading->items[reading->count++];
    rule->line = line;
    rule->column = column;
    rule->id =
        id.len > 0
            ? mw_arena_format(l->arena, "%.*s/%.*s", MW_STR_ARG(reading->name), MW_STR_ARG(id))
            : mw_arena_format(l->arena, "%.*s/%u", MW_STR_ARG(reading->name), reading->count);
    *ret_rule = rule;
    return rule->id.ptr != NULL || load_memory(l);
}

static bool end(struct loader *l, const struct reading *reading, struct mw_rules *ret_rules)
{
    if (reading->count == 0)
        return load_refuse_at(l, 1, 1, "there is no rule");
    *ret_rules = (struct mw_rules){reading->name, reading->items, reading->count};
    return true;
}

bool load_rules_name(struct loader *l, struct mw_str *ret_name)
{
    struct mw_str path = l->file->path;
    size_t from = 0;
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '/')
            from = i + 1;
    struct mw_str name = mw_str_sub(path, from, path.len);
    size_t dot = mw_str_find(name, '.', 0);
    name = mw_str_sub(name, 0, dot < name.len ? dot : name.len);
    if (name.len == 0)
        return load_refuse_at(l, 1, 1, "rules have the name of their file, and it has none");
    *ret_name = mw_arena_copy(l->arena, name);
    return ret_name->ptr != NULL || load_memory(l);
}

/* ---- the list form ---- */

static bool read_action(struct loader *l, uint32_t node, struct mw_rule *rule)
{
    uint32_t route = load_key(l, node, "route");
    bool skip;
    if (!load_keys(l, node, "route skip", "what a rule does") ||
        !load_bool(l, node, "skip", false, &skip))
        return false;
    if (skip == (route != MW_NODE_NONE))
        return load_refuse(l, node, "a rule does 'route: Skill' or 'skip: true', one of the two");
    rule->line = l->tape->nodes[node].line;
    rule->column = l->tape->nodes[node].column;
    if (skip)
        return true;
    rule->line = l->tape->nodes[route].line;
    rule->column = l->tape->nodes[route].column;
    return load_type(l, route, "route", &rule->route);
}

static bool read_condition(struct loader *l, uint32_t node, struct mw_rule *rule)
{
    return load_expr(l, node, HERE, &rule->when) &&
           load_field_of(l, rule->when, load_line(l, node), l->tape->nodes[node].column, HERE,
                         &rule->field);
}

static bool read_else(struct loader *l, uint32_t node, struct reading *reading);

static bool read_rule(struct loader *l, uint32_t node, struct reading *reading)
{
    uint32_t id_node = load_key(l, node, "id");
    uint32_t condition = load_key(l, node, "if");
    uint32_t otherwise = load_key(l, node, "else");
    uint32_t then;
    struct mw_str id = MW_STR_NONE;
    struct mw_rule *rule = NULL;
    if (!load_keys(l, node, "id if then else", "a rule") ||
        (id_node != MW_NODE_NONE && !load_word(l, id_node, "a rule's id", &id)))
        return false;
    if (condition == MW_NODE_NONE && otherwise != MW_NODE_NONE &&
        load_key(l, node, "then") == MW_NODE_NONE)
        return read_else(l, otherwise, reading);
    if (!open_rule(l, reading, load_line(l, node), l->tape->nodes[node].column, id, &rule) ||
        !load_need(l, node, "if", "a rule", &condition) ||
        !load_need(l, node, "then", "a rule", &then) || !read_condition(l, condition, rule) ||
        !read_action(l, then, rule))
        return false;
    return otherwise == MW_NODE_NONE || read_else(l, otherwise, reading);
}

/* Else: an action, or the next if. Nesting is bounded by the tape's depth. */
static bool read_else(struct loader *l, uint32_t node, struct reading *reading)
{
    struct mw_rule *rule = NULL;
    if (load_key(l, node, "if") != MW_NODE_NONE)
        return read_rule(l, node, reading);
    if (!open_rule(l, reading, load_line(l, node), l->tape->nodes[node].column, MW_STR("else"),
                   &rule) ||
        !read_action(l, node, rule))
        return false;
    reading->closed = true;
    return true;
}

bool load_rules_tape(struct loader *l, struct mw_rules *ret_rules)
{
    struct reading reading;
    uint32_t list = load_key(l, 0, "rules");
    uint32_t otherwise = load_key(l, 0, "else");
    if (!begin(l, &reading))
        return false;
    if (list == MW_NODE_NONE)
        return read_rule(l, 0, &reading) && end(l, &reading, ret_rules);
    if (!load_keys(l, 0, "rules else", "a file of rules"))
        return false;
    if (mw_node_type(l->tape, list) != MW_NODE_ARRAY)
        return load_refuse(l, list, "'rules' is a list");
    for (uint32_t i = mw_node_first(l->tape, list); i != MW_NODE_NONE;
         i = mw_node_after(l->tape, list, i))
        if (!read_rule(l, i, &reading))
            return false;
    if (otherwise != MW_NODE_NONE && !read_else(l, otherwise, &reading))
        return false;
    return end(l, &reading, ret_rules);
}

/* ---- the seed's spelling ---- */

enum word { WORD_NONE, WORD_IF, WORD_THEN, WORD_ELSE_IF, WORD_ELSE };

/* A keyword at the beginning of a line, and everything up to the next one. */
struct part {
    enum word word;
    uint32_t line;      /* of the keyword */
    struct mw_str body; /* trimmed */
    uint32_t body_line;
    uint32_t body_column;
};

struct lines {
    struct mw_str text;
    size_t at;
    uint32_t line; /* of the next one */
};

static bool next_line(struct lines *lines, struct mw_str *ret_line)
{
    if (lines->at >= lines->text.len)
        return false;
    size_t end_at = mw_str_find(lines->text, '\n', lines->at);
    end_at = end_at < lines->text.len ? end_at : lines->text.len;
    *ret_line = mw_str_sub(lines->text, lines->at, end_at - lines->at);
    lines->at = end_at + 1;
    lines->line++;
    return true;
}

static bool is_blank(struct mw_str line)
{
    struct mw_str text = mw_str_trim(line);
    return text.len == 0 || text.ptr[0] == '#' || mw_str_is(text, "---");
}

static enum word word_of(struct mw_str line, size_t *ret_len)
{
    static const struct {
        const char *text;
        enum word word;
    } words[] = {
        {"if:", WORD_IF}, {"then:", WORD_THEN}, {"else if:", WORD_ELSE_IF}, {"else:", WORD_ELSE}};
    for (size_t i = 0; i < MW_COUNT(words); i++)
        if (mw_str_starts(line, mw_str_of(words[i].text))) {
            *ret_len = mw_str_of(words[i].text).len;
            return words[i].word;
        }
    return WORD_NONE;
}

static bool next_part(struct loader *l, struct lines *lines, struct part *ret_part)
{
    struct mw_str line;
    size_t len = 0;
    *ret_part = (struct part){.word = WORD_NONE};
    do {
        if (!next_line(lines, &line))
            return true;
    } while (is_blank(line));
    struct part part = {.word = word_of(line, &len), .line = lines->line - 1};
    if (part.word == WORD_NONE)
        return load_refuse_at(
            l, part.line, 1,
            "rules are written as 'if:', 'then:', 'else if:' and 'else:', each at "
            "the beginning of a line");
    size_t from = lines->at - line.len - 1 + len;
    size_t to = lines->at - 1;
    for (struct lines ahead = *lines; next_line(&ahead, &line);) {
        if (!is_blank(line) && line.ptr[0] != ' ' && line.ptr[0] != '\t')
            break;
        *lines = ahead;
        to = is_blank(line) ? to : ahead.at - 1;
    }
    to = to < lines->text.len ? to : lines->text.len;
    part.body_line = part.line;
    part.body_column = (uint32_t)len + 1;
    for (; from < to && (lines->text.ptr[from] == ' ' || lines->text.ptr[from] == '\n' ||
                         lines->text.ptr[from] == '\r' || lines->text.ptr[from] == '\t');
         from++) {
        bool line_end = lines->text.ptr[from] == '\n';
        part.body_line += line_end;
        part.body_column = line_end ? 1 : part.body_column + 1;
    }
    part.body = mw_str_trim(mw_str_sub(lines->text, from, to - from));
    if (part.body.len == 0)
        return load_refuse_at(l, part.line, 1, "there is nothing after it");
    *ret_part = part;
    return true;
}

static bool read_text_action(struct loader *l, const struct part *part, struct mw_rule *rule)
{
    struct mw_str body = part->body;
    rule->line = part->body_line;
    rule->column = part->body_column;
    if (mw_str_starts(body, MW_STR("skip:")) &&
        mw_str_is(mw_str_trim(mw_str_sub(body, 5, body.len)), "true"))
        return true;
    struct mw_str route = mw_str_trim(mw_str_sub(body, 6, body.len));
    if (!mw_str_starts(body, MW_STR("route:")))
        return load_refuse_at(l, part->body_line, part->body_column,
                              "a rule does 'route: Skill' or 'skip: true'");
    if (!mw_type_is_well_formed(route))
        return load_refuse_at(l, part->body_line, part->body_column,
                              "route '%.*s' is not well-formed; write VerbNoun in PascalCase, such "
                              "as ConfigureJWTAuth",
                              (int)(route.len < 80 ? route.len : 80), route.ptr ? route.ptr : "");
    rule->route = mw_arena_copy(l->arena, route);
    return rule->route.ptr != NULL || load_memory(l);
}

static bool read_text_rule(struct loader *l, struct lines *lines, const struct part *part,
                           struct reading *reading)
{
    struct part then;
    struct mw_rule *rule = NULL;
    bool first = reading->count == 0;
    if (part->word == WORD_THEN || (part->word == WORD_IF) != first)
        return load_refuse_at(l, part->line, 1,
                              first ? "rules begin with 'if:'"
                                    : "'else if:' or 'else:' comes next");
    if (!open_rule(l, reading, part->line, 1,
                   part->word == WORD_ELSE ? MW_STR("else") : MW_STR_NONE, &rule))
        return false;
    reading->closed = part->word == WORD_ELSE;
    if (part->word == WORD_ELSE)
        return read_text_action(l, part, rule);
    if (!load_expr_text(l, part->body, part->body_line, part->body_column, HERE, &rule->when) ||
        !load_field_of(l, rule->when, part->body_line, part->body_column, HERE, &rule->field) ||
        !next_part(l, lines, &then))
        return false;
    if (then.word != WORD_THEN)
        return load_refuse_at(l, part->line, 1, "'then:' comes next");
    return read_text_action(l, &then, rule);
}

bool load_rules_text(struct loader *l, struct mw_rules *ret_rules)
{
    struct lines lines = {.text = l->file->text, .line = 1};
    struct reading reading;
    struct part part;
    size_t bad_at = 0;
    if (!mw_utf8_valid(lines.text, &bad_at))
        return load_refuse_at(l, 1, 1, "the text is not UTF-8");
    if (!begin(l, &reading))
        return false;
    for (;;) {
        if (!next_part(l, &lines, &part))
            return false;
        if (part.word == WORD_NONE)
            return end(l, &reading, ret_rules);
        if (!read_text_rule(l, &lines, &part, &reading))
            return false;
    }
}

bool mw_rules_is_text(struct mw_str text)
{
    struct lines lines = {.text = text, .line = 1};
    struct mw_str line;
    while (next_line(&lines, &line))
        if (!is_blank(line))
            return mw_str_starts(line, MW_STR("if:"));
    return false;
}
