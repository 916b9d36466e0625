/*
 * The generator `render` and the names that templates can derive. Called with --render it is the generator itself: one task on standard
 * input, files in the current folder, one answer line (tests/e2e/stack_node.js uses it where the program is not built).
 */
#include "builtin/builtin.h"
#include "builtin/mustache.h"
#include "builtin/render.h"
#include "builtin/render_view.h"
#include "posix/file.h"
#include "posix/heap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64]; /* the current folder while the test runs */
    char *factory;   /* owned */
    int before_fd;
};

static int enter_folder(void **state)
{
    struct fixture *f = mw_heap_alloc(sizeof(*f));
    struct mw_err err;
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/mw-render-XXXXXX");
    f->before_fd = open(".", O_RDONLY | O_DIRECTORY);
    if (f->before_fd < 0 || mkdtemp(f->folder) == NULL || chdir(f->folder) != 0)
        return -1;
    f->factory = mw_heap_format("%s/factory", f->folder);
    *state = f;
    return mw_mkdirs(AT_FDCWD, "factory/stacks/tiny/templates", 0755, &err) == MW_OK &&
                   mw_mkdirs(AT_FDCWD, "factory/stacks/tiny/partials", 0755, &err) == MW_OK
               ? 0
               : -1;
}

static int leave_folder(void **state)
{
    struct fixture *f = *state;
    struct mw_err err;
    if (fchdir(f->before_fd) != 0 || mw_remove_tree(AT_FDCWD, f->folder, &err) != MW_OK)
        return -1;
    (void)close(f->before_fd);
    mw_heap_free(f->factory);
    mw_heap_free(f);
    return 0;
}

static void put(const char *path, const char *text)
{
    struct mw_err err = {0};
    if (mw_file_replace(AT_FDCWD, path, mw_str_of(text), 0644, &err) != MW_OK)
        fail_msg("%s", err.text);
}

static char *get(const char *path)
{
    struct mw_err err = {0};
    struct mw_buf buf = mw_heap_buf();
    if (mw_file_read(AT_FDCWD, path, 1 << 20, &buf, &err) != MW_OK)
        fail_msg("%s", err.text);
    mw_buf_put_c(&buf, '\0');
    return buf.ptr;
}

/* The answer as "EVENT PAYLOAD", or "rc N: TEXT"; owned by the caller. */
static char *ask(const char *factory, struct mw_str task)
{
    struct mw_builtin b = {.factory = mw_str_of(factory), .answer = mw_heap_buf()};
    struct mw_err err = {0};
    struct mw_str event = MW_STR_NONE;
    mw_heap_arena(&b.arena, (size_t)256 << 20);
    enum mw_rc rc = mw_json_parse(&b.arena, task, &b.task, &err);
    if (rc == MW_OK) {
        b.payload = mw_node_get(&b.task, 0, "payload");
        b.context = mw_node_get(&b.task, 0, "context");
        b.task_type = mw_node_get_text(&b.task, 0, "taskType");
        rc = mw_builtin_render(&b, &event, &err);
    }
    char *answer = rc == MW_OK ? mw_heap_format("%.*s %.*s", MW_STR_ARG(event),
                                                MW_STR_ARG(mw_buf_str(&b.answer)))
                               : mw_heap_format("rc %d: %s", (int)rc, err.text);
    mw_heap_buf_free(&b.answer);
    mw_heap_arena_free(&b.arena);
    return answer;
}

static const char tiny_stack[] =
    "stack: tiny\n"
    "tasks:\n"
    "  Greet:\n"
    "    event: Greeted\n"
    "    files:\n"
    "      - {template: hello.mustache, path: \"out/{{name_kebab}}.txt\"}\n"
    "      - {template: item.mustache, path: \"out/{{payload.name}}/{{name}}.txt\",\n"
    "         forEach: deep.list, when: item.on}\n"
    "  Escape:\n"
    "    event: Escaped\n"
    "    files: [{template: hello.mustache, path: \"{{{where}}}\"}]\n";

static void put_tiny_stack(void)
{
    put("factory/stacks/tiny/stack.yaml", tiny_stack);
    put("factory/stacks/tiny/templates/hello.mustache", "Hello {{name}}\n{{> sign}}");
    put("factory/stacks/tiny/templates/item.mustache", "{{item.name}} of {{payload.name}}\n");
    put("factory/stacks/tiny/partials/sign.mustache", "-- {{name_upper}}\n");
}

static void a_task_writes_its_files_and_answers_with_event_and_identity(void **state)
{
    struct fixture *f = *state;
    put_tiny_stack();
    mw_autofree char *answer =
        ask(f->factory, MW_STR("{\"taskType\":\"Greet\",\"payload\":{\"stack\":\"tiny\","
                               "\"name\":\"WideWorld\",\"useCase\":\"U\",\"other\":1,\"deep\":{"
                               "\"list\":[{\"name\":\"a\",\"on\":true},{\"name\":\"b\","
                               "\"on\":false}]}}}"));
    assert_string_equal(answer, "Greeted {\"useCase\":\"U\",\"files\":[\"out/wide-world.txt\","
                                "\"out/WideWorld/a.txt\"]}");
    mw_autofree char *hello = get("out/wide-world.txt");
    mw_autofree char *item = get("out/WideWorld/a.txt");
    assert_string_equal(hello, "Hello WideWorld\n-- WIDE_WORLD\n");
    assert_string_equal(item, "a of WideWorld\n");
    assert_false(mw_exists(AT_FDCWD, "out/WideWorld/b.txt"));
}

static void expect_refusal(const char *factory, const char *task, enum mw_rc rc, const char *says)
{
    mw_autofree char *answer = ask(factory, mw_str_of(task));
    mw_autofree char *begin = mw_heap_format("rc %d: ", (int)rc);
    if (strncmp(answer, begin, strlen(begin)) != 0 || strstr(answer, says) == NULL)
        fail_msg("%s: got %s", says, answer);
}

static void what_the_stack_cannot_do_is_refused(void **state)
{
    struct fixture *f = *state;
    put_tiny_stack();
    expect_refusal(f->factory, "{\"taskType\":\"Fly\",\"payload\":{\"stack\":\"tiny\"}}",
                   MW_E_MISSING, "no task type 'Fly'");
    expect_refusal(f->factory, "{\"taskType\":\"Greet\",\"payload\":{\"stack\":\"huge\"}}",
                   MW_E_MISSING, "no stack 'huge'");
    expect_refusal(f->factory, "{\"taskType\":\"Greet\",\"payload\":{\"stack\":\"../tiny\"}}",
                   MW_E_INPUT, "no name of a stack");
    expect_refusal(f->factory, "{\"taskType\":\"Greet\",\"payload\":{\"stack\":\"tiny\"}}",
                   MW_E_CONFIG, "nothing is named");
}

static void no_file_is_ever_written_outside_the_folder(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"../x", "/tmp/x", "a/../../x", "a//b", "", ".", "a/./b"};
    put_tiny_stack();
    for (size_t i = 0; i < MW_COUNT(paths); i++) {
        mw_autofree char *task =
            mw_heap_format("{\"taskType\":\"Escape\",\"payload\":{\"stack\":\"tiny\","
                           "\"name\":\"n\",\"where\":\"%s\"}}",
                           paths[i]);
        expect_refusal(f->factory, task, MW_E_INPUT, "not a plain path");
    }
    assert_int_equal(mkdir("outside", 0755), 0);
    assert_int_equal(symlink("outside", "link"), 0);
    assert_int_equal(symlink("outside/file", "leaf"), 0);
    expect_refusal(f->factory,
                   "{\"taskType\":\"Escape\",\"payload\":{\"stack\":\"tiny\",\"name\":\"n\","
                   "\"where\":\"link/file\"}}",
                   MW_E_DENIED, "symbolic link");
    expect_refusal(f->factory,
                   "{\"taskType\":\"Escape\",\"payload\":{\"stack\":\"tiny\",\"name\":\"n\","
                   "\"where\":\"leaf\"}}",
                   MW_E_DENIED, "symbolic link");
    assert_false(mw_exists(AT_FDCWD, "outside/file"));
}

static const struct derived {
    const char *template;
    const char *expected;
} derived[] = {
    {"{{n_kebab}} {{n_snake}} {{n_camel}} {{n_pascal}}",
     "jwt-auth2-key jwt_auth2_key jwtAuth2Key JwtAuth2Key"},
    {"{{n_title}}|{{n_upper}}|{{n_lower}}", "Jwt Auth2 Key|JWT_AUTH2_KEY|jwt auth2 key"},
    {"{{n_snake_upper}}", "JWT_AUTH2_KEY"},
    {"{{{o_json}}} {{{n_json}}}", "{\"b\": [1, \"x, y: \\\"z\\\"\"], \"a\": null} \"JWTAuth2Key\""},
    {"{{n_is_JWTAuth2Key}} {{n_is_x}} {{absent_is_x}}", "true false false"},
    {"{{has_n}} {{has_no}} {{has_zero}} {{has_empty}} {{has_absent}}",
     "true false true false false"},
    {"{{defines_no}} {{defines_nil}} {{defines_absent}}", "true false false"},
    {"{{#l}}{{name}}{{#first}}F{{/first}}{{#last}}L{{/last}}{{index}} {{/l}}", "pF0 q1 rL2 "},
    {"{{#o_entries}}{{key}}={{{value_json}}};{{/o_entries}}", "b=[1, \"x, y: \\\"z\\\"\"];a=null;"},
    {"{{#l_by_k}}{{k}}:{{#items}}{{name}}{{/items}} {{/l_by_k}}", "u:pr v:q "},
    {"{{#l_if_on}}{{name}}{{^last}},{{/last}}{{/l_if_on}}|{{#l_unless_on}}{{name}}{{/l_unless_on}}",
     "p,q|r"},
    {"{{#l_if_k_is_u_unless_on}}{{name}}{{/l_if_k_is_u_unless_on}}", "r"},
    {"{{has_l_if_k_is_u}} {{has_l_if_k_is_x}}", "true false"},
    {"{{#pick_in_l}}{{name}}{{k}}{{/pick_in_l}}", "qv"},
    {"{{#groups}}{{name}}:{{#l_where_k}}{{name}}{{/l_where_k}} {{/groups}}", "u:pr v:q "},
    {"{{o2.n_kebab}}", "in-ner"},
    {"{{#o}}{{#b}}{{{this_json}}};{{/b}}{{/o}}", "1;\"x, y: \\\"z\\\"\";"},
};

static struct mw_mustache_value derive_in(void *self, const struct mw_mustache_frame *stack,
                                          struct mw_str name)
{
    return mw_render_derive(self, stack, name);
}

static void names_are_derived_from_the_data(void **state)
{
    (void)state;
    static const char data[] =
        "{\"n\":\"JWTAuth2Key\",\"no\":false,\"zero\":0,\"empty\":\"\",\"nil\":null,\"pick\":\"q\","
        "\"o\":{\"b\":[1,\"x, y: \\\"z\\\"\"],\"a\":null},\"o2\":{\"n\":\"InNer\"},"
        "\"groups\":[{\"name\":\"u\"},{\"name\":\"v\"}],"
        "\"l\":[{\"name\":\"p\",\"k\":\"u\",\"on\":true},{\"name\":\"q\",\"k\":\"v\",\"on\":true},"
        "{\"name\":\"r\",\"k\":\"u\",\"on\":false}]}";
    struct mw_arena arena;
    struct mw_tape tape;
    struct mw_err err = {0};
    mw_heap_arena(&arena, 1 << 22);
    assert_int_equal(mw_json_parse(&arena, mw_str_of(data), &tape, &err), MW_OK);
    struct mw_mustache mustache = {
        .arena = &arena, .output_max = 4096, .strict = true, .self = &arena, .derive = derive_in};
    struct mw_mustache_frame root = {.value = {&tape, 0}};
    for (size_t i = 0; i < MW_COUNT(derived); i++) {
        struct mw_buf out = mw_heap_buf();
        if (mw_mustache_render(&mustache, MW_STR("t"), mw_str_of(derived[i].template), &root, &out,
                               &err) != MW_OK)
            fail_msg("%s: %s", derived[i].template, err.text);
        mw_buf_put_c(&out, '\0');
        assert_string_equal(out.ptr, derived[i].expected);
        mw_heap_buf_free(&out);
    }
    mw_heap_arena_free(&arena);
}

static int render_standard_input(void)
{
    const char *factory = getenv("MILLWRIGHT_FACTORY");
    struct mw_buf task = mw_heap_buf();
    char chunk[4096];
    for (ssize_t got; (got = read(0, chunk, sizeof(chunk))) > 0;)
        mw_buf_put(&task, (struct mw_str){chunk, (size_t)got});
    mw_autofree char *answer =
        ask(factory != NULL ? factory : MW_SOURCE_DIR "/factory", mw_buf_str(&task));
    mw_heap_buf_free(&task);
    (void)printf("%s\n", answer);
    return strncmp(answer, "rc ", 3) == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--render") == 0)
        return render_standard_input();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_derived_from_the_data),
        cmocka_unit_test_setup_teardown(a_task_writes_its_files_and_answers_with_event_and_identity,
                                        enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(what_the_stack_cannot_do_is_refused, enter_folder,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(no_file_is_ever_written_outside_the_folder, enter_folder,
                                        leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
