#include "builtin/probe_internal.h"

#include <string.h>

#define DEFAULT_BODY_LIMIT 1048576

static void check_open_pages(struct probe *p);
static void check_openapi(struct probe *p);
static void check_unknown_path(struct probe *p);
static void check_method(struct probe *p, struct mw_str path);
static void check_bodies(struct probe *p, const struct probe_use_case *use_case);
static void check_order(struct probe *p, const struct probe_use_case *use_case);
static void check_too_large(struct probe *p, const struct probe_use_case *use_case, size_t limit);

static bool takes_body(const struct probe_use_case *use_case)
{
    return use_case->effect == PROBE_CREATE || use_case->effect == PROBE_UPDATE ||
           use_case->effect == PROBE_ASSIGN;
}

void probe_http(struct probe *p)
{
    bool large_done = false;
    check_open_pages(p);
    check_openapi(p);
    check_unknown_path(p);
    check_method(p, MW_STR("/health"));
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++) {
        const struct probe_use_case *use_case = &p->use_cases[i];
        bool before = false;
        for (uint32_t k = 0; k < i; k++)
            before = before || mw_str_eq(p->use_cases[k].path, use_case->path);
        mw_arena_reset(&p->scratch);
        if (!before)
            check_method(p, use_case->path);
        if (!takes_body(use_case))
            continue;
        check_bodies(p, use_case);
        check_order(p, use_case);
        if (!large_done)
            check_too_large(p, use_case, DEFAULT_BODY_LIMIT);
        large_done = true;
    }
}

void probe_http_limit(struct probe *p)
{
    for (uint32_t i = 0; i < p->use_case_count && !p->stopped; i++)
        if (takes_body(&p->use_cases[i])) {
            mw_arena_reset(&p->scratch);
            check_too_large(p, &p->use_cases[i], p->body_limit);
        }
}

static void check_open_pages(struct probe *p)
{
    struct probe_answer answer;
    struct probe_ask health = {.method = "GET", .path = MW_STR("/health"), .owner = PROBE_NONE};
    struct probe_ask ready = {.method = "GET", .path = MW_STR("/ready"), .owner = PROBE_NONE};
    if (probe_expect(p, MW_STR("service: GET /health answers 200"), &health, 200, &answer))
        (void)probe_judge(p, mw_str_is(mw_node_get_text(&answer.tape, 0, "status"), "ok"),
                          MW_STR("service: GET /health says ok"), "{\"status\":\"ok\"}",
                          answer.body);
    (void)probe_expect(p, MW_STR("service: GET /ready answers 200"), &ready, 200, NULL);
}

static bool same_path(struct mw_str template, struct mw_str path)
{
    size_t i = 0;
    size_t k = 0;
    while (i < template.len && k < path.len) {
        if (template.ptr[i] == '{' && path.ptr[k] == '{') {
            i = mw_str_find(template, '}', i);
            k = mw_str_find(path, '}', k);
            if (i == SIZE_MAX || k == SIZE_MAX)
                return false;
        } else if (template.ptr[i] != path.ptr[k]) {
            return false;
        }
        i++;
        k++;
    }
    return i == template.len && k == path.len;
}

bool mw_probe_openapi_has(const struct mw_tape *tape, uint32_t document, struct mw_str method,
                          struct mw_str path)
{
    uint32_t paths = mw_node_get(tape, document, "paths");
    char lower[16] = {0};
    for (size_t i = 0; i < method.len && i + 1 < sizeof lower; i++)
        lower[i] = (char)(method.ptr[i] | 0x20);
    for (uint32_t i = mw_node_first(tape, paths); i != MW_NODE_NONE;
         i = mw_node_after(tape, paths, i))
        if (same_path(tape->nodes[i].text, path) &&
            mw_node_type(tape, mw_node_get(tape, i + 1, lower)) == MW_NODE_OBJECT)
            return true;
    return false;
}

static void check_openapi(struct probe *p)
{
    struct probe_answer answer;
    struct probe_ask ask = {.method = "GET", .path = MW_STR("/openapi.json"), .owner = PROBE_NONE};
    if (!probe_expect(p, MW_STR("service: GET /openapi.json answers 200"), &ask, 200, &answer))
        return;
    (void)probe_judge(p, mw_str_starts(mw_node_get_text(&answer.tape, 0, "openapi"), MW_STR("3.1")),
                      MW_STR("service: /openapi.json is OpenAPI 3.1"), "openapi 3.1",
                      mw_node_get_text(&answer.tape, 0, "openapi"));
    for (uint32_t i = 0; i < p->use_case_count; i++) {
        const struct probe_use_case *use_case = &p->use_cases[i];
        (void)probe_judge(
            p, mw_probe_openapi_has(&answer.tape, 0, use_case->method, use_case->path),
            probe_say(p, "%.*s: is described in /openapi.json", MW_STR_ARG(use_case->name)),
            "its method and path", MW_STR("not there"));
    }
}

static void check_unknown_path(struct probe *p)
{
    struct probe_ask ask = {
        .method = "GET", .path = MW_STR("/mwprobe-no-such-path"), .owner = PROBE_NONE};
    (void)probe_expect(p, MW_STR("service: an unknown path answers 404, token or not"), &ask, 404,
                       NULL);
    ask.owner = 0;
    (void)probe_expect(p, MW_STR("service: an unknown path answers 404"), &ask, 404, NULL);
    ask.path = MW_STR("/__proto__");
    (void)probe_expect(p, MW_STR("service: the unknown path /__proto__ answers 404"), &ask, 404,
                       NULL);
}

static bool allows(const char *allow, struct mw_str method)
{
    struct mw_str list = mw_str_of(allow);
    for (size_t from = 0; from <= list.len;) {
        size_t end = mw_str_find(list, ',', from);
        if (end == SIZE_MAX)
            end = list.len;
        if (mw_str_eq(mw_str_trim(mw_str_sub(list, from, end - from)), method))
            return true;
        from = end + 1;
    }
    return false;
}

/* A method that the path does not have, asked without a token: the method comes before the token. */
static void check_method(struct probe *p, struct mw_str path)
{
    static const char *const methods[] = {"PUT", "DELETE", "PATCH", "POST"};
    struct probe_answer answer;
    for (size_t i = 0; i < MW_COUNT(methods); i++) {
        bool used = false;
        for (uint32_t k = 0; k < p->use_case_count; k++)
            used = used || (mw_str_eq(p->use_cases[k].path, path) &&
                            mw_str_is(p->use_cases[k].method, methods[i]));
        if (used)
            continue;
        struct mw_str name =
            probe_say(p, "service: %s %.*s answers 405 with Allow", methods[i], MW_STR_ARG(path));
        struct probe_use_case place = {.path = path};
        struct probe_ask ask = {
            .method = methods[i],
            .path = probe_path(p, &place, MW_STR("3b241101-e2bb-4255-8caf-4136c566a962")),
            .owner = PROBE_NONE};
        if (!probe_expect(p, name, &ask, 405, &answer))
            return;
        bool all = answer.allow[0] != '\0' && !allows(answer.allow, mw_str_of(methods[i]));
        for (uint32_t k = 0; k < p->use_case_count; k++)
            all = all && (!mw_str_eq(p->use_cases[k].path, path) ||
                          allows(answer.allow, p->use_cases[k].method));
        (void)probe_judge(p, all, name, "Allow with every method of the path",
                          mw_str_of(answer.allow));
        if (i > 0)
            return; /* two strange methods are enough */
    }
}

static struct mw_str id_for(struct probe *p, const struct probe_use_case *use_case)
{
    uint32_t anchor = probe_anchor(p, use_case->entity, 0);
    return anchor == PROBE_NONE ? MW_STR("3b241101-e2bb-4255-8caf-4136c566a962")
                                : p->records[anchor].id;
}

static void check_bodies(struct probe *p, const struct probe_use_case *use_case)
{
    static const struct {
        const char *label;
        const char *body;
        bool malformed;
    } bodies[] = {
        {"half of a JSON text", "{\"title\":", true},
        {"an empty body", "", true},
        {"words", "hello", true},
        {"two JSON texts", "{}{}", true},
        {"an array", "[]", false},
        {"a string", "\"text\"", false},
        {"a number", "5", false},
        {"null", "null", false},
    };
    struct probe_answer answer;
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct probe_ask ask = {
        .method = method.ptr, .path = probe_path(p, use_case, id_for(p, use_case)), .owner = 0};
    for (size_t i = 0; i < MW_COUNT(bodies); i++) {
        struct mw_str name = probe_say(p, "%.*s: %s as body answers 400",
                                       MW_STR_ARG(use_case->name), bodies[i].label);
        ask.body = mw_str_of(bodies[i].body);
        if (!probe_expect(p, name, &ask, 400, &answer) || !bodies[i].malformed)
            continue;
        struct mw_str code =
            mw_node_get_text(&answer.tape, mw_node_get(&answer.tape, 0, "error"), "code");
        (void)probe_judge(p, mw_str_is(code, "malformed_json"), name, "the code malformed_json",
                          code);
    }
    ask.body = probe_body_for(p, use_case, 0);
    ask.content_type = "text/plain";
    (void)probe_expect(p, probe_say(p, "%.*s: text/plain answers 415", MW_STR_ARG(use_case->name)),
                       &ask, 415, NULL);
    ask.content_type = "application/x-www-form-urlencoded";
    (void)probe_expect(p, probe_say(p, "%.*s: a form answers 415", MW_STR_ARG(use_case->name)),
                       &ask, 415, NULL);
    if (use_case->effect != PROBE_CREATE || !p->entities[use_case->entity].creatable)
        return;
    ask.content_type = "application/json; charset=utf-8";
    if (probe_expect(p,
                     probe_say(p, "%.*s: a content type with a charset is accepted",
                               MW_STR_ARG(use_case->name)),
                     &ask, 201, &answer))
        (void)probe_record_add(p, use_case->entity, 0, &answer.tape, 0, true);
}

static void check_order(struct probe *p, const struct probe_use_case *use_case)
{
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct probe_ask ask = {
        .method = method.ptr,
        .path = probe_path(p, use_case, MW_STR("3b241101-e2bb-4255-8caf-4136c566a962")),
        .owner = PROBE_NONE,
        .body = MW_STR("{")};
    if (p->auth)
        (void)probe_expect(
            p, probe_say(p, "%.*s: 401 comes before the body", MW_STR_ARG(use_case->name)), &ask,
            401, NULL);
    ask.owner = 0;
    if (use_case->effect == PROBE_CREATE)
        return;
    (void)probe_expect(
        p, probe_say(p, "%.*s: malformed JSON comes before 404", MW_STR_ARG(use_case->name)), &ask,
        400, NULL);
    ask.content_type = "text/plain";
    (void)probe_expect(
        p, probe_say(p, "%.*s: 415 comes before malformed JSON", MW_STR_ARG(use_case->name)), &ask,
        415, NULL);
    ask.content_type = NULL;
    ask.body = MW_STR("{\"mwprobeUnknown\":1}");
    (void)probe_expect(
        p, probe_say(p, "%.*s: 404 comes before the fields", MW_STR_ARG(use_case->name)), &ask, 404,
        NULL);
}

static void check_too_large(struct probe *p, const struct probe_use_case *use_case, size_t limit)
{
    struct mw_str method = mw_arena_copy(&p->scratch, use_case->method);
    struct mw_str path = probe_path(p, use_case, id_for(p, use_case));
    char *text = mw_arena_alloc(&p->scratch, limit + 2);
    if (text == NULL)
        return;
    memset(text, ' ', limit + 1); /* white space after an object is still JSON */
    text[0] = '{';
    text[1] = '}';
    struct probe_ask ask = {
        .method = method.ptr, .path = path, .owner = 0, .body = {text, limit + 1}};
    (void)probe_expect(p,
                       probe_say(p, "%.*s: a body of %zu bytes answers 413 (limit %zu)",
                                 MW_STR_ARG(use_case->name), limit + 1, limit),
                       &ask, 413, NULL);
    struct probe_answer answer;
    struct mw_str name = probe_say(p, "%.*s: a body of %zu bytes is not too large (limit %zu)",
                                   MW_STR_ARG(use_case->name), limit, limit);
    ask.body.len = limit;
    if (!probe_send(p, name, &ask, &answer))
        return;
    (void)probe_judge(p, answer.status != 413, name, "no 413", MW_STR("413"));
    if (answer.status == 201) /* every field is optional */
        (void)probe_record_add(p, use_case->entity, 0, &answer.tape,
                               answer.tape.count > 0 ? 0 : MW_NODE_NONE, true);
}

/* ------------------------------------------------------------------ the log */

static bool holds(struct mw_str text, struct mw_str part)
{
    return part.len > 0 && text.len > 0 && memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

void probe_http_log(struct probe *p, bool whole)
{
    struct mw_str all = mw_buf_str(&p->service.out);
    uint32_t lines = 0;
    uint32_t requests = 0;
    uint32_t strange = 0;
    for (size_t from = 0; from < all.len;) {
        size_t end = mw_str_find(all, '\n', from);
        if (end == SIZE_MAX)
            break;
        struct mw_tape tape;
        struct mw_str line = mw_str_sub(all, from, end - from);
        from = end + 1;
        lines++;
        mw_arena_reset(&p->scratch);
        if (mw_json_parse(&p->scratch, line, &tape, NULL) != MW_OK ||
            mw_node_type(&tape, 0) != MW_NODE_OBJECT) {
            strange++;
            continue;
        }
        if (!mw_str_is(mw_node_get_text(&tape, 0, "event"), "request"))
            continue;
        requests++;
        if (mw_node_get_text(&tape, 0, "method").len == 0 ||
            mw_node_get_text(&tape, 0, "path").len == 0 ||
            mw_node_type(&tape, mw_node_get(&tape, 0, "status")) != MW_NODE_INTEGER ||
            mw_node_is_null(&tape, mw_node_get(&tape, 0, "durationMs")))
            strange++;
    }
    mw_arena_reset(&p->scratch);
    (void)probe_judge(p, lines > 0 && strange == 0,
                      MW_STR("service: its output is JSON lines, whole for every request"),
                      "JSON objects with method, path, status, durationMs",
                      probe_say(p, "%u of %u lines are not", strange, lines));
    bool told = holds(all, MW_STR("mwprobe text")) || holds(all, MW_STR("eyJhbGci")) ||
                holds(all, p->key.secret);
    (void)probe_judge(p, !told, MW_STR("service: its output holds no body, token or secret"),
                      "none of them", MW_STR("one is there"));
    if (whole)
        (void)probe_judge(p, requests == p->asked_count,
                          MW_STR("service: every request gives one line"),
                          "as many lines as requests",
                          probe_say(p, "%u lines for %u requests", requests, p->asked_count));
}
