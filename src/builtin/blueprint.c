#include "builtin/blueprint.h"

#include "builtin/blueprint_import.h"
#include "builtin/builtin.h"
#include "builtin/infer.h"
#include "posix/file.h"
#include "posix/heap.h"

static void write_notes(const struct mw_infer *inf, struct mw_json *json, bool assumed)
{
    mw_json_karray(json, assumed ? "assumed" : "understood");
    for (const struct mw_note *n = inf->first_note; n != NULL; n = n->next) {
        if (n->assumed != assumed)
            continue;
        mw_json_object(json);
        mw_json_kstr(json, "field", mw_infer_note_path(inf, n));
        mw_json_kraw(json, "value", n->value);
        mw_json_kstr(json, "why", n->why);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

#define LEFT_MAX 1000

static void write_left(const struct mw_infer *inf, struct mw_json *json, const struct mw_toks *toks)
{
    struct mw_str seen[64] = {MW_STR_NONE};
    uint32_t count = 0;
    mw_json_karray(json, "notUnderstood");
    for (uint32_t i = 0; toks->at != NULL && i < toks->count && count < LEFT_MAX; i++) {
        if (!mw_infer_is_left(inf, &toks->at[i]))
            continue;
        bool again = false;
        for (uint32_t k = 0; k < MW_COUNT(seen) && k < count; k++)
            again = again || mw_str_eq(seen[k], toks->at[i].low);
        if (again && toks->at[i].low.len > 0)
            continue;
        seen[count % MW_COUNT(seen)] = toks->at[i].low;
        count++;
        mw_json_str(json, toks->at[i].text);
    }
    mw_json_array_end(json);
}

static bool any_auth(const struct mw_bp *bp)
{
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        if (s->algorithm.len > 0)
            return true;
    return false;
}

static void write_auth(struct mw_json *json, const struct mw_bp *bp)
{
    if (any_auth(bp))
        mw_json_kstr(json, "auth", MW_STR("JWT"));
    else
        mw_json_kbool(json, "auth", false);
}

static void write_metadata(struct mw_json *json, const struct mw_bp *bp)
{
    mw_json_kobject(json, "metadata");
    write_auth(json, bp);
    mw_json_kstr(json, "storage", bp->services->storage);
    mw_json_kraw(json, "features", MW_STR("[]"));
    mw_json_kraw(json, "spa", MW_STR("false"));
    mw_json_kraw(json, "mobile", MW_STR("false"));
    mw_json_kraw(json, "platform", MW_STR("null"));
    mw_json_kraw(json, "gateway", MW_STR("{\"enabled\":false}"));
    mw_json_kraw(json, "ci", MW_STR("false"));
    mw_json_kraw(json, "autoDeploy", MW_STR("false"));
    mw_json_kraw(json, "testScope", bp->test_scope);
    mw_json_kraw(json, "approvalRequired", MW_STR("false"));
    mw_json_kraw(json, "monitoring", MW_STR("false"));
    mw_json_kraw(json, "autoscale", MW_STR("false"));
    mw_json_kraw(json, "infrastructure", MW_STR("{\"provision\":false}"));
    mw_json_object_end(json);
}

static void write_names(struct mw_json *json, const struct mw_bp *bp)
{
    mw_json_karray(json, "modules");
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        mw_json_str(json, s->name);
    mw_json_array_end(json);
    mw_json_karray(json, "capabilities");
    for (const struct mw_bp_service *s = bp->services; s != NULL; s = s->next)
        for (const struct mw_bp_case *c = s->cases; c != NULL; c = c->next)
            mw_json_str(json, c->name);
    mw_json_array_end(json);
}

static void write_blueprint(const struct mw_infer *inf, const struct mw_toks *toks,
                            struct mw_buf *answer)
{
    const struct mw_bp *bp = inf->bp;
    struct mw_buf text = mw_heap_buf();
    char digest[MW_SHA256_HEX];
    struct mw_json json;
    mw_bp_write(bp, &text);
    mw_sha256_hex(mw_buf_str(&text), digest);
    mw_json_init(&json, answer);
    mw_json_object(&json);
    mw_json_kstr(&json, "blueprintId", mw_arena_format(inf->arena, "blueprint-%.*s", 12, digest));
    write_names(&json, bp);
    mw_json_kstr(&json, "storage", bp->services->storage);
    write_auth(&json, bp);
    mw_json_kraw(&json, "blueprint", mw_buf_str(&text));
    write_metadata(&json, bp);
    write_notes(inf, &json, false);
    write_notes(inf, &json, true);
    write_left(inf, &json, toks);
    mw_json_object_end(&json);
    mw_heap_buf_free(&text);
}

static void write_question(const struct mw_ask *ask, struct mw_buf *answer)
{
    struct mw_json json;
    mw_json_init(&json, answer);
    mw_json_object(&json);
    mw_json_kstr(&json, "question", ask->question);
    mw_json_kstr(&json, "field", ask->field);
    mw_json_kstr(&json, "reason", ask->reason);
    mw_json_karray(&json, "options");
    for (uint32_t i = 0; i < ask->option_count; i++)
        mw_json_str(&json, ask->options[i]);
    mw_json_array_end(&json);
    mw_json_object_end(&json);
}

static enum mw_rc understand(struct mw_builtin *b, struct mw_infer *inf, struct mw_toks *ret_toks,
                             struct mw_err *err)
{
    const struct mw_tape *t = &b->task;
    uint32_t prompt = mw_node_get(t, b->payload, "prompt"),
             blueprint = mw_node_get(t, b->payload, "blueprint");
    uint32_t name = mw_node_get(t, b->payload, "name");
    bool imports = mw_str_is(b->task_type, "ImportBlueprint") ||
                   (prompt == MW_NODE_NONE && blueprint != MW_NODE_NONE);
    if (!mw_node_is_null(t, name) && mw_node_type(t, name) != MW_NODE_STRING)
        return MW_FAIL(err, MW_E_INPUT, "/name: not a string; leave it out or name the app");
    struct mw_str wish = mw_str_trim(mw_node_str(t, name));
    if (imports)
        return mw_blueprint_import(inf, t, blueprint, wish, err);
    if (mw_node_type(t, prompt) != MW_NODE_STRING)
        return MW_FAIL(err, MW_E_INPUT, "/prompt: %s; a string is needed",
                       prompt == MW_NODE_NONE ? "missing" : "not a string");
    return mw_infer_prompt(inf, mw_node_str(t, prompt), wish, ret_toks, err);
}

enum mw_rc mw_builtin_blueprint(struct mw_builtin *b, struct mw_str *ret_event, struct mw_err *err)
{
    struct mw_words words;
    struct mw_infer inf;
    struct mw_toks toks = {.at = NULL};
    enum mw_rc rc = mw_words_load(&b->arena, b->factory, &words, err);
    if (rc != MW_OK)
        return rc;
    struct mw_bp bp = {.arena = &b->arena, .words = &words};
    mw_infer_init(&inf, &bp, &b->task, mw_node_get(&b->task, b->context, "ClarificationAnswered"));
    rc = understand(b, &inf, &toks, err);
    if (rc == MW_OK && b->arena.exhausted)
        rc = MW_FAIL(err, MW_E_LIMIT, "the text needs more memory than a task has");
    if (rc == MW_OK && !inf.asked)
        rc = mw_bp_check(&bp, err);
    if (rc != MW_OK)
        return rc;
    if (inf.asked)
        write_question(&inf.ask, &b->answer);
    else
        write_blueprint(&inf, &toks, &b->answer);
    *ret_event = inf.asked ? MW_STR("ClarificationNeeded") : MW_STR("StrategicBlueprintGenerated");
    return MW_OK;
}
