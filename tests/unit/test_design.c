/* DesignPortsAndUseCases: a normalised blueprint becomes services with ports, handlers, methods and paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "builtin/builtin.h"
#include "posix/heap.h"

#define BLUEPRINT(cases)                                                                           \
    "{\"payload\":{\"blueprintId\":\"blueprint-1\",\"blueprint\":{\"schema\":1,\"name\":\"Todo\"," \
    "\"slug\":\"todo\",\"services\":[{\"name\":\"TodoService\",\"storage\":\"MongoDB\",\"auth\":"  \
    "{\"strategy\":\"JWT\",\"provider\":null,\"algorithm\":\"RS256\"},\"entities\":[{\"name\":"    \
    "\"TodoItem\",\"fields\":[{\"name\":\"done\",\"type\":\"boolean\",\"required\":false}]}],"     \
    "\"use_cases\":[" cases "]}]}}}"

struct outcome {
    struct mw_builtin b;
    struct mw_err err;
    enum mw_rc rc;
    struct mw_str event;
    struct mw_tape payload;
};

static void run(struct outcome *o, const char *task)
{
    memset(o, 0, sizeof(*o));
    mw_heap_arena(&o->b.arena, 16UL * 1024 * 1024);
    o->b.answer = mw_heap_buf();
    o->b.factory = MW_STR(MW_SOURCE_DIR "/factory");
    assert_int_equal(mw_json_parse(&o->b.arena, mw_str_of(task), &o->b.task, &o->err), MW_OK);
    o->b.payload = mw_node_get(&o->b.task, 0, "payload");
    o->b.context = MW_NODE_NONE;
    o->rc = mw_builtin_design(&o->b, &o->event, &o->err);
    if (o->rc == MW_OK)
        assert_int_equal(mw_json_parse(&o->b.arena, mw_buf_str(&o->b.answer), &o->payload, &o->err),
                         MW_OK);
}

static void end(struct outcome *o)
{
    mw_heap_buf_free(&o->b.answer);
    mw_heap_arena_free(&o->b.arena);
}

static bool is_at(const struct outcome *o, const char *pointer, const char *text)
{
    uint32_t node = mw_node_pointer(&o->payload, 0, mw_str_of(pointer));
    return mw_str_is(mw_node_str(&o->payload, node), text);
}

static void every_effect_has_its_method_and_path(void **state)
{
    static const struct {
        const char *effect, *method, *path;
    } rows[] = {
        {"\"effect\":\"create\"", "POST", "/todo-items"},
        {"\"effect\":\"read\"", "GET", "/todo-items/{id}"},
        {"\"effect\":\"list\"", "GET", "/todo-items"},
        {"\"effect\":\"update\"", "PATCH", "/todo-items/{id}"},
        {"\"effect\":\"delete\"", "DELETE", "/todo-items/{id}"},
        {"\"set\":{\"done\":true},\"action\":\"finish\"", "POST", "/todo-items/{id}/finish"},
        {"\"fields\":[\"done\"],\"action\":\"move\"", "POST", "/todo-items/{id}/move"}};
    (void)state;
    for (size_t i = 0; i < MW_COUNT(rows); i++) {
        struct outcome o;
        char *task = mw_heap_format(BLUEPRINT("{\"name\":\"DoTodoItem\",%s}"), rows[i].effect);
        run(&o, task);
        assert_int_equal(o.rc, MW_OK);
        assert_true(mw_str_is(o.event, "PortsAndUseCasesReady"));
        assert_true(is_at(&o, "/services/0/use_cases/0/method", rows[i].method));
        assert_true(is_at(&o, "/services/0/use_cases/0/path", rows[i].path));
        assert_true(is_at(&o, "/services/0/use_cases/0/handler", "DoTodoItemHandler"));
        assert_true(is_at(&o, "/surface_map/0/path", rows[i].path));
        assert_true(is_at(&o, "/surface_map/0/service", "TodoService"));
        end(&o);
        mw_heap_free(task);
    }
}

static void a_service_says_its_ports_storage_and_auth(void **state)
{
    struct outcome o;
    (void)state;
    run(&o, BLUEPRINT("{\"name\":\"CreateTodoItem\",\"effect\":\"create\"}"));
    assert_int_equal(o.rc, MW_OK);
    assert_true(is_at(&o, "/blueprintId", "blueprint-1"));
    assert_true(is_at(&o, "/services/0/serviceName", "TodoService"));
    assert_true(is_at(&o, "/services/0/ports/0/name", "ITodoItemRepository"));
    assert_true(is_at(&o, "/services/0/ports/0/slug", "todo-item"));
    assert_true(is_at(&o, "/services/0/entities/0/repository", "ITodoItemRepository"));
    assert_true(is_at(&o, "/services/0/storage", "MongoDB"));
    assert_true(is_at(&o, "/services/0/auth", "JWT"));
    assert_true(is_at(&o, "/services/0/jwt/algorithm", "RS256"));
    assert_true(is_at(&o, "/services/0/stack", "node"));
    assert_true(is_at(&o, "/services/0/useCases/0", "CreateTodoItem"));
    uint32_t create = mw_node_pointer(&o.payload, 0, MW_STR("/services/0/entities/0/has_create"));
    uint32_t list = mw_node_pointer(&o.payload, 0, MW_STR("/services/0/entities/0/has_list"));
    assert_int_equal(mw_node_type(&o.payload, create), MW_NODE_TRUE);
    assert_int_equal(mw_node_type(&o.payload, list), MW_NODE_FALSE);
    end(&o);
}

static void two_use_cases_on_one_path_are_refused(void **state)
{
    struct outcome o;
    (void)state;
    run(&o, BLUEPRINT("{\"name\":\"CreateTodoItem\",\"effect\":\"create\"},"
                      "{\"name\":\"AddTodoItem\",\"effect\":\"create\"}"));
    assert_int_equal(o.rc, MW_E_INPUT);
    assert_non_null(strstr(o.err.text, "/services/0/use_cases/1"));
    end(&o);
}

static void without_a_blueprint_nothing_is_designed(void **state)
{
    struct outcome o;
    (void)state;
    run(&o, "{\"payload\":{}}");
    assert_int_equal(o.rc, MW_E_INPUT);
    end(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_effect_has_its_method_and_path),
        cmocka_unit_test(a_service_says_its_ports_storage_and_auth),
        cmocka_unit_test(two_use_cases_on_one_path_are_refused),
        cmocka_unit_test(without_a_blueprint_nothing_is_designed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
