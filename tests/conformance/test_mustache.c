/*
 * The public mustache specification, every file that the engine claims, and the limits and errors that the specification does not know.
 */
#include "builtin/mustache.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct partials {
    const struct mw_tape *tape;
    uint32_t node; /* object: name to text */
};

static enum mw_rc find_partial(void *self, struct mw_str name, struct mw_str *ret_text,
                               struct mw_err *err)
{
    const struct partials *partials = self;
    uint32_t node = mw_node_get_str(partials->tape, partials->node, name);
    if (node == MW_NODE_NONE)
        return MW_FAIL(err, MW_E_MISSING, "no partial");
    *ret_text = mw_node_str(partials->tape, node);
    return MW_OK;
}

static uint32_t run_case(struct mw_arena *arena, const struct mw_tape *tape, uint32_t test)
{
    struct partials partials = {tape, mw_node_get(tape, test, "partials")};
    struct mw_mustache mustache = {
        .arena = arena, .output_max = 1 << 20, .self = &partials, .partial = find_partial};
    struct mw_mustache_frame root = {.value = {tape, mw_node_get(tape, test, "data")}};
    struct mw_buf out = mw_heap_buf();
    struct mw_err err = {0};
    enum mw_rc rc = mw_mustache_render(&mustache, MW_STR("test"),
                                       mw_node_get_text(tape, test, "template"), &root, &out, &err);
    struct mw_str name = mw_node_get_text(tape, test, "name");
    struct mw_str expected = mw_node_get_text(tape, test, "expected");
    bool passed = rc == MW_OK && mw_str_eq(mw_buf_str(&out), expected);
    if (!passed)
        print_error("%.*s: expected\n%.*s\ngot (rc %d %s)\n%.*s\n", MW_STR_ARG(name),
                    MW_STR_ARG(expected), (int)rc, err.text, MW_STR_ARG(mw_buf_str(&out)));
    mw_heap_buf_free(&out);
    return passed ? 0 : 1;
}

static void every_case_of_the_specification_passes(void **state)
{
    static const char *const files[] = {"interpolation", "sections",   "inverted",
                                        "comments",      "delimiters", "partials"};
    (void)state;
    const char *shared = getenv("MILLWRIGHT_SHARED");
    uint32_t failed = 0;
    uint32_t total = 0;
    for (size_t i = 0; i < MW_COUNT(files); i++) {
        mw_autofree char *path =
            mw_heap_format("%s/conformance/mustache/%s.json",
                           shared != NULL ? shared : MW_SOURCE_DIR "/../shared", files[i]);
        if (!mw_exists(AT_FDCWD, path)) {
            print_message("skipped: not present: %s\n", path);
            continue;
        }
        struct mw_buf text = mw_heap_buf();
        struct mw_arena arena;
        struct mw_tape tape;
        struct mw_err err = {0};
        mw_heap_arena(&arena, 64 << 20);
        assert_int_equal(mw_file_read(AT_FDCWD, path, 1 << 20, &text, &err), MW_OK);
        assert_int_equal(mw_json_parse(&arena, mw_buf_str(&text), &tape, &err), MW_OK);
        uint32_t tests = mw_node_get(&tape, 0, "tests");
        uint32_t test = mw_node_first(&tape, tests);
        for (; test != MW_NODE_NONE; test = mw_node_after(&tape, tests, test), total++)
            failed += run_case(&arena, &tape, test);
        mw_heap_arena_free(&arena);
        mw_heap_buf_free(&text);
    }
    print_message("%u cases\n", total);
    assert_int_equal(failed, 0);
}

static const struct refusal {
    const char *name;
    const char *text;
    bool strict;
    enum mw_rc rc;
    const char *says;
} refusals[] = {
    {"open section", "a\n{{#list}}\nb", false, MW_E_CONFIG, "template t, line 2: the section"},
    {"stray close", "a\n\n{{/list}}", false, MW_E_CONFIG, "template t, line 3: no section is open"},
    {"crossed", "{{#a}}{{#b}}\n{{/a}}{{/b}}", false, MW_E_CONFIG, "line 2: another section"},
    {"open tag", "a\nb{{name", false, MW_E_CONFIG, "line 2: the tag is never closed"},
    {"no name", "{{ }}", false, MW_E_CONFIG, "line 1: the tag has no name"},
    {"one delimiter", "{{=<%=}}", false, MW_E_CONFIG, "line 1: delimiters are two words"},
    {"array as text", "{{list}}", false, MW_E_CONFIG, "'list' is an array"},
    {"strict: absent", "\n{{nothing}}", true, MW_E_CONFIG, "line 2: nothing is named 'nothing'"},
    {"strict: partial", "{{> nothing}}", true, MW_E_CONFIG, "there is no partial 'nothing'"},
    {"endless partial", "{{> endless}}", false, MW_E_LIMIT, "deep"},
    {"output", "{{#list}}{{#list}}{{#list}}0123456789{{/list}}{{/list}}{{/list}}", false,
     MW_E_LIMIT, "larger than 64 bytes"},
};

static void what_is_no_template_or_too_large_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char data[] = "{\"list\":[1,2,3,4],\"endless\":\"x{{> endless}}\"}";
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err = {0};
    mw_heap_arena(&arena, 1 << 20);
    assert_int_equal(mw_json_parse(&arena, mw_str_of(data), &tape, &err), MW_OK);
    for (size_t i = 0; i < MW_COUNT(refusals); i++) {
        struct partials partials = {&tape, 0};
        struct mw_mustache mustache = {.arena = &arena,
                                       .output_max = 64,
                                       .strict = refusals[i].strict,
                                       .self = &partials,
                                       .partial = find_partial};
        struct mw_mustache_frame root = {.value = {&tape, 0}};
        struct mw_buf out = mw_heap_buf();
        enum mw_rc rc = mw_mustache_render(&mustache, MW_STR("t"), mw_str_of(refusals[i].text),
                                           &root, &out, &err);
        if (rc != refusals[i].rc || strstr(err.text, refusals[i].says) == NULL)
            fail_msg("%s: rc %d, %s", refusals[i].name, (int)rc, err.text);
        mw_heap_buf_free(&out);
    }
    mw_heap_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_the_specification_passes),
        cmocka_unit_test(what_is_no_template_or_too_large_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
