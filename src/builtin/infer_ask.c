#include "builtin/infer.h"

#include <string.h>

static struct mw_str answer_text(const struct mw_tape *t, uint32_t node)
{
    switch (mw_node_type(t, node)) {
    case MW_NODE_STRING:
        return mw_str_trim(mw_node_str(t, node));
    case MW_NODE_TRUE:
        return MW_STR("true");
    case MW_NODE_FALSE:
        return MW_STR("false");
    case MW_NODE_INTEGER:
    case MW_NODE_NUMBER:
        return t->nodes[node].text;
    default:
        return MW_STR_NONE;
    }
}

static bool answers(const struct mw_infer *inf, uint32_t node, struct mw_str field,
                    struct mw_str *ret_answer)
{
    if (mw_node_type(inf->answers, node) != MW_NODE_OBJECT ||
        !mw_str_eq(mw_node_get_text(inf->answers, node, "field"), field))
        return false;
    *ret_answer = answer_text(inf->answers, mw_node_get(inf->answers, node, "answer"));
    return true;
}

bool mw_infer_answer(const struct mw_infer *inf, struct mw_str field, struct mw_str *ret_answer)
{
    const struct mw_tape *t = inf->answers;
    uint32_t node = inf->answers_node;
    if (mw_node_type(t, node) == MW_NODE_OBJECT)
        return answers(inf, node, field, ret_answer);
    bool found = false;
    if (mw_node_type(t, node) == MW_NODE_ARRAY)
        for (uint32_t i = mw_node_first(t, node); i != MW_NODE_NONE; i = mw_node_after(t, node, i))
            found = answers(inf, i, field, ret_answer) || found;
    return found;
}

void mw_infer_ask(struct mw_infer *inf, struct mw_str field, struct mw_str question,
                  struct mw_str reason, const char *const *options)
{
    struct mw_str given = MW_STR_NONE;
    if (inf->asked)
        return;
    inf->asked = true;
    inf->ask = (struct mw_ask){.field = field, .question = question, .reason = reason};
    if (mw_infer_answer(inf, field, &given))
        inf->ask.reason = mw_arena_format(inf->arena, "the answer '%.*s' cannot be used here; %.*s",
                                          MW_STR_ARG(mw_name_clip(given, 200)), MW_STR_ARG(reason));
    for (; *options != NULL && inf->ask.option_count < MW_ASK_OPTIONS_MAX; options++)
        inf->ask.options[inf->ask.option_count++] = mw_str_of(*options);
}

bool mw_infer_leaves_out(const struct mw_infer *inf, struct mw_str answer)
{
    struct mw_str low = mw_name_fold(inf->arena, mw_str_trim(answer));
    while (low.len > 0 && (low.ptr[low.len - 1] == '.' || low.ptr[low.len - 1] == '!'))
        low.len--;
    return mw_str_is(low, "false") || mw_str_starts(low, MW_STR("leave it out")) ||
           mw_words_has(&inf->words->technologies, "leave_out", low);
}

struct mw_str mw_infer_quote(const struct mw_infer *inf, struct mw_str text)
{
    struct mw_buf buf;
    size_t cap = text.len * 6 + 2;
    mw_buf_init(&buf, mw_arena_alloc(inf->arena, cap), cap);
    if (buf.ptr == NULL)
        return MW_STR("null");
    struct mw_json json;
    mw_json_init(&json, &buf);
    mw_json_str(&json, text);
    return mw_buf_str(&buf);
}

void mw_infer_note(struct mw_infer *inf, bool assumed, const void *part, const char *path,
                   struct mw_str value_json, struct mw_str why)
{
    struct mw_note *note = mw_arena_array(inf->arena, struct mw_note, 1);
    if (note == NULL)
        return;
    *note = (struct mw_note){
        .assumed = assumed, .part = part, .path = path, .value = value_json, .why = why};
    *inf->next_note = note;
    inf->next_note = &note->next;
}

static struct mw_str entity_path(const struct mw_infer *inf, const struct mw_bp_service *s,
                                 uint32_t at, const void *part)
{
    uint32_t i = 0;
    for (const struct mw_bp_entity *e = s->entities; e != NULL; e = e->next, i++) {
        if (e == part)
            return mw_arena_format(inf->arena, "services/%u/entities/%u", at, i);
        uint32_t k = 0;
        for (const struct mw_bp_field *f = e->fields; f != NULL; f = f->next, k++)
            if (f == part)
                return mw_arena_format(inf->arena, "services/%u/entities/%u/fields/%u", at, i, k);
    }
    i = 0;
    for (const struct mw_bp_case *c = s->cases; c != NULL; c = c->next, i++)
        if (c == part)
            return mw_arena_format(inf->arena, "services/%u/use_cases/%u", at, i);
    return MW_STR_NONE;
}

struct mw_str mw_infer_note_path(const struct mw_infer *inf, const struct mw_note *note)
{
    if (note->part == NULL)
        return mw_str_of(note->path);
    uint32_t at = 0;
    for (const struct mw_bp_service *s = inf->bp->services; s != NULL; s = s->next, at++) {
        if (s == note->part)
            return mw_arena_format(inf->arena, "services/%u", at);
        struct mw_str path = entity_path(inf, s, at, note->part);
        if (path.len > 0)
            return path;
    }
    return MW_STR("services");
}

bool mw_infer_drop(struct mw_infer *inf, struct mw_str field, struct mw_str what,
                   struct mw_str said)
{
    static const char *const options[] = {"leave it out", NULL};
    struct mw_str answer = MW_STR_NONE;
    if (mw_infer_answer(inf, field, &answer) && mw_infer_leaves_out(inf, answer))
        return true;
    mw_infer_ask(
        inf, field,
        mw_arena_format(inf->arena,
                        "'%.*s' asks for %.*s, which cannot be built yet. Leave it out?",
                        MW_STR_ARG(mw_name_clip(said, 200)), MW_STR_ARG(what)),
        mw_arena_format(inf->arena, "no generator for %.*s is installed", MW_STR_ARG(what)),
        options);
    return false;
}

/* The value of the row whose words are the whole text, or empty. */
static struct mw_str named(struct mw_infer *inf, struct mw_str text, const char *kind,
                           struct mw_str *ret_algorithm)
{
    struct mw_toks toks = mw_tokens(inf->arena, text);
    for (uint32_t i = 0; toks.at != NULL && i + 1 < toks.count; i++) {
        const struct mw_phrase *p = mw_phrase_at(&inf->technologies, &toks, i, MW_FORM_BASE);
        if (p == NULL || !mw_str_is(mw_node_get_text(p->table, p->row, "kind"), kind))
            continue;
        *ret_algorithm = mw_node_get_text(p->table, p->row, "algorithm");
        return mw_node_get_text(p->table, p->row, "value");
    }
    return MW_STR_NONE;
}

static bool is_buildable_store(struct mw_str value)
{
    return mw_str_is(value, "MongoDB") || mw_str_is(value, "File") || mw_str_is(value, "Memory");
}

static struct mw_str store_name(struct mw_infer *inf, struct mw_str text)
{
    static const char *const plain[] = {"MongoDB", "File", "Memory"};
    struct mw_str ignored = MW_STR_NONE;
    for (size_t i = 0; i < MW_COUNT(plain); i++)
        if (mw_bp_same_name(text, mw_str_of(plain[i])))
            return mw_str_of(plain[i]);
    struct mw_str value = named(inf, text, "store", &ignored);
    if (value.len > 0)
        return value;
    struct mw_str low = mw_name_fold(inf->arena, text);
    if (mw_str_is(low, "files") || mw_str_is(low, "disk"))
        return MW_STR("File");
    return value;
}

bool mw_infer_storage(struct mw_infer *inf, struct mw_str said, struct mw_str field,
                      struct mw_str *ret_storage)
{
    static const char *const options[] = {"MongoDB", "File", "Memory",
                                          "leave it out (File is used)", NULL};
    struct mw_str answer = MW_STR_NONE, store = store_name(inf, said);
    if (mw_infer_answer(inf, field, &answer)) {
        struct mw_str chosen = store_name(inf, answer);
        bool leaves =
            mw_infer_leaves_out(inf, answer) || mw_str_starts(answer, MW_STR("leave it out"));
        if (leaves || is_buildable_store(chosen)) {
            *ret_storage = leaves ? MW_STR("File") : chosen;
            return true;
        }
    }
    if (is_buildable_store(store)) {
        *ret_storage = store;
        return true;
    }
    struct mw_str question =
        said.len == 0
            ? MW_STR("Where shall the records be kept: MongoDB, File or Memory?")
            : mw_arena_format(inf->arena, "%.*s cannot be built yet; MongoDB, File or Memory?",
                              MW_STR_ARG(mw_name_clip(store.len > 0 ? store : said, 100)));
    mw_infer_ask(inf, field, question,
                 said.len == 0 ? MW_STR("the blueprint does not say its storage")
                               : MW_STR("generators exist for MongoDB, File and Memory"),
                 options);
    return false;
}

static bool is_none(const struct mw_infer *inf, struct mw_str text)
{
    static const char *const none[] = {"no authentication", "no auth", "public", "anonymous",
                                       "open"};
    struct mw_str low = mw_name_fold(inf->arena, text);
    for (size_t i = 0; i < MW_COUNT(none); i++)
        if (mw_str_is(low, none[i]))
            return true;
    return mw_infer_leaves_out(inf, text);
}

static bool auth_value(struct mw_infer *inf, struct mw_str text, struct mw_str *ret_algorithm)
{
    struct mw_str algorithm = MW_STR_NONE;
    if (is_none(inf, text)) {
        *ret_algorithm = MW_STR_NONE;
        return true;
    }
    struct mw_str value = named(inf, text, "auth", &algorithm);
    if (mw_str_is(value, "JWT") || mw_str_is(value, "false")) {
        *ret_algorithm = mw_str_is(value, "false") ? MW_STR_NONE
                         : algorithm.len > 0       ? algorithm
                                                   : MW_STR("HS256");
        return true;
    }
    return false;
}

bool mw_infer_auth(struct mw_infer *inf, struct mw_str said, struct mw_str field,
                   struct mw_str *ret_algorithm)
{
    static const char *const options[] = {"JWT", "no authentication", "leave it out", NULL};
    struct mw_str answer = MW_STR_NONE;
    if (mw_infer_answer(inf, field, &answer) && auth_value(inf, answer, ret_algorithm))
        return true;
    if (auth_value(inf, said, ret_algorithm))
        return true;
    mw_infer_ask(inf, field,
                 mw_arena_format(inf->arena, "%.*s cannot be built yet; JWT, or no authentication?",
                                 MW_STR_ARG(mw_name_clip(said, 100))),
                 MW_STR("a generator exists for JWT (HS256, RS256, ES256) only"), options);
    return false;
}
