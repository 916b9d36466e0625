/* expr_parse.c - precedence climbing: ?: over || over && over relations over + - over * / % over unary over postfix. */
#include "rules/expr_internal.h"

#include <string.h>

struct parser {
    struct expr_lexer lexer;
    struct expr_token token; /* the one to look at */
    uint32_t depth;
    uint32_t node_count;
};

struct binary {
    const char *mark;
    uint8_t level;
    uint8_t op;
};

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_NOT_WORD, LEVEL_RELATION, LEVEL_SUM, LEVEL_PRODUCT };

static const struct binary binaries[] = {
    {"||", LEVEL_OR, OP_OR},
    {"|", LEVEL_OR, OP_OR},
    {"or", LEVEL_OR, OP_OR},
    {"&&", LEVEL_AND, OP_AND},
    {"&", LEVEL_AND, OP_AND},
    {"and", LEVEL_AND, OP_AND},
    {"==", LEVEL_RELATION, OP_EQUAL},
    {"!=", LEVEL_RELATION, OP_NOT_EQUAL},
    {"<", LEVEL_RELATION, OP_LESS},
    {"<=", LEVEL_RELATION, OP_LESS_EQUAL},
    {">", LEVEL_RELATION, OP_GREATER},
    {">=", LEVEL_RELATION, OP_GREATER_EQUAL},
    {"in", LEVEL_RELATION, OP_IN},
    {"contains", LEVEL_RELATION, OP_CALL},
    {"+", LEVEL_SUM, OP_ADD},
    {"-", LEVEL_SUM, OP_SUBTRACT},
    {"*", LEVEL_PRODUCT, OP_MULTIPLY},
    {"/", LEVEL_PRODUCT, OP_DIVIDE},
    {"%", LEVEL_PRODUCT, OP_REMAINDER},
};

struct function {
    const char *name;
    uint8_t arguments_min; /* of a method: the target is the first */
    uint8_t arguments_max;
    bool method_only;
    uint8_t which;
};

static const struct function functions[] = {
    {"size", 1, 1, false, FUNCTION_SIZE},
    {"len", 1, 1, false, FUNCTION_SIZE},
    {"contains", 2, 2, false, FUNCTION_CONTAINS},
    {"startsWith", 2, 2, false, FUNCTION_STARTS_WITH},
    {"endsWith", 2, 2, false, FUNCTION_ENDS_WITH},
    {"matches", 2, 2, false, FUNCTION_MATCHES},
    {"int", 1, 1, false, FUNCTION_INT},
    {"uint", 1, 1, false, FUNCTION_UINT},
    {"double", 1, 1, false, FUNCTION_DOUBLE},
    {"string", 1, 1, false, FUNCTION_STRING},
    {"bool", 1, 1, false, FUNCTION_BOOL},
    {"charAt", 2, 2, true, FUNCTION_CHAR_AT},
    {"indexOf", 2, 3, true, FUNCTION_INDEX_OF},
    {"lastIndexOf", 2, 3, true, FUNCTION_LAST_INDEX_OF},
    {"lowerAscii", 1, 1, true, FUNCTION_LOWER},
    {"upperAscii", 1, 1, true, FUNCTION_UPPER},
    {"replace", 3, 4, true, FUNCTION_REPLACE},
    {"split", 2, 3, true, FUNCTION_SPLIT},
    {"substring", 2, 3, true, FUNCTION_SUBSTRING},
    {"trim", 1, 1, true, FUNCTION_TRIM},
    {"reverse", 1, 1, true, FUNCTION_REVERSE},
    {"join", 1, 2, true, FUNCTION_JOIN},
    {"format", 2, 2, true, FUNCTION_FORMAT},
};

struct macro {
    const char *name;
    uint8_t variable_count;
    uint8_t body_count;
    uint8_t which;
};

static const struct macro macros[] = {
    {"all", 1, 1, MACRO_ALL},
    {"all", 2, 1, MACRO_ALL},
    {"exists", 1, 1, MACRO_EXISTS},
    {"exists", 2, 1, MACRO_EXISTS},
    {"exists_one", 1, 1, MACRO_EXISTS_ONE},
    {"exists_one", 2, 1, MACRO_EXISTS_ONE},
    {"existsOne", 1, 1, MACRO_EXISTS_ONE},
    {"existsOne", 2, 1, MACRO_EXISTS_ONE},
    {"filter", 1, 1, MACRO_FILTER},
    {"map", 1, 1, MACRO_LIST},
    {"map", 1, 2, MACRO_LIST},
    {"transformList", 2, 1, MACRO_LIST},
    {"transformList", 2, 2, MACRO_LIST},
    {"transformMap", 2, 1, MACRO_MAP},
    {"transformMap", 2, 2, MACRO_MAP},
};

static bool parse_expression(struct parser *parser, struct expr_node **ret_node);
static bool parse_binary(struct parser *parser, unsigned level, struct expr_node **ret_node);
static bool parse_unary(struct parser *parser, struct expr_node **ret_node);
static void collect_uses(struct mw_arena *arena, struct mw_expr *expr);

enum mw_rc mw_expr_compile(struct mw_arena *arena, struct mw_str text,
                           const struct mw_expr **ret_expr, struct mw_err *err)
{
    MW_ASSERT(arena != NULL);
    MW_ASSERT(ret_expr != NULL);
    size_t bad_at = 0;
    struct expr_node *root = NULL;
    if (text.len > MW_EXPR_TEXT_MAX)
        return MW_FAIL(err, MW_E_LIMIT,
                       "column 1: an expression over 65536 bytes (MW_EXPR_TEXT_MAX)");
    if (!mw_utf8_valid(text, &bad_at))
        return MW_FAIL(err, MW_E_INPUT, "column %zu: not well-formed UTF-8", bad_at + 1);
    struct mw_expr *expr = mw_arena_alloc(arena, sizeof *expr);
    struct mw_str copy = mw_arena_copy(arena, text);
    struct parser parser = {.lexer = {.arena = arena, .text = copy, .err = err}};
    if (expr == NULL || arena->exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "column 1: no memory left for an expression");
    if (!expr_next_token(&parser.lexer, &parser.token) || !parse_expression(&parser, &root))
        return parser.lexer.rc;
    if (parser.token.kind != TOKEN_END) {
        (void)expr_refuse(&parser.lexer, MW_E_INPUT, parser.token.column,
                          "expected an operator or the end");
        return parser.lexer.rc;
    }
    expr->text = copy;
    expr->root = root;
    collect_uses(arena, expr);
    if (arena->exhausted)
        return MW_FAIL(err, MW_E_LIMIT, "column 1: no memory left for an expression");
    *ret_expr = expr;
    return MW_OK;
}

struct mw_str mw_expr_text(const struct mw_expr *expr)
{
    return expr->text;
}

bool mw_expr_roots(const struct mw_expr *expr, uint32_t index, struct mw_expr_use *ret_use)
{
    if (index >= expr->use_count)
        return false;
    *ret_use = expr->uses[index];
    return true;
}

bool mw_expr_uses(const struct mw_expr *expr, struct mw_str root)
{
    for (uint32_t i = 0; i < expr->use_count; i++)
        if (mw_str_eq(expr->uses[i].root, root))
            return true;
    return false;
}

static bool refuse(struct parser *parser, uint32_t column, const char *what)
{
    return expr_refuse(&parser->lexer, MW_E_INPUT, column, what);
}

static bool advance(struct parser *parser)
{
    return expr_next_token(&parser->lexer, &parser->token);
}

static bool at_mark(const struct parser *parser, const char *mark)
{
    return parser->token.kind == TOKEN_MARK && mw_str_is(parser->token.text, mark);
}

static bool at_word(const struct parser *parser, const char *word)
{
    return parser->token.kind == TOKEN_NAME && mw_str_is(parser->token.text, word);
}

static bool expect(struct parser *parser, const char *mark, const char *what)
{
    if (!at_mark(parser, mark))
        return refuse(parser, parser->token.column, what);
    return advance(parser);
}

static struct expr_node *new_node(struct parser *parser, enum expr_op op, uint32_t column)
{
    if (++parser->node_count > MW_EXPR_NODES_MAX) {
        (void)expr_refuse(&parser->lexer, MW_E_LIMIT, column,
                          "more than 4096 parts (MW_EXPR_NODES_MAX)");
        return NULL;
    }
    struct expr_node *node = mw_arena_alloc(parser->lexer.arena, sizeof *node);
    if (node == NULL) {
        (void)expr_refuse(&parser->lexer, MW_E_LIMIT, column, "no memory left for an expression");
        return NULL;
    }
    node->op = (uint8_t)op;
    node->column = column;
    node->depth = 1;
    return node;
}

static bool add_child(struct parser *parser, struct expr_node *node, struct expr_node *child)
{
    MW_ASSERT(child->next == NULL);
    if (node->last == NULL)
        node->first = child;
    else
        node->last->next = child;
    node->last = child;
    node->child_count++;
    if (child->depth >= node->depth)
        node->depth = (uint16_t)(child->depth + 1);
    if (node->depth > MW_EXPR_DEPTH_MAX)
        return expr_refuse(&parser->lexer, MW_E_LIMIT, node->column,
                           "deeper than 100 levels (MW_EXPR_DEPTH_MAX)");
    return true;
}

/* Every recursion of the parser passes here. */
static bool enter(struct parser *parser)
{
    if (++parser->depth > MW_EXPR_DEPTH_MAX)
        return expr_refuse(&parser->lexer, MW_E_LIMIT, parser->token.column,
                           "deeper than 100 levels (MW_EXPR_DEPTH_MAX)");
    return true;
}

static bool new_literal(struct parser *parser, uint32_t column, struct mw_value value,
                        struct expr_node **ret_node)
{
    struct expr_node *node = new_node(parser, OP_LITERAL, column);
    if (node == NULL)
        return false;
    struct mw_value *literal = mw_arena_alloc(parser->lexer.arena, sizeof *literal);
    if (literal == NULL)
        return expr_refuse(&parser->lexer, MW_E_LIMIT, column, "no memory left for an expression");
    *literal = value;
    node->literal = literal;
    *ret_node = node;
    return true;
}

static bool parse_integer(struct parser *parser, bool negative, struct expr_node **ret_node)
{
    struct expr_token token = parser->token;
    if (token.is_unsigned && negative)
        return refuse(parser, token.column, "an unsigned integer with a minus");
    if (token.is_unsigned && token.magnitude > INT64_MAX)
        return advance(parser) &&
               new_literal(
                   parser, token.column,
                   expr_text(MW_VALUE_NUMBER, mw_arena_format(parser->lexer.arena, "%lu",
                                                              (unsigned long)token.magnitude)),
                   ret_node);
    if (token.magnitude > (uint64_t)INT64_MAX + negative)
        return refuse(parser, token.column, "an integer that does not fit 64 bits with a sign");
    int64_t value = negative ? (int64_t)(0 - token.magnitude) : (int64_t)token.magnitude;
    return advance(parser) && new_literal(parser, token.column, expr_integer(value), ret_node);
}

/* Items up to the closing mark, a comma allowed behind the last; maps have "key: value". */
static bool parse_items(struct parser *parser, const char *close, bool pairs,
                        struct expr_node *node)
{
    while (!at_mark(parser, close)) {
        struct expr_node *item = NULL;
        if (!parse_expression(parser, &item) || !add_child(parser, node, item))
            return false;
        if (pairs) {
            if (!expect(parser, ":", "expected ':' after a key") ||
                !parse_expression(parser, &item) || !add_child(parser, node, item))
                return false;
        }
        if (at_mark(parser, close))
            break;
        if (!expect(parser, ",", "expected ',' or the closing bracket"))
            return false;
    }
    return advance(parser);
}

static bool parse_literal_of(struct parser *parser, enum expr_op op, const char *close,
                             struct expr_node **ret_node)
{
    struct expr_node *node = new_node(parser, op, parser->token.column);
    if (node == NULL || !advance(parser))
        return false;
    *ret_node = node;
    return parse_items(parser, close, op == OP_MAP, node);
}

static bool is_reserved(struct mw_str name)
{
    static const char *const words[] = {
        "as",     "break",  "const", "continue", "else", "for",     "function",
        "if",     "import", "in",    "let",      "loop", "package", "namespace",
        "return", "var",    "void",  "while",    "and",  "or",      "not"};
    for (size_t i = 0; i < MW_COUNT(words); i++)
        if (mw_str_is(name, words[i]))
            return true;
    return false;
}

/* has(a.b): a selection that asks instead of reads. */
static bool make_has(struct parser *parser, struct expr_node *call, struct expr_node **ret_node)
{
    struct expr_node *path = call->first;
    bool by_key = call->child_count == 1 && path->op == OP_INDEX && path->last->op == OP_LITERAL &&
                  path->last->literal->type == MW_VALUE_STRING;
    if (call->child_count != 1 || (path->op != OP_SELECT && !by_key))
        return refuse(parser, call->column, "has() asks for a field: has(a.b)");
    if (by_key)
        path->name = path->last->literal->text;
    path->op = OP_HAS;
    *ret_node = path;
    return true;
}

static bool make_macro(struct parser *parser, const struct macro *macro, struct expr_node *call,
                       struct expr_node **ret_node)
{
    struct expr_node *range = call->first;
    struct expr_node *first = range->next;
    struct expr_node *second = macro->variable_count == 2 ? first->next : NULL;
    if (first->op != OP_NAME || (second != NULL && second->op != OP_NAME))
        return refuse(parser, first->column, "expected the name of a variable here");
    if (second != NULL && mw_str_eq(first->name, second->name))
        return refuse(parser, second->column, "the same name for both variables");
    call->op = OP_EACH;
    call->which = macro->which;
    call->name = first->name;
    if (second != NULL)
        call->second = second->name;
    range->next = (second != NULL ? second : first)->next;
    call->child_count -= macro->variable_count;
    *ret_node = call;
    return true;
}

static const char *call_problem(const char *name)
{
    return name == NULL ? "no such function; docs/expressions.md lists them"
                        : "a wrong number of arguments for this function";
}

/* Turns a call with all its arguments (the target first) into what its name means. */
static bool resolve_call(struct parser *parser, struct mw_str name, bool method,
                         struct expr_node *call, struct expr_node **ret_node)
{
    const char *known = NULL;
    if (!method && (mw_str_is(name, "has") || mw_str_is(name, "exists")))
        return make_has(parser, call, ret_node);
    if (!method && mw_str_is(name, "holds") && call->child_count == 1) {
        call->op = OP_HOLDS;
        *ret_node = call;
        return true;
    }
    if (!method && mw_str_is(name, "dyn") && call->child_count == 1) {
        *ret_node = call->first;
        return true;
    }
    /* strings.quote(x): a function of CEL's namespace, not a method of something called strings. */
    if (method && mw_str_is(name, "quote") && call->child_count == 2 &&
        call->first->op == OP_NAME && mw_str_is(call->first->name, "strings")) {
        call->first = call->first->next;
        call->child_count = 1;
        call->which = FUNCTION_QUOTE;
        *ret_node = call;
        return true;
    }
    for (size_t i = 0; method && i < MW_COUNT(macros); i++) {
        if (!mw_str_is(name, macros[i].name))
            continue;
        known = macros[i].name;
        if (call->child_count == 1u + macros[i].variable_count + macros[i].body_count)
            return make_macro(parser, &macros[i], call, ret_node);
    }
    for (size_t i = 0; i < MW_COUNT(functions); i++) {
        if (!mw_str_is(name, functions[i].name) || (functions[i].method_only && !method))
            continue;
        known = functions[i].name;
        if (call->child_count < functions[i].arguments_min ||
            call->child_count > functions[i].arguments_max)
            break;
        call->which = functions[i].which;
        *ret_node = call;
        return true;
    }
    return refuse(parser, call->column, call_problem(known));
}

/* A name, a call, or a word with a meaning of its own. */
static bool parse_name(struct parser *parser, struct expr_node **ret_node)
{
    struct expr_token token = parser->token;
    struct mw_str name = token.text;
    struct mw_value word = {.type = MW_VALUE_NULL};
    if (!advance(parser))
        return false;
    if (mw_str_is(name, "true") || mw_str_is(name, "True"))
        return new_literal(parser, token.column, expr_bool(true), ret_node);
    if (mw_str_is(name, "false") || mw_str_is(name, "False"))
        return new_literal(parser, token.column, expr_bool(false), ret_node);
    if (mw_str_is(name, "null") || mw_str_is(name, "None"))
        return new_literal(parser, token.column, word, ret_node);
    if (is_reserved(name))
        return refuse(parser, token.column, "a reserved word; fields of this name follow a '.'");
    if (at_mark(parser, "(")) {
        struct expr_node *call = new_node(parser, OP_CALL, token.column);
        return call != NULL && advance(parser) && parse_items(parser, ")", false, call) &&
               resolve_call(parser, name, false, call, ret_node);
    }
    *ret_node = new_node(parser, OP_NAME, token.column);
    if (*ret_node == NULL)
        return false;
    (*ret_node)->name = name;
    return true;
}

static bool select_from(struct parser *parser, struct expr_node *target, struct mw_str name,
                        uint32_t column, struct expr_node **ret_node)
{
    struct expr_node *node = new_node(parser, OP_SELECT, column);
    if (node == NULL || !add_child(parser, node, target))
        return false;
    node->name = name;
    *ret_node = node;
    return true;
}

/* ${a.b}: a path, whatever its names are reserved for elsewhere. */
static bool parse_dollar(struct parser *parser, struct expr_node **ret_node)
{
    uint32_t column = parser->token.column;
    struct expr_node *node = NULL;
    if (!advance(parser))
        return false;
    do {
        if (node != NULL && !advance(parser))
            return false;
        if (parser->token.kind != TOKEN_NAME)
            return refuse(parser, parser->token.column, "expected a name in ${ }");
        if (node != NULL) {
            if (!select_from(parser, node, parser->token.text, parser->token.column, &node))
                return false;
        } else {
            node = new_node(parser, OP_NAME, column);
            if (node == NULL)
                return false;
            node->name = parser->token.text;
        }
        if (!advance(parser))
            return false;
    } while (at_mark(parser, "."));
    *ret_node = node;
    return expect(parser, "}", "expected '}' after the name");
}

static bool parse_primary(struct parser *parser, struct expr_node **ret_node)
{
    struct expr_token token = parser->token;
    switch (token.kind) {
    case TOKEN_INTEGER:
        return parse_integer(parser, false, ret_node);
    case TOKEN_NUMBER:
        return advance(parser) &&
               new_literal(parser, token.column, expr_text(MW_VALUE_NUMBER, token.text), ret_node);
    case TOKEN_STRING:
        return advance(parser) &&
               new_literal(parser, token.column, expr_text(MW_VALUE_STRING, token.text), ret_node);
    case TOKEN_NAME:
        return parse_name(parser, ret_node);
    case TOKEN_END:
        return refuse(parser, token.column, "expected a value, the expression ends here");
    default:
        break;
    }
    if (at_mark(parser, "("))
        return advance(parser) && parse_expression(parser, ret_node) &&
               expect(parser, ")", "expected ')' or an operator");
    if (at_mark(parser, "["))
        return parse_literal_of(parser, OP_LIST, "]", ret_node);
    if (at_mark(parser, "{"))
        return parse_literal_of(parser, OP_MAP, "}", ret_node);
    if (at_mark(parser, "${"))
        return parse_dollar(parser, ret_node);
    return refuse(parser, token.column, "expected a value here");
}

/* After a '.': a field, or a method with the target as its first argument. */
static bool parse_member(struct parser *parser, struct expr_node *target,
                         struct expr_node **ret_node)
{
    struct expr_token token;
    if (!advance(parser))
        return false;
    token = parser->token;
    if (token.kind != TOKEN_NAME && token.kind != TOKEN_QUOTED)
        return refuse(parser, token.column, "expected a field name after '.'");
    if (!advance(parser))
        return false;
    if (token.kind == TOKEN_QUOTED || !at_mark(parser, "("))
        return select_from(parser, target, token.text, token.column, ret_node);
    struct expr_node *call = new_node(parser, OP_CALL, token.column);
    return call != NULL && add_child(parser, call, target) && advance(parser) &&
           parse_items(parser, ")", false, call) &&
           resolve_call(parser, token.text, true, call, ret_node);
}

static bool parse_index(struct parser *parser, struct expr_node *target,
                        struct expr_node **ret_node)
{
    struct expr_node *node = new_node(parser, OP_INDEX, parser->token.column);
    struct expr_node *index = NULL;
    *ret_node = node;
    return node != NULL && advance(parser) && parse_expression(parser, &index) &&
           add_child(parser, node, target) && add_child(parser, node, index) &&
           expect(parser, "]", "expected ']' after an index");
}

static bool parse_postfix(struct parser *parser, struct expr_node *node,
                          struct expr_node **ret_node)
{
    for (;;) {
        bool parsed = true;
        if (at_mark(parser, "."))
            parsed = parse_member(parser, node, &node);
        else if (at_mark(parser, "["))
            parsed = parse_index(parser, node, &node);
        else
            break;
        if (!parsed)
            return false;
    }
    *ret_node = node;
    return true;
}

static bool parse_unary(struct parser *parser, struct expr_node **ret_node)
{
    struct expr_node *node = NULL;
    struct expr_node *operand = NULL;
    uint32_t column = parser->token.column;
    bool negate = at_mark(parser, "-");
    if (!negate && !at_mark(parser, "!"))
        return parse_primary(parser, &operand) && parse_postfix(parser, operand, ret_node);
    if (!enter(parser) || !advance(parser))
        return false;
    /* The smallest integer has no positive counterpart to negate. */
    if (negate && parser->token.kind == TOKEN_INTEGER) {
        parser->depth--;
        return parse_integer(parser, true, &operand) && parse_postfix(parser, operand, ret_node);
    }
    node = new_node(parser, negate ? OP_NEGATE : OP_NOT, column);
    if (node == NULL || !parse_unary(parser, &operand) || !add_child(parser, node, operand))
        return false;
    parser->depth--;
    *ret_node = node;
    return true;
}

static const struct binary *binary_at(const struct parser *parser)
{
    if (parser->token.kind != TOKEN_MARK && parser->token.kind != TOKEN_NAME)
        return NULL;
    for (size_t i = 0; i < MW_COUNT(binaries); i++)
        if (mw_str_is(parser->token.text, binaries[i].mark))
            return &binaries[i];
    return NULL;
}

/* "not a == b" means not (a == b), unlike "!a == b". */
static bool parse_not_word(struct parser *parser, struct expr_node **ret_node)
{
    struct expr_node *node = new_node(parser, OP_NOT, parser->token.column);
    struct expr_node *operand = NULL;
    *ret_node = node;
    if (node == NULL || !enter(parser) || !advance(parser) ||
        !parse_binary(parser, LEVEL_NOT_WORD, &operand))
        return false;
    parser->depth--;
    return add_child(parser, node, operand);
}

static bool parse_binary(struct parser *parser, unsigned level, struct expr_node **ret_node)
{
    struct expr_node *left = NULL;
    const struct binary *binary;
    if (!(at_word(parser, "not") ? parse_not_word(parser, &left) : parse_unary(parser, &left)))
        return false;
    while ((binary = binary_at(parser)) != NULL && binary->level >= level) {
        struct expr_node *right = NULL;
        struct expr_node *node = left;
        bool chain = (binary->op == OP_AND || binary->op == OP_OR) && left->op == binary->op;
        if (!chain) {
            node = new_node(parser, (enum expr_op)binary->op, parser->token.column);
            if (node == NULL || !add_child(parser, node, left))
                return false;
            node->which = FUNCTION_CONTAINS; /* the only operator that is a call */
        }
        if (!advance(parser) || !parse_binary(parser, binary->level + 1u, &right) ||
            !add_child(parser, node, right))
            return false;
        left = node;
    }
    *ret_node = left;
    return true;
}

static bool parse_expression(struct parser *parser, struct expr_node **ret_node)
{
    struct expr_node *condition = NULL;
    struct expr_node *then = NULL;
    struct expr_node *otherwise = NULL;
    if (!enter(parser) || !parse_binary(parser, LEVEL_OR, &condition))
        return false;
    uint32_t column = parser->token.column;
    if (!at_mark(parser, "?")) {
        parser->depth--;
        *ret_node = condition;
        return true;
    }
    struct expr_node *node = new_node(parser, OP_CHOOSE, column);
    if (node == NULL || !advance(parser) || !parse_binary(parser, LEVEL_OR, &then) ||
        !expect(parser, ":", "expected ':' and the other value") ||
        !parse_expression(parser, &otherwise) || !add_child(parser, node, condition) ||
        !add_child(parser, node, then) || !add_child(parser, node, otherwise))
        return false;
    parser->depth--;
    *ret_node = node;
    return true;
}

struct variables {
    const struct variables *outer;
    const struct expr_node *each;
};

static bool is_variable(const struct variables *variables, struct mw_str name)
{
    for (; variables != NULL; variables = variables->outer)
        if (mw_str_eq(variables->each->name, name) ||
            (variables->each->second.len > 0 && mw_str_eq(variables->each->second, name)))
            return true;
    return false;
}

static void note_use(struct mw_expr *expr, struct mw_expr_use use)
{
    for (uint32_t i = 0; i < expr->use_count; i++)
        if (mw_str_eq(expr->uses[i].root, use.root) && mw_str_eq(expr->uses[i].field, use.field))
            return;
    expr->uses[expr->use_count++] = use;
}

/* The field when node reads one by name from its first child. */
static struct mw_str field_of(const struct expr_node *node)
{
    if (node->op == OP_SELECT || node->op == OP_HAS)
        return node->name;
    if (node->op == OP_INDEX && node->last->op == OP_LITERAL &&
        node->last->literal->type == MW_VALUE_STRING)
        return node->last->literal->text;
    return MW_STR_NONE;
}

static void walk_uses(struct mw_expr *expr, const struct expr_node *node,
                      const struct variables *variables)
{
    struct variables inner = {variables, node};
    struct mw_str field = field_of(node);
    const struct expr_node *child = node->first;
    if (node->op == OP_NAME && !is_variable(variables, node->name))
        note_use(expr, (struct mw_expr_use){node->name, MW_STR_NONE, node->column});
    if (field.len > 0 && child->op == OP_NAME) {
        if (!is_variable(variables, child->name))
            note_use(expr, (struct mw_expr_use){child->name, field, child->column});
        child = child->next;
    }
    for (; child != NULL; child = child->next)
        walk_uses(expr, child, node->op == OP_EACH && child != node->first ? &inner : variables);
}

static uint32_t count_names(const struct expr_node *node)
{
    uint32_t count = node->op == OP_NAME;
    for (const struct expr_node *child = node->first; child != NULL; child = child->next)
        count += count_names(child);
    return count;
}

/* Without memory for them there are none, and the arena is exhausted. */
static void collect_uses(struct mw_arena *arena, struct mw_expr *expr)
{
    uint32_t count = count_names(expr->root);
    expr->uses = mw_arena_array(arena, struct mw_expr_use, count + 1);
    if (expr->uses == NULL)
        return;
    walk_uses(expr, expr->root, NULL);
    MW_ASSERT(expr->use_count <= count);
}
