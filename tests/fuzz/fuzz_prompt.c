/*
 * Understanding: a prompt (first byte even) or a blueprint as JSON or YAML (odd). It is refused with a reason, or its answer is JSON of one of
 * the two events, which import reads or refuses with a reason too.
 */
#include "author/author.h"
#include "builtin/builtin.h"
#include "builtin/infer.h"
#include "fuzz.h"

struct outcome {
    struct mw_builtin b;
    enum mw_rc rc;
    struct mw_err err;
    struct mw_str event;
};

static struct mw_arena shared;

static void run(struct outcome *o, bool is_prompt, struct mw_str value_json)
{
    struct mw_buf task = mw_heap_buf();
    memset(o, 0, sizeof *o);
    o->b.arena = shared;
    o->b.answer = mw_heap_buf();
    o->b.factory = MW_STR(MW_SOURCE_DIR "/factory");
    mw_buf_printf(&task, "{\"taskType\":\"%s\",\"payload\":{\"%s\":",
                  is_prompt ? "GenerateVisionBlueprint" : "ImportBlueprint",
                  is_prompt ? "prompt" : "blueprint");
    mw_buf_put(&task, value_json);
    mw_buf_put(&task, MW_STR("},\"context\":{}}"));
    struct mw_str text = mw_arena_copy(&o->b.arena, mw_buf_str(&task));
    mw_heap_buf_free(&task);
    o->rc = mw_json_parse(&o->b.arena, text, &o->b.task, &o->err);
    if (o->rc == MW_OK) {
        o->b.payload = mw_node_get(&o->b.task, 0, "payload");
        o->b.context = mw_node_get(&o->b.task, 0, "context");
        o->b.task_type = mw_node_get_text(&o->b.task, 0, "taskType");
        o->rc = mw_builtin_blueprint(&o->b, &o->event, &o->err);
    }
    shared.used_bytes = o->b.arena.used_bytes; /* so that the reset clears what was used */
    shared.exhausted = o->b.arena.exhausted;
}

/* The input as the text of one JSON value; false when it is none. */
static bool value_of(bool is_prompt, struct mw_str text, struct mw_buf *out)
{
    struct mw_json json;
    struct mw_tape tape;
    mw_json_init(&json, out);
    if (is_prompt) {
        if (!mw_utf8_valid(text, NULL))
            return false;
        mw_json_str(&json, text);
        return true;
    }
    struct mw_str path = text.len > 0 && text.ptr[0] == '{' ? MW_STR("b.json") : MW_STR("b.yaml");
    if (mw_author_read(&shared, path, text, &tape, NULL) != MW_OK)
        return false;
    mw_json_node(&json, &tape, 0);
    return true;
}

static void check_again(struct mw_str answer)
{
    struct outcome again;
    struct mw_tape tape;
    MW_ASSERT(mw_json_parse(&shared, mw_arena_copy(&shared, answer), &tape, NULL) == MW_OK);
    uint32_t blueprint = mw_node_get(&tape, 0, "blueprint");
    MW_ASSERT(mw_node_type(&tape, blueprint) == MW_NODE_OBJECT);
    run(&again, false, tape.nodes[blueprint].text);
    MW_ASSERT(again.rc == MW_OK || again.err.text[0] != '\0');
    mw_heap_buf_free(&again.b.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome o;
    char *memory;
    if (size == 0 || size > 8192)
        return 0;
    fuzz_arena(&shared, (size_t)64 << 20);
    struct mw_str text = fuzz_rest(data + 1, size - 1, &memory);
    struct mw_buf value = mw_heap_buf();
    bool is_prompt = data[0] % 2 == 0;
    if (value_of(is_prompt, text, &value)) {
        run(&o, is_prompt, mw_buf_str(&value));
        MW_ASSERT(o.rc == MW_OK || o.err.text[0] != '\0');
        if (o.rc == MW_OK && mw_str_is(o.event, "StrategicBlueprintGenerated"))
            check_again(mw_buf_str(&o.b.answer));
        mw_heap_buf_free(&o.b.answer);
    }
    mw_heap_buf_free(&value);
    mw_heap_free(memory);
    return 0;
}
