#include "builtin/words.h"

#include <fcntl.h>
#include <string.h>

#include "author/yaml.h"
#include "posix/file.h"
#include "posix/heap.h"

/* Latin letters that German, French, Spanish, Nordic and Slavic names use: code point to ASCII. */
static const struct {
    uint32_t from, to; /* code points, inclusive */
    const char *ascii;
} folds[] = {
    {0xC4, 0xC4, "ae"},  {0xE4, 0xE4, "ae"},  {0xD6, 0xD6, "oe"},    {0xF6, 0xF6, "oe"},
    {0xDC, 0xDC, "ue"},  {0xFC, 0xFC, "ue"},  {0xDF, 0xDF, "ss"},    {0xC0, 0xC5, "a"},
    {0xE0, 0xE5, "a"},   {0xC6, 0xC6, "ae"},  {0xE6, 0xE6, "ae"},    {0xC7, 0xC7, "c"},
    {0xE7, 0xE7, "c"},   {0xC8, 0xCB, "e"},   {0xE8, 0xEB, "e"},     {0xCC, 0xCF, "i"},
    {0xEC, 0xEF, "i"},   {0xD1, 0xD1, "n"},   {0xF1, 0xF1, "n"},     {0xD2, 0xD8, "o"},
    {0xF2, 0xF8, "o"},   {0xD9, 0xDB, "u"},   {0xF9, 0xFB, "u"},     {0xDD, 0xDD, "y"},
    {0xFD, 0xFD, "y"},   {0xFF, 0xFF, "y"},   {0x100, 0x105, "a"},   {0x106, 0x10D, "c"},
    {0x10E, 0x111, "d"}, {0x112, 0x11B, "e"}, {0x11C, 0x123, "g"},   {0x124, 0x127, "h"},
    {0x128, 0x131, "i"}, {0x134, 0x135, "j"}, {0x136, 0x138, "k"},   {0x139, 0x142, "l"},
    {0x143, 0x148, "n"}, {0x14C, 0x151, "o"}, {0x152, 0x153, "oe"},  {0x154, 0x159, "r"},
    {0x15A, 0x161, "s"}, {0x162, 0x167, "t"}, {0x168, 0x173, "u"},   {0x174, 0x175, "w"},
    {0x176, 0x178, "y"}, {0x179, 0x17E, "z"}, {0x2018, 0x2019, "'"},
};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- tables --- */

static enum mw_rc load_table(struct mw_arena *arena, struct mw_str factory, const char *name,
                             struct mw_tape *ret_tape, struct mw_err *err)
{
    struct mw_str path = mw_arena_format(arena, "%.*s/understanding/%s", MW_STR_ARG(factory), name);
    struct mw_buf buf = mw_heap_buf();
    enum mw_rc rc = mw_file_read(AT_FDCWD, path.ptr, MW_WORDS_FILE_MAX, &buf, err);
    struct mw_str text = rc == MW_OK ? mw_arena_copy(arena, mw_buf_str(&buf)) : MW_STR_NONE;
    mw_heap_buf_free(&buf);
    if (rc != MW_OK)
        return rc;
    struct mw_err inner = {0};
    if (mw_yaml_parse(arena, text, ret_tape, &inner) != MW_OK)
        return MW_FAIL(err, MW_E_CONFIG, "%.*s: %s", MW_STR_ARG(path), inner.text);
    if (mw_node_type(ret_tape, 0) != MW_NODE_OBJECT)
        return MW_FAIL(err, MW_E_CONFIG, "%.*s: has to be a map", MW_STR_ARG(path));
    return MW_OK;
}

enum mw_rc mw_words_load(struct mw_arena *arena, struct mw_str factory, struct mw_words *ret_words,
                         struct mw_err *err)
{
    struct mw_words words = {.arena = arena};
    const struct {
        const char *name;
        struct mw_tape *tape;
    } tables[] = {{"nouns.yaml", &words.nouns},
                  {"verbs.yaml", &words.verbs},
                  {"fields.yaml", &words.fields},
                  {"technologies.yaml", &words.technologies},
                  {"stop.yaml", &words.stop}};
    for (size_t i = 0; i < MW_COUNT(tables); i++) {
        enum mw_rc rc = load_table(arena, factory, tables[i].name, tables[i].tape, err);
        if (rc != MW_OK)
            return rc;
    }
    *ret_words = words;
    return MW_OK;
}

bool mw_words_has(const struct mw_tape *table, const char *key, struct mw_str low)
{
    uint32_t list = mw_node_get(table, 0, key);
    for (uint32_t i = mw_node_first(table, list); i != MW_NODE_NONE;
         i = mw_node_after(table, list, i))
        if (mw_str_eq(mw_node_str(table, i), low))
            return true;
    return false;
}

static bool row_has(const struct mw_tape *t, uint32_t row, const char *key, struct mw_str low)
{
    uint32_t list = mw_node_get(t, row, key);
    for (uint32_t i = mw_node_first(t, list); i != MW_NODE_NONE; i = mw_node_after(t, list, i))
        if (mw_str_eq(mw_node_str(t, i), low))
            return true;
    return false;
}

struct mw_str mw_words_main_name(const struct mw_words *words, struct mw_str singular)
{
    struct mw_str name = MW_STR_NONE;
    uint32_t row = mw_words_noun(words, singular, &name);
    return row != MW_NODE_NONE && row_has(&words->nouns, row, "same", singular) ? name : singular;
}

uint32_t mw_words_noun(const struct mw_words *words, struct mw_str singular,
                       struct mw_str *ret_name)
{
    const struct mw_tape *t = &words->nouns;
    uint32_t map = mw_node_get(t, 0, "nouns");
    for (uint32_t i = mw_node_first(t, map); i != MW_NODE_NONE; i = mw_node_after(t, map, i)) {
        if (mw_str_eq(mw_node_str(t, i), singular) || row_has(t, i + 1, "also", singular) ||
            row_has(t, i + 1, "same", singular)) {
            *ret_name = mw_node_str(t, i);
            return i + 1;
        }
    }
    return MW_NODE_NONE;
}

/* --- plural and singular --- */

static struct mw_str irregular(const struct mw_words *words, struct mw_str low, bool to_plural)
{
    const struct mw_tape *t = &words->nouns;
    uint32_t map = mw_node_get(t, 0, "irregular");
    for (uint32_t i = mw_node_first(t, map); i != MW_NODE_NONE; i = mw_node_after(t, map, i)) {
        struct mw_str one = mw_node_str(t, i), more = mw_node_str(t, i + 1);
        if (mw_str_eq(to_plural ? one : more, low))
            return to_plural ? more : one;
    }
    return MW_STR_NONE;
}

static bool ends(struct mw_str s, const char *suffix)
{
    return mw_str_ends(s, mw_str_of(suffix));
}

static struct mw_str join(struct mw_arena *arena, struct mw_str head, const char *tail)
{
    return mw_arena_format(arena, "%.*s%s", MW_STR_ARG(head), tail);
}

static struct mw_str cut(struct mw_str s, size_t tail)
{
    return mw_str_sub(s, 0, s.len - tail);
}

static bool is_vowel(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

static struct mw_str last_word(struct mw_str low)
{
    size_t from = low.len;
    while (from > 0 && low.ptr[from - 1] != ' ' && low.ptr[from - 1] != '-')
        from--;
    return mw_str_sub(low, from, low.len - from);
}

static struct mw_str singular_word(const struct mw_words *words, struct mw_str w)
{
    struct mw_str other = irregular(words, w, false);
    if (other.len > 0)
        return other;
    if (w.len < 3 || !ends(w, "s") || ends(w, "ss") || ends(w, "us") || ends(w, "is") ||
        ends(w, "'s"))
        return w;
    if (ends(w, "ies") && w.len > 4)
        return join(words->arena, cut(w, 3), "y");
    if (ends(w, "sses") || ends(w, "xes") || ends(w, "ches") || ends(w, "shes") || ends(w, "zzes"))
        return cut(w, 2);
    return cut(w, 1);
}

static struct mw_str plural_word(const struct mw_words *words, struct mw_str w)
{
    struct mw_str other = irregular(words, w, true);
    if (other.len > 0)
        return other;
    if (w.len == 0)
        return w;
    if (w.len > 1 && ends(w, "y") && !is_vowel(w.ptr[w.len - 2]))
        return join(words->arena, cut(w, 1), "ies");
    if (ends(w, "s") || ends(w, "x") || ends(w, "z") || ends(w, "ch") || ends(w, "sh"))
        return join(words->arena, w, "es");
    return join(words->arena, w, "s");
}

struct mw_str mw_words_singular(const struct mw_words *words, struct mw_str low)
{
    struct mw_str last = last_word(low);
    struct mw_str one = singular_word(words, last);
    return mw_arena_format(words->arena, "%.*s%.*s", (int)(low.len - last.len),
                           low.ptr ? low.ptr : "", MW_STR_ARG(one));
}

struct mw_str mw_words_plural(const struct mw_words *words, struct mw_str low)
{
    struct mw_str last = last_word(low);
    struct mw_str more = plural_word(words, last);
    return mw_arena_format(words->arena, "%.*s%.*s", (int)(low.len - last.len),
                           low.ptr ? low.ptr : "", MW_STR_ARG(more));
}

bool mw_words_is_plural(const struct mw_words *words, struct mw_str low)
{
    struct mw_str last = last_word(low);
    return last.len > 2 && !mw_str_eq(singular_word(words, last), last);
}

/* --- names --- */

/* Decodes one code point of valid UTF-8; *ret_len: its bytes. */
static uint32_t decode(struct mw_str s, size_t at, size_t *ret_len)
{
    uint8_t c = (uint8_t)s.ptr[at];
    size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (at + len > s.len)
        len = 1;
    uint32_t point = len == 1 ? c : len == 2 ? c & 0x1F : len == 3 ? c & 0x0F : c & 0x07;
    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((uint8_t)s.ptr[at + i] & 0x3F);
    *ret_len = len;
    return point;
}

/* Folds to ASCII but keeps the case, which CamelCase needs. */
static struct mw_str fold_keeping_case(struct mw_arena *arena, struct mw_str text)
{
    char *out = mw_arena_array(arena, char, text.len * 2 + 1);
    size_t len = 0;
    if (out == NULL)
        return MW_STR_NONE;
    for (size_t at = 0, step = 1; at < text.len; at += step) {
        uint32_t point = decode(text, at, &step);
        if (point < 0x80)
            out[len++] = (char)point;
        for (size_t i = 0; point >= 0x80 && i < MW_COUNT(folds); i++) {
            if (point < folds[i].from || point > folds[i].to)
                continue;
            size_t n = strlen(folds[i].ascii);
            memcpy(out + len, folds[i].ascii, n);
            bool capital = (point <= 0xDE && point >= 0xC0);
            if (capital)
                out[len] = (char)(out[len] - 'a' + 'A');
            len += n;
            break;
        }
    }
    return (struct mw_str){out, len};
}

struct mw_str mw_name_fold(struct mw_arena *arena, struct mw_str text)
{
    struct mw_str folded = fold_keeping_case(arena, text);
    char *out = (char *)(uintptr_t)folded.ptr; /* our own fresh copy */
    for (size_t i = 0; i < folded.len; i++)
        if (is_upper(out[i]))
            out[i] = (char)(out[i] - 'A' + 'a');
    return folded;
}

static bool starts_word(struct mw_str s, size_t i)
{
    if (!is_upper(s.ptr[i]) || i == 0)
        return false;
    char before = s.ptr[i - 1];
    return is_lower(before) || is_digit(before) ||
           (is_upper(before) && i + 1 < s.len && is_lower(s.ptr[i + 1]));
}

struct mw_str mw_name_words(struct mw_arena *arena, struct mw_str text)
{
    struct mw_str s = fold_keeping_case(arena, text);
    char *out = mw_arena_array(arena, char, s.len * 2 + 1);
    size_t len = 0;
    if (out == NULL)
        return MW_STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\'')
            continue;
        bool part = is_upper(c) || is_lower(c) || is_digit(c);
        if ((!part || starts_word(s, i)) && len > 0 && out[len - 1] != ' ')
            out[len++] = ' ';
        if (part)
            out[len++] = is_upper(c) ? (char)(c - 'A' + 'a') : c;
    }
    while (len > 0 && out[len - 1] == ' ')
        len--;
    return (struct mw_str){out, len};
}

static struct mw_str joined(struct mw_arena *arena, struct mw_str text, bool first_upper,
                            char between)
{
    struct mw_str s = mw_name_words(arena, text);
    char *out = mw_arena_array(arena, char, s.len + 1);
    size_t len = 0;
    bool capital = first_upper;
    if (out == NULL)
        return MW_STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == ' ') {
            capital = between == 0;
            if (between != 0)
                out[len++] = between;
            continue;
        }
        out[len++] = capital && is_lower(c) ? (char)(c - 'a' + 'A') : c;
        capital = false;
    }
    return (struct mw_str){out, len};
}

struct mw_str mw_name_pascal(struct mw_arena *arena, struct mw_str text)
{
    return joined(arena, text, true, 0);
}

struct mw_str mw_name_camel(struct mw_arena *arena, struct mw_str text)
{
    return joined(arena, text, false, 0);
}

struct mw_str mw_name_slug(struct mw_arena *arena, struct mw_str text)
{
    return joined(arena, text, false, '-');
}

struct mw_str mw_name_clip(struct mw_str text, size_t max_bytes)
{
    struct mw_str clipped = mw_str_sub(text, 0, max_bytes);
    while (clipped.len > 0 && clipped.len < text.len &&
           ((uint8_t)text.ptr[clipped.len] & 0xC0) == 0x80)
        clipped.len--;
    return clipped;
}

static bool is_name(struct mw_str name, bool upper)
{
    if (name.len == 0 || name.len > MW_NAME_MAX)
        return false;
    if (upper ? !is_upper(name.ptr[0]) : !is_lower(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++)
        if (!is_upper(name.ptr[i]) && !is_lower(name.ptr[i]) && !is_digit(name.ptr[i]))
            return false;
    return true;
}

bool mw_name_is_pascal(struct mw_str name)
{
    return is_name(name, true);
}

bool mw_name_is_camel(struct mw_str name)
{
    return is_name(name, false);
}

bool mw_name_is_slug(struct mw_str name)
{
    if (name.len == 0 || name.len > 2 * MW_NAME_MAX || name.ptr[0] == '-' ||
        name.ptr[name.len - 1] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_lower(name.ptr[i]) && !is_digit(name.ptr[i]) &&
            (name.ptr[i] != '-' || name.ptr[i - 1] == '-'))
            return false;
    return true;
}
