#include "builtin/check_internal.h"

/*
 * Tests and the probe hold a service to its design. So the design itself is held to the blueprint: a designer that leaves something out, or
 * changes it, would otherwise be believed by everybody after it. And openapi.json is held to the design, field by field.
 */

struct promise {
    const struct mw_tape *tape;
    struct mw_buf *detail;
    struct mw_str service;
};

/* Every member that the blueprint says, the design says too; it may say more. */
static void same_members(const struct promise *p, uint32_t said, uint32_t designed,
                         const char *what, struct mw_str name)
{
    for (uint32_t i = mw_node_first(p->tape, said); i != MW_NODE_NONE;
         i = mw_node_after(p->tape, said, i)) {
        struct mw_str key = mw_node_str(p->tape, i);
        uint32_t there = mw_node_get_str(p->tape, designed, key);
        if (there == MW_NODE_NONE || !mw_node_equal(p->tape, i + 1, p->tape, there))
            mw_buf_printf(p->detail, "%.*s: the design has another %.*s of %s %.*s\n",
                          MW_STR_ARG(p->service), MW_STR_ARG(key), what, MW_STR_ARG(name));
    }
}

static uint32_t named(const struct promise *p, uint32_t list, struct mw_str name)
{
    for (uint32_t i = mw_node_first(p->tape, list); i != MW_NODE_NONE;
         i = mw_node_after(p->tape, list, i))
        if (mw_str_eq(mw_node_get_text(p->tape, i, "name"), name))
            return i;
    return MW_NODE_NONE;
}

static void same_list(const struct promise *p, uint32_t said, uint32_t designed, const char *key,
                      const char *what)
{
    uint32_t wanted = mw_node_get(p->tape, said, key), got = mw_node_get(p->tape, designed, key);
    for (uint32_t i = mw_node_first(p->tape, wanted); i != MW_NODE_NONE;
         i = mw_node_after(p->tape, wanted, i)) {
        struct mw_str name = mw_node_get_text(p->tape, i, "name");
        uint32_t there = named(p, got, name);
        if (there == MW_NODE_NONE)
            mw_buf_printf(p->detail, "%.*s: the design has no %s %.*s\n", MW_STR_ARG(p->service),
                          what, MW_STR_ARG(name));
        else
            same_members(p, i, there, what, name);
    }
    if (mw_node_count(p->tape, got) > mw_node_count(p->tape, wanted))
        mw_buf_printf(p->detail, "%.*s: the design has more %s than the blueprint\n",
                      MW_STR_ARG(p->service), key);
}

static void same_auth(const struct promise *p, uint32_t said, uint32_t designed)
{
    uint32_t auth = mw_node_get(p->tape, said, "auth");
    bool wanted = mw_node_type(p->tape, auth) == MW_NODE_OBJECT;
    bool got = mw_node_get_text(p->tape, designed, "auth").len > 0;
    struct mw_str algorithm =
        mw_node_get_text(p->tape, mw_node_get(p->tape, designed, "jwt"), "algorithm");
    if (wanted != got ||
        (wanted && !mw_str_eq(algorithm, mw_node_get_text(p->tape, auth, "algorithm"))))
        mw_buf_printf(p->detail, "%.*s: the design has another auth\n", MW_STR_ARG(p->service));
}

void check_design_promise(const struct mw_tape *tape, uint32_t payload, struct mw_buf *detail)
{
    struct promise p = {.tape = tape, .detail = detail};
    uint32_t blueprint = mw_node_get(tape, payload, "blueprint");
    uint32_t said = mw_node_get(tape, blueprint, "services"),
             designed = mw_node_get(tape, payload, "services");
    if (blueprint == MW_NODE_NONE)
        return; /* whoever asks has only the design */
    for (uint32_t i = mw_node_first(tape, said); i != MW_NODE_NONE;
         i = mw_node_after(tape, said, i)) {
        uint32_t there = MW_NODE_NONE;
        p.service = mw_node_get_text(tape, i, "name");
        for (uint32_t k = mw_node_first(tape, designed); k != MW_NODE_NONE && there == MW_NODE_NONE;
             k = mw_node_after(tape, designed, k))
            if (mw_str_eq(mw_node_get_text(tape, k, "serviceName"), p.service))
                there = k;
        if (there == MW_NODE_NONE) {
            mw_buf_printf(detail, "the design has no service %.*s\n", MW_STR_ARG(p.service));
            continue;
        }
        same_list(&p, i, there, "entities", "entity");
        same_list(&p, i, there, "use_cases", "use case");
        same_auth(&p, i, there);
        if (!mw_str_eq(mw_node_get_text(tape, i, "storage"),
                       mw_node_get_text(tape, there, "storage")))
            mw_buf_printf(detail, "%.*s: the design has another storage\n", MW_STR_ARG(p.service));
    }
    if (mw_node_count(tape, designed) > mw_node_count(tape, said))
        mw_buf_printf(detail, "the design has more services than the blueprint\n");
}

/* --- openapi.json --- */

/* The schema, or what its $ref leads to inside the document. */
static uint32_t resolved(const struct mw_tape *document, uint32_t schema)
{
    struct mw_str ref = mw_node_get_text(document, schema, "$ref");
    if (ref.len < 2 || ref.ptr[0] != '#')
        return schema;
    return mw_node_pointer(document, 0, mw_str_sub(ref, 1, ref.len));
}

/* The JSON schema of a body: of a request (status NULL) or of an answer. */
static uint32_t body_schema(const struct mw_tape *document, uint32_t operation, const char *status)
{
    uint32_t body =
        status == NULL
            ? mw_node_get(document, operation, "requestBody")
            : mw_node_get(document, mw_node_get(document, operation, "responses"), status);
    uint32_t content = mw_node_get(document, resolved(document, body), "content");
    uint32_t media = mw_node_get(document, content, "application/json");
    return resolved(document, mw_node_get(document, media, "schema"));
}

static void lists_fields(const struct promise *p, const struct mw_tape *document, uint32_t schema,
                         uint32_t entity, struct mw_str use_case)
{
    uint32_t fields = mw_node_get(p->tape, entity, "fields"),
             properties = mw_node_get(document, schema, "properties");
    for (uint32_t i = mw_node_first(p->tape, fields); i != MW_NODE_NONE;
         i = mw_node_after(p->tape, fields, i)) {
        struct mw_str name = mw_node_get_text(p->tape, i, "name");
        if (mw_node_get_str(document, properties, name) == MW_NODE_NONE)
            mw_buf_printf(p->detail, "%.*s/openapi.json: %.*s does not describe the field %.*s\n",
                          MW_STR_ARG(p->service), MW_STR_ARG(use_case), MW_STR_ARG(name));
    }
}

/* "/tasks/{id}" and "/tasks/{its}" are one path. */
static bool same_path(struct mw_str a, struct mw_str b)
{
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        if (a.ptr[i] == '{' && b.ptr[k] == '{') {
            while (i < a.len && a.ptr[i] != '}')
                i++;
            while (k < b.len && b.ptr[k] != '}')
                k++;
        } else if (a.ptr[i] != b.ptr[k]) {
            return false;
        } else {
            i++;
            k++;
        }
    }
    return i == a.len && k == b.len;
}

static uint32_t operation_at(const struct mw_tape *document, struct mw_str path,
                             struct mw_str method_lower)
{
    uint32_t paths = mw_node_get(document, 0, "paths");
    for (uint32_t i = mw_node_first(document, paths); i != MW_NODE_NONE;
         i = mw_node_after(document, paths, i))
        if (same_path(mw_node_str(document, i), path))
            return mw_node_get_str(document, i + 1, method_lower);
    return MW_NODE_NONE;
}

void check_described_fields(const struct mw_tape *tape, uint32_t design, uint32_t use_case,
                            const struct mw_tape *document, struct mw_str path,
                            struct mw_str method_lower, struct mw_buf *detail)
{
    uint32_t operation = operation_at(document, path, method_lower);
    struct promise p = {
        .tape = tape, .detail = detail, .service = mw_node_get_text(tape, design, "slug")};
    struct mw_str effect = mw_node_get_text(tape, use_case, "effect"),
                  name = mw_node_get_text(tape, use_case, "name");
    uint32_t entity = named(&p, mw_node_get(tape, design, "entities"),
                            mw_node_get_text(tape, use_case, "entity"));
    bool creates = mw_str_is(effect, "create");
    if (creates || mw_str_is(effect, "update"))
        lists_fields(&p, document, body_schema(document, operation, NULL), entity, name);
    if (!mw_str_is(effect, "list") && !mw_str_is(effect, "delete"))
        lists_fields(&p, document, body_schema(document, operation, creates ? "201" : "200"),
                     entity, name);
}
