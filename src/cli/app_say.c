#include "cli/app_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "posix/heap.h"

#define EXAMPLES_MAX 3

static struct mw_str url_of(const struct mw_app *app, const struct mw_app_service *service)
{
    return mw_arena_format(&app->cli->arena, "http://127.0.0.1:%u/%.*s", app->port,
                           MW_STR_ARG(service->slug));
}

static void say_json(const struct mw_app *app)
{
    struct mw_buf out = mw_heap_buf();
    struct mw_json json;
    mw_json_init(&json, &out);
    mw_json_object(&json);
    mw_json_kstr(&json, "type", MW_STR("up.ready"));
    mw_json_kstr(&json, "url", mw_arena_format(&app->cli->arena, "http://127.0.0.1:%u", app->port));
    mw_json_kstr(&json, "token", app->token);
    mw_json_karray(&json, "services");
    for (uint32_t i = 0; i < app->service_count; i++) {
        struct mw_str url = url_of(app, &app->services[i]);
        mw_json_object(&json);
        mw_json_kstr(&json, "name", app->services[i].name);
        mw_json_kstr(&json, "url", url);
        mw_json_kstr(&json, "openapi",
                     mw_arena_format(&app->cli->arena, "%.*s/openapi.json", MW_STR_ARG(url)));
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    (void)mw_cli_put_line(mw_buf_str(&out)); /* the app runs all the same */
    mw_heap_buf_free(&out);
}

/* ---- examples from the service's own OpenAPI file ---- */

static uint32_t resolve(const struct mw_tape *tape, uint32_t schema)
{
    for (unsigned hops = 0; hops < 8; hops++) {
        struct mw_str ref = mw_node_get_text(tape, schema, "$ref");
        if (ref.len < 2 || ref.ptr[0] != '#')
            return schema;
        schema = mw_node_pointer(tape, 0, mw_str_sub(ref, 1, ref.len));
    }
    return schema;
}

static void put_example(struct mw_json *json, const struct mw_tape *tape, uint32_t schema)
{
    schema = resolve(tape, schema);
    struct mw_str type = mw_node_get_text(tape, schema, "type");
    struct mw_str format = mw_node_get_text(tape, schema, "format");
    uint32_t values = mw_node_get(tape, schema, "enum");
    int64_t least = mw_node_int(tape, mw_node_get(tape, schema, "minimum"), 1);
    if (mw_node_type(tape, values) == MW_NODE_ARRAY && mw_node_count(tape, values) > 0)
        mw_json_node(json, tape, mw_node_first(tape, values));
    else if (mw_str_is(type, "integer") || mw_str_is(type, "number"))
        mw_json_i64(json, least);
    else if (mw_str_is(type, "boolean"))
        mw_json_bool(json, false);
    else if (mw_str_is(format, "email"))
        mw_json_str(json, MW_STR("somebody@example.com"));
    else if (mw_str_starts(format, MW_STR("date")))
        mw_json_str(json, MW_STR("2030-01-31"));
    else
        mw_json_str(json, MW_STR("text"));
}

/* The required fields of the body, each with a small value. */
static void put_body(struct mw_buf *out, const struct mw_tape *tape, uint32_t operation)
{
    struct mw_json json;
    uint32_t schema =
        resolve(tape, mw_node_pointer(tape, operation,
                                      MW_STR("/requestBody/content/application~1json/schema")));
    uint32_t required = mw_node_get(tape, schema, "required");
    uint32_t properties = mw_node_get(tape, schema, "properties");
    mw_json_init(&json, out);
    mw_json_object(&json);
    if (mw_node_type(tape, required) == MW_NODE_ARRAY)
        for (uint32_t i = mw_node_first(tape, required); i != MW_NODE_NONE;
             i = mw_node_after(tape, required, i)) {
            mw_json_key(&json, mw_node_str(tape, i));
            put_example(&json, tape, mw_node_get_str(tape, properties, mw_node_str(tape, i)));
        }
    mw_json_object_end(&json);
}

static void put_curl(const struct mw_app *app, const struct mw_app_service *service,
                     struct mw_str path, uint32_t operation, bool post, struct mw_buf *out)
{
    struct mw_str url = url_of(app, service);
    mw_buf_printf(out, "  curl -s%s", post ? " -X POST" : "");
    if (service->wants_token)
        mw_buf_put_z(out, " -H \"Authorization: Bearer $TOKEN\"");
    if (post) {
        mw_buf_put_z(out, " -H 'Content-Type: application/json' -d '");
        put_body(out, &service->openapi, operation);
        mw_buf_put_z(out, "'");
    }
    mw_buf_printf(out, " %.*s%.*s\n", MW_STR_ARG(url), MW_STR_ARG(path));
}

static void put_examples(const struct mw_app *app, struct mw_buf *out)
{
    unsigned count = 0;
    bool posted = false, got = false;
    for (uint32_t s = 0; s < app->service_count && count + 1 < EXAMPLES_MAX; s++) {
        const struct mw_app_service *service = &app->services[s];
        const struct mw_tape *tape = &service->openapi;
        uint32_t paths = tape->count > 0 ? mw_node_get(tape, 0, "paths") : MW_NODE_NONE;
        for (uint32_t i = mw_node_first(tape, paths); i != MW_NODE_NONE;
             i = mw_node_after(tape, paths, i)) {
            struct mw_str path = tape->nodes[i].text;
            bool plain = mw_str_find(path, '{', 0) == SIZE_MAX && !mw_str_is(path, "/health") &&
                         !mw_str_is(path, "/ready") && !mw_str_is(path, "/openapi.json");
            uint32_t post = mw_node_get(tape, i + 1, "post"), get = mw_node_get(tape, i + 1, "get");
            if (plain && post != MW_NODE_NONE && !posted) {
                put_curl(app, service, path, post, true, out);
                posted = true;
                count++;
            }
            if (plain && get != MW_NODE_NONE && !got) {
                put_curl(app, service, path, get, false, out);
                got = true;
                count++;
            }
        }
    }
    if (app->service_count > 0)
        mw_buf_printf(out, "  curl -s %.*s/health\n", MW_STR_ARG(url_of(app, &app->services[0])));
}

static void say_text(const struct mw_app *app)
{
    struct mw_buf out = mw_heap_buf();
    bool color = mw_color_wanted(STDOUT_FILENO), token = false;
    size_t width = 0;
    for (uint32_t i = 0; i < app->service_count; i++) {
        width = app->services[i].name.len > width ? app->services[i].name.len : width;
        token = token || app->services[i].wants_token;
    }
    mw_buf_put_z(&out, mw_color(color, MW_BOLD));
    mw_put_safe(&out, app->name);
    mw_buf_printf(&out, "%s is up on http://127.0.0.1:%u\n\n", mw_color(color, MW_PLAIN),
                  app->port);
    for (uint32_t i = 0; i < app->service_count; i++) {
        mw_buf_put_z(&out, "  ");
        mw_put_safe(&out, app->services[i].name);
        for (size_t pad = app->services[i].name.len; pad < width + 2; pad++)
            mw_buf_put_c(&out, ' ');
        mw_buf_printf(&out, "%.*s\n", MW_STR_ARG(url_of(app, &app->services[i])));
    }
    mw_buf_printf(&out, "\ndata in %s\n", app->data);
    if (mw_str_is(app->storage, "MongoDB"))
        mw_buf_put_z(&out, getenv("MONGODB_URL") != NULL
                               ? "storage: MongoDB at MONGODB_URL\n"
                               : "storage: files. MongoDB adapter: written, not exercised on this "
                                 "machine (set MONGODB_URL)\n");
    if (token)
        mw_buf_printf(&out, "\nA token for development (%s, 12 hours):\n  TOKEN=%.*s\n",
                      app->algorithm, MW_STR_ARG(app->token));
    mw_buf_put_z(&out, "\nTry:\n");
    put_examples(app, &out);
    mw_buf_put_z(&out, "\nCtrl-C stops it; the data stays.\n\n");
    (void)mw_cli_put(mw_buf_str(&out)); /* the app runs all the same */
    mw_heap_buf_free(&out);
}

void mw_app_say_ready(const struct mw_app *app)
{
    if (app->json)
        say_json(app);
    else
        say_text(app);
}
