/*
 * The public CEL conformance cases against the expression language. What is outside the subset is named in cel_skips.txt with its reason;
 * every other case must pass, and a skipped case that would pass fails the test, so the list cannot hide anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr.h"

#define RULES_MAX 512
#define LINE_MAX_BYTES 1024

/* A line of cel_skips.txt: "file section name | reason"; a name may hold blanks. */
struct rule {
    bool accident; /* "~" in front: it wants an error, and gets another one than it is about */
    char file[64];
    char section[64];
    char name[128];
    char reason[256];
    unsigned used;
};

static struct rule rules[RULES_MAX];
static size_t rule_count;
static char memory[1 << 22] __attribute__((aligned(16)));

static const char *shared_dir(void)
{
    const char *dir = getenv("MILLWRIGHT_SHARED");
    return dir != NULL ? dir : MW_SOURCE_DIR "/../shared";
}

static void read_rules(void)
{
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(MW_SOURCE_DIR "/tests/conformance/cel_skips.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        struct rule *rule = &rules[rule_count];
        char *bar = strstr(line, " | ");
        if (line[0] == '#' || line[0] == '\n')
            continue;
        assert_true(rule_count < RULES_MAX);
        assert_non_null(bar);
        *bar = '\0';
        (void)snprintf(rule->reason, sizeof rule->reason, "%.*s", (int)strcspn(bar + 3, "\n"),
                       bar + 3);
        rule->accident = line[0] == '~';
        assert_int_equal(sscanf(line + rule->accident, "%63s %63s %127[^\n]", rule->file,
                                rule->section, rule->name),
                         3);
        rule_count++;
    }
    (void)fclose(file);
}

static const char *field(const json_t *test, const char *name)
{
    return json_string_value(json_object_get(test, name));
}

static struct rule *rule_for(const json_t *test)
{
    for (size_t i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->file, field(test, "file")) == 0 &&
            strcmp(rule->section, field(test, "section")) == 0 &&
            strcmp(rule->name, field(test, "name")) == 0)
            return rule;
    }
    return NULL;
}

/* The value of a case as JSON for a root; NULL when JSON cannot say it. */
static json_t *plain(const json_t *value)
{
    const char *kind = json_object_iter_key(json_object_iter((json_t *)value));
    json_t *body = json_object_get(value, kind);
    size_t i;
    json_t *item;
    if (strcmp(kind, "int") == 0 || strcmp(kind, "uint") == 0)
        return json_integer(strtoll(json_string_value(body), NULL, 10));
    if (strcmp(kind, "double") == 0)
        return json_real(strtod(json_string_value(body), NULL));
    if (strcmp(kind, "null") == 0)
        return json_null();
    if (strcmp(kind, "list") == 0) {
        json_t *list = json_array();
        json_array_foreach(body, i, item) json_array_append_new(list, plain(item));
        return list;
    }
    if (strcmp(kind, "map") == 0) {
        json_t *map = json_object();
        json_array_foreach(body, i, item)
        {
            const char *key = json_string_value(json_object_get(json_array_get(item, 0), "string"));
            if (key == NULL) {
                json_decref(map);
                return NULL;
            }
            json_object_set_new(map, key, plain(json_array_get(item, 1)));
        }
        return map;
    }
    return json_incref(body);
}

static struct mw_str number_text(const json_t *body)
{
    const char *text = json_string_value(body);
    return mw_str_of(text[0] == '+' ? text + 1 : text);
}

static bool same(const json_t *value, const struct mw_value *got);

/* The items of a list, or the keys and values of a map, of either form, in one array. */
static const struct mw_value *items_of(const struct mw_value *got, struct mw_value *room)
{
    uint32_t node = got->node + 1;
    size_t count = got->type == MW_VALUE_MAP ? 2 * (size_t)got->count : got->count;
    if (got->tape == NULL)
        return got->items;
    for (size_t i = 0; i < count; i++, node = got->tape->nodes[node].next)
        room[i] = mw_value_of_node(got->tape, node);
    return room;
}

#define ITEMS_MAX 64

static bool same_list(const json_t *body, const struct mw_value *got)
{
    struct mw_value room[ITEMS_MAX];
    if (got->type != MW_VALUE_LIST || got->count != json_array_size(body) || got->count > ITEMS_MAX)
        return false;
    const struct mw_value *items = items_of(got, room);
    for (uint32_t i = 0; i < got->count; i++)
        if (!same(json_array_get(body, i), &items[i]))
            return false;
    return true;
}

static bool same_map(const json_t *body, const struct mw_value *got)
{
    struct mw_value room[2 * ITEMS_MAX];
    if (got->type != MW_VALUE_MAP || got->count != json_array_size(body) || got->count > ITEMS_MAX)
        return false;
    const struct mw_value *items = items_of(got, room);
    for (uint32_t i = 0; i < got->count; i++) {
        const json_t *pair = json_array_get(body, i);
        bool found = false;
        for (uint32_t j = 0; j < got->count && !found; j++)
            found = same(json_array_get(pair, 0), &items[2 * j]) &&
                    same(json_array_get(pair, 1), &items[2 * j + 1]);
        if (!found)
            return false;
    }
    return true;
}

static bool same(const json_t *value, const struct mw_value *got)
{
    const char *kind = json_object_iter_key(json_object_iter((json_t *)value));
    json_t *body = json_object_get(value, kind);
    char text[32];
    if (strcmp(kind, "bool") == 0)
        return got->type == MW_VALUE_BOOL && got->boolean == json_is_true(body);
    if (strcmp(kind, "null") == 0)
        return got->type == MW_VALUE_NULL;
    if (strcmp(kind, "string") == 0)
        return got->type == MW_VALUE_STRING && got->text.len == json_string_length(body) &&
               (got->text.len == 0 ||
                memcmp(got->text.ptr, json_string_value(body), got->text.len) == 0);
    if (strcmp(kind, "int") == 0 || strcmp(kind, "uint") == 0) {
        (void)snprintf(text, sizeof text, "%lld", (long long)got->integer);
        return got->type == MW_VALUE_INTEGER && strcmp(text, json_string_value(body)) == 0;
    }
    if (strcmp(kind, "double") == 0)
        return got->type == MW_VALUE_NUMBER && strpbrk(json_string_value(body), "naNI") == NULL &&
               mw_number_cmp(got->text, number_text(body)) == 0;
    if (strcmp(kind, "list") == 0)
        return same_list(body, got);
    return strcmp(kind, "map") == 0 && same_map(body, got);
}

/* The bindings as roots; false when they cannot be said in JSON. */
static bool bind(const json_t *test, struct mw_arena *arena, struct mw_expr_root *roots,
                 size_t *ret_count)
{
    json_t *bindings = json_object_get(test, "bindings");
    const char *name;
    json_t *value;
    *ret_count = 0;
    json_object_foreach(bindings, name, value)
    {
        json_t *as_json = plain(value);
        struct mw_tape *tape = mw_arena_alloc(arena, sizeof *tape);
        if (as_json == NULL)
            return false;
        char *text = json_dumps(as_json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        struct mw_str copy = mw_arena_copy(arena, mw_str_of(text));
        free(text);
        json_decref(as_json);
        if (mw_json_parse(arena, copy, tape, NULL) != MW_OK)
            return false;
        roots[(*ret_count)++] = (struct mw_expr_root){mw_str_of(name), tape, 0};
    }
    return true;
}

static bool passes(const json_t *test, char *why, size_t why_size)
{
    struct mw_arena arena;
    struct mw_expr_root roots[16];
    size_t root_count = 0;
    const struct mw_expr *expr = NULL;
    struct mw_value value;
    struct mw_err err = {.rc = MW_OK};
    const char *text = field(test, "expr");
    mw_arena_init(&arena, memory, sizeof memory);
    if (!bind(test, &arena, roots, &root_count)) {
        (void)snprintf(why, why_size, "bindings that JSON does not have");
        return false;
    }
    enum mw_rc rc = mw_expr_compile(&arena, mw_str_of(text), &expr, &err);
    if (rc == MW_OK)
        rc = mw_expr_eval(expr, roots, root_count, &arena, &value, &err);
    bool wants_error = json_object_get(test, "error") != NULL;
    if (rc != MW_OK) {
        (void)snprintf(why, why_size, "%s", err.text);
        return wants_error;
    }
    (void)snprintf(why, why_size, "another value");
    return !wants_error && same(json_object_get(test, "value"), &value);
}

static void every_case_passes_or_is_outside_the_subset_for_a_reason(void **state)
{
    char path[4096];
    char why[MW_ERR_TEXT_MAX];
    unsigned passed = 0, skipped = 0, failed = 0, lying = 0;
    size_t i;
    json_t *test;
    json_error_t error;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/conformance/cel/cases.json", shared_dir());
    json_t *tests = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (tests == NULL) {
        print_message("skipped: not present\n");
        skip();
    }
    read_rules();
    json_array_foreach(tests, i, test)
    {
        struct rule *rule = rule_for(test);
        bool passing = passes(test, why, sizeof why);
        bool expected = rule != NULL && rule->accident
                            ? passing && json_object_get(test, "error") != NULL
                            : !passing;
        if (rule != NULL)
            rule->used++;
        if (rule == NULL && passing) {
            passed++;
        } else if (rule == NULL) {
            failed++;
            print_error("failed: %s/%s/%s: %s: %s\n", field(test, "file"), field(test, "section"),
                        field(test, "name"), field(test, "expr"), why);
        } else if (!expected) {
            lying++;
            print_error("%s but is skipped (%s): %s %s %s\n", passing ? "passes" : "fails",
                        rule->reason, field(test, "file"), field(test, "section"),
                        field(test, "name"));
        } else {
            skipped++;
        }
    }
    for (size_t r = 0; r < rule_count; r++) {
        if (rules[r].used == 0) {
            lying++;
            print_error("a rule that skips nothing: %s %s %s\n", rules[r].file, rules[r].section,
                        rules[r].name);
        }
    }
    print_message("cel: %zu cases, %u passed, %u skipped, %u failed\n", json_array_size(tests),
                  passed, skipped, failed);
    json_decref(tests);
    assert_int_equal(failed, 0);
    assert_int_equal(lying, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_passes_or_is_outside_the_subset_for_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
